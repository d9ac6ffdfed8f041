"""What the model sees of a large answer: the part that it selects, how much of how much that is, and where the rest is.

Nothing here reads or keeps anything. An API's words stay in `data` and `matched`; beside them stand our own words, numbers and
plain field names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from base import words
from base.jmespath_bounded import BadQuery, search
from base.shrink import as_json, plain, shrink
from catalog.calls import BadCall, select_of
from gate.answers import CallData, Shown
from gate.paging import items_of

_KEYS = 30  # that are named where a selection finds nothing


def selected(found: CallData, expression: str) -> CallData:
    """What `expression` finds in the data, with words where that is nothing. Where the API said no, all that it said stays."""
    if not expression or not 200 <= found.status < 300:
        return found
    try:
        data = search(expression, found.data)
    except BadQuery as error:
        problem = f"select failed: {error}."
    else:
        if data is not None:
            return replace(found, data=data)
        problem = "select found nothing (null)."
    return replace(found, data=None, notes=(*found.notes, problem, f"There is {there(found.data)}."))


def there(data: Any) -> str:
    """What some data is, in words, with its field names."""
    match data:
        case dict():
            return f"an object with {_keys(data)}"
        case list() if data and all(isinstance(one, dict) for one in data):
            return f"a list of {len(data):,} objects, the first with {_keys(data[0])}"
        case list():
            return f"a list of {len(data):,} items"
        case str():
            return "a text"
        case None:
            return "nothing"
    return "a single value"


def _keys(data: Mapping[str, Any]) -> str:
    names = [plain(name) for name in data]
    return f"the fields {', '.join(names[:_KEYS]) or '(none)'}" + (
        f" and {len(names) - _KEYS:,} more" if len(names) > _KEYS else ""
    )


def is_partial(whole: CallData, shown: Shown, limit: int) -> bool:
    """Whether the model should be able to come back to the answer: it is larger than what is shown, or its selection found nothing."""
    found_nothing = shown.data is None and whole.data is not None
    return bool(shown.cuts) or found_nothing or len(as_json(whole.data)) > limit


def result(shown: Shown, kept: str, matched: Sequence[str] = (), *, outcome: str = "") -> str:
    """A call's result; `kept` is the name under which the whole answer is kept, empty where it is not. `matched`: what was looked up;
    `outcome`: what became of a record."""
    first: dict[str, Any] = ({"outcome": outcome} if outcome else {}) | ({"matched": list(matched)} if matched else {})
    if not kept:
        return shown.text(first)
    return shown.text(first | {"result": kept}, words.WHOLE_KEPT.format(name=kept))


# --- more of a kept answer ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class More:
    """What the model wants of a kept answer: which one, a JMESPath over it, and of the list that this gives the items from `start` on."""

    number: int
    select: str = ""
    start: int | None = None
    count: int | None = None

    @property
    def name(self) -> str:
        return f"r{self.number}"


def parse_more(arguments: Mapping[str, Any]) -> More:
    """The arguments of read_result. Raises `BadCall`."""
    if unknown := sorted(str(key) for key in set(arguments) - {"result", "select", "from", "count"}):
        raise BadCall(f"Unknown argument '{unknown[0][:60]}'. read_result takes result, select, from and count.")
    found = re.fullmatch(r"r?([0-9]{1,9})", str(arguments.get("result")).strip(), re.ASCII)
    if found is None:
        raise BadCall('result is the name that a result gave, such as "r3".')
    return More(
        int(found[1]), select_of(arguments.get("select")), _number(arguments, "from", 0), _number(arguments, "count", 1)
    )


def _number(arguments: Mapping[str, Any], name: str, least: int) -> int | None:
    raw = arguments.get(name)
    if raw in (None, ""):
        return None
    if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,9}", str(raw), re.ASCII) or int(raw) < least:
        raise BadCall(f"{name} is a whole number from {least} on.")
    return int(raw)


def more_text(data: Any, more: More, limit: int) -> str:
    """What `more` asks for of a kept answer's data, as a result. Raises `BadCall`."""
    if more.select:
        try:
            part = search(more.select, data)
        except BadQuery as error:
            raise BadCall(f"select failed: {error}. {more.name} is {there(data)}.") from None
        if part is None:
            raise BadCall(f"select found nothing (null). {more.name} is {there(data)}.")
        data = part
    wants_items = more.start is not None or more.count is not None
    items = data if isinstance(data, list) else items_of(None, data) if wants_items else None
    if items is not None:
        return _items(more, items, limit)
    if wants_items:
        raise BadCall(f"from and count are for lists, and this is {there(data)}. Choose a list with select.")
    return _part(more, *shrink(data, limit))


def _items(more: More, items: list[Any], limit: int) -> str:
    """A stretch of a list, as much of it as fits, and where to go on."""
    start = more.start or 0
    wanted = items[start:] if more.count is None else items[start : start + more.count]
    shown, cuts = shrink(wanted, limit)
    if not isinstance(shown, list):
        return _part(more, shown, cuts)
    end = start + len(shown)
    told = f"Items {start + 1:,} to {end:,} of {len(items):,}." if shown else f"There are {len(items):,} items."
    rest = [f"Go on with from {end}."] if end < len(items) and shown else []
    inner = (
        cuts[1:] if len(shown) < len(wanted) else cuts
    )  # the first tells of the list itself, which `told` does better
    return _part(more, shown, inner, told, *rest)


def _part(more: More, data: Any, cuts: list[str], *told: str) -> str:
    notes = [*told, *([f"Cut to fit: {'; '.join(cuts)}."] if cuts else [])]
    return as_json({"result": more.name, "data": data} | ({"note": " ".join(notes)} if notes else {}))
