"""One process per database: a file lock beside a SQLite file, an advisory lock on PostgreSQL. Both go when the process dies."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from typing import Protocol

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

log = structlog.get_logger("store")
LOCK_NUMBER = 7_316_045_921  # this program's advisory lock; any fixed number that others are unlikely to use
_EVERY = 0.2  # seconds between two tries
_STAYS = text("set local idle_in_transaction_session_timeout = 0")
_TAKE = text("select pg_try_advisory_xact_lock(:number)")


class ProcessLock(Protocol):
    """The lock of one database."""

    def take(self) -> bool:
        """Takes it if nobody has it; whether this process has it now."""
        ...

    def holds(self) -> bool:
        """Whether a lock that was taken still holds."""
        ...

    def close(self) -> None:
        """Gives it back."""
        ...


class FileLock:
    """A lock on a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Takes it if nobody has it; the file is made where there is none."""
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def holds(self) -> bool:
        """Always: it goes with the process alone."""
        return True

    def close(self) -> None:
        """Gives it back, if it was taken."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class ServerLock:
    """An advisory lock, which goes with its transaction, and that with its connection. Its holder may not know of that.

    A lock of the session would stay behind with PgBouncer, which gives that session to others: they would wait for nobody.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: Connection | None = None

    def take(self) -> bool:
        """Takes it by a connection of its own, whose transaction is kept open; again where that broke."""
        try:
            held = self._held = self._held or self._engine.connect()
            held.execute(_STAYS)
            is_ours = bool(held.scalar(_TAKE, {"number": LOCK_NUMBER}))
            if not is_ours:
                held.rollback()
        except DBAPIError as error:
            log.warning("the database gives no answer", error=type(error.orig).__name__)
            self._let_go()
            return False
        return is_ours

    def holds(self) -> bool:
        """Whether that connection still answers."""
        if self._held is None:
            return True
        try:
            self._held.execute(text("select 1"))
        except DBAPIError:
            return False
        return True

    def close(self) -> None:
        """Ends the transaction, with which the server gives the lock back, and the connection."""
        if self._held is not None:
            with suppress(DBAPIError):
                self._held.rollback()
        self._let_go()

    def _let_go(self) -> None:
        """Gives up the connection that is to hold the lock: after it broke, or since nobody needs it any more."""
        if self._held is not None:
            self._held.invalidate()
            self._held.close()
            self._held = None


def wait_for(lock: ProcessLock, stop: threading.Event) -> None:
    """Waits until the lock is this process's. `stop` ends the waiting with `SystemExit`."""
    told = False
    while not lock.take():
        if not told:
            log.warning("waiting", reason="another process works on this database; this one waits until that has ended")
            told = True
        if stop.wait(_EVERY):
            raise SystemExit(0)
