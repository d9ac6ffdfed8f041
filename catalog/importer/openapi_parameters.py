"""The parameters that a description gives an operation, and what is said of their values.

Where they become the url, the headers and `parameters` of an endpoint: openapi_calls.py.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import Any

from catalog.importer.compact_schemas import BODY_SIZE, PARAMETER_SIZE, compact
from catalog.references import Documents, Node, printable

_JSON_TEXT = 400  # characters that tell the fields of a value that is JSON
_MANY = 40  # parameters from which on the most telling come first: a line of the prompt shows about as many
_PARAMETERS = 200  # that are described; of the others the name and the type are kept
_MOST = 2_000  # parameters of one operation
_COMMON = (
    "q", "query", "search", "filter", "id", "ids", "name", "title", "status", "state", "type", "kind", "email", "user", "owner", "tag",
    "tags", "limit", "per_page", "page_size", "offset", "page", "cursor", "sort", "order", "ordering",
)  # fmt: skip
_LOOKS = frozenset(("pretty", "opt_pretty", "prettyprint", "callback", "jsonp"))  # of the answer, which no model needs


@dataclass(frozen=True)
class DescribedParameter:
    """A parameter of a description: `node` is where it stands, `schema` where its values are described."""

    name: str
    where: str  # path, query, header, cookie, body, formData
    required: bool
    node: Node
    schema: Node
    is_json: bool = False  # its value is a JSON text, which the schema describes
    is_brief: bool = False  # too many are beside it: known by its name and type alone


def parameters(documents: Documents, item: Node, operation: Node) -> list[DescribedParameter]:
    """The parameters of a path and of its operation; the operation's win."""
    found: dict[tuple[str, str], DescribedParameter] = {}
    for place in (item.get("parameters"), operation.get("parameters")):
        if place.value is not None and not isinstance(place.target.value, (list, type(None))):
            documents.notes.add(place, "parameters has to be a list; it is left out", lost="parameters")
        for one in place.each():
            node = documents.follow(one)
            given = _given(documents, node, one)
            if given is not None:
                found[given.where, given.name] = given
    return list(_bounded(documents, list(found.values()), operation))


def _bounded(documents: Documents, given: list[DescribedParameter], operation: Node) -> Iterator[DescribedParameter]:
    """The parameters of one operation. Where they are many, the most telling first, and the last ones by name and type alone."""
    if len(given) > _MANY:
        names = {one.name for one in given}
        given = sorted(given, key=lambda one: _telling(one, names))
    for place, one in enumerate(given[:_MOST]):
        yield replace(one, is_brief=place >= _PARAMETERS and not one.required)
    if len(given) > _PARAMETERS:
        rest = ", ".join(one.name for one in given[_PARAMETERS:_MOST])
        documents.notes.add(
            operation,
            f"it has {len(given)} parameters; {_PARAMETERS} are described, and these have only a name and a type: "
            f"{printable(rest, 12_000)}",
        )
    if len(given) > _MOST:
        documents.notes.add(
            operation, f"it has {len(given):,} parameters; the first {_MOST:,} are taken", lost="parameters"
        )


def _telling(one: DescribedParameter, names: Container[str]) -> tuple[bool, bool, bool, int]:
    """From what a call needs to what says another thing of a name that is there: `name__ic`, `created[gte]`."""
    base = re.split(r"__|[\[.:!]", one.name, maxsplit=1)[0]
    common = _COMMON.index(one.name.lower()) if one.name.lower() in _COMMON else len(_COMMON)
    is_described = any(said.text("description") for said in (one.node, one.schema))
    return not one.required, base != one.name and base in names, not is_described, common


def _given(documents: Documents, node: Node, written: Node) -> DescribedParameter | None:
    name, where = node.text("name"), node.text("in")
    if node.value is None:
        return None  # a broken reference, noted
    if not name or where not in ("path", "query", "header", "cookie", "body", "formData"):
        documents.notes.add(
            written, "a parameter needs a name, and in: path, query or header; this one is left out", lost="parameters"
        )
        return None
    if (node.is_set("deprecated") or name.lower() in _LOOKS) and not node.is_set("required"):
        return None
    schema, is_json = node.get("schema"), False
    if not isinstance(schema.value, dict):
        kind, content = next(iter(node.get("content").items()), ("", None))
        is_json = "json" in kind.lower()
        schema = node if content is None else content.get("schema")
    return DescribedParameter(name, where, where == "path" or node.is_set("required"), node, schema, is_json)


def schema_of(documents: Documents, one: DescribedParameter) -> dict[str, Any]:
    """A parameter's values: the parameter's own words before those of its schema, nothing about null."""
    size = BODY_SIZE if one.is_json else PARAMETER_SIZE
    schema = compact(documents, one.schema, size, about=one.name)
    if one.is_brief:
        return _bare(without_null(schema))
    said = {} if one.is_json else schema
    if one.schema is not one.node and one.node.text("description"):
        words = one.node.holding({"description": one.node.text("description")})
        own = compact(documents, words, PARAMETER_SIZE, about=one.name)
        said = {key: value for key, value in said.items() if key != "description"} | own
    return without_null(said) if not one.is_json else _json_text(said.get("description", ""), schema)


def _json_text(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A value that is JSON in one text: what has to be in it is told in words."""
    needed = schema.get("required", [])
    fields = schema.get("properties", {}) or schema.get("items", {}).get("properties", {})
    told = [f"{name}{'' if name in needed else '?'} {_kind_said(one)}".rstrip() for name, one in fields.items()]
    text = "JSON text" + (f", a list{' of' if told else ''}" if schema.get("type") == "array" else "")
    if told:
        text += f" {{{printable('; '.join(told), _JSON_TEXT)}}}"
    return {"description": f"{words.rstrip('.')}. {text}" if words else text}


def _kind_said(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(str(value)[:40] for value in schema["enum"][:8])
    kinds = schema.get("type", "string")
    return "|".join(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind not in ("string", "null"))


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema's type alone, and that of a list's items."""
    found = {"type": schema["type"]} if "type" in schema else {}
    items = schema.get("items")
    return found | ({"items": {"type": items["type"]}} if isinstance(items, dict) and "type" in items else {})


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema for a URL's text, which cannot be null."""
    found = dict(schema)
    if isinstance(found.get("type"), list):
        kinds = [kind for kind in found["type"] if kind != "null"]
        found["type"] = "array" if "array" in kinds else kinds[0] if len(kinds) == 1 else kinds
    if "enum" in found:
        found["enum"] = [value for value in found["enum"] if value is not None]
    if "anyOf" in found:
        variants = [one for one in found["anyOf"] if one.get("type") != "null"]
        found = {key: value for key, value in found.items() if key != "anyOf"}
        found |= {"anyOf": variants} if len(variants) > 1 else variants[0] if variants else {}
    found.pop("required", None)  # a list of fields here, which the catalog reads as the parameter's own `required`
    return found
