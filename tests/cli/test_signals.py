"""No signal is missed, whichever thread it comes to and whenever."""

from __future__ import annotations

import signal
import threading

import pytest

from cli.signals import LOOK, READ_AGAIN, Signals
from tests.harness.forks import Forked

pytestmark = pytest.mark.programs


def _waits() -> None:
    """In a process of its own: waits for a signal that comes to another thread."""
    signals = Signals()
    signals.hear()

    def take() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    threading.Timer(0.5, take).start()
    assert signals.next(600) == signal.SIGTERM
    assert signals.stop.is_set()


def test_a_signal_that_another_thread_is_given_is_heard_at_once() -> None:
    """As one that comes in the moment before the wait begins: what waits for a lock hears of neither before its time is over."""
    assert Forked(_waits).code(60) == 0


def test_what_is_put_comes_in_its_order_and_none_is_lost() -> None:
    signals = Signals()
    put = [LOOK, READ_AGAIN] * 40_000  # more than wakes
    for what in put:
        signals.put(what)
    assert [signals.next(60) for _ in put] == put
    assert [signals.next(0), signals.next(0)] == [None, None]
