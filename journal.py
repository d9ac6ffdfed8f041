"""The record of what happened, from question to HTTP status: append-only, each entry chained to the one before, in the store's database.

Entries are written inside the transaction of what they tell, so that neither can be without the other. What people wrote is not in
it, only its hash; the words lie with the turn and go with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, select, text

from core.chain import FIRST, Entry, Line, first_broken, link
from core.settings import Misconfigured
from core.statements import CHAIN_HEAD, CHAIN_ON
from core.tables import journal

log = structlog.get_logger("journal")
# PostgreSQL: one writer of the chain at a time. The store takes the same lock before it admits a turn, and must: with locks of
# their own, one could hold a thread's row and wait for the chain while the other does the opposite.
CHAIN_LOCK = 7_316_045_922
_PAGE = 1_000


class Journal:
    """The chain in one database. `key` is the HMAC key."""

    def __init__(self, engine: Engine, key: bytes) -> None:
        self._engine = engine
        self._key = key

    def append(self, db: Connection, at: float, thread: str, turn: str, entries: Sequence[Entry]) -> None:
        """Adds entries inside a running transaction."""
        if not entries:
            return
        if db.dialect.name == "postgresql":  # SQLite's BEGIN IMMEDIATE holds the others off already
            db.execute(text("select pg_advisory_xact_lock(:number)"), {"number": CHAIN_LOCK})
        last = db.execute(CHAIN_HEAD).first()
        number, before = (last.number, last.hash) if last is not None else (0, FIRST)
        rows = []
        for entry in entries:
            number += 1
            written = json.dumps(entry.data, ensure_ascii=False, separators=(",", ":"))
            data = written.encode("utf-8", "replace").decode()  # exactly what the database will give back
            before = link(self._key, before, number, at, thread, turn, entry.kind, data)
            rows.append(
                {
                    "number": number,
                    "at": at,
                    "thread": thread,
                    "turn": turn,
                    "kind": entry.kind,
                    "data": data,
                    "hash": before,
                }
            )
        db.execute(CHAIN_ON, rows)

    def lines(self, **where: str) -> Iterator[Line]:
        """The entries in order, page by page; `where` filters by thread, turn or kind."""
        after = 0
        while True:
            query = select(journal).where(
                journal.c.number > after, *(journal.c[name] == value for name, value in where.items())
            )
            with self._engine.connect() as db:
                rows = db.execute(query.order_by(journal.c.number).limit(_PAGE)).mappings().all()
            yield from (Line(**row) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1]["number"]

    def head(self) -> tuple[int, str]:
        """The last entry's number and hash. Logged now and then, so that a tail that was cut off shows."""
        with self._engine.connect() as db:
            last = db.execute(CHAIN_HEAD).first()
        return (last.number, last.hash) if last is not None else (0, FIRST)

    def verify(self) -> tuple[int | None, str, int]:
        """(the first entry that is wrong or missing, or None; the hash of the last good one; its number)."""
        return first_broken(self._key, self.lines())


def read_key(given: str | None, database: str | None, *, make: bool = True) -> bytes:
    """The journal's key: the one given (JOURNAL_KEY), else the one in the file beside the database, made where there is none.

    `database` is SQLite's file; None (a server) puts the file into the working directory. Raises `Misconfigured`.
    """
    if given:
        return given.encode()
    path = Path(f"{database}.journal-key" if database else "journal-key")
    if not path.exists():
        if not make:
            raise Misconfigured(
                f"JOURNAL_KEY is not set and {path} does not exist: this is not the place where the bot runs."
            )
        try:
            _make_key(path)
        except OSError as error:
            raise Misconfigured(
                f"JOURNAL_KEY is not set, and {path} cannot be written ({error.strerror}). "
                "Set it to a secret of your own, such as what `openssl rand -hex 32` prints, and keep it."
            ) from None
    key = path.read_text("ascii").strip()
    if not key:
        raise Misconfigured(f"{path} is empty; put the journal's key back, or set JOURNAL_KEY.")
    return key.encode()


def _make_key(path: Path) -> None:
    """Writes a new key under another name and links it to its own: a crash leaves no half of one, and of two processes one wins."""
    handle, half = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(half, path)
        log.warning("made a key for the journal", file=str(path), hint="keep a copy elsewhere, or set JOURNAL_KEY")
    os.unlink(half)
