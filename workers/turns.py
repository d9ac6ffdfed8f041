"""The workers of one bot: who works off which queue of waking.py, and what a start has to take up again.

One thread at a time is advanced by one worker, threads side by side. Threads of this process, woken by what was recorded; nobody polls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from ai import AI, Services, Waits
from gate.gate import Gate
from slack_io.app_home import AppHome
from slack_io.handlers import Handlers
from slack_io.outbox import Outbox
from store.arrivals import Arrival
from store.store import Store
from store.turns import Turn
from workers.deadlines import Deadlines
from workers.keyed_workers import KeyedWorkers
from workers.quarantine import Quarantine
from workers.waking import Waking

log = structlog.get_logger("turns")
_TWICE, _OFTEN = 2, 3  # ends of the process in the middle of the same work
_SOON = 0.2  # seconds after which who waits for the suspects looks again


class Turns:
    """The bot at work. `workers`: how many turns go on side by side."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        handlers: Handlers,
        home: AppHome,
        outbox: Outbox,
        services: Services,
        deadlines: Deadlines,
        waking: Waking,
        *,
        workers: int,
    ) -> None:
        self._store = store
        self._gate = gate
        self._handlers = handlers
        self._home = home
        self._services = services
        self._deadlines = deadlines
        self._waking = waking
        self._quarantine = Quarantine(store.take_in_at_once)
        self._workers = (
            KeyedWorkers(waking.arrivals, self._handle_arrivals, threads=2),
            KeyedWorkers(waking.deadlines, deadlines.tick, threads=1),
            KeyedWorkers(waking.turns, self._advance, threads=workers),
            KeyedWorkers(waking.writes, self._write, threads=4),
            KeyedWorkers(waking.checks, gate.show_target, threads=1),
            KeyedWorkers(waking.homes, home.draw, threads=1),
            KeyedWorkers(waking.posts, outbox.deliver, threads=4),
        )

    # --- start and stop -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Takes up everything that is not at rest, then goes on with what comes in."""
        self._deadlines.lose_unanswered()
        for thread in self._gate.withdraw_sealed_otherwise():
            self._waking.turns.wake(thread)
        self._mind_what_was_left()
        arrived, open_turns, due = self._store.unrested()
        undone = self._gate.undone()
        for queue, keys in (
            (self._waking.arrivals, arrived),
            (self._waking.turns, open_turns),
            (self._waking.writes, undone),
        ):
            for key in keys:
                queue.wake(key)
        for thread in due:
            self._waking.posts_recorded(thread)
        self._waking.deadlines_changed()
        for workers in self._workers:
            workers.start()

    def stop(self, seconds: float) -> bool:
        """Leaves every thread at a safe point within `seconds`. True when nothing had to be left in the middle of a call."""
        self._services.cancel_flag.everything()
        self._deadlines.log_head()
        by = time.monotonic() + seconds
        leaving = threading.Thread(target=self._store.leave, daemon=True)  # a database may take its time
        leaving.start()
        ended = [workers.stop(by) for workers in self._workers]
        leaving.join(max(0.0, by - time.monotonic()))
        if all(ended) and self._store.others_may_linger:
            self._store.leave_posts()
        return all(ended) and not leaving.is_alive()

    def _mind_what_was_left(self) -> None:
        """In whose middle the process ended twice, and of nothing else, would end it for ever: it is set aside, with words.

        Where others were in their middle, too, nobody knows who did it. After three such ends they go on alone, one by one.
        """
        left = self._store.left_in_the_middle()
        for one in left:
            if one.ends_alone >= _TWICE:
                self._set_aside(one)
        often = [one for one in left if one.tries >= _OFTEN and one.ends_alone < _TWICE]
        if often:
            self._store.take_in_later()
            often.sort(key=lambda one: (one.ends_alone, one.tries))
            self._quarantine.hold([one.thread if isinstance(one, Turn) else one.thread.key for one in often])

    def _set_aside(self, one: Arrival | Turn) -> None:
        try:
            if isinstance(one, Turn):
                AI(one.thread, self._services).set_aside(one)
            else:
                self._handlers.set_aside(one)
        except Exception:  # the start's boundary: whatever is wrong with it, the bot starts
            log.exception("not set aside")

    # --- the work -----------------------------------------------------------------------------------------------------

    def _handle_arrivals(self, thread: str) -> float | None:
        """Looks at what Slack brought for a thread."""
        return self._unless_held(thread, lambda: self._handlers.handle(thread))

    def _advance(self, thread: str) -> float | None:
        """Goes on with a thread until it rests."""
        return self._unless_held(thread, lambda: self._advance_now(thread))

    def _write(self, turn: str) -> float | None:
        """Sends what people approved of a turn: at once, also where every worker waits for a model."""
        found = self._store.turn(turn)
        return None if found is None else self._unless_held(found.thread, lambda: self._send_decided(found))

    def _unless_held(self, thread: str, work: Callable[[], float | None]) -> float | None:
        """Does work on a thread, as soon as the quarantine lets it."""
        if not self._quarantine.lets(thread):
            return _SOON
        try:
            return work()
        finally:
            self._quarantine.lived(thread)

    def _advance_now(self, thread: str) -> float | None:
        try:
            is_waiting = AI(thread, self._services).advance()
        except Waits as waits:  # for its model: no worker meanwhile, and what wakes it before finds that it waits
            return waits.after
        if is_waiting:
            self._waking.deadlines_changed()  # a new proposal may be the next to expire
            self._home.changed(self._store.pending_in(thread))
        return None

    def _send_decided(self, turn: Turn) -> None:
        try:
            with self._store.holding(turn.thread):
                self._store.take_turn(turn)
                self._home.changed(self._gate.write_decided(turn.turn))
        finally:  # also where something went wrong: what was sent has its result, and the turn goes on with it
            self._waking.turns.wake(turn.thread)
            self._waking.deadlines_changed()  # a target that changed may have made a new proposal
