"""Which fields a rule's condition (`when`) names, and what it says of each. No call is looked at here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from catalog.schemas import Schema, pointed
from catalog.spelling import bare, parts

ITEM = 0  # in a place: any item of a list
Place = tuple[str | int, ...]  # names from the top, and ITEM
_MOST = 1_000  # of what a condition says, and fields of a body on one level
_MOST_LEVELS = 6
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_TEXTS = ("minLength", "maxLength", "pattern", "format")
_LISTS = ("items", "prefixItems", "contains", "minContains", "maxContains", "minItems", "maxItems", "uniqueItems")
_OBJECTS = ("properties", "required", "dependentRequired", "dependentSchemas", "minProperties", "maxProperties")
_IMPLIED = {
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys(_TEXTS, "string"),
    **dict.fromkeys(_LISTS, "array"),
    **dict.fromkeys(_OBJECTS, "object"),
}
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
SAYS_NOTHING = frozenset(("$defs", "definitions", "$comment", "title", "description", "default", "examples",
                          "deprecated", "readOnly", "writeOnly"))  # fmt: skip
# At the top, where a call's fields are, these are about all of them at once, or about a list, which no call is.
_NOT_AT_TOP = frozenset(("const", "enum", "minProperties", "maxProperties", *_LISTS))


class Nameless(Exception):
    """A condition that does not say by name which fields it looks at. Its text is the keyword that does not."""


@dataclass(frozen=True)
class Named:
    """A field that a condition names, with all that it says of it: (keyword, value) pairs. None: it asks whether it is there."""

    place: Place
    keywords: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        """The field as people read it, with the fields that it stands in."""
        return shown(self.place)

    @cached_property
    def types(self) -> frozenset[str]:
        """The types that the condition says it is of."""
        return kinds_of(dict([one]) for one in self.keywords if one[0] == "type")

    @cached_property
    def implied(self) -> frozenset[str]:
        """The types that its other keywords are about."""
        return frozenset(kind for keyword, value in self.keywords for kind in _implied(keyword, value))

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """Those that it is compared with."""
        return tuple(one for keyword, value in self.keywords for one in _compared(keyword, value))

    @property
    def has_pattern(self) -> bool:
        """Whether the condition holds the field's text against a pattern."""
        return any(keyword == "pattern" for keyword, _ in self.keywords)

    @property
    def is_measured(self) -> bool:
        """Whether it matters how long a text is, or what it looks like."""
        return any(keyword in _TEXTS for keyword, _ in self.keywords)

    @property
    def is_counted(self) -> bool:
        """Whether a text that says a number or a truth value could matter."""
        return not {"number", "integer", "boolean"}.isdisjoint(self.types | self.implied)


def fields_named(when: Schema) -> dict[Place, Named]:
    """The fields that a condition names by their places, each after what it stands in. Raises `Nameless`."""
    said: dict[Place, list[tuple[str, Any]]] = {}
    for count, (place, keyword, value) in enumerate(_Reading(when).of(when, (), ())):
        if count > _MOST:
            raise Nameless("$ref")
        said.setdefault(place, []).extend([(keyword, value)] if keyword else [])
    return {place: Named(place, tuple(said[place])) for place in sorted(said, key=len) if place}


class _Reading:
    """One way through a condition: (place, keyword, value) of all that it says, no keyword where a place is only named."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def of(self, schema: Any, place: Place, above: tuple[int, ...]) -> Iterator[tuple[Place, str, Any]]:
        yield place, "", None
        for keyword, value in schema.items() if isinstance(schema, Mapping) else ():
            if keyword in _IN_PLACE:
                for one in value if isinstance(value, list) else [value]:
                    yield from self.of(one, place, above)
            elif keyword == "$ref":
                yield from self._referred(value, place, above)
            elif keyword not in SAYS_NOTHING:
                _check(keyword, value, place)
                yield place, keyword, value
                yield from self._below(keyword, value, place, above)

    def _referred(self, ref: str, place: Place, above: tuple[int, ...]) -> Iterator[tuple[Place, str, Any]]:
        target = pointed(self._root, ref)
        if id(target) in above:
            raise Nameless("$ref")
        yield from self.of(target, place, (*above, id(target)))

    def _below(
        self, keyword: str, value: Any, place: Place, above: tuple[int, ...]
    ) -> Iterator[tuple[Place, str, Any]]:
        match keyword:
            case "properties":
                for name, one in value.items():
                    yield from self.of(one, (*place, name), above)
            case "required":
                yield from (((*place, name), "", None) for name in value)
            case "dependentRequired":
                yield from (((*place, name), "", None) for key, names in value.items() for name in (key, *names))
            case "dependentSchemas":
                for name, one in value.items():
                    yield (*place, name), "", None
                    yield from self.of(one, place, above)
            case "items" | "contains" | "prefixItems":
                for one in value if isinstance(value, list) else [value]:
                    yield from self.of(one, (*place, ITEM), above)


def _check(keyword: str, value: Any, place: Place) -> None:
    """Raises `Nameless`."""
    is_known = keyword in _IMPLIED or keyword in ("type", "const", "enum")
    if not is_known or (not place and (keyword in _NOT_AT_TOP or (keyword == "type" and value != "object"))):
        raise Nameless(keyword)
    if any(isinstance(one, (dict, list)) for one in _compared(keyword, value)):
        raise Nameless(keyword)


def _compared(keyword: str, value: Any) -> list[Any]:
    return list(value) if keyword == "enum" else [value] if keyword == "const" else []


def _implied(keyword: str, value: Any) -> Iterator[str]:
    if keyword in _IMPLIED:
        yield _IMPLIED[keyword]
    yield from map(kind_of, _compared(keyword, value))


def kind_of(value: object) -> str:
    """A value's type in JSON Schema's words."""
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
    return "null" if value is None else "number"


def kinds_of(schemas: Iterable[Schema]) -> frozenset[str]:
    """The types that any of these schemas says."""
    types = [one["type"] for one in schemas if "type" in one]
    return frozenset(kind for one in types for kind in ([one] if isinstance(one, str) else one))


def shown(place: Place) -> str:
    """A place as people write it: `order.lines[].amount`."""
    return "".join("[]" if step == ITEM else f".{step}" for step in place).removeprefix(".")


# --- other spellings --------------------------------------------------------------------------------------------------


def spelled(place: Place, text: str) -> set[str]:
    """What a name may be taken for: itself, a part of `data.amount`, `amount[value]`, `amount:int`, `amount(1i)` or the path `/amount/-`,
    each also where servers decode it once more, and all names on the way to it at once."""
    way = "".join(one for one in place if isinstance(one, str))
    meant = unquote(text)
    return {bare(one) for one in (text, meant, *parts(meant), *([way] if len(way) < 200 else []))}


def declared(schema: Schema, place: Place) -> list[Schema]:
    """What a body's schema says by name of the field at a place; nothing where it has no word for it."""
    found = _in_place(schema, [schema])
    for step in place:
        below = [one for each in found for one in _stepped(each, step)]
        found = _in_place(schema, below)
    return found


def fields_declared(schema: Schema) -> Iterator[Place]:
    """The places of the fields that a body's schema names, as far down as people look."""
    level: list[Place] = [()]
    for _ in range(_MOST_LEVELS):
        below = [(*place, step) for place in level for step in _steps(declared(schema, place))][:_MOST]
        yield from (one for one in below if one[-1] != ITEM)
        level = below


def _steps(schemas: list[Schema]) -> list[str | int]:
    names = dict.fromkeys(name for one in schemas for name in one.get("properties", {}))
    return [*names, *([ITEM] if any(key in one for one in schemas for key in ("items", "prefixItems")) else [])]


def _stepped(schema: Schema, step: str | int) -> Iterator[Schema]:
    if step == ITEM:
        below = [schema.get("items"), schema.get("contains"), *schema.get("prefixItems", ())]
    else:
        below = [schema.get("properties", {}).get(step)]
    yield from (one if isinstance(one, Mapping) else {} for one in below if one is not None and one is not False)


def _in_place(root: Schema, schemas: list[Schema]) -> list[Schema]:
    """These schemas, and those that they hold the same value against."""
    waiting: list[Any] = list(schemas)
    seen: dict[int, Schema] = {}
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping) and id(one) not in seen:
            seen[id(one)] = one
            for key in _IN_PLACE:
                waiting += one[key] if isinstance(one.get(key), list) else [one.get(key)]
            waiting.append(pointed(root, one["$ref"]) if "$ref" in one else None)
    return list(seen.values())
