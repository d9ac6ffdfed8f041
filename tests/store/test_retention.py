"""Retention: what has rested long goes with all that is its own, what is busy stays."""

from __future__ import annotations

from base.thread import Thread
from gate.policy import Event
from store.posts import message
from store.store import Store
from store.transcript import AssistantMessage, Usage
from tests.harness.databases import everything, rows
from tests.harness.stores import ANN, CHANNEL, TEAM, A, B, Clock, a_click, admit, arrive, begin, propose, redrawn


def rest(store: Store, thread: Thread) -> None:
    """A thread with everything that a thread can have, at rest."""
    turn = begin(store, thread)
    one = propose(store, turn)
    store.transition(one.proposal, Event.REJECT, redrawn)
    store.record(a_click(f"click:{one.token}", thread))
    store.dispose(store.arrivals(thread.key)[0])
    store.end_turn(
        turn,
        [message(f"answer-{turn.turn}", thread.key, turn.turn, "done")],
        last_words=AssistantMessage("done"),
        usage=Usage(),
    )
    store.delivered([(due.post.post, "1.1") for due in store.due_posts(thread.key)])


def test_what_has_rested_long_is_forgotten_with_all_that_is_its_own(store: Store, url: str, clock: Clock) -> None:
    rest(store, A)
    store.keep(A.key, "[1]")
    clock.now = 2_000.0
    rest(store, B)
    store.keep(B.key, "[2]")
    kept = {table: [row for row in found if row["thread"] == B.key] for table, found in everything(url).items()}
    assert store.forget(1_500.0) == 1
    assert everything(url) == kept
    assert store.forget(1_500.0) == 0
    assert store.forget(2_000.5) == 1
    assert not any(everything(url).values())


def test_what_is_busy_is_never_forgotten(store: Store, url: str, clock: Clock) -> None:
    threads = {
        name: Thread(TEAM, CHANNEL, f"400.{i:06d}") for i, name in enumerate(("waiting", "running", "decision", "new"))
    }
    for thread in threads.values():
        rest(store, thread)
    admit(store, threads["waiting"])
    begin(store, threads["running"])
    propose(store, begin(store, threads["decision"]), expires_at=9e9)
    arrive(store, threads["new"])
    before = everything(url)
    clock.now = 1e9
    assert store.forget(9e8) == 0
    assert everything(url) == before


def test_a_post_that_is_still_due_keeps_its_thread(store: Store, clock: Clock) -> None:
    rest(store, A)
    clock.now = 2_000.0
    store.say([message("p1", A.key, "", "still to be said")])
    assert store.forget(1_999.0) == 0
    assert [one.post.post for one in store.due_posts(A.key)] == ["p1"]


def test_what_was_refused_and_never_became_a_thread_is_forgotten_too(store: Store, url: str, clock: Clock) -> None:
    old = arrive(store, A)
    store.dispose(old, [message("p1", A.key, "", "not here")])
    store.delivered([("p1", "1.1")])
    clock.now = 2_000.0
    recent = arrive(store, B)
    store.dispose(recent, [message("p2", B.key, "", "not here")])
    assert store.forget(1_500.0) == 0
    assert [row["id"] for row in rows(url, "inbox")] == [recent.id]
    assert [row["post"] for row in rows(url, "posts")] == ["p2"]


def test_many_threads_are_forgotten_at_once(store: Store, url: str) -> None:
    for i in range(12):
        store.end_turn(begin(store, Thread(TEAM, CHANNEL, f"500.{i:06d}")), [], last_words=None, usage=None)
    assert store.forget(9e9) == 12
    assert not any(everything(url).values())


def test_a_thread_that_goes_on_is_not_old(store: Store, clock: Clock) -> None:
    rest(store, A)
    clock.now = 2_000.0
    rest(store, A)
    assert store.forget(1_500.0) == 0
    assert len(store.transcript(A.key, ANN)) == 8
