"""What processes on one PostgreSQL know of each other, by their stores alone; whole processes: tests/workers/test_replicas.py."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gate.policy import Event, State
from slack_io.web_api import PACE, SharedPace
from store.database import CatalogOutdated
from store.holds import Overtaken
from store.posts import message
from store.store import Store
from tests.harness.databases import fresh_database, looking_into, rows
from tests.harness.stores import A, B, arrive, begin, propose, redrawn
from workers.jobs import Jobs
from workers.leases import Leases
from workers.wakes import Work
from workers.waking import Waking


@pytest.fixture
def url(tmp_path: Path) -> str:
    return fresh_database("postgresql", tmp_path)


@pytest.fixture
def process(url: str) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(Store(url, journal_key="k", is_shared=True))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def test_a_thread_is_worked_on_only_by_who_was_given_it(process: Callable[[], Store]) -> None:
    store = process()
    with pytest.raises(Overtaken), store.holding(A.key):
        pass
    assert store.take_up(A.key) is False
    with store.holding(A.key):
        assert store.is_ours(A.key)
    store.put_down(A.key)
    with pytest.raises(Overtaken), store.holding(A.key):
        pass


def test_who_is_ended_while_it_waits_for_a_process_of_an_earlier_version_ends(process: Callable[[], Store]) -> None:
    earlier, waiting = process(), process()
    assert earlier.lock_at_once()
    stop = threading.Event()
    stop.set()
    with pytest.raises(SystemExit):
        waiting.join(stop)


def test_who_had_a_thread_before_writes_nothing_more(process: Callable[[], Store]) -> None:
    first, second = process(), process()
    first.take_up(A.key)
    with first.holding(A.key):
        assert second.take_up(A.key) is True
        with pytest.raises(Overtaken):
            first.say([])
    second.put_down(A.key)
    assert first.take_up(A.key) is True
    with first.holding(A.key):
        first.say([])


def test_a_newer_catalog_keeps_the_older_from_sending_until_it_is_taken(process: Callable[[], Store]) -> None:
    first, second = process(), process()
    first.take_catalog("old", insists=False)
    second.take_catalog("old", insists=False)
    first.check_catalog()
    first.take_catalog("new", insists=True)
    first.check_catalog()
    with pytest.raises(CatalogOutdated):
        second.check_catalog()
    second.take_catalog("new", insists=False)
    second.check_catalog()


def test_what_was_approved_is_not_sent_by_who_has_an_older_catalog(process: Callable[[], Store]) -> None:
    first, second = process(), process()
    first.take_catalog("old", insists=False)
    first.take_up(A.key)
    one = propose(first, begin(first, A), State.APPROVED)
    second.take_catalog("new", insists=True)
    with first.holding(A.key), pytest.raises(CatalogOutdated):
        first.transition(one.proposal, Event.SEND, redrawn)
    assert first.proposal_of(one.proposal) == one
    first.take_catalog("new", insists=False)
    with first.holding(A.key):
        sent = first.transition(one.proposal, Event.SEND, redrawn)
    assert sent is not None
    assert sent.state is State.SENDING


def test_a_process_that_starts_with_an_older_file_is_not_the_newest_and_one_that_is_told_to_is(
    process: Callable[[], Store],
) -> None:
    first, late = process(), process()
    first.take_catalog("old", insists=False)
    first.take_catalog("new", insists=True)
    late.take_catalog("old", insists=False)
    first.check_catalog()
    with pytest.raises(CatalogOutdated):
        late.check_catalog()
    late.take_catalog("old", insists=True)  # somebody went back to it
    late.check_catalog()
    with pytest.raises(CatalogOutdated):
        first.check_catalog()


@pytest.mark.parametrize("method", ["chat.postMessage", "users.info"])
def test_slacks_pace_is_one_for_all_processes(process: Callable[[], Store], method: str) -> None:
    paces = itertools.cycle([SharedPace(process()), SharedPace(process())])
    limit, seconds = PACE[method]
    for _ in range(limit):
        assert next(paces).take(method, "C1") == 0
    assert 0 < next(paces).take(method, "C1") <= seconds / limit + 0.01


def test_what_waits_leaves_slacks_calls_to_others(process: Callable[[], Store]) -> None:
    pace = SharedPace(process())
    limit, _ = PACE["chat.update"]
    for _ in range(limit - 15):
        assert pace.take("chat.update", "C1", spare=15) == 0
    assert pace.take("chat.update", "C1", spare=15) > 0
    assert pace.take("chat.update", "C1") == 0


@pytest.mark.parametrize("method", ["chat.postMessage", "users.info"])
def test_a_pause_that_slack_asks_for_holds_for_all_processes(process: Callable[[], Store], method: str) -> None:
    first, second = SharedPace(process()), SharedPace(process())
    first.hold(method, 30.0)
    assert 29 < second.take(method, "C1") <= 30
    assert second.take("reactions.add", "C1") == 0


def test_what_is_recorded_is_left_as_a_job_unless_this_process_has_the_thread(url: str) -> None:
    leases = Leases()
    waking = Waking(leases, Jobs().defer)
    store = Store(url, wakes=waking, journal_key="k", is_shared=True)
    leases.take(A.key, lambda: None)
    arrive(store, A)
    arrive(store, B)
    assert [row["lock"] for row in rows(url, "procrastinate_jobs")] == [B.key]
    assert A.key in waking.queues[Work.ARRIVALS]
    assert B.key not in waking.queues[Work.ARRIVALS]
    store.close()


def test_a_transaction_that_is_rolled_back_leaves_no_job(url: str) -> None:
    store = Store(url, wakes=Waking(Leases(), Jobs().defer), journal_key="k", is_shared=True)
    arrival = arrive(store, A)
    before = len(rows(url, "procrastinate_jobs"))
    store.handled(arrival.id)
    with pytest.raises(Overtaken):  # handled before
        store.dispose(arrival, [message("p", A.key, "", "words")])
    assert len(rows(url, "procrastinate_jobs")) == before
    assert rows(url, "posts") == []
    store.close()


def test_a_dead_process_leaves_its_threads_and_counts_as_ended_in_the_middle_of_them(
    process: Callable[[], Store], url: str
) -> None:
    dead, living = process(), process()
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("insert into procrastinate_workers (last_heartbeat) values (now() - interval '1 minute')"))
        db.execute(
            text(
                """insert into procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)
                   values ('threads', 'work on a thread', :key, jsonb_build_object('thread', cast(:key as text)), 'doing', 1)"""
            ),
            {"key": A.key},
        )
    dead.beat(1)
    living.beat(None)
    dead.take_up(A.key)
    dead.take_in_later()
    arrival = arrive(dead, A)
    dead.take_in(arrival)
    (job,) = rows(url, "procrastinate_jobs")

    threads, left = living.share_out([job["id"]])

    assert (threads, [one.ends_alone for one in left]) == ([A.key], [1])
    assert living.share_out([job["id"]]) == ([], [])
    assert dead.counts_as_dead()
    assert not living.counts_as_dead()
    assert [one.ends_alone for one in living.ended_processes(A.key)] == [1]
