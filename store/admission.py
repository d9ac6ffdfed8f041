"""Admission: whether one more mention becomes a turn, with so many under way, of all and of one person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, case, func, insert, literal_column, select, union_all
from sqlalchemy import bindparam as given

from gate.policy import State
from store.arrivals import Arrival, mark_handled
from store.database import Database, Transaction
from store.holds import living
from store.journal.hash_chain import JournalEntry, digest
from store.posts import Post, add_posts
from store.proposal_record import proposals
from store.tables import by_engine, threads, turns
from store.turns import Turn, TurnState
from workers.wakes import Work

Admission = Literal["taken", "kept", "too many", "too many of theirs"]
_SHARE = 4  # one person's turns may fill this part of MAX_WAITING, so that there is room for others
_LEAST_SHARE = 3

# What an index covers is spelt as it is there: an engine does not know of a parameter what it will be.
_WAITS: ColumnElement[str] = literal_column("'waiting'")
_working = union_all(
    select(turns.c.thread, turns.c.asker, turns.c.state).where(turns.c.state == _WAITS),
    select(turns.c.thread, turns.c.asker, turns.c.state).where(
        turns.c.tries > literal_column("0"), turns.c.state == TurnState.RUNNING
    ),
    select(turns.c.thread, turns.c.asker, turns.c.state).where(
        turns.c.waits_until.is_not(None), turns.c.tries == 0, turns.c.state == TurnState.RUNNING
    ),
).subquery()
_ASKED_IN = select(proposals.c.thread).where(
    proposals.c.thread == _working.c.thread, proposals.c.state == State.PENDING
)
_is_theirs = _working.c.asker == given("asker")
_is_elsewhere = _working.c.thread != given("of")
_LOAD = select(
    func.count().label("total"),
    func.count(case((_is_elsewhere, _working.c.thread)).distinct()).label("others"),
    func.count(case((_is_theirs, 1))).label("theirs"),
    func.count(case((_is_theirs & _is_elsewhere, _working.c.thread)).distinct()).label("their_others"),
    select(func.count())
    .where(proposals.c.thread == given("of"), proposals.c.state == State.PENDING)
    .scalar_subquery()
    .label("pending"),
    select(func.count())
    .where(turns.c.thread == given("of"), turns.c.state == _WAITS, turns.c.asker == given("asker"))
    .scalar_subquery()
    .label("kept"),
).where(~_ASKED_IN.exists())
"""How many turns are under way that do not wait for people, in how many other threads, in both also those of the asker alone; how many
requests wait in this thread, and how many turns of the asker wait in it."""


def _thread(insert: Callable[[Any], Any]) -> Any:
    thread = insert(threads)
    return thread.on_conflict_do_update(index_elements=["thread"], set_={"active_at": thread.excluded.active_at})


_ADD_THREAD = by_engine(_thread)
_ADD_TURN = insert(turns)


class Admissions(Database):
    """The way from a mention to a turn."""

    def admit(
        self, arrival: Arrival, turn: Turn, says: Mapping[Admission, Sequence[Post]], *, workers: int, max_waiting: int
    ) -> Admission:
        """Makes a turn of a mention, or refuses it as one too many, of all or of this person; `says` has the posts of each outcome.

        `workers` are those of each process that shares the database. Turns that they are busy with and threads that wait for a decision
        do not count as waiting; in such a thread a person's messages are kept, as many as that person's share.
        """
        with self._writing() as tx:
            mark_handled(tx, arrival.id)
            tx.alone()
            load = tx.db.execute(_LOAD, {"of": turn.thread, "asker": turn.asker}).one()
            outcome = _admission(load, workers * (living(tx.db) if self.is_shared else 1), max_waiting)
            if outcome in ("taken", "kept"):
                _add_turn(tx, arrival, turn)
                tx.wake(turn.thread, Work.TURNS)
            asked = {"asker": turn.asker, "words": digest(turn.text), "ts": turn.ts, "outcome": outcome}
            tx.note(turn.thread, turn.turn, [JournalEntry("question", asked)])
            add_posts(tx, says[outcome])
            taken = self._holds.take_new(tx.db, turn.thread) if outcome == "taken" else None
        if taken is not None:
            self._holds.keep(taken)
        return outcome


def _add_turn(tx: Transaction, arrival: Arrival, turn: Turn) -> None:
    now, of = tx.clock(), arrival.thread
    thread = {
        "thread": of.key,
        "team": of.team,
        "channel": of.channel,
        "thread_ts": of.ts,
        "tainted": 0,
        "active_at": now,
    }
    tx.db.execute(_ADD_THREAD[tx.engine], thread)
    row = {
        "turn": turn.turn, "inbox": arrival.id, "thread": turn.thread, "asker": turn.asker, "text": turn.text, "ts": turn.ts,
        "state": TurnState.WAITING, "model_calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "created_at": now,
        "trace": turn.trace,
    }  # fmt: skip
    tx.db.execute(_ADD_TURN, row)


def _admission(load: Any, workers: int, max_waiting: int) -> Admission:
    """What becomes of one more turn."""
    share = max(_LEAST_SHARE, max_waiting // _SHARE)
    if load.pending:
        return "kept" if load.kept < share else "too many of theirs"
    if _waiting(load.total, load.others, workers) > max_waiting:
        return "too many"
    return "taken" if _waiting(load.theirs, load.their_others, workers) <= share else "too many of theirs"


def _waiting(total: int, others: int, workers: int) -> int:
    """How many turns wait with one more: `total` are there, in `others` other threads, each of which keeps at most one worker busy."""
    return total + 1 - min(workers, others + 1)
