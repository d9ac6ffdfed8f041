"""What a model's server adds to a reply beyond the format: kept as it came, so that it can go back as it came. Nothing looks into it.

Thoughts, their signatures, a provider's own marks: servers refuse the next request of a turn without them, and new ones come
(https://ai.google.dev/gemini-api/docs/thought-signatures, https://api-docs.deepseek.com/guides/thinking_mode,
https://openrouter.ai/docs/guides/best-practices/reasoning-tokens). A streamed reply brings them in pieces. They are bounded; what has
no room is left out whole, since half of a signature is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from base.json_text import compact, dumps, loads

MAX_OPAQUE = 262_144  # characters of JSON that are kept of one reply
_MAX_ITEMS = 1_000  # of one list
_JOINED = frozenset(("content", "text", "summary", "data", "thinking"))  # whose pieces make one text; and reasoning*
_OF_MESSAGE = frozenset(("role", "content", "refusal", "tool_calls", "function_call"))  # what the format itself has
_OF_CALL = frozenset(("index", "id", "type", "function"))
_OF_FUNCTION = frozenset(("name", "arguments"))


class Room:
    """What is left of the bound for one reply, and what had to be left out."""

    def __init__(self, most: int = MAX_OPAQUE) -> None:
        self.left = most
        self.lost: set[str] = set()


class _NoRoom(Exception):
    """A member does not fit."""


class _Text(list[str]):
    """A text that comes in pieces."""


class OpaqueMembers:
    """The added members of one object. `is_streamed`: each piece goes on with what came before."""

    def __init__(self, room: Room, *, is_streamed: bool) -> None:
        self._room = room
        self._is_streamed = is_streamed
        self._held: dict[str, Any] = {}
        self._cost: dict[str, int] = {}
        self._lost: set[str] = set()

    def add(self, given: Mapping[str, Any], known: frozenset[str] = frozenset()) -> None:
        """Takes what is not known of an object, or of a piece of it. Null says nothing."""
        for name, value in given.items():
            if name not in known and value is not None and name not in self._lost:
                self._take(name, value)

    def _take(self, name: str, value: Any) -> None:
        before = self._room.left
        try:
            self._held[name] = self._joined(name, self._held.get(name), value)
        except (_NoRoom, ValueError, RecursionError):  # the others: nested too deeply
            self._held.pop(name, None)
            self._room.left = before + self._cost.pop(name, 0)
            self._lost.add(name)
            self._room.lost.add(name[:60])
        else:
            self._cost[name] = self._cost.get(name, 0) + before - self._room.left

    def _joined(self, name: str, held: Any, piece: Any) -> Any:
        """What was held, with the piece: texts grow, lists by their items' index, objects by their members; all else is taken once."""
        match held, piece:
            case _, None:
                return held
            case None | "", _:
                return self._new(name, piece)
            case _Text(), str():
                self._pay(len(piece))
                held.append(piece)
            case dict(), dict():
                for key, value in piece.items():
                    held[key] = self._joined(key, held.get(key), value)
            case list(), list() if not isinstance(held, _Text):
                for item in piece:
                    self._into(held, item)
        return held

    def _new(self, name: str, piece: Any) -> Any:
        if isinstance(piece, str):
            self._pay(len(piece) + len(name) + 6)
            return _Text([piece]) if self._is_streamed and _is_joined(name) else piece
        if isinstance(piece, dict):
            self._pay(len(name) + 6)
            return {key: self._new(key, value) for key, value in piece.items()}
        if isinstance(piece, list):
            self._pay(len(name) + 6)
            items: list[Any] = []
            for item in piece:
                self._into(items, item)
            return items
        self._pay(len(name) + 6 + len(dumps(piece, allow_nan=False)))  # NaN is no JSON; nothing with it could be sent
        return piece

    def _into(self, items: list[Any], piece: Any) -> None:
        """Adds an item to a list, or goes on with the one that it is a piece of."""
        of = _place_of(items, piece) if self._is_streamed else None
        if of is not None:
            items[of] = self._joined("", items[of], piece)
        elif len(items) < _MAX_ITEMS:
            items.append(self._new("", piece))
        else:
            raise _NoRoom

    def _pay(self, characters: int) -> None:
        self._room.left -= characters
        if self._room.left < 0:
            raise _NoRoom

    def whole(self) -> dict[str, Any]:
        """The members as they are by now."""
        return {joined([name]): _plain(value) for name, value in self._held.items()}


def _is_joined(name: str) -> bool:
    return name in _JOINED or name.startswith("reasoning")


def _place_of(items: Sequence[Any], piece: Any) -> int | None:
    """Which item a piece goes on with, if any."""
    if items and _goes_on(items[-1], piece):
        return len(items) - 1
    return next((at for at, item in enumerate(items) if _is_piece_of(item, piece)), None)


def _is_piece_of(item: Any, piece: Any) -> bool:
    """By the index; some servers count each type by itself."""
    if not isinstance(item, dict) or not isinstance(piece, dict) or not isinstance(piece.get("index"), int):
        return False
    types = {str(one["type"]) for one in (item, piece) if one.get("type")}
    return bool(item.get("index") == piece["index"]) and len(types) < 2


def _goes_on(item: Any, piece: Any) -> bool:
    """Whether a piece without an index is one more of the last item's: of its type, a text, and nothing speaks against it.

    LiteLLM streams its thinking_blocks like that, Mistral the parts of its content. A signature ends a block.
    """
    if not isinstance(item, dict) or not isinstance(piece, dict) or "index" in piece or "index" in item:
        return False
    if item.get("type") != piece.get("type") or not isinstance(piece.get("type"), str) or item.get("signature"):
        return False
    both = [key for key in piece if key in item and piece[key] and item[key]]
    texts = [key for key in piece if _is_joined(key) and isinstance(piece[key], (str, list))]
    return bool(texts) and all(_is_joined(key) or item[key] == piece[key] for key in both)


def _plain(value: Any) -> Any:
    if isinstance(value, _Text):
        return joined(value)
    if isinstance(value, dict):
        return {joined([key]): _plain(one) for key, one in value.items()}
    if isinstance(value, str):
        return joined([value])
    return [_plain(one) for one in value] if isinstance(value, list) else value


def joined(pieces: Sequence[str]) -> str:
    """Pieces as one text. Where a character was cut into the two halves that JSON writes it in, they become one again."""
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# --- of a whole reply -------------------------------------------------------------------------------------------------


def added_to_message(members: OpaqueMembers, delta: Mapping[str, Any]) -> None:
    """Takes what a message, or a piece of one, has beyond the format."""
    members.add(delta, _OF_MESSAGE)


def added_to_call(call: OpaqueMembers, function: OpaqueMembers, piece: Mapping[str, Any]) -> None:
    """The same of a tool call and of the function in it."""
    call.add(piece, _OF_CALL)
    if isinstance(inner := piece.get("function"), dict):
        function.add(inner, _OF_FUNCTION)


def kept(message: Mapping[str, Any], calls: Sequence[object], content: object = None) -> tuple[str, frozenset[str]]:
    """What a whole message has beyond the format, as JSON text: empty where that is nothing. `calls` are those of the message that
    are looked at, `content` is what goes back in place of the text, where it is not None. And the names of what had no room."""
    room = Room()
    top = OpaqueMembers(room, is_streamed=False)
    added_to_message(top, message)
    top.add({"content": content})
    inner = []
    for call in calls:
        pair = OpaqueMembers(room, is_streamed=False), OpaqueMembers(room, is_streamed=False)
        if isinstance(call, dict):
            added_to_call(*pair, call)
        inner.append([one.whole() for one in pair])
    whole = {"message": top.whole(), "calls": inner}
    is_any = bool(whole["message"]) or any(one for pair in inner for one in pair)
    return compact(whole) if is_any else "", frozenset(room.lost)


def given_back(message: Mapping[str, Any], opaque: str) -> dict[str, Any]:
    """An assistant message with what was kept of its reply in its place. What the format itself has stays as it stands."""
    if not opaque:
        return dict(message)
    whole = loads(opaque, odd=str)
    made = []
    for call, (beside, inside) in zip(message.get("tool_calls", ()), whole["calls"], strict=False):
        made.append({**beside, **call, "function": {**inside, **call["function"]}})
    told = {**whole["message"], **message} | ({"tool_calls": made} if made else {})
    return told | ({"content": whole["message"]["content"]} if "content" in whole["message"] else {})
