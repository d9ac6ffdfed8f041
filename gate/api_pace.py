"""What an API can take at once and per second (`limits` in the catalog): a request waits for its turn. Nothing is sent here."""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from catalog.catalog import Api, Limits
from gate.connection_pools import Unsent
from store.store import Store

_LATE = "So many requests to this API are due that this one's turn did not come in time. Try again later."
_LOOK = 0.1  # seconds between two looks for a place that another process has


class ApiPace(Protocol):
    """What one API can take: requests at once, requests started per second. Who waits holds its own thread and nothing else."""

    @abstractmethod
    def through(self, until: float) -> AbstractContextManager[None]:
        """Waits for its turn, `until` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""


class SharedApiPace:
    """A pace that all processes on one database keep together. A place whose holder died is free again after `timeout` seconds."""

    def __init__(self, store: Store, api: str, limits: Limits, timeout: float) -> None:
        self._store = store
        self._name = f"api:{api}"
        self._slots = [f"{self._name}#{number}" for number in range(limits.at_once or 0)]
        self._apart = 1 / limits.per_second if limits.per_second is not None else 0.0
        self._timeout = timeout

    @contextmanager
    def through(self, until: float) -> Iterator[None]:
        """Waits for its turn, `until` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""
        slot = self._wait(until, lambda: self._store.take_slot(self._slots, self._timeout)) if self._slots else None
        try:
            if self._apart:
                self._wait(until, self._start)
            yield
        finally:
            if slot is not None:
                self._store.free_slot(slot)

    def _start(self) -> str | None:
        return "" if self._store.pace(self._name, self._apart, 0.0) == 0 else None

    @staticmethod
    def _wait(until: float, take: Callable[[], str | None]) -> str:
        while (taken := take()) is None:
            left = until - time.monotonic()
            if left <= 0:
                raise Unsent(_LATE)
            time.sleep(min(_LOOK, left))
        return taken


class OwnApiPace:
    """A pace counted over all that this process sends. Who comes first goes first."""

    def __init__(self, limits: Limits) -> None:
        self._at_once = limits.at_once or math.inf
        self._apart = 1 / limits.per_second if limits.per_second is not None else 0.0  # seconds between two starts
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._under_way = 0
        self._free_at = 0.0  # monotonic seconds

    @contextmanager
    def through(self, until: float) -> Iterator[None]:
        """Waits for its turn, `until` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""
        self._enter(until)
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _enter(self, until: float) -> None:
        me = object()
        with self._changed:
            self._line.append(me)
            try:
                while (wait := self._wait_of(me)) > 0:
                    left = until - time.monotonic()
                    if left <= 0:
                        raise Unsent(_LATE)
                    self._changed.wait(min(wait, left))
                self._under_way += 1
                self._free_at = time.monotonic() + self._apart
            finally:
                self._line.remove(me)
                self._changed.notify_all()  # for the next in line

    def _wait_of(self, me: object) -> float:
        """Seconds until it may be this one's turn; infinite while that hangs on others, who will tell."""
        if self._line[0] is not me or self._under_way >= self._at_once:
            return math.inf
        return self._free_at - time.monotonic()


class ApiPaces:
    """The paces of all APIs by name, for all clients of one gate, with others on the same database together.

    Limits that the catalog has come to change hold for who comes next.
    """

    def __init__(self, store: Store, timeout: float) -> None:
        self._store = store
        self._timeout = timeout
        self._lock = threading.Lock()
        self._of: dict[str, tuple[Limits, ApiPace]] = {}

    def of(self, api: Api) -> ApiPace:
        """The API's pace."""
        with self._lock:
            limits, pace = self._of.get(api.name, (None, None))
            if pace is None or limits != api.limits:
                is_shared = self._store.is_shared and api.limits != Limits()
                pace = (
                    SharedApiPace(self._store, api.name, api.limits, self._timeout)
                    if is_shared
                    else OwnApiPace(api.limits)
                )
                self._of[api.name] = (api.limits, pace)
            return pace
