"""App Home where several processes share the work: whichever draws it, it shows what any of them did."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from base.clock import SteadyClock
from emulator.emulator import Workspace
from store.store import Store
from tests.harness.databases import opened_before
from tests.harness.whole_bot import Person, Script, StartBot, calls, until
from workers import jobs
from workers.home_news import heard_of_homes
from workers.jobs import CHANNEL, parse_news
from workers.leases import Leases
from workers.replica import Replica
from workers.waking import Waking

REQUESTS = 6  # of so many, each in a thread of its own, one process has all with next to no chance


@pytest.fixture
def replicas() -> int:
    return 3


def shown(workspace: Workspace, user: str, state: str) -> int:
    """How many requests somebody's App Home shows in a state."""
    return str(workspace.home(user)).count(f": {state}")


def test_app_home_shows_what_other_processes_did(
    start_bot: StartBot, workspace: Workspace, model: Script, ann: Person
) -> None:
    start_bot()
    workspace.open_home("U0ANN")
    until(lambda: workspace.home("U0ANN") is not None)
    model.will(*[calls(("DELETE", f"/api/users/{number + 1}")) for number in range(REQUESTS)])
    talks = [ann.asks(f"remove number {number}") for number in range(REQUESTS)]
    cards = [talk.card() for talk in talks]
    until(lambda: shown(workspace, "U0ANN", "waiting") == REQUESTS)
    for card in cards:
        ann.presses(card, "deny")
    until(lambda: shown(workspace, "U0ANN", "waiting") == 0)


def test_news_are_heard_again_after_telling_of_some_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, leases, heard = opened_before("postgresql", tmp_path, "k"), Leases(), list[str]()
    waking, clock = Waking(leases, jobs), SteadyClock()
    store = Store(url, clock, waking, "k", is_shared=True)
    tell, is_away = store.tell, threading.Event()

    def first_in_vain(channel: str, news: str) -> None:
        if not is_away.is_set():
            is_away.set()
            raise OperationalError("select pg_notify", None, Exception("the server is shutting down"))
        tell(channel, news)

    monkeypatch.setattr(store, "tell", first_in_vain)
    replica = Replica(url, store, leases, waking, takes_up, clock, most=1, home_changed=heard.extend)
    replica.start()

    def is_heard() -> bool:
        tell(CHANNEL, "homes another U0ANN")
        return "U0ANN" in heard

    until(is_away.is_set)
    until(is_heard)
    replica.close()
    replica.leave(time.monotonic() + 10)
    store.close()


def takes_up(thread: str, *, was_anothers: bool) -> None:
    """There is nothing to do."""
    del thread, was_anothers


def test_news_of_app_home_are_for_other_processes_and_no_work_on_threads() -> None:
    assert heard_of_homes("homes p1 U0ANN 5f", "p2") == ["U0ANN", "5f"]
    assert heard_of_homes("homes p1 U0ANN", "p1") == []
    assert heard_of_homes("turns T/C/1.1", "p1") == []
    assert heard_of_homes("", "p1") == []
    assert parse_news("homes p1 U0ANN")[1] == []  # a version that knows nothing of it passes it over
