"""Where a name that the catalog marks `secret: true` hides other fields, which are called alike: for who writes the catalog."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.catalog import Api, Catalog, Operation
from catalog.condition_fields import declared, fields_declared, shown
from catalog.secret_values import is_secret
from catalog.spelling import bare


def further_places(catalog: Catalog, api: Api) -> list[str]:
    """A line for each field or parameter of the API that is hidden by its name and not marked itself."""
    names = {bare(name): name for name in sorted(api.secrets)}
    if not names:
        return []
    operations = [one for one in catalog.operations if one.api is api]
    return [
        f"'{names[bare(place.rpartition('.')[2])]}' hides {place} in {where} of {one.name}, too"
        for one in operations
        for where, place in _alike(one, names)
    ]


def _alike(operation: Operation, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(where, place) of what is called like a secret and is not marked as one."""
    for name, schema in operation.parameters.items():
        if bare(name) in names and not is_secret(schema):
            yield "the url or headers", name
    for place in fields_declared(operation.body or {}):
        if isinstance(place[-1], str) and bare(place[-1]) in names:
            said = declared(operation.body or {}, place)
            if not any(is_secret(one) or is_secret(one.get("items")) for one in said):
                yield "the body", shown(place)
