"""What several commands share: words instead of a traceback, the catalog and the bot's database, tables, the check of its journal."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from base.settings import Misconfigured, environment
from base.visible import visible
from catalog.catalog import Catalog, load_catalog
from gate.connection_pools import check_certificates
from identity.checks import check_files
from store.journal.journal import ALWAYS, Head, Journal, Span, read_key
from store.store import Store

_WIDE = 1_000  # characters of a line that goes into a file or a pipe


class plain_errors:
    """Ends the program with a `Misconfigured`'s words instead of a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Misconfigured):
            click.echo(str(error), err=True)
            raise SystemExit(2)


def open_store(*, makes_key: bool = False) -> Store:
    """The bot's database, which has to be there. Raises `Misconfigured`."""
    given = environment()
    url = given.get("DATABASE_URL") or "sqlite:///bot.db"
    file = url.removeprefix("sqlite:///")
    if url.startswith("sqlite") and not Path(file).exists():
        raise Misconfigured(
            f"DATABASE_URL: there is no database at {file}; run this where the bot runs, with its settings."
        )
    read_key(given.get("JOURNAL_KEY"), file if url.startswith("sqlite") else None, make=makes_key)
    return Store(url, journal_key=given.get("JOURNAL_KEY") or None)


def read_catalog(path: str) -> Catalog:
    """The catalog that APIS_FILE names, with all files that it names in turn. Raises `Misconfigured`."""
    return catalog_of(text_of(path, "APIS_FILE"), path)


def catalog_of(text: str, path: str) -> Catalog:
    """The same of a text that was read from there."""
    catalog = load_catalog(text, environment(), source=path)
    check_named_files(catalog)
    return catalog


def check_named_files(catalog: Catalog) -> None:
    """Reads what the catalog names for its credentials and connections. Raises `Misconfigured`."""
    check_files(catalog)
    check_certificates(catalog)


def text_of(path: str, name: str) -> str:
    """A file's text. Raises `Misconfigured`, with the name of what named the file."""
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise Misconfigured(f"{name}: cannot read {path}: {error.strerror}.") from None
    except UnicodeError:
        raise Misconfigured(f"{name}: {path} is not UTF-8.") from None


def table_of(*columns: str, title: str | None = None) -> Table:
    """A table in which what is too wide for its column goes on in the next line: nothing is cut off."""
    table = Table(title=None if title is None else escape(title), title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def show(table: Table) -> None:
    """A table in the terminal's width; where nobody sees one, in the width that it takes."""
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def on_terminal(text: object) -> str:
    """Text of people, the model or the API as a terminal may have it: no markup of ours, no escape sequence of theirs."""
    return escape(visible(str(text)))


def verify(chain: Journal, head: str | None = None, span: Span = ALWAYS) -> int:
    """Checks the chain, or the part of it that was written within a span; tells the outcome, gives the exit code."""
    part = chain.numbers(span) if span != ALWAYS else None
    if span != ALWAYS and part is None:
        click.echo("No entry was written within that time.")
        return 0
    broken, last_hash, number = chain.verify(part)
    first = part[0] if part is not None else chain.first()
    if first > 1:
        what = "Entries before it" if part is not None else "The chain under this key begins there; entries before it"
        click.echo(f"Checked from entry {first} on. {what} were not checked.")
    if broken is not None:
        click.echo(
            f"The journal is broken at entry {broken}: it was changed, removed, or written with another key. {broken - 1} are intact."
            if part is None
            else f"The journal is broken at entry {broken}: it was changed, removed, or written with another key."
        )
        return 1
    if span.until is not None:
        click.echo(f"Entries {first} to {number}, the chain is intact. Entries after it were not checked.")
        return 0
    return _verify_end(chain, head, number, last_hash)


def _verify_end(chain: Journal, head: str | None, number: int, last_hash: str) -> int:
    """Checks that nothing was cut off at the end."""
    if (missing := chain.missing()) is not None:
        click.echo(f"The journal's {number} entries are intact, but there must have been more. {missing}")
        return 1
    if head is not None and not re.fullmatch(r"\d+:[0-9a-f]{64}", head):
        click.echo(
            f"The journal's {number} entries are intact, but --head cannot be read: write it as the log has it, NUMBER:HASH."
        )
        return 1
    if head is not None and not chain.has(_head(head)):
        click.echo(
            f"The journal's {number} entries are intact, but {head} is not among them: the tail was cut off or rewritten."
        )
        return 1
    click.echo(f"{number} entries, the chain is intact. Head: {number}:{last_hash}")
    return 0


def _head(text: str) -> Head:
    number, _, hash_ = text.partition(":")
    return Head(int(number), hash_)
