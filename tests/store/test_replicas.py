"""What processes on one PostgreSQL know of each other, by their stores alone; whole processes: tests/workers/test_replicas.py."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import make_url

from base.thread import Thread
from gate.policy import Event, State
from slack_io.pace import SharedPace
from store.database import CatalogOutdated
from store.holds import Overtaken
from store.journal.hash_chain import FIRST, JournalEntry, link, sign
from store.posts import message
from store.store import Store
from store.tables import MIGRATIONS
from store.transcript import AssistantMessage, Usage
from store.turns import ReplyOutcome
from tests.harness.databases import looking_into, opened_before, rows
from tests.harness.stores import A, B, a_mention, admit, arrive, begin, propose, redrawn
from tests.harness.whole_bot import until
from workers import jobs
from workers.jobs import defer
from workers.leases import Leases
from workers.wakes import FIRST as UNDER_WAY
from workers.wakes import Work
from workers.waking import Waking


@pytest.fixture
def url(tmp_path: Path) -> str:
    return opened_before("postgresql", tmp_path, "k")


@pytest.fixture
def process(url: str) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(Store(url, journal_key="k", is_shared=True))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def test_a_thread_is_worked_on_only_by_who_was_given_it(process: Callable[[], Store]) -> None:
    store = process()
    with pytest.raises(Overtaken), store.holding(A.key):
        pass
    assert store.take_up(A.key) is False
    with store.holding(A.key):
        assert store.is_ours(A.key)
    store.put_down(A.key)
    with pytest.raises(Overtaken), store.holding(A.key):
        pass


def test_questions_are_taken_for_the_workers_of_all_processes_that_live(process: Callable[[], Store], url: str) -> None:
    store, other = process(), process()
    places = [Thread(A.team, A.channel, f"300.{number:06d}") for number in range(6)]

    def taken() -> int:
        return [admit(store, place, workers=1, max_waiting=3)[0] for place in places].count("taken")

    store.beat(None)
    other.beat(None)
    assert taken() == 5, "three wait, and two are worked on"
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("delete from turns"))
        db.execute(text("update replicas set beat_at = beat_at - 60 where process = :other"), {"other": other.process})
    assert taken() == 4


def test_who_is_ended_while_it_waits_for_a_process_of_an_earlier_version_ends(process: Callable[[], Store]) -> None:
    earlier, waiting = process(), process()
    assert earlier.lock_at_once()
    stop = threading.Event()
    stop.set()
    with pytest.raises(SystemExit):
        waiting.join(stop)


def test_who_waits_for_the_journal_holds_nobody_off_from_counting_tokens(
    process: Callable[[], Store], url: str
) -> None:
    """All turns count in one row: who had that while it waits would have all others wait, whatever else they had to do first."""
    store = process()
    store.take_up(A.key)
    with store.holding(A.key):
        turn = begin(store, A)
        used = ReplyOutcome(AssistantMessage("one"), Usage(10, 1), entries=[JournalEntry("read", {})])
        store.add_round(turn, used)
        waiting = text("select count(*) from pg_locks where not granted and pid <> pg_backend_pid()")
        with ThreadPoolExecutor(1) as pool, looking_into(url) as engine:
            with engine.begin() as db:
                db.execute(text("select pg_advisory_xact_lock(7316045922)"))
                second = pool.submit(holding, store, lambda: store.add_round(turn, used))
                until(lambda: second.done() or db.scalar(waiting))
                assert not second.done()
                assert len(db.scalars(text("select who from spent for update nowait")).all()) == 2
            second.result()
    assert {row["tokens"] for row in rows(url, "spent")} == {22}


def holding(store: Store, do: Callable[[], object]) -> None:
    """What is worked on is known by thread of the process."""
    with store.holding(A.key):
        do()


def test_who_waits_for_a_row_holds_nobody_off_from_the_journal(process: Callable[[], Store], url: str) -> None:
    first, second = process(), process()
    first.take_up(A.key)
    second.take_up(B.key)
    with first.holding(A.key), second.holding(B.key):
        of_first, of_second = begin(first, A), begin(second, B)
    with ThreadPoolExecutor(1) as pool, looking_into(url) as engine:
        with engine.begin() as db:
            db.execute(text("select 1 from threads where thread = :one for update"), {"one": A.key})
            waits = pool.submit(
                first.end_turn, of_first, [], last_words=None, usage=None, entries=[JournalEntry("first", {})]
            )
            until(lambda: db.scalar(text("select count(*) from pg_locks where not granted")) == 1)
            second.end_turn(of_second, [], last_words=None, usage=None, entries=[JournalEntry("second", {})])
            assert not waits.done()
        waits.result()
    kinds = [line.kind for line in second.journal.lines()]
    assert [kind for kind in kinds if kind in ("first", "second")] == ["second", "first"]


def test_who_had_a_thread_before_writes_nothing_more(process: Callable[[], Store]) -> None:
    first, second = process(), process()
    first.take_up(A.key)
    with first.holding(A.key):
        assert second.take_up(A.key) is True
        with pytest.raises(Overtaken):
            first.say([])
    second.put_down(A.key)
    assert first.take_up(A.key) is True
    with first.holding(A.key):
        first.say([])


def test_a_newer_catalog_keeps_the_older_from_sending_until_it_is_taken(process: Callable[[], Store]) -> None:
    first, second = process(), process()
    first.take_catalog("old", insists=False)
    second.take_catalog("old", insists=False)
    first.check_catalog()
    first.take_catalog("new", insists=True)
    first.check_catalog()
    with pytest.raises(CatalogOutdated):
        second.check_catalog()
    second.take_catalog("new", insists=False)
    second.check_catalog()


def test_what_was_approved_is_not_sent_by_who_has_an_older_catalog(process: Callable[[], Store]) -> None:
    first, second = process(), process()
    first.take_catalog("old", insists=False)
    first.take_up(A.key)
    one = propose(first, begin(first, A), State.APPROVED)
    second.take_catalog("new", insists=True)
    with first.holding(A.key), pytest.raises(CatalogOutdated):
        first.transition(one.proposal, Event.SEND, redrawn)
    assert first.proposal_of(one.proposal) == one
    first.take_catalog("new", insists=False)
    with first.holding(A.key):
        sent = first.transition(one.proposal, Event.SEND, redrawn)
    assert sent is not None
    assert sent.state is State.SENDING


def test_a_process_that_starts_with_an_older_file_is_not_the_newest_and_one_that_is_told_to_is(
    process: Callable[[], Store],
) -> None:
    first, late = process(), process()
    first.take_catalog("old", insists=False)
    first.take_catalog("new", insists=True)
    late.take_catalog("old", insists=False)
    first.check_catalog()
    with pytest.raises(CatalogOutdated):
        late.check_catalog()
    late.take_catalog("old", insists=True)  # somebody went back to it
    late.check_catalog()
    with pytest.raises(CatalogOutdated):
        first.check_catalog()


def test_a_catalog_that_people_went_back_to_holds_again_once_nobody_has_the_newer(
    process: Callable[[], Store], url: str
) -> None:
    before, newer, after = process(), process(), process()
    for one, catalog in ((before, "old"), (newer, "new"), (after, "old")):
        one.take_catalog(catalog, insists=False)
        one.beat(None)
    set_back(url, "all", "started_at", 60)
    assert not after.regain_catalog(), "somebody works by the newer one"

    set_back(url, newer.process, "beat_at", 60)
    assert not before.regain_catalog(), "it was there when the newer one came, and has not been started since"
    with pytest.raises(CatalogOutdated):
        after.check_catalog()
    assert after.regain_catalog()

    after.check_catalog()
    before.check_catalog()
    assert not after.regain_catalog(), "it holds already"
    with pytest.raises(CatalogOutdated):
        newer.check_catalog()


@pytest.mark.parametrize("what", ["of an earlier version", "not yet heard of"])
def test_a_catalog_holds_again_only_where_it_is_known_that_nobody_has_the_newer(
    process: Callable[[], Store], url: str, what: str
) -> None:
    newer, after = process(), process()
    newer.take_catalog("old", insists=False)
    newer.take_catalog("new", insists=False)
    after.take_catalog("old", insists=False)
    after.beat(None)
    if what == "of an earlier version":  # which does not say what it has
        newer.beat(None)
        set_back(url, "all", "started_at", 60)
        with looking_into(url) as engine, engine.begin() as db:
            db.execute(text("update replicas set catalog = '' where process = :it"), {"it": newer.process})
    assert not after.regain_catalog()


def set_back(url: str, process: str, what: str, seconds: float) -> None:
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text(f"update replicas set {what} = {what} - {seconds} where process = :it"), {"it": process})


class Minute:
    """A method of tier 3 to the letter: so many calls in any minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: deque[float] = deque()

    def takes(self, now: float) -> bool:
        while self._calls and self._calls[0] <= now - 60:
            self._calls.popleft()
        self._calls.append(now)
        return len(self._calls) <= self._most


class Bucket:
    """One message a second in a channel, and a few at once after a pause."""

    def __init__(self, size: float) -> None:
        self._size = self._free = size
        self._at = 0.0

    def takes(self, now: float) -> bool:
        self._free, self._at = min(self._size, self._free + max(0.0, now - self._at)), max(now, self._at)
        self._free -= 1
        return self._free >= 0


@pytest.mark.parametrize(
    ("method", "slack", "least"),
    [("reactions.add", Minute(50), 70), ("users.info", Minute(100), 140), ("chat.postMessage", Bucket(5), 110)],
)
def test_two_processes_together_keep_what_slack_allows(
    process: Callable[[], Store], url: str, method: str, slack: Minute | Bucket, least: int
) -> None:
    """As many calls as they may make, for two minutes, half a second on their way now and then; time goes on by setting the pace back."""
    paces = itertools.cycle([SharedPace(process()), SharedPace(process())])
    late = itertools.cycle([0.0, 0.1, 0.5, 0.0, 0.3])
    now, arrivals = 0.0, []
    began = time.monotonic()  # what this takes itself is time, too, in which calls become free
    with looking_into(url) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        while now < 120:
            wait = next(paces).take(method, "C1")
            if wait == 0:
                arrivals.append(now + time.monotonic() - began + next(late))
                continue
            now += wait + 0.001
            db.execute(text("update paces set free_at = free_at - :by"), {"by": wait + 0.001})
    assert [at for at in sorted(arrivals) if not slack.takes(at)] == []
    assert len(arrivals) >= least


def test_what_can_wait_leaves_slacks_calls_to_others(process: Callable[[], Store]) -> None:
    pace = SharedPace(process())
    while pace.take("chat.update", "C1", spare=15) == 0:
        pass
    assert pace.take("chat.update", "C1") == 0


@pytest.mark.parametrize("method", ["chat.postMessage", "users.info"])
def test_a_pause_that_slack_asks_for_holds_for_all_processes(process: Callable[[], Store], method: str) -> None:
    first, second = SharedPace(process()), SharedPace(process())
    first.hold(method, 30.0)
    assert 29 < second.take(method, "C1") <= 30
    assert second.take("reactions.add", "C1") == 0


def test_who_was_overtaken_is_given_nothing_of_slacks_pace(process: Callable[[], Store]) -> None:
    first, second = process(), process()
    first.take_up(A.key)
    with first.holding(A.key):
        assert SharedPace(first).take("chat.postMessage", "C1") == 0
        second.take_up(A.key)
        with pytest.raises(Overtaken):
            SharedPace(first).take("chat.postMessage", "C1")


def test_a_connection_that_the_server_has_ended_meanwhile_costs_nothing(process: Callable[[], Store], url: str) -> None:
    store = process()
    with ThreadPoolExecutor(4) as pool:  # so that there are several
        list(pool.map(lambda _: store.ping(), range(8)))
    others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with looking_into(url) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        assert db.scalars(text(f"select pg_terminate_backend(pid) {others}")).all()
        until(lambda: not db.scalar(text(f"select count(*) {others}")))
    arrive(store, A)
    for _ in range(8):
        assert len(store.arrivals(A.key)) == 1


def test_what_is_recorded_is_left_as_a_job_unless_this_process_has_the_thread(url: str) -> None:
    leases = Leases()
    waking = Waking(leases, jobs)
    store = Store(url, wakes=waking, journal_key="k", is_shared=True)
    leases.take(A.key, lambda: None)
    arrive(store, A)
    arrive(store, B)
    assert [row["lock"] for row in rows(url, "procrastinate_jobs")] == [B.key]
    assert A.key in waking.queues[Work.ARRIVALS]
    assert B.key not in waking.queues[Work.ARRIVALS]
    store.close()


def test_what_slack_sends_again_leaves_no_further_job(url: str) -> None:
    store = Store(url, wakes=Waking(Leases(), jobs), journal_key="k", is_shared=True)
    assert [store.record(a_mention("Ev1", A)) for _ in range(3)] == [True, False, False]
    assert [row["lock"] for row in rows(url, "procrastinate_jobs")] == [A.key]
    store.close()


@pytest.mark.parametrize("has_it", [False, True], ids=["another's thread", "its own"])
def test_slack_waits_for_one_statement(url: str, has_it: bool) -> None:
    """Between two of them a busy process does other work first, and Slack waits for three seconds at most."""
    leases = Leases()
    store = Store(url, wakes=Waking(leases, jobs), journal_key="k", is_shared=True)
    if has_it:
        leases.take(A.key, lambda: None)
    sent: list[str] = []
    for engine in (store._engine, store._by_statement):
        event.listen(engine, "before_cursor_execute", lambda *of: sent.append(of[2]))
    assert [store.record(a_mention("Ev1", A)) for _ in range(2)] == [True, False]
    assert len(sent) == 2, sent
    assert len(rows(url, "inbox")) == 1
    assert len(rows(url, "procrastinate_jobs")) == (not has_it)
    store.close()


@pytest.mark.parametrize("level", ["read committed", "serializable"])
def test_what_is_recorded_while_its_threads_job_is_taken_up_leaves_another(url: str, level: str) -> None:
    """Whatever the server takes for a transaction of which nobody says how it is isolated: this one fails at no level."""
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text(f"alter database \"{make_url(url).database}\" set default_transaction_isolation = '{level}'"))
    store = Store(url, wakes=Waking(Leases(), jobs), journal_key="k", is_shared=True)
    fetch = text("select lock from procrastinate_fetch_job_v2(array['threads'], :by)")
    waiting = text("select count(*) from pg_locks where not granted and pid <> pg_backend_pid()")
    store.record(a_mention("Ev1", A, "1.1"))
    with looking_into(url) as engine, ThreadPoolExecutor(1) as pool:
        with engine.begin() as db:
            worker = db.scalar(text("insert into procrastinate_workers default values returning id"))
        with engine.begin() as taking:
            assert taking.scalar(fetch, {"by": worker}) == A.key
            recorded = pool.submit(store.record, a_mention("Ev2", A, "1.2"))
            until(lambda: recorded.done() or taking.scalar(waiting))
            assert not recorded.done()
        assert recorded.result(10)
    assert sorted(jobs_of(url, A.key)) == ["doing", "todo"]
    store.close()


def test_one_statement_about_a_thread_waits_for_who_takes_it_over(process: Callable[[], Store], url: str) -> None:
    store = process()
    turn = begin(store, A)
    waiting = text("select count(*) from pg_locks where not granted and pid <> pg_backend_pid()")
    with looking_into(url) as engine, ThreadPoolExecutor(1) as pool:
        with engine.begin() as db:
            db.execute(text("update holds set owner = 'another', fence = fence + 1"))
            rested = pool.submit(store.rest_turn, turn)
            until(lambda: rested.done() or db.scalar(waiting))
            assert not rested.done()
        with pytest.raises(Overtaken):
            rested.result(10)


def test_what_others_may_have_recorded_is_looked_for_by_its_kind(process: Callable[[], Store], url: str) -> None:
    store = process()

    def kinds() -> set[Work]:
        return {work for work, threads in store.recorded_for().items() if A.key in threads}

    def set_by_another(change: str) -> None:
        with looking_into(url) as engine, engine.begin() as db:
            db.execute(text(change))

    assert kinds() == set()
    arrive(store, A)
    assert kinds() == {Work.ARRIVALS}
    set_by_another("update inbox set handled = 1")
    turn = begin(store, A)
    assert kinds() == {Work.TURNS}
    one = propose(store, turn)  # whose card is this process's to deliver
    store.rest_turn(turn)
    assert kinds() == set()
    set_by_another("update turns set stopped_by = 'U0BEN'")
    assert kinds() == {Work.STOPS, Work.TURNS}
    set_by_another("update turns set stopped_by = null")
    set_by_another("update posts set made_by = 'new'")
    assert kinds() == {Work.POSTS}
    set_by_another(f"update proposals set state = 'approved' where proposal = '{one.proposal}'")
    assert kinds() == {Work.POSTS, Work.WRITES, Work.TURNS}


def test_a_transaction_that_is_rolled_back_leaves_no_job(url: str) -> None:
    store = Store(url, wakes=Waking(Leases(), jobs), journal_key="k", is_shared=True)
    arrival = arrive(store, A)
    before = len(rows(url, "procrastinate_jobs"))
    store.handled(arrival.id)
    with pytest.raises(Overtaken):  # handled before
        store.dispose(arrival, [message("p", A.key, "", "words")])
    assert len(rows(url, "procrastinate_jobs")) == before
    assert rows(url, "posts") == []
    store.close()


@pytest.mark.parametrize(("at", "forgotten"), [("SELECT holds.thread", 0), ("DELETE FROM inbox", 1)])
def test_who_takes_a_thread_up_that_is_forgotten_at_that_moment_has_it(
    process: Callable[[], Store], at: str, forgotten: int
) -> None:
    """Somebody asks again there after weeks: without the hold that was given, nothing could be written, as if another had the thread."""
    forgetting, taking = process(), process()
    forgetting.take_up(A.key)
    with forgetting.holding(A.key):
        forgetting.end_turn(begin(forgetting, A), [], last_words=None, usage=None)
    forgetting.put_down(A.key)
    taken: list[Future[bool]] = []
    with ThreadPoolExecutor(1) as pool:

        def asked(_connection: object, _cursor: object, statement: str, *_of: object) -> None:
            if statement.startswith(at) and not taken:
                arrive(taking, A)
                taken.append(pool.submit(taking.take_up, A.key))
                wait(taken, 0.5)

        event.listen(forgetting._engine, "before_cursor_execute", asked)
        assert forgetting.forget(time.time() + 60) == forgotten
        taken[0].result(10)
    with taking.holding(A.key):
        assert begin(taking, A).is_running


def test_a_dead_process_leaves_its_threads_and_counts_as_ended_in_the_middle_of_them(
    process: Callable[[], Store], url: str
) -> None:
    dead, living = process(), process()
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("insert into procrastinate_workers (last_heartbeat) values (now() - interval '1 minute')"))
        db.execute(
            text(
                """insert into procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)
                   values ('threads', 'work on a thread', :key, jsonb_build_object('thread', cast(:key as text)), 'doing', 1)"""
            ),
            {"key": A.key},
        )
        db.execute(text("insert into replicas values ('all', null, 0, extract(epoch from now()))"))
    dead.beat(1)
    living.beat(None)
    dead.take_up(A.key)
    dead.take_in_later()
    arrival = arrive(dead, A)
    dead.take_in(arrival)
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("update procrastinate_workers set last_heartbeat = now() - interval '1 minute'"))

    threads, left = living.share_out()

    assert [thread for thread, _ in threads] == [A.key]
    assert (threads[0][1] or 0) >= 60
    assert [one.ends_alone for one in left] == [1]
    assert living.share_out() == ([], [])
    assert dead.beat(1, again=True) is None
    assert living.beat(None, again=True)
    assert [one.ends_alone for one in living.ended_processes(A.key)] == [1]


def test_processes_that_start_while_others_write_set_the_journal_back_nowhere(process: Callable[[], Store]) -> None:
    """What a start looks at, head and last entry, goes on meanwhile."""
    writer, ends = process(), threading.Event()
    late = [process() for _ in range(4)]

    def write() -> None:
        while not ends.is_set():
            writer.note("", "", [JournalEntry("check", {})])

    writing = threading.Thread(target=write)
    writing.start()
    for store in late * 5:
        store.take_up_journal()
    ends.set()
    writing.join()
    assert writer.journal.missing() is None
    assert writer.journal.verify()[0] is None
    assert [line.kind for line in writer.journal.lines() if line.kind == "alarm"] == []


def test_what_was_under_way_in_a_dead_process_goes_before_what_nobody_has_begun(url: str) -> None:
    """However much waits; and the seconds count from when there is somebody to take it up."""
    store = Store(url, wakes=Waking(Leases(), jobs), journal_key="k", is_shared=True)
    arrive(store, A)
    arrive(store, B)
    store.beat(None)
    fetched = "select lock from procrastinate_fetch_job_v2(array['threads'], :worker)"
    with looking_into(url) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        dead, living = db.scalars(
            text(
                "insert into procrastinate_workers (last_heartbeat) values (now() - interval '1 hour'), (now()) returning id"
            )
        )
        assert db.scalar(text(fetched), {"worker": dead}) == A.key
        db.execute(text("update replicas set started_at = started_at - 9 where process = 'all'"))
        ((thread, after),), _ = store.share_out()
        assert thread == A.key
        assert after is not None
        assert 9 <= after < 3_600
        assert [db.scalar(text(fetched), {"worker": living}) for _ in range(2)] == [A.key, B.key]
    store.close()


def test_a_job_that_another_has_locked_keeps_its_worker_and_is_shared_out_the_next_time(
    process: Callable[[], Store], url: str
) -> None:
    """Or nobody could tell any more for how long its process had been silent; where the process took its row away, nobody can."""
    store = process()
    store.beat(None)
    job = """insert into procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)
             values ('threads', 'work on a thread', :of, jsonb_build_object('thread', cast(:of as text)), 'doing', :worker)"""
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("update replicas set started_at = 0 where process = 'all'"))
        dead = db.scalar(
            text("insert into procrastinate_workers (last_heartbeat) values (now() - interval '1 minute') returning id")
        )
        for thread, worker in (("free", dead), ("locked", dead), ("of nobody", None)):
            db.execute(text(job), {"of": thread, "worker": worker})
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("select from procrastinate_jobs where lock = 'locked' for update"))
        first = dict(store.share_out()[0])
    ((thread, after),), _ = store.share_out()
    assert first.keys() == {"free", "of nobody"}
    assert first["of nobody"] is None
    assert (first["free"] or 0) >= 60
    assert thread == "locked"
    assert (after or 0) >= 60
    assert rows(url, "procrastinate_workers") == []


def test_who_gave_no_sign_while_the_database_was_away_is_not_dead(process: Callable[[], Store], url: str) -> None:
    store = process()
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("insert into procrastinate_workers (last_heartbeat) values (now() - interval '1 minute')"))
        db.execute(
            text(
                """insert into procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)
                   values ('threads', 'work on a thread', 't', '{"thread": "t"}', 'doing', 1)"""
            )
        )
        db.execute(text("insert into replicas values ('all', null, 0, extract(epoch from now()) - 60)"))
    store.beat(None)  # the first after a minute
    assert store.share_out() == ([], [])


_SINCE = next(number for number, made in enumerate(MIGRATIONS) if any("create table replicas" in one for one in made))
_ADDS = re.compile(
    r"create (table|index) .*"
    r"|alter table \w+ add column \w+ (text|integer|bigint|double precision)( not null default ('[^']*'|\d+))?",
    re.DOTALL,
)


def test_a_migration_only_adds() -> None:
    """Processes of the version before go on beside it during a rolling update: they write no new column, and read none that is gone."""
    made = [" ".join(one.split()) for made in MIGRATIONS[_SINCE:] for one in made]
    assert [one for one in made if not _ADDS.fullmatch(one)] == [], "expand first; contract in a later version"


def test_what_the_version_before_does_not_survive_is_seen() -> None:
    statements = [
        "drop table turns",
        "alter table turns rename column text to words",
        "alter table turns add column x text not null",
        "alter table turns alter column ts type bigint",
        "update turns set text = ''",
    ]
    assert [one for one in statements if _ADDS.fullmatch(one)] == []


def test_a_process_that_died_with_nothing_to_do_is_forgotten_after_a_day(
    process: Callable[[], Store], url: str
) -> None:
    long_gone, living = process(), process()
    long_gone.beat(1)
    living.beat(2)
    with looking_into(url) as engine, engine.begin() as db:
        gone = "update replicas set beat_at = beat_at - 90000 where process in (:process, 'all')"
        db.execute(text(gone), {"process": long_gone.process})
    living.forget_replicas()
    assert {row["process"] for row in rows(url, "replicas")} == {living.process, "all"}
    assert long_gone.beat(1, again=True) is None
    assert living.beat(2, again=True)


def test_who_fetches_a_job_finds_others_of_its_thread_by_an_index(process: Callable[[], Store], url: str) -> None:
    """However many wait: ten thousand questions at once are thirty thousand jobs."""
    store = process()
    fetches = """explain select 1 from procrastinate_jobs job where status = 'todo' and not exists (select 1 from procrastinate_jobs other
        where other.lock = job.lock and (other.status = 'doing' or other.status = 'todo' and other.id < job.id))"""
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off"))
        assert "using jobs_by_lock" in " ".join(db.scalars(text(fetches)))
    store.ping()


def jobs_of(url: str, lock: str) -> list[str]:
    """The states of a thread's jobs."""
    return [str(row["status"]) for row in rows(url, "procrastinate_jobs") if row["lock"] == lock]


def test_a_thread_whose_job_waits_gets_no_second_one(process: Callable[[], Store], url: str) -> None:
    """The clock's would pile up otherwise: the process that has it keeps it for as long as it lives."""
    process()
    with looking_into(url) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        worker = db.scalar(text("insert into procrastinate_workers default values returning id"))
        for _ in range(3):
            defer(db, ["", A.key], set())
        assert jobs_of(url, "clock") == jobs_of(url, A.key) == ["todo"]
        for _ in range(2):
            db.scalar(text("select procrastinate_fetch_job_v2(array['threads'], :by)"), {"by": worker})
        for _ in range(3):
            defer(db, ["", A.key], set())
        assert sorted(jobs_of(url, "clock")) == sorted(jobs_of(url, A.key)) == ["doing", "todo"]
        defer(db, [A.key], set(), UNDER_WAY)  # one that goes before others is not held up by one that does not
        assert sorted(jobs_of(url, A.key)) == ["doing", "todo", "todo"]


def test_whether_a_job_waits_is_looked_up_by_its_thread_also_where_the_server_expects_an_idle_queue(
    process: Callable[[], Store], url: str
) -> None:
    """As in the first minute of a crowd, until the server has counted again: it would go through all that wait, each time."""
    process()
    idle = (
        "insert into procrastinate_jobs (queue_name, task_name, lock, status) values ('threads', 't', 'clock', 'doing')"
    )
    crowd = """insert into procrastinate_jobs (queue_name, task_name, lock)
        select 'threads', 't', 'T0/C0/' || number from generate_series(1, 10000) number"""
    plans: list[str] = []
    with looking_into(url) as engine:
        for statement in (idle, "analyze procrastinate_jobs", crowd):
            with engine.begin() as db:
                db.execute(text(statement))
        event.listen(engine, "before_cursor_execute", lambda *of: (f"explain {of[2]}", of[3]), retval=True)
        event.listen(engine, "after_cursor_execute", lambda *of: plans.extend(row[0] for row in of[1]))
        with engine.begin() as db:
            defer(db, ["T0/C0/10000"], set())
    assert [line for line in plans if "on procrastinate_jobs" in line]
    assert all("using jobs_by_lock" in line for line in plans if "on procrastinate_jobs" in line), plans


def test_a_job_that_is_taken_up_meanwhile_does_for_nothing_that_is_recorded_after(
    process: Callable[[], Store], url: str
) -> None:
    """Or what a transaction leaves would stay: who took the job up looked before it was on disk."""
    process()
    fetch = text("select lock from procrastinate_fetch_job_v2(array['threads'], :by)")
    waiting = text("select count(*) from pg_locks where not granted and pid <> pg_backend_pid()")
    with looking_into(url) as engine, ThreadPoolExecutor(1) as pool:
        with engine.begin() as db:
            worker = db.scalar(text("insert into procrastinate_workers default values returning id"))
            defer(db, [A.key], set())
        with engine.begin() as recording:
            defer(recording, [A.key], set())
            with engine.begin() as db:  # it stays untaken until what it does for, too, is on disk
                assert db.scalar(fetch, {"by": worker}) is None
        with engine.begin() as taking:
            assert taking.scalar(fetch, {"by": worker}) == A.key

            def record() -> None:
                with engine.begin() as db:
                    defer(db, [A.key], set())

            recorded = pool.submit(record)
            until(lambda: recorded.done() or taking.scalar(waiting))
            assert not recorded.done()
        recorded.result()
        assert sorted(jobs_of(url, A.key)) == ["doing", "todo"]


# --- beside an earlier version ----------------------------------------------------------------------------------------


def test_an_earlier_version_and_this_one_take_turns_with_the_journal(process: Callable[[], Store], url: str) -> None:
    """In a rolling update both write entries. Those that came next at once would have one number, and one of them failed."""
    store = process()
    first = link(b"k", FIRST, 1, 5.0, A.key, "t", "question", "{}")
    row = {"number": 1, "at": 5.0, "thread": A.key, "turn": "t", "kind": "question", "data": "{}", "hash": first}
    head = {"number": 1, "hash": first, "signature": sign(b"k", "head", f"1:{first}")}
    waiting = text("select count(*) from pg_locks where not granted and pid <> pg_backend_pid()")
    with looking_into(url) as engine, ThreadPoolExecutor(1) as other:
        with engine.begin() as db:
            db.execute(text("select pg_advisory_xact_lock(7316045922)"))
            columns = "number, at, thread, turn, kind, data, hash"
            values = ":number, :at, :thread, :turn, :kind, :data, :hash"
            db.execute(text(f"insert into journal ({columns}) values ({values})"), row)
            db.execute(text("update journal_head set number = :number, hash = :hash, signature = :signature"), head)
            second = other.submit(store.note, A.key, "t", [JournalEntry("answer", {})])
            until(lambda: second.done() or db.scalar(waiting))
        second.result()
    assert [entry.kind for entry in store.journal.lines()] == ["question", "answer"]
    assert store.journal.verify()[0] is None
    assert store.journal.missing() is None
