"""Which refusals people were told lately, so that the same one is not said again and again. Kept in memory alone."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

_SAY_AGAIN = 30.0  # seconds for which the same refusal is not repeated to the same person
_MOST_SAID = 5  # refusals that one person is told in that time
_REMEMBERED = 1_000  # people who were refused lately


class RecentRefusals:
    """The same is said once in a while, however often somebody tries. Thread-safe; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: OrderedDict[str, dict[tuple[str, str], float]] = OrderedDict()

    def would_be_news(self, user: str, place: str, text: str) -> bool:
        """Whether somebody is to be told this there."""
        with self._lock:
            return self._is_news(self._lately(user), place, text)

    def is_news(self, user: str, place: str, text: str) -> bool:
        """Whether somebody is to be told this there; then it counts as told."""
        with self._lock:
            said = self._lately(user)
            is_news = self._is_news(said, place, text)
            self._told.pop(user, None)
            self._told[user] = said | ({(place, text): self._clock()} if is_news else {})
            while len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        return is_news

    def _lately(self, user: str) -> dict[tuple[str, str], float]:
        now = self._clock()
        return {what: at for what, at in self._told.get(user, {}).items() if now - at < _SAY_AGAIN}

    @staticmethod
    def _is_news(said: Mapping[tuple[str, str], float], place: str, text: str) -> bool:
        return (place, text) not in said and len(said) < _MOST_SAID
