"""One operation of a description as an endpoint of the catalog: url with its placeholders, parameters, body, words, paging.

What the catalog cannot say is noted with its place, and left out: a part where the rest still makes a call, else the operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from catalog.bodies import JSON_PATCH
from catalog.importer.compact_schemas import BODY_SIZE, PARAMETER_SIZE, compact, merged
from catalog.importer.openapi_auth import key_of
from catalog.importer.openapi_paging import counts_from_zero, is_unsaid, pagination
from catalog.importer.prose import described
from catalog.references import Documents, Node, printable
from catalog.rules import SAFE_METHODS
from catalog.values import HEADER_NAME, header_key, is_reserved

_DESCRIPTION = 200  # characters
_JSON_TEXT = 400  # characters that tell the fields of a value that is JSON
_PLACEHOLDER = 48
_MANY = 40  # parameters from which on the most telling come first: a line of the prompt shows about as many
_PARAMETERS = 200  # that are described; of the others the name and the type are kept
_MOST = 2_000  # parameters of one operation
_COMMON = (
    "q", "query", "search", "filter", "id", "ids", "name", "title", "status", "state", "type", "kind", "email", "user", "owner", "tag",
    "tags", "limit", "per_page", "page_size", "offset", "page", "cursor", "sort", "order", "ordering",
)  # fmt: skip
_LOOKS = frozenset(("pretty", "opt_pretty", "prettyprint", "callback", "jsonp"))  # of the answer, which no model needs
# What a PATCH is sent as where its description leaves the choice: what the model writes most easily comes first.
_PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json", JSON_PATCH)
_FIELDS = 20  # of an object in the query
_LEVELS = 3  # of objects in objects there
_COLLECTIONS = {
    "ssv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}  # Swagger 2
_ARRAYS = {"spaceDelimited": ("spaceDelimited", False), "pipeDelimited": ("pipeDelimited", False)}
_PATH_MARK = {"label": ".", "matrix": ";"}  # RFC 6570, for one value


class Unsaid(Exception):
    """The catalog cannot say this operation. Its text says why."""


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
    entry |= _body(documents, method, operation, given)
    return entry | (_paging(documents, draft, path, operation, given) if method == "GET" else {})


def _note_cookies(documents: Documents, given: list[DescribedParameter]) -> None:
    for one in given:
        if one.required:
            words = f"the cookie '{one.name[:60]}' is left out; the catalog has no cookies for the model"
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
                "how its list goes on is not recognised, so all_pages will try it out; write pagination where you know",
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
            f"it has {len(given)} parameters; {_PARAMETERS} are described, these can be given, too, and are known by name and type alone: "
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


def _schema(documents: Documents, one: DescribedParameter) -> dict[str, Any]:
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
        draft.say(name, _as_text(_schema(documents, one)))
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
        documents.notes.add(one.node, f"a call may not bring the header {one.name}; it is left out", lost="parameters")
    elif key not in {header_key(name) for name in draft.taken}:
        draft.taken.add(one.name)
        schema = _as_text(_schema(documents, one))
        draft.parameters[one.name] = {"in": "header", **({"required": True} if one.required else {}), **schema}


def _query(documents: Documents, draft: _Draft, one: DescribedParameter) -> Iterator[str]:
    """The url's parts for a query parameter: one, or one for each field of an object."""
    schema = _schema(documents, one)
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


# --- body -------------------------------------------------------------------------------------------------------------


def _body(documents: Documents, method: str, operation: Node, given: list[DescribedParameter]) -> dict[str, Any]:
    """The entry's body and body_type. Raises `Unsaid` where it needs one that the catalog cannot say."""
    forms = [one for one in given if one.where == "formData"]
    whole = next((one for one in given if one.where == "body"), None)
    if forms:
        found = _form(documents, forms, operation)
        is_needed = any(one.required for one in forms)
    elif whole is not None:
        said = operation.get("consumes").value or documents.root.get("consumes").value
        name = _json_among([str(one) for one in said] if isinstance(said, list) else []) or "application/json"
        found = _as_json(name, compact(documents, whole.schema, BODY_SIZE))
        is_needed = whole.required
    else:
        request = documents.follow(operation.get("requestBody"))
        found, is_needed = _content(documents, request), request.is_set("required")
    if method in SAFE_METHODS:
        if (found.get("body") or {}).get("properties"):
            documents.notes.add(operation, f"the body of a {method} is left out", lost="bodies")
        return {}
    body = found.get("body")
    if body is None or (body.get("additionalProperties") is False and "properties" not in body):
        return {}  # one that may hold nothing
    kinds = body.get("type", [])
    kinds = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind in ("object", "array")]
    if "type" in body and not kinds:
        raise Unsaid("its body is no object or list, and no other can be sent")
    typed = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    optional = {} if is_needed else {"body_required": False}
    return optional | found | {"body": typed | {key: value for key, value in body.items() if key != "type"}}


def _content(documents: Documents, request: Node) -> dict[str, Any]:
    """An OpenAPI 3 body: JSON before a form before multipart."""
    kinds = {name.partition(";")[0].strip().lower(): one for name, one in request.get("content").items()}
    if not kinds:
        return {}
    name = _json_among(kinds)
    if name is not None:
        return _as_json(name, compact(documents, kinds[name].get("schema"), BODY_SIZE))
    for name, kind in (("application/x-www-form-urlencoded", "form"), ("multipart/form-data", "multipart")):
        if name in kinds:
            body = _object(compact(documents, kinds[name].get("schema"), BODY_SIZE))
            finish = _styled if kind == "form" else _with_files
            return {"body_type": kind, "body": finish(body, kinds[name].get("encoding"))}
    if request.is_set("required"):
        raise Unsaid(f"it takes only {printable(', '.join(kinds), 120)}, which the bot cannot send")
    documents.notes.add(
        request,
        f"its body is left out: it takes only {printable(', '.join(kinds), 120)}, which the bot cannot send",
        lost="bodies",
    )
    return {}


def _json_among(kinds: Iterable[str]) -> str | None:
    """The media type of JSON that a body is sent as, where there is one among these: the plain one before others."""
    names = {one.partition(";")[0].strip().lower() for one in kinds}
    plain = [one for one in ("application/json", "*/*", "application/*") if one in names]
    others = [one for one in _PATCHES if one in names] + sorted(one for one in names if one.endswith("+json"))
    return next(iter(plain + others), None)


def _as_json(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The entry's body and body_type for a media type of JSON."""
    if name == JSON_PATCH:  # a list, which descriptions forget
        body = {"type": "array"} | {key: one for key, one in body.items() if key in ("items", "description")}
    is_said = re.fullmatch(r"application/[\w.-]+\+json", name, re.ASCII) is not None
    return ({"body_type": name} if is_said else {}) | {"body": body}


def _styled(body: dict[str, Any], encoding: Node) -> dict[str, Any]:
    """A form whose lists say how they are written. OpenAPI repeats the name where `encoding` says nothing."""
    fields = dict(body.get("properties", {}))
    for name, schema in fields.items():
        said = encoding.get(name)
        if schema.get("type") == "array" and said.text("style") in ("", "form"):
            fields[name] = _list_field(schema, exploded=said.get("explode").value is not False)
    return body | ({"properties": fields} if fields else {})


def _with_files(body: dict[str, Any], encoding: Node) -> dict[str, Any]:
    """A multipart body whose files are told as OpenAPI 3.1 does: `contentMediaType` of a field, or `contentType` under `encoding`.

    https://spec.openapis.org/oas/v3.1.1.html#considerations-for-file-uploads
    """
    fields = {
        name: _file(schema, encoding.get(name).text("contentType").partition(",")[0].strip())
        for name, schema in body.get("properties", {}).items()
    }
    return body | ({"properties": fields} if fields else {})


def _file(schema: dict[str, Any], sent_as: str) -> dict[str, Any]:
    """A field's schema: a file where its content is of a kind that no text or JSON value is."""
    if isinstance(items := schema.get("items"), dict) and schema.get("type", "array") == "array":
        return schema | {"items": _file(items, sent_as)}
    kind = schema.get("contentMediaType") or sent_as
    if schema.get("type", "string") != "string" or schema.get("contentEncoding") or schema.get("format") == "binary":
        return schema
    if (
        not kind
        or kind in ("text/plain", "application/x-www-form-urlencoded")
        or kind.endswith("json")
        or "enum" in schema
    ):
        return schema
    media = {} if "*" in kind else {"contentMediaType": kind}
    return (
        {"type": "string", "format": "binary"} | media | {k: v for k, v in schema.items() if k not in ("type", *media)}
    )


def _list_field(schema: dict[str, Any], *, exploded: bool) -> dict[str, Any]:
    spelled = {"style": "form"} | ({} if exploded else {"explode": False})
    return {"type": schema["type"]} | spelled | {key: value for key, value in schema.items() if key != "type"}


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    """A form's schema, which is an object's whatever the description forgot to say."""
    return (
        schema
        if schema.get("type") == "object"
        else {"type": "object"} | {k: v for k, v in schema.items() if k != "type"}
    )


def _form(documents: Documents, forms: list[DescribedParameter], operation: Node) -> dict[str, Any]:
    """Swagger 2's form fields as one schema."""
    properties = {one.name: one.node.value for one in forms}
    required = [one.name for one in forms if one.required]
    schema = operation.holding({"type": "object", "required": required, "properties": properties})
    consumes = operation.get("consumes").target.value or documents.root.get("consumes").target.value
    has_file = any(one.node.text("type") == "file" for one in forms)
    multipart = has_file or (
        isinstance(consumes, list)
        and "multipart/form-data" in consumes
        and "application/x-www-form-urlencoded" not in consumes
    )
    body = _object(compact(documents, schema, BODY_SIZE))
    if multipart:
        return {"body_type": "multipart", "body": body}
    fields = dict(body.get("properties", {}))
    for one in forms:
        if fields.get(one.name, {}).get("type") == "array":
            fields[one.name] = _list_field(fields[one.name], exploded=one.node.text("collectionFormat") == "multi")
    return {"body_type": "form", "body": body | {"properties": fields}}


# --- words ------------------------------------------------------------------------------------------------------------


def _fallback(method: str, path: str, operation: Node) -> str:
    """Some description where the document has none: the operation's id in words, else what it is called."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", operation.text("operationId"))
    words = " ".join(word if word.isupper() else word.lower() for word in re.findall(r"[^\W_]+", words))
    return printable(f"{words[:1].upper()}{words[1:]}." if words else f"{method} {path}", _DESCRIPTION)
