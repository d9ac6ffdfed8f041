"""What was used of the bot, and whether more of it may be: questions by their turns, tokens by the hour in which they were spent.

Questions count while they lie within the span, to the moment. Tokens count by the hour (UTC), for the 24 hours that end with this one:
so a look at them costs 24 rows, however many turns there were. Both hold over restarts and for all processes on one database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, delete, literal_column, select, text
from sqlalchemy import bindparam as given

from base.allowance import Allowance, Rate
from store.database import Database, Transaction
from store.tables import spent, turns

_HOUR = 3_600
_HOURS = 24
_ALL = ""  # in place of a person: everybody


@dataclass(frozen=True)
class Closed:
    """Why no more is taken: the setting that says so, its value, and until when (seconds since 1970)."""

    setting: Literal["RATE_LIMIT", "RATE_LIMIT_CHANNEL", "TOKEN_BUDGET", "TOKEN_BUDGET_ALL"]
    value: Rate | int
    until: float


# One statement, for everybody and for a person: of many values, SQLAlchemy would compile it anew each time.
_SPEND = text(
    """insert into spent (who, hour, tokens) values (:all, :hour, :tokens), (:person, :hour, :tokens)
       on conflict (who, hour) do update set tokens = spent.tokens + excluded.tokens"""
)
_SPENT = (
    select(spent.c.hour, spent.c.tokens)
    .where(spent.c.who == given("of"), spent.c.hour > given("before"), spent.c.hour <= given("now"))
    .order_by(spent.c.hour)
)


def _asked(by: ColumnElement[Any]) -> Any:
    """When the question was asked that is as many back as a rate allows."""
    within = (by == given("of"), turns.c.created_at > given("since"), turns.c.channel != literal_column("''"))
    newest = select(turns.c.created_at).where(*within).order_by(turns.c.created_at.desc())
    return newest.limit(1).offset(given("further", type_=turns.c.tries.type))


_BY_PERSON, _IN_CHANNEL = _asked(turns.c.asker), _asked(turns.c.channel)


def closed_to(db: Connection, now: float, asker: str, channel: str, allowance: Allowance) -> Closed | None:
    """Why one more question of this person in this channel is not taken, or None. The caller's transaction is alone."""
    if (until := _full(db, _BY_PERSON, asker, allowance.person, now)) is not None and allowance.person is not None:
        return Closed("RATE_LIMIT", allowance.person, until)
    if (until := _full(db, _IN_CHANNEL, channel, allowance.channel, now)) is not None and allowance.channel is not None:
        return Closed("RATE_LIMIT_CHANNEL", allowance.channel, until)
    return used_up(db, now, asker, allowance)


def used_up(db: Connection, now: float, asker: str, allowance: Allowance) -> Closed | None:
    """Whose tokens are used up, or None: those of this person, or those of everybody."""
    if (until := _over(db, asker, allowance.tokens, now)) is not None and allowance.tokens is not None:
        return Closed("TOKEN_BUDGET", allowance.tokens, until)
    if (until := _over(db, _ALL, allowance.tokens_of_all, now)) is not None and allowance.tokens_of_all is not None:
        return Closed("TOKEN_BUDGET_ALL", allowance.tokens_of_all, until)
    return None


def _full(db: Connection, asked: Any, of: str, rate: Rate | None, now: float) -> float | None:
    """When a rate that is full has room again."""
    if rate is None:
        return None
    found = db.scalar(asked, {"of": of, "since": now - rate.seconds, "further": rate.count - 1})
    return None if found is None else min(float(found), now) + rate.seconds  # a clock that was set closes for one span


def _over(db: Connection, of: str, budget: int | None, now: float) -> float | None:
    """When a budget that is used up has something left again: the hours that fall out first."""
    if budget is None:
        return None
    this = int(now // _HOUR)
    hours = [
        (int(row.hour), int(row.tokens)) for row in db.execute(_SPENT, {"of": of, "before": this - _HOURS, "now": this})
    ]
    left = sum(tokens for _, tokens in hours)
    if left < budget:
        return None
    for hour, tokens in hours:
        left -= tokens
        if left < budget:
            return float((hour + _HOURS) * _HOUR)
    raise AssertionError("a budget is at least one token")


def spend(tx: Transaction, asker: str, tokens: int) -> None:
    """Counts tokens of the model, for their person and for everybody: at the end, since all turns count in one row."""
    if tokens:
        counted = {"all": _ALL, "person": asker, "hour": int(tx.clock() // _HOUR), "tokens": tokens}
        tx.at_the_end.append(lambda db: db.execute(_SPEND, counted))


def forget_spent(tx: Transaction) -> None:
    """Removes what counts no more."""
    tx.db.execute(delete(spent).where(spent.c.hour <= math.floor(tx.clock() / _HOUR) - 2 * _HOURS))


class UsageLimits(Database):
    """What may still be used."""

    def used_up(self, asker: str, allowance: Allowance) -> Closed | None:
        """Whose tokens are used up by now, or None."""
        if allowance.tokens is None and allowance.tokens_of_all is None:
            return None
        with self._reading() as db:
            return used_up(db, self._clock(), asker, allowance)
