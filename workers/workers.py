"""The workers of one bot: who works off which queue of waking.py, and what a start has to take up again.

One thread at a time is advanced by one worker, threads side by side. Threads of this process, woken by what was recorded; nobody polls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from ai import AI, Services
from slack_io.wiring import InSlack
from store.arrivals import Arrival
from store.database import CatalogOutdated
from store.holds import Overtaken
from store.recovery import OFTEN
from store.turns import Turn
from workers.deadlines import Deadlines
from workers.keyed_workers import KeyedWorkers
from workers.quarantine import Quarantine
from workers.waits import Waits
from workers.wakes import Work
from workers.waking import CLOCK, Waking

log = structlog.get_logger("turns")
_TWICE = 2  # ends of the process in the middle of the same work, and of nothing else
_AWAY = 2.0  # seconds after which what failed without the database is tried again
_SOON = 0.2  # seconds after which who waits for the suspects looks again


class Workers:
    """The bot at work. `workers`: how many turns go on side by side; `reload` has the catalog's file read again."""

    def __init__(
        self,
        services: Services,
        in_slack: InSlack,
        deadlines: Deadlines,
        waking: Waking,
        reload: Callable[[], None],
        *,
        workers: int,
    ) -> None:
        self._services = services
        self._store = services.store
        self._gate = services.gate
        self._in_slack = in_slack
        self._deadlines = deadlines
        self._waking = waking
        self._reload = reload
        self._quarantine = Quarantine(services.store.take_in_at_once)
        sign_ins = in_slack.sign_ins
        self._by_queue = (
            *(
                KeyedWorkers(
                    waking.queues[work], self._of_thread(do), threads=threads, release_if_idle=waking.release_if_idle
                )
                for work, do, threads in (
                    (Work.ARRIVALS, self._handle_arrivals, 2),
                    (Work.DEADLINES, deadlines.tick, 1),
                    (Work.TURNS, self._advance, workers),
                    (Work.STOPS, self._cut_off, 1),
                    (Work.WRITES, self._write, 4),
                    (Work.POSTS, in_slack.outbox.deliver, 4),
                )
            ),
            KeyedWorkers(waking.checks, self._gate.show_target, threads=1),
            KeyedWorkers(waking.homes, in_slack.home.draw, threads=1),
            KeyedWorkers(waking.accounts, sign_ins.disconnect, threads=1),
            KeyedWorkers(waking.grants, sign_ins.give_back, threads=1),
            KeyedWorkers(waking.devices, sign_ins.poll, threads=1),
        )

    # --- start and stop -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Takes up everything that is not at rest, then goes on with what comes in."""
        if not self._store.is_shared:  # or threads come one by one: take_up
            self._deadlines.lose_unanswered()
            self._gate.withdraw_sealed_otherwise()
            self._mind_what_was_left()
            self._wake(*self._store.unrested(), self._gate.threads_to_send(), self._store.askers())
            self._waking.wake(Work.DEADLINES, CLOCK)
        for workers in self._by_queue:
            workers.start()

    def take_up(self, thread: str, *, was_anothers: bool) -> None:
        """Goes on with a thread that is this process's from now on, among others on the same database, or with the clock."""
        if thread == CLOCK:
            self._gate.withdraw_sealed_otherwise()
            self._waking.wake(Work.DEADLINES, CLOCK)
            return
        if was_anothers:
            self._in_slack.outbox.take_over(thread)
        left = self._store.left_in(thread)
        if left.ended:
            self._mind_ends(thread)
        if left.sending:
            self._deadlines.lose_unanswered()
        is_left = (left.arrivals, left.turns, left.posts, left.writes)
        arrived, open_turns, due, to_send = ([thread] if one else [] for one in is_left)
        self._wake(arrived, open_turns, due, to_send, {thread: left.asker})

    def _wake(
        self,
        arrived: Sequence[str],
        open_turns: Sequence[str],
        due: Sequence[str],
        to_send: Sequence[str],
        askers: Mapping[str, str],
    ) -> None:
        for work, threads in (
            (Work.ARRIVALS, arrived),
            (Work.TURNS, open_turns),
            (Work.POSTS, due),
            (Work.WRITES, to_send),
        ):
            for thread in threads:
                self._waking.wake(work, thread, lane=askers.get(thread, ""))

    def stop(self, seconds: float) -> bool:
        """Leaves every thread at a safe point within `seconds`. True when nothing had to be left in the middle of a call."""
        self._services.cancel_flag.everything()
        self._deadlines.log_head()
        by = time.monotonic() + seconds
        leaving = threading.Thread(target=self._store.leave, daemon=True)  # a database may take its time
        leaving.start()
        ended = [workers.stop(by) for workers in self._by_queue]
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
        often = [one for one in left if one.tries >= OFTEN and one.ends_alone < _TWICE]
        if often:
            self._store.take_in_later()
            often.sort(key=lambda one: (one.ends_alone, one.tries))
            self._quarantine.hold([one.thread if isinstance(one, Turn) else one.thread.key for one in often])

    def _mind_ends(self, thread: str) -> None:
        """The same for one thread: where processes ended in its middle, it is set aside, or goes on alone in this one."""
        for one in self._store.ended_processes(thread):
            if one.ends_alone >= _TWICE:
                self._set_aside(one)
            elif one.tries >= OFTEN:
                self._quarantine.hold([thread])

    def _set_aside(self, one: Arrival | Turn) -> None:
        try:
            if isinstance(one, Turn):
                AI(one.thread, self._services).set_aside(one)
            else:
                self._in_slack.handlers.set_aside(one)
        except Exception:  # the start's boundary: whatever is wrong with it, the bot starts
            log.exception("not set aside")

    # --- the work -----------------------------------------------------------------------------------------------------

    def _of_thread(self, do: Callable[[str], float | None]) -> Callable[[str], float | None]:
        """Work on a thread, for as long as this process is the one that has it."""

        def work(thread: str) -> float | None:
            if not self._waking.has(thread):
                return None
            try:
                return do(thread)
            except Overtaken:
                if self._waking.lost(thread):
                    return None
                raise
            except CatalogOutdated:
                hint = (
                    "the file is read again; an earlier one holds again at a SIGHUP, or once no process has the newer"
                )
                log.warning("catalog outdated", hint=hint)
                self._reload()
                return _AWAY
            except Exception as error:
                if not self._store.is_away(error):
                    raise
                log.warning("the database gives no answer", error=type(getattr(error, "orig", None) or error).__name__)
                return _AWAY

        return work

    def _handle_arrivals(self, thread: str) -> float | None:
        """Looks at what Slack brought for a thread."""
        return self._unless_held(thread, lambda: self._in_slack.handlers.handle(thread))

    def _advance(self, thread: str) -> float | None:
        """Goes on with a thread until it rests."""
        return self._unless_held(thread, lambda: self._advance_now(thread))

    def _cut_off(self, thread: str) -> None:
        """Ends the model call that a worker waits for, where a person wants the turn to end; whichever process heard of that."""
        turn = self._store.next_turn(thread)
        if turn is not None and turn.stopped_by:
            self._services.cancel_flag.turn(turn.turn)

    def _write(self, thread: str) -> float | None:
        """Sends what people approved in a thread: at once, also where every worker waits for a model."""
        return self._unless_held(thread, lambda: self._send_decided(thread))

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
            self._in_slack.home.changed(self._store.pending_in(thread))
        return None

    def _send_decided(self, thread: str) -> None:
        try:
            with self._store.holding(thread):
                for turn in map(self._store.turn, self._gate.turns_to_send(thread)):
                    if turn is not None:
                        self._store.take_turn(turn)
                        self._in_slack.home.changed(self._gate.write_decided(turn.turn))
        finally:  # also where something went wrong: what was sent has its result, and the turn goes on with it
            if self._store.is_shared:
                self._deadlines.lose_unanswered()
            self._waking.wake(Work.TURNS, thread)
