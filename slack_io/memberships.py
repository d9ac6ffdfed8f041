"""Who belongs to a group or a channel: looked up once for all who ask at the same moment, and believed for seconds.

Slack takes few such look-ups a minute. So a bystander's clicks must not use up those that the right person's click needs, and what
only shows something leaves some over.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

_REFUSED_FOR = 2.0  # seconds for which it is believed that Slack does not say

# The members on a page and the next page's cursor ("" for none); None where Slack does not say. `spare` is the pace's.
ReadPage = Callable[[str, str, int], tuple[Collection[str], str] | None]


@dataclass
class _Roll:
    """The members as far as they were read, since `at`; `cursor` goes on, None: that is all."""

    at: float
    members: set[str] = field(default_factory=set)
    cursor: str | None = ""
    is_refused: bool = False


class Rolls:
    """The rolls of one kind of place. Thread-safe. `clock` is seconds of a clock that nobody sets."""

    def __init__(self, read: ReadPage, clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._rolls: dict[str, _Roll] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def has(self, place: str, user: str, *, kept: float, spare: int = 0) -> bool | None:
        """Whether a person belongs there, by a look-up at most `kept` seconds old; None where Slack does not say. Raises what reading
        raises."""
        with self._locks[place]:  # whoever asks meanwhile gets the same answer
            roll = self._rolls.get(place)
            if roll is None or self._clock() - roll.at >= (min(kept, _REFUSED_FOR) if roll.is_refused else kept):
                roll = _Roll(self._clock())
            while user not in roll.members and roll.cursor is not None:
                self._go_on(roll, self._read(place, roll.cursor, spare))
                self._rolls[place] = roll
            return True if user in roll.members else None if roll.is_refused else False

    @staticmethod
    def _go_on(roll: _Roll, page: tuple[Collection[str], str] | None) -> None:
        if page is None:
            roll.is_refused, roll.cursor = True, None
        else:
            roll.members.update(page[0])
            roll.cursor = page[1] or None
