"""What a person, a channel and everybody together may use: counted from what is stored, on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from base.allowance import Allowance, Rate
from base.thread import Thread
from store.posts import Post, message
from store.store import Store
from store.transcript import AssistantMessage, Usage
from store.turns import ReplyOutcome, Turn
from store.usage import Closed
from tests.harness.databases import begun, rows
from tests.harness.stores import ANN, BEN, CHANNEL, QUIET, TEAM, Clock, admit, arrive, begin, called, race

HOUR = 3_600.0
NOON = 500_000 * HOUR
OTHER = "C0PAY"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def place(number: int, channel: str = CHANNEL) -> Thread:
    return Thread(TEAM, channel, f"300.{number:06d}")


def asks(store: Store, number: int, allowance: Allowance, user: str = ANN, channel: str = CHANNEL) -> Closed | str:
    """One question in a thread of its own: why it was not taken, or what became of it."""
    told: list[Closed] = []

    def says(closed: Closed) -> Sequence[Post]:
        told.append(closed)
        return []

    outcome, _ = admit(store, place(number, channel), user, allowance=allowance, says_closed=says)
    return told[0] if told else outcome


def spends(store: Store, turn: Turn, tokens: int) -> None:
    """A model call of a turn that runs."""
    store.add_round(turn, ReplyOutcome(called(1), Usage(tokens - 1, 1)))


# --- questions --------------------------------------------------------------------------------------------------------


def test_a_persons_questions_are_counted_within_the_last_hour_to_the_moment(store: Store, clock: Clock) -> None:
    two = Allowance(Rate.read("2/hour"))
    assert asks(store, 1, two) == "taken"
    clock.now += 1_000
    assert asks(store, 2, two) == "taken"
    clock.now += 1_000
    assert asks(store, 3, two) == Closed("RATE_LIMIT", Rate(2, "hour"), NOON + HOUR)
    assert asks(store, 4, two, BEN) == "taken"
    clock.now = NOON + HOUR - 1
    assert isinstance(asks(store, 5, two), Closed)
    clock.now = NOON + HOUR
    assert asks(store, 6, two) == "taken"
    assert asks(store, 7, two) == Closed("RATE_LIMIT", Rate(2, "hour"), NOON + 1_000 + HOUR)


def test_a_channels_questions_are_counted_whoever_asks(store: Store) -> None:
    two = Allowance(channel=Rate.read("2/minute"))
    assert asks(store, 1, two) == asks(store, 2, two, BEN) == "taken"
    assert asks(store, 3, two, "U0EVE") == Closed("RATE_LIMIT_CHANNEL", Rate(2, "minute"), NOON + 60)
    assert asks(store, 4, two, ANN, OTHER) == "taken"


def test_what_was_refused_does_not_count(store: Store) -> None:
    one = Allowance(Rate.read("1/minute"))
    assert asks(store, 1, one) == "taken"
    first = asks(store, 2, one)
    assert asks(store, 3, one) == first == Closed("RATE_LIMIT", Rate(1, "minute"), NOON + 60)


def test_a_clock_that_was_set_back_closes_for_one_span_at_most(store: Store, clock: Clock) -> None:
    one = Allowance(Rate.read("1/hour"))
    assert asks(store, 1, one) == "taken"
    clock.now -= 10 * HOUR
    assert asks(store, 2, one) == Closed("RATE_LIMIT", Rate(1, "hour"), clock.now + HOUR)


def test_what_is_counted_holds_over_a_restart(store: Store, url: str, clock: Clock) -> None:
    one, turn = Allowance(Rate.read("1/day"), tokens=100), begin(store, place(1))
    spends(store, turn, 100)
    again = Store(url, clock, journal_key="k")
    assert asks(again, 2, Allowance(Rate.read("1/day"))) == Closed("RATE_LIMIT", Rate(1, "day"), NOON + 24 * HOUR)
    assert again.used_up(ANN, one) == Closed("TOKEN_BUDGET", 100, NOON + 24 * HOUR)
    again.close()


def test_racing_questions_are_not_let_in_beyond_the_rate_by_several_processes(
    store: Store, url: str, clock: Clock
) -> None:
    stores = [store, *(Store(url, clock, journal_key="k") for _ in range(2))]
    places = [place(number) for number in range(12)]
    arrivals = [arrive(store, one) for one in places]

    def let_in(number: int) -> str:
        turn = Turn(f"t{number}", places[number].key, ANN, "hi", "1.1")
        allowance = Allowance(Rate.read("5/hour"))
        mine = stores[number % 3]
        return mine.admit(arrivals[number], turn, QUIET, workers=8, max_waiting=256, allowance=allowance)

    assert race(12, let_in).count("taken") == 5
    assert len(rows(url, "turns")) == 5
    for one in stores[1:]:
        one.close()


def test_a_refused_question_is_told_and_written_down_and_leaves_no_turn(store: Store, url: str) -> None:
    allowance = Allowance(Rate.read("1/hour"))
    admit(store, place(1), allowance=allowance)
    says: Any = lambda closed: [message("p1", place(2).key, "", closed.setting)]  # noqa: E731
    assert admit(store, place(2), allowance=allowance, says_closed=says)[0] == "closed"
    assert [due.post.arguments["text"] for due in store.due_posts(place(2).key)] == ["RATE_LIMIT"]
    assert store.arrivals(place(2).key) == []
    assert begun(store, place(2).key) is None
    (noted,) = [one["data"] for one in rows(url, "journal") if one["kind"] == "question refused"]
    assert noted == f'{{"user":"{ANN}","reason":"RATE_LIMIT=1/hour","until":{NOON + HOUR}}}'


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_tokens_count_for_their_person_in_the_hour_in_which_they_were_spent(store: Store, clock: Clock) -> None:
    turn = begin(store, place(1))
    spends(store, turn, 60)
    clock.now += 3 * HOUR
    spends(store, turn, 30)  # of a turn that waited for people
    assert asks(store, 2, Allowance(tokens=90)) == Closed("TOKEN_BUDGET", 90, NOON + 24 * HOUR)
    assert asks(store, 2, Allowance(tokens=30)) == Closed("TOKEN_BUDGET", 30, NOON + 27 * HOUR)
    assert asks(store, 3, Allowance(tokens=91)) == "taken"
    assert asks(store, 4, Allowance(tokens=90), BEN) == "taken"
    clock.now = NOON + 24 * HOUR - 1
    assert isinstance(asks(store, 5, Allowance(tokens=90)), Closed)
    clock.now = NOON + 24 * HOUR
    assert asks(store, 6, Allowance(tokens=90)) == "taken"


def test_everybodys_tokens_count_together(store: Store) -> None:
    spends(store, begin(store, place(1)), 60)
    spends(store, begin(store, place(2), BEN), 60)
    assert asks(store, 3, Allowance(tokens=61, tokens_of_all=121), "U0EVE") == "taken"
    closed = Closed("TOKEN_BUDGET_ALL", 120, NOON + 24 * HOUR)
    assert asks(store, 4, Allowance(tokens=61, tokens_of_all=120), "U0EVE") == closed


def test_the_last_call_of_a_turn_counts_too(store: Store, url: str) -> None:
    turn = begin(store, place(1))
    store.end_turn(turn, [], last_words=AssistantMessage("done"), usage=Usage(40, 10))
    assert rows(url, "spent") == [
        {"who": "", "hour": 500_000, "tokens": 50},
        {"who": ANN, "hour": 500_000, "tokens": 50},
    ]


def test_what_counts_no_more_is_forgotten(store: Store, url: str, clock: Clock) -> None:
    spends(store, begin(store, place(1)), 60)
    clock.now += 47 * HOUR
    store.forget(clock.now)
    assert rows(url, "spent") != []
    clock.now += HOUR
    store.forget(clock.now)
    assert rows(url, "spent") == []


# --- room for others --------------------------------------------------------------------------------------------------


def people(count: int) -> list[str]:
    return [f"U{number:03d}" for number in range(count)]


def test_a_thread_leaves_room_for_others(store: Store) -> None:
    outcomes = [admit(store, place(1), user, workers=1, max_waiting=20)[0] for user in people(15)]
    assert outcomes == ["taken"] * 11 + ["too many"] * 4
    assert admit(store, place(2), workers=1, max_waiting=20)[0] == "taken"


@pytest.mark.parametrize("among", [False, True])
def test_a_channel_among_several_leaves_room_for_others(store: Store, among: bool) -> None:
    outcomes = [
        admit(store, place(number), user, workers=1, max_waiting=20, among=among)[0]
        for number, user in enumerate(people(15))
    ]
    assert outcomes == (["taken"] * 11 + ["too many"] * 4 if among else ["taken"] * 15)
    assert admit(store, place(1, OTHER), workers=1, max_waiting=20, among=among)[0] == "taken"
