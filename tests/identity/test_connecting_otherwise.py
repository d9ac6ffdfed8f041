"""Accounts in App Home; sign-ins with a code on another device; what is there at the start; an account that goes while a card waits."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from typing import Any

import pytest

from base.settings import Misconfigured
from catalog.catalog import load_catalog
from emulator.emulator import Workspace
from identity.connecting import check_lead
from identity.sign_in_servers import SignInServers
from tests.harness.browser import PUBLIC, Browser, link_in
from tests.harness.connecting import CATALOG, KEY, HrServer, link_for
from tests.harness.databases import rows
from tests.harness.loopback import Loopback, Reply
from tests.harness.oidc_provider import SECRET, OidcProvider, needs_oidc_provider
from tests.harness.ports import free_port
from tests.harness.whole_bot import Person, RunningBot, Script, StartBot, calls, card_text, form, results, says, until
from tests.identity.conftest import Starts

pytestmark = [needs_oidc_provider, pytest.mark.xdist_group("connecting-otherwise")]  # with one server


def home_of(workspace: Workspace, user: str, words: str) -> Any:
    """A person's Home, once it says this."""
    return workspace.wait(lambda: (home := workspace.home(user)) and words in card_text(home) and home)


def disconnect(workspace: Workspace) -> None:
    """Ann presses the button in her Home."""
    home = workspace.home("U0ANN")
    assert home is not None
    assert workspace.click_view("U0ANN", home["id"], "disconnect") == 200


def connect(bot: RunningBot, link: str, who: str) -> None:
    browser = Browser(lambda: bot.url, who)
    browser.visit(link)
    browser.answers("yes")
    assert "Your account is connected." in browser.text


# --- App Home ---------------------------------------------------------------------------------------------------------


def test_home_connects_and_disconnects(
    starts: Starts, model: Script, workspace: Workspace, server: HrServer, ann: Person
) -> None:
    bot = starts()
    workspace.open_home("U0ANN")
    home = home_of(workspace, "U0ANN", "HR: not connected. I act there in your name, with your own account.")
    (block,) = [one for one in home["blocks"] if "accessory" in one]
    assert block["accessory"]["text"]["text"] == "Connect your HR account"
    connect(bot, block["accessory"]["url"], "ann")
    home = home_of(workspace, "U0ANN", "HR: connected as ann of HR, ann@example.com.")

    model.will(calls(("GET", "/people/1")), lambda seen: says(results(seen)[-1]["data"]["seen_by"]))
    assert ann.asks("who is 1?").answer() == "ann"
    (block,) = [one for one in home["blocks"] if "accessory" in one]
    assert block["accessory"]["confirm"]["title"]["text"] == "Disconnect this account?"
    disconnect(workspace)
    home_of(workspace, "U0ANN", "HR: not connected.")
    assert rows(bot.settings.database_url, "accounts") == []
    ended = [
        json.loads(row["data"]) for row in rows(bot.settings.database_url, "journal") if row["kind"] == "disconnected"
    ]
    assert [(one["user"], one["api"], one["revoked"]) for one in ended] == [("U0ANN", "HR", True)]


def test_home_asks_for_no_account_of_what_a_person_may_not_ask(
    start_bot: StartBot, provider: OidcProvider, server: HrServer, workspace: Workspace
) -> None:
    secret = json.dumps(SECRET)
    catalog = CATALOG.format(api=server.url, issuer=provider.issuer, secret=secret, more="").replace(
        "\nname: HR", "\nname: Mergers"
    )
    start_bot(catalog=f"askers: [U0BEN]{catalog}", public_url=PUBLIC, token_key=KEY)
    for user in ("U0ANN", "U0BEN"):
        workspace.open_home(user)
    home_of(workspace, "U0BEN", "Mergers: not connected.")
    assert "Mergers" not in card_text(home_of(workspace, "U0ANN", "Mention me in"))


def test_nobody_disconnects_somebody_elses_account(starts: Starts, workspace: Workspace, ann: Person) -> None:
    bot = starts()
    ann.asks("who is 1?")
    connect(bot, link_for(ann), "ann")
    workspace.open_home("U0ANN")
    home = home_of(workspace, "U0ANN", "HR: connected as ann of HR")
    (token,) = [one["accessory"]["value"] for one in home["blocks"] if "accessory" in one]
    bot.post("/slack/interactions", *pressed_in_home("U0BEN", token))
    until(lambda: [row for row in rows(bot.settings.database_url, "journal") if row["kind"] == "click refused"])
    assert len(rows(bot.settings.database_url, "accounts")) == 1


def pressed_in_home(user: str, token: str) -> tuple[bytes, str]:
    """A press of a button in somebody's own Home, with a value that was taken from another one's."""
    payload = {
        "type": "block_actions",
        "team": {"id": "T0LOCAL"},
        "user": {"id": user, "team_id": "T0LOCAL"},
        "view": {"id": "V1", "type": "home"},
        "container": {"type": "view", "view_id": "V1"},
        "trigger_id": "1.2.x",
        "actions": [{"type": "button", "action_id": "disconnect", "value": token, "action_ts": "1.1"}],
    }
    return form(payload), "application/x-www-form-urlencoded"


# --- between card and click -------------------------------------------------------------------------------------------


def test_an_account_that_is_disconnected_between_card_and_click_sends_nothing(
    starts: Starts, model: Script, workspace: Workspace, server: HrServer, ann: Person
) -> None:
    bot = starts()
    talk = ann.asks("add Cy")
    model.will(calls(("POST", "/people", {"name": "Cy"})), says("It was not sent."))
    connect(bot, link_for(ann), "ann")
    card = talk.card()
    workspace.open_home("U0ANN")
    home_of(workspace, "U0ANN", "HR: connected as ann of HR")
    disconnect(workspace)
    home_of(workspace, "U0ANN", "HR: not connected.")
    ann.presses(card, "approve")
    told = talk.card_titled("not sent")
    assert "The HR account that this was asked with is no longer connected." in told
    assert "Connect it in my Home tab, then ask again." in told
    assert server.callers == []


def test_another_account_between_card_and_click_sends_nothing(
    starts: Starts, model: Script, workspace: Workspace, server: HrServer, ann: Person
) -> None:
    bot = starts("other_accounts: true")
    talk = ann.asks("add Cy")
    model.will(calls(("POST", "/people", {"name": "Cy"})), says("It was not sent."))
    connect(bot, link_for(ann), "ann")
    card = talk.card()
    workspace.open_home("U0ANN")
    home_of(workspace, "U0ANN", "HR: connected as ann of HR")
    disconnect(workspace)
    home = home_of(workspace, "U0ANN", "HR: not connected.")
    (block,) = [one for one in home["blocks"] if "accessory" in one]
    connect(bot, block["accessory"]["url"], "ben")
    ann.presses(card, "approve")
    assert "This was asked for with a different HR account from the one that is connected now." in talk.card_titled(
        "not sent"
    )
    assert server.callers == []


# --- with a code ------------------------------------------------------------------------------------------------------


def code_shown(person: Person, number: int = 1) -> tuple[str, str]:
    """(address, code) of the line that a person alone was shown."""
    asides = person.workspace.wait(lambda: person.workspace.ephemerals(person.user)[number - 1 :])
    found = re.search(r"Yours for HR: \*([A-Z-]+)\*", card_text(asides[0]))
    assert found is not None, asides[0]
    return link_in(asides[0]), found[1]


def test_a_code_connects_where_no_browser_reaches_the_bot(
    starts: Starts, model: Script, provider: OidcProvider, ann: Person
) -> None:
    bot = starts(public_url=None)
    talk = ann.asks("who is 1?")
    address, code = code_shown(ann)
    assert code.replace("-", "") in address.replace("-", "")
    assert bot.request("GET", "/oauth/start?link=x").status == 404
    model.will(calls(("GET", "/people/1")), lambda seen: says(results(seen)[-1]["data"]["seen_by"]))
    provider.enter(address)
    assert talk.answer() == "ann"
    assert "Your HR account is connected: ann of HR, ann@example.com." in ann.aside(2)
    assert rows(bot.settings.database_url, "devices") == []


def test_a_code_that_somebody_else_enters_connects_nothing(
    starts: Starts, model: Script, provider: OidcProvider, ben: Person
) -> None:
    bot = starts(public_url=None)
    ben.asks("who is 1?")
    address, _ = code_shown(ben)
    provider.enter(address)  # as Ann
    said = ben.aside(2)
    assert "an account whose e-mail address isn't the one you have in Slack, so nothing was connected" in said
    assert rows(bot.settings.database_url, "accounts") == []
    assert code_shown(ben, 2)[0] != address


def test_a_code_survives_a_restart_and_a_new_one_can_be_had(
    starts: Starts, model: Script, provider: OidcProvider, workspace: Workspace, ann: Person
) -> None:
    bot = starts(public_url=None)
    talk = ann.asks("who is 1?")
    first = code_shown(ann)
    (aside,) = workspace.ephemerals("U0ANN")
    workspace.click("U0ANN", aside["ts"], "connect")
    assert code_shown(ann, 2) == first, "the one that is under way is good still"
    bot.stop()
    bot.start()
    model.will(says("After the restart."))
    provider.enter(first[0])
    assert talk.answer() == "After the restart."


# --- at the start -----------------------------------------------------------------------------------------------------


def test_a_start_without_an_address_needs_a_server_with_codes(provider: OidcProvider, server: HrServer) -> None:
    def catalog(more: str) -> Any:
        text = CATALOG.format(api=server.url, issuer=provider.issuer, secret=json.dumps(SECRET), more=more)
        return load_catalog(text, {})

    servers = SignInServers(lambda: 0.0)
    check_lead(catalog(""), servers, None)
    url = "http://127.0.0.1:9"
    written = f"    authorize_url: {url}/a\n    token_url: {url}/t\n    userinfo_url: {url}/me"
    check_lead(catalog(written), SignInServers(lambda: 0.0), PUBLIC)
    with pytest.raises(Misconfigured) as told:
        check_lead(catalog(written), SignInServers(lambda: 0.0), None)
    assert str(told.value).startswith("PUBLIC_URL is not set. HR is called with people's own accounts")
    assert "<PUBLIC_URL>/oauth/callback as a redirect URI" in str(told.value)


# --- a sign-in server that is away, slow, or grants less ----------------------------------------------------------------


def test_a_sign_in_server_that_is_away_is_told_and_the_question_waits(
    start_bot: StartBot, workspace: Workspace, server: HrServer, ann: Person
) -> None:
    gone = CATALOG.format(api=server.url, issuer=f"http://127.0.0.1:{free_port()}", secret="s3cret-of-tests", more="")
    bot = start_bot(catalog=gone, public_url=PUBLIC, token_key=KEY)
    talk = ann.asks("who is 1?")
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_for(ann))
    assert browser.page.status_code == 400
    assert "The sign-in server of HR gave no answer." in browser.text
    assert "Your question is still waiting, until" in ann.aside(2)
    turn = bot.store.next_turn(f"T0LOCAL/C0HR/{talk.ts}")
    assert turn is not None
    assert turn.connects == ("HR",)


def test_a_slow_sign_in_server_leaves_room_for_what_slack_sends(
    start_bot: StartBot, server: HrServer, ann: Person, ben: Person
) -> None:
    with Loopback(lambda _request: Reply(500)) as slow:
        slow.hold()
        catalog = CATALOG.format(api=server.url, issuer=slow.url, secret="s3cret-of-tests", more="")
        bot = start_bot(catalog=catalog, public_url=PUBLIC, token_key=KEY)
        ann.asks("who is 1?")
        link = link_for(ann)
        waiting = [threading.Thread(target=Browser(lambda: bot.url, "ann").visit, args=(link,)) for _ in range(2)]
        for one in waiting:
            one.start()
        slow.wait(lambda: len(slow.requests) >= 2)
        third = Browser(lambda: bot.url, "ann")
        third.visit(link)
        assert third.page.status_code == 503
        assert "Many people are connecting their accounts right now." in third.text
        ben.asks("is anybody there?")  # returns once it is acknowledged
        slow.release()
        for one in waiting:
            one.join(30)


def test_scopes_that_were_not_granted_are_told_on_the_page_and_in_slack(
    start_bot: StartBot, model: Script, provider: OidcProvider, server: HrServer, workspace: Workspace, ann: Person
) -> None:
    wanted = CATALOG.replace("hr.read]", "hr.read, hr.write]")
    catalog = wanted.format(api=server.url, issuer=provider.issuer, secret=json.dumps(SECRET), more="")
    bot = start_bot(catalog=catalog, public_url=PUBLIC, token_key=KEY)
    workspace.people["U0ANN"] = replace(workspace.people["U0ANN"], email="ann@example.com")
    talk = ann.asks("who is 1?")
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_for(ann))
    assert "I was granted less than I asked for (missing: hr.write). Some things may not work." in browser.text
    model.will(says("Done."))
    browser.answers("yes")
    assert talk.answer() == "Done."
    assert "I was granted less than I asked for (missing: hr.write)." in ann.aside(2)
