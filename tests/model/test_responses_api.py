"""The Responses API over real HTTP: its events heard while they come, its answers and failures read as those of Chat Completions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from catalog.calls import MAX_ARGUMENTS
from model.chat import ChatServer, ModelFailed
from model.replies import parse_reply
from model.responses_api import ITEMS, completion_of, request_of
from tests.harness.cases import each_row
from tests.harness.rest_server import Piece, RestServer, Seen, reply
from tests.model.test_chat import Listener

Json = dict[str, Any]
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n"
TOOL = {"type": "function", "function": {"name": "call_rest_api", "description": "x", "parameters": {"type": "object"}}}
MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}]


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


def door(server: RestServer, **options: Any) -> ChatServer:
    return ChatServer(
        api_key="sk-tests", base_url=f"{server.url}/v1", model="m", timeout=60, api="responses", options=options
    )


def event(kind: str, **more: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def text(piece: str) -> bytes:
    return event("response.output_text.delta", output_index=0, delta=piece)


def message(words: str) -> Json:
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": words, "annotations": []}],
    }


def completed(*output: Json, kind: str = "response.completed", **more: object) -> bytes:
    usage = {"input_tokens": 7, "output_tokens": 3}
    return event(kind, response={"output": output, "usage": usage, "error": None, **more})


def stream(*pieces: Piece) -> Any:
    def answer(_seen: Seen) -> Iterator[Piece]:
        yield HEAD
        yield from pieces

    return answer


def test_an_answer_is_heard_while_it_comes_and_asked_for_without_being_stored(server: RestServer) -> None:
    server.will(stream(text("One "), 0.3, text("two."), completed(message("One two."))))
    ear = Listener()
    answer = parse_reply(door(server).complete(MESSAGES, [TOOL], ear))
    assert (answer.words, answer.ending, answer.usage.prompt, answer.usage.completion) == ("One two.", "stop", 7, 3)
    assert [heard for heard, _ in ear.heard] == ["One ", "One two.", "One two."]
    (seen,) = server.requests
    assert (seen.target, seen.headers["content-type"]) == ("/v1/responses", "application/json")
    asked = json.loads(seen.body)
    assert (asked["instructions"], asked["store"], asked["stream"]) == ("Be kind.", False, True)
    assert asked["input"] == [{"type": "message", "role": "user", "content": "hi"}]
    assert asked["tools"] == [
        {
            "type": "function",
            "name": "call_rest_api",
            "description": "x",
            "parameters": {"type": "object"},
            "strict": False,
        }
    ]


def test_an_answer_that_comes_whole_is_taken_too(server: RestServer) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "call_rest_api", "arguments": "{}", "id": "fc_1"}
    server.will(reply(json.dumps({"output": [call], "error": None})))
    answer = parse_reply(door(server).complete(MESSAGES, [], Listener()))
    assert [(one.id, one.name) for one in answer.message.calls] == [("c", "call_rest_api")]


def test_one_that_breaks_off_is_asked_for_once_more(server: RestServer) -> None:
    server.will(stream(text("Hal")), stream(text("Whole."), completed(message("Whole."))))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "Whole."
    server.will(stream(text("Hal")), stream(text("Hal")))
    with pytest.raises(ModelFailed, match="broke off"):
        door(server).complete(MESSAGES, [], Listener())


@pytest.mark.parametrize(
    "failure",
    [
        event("error", code="server_error", message="try later"),
        event("response.failed", response={"error": {"code": "server_error", "message": "try later"}}),
    ],
    ids=["an error", "a failed response"],
)
def test_a_failure_in_the_middle_is_asked_again(server: RestServer, failure: bytes) -> None:
    server.will(stream(text("Hal"), failure), stream(completed(message("Whole."))))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "Whole."


@pytest.mark.parametrize(
    ("reason", "ending"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("odd", "odd")]
)
def test_an_incomplete_answer_says_why_it_ends(server: RestServer, reason: str, ending: str) -> None:
    end = completed(message("Half"), kind="response.incomplete", incomplete_details={"reason": reason})
    server.will(stream(end))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).ending == ending


def test_arguments_beyond_the_bound_end_the_stream(server: RestServer) -> None:
    sent = 0

    def endless(_seen: Seen) -> Iterator[Piece]:
        nonlocal sent
        yield HEAD
        item = {"type": "function_call", "name": "call_rest_api", "call_id": "c"}
        yield event("response.output_item.added", output_index=0, item=item)
        for _ in range(10_000):
            sent += 10_000
            yield event("response.function_call_arguments.delta", output_index=0, delta="x" * 10_000)

    server.will(endless)
    answer = parse_reply(door(server).complete(MESSAGES, [], Listener()))
    assert answer.message.calls[0].name == "call_rest_api"
    assert len(str(answer.arguments[0])) > MAX_ARGUMENTS
    assert sent < 50_000_000  # of a hundred; sockets hold some millions


def test_a_model_without_encrypted_reasoning_is_asked_without(server: RestServer) -> None:
    refused = reply(
        '{"error": {"message": "Encrypted content is not supported with this model.", "param": "include"}}', 400
    )
    server.will(refused, stream(completed(message("Hi."))), stream(completed(message("Again."))))
    model = door(server)
    assert parse_reply(model.complete(MESSAGES, [], Listener())).words == "Hi."
    assert parse_reply(model.complete(MESSAGES, [], Listener())).words == "Again."
    assert ["include" in json.loads(seen.body) for seen in server.requests] == [True, False, False]


def test_options_are_taken_as_either_api_writes_them(server: RestServer) -> None:
    server.will(stream(completed(message("Hi."))))
    options = {
        "reasoning_effort": "low",
        "reasoning": {"summary": "auto"},
        "max_tokens": 5,
        "verbosity": "low",
        "seed": 1,
    }
    door(server, **options, store=True, input=[], include=["x"]).complete(MESSAGES, [], Listener())
    asked = json.loads(server.requests[0].body)
    assert (asked["reasoning"], asked["text"]) == ({"effort": "low", "summary": "auto"}, {"verbosity": "low"})
    assert (asked["max_output_tokens"], asked["store"], len(asked["input"])) == (5, False, 1)
    assert asked["include"] == ["reasoning.encrypted_content", "x"]
    assert "seed" not in asked


@each_row(
    "items",
    [[], ["x"], [{"type": "function_call", "call": 0}], [{"type": "function_call", "call": 3, "item": {}}], "x"],
)
def test_items_that_do_not_fit_their_reply_any_more_are_left_out(items: object) -> None:
    function = {"name": "call_rest_api", "arguments": "{}"}
    said = {"role": "assistant", "content": "x", "tool_calls": [{"id": "a", "type": "function", "function": function}]}
    (_, first, second) = request_of("m", [*MESSAGES, {**said, ITEMS: items}], [], {})["input"]
    assert (first["role"], second["call_id"]) == ("assistant", "a")


def test_reasoning_with_nothing_in_it_does_not_go_back() -> None:
    empty: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
    answer = completion_of({"output": [empty, message("Hi.")]})
    said = answer["choices"][0]["message"]
    items = request_of("m", [*MESSAGES, said], [], {})["input"]
    assert [item["type"] for item in items] == ["message", "message"]
