"""Streams in the local workspace behave as Slack's documents and its clients' issue threads say, errors included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from slack_sdk.errors import SlackApiError

from emulator import limits
from emulator.errors import LimitError
from emulator.limits import METHODS
from tests.harness.recording_bot import Json, Stage, actions, button, error_of, section, staged

TO_ANN = {"recipient_user_id": "U0ANN", "recipient_team_id": "T0LOCAL"}
TS = "1503435956.000247"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def started(stage: Stage, **more: Any) -> tuple[str, str]:
    """The root of a thread and the ts of a stream in it."""
    root = stage.workspace.say("U0ANN", "please")
    args = {"channel": "C0HR", "thread_ts": root, **TO_ANN, **more}
    return root, str(stage.client.chat_startStream(**args)["ts"])


def append(stage: Stage, ts: str, text: str) -> None:
    stage.client.chat_appendStream(channel="C0HR", ts=ts, markdown_text=text)


def shown(stage: Stage, ts: str) -> Json:
    message = stage.workspace.message("C0HR", ts)
    assert message
    return message


def test_a_message_grows_and_ends_with_its_blocks_and_metadata(stage: Stage) -> None:
    root, ts = started(stage, markdown_text="**Hello")
    assert shown(stage, ts)["text"] == "**Hello"
    append(stage, ts, " there**")
    assert shown(stage, ts)["text"] == "**Hello there**"
    assert stage.workspace.stream_state("C0HR", ts) == "live"

    metadata = {"event_type": "answer", "event_payload": {"id": "1"}}
    blocks = [actions(button())]
    stopped = stage.client.chat_stopStream(channel="C0HR", ts=ts, markdown_text="!", blocks=blocks, metadata=metadata)

    message = shown(stage, ts)
    assert stopped["message"]["ts"] == ts
    assert (message["text"], message["metadata"], message["thread_ts"]) == ("**Hello there**!", metadata, root)
    assert [block["type"] for block in message["blocks"]] == ["markdown", "actions"]
    assert "edited" not in message
    assert stage.workspace.stream_state("C0HR", ts) == "stopped"
    assert stage.workspace.click("U0ANN", ts, "approve") == 200


def test_the_library_streams_as_it_does_to_slack(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    stream = stage.client.chat_stream(channel="C0HR", thread_ts=root, buffer_size=4, **TO_ANN)
    for word in ("one ", "two ", "3"):
        stream.append(markdown_text=word)
    stream.stop(session_status="suspended")
    assert [message["text"] for message in stage.workspace.messages("C0HR", root)] == ["please", "one two 3"]
    assert stage.workspace.violations == []


def test_chunks_show_tasks_at_their_place_or_together_as_a_plan(stage: Stage) -> None:
    chunks: list[Json] = [
        {"type": "markdown_text", "text": "Looking."},
        {"type": "task_update", "id": "1", "title": "Read", "status": "in_progress", "details": "a"},
        {"type": "plan_update", "title": "The plan"},
    ]
    more: list[Json] = [
        {"type": "task_update", "id": "1", "title": "Read all", "status": "complete", "details": "b", "output": "14"},
        {"type": "blocks", "blocks": [section("said")]},
    ]
    for display, kinds in (
        ("timeline", ["markdown", "task_card", "section"]),
        ("plan", ["plan", "markdown", "section"]),
    ):
        _, ts = started(stage, chunks=chunks, task_display_mode=display)
        stage.client.chat_appendStream(channel="C0HR", ts=ts, chunks=more)
        blocks = shown(stage, ts)["blocks"]
        assert [block["type"] for block in blocks] == kinds
        task = blocks[0]["tasks"][0] if display == "plan" else blocks[1]
        assert (task["title"], task["status"]) == ("Read all", "complete")
        assert task["details"]["elements"][0]["elements"][0]["text"] == "ab"


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("chat.startStream", {"channel": "C0HR"}, "invalid_thread_ts"),
        ("chat.startStream", {"channel": "C0HR", "thread_ts": TS, "blocks": []}, "invalid_arguments"),
        ("chat.startStream", {"channel": "C0HR", "thread_ts": TS, "task_display_mode": "list"}, "invalid_arguments"),
        ("chat.startStream", {"channel": "C0HR", "thread_ts": TS, "markdown_text": "m" * 12_001}, "msg_too_long"),
        ("chat.startStream", {"channel": "C0HR", "thread_ts": TS, "is_stoppable": True}, "invalid_arguments"),
        ("chat.appendStream", {"channel": "C0HR", "ts": TS}, "no_text"),
        ("chat.appendStream", {"channel": "C0HR", "ts": TS, "markdown_text": ""}, "no_text"),
        ("chat.appendStream", {"channel": "C0HR", "ts": TS, "markdown_text": "m" * 12_001}, "msg_too_long"),
        (
            "chat.appendStream",
            {"channel": "C0HR", "ts": TS, "markdown_text": "m", "chunks": []},
            "cannot_provide_both_markdown_text_and_chunks",
        ),
        ("chat.appendStream", {"channel": "C0HR", "ts": TS, "chunks": "no json"}, "invalid_chunks"),
        ("chat.appendStream", {"channel": "C0HR", "ts": TS, "chunks": [{"type": "song"}]}, "invalid_chunks"),
        ("chat.appendStream", {"channel": "C0HR", "ts": TS, "chunks": [None]}, "invalid_chunks"),
        (
            "chat.appendStream",
            {"channel": "C0HR", "ts": TS, "chunks": [{"type": "markdown_text", "text": "m" * 12_001}]},
            "msg_too_long",
        ),
        (
            "chat.appendStream",
            {"channel": "C0HR", "ts": TS, "chunks": [{"type": "task_update", "id": "1", "title": "t"}]},
            "invalid_chunks",
        ),
        (
            "chat.appendStream",
            {"channel": "C0HR", "ts": TS, "chunks": [{"type": "plan_update", "title": "t" * 257}]},
            "invalid_chunks",
        ),
        (
            "chat.appendStream",
            {"channel": "C0HR", "ts": TS, "chunks": [{"type": "blocks", "blocks": [{"type": "section"}]}]},
            "invalid_blocks",
        ),
        ("chat.appendStream", {"channel": "C0HR", "ts": TS, "markdown_text": "m", "blocks": []}, "invalid_arguments"),
        ("chat.stopStream", {"channel": "C0HR", "ts": TS, "session_status": "happy"}, "invalid_arguments"),
        ("chat.stopStream", {"channel": "C0HR", "ts": TS, "blocks": [section()] * 51}, "msg_blocks_too_many"),
        ("chat.stopStream", {"channel": "C0HR", "ts": TS, "metadata": {"id": 1}}, "invalid_metadata_format"),
    ],
)
def test_wrong_arguments_of_a_stream_are_refused(method: str, args: Json, error: str) -> None:
    with pytest.raises(LimitError) as caught:
        limits.check(method, args)
    assert caught.value.code == error


def test_a_stream_to_a_channel_names_who_sees_it_grow(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    start = stage.client.chat_startStream
    place = {"channel": "C0HR", "thread_ts": root}
    assert error_of(start, **place) == "missing_recipient_user_id"
    assert error_of(start, **place, recipient_user_id="U0ANN") == "missing_recipient_team_id"
    assert error_of(start, **place, recipient_user_id="U0NONE", recipient_team_id="T0LOCAL") == "user_not_found"
    assert error_of(start, **place, recipient_user_id="U0ANN", recipient_team_id="T0OTHER") == "team_not_found"
    direct = stage.workspace.say("U0ANN", "hello", channel="D0ANN")
    assert start(channel="D0ANN", thread_ts=direct)["ok"]


def test_a_stream_is_a_reply_to_the_first_message_of_a_thread(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    reply = stage.workspace.say("U0ANN", "and more", thread_ts=root)
    for thread_ts in (reply, TS):
        args = {"channel": "C0HR", "thread_ts": thread_ts, **TO_ANN}
        assert error_of(stage.client.chat_startStream, **args) == "invalid_thread_ts"


def test_text_and_chunks_are_not_mixed_in_one_stream(stage: Stage) -> None:
    _, ts = started(stage, markdown_text="text")
    chunks = [{"type": "markdown_text", "text": "chunk"}]
    assert error_of(stage.client.chat_appendStream, channel="C0HR", ts=ts, chunks=chunks) == "streaming_mode_mismatch"
    assert error_of(stage.client.chat_stopStream, channel="C0HR", ts=ts, chunks=chunks) == "streaming_mode_mismatch"
    assert shown(stage, ts)["text"] == "text"
    assert stage.client.chat_stopStream(channel="C0HR", ts=ts)["ok"]


def test_a_stream_is_full_at_the_limit_of_one_message(stage: Stage) -> None:
    _, ts = started(stage, markdown_text="m" * 12_000)
    assert error_of(stage.client.chat_appendStream, channel="C0HR", ts=ts, markdown_text="m") == "msg_too_long"
    assert stage.client.chat_stopStream(channel="C0HR", ts=ts)["ok"]
    assert stage.workspace.violations == []  # no total is documented, so this is not the caller's mistake


def test_only_the_bots_own_live_streams_can_be_appended_to(stage: Stage) -> None:
    root, ts = started(stage)
    plain = stage.client.chat_postMessage(channel="C0HR", text="x")["ts"]
    stage.client.chat_stopStream(channel="C0HR", ts=ts)
    expected = {
        root: "message_not_owned_by_app",
        plain: "message_not_in_streaming_state",
        ts: "message_not_in_streaming_state",
        TS: "message_not_found",
    }
    for which, error in expected.items():
        assert error_of(stage.client.chat_appendStream, channel="C0HR", ts=which, markdown_text="x") == error
        assert error_of(stage.client.chat_stopStream, channel="C0HR", ts=which) == error


def test_a_stream_ends_five_minutes_after_its_start_however_often_it_grows(stage: Stage) -> None:
    _, ts = started(stage, markdown_text="a")
    for _ in range(2):
        stage.clock.now += 149
        append(stage, ts, "b")
    stage.clock.now += 2
    late = {"channel": "C0HR", "ts": ts, "markdown_text": "c"}
    assert error_of(stage.client.chat_appendStream, **late) == "message_not_in_streaming_state"
    assert error_of(stage.client.chat_stopStream, **late) == "message_not_in_streaming_state"
    assert stage.workspace.stream_state("C0HR", ts) == "expired"
    stage.client.chat_update(channel="C0HR", ts=ts, text="abbc", blocks=[section("abbc")])
    assert shown(stage, ts)["text"] == "abbc"


def test_a_live_stream_cannot_be_updated(stage: Stage) -> None:
    _, ts = started(stage, markdown_text="a")
    assert error_of(stage.client.chat_update, channel="C0HR", ts=ts, text="b") == "streaming_state_conflict"
    stage.client.chat_stopStream(channel="C0HR", ts=ts)
    assert stage.client.chat_update(channel="C0HR", ts=ts, text="b")["ok"]


def test_a_person_stops_a_stream_and_the_app_is_told(stage: Stage) -> None:
    root, ts = started(stage, markdown_text="a")
    stage.workspace.stop_stream("U0ANN", "C0HR", ts)
    (event,) = stage.events(1)
    assert event.pop("event_ts") > ts
    assert event == {
        "type": "agent_session_stopped",
        "channel": "C0HR",
        "thread_ts": root,
        "user": "U0ANN",
        "streaming_message_ts": [ts],
    }
    assert stage.workspace.stream_state("C0HR", ts) == "stopped_by_user"
    late = {"channel": "C0HR", "ts": ts, "markdown_text": "b"}
    assert error_of(stage.client.chat_appendStream, **late) == "stopped_by_user"
    assert error_of(stage.client.chat_stopStream, **late) == "stopped_by_user"
    assert shown(stage, ts)["text"] == "a"
    assert stage.client.chat_stopStream(channel="C0HR", ts=ts, blocks=[section("Stopped.")])["ok"]
    with pytest.raises(LookupError):
        stage.workspace.stop_stream("U0ANN", "C0HR", ts)


def test_slack_shows_no_stop_button_to_an_app_that_would_not_hear_of_it() -> None:
    with staged(events={"app_mention"}) as deaf:
        _, ts = started(deaf, markdown_text="a")
        with pytest.raises(LookupError):
            deaf.workspace.stop_stream("U0ANN", "C0HR", ts)
        assert deaf.workspace.stream_state("C0HR", ts) == "live"


def test_in_a_direct_message_the_bot_hears_its_own_stream_grow(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "hello", channel="D0ANN")
    ts = stage.client.chat_startStream(channel="D0ANN", thread_ts=root, markdown_text="a")["ts"]
    stage.client.chat_appendStream(channel="D0ANN", ts=ts, markdown_text="b")
    stage.client.chat_stopStream(channel="D0ANN", ts=ts)
    said, begun, grown, ended = stage.events(4)
    assert ("bot_id" in said, begun["bot_id"], begun["ts"]) == (False, "B0BOT", ts)
    for event in (grown, ended):
        assert (event["type"], event["subtype"], event["hidden"]) == ("message", "message_changed", True)
    assert (grown["previous_message"]["text"], grown["message"]["text"]) == ("a", "ab")


def test_a_stream_in_a_channel_is_seen_to_grow_by_its_reader_alone(stage: Stage) -> None:
    _, ts = started(stage, markdown_text="first")
    append(stage, ts, " and second")

    def text_for(user: str) -> str:
        state = httpx2.get(f"{stage.workspace.url}/page/state?me={user}").json()
        return str(next(message["text"] for message in state["messages"]["C0HR"] if message["ts"] == ts))

    assert (text_for("U0ANN"), text_for("U0BEN")) == ("first and second", "first")
    stage.client.chat_stopStream(channel="C0HR", ts=ts)
    assert text_for("U0BEN") == "first and second"


@pytest.mark.parametrize(
    ("method", "tier"), [("chat.startStream", 20), ("chat.stopStream", 20), ("chat.appendStream", 100)]
)
def test_streams_have_their_tiers(method: str, tier: int) -> None:
    assert METHODS[method].per_minute == tier


def test_more_than_fifty_updates_in_a_minute_are_refused() -> None:
    with staged(enforce_rates=True) as strict:
        ts = strict.client.chat_postMessage(channel="C0HR", text="0")["ts"]
        for number in range(50):
            strict.client.chat_update(channel="C0HR", ts=ts, text=str(number))
            strict.clock.now += 1
        with pytest.raises(SlackApiError) as caught:
            strict.client.chat_update(channel="C0HR", ts=ts, text="one more")
        assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "10")
        strict.clock.now += 10
        assert strict.client.chat_update(channel="C0HR", ts=ts, text="one more")["ok"]
