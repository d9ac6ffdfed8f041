"""The store: one object for all that is on disk. Each of its parts is a module of its own, readable alone; start with database.py.

Each public method is one transaction, and returns after it is on disk (SQLite: synchronous=FULL; BEGIN IMMEDIATE, so that a
transaction that reads before it writes cannot be overtaken). What must happen together is one method.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from store.accounts import PeoplesAccounts
from store.admission import Admissions
from store.arrivals import ComingIn
from store.backlog import Backlogs
from store.connections import Connections
from store.paces import SharedPaces
from store.posts import Posts
from store.proposals import Proposals
from store.replicas import Replicas
from store.restored import Restoration
from store.retention import Retention
from store.saved_results import Bounds, SavedResults
from store.transcript_rows import Transcripts
from store.usage import UsageLimits
from workers.wakes import Wakes


class Store(
    Admissions,
    UsageLimits,
    PeoplesAccounts,
    Restoration,
    Transcripts,
    Proposals,
    Posts,
    SavedResults,
    Replicas,
    SharedPaces,
    Connections,
    Retention,
    Backlogs,
):
    """The database of one bot, with all that `Database` says. `bounds`: how much of answers is kept for `read_result`."""

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.time,
        wakes: Wakes | None = None,
        journal_key: str | None = None,
        bounds: Bounds | None = None,
        on_lost: Callable[[], None] = lambda: None,
        *,
        is_shared: bool = False,
    ) -> None:
        self._coming = ComingIn(clock)
        self._bounds = bounds or Bounds()
        super().__init__(url, clock, wakes, journal_key, on_lost, is_shared=is_shared)
