"""What a card says of the thing that a request is about: its name, and what would change of it, one line for each.

Plain text throughout. Whatever an API or the model wrote is in quotes, escaped, on one line, shortened in its middle.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from base import words
from base.statuses import status_text
from base.visible import field_name, is_right_to_left, key, middle, on_line, title
from catalog.bodies import is_json_patch
from gate.naming import Name, apart
from gate.target_diff import Change, ItemStep, Path, Target, changes, fields_of

_DESCRIPTION = 400  # characters of an operation's description
_FIELD = 160  # characters of a field's name with all that it stands in
_NAME = 160  # characters of what a thing is called
_BESIDE = 60  # characters of a value beside a name
_FEW = 3  # names of several things


@dataclass(frozen=True)
class LineLimits:
    """How much is shown: lines of a change (None: all), things of a list, characters of a value."""

    lines: int | None
    things: int
    value: int


CARD = LineLimits(lines=12, things=12, value=120)
HOME = LineLimits(lines=4, things=4, value=60)
WHOLE = LineLimits(lines=None, things=200, value=29_000)


@dataclass(frozen=True)
class CardLines:
    """What a request would change, under a heading that is empty where the lines need none; `is_cut`: more can be shown."""

    heading: str = ""
    lines: tuple[str, ...] = ()
    is_cut: bool = False


def about(description: str, target: Target | None) -> list[str]:
    """What a request does, in the catalog's words, and to what."""
    said = [middle(on_line(description), _DESCRIPTION)] if description else []
    return [*said, *([words.ABOUT.format(name=name)] if (name := _about(target)) else [])]


def _about(target: Target | None) -> str:
    if target is None or not target.names:
        return ""
    if target.role == "several":
        names = "; ".join(map(_name, target.names[:_FEW])) + ("; ..." if target.count > _FEW else "")
        template = words.THINGS if target.rest == "none" else words.THINGS_AT_LEAST
        return template.format(count=target.count, names=names)
    name = target.names[0]
    others = [
        f"{middle(field_name(field), _BESIDE)} {middle(on_line(text), _BESIDE)}"
        for field, text in apart(target.data, name)
    ]
    return ", ".join([*([_name(name)] if any(name) else []), *others])


def _name(name: Name) -> str:
    """`Tom Berg, id 7`."""
    called = [middle(title(name.title), _NAME)] if name.title else []
    label = middle(field_name(name.label), _BESIDE)
    known = [words.NAMED_ID.format(label=label, key=middle(key(name.key), _NAME))] if name.key else []
    return ", ".join([*called, *known]) or words.NAMELESS


def change_lines(
    method: str,
    target: Target | None,
    body: Any,
    *,
    hidden: Collection[str] = (),
    url: str = "",
    bounds: LineLimits = CARD,
) -> CardLines:
    """What a request with this body changes of its target."""
    if target is None:
        return CardLines()
    if target.problem:
        return CardLines("", (words.TARGET_UNREAD.format(problem=on_line(target.problem)),))
    if target.status is not None and not target.is_there:
        said = words.TARGET_GONE if target.is_known else words.TARGET_STATUS
        return CardLines("", (said.format(status=status_text(target.status)),))
    match target.role:
        case "about":
            return CardLines()  # nothing of it is known to change
        case "several":
            return _several(method, target, body, hidden, url, bounds)
        case "itself":
            return _itself(method, target, body, hidden, url, bounds)
        case other:
            assert_never(other)


# --- the thing itself -------------------------------------------------------------------------------------------------


def _itself(method: str, target: Target, body: Any, hidden: Collection[str], url: str, bounds: LineLimits) -> CardLines:
    if body is None and method != "DELETE":
        return CardLines("", (words.NO_FIELDS,))
    heading = words.CHANGE_TITLE.get(method, words.CHANGES)
    if method == "DELETE" and not target.exact:
        heading = words.AS_IT_IS
    found = changes(method, target.data, body, hidden=hidden, url=url)
    first = [] if any(one.how != "left out" for one in found) or method == "DELETE" else [words.NO_CHANGE]
    return _bounded(heading, first, found, bounds, target.withheld)


def _bounded(
    heading: str, first: Sequence[str], found: Sequence[Change], bounds: LineLimits, withheld: Collection[str] = ()
) -> CardLines:
    lines = [_line(one, bounds.value, withheld) for one in found[: bounds.lines]]
    left = len(found) - len(lines)
    more = [words.MORE_FIELDS.format(count=left)] if left else []
    is_cut = left > 0 or any(len(text or "") > bounds.value for one in found for text in (one.old, one.new))
    return CardLines(heading, (*first, *lines, *more), is_cut)


def _line(one: Change, most: int, withheld: Collection[str] = ()) -> str:
    """A change on one line. `withheld`: names of fields whose old value nobody may see."""
    field = middle(path_text(one.path), _FIELD)
    old, new = (middle(on_line(text), most) if text is not None else words.NOTHING for text in (one.old, one.new))
    if one.old is None and one.path and one.path[-1] in withheld:
        old = words.NOT_SHOWN
    match one.how:
        case "set":
            return f"{field}: {from_to(old, new)}"
        case "is" | "says":
            return f"{field}: {old if one.how == 'is' else new}"
        case "left out" | "item out":
            return words.LEFT_OUT.format(field=field, value=old)
        case "item in":
            return words.ADDED.format(field=field, value=new)
        case "reordered":
            return words.REORDERED.format(field=field)
        case "list":
            return words.OTHER_BODY
        case "operation":
            return _operation(one, old, new)
        case other:
            assert_never(other)


def from_to(old: str, new: str) -> str:
    """An arrow between texts that are read from right to left would be read the other way round; a word is not."""
    sign = words.BECOMES if is_right_to_left(old + new) else words.ARROW
    return f"{old} {sign} {new}"


def _operation(one: Change, old: str, new: str) -> str:
    """An operation of a JSON Patch, with its pointers as they are."""
    *source, at = (middle(_pointer(str(step)), _FIELD) for step in one.path)
    parts = {"field": at, "source": next(iter(source), ""), "old": old, "new": new, "change": from_to(old, new)}
    return words.OPERATIONS[one.verb].format(**parts)


def _pointer(text: str) -> str:
    """A JSON pointer as it is, where its steps are plain."""
    is_plain = re.fullmatch(r"(/[\w$@~.-]*)*", text) is not None and not is_right_to_left(text)
    return text if is_plain else field_name(text)


def path_text(path: Path) -> str:
    """`home.city`, `members[id 7].role`."""
    text = ""
    for step in path:
        match step:
            case str():
                text += f".{field_name(step)}" if text else field_name(step)
            case ItemStep():
                text += f"[id {middle(key(step.key), _BESIDE)}]"
    return text or words.ALL_OF_IT


# --- several things ---------------------------------------------------------------------------------------------------


def _several(
    method: str, target: Target, body: Any, hidden: Collection[str], url: str, bounds: LineLimits
) -> CardLines:
    if method == "PUT" and isinstance(body, list) and not is_json_patch(body) and not target.chosen:
        found = changes(method, target.data, body, hidden=hidden, url=url)
        return _bounded(words.CHANGES, [_how_many(target), *([] if found else [words.NO_CHANGE])], found, bounds)
    heading = words.CHANGE_TITLE["DELETE"] if method == "DELETE" else words.MAY_CHANGE
    shown = [words.ONE_OF_THEM.format(name=_name(one)) for one in target.names[: bounds.things]]
    left = target.count - len(shown)
    more = [words.MORE_THINGS.format(count=left)] if left else []
    fields = fields_of(target.data) if bounds.lines is None and method == "DELETE" else ()
    whole = [_line(one, bounds.value) for one in fields]
    return CardLines(heading, (_how_many(target), *shown, *more, *_missing(target), *whole), is_cut=target.count > 0)


def _how_many(target: Target) -> str:
    """How many of how many are shown, and which read lists them."""
    read = f"GET {target.url}"
    if target.chosen:
        return words.THOSE_NAMED.format(count=target.count, total=target.total)
    if target.count == 0 and target.rest != "some":
        return words.NONE_LISTED.format(read=read)
    if target.rest == "none":
        return words.ALL_LISTED.format(count=target.count, read=read)
    if target.rest == "unknown":
        return words.MAYBE_LISTED.format(count=target.count, read=read)
    if target.total is not None and target.total > target.count:
        return words.SOME_LISTED.format(count=target.count, total=target.total, read=read)
    return words.MORE_LISTED.format(count=target.count, read=read)


def _missing(target: Target) -> list[str]:
    """The ids that the request names and that were not found."""
    if not target.missing:
        return []
    ids = middle(", ".join(map(key, target.missing)), 2 * _NAME)
    return [(words.NOT_THERE if target.rest == "none" else words.NOT_FOUND).format(ids=ids)]
