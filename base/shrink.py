"""Large JSON cut down so that it stays JSON: lists and texts are shortened, and every cut says what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from base.json_text import dumps
from base.utf8 import encodable

CUT = "…"  # stands at the end of a text of ours that was cut
_LISTS = (1_000, 300, 100, 50, 25, 10, 5, 2, 1, 0)
_TEXTS = (4_000, 1_000, 300, 100, 40)
_DEPTH = 20  # levels that are looked into; deeper ones are left out first


_Cut = tuple[Any, list[str]]


class _TooMuch(Exception):
    """What is left cannot fit, so the rest need not be cut."""


def as_json(value: object) -> str:
    """The compact JSON text in which data is given to the model."""
    return encodable(dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def shrink(value: Any, limit: int) -> tuple[Any, list[str]]:
    """`value` cut until its JSON has at most `limit` characters, and a note per cut ("data: first 25 of 2,304 items").

    Lists give way before texts, since the first items tell more than many stumps; what still does not fit becomes a text stump.
    """
    whole = as_json(value)
    if len(whole) <= limit:
        return value, []
    before = max(limit, _LISTS[0])  # no list with more items fits
    for items, text in _steps():
        if (found := _fitting(value, items, text, limit)) is not None:
            return _fullest(value, items, max(before, items), text, limit, found)
        before = items
    return whole[: limit // 2], [f"only the first {limit // 2:,} of {len(whole):,} characters of its JSON, as text"]


def _fullest(value: Any, items: int, above: int, text: int, limit: int, found: _Cut) -> _Cut:
    """Between `items` per list, which fits, and `above`, which does not: the most that fits."""
    while above - items > 1:
        middle = (items + above) // 2
        if (more := _fitting(value, middle, text, limit)) is not None:
            items, found = middle, more
        else:
            above = middle
    return found


def _fitting(value: Any, items: int, text: int, limit: int) -> _Cut | None:
    """`value` with lists of at most `items` and texts of at most `text`, and the notes; None where that does not fit."""
    notes: list[str] = []
    try:
        smaller = _cut(value, items, text, "", notes, _DEPTH, [limit])
    except _TooMuch:
        return None
    fits = len(as_json(smaller)) + sum(len(note) for note in notes[:20]) <= limit
    return (smaller, notes[:20]) if fits else None


def _steps() -> Iterator[tuple[int, int]]:
    for text in _TEXTS:
        for items in _LISTS:
            yield items, text


def _cut(value: Any, items: int, text: int, place: str, notes: list[str], depth: int, room: list[int]) -> Any:
    room[0] -= 1  # no value takes less than a character
    if room[0] < 0:
        raise _TooMuch
    match value:
        case str() if len(value) > text:
            notes.append(f"{place or 'text'}: first {text:,} of {len(value):,} characters")
            return value[:text]
        case list():
            return _cut_list(value, items, text, place, notes, depth, room)
        case dict():
            if depth == 0:
                notes.append(f"{place}: {len(value)} fields left out")
                return {}
            kept = dict(
                list(value.items())[: max(items, 1) + 20 if items > 5 else max(items, 1) * 3]
            )  # objects are wide maps only rarely; those are cut like lists
            if len(kept) < len(value):
                notes.append(f"{place or 'object'}: first {len(kept):,} of {len(value):,} fields")
            return {
                key: _cut(one, items, text, f"{place}.{plain(key)}" if place else plain(key), notes, depth - 1, room)
                for key, one in kept.items()
            }
    return value


def _cut_list(
    value: list[Any], items: int, text: int, place: str, notes: list[str], depth: int, room: list[int]
) -> list[Any]:
    kept = value[:items] if depth else []
    if len(kept) < len(value):
        notes.append(f"{place or 'list'}: first {len(kept):,} of {len(value):,} items")
    return [_cut(one, items, text, f"{place}[]", notes, depth - 1, room) for one in kept]


def plain(key: object) -> str:
    """A field's name as our own notes may say it: they stand outside of the data, where no words of the API belong."""
    return key if isinstance(key, str) and re.fullmatch(r"[A-Za-z_][\w-]{0,40}", key, re.ASCII) else "..."
