"""What a start finds that an end has left: threads that are not at rest, and what processes were in the middle of when they ended."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

import structlog
from sqlalchemy import ColumnElement, Table, func, or_, select, update
from sqlalchemy import bindparam as given
from sqlalchemy.exc import DBAPIError

from gate.policy import State
from store.arrivals import IS_NEW, Arrival, Arrivals, arrival_of
from store.database import Transaction
from store.holds import Overtaken
from store.posts import NEW, PostState
from store.proposal_record import proposals
from store.tables import inbox, posts, turns
from store.turns import IS_OPEN, Turn, turn_of
from workers.wakes import Work

log = structlog.get_logger("store")
OFTEN = 3  # processes that ended in the middle of the same work, after which it is suspected
Left: TypeAlias = Arrival | Turn
_TAKEN = {inbox: IS_NEW, turns: IS_OPEN}  # what processes take up, and which of it is not over
_ASKED = select(proposals.c.thread).where(proposals.c.thread == turns.c.thread, proposals.c.state == State.PENDING)
_CONNECTS = (func.coalesce(turns.c.connects_until, 0.0) > given("now")) & turns.c.stopped_by.is_(None)
_GOES_ON = IS_OPEN & ((turns.c.tries > 0) | ~(_ASKED.exists() | _CONNECTS))
_IS_DUE = posts.c.state == PostState.DUE


def _ended_in(table: Table) -> ColumnElement[bool]:
    """What of the thread `of` was in the middle of being worked on when processes ended, again and again."""
    return _TAKEN[table] & (table.c.thread == given("of")) & ((table.c.tries >= OFTEN) | (table.c.ends_alone > 0))


@dataclass(frozen=True)
class LeftInThread:
    """What is to be done for a thread: who asked or did what is next there; whether there are arrivals, a turn to advance, posts to
    deliver, writes that people approved, writes under way, and something in whose middle processes ended."""

    asker: str
    arrivals: bool
    turns: bool
    posts: bool
    writes: bool
    sending: bool
    ended: bool


def _is_left(table: Table, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(table.c.thread).where(table.c.thread == given("of"), *where).exists()


_LEFT_IN = select(
    select(turns.c.asker).where(turns.c.thread == given("of"), IS_OPEN).order_by(turns.c.ts).limit(1).scalar_subquery(),
    select(inbox.c.payload)
    .where(inbox.c.thread == given("of"), IS_NEW)
    .order_by(inbox.c.id)
    .limit(1)
    .scalar_subquery(),
    _is_left(turns, _GOES_ON),
    _is_left(posts, _IS_DUE),
    _is_left(proposals, proposals.c.state == State.APPROVED, proposals.c.decided_by.is_not(None)),
    _is_left(proposals, proposals.c.state == State.SENDING),
    or_(*(select(table.c.thread).where(_ended_in(table)).exists() for table in _TAKEN)),
)
_IS_STOPPED = IS_OPEN & turns.c.stopped_by.is_not(None)
_RECORDED = {
    Work.ARRIVALS: select(inbox.c.thread).where(IS_NEW),
    Work.TURNS: select(turns.c.thread).where(_GOES_ON | _IS_STOPPED),
    Work.STOPS: select(turns.c.thread).where(_IS_STOPPED),
    Work.WRITES: select(proposals.c.thread).where(proposals.c.state.in_((State.APPROVED, State.SENDING))),
    Work.POSTS: select(posts.c.thread).where(_IS_DUE, posts.c.made_by == NEW),
}
_ASKERS = select(turns.c.thread, turns.c.asker).where(IS_OPEN).order_by(turns.c.ts.desc())
_UNRESTED = [
    select(table.c.thread).where(is_left).distinct()
    for table, is_left in ((inbox, IS_NEW), (turns, _GOES_ON), (posts, _IS_DUE))
]


class Recovery(Arrivals):
    """From one process to the next."""

    def unrested(self) -> tuple[list[str], list[str], list[str]]:
        """The threads with arrivals, with turns to advance, with posts to deliver: what a start has to wake."""
        with self._reading() as db:
            arrived, open_turns, due = (list(db.scalars(threads, {"now": self._clock()})) for threads in _UNRESTED)
        return arrived, open_turns, due

    def recorded_for(self) -> dict[Work, list[str]]:
        """The threads for which something waits that others may have recorded, by the kind of work. What the process that has a thread
        knows by itself, such as a post that waits for Slack's pace, is not among it."""
        with self._reading() as db:
            return {
                work: list(db.scalars(waits.distinct(), {"now": self._clock()})) for work, waits in _RECORDED.items()
            }

    def left_in(self, thread: str) -> LeftInThread:
        """What is to be done for one thread, by who takes it up."""
        with self._reading() as db:
            asker, arrived, *is_left = db.execute(_LEFT_IN, {"of": thread, "now": self._clock()}).one()
        asker = asker or (json.loads(arrived).get("user") if arrived else "")
        return LeftInThread(asker or "", arrived is not None, *map(bool, is_left))

    def askers(self) -> dict[str, str]:
        """Who asked what is next in each thread with an open turn."""
        with self._reading() as db:
            return {row.thread: row.asker for row in db.execute(_ASKERS)}

    def left_in_the_middle(self) -> list[Left]:
        """At a start, alone: what other processes were working on when they ended. It does not count as being worked on any more."""
        with self._writing() as tx:
            return self._left_by(tx)

    def _left_by(self, tx: Transaction, ended: Collection[str] | None = None) -> list[Left]:
        """What ended processes, or all but this one, were in the middle of."""

        def is_left(table: Table) -> ColumnElement[bool]:
            taken = table.c.taken_by
            return _TAKEN[table] & (taken.not_in(("", self.process)) if ended is None else taken.in_(ended))

        arrivals = tx.db.execute(select(inbox).where(is_left(inbox)).order_by(inbox.c.id)).mappings()
        in_turns = tx.db.execute(select(turns).where(is_left(turns)).order_by(turns.c.inbox)).mappings()
        left: list[Left] = [*map(arrival_of, arrivals), *map(turn_of, in_turns)]
        suspects = left if len(left) == 1 or ended is None else [one for one in left if one.tries >= OFTEN]
        alone = suspects if len(suspects) == 1 else []
        counted = [replace(one, ends_alone=one.ends_alone + 1 if one in alone else 0) for one in left]
        for one in counted:
            of_one = turns.c.turn == one.turn if isinstance(one, Turn) else inbox.c.id == one.id
            table = turns if isinstance(one, Turn) else inbox
            tx.db.execute(update(table).where(of_one).values(taken_by="", ends_alone=one.ends_alone))
        return counted

    def ended_processes(self, thread: str) -> list[Left]:
        """What of a thread was in the middle of being worked on when its processes ended, again and again."""
        with self._reading() as db:
            arrivals = db.execute(select(inbox).where(_ended_in(inbox)), {"of": thread}).mappings().all()
            in_turns = db.execute(select(turns).where(_ended_in(turns)), {"of": thread}).mappings().all()
        return [*map(arrival_of, arrivals), *map(turn_of, in_turns)]

    def leave(self) -> None:
        """The process is to end as it should: this does not count among the ends of what it works on."""
        self.take_in_later()
        try:
            with self._writing() as tx:
                for table, is_open in _TAKEN.items():
                    mine = update(table).where(table.c.taken_by == self.process, is_open, table.c.tries > 0)
                    tx.db.execute(mine.values(taken_by="", tries=table.c.tries - 1))
        except (DBAPIError, Overtaken) as error:
            log.warning("this end will count as one in the middle of work", error=type(error).__name__)

    def leave_posts(self) -> None:
        """Nothing goes on in this process: what is still due cannot be on its way."""
        with suppress(DBAPIError, Overtaken), self._writing() as tx:
            due = update(posts).where(posts.c.made_by == self.process, posts.c.state == PostState.DUE)
            tx.db.execute(due.values(made_by=""))
