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
    House,
    Program,
    Relay,
    api_answer,
    approved,
    free_port,
    told,
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Workspace(retry_delays=(0.1, 0.3, 1.0, 3.0)) as workspace, ReplayModel() as model, Loopback(api_answer) as api:
        house = House("http", workspace, model, api, tmp_path)
        house.database = fresh_database("postgresql", tmp_path)
        yield house
        for program in house.programs:
            program.kill()
        assert workspace.violations == []


def stop(program: Program) -> None:
    program.process.send_signal(signal.SIGSTOP)


def go_on(program: Program) -> None:
    program.process.send_signal(signal.SIGCONT)


def take_over(house: House, **settings: str) -> Program:
    """A second process, and the lock's connection ended, as a restart of the server ends it; gives the second once it serves."""
    house.port = free_port()
    second = house.launch(**settings).wait_for("waiting")
    lose_lock(house.database)
    second.wait_for("serving")
    house.workspace.connect(f"http://127.0.0.1:{house.port}")
    return second


def ended(program: Program) -> None:
    """It noticed, said so once, and ended."""
    assert program.process.wait(30) == 1
    assert sum('"event": "overtaken"' in line for line in program.lines) <= 1
    assert not [line for line in program.lines if "Traceback" in line or '"event": "turn failed"' in line]


@pytest.mark.parametrize("stands_still", [True, False], ids=["stopped", "going on"])
@pytest.mark.parametrize("reply", [HIRE, answer("hello Ann")], ids=["a write", "an answer"])
def test_a_turn_in_the_middle_of_a_model_call(house: House, stands_still: bool, reply: dict[str, object]) -> None:
    """Both processes get the model's reply: a POST that needs no click, or the answer itself."""
    house.model.script("hi", [reply, answer("hello Ann")])
    house.model.hold()
    first = house.start()
    ts = house.mention("hi")
    house.model.wait(lambda: len(house.model.requests) == 1)
    if stands_still:
        stop(first)
    take_over(house)
    house.model.wait(lambda: len(house.model.requests) == 2)
    house.model.release()
    go_on(first)
    house.wait_for_answer(ts, "hello Ann")
    ended(first)
    house.rest()
    assert house.said(ts) == ["hello Ann"]
    assert len(house.writes()) == (reply is HIRE)
    assert {row["state"] for row in rows(house.database, "proposals")} <= {"done"}


@pytest.mark.parametrize("stands_still", [True, False], ids=["stopped", "going on"])
def test_a_write_that_is_on_its_way_is_unknown_and_stays_so(house: House, stands_still: bool) -> None:
    house.model.script("hire Zoe", [HIRE, answer("please look")])
    first = house.start()
    house.api.hold()
    ts = house.mention("hire Zoe")
    house.api.wait(house.writes)
    if stands_still:
        stop(first)
    take_over(house)
    house.wait_for_answer(ts, "please look")
    house.api.release()
    go_on(first)
    ended(first)
    house.rest()
    assert house.said(ts) == ["please look"]
    assert len(house.writes()) == 1
    assert json.loads(told(house, "hire Zoe"))["outcome"] == "unknown"
    assert [row["state"] for row in rows(house.database, "proposals")] == ["unknown"]


@pytest.mark.parametrize("stands_still", [True, False], ids=["stopped", "going on"])
def test_an_approved_write_whose_target_is_being_read_again(house: House, stands_still: bool) -> None:
    (house.folder / "apis.yaml").write_text(WITH_PREVIEW)
    house.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    first = house.start()
    ts = house.mention("remove Tom")
    house.card(ts)
    house.api.hold()
    card = approved(house, ts)
    house.api.wait(lambda: len(house.api.requests) == 2)
    if stands_still:
        stop(first)
    take_over(house)
    house.api.wait(lambda: len(house.api.requests) == 3)
    house.api.release()
    go_on(first)
    house.wait_for_answer(ts, "Tom is gone")
    ended(first)
    house.rest()
    assert len(house.writes()) == 1
    assert house.said(ts)[1:] == ["Tom is gone"]
    assert "Approved and done" in house.shown(card)


def test_an_answer_that_is_on_its_way_to_slack_while_the_database_changes_hands(house: House) -> None:
    """It arrives after the second process has looked for it: that one waits until nothing of the first can arrive any more."""
    house.model.script("hi", [LIST, answer("hello Ann")])
    with Slow(house.workspace.api_url) as road:
        first = house.start(SLACK_API_URL=f"{road.url}/api/")
        house.model.hold()
        ts = house.mention("hi")
        house.model.wait(lambda: house.model.requests)
        until(lambda: not house.open("posts", "due"))  # the thumbs-up is out
        road.is_held.set()
        house.model.release()
        until(lambda: road.waiting)
        looked = len(house.workspace.calls_of("conversations.replies"))
        second = take_over(house)
        until(lambda: len(house.workspace.calls_of("conversations.replies")) > looked)
        assert house.said(ts) == []
        road.is_held.clear()
        house.wait_for_answer(ts, "hello Ann")
        ended(first)
        house.rest()
    assert house.said(ts) == ["hello Ann"]
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


def test_what_slack_brings_to_the_first_is_not_taken_and_comes_again(house: House) -> None:
    """Recorded there, nobody would ever look at it."""
    house.model.script("hi", [answer("hello Ann")])
    first = house.start()
    stop(first)
    port = house.port
    take_over(house)
    house.workspace.connect(f"http://127.0.0.1:{port}")
    ts = house.workspace.say(ANN, "@hr-bot hi")
    go_on(first)
    house.workspace.wait(lambda: house.workspace.attempts)
    assert not house.workspace.attempts[0].reply.ok  # 503, or nothing, where it ended before the answer was out
    house.workspace.connect(f"http://127.0.0.1:{house.port}")
    house.wait_for_answer(ts, "hello Ann")
    ended(first)
    house.rest()
    assert house.said(ts) == ["hello Ann"]
    assert len(rows(house.database, "inbox")) == 1


def test_a_click_that_the_first_was_looking_into_counts_once(house: House) -> None:
    house.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    first = house.start()
    ts = house.mention("remove Tom")
    card = house.card(ts)
    first.kill()
    house.workspace.fault("users.info", "timeout", seconds=2.0)
    first = house.start()
    approved(house, ts)
    house.workspace.wait(lambda: house.workspace.calls_of("users.info"))
    stop(first)
    take_over(house)
    house.wait_for_answer(ts, "Tom is gone")
    go_on(first)
    ended(first)
    house.rest()
    assert len(house.writes()) == 1
    assert house.said(ts)[1:] == ["Tom is gone"]
    assert "Approved and done" in house.shown(card)
    assert house.workspace.ephemerals(ANN) == []
