"""What a model server answered, read without trust: its words, its calls, and how it ended."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import count as count_up
from typing import Any

from base.json_text import digest, dumps, loads
from base.utf8 import encodable
from catalog.bad_call import BadCall
from catalog.calls import parse_arguments
from model.opaque_members import kept
from model.reply_endings import CUT, meaning
from model.special_tokens import arguments_together, put_together
from model.stream import texts
from model.text_calls import called_in, once, own_name, tries_to_call
from model.thoughts import Parted, parted
from store.transcript import AssistantMessage, ToolCall, Usage

KEPT_ARGUMENTS = 8_192  # characters of a call's arguments that the transcript keeps; longer ones become {} there

MAX_CALLS = 32  # calls of one reply that are looked at

MAX_ANSWER = 200_000  # characters of an answer that are kept

UNKEPT = "[The arguments of call {number} were no JSON object or too long to be kept here.]"

UNSEEN = "[Of these {made} calls only the first {seen} were looked at. Make the others again.]"


@dataclass(frozen=True)
class Reply:
    """A model server's answer. `said` is for the transcript, `words` for people; `arguments` are as they came."""

    message: AssistantMessage
    words: str
    arguments: tuple[object, ...]
    ending: str
    refusal: str
    usage: Usage
    lost: frozenset[str] = frozenset()  # what the server added and had no room
    mended: tuple[str, ...] = ()  # what was not as it should be and could be read all the same
    is_call_as_text: bool = False  # its words are a call that could not be read
    is_thinking_aloud: bool = False  # that its text began with thoughts could be seen only when they ended


class BadReply(Exception):
    """The model server's answer is none. Its text is for the log and, shortened, for the person."""


def parse_reply(data: object, tools: Collection[str] = ()) -> Reply:
    """The reply in a Chat Completions answer, its thoughts cut from its words, its special tokens put together again. Every field may be
    missing, null or of another type. `tools` are the names of ours: a text that calls one of them is that call. Raises `BadReply`."""
    choices = data.get("choices") if isinstance(data, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(data, dict) or not isinstance(choice, dict) or not isinstance(message, dict):
        raise BadReply("it has no choices with a message")
    came = _words(message.get("content"))
    thoughts = parted(came)
    made = _made(message)
    words, as_text = (thoughts.words, []) if made else called_in(thoughts.words, tools)
    taken = made or as_text
    calls = [_called(call) for call in taken[:MAX_CALLS]]
    whole, refusal = put_together(words), put_together(_text(message.get("refusal")))
    text = whole[:MAX_ANSWER]
    is_cut = max(len(whole), len(refusal)) > MAX_ANSWER and not calls
    notes = "".join(f"\n{note}" for note in _notes([(called, raw) for called, raw, _ in calls], len(taken)))
    before = came[: len(came) - len(thoughts.words)] + words if as_text else came
    opaque, lost = kept(message, taken[:MAX_CALLS], _came(message.get("content"), before, thoughts, notes))
    mended = [mend for _, _, mends in calls for mend in mends] + (["a call written as text"] if as_text else [])
    return Reply(
        message=AssistantMessage(text + notes, _with_own_ids([called for called, _, _ in calls]), opaque=opaque),
        words=text,
        arguments=tuple(arguments for _, arguments, _ in calls),
        ending=CUT if is_cut else _text(choice.get("finish_reason")),
        refusal=refusal[:MAX_ANSWER],
        usage=_usage(data.get("usage")),
        lost=lost,
        mended=tuple(dict.fromkeys(mended)),
        is_call_as_text=not taken and bool(tools) and tries_to_call(words),
        is_thinking_aloud=thoughts.is_lone,
    )


def _made(message: dict[str, Any]) -> list[Any]:
    """The calls that a message makes, also as they were written before there could be several."""
    raw, before = message.get("tool_calls"), message.get("function_call")
    made = raw if isinstance(raw, list) else []
    return made or ([{"function": before}] if isinstance(before, dict) else [])


def _came(content: object, text: str, thoughts: Parted, notes: str) -> object:
    """The content as it goes back within the turn, where that is not its words alone: thoughts and all. Or None."""
    if isinstance(content, list) and len(list(texts(content))) < len(content):
        return [*content, {"type": "text", "text": notes.strip()}] if notes else content
    return text + notes if thoughts.has_thoughts else None


def _called(call: object) -> tuple[ToolCall, object, list[str]]:
    """A call as it is kept, its arguments as they were meant, and what had to be mended."""
    function = call.get("function") if isinstance(call, dict) else None
    function = function if isinstance(function, dict) else {}
    came = function.get("arguments")
    arguments = arguments_together(once(came))
    if arguments is None:
        arguments = ""
    call_id = _text(call.get("id")) if isinstance(call, dict) else ""
    said = _text(function.get("name"))[:200]
    name = own_name(said)
    mended = ["the name of a tool"] * (name != said) + ["arguments"] * (once(came) != came)
    return ToolCall(call_id, name, _kept(arguments), call_key(name, arguments)), arguments, mended


def call_key(name: str, raw: object) -> str:
    """A digest that is the same for calls that mean the same: body as text or object, method in capitals or not."""
    try:
        arguments = parse_arguments(raw)
    except BadCall:
        return digest([name, raw])
    if name != "call_rest_api":
        return digest([name, arguments])
    method, body = arguments.get("method"), arguments.get("body")
    if isinstance(body, str):
        with contextlib.suppress(ValueError, RecursionError):
            body = loads(body)
    return digest([name, method.upper() if isinstance(method, str) else method, arguments.get("url"), body])


def _kept(arguments: object) -> str:
    """The arguments as later requests may carry them: what is no JSON object, or long, becomes `{}`."""
    if isinstance(arguments, str) and len(arguments) > KEPT_ARGUMENTS:
        return "{}"
    try:
        parsed = parse_arguments(arguments)
        dumps(parsed, ensure_ascii=False).encode()
    except (BadCall, UnicodeError, RecursionError):
        return "{}"
    try:
        kept = arguments if isinstance(arguments, str) else dumps(parsed, allow_nan=False)
    except ValueError:
        return "{}"
    return kept if len(kept) <= KEPT_ARGUMENTS else "{}"


def _notes(calls: Sequence[tuple[ToolCall, object]], made: int) -> list[str]:
    """What the transcript says about arguments and calls that it does not hold."""
    lost = [i for i, (called, raw) in enumerate(calls, start=1) if called.arguments == "{}" and raw not in ("{}", {})]
    notes = [UNKEPT.format(number=number) for number in lost]
    return [*notes, UNSEEN.format(made=made, seen=MAX_CALLS)] if made > MAX_CALLS else notes


def _with_own_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Ids that are none, too long, or repeat in one reply are replaced: servers refuse them."""
    count = Counter(call.id for call in calls)
    taken = {call.id for call in calls if count[call.id] == 1 and _is_id(call.id)}
    own = []
    for i, call in enumerate(calls):
        chosen = call.id
        if chosen not in taken:
            chosen = next(name for j in count_up() if (name := f"call_{i}_{j}" if j else f"call_{i}") not in taken)
            taken.add(chosen)
        own.append(replace(call, id=chosen))
    return tuple(own)


def _is_id(text: str) -> bool:
    return re.fullmatch(r"[!-~]{1,64}", text) is not None


def _words(content: object) -> str:
    """Text content, also where a server sends it as a list of parts."""
    return "".join(map(_text, texts(content))) if isinstance(content, list) else _text(content)


def _text(value: object) -> str:
    return encodable(value) if isinstance(value, str) else ""


def is_empty(reply: Reply) -> bool:
    """Whether a reply says nothing and calls nothing, for no reason that another try would not change."""
    is_silent = not (reply.message.calls or reply.words.strip() or reply.refusal.strip())
    return is_silent and meaning(reply.ending) in ("whole", "unknown")


def _usage(value: object) -> Usage:
    """Tokens as OpenAI's two APIs count them; DeepSeek and Anthropic say elsewhere what came from the cache."""

    def count(*names: str, of: object = value) -> int:
        numbers = (of.get(name) if isinstance(of, dict) else None for name in names)
        return next((one for one in numbers if isinstance(one, int) and 0 <= one < 10**7), 0)

    def within(*names: str) -> object:
        return next((value[name] for name in names if isinstance(value, dict) and value.get(name)), None)

    asked, said = (
        within(f"{one}_tokens_details", f"{other}_tokens_details")
        for one, other in (("prompt", "input"), ("completion", "output"))
    )
    return Usage(
        count("prompt_tokens", "input_tokens"),
        count("completion_tokens", "output_tokens"),
        count("cached_tokens", of=asked) or count("prompt_cache_hit_tokens", "cache_read_input_tokens"),
        count("reasoning_tokens", of=said),
    )
