"""After a restore from a backup: what was under way then was gone on with since, and must not be done a second time.

A database that was put back says so by the table `backup`, which none has that a bot has worked on. The first start sees to what it finds
(`slack_io/restored.py`), and takes the table away at its end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Double, Text, column, func, insert, inspect, select, table, text, update

from store.arrivals import IS_NEW, Arrivals, arrival_of
from store.database import NotNow, Transaction
from store.holds import beating
from store.journal.hash_chain import JournalEntry
from store.posts import PostEvent, PostState, add_posts, happens, message
from store.received import Mention
from store.tables import inbox, journal, posts, turns
from store.transcript import AssistantMessage
from store.turns import IS_OPEN, Turns, end, turn_of

BACKUP = "backup"
MADE = (
    f"create table if not exists {BACKUP} (made_at double precision not null, taken_at double precision, journal_key text, head text, "
    "replaced text)"
)
_backup = table(BACKUP, column("made_at", Double), column("taken_at", Double), column("replaced", Text))
_LAST_KNOWN = select(func.max(journal.c.at))
_NOT_AGAIN = (
    "update",
    "ephemeral",
    "reaction",
    "live",
)  # others are looked for in Slack before they are posted, or end the same


def mark(db: Connection, replaced: str | None = None) -> None:
    """Has a database say that it was put back, now; `replaced`: the journal's head of what was there before."""
    db.execute(text(MADE))
    if db.execute(select(_backup)).first() is None:
        db.execute(insert(_backup).values(made_at=time.time(), replaced=replaced))


@dataclass(frozen=True)
class Restored:
    """That the database is a backup's. `at`: everything in it is older; `taken_at`: what came after that is not in it; `replaced`: the
    journal's head of what was there before."""

    at: float
    taken_at: float
    replaced: str = ""


class Restoration(Turns, Arrivals):
    """From the backup's time to now."""

    _lost: list[tuple[float, float]] | None = None  # from when to when nothing is known, by the journal; looked up once

    def restored(self) -> Restored | None:
        """The backup that this database was put back from, until `end_restored`."""
        if not inspect(self._by_statement).has_table(BACKUP):
            return None
        with self._reading() as db:
            row, last = db.execute(select(_backup)).first(), db.scalar(_LAST_KNOWN)
        if row is None:
            return Restored(self._clock(), float(last or 0))
        taken = (
            row.taken_at if row.taken_at is not None else last
        )  # of what was put back by other means, the last that it knows
        return Restored(float(row.made_at), float(taken or 0), row.replaced or "")

    def has_lost(self, at: float) -> bool:
        """Whether a moment lies between a backup and the restore from it, so that nothing is known of what happened then."""
        if self._lost is None:
            lines = self.journal.lines(kind="restored")
            self._lost = [(float(json.loads(line.data)["taken_at"]), line.at) for line in lines]
        return any(taken < at <= until for taken, until in self._lost)

    def mark_restored(self) -> None:
        """Has the next start see to what was under way in a database that was put back by other means. Raises `NotNow` where processes
        share it at this moment."""
        with self._writing() as tx:
            if not self._is_file and beating(tx.db):
                raise NotNow
            mark(tx.db)

    def end_restored(self, restored: Restored, words: str, ids: Callable[[], str]) -> int:
        """Ends what was under way in the backup, with `words` in its threads: questions, and what waited to be said; clicks go without.
        Gives how many questions. Of several processes that find it so, one does it."""
        with self._writing() as tx:
            tx.alone()
            if not inspect(tx.db).has_table(BACKUP):
                return 0
            _drop_posts(tx, restored)
            count = _end_arrivals(tx, restored, words, ids) + _end_turns(tx, restored, words, ids)
            details = {"taken_at": restored.taken_at, "questions": count, "replaced": restored.replaced}
            tx.note("", "", [JournalEntry("restored", details)])
            tx.db.execute(text(f"drop table {BACKUP}"))
        self._lost = None
        return count


def _drop_posts(tx: Transaction, found: Restored) -> None:
    due = select(posts.c.post).where(
        posts.c.state == PostState.DUE, posts.c.created_at <= found.at, posts.c.method.in_(_NOT_AGAIN)
    )
    for post in tx.db.scalars(due).all():
        tx.db.execute(happens(PostEvent.DELIVER), {"which": post, "at_ts": None})


def _end_arrivals(tx: Transaction, found: Restored, words: str, ids: Callable[[], str]) -> int:
    rows = tx.db.execute(select(inbox).where(IS_NEW, inbox.c.received_at <= found.at)).mappings().all()
    asked = [one.thread.key for one in map(arrival_of, rows) if isinstance(one.received, Mention)]
    add_posts(tx, [message(ids(), thread, "", words) for thread in asked])
    tx.db.execute(update(inbox).where(inbox.c.id.in_([row["id"] for row in rows])).values(handled=1))
    return len(asked)


def _end_turns(tx: Transaction, found: Restored, words: str, ids: Callable[[], str]) -> int:
    rows = tx.db.execute(select(turns).where(IS_OPEN, turns.c.created_at <= found.at)).mappings().all()
    for turn in map(turn_of, rows):
        last_words = AssistantMessage(words) if turn.is_running else None
        noted = [JournalEntry("failed", {"reason": "restored from a backup"})]
        says = [message(ids(), turn.thread, turn.turn, words)]
        end(tx, turn, says, last_words=last_words, usage=None, failed=True, entries=noted)
    return len(rows)
