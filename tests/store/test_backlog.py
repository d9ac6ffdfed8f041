"""What waits, as the metrics tell it: how much, and for how long, on both engines; and what of a turn is kept for its trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine, text

from base.thread import Thread
from gate.policy import Event, State
from store.backlog import LOOKS, Backlog, Waiting
from store.received import Mention
from store.store import Store
from store.turns import Turn
from tests.harness.databases import begun
from tests.harness.stores import ANN, CHANNEL, QUIET, TEAM, A, B, Clock, admit, arrive, begin, propose, redrawn

NONE = Waiting(0, 0.0)


def test_nothing_waits_in_an_empty_database(store: Store) -> None:
    assert store.backlog() == Backlog(NONE, NONE, NONE, NONE, 0, 0)


def test_the_oldest_of_each_kind_is_told(store: Store, clock: Clock) -> None:
    admit(store, A)
    clock.now += 40
    admit(store, B)
    arrive(store, Thread(TEAM, CHANNEL, "100.000003"))
    clock.now += 2
    found = store.backlog()
    assert found.turns == Waiting(2, 42.0)
    assert found.arrivals == Waiting(1, 2.0)


def test_a_clock_that_was_set_back_makes_no_age_below_zero(store: Store, clock: Clock) -> None:
    admit(store, A)
    clock.now -= 100
    assert store.backlog().turns == Waiting(1, 0.0)


def test_what_waits_behind_a_decision_waits_for_that(store: Store, clock: Clock) -> None:
    asked = propose(store, begin(store))
    admit(store, A)
    clock.now += 10
    found = store.backlog()
    assert found.approvals == Waiting(1, 10.0)
    assert found.turns == NONE
    assert found.posts == Waiting(1, 10.0)
    store.transition(asked.proposal, Event.REJECT, redrawn)
    assert store.backlog().turns == Waiting(1, 10.0)
    assert store.backlog().approvals == NONE


def test_turns_that_are_worked_on_and_that_wait_for_the_model_are_counted(store: Store, clock: Clock) -> None:
    turn = begin(store)
    assert (store.backlog().running, store.backlog().for_model) == (1, 0)
    store.pause_turn(turn, clock.now, clock.now + 5)
    assert (store.backlog().running, store.backlog().for_model) == (0, 1)


def test_a_look_reads_no_table_from_end_to_end(tmp_path: Path) -> None:
    """It is made every few seconds, over the rows of a month."""
    url = f"sqlite:///{tmp_path}/bot.db"
    Store(url).close()
    engine = create_engine(url)
    with engine.connect() as db:
        for look in LOOKS:
            spelt = look.compile(engine)
            values = tuple(spelt.params[name] for name in spelt.positiontup or ())
            steps = [row[3] for row in db.exec_driver_sql(f"explain query plan {spelt}", values)]
            assert not [one for one in steps if one.startswith("SCAN") and "INDEX" not in one], steps


def test_a_turn_keeps_its_trace_and_when_it_first_waited_for_people(store: Store, clock: Clock) -> None:
    arrival = arrive(store)
    assert isinstance(arrival.received, Mention)
    turn = Turn("t1", A.key, ANN, "hello", arrival.received.ts, trace="00-abc-def-01")
    store.admit(arrival, turn, QUIET, workers=8, max_waiting=256)
    stored = begun(store, A.key)
    assert stored is not None
    assert (stored.trace, stored.created_at, stored.rested_at) == ("00-abc-def-01", clock.now, None)
    asked = propose(store, stored)
    first = clock.now = clock.now + 10
    assert store.rest_turn(stored)
    clock.now += 10
    assert store.rest_turn(stored)
    again = store.turn("t1")
    assert again is not None
    assert again.rested_at == first
    assert store.trace_of("t1") == store.trace_behind(asked.token) == "00-abc-def-01"
    assert store.trace_of("t2") == store.trace_behind("forged") == ""
    assert [one.trace for one in store.due_posts(A.key)] == ["00-abc-def-01"]


def test_a_turn_does_not_rest_while_a_write_of_it_is_sent(store: Store) -> None:
    turn = begin(store)
    propose(store, turn, state=State.APPROVED)
    assert not store.rest_turn(turn)


def test_a_turn_of_a_version_that_knew_no_traces_has_none(store: Store, url: str) -> None:
    """That version leaves the new columns alone: what it writes has their defaults."""
    turn = begin(store)
    engine = create_engine(url)
    with engine.begin() as db:
        names = [
            name for name in list(db.execute(text("select * from turns")).keys()) if name not in ("trace", "rested_at")
        ]
        old = ", ".join(names)
        db.execute(text(f"create table before_it as select {old} from turns"))
        db.execute(text("delete from turns"))
        db.execute(text(f"insert into turns ({old}) select {old} from before_it"))
    found = store.turn(turn.turn)
    assert found is not None
    assert replace(found, tries=turn.tries, taken_by=turn.taken_by) == replace(turn, trace="", rested_at=None)
