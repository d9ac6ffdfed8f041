"""Which keys there are at a place of the catalog, and which one was meant by somebody who wrote another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from base.nearest import did_you_mean
from catalog.entries import ApiEntry, CatalogFile, Entry
from catalog.source import Place

# What others call it; taken where the place has such a key.
_ALSO = {
    **dict.fromkeys(("path", "route", "uri", "href", "endpoint"), "url"),
    **dict.fromkeys(("verb", "http_method", "operation"), "method"),
    **dict.fromkeys(("summary", "desc", "help", "doc", "title"), "description"),
    **dict.fromkeys(("params", "query", "arguments", "args", "placeholders"), "parameters"),
    **dict.fromkeys(("requestBody", "payload", "data", "json", "schema"), "body"),
    **dict.fromkeys(("operations", "paths", "routes", "calls", "tools", "functions"), "endpoints"),
    **dict.fromkeys(("host", "server", "servers", "url", "baseUrl", "address"), "base_url"),
    **dict.fromkeys(("token", "key", "api_key", "apikey"), "bearer"),
    **dict.fromkeys(("user", "login"), "username"),
    **dict.fromkeys(("system", "prompt", "system_prompt", "about"), "instructions"),
    **dict.fromkeys(("authentication", "security", "credentials"), "auth"),
    **dict.fromkeys(("disabled", "active", "on"), "enabled"),
    **dict.fromkeys(("rate_limit", "rate", "throttle"), "limits"),
    **dict.fromkeys(("asker", "allow", "allowed", "permissions", "roles", "who"), "askers"),
    **dict.fromkeys(("confirm", "approve", "confirmation", "gate"), "approval"),
}

_OF_VALUES = ("secret", "type", "enum", "pattern", "format", "default", "properties", "items", "required", "in")


def unknown_key(place: Place) -> str:
    """What to write instead of a key that the catalog does not know; `place` ends in it, as pydantic gives it."""
    name, models = str(place[-1]), _models_at(place[:-1])
    known = [key for model in models for key in _keys(model)]
    known += _keys(CatalogFile) if models == [ApiEntry] else []  # of a file with one API
    if models == [CatalogFile] and name in _keys(ApiEntry):
        return f"'{name}' belongs to each API of the list; move it there"
    if models == [ApiEntry] and name in _keys(CatalogFile):
        return f"'{name}' belongs beside apis:, not in an API; move it there"
    if above := next((key for model in models for key, inner in _inner(model) if name in _keys(inner)), None):
        return f"'{name}' belongs under '{above}'; move it there"
    if name in _OF_VALUES and Entry in models:
        return f"'{name}' belongs to a parameter, or to a field of the body; move it there"
    other = _ALSO.get(name)
    near = f"; write '{other}'" if other in known else did_you_mean(name, known)
    return f"'{name}' is not a catalog key here{near or '; see docs/catalog.md for the keys, or remove it'}"


def _models_at(place: Iterable[int | str]) -> list[type[BaseModel]]:
    """The models whose keys may stand at a place: list indexes and names of one's own lead no further down."""
    models: list[type[BaseModel]] = [CatalogFile]
    for step in place:
        found = [one for model in models for key, one in _inner(model) if key == step]
        models = found or models
    return models


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _inner(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """(key, model) of what stands below a model's keys."""
    for key, field in zip(_keys(model), model.model_fields.values(), strict=True):
        for one in _models_in(field.annotation):
            yield key, one


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
