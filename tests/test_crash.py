"""The real program, killed and stopped at every moment that matters: what was acknowledged is answered once, no write is sent twice.

The bot runs as its own process on a SQLite file, between the local Slack workspace, a model that replays replies
and an API that can be held; a restart is a new process with the same settings.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from sqlalchemy import Engine, text

from emulator.app import AppToken
from emulator.emulator import Workspace
from store.store import Store
from tests.harness.acceptor import Acceptor
from tests.harness.databases import ENGINES, fresh_database, opened_before, reading, rows
from tests.harness.forked_bot import Fork, command
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.ports import free_port
from tests.harness.replay_model import Late, ReplayModel, answer, call
from tests.harness.whole_bot import BOTH_WAYS, Over, until, way_in

pytestmark = pytest.mark.programs
T = TypeVar("T")
SEALED_OTHERWISE = "The bot was updated, or got another key, while this waited. Please ask again."
SET_ASIDE = (
    "My process died each time I worked on this, so I've set it aside. "
    "Please ask in another way; if it keeps happening, tell my operators."
)
ROOT = Path(__file__).parents[1]
ANN = "U0ANN"
KEY = "of these tests"  # JOURNAL_KEY, where processes share a database
CATALOG = """
name: HR
base_url: ${HR_API_URL}
endpoints:
  - {method: GET, url: "/api/users?page=[page_id]", description: Lists employees.}
  - {method: POST, url: /api/users, description: Adds an employee.}
  - {method: DELETE, url: "/api/users/[user_id]", description: Removes an employee., preview: false}
"""
WITH_PREVIEW = (
    CATALOG.replace(", preview: false", "")
    + """\
  - {method: GET, url: "/api/users/[user_id]", description: Shows an employee.}
"""
)


_UNDER_WAY = """
select exists (select 1 from turns where state in ('waiting', 'running')) or exists (select 1 from posts where state = 'due')
"""


class Program:
    """One process of the bot. Its log is read as it comes."""

    def __init__(self, process: Fork | subprocess.Popen[str], log: Callable[[], Iterable[str]]) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.process = process
        self._reader = threading.Thread(target=self._read, args=(log,), daemon=True)
        self._reader.start()

    def _read(self, log: Callable[[], Iterable[str]]) -> None:
        for line in log():
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()

    def wait_for(self, event: str, seconds: float = 60, after: int = 0) -> Program:
        """Until the log has this event, `after` so many lines."""
        with self._changed:
            heard = self._changed.wait_for(lambda: self.has_said(event, after), seconds)
        assert heard, f"no '{event}' within {seconds} s; the log:\n{''.join(self.lines[-30:])}"
        return self

    def has_said(self, event: str, after: int = 0) -> bool:
        return any(f'"event": "{event}"' in line for line in self.lines[after:])

    def calls(self) -> int:
        """How many calls to the API have ended, by the log."""
        return sum('"event": "api call"' in line for line in self.lines)

    def kill(self) -> None:
        """As kill -9 does, or a power cut."""
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds: float = 60.0) -> int:
        """SIGTERM; gives the exit code. Fails where that takes longer."""
        self.process.send_signal(signal.SIGTERM)
        return self.ends(seconds)

    def ends(self, seconds: float = 60.0) -> int:
        """Waits until it has ended, and its log was read to the end; gives the exit code. Fails where that takes longer."""
        code = self.process.wait(seconds)
        self._reader.join(60)
        return code


class System:
    """The bot's surroundings, which outlive it."""

    def __init__(self, over: Over, workspace: Workspace, model: ReplayModel, api: Loopback, folder: Path) -> None:
        self.over = over
        self.workspace = workspace
        self.model = model
        self.api = api
        self.folder = folder
        self.programs: list[Program] = []
        self.port = free_port()
        self.database = opened_before("sqlite", folder)
        self.clock: Path | None = None  # a file with the seconds by which the machine's is wrong
        self.more: dict[str, str] = {}  # settings of all processes
        (folder / "apis.yaml").write_text(CATALOG)
        workspace.connect(f"http://127.0.0.1:{self.port}")

    def launch(self, *arguments: str, terminal: str = "", **more: str) -> Program:
        """Starts a process without waiting for it, at a terminal of this name if there is one."""
        settings = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            **{name.upper(): value for name, value in way_in(self.over, self.workspace.signing_secret).items()},
            "SLACK_BOT_TOKEN": self.workspace.bot_token,
            "SLACK_CHANNEL": "C0HR",
            "SLACK_API_URL": self.workspace.api_url,
            "OPENAI_API_KEY": "sk-replayed",
            "OPENAI_BASE_URL": self.model.base_url,
            "HR_API_URL": self.api.url,
            "APIS_FILE": "apis.yaml",
            "DATABASE_URL": self.database,
            **({"JOURNAL_KEY": KEY} if self.database.startswith("postgresql") else {}),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }
        fork = Fork(settings | self.more | more, self.folder, arguments, self.clock, terminal)
        self.programs.append(Program(fork, fork.open_log))
        return self.programs[-1]

    def start(self, *arguments: str, **more: str) -> Program:
        """Starts a process and waits until it serves; in socket mode, until Slack can reach it."""
        program = self.launch(*arguments, **more).wait_for("serving")
        return program.wait_for("connected") if self.over == "socket" else program

    def mention(self, words: str) -> str:
        """Ann's mention, acknowledged by the bot; gives its ts."""
        before = len(self.workspace.attempts)
        ts = self.workspace.say(ANN, f"@hr-bot {words}")
        self.workspace.wait(lambda: [a for a in self.workspace.attempts[before:] if a.reply.status == 200])
        return ts

    def said(self, ts: str) -> list[str]:
        """What the bot said in a thread."""
        return [m["text"] for m in self.workspace.messages("C0HR", ts) if m.get("bot_id")]

    def wait_for_answer(self, ts: str, text: str, seconds: float = 60) -> None:
        self.workspace.wait(lambda: text in self.said(ts), seconds)

    def card(self, ts: str, *, but: Container[str] = ()) -> str:
        """The ts of the card with buttons in a thread, once it is there. One that was pressed has its buttons for a moment: `but` which."""

        def look() -> str:
            shown = [m for m in self.workspace.messages("C0HR", ts) if has_buttons(m) and m["ts"] not in but]
            return str(shown[-1]["ts"]) if shown else ""

        return self.workspace.wait(look)

    def buttons(self, ts: str) -> list[str]:
        """The buttons that a message has now."""
        blocks = (self.workspace.message("C0HR", ts) or {}).get("blocks", [])
        return [element["action_id"] for block in blocks if block["type"] == "actions" for element in block["elements"]]

    def shown(self, ts: str) -> str:
        """All that a message shows, as text."""
        return json.dumps(self.workspace.message("C0HR", ts), ensure_ascii=False)

    def writes(self) -> list[Request]:
        return [request for request in list(self.api.requests) if request.method != "GET"]

    def rest(self) -> None:
        """Until the store has nothing left to do."""
        deadline = time.monotonic() + 60
        with reading(self.database) as engine:
            while not self._rests(engine):
                assert time.monotonic() < deadline, [*self.open("turns"), *self.open("posts")]
                time.sleep(0.02)

    def _rests(self, engine: Engine) -> bool:
        with engine.connect() as db:
            return not db.scalar(text(_UNDER_WAY))

    def open(self, table: str, *states: str) -> list[dict[str, Any]]:
        """Its rows in these states, or in any that is not the end."""
        states = states or ("waiting", "running", "due")
        return [row for row in rows(self.database, table) if row["state"] in states]


def only_token(system: System) -> str:
    """What the buttons of the only proposal carried."""
    (row,) = rows(system.database, "proposals")
    return str(row["token"])


def has_buttons(message: dict[str, Any]) -> bool:
    return any(block["type"] == "actions" for block in message.get("blocks", []))


def api_answer(request: Request) -> Reply:
    if request.method == "GET":
        return as_json({"data": [{"id": 7, "first_name": "Tom"}]})
    return as_json({"id": 15}, 201) if request.method == "POST" else Reply(204, b"", {})


@pytest.fixture
def system(tmp_path: Path, over: Over) -> Iterator[System]:
    with (
        Workspace(
            retry_delays=(0.1, 0.3, 1.0, 3.0, 10.0), app_token=AppToken() if over == "socket" else None
        ) as workspace,
        ReplayModel() as model,
        Loopback(api_answer) as api,
    ):
        system = System(over, workspace, model, api, tmp_path)
        yield system
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


LIST = call(("GET", "/api/users?page=1"))
REMOVE = call(("DELETE", "/api/users/7"))
HIRE = call(("POST", "/api/users", {"first_name": "Zoe"}))


# --- killed -----------------------------------------------------------------------------------------------------------


def test_killed_right_after_the_200_of_a_mention(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    program = system.start()
    ts = system.mention("hi")
    program.kill()
    system.start()
    system.wait_for_answer(ts, "hello Ann")
    system.rest()
    assert system.said(ts) == ["hello Ann"]
    assert [r["count"] for r in system.workspace.reactions("C0HR", ts)] == [1]


def test_killed_before_anything_about_a_mention_was_looked_up(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    system.workspace.fault("auth.test", "ratelimited", times=100)
    program = system.start()
    ts = system.mention("hi")
    program.kill()
    system.workspace.clear_faults()
    system.start()
    system.wait_for_answer(ts, "hello Ann")
    system.rest()
    assert system.said(ts) == ["hello Ann"]


def test_killed_during_a_model_call_a_read_and_a_write_that_needs_nobody(system: System) -> None:
    """Each in a thread of its own. The model is asked the very same again, the API is asked again, and the write is not sent again."""
    system.model.script("hi", [answer("hello Ann")])
    system.model.script("who?", [LIST, answer("Tom")])
    system.model.script("hire Zoe", [HIRE, answer("please look")])
    program = system.start()
    system.api.hold()
    read = system.mention("who?")
    system.api.wait(lambda: system.api.requests)
    write = system.mention("hire Zoe")
    system.api.wait(system.writes)
    system.model.hold()
    talk = system.mention("hi")
    system.model.wait(lambda: system.model.conversation("hi"))
    program.kill()
    system.api.release()
    system.model.release()
    system.start()
    last_words = {read: "Tom", write: "please look", talk: "hello Ann"}
    for ts, words in last_words.items():
        system.wait_for_answer(ts, words)
    system.rest()
    assert {ts: system.said(ts) for ts in last_words} == {ts: [words] for ts, words in last_words.items()}
    first, last = system.model.conversation("hi")
    assert first == last
    assert len(system.writes()) == 1
    assert json.loads(told(system, "hire Zoe"))["outcome"] == "unknown"


def test_killed_while_a_card_waits_what_the_models_server_added_is_still_given_back(system: System) -> None:
    thoughts = {
        "reasoning_content": "Tom is id 7.",
        "reasoning_details": [{"index": 0, "data": "opaque+thoughts", "score": 0.50}],
    }
    signed = {"extra_content": {"google": {"thought_signature": "opaque+signature"}}}
    made = {**REMOVE, **thoughts, "tool_calls": [one | signed for one in REMOVE["tool_calls"]]}
    system.model.script("remove Tom", [made, answer("Removed.")])
    program = system.start()
    ts = system.mention("remove Tom")
    system.card(ts)
    program.kill()
    system.start()
    approved(system, ts)
    system.wait_for_answer(ts, "Removed.")
    system.rest()
    (reply,) = [m for m in system.model.conversation("remove Tom")[-1] if m["role"] == "assistant"]
    assert {name: reply[name] for name in thoughts} == thoughts
    assert reply["tool_calls"][0]["extra_content"] == signed["extra_content"]
    written = json.dumps(system.workspace.messages("C0HR", ts)) + "".join(
        line for one in system.programs for line in one.lines
    )
    assert not [secret for secret in ("Tom is id 7", "opaque+thoughts", "opaque+signature") if secret in written]


def approved(system: System, ts: str) -> str:
    """Presses Approve on the thread's card; gives the card's ts."""
    card = system.card(ts)
    assert system.workspace.click(ANN, card, "approve") == 200
    return card


def told(system: System, words: str) -> str:
    """What the model was told last in the conversation that begins with `words`."""
    return str([m["content"] for m in system.model.conversation(words)[-1] if m["role"] == "tool"][-1])


def test_killed_between_the_200_of_an_approval_and_the_write(system: System) -> None:
    """The click is recorded and nobody has looked at it: Slack's directory, asked again after a restart, is silent."""
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    first = system.start()
    ts = system.mention("remove Tom")
    system.card(ts)
    first.kill()
    system.workspace.fault("users.info", "ratelimited", times=100, retry_after=30)
    second = system.start()
    card = approved(system, ts)
    second.kill()
    assert system.writes() == []
    system.workspace.clear_faults()
    system.start()
    system.wait_for_answer(ts, "Tom is gone")
    system.rest()
    assert [request.path for request in system.writes()] == ["/api/users/7"]
    assert "Approved and done" in system.shown(card)


def test_killed_after_slack_took_the_answer_and_before_the_bot_knew(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    program = system.start()
    system.workspace.fault("chat.postMessage", "timeout", seconds=30)
    ts = system.mention("hi")
    system.wait_for_answer(ts, "hello Ann")
    program.kill()
    system.start()
    system.rest()
    assert system.said(ts) == ["hello Ann"]
    assert len(system.workspace.calls_of("chat.postMessage")) == 1


def test_killed_after_slack_took_the_card_and_before_the_bot_knew(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    program = system.start()
    system.workspace.fault("chat.postMessage", "timeout", seconds=30)
    ts = system.mention("remove Tom")
    system.card(ts)
    program.kill()
    system.start()
    card = approved(system, ts)
    system.wait_for_answer(ts, "Tom is gone")
    system.rest()
    assert len(system.said(ts)) == 2
    assert "Approved and done" in system.shown(card)
    assert len(system.writes()) == 1


def test_a_pending_approval_survives_several_kills_and_still_works(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    program = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    for _ in range(2):
        until(lambda: not any(row["taken_by"] for row in rows(system.database, "turns")))  # it waits for people alone
        program.kill()
        program = system.start()
    assert system.card(ts) == card
    approved(system, ts)
    system.wait_for_answer(ts, "Tom is gone")
    system.rest()
    assert len(system.writes()) == 1
    assert len(system.said(ts)) == 2
    assert len(system.model.conversation("remove Tom")) == 2


def test_a_message_kept_while_a_decision_waits_survives_a_kill(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone"), answer("you're welcome")])
    program = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    system.workspace.say(ANN, "@hr-bot and thank you", thread_ts=ts)
    system.workspace.wait(lambda: system.workspace.ephemerals(ANN))
    until(lambda: not system.open("posts", "due"))
    program.kill()
    system.start()
    assert len(system.said(ts)) == 1
    system.workspace.click(ANN, card, "approve")
    system.wait_for_answer(ts, "you're welcome")
    system.rest()
    assert system.said(ts)[1:] == ["Tom is gone", "you're welcome"]
    assert len(system.workspace.ephemerals(ANN)) == 1


@BOTH_WAYS
def test_a_mention_while_the_bot_is_down_is_taken_when_slack_sends_it_again(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    ts = system.workspace.say(ANN, "@hr-bot hi")
    system.workspace.wait(lambda: system.workspace.attempts)
    system.start()
    system.wait_for_answer(ts, "hello Ann")
    system.rest()
    assert system.said(ts) == ["hello Ann"]


def test_killed_again_and_again_while_a_turn_waits_for_a_model_that_has_no_time(system: System) -> None:
    """The wait goes on where it was: nothing is asked early, and such a turn has done nothing that could have killed its process."""
    busy = as_json({"error": {"message": "slow down"}}, 429, **{"Retry-After": "15"})
    done = as_json({"choices": [{"message": answer("At last."), "finish_reason": "stop"}]})
    with Loopback(lambda _: busy if len(model.requests) < 2 else done) as model:
        program = system.start(OPENAI_BASE_URL=f"{model.url}/v1")
        began = time.monotonic()
        ts = system.mention("hi")
        program.wait_for("the model is busy; the turn waits")
        for _ in range(2):
            program.kill()
            program = system.start(OPENAI_BASE_URL=f"{model.url}/v1")
        system.wait_for_answer(ts, "At last.")
        assert time.monotonic() - began >= 15
        system.rest()
        assert (system.said(ts), len(model.requests)) == (["At last."], 2)


# --- killed between two steps of an approved write --------------------------------------------------------------------


class Relay:
    """Hands connections on; while it is deaf, takes them and hands nothing on. Deaf ones stay so. For use in a `with`."""

    def __init__(self, goal: str) -> None:
        self.is_deaf = False
        self._goal = goal.removeprefix("http://").split(":")
        self._acceptor = Acceptor(self._take)
        self._taken: list[socket.socket] = []
        self.port = self._acceptor.port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._acceptor.stop()
        for one in self._taken:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def heard(self) -> bool:
        """Whether somebody is talking to deaf ears."""
        return self.is_deaf and bool(self._taken)

    def _take(self, here: socket.socket) -> None:
        if self.is_deaf:
            self._taken.append(here)
        else:
            self._connect(here)

    def _connect(self, here: socket.socket) -> None:
        self._between(here, socket.create_connection((self._goal[0], int(self._goal[1]))))

    def _between(self, here: socket.socket, there: socket.socket) -> None:
        for pair in ((here, there), (there, here)):
            threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def nobody_writes(system: System) -> Iterator[None]:
    """Holds the database's one right to write, so that the program stops at its next step."""
    db = sqlite3.connect(system.folder / "bot.db", timeout=10, isolation_level=None)
    db.execute("begin immediate")
    try:
        yield
    finally:
        db.close()


def at_the_second_look(system: System) -> None:
    """The vote is recorded; the API was asked for the target again and has not answered."""
    system.api.wait(lambda: len(system.api.requests) == 2)


def kill_after_the_vote(system: System, program: Program, relay: Relay) -> None:
    at_the_second_look(system)
    program.kill()


def kill_after_the_second_look(system: System, program: Program, relay: Relay) -> None:
    at_the_second_look(system)
    with nobody_writes(system):
        system.api.release()
        until(lambda: program.calls() == 2)
        program.kill()


def kill_after_the_mark(system: System, program: Program, relay: Relay) -> None:
    at_the_second_look(system)
    relay.is_deaf = True
    system.api.release()
    until(relay.heard)
    program.kill()
    relay.is_deaf = False


def kill_after_the_api_got_it(system: System, program: Program, relay: Relay) -> None:
    at_the_second_look(system)
    system.api.release_one()
    system.api.wait(system.writes)
    program.kill()


def kill_after_the_api_answered(system: System, program: Program, relay: Relay) -> None:
    at_the_second_look(system)
    system.api.release_one()
    system.api.wait(system.writes)
    with nobody_writes(system):
        system.api.release()
        until(lambda: program.calls() == 3)
        program.kill()


STEPS: list[tuple[Callable[[System, Program, Relay], None], str, int]] = [
    (kill_after_the_vote, "done", 1),
    (kill_after_the_second_look, "done", 1),
    (kill_after_the_mark, "unknown", 0),
    (kill_after_the_api_got_it, "unknown", 1),
    (kill_after_the_api_answered, "unknown", 1),
]
ENDS = {
    "done": ("Approved and done", "204 No Content", ["approve", "send", "succeed"], []),
    "unknown": ("outcome unknown", "may or may not have happened", ["approve", "send", "lose"], ["check"]),
}


@pytest.mark.parametrize(("kill", "state", "writes"), STEPS, ids=[step[0].__name__ for step in STEPS])
def test_killed_between_two_steps_of_an_approved_write(
    system: System, kill: Callable[[System, Program, Relay], None], state: str, writes: int
) -> None:
    """At most one request leaves, and how it ended, or that nobody knows, is told to person, model and journal."""
    title, words, kinds, buttons_left = ENDS[state]
    (system.folder / "apis.yaml").write_text(WITH_PREVIEW)
    system.model.script("remove Tom", [REMOVE, answer("over")])
    with Relay(system.api.url) as relay:
        program = system.start(HR_API_URL=relay.url)
        ts = system.mention("remove Tom")
        system.card(ts)
        system.api.hold()
        card = approved(system, ts)
        kill(system, program, relay)
        system.api.release()
        system.start(HR_API_URL=relay.url)
        system.wait_for_answer(ts, "over")
        system.rest()
        system.workspace.click(ANN, card, "approve", value=only_token(system))
        system.rest()
    assert len(system.writes()) == writes
    assert [row["state"] for row in rows(system.database, "proposals")] == [state]
    assert title in system.shown(card)
    assert words in system.shown(card)
    assert [name for name in system.buttons(card) if name != "check"] == []
    assert system.buttons(card) == buttons_left
    assert json.loads(told(system, "remove Tom"))["outcome"] == state
    journal = Store(system.database).journal
    assert [
        line.kind for line in journal.lines() if line.kind in ("approve", "send", "succeed", "lose", "fail")
    ] == kinds
    assert journal.verify()[0] is None


# --- what waits while the bot is updated, or gets another key ---------------------------------------------------------


def withdrawn(system: System, ts: str, card: str) -> None:
    """The request is taken back with words, for people and for the model, and was not sent."""
    system.wait_for_answer(ts, "then not")
    system.rest()
    assert system.writes() == []
    assert SEALED_OTHERWISE in system.shown(card)
    assert system.buttons(card) == []
    assert json.loads(told(system, "remove Tom"))["outcome"] in ("withdrawn", "failed")


@pytest.mark.parametrize("state", ["pending", "approved"])
def test_a_request_of_an_earlier_version_is_withdrawn_with_words(system: System, state: str) -> None:
    system.model.script("remove Tom", [REMOVE, answer("then not")])
    program = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    program.kill()
    with sqlite3.connect(system.folder / "bot.db") as db:
        db.execute("update proposals set seal = ''")
        if state == "approved":
            db.execute(
                "update proposals set state = 'approved', decided_by = 'U0ANN', decided_at = 1, votes = '[\"U0ANN\"]'"
            )
    system.start()
    withdrawn(system, ts, card)


@pytest.mark.parametrize("engine", ENGINES)
def test_another_journal_key_stops_the_start_until_a_new_chain_begins(system: System, engine: str) -> None:
    (system.folder / "new").mkdir()
    system.database = fresh_database(engine, system.folder / "new")
    system.model.script("remove Tom", [REMOVE, answer("then not")])
    program = system.start(JOURNAL_KEY="the old one")
    ts = system.mention("remove Tom")
    card = system.card(ts)
    assert program.terminate() == 0

    stopped = system.launch(JOURNAL_KEY="the new one")
    assert stopped.ends() == 2
    assert "JOURNAL_KEY does not match the journal" in stopped.lines[-1]
    assert "python bot.py journal --rekey" in stopped.lines[-1]
    assert journal_command(system, "--rekey", key="the new one").startswith("A new chain starts at entry ")

    system.start(JOURNAL_KEY="the new one")
    withdrawn(system, ts, card)
    assert "the chain is intact" in journal_command(system, "--verify", key="the new one")


def journal_command(system: System, *arguments: str, key: str) -> str:
    """What `python bot.py journal` prints."""
    settings = {"PATH": os.environ.get("PATH", ""), "DATABASE_URL": system.database, "JOURNAL_KEY": key}
    done = command(settings, system.folder, "journal", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- stopped ----------------------------------------------------------------------------------------------------------


def test_a_sigterm_ends_an_idle_bot_with_exit_code_0(system: System) -> None:
    assert system.start().terminate() == 0


def test_the_journals_head_is_in_the_log_at_the_start_and_at_the_end_and_kept_beside_the_database(
    system: System,
) -> None:
    """Between them hourly, and not with each turn."""
    system.model.script("hi", [answer("hello Ann")])
    program = system.start()
    system.wait_for_answer(system.mention("hi"), "hello Ann")
    system.wait_for_answer(system.mention("hi"), "hello Ann")
    system.rest()
    assert program.terminate() == 0
    program.wait_for("stopped")
    heads = [json.loads(line)["head"] for line in program.lines if '"event": "journal head"' in line]
    store = Store(system.database)
    assert heads == [f"0:{'0' * 64}", str(store.journal.head())]
    assert (system.folder / "bot.db.journal-head").read_text().startswith(heads[-1])
    assert store.journal.missing() is None


def test_the_files_of_the_database_are_for_the_bots_user_alone(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    (system.folder / "new").mkdir()
    system.database = fresh_database("sqlite", system.folder / "new")
    program = system.start()
    system.wait_for_answer(system.mention("hi"), "hello Ann")
    modes = {file.name: file.stat().st_mode & 0o777 for file in (system.folder / "new").iterdir()}
    assert {"bot.db", "bot.db-wal", "bot.db-shm", "bot.db.journal-key"} < set(modes)
    assert set(modes.values()) == {0o600}
    program.kill()


def test_a_sigterm_ends_the_bot_within_ten_seconds_while_the_model_hangs_and_a_start_goes_on(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    system.model.hold()
    program = system.start()
    ts = system.mention("hi")
    system.model.wait(lambda: system.model.requests)
    assert program.terminate(seconds=10) == 0
    system.model.release()
    system.start()
    system.wait_for_answer(ts, "hello Ann")
    system.rest()
    assert system.said(ts) == ["hello Ann"]


def test_a_sigterm_lets_a_write_that_is_under_way_end(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    program = system.start()
    ts = system.mention("remove Tom")
    system.card(ts)
    system.api.hold()
    card = approved(system, ts)
    system.api.wait(system.writes)
    threading.Thread(target=release_once_stopping, args=(program, system.api), daemon=True).start()
    assert program.terminate() == 0
    system.start()
    system.wait_for_answer(ts, "Tom is gone")
    system.rest()
    assert len(system.writes()) == 1
    assert "Approved and done" in system.shown(card)


def release_once_stopping(program: Program, api: Loopback) -> None:
    program.wait_for("stopping")
    api.release()


def test_a_second_process_waits_for_the_first_and_then_takes_over(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    first = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    second = system.launch(PORT=str(system.port))
    second.wait_for("waiting")
    third = system.launch()
    third.wait_for("waiting")
    assert third.terminate() == 0
    assert not second.has_said("serving")
    first.kill()
    second.wait_for("serving")
    approved(system, ts)
    system.wait_for_answer(ts, "Tom is gone")
    system.rest()
    assert "Approved and done" in system.shown(card)
    assert len(system.writes()) == 1


# --- ended twice in the middle of the same ----------------------------------------------------------------------------


def kill_in_the_model_call(system: System, program: Program, calls: int) -> None:
    """The model has been asked so often by now, and has not answered."""
    wait_asked(system, calls)
    program.kill()


def wait_asked(system: System, times: int) -> None:
    system.model.wait(lambda: len(system.model.requests) == times)


def kill_while_it_looks_up_who_ann_is(system: System, program: Program, times: int) -> None:
    system.workspace.wait(lambda: len(system.workspace.calls_of("users.info")) == times)
    program.kill()


def test_a_turn_in_whose_middle_the_process_ended_twice_is_set_aside_with_words(system: System) -> None:
    system.model.script("hi", [answer("hello Ann"), answer("yes, Ann")])
    system.model.hold()
    program = system.start()
    ts = system.mention("hi")
    kill_in_the_model_call(system, program, 1)
    kill_in_the_model_call(system, system.start(), 2)
    program = system.start()
    system.wait_for_answer(ts, SET_ASIDE)
    system.rest()
    assert len(system.model.requests) == 2
    assert program.wait_for("turn set aside")
    (noted,) = [row["data"] for row in rows(system.database, "journal") if row["kind"] == "set aside"]
    assert json.loads(noted) == {"asker": ANN, "ends": 2}

    system.model.release()
    system.workspace.say(ANN, "@hr-bot still there?", thread_ts=ts)
    system.wait_for_answer(ts, "yes, Ann")
    assert system.said(ts) == [SET_ASIDE, "yes, Ann"]


def test_an_end_by_sigterm_does_not_count(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    system.model.hold()
    program = system.start()
    ts = system.mention("hi")
    for calls in (1, 2, 3):
        wait_asked(system, calls)
        assert program.terminate() == 0
        program = system.start()
    kill_in_the_model_call(system, program, 4)
    system.model.release()
    system.start()
    system.wait_for_answer(ts, "hello Ann")
    system.rest()
    assert system.said(ts) == ["hello Ann"]


def test_a_turn_that_got_on_between_two_ends_is_not_set_aside(system: System) -> None:
    first, second = Late(LIST), Late(LIST)
    system.model.script("who?", [first, second, answer("Tom")])
    program = system.start()
    ts = system.mention("who?")
    kill_in_the_model_call(system, program, 1)
    program = system.start()
    wait_asked(system, 2)
    first.let_go()
    kill_in_the_model_call(system, program, 3)
    system.start()
    wait_asked(system, 4)
    second.let_go()
    system.wait_for_answer(ts, "Tom")
    system.rest()
    assert system.said(ts) == ["Tom"]


def test_a_question_that_nobody_got_to_look_into_twice_is_set_aside_with_words(system: System) -> None:
    system.workspace.fault("users.info", "timeout", seconds=60, times=2)
    program = system.start()
    ts = system.mention("hi")
    for times in (1, 2):
        kill_while_it_looks_up_who_ann_is(system, program, times)
        program = system.start()
    system.wait_for_answer(ts, SET_ASIDE)
    system.rest()
    assert system.said(ts) == [SET_ASIDE]
    assert system.model.requests == []
    assert rows(system.database, "turns") == []


def test_a_click_that_nobody_got_to_look_into_twice_is_set_aside_and_told_to_who_clicked(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    program = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    program.kill()
    system.workspace.fault("users.info", "timeout", seconds=60, times=2)
    program = system.start()
    approved(system, ts)
    for times in (2, 3):
        kill_while_it_looks_up_who_ann_is(system, program, times)
        program = system.start()
    told = system.workspace.wait(lambda: system.workspace.ephemerals(ANN))
    assert [message["text"] for message in told] == [SET_ASIDE]
    assert system.writes() == []

    system.workspace.click(ANN, card, "approve")
    system.wait_for_answer(ts, "Tom is gone")
    assert len(system.writes()) == 1


def test_an_approved_write_in_whose_middle_the_process_ended_twice_is_not_sent(system: System) -> None:
    (system.folder / "apis.yaml").write_text(WITH_PREVIEW)
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    program = system.start()
    ts = system.mention("remove Tom")
    system.card(ts)
    system.api.hold()
    card = approved(system, ts)
    at_the_second_look(system)
    program.kill()
    program = system.start()
    system.api.wait(lambda: len(system.api.requests) == 3)
    program.kill()
    system.start()
    system.wait_for_answer(ts, SET_ASIDE)
    system.api.release()
    system.rest()
    assert system.writes() == []
    assert "Approved, but not sent" in system.shown(card)


def test_of_several_in_whose_middle_the_process_ended_the_one_is_set_aside_that_was_alone(system: System) -> None:
    """Two power cuts are no fault of the questions that were under way; after a third each is worked on alone, so that it shows."""
    names = ("one", "two", "three")
    late = {name: Late(answer(f"{name} is done")) for name in names}
    for name in names:
        system.model.script(name, [late[name]])
    program = system.start()
    threads = {system.mention(name): name for name in names}
    for calls in (3, 6, 9):
        kill_in_the_model_call(system, program, calls)
        program = system.start()
    wait_asked(system, 10)
    system.model.script("new", [answer("new is done")])
    threads[system.mention("new")] = "new"  # waits for them
    for calls in (10, 11):
        wait_asked(system, calls)
        late[said_last(system)].let_go()
    kill_in_the_model_call(system, program, 12)  # alone with the last of them, and once more
    last = said_last(system)
    assert set(names) == {said_last(system, back) for back in (1, 2, 3)}
    kill_in_the_model_call(system, system.start(), 13)
    system.start()
    system.workspace.wait(lambda: all(system.said(ts) for ts in threads))
    system.rest()
    for ts, name in threads.items():
        assert system.said(ts) == [SET_ASIDE if name == last else f"{name} is done"]


def said_last(system: System, back: int = 1) -> str:
    """The words of the person in the model's last request, or in one before it."""
    return str([m["content"] for m in system.model.requests[-back].json()["messages"] if m["role"] == "user"][-1])


# --- killed at any time -----------------------------------------------------------------------------------------------

KINDS: dict[str, list[Any]] = {
    "talk": [answer("done: {}")],
    "look": [LIST, answer("done: {}")],
    "hire": [HIRE, answer("done: {}")],
    "remove": [REMOVE, answer("done: {}")],
}
ROUNDS = 5


def test_killed_at_any_time_each_mention_is_answered_once_and_no_write_is_sent_twice(system: System) -> None:
    (system.folder / "apis.yaml").write_text(WITH_PREVIEW)
    dice = random.Random(20261121)
    system.model.pause = system.api.pause = 0.03  # so that many a kill falls into a call
    asked: dict[str, str] = {}
    for number in range(ROUNDS):
        program = system.start()
        for kind in dice.sample(sorted(KINDS), 2):
            words = f"{kind} {number}"
            system.model.script(words, [*KINDS[kind][:-1], answer(f"done: {words}")])
            asked[system.mention(words)] = words
        if dice.random() < 0.3:
            system.workspace.fault("chat.postMessage", "timeout", seconds=1.0)
        time.sleep(dice.uniform(0, 0.15))  # the moment of the kill is the point of this test
        press(system, asked, lambda: dice.random() < 0.7)
        time.sleep(dice.uniform(0, 0.15))
        program.kill()
    system.model.pause = system.api.pause = 0.0
    system.workspace.clear_faults()
    system.start()
    finish(system, asked)
    for ts, words in asked.items():
        assert system.said(ts).count(f"done: {words}") == 1, system.said(ts)
        assert len(system.said(ts)) == (2 if words.startswith("remove") else 1), system.said(ts)
    sent = Counter(request.headers["idempotency-key"] for request in system.writes())
    assert set(sent.values()) <= {1}
    assert len(sent) <= sum(words.startswith(("hire", "remove")) for words in asked.values())
    states = Counter(row["state"] for row in rows(system.database, "proposals"))
    assert set(states) <= {"done", "unknown"}
    assert states["done"] <= len(sent)
    assert {row["state"] for row in rows(system.database, "turns")} == {"done"}
    for row in rows(system.database, "proposals"):
        if row["decided_by"]:
            (card,) = [p for p in rows(system.database, "posts") if p["post"] == row["card"]]
            expected = {"done": "Approved and done", "unknown": "outcome unknown"}[row["state"]]
            assert expected in system.shown(card["ts"])


def press(system: System, asked: dict[str, str], chance: Callable[[], bool]) -> None:
    """Presses Approve on those of the cards for which `chance` comes up."""
    for ts in asked:
        for message in system.workspace.messages("C0HR", ts):
            if has_buttons(message) and chance():
                system.workspace.click(ANN, message["ts"], "approve")


def finish(system: System, asked: dict[str, str]) -> None:
    """Approves whatever still waits, until every mention has its answer and the store rests."""

    def all_answered() -> bool:
        press(system, asked, lambda: True)
        return all(f"done: {words}" in system.said(ts) for ts, words in asked.items())

    until(all_answered, seconds=180)
    system.rest()


# --- over the socket --------------------------------------------------------------------------------------------------


class OneWay(Relay):
    """From Slack to the bot; what the bot says gets lost while it is `muted`."""

    def __init__(self, goal: str) -> None:
        super().__init__(goal.removeprefix("ws://").partition("/")[0])
        self.url = self.url.replace("http", "ws") + "/link/"
        self.muted = False

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        is_bots = source.getsockname()[1] == self.port
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if not (is_bots and self.muted):
                    sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)


SOCKET = pytest.mark.parametrize("over", ["socket"])


@SOCKET
def test_killed_between_the_record_of_a_mention_and_its_ack(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    with OneWay(system.workspace.world.socket_url) as relay:
        system.workspace.world.socket_url = relay.url
        program = system.start()
        relay.muted = True
        ts = system.workspace.say(ANN, "@hr-bot hi")
        until(lambda: recorded(system) == ["mention"])
        program.kill()
        assert [a for a in system.workspace.attempts if a.reply.ok] == []
        relay.muted = False
        system.start()
        system.wait_for_answer(ts, "hello Ann")
        system.workspace.wait(lambda: [a for a in system.workspace.attempts if a.reply.ok])
        system.rest()
    assert system.said(ts) == ["hello Ann"]
    assert recorded(system) == ["mention"]


@SOCKET
def test_killed_before_the_record_of_a_mention_leaves_it_with_slack(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    program = system.start()
    with nobody_writes(system):
        ts = system.workspace.say(ANN, "@hr-bot hi")
        system.workspace.wait(lambda: system.workspace.attempts)
        assert not system.workspace.attempts[0].reply.ok
        program.kill()
    assert recorded(system) == []
    system.start()
    system.wait_for_answer(ts, "hello Ann")
    system.rest()
    assert system.said(ts) == ["hello Ann"]


@SOCKET
def test_killed_between_the_record_of_an_approval_and_its_ack(system: System) -> None:
    """Slack tries a gesture once, and the person sees an error; but the decision counts, and is carried out once."""
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    with OneWay(system.workspace.world.socket_url) as relay:
        system.workspace.world.socket_url = relay.url
        program = system.start()
        ts = system.mention("remove Tom")
        card = system.card(ts)
        relay.muted = True
        system.workspace.fault("users.info", "ratelimited", times=100, retry_after=30)
        assert system.workspace.click(ANN, card, "approve") == 0
        program.kill()
        system.workspace.clear_faults()
        relay.muted = False
        system.start()
        system.wait_for_answer(ts, "Tom is gone")
        system.rest()
    assert [request.path for request in system.writes()] == ["/api/users/7"]
    assert "Approved and done" in system.shown(card)


@SOCKET
def test_sigterm_closes_the_socket_first_and_what_comes_then_waits_at_slack(system: System) -> None:
    system.model.script("hi", [answer("hello Ann")])
    system.model.hold()
    program = system.start()
    ts = system.mention("hi")
    system.model.wait(lambda: system.model.requests)
    program.process.send_signal(signal.SIGTERM)
    system.workspace.wait(lambda: system.workspace.connections == 0)
    assert program.process.poll() is None  # it waits for the model, and hears nothing more
    later = system.workspace.say(ANN, "@hr-bot still there?")
    system.model.release()
    assert program.process.wait(60) == 0
    system.model.script("still there?", [answer("yes, Ann")])
    system.start()
    system.wait_for_answer(ts, "hello Ann")
    system.wait_for_answer(later, "yes, Ann")
    system.rest()
    assert (system.said(ts), system.said(later)) == (["hello Ann"], ["yes, Ann"])


@SOCKET
def test_a_wrong_app_level_token_is_told_in_the_log_and_by_readyz(system: System) -> None:
    program = system.launch(SLACK_APP_TOKEN="xapp-wrong").wait_for("slack says no")
    (line,) = [json.loads(line) for line in program.lines if '"slack says no"' in line]
    assert (line["method"], line["error"]) == ("apps.connections.open", "invalid_auth")
    assert "put an app-level token (xapp-...)" in line["hint"]
    until(lambda: ready(system)[1]["slack"] == "ok")  # asked of it is who the bot is, meanwhile
    status, checks = ready(system)
    assert (status, checks["socket"], checks["database"]) == (503, "not connected", "ok")


def test_a_designated_channel_that_slack_does_not_have_is_told_in_the_log(system: System) -> None:
    program = system.launch(SLACK_CHANNEL="#nowhere").wait_for("no such channel")
    (line,) = [json.loads(line) for line in program.lines if '"no such channel"' in line]
    assert (line["channel"], "SLACK_CHANNEL" in line["hint"]) == ("#nowhere", True)


def recorded(system: System) -> list[str]:
    """The kinds of what was recorded."""
    return [row["kind"] for row in rows(system.database, "inbox")]


def ready(system: System) -> tuple[int, dict[str, str]]:
    """What /readyz says."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=60)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
