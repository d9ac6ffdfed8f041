"""Two processes on one database: who was overtaken changes nothing, says nothing, and is told so once. On both engines.

A store stands for a process here; real ones, paused and cut off, are in test_crash.py.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InternalError

from base.thread import Thread
from gate.policy import Event, State
from store.arrivals import Arrival
from store.engine import engine_url, is_read_only, make_engine
from store.holds import Overtaken
from store.journal.hash_chain import JournalEntry
from store.posts import message
from store.proposal_record import Proposal
from store.proposals import Effects
from store.store import Store
from store.transcript import AssistantMessage, Result, ToolCall, Usage
from store.turns import ReplyOutcome, Turn
from tests.harness.databases import everything_in, looking_into, reading, rows, rows_in
from tests.harness.logs import logged
from tests.harness.stores import QUIET, a_mention, admit, arrive, begin, proposed
from tests.harness.whole_bot import at_once, until

A = Thread("T0LOCAL", "C0HR", "100.000001")
_numbers = itertools.count(1)


@pytest.fixture
def process(url: str) -> Iterator[Callable[..., Store]]:
    """Starts processes."""
    started: list[Store] = []

    def start(**options: Any) -> Store:
        started.append(Store(url, journal_key="k", **options))
        return started[-1]

    yield start
    for store in started:
        store.close()


def fence(url: str, thread: str = A.key) -> int:
    (found,) = [row["fence"] for row in rows(url, "holds") if row["thread"] == thread]
    return int(found)


def take(store: Store, thread: str = A.key) -> None:
    with store.holding(thread):
        pass


def take_again(store: Store) -> None:
    """Takes the thread up again, after it was noticed that another process had done so."""
    with store.holding(A.key), pytest.raises(Overtaken):
        store.check_hold()
    take(store)


def state(engine: Engine) -> dict[str, Any]:
    return everything_in(engine) | rows_in(engine, "journal")


# --- the number -------------------------------------------------------------------------------------------------------


def test_the_number_grows_with_each_process_that_takes_a_thread_up(process: Callable[[], Store], url: str) -> None:
    first, second = process(), process()
    seen = []
    for store in (first, first, second, second):
        take(store)
        seen.append(fence(url))
    assert seen == [1, 1, 2, 2]


def test_who_takes_up_at_the_same_moment_gets_different_numbers(process: Callable[[], Store], url: str) -> None:
    stores = [process() for _ in range(6)]
    at_once(*[lambda store=store: take(store) for store in stores])
    assert fence(url) == 6


def test_who_admits_the_first_question_of_a_thread_has_it(process: Callable[[], Store], url: str) -> None:
    first, second = process(), process()
    admit(first, A)
    assert fence(url) == 1
    take(second)
    admit(first, A)  # a later question takes it from nobody
    assert fence(url) == 2


# --- who was overtaken ------------------------------------------------------------------------------------------------


def a_round() -> ReplyOutcome:
    return ReplyOutcome(
        AssistantMessage("", (ToolCall("id", "call_rest_api", "{}"),)), Usage(1, 1), results=[Result(0, 0, "{}")]
    )


Work = Callable[[Store, Turn, dict[State, Proposal]], object]


def happens(happened: Event, state: State) -> Work:
    def work(store: Store, turn: Turn, at: dict[State, Proposal]) -> object:
        return store.transition(at[state].proposal, happened, lambda _: Effects(entries=[JournalEntry(happened)]))

    return work


WORK: dict[str, Work] = {
    "begins the turn": lambda store, turn, _: store.begin_turn(turn, "hello", ()),
    "drops the turn": lambda store, turn, _: store.drop_turn(turn, [JournalEntry("question deleted")]),
    "takes the turn": lambda store, turn, _: store.take_turn(turn),
    "rests": lambda store, turn, _: store.rest_turn(turn),
    "adds a round": lambda store, turn, _: store.add_round(turn, a_round()),
    "ends the turn": lambda store, turn, _: store.end_turn(
        turn, [message("p", turn.thread, turn.turn, "done")], last_words=AssistantMessage("done"), usage=None
    ),
    "fails the turn": lambda store, turn, _: store.end_turn(turn, [], last_words=None, usage=None, failed=True),
    "says something": lambda store, turn, _: store.say([message("p", A.key, turn.turn, "hm")]),
    "writes something down": lambda store, turn, _: store.note(A.key, turn.turn, [JournalEntry("look")]),
    "keeps an answer": lambda store, turn, _: store.keep(A.key, "[1]"),
    "marks a post": lambda store, turn, _: store.delivered([("card-1", "1.1")]),
    "sends": happens(Event.SEND, State.APPROVED),
    "ends a write": happens(Event.SUCCEED, State.SENDING),
    "fails a write": happens(Event.FAIL, State.SENDING),
    "fails before sending": happens(Event.FAIL, State.APPROVED),
    "loses a write": happens(Event.LOSE, State.SENDING),
    "asks again": happens(Event.OUTDATE, State.APPROVED),
    "is about to speak": lambda store, turn, _: store.check_hold(),
}
AROUND = {
    "says something",
    "writes something down",
    "keeps an answer",
    "marks a post",
    "is about to speak",
}  # belong to the work around
OF_A_WAITING_TURN = {"begins the turn", "drops the turn"}


@pytest.mark.parametrize("and_took_it_again", [False, True])
def test_who_was_overtaken_in_the_middle_of_work_changes_nothing(
    process: Callable[[], Store], url: str, and_took_it_again: bool
) -> None:
    """Also where it has the thread again by now: what it worked on, it had looked at before."""
    first, second = process(), process()
    turn = begin(first, A)
    records = {state: proposed(turn, call, state) for call, state in enumerate((State.APPROVED, State.SENDING))}
    first.add_round(turn, ReplyOutcome(AssistantMessage("", ()), Usage(), proposals=list(records.values())))
    waiting = admit(first, A)[1]
    with first.holding(A.key), reading(url) as engine:
        take(second)
        if and_took_it_again:
            at_once(lambda: take_again(first))  # by another worker of the process
            assert fence(url) == 3
        before = state(engine)
        for what, work in WORK.items():  # none of them changes what the next one finds
            try:
                work(first, waiting if what in OF_A_WAITING_TURN else turn, records)
            except Overtaken:
                assert state(engine) == before, what
            else:
                pytest.fail(f"it {what}")


def test_work_that_was_not_begun_with_a_hold_takes_one_up(process: Callable[[], Store], url: str) -> None:
    first, second = process(), process()
    for number, what in enumerate(WORK.keys() - AROUND):
        thread = replace(A, ts=f"300.{number:06d}")
        turn = begin(first, thread)
        records = {state: proposed(turn, call, state) for call, state in enumerate((State.APPROVED, State.SENDING))}
        first.add_round(turn, ReplyOutcome(AssistantMessage("", ()), Usage(), proposals=list(records.values())))
        WORK[what](second, admit(first, thread)[1] if what in OF_A_WAITING_TURN else turn, records)
        assert fence(url, thread.key) == 2, what
        with pytest.raises(Overtaken):
            pytest.fail(f"it added a round after the other {what}: {first.add_round(turn, a_round())}")


def test_a_thread_changes_hands_between_two_writes_and_never_within_one(process: Callable[[], Store], url: str) -> None:
    """What the next process finds when it has taken the thread up is what stays: nothing of the one before arrives later."""
    turn = begin(process(), A)
    for _ in range(8):
        first, second = process(), process()
        take(first)
        found: list[int] = []

        def work(first: Store = first) -> None:
            try:
                for _ in range(20):
                    first.add_round(turn, a_round())
            except Overtaken:
                return

        def overtake(second: Store = second, found: list[int] = found) -> None:
            take(second)
            found.append(len(second.transcript(A.key, "U1")))

        at_once(work, overtake)
        assert found == [len(second.transcript(A.key, "U1"))]


def test_what_people_do_needs_no_hold_and_counts_once(process: Callable[[], Store], url: str) -> None:
    first, second = process(), process()
    turn = begin(first, A)
    one = proposed(turn)
    first.add_round(turn, ReplyOutcome(AssistantMessage("", ()), Usage(), proposals=[one]))
    take(first)
    assert second.vote(one.proposal, "U0BEN", 7.0, lambda _: Effects()) is not None
    assert first.vote(one.proposal, "U0BEN", 7.0, lambda _: Effects()) is None
    assert fence(url) == 1


@pytest.mark.parametrize("way", ["disposed of", "admitted"])
def test_what_arrived_is_looked_at_by_one_of_two(process: Callable[[], Store], url: str, way: str) -> None:
    stores = [process() for _ in range(4)]
    arrival = arrive(stores[0], A)

    def look(store: Store) -> None:
        says = [message(f"post-{next(_numbers)}", A.key, "", "hello")]
        if way == "admitted":
            turn = Turn(f"turn-{next(_numbers)}", A.key, "U0ANN", "hello", "1.1")
            store.admit(arrival, turn, QUIET | {"taken": says}, workers=8, max_waiting=9)
        else:
            store.dispose(arrival, says, [JournalEntry("question refused")])

    ended = at_once(*[lambda store=store: _outcome(lambda: look(store)) for store in stores])
    assert sorted(ended) == ["done", "overtaken", "overtaken", "overtaken"]
    assert (len(rows(url, "posts")), len(rows(url, "journal"))) == (1, 1)


def _outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except Overtaken:
        return "overtaken"
    return "done"


# --- in the middle of what --------------------------------------------------------------------------------------------


def of_turn(url: str) -> tuple[bool, int, int]:
    """Whether a process is in the middle of the only turn, how many have taken it up, how many ended in the middle of it alone."""
    (row,) = rows(url, "turns")
    return bool(row["taken_by"]), row["tries"], row["ends_alone"]


def take_turn(store: Store) -> Turn:
    turn = store.next_turn(A.key)
    assert turn is not None
    store.take_turn(turn)
    return turn


def test_a_turn_counts_the_processes_that_took_it_up_since_it_got_on(process: Callable[[], Store], url: str) -> None:
    first, second, third = process(), process(), process()
    admit(first, A)
    assert of_turn(url) == (False, 0, 0)
    take_turn(first)
    take_turn(first)
    assert of_turn(url) == (True, 1, 0)
    assert [one.tries for one in second.left_in_the_middle()] == [1]
    assert of_turn(url) == (False, 1, 1)
    assert third.left_in_the_middle() == []
    turn = take_turn(second)
    assert of_turn(url) == (True, 2, 1)
    second.begin_turn(turn, "hello", ())
    assert of_turn(url) == (True, 1, 0)
    assert [one.ends_alone for one in third.left_in_the_middle()] == [1]
    take_turn(third)
    third.add_round(turn, a_round())
    assert of_turn(url) == (True, 1, 0)
    third.end_turn(turn, [], last_words=AssistantMessage("done"), usage=None)
    assert process().left_in_the_middle() == []


@pytest.mark.parametrize("how", ["rests", "ends as it should"])
def test_an_end_while_nothing_is_under_way_does_not_count(process: Callable[[], Store], url: str, how: str) -> None:
    first, second = process(), process()
    admit(first, A)
    turn = take_turn(first)
    if how == "rests":
        first.rest_turn(turn)
    else:
        first.leave()
    assert second.left_in_the_middle() == []
    assert of_turn(url) == (False, 0, 0)


def test_a_turn_does_not_rest_while_one_of_its_writes_is_sent(process: Callable[[], Store], url: str) -> None:
    store = process()
    turn = begin(store, A)
    store.add_round(
        turn, ReplyOutcome(AssistantMessage("", ()), Usage(), proposals=[proposed(turn, 0, State.APPROVED)])
    )
    taken = take_turn(store)
    store.rest_turn(taken)
    assert of_turn(url)[0]


def test_who_ended_in_the_middle_of_several_blames_none(process: Callable[[], Store], url: str) -> None:
    first, second, third = process(), process(), process()
    admit(first, A)
    take_turn(first)
    assert [one.ends_alone for one in second.left_in_the_middle()] == [1]
    take_turn(second)
    arrive(second, Thread("T0LOCAL", "C0HR", "100.000002"))  # looked at as soon as it is recorded
    left = third.left_in_the_middle()
    assert [(type(one), one.tries, one.ends_alone) for one in left] == [(Arrival, 1, 0), (Turn, 2, 0)]


def test_an_arrival_counts_the_processes_that_looked_at_it(process: Callable[[], Store], url: str) -> None:
    first, second, third = process(), process(), process()
    arrive(first, A)
    for tries, store in ((1, second), (2, third)):
        assert [one.tries for one in store.left_in_the_middle()] == [tries]
        (arrival,) = store.arrivals(A.key)
        store.take_in(arrival)
        store.take_in(arrival)
    assert [one.tries for one in process().left_in_the_middle()] == [3]


def test_a_start_wakes_no_turn_that_waits_for_people(process: Callable[[], Store], url: str) -> None:
    first, second = process(), process()
    turn = begin(first, A)
    first.add_round(turn, ReplyOutcome(AssistantMessage("", ()), Usage(), proposals=[proposed(turn)]))
    assert second.unrested()[1] == [A.key]  # it may have been in the middle of something else
    first.rest_turn(turn)
    assert second.unrested()[1] == []


# --- the database -----------------------------------------------------------------------------------------------------


def lose_lock(url: str) -> None:
    """Ends the connection that holds the database's lock, as a restart of the server does."""
    with looking_into(url) as engine, engine.begin() as db:
        held = "select pid from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database"
        db.execute(text(f"select pg_terminate_backend(pid) from ({held} where datname = current_database())) as held"))


ON_A_SERVER = pytest.mark.parametrize(
    "url", ["postgresql"], indirect=True
)  # a lock on a file is not lost while the process lives


@ON_A_SERVER
def test_who_lost_the_database_to_another_writes_nothing_more(
    process: Callable[..., Store], url: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    first, second = process(on_lost=lambda: heard.append("lost")), process()
    first.lock(threading.Event())
    turn = begin(first, A)
    arrival = arrive(first, A)
    lose_lock(url)
    assert first.record(a_mention("Ev-before", A))  # nobody else has it: what Slack brings is still taken
    second.lock(threading.Event())

    with looking_into(url) as engine:
        before = state(engine)
        for work in (
            lambda: first.record(a_mention("Ev-after", A, "1.2")),
            lambda: first.add_round(turn, a_round()),
            lambda: first.dispose(arrival),
            lambda: take(first, "T0LOCAL/C0HR/9.9"),
        ):
            with pytest.raises(Overtaken):
                work()
        assert state(engine) == before
    assert heard == ["lost"] * 4
    assert not first.still_alone()
    assert second.still_alone()
    assert len(logged(caplog, event="overtaken")) == 1
    second.add_round(turn, a_round())
    assert second.record(a_mention("Ev-after", A, "1.2"))


@ON_A_SERVER
def test_who_waits_for_the_database_outlives_its_restart(process: Callable[[], Store], url: str) -> None:
    first, second = process(), process()
    first.lock(threading.Event())
    waiting = threading.Thread(target=second.lock, args=(threading.Event(),), daemon=True)
    waiting.start()
    with looking_into(url) as engine, engine.begin() as db:
        others = "pid <> pg_backend_pid() and datname = current_database()"
        until(lambda: db.scalar(text(f"select count(*) from pg_stat_activity where {others}")))
        db.execute(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
    waiting.join(60)
    assert second.still_alone()
    assert second.record(a_mention("Ev1", A))


@ON_A_SERVER
def test_a_connection_to_a_server_that_others_took_over_from_is_given_up(url: str) -> None:
    engine = make_engine(engine_url(url))
    with engine.begin() as db:
        db.execute(text("create table one (number integer)"))
        db.execute(text("set session characteristics as transaction read only"))
    with pytest.raises(InternalError) as told, engine.begin() as db:
        db.execute(text("insert into one values (1)"))
    assert is_read_only(told.value.orig)
    with engine.begin() as db:
        db.execute(text("insert into one values (2)"))
        assert db.scalars(text("select number from one")).all() == [2]
    engine.dispose()


@ON_A_SERVER
def test_work_that_a_read_only_server_did_not_take_can_be_done_again(process: Callable[[], Store], url: str) -> None:
    store, name = process(), make_url(url).database
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text(f"alter database {name} set default_transaction_read_only = on"))
        others = "pid <> pg_backend_pid() and datname = current_database()"
        db.execute(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
    with pytest.raises(DBAPIError) as told:
        store.record(a_mention("Ev1", A))
    assert store.is_away(told.value)
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("set transaction read write"))
        db.execute(text(f"alter database {name} reset default_transaction_read_only"))
    assert store.record(a_mention("Ev1", A))
