"""`python -m workspace`, which is `make demo`: one command starts everything, the page works, and one signal ends everything.

It runs in a copy of the project, since its data lie beside its code.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.house import buttons, card_text

pytestmark = pytest.mark.xdist_group("demo")  # one after the other, with one demo
ROOT = Path(__file__).parent.parent
Json = dict[str, Any]
T = TypeVar("T")


def free_ports() -> tuple[int, int]:
    """A port with two free ones after it, and one more."""
    first = 21_000 + os.getpid() % 1_000 * 7  # tests run side by side, and must not look at the same ones
    for port in range(first, 29_000, 7):
        taken = [number for number in range(port, port + 4) if listens(number)]
        if not taken:
            return port, port + 3
    raise AssertionError("no free ports")


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


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
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def act(self, name: str, **body: object) -> Any:
        data = json.dumps({"me": "U0ANN", **body}).encode()
        request = urllib.request.Request(
            f"{self.url}/page/act/{name}", data, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["result"]

    def replies(self, thread: str) -> list[Json]:
        """The bot's messages in a thread, as the page gets them."""
        messages = json.loads(self.get("/page/state?me=U0ANN"))["messages"]["C0HR"]
        return [m for m in messages if m.get("thread_ts") == thread and m.get("bot_id")]


def start(directory: Path, *options: str) -> subprocess.Popen[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "workspace", *options],
        cwd=directory,
        env=kept | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the demo needs, in a directory with a blank in its name."""
    copy = tmp_path_factory.mktemp("demo") / "a copy"
    skipped = shutil.ignore_patterns("__pycache__", ".*", "*.db*", "demo-data", "tests", "bench", "docs", "deploy")
    shutil.copytree(ROOT, copy, ignore=skipped)
    return copy


@pytest.fixture(scope="module")
def demo(project: Path) -> Iterator[Demo]:
    port, bot_port = free_ports()
    process = start(project, "--port", str(port), "--bot-port", str(bot_port))
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
        process.wait(20)


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
    thread = demo.act("say", text="@hr-bot remove Tom Berg", channel="C0HR", thread_ts=None)
    card = wait_until(lambda: demo.replies(thread))[0]
    assert "/api/users/7" in card_text(card)
    assert '"Tom"' in employees.read_text()

    demo.act("click", ts=card["ts"], channel="C0HR", action_id="approve", value=buttons(card)["approve"])

    wait_until(lambda: len(demo.replies(thread)) == 2)
    wait_until(lambda: "Approved and done" in card_text(demo.replies(thread)[0]))
    assert '"Tom"' not in employees.read_text()


def test_a_second_demo_on_the_same_ports_is_told_which_one_is_taken(demo: Demo, project: Path) -> None:
    second = start(project, "--port", str(demo.port), "--bot-port", str(demo.bot_port))
    told, _ = second.communicate(timeout=30)

    assert second.returncode != 0
    assert f"Port {demo.port}" in told
    assert "Traceback" not in told


def test_sigterm_ends_everything(demo: Demo) -> None:
    """Stands last: it ends the demo that the tests above use."""
    demo.process.send_signal(signal.SIGTERM)
    told, _ = demo.process.communicate(timeout=20)

    assert demo.process.returncode == 0, told
    assert f"Open {demo.url}" in demo.told
    assert "Ended." in told
    assert "Traceback" not in told
    assert [port for port in range(demo.port, demo.port + 4) if listens(port)] == []
    log = (demo.directory / "demo-data" / "bot.log").read_text()
    assert '"event": "stopped"' in log
