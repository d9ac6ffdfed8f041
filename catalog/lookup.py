"""From a name to an id: which items of a list a person's words mean. The list is read elsewhere; what is found is told, never guessed.

Texts are equal without regard to case, width and blanks (Unicode casefold over NFKC); nothing fits by half.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from base import words
from base.jmespath_bounded import BadQuery, search
from base.visible import middle
from catalog.catalog import Lookup

_SHOWN = 200  # characters of one field
_SPELLINGS = 20  # texts of one field: somebody's addresses, say
_LONGEST = 1_000  # characters of a text that is a name; to bring a longer one into its plain form may take minutes


class Unclear(Exception):
    """A name that is not the name of exactly one thing. `text` is the call's result; `outcome` says why in a word or two."""

    def __init__(self, text: str, outcome: str) -> None:
        super().__init__(outcome)
        self.text = text
        self.outcome = outcome


@dataclass(frozen=True)
class Candidate:
    """An item that fits: its id as a URL takes it. `by_id`: that very id was asked for."""

    id: str
    item: Any
    by_id: bool = False


def candidates(lookup: Lookup, items: Iterable[Any], value: str) -> list[Candidate]:
    """The items that `value` means: the one with that very id, else all with an equal field, or with fields that make it when joined by
    a blank in the catalog's order ("Ann Lee"). An item that stands in the list twice counts once."""
    wanted = _plain(value)
    found: dict[str, Candidate] = {}
    for item in items:
        key = _text(_find(lookup.id, item))
        if key is None:
            continue
        if key == value:
            return [Candidate(key, item, by_id=True)]
        if _makes(wanted, [_names(_find(name, item)) for name in lookup.match]):
            found.setdefault(key, Candidate(key, item))
    return list(found.values())


def fields_of(lookup: Lookup, item: Any) -> dict[str, str]:
    """The fields that are compared, as text to be told, by their names in the catalog."""
    found = {name: ", ".join(_texts(_find(name, item))) for name in lookup.match}
    return {name: middle(text, _SHOWN) for name, text in found.items() if text}


@dataclass(frozen=True)
class Matched:
    """What was looked up: the value that the model gave under a name, the id that it means, and the fields that led to it."""

    name: str
    value: str = ""
    id: str = ""
    fields: tuple[str, ...] = ()
    is_hidden: bool = False  # the catalog hides all of it

    @property
    def line(self) -> str:
        """For the model, on one line: `user_id: Ann Lee (ann@example.com) is 7`."""
        if self.is_hidden:
            return f"{self.name}: {words.HIDDEN_MATCH}"
        more = f" ({' '.join(self.fields)})" if self.fields else ""
        return " ".join(f"{self.name}: {self.value}{more} is {self.id}".split())


def matched(name: str, value: str, key: str, fields: Iterable[str]) -> Matched:
    """What was looked up; of the fields those that the value does not say already."""
    said = f" {_plain(value)} "
    return Matched(name, value, key, tuple(text for text in fields if f" {_plain(text)} " not in said))


def _makes(rest: str, fields: Sequence[set[str]]) -> bool:
    """Whether some of the fields, in their order and joined by blanks, are `rest`."""
    for number, texts in enumerate(fields, start=1):
        for text in texts:
            if text and text == rest:
                return True
            if text and rest.startswith(f"{text} ") and _makes(rest[len(text) + 1 :], fields[number:]):
                return True
    return False


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def _names(found: Any) -> set[str]:
    """The texts of a field that may be a name, as they are compared."""
    return {_plain(text) for text in _texts(found) if len(text) <= _LONGEST}


def _find(expression: str, item: Any) -> Any:
    try:
        return search(expression, item)
    except BadQuery:
        return None


def _texts(found: Any) -> Iterator[str]:
    """A field as the texts that it can be known by: itself, or the first of its list."""
    for one in found[:_SPELLINGS] if isinstance(found, list) else [found]:
        text = _text(one)
        if text is not None:
            yield text


def _text(found: Any) -> str | None:
    match found:
        case str() if found.strip():
            return found
        case int() if not isinstance(found, bool):
            return str(found)
    return None
