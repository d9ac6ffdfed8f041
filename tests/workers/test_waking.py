"""Whom to wake is known before there is anybody to do the work: nothing woken meanwhile is lost."""

from __future__ import annotations

import time
from pathlib import Path

from base.thread import Thread
from store.posts import message
from store.store import Store
from workers.keyed_workers import KeyedWorkers
from workers.leases import Leases
from workers.wakes import Work
from workers.waking import Waking
from workers.work_queue import WorkQueue

THREAD = Thread("T0LOCAL", "C0HR", "1.1")


def test_what_was_woken_before_there_are_workers_is_worked_on_once_there_are() -> None:
    done: list[str] = []
    queue = WorkQueue("test")
    for key in ("a", "b", "a"):
        queue.wake(key)
    workers = KeyedWorkers(queue, done.append, threads=1)
    workers.start()
    by = time.monotonic() + 60
    while len(done) < 2:
        assert time.monotonic() < by
        time.sleep(0.005)
    assert workers.stop(by)
    assert done == ["a", "b"]


def test_a_key_that_is_worked_on_waits_again_only_when_it_is_woken_again() -> None:
    queue = WorkQueue("test")
    queue.wake("a")
    assert "a" in queue
    assert queue.take() == "a"
    assert "a" not in queue
    queue.wake("a")
    assert "a" not in queue  # nobody else may work on it now
    queue.done("a")
    assert "a" in queue


def test_lanes_take_turns() -> None:
    queue = WorkQueue("test")
    for number in range(100):
        queue.wake(f"a{number}", lane="Ann")
    queue.wake("b0", lane="Ben")
    queue.wake("nobody's")
    queue.wake("b1", lane="Ben")
    assert [queue.take() for _ in range(7)] == ["a0", "b0", "nobody's", "a1", "b1", "a2", "a3"]
    assert queue.length == 96


def test_a_key_stays_in_its_lane_until_nothing_is_left_to_do_for_it() -> None:
    queue = WorkQueue("test")
    for key in ("a0", "a1", "a2"):
        queue.wake(key, lane="Ann")
    assert queue.take() == "a0"
    queue.wake("b0", lane="Ben")
    queue.wake("a0")  # once more
    queue.done("a0")
    assert [queue.take() for _ in range(4)] == ["a1", "b0", "a2", "a0"]
    for key in ("a0", "a1", "a2", "b0"):
        queue.done(key)
    queue.wake("a1", lane="Ann")
    queue.wake("a2", lane="Ann")
    queue.wake("a0")  # nobody's by now
    assert [queue.take() for _ in range(3)] == ["a1", "a0", "a2"]


def test_a_closed_queue_gives_out_nothing_more() -> None:
    queue = WorkQueue("test")
    queue.wake("a")
    queue.close()
    assert queue.take() is None


def test_posts_that_are_on_disk_wake_who_delivers_them(tmp_path: Path) -> None:
    waking = Waking()
    store = Store(f"sqlite:///{tmp_path}/bot.db", wakes=waking)
    store.say([message("p", THREAD.key, "", "hello")])
    assert THREAD.key in waking.queues[Work.POSTS]
    assert waking.undelivered == {THREAD.key}
    store.close()


def test_a_thread_that_is_dropped_and_taken_again_stays_for_what_is_being_recorded_for_it() -> None:
    """That leaves no job to others: it was recorded as this process's own work."""
    leases, over = Leases(), list[str]()
    leases.take("a", lambda: over.append("first"))
    assert leases.pin("a")
    leases.drop("a")
    leases.take("a", lambda: over.append("second"))
    leases.release_if_idle("a", lambda: False)
    assert "a" in leases
    leases.unpin("a")
    assert leases.pin("a")
    leases.release_if_idle("a", lambda: False)
    assert "a" in leases
    leases.unpin("a")
    leases.release_if_idle("a", lambda: False)
    assert over == ["first", "second"]


def test_what_is_only_shown_wakes_without_a_look_at_the_posts() -> None:
    waking = Waking()
    waking.show(THREAD.key)
    assert waking.undelivered == set()
