"""The text of a JSON or YAML document as plain data, whatever it holds: bounded in depth and size, with the words of YAML 1.2.

Catalogs and API descriptions are read here, by the same words: dates stay text, `yes` and `on` are words, a key is the text that was
written, a number keeps its text (written_numbers.py). YAML is read event by event, since the libraries' loaders follow nesting until the
stack ends, and multiply merged keys. Who opens the file is not this room's concern.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import yaml

from base.settings import Misconfigured
from base.written_numbers import number
from catalog.yaml_hints import hint

MAX_TEXT = 50_000_000  # characters of one document; the largest public API descriptions have about 13 million
_MAX_DEPTH = 200
_MAX_NODES = 5_000_000
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where PyYAML was built with it
_RESOLVED = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null"))  # written out: !!int
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: value for value in (True, False) for word in (str(value), str(value).lower(), str(value).upper())
}


# Escapes in JSON and YAML; the group: half of a surrogate pair, which no URL, file or database takes.
_HEX = "[0-9a-fA-F]{2}"
_ESCAPES = re.compile(rf"\\\\|\\u[dD][89abAB]{_HEX}\\u[dD][c-fC-F]{_HEX}|(\\(?:u|U0000)[dD][89a-fA-F]{_HEX})")


class BadDocument(Misconfigured):
    """A text that is no document of the asked kind. Its words are for the operator: what is wrong, and what to do."""


def read_text(text: str, source: str) -> tuple[Any, list[str]]:
    """The document's data, and a line for each key that stands twice. Raises `BadDocument`, naming `source`."""
    if len(text) > MAX_TEXT:
        raise BadDocument(f"{source} has {len(text):,} characters; at most {MAX_TEXT:,} are read.")
    text = text.removeprefix("\ufeff")
    start = text[:200].lstrip().lower()
    if start.startswith(("<!doctype", "<html", "<?xml", "<")):
        raise BadDocument(
            f"{source} is an HTML or XML page, not an API description. Look for its link to an openapi.json or openapi.yaml."
        )
    text = whole_characters(text)
    if start.startswith("{"):
        return _json(text, source)
    root, twice = read_yaml(text, source)
    return root, [_stands_twice(name, f"line {line}: ") for name, line in twice]


def whole_characters(text: str) -> str:
    """The text with pairs of escapes, which JSON's writers make of emoji, as the characters that YAML's readers want."""
    return _ESCAPES.sub(_whole_character, text)


def _whole_character(found: re.Match[str]) -> str:
    """A pair of escapes as the character that it stands for; half of one as a replacement character."""
    if found[0].startswith("\\\\"):
        return found[0]
    return "\ufffd" if found[1] else str(json.loads(f'"{found[0]}"'))


def _json(text: str, source: str) -> tuple[Any, list[str]]:
    twice: list[str] = []

    def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice.extend(_stands_twice(name) for name, count in counts.items() if count > 1)
        return found

    try:
        return json.loads(
            text, object_pairs_hook=whole, parse_float=_plain, parse_int=_plain, parse_constant=lambda _: None
        ), twice
    except json.JSONDecodeError as error:
        try:
            return read_yaml(text, source)[0], []  # a flow mapping without quotes is YAML
        except BadDocument:
            raise BadDocument(
                f"{source}, line {error.lineno}: not valid JSON: {error.msg} (column {error.colno})."
            ) from None
    except (ValueError, RecursionError):
        raise BadDocument(f"{source} is nested too deeply, or contains a number with thousands of digits.") from None


def _stands_twice(name: str, where: str = "") -> str:
    return f"{where}duplicate key '{name[:80]}' in an object; only the last one is read"


def read_yaml(text: str, source: str) -> tuple[Any, list[tuple[str, int]]]:
    """A YAML document's data, and (key, line) of each key that stands twice. Raises `BadDocument`, naming `source`."""
    reader = _Reader(source)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BadDocument(f"{source}, line {line}: not valid YAML: {hint(text, error)}.") from None
    except (yaml.YAMLError, ValueError) as error:  # characters that YAML does not take; the mark's own text may break
        raise BadDocument(f"{source}: not valid YAML: {str(error)[:200]}.") from None
    return reader.root, reader.twice


@dataclass
class _Open:
    """A mapping or list that is being read."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    key: str | None = None  # read, its value not yet
    merged: list[Any] = field(default_factory=list)


class _Reader:
    """Takes the events of one YAML document, one by one."""

    def __init__(self, source: str) -> None:
        self.root: Any = None
        self.twice: list[tuple[str, int]] = []
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._documents = 0
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            self._refuse(event, "the document is too large")
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.MappingStartEvent():
                self._start({}, event)
            case yaml.SequenceStartEvent():
                self._start([], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end(event)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse(event, "a second document begins here; write one per file")

    def _start(self, value: dict[str, Any] | list[Any], event: Any) -> None:
        if len(self._open) >= _MAX_DEPTH:
            self._refuse(event, f"nested more than {_MAX_DEPTH} levels deep")
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            self._refuse(event, "a key has to be plain text; a text that begins with a bracket needs quotes")
        self._open.append(_Open(value, event.anchor))

    def _end(self, event: yaml.Event) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            for one in done.merged:
                for key, value in one.items():
                    done.value.setdefault(key, value)
        self._put(done.value, done.anchor, event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text: str = event.value
        above = self._open[-1] if self._open else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            if text in above.value:
                self.twice.append((text, _line(event)))
            above.key = text
            if event.anchor:
                self._anchors[event.anchor] = text
            return
        plain = (event.implicit[0] and event.tag in (None, "!")) or event.tag in _RESOLVED
        self._put(_plain(text) if plain else text, event.anchor, event)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor or ""
        if any(one.anchor == name for one in self._open):
            self._refuse(event, f"the alias *{name[:40]} is inside the node that it refers to")
        if name not in self._anchors:
            self._refuse(event, f"the alias *{name[:40]} is not defined; a text that begins with * needs quotes")
        value, above = self._anchors[name], self._open[-1] if self._open else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            if not isinstance(value, str):
                self._refuse(event, "a key has to be plain text")
            above.key = value
            return
        self._put(value, None, event)

    def _put(self, value: Any, anchor: str | None, event: yaml.Event) -> None:
        if anchor:
            self._anchors[anchor] = value
        if not self._open:
            self.root = value
            return
        above = self._open[-1]
        if isinstance(above.value, list):
            above.value.append(value)
            return
        key, above.key = above.key, None
        assert key is not None
        if key == "<<":
            self._merge(above, value, event)
        else:
            above.value[key] = value

    def _merge(self, above: _Open, value: Any, event: yaml.Event) -> None:
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) for one in several):
            self._refuse(event, "'<<' takes a mapping, or a list of them")
        self._nodes += sum(len(one) for one in several)
        above.merged.extend(several)

    def _refuse(self, event: yaml.Event, words: str) -> None:
        raise BadDocument(f"{self._source}, line {_line(event)}: {words}.")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _plain(text: str) -> Any:
    """A plain scalar's value by YAML 1.2's core schema, without infinite and endless numbers, which stay text."""
    if text in _WORDS:
        return _WORDS[text]
    return text if (found := number(text)) is None else found
