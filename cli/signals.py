"""What a serving bot is told from outside: to end (SIGTERM, Ctrl-C), to take the catalog again (SIGHUP), or to look after itself."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Final

_STDIN = 0
LOOK: Final = 0  # look at once whether the database is still ours alone
READ_AGAIN: Final = -1  # take the catalog again if its file is another by now
INSISTS: Final = int(signal.SIGHUP)  # take the catalog again, even if its file did not change


class Signals:
    """The signals of this process, as they come; `stop` is set once it is to end.

    A terminal that is closed sends SIGHUP, too; that ends a bot which was started there.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._heard: SimpleQueue[int] = SimpleQueue()  # a handler may fill it while its own thread reads it
        # Who waits does so for a byte. A lock that is waited for does not hear of a signal that comes just before the wait begins, or to
        # another thread: the end would be noticed at the next look, seconds later (https://docs.python.org/3/library/signal.html).
        self._hears, self._wakes = os.pipe()
        for end in (self._hears, self._wakes):
            os.set_blocking(end, False)
        self._is_at_terminal = os.isatty(_STDIN)
        self._ends_at_once = False

    def hear(self) -> None:
        """From now on SIGTERM, Ctrl-C and SIGHUP come here. To be called by the main thread."""
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._take)

    @contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Inside, the end is `SystemExit`, whatever is waited for: a start has begun nothing that is to be left at a safe point, and a
        database that says nothing may take longer than there is time."""
        self._ends_at_once = True
        try:
            yield
        finally:
            self._ends_at_once = False

    def put(self, what: int) -> None:
        """Has the bot look (`LOOK`), or read its catalog again (`READ_AGAIN`)."""
        self._heard.put(what)
        with suppress(BlockingIOError):  # it is full of what wakes as well
            os.write(self._wakes, b"\0")

    def next(self, seconds: float) -> int | None:
        """What came next; None where nothing does within `seconds`, or a little earlier."""
        if self._heard.empty():
            select.select([self._hears], [], [], seconds)
            with suppress(BlockingIOError):
                os.read(self._hears, 1_024)
        try:
            return self._heard.get_nowait()
        except Empty:
            return None

    def _take(self, number: int, _frame: object) -> None:
        if number != signal.SIGHUP or (self._is_at_terminal and not os.isatty(_STDIN)):
            self.stop.set()
            if self._ends_at_once:
                raise SystemExit(0)
        self._heard.put(number)
