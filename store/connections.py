"""How a person connects an account, as rows: the links that were offered, the states that went to a sign-in server, the grants that wait
for the person's yes, or to be given back; the tries that came to nothing; and the turns that wait.

What lets somebody in (a link, a state, a confirmation, a cookie) is here only as its SHA-256, what a sign-in server gave only sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Table, case, delete, func, insert, or_, select, update

from base.thread import Thread
from store.database import NotNow, Transaction
from store.holds import DATABASE
from store.posts import Post, add_posts
from store.tables import by_engine, confirmations, devices, failed_tries, links, oauth_states, turns
from store.turns import CONNECTS, IS_OPEN, Turn, Turns, turn_of
from workers.wakes import Work

# Seconds for which what is over is kept: a state and a confirmation, so that a replay is known as one, and as whose; a device, for its
# server's word; a grant that its server does not take back now; what is told of a failed try.
_KEPT = 86_400.0
_MOST_LINKS = 20  # of one question, or of one person's App Home, for one API: the newest
_MOST_STATES = 5  # of one link: the newest


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
class FailedTry:
    """A try to connect that came to nothing: whom it was for, what App Home tells that person until the next one, and what is said where
    a question waits for it."""

    asked: ConnectionAsked
    problem: str
    says: Sequence[Post] = ()


@dataclass(frozen=True)
class Device:
    """A person's sign-in on another device (RFC 8628), until `expires_at` (seconds since 1970)."""

    device: str
    asked: ConnectionAsked
    sealed: str
    expires_at: float


class Unusable(StrEnum):
    """Why a state or a confirmation leads nowhere."""

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    ELSEWHERE = "elsewhere"  # it was made in another browser


class Ended(StrEnum):
    """How the question whether to keep a grant ended."""

    NOT_YET = ""
    YES = "yes"
    NO = "no"
    REPLACED = "replaced"  # another account was connected meanwhile
    EXPIRED = "expired"
    REFUSED = "refused"  # it was never asked: this account is not to be connected


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
    `confirmation`: by whose yes; raises `NotNow` where that was used before, or came too late."""
    of = confirmations.c
    are_open = select(of.confirmation, of.expires_at).where(_same(confirmations, asked), of.ended == Ended.NOT_YET)
    found = tx.db.execute(
        are_open.order_by(of.confirmation).with_for_update()
    )  # in one order: two yeses may come at once
    until = {row.confirmation: row.expires_at for row in found}
    if confirmation is not None:
        mine = hashed(confirmation)
        if until.pop(mine, 0.0) <= tx.clock():
            raise NotNow("this confirmation was used before, or came too late")
        taken = update(confirmations).where(of.confirmation == mine)
        tx.db.execute(taken.values(ended=Ended.YES, sealed="", give_back_at=None))
    if until:
        others = update(confirmations).where(of.confirmation.in_(list(until)))
        tx.db.execute(others.values(ended=Ended.REPLACED, give_back_at=tx.clock()))
        tx.wake(DATABASE, Work.DEADLINES)
    for table in (links, devices, failed_tries):
        tx.db.execute(delete(table).where(_same(table, asked)))
    _let_go_on(tx, [one for one in _waiting_of(tx, asked) if asked.api in one.connects])


def add_unkept(tx: Transaction, key: str, asked: ConnectionAsked, sealed: str) -> None:
    """A grant is to be given back, once this transaction is over; `key` names it."""
    _add_grant(tx, key, "", asked, sealed, tx.clock(), Ended.REFUSED)


def _add_grant(
    tx: Transaction, key: str, cookie: str, asked: ConnectionAsked, sealed: str, until: float, ended: Ended
) -> None:
    made = {"confirmation": hashed(key), "cookie": cookie, "sealed": sealed, "ended": ended}
    tx.db.execute(insert(confirmations).values(**made, expires_at=until, give_back_at=until, **vars(asked)))
    tx.wake(DATABASE, Work.DEADLINES)


def _waiting_of(tx: Transaction, asked: ConnectionAsked) -> list[Turn]:
    query = select(turns).where(_WAITS, turns.c.asker == asked.who).order_by(turns.c.turn).with_for_update()
    found = map(turn_of, tx.db.execute(query).mappings().all())
    return [one for one in found if Thread.from_key(one.thread).team == asked.team]


def _let_go_on(tx: Transaction, waiting: list[Turn]) -> None:
    """What they waited for stays noted until they are worked on (`end_await`): their questions may have been deleted meanwhile."""
    for one in waiting:
        tx.db.execute(update(turns).where(turns.c.turn == one.turn).values(connects_until=None))
        tx.wake(one.thread, Work.TURNS)


def _failed(insert_into: Any) -> Any:
    new = insert_into(failed_tries)
    return new.on_conflict_do_update(
        index_elements=["team", "who", "api"], set_={name: new.excluded[name] for name in ("problem", "at")}
    )


_FAILED = by_engine(_failed)


def _add_failed(tx: Transaction, failed: FailedTry) -> None:
    asked = failed.asked
    row = {"team": asked.team, "who": asked.who, "api": asked.api, "problem": failed.problem, "at": tx.clock()}
    tx.db.execute(_FAILED[tx.engine], row)
    add_posts(tx, failed.says)


class Connections(Turns):
    """The rows of connections under way."""

    # --- turns that wait ----------------------------------------------------------------------------------------------

    def take_up_waiting(self, turn: Turn) -> None:
        """A turn that waits for an account is to be worked on: the account is there, or its question was deleted."""
        with self._writing() as tx:
            _let_go_on(tx, [turn])

    def end_await(self, turn: Turn) -> None:
        """A turn goes on that waited for an account."""
        with self.holding(turn.thread), self._writing() as tx:
            tx.db.execute(update(turns).where(turns.c.turn == turn.turn).values(connects=None, connects_until=None))

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
        """When the next turn has waited long enough, or a sign-in server is to be asked about a device, or to be given back a grant."""
        moments = (
            select(func.min(turns.c.connects_until)).where(_WAITS),
            select(func.min(devices.c.poll_at)),
            select(func.min(confirmations.c.give_back_at)),
        )
        with self._reading() as db:
            found = [db.scalar(query) for query in moments]
        return min((float(moment) for moment in found if moment is not None), default=None)

    # --- links --------------------------------------------------------------------------------------------------------

    def offer_link(self, link: str, asked: ConnectionAsked, expires_at: float) -> None:
        """A link that leads its person to the sign-in server, until `expires_at` (seconds since 1970). Only the newest ones live."""
        with self._writing() as tx:
            older = select(links.c.link).where(_same(links, asked), links.c.turn == asked.turn)
            gone = older.order_by(links.c.made_at.desc()).offset(_MOST_LINKS - 1)
            tx.db.execute(delete(links).where(links.c.link.in_(list(tx.db.scalars(gone)))))
            made = {"link": hashed(link), "expires_at": expires_at, "made_at": tx.clock()}
            tx.db.execute(insert(links).values(**made, **vars(asked)))

    def asked_by_link(self, link: str) -> ConnectionAsked | None:
        """Whom a link was for, wherever it leads by now; None where it is not known."""
        with self._reading() as db:
            row = db.execute(select(links).where(links.c.link == hashed(link))).mappings().first()
        return _asked(row) if row is not None else None

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

    def add_state(
        self, state: str, cookie: str, link: str, asked: ConnectionAsked, sealed: str, expires_at: float
    ) -> bool:
        """A state that goes to the sign-in server by a link, for the browser that has the cookie. Whether App Home told of a failed try
        until now.

        Of each link only the newest live: who reloads it without end fills nothing, and ends no sign-in that began by another link.
        """
        made = {"state": hashed(state), "cookie": hashed(cookie), "sealed": sealed, "expires_at": expires_at, "used": 0}
        of = oauth_states.c
        with self._writing() as tx:
            gone = (
                select(of.state).where(of.link == hashed(link)).order_by(of.expires_at.desc()).offset(_MOST_STATES - 1)
            )
            tx.db.execute(delete(oauth_states).where(of.state.in_(list(tx.db.scalars(gone)))))
            tx.db.execute(insert(oauth_states).values(**made, link=hashed(link), **vars(asked)))
            return tx.db.execute(delete(failed_tries).where(_same(failed_tries, asked))).rowcount > 0

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

    # --- confirmations, and grants that nobody keeps ------------------------------------------------------------------

    def add_confirmation(
        self, confirmation: str, cookie: str, asked: ConnectionAsked, sealed: str, expires_at: float
    ) -> None:
        """A grant that waits for a yes from the browser that has the cookie; without one in time it is given back."""
        with self._writing() as tx:
            _add_grant(tx, confirmation, hashed(cookie), asked, sealed, expires_at, Ended.NOT_YET)

    def add_refused(self, key: str, asked: ConnectionAsked, sealed: str) -> None:
        """A grant that is not to be kept: it is given back."""
        with self._writing() as tx:
            add_unkept(tx, key, asked, sealed)

    def confirmation(self, confirmation: str, cookie: str) -> Confirmation | None:
        """What a yes from this browser would store; None where there is nothing (left): `confirmation_ended` says why."""
        of = confirmations.c
        is_good = (of.cookie == hashed(cookie), of.ended == Ended.NOT_YET, of.expires_at > self._clock())
        row = self._grant(hashed(confirmation), *is_good)
        return Confirmation(_asked(row), row["sealed"]) if row is not None else None

    def confirmation_ended(self, confirmation: str) -> tuple[Unusable, ConnectionAsked | None]:
        """Why a confirmation leads nowhere, and whom it was for."""
        row = self._grant(hashed(confirmation))
        if row is None:
            return Unusable.UNKNOWN, None
        if row["ended"] not in (Ended.NOT_YET, Ended.EXPIRED):
            return Unusable.USED, _asked(row)
        is_over = row["ended"] == Ended.EXPIRED or row["expires_at"] <= self._clock()
        return Unusable.EXPIRED if is_over else Unusable.ELSEWHERE, _asked(row)

    def _grant(self, key: str, *where: ColumnElement[bool]) -> Mapping[Any, Any] | None:
        query = select(confirmations).where(confirmations.c.confirmation == key, *where)
        with self._reading() as db:
            return db.execute(query).mappings().first()

    def drop_confirmation(self, confirmation: str) -> bool:
        """The person said no: the grant is given back. False where it was used before."""
        of = confirmations.c
        said_no = update(confirmations).where(of.confirmation == hashed(confirmation), of.ended == Ended.NOT_YET)
        with self._writing() as tx:
            tx.wake(DATABASE, Work.DEADLINES)
            return bool(tx.db.execute(said_no.values(ended=Ended.NO, give_back_at=tx.clock())).rowcount)

    def take_unkept(self, most: int, seconds: float) -> list[str]:
        """Takes on to give back grants that are not to be kept, `most` at most: they are this caller's for `seconds`, then due again."""
        of, now = confirmations.c, self._clock()
        due = select(of.confirmation).where(of.give_back_at <= now).order_by(of.give_back_at).limit(most)
        with self._reading() as db:
            if db.scalar(due) is None:
                return []
        ended = case((of.ended == Ended.NOT_YET, Ended.EXPIRED), else_=of.ended)  # a yes finds nothing any more
        with self._writing() as tx:
            found = list(tx.db.scalars(due.with_for_update(skip_locked=True)))  # whoever has one sees to it
            taken = update(confirmations).where(of.confirmation.in_(found))
            tx.db.execute(taken.values(give_back_at=now + seconds, ended=ended))
        return found

    def unkept(self, key: str) -> Confirmation | None:
        """A grant that was taken on to be given back; None where it was by now. `key`: as `take_unkept` names it."""
        row = self._grant(key, confirmations.c.give_back_at.is_not(None))
        return Confirmation(_asked(row), row["sealed"]) if row is not None else None

    def is_being_asked(self, asked: ConnectionAsked) -> bool:
        """Whether another grant of this person for this API waits for a yes."""
        of = confirmations.c
        waits = (_same(confirmations, asked), of.ended == Ended.NOT_YET, of.expires_at > self._clock())
        with self._reading() as db:
            return db.scalar(select(of.confirmation).where(*waits).limit(1)) is not None

    def given_back(self, key: str) -> None:
        """Nothing is left to do for a grant."""
        with self._writing() as tx:
            gone = update(confirmations).where(confirmations.c.confirmation == key)
            tx.db.execute(gone.values(sealed="", give_back_at=None))

    # --- tries that came to nothing -----------------------------------------------------------------------------------

    def add_failed(self, failed: FailedTry) -> None:
        """A try to connect came to nothing, which its person is told."""
        with self._writing() as tx:
            _add_failed(tx, failed)

    def failed_tries(self, team: str, who: str) -> dict[str, str]:
        """What there is to tell a person of the last tries, by the APIs' names."""
        of = failed_tries.c
        query = select(of.api, of.problem).where(of.team == team, of.who == who).order_by(of.api)
        with self._reading() as db:
            return {row.api: row.problem for row in db.execute(query)}

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

    def drop_device(self, device: str, failed: FailedTry | None = None) -> None:
        """A sign-in is over; that it came to nothing is told once."""
        with self._writing() as tx:
            gone = tx.db.execute(delete(devices).where(devices.c.device == device)).rowcount
            if gone and failed is not None:
                _add_failed(tx, failed)

    # --- what is over -------------------------------------------------------------------------------------------------

    def forget_connections(self) -> None:
        """Removes what leads nowhere any more."""
        now = self._clock()
        with self._writing() as tx:
            tx.db.execute(delete(links).where(links.c.expires_at <= now))
            tx.db.execute(delete(failed_tries).where(failed_tries.c.at <= now - _KEPT))
            for table in (oauth_states, confirmations, devices):
                tx.db.execute(delete(table).where(table.c.expires_at <= now - _KEPT))
