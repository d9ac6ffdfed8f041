"""What a JSON Schema in the catalog may say beyond what the specification allows: no keyword that means nothing, since `secrte: true`
would hide nothing, and no value that its own type shuts out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from base.nearest import did_you_mean
from base.written_numbers import is_number, kinds_of, number

Mistake = tuple[tuple[int | str, ...], str]  # the place within the schema, and what to write

NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))  # schemas by name
_ONE = frozenset(
    ("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "unevaluatedItems",
     "unevaluatedProperties", "contentSchema")
)  # fmt: skip
_MANY = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_OWN = frozenset(("secret", "style", "explode"))
# JSON Schema 2020-12 (https://json-schema.org/draft/2020-12/json-schema-validation), and what OpenAPI says beside it without effect.
KEYWORDS = NAMED | _ONE | _MANY | _OWN | frozenset(
    ("$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$comment",
     "type", "const", "enum", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength",
     "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties",
     "minProperties", "required", "dependentRequired", "title", "description", "default", "deprecated", "readOnly",
     "writeOnly", "examples", "format", "contentEncoding", "contentMediaType",
     "example", "externalDocs", "xml", "discriminator")
)  # fmt: skip
# What others call it.
_ELSEWHERE = {
    "nullable": "write null among the types: type: [string, 'null']",
    "dependencies": "write dependentRequired or dependentSchemas",
    "additionalItems": "write prefixItems and items",
    "optional": "list the required names under required; everything else is optional",
    **dict.fromkeys(("values", "options", "choices", "allowed", "oneof"), "write enum: [...]"),
    **dict.fromkeys(("min", "minValue"), "write minimum"),
    **dict.fromkeys(("max", "maxValue"), "write maximum"),
    **dict.fromkeys(("regex", "match", "matches"), "write pattern"),
    **dict.fromkeys(("fields", "props", "attributes"), "write properties"),
    **dict.fromkeys(("help", "doc", "summary", "comment"), "write description"),
    **dict.fromkeys(("sensitive", "hidden", "password", "private", "masked"), "write secret: true"),
}
_KINDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "null",
          "array": "a list", "object": "a mapping"}  # fmt: skip


class BadSchema(ValueError):
    """A schema's mistakes, with their places in it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(words for _, words in self.mistakes))


def check_words(schema: Mapping[str, Any], beside: Iterable[str] = ()) -> None:
    """Raises `BadSchema` with all that is wrong in a valid schema. `beside`: keys that may have been meant as well."""
    if found := tuple(_mistakes(schema, (), frozenset(beside))):
        raise BadSchema(found)


def _mistakes(schema: Any, place: tuple[int | str, ...], beside: frozenset[str]) -> Iterator[Mistake]:
    if not isinstance(schema, dict):
        return
    for key, said in schema.items():
        here = (*place, key)
        if key not in KEYWORDS and not key.startswith("x-"):
            yield here, _unknown(key, beside)
        elif key == "secret" and not isinstance(said, bool):
            yield here, f"secret takes true or false, not {_shown(said)}"
        elif key in ("enum", "const", "default"):
            yield from _misfits(schema, key, said, here)
        else:
            yield from _inner(key, said, here)


def _inner(key: str, said: Any, here: tuple[int | str, ...]) -> Iterator[Mistake]:
    """What is wrong in the schemas under a keyword."""
    if key in NAMED and isinstance(said, dict):
        for name, one in said.items():
            yield from _mistakes(one, (*here, name), frozenset())
    elif key in _ONE:
        yield from _mistakes(said, here, frozenset())
    elif key in _MANY and isinstance(said, list):
        for index, one in enumerate(said):
            yield from _mistakes(one, (*here, index), frozenset())


def _unknown(key: str, beside: frozenset[str]) -> str:
    if told := _ELSEWHERE.get(key):
        return f"'{key}' is not a keyword of JSON Schema; {told}"
    near = did_you_mean(key, KEYWORDS | beside)
    return f"'{key}' is not a keyword of JSON Schema{near or '; remove it, or begin it with x- if it is your own annotation'}"


# --- values and their types -------------------------------------------------------------------------------------------


def _misfits(schema: Mapping[str, Any], key: str, said: Any, here: tuple[int | str, ...]) -> Iterator[Mistake]:
    kinds = kinds_of(schema)
    listed = enumerate(said) if key == "enum" and isinstance(said, list) else [(None, said)]
    for index, value in listed:
        if kinds and not is_of(value, kinds):
            place = here if index is None else (*here, index)
            yield (
                place,
                f"{key}: {_shown(value)} is not {' or '.join(_KINDS.get(k, k) for k in kinds)}; {_advice(value, kinds)}",
            )


def is_of(value: object, kinds: Iterable[str]) -> bool:
    """Whether a value is of one of JSON Schema's types."""
    return any(_is_kind(value, kind) for kind in kinds)


def _is_kind(value: object, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return is_number(value) and _is_whole(value)
        case "number":
            return is_number(value)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
    return True


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or (math.isfinite(value) and value == math.floor(value))


def _advice(value: object, kinds: list[str]) -> str:
    match value:
        case None:
            return f"put it in quotes, or write type: [{', '.join(kinds)}, 'null']"
        case bool() if "string" in kinds:
            return "put it in quotes"
        case str() if "boolean" in kinds:
            return "write true or false"
        case str() if number(value) is not None:
            return "write it without quotes"
    return "write another value, or another type"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
