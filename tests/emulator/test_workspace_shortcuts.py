"""Shortcuts in the menu of a message, as Slack sends them to the app."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk.webhook import WebhookClient

from emulator.app import EVERY_SCOPE, read_manifest
from emulator.world import Channel
from tests.harness.recording_bot import Stage, asks, modal, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(shortcuts=read_manifest().shortcuts) as made:
        yield made


def test_a_shortcut_tells_its_message_and_who_used_it(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    ts = stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="answer")["ts"]
    assert stage.workspace.shortcut("U0BEN", ts, "delete_message") == 200
    (payload,) = stage.bot.of("interaction")
    assert (payload["type"], payload["callback_id"], payload["message_ts"]) == ("message_action", "delete_message", ts)
    assert (payload["user"]["id"], payload["channel"]) == ("U0BEN", {"id": "C0HR", "name": "hr-bot"})
    assert (payload["message"]["text"], payload["message"]["thread_ts"]) == ("answer", root)
    assert (payload["team"], "actions" in payload) == ({"id": "T0LOCAL", "domain": "local"}, False)
    WebhookClient(payload["response_url"]).send(text="only for you")
    assert [message["text"] for message in stage.workspace.ephemerals("U0BEN")] == ["only for you"]


def test_a_shortcut_works_on_a_message_that_grows_and_on_a_persons_own(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "hello", channel="D0ANN")
    ts = stage.client.chat_startStream(channel="D0ANN", thread_ts=root, markdown_text="a")["ts"]
    for which in (ts, root):
        assert stage.workspace.shortcut("U0ANN", which, "stop_generating", channel="D0ANN") == 200
    names = [payload["channel"]["name"] for payload in stage.bot.of("interaction")]
    assert names == ["directmessage"] * 2


def test_a_private_channel_is_not_named(stage: Stage) -> None:
    stage.workspace.add_channel(Channel("C0SECRET", "secret", ("U0ANN", "U0BOT"), is_private=True))
    ts = stage.workspace.say("U0ANN", "hush", channel="C0SECRET")
    stage.workspace.shortcut("U0ANN", ts, "delete_message", channel="C0SECRET")
    assert stage.bot.of("interaction")[0]["channel"] == {"id": "C0SECRET", "name": "privategroup"}


def test_a_shortcut_opens_a_modal(stage: Stage) -> None:
    ts = stage.workspace.say("U0ANN", "please")
    stage.workspace.shortcut("U0ANN", ts, "delete_message")
    (payload,) = stage.bot.of("interaction")
    view = modal(asks(), private_metadata=ts, callback_id="delete")
    opened = stage.client.views_open(trigger_id=payload["trigger_id"], view=view)["view"]
    assert [one["id"] for one in stage.workspace.modals("U0ANN")] == [opened["id"]]
    assert stage.workspace.submit(opened["id"], "U0ANN", {"why": "wrong"}).status == 200
    assert stage.bot.of("interaction")[1]["view"]["private_metadata"] == ts


def test_what_has_no_menu_has_no_shortcuts(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="answer")
    hidden = stage.client.chat_postEphemeral(channel="C0HR", user="U0ANN", text="psst")["message_ts"]
    with pytest.raises(LookupError, match="no shortcut"):
        stage.workspace.shortcut("U0ANN", root, "explode")
    with pytest.raises(LookupError, match="no menu"):
        stage.workspace.shortcut("U0ANN", hidden, "delete_message")
    stage.workspace.delete("C0HR", root)
    with pytest.raises(LookupError, match="no menu"):
        stage.workspace.shortcut("U0ANN", root, "delete_message")


def test_shortcuts_need_their_scope() -> None:
    with staged(shortcuts={"s": "S"}, scopes=EVERY_SCOPE - {"commands"}) as poor:
        ts = poor.workspace.say("U0ANN", "hello")
        with pytest.raises(LookupError, match="no shortcut"):
            poor.workspace.shortcut("U0ANN", ts, "s")
