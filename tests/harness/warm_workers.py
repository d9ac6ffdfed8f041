"""Workers of pytest-xdist that are forked from one process which has imported all tests. Each would import them for itself otherwise, and
in a new clone compile them too: for six workers that took both processors most of a minute.
"""

from __future__ import annotations

import atexit
import functools
import gc
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.harness import forks
from tests.harness.run_wide import lives, of_this_run, start_keeper, tell

_MODULE = "tests.harness.warm_workers"


def warm_workers(specs: Sequence[Any], paths: Sequence[str]) -> None:
    """Has the workers that xdist is about to start be such ones. `paths`: where the tests of this run are, seen from the project. Where one
    of them cannot be imported the workers are new interpreters, each of which says so."""
    if door := of_this_run("workers", functools.partial(start, paths)):
        for spec in specs:
            spec.python = shlex.join([sys.executable, "-m", _MODULE, door])


def start(paths: Sequence[str], folder: Path, watched: int) -> subprocess.Popen[bytes]:
    """Starts the process that they are forked from, and waits until it is there."""
    return start_keeper(_MODULE, folder, watched, *paths)


def _work(folder: str) -> None:
    """In the worker: as execnet's own command line for it does, in the same folder."""
    os.chdir(folder)
    gc.disable()  # as conftest.py does, which is not imported again
    sys.argv = ["-c"]
    try:
        exec(eval(sys.stdin.readline()), {"__name__": "__main__"})  # what xdist sends to its own worker
    finally:
        atexit._run_exitfuncs()  # forks.py ends a process without


def _stand_for_a_worker(door: str) -> int:
    """In the process that xdist takes for its worker: ends as that does, and that ends with it."""
    worker = forks.Forked(_work, os.getcwd(), door=door, streams=(0, 1, 2))
    # A terminal sends it to those of its own session only.
    signal.signal(signal.SIGINT, lambda *_: os.kill(worker.pid, signal.SIGINT))
    return worker.code(None) or 0


def _keep(folder: Path, watched: int, paths: Sequence[str]) -> None:
    ended = pytest.main([*paths, "--collect-only", "-q", "-p", "no:cacheprovider"])
    if ended in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        forks.serve(folder, watched)
    else:  # pytest leaves the half of a module that failed, which a worker would take for a whole one without tests
        tell(folder, "")
        while lives(watched):
            time.sleep(1)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [door, "-u", "-c", _]:  # what execnet adds for the interpreter that it takes this to be
            sys.exit(_stand_for_a_worker(door))
        case [folder, watched, *paths]:
            _keep(Path(folder), int(watched), paths)
