"""What a run of the tests needs once, and all its workers share: kept by a process of its own, which ends with the run, however that ends.

`python -m MODULE FOLDER PID` makes it, writes into FOLDER/url where it is found, and watches the process PID.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
_RUN = "RUN_OF_TESTS"  # the process that runs the tests, told to its workers


def temporary() -> Path:
    """Where what lives for a run is kept: in memory, if conftest.py found room there."""
    return Path(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir())


def of_this_run(name: str, start: Callable[[Path, int], object]) -> str:
    """Where this run's is found; the first who asks has it started."""
    folder, watched = _place(name)
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "url").exists():
            start(folder, watched)
    return (folder / "url").read_text()


def there(name: str) -> str:
    """The same, or nothing where nobody has asked for it yet."""
    url = _place(name)[0] / "url"
    return url.read_text() if url.exists() else ""


def _place(name: str) -> tuple[Path, int]:
    """Its folder, and the process that runs the tests."""
    run = os.environ.get(_RUN, str(os.getpid()))
    return temporary() / f"{name}-{run}", int(run.partition(".")[0])


def run_here() -> None:
    """Says that this process runs the tests, to all that it starts."""
    os.environ[_RUN] = f"{os.getpid()}.{uuid.uuid4().hex[:8]}"


def start_keeper(module: str, folder: Path, watched: int, *more: str) -> subprocess.Popen[bytes]:
    """Starts the process that keeps it, and waits until it is there. `more`: what it is told besides."""
    command = [sys.executable, "-m", module, str(folder), str(watched), *more]
    with (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + 120
    while not (folder / "url").exists():
        assert keeper.poll() is None, (folder / "keeper.log").read_text()
        assert time.monotonic() < deadline, f"no {module} within two minutes"
        time.sleep(0.05)
    return keeper


def tell(folder: Path, url: str) -> None:
    """In the keeper: it is there."""
    half = folder / "url.half"
    half.write_text(url)
    half.rename(folder / "url")


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
