"""What an import tells the person who started it, and what it writes at a new catalog's top."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from catalog.catalog import load_catalog
from catalog.importer.merge import Changes
from catalog.importer.openapi import OFF, Imported, shape
from catalog.references import printable
from catalog.rules import SAFE_METHODS
from catalog.source import BadCatalog


def head(api: Imported, source: str, command: str, *, writes: bool) -> Iterator[str]:
    """The lines at a new catalog's top. `command` is what imports again."""
    yield f"What the bot may call of {api.title}, and nothing else. Imported from {source} ({api.kind})."
    yield ""
    acting = sum(entry.get("enabled") is False for _, entry in api.endpoints)
    seem = "seems" if acting == 1 else "seem"
    but = (
        f", but for {acting} (enabled: false) that {seem} to change something or to carry other calls" if acting else ""
    )
    if writes:
        yield f"Reads and writes are on{but}."
    else:
        yield f"Reads are on{but}."
        yield "Writes are switched off (enabled: false): set enabled: true on those that people may ask for."
    yield "PUT, PATCH and DELETE wait for a person's click. A POST goes at once while nothing was read in its thread;"
    yield "approval: always makes it wait, too (docs/catalog.md, 'Approval')."
    yield "To import again, keeping what was changed here by hand (with this file's name for apis.yaml):"
    yield f"  {command}"


def hints(api: Imported) -> Iterator[str]:
    """The lines above the credentials."""
    if api.credentials.variables:
        yield f"Set {' and '.join(api.credentials.variables)} in the environment, or in a .env file where the bot is started."
    else:
        yield "The description does not say how the API knows who calls. If it needs to, use one of these:"
        yield f'  auth: {{bearer: "${{{api.prefix}_TOKEN}}"}}'
        yield f'  auth: {{header: {{name: X-Api-Key, value: "${{{api.prefix}_KEY}}"}}}}'


_MUCH = 0.1  # of the operations: from this part on an import says first that much was lost
_LISTED = 20  # remarks of one kind that are named
# What differs between remarks of one kind: what they quote, name and count.
_OPERATION = r"(?:GET|HEAD|POST|PUT|PATCH|DELETE) /\S*"
_OWN = re.compile(rf"'[^']*'|\b{_OPERATION}|\{{[^{{}}]*\}}|[0-9][0-9,]*")


def losses(api: Imported) -> Iterator[str]:
    """How much of the description is not in the catalog; nothing where all of it is."""
    lost, asked = api.losses.lost, max(api.losses.asked, 1)
    is_much = sum(lost.values()) + api.losses.wordless > _MUCH * asked
    kinds = [
        f"{count:,} {several if count > 1 else one}"
        for several, one in _KINDS.items()
        if (count := lost.get(several, 0))
    ]
    if kinds:
        much = "Much of the description was lost. " if is_much else ""
        yield f"{much}Left out, of {api.losses.asked:,} operations: {', '.join(kinds)}. See the remarks."
    if count := api.losses.shortened:
        yield f"Too long to describe in full, so inner fields have only their names: {count:,} bod{'y' if count == 1 else 'ies'}."
    if api.losses.wordless > _MUCH * asked:
        yield (
            f"Of {api.losses.wordless:,} of {api.losses.asked:,} operations only method and path were found: no description, no "
            "parameters, no body. If there is more in the document, bundle it into one file."
        )


_KINDS = {
    "operations": "operation",
    "bodies": "body",
    "parameters": "parameter",
    "references": "reference",
    "documents": "document",
}


def remarks(api: Imported, allowed: Iterable[str] = ()) -> Iterator[str]:
    """What was left out or changed, with its place in the description; those of one kind once, with a count and where they are. Nothing
    of the operations that are switched off for what they do, where the catalog has them on: `allowed`."""
    known = {_shape(name) for name in allowed}
    notes = [(place, words) for place, words in api.notes if not (OFF in words and _shape(words) in known)]
    kinds: dict[str, list[tuple[str, str]]] = {}
    for place, words in notes:
        kinds.setdefault(_OWN.sub("", words), []).append((place, words))
    if notes:
        yield (
            f"Remarks ({len(notes)}):"
            if len(kinds) == len(notes)
            else (f"Remarks ({len(notes)}, of {len(kinds)} kind{'s' if len(kinds) > 1 else ''}):")
        )
    for (place, words), *others in kinds.values():
        yield f"  {place}: {words}{_alike(others)}"


def _shape(words: str) -> str:
    """The operation that words begin with, as one that is written otherwise can be compared with it."""
    method, _, path = words.partition(" ")
    return shape(method, path.partition(" ")[0])


def _alike(others: list[tuple[str, str]]) -> str:
    """How many remarks more there are like one, and about what."""
    if not others:
        return ""
    named = [found[0] if (found := re.match(_OPERATION, words)) else place for place, words in others]
    more = f", and {len(named) - _LISTED:,} more" if len(named) > _LISTED else ""
    return f" ({len(others):,} more like it: {', '.join(named[:_LISTED])}{more})"


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def summary(api: Imported, *, writes: bool) -> Iterator[str]:
    """What a first import did, and what is left to do."""
    reads = [entry for _, entry in api.endpoints if entry["method"] in SAFE_METHODS]
    others = len(api.endpoints) - len(reads)
    acting = sum(entry.get("enabled") is False for entry in reads)
    off = f" ({acting} switched off, see the remarks)" if acting else ""
    yield f"{api.name}: {_many(len(reads), 'read')}{off}, {_many(others, 'write')}."
    if others and not writes:
        yield (
            f"The {'other ' if acting else ''}reads are on. The writes are switched off (enabled: false) until you allow each, or import "
            "with --writes."
        )
    names = [*re.findall(r"\$\{(\w+)\}", api.base_url), *api.credentials.variables]
    if names:
        yield f"Before the start set {', '.join(names)}."


def news(changes: Changes, into: str, *, same: bool) -> Iterator[str]:
    """What an import into the file `into` changed."""
    told = {
        "New, on": changes.added,
        "New writes, switched off until you set enabled: true": changes.added_off,
        "Changed in the description, and so here": changes.updated,
        "Changed in the description, but edited here by hand, so left as they are": changes.kept,
        "Not in the description any more, so switched off": changes.gone,
        "Reads that seem to change something, so switched off; set enabled: true on those that people may ask for": changes.acting,
        "On, as they were set here, though they seem to change something or carry other calls": changes.allowed,
        "In the description again": changes.back,
        "Left as they are": changes.stuck,
    }
    for title, lines in told.items():
        if lines:
            yield f"{title} ({len(lines)}):"
            yield from (f"  {printable(line, 400)}" for line in lines)
    if changes.left_out:
        yield f"Removed by hand before, so left out again: {len(changes.left_out)}."
    yield f"{into} matches the description; nothing changed." if same else f"{into} is written."


def mistakes(text: str) -> Iterator[str]:
    """What keeps the bot from starting with a catalog whose variables are set."""
    try:
        load_catalog(text, None, source="the catalog")
    except BadCatalog as error:
        yield "The bot cannot start with it yet:"
        yield from (f"  {line}" for line in str(error).splitlines())
