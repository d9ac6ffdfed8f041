"""The commands backup and restore."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import click

from base.settings import Misconfigured, environment
from cli.shared import plain_errors, verify
from store import backup as files
from store import server_backup as servers
from store.database import NotNow
from store.engine import engine_url
from store.store import Store

_NEXT = (
    "Start the bot: it ends what was under way when the backup was made, tells the threads, and sends none of it again."
)
_NEXT_UNLESS_INTACT = "Find out first what happened to the journal, or restore an older backup. The bot would start with this one as well."


@click.command(short_help="Writes all that the bot keeps into one file, even while it runs.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(*, file: Path) -> None:
    """Writes all that the bot keeps into one file, even while it runs. An existing FILE is replaced once the new one is complete."""
    os.umask(0o077)
    with plain_errors():
        url, key = _database()
        if not _is_file(url):
            servers.back_up(url, file, listen_url=_listen_url())
            click.echo(
                f"Backed up to {file} ({file.stat().st_size:,} bytes). JOURNAL_KEY is not in it: keep that as well."
            )
            return
        kept = files.back_up(Path(str(engine_url(url).database)), file, key_is_given=bool(key))
    click.echo(f"Backed up to {file}: {kept.entries} entries of the journal, {kept.size:,} bytes.")
    if kept.has_key:
        click.echo("It contains the journal's key, so store it as you would a key.")
    else:
        click.echo("JOURNAL_KEY is not in it: keep that as well.")


@click.command(short_help="Restores a backup, with the bot stopped, and verifies its journal.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--force",
    is_flag=True,
    help="Replace an existing database. SQLite: it is kept under another name. PostgreSQL: it is not kept, so back it up first.",
)
@click.option(
    "--by-hand",
    is_flag=True,
    help="Without FILE: the database was restored by other means (a snapshot, pg_restore); the next start deals with it.",
)
def restore(*, file: Path | None, force: bool, by_hand: bool) -> None:
    """Restores a backup, with the bot stopped, and verifies its journal; exits 1 if that is not intact."""
    os.umask(0o077)
    if by_hand == (file is not None):
        raise click.UsageError("give either a FILE or --by-hand.")
    with plain_errors():
        url, key = _database()
        if file is None:
            code = _by_hand(url, key)
        elif _is_file(url):
            code = _restore_file(file, url, key, force=force)
        else:
            servers.restore(file, url, force=force, listen_url=_listen_url())
            code = _check(url, key)
            click.echo(f"Restored {file} to the database of DATABASE_URL.")
    click.echo(_NEXT if code == 0 else _NEXT_UNLESS_INTACT)
    raise SystemExit(code)


def _restore_file(file: Path, url: str, key: str | None, *, force: bool) -> int:
    codes: list[int] = []

    def check(database: Path, found: str | None) -> None:
        if not key and not found:
            raise Misconfigured(
                f"{file} was made where JOURNAL_KEY was set, and it is not set here. Set it to the same key."
            )
        codes.append(_check(f"sqlite:///{database}", key or str(found).strip()))

    goal = Path(str(engine_url(url).database))
    aside = files.restore(file, goal, check, force=force)
    click.echo(f"Restored {file} to {goal}.")
    if aside is not None:
        click.echo(f"What was there before is kept as {aside}; remove it when you no longer need it.")
    return codes[0]


def _by_hand(url: str, key: str | None) -> int:
    with closing(Store(url, journal_key=key)) as store:
        try:
            if not store.lock_at_once():
                raise NotNow
            store.mark_restored()
            store.journal.check_key()
        except NotNow:
            raise Misconfigured(files.IS_RUNNING) from None
        return verify(store.journal)


def _check(url: str, key: str | None) -> int:
    """Checks the journal of a database that was put back; raises `Misconfigured` where the key is not its own."""
    with closing(Store(url, journal_key=key)) as store:
        store.journal.check_key()
        return verify(store.journal)


def _database() -> tuple[str, str | None]:
    """DATABASE_URL and JOURNAL_KEY."""
    given = environment()
    return given.get("DATABASE_URL") or "sqlite:///bot.db", given.get("JOURNAL_KEY") or None


def _listen_url() -> str | None:
    """DATABASE_LISTEN_URL."""
    return environment().get("DATABASE_LISTEN_URL") or None


def _is_file(url: str) -> bool:
    return engine_url(url).get_backend_name() == "sqlite"
