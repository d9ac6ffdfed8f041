"""Who is woken when: one queue for each kind of work. Made before everything else and handed to all who record something.

Nothing here does the work: that is workers.py. What a transaction leaves to be done is woken by the store itself, as soon as it is on disk;
others wake what is not stored. Where several processes share the database, only the one that has a thread (leases.py) is woken for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, Protocol

from workers.leases import Leases
from workers.wakes import USUAL, Work
from workers.work_queue import WorkQueue

CLOCK = ""  # in place of a thread: whatever is due next, in the whole database
_OF_THREADS = (Work.ARRIVALS, Work.TURNS, Work.STOPS, Work.WRITES, Work.POSTS, Work.DEADLINES)


class Jobs(Protocol):
    """How work is left to other processes: jobs.py."""

    def defer(self, db: Any, threads: Sequence[str], work: Set[Work], priority: int = USUAL) -> None:
        """Leaves work on threads, inside a transaction."""
        ...

    def record_and_defer(self, db: Any, record: Any, values: Mapping[str, Any], thread: str, work: Set[Work]) -> bool:
        """Records something and leaves the work that it makes, in one statement."""
        ...


class Waking:
    """The queues of one process. Record first, on disk; then wake.

    `leases` and `jobs` are for processes that share a database: which threads this one has, and how work for the others is left.
    """

    def __init__(self, leases: Leases | None = None, jobs: Jobs | None = None) -> None:
        self._leases = leases
        self._jobs = jobs
        self.queues = {work: WorkQueue(work) for work in _OF_THREADS}  # by thread
        self.checks = WorkQueue(
            "checks", label="proposal"
        )  # writes with an unknown outcome whose target is to be shown
        self.homes = WorkQueue("homes", label="user")  # people whose App Home is to be drawn
        self.accounts = WorkQueue("accounts", label="account")  # accounts that are to be given back
        self.grants = WorkQueue("grants", label="grant")  # grants that nobody keeps, to be given back
        self.devices = WorkQueue("devices", label="device")  # sign-ins on other devices that are to be asked about
        self.undelivered: set[str] = set()  # threads with posts in the store; who shows the rest need not look there

    @property
    def all_queues(self) -> tuple[WorkQueue, ...]:
        """All of them, whatever their keys are."""
        return (*self.queues.values(), self.checks, self.homes, self.accounts, self.grants, self.devices)

    def wake(self, work: Work, thread: str, *, lane: str = "") -> None:
        """Has a thread worked on soon; by another process where that one has it, which was told in the transaction. `lane`: who asked
        there, if that is known."""
        if self._leases is None:
            self._wake(work, thread, lane)
            return
        with self._leases.lock:  # or the thread would be given up between the look and the wake
            if thread in self._leases:
                self._wake(work, thread, lane)

    def _wake(self, work: Work, thread: str, lane: str) -> None:
        if work is Work.POSTS:
            self.undelivered.add(thread)
        self.queues[work].wake(thread, lane=lane)

    def show(self, thread: str) -> None:
        """There is something to show in a thread that is not stored: a status, a text that grew."""
        if self._leases is None or thread in self._leases:
            self.queues[Work.POSTS].wake(thread)

    # --- what transactions leave: wakes.py ------------------------------------------------------------------------

    def pin(self, thread: str) -> bool:
        """Whether this process works on the thread; if so, it does until `recorded`."""
        return self._leases is None or self._leases.pin(thread)

    def defer(self, db: Any, threads: Sequence[str], work: Set[Work], priority: int = USUAL) -> None:
        """Inside a transaction: leaves work to other processes."""
        if self._jobs is not None and threads:
            self._jobs.defer(db, threads, work, priority)

    def record_and_defer(self, db: Any, record: Any, values: Mapping[str, Any], thread: str, work: Set[Work]) -> bool:
        """In one statement: records something, and leaves the work that it makes to other processes; whether it did."""
        assert self._jobs is not None  # nobody else works on the database
        return self._jobs.record_and_defer(db, record, values, thread, work)

    def recorded(self, thread: str, work: Set[Work], *, is_pinned: bool, lane: str = "") -> None:
        """Work for a thread is on disk."""
        for one in work:
            self.wake(one, thread, lane=lane)
        if is_pinned and self._leases is not None:
            self._leases.unpin(thread)
            self.release_if_idle(thread)

    # --- leases ---------------------------------------------------------------------------------------------------------

    def has(self, thread: str) -> bool:
        """Whether this process is the one that works on the thread."""
        return self._leases is None or thread in self._leases

    def lost(self, thread: str) -> bool:
        """Another process has the thread by now. False where there can be no other."""
        if self._leases is None:
            return False
        self._leases.drop(thread)
        return True

    def release_if_idle(self, thread: str) -> None:
        """Gives the thread up once nothing is left to do for it here."""
        if self._leases is not None:
            self._leases.release_if_idle(thread, lambda: any(queue.is_busy(thread) for queue in self.queues.values()))
