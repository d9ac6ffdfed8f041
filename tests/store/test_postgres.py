"""The tests' own PostgreSQL server: it ends with the run, also where that is killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.harness.postgres import start
from tests.harness.run_wide import lives
from tests.harness.whole_bot import until


def test_the_server_ends_when_the_run_is_killed() -> None:
    run = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = Path(tempfile.mkdtemp())  # not pytest's, into which only this run's user may look
    keeper = start(folder, run.pid)
    server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    assert lives(server)

    run.kill()
    run.wait()
    assert keeper.wait(60) == 0
    until(lambda: not lives(server))
    assert not folder.exists()
