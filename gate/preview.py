"""Which read shows what a write is about, and for what it asks: the catalog's side of a card. Nothing here sends anything.

A write names what it is about by its path, its query and the ids in its body; of each, the read asks for what it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from catalog.bad_call import BadCall
from catalog.bodies import is_json_patch
from catalog.call_values import check_values
from catalog.calls import Call, build, shown_url
from catalog.catalog import Catalog, Operation
from catalog.list_names import ALL_LISTS
from catalog.secret_values import is_secret
from catalog.template import Piece, Value, paired
from gate.naming import key_of
from gate.paging import items_of

_WRAPS = frozenset({"_embedded", "response", "payload", "body"})
_IDS = re.compile(r"ids?|keys|uuids|guids|\w+_?ids", re.IGNORECASE)


@dataclass(frozen=True)
class Showing:
    """A read that shows something of a write: the very thing (`itself`), a thing in its path (`about`), or a list in which that
    thing stands (`listed`). `places` pairs the read's placeholders with the write's, by their places in the path."""

    read: Operation
    kind: Literal["itself", "about", "listed"]
    places: Mapping[str, str] = field(default_factory=dict)
    placeholder: str = ""  # listed: the write's placeholder that holds the thing's id

    @property
    def in_path(self) -> list[str]:
        """The write's placeholders that lead to the thing, in the order of the path."""
        mine = [name for piece in self.read.template.path for name in piece.names if name in self.places]
        return [*(self.places[name] for name in mine), *([self.placeholder] if self.placeholder else [])]


def showing(catalog: Catalog, write: Operation) -> Showing | None:
    """The read that the entry names, else the nearest that the catalog has: of the same path, of a thing in that path, of its list."""
    if write.preview is None or write.method in ("GET", "HEAD"):
        return None
    if (name := write.preview.operation) is not None:
        read = catalog.named(write.api, name)
        return _named(read, write) if read is not None else None
    return next(_usual(catalog, write), None)


def _named(read: Operation, write: Operation) -> Showing:
    """A read that the entry names: of a shorter path, it shows what the write is about."""
    mine, its = write.template.path, read.template.path
    pairs = paired(its, mine)
    by_name = {one: one for one in read.template.path_names & write.template.names}
    if pairs is not None and len(its) < len(mine):
        return Showing(read, "about" if its[-1].names else "itself", by_name | pairs)
    return Showing(read, "itself", (pairs or {}) | by_name)


def _usual(catalog: Catalog, write: Operation) -> Iterator[Showing]:
    """What could show it, the nearest first. A POST to a list adds to it, so that list shows nothing of it."""
    path = write.template.path
    for end in range(len(path), 0, -1):
        is_thing = bool(path[end - 1].names)
        if not is_thing and (end < len(path) or write.method == "POST"):
            continue
        for read, pairs in _reads(catalog, write, path[:end]):
            yield Showing(read, "itself" if end == len(path) else "about", pairs)
        if is_thing and path[end - 1].is_whole:
            for read, pairs in _reads(catalog, write, path[: end - 1]):
                yield Showing(read, "listed", pairs, path[end - 1].names[0])


def _reads(catalog: Catalog, write: Operation, path: Sequence[Piece]) -> Iterator[tuple[Operation, dict[str, str]]]:
    """The GETs of a path, whatever they call its placeholders."""
    for one in catalog.operations:
        if one.method == "GET" and one.api.name == write.api.name and len(one.template.path) == len(path):
            pairs = paired(one.template.path, path)
            if pairs is not None:
                yield one, pairs


def item_read(catalog: Catalog, of_list: Operation) -> tuple[Operation, str] | None:
    """The GET that shows one item of a list, and the placeholder that takes its id."""
    path = of_list.template.path
    for one in catalog.operations:
        its = one.template.path
        is_item = one.method == "GET" and one.api.name == of_list.api.name and len(its) == len(path) + 1
        if is_item and its[-1].is_whole and paired(its[:-1], path) is not None:
            return one, its[-1].names[0]
    return None


@dataclass(frozen=True)
class PreviewCall:
    """The call that shows a write's target, and the query names of the write that the read does not take. `exposes`: it would show a
    value that the catalog hides in the write."""

    call: Call
    untaken: Mapping[str, Value] = field(default_factory=dict)
    exposes: bool = False


def preview_call(write: Call, showing: Showing) -> PreviewCall:
    """The call of the read for a write: its path's values, and of its query what the read has, too."""
    read = showing.read
    required = {name: name for name in read.required & write.values.keys() & read.template.names}
    places = {mine: its for mine, its in {**required, **showing.places}.items() if its in write.values}
    values: dict[str, Value] = {mine: write.values[its] for mine, its in places.items()}
    untaken: dict[str, Value] = {}
    for name, piece in _query(write) if showing.kind == "itself" else ():
        taken = _taken(write, read, name, piece)
        if taken is None:
            untaken[name] = _filled(write, piece)
        values |= taken or {}
    headers = {name: text for name, text in write.headers.items() if name in read.headers}
    exposed = any(hides(write, its) and not is_secret(read.parameters.get(mine)) for mine, its in places.items())
    url = read.api.base_url + read.filled(values)
    return PreviewCall(
        Call(read, url, values=values, headers=headers, shown_url=shown_url(read, values)), untaken, exposed
    )


def hides(write: Call, name: str) -> bool:
    """Whether the catalog hides a value of a write's URL."""
    return is_secret(write.operation.parameters.get(name))


def _query(write: Call) -> Iterator[tuple[str, Piece]]:
    """What stands in a call's query, by name; what the catalog spells out as well."""
    return ((name, piece) for name, piece in write.operation.template.query if set(piece.names) <= write.values.keys())


def _filled(write: Call, piece: Piece) -> Value:
    """The decoded value of a piece of a call's query."""
    if piece.is_whole:
        return write.values[piece.names[0]]
    return "".join(str(write.values[text]) if is_open else text for text, is_open in piece.parts)


def _taken(write: Call, read: Operation, name: str, its: Piece) -> dict[str, Value] | None:
    """A value of the write's query as the read takes it; None where it does not. One that the catalog hides is not read with."""
    piece = dict(read.template.query).get(name)
    if piece is None or any(hides(write, one) for one in its.names):
        return None
    value = _filled(write, its)
    taken: Mapping[str, Value] | None
    if piece.is_whole and piece.names[0] in read.styles:
        taken = {piece.names[0]: value if isinstance(value, tuple) else (value,)}
    else:
        taken = piece.match(value) if isinstance(value, str) else None
    try:
        check_values(read, taken or {})
    except BadCall:
        return None
    return dict(taken) if taken is not None else None


def item_call(catalog: Catalog, of_list: Call, read: Operation, placeholder: str, key: str) -> Call:
    """The call that shows one item of a list by its id, checked like a call of the model's, which wrote the id. Raises `BadCall`."""
    pairs = paired(read.template.path[:-1], of_list.operation.template.path) or {}
    given: dict[str, Value] = {mine: of_list.values[its] for mine, its in pairs.items()} | {placeholder: key}
    headers = {name: text for name, text in of_list.headers.items() if name in read.headers}
    made = build(catalog, read, given | headers)
    check_values(made.operation, {**made.values, **made.headers})
    return replace(made, unresolved=frozenset())


# --- lists ------------------------------------------------------------------------------------------------------------


def list_in(read: Operation, data: Any) -> list[Any] | None:
    """The list that a read gives, in whatever it is wrapped; None where the answer is a thing of its own, with lists in it or not."""
    if read.pagination is not None and (items := items_of(read.pagination, data)) is not None:
        return items
    is_thing = isinstance(data, dict) and (bool(read.template.path[-1].names) or bool(key_of(data)[1]))
    things = {piece.literal.lower() for piece in read.template.path if piece.literal}
    return None if is_thing else _list_in(data, ALL_LISTS | things)


def _list_in(data: Any, names: frozenset[str] | set[str], depth: int = 2) -> list[Any] | None:
    if isinstance(data, list):
        return data
    if not isinstance(data, dict) or depth == 0:
        return None
    named = {name: value for name, value in data.items() if name.lower() in names or name in _WRAPS}
    found = [inner for value in named.values() if (inner := _list_in(value, names, depth - 1)) is not None]
    return found[0] if len(found) == 1 else None


def ids_named(body: Any, untaken: Mapping[str, Value]) -> tuple[str, ...]:
    """The ids of the things that a request names in its body, or in its query; none where it names its things in another way."""
    in_query = [
        _ids(value.split(",") if isinstance(value, str) else list(value))
        for name, value in untaken.items()
        if _IDS.fullmatch(name)
    ]
    if len(untaken) == 1 and body is None and in_query:
        return in_query[0]
    if untaken or is_json_patch(body):
        return ()
    if isinstance(body, list):
        return _ids(body)
    if not isinstance(body, dict):
        return ()
    lists = {name: value for name, value in body.items() if isinstance(value, list)}
    named = [value for name, value in lists.items() if _IDS.fullmatch(name) or (len(body) == 1 and name in ALL_LISTS)]
    return _ids(named[0]) if len(named) == 1 else ()


def _ids(items: Sequence[Any]) -> tuple[str, ...]:
    """A list's ids, each once; none where not each item is one or has one."""
    found = [str(one) if isinstance(one, (str, int)) and not isinstance(one, bool) else _id_in(one) for one in items]
    return tuple(dict.fromkeys(found)) if all(found) else ()


def _id_in(one: Any) -> str:
    return key_of(one)[1] if isinstance(one, dict) else ""


def by_key(items: Sequence[Any], field_: str = "") -> dict[str, list[Any]]:
    """A list's items by their ids: in the field of this name where they have that, else in their usual one."""
    found: dict[str, list[Any]] = {}
    for one in items:
        if isinstance(one, dict):
            found.setdefault(key_of(one, field_)[1], []).append(one)
    return found


def as_path(call: Call) -> str:
    """`GET` and a call's URL for people's eyes."""
    return f"{call.method} {call.shown_url}"
