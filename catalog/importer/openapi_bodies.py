"""The body that a description gives an operation, as the catalog's `body`, `body_type` and `body_required`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from catalog.bodies import JSON_PATCH
from catalog.importer.compact_schemas import BODY_SIZE, compact
from catalog.importer.openapi_parameters import DescribedParameter
from catalog.references import Documents, Node, printable
from catalog.rules import SAFE_METHODS

# What a PATCH is sent as where its description leaves the choice: what the model writes most easily comes first.
_PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json", JSON_PATCH)


class Unsaid(Exception):
    """The catalog cannot say this operation. Its text says why."""


def body_of(documents: Documents, method: str, operation: Node, given: list[DescribedParameter]) -> dict[str, Any]:
    """The entry's body and body_type. Raises `Unsaid` where it needs one that the catalog cannot say."""
    forms = [one for one in given if one.where == "formData"]
    whole = next((one for one in given if one.where == "body"), None)
    if forms:
        entry = _form(documents, forms, operation)
        is_needed = any(one.required for one in forms)
    elif whole is not None:
        said = operation.get("consumes").value or documents.root.get("consumes").value
        name = _json_among([str(one) for one in said] if isinstance(said, list) else []) or "application/json"
        entry = _as_json(name, compact(documents, whole.schema, BODY_SIZE))
        is_needed = whole.required
    else:
        request = documents.follow(operation.get("requestBody"))
        entry, is_needed = _content(documents, request), request.is_set("required")
    if method in SAFE_METHODS:
        if (entry.get("body") or {}).get("properties"):
            documents.notes.add(operation, f"the body of a {method} is left out", lost="bodies")
        return {}
    body = entry.get("body")
    if body is None or (body.get("additionalProperties") is False and "properties" not in body):
        return {}  # one that may hold nothing
    kinds = body.get("type", [])
    kinds = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind in ("object", "array")]
    if "type" in body and not kinds:
        raise Unsaid("its body is neither an object nor a list, and nothing else can be sent")
    typed = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    optional = {} if is_needed else {"body_required": False}
    return optional | entry | {"body": typed | {key: value for key, value in body.items() if key != "type"}}


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
