"""Several processes on one PostgreSQL: which are there, which threads each has, and what a dead one leaves to the others.

A thread is taken up once for as long as a process works on it (workers/leases.py); who had it before can write nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam as given
from sqlalchemy import case, delete, select, text

from gate.policy import State
from store.holds import DATABASE, DEAD, EVERYBODY, NOW
from store.proposal_record import proposals
from store.recovery import Left, Recovery
from store.tables import by_engine, replicas
from workers.wakes import CLOCK_LOCK, Work

_GAP = 6.0  # seconds without a sign of anybody, after which the database may have been away
_GONE = 86_400.0  # seconds without a sign of life, after which a process that died with nothing to do is forgotten
_ALL = frozenset(Work) - {Work.DEADLINES}
_BEAT = by_engine(
    lambda insert: (
        insert(replicas)
        .values(process=given("me"), worker=given("by"), started_at=NOW, beat_at=NOW)
        .on_conflict_do_update(index_elements=["process"], set_={"worker": given("by"), "beat_at": NOW})
        .returning(NOW)
    )
)
_PULSE = by_engine(
    lambda insert: (
        insert(replicas)
        .values(process=given("all"), started_at=NOW, beat_at=NOW)
        .on_conflict_do_update(
            index_elements=["process"],
            set_={
                "started_at": case((replicas.c.beat_at < NOW - _GAP, NOW), else_=replicas.c.started_at),
                "beat_at": NOW,
            },
        )
    )
)
_COULD_BEAT = select(replicas.c.started_at < NOW - DEAD).where(replicas.c.process == EVERYBODY)
_NOTIFY = text("select pg_notify(:channel, :news)")
_STALLED = text(
    """select job.id, job.lock, job.args ->> 'thread' as thread, job.worker_id,
       extract(epoch from clock_timestamp() - worker.last_heartbeat) as silence from procrastinate_jobs job
       left join procrastinate_workers worker on worker.id = job.worker_id
       where job.id = any(:jobs) and job.status = 'doing'
       and (worker.id is null or worker.last_heartbeat < now() - :dead * interval '1 second')
       for update of job skip locked"""
)
_HAD = text(
    """select id, args ->> 'thread' as thread from procrastinate_jobs where worker_id = :worker and status = 'doing'
       for update skip locked"""
)
_FINISH = text("select procrastinate_finish_job_v1(:job, 'failed', true)")
_PRUNE = text("delete from procrastinate_workers where id = any(:workers)")
_JOBS = text("select lock from procrastinate_jobs where status in ('todo', 'doing')")
_HAS_JOB = text("select 1 from procrastinate_jobs where lock = :lock and status in ('todo', 'doing') limit 1")


class Replicas(Recovery):
    """What processes that share a database know of each other."""

    # --- this one -----------------------------------------------------------------------------------------------------

    def beat(self, worker: int | None) -> float:
        """Gives a sign of life; gives the database's time, in seconds since 1970. `worker`: procrastinate's number for this process, as
        soon as it has one."""
        with self._writing() as tx:
            tx.db.execute(_PULSE[tx.engine], {"all": EVERYBODY})
            return float(tx.db.scalar(_BEAT[tx.engine], {"me": self.process, "by": worker}) or 0)

    def lose(self) -> None:
        """Notes that the others took this process for dead."""
        self._holds.is_lost = True
        self._on_lost()

    def tell(self, channel: str, news: str) -> None:
        """Has all who listen hear of something."""
        with self._by_itself() as db:
            db.execute(_NOTIFY, {"channel": channel, "news": news})

    def counts_as_dead(self) -> bool:
        """Whether the others have shared out what this process had."""
        with self._reading() as db:
            return db.scalar(select(replicas.c.process).where(replicas.c.process == self.process)) is None

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
            for row in tx.db.execute(_HAD, {"worker": worker}).all():
                tx.db.execute(_FINISH, {"job": row.id})
                self._wakes.defer(tx.db, row.thread, _ALL)

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
                    self._wakes.defer(tx.db, thread, _ALL)

    def _threads_with_writes(self) -> list[str]:
        under_way = select(proposals.c.thread).where(proposals.c.state.in_((State.APPROVED, State.SENDING))).distinct()
        with self._reading() as db:
            return list(db.scalars(under_way))

    def defer(self, threads: Sequence[str]) -> None:
        """Leaves threads to other processes."""
        with self._writing() as tx:
            for thread in threads:
                self._wakes.defer(tx.db, thread, _ALL)

    # --- the dead -----------------------------------------------------------------------------------------------------

    def share_out(self, jobs: Sequence[int]) -> tuple[list[tuple[str, float]], list[Left]]:
        """Takes these jobs from processes that give no sign of life, each by one caller alone: gives the threads, which others take
        up now, each with the seconds since its process gave one, and what was in the middle of being worked on.

        The jobs are made again: a process that comes back would end them otherwise, and with them the lock of who has the thread by then.
        """
        with self._writing() as tx:
            if not tx.db.scalar(_COULD_BEAT):  # the database was away: who lives has not had the time to say so
                return [], []
            stalled = tx.db.execute(_STALLED, {"jobs": list(jobs), "dead": DEAD}).all()
            workers = sorted({row.worker_id for row in stalled if row.worker_id is not None})
            dead = list(tx.db.scalars(select(replicas.c.process).where(replicas.c.worker.in_(workers))))
            left = self._left_by(tx, dead) if dead else []
            for row in stalled:
                tx.db.execute(_FINISH, {"job": row.id})
                self._wakes.defer(tx.db, row.thread, _ALL)
            tx.db.execute(delete(replicas).where(replicas.c.process.in_(dead)))
            tx.db.execute(_PRUNE, {"workers": workers})
        return [(row.thread, float(row.silence or 0)) for row in stalled], left
