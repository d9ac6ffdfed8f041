"""What a turn costs of Slack's Web API: five calls at most, by name, once it is known who people and channels are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from emulator.emulator import Workspace
from emulator.webapi import Call
from tests.harness.whole_bot import Json, Person, RunningBot, Script, StartBot, Talk, Writing, calls, says, until

pytestmark = pytest.mark.waits

QUICK, SLOW = 0.0, 1.4  # seconds that each model call takes
REACTION, STATUS, MESSAGE, UPDATE = "reactions.add", "assistant.threads.setStatus", "chat.postMessage", "chat.update"


@pytest.fixture
def replicas() -> int:
    """One process. Each process looks people up for itself."""
    return 1


class Paced(Script):
    """Takes its time for each answer, once it is told to."""

    pause = 0.0

    def complete(self, messages: Sequence[Json], tools: Sequence[Json], ear: Any, *, is_last: bool = False) -> object:
        time.sleep(self.pause)
        return super().complete(messages, tools, ear, is_last=is_last)


@pytest.fixture
def model() -> Paced:
    return Paced()


@pytest.fixture
def warm(start_bot: StartBot, ann: Person, model: Paced) -> RunningBot:
    """A bot that has answered before."""
    bot = start_bot(with_model=model)
    ann.asks("hello").answer()
    bot.settle()
    return bot


def made(bot: RunningBot, workspace: Workspace, since: int) -> list[Call]:
    """The calls since then, once nothing is under way and nothing is shown any more."""
    bot.settle()
    time.sleep(1.2)  # whatever would still be shown
    return workspace.calls[since:]


def names(found: Sequence[Call]) -> list[str]:
    return [call.method for call in found]


@pytest.mark.parametrize(
    ("pause", "expected"), [(QUICK, [REACTION, MESSAGE]), (SLOW, [REACTION, STATUS, MESSAGE])], ids=["quick", "slow"]
)
def test_a_plain_turn(
    warm: RunningBot, workspace: Workspace, ann: Person, model: Paced, pause: float, expected: list[str]
) -> None:
    """A question in a channel, a read, an answer. Of what the bot does one thing is shown: that it thinks."""
    since, model.pause = len(workspace.calls), pause
    model.will(calls(("GET", "/api/users?page=1")), says("Two people."))
    assert ann.asks("who is there?").answer() == "Two people."
    found = made(warm, workspace, since)
    assert sorted(names(found)) == sorted(expected)
    assert [call.args["status"] for call in found if call.method == STATUS] == ["is thinking..."] * (pause == SLOW)


@pytest.mark.parametrize(
    ("pause", "expected"),
    [(QUICK, [REACTION, MESSAGE, UPDATE, MESSAGE]), (SLOW, [REACTION, STATUS, MESSAGE, UPDATE, MESSAGE])],
    ids=["quick", "slow"],
)
def test_a_turn_with_an_approval(
    warm: RunningBot, workspace: Workspace, ann: Person, model: Paced, pause: float, expected: list[str]
) -> None:
    """The card changes once, to what came of the click."""
    since, model.pause = len(workspace.calls), pause
    model.will(calls(("DELETE", "/api/users/7")), says("Removed."))
    talk = ann.asks("remove Tom Berg")
    ann.presses(talk.card(), "approve")
    assert talk.answer() == "Removed."
    found = made(warm, workspace, since)
    assert sorted(names(found)) == sorted(expected)
    (change,) = [call for call in found if call.method == UPDATE]
    assert "Approved and done" in change.args["text"]


def test_a_turn_whose_answer_grows(warm: RunningBot, workspace: Workspace, ann: Person, model: Paced) -> None:
    """No status stands beside a message that grows."""
    since, line = len(workspace.calls), Writing("The first words of it, ")
    model.will(calls(("GET", "/api/users?page=1")), line)
    talk = ann.asks("who is there?")
    until(lambda: talk.messages())
    line.write("and the last.")
    line.finish()
    found = made(warm, workspace, since)
    assert sorted(names(found)) == sorted([REACTION, STATUS, MESSAGE, UPDATE])
    assert Talk(workspace, talk.ts).answer() == "The first words of it, and the last."


def test_a_question_inside_a_thread_is_read_with_what_stands_before_it(
    warm: RunningBot, workspace: Workspace, ann: Person
) -> None:
    root = workspace.say("U0BEN", "Tom leaves in March.", "C0HR")
    since = len(workspace.calls)
    ann.mentions("who replaces him?", thread_ts=root)
    assert Talk(workspace, root).answer() == "Done."
    assert sorted({"users.info", *names(made(warm, workspace, since))}) == [  # Ben is asked about once
        MESSAGE, "conversations.replies", REACTION, "users.info",
    ]  # fmt: skip


def test_a_question_that_waited_is_read_again_for_who_changed_it(
    start_bot: StartBot, workspace: Workspace, ann: Person, model: Paced
) -> None:
    bot = start_bot(with_model=model, workers=1)
    model.hold()
    first = ann.asks("one")
    model.wait_asked()
    second = ann.asks("two")
    workspace.edit("U0ANN", "C0HR", second.ts, "@hr-bot three")
    time.sleep(5.1)  # for so long a question says what its event said
    model.let_go()
    assert (first.answer(), second.answer()) == ("Done.", "Done.")
    bot.settle()
    assert [call.args["ts"] for call in workspace.calls_of("conversations.replies")] == [second.ts]
    assert "three" in str(model.asked[-1])
