"""How a body travels: the stored JSON text in, the content type and the text that is sent out. The same record always gives the same
text. Sending it is not this file's concern.

`form` (application/x-www-form-urlencoded) writes objects and lists as Stripe and OpenAPI's deepObject do, `a[b]=c`, with indexes for
lists, `a[0]=c`; the list of a field with `style: form` as OpenAPI does where it says nothing, `a=c&a=d`, or with `explode: false` as
`a=c,d`. `multipart` (RFC 7578) has a part for each field: a list's items one each under the same name, an object as JSON, a field of
`format: binary` as a file. Neither has null: it is sent as an empty text.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from base.json_text import dumps, loads

_OCTETS = "application/octet-stream"
JSON_PATCH = "application/json-patch+json"
_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})  # RFC 6902, 4


def encoded(body_type: str, body: str, schema: Mapping[str, Any] | None) -> tuple[str, str]:
    """(Content-Type, text to send as UTF-8) of a stored body. `schema` is the operation's: it says which fields are files."""
    match body_type:
        case "form":
            return "application/x-www-form-urlencoded", urlencode(list(_fields(loads(body), schema or {})))
        case "multipart":
            boundary = _boundary(body)
            parts = [f"--{boundary}\r\n{part}\r\n" for part in _parts(loads(body), schema or {})]
            return f"multipart/form-data; boundary={boundary}", "".join([*parts, f"--{boundary}--\r\n"])
    return ("application/json" if body_type == "json" else body_type), body


def unfit(body_type: str, value: object, schema: Mapping[str, Any] | None) -> str | None:
    """What keeps a body from travelling so that the API reads what people were shown; None where nothing does."""
    if body_type not in ("form", "multipart"):
        return _no_patch(body_type, value)
    if not isinstance(value, dict):
        return "write an object; it is sent as fields"
    if not value:
        return "write at least one field" if body_type == "multipart" else None
    problems = (_ambiguous(value), _no_texts(value, schema or {}), _with_commas(value, schema or {}))
    return next((problem for found in problems for problem in found), None)


def _no_patch(body_type: str, value: object) -> str | None:
    """What keeps a body of this media type from being one."""
    if body_type == JSON_PATCH and not is_json_patch(value):
        return (
            'write a JSON Patch, a list of operations, for example [{"op": "replace", "path": "/name", "value": "Ann"}]'
        )
    if "patch" in body_type and body_type != JSON_PATCH and not isinstance(value, dict):
        return "write an object with the fields that change"
    return None


def is_json_patch(body: Any) -> bool:
    """Whether a body is a list of operations as RFC 6902 has them."""
    return (
        isinstance(body, list)
        and bool(body)
        and all(
            isinstance(one, dict) and str(one.get("op")) in _OPERATIONS and isinstance(one.get("path"), str)
            for one in body
        )
    )


def _ambiguous(value: Any) -> Iterator[str]:
    """Names that would read as others, and what has no spelling of its own, at any depth."""
    match value:
        case dict():
            for name, one in value.items():
                if not name or any(c in '[]"\\' or unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in name):
                    yield f"a field's name may not contain brackets, quotes or control characters ({json.dumps(name)[:80]})"
                yield from _ambiguous(one)
        case list():
            for one in value:
                yield from _ambiguous(one)
    if value in ({}, []):
        yield "a form cannot carry an empty list or object; leave it out"


# --- form -------------------------------------------------------------------------------------------------------------


def _fields(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, one in value.items():
        way = _list_way(one, _property(schema, name))
        if way is None:
            yield from _pairs(name, one)
        elif way == "commas":
            yield name, ",".join(map(_text, one))
        else:
            yield from ((name, _text(item)) for item in one)


def _list_way(value: object, field: Mapping[str, Any]) -> Literal["repeated", "commas"] | None:
    """How a list of plain values is written where its field says `style: form`; None: in brackets, as all else."""
    if field.get("style") != "form" or not isinstance(value, list):
        return None
    if any(isinstance(item, (dict, list)) for item in value):
        return None
    return "commas" if field.get("explode") is False else "repeated"


def _with_commas(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for name, one in value.items():
        if _list_way(one, _property(schema, name)) == "commas" and any("," in _text(item) for item in one):
            yield f"{name}: an item contains a comma, which separates the items; the API cannot take it"


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case dict() | list():
            for key, one in value.items() if isinstance(value, dict) else enumerate(value):
                yield from _pairs(f"{name}[{key}]" if name else str(key), one)
        case _:
            yield name, _text(value)


def _text(value: Any) -> str:
    """A scalar as forms have it: text as it is, numbers and booleans as JSON writes them, null as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value)


# --- multipart --------------------------------------------------------------------------------------------------------


def _parts(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for name, one in value.items():
        field = _field(schema, name)
        for item in one if isinstance(one, list) else [one]:
            yield _part(name, item, _file_type(field))


def _part(name: str, value: Any, file_type: str | None) -> str:
    """One part's headers and content. A file is named after its field, since a catalog has no better name for it."""
    head = f'Content-Disposition: form-data; name="{name}"'
    if file_type is not None:
        return f'{head}; filename="{name}"\r\nContent-Type: {file_type}\r\n\r\n{_text(value)}'
    if isinstance(value, (dict, list)):
        text = dumps(value, ensure_ascii=False, separators=(",", ":"))
        return f"{head}\r\nContent-Type: application/json\r\n\r\n{text}"
    return f"{head}\r\n\r\n{_text(value)}"


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    properties = schema.get("properties")
    found = properties.get(name) if isinstance(properties, dict) else None
    return found if isinstance(found, dict) else {}


def _field(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The schema of a field, a list's items standing for the list."""
    found = _property(schema, name)
    items = found.get("items")
    return items if isinstance(items, dict) else found


def _file_type(field: Mapping[str, Any]) -> str | None:
    """The media type of a field that is a file (`format: binary`); None where it is none."""
    if field.get("format") != "binary":
        return None
    kind = str(field.get("contentMediaType", _OCTETS))
    return kind if re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind, re.ASCII) else _OCTETS


def _no_texts(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for name, one in value.items():
        if _file_type(_field(schema, name)) is not None:
            for item in one if isinstance(one, list) else [one]:
                if not isinstance(item, str):
                    yield f"{name}: a file's content has to be text"


def _boundary(body: str) -> str:
    """Made of the record, so that the same one gives the same bytes. A body that held its own boundary would have to hold its own hash."""
    return "part-" + hashlib.sha256(body.encode()).hexdigest()[:40]
