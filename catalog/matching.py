"""Which operation a method and a URL mean: the allow-list of method and path template.

Each value is decoded and checked here; what does not fit raises `BadCall`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from catalog.bad_call import BadCall
from catalog.call_values import check_fillings, needs
from catalog.catalog import Api, Catalog, Operation
from catalog.spelling import caseless
from catalog.template import BadValue, Piece, Value, decode_value, split_list, with_plus
from catalog.validate import shortened

MAX_URL = 8_192


@dataclass(frozen=True)
class Match:
    """What a method and a URL mean: the operation, its values, and the `others` that some server might take the same path for."""

    operation: Operation
    values: Mapping[str, Value]
    others: tuple[Operation, ...] = ()


def match(catalog: Catalog, method: str, url: str, api: Api | None = None) -> Match:
    """The one operation that method and URL (a path, or a whole URL below a base_url) mean. Raises `BadCall`.

    `api` says which one is meant where several are at one address.
    """
    places = [(one, rest) for one, rest in _locate(catalog, url.strip(" ")) if api is None or one is api]
    problem: BadCall | None = None
    for one, rest in places:
        try:
            return _match_at(catalog, method, one, rest)
        except BadCall as error:
            problem = problem or error
    raise problem or BadCall("That host is not in the catalog.")


def _match_at(catalog: Catalog, method: str, api: Api | None, rest: str) -> Match:
    path, _, query = rest.partition("?")
    segments, refusal = _segments(path)
    candidates = [one for one in catalog.operations if one.method == method and (api is None or one.api is api)]
    fitting = [
        (one, values)
        for one in candidates
        if (values := one.template.match_path(segments)) is not None and one.takes_slashes(values)
    ]
    fitting.sort(key=lambda found: -found[0].template.literals)
    if not fitting:
        raise refusal or BadCall(_no_operation(catalog, method, path))
    if len({operation.api.name for operation, _ in fitting}) > 1:
        bases = ", ".join(sorted({operation.api.base_url for operation, _ in fitting}))
        raise BadCall(f"{shortened(path)} exists in several APIs. Write the whole URL, beginning with one of: {bases}.")
    operation, whole = _first_that_takes(fitting, query)
    parted = [part for segment in segments for part in segment.split("/")]  # to a server that decodes before it routes
    hidden = [one for one in catalog.hidden if one.method == method]
    if any(_is_meant(one, operation, path, query) for one in hidden):
        raise BadCall(_no_operation(catalog, method, path))
    others = tuple(
        one
        for one in (*candidates, *(one for one in hidden if api is None or one.api is api))
        if one is not operation and (one.template.could_be(segments) or one.template.could_be(parted))
    )
    return Match(operation, whole, others)


def _is_meant(hidden: Operation, found: Operation, path: str, query: str) -> bool:
    """Whether a server may take a path, by which `found` was found, for an operation that is left out: one that spells out as much of it,
    or more. `/users/admin` is no way to `/users/[id]` where it has an entry of its own."""
    base, whole = f"{hidden.api.base_url}/".lower(), f"{found.api.base_url}{path}"
    mine, its = found.template.path, hidden.template.path
    if whole[: len(base)].lower() != base or _open(its) > _open(mine):
        return False
    if hidden.api.base_url == found.api.base_url and [one.shape for one in its] == [one.shape for one in mine]:
        return _spells_out(hidden, found, query)
    segments, _ = _segments(whole[len(base) - 1 :])
    parted = [part for segment in segments for part in segment.split("/")]
    return hidden.template.could_be(segments) or hidden.template.could_be(parted)


def _spells_out(hidden: Operation, found: Operation, query: str) -> bool:
    """Whether a query has all that an operation of the same path spells out of its own, and the one that was found does not."""
    mine, its = (
        {(name, piece.literal or "") for name, piece in one.template.query if not piece.names}
        for one in (found, hidden)
    )
    given = {name: caseless(value) for name, value in parse_qsl(query, keep_blank_values=True)}
    return bool(its - mine) and all(given.get(name) == caseless(value) for name, value in its - mine)


def _open(path: Sequence[Piece]) -> int:
    """How many segments of a path are not spelled out."""
    return sum(piece.literal is None for piece in path)


def _segments(path: str) -> tuple[list[str], BadCall | None]:
    """A path's decoded segments, and where some hold encoded slashes what to say if no operation takes them. Raises `BadCall`."""
    try:
        return _decoded_path(path, slash=False), None
    except BadValue as error:
        refusal = BadCall(f"{error}.")
    try:
        return _decoded_path(path, slash=True), refusal
    except BadValue:
        raise refusal from None


def _decoded_path(path: str, *, slash: bool) -> list[str]:
    return [
        decode_value(raw, where=f"'{shortened(raw)}' in the path", in_path=True, slash=slash)
        for raw in path[1:].split("/")
    ]


def _first_that_takes(
    fitting: list[tuple[Operation, dict[str, str]]], query: str
) -> tuple[Operation, dict[str, Value]]:
    problem: BadCall | None = None
    for operation, values in fitting:
        try:
            whole = values | _query(operation, query)
            check_fillings(operation, whole)
            if missing := operation.required - set(whole) - set(operation.headers):
                raise BadCall(needs(operation, missing))
        except BadCall as error:
            problem = problem or error
        else:
            return operation, whole
    assert problem is not None
    raise problem


def _locate(catalog: Catalog, url: str) -> list[tuple[Api | None, str]]:
    """The APIs whose base_url a whole URL begins with, the longest first, each with the rest; for a mere path (None, path)."""
    if len(url) > MAX_URL:
        raise BadCall(f"The url is longer than {MAX_URL:,} characters.")
    if "\\" in url or "#" in url or any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in url):
        raise BadCall("The url contains a backslash, a '#' or a control character; leave it out or percent-encode it.")
    if url.startswith("/") and not url.startswith("//"):
        return [(None, url)]
    found = [
        (api, url[len(api.base_url) :])
        for api in sorted(catalog.apis, key=lambda api: -len(api.base_url))
        if url[: len(api.base_url)].lower() == api.base_url.lower()
        and url[len(api.base_url) : len(api.base_url) + 1] == "/"
    ]
    if found:
        return list(found)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", url):
        raise BadCall(
            f"That host is not in the catalog. Write only the path of an operation, for example {_example(catalog)}."
        )
    raise BadCall(f"The url has to start with '/', as in {_example(catalog)}.")


def _example(catalog: Catalog) -> str:
    return catalog.operations[0].url if catalog.operations else "/path"


def _no_operation(catalog: Catalog, method: str, path: str) -> str:
    names = {operation.name: operation.url for operation in catalog.operations}
    wanted = f"{method} {unquote_plus(path)}"
    close = difflib.get_close_matches(wanted, names, n=4, cutoff=0.5) or list(names)[:4]
    listed = "; ".join(f"{name.split(' ', 1)[0]} {names[name]}" for name in close)
    return f"The catalog has no operation {shortened(wanted)}. The nearest: {listed}. Use a listed one, its placeholders filled in."


def _query(operation: Operation, query: str) -> dict[str, Value]:
    """The values of the query's placeholders. An empty value counts as not given."""
    values: dict[str, Value] = {}
    known = dict(operation.template.query)
    seen: set[str] = set()
    for pair in query.split("&") if query else ():
        raw_name, _, raw_value = pair.partition("=")
        name = _decoded(raw_name.replace("+", "%20"), "A query name")
        if re.search(r"%[0-9A-Fa-f]{2}", name):
            raise BadCall("A query name still contains an escape after decoding; encode it once.")
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise BadCall(f"{operation.name} has no query parameter '{shortened(name)}'. Allowed: {allowed}.")
        listed = known[name].names[0] if known[name].is_whole and known[name].names[0] in operation.styles else None
        if name in seen and listed is None:
            raise BadCall(f"Duplicate query name '{name}'; give it once.")
        seen.add(name)
        if raw_value == "":
            continue
        if listed is not None:
            before = values.get(listed, ())
            assert isinstance(before, tuple)
            values[listed] = (*before, *_items(operation, listed, raw_value))
            continue
        read = known[name].match(_decoded(with_plus(raw_value), f"The query value of '{shortened(raw_name)}'"))
        if read is None:
            raise BadCall(
                f"'{name}' in the query is fixed to '{known[name].literal or operation.url}'; leave it out or write it so."
            )
        values |= read
    return values


def _items(operation: Operation, name: str, raw: str) -> tuple[str, ...]:
    """The items of a list in the query, each decoded by itself."""
    items = tuple(_decoded(with_plus(one), f"An item of '{name}'") for one in split_list(raw, operation.styles[name]))
    if "" in items:
        raise BadCall(f"'{name}' has an empty item; write, for example, 1,2.")
    return items


def _decoded(raw: str, where: str) -> str:
    if "+" in raw:  # a blank to most servers, and a plus sign to others
        raise BadCall(f"{where} contains a '+'. Write %20 where a space is meant, and %2B for a plus sign.")
    try:
        return decode_value(raw, where=where, in_path=False)
    except BadValue as error:
        raise BadCall(f"{error}.") from None
