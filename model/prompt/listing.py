"""Operations as the model reads them: one terse line each, and a map of all where there are too many. Sentences live elsewhere.

A line is `METHOD /path What it does. (name type; other? type) body {field; other? type}`: a name with a question mark may be left out, one
without a type is text, values to choose from have strokes between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

from base.tokens import estimate
from catalog.catalog import RUN, Operation, Recipe


@dataclass(frozen=True)
class Detail:
    """How much a line tells. Characters of the description, of a parameter's, and of all parameters or fields; values of a choice."""

    words: int
    about: int
    names: int
    values: int
    depth: int  # levels of a body; none: parameters and body are left out, and that there are some is told as (...)
    rest: int = 0  # characters that name the parameters which have no room otherwise


RICH = Detail(words=1_000, about=120, names=3_000, values=30, depth=4)
FULL = Detail(words=300, about=0, names=600, values=12, depth=2)
FOUND = replace(FULL, rest=1_600)
TERSE = Detail(words=90, about=0, names=220, values=4, depth=1)
SHORT = Detail(words=60, about=0, names=0, values=0, depth=0)
BARE = Detail(words=0, about=0, names=0, values=0, depth=0)
Listed = Operation | Recipe
_LONG = 60  # characters of a body that is not written twice
_MARGIN = 12  # tokens of a map's line beside the names: the path, what is left out


def lines(entries: Iterable[Listed], detail: Detail) -> Iterator[str]:
    """The lines of entries that stand together: a long body is written once, and named after its operation elsewhere."""
    first: dict[str, str] = {}
    for one in entries:
        body = _body_of(one, detail)
        if len(body) < _LONG or isinstance(one, Recipe) or first.setdefault(body, one.name) == one.name:
            yield operation_line(one, detail)
        else:
            yield f"{_head(one, detail)} body as {first[body]}"


@lru_cache(maxsize=20_000)
def operation_line(entry: Listed, detail: Detail) -> str:
    """The entry's line."""
    if not detail.depth:
        return " ".join([_named(entry), *_said(entry.description, detail), *(["(...)"] if _has_more(entry) else [])])
    return f"{_head(entry, detail)} {_body_of(entry, detail)}".rstrip()


def _named(entry: Listed) -> str:
    """What every line begins with: `METHOD /path` and what is fixed in the query."""
    if isinstance(entry, Recipe):
        return f"{RUN} {entry.workflow_id}"
    fixed = [f"{name}={piece.literal}" for name, piece in entry.template.query if not piece.names]
    return entry.name + (f"?{'&'.join(fixed)}" if fixed else "")


def _has_more(entry: Listed) -> bool:
    """Whether it takes anything beside its path."""
    if isinstance(entry, Recipe):
        return bool(entry.inputs.get("properties"))
    return bool(entry.headers) or entry.body is not None or any(piece.names for _, piece in entry.template.query)


def _head(entry: Listed, detail: Detail) -> str:
    """A line without its body."""
    parts = [_named(entry), *_said(entry.description, detail)]
    if isinstance(entry, Recipe):
        return " ".join(parts)
    if named := _joined(_parameters(entry, detail), "; ", detail.names, detail.rest):
        parts.append(f"({named})")
    if entry.pagination is not None:
        parts.append("paged")
    return " ".join(parts)


def _body_of(entry: Listed, detail: Detail) -> str:
    """The body with its kind; nothing where there is none."""
    if isinstance(entry, Recipe):
        return f"body {_body(entry.inputs, detail)}" if entry.inputs.get("properties") else ""
    if entry.body is None:
        return ""
    kind = "" if entry.body_required else "optional "
    kind += (
        "" if entry.body_type == "json" else f"{entry.body_type.removeprefix('application/').removesuffix('+json')} "
    )
    return f"{kind}body {_body(entry.body, detail) or 'of any kind'}"


def _said(description: str, detail: Detail) -> list[str]:
    """The description: whole, else its whole sentences that fit, else its beginning; nothing where no words are wanted."""
    text = " ".join(description.split()) if detail.words else ""
    if len(text) > detail.words:
        head = text[: detail.words]
        ends = [found.end() for found in re.finditer(r"[.!?](?= )", head)]
        text = head[: ends[-1]] if ends else head.rsplit(" ", 1)[0] + " ..."
    return [text] if text else []


def _joined(parts: Iterable[str], between: str, limit: int, rest: int = 0) -> str:
    """As many parts as fit; what is left out is said. `rest`: characters that name those left out."""
    parts = list(parts)
    size = 0
    for number, part in enumerate(parts):
        size += len(part) + len(between)
        if size > limit and number:
            left = parts[number:]
            more = _names_of(left, rest) if rest else f"... {len(left)} more"
            return between.join([*parts[:number], more])
    return between.join(parts)


def _names_of(parts: Sequence[str], room: int) -> str:
    """The names that parts begin with; those that say something of another name (`name__ic`, `created[gte]`) by what they end with."""
    bases: dict[str, list[str]] = {}
    for part in parts:
        found = re.match(r"(?:header )?(\S+?)((?:__|\[)\S*?)?\??(?:\s|$)", part)
        if found is not None:
            bases.setdefault(found[1], []).append(found[2] or "")
    alike: dict[tuple[str, ...], list[str]] = {}
    for base, ends in bases.items():
        if "" in ends:
            alike.setdefault(("",), []).append(base)
        if said := tuple(one for one in ends if one):
            alike.setdefault(said, []).append(base)
    told = [
        ", ".join(names) if ends == ("",) else f"{', '.join(names)} each with {' '.join(ends)}"
        for ends, names in alike.items()
    ]
    return f"also by name: {_joined(told, '; ', room)}"


# --- parameters and fields --------------------------------------------------------------------------------------------


def _parameters(operation: Operation, detail: Detail) -> Iterator[str]:
    """Those of the path where there is something to say about them; those of the query, the required ones first; headers."""
    path = [name for piece in operation.template.path for name in piece.names]
    for name in path:
        told = _value(operation, name, detail)
        told = f"{told} (a slash in it as %2F)".strip() if name in operation.slashes else told
        if told:
            yield f"{name} {told}"
    query = [(name, piece.names[0]) for name, piece in operation.template.query if piece.names]
    headers = [(f"header {name}", name) for name in operation.headers]
    for shown, name in sorted([*query, *headers], key=lambda one: one[1] not in operation.required):
        mark = "" if name in operation.required else "?"
        yield f"{shown}{mark} {_value(operation, name, detail)}".rstrip()


def _value(operation: Operation, name: str, detail: Detail) -> str:
    """What a parameter may be."""
    schema = operation.parameters.get(name, {})
    told = _type(schema, detail, 1)
    if name in operation.styles:
        style, explode = operation.styles[name]
        between = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(style, ",")
        told = f"{told} repeated" if explode and style == "form" else f"{told} joined by '{between}'"
    if name in operation.lookups:
        told = f"{told} or its {', '.join(operation.lookups[name].match)}".lstrip()
    return " ".join(filter(None, [told, _about(schema, detail)]))


def _body(schema: Any, detail: Detail) -> str:
    """A body's fields; where an only one wraps the rest, as {data: ...}, a level more."""
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return _type(schema, detail, detail.depth + (isinstance(fields, dict) and len(fields) == 1))


def _about(schema: Any, detail: Detail) -> str:
    text = " ".join(str(schema.get("description", "")).split()) if isinstance(schema, dict) and detail.about else ""
    if len(text) > detail.about:
        text = text[: detail.about].rsplit(" ", 1)[0] + " ..."
    return f'"{text}"' if text else ""


def _type(schema: Any, detail: Detail, depth: int) -> str:
    """A schema in a word or two; nothing for text."""
    if not isinstance(schema, dict) or depth < 0:
        return ""
    if isinstance(values := schema.get("enum"), list):
        return _choice(values, detail)
    if "const" in schema:
        return str(schema["const"])[:60]
    kinds = _kinds(schema)
    told = [_kind(kind, schema, detail, depth) for kind in kinds] or _alternatives(schema, detail, depth)
    return "|".join(dict.fromkeys(told)) if told != ["string"] else ""


def _choice(values: Sequence[Any], detail: Detail) -> str:
    shown = [str(one)[:60] for one in values[: detail.values]]
    return "|".join([*shown, "..."] if len(values) > len(shown) else shown)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema names; `null` says no more than that a field may be left empty."""
    kind = schema.get("type")
    kinds = [one for one in (kind if isinstance(kind, list) else [kind]) if isinstance(one, str) and one != "null"]
    return kinds or (["object"] if isinstance(schema.get("properties"), dict) else [])


def _kind(kind: str, schema: Mapping[str, Any], detail: Detail, depth: int) -> str:
    if kind == "object":
        fields = _joined(_fields(schema, detail, depth), "; ", detail.names if depth >= detail.depth else 120)
        return f"{{{fields}}}"
    if kind == "array":
        items = schema.get("items")
        below = depth - 1 if isinstance(items, dict) and "array" in _kinds(items) else depth
        return f"[{_type(items, detail, below)}]"
    if kind == "string" and isinstance(form := schema.get("format"), str):
        return form[:30]
    least, most = (schema.get(key) for key in ("minimum", "maximum"))
    if detail.about and kind in ("integer", "number") and (least is not None or most is not None):
        return f"{kind} {least if least is not None else ''}..{most if most is not None else ''}"
    return kind[:30]


def _alternatives(schema: Mapping[str, Any], detail: Detail, depth: int) -> list[str]:
    for key in ("oneOf", "anyOf", "allOf"):
        several = schema.get(key)
        if isinstance(several, list) and several:
            return [told for one in several[:4] if (told := _type(one, detail, depth - 1) or "string") != "null"]
    return []


def _fields(schema: Mapping[str, Any], detail: Detail, depth: int) -> Iterator[str]:
    """An object's fields, the required ones first."""
    fields, required = schema.get("properties"), schema.get("required")
    if not isinstance(fields, dict) or depth <= 0:
        return
    needed = set(map(str, required)) if isinstance(required, list) else set()
    for name, field in sorted(islice(fields.items(), 200), key=lambda one: one[0] not in needed):
        mark = "" if name in needed else "?"
        told = " ".join(filter(None, [_type(field, detail, depth - 1), _about(field, detail)]))
        yield f"{str(name)[:80]}{mark} {told}".rstrip()


# --- many of them -----------------------------------------------------------------------------------------------------


def fitting(lines: Iterable[str], room: int) -> list[str]:
    """The first lines that have room together, in tokens; a line that alone would take a third of it is passed over."""
    chosen: list[str] = []
    left = room
    for one in lines:
        size = estimate(f"{one}\n")
        if size > room / 3:
            continue
        if size > left:
            break
        chosen.append(one)
        left -= size
    return chosen


def chart(operations: Sequence[Operation], room: int) -> str:
    """A map of paths in at most about `room` tokens: what begins with what, and how many operations there are.

    Nothing where there is no room to name anything.
    """
    tree = _Branch(())
    for operation in operations:
        tree.add([piece.literal or "".join(_shown(piece.parts)) for piece in operation.template.path if piece.parts])
    return tree.drawn(room)


def _shown(parts: Iterable[tuple[str, bool]]) -> Iterator[str]:
    return (f"[{text}]" if open_ else text for text, open_ in parts)


class _Branch:
    """What begins with one path."""

    def __init__(self, path: tuple[str, ...]) -> None:
        self._path = path
        self._below: dict[str, _Branch] = {}
        self._count = 0

    def add(self, path: Sequence[str]) -> None:
        self._count += 1
        if path:
            self._below.setdefault(path[0], _Branch((*self._path, path[0]))).add(path[1:])

    def drawn(self, room: int) -> str:
        """Lines; the largest branches get lines of their own as long as there is room."""
        drawn = [self._joint()]
        left = room - drawn[0]._size(room)
        while closed := [one for branch in drawn for one in branch._below.values() if one._joint() not in drawn]:
            largest = max(closed, key=lambda one: one._count)._joint()
            left -= largest._size(room)
            if left < 0 or not largest._below:
                break
            drawn.append(largest)
        return "\n".join(filter(None, (one._line(room) for one in sorted(drawn, key=lambda one: one._path))))

    def _joint(self) -> _Branch:
        """The next branch in which paths part."""
        if len(self._below) == 1 and (only := next(iter(self._below.values())))._count == self._count:
            return only._joint()
        return self

    def _line(self, room: int) -> str:
        names = [
            f"{name} {one._count}" if one._count > 1 else name
            for name, one in sorted(self._below.items(), key=lambda each: -each[1]._count)
        ]
        shown = fitting((f"{name}," for name in names), room - _MARGIN)
        if names and not shown:
            return ""
        more = [f"... {len(names) - len(shown)} more"] if len(shown) < len(names) else []
        return f"/{'/'.join(self._path)}: {' '.join([*shown, *more])}".removesuffix(",")

    def _size(self, room: int) -> int:
        return estimate(self._line(room)) + 1
