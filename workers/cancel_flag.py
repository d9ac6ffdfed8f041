"""Who is to stop in the middle of work: everybody, since the process ends, or one turn, since a person said so."""

from __future__ import annotations

import threading


class Stopped(Exception):
    """The process is to end; the turn stays where it is, on disk."""


class TurnCancelled(Exception):
    """A person wants the turn to end."""


class CancelFlag:
    """Asked at every safe point of a turn. Thread-safe."""

    def __init__(self) -> None:
        self._all = threading.Event()
        self._turns: set[str] = set()

    def everything(self) -> None:
        """The process ends."""
        self._all.set()

    def turn(self, turn: str) -> None:
        """A person wants this turn to end."""
        self._turns.add(turn)

    def check(self, turn: str) -> None:
        """Raises `Stopped` or `TurnCancelled`."""
        if self._all.is_set():
            raise Stopped
        if turn in self._turns:
            raise TurnCancelled

    def is_on(self, turn: str) -> bool:
        """Whether `check` would raise."""
        return self._all.is_set() or turn in self._turns

    def over(self, turn: str) -> None:
        """The turn has ended."""
        self._turns.discard(turn)
