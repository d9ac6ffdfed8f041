"""What a start finds that an end has left: threads that are not at rest, and what processes were in the middle of when they ended."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import structlog
from sqlalchemy import ColumnElement, Select, Table, func, select, update
from sqlalchemy.exc import DBAPIError

from gate.policy import State
from store.arrivals import IS_NEW, Arrival, Arrivals, arrival_of
from store.database import Transaction
from store.holds import Overtaken
from store.posts import PostState
from store.proposal_record import proposals
from store.tables import inbox, posts, turns
from store.turns import IS_OPEN, Turn, turn_of

log = structlog.get_logger("store")
OFTEN = 3  # processes that ended in the middle of the same work, after which it is suspected
Left: TypeAlias = Arrival | Turn
_TAKEN = {inbox: IS_NEW, turns: IS_OPEN}  # what processes take up, and which of it is not over


class Recovery(Arrivals):
    """From one process to the next."""

    def unrested(self, thread: str | None = None) -> tuple[list[str], list[str], list[str]]:
        """The threads with arrivals, with turns to advance, with posts to deliver: what a start has to wake; of all, or of one."""
        asked = select(proposals.c.thread).where(
            proposals.c.thread == turns.c.thread, proposals.c.state == State.PENDING
        )
        until = func.coalesce(turns.c.connects_until, 0.0)
        connects = (until > self._clock()) & turns.c.stopped_by.is_(None)
        goes_on = IS_OPEN & ((turns.c.tries > 0) | ~(asked.exists() | connects))

        def threads(table: Table, is_left: ColumnElement[bool]) -> Select[tuple[Any]]:
            which = [is_left] if thread is None else [is_left, table.c.thread == thread]
            return select(table.c.thread).where(*which).distinct()

        with self._reading() as db:
            arrived = db.scalars(threads(inbox, IS_NEW)).all()
            open_turns = db.scalars(threads(turns, goes_on)).all()
            due = db.scalars(threads(posts, posts.c.state == PostState.DUE)).all()
        return list(arrived), list(open_turns), list(due)

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
        often = {table: _TAKEN[table] & (table.c.thread == thread) & (table.c.tries >= OFTEN) for table in _TAKEN}
        alone = {table: _TAKEN[table] & (table.c.thread == thread) & (table.c.ends_alone > 0) for table in _TAKEN}
        with self._reading() as db:
            arrivals = db.execute(select(inbox).where(often[inbox] | alone[inbox])).mappings().all()
            in_turns = db.execute(select(turns).where(often[turns] | alone[turns])).mappings().all()
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
