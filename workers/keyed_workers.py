"""Threads that work off a queue: one key at a time each, the same key never twice at once. There are as many as there was once work for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from base import metrics
from store.holds import Overtaken
from workers.cancel_flag import Stopped
from workers.work_queue import WorkQueue

log = structlog.get_logger("turns")
_AFTER_FAULT = 5.0  # seconds until a piece of work that failed is tried again


class KeyedWorkers:
    """Up to so many `threads` for one kind of work. `work(key)` gives None when the key rests, or seconds after which to do it again.

    `release_if_idle` hears of each key that was worked on, at rest or not.
    """

    def __init__(
        self,
        queue: WorkQueue,
        work: Callable[[str], float | None],
        threads: int,
        *,
        release_if_idle: Callable[[str], None] = lambda _key: None,
    ) -> None:
        self.queue = queue
        self._work = work
        self._release_if_idle = release_if_idle
        self._most = threads
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins; each thread starts as there is work for it."""
        self.queue.open(self._hire)

    def stop(self, by: float) -> bool:
        """Takes up nothing more and waits until `by` (monotonic seconds) for what runs. True when all has ended."""
        self.queue.close()
        for thread in self._threads:
            thread.join(max(0.0, by - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _hire(self) -> bool:
        """One thread more, if there may be one."""
        if len(self._threads) == self._most:
            return False
        thread = threading.Thread(target=self._run, name=f"{self.queue.name}-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more of them: those that there are go on
            log.exception("no thread to be had", queue=self.queue.name)
            return False
        self._threads.append(thread)
        return True

    def _run(self) -> None:
        while (key := self.queue.take()) is not None:
            delay: float | None = None
            try:
                with structlog.contextvars.bound_contextvars(**{self.queue.label: key}):
                    delay = self._work(key)
            except Stopped:
                pass
            except Overtaken:  # told where it was noticed; where another process works on the database, this one ends
                delay = _AFTER_FAULT
            except Exception:  # the worker's boundary: the work stays recorded and is tried again
                metrics.FAULTS.inc()
                log.exception("work failed", queue=self.queue.name, key=key)
                delay = _AFTER_FAULT
            self.queue.done(key, delay)
            self._release_if_idle(key)
