"""The processes that the tests fork: they say how they ended, and stay no longer than who asked for them."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.harness import warm_workers
from tests.harness.forks import Forked
from tests.harness.run_wide import lives
from tests.harness.whole_bot import until

pytestmark = pytest.mark.programs


def test_it_is_told_how_a_process_ended() -> None:
    assert Forked(time.time).code(60) == 0
    assert Forked(sys.exit, 3).code(60) == 3
    assert Forked(int, "no number").code(60) == 1
    killed = Forked(time.sleep, 600)
    assert killed.code(0.01) is None
    killed.kill()
    assert killed.code(60) == -signal.SIGKILL


def test_a_process_ends_with_who_asked_for_it() -> None:
    forked = Forked(time.sleep, 600)
    process = forked.pid
    assert lives(process)
    del forked
    until(lambda: not lives(process))


def test_what_is_done_before_is_done_once(tmp_path: Path) -> None:
    made = tmp_path / "made"
    before = functools.partial(os.mkdir, made)
    assert [Forked(os.rmdir, made, before=before).code(60), made.exists()] == [0, False]
    assert [Forked(time.time, before=before).code(60), made.exists()] == [0, False]


@pytest.mark.parametrize(("text", "is_warm"), [("def test_it() -> None: ...", True), ("def broken(:", False)])
def test_workers_are_forked_where_all_tests_can_be_imported(tmp_path: Path, text: str, is_warm: bool) -> None:
    """The half of a module that failed would stay, and its tests be missed by nobody."""
    folder = tmp_path / "keeper"
    folder.mkdir()
    test = tmp_path / "test_of_a_test.py"
    test.write_text(text)
    keeper = warm_workers.start([str(test)], folder, os.getpid())
    try:
        assert bool((folder / "url").read_text()) == is_warm
    finally:
        keeper.kill()
        keeper.wait()
