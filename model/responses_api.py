"""OpenAI's Responses API in the words of Chat Completions: a request's messages as its items, its streamed events as a completion.

Its server is told to store nothing, so whatever it needs again is in the request: a reply's items, the encrypted reasoning among
them, are kept as they came with the reply (opaque_members.py) and go back in their order, each reasoning item before what followed it.
https://platform.openai.com/docs/api-reference/responses, https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalog.calls import MAX_ARGUMENTS
from model.opaque_members import joined
from model.stream import DONE, MAX_PIECES

ITEMS = "response_items"  # the member of a message that holds the items of its reply
_ENCRYPTED = "reasoning.encrypted_content"
_MAX_ITEMS = 256  # of one answer
_ENDS = ("response.completed", "response.incomplete", "response.done")
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
_NAMES = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
}  # what options are called here
_WITHIN = {
    "reasoning_effort": ("reasoning", "effort"),
    "verbosity": ("text", "verbosity"),
    "response_format": ("text", "format"),
}
_OWN = ("input", "instructions", "store")  # what is said here, whatever the options say
_LEFT_OUT = (
    "stream_options",
    "n",
    "stop",
    "seed",
    "logit_bias",
    "frequency_penalty",
    "presence_penalty",
)  # not known here


# --- what goes out ----------------------------------------------------------------------------------------------------


def request_of(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
    *,
    encrypted: bool = True,
) -> dict[str, Any]:
    """The request with these messages. `encrypted`: the reasoning is asked for, so that it can go back; some models have none."""
    system = "\n\n".join(str(one["content"]) for one in messages if one["role"] == "system")
    request: dict[str, Any] = {
        "model": model,
        "instructions": system,
        "input": [item for one in messages for item in _items(one)],
        "store": False,
    }
    request |= {"include": [_ENCRYPTED]} if encrypted else {}
    request |= {"tools": [_tool(one) for one in tools]} if tools else {}
    return _with(request, options)


def _with(request: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """With the operator's options, which are written as Chat Completions has them, or as this API has."""
    for name, value in options.items():
        if name in _WITHIN:
            outer, inner = _WITHIN[name]
            before = request.get(outer)
            request[outer] = {**(before if isinstance(before, dict) else {}), inner: value}
        elif isinstance(value, dict) and isinstance(request.get(name), dict):
            request[name] = {**request[name], **value}
        elif name == "include" and isinstance(value, list):
            request[name] = [*dict.fromkeys([*request.get("include", []), *value])]
        elif name not in _OWN and name not in _LEFT_OUT:
            request[_NAMES.get(name, name)] = value
    return request


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool["function"]  # strict: what that is by default here would have each parameter required
    return {"type": "function", **{name: function[name] for name in function if name != "strict"}, "strict": False}


def _items(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    match message["role"]:
        case "system":
            return
        case "tool":
            yield {
                "type": "function_call_output",
                "call_id": message["tool_call_id"],
                "output": message["content"],
            }
        case "assistant":
            yield from _reply_items(message)
        case role:
            yield {"type": "message", "role": role, "content": message["content"]}


def _reply_items(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A reply's items: those that were kept, in their order and with the calls as the transcript has them; else made of the message."""
    made = [_call(one) for one in message.get("tool_calls", ())]
    kept = message.get(ITEMS)
    if not isinstance(kept, list) or not _fits(kept, len(made)):
        if message.get("content"):
            yield {"type": "message", "role": "assistant", "content": message["content"]}
        yield from made
        return
    for item in kept:
        if item.get("type") == "function_call":
            yield {**item["item"], **made[item["call"]]}
        elif item.get("type") != "reasoning" or item.get("encrypted_content") or item.get("content"):
            yield item  # a reasoning item with nothing in it would be looked for among what the server stored


def _fits(kept: Sequence[Any], calls: int) -> bool:
    if not all(isinstance(item, dict) for item in kept):
        return False
    made = [item for item in kept if item.get("type") == "function_call"]
    return [one.get("call") for one in made] == [*range(calls)] and all(
        isinstance(one.get("item"), dict) for one in made
    )


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "type": "function_call",
        "call_id": call["id"],
        "name": function["name"],
        "arguments": function["arguments"],
    }


# --- what comes back --------------------------------------------------------------------------------------------------


class ResponseAssembly:
    """One streamed answer while it is coming in: the same face as `core.chunks.Assembly`."""

    def __init__(self) -> None:
        self.is_whole = False
        self.is_calling = False
        self.is_beyond = False
        self._room = MAX_PIECES
        self._text: list[str] = []
        self._sizes: dict[object, int] = {}  # of the arguments of each item that is being written
        self._name: object = ""  # of the latest call
        self._items: dict[int, dict[str, Any]] = {}
        self._response: Mapping[str, Any] = {}

    def add(self, event: object) -> str:
        """Takes one event in; gives the text that it adds to the answer."""
        if event == DONE:
            self.is_whole = self.is_whole or bool(self._items)
        if not isinstance(event, dict):
            return ""
        kind = str(event.get("type"))
        if kind in _ENDS:
            self.is_whole = True
            self._response = event["response"] if isinstance(event.get("response"), dict) else {}
        elif kind == "response.output_text.delta":
            return self._hear(event.get("delta"))
        elif kind == "response.function_call_arguments.delta":
            self._count(event)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._item(event, is_done=kind.endswith("done"))
        return ""

    def _hear(self, delta: object) -> str:
        piece = delta[: self._room] if isinstance(delta, str) else ""
        self._room -= len(piece)
        self._text.append(piece)
        return piece

    def _count(self, event: Mapping[str, Any]) -> None:
        """A call's arguments come whole in the end; what is too long is known before."""
        self.is_calling = True
        place, delta = event.get("output_index"), event.get("delta")
        if isinstance(place, int) and isinstance(delta, str):
            self._sizes[place] = self._sizes.get(place, 0) + len(delta)
            self.is_beyond = self.is_beyond or self._sizes[place] > MAX_ARGUMENTS

    def _item(self, event: Mapping[str, Any], *, is_done: bool) -> None:
        item = event.get("item")
        if not isinstance(item, dict):
            return
        if item.get("type") == "function_call":
            self.is_calling, self._name = True, item.get("name")
        place = event.get("output_index")
        place = place if isinstance(place, int) else len(self._items)
        if is_done and len(self._items) < _MAX_ITEMS:
            self._items[place] = item
            self.is_beyond = self.is_beyond or len(str(item.get("arguments") or "")) > MAX_ARGUMENTS

    @property
    def text(self) -> str:
        """The text so far."""
        return joined(self._text)

    @property
    def lost(self) -> frozenset[str]:
        """The names of added members that had no room: those are counted with the whole reply."""
        return frozenset()

    def whole(self) -> dict[str, Any]:
        """The answer as a completion."""
        output = [self._items[place] for place in sorted(self._items)]
        response = {**self._response, "output": output or self._response.get("output")}
        if self.is_beyond and not any(item.get("type") == "function_call" for item in output):
            response["output"] = [{"type": "function_call", "name": self._name, "arguments": " " * (MAX_ARGUMENTS + 1)}]
        return completion_of(response)


def completion_of(response: object) -> dict[str, Any]:
    """An answer as a completion; without choices where it holds nothing usable."""
    if not isinstance(response, dict) or not isinstance(response.get("output"), list):
        return {}
    items = [item for item in response["output"][:_MAX_ITEMS] if isinstance(item, dict)]
    calls = [item for item in items if item.get("type") == "function_call"]
    parts = [part for item in items if item.get("type") == "message" for part in _parts(item)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(_text(part, "output_text", "text") for part in parts) or None,
        "refusal": "".join(_text(part, "refusal", "refusal") for part in parts) or None,
        ITEMS: _kept(items),
    }
    message |= {"tool_calls": [_called(item) for item in calls]} if calls else {}
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    ending = _INCOMPLETE.get(str(reason), str(reason)) if reason else "tool_calls" if calls else "stop"
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": ending}],
        "usage": response.get("usage"),
    }


def failure_in(event: object) -> object | None:
    """The error in an event that says the answer failed; else None."""
    if not isinstance(event, dict) or event.get("type") != "response.failed":
        return None
    response = event.get("response")
    error = response.get("error") if isinstance(response, dict) else None
    return {"error": error or {"message": "the response failed"}}


def _parts(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = item.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _text(part: Mapping[str, Any], kind: str, name: str) -> str:
    value = part.get(name) if part.get("type") == kind else None
    return value if isinstance(value, str) else ""


def _called(item: Mapping[str, Any]) -> dict[str, Any]:
    call_id = item.get("call_id") or item.get("id")
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": item.get("name"), "arguments": item.get("arguments")},
    }


def _kept(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items for their way back. Of a call only what the transcript does not have; its number says which one it is."""
    known = ("type", "call_id", "name", "arguments")
    kept: list[dict[str, Any]] = []
    for item in items:
        if item.get("type") == "function_call":
            number = sum(one.get("type") == "function_call" for one in kept)
            rest = {name: value for name, value in item.items() if name not in known and value is not None}
            kept.append({"type": "function_call", "call": number, "item": rest})
        else:
            kept.append(_less_nulls(item))
    return kept


def _less_nulls(item: Mapping[str, Any]) -> dict[str, Any]:
    """Servers give fields as null that they do not take as null."""
    return {name: value for name, value in item.items() if value is not None}
