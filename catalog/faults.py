"""Where and why a value does not fit a schema. Whether it does is schemas.py's to say, the words are validate.py's.

Schemas that branch and refer to themselves multiply, and so would what can be said about them: only so many are looked at, and what lies
beyond is left unsaid. Of several schemas of which one would do, the one is followed that was most likely meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.schemas import Schema, fits, pointed

_MOST = 1_000  # schemas looked at for one value
_MOST_DEEP = 120  # of them one inside of another
_WRONG_KIND = frozenset(("type", "const", "enum"))  # by these a value shows that another schema was meant
_BRANCHES = frozenset(("$ref", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas"))
_INSIDE = frozenset(("properties", "patternProperties", "additionalProperties", "prefixItems", "items", "contains",
                     "propertyNames"))  # fmt: skip
_WITH_OTHERS = frozenset(("then", "else", "minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"))
Place = tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """A keyword that a value does not fit, and where; no keyword where it could not be found. `schema` is the keyword's own."""

    place: Place
    keyword: str
    value: Any
    schema: Schema


def faults(schema: Schema, value: Any) -> list[Fault]:
    """What a value that does not fit a schema has against it, in the order of the places; there is always something."""
    found = sorted(_Search(schema).of(schema, value, ()), key=lambda one: one.place)
    return found or [Fault((), "", value, schema)]


class _Search:
    """One look for faults, which counts what it looks at."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = _MOST
        self._deep = 0

    def of(self, schema: Any, value: Any, place: Place) -> list[Fault]:
        """The faults of a value at a place; none where it fits, or too much was looked at."""
        if schema is False:
            return [Fault(place, "", value, {})]
        if not isinstance(schema, Mapping) or self._left <= 0 or self._deep >= _MOST_DEEP:
            return []
        self._left -= 1
        self._deep += 1
        try:
            return [one for keyword in schema for one in self._by(keyword, schema, value, place)]
        finally:
            self._deep -= 1

    def _by(self, keyword: str, schema: Schema, value: Any, place: Place) -> Iterable[Fault]:
        if keyword in _BRANCHES:
            return self._here(keyword, schema, value, place)
        if keyword in _INSIDE:
            return self._inside(keyword, schema, value, place)
        if keyword in _WITH_OTHERS or fits({keyword: schema[keyword]}, value):
            return ()
        return [Fault(place, keyword, value, schema)]

    def _here(self, keyword: str, schema: Schema, value: Any, place: Place) -> Iterator[Fault]:
        """Keywords that hold the same value against other schemas."""
        limit = schema[keyword]
        match keyword:
            case "$ref":
                yield from self.of(pointed(self._root, limit), value, place)
            case "allOf":
                for one in limit:
                    yield from self.of(one, value, place)
            case "anyOf" | "oneOf":
                yield from self._nearest(keyword, schema, value, place)
            case "not" if not self.of(limit, value, place):
                yield Fault(place, keyword, value, schema)
            case "if":
                yield from self.of(schema.get("else" if self.of(limit, value, place) else "then"), value, place)
            case "dependentSchemas" if isinstance(value, dict):
                for name in limit.keys() & value.keys():
                    yield from self.of(limit[name], value, place)

    def _nearest(self, keyword: str, schema: Schema, value: Any, place: Place) -> Iterator[Fault]:
        found = [self.of(one, value, place) for one in schema[keyword]]
        if all(found):
            yield min(found, key=lambda some: (sum(one.keyword in _WRONG_KIND for one in some), len(some)))[0]
        elif keyword == "oneOf" and found.count([]) > 1:
            yield Fault(place, keyword, value, schema)

    def _inside(self, keyword: str, schema: Schema, value: Any, place: Place) -> Iterator[Fault]:
        """Keywords that look at what is in a value."""
        match keyword, value:
            case "properties", dict():
                for name in value.keys() & schema[keyword].keys():
                    yield from self.of(schema[keyword][name], value[name], (*place, name))
            case "propertyNames", dict():
                for name in value:
                    yield from self.of(schema[keyword], name, place)
            case "patternProperties", dict():
                for pattern, name in ((one, name) for one in schema[keyword] for name in value):
                    if fits({"pattern": pattern}, name):
                        yield from self.of(schema[keyword][pattern], value[name], (*place, name))
            case "additionalProperties", dict():
                yield from self._additional(schema, value, place)
            case "contains", list() if value and all(self.of(schema[keyword], one, place) for one in value):
                yield Fault(place, keyword, value, schema)
            case "prefixItems" | "items", list():
                yield from self._items(keyword, schema, value, place)

    def _additional(self, schema: Schema, value: dict[str, Any], place: Place) -> Iterator[Fault]:
        rest = [name for name in value if name not in schema.get("properties", {})]
        rest = [
            one
            for one in rest
            if not any(fits({"pattern": pattern}, one) for pattern in schema.get("patternProperties", ()))
        ]
        if schema["additionalProperties"] is False and rest:
            yield Fault(place, "additionalProperties", value, schema)
            return
        for name in rest:
            yield from self.of(schema["additionalProperties"], value[name], (*place, name))

    def _items(self, keyword: str, schema: Schema, value: list[Any], place: Place) -> Iterator[Fault]:
        first = schema.get("prefixItems", ())
        pairs = (
            zip(first, value, strict=False)
            if keyword == "prefixItems"
            else ((schema[keyword], one) for one in value[len(first) :])
        )
        for index, (one, item) in enumerate(pairs, start=0 if keyword == "prefixItems" else len(first)):
            yield from self.of(one, item, (*place, str(index)))
