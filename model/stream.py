"""A streamed Chat Completions answer, put together chunk by chunk into the same object that an unstreamed one is.

The server is untrusted: every field may be missing, null or of another type; what is not understood is passed over.
Format: https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from base.json_text import dumps, loads

DONE = "[DONE]"  # how a server says that nothing follows
MAX_PIECES = 2_000_000  # characters of text and arguments that are kept of one answer
_MAX_CALLS = 256  # tool calls of one answer that are kept; more are not looked at anyway


@dataclass
class _Held:
    """One tool call as far as it has come in."""

    index: int
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Assembly:
    """One answer while it is coming in."""

    def __init__(self) -> None:
        self.ending: str | None = None
        self.is_whole = False
        self.is_calling = False  # the answer makes tool calls, so that its text is no answer
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_Held] = []
        self._usage: object = None
        self._room = MAX_PIECES
        self._is_any = False

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
        made = delta.get("tool_calls")
        for call in made if isinstance(made, list) else ():
            if isinstance(call, dict):
                self._call(call)
        content = delta.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]  # some servers send a list of parts
        text = "".join(self._bounded(part.get("text")) for part in parts if isinstance(part, dict))
        self._text.append(text)
        return text

    def _call(self, call: Mapping[str, Any]) -> None:
        self.is_calling = True
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        held = self._held(call.get("index"), call.get("id"), is_named=bool(function.get("name")))
        if held is None:
            return
        name, arguments = function.get("name"), function.get("arguments")
        held.id = held.id or self._bounded(call.get("id"))
        held.name += self._bounded(name) if name != held.name else ""  # some servers repeat it with each piece
        held.arguments.append(self._bounded(dumps(arguments) if isinstance(arguments, dict) else arguments))

    def _held(self, index: object, call_id: object, *, is_named: bool) -> _Held | None:
        """The call that a piece goes on with, or a new one; None where there are too many already.

        Some servers leave the index out, and some give the same one to all: there a new id, or a name where no id is, begins a call.
        """
        of_index = [held for held in self._calls if not isinstance(index, int) or held.index == index]
        if isinstance(call_id, str) and call_id:
            found = next((held for held in of_index if held.id == call_id), None)
            if found is None and of_index and isinstance(index, int) and not of_index[-1].id:
                found = of_index[-1]
        else:
            begins = is_named and not isinstance(index, int)
            found = of_index[-1] if of_index and not begins else None
        if found is None and len(self._calls) < _MAX_CALLS:
            found = _Held(index if isinstance(index, int) else len(self._calls))
            self._calls.append(found)
        return found

    def _bounded(self, value: object) -> str:
        piece = value[: self._room] if isinstance(value, str) else ""
        self._room -= len(piece)
        return piece

    @property
    def text(self) -> str:
        """The text so far."""
        return _joined(self._text)

    def whole(self) -> dict[str, Any]:
        """The answer as an unstreamed one would be; without choices where nothing usable came."""
        if not self._is_any:
            return {}
        calls = [
            {"id": held.id, "type": "function", "function": {"name": held.name, "arguments": _joined(held.arguments)}}
            for held in sorted(self._calls, key=lambda held: held.index)
        ]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.text or None,
            "refusal": _joined(self._refusal) or None,
        }
        message |= {"tool_calls": calls} if calls else {}
        return {"choices": [{"index": 0, "message": message, "finish_reason": self.ending}], "usage": self._usage}


def _joined(pieces: Iterable[str]) -> str:
    """Pieces as one text. Where a character was cut into the two halves that JSON writes it in, they become one again."""
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def events(lines: Iterable[str]) -> Iterator[object]:
    """The JSON of each server-sent event in a stream's lines, at the end `DONE`; what is no JSON is passed over.

    https://html.spec.whatwg.org/multipage/server-sent-events.html, of which chat servers use `data:` alone.
    """
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == DONE:
            yield DONE
            return
        try:
            yield loads(data, odd=str)
        except (ValueError, RecursionError):
            continue
