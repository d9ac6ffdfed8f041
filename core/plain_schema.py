"""Sees at a glance that a JSON Schema of the usual keywords is valid. The whole check against the metaschema takes some ten
milliseconds, which a catalog of a thousand operations would spend at every start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_TYPES = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_type(value: object) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return (
        bool(kinds) and all(isinstance(one, str) and one in _TYPES for one in kinds) and len(set(kinds)) == len(kinds)
    )


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)


def _is_schema(value: object) -> bool:
    return isinstance(value, bool) or surely_valid(value)


def _are_fields(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) and _is_schema(one) for name, one in value.items())


def _are_schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_schema(one) for one in value)


_CHECKS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("description", "title", "format"), _is_text),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("anyOf", "oneOf", "allOf"), _are_schemas),
    **dict.fromkeys(("items", "additionalProperties"), _is_schema),
    **dict.fromkeys(("default", "const", "secret", "style", "explode"), lambda _: True),
    "type": _is_type,
    "enum": lambda value: isinstance(value, list),
    "required": _are_names,
    "properties": _are_fields,
}


def surely_valid(schema: Any) -> bool:
    """Whether a schema is valid (JSON Schema 2020-12) beyond doubt; False means that the whole check has to say."""
    return isinstance(schema, dict) and all(key in _CHECKS and _CHECKS[key](value) for key, value in schema.items())
