"""Answers that are too large for the model, kept for a while in the store's database, so that it can look at more of them.

Bounded in size and age: what does not fit, or was kept longest, goes first. A thread sees its own alone, and of it nobody what is
another person's. Whoever calls holds the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

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


class SavedResults:
    """The kept answers of one database."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()

    def add(self, db: Connection, thread: str, answer: KeptAnswer, now: float, only_for: str) -> int | None:
        """Keeps an answer, for one person alone where `only_for` names one; gives its number in the thread, which is never
        given again. None: too large, or no such thread."""
        data = answer.data
        if len(data) > self._bounds.one:
            return None
        count = update(threads).where(threads.c.thread == thread).values(results=threads.c.results + 1)
        number = db.scalar(count.returning(threads.c.results))
        if number is None:
            return None
        row = {"thread": thread, "number": number, "size": len(data), "at": now, "only_for": only_for}
        db.execute(insert(results), row | answer._asdict())
        self.forget(db, now)
        self._shed(db, self._bounds.thread, thread)
        self._shed(db, self._bounds.all)
        return int(number)

    def find(self, db: Connection, thread: str, number: int, now: float, asker: str) -> KeptAnswer | None:
        """A thread's answer of this number, while it is kept and if `asker` may see it."""
        query = select(results.c.data, results.c.part).where(
            results.c.thread == thread,
            results.c.number == number,
            results.c.at >= now - self._bounds.age,
            results.c.only_for.in_(("", asker)),
        )
        found = db.execute(query).first()
        return KeptAnswer(*found) if found is not None else None

    def forget(self, db: Connection, now: float) -> None:
        """Removes what is too old."""
        db.execute(delete(results).where(results.c.at < now - self._bounds.age))

    @staticmethod
    def _shed(db: Connection, bound: int, thread: str | None = None) -> None:
        """Removes the oldest, of a thread or of all, until the rest fits; the newest stays."""
        of = [results.c.thread == thread] if thread is not None else []
        size = int(db.scalar(select(func.coalesce(func.sum(results.c.size), 0)).where(*of)) or 0)
        if size <= bound:
            return
        rows = db.execute(
            select(results.c.thread, results.c.number, results.c.size)
            .where(*of)
            .order_by(results.c.at, results.c.number)
        )
        for row in rows.all()[:-1]:
            if size <= bound:
                return
            db.execute(delete(results).where(results.c.thread == row.thread, results.c.number == row.number))
            size -= row.size
