"""Admission: whether one more mention becomes a turn, with so many under way, of all and of one person, thread and channel, and so much
used by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, case, func, insert, literal_column, select, union_all
from sqlalchemy import bindparam as given

from base.allowance import UNLIMITED, Allowance
from gate.policy import State
from store.arrivals import Arrival, mark_handled
from store.database import Database, Transaction
from store.holds import BEATING, Hold
from store.journal.hash_chain import JournalEntry, digest
from store.posts import Post, add_posts
from store.proposal_record import proposals
from store.tables import by_engine, threads, turns
from store.turns import CONNECTS, Turn, TurnState
from store.usage import Closed, closed_to
from workers.wakes import Work

Admission = Literal["taken", "kept", "too many", "too many of theirs", "closed"]
_SHARE = 4  # one person's turns may fill this part of MAX_WAITING, so that there is room for others
_PLACE = 2  # and those of one thread, or of one channel among several, this part
_LEAST_SHARE = 3

# What an index covers is spelt as it is there: an engine does not know of a parameter what it will be.
_WAITS: ColumnElement[str] = literal_column("'waiting'")
_OF_TURN = select(turns.c.thread, turns.c.channel, turns.c.asker, turns.c.state)
_working = union_all(
    _OF_TURN.where(turns.c.state == _WAITS),
    _OF_TURN.where(turns.c.tries > literal_column("0"), turns.c.state == TurnState.RUNNING),
    _OF_TURN.where(turns.c.waits_until.is_not(None), turns.c.tries == 0, turns.c.state == TurnState.RUNNING),
).subquery()
_ASKED_IN = select(proposals.c.thread).where(
    proposals.c.thread == _working.c.thread, proposals.c.state == State.PENDING
)
_CONNECTS_IN = select(turns.c.thread).where(turns.c.thread == _working.c.thread, CONNECTS)
_is_theirs = _working.c.asker == given("asker")
_is_elsewhere = _working.c.thread != given("of")
_is_in_channel = _working.c.channel == given("channel")
_LOAD = select(
    func.count().label("total"),
    func.count(case((_is_elsewhere, _working.c.thread)).distinct()).label("others"),
    func.count(case((~_is_elsewhere, 1))).label("here"),
    func.count(case((_is_theirs, 1))).label("theirs"),
    func.count(case((_is_theirs & _is_elsewhere, _working.c.thread)).distinct()).label("their_others"),
    func.count(case((_is_in_channel, 1))).label("of_channel"),
    func.count(case((_is_in_channel & _is_elsewhere, _working.c.thread)).distinct()).label("channel_others"),
    select(func.count())
    .where(proposals.c.thread == given("of"), proposals.c.state == State.PENDING)
    .scalar_subquery()
    .label("pending"),
    select(turns.c.asker).where(turns.c.thread == given("of"), CONNECTS).limit(1).scalar_subquery().label("connecting"),
    select(func.count())
    .where(turns.c.thread == given("of"), turns.c.state == _WAITS, turns.c.asker == given("asker"))
    .scalar_subquery()
    .label("kept"),
).where(~_ASKED_IN.exists(), ~_CONNECTS_IN.exists())
"""How many turns are under way that do not wait for people, in how many other threads, in both also those of the asker, and those of the
channel, alone; how many requests wait in this thread, for whose account a turn waits in it, and how many of the asker wait there."""
_LOAD_OF_ALL = _LOAD.add_columns(BEATING.scalar_subquery().label("processes"))


def _thread(insert: Callable[[Any], Any]) -> Any:
    thread = insert(threads)
    return thread.on_conflict_do_update(index_elements=["thread"], set_={"active_at": thread.excluded.active_at})


_ADD_THREAD = by_engine(_thread)
_ADD_TURN = insert(turns)


class Admissions(Database):
    """The way from a mention to a turn."""

    def admit(
        self,
        arrival: Arrival,
        turn: Turn,
        says: Mapping[Admission, Sequence[Post]],
        *,
        says_kept: Callable[[str | None], Sequence[Post]] = lambda _connecting: (),
        workers: int,
        max_waiting: int,
        among: bool = False,
        allowance: Allowance = UNLIMITED,
        says_closed: Callable[[Closed], Sequence[Post]] = lambda _closed: (),
    ) -> Admission:
        """Makes a turn of a mention, or refuses it: as one too many, of all, of this person or this place (`among`: the bot works in
        other channels, too), or since as much was used as the `allowance` has. `says` has the posts of each outcome, `says_closed`
        makes those of the last.

        `workers` are those of each process that shares the database. Turns that they are busy with and threads that wait for a decision
        do not count as waiting; in such a thread a person's messages are kept, as many as that person's share.
        """
        taken: Hold | None = None
        with self._writing() as tx:
            mark_handled(tx, arrival.id)
            tx.alone()
            closed = closed_to(tx.db, tx.clock(), turn.asker, arrival.thread.channel, allowance)
            if closed is not None:
                tx.note(turn.thread, "", [refused(turn, closed)])
                add_posts(tx, says_closed(closed))
                return "closed"
            which = {"of": turn.thread, "asker": turn.asker, "channel": arrival.thread.channel}
            load = tx.db.execute(_LOAD_OF_ALL if self.is_shared else _LOAD, which).one()
            workers *= max(1, load.processes) if self.is_shared else 1
            outcome = _admission(load, workers, max_waiting, among=among)
            if outcome in ("taken", "kept"):
                _add_turn(tx, arrival, turn)
                tx.wake(turn.thread, Work.TURNS, lane=turn.asker)
            asked = {"asker": turn.asker, "words": digest(turn.text), "ts": turn.ts, "outcome": outcome}
            tx.note(turn.thread, turn.turn, [JournalEntry("question", asked)])
            add_posts(tx, says_kept(load.connecting) if outcome == "kept" else says[outcome])
            if outcome == "taken" and self._holds.of(turn.thread) is None:
                taken = self._holds.take_new(tx.db, turn.thread)
        if taken is not None:
            self._holds.keep(taken)
        return outcome


def refused(turn: Turn, closed: Closed) -> JournalEntry:
    """The journal's entry for a question that an allowance leaves no room for."""
    reason = f"{closed.setting}={closed.value}"
    return JournalEntry("question refused", {"user": turn.asker, "reason": reason, "until": closed.until})


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
        "channel": of.channel,
        "trace": turn.trace,
    }  # fmt: skip
    tx.db.execute(_ADD_TURN, row)


def _admission(load: Any, workers: int, max_waiting: int, *, among: bool) -> Admission:
    """What becomes of one more turn."""
    share, place = (max(_LEAST_SHARE, max_waiting // part) for part in (_SHARE, _PLACE))
    if load.pending or load.connecting:
        return "kept" if load.kept < share else "too many of theirs"
    if _waiting(load.total, load.others, workers) > max_waiting or load.here > place:
        return "too many"
    if among and _waiting(load.of_channel, load.channel_others, workers) > place:
        return "too many"
    return "taken" if _waiting(load.theirs, load.their_others, workers) <= share else "too many of theirs"


def _waiting(total: int, others: int, workers: int) -> int:
    """How many turns wait with one more: `total` are there, in `others` other threads, each of which keeps at most one worker busy."""
    return total + 1 - min(workers, others + 1)
