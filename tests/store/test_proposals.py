"""Proposals: what the table does not allow changes nothing, and of many who decide at once one does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalog.rules import Rule
from gate.policy import TRANSITIONS, Event, State
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry
from store.posts import message
from store.proposal_record import Proposal
from store.proposals import Effects
from store.store import Store
from store.transcript import Result, Usage
from store.turns import ReplyOutcome, Turn
from tests.harness.databases import everything, everything_in, reading, rows
from tests.harness.stores import (
    ANN,
    BEN,
    QUIET,
    A,
    Clock,
    a_click,
    arrive,
    begin,
    called,
    noted,
    propose,
    proposed,
    race,
    redrawn,
)

# --- proposals --------------------------------------------------------------------------------------------------------


def test_what_the_table_allows_happens_and_everything_else_changes_nothing(store: Store, url: str) -> None:
    """Every state with every event: 10 times 9."""
    turn = begin(store)
    heard: list[Proposal] = []

    def effects(changed: Proposal) -> Effects:
        heard.append(changed)
        return redrawn(changed)

    def happen(one: Proposal, happened: Event) -> Proposal | None:
        return store.transition(one.proposal, happened, effects, decided_by=BEN, decided_at=7.0, note="so")

    with reading(url) as engine:
        for state in State:
            one = propose(store, turn, state)
            before = everything_in(engine)
            for happened in Event:
                if (state, happened) not in TRANSITIONS:
                    assert (happen(one, happened), heard) == (None, []), (state, happened)
            assert everything_in(engine) == before, state
        for (state, happened), goal in TRANSITIONS.items():
            one = propose(store, turn, state)
            before = everything_in(engine)
            changed = happen(one, happened)
            after = everything_in(engine)
            assert changed is not None
            assert [changed] == heard == [store.proposal(token=one.token)]
            assert changed.state is goal
            new = {"state": goal, "decided_by": BEN, "decided_at": 7.0, "note": "so", "seal": ""}
            expected = [row | new if row["proposal"] == one.proposal else row for row in before["proposals"]]
            assert after["proposals"] == expected, (state, happened)
            assert len(after["transcript"]) == len(before["transcript"]) + 1
            assert len(after["posts"]) == len(before["posts"]) + 1
            assert (after["turns"], after["inbox"]) == (before["turns"], before["inbox"])
            heard.clear()


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
    store.record(a_click("click:1", A))
    (clicked,) = store.arrivals(A.key)
    before = everything(url)
    assert store.transition(one.proposal, Event.APPROVE, redrawn, arrival=clicked.id) is None
    assert store.vote(one.proposal, ANN, 7.0, redrawn, arrival=clicked.id) is None
    assert everything(url) == before
    store.dispose(clicked, [message("refusal", A.key, "", "too late")])
    assert store.arrivals(A.key) == []


def test_a_transition_whose_effects_fail_has_not_happened(store: Store, url: str) -> None:
    one = propose(store, begin(store))
    store.record(a_click("click:1", A))
    (clicked,) = store.arrivals(A.key)
    before = everything(url)

    def fail(_: Proposal) -> Effects:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.transition(one.proposal, Event.APPROVE, fail, arrival=clicked.id)
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
                    new = Turn(f"turn-{asked.id}", turn.thread, ANN, "hello", f"300.{asked.id:06d}")
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


def test_a_vote_for_what_is_pending_no_more_changes_nothing(store: Store, url: str) -> None:
    turn = begin(store)
    several = {state: propose(store, turn, state) for state in State if state is not State.PENDING}
    before = everything(url)
    assert {state: store.vote(one.proposal, BEN, 7.0, redrawn) for state, one in several.items()} == dict.fromkeys(
        several
    )
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


def test_a_clock_that_was_set_by_nothing_moves_nothing(store: Store, url: str) -> None:
    one = propose(store, begin(store))
    before = everything(url)
    store.move_deadlines(0.0)
    assert everything(url) == before
    store.move_deadlines(60.0)
    stored = store.proposal(token=one.token)
    assert stored is not None
    assert (stored.created_at, stored.expires_at) == (1_060.0, 5_060.0)
    assert store.is_intact(stored)
