"""A backup of a bot at work, and what must not happen twice after it was put back: a whole bot, with people who go on meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from demo.hr_api import HrApi
from emulator.emulator import Workspace
from gate.policy import State
from store import server_backup
from store.backup import back_up, restore
from store.engine import engine_url, is_server
from store.proposals import Effects
from tests.gate.test_gate_in_depth import told
from tests.harness.postgres import programs
from tests.harness.whole_bot import (
    Person,
    RunningBot,
    Script,
    StartBot,
    Talk,
    buttons,
    calls,
    card_text,
    says,
    until,
)

UNKNOWN = "I was restored from a backup, so I don't know what became of this since. I won't send it. "
ENDED = "I was restored from a backup of <!date^"
REMOVE = calls(("DELETE", "/api/users/7"))


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the server of the tests, for a bot of several processes."""
    monkeypatch.setenv("PATH", f"{programs()}{os.pathsep}{os.environ['PATH']}")


def put_back(bot: RunningBot, file: Path) -> RunningBot:
    """The bot is stopped, the backup put in its database's place, and the bot started."""
    bot.stop()
    put(bot, file)
    return bot.start()


def put(bot: RunningBot, file: Path) -> None:
    if is_server(engine_url(bot.settings.database_url)):
        server_backup.restore(file, bot.settings.database_url, force=True)
    else:
        restore(file, database_of(bot), lambda _database, _key: None, force=True)


def database_of(bot: RunningBot) -> Path:
    return Path(bot.settings.database_url.removeprefix("sqlite:///"))


def backed_up(bot: RunningBot, folder: Path) -> Path:
    file = folder / "backup"
    if is_server(engine_url(bot.settings.database_url)):
        server_backup.back_up(bot.settings.database_url, file)
    else:
        back_up(database_of(bot), file, key_is_given=False)
    return file


def test_what_waited_and_was_sent_since_is_not_sent_again(
    bot: RunningBot, hr: HrApi, ann: Person, model: Script, tmp_path: Path
) -> None:
    model.will(REMOVE, says("Removed."))
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    bot.settle()
    file = backed_up(bot, tmp_path)
    ann.presses(card, "approve")
    assert talk.answer() == "Removed."
    bot.settle()

    put_back(bot, file)
    shown = talk.card_titled("🔐 Outcome unknown")
    bot.settle()
    assert UNKNOWN in shown
    assert set(buttons(talk.card())) == {"check"}  # whoever may decide can look
    ann.presses(card, "approve")
    bot.settle()
    assert [one.method for one in hr.requests].count("DELETE") == 1
    assert [text for text in talk.answers() if text.startswith(ENDED)] == talk.answers()[1:]
    assert len(talk.answers()) == 2
    assert len(model.asked) == 2
    (noted,) = told(bot, "restored")
    assert (noted["questions"], noted["replaced"].partition(":")[0].isdigit()) == (1, True)
    assert bot.store.restored() is None
    assert bot.store.journal.verify()[0] is None
    assert bot.store.journal.missing() is None

    ann.presses(talk.card(), "check")
    until(lambda: any("404" in card_text(one) or "404" in str(one) for one in talk.messages()))
    assert ann.asks("and now?").answer() == "Done."


def test_what_was_approved_and_not_sent_yet_is_not_sent(
    bot: RunningBot, hr: HrApi, ann: Person, model: Script, tmp_path: Path
) -> None:
    model.will(REMOVE)
    talk = ann.asks("remove Tom Berg")
    talk.card()
    bot.settle()
    bot.stop()  # whatever becomes approved now is not worked on
    (waiting,) = bot.store.proposals_in(State.PENDING)
    bot.store.vote(waiting.proposal, "U0ANN", bot.clock(), lambda _row: Effects())
    bot.store.close()
    put(bot, backed_up(bot, tmp_path))
    bot.start()
    assert UNKNOWN in talk.card_titled("🔐 Outcome unknown")
    bot.settle()
    assert "DELETE" not in [one.method for one in hr.requests]
    assert [str(one.state) for one in bot.store.proposals_for(asker="U0ANN", limit=2)] == ["unknown"]


def test_a_question_that_was_under_way_is_not_answered_twice_and_says_so(
    bot: RunningBot, ann: Person, model: Script, tmp_path: Path
) -> None:
    model.hold()
    talk = ann.asks("who joined in March?")
    second = ann.replies(talk, "and in May?")
    model.wait_asked()
    until(lambda: not bot.store.unrested()[0])
    file = backed_up(bot, tmp_path)
    model.let_go()
    talk.answer(2)
    bot.settle()

    put_back(bot, file)
    talk.answer(4)
    bot.settle()
    assert talk.answers()[:2] == ["Done.", "Done."]
    assert [text.startswith(ENDED) for text in talk.answers()[2:]] == [True, True]
    assert "please ask again" in talk.answers()[2]
    assert len(model.asked) == 2
    assert second
    assert ann.asks("and now?").answer() == "Done."


def test_a_mention_that_was_not_looked_at_yet_is_not_answered_twice(
    start_bot: StartBot, workspace: Workspace, ann: Person, model: Script, tmp_path: Path
) -> None:
    bot = start_bot()
    workspace.fault("users.info", "ratelimited", times=1, retry_after=2)
    talk = ann.asks("hello")
    file = backed_up(bot, tmp_path)
    assert talk.answer() == "Done."
    bot.settle()
    put_back(bot, file)
    assert talk.answer(2).startswith(ENDED)
    bot.settle()
    assert (len(talk.answers()), len(model.asked)) == (2, 1)


def test_a_message_that_was_due_is_not_posted_twice_and_one_that_never_came_is(
    bot: RunningBot, workspace: Workspace, ann: Person, tmp_path: Path
) -> None:
    workspace.fault("chat.postMessage", "ratelimited", times=1, retry_after=2)
    talk = ann.asks("hello")
    until(lambda: bot.store.unrested()[2] and not bot.store.unrested()[1])
    file = backed_up(bot, tmp_path)
    assert talk.answer() == "Done."
    bot.settle()
    put_back(bot, file)
    bot.settle()
    assert talk.answers() == ["Done."]
    assert bot.store.restored() is None

    workspace.delete("C0HR", talk.messages()[0]["ts"])  # as if it had never come
    put_back(bot, file)
    bot.settle()
    assert Talk(workspace, talk.ts).answer() == "Done."


def test_a_question_of_the_time_that_was_lost_is_not_answered_twice_when_it_is_edited(
    bot: RunningBot, workspace: Workspace, ann: Person, model: Script, tmp_path: Path
) -> None:
    file = backed_up(bot, tmp_path)
    talk = ann.asks("who is nwe?")
    assert talk.answer() == "Done."
    bot.settle()
    put_back(bot, file)
    workspace.edit("U0ANN", "C0HR", talk.ts, "@hr-bot who is new?")
    assert ann.aside() == (
        "I was restored from a backup and don't know whether I answered this before you changed it. Please ask in a new message."
    )
    bot.settle()
    assert (talk.answers(), len(model.asked)) == (["Done."], 1)

    later = ann.asks("who is odl?")
    assert later.answer() == "Done."
    added = workspace.say("U0ANN", "who is old?", "C0HR")
    workspace.edit("U0ANN", "C0HR", added, "@hr-bot who is old?")
    assert Talk(workspace, added).answer() == "Done."


def test_what_was_to_be_said_in_passing_is_not_said_again(
    bot: RunningBot, workspace: Workspace, ann: Person, model: Script, tmp_path: Path
) -> None:
    model.will(REMOVE)
    talk = ann.asks("remove Tom Berg")
    talk.card()
    bot.settle()
    workspace.fault("chat.postEphemeral", "ratelimited", times=1, retry_after=2)
    ann.replies(talk, "and the other one")  # kept, and told so
    until(lambda: workspace.calls_of("chat.postEphemeral"))
    file = backed_up(bot, tmp_path)
    ann.aside()
    bot.settle()
    put_back(bot, file)
    bot.settle()
    assert len(ann.asides()) == 1


@pytest.mark.parametrize("replicas", [1])
def test_a_backup_that_was_copied_into_place_by_hand_is_known_for_what_it_is(
    bot: RunningBot, hr: HrApi, ann: Person, model: Script, tmp_path: Path
) -> None:
    model.will(REMOVE)
    talk = ann.asks("remove Tom Berg")
    talk.card()
    bot.settle()
    file = backed_up(bot, tmp_path)
    bot.stop()
    database_of(bot).write_bytes(file.read_bytes())
    bot.start()
    talk.card_titled("🔐 Outcome unknown")
    bot.settle()
    assert "DELETE" not in [one.method for one in hr.requests]


def test_seeing_to_it_goes_on_where_it_was_broken_off(
    bot: RunningBot, ann: Person, model: Script, tmp_path: Path
) -> None:
    model.will(REMOVE)
    talk = ann.asks("remove Tom Berg")
    talk.card()
    bot.settle()
    file = backed_up(bot, tmp_path)
    bot.stop()
    put(bot, file)
    found: Any = bot.store.restored()
    bot._bots[0].gate.lose_restored(found.at)
    bot.start()
    bot.settle()
    assert bot.store.restored() is None
    assert len(talk.answers()) == 1
    assert len(told(bot, "restored")) == 1
