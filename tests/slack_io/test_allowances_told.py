"""What people hear where as much was used as may be: themselves alone, in friendly words, with when it opens again."""

from __future__ import annotations

import re
import time

import pytest

from emulator.emulator import Workspace
from tests.gate.test_gate_in_depth import told
from tests.harness.whole_bot import Person, Script, StartBot, Talk, calls, until

pytestmark = pytest.mark.waits

RATE = "One person may ask 2 questions an hour here, and you have asked that many. Please ask again {when} or later."
CHANNEL = "This channel may ask 1 question a day, and it has asked that many. Please ask again {when} or later."
TOKENS = "You have used as much of the language model as one person may in 24 hours. Please ask again {when} or later."
ALL = "All of you together have used as much of the language model as you may in 24 hours. Please ask again {when} or later."
DATE = re.compile(r"<!date\^(\d+)\^\{date_short_pretty\} \{time\}\|at \d+>")


def opened(text: str) -> tuple[str, float]:
    """A line without its moment, and that."""
    (moment,) = DATE.findall(text)
    return DATE.sub("{when}", text), float(moment)


def test_a_person_hears_it_alone_and_once_in_a_while_and_others_go_on(
    start_bot: StartBot, ann: Person, ben: Person, model: Script, workspace: Workspace
) -> None:
    bot = start_bot(rate_limit="2/hour")
    for question in ("one", "two"):
        ann.asks(question).answer()
    over = [ann.asks(question) for question in ("three", "four")]
    text, moment = opened(ann.aside())
    assert text == RATE
    assert moment % 60 == 0
    assert 3_590 < moment - time.time() <= 3_660
    assert ben.asks("hello").answer() == "Done."
    bot.settle()
    assert [talk.messages() for talk in over] == [[], []]
    assert [workspace.reactions("C0HR", talk.ts) for talk in over] == [[], []]
    assert len(ann.asides()) == 1
    assert ben.asides() == []
    assert len(model.asked) == 3
    assert [one["reason"] for one in told(bot, "question refused")] == ["RATE_LIMIT=2/hour"] * 2


def test_a_channel_is_told_of_its_own(start_bot: StartBot, ann: Person, ben: Person) -> None:
    start_bot(rate_limit_channel="1/day")
    ann.asks("one").answer()
    ben.asks("two")
    text, moment = opened(ben.aside())
    assert (text, 86_390 < moment - time.time() <= 86_460) == (CHANNEL, True)


@pytest.mark.parametrize(("setting", "words"), [("token_budget", TOKENS), ("token_budget_all", ALL)])
def test_a_turn_that_passes_its_budget_is_finished_and_the_next_one_refused(
    start_bot: StartBot, ann: Person, model: Script, setting: str, words: str
) -> None:
    """Each model call of the script is told with 15 tokens."""
    bot = start_bot(**{setting: 20})
    model.will(calls(("GET", "/api/users?page=1")), calls(("GET", "/api/users?page=2")))
    assert ann.asks("who is there?").answer() == "Done."
    ann.asks("and then?")
    text, moment = opened(ann.aside())
    assert text == words
    assert 23 * 3_600 < moment - time.time() <= 24 * 3_600
    bot.settle()
    assert len(model.asked) == 3
    (noted,) = told(bot, "question refused")
    assert noted["reason"] == f"{setting.upper()}=20"


def test_a_question_that_waited_while_the_budget_was_used_up_is_told_in_its_thread(
    start_bot: StartBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    """It has its thumbs-up, so that it needs an answer that all see; the thread goes on with other people's."""
    bot = start_bot(token_budget=10, workers=1)
    model.hold()
    first = ann.asks("one")
    model.wait_asked()
    second = ann.asks("two")
    until(lambda: workspace.reactions("C0HR", second.ts))
    model.let_go()
    assert first.answer() == "Done."
    assert opened(second.answer())[0] == TOKENS
    bot.settle()
    assert len(model.asked) == 1
    assert ann.asides() == []
    assert [one["reason"] for one in told(bot, "question refused")] == ["TOKEN_BUDGET=10"]


def test_in_a_direct_message_it_is_a_message(start_bot: StartBot, workspace: Workspace) -> None:
    start_bot(rate_limit="1/minute", allow_dm=True)
    first = workspace.say("U0ANN", "one", "D0ANN")
    assert Talk(workspace, first, "D0ANN").answer() == "Done."
    second = workspace.say("U0ANN", "two", "D0ANN")
    assert "One person may ask 1 question a minute" in Talk(workspace, second, "D0ANN").answer()


def test_without_a_setting_nothing_is_refused(start_bot: StartBot, ann: Person, model: Script) -> None:
    bot = start_bot()
    talks = [ann.asks(f"question {number}") for number in range(12)]
    assert [talk.answer() for talk in talks] == ["Done."] * 12
    bot.settle()
    assert ann.asides() == []
