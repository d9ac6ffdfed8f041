"""Admission: how many turns may wait, of all and of one person."""

from __future__ import annotations

from base.thread import Thread
from gate.policy import Event
from store.admission import Admission
from store.posts import Post, message
from store.store import Store
from store.turns import Turn
from tests.harness.databases import begun, rows
from tests.harness.stores import ANN, BEN, CHANNEL, QUIET, TEAM, A, B, admit, arrive, begin, propose, race, redrawn


def test_turns_that_workers_are_busy_with_do_not_count_as_waiting(store: Store) -> None:
    threads = [Thread(TEAM, CHANNEL, f"300.{i:06d}") for i in range(7)]
    outcomes = [admit(store, thread, workers=2, max_waiting=3)[0] for thread in threads]
    assert outcomes == ["taken"] * 5 + ["too many"] * 2


def test_a_thread_keeps_one_worker_busy_at_most(store: Store) -> None:
    outcomes = [admit(store, A, workers=8, max_waiting=3)[0] for _ in range(6)]
    assert outcomes == ["taken"] * 4 + ["too many"] * 2


def test_a_refused_mention_leaves_no_turn_and_is_told(store: Store, url: str) -> None:
    admit(store, A, workers=1, max_waiting=1)
    admit(store, A, workers=1, max_waiting=1)
    says = QUIET | {"too many": [message("p1", B.key, "", "Too many requests")]}
    assert admit(store, B, says=says, workers=1, max_waiting=1)[0] == "too many"
    assert begun(store, B.key) is None
    assert store.arrivals(B.key) == []
    assert [due.post.post for due in store.due_posts(B.key)] == ["p1"]
    assert len(rows(url, "turns")) == 2


def test_threads_that_wait_for_a_decision_do_not_count(store: Store) -> None:
    for i in range(5):
        propose(store, begin(store, Thread(TEAM, CHANNEL, f"300.{i:06d}")))
    assert admit(store, A, workers=1, max_waiting=1)[0] == "taken"
    assert admit(store, A, workers=1, max_waiting=1)[0] == "taken"
    assert admit(store, A, workers=1, max_waiting=1)[0] == "too many"


def test_a_message_into_a_thread_that_waits_for_a_decision_is_kept(store: Store) -> None:
    waiting = propose(store, begin(store))
    told: list[str | None] = []

    def says_kept(connecting: str | None) -> list[Post]:
        told.append(connecting)
        return [message("p1", A.key, "", "I've noted this")]

    assert admit(store, A, BEN, says_kept=says_kept)[0] == "kept"
    assert told == [None], "it waits for a decision, not for an account"
    assert [due.post.post for due in store.due_posts(A.key)] == [waiting.card, "p1"]
    assert admit(store, B)[0] == "taken"
    store.transition(waiting.proposal, Event.REJECT, redrawn)
    assert admit(store, A)[0] == "taken"


def test_racing_mentions_are_not_let_in_beyond_the_limit(store: Store, url: str) -> None:
    places = [Thread(TEAM, CHANNEL, f"300.{i:06d}") for i in range(12)]
    arrivals = [arrive(store, place) for place in places]

    def let_in(number: int) -> Admission:
        turn = Turn(f"t{number}", places[number].key, ANN, "hi", "1.1")
        return store.admit(arrivals[number], turn, QUIET, workers=1, max_waiting=3)

    assert race(12, let_in).count("taken") == 4
    assert len(rows(url, "turns")) == 4
