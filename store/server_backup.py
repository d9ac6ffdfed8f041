"""A database on PostgreSQL, by the server's own programs: pg_dump and pg_restore, where they are installed.

A restore is one transaction: a process that is killed in its middle leaves what was there before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from base.settings import Misconfigured
from store.backup import IS_RUNNING
from store.engine import make_engine, unusable_by, url_with_sessions
from store.files import whole
from store.holds import beating
from store.process_lock import ServerLock
from store.restored import BACKUP, mark
from store.tables import journal_head

_MAGIC = b"PGDMP"
_LINES = 3  # of what a program says that failed
_ABSENT = (
    "{program} is not installed here. Install PostgreSQL's client programs (in the version of the server or newer), or use your server's "
    "own backups; once such a one was put back, run `python bot.py restore --by-hand`."
)
_POOLED = (
    "DATABASE_URL points to a pooler (PgBouncer), through which pg_dump and pg_restore do not work. Set DATABASE_LISTEN_URL to an address "
    "of the server itself, or of a pooler with pool_mode = session."
)


def url_for_programs(url: str, listen_url: str | None) -> URL:
    """Where the server's programs find the database: at DATABASE_LISTEN_URL, if that is set. They prepare a session and count on it; a
    pooler may give them another one in the middle, and the prepared one, in which no table is found by its name alone, to the bot.
    Raises `Misconfigured`."""
    where = url_with_sessions(url, listen_url)
    if not listen_url and _is_pooled(where):
        raise Misconfigured(_POOLED)
    return where


def _is_pooled(where: URL) -> bool:
    """Whether a pooler stands before the server: its connections bear numbers of its own."""
    engine = make_engine(where)
    try:
        with engine.connect() as db:
            made = db.connection.driver_connection
            assert made is not None
            return bool(made.info.backend_pid != db.scalar(text("select pg_backend_pid()")))
    except DBAPIError as error:
        raise unusable_by(where, error) from None
    finally:
        engine.dispose()


def back_up(url: str, goal: Path, *, listen_url: str | None = None) -> None:
    """Writes a dump. Raises `Misconfigured`."""
    where = url_for_programs(url, listen_url)
    program = _program("pg_dump")
    with whole(goal) as half:
        _run(
            program,
            where,
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            f"--exclude-table={BACKUP}",
            f"--file={half}",
        )


def restore(file: Path, url: str, *, force: bool, listen_url: str | None = None) -> None:
    """Puts a dump into a database, which has to be empty unless `force`. Raises `Misconfigured`, and then nothing was changed."""
    _check(file)
    where = url_for_programs(url, listen_url)
    program, engine = _program("pg_restore"), make_engine(where)
    lock = ServerLock(engine)
    try:
        with closing(lock):
            if not lock.take() or is_worked_on(engine):
                raise Misconfigured(IS_RUNNING)
            is_there, was_marked = (inspect(engine).has_table(name) for name in ("migrations", BACKUP))
            if is_there and not force:
                raise Misconfigured(
                    "DATABASE_URL: there is already a bot's database. With --force the backup replaces it, and nothing of it is kept: "
                    "back it up first."
                )
            with engine.begin() as db:
                mark(
                    db, _head(db) if is_there else None
                )  # first: whatever ends this, no bot goes on with what comes now as if it were its own
            try:
                _run(
                    program,
                    where,
                    "--single-transaction",
                    "--clean",
                    "--if-exists",
                    "--no-owner",
                    "--no-privileges",
                    str(file),
                )
            except Misconfigured:
                with engine.begin() as db:
                    if not was_marked:
                        db.execute(text(f"drop table {BACKUP}"))
                raise
    except DBAPIError as error:
        raise unusable_by(where, error) from None
    finally:
        engine.dispose()


def _head(db: Connection) -> str | None:
    """The journal's head of a database that is to be replaced."""
    if not inspect(db).has_table("journal_head"):
        return None
    row = db.execute(select(journal_head.c.number, journal_head.c.hash)).first()
    return f"{row.number}:{row.hash}" if row is not None else None


def is_worked_on(engine: Engine) -> bool:
    """Whether processes that share a server's database give signs of life. (None begins while this one has the lock of 0.1.0.)"""
    if not inspect(engine).has_table("replicas"):
        return False
    with engine.connect() as db:
        return beating(db) > 0


def _check(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(_MAGIC))
    except OSError as error:
        raise Misconfigured(f"Cannot read {file}: {error.strerror}.") from None
    if begin != _MAGIC:
        raise Misconfigured(f"{file} is not a backup of a PostgreSQL database: `python bot.py backup FILE` makes one.")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Misconfigured(_ABSENT.format(program=name))
    return found


def _run(program: str, where: URL, *options: str) -> None:
    """Runs one of the server's programs. The password goes by the environment, where `ps` does not show it."""
    plain = where.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    password = {"PGPASSWORD": str(where.password)} if where.password is not None else {}
    done = subprocess.run(  # noqa: S603 - the program is found by its name, the rest is ours
        [program, *options[:-1], f"--dbname={plain}", options[-1]],
        env={**os.environ, **password},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        name = Path(program).name
        lines = [line.strip().removeprefix(f"{name}: ") for line in done.stderr.strip().splitlines()[:_LINES]]
        said = "; ".join(lines).rstrip(".") or f"it ended with {done.returncode}"
        raise Misconfigured(f"{name}: {said}. Nothing was changed.")
