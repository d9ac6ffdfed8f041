"""How an API knows who calls, from a description's security schemes, in the catalog's words: `auth`, and `headers` for what is left.

Secrets are never read from a description: each is the name of an environment variable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.catalog_values import HEADER_NAME
from core.references import Documents, Node

_ORDER = ("bearer", "header", "basic", "query", "cookie")  # from the way that is told least around


@dataclass(frozen=True)
class Credentials:
    """The catalog's `auth` and `headers`, and the environment variables that they take."""

    auth: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Way:
    """A security scheme: `kind` is one of _ORDER; `name` that of its header, query value or cookie."""

    kind: str
    name: str = ""


def credentials(documents: Documents, operations: Iterable[Node], prefix: str) -> Credentials:
    """The way that most operations take. `prefix` begins the variables' names, such as PETSTORE."""
    schemes = _schemes(documents)
    counts: Counter[tuple[str, ...]] = Counter()
    general = documents.root.get("security")
    for operation in operations:
        own = operation.get("security")
        counts.update(set(_alternatives(own if isinstance(own.value, list) else general)))
    wanted = [names for names in counts if names and all(name in schemes for name in names)]
    if not wanted:
        if counts.keys() - {()}:
            documents.notes.add(
                general, "no way of authentication here that the catalog has; write auth: or headers: by hand"
            )
            return Credentials()
        wanted = [(name,) for name in schemes]  # told, but nowhere asked for
    if not wanted:
        return Credentials()
    best = min(wanted, key=lambda names: (-counts[names], len(names), _ORDER.index(schemes[names[0]].kind)))
    return _written(documents, [schemes[name] for name in best], prefix)


def _alternatives(security: Node) -> Iterator[tuple[str, ...]]:
    for one in security.each():
        if isinstance(one.value, dict):
            yield tuple(one.value)


def _schemes(documents: Documents) -> dict[str, _Way]:
    """The schemes of OpenAPI 3 and Swagger 2 that the catalog can say."""
    root = documents.root
    found: dict[str, _Way] = {}
    for place in (root.get("components").get("securitySchemes"), root.get("securityDefinitions")):
        for name, scheme in place.items():
            way = _way(documents.follow(scheme))
            if way is not None:
                found[name] = way
    return found


def _way(scheme: Node) -> _Way | None:
    name = scheme.text("name")
    match scheme.text("type").lower(), scheme.text("scheme").lower(), scheme.text("in").lower():
        case ("http", "bearer", _) | ("oauth2" | "openidconnect", _, _):
            return _Way("bearer")
        case ("http", "basic", _) | ("basic", _, _):
            return _Way("basic")
        case ("apikey", _, "header") if re.fullmatch(HEADER_NAME, name):
            return _Way("header", name)
        case ("apikey", _, "query") if name:
            return _Way("query", name)
        case ("apikey", _, "cookie") if re.fullmatch(HEADER_NAME, name):
            return _Way("cookie", name)
    return None


def _written(documents: Documents, ways: list[_Way], prefix: str) -> Credentials:
    auth: dict[str, Any] | None = None
    headers: dict[str, str] = {}
    variables: list[str] = []
    keys = sum(way.kind in ("header", "query", "cookie") for way in ways)
    for way in ways:
        names = _variables(way, prefix, several=keys > 1)
        values = [f"${{{name}}}" for name in names]
        if way.kind == "cookie" and "Cookie" not in headers:
            headers["Cookie"] = f"{way.name}={values[0]}"
        elif auth is None and way.kind != "cookie":
            auth = _auth(way, values)
        elif way.kind == "header":
            headers[way.name] = values[0]
        else:
            documents.notes.add(
                documents.root.get("security"), f"besides, it asks for a {way.kind} key, which the catalog cannot say"
            )
            continue
        variables += names
    return Credentials(auth, headers, tuple(variables))


def _auth(way: _Way, values: list[str]) -> dict[str, Any]:
    match way.kind:
        case "bearer":
            return {"bearer": values[0]}
        case "basic":
            return {"basic": {"username": values[0], "password": values[1]}}
    return {way.kind: {"name": way.name, "value": values[0]}}


def _variables(way: _Way, prefix: str, *, several: bool) -> list[str]:
    match way.kind:
        case "bearer":
            ends = ["TOKEN"]
        case "basic":
            ends = ["USERNAME", "PASSWORD"]
        case _:
            own = re.sub(r"[^A-Z0-9]+", "_", way.name.upper()).strip("_")
            ends = [own if several and own else "API_KEY"]
    return [end if prefix == "API" and end.startswith("API_") else f"{prefix}_{end}" for end in ends]
