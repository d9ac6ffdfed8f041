"""What a model's server adds to a reply: put together from its pieces, bounded, and given back as it came."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from base.json_text import compact, dumps, loads
from model.messages import to_messages
from model.opaque_members import MAX_OPAQUE, OpaqueMembers, Room, given_back, kept
from model.replies import parse_reply
from model.stream import Assembly
from store.transcript import AssistantMessage, Item, Result, ToolCall, UserMessage, visible_to
from tests.harness.bot_parts import completion
from tests.harness.cases import each_row

Json = dict[str, Any]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "type", "text", "data", "signature", "reasoning_x", "a"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


def streamed(*deltas: Json) -> Json:
    """The message that these deltas make."""
    assembly = Assembly()
    for delta in deltas:
        assembly.add({"choices": [{"delta": delta}]})
    message: Json = assembly.whole()["choices"][0]["message"]
    return message


JOINED: dict[str, tuple[list[Json], Json]] = {
    "texts grow": ([{"reasoning_content": "I th"}, {"reasoning_content": "ink"}], {"reasoning_content": "I think"}),
    "other scalars are taken once": ([{"signature": "abc"}, {"signature": "abc"}], {"signature": "abc"}),
    "also within objects": (
        [{"extra": {"text": "a", "id": "x"}}, {"extra": {"text": "b", "id": "x"}}],
        {"extra": {"text": "ab", "id": "x"}},
    ),
    "null says nothing": ([{"reasoning": None}, {"reasoning": "a"}, {"reasoning": None}], {"reasoning": "a"}),
    "empty is nothing yet": ([{"signature": ""}, {"signature": "abc"}], {"signature": "abc"}),
    "lists by their index": (
        [
            {"details": [{"index": 0, "text": "a"}, {"index": 1, "data": "x"}]},
            {"details": [{"index": 1, "data": "y"}]},
            {"details": [{"index": 0, "text": "b", "signature": "s"}]},
        ],
        {"details": [{"index": 0, "text": "ab", "signature": "s"}, {"index": 1, "data": "xy"}]},
    ),
    "an index of each type": (
        [
            {"details": [{"index": 0, "type": "reasoning.summary", "summary": "a"}]},
            {"details": [{"index": 0, "type": "reasoning.encrypted", "data": "x"}]},
            {"details": [{"index": 0, "type": "reasoning.summary", "summary": "b"}]},
        ],
        {
            "details": [
                {"index": 0, "type": "reasoning.summary", "summary": "ab"},
                {"index": 0, "type": "reasoning.encrypted", "data": "x"},
            ]
        },
    ),
    "lists without an index grow": (
        [{"marks": [{"url": "a"}]}, {"marks": [{"url": "b"}]}],
        {"marks": [{"url": "a"}, {"url": "b"}]},
    ),
    "halves of a character": ([{"reasoning": "\ud83d"}, {"reasoning": "\ude00"}], {"reasoning": "\N{GRINNING FACE}"}),
}


@each_row("deltas, whole", JOINED.values())
def test_pieces_come_together(deltas: list[Json], whole: Json) -> None:
    message = streamed(*deltas, {"content": "Hi."})
    assert {name: value for name, value in message.items() if name not in ("role", "content", "refusal")} == whole


def test_what_a_whole_reply_has_goes_back_in_its_place() -> None:
    call = {
        "id": "c1",
        "type": "function",
        "extra_content": {"google": {"thought_signature": "sig"}},
        "function": {"name": "call_rest_api", "arguments": "{}", "strict": True},
    }
    message = {
        "role": "assistant",
        "content": "x",
        "reasoning_details": [{"index": 0}],
        "audio": None,
        "tool_calls": [call],
    }
    reply = parse_reply(completion(message))
    items: list[Item] = [
        UserMessage("a", "U1"),
        AssistantMessage(reply.message.text, reply.message.calls, 1, opaque=reply.message.opaque, opaque_of="here"),
        Result(1, 0, "{}"),
    ]
    there, back = (to_messages(items, system="s", budget=9_000, server=one)[2] for one in ("elsewhere", "here"))
    assert back == {name: value for name, value in message.items() if name != "audio"}
    assert there.keys() == {"role", "content", "tool_calls"}
    assert there["tool_calls"][0].keys() == {"id", "type", "function"}
    later = to_messages(
        [*items, AssistantMessage("b", row=2), UserMessage("c", "U1")], system="s", budget=9_000, server="here"
    )
    assert later[2] == there  # a later turn's requests are without


def test_whoever_may_not_see_all_of_a_reply_sees_nothing_of_what_was_added() -> None:
    opaque, _ = kept({"reasoning_content": "the salary is 90417"}, [{}, {}])
    calls = (ToolCall("a", "call_rest_api", "{}"), ToolCall("b", "call_rest_api", "{}"))
    items: list[Item] = [
        UserMessage("a", "U1"),
        AssistantMessage("", calls, 1, "U1", opaque),
        Result(1, 0, "1"),
        Result(1, 1, "2", "U1"),
    ]
    assert "90417" in json.dumps(to_messages(visible_to(items, "U1"), system="s", budget=9_000))
    assert "90417" not in json.dumps(to_messages(visible_to(items, "U2"), system="s", budget=9_000))


@each_row("number", ["1.10", "1e3", "-0.0", "12345678901234567890.123", "0.1000000000000000055511151231257827", "7"])
def test_numbers_go_back_as_they_were_written(number: str) -> None:
    text = f'{{"choices":[{{"message":{{"content":"x","extra":{{"n":{number}}}}}}}]}}'
    opaque = parse_reply(loads(text)).message.opaque
    assert f'{{"n":{number}}}' in opaque
    assert f'{{"n":{number}}}' in compact(given_back({"role": "assistant", "content": "x"}, opaque))


def test_what_has_no_room_is_left_out_whole_and_named() -> None:
    opaque, lost = kept({"big": "x" * (MAX_OPAQUE + 1), "small": "y", "deep": json.loads("[" * 600 + "]" * 600)}, [])
    assert json.loads(opaque)["message"]["small"] == "y"
    assert lost >= {"big"}
    assert len(opaque) < MAX_OPAQUE


def test_a_stream_of_a_megabyte_is_not_kept_beyond_the_bound_and_takes_no_long_time() -> None:
    assembly = Assembly()
    began = time.process_time()
    for _ in range(80_000):
        assembly.add({"choices": [{"delta": {"reasoning_content": "a dozen and 1"}}]})
    assembly.add({"choices": [{"delta": {"content": "Hi.", "signature": "s"}}]})
    assert time.process_time() - began < 10
    message = assembly.whole()["choices"][0]["message"]
    assert ("reasoning_content" in message, message["signature"]) == (False, "s")
    assert assembly.lost == {"reasoning_content"}


def test_a_thousand_items_are_enough() -> None:
    room = Room()
    members = OpaqueMembers(room, is_streamed=True)
    for number in range(2_000):
        members.add({"details": [{"index": number}]})
    assert (members.whole(), room.lost) == ({}, {"details"})


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["reasoning", "details", "content", "tool_calls", "x"]), VALUES, max_size=3),
        max_size=5,
    )
)
def test_whatever_is_added_can_be_kept_and_sent(deltas: list[Json]) -> None:
    message = streamed({"content": "x"}, *deltas)
    opaque, _ = kept(message, [])
    dumps(given_back({"role": "assistant", "content": "x"}, opaque), allow_nan=False).encode()
