"""People's accounts at APIs' sign-in servers: whose they are in the open, their tokens encrypted. What they are good for is for
identity/accounts.py.

Each change gives a row another `version`; whoever would write knows which one was seen, so that of two nobody undoes the other's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from store.database import Database, Transaction
from store.journal.hash_chain import JournalEntry
from store.tables import accounts, by_engine

Also = Callable[[Transaction], None]


@dataclass(frozen=True)
class Account:
    """A person's account of one API, by its name: whose it is there (`subject`, `issuer`; `name` and `email` as the server gave them,
    unescaped), and since when. `encrypted`: its tokens. Moments are seconds since 1970; `scopes` stand apart by spaces."""

    team: str
    who: str
    api: str
    subject: str
    issuer: str
    name: str
    email: str
    scopes: str
    encrypted: str = field(repr=False)
    expires_at: float | None
    version: str
    renewed_at: float
    connected_at: float
    used_at: float

    @property
    def identity(self) -> str:
        """Whose it is, as rows and journal name it."""
        return f"{self.subject} at {self.issuer}"


_COLUMNS = [accounts.c[one.name] for one in fields(Account)]


def _put(insert: Any) -> Any:
    new = insert(accounts)
    keys = ["team", "who", "api"]
    names = [one.name for one in accounts.columns if one.name not in keys]
    return new.on_conflict_do_update(index_elements=keys, set_={name: new.excluded[name] for name in names})


_PUT = by_engine(_put)


def _is(team: str, who: str, api: str) -> ColumnElement[bool]:
    return and_(accounts.c.team == team, accounts.c.who == who, accounts.c.api == api)


def _is_same(account: Account) -> ColumnElement[bool]:
    """The row of an account, as long as it is as it was seen."""
    return and_(_is(account.team, account.who, account.api), accounts.c.version == account.version)


class PeoplesAccounts(Database):
    """The accounts of all people."""

    # --- what there is ------------------------------------------------------------------------------------------------

    def account(self, team: str, who: str, api: str) -> Account | None:
        """A person's account of an API."""
        return next(iter(self._accounts(_is(team, who, api))), None)

    def accounts_of(self, team: str, who: str) -> list[Account]:
        """A person's accounts, by the APIs' names."""
        return self._accounts(accounts.c.team == team, accounts.c.who == who)

    def accounts_at(self, subject: str, issuer: str) -> list[Account]:
        """Those that are this one there, whoever connected it, and for which API."""
        return self._accounts(accounts.c.subject == subject, accounts.c.issuer == issuer)

    def all_accounts(self) -> list[Account]:
        """Everybody's."""
        return self._accounts()

    def _accounts(self, *where: ColumnElement[bool]) -> list[Account]:
        query = select(*_COLUMNS).where(*where).order_by(accounts.c.team, accounts.c.who, accounts.c.api)
        with self._reading() as db:
            return [Account(**row) for row in db.execute(query).mappings()]

    # --- coming and going ---------------------------------------------------------------------------------------------

    def put_account(self, account: Account, entry: JournalEntry, also: Also = lambda _tx: None) -> None:
        """Stores an account in place of the one before, if any; with what else is to happen together with it."""
        with self._working_on_nothing(), self._writing() as tx:
            tx.db.execute(_PUT[tx.engine], asdict(account) | {"renewing_by": "", "renewing_until": None})
            tx.note("", "", [entry])
            also(tx)

    def remove_account(self, account: Account, entry: JournalEntry, *, only_as_seen: bool = False) -> bool:
        """Removes an account; `only_as_seen`: unless it changed. Whether it was there."""
        which = _is_same(account) if only_as_seen else _is(account.team, account.who, account.api)
        with self._working_on_nothing(), self._writing() as tx:
            gone = tx.db.execute(delete(accounts).where(which)).rowcount > 0
            if gone:
                tx.note("", "", [entry])
        return gone

    # --- renewal ------------------------------------------------------------------------------------------------------

    def begin_renewal(self, account: Account, me: str, seconds: float) -> bool:
        """Takes the renewal of an account, under a name of one's own, for so long at most: one at a time, over all threads and processes.
        False where somebody else has it, or the account is another by now."""
        with self._working_on_nothing(), self._writing() as tx:
            is_free = or_(accounts.c.renewing_until.is_(None), accounts.c.renewing_until <= tx.clock())
            take = update(accounts).where(_is_same(account), is_free)
            return tx.db.execute(take.values(renewing_by=me, renewing_until=tx.clock() + seconds)).rowcount > 0

    def is_renewed_by_another(self, account: Account) -> bool:
        """Whether somebody has the renewal of this very account at the moment."""
        taken = select(accounts.c.who).where(_is_same(account), accounts.c.renewing_until > self._clock())
        with self._reading() as db:
            return db.scalar(taken) is not None

    def end_renewal(self, account: Account, renewed: Account) -> bool:
        """Stores what came of a renewal. False, and nothing stored, where the account is another by now.

        Nothing that the worker holds counts here: what a refresh token was spent for must not be lost.
        """
        values = asdict(renewed) | {"renewing_by": "", "renewing_until": None}
        with self._working_on_nothing(), self._writing() as tx:
            return tx.db.execute(update(accounts).where(_is_same(account)).values(values)).rowcount > 0

    def give_up_renewal(self, account: Account, me: str) -> None:
        """Gives a renewal back of which nothing came."""
        mine = and_(_is_same(account), accounts.c.renewing_by == me)
        with self._working_on_nothing(), self._writing() as tx:
            tx.db.execute(update(accounts).where(mine).values(renewing_by="", renewing_until=None))

    def note_use(self, account: Account) -> None:
        """Notes that a request is made with it."""
        with self._working_on_nothing(), self._writing() as tx:
            used = update(accounts).where(_is(account.team, account.who, account.api))
            tx.db.execute(used.values(used_at=tx.clock()))

    def encrypt_anew(self, account: Account, encrypted: str) -> bool:
        """Stores the same tokens under another key. False where the account is another by now."""
        with self._writing() as tx:
            same = and_(_is_same(account), accounts.c.encrypted == account.encrypted)
            return tx.db.execute(update(accounts).where(same).values(encrypted=encrypted)).rowcount > 0
