"""The bot as its own process, forked from one that has imported it: importing takes seconds, and the tests start it a hundred times.

What runs is `bot.main()`, as in `python bot.py`; that command itself is run by the tests of the command line and of the demo.
"""

from __future__ import annotations

import fcntl
import functools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self, TypeVar

from store.store import Store
from tests.harness.forks import Forked
from tests.harness.postgres import server_that_is_there

T = TypeVar("T")

_HANGS = 120  # seconds after which a command counts as one that hangs


def _warm_on(server: str) -> None:
    from tests.harness import warm_bot

    warm_bot.warm_on(server)


def _serve(
    settings: Mapping[str, str], folder: Path, arguments: Sequence[str], log: Path, clock: Path | None, terminal: str
) -> None:
    if clock is not None:
        _set_clock_by(clock)
    if terminal:
        _take_as_input(terminal)
    line = os.open(log, os.O_WRONLY)
    _run(settings, folder, arguments, line, line)


def _command(
    settings: Mapping[str, str], folder: Path, arguments: Sequence[str], out: Path, err: Path, terminal: str
) -> None:
    if terminal:
        _take_as_input(terminal)
    _run(settings, folder, arguments, *(os.open(one, os.O_WRONLY | os.O_CREAT) for one in (out, err)))


def _take_as_input(terminal: str) -> None:
    door = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    os.dup2(door, 0)
    os.close(door)


def _run(settings: Mapping[str, str], folder: Path, arguments: Sequence[str], out: int, err: int) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(settings)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(err, sys.stderr.fileno())
    for one in {out, err}:
        os.close(one)
    sys.argv = ["bot.py", *arguments]
    import bot

    bot.main()


def command(
    settings: Mapping[str, str], folder: Path, *arguments: str, terminal: str = ""
) -> subprocess.CompletedProcess[str]:
    """What `python bot.py ...` prints in this folder, and its exit code. With a terminal, its name, it reads and prints there."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "out", Path(place) / "err"
        shown = Path(terminal) if terminal else out
        process = Forked(_command, settings, folder, arguments, shown, err, terminal)
        if (code := process.code(_HANGS)) is None:
            process.kill()
            raise subprocess.TimeoutExpired(["bot.main()", *arguments], _HANGS)
        printed = "" if terminal else out.read_text("utf-8")
        return subprocess.CompletedProcess(arguments, code, printed, err.read_text("utf-8"))


def in_processes(work: Callable[[], T], processes: int) -> list[T]:
    """What so many processes return that do the same at the same moment; `work` is one of our functions, with its arguments."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with (place / "line").open("w") as line:
            fcntl.flock(line, fcntl.LOCK_EX)
            started = [Forked(_take_part, work, place, number) for number in range(processes)]
            by = time.monotonic() + _HANGS
            while len(list(place.glob("ready-*"))) < processes:
                assert time.monotonic() < by, "not all of them have started"
                time.sleep(0.005)
        assert [one.code(_HANGS) for one in started] == [0] * processes
        return [pickle.loads((place / f"done-{number}").read_bytes()) for number in range(processes)]


def _take_part(work: Callable[[], object], place: Path, number: int) -> None:
    with (place / "line").open() as line:
        (place / f"ready-{number}").touch()
        fcntl.flock(line, fcntl.LOCK_SH)
        (place / f"done-{number}").write_bytes(pickle.dumps(work()))


def _modules() -> list[str]:
    return list(sys.modules)


def loaded_before() -> list[str]:
    """The names of the modules that each bot has when it starts: what `import bot` loads, and what a start loads for any settings."""
    (found,) = in_processes(_modules, 1)
    return found


def _hold(url: str, log: Path) -> None:
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(log, os.O_WRONLY), stream.fileno())
    store = Store(url, journal_key="k")
    store.lock(threading.Event())
    print("locked", flush=True)
    threading.Event().wait()


class Holder:
    """A process that wants a database for itself; it says `locked` once it has it."""

    def __init__(self, url: str, log: Path) -> None:
        os.mkfifo(log)
        self._process = Forked(_hold, url, log)
        self._log = log.open(encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._log.close()

    def line(self) -> str:
        """The next line that it says."""
        return self._log.readline()

    def is_there(self) -> bool:
        """Whether it has not ended."""
        return self._process.code() is None

    def kill(self) -> None:
        """As kill -9 does."""
        self._process.kill()
        self._process.code(_HANGS)


def _set_clock_by(file: Path) -> None:
    """From now on the time of day is wrong by the seconds in the file, whenever that is changed; time that goes on steadily is not."""
    from base.clock import SteadyClock

    right = time.time

    def wrong() -> float:
        return right() + float(file.read_text() or 0)

    time.time = wrong
    SteadyClock.__init__.__defaults__ = (
        wrong,
        *(SteadyClock.__init__.__defaults__ or ())[1:],
    )  # bound when it was defined


class Fork:
    """A process of the bot, with what the tests use of `subprocess.Popen`. `clock`: a file with the seconds by which its clock is wrong;
    `terminal`: the name of the one at which it was started."""

    def __init__(
        self,
        settings: dict[str, str],
        folder: Path,
        arguments: Sequence[str] = (),
        clock: Path | None = None,
        terminal: str = "",
    ) -> None:
        self._log = folder / f"log-{len(list(folder.glob('log-*')))}"
        os.mkfifo(self._log)
        server = server_that_is_there() if settings.get("DATABASE_URL", "").startswith("postgresql") else ""
        before = functools.partial(_warm_on, server) if server else None
        self._process = Forked(_serve, settings, folder, arguments, self._log, clock, terminal, before=before)

    def open_log(self) -> IO[str]:
        """What it writes; waits until it has begun."""
        return self._log.open(encoding="utf-8")

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.code()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; raises `TimeoutExpired`."""
        if (code := self._process.code(timeout)) is None:
            raise subprocess.TimeoutExpired("bot.main()", timeout or 0)
        return code

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)
