"""Several processes on one PostgreSQL: which are there, which threads each has, and what a dead one leaves to the others.

A thread is taken up once for as long as a process works on it (workers/leases.py); who had it before can write nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, case, column, delete, func, insert, select, table, text, update
from sqlalchemy import bindparam as given
from sqlalchemy.exc import DBAPIError

from base.clock import SteadyClock
from gate.policy import State
from store.database import Transaction
from store.holds import DATABASE, DEAD, EVERYBODY, NOW
from store.proposal_record import proposals
from store.recovery import Left, Recovery
from store.tables import by_engine, catalogs, replicas
from workers.wakes import CLOCK_LOCK, FIRST, Work

_GAP = 6.0  # seconds without a sign of anybody, after which the database may have been away
_GONE = 86_400.0  # seconds without a sign of life, after which a process that died with nothing to do is forgotten
_ALL = frozenset(Work) - {Work.DEADLINES}
_workers = table("procrastinate_workers", column("id"), column("last_heartbeat"))
_everybody = by_engine(
    lambda insert: (
        insert(replicas)
        .values(process=EVERYBODY, started_at=NOW, beat_at=NOW, catalog="")
        .on_conflict_do_update(
            index_elements=["process"],
            set_={
                "started_at": case((replicas.c.beat_at < NOW - _GAP, NOW), else_=replicas.c.started_at),
                "beat_at": NOW,
            },
        )
    )
)["postgresql"].cte("everybody")
_works = update(_workers).where(_workers.c.id == given("by")).values(last_heartbeat=func.clock_timestamp()).cte("works")
# One trip to the server, and no locks that others keep for long: a sign of life has to come however busy all else is.
_FIRST_BEAT = (
    by_engine(
        lambda insert: (
            insert(replicas)
            .values(process=given("me"), worker=given("by"), started_at=NOW, beat_at=NOW, catalog=given("has"))
            .on_conflict_do_update(
                index_elements=["process"], set_={"worker": given("by"), "beat_at": NOW, "catalog": given("has")}
            )
            .returning(NOW)
        )
    )["postgresql"]
    .add_cte(_everybody)
    .add_cte(_works)
)
_BEAT = (
    update(replicas)
    .where(replicas.c.process == given("me"))
    .values(worker=given("by"), beat_at=NOW, catalog=given("has"))
    .returning(NOW)
    .add_cte(_everybody)
    .add_cte(_works)
)
_NEWEST = select(catalogs.c.digest, catalogs.c.taken_at).order_by(catalogs.c.number.desc()).limit(1)
_NEWEST_IS_HAD = select(  # by a process that works; one of an earlier version does not say which it has
    select(replicas.c.process)
    .where(replicas.c.beat_at > NOW - DEAD, replicas.c.process.not_in([EVERYBODY, given("me")]))
    .where(replicas.c.catalog.in_([given("newest"), ""]))
    .exists()
)
_COULD_BEAT = select(replicas.c.started_at < NOW - DEAD).where(replicas.c.process == EVERYBODY)
_NOW = select(NOW)
_NOTIFY = text("select pg_notify(:channel, :news)")
# What procrastinate's get_stalled_jobs looks for. `silence`: since its process's last sign of life, or since there is anybody else, the
# later of both; null where that process had unregistered.
_STALLED = text(
    """select job.id, job.args ->> 'thread' as thread, job.worker_id,
       case when worker.id is not null then extract(epoch from clock_timestamp()) - greatest(
       extract(epoch from worker.last_heartbeat), (select started_at from replicas where process = :all)) end as silence
       from procrastinate_jobs job
       left join procrastinate_workers worker on worker.id = job.worker_id
       where job.status = 'doing' and (worker.id is null or worker.last_heartbeat < now() - :dead * interval '1 second')"""
)
_FOR_ONE = text(f"{_STALLED.text} for update of job skip locked")
_HAD = text(
    """select id, args ->> 'thread' as thread from procrastinate_jobs where worker_id = :worker and status = 'doing'
       for update skip locked"""
)
_FINISH = text("select procrastinate_finish_job_v1(job, 'failed', true) from unnest(cast(:jobs as bigint[])) job")
# One whose job another caller has locked stays until that is shared out, too: with its row its last sign of life would be gone.
_PRUNE = text(
    """delete from procrastinate_workers worker where id = any(:workers)
       and not exists (select from procrastinate_jobs where worker_id = worker.id and status = 'doing')"""
)
_JOBS = text("select lock from procrastinate_jobs where status in ('todo', 'doing')")
_HAS_JOB = text("select 1 from procrastinate_jobs where lock = :lock and status in ('todo', 'doing') limit 1")


class Replicas(Recovery):
    """What processes that share a database know of each other."""

    # --- this one -----------------------------------------------------------------------------------------------------

    def beat(self, worker: int | None, *, again: bool = False) -> float | None:
        """Gives a sign of life; gives the database's time, in seconds since 1970. `worker`: procrastinate's number for this process, as
        soon as it has one. None where one was given before (`again`), and the others have shared out since then what this process had."""
        with self._by_itself() as db:
            sign = {"me": self.process, "by": worker, "has": self.catalog}
            beaten = db.scalar(_BEAT if again else _FIRST_BEAT, sign)
        return None if beaten is None else float(beaten)

    def keep_time(self, clock: SteadyClock) -> None:
        """Sets a clock by the database's, to which all processes keep; not where the database gives no answer."""
        with suppress(DBAPIError), self._reading() as db:
            clock.keep_to(float(db.scalar(_NOW) or 0), None)

    def lose(self) -> None:
        """Notes that the others took this process for dead."""
        self._holds.is_lost = True
        self._on_lost()

    def tell(self, channel: str, news: str) -> None:
        """Has all who listen hear of something."""
        with self._by_itself() as db:
            db.execute(_NOTIFY, {"channel": channel, "news": news})

    def leave_replicas(self) -> None:
        """This process ends."""
        with self._writing() as tx:
            tx.db.execute(delete(replicas).where(replicas.c.process == self.process))

    def forget_replicas(self) -> None:
        """Forgets processes that gave no sign of life for a day. One that comes back after that counts as dead."""
        if self.is_shared:
            with self._by_itself() as db:
                db.execute(delete(replicas).where(replicas.c.process != EVERYBODY, replicas.c.beat_at < NOW - _GONE))

    def give_back(self, worker: int) -> None:
        """Leaves what this process had under an earlier number to all: it lost the database, and is back."""
        with self._writing() as tx:
            self._make_anew(tx, tx.db.execute(_HAD, {"worker": worker}).all())

    def regain_catalog(self) -> bool:
        """Has the catalog of this process hold again, if people went back to it: this process read it after the newest had been taken,
        and no living process has the newest any more. Whether it does."""
        if not self.is_shared:
            return False
        with self._writing() as tx:
            tx.alone()
            newest = tx.db.execute(_NEWEST).one_or_none()
            if newest is None or newest.digest == self.catalog or newest.taken_at >= self._catalog_at:
                return False
            is_had = tx.db.scalar(_NEWEST_IS_HAD, {"me": self.process, "newest": newest.digest})
            if is_had or not tx.db.scalar(_COULD_BEAT):
                return False
            tx.db.execute(insert(catalogs).values(digest=self.catalog, taken_at=tx.clock()))
        return True

    # --- threads ------------------------------------------------------------------------------------------------------

    def take_up(self, thread: str) -> bool:
        """Takes up a thread that a job has given to this process. Whether another one had it before."""
        with self._by_itself() as db:
            taken, was_anothers = self._holds.take_over(db, thread)
        self._holds.keep(taken)
        return was_anothers

    def put_down(self, thread: str) -> None:
        """Works on a thread no more."""
        self._holds.drop([thread])

    def defer_unrested(self) -> None:
        """Has each thread that is not at rest worked on, and the clock, unless a job says so already."""
        left = {thread for threads in self.unrested() for thread in threads} | {DATABASE}
        left |= set(self._threads_with_writes())
        with self._reading() as db:
            jobs = set(db.scalars(_JOBS))
        for thread in sorted(one for one in left if (one or CLOCK_LOCK) not in jobs):
            with self._writing() as tx:
                tx.alone()  # or two that look together would both find no job
                if tx.db.scalar(_HAS_JOB, {"lock": thread or CLOCK_LOCK}) is None:
                    self._wakes.defer(tx.db, [thread], _ALL)

    def _threads_with_writes(self) -> list[str]:
        under_way = select(proposals.c.thread).where(proposals.c.state.in_((State.APPROVED, State.SENDING))).distinct()
        with self._reading() as db:
            return list(db.scalars(under_way))

    def defer(self, threads: Sequence[str]) -> None:
        """Leaves threads that this process had to others, who take them up before what nobody has begun."""
        with self._writing() as tx:
            self._wakes.defer(tx.db, threads, _ALL, FIRST)

    # --- the dead -----------------------------------------------------------------------------------------------------

    def share_out(self) -> tuple[list[tuple[str, float | None]], list[Left]]:
        """Takes what processes had that give no sign of life, each thread by one caller alone: gives the threads, which others take
        up now, each with the seconds since its process gave one, or since there is anybody who could take it up, or None where the
        process left without giving it back; and what was in the middle of being worked on.

        The jobs are made again: a process that comes back would end them otherwise, and with them the lock of who has the thread by then.
        """
        which = {"dead": DEAD, "all": EVERYBODY}
        with self._reading() as db:
            if db.execute(_STALLED, which).first() is None:
                return [], []
        with self._writing() as tx:
            if not tx.db.scalar(_COULD_BEAT):  # the database was away: who lives has not had the time to say so
                return [], []
            stalled = tx.db.execute(_FOR_ONE, which).all()
            workers = sorted({row.worker_id for row in stalled if row.worker_id is not None})
            dead = list(tx.db.scalars(select(replicas.c.process).where(replicas.c.worker.in_(workers))))
            left = self._left_by(tx, dead) if dead else []
            self._make_anew(tx, stalled)
            tx.db.execute(delete(replicas).where(replicas.c.process.in_(dead)))
            tx.db.execute(_PRUNE, {"workers": workers})
        return [(row.thread, None if row.silence is None else float(row.silence)) for row in stalled], left

    def _make_anew(self, tx: Transaction, jobs: Sequence[Row[Any]]) -> None:
        """Ends jobs, and leaves their threads to all. What was under way goes before what nobody has begun, of which there may be much."""
        tx.db.execute(_FINISH, {"jobs": [job.id for job in jobs]})
        self._wakes.defer(tx.db, [job.thread for job in jobs], _ALL, FIRST)
