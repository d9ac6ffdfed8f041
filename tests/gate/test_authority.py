"""What the gate asks of Slack: what cannot be known lets nobody through, and is laxer in nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from base.slack_errors import SlackBusy
from catalog.bad_call import BadCall
from catalog.catalog import load_catalog
from catalog.rules import Rule
from gate.authority import Authority, ChannelUnknown, PeopleDirectory
from gate.policy import Refused
from tests.harness.bot_parts import ANN, BEN, BotParts, SilentDirectory
from tests.slack_io.test_crowd import Slow, _ruled
from tests.slack_io.test_crowd import parts as parts

# as people read them
NO_LOOKUP = (
    "I couldn't look up who belongs to {group}, so I can't accept your decision. Please try again; if it keeps happening, tell "
    "my operators."
)

BY_NAME = """
name: HR
base_url: https://hr.example.com
endpoints: [{method: GET, url: /users, description: Lists.}, {method: POST, url: /users, description: Adds.}]
channels: {"#hr-bot": {operations: [GET /users]}}
"""
HERE, DIRECT = "T0LOCAL/C0HR/1.0", "T0LOCAL/D0ANN/1.0"


class Named(Slow):
    """A directory that knows one channel."""

    def channel_name(self, channel: str) -> str | None:
        return "hr-bot" if channel == "C0HR" else None

    def channel_id(self, name: str) -> str | None:
        return "C0HR" if name == "#hr-bot" else None


def test_where_a_channels_name_is_not_known_nothing_holds_there() -> None:
    catalog = load_catalog(BY_NAME, {})
    with pytest.raises(ChannelUnknown, match="doesn't say which channel"):
        Authority(Slow(), ("C0HR",)).part(catalog, HERE, ANN)
    with pytest.raises(ChannelUnknown):
        Authority(Slow(), ("C0HR",)).part(catalog, DIRECT, ANN)
    assert [one.name for one in Authority(Named(), ("C0HR",)).part(catalog, HERE, ANN).catalog.operations] == [
        "GET /users"
    ]


@pytest.mark.parametrize("first", ["C0HR", "#hr-bot"])
def test_in_a_direct_message_the_rules_of_the_first_channel_hold(first: str) -> None:
    people = Authority(Named(), (first, "C0OTHER"))
    assert [one.name for one in people.part(load_catalog(BY_NAME, {}), DIRECT, ANN).catalog.operations] == [
        "GET /users"
    ]


@pytest.mark.parametrize("rule", [Rule((BEN,)), Rule(("asker",), not_asker=True), Rule(("asker",), quorum=2)], ids=str)
def test_a_card_that_others_must_decide_stands_where_they_are_or_is_not_made(rule: Rule) -> None:
    assert Authority(Named(), ("#hr-bot",)).place(DIRECT, rule) == "T0LOCAL/C0HR/0"
    assert Authority(Named(), ("#hr-bot",)).place(HERE, rule) == ""
    for people in (Authority(Slow(), ("#hr-bot",)), Authority(SilentDirectory(), ("#hr-bot",)), Authority(Named(), ())):
        with pytest.raises(BadCall, match="can't reach the channel"):
            people.place(DIRECT, rule)


def test_a_card_for_the_asker_alone_stands_in_the_direct_message() -> None:
    assert Authority(Slow(), ("#nowhere",)).place(DIRECT, Rule()) == ""


@pytest.mark.parametrize("directory", [SilentDirectory(), Slow()], ids=["silent", "slow"])
def test_where_no_channel_can_be_found_nobody_may_ask_directly(directory: PeopleDirectory) -> None:
    assert Authority(directory, ("#hr-bot",)).may_ask_directly(ANN) is None
    assert Authority(SilentDirectory(), ("C0HR",)).may_ask_directly(ANN) is None
    assert Authority(Named(), ()).may_ask_directly(ANN) is None
    assert Authority(Named(members={("C0HR", ANN)}), ("C0HR",)).may_ask_directly(ANN) is True
    assert Authority(Named(), ("C0HR",)).may_ask_directly(ANN) is False


def test_who_asked_does_not_decide_where_the_rule_says_so(parts: BotParts) -> None:
    proposal = _ruled(parts, ANN, BEN)
    proposal = replace(proposal, rule=replace(proposal.rule, not_asker=True))
    with pytest.raises(Refused, match="You asked for this one"):
        Authority(SilentDirectory(), ()).check_authority(proposal, ANN)
    Authority(SilentDirectory(), ()).check_authority(proposal, BEN)


@pytest.mark.parametrize(
    "approvers", [("asker",), ("U0CY",), ("S0LEADS",), ("@crew",), ("anyone-in-channel",)], ids=str
)
def test_a_bystander_decides_nothing(parts: BotParts, approvers: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="Who can"):
        Authority(Slow(), ()).check_authority(_ruled(parts, *approvers), BEN)


MEMBERS = {("S0LEADS", BEN), ("S0CREW", BEN), ("C0HR", BEN)}


@pytest.mark.parametrize("approver", ["S0LEADS", "@crew", "anyone-in-channel", BEN])
def test_a_member_decides(parts: BotParts, approver: str) -> None:
    Authority(Slow(members=MEMBERS), ()).check_authority(_ruled(parts, approver), BEN)


class Nameless(Slow):
    """A directory that knows no handles."""

    def group_id(self, handle: str, *, insists: bool = False) -> str | None:
        return None


def test_a_handle_that_slack_does_not_know_lets_nobody_through(parts: BotParts) -> None:
    with pytest.raises(Refused, match=NO_LOOKUP[:20]):
        Authority(Nameless(members=MEMBERS), ()).check_authority(_ruled(parts, "@crew"), BEN)


def test_who_asked_decides_where_the_rule_names_the_asker(parts: BotParts) -> None:
    Authority(SilentDirectory(), ()).check_authority(_ruled(parts, "asker"), ANN)


def test_where_slack_says_nothing_a_rule_keeps_its_handles_and_decides_nothing_by_them(parts: BotParts) -> None:
    rule = Rule(("@crew", ANN))
    assert Authority(SilentDirectory(), ()).known(rule) == rule
    assert Authority(Slow(), ()).known(rule).approvers == ("S0CREW", ANN)
    for one in ("S0LEADS", "@crew", "anyone-in-channel"):
        with pytest.raises(Refused, match="couldn't look up"):
            Authority(SilentDirectory(), ()).check_authority(replace(_ruled(parts, "asker"), rule=Rule((one,))), BEN)
        parts.gate.withdraw(parts.pending()[0].turn)


def test_without_a_first_channel_the_whole_catalog_holds_in_direct_messages() -> None:
    catalog = load_catalog(BY_NAME, {})
    assert Authority(Named(), ()).part(catalog, DIRECT, ANN).catalog is catalog


def test_a_busy_look_up_is_no_refusal(parts: BotParts) -> None:
    with pytest.raises(SlackBusy):
        Authority(Slow({"S0LEADS"}), ()).check_authority(_ruled(parts, "S0LEADS", "U0CY"), BEN)
