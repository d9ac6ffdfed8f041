"""Values that the catalog marks `secret: true`: what people are shown in their place, in cards, logs and journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from base import words

if TYPE_CHECKING:
    from catalog.catalog import Api, Catalog


def hidden(value: Any) -> str:
    """What stands where a secret value was."""
    text = value if isinstance(value, str) else str(value)
    return words.HIDDEN.format(count=len(text))


def hide(value: Any, names: Iterable[str]) -> Any:
    """`value` with what stands in fields of these names hidden, at any depth; the shape around it stays to be seen."""
    names = frozenset(names)
    match value:
        case dict():
            return {key: _hide_all(one) if key in names else hide(one, names) for key, one in value.items()}
        case list():
            return [hide(one, names) for one in value]
    return value


def _hide_all(value: Any) -> Any:
    match value:
        case dict():
            return {key: _hide_all(one) for key, one in value.items()}
        case list():
            return [_hide_all(one) for one in value]
        case None:
            return None
    return hidden(value)


def secret_fields(catalog: Catalog, api: Api) -> frozenset[str]:
    """The names of all fields that any body schema of the API marks as secret; hidden wherever they appear."""
    schemas = [
        operation.body
        for operation in catalog.operations
        if operation.api.name == api.name and operation.body is not None
    ]
    return frozenset(name for schema in schemas for name in secret_names(schema))


def secret_names(schema: Any) -> Iterator[str]:
    """The names of the fields that a schema, or one inside of it, marks as secret."""
    match schema:
        case dict():
            properties = schema.get("properties")
            for name, one in properties.items() if isinstance(properties, dict) else ():
                if is_secret(one) or is_secret(one.get("items") if isinstance(one, dict) else None):
                    yield name
            for one in schema.values():
                yield from secret_names(one)
        case list():
            for one in schema:
                yield from secret_names(one)


def has_secret(schema: Any) -> bool:
    """Whether a schema, or one inside of it, says `secret: true`; words about its values would repeat them."""
    return is_secret(schema) or any(True for _ in secret_names(schema))


def is_secret(schema: Any) -> bool:
    """Whether a parameter's or field's schema says `secret: true`."""
    return isinstance(schema, Mapping) and schema.get("secret") is True
