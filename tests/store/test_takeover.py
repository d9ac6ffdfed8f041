"""Two real processes on one PostgreSQL: the first loses the database's lock, stands still or goes on, and the second takes over.

Whatever the first was in the middle of: each request leaves once, each question has one answer, and the first ends.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.emulator import Workspace
from tests.harness.databases import fresh_database, rows
from tests.harness.loopback import Loopback
from tests.harness.replay_model import ReplayModel, answer
from tests.harness.whole_bot import until
from tests.store.test_holds import lose_lock
from tests.test_crash import (
    ANN,
    HIRE,
    LIST,
    REMOVE,
    WITH_PREVIEW,
    Program,
    Relay,
    System,
    api_answer,
    approved,
    free_port,
    told,
)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with Workspace(retry_delays=(0.1, 0.3, 1.0, 3.0)) as workspace, ReplayModel() as model, Loopback(api_answer) as api:
        system = System("http", workspace, model, api, tmp_path)
        system.database = fresh_database("postgresql", tmp_path)
        yield system
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


def stop(program: Program) -> None:
    program.process.send_signal(signal.SIGSTOP)


def go_on(program: Program) -> None:
    program.process.send_signal(signal.SIGCONT)


def take_over(system: System, **settings: str) -> Program:
    """A second process, and the lock's connection ended, as a restart of the server ends it; gives the second once it serves."""
    system.port = free_port()
    second = system.launch(**settings).wait_for("waiting")
    lose_lock(system.database)
    second.wait_for("serving")
    system.workspace.connect(f"http://127.0.0.1:{system.port}")
    return second


def ended(program: Program) -> None:
    """It noticed, said so once, and ended."""
    assert program.process.wait(30) == 1
    assert sum('"event": "overtaken"' in line for line in program.lines) <= 1
    assert not [line for line in program.lines if "Traceback" in line or '"event": "turn failed"' in line]


@pytest.mark.parametrize("stands_still", [True, False], ids=["stopped", "going on"])
@pytest.mark.parametrize("reply", [HIRE, answer("hello Ann")], ids=["a write", "an answer"])
def test_a_turn_in_the_middle_of_a_model_call(system: System, stands_still: bool, reply: dict[str, object]) -> None:
    """Both processes get the model's reply: a POST that needs no click, or the answer itself."""
    system.model.script("hi", [reply, answer("hello Ann")])
    system.model.hold()
    first = system.start()
    ts = system.mention("hi")
    system.model.wait(lambda: len(system.model.requests) == 1)
    if stands_still:
        stop(first)
    take_over(system)
    system.model.wait(lambda: len(system.model.requests) == 2)
    system.model.release()
    go_on(first)
    system.wait_for_answer(ts, "hello Ann")
    ended(first)
    system.rest()
    assert system.said(ts) == ["hello Ann"]
    assert len(system.writes()) == (reply is HIRE)
    assert {row["state"] for row in rows(system.database, "proposals")} <= {"done"}


@pytest.mark.parametrize("stands_still", [True, False], ids=["stopped", "going on"])
def test_a_write_that_is_on_its_way_is_unknown_and_stays_so(system: System, stands_still: bool) -> None:
    system.model.script("hire Zoe", [HIRE, answer("please look")])
    first = system.start()
    system.api.hold()
    ts = system.mention("hire Zoe")
    system.api.wait(system.writes)
    if stands_still:
        stop(first)
    take_over(system)
    system.wait_for_answer(ts, "please look")
    system.api.release()
    go_on(first)
    ended(first)
    system.rest()
    assert system.said(ts) == ["please look"]
    assert len(system.writes()) == 1
    assert json.loads(told(system, "hire Zoe"))["outcome"] == "unknown"
    assert [row["state"] for row in rows(system.database, "proposals")] == ["unknown"]


@pytest.mark.parametrize("stands_still", [True, False], ids=["stopped", "going on"])
def test_an_approved_write_whose_target_is_being_read_again(system: System, stands_still: bool) -> None:
    (system.folder / "apis.yaml").write_text(WITH_PREVIEW)
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    first = system.start()
    ts = system.mention("remove Tom")
    system.card(ts)
    system.api.hold()
    card = approved(system, ts)
    system.api.wait(lambda: len(system.api.requests) == 2)
    if stands_still:
        stop(first)
    take_over(system)
    system.api.wait(lambda: len(system.api.requests) == 3)
    system.api.release()
    go_on(first)
    system.wait_for_answer(ts, "Tom is gone")
    ended(first)
    system.rest()
    assert len(system.writes()) == 1
    assert system.said(ts)[1:] == ["Tom is gone"]
    assert "Approved and done" in system.shown(card)


def test_an_answer_that_is_on_its_way_to_slack_while_the_database_changes_hands(system: System) -> None:
    """It arrives after the second process has looked for it: that one waits until nothing of the first can arrive any more."""
    system.model.script("hi", [LIST, answer("hello Ann")])
    with Slow(system.workspace.api_url) as road:
        first = system.start(SLACK_API_URL=f"{road.url}/api/")
        system.model.hold()
        ts = system.mention("hi")
        system.model.wait(lambda: system.model.requests)
        until(lambda: not system.open("posts", "due"))  # the thumbs-up is out
        road.is_held.set()
        system.model.release()
        until(lambda: road.waiting)
        looked = len(system.workspace.calls_of("conversations.replies"))
        second = take_over(system)
        until(lambda: len(system.workspace.calls_of("conversations.replies")) > looked)
        assert system.said(ts) == []
        road.is_held.clear()
        system.wait_for_answer(ts, "hello Ann")
        ended(first)
        system.rest()
    assert system.said(ts) == ["hello Ann"]
    assert second.process.poll() is None


class Slow(Relay):
    """Holds back what goes to Slack while `is_held` is set, and hands it on afterwards."""

    def __init__(self, goal: str) -> None:
        super().__init__(goal.removesuffix("/api/"))
        self.is_held = threading.Event()
        self.waiting = 0

    def _connect(self, here: socket.socket) -> None:
        if self.is_held.is_set():
            self.waiting += 1
            until(lambda: not self.is_held.is_set())
        super()._connect(here)


def test_what_slack_brings_to_the_first_is_not_taken_and_comes_again(system: System) -> None:
    """Recorded there, nobody would ever look at it."""
    system.model.script("hi", [answer("hello Ann")])
    first = system.start()
    stop(first)
    port = system.port
    take_over(system)
    system.workspace.connect(f"http://127.0.0.1:{port}")
    ts = system.workspace.say(ANN, "@hr-bot hi")
    go_on(first)
    system.workspace.wait(lambda: system.workspace.attempts)
    assert not system.workspace.attempts[0].reply.ok  # 503, or nothing, where it ended before the answer was out
    system.workspace.connect(f"http://127.0.0.1:{system.port}")
    system.wait_for_answer(ts, "hello Ann")
    ended(first)
    system.rest()
    assert system.said(ts) == ["hello Ann"]
    assert len(rows(system.database, "inbox")) == 1


def test_a_click_that_the_first_was_looking_into_counts_once(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    first = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    first.kill()
    system.workspace.fault("users.info", "timeout", seconds=2.0)
    first = system.start()
    approved(system, ts)
    system.workspace.wait(lambda: system.workspace.calls_of("users.info"))
    stop(first)
    take_over(system)
    system.wait_for_answer(ts, "Tom is gone")
    go_on(first)
    ended(first)
    system.rest()
    assert len(system.writes()) == 1
    assert system.said(ts)[1:] == ["Tom is gone"]
    assert "Approved and done" in system.shown(card)
    assert system.workspace.ephemerals(ANN) == []
