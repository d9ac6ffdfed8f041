"""A streamed Chat Completions answer, put together chunk by chunk into the same object that an unstreamed one is.

The server is untrusted: every field may be missing, null or of another type; what is not understood is passed over.
Format: https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

DONE = "[DONE]"  # how a server says that nothing follows
MAX_PIECES = 2_000_000  # characters of text and arguments that are kept of one answer
_MAX_CALLS = 256  # tool calls of one answer that are kept; more are not looked at anyway


class Assembly:
    """One answer while it is coming in."""

    def __init__(self) -> None:
        self.ending: str | None = None
        self.is_whole = False
        self.is_calling = False  # the answer makes tool calls, so that its text is no answer
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
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
        for place, call in enumerate(made if isinstance(made, list) else ()):
            self._call(place, call)
        text = self._bounded(delta.get("content"))
        self._text.append(text)
        return text

    def _call(self, place: int, call: object) -> None:
        if not isinstance(call, dict):
            return
        self.is_calling = True
        index = call.get("index")
        index = index if isinstance(index, int) else self._index_of(call.get("id"), place)
        if index not in self._calls and len(self._calls) >= _MAX_CALLS:
            return
        held = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        held["id"] = held["id"] or self._bounded(call.get("id"))
        held["name"] += self._bounded(function.get("name"))
        held["arguments"] += self._bounded(function.get("arguments"))

    def _index_of(self, call_id: object, place: int) -> int:
        """Some servers leave the index out: a new id is a new call, no id goes on with the last one."""
        if not isinstance(call_id, str) or not call_id:
            return max(self._calls, default=place)
        return next((i for i, held in self._calls.items() if held["id"] == call_id), len(self._calls))

    def _bounded(self, value: object) -> str:
        piece = value[: self._room] if isinstance(value, str) else ""
        self._room -= len(piece)
        return piece

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._text)

    def whole(self) -> dict[str, Any]:
        """The answer as an unstreamed one would be; without choices where nothing usable came."""
        if not self._is_any:
            return {}
        calls = [
            {"id": held["id"], "type": "function", "function": {"name": held["name"], "arguments": held["arguments"]}}
            for _, held in sorted(self._calls.items())
        ]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.text or None,
            "refusal": "".join(self._refusal) or None,
        }
        message |= {"tool_calls": calls} if calls else {}
        return {"choices": [{"index": 0, "message": message, "finish_reason": self.ending}], "usage": self._usage}


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
            yield json.loads(data)
        except (ValueError, RecursionError):
            continue
