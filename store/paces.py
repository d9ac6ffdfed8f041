"""Paces that processes on one PostgreSQL keep together: so many at once, and so many in a while, over all of them.

How many in a while is counted as a moment for each name from which on it is free (GCRA, as in ITU-T I.371): each use moves it on by
the while's share of one, and it may lie ahead of now by as much as may come at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam as given
from sqlalchemy import case, select, update

from store.database import Database
from store.holds import NOW
from store.tables import by_engine, paces

_READ = select(paces.c.free_at - NOW).where(paces.c.name == given("one")).with_for_update()
_NEW = by_engine(
    lambda insert: insert(paces).values(name=given("one"), free_at=NOW).on_conflict_do_nothing(index_elements=["name"])
)
_MOVE = (
    update(paces)
    .where(paces.c.name == given("one"))
    .values(free_at=case((paces.c.free_at > NOW, paces.c.free_at), else_=NOW) + given("by"))
)
_SLOT = select(paces.c.name).where(paces.c.name.in_(given("slots", expanding=True)), paces.c.free_at <= NOW)
_HOLD = update(paces).where(paces.c.name == given("one")).values(free_at=NOW + given("by"))


class SharedPaces(Database):
    """The paces of a database. All waits are in seconds."""

    def pace(self, name: str, apart: float, ahead: float) -> float:
        """0 and the use counts, or the seconds until it may be tried again. `apart`: between two uses in the long run; `ahead`: how far
        uses may run ahead of that, for what may come at once."""
        with self._writing() as tx:
            tx.db.execute(_NEW[tx.engine], {"one": name})
            wait = float(tx.db.scalar(_READ, {"one": name}) or 0) - ahead
            if wait > 0:
                return wait
            tx.db.execute(_MOVE, {"one": name, "by": apart})
        return 0.0

    def hold_pace(self, name: str, seconds: float) -> None:
        """Somebody asked to wait for so long."""
        with self._writing() as tx:
            tx.db.execute(_NEW[tx.engine], {"one": name})
            tx.db.execute(_HOLD, {"one": name, "by": seconds})

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
