"""A model server that has no time: the turn waits on disk, holds no worker, is told in the thread, and ends within its patience."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.emulator import Workspace
from tests.harness.rest_server import RestServer, reply
from tests.harness.whole_bot import Person, RunningBot, StartBot, calls, says, until

pytestmark = pytest.mark.waits


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


def line(data: object) -> bytes:
    return reply(json.dumps(data))


def busy(after: str = "1", status: int = 429) -> bytes:
    error = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
    return reply(json.dumps(error), status, *([f"Retry-After: {after}"] if after else []))


def started(start_bot: StartBot, server: RestServer, **more: Any) -> RunningBot:
    return start_bot(with_model=None, openai_base_url=f"{server.url}/v1", **more)


def statuses(workspace: Workspace) -> list[str]:
    return [call.args["status"] for call in workspace.calls_of("assistant.threads.setStatus")]


def test_a_busy_server_is_waited_for_as_long_as_it_says_and_a_status_says_so(
    start_bot: StartBot, server: RestServer, workspace: Workspace, ann: Person
) -> None:
    started(start_bot, server)
    server.will(busy("2"), line(calls(("GET", "/api/users/1"))), busy("2", 503), line(says("At last.")))
    began = time.monotonic()
    assert ann.asks("who is 1?").answer() == "At last."
    assert time.monotonic() - began >= 4
    assert len(server.requests) == 4
    assert "is waiting: the language model is busy (next try in 2 seconds)" in statuses(workspace)


def test_a_turn_that_waits_holds_no_worker(start_bot: StartBot, server: RestServer, ann: Person, ben: Person) -> None:
    started(start_bot, server, workers=1)
    server.will(busy("100"), line(says("Ben's.")))
    first = ann.asks("a question")
    until(lambda: server.requests)
    assert ben.asks("another").answer() == "Ben's."
    assert first.answers() == []


def test_a_wait_survives_a_restart(start_bot: StartBot, server: RestServer, ann: Person) -> None:
    bot = started(start_bot, server)
    server.will(busy("3"), line(says("After the restart.")))
    began = time.monotonic()
    talk = ann.asks("a question")
    thread = f"T0LOCAL/C0HR/{talk.ts}"
    until(lambda: (turn := bot.store.next_turn(thread)) is not None and turn.waits_until)
    bot.stop()
    bot.start()
    assert talk.answer() == "After the restart."
    assert time.monotonic() - began >= 3
    assert len(server.requests) == 2


def test_what_comes_for_a_thread_meanwhile_does_not_ask_earlier(
    start_bot: StartBot, server: RestServer, ann: Person
) -> None:
    started(start_bot, server)
    server.will(busy("3"), line(says("First.")), line(says("Second.")))
    began = time.monotonic()
    talk = ann.asks("a question")
    until(lambda: server.requests)
    ann.replies(talk, "and another")
    assert talk.answer(1) == "First."
    assert time.monotonic() - began >= 3
    assert talk.answer(2) == "Second."


def test_a_turn_that_waits_can_be_stopped(
    start_bot: StartBot, server: RestServer, workspace: Workspace, ann: Person
) -> None:
    started(start_bot, server)
    server.always(busy("100"))
    talk = ann.asks("a question")
    until(lambda: any("is waiting" in one for one in statuses(workspace)))
    workspace.shortcut("U0ANN", talk.ts, "stop_generating")
    (modal,) = workspace.wait(lambda: workspace.modals("U0ANN"))
    workspace.submit(modal["id"], "U0ANN")
    assert talk.answer() == "_(Stopped before there was an answer.)_"
    assert len(server.requests) == 1


def test_patience_has_an_end(start_bot: StartBot, server: RestServer, ann: Person) -> None:
    started(start_bot, server, model_patience=2)
    server.always(busy(""))
    began = time.monotonic()
    told = ann.asks("a question").answer()
    assert time.monotonic() - began >= 2
    assert "The language model's server is busy. I kept trying for 2 seconds, then I had to stop." in told
    assert "reference" in told
    assert 3 <= len(server.requests) <= 4  # at the start, after one second, and at the end


def test_a_wait_longer_than_patience_is_told_at_once(start_bot: StartBot, server: RestServer, ann: Person) -> None:
    started(start_bot, server)
    server.always(busy("3600"))
    assert "busy and asks to wait 60 minutes" in ann.asks("a question").answer(seconds=10)
    assert len(server.requests) == 1


def test_a_quota_that_is_used_up_is_told_at_once(start_bot: StartBot, server: RestServer, ann: Person) -> None:
    started(start_bot, server)
    error = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}
    server.always(reply(json.dumps({"error": error}), 429, "Retry-After: 1"))
    assert "account is used up (HTTP 429)" in ann.asks("a question").answer(seconds=10)
    assert len(server.requests) == 1


def test_without_patience_nothing_waits(start_bot: StartBot, server: RestServer, ann: Person) -> None:
    started(start_bot, server, model_patience=0)
    server.always(busy("1"))
    assert "is busy" in ann.asks("a question").answer(seconds=10)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": 429, "message": "busy", "metadata": {"provider_name": "x"}}},
        {"object": "error", "message": "too many", "type": "rate_limit_exceeded", "code": 429},
    ],
    ids=["OpenRouter's", "vLLM's"],
)
def test_a_server_may_say_within_a_200_that_it_is_busy(
    start_bot: StartBot, server: RestServer, ann: Person, error: object
) -> None:
    started(start_bot, server)
    server.will(line(error), line(says("Here.")))
    assert ann.asks("a question").answer() == "Here."


def test_an_approved_write_is_sent_while_the_turn_waits_for_its_model(
    start_bot: StartBot, server: RestServer, ann: Person, workspace: Workspace
) -> None:
    """A person's click is not kept waiting by a busy model, and the turn goes on with the result."""
    started(start_bot, server)
    server.will(line(calls(("DELETE", "/api/users/3"))), busy("2"), line(says("Removed.")))
    talk = ann.asks("remove 3")
    ann.presses(talk.card(), "approve")
    assert "Approved and done" in talk.card_titled("Approved and done", seconds=10)
    assert talk.answer() == "Removed."
