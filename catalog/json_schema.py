"""The JSON Schema of apis.yaml, made of the models that read it, so that editors complete and check the file as it is written.

It is whole in itself: an editor fetches nothing. Only what has to hold between entries is left to `python bot.py check`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from catalog.entries import ApiEntry, CatalogFile
from catalog.schema_keywords import KEYWORDS
from catalog.values import ANY_SCHEMA

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OWN = "JsonSchema"  # the name under $defs of what a JSON Schema in the catalog may be
_ANY: dict[str, Any] = {"$ref": f"#/$defs/{_OWN}"}
_ONE_OR_BOOL = {"anyOf": [_ANY, {"type": "boolean"}]}
_MANY = {"type": "array", "items": _ONE_OR_BOOL, "minItems": 1}
_NAMED = {"type": "object", "additionalProperties": _ONE_OR_BOOL}
_COUNT = {"type": "integer", "minimum": 0}
_TYPE = {
    "enum": ["string", "integer", "number", "boolean", "array", "object", "null", None]
}  # null without quotes, too
_TYPES = {"anyOf": [_TYPE, {"type": "array", "items": _TYPE, "minItems": 1, "uniqueItems": True}]}

# Keywords of JSON Schema (draft 2020-12) with what editors say of them. Others that there are pass as they are; the start checks them all.
_FOR_ONE_VALUE: dict[str, tuple[dict[str, Any], str]] = {
    "type": (_TYPES, "What kind of value it is, or a list of kinds."),
    "enum": ({"type": "array"}, "The values that may be given."),
    "const": ({}, "The one value that may be given."),
    "format": (
        {"type": "string"},
        "What a text is, for example date, email or uri; binary: a file's content in base64.",
    ),
    "pattern": ({"type": "string"}, "A regular expression that a text has to match."),
    "minLength": (_COUNT, "The fewest characters of a text."),
    "maxLength": (_COUNT, "The most characters of a text."),
    "minimum": ({"type": "number"}, "The smallest number."),
    "maximum": ({"type": "number"}, "The greatest number."),
    "exclusiveMinimum": ({"type": "number"}, "Numbers have to be greater than this."),
    "exclusiveMaximum": ({"type": "number"}, "Numbers have to be smaller than this."),
    "multipleOf": ({"type": "number", "exclusiveMinimum": 0}, "Numbers have to be a multiple of this."),
    "items": (_ONE_OR_BOOL, "The schema of each item of a list."),
    "minItems": (_COUNT, "The fewest items of a list."),
    "maxItems": (_COUNT, "The most items of a list."),
    "uniqueItems": ({"type": "boolean"}, "No item of a list may occur twice."),
    "anyOf": (_MANY, "At least one of these schemas has to accept the value."),
    "oneOf": (_MANY, "Exactly one of these schemas has to accept the value."),
    "allOf": (_MANY, "Each of these schemas has to accept the value."),
    "not": (_ONE_OR_BOOL, "This schema must not accept the value."),
    "description": ({"type": "string"}, "What it means, for the model."),
    "default": ({}, "The value where none is given."),
    "examples": ({"type": "array"}, "Values as they may look, for the model."),
    "secret": ({"type": "boolean"}, "Sent as it is, but hidden in cards, logs and the journal."),
}
_FOR_SCHEMAS: dict[str, tuple[dict[str, Any], str]] = {
    "properties": (_NAMED, "The schema of each field by its name."),
    "required": ({"type": "array", "items": {"type": "string"}}, "The fields that have to be there."),
    "additionalProperties": (_ONE_OR_BOOL, "false: no fields beside those under properties; or a schema for them."),
    "$ref": ({"type": "string"}, "Another place of the same schema, for example #/$defs/address."),
    "$defs": (_NAMED, "Schemas by name, for $ref."),
}


def catalog_schema() -> dict[str, Any]:
    """The schema (2020-12): several APIs under `apis`, or the keys of one at the top."""
    several = _plain(CatalogFile.model_json_schema())
    one = _plain(ApiEntry.model_json_schema())
    beside = {key: value for key, value in several["properties"].items() if key != "apis"}
    names = several.pop("$defs") | one.pop("$defs")
    own = names["Parameter"]["properties"]
    names["Parameter"] |= {"properties": _keywords(_FOR_ONE_VALUE) | own, "propertyNames": _names_of(own)}
    names[_OWN] = {
        "description": "A JSON Schema.",
        "type": "object",
        "properties": _keywords(_FOR_ONE_VALUE | _FOR_SCHEMAS),
        "propertyNames": _names_of(()),
    }
    return {
        "$schema": _DIALECT,
        "title": "apis.yaml",
        "description": "What the bot may call, and nothing else. Each key is explained in docs/catalog.md.",
        "type": "object",
        "if": {"required": ["apis"]},
        "then": several,
        "else": one | {"properties": one["properties"] | beside},
        "$defs": names,
    }


def schema_text() -> str:
    """The schema as docs/apis.schema.json has it."""
    return json.dumps(catalog_schema(), indent=2) + "\n"


def _keywords(told: dict[str, tuple[dict[str, Any], str]]) -> dict[str, Any]:
    return {key: schema | {"description": words} for key, (schema, words) in told.items()}


def _names_of(own: Iterable[str]) -> dict[str, Any]:
    """What a key may be called beside a JSON Schema's keywords."""
    return {"anyOf": [{"enum": sorted({*KEYWORDS, *own})}, {"pattern": "^x-"}]}


def _plain(schema: Any, *, is_names: bool = False) -> Any:
    """A schema without the titles that pydantic makes of names, and without defaults, which the descriptions tell in words; where a
    text belongs, a number is read as one.

    `is_names`: its keys are names of the catalog's, not keywords.
    """
    match schema:
        case {"$ref": str(ref)} if ref == ANY_SCHEMA:
            return _ANY | {key: value for key, value in schema.items() if key == "description"}
        case dict():
            closed = {"additionalProperties": False} if "patternProperties" in schema and not is_names else {}
            is_any_text = schema.get("type") == "string" and schema.keys().isdisjoint(("pattern", "enum", "const"))
            return (
                closed
                | {
                    key: _plain(value, is_names=key in ("properties", "$defs") and not is_names)
                    for key, value in schema.items()
                    if is_names or key not in ("title", "default")
                }
                | ({"type": ["string", "number"]} if is_any_text else {})
            )
        case list():
            return [_plain(one) for one in schema]
    return schema
