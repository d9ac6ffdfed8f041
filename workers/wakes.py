"""Who goes on with what was recorded: each transaction names the threads for which it left work, and of what kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from enum import StrEnum
from typing import Any, Protocol

USUAL, FIRST = 0, 1  # how soon work is taken up: what was under way goes before what nobody has begun
CLOCK_LOCK = "clock"  # what stands for the database in a lock, where a thread has its key


class Work(StrEnum):
    """What there may be to do for a thread."""

    ARRIVALS = "arrivals"  # Slack brought something
    TURNS = "turns"  # a turn to go on with
    STOPS = "stops"  # a person wants the turn to end that is under way
    WRITES = "writes"  # requests that people approved
    POSTS = "posts"  # something to show
    DEADLINES = "deadlines"  # of the database, not of a thread: something may be due sooner than all else


class Wakes(Protocol):
    """Hears what every transaction leaves to be done. Thread-safe."""

    def pin(self, thread: str) -> bool:
        """Whether this process works on the thread; if so, it does until `recorded`."""
        ...

    def defer(self, db: Any, threads: Sequence[str], work: Set[Work], priority: int = USUAL) -> None:
        """Inside the transaction of the connection `db`: leaves the work to the processes that have the threads, or will."""
        ...

    def record_and_defer(self, db: Any, record: Any, values: Mapping[str, Any], thread: str, work: Set[Work]) -> bool:
        """In one statement: runs the insert `record` with `values`, and leaves the work as `defer` does where it recorded something;
        whether it did."""
        ...

    def recorded(self, thread: str, work: Set[Work], *, is_pinned: bool, lane: str = "") -> None:
        """The transaction is over. Its COMMIT may have failed, or only the answer to it: whoever looks finds what there is. `lane`: who
        asked there, where that is known."""
        ...


class Nobody:
    """Nobody works here: for commands that look into the database."""

    def pin(self, _thread: str) -> bool:
        """As if this process did."""
        return True

    def defer(self, _db: Any, _threads: Sequence[str], _work: Set[Work], priority: int = USUAL) -> None:
        """Never asked to."""

    def record_and_defer(self, db: Any, record: Any, values: Mapping[str, Any], _thread: str, _work: Set[Work]) -> bool:
        """Records it, and leaves nothing."""
        return db.execute(record, values).first() is not None

    def recorded(self, _thread: str, _work: Set[Work], *, is_pinned: bool, lane: str = "") -> None:
        """Goes nowhere."""
