"""Opens the database, with who is woken by what is written to it: what everything else stands on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from base.clock import SteadyClock
from base.settings import Settings
from store.engine import DatabaseAway, engine_url, is_server, told_if_away
from store.store import Store
from workers import jobs
from workers.leases import Leases
from workers.waking import Waking

log = structlog.get_logger("bot")
T = TypeVar("T")
_TRY_DATABASE = 1.0  # seconds between two tries to reach it at the start


@dataclass(frozen=True)
class OpenedDatabase:
    """The database, and who is woken by what is written to it. `leases`: where others share it."""

    store: Store
    waking: Waking
    leases: Leases | None


def open_database(settings: Settings, clock: SteadyClock, on_lost: Callable[[], None] = lambda: None) -> OpenedDatabase:
    """Opens the database, which is made or brought up to date where needed. Raises `Misconfigured`."""
    key = settings.journal_key
    is_shared = is_server(engine_url(settings.database_url))
    leases = Leases() if is_shared else None
    waking = Waking(leases, jobs) if is_shared else Waking()
    store = Store(
        settings.database_url,
        clock,
        waking,
        key.get_secret_value() if key else None,
        on_lost=on_lost,
        is_shared=is_shared,
    )
    if is_shared:
        store.keep_time(clock)
    return OpenedDatabase(store, waking, leases)


def once_there(do: Callable[[], T], url: str, stop: threading.Event) -> T:
    """Does something at the start that needs the database of this DATABASE_URL, and again for as long as that is away. Raises
    `Misconfigured`, and `SystemExit` where the process is to end before."""
    reason = ""
    while True:
        try:
            with told_if_away(engine_url(url)):
                return do()
        except DatabaseAway as error:
            away = str(error)
        if away != reason:
            reason = away
            log.warning("waiting for the database", reason=reason)
        if stop.wait(_TRY_DATABASE):
            raise SystemExit(0)
