"""Answers that are too large for the model, kept for a while in the store's database, so that it can look at more of them.

Bounded in size and age: what does not fit, or was kept longest, goes first. A thread sees its own alone, and of it nobody what is
another person's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from store.database import Database, Transaction
from store.tables import results, threads

_HOURS = 3_600.0


@dataclass(frozen=True)
class Bounds:
    """What is kept, in characters of JSON: of one answer, of a thread's, of all; and for how many seconds."""

    one: int = 10_000_000
    thread: int = 30_000_000
    all: int = 300_000_000
    age: float = 24 * _HOURS


class KeptAnswer(NamedTuple):
    """An answer that was kept: its data (JSON text), and why that is not all of it, empty where nothing is known to be missing."""

    data: str
    part: str = ""


class SavedResults(Database):
    """The saved results of all threads."""

    _bounds: Bounds  # made by the store

    def keep(self, thread: str, data: str, only_for: str = "", part: str = "") -> int | None:
        """Keeps an answer (JSON text; `part` says why that is not all of it) for a while, for one person alone where `only_for` names
        one; gives its number in the thread, which is never given again.

        None: too large, or no such thread.
        """
        if len(data) > self._bounds.one:
            return None
        count = update(threads).where(threads.c.thread == thread).values(results=threads.c.results + 1)
        with self._writing() as tx:
            tx.alone()
            number = tx.db.scalar(count.returning(threads.c.results))
            if number is None:
                return None
            row = {"thread": thread, "number": number, "size": len(data), "at": tx.clock(), "only_for": only_for}
            tx.db.execute(insert(results), row | KeptAnswer(data, part)._asdict())
            forget_results(tx, self._bounds)
            _shed(tx, self._bounds.thread, results.c.thread == thread)
            _shed(tx, self._bounds.all)
        return int(number)

    def kept(self, thread: str, number: int, asker: str) -> KeptAnswer | None:
        """A thread's answer of this number, while it is kept and if `asker` may see it."""
        query = select(results.c.data, results.c.part).where(
            results.c.thread == thread,
            results.c.number == number,
            results.c.at >= self._clock() - self._bounds.age,
            results.c.only_for.in_(("", asker)),
        )
        with self._reading() as db:
            found = db.execute(query).first()
        return KeptAnswer(*found) if found is not None else None


def forget_results(tx: Transaction, bounds: Bounds) -> None:
    """Removes what is too old."""
    tx.db.execute(delete(results).where(results.c.at < tx.clock() - bounds.age))


def _shed(tx: Transaction, bound: int, *of: ColumnElement[bool]) -> None:
    """Removes the oldest, of all or of those that `of` says, until the rest fits; the newest stays."""
    size = int(tx.db.scalar(select(func.coalesce(func.sum(results.c.size), 0)).where(*of)) or 0)
    if size <= bound:
        return
    kept = select(results.c.thread, results.c.number, results.c.size).where(*of)
    rows = tx.db.execute(kept.order_by(results.c.at, results.c.number)).all()
    for row in rows[:-1]:
        if size <= bound:
            return
        tx.db.execute(delete(results).where(results.c.thread == row.thread, results.c.number == row.number))
        size -= row.size
