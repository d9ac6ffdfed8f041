"""Imports into a catalog that is there already: what people wrote or changed by hand stays, what they left as it was imported follows the
description. Decides over data; edit.py does it to the text, so that comments and layout stay.

What was changed by hand is known by marks at the file's end: short hashes of what each import wrote. An entry without a mark is a
person's own and is left alone. Where a file lists several APIs, each mark begins with a tag of its API.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from base.settings import Misconfigured
from base.utf8 import encoded
from catalog.checks import check_pagination
from catalog.documents import whole_characters
from catalog.entries import Entry
from catalog.importer.edit import GONE, Edit, Tied, Wanted, appended, edited, entry_edits
from catalog.importer.openapi import shape
from catalog.rules import SAFE_METHODS
from catalog.source import BadCatalog, Source
from catalog.template import BadTemplate, parse_template
from catalog.yaml_text import WIDTH, switched

_TITLE = "# --- Marks of the import. By these the next one knows what was changed by hand; leave them as they are. ---"
_LENGTH = 5  # characters of a mark, 30 bits: among ten thousand marks, chance meets one in 100,000
_LEAVES = (
    "url",
    "description",
    "body_required",
    "body_type",
    "body",
    "pagination",
)  # an import writes these, and each parameter


@dataclass
class Changes:
    """What an import changed, for the person who started it: operations, with what of them."""

    added: list[str] = field(default_factory=list)
    added_off: list[str] = field(default_factory=list)  # writes, switched off
    updated: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # not in the description any more: switched off
    back: list[str] = field(default_factory=list)  # in the description again
    kept: list[str] = field(default_factory=list)  # changed by hand and in the description
    left_out: list[str] = field(default_factory=list)  # removed by hand before
    acting: list[str] = field(default_factory=list)  # reads that seem to change something: switched off
    allowed: list[str] = field(default_factory=list)  # what an import switches off, and a person has on
    stuck: list[str] = field(default_factory=list)  # what could not be taken over

    def add(self, other: Changes) -> None:
        """Takes over what another one tells."""
        for name, lines in vars(other).items():
            getattr(self, name).extend(lines)


@dataclass(frozen=True)
class Upstream:
    """What a description says now: `entries` are those chosen for this import, `shapes` names all that it has."""

    name: str
    base_url: str
    entries: Sequence[Mapping[str, Any]]
    shapes: frozenset[str]


# --- marks ------------------------------------------------------------------------------------------------------------


def marks_text(entries: Iterable[Mapping[str, Any]]) -> str:
    """The marks of imported entries, as the comment that ends a file."""
    return _marks_text({mark for entry in entries for mark in _marks(entry)})


def _marks_text(marks: set[str]) -> str:
    lines = ["#"]
    for mark in sorted(marks):
        if len(lines[-1]) + 1 + len(mark) > WIDTH:
            lines.append("#")
        lines[-1] += " " + mark
    return "\n".join([_TITLE, *lines]) + "\n"


def _marks(entry: Mapping[str, Any]) -> set[str]:
    """One mark that the entry was imported, and one for each part as it was."""
    name = _shape(entry)
    off = {_acts(name)} if entry.get("enabled") is False else set()
    return off | {_mark(name), *(_mark(name, leaf, value) for leaf, value in _leaves(entry).items())}


def _mark(*what: object) -> str:
    digest = hashlib.sha256(encoded(json.dumps(what, sort_keys=True, default=str))).digest()
    return base64.urlsafe_b64encode(digest)[:_LENGTH].decode()


def _gone(name: str) -> str:
    """The mark of an entry that an import switched off, since the description had it no more."""
    return _mark(name, "gone")


def _acts(name: str) -> str:
    """The mark of an entry that came switched off for what it does (openapi_effects.py), so that a person's word on it holds."""
    return _mark(name, "acts")


def _shape(entry: Mapping[str, Any]) -> str:
    return shape(str(entry.get("method", "")).upper(), str(entry.get("url", "")))


def _leaves(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an entry that an import writes, parameters as `parameters.<name>`. A lookup is a person's and no part."""
    found = {key: entry[key] for key in _LEAVES if key in entry}
    return found | {f"parameters.{name}": _without_lookup(value) for name, value in _parameters(entry).items()}


def _parameters(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = entry.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def _without_lookup(value: Any) -> Any:
    return {key: one for key, one in value.items() if key != "lookup"} if isinstance(value, dict) else value


def _split(text: str) -> tuple[str, set[str]]:
    """A file's text without the marks, and the marks."""
    before, title, rest = text.partition(_TITLE)
    lines = rest.split("\n")
    count = next((number for number, line in enumerate(lines[1:], 1) if not line.startswith("#")), len(lines))
    marks = {mark for line in lines[1:count] for mark in line[1:].split()} if title else set()
    return (before + "\n".join(lines[count:]) if title else text), marks


# --- the merge --------------------------------------------------------------------------------------------------------


def merge(text: str, upstream: Upstream, *, source: str, writes: bool = False) -> tuple[str, Changes]:
    """The catalog's text with the description's news, and what changed. `source` names the file. Raises `Misconfigured` where the
    file cannot be edited."""
    line_break = "\r\n" if "\r\n" in text else "\n"
    body, marks = _split(whole_characters(text.replace("\r\n", "\n").removeprefix("\ufeff")))
    file, data = Source.read(body, source)
    api, node = _find_api(file, data, upstream)
    tag = _mark("api", str(api.get("name")))[:3] if isinstance(data.get("apis"), list) else ""
    own = {mark for mark in marks if mark.startswith(tag) and len(mark) == len(tag) + _LENGTH}
    known = {mark.removeprefix(tag) for mark in own} or _of_any(marks, api)
    changes = Changes()
    try:
        edits, left = _edits(body, api, node, upstream, known, changes, writes=writes)
    except Tied:
        raise Misconfigured(_TIED.format(source=source)) from None
    merged = edited(body, edits)
    if not _says(merged, data):
        raise Misconfigured(_TIED.format(source=source))
    whole = merged.rstrip("\n") + "\n\n" + _marks_text((marks - own) | {tag + mark for mark in left})
    return whole.replace("\n", line_break), changes


def _of_any(marks: set[str], api: Mapping[str, Any]) -> set[str]:
    """The marks of a time when the file had one API. What another one may have switched off is not switched on by these."""
    gone = {_gone(_shape(entry)) for entry in api["endpoints"] if isinstance(entry, dict)}
    return {mark for mark in marks if len(mark) == _LENGTH} - gone


_TIED = (
    "{source}: an alias (*name), a merge (<<) or an unusual layout keeps it from being edited in place. Write those parts out, or import "
    "into a separate file and copy what you need."
)


def _says(text: str, data: Mapping[str, Any]) -> bool:
    """Whether the edited text says what it should."""
    try:
        return Source.read(text, "")[1] == data
    except BadCatalog:
        return False


def _find_api(file: Source, data: dict[str, Any], upstream: Upstream) -> tuple[dict[str, Any], yaml.SequenceNode]:
    """The file's API that the description is of, and the node of its endpoints."""
    several = data.get("apis")
    apis = several if isinstance(several, list) else [data]
    nodes = _get(file.root, "apis").value if isinstance(several, list) else [file.root]
    known = [(one, node) for one, node in zip(apis, nodes, strict=True) if isinstance(one, dict)]
    fitting = [pair for pair in known if pair[0].get("name") == upstream.name]
    fitting = fitting or [pair for pair in known if str(pair[0].get("base_url", "")).rstrip("/") == upstream.base_url]
    if len(fitting) != 1:
        names = ", ".join(str(one.get("name", "API")) for one, _ in known)
        raise Misconfigured(
            f"{file.name} describes {names}, and the description {upstream.name} at {upstream.base_url}. If it is one of them, say which "
            "with --name; else import it into a separate file, and list both under apis:."
        )
    api, node = fitting[0]
    endpoints = _get(node, "endpoints")
    if (
        not isinstance(endpoints, yaml.SequenceNode)
        or endpoints.flow_style
        or not isinstance(api.get("endpoints"), list)
    ):
        raise Misconfigured(
            f"{file.name}: write endpoints as a list whose items begin with '- ', each on lines of its own."
        )
    return api, endpoints


def _get(node: yaml.Node, name: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in reversed(pairs) if key.value == name), None)


@dataclass
class _Merge:
    """One API's entries beside what the description has of them by now: the edits so far, and the marks that are to stay."""

    body: str
    news: Mapping[str, Mapping[str, Any]]  # by shape, as are those below
    shapes: Collection[str]  # of the whole description, also of what was not chosen
    marks: set[str]  # as they are in the file
    changes: Changes
    left: set[str]
    edits: list[Edit] = field(default_factory=list)
    there: set[str] = field(default_factory=set)

    def entry(self, entry: Any, item: yaml.MappingNode) -> Any:
        """What the edited text says of an entry."""
        if not isinstance(entry, dict) or (name := _shape(entry)) in self.there:
            return entry
        self.there.add(name)
        if _mark(name) not in self.marks:  # a person's own
            self.left -= self._marks_of_news(name)
            return entry
        told = Changes()
        wanted = _wanted(entry, self.news.get(name), self.marks, told, is_gone=name not in self.shapes)
        after = wanted.applied(entry)
        if wanted and (mistake := _mistake(after)):
            self._leave(entry, mistake)
            return entry
        self._keep_marks(entry, told)
        self.changes.add(told)
        if self.news.get(name, {}).get("enabled") is False and after.get("enabled") is not False:
            self.changes.allowed.append(_called(entry))
        self.edits += entry_edits(self.body, item, wanted, after) if wanted else []
        return after if wanted else entry

    def _marks_of_news(self, name: str) -> set[str]:
        return _marks(self.news[name]) if name in self.news else set()

    def _keep_marks(self, entry: Mapping[str, Any], told: Changes) -> None:
        """Of an entry that the description has no more: as what it was imported, and that an import switched it off."""
        name = _shape(entry)
        if name not in self.news:
            self.left |= _marks(entry) & self.marks
        was_gone = _gone(name) in self.marks and entry.get("enabled") is False
        if told.gone or (was_gone and name not in self.news):
            self.left.add(_gone(name))

    def _leave(self, entry: Mapping[str, Any], mistake: str) -> None:
        """Leaves an entry as it is, with its marks, so that a later import tries again."""
        name = _shape(entry)
        self.left -= self._marks_of_news(name)
        self.left |= {*_marks(entry), _gone(name)} & self.marks
        self.changes.stuck.append(
            f"{_called(entry)}: left as it is, since the changes conflict with what was changed by hand ({mistake})"
        )


def _edits(
    body: str,
    api: dict[str, Any],
    node: yaml.SequenceNode,
    upstream: Upstream,
    marks: set[str],
    changes: Changes,
    *,
    writes: bool,
) -> tuple[list[Edit], set[str]]:
    """The edits and the marks after them. Changes `api` to what the edited text says."""
    news = {_shape(entry): entry for entry in upstream.entries}
    left = {mark for entry in upstream.entries for mark in _marks(entry)}
    merge = _Merge(body, news, upstream.shapes, marks, changes, left)
    after = [merge.entry(entry, item) for entry, item in zip(api["endpoints"], node.value, strict=True)]
    fresh = list(_fresh(news, merge.there, marks, changes, writes=writes))
    api["endpoints"] = after + fresh
    edits = merge.edits + appended(body, node, fresh)
    return edits, merge.left | {mark for mark in map(_mark, upstream.shapes) if mark in marks}


def _fresh(
    news: Mapping[str, Mapping[str, Any]], there: set[str], marks: set[str], changes: Changes, *, writes: bool
) -> Iterator[dict[str, Any]]:
    """The entries that are new. What was imported before and is not there was removed by hand, and stays away."""
    for name, entry in news.items():
        if name in there:
            continue
        if _mark(name) in marks:
            changes.left_out.append(_called(entry))
            continue
        fresh = switched(entry, writes=writes)
        (changes.added_off if fresh.get("enabled") is False else changes.added).append(_called(entry))
        yield fresh


def _called(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('method')} {str(entry.get('url')).partition('?')[0]}"


def _wanted(
    entry: Mapping[str, Any], news: Mapping[str, Any] | None, marks: set[str], changes: Changes, *, is_gone: bool
) -> Wanted:
    """What shall be different in an imported entry: what the description changed, unless a person had changed it."""
    wanted = Wanted()
    if news is None:
        if is_gone and entry.get("enabled") is not False:
            wanted.keys["enabled"] = False
            changes.gone.append(_called(entry))
        return wanted
    _switch(wanted, entry, news, marks, changes)
    told, kept = _take_parts(wanted, entry, news, marks)
    if told:
        is_on = entry.get("method") not in SAFE_METHODS and entry.get("enabled") is not False
        changes.updated.append(f"{_called(entry)}{' (a write that is on)' if is_on else ''}: {', '.join(told)}")
    if kept:
        changes.kept.append(f"{_called(entry)}: {', '.join(kept)}")
    return wanted


def _switch(
    wanted: Wanted, entry: Mapping[str, Any], news: Mapping[str, Any], marks: set[str], changes: Changes
) -> None:
    """Whether the entry goes on again, since the description has it again, or off, since it does something."""
    if _gone(_shape(entry)) in marks and entry.get("enabled") is False:
        if entry.get("method") in SAFE_METHODS and news.get("enabled") is not False:
            wanted.keys["enabled"] = GONE
            changes.back.append(f"{_called(entry)}: on again")
        else:
            changes.back.append(f"{_called(entry)}: off until you set enabled: true")
    elif _is_unasked(entry, news, marks):
        wanted.keys["enabled"] = False
        changes.acting.append(_called(entry))


def _take_parts(
    wanted: Wanted, entry: Mapping[str, Any], news: Mapping[str, Any], marks: set[str]
) -> tuple[list[str], list[str]]:
    """Takes over each part that the description changed and no person did; what to tell of these, and those that people keep."""
    old, new = _leaves(entry), _leaves(news)
    told: list[str] = []
    kept: list[str] = []
    for leaf in dict.fromkeys([*_LEAVES[:1], *new, *old]):  # the url first: it decides which parameters there can be
        url = str(wanted.keys.get("url", entry.get("url")))
        before, after = old.get(leaf, GONE), new.get(leaf, GONE)
        after = after if _has_place(leaf, after, url) else GONE
        if before == after:
            continue
        if not _is_by_hand(entry, leaf, before, after, url, marks):
            _set(wanted, leaf, after, entry)
            told.append(f"{leaf} {'new' if before is GONE else 'gone' if after is GONE else 'changed'}")
        elif after is not GONE and _mark(_shape(entry), leaf, after) not in marks:
            kept.append(leaf)
    return told, kept


def _is_by_hand(entry: Mapping[str, Any], leaf: str, before: Any, after: Any, url: str, marks: set[str]) -> bool:
    """Whether a person made a part differ from the description, by the marks of what was imported."""
    name = _shape(entry)
    if before is GONE:
        return _mark(name, leaf, after) in marks  # imported so before, and taken out by a person
    if after is GONE and leaf.startswith("parameters.") and not _has_place(leaf, before, url):
        return False  # gone with its placeholder
    return _mark(name, leaf, before) not in marks


def _is_unasked(entry: Mapping[str, Any], news: Mapping[str, Any], marks: set[str]) -> bool:
    """Whether a read that acts is on because an earlier import knew nothing of that, and not because a person wanted it."""
    is_read = entry.get("method") in SAFE_METHODS
    return is_read and news.get("enabled") is False and "enabled" not in entry and _acts(_shape(entry)) not in marks


def _has_place(leaf: str, value: Any, url: str) -> bool:
    """Whether the url has what a part is about: a parameter's placeholder, the value that turns the pages."""
    kind, _, name = leaf.partition(".")
    if kind == "pagination" and isinstance(value, dict):
        name = str(value.get("parameter", ""))
    if not name or (isinstance(value, dict) and value.get("in") == "header"):
        return True
    try:
        return name in parse_template(url).names
    except (BadTemplate, UnicodeError):
        return False


def _set(wanted: Wanted, leaf: str, value: Any, entry: Mapping[str, Any]) -> None:
    kind, _, name = leaf.partition(".")
    if kind != "parameters":
        wanted.keys[leaf] = value
        return
    before = _parameters(entry).get(name)
    if value is not GONE and isinstance(before, dict) and "lookup" in before:
        value = {**value, "lookup": before["lookup"]}
    wanted.parameters[name] = value


def _mistake(entry: Mapping[str, Any]) -> str:
    """What keeps an entry from being one, empty where nothing does."""
    try:
        made = Entry.model_validate(entry)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return next((words for _, words in check_pagination(made, ())), "")
