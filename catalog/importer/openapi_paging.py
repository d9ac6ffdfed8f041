"""The paging of a description's list: its query values and the schema of its answer, as paging_styles.py recognises them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from catalog.importer.compact_schemas import Merged, merged
from catalog.paging_styles import AROUND, DEPTH, TURNS, Field, Shape, items_in, paging_in
from catalog.references import Documents, Node
from catalog.signs_of_more import plain_name

_FROM_ZERO = re.compile(
    r"\b(0|zero)[- ](based|indexed)\b|\b(starts?|starting|begins?|beginning|counted|counting) (at|from|with) (page )?(0|zero)\b"
    r"|\bfirst page is (page )?(0|zero)\b|\b(0|zero) is the first page\b",
    re.IGNORECASE,
)


def pagination(
    documents: Documents, operation: Node, query: Mapping[str, str], types: Mapping[str, str], address: str
) -> dict[str, Any] | None:
    """The catalog's `pagination` of a GET at the path `address`, or None. `query`: placeholder of each query name; `types`: type of
    each placeholder."""
    return paging_in(_shape(documents, operation, query, types, address))


def is_unsaid(
    documents: Documents, operation: Node, query: Mapping[str, str], types: Mapping[str, str], address: str
) -> bool:
    """Whether a GET of whose paging nothing is recognised gives pages of a list, by the names in its query and its answer."""
    shape = _shape(documents, operation, query, types, address)
    is_list = shape.is_list or items_in(shape.fields, shape.path) is not None
    return is_list and bool(shape.names.keys() & TURNS)


def _shape(
    documents: Documents, operation: Node, query: Mapping[str, str], types: Mapping[str, str], path: str
) -> Shape:
    answer = _answer(documents, operation)
    if answer is None:
        return Shape(query, types, path, is_known=False)
    response, body = answer
    headers = [name for name, _ in response.get("headers").items()]
    if body is None:
        return Shape(query, types, path, headers, is_known=False)
    return Shape(query, types, path, headers, list(_fields(documents, body)), "array" in body.kinds)


def counts_from_zero(words: str) -> bool:
    """Whether a page parameter's description says that the first page is 0, as its schema should have said."""
    return _FROM_ZERO.search(words) is not None


def _answer(documents: Documents, operation: Node) -> tuple[Node, Merged | None] | None:
    """The response of a success, and the schema of its JSON; None where none is told."""
    responses = operation.get("responses")
    response = next(
        (one for code in ("200", "2XX", "2xx", "206", "201", "default") if (one := responses.get(code)).value), None
    )
    if response is None:
        return None
    response = documents.follow(response)
    content = dict(response.get("content").items())
    kind = next((one for one in content if "json" in one or one == "*/*"), None)
    schema = content[kind].get("schema") if kind is not None else response.get("schema")
    return response, merged(documents, [schema]) if isinstance(schema.value, dict) else None


def _fields(documents: Documents, schema: Merged) -> Iterator[Field]:
    """The answer's fields, the nearest first, also those in what is known to be around a list."""
    level: list[tuple[tuple[str, ...], Merged]] = [((), schema)]
    for _ in range(DEPTH):
        below: list[tuple[tuple[str, ...], Merged]] = []
        for path, one in level:
            for name, nodes in list(one.properties.items())[:100]:
                found = merged(documents, nodes)
                yield _field((*path, name), found)
                if plain_name(name) in AROUND and "array" not in found.kinds:
                    below.append(((*path, name), found))
        level = below


def _field(path: tuple[str, ...], schema: Merged) -> Field:
    said = " ".join(node.text("format") + " " + node.text("description") for node in schema.nodes).lower()
    items = schema.all("items")
    return Field(
        path,
        is_value=not set(schema.kinds) & {"object", "array", "boolean"} and not schema.properties,
        is_list="array" in schema.kinds,
        is_of_things=any(each.get(key).value for each in items for key in ("properties", "$ref", "allOf")),
        is_address=re.search(r"\b(ur[il]|link)\b", said) is not None,
    )
