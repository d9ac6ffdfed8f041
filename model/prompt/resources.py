"""How the operations of an API hang together, read from their paths: families of one resource, and where the ids come from that paths need.

A family is what is below one collection: /teams, /teams/[id], /teams/[id]/photo. A producer of an operation is a read whose answer
is likely to hold a value for a placeholder of its path. Nothing here reads descriptions or questions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from base import lexicon
from base.english import split, stems, term, terms

SEARCHING = stems("search find lookup query autocomplete suggest picker")
ASKING = frozenset(("q", "query", "search", "term", "keyword", "keywords"))  # names of what takes a text to search for
_OPEN = None  # stands in a path for a segment with a placeholder
_ID_WORDS = frozenset(lexicon.ID_WORDS.split())
_PART_OF = 0.4  # what the operation's thing is a part of: /teams/[id] for /teams/[id]/rooms/[room]
_ELSEWHERE = 0.6  # a list of such things in another API, where the operation's own has none
_BESIDE = 0.8  # a list that stands beside the placeholder: /teams/mine for /teams/[id]
Path = tuple[str | None, ...]
Family = tuple[Hashable, Path]


@dataclass(frozen=True)
class Route:
    """What is read of an operation: `names[i]` are the placeholders of segment i; `enums`: the words that its parameters may be;
    `asks`: whether a parameter takes what is searched for."""

    api: Hashable
    method: str
    path: Path
    names: tuple[tuple[str, ...], ...]
    enums: frozenset[str] = frozenset()
    asks: bool = False

    @property
    def literals(self) -> list[str]:
        """The path's segments that are no placeholders."""
        return [one for one in self.path if one]

    @property
    def is_item(self) -> bool:
        """Whether the path ends in a placeholder, as that of one thing among several does."""
        return bool(self.path) and self.path[-1] is _OPEN


@dataclass(frozen=True)
class Resources:
    """All by the operations' positions, all weights up to 1."""

    family: tuple[int, ...]  # numbered from 0
    is_direct: tuple[bool, ...]  # the collection or an item, nothing below that
    producers: tuple[Mapping[int, float], ...]
    hub: tuple[float, ...]  # how much depends on the operation's answer
    family_hub: tuple[float, ...]  # the most that does in its family


def things(placeholder: str) -> tuple[str, ...]:
    """What a placeholder is the id of: ("movi",) for movie_id."""
    words = split(placeholder)
    while len(words) > 1 and words[-1] in _ID_WORDS:
        words = words[:-1]
    return tuple(term(word) for word in words)


def relate(routes: Sequence[Route]) -> Resources:
    """How the operations hang together."""
    nodes: dict[Family, set[str | None]] = defaultdict(set)
    for route in routes:
        for at, segment in enumerate(route.path):
            nodes[route.api, route.path[:at]].add(segment)
    of_route = [_family(nodes, route.api, route.path) for route in routes]
    numbers = {family: number for number, family in enumerate(dict.fromkeys(of_route))}
    producers = _Producers(routes, nodes)
    made = tuple(producers.of(at, route) for at, route in enumerate(routes))
    hub = _hubs(routes, made)
    best: dict[Family, float] = defaultdict(float)
    for family, weight in zip(of_route, hub, strict=True):
        best[family] = max(best[family], weight)
    return Resources(
        family=tuple(numbers[family] for family in of_route),
        is_direct=tuple(_is_direct(route.path, family[1]) for route, family in zip(routes, of_route, strict=True)),
        producers=made,
        hub=hub,
        family_hub=tuple(best[family] for family in of_route),
    )


def _family(nodes: Mapping[Family, set[str | None]], api: Hashable, path: Path) -> Family:
    """The nearest collection that a path stands in; where there is none, its first segment."""
    for size in range(len(path), 0, -1):
        if path[size - 1] is not _OPEN and _OPEN in nodes.get((api, path[:size]), ()):
            return api, path[:size]
    return api, path[:1]


def _is_direct(path: Path, family: Path) -> bool:
    return len(path) - len(family) <= 1 or all(segment is _OPEN for segment in path[len(family) :])


def _hubs(routes: Sequence[Route], producers: Sequence[Mapping[int, float]]) -> tuple[float, ...]:
    """How much depends on each operation, beside the one of its API that most depends on."""
    needed = [0.0] * len(routes)
    for made in producers:
        for at, weight in made.items():
            needed[at] += weight
    most: dict[Hashable, float] = defaultdict(float)
    for route, weight in zip(routes, needed, strict=True):
        most[route.api] = max(most[route.api], weight)
    return tuple(
        math.log1p(weight) / math.log1p(most[route.api]) if weight else 0.0
        for route, weight in zip(routes, needed, strict=True)
    )


class _Producers:
    """Which reads give ids: by the path before a placeholder, by the thing's name, by searches for such things."""

    def __init__(self, routes: Sequence[Route], nodes: Mapping[Family, set[str | None]]) -> None:
        self._nodes = nodes
        self._at: dict[Family, list[int]] = defaultdict(list)
        self._lists: dict[tuple[Hashable, tuple[str, ...]], list[int]] = defaultdict(list)
        self._searches: dict[tuple[Hashable, str], list[int]] = defaultdict(list)
        self._anywhere: dict[str, list[int]] = defaultdict(list)
        for at, route in enumerate(routes):
            if route.method == "GET":
                self._at[route.api, route.path].append(at)
                self._note(at, route)

    def _note(self, at: int, route: Route) -> None:
        literals = route.literals
        if not literals or route.is_item:
            return
        last = tuple(terms(literals[-1]))
        self._lists[route.api, last].append(at)
        if len(last) == 1:
            self._anywhere[last[0]].append(at)
        words = {word for literal in literals for word in terms(literal)}
        if route.asks or words & SEARCHING:
            for word in words - SEARCHING | route.enums:
                self._searches[route.api, word].append(at)
                self._anywhere[word].append(at)

    def of(self, at: int, route: Route) -> dict[int, float]:
        """The producers of an operation, with how likely they are ones."""
        best: dict[int, float] = {}
        for place, names in enumerate(route.names):
            for name in names:
                found = list(self._of_placeholder(route, place, name))
                if max((weight for _, weight in found), default=0.0) <= _PART_OF:
                    found += self._of_others(name)
                for producer, weight in found:
                    best[producer] = max(weight, best.get(producer, 0.0))
        best.pop(at, None)
        return best

    def _of_placeholder(self, route: Route, place: int, name: str) -> Iterator[tuple[int, float]]:
        before = route.path[:place]
        if place + 1 < len(route.path):
            yield from _each(self._at.get((route.api, route.path[: place + 1]), ()), _PART_OF)
        named = things(name)
        collection = tuple(terms(next((one for one in reversed(before) if one), "")))
        yield from _each(self._at.get((route.api, before), ()), 1.0)
        for word in {words[-1] for words in (named, collection) if words}:
            searches = self._searches.get((route.api, word), ())
            yield from _each(searches, 1 / (1 + 0.1 * max(len(searches) - 1, 0)))
        lists = {one for words in (named, collection) if words for one in self._lists.get((route.api, words), ())}
        yield from _each(lists, 1 / (1 + 0.15 * len(lists)))
        views = [one for one in self._nodes.get((route.api, before), ()) if one is not _OPEN]
        for view in views:
            yield from _each(self._at.get((route.api, (*before, view)), ()), _BESIDE / (1 + 0.1 * len(views)))

    def _of_others(self, name: str) -> Iterator[tuple[int, float]]:
        """Lists and searches of such things in other APIs."""
        words = things(name)
        found = self._anywhere.get(words[-1], ()) if words else ()
        yield from _each(found, _ELSEWHERE / (1 + 0.15 * len(found)))


def _each(positions: Iterable[int], weight: float) -> Iterator[tuple[int, float]]:
    return ((one, weight) for one in positions)
