"""Workers by key: one key at a time, keys side by side, nothing that was woken is lost, nothing runs after the stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.holds import Overtaken
from workers.cancel_flag import Stopped
from workers.keyed_workers import KeyedWorkers
from workers.quarantine import Quarantine
from workers.work_queue import WorkQueue

pytestmark = pytest.mark.waits

Work = Callable[[str], float | None]


class Bench:
    """Work that records what it does. Closed, it holds every piece of work in its middle."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.began: list[str] = []
        self.ended: list[str] = []
        self.running: list[str] = []
        self.overlaps: list[str] = []
        self.most = 0
        self.is_open = True
        self.results: list[float | type[Exception] | None] = []  # what the next pieces of work give or raise

    def work(self, key: str) -> float | None:
        with self.changed:
            self.began.append(key)
            self.overlaps += [key] if key in self.running else []
            self.running.append(key)
            self.most = max(self.most, len(self.running))
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.is_open, 60)
        time.sleep(0.0005)  # a moment in which another thread could begin the same key
        with self.changed:
            self.running.remove(key)
            self.ended.append(key)
            result = self.results.pop(0) if self.results else None
            self.changed.notify_all()
        if isinstance(result, type):
            raise result
        return result

    def open(self, is_open: bool = True) -> None:
        with self.changed:
            self.is_open = is_open
            self.changed.notify_all()

    def wait(self, predicate: Callable[[], bool], seconds: float = 60) -> None:
        with self.changed:
            assert self.changed.wait_for(predicate, seconds), (self.began, self.ended)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def workers_of() -> Iterator[Callable[[Work, int], KeyedWorkers]]:
    """Makes workers that are stopped at the end."""
    made: list[KeyedWorkers] = []

    def make(work: Work, threads: int) -> KeyedWorkers:
        made.append(KeyedWorkers(WorkQueue("test"), work, threads))
        return made[-1]

    yield make
    for workers in made:
        workers.stop(time.monotonic() + 1)


WorkersOf = Callable[[Work, int], KeyedWorkers]


def test_a_key_runs_one_at_a_time_and_keys_run_side_by_side(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 4)
    workers.start()
    bench.open(False)
    for key in "abc" * 3:
        workers.queue.wake(key)
    bench.wait(lambda: len(bench.running) == 3)
    bench.open()
    bench.wait(lambda: len(bench.ended) >= 3 and not bench.running)
    assert bench.overlaps == []
    assert bench.most == 3


def test_a_key_never_overlaps_itself_whoever_wakes_it(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 8)
    workers.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: workers.queue.wake(f"key {number % 3}"), range(400)))
    workers.queue.wake("last")
    bench.wait(lambda: "last" in bench.ended and not bench.running)
    assert bench.overlaps == []
    assert {"key 0", "key 1", "key 2"} <= set(bench.ended)


def test_a_key_woken_while_it_runs_runs_once_more(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 2)
    workers.start()
    bench.open(False)
    workers.queue.wake("a")
    bench.wait(lambda: bench.running == ["a"])
    for _ in range(5):
        workers.queue.wake("a")
    bench.open()
    bench.wait(lambda: bench.ended == ["a", "a"])
    workers.queue.wake("b")
    bench.wait(lambda: "b" in bench.ended)
    assert bench.ended == ["a", "a", "b"]


def test_a_key_that_waits_is_there_once(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 1)
    for key in "abab":
        workers.queue.wake(key)
    workers.start()
    workers.queue.wake("end")
    bench.wait(lambda: "end" in bench.ended)
    assert bench.ended == ["a", "b", "end"]


def test_keys_are_taken_in_the_order_of_their_waking(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 1)
    for key in "dacb":
        workers.queue.wake(key)
    workers.start()
    bench.wait(lambda: len(bench.ended) == 4)
    assert bench.ended == list("dacb")


def test_a_delayed_key_runs_when_its_time_has_come(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 1)
    workers.start()
    began = time.monotonic()
    workers.queue.wake("late", delay=0.2)
    workers.queue.wake("soon", delay=0.1)
    workers.queue.wake("now")
    bench.wait(lambda: len(bench.ended) == 3)
    assert bench.ended == ["now", "soon", "late"]
    assert time.monotonic() - began >= 0.2


def test_a_sooner_delay_overtakes_the_one_that_is_slept_for(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 2)
    workers.start()
    workers.queue.wake("in an hour", delay=3_600)
    workers.queue.wake("soon", delay=0.05)
    bench.wait(lambda: bench.ended == ["soon"])


def test_work_that_gives_seconds_is_done_again_after_them(bench: Bench, workers_of: WorkersOf) -> None:
    bench.results = [0.05, 0.05, None]
    workers = workers_of(bench.work, 2)
    workers.start()
    workers.queue.wake("a")
    bench.wait(lambda: bench.ended == ["a"] * 3)
    workers.queue.wake("b")
    bench.wait(lambda: "b" in bench.ended)
    assert bench.ended == ["a", "a", "a", "b"]


def test_a_key_that_sleeps_can_be_woken_before_its_time(bench: Bench, workers_of: WorkersOf) -> None:
    bench.results = [3_600.0]
    workers = workers_of(bench.work, 1)
    workers.start()
    workers.queue.wake("a")
    bench.wait(lambda: bench.ended == ["a"])
    workers.queue.wake("a")
    bench.wait(lambda: bench.ended == ["a", "a"])


def test_work_that_fails_costs_no_worker_and_holds_up_no_other_key(bench: Bench, workers_of: WorkersOf) -> None:
    bench.results = [ZeroDivisionError, Stopped, ZeroDivisionError]
    workers = workers_of(bench.work, 1)
    workers.start()
    for key in "abcd":
        workers.queue.wake(key)
    bench.wait(lambda: bench.ended == ["a", "b", "c", "d"])
    workers.queue.wake("a")
    bench.wait(lambda: bench.ended[-1] == "a")


def test_work_that_failed_is_tried_again_by_itself(bench: Bench, workers_of: WorkersOf) -> None:
    """Slow: the pause after a fault is five seconds and no argument of a workers."""
    bench.results = [ZeroDivisionError]
    workers = workers_of(bench.work, 1)
    workers.start()
    workers.queue.wake("a")
    bench.wait(lambda: bench.ended == ["a", "a"])


def test_work_that_was_overtaken_is_tried_again_without_a_word(
    bench: Bench, workers_of: WorkersOf, caplog: pytest.LogCaptureFixture
) -> None:
    """Slow, as above."""
    bench.results = [Overtaken]
    workers = workers_of(bench.work, 1)
    workers.start()
    workers.queue.wake("a")
    bench.wait(lambda: bench.ended == ["a", "a"])
    assert caplog.records == []


def test_work_that_was_stopped_is_not_tried_again(bench: Bench, workers_of: WorkersOf) -> None:
    bench.results = [Stopped]
    workers = workers_of(bench.work, 1)
    workers.start()
    workers.queue.wake("a")
    workers.queue.wake("b", delay=0.1)
    bench.wait(lambda: "b" in bench.ended)
    assert bench.ended == ["a", "b"]


def threads() -> int:
    return sum(one.name.startswith("test-") for one in threading.enumerate())


def test_there_are_as_many_threads_as_there_was_work_for_at_once(bench: Bench, workers_of: WorkersOf) -> None:
    before = threads()
    workers = workers_of(bench.work, 3)
    workers.start()
    assert threads() == before
    for number in range(3):
        workers.queue.wake("a")
        bench.wait(lambda number=number: len(bench.ended) == number + 1)  # type: ignore[misc]
    assert threads() == before + 1
    bench.open(False)
    for key in "abcde":
        workers.queue.wake(key)
    bench.wait(lambda: len(bench.running) == 3)
    assert threads() == before + 3
    bench.open()
    bench.wait(lambda: len(bench.ended) == 3 + 5)


def test_what_is_due_later_is_not_held_up_by_what_is_woken_meanwhile(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 2)
    workers.start()
    bench.open(False)
    workers.queue.wake("later", delay=0.1)
    workers.queue.wake("now")
    bench.wait(lambda: bench.began == ["now", "later"])
    bench.open()


def test_where_the_system_gives_no_thread_those_that_there_are_do_all(
    bench: Bench, workers_of: WorkersOf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    workers = workers_of(bench.work, 3)
    workers.start()
    bench.open(False)
    workers.queue.wake("a")
    bench.wait(lambda: bench.running == ["a"])
    monkeypatch.setattr(threading.Thread, "start", refuse)
    workers.queue.wake("b")
    workers.queue.wake("c")
    bench.open()
    bench.wait(lambda: bench.ended == ["a", "b", "c"])
    assert "no thread" in caplog.text


def test_a_stop_lets_what_runs_end_and_leaves_what_waits(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 1)
    workers.start()
    bench.open(False)
    workers.queue.wake("running")
    bench.wait(lambda: bench.running == ["running"])
    workers.queue.wake("running")
    workers.queue.wake("waiting")
    workers.queue.wake("delayed", delay=0.01)
    assert workers.stop(time.monotonic() + 0.05) is False  # it says that something runs on
    bench.open()
    assert workers.stop(time.monotonic() + 60) is True
    workers.queue.wake("too late")
    assert bench.ended == ["running"]


def test_an_idle_lane_stops_at_once(bench: Bench, workers_of: WorkersOf) -> None:
    workers = workers_of(bench.work, 8)
    workers.start()
    workers.queue.wake("in an hour", delay=3_600)
    began = time.monotonic()
    assert workers.stop(began + 60) is True
    assert time.monotonic() - began < 30
    assert bench.ended == []


# --- suspects ---------------------------------------------------------------------------------------------------------


def test_suspects_go_one_after_the_other_and_all_else_waits_for_them() -> None:
    over: list[str] = []
    quarantine = Quarantine(lambda: over.append("over"))
    assert quarantine.lets("a")
    quarantine.hold(["a", "b", "a"])
    assert [quarantine.lets(key) for key in "abc"] == [True, False, False]
    quarantine.lived("b")  # not its turn
    quarantine.lived("a")
    assert [quarantine.lets(key) for key in "abc"] == [False, True, False]
    assert over == []
    quarantine.lived("b")
    assert [quarantine.lets(key) for key in "abc"] == [True, True, True]
    assert over == ["over"]


def test_nobody_waits_for_ever_for_a_suspect() -> None:
    now = [100.0]
    quarantine = Quarantine(lambda: None, clock=lambda: now[0])
    quarantine.hold(["a", "b"])
    now[0] += 59
    assert [quarantine.lets(key) for key in "abc"] == [True, False, False]
    now[0] += 2
    assert [quarantine.lets(key) for key in "bc"] == [True, False]
    now[0] += 61
    assert quarantine.lets("c")
