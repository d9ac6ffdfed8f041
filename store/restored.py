"""After a restore from a backup: what was under way then was gone on with since, and must not be done a second time.

A database that was put back says so by the table `backup`, which none has that a bot has worked on. The first start sees to what it finds
(`slack_io/restored.py`), and takes the table away at its end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Double, Text, column, insert, inspect, select, table, text, update

from store.arrivals import IS_NEW, Arrivals, arrival_of
from store.journal.hash_chain import JournalEntry
from store.posts import PostEvent, PostState, add_posts, happens, message
from store.tables import inbox, posts, turns
from store.transcript import AssistantMessage
from store.turns import IS_OPEN, Turns, turn_of

BACKUP = "backup"
MADE = f"create table if not exists {BACKUP} (made_at double precision not null, journal_key text, head text, replaced text)"
_backup = table(BACKUP, column("made_at", Double), column("head", Text), column("replaced", Text))
_NOT_AGAIN = (
    "update",
    "ephemeral",
    "reaction",
    "live",
)  # others are looked for in Slack before they are posted, or end the same


def mark(db: Connection) -> None:
    """Has a database say that it was put back, now."""
    db.execute(text(MADE))
    if db.execute(select(_backup)).first() is None:
        db.execute(insert(_backup).values(made_at=time.time()))


@dataclass(frozen=True)
class Restored:
    """That the database is a backup's. `at`: everything in it is older; `replaced`: the journal's head of what was there before."""

    at: float
    replaced: str = ""


class Restoration(Turns, Arrivals):
    """From the backup's time to now."""

    _lost: list[tuple[float, float]] | None = None  # from when to when nothing is known, by the journal; looked up once

    def restored(self) -> Restored | None:
        """The backup that this database was put back from, until `end_restored`."""
        if not inspect(self._reader).has_table(BACKUP):
            return None
        with self._reading() as db:
            row = db.execute(select(_backup)).first()
        return Restored(float(row.made_at), row.replaced or "") if row is not None else Restored(self._clock())

    def has_lost(self, at: float) -> bool:
        """Whether a moment lies between a backup and the restore from it, so that nothing is known of what happened then."""
        if self._lost is None:
            lines = self.journal.lines(kind="restored")
            self._lost = [(float(json.loads(line.data)["taken_at"]), line.at) for line in lines]
        return any(taken < at <= until for taken, until in self._lost)

    def mark_restored(self) -> None:
        """Has the next start see to what was under way in a database that was put back by other means."""
        with self._writing() as tx:
            mark(tx.db)

    def end_restored(self, found: Restored, words: str, ids: Callable[[], str]) -> int:
        """Ends what was under way in the backup, with `words` in its threads: questions, and what waited to be said; clicks go without.
        Safe to do again. Gives how many questions."""
        self._drop_posts(found)
        ended = [*self._end_arrivals(found, words, ids), *self._end_turns(found, words, ids)]
        with self._writing() as tx:
            tx.alone()
            if inspect(tx.db).has_table(BACKUP):
                told = {"taken_at": found.at, "questions": len(ended), "replaced": found.replaced}
                tx.note("", "", [JournalEntry("restored", told)])
                tx.db.execute(text(f"drop table {BACKUP}"))
        self._lost = None
        return len(ended)

    def _drop_posts(self, found: Restored) -> None:
        due = select(posts.c.post).where(
            posts.c.state == PostState.DUE, posts.c.created_at <= found.at, posts.c.method.in_(_NOT_AGAIN)
        )
        with self._writing() as tx:
            for post in tx.db.scalars(due).all():
                tx.db.execute(happens(PostEvent.DELIVER), {"which": post, "at_ts": None})

    def _end_arrivals(self, found: Restored, words: str, ids: Callable[[], str]) -> list[str]:
        with self._writing() as tx:
            rows = tx.db.execute(select(inbox).where(IS_NEW, inbox.c.received_at <= found.at)).mappings().all()
            asked = [one for one in map(arrival_of, rows) if one.kind == "mention"]
            add_posts(tx, [message(ids(), one.thread.key, "", words) for one in asked])
            tx.db.execute(update(inbox).where(inbox.c.id.in_([row["id"] for row in rows])).values(handled=1))
        return [one.thread.key for one in asked]

    def _end_turns(self, found: Restored, words: str, ids: Callable[[], str]) -> list[str]:
        with self._reading() as db:
            open_turns = [
                turn_of(row)
                for row in db.execute(select(turns).where(IS_OPEN, turns.c.created_at <= found.at)).mappings()
            ]
        for turn in open_turns:
            said = AssistantMessage(words) if turn.is_running else None
            noted = JournalEntry("failed", {"reason": "restored from a backup"})
            says = [message(ids(), turn.thread, turn.turn, words)]
            self.end_turn(turn, says, said=said, usage=None, failed=True, entries=[noted])
        return [turn.thread for turn in open_turns]
