"""Small API descriptions for the tests of the import, and the way from one to a loaded catalog."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from catalog.catalog import Catalog, load_catalog
from catalog.importer.merge import marks_text
from catalog.importer.openapi import Choice, Imported, read_api
from catalog.references import Documents
from catalog.yaml_text import api_text, switched

VARIABLES = dict.fromkeys(
    (
        "API_URL",
        "SHOP_TOKEN",
        "SHOP_API_KEY",
        "SHOP_USERNAME",
        "SHOP_PASSWORD",
        "SHOP_APP_KEY",
        "SHOP_X_API_KEY",
        "SHOP_CLIENT_ID",
        "SHOP_CLIENT_SECRET",
        "SHOP_TOKEN_URL",
    ),
    "https://x",
)


def description(paths: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """An OpenAPI 3.0 document of a shop; `more` are keys of its top."""
    head = {
        "openapi": "3.0.3",
        "info": {"title": "Shop API", "version": "1"},
        "servers": [{"url": "https://shop.example"}],
    }
    return {**head, "paths": paths, **more}


def get(*parameters: Any, answer: Any = None, **more: Any) -> dict[str, Any]:
    """A path's item with a GET. `answer`: the schema of its JSON."""
    content = {"content": {"application/json": {"schema": answer}}} if answer is not None else {}
    responses = {"200": {"description": "fine", **content}}
    return {"get": {"summary": "Gets it", "parameters": list(parameters), "responses": responses, **more}}


def post(schema: Any, kind: str = "application/json", **more: Any) -> dict[str, Any]:
    """A path's item with a POST that takes a body."""
    return {"post": {"summary": "Makes it", "requestBody": {"content": {kind: {"schema": schema}}}, **more}}


def query(name: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema or {"type": "string"}, **more}


def imported(
    document: Any, choice: Choice | None = None, others: Mapping[str, Any] | None = None, **more: Any
) -> Imported:
    return read_api(Documents(document, (others or {}).get), choice or Choice(), **more)


def written(api: Imported, *, writes: bool = True) -> str:
    """The catalog's text."""
    credentials = {"auth": api.credentials.auth, "headers": api.credentials.headers}
    entries = [(group, switched(entry, writes=writes)) for group, entry in api.endpoints]
    text = api_text(api.name, api.base_url, credentials, entries, ["A catalog."])
    return text + "\n" + marks_text(entry for _, entry in api.endpoints)


def loaded(api: Imported) -> Catalog:
    """What the bot would start with."""
    given = dict.fromkeys(api.credentials.variables, "only-for-this-test")
    urls = {name: "https://login.example/token" for name in given if name.endswith("_URL")}
    return load_catalog(written(api), VARIABLES | given | urls)


def entry(document: Any, number: int = 0, **more: Any) -> dict[str, Any]:
    """One endpoint of the catalog that a description makes; the catalog loads."""
    api = imported(document, **more)
    assert loaded(api).operations
    return api.endpoints[number][1]


def notes(document: Any) -> list[tuple[str, str]]:
    return list(imported(document).notes)


# --- a description with something of everything -----------------------------------------------------------------------

PET = {
    "type": "object",
    "required": ["name", "id"],
    "properties": {
        "id": {"type": "integer", "format": "int64", "readOnly": True, "example": 7},
        "name": {"type": "string", "minLength": 1, "maxLength": 80, "xml": {"name": "n"}, "x-internal": True},
        "status": {
            "type": "string",
            "enum": ["free", "sold"],
            "default": "free",
            "description": "Where it **is**. More.",
        },
        "owner": {"nullable": True, "allOf": [{"$ref": "#/components/schemas/Owner"}]},
        "parent": {"$ref": "#/components/schemas/Pet"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
        "price": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    },
    "discriminator": {"propertyName": "status"},
}
OWNER = {
    "type": "object",
    "properties": {"email": {"type": "string", "format": "email"}, "password": {"type": "string"}},
}
EVERYTHING: dict[str, Any] = description(
    {
        "/pets": {
            "parameters": [{"$ref": "#/components/parameters/Trace"}],
            "get": {
                "operationId": "listPets",
                "tags": ["Pets"],
                "summary": "Lists pets",
                "parameters": [
                    query("page", {"type": "integer", "minimum": 1}),
                    query("ids", {"type": "array", "items": {"type": "integer"}}, style="form", explode=False),
                    query(
                        "created",
                        {"type": "object", "properties": {"after": {"type": "string"}}},
                        style="deepObject",
                        explode=True,
                    ),
                    query("q", None, required=True),
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "properties": {
                                        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}},
                                        "total": {"type": "integer"},
                                    }
                                }
                            }
                        }
                    }
                },
            },
            "post": {
                "tags": ["Pets"],
                "summary": "Adds a pet",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                "responses": {"201": {"description": "made"}},
            },
        },
        "/pets/{pet-id}": {
            "get": {
                "parameters": [{"name": "pet-id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {},
            },
            "delete": {"deprecated": True, "description": "Removes a pet for good.", "responses": {}},
        },
        "/pets/{pet-id}/photo": {
            "put": {
                "requestBody": {
                    "content": {
                        "multipart/form-data": {
                            "schema": {"properties": {"file": {"type": "string", "format": "binary"}}}
                        }
                    }
                }
            }
        },
    },
    security=[{"key": []}],
    components={
        "schemas": {"Pet": PET, "Owner": OWNER},
        "parameters": {"Trace": {"name": "X-Trace", "in": "header", "schema": {"type": "string"}}},
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
    },
)


def everything() -> dict[str, Any]:
    """A copy that may be changed."""
    return copy.deepcopy(EVERYTHING)
