"""The door to the model over real HTTP: streamed answers put together, whole ones taken as well, cut off at once, bounded always."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.chat import ChatServer, ModelFailed, model_of
from model.replies import parse_reply
from model.stream import DONE, Assembly, events
from tests.harness.cases import each_row
from tests.harness.logs import logged
from tests.harness.rest_server import Piece, RestServer, Seen, half_of, reply
from tests.harness.whole_bot import settings_of

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n"
MESSAGES = [{"role": "user", "content": "hi"}]


class Listener:
    """An ear that remembers; `cut` ends the listening once that many words were heard."""

    def __init__(self, cut: int | None = None) -> None:
        self.heard: list[tuple[str, bool]] = []
        self.asked_again = threading.Event()
        self._cut = cut

    def hear(self, text: str, *, is_calling: bool) -> None:
        self.heard.append((text, is_calling))

    def is_cut(self) -> bool:
        return self._cut is not None and len(self.heard) >= self._cut


def chunk(delta: object, ending: str | None = None, **more: object) -> bytes:
    return (
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": ending}], **more}).encode()
        + b"\n\n"
    )


def words(*texts: str) -> list[bytes]:
    return [chunk({"content": text}) for text in texts]


def stream(*pieces: Piece) -> Any:
    """An answer that sends a stream's head, then the pieces (bytes, or seconds of pause)."""

    def answer(_seen: Seen) -> Iterator[Piece]:
        yield HEAD
        yield from pieces

    return answer


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


def door(server: RestServer, timeout: float = 5) -> ChatServer:
    return ChatServer(api_key="sk-tests", base_url=f"{server.url}/v1", model="m", timeout=timeout)


def test_a_streamed_answer_is_heard_while_it_comes_and_whole_in_the_end(server: RestServer) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    server.will(
        stream(
            *words("One "),
            0.3,
            *words("two "),
            0.3,
            *words("three."),
            chunk({}, "stop", usage=usage),
            b"data: [DONE]\n\n",
        )
    )
    ear = Listener()
    answer = parse_reply(door(server).complete(MESSAGES, [], ear))
    assert (answer.words, answer.ending, answer.usage.prompt) == ("One two three.", "stop", 7)
    assert [text for text, _ in ear.heard] == ["One ", "One two ", "One two three.", "One two three."]
    asked = json.loads(server.requests[0].body)
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})


def test_calls_come_together_from_their_pieces(server: RestServer) -> None:
    first = {"index": 0, "id": "a", "function": {"name": "call_rest_api", "arguments": '{"method":'}}
    second = {"index": 1, "id": "b", "function": {"name": "call_rest_api", "arguments": "{}"}}
    rest = {"index": 0, "function": {"arguments": '"GET"}'}}
    pieces = [chunk({"content": "Let me see."}), *(chunk({"tool_calls": [one]}) for one in (first, second, rest))]
    server.will(stream(*pieces, chunk({}, "tool_calls")))
    ear = Listener()
    answer = parse_reply(door(server).complete(MESSAGES, [], ear))
    assert [call.id for call in answer.message.calls] == ["a", "b"]
    assert answer.arguments == ('{"method":"GET"}', "{}")
    assert ear.heard[-1] == ("Let me see.", True)


READ, LIST = '{"method":"GET","url":"/users/1"}', '{"method":"GET","url":"/users"}'


def part(arguments: object, name: str | None = "call_rest_api", **more: object) -> dict[str, object]:
    """A piece of a tool call."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


COUNTED: dict[str, list[Any]] = {
    "one index for all": [[part(READ, index=0, id="a")], [part(LIST, index=0, id="b")]],
    "one index for all, in pieces": [
        [part(READ[:9], index=0, id="a")],
        [part(READ[9:], None, index=0)],
        [part(LIST[:9], index=0, id="b")],
        [part(LIST[9:], None, index=0)],
    ],
    "the name with each piece": [
        [part(READ[:9], index=0, id="a"), part("", index=1, id="b")],
        [part(READ[9:], index=0, id="a"), part(LIST, index=1, id="b")],
    ],
    "neither index nor id": [[part(READ), part(LIST[:9])], [part(LIST[9:], None)]],
    "no index": [[part(READ[:9], id="a")], [part(READ[9:], None)], [part(LIST, id="b")]],
    "the id behind the name": [[part(READ, index=0), part(LIST, index=1, id="b")], [part("", None, index=0, id="a")]],
    "objects": [[part(json.loads(READ), index=0), part(json.loads(LIST), index=1)]],
    "the same id for all": [[part(READ, index=0, id="a"), part(LIST, index=1, id="a")]],
}


@each_row("deltas", COUNTED.values())
def test_calls_come_together_however_a_server_counts_them(deltas: list[Any]) -> None:
    assembly = Assembly()
    for made in deltas:
        assembly.add({"choices": [{"delta": {"tool_calls": made}}]})
    answer = parse_reply(assembly.whole())
    assert [call.name for call in answer.message.calls] == ["call_rest_api"] * 2
    assert [json.loads(str(arguments)) for arguments in answer.arguments] == [json.loads(READ), json.loads(LIST)]


def test_text_in_a_list_of_parts_is_heard(server: RestServer) -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Fine."}, None]
    server.will(stream(chunk({"content": parts}, "stop")))
    ear = Listener()
    assert parse_reply(door(server).complete(MESSAGES, [], ear)).words == "Fine."
    assert ear.heard[-1] == ("Fine.", False)


def test_a_character_that_comes_in_halves_is_one_in_the_end(server: RestServer) -> None:
    halves = [{"content": "Hi \ud83d"}, {"content": "\ude00 all"}]
    arguments = [[part('{"body":"\ud83d', index=0)], [part('\ude00"}', None, index=0)]]
    server.will(stream(*map(chunk, halves), *(chunk({"tool_calls": one}) for one in arguments), chunk({}, "stop")))
    answer = parse_reply(door(server).complete(MESSAGES, [], Listener()))
    assert answer.words == "Hi \N{GRINNING FACE} all"
    assert answer.arguments == ('{"body":"\N{GRINNING FACE}"}',)


def test_an_answer_that_came_whole_counts_however_its_connection_ends(server: RestServer) -> None:
    head = HEAD.replace(b"Connection: close", b"Content-Length: 99999")
    server.will(lambda _seen: iter([head, *words("Fine."), chunk({}, "stop")]))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "Fine."
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("header", ["Content-Length: 999", "Content-Encoding: gzip\r\nContent-Length: 11"])
def test_a_body_that_breaks_off_or_cannot_be_unpacked_is_asked_for_once_more(
    server: RestServer, kind: str, header: str
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{header}\r\n\r\n".encode()
    half = head + b'{"choices":'
    server.will(half, stream(*words("Whole."), chunk({}, "stop")))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "Whole."
    server.will(half, half)
    with pytest.raises(ModelFailed, match="broke off"):
        door(server).complete(MESSAGES, [], Listener())


def test_a_server_that_does_not_stream_is_taken_at_its_word(server: RestServer) -> None:
    whole = {"choices": [{"message": {"content": "Whole."}, "finish_reason": "stop"}]}
    server.will(reply(json.dumps(whole)))
    assert door(server).complete(MESSAGES, [], Listener()) == whole


WHOLE = reply(json.dumps({"choices": [{"message": {"content": "Whole."}}]}))


def test_a_refused_stream_turns_streams_off_for_that_request_and_three_in_a_row_for_a_while(server: RestServer) -> None:
    no = reply('{"error":{"message":"stream is not supported"}}', 400)
    model = door(server)
    server.will(no, WHOLE, stream(*words("Whole."), chunk({}, "stop")), no, WHOLE, no, WHOLE, no, WHOLE, WHOLE, WHOLE)
    for _ in range(7):
        assert parse_reply(model.complete(MESSAGES, [], Listener())).words == "Whole."
    streamed = ["stream" in json.loads(seen.body) for seen in server.requests]
    assert streamed == [True, False, True, True, False, True, False, True, False, False, False]


REFUSED = reply(json.dumps({"error": {"message": "stream is not supported" * 20}}), 400)


@pytest.mark.parametrize(
    "broken",
    [[half_of(REFUSED)], [REFUSED, half_of(reply(json.dumps({"choices": [{"message": {"content": "x" * 500}}]})))]],
    ids=["a refusal", "a whole answer"],
)
def test_a_body_that_breaks_off_is_no_answer_and_the_question_is_asked_once_more(
    server: RestServer, broken: list[Any]
) -> None:
    server.will(*broken, stream(*words("Fine."), chunk({}, "stop")))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "Fine."
    server.will(*broken, *broken)
    with pytest.raises(ModelFailed, match="broke off"):
        door(server).complete(MESSAGES, [], Listener())


def test_a_bad_request_is_no_reason_to_give_up_streams(server: RestServer) -> None:
    bad = reply('{"error":{"message":"too long"}}', 400)
    server.will(bad, bad, stream(*words("Fine."), chunk({}, "stop")))
    model = door(server)
    with pytest.raises(ModelFailed, match="HTTP 400"):
        model.complete(MESSAGES, [], Listener())
    assert parse_reply(model.complete(MESSAGES, [], Listener())).words == "Fine."


def test_an_answer_that_breaks_off_is_asked_for_once_more(server: RestServer) -> None:
    server.will(stream(*words("Hal")), stream(*words("Whole."), chunk({}, "stop")))
    ear = Listener()
    assert parse_reply(door(server).complete(MESSAGES, [], ear)).words == "Whole."
    assert ear.heard[0] == ("Hal", False)
    server.will(stream(*words("Hal")), stream(*words("Hal")))
    with pytest.raises(ModelFailed, match="broke off"):
        door(server).complete(MESSAGES, [], Listener())


def test_a_cut_ends_the_call_while_the_server_is_silent(server: RestServer) -> None:
    server.will(stream(*words("One "), 60.0))
    with pytest.raises(ModelFailed, match="cut off"):
        door(server, timeout=50).complete(MESSAGES, [], Listener(cut=1))
    assert len(server.requests) == 1


def test_a_cut_before_the_first_byte_is_not_tried_again(server: RestServer) -> None:
    def silent(_seen: Seen) -> Iterator[Piece]:
        yield 60.0

    server.will(silent)
    with pytest.raises(ModelFailed, match="cut off"):
        door(server, timeout=50).complete(MESSAGES, [], Listener(cut=0))
    assert len(server.requests) <= 1


def test_a_stream_that_falls_silent_is_a_time_out_or_broken_off(server: RestServer) -> None:
    server.always(stream(*words("One "), 60.0))
    with pytest.raises(ModelFailed, match=r"broke off|time-out"):
        door(server, timeout=0.4).complete(MESSAGES, [], Listener())


@pytest.mark.parametrize(
    "body",
    [
        b"data: {broken\n\n",
        b"data: []\n\ndata: null\n\n",
        b": a comment\n\nevent: x\n\n",
        b"\xff\xfe\x00\n\n" * 9,
        b"data:" * 2_000,
    ],
    ids=range(5),
)
def test_what_is_no_chunk_is_passed_over(server: RestServer, body: bytes) -> None:
    server.will(stream(body, b"\n", *words("Fine."), chunk({}, "stop")))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "Fine."


def test_a_stream_may_begin_with_a_byte_order_mark_and_part_its_data_into_lines(server: RestServer) -> None:
    parted = (
        b"\xef\xbb\xbf" + words("One ")[0] + b'data: {"choices":\ndata: [{"delta":\ndata: {"content":"two."}}]}\n\n'
    )
    server.will(stream(parted, chunk({}, "stop")))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "One two."


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/json"])
def test_a_stream_is_known_by_its_looks_whatever_its_type_is_said_to_be(server: RestServer, kind: str) -> None:
    head = HEAD.replace(b"text/event-stream", kind.encode())
    server.will(lambda _seen: iter([head, b": hello\n\n", *words("Fine."), chunk({}, "stop")]))
    assert parse_reply(door(server).complete(MESSAGES, [], Listener())).words == "Fine."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "index",
                    "tool_calls",
                    "function",
                    "arguments",
                    "content",
                    "id",
                    "usage",
                    "finish_reason",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.lists(JSON, max_size=8))
def test_no_chunk_makes_an_assembly_fail(chunks: list[Any]) -> None:
    assembly = Assembly()
    texts = [assembly.add(one) for one in chunks]
    assert assembly.text == "".join(texts)
    json.dumps(assembly.whole())


@given(st.text(alphabet="abc <>&\n", max_size=60), st.integers(1, 7))
def test_a_text_in_pieces_is_the_same_text(text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    lines = [line for piece in pieces for line in chunk({"content": piece}).decode().splitlines()]
    assembly = Assembly()
    for one in events([*lines, f"data: {DONE}", "data: never"]):
        assembly.add(one)
    assert (assembly.text, assembly.is_whole) == (text, True)


@pytest.mark.parametrize(
    ("given", "warned"),
    [({}, True), ({"openai_api_key": "sk-1"}, False), ({"openai_base_url": "http://127.0.0.1:1/v1"}, False)],
    ids=["nothing", "a key", "a server of one's own"],
)
def test_without_a_key_for_openai_the_start_says_so(
    given: dict[str, str], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    model_of(settings_of(slack_bot_token="xoxb-1", slack_signing_secret="s", slack_channel="C0HR", **given), tuple)
    assert len(logged(caplog, event="no key for OpenAI")) == warned
