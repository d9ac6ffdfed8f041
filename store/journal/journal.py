"""The record of what happened, from question to HTTP status: append-only, each entry chained to the one before, in the store's database.

Entries are written inside the transaction of what they tell, so that neither can be without the other. What people wrote is not in
it, only its hash; the words lie with the turn and go with it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, text, true, update
from sqlalchemy import bindparam as given

from base.settings import Misconfigured
from base.utf8 import encodable
from store.journal.hash_chain import FIRST, ChainedEntry, JournalEntry, first_broken, is_signed, is_whole, link, sign
from store.tables import journal, journal_head

log = structlog.get_logger("journal")
# The number is that of the earlier versions' one lock: beside them in a rolling update, entries are written one after the other, too.
_LOCK_CHAIN = "select pg_advisory_xact_lock(7316045922)"
_KEY_FOR_SERVER = (
    "JOURNAL_KEY is not set. PostgreSQL requires it: set it to a secret of your own, for example what `openssl rand -hex 32` prints, "
    "and keep it. If an earlier version made one in the file journal-key of its working directory, use that."
)
BEGUN_ANEW = "begun anew"  # the kind of an entry with which a chain begins behind another
_PAGE = 1_000
_GONE = "the journal was emptied, truncated or swapped for another"
_ANEW = "`python bot.py journal --rekey` starts a new chain, which says so."
_NO_HEAD = "The journal's head is not in the database any more: somebody removed it."
_OTHER_KEY = (
    "JOURNAL_KEY does not match the journal: its head was signed with another key. Set that one (without JOURNAL_KEY it is in a file "
    f"beside the database); if it is lost, {_ANEW}"
)

_END = select(journal).order_by(journal.c.number.desc()).limit(2)
_GO_ON = insert(journal)
# Both in one trip to a server, where all who write entries wait for who is at it.
_GO_ON_AND_SET_HEAD = text(
    """with entries as (
         insert into journal (number, at, thread, turn, kind, data, hash)
         select * from unnest(cast(:number as int[]), cast(:at as float8[]), cast(:thread as text[]), cast(:turn as text[]),
                              cast(:kind as text[]), cast(:data as text[]), cast(:hash as text[])))
       update journal_head set number = :new_number, hash = :new_hash, signature = :new_signature"""
)
_HEAD = select(journal_head)
_SET_HEAD = update(journal_head).values(
    number=given("new_number"), hash=given("new_hash"), signature=given("new_signature")
)
_last = select(journal).order_by(journal.c.number.desc()).limit(1).subquery()
_HEAD_AND_END = select(journal_head, _last.c.number.label("last_number"), _last.c.hash.label("last_hash")).outerjoin(
    _last, true()
)  # in one statement: between two, others write
_LOCK_AT_HEAD = "; ".join((_LOCK_CHAIN, "select number, hash, signature from journal_head"))
_SENDS = select(journal.c.data).where(journal.c.turn == given("of"), journal.c.kind == "send")


class Head(NamedTuple):
    """The last entry of a chain."""

    number: int = 0
    hash: str = FIRST

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class Noted(NamedTuple):
    """What is to become an entry: when it happened (seconds since 1970), in which thread and turn, and what."""

    at: float
    thread: str
    turn: str
    entry: JournalEntry


class _HeadRow(NamedTuple):
    """The head as it stands in its table."""

    number: int
    hash: str
    signature: str


class Span(NamedTuple):
    """From a moment on, and before another (seconds since 1970); None: without that end."""

    since: float | None = None
    until: float | None = None


ALWAYS = Span()


def _within(span: Span) -> list[ColumnElement[bool]]:
    since, until = span
    return [
        *([journal.c.at >= since] if since is not None else []),
        *([journal.c.at < until] if until is not None else []),
    ]


class Journal:
    """The chain in one database. `key` is the HMAC key; `file` is where its head is kept beside the database, if anywhere.

    The head, signed, is in the database, too, and the next entry goes on from there: a journal that was emptied does not start over.
    """

    def __init__(self, engine: Engine, key: bytes, file: Path | None = None) -> None:
        self._engine = engine
        self._key = key
        self.file = file

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, db: Connection, noted: Sequence[Noted]) -> None:
        """Adds entries inside a running transaction, as the last that it does: see `lock`."""
        if not noted:
            return
        head, is_ours = self._locked_head(db)
        rows = []
        for one in noted:
            rows.append(self._row(head, one))
            head = Head(rows[-1]["number"], rows[-1]["hash"])
        signed = self._signed(head) | ({} if is_ours else {"new_signature": ""})
        if db.dialect.name == "postgresql":
            db.execute(_GO_ON_AND_SET_HEAD, signed | {name: [row[name] for row in rows] for name in rows[0]})
        else:
            db.execute(_GO_ON, rows)
            db.execute(_SET_HEAD, signed)

    @staticmethod
    def lock(db: Connection) -> None:
        """Holds off who would go on with the chain until the end of this transaction, which waits for nothing else from here on: so
        nobody who waits for the chain is waited for by who has it. On SQLite, BEGIN IMMEDIATE has done so."""
        if db.dialect.name == "postgresql":
            db.execute(text(_LOCK_CHAIN))

    def _locked_head(self, db: Connection) -> tuple[Head, bool]:
        """`lock`, and where the chain goes on then; on a server in one trip of two statements, since each sees what was there when it
        began."""
        if db.dialect.name != "postgresql":
            return self._head(db)
        found = db.exec_driver_sql(_LOCK_AT_HEAD, execution_options={"no_parameters": True})
        found.cursor.nextset()
        row = found.cursor.fetchone()
        found.close()
        return self._goes_on(db, None if row is None else _HeadRow(*row))

    def _row(self, head: Head, noted: Noted) -> dict[str, Any]:
        at, thread, turn, entry = noted
        written = json.dumps(entry.data, ensure_ascii=False, separators=(",", ":"))
        data = encodable(written)  # exactly what the database will give back
        number = head.number + 1
        hash_ = link(self._key, head.hash, number, at, thread, turn, entry.kind, data)
        row = {"number": number, "at": at, "thread": thread, "turn": turn, "kind": entry.kind, "data": data}
        return row | {"hash": hash_}

    def begin(self, db: Connection) -> None:
        """Puts a head where there has been none: for an empty journal, and one of an earlier version, if the key is its own."""
        last, before, *_ = [*(ChainedEntry(**row) for row in db.execute(_END).mappings()), None, None]
        if last is not None and not is_whole(self._key, before.hash if before is not None else FIRST, last):
            raise Misconfigured(_OTHER_KEY)
        self._put_head(db, Head(last.number, last.hash) if last is not None else Head())

    def catch_up(self, db: Connection) -> None:
        """Moves the head on to entries that follow it: an earlier version, which knew of no head, may have been at work until now."""
        self.lock(db)  # or another process would go on meanwhile, and be set back
        head, is_ours = self._head(db)
        broken, hash_, number = first_broken(self._key, self.lines(head.number), head.number + 1, head.hash)
        if is_ours and broken is None and number > head.number:
            self._put_head(db, Head(number, hash_))

    def begin_anew(self, db: Connection, at: float) -> Head:
        """Begins a new chain with this key behind whatever is there, and says so in its first entry. Gives that."""
        self.lock(db)
        row = db.execute(_HEAD).mappings().first()
        last = db.execute(_END).mappings().first()
        old = max([Head(one["number"], one["hash"]) for one in (row, last) if one is not None], default=Head())
        told = {"after": {"number": old.number, "hash": old.hash}}
        first = self._row(Head(old.number, FIRST), Noted(at, "", "", JournalEntry(BEGUN_ANEW, told)))
        db.execute(_GO_ON, [first])
        self._put_head(db, Head(first["number"], first["hash"]))
        return Head(first["number"], first["hash"])

    def _put_head(self, db: Connection, head: Head) -> None:
        signed = self._signed(head)
        db.execute(delete(journal_head))
        row = {"one": 1, "number": head.number, "hash": head.hash, "signature": signed["new_signature"]}
        db.execute(insert(journal_head), row)

    def _signed(self, head: Head) -> dict[str, Any]:
        return {"new_number": head.number, "new_hash": head.hash, "new_signature": self.sign("head", str(head))}

    def _head(self, db: Connection) -> tuple[Head, bool]:
        """Where the chain goes on: behind its head, or where that was removed, behind the last entry; and whether the head is ours.
        One that somebody else put there is not signed again."""
        row = db.execute(_HEAD).first()
        return self._goes_on(db, None if row is None else _HeadRow(row.number, row.hash, row.signature))

    def _goes_on(self, db: Connection, row: _HeadRow | None) -> tuple[Head, bool]:
        found = row or db.execute(_END).first()
        head = Head(found.number, found.hash) if found is not None else Head()
        return head, row is not None and self.is_signed(row.signature, "head", str(head))

    def keep_head(self) -> Head:
        """Writes the head into its file beside the database. Gives it, for the log."""
        with self._engine.connect() as db:
            head, is_ours = self._head(db)
        if self.file is not None and is_ours:
            try:
                _write(self.file, f"{head}:{self.sign('head', str(head))}\n")
            except OSError as error:
                log.warning("the journal's head is not kept", file=str(self.file), error=error.strerror)
        return head

    # --- reading ------------------------------------------------------------------------------------------------------

    def lines(self, after: int = 0, span: Span = ALWAYS, **where: str) -> Iterator[ChainedEntry]:
        """The entries in order, page by page, behind the one of number `after`; `where` filters by thread, turn or kind."""
        while True:
            query = select(journal).where(
                journal.c.number > after, *_within(span), *(journal.c[name] == value for name, value in where.items())
            )
            with self._engine.connect() as db:
                rows = db.execute(query.order_by(journal.c.number).limit(_PAGE)).mappings().all()
            yield from (ChainedEntry(**row) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1]["number"]

    def head(self) -> Head:
        """The last entry. Logged now and then, so that a tail that was cut off shows."""
        with self._engine.connect() as db:
            return self._head(db)[0]

    def has_sent(self, db: Connection, turn: str, proposal: str) -> bool:
        """Whether the journal tells that a proposal was sent before."""
        return any(proposal in str(data) for data in db.scalars(_SENDS, {"of": turn}))

    # --- checking -----------------------------------------------------------------------------------------------------

    def sign(self, what: str, *content: object) -> str:
        """A signature under the journal's key."""
        return sign(self._key, what, *content)

    def is_signed(self, signature: object, what: str, *content: object) -> bool:
        """Whether something was signed under the journal's key."""
        return is_signed(self._key, signature, what, *content)

    def check_key(self) -> None:
        """Raises `Misconfigured` where the head was not signed with this key."""
        with self._engine.connect() as db:
            row = db.execute(_HEAD).first()
        if row is None:
            raise Misconfigured(f"{_NO_HEAD} {_ANEW}")
        if not self.is_signed(row.signature, "head", f"{row.number}:{row.hash}"):
            raise Misconfigured(_OTHER_KEY)

    def first(self) -> int:
        """The number of the entry with which the chain under this key begins."""
        begun = [line.number for line in self.lines(kind=BEGUN_ANEW) if is_whole(self._key, FIRST, line)]
        return begun[-1] if begun else 1

    def verify(self, of: tuple[int, int] | None = None) -> tuple[int | None, str, int]:
        """(the first entry that is wrong or missing, or None; the hash of the last good one; its number). `of`: only from this number to
        that, as they go on from the one before."""
        if of is None:
            first = self.first()
            return first_broken(self._key, self.lines(after=first - 1), first)
        first, last = of
        with self._engine.connect() as db:
            before = db.scalar(select(journal.c.hash).where(journal.c.number == first - 1)) if first > 1 else FIRST
        lines = itertools.takewhile(lambda line: line.number <= last, self.lines(after=first - 1))
        broken, hash_, number = first_broken(self._key, lines, first, str(before))
        return (number + 1 if broken is None and number < last else broken), hash_, number

    def numbers(self, span: Span) -> tuple[int, int] | None:
        """The first and the last entry that were written within a span, and belong to the chain under this key; None where none was."""
        query = select(func.min(journal.c.number), func.max(journal.c.number))
        with self._engine.connect() as db:
            first, last = db.execute(query.where(*_within(span), journal.c.number >= self.first())).one()
        return None if first is None else (int(first), int(last))

    def missing(self) -> str | None:
        """What the heads that are kept say against the journal: that it was emptied, cut, or is another one. None: nothing."""
        with self._engine.connect() as db:
            row = db.execute(_HEAD_AND_END).first()
        if row is None:
            return _NO_HEAD
        if not self.is_signed(row.signature, "head", f"{row.number}:{row.hash}"):
            return "The head in the database was not signed with this key, or was altered."
        last = Head(row.last_number, row.last_hash) if row.last_number is not None else Head()
        if last != Head(row.number, row.hash):
            return f"{row.number} entries were written, but the journal does not end with the last of them: {_GONE}."
        return self._missing_by_file() if self.file is not None else None

    def _missing_by_file(self) -> str | None:
        try:
            number, hash_, signature = (self.file or Path()).read_text("ascii").strip().split(":")
            head = Head(int(number), hash_)
        except (OSError, ValueError):
            return f"{self.file}, where the journal's head is kept beside the database, is missing or holds no head."
        if not self.is_signed(signature, "head", str(head)):
            return f"The head in {self.file} was not signed with this key, or was altered."
        if not self.has(head):
            return f"{self.file} names entry {number}, which is not in the journal: {_GONE}."
        return None

    def has(self, head: Head) -> bool:
        """Whether the journal has this entry."""
        if head.number == 0:
            return True
        with self._engine.connect() as db:
            return bool(db.scalar(select(journal.c.hash).where(journal.c.number == head.number)) == head.hash)


def read_key(given: str | None, database: str | None, *, make: bool = True) -> bytes:
    """The journal's key: the one given (JOURNAL_KEY), else the one in the file beside the database, made where there is none.

    `database` is SQLite's file; None stands for a server, beside which there is no place that outlives the process's machine. Raises
    `Misconfigured`.
    """
    if given:
        return given.encode()
    if database is None:
        raise Misconfigured(_KEY_FOR_SERVER)
    path = Path(f"{database}.journal-key")
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
                "Set it to a secret of your own, for example what `openssl rand -hex 32` prints, and keep it."
            ) from None
    key = path.read_text("ascii").strip()
    if not key:
        raise Misconfigured(f"{path} is empty; put the journal's key back, or set JOURNAL_KEY.")
    return key.encode()


def _write(path: Path, content: str) -> None:
    """Replaces a file's content: a crash leaves the old one or the new one."""
    handle, half = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(half, path)


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
