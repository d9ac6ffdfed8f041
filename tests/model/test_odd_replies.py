"""Thoughts in the text, calls as text, arguments said twice: what a reply was meant to be."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.learnt_limits import smaller
from model.replies import parse_reply
from model.responses_api import ResponseAssembly, completion_of
from model.special_tokens import broken_up
from model.stream import Assembly
from model.text_calls import called_in, may_become_call, once, own_name, tries_to_call
from model.thoughts import around_thoughts, parted
from tests.harness.bot_parts import completion, says
from tests.harness.cases import each_row

TOOLS = ["call_rest_api", "read_result"]
ARGUMENTS = '{"method":"GET","url":"/x"}'
CALL = f'{{"name":"call_rest_api","arguments":{ARGUMENTS}}}'


@each_row(
    "text, words",
    [
        ("<think>a\nb</think>\n\nHi", "Hi"),
        ("<think></think>Hi", "Hi"),
        ("<thinking>a</thinking> <think>b</think> Hi", "Hi"),
        ("\n <think>a</think>Hi", "Hi"),
        ("I see.</think>Hi", "Hi"),
        ("I see.\n</think>\n\nHi", "Hi"),
        ("<think>never ends", ""),
        ("<thi", ""),
        ("[THINK]a[/THINK]Hi", "Hi"),
        ("\u25c1think\u25b7a\u25c1/think\u25b7Hi", "Hi"),
        ("Hi.\n<think>a</think>\nHo.", "Hi.\n\nHo."),
        ("Use `<think>` and `</think>`.", "Use `<think>` and `</think>`."),
        ("```\n<think>a</think>\n```", "```\n<think>a</think>\n```"),
        ("Is 1 < 2?", "Is 1 < 2?"),
        ("", ""),
    ],
)
def test_thoughts_are_told_apart(text: str, words: str) -> None:
    assert parted(text).words == words


def test_an_apis_data_cannot_pass_for_the_end_of_thoughts() -> None:
    came = f"The note says {broken_up('</think>')} and more."
    reply = parse_reply(says(came))
    assert reply.words == "The note says </think> and more."
    assert reply.message.opaque == ""


def test_only_the_tags_of_thoughts_stay_whole_in_what_goes_back() -> None:
    text = "<think>Quote <|im_end|></think>Hi <s>"
    assert around_thoughts(text, broken_up) == "<think>Quote <._.|im_end|></think>Hi <._.s>"


@each_row(
    "text",
    [
        CALL,
        f"```json\n{CALL}\n```",
        f"<tool_call>{CALL}</tool_call>",
        f"<tool_call>\n{CALL}\n",
        f"[TOOL_CALLS][{CALL}]",
        f"<function=call_rest_api>{ARGUMENTS}</function>",
        "<tool_call>\n<function=call_rest_api>\n<parameter=method>\nGET\n</parameter>\n<parameter=url>\n/x\n</parameter>\n</function>\n</tool_call>",
        f'{{"name":"functions.call_rest_api","parameters":{ARGUMENTS}}}',
        f'{{"type":"function","function":{{"name":"call_rest_api","arguments":{json.dumps(ARGUMENTS)}}}}}',
    ],
)
def test_a_text_that_is_a_call_is_taken_as_one(text: str) -> None:
    words, made = called_in(text, TOOLS)
    assert words == ""
    assert [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in made] == [
        ("call_rest_api", {"method": "GET", "url": "/x"})
    ]
    assert may_become_call(text[:3]) or text.startswith("```")


def test_words_before_a_tag_stand_beside_the_call() -> None:
    words, made = called_in(f"Let me look.\n<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>", TOOLS)
    assert (words, len(made)) == ("Let me look.", 2)


@each_row(
    "text",
    [
        '{"name":"Ann","age":7}',
        '{"name":"rm","arguments":{}}',
        f"Here it is: {CALL}",
        f"{CALL} and more",
        f'{{"name":"call_rest_api","arguments":{ARGUMENTS},"more":1}}',
        f"`<tool_call>{CALL}</tool_call>`",
        f"<tool_call>{CALL}</tool_call> and more",
        '<tool_call>{"name":"call_rest_api","arguments":[1]}</tool_call>',
        "[1, 2]",
        "",
    ],
)
def test_what_is_not_exactly_a_call_of_ours_is_none(text: str) -> None:
    assert called_in(text, TOOLS)[1] == []


def test_an_apis_tag_within_an_answer_is_no_call() -> None:
    note = broken_up(f"<tool_call>{CALL}</tool_call>")
    reply = parse_reply(says(note), TOOLS)
    assert (reply.message.calls, reply.is_call_as_text) == ((), False)


@pytest.mark.parametrize(
    "text", ["<tool_call>{broken", "<|tool_call>x", "[TOOL_CALLS]x", '{"name":"rm","arguments":{}}']
)
def test_a_try_that_cannot_be_read_is_known_as_one(text: str) -> None:
    assert tries_to_call(text)
    assert parse_reply(says(text), TOOLS).is_call_as_text


@each_row(
    "came, meant",
    [
        (ARGUMENTS * 2, ARGUMENTS),
        (f"{ARGUMENTS} {ARGUMENTS}", ARGUMENTS),
        (f'{ARGUMENTS}""', ARGUMENTS),
        (json.dumps(ARGUMENTS), ARGUMENTS),
        (json.dumps(json.dumps(ARGUMENTS)), ARGUMENTS),
        (ARGUMENTS + '{"method":"PUT"}', ARGUMENTS + '{"method":"PUT"}'),
        ('"text"', '"text"'),
        ('{"n":1.10}{"n":1.10}', '{"n":1.10}'),
        ("{", "{"),
        ("", ""),
        (None, None),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_arguments_are_read_once(came: object, meant: object) -> None:
    assert once(came) == meant


@pytest.mark.parametrize(("second", "made"), [(ARGUMENTS, 1), ('{"method":"GET","url":"/y"}', 2)])
def test_a_call_that_comes_twice_under_one_index_is_one_and_two_others_are_two(second: str, made: int) -> None:
    assembly = Assembly()
    for arguments in (ARGUMENTS, second):
        piece = {"index": 0, "id": "", "function": {"name": "call_rest_api", "arguments": arguments}}
        assembly.add({"choices": [{"delta": {"tool_calls": [piece]}}]})
    assert len(parse_reply(assembly.whole(), TOOLS).message.calls) == made


def test_what_was_mended_is_told() -> None:
    message = {"tool_calls": [{"function": {"name": "functions.call_rest_api", "arguments": ARGUMENTS * 2}}]}
    reply = parse_reply(completion(message), TOOLS)
    assert (reply.message.calls[0].name, reply.arguments) == ("call_rest_api", (ARGUMENTS,))
    assert reply.mended == ("the name of a tool", "arguments")
    assert own_name("default_api:x") == "x"


@each_row(
    "text",
    [
        '""' * 100_000,
        "{}" * 100_000,
        "{}" + '""' * 100_000,
        "<tool_call>" * 20_000,
        "<parameter=a>" * 20_000,
        "```json\n" + "\n" * 200_000,
        "</think>`" * 50_000,
        "`</think>\n" * 50_000,
        "\n<think>" * 50_000,
        "[" * 200_000,
        "<function=a>" + "<parameter=a></parameter>" * 9_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    parse_reply(says(text), TOOLS)
    parse_reply(completion({"tool_calls": [{"function": {"name": "x", "arguments": text}}]}), TOOLS)
    parted(text)
    may_become_call(text)
    assert time.process_time() - began < 5


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "item", "output", "content", "text", "delta", "output_index", "response", "arguments", "call"]
            ),
            inner
            | st.sampled_from(
                ["function_call", "message", "reasoning", "response.output_item.done", "response.completed"]
            ),
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.lists(JSON, max_size=6))
def test_no_event_makes_a_response_fail(events: list[Any]) -> None:
    assembly = ResponseAssembly()
    texts = [assembly.add(one) for one in events]
    assert assembly.text == "".join(texts)
    json.dumps(assembly.whole())
    for one in events:
        json.dumps(completion_of(one))


@each_row(
    "said, limit",
    [
        ("This model's maximum context length is 8192 tokens. However, your messages resulted in 20000 tokens.", 8192),
        (
            "This model's maximum context length is 4097 tokens, however you requested 5000 tokens (1000 in your prompt)",
            4097,
        ),
        ("prompt is too long: 215000 tokens > 200000 maximum", 200_000),
        ("the request exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 1_048_576),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            32_768,
        ),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. ConditionInput: 5000 `inputs` tokens", 4096),
    ],
)
def test_a_named_window_is_what_is_tried_first(said: str, limit: int) -> None:
    size = limit * 3
    budget = next(smaller(10**9, size, said))
    assert limit // 3 <= budget < size
    assert next(smaller(10**9, size, "Input is too long.")) == size // 2


@pytest.mark.parametrize(("member", "other"), [("content", "refusal"), ("refusal", "content")])
@pytest.mark.parametrize(("length", "kept", "ending"), [(200_000, 200_000, "stop"), (200_001, 200_000, "length")])
def test_what_is_too_long_to_be_kept_counts_as_cut(
    member: str, other: str, length: int, kept: int, ending: str
) -> None:
    message = {"role": "assistant", member: "x" * length, other: None}
    reply = parse_reply({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert len(reply.words or reply.refusal) == kept
    assert reply.ending == ending
