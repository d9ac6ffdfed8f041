"""The time of day, for durations that outlive the process: what waits for an hour waits for an hour, also where somebody sets the clock.

Within a process time goes on steadily from what the clock said at its start. `jump` tells by how much the clock has left that since, for
who then moves what waits along.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_JUMP = 60.0  # seconds; less is drift


def _steady() -> float:
    """Seconds that also count while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """Seconds since 1970 that no setting of the clock moves. Thread-safe."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = _steady) -> None:
        self._wall = wall
        self._steady = steady
        self._lock = threading.Lock()
        self._ahead = wall() - steady()

    def __call__(self) -> float:
        """Seconds since 1970, by the steady clock."""
        return self._steady() + self._ahead

    def jump(self) -> float:
        """The seconds by which the clock was set since the start, or since it was followed; 0 where it was not."""
        with self._lock:
            moved = self._wall() - self()
            if abs(moved) >= _JUMP:
                return moved
            self._ahead += moved
            return 0.0

    def keep_to(self, now: float, move: Callable[[float], None] | None) -> None:
        """Keeps to another clock, which says `now`. Where that one was set, `move` moves what waits by those seconds."""
        moved = now - self()
        if abs(moved) >= _JUMP and move is not None:
            if moved < 0:
                self.follow(moved)
            move(moved)
            if moved < 0:
                return
        self.follow(moved)

    def follow(self, moved: float) -> None:
        """From now on goes on from where the clock was set to."""
        with self._lock:
            self._ahead += moved
