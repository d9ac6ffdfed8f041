"""How an API knows who calls, from a description's security schemes, in the catalog's words: `auth`, and `headers` for what is left.

Secrets are never read from a description: each is the name of an environment variable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.references import Documents, Node
from catalog.values import HEADER_NAME, header_key, is_for_secrets

# From the way that holds longest by itself, and then from the one that is told least around
_ORDER = ("client", "bearer", "header", "basic", "query", "cookie")


@dataclass(frozen=True)
class Credentials:
    """The catalog's `auth` and `headers`, and the environment variables that they take."""

    auth: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    keys: frozenset[tuple[str, str]] = (
        frozenset()
    )  # all that the description keeps for credentials: (header, its key) or (query, name)


@dataclass(frozen=True)
class _Way:
    """A security scheme: `kind` is one of _ORDER; `name` that of its header, query value or cookie; `before` and `after` stand around
    the key there, as in `Token token=...`. For clients with credentials of their own: where tokens are to be had, empty where that is not
    said, and the scopes that operations ask for."""

    kind: str
    name: str = ""
    before: str = ""
    after: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()

    def around(self, value: str) -> str:
        """The key's value as it travels."""
        return f"{self.before}{value}{self.after}"


def credentials(documents: Documents, operations: Iterable[Node], prefix: str) -> Credentials:
    """The way that most operations take; the others are noted. `prefix` begins the variables' names, such as PETSTORE."""
    schemes = _schemes(documents)
    keys = frozenset((way.kind, key_of(way.kind, way.name)) for way in schemes.values() if way.name)
    asked = [(operation, _asked(documents, operation)) for operation in operations]
    counts = Counter(names for _, ways in asked for names in ways)
    general = documents.root.get("security")
    wanted = [names for names in counts if names and all(name in schemes for name in names)]
    if not wanted:
        if counts.keys() - {()}:
            documents.notes.add(
                general, "the catalog supports none of its ways to authenticate; write auth: or headers: by hand"
            )
            return Credentials(keys=keys)
        wanted = [(name,) for name in schemes]  # told, but nowhere asked for
    if not wanted:
        return Credentials(keys=keys)
    best = min(wanted, key=lambda names: (-counts[names], len(names), _ORDER.index(schemes[names[0]].kind)))
    _note_others(documents, asked, best)
    ways = [replace(schemes[name], scopes=_scopes(documents, name, asked)) for name in best]
    return _written(documents, ways, prefix, keys)


def key_of(where: str, name: str) -> str:
    """What makes two names the same one: servers do not tell `X_Key` from `x-key` in headers."""
    return header_key(name) if where == "header" else name


def _asked(documents: Documents, operation: Node) -> set[tuple[str, ...]]:
    """The ways that an operation can be called, each as the names of its schemes; an empty one: without any."""
    own = operation.get("security")
    return set(_alternatives(own if isinstance(own.value, list) else documents.root.get("security")))


def _scopes(documents: Documents, scheme: str, asked: list[tuple[Node, set[tuple[str, ...]]]]) -> tuple[str, ...]:
    """The scopes of a scheme that these operations ask for."""
    general = documents.root.get("security")
    found: set[str] = set()
    for operation, _ in asked:
        own = operation.get("security")
        for one in (own if isinstance(own.value, list) else general).each():
            named = one.get(scheme).value
            found |= {scope for scope in named if _is_scope(scope)} if isinstance(named, list) else set()
    return tuple(sorted(found))


def _is_scope(value: object) -> bool:
    """RFC 6749, 3.3; and nothing that the catalog would take for a variable."""
    return (
        isinstance(value, str)
        and re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}", value) is not None
        and "${" not in value
    )


def _note_others(documents: Documents, asked: list[tuple[Node, set[tuple[str, ...]]]], best: tuple[str, ...]) -> None:
    """Tells of operations that the chosen way does not open: the API would answer 401."""
    others: dict[tuple[str, ...], list[Node]] = {}
    for operation, ways in asked:
        if ways and not any(set(names) <= set(best) for names in ways):
            others.setdefault(min(ways), []).append(operation)
    for names, operations in others.items():
        more = f" and {len(operations) - 1} more operations ask" if len(operations) > 1 else " asks"
        documents.notes.add(
            operations[0],
            f"this{more} for {' and '.join(names)[:80]}, but auth says {' and '.join(best)[:80]}; add what is missing under headers:, "
            "or import them into a separate catalog with --only",
        )


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
            way = _way(documents, scheme.target)
            if way is not None:
                found[name] = way
    return found


_SCHEMES = r"(?i:Token|Bearer|ApiKey|Api-Key|Key|GenieKey|SSWS|JWT|OAuth|Basic)"
_OPENS = r"[<{\[$]|[A-Z][A-Z0-9_]{2,}\b|x{3,}|[\w.-]{16,}"  # what stands for a key: <key>, {key}, YOUR_KEY, xxx, 401f7ac837da42b9
_FORMATS = (
    re.compile(r"prefix[^\w'\"`]*['\"`]([A-Za-z][\w-]*)['\"`]()()"),
    re.compile(rf"\b({_SCHEMES}) +((?:[a-z_]+=)?)([\"']?)(?:{_OPENS})"),
    re.compile(r"\b([A-Z][\w-]*) +((?:[a-z_]+=)?)([\"']?)[<{\[$]"),
    re.compile(r"['\"`](Bearer|Token)\b()()"),
    re.compile(r"\b(Bearer)\b()()"),
)
_NO_SCHEME = frozenset(
    ("the", "use", "your", "enter", "send", "pass", "add", "provide", "a", "an", "with", "value", "authorization")
)


def _way(documents: Documents, scheme: Node) -> _Way | None:
    name = scheme.text("name")
    if scheme.text("type").lower() == "oauth2" and (flow := _client_flow(scheme)) is not None:
        return _Way("client", token_url=_token_url(flow))
    match scheme.text("type").lower(), scheme.text("scheme").lower(), scheme.text("in").lower():
        case ("http", "bearer", _) | ("oauth2" | "openidconnect", _, _):
            return _Way("bearer")
        case ("http", "basic", _) | ("basic", _, _):
            return _Way("basic")
        case ("http", word, _) if re.fullmatch(_SCHEMES, word):
            return _Way("header", "Authorization", f"{scheme.text('scheme')} ")
        case ("apikey", _, "header") if header_key(name) == "authorization":
            return _authorization(documents, scheme, name)
        case ("apikey", _, "header") if re.fullmatch(HEADER_NAME, name):
            return _Way("header", name)
        case ("apikey", _, "query") if name:
            return _Way("query", name)
        case ("apikey", _, "cookie") if re.fullmatch(HEADER_NAME, name):
            return _Way("cookie", name)
    return None


def _client_flow(scheme: Node) -> Node | None:
    """The flow of OAuth 2.0 in which the bot shows who it is itself: OpenAPI 3's name, or Swagger 2's."""
    if scheme.text("flow") == "application":
        return scheme
    flow = scheme.get("flows").get("clientCredentials")
    return flow if isinstance(flow.value, dict) else None


def _token_url(flow: Node) -> str:
    """Where tokens are to be had, where that is a whole address that secrets may go to."""
    url = flow.text("tokenUrl").strip()
    return url if is_for_secrets(url) and not re.search(r"[{}$]", url) else ""


def _authorization(documents: Documents, scheme: Node, name: str) -> _Way:
    """A key in the header Authorization, with what its description says of the words before it (RFC 9110, 11.6.2)."""
    for pattern in _FORMATS:
        for found in pattern.finditer(scheme.text("description")):
            if found[1].lower() == "bearer" and not found[2]:
                return _Way("bearer")
            if found[1].lower() not in _NO_SCHEME:
                return _Way("header", name, f"{found[1]} {found[2]}{found[3]}", found[3])
    documents.notes.add(
        scheme,
        "it does not say what comes before the key in the Authorization header; if the API expects a word there, write it under auth: "
        "before the variable, for example 'Token ${...}'",
    )
    return _Way("header", name)


def _written(documents: Documents, ways: list[_Way], prefix: str, keys: frozenset[tuple[str, str]]) -> Credentials:
    auth: dict[str, Any] | None = None
    headers: dict[str, str] = {}
    variables: list[str] = []
    several = sum(way.kind in ("header", "query", "cookie") for way in ways) > 1
    for way in ways:
        names = _variables(way, prefix, several=several)
        values = [way.around(f"${{{name}}}") for name in names]
        if way.kind == "cookie" and "Cookie" not in headers:
            headers["Cookie"] = f"{way.name}={values[0]}"
        elif auth is None and way.kind != "cookie":
            auth = _auth(way, values)
        elif way.kind == "header":
            headers[way.name] = values[0]
        else:
            documents.notes.add(
                documents.root.get("security"), f"it also asks for a {way.kind} key, which the catalog does not support"
            )
            continue
        variables += names
    return Credentials(auth, headers, tuple(variables), keys)


def _auth(way: _Way, values: list[str]) -> dict[str, Any]:
    match way.kind:
        case "client":
            said = {"token_url": way.token_url or values[2], "client_id": values[0], "client_secret": values[1]}
            return {"client_credentials": said | ({"scopes": list(way.scopes)} if way.scopes else {})}
        case "bearer":
            return {"bearer": values[0]}
        case "basic":
            return {"basic": {"username": values[0], "password": values[1]}}
    return {way.kind: {"name": way.name, "value": values[0]}}


def _variables(way: _Way, prefix: str, *, several: bool) -> list[str]:
    match way.kind:
        case "client":
            ends = ["CLIENT_ID", "CLIENT_SECRET", *([] if way.token_url else ["TOKEN_URL"])]
        case "bearer":
            ends = ["TOKEN"]
        case "basic":
            ends = ["USERNAME", "PASSWORD"]
        case _:
            own = re.sub(r"[^A-Z0-9]+", "_", way.name.upper()).strip("_")
            ends = [own if several and own else "API_KEY"]
    return [end if prefix == "API" and end.startswith("API_") else f"{prefix}_{end}" for end in ends]
