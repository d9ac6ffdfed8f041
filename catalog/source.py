"""The catalog's text with its lines: YAML in, and for a place in it the line that an author has to look at. What keys
mean is not this file's concern; what the words and numbers of YAML mean is that of documents.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml

from base.settings import Misconfigured
from catalog.documents import BadDocument, read_yaml, whole_characters
from catalog.yaml_hints import COMMENT

_KEY_IN_COMMENT = re.compile(r"\s*#[^\s#:]+:(?:\s|$)")  # a line such as `#random: {operations: [...]}`
_MAX_DEPTH = 200
_MAX_NODES = 1_000_000  # with every alias written out; a catalog of a thousand operations has some fifty thousand
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
_ENTRIES: dict[int | str, str] = {"endpoints": "endpoint", "recipes": "recipe", "steps": "step", "prompts": "prompt"}
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
)
Place = tuple[int | str, ...]  # keys and indexes from the top of the file


class BadCatalog(Misconfigured):
    """The catalog's mistakes, a line each."""


@dataclass(frozen=True)
class Source:
    """A file's text as YAML nodes, and its name as messages say it."""

    name: str
    root: yaml.Node
    text: str

    @classmethod
    def read(cls, text: str, name: str) -> tuple[Source, dict[Any, Any]]:
        """The text's nodes and its data. Raises `BadCatalog`."""
        text = whole_characters(text)
        try:
            data, twice = read_yaml(text, name)
        except BadDocument as error:
            raise BadCatalog(str(error)) from None
        for key, line in twice:
            raise BadCatalog(f"{name}, line {line}: duplicate key '{key}'; YAML would keep only the last one.")
        if data is None:
            raise BadCatalog(f"{name} is empty; write name, base_url and endpoints (README, 'The catalog').")
        if not isinstance(data, dict):
            raise BadCatalog(f"{name}: write a mapping with name, base_url and endpoints (README, 'The catalog').")
        root = _compose(text, name)
        nodes, levels = _unfolded(root, {})
        if nodes > _MAX_NODES or levels > _MAX_DEPTH:
            raise BadCatalog(f"{name}: its aliases (*name) multiply, or nest too deeply; use fewer.")
        return cls(name, root, text), data

    def line(self, place: Place) -> int:
        """The line of the deepest step of `place` that the file has."""
        return self._found(place)[0]

    def _found(self, place: Place) -> tuple[int, yaml.Node]:
        """The line and the node of the deepest step of `place` that the file has."""
        node = self.root
        line = node.start_mark.line + 1
        for step in place:
            match node:
                case yaml.MappingNode() if isinstance(step, int):
                    continue  # one rule written without a list
                case yaml.MappingNode():
                    # from the end: what `<<` merges stands before a mapping's own keys
                    found = next(((key, value) for key, value in reversed(node.value) if key.value == str(step)), None)
                    if found is None:
                        return line, node
                    line, node = found[0].start_mark.line + 1, found[1]
                case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
                    node = node.value[step]
                    line = node.start_mark.line + 1
                case _:
                    return line, node
        return line, node

    def mistake(self, place: Place, words: str) -> str:
        """A mistake as its author reads it: file, entry, line, and what to write instead."""
        where = ", ".join([*_entries(place), f"line {self.line(place)}"])
        told = words.rstrip(".") + self._comment(place)
        return f"{self.name}, {where}: {told}" + ("" if told.endswith("?") else ".")

    def _comment(self, place: Place) -> str:
        """What to do about a comment in place of the value, or of a channel's name: an unquoted #channel."""
        line, node = self._found(place)
        lines = self.text.splitlines()
        of_value = lines[line - 1 : line] if isinstance(node, yaml.ScalarNode) and not node.value else []
        of_channels = lines[self.line(place[:1]) : line + 1] if place[:1] == ("channels",) else []
        found = [COMMENT.search(one) for one in of_value]
        found += [COMMENT.search(one) for one in of_channels if _KEY_IN_COMMENT.match(one)]
        return next((f"; '{one[0]}' begins a comment, so put it in quotes" for one in found if one), "")


def _entries(place: Place) -> Iterator[str]:
    """The entries that a place lies in, as people count them: `recipe 1`, `step 2`."""
    for key, step in pairwise(place):
        if key in _ENTRIES and isinstance(step, int):
            yield f"{_ENTRIES[key]} {step + 1}"
    if place[:1] == ("channels",) and len(place) > 1:
        yield f"channel {place[1]}"


def _compose(text: str, name: str) -> yaml.Node:
    """The nodes of a text that was read already: so nothing in it is nested too deeply, and what is merged can be held."""
    root = yaml.compose(text, Loader=_Loader)
    assert root is not None, "it held a mapping"
    merger = yaml.constructor.SafeConstructor()
    for node in _nodes(root):
        if node.tag not in _TAGS:
            raise BadCatalog(
                f"{name}, line {node.start_mark.line + 1}: not valid YAML for a catalog: the tag '{node.tag}' has no meaning; remove it."
            )
        if isinstance(node, yaml.MappingNode):
            merger.flatten_mapping(node)
    return root


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node, each once, whatever aliases share."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        match node:
            case yaml.MappingNode():
                waiting += [one for pair in node.value for one in pair]
            case yaml.SequenceNode():
                waiting += node.value


def _unfolded(node: yaml.Node, done: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """(nodes, levels) of a node with every alias written out. One that stands inside of itself nests without end."""
    if id(node) not in done:
        done[id(node)] = (1, _MAX_DEPTH + 1)
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            below = [one for pair in node.value for one in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = list(node.value)
        found = [_unfolded(one, done) for one in below]
        done[id(node)] = (1 + sum(nodes for nodes, _ in found), 1 + max((levels for _, levels in found), default=0))
    return done[id(node)]
