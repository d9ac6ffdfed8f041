"""The inbox: what came is recorded once, and looked at once."""

from __future__ import annotations

from dataclasses import replace

from base.thread import Thread
from store.store import Store
from store.transcript import AssistantMessage, Result, Usage, UserMessage
from store.turns import ReplyOutcome, Turn
from tests.harness.databases import begun, rows
from tests.harness.stores import ANN, BEN, CHANNEL, QUIET, TEAM, A, B, a_click, a_mention, arrive, called, race


def test_the_same_event_id_is_recorded_once(store: Store) -> None:
    assert store.record(a_mention("Ev1", A, "1.1"))
    assert not store.record(a_mention("Ev1", A, "1.1"))
    assert not store.record(a_mention("Ev1", B, "2.2", BEN))
    assert [one.received.event_id for one in store.arrivals(A.key)] == ["Ev1"]
    assert store.arrivals(B.key) == []


def test_the_same_message_under_another_event_id_is_recorded_once(store: Store) -> None:
    assert store.record(a_mention("Ev1", A, "1.1"))
    assert not store.record(a_mention("Ev2", A, "1.1"))
    assert store.record(a_mention("Ev3", A, "1.2"))


def test_the_same_ts_in_another_channel_or_workspace_is_another_message(store: Store) -> None:
    places = [A, Thread(TEAM, "C0OTHER", A.ts), Thread("T0OTHER", CHANNEL, A.ts)]
    assert [store.record(a_mention(f"Ev{i}", p, "1.1")) for i, p in enumerate(places)] == [True] * 3


def test_clicks_have_no_ts_and_are_told_apart_by_their_event_id(store: Store) -> None:
    assert [store.record(a_click(f"click:{i}", A)) for i in (1, 2, 2)] == [True, True, False]


def test_what_was_looked_at_stays_recorded(store: Store) -> None:
    arrival = arrive(store, ts="1.1")
    store.dispose(arrival)
    assert store.arrivals(A.key) == []
    assert not store.record(a_mention(arrival.received.event_id, A, "1.1"))
    assert store.arrivals(A.key) == []


def test_eight_racing_copies_become_one_turn(store: Store, url: str) -> None:
    def deliver(number: int) -> bool:
        return store.record(a_mention("Ev1" if number % 2 else f"Ev-{number}"))

    assert race(8, deliver).count(True) == 1
    (arrival,) = store.arrivals(A.key)
    assert store.admit(arrival, Turn("t", A.key, ANN, "hi", "1.1"), QUIET, workers=1, max_waiting=1) == "taken"
    assert store.arrivals(A.key) == []
    assert len(rows(url, "turns")) == 1


def test_arrivals_come_oldest_first_and_per_thread(store: Store) -> None:
    first, other, second = arrive(store, words="1"), arrive(store, B, words="2"), arrive(store, words="3")
    assert [getattr(one.received, "text", None) for one in store.arrivals(A.key)] == ["1", "3"]
    assert [one.id for one in store.arrivals(A.key)] == [first.id, second.id]
    assert store.arrivals(B.key) == [other]
    assert store.unrested()[0] == [A.key, B.key] or store.unrested()[0] == [B.key, A.key]


def test_words_that_a_database_may_dislike_do_not_stop_the_thread(store: Store) -> None:
    """A NUL is refused by PostgreSQL, half a surrogate pair by both; either may stand in JSON that others send."""
    for number, words in enumerate(("a\x00b", "a\ud800b", "smile \U0001f600", "\u202e")):
        thread = replace(A, ts=f"300.{number:06d}")
        turn = Turn(f"t{number}", thread.key, ANN, words, "1.1")
        assert store.admit(arrive(store, thread, words=words), turn, QUIET, workers=8, max_waiting=8) == "taken"
        taken = begun(store, thread.key)
        assert taken is not None, ascii(words)
        store.add_round(taken, ReplyOutcome(called(1, words), Usage(), results=[Result(0, 0, f'{{"data":"{words}"}}')]))
        assert [type(item) for item in store.transcript(thread.key, ANN)] == [UserMessage, AssistantMessage, Result]
