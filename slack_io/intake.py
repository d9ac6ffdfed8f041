"""Records what Slack sent, by whichever way it came. Slack waits for it, so nothing else is asked here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from base import metrics
from base.tracing import span, traceparent
from slack_io import payloads
from store.holds import Overtaken
from store.received import Received
from store.store import Store

log = structlog.get_logger("bot")


class Intake:
    """Records what Slack sent, which wakes who sees to it. What it returned from is on disk; what the database did not take raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record_event(self, envelope: Mapping[str, Any]) -> None:
        """Records one event, by its Events API envelope. What is not for us is let go."""
        if not is_used(envelope):
            return
        found = payloads.event(envelope)
        if found is None:
            return
        self._record(found, payloads.installed_in(envelope))

    def record_interaction(self, payload: Mapping[str, Any]) -> None:
        """Records one press, submitted modal or shortcut."""
        found = payloads.interaction(payload)
        if found is not None:
            self._record(found, None)

    def record_envelope(self, kind: str, payload: dict[str, Any]) -> bool:
        """Records what came over the socket. False where it could not be recorded: it is not to be acknowledged."""
        try:
            match kind:
                case "events_api":
                    self.record_event(payload)
                case "interactive":
                    self.record_interaction(payload)
                case _:
                    log.info("envelope not used", type=kind)
        except (SQLAlchemyError, Overtaken) as error:
            log_unrecorded(error)
            return False
        return True

    def _record(self, received: Received, installed_in: Sequence[str] | None) -> None:
        began, outcome = time.monotonic(), "failed"
        receives = {
            "messaging.system": "slack",
            "messaging.operation.name": "receive",
            "messaging.operation.type": "receive",
        }
        try:
            with span(f"receive {received.kind}", "consumer", receives, begins=True):
                is_new = self._store.record(received, installed_in, traceparent())
            outcome = "new" if is_new else "again"
        finally:
            metrics.ARRIVALS.labels(outcome).inc()
            metrics.ARRIVAL_SECONDS.observe(time.monotonic() - began)


def is_used(envelope: Mapping[str, Any]) -> bool:
    """Whether an envelope holds an event that somebody here reads."""
    if payloads.event_type(envelope) is not None:
        return True
    log.info("event not used", type=envelope.get("type") if isinstance(envelope.get("type"), str) else None)
    return False


def log_unrecorded(error: Exception) -> None:
    """Logs that the database did not take what Slack sent."""
    hint = "the database did not store it; Slack will send it again"
    log.error("not recorded", error=type(error).__name__, hint=hint)
