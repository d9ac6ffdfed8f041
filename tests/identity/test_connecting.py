"""A person connects an account, end to end: the bot over HTTP behind a proxy, the local Slack, npm's oidc-provider, and an API that asks
that provider whose token it was given."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest

from emulator.emulator import Workspace
from tests.harness.browser import PUBLIC, Browser, link_in
from tests.harness.connecting import HrServer, link_for
from tests.harness.databases import rows, whole_database
from tests.harness.oidc_provider import needs_oidc_provider
from tests.harness.whole_bot import Person, RunningBot, Script, calls, results, says, until
from tests.identity.conftest import Starts

pytestmark = [needs_oidc_provider, pytest.mark.xdist_group("connecting")]  # with one server


def test_two_people_connect_and_have_two_rights(
    starts: Starts, model: Script, server: HrServer, workspace: Workspace, ann: Person, ben: Person
) -> None:
    bot = starts()
    for person, who in ((ann, "ann"), (ben, "ben")):
        asked = len(model.asked)
        talk = person.asks("add Cy")
        browser = Browser(lambda: bot.url, who)
        link = link_for(person)
        assert len(model.asked) == asked, "nothing reached the model before"
        model.will(calls(("POST", "/people", {"name": "Cy"})), lambda seen: says(json.dumps(results(seen)[-1])))
        browser.visit(link)
        name = "Ann" if who == "ann" else "Ben"
        assert browser.text.startswith("Connect this account? Connect this account? In Slack")
        assert f"{name}" in browser.text
        assert f"({person.user}) HR account {who} of HR, {who}@example.com" in browser.text
        assert len(rows(bot.settings.database_url, "accounts")) == (0 if who == "ann" else 1)
        browser.answers("yes")
        assert "Your account is connected. You can close this window" in browser.text
        person.presses(talk.card(), "approve")
        status = 201 if who == "ann" else 403
        assert json.loads(talk.answer())["status"] == status
        said = f"Your HR account is connected: {who} of HR, {who}@example.com."
        assert said in person.aside(2)
    assert server.callers == [("POST", "ann"), ("POST", "ben")]
    assert workspace.ephemerals("U0CHO") == []


def test_nothing_that_lets_somebody_in_stands_in_the_database(
    starts: Starts, model: Script, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    bot = starts()
    ann.asks("who is 1?")
    browser = Browser(lambda: bot.url, "ann")
    link = link_for(ann)
    callback = browser.visit(link, until=PUBLIC)
    stored = [json.dumps(whole_database(bot.settings.database_url), default=str)]
    browser.visit(callback)
    cookies = browser.cookies()
    stored.append(json.dumps(whole_database(bot.settings.database_url), default=str))
    confirmation = browser.page.text.partition('name="confirmation" value="')[2].partition('"')[0]
    browser.answers("yes")
    stored.append(json.dumps(whole_database(bot.settings.database_url), default=str))

    query = dict(httpx2.URL(callback).params)
    secrets = [link.partition("link=")[2], query["code"], query["state"], confirmation, *cookies]
    assert all(len(secret) >= 40 for secret in secrets)
    for text in [*stored, caplog.text]:
        assert [one for one in secrets if one in text] == []


def test_the_pages_hold_browsers_to_themselves(starts: Starts, ann: Person) -> None:
    bot = starts()
    ann.asks("who is 1?")
    browser = Browser(lambda: bot.url, "ann")
    link = link_for(ann)
    browser.visit(link, until="http://127.0.0.1")
    cookie = browser.page.headers["set-cookie"]
    assert cookie.startswith("__Host-connect-")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=600"} <= {p.strip() for p in cookie.split(";")}
    browser.visit(link)
    headers = browser.page.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "script" not in browser.page.text
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


# --- what goes wrong (and in test_bad_inputs.py) ----------------------------------------------------------------------


def a_no(bot: RunningBot, browser: Browser, link: str) -> None:
    """It keeps nothing, and gives the grant back."""
    browser.visit(link)
    browser.answers("no")
    assert "Nothing was connected, and nothing was kept." in browser.text
    until(lambda: [row["sealed"] for row in rows(bot.settings.database_url, "confirmations")] == [""])


def a_stolen_callback(bot: RunningBot, browser: Browser, link: str) -> None:
    """It is of no use in another browser, and does not spoil the right one."""
    callback = browser.visit(link, until=PUBLIC)
    thief = Browser(lambda: bot.url, "ben")
    thief.visit(callback)
    assert "This sign-in began in another browser" in thief.text
    browser.visit(callback)
    assert "Connect this account?" in browser.text


def a_state_that_nobody_made(_bot: RunningBot, browser: Browser, _link: str) -> None:
    browser.visit(f"{PUBLIC}/oauth/callback?state=made-up&code=c")
    assert "This sign-in didn't begin here, so nothing was connected." in browser.text


def a_link_that_nobody_made(_bot: RunningBot, browser: Browser, _link: str) -> None:
    browser.visit(f"{PUBLIC}/oauth/start?link=made-up")
    assert "This link doesn't work any more" in browser.text


def a_yes_that_another_sites_page_sends(_bot: RunningBot, browser: Browser, link: str) -> None:
    browser.visit(link)
    asked = browser.page
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        browser.page = asked
        browser.answers("yes", **headers)
        assert "This answer didn't come from my own page" in browser.text


def a_yes_from_another_browser(bot: RunningBot, browser: Browser, link: str) -> None:
    browser.visit(link)
    thief = Browser(lambda: bot.url, "ben")
    thief.page = browser.page
    thief.answers("yes")
    assert "This sign-in began in another browser" in thief.text


HAPPENS: dict[Callable[[RunningBot, Browser, str], None], str] = {
    a_no: "On my page the answer was No",
    a_stolen_callback: "began in another browser",
    a_yes_that_another_sites_page_sends: "didn't come from my own page",
    a_yes_from_another_browser: "began in another browser",
    a_state_that_nobody_made: "",
    a_link_that_nobody_made: "",
}


def test_nothing_of_this_connects_anybody_and_the_question_waits(starts: Starts, model: Script, ann: Person) -> None:
    """One after the other, each in a browser of its own. Ann is told of what was hers, with a button to try again."""
    bot = starts()
    talk = ann.asks("who is 1?")
    link = link_for(ann)
    for happens, told in HAPPENS.items():
        seen = len(ann.workspace.ephemerals("U0ANN"))
        happens(bot, Browser(lambda: bot.url, "ann"), link)
        assert rows(bot.settings.database_url, "accounts") == [], happens.__name__
        if told:
            aside = ann.workspace.wait(lambda seen=seen: ann.workspace.ephemerals("U0ANN")[seen:])[-1]  # type: ignore[misc]
            assert told in aside["text"], happens.__name__
            assert "Your question is still waiting, until" in aside["text"]
            link = link_in(aside)
            assert link.startswith(f"{PUBLIC}/oauth/start?link=")
    model.will(calls(("GET", "/people/1")), says("It went on."))
    last = Browser(lambda: bot.url, "ann")
    last.visit(link)
    last.answers("yes")
    assert talk.answer() == "It went on."


def test_a_link_leads_nowhere_once_its_question_is_over(starts: Starts, ann: Person) -> None:
    bot = starts()
    talk = ann.asks("who is 1?")
    link = link_for(ann)
    turn = bot.store.next_turn(f"T0LOCAL/C0HR/{talk.ts}")
    assert turn is not None
    bot.store.stop_turn(turn, "U0ANN")
    assert talk.answer() == "_(Stopped before there was an answer.)_"
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link)
    assert "This link doesn't work any more" in browser.text


def test_other_accounts_are_taken_where_the_catalog_says_so(starts: Starts, model: Script, ann: Person) -> None:
    bot = starts("other_accounts: true")
    talk = ann.asks("who is 1?")
    browser = Browser(lambda: bot.url, "ben")
    browser.visit(link_for(ann))
    assert "(U0ANN) HR account ben of HR, ben@example.com" in browser.text
    model.will(calls(("GET", "/people/1")), lambda seen: says(results(seen)[-1]["data"]["seen_by"]))
    browser.answers("yes")
    assert talk.answer() == "ben"


def test_a_question_goes_on_after_a_restart_between_callback_and_yes(
    starts: Starts, model: Script, ann: Person
) -> None:
    bot = starts()
    talk = ann.asks("who is 1?")
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_for(ann))
    bot.stop()
    bot.start()
    model.will(calls(("GET", "/people/1")), says("After the restart."))
    browser.answers("yes")
    assert talk.answer() == "After the restart."


def test_one_account_wakes_all_questions_that_wait_for_it(starts: Starts, model: Script, ann: Person) -> None:
    bot = starts()
    talks = [ann.asks("one"), ann.asks("two")]
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_for(ann, 2))
    model.will(says("An answer."), says("An answer."))
    browser.answers("yes")
    assert [talk.answer() for talk in talks] == ["An answer."] * 2
    until(lambda: rows(bot.settings.database_url, "links") == [])
