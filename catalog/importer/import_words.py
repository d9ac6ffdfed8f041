"""What an import tells the person who started it, and what it writes at a new catalog's top."""

from __future__ import annotations

import re
from collections.abc import Iterator

from catalog.catalog import load_catalog
from catalog.importer.merge import Changes
from catalog.importer.openapi import Imported
from catalog.references import printable
from catalog.rules import SAFE_METHODS
from catalog.source import BadCatalog


def head(api: Imported, source: str, command: str, *, writes: bool) -> Iterator[str]:
    """The lines at a new catalog's top. `command` is what imports again."""
    yield f"What the bot may call of {api.title}, and nothing else. Imported from {source} ({api.kind})."
    yield ""
    if writes:
        yield "Reads and writes are on."
    else:
        yield "Reads are on. Writes came switched off (enabled: false): set enabled: true on those that people may ask for."
    yield "PUT, PATCH and DELETE wait for a person's click. A POST goes at once while nothing was read in its thread;"
    yield "approval: always makes it wait, too (docs/catalog.md, 'Approval')."
    yield "To import again, keeping what was changed here by hand (with this file's name for apis.yaml):"
    yield f"  {command}"


def hints(api: Imported) -> Iterator[str]:
    """The lines above the credentials."""
    if api.credentials.variables:
        yield f"Set {' and '.join(api.credentials.variables)} in the environment, or in a .env file where the bot is started."
    else:
        yield "The description does not say how the API knows who calls. If it wants to know, one of these:"
        yield f'  auth: {{bearer: "${{{api.prefix}_TOKEN}}"}}'
        yield f'  auth: {{header: {{name: X-Api-Key, value: "${{{api.prefix}_KEY}}"}}}}'


def remarks(api: Imported) -> Iterator[str]:
    """What was left out or changed, with its place in the description."""
    if api.notes:
        yield f"Remarks ({len(api.notes)}):"
        yield from (f"  {place}: {words}" for place, words in api.notes)


def summary(api: Imported, *, writes: bool) -> Iterator[str]:
    """What a first import did, and what is left to do."""
    reads = sum(entry["method"] in SAFE_METHODS for _, entry in api.endpoints)
    others = len(api.endpoints) - reads
    yield f"{api.name}: {reads} reads, {others} writes."
    if others and not writes:
        yield "The reads are on. The writes are switched off (enabled: false) until you allow each, or import with --writes."
    names = [*re.findall(r"\$\{(\w+)\}", api.base_url), *api.credentials.variables]
    if names:
        yield f"Before the start set {', '.join(names)}."


def news(changes: Changes, into: str, *, same: bool) -> Iterator[str]:
    """What an import into the file `into` changed."""
    told = {
        "New, on": changes.added,
        "New writes, switched off until you set enabled: true": changes.added_off,
        "Changed in the description, and so here": changes.updated,
        "Changed in the description, but here by hand, so left as they are": changes.kept,
        "Not in the description any more, so switched off": changes.gone,
        "In the description again": changes.back,
        "Left as they are": changes.stuck,
    }
    for title, lines in told.items():
        if lines:
            yield f"{title} ({len(lines)}):"
            yield from (f"  {printable(line, 400)}" for line in lines)
    if changes.left_out:
        yield f"Removed by hand before, so left out again: {len(changes.left_out)}."
    yield f"{into} says what the description says; nothing changed." if same else f"{into} is written."


def mistakes(text: str) -> Iterator[str]:
    """What keeps the bot from starting with a catalog whose variables are set."""
    try:
        load_catalog(text, None, source="the catalog")
    except BadCatalog as error:
        yield "The bot cannot start with it yet:"
        yield from (f"  {line}" for line in str(error).splitlines())
