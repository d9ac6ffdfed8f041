"""A process gives signs of life however busy it is: others would take it for dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import make_url

from base.clock import SteadyClock
from base.thread import Thread
from store.engine import engine_url, libpq_url
from store.posts import thumbs_up
from store.store import Store
from tests.harness.databases import looking_into, opened_before, rows
from tests.harness.stores import A, B, admit, arrive
from tests.harness.whole_bot import until
from workers import jobs
from workers.jobs import defer
from workers.leases import Leases
from workers.replica import Replica
from workers.wakes import Work
from workers.waking import Waking

pytestmark = pytest.mark.waits


@pytest.fixture
def url(tmp_path: Path) -> str:
    return opened_before("postgresql", tmp_path, "k")


def test_however_long_it_takes_to_take_threads_up(url: str) -> None:
    """All who do so are busy, and many more threads wait for them."""
    leases, clock, goes_on = Leases(), SteadyClock(), threading.Event()
    store = Store(url, clock, waking := Waking(leases, jobs), "k", is_shared=True)
    taken: list[str] = []

    def take_up(thread: str, *, was_anothers: bool) -> None:
        taken.append(thread)
        goes_on.wait(60)

    with looking_into(url) as engine, engine.begin() as db:
        defer(db, [f"T0/C0/{number}" for number in range(20)], set())
    arrive(store, A)
    arrive(store, B)
    replica = Replica(
        libpq_url(engine_url(url)), store, leases, waking, take_up, clock, most=100, home_changed=lambda _names: None
    )
    replica.start()
    try:
        until(lambda: len(taken) >= 4)

        def beats() -> tuple[object, ...]:
            (process,) = [row["beat_at"] for row in rows(url, "replicas") if row["process"] == store.process]
            return process, rows(url, "procrastinate_workers")[0]["last_heartbeat"]

        for _ in range(2):
            before = beats()
            until(lambda: all(now > then for now, then in zip(beats(), before, strict=True)))  # type: ignore[operator]  # noqa: B023
    finally:
        goes_on.set()
        replica.close()
        replica.leave(time.monotonic() + 30)
        store.close()


def test_however_the_server_isolates_transactions_by_itself(url: str) -> None:
    """Who fetches a job would fail where another process takes one up at that moment, and give up all that it has."""
    leases, clock = Leases(), SteadyClock()
    store = Store(url, clock, waking := Waking(leases, jobs), "k", is_shared=True)
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("create table seen (level text)"))
        db.execute(
            text(
                """create function see() returns trigger language plpgsql as
                   $$ begin insert into seen values (current_setting('transaction_isolation')); return new; end $$"""
            )
        )
        db.execute(text("create trigger see before update on procrastinate_jobs for each row execute function see()"))
        db.execute(text(f'alter database "{make_url(url).database}" set default_transaction_isolation = serializable'))
    arrive(store, A)
    replica = Replica(
        libpq_url(engine_url(url)), store, leases, waking, lambda thread, *, was_anothers: None, clock, most=100,
        home_changed=lambda _names: None,
    )  # fmt: skip
    replica.start()
    try:
        until(lambda: rows(url, "seen"))
        assert {row["level"] for row in rows(url, "seen")} == {"read committed"}
    finally:
        replica.close()
        replica.leave(time.monotonic() + 30)
        store.close()


class Told(Store):
    """Is told to end while its process looks for what was left."""

    def __init__(self, *given: Any, end: Callable[[], None], **more: Any) -> None:
        self._end = end
        super().__init__(*given, **more)

    def defer_unrested(self) -> None:
        self._end()
        super().defer_unrested()


def test_who_is_told_to_end_in_its_first_moments_works_off_no_jobs(url: str) -> None:
    """It had nothing to stop then, and began all the same: its end took as long as work under way may take."""
    leases, clock = Leases(), SteadyClock()
    store = Told(
        url, clock, waking := Waking(leases, jobs), "k", is_shared=True, end=lambda: replica.close()
    )  # fmt: skip
    before = set(threading.enumerate())
    replica = Replica(
        libpq_url(engine_url(url)), store, leases, waking, lambda thread, *, was_anothers: None, clock, most=100,
        home_changed=lambda _names: None,
    )  # fmt: skip
    replica.start()
    replica.leave(time.monotonic() + 60)
    working = [one.name for one in set(threading.enumerate()) - before if one.name == "jobs"]
    store.close()
    assert working == []


class Deaf(Store):
    """Never hears itself, only what others are told: as by a session that PgBouncer has given to somebody else since."""

    def tell(self, channel: str, _news: str) -> None:
        super().tell(channel, "turns T0/C0/1")


class Noted(Waking):
    """Notes for what threads are woken."""

    woken = 0

    def wake(self, work: Work, thread: str, *, lane: str = "") -> None:
        self.woken += work is Work.STOPS
        super().wake(work, thread, lane=lane)


def test_who_does_not_hear_itself_looks_for_news_all_the_time(url: str) -> None:
    """Otherwise somebody's Stop would be noticed half a minute later."""
    leases, clock = Leases(), SteadyClock()
    store = Deaf(url, clock, waking := Noted(leases, jobs), "k", is_shared=True)
    arrive(store, A)
    admit(store, A)
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("update turns set stopped_by = 'U0BEN'"))

    def take_up(thread: str, *, was_anothers: bool) -> None:
        waking.wake(Work.TURNS, thread)  # there is something to do, and nobody does it

    replica = Replica(
        libpq_url(engine_url(url)), store, leases, waking, take_up, clock, most=100, home_changed=lambda _names: None
    )
    replica.start()
    try:
        until(lambda: A.key in leases and waking.woken)
        for _ in range(2):
            before = waking.woken
            until(lambda: waking.woken > before, 15)  # noqa: B023
    finally:
        replica.close()
        replica.leave(time.monotonic() + 30)
        store.close()


def test_a_look_for_news_does_not_look_into_what_waits(url: str) -> None:
    """Hundreds of thumbs-ups wait for Slack's pace, each in a thread that this process has until then."""
    leases, clock = Leases(), SteadyClock()
    store = Store(url, clock, waking := Waking(leases, jobs), "k", is_shared=True)
    threads = [Thread("T0", "C0", f"1.{number}") for number in range(30)]
    for thread in threads:
        leases.take(thread.key, lambda: None)
    store.say([thumbs_up(f"p{thread.ts}", thread.key, "", thread.ts) for thread in threads])
    arrive(store, threads[7])
    for queue in waking.all_queues:
        while queue.length:
            queue.done(str(queue.take()))
    sent: list[str] = []
    for engine in (store._engine, store._by_statement):
        event.listen(engine, "before_cursor_execute", lambda *of: sent.append(of[2]))
    replica = Replica(
        libpq_url(engine_url(url)), store, leases, waking, lambda thread, *, was_anothers: None, clock, most=100,
        home_changed=lambda _names: None,
    )  # fmt: skip
    replica._look()
    assert len(sent) <= len(Work), sent
    assert [threads[7].key in waking.queues[work] for work in (Work.ARRIVALS, Work.POSTS)] == [True, False]
    assert sum(queue.length for queue in waking.all_queues) == 1
    store.close()
