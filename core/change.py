"""What a write would change: the target as it was read, beside what the request says; and whether it is still the same later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core import words
from core.shrink import as_json, shrink

GONE = (404, 410)
_HIDDEN_END = as_json(words.HIDDEN.format(count=1))[2:]


@dataclass(frozen=True)
class Target:
    """A write's target as the API gave it: its HTTP status and data, or the words for why it could not be read."""

    url: str
    status: int | None = None
    data: Any = None
    problem: str = ""
    mark: str = ""  # SHA-256 over all of the data, where only a part of it is kept

    @classmethod
    def kept(cls, url: str, status: int, data: Any, limit: int) -> Target:
        """A target as a row keeps it: at most `limit` characters of its data; the rest counts by its hash."""
        part, _ = shrink(data, limit)
        whole = "" if part is data else json.dumps(data, sort_keys=True)
        return cls(url, status, part, mark=hashlib.sha256(whole.encode()).hexdigest() if whole else "")

    @property
    def is_known(self) -> bool:
        """Whether it was read, or is known not to exist."""
        return self.status is not None and (200 <= self.status < 300 or self.status in GONE)

    def to_json(self) -> str:
        return as_json({name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def from_json(cls, text: str | None) -> Target | None:
        return cls(**json.loads(text)) if text else None


@dataclass(frozen=True)
class Change:
    """One field: `old` and `new` as JSON text; None where there is none."""

    field: str
    old: str | None
    new: str | None


def changes(method: str, before: Any, body: Any) -> list[Change]:
    """The fields that a PUT or PATCH changes, old -> new; for a DELETE every field of the doomed object, without a new one."""
    if method == "DELETE" or not isinstance(body, dict):
        return [Change(field, old, None) for field, old in _leaves(before)]
    inner = _inner(before, body)
    old, new = dict(_leaves(inner)), dict(_leaves(body))
    found = [
        Change(field, old.get(field), value)
        for field, value in new.items()
        if old.get(field) != value or _is_hidden(value)
    ]
    if method == "PUT" and isinstance(inner, dict):  # it replaces whole objects: what it leaves out of one is gone
        named = dict(_leaves({key: value for key, value in inner.items() if key in body}))
        found += [Change(field, value, None) for field, value in named.items() if field not in new]
    return found


def _is_hidden(text: str) -> bool:
    """Whether a value stands for a secret one: of those nobody can see that they stay the same."""
    return text.endswith(_HIDDEN_END)


def untouched(before: Any, body: Any) -> list[str]:
    """The target's fields that a request does not name."""
    inner = _inner(before, body)
    return [field for field in inner if field not in body] if isinstance(inner, dict) and isinstance(body, dict) else []


def is_same(method: str, before: Target, now: Target, body: Any, ignore: Sequence[str]) -> bool:
    """Whether the target still is what the card showed. A PATCH looks at the fields it names; PUT and DELETE at all, less `ignore`.

    Of a target that is too large to be kept, fields to be ignored or named are looked for in the part that was kept.
    """
    if (before.status in GONE) != (now.status in GONE):
        return False
    if method != "PATCH" and not ignore and before.mark != now.mark:
        return False
    return _compared(method, before.data, body, ignore) == _compared(method, now.data, body, ignore)


def differing(before: Target | None, now: Target | None) -> list[str]:
    """The names of the fields that differ between two looks, by their paths."""
    old, new = (dict(_leaves(one.data)) if one is not None else {} for one in (before, now))
    return [field for field in {**old, **new} if old.get(field) != new.get(field)]


def _compared(method: str, data: Any, body: Any, ignore: Sequence[str]) -> str:
    """The JSON text of what counts: the wrapper's name, if there is one, and what is in it."""
    wrapper, inner = _wrapper(data, body), _inner(data, body)
    if method == "PATCH" and isinstance(inner, dict) and isinstance(body, dict):
        inner = {key: value for key, value in inner.items() if key in body}
    return json.dumps([wrapper, _without(inner, frozenset(ignore), "")], sort_keys=True)


def _without(data: Any, ignore: frozenset[str], place: str) -> Any:
    """`data` less the fields that are named in `ignore`, by name or by path."""
    match data:
        case dict():
            kept = {key: (value, f"{place}.{key}" if place else key) for key, value in data.items()}
            return {
                key: _without(value, ignore, path) for key, (value, path) in kept.items() if not {key, path} & ignore
            }
        case list():
            return [_without(one, ignore, place) for one in data]
    return data


def _inner(data: Any, body: Any) -> Any:
    """The object itself, also where an API wraps it ({"data": {...}})."""
    wrapper = _wrapper(data, body)
    return data if wrapper is None else data[wrapper]


def _wrapper(data: Any, body: Any) -> str | None:
    """The field in which an API wraps the object: the one whose value shares fields with the body, or the only one."""
    if not isinstance(data, dict) or (isinstance(body, dict) and set(data) & set(body)):
        return None
    names = [name for name, value in data.items() if isinstance(value, dict)]
    if isinstance(body, dict):
        names = [name for name in names if set(data[name]) & set(body)]
        return names[0] if len(names) == 1 else None
    return names[0] if len(names) == 1 and len(data) == 1 else None


def _leaves(data: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every field with its path and its value's JSON text; lists stay whole."""
    if isinstance(data, dict) and (data or not place):
        for key, value in data.items():
            yield from _leaves(value, (*place, str(key)))
    elif place or data is not None:
        yield ".".join(place) if place else "(the whole answer)", as_json(data)
