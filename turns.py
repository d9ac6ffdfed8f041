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

from ai import AI, House, Stopped
from core.policy import State
from gate import Gate
from home import Home
from outbox import Outbox
from store import Proposal, Store

log = structlog.get_logger("turns")
_AFTER_FAULT = 5.0  # seconds until a piece of work that failed is tried again
_HOUR = 3_600.0
_HEAD_EVERY = 10.0  # seconds between two lines with the journal's head
_DAY = 86_400.0


class Lane:
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


class Turns:
    """The bot at work: the lanes, and what a start has to take up again."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        receive: Callable[[str], float | None],
        home: Home,
        outbox: Outbox,
        house: House,
        *,
        workers: int,
        retention: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._gate = gate
        self._outbox = outbox
        self._home = home
        self._house = house
        self._retention = retention
        self._clock = clock
        self._next_clean_up = 0.0
        self._head_at = float("-inf")
        self._arrivals = Lane("arrivals", receive, threads=2)
        self._turns = Lane("turns", self._advance, threads=workers)
        self._writes = Lane("writes", self._write, threads=4, label="turn")
        self._checks = Lane("checks", gate.check, threads=1, label="proposal")
        self._homes = Lane("homes", home.draw, threads=1, label="user")
        self._posts = Lane("posts", outbox.deliver, threads=4)
        self._clock_lane = Lane("clock", self._tick, threads=1, label="lane")
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
        self._house.halt.everything()
        self._head_at = float("-inf")
        self._log_head()
        by = time.monotonic() + seconds
        ended = [lane.stop(by) for lane in self._lanes]
        return all(ended)

    def _write(self, turn: str) -> None:
        try:
            self.decided(self._gate.write_decided(turn), "")
        finally:  # also where something went wrong: what was sent has its result, and the turn goes on with it
            thread = self._store.thread_of(turn)
            if thread is not None:
                self._turns.wake(thread)
            self._clock_lane.wake("clock")  # a target that changed may have made a new proposal

    def _advance(self, thread: str) -> None:
        if AI(thread, self._house).advance():
            self._clock_lane.wake("clock")  # a new proposal may be the next to expire
            self.decided([one for one in self._store.proposals_in(State.PENDING) if one.thread == thread], "")
        self._log_head()

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
        self._house.halt.turn(turn)
        self._turns.wake(thread)

    def unshown(self, post: str) -> None:
        """A message that Slack refused for good; if it was a card, its proposal is withdrawn."""
        thread = self._gate.unshown(post)
        if thread is not None:
            self._turns.wake(thread)

    def _log_head(self) -> None:
        """Puts the journal's head into the log, at most once in some seconds: what `journal --verify --head` compares."""
        now = time.monotonic()
        if now - self._head_at >= _HEAD_EVERY:
            self._head_at = now
            number, head = self._store.journal.head()
            log.info("journal head", head=f"{number}:{head}")

    def _lose_unanswered(self) -> None:
        for thread in self._gate.lose_unanswered():
            log.warning("a write was under way and nobody knows how it ended", thread=thread)
            self._turns.wake(thread)

    def _tick(self, _key: str) -> float:
        """What is due now; gives the seconds until something is due again."""
        self._lose_unanswered()
        expired = self._gate.expire_due()
        for one in expired:
            self._turns.wake(one.thread)
        self.decided(expired, "")
        self._gate.remind_due()
        now = self._clock()
        if now >= self._next_clean_up:
            self._next_clean_up = now + _HOUR
            removed = self._store.forget(now - self._retention * _DAY)
            if removed:
                log.info("forgot", threads=removed)
        return max(0.01, min(self._store.next_due() or self._next_clean_up, self._next_clean_up) - now)
