"""How work is left to other processes on the same PostgreSQL: as procrastinate's jobs, one for a thread, in the transaction that records.

A job's lock is its thread, so one process at a time has a thread (replica.py). Who has it already hears of the news by NOTIFY.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from sqlalchemy import Connection, text

from workers.wakes import CLOCK_LOCK, Work

QUEUE, TASK = "threads", "work on a thread"
CHANNEL = "rest_in_slack"
_DEFER = text(
    """select procrastinate_defer_jobs_v1(array[(
       :queue, :task, 0, :lock, null, jsonb_build_object('thread', cast(:thread as text)), null
       )::procrastinate_job_to_defer_v1]), pg_notify(:channel, :news)"""
)


def defer(db: Connection, thread: str, work: Set[Work]) -> None:
    """Inside a transaction: has a process work on a thread, after the one that has it now; and has that one hear of it. By procrastinate's
    function in the database, so that both take one trip."""
    job = {"queue": QUEUE, "task": TASK, "lock": thread or CLOCK_LOCK, "thread": thread}
    db.execute(_DEFER, job | {"channel": CHANNEL, "news": news(thread, work)})


def news(thread: str, work: Iterable[Work]) -> str:
    """What is told of a thread: the kinds of work, then its key."""
    return f"{','.join(sorted(work))} {thread}"


def parse_news(news: str) -> tuple[str, list[Work]]:
    """The thread, and the work of it. What another version knows is passed over."""
    kinds, _, thread = news.partition(" ")
    return thread, [work for work in Work if work in kinds.split(",")]
