"""Numbers that keep the text they were written as, and a file's values as the types that a JSON Schema gives them.

YAML and JSON read `012`, `1.10` and `1e3` as numbers. Where a schema says `type: string`, the text is meant; only here is it known what
stands where. What leaves this room has plain numbers, of which no digit is lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Self

from base.json_pointer import referred

_DIGITS = 1_000  # of a number; longer ones stay text
_MOST_DIGITS = 400  # before or behind the point
_SURE = 15  # digits that every reader of numbers keeps
# The numbers of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema).
INTEGER = re.compile(rf"[-+]?[0-9]{{1,{_DIGITS}}}|0o[0-7]{{1,{_DIGITS}}}|0x[0-9a-fA-F]{{1,{_DIGITS}}}")
FLOAT = re.compile(
    rf"[-+]?(?:\.[0-9]{{1,{_DIGITS}}}|[0-9]{{1,{_DIGITS}}}(?:\.[0-9]{{0,{_DIGITS}}})?)(?:[eE][-+]?[0-9]{{1,4}})?"
)
_NUMBERS = frozenset(("integer", "number"))
_TEXTS = ("title", "description", "format", "pattern", "$ref", "$comment")
_VALUES = ("const", "default")  # keywords whose value is one of the schema's own values
_LISTS = ("enum", "examples")  # whose value is a list of such
_IN_PLACE = ("allOf", "anyOf", "oneOf")  # whose schemas are about the same value
_INNER = ("not", "if", "then", "else")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")  # mappings of schemas by name


class _Written:
    """A number whose `str()` is what was written."""

    text: str

    def __str__(self) -> str:
        return self.text


class WrittenInteger(_Written, int):
    """Such as `012`, which is 12."""


class WrittenFloat(_Written, float):
    """Such as `1.10`, which is 1.1."""


class WrittenDecimal(Decimal):
    """Such as `1e3`, of which a Decimal alone would make `1E+3`."""

    text: str

    def __new__(cls, text: str) -> Self:
        """The number of a text. Raises `decimal.InvalidOperation` where it is none."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def decimal(text: str) -> Decimal | None:
    """A number as it is written, with all its digits; None where it is beyond all measure: as a whole number it would fill the memory."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    if not found.is_finite() or abs(found.adjusted()) > _MOST_DIGITS:
        return None
    return found if str(found) == text else WrittenDecimal(text)


def number(text: str) -> int | float | None:
    """The finite number that `text` is by YAML 1.2's core schema, else None. Its `str()` is `text` again."""
    found: int | float
    if INTEGER.fullmatch(text):
        found = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    elif FLOAT.fullmatch(text) and math.isfinite(value := float(text)):
        found = value
    else:
        return None
    return found if str(found) == text else _keeping(found, text)


def _keeping(value: float, text: str) -> int | float:
    kept = WrittenInteger(value) if isinstance(value, int) else WrittenFloat(value)
    kept.text = text
    return kept


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; true and false are none."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def has_zeros(value: object) -> bool:
    """Whether a number was written as none is: `01`. Where nothing says what it is, it is a text."""
    return is_number(value) and re.match(r"[-+]?0[0-9]", str(value)) is not None


def as_text(value: Any) -> Any:
    """A number as the text that was written; anything else as it is."""
    return str(value) if is_number(value) else value


def plain(value: Any) -> Any:
    """A value whose numbers are numbers alone: Decimals where floats would lose digits."""
    match value:
        case WrittenInteger():
            return int(value)
        case WrittenFloat():
            exact = Decimal(value.text)
            return float(value) if exact == Decimal(repr(float(value))) else exact
        case WrittenDecimal():
            return Decimal(value)
        case dict():
            return {key: plain(one) for key, one in value.items()}
        case list():
            return [plain(one) for one in value]
    return value


# --- by a schema ------------------------------------------------------------------------------------------------------


def as_typed(value: Any, schema: Mapping[str, Any], *, in_url: bool = False) -> Any:
    """A value of a file as its schema means it: numbers as their text where it says `type: string`, else plain.

    `in_url`: it travels as text, in a URL or header; so where the schema names no type, `01` is that text and no number.
    """
    return _Meant(schema, in_url=in_url).value(value, (schema,))


def settled(schema: Mapping[str, Any], *, in_url: bool = False) -> dict[str, Any]:
    """A schema of a file with its own values (enum, const, default, examples) as it means them itself; `in_url` as above."""
    found: dict[str, Any] = _Meant(schema, in_url=in_url).schema(schema, ())
    return found


class _Meant:
    """What the values of one schema's document mean."""

    def __init__(self, root: Mapping[str, Any], *, in_url: bool = False) -> None:
        self._root = root
        self._in_url = in_url

    def schema(self, schema: Any, around: tuple[Any, ...]) -> Any:
        """`schema` settled. `around`: schemas that are about the same value."""
        match schema:
            case dict():
                here = (schema, *around)
                return {key: self._keyword(key, one, here) for key, one in schema.items()}
            case list():
                return [self.schema(one, ()) for one in schema]
        return plain(schema)

    def _keyword(self, key: str, said: Any, here: tuple[Any, ...]) -> Any:
        if key == "type":
            return _type_names(said)
        if key in _TEXTS:
            return as_text(said)
        if key in _VALUES:
            return self.value(said, here)
        if key in _LISTS and isinstance(said, list):
            return [self.value(one, here) for one in said]
        if key in _IN_PLACE and isinstance(said, list):
            return [self.schema(one, here) for one in said]
        if key in _NAMED and isinstance(said, dict):
            return {name: self.schema(one, ()) for name, one in said.items()}
        return self.schema(said, here if key in _INNER else ())

    def value(self, value: Any, schemas: Iterable[Any]) -> Any:
        """A value that all of `schemas` are about."""
        match value:
            case dict():
                places = list(self._in_place(schemas))
                return {name: self.value(one, _fields(places, name)) for name, one in value.items()}
            case list():
                places = list(self._in_place(schemas))
                return [self.value(one, [place.get("items") for place in places]) for one in value]
        return str(value) if is_number(value) and self._is_text(value, schemas) else plain(value)

    def _is_text(self, value: object, schemas: Iterable[Any]) -> bool:
        kinds = {kind for place in self._in_place(schemas) for kind in kinds_of(place)}
        if not kinds:
            return self._in_url and (isinstance(value, _Written) or len(str(value)) > _SURE)
        return "string" in kinds and kinds.isdisjoint(_NUMBERS)

    def _in_place(self, schemas: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
        """The schemas, and those that they refer to or are made of, which are about the same value."""
        waiting, seen = list(schemas), set()
        while waiting:
            one = waiting.pop()
            if not isinstance(one, dict) or id(one) in seen:
                continue
            seen.add(id(one))
            yield one
            waiting.append(referred(self._root, one.get("$ref")))
            for key in _IN_PLACE:
                waiting += said if isinstance(said := one.get(key), list) else []


def _type_names(said: Any) -> Any:
    """The word null in a list of types is YAML's nothing, unless it is in quotes."""
    return [_type_names(one) for one in said] if isinstance(said, list) else "null" if said is None else plain(said)


def kinds_of(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema's own `type` names."""
    said = schema.get("type")
    return [kind for kind in (said if isinstance(said, list) else [said]) if isinstance(kind, str)]


def _fields(places: Iterable[Mapping[str, Any]], name: str) -> Iterator[Any]:
    """The schemas of an object's field."""
    for place in places:
        fields = place.get("properties")
        known = fields if isinstance(fields, dict) else {}
        yield known[name] if name in known else place.get("additionalProperties")
