"""By the front door: what people in Slack see, what the model is asked, and what reaches the API."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from demo.hr_api import HrApi
from emulator.emulator import Workspace
from emulator.faults import Kind
from emulator.world import BOT, BOT_USER
from emulator.world import Person as Member
from model.chat import ModelFailed
from model.refusals import Failure
from tests.harness.databases import looking_into
from tests.harness.logs import logged
from tests.harness.whole_bot import (
    BOTH_WAYS,
    Json,
    ObedientApi,
    Person,
    RunningBot,
    Script,
    StartBot,
    Talk,
    Told,
    at_once,
    buttons,
    calls,
    card_text,
    click_of,
    mention_of,
    results,
    said_by_people,
    says,
)

pytestmark = pytest.mark.waits

REMOVE_TOM = calls(("DELETE", "/api/users/7"))


def sent(hr: HrApi, *methods: str) -> list[str]:
    """The writes that reached the HR API."""
    wanted = methods or ("POST", "PUT", "PATCH", "DELETE")
    return [f"{one.method} {one.path}" for one in hr.requests if one.method in wanted]


# --- the answer -------------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_mention_is_answered_in_its_thread(bot: RunningBot, ann: Person, model: Script, workspace: Workspace) -> None:
    model.will(says("Hello Ann."))

    talk = ann.asks("good morning")

    assert talk.answer() == "Hello Ann."
    assert [m["thread_ts"] for m in talk.messages()] == [talk.ts]
    assert len(workspace.messages()) == 1


def test_an_arrival_of_a_kind_that_is_not_known_is_no_mention_and_holds_up_nothing(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    talk = ann.asks("good morning")
    talk.answer()
    columns = "team, channel, thread, payload, handled, received_at"
    with looking_into(bot.settings.database_url) as engine, engine.begin() as db:
        db.execute(
            text(
                f"""insert into inbox (event_id, ts, kind, {columns})
                    select 'Ev-new', '9.9', 'of a newer version', {columns.replace("handled", "0")} from inbox where kind = 'mention'"""
            )
        )
    ann.replies(talk, "are you there?")
    assert talk.answer(2) == "Done."
    bot.settle()
    assert len(model.asked) == 2


def test_a_mention_inside_a_thread_is_answered_there(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    talk = Talk(workspace, workspace.say("U0BEN", "who is new?"))

    ann.replies(talk, "who joined in March?")

    assert talk.answer() == "Done."
    before, question = said_by_people(model.asked[0])
    assert question == "who joined in March?"
    assert '[{"from":"Ben Ortiz","text":"who is new?"}]' in before


def test_what_the_api_says_reaches_the_model_and_only_the_answer_reaches_slack(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi
) -> None:
    model.will(calls(("GET", "/api/users?page=1"), ("GET", "/api/users/7"), text="Let me look."), says("Tom is there."))

    talk = ann.asks("is Tom there?")

    assert talk.answer() == "Tom is there."
    listed, tom = results(model.asked[1])
    assert listed["data"]["total"] == 14
    assert tom["data"]["first_name"] == "Tom"
    assert len(talk.messages()) == 1


def test_a_mention_gets_a_thumbs_up_and_a_thinking_status(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    model.hold()
    talk = ann.asks("hello")

    workspace.wait(lambda: workspace.status("C0HR", talk.ts))
    workspace.wait(lambda: workspace.reactions("C0HR", talk.ts))
    assert workspace.status("C0HR", talk.ts) == "is thinking..."
    assert [(r["name"], r["users"]) for r in workspace.reactions("C0HR", talk.ts)] == [("thumbsup", [BOT_USER])]

    model.let_go()
    talk.answer()
    bot.settle()
    assert workspace.status("C0HR", talk.ts) == ""


HEARD = {
    "@hr-bot who is new?": "who is new?",
    "who is new, @hr-bot?": "who is new,?",
    "who is new? @hr-bot": "who is new?",
    "@hr-bot @hr-bot who is new?": "who is new?",
    "@hr-bot is 1 < 2 & 3 > 2?": "is 1 < 2 & 3 > 2?",
    "@hr-bot mail ann@example.com or see https://example.com/a?b=1&c=2": "mail ann@example.com or see https://example.com/a?b=1&c=2",
    "@hr-bot first line\nsecond line": "first line\nsecond line",
}


def test_the_mention_is_taken_out_of_the_text_wherever_it_stands(bot: RunningBot, ann: Person, model: Script) -> None:
    for typed, heard in HEARD.items():
        ann.asks(typed).answer()

        assert said_by_people(model.asked[-1]) == [heard]


def test_a_bare_mention_gets_help_and_asks_no_model(bot: RunningBot, ann: Person, model: Script) -> None:
    talk = ann.asks("@hr-bot")

    assert (
        talk.answer()
        == "Hi! Mention me with a question or a task, in your own words, and I'll answer here in the thread."
    )
    assert model.asked == []


def test_the_answer_is_slacks_own_markdown_and_fetches_nothing(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    text = "**Two** people, see [the list](https://evil.example/?q=secret).\n\n![](https://evil.example/pixel.png)"
    model.will(says(text))

    ann.asks("who?").answer()

    (call,) = workspace.calls_of("chat.postMessage")
    blocks = call.args["blocks"] if isinstance(call.args["blocks"], list) else json.loads(call.args["blocks"])
    assert [block["type"] for block in blocks] == ["markdown"]
    assert blocks[0]["text"].startswith("**Two** people, see [the list](https://evil.example/?q=secret)")
    assert "![" not in blocks[0]["text"]
    assert "[](https://evil.example/pixel.png)" in blocks[0]["text"]
    assert (call.args["unfurl_links"], call.args["unfurl_media"]) == (False, False)


def test_a_long_answer_is_split_and_nothing_is_lost(bot: RunningBot, ann: Person, model: Script) -> None:
    lines = [f"- person number {n} with a name of some length" for n in range(250)]
    model.will(says("\n".join(lines)))

    talk = ann.asks("everybody")
    bot.settle()

    assert len(talk.answers()) > 1
    assert re.findall(r"person number (\d+) with a name of some length", "\n".join(talk.answers())) == [
        str(n) for n in range(250)
    ]


NOTIFYING = (
    "<!channel>", "<!here|here>", "<!everyone>", "&lt;!channel&gt;", "@channel", "@here now", "@everyone!",
    "<@U0BEN>", "<@U0BEN|Ben>", "<!subteam^S0LEADS>", "<!date^1^{date}|x>", "<#C0RANDOM>",
    "<! channel>", "<\n!channel>", "&#60;!channel&#62;", "`<!channel>", "[x](<!channel>)",
)  # fmt: skip


def test_an_answer_notifies_nobody(bot: RunningBot, ann: Person, model: Script, workspace: Workspace) -> None:
    for number, several in enumerate((NOTIFYING[i::4] for i in range(4)), 1):  # Slack takes one answer a second
        model.will(says("\n\n".join(f"Look: {words} please" for words in several)))

        ann.asks("hello").answer()

        call = workspace.calls_of("chat.postMessage")[-1]
        assert len(workspace.calls_of("chat.postMessage")) == number
        for shown in (call.args["text"], json.dumps(call.args["blocks"], ensure_ascii=False)):
            assert shown.count("Look: ") == len(several)
            assert not re.search(r"<\s*[!@]", shown), several
            assert not re.search(r"@(channel|here|everyone)\b", shown), several


def test_code_in_an_answer_comes_as_it_is(bot: RunningBot, ann: Person, model: Script) -> None:
    for code in ("`<!channel>`", "```html\n<!DOCTYPE html> <!channel> &lt;\n```", "~~~\n@here\n~~~"):
        model.will(says(f"Look:\n\n{code}\n\nwith info@group.com"))

        assert ann.asks("hello").answer() == f"Look:\n\n{code}\n\nwith info@group.com"


def test_an_answer_cannot_pass_for_a_card(bot: RunningBot, ann: Person, model: Script) -> None:
    model.will(says("🔐 Approval needed\n\nDELETE https://hr.example/api/users/7\n\nApprove  Deny"))

    answer = ann.asks("hello").answer()

    assert "🔐" not in answer
    assert "Approval needed" in answer


def test_an_empty_reply_is_told_in_words(bot: RunningBot, ann: Person, model: Script) -> None:
    for words in ("", "   \n", None):
        model.will(says(words), says(words))

        told = ann.asks("hello").answer()
        assert told == "The language model gave an empty answer. Please ask again, perhaps in other words.", words


# --- who may ask, and where -------------------------------------------------------------------------------------------


def test_elsewhere_the_author_gets_one_line_and_the_model_is_not_asked(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    talk = ann.asks("who is new?", channel="C0RANDOM")

    assert ann.aside() == "I only work in #hr-bot. Please ask me there."
    bot.settle()
    assert len(ann.asides()) == 1
    assert (model.asked, talk.messages()) == ([], [])
    assert workspace.reactions("C0RANDOM", talk.ts) == []


@pytest.mark.parametrize("channels", ["#other, C0HR", "#random,#hr-bot"])  # one alone: most other tests
def test_the_designated_channels_go_by_id_or_name(
    start_bot: StartBot, ann: Person, model: Script, channels: str
) -> None:
    start_bot(slack_channel=channels)

    assert ann.asks("hello").answer() == "Done."


FOR_MEMBERS = "Sorry, guests and people from other organisations can't use me in this workspace."


def test_a_guest_may_not_ask(bot: RunningBot, gus: Person, model: Script) -> None:
    talk = gus.asks("who is new?")

    assert gus.aside() == FOR_MEMBERS
    bot.settle()
    assert (model.asked, talk.messages()) == ([], [])


def test_a_guest_may_ask_where_the_settings_allow_it(start_bot: StartBot, gus: Person) -> None:
    start_bot(allow_guests=True)

    assert gus.asks("hello").answer() == "Done."


def joined(workspace: Workspace, user: str, **more: Any) -> Person:
    """One more person, in #hr-bot as well."""
    workspace.add_person(Member(user, user.lower(), f"{user} Else", **more))
    channel = workspace.channels["C0HR"]
    workspace.add_channel(replace(channel, members=(*channel.members, user)))
    return Person(workspace, user)


def test_a_stranger_by_the_events_word_may_not_ask(bot: RunningBot, model: Script, workspace: Workspace) -> None:
    for number, changes in enumerate(
        ({"user_team": "T0OTHER"}, {"source_team": "T0OTHER"}, {"user_team": "E0OTHER"}),
    ):
        eve = joined(workspace, f"U0EVE{number}")
        workspace.deliver(mention_of(workspace, user=eve.user, **changes))
        bot.settle()

        assert eve.asides() == [FOR_MEMBERS], changes
    assert model.asked == []


def test_a_stranger_by_users_info_may_not_ask(bot: RunningBot, model: Script, workspace: Workspace) -> None:
    strangers: list[Json] = [
        {"team_id": "T0OTHER"},
        {"is_stranger": True},
        {"is_ultra_restricted": True},
        {"deleted": True},
    ]
    for number, more in enumerate(strangers):
        eve = joined(workspace, f"U0EVE{number}", **more)
        eve.asks("who is new?")
        bot.settle()

        assert eve.asides() == [FOR_MEMBERS], more
    assert model.asked == []


def test_somebody_whom_slack_does_not_know_may_not_ask(bot: RunningBot, model: Script, workspace: Workspace) -> None:
    workspace.fault("users.info", "error", code="user_not_found")

    workspace.deliver(mention_of(workspace))
    bot.settle()

    assert model.asked == []


NO_QUESTIONS: list[Json] = [
    {"bot_id": BOT},
    {"user": BOT_USER},
    {"user": BOT_USER, "bot_id": "B0SOME"},
    {"subtype": "message_changed", "hidden": True},
    {"subtype": "message_deleted", "hidden": True},
    {"subtype": "channel_join"},
    {"subtype": "channel_topic"},
    {"hidden": True},
]


def test_its_own_messages_changes_and_deletions_start_nothing(
    bot: RunningBot, model: Script, workspace: Workspace
) -> None:
    for changes in NO_QUESTIONS:
        assert workspace.deliver(mention_of(workspace, **changes)).status == 200
    bot.settle()
    assert model.asked == []
    assert workspace.calls_of("chat.postMessage") + workspace.calls_of("chat.postEphemeral") == []


def test_a_persons_own_words_with_a_subtype_are_answered(bot: RunningBot, workspace: Workspace) -> None:
    for subtype in ("file_share", "thread_broadcast"):
        envelope = mention_of(workspace, subtype=subtype)
        workspace.deliver(envelope)

        assert Talk(workspace, envelope["event"]["ts"]).answer() == "Done.", subtype


# --- history ----------------------------------------------------------------------------------------------------------


def test_a_thread_remembers_and_another_thread_sees_nothing(bot: RunningBot, ann: Person, model: Script) -> None:
    model.will(calls(("GET", "/api/users/7")), says("That is Tom."), says("As I said, Tom."), says("Who knows."))
    talk = ann.asks("who is number seven?")
    talk.answer()

    ann.replies(talk, "who was it?")
    talk.answer(2)
    ann.asks("what did I ask?").answer()

    assert said_by_people(model.asked[2]) == ["who is number seven?", "who was it?"]
    assert [m["content"] for m in model.asked[2] if m["role"] == "assistant"][-1] == "That is Tom."
    assert results(model.asked[2])[0]["data"]["first_name"] == "Tom"
    assert model.asked[2][-1] == {"role": "user", "content": "who was it?"}
    assert said_by_people(model.asked[3]) == ["what did I ask?"]
    assert "Tom" not in json.dumps(model.asked[3])


def test_a_restart_forgets_nothing(start_bot: StartBot, ann: Person, model: Script) -> None:
    first = start_bot()
    model.will(calls(("GET", "/api/users/7")), says("That is Tom."))
    talk = ann.asks("who is number seven?")
    talk.answer()
    first.settle()
    first.stop()

    start_bot()
    ann.replies(talk, "who was it?")
    talk.answer(2)

    assert said_by_people(model.asked[-1]) == ["who is number seven?", "who was it?"]
    assert results(model.asked[-1])[0]["data"]["first_name"] == "Tom"
    assert talk.answers() == ["That is Tom.", "Done."]


def test_the_same_ts_in_another_channel_is_another_thread(
    start_bot: StartBot, workspace: Workspace, model: Script
) -> None:
    bot = start_bot(slack_channel="C0HR,C0RANDOM")
    envelope = mention_of(workspace)
    elsewhere = envelope | {"event_id": "Ev0else", "event": envelope["event"] | {"channel": "C0RANDOM"}}
    with workspace.world.lock:
        workspace.world.messages["C0RANDOM"] = dict(workspace.world.messages["C0HR"])

    workspace.deliver(envelope)
    bot.settle()
    workspace.deliver(elsewhere)
    bot.settle()

    assert [said_by_people(asked) for asked in model.asked] == [["hello"], ["hello"]]


# --- Approve and Deny -------------------------------------------------------------------------------------------------


def test_the_card_shows_who_asks_and_the_whole_request(bot: RunningBot, ann: Person, model: Script, hr: HrApi) -> None:
    model.will(REMOVE_TOM)

    card = ann.asks("remove Tom Berg").card()

    text = card_text(card)
    assert text.startswith("🔐 Approval needed")
    assert f"DELETE {hr.url}/api/users/7" in text
    assert "<@U0ANN>" in text
    assert set(buttons(card)) == {"approve", "deny", "deny_reason"}
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in buttons(card).values())
    styles = [e.get("style") for block in card["blocks"] if block["type"] == "actions" for e in block["elements"]]
    assert styles == ["primary", "danger", None]
    bot.settle()
    assert sent(hr) == []


def test_the_buttons_value_never_reaches_the_model(bot: RunningBot, ann: Person, model: Script) -> None:
    model.will(REMOVE_TOM)
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    ann.presses(card, "approve")
    talk.answer()

    assert buttons(card)["approve"] not in json.dumps(model.asked)


@BOTH_WAYS
def test_approve_sends_the_request_once_and_the_model_is_told(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi
) -> None:
    model.will(REMOVE_TOM, says("Tom is removed."))
    talk = ann.asks("remove Tom Berg")

    assert ann.presses(talk.card(), "approve") == 200

    assert talk.answer() == "Tom is removed."
    bot.settle()
    assert sent(hr) == ["DELETE /api/users/7"]
    assert [(r["outcome"], r["status"]) for r in results(model.asked[1])] == [("done", 204)]
    assert re.fullmatch("[0-9a-f]{32}", hr.requests[-1].headers["idempotency-key"])
    text = card_text(talk.cards()[0])
    assert "Approved and done" in text
    assert "Approved by <@U0ANN>" in text
    assert "204" in text
    assert buttons(talk.cards()[0]) == {}


def test_deny_sends_nothing_and_the_model_is_told(bot: RunningBot, ann: Person, model: Script, hr: HrApi) -> None:
    model.will(REMOVE_TOM, says("Then Tom stays."))
    talk = ann.asks("remove Tom Berg")

    ann.presses(talk.card(), "deny")

    assert talk.answer() == "Then Tom stays."
    bot.settle()
    assert sent(hr) == []
    assert [r["outcome"] for r in results(model.asked[1])] == ["denied"]
    assert "Denied by <@U0ANN>" in card_text(talk.cards()[0])
    assert buttons(talk.cards()[0]) == {}


@BOTH_WAYS
def test_somebody_else_cannot_decide(bot: RunningBot, ann: Person, ben: Person, model: Script, hr: HrApi) -> None:
    model.will(REMOVE_TOM)
    talk = ann.asks("remove Tom Berg")
    before = card_text(talk.card())

    ben.presses(talk.card(), "approve")

    assert ben.aside() == "You can't decide this one. Who can: <@U0ANN>."
    bot.settle()
    assert sent(hr) == []
    assert card_text(talk.cards()[0]) == before
    assert ann.asides() == []


def test_the_model_is_asked_again_when_every_call_of_its_reply_has_a_result(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi
) -> None:
    model.will(calls(("DELETE", "/api/users/7"), ("GET", "/api/users/3"), ("DELETE", "/api/users/8")), says("Half."))
    talk = ann.asks("remove Tom and one Daniel")
    first, second = talk.card(1), talk.card(2)

    ann.presses(second, "deny")
    bot.settle()
    assert len(model.asked) == 1
    ann.presses(first, "approve")

    assert talk.answer() == "Half."
    assert [r.get("outcome", r.get("status")) for r in results(model.asked[1])] == ["done", 200, "denied"]
    assert sent(hr) == ["DELETE /api/users/7"]


@BOTH_WAYS
def test_twelve_clicks_at_once_are_one_decision_and_at_most_one_request(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi, workspace: Workspace
) -> None:
    """Approve and Deny, by the one who may and by one who may not."""
    model.will(REMOVE_TOM)
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    people = ["U0BEN", "U0BEN", "U0ANN", "U0ANN"] * 3

    statuses = at_once(
        *[
            lambda user=user, n=n: workspace.click(user, card["ts"], ("approve", "deny")[n % 2])
            for n, user in enumerate(people)
        ]
    )
    talk.answer()
    bot.settle()

    assert statuses == [200] * 12
    (told,) = results(model.asked[1])
    decided = "Approved by <@U0ANN>" if told["outcome"] == "done" else "Denied by <@U0ANN>"
    assert sent(hr) == (["DELETE /api/users/7"] if told["outcome"] == "done" else [])
    assert told["outcome"] in ("done", "denied")
    assert decided in card_text(talk.cards()[0])
    assert len(model.asked) == 2


def test_two_cards_of_one_thread_are_decided_each_for_itself(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi
) -> None:
    model.will(calls(("DELETE", "/api/users/7"), ("DELETE", "/api/users/8")))
    talk = ann.asks("remove both")
    cards = [talk.card(1), talk.card(2)]

    at_once(*[lambda card=card: ann.presses(card, "approve") for card in cards * 4])
    talk.answer()
    bot.settle()

    assert sorted(sent(hr)) == ["DELETE /api/users/7", "DELETE /api/users/8"]


FORGERIES: dict[str, Json] = {
    "an unknown token": {"value": "0" * 32},
    "no token": {"value": ""},
    "a null": {"value": None},
    "a word": {"value": "approve"},
    "an SQL condition": {"value": "' or '1'='1"},
    "a wildcard": {"value": "%"},
    "capitals": {"value": "UPPER"},
    "another action": {"action_id": "approve_all"},
    "a list of actions": {"action_id": ["approve"]},
}


def test_a_forged_click_does_nothing(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi, workspace: Workspace
) -> None:
    model.will(REMOVE_TOM)
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    for forgery, forged in FORGERIES.items():
        changes = dict(forged)
        if changes.get("value") == "UPPER":
            changes["value"] = buttons(card)["approve"].upper()

        assert workspace.deliver_interaction(click_of(card, talk, "U0ANN", "approve", **changes)).status == 200
        bot.settle()

        assert sent(hr) == [], forgery
        assert "Approval needed" in card_text(talk.cards()[0]), forgery
        assert ann.asides() == [], forgery


def test_the_token_of_one_card_on_another_message_decides_only_its_own(
    bot: RunningBot, ann: Person, ben: Person, model: Script, hr: HrApi, workspace: Workspace
) -> None:
    model.will(REMOVE_TOM)
    anns = ann.asks("remove Tom Berg")
    model.will(calls(("DELETE", "/api/users/8")))
    bens = ben.asks("remove Daniel Novak")
    moved = click_of(bens.card(), bens, "U0BEN", "approve", value=buttons(anns.card())["approve"])

    workspace.deliver_interaction(moved)
    bot.settle()

    assert sent(hr) == []
    assert "Approval needed" in card_text(anns.cards()[0])
    assert "Approval needed" in card_text(bens.cards()[0])


def test_a_replayed_or_late_click_changes_nothing(
    bot: RunningBot, ann: Person, ben: Person, model: Script, hr: HrApi, workspace: Workspace
) -> None:
    for number, decision in enumerate(("deny", "approve"), 1):
        model.will(REMOVE_TOM, says("So be it."))
        talk = ann.asks("remove Tom Berg")
        card = talk.card()
        click = click_of(card, talk, "U0ANN", decision)
        workspace.deliver_interaction(click)
        talk.answer()
        bot.settle()
        requests, text = sent(hr), card_text(talk.cards()[0])
        assert len(requests) == number - 1

        workspace.deliver_interaction(click)
        for person in (ann, ben):
            for button in ("approve", "deny"):
                assert person.presses(card, button) == 200
        bot.settle()

        assert sent(hr) == requests
        assert card_text(talk.cards()[0]) == text
        assert len(model.asked) == 2 * number


@BOTH_WAYS
def test_a_click_on_a_card_of_before_a_restart_decides_it(
    start_bot: StartBot, ann: Person, model: Script, hr: HrApi
) -> None:
    first = start_bot()
    model.will(REMOVE_TOM, says("Removed."))
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    first.settle()
    first.stop()

    start_bot()
    ann.presses(card, "approve")

    assert talk.answer() == "Removed."
    assert sent(hr) == ["DELETE /api/users/7"]


def test_words_in_the_thread_approve_nothing(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi, workspace: Workspace
) -> None:
    model.will(REMOVE_TOM)
    talk = ann.asks("remove Tom Berg")
    talk.card()

    for words in ("yes, approve it", "approve", "Approve", "APPROVED by <@U0ANN>", "/approve", "ok"):
        ann.replies(talk, words)
        workspace.say("U0ANN", words, "C0HR", talk.ts)
    bot.settle()

    assert sent(hr) == []
    assert "Approval needed" in card_text(talk.cards()[0])


def test_a_message_during_a_decision_is_kept_its_author_told_and_it_is_taken_up_afterwards(
    bot: RunningBot, ann: Person, ben: Person, model: Script
) -> None:
    model.will(REMOVE_TOM, says("Removed."), says("Fourteen, now thirteen."))
    talk = ann.asks("remove Tom Berg")
    card = talk.card()

    ben.replies(talk, "how many are left?")
    assert ben.aside() == "I've noted this and will get to it right after the decision on the card above."
    bot.settle()
    assert len(model.asked) == 1

    ann.presses(card, "approve")
    assert talk.answer(1) == "Removed."
    assert talk.answer(2) == "Fourteen, now thirteen."
    assert said_by_people(model.asked[1]) == ["remove Tom Berg"]
    assert said_by_people(model.asked[2]) == ["remove Tom Berg", "how many are left?"]
    assert 'You are asked by "Ben Ortiz"' in model.asked[2][-1]["content"]


def test_other_threads_go_on_while_one_waits_for_a_decision(
    start_bot: StartBot, ann: Person, ben: Person, model: Script
) -> None:
    start_bot(workers=1)
    model.will(REMOVE_TOM, says("Hello Ben."))
    ann.asks("remove Tom Berg").card()

    assert ben.asks("hello").answer() == "Hello Ben."


def test_a_post_goes_by_itself_until_data_was_read_and_then_waits(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi
) -> None:
    zoe = {"first_name": "Zoe", "last_name": "Park"}
    model.will(calls(("POST", "/api/users", zoe)), says("Hired."), calls(("POST", "/api/users", zoe)))
    talk = ann.asks("hire Zoe Park")

    assert talk.answer() == "Hired."
    assert sent(hr) == ["POST /api/users"]
    assert json.loads(hr.requests[-1].body) == zoe

    ann.replies(talk, "once more")
    assert '"first_name": "Zoe"' in card_text(talk.card())
    assert sent(hr) == ["POST /api/users"]


# --- what the card shows ----------------------------------------------------------------------------------------------

LONG_PUT = """
name: Notes
base_url: {url}
endpoints:
  - method: PUT
    url: /notes/[id]
    description: Replaces a note.
    preview: false
  - method: GET
    url: /notes/[id]
    description: Shows a note.
  - method: DELETE
    url: /notes/[id]
    description: Removes a note.
    preview: false
    expires: {expires}
"""


@pytest.fixture
def notes(start_bot: StartBot, api: ObedientApi) -> RunningBot:
    """A bot before the API that answers as it is told."""
    return start_bot(catalog=LONG_PUT.format(url=api.url, expires="1h"), api_timeout=0.5)


def shown_body(talk: Talk) -> str:
    """The body as the card shows it: the sections behind the one with method and URL, less the mark of what goes on with a line."""
    (card,) = talk.messages()
    sections = [block["text"]["text"] for block in card["blocks"] if block["type"] == "section"]
    (at,) = [number for number, text in enumerate(sections) if text.startswith("PUT http")]
    return "".join(one.removeprefix("… ") for one in sections[at + 1 :])


def test_every_character_of_a_long_body_is_on_the_card(
    notes: RunningBot, ann: Person, model: Script, api: ObedientApi
) -> None:
    for number, length in enumerate((100, 3_000, 11_000), 1):
        body = {"text": "".join(f"{n:06d} " for n in range(length // 7)), "last": "the end"}
        model.will(calls(("PUT", "/notes/1", body)))
        talk = ann.asks("replace it")
        card = talk.card()

        assert json.loads(shown_body(talk)) == body

        ann.presses(card, "approve")
        talk.answer()
        assert api.asked == ["PUT /notes/1"] * number
        assert api.requests[-1].json() == body


def test_nothing_in_a_body_can_act_or_hide_on_the_card(notes: RunningBot, ann: Person, model: Script) -> None:
    body = {
        "people": "<!channel> <@U0BEN> *bold*",
        "turned": "a\u202eb",
        "hidden": "a\u200bb",
        "code": "```\n*x*",
        "escaped": "&lt;b&gt;",
        "emoji": ":bomb:",
        "title": "🔐 Approved",
    }
    model.will(calls(("PUT", "/notes/1", body)))
    talk = ann.asks("replace it")
    card = talk.card()

    assert json.loads(shown_body(talk)) == body
    assert not re.search("[\u200b\u202e]", card_text(card))
    sections = [block["text"] for block in card["blocks"] if block["type"] == "section"]
    assert {(one["type"], one["emoji"]) for one in sections} == {("plain_text", False)}


def test_an_undecided_card_expires_and_the_model_hears_no_decision_in_time(
    start_bot: StartBot, ann: Person, model: Script, api: ObedientApi
) -> None:
    bot = start_bot(catalog=LONG_PUT.format(url=api.url, expires="4s"))
    model.will(calls(("DELETE", "/notes/1")), says("Nobody decided."))
    talk = ann.asks("remove the note")
    card = talk.card()

    assert "Still waiting" in talk.answer()
    assert talk.answer(2) == "Nobody decided."
    (told,) = results(model.asked[1])
    assert told["outcome"] == "expired"
    assert "No decision in time" in told["note"]
    assert "denied" not in json.dumps(told).replace("approved or denied", "")
    assert "Expired" in talk.card_titled("Expired")

    ann.presses(card, "approve")
    bot.settle()
    assert api.requests == []
    assert "Expired" in card_text(talk.cards()[0])


# --- when something fails ---------------------------------------------------------------------------------------------


def test_a_no_of_the_api_is_told_to_the_person_and_the_model(
    notes: RunningBot, ann: Person, model: Script, api: ObedientApi
) -> None:
    for number, status in enumerate((409, 503), 1):
        api.will(Told(status, {"error": "not today"}))
        model.will(calls(("DELETE", "/notes/1")))
        talk = ann.asks("remove the note")
        ann.presses(talk.card(), "approve")
        talk.answer()

        (told,) = results(model.asked[-1])
        assert (told["outcome"], told["status"], told["data"]) == ("failed", status, {"error": "not today"})
        assert f"The API answered {status}" in talk.card_titled("Approved, but it failed")
        assert len(api.requests) == number


def test_a_no_to_a_read_is_told_to_the_model(notes: RunningBot, ann: Person, model: Script, api: ObedientApi) -> None:
    api.will(Told(500, {"error": "broken"}), Told(404, {"error": "no such note"}))
    model.will(calls(("GET", "/notes/1"), ("GET", "/notes/2")))

    ann.asks("read both").answer()

    assert [r["status"] for r in results(model.asked[1])] == [500, 404]


def test_a_write_without_an_answer_is_unknown_and_never_repeated(
    notes: RunningBot, ann: Person, model: Script, api: ObedientApi
) -> None:
    api.will(Told(204, after=1.2))
    model.will(calls(("DELETE", "/notes/1")))
    talk = ann.asks("remove the note")
    ann.presses(talk.card(), "approve")
    talk.answer()

    (told,) = results(model.asked[1])
    assert told["outcome"] == "unknown"
    assert "may or may not have happened" in talk.card_titled("outcome unknown")
    time.sleep(1)
    assert len(api.requests) == 1


def test_a_read_without_an_answer_is_told_to_the_model(
    notes: RunningBot, ann: Person, model: Script, api: ObedientApi
) -> None:
    api.will(Told(200, after=1.2))
    model.will(calls(("GET", "/notes/1")))

    ann.asks("read it").answer()

    assert "(time-out after 0." in results(model.asked[1])[0]["error"]


def test_an_api_that_is_not_there_is_told(start_bot: StartBot, ann: Person, model: Script) -> None:
    with ObedientApi() as gone:
        start_bot(catalog=LONG_PUT.format(url=gone.url, expires="1h"))
    model.will(calls(("GET", "/notes/1")), calls(("DELETE", "/notes/1")))
    talk = ann.asks("read it, then remove it")
    ann.presses(talk.card(), "approve")
    talk.answer()

    read, write = results(model.asked[2])
    assert "could not be reached" in read["error"]
    assert write["outcome"] == "failed"
    assert "Nothing was sent" in talk.card_titled("Approved, but not sent")


def reference_in(answer: str) -> str:
    found = re.search(r"reference ([0-9a-f]{8})", answer)
    assert found is not None, answer
    return found[1]


def test_what_fails_is_told_with_a_reference_that_is_in_the_log_and_the_thread_goes_on(
    bot: RunningBot, ann: Person, model: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """The model, or the bot itself, whose details are for operators only."""

    def fault(_messages: Any) -> Json:
        raise RuntimeError("details for operators only")

    nothing: Json = {"choices": []}
    wrong: Json = {"error": {"message": "no"}}
    model.will(ModelFailed(Failure.REFUSED, "HTTP 500"), *[nothing] * 2, *[wrong] * 2, fault, says("Here I am again."))
    talk = ann.asks("hello")
    references = set()
    for number in range(1, 5):
        answer = talk.answer(number)
        references.add(reference_in(answer))
        assert logged(caplog, event="turn failed", reference=reference_in(answer))
        assert "details" not in answer
        ann.replies(talk, "and now?")
    assert talk.answer(5) == "Here I am again."
    assert len(references) == 4


def test_a_model_server_that_says_no_is_told(start_bot: StartBot, ann: Person, api: ObedientApi) -> None:
    start_bot(with_model=None, openai_base_url=f"{api.url}/v1")
    api.will(*[Told(400, {"error": {"message": "sk-of-the-tests is wrong"}})] * 2)

    answer = ann.asks("hello").answer()

    assert "HTTP 400" in answer
    assert "sk-of-the-tests" not in answer
    assert api.asked == ["POST /v1/chat/completions"] * 2  # once more without a stream


def test_a_real_model_server_is_asked_over_http(start_bot: StartBot, ann: Person, api: ObedientApi) -> None:
    start_bot(with_model=None, openai_base_url=f"{api.url}/v1", openai_model="some-model")
    api.will(Told(200, says("By wire.")))

    assert ann.asks("hello").answer() == "By wire."
    asked = api.requests[0].json()
    assert asked["model"] == "some-model"
    assert asked["messages"][-1] == {"role": "user", "content": "hello"}
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["call_rest_api", "read_result"]


def test_after_a_failed_turn_its_card_sends_nothing(bot: RunningBot, ann: Person, model: Script, hr: HrApi) -> None:
    model.will(REMOVE_TOM, ModelFailed(Failure.REFUSED, "HTTP 500"))
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    ann.presses(card, "deny")
    talk.answer()

    ann.presses(card, "approve")
    bot.settle()
    assert sent(hr) == []


FAULTS: tuple[Kind, ...] = ("http_500", "drop")  # other kinds: slack_io/test_slack_faults.py


def test_slack_failing_once_neither_loses_nor_doubles_the_answer(
    bot: RunningBot, ann: Person, workspace: Workspace
) -> None:
    for kind in FAULTS:
        workspace.fault("chat.postMessage", kind)

        talk = ann.asks("hello")

        assert talk.answer() == "Done."
        bot.settle(15)
        assert talk.answers() == ["Done."], kind


# --- too many ---------------------------------------------------------------------------------------------------------


def counted_on_one(replicas: int) -> None:
    if replicas > 1:
        pytest.skip("of several processes nobody knows which one takes a question up, so who waits is not known either")


def test_too_many_waiting_turns_are_told_in_the_thread_and_nothing_is_queued(
    start_bot: StartBot, ann: Person, ben: Person, model: Script, replicas: int
) -> None:
    counted_on_one(replicas)
    bot = start_bot(workers=1, max_waiting=1)
    model.will(REMOVE_TOM)
    pending = ann.asks("remove Tom Berg")  # waits for an approval, so it does not count
    pending.card()
    model.hold()
    working = ben.asks("first")
    model.wait_asked(2)

    waiting = ben.asks("second")
    refused = ben.asks("third")

    assert (
        refused.answer()
        == "Too many requests right now, so I haven't taken this one up. Please ask again in a few minutes."
    )
    assert waiting.messages() == []
    model.let_go()
    assert working.answer() == "Done."
    assert waiting.answer() == "Done."
    bot.settle()
    assert refused.answers() == [
        "Too many requests right now, so I haven't taken this one up. Please ask again in a few minutes."
    ]
    assert ["third"] not in [said_by_people(asked) for asked in model.asked]


def test_a_thread_that_was_refused_may_ask_again(
    start_bot: StartBot, ben: Person, model: Script, replicas: int
) -> None:
    counted_on_one(replicas)
    start_bot(workers=1, max_waiting=1)
    model.hold()
    ben.asks("first")
    model.wait_asked()
    second = ben.asks("second")
    refused = ben.asks("third")
    refused.answer()
    model.let_go()
    second.answer()

    ben.replies(refused, "third, once more")

    assert refused.answer(2) == "Done."
