"""Two processes of the bot on one PostgreSQL, npm's oidc-provider, and a hostile API that asks that provider whose token it was given: what
becomes of an account while time goes by, and all that is written or said, looked through for every secret that was used.

Slack reaches one of the processes, people's browsers the other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from emulator.emulator import Workspace
from emulator.members import Channel
from tests.harness.browser import Browser, link_in
from tests.harness.connecting import CATALOG, KEY
from tests.harness.databases import looking_into, opened_before, rows, whole_database
from tests.harness.echoing_api import EchoingHrServer, spelled
from tests.harness.oidc_provider import SECRET, Exchange, OidcProvider, needs_oidc_provider, oidc_provider
from tests.harness.ports import free_port
from tests.harness.replay_model import ReplayModel, answer, call
from tests.harness.span_receiver import SpanReceiver
from tests.harness.whole_bot import until
from tests.test_crash import ANN, Program, System
from tests.test_crash import KEY as JOURNAL_KEY

pytestmark = [needs_oidc_provider, pytest.mark.programs, pytest.mark.xdist_group("two-processes")]
AT_ONCE = 10
CHANNELS = [f"C0CHAN{number}" for number in range(30)]  # Slack takes one message a second in each
SHOW = call(("GET", "/people/1"))
ADD = call(("POST", "/people", {"name": "Cy"}))
PREVIEWED = (
    '  - {method: PUT, url: "/people/[id]", description: Replaces., preview: {ignore: [echo]}, approval: always}\n'
)


@dataclass
class Company:
    """The bot's processes and their surroundings."""

    system: System
    provider: OidcProvider
    api: EchoingHrServer
    spans: SpanReceiver
    address: str  # where browsers reach the bot
    metrics: list[int]  # ports
    pages: list[str] = field(default_factory=list)  # what browsers were shown
    used: set[str] = field(default_factory=set)  # what let a browser go on
    links: set[str] = field(default_factory=set)  # shown to their person alone

    @property
    def programs(self) -> list[Program]:
        return self.system.programs

    def asks(self, words: str, channel: str = "C0HR") -> str:
        """Ann's question, acknowledged; gives its ts."""
        workspace, before = self.system.workspace, len(self.system.workspace.attempts)
        ts = workspace.say(ANN, f"<@U0BOT> {words}", channel)
        workspace.wait(lambda: [a for a in workspace.attempts[before:] if a.reply.status == 200])
        return ts

    def answered(self, ts: str, words: str, channel: str = "C0HR") -> None:
        """Waits for an answer."""
        self.system.workspace.wait(lambda: words in self.said(ts, channel))

    def said(self, ts: str, channel: str = "C0HR") -> list[str]:
        return [m["text"] for m in self.system.workspace.messages(channel, ts) if m.get("bot_id")]

    def connects(self, words: str, channel: str = "C0HR", life: int = 3_600) -> str:
        """Ann, who has no account by now, asks, and connects one whose first token lives for so many seconds; gives the question's ts."""
        with looking_into(self.system.database) as engine, engine.begin() as db:
            db.execute(text("delete from accounts"))
        before = len(self.system.workspace.ephemerals(ANN))
        ts = self.asks(words, channel)
        self.follows(before, life)
        return ts

    def follows(self, number: int, life: int = 3_600) -> None:
        """Ann follows the link of what she alone is shown, the one of this number, once it is there."""
        aside = self.system.workspace.wait(lambda: self.system.workspace.ephemerals(ANN)[number:])[0]
        assert "To go on, I need your own HR account" in aside["text"]
        browser = Browser(None, "ann")
        self.provider.set(life=life)
        browser.visit(link_in(aside))
        self.provider.set(life=3_600)
        self._seen(browser)
        browser.answers("yes")
        assert "Your account is connected." in browser.text
        self._seen(browser)

    def _seen(self, browser: Browser) -> None:
        """Keeps what a page showed, and what alone lets its browser go on."""
        confirmation = browser.page.text.partition('name="confirmation" value="')[2].partition('"')[0]
        queries = [httpx2.URL(url).params for url in browser.visited]
        used = [query[name] for query in queries for name in ("code", "state", "nonce") if name in query]
        self.used |= {one for one in (confirmation, *browser.cookies(), *used) if one}
        self.links |= {query["link"] for query in queries if "link" in query}
        self.pages.append(browser.page.text.replace(confirmation, "") if confirmation else browser.page.text)

    def takers(self) -> set[str]:
        """The processes that have a turn under way."""
        return {row["taken_by"] for row in rows(self.system.database, "turns")} - {""}

    def granted(self) -> Exchange:
        """What the provider gave at the last sign-in."""
        return self.provider.exchanges("authorization_code")[-1]

    def token_is_over(self) -> None:
        """Waits until Ann's token has ended by the provider's clock and by the bot's."""
        (account,) = rows(self.system.database, "accounts")
        until(lambda: time.time() > account["expires_at"])
        until(lambda: not self.provider.is_active(self.granted().said["access_token"]))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder, port, metrics = tmp_path_factory.mktemp("company"), free_port(), [free_port(), free_port()]
    address = f"http://127.0.0.1:{port}"
    with (
        Workspace(retry_delays=(0.1, 0.3, 1.0, 3.0)) as workspace,
        oidc_provider(folder, redirect_uris=[f"{address}/oauth/callback"]) as provider,
        ReplayModel() as model,
        EchoingHrServer(provider.issuer) as api,
        SpanReceiver() as spans,
    ):
        for channel in CHANNELS:
            workspace.add_channel(Channel(channel, channel.lower(), (ANN, "U0BOT")))
        system = System("http", workspace, model, api, folder)
        system.database = opened_before("postgresql", folder, JOURNAL_KEY)
        catalog = CATALOG.format(api=api.url, issuer=provider.issuer, secret=json.dumps(SECRET), more="")
        (folder / "apis.yaml").write_text(catalog + PREVIEWED)
        settings = {
            "SLACK_CHANNEL": ",".join(["C0HR", *CHANNELS]),
            "TOKEN_KEY": KEY,
            "PUBLIC_URL": address,
            "WORKERS": str(len(CHANNELS)),
            "LOG_BODIES": "1",
            "LOG_LEVEL": "debug",
            "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        }
        for one, other in zip((system.port, port), metrics, strict=True):
            system.launch(PORT=str(one), METRICS_PORT=str(other), **settings)
        for program in system.programs:
            program.wait_for("serving")
        yield Company(system, provider, api, spans, address, metrics)
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


# --- a refresh token that may be used once ----------------------------------------------------------------------------


def test_ten_turns_in_two_processes_renew_a_rotating_token_once(company: Company) -> None:
    """The provider ends the account when a refresh token comes twice."""
    system, provider, model = company.system, company.provider, company.system.model
    for number in range(len(CHANNELS)):
        model.script(f"who is {number}?", [SHOW, answer(f"That is {number}.")])
    asked, calls, renewed = len(model.requests), len(company.api.tokens), len(provider.exchanges("refresh_token"))
    by_process = [program.calls() for program in company.programs]
    model.hold()
    threads = [company.connects("who is 0?", CHANNELS[0], life=1)]
    while len(threads) < AT_ONCE or len(company.takers()) < 2:
        threads.append(company.asks(f"who is {len(threads)}?", CHANNELS[len(threads)]))
        model.wait(lambda: len(model.requests) - asked == len(threads))
    company.token_is_over()
    model.release()
    for number, ts in enumerate(threads):
        company.answered(ts, f"That is {number}.", CHANNELS[number])
    system.rest()

    said = [company.said(ts, CHANNELS[number]) for number, ts in enumerate(threads)]
    assert said == [[f"That is {number}."] for number in range(len(threads))]
    (renewal,) = provider.exchanges("refresh_token")[renewed:]
    assert renewal.sent["refresh_token"] == company.granted().said["refresh_token"]
    assert company.api.tokens[calls:] == [("GET", renewal.said["access_token"])] * len(threads)
    assert all(program.calls() > before for program, before in zip(company.programs, by_process, strict=True))
    assert provider.is_active(renewal.said["access_token"])
    assert provider.is_active(renewal.said["refresh_token"])


# --- between card and click -------------------------------------------------------------------------------------------


def test_a_token_that_ends_while_a_write_waits_is_renewed_once_for_it(company: Company) -> None:
    system, provider = company.system, company.provider
    system.model.script("add Cy", [ADD, answer("Cy is there.")])
    calls, renewed = len(company.api.tokens), len(provider.exchanges("refresh_token"))
    ts = company.connects("add Cy", life=1)
    card = system.card(ts)
    company.token_is_over()
    assert system.workspace.click(ANN, card, "approve") == 200
    company.answered(ts, "Cy is there.")
    (renewal,) = provider.exchanges("refresh_token")[renewed:]
    assert company.api.tokens[calls:] == [("POST", renewal.said["access_token"])]
    assert company.api.callers[-1] == ("POST", "ann")
    assert "Approved and done" in system.shown(card)


NOT_SENT = (
    "Your sign-in at HR has ended. The HR account that this was asked with is no longer connected. "
    "Connect it in my Home tab, then ask again. Nothing was sent."
)


@pytest.mark.parametrize(("words", "life", "refused"), [("add Di", 1, 0), ("add Ed", 3_600, 1)])
def test_what_waits_is_not_sent_once_its_askers_grant_was_revoked_at_the_provider(
    company: Company, words: str, life: int, refused: int
) -> None:
    """Its card says so, and its asker is asked to connect again. `refused`: a token that seems good is sent, and the API says what it is
    worth."""
    system = company.system
    system.model.script(words, [ADD, answer("Not added.")])
    calls, callers = len(company.api.tokens), len(company.api.callers)
    ts = company.connects(words, life=life)
    card = system.card(ts)
    if life == 1:
        company.token_is_over()
    company.provider.end(company.granted().said["refresh_token"])
    with looking_into(system.database) as engine, engine.begin() as db:  # as if it had waited for more than a minute
        db.execute(text("update accounts set renewed_at = renewed_at - 61"))
    asides = len(system.workspace.ephemerals(ANN))
    assert system.workspace.click(ANN, card, "approve") == 200
    system.workspace.wait(lambda: NOT_SENT in system.shown(card))
    company.follows(asides)
    company.answered(ts, "Not added.")

    assert company.api.callers[callers:] == []
    assert len(company.api.tokens) - calls == refused
    assert "Your sign-in at HR has ended." in system.model.conversation(words)[-1][-1]["content"]


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_that_was_used_is_written_or_said_anywhere(company: Company) -> None:
    """After all that happened above, and a hostile answer of each kind."""
    system = company.system
    steps = [call(("GET", "/people/1"), ("GET", "/people/broken")), call(("PUT", "/people/1", {"name": "Cy"}))]
    system.model.script("replace Cy", [*steps, answer("Replaced.")])
    ts = company.connects("replace Cy")
    card = system.card(ts)
    assert "seen_by" in system.shown(card)
    assert system.workspace.click(ANN, card, "approve") == 200
    company.answered(ts, "Replaced.")
    system.rest()
    replays = Browser(None, "ann")
    replays.visit(f"{company.address}/oauth/callback?state=made-up&code={company.granted().sent['code']}")
    company.pages.append(replays.page.text)

    secrets = {*given_and_taken(company.provider), *company.used, SECRET, KEY}
    assert min(map(len, secrets)) > 20
    assert len(secrets) >= 11
    seen = written(company)
    assert all("[hidden]" in seen[place] for place in ("model", "database", "Slack"))
    assert all(seen.values())
    seen["Slack, less its links"] = without(seen.pop("Slack"), company.links)
    forms = {form for secret in secrets | company.links for form in spelled(secret)}
    assert [(place, form[:12]) for place, words in seen.items() for form in forms if form in words] == []


def given_and_taken(provider: OidcProvider) -> set[str]:
    """All that the provider gave the bot, and what the bot showed for it."""
    names = ("access_token", "refresh_token", "id_token", "code", "code_verifier")
    found = ({**one.sent, **one.said} for one in provider.exchanges())
    sent = (one.sent.get("refresh_token") for one in provider.exchanges())
    return {str(one[name]) for one in found for name in names if one.get(name)} | {one for one in sent if one}


def written(company: Company) -> dict[str, str]:
    """All that anybody could read, by place."""
    system, workspace = company.system, company.system.workspace
    scraped = [httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text for port in company.metrics]
    routes = [
        httpx2.get(f"{company.address}{path}", trust_env=False).text for path in ("/readyz", "/version", "/healthz")
    ]
    return {
        "log": "".join(line for program in system.programs for line in program.lines),
        "model": json.dumps([one.body.decode() for one in system.model.requests]),
        "database": as_text(whole_database(system.database)),
        "journal": as_text(rows(system.database, "journal")),
        "Slack": as_text([vars(one) for one in workspace.calls]),
        "threads": as_text([workspace.messages(channel) for channel in ("C0HR", *CHANNELS)]),
        "pages": "".join(company.pages),
        "metrics": "".join(scraped),
        "routes": "".join(routes),
        "spans": as_text([vars(one) for one in company.spans.spans]),
    }


def without(words: str, shown: set[str]) -> str:
    for one in shown:
        words = words.replace(one, "")
    return words


def as_text(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
