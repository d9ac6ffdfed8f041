"""One writer at a time into SQLite, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class WriteLock:
    """Lets one writer at a time into SQLite, in the order in which they came, urgent ones first.

    SQLite's own waiting sleeps and wakes at random, so that with many threads one may wait for seconds. A server needs none of
    this (`wide_open`).
    """

    def __init__(self, *, wide_open: bool) -> None:
        self._wide_open = wide_open
        self._lock = threading.Lock()
        self._waiting: tuple[deque[threading.Lock], deque[threading.Lock]] = (deque(), deque())  # urgent, others
        self._is_taken = False

    @contextmanager
    def through(self, *, urgent: bool) -> Iterator[None]:
        """Waits for one's turn and holds it inside."""
        if self._wide_open:
            yield
            return
        self._enter(urgent=urgent)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, *, urgent: bool) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting[0 if urgent else 1].append(mine)
        mine.acquire()  # until the one before hands over

    def _leave(self) -> None:
        with self._lock:
            line = self._waiting[0] or self._waiting[1]
            if line:
                line.popleft().release()
            else:
                self._is_taken = False
