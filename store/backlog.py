"""How much waits, and since when: what the metrics tell of the database. Nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select

from gate.policy import State
from store.database import Database
from store.proposal_record import IS_ASKED, proposals
from store.tables import inbox, posts, turns
from store.turns import TurnState


@dataclass(frozen=True)
class Waiting:
    """So many wait, the oldest for so many seconds."""

    count: int
    seconds: float


@dataclass(frozen=True)
class Backlog:
    """All that waits: what Slack brought, questions that no worker has begun, requests for people, posts for Slack; and how many turns
    are worked on, and how many wait for a model that has no time."""

    arrivals: Waiting
    turns: Waiting
    approvals: Waiting
    posts: Waiting
    running: int
    for_model: int


# What an index covers is spelt as it is there: an engine does not know of a parameter what it will be.
_BEGUN_BY_NOBODY = turns.c.state == literal_column("'waiting'")
_SEEN_BY_NOBODY = inbox.c.handled == literal_column("0")
_TAKEN_BY_NOBODY = posts.c.state == literal_column("'due'")
_ASKED_IN = select(proposals.c.thread).where(proposals.c.thread == turns.c.thread, proposals.c.state == State.PENDING)


def _oldest(moment: ColumnElement[object], *where: ColumnElement[bool]) -> Any:
    return select(func.count(), func.min(moment)).where(*where)


_ARRIVALS = _oldest(inbox.c.received_at, _SEEN_BY_NOBODY)
_before = turns.alias()
_CONNECTS_IN = select(_before.c.turn).where(_before.c.thread == turns.c.thread, _before.c.connects_until.is_not(None))
# Questions that wait behind people's decision, or behind an account that somebody is to connect, wait for those.
_TURNS = _oldest(turns.c.created_at, _BEGUN_BY_NOBODY, ~_ASKED_IN.exists(), ~_CONNECTS_IN.exists())
_APPROVALS = _oldest(proposals.c.created_at, IS_ASKED)
_POSTS = _oldest(posts.c.created_at, _TAKEN_BY_NOBODY)
_RUNNING = select(func.count()).where(turns.c.tries > literal_column("0"), turns.c.state == TurnState.RUNNING)
_FOR_MODEL = select(func.count()).where(turns.c.waits_until.is_not(None), turns.c.state == TurnState.RUNNING)

LOOKS = (_ARRIVALS, _TURNS, _APPROVALS, _POSTS, _RUNNING, _FOR_MODEL)


class Backlogs(Database):
    """The look at all subjects' tables."""

    def backlog(self) -> Backlog:
        """What waits at this moment."""
        with self._reading() as db:
            now = self._clock()
            found = [db.execute(query).one() for query in (_ARRIVALS, _TURNS, _APPROVALS, _POSTS)]
            running, for_model = (db.scalar(query) or 0 for query in (_RUNNING, _FOR_MODEL))
        arrivals, questions, asked, says = (
            Waiting(count, max(0.0, now - since) if since is not None else 0.0) for count, since in found
        )
        return Backlog(arrivals, questions, asked, says, running, for_model)
