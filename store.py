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
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, Engine, create_engine, delete, event, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from core import statements as sql
from core.chain import Entry, digest
from core.change import Target
from core.database_words import unusable
from core.policy import Event, Rule, State, sources, target
from core.posts import Kind, Post, Thread
from core.settings import Misconfigured
from core.tables import MIGRATIONS, SERIAL, inbox, posts, proposals, results, threads, transcript, turns
from core.transcript import Called, Heard, Item, Line, Noted, Replied, Result, Said, Usage, open_calls, visible_to
from journal import CHAIN_LOCK, Journal, read_key
from kept import Bounds, Kept

log = structlog.get_logger("store")
_CONNECT_SECONDS = 10  # for a connection to PostgreSQL; its driver would wait for two minutes
_LOCK_NUMBER = 7_316_045_921  # this program's advisory lock; any fixed number that others are unlikely to use


@dataclass(frozen=True)
class Arrival:
    """Something that Slack brought, recorded and not yet looked at."""

    id: int
    event_id: str
    thread: Thread
    kind: str
    payload: dict[str, Any]
    received_at: float


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
    only_for: str = (
        ""  # whose alone is what comes of it from now on: its asker's, once its model has seen what is theirs alone
    )


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

    @property
    def stands(self) -> str:
        """The key of where its card stands."""
        return self.place or self.thread

    @property
    def target(self) -> Target | None:
        """What it is about, as it was read for the card."""
        return Target.from_json(self.before)


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


@dataclass(frozen=True)
class Round:
    """What one reply of the model leads to, stored at once. Results and proposals name their call; the reply's row is added."""

    said: Replied
    usage: Usage
    results: Sequence[Result] = ()
    proposals: Sequence[Proposal] = ()
    posts: Sequence[Post] = ()
    entries: Sequence[Entry] = ()
    tainted: bool = False


@dataclass(frozen=True)
class Effects:
    """What goes with a transition: the call's result for the model, what people are shown, what the journal tells; and, where
    the target changed, the proposal that asks anew."""

    result: str | None = None
    posts: Sequence[Post] = ()
    entries: Sequence[Entry] = ()
    tainted: bool = False
    successor: Proposal | None = None


class Turnstile:
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


Admission = Literal["taken", "kept", "too many"]


class Store:
    """The database of one bot. Thread-safe. `clock` gives seconds since 1970; `on_posts` hears of each thread that has new posts, once
    they are on disk."""

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
        self._held: Connection | None = None
        self._kept = Kept(bounds)
        self._turnstile = Turnstile(wide_open=self._url.get_backend_name() != "sqlite")
        self._inserts = sql.Inserts(sqlite.insert if self._url.get_backend_name() == "sqlite" else postgresql.insert)
        try:
            self._migrate()
        except DBAPIError as error:
            raise Misconfigured(f"DATABASE_URL: {_why_unusable(self._url, error)}.") from None
        file = self._url.database if self._url.get_backend_name() == "sqlite" else None
        self.journal = Journal(self._engine, read_key(journal_key, file))

    def close(self) -> None:
        self._engine.dispose()

    def ping(self) -> None:
        """One statement. Raises what the database raises."""
        with self._reading() as db:
            db.execute(text("select 1"))

    @contextmanager
    def _writing(self, *, urgent: bool = False) -> Iterator[Connection]:
        told: set[str] = set()
        try:
            with self._turnstile.through(urgent=urgent), self._engine.begin() as db:
                db.info["told"] = told
                yield db
        finally:  # also where the answer to a COMMIT was lost, which may have been done all the same
            for thread in told:
                self.on_posts(thread)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._reader.connect() as db:
            yield db

    def _migrate(self) -> None:
        with self._writing() as db:
            self._alone(db)
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

    def _alone(self, db: Connection) -> None:
        """Holds off other transactions that call this, until the end of this one. On SQLite, BEGIN IMMEDIATE has done so."""
        if db.dialect.name == "postgresql":
            db.execute(text("select pg_advisory_xact_lock(:number)"), {"number": CHAIN_LOCK})

    # --- one process per database -------------------------------------------------------------------------------------

    def lock(self, stop: threading.Event) -> None:
        """Waits until this process alone works on the database. `stop` ends the waiting with `SystemExit`.

        A file lock beside a SQLite file, an advisory lock on PostgreSQL; both go when the process dies.
        """
        _wait_for(self._lock_file() if self._url.get_backend_name() == "sqlite" else self._lock_server(), stop)

    def still_alone(self) -> bool:
        """Whether the lock still holds: one on a server goes with its connection."""
        if self._held is None:
            return True
        try:
            self._held.execute(text("select 1"))
        except DBAPIError:
            return False
        return True

    def _lock_file(self) -> Callable[[], bool]:
        handle = os.open(f"{os.path.realpath(str(self._url.database))}.lock", os.O_RDWR | os.O_CREAT, 0o600)

        def take() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        return take

    def _lock_server(self) -> Callable[[], bool]:
        held = self._held = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return lambda: bool(held.scalar(text("select pg_try_advisory_lock(:number)"), {"number": _LOCK_NUMBER}))

    # --- inbox --------------------------------------------------------------------------------------------------------

    def record(
        self, kind: str, thread: Thread, payload: dict[str, Any], *, event_id: str, ts: str | None = None
    ) -> bool:
        """Records an arrival. False where the same event, or a message with the same channel and ts, was recorded before."""
        values = {
            "event_id": event_id, "team": thread.team, "channel": thread.channel, "ts": ts, "thread": thread.key, "kind": kind,
            "payload": json.dumps(payload), "handled": 0, "received_at": self._clock(),
        }  # fmt: skip
        with self._writing(urgent=True) as db:  # Slack waits for it
            return db.scalar(self._inserts.arrival, values) is not None

    def arrivals(self, thread: str) -> list[Arrival]:
        """What came in for a thread and was not looked at, oldest first."""
        with self._reading() as db:
            rows = db.execute(sql.ARRIVALS, {"of": thread}).mappings().all()
        return [
            Arrival(
                row["id"],
                row["event_id"],
                Thread.from_key(row["thread"]),
                row["kind"],
                json.loads(row["payload"]),
                row["received_at"],
            )
            for row in rows
        ]

    def dispose(self, arrival: Arrival, says: Sequence[Post] = (), entries: Sequence[Entry] = ()) -> None:
        """Marks an arrival as looked at, with what is said and written down about it."""
        with self._writing() as db:
            self._handled(db, arrival.id)
            self._add_posts(db, says)
            self._note(db, arrival.thread.key, "", entries)

    def admit(
        self, arrival: Arrival, turn: Turn, says: dict[Admission, Sequence[Post]], *, workers: int, max_waiting: int
    ) -> Admission:
        """Makes a turn of a mention, or refuses it as one too many; `says` has the posts of each outcome.

        Turns that workers are busy with and threads that wait for a decision do not count as waiting.
        """
        with self._writing() as db:
            self._alone(db)
            load = db.execute(sql.LOAD, {"of": turn.thread}).one()
            waiting_then = load.total + 1 - min(workers, load.others + 1)  # a thread keeps at most one worker busy
            outcome: Admission = "kept" if load.pending else "taken"
            if not load.pending and waiting_then > max_waiting:
                outcome = "too many"
            else:
                self._add_turn(db, arrival, turn)
            asked = {"asker": turn.asker, "words": digest(turn.text), "ts": turn.ts, "outcome": outcome}
            self._note(db, turn.thread, turn.turn, [Entry("question", asked)])
            self._handled(db, arrival.id)
            self._add_posts(db, says[outcome])
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
        db.execute(sql.HANDLED, {"arrival": arrival})

    # --- turns --------------------------------------------------------------------------------------------------------

    def next_turn(self, thread: str) -> Turn | None:
        """The turn that runs in the thread; where none does, the oldest waiting one."""
        with self._reading() as db:
            row = db.execute(sql.CURRENT_TURN, {"of": thread}).mappings().first()
        return _turn(row) if row is not None else None

    def begin_turn(
        self, turn: Turn, text: str, heard: Sequence[Line], entries: Sequence[Entry] = (), noted: Noted | None = None
    ) -> Turn:
        """Begins a waiting turn: the words of its question, what goes with it, and what others wrote before it, join the transcript."""
        begun = replace(turn, text=text, is_running=True)
        with self._writing() as db:
            db.execute(sql.BEGIN_TURN, {"which": turn.turn, "words": text})
            if noted is not None:
                self._add_item(db, turn.thread, turn.turn, noted)
            if heard:
                self._add_item(db, turn.thread, turn.turn, Heard(tuple(heard)))
            self._add_item(db, turn.thread, turn.turn, Said(text, turn.asker))
            others = db.scalar(sql.OTHERS_SPOKE, {"of": turn.thread, "asker": turn.asker})
            strange = any(line.is_bot or line.by != turn.asker for line in heard)  # apps may post in the asker's name
            self._touch(db, turn.thread, tainted=others is not None or strange)
            self._note(db, turn.thread, turn.turn, entries)
        return begun

    def drop_turn(self, turn: Turn, entries: Sequence[Entry]) -> None:
        """Ends a turn that never began: its question was taken back."""
        with self._writing() as db:
            self._spend(db, turn, None, "done", self._clock())
            self._note(db, turn.thread, turn.turn, entries)

    def stop_turn(self, turn: Turn, by: str, entries: Sequence[Entry] = (), *, arrival: int | None = None) -> bool:
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

    def transcript(self, thread: str, asker: str) -> list[Item]:
        """The thread's transcript as the turns of `asker` may see it, oldest first."""
        with self._reading() as db:
            items = [_item(row) for row in db.execute(sql.TRANSCRIPT, {"of": thread}).mappings()]
        return visible_to(items, asker)

    def is_tainted(self, thread: str) -> bool:
        """Whether the thread ever held data of the API or words of other people."""
        with self._reading() as db:
            return bool(db.scalar(sql.TAINTED, {"of": thread}))

    def add_round(self, turn: Turn, made: Round) -> Replied:
        """Stores one reply with the results, proposals and cards that came of it. Gives the reply with its row."""
        with self._writing() as db:
            row = self._add_item(db, turn.thread, turn.turn, made.said)
            for one in made.results:
                self._add_item(db, turn.thread, turn.turn, replace(one, reply=row))
            if made.proposals:
                db.execute(self._inserts.proposals, [_proposal_row(replace(one, reply=row)) for one in made.proposals])
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
        said: Replied | None,
        usage: Usage | None,
        failed: bool = False,
        entries: Sequence[Entry] = (),
    ) -> None:
        """The turn's rest: its last words, what people are told, and its tokens (`usage` None: no model call belongs to this end)."""
        with self._writing() as db:
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
        db.execute(sql.SPEND, counts | {"which": turn.turn, "new_state": state, "end": end})

    def _touch(self, db: Connection, thread: str, *, tainted: bool) -> None:
        db.execute(sql.TOUCH, {"of": thread, "now": self._clock(), "taint": int(tainted)})

    def _add_item(self, db: Connection, thread: str, turn: str, item: Item) -> int:
        owner = item.only_for if isinstance(item, (Replied, Result)) else ""
        values: dict[str, Any] = {"thread": thread, "turn": turn, "at": self._clock(), "only_for": owner}
        values |= {"reply": None, "call": None}
        match item:
            case Heard():
                values |= {"kind": "heard", "content": json.dumps([vars(line) for line in item.lines])}
            case Noted():
                values |= {"kind": "noted", "content": json.dumps(vars(item))}
            case Said():
                values |= {"kind": "said", "content": json.dumps({"text": item.text, "by": item.by})}
            case Replied():
                calls = [[call.id, call.name, call.arguments, call.key] for call in item.calls]
                values |= {"kind": "replied", "content": json.dumps({"text": item.text, "calls": calls})}
            case Result():
                values |= {"kind": "result", "content": item.content, "reply": item.reply, "call": item.call}
        return int(db.scalar(self._inserts.item, values) or 0)  # 0: the call has a result already, and keeps it

    def unrested(self) -> tuple[list[str], list[str], list[str]]:
        """The threads with arrivals, with turns to advance, with posts to deliver: what a start has to wake."""
        with self._reading() as db:
            arrived = db.scalars(select(inbox.c.thread).where(inbox.c.handled == 0).distinct()).all()
            open_turns = db.scalars(
                select(turns.c.thread).where(turns.c.state.in_(("waiting", "running"))).distinct()
            ).all()
            due = db.scalars(select(posts.c.thread).where(posts.c.state == "due").distinct()).all()
        return list(arrived), list(open_turns), list(due)

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

    def proposals_in(self, *states: State) -> list[Proposal]:
        """All proposals in these states."""
        return self._proposals(proposals.c.state.in_(states))

    def proposals_due(self) -> list[Proposal]:
        """Pending proposals whose time is over."""
        return self._proposals(proposals.c.state == State.PENDING, proposals.c.expires_at <= self._clock())

    def proposals_to_remind(self) -> list[Proposal]:
        """Pending proposals whose half time has come and of which nobody was reminded."""
        return self._proposals(proposals.c.state == State.PENDING, proposals.c.remind_at <= self._clock())

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
        pending = proposals.c.state == State.PENDING
        with self._reading() as db:
            moments = db.execute(
                select(func.min(proposals.c.expires_at), func.min(proposals.c.remind_at)).where(pending)
            ).one()
        return min((float(moment) for moment in moments if moment is not None), default=None)

    def thread_of(self, turn: str) -> str | None:
        """The thread of a turn."""
        with self._reading() as db:
            found = db.scalar(select(turns.c.thread).where(turns.c.turn == turn))
        return str(found) if found is not None else None

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
        """Lets `happened` happen to a proposal, with its effects; None (and nothing changed) where the table does not allow it.

        One conditional UPDATE decides between all who try at once. `arrival` is the click that this answers; with `seen`, it happens
        only in that state, for who would be wrong about any other.
        """
        allowed = proposals.c.state.in_([one for one in sources(happened) if seen in (None, one)])
        change = (
            update(proposals).where(proposals.c.proposal == proposal, allowed).values(state=target(happened), **columns)
        )
        with self._writing() as db:
            if arrival is not None:
                self._handled(db, arrival)
            row = db.execute(change.returning(*proposals.c)).mappings().first()
            if row is None:
                return None
            changed = _proposal(row)
            self._apply(db, changed, effects(changed))
        return changed

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
            if arrival is not None:
                self._handled(db, arrival)
            pending = select(proposals).where(
                proposals.c.proposal == proposal, proposals.c.state.in_(sources(Event.APPROVE))
            )
            row = db.execute(pending.with_for_update()).mappings().first()
            if row is None:
                return None
            before = _proposal(row)
            if voter in before.votes:
                return before
            votes = (*before.votes, voter)
            columns: dict[str, Any] = {"votes": json.dumps(votes)}
            if len(votes) >= before.rule.quorum:
                columns |= {"state": target(Event.APPROVE), "decided_by": voter, "decided_at": at}
            change = update(proposals).where(proposals.c.proposal == proposal).values(columns).returning(*proposals.c)
            changed = _proposal(db.execute(change).mappings().one())
            self._apply(db, changed, effects(changed))
        return changed

    def _apply(self, db: Connection, changed: Proposal, after: Effects) -> None:
        if after.result is not None:
            told = Result(changed.reply, changed.call, after.result, changed.only_for)
            self._add_item(db, changed.thread, changed.turn, told)
        if after.successor is not None:
            db.execute(self._inserts.proposals, _proposal_row(after.successor))
        self._add_posts(db, after.posts)
        self._note(db, changed.thread, changed.turn, after.entries)
        self._touch(db, changed.thread, tainted=after.tainted)

    def remind(self, proposal: Proposal, says: Sequence[Post]) -> None:
        """Notes that a pending proposal's reminder went out, with the reminder."""
        once = update(proposals).where(proposals.c.proposal == proposal.proposal, proposals.c.remind_at.is_not(None))
        with self._writing() as db:
            if db.execute(once.where(proposals.c.state == State.PENDING).values(remind_at=None)).rowcount:
                self._add_posts(db, says)
                self._note(db, proposal.thread, proposal.turn, [Entry("reminder", {"proposal": proposal.proposal})])

    # --- posts --------------------------------------------------------------------------------------------------------

    def note(self, thread: str, turn: str, entries: Sequence[Entry]) -> None:
        """Writes entries of the journal that tell of nothing else in the database."""
        if entries:
            with self._writing() as db:
                self._note(db, thread, turn, entries)

    def _note(self, db: Connection, thread: str, turn: str, entries: Sequence[Entry]) -> None:
        self.journal.append(db, self._clock(), thread, turn, entries)

    def _add_posts(self, db: Connection, says: Sequence[Post]) -> None:
        if says:
            db.execute(self._inserts.posts, [_post_row(post, self._clock()) for post in says])
            db.info["told"].update(post.thread for post in says)

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

    def keep(self, thread: str, data: str, only_for: str = "") -> int | None:
        """Keeps an answer (JSON text) for a while, for one person alone where `only_for` names one; gives its number in the thread.

        None: too large.
        """
        with self._writing() as db:
            self._alone(db)
            return self._kept.add(db, thread, data, self._clock(), only_for)

    def kept(self, thread: str, number: int, asker: str) -> str | None:
        """A thread's answer of this number, while it is kept and if `asker` may see it."""
        with self._reading() as db:
            return self._kept.find(db, thread, number, self._clock(), asker)

    # --- retention ----------------------------------------------------------------------------------------------------

    def forget(self, before: float) -> int:
        """Removes the threads at rest since `before`, with all that is theirs. Gives how many."""
        busy = [
            select(turns.c.thread).where(turns.c.state.in_(("waiting", "running"))),
            select(posts.c.thread).where(posts.c.state == "due", posts.c.created_at >= before),
            select(inbox.c.thread).where(inbox.c.handled == 0),
        ]
        with self._writing() as db:
            old = list(
                db.scalars(
                    select(threads.c.thread).where(
                        threads.c.active_at < before, *(threads.c.thread.not_in(q) for q in busy)
                    )
                )
            )
            for at in range(0, len(old), 500):
                for table in (inbox, transcript, proposals, posts, results, turns, threads):
                    db.execute(delete(table).where(table.c.thread.in_(old[at : at + 500])))
            self._kept.forget(db, self._clock())
            strays = inbox.c.thread.not_in(select(threads.c.thread))  # refused mentions never became a thread's
            db.execute(delete(inbox).where(inbox.c.handled == 1, inbox.c.received_at < before, strays))
            db.execute(
                delete(posts).where(
                    posts.c.state != "due", posts.c.created_at < before, posts.c.thread.not_in(select(threads.c.thread))
                )
            )
        return len(old)


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
        return create_engine(
            url, pool_size=16, max_overflow=32, pool_pre_ping=True, connect_args=patience, hide_parameters=True
        )
    if not Path(str(url.database)).absolute().parent.is_dir():
        raise Misconfigured(f"DATABASE_URL: the folder of {url.database} does not exist; make it first.")
    connect = {"timeout": 30, "check_same_thread": False}
    engine = create_engine(url, pool_size=32, max_overflow=32, connect_args=connect, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, below
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


def _turn(row: Any) -> Turn:
    told = (row["turn"], row["thread"], row["asker"], row["text"], row["ts"], row["model_calls"])
    return Turn(*told, row["stopped_by"] or "", row["state"] == "running")


def _item(row: Any) -> Item:
    match row["kind"]:
        case "heard":
            return Heard(tuple(Line(**line) for line in json.loads(row["content"])))
        case "noted":
            return Noted(**json.loads(row["content"]))
        case "said":
            return Said(**json.loads(row["content"]))
        case "replied":
            content = json.loads(row["content"])
            return Replied(
                content["text"], tuple(Called(*call) for call in content["calls"]), row["id"], row["only_for"]
            )
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


def _proposal_row(proposal: Proposal) -> dict[str, Any]:
    row = {name: getattr(proposal, name) for name in Proposal.__dataclass_fields__}
    return row | {
        "votes": json.dumps(proposal.votes),
        "rule": proposal.rule.to_json(),
        "dry_run": int(proposal.dry_run),
        "tainted": int(proposal.tainted),
    }


def _post_row(post: Post, at: float) -> dict[str, Any]:
    return {
        "post": post.post, "thread": post.thread, "turn": post.turn, "method": post.kind, "arguments": json.dumps(post.arguments),
        "target": post.target, "state": "due", "created_at": at, "card": int(post.is_card),
    }  # fmt: skip


def _due_post(row: Any) -> Post:
    kind: Kind = row["method"]
    arguments = json.loads(row["arguments"])
    return Post(row["post"], row["thread"], row["turn"], kind, arguments, row["target"], bool(row["card"]))


def _due(row: Any) -> DuePost:
    post = _due_post(row)
    target = (row["target_ts"], row["mention_ts"], row["target_thread"], row["target_state"])
    return DuePost(row["id"], post, row["created_at"], *target)
