"""One operation of a description as an endpoint of the catalog: url with its placeholders, headers, words, paging.

What its parameters are is read in openapi_parameters.py, its body in openapi_bodies.py. What the catalog cannot say is noted with its
place, and left out: a part where the rest still makes a call, else the operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from catalog.importer.compact_schemas import PARAMETER_SIZE, compact, merged
from catalog.importer.openapi_auth import key_of
from catalog.importer.openapi_bodies import body_of
from catalog.importer.openapi_paging import counts_from_zero, is_unsaid, pagination
from catalog.importer.openapi_parameters import DescribedParameter, parameters, schema_of, without_null
from catalog.importer.prose import described
from catalog.references import Documents, Node, printable
from catalog.values import HEADER_NAME, header_key, is_reserved

_DESCRIPTION = 200  # characters
_PLACEHOLDER = 48
_FIELDS = 20  # of an object in the query
_LEVELS = 3  # of objects in objects there
_COLLECTIONS = {
    "ssv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}  # Swagger 2
_ARRAYS = {"spaceDelimited": ("spaceDelimited", False), "pipeDelimited": ("pipeDelimited", False)}
_PATH_MARK = {"label": ".", "matrix": ";"}  # RFC 6570, for one value


@dataclass
class _Draft:
    """An endpoint that is being made."""

    taken: set[str] = field(default_factory=set)  # names of placeholders and headers
    query: dict[str, str] = field(default_factory=dict)  # query name -> placeholder
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """A placeholder's name that is free, as near as possible to what is wanted."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_-")[:_PLACEHOLDER] or "value"
        plain = plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"
        free = next(
            one
            for number in range(1, 10_000)
            if (one := f"{plain}_{number}" if number > 1 else plain) not in self.taken
        )
        self.taken.add(free)
        return free

    def say(self, name: str, schema: dict[str, Any]) -> None:
        """Keeps what is worth saying: that a value is text goes without saying."""
        if schema and schema != {"type": "string"}:
            self.parameters[name] = schema


def endpoint(
    documents: Documents,
    path: str,
    method: str,
    item: Node,
    operation: Node,
    own: Container[tuple[str, str]],
    like: Sequence[str] = (),
) -> dict[str, Any]:
    """The catalog's entry. `own`: what carries credentials and is no matter of the model, as (header or query, its name by
    `key_of`). `like`: what the path's placeholders are called elsewhere. Raises `Unsaid`."""
    given = [
        one for one in parameters(documents, item, operation) if (one.where, key_of(one.where, one.name)) not in own
    ]
    by_place = {where: [one for one in given if one.where == where] for where in ("header", "path", "query", "cookie")}
    draft = _Draft()
    for one in by_place["header"]:
        _header(documents, draft, one)
    url = _path(documents, draft, path, by_place["path"], operation, like)
    if pairs := [pair for one in by_place["query"] for pair in _query(documents, draft, one)]:
        url += ("&" if "?" in url else "?") + "&".join(pairs)
    _note_cookies(documents, by_place["cookie"])
    entry: dict[str, Any] = {"method": method, "url": url, "description": _words(method, path, operation)}
    if draft.parameters:
        entry["parameters"] = draft.parameters
    entry |= body_of(documents, method, operation, given)
    return entry | (_paging(documents, draft, path, operation, given) if method == "GET" else {})


def _note_cookies(documents: Documents, given: list[DescribedParameter]) -> None:
    for one in given:
        if one.required:
            words = f"the cookie '{one.name[:60]}' is left out; the model cannot set cookies"
            documents.notes.add(one.node, words, lost="parameters")


def _words(method: str, path: str, operation: Node) -> str:
    """The entry's description."""
    fallback = _fallback(method, path, operation)
    words = described(operation.text("summary"), operation.text("description"), fallback, _DESCRIPTION)
    return f"Deprecated. {words}" if operation.is_set("deprecated") else words


def _paging(
    documents: Documents, draft: _Draft, path: str, operation: Node, given: list[DescribedParameter]
) -> dict[str, dict[str, Any]]:
    """The entry's `pagination`, where the description tells of pages."""
    types = {name: str(schema.get("type", "string")) for name, schema in draft.parameters.items()}
    paging = pagination(documents, operation, draft.query, types, path)
    if paging is None:
        if is_unsaid(documents, operation, draft.query, types, path):
            documents.notes.add(
                operation,
                "its paging is not recognised, so all_pages will find out by trying; write pagination if you know it",
            )
        return {}
    if "parameter" in paging:
        _first_page(draft, paging["parameter"], given)
    return {"pagination": paging}


def _first_page(draft: _Draft, placeholder: str, given: list[DescribedParameter]) -> None:
    """Code turns the pages, so their parameter needs no words; where these say that pages are counted from 0, its schema does."""
    schema = draft.parameters.get(placeholder, {})
    schema.pop("description", None)
    told = next((one.node.text("description") for one in given if draft.query.get(one.name) == placeholder), "")
    if schema.get("type") == "integer" and "default" not in schema and counts_from_zero(told):
        schema.setdefault("minimum", 0)


# --- path, query, headers ---------------------------------------------------------------------------------------------


def _path(
    documents: Documents,
    draft: _Draft,
    path: str,
    given: list[DescribedParameter],
    operation: Node,
    like: Sequence[str],
) -> str:
    known = {one.name: one for one in given}
    used: set[str] = set()
    names = iter(like)

    def place(found: re.Match[str]) -> str:
        raw = found[1].strip("+/.;?&#*")
        name = draft.name(next(names, raw))
        if raw in used:
            documents.notes.add(
                operation, f"duplicate placeholder {{{raw[:60]}}} in its path; the second is called [{name}]"
            )
        used.add(raw)
        if (one := known.get(raw)) is None:
            return f"[{name}]"
        draft.say(name, _as_text(schema_of(documents, one)))
        mark = _PATH_MARK.get(one.node.text("style"), "")
        return f"{mark}{raw}=[{name}]" if mark == ";" else f"{mark}[{name}]"

    path = path if path.startswith("/") else "/" + path
    path = re.sub(
        r"(?<=/):(\w+)", lambda found: f"{{{found[1]}}}" if found[1] in known else found[0], path
    )  # as servers write it
    path = re.sub(r"\{[?&][^{}]*\}$", "", path)  # RFC 6570's query, which the parameters say again
    pieces = re.split(r"(\{[^{}]+\})", path)
    whole = "".join(
        re.sub(r"^\{(.+)\}$", place, piece) if piece.startswith("{") else quote(piece, safe="/?#&=!$'()*+,;:@-._~%")
        for piece in pieces
    )
    for name, one in known.items():
        if name not in used:
            documents.notes.add(
                one.node, f"'{name[:60]}' is not a placeholder of {path[:120]}; it is left out", lost="parameters"
            )
    return whole


def _as_text(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema for one text, such as a path's segment. Of several kinds those stay that one value can be; where no such is among them,
    several values stand in one text as OpenAPI's style simple has them."""
    variants = [one for one in schema.get("anyOf", ()) if _is_single(one)]
    if schema.get("anyOf"):
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        if len(variants) == 1:
            return _as_text(rest | variants[0])
        return (
            rest | ({"type": "string"} if {"type": "string"} in variants else {"anyOf": variants})
            if variants
            else _several(rest)
        )
    kinds = schema.get("type", "string")
    if isinstance(kinds, str):
        return _several(schema) if kinds in ("array", "object") else schema
    single = [kind for kind in kinds if kind not in ("array", "object")]
    if not single:
        return _several(schema)
    if len(single) > 1 and "string" in single:  # any text: bounds are of one of the kinds alone
        found = {key: value for key, value in schema.items() if key == "description"}
        texts = [value if isinstance(value, str) else json.dumps(value) for value in schema.get("enum", ())]
        return {"type": "string"} | ({"enum": texts} if texts else {}) | found
    found = {key: value for key, value in schema.items() if key not in ("items", "properties", "additionalProperties")}
    return found | {"type": single[0] if len(single) == 1 else single}


def _is_single(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type", "string")
    return any(kind not in ("array", "object") for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _several(schema: dict[str, Any]) -> dict[str, Any]:
    words = schema.get("description", "")
    return {"type": "string", "description": f"{words}, comma-separated" if words else "comma-separated"}


def _header(documents: Documents, draft: _Draft, one: DescribedParameter) -> None:
    key = header_key(one.name)
    if key in ("accept", "content-type", "authorization"):
        return  # of no meaning as parameters by OpenAPI's words
    if not re.fullmatch(HEADER_NAME, one.name) or len(one.name) > 100:
        documents.notes.add(one.node, "this is not a header name; it is left out", lost="parameters")
    elif is_reserved(one.name):
        documents.notes.add(one.node, f"a call may not set the header {one.name}; it is left out", lost="parameters")
    elif key not in {header_key(name) for name in draft.taken}:
        draft.taken.add(one.name)
        schema = _as_text(schema_of(documents, one))
        draft.parameters[one.name] = {"in": "header", **({"required": True} if one.required else {}), **schema}


def _query(documents: Documents, draft: _Draft, one: DescribedParameter) -> Iterator[str]:
    """The url's parts for a query parameter: one, or one for each field of an object."""
    schema = schema_of(documents, one)
    variants: list[dict[str, Any]] = schema.get("anyOf", [schema])
    objects = [each for each in variants if each.get("type") == "object"]
    others = [each for each in variants if each.get("type") != "object"]
    if objects:
        yield from _fields(documents, draft, one)
    if others:
        chosen = schema if len(others) == len(variants) else _of_variants(schema, others)
        value = _value(one, chosen)
        # Rails and PHP take a list only where its name ends in brackets, which descriptions say as deepObject.
        is_deep = (
            value.get("type") == "array" and one.node.text("style") == "deepObject" and not one.name.endswith("[]")
        )
        yield _pair(draft, one.name + "[]" if is_deep else one.name, value, one.required)


def _of_variants(schema: dict[str, Any], variants: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema with fewer variants."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return rest | ({"anyOf": variants} if len(variants) > 1 else variants[0])


def _pair(draft: _Draft, name: str, schema: dict[str, Any], required: bool) -> str:
    placeholder = draft.name(name)
    draft.query[name] = placeholder
    draft.say(placeholder, ({"required": True} if required else {}) | schema)
    return f"{quote(name, safe='-._~$!*(),:;@')}=[{placeholder}]"


def _value(one: DescribedParameter, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema for one query value; a list with how it is written."""
    if "anyOf" in schema:
        lists = [each for each in schema["anyOf"] if each.get("type") == "array"]
        others = [each for each in schema["anyOf"] if each.get("type") != "array"]
        if not lists:
            return schema
        schema = _of_variants(schema, others or lists[:1])
    if schema.get("type") != "array":
        return schema
    items = schema.get("items", {})
    found = {key: value for key, value in schema.items() if key in ("type", "description", "minItems", "maxItems")}
    if isinstance(items, dict) and items.get("type") in ("string", "integer", "number", "boolean"):
        found["items"] = {key: value for key, value in items.items() if key != "secret"}
    style, explode = _style(one)
    spelled = ({"style": style} if style != "form" else {}) | (
        {} if explode == (style == "form") else {"explode": explode}
    )
    return {"type": found.pop("type")} | spelled | found


def _style(one: DescribedParameter) -> tuple[str, bool]:
    """(style, explode) of a list in the query; Swagger 2 calls it collectionFormat and takes commas where it says nothing."""
    node = one.node
    if one.schema is node:
        return _COLLECTIONS.get(node.text("collectionFormat"), ("form", False))
    style, explode = _ARRAYS.get(node.text("style"), ("form", True))
    return style, node.get("explode").value if isinstance(node.get("explode").value, bool) else explode


def _fields(documents: Documents, draft: _Draft, one: DescribedParameter) -> Iterator[str]:
    """An object in the query: `name[field]` (deepObject), or its fields as names of their own (form, exploded)."""
    deep = one.node.text("style") == "deepObject"
    if not deep and one.node.get("explode").value is False:
        documents.notes.add(
            one.node,
            f"the catalog cannot write the object '{one.name[:60]}' into a query; it is left out",
            lost="parameters",
        )
        return
    whole = merged(documents, [one.schema])
    properties = dict(whole.properties)
    for choice in ("anyOf", "oneOf"):
        for variants in whole.all(choice):
            for variant in variants.each():
                properties |= merged(documents, [variant]).properties
    if not properties:
        documents.notes.add(
            one.node, f"the object '{one.name[:60]}' in the query names no fields; it is left out", lost="parameters"
        )
    for name, nodes in list(properties.items())[:_FIELDS]:
        inner = replace(
            one,
            name=f"{one.name}[{name}]" if deep else name,
            required=one.required and name in whole.required,
            schema=nodes[0],
        )
        yield from _field(documents, draft, inner, deep=deep)
    if len(properties) > _FIELDS:
        rest = printable(", ".join(list(properties)[_FIELDS:]), 1_000)
        documents.notes.add(
            one.node,
            f"of the object '{one.name[:60]}' in the query these fields are left out: {rest}",
            lost="parameters",
        )


def _field(documents: Documents, draft: _Draft, one: DescribedParameter, *, deep: bool) -> Iterator[str]:
    """A field of an object in the query: a value, or with deepObject an object in its turn (`a[b][c]`)."""
    schema = without_null(compact(documents, one.schema, PARAMETER_SIZE, about=one.name))
    variants: list[dict[str, Any]] = schema.get("anyOf", [schema])
    values = [each for each in variants if each.get("type") not in ("object", "array")]
    is_object = any(each.get("type") == "object" for each in variants)
    if values:
        yield _pair(
            draft, one.name, schema if len(values) == len(variants) else _of_variants(schema, values), one.required
        )
    if is_object and deep and one.name.count("[") < _LEVELS:
        yield from _fields(documents, draft, replace(one, required=one.required and not values))
    elif not values or is_object:
        documents.notes.add(
            one.node,
            f"the catalog cannot write the list or object '{one.name[:60]}' into a query; it is left out",
            lost="parameters",
        )


# --- words ------------------------------------------------------------------------------------------------------------


def _fallback(method: str, path: str, operation: Node) -> str:
    """Some description where the document has none: the operation's id in words, else what it is called."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", operation.text("operationId"))
    words = " ".join(word if word.isupper() else word.lower() for word in re.findall(r"[^\W_]+", words))
    return printable(f"{words[:1].upper()}{words[1:]}." if words else f"{method} {path}", _DESCRIPTION)
