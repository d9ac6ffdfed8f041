"""This process among others on one PostgreSQL: procrastinate gives each thread, as a job, to one process at a time.

A job is over once its thread rests here. A process that gives no sign of life for some seconds counts as dead: the others share its
threads out, and should it only have been slow, the holds (store/holds.py) keep it from writing anything more.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import psycopg
import structlog
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ProcrastinateException
from psycopg_pool import PoolTimeout
from sqlalchemy.exc import DBAPIError

from base import metrics
from base.clock import SteadyClock
from store.engine import READ_COMMITTED
from store.holds import Overtaken
from store.store import Store
from workers.home_news import heard_of_homes
from workers.jobs import CHANNEL, QUEUE, TASK, parse_news
from workers.leases import Leases
from workers.wakes import Work
from workers.waking import CLOCK, Waking

log = structlog.get_logger("replica")
_BEAT = 2.0  # seconds between two signs of life
_FORGET = 86_400.0  # seconds after which procrastinate forgets a worker by itself: here `share_out` does
_POLL = 1.0  # seconds between two looks for jobs of which no NOTIFY told
_AGAIN = 1.0  # seconds until the database is tried again
_LOOK = (
    30.0  # seconds between two looks at what this process has, in case that news were lost; without LISTEN: every beat
)
_FAULTS = (psycopg.Error, DBAPIError, ProcrastinateException, PoolTimeout, OSError)


async def _by_statement(connection: psycopg.AsyncConnection) -> None:
    """What procrastinate does is one statement each, which needs no BEGIN and COMMIT around it."""
    await connection.set_autocommit(True)
    await connection.execute(READ_COMMITTED)


class TakesUp(Protocol):
    """Goes on with a thread that is this process's from now on, and was perhaps another's before."""

    def __call__(self, thread: str, *, was_anothers: bool) -> None:
        """Wakes what is to be done for it."""
        ...


class Replica:
    """One process's share of the threads. `url`: of the database, in libpq's form, with sessions that last; `most`: how many threads it
    has at once. `clock` is kept to the database's, which all share. `home_changed` hears what others tell of App Home.
    """

    def __init__(
        self,
        url: str,
        store: Store,
        leases: Leases,
        waking: Waking,
        takes_up: TakesUp,
        clock: SteadyClock,
        *,
        most: int,
        home_changed: Callable[[Collection[str]], None],
    ) -> None:
        self._url = url
        self._store = store
        self._leases = leases
        self._waking = waking
        self._takes_up = takes_up
        self._clock = clock
        self._most = most
        self._home_changed = home_changed
        self._ends = threading.Event()
        self._worker: int | None = None  # procrastinate's number for this process
        self._has_lived = False
        self._hears = threading.Event()  # news come in
        self._echo = f"echo {store.process}"
        self._living = threading.Lock()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="replica")
        self._life = ThreadPoolExecutor(1, thread_name_prefix="life")
        self._threads = [
            threading.Thread(target=self._work, name="jobs", daemon=True),
            threading.Thread(target=self._listen, name="news", daemon=True),
        ]
        self._stop_worker: Callable[[], object] = lambda: None
        for name in ("procrastinate", "psycopg.pool"):  # they tell of each job, and of each try to connect
            logging.getLogger(name).setLevel(logging.ERROR)

    def start(self) -> None:
        """Takes up threads from now on."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Takes up nothing more. What it has stays its own until `leave`."""
        self._ends.set()
        self._leases.close()
        self._stop_worker()

    def leave(self, by: float) -> None:
        """Gives back what it has, to be taken up elsewhere, until `by` (monotonic seconds)."""
        try:
            self._give_back()
            if self._threads[0].ident is not None:  # it was started
                self._threads[0].join(max(0.0, by - time.monotonic()))
            self._give_back()  # what was being taken up meanwhile
            self._store.leave_replicas()
        except (*_FAULTS, Overtaken) as error:
            log.warning("left without a word", error=type(error).__name__, hint="the others take over within seconds")

    def _give_back(self) -> None:
        had = self._leases.all()
        self._store.defer(had)
        for thread in had:
            self._leases.drop(thread)

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Works off jobs until the end, also over times in which the database is away."""
        while not self._ends.is_set():
            try:
                asyncio.run(self._run())
            except _FAULTS as error:
                log.warning("the database gives no answer", error=type(getattr(error, "orig", None) or error).__name__)
            except Exception:  # the boundary of a thread that must go on
                log.exception("the queue's worker failed")
            self._ends.wait(_AGAIN)

    async def _run(self) -> None:
        app = App(
            connector=PsycopgConnector(
                conninfo=self._url,
                min_size=1,
                max_size=4,
                kwargs={"prepare_threshold": None},
                configure=_by_statement,
            )
        )
        app.task(name=TASK, queue=QUEUE, pass_context=True, retry=RetryStrategy(wait=1))(self._have)
        loop = asyncio.get_running_loop()
        before, self._worker = self._worker, None
        await loop.run_in_executor(self._pool, self._live)
        if before is not None:
            await loop.run_in_executor(self._pool, self._store.give_back, before)
        await loop.run_in_executor(self._pool, self._store.defer_unrested)
        async with app.open_async():
            worker = asyncio.create_task(
                app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=self._most,
                    install_signal_handlers=False,
                    delete_jobs="always",
                    fetch_job_polling_interval=_POLL,
                    update_heartbeat_interval=_BEAT,
                    stalled_worker_timeout=_FORGET,
                )
            )
            self._stop_worker = functools.partial(loop.call_soon_threadsafe, worker.cancel)
            if self._ends.is_set():  # closed before there was anything to stop
                worker.cancel()
            over = threading.Event()
            mind = loop.run_in_executor(self._life, self._mind, over)
            try:
                await asyncio.wait([worker, mind], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._stop_worker = lambda: None
                if not self._ends.is_set():  # the database was away: what is had is taken up again
                    for thread in self._leases.all():
                        self._leases.drop(thread)
                worker.cancel()
                ended = [*await asyncio.gather(worker, return_exceptions=True)]
                over.set()
                ended += await asyncio.gather(mind, return_exceptions=True)
                for one in ended:
                    if isinstance(one, Exception):
                        raise one

    async def _have(self, context: JobContext, *, thread: str) -> None:
        """A job: this process has a thread until it rests here."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        if self._worker != context.job.worker_id:  # known before anything is had, or nobody could tell whose it was
            self._worker = context.job.worker_id
            await loop.run_in_executor(self._pool, self._live)
        await loop.run_in_executor(self._pool, self._take, thread, lambda: loop.call_soon_threadsafe(over.set))
        await over.wait()

    def _take(self, thread: str, over: Callable[[], Any]) -> None:
        if self._ends.is_set():
            raise Overtaken  # the job is tried again, by another process
        was_anothers = thread != CLOCK and self._store.take_up(thread)
        self._leases.take(thread, functools.partial(self._put_down, thread, over))
        while thread != CLOCK and not self._store.is_ours(thread):  # an earlier lease of this process ended in between
            self._store.take_up(thread)
        self._takes_up(thread, was_anothers=was_anothers)
        self._waking.release_if_idle(thread)

    def _put_down(self, thread: str, over: Callable[[], Any]) -> None:
        with self._leases.lock:
            if thread not in self._leases:
                self._store.put_down(thread)
        over()

    # --- signs of life ------------------------------------------------------------------------------------------------

    def _mind(self, over: threading.Event) -> None:
        """Gives signs of life, looks for those of others, and at what this process has: in a thread of its own, so that neither many jobs
        nor slow ones delay it."""
        looked = time.monotonic()
        while not over.is_set():
            self._live()
            self._share_out()
            if time.monotonic() - looked > (_LOOK if self._hears.is_set() else 0):
                looked = time.monotonic()
                self._look()
            over.wait(_BEAT)

    def _live(self) -> None:
        with self._living:
            now = self._store.beat(self._worker, again=self._has_lived)
            if now is None:
                self._store.lose()
                return
            self._clock.keep_to(now, self._store.move_deadlines if CLOCK in self._leases else None)
            self._has_lived = True

    def _share_out(self) -> None:
        threads, left = self._store.share_out()
        metrics.TAKEOVERS.inc(len(threads))
        for thread, silence in threads:
            if silence is None:
                log.warning("took over", thread=thread, reason="its process left without giving it back")
            else:
                log.warning(
                    "took over", thread=thread, after=round(silence, 1), reason="its process gives no sign of life"
                )
        for one in left:
            log.warning("left in the middle", thread=str(one.thread), ends_alone=one.ends_alone)

    def _look(self) -> None:
        """Wakes what others recorded for threads that this process has. There may be thousands of them, which wait for Slack's pace or for
        a model, so none is looked into for that."""
        for work, threads in self._store.recorded_for().items():
            for thread in threads:
                self._waking.wake(work, thread)
        self._waking.wake(Work.DEADLINES, CLOCK)

    # --- news ---------------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Hears of what others record for threads that this process has."""
        while not self._ends.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=10, prepare_threshold=None) as db:
                    db.execute(f"listen {CHANNEL}")
                    self._look()  # at what was said before
                    self._store.tell(CHANNEL, self._echo)  # heard by this process, too, if anything is
                    while not self._ends.is_set():
                        for told in db.notifies(timeout=_BEAT):
                            self._hear(told.payload)
            except _FAULTS as error:
                if self._hears.is_set():
                    log.warning("no news from the database", error=type(error).__name__)
            self._hears.clear()
            self._ends.wait(_AGAIN)

    def _hear(self, told: str) -> None:
        if told == self._echo:  # others' news come by chance, too, where PgBouncer passes a session from hand to hand
            self._hears.set()
        if names := heard_of_homes(told, self._store.process):
            self._home_changed(names)
        thread, kinds = parse_news(told)
        for work in kinds:
            self._waking.wake(work, thread)
