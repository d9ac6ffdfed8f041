"""Who may ask, over the whole bot: two people with two rights, a group that somebody left, a directory that is away, workflows."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from emulator.emulator import Workspace
from emulator.world import BOT, UserGroup
from slack_io.slack_app import EMAIL_SCOPE, NEEDED
from tests.harness.whole_bot import (
    Json,
    Message,
    ObedientApi,
    Person,
    Script,
    StartBot,
    Talk,
    buttons,
    calls,
    card_text,
    mention_of,
    results,
    says,
    until,
)

pytestmark = pytest.mark.waits

CATALOG = """
name: HR
base_url: {url}
endpoints:
  - {{method: GET, url: /people, description: Lists people.}}
  - {{method: GET, url: /salaries, description: Lists what people earn., askers: ["@hr-leads"]}}
  - {{method: DELETE, url: "/people/[id]", description: Removes somebody., preview: false, askers: ["@hr-leads"]}}
  - {{method: GET, url: /contracts, description: Lists contracts., askers: [B0OTHER, "@hr-leads"]}}
  - {{method: POST, url: /contracts, description: Draws a contract up., askers: B0OTHER, approval: {{approvers: ["@hr-leads"]}}}}
recipes:
  - {{workflowId: payday, description: Tells what people earn., steps: [{{stepId: all, operation: GET /salaries}}]}}
prompts:
  - Who is there?
  - {{title: Earnings, message: Who earns most?, askers: "@hr-leads"}}
"""
HIDDEN = ("salaries", "earn", "payday", "DELETE", "contracts")
NOTHING_TO_ASK = (
    "There is nothing that you may ask me for here. If there should be, tell my operators: "
    "they decide who may ask for what."
)
NO_PERSON = "I only work for people, who can answer for what they ask. This came from a workflow or an app, so I haven't taken it up."
NOT_KNOWN_WHO = (
    "I couldn't look up in Slack what you may ask me for, so I haven't taken this up. Please ask again in a few minutes; if it keeps "
    "happening, tell my operators."
)
APP_ASKS_ON = (
    "This thread already has many questions, so I won't answer another one from an app here. Please start a new thread."
)


def catalog(api: ObedientApi) -> str:
    return CATALOG.format(url=api.url)


def of_leads(workspace: Workspace, *members: str) -> None:
    workspace.add_group(UserGroup("S0LEADS", "hr-leads", "HR leads", members))


def said(messages: Sequence[Message]) -> str:
    return json.dumps(messages)


def test_two_people_with_two_rights_have_two_catalogs(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    """Ben is an HR lead. Ann's model knows nothing of what is his, calls it anyway, and hears what it hears of any unknown path."""
    start_bot(catalog=catalog(api))
    wanted = (("GET", "/salaries"), ("RUN", "payday"), ("DELETE", "/people/7"), ("GET", "/nowhere"), ("RUN", "nothing"))
    model.will(calls(*wanted[:1], *wanted[3:4]), calls(*wanted[1:3], *wanted[4:]), says("Cannot."))
    talk = ann.asks("who earns most?")
    assert talk.answer() == "Cannot."
    assert not [word for word in HIDDEN if word in said(model.asked[0][:1])]
    told = [one["error"] for one in results(model.asked[-1])]
    assert (
        told[0]
        == "The catalog has no operation GET /salaries. The nearest: GET /people. Use a listed one, its placeholders filled in."
    )
    assert told[1] == told[0].replace("/salaries", "/nowhere")
    assert told[2] == "There is no recipe 'payday' here. Available: none."
    assert told[4] == told[2].replace("payday", "nothing")
    assert told[3] == told[0].replace("GET /salaries", "DELETE /people/7")
    assert api.asked == []

    model.will(calls(("GET", "/salaries")), calls(("DELETE", "/people/7")))
    assert ben.asks("who earns most? Remove him.").card()
    assert all(word in said(model.asked[-1][:1]) for word in HIDDEN)
    assert api.asked == ["GET /salaries"]


def test_in_one_thread_each_has_their_own(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api))
    model.will(calls(("GET", "/salaries")), says("Eve does."))
    talk = ben.asks("who gets most?")
    talk.answer()
    ann.replies(talk, "and least?")
    assert talk.answer(2) == "Done."
    assert not [word for word in HIDDEN if word in said(model.asked[-1])]
    assert "Eve does." in said(model.asked[-1])  # which was posted


def test_who_left_the_group_between_approval_and_sending_has_nothing_sent(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ben: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/people/7")))
    talk = ben.asks("remove him")
    card = talk.card()
    of_leads(workspace, "U0ANN")
    until(lambda: bot.web.in_group("S0LEADS", "U0BEN", kept=5.0) is False)  # as sending believes it, at most
    ben.presses(card, "approve")
    text = talk.card_titled("Approved, but not sent")
    assert "The person who asked for this may no longer ask for it. Nothing was sent." in text
    bot.settle()
    assert api.asked == []


def test_what_is_not_theirs_is_not_in_app_home_or_among_suggestions(
    start_bot: StartBot, api: ObedientApi, workspace: Workspace
) -> None:
    bot = start_bot(catalog=catalog(api), allow_dm=True)
    for user in ("U0ANN", "U0BEN"):
        workspace.open_home(user)
        workspace.open_home(user, "messages")
    workspace.wait(
        lambda: all(workspace.home(user) and workspace.prompts(f"D0{user[2:]}") for user in ("U0ANN", "U0BEN"))
    )
    bot.settle()
    for user, sees in (("U0ANN", False), ("U0BEN", True)):
        home = json.dumps(workspace.home(user))
        assert "/people" in home
        assert [word in home for word in ("salaries", "payday", "contracts")] == [sees] * 3
        titles = [one["title"] for one in workspace.prompts(f"D0{user[2:]}")]
        assert titles == ["Who is there?", *(["Earnings"] if sees else [])]


@pytest.mark.parametrize("code", ["missing_scope", "no_such_subteam"])
def test_where_groups_cannot_be_looked_up_nobody_has_what_is_theirs_and_is_told(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ben: Person, code: str
) -> None:
    start_bot(catalog=catalog(api))
    workspace.forbid("usergroups.users.list", code)
    answer = ben.asks("who earns most?").answer()
    assert "I couldn't look up in Slack all that you may ask me for, so something may be missing here." in answer
    assert not [word for word in HIDDEN if word in said(model.asked[-1][:1])]


def test_where_that_is_all_there_is_the_question_is_not_taken_up(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api).replace("name: HR\n", 'name: HR\naskers: "@hr-leads"\n'))
    workspace.forbid("usergroups.users.list", "missing_scope")
    assert ben.asks("who is there?").answer() == NOT_KNOWN_WHO
    workspace.allow("usergroups.users.list")
    until(lambda: ann.asks("who is there?").answer() == NOTHING_TO_ASK, pause=1)
    assert model.asked == []


def test_a_look_up_that_has_to_wait_is_waited_for(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ben: Person
) -> None:
    start_bot(catalog=catalog(api))
    workspace.fault("usergroups.users.list", "ratelimited", retry_after=1)
    model.will(calls(("GET", "/salaries")), says("Eve does."))
    assert ben.asks("who earns most?").answer() == "Eve does."


@pytest.mark.parametrize("member", [True, False])
def test_a_guest_whom_the_settings_allow_has_what_names_them(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, gus: Person, member: bool
) -> None:
    of_leads(workspace, "U0BEN", *(["U0GUS"] if member else []))
    start_bot(catalog=catalog(api), allow_guests=True)
    assert gus.asks("who earns most?").answer() == "Done."
    assert ("salaries" in said(model.asked[0][:1])) is member


def test_without_the_setting_a_guest_is_let_in_by_no_name(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, gus: Person
) -> None:
    of_leads(workspace, "U0GUS")
    start_bot(catalog=catalog(api))
    gus.asks("who earns most?")
    assert gus.aside() == "Sorry, guests and people from other organisations can't use me in this workspace."
    assert model.asked == []


def test_a_guest_whom_the_catalog_names_by_id_has_that_alone_and_decides_about_nobody_elses(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, gus: Person, ben: Person
) -> None:
    """Without ALLOW_GUESTS, which lets them in everywhere. Who else is an outsider: slack_io/test_web_api.py."""
    text = catalog(api).replace('askers: ["@hr-leads"]}', 'askers: ["@hr-leads", U0GUS]}')
    text = text.replace(
        "preview: false, askers:", "preview: false, approval: {approvers: [asker, U0GUS], batch: true}, askers:"
    )
    bot = start_bot(catalog=text, allow_dm=True)
    model.will(calls(("GET", "/people"), ("GET", "/salaries"), ("GET", "/contracts")), calls(("DELETE", "/people/7")))
    talk = gus.asks("who earns most? Remove him.")
    card = talk.card()
    assert [("error" in one) for one in results(model.asked[1])] == [True, False, True]
    assert "/people:" not in said(model.asked[0][:1])
    gus.presses(card, "approve")
    bot.settle()
    assert api.asked == ["GET /salaries", "DELETE /people/7"]

    model.will(calls(("DELETE", "/people/8")), calls(("DELETE", "/people/9"), ("DELETE", "/people/10")))
    gus.presses(ben.asks("remove the next").card(), "approve")
    assert gus.aside() == "Sorry, guests and people from other organisations can't decide here."
    several = ben.asks("and two more")
    workspace.wait(lambda: [one for one in several.messages() if "approve_all" in json.dumps(one)])
    (whole,) = [one for one in several.messages() if "approve_all" in json.dumps(one)]
    gus.presses(whole, "approve_all")
    bot.settle()
    assert api.asked == ["GET /salaries", "DELETE /people/7"]

    workspace.open_home("U0GUS")
    workspace.wait(lambda: workspace.home("U0GUS"))
    home = card_text(workspace.home("U0GUS") or {})
    assert [one in home for one in ("GET /salaries:", "GET /contracts:", "GET /people:")] == [True, False, False]


# --- domains ----------------------------------------------------------------------------------------------------------

BY_DOMAIN = """
base_url: {url}
endpoints:
  - {{method: GET, url: /people, description: Lists people.}}
  - {{method: GET, url: /salaries, description: Lists what people earn., askers: example.com}}
"""


@pytest.mark.parametrize("sees", [True, False])
def test_a_domain_needs_the_scope_for_addresses(
    api: ObedientApi, start_bot: StartBot, model: Script, workspace: Workspace, ann: Person, sees: bool
) -> None:
    scopes = NEEDED | {EMAIL_SCOPE} if sees else NEEDED
    workspace.world.app = type(workspace.world.app)(
        scopes=frozenset(scopes), events=workspace.world.app.events, view=workspace.world.app.view
    )
    start_bot(catalog=BY_DOMAIN.format(url=api.url))
    answer = ann.asks("who earns most?").answer()
    assert ("salaries" in said(model.asked[0][:1])) is sees
    assert ("something may be missing" in answer) is not sees


# --- apps -------------------------------------------------------------------------------------------------------------


def test_a_workflow_that_the_catalog_names_is_answered_with_what_names_it(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(
        calls(("GET", "/people"), ("GET", "/salaries")),
        calls(("POST", "/contracts", {"name": "Eve"})),
        says("Drawn up."),
    )
    talk = Talk(workspace, workspace.app_says("Onboarding", "@hr-bot draw up a contract for Eve"))
    card = talk.card()
    system = said(model.asked[0][:1])
    assert "/contracts" in system
    assert not [word for word in ("/people", "salaries", "payday") if word in system]
    assert all("has no operation" in one["error"] for one in results(model.asked[1]))
    assert "Asked by the app `B0OTHER`" in card_text(card)
    assert "withdraw" not in buttons(card)
    ann.presses(card, "approve")
    assert "You can't decide this one." in ann.aside()
    ben.presses(card, "approve")
    assert talk.answer() == "Drawn up."
    assert api.asked == ["POST /contracts"]
    bot.settle()
    (question,) = (json.loads(one.data) for one in bot.store.journal.lines(kind="question"))
    assert question["asker"] == "app:B0OTHER"
    assert workspace.calls_of("chat.postEphemeral")[-1].args["user"] == "U0ANN"


def test_an_app_is_known_by_its_own_id_as_well(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace
) -> None:
    start_bot(catalog=catalog(api).replace("B0OTHER", "A0OTHER"))
    assert Talk(workspace, workspace.app_says("Onboarding", "@hr-bot list contracts")).answer() == "Done."
    assert "/contracts" in said(model.asked[0][:1])


def test_an_app_that_is_named_nowhere_gets_its_one_word(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace
) -> None:
    start_bot(catalog=catalog(api).replace("B0OTHER", "B0ELSE"))
    assert Talk(workspace, workspace.app_says("Onboarding", "@hr-bot list contracts")).answer() == NO_PERSON
    assert model.asked == []


def test_outside_of_the_designated_channels_a_named_app_is_sent_there_once(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace
) -> None:
    bot = start_bot(catalog=catalog(api))
    ts = workspace.app_says("Onboarding", "@hr-bot list contracts", "C0RANDOM")
    talk = Talk(workspace, ts, "C0RANDOM")
    assert talk.answer() == "I only work in #hr-bot. Please ask me there."
    workspace.app_says("Onboarding", "@hr-bot list contracts", "C0RANDOM", ts)
    bot.settle()
    assert len(talk.answers()) == 1
    assert model.asked == []


def test_two_bots_that_answer_each_other_come_to_an_end(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace
) -> None:
    bot = start_bot(catalog=catalog(api))
    ts = workspace.app_says("Echo", "@hr-bot list contracts")
    talk = Talk(workspace, ts)
    for number in range(1, 14):
        talk.answer(min(number, 11))
        bot.settle()
        workspace.app_says("Echo", f"@hr-bot you said {talk.answers()[-1]}", "C0HR", ts)
    bot.settle()
    assert talk.answers() == [*["Done."] * 10, APP_ASKS_ON]
    assert len(model.asked) == 10


def test_an_app_asks_no_more_than_the_rate(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace
) -> None:
    bot = start_bot(catalog=catalog(api), rate_limit="1/hour")
    ts = workspace.app_says("Onboarding", "@hr-bot list contracts")
    talk = Talk(workspace, ts)
    assert talk.answer() == "Done."
    for _ in range(3):
        workspace.app_says("Onboarding", "@hr-bot list contracts", "C0HR", ts)
    assert "One person may ask 1 question an hour here" in talk.answer(2)
    bot.settle()
    assert len(talk.answers()) == 2
    assert len(model.asked) == 1


@pytest.mark.parametrize("own", [{"bot_id": BOT, "app_id": "A0OTHER"}, {"bot_id": "B0OTHER", "user": "U0BOT"}], ids=str)
def test_the_bot_is_no_app_that_could_be_named(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, own: Json
) -> None:
    bot = start_bot(catalog=catalog(api).replace("[B0OTHER,", f"[B0OTHER, A0OTHER, {BOT},"))
    workspace.deliver(mention_of(workspace, **own))
    bot.settle()
    assert model.asked == []
    assert workspace.calls_of("chat.postMessage") == []


def test_what_an_app_says_in_a_persons_name_is_the_apps_word(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace
) -> None:
    """Ben is a lead; what an app posts with his token has no more than the app."""
    start_bot(catalog=catalog(api))
    sent = mention_of(workspace, "who earns most?", user="U0BEN", bot_id="B0OTHER", app_id="A0OTHER")
    workspace.deliver(sent)
    Talk(workspace, sent["event"]["ts"]).answer()
    assert "salaries" not in said(model.asked[0][:1])
