"""JSON Schema over what the model wrote: what is wrong, where, and how to mend it, in few words. What is a secret is never repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, relevance

from core.secret import has_secret, is_secret, secret_names
from core.shrink import CUT
from core.template import Value

_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_LONGEST = 200  # characters that are said about one problem
_KINDS = {"array": "a list", "object": "an object", "string": "text", "integer": "a whole number", "number": "a number",
          "boolean": "true or false", "null": "null"}  # fmt: skip


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
    if "integer" in kinds and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if "number" in kinds and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value):
        return float(value)
    if "boolean" in kinds and value in ("true", "false"):
        return value == "true"
    return value


def looks_like(text: str) -> int | float | bool | str:
    """A text as the number or truth value that it may mean, else the text."""
    found: int | float | bool | str = typed({"type": ["integer", "number", "boolean"]}, text)
    return found


def _untyped(schema: Mapping[str, Any], text: str) -> Any:
    """A text whose schema says in other words what it may be: `enum`, `anyOf`, bounds of a number."""
    meant = looks_like(text)
    if not _BOUNDS.isdisjoint(schema) and not isinstance(meant, bool):
        return meant
    return meant if any(problems(schema, text)) and not any(problems(schema, meant)) else text


def problems(schema: Mapping[str, Any], value: object) -> Iterator[str]:
    """What a value's JSON Schema has against it, in the order of the places, each with its place. Secret values are not repeated."""
    secrets = frozenset(secret_names(schema))
    try:
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        for error in sorted(
            map(_nearest, validator.iter_errors(value)), key=lambda one: list(map(str, one.absolute_path))
        ):
            steps = [str(step) for step in error.absolute_path]
            is_hidden = is_secret(schema) or has_secret(error.schema) or not secrets.isdisjoint(steps)
            words = f"does not fit '{error.validator}'" if is_hidden else _words(error)
            yield shortened(": ".join([".".join(steps), words] if steps else [words]), _LONGEST)
    except RecursionError:
        yield "nested too deeply"


def _nearest(error: ValidationError) -> ValidationError:
    """Where none of several schemas fits: what the one says that fits best."""
    while error.context:
        error = min(error.context, key=relevance)
    return error


def _words(error: ValidationError) -> str:
    limit: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "required":
            missing = [name for name in limit if name not in value]
            return f"'{missing[0]}' is missing; add it" if len(missing) == 1 else f"add {', '.join(missing)}"
        case "additionalProperties" if limit is False and isinstance(error.schema, Mapping):
            return _unknown(error.schema, value)
        case "type":
            kinds = limit if isinstance(limit, list) else [limit]
            return f"{_said(value)} is not {' or '.join(_KINDS.get(str(kind), str(kind)) for kind in kinds)}"
        case "enum":
            return f"{_said(value)} is none of {', '.join(_said(one) for one in limit)}"
        case "const":
            return f"{_said(value)} has to be {_said(limit)}"
        case "format":
            return f"{_said(value)} is no {limit}" + ("; write YYYY-MM-DD" if limit == "date" else "")
    return str(error.message)


def _unknown(schema: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    known = schema.get("properties", {})
    unknown = [name for name in value if name not in known]
    return f"unknown: {', '.join(unknown)}; known: {', '.join(known) or 'nothing'}" if unknown else "unknown names"


def _said(value: object) -> str:
    return shortened(json.dumps(value, ensure_ascii=False), 60)


def shortened(text: str, limit: int = 120) -> str:
    """`text` cut to `limit` characters, with nothing in it that no database and no model server takes."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else text[: limit - 1] + CUT
