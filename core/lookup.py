"""From a name to an id: which items of a list a person's words mean. The list is read elsewhere; what is found is told, never guessed.

Texts are equal without regard to case, width and blanks (Unicode casefold over NFKC); nothing fits by half.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from core.catalog import Lookup
from core.jmes import BadQuery, search

_SHOWN = 200  # characters of one field
_SPELLINGS = 20  # texts of one field: somebody's addresses, say


@dataclass(frozen=True)
class Candidate:
    """An item that fits: its id as a URL takes it, and the texts of the fields that were compared, by their names in the catalog."""

    id: str
    fields: Mapping[str, str]
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
        fields = [(name, list(islice(_texts(_find(name, item)), _SPELLINGS))) for name in lookup.match]
        told = {name: ", ".join(texts)[:_SHOWN] for name, texts in fields if texts}
        if key == value:
            return [Candidate(key, told, by_id=True)]
        if _makes(wanted, [{_plain(one) for one in texts} for _, texts in fields]):
            found.setdefault(key, Candidate(key, told))
    return list(found.values())


def matched_line(name: str, value: str, one: Candidate) -> str:
    """What was matched, for the card: `user_id: Ann Lee (ann@example.com) is 7`."""
    said = f" {_plain(value)} "
    more = " ".join(text for text in one.fields.values() if f" {_plain(text)} " not in said)
    return f"{name}: {value}{f' ({more})' if more else ''} is {one.id}"


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


def _find(expression: str, item: Any) -> Any:
    try:
        return search(expression, item)
    except BadQuery:
        return None


def _texts(found: Any) -> Iterator[str]:
    """A field as the texts that it can be known by: itself, or those of its list."""
    for one in found if isinstance(found, list) else [found]:
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
