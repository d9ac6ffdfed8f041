"""Door to the database: inbox, turns, transcripts, proposals, posts. SQLAlchemy Core, the same statements on SQLite and PostgreSQL.

Each public method is one transaction, and returns after it is on disk (SQLite: synchronous=FULL; BEGIN IMMEDIATE, so that a
transaction that reads before it writes cannot be overtaken). What must happen together is one method.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, Engine, Select, Table, create_engine, delete, event, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from base.settings import Misconfigured
from base.thread import Thread
from catalog.rules import Rule
from gate.policy import Event, State, sources, target
from store import statements as sql
from store.database_words import unusable
from store.holds import DATABASE, Hold, Holds, Overtaken
from store.journal.hash_chain import JournalEntry, digest
from store.journal.journal import Head, Journal, read_key
from store.posts import Kind, Post
from store.saved_results import Bounds, KeptAnswer, SavedResults
from store.tables import (
    MIGRATIONS,
    SERIAL,
    holds,
    inbox,
    posts,
    proposals,
    results,
    storable,
    threads,
    transcript,
    turns,
)
from store.transcript import (
    AssistantMessage,
    Item,
    Result,
    ThreadContext,
    ThreadMessage,
    ToolCall,
    TurnNote,
    Usage,
    UserMessage,
    open_calls,
    visible_to,
)

log = structlog.get_logger("store")
_CONNECT_SECONDS = 10  # for a connection to PostgreSQL; its driver would wait for two minutes
_LOCK_NUMBER = 7_316_045_921  # this program's advisory lock; any fixed number that others are unlikely to use
_IS_OPEN = turns.c.state.in_(("waiting", "running"))
_TAKEN = {inbox: inbox.c.handled == 0, turns: _IS_OPEN}  # what processes take up, and which of it is not over
_PAGES = 500  # of the file that are given back at once: two megabytes
_STILL = 10  # seconds for which a transaction on a server may do nothing
_PART = 500  # threads that are forgotten in one transaction
# Only who has the thread lets these happen:
_OF_A_TURN = frozenset({Event.SEND, Event.SUCCEED, Event.FAIL, Event.LOSE, Event.OUTDATE})


@dataclass(frozen=True)
class Arrival:
    """Something that Slack brought, recorded and not yet looked at."""

    id: int
    event_id: str
    thread: Thread
    kind: str
    payload: dict[str, Any]
    received_at: float
    taken_by: str = ""  # the process that is in the middle of it
    tries: int = 0  # how many processes have taken it up
    ends_alone: int = 0  # how many of them, in a row, ended in the middle of this and of nothing else


@dataclass(frozen=True)
class Turn:
    """From a mention to rest."""

    turn: str
    thread: str
    asker: str
    text: str
    ts: str
    model_calls: int = 0
    stopped_by: str = ""  # who stopped it
    is_running: bool = False  # begun, its words are in the transcript
    waits_since: float | None = None  # seconds since 1970: since when its model has no time
    waits_until: float | None = None  # and until when it is not asked
    only_for: str = ""  # its asker, once its model has seen what is theirs alone: so is all that comes of it then
    taken_by: str = ""  # the process that is in the middle of it
    tries: int = 0  # how many processes have taken it up since it last got on
    ends_alone: int = 0  # how many of them, in a row, ended in the middle of this and of nothing else


@dataclass(frozen=True)
class Attached:
    """One attachment: another message that was shared, a link's preview, a part of an alert. `name`: who or what it is of, or empty."""

    name: str
    text: str


@dataclass(frozen=True)
class Besides:
    """What a question has besides words: attachments, and the names of files."""

    attached: tuple[Attached, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A write that waits, or waited: the stored record that the card is drawn from and that is sent."""

    proposal: str
    token: str
    thread: str
    turn: str
    api: str
    operation: str
    method: str
    url: str
    body: str | None
    asker: str
    fingerprint: str
    why: str
    state: State
    created_at: float
    expires_at: float
    card: str
    body_type: str = "json"  # how the body travels: json, form, multipart
    headers: str = "{}"  # the call's own, a JSON object
    matched: str = "[]"  # what names in the call were looked up, a JSON list of objects
    description: str = ""  # the operation's, as the catalog had it
    tainted: bool = False  # it asks since the thread had seen data of the API or words of other people
    hidden: str = "[]"  # names of fields that the catalog hides in the shown body and the target, a JSON list
    renewals: int = 0  # how often it was asked for anew, since its target had changed
    moved: str = "[]"  # what of its target moved by itself before it was sent: [field, old, new], a JSON list
    shown_url: str = ""
    shown_body: str | None = None
    rule: Rule = field(default_factory=Rule)
    before: str | None = None  # the target as it was read, JSON of a `Target`
    remind_at: float | None = None
    reply: int = 0
    call: int = 0
    votes: tuple[str, ...] = ()
    decided_by: str | None = None
    decided_at: float | None = None
    reason: str = ""
    sent_at: float | None = None
    status: int | None = None
    note: str = ""
    batch: str | None = None
    place: str = ""  # the key of where its card stands, if that is not its thread
    dry_run: bool = False  # drawn in a dry run: never sent
    recipe: str = ""  # the recipe whose last step it is, and that step's number
    recipe_step: int = 0
    only_for: str = ""  # whose turns alone may see the call and what comes of it; empty: all
    seal: str = ""  # the store's signature over all that decides about it

    @property
    def stands(self) -> str:
        """The key of where its card stands."""
        return self.place or self.thread


@dataclass(frozen=True)
class Waiting:
    """So much of a proposal that waits as tells whom it waits for."""

    proposal: str
    thread: str
    asker: str
    rule: str
    votes: str


@dataclass(frozen=True)
class DuePost:
    """A post that has not reached Slack yet. `row` orders a thread's posts; `target_ts` is the message that an update changes."""

    row: int
    post: Post
    created_at: float
    target_ts: str | None
    mention_ts: str | None
    target_thread: str | None = None
    target_state: str | None = None
    made_by: str = ""  # the process that wrote it and was to deliver it; empty: one that has ended


@dataclass(frozen=True)
class ReplyOutcome:
    """What one reply of the model leads to, stored at once. Results and proposals name their call; the reply's row is added."""

    said: AssistantMessage
    usage: Usage
    results: Sequence[Result] = ()
    proposals: Sequence[Proposal] = ()
    posts: Sequence[Post] = ()
    entries: Sequence[JournalEntry] = ()
    tainted: bool = False


@dataclass(frozen=True)
class Effects:
    """What goes with a transition: the call's result for the model, what people are shown, what the journal tells; and, where
    the target changed, the proposal that asks anew."""

    result: str | None = None
    posts: Sequence[Post] = ()
    entries: Sequence[JournalEntry] = ()
    tainted: bool = False
    successor: Proposal | None = None


class Altered(Exception):
    """A stored request is not the one that was approved: somebody changed its row."""


class WriteLock:
    """Lets one writer at a time into SQLite, in the order in which they came, urgent ones first.

    SQLite's own waiting sleeps and wakes at random, so that with many threads one may wait for seconds. A server needs none of
    this (`wide_open`).
    """

    def __init__(self, *, wide_open: bool) -> None:
        self._wide_open = wide_open
        self._lock = threading.Lock()
        self._waiting: tuple[deque[threading.Lock], deque[threading.Lock]] = (deque(), deque())  # urgent, others
        self._is_taken = False

    @contextmanager
    def through(self, *, urgent: bool) -> Iterator[None]:
        """Waits for one's turn and holds it inside."""
        if self._wide_open:
            yield
            return
        self._enter(urgent=urgent)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, *, urgent: bool) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting[0 if urgent else 1].append(mine)
        mine.acquire()  # until the one before hands over

    def _leave(self) -> None:
        with self._lock:
            line = self._waiting[0] or self._waiting[1]
            if line:
                line.popleft().release()
            else:
                self._is_taken = False


Admission = Literal["taken", "kept", "too many", "too many of theirs"]
_SHARE = 4  # one person's turns may fill this part of MAX_WAITING, so that there is room for others
_LEAST_SHARE = 3


class Store:
    """The database of one bot. Thread-safe. `clock` gives seconds since 1970; `on_posts` hears of each thread that has new posts, once
    they are on disk; `on_lost` that another process works on the database.

    Whatever is written to it raises `Overtaken`, and changes nothing, once another process has taken up the database, or the thread
    that is worked on.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.time,
        on_posts: Callable[[str], None] = lambda _thread: None,
        journal_key: str | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._url = _engine_url(url)
        self._engine = _engine(self._url)
        self._reader = self._engine.execution_options(reads_only=True)
        self._clock = clock
        self.on_posts = on_posts
        self.on_lost: Callable[[], None] = lambda: None
        self._held: Connection | None = None
        self._lock_handle: int | None = None
        self._takes_in_at_once = True
        self._coming: dict[object, float] = {}  # when that came in which is being recorded
        self._coming_lock = threading.Lock()
        self._working = threading.local()  # .on: what this thread of the process works on
        self._kept = SavedResults(bounds)
        self._turnstile = WriteLock(wide_open=self._url.get_backend_name() != "sqlite")
        self._inserts = sql.Inserts(sqlite.insert if self._url.get_backend_name() == "sqlite" else postgresql.insert)
        self._holds = Holds(self._inserts)
        file = self._url.database if self._url.get_backend_name() == "sqlite" else None
        try:
            self.ping()
            self.journal = Journal(
                self._reader, read_key(journal_key, file), Path(f"{file}.journal-head") if file else None
            )
            self._migrate()
        except DBAPIError as error:
            raise Misconfigured(f"DATABASE_URL: {_why_unusable(self._url, error)}.") from None

    def close(self) -> None:
        """Ends all connections and gives up the lock on the database's file."""
        self._engine.dispose()
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None

    def ping(self) -> None:
        """One statement. Raises what the database raises."""
        with self._reading() as db:
            db.execute(text("select 1"))

    def check_recording(self) -> None:
        """Records something and takes it back, on disk. Raises what recording an arrival raises."""
        nobody = Thread("T0", "C0", "0")
        event_id = f"check:{self.process}"
        values = {
            "event_id": event_id, "team": nobody.team, "channel": nobody.channel, "ts": None, "thread": nobody.key, "kind": "check",
            "payload": "{}", "handled": 1, "received_at": self._clock(), "taken_by": "", "tries": 0,
        }  # fmt: skip
        with self._writing() as db:
            db.scalar(self._inserts.arrival, values)
            db.execute(delete(inbox).where(inbox.c.event_id == event_id))

    @contextmanager
    def _writing(self, *, urgent: bool = False) -> Iterator[Connection]:
        told: set[str] = set()
        try:
            with self._turnstile.through(urgent=urgent), self._engine.begin() as db:
                db.info["told"] = told
                yield db
                self._holds.check(db, self._working_on)
        except Overtaken:
            if self._holds.is_lost:
                self.on_lost()
            raise
        finally:  # also where the answer to a COMMIT was lost, which may have been done all the same
            for thread in told:
                self.on_posts(thread)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._reader.connect() as db:
            yield db

    def _migrate(self) -> None:
        with self._writing() as db:
            self.journal.alone(db)
            db.execute(text("create table if not exists migrations (number integer primary key)"))
            done = db.scalar(text("select count(*) from migrations")) or 0
            if done > len(MIGRATIONS):
                raise Misconfigured(
                    f"DATABASE_URL: the database is of a newer version of the bot (migration {done}); start that version."
                )
            for number, statements in enumerate(MIGRATIONS[done:], start=done + 1):
                for statement in statements:
                    db.execute(text(statement.format(serial=SERIAL[self._url.get_backend_name()])))
                db.execute(text("insert into migrations values (:number)"), {"number": number})
            has_new_head = any("create table journal_head" in one for new in MIGRATIONS[done:] for one in new)
            if has_new_head:
                self.journal.begin(db)
        if has_new_head:
            self.journal.keep_head()

    # --- one process per database -------------------------------------------------------------------------------------

    def lock(self, stop: threading.Event) -> None:
        """Waits until this process alone works on the database. `stop` ends the waiting with `SystemExit`.

        A file lock beside a SQLite file, an advisory lock on PostgreSQL; both go when the process dies. One on a server goes with its
        connection, too, and its holder may not know: so the database is taken up as threads are, and who had it before can change
        nothing more.
        """
        _wait_for(self._lock_file() if self._url.get_backend_name() == "sqlite" else self._lock_server(), stop)
        self._take_up(DATABASE)

    def lock_at_once(self) -> bool:
        """Takes the lock if no process works on the database; whether it did."""
        return (self._lock_file() if self._url.get_backend_name() == "sqlite" else self._lock_server())()

    def still_alone(self) -> bool:
        """Whether the lock still holds."""
        if self._held is None or self._holds.is_lost:
            return not self._holds.is_lost
        try:
            self._held.execute(text("select 1"))
        except DBAPIError:
            return False
        return True

    @property
    def process(self) -> str:
        """By what name this process takes things up."""
        return self._holds.owner

    @property
    def others_may_linger(self) -> bool:
        """Whether a process that had the database before may still be in the middle of something: not where it is dead for sure."""
        return self._url.get_backend_name() != "sqlite"

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

    def check_hold(self) -> None:
        """Raises `Overtaken` where what is worked on is another process's by now: for who is about to say something elsewhere."""
        with self._reading() as db:
            self._holds.check(db, self._working_on)

    @property
    def _working_on(self) -> Hold | None:
        return getattr(self._working, "on", None)

    def _take_up(self, thread: str) -> Hold:
        with self._writing() as db:
            taken = self._holds.take_up(db, thread)
        self._holds.keep(taken)
        return taken

    def _lock_file(self) -> Callable[[], bool]:
        file = f"{os.path.realpath(str(self._url.database))}.lock"
        handle = self._lock_handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)

        def take() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        return take

    def _lock_server(self) -> Callable[[], bool]:
        def take() -> bool:
            try:
                held = self._held = self._held or self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                return bool(held.scalar(text("select pg_try_advisory_lock(:number)"), {"number": _LOCK_NUMBER}))
            except DBAPIError as error:
                log.warning("the database gives no answer", error=type(error.orig).__name__)
                self._let_go()
                return False

        return take

    def _let_go(self) -> None:
        """Gives up the connection that is to hold the lock, after it broke."""
        if self._held is not None:
            self._held.invalidate()
            self._held.close()
            self._held = None

    # --- the journal at a start ---------------------------------------------------------------------------------------

    def take_up_journal(self) -> None:
        """Goes on with the journal. Raises `Misconfigured` where the key is not its own; tells in log and journal what is missing."""
        self.journal.check_key()
        with self._writing() as db:
            self.journal.catch_up(db)
        missing = self.journal.missing()
        if missing is not None:
            log.critical("the journal is not whole", reason=missing, hint="`python bot.py journal --verify` tells more")
            self.note("", "", [JournalEntry("alarm", {"reason": missing})])
        self.journal.keep_head()

    def begin_journal_anew(self) -> Head:
        """Begins a new chain under this process's key; gives its first entry."""
        with self._writing() as db:
            first = self.journal.begin_anew(db, self._clock())
        self.journal.keep_head()
        return first

    # --- inbox --------------------------------------------------------------------------------------------------------

    def record(
        self, kind: str, thread: Thread, payload: dict[str, Any], *, event_id: str, ts: str | None = None
    ) -> bool:
        """Records an arrival. False where the same event, or a message with the same channel and ts, was recorded before."""
        with self._coming_in() as received_at:
            values = {
                "event_id": event_id, "team": thread.team, "channel": thread.channel, "ts": ts, "thread": thread.key, "kind": kind,
                "payload": json.dumps(payload), "handled": 0, "received_at": received_at,
                "taken_by": self.process if self._takes_in_at_once else "", "tries": int(self._takes_in_at_once),
            }  # fmt: skip
            with self._writing(urgent=True) as db:  # Slack waits for it
                return db.scalar(self._inserts.arrival, values) is not None

    @contextmanager
    def _coming_in(self) -> Iterator[float]:
        """The moment at which something came in, known to the clock's work until it is recorded."""
        mark = object()
        with self._coming_lock:  # so that whoever looks at the time next sees it
            self._coming[mark] = received_at = self._clock()
        try:
            yield received_at
        finally:
            self._coming.pop(mark, None)

    def arrivals(self, thread: str) -> list[Arrival]:
        """What came in for a thread and was not looked at, oldest first."""
        with self._reading() as db:
            return [_arrival(row) for row in db.execute(sql.ARRIVALS, {"of": thread}).mappings()]

    def take_in(self, arrival: Arrival) -> None:
        """Counts this process among those that looked at an arrival: before it does, so that an end in the middle of it shows."""
        if arrival.taken_by != self.process:
            with self._writing() as db:
                db.execute(sql.TAKE_IN, {"arrival": arrival.id, "me": self.process})

    def dispose(self, arrival: Arrival, says: Sequence[Post] = (), entries: Sequence[JournalEntry] = ()) -> None:
        """Marks an arrival as looked at, with what is said and written down about it."""
        with self._writing() as db:
            self._handled(db, arrival.id)
            self._add_posts(db, says)
            self._note(db, arrival.thread.key, "", entries)

    def handled(self, arrival: int) -> None:
        """Marks an arrival as looked at, with nothing to be said about it."""
        with self._writing() as db:
            self._handled(db, arrival)

    def admit(
        self, arrival: Arrival, turn: Turn, says: dict[Admission, Sequence[Post]], *, workers: int, max_waiting: int
    ) -> Admission:
        """Makes a turn of a mention, or refuses it as one too many, of all or of this person; `says` has the posts of each outcome.

        Turns that workers are busy with and threads that wait for a decision do not count as waiting; in such a thread a person's
        messages are kept, as many as that person's share.
        """
        with self._writing() as db:
            self._handled(db, arrival.id)
            self.journal.alone(db)
            load = db.execute(sql.LOAD, {"of": turn.thread, "asker": turn.asker}).one()
            outcome = _admission(load, workers, max_waiting)
            if outcome in ("taken", "kept"):
                self._add_turn(db, arrival, turn)
            asked = {"asker": turn.asker, "words": digest(turn.text), "ts": turn.ts, "outcome": outcome}
            self._note(db, turn.thread, turn.turn, [JournalEntry("question", asked)])
            self._add_posts(db, says[outcome])
            taken = self._holds.take_new(db, turn.thread) if outcome == "taken" else None
        if taken is not None:
            self._holds.keep(taken)
        return outcome

    def _add_turn(self, db: Connection, arrival: Arrival, turn: Turn) -> None:
        now, of = self._clock(), arrival.thread
        thread = {
            "thread": of.key,
            "team": of.team,
            "channel": of.channel,
            "thread_ts": of.ts,
            "tainted": 0,
            "active_at": now,
        }
        db.execute(self._inserts.thread, thread)
        row = {
            "turn": turn.turn, "inbox": arrival.id, "thread": turn.thread, "asker": turn.asker, "text": turn.text, "ts": turn.ts,
            "state": "waiting", "model_calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "created_at": now,
        }  # fmt: skip
        db.execute(self._inserts.turn, row)

    @staticmethod
    def _handled(db: Connection, arrival: int) -> None:
        """Marks an arrival as looked at. Raises `Overtaken` where that was done before: what came of it stands."""
        which = {"arrival": arrival}
        if not db.execute(sql.HANDLED, which).rowcount and db.scalar(sql.WAS_HANDLED, which) is not None:
            raise Overtaken

    # --- turns --------------------------------------------------------------------------------------------------------

    def next_turn(self, thread: str) -> Turn | None:
        """The turn that runs in the thread; where none does, the oldest waiting one."""
        with self._reading() as db:
            row = db.execute(sql.CURRENT_TURN, {"of": thread}).mappings().first()
        return _turn(row) if row is not None else None

    def take_turn(self, turn: Turn) -> None:
        """Counts this process among those that worked on a turn since it last got on: before it does, as with an arrival."""
        if turn.taken_by != self.process:
            with self.holding(turn.thread), self._writing() as db:
                db.execute(sql.TAKE_TURN, {"which": turn.turn, "me": self.process})

    def rest_turn(self, turn: Turn) -> None:
        """Notes that a turn waits for people: whatever ends the process now, it is not the turn."""
        with self.holding(turn.thread), self._writing() as db:
            db.execute(sql.REST_TURN, {"which": turn.turn})

    def begin_turn(
        self,
        turn: Turn,
        text: str,
        heard: Sequence[ThreadMessage],
        entries: Sequence[JournalEntry] = (),
        noted: TurnNote | None = None,
    ) -> Turn:
        """Begins a waiting turn: the words of its question, what goes with it, and what others wrote before it, join the transcript."""
        begun = replace(turn, text=text, is_running=True)
        with self.holding(turn.thread), self._writing() as db:
            db.execute(sql.BEGIN_TURN, {"which": turn.turn, "words": text})
            if noted is not None:
                self._add_item(db, turn.thread, turn.turn, noted)
            if heard:
                self._add_item(db, turn.thread, turn.turn, ThreadContext(tuple(heard)))
            self._add_item(db, turn.thread, turn.turn, UserMessage(text, turn.asker))
            others = db.scalar(sql.OTHERS_SPOKE, {"of": turn.thread, "asker": turn.asker})
            # apps may post in the asker's name
            strange = any(line.is_bot or line.is_attached or line.by != turn.asker for line in heard)
            self._note(db, turn.thread, turn.turn, entries)
            self._touch(db, turn.thread, tainted=others is not None or strange)
        return begun

    def put_aside(self, turn: Turn, since: float, until: float, entries: Sequence[JournalEntry] = ()) -> None:
        """Notes that a running turn waits for its model: since when, and until when it is not to be asked. The next `add_round` or
        `end_turn` ends that."""
        with self.holding(turn.thread), self._writing() as db:
            db.execute(sql.PUT_ASIDE, {"which": turn.turn, "since": since, "until": until})
            self._note(db, turn.thread, turn.turn, entries)

    def drop_turn(self, turn: Turn, entries: Sequence[JournalEntry]) -> None:
        """Ends a turn that never began: its question was taken back."""
        with self.holding(turn.thread), self._writing() as db:
            self._spend(db, turn, None, "done", self._clock())
            self._note(db, turn.thread, turn.turn, entries)

    def stop_turn(
        self, turn: Turn, by: str, entries: Sequence[JournalEntry] = (), *, arrival: int | None = None
    ) -> bool:
        """Notes that a person wants a turn to end. False where it had ended before, or somebody else was first."""
        with self._writing() as db:
            if arrival is not None:
                self._handled(db, arrival)
            stopped = bool(db.execute(sql.STOP_TURN, {"which": turn.turn, "person": by}).rowcount)
            if stopped:
                self._note(db, turn.thread, turn.turn, entries)
        return stopped

    def turn(self, turn: str) -> Turn | None:
        """The turn with this id."""
        with self._reading() as db:
            row = db.execute(select(turns).where(turns.c.turn == turn)).mappings().first()
        return _turn(row) if row is not None else None

    def asked_at(self, thread: str) -> list[tuple[str, str]]:
        """The questions of a thread: (ts, state of the turn), oldest first."""
        with self._reading() as db:
            return [(row.ts, row.state) for row in db.execute(sql.ASKED_AT, {"of": thread})]

    def asked_with(self, turn: str) -> Besides:
        """What came with a turn's question besides its words, as its event had it."""
        with self._reading() as db:
            payload = json.loads(db.scalar(sql.ASKED_WITH, {"which": turn}) or "{}")
        attached = (Attached(one["name"], one["text"]) for one in payload.get("attached", ()))
        return Besides(tuple(attached), tuple(payload.get("files", ())))

    def transcript(self, thread: str, asker: str) -> list[Item]:
        """The thread's transcript as the turns of `asker` may see it, oldest first."""
        with self._reading() as db:
            items = [_item(row) for row in db.execute(sql.TRANSCRIPT, {"of": thread}).mappings()]
        return visible_to(items, asker)

    def is_tainted(self, thread: str) -> bool:
        """Whether the thread ever held data of the API or words of other people."""
        with self._reading() as db:
            return bool(db.scalar(sql.TAINTED, {"of": thread}))

    def add_round(self, turn: Turn, made: ReplyOutcome) -> AssistantMessage:
        """Stores one reply with the results, proposals and cards that came of it. Gives the reply with its row."""
        with self.holding(turn.thread), self._writing() as db:
            row = self._add_item(db, turn.thread, turn.turn, made.said)
            for one in made.results:
                self._add_item(db, turn.thread, turn.turn, replace(one, reply=row))
            if made.proposals:
                db.execute(self._inserts.proposals, [self._sealed(replace(one, reply=row)) for one in made.proposals])
            self._add_posts(db, made.posts)
            self._note(db, turn.thread, turn.turn, made.entries)
            self._spend(db, turn, made.usage, "running")
            self._touch(db, turn.thread, tainted=made.tainted)
        return replace(made.said, row=row)

    def end_turn(
        self,
        turn: Turn,
        says: Sequence[Post],
        *,
        said: AssistantMessage | None,
        usage: Usage | None,
        failed: bool = False,
        entries: Sequence[JournalEntry] = (),
    ) -> None:
        """The turn's rest: its last words, what people are told, and its tokens (`usage` None: no model call belongs to this end)."""
        with self.holding(turn.thread), self._writing() as db:
            if failed:
                self._close_calls(db, turn)
            if said is not None:
                self._add_item(db, turn.thread, turn.turn, said)
            self._add_posts(db, says)
            self._note(db, turn.thread, turn.turn, entries)
            self._spend(db, turn, usage, "failed" if failed else "done", self._clock())
            self._touch(db, turn.thread, tainted=False)

    def _close_calls(self, db: Connection, turn: Turn) -> None:
        """Gives every call of a failed turn a result, so that the transcript stays one that model servers take."""
        rows = (
            db.execute(select(transcript).where(transcript.c.turn == turn.turn).order_by(transcript.c.id))
            .mappings()
            .all()
        )
        ended = json.dumps({"error": "The turn ended before this was done."})
        for reply, call in open_calls(_item(row) for row in rows):
            self._add_item(db, turn.thread, turn.turn, Result(reply.row, call, ended, turn.asker))

    @staticmethod
    def _spend(db: Connection, turn: Turn, usage: Usage | None, state: str, end: float | None = None) -> None:
        """Adds a model call's tokens (None: there was no call) to the turn's, and sets its state."""
        spent = usage or Usage()
        counts = {"calls": 0 if usage is None else 1, "prompt": spent.prompt, "completion": spent.completion}
        tries = 1 if state == "running" else 0
        db.execute(sql.SPEND, counts | {"which": turn.turn, "new_state": state, "end": end, "new_tries": tries})

    def _touch(self, db: Connection, thread: str, *, tainted: bool) -> None:
        db.execute(sql.TOUCH, {"of": thread, "now": self._clock(), "taint": int(tainted)})

    def _add_item(self, db: Connection, thread: str, turn: str, item: Item) -> int:
        owner = item.only_for if isinstance(item, (AssistantMessage, Result)) else ""
        values: dict[str, Any] = {"thread": thread, "turn": turn, "at": self._clock(), "only_for": owner}
        values |= {"reply": None, "call": None}
        match item:
            case ThreadContext():
                values |= {"kind": "heard", "content": json.dumps([vars(line) for line in item.lines])}
            case TurnNote():
                values |= {"kind": "noted", "content": json.dumps(vars(item))}
            case UserMessage():
                values |= {"kind": "said", "content": json.dumps({"text": item.text, "by": item.by})}
            case AssistantMessage():
                calls = [[call.id, call.name, call.arguments, call.key] for call in item.calls]
                added = {"opaque": item.opaque, "opaque_of": item.opaque_of} if item.opaque else {}
                values |= {"kind": "replied", "content": json.dumps({"text": item.text, "calls": calls, **added})}
            case Result():
                values |= {"kind": "result", "content": item.content, "reply": item.reply, "call": item.call}
        return int(db.scalar(self._inserts.item, values) or 0)  # 0: the call has a result already, and keeps it

    def unrested(self) -> tuple[list[str], list[str], list[str]]:
        """The threads with arrivals, with turns to advance, with posts to deliver: what a start has to wake."""
        asked = select(proposals.c.thread).where(
            proposals.c.thread == turns.c.thread, proposals.c.state == State.PENDING
        )
        goes_on = _IS_OPEN & ((turns.c.tries > 0) | ~asked.exists())
        with self._reading() as db:
            arrived = db.scalars(select(inbox.c.thread).where(inbox.c.handled == 0).distinct()).all()
            open_turns = db.scalars(select(turns.c.thread).where(goes_on).distinct()).all()
            due = db.scalars(select(posts.c.thread).where(posts.c.state == "due").distinct()).all()
        return list(arrived), list(open_turns), list(due)

    def left_in_the_middle(self) -> list[Arrival | Turn]:
        """At a start: what other processes were working on when they ended. It does not count as being worked on any more."""
        with self._writing() as db:
            left: list[Arrival | Turn] = [
                *(_arrival(row) for row in db.execute(_left(inbox, self.process).order_by(inbox.c.id)).mappings()),
                *(_turn(row) for row in db.execute(_left(turns, self.process).order_by(turns.c.inbox)).mappings()),
            ]
            ends = [one.ends_alone + 1 for one in left] if len(left) == 1 else [0] * len(left)
            for table, is_open in _TAKEN.items():
                ended = update(table).where(is_open, table.c.taken_by.not_in(("", self.process)))
                db.execute(ended.values(taken_by="", ends_alone=max(ends, default=0)))
        return [replace(one, ends_alone=count) for one, count in zip(left, ends, strict=True)]

    def take_in_later(self) -> None:
        """What comes in from now on is not worked on at once."""
        self._takes_in_at_once = False

    def take_in_at_once(self) -> None:
        """What comes in from now on is worked on at once, which need not be noted by a transaction of its own."""
        self._takes_in_at_once = True

    def leave(self) -> None:
        """The process is to end as it should: this does not count among the ends of what it works on."""
        self.take_in_later()
        try:
            with self._writing() as db:
                for table, is_open in _TAKEN.items():
                    mine = update(table).where(table.c.taken_by == self.process, is_open, table.c.tries > 0)
                    db.execute(mine.values(taken_by="", tries=table.c.tries - 1))
        except (DBAPIError, Overtaken) as error:
            log.warning("this end will count as one in the middle of work", error=type(error).__name__)

    def leave_posts(self) -> None:
        """Nothing goes on in this process: what is still due cannot be on its way."""
        with suppress(DBAPIError, Overtaken), self._writing() as db:
            due = update(posts).where(posts.c.made_by == self.process, posts.c.state == "due")
            db.execute(due.values(made_by=""))

    # --- proposals ----------------------------------------------------------------------------------------------------

    def proposal(self, *, token: str) -> Proposal | None:
        """The proposal whose buttons carry `token`."""
        return next(iter(self._proposals(proposals.c.token == token)), None)

    def proposal_of(self, proposal: str) -> Proposal | None:
        """The proposal with this id."""
        return next(iter(self._proposals(proposals.c.proposal == proposal)), None)

    def proposal_of_card(self, card: str) -> Proposal | None:
        """The proposal that the post `card` shows."""
        return next(iter(self._proposals(proposals.c.card == card)), None)

    def proposals_of(self, turn: str, *states: State) -> list[Proposal]:
        """A turn's proposals in these states, in the order of their calls."""
        return self._proposals(proposals.c.turn == turn, proposals.c.state.in_(states))

    def pending_in(self, thread: str) -> list[Proposal]:
        """A thread's proposals that wait for people."""
        return self._proposals(proposals.c.thread == thread, proposals.c.state == State.PENDING)

    def waiting(self) -> list[Waiting]:
        """All proposals that wait for people, in the order in which they were asked for."""
        columns = [proposals.c[name] for name in Waiting.__dataclass_fields__]
        query = select(*columns).where(sql.IS_ASKED).order_by(proposals.c.reply, proposals.c.call)
        with self._reading() as db:
            return [Waiting(*row) for row in db.execute(query)]

    def being_sent(self) -> list[Proposal]:
        """The proposals that stand in `sending`."""
        return self._proposals(sql.IS_SENT)

    def proposals_in(self, *states: State) -> list[Proposal]:
        """All proposals in these states."""
        return self._proposals(proposals.c.state.in_(states))

    def proposals_due(self) -> list[Proposal]:
        """Pending proposals whose time is over, less those about which somebody clicked in time: that click comes first."""
        with self._coming_lock:
            now, coming = self._clock(), min(self._coming.values(), default=float("inf"))
        over = self._proposals(sql.IS_ASKED, proposals.c.expires_at <= now)
        if not over:
            return []
        clicks = self._unheard_clicks()
        return [
            one
            for one in over
            if min(coming, *(clicks.get(name or "", now) for name in (one.token, one.batch))) >= one.expires_at
        ]

    def _unheard_clicks(self) -> dict[str, float]:
        """When the first click came in, of those that nobody has looked at, by what its button carries."""
        found: dict[str, float] = {}
        with self._reading() as db:
            for row in db.execute(sql.UNHEARD_CLICKS):
                token = json.loads(row.payload).get("token", "")
                found[token] = min(row.received_at, found.get(token, row.received_at))
        return found

    def proposals_to_remind(self) -> list[Proposal]:
        """Pending proposals whose half time has come and of which nobody was reminded."""
        return self._proposals(sql.IS_ASKED, proposals.c.remind_at.is_not(None), proposals.c.remind_at <= self._clock())

    def proposals_of_batch(self, batch: str) -> list[Proposal]:
        """The set that a batch button names, in the order of its calls."""
        return self._proposals(proposals.c.batch == batch)

    def proposals_for(self, *, asker: str, limit: int) -> list[Proposal]:
        """A person's latest requests, newest first."""
        query = select(proposals).where(proposals.c.asker == asker).order_by(proposals.c.created_at.desc()).limit(limit)
        with self._reading() as db:
            return [_proposal(row) for row in db.execute(query).mappings()]

    def next_due(self) -> float | None:
        """When the next pending proposal expires or is to be reminded of."""
        with self._reading() as db:
            moments = (db.scalar(sql.NEXT_EXPIRY), db.scalar(sql.NEXT_REMINDER))
        return min((float(moment) for moment in moments if moment is not None), default=None)

    def words_of(self, turn: str) -> str | None:
        """What the person wrote, while it is kept."""
        with self._reading() as db:
            found = db.scalar(select(turns.c.text).where(turns.c.turn == turn))
        return str(found) if found is not None else None

    def _proposals(self, *where: Any) -> list[Proposal]:
        query = select(proposals).where(*where).order_by(proposals.c.reply, proposals.c.call)
        with self._reading() as db:
            return [_proposal(row) for row in db.execute(query).mappings()]

    def transition(
        self,
        proposal: str,
        happened: Event,
        effects: Callable[[Proposal], Effects],
        *,
        arrival: int | None = None,
        seen: State | None = None,
        **columns: Any,
    ) -> Proposal | None:
        """Lets `happened` happen to a proposal, with its effects; None (and nothing changed) where the table does not allow it. Raises
        `Altered` where it would send what is not as it was approved.

        One conditional UPDATE decides between all who try at once. `arrival` is the click that this answers; with `seen`, it happens
        only in that state, for who would be wrong about any other.
        """
        allowed = proposals.c.state.in_([one for one in sources(happened) if seen in (None, one)])
        which = [proposals.c.proposal == proposal, allowed]
        change = update(proposals).where(*which).values(state=target(happened), seal="", **columns)
        with self._holding_for(proposal, happened), self._writing() as db:
            if happened is Event.SEND:
                self._check_before_sending(db, *which)
            row = db.execute(change.returning(*proposals.c)).mappings().first()
            if row is None:
                return None
            if arrival is not None:
                self._handled(db, arrival)
            changed = _proposal(row)
            self._apply(db, changed, effects(changed))
        return changed

    @contextmanager
    def _holding_for(self, proposal: str, happened: Event) -> Iterator[None]:
        """The hold that an event needs: what people do to a proposal, or time, needs none, since the row's state alone decides."""
        thread = None
        if happened in _OF_A_TURN:
            with self._reading() as db:
                thread = db.scalar(sql.THREAD_OF, {"which": proposal})
        with self.holding(str(thread)) if thread is not None else nullcontext():
            yield

    def vote(
        self,
        proposal: str,
        voter: str,
        at: float,
        effects: Callable[[Proposal], Effects],
        *,
        arrival: int | None = None,
    ) -> Proposal | None:
        """A person's yes to a pending proposal: it is approved once the votes are as many as its rule asks for.

        None (and nothing changed) where it is pending no more. A second vote of the same person changes nothing either.
        """
        with self._writing() as db:
            pending = select(proposals).where(
                proposals.c.proposal == proposal, proposals.c.state.in_(sources(Event.APPROVE))
            )
            row = db.execute(pending.with_for_update()).mappings().first()
            if row is None:
                return None
            if arrival is not None:
                self._handled(db, arrival)
            before = _proposal(row)
            if voter in before.votes:
                return before
            after = replace(before, votes=(*before.votes, voter))
            if len(after.votes) >= before.rule.quorum:
                after = replace(after, state=target(Event.APPROVE), decided_by=voter, decided_at=at)
            voted = _proposal_row(after) | {"seal": self._seal(after) if self.is_intact(before) else before.seal}
            columns = {name: voted[name] for name in ("votes", "state", "decided_by", "decided_at", "seal")}
            change = update(proposals).where(proposals.c.proposal == proposal).values(columns).returning(*proposals.c)
            changed = _proposal(db.execute(change).mappings().one())
            self._apply(db, changed, effects(changed))
        return changed

    # A seal is made when a record is stored, and anew at each vote; whatever else becomes of the record, it is void.

    def is_intact(self, proposal: Proposal) -> bool:
        """Whether a record that waits, or is approved, is as this bot has stored it: its request, its rule and who decided."""
        return self.journal.is_signed(proposal.seal[len(self._sealing) :], "record", _what_counts(proposal))

    def fingerprint(self, proposal: Proposal) -> str:
        """What people and the journal know a request by: a signature over all that is sent, who asked for it, and who may decide."""
        row = _proposal_row(proposal)
        return self.journal.sign("request", [_as_stored(row[name]) for name in _REQUEST])

    def sealed_otherwise(self) -> list[Proposal]:
        """What waits or is approved since an earlier version of the bot, or under another key: nobody can tell whether it is intact."""
        stands = proposals.c.state.in_((State.PENDING, State.APPROVED))
        return self._proposals(stands, ~proposals.c.seal.startswith(self._sealing))

    def _sealed(self, proposal: Proposal) -> dict[str, Any]:
        return _proposal_row(proposal) | {"seal": self._seal(proposal)}

    def _seal(self, proposal: Proposal) -> str:
        return self._sealing + self.journal.sign("record", _what_counts(proposal))

    @cached_property
    def _sealing(self) -> str:
        """What seals of this version, under this key, begin with."""
        return self.journal.sign("columns", sorted(_SEALED))[:8] + "."

    def _check_before_sending(self, db: Connection, *which: Any) -> None:
        row = db.execute(select(proposals).where(*which).with_for_update()).mappings().first()
        if row is not None:
            found = _proposal(row)
            if not self.is_intact(found) or self.journal.has_sent(db, found.turn, found.proposal):
                raise Altered(found.proposal)

    def _apply(self, db: Connection, changed: Proposal, after: Effects) -> None:
        if after.result is not None:
            told = Result(changed.reply, changed.call, after.result, changed.only_for)
            self._add_item(db, changed.thread, changed.turn, told)
        if changed.state in (State.DONE, State.FAILED, State.STALE):
            db.execute(sql.GET_ON, {"which": changed.turn})
        if after.successor is not None:
            db.execute(self._inserts.proposals, self._sealed(after.successor))
        self._add_posts(db, after.posts)
        self._note(db, changed.thread, changed.turn, after.entries)
        self._touch(db, changed.thread, tainted=after.tainted)

    def move_deadlines(self, seconds: float) -> None:
        """Moves the moments of what waits for people, and of what just came in, along with a clock that was set."""
        with self._writing() as db:
            unseen = update(inbox).where(inbox.c.handled == 0)
            db.execute(unseen.values(received_at=inbox.c.received_at + seconds))
            for row in db.execute(select(proposals).where(sql.IS_ASKED).with_for_update()).mappings().all():
                db.execute(update(proposals).where(proposals.c.proposal == row["proposal"]), self._moved(row, seconds))

    def _moved(self, row: Any, seconds: float) -> dict[str, Any]:
        before = _proposal(row)
        after = replace(before, created_at=before.created_at + seconds, expires_at=before.expires_at + seconds)
        reminder = before.remind_at + seconds if before.remind_at is not None else None
        seal = self._seal(after) if self.is_intact(before) else before.seal
        return {
            "created_at": after.created_at,
            "expires_at": after.expires_at,
            "remind_at": reminder,
            "seal": seal,
        }

    def remind(self, proposal: Proposal, says: Sequence[Post]) -> None:
        """Notes that a pending proposal's reminder went out, with the reminder."""
        once = update(proposals).where(proposals.c.proposal == proposal.proposal, proposals.c.remind_at.is_not(None))
        with self._writing() as db:
            if db.execute(once.where(proposals.c.state == State.PENDING).values(remind_at=None)).rowcount:
                self._add_posts(db, says)
                self._note(
                    db, proposal.thread, proposal.turn, [JournalEntry("reminder", {"proposal": proposal.proposal})]
                )

    # --- posts --------------------------------------------------------------------------------------------------------

    def note(self, thread: str, turn: str, entries: Sequence[JournalEntry]) -> None:
        """Writes entries of the journal that tell of nothing else in the database."""
        if entries:
            with self._writing() as db:
                self._note(db, thread, turn, entries)

    def _note(self, db: Connection, thread: str, turn: str, entries: Sequence[JournalEntry]) -> None:
        self.journal.append(db, self._clock(), thread, turn, entries)

    def _add_posts(self, db: Connection, says: Sequence[Post]) -> None:
        if says:
            db.execute(self._inserts.posts, [self._post_row(post) for post in says])
            db.info["told"].update(post.thread for post in says)

    def _post_row(self, post: Post) -> dict[str, Any]:
        return {
            "post": post.post, "thread": post.thread, "turn": post.turn, "method": post.kind, "arguments": json.dumps(post.arguments),
            "target": post.target, "state": "due", "created_at": self._clock(), "card": int(post.is_card), "made_by": self.process,
        }  # fmt: skip

    def say(self, says: Sequence[Post]) -> None:
        """Adds posts to be delivered."""
        with self._writing() as db:
            self._add_posts(db, says)

    def due_posts(self, thread: str) -> list[DuePost]:
        """What is to be delivered in a thread, in order."""
        with self._reading() as db:
            return [_due(row) for row in db.execute(sql.DUE_POSTS, {"of": thread}).mappings()]

    def message_at(self, channel: str, ts: str) -> Post | None:
        """The post that made the bot's message with this ts in a channel; the text that it has now may be another's."""
        mine = posts.c.method.in_(("message", "live", "finish"))
        with self._reading() as db:
            rows = db.execute(select(posts).where(posts.c.ts == ts, mine).order_by(posts.c.id)).mappings().all()
        found = (_due_post(row) for row in rows)
        return next((post for post in found if Thread.from_key(post.thread).channel == channel), None)

    def post(self, post: str) -> Post | None:
        """The post with this id."""
        with self._reading() as db:
            row = db.execute(select(posts).where(posts.c.post == post)).mappings().first()
        return _due_post(row) if row is not None else None

    def shown_at(self, cards: Sequence[str]) -> dict[str, tuple[Thread, str]]:
        """Where posts stand in Slack: the thread of each that is there, and its ts."""
        query = select(posts.c.post, posts.c.thread, posts.c.ts).where(posts.c.post.in_(cards), posts.c.ts.is_not(None))
        with self._reading() as db:
            return {row.post: (Thread.from_key(row.thread), row.ts) for row in db.execute(query)}

    def has_post(self, post: str) -> bool:
        """Whether there is such a post."""
        with self._reading() as db:
            return db.scalar(select(posts.c.id).where(posts.c.post == post)) is not None

    def delivered(
        self, done: Sequence[tuple[str, str | None]], *, state: str = "sent", instead: Sequence[Post] = ()
    ) -> None:
        """Marks posts as delivered, each with the ts of its message, or with another final `state`, and adds what is said instead."""
        with self._writing() as db:
            self._add_posts(db, instead)
            db.execute(sql.DELIVERED, [{"which": post, "new_state": state, "at_ts": ts} for post, ts in done])

    # --- kept answers -------------------------------------------------------------------------------------------------

    def keep(self, thread: str, data: str, only_for: str = "", part: str = "") -> int | None:
        """Keeps an answer (JSON text; `part` says why that is not all of it) for a while, for one person alone where `only_for` names
        one; gives its number in the thread.

        None: too large.
        """
        with self._writing() as db:
            self.journal.alone(db)
            return self._kept.add(db, thread, KeptAnswer(data, part), self._clock(), only_for)

    def kept(self, thread: str, number: int, asker: str) -> KeptAnswer | None:
        """A thread's answer of this number, while it is kept and if `asker` may see it."""
        with self._reading() as db:
            return self._kept.find(db, thread, number, self._clock(), asker)

    # --- retention ----------------------------------------------------------------------------------------------------

    def forget(self, before: float) -> int:
        """Removes the threads at rest since `before`, with all that is theirs. Gives how many."""
        count = 0
        while removed := self._forget_some(before):
            count += removed
        with self._writing() as db:
            self._kept.forget(db, self._clock())
            strays = inbox.c.thread.not_in(select(threads.c.thread))  # refused mentions never became a thread's
            db.execute(delete(inbox).where(inbox.c.handled == 1, inbox.c.received_at < before, strays))
            db.execute(
                delete(posts).where(
                    posts.c.state != "due", posts.c.created_at < before, posts.c.thread.not_in(select(threads.c.thread))
                )
            )
        return count

    def _forget_some(self, before: float) -> int:
        """Removes a part of them: what Slack waits for can be recorded between two parts."""
        busy = [
            select(turns.c.thread).where(_IS_OPEN),
            select(posts.c.thread).where(posts.c.state == "due", posts.c.created_at >= before),
            select(inbox.c.thread).where(inbox.c.handled == 0),
        ]
        rests = [threads.c.active_at < before, *(threads.c.thread.not_in(query) for query in busy)]
        with self._writing() as db:
            self.journal.alone(db)
            old = list(db.scalars(select(threads.c.thread).where(*rests).limit(_PART)))
            self._holds.drop(old)
            db.execute(delete(inbox).where(inbox.c.thread.in_(old), inbox.c.handled == 1))
            for table in (transcript, proposals, posts, results, turns, threads, holds):
                db.execute(delete(table).where(table.c.thread.in_(old)))
        return len(old)

    # --- the file -----------------------------------------------------------------------------------------------------

    def make_shrinkable(self) -> None:
        """At a start, alone with the database: lets the file of an earlier version shrink from now on. It is written anew for that, once,
        and takes its size on the disk once more while it is."""
        if self._url.get_backend_name() != "sqlite" or self._pragma("auto_vacuum"):
            return
        log.info("writing the database anew, so that its file can shrink; this takes a while", once=True)
        try:
            with self._reader.connect() as db:
                for statement in ("pragma auto_vacuum=incremental", "vacuum", "pragma wal_checkpoint(truncate)"):
                    db.exec_driver_sql(statement)
        except DBAPIError as error:
            log.warning("the database's file cannot shrink", error=str(error.orig), hint="the next start tries again")

    def shrink(self) -> None:
        """Gives what was freed back to the disk, a part at a time, so that acks come between. A server sees to that itself."""
        if self._url.get_backend_name() != "sqlite":
            return
        while self._pragma("freelist_count") and self._pragma("auto_vacuum"):
            with self._turnstile.through(urgent=False):
                self._pragma(f"incremental_vacuum({_PAGES})")
        with suppress(DBAPIError):  # somebody reads: the next time will do
            self._pragma("wal_checkpoint(truncate)")

    def _pragma(self, what: str) -> int:
        """A pragma of SQLite, to its end; the first number that it gives."""
        with self._reader.connect() as db:
            cursor = db.connection.cursor()
            rows = cursor.execute(f"pragma {what}").fetchall()
            cursor.close()
        return int(rows[0][0]) if rows else 0


_HOW = "write sqlite:///bot.db or postgresql://user:password@host/name"


def _engine_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise Misconfigured(f"DATABASE_URL: {_HOW}.") from None
    match parsed.drivername:
        case "sqlite":
            if not parsed.database or parsed.database.startswith((":memory:", "file:")) or parsed.query:
                raise Misconfigured(
                    "DATABASE_URL: name a file, such as sqlite:///bot.db; what lives in memory would be lost."
                )
            return parsed
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise Misconfigured(f"DATABASE_URL: '{other}' is not supported; {_HOW}.")


def _why_unusable(url: URL, error: DBAPIError) -> str:
    """In words for the operator, without the password."""
    host = str(url.host or url.query.get("host") or "this machine")
    where = f"{host}:{url.port}" if url.port else host
    names = {"host": where, "user": url.username or "the user", "name": url.database or "the database"}
    said = str(error.orig).replace(str(url.password or "\0"), "***")
    shown = url.database if url.get_backend_name() == "sqlite" else f"{names['name']} at {where.rpartition('@')[2]}"
    return f"cannot use {shown}: {unusable(said, **names)}"


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        patience = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_SECONDS}
        server = create_engine(
            url, pool_size=16, max_overflow=32, pool_pre_ping=True, connect_args=patience, hide_parameters=True
        )
        event.listen(server, "connect", _bound_stillness)
        return server
    if not Path(str(url.database)).absolute().parent.is_dir():
        raise Misconfigured(f"DATABASE_URL: the folder of {url.database} does not exist; make it first.")
    _keep_private(str(url.database))
    connect = {"timeout": 30, "check_same_thread": False}
    engine = create_engine(url, pool_size=32, max_overflow=32, connect_args=connect, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _keep_private(database: str) -> None:
    """The database's files are for this user alone. SQLite gives those that it makes beside it the mode that it has itself."""
    real = os.path.realpath(database)
    try:
        if not os.path.exists(real):
            os.close(os.open(real, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        for file in (real, f"{real}-wal", f"{real}-shm", f"{real}.lock", f"{database}.journal-key"):
            if os.path.isfile(file) and os.stat(file).st_mode & 0o077:
                os.chmod(file, 0o600)
    except FileExistsError:  # another process was first
        return
    except OSError as error:
        log.warning("the database's files may be read by others", file=error.filename, error=error.strerror)


def _bound_stillness(connection: Any, _record: object) -> None:
    """A process that stands still in the middle of a transaction keeps its locks; the server ends that, for the others' sake."""
    with connection.cursor() as cursor:
        cursor.execute(f"set idle_in_transaction_session_timeout = '{_STILL}s'")
    connection.commit()


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, below
    if not connection.execute("pragma page_count").fetchone()[0]:  # a new file: it counts before anything is in it
        connection.execute("pragma auto_vacuum=incremental").close()
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on"):
        connection.execute(f"pragma {pragma}").close()


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("reads_only"):  # each reading statement is a transaction of its own
        connection.exec_driver_sql("begin immediate")


def _wait_for(take: Callable[[], bool], stop: threading.Event) -> None:
    told = False
    while not take():
        if not told:
            log.warning("waiting", reason="another process works on this database; this one waits until that has ended")
            told = True
        if stop.wait(0.2):
            raise SystemExit(0)


def _admission(load: Any, workers: int, max_waiting: int) -> Admission:
    """What becomes of one more turn."""
    share = max(_LEAST_SHARE, max_waiting // _SHARE)
    if load.pending:
        return "kept" if load.kept < share else "too many of theirs"
    if _waiting(load.total, load.others, workers) > max_waiting:
        return "too many"
    return "taken" if _waiting(load.theirs, load.their_others, workers) <= share else "too many of theirs"


def _waiting(total: int, others: int, workers: int) -> int:
    """How many turns wait with one more: `total` are there, in `others` other threads, each of which keeps at most one worker busy."""
    return total + 1 - min(workers, others + 1)


def _left(table: Table, process: str) -> Select[Any]:
    return select(table).where(_TAKEN[table], table.c.taken_by.not_in(("", process)))


def _arrival(row: Any) -> Arrival:
    told = (row["kind"], json.loads(row["payload"]), row["received_at"])
    return Arrival(row["id"], row["event_id"], Thread.from_key(row["thread"]), *told, **_taken(row))


def _taken(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in ("taken_by", "tries", "ends_alone")}


def _turn(row: Any) -> Turn:
    told = (row["turn"], row["thread"], row["asker"], row["text"], row["ts"], row["model_calls"])
    waits = (row["waits_since"], row["waits_until"])
    return Turn(*told, row["stopped_by"] or "", row["state"] == "running", *waits, **_taken(row))


def _item(row: Any) -> Item:
    match row["kind"]:
        case "heard":
            return ThreadContext(tuple(ThreadMessage(**line) for line in json.loads(row["content"])))
        case "noted":
            return TurnNote(**json.loads(row["content"]))
        case "said":
            return UserMessage(**json.loads(row["content"]))
        case "replied":
            content = json.loads(row["content"])
            calls = tuple(ToolCall(*call) for call in content["calls"])
            added = (content.get("opaque", ""), content.get("opaque_of", ""))  # not in rows of earlier versions
            return AssistantMessage(content["text"], calls, row["id"], row["only_for"], *added)
        case _:
            return Result(row["reply"], row["call"], row["content"], row["only_for"])


def _proposal(row: Any) -> Proposal:
    parsed = {
        "state": State(row["state"]),
        "votes": tuple(json.loads(row["votes"])),
        "rule": Rule.from_json(row["rule"]),
        "dry_run": bool(row["dry_run"]),
        "tainted": bool(row["tainted"]),
    }
    return Proposal(**{**row, **parsed})


# What changes, or comes, and decides nothing.
_MOVING = {"remind_at", "sent_at", "status", "note", "reason", "seal"}
_SEALED = [name for name in Proposal.__dataclass_fields__ if name not in _MOVING]
_REQUEST = ("api", "method", "url", "body", "body_type", "headers", "asker", "rule")


def _what_counts(proposal: Proposal) -> dict[str, Any]:
    """The columns that a seal covers, as the database gives them back."""
    row = _proposal_row(proposal)
    return {name: _as_stored(row[name]) for name in sorted(_SEALED)}


def _as_stored(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case int() | float():
            return float(value)
    return value


def _proposal_row(proposal: Proposal) -> dict[str, Any]:
    row = {name: getattr(proposal, name) for name in Proposal.__dataclass_fields__}
    return row | {
        "votes": json.dumps(proposal.votes),
        "rule": proposal.rule.to_json(),
        "dry_run": int(proposal.dry_run),
        "tainted": int(proposal.tainted),
    }


def _due_post(row: Any) -> Post:
    kind: Kind = row["method"]
    arguments = json.loads(row["arguments"])
    return Post(row["post"], row["thread"], row["turn"], kind, arguments, row["target"], bool(row["card"]))


def _due(row: Any) -> DuePost:
    post = _due_post(row)
    target = (row["target_ts"], row["mention_ts"], row["target_thread"], row["target_state"], row["made_by"])
    return DuePost(row["id"], post, row["created_at"], *target)
