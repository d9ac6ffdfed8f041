"""Door to programs that print a token: run without a shell, within bounds on time and output, without the bot's own secrets."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence

from base.settings import Misconfigured

_TIME = 10.0  # seconds that a program has
_MOST = 100_000  # bytes that are read of what it prints
_SLOW = "it took too long"


class CommandFailed(Exception):
    """A program gave nothing of use. Its text says why, in our own words: what it printed may hold a token."""


def output_of(words: Sequence[str], by: float, hidden: Collection[str] = ()) -> str:
    """What a program prints on standard output until `by` (monotonic seconds), ten seconds at most.

    `hidden` are the variables of the environment that it does not get. Raises `CommandFailed`.
    """
    by = min(by, time.monotonic() + _TIME)
    with _started(words, {name: value for name, value in os.environ.items() if name not in hidden}) as running:
        try:
            printed = _read(running, by)
            code = running.wait(max(0.0, by - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise CommandFailed(_SLOW) from None
        finally:
            _end(running)
    if code != 0:
        raise CommandFailed(f"it ended with the code {code}")
    try:
        return printed.decode()
    except UnicodeError:
        raise CommandFailed("what it printed is not UTF-8") from None


def check_program(program: str) -> None:
    """Raises `Misconfigured` where this machine has no such program."""
    if shutil.which(program) is None:
        raise Misconfigured(f"there is no program '{program}' on this machine's PATH; install it, or write its path.")


def _started(words: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The program, at the head of a group of its own, so that what it starts can be ended with it."""
    nowhere, pipe = subprocess.DEVNULL, subprocess.PIPE
    try:
        return subprocess.Popen(  # noqa: S603 - the words stand in the catalog, and no shell reads them
            list(words), stdin=nowhere, stdout=pipe, stderr=nowhere, env=environ, start_new_session=True, bufsize=0
        )
    except (OSError, ValueError) as error:
        raise CommandFailed(getattr(error, "strerror", None) or "it cannot be started") from None


def _read(running: subprocess.Popen[bytes], by: float) -> bytes:
    assert running.stdout is not None
    printed = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(running.stdout, selectors.EVENT_READ)
        while len(printed) <= _MOST:
            if not waiting.select(max(0.0, by - time.monotonic())):
                raise CommandFailed(_SLOW)
            piece = os.read(running.stdout.fileno(), _MOST)
            if not piece:
                return printed
            printed += piece
    raise CommandFailed(f"it printed more than {_MOST:,} bytes")


def _end(running: subprocess.Popen[bytes]) -> None:
    """Ends what is left of it."""
    if running.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(running.pid, signal.SIGKILL)
