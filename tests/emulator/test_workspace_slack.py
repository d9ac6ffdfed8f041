"""The local Slack workspace is held to what Slack documents: arguments, limits, signatures, retries, payloads, faults.

Everything goes over HTTP on loopback: slack_sdk's WebClient calls in, a small Flask app stands for the bot.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from flask import Response
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from emulator import limits, methods
from emulator.app import App
from emulator.block_kit import block_mistakes
from emulator.delivery import signature
from emulator.emulator import Workspace
from emulator.errors import LimitError
from emulator.page import ASSETS
from emulator.workspace_parts import NO_ACK
from emulator.world import BOT_USER, Channel, Person
from tests.harness.recording_bot import (
    CONFIRM,
    SECRET,
    Bot,
    Clock,
    Json,
    actions,
    asks,
    button,
    error_of,
    modal,
    mrkdwn,
    plain,
    section,
)


@pytest.fixture
def bot() -> Iterator[Bot]:
    bot = Bot()
    yield bot
    bot.server.shutdown()
    bot.server.server_close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(bot: Bot, clock: Clock) -> Iterator[Workspace]:
    made = Workspace(
        bot_token="xoxb-1",
        signing_secret=SECRET,
        retry_delays=(0, 0.01, 0.02),
        app=App(shortcuts={"stop": "Stop"}),
        clock=clock,
    )
    with made:
        made.connect(bot.url)
        yield made


@pytest.fixture
def client(workspace: Workspace) -> WebClient:
    return WebClient("xoxb-1", base_url=workspace.api_url, retry_handlers=[])


# Limits of blocks


@pytest.mark.parametrize(
    ("block", "pointer"),
    [
        (actions(button(value="v" * 2001)), "/0/elements/0/value"),
        (actions(button(text=plain("t" * 76))), "/0/elements/0/text/text"),
        (actions(button(text=mrkdwn("t"))), "/0/elements/0/text/type"),
        (actions(button(text="t")), "/0/elements/0/text"),
        (actions(button(valeu="p")), "/0/elements/0"),
        (actions(button(value=None)), "/0/elements/0/value"),
        (actions(button(style="green")), "/0/elements/0/style"),
        (actions(button(action_id="a" * 256)), "/0/elements/0/action_id"),
        (actions(button(url="h" * 3001)), "/0/elements/0/url"),
        (actions({"type": "button", "action_id": "a"}), "/0/elements/0"),
        (actions(button(confirm={"title": plain("x")})), "/0/elements/0/confirm"),
        (actions(button(confirm={**CONFIRM, "title": plain("x" * 101)})), "/0/elements/0/confirm/title/text"),
        (actions(button(confirm={**CONFIRM, "text": plain("x" * 301)})), "/0/elements/0/confirm/text/text"),
        (actions(button(confirm={**CONFIRM, "deny": plain("x" * 31)})), "/0/elements/0/confirm/deny/text"),
        (actions(), "/0/elements"),
        (actions(*(button(action_id=f"a{n}") for n in range(26))), "/0/elements"),
        (actions(button(), button()), "/0/elements"),
        (section("x" * 3001), "/0/text/text"),
        (section(""), "/0/text/text"),
        ({"type": "section"}, "/0"),
        ({"type": "section", "text": "hello"}, "/0/text"),
        ({"type": "section", "fields": [mrkdwn("f")] * 11}, "/0/fields"),
        ({"type": "section", "fields": [mrkdwn("f" * 2001)]}, "/0/fields/0/text"),
        (section(accessory=button(value="v" * 2001)), "/0/accessory/value"),
        (section(block_id="b" * 256), "/0/block_id"),
        ({"type": "header", "text": plain("h" * 151)}, "/0/text/text"),
        ({"type": "header", "text": mrkdwn("h")}, "/0/text/type"),
        ({"type": "context", "elements": [mrkdwn("c")] * 11}, "/0/elements"),
        ({"type": "context", "elements": [mrkdwn("c" * 3001)]}, "/0/elements/0/text"),
        ({"type": "context", "elements": []}, "/0/elements"),
        ({"type": "markdown", "text": "m" * 12001}, "/0/text"),
        ({"type": "image", "image_url": "https://example.com/i.png"}, "/0"),
        ({"type": "image", "image_url": "https://example.com/i.png", "alt_text": "a" * 2001}, "/0/alt_text"),
        ({"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": ["x"]}]}, "/0/elements/0"),
        ({"type": "context_actions", "elements": [button()]}, "/0/elements/0/type"),
        ({"type": "wobble"}, "/0"),
        ({"type": "table"}, "/0"),
        ("text", "/0"),
        (None, "/0"),
    ],
)
def test_a_block_beyond_a_limit_is_refused_and_pointed_at(client: WebClient, block: Any, pointer: str) -> None:
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel="C0HR", text="x", blocks=[block])
    assert caught.value.response["error"] == "invalid_blocks"
    assert f"[json-pointer:/blocks{pointer}" in str(caught.value.response["response_metadata"]["messages"])


@pytest.mark.parametrize(
    "block",
    [
        actions(button(value="v" * 2000, text=plain("t" * 75), style="danger", confirm=CONFIRM)),
        actions(*(button(action_id=f"a{n}") for n in range(25))),
        section("x" * 3000, fields=[mrkdwn("f" * 2000)] * 10, block_id="b" * 255),
        {"type": "header", "text": plain("h" * 150)},
        {"type": "context", "elements": [mrkdwn("c" * 3000)] * 10},
        {"type": "markdown", "text": "m" * 12000},
        {"type": "divider"},
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [
                        {"type": "text", "text": "b", "style": {"bold": True}},
                        {"type": "user", "user_id": "U0ANN"},
                        {"type": "link", "url": "https://example.com", "text": "there"},
                        {"type": "emoji", "name": "tada"},
                    ],
                },
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "PUT /x"}]},
                {
                    "type": "rich_text_list",
                    "style": "bullet",
                    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]}],
                },
                {"type": "rich_text_quote", "elements": [{"type": "text", "text": "quoted"}]},
            ],
        },
        {
            "type": "context_actions",
            "elements": [
                {
                    "type": "feedback_buttons",
                    "action_id": "feedback",
                    "positive_button": {"text": plain("Good"), "value": "+"},
                    "negative_button": {"text": plain("Bad"), "value": "-"},
                }
            ],
        },
        actions(
            {
                "type": "static_select",
                "action_id": "s",
                "placeholder": plain("Which?"),
                "options": [{"text": plain("One"), "value": "1"}],
            },
            {"type": "overflow", "action_id": "o", "options": [{"text": plain("One"), "value": "1"}]},
        ),
        asks(),
    ],
)
def test_a_block_at_its_limits_is_taken(block: Json) -> None:
    assert block_mistakes([block]) == []


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"blocks": [section()] * 51}, "msg_blocks_too_many"),
        ({"blocks": [section(block_id="same"), section(block_id="same")]}, "invalid_blocks"),
        ({"blocks": [{"type": "markdown", "text": "m" * 6001}] * 2}, "msg_too_long"),
        ({"blocks": "no json"}, "invalid_blocks_format"),
        ({"blocks": "{}"}, "invalid_blocks_format"),
        ({"text": ""}, "no_text"),
        ({"text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
        ({"markdown_text": "m" * 12001}, "msg_too_long"),
        ({"text": 7}, "invalid_arguments"),
        ({"text": "x", "colour": "red"}, "invalid_arguments"),
        ({"text": "x", "thread_ts": 1503435956.000247}, "invalid_arguments"),
        ({"text": "x", "thread_ts": "1503435956.0002"}, "invalid_arguments"),
        ({"text": "x", "mrkdwn": "maybe"}, "invalid_arguments"),
        ({"text": "x", "metadata": {"event_type": "e"}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": 1, "event_payload": {}}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "e", "event_payload": []}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": "e"}, "invalid_metadata_format"),
        ({"channel": None, "text": "x"}, "invalid_arguments"),
    ],
)
def test_a_message_with_wrong_arguments_is_refused(args: Json, error: str) -> None:
    with pytest.raises(LimitError) as caught:
        limits.check("chat.postMessage", {"channel": "C0HR", **args})
    assert (caught.value.code, bool(caught.value.messages)) == (error, True)


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("chat.update", {"channel": "C0HR", "ts": "1503435956.000247", "text": "x" * 4001}, "msg_too_long"),
        ("chat.update", {"channel": "C0HR", "ts": "1503435956.000247"}, "no_text"),
        ("chat.update", {"channel": "C0HR", "text": "x"}, "invalid_arguments"),
        ("chat.postEphemeral", {"channel": "C0HR", "text": "x"}, "invalid_arguments"),
        ("reactions.add", {"channel": "C0HR", "timestamp": "1503435956.000247", "name": ":eyes:"}, "invalid_name"),
        ("conversations.replies", {"channel": "C0HR", "ts": "1503435956.000247", "limit": 1001}, "invalid_arguments"),
        ("assistant.threads.setStatus", {"loading_messages": []}, "invalid_arguments"),
        ("assistant.threads.setStatus", {"loading_messages": ["m"] * 11}, "invalid_arguments"),
        ("assistant.threads.setStatus", {"loading_messages": ["m" * 51]}, "invalid_arguments"),
        (
            "assistant.threads.setSuggestedPrompts",
            {"channel_id": "D0ANN", "prompts": [{"title": "t", "message": "m"}] * 5},
            "invalid_arguments",
        ),
        ("views.open", {"trigger_id": "1", "view": modal(title=plain("t" * 25))}, "invalid_arguments"),
        ("views.open", {"trigger_id": "1", "view": modal(*([{"type": "divider"}] * 101))}, "invalid_arguments"),
        ("views.open", {"trigger_id": "1", "view": modal(private_metadata="p" * 3001)}, "invalid_arguments"),
        ("views.open", {"trigger_id": "1", "view": {**modal(asks()), "submit": None}}, "invalid_arguments"),
        ("views.open", {"trigger_id": "1", "view": modal(*([section("é" * 3000)] * 50))}, "view_too_large"),
        ("views.open", {"trigger_id": "1", "view": {"type": "home", "blocks": []}}, "invalid_arguments"),
        ("views.publish", {"user_id": "U0ANN", "view": modal()}, "invalid_arguments"),
    ],
)
def test_a_call_beyond_a_limit_is_refused(method: str, args: Json, error: str) -> None:
    status = {"channel_id": "C0HR", "thread_ts": "1503435956.000247", "status": "is thinking..."}
    with pytest.raises(LimitError) as caught:
        limits.check(method, {**status, **args} if method.endswith("setStatus") else args)
    assert caught.value.code == error


def test_every_refused_call_is_kept_as_a_violation(workspace: Workspace, client: WebClient) -> None:
    error_of(client.chat_postMessage, channel="C0HR", text="x", blocks=[{"type": "section"}])
    error_of(client.api_call, api_method="chat.postMassage")
    assert [line.split(":")[0] for line in workspace.violations] == ["chat.postMessage", "chat.postMassage"]
    assert workspace.messages("C0HR") == []


def test_a_long_text_without_blocks_is_posted_and_noted(workspace: Workspace, client: WebClient) -> None:
    client.chat_postMessage(channel="C0HR", text="x" * 4001, blocks=[section()])
    client.chat_postMessage(channel="C0HR", text="x" * 4000)
    assert workspace.violations == []
    client.chat_postMessage(channel="C0HR", text="x" * 4001)
    client.chat_postMessage(channel="C0HR", text="x" * 40001)
    assert len(workspace.violations) == 2
    assert len(workspace.messages("C0HR")[-1]["text"]) == 40000


# Calling the Web API


def test_a_call_needs_the_bots_token(workspace: Workspace) -> None:
    assert error_of(WebClient("xoxb-other", base_url=workspace.api_url).auth_test) == "invalid_auth"
    assert httpx2.post(f"{workspace.api_url}auth.test").json()["error"] == "not_authed"
    assert httpx2.post(f"{workspace.api_url}auth.test", json={"token": "xoxb-1"}).json()["error"] == "not_authed"
    assert httpx2.post(f"{workspace.api_url}auth.test", data={"token": "xoxb-1"}).json()["user_id"] == BOT_USER
    assert httpx2.post(f"{workspace.api_url}chat.nothing").json() == {"ok": False, "error": "unknown_method"}


def test_arguments_come_as_json_as_a_form_or_in_the_query(workspace: Workspace) -> None:
    auth = {"Authorization": "Bearer xoxb-1"}
    message = {"channel": "C0HR", "text": "one", "blocks": [section()]}
    form = {**message, "blocks": json.dumps(message["blocks"])}
    assert httpx2.post(f"{workspace.api_url}chat.postMessage", json=message, headers=auth).json()["ok"]
    assert httpx2.post(f"{workspace.api_url}chat.postMessage", data=form, headers=auth).json()["ok"]
    assert httpx2.get(f"{workspace.api_url}users.info?user=U0ANN", headers=auth).json()["ok"]
    refused = httpx2.post(f"{workspace.api_url}users.info", json={"user": "U0ANN"}, headers=auth).json()
    assert refused["error"] == "invalid_arguments"  # Slack reads no JSON body for this method


def test_people_look_as_slack_shows_them(workspace: Workspace, client: WebClient) -> None:
    workspace.add_person(Person("U0FAR", "far", "Fay Far", is_stranger=True, team_id="T0OTHER"))
    ann, gus, far = (client.users_info(user=ident)["user"] for ident in ("U0ANN", "U0GUS", "U0FAR"))
    assert (ann["profile"]["display_name"], ann["tz"], ann["tz_offset"]) == ("Ann Lee", "Europe/Berlin", 3600)
    assert (ann["is_restricted"], gus["is_restricted"], far["is_stranger"]) == (False, True, True)
    assert far["team_id"] != ann["team_id"]
    assert client.users_info(user=BOT_USER)["user"]["is_bot"]


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("chat_postMessage", {"channel": "C0NONE", "text": "x"}, "channel_not_found"),
        ("chat_postMessage", {"channel": "C0OUT", "text": "x"}, "not_in_channel"),
        ("chat_postEphemeral", {"channel": "C0HR", "user": "U0NONE", "text": "x"}, "user_not_in_channel"),
        ("chat_update", {"channel": "C0HR", "ts": "1503435956.000247", "text": "x"}, "message_not_found"),
        ("chat_delete", {"channel": "C0HR", "ts": "1503435956.000247"}, "message_not_found"),
        ("reactions_add", {"channel": "C0HR", "timestamp": "1503435956.000247", "name": "eyes"}, "message_not_found"),
        ("reactions_remove", {"name": "eyes"}, "no_item_specified"),
        ("conversations_replies", {"channel": "C0HR", "ts": "1503435956.000247"}, "thread_not_found"),
        ("conversations_history", {"channel": "C0HR", "cursor": "nonsense"}, "invalid_cursor"),
        ("conversations_info", {"channel": "C0NONE"}, "channel_not_found"),
        ("conversations_open", {"users": "U0NONE"}, "user_not_found"),
        ("users_info", {"user": "U0NONE"}, "user_not_found"),
        ("usergroups_users_list", {"usergroup": "S0NONE"}, "no_such_subteam"),
        (
            "assistant_threads_setStatus",
            {"channel_id": "C0HR", "thread_ts": "1503435956.000247", "status": "s"},
            "invalid_thread_ts",
        ),
        ("views_open", {"trigger_id": "none", "view": modal()}, "invalid_trigger_id"),
        ("views_update", {"view_id": "V0NONE", "view": modal()}, "not_found"),
        ("views_publish", {"user_id": "U0NONE", "view": {"type": "home", "blocks": []}}, "user_not_found"),
    ],
)
def test_what_is_not_there_is_named_by_slacks_code(
    workspace: Workspace, client: WebClient, method: str, args: Json, error: str
) -> None:
    workspace.add_channel(Channel("C0OUT", "elsewhere", ("U0ANN",)))
    assert error_of(getattr(client, method), **args) == error


def test_a_message_carries_who_wrote_it_and_its_metadata(workspace: Workspace, client: WebClient) -> None:
    metadata = {"event_type": "proposal", "event_payload": {"id": "p1"}}
    posted = client.chat_postMessage(channel="C0HR", text="card", metadata=metadata)
    message = workspace.messages("C0HR")[0]
    assert (message["user"], message["bot_id"], message["app_id"]) == ("U0BOT", "B0BOT", "A0APP")
    assert message["metadata"] == metadata
    seen = client.conversations_history(channel="C0HR")["messages"][0]
    asked = client.conversations_history(channel="C0HR", include_all_metadata=True)["messages"][0]
    assert ("metadata" in seen, asked["metadata"]) == (False, metadata)
    client.chat_update(channel="C0HR", ts=posted["ts"], text="card", metadata={})
    assert "metadata" not in workspace.messages("C0HR")[0]


def test_the_time_stamps_differ_and_grow(client: WebClient) -> None:
    stamps = [client.chat_postMessage(channel="C0HR", text="x")["ts"] for _ in range(5)]
    assert stamps == sorted(set(stamps))


def test_the_bot_changes_only_its_own_messages(workspace: Workspace, client: WebClient) -> None:
    theirs = workspace.say("U0ANN", "mine")
    assert error_of(client.chat_update, channel="C0HR", ts=theirs, text="x") == "cant_update_message"
    assert error_of(client.chat_delete, channel="C0HR", ts=theirs) == "cant_delete_message"
    own = client.chat_postMessage(channel="C0HR", text="a", blocks=[actions(button())])["ts"]
    client.chat_update(channel="C0HR", ts=own, text="b", blocks=[])
    changed = workspace.messages("C0HR")[-1]
    assert (changed["text"], "blocks" in changed, "edited" in changed) == ("b", False, True)
    client.chat_delete(channel="C0HR", ts=own)
    assert [message["ts"] for message in workspace.messages("C0HR")] == [theirs]


def test_a_thread_is_read_page_by_page(workspace: Workspace, client: WebClient) -> None:
    root = workspace.say("U0ANN", "root")
    replies = [client.chat_postMessage(channel="C0HR", thread_ts=root, text=str(n))["ts"] for n in range(4)]
    pages = [
        [message["ts"] for message in page["messages"]]
        for page in client.conversations_replies(channel="C0HR", ts=root, limit=2)
    ]
    assert pages == [[root, replies[0]], replies[1:3], replies[3:]]
    newer = client.conversations_replies(channel="C0HR", ts=root, oldest=replies[2], inclusive=True)["messages"]
    assert [message["ts"] for message in newer] == [root, *replies[2:]]
    assert client.conversations_history(channel="C0HR")["messages"][0]["reply_count"] == 4


def test_a_reply_to_a_deleted_message_lands_in_the_channel(workspace: Workspace, client: WebClient) -> None:
    root = workspace.say("U0ANN", "root")
    workspace.delete("C0HR", root)
    answer = client.chat_postMessage(channel="C0HR", thread_ts=root, text="late")
    assert "thread_ts" not in answer["message"]
    assert [message["text"] for message in workspace.messages("C0HR")] == ["late"]


def test_a_reaction_is_added_once_and_removed_once(workspace: Workspace, client: WebClient) -> None:
    ts = workspace.say("U0ANN", "x")
    client.reactions_add(channel="C0HR", timestamp=ts, name="thumbsup")
    assert workspace.reactions("C0HR", ts) == [{"name": "thumbsup", "users": [BOT_USER], "count": 1}]
    assert error_of(client.reactions_add, channel="C0HR", timestamp=ts, name="thumbsup") == "already_reacted"
    client.reactions_remove(channel="C0HR", timestamp=ts, name="thumbsup")
    assert error_of(client.reactions_remove, channel="C0HR", timestamp=ts, name="thumbsup") == "no_reaction"
    assert workspace.reactions("C0HR", ts) == []


def test_a_status_ends_with_a_reply_an_empty_one_or_two_minutes(
    workspace: Workspace, client: WebClient, clock: Clock
) -> None:
    root = workspace.say("U0ANN", "x")

    def think() -> None:
        client.assistant_threads_setStatus(
            channel_id="C0HR", thread_ts=root, status="is thinking...", loading_messages=["Reading"]
        )
        assert workspace.status("C0HR", root) == "is thinking..."

    think()
    client.assistant_threads_setStatus(channel_id="C0HR", thread_ts=root, status="")
    assert workspace.status("C0HR", root) == ""
    think()
    client.chat_postMessage(channel="C0HR", thread_ts=root, text="done")
    assert workspace.status("C0HR", root) == ""
    think()
    clock.now += 121
    assert workspace.status("C0HR", root) == ""


def test_groups_channels_and_direct_messages_are_listed(client: WebClient) -> None:
    assert client.usergroups_users_list(usergroup="S0LEADS")["users"] == ["U0BEN"]
    assert [group["handle"] for group in client.usergroups_list()["usergroups"]] == ["hr-leads"]
    assert [channel["name"] for channel in client.conversations_list()["channels"]] == ["hr-bot", "random"]
    assert "U0GUS" in client.conversations_members(channel="C0HR")["members"]
    assert client.conversations_open(users="U0ANN")["channel"]["id"] == "D0ANN"
    assert client.chat_postMessage(channel="U0ANN", text="x")["channel"] == "D0ANN"
    assert client.conversations_info(channel="D0ANN")["channel"]["is_im"]


# Events


def test_a_mention_is_delivered_signed_and_in_slacks_envelope(workspace: Workspace, bot: Bot) -> None:
    ts = workspace.say("U0ANN", "@hr-bot who is here?")
    workspace.wait(lambda: workspace.attempts)
    (envelope,) = bot.of("event")  # the bot records only what slack_sdk's verifier accepts
    event = envelope["event"]
    assert (event["type"], event["user"], event["ts"], event["channel"]) == ("app_mention", "U0ANN", ts, "C0HR")
    assert event["text"] == "<@U0BOT> who is here?"
    assert (envelope["type"], envelope["team_id"], envelope["api_app_id"]) == ("event_callback", "T0LOCAL", "A0APP")
    assert envelope["authorizations"][0]["user_id"] == BOT_USER
    assert envelope["is_ext_shared_channel"] is False
    assert workspace.attempts[0].reply.status == 200


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("hi @Ann Lee and @ben", "hi <@U0ANN> and <@U0BEN>"),
        ("@annabel is nobody", "@annabel is nobody"),
        ("<@U0BOT> <b>", "<@U0BOT> &lt;b&gt;"),
        ("ask @hr-leads in #random", "ask <!subteam^S0LEADS> in <#C0RANDOM|random>"),
        ("mail ann@example.com.", "mail <mailto:ann@example.com|ann@example.com>."),
        ("see https://example.com/?a=1&b=2.", "see <https://example.com/?a=1&amp;b=2>."),
        ("@here &amp;", "<!here> &amp;amp;"),
    ],
)
def test_typed_text_is_escaped_as_slack_does(workspace: Workspace, typed: str, sent: str) -> None:
    workspace.say("U0ANN", typed)
    assert workspace.messages("C0HR")[0]["text"] == sent


def test_talk_without_a_mention_is_not_delivered(workspace: Workspace, bot: Bot) -> None:
    workspace.say("U0ANN", "hello all")
    workspace.say("U0ANN", "now @hr-bot")
    workspace.wait(lambda: workspace.attempts)
    assert [envelope["event"]["text"] for envelope in bot.of("event")] == ["now <@U0BOT>"]


def test_a_direct_message_is_delivered_as_message_im(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    workspace.say("U0ANN", "@hr-bot hi", channel="D0ANN")
    workspace.wait(lambda: len(workspace.attempts) == 1)
    client.chat_postMessage(channel="D0ANN", text="hello")
    workspace.wait(lambda: len(workspace.attempts) == 2)
    first, second = (envelope["event"] for envelope in bot.of("event"))
    assert (first["type"], first["channel_type"], "bot_id" in first) == ("message", "im", False)
    assert second["bot_id"] == "B0BOT"  # the bot hears itself there


def test_an_unacknowledged_event_is_retried_three_times_with_the_same_id(workspace: Workspace, bot: Bot) -> None:
    bot.replies = [Response(status=500) for _ in range(4)]
    workspace.say("U0ANN", "@hr-bot hi")
    workspace.wait(lambda: len(workspace.attempts) == 4)
    assert len({envelope["event_id"] for envelope in bot.of("event")}) == 1
    headers = [(found.get("X-Slack-Retry-Num"), found.get("X-Slack-Retry-Reason")) for _, _, found in bot.received]
    assert headers == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]


def test_a_retry_ends_with_the_first_success_or_when_the_bot_declines(workspace: Workspace, bot: Bot) -> None:
    bot.replies = [Response(status=503), Response(status=200)]
    workspace.say("U0ANN", "@hr-bot one")
    workspace.wait(lambda: len(workspace.attempts) == 2)
    bot.replies = [Response(status=503, headers={"X-Slack-No-Retry": "1"})]
    workspace.say("U0ANN", "@hr-bot two")
    workspace.wait(lambda: len(workspace.attempts) == 3)
    workspace.say("U0ANN", "@hr-bot three")
    workspace.wait(lambda: len(workspace.attempts) == 4)
    assert [attempt.number for attempt in workspace.attempts] == [0, 1, 0, 0]


def test_a_bot_that_cannot_be_reached_gets_the_event_when_it_is_back(bot: Bot) -> None:
    with Workspace(signing_secret=SECRET, retry_delays=(0, 0.1)) as workspace:
        workspace.connect(bot.url)
        workspace.cut_off(True)
        workspace.say("U0ANN", "@hr-bot hi")
        workspace.wait(lambda: len(workspace.attempts) == 2)
        workspace.cut_off(False)
        workspace.wait(lambda: len(workspace.attempts) == 3)
    assert [attempt.reply.reason for attempt in workspace.attempts] == ["connection_failed", "connection_failed", ""]
    assert bot.received[0][2]["X-Slack-Retry-Reason"] == "connection_failed"


def test_a_bot_that_is_too_slow_counts_as_timed_out(bot: Bot) -> None:
    bot.gate.clear()
    with Workspace(signing_secret=SECRET, ack_seconds=0.05, retry_delays=()) as impatient:
        impatient.connect(bot.url)
        impatient.say("U0ANN", "@hr-bot hi")
        impatient.wait(lambda: impatient.attempts)
        bot.gate.set()
        assert impatient.attempts[0].reply.reason == "http_timeout"


def test_an_event_can_be_delivered_again_or_by_hand(workspace: Workspace, bot: Bot) -> None:
    assert not workspace.redeliver_last()
    workspace.say("U0ANN", "@hr-bot hi")
    workspace.wait(lambda: len(workspace.attempts) == 1)
    assert workspace.redeliver_last()
    workspace.wait(lambda: len(workspace.attempts) == 2)
    first, second = bot.of("event")
    assert first == second
    assert workspace.deliver(first).status == 200
    assert workspace.deliver(first, {"X-Slack-Signature": "v0=00"}).status == 401
    assert workspace.deliver(first, {"X-Slack-Request-Timestamp": "1"}).status == 401


def test_the_signature_is_that_of_slacks_worked_example() -> None:
    # https://docs.slack.dev/authentication/verifying-requests-from-slack
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        "channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        "96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signed = signature("8f742231b10e8888abcd99yyyzzz85a5", body, 1531420618)
    assert signed["X-Slack-Signature"] == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


# Clicks


def card(workspace: Workspace, client: WebClient) -> tuple[str, str]:
    root = workspace.say("U0ANN", "please")
    elements = button(style="primary"), button(action_id="deny", text=plain("Deny"))
    posted = client.chat_postMessage(
        channel="C0HR", thread_ts=root, text="card", blocks=[section(), actions(*elements, block_id="decide")]
    )
    return root, posted["ts"]


def test_a_click_arrives_as_block_actions(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    root, ts = card(workspace, client)
    assert workspace.click("U0BEN", ts, "approve") == 200
    (payload,) = bot.of("interaction")
    assert payload["type"] == "block_actions"
    assert payload["user"] == {"id": "U0BEN", "username": "ben", "name": "ben", "team_id": "T0LOCAL"}
    assert payload["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": "C0HR",
        "is_ephemeral": False,
        "thread_ts": root,
    }
    assert payload["channel"] == {"id": "C0HR", "name": "hr-bot"}
    assert payload["message"]["ts"] == ts
    (action,) = payload["actions"]
    assert {name: action[name] for name in ("action_id", "block_id", "value", "type", "style")} == {
        "action_id": "approve",
        "block_id": "decide",
        "value": "p1",
        "type": "button",
        "style": "primary",
    }
    assert action["text"]["text"] == "Approve"
    assert {"trigger_id", "response_url", "state", "team", "api_app_id", "token"} <= payload.keys()
    assert workspace.deliver_interaction(payload).status == 200  # the same once more, by hand


def test_a_late_click_on_a_button_that_is_gone_still_arrives(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    _, ts = card(workspace, client)
    client.chat_update(channel="C0HR", ts=ts, text="done", blocks=[section("done")])
    assert workspace.click("U0BEN", ts, "approve") == 200
    assert bot.of("interaction")[0]["actions"][0]["value"] == "p1"


def test_only_what_a_person_sees_can_be_pressed(workspace: Workspace, client: WebClient) -> None:
    _, ts = card(workspace, client)
    workspace.add_person(Person("U0NEW", "new", "Neo New"))
    for user, action_id, value in [
        ("U0BEN", "explode", None),
        ("U0BEN", "approve", "other"),
        ("U0NEW", "approve", None),
    ]:
        with pytest.raises(LookupError):
            workspace.click(user, ts, action_id, value)
    with pytest.raises(LookupError):
        workspace.say("U0NEW", "hello")


def test_a_click_that_is_not_acknowledged_shows_the_person_an_error(
    workspace: Workspace, bot: Bot, client: WebClient
) -> None:
    _, ts = card(workspace, client)
    bot.replies = [Response(status=500)]
    assert workspace.click("U0BEN", ts, "approve") == 500
    workspace.cut_off(True)
    assert workspace.click("U0BEN", ts, "approve") == 0
    assert workspace.notices("U0BEN") == [NO_ACK, NO_ACK]
    assert len(bot.of("interaction")) == 1  # no retries


def test_an_ephemeral_message_is_seen_and_pressed_by_one_person(
    workspace: Workspace, bot: Bot, client: WebClient
) -> None:
    answer = client.chat_postEphemeral(channel="C0HR", user="U0ANN", text="psst", blocks=[actions(button())])
    ts = answer["message_ts"]
    assert [message["text"] for message in workspace.ephemerals("U0ANN")] == ["psst"]
    assert (workspace.ephemerals("U0BEN"), workspace.messages("C0HR")) == ([], [])
    with pytest.raises(LookupError):
        workspace.click("U0BEN", ts, "approve")
    workspace.click("U0ANN", ts, "approve")
    (payload,) = bot.of("interaction")
    assert (payload["container"]["is_ephemeral"], "message" in payload) == (True, False)
    WebhookClient(payload["response_url"]).send_dict({"delete_original": True})
    assert workspace.ephemerals("U0ANN") == []


def test_a_response_url_works_five_times_and_half_an_hour(
    workspace: Workspace, bot: Bot, client: WebClient, clock: Clock
) -> None:
    _, ts = card(workspace, client)
    workspace.click("U0BEN", ts, "approve")
    workspace.click("U0BEN", ts, "deny")
    first, second = (WebhookClient(payload["response_url"]) for payload in bot.of("interaction"))
    assert first.send(text="not you").status_code == 200
    assert first.send(text="all", response_type="in_channel").status_code == 200
    assert first.send(text="decided", replace_original=True).status_code == 200
    assert [message["text"] for message in workspace.ephemerals("U0BEN")] == ["not you"]
    assert workspace.messages("C0HR")[-1]["text"] == "all"
    replaced = workspace.message("C0HR", ts)
    assert replaced
    assert (replaced["text"], "blocks" in replaced) == ("decided", False)
    assert [first.send(text="x").status_code for _ in range(3)] == [200, 200, 404]
    clock.now += 1801
    assert "expired_url" in second.send(text="x").body
    assert len(workspace.violations) == 2


def test_a_shortcut_arrives_as_message_action(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    _, ts = card(workspace, client)
    assert workspace.shortcut("U0ANN", ts, "stop") == 200
    (payload,) = bot.of("interaction")
    assert (payload["type"], payload["callback_id"], payload["message_ts"]) == ("message_action", "stop", ts)
    assert {"trigger_id", "channel", "message", "response_url", "user", "action_ts"} <= payload.keys()


# Views


def opened(workspace: Workspace, bot: Bot, client: WebClient, view: Json) -> str:
    _, ts = card(workspace, client)
    workspace.click("U0BEN", ts, "approve")
    return str(client.views_open(trigger_id=bot.of("interaction")[-1]["trigger_id"], view=view)["view"]["id"])


def test_a_trigger_opens_one_modal_within_three_seconds(
    workspace: Workspace, bot: Bot, client: WebClient, clock: Clock
) -> None:
    _, ts = card(workspace, client)
    workspace.click("U0BEN", ts, "approve")
    workspace.click("U0BEN", ts, "approve")
    first, second = (payload["trigger_id"] for payload in bot.of("interaction"))
    client.views_open(trigger_id=first, view=modal())
    assert error_of(client.views_open, trigger_id=first, view=modal()) == "exchanged_trigger_id"
    clock.now += 3.1
    assert error_of(client.views_open, trigger_id=second, view=modal()) == "expired_trigger_id"
    assert [view["title"]["text"] for view in workspace.modals("U0BEN")] == ["Details"]


def test_a_submitted_modal_carries_what_was_entered(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    options = [{"text": plain("One"), "value": "1"}, {"text": plain("Two"), "value": "2"}]
    choice = {"type": "static_select", "action_id": "chosen", "options": options}
    view = modal(asks(), asks("number", element=choice), private_metadata="p1", callback_id="deny")
    view_id = opened(workspace, bot, client, view)
    assert workspace.submit(view_id, "U0BEN", {"why": "too early", "number": "2"}).status == 200
    payload = bot.of("interaction")[-1]
    assert (payload["type"], payload["user"]["id"]) == ("view_submission", "U0BEN")
    assert (payload["view"]["private_metadata"], payload["view"]["callback_id"]) == ("p1", "deny")
    values = payload["view"]["state"]["values"]
    assert values["why"]["entered"] == {"type": "plain_text_input", "value": "too early"}
    assert values["number"]["chosen"]["selected_option"]["value"] == "2"
    assert workspace.modals("U0BEN") == []


def test_a_required_input_holds_the_modal_back(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    view_id = opened(workspace, bot, client, modal(asks(), asks("more", optional=True)))
    assert workspace.submit(view_id, "U0BEN", {}).status == 0
    assert workspace.view_errors(view_id).keys() == {"why"}
    assert len(bot.of("interaction")) == 1


def test_the_bot_answers_a_submission_with_errors_an_update_or_another_view(
    workspace: Workspace, bot: Bot, client: WebClient
) -> None:
    view_id = opened(workspace, bot, client, modal(asks()))
    answers: list[Json] = [
        {"response_action": "errors", "errors": {"why": "Say more."}},
        {"response_action": "update", "view": modal(asks("again"))},
        {"response_action": "push", "view": modal(title=plain("On top"))},
        {"response_action": "clear"},
    ]
    bot.replies = [Response(json.dumps(answer), mimetype="application/json") for answer in answers]
    workspace.submit(view_id, "U0BEN", {"why": "x"})
    assert workspace.view_errors(view_id) == {"why": "Say more."}
    workspace.submit(view_id, "U0BEN", {"why": "x"})
    assert (workspace.modals("U0BEN")[0]["blocks"][0]["block_id"], workspace.view_errors(view_id)) == ("again", {})
    workspace.submit(view_id, "U0BEN", {"again": "x"})
    assert [view["title"]["text"] for view in workspace.modals("U0BEN")] == ["Details", "On top"]
    workspace.submit(workspace.modals("U0BEN")[-1]["id"], "U0BEN")
    assert (workspace.modals("U0BEN"), workspace.violations) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        "thanks",
        '{"response_action": "errors", "errors": {"nothing": "x"}}',
        '{"response_action": "wave"}',
        '{"response_action": "update", "view": {"type": "modal"}}',
    ],
)
def test_a_wrong_answer_to_a_submission_is_noted(
    workspace: Workspace, bot: Bot, client: WebClient, answer: str
) -> None:
    view_id = opened(workspace, bot, client, modal(asks()))
    bot.replies = [Response(answer)]
    workspace.submit(view_id, "U0BEN", {"why": "x"})
    assert len(workspace.violations) == 1
    assert workspace.notices("U0BEN") == [NO_ACK]


def test_a_closed_modal_is_told_to_a_bot_that_asked(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    workspace.close(opened(workspace, bot, client, modal()), "U0BEN")
    workspace.close(opened(workspace, bot, client, modal(notify_on_close=True)), "U0BEN")
    assert [payload["type"] for payload in bot.of("interaction")] == ["block_actions", "block_actions", "view_closed"]
    assert workspace.modals("U0BEN") == []


def test_a_modal_is_updated_and_its_buttons_pressed(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    view_id = opened(workspace, bot, client, modal())
    stale = client.views_update(view_id=view_id, view=modal(actions(button())))["view"]["hash"]
    client.views_update(view_id=view_id, view=modal(actions(button(value="p2"))), hash=stale)
    assert error_of(client.views_update, view_id=view_id, view=modal(), hash=stale) == "hash_conflict"
    assert workspace.click_view("U0BEN", view_id, "approve") == 200
    payload = bot.of("interaction")[-1]
    assert (payload["container"], "channel" in payload) == ({"type": "view", "view_id": view_id}, False)
    assert payload["actions"][0]["value"] == "p2"


def test_home_is_opened_and_published(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    workspace.open_home("U0ANN")
    workspace.wait(lambda: workspace.attempts)
    event = bot.of("event")[0]["event"]
    assert (event["type"], event["user"], event["tab"], event["channel"]) == (
        "app_home_opened",
        "U0ANN",
        "home",
        "D0ANN",
    )
    client.views_publish(user_id="U0ANN", view={"type": "home", "blocks": [section("yours")]})
    home = workspace.home("U0ANN")
    assert home
    assert home["blocks"][0]["text"]["text"] == "yours"
    assert workspace.home("U0BEN") is None


# Faults and rates


@pytest.mark.parametrize("kind", ["ratelimited", "http_500", "empty_503", "timeout", "drop", "error"])
def test_a_fault_hits_the_next_call_and_no_other(workspace: Workspace, kind: Any) -> None:
    auth = {"Authorization": "Bearer xoxb-1"}

    def post() -> httpx2.Response:
        message = {"channel": "C0HR", "text": kind}
        return httpx2.post(f"{workspace.api_url}chat.postMessage", json=message, headers=auth)

    workspace.fault("chat.postMessage", kind)
    if kind in ("timeout", "drop"):
        with pytest.raises(httpx2.RemoteProtocolError):
            post()
    else:
        answer = post()
        expected = {
            "ratelimited": (429, '"ratelimited"'),
            "http_500": (500, "<html>"),
            "empty_503": (503, ""),
            "error": (200, '"internal_error"'),
        }[kind]
        assert (answer.status_code, expected[1] in answer.text) == (expected[0], True)
    assert len(workspace.messages("C0HR")) == (1 if kind == "timeout" else 0)
    assert post().json()["ok"]
    assert [call.fault for call in workspace.calls] == [kind, ""]


def test_a_fault_can_last_and_carry_its_details(workspace: Workspace, client: WebClient) -> None:
    workspace.fault("*", "ratelimited", times=2, retry_after=30)
    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            client.auth_test()
        assert caught.value.response.headers["Retry-After"] == "30"
    workspace.fault("chat.update", "error", code="update_failed")
    assert client.auth_test()["ok"]
    with pytest.raises(ValueError, match="no method"):
        workspace.fault("chat.nothing", "drop")


def test_rates_are_enforced_when_asked(clock: Clock) -> None:
    with Workspace(bot_token="xoxb-1", enforce_rates=True, clock=clock) as strict:
        client = WebClient("xoxb-1", base_url=strict.api_url)
        for _ in range(5):
            client.chat_postMessage(channel="C0HR", text="x")
        with pytest.raises(SlackApiError) as caught:
            client.chat_postMessage(channel="C0HR", text="x")
        assert (caught.value.response.status_code, caught.value.response["error"]) == (429, "ratelimited")
        assert caught.value.response.headers["Retry-After"] == "1"
        client.chat_postMessage(channel="C0RANDOM", text="another channel")
        clock.now += 1
        client.chat_postMessage(channel="C0HR", text="x")
        assert strict.violations == []


def test_a_port_that_is_taken_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(OSError, match="in use"):
        Workspace(port=int(workspace.url.rpartition(":")[2])).start()


def test_every_method_has_arguments_and_a_function() -> None:
    assert limits.METHODS.keys() == methods.METHODS.keys()


# Waiting, and the page


def test_waiting_wakes_at_the_change_and_tells_what_it_saw(workspace: Workspace, client: WebClient) -> None:
    threading.Timer(0.05, client.chat_postMessage, kwargs={"channel": "C0HR", "text": "now"}).start()
    assert workspace.wait(lambda: workspace.messages("C0HR"))[0]["text"] == "now"
    with pytest.raises(TimeoutError, match=r"chat\.postMessage ok"):
        workspace.wait(lambda: False, seconds=0.01)


def test_the_page_shows_and_does_what_a_person_can(workspace: Workspace, bot: Bot, client: WebClient) -> None:
    said = httpx2.post(f"{workspace.url}/page/act/say", json={"me": "U0ANN", "text": "@hr-bot hi", "channel": "C0HR"})
    client.chat_postMessage(channel="C0HR", thread_ts=said.json()["result"], text="x", blocks=[actions(button())])
    client.chat_postEphemeral(channel="C0HR", user="U0BEN", text="psst")
    ann, ben = (httpx2.get(f"{workspace.url}/page/state?me={me}").json() for me in ("U0ANN", "U0BEN"))
    ts = ann["messages"]["C0HR"][1]["ts"]
    pressed = {"me": "U0BEN", "channel": "C0HR", "ts": ts, "action_id": "approve", "value": "p1"}
    assert httpx2.post(f"{workspace.url}/page/act/click", json=pressed).json() == {"result": 200}
    assert bot.of("interaction")[0]["user"]["id"] == "U0BEN"
    assert ([m["text"] for m in ann["ephemerals"]], [m["text"] for m in ben["ephemerals"]]) == ([], ["psst"])
    assert "D0BEN" not in ann["messages"]
    refused = httpx2.post(f"{workspace.url}/page/act/click", json={**pressed, "action_id": "none"})
    assert (refused.status_code, "no element" in refused.json()["error"]) == (400, True)


def test_no_other_site_can_act_on_the_page(workspace: Workspace) -> None:
    form = {"me": "U0ANN", "text": "forged", "channel": "C0HR"}
    assert httpx2.post(f"{workspace.url}/page/act/say", data=form).status_code == 415
    assert workspace.messages("C0HR") == []


def test_the_page_is_told_of_a_change_at_once(workspace: Workspace) -> None:
    version = httpx2.get(f"{workspace.url}/page/state").json()["version"]
    threading.Timer(0.05, workspace.say, ("U0ANN", "hello")).start()
    assert httpx2.get(f"{workspace.url}/page/changes?since={version}").json()["version"] > version


def test_the_page_and_its_parts_need_no_other_server(workspace: Workspace) -> None:
    index = httpx2.get(workspace.url)
    assert "default-src 'self'" in index.headers["Content-Security-Policy"]
    for name in ASSETS:
        part = httpx2.get(f"{workspace.url}/page/{name}")
        assert (part.status_code, "innerHTML =" in part.text, "url(http" in part.text) == (200, False, False)
    assert httpx2.get(f"{workspace.url}/page/limits.py").status_code == 404
