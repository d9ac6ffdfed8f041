"""Door to the workers: who advances which thread, when. Threads of this process, woken by what was recorded; nobody polls.

A lane runs one piece of work per key at a time, keys side by side. There are lanes for arrivals (the desk), turns (the model's loop),
writes (what was just approved), checks, App Homes, posts (the outbox), and the clock, which sleeps until the next due row.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from ai import AI, Services, Stopped, Waits
from base.clock import SteadyClock
from gate.gate import Gate
from slack_io.app_home import AppHome
from slack_io.outbox import Outbox
from store.arrivals import Arrival
from store.holds import Overtaken
from store.proposal_record import Proposal
from store.store import Store
from store.turns import Turn

log = structlog.get_logger("turns")
_AFTER_FAULT = 5.0  # seconds until a piece of work that failed is tried again
_HOUR = 3_600.0
_TWICE, _OFTEN = 2, 3  # ends of the process in the middle of the same work
_ALONE = 60.0  # seconds for which everything else waits for one suspect
_SOON = 0.2  # seconds after which who waits for that looks again
_DAY = 86_400.0
_CLICK_FIRST = 0.5  # seconds until what a click came in for in time is looked at again by the clock
_LOOK_AT_CLOCK = 60.0  # seconds between two looks at whether somebody set the clock


class KeyedWorkers:
    """Worker threads for one kind of work. `work(key)` gives None when the key rests, or seconds after which to do it again."""

    def __init__(self, name: str, work: Callable[[str], float | None], threads: int, *, label: str = "thread") -> None:
        self._name = name
        self._label = label  # what a key is called in the log
        self._work = work
        self._changed = threading.Condition()
        self._ready: deque[str] = deque()
        self._waiting: set[str] = set()  # keys in _ready
        self._running: set[str] = set()
        self._again: set[str] = set()  # woken while running
        self._timed: list[tuple[float, int, str]] = []
        self._order = itertools.count()
        self._due: dict[str, float] = {}  # when each key of _timed is due; older notes of it are void
        self._is_stopping = False
        self._threads = [threading.Thread(target=self._run, name=f"{name}-{i}", daemon=True) for i in range(threads)]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def wake(self, key: str, delay: float = 0.0) -> None:
        """Has `work(key)` done soon, or after `delay` seconds; once more if it runs at this moment."""
        with self._changed:
            if delay > 0:
                self._later(key, delay)
            else:
                self._enqueue(key)
            self._changed.notify()

    def stop(self, by: float) -> bool:
        """Takes up nothing more and waits until `by` (monotonic seconds) for what runs. True when all has ended."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, by - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _later(self, key: str, delay: float) -> None:
        """Notes a key for later; an earlier note of the same key stands for both, since its work says anew when to come back."""
        when = time.monotonic() + delay
        if when < self._due.get(key, float("inf")):
            self._due[key] = when
            heapq.heappush(self._timed, (when, next(self._order), key))

    def _enqueue(self, key: str) -> None:
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)

    def _run(self) -> None:
        while (key := self._next()) is not None:
            delay: float | None = None
            try:
                with structlog.contextvars.bound_contextvars(**{self._label: key}):
                    delay = self._work(key)
            except Stopped:
                pass
            except Overtaken:  # told where it was noticed; where another process works on the database, this one ends
                delay = _AFTER_FAULT
            except Exception:  # the worker's boundary: the work stays recorded and is tried again
                log.exception("work failed", lane=self._name, key=key)
                delay = _AFTER_FAULT
            self._done(key, delay)

    def _next(self) -> str | None:
        with self._changed:
            while True:
                if self._is_stopping:
                    return None
                now = time.monotonic()
                while self._timed and self._timed[0][0] <= now:
                    when, _, key = heapq.heappop(self._timed)
                    if self._due.get(key) == when:
                        del self._due[key]
                        self._enqueue(key)
                if self._ready:
                    key = self._ready.popleft()
                    self._waiting.discard(key)
                    self._running.add(key)
                    if self._ready:
                        self._changed.notify()
                    return key
                self._changed.wait(self._timed[0][0] - now if self._timed else None)

    def _done(self, key: str, delay: float | None) -> None:
        with self._changed:
            self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._enqueue(key)
            elif delay is not None:
                self._later(key, delay)
            self._changed.notify()


class Quarantine:
    """Has the suspects, threads in whose work the process ended, worked on one after the other and all else wait: the next end tells
    who did it. `over` is called when nobody is left. Thread-safe."""

    def __init__(self, over: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._over = over
        self._clock = clock
        self._lock = threading.Lock()
        self._suspects: deque[str] = deque()
        self._since = 0.0

    def hold(self, suspects: Sequence[str]) -> None:
        """From now on these go first."""
        self._suspects.extend(dict.fromkeys(suspects))
        self._since = self._clock()

    def lets(self, thread: str) -> bool:
        """Whether a thread may be worked on now."""
        with self._lock:
            if self._suspects and self._clock() - self._since > _ALONE:
                self._let_go(self._suspects[0])
            return not self._suspects or self._suspects[0] == thread

    def lived(self, thread: str) -> None:
        """A thread was worked on, and the process lives."""
        with self._lock:
            self._let_go(thread)

    def _let_go(self, thread: str) -> None:
        if self._suspects and self._suspects[0] == thread:
            self._suspects.popleft()
            self._since = self._clock()
            if not self._suspects:
                self._over()


class Turns:
    """The bot at work: the lanes, and what a start has to take up again."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        receive: Callable[[str], float | None],
        set_aside: Callable[[Arrival], None],
        home: AppHome,
        outbox: Outbox,
        services: Services,
        *,
        workers: int,
        retention: float,
        clock: SteadyClock,
    ) -> None:
        self._store = store
        self._gate = gate
        self._outbox = outbox
        self._home = home
        self._services = services
        self._retention = retention
        self._clock = clock
        self._next_clean_up = 0.0  # by a clock that nobody sets
        self._receive = receive
        self._set_arrival_aside = set_aside
        self._quarantine = Quarantine(store.take_in_at_once)
        self._arrivals = KeyedWorkers("arrivals", lambda thread: self._in_turn(thread, self._receive), threads=2)
        self._turns = KeyedWorkers("turns", lambda thread: self._in_turn(thread, self._advance), threads=workers)
        self._writes = KeyedWorkers("writes", self._write, threads=4, label="turn")
        self._checks = KeyedWorkers("checks", gate.check, threads=1, label="proposal")
        self._homes = KeyedWorkers("homes", home.draw, threads=1, label="user")
        self._posts = KeyedWorkers("posts", outbox.deliver, threads=4)
        self._clock_lane = KeyedWorkers("clock", self._tick, threads=1, label="lane")
        self._lanes = (
            self._arrivals,
            self._clock_lane,
            self._turns,
            self._writes,
            self._checks,
            self._homes,
            self._posts,
        )
        store.on_posts = self._posted

    def start(self) -> None:
        """Takes up everything that is not at rest, then goes on with what comes in."""
        self._lose_unanswered()
        for thread in self._gate.withdraw_sealed_otherwise():
            self._turns.wake(thread)
        self._mind_what_was_left()
        arrived, open_turns, due = self._store.unrested()
        undone = self._gate.undone()
        for lane, keys in ((self._arrivals, arrived), (self._turns, open_turns), (self._writes, undone)):
            for key in keys:
                lane.wake(key)
        for thread in due:
            self._posted(thread)
        self._clock_lane.wake("clock")
        for lane in self._lanes:
            lane.start()

    def arrived(self, thread: str) -> None:
        """Something for a thread was recorded."""
        self._arrivals.wake(thread)

    def wake(self, thread: str) -> None:
        """A thread has a turn to go on with."""
        self._turns.wake(thread)

    def stop(self, seconds: float) -> bool:
        """Leaves every thread at a safe point within `seconds`. True when nothing had to be left in the middle of a call."""
        self._services.cancel_flag.everything()
        self._log_head()
        by = time.monotonic() + seconds
        leaving = threading.Thread(target=self._store.leave, daemon=True)  # a database may take its time
        leaving.start()
        ended = [lane.stop(by) for lane in self._lanes]
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
                self._set_arrival_aside(one)
        except Exception:  # the start's boundary: whatever is wrong with it, the bot starts
            log.exception("not set aside")

    def _in_turn(self, thread: str, work: Callable[[str], float | None]) -> float | None:
        """Does work on a thread, as soon as the quarantine lets it."""
        if not self._quarantine.lets(thread):
            return _SOON
        try:
            return work(thread)
        finally:
            self._quarantine.lived(thread)

    def _write(self, turn: str) -> float | None:
        found = self._store.turn(turn)
        return None if found is None else self._in_turn(found.thread, lambda _: self._send_decided(found))

    def _send_decided(self, turn: Turn) -> None:
        try:
            with self._store.holding(turn.thread):
                self._store.take_turn(turn)
                self.decided(self._gate.write_decided(turn.turn), "")
        finally:  # also where something went wrong: what was sent has its result, and the turn goes on with it
            self._turns.wake(turn.thread)
            self._clock_lane.wake("clock")  # a target that changed may have made a new proposal

    def _advance(self, thread: str) -> float | None:
        try:
            is_waiting = AI(thread, self._services).advance()
        except Waits as waits:  # for its model: no worker meanwhile, and what wakes it before finds that it waits
            return waits.after
        if is_waiting:
            self._clock_lane.wake("clock")  # a new proposal may be the next to expire
            self.decided(self._store.pending_in(thread), "")
        return None

    def send(self, turn: str) -> None:
        """People approved writes of a turn: they go at once, also where every worker waits for a model."""
        self._writes.wake(turn)

    def check(self, proposal: str) -> None:
        """Has the target of a write with an unknown outcome shown."""
        self._checks.wake(proposal)

    def home_opened(self, user: str) -> None:
        """Has App Home drawn for a person, now and after each decision."""
        self._home.opened(user)
        self._homes.wake(user)

    def decided(self, proposals: Sequence[Proposal], by: str) -> None:
        """Has App Home drawn anew for those whom a change concerns."""
        for user in self._home.concerned(proposals, by):
            self._homes.wake(user)

    def deliver(self, thread: str) -> None:
        """There is something to show in a thread, beside its posts."""
        self._posts.wake(thread)

    def _posted(self, thread: str) -> None:
        self._outbox.expect(thread)
        self._posts.wake(thread)

    def stop_turn(self, turn: str, thread: str) -> None:
        """A person stopped a turn, which is recorded: its model call is cut off, and it ends."""
        self._services.cancel_flag.turn(turn)
        self._turns.wake(thread)

    def unshown(self, post: str) -> None:
        """A message that Slack refused for good; if it was a card, its proposal is withdrawn."""
        thread = self._gate.unshown(post)
        if thread is not None:
            self._turns.wake(thread)

    def _log_head(self) -> None:
        """Puts the journal's head into the log, and beside the database: what `journal --verify` compares."""
        log.info("journal head", head=str(self._store.journal.keep_head()))

    def _lose_unanswered(self) -> None:
        for thread in self._gate.lose_unanswered():
            log.warning("a write was under way and nobody knows how it ended", thread=thread)
            self._turns.wake(thread)

    def _tick(self, _key: str) -> float:
        """What is due now; gives the seconds until something is due again."""
        self._mind_the_clock()
        self._lose_unanswered()
        expired = self._gate.expire_due()
        for one in expired:
            self._turns.wake(one.thread)
        self.decided(expired, "")
        self._gate.remind_due()
        if time.monotonic() >= self._next_clean_up:
            self._next_clean_up = time.monotonic() + _HOUR
            self._clean_up()
        due = self._store.next_due()
        if due is None:
            return _LOOK_AT_CLOCK
        wait = due - self._clock()  # what is over by now waits for the click before it
        return min(_LOOK_AT_CLOCK, max(0.01, wait)) if wait > 0 else _CLICK_FIRST

    def _mind_the_clock(self) -> None:
        """Where somebody set the clock, what waits keeps the time that it has left. Between the two steps it has an hour more rather than
        an hour less, so that no click is too late."""
        moved = self._clock.jump()
        if not moved:
            return
        log.warning("the clock was set", seconds=round(moved), hint="what waits keeps the time that it has left")
        if moved < 0:
            self._clock.follow(moved)
        self._store.move_deadlines(moved)
        if moved > 0:
            self._clock.follow(moved)

    def _clean_up(self) -> None:
        self._log_head()
        removed = self._store.forget(self._clock() - self._retention * _DAY)
        if removed:
            log.info("forgot", threads=removed)
        self._store.shrink()
