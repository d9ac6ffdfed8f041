"""Fixtures: the workspace, the API and the model, then the bot, then the people who use it. What they are is in harness/whole_bot.py."""

from __future__ import annotations

import functools
import gc
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import tests.harness.done_once  # noqa: F401 - for its effect
from base.clock import SteadyClock
from base.logging_setup import set_up_logs
from demo.hr_api import HrApi
from emulator.app import AppToken
from emulator.emulator import Workspace
from model.chat import Model
from tests.harness.databases import opened_before
from tests.harness.ports import give_back, lent_port
from tests.harness.rest_server import RestServer
from tests.harness.run_wide import run_here
from tests.harness.warm_workers import warm_workers
from tests.harness.whole_bot import (
    CATALOG,
    SIGNING_SECRET,
    ObedientApi,
    Over,
    Person,
    RunningBot,
    Script,
    StartBot,
    settings_of,
    way_in,
)

# The tests' databases sync each commit, as the bot's do: milliseconds of a disk, thousands of times, and nothing where it is memory.
_MEMORY = Path("/dev/shm")
if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4_000_000_000:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

gc.disable()  # until everything is imported and collected: little of that is garbage, and all of it would be looked through again and again

# How long an example takes is a slow machine's matter. Few of them, since each run draws others (in CI too): in a week of runs that finds
# what many in one run would. What few inputs reach asks for several times as many (harness/examples.py).
settings.register_profile("any machine", max_examples=25, deadline=None, derandomize=False, print_blob=True)
settings.register_profile("thorough", settings.get_profile("any machine"), max_examples=1_000)
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """The bot's own logging, so that `caplog` sees what an operator would (harness/logs.py)."""
    set_up_logs()


@pytest.fixture
def over() -> Over:
    """By which way Slack reaches the bot; `BOTH_WAYS` runs a test over each."""
    return "http"


@pytest.fixture
def workspace(over: Over) -> Iterator[Workspace]:
    """The local Slack. At the end of each test nothing may have broken a limit that Slack documents."""
    delays = (0.1, 0.3, 1.0)
    token = AppToken() if over == "socket" else None
    with Workspace(signing_secret=SIGNING_SECRET, retry_delays=delays, app_token=token) as running:
        yield running
    assert running.violations == []


@contextmanager
def _running_hr(folder: Path) -> Iterator[HrApi]:
    port = lent_port()
    api = HrApi(folder / "hr.json", port)
    api.start()
    try:
        yield api
    finally:
        api.stop()
        give_back(port)


@pytest.fixture
def hr(tmp_path: Path) -> Iterator[HrApi]:
    """The sample HR API with its fourteen people."""
    with _running_hr(tmp_path) as api:
        yield api


@pytest.fixture
def api() -> Iterator[ObedientApi]:
    """An API that answers as it is told."""
    running = ObedientApi()
    with running:
        yield running


@pytest.fixture
def server() -> Iterator[RestServer]:
    """An API of a test's own making, over HTTP on loopback."""
    with RestServer() as running:
        yield running


@pytest.fixture
def model() -> Iterator[Script]:
    script = Script()
    yield script
    script.let_go()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--replicas 3` has the bot of each test be three processes' worth of it, which share a PostgreSQL, behind a round robin."""
    parser.addoption("--replicas", type=int, default=1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """The workers are forked, but where the coverage of what they import is asked for (harness/warm_workers.py)."""
    run_here()
    if not config.getoption("cov_source", None):
        warm_workers(specs, config.args)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run side by side, those of a file that mostly wait are spread over the run, among those that compute: together they
    would leave the processor idle. They are over before its last tenth, since some take long. In CI programs have a second try."""
    waiting: dict[Path, list[pytest.Item]] = {}
    computing: list[pytest.Item] = []
    for one in items:
        starts_programs = one.get_closest_marker("programs")
        if starts_programs and os.environ.get("CI"):
            one.add_marker(pytest.mark.flaky(reruns=1))
        if starts_programs or one.get_closest_marker("waits"):
            waiting.setdefault(one.path, []).append(one)
        else:
            computing.append(one)
    if not hasattr(config, "workerinput"):
        return
    places: list[tuple[float, pytest.Item]] = [*enumerate(computing)]
    for those in waiting.values():
        step = 0.9 * len(computing) / len(those)
        places += [(number * step, one) for number, one in enumerate(those)]
    items[:] = [one for _, one in sorted(places, key=lambda placed: placed[0])]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A first try that failed is told in full, also where the second one passed; the closing line counts them."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: looking through it again and again for garbage took a sixth of the time."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture
def replicas(request: pytest.FixtureRequest, over: Over) -> int:
    """How many of it share the work."""
    return int(request.config.getoption("--replicas")) if over == "http" else 1


@pytest.fixture
def start_bot(
    request: pytest.FixtureRequest, over: Over, replicas: int, workspace: Workspace, model: Script, tmp_path: Path
) -> Iterator[StartBot]:
    """Starts a bot over a database in tmp_path; `catalog` is YAML in place of the sample's, settings go by their names. The sample's API
    is the test's `hr`, or one of its own that nobody looks at."""
    asked: HrApi | None = request.getfixturevalue("hr") if "hr" in request.fixturenames else None
    its_own = ExitStack()
    url_of_hr = functools.cache(lambda: (asked or its_own.enter_context(_running_hr(tmp_path))).url)
    started: list[RunningBot] = []
    shared = opened_before("postgresql", tmp_path, "of-the-tests") if replicas > 1 else ""

    def start(
        *,
        catalog: str | None = None,
        with_model: Model | None = model,
        clock: SteadyClock | None = None,
        **more: Any,
    ) -> RunningBot:
        settings: dict[str, Any] = {
            "workers": 8,  # so many threads for each of thousands of bots would cost the tests more than they show
            **way_in(over, SIGNING_SECRET),
            "slack_bot_token": workspace.bot_token,
            "slack_channel": "#hr-bot",
            "slack_api_url": workspace.api_url,
            "openai_api_key": "sk-of-the-tests",
            "database_url": opened_before("sqlite", tmp_path),
        }
        if replicas > 1:
            settings |= {"database_url": shared, "journal_key": "of-the-tests"}
        text = catalog or CATALOG.read_text("utf-8").replace("${HR_API_URL}", url_of_hr())
        bot = RunningBot(workspace, settings_of(**(settings | more)), text, with_model, clock, replicas)
        started.append(bot)
        return bot.start()

    yield start
    model.let_go()
    for bot in started:
        bot.stop()
    its_own.close()


@pytest.fixture
def bot(start_bot: StartBot) -> RunningBot:
    """The bot with the sample catalog, the HR API and the script for a model."""
    return start_bot()


@pytest.fixture
def ann(workspace: Workspace) -> Person:
    return Person(workspace, "U0ANN")


@pytest.fixture
def ben(workspace: Workspace) -> Person:
    return Person(workspace, "U0BEN")


@pytest.fixture
def gus(workspace: Workspace) -> Person:
    """A guest."""
    return Person(workspace, "U0GUS")
