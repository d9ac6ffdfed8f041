"""What all of the store stands on: transactions, the holds that guard them, the one process that has the database, its journal.

Nothing here knows what is in the tables. The modules beside it, one per subject, build on `Database`; what one of them does in another's
transaction is a function that takes the `Transaction`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import Connection, Update, insert, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from base import metrics
from base.settings import Misconfigured
from store.engine import by_statement, engine_url, is_read_only, make_engine, unusable_by
from store.holds import DATABASE, Hold, Holds, Overtaken
from store.journal.hash_chain import JournalEntry
from store.journal.journal import Head, Journal, Noted, read_key
from store.process_lock import LOCK_NUMBER, FileLock, ProcessLock, ServerLock, wait_for
from store.tables import MIGRATIONS, SERIAL, catalogs
from store.write_lock import WriteLock
from workers.wakes import Nobody, Wakes, Work

log = structlog.get_logger("store")
_LOOK_AGAIN = 0.5  # seconds
_ALONE = text("select pg_advisory_xact_lock(7316045923)")  # any fixed number that others are unlikely to use
_LOCKED = text(
    """select 1 from pg_locks where locktype = 'advisory' and granted and mode = 'ExclusiveLock'
       and ((classid::bigint << 32) | objid::bigint) = :number
       and database = (select oid from pg_database where datname = current_database())"""
)


_BY_LOCK = "create index if not exists jobs_by_lock on procrastinate_jobs (lock) where status in ('todo', 'doing')"


def _make_queue(db: Connection) -> None:
    """Makes procrastinate's tables where there are none; and an index that they lack: who fetches a job looks for others with its lock,
    each time in all of them. With thirty thousand waiting that took most of a minute."""
    if db.scalar(text("select to_regclass('procrastinate_jobs')")) is None:
        from procrastinate.schema import SchemaManager  # costs half a second, which SQLite's users are spared

        made = db.connection.driver_connection
        assert made is not None
        made.execute(SchemaManager.get_schema())
    db.execute(text(_BY_LOCK))


_LATEST = select(catalogs.c.digest).order_by(catalogs.c.number.desc()).limit(1)


class CatalogOutdated(Exception):
    """There is a newer catalog, of another process on the same database or of this one: nothing is sent by the older."""


class NotNow(Exception):
    """This cannot happen in the state that something has; nothing was changed."""


@dataclass(frozen=True)
class Transaction:
    """One that writes. `woken`: the threads for which it leaves work, and which; those of `pinned` are this process's own. `lanes`: who
    asked in them, where that is known. `noted`: the entries that it adds to the journal; `at_the_end`: what is done after that."""

    db: Connection
    clock: Callable[[], float]
    process: str
    journal: Journal
    wakes: Wakes
    woken: dict[str, set[Work]] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    lanes: dict[str, str] = field(default_factory=dict)
    noted: list[Noted] = field(default_factory=list)
    at_the_end: list[Callable[[Connection], object]] = field(default_factory=list)

    @property
    def engine(self) -> str:
        """The engine's name: sqlite or postgresql."""
        return self.db.dialect.name

    def wake(self, thread: str, *work: Work, lane: str = "") -> bool:
        """Leaves work for a thread, to be heard of once it is on disk. Whether this process is the one that works on it."""
        if lane:
            self.lanes[thread] = lane
        if thread not in self.woken and self.wakes.pin(thread):
            self.pinned.add(thread)
        self.woken.setdefault(thread, set()).update(work)
        return thread in self.pinned

    def defer(self) -> None:
        """At the end: leaves to other processes what is theirs to do."""
        for thread, work in self.woken.items():
            if thread not in self.pinned:
                self.wakes.defer(self.db, [thread], work)

    def recorded(self) -> None:
        """It is over, and what it leaves is woken."""
        for thread, work in self.woken.items():
            self.wakes.recorded(thread, work, is_pinned=thread in self.pinned, lane=self.lanes.get(thread, ""))

    def note(self, thread: str, turn: str, entries: Sequence[JournalEntry]) -> None:
        """Adds entries to the journal."""
        now = self.clock()
        self.noted.extend(Noted(now, thread, turn, entry) for entry in entries)

    def write_down(self) -> None:
        """At the very end: writes what was noted, and what many change at once. All processes wait for each other here, and no longer than
        until COMMIT."""
        self.journal.append(self.db, self.noted)
        for do in self.at_the_end:
            do(self.db)

    def alone(self) -> None:
        """Holds off other transactions that call this, until the end of this one. To be called before all else: what is locked is locked
        in the order of this, rows, the journal's chain, what is done at the end. On SQLite, BEGIN IMMEDIATE has done so."""
        if self.engine == "postgresql":
            self.db.execute(_ALONE)


class Database:
    """The database of one bot. Thread-safe. `clock` gives seconds since 1970; `wakes` hears of the work that each
    transaction leaves, once it is on disk; `on_lost` that another process works on the database.

    `is_shared`: other processes work on it, too, each on the threads that it took up (`Replicas.take_up`).

    Whatever is written to it raises `Overtaken`, and changes nothing, once another process has taken up the database, or the thread
    that is worked on.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.time,
        wakes: Wakes | None = None,
        journal_key: str | None = None,
        on_lost: Callable[[], None] = lambda: None,
        *,
        is_shared: bool = False,
    ) -> None:
        self.is_shared = is_shared
        self.catalog = ""  # the digest of the one that this process has
        self._catalog_at = 0.0  # seconds since 1970: since when
        self._url = engine_url(url)
        self._engine = make_engine(self._url)
        self._by_statement = by_statement(self._engine)
        self._clock = clock
        self._wakes = wakes or Nobody()
        self._on_lost = on_lost
        self._working = threading.local()  # .on: what this thread of the process works on
        self._write_lock = WriteLock(wide_open=not self._is_file)
        self._holds = Holds()
        file = self._url.database if self._is_file else None
        self._process_lock: ProcessLock = (
            FileLock(f"{os.path.realpath(file)}.lock") if file else ServerLock(self._engine)
        )
        key = None if file else read_key(journal_key, None)  # what is missing is told also while the server is away
        try:
            self.ping()
            head = Path(f"{file}.journal-head") if file else None
            self.journal = Journal(self._by_statement, key or read_key(journal_key, file), head)
            self._migrate()
        except DBAPIError as error:
            self._engine.dispose()
            raise unusable_by(self._url, error) from None

    def close(self) -> None:
        """Ends the connections and gives the lock back."""
        self._engine.dispose()
        self._by_statement.dispose()  # what was read after an earlier close
        self._process_lock.close()

    def ping(self) -> None:
        """One statement. Raises what the database raises."""
        with self._reading() as db:
            db.execute(text("select 1"))

    def take_catalog(self, digest: str, *, insists: bool, use: Callable[[], object] = lambda: None) -> None:
        """This process has a catalog of this digest from now on. It is the newest of all unless one that came after it is known; with
        `insists`, since somebody asked for it, also then. `use`: what has it used from then on. Raises what the database raises, and then
        this process has the one before."""
        if self.is_shared:
            with self._writing() as tx:
                tx.alone()
                known = select(catalogs.c.number).where(catalogs.c.digest == digest).limit(1)
                if tx.db.scalar(_LATEST) != digest and (insists or tx.db.scalar(known) is None):
                    tx.db.execute(insert(catalogs).values(digest=digest, taken_at=tx.clock()))
        use()  # first: nothing that is checked from then on is checked by the one before
        self.catalog, self._catalog_at = digest, self._clock()

    def check_catalog(self) -> None:
        """Raises `CatalogOutdated` unless this process has the newest catalog."""
        if self.is_shared:
            with self._reading() as db:
                self.check_catalog_in(db)

    def check_catalog_in(self, db: Connection, used: str | None = None) -> None:
        """The same, inside a transaction; `used`: the digest of the catalog by which something was checked, since another one may have
        been taken after that."""
        used = self.catalog if used is None else used
        newest = db.scalar(_LATEST) if self.is_shared else self.catalog
        if newest and newest != used:
            raise CatalogOutdated

    def is_away(self, error: Exception) -> bool:
        """Whether something failed since the server is away: it can be done again once that is back."""
        is_gone = isinstance(error, OperationalError | InterfaceError) or is_read_only(getattr(error, "orig", None))
        return not self._is_file and is_gone

    @property
    def _is_file(self) -> bool:
        """Whether this is SQLite."""
        return self._url.get_backend_name() == "sqlite"

    # --- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, *, urgent: bool = False) -> Iterator[Transaction]:
        tx: Transaction | None = None
        try:
            with self._write_lock.through(urgent=urgent), self._engine.begin() as db:
                tx = Transaction(db, self._clock, self.process, self.journal, self._wakes)
                with self._held_to_its_end(db):
                    yield tx
                    tx.defer()
                tx.write_down()
        except Overtaken:
            if self._holds.is_lost:
                self._on_lost()
            raise
        finally:  # also where the answer to a COMMIT was lost, which may have been done all the same
            if tx is not None:
                tx.recorded()

    @contextmanager
    def _held_to_its_end(self, db: Connection) -> Iterator[None]:
        try:
            yield
        except NotNow:  # perhaps since another process has done it by now
            self._holds.check(db, self._working_on)
            raise
        self._holds.check(db, self._working_on)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._by_statement.connect() as db:
            yield db

    @contextmanager
    def _by_itself(self) -> Iterator[Connection]:
        """For one statement that writes, and asks for no hold; to a server it travels alone."""
        if self._is_file:
            with self._writing() as tx:
                yield tx.db
        else:
            with self._by_statement.connect() as db:
                yield db

    def _changes(self, change: Update, values: Mapping[str, object]) -> bool:
        """Does one change to what is worked on; built with `IS_HELD`, so that to a server it travels alone. Whether there was anything to
        change. Raises `Overtaken`."""
        hold = self._working_on
        assert hold is not None
        with self._by_itself() as db:
            if db.execute(change, {**values, **self._holds.which(hold)}).rowcount:
                return True
            self._holds.check(db, hold)
            return False

    def _migrate(self) -> None:
        with self._writing() as tx:
            tx.alone()
            db = tx.db
            db.execute(text("create table if not exists migrations (number integer primary key)"))
            done = db.scalar(text("select count(*) from migrations")) or 0
            if done > len(MIGRATIONS):
                raise Misconfigured(
                    f"DATABASE_URL: the database is of a newer version of the bot (migration {done}); start that version."
                )
            for number, statements in enumerate(MIGRATIONS[done:], start=done + 1):
                for statement in statements:
                    db.execute(text(statement.format(serial=SERIAL[tx.engine])))
                db.execute(text("insert into migrations values (:number)"), {"number": number})
            if tx.engine == "postgresql":
                _make_queue(db)
            has_new_head = any("create table journal_head" in one for new in MIGRATIONS[done:] for one in new)
            if has_new_head:
                self.journal.begin(db)
        if has_new_head:
            self.journal.keep_head()

    # --- one process per database -------------------------------------------------------------------------------------

    def join(self, stop: threading.Event) -> None:
        """Waits until no process of version 0.1.0 works on the database: that one takes it for its own alone. `stop` ends the waiting with
        `SystemExit`."""
        told = False
        while self._is_locked():
            if not told:
                log.warning(
                    "waiting",
                    reason="a process of version 0.1.0 uses this database and takes it for its own; end it first",
                )
                told = True
            if stop.wait(_LOOK_AGAIN):
                raise SystemExit(0)

    def _is_locked(self) -> bool:
        with self._reading() as db:
            return db.scalar(_LOCKED, {"number": LOCK_NUMBER}) is not None

    def lock(self, stop: threading.Event) -> None:
        """Waits until this process alone works on the database. `stop` ends the waiting with `SystemExit`.

        The lock on a server goes with its connection, and its holder may not know: so the database is taken up as threads are, and
        who had it before can change nothing more.
        """
        wait_for(self._process_lock, stop)
        self._take_up(DATABASE)

    def lock_at_once(self) -> bool:
        """Takes the lock if no process works on the database; whether it did."""
        return self._process_lock.take()

    def still_alone(self) -> bool:
        """Whether the lock still holds."""
        return not self._holds.is_lost and self._process_lock.holds()

    @property
    def process(self) -> str:
        """By what name this process takes things up."""
        return self._holds.owner

    @property
    def others_may_linger(self) -> bool:
        """Whether a process that had the database before may still be in the middle of something: not where it is dead for sure."""
        return not self._is_file

    @contextmanager
    def holding(self, thread: str) -> Iterator[None]:
        """Takes a thread up for the work inside, before it looks at anything of it. What it writes raises `Overtaken` once another
        process has taken the thread up."""
        before = self._working_on
        if before is None or before.thread != thread:
            self._working.on = self._holds.of(thread) or self._take_up(thread)
        try:
            yield
        finally:
            self._working.on = before

    @contextmanager
    def _working_on_nothing(self) -> Iterator[None]:
        """What is written inside belongs to no thread, whatever is worked on."""
        before, self._working.on = self._working_on, None
        try:
            yield
        finally:
            self._working.on = before

    def check_hold(self) -> None:
        """Raises `Overtaken` where what is worked on is another process's by now: for who is about to say something elsewhere."""
        with self._reading() as db:
            self._holds.check(db, self._working_on)

    @property
    def _working_on(self) -> Hold | None:
        return getattr(self._working, "on", None)

    def is_ours(self, thread: str) -> bool:
        """Whether nobody but this process works on a thread."""
        return not self.is_shared or self._holds.of(thread) is not None

    def _take_up(self, thread: str) -> Hold:
        if self.is_shared and thread != DATABASE:  # threads are given out
            raise Overtaken
        with self._writing() as tx:
            taken = self._holds.take_up(tx.db, thread)
        self._holds.keep(taken)
        return taken

    # --- the journal --------------------------------------------------------------------------------------------------

    def note(self, thread: str, turn: str, entries: Sequence[JournalEntry]) -> None:
        """Writes entries of the journal that tell of nothing else in the database."""
        if entries:
            with self._writing() as tx:
                tx.note(thread, turn, entries)

    def take_up_journal(self) -> None:
        """Goes on with the journal. Raises `Misconfigured` where the key is not its own; tells in log and journal what is missing."""
        self.journal.check_key()
        with self._writing() as tx:
            self.journal.catch_up(tx.db)
        missing = self.journal.missing()
        if missing is not None:
            metrics.ALARMS.inc()
            log.critical("the journal is not whole", reason=missing, hint="run `python bot.py journal --verify`")
            self.note("", "", [JournalEntry("alarm", {"reason": missing})])
        self.journal.keep_head()

    def begin_journal_anew(self) -> Head:
        """Begins a new chain under this process's key; gives its first entry."""
        with self._writing() as tx:
            first = self.journal.begin_anew(tx.db, self._clock())
        self.journal.keep_head()
        return first
