"""Which threads this process works on, where several share a database: it has a thread until nothing is left to do for it here."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable


class Leases:
    """The leases of one process. Thread-safe. A pinned one stays until it is unpinned, whatever else happens."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # held by who looks whether a thread is had and acts on it
        self._had: dict[str, Callable[[], None]] = {}  # and who hears when it has it no more
        self._pins: Counter[str] = Counter()  # they stay where a thread is dropped and taken again meanwhile
        self._is_closing = False

    def __contains__(self, thread: str) -> bool:
        """Whether this process has the thread."""
        return thread in self._had

    def take(self, thread: str, over: Callable[[], None]) -> None:
        """This process has the thread from now on; `over` hears when it has it no more."""
        with self.lock:
            before = self._had.get(thread)
            self._had[thread] = over
        if before is not None:
            before()

    def pin(self, thread: str) -> bool:
        """Keeps the thread, if this process has it; whether it does."""
        with self.lock:
            is_had = thread in self._had
            if is_had:
                self._pins[thread] += 1
        return is_had

    def unpin(self, thread: str) -> None:
        """The opposite of `pin`."""
        with self.lock:
            self._pins[thread] -= 1
            if not self._pins[thread]:
                del self._pins[thread]

    def release_if_idle(self, thread: str, is_busy: Callable[[], bool]) -> None:
        """Gives the thread up unless something is still to be done for it."""
        with self.lock:
            over = self._had.get(thread)
            if self._is_closing or over is None or thread in self._pins or is_busy():
                return
            del self._had[thread]
        over()

    def close(self) -> None:
        """From now on nothing is given up as done: what is interrupted looks as if it were."""
        self._is_closing = True

    def drop(self, thread: str) -> None:
        """Gives the thread up at once: another process has it, or this one ends."""
        with self.lock:
            over = self._had.pop(thread, None)
        if over is not None:
            over()

    def all(self) -> list[str]:
        """The threads that this process has."""
        with self.lock:
            return list(self._had)
