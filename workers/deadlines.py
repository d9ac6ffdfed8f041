"""What happens when a time has come: proposals expire, people are reminded, what rests is forgotten, a clock that was set is minded.

`Deadlines.tick` sleeps until the next due row, by the delay that it gives its worker.
"""

from __future__ import annotations

import time

import structlog

from base.clock import SteadyClock
from gate.gate import Gate
from slack_io.app_home import AppHome
from slack_io.leavers import Leavers
from store.store import Store
from workers.wakes import Work
from workers.waking import Waking

log = structlog.get_logger("turns")
_HOUR = 3_600.0
_DAY = 86_400.0
_CLICK_FIRST = 0.5  # seconds until what a click came in for in time is looked at again
_GRANTS = 20  # grants that nobody keeps, given back at once
_GRANTS_AGAIN = 600.0  # seconds after which one is due again that could not be given back
_LOOK_AT_CLOCK = 60.0  # seconds between two looks at whether somebody set the clock


class Deadlines:
    """The deadlines of one bot. `retention`: days for which threads at rest are kept."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        home: AppHome,
        leavers: Leavers,
        waking: Waking,
        *,
        retention: float,
        clock: SteadyClock,
    ) -> None:
        self._store = store
        self._gate = gate
        self._home = home
        self._leavers = leavers
        self._waking = waking
        self._retention = retention
        self._clock = clock
        self._next_clean_up = 0.0  # by a clock that nobody sets
        self._next_look = 0.0
        self._next_leavers = 0.0

    def tick(self, _key: str) -> float:
        """Does what is due now; gives the seconds until something is due again."""
        if not self._store.is_shared:  # or the database's clock is what counts: replica.py
            self._mind_the_clock()
        self.lose_unanswered()
        if self._store.is_shared and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_AT_CLOCK
            self._store.defer_unrested()  # whatever went wrong: nothing rests for longer
        self._store.wake_unconnected()
        for device in self._store.due_devices():
            self._waking.devices.wake(device)
        for grant in self._store.take_unkept(_GRANTS, _GRANTS_AGAIN):
            self._waking.grants.wake(grant)
        expired = self._gate.expire_due()
        self._home.changed(expired)
        self._gate.remind_due()
        if time.monotonic() >= self._next_clean_up:
            self._next_clean_up = time.monotonic() + _HOUR
            self._clean_up()
        if time.monotonic() >= self._next_leavers:
            self._next_leavers = time.monotonic() + _LOOK_AT_CLOCK
            self._leavers.look(time.monotonic(), self._clock() - self._retention * _DAY)
        moments = [one for one in (self._store.next_due(), self._store.next_connection_due()) if one is not None]
        if not moments:
            return _LOOK_AT_CLOCK
        due = min(moments)
        wait = due - self._clock()  # what is over by now waits for the click before it
        return min(_LOOK_AT_CLOCK, max(0.01, wait)) if wait > 0 else _CLICK_FIRST

    def lose_unanswered(self) -> None:
        """Calls the outcome of writes unknown that were under way when their process ended."""
        for thread in self._gate.lose_unanswered():
            log.warning("a write was under way and nobody knows how it ended", thread=thread)
            self._waking.wake(Work.TURNS, thread)

    def log_head(self) -> None:
        """Puts the journal's head into the log, and beside the database: what `journal --verify` compares."""
        log.info("journal head", head=str(self._store.journal.keep_head()))

    def _mind_the_clock(self) -> None:
        """Where somebody set the clock, what waits keeps the time that it has left. Between the two steps it has an hour more rather than
        an hour less, so that no click is too late."""
        moved = self._clock.jump()
        if not moved:
            return
        log.warning("the clock was set", seconds=round(moved), hint="whatever waits keeps its remaining time")
        if moved < 0:
            self._clock.follow(moved)
        self._store.move_deadlines(moved)
        if moved > 0:
            self._clock.follow(moved)

    def _clean_up(self) -> None:
        self.log_head()
        removed = self._store.forget(self._clock() - self._retention * _DAY)
        if removed:
            log.info("forgot", threads=removed)
        self._store.forget_connections()
        self._store.forget_replicas()
        self._store.shrink()
