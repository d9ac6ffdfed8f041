"""JSON Schemas of a catalog, held against values that a model chose: one engine, whose time is bounded.

Every schema of a catalog (parameters, bodies, conditions, inputs) comes through here. What does not fit is put into words in
validate.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, ValidationError

from base.json_pointer import referred
from base.json_text import dumps
from base.written_numbers import plain
from catalog.patterns import misfit

Schema = Mapping[str, Any]
MAX_DEPTH = 100  # levels of a value; the engine follows nesting until its stack ends
_MAX_UNFOLDED = 1_000_000  # schemas that one value may be held against, all references followed
_PATTERNS = RegexOptions(size_limit=1_000_000)  # bytes of a compiled one: a{10000}, or \p{L}{1,10}
# Formats that are words for the model and no more, as APIs differ in what they take: date-time without a zone, say.
_HINTS = ("date-time", "time", "duration", "hostname", "idn-hostname", "idn-email", "uri", "uri-reference", "iri",
          "iri-reference", "uri-template", "json-pointer", "relative-json-pointer", "regex")  # fmt: skip


class Unreadable(ValueError):
    """A value that no JSON can carry, or that is nested too deeply. Its text is for the model."""


def fits(schema: Schema | bool, value: object) -> bool:
    """Whether a value fits a schema of the catalog. Raises `Unreadable`."""
    check_readable(value)
    return _engine(schema).is_valid(plain(value))


def check_readable(value: object) -> None:
    """Raises `Unreadable` where a value is none that a schema could be held against."""
    level = [value]
    for _ in range(MAX_DEPTH):
        for one in level:
            _check_scalar(one)
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise Unreadable("nested too deeply")


def _inside(value: object) -> Iterator[object]:
    match value:
        case dict():
            yield from value
            yield from value.values()
        case list() | tuple():
            yield from value


def _check_scalar(value: object) -> None:
    match value:
        case str() if not value.isascii() and not _is_whole(value):
            raise Unreadable("contains half a character, which JSON cannot carry")
        case float() if not math.isfinite(value):
            raise Unreadable("contains a number that JSON cannot carry")


def _is_whole(text: str) -> bool:
    """Whether a text has no half of a surrogate pair in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _engine(schema: Schema | bool) -> Draft202012Validator:
    return Draft202012Validator(
        schema if isinstance(schema, bool) else dict(schema),
        validate_formats=True,
        formats=dict.fromkeys(_HINTS, _anything),
        pattern_options=_PATTERNS,
        offline=True,
    )


def _anything(_text: str) -> bool:
    return True


# --- at the start -----------------------------------------------------------------------------------------------------


def check_schema(schema: dict[str, Any]) -> None:
    """Raises `ValueError`, in words for the catalog's author, where a schema is none, or could not be kept to in a bounded time."""
    _check_json(schema)
    for pattern in _patterns(schema):
        if (problem := misfit(pattern)) is not None:
            raise ValueError(f"pattern '{pattern}' {problem}")
        _check_pattern(pattern)
    for ref in _refs(schema):
        if pointed(schema, ref) is None:
            raise ValueError(f"$ref '{ref}' does not resolve; write '#/$defs/...' and define it in the same schema")
    _check_size(schema)
    try:
        _engine(schema)
    except ValidationError as error:
        raise ValueError(f"not a valid JSON Schema: {_said(error)}") from None
    except (ReferencingError, ValueError) as error:
        raise ValueError(f"not a valid JSON Schema: {error}") from None


def _check_json(schema: object) -> None:
    try:
        dumps(schema, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise ValueError("write JSON values only; a date needs quotes") from None
    if not _is_named(schema):
        raise ValueError("write names and values as JSON has them; a name that looks like a number needs quotes")


def _is_named(value: object) -> bool:
    """Whether all names in a value are texts."""
    match value:
        case dict():
            return all(isinstance(name, str) and _is_named(one) for name, one in value.items())
        case list():
            return all(map(_is_named, value))
    return True


def _check_size(schema: dict[str, Any]) -> None:
    try:
        if _unfolded(schema, schema, {}) <= _MAX_UNFOLDED:
            return
    except RecursionError:
        raise ValueError("its references form too long a chain; use fewer") from None
    raise ValueError("its references multiply: one value would be checked against a million schemas; use fewer")


def _check_pattern(pattern: str) -> None:
    try:
        _engine({"pattern": pattern})
    except ValueError:
        raise ValueError(
            f"not a valid JSON Schema: pattern '{pattern}' is not a regular expression of ECMA-262, or repeats too much "
            "(to limit the length, use maxLength)"
        ) from None


def _said(error: ValidationError) -> str:
    if error.instance_path[-1:] == ["type"]:
        kinds = "string, integer, number, boolean, array, object or null"
        return f"type takes {kinds}, or a list of these, not {dumps(error.instance)}"
    place = ": ".join(map(str, error.instance_path))
    return f"{place}: {error.message}" if place else error.message


# Keywords whose entries are schemas by name, and those that hold values and no schemas.
_BY_NAME = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_VALUES = frozenset(("enum", "const", "default", "examples"))


def schemas_in(schema: object) -> Iterator[dict[str, Any]]:
    """A schema and every schema inside of it, references not followed."""
    match schema:
        case dict():
            yield schema
            for key, one in schema.items():
                if key in _BY_NAME and isinstance(one, dict):
                    for inner in one.values():
                        yield from schemas_in(inner)
                elif key not in _VALUES:
                    yield from schemas_in(one)
        case list():
            for one in schema:
                yield from schemas_in(one)


def _patterns(schema: dict[str, Any]) -> Iterator[str]:
    for one in schemas_in(schema):
        if isinstance(pattern := one.get("pattern"), str):
            yield pattern
        if isinstance(named := one.get("patternProperties"), dict):
            yield from named


def _refs(schema: dict[str, Any]) -> Iterator[str]:
    for one in schemas_in(schema):
        if isinstance(ref := one.get("$ref"), str):
            yield ref


def pointed(root: Any, ref: str) -> dict[str, Any] | bool | None:
    """The schema that a `$ref` within `root` leads to; None where there is none."""
    found = referred(root, ref)
    return found if isinstance(found, (dict, bool)) else None


def _unfolded(one: object, root: dict[str, Any], done: dict[int, int]) -> int:
    """How many schemas and lists `one` comes to with all references followed; a circle counts once, as the engine goes round it."""
    if not isinstance(one, (dict, list)):
        return 0
    if id(one) not in done:
        done[id(one)] = 0
        ref = one.get("$ref") if isinstance(one, dict) else None
        below = [
            *(one.values() if isinstance(one, dict) else one),
            *([pointed(root, ref)] if isinstance(ref, str) else []),
        ]
        done[id(one)] = 1 + sum(_unfolded(inner, root, done) for inner in below)
    return done[id(one)]
