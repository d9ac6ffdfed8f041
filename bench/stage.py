"""What is measured, and what it stands on: the bot as a process, a local Slack workspace, a model and an API that answer at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator.emulator import Workspace
from emulator.world import BOT_USER, Channel
from tests.harness.ports import free_port

ROOT = Path(__file__).parent.parent
SECRET = "secret-of-the-bench"
CHANNELS = 50  # Slack takes about one message a second in each, and the bot keeps to that
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Stage:
    """The servers around the bot. `instant` is the base of the model and the API."""

    workspace: Workspace
    instant: str
    directory: Path

    @property
    def channels(self) -> list[str]:
        return [f"C0BENCH{number}" for number in range(CHANNELS)]


@contextmanager
def stage() -> Iterator[Stage]:
    """Starts the servers, and ends them."""
    with tempfile.TemporaryDirectory() as directory, Workspace(signing_secret=SECRET) as workspace, instant() as url:
        made = Stage(workspace, url, Path(directory))
        for channel in made.channels:
            workspace.add_channel(Channel(channel, channel.lower(), ("U0ANN", BOT_USER)))
        yield made


@contextmanager
def instant(pause: float = 0.0) -> Iterator[str]:
    """A model and an API that take `pause` seconds for each answer; their address."""
    command = [sys.executable, "-m", "bench.instant", str(pause)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


@dataclass(frozen=True)
class BotProcess:
    """A running `python bot.py`."""

    process: subprocess.Popen[bytes]
    port: int

    def resident(self) -> float:
        """Megabytes of memory that are really its own at this moment."""
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) / 1024 if found else float("nan")


@contextmanager
def bot(on: Stage, database: Path, **more: str) -> Iterator[BotProcess]:
    """Starts the bot, with `more` settings, waits until it answers, and ends it."""
    port = free_port()
    rest = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    settings = {
        "SLACK_BOT_TOKEN": on.workspace.bot_token,
        "SLACK_SIGNING_SECRET": SECRET,
        "SLACK_CHANNEL": ",".join(["C0HR", *on.channels]),
        "SLACK_API_URL": on.workspace.api_url,
        "OPENAI_API_KEY": "instant",
        "OPENAI_BASE_URL": f"{on.instant}/v1",
        "OPENAI_MODEL": "instant",
        "HR_API_URL": on.instant,
        "APIS_FILE": str(ROOT / "apis.yaml"),
        "DATABASE_URL": f"sqlite:///{database}",
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    with (on.directory / "bot.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "bot.py")],
            cwd=on.directory,
            env=rest | settings | more,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, port, on.directory / "bot.log")
        yield BotProcess(process, port)
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        try:
            opener.open(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"the bot did not start:\n{log.read_text()[-2_000:]}")
