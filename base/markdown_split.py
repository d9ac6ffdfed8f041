"""Splits a Markdown text to a size where a reader would: between blocks, rows, lines, words. What is parted goes on as what it was: code
is closed and opened again, a table begins with its head again, and no link is cut that fits into a message."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from base.markdown_map import Region, Span, outdented, read

_HEAD = 3  # what would take more than this part of a message is not said again in the next one


def split(text: str, limit: int, size: Callable[[str], int] = len) -> list[str]:
    """`text` in parts of at most `limit` by `size`. Nothing is left out but parts of blanks alone."""
    whole = [text] if size(text) <= limit else _Splitter(text, limit, size).parts()
    return [part for part in whole if part.strip()]


@dataclass(frozen=True)
class _Going:
    """How a part goes on with what the one before it left open: lines up to `until` lose the blanks that `prefix` has for lists, which
    outside of these lists would make code of them."""

    opening: str = ""
    prefix: str = ""
    until: int = 0

    def lines(self, text: str) -> str:
        return "\n".join(outdented(line, self.prefix) for line in text.split("\n")) if self.prefix else text


class _Splitter:
    def __init__(self, text: str, limit: int, size: Callable[[str], int]) -> None:
        self._text, self._limit, self._size = text, limit, size
        there = read(text)
        self._regions = [one for one in there.regions if size(one.opening) <= limit // _HEAD]
        self._reserve = max((size(f"\n{one.prefix}{one.closing}") for one in self._regions), default=0)
        inner = {one.body for one in there.regions}
        self._uncut = _Spans([*there.links, *(one for one in there.code if one not in inner)])
        self._items = _Spans(there.items)
        heads = _Spans([Span(one.start, one.body.start + 1) for one in there.regions])
        in_lines = _Spans(there.regions)
        self._level = there.blocks
        self._blocks = [at for at in sorted(there.blocks) if not heads.hold(at)]
        lines, words = ([found.end() for found in re.finditer(mark, text)] for mark in ("\n", " "))
        self._lines = [at for at in lines if not self._uncut.hold(at) and not heads.hold(at)]
        self._words = [at for at in words if not self._uncut.hold(at) and not in_lines.hold(at)]

    def parts(self) -> Iterator[str]:
        at, going = 0, _Going()
        while self._size(self._shown(at, len(self._text), going)) > self._limit:
            cut = self._cut(at, going)
            parted = next(
                (one for one in self._regions if one.body.start <= cut <= one.body.end and cut < one.end), None
            )
            part = self._shown(at, cut, going)
            yield part + _closing(part, parted, going)
            at, going = cut, self._going_on(cut, parted)
        yield self._shown(at, len(self._text), going)

    def _going_on(self, cut: int, parted: Region | None) -> _Going:
        """How what is left goes on."""
        item = self._items.around(cut)
        until = max(item.end if item else 0, parted.end if parted else 0)
        if parted is not None:
            return _Going(parted.opening, parted.prefix, until)
        begins_a_line = item is not None and self._text[cut - 1] == "\n"
        found = re.compile(r"[> ]*").match(self._text, cut)
        return _Going("", found[0] if found and begins_a_line else "", until)

    def _shown(self, start: int, end: int, going: _Going) -> str:
        """A part as people see it."""
        until = max(start, min(end, going.until))
        inside, rest = going.lines(self._text[start:until]), self._text[until:end]
        # outside of its list a paragraph would swallow the item that follows it: only one with the number 1 may interrupt it
        gap = "\n" if going.prefix and inside.strip() and not inside.endswith("\n\n") and rest.strip() else ""
        return going.opening + inside + gap + rest

    def _cut(self, at: int, going: _Going) -> int:
        """Where the part that begins at `at` ends: in its second half, if there is a good place."""
        most = self._longest(at, going)
        half = at + (most - at) // 2
        if blocks := _between(self._blocks, half, most):
            return min(blocks, key=lambda place: (self._level[place], -place))
        for begin in (half, at):
            for places in (self._lines, self._words):
                if found := _between(places, begin, most):
                    return found[-1]
        whole = self._uncut.around(most)
        return whole.start if whole is not None and whole.start > at else most

    def _longest(self, at: int, going: _Going) -> int:
        """The end of the longest part that fits."""
        room = max(1, self._limit - self._reserve)
        low, high = at + 1, min(len(self._text), at + room)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self._size(self._shown(at, middle, going)) <= room
            low, high = (middle, high) if fits else (low, middle - 1)
        return low


def _closing(part: str, parted: Region | None, going: _Going) -> str:
    """What ends code that goes on in the next part, indented like the code."""
    if parted is None or not parted.closing:
        return ""
    line = parted.prefix + parted.closing
    return ("" if part.endswith("\n") else "\n") + (going.lines(line) if parted.start < going.until else line)


def _between(places: list[int], begin: int, end: int) -> list[int]:
    """Those behind `begin`, up to `end`."""
    return places[bisect_right(places, begin) : bisect_right(places, end)]


class _Spans:
    """Spans by their places."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(spans, key=lambda one: (one.start, -one.end))
        self._starts = [one.start for one in self._spans]
        self._reach = list(accumulate((one.end for one in self._spans), max))

    def hold(self, at: int) -> bool:
        """Whether a cut at `at` would part one of them."""
        before = bisect_left(self._starts, at)
        return before > 0 and self._reach[before - 1] > at

    def around(self, at: int) -> Span | None:
        """The outermost one that a cut at `at` would part."""
        return next((one for one in self._spans[: bisect_left(self._starts, at)] if one.end > at), None)
