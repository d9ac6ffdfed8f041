"""JSON Schema over what the model wrote: what is wrong, where, and how to mend it, in few words. What is a secret is never repeated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from base.json_text import dumps
from base.shrink import CUT
from base.utf8 import encodable
from catalog.faults import Fault, faults
from catalog.schemas import Unreadable, fits
from catalog.secret_values import has_secret, is_secret, secret_names
from catalog.template import Value

_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_WHOLE = r"-?[0-9]{1,4096}"  # of any length that a URL may have; Python reads no more than 4,300
_LONGEST = 200  # characters that are said about one problem
_MOST = 20  # problems that are said of one value
_KINDS = {"array": "a list", "object": "an object", "string": "text", "integer": "a whole number", "number": "a number",
          "boolean": "true or false", "null": "null"}  # fmt: skip
_WORDS = {
    "minimum": "{value} is less than {limit}",
    "maximum": "{value} is more than {limit}",
    "exclusiveMinimum": "{value} is not more than {limit}",
    "exclusiveMaximum": "{value} is not less than {limit}",
    "multipleOf": "{value} is not a multiple of {limit}",
    "minLength": "{value} has fewer than {limit} characters",
    "maxLength": "{value} has more than {limit} characters",
    "pattern": "{value} does not match {limit}",
    "minItems": "{value} has fewer than {limit} items",
    "maxItems": "{value} has more than {limit} items",
    "uniqueItems": "{value} has a duplicate item",
    "contains": "{value} has no item that matches {limit}",
    "minProperties": "{value} has fewer than {limit} fields",
    "maxProperties": "{value} has more than {limit} fields",
    "const": "{value} has to be {limit}",
    "not": "{value} matches {limit}, which it must not",
    "oneOf": "{value} matches several of these, not just one: {limit}",
}


def typed(schema: Mapping[str, Any], value: Value) -> Any:
    """A URL's or header's text as the type that its schema names, where it can be read as such; a list's items likewise."""
    if isinstance(value, tuple):
        items = schema.get("items")
        return [typed(items if isinstance(items, dict) else {}, one) for one in value]
    kinds = schema.get("type")
    if kinds is None:
        return _untyped(schema, value)
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "string" in kinds:
        return value
    if "integer" in kinds and re.fullmatch(_WHOLE, value):
        return int(value)
    if "number" in kinds and re.fullmatch(rf"{_WHOLE}(\.[0-9]+)?", value):
        return Decimal(value)  # as it was written: a float of as many digits may be less, or more
    if "boolean" in kinds and value in ("true", "false"):
        return value == "true"
    return value


def looks_like(text: str) -> int | Decimal | bool | str:
    """A text as the number or truth value that it may mean, else the text."""
    found: int | Decimal | bool | str = typed({"type": ["integer", "number", "boolean"]}, text)
    return found


def _untyped(schema: Mapping[str, Any], text: str) -> Any:
    """A text whose schema says in other words what it may be: `enum`, `anyOf`, bounds of a number."""
    meant = looks_like(text)
    if not _BOUNDS.isdisjoint(schema) and not isinstance(meant, bool):
        return meant
    return meant if not fits(schema, text) and fits(schema, meant) else text


def problems(schema: Mapping[str, Any], value: object) -> Iterator[str]:
    """What a value's JSON Schema has against it, in the order of the places, each with its place. Secret values are not repeated."""
    try:
        found = [] if fits(schema, value) else faults(schema, value)
    except Unreadable as error:
        yield str(error)
        return
    secrets = frozenset(secret_names(schema))
    for one in found[:_MOST]:
        is_hidden = is_secret(schema) or has_secret(one.schema) or not secrets.isdisjoint(one.place)
        words = f"does not fit '{one.keyword or 'its schema'}'" if is_hidden else _words(one)
        yield shortened(": ".join([".".join(one.place), words] if one.place else [words]), _LONGEST)


def _words(fault: Fault) -> str:
    value, limit = fault.value, fault.schema.get(fault.keyword)
    match fault.keyword:
        case "required":
            missing = [name for name in fault.schema["required"] if name not in value]
            return f"'{missing[0]}' is missing; add it" if len(missing) == 1 else f"add {', '.join(missing)}"
        case "additionalProperties":
            return _unknown(fault.schema, value)
        case "type":
            return f"{_said(value)} is not {kinds_said(limit if isinstance(limit, list) else [str(limit)])}"
        case "enum":
            return f"{_said(value)} is not one of {', '.join(map(_said, fault.schema['enum']))}"
        case "format":
            return f"{_said(value)} is not a valid {limit}" + ("; write YYYY-MM-DD" if limit == "date" else "")
    known = _WORDS.get(
        fault.keyword, f"{{value}} does not fit '{fault.keyword}'" if fault.keyword else "{value} is not allowed here"
    )
    return known.format(value=_said(value), limit=_said(limit))


def kinds_said(kinds: Iterable[str]) -> str:
    """JSON Schema's types in words: `a number or text`."""
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds)


def _unknown(schema: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    known = schema.get("properties", {})
    unknown = [name for name in value if name not in known]
    return f"unknown: {', '.join(unknown)}; known: {', '.join(known) or 'nothing'}" if unknown else "unknown names"


def _said(value: object) -> str:
    return shortened(dumps(value, ensure_ascii=False), 60)


def shortened(text: str, limit: int = 120) -> str:
    """`text` cut to `limit` characters, with nothing in it that no database and no model server takes."""
    text = encodable(text)
    return text if len(text) <= limit else text[: limit - 1] + CUT
