"""Who may ask in a direct message: members of the channel whose rules hold there, whatever kind of channel it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emulator.emulator import Workspace
from emulator.world import BOT_USER, Channel
from slack_io.web_api import SlackWeb
from tests.harness.whole_bot import Person, RunningBot, Script, StartBot, Talk

# as people read them
NOT_A_MEMBER = (
    "In direct messages I only answer members of {places}, and you aren't one. Please ask one of them to invite you."
)
NOT_LOOKED_UP = (
    "In direct messages I only answer members of {places}, and I can't look them up right now. Please ask me there."
)
NO_DIRECT = "I don't work in direct messages here. Please ask me in {places}."

SECRET = Channel("G0SECRET", "secret-hr", ("U0ANN", BOT_USER), is_private=True)
OPEN = Channel("C0TEAM", "team", ("U0ANN", BOT_USER))


def asks_directly(who: Person, text: str) -> Talk:
    """A direct message, once the bot has acknowledged it."""
    channel = f"D0{who.user[2:]}"
    ts = who.workspace.say(who.user, text, channel)
    sent = who.workspace.courier.last_envelope
    assert sent is not None
    who.workspace.wait(lambda: [a for a in who.workspace.attempts if a.event_id == sent["event_id"] and a.reply.ok])
    return Talk(who.workspace, ts, channel)


def settle(bot: RunningBot, talk: Talk) -> list[str]:
    bot.settle()
    return talk.answers()


@pytest.mark.parametrize(("channel", "by"), [(SECRET, "name"), (OPEN, "id")], ids=["private", "public"])
def test_only_members_of_the_channel_whose_rules_hold_are_answered_in_direct_messages(
    start_bot: StartBot, workspace: Workspace, model: Script, ann: Person, ben: Person, channel: Channel, by: str
) -> None:
    workspace.add_channel(channel)
    place = channel.id if by == "id" else f"#{channel.name}"
    bot = start_bot(allow_dm=True, slack_channel=f"{place},#hr-bot")  # Ben is a member of the second

    assert settle(bot, asks_directly(ann, "hello")) == ["Done."]
    shown = f"<#{channel.id}>" if by == "id" else f"#{channel.name}"
    assert settle(bot, asks_directly(ben, "hello")) == [NOT_A_MEMBER.format(places=shown)]

    assert len(model.asked) == 1


def test_a_membership_is_believed_for_a_minute_and_no_longer(workspace: Workspace) -> None:
    now = [1_000.0]
    web = SlackWeb(workspace.bot_token, workspace.api_url, clock=lambda: now[0])
    workspace.add_channel(OPEN)
    assert web.in_channel("C0TEAM", "U0BEN", kept=60) is False
    workspace.add_channel(replace(OPEN, members=(*OPEN.members, "U0BEN")))
    now[0] += 59
    assert web.in_channel("C0TEAM", "U0BEN", kept=60) is False
    now[0] += 2
    assert web.in_channel("C0TEAM", "U0BEN", kept=60) is True


def test_twenty_questions_are_one_look_up(
    start_bot: StartBot, workspace: Workspace, model: Script, ben: Person
) -> None:
    workspace.add_channel(SECRET)
    bot = start_bot(allow_dm=True, slack_channel="G0SECRET")
    for _ in range(20):
        asks_directly(ben, "hello")
    bot.settle()
    assert model.asked == []
    assert len(workspace.calls_of("conversations.members")) == 1


@pytest.mark.parametrize("code", ["missing_scope", "channel_not_found", "fetch_members_failed"])
def test_where_the_members_cannot_be_looked_up_nobody_is_answered(
    start_bot: StartBot, workspace: Workspace, model: Script, ann: Person, code: str
) -> None:
    bot = start_bot(allow_dm=True, slack_channel="C0HR")
    workspace.fault("conversations.members", "error", times=5, code=code)
    assert settle(bot, asks_directly(ann, "hello")) == [NOT_LOOKED_UP.format(places="<#C0HR>")]
    assert model.asked == []


def test_where_the_channel_cannot_be_found_nobody_is_answered(
    start_bot: StartBot, workspace: Workspace, model: Script, ann: Person
) -> None:
    bot = start_bot(allow_dm=True, slack_channel="#not-there")
    assert settle(bot, asks_directly(ann, "hello")) == [NOT_LOOKED_UP.format(places="#not-there")]
    assert model.asked == []


def test_a_look_up_that_has_to_wait_is_made_later(
    start_bot: StartBot, workspace: Workspace, model: Script, ann: Person
) -> None:
    start_bot(allow_dm=True)
    workspace.fault("conversations.members", "ratelimited", retry_after=1)
    assert asks_directly(ann, "hello").answer() == "Done."


def test_a_guest_whom_the_settings_allow_has_to_be_a_member_as_well(
    start_bot: StartBot, workspace: Workspace, model: Script, gus: Person
) -> None:
    workspace.add_channel(OPEN)
    bot = start_bot(allow_dm=True, allow_guests=True, slack_channel="C0TEAM")
    assert settle(bot, asks_directly(gus, "hello")) == [NOT_A_MEMBER.format(places="<#C0TEAM>")]
    assert model.asked == []


def test_without_allow_dm_nobody_is_looked_up(bot: RunningBot, workspace: Workspace, ann: Person) -> None:
    assert settle(bot, asks_directly(ann, "hello")) == [NO_DIRECT.format(places="#hr-bot")]
    assert workspace.calls_of("conversations.members") == []


@pytest.mark.parametrize(("user", "shown"), [("U0ANN", 1), ("U0BEN", 0)])
def test_suggestions_are_for_members_alone(start_bot: StartBot, workspace: Workspace, user: str, shown: int) -> None:
    workspace.add_channel(SECRET)
    bot = start_bot(allow_dm=True, slack_channel="G0SECRET")
    workspace.open_home(user, "messages")
    workspace.wait(lambda: workspace.calls_of("conversations.members"))
    bot.settle()
    found: list[Any] = workspace.calls_of("assistant.threads.setSuggestedPrompts")
    if shown:
        workspace.wait(lambda: workspace.calls_of("assistant.threads.setSuggestedPrompts"))
    else:
        assert found == []
