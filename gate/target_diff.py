"""What a write would change: the target as it was read, beside what the request says; and whether it is still the same later.

A place in data is a path: names of fields, and of items that have an id that id (`ItemStep`). Lists of other items are values.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from base.english import split, stem
from base.json_pointer import at, steps_of
from base.json_text import loads
from base.shrink import as_json, shrink
from base.statuses import is_success
from catalog.bodies import is_json_patch
from gate.naming import Name, apart, key_of

GONE = (404, 410)
_MOST_NAMES = 200  # of a list, that a row keeps
_ENVELOPES = frozenset(
    ("data", "attributes", "item", "record", "resource", "object", "entity", "payload", "input", "fields", "properties", "result")
)  # fmt: skip


class ItemStep(NamedTuple):
    """A step of a path: the item of a list with this id."""

    key: str


class OrderStep(NamedTuple):
    """A step of a path: which items a list has, and in which order."""


Path = tuple["str | ItemStep | OrderStep", ...]
Role = Literal["itself", "about", "several"]
HasMore = Literal["none", "some", "unknown"]


@dataclass(frozen=True)
class Watch:
    """Which of a target's fields count when it is compared: `compare` (all, where it is empty) less `ignore`, by name or by path."""

    ignore: tuple[str, ...] = ()
    compare: tuple[str, ...] = ()

    def counts(self, path: Path) -> bool:
        """Whether a field counts at all."""
        places = _places(path)
        return not places & set(self.ignore) and (not self.compare or bool(places & set(self.compare)))

    def insists(self, path: Path) -> bool:
        """Whether a field counts although it moves by itself: one that the catalog names, and which things there are."""
        return bool(_places(path) & set(self.compare)) or path[:1] == (OrderStep(),)


def _places(path: Path) -> set[str]:
    """A field's name, its path, and those of all that it stands in."""
    names = [one for one in path if isinstance(one, str)]
    return {*names, *(".".join(names[: end + 1]) for end in range(len(names)))}


@dataclass(frozen=True)
class Target:
    """A write's target as the API gave it: its HTTP status and data, or the words for why it could not be shown.

    `role`: the very thing that the request changes, a thing that it is `about`, or a list of `several`. `names` are what it is called,
    of a list each item's; of a list there are also the items read (`count`), the number of all where it is known, whether there is a
    rest, and the ids that the request names and nobody has (`missing`). `exact`: all that the request names was asked for. `withheld`:
    names of the request's fields that the catalog hides in what was read.
    """

    url: str
    status: int | None = None
    data: Any = None
    problem: str = ""
    mark: str = ""  # SHA-256 over all that counts of the data, where only a part of it is kept
    role: Role = "itself"
    names: tuple[Name, ...] = ()
    exact: bool = True
    count: int = 0
    total: int | None = None
    rest: HasMore = "none"
    missing: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    chosen: bool = False  # a list of those that the request names by their ids

    @classmethod
    def kept(cls, url: str, status: int, data: Any, limit: int, watch: Watch = Watch(), **more: Any) -> Target:
        """A target as a row keeps it: at most `limit` characters of its data; the rest counts by its hash."""
        part, _ = shrink(data, limit)
        mark = "" if part is data else _hash(data, watch)
        names = more.pop("names", ())[:_MOST_NAMES]
        return cls(url, status, part, mark=mark, names=names, **more)

    @property
    def is_known(self) -> bool:
        """Whether it was read, or is known not to exist."""
        return self.status is not None and not self.problem and (self.is_there or self.status in GONE)

    @property
    def is_there(self) -> bool:
        """Whether the API showed it."""
        return is_success(self.status)

    def to_json(self) -> str:
        """The JSON text that the proposal's row keeps."""
        return as_json({name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def from_json(cls, text: str | None) -> Target | None:
        """What `to_json` wrote; None for an empty text or none."""
        if not text:
            return None
        kept = loads(text)
        names = tuple(Name(*one) for one in kept.pop("names", ()))
        return cls(**kept | {name: tuple(kept.get(name, ())) for name in ("missing", "withheld")} | {"names": names})


def _hash(data: Any, watch: Watch) -> str:
    counted = sorted((_label(path), value) for path, value in leaves(data) if watch.counts(path))
    return hashlib.sha256(json.dumps(counted).encode()).hexdigest()


# --- what changes -----------------------------------------------------------------------------------------------------

How = Literal["set", "is", "says", "left out", "item in", "item out", "reordered", "operation", "list"]


@dataclass(frozen=True)
class Change:
    """One line of a card: a field with its value before and after, as JSON texts, None where there is none.

    `is`: what the target has; `says`: what the request says, where the target shows nothing to compare it with; `left out`: what the
    target has and a PUT does not name; `operation`: of a JSON Patch, `path` being its pointer and `verb` what it does.
    """

    path: Path
    old: str | None = None
    new: str | None = None
    how: How = "set"
    verb: str = ""


def changes(method: str, before: Any, body: Any, *, hidden: Collection[str] = (), url: str = "") -> list[Change]:
    """What a request changes of the very thing that was read, field by field; for a DELETE all that is removed.

    `hidden` are names of fields whose values the catalog hides: of those nobody can see that they stay the same. `url` is the
    request's: an envelope may be called like the things in it.
    """
    if method == "DELETE":
        return fields_of(before)
    if body is None:
        return []
    if is_json_patch(body):
        return [_operation(one, before) for one in body]
    if not isinstance(body, dict):
        old = _inner(before, body)
        return _of_lists(old, body, (), method, hidden) if isinstance(old, list) else [Change((), how="list")]
    it = _aligned(before, body, url)
    found = [*_of_objects(it.old, it.new, it.place, method, hidden)]
    if method == "PUT" and it.wrapper:  # what stands beside the envelope
        found += [
            Change((name,), as_json(one), how="left out") for name, one in before.items() if name != it.wrapper[0]
        ]
    return sorted(found, key=lambda one: one.how == "left out")


def fields_of(data: Any) -> list[Change]:
    """All that a target has."""
    return [
        Change(path, old, how="is") for path, old in leaves(data) if not path or not isinstance(path[-1], OrderStep)
    ]


def _operation(one: Mapping[str, Any], before: Any) -> Change:
    """An operation of a JSON Patch, with what stands at its place now."""
    op, at = str(one["op"]), str(one["path"])
    if op in ("move", "copy"):
        return Change((str(one.get("from", "")), at), how="operation", verb=op)
    new = as_json(one.get("value")) if op != "remove" else None
    return Change((at,), _at_pointer(before, at) if op in ("replace", "remove") else None, new, "operation", op)


def _at_pointer(data: Any, pointer: str) -> str | None:
    """The JSON text at a JSON pointer (RFC 6901) in the data, or in what it wraps."""
    for one in (data, _inner(data, None)):
        with contextlib.suppress(LookupError):
            return as_json(at(one, steps_of(pointer)))
    return None


class _Aligned(NamedTuple):
    """The object as it is and what the request says of it, and in which envelopes each stands."""

    old: Any
    new: Mapping[str, Any]
    place: Path = ()  # in the body
    wrapper: tuple[str, ...] = ()  # in the target


def _aligned(before: Any, body: Mapping[str, Any], url: str) -> _Aligned:
    """Both with their envelopes opened."""
    outer = _wrapper(before, body)
    wrapper = (outer,) if outer is not None else ()
    old = _inner(before, body)
    name, content = next(iter(body.items())) if len(body) == 1 else ("", None)
    if not isinstance(content, dict) or not _is_envelope(name, url):
        return _Aligned(old, body, (), wrapper)
    if isinstance(old, dict) and name in old:
        is_shared = isinstance(old[name], dict)
        return (
            _Aligned(old[name], content, (name,), (*wrapper, name)) if is_shared else _Aligned(old, body, (), wrapper)
        )
    outer, kept = _wrapper(before, content), _inner(before, content)
    if isinstance(kept, dict) and set(content) & set(kept):
        return _Aligned(kept, content, (name,), (outer,) if outer is not None else ())
    return _Aligned(old, body, (), wrapper)


def _is_envelope(name: str, url: str) -> bool:
    """Whether a body's only field is what it is wrapped in: a usual word, or what the things at its address are called."""
    things = {stem(word) for word in split(url.partition("?")[0])}
    return name.lower() in _ENVELOPES or {stem(word) for word in split(name)} <= things


def _of_objects(
    old: Any, new: Mapping[str, Any], place: Path, method: str, hidden: Collection[str]
) -> Iterator[Change]:
    if not isinstance(old, dict):  # what is there is no object, or not known
        how: How = "set" if old is None else "says"
        yield from (Change((*place, name), None, as_json(value), how) for name, value in new.items())
        return
    for name, value in new.items():
        yield from _of_values(old.get(name), value, (*place, name), method, hidden, was_there=name in old)
    if method == "PUT":  # it replaces whole objects
        yield from (
            Change((*place, name), as_json(value), how="left out") for name, value in old.items() if name not in new
        )


def _of_values(
    old: Any, new: Any, path: Path, method: str, hidden: Collection[str], *, was_there: bool
) -> Iterator[Change]:
    is_hidden = path[-1] in hidden
    if isinstance(old, dict) and isinstance(new, dict) and not is_hidden:
        yield from _of_objects(old, new, path, method, hidden)
    elif isinstance(old, list) and isinstance(new, list) and not is_hidden and not _holds(new, hidden):
        yield from _of_lists(old, new, path, method, hidden)
    else:
        before, after = as_json(old) if was_there else None, as_json(new)
        is_same = was_there and as_json(_even(old)) == as_json(_even(new))
        if not is_same or is_hidden or _holds(new, hidden):
            yield Change(path, before, after)


def _even(value: Any) -> Any:
    """A value to be compared: 1.10 is 1.1, and 1.0 is 1."""
    match value:
        case Decimal():
            return Decimal(text.rstrip("0").rstrip(".") if "." in (text := f"{value:f}") else text)
        case dict():
            return {name: _even(one) for name, one in value.items()}
        case list():
            return [_even(one) for one in value]
    return value


def _holds(value: Any, hidden: Collection[str]) -> bool:
    """Whether somewhere in a value stands one that the catalog hides."""
    match value:
        case dict():
            return any(name in hidden or _holds(one, hidden) for name, one in value.items())
        case list():
            return any(_holds(one, hidden) for one in value)
    return False


def _of_lists(old: list[Any], new: list[Any], path: Path, method: str, hidden: Collection[str]) -> list[Change]:
    """A list item by item: by their ids where all have one, else as values."""
    was, becomes = _by_id(old), _by_id(new)
    if was is None or becomes is None:
        return _of_values_in_lists(old, new, path)
    found = [Change((*path, key), as_json(one), how="item out") for key, one in was.items() if key not in becomes]
    for key, one in becomes.items():
        if key in was:  # an item in a new list replaces the old one, whatever the method
            found += _of_objects(was[key], one, (*path, key), "PUT", hidden)
        else:
            found.append(Change((*path, key), new=as_json(one), how="item in"))
    return found or _reordered(old, new, path)


def _of_values_in_lists(old: list[Any], new: list[Any], path: Path) -> list[Change]:
    was, becomes = (Counter(map(as_json, one)) for one in (old, new))
    found = [Change(path, text, how="item out") for text in (was - becomes).elements()]
    found += [Change(path, new=text, how="item in") for text in (becomes - was).elements()]
    return found or _reordered(old, new, path)


def _reordered(old: list[Any], new: list[Any], path: Path) -> list[Change]:
    return [Change(path, as_json(old), as_json(new), "reordered")] if as_json(old) != as_json(new) else []


def _by_id(items: Sequence[Any]) -> dict[ItemStep, Any] | None:
    """A list's items by their ids; None where not each has one of its own."""
    found: dict[ItemStep, Any] = {}
    for one in items:
        if not isinstance(one, dict) or not (key := key_of(one)[1]):
            return None
        found[ItemStep(key)] = one
    return found if items and len(found) == len(items) else None


# --- whether it is the same -------------------------------------------------------------------------------------------


def differing(
    method: str, before: Target, now: Target, body: Any, watch: Watch = Watch(), url: str = ""
) -> dict[Path, tuple[str, str]]:
    """The fields that count and differ between two looks, each with both values; () where it is another thing, or called otherwise.

    A PATCH looks at the fields that it names, a request that is about a thing and changes something else at what its card shows.
    Of a target that is too large to be kept, single fields are looked for in the part that was kept.
    """
    if (before.status in GONE) != (now.status in GONE) or _identity(before) != _identity(now):
        return {(): ("", "")}
    was, old = _counted(method, before, body, watch, url)
    becomes, new = _counted(method, now, body, watch, url)
    found = {path: (old.get(path, ""), new.get(path, "")) for path in {**old, **new} if old.get(path) != new.get(path)}
    behind = before.mark != now.mark and method not in ("PATCH", "POST") and before.role != "about"
    return found | ({(): ("", "")} if was != becomes or behind else {})


def _identity(target: Target) -> Any:
    """What it is and what it is called; of a list the names of all, in whatever order."""
    return target.role, target.total, target.rest, target.missing, sorted(target.names)


def _counted(method: str, target: Target, body: Any, watch: Watch, url: str) -> tuple[tuple[str, ...], dict[Path, str]]:
    """The fields that count, and what they are wrapped in."""
    if target.role == "about" and not watch.compare:
        name = target.names[0] if target.names else Name()
        return (), {(one,): text for one, text in apart(target.data, name) if watch.counts((one,))}
    if not isinstance(body, dict) or target.role != "itself":
        wrapper = _wrapper(target.data, None)
        fields = leaves(_inner(target.data, None))
        return (wrapper,) if wrapper is not None else (), {path: text for path, text in fields if watch.counts(path)}
    it = _aligned(target.data, body, url)
    names_some = method in ("PATCH", "POST") and isinstance(it.old, dict)
    fields = ((path, text) for path, text in leaves(it.old) if not names_some or path[0] in it.new)
    return it.wrapper, {path: text for path, text in fields if watch.counts(path)}


def leaves(data: Any, place: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every field with its path and its value's JSON text. Items with ids have paths, and their order is one; other lists are values."""
    match data:
        case dict() if data or not place:
            for key, value in data.items():
                yield from leaves(value, (*place, str(key)))
        case list() if (items := _by_id(data)) is not None:
            order = [one.key for one in items]
            yield (*place, OrderStep()), as_json(order if place else sorted(order))
            for key, value in items.items():
                yield from leaves(value, (*place, key))
        case None if not place:
            return
        case _:
            yield place, as_json(data)


def _inner(data: Any, body: Any) -> Any:
    """The object itself, also where an API wraps it ({"data": {...}})."""
    wrapper = _wrapper(data, body)
    return data if wrapper is None else data[wrapper]


def _wrapper(data: Any, body: Any) -> str | None:
    """The field in which an API wraps the object: the one whose value shares fields with the body, or the only one."""
    if not isinstance(data, dict) or (isinstance(body, dict) and set(data) & set(body)):
        return None
    kind = list if isinstance(body, list) else dict
    names = [name for name, value in data.items() if isinstance(value, kind)]
    if isinstance(body, dict):
        names = [name for name in names if set(data[name]) & set(body)]
        return names[0] if len(names) == 1 else None
    return names[0] if len(names) == 1 and len(data) == 1 else None


def _label(path: Path) -> list[Any]:
    """A path as JSON, for the hash."""
    return [one if isinstance(one, str) else list(one) for one in path]
