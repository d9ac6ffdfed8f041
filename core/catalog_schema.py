"""The JSON Schema of apis.yaml, made of the models that read it, so that editors complete and check the file as it is written."""

from __future__ import annotations

import json
from typing import Any

from core.catalog_file import ApiEntry, CatalogFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def catalog_schema() -> dict[str, Any]:
    """The schema (2020-12): several APIs under `apis`, or the keys of one at the top."""
    several = _plain(CatalogFile.model_json_schema())
    one = _plain(ApiEntry.model_json_schema())
    beside = {key: value for key, value in several["properties"].items() if key != "apis"}
    names = several.pop("$defs") | one.pop("$defs")
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


def _plain(schema: Any, *, is_names: bool = False) -> Any:
    """A schema without the titles that pydantic makes of names, and without defaults, which are in the documents in words.

    `is_names`: its keys are names of the catalog's, not keywords.
    """
    match schema:
        case dict():
            return {
                key: _plain(value, is_names=key in ("properties", "$defs") and not is_names)
                for key, value in schema.items()
                if is_names or key not in ("title", "default")
            }
        case list():
            return [_plain(one) for one in schema]
    return schema
