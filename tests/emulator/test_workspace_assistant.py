"""The agent's surfaces in the local workspace: sessions, assistant threads, prompts, and what a person's moves tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from emulator.world import BOT_USER
from tests.harness.recording_bot import Json, Stage, error_of, staged

TS = "1503435956.000247"
PROMPTS = [{"title": f"Question {n}", "message": f"What is {n}?"} for n in range(4)]


@pytest.fixture
def stage() -> Iterator[Stage]:
    """An app with agent_view, as every new one is."""
    with staged() as made:
        yield made


@pytest.fixture
def legacy() -> Iterator[Stage]:
    """An app with assistant_view."""
    with staged(view="assistant_view") as made:
        yield made


def session(client: WebClient, thread_ts: str, status: str, **more: Any) -> Json:
    answer = client.agents_sessions_setStatus(channel_id="C0HR", thread_ts=thread_ts, status=status, **more)
    return {name: value for name, value in answer.data.items() if name != "ok"} if isinstance(answer.data, dict) else {}


# Sessions


def test_the_first_status_makes_the_session_and_gives_it_its_title(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    assert stage.workspace.session_status("C0HR", root) == ""
    first = session(stage.client, root, "processing", title="Staff", initiator_user_id="U0ANN")
    second = session(stage.client, root, "suspended", title="Ignored")
    assert first == {"status": "processing", "agent_status": "processing", "title": "Staff"}
    assert second == {"status": "suspended", "agent_status": "suspended", "title": "Staff"}
    assert stage.workspace.session_status("C0HR", root) == "suspended"
    renamed = stage.client.agents_sessions_rename(channel_id="C0HR", thread_ts=root, title="People")
    assert (renamed["title"], stage.workspace.title("C0HR", root)) == ("People", "People")


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("setStatus", {"channel_id": "C0NONE", "thread_ts": TS, "status": "active"}, "channel_not_found"),
        ("setStatus", {"channel_id": "C0HR", "status": "active"}, "thread_ts_required"),
        ("setStatus", {"channel_id": "C0HR", "thread_ts": TS, "status": "active"}, "invalid_thread_ts"),
        ("setStatus", {"channel_id": "C0HR", "status": "thinking"}, "invalid_status"),
        ("setStatus", {"channel_id": "C0HR", "status": "active", "title": "t" * 201}, "invalid_arguments"),
        ("setStatus", {"channel_id": "C0HR", "status": "active", "loading_messages": ["x"]}, "invalid_arguments"),
        ("setStatus", {"channel_id": "C0HR"}, "invalid_arguments"),
        ("rename", {"channel_id": "C0HR", "title": "t" * 201}, "invalid_arguments"),
        ("rename", {"channel_id": "C0HR", "title": ""}, "invalid_arguments"),
        ("rename", {"channel_id": "C0HR", "title": "t"}, "thread_ts_required"),
    ],
)
def test_wrong_calls_about_sessions_are_named_by_slacks_code(stage: Stage, method: str, args: Json, error: str) -> None:
    assert error_of(stage.client.api_call, api_method=f"agents.sessions.{method}", json=args) == error


def test_a_session_needs_an_agent_a_person_who_is_there_and_a_session(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    place = {"channel_id": "C0HR", "thread_ts": root}
    setting = stage.client.agents_sessions_setStatus
    assert error_of(setting, **place, status="active", initiator_user_id="U0NONE") == "user_not_found"
    assert error_of(stage.client.agents_sessions_rename, **place, title="t") == "session_not_found"
    with staged(view="") as plain:
        root = plain.workspace.say("U0ANN", "please")
        assert error_of(plain.client.agents_sessions_setStatus, **{**place, "thread_ts": root}, status="active") == (
            "not_authorized"
        )


def test_a_session_stops_processing_after_an_hour(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    session(stage.client, root, "processing")
    stage.clock.now += 3599
    assert stage.workspace.session_status("C0HR", root) == "processing"
    session(stage.client, root, "processing")
    stage.clock.now += 3599
    assert stage.workspace.session_status("C0HR", root) == "processing"
    stage.clock.now += 1
    assert stage.workspace.session_status("C0HR", root) == "active"


def test_a_stream_makes_a_session_and_ends_its_processing(stage: Stage) -> None:
    def begun() -> tuple[str, str]:
        root = stage.workspace.say("U0ANN", "please")
        person: Json = {"recipient_user_id": "U0ANN", "recipient_team_id": "T0LOCAL"}
        return root, str(stage.client.chat_startStream(channel="C0HR", thread_ts=root, **person)["ts"])

    def status(root: str) -> str:
        return stage.workspace.session_status("C0HR", root)

    (one, first), (two, second), (three, _) = begun(), begun(), begun()
    assert [status(root) for root in (one, two, three)] == ["processing"] * 3
    stage.client.chat_stopStream(channel="C0HR", ts=first)
    stage.client.chat_stopStream(channel="C0HR", ts=second, session_status="suspended")
    stage.clock.now += 301
    assert [status(root) for root in (one, two, three)] == ["active", "suspended", "active"]


def test_the_stop_button_of_a_session_tells_the_app_and_leaves_the_status_to_it(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    with pytest.raises(LookupError):
        stage.workspace.stop_session("U0ANN", "C0HR", root)
    session(stage.client, root, "processing")
    stage.workspace.stop_session("U0BEN", "C0HR", root)
    (event,) = stage.events(1)
    assert (event["type"], event["user"], event["thread_ts"]) == ("agent_session_stopped", "U0BEN", root)
    assert event["streaming_message_ts"] == []
    assert stage.workspace.session_status("C0HR", root) == "processing"
    session(stage.client, root, "active")
    with pytest.raises(LookupError):
        stage.workspace.stop_session("U0ANN", "C0HR", root)


def test_an_app_that_does_not_hear_of_stop_is_warned() -> None:
    with staged(events={"app_mention"}) as deaf:
        root = deaf.workspace.say("U0ANN", "please")
        answer = session(deaf.client, root, "processing")
        assert answer["warning"] == "missing_agent_session_stopped_event_subscription"
        with pytest.raises(LookupError):
            deaf.workspace.stop_session("U0ANN", "C0HR", root)


def test_a_person_gives_a_session_another_title(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    with pytest.raises(LookupError):
        stage.workspace.rename_session("U0ANN", "C0HR", root, "Mine")
    session(stage.client, root, "processing")
    stage.workspace.rename_session("U0ANN", "C0HR", root, "Mine")
    stage.workspace.rename_session("U0BEN", "C0HR", root, "Ours")
    first, second = stage.events(2)
    assert "previous_title" not in first
    second.pop("event_ts")
    assert second == {
        "type": "agent_session_title_changed",
        "channel": "C0HR",
        "thread_ts": root,
        "team_id": "T0LOCAL",
        "user": "U0BEN",
        "title": "Ours",
        "previous_title": "Mine",
    }


def test_a_line_of_status_and_the_session_share_one_place(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "please")
    session(stage.client, root, "processing")
    thinking: Json = {"channel_id": "C0HR", "thread_ts": root, "status": "is thinking..."}
    stage.client.assistant_threads_setStatus(**thinking)
    assert stage.workspace.session_status("C0HR", root) == "processing"
    with pytest.raises(LookupError):  # the line has no button
        stage.workspace.stop_session("U0ANN", "C0HR", root)
    stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="done")
    assert (stage.workspace.status("C0HR", root), stage.workspace.session_status("C0HR", root)) == ("", "active")
    stage.client.assistant_threads_setStatus(**thinking)
    session(stage.client, root, "suspended")
    assert stage.workspace.status("C0HR", root) == ""


# agent_view


def test_an_agents_messages_tab_is_told_as_app_home_opened(stage: Stage) -> None:
    stage.workspace.open_home("U0ANN", "messages")
    (event,) = stage.events(1)
    assert (event["type"], event["tab"], event["user"], event["channel"]) == (
        "app_home_opened",
        "messages",
        "U0ANN",
        "D0ANN",
    )
    with pytest.raises(LookupError):
        stage.workspace.open_assistant("U0ANN")


def test_an_agent_is_told_what_a_person_looks_at(stage: Stage) -> None:
    stage.workspace.say("U0ANN", "first", channel="D0ANN")
    stage.workspace.look_at("U0ANN", "C0RANDOM")
    stage.workspace.say("U0ANN", "second", channel="D0ANN")
    first, changed, second = stage.events(3)
    entity = {"type": "slack#/types/channel_id", "value": "C0RANDOM", "team_id": "T0LOCAL"}
    assert (changed["type"], changed["context"]) == ("app_context_changed", {"entities": [entity]})
    assert ("app_context" in first, second["app_context"]) == (False, {"entities": [entity]})
    assert (second["type"], second["channel_type"], "thread_ts" in second) == ("message", "im", False)


def test_an_agents_prompts_belong_to_the_conversation_and_fail_silently_in_a_thread(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "hello", channel="D0ANN")
    prompts = stage.client.assistant_threads_setSuggestedPrompts
    assert prompts(channel_id="D0ANN", thread_ts=root, prompts=PROMPTS)["ok"]
    assert (stage.workspace.prompts("D0ANN"), stage.workspace.prompts("D0ANN", root)) == ([], [])
    stage.client.api_call("assistant.threads.setSuggestedPrompts", json={"channel_id": "D0ANN", "prompts": PROMPTS})
    assert stage.workspace.prompts("D0ANN") == PROMPTS
    five = {"channel_id": "D0ANN", "prompts": [*PROMPTS, PROMPTS[0]]}
    assert error_of(stage.client.api_call, api_method="assistant.threads.setSuggestedPrompts", json=five) == (
        "invalid_arguments"
    )


def test_an_old_title_names_the_session(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "hello", channel="D0ANN")
    stage.client.assistant_threads_setTitle(channel_id="D0ANN", thread_ts=root, title="Hello")
    assert stage.workspace.title("D0ANN", root) == "Hello"


# assistant_view


def test_an_assistants_thread_begins_with_a_message_of_slacks_own(legacy: Stage) -> None:
    root = legacy.workspace.open_assistant("U0ANN")
    legacy.workspace.look_at("U0ANN", "C0RANDOM")
    first, started, changed = legacy.events(3)
    assert (first["subtype"], first["ts"], first["channel_type"]) == ("assistant_app_thread", root, "im")
    assert started["assistant_thread"] == {
        "user_id": "U0ANN",
        "context": {},
        "channel_id": "D0ANN",
        "thread_ts": root,
    }
    assert (started["type"], changed["type"]) == ("assistant_thread_started", "assistant_thread_context_changed")
    assert changed["assistant_thread"]["context"]["channel_id"] == "C0RANDOM"
    read = legacy.client.conversations_replies(channel="D0ANN", ts=root)["messages"]
    assert [message["subtype"] for message in read] == ["assistant_app_thread"]


def test_what_is_said_in_an_assistants_thread_carries_its_token(legacy: Stage) -> None:
    root = legacy.workspace.open_assistant("U0ANN")
    legacy.workspace.say("U0ANN", "in the thread", channel="D0ANN", thread_ts=root)
    legacy.workspace.say("U0ANN", "outside", channel="D0ANN")
    *_, parts, outside = legacy.events(4)
    assert (parts["type"], parts["thread_ts"], parts["parent_user_id"]) == ("message", root, BOT_USER)
    assert parts["assistant_thread"]["action_token"]
    assert "assistant_thread" not in outside
    message = legacy.workspace.message("D0ANN", parts["ts"])
    assert message is not None
    assert "assistant_thread" not in message


def test_an_assistants_title_and_prompts_belong_to_its_thread(legacy: Stage) -> None:
    root = legacy.workspace.open_assistant("U0ANN")
    plain = legacy.workspace.say("U0ANN", "outside", channel="D0ANN")
    title, prompts = legacy.client.assistant_threads_setTitle, legacy.client.assistant_threads_setSuggestedPrompts
    title(channel_id="D0ANN", thread_ts=root, title="Staff")
    prompts(channel_id="D0ANN", thread_ts=root, prompts=PROMPTS[:2], title="Try")
    assert (legacy.workspace.title("D0ANN", root), legacy.workspace.prompts("D0ANN", root)) == ("Staff", PROMPTS[:2])
    changed = legacy.events(4)[-1]
    assert (changed["subtype"], changed["hidden"]) == ("message_changed", True)
    assert changed["message"]["assistant_app_thread"]["title"] == "Staff"
    assert error_of(title, channel_id="D0ANN", thread_ts=plain, title="t") == "invalid_thread_ts"
    assert error_of(prompts, channel_id="D0ANN", thread_ts=plain, prompts=PROMPTS) == "invalid_thread_ts"
    assert error_of(prompts, channel_id="C0HR", thread_ts=root, prompts=PROMPTS) == "channel_not_found"


def test_an_app_that_is_no_agent_has_no_prompts() -> None:
    with staged(view="") as plain:
        root = plain.workspace.say("U0ANN", "hello", channel="D0ANN")
        prompts = plain.client.assistant_threads_setSuggestedPrompts
        assert error_of(prompts, channel_id="D0ANN", thread_ts=root, prompts=PROMPTS) == "not_agent_app"


# What an app may not do


def test_a_method_can_be_forbidden_and_allowed_again(stage: Stage) -> None:
    stage.workspace.forbid("chat.startStream", "not_allowed_token_type")
    root = stage.workspace.say("U0ANN", "please")
    start: Json = {"channel": "C0HR", "thread_ts": root, "recipient_user_id": "U0ANN", "recipient_team_id": "T0LOCAL"}
    for _ in range(2):
        assert error_of(stage.client.chat_startStream, **start) == "not_allowed_token_type"
    stage.workspace.allow("chat.startStream")
    assert stage.client.chat_startStream(**start)["ok"]
    with pytest.raises(ValueError, match="no method"):
        stage.workspace.forbid("chat.nothing", "x")


def test_events_that_the_app_did_not_ask_for_are_not_sent() -> None:
    with staged(events={"app_mention"}) as deaf:
        deaf.workspace.say("U0ANN", "hello", channel="D0ANN")
        deaf.workspace.open_home("U0ANN")
        deaf.workspace.say("U0ANN", "@hr-bot hello")
        assert [event["type"] for event in deaf.events(1)] == ["app_mention"]
        with pytest.raises(TimeoutError, match=r"not subscribed to: .*message\.im"):
            deaf.workspace.wait(lambda: False, seconds=0.01)
