"""Saved results, on both databases: found again under their number by their own thread alone, and gone in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from base.thread import Thread
from store.saved_results import Bounds
from store.store import Store
from store.turns import Turn
from tests.harness.bot_parts import QUIET
from tests.harness.databases import rows
from tests.harness.stores import Clock, a_mention
from tests.harness.whole_bot import at_once

A, B = (Thread("T0LOCAL", "C0HR", f"100.00000{i}").key for i in (1, 2))
SMALL = Bounds(one=100, thread=250, all=400, age=3_600)


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    store = opened(url, clock)
    for number, thread in enumerate((A, B)):
        arrive(store, thread, number)
    yield store
    store.close()


def opened(url: str, clock: Clock, bounds: Bounds = SMALL) -> Store:
    return Store(url, clock, journal_key="k", bounds=bounds)


def arrive(store: Store, thread: str, number: int) -> None:
    assert store.record(a_mention(f"Ev{number}", Thread.from_key(thread), f"1.{number}"))
    turn = Turn(f"turn-{number}", thread, "U0ANN", "hello", f"1.{number}")
    assert store.admit(store.arrivals(thread)[-1], turn, QUIET, workers=8, max_waiting=9) == "taken"


def data(store: Store, thread: str, number: int) -> str | None:
    kept = store.kept(thread, number, "U0ANN")
    return kept.data if kept is not None else None


def test_why_an_answer_is_a_part_is_kept_with_it(store: Store) -> None:
    store.keep(A, "[1]", part="The rest was not read.")
    store.keep(A, "[2]")
    assert store.kept(A, 1, "U0ANN") == ("[1]", "The rest was not read.")
    assert store.kept(A, 2, "U0ANN") == ("[2]", "")


def test_an_answer_is_found_again_by_its_number(store: Store) -> None:
    assert store.keep(A, '["é\\u0000"]') == 1
    assert store.keep(A, "[2]") == 2
    assert (data(store, A, 1), data(store, A, 2)) == ('["é\\u0000"]', "[2]")


def test_a_thread_sees_only_its_own(store: Store) -> None:
    assert store.keep(A, "[1]") == 1
    assert data(store, B, 1) is None
    assert store.keep(B, "[2]") == 1
    assert data(store, B, 1) == "[2]"


def test_a_number_that_was_not_given_finds_nothing(store: Store) -> None:
    store.keep(A, "[1]")
    assert [data(store, A, number) for number in (0, 2, -1, 2**31 - 1)] == [None] * 4


def test_what_was_kept_outlives_the_process(store: Store, url: str, clock: Clock) -> None:
    store.keep(A, "[1]")
    store.close()
    again = opened(url, clock)
    assert data(again, A, 1) == "[1]"
    again.close()


def test_an_answer_that_is_too_large_is_not_kept(store: Store, url: str) -> None:
    assert store.keep(A, "x" * 101) is None
    assert rows(url, "results") == []
    assert store.keep(A, "x" * 100) == 1


def test_a_thread_that_is_not_known_keeps_nothing(store: Store, url: str) -> None:
    assert store.keep("T/C/9.9", "[1]") is None
    assert rows(url, "results") == []


def test_the_oldest_of_a_thread_goes_when_its_room_is_full(store: Store, clock: Clock) -> None:
    store.keep(B, "b" * 100)
    for i in range(3):
        clock.now += 1
        store.keep(A, str(i) * 100)
    assert [data(store, A, number) is not None for number in (1, 2, 3)] == [False, True, True]
    assert data(store, B, 1) is not None


def test_the_oldest_of_all_goes_when_all_room_is_full(store: Store, clock: Clock) -> None:
    for thread in (A, B, A, B):
        clock.now += 1
        store.keep(thread, "x" * 100)
    clock.now += 1
    store.keep(B, "y" * 50)
    assert [data(store, A, 1), data(store, B, 1)] == [None, "x" * 100]


def test_a_number_is_never_given_again(store: Store, clock: Clock) -> None:
    """The transcript may still name the old one."""
    store.keep(A, "[1]")
    clock.now += 4_000
    assert store.keep(A, "[2]") == 2
    assert data(store, A, 1) is None


def test_what_is_too_old_is_not_found_and_goes_with_the_next_tidying(store: Store, url: str, clock: Clock) -> None:
    store.keep(A, "[1]")
    clock.now += 3_600
    assert data(store, A, 1) == "[1]"
    clock.now += 1
    assert data(store, A, 1) is None
    assert len(rows(url, "results")) == 1
    store.forget(0)
    assert rows(url, "results") == []


def test_many_at_once_get_numbers_of_their_own_and_stay_within_the_bounds(store: Store, url: str) -> None:
    given: list[int | None] = []
    at_once(*[lambda: given.append(store.keep(A, "x" * 100)) for _ in range(8)])
    assert sorted(one or 0 for one in given) == list(range(1, 9))
    assert sum(row["size"] for row in rows(url, "results")) <= 250


def test_the_bounds_of_a_database_may_be_set_anew(store: Store, url: str, clock: Clock) -> None:
    store.keep(A, "x" * 100)
    store.keep(A, "y" * 100)
    other = opened(url, clock, replace(SMALL, thread=10, one=10))
    assert other.keep(A, "[3]") == 3
    assert [row["number"] for row in rows(url, "results")] == [3]
    other.close()
