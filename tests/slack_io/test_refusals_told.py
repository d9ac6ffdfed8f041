"""What slack_io/mentions.py and clicks.py refuse, each by a test that fails where the refusal is taken out (tests/mutate.py does that)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from emulator.emulator import Workspace
from emulator.world import Person as Member
from gate.policy import State
from tests.gate.test_gate_in_depth import catalog, told
from tests.harness.whole_bot import (
    Json,
    ObedientApi,
    Person,
    RunningBot,
    Script,
    StartBot,
    Talk,
    Told,
    calls,
    card_text,
    click_of,
    form,
    until,
)

# as people read them
GUEST_ASKS = "Sorry, guests and people from other organisations can't use me in this workspace."
NOT_YOU = "You can't decide this one. Who can: {deciders}."
TOO_LATE = "That took too long for Slack. Please click again."

FORM = "application/x-www-form-urlencoded"
TOM = {"id": 7, "name": "Tom"}


def press(bot: RunningBot, talk: Talk, user: str, action: str, token: str) -> None:
    """A press of any button with any value, as Slack would send it."""
    card = talk.card()
    element = {"type": "button", "action_id": action, "value": token, "block_id": "b"}
    shown = {"ts": card["ts"], "blocks": [{"type": "actions", "block_id": "b", "elements": [element]}]}
    payload = click_of(shown, talk, user, action) | {"trigger_id": f"{time.monotonic_ns()}.1"}
    assert bot.post("/slack/interactions", form(payload), FORM).status == 200


def refused(bot: RunningBot) -> list[Json]:
    until(lambda: not bot.store.unrested()[0])
    return [{name: one[name] for name in ("user", "action", "reason")} for one in told(bot, "click refused")]


def unknown(bot: RunningBot, api: ObedientApi, model: Script, ann: Person, approver: Person) -> Talk:
    """A request whose outcome is unknown."""
    api.will(Told(body=TOM), Told(body=TOM), Told(after=1.0), Told(body=TOM))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    approver.presses(talk.card(), "approve")
    talk.card_titled("outcome unknown")
    bot.settle()
    return talk


def token_of(bot: RunningBot) -> str:
    (proposal,) = bot.store.proposals_for(asker="U0ANN", limit=5)
    return proposal.token


BY_BEN = "approval: {approvers: [U0BEN], not_asker: true}"


def test_a_bystander_has_nobody_look_at_a_target(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    workspace.add_person(Member("U0EVE", "eve", "Eve"))
    bot = start_bot(catalog=catalog(api, delete=BY_BEN), api_timeout=0.5)
    talk = unknown(bot, api, model, ann, ben)
    asked = list(api.asked)
    press(bot, talk, "U0EVE", "check", token_of(bot))
    assert refused(bot) == [
        {"user": "U0EVE", "action": "check", "reason": NOT_YOU.format(deciders="<@U0BEN> (not the asker)")}
    ]
    assert api.asked == asked

    press(bot, talk, "U0BEN", "check", token_of(bot))
    until(lambda: len(api.asked) == len(asked) + 1)


def test_only_what_is_unknown_can_be_checked(start_bot: StartBot, api: ObedientApi, model: Script, ann: Person) -> None:
    """Neither what a forged token names nor what still waits."""
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    asked = list(api.asked)
    for number, token in enumerate(("0" * 32, token_of(bot)), 1):
        press(bot, talk, "U0ANN", "check", token)
        assert refused(bot) == [{"user": "U0ANN", "action": "check", "reason": "nothing to decide"}] * number
    assert api.asked == asked
    assert told(bot, "check") == []
    assert ann.asides() == []


def test_a_forged_button_opens_and_does_nothing(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    expected = []
    for action in ("show", "page_on", "page_back", "deny_reason", "approve", "withdraw", "stop"):
        press(bot, talk, "U0ANN", action, "0" * 32)
        expected.append({"user": "U0ANN", "action": action, "reason": "nothing to decide"})
        assert refused(bot) == expected
        assert workspace.calls_of("views.open") + workspace.calls_of("views.update") == []
        assert [one.state for one in bot.store.proposals_for(asker="U0ANN", limit=5)] == [State.PENDING]


def test_a_bystander_is_not_asked_for_a_reason(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    press(bot, talk, "U0BEN", "deny_reason", token_of(bot))
    assert [one["reason"] for one in refused(bot)] == [NOT_YOU.format(deciders="<@U0ANN>")]
    assert workspace.calls_of("views.open") == []


@pytest.mark.parametrize(
    ("action", "fault"),
    [("show", {"kind": "error", "code": "expired_trigger_id"}), ("deny_reason", {"kind": "http_500"})],
    ids=["show", "deny_reason"],
)
def test_a_modal_that_slack_does_not_open_is_told_and_not_tried_again(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, action: str, fault: Any
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    workspace.fault("views.open", times=1, **fault)
    press(bot, talk, "U0ANN", action, token_of(bot))
    assert ann.aside() == TOO_LATE
    assert [one["reason"] for one in refused(bot)] == [TOO_LATE]
    assert len(workspace.calls_of("views.open")) == 1


def test_a_shortcut_whose_modal_does_not_open_is_told(bot: RunningBot, ann: Person, workspace: Workspace) -> None:
    talk = ann.asks("hello")
    talk.answer()
    bot.settle()
    workspace.fault("views.open", "error", code="expired_trigger_id")
    workspace.shortcut("U0ANN", talk.messages()[0]["ts"], "delete_message")
    assert ann.aside() == TOO_LATE
    assert [one["reason"] for one in refused(bot)] == [TOO_LATE]


def test_a_guest_hears_it_of_a_mention_and_asks_no_model(bot: RunningBot, gus: Person, model: Script) -> None:
    gus.asks("hello")
    assert gus.aside() == GUEST_ASKS
    bot.settle()
    assert (model.asked, [json.dumps(one["reason"]) for one in told(bot, "question refused")]) == (
        [],
        [json.dumps(GUEST_ASKS)],
    )


def test_a_no_that_is_decided_stays_one(start_bot: StartBot, api: ObedientApi, model: Script, ann: Person) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    token = token_of(bot)
    press(bot, talk, "U0ANN", "deny", token)
    talk.answer()
    press(bot, talk, "U0ANN", "approve", token)
    bot.settle()
    assert "DELETE /users/7" not in api.asked
    assert "Denied" in card_text(talk.card())
