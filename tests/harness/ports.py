"""Ports for programs that have to be told theirs before they listen, or that listen there again after they ended.

None is of those that the system gives to connections going out, which any process may hold by the time a program listens. Whoever asks has
the port to the end of its process: it keeps the UDP port of the same number, so other workers and other runs on this machine pass it over.
"""

from __future__ import annotations

import heapq
import random
import socket

HOST = "127.0.0.1"
_FIRST, _LAST = 20_000, 32_000  # Linux gives connections those from 32768 on, others those from 49152 on
_TRIES = 1_000
_held: list[socket.socket] = []
_back: list[int] = []


def free_port() -> int:
    """A port where nobody listens, and that nobody else is given."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many such ports, one after the other."""
    for _ in range(_TRIES):
        first = random.randrange(_FIRST, _LAST - count)
        mine = [held for port in range(first, first + count) if (held := _hold(port)) is not None]
        if len(mine) == count:
            _held.extend(mine)
            return first
        for held in mine:
            held.close()
    raise AssertionError(f"no {count} free ports between {_FIRST} and {_LAST}")


def lent_port() -> int:
    """One for a server within this process, until `give_back`. The servers of each test get the same ones again, so that a catalog which
    names them is the same text, and is loaded once."""
    return heapq.heappop(_back) if _back else free_port()


def give_back(port: int) -> None:
    """It may be lent again; nobody listens there any more."""
    heapq.heappush(_back, port)


def listens(port: int) -> bool:
    """Whether anybody listens at a port."""
    with socket.socket() as one:
        return one.connect_ex((HOST, port)) == 0


def _hold(port: int) -> socket.socket | None:
    """Keeps a port; None where somebody has it."""
    held = socket.socket(type=socket.SOCK_DGRAM)
    try:
        held.bind((HOST, port))
        with socket.socket() as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # what has ended may have left connections that fade
            probe.bind((HOST, port))
    except OSError:
        held.close()
        return None
    return held
