"""How work is left to other processes on the same PostgreSQL: as procrastinate's jobs, one for a thread, in the transaction that records.

A job's lock is its thread, so one process at a time has a thread (replica.py). Who has it already hears of the news by NOTIFY.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from sqlalchemy import Connection, Select, select, text
from sqlalchemy.sql.dml import ReturningInsert

from workers.wakes import CLOCK_LOCK, USUAL, Work

QUEUE, TASK = "threads", "work on a thread"
CHANNEL = "rest_in_slack"
# A job that nobody has taken up yet does for all that is recorded until then: it stays locked, and so untaken, until this is on disk. Its
# status is spelt so that it is looked up by its lock: as long as a server knows of an idle queue alone, it would go through all that wait.
_LEFT = (
    text(
        """procrastinate_defer_jobs_v1(array(
       select (:queue, :task, :priority, coalesce(nullif(thread, ''), :clock), null, jsonb_build_object('thread', thread), null
       )::procrastinate_job_to_defer_v1 from unnest(cast(:threads as text[])) thread
       where not exists (select 1 from procrastinate_jobs where lock = coalesce(nullif(thread, ''), :clock)
                         and status in ('todo', 'doing') and status::text = 'todo' and priority >= :priority for key share)
       ))"""
    ),
    text("(select count(pg_notify(:told_at, news)) from unnest(cast(:news as text[])) news)"),
)
_DEFER = select(*_LEFT)


def defer(db: Connection, threads: Sequence[str], work: Set[Work], priority: int = USUAL) -> None:
    """Inside a transaction: has processes work on threads, each after the one that has it now; and has that one hear of it. A thread whose
    job waits already gets no second one. By procrastinate's function in the database, so that all of it takes one trip. `priority`:
    procrastinate's."""
    db.execute(_DEFER, _left(threads, work, priority))


def record_and_defer(
    db: Connection, record: ReturningInsert[Any], values: Mapping[str, Any], thread: str, work: Set[Work]
) -> bool:
    """The same for one thread, in one statement with what it is about, which needs no transaction: `record`, with its `values`, gives a
    row back where there is something to be done. Whether there is."""
    return db.execute(_with(record), {**values, **_left([thread], work, USUAL)}).first() is not None


@functools.cache
def _with(record: ReturningInsert[Any]) -> Select[Any]:
    return select(*_LEFT).select_from(record.cte("recorded"))


def _left(threads: Sequence[str], work: Set[Work], priority: int) -> dict[str, Any]:
    jobs = {"queue": QUEUE, "task": TASK, "priority": priority, "clock": CLOCK_LOCK, "threads": list(threads)}
    return jobs | {"told_at": CHANNEL, "news": [news(thread, work) for thread in threads]}


def news(thread: str, work: Iterable[Work]) -> str:
    """What is told of a thread: the kinds of work, then its key."""
    return f"{','.join(sorted(work))} {thread}"


def parse_news(news: str) -> tuple[str, list[Work]]:
    """The thread, and the work of it. What another version knows is passed over."""
    kinds, _, thread = news.partition(" ")
    return thread, [work for work in Work if work in kinds.split(",")]
