"""`python -m demo`, which is `make demo`: one command starts everything, the page works, and one signal ends everything.

It runs in a copy of the project, since its data lie beside its code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click import ClickException

from demo.__main__ import Plan, read_catalog
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.ports import free_ports, listens
from tests.harness.whole_bot import buttons, card_text

pytestmark = [pytest.mark.programs, pytest.mark.xdist_group("demo")]  # one after the other, with one demo
ROOT = Path(__file__).parents[2]
Json = dict[str, Any]
T = TypeVar("T")


def wait_until(look: Callable[[], T], seconds: float = 60) -> T:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return found


@dataclass
class Demo:
    """The running demo and what a browser does with it."""

    process: subprocess.Popen[str]
    port: int
    bot_port: int
    directory: Path
    told: str  # at its start

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return str(answer.read().decode())

    def act(self, name: str, **body: object) -> Any:
        data = json.dumps({"me": "U0ANN", **body}).encode()
        request = urllib.request.Request(
            f"{self.url}/page/act/{name}", data, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["result"]

    def replies(self, thread: str) -> list[Json]:
        """The bot's messages in a thread, as the page gets them."""
        messages = json.loads(self.get("/page/state?me=U0ANN"))["messages"]["C0HR"]
        return [m for m in messages if m.get("thread_ts") == thread and m.get("bot_id")]

    @property
    def state(self) -> Json:
        """What the page shows to Ann."""
        state: Json = json.loads(self.get("/page/state?me=U0ANN"))
        return state

    def ask(self, text: str) -> list[Json]:
        """Asks in the channel, and waits for the bot's first message that is whole."""
        thread = self.act("say", text=f"@hr-bot {text}", channel="C0HR", thread_ts=None)
        wait_until(lambda: self.replies(thread))
        wait_until(lambda: '"Stop"' not in json.dumps(self.replies(thread)))
        return self.replies(thread)


def start(directory: Path, *options: str, **environ: str) -> subprocess.Popen[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *options],
        cwd=directory,
        env=kept | {"PYTHONUNBUFFERED": "1"} | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def copied(directory: Path) -> Path:
    """A copy of what the demo needs, in a directory with a blank in its name; compiled as far as the original is."""
    copy = directory / "a copy"
    skipped = shutil.ignore_patterns(".*", "*.db*", "demo-data", "tests", "bench", "docs", "deploy")
    shutil.copytree(ROOT, copy, ignore=skipped)
    return copy


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("demo"))


@contextmanager
def running(project: Path, *options: str, **environ: str) -> Iterator[Demo]:
    """The demo, from when it says that it is ready."""
    port = free_ports(4)  # two more are the demo's own, and the last one is the bot's
    bot_port = port + 3
    process = start(project, "--port", str(port), "--bot-port", str(bot_port), *options, **environ)
    assert process.stdout is not None
    try:
        told = ""
        while "Ctrl-C ends everything." not in told:
            line = process.stdout.readline()
            assert line, f"it ended: {told}"
            told += line
        yield Demo(process, port, bot_port, project, told)
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def demo(project: Path) -> Iterator[Demo]:
    with running(project) as demo:
        yield demo


def test_the_page_answers(demo: Demo) -> None:
    assert "hr-bot" in demo.get("/")
    assert "function" in demo.get("/page/page.js")


def test_a_mention_on_the_page_gets_an_answer_from_the_api(demo: Demo) -> None:
    thread = demo.act("say", text="@hr-bot who joined in March?", channel="C0HR", thread_ts=None)

    wait_until(lambda: [one for one in demo.replies(thread) if "Priya Nair" in json.dumps(one["blocks"])])
    wait_until(lambda: '"Stop"' not in json.dumps(demo.replies(thread)))
    assert len(demo.replies(thread)) == 1


def test_a_removal_waits_for_the_button(demo: Demo) -> None:
    employees = demo.directory / "demo-data" / "hr.json"
    assert "remove Tom Berg" in demo.told
    thread = demo.act("say", text="@hr-bot remove Tom Berg", channel="C0HR", thread_ts=None)
    card = wait_until(lambda: demo.replies(thread))[0]
    assert "/api/users/7" in card_text(card)
    assert '"Tom"' in employees.read_text()

    demo.act("click", ts=card["ts"], channel="C0HR", action_id="approve", value=buttons(card)["approve"])

    wait_until(lambda: len(demo.replies(thread)) == 2)
    wait_until(lambda: "Approved and done" in card_text(demo.replies(thread)[0]))
    assert '"Tom"' not in employees.read_text()
    wait_until(lambda: "remove Tom Berg" not in demo.state["examples"])


def test_a_second_demo_on_the_same_ports_is_told_which_one_is_taken(demo: Demo, project: Path) -> None:
    second = start(project, "--port", str(demo.port), "--bot-port", str(demo.bot_port))
    told, _ = second.communicate(timeout=120)

    assert second.returncode != 0
    assert f"Port {demo.port}" in told
    assert "Traceback" not in told


def test_sigterm_ends_everything_and_a_second_run_goes_on_with_what_is_kept(demo: Demo) -> None:
    """Stands behind all that use the demo of the tests above: it ends it. The bot's database and the people of the HR API are the first
    run's; to the workspace everything is new."""
    offered = demo.state["examples"]
    assert offered
    demo.process.send_signal(signal.SIGTERM)
    told, _ = demo.process.communicate(timeout=120)

    assert demo.process.returncode == 0, told
    assert f"Open {demo.url}" in demo.told
    assert "Ended." in told
    assert "Traceback" not in told
    assert [port for port in range(demo.port, demo.port + 4) if listens(port)] == []
    log = demo.directory / "demo-data" / "bot.log"
    before = log.read_text()
    assert '"event": "stopped"' in before

    with running(demo.directory) as second:
        assert second.state["examples"] == offered
        assert set(offered) <= {line.strip().removeprefix("@hr-bot ") for line in second.told.splitlines()}
        for question in offered[:2]:
            assert second.ask(question), question
        assert "Priya Nair" in json.dumps(second.ask("who joined in March?"))
    assert log.read_text().startswith(before)


# --- a catalog of one's own -------------------------------------------------------------------------------------------

OWN = """\
name: Devices
base_url: ${DEVICES_URL}
approval: {approvers: ["@night-shift", U0123ABCD], quorum: 3, not_asker: true}
channels: {"#ops": {instructions: Be brief.}}
endpoints:
  - {method: GET, url: "/devices?site=[site]", description: Lists all devices. Each has a site.}
  - {method: GET, url: "/devices/[id]", description: Shows a device.}
  - {method: DELETE, url: "/devices/[id]", description: Retires a device.}
"""
MORE = "  - {method: GET, url: /sites, description: Lists sites.}\n"
DEVICES = [{"id": 1, "name": "Router A"}, {"id": 2, "name": "Switch B"}]


def devices(request: Request) -> Reply:
    """A small API of other people's."""
    path = request.path.partition("?")[0]
    found = {"/devices": DEVICES, "/devices/2": DEVICES[1], "/sites": [{"id": 1, "name": "Lisbon"}]}.get(path)
    return Reply(204) if request.method == "DELETE" else as_json(found)


@pytest.fixture(scope="module")
def api() -> Iterator[Loopback]:
    with Loopback(devices) as api:
        yield api


@pytest.fixture(scope="module")
def own(project: Path, api: Loopback) -> Iterator[Demo]:
    """The demo with that API, and with the catalog in the file `my own.yaml`."""
    (project / "my own.yaml").write_text(OWN)
    with running(project, "--apis", "my own.yaml", DEVICES_URL=api.url) as demo:
        yield demo


def test_the_demo_runs_with_a_catalog_and_an_api_of_ones_own(own: Demo, api: Loopback) -> None:
    assert f"Devices at {api.url}" in own.told
    assert "HR API" not in own.told
    state = own.state
    assert state["examples"] == ["GET /devices"]
    assert "@hr-bot GET /devices" in own.told
    assert "night-shift" in state["groups"].values()
    assert {"U0123ABCD", "U0CLE"} <= set(state["people"])
    assert "ops" in {channel["name"] for channel in state["channels"]}

    assert "I only follow a script" in json.dumps(own.ask("which devices are in Lisbon?"))
    assert "Switch B" in json.dumps(own.ask("GET /devices"))
    card = own.ask("DELETE /devices/2")[0]
    assert f"{api.url}/devices/2" in card_text(card)
    assert [one for one in api.requests if one.method == "DELETE"] == []
    for who in ("U0BEN", "U0CLE", "U0DEV"):  # three of the group's, as the catalog asks for
        own.act("click", me=who, ts=card["ts"], channel="C0HR", action_id="approve", value=buttons(card)["approve"])
    wait_until(lambda: [one for one in api.requests if one.method == "DELETE"])


def test_a_saved_change_is_taken_at_once_and_a_broken_one_is_told(own: Demo) -> None:
    """Stands behind the one above, whose catalog it changes."""
    file = own.directory / "my own.yaml"
    assert "Lisbon" not in json.dumps(own.ask("GET /sites"))

    file.with_name("new").write_text(OWN.replace("@night-shift", "@day-shift") + MORE)
    file.with_name("new").replace(file)  # as editors save
    wait_until(lambda: own.state["examples"] == ["GET /devices", "GET /sites"])
    assert "day-shift" in own.state["groups"].values()
    wait_until(lambda: "Lisbon" in json.dumps(own.ask("GET /sites")))

    file.write_text(OWN + "  - {method: GET, url: /sites/:id, description: d}\n")
    assert own.process.stdout is not None
    told = ""
    while "as it was before" not in told:
        told += own.process.stdout.readline()
    assert "my own.yaml was saved and is taken: 4 operations." in told
    assert "my own.yaml, endpoint 4, line 9: ':id' does not mark a placeholder here; write [id]." in told
    assert "Lisbon" in json.dumps(own.ask("GET /sites"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN, "my.yaml, line 2: base_url: DEVICES_URL is not set: set it in the environment"),
        (
            "base_url: http://127.0.0.1\nendpoints:\n  - {method: GET, url: /x}\n",
            "my.yaml, endpoint 1, line 3: 'description' is missing",
        ),
        ("", "my.yaml is empty"),
        (None, "my.yaml: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_catalog_is_told_in_words(tmp_path: Path, text: str | None, words: str) -> None:
    """By what `click` makes the end of a start: the words, an exit code, and no traceback."""
    file = tmp_path / "my.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ClickException, match=re.escape(words)):
        read_catalog(Plan(8800, 3000, file))


def test_a_catalog_that_cannot_be_taken_stops_the_start(project: Path) -> None:
    process = start(project, "--apis", "nowhere.yaml")
    told, _ = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "nowhere.yaml: No such file or directory" in told
    assert "Traceback" not in told
