"""A token that is kept until shortly before its end, and fetched by one thread at a time. Where it comes from is not its concern."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeGuard

import structlog

from identity.callers import NoCredential

log = structlog.get_logger("tokens")
_LEEWAY = 60.0  # seconds before its end from which on a token is renewed; half of its time, if that is less
_YOUNG = 10.0  # seconds for which a refused token is not renewed: another one would fare no better, and the server be asked at each call
_PAUSE = 5.0  # seconds after a failure for which a token that still holds is used as it is
_LATE = "The bot's own credential did not come in time. Try again later."


def is_token(given: object) -> TypeGuard[str]:
    """Whether this can travel in a header as a token: one word of printable ASCII."""
    return isinstance(given, str) and given != "" and given.isascii() and given.isprintable() and " " not in given


@dataclass(frozen=True)
class Token:
    """A token, and when it is to be renewed and when it ends, as moments of the clock that it was taken by."""

    text: str = field(repr=False)
    taken: float
    renew: float
    ends: float

    @classmethod
    def lasting(cls, text: str, seconds: float, now: float) -> Token:
        """One that holds for `seconds` from now on."""
        return cls(text, now, now + seconds - min(_LEEWAY, seconds / 2), now + seconds)


class HeldToken:
    """What `fetch` gives, until it has to be renewed. `fetch` takes the moment (monotonic seconds) until which there is time, and raises
    `NoCredential`; `clock` gives seconds, and only their differences count."""

    def __init__(self, fetch: Callable[[float], Token], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._failures = 0
        self._failed_at = float("-inf")
        self._failure = ""

    def text(self, by: float) -> str:
        """The token, to be had by then (monotonic seconds). Raises `NoCredential`."""
        with self._turn(by):
            held, now = self._token, self._clock()
            if held is not None and now < held.renew:
                return held.text
            if held is not None and now < held.ends and now < self._failed_at + _PAUSE:
                return held.text
            try:
                return self._renew(by).text
            except NoCredential:
                if held is None or now >= held.ends:
                    raise
                log.warning("a token could not be renewed; it is used until its end")
                return held.text

    def is_renewed(self, refused: Collection[str], by: float) -> bool:
        """After one of these was refused: whether there is another one by now. Raises `NoCredential`."""
        with self._turn(by):
            held = self._token
            if held is not None and held.text not in refused:
                return True
            if held is not None and self._clock() < held.taken + _YOUNG:
                return False
            return self._renew(by).text not in refused

    def _renew(self, by: float) -> Token:
        try:
            self._token = self._fetch(by)
        except NoCredential as error:
            self._failures += 1
            self._failed_at, self._failure = self._clock(), str(error)
            raise
        return self._token

    @contextmanager
    def _turn(self, by: float) -> Iterator[None]:
        """One thread at a time. What failed for another one meanwhile has failed for this one, too: they would all wait in turn for a
        server that is away."""
        failures = self._failures
        if not self._lock.acquire(timeout=max(0.0, by - time.monotonic())):
            raise NoCredential(_LATE)
        try:
            if self._failures != failures and (self._token is None or self._clock() >= self._token.ends):
                raise NoCredential(self._failure)
            yield
        finally:
            self._lock.release()
