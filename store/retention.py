"""Retention: what rests for long enough is forgotten, and what that frees of the file goes back to the disk."""

from __future__ import annotations

from contextlib import suppress

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from store.arrivals import IS_NEW
from store.database import Database
from store.posts import PostState
from store.proposal_record import proposals
from store.saved_results import Bounds, forget_results
from store.tables import holds, inbox, posts, results, threads, transcript, turns
from store.turns import IS_OPEN
from store.usage import forget_spent

log = structlog.get_logger("store")
_PART = 500  # threads that are forgotten in one transaction
_PAGES = 500  # of the file that are given back at once: two megabytes


class Retention(Database):
    """Forgetting."""

    _bounds: Bounds  # made by the store

    def forget(self, before: float) -> int:
        """Removes the threads at rest since `before`, with all that is theirs. Gives how many."""
        count = 0
        while removed := self._forget_some(before):
            count += removed
        known = select(threads.c.thread)  # refused mentions never became a thread's
        is_old = (posts.c.state != PostState.DUE, posts.c.created_at < before)
        with self._writing() as tx:
            forget_results(tx, self._bounds)
            forget_spent(tx)
            tx.db.execute(
                delete(inbox).where(inbox.c.handled == 1, inbox.c.received_at < before, inbox.c.thread.not_in(known))
            )
            tx.db.execute(delete(posts).where(*is_old, posts.c.thread.not_in(known)))
        return count

    def _forget_some(self, before: float) -> int:
        """Removes a part of them: what Slack waits for can be recorded between two parts."""
        busy = [
            select(turns.c.thread).where(IS_OPEN),
            select(posts.c.thread).where(posts.c.state == PostState.DUE, posts.c.created_at >= before),
            select(inbox.c.thread).where(IS_NEW),
        ]
        rests = [threads.c.active_at < before, *(threads.c.thread.not_in(query) for query in busy)]
        with self._writing() as tx:
            tx.alone()
            old = list(tx.db.scalars(select(threads.c.thread).where(*rests).limit(_PART)))
            if not old:
                return 0
            # Who takes one of them up from now on waits, and has it anew; what was recorded before that keeps its thread.
            tx.db.execute(
                select(holds.c.thread).where(holds.c.thread.in_(old)).order_by(holds.c.thread).with_for_update()
            )
            old = list(tx.db.scalars(select(threads.c.thread).where(*rests, threads.c.thread.in_(old))))
            self._holds.drop(old)
            tx.db.execute(delete(inbox).where(inbox.c.thread.in_(old), inbox.c.handled == 1))
            for table in (transcript, proposals, posts, results, turns, threads, holds):
                tx.db.execute(delete(table).where(table.c.thread.in_(old)))
        return len(old)

    # --- the file -----------------------------------------------------------------------------------------------------

    def make_shrinkable(self) -> None:
        """At a start, alone with the database: lets the file of an earlier version shrink from now on. It is rewritten for that, once,
        and takes its size on the disk once more while it is."""
        if not self._is_file or self._pragma("auto_vacuum"):
            return
        log.info("rewriting the database, so that its file can shrink; this takes a while", once=True)
        try:
            with self._by_statement.connect() as db:
                for statement in ("pragma auto_vacuum=incremental", "vacuum", "pragma wal_checkpoint(truncate)"):
                    db.exec_driver_sql(statement)
        except DBAPIError as error:
            log.warning("the database's file cannot shrink", error=str(error.orig), hint="the next start tries again")

    def shrink(self) -> None:
        """Gives what was freed back to the disk, a part at a time, so that acks come between. A server sees to that itself."""
        if not self._is_file:
            return
        while self._pragma("freelist_count") and self._pragma("auto_vacuum"):
            with self._write_lock.through(urgent=False):
                self._pragma(f"incremental_vacuum({_PAGES})")
        with suppress(DBAPIError):  # somebody reads: the next time will do
            self._pragma("wal_checkpoint(truncate)")

    def _pragma(self, what: str) -> int:
        """A pragma of SQLite, to its end; the first number that it gives."""
        with self._by_statement.connect() as db:
            cursor = db.connection.cursor()
            rows = cursor.execute(f"pragma {what}").fetchall()
            cursor.close()
        return int(rows[0][0]) if rows else 0
