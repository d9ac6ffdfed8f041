"""Turns and their transcripts: what joins them, what they cost, and what taints a thread."""

from __future__ import annotations

from dataclasses import replace

from gate.policy import Event, State
from store.posts import message
from store.proposals import Effects
from store.recovery import LeftInThread
from store.store import Store
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
from store.turns import ReplyOutcome
from tests.harness.databases import begun, rows
from tests.harness.stores import ANN, BEN, A, B, Clock, admit, arrive, begin, called, propose

# --- transcripts ------------------------------------------------------------------------------------------------------


def test_what_goes_with_a_question_stands_before_it_in_the_transcript(store: Store) -> None:
    admit(store, A)
    turn = store.next_turn(A.key)
    assert turn is not None
    noted, line = TurnNote('You are asked by "Ann".', "Operations:\nGET /a Ä"), ThreadMessage("U0BEN", "Ben", "hm")
    store.begin_turn(turn, "why?", [line], (), noted)
    assert store.transcript(A.key, ANN) == [noted, ThreadContext((line,)), UserMessage("why?", ANN)]


# --- turns ------------------------------------------------------------------------------------------------------------


def test_the_oldest_message_of_a_thread_goes_first_whenever_it_came_in(store: Store) -> None:
    for ts in ("200.000003", "200.000001", "200.000002"):
        admit(store, A, ts=ts)
    taken = []
    while (turn := begun(store, A.key)) is not None:
        taken.append(turn.ts)
        store.end_turn(turn, [], last_words=AssistantMessage("done"), usage=Usage())
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
    store.end_turn(turn, [], last_words=AssistantMessage("Ready \U0001f600"), usage=Usage())
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
    store.end_turn(other, [], last_words=AssistantMessage("hi"), usage=Usage())
    assert len(store.transcript(A.key, ANN)) == 3


def test_tokens_and_model_calls_add_up_per_turn(store: Store, url: str) -> None:
    turn = begin(store)
    store.add_round(turn, ReplyOutcome(called(1), Usage(100, 10), results=[Result(0, 0, "{}")]))
    store.add_round(turn, ReplyOutcome(called(1), Usage(200, 20), results=[Result(0, 0, "{}")]))
    store.end_turn(turn, [], last_words=AssistantMessage("done"), usage=Usage(300, 30))
    (row,) = rows(url, "turns")
    assert (row["model_calls"], row["prompt_tokens"], row["completion_tokens"], row["state"]) == (3, 600, 60, "done")


def test_a_failed_turn_closes_its_open_calls_and_the_next_turn_begins(store: Store, url: str) -> None:
    turn = begin(store)
    store.add_round(turn, ReplyOutcome(called(3), Usage(1, 1), results=[Result(0, 1, '{"status":200}')]))
    admit(store, A)
    store.end_turn(
        turn,
        [message("sorry", A.key, turn.turn, "sorry")],
        last_words=AssistantMessage("sorry"),
        usage=None,
        failed=True,
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
    store.end_turn(turn, [], last_words=AssistantMessage("done"), usage=Usage())
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
        store.end_turn(turn, [], last_words=AssistantMessage("done"), usage=Usage())


def test_what_was_written_before_a_question_taints_unless_the_asker_wrote_it(store: Store) -> None:
    for number, (line, is_tainted) in enumerate(
        (
            (ThreadMessage(ANN, "Ann", "my own words"), False),
            (ThreadMessage(BEN, "Ben", "another's"), True),
            (ThreadMessage(ANN, "an app", "posted in Ann's name", is_bot=True), True),
        )
    ):
        _, turn = admit(store, replace(A, ts=f"300.{number:06d}"))
        store.begin_turn(turn, turn.text, [line])
        assert store.is_tainted(turn.thread) is is_tainted, line


def test_words_of_a_failed_turn_of_somebody_else_taint_as_well(store: Store) -> None:
    store.end_turn(begin(store, user=BEN), [], last_words=AssistantMessage("sorry"), usage=None, failed=True)
    begin(store, user=ANN)
    assert store.is_tainted(A.key)


def test_taint_survives_a_restart(store: Store, url: str, clock: Clock) -> None:
    store.add_round(begin(store), ReplyOutcome(called(1), Usage(), results=[Result(0, 0, "{}")], tainted=True))
    again = Store(url, clock, journal_key="k")
    assert again.is_tainted(A.key)
    again.close()


def test_what_is_to_be_done_in_a_thread_is_found_with_who_asked_there(store: Store) -> None:
    assert store.left_in(A.key) == LeftInThread("", *[False] * 6)
    arrive(store, A)
    assert store.left_in(A.key) == LeftInThread(
        ANN, arrivals=True, turns=False, posts=False, writes=False, sending=False, ended=False
    )
    turn = begin(store, B, BEN)
    store.say([message("p", B.key, "", "hello")])
    found = store.left_in(B.key)
    assert (found.asker, found.turns, found.posts, found.writes) == (BEN, True, True, False)
    propose(store, turn, State.SENDING)
    assert store.left_in(B.key).sending
    assert not store.left_in(A.key).sending


def test_who_asked_what_is_next_is_known_of_each_thread(store: Store) -> None:
    admit(store, A, BEN, ts="300.000002")
    admit(store, A, ANN, ts="300.000001")
    begin(store, B, BEN)
    assert store.askers() == {A.key: ANN, B.key: BEN}
