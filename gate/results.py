"""What the model sees of a large answer: the part that it selects, how much of how much that is, and where the rest is.

Nothing here reads or keeps anything. An API's words stay in `data` and `matched`; beside them stand our own words, numbers and
plain field names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from base import words
from base.jmespath_bounded import BadQuery, search
from base.shrink import as_json, plain, shrink
from base.statuses import is_success
from catalog.bad_call import BadCall
from catalog.calls import select_of
from gate.answers import CallData, Shown
from gate.paging import items_of

_KEYS = 30  # that are named where a selection finds nothing


def selected(result: CallData, expression: str) -> CallData:
    """What `expression` finds in the data, with words where that is nothing. Where the API said no, all that it said stays."""
    if not expression or not is_success(result.status):
        return result
    try:
        data = search(expression, result.data)
    except BadQuery as error:
        problem = f"select failed: {error}."
    else:
        if data is not None:
            return replace(result, data=data)
        problem = "select found nothing (null)."
    return replace(result, data=None, notes=(*result.notes, problem, f"There is {there(result.data)}."))


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
    `outcome`: what became of a proposal."""
    first: dict[str, Any] = ({"outcome": outcome} if outcome else {}) | ({"matched": list(matched)} if matched else {})
    if not kept:
        return shown.text(first)
    told = words.KEPT_PART if shown.whole.part else words.WHOLE_KEPT
    return shown.text(first | {"result": kept}, told.format(name=kept))


# --- more of a saved result -------------------------------------------------------------------------------------------

_ARGUMENTS = ("result", "select", "from", "count", "lines", "last", "contains")
_LONG_LINE = 2_000  # characters; a longer line counts as several
_LONG_TEXT = 1_000  # characters of a text that is what an object is about


@dataclass(frozen=True)
class More:
    """What the model wants of a saved result: which one, a JMESPath over it, and which stretch of the list or text that this gives.

    Of a list the items from `start` on, counted from 0; of a text the lines from number `start` on, counted from 1. `count` is how
    many, `last` how many from the end; `contains` takes only those that hold a text, in whatever letters.
    """

    number: int
    select: str = ""
    start: int | None = None
    count: int | None = None
    last: int | None = None
    contains: str = ""

    @property
    def name(self) -> str:
        """What the model calls the saved result: `r1`."""
        return f"r{self.number}"

    @property
    def wants_stretch(self) -> bool:
        """Whether it is about a list or a text, and not about any other data."""
        return (self.start, self.count, self.last) != (None, None, None) or bool(self.contains)


def parse_more(arguments: Mapping[str, Any]) -> More:
    """The arguments of read_result. Raises `BadCall`."""
    if unknown := sorted(str(key) for key in set(arguments) - set(_ARGUMENTS)):
        raise BadCall(f"Unknown argument '{unknown[0][:60]}'. read_result takes {', '.join(_ARGUMENTS)}.")
    found = re.fullmatch(r"r?([0-9]{1,9})", str(arguments.get("result")).strip(), re.ASCII)
    if found is None:
        raise BadCall('result is the name that a result gave, for example "r3".')
    start, last = _number(arguments, "from", 0), _number(arguments, "last", 1)
    count, lines = _number(arguments, "count", 1), _number(arguments, "lines", 1)
    if count is not None and lines is not None:
        raise BadCall("count is for the items of a list, lines for a text; give one of them.")
    if last is not None and (start, count, lines) != (None, None, None):
        raise BadCall("last gives the end of a list or text; leave out from, count and lines beside it.")
    contains = arguments.get("contains")
    if not isinstance(contains, (str, int, type(None))) or isinstance(contains, bool):
        raise BadCall("contains is a text that is looked for.")
    text = "" if contains is None else str(contains)
    return More(int(found[1]), select_of(arguments.get("select")), start, lines if count is None else count, last, text)


def _number(arguments: Mapping[str, Any], name: str, least: int) -> int | None:
    raw = arguments.get(name)
    if raw in (None, ""):
        return None
    if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,9}", str(raw), re.ASCII) or int(raw) < least:
        raise BadCall(f"{name} is a whole number from {least} on.")
    return int(raw)


def more_text(data: Any, more: More, limit: int, part: str = "") -> str:
    """What `more` asks for of a saved result's data, as a result. `part` says why that data is not all. Raises `BadCall`."""
    if more.select:
        try:
            found = search(more.select, data)
        except BadQuery as error:
            raise BadCall(f"select failed: {error}. {more.name} is {there(data)}.") from None
        if found is None:
            raise BadCall(f"select found nothing (null). {more.name} is {there(data)}.")
        data = found
    items = data if isinstance(data, list) else items_of(None, data) if more.wants_stretch else None
    if items is not None:
        return _items(more, items, limit, part)
    text = data if isinstance(data, str) else _only_text(data) if more.wants_stretch else None
    if text is not None:
        return _lines(more, text, limit, part)
    if more.wants_stretch:
        raise BadCall(
            f"from, count, lines, last and contains are for lists and texts, and this is {there(data)}. Choose one with select."
        )
    shown, cuts = shrink(data, limit)
    return _part(more, shown, cuts, part)


def _items(more: More, items: list[Any], limit: int, part: str) -> str:
    """A stretch of a list, as much of it as fits, and where to go on."""
    kind = "items"
    if more.contains:
        items = [one for one in items if _holds(as_json(one), more.contains)]
        kind = "items with that text"
    start = max(0, len(items) - more.last) if more.last is not None else more.start or 0
    wanted = items[start:] if more.count is None else items[start : start + more.count]
    shown, cuts = shrink(wanted, limit)
    if not isinstance(shown, list):
        return _part(more, shown, cuts, part)
    end = start + len(shown)
    told = f"Items {start + 1:,} to {end:,} of {len(items):,}." if shown else f"There are {len(items):,} items."
    told = told if kind == "items" else f"{told.removesuffix('.')} with that text."
    rest = [f"Go on with from {end}."] if end < len(items) and shown else []
    inner = (
        cuts[1:] if len(shown) < len(wanted) else cuts
    )  # the first tells of the list itself, which `told` does better
    return _part(more, shown, inner, part, told, *rest)


def _holds(text: str, wanted: str) -> bool:
    return wanted.casefold() in text.casefold()


def _only_text(data: Any) -> str | None:
    """The text that an object is about: its only long one."""
    texts = [one for one in data.values() if isinstance(one, str)] if isinstance(data, dict) else []
    long = [one for one in texts if len(one) > _LONG_TEXT] or texts
    return long[0] if len(long) == 1 else None


def _lines(more: More, text: str, limit: int, part: str) -> str:
    """A stretch of a text by its lines, or the lines that hold another text with their numbers; as much as fits, and where to go on."""
    lines = list(_parted(text))
    if more.contains:
        return _found_lines(more, lines, limit, part)
    start = max(0, len(lines) - more.last) if more.last is not None else max(0, (more.start or 1) - 1)
    wanted = lines[start:] if more.count is None else lines[start : start + more.count]
    shown = wanted[: _fitting(wanted, limit, 1)]
    end = start + len(shown)
    told = f"Lines {start + 1:,} to {end:,} of {len(lines):,}." if shown else f"There are {len(lines):,} lines."
    rest = [f"Go on with from {end + 1}."] if shown and end < len(lines) else []
    return _part(more, "\n".join(shown), [], part, told, *_long_lines(lines, text), *rest)


def _found_lines(more: More, lines: list[str], limit: int, part: str) -> str:
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if _holds(line, more.contains)]
    count = len(numbered)
    later = [one for one in numbered if one[0] >= (more.start or 1)]
    later = later[-more.last :] if more.last is not None else later if more.count is None else later[: more.count]
    shown = later[: _fitting([line for _, line in later], limit, 24)]
    found = [{"line": number, "text": line} for number, line in shown]
    told = (
        f"{count:,} of {len(lines):,} lines hold that text; {len(shown):,} are shown."
        if count
        else "No line holds that text."
    )
    rest = [f"Go on with from {shown[-1][0] + 1}."] if shown and shown[-1][0] < numbered[-1][0] else []
    return _part(more, found, [], part, told, *rest)


def _parted(text: str) -> Iterator[str]:
    """A text's lines; one that is too long to be shown as such in several."""
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if len(line) <= _LONG_LINE:
            yield line
        else:
            yield from (line[at : at + _LONG_LINE] for at in range(0, len(line), _LONG_LINE))


def _long_lines(lines: list[str], text: str) -> list[str]:
    is_parted = len(lines) > text.count("\n") + 1
    return [f"A line of more than {_LONG_LINE:,} characters counts as several."] if is_parted else []


def _fitting(lines: Sequence[str], limit: int, each: int) -> int:
    """How many of these lines have room in `limit` characters of JSON, with `each` characters besides for each; one at least."""
    for number, line in enumerate(lines):
        limit -= len(as_json(line)) + each
        if limit < 0 and number:
            return number
    return len(lines)


def _part(more: More, data: Any, cuts: list[str], part: str, *told: str) -> str:
    notes = [*told, *([f"Cut to fit: {'; '.join(cuts)}."] if cuts else []), *([part] if part else [])]
    return as_json({"result": more.name, "data": data} | ({"note": " ".join(notes)} if notes else {}))
