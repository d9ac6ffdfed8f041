"""Slack says 429, 5xx or nothing at each method in turn, and is down for a while: nothing lost, nothing doubled, order kept."""

from __future__ import annotations

from typing import Any

import pytest

from demo.hr_api import HrApi
from emulator.emulator import Workspace
from emulator.limits import METHODS
from slack_io.slack_app import SCOPES
from tests.harness.whole_bot import Person, Script, StartBot, Talk, Writing, calls, says, words_of

pytestmark = pytest.mark.waits

DM = "D0ANN"
FAULTS = ["ratelimited", "empty_503", "timeout"]  # the last is performed, and its answer lost


def asks_directly(workspace: Workspace, text: str) -> Talk:
    return Talk(workspace, workspace.say("U0ANN", text, DM), DM)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(
    "methods",
    [
        ["reactions.add", "conversations.replies", "assistant.threads.setStatus", "users.info"],
        ["chat.postMessage", "chat.update"],
    ],
    ids=["what is looked up and shown beside", "what is posted"],
)
def test_a_question_a_card_and_an_answer_survive_it(
    start_bot: StartBot, ann: Person, model: Script, workspace: Workspace, hr: HrApi, methods: list[str], kind: Any
) -> None:
    def fail(times: int) -> None:
        for method in methods:
            workspace.fault(method, kind, times=times)

    bot = start_bot()
    line = Writing("The first part of it, ")
    model.will(calls(("DELETE", "/api/users/7")), line)
    fail(2)
    model.hold()
    talk = Talk(workspace, workspace.say("U0BEN", "who left?"))
    ann.replies(talk, "remove Tom Berg")
    if "assistant.threads.setStatus" in methods:
        workspace.wait(lambda: _failed(workspace, "assistant.threads.setStatus"))
    model.let_go()
    card = talk.card()
    fail(1)
    ann.presses(card, "approve")
    workspace.wait(lambda: [m for m in talk.messages() if "The first part" in words_of(m)])
    fail(1)
    line.write("then the end.")
    line.finish()
    bot.settle()

    talk.card_titled("🔐 Approved and done")
    assert talk.answers() == ["The first part of it, then the end."]
    assert len(talk.cards()) == 1
    assert [one.method for one in hr.requests].count("DELETE") == 1
    assert [method for method in methods if not _failed(workspace, method)] == []


def _failed(workspace: Workspace, method: str) -> int:
    return sum(bool(call.fault) for call in workspace.calls_of(method))


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(
    "methods",
    [["chat.startStream"], ["chat.appendStream", "chat.stopStream", "agents.sessions.setStatus"]],
    ids=["at its start", "afterwards"],
)
def test_a_streamed_answer_survives_it(
    start_bot: StartBot, ann: Person, model: Script, workspace: Workspace, methods: list[str], kind: Any
) -> None:
    bot = start_bot(allow_dm=True)
    line = Writing("The first part of it, ")
    model.will(line)
    for method in methods:
        workspace.fault(method, kind, times=1)
    talk = asks_directly(workspace, "tell me")
    workspace.wait(lambda: [m for m in talk.messages() if "The first part" in words_of(m)])
    line.write("then the second, ")
    if "chat.appendStream" in methods:
        workspace.wait(lambda: _failed(workspace, "chat.appendStream"))
    line.write("then the end.")
    line.finish()
    bot.settle()
    assert talk.answers() == ["The first part of it, then the second, then the end."]
    assert [method for method in methods if not _failed(workspace, method)] == []


@pytest.mark.parametrize("method", ["views.open", "chat.delete", "chat.postEphemeral"])
def test_a_deletion_survives_it_or_is_told(start_bot: StartBot, ann: Person, workspace: Workspace, method: str) -> None:
    bot = start_bot()
    talk = ann.asks("hello")
    talk.answer()
    bot.settle()
    workspace.fault(method, "http_500", times=1)
    ts = talk.messages()[0]["ts"]
    workspace.shortcut("U0ANN", ts, "delete_message")
    if method == "views.open":
        assert ann.aside() == "That took too long for Slack. Please click again."
        return
    workspace.submit(workspace.wait(lambda: workspace.modals("U0ANN"))[-1]["id"], "U0ANN")
    workspace.wait(lambda: not talk.messages())
    assert workspace.violations == []


def test_while_slack_is_down_what_is_said_waits_and_keeps_its_order(
    start_bot: StartBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    bot = start_bot()
    model.hold()
    model.will(says("first"), says("second"))
    talk = ann.asks("one")
    model.wait_asked()
    ann.replies(talk, "two")
    workspace.fault("*", "empty_503", times=5)
    model.let_go()
    bot.settle()
    assert talk.answers() == ["first", "second"]


def test_every_method_of_the_bot_is_one_that_the_workspace_checks(workspace: Workspace) -> None:
    assert set(SCOPES) <= set(METHODS)
