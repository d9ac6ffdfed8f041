"""What makes the emulated Web API unpleasant: rate limits, and faults on demand. No HTTP here."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from emulator.limits import METHODS

Kind = Literal["ratelimited", "http_500", "empty_503", "timeout", "drop", "error"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Fault:
    """What happens to a call instead of, or after, being performed.

    ratelimited: 429 with `retry_after` seconds; http_500: a page that is no JSON; empty_503: no body at all;
    timeout: performed, then silence for `seconds`, then the connection is closed without an answer;
    drop: closed without being performed; error: 200 with the error `code`.
    """

    kind: Kind
    retry_after: int = 1
    seconds: float = 0.0
    code: str = "internal_error"


class Faults:
    """The faults that wait for their calls, in order, by method; "*" is any method."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Fault]] = {}

    def add(self, method: str, fault: Fault, times: int) -> None:
        """Lets a fault happen at the next calls of a method, `*` for any."""
        if method != "*" and method not in METHODS:
            raise ValueError(f"{method} is no method of this workspace")
        if fault.kind not in KINDS:
            raise ValueError(f"{fault.kind} is none of {', '.join(KINDS)}")
        self.waiting.setdefault(method, []).extend([fault] * times)

    def take(self, method: str) -> Fault | None:
        """The fault for this call, if one waits."""
        waiting = self.waiting.get(method) or self.waiting.get("*")
        return waiting.pop(0) if waiting else None

    def clear(self) -> None:
        """Takes back all that did not happen yet."""
        self.waiting.clear()


class Rates:
    """How many calls of a method in any 60 seconds; where Slack counts per channel, one a second after a short burst.

    https://docs.slack.dev/apis/web-api/rate-limits. Slack may let short bursts through, here none counts as allowed.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def seconds_to_wait(self, method: str, channel: str) -> int:
        """0 if the call may go on (and is counted), else the value of Retry-After."""
        if METHODS[method].per_channel:
            return self._in_channel(method, channel)
        now, calls = self._clock(), self._calls.setdefault(method, deque())
        while calls and now - calls[0] >= 60:
            calls.popleft()
        if len(calls) >= METHODS[method].per_minute:
            return max(1, math.ceil(60 - (now - calls[0])))
        calls.append(now)
        return 0

    def _in_channel(self, method: str, channel: str) -> int:
        spec = METHODS[method]
        size, per_second = float(spec.burst or spec.per_minute), spec.per_minute / 60
        left, since = self._buckets.get((method, channel), (size, self._clock()))
        now = self._clock()
        left = min(size, left + (now - since) * per_second)
        if left < 1:
            self._buckets[method, channel] = (left, now)
            return max(1, math.ceil((1 - left) / per_second))
        self._buckets[method, channel] = (left - 1, now)
        return 0
