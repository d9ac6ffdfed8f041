"""What a start finds that an end has left: threads that are not at rest, and what processes were in the middle of when they ended."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import structlog
from sqlalchemy import Select, Table, select, update
from sqlalchemy.exc import DBAPIError

from gate.policy import State
from store.arrivals import IS_NEW, Arrival, Arrivals, arrival_of
from store.holds import Overtaken
from store.posts import PostState
from store.proposal_record import proposals
from store.tables import inbox, posts, turns
from store.turns import IS_OPEN, Turn, turn_of

log = structlog.get_logger("store")
_TAKEN = {inbox: IS_NEW, turns: IS_OPEN}  # what processes take up, and which of it is not over


class Recovery(Arrivals):
    """From one process to the next."""

    def unrested(self) -> tuple[list[str], list[str], list[str]]:
        """The threads with arrivals, with turns to advance, with posts to deliver: what a start has to wake."""
        asked = select(proposals.c.thread).where(
            proposals.c.thread == turns.c.thread, proposals.c.state == State.PENDING
        )
        goes_on = IS_OPEN & ((turns.c.tries > 0) | ~asked.exists())
        with self._reading() as db:
            arrived = db.scalars(select(inbox.c.thread).where(IS_NEW).distinct()).all()
            open_turns = db.scalars(select(turns.c.thread).where(goes_on).distinct()).all()
            due = db.scalars(select(posts.c.thread).where(posts.c.state == PostState.DUE).distinct()).all()
        return list(arrived), list(open_turns), list(due)

    def left_in_the_middle(self) -> list[Arrival | Turn]:
        """At a start: what other processes were working on when they ended. It does not count as being worked on any more."""
        with self._writing() as tx:
            left: list[Arrival | Turn] = [
                *(arrival_of(row) for row in tx.db.execute(self._left(inbox).order_by(inbox.c.id)).mappings()),
                *(turn_of(row) for row in tx.db.execute(self._left(turns).order_by(turns.c.inbox)).mappings()),
            ]
            ends = [one.ends_alone + 1 for one in left] if len(left) == 1 else [0] * len(left)
            for table, is_open in _TAKEN.items():
                ended = update(table).where(is_open, table.c.taken_by.not_in(("", self.process)))
                tx.db.execute(ended.values(taken_by="", ends_alone=max(ends, default=0)))
        return [replace(one, ends_alone=count) for one, count in zip(left, ends, strict=True)]

    def _left(self, table: Table) -> Select[tuple[object, ...]]:
        return select(table).where(_TAKEN[table], table.c.taken_by.not_in(("", self.process)))

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
