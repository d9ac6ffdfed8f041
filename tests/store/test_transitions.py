"""What may happen to a turn and to a post is in a table each; what is not in it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from store.database import NotNow
from store.holds import Overtaken
from store.posts import PostEvent, message
from store.store import Store
from store.transcript import AssistantMessage, Usage
from store.turns import ReplyOutcome, Turn, TurnEvent, TurnState
from tests.harness.databases import everything_in, reading, rows
from tests.harness.stores import A, admit

BY: dict[TurnEvent, Callable[[Store, Turn], object]] = {
    TurnEvent.BEGIN: lambda store, turn: store.begin_turn(turn, "hello", ()),
    TurnEvent.DROP: lambda store, turn: store.drop_turn(turn, ()),
    TurnEvent.GO_ON: lambda store, turn: store.add_round(turn, ReplyOutcome(AssistantMessage("hm"), Usage(5, 1))),
    TurnEvent.WAIT: lambda store, turn: store.wait_turn(turn, 1.0),
    TurnEvent.PAUSE: lambda store, turn: store.pause_turn(turn, 1.0, 2.0),
    TurnEvent.AWAIT: lambda store, turn: store.await_account(turn, ["HR"], 9.0, (), (), Usage(5, 1)),
    TurnEvent.END: lambda store, turn: store.end_turn(
        turn,
        [message(f"end-{turn.turn}", turn.thread, turn.turn, "done")],
        last_words=AssistantMessage("done"),
        usage=Usage(5, 1),
    ),
    TurnEvent.FAIL: lambda store, turn: store.end_turn(
        turn, [message(f"end-{turn.turn}", turn.thread, turn.turn, "sorry")], last_words=None, usage=None, failed=True
    ),
}
WAY: dict[TurnState, list[TurnEvent]] = {
    TurnState.WAITING: [],
    TurnState.RUNNING: [TurnEvent.BEGIN],
    TurnState.DONE: [TurnEvent.BEGIN, TurnEvent.END],
    TurnState.FAILED: [TurnEvent.BEGIN, TurnEvent.FAIL],
}
LEADS_TO = {
    ("waiting", "wait"): "waiting", ("waiting", "begin"): "running", ("waiting", "drop"): "done", ("waiting", "fail"): "failed",
    ("running", "go on"): "running", ("running", "pause"): "running", ("running", "await"): "running",
    ("running", "end"): "done", ("running", "fail"): "failed",
}  # fmt: skip


def turn_at(store: Store, state: TurnState, number: int = 1) -> Turn:
    """A turn that has come as far as this, in a thread of this number."""
    _, turn = admit(store, replace(A, ts=f"100.{number:06d}"))
    for event in WAY[state]:
        BY[event](store, turn)
    return turn


def test_a_turn_goes_the_ways_of_its_table(store: Store, url: str) -> None:
    turns = {way: turn_at(store, TurnState(way[0]), number) for number, way in enumerate(LEADS_TO, start=1)}
    for (_, event), turn in turns.items():
        BY[TurnEvent(event)](store, turn)
    became = {row["turn"]: row["state"] for row in rows(url, "turns")}
    assert {way: became[turn.turn] for way, turn in turns.items()} == LEADS_TO


def test_a_turn_goes_no_other_way(store: Store, url: str) -> None:
    turns = {state: turn_at(store, state, number) for number, state in enumerate(TurnState, start=1)}
    with reading(url) as engine:
        before = everything_in(engine)
        for state, turn in turns.items():
            for event in TurnEvent:
                if (state.value, event.value) not in LEADS_TO:
                    with pytest.raises(NotNow):
                        pytest.fail(f"{state}, {event}: {BY[event](store, turn)}")
            assert everything_in(engine) == before, state


def test_who_was_overtaken_is_told_so_whatever_the_turn_has_become_by_then(store: Store, url: str) -> None:
    turn = turn_at(store, TurnState.WAITING)
    other = Store(url, lambda: 1_000.0, journal_key="k")
    with store.holding(A.key):
        other.begin_turn(turn, "hello", ())
        other.end_turn(turn, [], last_words=AssistantMessage("done"), usage=None)
        with pytest.raises(Overtaken):
            store.begin_turn(turn, "hello", ())
    other.close()


def test_what_became_of_a_post_stands(store: Store, url: str) -> None:
    expected = {}
    for first, stands in ((PostEvent.DELIVER, "sent"), (PostEvent.REFUSE, "failed")):
        for then in PostEvent:
            one, other = f"{first}, then {then}", f"beside it: {first}, {then}"
            store.say([message(one, A.key, "", "hello"), message(other, A.key, "", "hello")])
            store.delivered([(one, "1.1")], first)
            store.delivered([(one, "2.2"), (other, "2.3")], then)
            expected[one] = (stands, "1.1")
    found = {row["post"]: (row["state"], row["ts"]) for row in rows(url, "posts")}
    assert {one: found[one] for one in expected} == expected


def test_a_running_turn_comes_before_one_that_waits_whatever_their_states_are_called(store: Store) -> None:
    _, later = admit(store, A, ts="300.1")
    _, earlier = admit(store, A, ts="200.1")
    found = store.next_turn(A.key)
    assert found is not None
    assert found.turn == earlier.turn
    store.begin_turn(later, "hello", ())
    found = store.next_turn(A.key)
    assert found is not None
    assert (found.turn, found.is_running) == (later.turn, True)
