"""What Prometheus is told of the moment: what waits in the database and in this process's queues, and how the parts are.

Read when it asks, and kept for seconds, so that asking often costs nothing. What waits in the database is the same at every process on it:
take the maximum of it over them, and the sum of the queues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from store.backlog import Backlog
from store.store import Store
from workers.waking import Waking

log = structlog.get_logger("turns")
_KEPT = 5.0  # seconds for which a look at the database is believed
_WELL = frozenset({"ok", "not asked yet"})
_WAITING = {
    "arrivals": ("arrivals_waiting", "Events and clicks of Slack that nobody has looked at"),
    "turns": ("turns_waiting", "Questions that no worker has begun, except those that wait behind people's decisions"),
    "approvals": ("approvals_pending", "Requests that wait for people"),
    "posts": ("posts_waiting", "Messages that Slack has not taken yet"),
}


class Gauges(Collector):
    """The gauges of one bot. `states` gives how each part is, as `/readyz` tells it."""

    def __init__(
        self,
        store: Store,
        waking: Waking,
        states: Callable[[], Mapping[str, str]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._waking = waking
        self._states = states
        self._clock = clock
        self._lock = threading.Lock()
        self._found: Backlog | None = None
        self._until = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client calls for each scrape."""
        yield self._part_up()
        yield self._queues()
        found = self._backlog()
        for name, (metric, about) in _WAITING.items() if found is not None else ():
            waiting = getattr(found, name)
            yield GaugeMetricFamily(metric, f"{about}.", value=waiting.count)
            yield GaugeMetricFamily(
                f"{metric}_oldest_seconds", f"{about}: since when the oldest waits.", value=waiting.seconds
            )
        if found is not None:
            yield GaugeMetricFamily("turns_running", "Turns that workers are busy with.", value=found.running)
            yield GaugeMetricFamily(
                "turns_waiting_for_model", "Turns whose model has no time now.", value=found.for_model
            )

    def describe(self) -> list[Metric]:
        """Nothing is read to register it."""
        return []

    def _part_up(self) -> Metric:
        family = GaugeMetricFamily("part_up", "1: the part is as it should be; see GET /readyz.", labels=["part"])
        for part, found in self._states().items():
            family.add_metric([part], float(found in _WELL))
        return family

    def _queues(self) -> Metric:
        family = GaugeMetricFamily("queue_length", "What waits for a worker of this process.", labels=["queue"])
        for queue in self._waking.all_queues:
            family.add_metric([queue.name], queue.length)
        return family

    def _backlog(self) -> Backlog | None:
        """What waits, by a look of lately; None where the database does not answer: then nothing is told of it, and `part_up` tells why."""
        with self._lock:
            if self._clock() >= self._until:
                try:
                    self._found = self._store.backlog()
                except SQLAlchemyError as error:
                    log.warning("the metrics lack what waits in the database", error=type(error).__name__)
                    self._found = None
                self._until = self._clock() + _KEPT
            return self._found
