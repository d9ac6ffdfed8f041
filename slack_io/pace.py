"""How often Slack's Web API may be called, by method and, where Slack counts so, by channel."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from store.store import Store

# Requests per window of seconds, just below Slack's tiers (https://docs.slack.dev/apis/web-api/rate-limits: tier 3 is 50 a minute,
# tier 4 100); chat.postMessage: one a second in a channel, short bursts allowed.
PACE: dict[str, tuple[int, float]] = {
    "chat.postMessage": (5, 5.0),
    "chat.update": (45, 60.0),
    "chat.postEphemeral": (90, 60.0),
    "reactions.add": (45, 60.0),
    "chat.delete": (45, 60.0),
    "chat.startStream": (18, 60.0),
    "chat.appendStream": (90, 60.0),
    "chat.stopStream": (18, 60.0),
    "conversations.replies": (45, 60.0),
    "conversations.history": (45, 60.0),
    "conversations.list": (18, 60.0),
    "conversations.info": (45, 60.0),
    "users.info": (90, 60.0),
    "usergroups.list": (18, 60.0),
    "usergroups.users.list": (18, 60.0),
    "conversations.members": (90, 60.0),
    "conversations.open": (45, 60.0),
    "views.open": (90, 60.0),
    "views.update": (90, 60.0),
    "views.publish": (90, 60.0),
    "assistant.threads.setStatus": (300, 60.0),
    "assistant.threads.setTitle": (45, 60.0),
    "assistant.threads.setSuggestedPrompts": (45, 60.0),
    "agents.sessions.setStatus": (45, 60.0),
    "apps.connections.open": (20, 60.0),
}
_OTHERS = (45, 60.0)  # of methods that are not named
_PER_CHANNEL = frozenset({"chat.postMessage"})
_PART_AT_ONCE = 5  # a fifth of a window's calls may come at once, over all processes
_BURST = 3  # messages at once in one channel, over all processes; Slack gives no number
_KEEP_ENTRIES = 5_000
_MOST_PROMISED = 60.0  # seconds; who would wait for longer comes back then, and is promised another moment
_NOT_COME = 5.0  # seconds after which who was promised a moment is not waited for


class Pace(Protocol):
    """How often each method may be called."""

    def take(self, method: str, channel: str, spare: int = 0) -> float:
        """0 and the call counts, or the seconds to wait before asking again; `spare` of the window's calls are left to others."""
        ...

    def hold(self, method: str, seconds: float) -> None:
        """Slack asked to wait with this method (a 429 holds for one method, not for the others)."""
        ...


def apart(method: str) -> float:
    """Seconds between two calls of a method in the long run."""
    limit, seconds = PACE.get(method, _OTHERS)
    return seconds / limit


@dataclass
class _Line:
    """Moments that were promised, which of them to whom, and which were passed on to another lane."""

    moments: deque[float] = field(default_factory=deque)
    lanes: dict[str, deque[float]] = field(default_factory=dict)
    passed_on: dict[float, str] = field(default_factory=dict)

    def come(self, lane: str, now: float) -> bool:
        """Whether it is the turn of one of this lane; that moment is over then, as are those for which nobody came."""
        self._forget_past(now)
        if not self.moments:
            return True
        is_theirs = self.passed_on.get(self.moments[0], lane) == lane
        if self.moments[0] > now or not is_theirs:
            return False
        self.passed_on.pop(self.moments.popleft(), None)
        return True

    def comes_first(self, lane: str, moment: float, now: float) -> None:
        """Promises one of this lane, who came in vain, a moment before all others. What is past by then would stand behind it for good."""
        self._forget_past(now)
        self.moments.appendleft(moment)
        self.promise(lane, moment)

    def _forget_past(self, now: float) -> None:
        while self.moments and self.moments[0] < now - _NOT_COME:
            self.passed_on.pop(self.moments.popleft(), None)

    def next_for(self, lane: str, now: float, apart: float) -> float:
        """Promises one of this lane a moment: a new one, or one of a longer lane, of which one stands in line anew then."""
        last, place = max(self.moments[0], self.moments[-1]) + apart, self.place(lane, now)
        others = (one for one in itertools.islice(self.moments, place, None) if one not in self.passed_on)
        promised = next(others, last)
        if promised != last:
            self.passed_on[promised] = lane
        if last - now < _MOST_PROMISED:
            self.moments.append(last)
        if promised - now < _MOST_PROMISED:
            self.promise(lane, promised)
        return min(promised - now, _MOST_PROMISED)

    def place(self, lane: str, now: float) -> int:
        """How many go before one more of this lane, where all lanes take turns."""
        for one, promised in list(self.lanes.items()):
            while promised and promised[0] <= now:
                promised.popleft()
            if not promised:
                del self.lanes[one]
        mine = len(self.lanes.get(lane, ()))
        return mine + sum(min(len(promised), mine + 1) for one, promised in self.lanes.items() if one != lane)

    def promise(self, lane: str, moment: float) -> None:
        """Notes that one of this lane comes back then."""
        self.lanes.setdefault(lane, deque()).append(moment)


class InLine:
    """A pace that promises each who has to wait a moment of their own: otherwise all would come back at once, and all but one in vain. Who
    comes while others wait stands behind them; but one of a lane (whom it is for) with a hundred in line holds up nobody of another."""

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: OrderedDict[tuple[str, str, int], _Line] = OrderedDict()

    def take(self, method: str, channel: str, spare: int = 0, *, lane: str = "") -> float:
        """0 and the call counts, or the seconds to wait before asking again; `spare` of the window's calls are left to others."""
        key = (method, channel if method in _PER_CHANNEL else "", spare)
        with self._lock:
            if (wait := self._stand_in_line(key, lane, apart(method))) > 0:
                return wait
        wait = self._pace.take(method, channel, spare)
        if wait > 0:
            with self._lock:
                now = self._clock()
                self._line(key).comes_first(lane, now + wait, now)
        return wait

    def hold(self, method: str, seconds: float) -> None:
        """Slack asked to wait with this method."""
        self._pace.hold(method, seconds)

    def _stand_in_line(self, key: tuple[str, str, int], lane: str, apart: float) -> float:
        """0: it is this one's turn to ask; else the seconds until the moment that it is promised."""
        line, now = self._line(key), self._clock()
        return 0.0 if line.come(lane, now) else line.next_for(lane, now, apart)

    def _line(self, key: tuple[str, str, int]) -> _Line:
        line = self._lines.setdefault(key, _Line())
        self._lines.move_to_end(key)
        while len(self._lines) > _KEEP_ENTRIES:
            self._lines.popitem(last=False)
        return line


class SharedPace:
    """A pace that all processes on one database keep together: a few calls at once, then one after the other, so that no minute has more
    than its share, whichever processes make them and however long they are on their way. `take` raises `Overtaken` where this process may
    not speak any more in the thread that it works on."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, method: str, channel: str, spare: int = 0) -> float:
        """0 and the call counts, or the seconds to wait before asking again; `spare` of the window's calls are left to others."""
        limit, _ = PACE.get(method, _OTHERS)
        at_once, between = _smooth(method)
        ahead, of_all = between * (at_once * (1 - spare / limit) - 1), f"slack:{method}"
        if method in _PER_CHANNEL:
            return self._store.pace(f"{of_all}:{channel}", between, ahead, unless_held=of_all)
        return self._store.pace(of_all, between, ahead)

    def hold(self, method: str, seconds: float) -> None:
        """Slack asked to wait with this method."""
        at_once, between = _smooth(method)
        ahead = 0.0 if method in _PER_CHANNEL else between * (at_once - 1)
        self._store.hold_pace(f"slack:{method}", seconds + ahead)


def _smooth(method: str) -> tuple[int, float]:
    """How many calls of a method may come at once, and the seconds between two in the long run: together no more than its limit in any
    window. Where Slack counts by the second it lets short bursts pass."""
    limit, seconds = PACE.get(method, _OTHERS)
    if method in _PER_CHANNEL:
        return _BURST, seconds / limit
    at_once = max(1, limit // _PART_AT_ONCE)
    return at_once, seconds / (limit - at_once)


class OwnPace:
    """Sliding windows per method (and per channel where Slack counts so), and the holds that Slack asked for. `check` raises where this
    process may not speak any more."""

    def __init__(self, clock: Callable[[], float], check: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._check = check
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, str], deque[float]] = {}
        self._held: dict[str, float] = {}

    def take(self, method: str, channel: str, spare: int = 0) -> float:
        """0 and the call counts, or the seconds to wait before asking again; `spare` of the window's calls are left to others."""
        self._check()
        now = self._clock()
        key = (method, channel if method in _PER_CHANNEL else "")
        limit, seconds = PACE.get(method, _OTHERS)
        with self._lock:
            held = self._held.get(method, 0) - now
            if held > 0:
                return held
            sent = self._sent.setdefault(key, deque())
            while sent and sent[0] <= now - seconds:
                sent.popleft()
            if len(sent) >= limit - spare:
                return sent[len(sent) - (limit - spare)] + seconds - now + 0.001
            sent.append(now)
            if len(self._sent) > _KEEP_ENTRIES:
                self._sent = {k: s for k, s in self._sent.items() if s and s[-1] > now - 60}
        return 0.0

    def hold(self, method: str, seconds: float) -> None:
        """Slack asked to wait with this method (a 429 holds for one method, not for the others)."""
        with self._lock:
            self._held[method] = self._clock() + seconds
