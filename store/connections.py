"""How a person connects an account, as rows: the links that were offered, the states that went to a sign-in server, the grants that wait
for the person's yes; and the turns that wait for it.

What lets somebody in (a link, a state, a confirmation, a cookie) is here only as its SHA-256, what a sign-in server gave only sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, func, insert, or_, select, update

from base.thread import Thread
from store.database import NotNow, Transaction
from store.holds import DATABASE
from store.posts import Post, add_posts
from store.tables import confirmations, devices, links, oauth_states, turns
from store.turns import CONNECTS, IS_OPEN, Turn, Turns, turn_of
from workers.wakes import Work

_KEPT = 86_400.0  # seconds for which a state is kept after its end, so that its replay is known as one; of a device, for its server's word


@dataclass(frozen=True)
class ConnectionAsked:
    """Who is asked to connect an account of which API, and the turn and thread that wait for it; both empty where nothing does."""

    team: str
    who: str
    api: str
    turn: str = ""
    thread: str = ""


@dataclass(frozen=True)
class OAuthState:
    """What a state stands for: `sealed` is what its flow needs to know again."""

    asked: ConnectionAsked
    sealed: str


@dataclass(frozen=True)
class Confirmation:
    """A grant that waits for its person's yes."""

    asked: ConnectionAsked
    sealed: str


@dataclass(frozen=True)
class Device:
    """A person's sign-in on another device (RFC 8628), until `expires_at` (seconds since 1970)."""

    device: str
    asked: ConnectionAsked
    sealed: str
    expires_at: float


class Unusable(StrEnum):
    """Why a state leads nowhere."""

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    ELSEWHERE = "elsewhere"  # it was made in another browser


def hashed(secret: str) -> str:
    """How a secret stands in the database."""
    return hashlib.sha256(secret.encode()).hexdigest()


_OF_ASKED = [one.name for one in fields(ConnectionAsked)]
_WAITS = IS_OPEN & CONNECTS


def _asked(row: Mapping[Any, Any]) -> ConnectionAsked:
    return ConnectionAsked(**{name: row[name] for name in _OF_ASKED})


def _same(table: Table, asked: ConnectionAsked) -> ColumnElement[bool]:
    """The rows of one person and API."""
    return (table.c.team == asked.team) & (table.c.who == asked.who) & (table.c.api == asked.api)


def connected(tx: Transaction, asked: ConnectionAsked, confirmation: str | None = None) -> None:
    """A person's account is stored in this transaction: what was under way for that ends, and the turns that waited for it go on.
    `confirmation`: by whose yes; raises `NotNow` where that was used before."""
    if confirmation is not None:
        taken = delete(confirmations).where(
            confirmations.c.confirmation == hashed(confirmation), _same(confirmations, asked)
        )
        if not tx.db.execute(taken).rowcount:
            raise NotNow("this confirmation was used before")
    for table in (links, confirmations, devices):
        tx.db.execute(delete(table).where(_same(table, asked)))
    _let_go_on(tx, [one for one in _waiting_of(tx, asked) if asked.api in one.connects])


def _waiting_of(tx: Transaction, asked: ConnectionAsked) -> list[Turn]:
    query = select(turns).where(_WAITS, turns.c.asker == asked.who).with_for_update()
    found = map(turn_of, tx.db.execute(query).mappings().all())
    return [one for one in found if Thread.from_key(one.thread).team == asked.team]


def _let_go_on(tx: Transaction, waiting: list[Turn]) -> None:
    for one in waiting:
        tx.db.execute(update(turns).where(turns.c.turn == one.turn).values(connects=None, connects_until=None))
        tx.wake(one.thread, Work.TURNS)


class Connections(Turns):
    """The rows of connections under way."""

    # --- turns that wait ----------------------------------------------------------------------------------------------

    def go_on_connected(self, turn: Turn) -> None:
        """The account that a turn waits for is there."""
        with self._writing() as tx:
            _let_go_on(tx, [turn])

    def wake_unconnected(self) -> None:
        """Wakes the threads whose turns waited for an account in vain."""
        self._wake(turns.c.connects_until <= self._clock())

    def wake_connecting(self) -> None:
        """Wakes all threads whose turns wait for an account: another catalog was taken, which may ask for none."""
        self._wake()

    def _wake(self, *where: ColumnElement[bool]) -> None:
        query = select(turns.c.thread).where(_WAITS, *where)
        with self._reading() as db:
            threads = db.scalars(query).all()
        if threads:
            with self._writing() as tx:
                for thread in threads:
                    tx.wake(thread, Work.TURNS)

    def next_connection_due(self) -> float | None:
        """When the next turn has waited long enough, or a sign-in server is to be asked about a device."""
        moments = (select(func.min(turns.c.connects_until)).where(_WAITS), select(func.min(devices.c.poll_at)))
        with self._reading() as db:
            found = [db.scalar(query) for query in moments]
        return min((float(moment) for moment in found if moment is not None), default=None)

    # --- links --------------------------------------------------------------------------------------------------------

    def offer_link(self, link: str, asked: ConnectionAsked, expires_at: float) -> None:
        """A link that leads its person to the sign-in server, until `expires_at` (seconds since 1970)."""
        with self._writing() as tx:
            tx.db.execute(insert(links).values(link=hashed(link), expires_at=expires_at, **vars(asked)))

    def link(self, link: str) -> ConnectionAsked | None:
        """Whom a link is for, as long as its question waits; None where it leads nowhere."""
        waits = select(turns.c.turn).where(turns.c.turn == links.c.turn, _WAITS).exists()
        query = select(links).where(
            links.c.link == hashed(link), links.c.expires_at > self._clock(), or_(links.c.turn == "", waits)
        )
        with self._reading() as db:
            row = db.execute(query).mappings().first()
        return _asked(row) if row is not None else None

    # --- states -------------------------------------------------------------------------------------------------------

    def add_state(self, state: str, cookie: str, asked: ConnectionAsked, sealed: str, expires_at: float) -> None:
        """A state that goes to the sign-in server, for the browser that has the cookie."""
        made = {"state": hashed(state), "cookie": hashed(cookie), "sealed": sealed, "expires_at": expires_at, "used": 0}
        with self._writing() as tx:
            tx.db.execute(insert(oauth_states).values(**made, **vars(asked)))

    def take_state(self, state: str, cookie: str) -> OAuthState | None:
        """Uses a state, once, in the browser that it was made in; None where that cannot be: `state_ended` says why."""
        of = oauth_states.c
        is_good = (of.state == hashed(state), of.cookie == hashed(cookie), of.used == 0, of.expires_at > self._clock())
        with self._writing() as tx:
            taken = update(oauth_states).where(*is_good).values(used=1).returning(*of)
            row = tx.db.execute(taken).mappings().first()
        return OAuthState(_asked(row), row["sealed"]) if row is not None else None

    def state_ended(self, state: str) -> tuple[Unusable, ConnectionAsked | None]:
        """Why a state was not taken, and whom it was for."""
        with self._reading() as db:
            row = db.execute(select(oauth_states).where(oauth_states.c.state == hashed(state))).mappings().first()
        if row is None:
            return Unusable.UNKNOWN, None
        if row["used"]:
            return Unusable.USED, _asked(row)
        return Unusable.EXPIRED if row["expires_at"] <= self._clock() else Unusable.ELSEWHERE, _asked(row)

    # --- confirmations ------------------------------------------------------------------------------------------------

    def add_confirmation(
        self, confirmation: str, cookie: str, asked: ConnectionAsked, sealed: str, expires_at: float
    ) -> None:
        """A grant that waits for a yes from the browser that has the cookie."""
        made = {"confirmation": hashed(confirmation), "cookie": hashed(cookie), "sealed": sealed}
        with self._writing() as tx:
            tx.db.execute(insert(confirmations).values(**made, expires_at=expires_at, **vars(asked)))

    def confirmation(self, confirmation: str, cookie: str) -> Confirmation | None:
        """What a yes from this browser would store; None where there is nothing (left)."""
        of = confirmations.c
        is_good = (of.confirmation == hashed(confirmation), of.cookie == hashed(cookie), of.expires_at > self._clock())
        with self._reading() as db:
            row = db.execute(select(confirmations).where(*is_good)).mappings().first()
        return Confirmation(_asked(row), row["sealed"]) if row is not None else None

    def drop_confirmation(self, confirmation: str) -> bool:
        """The person said no. False where it was used before."""
        with self._writing() as tx:
            gone = delete(confirmations).where(confirmations.c.confirmation == hashed(confirmation))
            return bool(tx.db.execute(gone).rowcount)

    # --- sign-ins on other devices ------------------------------------------------------------------------------------

    def device_of(self, asked: ConnectionAsked) -> Device | None:
        """The sign-in of a person that is under way for an API."""
        return self._device(_same(devices, asked), devices.c.expires_at > self._clock())

    def device(self, device: str) -> Device | None:
        """The sign-in with this id."""
        return self._device(devices.c.device == device)

    def _device(self, *where: ColumnElement[bool]) -> Device | None:
        with self._reading() as db:
            row = db.execute(select(devices).where(*where)).mappings().first()
        return Device(row["device"], _asked(row), row["sealed"], row["expires_at"]) if row is not None else None

    def add_device(self, device: Device, interval: float) -> None:
        """A sign-in on another device, in place of an earlier one of the same person and API; it is asked about in `interval` seconds."""
        row = {"device": device.device, "sealed": device.sealed, "expires_at": device.expires_at}
        with self._writing() as tx:
            tx.db.execute(delete(devices).where(_same(devices, device.asked)))
            tx.db.execute(insert(devices).values(**row, poll_at=tx.clock() + interval, **vars(device.asked)))
            tx.wake(DATABASE, Work.DEADLINES)

    def due_devices(self) -> list[str]:
        """The sign-ins that are to be asked about now."""
        with self._reading() as db:
            return list(db.scalars(select(devices.c.device).where(devices.c.poll_at <= self._clock())))

    def take_poll(self, device: str, interval: float) -> bool:
        """Takes on to ask about a sign-in, which is due again after `interval` seconds. False where another one did."""
        now = self._clock()
        due = update(devices).where(devices.c.device == device, devices.c.poll_at <= now)
        with self._writing() as tx:
            taken = bool(tx.db.execute(due.values(poll_at=now + interval)).rowcount)
            tx.wake(DATABASE, Work.DEADLINES)
        return taken

    def slow_device(self, device: str, sealed: str) -> None:
        """A sign-in is to be asked about less often."""
        with self._writing() as tx:
            tx.db.execute(update(devices).where(devices.c.device == device).values(sealed=sealed))

    def drop_device(self, device: str, says: Sequence[Post] = ()) -> None:
        """A sign-in is over; `says` tells so, once."""
        with self._writing() as tx:
            if tx.db.execute(delete(devices).where(devices.c.device == device)).rowcount:
                add_posts(tx, says)

    # --- what is over -------------------------------------------------------------------------------------------------

    def forget_connections(self) -> None:
        """Removes what leads nowhere any more."""
        now = self._clock()
        with self._writing() as tx:
            for table in (links, confirmations):
                tx.db.execute(delete(table).where(table.c.expires_at <= now))
            for table in (oauth_states, devices):
                tx.db.execute(delete(table).where(table.c.expires_at <= now - _KEPT))
