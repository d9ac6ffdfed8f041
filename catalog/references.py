"""Walking through a document, and after its `$ref`s into others: each value with the place where it is. Nothing raises for what is
written there.

A reference is a JSON pointer (RFC 6901) in a URI fragment; names of other documents are relative to the one that names them.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from base.json_pointer import at, fragment_steps, pointer_of
from base.written_numbers import as_text
from catalog.documents import BadDocument

_MAX_HOPS = 32
_MAX_STEPS = 2_000_000  # values looked at in all; descriptions of 1,200 operations take 40,000 to 500,000
_MAX_NOTES = 2_000


@dataclass(frozen=True)
class Node:
    """A value of a document, whatever its type, and where it stands. `document` is empty for the one that was asked for.

    `value` is what is written there, perhaps a `$ref`; who looks inside a node looks inside of what its `$ref` leads to.
    """

    value: Any
    steps: tuple[str, ...] = ()
    document: str = ""
    among: Documents | None = field(default=None, repr=False, compare=False)

    @property
    def target(self) -> Node:
        """What its `$ref` leads to, else the node itself."""
        is_reference = isinstance(self.value, dict) and isinstance(self.value.get("$ref"), str)
        return self.among.follow(self) if is_reference and self.among is not None else self

    def holding(self, value: Any) -> Node:
        """Another value at the same place."""
        return replace(self, value=value)

    def get(self, key: str) -> Node:
        """What stands under `key`; a Node of None where there is nothing, or this is no mapping."""
        at = self.target
        value = at.value.get(key) if isinstance(at.value, dict) else None
        return Node(value, (*at.steps, key), at.document, at.among)

    def items(self) -> Iterator[tuple[str, Node]]:
        """A mapping's entries, vendor extensions left out; nothing for what is no mapping."""
        at = self.target
        for key in at.value if isinstance(at.value, dict) else ():
            if not key.startswith("x-"):
                yield key, Node(at.value[key], (*at.steps, key), at.document, at.among)

    def each(self) -> Iterator[Node]:
        """A list's entries; nothing for what is no list."""
        at = self.target
        for index, value in enumerate(at.value if isinstance(at.value, list) else ()):
            yield Node(value, (*at.steps, str(index)), at.document, at.among)

    def text(self, key: str) -> str:
        """The text under `key`, a number's as it was written; an empty one where there is none."""
        value = as_text(self.get(key).target.value)
        return value.strip() if isinstance(value, str) else ""

    def is_set(self, key: str) -> bool:
        """Whether `key` says true."""
        return self.get(key).value is True

    @property
    def place(self) -> str:
        """The JSON pointer, such as `#/paths/~1users/get`, after the document's name where it is another one."""
        return f"{self.document}#{pointer_of(self.steps)}"


@dataclass
class Notes:
    """What the import left out or changed: (place, words), each once; and how much was lost, by its kind."""

    lines: dict[tuple[str, str], None] = field(default_factory=dict)
    more: int = 0  # that were not kept
    lost: Counter[str] = field(default_factory=Counter)
    shortened: int = 0  # bodies of which inner fields are told by name alone

    def add(self, node: Node, words: str, *, lost: str = "") -> None:
        """`lost` is the kind of thing that is missing now, such as `operations`; nothing where all of it was taken over."""
        line = (printable(node.place, 200), printable(words, 8_000))
        is_new = line not in self.lines
        self.lost += Counter([lost] if lost and is_new else [])
        if len(self.lines) < _MAX_NOTES or not is_new:
            self.lines[line] = None
        else:
            self.more += 1


def printable(text: str, limit: int) -> str:
    """Foreign text for a terminal and a comment: one line, nothing invisible, at most `limit` characters."""
    text = " ".join(text.split())
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


class Documents:
    """The documents of one description, and the notes of reading them. `read` gives the one of a name, relative to the root document's
    folder, or None where there is none; it is asked once for each name that a `$ref` leads to."""

    def __init__(self, root: Any, read: Callable[[str], Any] | None = None, notes: Notes | None = None) -> None:
        self.root = Node(root, among=self)
        self.notes = notes or Notes()
        self._left = _MAX_STEPS
        self._read = read or (lambda _: None)
        self._others: dict[str, Any] = {}

    def follow(self, node: Node) -> Node:
        """The value that a node's `$ref`s lead to, or the node itself; a Node of None, and a note, where they lead nowhere."""
        self.step()
        at = node
        for _ in range(_MAX_HOPS):
            if not isinstance(at.value, dict) or "$ref" not in at.value:
                return at
            ref = at.value["$ref"]
            goal = self._goal(at, ref) if isinstance(ref, str) else None
            if goal is None:
                self.notes.add(at, f"$ref '{str(ref)[:120]}' does not resolve; it is left out", lost="references")
                return at.holding(None)
            at = goal
        self.notes.add(node, "its $ref is circular; it is left out", lost="references")
        return node.holding(None)

    def step(self, count: int = 1) -> None:
        """Counts looks at values. Raises `BadDocument` where there were too many."""
        self._left -= count
        if self._left < 0:
            raise BadDocument(
                "The description is too large, or its aliases and references multiply. Import a part of it, with --only or --tag."
            )

    def _goal(self, node: Node, ref: str) -> Node | None:
        name, _, fragment = ref.partition("#")
        document = join(node.document, name) if name else node.document
        root = self._document(document)
        try:
            steps = fragment_steps(fragment)
            return None if root is None else Node(at(root, steps), steps, document, self)
        except (ValueError, LookupError):
            return None

    def _document(self, name: str) -> Any:
        if name and name not in self._others:
            self._others[name] = self._read(name)
        return self._others[name] if name else self.root.value


def join(document: str, name: str) -> str:
    """The name, relative to the root document's folder, of a document that `document` calls `name`."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|/", name):
        return name
    return posixpath.normpath(posixpath.join(posixpath.dirname(document), unquote(name)))
