"""The transcript as a model server takes it, and a model server's answer read without trust."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from base.tokens import bound
from model.messages import to_messages
from model.replies import KEPT_ARGUMENTS, MAX_CALLS, BadReply, parse_reply
from model.special_tokens import broken_up
from store.transcript import AssistantMessage, Item, Result, ToolCall, Usage, UserMessage, open_calls
from tests.harness.bot_parts import calls, check_request, completion, says
from tests.harness.cases import each_row

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


# --- what came back ---------------------------------------------------------------------------------------------------


@each_row(
    "data",
    [
        None, 5, "text", [], {}, {"choices": None}, {"choices": []}, {"choices": {}}, {"choices": [None]}, {"choices": ["x"]},
        {"choices": [{}]}, {"choices": [{"message": None}]}, {"choices": [{"message": "text"}]}, {"choices": [{"message": []}]},
        {"error": {"message": "no"}}, {"object": "error"},
    ],
)  # fmt: skip
def test_an_answer_without_a_message_is_no_reply(data: object) -> None:
    with pytest.raises(BadReply):
        parse_reply(data)


def test_words_and_usage_are_read() -> None:
    reply = parse_reply(says("Hello."))
    assert (reply.message, reply.ending, reply.usage) == (AssistantMessage("Hello."), "stop", Usage(10, 5))


def test_words_in_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "image"}, None, {"type": "text", "text": None}, {"text": "lo."}]
    assert parse_reply(says(parts)).message.text == "Hello."


def test_a_refusal_is_read() -> None:
    assert parse_reply(says(None, refusal="I won't.")).refusal == "I won't."


@each_row(
    "usage, told",
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            (100, 9, 64, 5),
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 9,
                "input_tokens_details": {"cached_tokens": 64},
                "output_tokens_details": {"reasoning_tokens": 5},
            },
            (100, 9, 64, 5),
        ),
        ({"prompt_tokens": 100, "completion_tokens": 9, "prompt_cache_hit_tokens": 64}, (100, 9, 64, 0)),
        ({"prompt_tokens": 100, "completion_tokens": 9, "cache_read_input_tokens": 64}, (100, 9, 64, 0)),
        ({"prompt_tokens": 1, "prompt_tokens_details": None, "completion_tokens_details": [5]}, (1, 0, 0, 0)),
    ],
)
def test_tokens_of_the_cache_and_of_thoughts_are_counted(usage: object, told: tuple[int, ...]) -> None:
    used = parse_reply({**says("x"), "usage": usage}).usage
    assert (used.prompt, used.completion, used.cached, used.reasoning) == told


@each_row(
    "usage",
    [
        None,
        5,
        {},
        {"prompt_tokens": None},
        {"prompt_tokens": "9"},
        {"prompt_tokens": -1},
        {"prompt_tokens": 1.5},
        {"prompt_tokens": 10**30},
    ],
)
def test_an_odd_usage_counts_nothing(usage: object) -> None:
    assert parse_reply(says("x") | {"usage": usage}).usage == Usage(0, 0)


@each_row(
    "raw, kept",
    [
        ('{"method":"GET"}', '{"method":"GET"}'),
        ({"method": "GET"}, '{"method": "GET"}'),
        ("{}", "{}"),
        ("", "{}"),
        (None, "{}"),
        (5, "{}"),
        ([], "{}"),
        ("null", "{}"),
        ("[1]", "{}"),
        ("not json", "{}"),
        ('{"a":1', "{}"),
        ('{"a":"' + "x" * 9_000 + '"}', "{}"),
        ('{"a":"' + "x" * 2_000_000 + '"}', "{}"),
        ({"a": "x" * 9_000}, "{}"),
        ("[" * 50_000, "{}"),
        ('{"a":NaN}', "{}"),
        ('{"a":"\ud800"}', "{}"),
    ],
)
def test_the_transcript_keeps_arguments_that_every_server_takes_again(raw: object, kept: str) -> None:
    reply = parse_reply(calls(raw))
    assert reply.message.calls[0].arguments == kept
    assert reply.arguments == (raw if raw is not None else "",)
    items: list[Item] = [
        UserMessage("hi", "U1"),
        AssistantMessage(reply.message.text, reply.message.calls, 7),
        Result(7, 0, "{}"),
    ]
    check_request(to_messages(items, system="s", budget=60_000))


def test_arguments_that_were_not_kept_leave_a_note_with_their_number() -> None:
    reply = parse_reply(calls(("GET", "/x"), "no json", "{}", {}, text="Well."))
    assert reply.message.text.startswith("Well.\n")
    assert "call 2 " in reply.message.text
    assert reply.message.text.count("The arguments of call") == 1


def test_a_reply_of_a_hundred_calls_says_that_not_all_were_looked_at() -> None:
    reply = parse_reply(calls(*[("GET", f"/x/{i}") for i in range(100)]))
    assert len(reply.message.calls) == MAX_CALLS
    assert "100" in reply.message.text or str(100 - MAX_CALLS) in reply.message.text


@each_row(
    "ids",
    [
        ["a", "a", "a"],
        ["", "", ""],
        [None, None, None],
        ["a", "a_0", "a"],
        ["a_1", "a", "a"],
        ["call_1", "", ""],
        ["", "call_0", ""],
        [5, {}, []],
        ["x" * 41, "x" * 41, "y" * 5_000],
        ["\ud800", "?", "\udfff"],
        [" ", "\n", "é"],
    ],
)
def test_ids_that_repeat_or_are_none_become_ids_that_servers_take(ids: list[Any]) -> None:
    said = parse_reply(calls(*[("GET", "/x")] * 3, ids=ids)).message
    items: list[Item] = [
        UserMessage("hi", "U1"),
        AssistantMessage("", said.calls, 7),
        *(Result(7, i, f"{i}") for i in range(3)),
    ]
    messages = to_messages(items, system="s", budget=60_000)
    check_request(messages)
    assert [m["content"] for m in messages if m["role"] == "tool"] == ["0", "1", "2"]


@each_row("name", ["rm -rf /", "x" * 300, "", None, 5, "functions.call_rest_api", "appelé", "a\nb", "\ud800"])
def test_a_tool_of_any_name_leaves_a_transcript_that_servers_take(name: Any) -> None:
    """OpenAI refuses names beyond ^[a-zA-Z0-9_-]{1,64}$, in later requests as well: the thread would be dead."""
    data = calls(("GET", "/x"))
    data["choices"][0]["message"]["tool_calls"][0]["function"]["name"] = name
    said = parse_reply(data).message
    items: list[Item] = [UserMessage("hi", "U1"), AssistantMessage("", said.calls, 7), Result(7, 0, "{}")]
    check_request(to_messages(items, system="s", budget=60_000))


@given(content=ANY, made=ANY, ending=ANY, refusal=ANY, usage=ANY, role=ANY)
def test_fields_of_every_kind_are_read_without_a_fault(**fields: Any) -> None:
    message = {
        "role": fields["role"],
        "content": fields["content"],
        "tool_calls": fields["made"],
        "refusal": fields["refusal"],
    }
    reply = parse_reply(completion(message, fields["ending"]) | {"usage": fields["usage"]})
    items: list[Item] = [
        UserMessage("hi", "U1"),
        AssistantMessage(reply.message.text, reply.message.calls, 1),
        *(Result(1, i, "{}") for i in range(len(reply.message.calls))),
    ]
    check_request(to_messages(items, system="s", budget=60_000))


@given(
    made=st.lists(
        ANY
        | st.fixed_dictionaries(
            {"id": ANY, "type": ANY, "function": ANY | st.fixed_dictionaries({"name": ANY, "arguments": ANY})}
        ),
        max_size=4,
    )
)
@example(made=[{"function": {"name": "call_rest_api", "arguments": {"body": float("inf")}}}])  # 1e999, as an object
def test_tool_calls_of_every_kind_leave_a_transcript_that_servers_take(made: list[Any]) -> None:
    reply = parse_reply(completion({"role": "assistant", "content": None, "tool_calls": made}))
    assert len(reply.message.calls) == len(reply.arguments) == len(made)
    items: list[Item] = [
        UserMessage("hi", "U1"),
        AssistantMessage(reply.message.text, reply.message.calls, 1),
        *(Result(1, i, "{}") for i in range(len(made))),
    ]
    check_request(to_messages(items, system="s", budget=60_000))


# --- what goes out ----------------------------------------------------------------------------------------------------


def call(number: int, arguments: str = "{}") -> ToolCall:
    return ToolCall(f"call_{number}", "call_rest_api", arguments)


def test_results_stand_behind_their_calls_in_the_order_of_the_calls() -> None:
    items: list[Item] = [
        UserMessage("first", "U1"),
        AssistantMessage("", (call(0), call(1)), 5),
        Result(5, 1, "second result"),
        Result(5, 0, "first result"),
        AssistantMessage("Done.", (), 6),
    ]
    messages = to_messages(items, system="s", budget=1_000)
    assert [(m["role"], m["content"]) for m in messages] == [
        ("system", "s"),
        ("user", "first"),
        ("assistant", None),
        ("tool", "first result"),
        ("tool", "second result"),
        ("assistant", "Done."),
    ]


def test_a_result_that_came_after_later_words_stands_behind_its_call() -> None:
    items: list[Item] = [
        UserMessage("a", "U1"),
        AssistantMessage("", (call(0),), 5),
        UserMessage("b", "U1"),
        Result(5, 0, "late"),
    ]
    assert [m["role"] for m in to_messages(items, system="s", budget=1_000)] == [
        "system",
        "user",
        "assistant",
        "tool",
        "user",
    ]


def test_calls_of_two_replies_with_the_same_id_keep_their_own_results() -> None:
    items: list[Item] = [UserMessage("a", "U1")]
    for row in (5, 6):
        items += [AssistantMessage("", (call(0),), row), Result(row, 0, f"of {row}")]
    assert [m["content"] for m in to_messages(items, system="s", budget=1_000) if m["role"] == "tool"] == [
        "of 5",
        "of 6",
    ]


def test_open_calls_are_those_without_a_result() -> None:
    reply = AssistantMessage("", (call(0), call(1), call(2)), 5)
    assert open_calls([UserMessage("a", "U1"), reply, Result(5, 1, "{}")]) == [(reply, 0), (reply, 2)]


def test_the_oldest_results_go_first() -> None:
    items: list[Item] = [UserMessage("a", "U1")]
    for row in range(1, 6):
        items += [AssistantMessage("", (call(0),), row), Result(row, 0, f"{row}" * 3_000)]
    contents = [m["content"] for m in to_messages(items, system="s", budget=2_500) if m["role"] == "tool"]
    assert [content[0] for content in contents] == ["{", "{", "{", "4", "5"]
    assert all("removed to save room" in content for content in contents[:3])


def test_when_results_are_not_enough_whole_older_turns_go() -> None:
    items: list[Item] = []
    for row in range(1, 6):
        items += [UserMessage(f"question {row} " + "x" * 3_000, "U1"), AssistantMessage(f"answer {row}", (), row)]
    messages = to_messages([*items, UserMessage("the last", "U1")], system="s", budget=2_500)
    assert [m["content"][:10] for m in messages[1:]] == ["question 4", "answer 4", "question 5", "answer 5", "the last"]


def test_a_reply_with_many_large_results_fits_the_budget() -> None:
    """Thirty pages read in one reply are more than a model's window; the oldest of them give way as well."""
    made = tuple(call(i) for i in range(30))
    items: list[Item] = [
        UserMessage("all pages, please", "U1"),
        AssistantMessage("", made, 5),
        *(Result(5, i, "x" * 24_000) for i in range(30)),
    ]
    messages = to_messages(items, system="s", budget=60_000)
    check_request(messages)
    assert sum(bound(m["content"] or "") for m in messages) <= 60_000
    assert messages[-1]["content"] == "x" * 24_000


@st.composite
def transcripts(draw: st.DrawFn) -> list[Item]:
    items: list[Item] = []
    row = 0
    for _ in range(draw(st.integers(1, 5))):
        items.append(UserMessage(draw(st.text(max_size=200)), "U1"))
        for _ in range(draw(st.integers(0, 3))):
            row += 1
            made = tuple(
                call(i, json.dumps({"a": "y" * draw(st.integers(0, 300))})) for i in range(draw(st.integers(0, 4)))
            )
            items.append(AssistantMessage(draw(st.text(max_size=100)), made, row))
            order = draw(st.permutations(range(len(made))))
            items += [Result(row, i, "z" * draw(st.integers(0, 2_000))) for i in order]
    return [*items, UserMessage(draw(st.text(max_size=200)), "U1")]


@given(items=transcripts(), budget=st.integers(0, 5_000))
def test_however_it_is_trimmed_a_transcript_stays_one_that_servers_take(items: list[Item], budget: int) -> None:
    last = items[-1]
    assert isinstance(last, UserMessage)
    messages = to_messages(items, system="s", budget=budget)
    check_request(messages)
    assert messages[-1]["role"] == "user"
    assert messages[-1]["content"].endswith(broken_up(last.text))
    assert all(one["role"] != two["role"] or one["role"] == "tool" for one, two in pairwise(messages))
    size = sum(bound(m["content"] or "") for m in messages)
    assert size <= max(budget, bound("s") + bound(messages[-1]["content"]))


def test_trimming_changes_nothing_that_is_stored() -> None:
    items: list[Item] = [
        UserMessage("a", "U1"),
        AssistantMessage("", (call(0),), 1),
        Result(1, 0, "x" * 9_000),
        AssistantMessage("b", (), 2),
    ]
    to_messages(items, system="s", budget=10)
    assert items[2] == Result(1, 0, "x" * 9_000)


def test_what_is_kept_of_arguments_is_small() -> None:
    assert KEPT_ARGUMENTS == 8_192
