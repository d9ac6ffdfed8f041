"""The conversation: whatever a model server says ends in an answer or in words, and every request to it is one that it takes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from base import words
from base.logging_setup import hide_in_logs, set_up_logs
from gate.policy import State
from model.chat import ChatServer, ModelFailed
from model.prompt.prompt import tools
from model.transcript import KEPT_ARGUMENTS, Replied, Result
from tests.harness.bot_parts import (
    ANN,
    BEN,
    USERS,
    Inside,
    Json,
    calls,
    check_request,
    completion,
    says,
    tool_results,
    user_words,
)
from tests.harness.rest_server import RestServer, hang_up, late, reply, silence

pytestmark = pytest.mark.usefixtures("_logs")  # as in the running bot
Make = Callable[..., Inside]
GET: tuple[str, str] = ("GET", "/users/7")
POST: tuple[str, str, str] = ("POST", "/users", '{"name":"Eve"}')
PUT: tuple[str, str, str] = ("PUT", "/users/7", '{"name":"Eve"}')
DELETE: tuple[str, str] = ("DELETE", "/users/7")


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as server:
        yield server


@pytest.fixture
def make(tmp_path: Path, server: RestServer) -> Iterator[Make]:
    made: list[Inside] = []

    def make(**options: Any) -> Inside:
        one = Inside(tmp_path, USERS.format(base=server.url), timeout=5, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def inside(make: Make) -> Inside:
    return make()


def methods(server: RestServer) -> list[str]:
    return [method for method, _ in server.calls]


# --- turns ------------------------------------------------------------------------------------------------------------


def test_an_answer_goes_to_the_thread(inside: Inside) -> None:
    inside.replies.will(says("Hello."))
    thread = inside.ask("Who are you?")
    assert inside.told(thread) == ["Hello."]
    assert user_words(inside.replies.asked[0]) == ["Who are you?"]
    assert [t["function"]["name"] for t in inside.replies.tools[0]] == ["call_rest_api", "read_result"]


@pytest.mark.parametrize(
    "text",
    ["Remove <@U0BEN>; *now*", "  spaces  ", "[Ann]: role: system", "👩‍🚀\n\nשלום", '{"role":"system"}', "x" * 39_000],
)
def test_a_persons_words_are_the_last_user_message_word_for_word(inside: Inside, text: str) -> None:
    thread = inside.ask("first")
    inside.replies.will(calls(GET), says("Done."))
    inside.ask(text, thread=thread)
    assert all(user_words(request) == ["first", text] for request in inside.replies.asked[1:])


def test_a_thread_remembers_and_another_one_knows_nothing(inside: Inside, make: Make, server: RestServer) -> None:
    inside.replies.will(calls(GET), says("Seven."))
    thread = inside.ask("one")
    later = make()
    later.ask("two", thread=thread)
    assert [m["role"] for m in later.replies.asked[0]] == ["system", "user", "assistant", "tool", "assistant", "user"]
    later.ask("elsewhere")
    assert [m["role"] for m in later.replies.asked[1]] == ["system", "user"]


def test_calls_of_several_rounds_have_their_results_in_order(inside: Inside, server: RestServer) -> None:
    for i in range(5):
        server.will(reply(f'{{"n": {i}}}'))
    inside.replies.will(
        calls(GET, ("GET", "/users"), ("GET", "/nowhere"), ("GET", "/users/2")),
        calls(("GET", "/users/3"), ids=[""]),
        says("All."),
    )
    inside.ask()
    results = tool_results(inside.replies.asked[-1])
    assert [r.get("data") for r in results] == [{"n": 0}, {"n": 1}, None, {"n": 2}, {"n": 3}]
    assert "no operation" in results[2]["error"]


@pytest.mark.parametrize("ids", [["a", "a", "a"], ["", "", ""], [None, None, None], ["a", "", "a"], ["b", "a", "b"]])
def test_results_are_matched_by_position_when_ids_repeat_or_are_empty(
    inside: Inside, server: RestServer, ids: list[Any]
) -> None:
    server.always(lambda seen: [reply(json.dumps({"of": seen.target}))])
    inside.replies.will(calls(("GET", "/users/1"), ("GET", "/users/2"), ("GET", "/users/3"), ids=ids))
    inside.replies.will(calls(("GET", "/users/4"), ids=ids[:1]))
    inside.ask()
    assert [r["data"]["of"] for r in tool_results(inside.replies.asked[-1])] == [f"/users/{i}" for i in (1, 2, 3, 4)]


def test_tokens_are_counted_for_the_turn(inside: Inside) -> None:
    inside.replies.will(calls(GET), calls(GET), says("x"))
    inside.ask()
    (row,) = json.loads(inside.stored())["turns"]
    assert (row["model_calls"], row["prompt_tokens"], row["completion_tokens"]) == (3, 30, 15)


# --- what waits and what goes -----------------------------------------------------------------------------------------


def test_a_post_before_any_read_goes_by_itself(inside: Inside, server: RestServer) -> None:
    inside.replies.will(calls(POST))
    thread = inside.ask()
    assert server.calls == [("POST", "/users")]
    assert tool_results(inside.replies.asked[-1])[0]["outcome"] == "done"
    assert inside.cards(thread) == []


@pytest.mark.parametrize(
    "first",
    [calls(GET), calls(("HEAD", "/users")), calls(POST), calls(("POST", "/open", "{}"))],
    ids=["GET", "HEAD", "POST", "never"],
)
@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_a_post_after_any_answer_of_the_api_waits_and_the_card_says_why(
    inside: Inside, server: RestServer, first: Json, status: int
) -> None:
    server.will(reply("" if status == 204 else "{}", status))
    inside.replies.will(first, calls(POST))
    thread = inside.ask()
    (pending,) = inside.pending()
    assert pending.tainted
    assert len(server.requests) == 1
    assert "may be following" in json.dumps(inside.cards(thread)[0].arguments)


def test_a_read_without_any_answer_lets_a_post_go(inside: Inside, server: RestServer) -> None:
    server.will(hang_up, hang_up)
    inside.replies.will(calls(GET), calls(POST))
    inside.ask()
    assert inside.pending() == []
    assert methods(server) == ["GET", "GET", "POST"]


def test_the_flag_stays_through_turns_restarts_and_trimming(inside: Inside, make: Make, server: RestServer) -> None:
    inside.replies.will(calls(GET))
    thread = inside.ask()
    later = make(history_tokens=300)
    for _ in range(5):
        later.ask("x" * 900, thread=thread)
    assert "tool" not in {m["role"] for m in later.replies.asked[-1]}
    later.replies.will(calls(POST))
    later.ask(thread=thread)
    assert len(later.pending()) == 1
    assert methods(server) == ["GET"]


def test_words_of_another_person_make_a_post_wait(inside: Inside, server: RestServer) -> None:
    thread = inside.ask("hello", by=BEN)
    inside.replies.will(calls(POST))
    inside.ask("go on", by=ANN, thread=thread)
    assert len(inside.pending()) == 1
    assert server.requests == []


def test_a_post_beside_a_read_is_judged_by_what_the_model_had_seen(inside: Inside, server: RestServer) -> None:
    """It was written before the read's answer was known; the next one was not."""
    for order in (calls(POST, GET), calls(GET, POST)):
        inside.replies.will(order)
        inside.ask()
        assert inside.pending() == []
    inside.replies.will(calls(GET, POST), calls(POST))
    inside.ask()
    assert len(inside.pending()) == 1


def test_the_model_is_asked_again_when_every_call_has_its_result(inside: Inside, server: RestServer) -> None:
    inside.replies.will(calls(GET, PUT, ("GET", "/nowhere"), DELETE), says("Both done."))
    thread = inside.ask()
    put, delete = inside.pending()
    assert (put.method, delete.method, len(inside.replies.asked)) == ("PUT", "DELETE", 1)
    inside.press(delete)
    assert inside.advance(thread) is True
    assert (methods(server), len(inside.replies.asked)) == (["GET", "DELETE"], 1)
    inside.press(put, "deny")
    assert inside.advance(thread) is False
    results = tool_results(inside.replies.asked[1])
    assert [r.get("outcome", r.get("status", "error")) for r in results] == [200, "denied", "error", "done"]
    assert inside.told(thread) == ["Both done."]


def test_advancing_again_and_again_changes_nothing(inside: Inside, server: RestServer) -> None:
    inside.replies.will(calls(PUT))
    thread = inside.ask()
    before = inside.stored()
    for _ in range(3):
        assert inside.advance(thread) is True
    assert (inside.stored(), len(inside.replies.asked)) == (before, 1)


def test_words_in_the_thread_approve_nothing(inside: Inside, server: RestServer) -> None:
    inside.replies.will(calls(DELETE))
    thread = inside.ask()
    (pending,) = inside.pending()
    inside.begin("Approve", by=ANN)
    for text in ("approve", "Approve", "yes", f"approve {pending.proposal} {pending.token}"):
        inside.ask(text, thread=thread)
    assert inside.pending() == [pending]
    assert server.requests == []


def test_an_expired_request_is_told_as_such_to_the_model(inside: Inside, server: RestServer) -> None:
    inside.replies.will(calls(DELETE))
    thread = inside.ask()
    inside.clock.ahead = 4_000  # type: ignore[attr-defined]
    assert [one.thread for one in inside.gate.expire_due()] == [thread]
    inside.advance(thread)
    (result,) = tool_results(inside.replies.asked[-1])
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


@pytest.mark.parametrize("raw", RAW, ids=lambda value: ascii(value)[:40])
def test_arguments_that_are_no_call_get_words_and_the_turn_goes_on(
    inside: Inside, server: RestServer, raw: object
) -> None:
    inside.replies.will(calls(raw, GET), says("I see."))
    thread = inside.ask()
    assert inside.told(thread) == ["I see."]
    first, second = tool_results(inside.replies.asked[1])
    assert first["error"]
    assert second["status"] == 200
    assert methods(server) == ["GET"]
    inside.ask("and now?", thread=thread)  # a later request is one that servers take as well
    assert inside.told(thread)[1:] == ["Done."]


@pytest.mark.parametrize(
    "name",
    ["delete_user", "", None, "call_rest_api ", "CALL_REST_API", "x" * 5_000, "a b", 5],
    ids=lambda v: ascii(v)[:20],
)
def test_an_unknown_tool_is_told_what_there_is(inside: Inside, server: RestServer, name: Any) -> None:
    data = calls(DELETE)
    data["choices"][0]["message"]["tool_calls"][0]["function"]["name"] = name
    inside.replies.will(data, says("I see."))
    thread = inside.ask()
    assert "The tools are call_rest_api and read_result" in tool_results(inside.replies.asked[1])[0]["error"]
    assert (inside.told(thread), inside.pending(), server.requests) == (["I see."], [], [])


def test_long_arguments_are_made_and_kept_as_an_empty_object_with_a_note(inside: Inside, server: RestServer) -> None:
    body = json.dumps({"text": "x" * 9_000})
    inside.replies.will(calls(("POST", "/users", body)))
    inside.ask()
    assert json.loads(server.requests[0].body) == {"text": "x" * 9_000}
    (message,) = [m for m in inside.replies.asked[1] if m["role"] == "assistant"]
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
    assert "call 1" in message["content"]
    assert len(json.dumps(message)) < KEPT_ARGUMENTS


@pytest.mark.parametrize("depth", [50, 300, 600, 900, 980])
def test_a_deeply_nested_body_ends_in_a_card_or_in_words(inside: Inside, server: RestServer, depth: int) -> None:
    inside.replies.will(calls({"method": "PUT", "url": "/users/7", "body": "[" * depth + "]" * depth}))
    thread = inside.ask()
    if inside.pending():
        inside.press(inside.pending()[0])
        inside.advance(thread)
    assert inside.told(thread) == ["Done."]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_after_the_last_model_call_one_more_without_tools_sums_up(make: Make, server: RestServer) -> None:
    inside = make(max_model_calls=3)
    inside.replies.will(*[calls(("GET", f"/users/{i}")) for i in range(3)], says("That much I know."))
    thread = inside.ask()
    assert [bool(tools) for tools in inside.replies.tools] == [True, True, True, False]
    assert "no calls left" in inside.replies.asked[-1][0]["content"]
    assert inside.told(thread) == ["That much I know."]


@pytest.mark.parametrize(
    "last",
    [calls(GET), calls(DELETE), calls("no json"), says(""), says(None), completion({"tool_calls": [None]})],
    ids=range(6),
)
def test_a_model_that_goes_on_after_its_last_call_ends_in_words_and_nothing_is_sent(
    make: Make, server: RestServer, last: Json
) -> None:
    inside = make(max_model_calls=1)
    inside.replies.will(calls(GET), last)
    thread = inside.ask()
    (told,) = inside.told(thread)
    assert told == words.NO_END.format(calls=1)
    assert methods(server) == ["GET"]
    assert inside.pending() == []


def test_the_limit_counts_the_calls_before_a_wait(make: Make, server: RestServer) -> None:
    inside = make(max_model_calls=2)
    inside.replies.will(calls(DELETE), calls(GET), says("Enough."))
    thread = inside.ask()
    inside.press(inside.pending()[0])
    inside.advance(thread)
    assert [bool(tools) for tools in inside.replies.tools] == [True, True, False]
    assert inside.told(thread) == ["Enough."]


SAME: list[tuple[Any, Any, Any]] = [
    (GET, GET, GET),
    (("GET", "/users/7"), ("get", "/users/7"), ("GET", "/users/7", None)),
    (("POST", "/open", '{"a":1,"b":2}'), ("POST", "/open", {"b": 2, "a": 1}), ("POST", "/open", '{"a": 1, "b": 2}')),
    (("POST", "/open", json.dumps({"a": "x" * 9_000})),) * 3,
    ({"method": "POST", "url": "/open", "body": {"a": "x" * 9_000}},) * 3,
]


@pytest.mark.parametrize("same", SAME, ids=range(5))
@pytest.mark.parametrize("in_one_reply", [True, False])
def test_the_same_call_a_third_time_is_answered_with_words(
    inside: Inside, server: RestServer, same: tuple[Any, Any, Any], in_one_reply: bool
) -> None:
    inside.replies.will(*([calls(*same)] if in_one_reply else [calls(one) for one in same]), says("Done."))
    inside.ask()
    assert len(server.requests) == 2
    assert "made twice already" in tool_results(inside.replies.asked[-1])[-1]["error"]


def test_the_same_call_in_the_next_turn_is_a_new_one(inside: Inside, server: RestServer) -> None:
    inside.replies.will(calls(GET), calls(GET), says("x"))
    thread = inside.ask()
    inside.replies.will(calls(GET), says("y"))
    inside.ask(thread=thread)
    assert len(server.requests) == 3


def test_history_is_trimmed_and_the_persons_last_words_stay(make: Make, server: RestServer) -> None:
    inside = make(history_tokens=2_000)
    server.always(reply(json.dumps({"text": "y" * 3_500})))
    thread = inside.ask("the first question")
    for i in range(6):
        inside.replies.will(calls((*GET[:1], f"/users/{i}")), says(f"answer {i}"))
        inside.ask(f"question {i}", thread=thread)
        assert user_words(inside.replies.asked[-1])[-1] == f"question {i}"
    assert len(json.dumps(inside.replies.asked[-1])) < 14_000


# --- replies of all kinds ---------------------------------------------------------------------------------------------

ENDINGS: list[tuple[Json, str]] = [
    (says("Half an ans") | {}, "Half an ans"),
    (completion({"content": "Half an ans"}, "length"), f"Half an ans\n\n{words.CUT}"),
    (completion({"content": ""}, "length"), words.EMPTY),
    (completion({"content": None}, "content_filter"), words.FILTERED),
    (completion({"content": "Some"}, "content_filter"), f"Some\n\n{words.FILTERED}"),
    (says(None, refusal="I can't help with that."), "I can't help with that."),
    (says("", refusal=""), words.EMPTY),
    (says(None), words.EMPTY),
    (says("  \n "), words.EMPTY),
    (says([]), words.EMPTY),
    (says([{"type": "text", "text": "Parts."}]), "Parts."),
    (says(5), words.EMPTY),
    (says({"a": 1}), words.EMPTY),
    (completion({}), words.EMPTY),
    (completion({"content": None, "tool_calls": []}, "tool_calls"), words.EMPTY),
    (completion({"content": "x", "tool_calls": None}, None), "x"),
    (completion({"content": "x", "tool_calls": {}}, 5), "x"),
    (completion({"content": "x", "tool_calls": "no"}, []), "x"),
    (says("\ud83d half"), "? half"),
    (says("a\x00b"), "a\x00b"),
]


@pytest.mark.parametrize(("answer", "told"), ENDINGS, ids=range(len(ENDINGS)))
def test_every_ending_is_told(inside: Inside, answer: Json, told: str) -> None:
    inside.replies.will(answer)
    thread = inside.ask()
    assert inside.told(thread) == [told.replace("&", "&amp;").replace("<", "&lt;")]
    inside.ask("again", thread=thread)
    assert inside.told(thread)[1:] == ["Done."]


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


@pytest.mark.parametrize("answer", NO_REPLY, ids=str)
def test_an_answer_that_is_no_reply_is_told_with_a_reference_and_the_thread_goes_on(
    inside: Inside, answer: object
) -> None:
    _told_with_a_reference(inside, answer, "made no sense to me")


@pytest.mark.parametrize("failure", [ModelFailed("time-out"), ModelFailed("HTTP 503")])
def test_a_model_that_fails_is_told_with_a_reference_and_the_thread_goes_on(inside: Inside, failure: Exception) -> None:
    _told_with_a_reference(inside, failure, f"didn't answer ({failure})")


@pytest.mark.parametrize(
    "bug",
    [RuntimeError("boom s3cret"), KeyError("x"), RecursionError(), UnicodeError("y"), ValueError("z"), OSError("w")],
)
def test_a_bug_is_told_with_a_reference_and_the_thread_goes_on(inside: Inside, bug: Exception) -> None:
    _told_with_a_reference(inside, bug, "Something went wrong on my side")


def _told_with_a_reference(inside: Inside, line: object, words_: str) -> None:
    inside.replies.will(calls(GET), line)
    thread = inside.ask()
    (told,) = inside.told(thread)
    assert words_ in told
    reference = told.split("reference ")[1].rstrip(".)")[:8]
    assert len(reference) == 8
    assert "s3cret" not in told
    inside.ask("again", thread=thread)
    assert inside.told(thread)[1:] == ["Done."]
    assert user_words(inside.replies.asked[-1]) == ["please", "again"]


@pytest.mark.parametrize("failure", [ModelFailed("HTTP 500"), RuntimeError("boom"), None])
def test_what_a_failed_turn_had_waiting_is_taken_back(make: Make, server: RestServer, failure: object) -> None:
    """A model that fails between two waits leaves no card behind that would still send."""
    inside = make()
    inside.replies.will(calls(DELETE, PUT), failure)
    thread = inside.ask()
    delete, put = inside.pending()
    inside.press(delete)
    inside.press(put, "deny")
    inside.advance(thread)
    assert inside.pending() == []
    assert methods(server) == ["DELETE"]
    assert len(inside.told(thread)) == 1
    inside.ask("again", thread=thread)
    assert inside.told(thread)[1:] == ["Done."]


def test_every_call_has_a_result_after_any_failure(inside: Inside, server: RestServer) -> None:
    failures: list[object] = [ModelFailed("x"), RuntimeError("y"), {}]
    for failure in failures:
        inside.replies.will(calls(GET, DELETE), failure)
        thread = inside.ask()
        inside.press(inside.pending()[0])
        inside.advance(thread)
        items = inside.store.transcript(thread, ANN)
        made = {(item.row, i) for item in items if isinstance(item, Replied) for i in range(len(item.calls))}
        assert made == {(item.reply, item.call) for item in items if isinstance(item, Result)}


@pytest.mark.parametrize("body", ['{"a":"\\ud83d"}', "[" * 900 + "]" * 900, '{"a":NaN}', "[" * 3_000 + "]" * 3_000])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_no_answer_of_the_api_ends_the_turn(inside: Inside, server: RestServer, method: str, body: str) -> None:
    server.always(reply(body))
    inside.replies.will(calls(PUT if method == "PUT" else GET))
    thread = inside.ask()
    for proposal in inside.pending():
        inside.press(proposal)
        inside.advance(thread)
    assert inside.told(thread) == ["Done."]
    assert inside.store.proposals_in(State.SENDING) == []


def test_a_reply_of_a_hundred_calls_is_answered_in_full(inside: Inside, server: RestServer) -> None:
    inside.replies.will(calls(*[("GET", f"/users/{i}") for i in range(100)]))
    thread = inside.ask()
    request = inside.replies.asked[1]
    assert inside.told(thread) == ["Done."]
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
    inside = make(model=client(chat))
    chat.will(line(calls(GET)), line(says("Seven.")))
    thread = inside.ask("Who is 7?")
    assert inside.told(thread) == ["Seven."]
    first, second = (json.loads(seen.body) for seen in chat.requests)
    assert [seen.target for seen in chat.requests] == ["/v1/chat/completions"] * 2
    assert chat.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert set(first) == {"model", "messages", "tools", "stream", "stream_options"}
    assert first["tools"] == tools(inside.catalog)
    for request in (first, second):
        check_request(request["messages"])


def test_a_last_call_over_http_has_no_tools(make: Make, chat: RestServer) -> None:
    inside = make(model=client(chat), max_model_calls=1)
    chat.will(line(calls(GET)), line(says("x")))
    inside.ask()
    assert "tools" not in json.loads(chat.requests[1].body)


def test_too_many_requests_are_made_again_after_the_time_that_the_server_names(make: Make, chat: RestServer) -> None:
    inside = make(model=client(chat))
    chat.will(reply('{"error":{"message":"slow down"}}', 429, "Retry-After: 1"), line(says("Here.")))
    began = time.monotonic()
    thread = inside.ask()
    assert inside.told(thread) == ["Here."]
    assert time.monotonic() - began > 0.9


@pytest.mark.parametrize("status", [500, 502, 503, 408, 409])
def test_an_error_of_the_server_is_made_up_for(make: Make, chat: RestServer, status: int) -> None:
    inside = make(model=client(chat))
    chat.will(reply("oops", status, "Retry-After-Ms: 10", kind="text/plain"), line(says("Here.")))
    assert inside.told(inside.ask()) == ["Here."]


FAILING: list[tuple[Any, str, int]] = [
    (reply('{"error":{"message":"slow"}}', 429, "Retry-After-Ms: 10"), "HTTP 429", 3),
    (reply("<html>", 500, "Retry-After-Ms: 10", kind="text/html"), "HTTP 500", 3),
    (reply('{"error":{"message":"bad"}}', 400), "HTTP 400", 2),  # once more without a stream
    (reply('{"error":{"message":"bad key"}}', 401), "HTTP 401", 1),
    (reply("", 404), "HTTP 404", 1),
    (reply("<html>hello</html>", kind="text/html"), "no JSON", 1),
    (reply("data: {broken\n\ndata: [DONE]\n\n", kind="text/event-stream"), "made no sense", 1),
    (reply("data: 5\n\n", kind="text/event-stream"), "broke off", 2),
    (reply('data: {"error":{"message":"x"}}\n\n', kind="text/event-stream"), "in the middle", 1),
    (reply(""), "no JSON", 1),
    (reply("", kind=""), "no JSON", 1),
    (reply("null"), "made no sense", 1),
    (reply("[]"), "made no sense", 1),
    (reply('"text"'), "made no sense", 1),
    (reply('{"choices":[]}'), "made no sense", 1),
    (reply("{broken"), "no JSON", 1),
    (reply("[" * 100_000), "no JSON", 1),
    (reply(b"\xff\xfe", kind="application/json"), "no JSON", 1),
    (reply('{"error":{"message":"x"}}'), "made no sense", 1),
    (hang_up, "connection failed", 3),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "told", "times"), FAILING, ids=range(len(FAILING)))
def test_a_server_that_gives_no_reply_is_told_and_the_next_turn_works(
    make: Make, chat: RestServer, answer: Any, told: str, times: int
) -> None:
    inside = make(model=client(chat))
    chat.always(answer)
    thread = inside.ask()
    (words_,) = inside.told(thread)
    assert told in words_
    assert "reference" in words_
    assert len(chat.requests) == times
    chat.always(line(says("Back again.")))
    inside.ask("again", thread=thread)
    assert inside.told(thread)[1:] == ["Back again."]


def test_a_server_that_never_answers_is_told_as_a_time_out(make: Make, chat: RestServer) -> None:
    inside = make(model=client(chat, timeout=0.2))
    chat.always(silence)
    assert "time-out" in inside.told(inside.ask())[0]
    assert len(chat.requests) == 3


def test_a_slow_server_is_waited_for(make: Make, chat: RestServer) -> None:
    inside = make(model=client(chat))
    chat.will(late(0.5, line(says("At last."))))
    assert inside.told(inside.ask()) == ["At last."]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"method":"GET\\ud800","url":"/users"}',
        '{"a\ud800":1}',
        '{"method":"GET","url":"/users","body":"\ud83d"}',
        "\ud800",
    ],
    ids=ascii,
)
def test_half_an_emoji_in_a_call_does_not_end_the_thread(
    make: Make, server: RestServer, chat: RestServer, arguments: str
) -> None:
    inside = make(model=client(chat))
    chat.will(line(calls(arguments)), line(says("First.")), line(says("Second.")))
    thread = inside.ask()
    inside.ask("again", thread=thread)
    assert inside.told(thread) == ["First.", "Second."]


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_the_models_key_reaches_no_message_no_row_and_no_log(
    make: Make, chat: RestServer, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Servers repeat a wrong key in their errors, and the libraries' exceptions hold those texts."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs()
    hide_in_logs([KEY])  # as the command line does with every secret that it knows
    try:
        inside = make(model=client(chat))
        error = {"error": {"message": f"Incorrect API key provided: {KEY}. You said: words-of-ann"}}
        chat.always(reply(json.dumps(error), status, "Retry-After-Ms: 1"))
        thread = inside.ask("words-of-ann")
        logged = capsys.readouterr().err
    finally:
        hide_in_logs([])
        root.handlers[:], level = before
        root.setLevel(level)
    assert "turn failed" in logged
    assert KEY not in logged
    assert KEY not in inside.stored()
    assert "words-of-ann" not in logged
    assert KEY not in inside.told(thread)[0]


def test_what_a_bad_call_held_is_not_logged(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """No bodies in the log unless LOG_BODIES=1; a mistake in a body must not bring them there."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs()
    try:
        inside = make()
        for body in (
            '{"salary-of-ann": 1, "salary-of-ann": 2}',
            '"salary-of-ann"',
            '{"_method": "salary-of-ann"}',
            '{"salary-of-ann',
        ):
            inside.replies.will(calls(("PUT", "/users/7", body)))
            inside.ask()
        logged = capsys.readouterr().err
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "bad call" in logged
    assert "salary-of-ann" not in logged
