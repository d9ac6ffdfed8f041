"""Several real processes on one PostgreSQL: killed, stopped, cut off from it, and each other's work taken over.

Whatever one was in the middle of: each request leaves once, each question has one answer, and who was taken for dead ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from emulator.emulator import Workspace
from store.engine import engine_url, libpq_url, make_engine
from store.process_lock import LOCK_NUMBER
from tests.harness.databases import fresh_database, looking_into, opened_before, rows
from tests.harness.loopback import Loopback
from tests.harness.ports import free_port
from tests.harness.replay_model import ReplayModel, answer, call
from tests.harness.whole_bot import until
from tests.test_crash import (
    ANN,
    CATALOG,
    HIRE,
    KEY,
    LIST,
    REMOVE,
    SET_ASIDE,
    WITH_PREVIEW,
    Program,
    Relay,
    System,
    api_answer,
    approved,
    told,
)

pytestmark = pytest.mark.programs


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with Workspace(retry_delays=(0.1, 0.3, 1.0, 3.0)) as workspace, ReplayModel() as model, Loopback(api_answer) as api:
        system = System("http", workspace, model, api, tmp_path)
        system.database = opened_before("postgresql", tmp_path, KEY)
        yield system
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


def another(system: System, *arguments: str, **settings: str) -> Program:
    """One more process; from now on Slack reaches that one."""
    system.port = free_port()
    program = system.start(*arguments, **settings)
    system.workspace.connect(f"http://127.0.0.1:{system.port}")
    return program


def rows_taken(system: System) -> list[object]:
    """Jobs that are not done: threads with something left to do, but for the clock's."""
    return [row for row in rows(system.database, "procrastinate_jobs") if row["lock"] != "clock"]


def stop(program: Program) -> None:
    program.process.send_signal(signal.SIGSTOP)


def go_on(program: Program) -> None:
    program.process.send_signal(signal.SIGCONT)


def ended(program: Program) -> None:
    """It noticed that it was taken for dead, said so once, and ended."""
    try:
        assert program.ends() == 1
    finally:
        print("ENDED", "".join(program.lines))
    assert sum("another process took over" in line for line in program.lines) == 1
    assert not [line for line in program.lines if "Traceback" in line or '"event": "turn failed"' in line]


class Door(Relay):
    """The way to the database over TCP, which can be cut: nothing goes through, and what was open ends."""

    def __init__(self, database: str) -> None:
        super().__init__("http://unused:0")
        url = make_url(database)
        self._socket = f"{url.query['host']}/.s.PGSQL.5432"
        self.database = url.set(host="127.0.0.1", port=self.port, query={}).render_as_string(hide_password=False)
        self.is_cut = False
        self.cut_at = b""  # it cuts itself where this is to go through
        self._open: list[socket.socket] = []

    def cut(self) -> None:
        self.is_cut = True
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _connect(self, here: socket.socket) -> None:
        if self.is_cut:
            here.close()
            return
        there = socket.socket(socket.AF_UNIX)
        there.connect(self._socket)
        self._open += [here, there]
        self._between(here, there)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if self.cut_at and self.cut_at in piece:
                    self.cut_at = b""
                    self.cut()
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option")
@pytest.mark.parametrize(
    ("more", "idle", "silent"), [("", 10, 15_000), ("?keepalives_idle=60&tcp_user_timeout=5000", 60, 5_000)]
)
def test_a_connection_that_a_firewall_dropped_is_noticed(tmp_path: Path, more: str, idle: int, silent: int) -> None:
    """Where nobody says that it is over: by TCP, with what the operator has set for that, if anything."""
    with Door(fresh_database("postgresql", tmp_path)) as door:
        url = engine_url(door.database + more)
        engine = make_engine(url)
        with engine.connect() as db, psycopg.connect(libpq_url(url)) as listening:
            for number in (db.connection.driver_connection.fileno(), listening.fileno()):  # type: ignore[union-attr]
                with socket.socket(fileno=os.dup(number)) as one:
                    assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
                    assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == silent
        engine.dispose()


@contextlib.contextmanager
def fate(system: System, kind: str) -> Iterator[tuple[Program, Callable[[], None], Callable[[], None]]]:
    """A first process, what happens to it, and what ends that: it stands still, or has no database for a while."""
    if kind == "stopped":
        program = system.start()
        yield program, lambda: stop(program), lambda: go_on(program)
        return
    with Door(system.database) as door:
        program = system.start(DATABASE_URL=door.database)

        def mend() -> None:
            door.is_cut = False

        yield program, door.cut, mend


@pytest.mark.parametrize("kind", ["stopped", "cut off"])
def test_whatever_a_process_was_in_the_middle_of_goes_on_once_elsewhere(system: System, kind: str) -> None:
    """In four threads: a write that is on its way, an approved write whose target is being read again, and two model calls, whose replies
    (the answer itself, and a POST that needs no click) both processes get."""
    (system.folder / "apis.yaml").write_text(WITH_PREVIEW)
    hire_cy = call(("POST", "/api/users", {"first_name": "Cy"}))
    system.model.script("hire Zoe", [HIRE, answer("please look")])
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    system.model.script("hi", [answer("hello Ann")])
    system.model.script("hire Cy", [hire_cy, answer("Cy is there")])
    with fate(system, kind) as (first, befall, mend):
        remove = system.mention("remove Tom")
        system.card(remove)
        system.api.hold()
        card = approved(system, remove)
        system.api.wait(lambda: len(system.api.requests) == 2)
        write = system.mention("hire Zoe")
        system.api.wait(system.writes)
        system.model.hold()
        asked = len(system.model.requests)
        hello, hire = system.mention("hi"), system.mention("hire Cy")
        system.model.wait(lambda: len(system.model.requests) == asked + 2)

        befall()
        another(system).wait_for("took over")
        system.api.wait(lambda: len(system.api.requests) == 4)  # the target once more
        system.model.wait(lambda: len(system.model.requests) == asked + 5)  # these two, and what became of Zoe
        assert json.loads(told(system, "hire Zoe"))["outcome"] == "unknown"
        system.api.release()
        system.model.release()
        mend()
        last_words = {write: "please look", remove: "Tom is gone", hello: "hello Ann", hire: "Cy is there"}
        for ts, words in last_words.items():
            system.wait_for_answer(ts, words)
        ended(first)
        system.rest()

    assert {ts: system.said(ts)[ts == remove :] for ts in last_words} == {ts: [one] for ts, one in last_words.items()}
    sent = [(one.method, one.json() if one.method == "POST" else {}) for one in system.writes()]
    assert sorted(sent, key=str) == [("DELETE", {}), ("POST", {"first_name": "Cy"}), ("POST", {"first_name": "Zoe"})]
    assert json.loads(told(system, "hire Zoe"))["outcome"] == "unknown"
    states = {row["thread"].rpartition("/")[2]: row["state"] for row in rows(system.database, "proposals")}
    assert states == {write: "unknown", remove: "done", hire: "done"}
    assert "Approved and done" in system.shown(card)


def test_an_answer_that_is_on_its_way_to_slack_when_its_process_is_taken_for_dead(system: System) -> None:
    """It arrives after the second process has looked for it: that one waits until nothing of the first can arrive any more."""
    system.model.script("hi", [LIST, answer("hello Ann")])
    with Slow(system.workspace.api_url) as road, Door(system.database) as door:
        first = system.start(SLACK_API_URL=f"{road.url}/api/", DATABASE_URL=door.database)
        system.model.hold()
        ts = system.mention("hi")
        system.model.wait(lambda: system.model.requests)
        until(lambda: not system.open("posts", "due"))  # the thumbs-up is out
        road.is_held.set()
        system.model.release()
        until(lambda: road.waiting)
        looked = len(system.workspace.calls_of("conversations.replies"))
        door.cut()
        second = another(system).wait_for("took over")
        until(lambda: len(system.workspace.calls_of("conversations.replies")) > looked)
        assert system.said(ts) == []
        road.is_held.clear()
        door.is_cut = False
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


def test_a_click_that_a_process_was_looking_into_when_it_stood_still_counts_once(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    first = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    first.kill()
    first = system.start().wait_for("took over")
    until(lambda: not [*system.open("posts", "due"), *rows_taken(system)])
    looked = len(system.workspace.calls_of("users.info"))
    system.workspace.fault("users.info", "timeout", seconds=2.0)
    approved(system, ts)
    system.workspace.wait(lambda: len(system.workspace.calls_of("users.info")) > looked)
    stop(first)
    another(system)
    system.wait_for_answer(ts, "Tom is gone")
    go_on(first)
    ended(first)
    system.rest()
    assert len(system.writes()) == 1
    assert system.said(ts)[1:] == ["Tom is gone"]
    assert "Approved and done" in system.shown(card)
    assert system.workspace.ephemerals(ANN) == []


# --- side by side -----------------------------------------------------------------------------------------------------


def test_stop_seen_to_by_one_process_cuts_off_a_turn_at_another(system: System) -> None:
    """A submitted modal belongs to no thread of a channel: any process may get it, here the only one that does not stand still."""
    system.model.script("write a poem", [answer("a poem")])
    system.model.hold()
    first = system.start()
    ts = system.mention("write a poem")
    system.model.wait(lambda: system.model.requests)
    second = another(system)
    modal = stop_modal(system, ts)
    stop(first)
    system.workspace.submit(modal, ANN)
    second.wait_for("stopped")
    go_on(first)
    system.workspace.wait(lambda: system.said(ts))  # the model is still held
    system.rest()
    assert "stopped" in system.said(ts)[0].lower()
    assert [row["state"] for row in rows(system.database, "turns")] == ["failed"]


def stop_modal(system: System, ts: str) -> str:
    """Ann chooses to stop the answer; the modal that asks whether she means it."""
    assert system.workspace.shortcut(ANN, ts, "stop_generating") == 200
    (view,) = system.workspace.wait(lambda: system.workspace.modals(ANN))
    return str(view["id"])


def test_who_ends_as_it_should_hands_over_at_once(system: System) -> None:
    """A turn in the middle of a model call goes on elsewhere before its process would have counted as dead."""
    system.model.script("hi", [answer("hello Ann")])
    system.model.hold()
    first = system.start()
    ts = system.mention("hi")
    system.model.wait(lambda: len(system.model.requests) == 1)
    second = another(system)
    assert first.terminate() == 0
    system.model.wait(lambda: len(system.model.requests) == 2)
    system.model.release()
    system.wait_for_answer(ts, "hello Ann")
    system.rest()
    assert system.said(ts) == ["hello Ann"]
    assert not second.has_said("took over")
    assert [row["ends_alone"] for row in rows(system.database, "turns")] == [0]


def test_one_process_records_and_another_works(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    door = system.start("--no-workers")
    ts = system.mention("remove Tom")
    system.workspace.wait(lambda: rows(system.database, "inbox"))
    assert system.model.requests == []
    worker = system.launch("worker").wait_for("serving")
    approved(system, ts)
    system.wait_for_answer(ts, "Tom is gone")
    system.rest()
    assert len(system.writes()) == 1
    assert (door.calls(), worker.calls() > 0) == (0, True)
    assert (door.terminate(), worker.terminate()) == (0, 0)


@pytest.mark.parametrize("argument", ["--no-workers", "worker"])
def test_a_sqlite_file_is_for_one_process(system: System, argument: str) -> None:
    system.database = f"sqlite:///{system.folder}/bot.db"
    program = system.launch(argument)
    assert program.process.wait(60) == 2
    until(lambda: "set DATABASE_URL=postgresql://" in "".join(program.lines))


@contextlib.contextmanager
def read_only(url: str) -> Iterator[None]:
    """As a database is that another server is about to take over from."""
    with looking_into(url) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        name = make_url(url).database
        db.execute(text(f"alter database {name} set default_transaction_read_only = on"))
        yield
        db.execute(text(f"alter database {name} reset default_transaction_read_only"))


def test_a_database_that_is_away_or_may_only_be_read_at_the_start_is_waited_for(system: System) -> None:
    """Also where it goes away in the middle of the start: at each of these steps, one after the other."""
    system.model.script("hi", [answer("hello Ann")])
    steps = [b"to_regclass", b"pg_locks", b"pg_advisory_xact_lock(7316045922)", b"INSERT INTO catalogs", b"backup"]
    with Door(system.database) as door:
        door.cut()
        program = system.launch(DATABASE_URL=door.database).wait_for("waiting for the database")
        with read_only(system.database):
            door.is_cut = False
            until(lambda: any("it is read-only" in line for line in program.lines))
            door.cut()
        for step in steps:
            door.cut_at = step
            door.is_cut = False
            until(lambda: door.is_cut)
        assert not program.has_said("serving")
        door.is_cut = False
        program.wait_for("serving")
        ts = system.mention("hi")
        system.wait_for_answer(ts, "hello Ann")
        system.rest()


def test_a_catalog_that_is_to_be_taken_while_the_database_is_away_is_taken_once_it_is_back(system: System) -> None:
    """Until then the one before it is in use, and nothing ends."""
    system.model.script("hi", [answer("hello Ann")])
    with Door(system.database) as door:
        program = system.start(DATABASE_URL=door.database)
        door.cut()
        (system.folder / "apis.yaml").write_text(
            CATALOG + '  - {method: GET, url: "/api/teams", description: Lists teams.}\n'
        )
        program.process.send_signal(signal.SIGHUP)
        program.wait_for("catalog not taken yet")
        assert not program.has_said("catalog taken")
        door.is_cut = False
        program.wait_for("catalog taken")
        assert len(rows(system.database, "catalogs")) == 2
        ts = system.mention("hi")
        system.wait_for_answer(ts, "hello Ann")
        assert program.terminate() == 0


def test_a_start_whose_database_says_nothing_ends_at_once_where_it_is_to(system: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        program = system.launch(DATABASE_URL=f"postgresql://u:p@127.0.0.1:{mute.getsockname()[1]}/d")
        with mute.accept()[0]:
            assert program.terminate(5) == 0


def test_a_process_of_the_version_before_is_waited_for(system: System) -> None:
    """Version 0.1.0 takes the database for its own alone, by a lock."""
    with looking_into(system.database) as engine, engine.connect() as db:
        db.execute(text("select pg_advisory_lock(:number)"), {"number": LOCK_NUMBER})
        program = system.launch().wait_for("waiting")
        assert any("0.1.0" in line for line in program.lines)
        db.execute(text("select pg_advisory_unlock(:number)"), {"number": LOCK_NUMBER})
        program.wait_for("serving")


def test_a_turn_that_ends_its_processes_is_set_aside_and_others_are_not(system: System) -> None:
    """Two turns are in the middle at each end: which of them did it is found out once one goes on alone."""
    system.model.script("hi", [answer("hello Ann")])
    system.model.hold()
    poison = system.start()
    ts = system.mention("hi")
    for times in (1, 2):
        system.model.wait(lambda: len(system.model.requests) == times)  # noqa: B023  (waited for here)
        poison.kill()
        poison = another(system)
    system.wait_for_answer(ts, SET_ASIDE)
    system.rest()
    assert len(system.model.requests) == 2
    (noted,) = [row["data"] for row in rows(system.database, "journal") if row["kind"] == "set aside"]
    assert json.loads(noted) == {"asker": ANN, "ends": 2}


def test_an_event_that_slack_sends_to_two_processes_is_one_and_so_are_reminders_and_expiry(system: System) -> None:
    """Both processes live; each request expires once, and is told once."""
    (system.folder / "apis.yaml").write_text(
        WITH_PREVIEW.replace("Removes an employee.", "Removes an employee., expires: 2s")
    )
    system.model.script("hi", [answer("hello Ann")])
    system.model.script("remove Tom", [REMOVE, answer("nobody decided")])
    system.start()
    hello = system.mention("hi")
    system.wait_for_answer(hello, "hello Ann")
    another(system)
    assert system.workspace.redeliver_last()
    system.rest()
    assert system.said(hello) == ["hello Ann"]
    assert len(system.model.requests) == 1

    ts = system.mention("remove Tom")
    system.card(ts)
    system.wait_for_answer(ts, "nobody decided")
    system.rest()
    assert system.said(hello) == ["hello Ann"]
    kinds = [row["kind"] for row in rows(system.database, "journal")]
    assert (kinds.count("expire"), kinds.count("reminder")) == (1, 1)


@pytest.mark.parametrize(("part", "off"), [((), 3_600), (("--no-workers",), -3_600)], ids=["all", "recording alone"])
def test_a_machine_whose_clock_is_an_hour_off_takes_what_slack_sends_at_its_right_time(
    system: System, part: tuple[str, ...], off: int
) -> None:
    """All keep to the database's clock: the age of a signature is right, and so is when a click came."""
    system.clock = system.folder / "clock"
    system.clock.write_text(str(off))
    system.start(*part)
    began = time.time()
    system.mention("hi")
    assert [one.reply.status for one in system.workspace.attempts] == [200]
    (arrival,) = rows(system.database, "inbox")
    assert began - 60 < arrival["received_at"] < time.time() + 60


def test_who_has_an_older_catalog_sends_nothing_that_the_newer_forbids(system: System) -> None:
    """Each process reads its own file; the older one's is read again until it is the newer, too."""
    system.model.script("remove Tom", [REMOVE, answer("I may not do that")])
    older = system.start()
    ts = system.mention("remove Tom")
    system.card(ts)
    newer = "".join(line for line in CATALOG.splitlines(keepends=True) if "DELETE" not in line)
    (system.folder / "newer.yaml").write_text(newer)
    another(system, "--no-workers", APIS_FILE="newer.yaml")
    approved(system, ts)
    older.wait_for("catalog outdated")
    assert system.writes() == []
    (system.folder / "apis.yaml").write_text(newer)
    older.wait_for("catalog taken")
    system.wait_for_answer(ts, "I may not do that")
    system.rest()
    assert system.writes() == []
    assert "done" not in {row["state"] for row in rows(system.database, "proposals")}
