"""Threads in whose work the process ended go on alone, one after the other, so that the next end tells who did it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

_ALONE = 60.0  # seconds for which everything else waits for one suspect


class Quarantine:
    """Has the suspects, threads in whose work the process ended, worked on one after the other and all else wait: the next end tells
    who did it. `over` is called when nobody is left. Thread-safe."""

    def __init__(self, over: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._over = over
        self._clock = clock
        self._lock = threading.Lock()
        self._suspects: deque[str] = deque()
        self._since = 0.0

    def hold(self, suspects: Sequence[str]) -> None:
        """From now on these go first, after those before them."""
        with self._lock:
            self._since = self._since if self._suspects else self._clock()
            self._suspects.extend(one for one in dict.fromkeys(suspects) if one not in self._suspects)

    def lets(self, thread: str) -> bool:
        """Whether a thread may be worked on now."""
        with self._lock:
            if self._suspects and self._clock() - self._since > _ALONE:
                self._let_go(self._suspects[0])
            return not self._suspects or self._suspects[0] == thread

    def lived(self, thread: str) -> None:
        """A thread was worked on, and the process lives."""
        with self._lock:
            self._let_go(thread)

    def _let_go(self, thread: str) -> None:
        if self._suspects and self._suspects[0] == thread:
            self._suspects.popleft()
            self._since = self._clock()
            if not self._suspects:
                self._over()
