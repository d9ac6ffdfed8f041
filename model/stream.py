"""A streamed Chat Completions answer, put together chunk by chunk into the same object that an unstreamed one is.

The server is untrusted: every field may be missing, null or of another type; what is not understood is passed over.
Format: https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from base.json_text import dumps, loads
from catalog.calls import MAX_ARGUMENTS
from model.opaque_members import OpaqueMembers, Room, added_to_call, added_to_message, joined

DONE = "[DONE]"  # how a server says that nothing follows
MAX_PIECES = 2_000_000  # characters of text and arguments that are kept of one answer
_MAX_CALLS = 256  # tool calls of one answer that are kept; more are not looked at anyway
_LOOKS = 20  # at a call's arguments, whether they are whole


@dataclass
class _Held:
    """One tool call as far as it has come in."""

    index: int
    added: OpaqueMembers
    added_inside: OpaqueMembers
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    size: int = 0  # of its arguments
    looks: int = _LOOKS
    is_another: bool = False  # it began where one before was whole, and nothing but that says so

    def is_complete(self) -> bool:
        """Whether its arguments are a whole JSON object already. Not looked at for ever, since that costs their length each time."""
        self.looks -= 1
        return self.looks >= 0 and is_object(self.arguments_text)

    @property
    def arguments_text(self) -> str:
        return joined(self.arguments)

    def whole(self) -> dict[str, Any]:
        function = {**self.added_inside.whole(), "name": self.name, "arguments": self.arguments_text}
        return {**self.added.whole(), "id": self.id, "type": "function", "function": function}


class Assembly:
    """One answer while it is coming in."""

    def __init__(self) -> None:
        self.ending: str | None = None
        self.is_whole = False
        self.is_calling = False  # the answer makes tool calls, so that its text is no answer
        self.is_beyond = False  # a call's arguments are longer than anybody takes: there is no use in hearing the rest
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_Held] = []
        self._usage: object = None
        self._room = MAX_PIECES
        self._is_any = False
        self._opaque = Room()
        self._added = OpaqueMembers(self._opaque, is_streamed=True)
        self._parts = OpaqueMembers(
            self._opaque, is_streamed=True
        )  # the content, where it comes as parts that are not all text
        self._is_in_parts = False

    def add(self, chunk: object) -> str:
        """Takes one chunk in; gives the text that it adds to the answer."""
        if chunk == DONE:
            self.is_whole = True
        if not isinstance(chunk, dict):
            return ""
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index") not in (None, 0):
            return ""
        self._is_any = True
        if isinstance(choice.get("finish_reason"), str):
            self.ending = choice["finish_reason"]
            self.is_whole = True
        delta = choice.get("delta") or choice.get("message")  # some servers stream whole messages
        return self._piece(delta if isinstance(delta, dict) else {})

    def _piece(self, delta: Mapping[str, Any]) -> str:
        self._refusal.append(self._bounded(delta.get("refusal")))
        added_to_message(self._added, delta)
        made = delta.get("tool_calls")
        for call in made if isinstance(made, list) else ():
            if isinstance(call, dict):
                self._call(call)
        if isinstance(delta.get("function_call"), dict):  # what tool_calls were called before
            self._call({"index": 0, "function": delta["function_call"]})
        content = delta.get("content")
        self._keep_parts(content)
        parts = content if isinstance(content, list) else [{"text": content}]  # some servers send a list of parts
        text = "".join(map(self._bounded, texts(parts)))
        self._text.append(text)
        return text

    def _keep_parts(self, content: object) -> None:
        """Parts that are no text, such as Mistral's thoughts, have to go back between the text as they came."""
        if isinstance(content, str) and content and self._is_in_parts:
            self._parts.add({"content": [{"type": "text", "text": content}]})
        elif isinstance(content, list):
            before = [{"type": "text", "text": self.text}] if not self._is_in_parts and self.text else []
            self._parts.add({"content": [*before, *content]})
            self._is_in_parts = True

    def _call(self, call: Mapping[str, Any]) -> None:
        self.is_calling = True
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        held = self._held(
            call.get("index"), call.get("id"), is_named=bool(function.get("name")), is_more=_is_more(function)
        )
        if held is None:
            return
        added_to_call(held.added, held.added_inside, call)
        name, arguments = function.get("name"), function.get("arguments")
        held.id = held.id or self._bounded(call.get("id"))
        held.name += self._bounded(name) if name != held.name else ""  # some servers repeat it with each piece
        piece = self._bounded(dumps(arguments) if isinstance(arguments, dict) else arguments)
        held.arguments.append(piece)
        held.size += len(piece)
        self.is_beyond = self.is_beyond or held.size > MAX_ARGUMENTS

    def _held(self, index: object, call_id: object, *, is_named: bool, is_more: bool) -> _Held | None:
        """The call that a piece goes on with, or a new one; None where there are too many already.

        Some servers leave the index out, and some give the same one to all: there a new id, or a name where no id is, begins a call.
        Where neither is there, the next arguments do (`is_more`: the piece brings such), once those before are whole.
        """
        of_index = [held for held in self._calls if not isinstance(index, int) or held.index == index]
        if isinstance(call_id, str) and call_id:
            found = next((held for held in of_index if held.id == call_id), None)
            if found is None and of_index and isinstance(index, int) and not of_index[-1].id:
                found = of_index[-1]
        else:
            begins = is_named and (
                not isinstance(index, int) or (is_more and bool(of_index) and of_index[-1].is_complete())
            )
            found = of_index[-1] if of_index and not begins else None
        if found is None and len(self._calls) < _MAX_CALLS:
            beside, inside = (
                OpaqueMembers(self._opaque, is_streamed=True),
                OpaqueMembers(self._opaque, is_streamed=True),
            )
            found = _Held(index if isinstance(index, int) else len(self._calls), beside, inside)
            found.is_another = bool(of_index) and not call_id
            self._calls.append(found)
        return found

    def _bounded(self, value: object) -> str:
        piece = value[: self._room] if isinstance(value, str) else ""
        self._room -= len(piece)
        return piece

    @property
    def text(self) -> str:
        """The text so far."""
        return joined(self._text)

    def whole(self) -> dict[str, Any]:
        """The answer as an unstreamed one would be; without choices where nothing usable came."""
        if not self._is_any:
            return {}
        calls = [held.whole() for held in sorted(_once(self._calls), key=lambda held: held.index)]
        parts = self._parts.whole().get("content", [])
        message: dict[str, Any] = {
            **self._added.whole(),
            "role": "assistant",
            "content": parts if any(map(_is_other, parts)) else self.text or None,
            "refusal": joined(self._refusal) or None,
        }
        message |= {"tool_calls": calls} if calls else {}
        return {"choices": [{"index": 0, "message": message, "finish_reason": self.ending}], "usage": self._usage}

    @property
    def lost(self) -> frozenset[str]:
        """The names of added members that had no room."""
        return frozenset(self._opaque.lost)


def _once(calls: Iterable[_Held]) -> Iterator[_Held]:
    """The calls without those that are the one before again: some servers send a call in pieces and then whole."""
    before: _Held | None = None
    for held in calls:
        is_same = before is not None and before.name == held.name and before.arguments_text == held.arguments_text
        if not (held.is_another and is_same):
            yield held
        before = held


def _is_more(function: Mapping[str, Any]) -> bool:
    arguments = function.get("arguments")
    return isinstance(arguments, dict) or (isinstance(arguments, str) and arguments.lstrip().startswith("{"))


def is_object(text: str) -> bool:
    """Whether a text is one JSON object."""
    if not text.rstrip().endswith("}"):
        return False
    try:
        return isinstance(loads(text, odd=str), dict)
    except (ValueError, RecursionError):
        return False


def texts(parts: Iterable[object]) -> Iterator[object]:
    """The text of each part of a content that is text; thoughts are not."""
    return (part.get("text") for part in parts if isinstance(part, dict) and not _is_other(part))


def _is_other(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") not in (None, "text", "output_text")


def events(lines: Iterable[str]) -> Iterator[object]:
    """The JSON of each server-sent event in a stream's lines, at the end `DONE`; what is no JSON is passed over.

    https://html.spec.whatwg.org/multipage/server-sent-events.html, of which chat servers use `data:` alone. An event may have several
    such lines; one that is JSON by itself does not wait for the blank line that ends it.
    """
    parts: list[str] = []
    for number, line in enumerate(chain(lines, [""])):
        line = line.removeprefix("\ufeff") if number == 0 else line
        if not line:
            yield from _json("\n".join(parts)) or [one for part in parts for one in _json(part)]
            parts = []
        elif line.startswith("data:"):
            parts.append(line[5:].strip())
            if parts == [DONE]:
                yield DONE
                return
            if len(parts) == 1 and (found := _json(parts[0])):
                yield from found
                parts = []


def _json(text: str) -> list[object]:
    """What a text says, where it is JSON."""
    try:
        return [loads(text, odd=str)]
    except (ValueError, RecursionError):
        return []
