"""Links, states and confirmations: each leads somewhere once, for one browser, as long as it should; and who waits is woken."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gate.policy import State
from store.connections import ConnectionAsked, Device, FailedTry, Unusable, connected
from store.database import NotNow
from store.posts import Post
from store.store import Store
from store.transcript import Usage
from store.turns import Turn
from tests.harness.databases import everything, rows
from tests.harness.stores import ANN, BEN, TEAM, A, B, Clock, admit, begin, propose, race

HERE = ConnectionAsked(TEAM, ANN, "HR")


def waits(store: Store, turn: Turn, *apis: str, until: float = 2_000.0) -> ConnectionAsked:
    store.await_account(turn, apis or ["HR"], until, (), (), None)
    assert store.rest_turn(turn)
    return ConnectionAsked(TEAM, turn.asker, "HR", turn.turn, turn.thread)


def store_account(store: Store, asked: ConnectionAsked, confirmation: str | None = None) -> None:
    with store._writing() as tx:  # as put_account does
        connected(tx, asked, confirmation)


# --- turns that wait --------------------------------------------------------------------------------------------------


def test_a_turn_that_waits_is_not_gone_on_with_until_it_is_woken(store: Store) -> None:
    turn = begin(store)
    asked = waits(store, turn)
    assert store.unrested()[1] == []
    assert store.next_connection_due() == 2_000.0
    store_account(store, asked)
    assert store.unrested()[1] == [A.key]
    assert store.next_connection_due() is None
    again = store.turn(turn.turn)
    assert again is not None
    assert (again.connects, again.connects_until) == (("HR",), None), "its question is to be looked at first"
    store.end_await(turn)
    assert store.turn(turn.turn) == replace(again, connects=())


def test_a_turn_that_waited_in_vain_is_gone_on_with(store: Store, clock: Clock) -> None:
    waits(store, begin(store))
    clock.now = 2_000.0
    assert store.unrested()[1] == [A.key]
    assert store.left_in(A.key).turns, "also by the process that is given the thread for that"


def test_an_account_wakes_its_own_persons_questions_for_that_api_alone(store: Store) -> None:
    mine, theirs = begin(store, A), begin(store, B, BEN)
    asked = waits(store, mine, "HR", "Wiki")
    waits(store, theirs)
    store_account(store, ConnectionAsked(TEAM, ANN, "Mail"))
    store_account(store, ConnectionAsked("T0OTHER", ANN, "HR"))
    assert store.unrested()[1] == []
    store_account(store, asked)
    assert store.unrested()[1] == [A.key]


def test_a_turn_that_waits_keeps_a_stop_and_a_set_clock(store: Store, clock: Clock) -> None:
    turn = begin(store)
    waits(store, turn)
    store.move_deadlines(100.0)
    assert store.next_connection_due() == 2_100.0
    assert store.stop_turn(turn, ANN)
    assert store.unrested()[1] == [A.key]


def test_what_is_said_in_a_thread_that_waits_is_kept_and_takes_no_room(store: Store) -> None:
    waits(store, begin(store))
    waits_for: list[str | None] = []

    def says_kept(connecting: str | None) -> list[Post]:
        waits_for.append(connecting)
        return []

    outcome, _ = admit(store, A, BEN, says_kept=says_kept)
    assert outcome == "kept"
    assert waits_for == [ANN], "for whose account it waits"
    outcome, _ = admit(store, B, BEN, workers=1, max_waiting=1)
    assert outcome == "taken"
    assert store.backlog().turns.count == 1, "the question in the other thread alone waits for a worker"


def test_the_tokens_of_the_round_that_is_forgotten_count(store: Store, url: str) -> None:
    turn = begin(store)
    store.await_account(turn, ["HR"], 2_000.0, (), (), Usage(70, 7))
    (row,) = rows(url, "turns")
    assert (row["model_calls"], row["prompt_tokens"], row["completion_tokens"]) == (1, 70, 7)


def test_a_turn_that_is_over_cannot_wait(store: Store, url: str) -> None:
    turn = begin(store)
    propose(store, turn, State.PENDING)
    store.end_turn(turn, (), last_words=None, usage=None, failed=True)
    before = everything(url)
    with pytest.raises(NotNow):
        store.await_account(turn, ["HR"], 2_000.0, (), (), None)
    assert everything(url) == before


# --- links ------------------------------------------------------------------------------------------------------------


def test_a_link_leads_somewhere_as_long_as_its_question_waits(store: Store, url: str, clock: Clock) -> None:
    turn = begin(store)
    asked = waits(store, turn)
    store.offer_link("of-the-question", asked, 2_000.0)
    store.offer_link("of-home", HERE, 1_500.0)
    assert store.link("of-the-question") == asked
    assert store.link("of-home") == HERE
    assert store.link("made-up") is None
    assert "of-the-question" not in str(everything(url))
    clock.now = 1_500.0
    assert store.link("of-home") is None
    assert store.link("of-the-question") == asked
    store.end_turn(turn, (), last_words=None, usage=None, failed=True)
    assert store.link("of-the-question") is None


def test_all_links_for_an_account_end_with_it(store: Store) -> None:
    store.offer_link("one", HERE, 2_000.0)
    store.offer_link("of another person", ConnectionAsked(TEAM, BEN, "HR"), 2_000.0)
    store_account(store, HERE)
    assert store.link("one") is None
    assert store.link("of another person") is not None


# --- states -----------------------------------------------------------------------------------------------------------


def test_of_many_who_bring_a_state_back_one_has_it(store: Store) -> None:
    store.add_state("state", "cookie", "link", HERE, "sealed", 1_600.0)
    taken = race(8, lambda _: store.take_state("state", "cookie"))
    assert [one.sealed for one in taken if one is not None] == ["sealed"]
    assert store.state_ended("state") == (Unusable.USED, HERE)


def test_a_state_is_for_its_browser_and_for_its_time(store: Store, clock: Clock) -> None:
    store.add_state("state", "cookie", "link", HERE, "sealed", 1_600.0)
    assert store.take_state("state", "another") is None
    assert store.state_ended("state") == (Unusable.ELSEWHERE, HERE)
    assert store.take_state("made-up", "cookie") is None
    assert store.state_ended("made-up") == (Unusable.UNKNOWN, None)
    clock.now = 1_600.0
    assert store.take_state("state", "cookie") is None
    assert store.state_ended("state") == (Unusable.EXPIRED, HERE)


# --- confirmations ----------------------------------------------------------------------------------------------------


def test_of_many_who_say_yes_one_is_heard(store: Store) -> None:
    store.add_confirmation("confirmation", "cookie", HERE, "sealed", 1_600.0)

    def say_yes(_number: int) -> bool:
        try:
            store_account(store, HERE, "confirmation")
        except NotNow:
            return False
        return True

    assert sorted(race(6, say_yes)) == [False] * 5 + [True]


def test_a_confirmation_is_for_its_browser_its_person_and_its_time(store: Store, clock: Clock) -> None:
    store.add_confirmation("confirmation", "cookie", HERE, "sealed", 1_600.0)
    assert store.confirmation("confirmation", "another") is None
    with pytest.raises(NotNow):
        store_account(store, ConnectionAsked(TEAM, BEN, "HR"), "confirmation")
    found = store.confirmation("confirmation", "cookie")
    assert found is not None
    assert (found.asked, found.sealed) == (HERE, "sealed")
    clock.now = 1_600.0
    assert store.confirmation("confirmation", "cookie") is None


def test_a_no_is_heard_once(store: Store) -> None:
    store.add_confirmation("confirmation", "cookie", HERE, "sealed", 1_600.0)
    assert [store.drop_confirmation("confirmation") for _ in range(2)] == [True, False]


# --- devices, and what is over ----------------------------------------------------------------------------------------


def test_of_many_who_would_ask_about_a_device_one_does(store: Store, clock: Clock) -> None:
    store.add_device(Device("device", HERE, "sealed", 1_600.0), 5.0)
    assert store.due_devices() == []
    assert store.next_connection_due() == 1_005.0
    clock.now = 1_005.0
    assert store.due_devices() == ["device"]
    assert sorted(race(6, lambda _: store.take_poll("device", 5.0))) == [False] * 5 + [True]
    assert store.due_devices() == []


def test_a_person_has_one_device_for_an_api(store: Store, clock: Clock) -> None:
    store.add_device(Device("first", HERE, "sealed", 1_600.0), 5.0)
    store.add_device(Device("second", HERE, "sealed", 1_600.0), 5.0)
    known = store.device_of(HERE)
    assert known is not None
    assert known.device == "second"
    assert store.device("first") is None
    clock.now = 1_600.0
    assert store.device_of(HERE) is None


def test_what_leads_nowhere_any_more_is_forgotten_and_what_tells_of_a_replay_a_day_later(
    store: Store, url: str, clock: Clock
) -> None:
    store.offer_link("link", HERE, 1_600.0)
    store.add_state("state", "cookie", "link", HERE, "sealed", 1_600.0)
    store.add_confirmation("confirmation", "cookie", HERE, "sealed", 1_600.0)
    store.add_failed(FailedTry(HERE, "It failed."))
    clock.now = 1_600.0
    store.forget_connections()
    tables = ("links", "oauth_states", "confirmations", "failed_tries")
    assert [len(rows(url, table)) for table in tables] == [0, 1, 1, 1]
    clock.now += 86_400.0
    store.forget_connections()
    assert [len(rows(url, table)) for table in tables] == [0, 0, 0, 0]


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_of_a_link_that_is_reloaded_without_end_the_newest_tries_live_and_those_of_other_links(
    store: Store, url: str, clock: Clock
) -> None:
    store.add_state("mine", "cookie", "my link", HERE, "sealed", clock() + 600)
    for number in range(30):
        clock.now += 1
        store.add_state(f"theirs-{number}", "cookie", "a link that was passed on", HERE, "sealed", clock() + 600)
    assert len(rows(url, "oauth_states")) == 6
    assert store.take_state("theirs-24", "cookie") is None
    assert store.state_ended("theirs-24") == (Unusable.UNKNOWN, None)
    assert all(store.take_state(f"theirs-{number}", "cookie") for number in range(25, 30))
    assert store.take_state("mine", "cookie") is not None


def test_of_a_persons_links_the_newest_live_for_each_question_and_for_home(
    store: Store, url: str, clock: Clock
) -> None:
    asked = waits(store, begin(store))
    for where in (HERE, asked, ConnectionAsked(TEAM, BEN, "HR")):
        for number in range(25):
            clock.now += 1
            store.offer_link(f"{where.who}{where.turn}{number}", where, 5_000.0)
    assert len(rows(url, "links")) == 60
    assert [store.link(f"{ANN}{number}") is not None for number in range(25)] == [False] * 5 + [True] * 20
    assert store.link(f"{asked.who}{asked.turn}24") == asked


# --- grants that nobody keeps -----------------------------------------------------------------------------------------


def test_a_grant_that_nobody_said_yes_to_in_time_is_given_back_by_one_and_again_where_that_one_died(
    store: Store, clock: Clock
) -> None:
    store.add_confirmation("confirmation", "cookie", HERE, "sealed", 1_600.0)
    assert store.next_connection_due() == 1_600.0
    assert store.take_unkept(20, 600.0) == []
    clock.now = 1_600.0
    taken = race(6, lambda _: store.take_unkept(20, 600.0))
    ((key,),) = [one for one in taken if one]
    assert store.take_unkept(20, 600.0) == []
    clock.now = 2_200.0
    assert store.take_unkept(20, 600.0) == [key], "whoever had it was killed"
    kept = store.unkept(key)
    assert kept is not None
    assert (kept.asked, kept.sealed) == (HERE, "sealed")
    store.given_back(key)
    assert store.unkept(key) is None
    assert store.next_connection_due() is None
    assert store.confirmation_ended("confirmation") == (Unusable.EXPIRED, HERE)


def test_a_yes_after_its_grant_was_taken_to_be_given_back_stores_nothing(store: Store, clock: Clock) -> None:
    store.add_confirmation("confirmation", "cookie", HERE, "sealed", 1_600.0)
    clock.now = 1_600.0
    assert len(store.take_unkept(20, 600.0)) == 1
    clock.now = 1_599.0  # the clock of another process
    with pytest.raises(NotNow):
        store_account(store, HERE, "confirmation")


def test_a_yes_gives_nothing_back_but_what_else_waited_for_one(store: Store, clock: Clock) -> None:
    for name in ("first", "second"):
        store.add_confirmation(name, "cookie", HERE, f"sealed {name}", 1_600.0)
    store.add_confirmation("of another", "cookie", ConnectionAsked(TEAM, BEN, "HR"), "sealed", 1_600.0)
    store_account(store, HERE, "second")
    (key,) = store.take_unkept(20, 600.0)
    kept = store.unkept(key)
    assert kept is not None
    assert kept.sealed == "sealed first"
    assert store.confirmation_ended("second") == (Unusable.USED, HERE)
    assert store.confirmation("first", "cookie") is None
    store.given_back(key)
    clock.now = 1_600.0
    assert len(store.take_unkept(20, 600.0)) == 1, "the other person's alone: what was said yes to is kept"


def test_of_several_yeses_at_once_one_stores_and_the_others_are_told_so(url: str) -> None:
    """In tabs of one browser, at several processes: none fails for what another has."""
    processes = [Store(url, journal_key="k") for _ in range(4)]

    def says_yes(number: int) -> str:
        try:
            store_account(processes[number], HERE, f"{again} {number}")
        except NotNow:
            return "used"
        return "stored"

    for again in range(20):
        for number in range(4):
            processes[0].add_confirmation(f"{again} {number}", "cookie", HERE, "sealed", time.time() + 600.0)
        assert sorted(race(4, says_yes)) == ["stored", "used", "used", "used"]
    for one in processes:
        one.close()


def test_so_many_are_taken_at_once(store: Store, clock: Clock) -> None:
    for number in range(5):
        store.add_refused(f"grant {number}", HERE, "sealed")
    assert [len(store.take_unkept(2, 600.0)) for _ in range(4)] == [2, 2, 1, 0]


# --- tries that came to nothing ---------------------------------------------------------------------------------------


def test_the_last_failed_try_is_known_until_the_next_one_begins_or_an_account_is_there(store: Store) -> None:
    store.add_failed(FailedTry(HERE, "It was denied."))
    store.add_failed(FailedTry(HERE, "It was slow."))
    store.add_failed(FailedTry(ConnectionAsked(TEAM, ANN, "Wiki"), "It was away."))
    assert store.failed_tries(TEAM, ANN) == {"HR": "It was slow.", "Wiki": "It was away."}
    assert store.failed_tries(TEAM, BEN) == store.failed_tries("T0OTHER", ANN) == {}
    assert store.add_state("state", "cookie", "link", HERE, "sealed", 1_600.0) is True
    assert store.add_state("another", "cookie", "link", HERE, "sealed", 1_600.0) is False
    assert store.failed_tries(TEAM, ANN) == {"Wiki": "It was away."}
    store_account(store, ConnectionAsked(TEAM, ANN, "Wiki"))
    assert store.failed_tries(TEAM, ANN) == {}
