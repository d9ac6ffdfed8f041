"""Processes that are forked from one that has imported the bot: a run of the tests has one such, which all its workers ask (run_wide.py).

Python's own fork server belongs to one process: each worker would import the bot for its own.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.harness.run_wide import lives, of_this_run, start_keeper, tell

_NUMBER = struct.Struct("!i")
_LOOK = 0.5  # seconds between two looks at whether the run is still there


class Forked:
    """A process that does `work`, a function of a module, and then ends. It ends with the process that asked for it at the latest.

    `before`: what the one that it is forked from does first, if it has not done the same before. `door`: where that one is found, if it is
    another than the one that has imported the bot. `streams`: the file descriptors that become its 0, 1 and 2.
    """

    def __init__(
        self,
        work: Callable[..., object],
        *arguments: object,
        before: Callable[[], object] | None = None,
        door: str = "",
        streams: Sequence[int] = (),
    ) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(door or of_this_run("forks", _start))
        asked = pickle.dumps((pickle.dumps(before), pickle.dumps((work, arguments))))
        socket.send_fds(self._line, [_NUMBER.pack(len(asked))], streams)
        self._line.sendall(asked)
        self.pid: int = _NUMBER.unpack(_read(self._line, _NUMBER.size))[0]
        self._code: int | None = None
        self._reading = threading.Lock()

    def code(self, timeout: float | None = 0) -> int | None:
        """How it ended, or by which signal (negative); None where it has not within `timeout` seconds."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ)
            by = None if timeout is None else time.monotonic() + timeout
            while self._code is None:
                if not selector.select(None if by is None else max(0.0, by - time.monotonic())):
                    return None
                with self._reading:
                    if self._code is None:
                        self._code = _NUMBER.unpack(_read(self._line, _NUMBER.size))[0]
        return self._code

    def kill(self) -> None:
        """As kill -9 does."""
        if self.code() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _read(line: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        piece = line.recv(size - len(read))
        if not piece:
            raise EOFError("who forks the tests' processes has ended")
        read += piece
    return read


def _start(folder: Path, watched: int) -> subprocess.Popen[bytes]:
    return start_keeper("tests.harness.forks", folder, watched)


# --- the process that is forked from ----------------------------------------------------------------------------------


class _Server:
    """Forks for whoever comes to its door, and tells them how it ended."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._asked_by: dict[int, socket.socket] = {}
        self._did = {pickle.dumps(None)}
        self._selector = selectors.DefaultSelector()
        self._selector.register(door, selectors.EVENT_READ)

    def serve(self, watched: int) -> None:
        """Until that process is gone."""
        heard, hears = os.pipe()
        for end in (heard, hears):
            os.set_blocking(end, False)
        self._selector.register(heard, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(hears)
        while lives(watched):
            for key, _ in self._selector.select(_LOOK):
                if key.fileobj is self._door:
                    self._fork(self._door.accept()[0])
                elif key.fileobj == heard:
                    os.read(heard, 1_024)
                else:
                    self._end(key.data)
            self._tell_ends()
        for process in self._asked_by:
            os.kill(process, signal.SIGKILL)

    def _fork(self, line: socket.socket) -> None:
        size, streams, *_ = socket.recv_fds(line, _NUMBER.size, 3)
        before, asked = pickle.loads(_read(line, _NUMBER.unpack(size)[0]))
        if before not in self._did:
            self._did.add(before)
            pickle.loads(before)()
        process = os.fork()
        if not process:
            self._become(asked, line, streams)
        for stream in streams:
            os.close(stream)
        line.sendall(_NUMBER.pack(process))
        self._asked_by[process] = line
        self._selector.register(line, selectors.EVENT_READ, process)

    def _become(self, asked: bytes, line: socket.socket, streams: Sequence[int]) -> None:
        """In the new process: does what was asked for, and ends."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            for one in (self._door, line, *self._asked_by.values()):
                one.close()
            for descriptor, stream in enumerate(streams):
                os.dup2(stream, descriptor)
                os.close(stream)
            work, arguments = pickle.loads(asked)
            work(*arguments)
            code = 0
        except SystemExit as end:
            code = _code_of(end)
        except BaseException:  # whatever it is, it is this process's end
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _end(self, process: int) -> None:
        """Who asked for it is gone."""
        self._selector.unregister(self._asked_by[process])
        os.kill(process, signal.SIGKILL)

    def _tell_ends(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                process, status = ended
                line = self._asked_by.pop(process)
                with contextlib.suppress(KeyError):
                    self._selector.unregister(line)
                with contextlib.suppress(OSError):
                    line.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
                line.close()


def _code_of(end: SystemExit) -> int:
    code: Any = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
        return 1
    return int(code or 0)


def serve(folder: Path, watched: int) -> None:
    """Forks this process for whoever asks, until the watched one is gone."""
    place = folder / "door"
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(place))
            door.listen(64)
            tell(folder, str(place))
            _Server(door).serve(watched)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    import tests.harness.warm_bot

    tests.harness.warm_bot.warm()
    serve(Path(sys.argv[1]), int(sys.argv[2]))
