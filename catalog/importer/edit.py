"""Edits a catalog's YAML text in place: single keys of entries, new entries at the end. All that is not named stays as it is, to the
character; who edits compares the outcome with what it should say, since anchors and aliases can tie distant places together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from catalog.yaml_text import endpoint_text, key_text

GONE: Final = object()  # in place of a key's value: the key is taken out
_ORDER = ("method", "url", "description", "enabled", "parameters", "body_required", "body_type", "body", "pagination")


class Tied(Exception):
    """A place of the file is an alias of another one, so it cannot be edited alone."""


@dataclass(frozen=True)
class Edit:
    """`text` in place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


@dataclass
class Wanted:
    """What shall be different in one entry: keys and parameters, by name; GONE for what is taken out."""

    keys: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.keys or self.parameters)

    def applied(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The entry as it shall be."""
        parameters = _changed(entry.get("parameters") or {}, self.parameters)
        changed = _changed(entry, self.keys)
        if self.parameters:
            changed = _changed(changed, {"parameters": parameters or GONE})
        return changed


def _changed(mapping: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**mapping, **changes}.items() if value is not GONE}


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits, which do not overlap."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def entry_edits(text: str, node: yaml.MappingNode, wanted: Wanted, after: Mapping[str, Any]) -> list[Edit]:
    """The edits of one entry. `after` is the entry as it shall be. Raises `Tied`."""
    if node.flow_style:
        indent = node.start_mark.column - 2
        return [
            Edit(
                node.start_mark.index,
                _end(text, node),
                endpoint_text(after, max(indent, 0))[max(indent, 0) + 2 :].rstrip("\n"),
            )
        ]
    keys = dict(wanted.keys)
    edits: list[Edit] = []
    if wanted.parameters:
        inner = _value(node, "parameters")
        if isinstance(inner, yaml.MappingNode) and not inner.flow_style and "parameters" in after:
            edits += _key_edits(text, inner, wanted.parameters, ())
        else:
            keys["parameters"] = after.get("parameters", GONE)
    return edits + _key_edits(text, node, keys, _ORDER)


def appended(text: str, sequence: yaml.SequenceNode, entries: Sequence[Mapping[str, Any]]) -> list[Edit]:
    """The edit that adds entries after the last one. Raises `Tied`."""
    if not entries:
        return []
    indent = sequence.start_mark.column
    at = _line_end(text, _end(text, sequence))
    return [Edit(at, at, "\n" + "".join("\n" + endpoint_text(one, indent) for one in entries).rstrip("\n"))]


def _key_edits(text: str, node: yaml.MappingNode, changes: Mapping[str, Any], order: Sequence[str]) -> list[Edit]:
    there = {key.value: (key, value) for key, value in node.value}
    indent = node.start_mark.column
    edits = []
    for name, value in changes.items():
        if name not in there:
            if value is not GONE:
                edits.append(_insertion(text, node, name, key_text(name, value, indent), changes, order))
            continue
        key, old = there[name]
        start, end = key.start_mark.index, max(_end(text, old, after=key.end_mark.index), key.end_mark.index + 1)
        if value is GONE:
            edits.append(Edit(_line_start(text, start), min(_line_end(text, end) + 1, len(text)), ""))
        else:
            edits.append(Edit(start, end, key_text(name, value, indent).strip()))
    return edits


def _insertion(
    text: str, node: yaml.MappingNode, name: str, lines: str, changes: Mapping[str, Any], order: Sequence[str]
) -> Edit:
    """Puts a new key after the last of those that stand before it in `order` and stay."""
    staying = [(key, value) for key, value in node.value if changes.get(key.value) is not GONE]
    if not staying:
        at = _line_start(text, node.start_mark.index)
        return Edit(at, at, lines)
    before = order[: order.index(name)] if name in order else ()
    key, value = next((pair for pair in reversed(staying) if pair[0].value in before), staying[-1])
    at = _line_end(text, _end(text, value, after=key.end_mark.index))
    return Edit(at, at, "\n" + lines.rstrip("\n"))


def _value(node: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in node.value if key.value == name), None)


def _end(text: str, node: yaml.Node, after: int = 0) -> int:
    """Where a node's own text ends; the loader's marks of blocks reach to the next thing. Raises `Tied` for an alias."""
    if node.start_mark.index < after:
        raise Tied
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(last, tuple):
            return _end(text, last[1], last[0].end_mark.index)
        return _end(text, last, node.start_mark.index)
    end = node.end_mark.index
    while end > node.start_mark.index and text[end - 1] in " \t\n":
        end -= 1
    return end


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found
