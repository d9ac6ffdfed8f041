"""Many at once: what bystanders, full queues and open Homes must not take from the one whose click counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from base.slack_errors import SlackBusy
from base.thread import Thread
from catalog.rules import Rule
from emulator.emulator import Workspace
from emulator.world import Person as Member
from emulator.world import UserGroup
from gate.authority import Authority
from gate.policy import Refused, State
from slack_io.assistant_status import AssistantStatus
from slack_io.memberships import Rolls
from slack_io.outbox import Outbox
from slack_io.streaming import StreamedMessages
from slack_io.web_api import SlackWeb
from store.posts import ephemeral, message
from store.proposal_record import Proposal
from store.store import Store
from tests.gate.test_gate_in_depth import catalog, told
from tests.harness.bot_parts import BEN, USERS, BotParts, SilentDirectory
from tests.harness.stores import a_click
from tests.harness.whole_bot import (
    ObedientApi,
    Person,
    RunningBot,
    Script,
    StartBot,
    at_once,
    calls,
    card_text,
    click_of,
    form,
    mention_of,
    until,
)
from workers.waking import Waking

# as people read them
GUEST_ASKS = "Sorry, guests and people from other organisations can't use me in this workspace."
GUEST_DECIDES = "Sorry, guests and people from other organisations can't decide here."
STRANGER = "Sorry, I couldn't find out who you are in this workspace, so I can't do this for you."
TOO_MANY_OF_YOURS = (
    "You already have many messages waiting, and I leave room for others, so I haven't taken this one up."
)

BY_LEADS = "approval: {approvers: [S0LEADS]}"


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def press(bot: RunningBot, talk: Any, user: str, button: str = "approve") -> int:
    """A click straight to the bot, with a trigger of its own as Slack's have."""
    payload = click_of(talk.card(), talk, user, button) | {"trigger_id": f"{time.monotonic_ns()}.1"}
    return bot.post("/slack/interactions", form(payload), "application/x-www-form-urlencoded").status


# --- a click counts at the time it came in ----------------------------------------------------------------------------


def test_forty_clicks_of_a_bystander_do_not_use_up_the_look_ups_of_the_lead(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    bot = start_bot(catalog=catalog(api, delete=BY_LEADS))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    assert [press(bot, talk, "U0ANN") for _ in range(40)] == [200] * 40
    ben.presses(talk.card(), "approve")

    talk.answer(seconds=15)

    assert api.asked.count("DELETE /users/7") == 1
    assert len(workspace.calls_of("usergroups.users.list")) <= 10
    assert len(told(bot, "click refused")) == 40
    assert [one for one in ann.asides() if "Who can" in one] == ann.asides()
    assert len(ann.asides()) == 1


def test_a_click_that_came_in_time_counts_however_long_slack_takes_to_say_who_it_was(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    bot = start_bot(catalog=catalog(api, delete="approval: {approvers: [S0LEADS], expires: 3 s}"))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    card = talk.card()
    workspace.fault("usergroups.users.list", "ratelimited", retry_after=5)
    ben.presses(card, "approve")

    until(lambda: "DELETE /users/7" in api.asked)
    bot.settle()

    (proposal,) = bot.store.proposals_for(asker="U0ANN", limit=5)
    assert proposal.state is State.DONE
    assert proposal.decided_at is not None
    assert proposal.decided_at < proposal.expires_at < time.time()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[BotParts]:
    parts = BotParts(tmp_path, USERS.format(base="http://127.0.0.1:9"))
    yield parts
    parts.close()


def _asked(parts: BotParts) -> Proposal:
    from tests.harness.bot_parts import calls as made

    parts.replies.will(made(("DELETE", "/users/7")))
    parts.ask()
    (proposal,) = parts.pending()
    return proposal


def test_what_is_being_recorded_at_that_moment_comes_before_the_clock(parts: BotParts) -> None:
    proposal = _asked(parts)
    parts.clock.ahead = 3_599.0  # type: ignore[attr-defined]
    with parts.store._coming.one():
        parts.clock.ahead = 3_601.0  # type: ignore[attr-defined]
        assert parts.gate.expire_due() == []
    assert [one.proposal for one in parts.gate.expire_due()] == [proposal.proposal]


@pytest.mark.parametrize(
    ("carries", "ahead", "expired"), [("token", 3_599.0, 0), ("token", 3_601.0, 1), ("other", 3_599.0, 1)]
)
def test_the_clock_waits_for_clicks_on_that_card_that_came_in_time_alone(
    parts: BotParts, carries: str, ahead: float, expired: int
) -> None:
    proposal = _asked(parts)
    parts.clock.ahead = ahead  # type: ignore[attr-defined]
    token = proposal.token if carries == "token" else "0" * 32
    parts.store.record(a_click("click:1", Thread.from_key(proposal.thread), token))
    parts.clock.ahead = 3_700.0  # type: ignore[attr-defined]
    assert len(parts.gate.expire_due()) == expired
    (pressed,) = parts.store.arrivals(proposal.thread)
    parts.store.dispose(pressed)
    assert len(parts.gate.expire_due()) == 1 - expired


# --- who can be known first -------------------------------------------------------------------------------------------


class Slow(SilentDirectory):
    """A directory in which some groups cannot be looked up now."""

    def __init__(self, busy: Collection[str] = (), members: Collection[tuple[str, str]] = ()) -> None:
        self.busy, self.members, self.asked = busy, members, list[str]()

    def group_id(self, handle: str, *, insists: bool = False) -> str | None:
        if handle in self.busy and insists:
            raise SlackBusy(9)
        return f"S0{handle.upper()}"

    def in_group(self, group: str, user: str, *, kept: float = 5, spare: int = 0) -> bool | None:
        self.asked.append(group)
        if group in self.busy:
            raise SlackBusy(9)
        return (group, user) in self.members

    def in_channel(self, channel: str, user: str, *, kept: float = 5, spare: int = 0) -> bool | None:
        return self.in_group(channel, user)

    def is_outsider(self, user: str) -> bool | None:
        return False


def _ruled(parts: BotParts, *approvers: str) -> Proposal:
    return replace(_asked(parts), rule=Rule(approvers))


def test_whom_the_rule_names_decides_without_a_look_up(parts: BotParts) -> None:
    directory = Slow()
    rule = _ruled(parts, "anyone-in-channel", "@crew", "S0LEADS", BEN)
    Authority(directory, ()).check_authority(rule, BEN)
    assert directory.asked == []


@pytest.mark.parametrize("busy", ["S0BUSY", "@busy", "anyone-in-channel"])
def test_a_look_up_that_has_to_wait_holds_up_no_other_that_says_yes(parts: BotParts, busy: str) -> None:
    directory = Slow({"S0BUSY", "busy", "C0HR"}, {("S0LEADS", BEN)})
    Authority(directory, ()).check_authority(_ruled(parts, busy, "S0LEADS"), BEN)


@pytest.mark.parametrize("busy", ["S0BUSY", "@busy", "anyone-in-channel"])
def test_nobody_is_refused_or_let_through_while_a_look_up_has_to_wait(parts: BotParts, busy: str) -> None:
    directory = Slow({"S0BUSY", "busy", "C0HR"})
    with pytest.raises(SlackBusy):
        Authority(directory, ()).check_authority(_ruled(parts, busy, "S0LEADS"), BEN)


def test_where_slack_says_nothing_groups_and_channels_let_nobody_through(parts: BotParts) -> None:
    for one in ("S0LEADS", "@crew", "anyone-in-channel"):
        with pytest.raises(Refused, match="couldn't look up"):
            Authority(SilentDirectory(), ()).check_authority(_ruled(parts, one), BEN)
        parts.gate.withdraw(_turn_of(parts))


def _turn_of(parts: BotParts) -> str:
    return parts.pending()[0].turn


# --- look-ups, shared and kept ----------------------------------------------------------------------------------------


class Book:
    """Pages of members that can be changed; `asked` notes each reading."""

    def __init__(self, *pages: Collection[str] | None) -> None:
        self.pages = pages
        self.asked: list[tuple[str, int]] = []

    def read(self, place: str, cursor: str, spare: int) -> tuple[Collection[str], str] | None:
        self.asked.append((cursor, spare))
        number = int(cursor or 0)
        page = self.pages[number]
        return None if page is None else (page, str(number + 1) if number + 1 < len(self.pages) else "")


def test_a_look_up_is_believed_for_the_seconds_that_one_says() -> None:
    book, clock = Book({"A"}), Clock()
    members = Rolls(book.read, clock)
    assert members.has("S", "A", kept=5) is True
    book.pages = ({"B"},)
    clock.now += 4.9
    assert (members.has("S", "B", kept=5), members.has("S", "A", kept=5)) == (False, True)
    clock.now += 0.2
    assert (members.has("S", "A", kept=60), members.has("S", "A", kept=5), members.has("S", "B", kept=5)) == (
        True,
        False,
        True,
    )
    assert len(book.asked) == 2


def test_a_large_channel_is_read_as_far_as_needed_and_once() -> None:
    book = Book({"A"}, {"B"}, {"C"})
    members = Rolls(book.read, Clock())
    assert members.has("C", "B", kept=5) is True
    assert len(book.asked) == 2
    assert (members.has("C", "A", kept=5), members.has("C", "X", kept=5), members.has("C", "Y", kept=5)) == (
        True,
        False,
        False,
    )
    assert [cursor for cursor, _ in book.asked] == ["", "1", "2"]


def test_where_slack_does_not_say_that_is_believed_for_a_moment_alone() -> None:
    book, clock = Book(None), Clock()
    members = Rolls(book.read, clock)
    assert [members.has("S", "A", kept=60) for _ in range(3)] == [None] * 3
    book.pages = ({"A"},)
    clock.now += 2.1
    assert members.has("S", "A", kept=60) is True
    assert len(book.asked) == 2


def test_who_asks_at_the_same_moment_shares_one_look_up() -> None:
    book, let_go = Book({"A"}), threading.Event()

    def slow(place: str, cursor: str, spare: int) -> tuple[Collection[str], str] | None:
        let_go.wait(0.3)
        return book.read(place, cursor, spare)

    members = Rolls(slow, Clock())
    assert at_once(*[lambda: members.has("S", "A", kept=5)] * 20) == [True] * 20
    assert len(book.asked) == 1


def test_a_busy_look_up_leaves_nothing_behind() -> None:
    clock, answers = Clock(), [SlackBusy(3), ({"A"}, "")]

    def read(place: str, cursor: str, spare: int) -> Any:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    members = Rolls(read, clock)
    with pytest.raises(SlackBusy):
        members.has("S", "A", kept=5)
    assert members.has("S", "A", kept=5) is True


def test_what_only_shows_leaves_look_ups_to_who_decides(workspace: Workspace) -> None:
    groups = [UserGroup(f"S0G{i}", f"g{i}", f"G{i}", (BEN,)) for i in range(18)]
    for one in groups:
        workspace.add_group(one)
    web = SlackWeb(workspace.bot_token, workspace.api_url, clock=Clock())
    for one in groups[:9]:
        assert web.in_group(one.id, BEN, kept=60, spare=9) is True
    with pytest.raises(SlackBusy):
        web.in_group(groups[9].id, BEN, kept=60, spare=9)
    for one in groups[9:]:
        assert web.in_group(one.id, BEN) is True


def test_a_handle_that_there_is_none_of_is_looked_up_once_in_a_while(workspace: Workspace) -> None:
    clock = Clock()
    web = SlackWeb(workspace.bot_token, workspace.api_url, clock=clock)
    assert [web.group_id("none", insists=True) for _ in range(40)] == [None] * 40
    assert len(workspace.calls_of("usergroups.list")) == 1
    workspace.add_group(UserGroup("S0NONE", "none", "None", ()))
    clock.now += 6
    assert web.group_id("none") == "S0NONE"


def test_app_home_of_twelve_people_holds_no_approval_up(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    for i in range(4):
        workspace.add_group(UserGroup(f"S0G{i}", f"g{i}", f"G{i}", ("U0BEN",)))
    start_bot(
        catalog=catalog(api, delete="approval: {approvers: [S0G0]}", put="approval: {approvers: [S0G1, S0G2, S0G3]}")
    )
    model.will(calls(("DELETE", "/users/7"), ("PUT", "/users/8", {"name": "x"})))
    talk = ann.asks("remove Tom")
    card = talk.card_titled("DELETE")
    for i in range(12):  # with four groups each: more look-ups than Slack allows in a minute, were they not shared
        workspace.add_person(Member(f"U0P{i}", f"p{i}", f"P {i}"))
        workspace.open_home(f"U0P{i}")
    until(lambda: len(workspace.calls_of("views.publish")) >= 12)
    began = time.monotonic()
    (first,) = [one for one in talk.cards() if card_text(one) == card]
    ben.presses(first, "approve")
    until(lambda: "DELETE /users/7" in api.asked)
    assert time.monotonic() - began < 20


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_guest_who_asks_again_and_again_is_told_once_in_a_while(
    bot: RunningBot, workspace: Workspace, gus: Person, model: Script
) -> None:
    for _ in range(30):
        workspace.deliver(mention_of(workspace, user="U0GUS"))
    bot.settle()
    assert gus.asides() == [GUEST_ASKS]
    assert len(told(bot, "question refused")) == 30
    assert model.asked == []


def test_other_words_are_said_to_the_same_person_and_others_are_told_as_well(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, gus: Person
) -> None:
    bot = start_bot(catalog=catalog(api, delete=BY_LEADS))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    for user in ("U0ANN", "U0GUS", "U0ANN", "U0GUS"):
        press(bot, talk, user)
    workspace.deliver(mention_of(workspace, user="U0GUS"))
    bot.settle()
    until(lambda: len(gus.asides()) == 2)
    assert len(ann.asides()) == 1
    assert sorted(gus.asides()) == sorted([GUEST_DECIDES, GUEST_ASKS])


def test_a_hundred_lines_for_single_people_hold_up_no_answer(tmp_path: Path, workspace: Workspace) -> None:
    ts = workspace.say("U0ANN", "hello")
    thread = Thread("T0LOCAL", "C0HR", ts)
    waking = Waking()
    store = Store(f"sqlite:///{tmp_path}/bot.db", wakes=waking, journal_key="k")
    web = SlackWeb(workspace.bot_token, workspace.api_url, clock=Clock())
    nobody: list[str] = []
    outbox = Outbox(
        web,
        store,
        StreamedMessages(web, waking, nobody.append),
        AssistantStatus(web, waking),
        waking,
        unshown=nobody.append,
    )
    store.say([ephemeral(f"e{i}", thread.key, "", "U0ANN", f"no {i}") for i in range(100)])
    store.say([message("answer", thread.key, "", "the answer")])

    wait = outbox.deliver(thread.key)

    assert [one["text"] for one in workspace.messages("C0HR", ts) if one.get("bot_id")] == ["the answer"]
    store.say([message("another", thread.key, "", "another answer")])
    while wait is not None and wait < 1:
        wait = outbox.deliver(thread.key)
    assert len([call for call in workspace.calls if call.method == "chat.postEphemeral"]) == 90
    before = [call.method for call in workspace.calls if call.method.startswith("chat.")]
    # while lines for single people are sent, an answer waits for five at most
    assert [i for i, method in enumerate(before) if method == "chat.postMessage"] == [
        5,
        11,
    ]
    assert len(store.due_posts(thread.key)) == 10
    store.close()


def test_a_line_for_one_person_that_slack_does_not_answer_holds_up_no_answer(
    bot: RunningBot, workspace: Workspace, ann: Person
) -> None:
    workspace.fault("chat.postEphemeral", "http_500", times=3)
    workspace.deliver(mention_of(workspace, user="U0GUS"))
    talk = ann.asks("hello")
    assert talk.answer(seconds=10) == "Done."


# --- what is held up --------------------------------------------------------------------------------------------------


def test_somebody_whom_slack_does_not_know_now_holds_up_nobody_elses_click(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    workspace.fault("users.info", "ratelimited", retry_after=100)
    press(bot, talk, "U0BEN")
    until(lambda: len(workspace.calls_of("users.info")) >= 2)
    began = time.monotonic()
    press(bot, talk, "U0ANN")
    until(lambda: "DELETE /users/7" in api.asked)
    assert time.monotonic() - began < 60


def test_a_yes_does_not_overtake_a_no_that_is_held_up(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    bot = start_bot(catalog=catalog(api, delete="approval: {approvers: [asker, S0LEADS]}"))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    workspace.fault("users.info", "ratelimited", retry_after=3)
    press(bot, talk, "U0BEN", "deny")
    press(bot, talk, "U0ANN", "approve")
    talk.card_titled("enied")
    talk.answer()
    assert "DELETE /users/7" not in api.asked


# --- room for others --------------------------------------------------------------------------------------------------


def test_one_persons_many_mentions_leave_room_for_others(
    start_bot: StartBot, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    bot = start_bot(slack_channel="#hr-bot,#random", max_waiting=16)
    model.hold()
    for _ in range(28):
        workspace.deliver(mention_of(workspace, user="U0BEN"))
    until(lambda: not bot.store.unrested()[0])
    talk = ann.asks("and I?", "C0RANDOM")  # where the pace of Ben's answers does not hold hers up
    until(lambda: len(ben.asides()) > 0)

    assert len(bot.store.unrested()[1]) <= 8 + 4 + 1
    assert set(ben.asides()) == {TOO_MANY_OF_YOURS}
    assert len(ben.asides()) <= 4
    model.let_go()
    assert talk.answer() == "Done."


def test_messages_that_are_kept_for_a_decision_have_the_same_bound(
    start_bot: StartBot, model: Script, workspace: Workspace, ann: Person
) -> None:
    bot = start_bot(max_waiting=8)
    model.will(calls(("DELETE", "/api/users/7")))
    talk = ann.asks("remove Tom Berg")
    talk.card()
    for _ in range(9):
        workspace.deliver(mention_of(workspace, user="U0BEN", thread_ts=talk.ts))
    workspace.deliver(mention_of(workspace, user="U0ANN", thread_ts=talk.ts))
    until(lambda: not bot.store.unrested()[0])
    assert sorted(asker for asker in _waiting_askers(bot)) == ["U0ANN", *["U0BEN"] * 3]


def _waiting_askers(bot: RunningBot) -> list[str]:
    with bot.store._reading() as db:
        return [str(row.asker) for row in db.execute(text("select asker from turns where state = 'waiting'"))]


# --- guests -----------------------------------------------------------------------------------------------------------

GESTURES = ["approve", "deny", "deny_reason", "withdraw"]


def test_a_click_of_a_guest_or_a_stranger_decides_nothing_whatever_the_rule_says(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    outsiders: dict[str, Any] = {
        "U0EVE1": {"is_stranger": True},
        "U0EVE2": {"team_id": "T0OTHER"},
        "U0EVE3": {"deleted": True},
    }
    for user, more in outsiders.items():
        workspace.add_person(Member(user, user.lower(), "Eve", **more))
    users = ["U0GUS", *outsiders]
    rule = f"approval: {{approvers: [anyone-in-channel, {', '.join(users)}]}}"
    bot = start_bot(catalog=catalog(api, delete=rule))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    for number, (user, button) in enumerate((user, button) for user in users for button in GESTURES):
        press(bot, talk, user, button)
        until(lambda number=number: len(told(bot, "click refused")) > number)  # type: ignore[misc]

        noted = told(bot, "click refused")[number]
        assert (noted["user"], noted["action"], noted["reason"]) == (user, button, GUEST_DECIDES)
        assert [one.state for one in bot.store.proposals_for(asker="U0ANN", limit=9)] == [State.PENDING]
    assert "DELETE /users/7" not in api.asked
    assert workspace.calls_of("views.open") == []


def test_a_click_of_somebody_whom_slack_does_not_know_decides_nothing(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api, delete="approval: {approvers: [anyone-in-channel, U0NONE]}"))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    press(bot, talk, "U0NONE")
    until(lambda: told(bot, "click refused"))
    assert [one["reason"] for one in told(bot, "click refused")] == [STRANGER]
    assert "DELETE /users/7" not in api.asked


def test_where_the_settings_allow_guests_a_guests_click_counts(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api, delete="approval: {approvers: [U0GUS]}"), allow_guests=True)
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    press(bot, talk, "U0GUS")
    until(lambda: "DELETE /users/7" in api.asked)


def test_a_guest_stops_and_deletes_nothing(
    start_bot: StartBot, model: Script, workspace: Workspace, ann: Person, gus: Person
) -> None:
    bot = start_bot(admins="U0GUS")
    talk = ann.asks("hello")
    talk.answer()
    bot.settle()
    ts = talk.messages()[0]["ts"]

    workspace.shortcut("U0GUS", ts, "delete_message")
    until(lambda: len(told(bot, "click refused")) == 1)

    turn = bot.store.message_at("C0HR", ts)
    assert turn is not None
    payload = click_of({"ts": ts, "blocks": STOP}, talk, "U0GUS", "stop", value=turn.turn)
    bot.post("/slack/interactions", form(payload), "application/x-www-form-urlencoded")
    until(lambda: len(told(bot, "click refused")) == 2)

    event = {"type": "agent_session_stopped", "channel": "C0HR", "thread_ts": talk.ts, "user": "U0GUS"}
    workspace.deliver(mention_of(workspace) | {"event": event})
    until(lambda: len(told(bot, "click refused")) == 3)

    assert [one["reason"] for one in told(bot, "click refused")] == [GUEST_DECIDES] * 3
    assert workspace.modals("U0GUS") == []


STOP = [{"block_id": "b", "type": "actions", "elements": [{"type": "button", "action_id": "stop", "value": "0" * 32}]}]
