"""The inbox: what Slack brought, recorded before the 200, and looked at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, literal_column, select, update
from sqlalchemy import bindparam as given

from base.thread import Thread
from store.database import Database, Transaction
from store.holds import Overtaken
from store.journal.hash_chain import JournalEntry
from store.posts import Post, add_posts
from store.received import Click, HomeOpened, Received, Unreadable, as_json, from_row
from store.tables import by_engine, inbox
from workers.wakes import Work


@dataclass(frozen=True)
class Arrival:
    """Something that Slack brought, recorded and not yet looked at."""

    id: int
    received: Received | Unreadable
    received_at: float
    installed_in: tuple[str, ...] | None = (
        None  # the workspaces and enterprises that it was for; None: Slack did not say
    )
    taken_by: str = ""  # the process that is in the middle of it
    tries: int = 0  # how many processes have taken it up
    ends_alone: int = 0  # how many of them, in a row, ended in the middle of this and of nothing else
    trace: str = ""  # the context of its spans, as W3C Trace Context writes it

    @property
    def thread(self) -> Thread:
        """Where it came."""
        return self.received.thread


IS_NEW = inbox.c.handled == 0
_FIELDS = [column.name for column in inbox.c if column.name not in ("id", "ends_alone")]
_RECORD = by_engine(
    lambda insert: (
        insert(inbox)
        .values({name: given(f"new_{name}") for name in _FIELDS})
        .on_conflict_do_nothing()
        .returning(inbox.c.id)
    )
)
_OF_THREAD = select(inbox).where(inbox.c.thread == given("of"), IS_NEW).order_by(inbox.c.id)
_TAKE_IN = (
    update(inbox)
    .where(inbox.c.id == given("arrival"), IS_NEW, inbox.c.taken_by != given("me"))
    .values(taken_by=given("me"), tries=inbox.c.tries + 1)
)
_HANDLED = update(inbox).where(inbox.c.id == given("arrival"), IS_NEW).values(handled=1)
_WAS_HANDLED = select(inbox.c.id).where(inbox.c.id == given("arrival"))
_NEW_CLICKS = select(inbox).where(inbox.c.handled == literal_column("0"), inbox.c.kind == Click.kind)


def arrival_of(row: Mapping[Any, Any]) -> Arrival:
    """The arrival of a row."""
    received, installed_in = from_row(row)
    taken = (row["taken_by"], row["tries"], row["ends_alone"], row["trace"])
    return Arrival(row["id"], received, row["received_at"], installed_in, *taken)


def mark_handled(tx: Transaction, arrival: int) -> None:
    """Marks an arrival as looked at. Raises `Overtaken` where that was done before: what came of it stands."""
    which = {"arrival": arrival}
    if not tx.db.execute(_HANDLED, which).rowcount and tx.db.scalar(_WAS_HANDLED, which) is not None:
        raise Overtaken


def first_clicks(db: Connection) -> dict[str, float]:
    """When the first click came in, of those that nobody has looked at, by what its button carries."""
    found: dict[str, float] = {}
    for row in db.execute(_NEW_CLICKS).mappings():
        click, at = from_row(row)[0], row["received_at"]
        if isinstance(click, Click):
            found[click.token] = min(at, found.get(click.token, at))
    return found


class ComingIn:
    """What is being recorded at this moment: since when. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[object, float] = {}

    @contextmanager
    def one(self) -> Iterator[float]:
        """The moment at which something came in, known to the clock's work until it is recorded."""
        mark = object()
        with self._lock:  # so that whoever looks at the time next sees it
            self._since[mark] = received_at = self._clock()
        try:
            yield received_at
        finally:
            self._since.pop(mark, None)

    def now_and_first(self) -> tuple[float, float]:
        """The time, and when the first of what is being recorded came in; infinity where nothing is."""
        with self._lock:
            return self._clock(), min(self._since.values(), default=float("inf"))


class Arrivals(Database):
    """The inbox."""

    _coming: ComingIn  # made by the store
    _takes_in_at_once = True

    def check_recording(self) -> None:
        """Records something and takes it back, on disk. Raises what recording an arrival raises."""
        event_id = f"check:{self.process}"
        nobody = HomeOpened(event_id, Thread("T0", "C0", "0"), "U0")
        with self._writing() as tx:
            tx.db.execute(_RECORD[tx.engine], _row(nobody, None, self._clock()) | {"new_handled": 1})
            tx.db.execute(delete(inbox).where(inbox.c.event_id == event_id))

    def record(self, received: Received, installed_in: Sequence[str] | None = None, trace: str = "") -> bool:
        """Records an arrival, the installations that it was for, and the trace that it began. False where the same event, or a message
        with the same channel and ts, was recorded before."""
        with self._coming.one() as received_at:
            values = _row(received, installed_in, received_at) | {"new_trace": trace}
            if self.is_shared:
                return self._record_at_once(received, values)
            with self._writing(urgent=True) as tx:  # Slack waits for it
                tx.wake(received.thread.key, Work.ARRIVALS, lane=received.user)
                return tx.db.scalar(_RECORD[tx.engine], values | self._taken_in()) is not None

    def _record_at_once(self, received: Received, values: dict[str, Any]) -> bool:
        """In one statement: each further one would wait its turn among all threads of this process, while Slack waits for it."""
        thread, work, record = received.thread.key, {Work.ARRIVALS}, _RECORD["postgresql"]
        is_pinned = self._wakes.pin(thread)
        try:
            with self._by_itself() as db:
                if is_pinned:
                    return db.scalar(record, values | self._taken_in()) is not None
                return self._wakes.record_and_defer(db, record, values, thread, work)
        finally:  # also where the answer was lost, which may have been done all the same
            self._wakes.recorded(thread, work, is_pinned=is_pinned, lane=received.user)

    def _taken_in(self) -> dict[str, Any]:
        return {"new_taken_by": self.process, "new_tries": 1} if self._takes_in_at_once else {}

    def take_in_later(self) -> None:
        """What comes in from now on is not worked on at once."""
        self._takes_in_at_once = False

    def take_in_at_once(self) -> None:
        """What comes in from now on is worked on at once, which need not be noted by a transaction of its own."""
        self._takes_in_at_once = True

    def arrivals(self, thread: str) -> list[Arrival]:
        """What came in for a thread and was not looked at, oldest first."""
        with self._reading() as db:
            return [arrival_of(row) for row in db.execute(_OF_THREAD, {"of": thread}).mappings()]

    def take_in(self, arrival: Arrival) -> None:
        """Counts this process among those that looked at an arrival: before it does, so that an end in the middle of it shows."""
        if arrival.taken_by != self.process:
            with self._by_itself() as db:
                db.execute(_TAKE_IN, {"arrival": arrival.id, "me": self.process})

    def dispose(self, arrival: Arrival, says: Sequence[Post] = (), entries: Sequence[JournalEntry] = ()) -> None:
        """Marks an arrival as looked at, with what is said and written down about it."""
        with self._writing() as tx:
            mark_handled(tx, arrival.id)
            add_posts(tx, says)
            tx.note(arrival.thread.key, "", entries)

    def handled(self, arrival: int) -> None:
        """Marks an arrival as looked at, with nothing to be said about it."""
        with self._writing() as tx:
            mark_handled(tx, arrival)


def _row(received: Received, installed_in: Sequence[str] | None, received_at: float) -> dict[str, Any]:
    thread = received.thread
    row = {
        "event_id": received.event_id, "team": thread.team, "channel": thread.channel, "ts": received.ts, "thread": thread.key,
        "kind": received.kind, "payload": as_json(received, installed_in), "handled": 0, "received_at": received_at,
        "taken_by": "", "tries": 0, "trace": "",
    }  # fmt: skip
    return {f"new_{name}": value for name, value in row.items()}
