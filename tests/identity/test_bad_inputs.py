"""What can go wrong while a person connects an account, and afterwards: it is told on the page and in Slack, to the asker alone, with
what to do, and the question waits. The local Slack, npm's oidc-provider, and where that is too honest, a peculiar one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from emulator.emulator import Workspace
from tests.harness.browser import PUBLIC, Browser, link_in
from tests.harness.connecting import CATALOG, KEY, HrServer, link_for
from tests.harness.databases import looking_into, rows
from tests.harness.loopback import Loopback, as_json
from tests.harness.oidc_provider import SECRET, OidcProvider, needs_oidc_provider
from tests.harness.peculiar_provider import PeculiarProvider
from tests.harness.replay_model import ReplayModel, answer, call
from tests.harness.whole_bot import Person, RunningBot, Script, StartBot, calls, results, says, until
from tests.identity.conftest import Starts
from tests.test_crash import ANN, System

pytestmark = needs_oidc_provider
AWAY = "The sign-in server of HR gave no answer. Try again in a few minutes."
ODD = "The sign-in server of HR gave an answer that cannot be trusted or understood. Ask whoever runs this bot to look at its log."


@dataclass(frozen=True)
class Waiting:
    """A bot, a question of Ann's that waits, the browser in which she follows its link, and the sign-in server."""

    bot: RunningBot
    browser: Browser
    link: str
    provider: OidcProvider

    def callback(self) -> str:
        """Where the sign-in server sends her browser back to, which is not visited."""
        return self.browser.visit(self.link, until=PUBLIC)

    def other(self, who: str = "ann") -> Browser:
        """Another browser."""
        return Browser(lambda: self.bot.url, who)


# --- on the way -------------------------------------------------------------------------------------------------------


def down_at(path: str) -> Callable[[Waiting], None]:
    """The sign-in server is away in the middle of it."""

    def happens(at: Waiting) -> None:
        callback = at.callback()
        at.provider.set(down=[path])
        at.browser.visit(callback)

    return happens


def denied(at: Waiting) -> None:
    at.browser.who = "nobody"
    at.browser.visit(at.link)


def by_somebody_else(at: Waiting) -> None:
    at.browser.who = "ben"
    at.browser.visit(at.link)
    until(lambda: [row["sealed"] for row in rows(at.bot.settings.database_url, "confirmations")] == [""])  # given back


def of_another_server(at: Waiting) -> None:
    """The provider names itself in each answer (RFC 9207)."""
    callback = at.callback()
    assert "&iss=" in callback
    at.browser.visit(callback.partition("&iss=")[0] + "&iss=https%3A%2F%2Fevil.example")


def with_a_code_of_somebody_else(at: Waiting) -> None:
    """A code that was stolen: the provider redeems it by the verifier of its own sign-in alone."""
    other = at.other("ben")
    stolen = other.visit(at.link, until=PUBLIC).partition("code=")[2].partition("&")[0]
    before, _, after = at.callback().partition("code=")
    at.browser.visit(f"{before}code={stolen}&{after.partition('&')[2]}")


HAPPENS: list[tuple[Callable[[Waiting], None], str]] = [
    (down_at("/jwks"), AWAY),  # first: what was fetched is kept
    (denied, "The sign-in at HR was denied or cancelled."),
    (
        by_somebody_else,
        "an account whose e-mail address isn't the one you have in Slack, so nothing was connected.",
    ),
    (of_another_server, "The answer from HR does not belong to this sign-in, so nothing was connected."),
    (with_a_code_of_somebody_else, "The sign-in at HR is no longer valid. Connect your account again."),
    (down_at("/token"), AWAY),
    (down_at("/me"), AWAY),
]


def test_it_is_told_and_the_question_waits(starts: Starts, model: Script, provider: OidcProvider, ann: Person) -> None:
    """One after the other happens, each to the link that she was given last."""
    bot = starts()
    talk = ann.asks("who is 1?")
    link = link_for(ann)
    for happens, told in HAPPENS:
        seen = len(ann.workspace.ephemerals(ANN))
        at = Waiting(bot, Browser(lambda: bot.url, "ann"), link, provider)
        try:
            happens(at)
        finally:
            provider.set(down=[])
        assert at.browser.page.status_code == 400, told
        assert told in at.browser.text
        (aside,) = ann.workspace.wait(lambda seen=seen: ann.workspace.ephemerals(ANN)[seen:])  # type: ignore[misc]
        assert told in aside["text"]
        assert "Your question is still waiting, until" in aside["text"]
        assert rows(bot.settings.database_url, "accounts") == []
        link = link_in(aside)

    model.will(calls(("GET", "/people/1")), says("It went on."))
    again = Browser(lambda: bot.url, "ann")
    again.visit(link)
    again.answers("yes")
    assert talk.answer() == "It went on."


def test_a_server_that_names_another_issuer_is_told(
    start_bot: StartBot, model: Script, server: HrServer, ann: Person
) -> None:
    with PeculiarProvider() as lying:
        lying.metadata = {"issuer": "https://login.example.com"}
        catalog = CATALOG.format(api=server.url, issuer=lying.url, secret="s3cret-of-tests", more="")
        bot = start_bot(catalog=catalog, public_url=PUBLIC, token_key=KEY)
        ann.asks("who is 1?")
        browser = Browser(lambda: bot.url, "ann")
        browser.visit(link_for(ann))
        assert (browser.page.status_code, ODD in browser.text) == (400, True)
        assert ann.aside(2).startswith(f"{ODD} Your question is still waiting, until")


def test_a_no_holds_although_the_server_takes_nothing_back(starts: Starts, provider: OidcProvider, ann: Person) -> None:
    bot = starts()
    ann.asks("who is 1?")
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_for(ann))
    provider.set(down=["/token/revocation"])
    browser.answers("no")
    provider.set(down=[])
    assert "Nothing was connected, and nothing was kept." in browser.text
    (kept,) = rows(bot.settings.database_url, "confirmations")
    assert kept["ended"] == "no", "it is given back later, and no yes counts any more"


def test_an_account_that_is_connected_twice_is_there_once(
    starts: Starts, model: Script, server: HrServer, ann: Person
) -> None:
    """Two windows at once: both come back, both say yes."""
    bot = starts()
    talk = ann.asks("who is 1?")
    link = link_for(ann)
    windows = [Browser(lambda: bot.url, "ann") for _ in range(2)]
    for one in windows:
        one.visit(link)
        assert "Connect this account?" in one.text
    model.will(calls(("GET", "/people/1")), says("It went on."))
    windows[0].answers("yes")
    windows[1].answers("yes")
    assert "Your account is connected." in windows[0].text
    assert "so nothing" in windows[1].text
    assert talk.answer() == "It went on."
    bot.settle()
    assert talk.answers() == ["It went on."]
    assert len(rows(bot.settings.database_url, "accounts")) == 1
    assert server.callers == [("GET", "ann")]


# --- afterwards -------------------------------------------------------------------------------------------------------


def connected(bot: RunningBot, provider: OidcProvider, model: Script, ann: Person) -> None:
    """Ann has an account whose token has ended by now."""
    talk = ann.asks("hello")
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_for(ann))
    model.will(says("Hello."))
    browser.answers("yes")
    assert talk.answer() == "Hello."
    with looking_into(bot.settings.database_url) as engine, engine.begin() as db:
        db.execute(text("update accounts set renewed_at = renewed_at - 3600, expires_at = expires_at - 3600"))


def test_a_server_that_is_away_when_a_token_ends_is_told_and_the_account_stays(
    starts: Starts, provider: OidcProvider, model: Script, server: HrServer, ann: Person
) -> None:
    bot = starts()
    connected(bot, provider, model, ann)
    model.will(calls(("GET", "/people/1")), lambda seen: says(results(seen)[-1]["error"]))
    provider.set(down=["/token"])
    assert AWAY in ann.asks("who is 1?").answer()
    provider.set(down=[])
    assert server.callers == []
    model.will(calls(("GET", "/people/1")), lambda seen: says(results(seen)[-1]["data"]["seen_by"]))
    assert ann.asks("who is 1 now?").answer() == "ann"


def test_a_refresh_token_that_was_revoked_has_its_person_connect_again(
    starts: Starts, provider: OidcProvider, model: Script, workspace: Workspace, ann: Person
) -> None:
    bot = starts()
    connected(bot, provider, model, ann)
    provider.end(provider.exchanges("authorization_code")[-1].said["refresh_token"])
    model.will(calls(("GET", "/people/1")))
    talk = ann.asks("who is 1?")
    aside = workspace.wait(lambda: [one for one in workspace.ephemerals(ANN) if "has ended" in one["text"]])[0]
    assert aside["text"].startswith("Your sign-in at HR has ended. To go on, I need your own HR account")
    model.will(calls(("GET", "/people/1")), says("It went on."))
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_in(aside))
    browser.answers("yes")
    assert talk.answer() == "It went on."


# --- clocks that differ -----------------------------------------------------------------------------------------------


@pytest.fixture
def misset(tmp_path: Path) -> Iterator[System]:
    """A bot whose clock is wrong by the seconds in a file."""
    with Workspace() as workspace, ReplayModel() as model, Loopback(lambda _: as_json({"name": "Cy"})) as api:
        system = System("http", workspace, model, api, tmp_path)
        system.clock = tmp_path / "clock"
        yield system
        for program in system.programs:
            program.kill()


@pytest.mark.programs
def test_a_clock_that_is_wrong_by_a_minute_keeps_nobody_out(misset: System, provider: OidcProvider) -> None:
    """The provider knows no tolerance, and its id_tokens hold for half a minute."""
    catalog = CATALOG.format(api=misset.api.url, issuer=provider.issuer, secret=json.dumps(SECRET), more="")
    (misset.folder / "apis.yaml").write_text(catalog)
    for seconds in (-60, 60):
        (misset.folder / "clock").write_text(str(seconds))
        program = misset.start(TOKEN_KEY=KEY, PUBLIC_URL=PUBLIC)
        with looking_into(misset.database) as engine, engine.begin() as db:
            db.execute(text("delete from accounts"))
        words = f"who is 1, {seconds} seconds from now?"
        misset.model.script(words, [call(("GET", "/people/1")), answer("That is Cy.")])
        seen, exchanged = len(misset.workspace.ephemerals(ANN)), len(provider.exchanges("authorization_code"))
        ts = misset.mention(words)
        aside = misset.workspace.wait(lambda seen=seen: misset.workspace.ephemerals(ANN)[seen:])[0]  # type: ignore[misc]
        browser = Browser(lambda: f"http://127.0.0.1:{misset.port}", "ann")
        browser.visit(link_in(aside))
        assert "Connect this account?" in browser.text
        browser.answers("yes")
        misset.wait_for_answer(ts, "That is Cy.")
        assert len(provider.exchanges("authorization_code")) == exchanged + 1
        assert program.terminate() == 0
