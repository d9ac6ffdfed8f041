"""Who works on what: a process takes a thread up before it looks into it, and each of its writes asks whether it still has it.

The number of a hold grows with each process that takes the thread up, and never shrinks. Who comes back with an old one, after the
database's lock was lost or the process stood still, changes nothing. Whoever calls holds the transaction.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Double, case, cast, func, select
from sqlalchemy import bindparam as given

from store.tables import by_engine, holds, replicas

log = structlog.get_logger("holds")
DATABASE = ""  # in place of a thread: the database, for the one process that works on it
EVERYBODY = "all"  # in place of a process, in the table of those that share the database
DEAD = 8.0  # seconds without a sign of life after which a process counts as dead
NOW = cast(func.extract("epoch", func.clock_timestamp()), Double)  # by the server's clock: those of machines differ
BEATING = select(func.count()).where(replicas.c.beat_at > NOW - DEAD, replicas.c.process != EVERYBODY)
_REMEMBERED = 10_000  # threads; one that is forgotten is looked up again

_HELD = (
    select(holds.c.thread, holds.c.fence)
    .where(holds.c.owner == given("me"), (holds.c.thread == given("one")) | (holds.c.thread == given("other")))
    .with_for_update(read=True)
)
IS_HELD = (  # in another statement, with what `Holds.which` gives: it stays so until that one is on disk
    select(holds.c.thread)
    .where(holds.c.thread == given("held"), holds.c.owner == given("holder"), holds.c.fence == given("fence"))
    .with_for_update(read=True)
    .exists()
)
_TAKE_NEW = by_engine(lambda insert: insert(holds).on_conflict_do_nothing().returning(holds.c.fence))


def _take_up(insert: Callable[[Any], Any]) -> Any:
    hold = insert(holds)
    taken = case((holds.c.owner == hold.excluded.owner, holds.c.fence), else_=holds.c.fence + 1)
    change = {"owner": hold.excluded.owner, "fence": taken}
    return hold.on_conflict_do_update(index_elements=["thread"], set_=change).returning(holds.c.fence)


_TAKE_UP = by_engine(_take_up)
_before = holds.alias("before")
_owner_before = select(_before.c.owner).where(_before.c.thread == given("of")).scalar_subquery()
_TAKE_OVER = _TAKE_UP["postgresql"].returning(_owner_before)  # a server looks at what was there before the statement


def beating(db: Connection) -> int:
    """How many processes that share the database give signs of life."""
    return int(db.scalar(BEATING) or 0)


class Overtaken(Exception):
    """Another process has taken this up: nothing was changed, and nothing may be sent."""


@dataclass(frozen=True)
class Hold:
    """A thread as it was taken up."""

    thread: str
    fence: int


class Holds:
    """What one process has taken up. Thread-safe."""

    def __init__(self) -> None:
        self.owner = secrets.token_hex(8)
        self.is_lost = False  # another process works on the database
        self._lock = threading.Lock()
        self._place: Hold | None = None
        self._threads: OrderedDict[str, Hold] = OrderedDict()

    def of(self, thread: str) -> Hold | None:
        """The thread's hold, where this process is known to have it."""
        return self._threads.get(thread)

    def keep(self, hold: Hold) -> None:
        """Remembers what was taken up, once that is on disk."""
        with self._lock:
            if hold.thread == DATABASE:
                self._place = hold
            else:
                self._threads[hold.thread] = hold
            while len(self._threads) > _REMEMBERED:
                self._threads.popitem(last=False)

    def drop(self, threads: Iterable[str]) -> None:
        """Forgets threads, so that they are taken up again."""
        with self._lock:
            for thread in threads:
                self._threads.pop(thread, None)

    def take_up(self, db: Connection, thread: str) -> Hold:
        """Takes a thread from whoever has it; its number grows unless that is this process."""
        return Hold(thread, int(db.scalar(_TAKE_UP[db.dialect.name], self._mine(thread)) or 0))

    def take_over(self, db: Connection, thread: str) -> tuple[Hold, bool]:
        """The same on a server, in one statement; and whether another process had the thread."""
        fence, before = db.execute(_TAKE_OVER, self._mine(thread) | {"of": thread}).one()
        return Hold(thread, int(fence)), before not in (None, self.owner)

    def take_new(self, db: Connection, thread: str) -> Hold | None:
        """Takes up a thread that nobody has had yet; None where somebody has."""
        fence = db.scalar(_TAKE_NEW[db.dialect.name], self._mine(thread))
        return Hold(thread, int(fence)) if fence is not None else None

    def _mine(self, thread: str) -> dict[str, object]:
        return {"thread": thread, "owner": self.owner, "fence": 1}

    def which(self, hold: Hold) -> dict[str, object]:
        """What `IS_HELD` asks for."""
        return {"held": hold.thread, "holder": self.owner, "fence": hold.fence}

    def check(self, db: Connection, working_on: Hold | None) -> None:
        """Raises `Overtaken` unless the database and what is worked on are still this process's, and keeps them so until the
        transaction ends. Its last statement, so that all wait for each other in one order."""
        asked = [hold for hold in (self._place, working_on) if hold is not None]
        if not asked:
            return
        which = {"me": self.owner, "one": asked[0].thread, "other": asked[-1].thread}
        found = {row.thread: row.fence for row in db.execute(_HELD, which)}
        lost = [hold for hold in asked if found.get(hold.thread) != hold.fence]
        if lost:
            self._tell(lost[0])
            raise Overtaken

    def _tell(self, lost: Hold) -> None:
        """Logs a loss once, however much work notices it."""
        with self._lock:
            is_place = lost == self._place
            is_news = not self.is_lost if is_place else self._threads.get(lost.thread) == lost
            self.is_lost = self.is_lost or is_place
            if self._threads.get(lost.thread) == lost:
                del self._threads[lost.thread]
        if is_news:
            what = "the database" if is_place else lost.thread
            log.warning("overtaken", reason=f"another process works on {what} by now; this one leaves it alone")
