"""The store, on SQLite and on PostgreSQL alike: what must happen once happens once, what is not allowed changes nothing."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url

from base.settings import Misconfigured
from base.thread import Thread
from catalog.rules import Rule
from gate.policy import TRANSITIONS, Event, State
from store.journal.hash_chain import JournalEntry
from store.posts import Post, message, update
from store.store import Admission, Arrival, Effects, Proposal, ReplyOutcome, Store, Turn
from store.tables import MIGRATIONS, SERIAL
from store.transcript import (
    AssistantMessage,
    Result,
    ThreadContext,
    ThreadMessage,
    ToolCall,
    TurnNote,
    Usage,
    UserMessage,
    open_calls,
)
from tests.harness.databases import ENGINES, begun, everything, fresh_database, looking_into, rows

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
TEAM, CHANNEL, ANN, BEN = "T0LOCAL", "C0HR", "U0ANN", "U0BEN"
A, B = Thread(TEAM, CHANNEL, "100.000001"), Thread(TEAM, CHANNEL, "100.000002")
QUIET: dict[Admission, Sequence[Post]] = {"taken": [], "kept": [], "too many": [], "too many of theirs": []}


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_database(request.param, tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    store = Store(url, clock, journal_key="k")
    yield store
    store.close()


_numbers = itertools.count(1)


def arrive(store: Store, thread: Thread = A, ts: str | None = None, user: str = ANN, words: str = "hello") -> Arrival:
    """A mention that was recorded and not yet looked at."""
    number = next(_numbers)
    payload = {"user": user, "text": words, "ts": ts or f"200.{number:06d}"}
    assert store.record("mention", thread, payload, event_id=f"Ev{number}", ts=payload["ts"])
    return store.arrivals(thread.key)[-1]


def admit(
    store: Store,
    thread: Thread = A,
    user: str = ANN,
    ts: str | None = None,
    says: dict[Admission, Sequence[Post]] = QUIET,
    workers: int = 8,
    max_waiting: int = 256,
) -> tuple[Admission, Turn]:
    """A mention, recorded and looked at."""
    arrival = arrive(store, thread, ts, user)
    turn = Turn(f"turn-{arrival.id}", thread.key, user, arrival.payload["text"], arrival.payload["ts"])
    return store.admit(arrival, turn, says, workers=workers, max_waiting=max_waiting), turn


def begin(store: Store, thread: Thread = A, user: str = ANN) -> Turn:
    """A turn that runs."""
    admit(store, thread, user)
    turn = begun(store, thread.key)
    assert turn is not None
    return turn


def proposed(turn: Turn, call: int = 0, state: State = State.PENDING, expires_at: float = 5_000.0) -> Proposal:
    number = next(_numbers)
    return Proposal(
        proposal=f"proposal-{number}", token=f"token-{number}", thread=turn.thread, turn=turn.turn, api="HR",
        operation="DELETE /api/users/[user_id]", method="DELETE", url="http://hr/api/users/7", body=None, asker=turn.asker,
        fingerprint="f", why="", state=state, created_at=1_000.0, expires_at=expires_at, card=f"card-{number}", call=call,
    )  # fmt: skip


def called(count: int, words: str = "") -> AssistantMessage:
    return AssistantMessage(
        words, tuple(ToolCall(f"id{i}", "call_rest_api", '{"method": "GET"}') for i in range(count))
    )


def propose(store: Store, turn: Turn, state: State = State.PENDING, expires_at: float = 5_000.0) -> Proposal:
    """A stored proposal, with its reply and its card's message."""
    one = proposed(turn, state=state, expires_at=expires_at)
    card = message(one.card, turn.thread, turn.turn, "card")
    store.add_round(turn, ReplyOutcome(called(1), Usage(10, 1), proposals=[one], posts=[card]))
    stored = store.proposal(token=one.token)
    assert stored is not None
    return stored


def redrawn(changed: Proposal) -> Effects:
    """What the gate makes of a transition: a result for the model, and the card anew."""
    number = next(_numbers)
    return Effects("{}", [update(f"update-{number}", changed.thread, changed.turn, changed.card, "card", [])])


def race(count: int, work: Callable[[int], T]) -> list[T]:
    """`work` in `count` threads that start at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# --- transcripts ------------------------------------------------------------------------------------------------------


def test_what_goes_with_a_question_stands_before_it_in_the_transcript(store: Store) -> None:
    admit(store, A)
    turn = store.next_turn(A.key)
    assert turn is not None
    noted, line = TurnNote('You are asked by "Ann".', "Operations:\nGET /a Ä"), ThreadMessage("U0BEN", "Ben", "hm")
    store.begin_turn(turn, "why?", [line], (), noted)
    assert store.transcript(A.key, ANN) == [noted, ThreadContext((line,)), UserMessage("why?", ANN)]


# --- the inbox --------------------------------------------------------------------------------------------------------


def test_the_same_event_id_is_recorded_once(store: Store) -> None:
    assert store.record("mention", A, {"user": ANN}, event_id="Ev1", ts="1.1")
    assert not store.record("mention", A, {"user": ANN}, event_id="Ev1", ts="1.1")
    assert not store.record("mention", B, {"user": BEN}, event_id="Ev1", ts="2.2")
    assert [one.event_id for one in store.arrivals(A.key)] == ["Ev1"]
    assert store.arrivals(B.key) == []


def test_the_same_message_under_another_event_id_is_recorded_once(store: Store) -> None:
    assert store.record("mention", A, {"user": ANN}, event_id="Ev1", ts="1.1")
    assert not store.record("mention", A, {"user": ANN}, event_id="Ev2", ts="1.1")
    assert store.record("mention", A, {"user": ANN}, event_id="Ev3", ts="1.2")


def test_the_same_ts_in_another_channel_or_workspace_is_another_message(store: Store) -> None:
    places = [A, Thread(TEAM, "C0OTHER", A.ts), Thread("T0OTHER", CHANNEL, A.ts)]
    assert [store.record("mention", p, {}, event_id=f"Ev{i}", ts="1.1") for i, p in enumerate(places)] == [True] * 3


def test_clicks_have_no_ts_and_are_told_apart_by_their_event_id(store: Store) -> None:
    assert [store.record("click", A, {}, event_id=f"click:{i}") for i in (1, 2, 2)] == [True, True, False]


def test_what_was_looked_at_stays_recorded(store: Store) -> None:
    arrival = arrive(store, ts="1.1")
    store.dispose(arrival)
    assert store.arrivals(A.key) == []
    assert not store.record("mention", A, {}, event_id=arrival.event_id, ts="1.1")
    assert store.arrivals(A.key) == []


def test_eight_racing_copies_become_one_turn(store: Store, url: str) -> None:
    def deliver(number: int) -> bool:
        return store.record("mention", A, {"user": ANN}, event_id="Ev1" if number % 2 else f"Ev-{number}", ts="1.1")

    assert race(8, deliver).count(True) == 1
    (arrival,) = store.arrivals(A.key)
    assert store.admit(arrival, Turn("t", A.key, ANN, "hi", "1.1"), QUIET, workers=1, max_waiting=1) == "taken"
    assert store.arrivals(A.key) == []
    assert len(rows(url, "turns")) == 1


def test_arrivals_come_oldest_first_and_per_thread(store: Store) -> None:
    first, other, second = arrive(store, words="1"), arrive(store, B, words="2"), arrive(store, words="3")
    assert [one.payload["text"] for one in store.arrivals(A.key)] == ["1", "3"]
    assert [one.id for one in store.arrivals(A.key)] == [first.id, second.id]
    assert store.arrivals(B.key) == [other]
    assert store.unrested()[0] == [A.key, B.key] or store.unrested()[0] == [B.key, A.key]


@pytest.mark.parametrize("words", ["a\x00b", "a\ud800b", "smile \U0001f600", "\u202e"], ids=ascii)
def test_words_that_a_database_may_dislike_do_not_stop_the_thread(store: Store, words: str) -> None:
    """A NUL is refused by PostgreSQL, half a surrogate pair by both; either may stand in JSON that others send."""
    arrival = arrive(store, words=words)
    turn = Turn("t", A.key, ANN, words, "1.1")
    assert store.admit(arrival, turn, QUIET, workers=1, max_waiting=1) == "taken"
    taken = begun(store, A.key)
    assert taken is not None
    store.add_round(taken, ReplyOutcome(called(1, words), Usage(), results=[Result(0, 0, f'{{"data":"{words}"}}')]))
    assert [type(item) for item in store.transcript(A.key, ANN)] == [UserMessage, AssistantMessage, Result]


# --- admission --------------------------------------------------------------------------------------------------------


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
    says = QUIET | {"kept": [message("p1", A.key, "", "I've noted this")]}
    assert admit(store, A, BEN, says=says)[0] == "kept"
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


# --- turns ------------------------------------------------------------------------------------------------------------


def test_the_oldest_message_of_a_thread_goes_first_whenever_it_came_in(store: Store) -> None:
    for ts in ("200.000003", "200.000001", "200.000002"):
        admit(store, A, ts=ts)
    taken = []
    while (turn := begun(store, A.key)) is not None:
        taken.append(turn.ts)
        store.end_turn(turn, [], said=AssistantMessage("done"), usage=Usage())
    assert taken == ["200.000001", "200.000002", "200.000003"]


def test_the_turn_that_runs_is_given_again_with_its_model_calls_and_its_words_are_there_once(store: Store) -> None:
    admit(store, A, ts="200.000002")
    turn = begun(store, A.key)
    assert turn is not None
    store.add_round(turn, ReplyOutcome(called(1), Usage(), results=[Result(0, 0, "{}")]))
    admit(store, A, ts="200.000001")
    again = begun(store, A.key)
    assert again is not None
    assert (again.turn, again.model_calls) == (turn.turn, 1)
    assert sum(isinstance(item, UserMessage) for item in store.transcript(A.key, ANN)) == 1


def test_a_thread_without_turns_gives_none(store: Store) -> None:
    assert begun(store, A.key) is None
    assert store.transcript(A.key, ANN) == []
    assert not store.is_tainted(A.key)


def test_a_transcript_comes_back_as_it_went_in(store: Store) -> None:
    turn = begin(store)
    calls = (
        ToolCall("x", "call_rest_api", '{"url": "/ü\\u0000"}'),
        ToolCall("x_1", "", "{}"),
        ToolCall("", "other", "{}"),
    )
    first = store.add_round(
        turn,
        ReplyOutcome(
            AssistantMessage("thinking\n", calls), Usage(), results=[Result(0, 2, '{"c":3}'), Result(0, 0, '{"a":"ß"}')]
        ),
    )
    second = store.add_round(
        turn, ReplyOutcome(AssistantMessage("", (ToolCall("x", "y", "{}"),)), Usage(), results=[Result(0, 0, "{}")])
    )
    store.end_turn(turn, [], said=AssistantMessage("Ready \U0001f600"), usage=Usage())
    said, *middle, last = store.transcript(A.key, ANN)
    assert said == UserMessage("hello", ANN)
    assert middle == [
        first,
        Result(first.row, 2, '{"c":3}'),
        Result(first.row, 0, '{"a":"ß"}'),
        second,
        Result(second.row, 0, "{}"),
    ]
    assert isinstance(last, AssistantMessage)
    assert (last.text, last.calls) == ("Ready \U0001f600", ())
    assert [call for _, call in open_calls([said, *middle, last])] == [1]


def test_threads_see_nothing_of_each_other(store: Store) -> None:
    one, other = begin(store, A), begin(store, B)
    store.add_round(one, ReplyOutcome(called(1), Usage(), results=[Result(0, 0, "secret")], tainted=True))
    assert store.transcript(B.key, ANN) == [UserMessage("hello", ANN)]
    assert not store.is_tainted(B.key)
    store.end_turn(other, [], said=AssistantMessage("hi"), usage=Usage())
    assert len(store.transcript(A.key, ANN)) == 3


def test_tokens_and_model_calls_add_up_per_turn(store: Store, url: str) -> None:
    turn = begin(store)
    store.add_round(turn, ReplyOutcome(called(1), Usage(100, 10), results=[Result(0, 0, "{}")]))
    store.add_round(turn, ReplyOutcome(called(1), Usage(200, 20), results=[Result(0, 0, "{}")]))
    store.end_turn(turn, [], said=AssistantMessage("done"), usage=Usage(300, 30))
    (row,) = rows(url, "turns")
    assert (row["model_calls"], row["prompt_tokens"], row["completion_tokens"], row["state"]) == (3, 600, 60, "done")


def test_a_failed_turn_closes_its_open_calls_and_the_next_turn_begins(store: Store, url: str) -> None:
    turn = begin(store)
    store.add_round(turn, ReplyOutcome(called(3), Usage(1, 1), results=[Result(0, 1, '{"status":200}')]))
    admit(store, A)
    store.end_turn(
        turn, [message("sorry", A.key, turn.turn, "sorry")], said=AssistantMessage("sorry"), usage=None, failed=True
    )
    items = store.transcript(A.key, ANN)
    assert open_calls(items) == []
    assert [item.call for item in items if isinstance(item, Result)] == [1, 0, 2]
    assert next(item.content for item in items if isinstance(item, Result)) == '{"status":200}'
    assert isinstance(items[-1], AssistantMessage)
    assert [(row["state"], row["model_calls"]) for row in rows(url, "turns")] == [("failed", 1), ("waiting", 0)]
    following = begun(store, A.key)
    assert following is not None
    assert following.turn != turn.turn


# --- taint ------------------------------------------------------------------------------------------------------------


def test_an_answer_of_the_api_taints_the_thread_for_good(store: Store) -> None:
    turn = begin(store)
    store.add_round(turn, ReplyOutcome(called(1), Usage(), results=[Result(0, 0, "{}")], tainted=False))
    assert not store.is_tainted(A.key)
    store.add_round(turn, ReplyOutcome(called(1), Usage(), results=[Result(0, 0, "{}")], tainted=True))
    assert store.is_tainted(A.key)
    store.add_round(turn, ReplyOutcome(called(1), Usage(), results=[Result(0, 0, "{}")], tainted=False))
    store.end_turn(turn, [], said=AssistantMessage("done"), usage=Usage())
    begin(store)
    assert store.is_tainted(A.key)


def test_the_answer_to_a_write_taints_the_thread(store: Store) -> None:
    waiting = propose(store, begin(store), state=State.SENDING)
    assert not store.is_tainted(A.key)
    store.transition(waiting.proposal, Event.SUCCEED, lambda _: Effects("{}", tainted=True), status=200)
    assert store.is_tainted(A.key)


def test_words_of_other_people_taint_the_thread(store: Store) -> None:
    for user, tainted in ((ANN, False), (ANN, False), (BEN, True), (ANN, True)):
        turn = begin(store, user=user)
        assert store.is_tainted(A.key) is tainted, user
        store.end_turn(turn, [], said=AssistantMessage("done"), usage=Usage())


@pytest.mark.parametrize(
    ("line", "is_tainted"),
    [
        (ThreadMessage(ANN, "Ann", "my own words"), False),
        (ThreadMessage(BEN, "Ben", "another's"), True),
        (ThreadMessage(ANN, "an app", "posted in Ann's name", is_bot=True), True),
    ],
)
def test_what_was_written_before_a_question_taints_unless_the_asker_wrote_it(
    store: Store, line: ThreadMessage, is_tainted: bool
) -> None:
    _, turn = admit(store)
    store.begin_turn(turn, turn.text, [line])
    assert store.is_tainted(A.key) is is_tainted


def test_words_of_a_failed_turn_of_somebody_else_taint_as_well(store: Store) -> None:
    store.end_turn(begin(store, user=BEN), [], said=AssistantMessage("sorry"), usage=None, failed=True)
    begin(store, user=ANN)
    assert store.is_tainted(A.key)


def test_taint_survives_a_restart(store: Store, url: str, clock: Clock) -> None:
    store.add_round(begin(store), ReplyOutcome(called(1), Usage(), results=[Result(0, 0, "{}")], tainted=True))
    again = Store(url, clock, journal_key="k")
    assert again.is_tainted(A.key)
    again.close()


# --- proposals --------------------------------------------------------------------------------------------------------


def test_what_the_table_allows_happens_and_everything_else_changes_nothing(store: Store, url: str) -> None:
    """Every state with every event: 10 times 9."""
    turn = begin(store)
    for state, happened in itertools.product(State, Event):
        one = propose(store, turn, state)
        before = everything(url)
        heard: list[Proposal] = []

        def effects(changed: Proposal, heard: list[Proposal] = heard) -> Effects:
            heard.append(changed)
            return redrawn(changed)

        changed = store.transition(one.proposal, happened, effects, decided_by=BEN, decided_at=7.0, note="so")
        after = everything(url)
        if (state, happened) not in TRANSITIONS:
            assert (changed, heard, after) == (None, [], before), (state, happened)
            continue
        goal = TRANSITIONS[state, happened]
        assert changed is not None
        assert [changed] == heard == [store.proposal(token=one.token)]
        assert changed.state is goal
        new = {"state": goal, "decided_by": BEN, "decided_at": 7.0, "note": "so", "seal": ""}
        expected = [row | new if row["proposal"] == one.proposal else row for row in before["proposals"]]
        assert after["proposals"] == expected, (state, happened)
        assert len(after["transcript"]) == len(before["transcript"]) + 1
        assert len(after["posts"]) == len(before["posts"]) + 1
        assert (after["turns"], after["inbox"]) == (before["turns"], before["inbox"])


def test_what_is_final_stays_final(store: Store) -> None:
    final = set(State) - {State.PENDING, State.APPROVED, State.SENDING}
    assert not [pair for pair in TRANSITIONS if pair[0] in final]


def test_a_proposal_that_is_not_there_cannot_change(store: Store, url: str) -> None:
    propose(store, begin(store))
    before = everything(url)
    assert store.transition("no such", Event.APPROVE, redrawn) is None
    assert store.proposal(token="no such") is None
    assert everything(url) == before


def test_a_click_that_decides_nothing_waits_for_its_refusal_and_changes_nothing(store: Store, url: str) -> None:
    one = propose(store, begin(store), State.REJECTED)
    store.record("click", A, {"user": ANN}, event_id="click:1")
    (click,) = store.arrivals(A.key)
    before = everything(url)
    assert store.transition(one.proposal, Event.APPROVE, redrawn, arrival=click.id) is None
    assert store.vote(one.proposal, ANN, 7.0, redrawn, arrival=click.id) is None
    assert everything(url) == before
    store.dispose(click, [message("refusal", A.key, "", "too late")])
    assert store.arrivals(A.key) == []


def test_a_transition_whose_effects_fail_has_not_happened(store: Store, url: str) -> None:
    one = propose(store, begin(store))
    store.record("click", A, {"user": ANN}, event_id="click:1")
    (click,) = store.arrivals(A.key)
    before = everything(url)

    def fail(_: Proposal) -> Effects:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.transition(one.proposal, Event.APPROVE, fail, arrival=click.id)
    assert everything(url) == before


def test_of_sixteen_racing_decisions_exactly_one_wins(store: Store, url: str) -> None:
    for _ in range(3):
        one = propose(store, begin(store))
        results, updates = len(rows(url, "transcript")), len(rows(url, "posts"))

        def decide(number: int, one: Proposal = one) -> Proposal | None:
            happened = Event.APPROVE if number % 2 else Event.REJECT
            return store.transition(one.proposal, happened, redrawn, decided_by=f"U{number}")

        (winner,) = [changed for changed in race(16, decide) if changed is not None]
        assert store.proposal(token=one.token) == winner
        assert winner.state in (State.APPROVED, State.REJECTED)
        assert len(rows(url, "transcript")) == results + 1
        assert len(rows(url, "posts")) == updates + 1


def test_of_sixteen_racing_senders_exactly_one_gets_the_record(store: Store) -> None:
    one = propose(store, begin(store), State.APPROVED)
    given = race(16, lambda _: store.transition(one.proposal, Event.SEND, lambda _: Effects(), sent_at=2.0))
    (sent,) = [changed for changed in given if changed is not None]
    assert (sent.method, sent.url, sent.body, sent.state) == (one.method, one.url, one.body, State.SENDING)


def test_what_is_sent_is_what_was_stored_whole(store: Store) -> None:
    turn = begin(store)
    body = '{"name":"Zoë \\u202e","n":1.0}'
    made = proposed(turn, call=1)
    made = Proposal(**{**made.__dict__, "body": body, "why": "because"})
    said = store.add_round(turn, ReplyOutcome(called(2), Usage(), results=[Result(0, 0, "{}")], proposals=[made]))
    stored = store.proposal(token=made.token)
    assert stored is not None
    assert stored == Proposal(**{**made.__dict__, "reply": said.row, "seal": stored.seal})
    assert store.is_intact(stored)
    assert store.proposal_of_card(made.card) == stored
    assert store.proposals_of(turn.turn, State.PENDING) == [stored]
    assert store.proposals_of(turn.turn, State.APPROVED) == []


def test_proposals_come_in_the_order_of_their_calls(store: Store) -> None:
    turn = begin(store)
    several = [proposed(turn, call=i, state=State.APPROVED) for i in (2, 0, 1)]
    store.add_round(turn, ReplyOutcome(called(3), Usage(), proposals=several))
    assert [one.call for one in store.proposals_of(turn.turn, State.APPROVED)] == [0, 1, 2]


def test_the_clock_knows_what_is_due_and_what_comes_next(store: Store, clock: Clock) -> None:
    assert store.next_due() is None
    turn = begin(store)
    late, soon = propose(store, turn, expires_at=3_000.0), propose(store, turn, expires_at=2_000.0)
    propose(store, turn, State.DONE, expires_at=500.0)
    assert store.next_due() == 2_000.0
    assert store.proposals_due() == []
    clock.now = 2_000.0
    assert store.proposals_due() == [soon]
    store.transition(soon.proposal, Event.EXPIRE, redrawn)
    assert store.proposals_due() == []
    assert store.next_due() == late.expires_at


def noted(changed: Proposal) -> Effects:
    """The effects that every transition of the gate has: a card, and an entry in the journal."""
    return replace(redrawn(changed), entries=[JournalEntry("noted", {"proposal": changed.proposal})])


def test_what_happens_in_one_thread_at_one_moment_waits_for_itself_and_never_fails(store: Store) -> None:
    """A database that sees two transactions wait for each other ends one of them: a write that was sent would lose its outcome."""
    turn = begin(store)
    for _ in range(8):
        one = propose(store, turn, State.SENDING)
        asked, clicked = arrive(store), arrive(store)

        def work(number: int, one: Proposal = one, asked: Arrival = asked, clicked: Arrival = clicked) -> object:
            match number:
                case 0:
                    return store.transition(one.proposal, Event.SUCCEED, noted)
                case 1:
                    words = asked.payload
                    new = Turn(f"turn-{asked.id}", turn.thread, ANN, words["text"], words["ts"])
                    return store.admit(asked, new, QUIET, workers=8, max_waiting=256)
                case 2:
                    store.dispose(clicked, [], [JournalEntry("refused", {})])
                    return None
                case _:
                    return store.add_round(
                        turn, ReplyOutcome(called(0, "hm"), Usage(), entries=[JournalEntry("model call", {})])
                    )

        race(4, work)
        assert store.proposals_in(State.SENDING) == []
    assert store.journal.verify()[0] is None


# --- votes ------------------------------------------------------------------------------------------------------------


def asked_of(store: Store, quorum: int) -> Proposal:
    turn = begin(store)
    one = replace(proposed(turn), rule=Rule(("anyone-in-channel",), quorum=quorum))
    store.add_round(turn, ReplyOutcome(called(1), Usage(), proposals=[one]))
    stored = store.proposal(token=one.token)
    assert stored is not None
    return stored


@pytest.mark.parametrize("quorum", [1, 3])
def test_of_racing_voters_as_many_as_are_needed_approve_it_once(store: Store, quorum: int) -> None:
    one = asked_of(store, quorum)
    heard: list[Proposal] = []

    def effects(changed: Proposal) -> Effects:
        heard.append(changed)
        return noted(changed)

    given = race(16, lambda n: store.vote(one.proposal, f"U{n // 2}", 7.0, effects))
    changed = [found for found in given if found is not None]
    assert len(changed) >= len(heard) == quorum
    (approved,) = [found for found in changed if found.state is State.APPROVED]
    assert len(set(approved.votes)) == len(approved.votes) == quorum
    assert approved.decided_by == approved.votes[-1]
    assert store.proposal(token=one.token) == approved
    assert store.vote(one.proposal, "U99", 8.0, effects) is None


def test_a_persons_second_vote_changes_nothing(store: Store, url: str) -> None:
    one = asked_of(store, 2)
    first = store.vote(one.proposal, BEN, 7.0, redrawn)
    before = everything(url)
    assert store.vote(one.proposal, BEN, 8.0, redrawn) == first
    assert first is not None
    assert (first.state, first.votes) == (State.PENDING, (BEN,))
    assert everything(url) == before


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_vote_for_what_is_pending_no_more_changes_nothing(store: Store, url: str, state: State) -> None:
    one = propose(store, begin(store), state)
    before = everything(url)
    assert store.vote(one.proposal, BEN, 7.0, redrawn) is None
    assert everything(url) == before


def test_a_denial_among_racing_votes_ends_it_or_comes_too_late(store: Store) -> None:
    for _ in range(3):
        one = asked_of(store, 2)

        def decide(number: int, one: Proposal = one) -> Proposal | None:
            if number % 4 == 0:
                return store.transition(one.proposal, Event.REJECT, redrawn, decided_by=f"U{number}")
            return store.vote(one.proposal, f"U{number}", 7.0, redrawn)

        ended = [found for found in race(8, decide) if found is not None and found.state is not State.PENDING]
        assert [store.proposal(token=one.token)] == ended


def test_a_proposal_that_asks_anew_is_stored_with_the_end_of_the_old_one(store: Store) -> None:
    old = propose(store, begin(store), State.APPROVED)
    new = replace(old, proposal="next", token="next-token", card="next-card", state=State.PENDING, votes=())
    given = race(4, lambda _: store.transition(old.proposal, Event.OUTDATE, lambda _: Effects(successor=new)))
    assert sum(found is not None for found in given) == 1
    assert [replace(one, seal="") for one in store.proposals_in(State.PENDING)] == [replace(new, seal="")]
    stale = store.proposal(token=old.token)
    assert stale is not None
    assert stale.state is State.STALE


def test_people_are_reminded_once_and_of_nothing_that_was_decided(store: Store, url: str, clock: Clock) -> None:
    turn = begin(store)
    one, other = (replace(proposed(turn, call=i), remind_at=2_000.0) for i in range(2))
    store.add_round(turn, ReplyOutcome(called(2), Usage(), proposals=[one, other]))
    assert store.proposals_to_remind() == []
    assert store.next_due() == 2_000.0
    clock.now = 2_000.0
    due = store.proposals_to_remind()
    assert [found.proposal for found in due] == [one.proposal, other.proposal]
    store.transition(other.proposal, Event.REJECT, lambda _: Effects())
    for each in due:
        race(4, lambda n, each=each: store.remind(each, [message(f"r{n}-{each.call}", A.key, turn.turn, "wake up")]))  # type: ignore[misc]
    assert len([row for row in rows(url, "posts") if row["post"].startswith("r")]) == 1
    assert store.proposals_to_remind() == []
    assert store.next_due() == 5_000.0


# --- posts ------------------------------------------------------------------------------------------------------------


def test_posts_are_due_in_the_order_in_which_they_were_said(store: Store) -> None:
    turn = begin(store)
    store.say([message("p1", A.key, "", "one"), message("p2", A.key, turn.turn, "two")])
    store.end_turn(turn, [message("p3", A.key, turn.turn, "three")], said=None, usage=None)
    store.say([message("q1", B.key, "", "elsewhere")])
    due = store.due_posts(A.key)
    assert [one.post.post for one in due] == ["p1", "p2", "p3"]
    assert [one.mention_ts for one in due] == [None, turn.ts, turn.ts]
    assert due[0].post == message("p1", A.key, "", "one")
    store.delivered([("p1", "1.1"), ("p2", "1.2")])
    assert [one.post.post for one in store.due_posts(A.key)] == ["p3"]
    assert sorted(store.unrested()[2]) == sorted([A.key, B.key])


def test_an_update_knows_the_message_that_it_changes_once_that_is_out(store: Store) -> None:
    one = propose(store, begin(store))
    store.transition(one.proposal, Event.REJECT, redrawn)
    card, changed = store.due_posts(A.key)
    assert (card.post.post, changed.post.target, changed.target_ts) == (one.card, one.card, None)
    store.delivered([(one.card, "9.9")])
    (changed,) = store.due_posts(A.key)
    assert changed.target_ts == "9.9"


def test_a_post_given_up_is_not_due_again(store: Store, url: str) -> None:
    store.say([message("p1", A.key, "", "one")])
    store.delivered([("p1", None)], state="failed")
    assert store.due_posts(A.key) == []
    assert [row["state"] for row in rows(url, "posts")] == ["failed"]


def test_the_outbox_hears_of_new_posts_once_they_are_on_disk(url: str) -> None:
    heard: list[tuple[str, int]] = []
    opened = Store(url, journal_key="k", on_posts=lambda thread: heard.append((thread, len(opened.due_posts(thread)))))
    opened.say([message("p1", A.key, "", "one"), message("p2", A.key, "", "two"), message("q", B.key, "", "b")])
    assert sorted(heard) == [(A.key, 2), (B.key, 1)]
    heard.clear()
    opened.delivered([("p1", "1.1")])
    assert heard == []
    opened.close()


def test_the_outbox_hears_of_posts_whose_commit_had_no_answer(url: str) -> None:
    heard: list[str] = []
    store = Store(url, journal_key="k", on_posts=heard.append)

    def lose(_connection: object) -> None:
        raise ConnectionError("behind the COMMIT")

    event.listen(store._engine, "commit", lose)
    with pytest.raises(ConnectionError):
        store.say([message("p1", A.key, "", "one")])
    assert heard == [A.key]
    store.close()


# --- retention --------------------------------------------------------------------------------------------------------


def rest(store: Store, thread: Thread) -> None:
    """A thread with everything that a thread can have, at rest."""
    turn = begin(store, thread)
    one = propose(store, turn)
    store.transition(one.proposal, Event.REJECT, redrawn)
    store.record("click", thread, {}, event_id=f"click:{one.token}")
    store.dispose(store.arrivals(thread.key)[0])
    store.end_turn(
        turn,
        [message(f"answer-{turn.turn}", thread.key, turn.turn, "done")],
        said=AssistantMessage("done"),
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
    for i in range(40):
        store.end_turn(begin(store, Thread(TEAM, CHANNEL, f"500.{i:06d}")), [], said=None, usage=None)
    assert store.forget(9e9) == 40
    assert not any(everything(url).values())


def test_a_thread_that_goes_on_is_not_old(store: Store, clock: Clock) -> None:
    rest(store, A)
    clock.now = 2_000.0
    rest(store, A)
    assert store.forget(1_500.0) == 0
    assert len(store.transcript(A.key, ANN)) == 8


# --- opening ----------------------------------------------------------------------------------------------------------


def test_an_empty_database_is_made_once_and_found_again(url: str) -> None:
    first = Store(url, journal_key="k")
    admit(first, A)
    first.close()
    before = everything(url)
    second = Store(url, journal_key="k")
    second.ping()
    second.close()
    assert everything(url) == before
    assert [row["number"] for row in rows(url, "migrations")] == list(range(1, len(MIGRATIONS) + 1))


OLD_POST = """insert into posts (post, thread, turn, method, arguments, target, state, ts, created_at)
              values (:post, 'T/C/1', 't', :method, :arguments, null, 'sent', :post, 1)"""


def test_what_an_earlier_version_posted_as_cards_are_cards(url: str) -> None:
    """A card is one by its column: what its title says is for people."""
    serial = SERIAL["sqlite" if url.startswith("sqlite") else "postgresql"]
    texts = {"card": [{"type": "header"}], "answer": [{"type": "markdown", "text": '"type": "header"'}], "plain": None}
    with looking_into(url) as engine, engine.begin() as db:
        for statement in ("create table migrations (number integer primary key)", *itertools.chain(*MIGRATIONS[:7])):
            db.execute(text(statement.format(serial=serial)))
        for number in range(1, 8):
            db.execute(text("insert into migrations values (:number)"), {"number": number})
        for post, blocks in texts.items():
            arguments = json.dumps({"text": "x"} | ({"blocks": blocks} if blocks else {}))
            db.execute(text(OLD_POST), {"post": post, "method": "message", "arguments": arguments})
    store = Store(url, journal_key="k")
    found = {post: store.message_at("C", post) for post in texts}
    store.close()
    assert {post: one is not None and one.is_card for post, one in found.items()} == {
        "card": True,
        "answer": False,
        "plain": False,
    }


def test_processes_that_open_an_empty_database_at_once_all_find_it_whole(url: str) -> None:
    def start(_: int) -> None:
        Store(url, journal_key="k").close()

    race(6, start)
    assert [row["number"] for row in rows(url, "migrations")] == list(range(1, len(MIGRATIONS) + 1))


def test_the_database_of_a_newer_version_is_refused_with_words(url: str) -> None:
    Store(url, journal_key="k").close()
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("insert into migrations values (:number)"), {"number": len(MIGRATIONS) + 1})
    before = everything(url)
    with pytest.raises(Misconfigured, match="newer version"):
        Store(url, journal_key="k")
    assert everything(url) == before


BAD_URLS = [
    "", "   ", "nonsense", "bot.db", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:",
    "sqlite:///file:x?mode=memory&uri=true", "sqlite:///no/such/folder/bot.db", "sqlite:///.",
    "sqlite+no_such_driver:///bot.db", "postgresql://localhost:no_port/x",
    "postgresql://user@127.0.0.1:1/nobody_listens", "postgresql://user@127.0.0.1:1/x?no_such_option=1",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_URLS)
def test_a_database_url_that_cannot_work_is_told_in_words(bad: str) -> None:
    with pytest.raises(Misconfigured, match=r"^DATABASE_URL: .*\.$"):
        Store(bad)


def refusal(url: str) -> str:
    with pytest.raises(Misconfigured, match=r"^DATABASE_URL: .*\.$") as told:
        Store(url, journal_key="k")
    assert "hunter2" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://user:hunter2@127.0.0.1:1/x", "cannot use x at 127.0.0.1:1: nothing listens at 127.0.0.1:1: check host and port"),
        ("postgresql://user:hunter2@no-such-host.invalid/x", "there is no host no-such-host.invalid: check the name"),
        ("postgresql://user:hun@ter2@127.0.0.1:1/x", "the password has an @ in it; a password's @ : / # % are written %40"),
        ("postgresql://user:hunter2@127.0.0.1:99999/x", "the address is not right"),
        ("postgresql:///x?host=/no/such/folder", "no server has its socket at /no/such/folder: write the host's name"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_there_is_told_by_what_is_wrong(url: str, words: str) -> None:
    assert words in refusal(url)


def test_a_server_that_is_no_database_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        threading.Thread(target=greet, args=(other,), daemon=True).start()
        assert f"what answers at {address} is no PostgreSQL: check the port" in refusal(
            f"postgresql://user@{address}/x"
        )
        other.shutdown(socket.SHUT_RDWR)


def greet(door: socket.socket) -> None:
    """Speaks first, as a server of SSH does, until the door is shut."""
    with contextlib.suppress(OSError):
        while True:
            door.accept()[0].sendall(b"SSH-2.0-server\r\n")


def test_a_server_that_does_not_answer_is_told() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        found = refusal(f"postgresql://user:hunter2@127.0.0.1:{port}/x?connect_timeout=2")
    assert f"no answer from 127.0.0.1:{port}: check the host, and firewalls between" in found


@pytest.fixture(scope="module")
def postgres() -> URL:
    """A database of the session's server, with users that may do less and less."""
    url = make_url(fresh_database("postgresql", Path()))
    with looking_into(url.render_as_string(hide_password=False)) as engine:
        statements = (
            "create role by_password login password 'right'",
            "create role no_login",
            "create role poor login",
            "create role crowded login connection limit 0",
            "create role outside login",
            f"create database {url.database}_closed",
            f"revoke connect on database {url.database}_closed from public",
        )
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            for statement in statements:
                db.execute(text(statement))
            file = Path(str(db.scalar(text("show hba_file"))))
            file.write_text("local all by_password scram-sha-256\nlocal all outside reject\n" + file.read_text())
            db.execute(text("select pg_reload_conf()"))
    return url


@pytest.mark.xdist_group("roles")  # of one server, which all share
@pytest.mark.parametrize(
    ("user", "more", "words"),
    [
        ("by_password:hunter2", "", "the server refuses this password of by_password: check user and password"),
        ("by_password", "", "the server asks for by_password's password: write postgresql://user:password@host/name"),
        ("nobody", "", "the server knows no user nobody: make one, or write another"),
        ("no_login", "", "no_login may not log in: alter role no_login login"),
        ("poor", "", "poor may make no tables in {name}: grant create on schema public to poor"),
        ("poor", "_closed", "poor may not connect to {name}_closed: grant connect on database {name}_closed to poor"),
        ("crowded", "", "the server has no connection left for crowded"),
        ("outside", "", "the server does not let outside in from this machine: add it to pg_hba.conf"),
        (
            "postgres",
            "_gone",
            "the server has no database {name}_gone: create it (createdb {name}_gone), or write another name",
        ),
    ],
)
def test_a_server_that_refuses_is_told_by_what_it_wants(postgres: URL, user: str, more: str, words: str) -> None:
    name, _, password = user.partition(":")
    url = postgres.set(username=name, password=password or None, database=f"{postgres.database}{more}")
    found = refusal(url.render_as_string(hide_password=False))
    assert words.format(name=postgres.database) in found


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "the file cannot be opened: is it a folder, or may the bot not write there?"),
        (lambda path: path.write_text("No database. " * 100), "the file is no SQLite database: write another name"),
    ],
)
def test_a_file_that_is_no_database_is_told(make: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    make(tmp_path / "bot.db")
    assert words in refusal(f"sqlite:///{tmp_path / 'bot.db'}")


# --- one process per database -----------------------------------------------------------------------------------------

HOLDER = """
import sys, threading
from store.store import Store
store = Store(sys.argv[1], journal_key="k")
store.lock(threading.Event())
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts processes that want a database for themselves; those still there at the end are killed."""
    started: list[subprocess.Popen[str]] = []

    def one(url: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, url], stderr=subprocess.STDOUT, cwd=ROOT, env=environment, **pipes
        )
        started.append(process)
        return process

    yield one
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_second_process_waits_until_the_first_has_died(
    url: str, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    first = start(url)
    assert line(first) == "locked\n"
    second = start(url)
    assert "another process works on this database" in line(second)
    assert second.poll() is None
    first.kill()
    assert line(second) == "locked\n"


def test_who_waits_for_the_lock_can_be_told_to_stop(store: Store, url: str) -> None:
    store.lock(threading.Event())
    stop = threading.Event()
    stop.set()
    other = Store(url, journal_key="k")
    with pytest.raises(SystemExit) as ended:
        other.lock(stop)
    assert ended.value.code == 0
    other.close()
    assert store.still_alone()


def test_locks_of_different_databases_do_not_meet(store: Store, tmp_path: Path, url: str) -> None:
    (tmp_path / "other").mkdir()
    other = Store(fresh_database(url.partition(":")[0], tmp_path / "other"), journal_key="k")
    store.lock(threading.Event())
    other.lock(threading.Event())
    assert store.still_alone()
    assert other.still_alone()
    other.close()


def test_a_lost_lock_is_noticed(store: Store, url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a lock on a file is not lost while the process lives")
    store.lock(threading.Event())
    with looking_into(url) as engine, engine.begin() as db:
        others = "pid <> pg_backend_pid() and datname = current_database()"
        db.execute(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
    assert not store.still_alone()


def test_the_lock_keeps_nobody_from_reading_and_writing(store: Store) -> None:
    store.lock(threading.Event())
    begin(store)
    assert store.transcript(A.key, ANN) == [UserMessage("hello", ANN)]
