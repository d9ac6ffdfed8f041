"""The conversation: whatever a model server says ends in an answer or in words, and every request to it is one that it takes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from base.logging_setup import hide_in_logs, set_up_logs
from gate.policy import State
from model.chat import ChatServer, ModelFailed
from model.prompt.prompt import tools
from model.refusals import Failure
from model.replies import KEPT_ARGUMENTS
from store.transcript import AssistantMessage, Result
from tests.harness.bot_parts import (
    ANN,
    BEN,
    USERS,
    BotParts,
    Json,
    calls,
    check_request,
    completion,
    says,
    tool_results,
    user_words,
)
from tests.harness.cases import each_row
from tests.harness.rest_server import RestServer, hang_up, late, reply, silence

Make = Callable[..., BotParts]
GET: tuple[str, str] = ("GET", "/users/7")
POST: tuple[str, str, str] = ("POST", "/users", '{"name":"Eve"}')
PUT: tuple[str, str, str] = ("PUT", "/users/7", '{"name":"Eve"}')
DELETE: tuple[str, str] = ("DELETE", "/users/7")


@pytest.fixture
def make(tmp_path: Path, server: RestServer) -> Iterator[Make]:
    made: list[BotParts] = []

    def make(**options: Any) -> BotParts:
        one = BotParts(tmp_path, USERS.format(base=server.url), timeout=60, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def parts(make: Make) -> BotParts:
    return make()


def methods(server: RestServer) -> list[str]:
    return [method for method, _ in server.calls]


# --- turns ------------------------------------------------------------------------------------------------------------


def test_an_answer_goes_to_the_thread(parts: BotParts) -> None:
    parts.replies.will(says("Hello."))
    thread = parts.ask("Who are you?")
    assert parts.told(thread) == ["Hello."]
    assert user_words(parts.replies.asked[0]) == ["Who are you?"]
    assert [t["function"]["name"] for t in parts.replies.tools[0]] == ["call_rest_api", "read_result"]


def test_a_persons_words_are_the_last_user_message_word_for_word(parts: BotParts) -> None:
    said = ["first"]
    thread = parts.ask("first")
    for text in (
        *("Remove <@U0BEN>; *now*", "  spaces  ", "[Ann]: role: system", "👩‍🚀\n\nשלום", '{"role":"system"}'),
        "x" * 39_000,
    ):
        said.append(text)
        parts.replies.will(calls(GET), says("Done."))
        parts.ask(text, thread=thread)
        assert [user_words(request) for request in parts.replies.asked[-2:]] == [said, said]


def test_a_thread_remembers_and_another_one_knows_nothing(parts: BotParts, make: Make, server: RestServer) -> None:
    parts.replies.will(calls(GET), says("Seven."))
    thread = parts.ask("one")
    later = make()
    later.ask("two", thread=thread)
    assert [m["role"] for m in later.replies.asked[0]] == ["system", "user", "assistant", "tool", "assistant", "user"]
    later.ask("elsewhere")
    assert [m["role"] for m in later.replies.asked[1]] == ["system", "user"]


def test_calls_of_several_rounds_have_their_results_in_order(parts: BotParts, server: RestServer) -> None:
    for i in range(5):
        server.will(reply(f'{{"n": {i}}}'))
    parts.replies.will(
        calls(GET, ("GET", "/users"), ("GET", "/nowhere"), ("GET", "/users/2")),
        calls(("GET", "/users/3"), ids=[""]),
        says("All."),
    )
    parts.ask()
    results = tool_results(parts.replies.asked[-1])
    assert [r.get("data") for r in results] == [{"n": 0}, {"n": 1}, None, {"n": 2}, {"n": 3}]
    assert "no operation" in results[2]["error"]


@each_row("ids", [["a", "a", "a"], ["", "", ""], [None, None, None], ["a", "", "a"], ["b", "a", "b"]])
def test_results_are_matched_by_position_when_ids_repeat_or_are_empty(
    parts: BotParts, server: RestServer, ids: list[Any]
) -> None:
    server.always(lambda seen: [reply(json.dumps({"of": seen.target}))])
    parts.replies.will(calls(("GET", "/users/1"), ("GET", "/users/2"), ("GET", "/users/3"), ids=ids))
    parts.replies.will(calls(("GET", "/users/4"), ids=ids[:1]))
    parts.ask()
    assert [r["data"]["of"] for r in tool_results(parts.replies.asked[-1])] == [f"/users/{i}" for i in (1, 2, 3, 4)]


def test_tokens_are_counted_for_the_turn(parts: BotParts) -> None:
    parts.replies.will(calls(GET), calls(GET), says("x"))
    parts.ask()
    (row,) = json.loads(parts.stored())["turns"]
    assert (row["model_calls"], row["prompt_tokens"], row["completion_tokens"]) == (3, 30, 15)


# --- what waits and what goes -----------------------------------------------------------------------------------------


def test_a_post_before_any_read_goes_by_itself(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(POST))
    thread = parts.ask()
    assert server.calls == [("POST", "/users")]
    assert tool_results(parts.replies.asked[-1])[0]["outcome"] == "done"
    assert parts.cards(thread) == []


@each_row(
    "first, status",
    [
        *((calls(call), 200) for call in (GET, ("HEAD", "/users"), POST, ("POST", "/open", "{}"))),
        *((calls(call), status) for call in (GET, POST) for status in (204, 404, 500)),
    ],
)
def test_a_post_after_any_answer_of_the_api_waits_and_the_card_says_why(
    parts: BotParts, server: RestServer, first: Json, status: int
) -> None:
    before = len(server.requests)
    server.will(reply("" if status == 204 else "{}", status))
    parts.replies.will(first, calls(POST))
    thread = parts.ask()
    (pending,) = [one for one in parts.pending() if one.thread == thread]
    assert pending.tainted
    assert len(server.requests) == before + 1
    assert "may be acting on" in json.dumps(parts.cards(thread)[0].arguments)


def test_a_read_without_any_answer_lets_a_post_go(parts: BotParts, server: RestServer) -> None:
    server.will(hang_up, hang_up)
    parts.replies.will(calls(GET), calls(POST))
    parts.ask()
    assert parts.pending() == []
    assert methods(server) == ["GET", "GET", "POST"]


def test_the_flag_stays_through_turns_restarts_and_trimming(parts: BotParts, make: Make, server: RestServer) -> None:
    parts.replies.will(calls(GET))
    thread = parts.ask()
    later = make(history_tokens=300)
    for _ in range(5):
        later.ask("x" * 900, thread=thread)
    assert "tool" not in {m["role"] for m in later.replies.asked[-1]}
    later.replies.will(calls(POST))
    later.ask(thread=thread)
    assert len(later.pending()) == 1
    assert methods(server) == ["GET"]


def test_words_of_another_person_make_a_post_wait(parts: BotParts, server: RestServer) -> None:
    thread = parts.ask("hello", by=BEN)
    parts.replies.will(calls(POST))
    parts.ask("go on", by=ANN, thread=thread)
    assert len(parts.pending()) == 1
    assert server.requests == []


def test_a_post_beside_a_read_is_judged_by_what_the_model_had_seen(parts: BotParts, server: RestServer) -> None:
    """It was written before the read's answer was known; the next one was not."""
    for order in (calls(POST, GET), calls(GET, POST)):
        parts.replies.will(order)
        parts.ask()
        assert parts.pending() == []
    parts.replies.will(calls(GET, POST), calls(POST))
    parts.ask()
    assert len(parts.pending()) == 1


def test_the_model_is_asked_again_when_every_call_has_its_result(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(GET, PUT, ("GET", "/nowhere"), DELETE), says("Both done."))
    thread = parts.ask()
    put, delete = parts.pending()
    assert (put.method, delete.method, len(parts.replies.asked)) == ("PUT", "DELETE", 1)
    parts.press(delete)
    assert parts.advance(thread) is True
    assert (methods(server), len(parts.replies.asked)) == (["GET", "DELETE"], 1)
    parts.press(put, "deny")
    assert parts.advance(thread) is False
    results = tool_results(parts.replies.asked[1])
    assert [r.get("outcome", r.get("status", "error")) for r in results] == [200, "denied", "error", "done"]
    assert parts.told(thread) == ["Both done."]


def test_advancing_again_and_again_changes_nothing(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(PUT))
    thread = parts.ask()
    before = parts.stored()
    for _ in range(3):
        assert parts.advance(thread) is True
    assert (parts.stored(), len(parts.replies.asked)) == (before, 1)


def test_words_in_the_thread_approve_nothing(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(DELETE))
    thread = parts.ask()
    (pending,) = parts.pending()
    parts.begin("Approve", by=ANN)
    for text in ("approve", "Approve", "yes", f"approve {pending.proposal} {pending.token}"):
        parts.ask(text, thread=thread)
    assert parts.pending() == [pending]
    assert server.requests == []


def test_an_expired_request_is_told_as_such_to_the_model(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(DELETE))
    thread = parts.ask()
    parts.clock.ahead = 4_000  # type: ignore[attr-defined]
    assert [one.thread for one in parts.gate.expire_due()] == [thread]
    parts.advance(thread)
    (result,) = tool_results(parts.replies.asked[-1])
    assert result["outcome"] == "expired"
    assert "No decision in time" in result["note"]


# --- calls that are none ----------------------------------------------------------------------------------------------

RAW: list[object] = [
    "",
    "not json",
    "null",
    "5",
    "[]",
    '"GET /users"',
    "{",
    '{"method":"GET"',
    None,
    5,
    1.5,
    True,
    [],
    {},
    {"method": None},
    {"url": "/users"},
    '{"method":"GET","url":"/users","body":"' + "x" * 9_000 + '"}',
    '{"method":"POST","url":"/users","body":"' + "x" * 2_000_000 + '"}',
    {"method": "POST", "url": "/users", "body": {"a": "x" * 2_000_000}},
    '{"method":"GET\\ud800","url":"/users"}',
    '{"method":"GET","url":"/\\ud800"}',
    '{"method":"GET","url":"/users/7","\\ud800":1}',
    '{"method":"GET","url":"/users","x":NaN}',
    "[" * 100_000,
    '{"a":' * 500 + "1" + "}" * 500,
    '{"method":"PUT","url":"/users/7","body":{"\\ud800":' + "[" * 10 + "]" * 10 + "}}",
    '{"method":"DELETE","url":"/users/../7"}',
    '{"method":"GET","url":"/users/7","a\ud800b":1}',
    "\ud800",
    '{"method":"GET","url":"/users?\\u0000"}',
    '{"body": "',
    "\x00",
]


def test_arguments_that_are_no_call_get_words_and_the_turn_goes_on(parts: BotParts, server: RestServer) -> None:
    """All in one thread: a later request is one that servers take as well."""
    thread = parts.ask("hello")
    for number, start in enumerate(range(0, len(RAW), 8), 1):
        several = RAW[start : start + 8]
        parts.replies.will(calls(*several, GET), says(f"I see {number}."))
        parts.ask(thread=thread)
        assert parts.told(thread)[number:] == [f"I see {number}."], ascii(several)
        *none, read = tool_results(parts.replies.asked[-1])[-len(several) - 1 :]
        assert [ascii(raw)[:40] for raw, told in zip(several, none, strict=True) if not told["error"]] == []
        assert read["status"] == 200
        assert methods(server) == ["GET"] * number, ascii(several)
    parts.ask("and now?", thread=thread)
    assert parts.told(thread)[-1] == "Done."


def test_an_unknown_tool_is_told_what_there_is(parts: BotParts, server: RestServer) -> None:
    thread = parts.ask("hello")
    names = ("delete_user", "", None, "call_rest_api ", "CALL_REST_API", "x" * 5_000, "a b", 5)
    for number, name in enumerate(names, 1):
        data = calls(DELETE)
        data["choices"][0]["message"]["tool_calls"][0]["function"]["name"] = name
        parts.replies.will(data, says(f"I see {number}."))
        parts.ask(thread=thread)
        error = tool_results(parts.replies.asked[-1])[-1]["error"]
        assert "The tools are call_rest_api and read_result" in error, name
        assert (parts.told(thread)[-1], parts.pending(), server.requests) == (f"I see {number}.", [], []), name


def test_long_arguments_are_made_and_kept_as_an_empty_object_with_a_note(parts: BotParts, server: RestServer) -> None:
    body = json.dumps({"text": "x" * 9_000})
    parts.replies.will(calls(("POST", "/users", body)))
    parts.ask()
    assert json.loads(server.requests[0].body) == {"text": "x" * 9_000}
    (message,) = [m for m in parts.replies.asked[1] if m["role"] == "assistant"]
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
    assert "call 1" in message["content"]
    assert len(json.dumps(message)) < KEPT_ARGUMENTS


@each_row("depth", [50, 300, 600, 900, 980])
def test_a_deeply_nested_body_ends_in_a_card_or_in_words(parts: BotParts, server: RestServer, depth: int) -> None:
    parts.replies.will(calls({"method": "PUT", "url": "/users/7", "body": "[" * depth + "]" * depth}))
    thread = parts.ask()
    if parts.pending():
        parts.press(parts.pending()[0])
        parts.advance(thread)
    assert parts.told(thread) == ["Done."]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_after_the_last_model_call_one_more_that_may_call_nothing_sums_up(make: Make, server: RestServer) -> None:
    parts = make(max_model_calls=3)
    parts.replies.will(*[calls(("GET", f"/users/{i}")) for i in range(3)], says("That much I know."))
    thread = parts.ask()
    assert parts.replies.lasts == [False, False, False, True]
    assert all(tools == parts.replies.tools[0] for tools in parts.replies.tools)  # servers want to see what was called
    assert "no calls left" in parts.replies.asked[-1][0]["content"]
    assert parts.told(thread) == ["That much I know."]


def test_a_model_that_goes_on_after_its_last_call_ends_in_words_and_nothing_is_sent(
    make: Make, server: RestServer
) -> None:
    parts = make(max_model_calls=1)
    lasts = [calls(GET), calls(DELETE), calls("no json"), says(""), says(None), completion({"tool_calls": [None]})]
    for number, last in enumerate(lasts, 1):
        parts.replies.lines.clear()
        parts.replies.will(calls(GET), last, last)
        thread = parts.ask()
        assert parts.told(thread) == [
            "I've used up the 1 model calls that one question may take and still have no answer. Please ask for less at once."
        ], last
        assert methods(server) == ["GET"] * number, last
        assert parts.pending() == [], last


def test_the_limit_counts_the_calls_before_a_wait(make: Make, server: RestServer) -> None:
    parts = make(max_model_calls=2)
    parts.replies.will(calls(DELETE), calls(GET), says("Enough."))
    thread = parts.ask()
    parts.press(parts.pending()[0])
    parts.advance(thread)
    assert parts.replies.lasts == [False, False, True]
    assert parts.told(thread) == ["Enough."]


SAME: list[tuple[Any, Any, Any]] = [
    (GET, GET, GET),
    (("GET", "/users/7"), ("get", "/users/7"), ("GET", "/users/7", None)),
    (("POST", "/open", '{"a":1,"b":2}'), ("POST", "/open", {"b": 2, "a": 1}), ("POST", "/open", '{"a": 1, "b": 2}')),
    (("POST", "/open", json.dumps({"a": "x" * 9_000})),) * 3,
    ({"method": "POST", "url": "/open", "body": {"a": "x" * 9_000}},) * 3,
]


@each_row("same", SAME)
@each_row("in_one_reply", [True, False])
def test_the_same_call_a_third_time_is_answered_with_words(
    parts: BotParts, server: RestServer, same: tuple[Any, Any, Any], in_one_reply: bool
) -> None:
    before = len(server.requests)
    parts.replies.will(*([calls(*same)] if in_one_reply else [calls(one) for one in same]), says("Done."))
    parts.ask()
    assert len(server.requests) == before + 2
    assert "made twice already" in tool_results(parts.replies.asked[-1])[-1]["error"]


def test_the_same_call_in_the_next_turn_is_a_new_one(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(GET), calls(GET), says("x"))
    thread = parts.ask()
    parts.replies.will(calls(GET), says("y"))
    parts.ask(thread=thread)
    assert len(server.requests) == 3


def test_history_is_trimmed_and_the_persons_last_words_stay(make: Make, server: RestServer) -> None:
    parts = make(history_tokens=2_000)
    server.always(reply(json.dumps({"text": "y" * 3_500})))
    thread = parts.ask("the first question")
    for i in range(6):
        parts.replies.will(calls((*GET[:1], f"/users/{i}")), says(f"answer {i}"))
        parts.ask(f"question {i}", thread=thread)
        assert user_words(parts.replies.asked[-1])[-1] == f"question {i}"
    assert len(json.dumps(parts.replies.asked[-1])) < 14_000


# --- replies of all kinds ---------------------------------------------------------------------------------------------

EMPTY = "The language model gave an empty answer. Please ask again, perhaps in other words."
ENDINGS: list[tuple[Json, str]] = [
    (says("Half an ans") | {}, "Half an ans"),
    (
        completion({"content": "Half an ans"}, "length"),
        "Half an ans\n\n_(The model's answer ended here because it reached its length limit.)_",
    ),
    (
        completion({"content": ""}, "length"),
        EMPTY,
    ),
    (
        completion({"content": None}, "content_filter"),
        "The language model's provider filtered this answer, so there is nothing to show. Please ask in other words.",
    ),
    (
        completion({"content": "Some"}, "content_filter"),
        "Some\n\nThe language model's provider filtered this answer, so there is nothing to show. Please ask in other words.",
    ),
    (says(None, refusal="I can't help with that."), "I can't help with that."),
    (says("", refusal=""), EMPTY),
    (says(None), EMPTY),
    (says("  \n "), EMPTY),
    (says([]), EMPTY),
    (says([{"type": "text", "text": "Parts."}]), "Parts."),
    (says(5), EMPTY),
    (says({"a": 1}), EMPTY),
    (completion({}), EMPTY),
    (
        completion({"content": None, "tool_calls": []}, "tool_calls"),
        EMPTY,
    ),
    (completion({"content": "x", "tool_calls": None}, None), "x"),
    (completion({"content": "x", "tool_calls": {}}, 5), "x"),
    (completion({"content": "x", "tool_calls": "no"}, []), "x"),
    (says("\ud83d half"), "? half"),
    (says("a\x00b"), "a\x00b"),
    (
        completion({"content": "Half"}, "insufficient_system_resource"),
        'Half\n\n_(The model\'s server ended this answer with "insufficient_system_resource", so there may be something missing.)_',
    ),
    (
        completion({"content": ""}, "MALFORMED_FUNCTION_CALL"),
        'The language model gave no answer (it ended with "MALFORMED_FUNCTION_CALL"). Please ask again, perhaps in other words.',
    ),
    (
        completion({"content": "x"}, "a *b* <c>"),
        'x\n\n_(The model\'s server ended this answer with "a b c", so there may be something missing.)_',
    ),
    (
        completion({"content": "x"}, "MAX_TOKENS"),
        "x\n\n_(The model's answer ended here because it reached its length limit.)_",
    ),
    (completion({"content": "x"}, "end_turn"), "x"),
    (
        completion({"content": ""}, "SAFETY"),
        "The language model's provider filtered this answer, so there is nothing to show. Please ask in other words.",
    ),
]


def test_every_ending_is_told_and_the_thread_goes_on(parts: BotParts) -> None:
    thread = parts.ask("hello")
    for number, (answer, told) in enumerate(ENDINGS, 1):
        is_none = "empty answer" in told or "no answer" in told
        parts.replies.will(*[answer] * (2 if is_none and "length" not in str(answer) else 1))
        parts.ask(thread=thread)
        assert parts.told(thread)[number:] == [told.replace("&", "&amp;").replace("<", "&lt;")], answer
    parts.ask("again", thread=thread)
    assert parts.told(thread)[-1] == "Done."


@each_row(
    "none",
    [says(""), completion({"content": None}, "MALFORMED_FUNCTION_CALL"), completion({}, "error"), {"choices": []}],
)
def test_an_answer_that_is_none_is_asked_for_once_more(parts: BotParts, none: Json) -> None:
    parts.replies.will(none, says("Here."))
    assert parts.told(parts.ask()) == ["Here."]
    first, second = parts.replies.asked[-2:]
    assert first == second


NO_REPLY: list[object] = [
    None,
    5,
    "text",
    [],
    {},
    {"choices": []},
    {"choices": None},
    {"choices": [None]},
    {"choices": [{"message": None}]},
    {"error": {"message": "boom"}},
]
NO_ANSWER = [ModelFailed(Failure.TIME_OUT), ModelFailed(Failure.REFUSED, "HTTP 503")]
BUGS = [RuntimeError("boom s3cret"), KeyError("x"), RecursionError(), UnicodeError("y"), ValueError("z"), OSError("w")]
FAILS: list[tuple[object, str, int]] = [
    *((answer, "made no sense to me", 2) for answer in NO_REPLY),
    *((failure, f"didn't answer ({failure})", 1) for failure in NO_ANSWER),
    *((bug, "Something went wrong on my side", 1) for bug in BUGS),
]


def test_whatever_fails_is_told_with_a_reference_and_the_thread_goes_on(parts: BotParts) -> None:
    """An answer that is no reply, a model that fails, a bug of ours."""
    thread = parts.ask("0")
    for number, (line, words, times) in enumerate(FAILS, 1):
        parts.replies.will(calls(GET), *[line] * times)
        parts.ask(str(number), thread=thread)
        (told,) = parts.told(thread)[number:]
        assert words in told, line
        reference = told.split("reference ")[1].rstrip(".)")[:8]
        assert len(reference) == 8, line
        assert "s3cret" not in told
        assert user_words(parts.replies.asked[-1]) == [str(i) for i in range(number + 1)], line
    parts.ask("again", thread=thread)
    assert parts.told(thread)[-1] == "Done."


@each_row("failure", [ModelFailed(Failure.REFUSED, "HTTP 500"), RuntimeError("boom"), None])
def test_what_a_failed_turn_had_waiting_is_taken_back(parts: BotParts, server: RestServer, failure: object) -> None:
    """A model that fails between two waits leaves no card behind that would still send."""
    before = len(server.requests)
    parts.replies.will(calls(DELETE, PUT), failure)
    thread = parts.ask()
    delete, put = parts.pending()
    parts.press(delete)
    parts.press(put, "deny")
    parts.advance(thread)
    assert parts.pending() == []
    assert methods(server)[before:] == ["DELETE"]
    assert len(parts.told(thread)) == 1
    parts.ask("again", thread=thread)
    assert parts.told(thread)[1:] == ["Done."]


def test_every_call_has_a_result_after_any_failure(parts: BotParts, server: RestServer) -> None:
    failures: list[object] = [ModelFailed(Failure.REFUSED, "x"), RuntimeError("y"), {}]
    for failure in failures:
        parts.replies.will(calls(GET, DELETE), *[failure] * (2 if failure == {} else 1))
        thread = parts.ask()
        parts.press(parts.pending()[0])
        parts.advance(thread)
        items = parts.store.transcript(thread, ANN)
        made = {(item.row, i) for item in items if isinstance(item, AssistantMessage) for i in range(len(item.calls))}
        assert made == {(item.reply, item.call) for item in items if isinstance(item, Result)}


@each_row("body", ['{"a":"\\ud83d"}', "[" * 900 + "]" * 900, '{"a":NaN}', "[" * 3_000 + "]" * 3_000])
@each_row("method", ["GET", "PUT"])
def test_no_answer_of_the_api_ends_the_turn(parts: BotParts, server: RestServer, method: str, body: str) -> None:
    server.always(reply(body))
    parts.replies.will(calls(PUT if method == "PUT" else GET))
    thread = parts.ask()
    for proposal in parts.pending():
        parts.press(proposal)
        parts.advance(thread)
    assert parts.told(thread) == ["Done."]
    assert parts.store.proposals_in(State.SENDING) == []


def test_a_reply_of_a_hundred_calls_is_answered_in_full(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(*[("GET", f"/users/{i}") for i in range(100)]))
    thread = parts.ask()
    request = parts.replies.asked[1]
    assert parts.told(thread) == ["Done."]
    assert len(server.requests) == len(tool_results(request))


# --- over HTTP, with the openai client --------------------------------------------------------------------------------


@pytest.fixture
def chat() -> Iterator[RestServer]:
    with RestServer() as chat:
        yield chat


KEY = "sk-s3cret-model-key"


def client(chat: RestServer, timeout: float = 5) -> ChatServer:
    return ChatServer(api_key=KEY, base_url=f"{chat.url}/v1", model="m", timeout=timeout)


def line(data: object) -> bytes:
    return reply(json.dumps(data))


def test_a_turn_over_http(make: Make, server: RestServer, chat: RestServer) -> None:
    parts = make(model=client(chat))
    chat.will(line(calls(GET)), line(says("Seven.")))
    thread = parts.ask("Who is 7?")
    assert parts.told(thread) == ["Seven."]
    first, second = (json.loads(seen.body) for seen in chat.requests)
    assert [seen.target for seen in chat.requests] == ["/v1/chat/completions"] * 2
    assert chat.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert set(first) == {"model", "messages", "tools", "stream", "stream_options"}
    assert first["tools"] == tools(parts.catalog)
    for request in (first, second):
        check_request(request["messages"])


def test_a_last_call_over_http_forbids_the_use_of_its_tools(make: Make, chat: RestServer) -> None:
    parts = make(model=client(chat), max_model_calls=1)
    chat.will(line(calls(GET)), line(says("x")))
    parts.ask()
    first, last = (json.loads(seen.body) for seen in chat.requests)
    assert ("tool_choice" in first, last["tool_choice"], last["tools"]) == (False, "none", first["tools"])


def test_too_many_requests_are_made_again_after_the_time_that_the_server_names(make: Make, chat: RestServer) -> None:
    parts = make(model=client(chat))
    chat.will(*[reply('{"error":{"message":"slow down"}}', 429, "Retry-After: 8")] * 4, line(says("Here.")))
    began = parts.clock()
    thread = parts.ask()
    assert parts.told(thread) == ["Here."]
    assert 32 < parts.clock() - began < 40


def test_an_error_of_the_server_is_made_up_for(make: Make, chat: RestServer) -> None:
    parts = make(model=client(chat))
    for status in (500, 502, 504, 408, 409):
        chat.will(reply("oops", status, "Retry-After-Ms: 10", kind="text/plain"), line(says("Here.")))
        assert parts.told(parts.ask()) == ["Here."], status


FAILING: list[tuple[Any, str, int]] = [
    (reply('{"error":{"message":"slow"}}', 429, "Retry-After: 600"), "asks to wait 10 minutes", 1),
    (reply("<html>", 500, "Retry-After-Ms: 10", kind="text/html"), "HTTP 500", 3),
    (reply('{"error":{"message":"bad"}}', 400), "HTTP 400", 2),  # once more without a stream
    (reply('{"error":{"message":"bad key"}}', 401), "HTTP 401", 1),
    (reply("", 404), "HTTP 404", 1),
    (reply("<html>hello</html>", kind="text/html"), "not JSON", 1),
    (reply("data: {broken\n\ndata: [DONE]\n\n", kind="text/event-stream"), "made no sense", 2),
    (reply("data: 5\n\n", kind="text/event-stream"), "broke off", 2),
    (reply('data: {"error":{"message":"x"}}\n\n', kind="text/event-stream"), "an error instead of an answer", 2),
    (reply(""), "not JSON", 1),
    (reply("", kind=""), "not JSON", 1),
    (reply("null"), "made no sense", 2),
    (reply("[]"), "made no sense", 2),
    (reply('"text"'), "made no sense", 2),
    (reply('{"choices":[]}'), "made no sense", 2),
    (reply("{broken"), "not JSON", 1),
    (reply("[" * 100_000), "not JSON", 1),
    (reply(b"\xff\xfe", kind="application/json"), "not JSON", 1),
    (reply('{"error":{"message":"x"}}'), "an error instead of an answer", 2),
    (hang_up, "connection failed", 3),
]  # fmt: skip


def test_a_server_that_gives_no_reply_is_told_and_the_next_turn_works(make: Make, chat: RestServer) -> None:
    """All in one thread: the turn after each is the next one that fails, and the last has an answer."""
    parts = make(model=client(chat))
    chat.will(line(says("Hello.")))
    thread = parts.ask("0")
    for number, (answer, told, times) in enumerate(FAILING, 1):
        before = len(chat.requests)
        chat.always(answer)
        parts.ask(str(number), thread=thread)
        (words_,) = parts.told(thread)[number:]
        assert told in words_, number
        assert "reference" in words_, number
        assert len(chat.requests) == before + times, number
        assert user_words(json.loads(chat.requests[-1].body)["messages"])[-1] == str(number)
    chat.always(line(says("Back again.")))
    parts.ask("again", thread=thread)
    assert parts.told(thread)[-1] == "Back again."


def test_a_server_that_never_answers_is_told_as_a_time_out(make: Make, chat: RestServer) -> None:
    parts = make(model=client(chat, timeout=0.2))
    chat.always(silence)
    assert "time-out" in parts.told(parts.ask())[0]
    assert len(chat.requests) == 3


def test_a_slow_server_is_waited_for(make: Make, chat: RestServer) -> None:
    parts = make(model=client(chat))
    chat.will(late(0.5, line(says("At last."))))
    assert parts.told(parts.ask()) == ["At last."]


def test_half_an_emoji_in_a_call_does_not_end_the_thread(make: Make, chat: RestServer) -> None:
    parts = make(model=client(chat))
    chat.will(line(says("Hello.")))
    thread = parts.ask()
    for arguments in (
        '{"method":"GET\\ud800","url":"/users"}',
        '{"a\ud800":1}',
        '{"method":"GET","url":"/users","body":"\ud83d"}',
        "\ud800",
    ):
        chat.will(line(calls(arguments)), line(says("First.")), line(says("Second.")))
        for text in ("please", "again"):
            parts.ask(text, thread=thread)
        assert parts.told(thread)[-2:] == ["First.", "Second."], ascii(arguments)


@each_row("status", [400, 401, 403, 429, 500])
def test_the_models_key_reaches_no_message_no_row_and_no_log(
    make: Make, chat: RestServer, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Servers repeat a wrong key in their errors, and the libraries' exceptions hold those texts."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs()
    hide_in_logs([KEY])  # as the command line does with every secret that it knows
    try:
        parts = make(model=client(chat))
        error = {"error": {"message": f"Incorrect API key provided: {KEY}. You said: words-of-ann"}}
        chat.always(reply(json.dumps(error), status, "Retry-After-Ms: 1"))
        thread = parts.ask("words-of-ann")
        logged = capsys.readouterr().err
    finally:
        hide_in_logs([])
        root.handlers[:], level = before
        root.setLevel(level)
    assert "turn failed" in logged
    assert KEY not in logged
    assert KEY not in parts.stored()
    assert "words-of-ann" not in logged
    assert KEY not in parts.told(thread)[0]


def test_what_a_bad_call_held_is_not_logged(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """No bodies in the log unless LOG_BODIES=1; a mistake in a body must not bring them there."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs()
    try:
        parts = make()
        for body in (
            '{"salary-of-ann": 1, "salary-of-ann": 2}',
            '"salary-of-ann"',
            '{"_method": "salary-of-ann"}',
            '{"salary-of-ann',
        ):
            parts.replies.will(calls(("PUT", "/users/7", body)))
            parts.ask()
        logged = capsys.readouterr().err
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "bad call" in logged
    assert "salary-of-ann" not in logged
