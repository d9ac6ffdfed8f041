"""What to write where a text is no YAML: the libraries' words say what their scanner missed, not what an author has to change."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

_RESERVED = "@`%"
_OPEN = {"[": "]", "{": "}"}
# The beginning of a comment that was meant as a text, such as an unquoted #channel.
COMMENT = re.compile(r"(?:(?<=[\s\[{,:-])|^)#[^\s#,\]}:]+")


def hint(text: str, error: yaml.MarkedYAMLError) -> str:
    """What to write instead, for the parser's complaint about `text`; its own words where nothing better is known."""
    at = error.problem_mark or error.context_mark
    words = str(error.problem or error.context)
    if at is None:
        return words
    place = _Place(text, at.index, error.context_mark.index if error.context_mark else at.index, words)
    return next((told for look in _LOOKS if (told := look(place))), words)


class _Place:
    """Where the parser stopped, and where what it was reading began."""

    def __init__(self, text: str, index: int, begin: int, words: str) -> None:
        self.words = words
        self.between = text[begin:index]
        self.opening = text[begin : begin + 1]
        self.opening_line = text.count("\n", 0, begin) + 1
        self.character = text[index : index + 1]
        start, end = text.rfind("\n", 0, index) + 1, text.find("\n", index)
        self.before = text[start:index]
        self.after = text[index : end if end >= 0 else len(text)]
        self.line_above = text[:start].rstrip("\n").rpartition("\n")[2]

    @property
    def word(self) -> str:
        """The text around the place, as far as its author may have meant it as one."""
        left = re.search(r"[^\s,\"']*$", self.before)
        right = re.match(r"[\[{]?[^\s,\[\]{}]*[\]}]?[^\s,\[\]{}]*", self.after)
        return (left[0] if left else "") + (right[0] if right else "")


def _reserved(place: _Place) -> str:
    found = re.match(rf"[{_RESERVED}][^\s,\]}}]*", place.after)
    return f"YAML reserves '{place.character}'; put the text in quotes: \"{found[0]}\"" if found else ""


def _tab(place: _Place) -> str:
    return "it contains a tab; indent with spaces" if place.character == "\t" else ""


def _alias(place: _Place) -> str:
    mark = next((mark for mark in ("*", "&") if place.between.startswith(mark)), "")
    return f"'{mark}' has a special meaning in YAML; put the text in quotes" if mark else ""


def _comment(place: _Place) -> str:
    before = place.between[1:] if place.opening in _OPEN else place.line_above if "node content" in place.words else ""
    found = COMMENT.search(before)
    return f"'{found[0]}' begins a comment; put it in quotes: \"{found[0]}\"" if found else ""


def _unclosed(place: _Place) -> str:
    if place.opening in ("'", '"') or (place.opening in _OPEN and "\n" in place.between):
        return f"the {place.opening} of line {place.opening_line} is not closed"
    return ""


def _bracket(place: _Place) -> str:
    if place.opening in _OPEN and place.character in _OPEN:
        return f'within {{ }} and [ ] a text that contains a bracket needs quotes: "{place.word}"'
    return ""


def _colon(place: _Place) -> str:
    if place.character != ":":
        return ""
    if re.search(r":\s", place.before):
        return "a text with ': ' in it needs quotes"
    if found := re.fullmatch(r"\s*-?\s*([\w-]+:)\S.*", place.line_above):
        return f"write a space after '{found[1]}' in the line above"
    return "indent the line like its neighbours, or write key: value into the line above"


def _behind(place: _Place) -> str:
    """Something follows what was ended already."""
    if "expected key" not in place.words and "'-' indicator" not in place.words:
        return ""
    before = place.before.rstrip()
    if before.endswith(("]", "}")):
        return f'a text that begins with a bracket needs quotes: "{_value(place)}"'
    if before.endswith(("'", '"')):
        return "the quotes end before the text does; write '' for an apostrophe between single quotes"
    return "indent the line like its neighbours"


def _value(place: _Place) -> str:
    return (place.before + place.after).partition(": ")[2].strip()


_SAID = {
    "nest": "it is nested too deeply",
    "unknown escape": "between double quotes a backslash is \\\\; single quotes take it as it is",
    "expected comment or line break": "after | and > the text begins on the next line; a text that contains them needs quotes",
    "sequence entries are not allowed": "begin the list on a line of its own",
}


def _said(place: _Place) -> str:
    return next((told for words, told in _SAID.items() if words in place.words), "")


_LOOKS: tuple[Callable[[_Place], str], ...] = (
    _said,
    _reserved,
    _tab,
    _alias,
    _comment,
    _unclosed,
    _bracket,
    _colon,
    _behind,
)
