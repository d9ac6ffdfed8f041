"""An API description (OpenAPI 3.0 and 3.1, Swagger 2) as what the catalog says of an API. Bad parts are noted with their place, left out.

Who fetches the text, and writes the catalog, is not this room's concern; nor what a single operation becomes (openapi_calls.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import ValidationError

from base.written_numbers import as_text
from catalog.checks import check_variables
from catalog.documents import BadDocument
from catalog.entries import ApiEntry, Entry
from catalog.importer.openapi_alike import united
from catalog.importer.openapi_auth import Credentials, credentials
from catalog.importer.openapi_bodies import Unsaid
from catalog.importer.openapi_calls import endpoint
from catalog.importer.openapi_effects import effect
from catalog.importer.prose import plain
from catalog.references import Documents, Node, printable
from catalog.rules import SAFE_METHODS
from catalog.values import VARIABLE

_METHODS = ("get", "head", "post", "put", "patch", "delete")
_FIXED = ("enum", "const", "default")
OFF = "comes switched off"  # what is said of an operation for what it does
_MOST = 10_000  # operations of one description
_NO_NAME = frozenset(
    ("api", "apis", "rest", "restful", "the", "swagger", "openapi", "service", "services", "documentation", "docs", "public", "internal",
     "web", "definition", "specification", "spec", "my", "http", "json", "reference", "server", "v",
     "official", "simple", "sample", "for", "of", "a", "an", "and", "to", "by", "with", "our")
)  # fmt: skip


@dataclass(frozen=True)
class FoundOperation:
    """An operation of a description, not looked into yet. `name` is `METHOD /path` as the description has it."""

    name: str
    method: str
    path: str
    tags: tuple[str, ...]
    item: Node
    node: Node


@dataclass(frozen=True)
class Losses:
    """What of a description is not in the catalog. `asked`: operations that were to be imported; `wordless`: of those that were, the ones
    of which nothing but method and path is known; `lost`: how many of each kind of thing; `shortened`: bodies of which inner fields are
    told by their names alone."""

    asked: int = 0
    wordless: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    shortened: int = 0


@dataclass(frozen=True)
class Imported:
    """What a description says of an API, in the catalog's words."""

    name: str
    title: str  # the description's, with its version
    kind: str  # such as OpenAPI 3.0.3
    base_url: str
    prefix: str  # that the names of its environment variables begin with
    credentials: Credentials
    endpoints: tuple[tuple[str, dict[str, Any]], ...]  # the chosen ones as the catalog's entries, each with its group
    shapes: frozenset[str]  # of all that the description has, chosen or not
    notes: tuple[tuple[str, str], ...] = field(default=())  # (place, words)
    losses: Losses = field(default_factory=Losses)


def shape(method: str, url: str) -> str:
    """What makes an operation the same one whatever its placeholders are called: `GET /users/[]`."""
    path = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]", "[]", url.partition("?")[0])
    return f"{method} {path}"


# --- the document's operations ----------------------------------------------------------------------------------------


def operations(documents: Documents) -> list[FoundOperation]:
    """Every operation of the description, in its order. Raises `BadDocument` where this is no description of an API."""
    _kind(documents.root)
    paths = documents.root.get("paths")
    if not isinstance(paths.target.value, dict) or not paths.target.value:
        raise BadDocument("The description has no paths, so there is nothing to call.")
    found = list(_operations(documents, paths))
    if not found:
        raise BadDocument("The description's paths contain no operation (get, post, put, patch or delete).")
    if len(found) > _MOST:
        raise BadDocument(f"The description has {len(found):,} operations; at most {_MOST:,} are taken.")
    return found


def _operations(documents: Documents, paths: Node) -> Iterator[FoundOperation]:
    for path, written in paths.items():
        for item in _items(written):
            if not isinstance(item.value, dict):
                if item.value is not None or item is written:
                    documents.notes.add(
                        written, "a path has to be a mapping of methods; it is left out", lost="operations"
                    )
                continue
            yield from _of_item(documents, path, item)


def _items(written: Node) -> Iterator[Node]:
    """What a path says: behind its `$ref`, and beside it."""
    yield written.target
    if written.target is not written and len(written.value) > 1:
        yield written.holding({key: value for key, value in written.value.items() if key != "$ref"})


def _of_item(documents: Documents, path: str, item: Node) -> Iterator[FoundOperation]:
    for method, written in item.items():
        name, node = method.lower(), written.target
        if name in _METHODS and isinstance(node.value, dict):
            tags = tuple(tag for one in node.get("tags").each() if isinstance(tag := as_text(one.value), str))
            yield FoundOperation(f"{method.upper()} {path}", method.upper(), path, tags, item, node)
        elif name in _METHODS and node is written:
            documents.notes.add(written, "an operation has to be a mapping; it is left out", lost="operations")
        elif name in _METHODS:
            documents.notes.lost["operations"] += 1  # a broken reference, noted
        elif name in ("options", "trace"):
            documents.notes.add(written, f"{method.upper()} is a method that the catalog does not have; it is left out")


def _kind(root: Node) -> str:
    """The document's kind and version. Raises `BadDocument` for what is no description that can be read."""
    value = root.value
    if not isinstance(value, dict):
        raise BadDocument(
            "This is not an API description: it is not a mapping with 'openapi' (or 'swagger') at its top."
        )
    version = printable(str(value.get("openapi", value.get("swagger", value.get("swaggerVersion", "")))), 30)
    if "openapi" in value and re.match(r"3(\.|$)", version):
        return f"OpenAPI {version}"
    if "swagger" in value and re.match(r"2(\.|$)", version):
        return f"Swagger {version}"
    if version:
        raise BadDocument(
            f"This description is of version '{version}'; OpenAPI 3.x and Swagger 2.0 are read. Convert it first."
        )
    raise BadDocument(
        f"This is not an API description: it has neither 'openapi: 3...' nor 'swagger: \"2.0\"' at its top.{_looks_like(value)}"
    )


def _looks_like(value: dict[str, Any]) -> str:
    info = value.get("info") if isinstance(value.get("info"), dict) else {}
    marks = {
        "an AsyncAPI document, which describes messages": "asyncapi" in value,
        "a Postman collection; export it as OpenAPI": "_postman_id" in (info or {}) or "item" in value,
        "a JSON Schema": "$schema" in value,
        "a catalog already; it needs no import": "endpoints" in value or "apis" in value,
        "an Arazzo document": "arazzo" in value,
        "an API Blueprint or GraphQL schema": "__schema" in value or "data" in value,
    }
    return next((f" It looks like {words}." for words, holds in marks.items() if holds), "")


# --- choosing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Which operations to take: `only` are patterns over `METHOD /path`, of which one has to fit; `tags` likewise."""

    only: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    read_only: bool = False


def choose(described: Sequence[FoundOperation], choice: Choice) -> list[FoundOperation]:
    """The chosen operations. Raises `BadDocument` where a pattern or a tag fits nothing, or nothing is left."""
    patterns = [(text, _pattern(text)) for text in choice.only]
    for text, pattern in patterns:
        if not any(pattern.fullmatch(_simple(one.name)) for one in described):
            raise BadDocument(
                f"--only '{text}' matches no operation; write, for example, 'GET *' or '{described[0].name}' (in quotes)."
            )
    there = {tag.lower(): tag for one in described for tag in one.tags}
    for tag in choice.tags:
        if tag.lower() not in there:
            raise BadDocument(
                f"--tag '{tag}': no operation has this tag; there are: {printable(', '.join(there.values()), 1_000) or 'none'}."
            )
    wanted = {tag.lower() for tag in choice.tags}
    chosen = [
        one
        for one in described
        if (not patterns or any(pattern.fullmatch(_simple(one.name)) for _, pattern in patterns))
        and (not wanted or wanted & {tag.lower() for tag in one.tags})
        and (not choice.read_only or one.method in SAFE_METHODS)
    ]
    if not chosen:
        raise BadDocument("No operation matches all of --only, --tag and --read-only.")
    return chosen


def _pattern(text: str) -> re.Pattern[str]:
    """'*' is any text, '?' any character; a method may be left out, placeholders may be called anything."""
    text = text.strip()
    text = f"* {text}" if text.startswith("/") else text
    return re.compile(re.escape(_simple(text)).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL | re.IGNORECASE)


def _simple(name: str) -> str:
    return re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]", "{}", name)


# --- the API ----------------------------------------------------------------------------------------------------------


def read_api(documents: Documents, choice: Choice, *, source: str = "", name: str = "", base_url: str = "") -> Imported:
    """The chosen operations as a catalog's API. `source` is the URL that the document came from, if any; `name` and `base_url` set
    what the description says otherwise. Raises `BadDocument` where this is no description, or no operation is left."""
    described = operations(documents)
    broken = documents.notes.lost["operations"]
    chosen = choose(described, choice)
    info = documents.root.get("info")
    base = base_url.rstrip("/") or _base_url(documents, source)
    name = without_variables(printable(name, 80) or _name(info, base))
    prefix = _prefix(name)
    keys = credentials(documents, [one.node for one in chosen], prefix)
    entries = tuple(_entries(documents, chosen, keys, base))
    if not entries:
        reasons = "; ".join(f"{place}: {words}" for place, words in list(documents.notes.lines)[:5])
        raise BadDocument(f"The catalog cannot express any operation of the description. {reasons}")
    version = printable(str(info.get("version").value or ""), 40)
    title = printable(plain(info.text("title")) or name, 80).rstrip(".")
    shapes = frozenset(shape(one.method, one.path) for one in described)
    notes = (
        *documents.notes.lines,
        *([("", f"and {documents.notes.more:,} more like these")] if documents.notes.more else []),
    )
    kind = _kind(documents.root)
    losses = Losses(
        len(chosen) + broken,
        sum(_is_wordless(entry) for _, entry in entries),
        dict(documents.notes.lost),
        documents.notes.shortened,
    )
    return Imported(name, f"{title} {version}".strip(), kind, base, prefix, keys, entries, shapes, notes, losses)


def _is_wordless(entry: Mapping[str, Any]) -> bool:
    """Whether a description has nothing of an operation, as where it was not found."""
    says = re.fullmatch(r"[A-Z]+ /\S*", entry["description"]) is None
    return not says and "?" not in entry["url"] and not entry.keys() & {"parameters", "body"}


def _entries(
    documents: Documents, chosen: Sequence[FoundOperation], keys: Credentials, base: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    made: dict[str, tuple[FoundOperation, dict[str, Any]]] = {}
    spelled: dict[str, list[str]] = {}  # the placeholders of a path, which its other methods take over
    for one in chosen:
        try:
            path = _on_base(documents, one, base)
            entry = _entry(documents, one, path, keys, spelled.get(shape("", path), ()))
        except Unsaid as reason:
            documents.notes.add(one.node, f"{printable(one.name, 120)} is left out: {reason}", lost="operations")
            continue
        same = shape(entry["method"], entry["url"])
        if same in made:
            first, there = made[same]
            made[same] = first, _with(documents, one, entry, first, there)
            continue
        made[same] = one, entry
        spelled.setdefault(shape("", path), re.findall(r"\[([^\[\]]+)\]", entry["url"].partition("?")[0]))
    for one, entry in made.values():
        yield (one.tags[0] if one.tags else ""), _off_where_it_acts(documents, one, entry)


def _entry(
    documents: Documents, one: FoundOperation, path: str, keys: Credentials, like: Sequence[str]
) -> dict[str, Any]:
    """One operation as an entry that the catalog takes. Raises `Unsaid`."""
    entry: dict[str, Any] = without_variables(
        endpoint(documents, path, one.method, one.item, one.node, keys.keys, like)
    )
    if words := _mistake(entry):
        raise Unsaid(words)
    return entry


def _mistake(entry: dict[str, Any]) -> str:
    """What keeps an entry from being one, empty where nothing does."""
    try:
        Entry.model_validate(entry)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return ""


def _with(
    documents: Documents, one: FoundOperation, entry: dict[str, Any], first: FoundOperation, there: dict[str, Any]
) -> dict[str, Any]:
    """The entry `there` with another operation that no call could tell from it."""
    name, other = printable(one.name, 120), printable(first.name, 120)
    both = united(there, entry)
    if both is None or _mistake(both):
        documents.notes.add(
            one.node, f"{name} is left out: a call to it could not be told from one to {other}", lost="operations"
        )
        return there
    documents.notes.add(
        one.node,
        f"{name} shares one entry with {other}, since calls to them could not be told apart; the entry takes both",
    )
    return both


def _off_where_it_acts(documents: Documents, one: FoundOperation, entry: dict[str, Any]) -> dict[str, Any]:
    words = effect(entry, one.node.text("operationId"))
    if not words:
        return entry
    documents.notes.add(one.node, f"{printable(one.name, 120)} {OFF}: {words}; set enabled: true if that is wanted")
    return {**entry, "enabled": False}


def without_variables(value: Any) -> Any:
    """What a description says without what the catalog would take for one of its variables: fixed values go, words lose the braces."""
    match value:
        case dict():
            kept = {name: one for name, one in value.items() if name not in _FIXED or not any(check_variables(one))}
            return {name: one if name == "pagination" else without_variables(one) for name, one in kept.items()}
        case list():
            return [without_variables(one) for one in value]
        case str():
            return VARIABLE.sub(r"$\1", value)
    return value


def _on_base(documents: Documents, one: FoundOperation, base: str) -> str:
    """The operation's path below the API's base_url, where it has a server of its own. Raises `Unsaid` for another place."""
    for holder in (one.node, one.item):
        server = next(holder.get("servers").each(), None)
        if server is None:
            continue
        url = _server(server)
        if url == base or not url.startswith(("http://", "https://")):
            return one.path
        if url.startswith(base + "/"):
            return url[len(base) :] + one.path
        raise Unsaid(
            f"it is at {printable(url, 120)}, not at {base}; import it into a separate catalog, with --only and --base-url"
        )
    return one.path


def _name(info: Node, base: str) -> str:
    """The API's name: its title without the words that say nothing, or its host's name where no others are left."""
    title = printable(plain(info.text("title")), 80).rstrip(".")
    words = re.split(r"[+:|(\N{EN DASH}\N{EM DASH}]| - ", title, maxsplit=1)[0].replace("'s ", " ").split()
    while words and not _telling(words[-1]):
        words.pop()
    while words and not _telling(words[0]):
        words.pop(0)
    host = urlsplit(base).hostname or "" if "${" not in base else ""
    labels = [one for one in host.split(".") if one not in ("api", "www")]
    named = labels[-2] if len(labels) > 1 else host
    return " ".join(words) or (named if re.search(r"[a-z]", named) and ":" not in host else "") or title or "API"


def _telling(text: str) -> list[str]:
    words = re.findall(r"[^\W_]+", text.lower())
    return [word for word in words if word not in _NO_NAME and not re.fullmatch(r"v?[0-9]+", word)]


def _prefix(name: str) -> str:
    """What the API's environment variables begin with."""
    plain_name = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = re.findall(r"[A-Z0-9]+", " ".join(_telling(plain_name)).upper())[:2]
    prefix = "_".join(words) or "API"
    return prefix if prefix[0].isalpha() else f"API_{prefix}"


# --- servers ----------------------------------------------------------------------------------------------------------


def _base_url(documents: Documents, source: str) -> str:
    """The first server's URL; ${API_URL} in place of what the description does not say."""
    root = documents.root
    servers = root.get("servers")
    server = next(servers.each(), None)
    if "swagger" in root.value:
        url, place = _swagger(root), root.get("host")
    else:
        url, place = (_server(server), server) if server is not None else ("", servers)
    if url and not re.match(r"https?://", url) and source:
        url = urljoin(source, url)
    url = url.rstrip("/")
    if re.match(r"https?://", url) and (reason := _refused(url)) is not None:
        documents.notes.add(
            place, f"'{printable(url, 120)}' cannot be base_url ({reason}); set API_URL, or import with --base-url"
        )
        return "${API_URL}"
    if not re.match(r"https?://", url):
        documents.notes.add(
            place, "it does not say where the API is; set API_URL, or import with --base-url https://..."
        )
        path = url if re.fullmatch(r"(/[\w.~-]+)+", url) and ".." not in url else ""
        return "${API_URL}" + path
    if len(list(servers.each())) > 1:
        documents.notes.add(
            servers,
            f"it names several servers, and the first is used, {printable(url, 120)}; choose another with --base-url",
        )
    return url


def _server(server: Node) -> str:
    """A server's URL with its variables' defaults."""
    variables = server.get("variables")

    def default(found: re.Match[str]) -> str:
        return variables.get(found[1]).text("default") or found[0]

    return re.sub(r"\{([^{}]+)\}", default, server.text("url"))


def _swagger(root: Node) -> str:
    schemes = [one.value for one in root.get("schemes").each() if one.value in ("http", "https")]
    scheme = "https" if "https" in schemes or not schemes else "http"
    host, path = root.text("host"), root.text("basePath").strip("/")
    path = f"/{path}" if path else ""
    return f"{scheme}://{host}{path}" if host else path


def _refused(url: str) -> str | None:
    """Why the catalog does not take a base_url, or None."""
    if "{" in url:
        return "a variable of it has no default"
    try:
        ApiEntry.model_validate({"base_url": url, "endpoints": [{"method": "GET", "url": "/", "description": "-"}]})
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return None
