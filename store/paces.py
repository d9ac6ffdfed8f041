"""Paces that processes on one PostgreSQL keep together: so many at once, and so many in a while, over all of them.

How many in a while is counted as a moment for each name from which on it is free (GCRA, as in ITU-T I.371): each use moves it on by
the while's share of one, and it may lie ahead of now by as much as may come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Double, Text, case, cast, func, select, update
from sqlalchemy import bindparam as given

from store.database import Database
from store.holds import IS_HELD, NOW
from store.tables import by_engine, paces

_NEW = by_engine(
    lambda insert: insert(paces).values(name=given("one"), free_at=NOW).on_conflict_do_nothing(index_elements=["name"])
)
_HELD = select(paces.c.name).where(paces.c.name == given("whole"), paces.c.free_at > NOW).exists()


def _use(insert: Callable[[Any], Any], *conditions: ColumnElement[bool]) -> Any:
    first = select(cast(given("one"), Text), NOW + given("by")).where(~_HELD, *conditions)
    moved = case((paces.c.free_at > NOW, paces.c.free_at), else_=NOW) + given("by")
    return (
        insert(paces)
        .from_select(["name", "free_at"], first)
        .on_conflict_do_update(
            index_elements=["name"], set_={"free_at": moved}, where=paces.c.free_at <= NOW + given("ahead")
        )
        .returning(paces.c.name)
    )


def _hold(insert: Callable[[Any], Any]) -> Any:
    held = insert(paces).values(name=given("one"), free_at=NOW + given("by"))
    return held.on_conflict_do_update(index_elements=["name"], set_={"free_at": held.excluded.free_at})


_USE, _HOLD_NAME = by_engine(_use), by_engine(_hold)
_USE_IN_THREAD = by_engine(lambda insert: _use(insert, IS_HELD))
_WAIT = select(
    func.max(paces.c.free_at - NOW - case((paces.c.name == given("one"), given("ahead", type_=Double)), else_=0.0))
).where(paces.c.name.in_((given("one"), given("whole"))))
_LEAST = 0.001  # seconds: it was free again before it was looked at
_SLOT = select(paces.c.name).where(paces.c.name.in_(given("slots", expanding=True)), paces.c.free_at <= NOW)
_HOLD = update(paces).where(paces.c.name == given("one")).values(free_at=NOW + given("by"))


class SharedPaces(Database):
    """The paces of a database. All waits are in seconds."""

    def pace(self, name: str, apart: float, ahead: float, *, unless_held: str = "") -> float:
        """0 and the use counts, or the seconds until it may be tried again. `apart`: between two uses in the long run; `ahead`: how far
        uses may run ahead of that, for what may come at once. None counts while the name `unless_held` is not free.
        Raises `Overtaken` where what is worked on is another process's by now."""
        which = {"one": name, "whole": unless_held, "ahead": ahead}
        working_on = self._working_on
        use = _USE if working_on is None else _USE_IN_THREAD
        held = {} if working_on is None else self._holds.which(working_on)
        with self._by_itself() as db:
            if db.scalar(use[db.dialect.name], which | {"by": apart} | held) is not None:
                return 0.0
            self._holds.check(db, working_on)
            return max(_LEAST, float(db.scalar(_WAIT, which) or 0.0))

    def hold_pace(self, name: str, seconds: float) -> None:
        """Somebody asked to wait for so long."""
        with self._by_itself() as db:
            db.execute(_HOLD_NAME[db.dialect.name], {"one": name, "by": seconds})

    def take_slot(self, slots: Sequence[str], seconds: float) -> str | None:
        """One of these places, for `seconds` at most, in case that its holder dies; None where all are taken."""
        with self._writing() as tx:
            for slot in slots:
                tx.db.execute(_NEW[tx.engine], {"one": slot})
            free = tx.db.scalar(_SLOT.limit(1).with_for_update(skip_locked=True), {"slots": list(slots)})
            if free is not None:
                tx.db.execute(_HOLD, {"one": free, "by": seconds})
        return None if free is None else str(free)

    def free_slot(self, slot: str) -> None:
        """Gives a place back."""
        with self._writing() as tx:
            tx.db.execute(_HOLD, {"one": slot, "by": 0.0})
