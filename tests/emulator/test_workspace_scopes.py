"""What the app was granted decides what it may call and hear; the manifest says what that is."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import yaml
from slack_sdk.errors import SlackApiError

from emulator.app import EVERY_SCOPE, MANIFEST, VIEWS, read_manifest
from emulator.emulator import Workspace
from emulator.world import Channel
from tests.harness.recording_bot import Json, Stage, error_of, staged


def refusal(stage: Stage, method: str, **args: object) -> Json:
    with pytest.raises(SlackApiError) as caught:
        stage.client.api_call(method, params=args)
    data = caught.value.response.data
    assert isinstance(data, dict)
    return data


def test_a_call_without_its_scope_is_told_what_is_needed_and_what_there_is() -> None:
    with staged(scopes={"chat:write", "channels:history"}) as stage:
        assert refusal(stage, "users.info", user="U0ANN") == {
            "ok": False,
            "error": "missing_scope",
            "needed": "users:read",
            "provided": "channels:history,chat:write",
        }
        assert stage.client.chat_postMessage(channel="C0HR", text="x")["ok"]
        assert stage.client.auth_test()["ok"]
        assert stage.workspace.violations == []


def test_each_kind_of_conversation_has_its_own_scope() -> None:
    with staged(scopes={"channels:history", "groups:read"}) as stage:
        stage.workspace.add_channel(Channel("C0SECRET", "secret", ("U0ANN", "U0BOT"), is_private=True))
        assert stage.client.conversations_history(channel="C0HR")["ok"]
        assert refusal(stage, "conversations.history", channel="C0SECRET")["needed"] == "groups:history"
        assert refusal(stage, "conversations.history", channel="D0ANN")["needed"] == "im:history"
        assert refusal(stage, "conversations.info", channel="C0HR")["needed"] == "channels:read"
        assert stage.client.conversations_info(channel="C0SECRET")["ok"]


def test_another_name_or_picture_and_an_address_need_their_own_scopes() -> None:
    with staged(scopes=EVERY_SCOPE - {"chat:write.customize", "users:read.email"}) as stage:
        assert refusal(stage, "chat.postMessage", channel="C0HR", text="x", username="Boss")["needed"] == (
            "chat:write.customize"
        )
        assert "email" not in stage.client.users_info(user="U0ANN")["user"]["profile"]
    with staged() as stage:
        assert stage.client.chat_postMessage(channel="C0HR", text="x", username="Boss")["ok"]
        assert stage.client.users_info(user="U0ANN")["user"]["profile"]["email"] == "ann@example.com"


def test_every_answer_names_the_granted_scopes() -> None:
    with staged(scopes={"users:read", "chat:write"}) as stage:
        headers = stage.client.auth_test().headers
        assert headers["x-oauth-scopes"] == "chat:write,users:read"
        answer = httpx2.get(
            f"{stage.workspace.api_url}users.info?user=U0ANN", headers={"Authorization": "Bearer xoxb-1"}
        )
        assert answer.headers["x-accepted-oauth-scopes"] == "users:read"


def test_an_event_without_its_scope_is_not_sent() -> None:
    with staged(scopes={"app_mentions:read"}) as stage:
        stage.workspace.say("U0ANN", "hello", channel="D0ANN")
        stage.workspace.say("U0ANN", "@hr-bot hello")
        assert [event["type"] for event in stage.events(1)] == ["app_mention"]


def test_what_is_not_said_is_taken_from_the_manifest() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text("utf-8"))
    declared = read_manifest()
    assert declared.scopes == set(manifest["oauth_config"]["scopes"]["bot"])
    assert declared.events == set(manifest["settings"]["event_subscriptions"]["bot_events"])
    with Workspace(bot_token="xoxb-1") as workspace:
        answer = httpx2.post(f"{workspace.api_url}auth.test", headers={"Authorization": "Bearer xoxb-1"})
        assert answer.headers["x-oauth-scopes"].split(",") == sorted(declared.scopes)
        assert workspace.world.app.view == declared.view


def test_a_manifest_declares_the_agents_surface(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    for view in VIEWS:
        features: Json = {view: {}} if view else {}
        path.write_text(yaml.safe_dump({"features": features, "oauth_config": {"scopes": {"bot": []}}, "settings": {}}))
        assert read_manifest(path).view == view


def test_a_forbidden_method_is_refused_before_its_arguments_are_read() -> None:
    with staged() as stage:
        stage.workspace.forbid("views.publish", "not_enabled")
        assert error_of(stage.client.api_call, api_method="views.publish", json={}) == "not_enabled"
        assert stage.workspace.violations == []
