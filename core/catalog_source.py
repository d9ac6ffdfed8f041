"""The catalog's text with its lines: YAML in, and for a place in it the line that an author has to look at. What keys mean is no
matter of this file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml

from core.settings import Misconfigured

_MAX_DEPTH = 200
_MAX_NODES = 1_000_000  # with every alias written out; a catalog of a thousand operations has some fifty thousand
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
_ENTRIES: dict[int | str, str] = {"endpoints": "endpoint", "recipes": "recipe", "steps": "step", "prompts": "prompt"}
Place = tuple[int | str, ...]  # keys and indexes from the top of the file


class BadCatalog(Misconfigured):
    """The catalog's mistakes, a line each."""


@dataclass(frozen=True)
class Source:
    """A file's text as YAML nodes, and its name as messages say it."""

    name: str
    root: yaml.Node

    @classmethod
    def read(cls, text: str, name: str) -> tuple[Source, dict[Any, Any]]:
        """The text's nodes and its data. Raises `BadCatalog`."""
        source = cls(name, _compose(text, name))
        nodes, levels = _unfolded(source.root, {})
        if nodes > _MAX_NODES or levels > _MAX_DEPTH:
            raise BadCatalog(f"{name}: its aliases (*name) multiply, or nest too deeply; write fewer of them.")
        for key, line in _twice(source.root):
            raise BadCatalog(
                f"{name}, line {line}: the key '{key}' stands twice here; YAML would keep only the last one."
            )
        try:
            data = yaml.constructor.SafeConstructor().construct_document(source.root)
        except yaml.YAMLError as error:
            raise BadCatalog(f"{name}: no valid YAML: {error}.") from None
        except (ValueError, AttributeError) as error:  # what looks like a number or a date and is none
            raise BadCatalog(
                f"{name}: no valid YAML: {error}; texts that look like numbers or dates go into quotes."
            ) from None
        if not isinstance(data, dict):
            raise BadCatalog(f"{name}: write a mapping with name, base_url and endpoints (README, 'The catalog').")
        return source, data

    def line(self, place: Place) -> int:
        """The line of the deepest step of `place` that the file has."""
        node = self.root
        line = node.start_mark.line + 1
        for step in place:
            match node:
                case yaml.MappingNode() if isinstance(step, int):
                    continue  # one rule written without a list
                case yaml.MappingNode():
                    # from the end: the constructor puts what `<<` merges before a mapping's own keys
                    found = next(((key, value) for key, value in reversed(node.value) if key.value == str(step)), None)
                    if found is None:
                        return line
                    line, node = found[0].start_mark.line + 1, found[1]
                case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
                    node = node.value[step]
                    line = node.start_mark.line + 1
                case _:
                    return line
        return line

    def mistake(self, place: Place, words: str) -> str:
        """A mistake as its author reads it: file, entry, line, and what to write instead."""
        where = ", ".join([*_entries(place), f"line {self.line(place)}"])
        return f"{self.name}, {where}: {words.rstrip('.')}."


def _entries(place: Place) -> Iterator[str]:
    """The entries that a place lies in, as people count them: `recipe 1`, `step 2`."""
    for key, step in pairwise(place):
        if key in _ENTRIES and isinstance(step, int):
            yield f"{_ENTRIES[key]} {step + 1}"
    if place[:1] == ("channels",) and len(place) > 1:
        yield f"channel {place[1]}"


def _compose(text: str, name: str) -> yaml.Node:
    try:
        _check_depth(text, name)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadCatalog(f"{name}, line {line}: no valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise BadCatalog(f"{name}: no valid YAML: {error}.") from None
    if root is None:
        raise BadCatalog(f"{name} is empty; write name, base_url and endpoints (README, 'The catalog').")
    return root


def _check_depth(text: str, name: str) -> None:
    """The loader in C follows nesting until the stack ends; its events come one by one."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise BadCatalog(f"{name}, line {line}: nested more than {_MAX_DEPTH} levels deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


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


def _twice(node: yaml.Node, seen: set[int] | None = None) -> Iterator[tuple[str, int]]:
    seen = set() if seen is None else seen
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    match node:
        case yaml.MappingNode():
            keys: set[object] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    yield key.value, key.start_mark.line + 1
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
                yield from _twice(value, seen)
        case yaml.SequenceNode():
            for value in node.value:
                yield from _twice(value, seen)
