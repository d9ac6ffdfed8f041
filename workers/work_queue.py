"""A queue of keys that have work to be done: each waits there once, and is worked on by one worker at a time. Lanes take turns, so that one
with a hundred keys holds up nobody in another."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable


class WorkQueue:
    """Who has work at this moment, and who at a later one. Thread-safe; whoever wakes a key need not know who works on it.

    `name` and `label` are for the log: what the work is, and what a key stands for.
    """

    def __init__(self, name: str, *, label: str = "thread") -> None:
        self.name = name
        self.label = label
        self._changed = threading.Condition()
        self._ready: OrderedDict[str, deque[str]] = OrderedDict()  # by lane, in the order in which they are next
        self._lanes: dict[str, str] = {}  # of keys that are busy
        self._waiting: set[str] = set()  # keys in _ready
        self._running: set[str] = set()
        self._again: set[str] = set()  # woken while running
        self._timed: list[tuple[float, int, str]] = []
        self._order = itertools.count()
        self._due: dict[str, float] = {}  # when each key of _timed is due; older notes of it are void
        self._workers = 0  # that were hired; each waits in `take`, or has a key of _running
        self._hire: Callable[[], bool] = lambda: False
        self._is_closed = False

    def __contains__(self, key: str) -> bool:
        """Whether a key waits to be worked on now."""
        with self._changed:
            return key in self._waiting

    def is_busy(self, key: str) -> bool:
        """Whether anything is to be done for a key, now or later, or is being done."""
        with self._changed:
            return key in self._waiting or key in self._running or key in self._due

    @property
    def length(self) -> int:
        """How many keys wait to be worked on now."""
        return len(self._waiting)

    def open(self, hire: Callable[[], bool]) -> None:
        """From now on there are workers. `hire` brings another one, if it can, whenever there is more to do than there are workers for;
        it is called with the queue locked."""
        with self._changed:
            self._hire = hire
            self._staff()

    def wake(self, key: str, delay: float = 0.0, *, lane: str = "") -> None:
        """Has a key worked on soon, or after `delay` seconds; once more if it is worked on at this moment. `lane` is whose it is; without
        one it stays in the lane that it had."""
        with self._changed:
            if lane:
                self._lanes[key] = lane
            if delay > 0:
                self._later(key, delay)
            else:
                self._enqueue(key)
            self._changed.notify()

    def take(self) -> str | None:
        """The next key to work on, as soon as there is one; it is this worker's until `done`. None once the queue is closed."""
        with self._changed:
            while True:
                if self._is_closed:
                    return None
                now = time.monotonic()
                while self._timed and self._timed[0][0] <= now:
                    when, _, key = heapq.heappop(self._timed)
                    if self._due.get(key) == when:
                        del self._due[key]
                        self._enqueue(key)
                if self._ready:
                    key = self._next()
                    self._waiting.discard(key)
                    self._running.add(key)
                    if self._ready:
                        self._changed.notify()
                    return key
                self._changed.wait(self._timed[0][0] - now if self._timed else None)

    def done(self, key: str, delay: float | None = None) -> None:
        """A key was worked on. `delay`: the seconds after which to do so again; a key that was woken meanwhile is next anyhow."""
        with self._changed:
            self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._enqueue(key)
            elif delay is not None:
                self._later(key, delay)
            elif key not in self._due:
                self._lanes.pop(key, None)
            self._changed.notify()

    def close(self) -> None:
        """Gives out nothing more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _next(self) -> str:
        """The first key of the lane that is next; that lane comes last then."""
        lane, keys = self._ready.popitem(last=False)
        key = keys.popleft()
        if keys:
            self._ready[lane] = keys
        return key

    def _later(self, key: str, delay: float) -> None:
        """Notes a key for later; an earlier note of the same key stands for both, since its work says again when to come back."""
        when = time.monotonic() + delay
        if when < self._due.get(key, float("inf")):
            self._due[key] = when
            heapq.heappush(self._timed, (when, next(self._order), key))
            self._staff()

    def _enqueue(self, key: str) -> None:
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.setdefault(self._lanes.get(key, ""), deque()).append(key)
            self._staff()

    def _staff(self) -> None:
        """A worker for each key that is ready or in work, and one who waits for what is due later, as far as there are so many."""
        wanted = len(self._running) + len(self._waiting) + bool(self._due)
        while self._workers < wanted and not self._is_closed and self._hire():
            self._workers += 1
