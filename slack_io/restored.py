"""What a bot does first whose database is a backup's: nothing that was under way then is done a second time, and people are told."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from base import words
from gate.card_blocks import date
from gate.gate import Gate
from store.store import Store

log = structlog.get_logger("restored")


def see_to_restored(store: Store, gate: Gate, ids: Callable[[], str]) -> None:
    """Before anything is worked on. Requests first: whatever comes in between, none of them is sent."""
    found = store.restored()
    if found is None:
        return
    gate.lose_restored(found.at)
    ended = store.end_restored(found, words.RESTORED.format(when=date(found.taken_at)), ids)
    log.warning(
        "restored from a backup",
        taken_at=round(found.taken_at),
        questions=ended,
        hint="threads in which something was under way then are told",
    )
