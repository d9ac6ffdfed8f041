"""The real program between the local Slack, npm's oidc-provider and an API that repeats what it is given: killed at the moments that
matter, and all that it writes looked through for what nobody may see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from emulator.emulator import Workspace
from tests.harness.browser import Browser, link_in
from tests.harness.connecting import CATALOG, KEY
from tests.harness.databases import everything
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.oidc_provider import SECRET, OidcProvider, needs_oidc_provider, oidc_provider
from tests.harness.replay_model import ReplayModel, answer, call
from tests.test_crash import System

pytestmark = [needs_oidc_provider, pytest.mark.xdist_group("connecting-killed")]  # with one server
SHOW = call(("GET", "/people/1"))


def repeats(request: Request) -> Reply:
    """A hostile API: it tells everybody by which token it was asked."""
    said = request.headers.get("authorization", "")
    return as_json({"name": "Cy", "you_sent": said, "token": said.removeprefix("Bearer ")}, 200, **{"X-Echo": said})


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with (
        Workspace(retry_delays=(0.1, 0.3, 1.0, 3.0)) as workspace,
        ReplayModel() as model,
        Loopback(repeats) as api,
    ):
        system = System("http", workspace, model, api, tmp_path)
        yield system
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


@pytest.fixture
def provider(system: System, tmp_path: Path) -> Iterator[OidcProvider]:
    """It sends browsers back to the bot's own address, over plain http, since all of it is one machine."""
    callback = f"{address(system)}/oauth/callback"
    with oidc_provider(tmp_path, redirect_uris=[callback]) as running:
        text = CATALOG.format(api=system.api.url, issuer=running.issuer, secret=json.dumps(SECRET), more="")
        (tmp_path / "apis.yaml").write_text(text)
        yield running


def address(system: System) -> str:
    return f"http://127.0.0.1:{system.port}"


def start(system: System) -> Any:
    return system.start(TOKEN_KEY=KEY, PUBLIC_URL=address(system))


def asked(system: System) -> tuple[str, Browser, str]:
    """Ann's question that waits; her browser; her link."""
    ts = system.mention("who is 1?")
    (aside,) = system.workspace.wait(lambda: system.workspace.ephemerals("U0ANN"))
    return ts, Browser(None, "ann"), link_in(aside)


def test_killed_between_callback_and_yes(system: System, provider: OidcProvider) -> None:
    system.model.script("who is 1?", [SHOW, answer("That is Cy.")])
    program = start(system)
    ts, browser, link = asked(system)
    browser.visit(link)
    assert "Connect this account?" in browser.text
    program.kill()
    start(system)
    browser.answers("yes")
    assert "Your account is connected." in browser.text
    system.wait_for_answer(ts, "That is Cy.")
    system.rest()
    assert system.said(ts) == ["That is Cy."]


def test_killed_between_yes_and_going_on(system: System, provider: OidcProvider) -> None:
    system.model.script("who is 1?", [SHOW, answer("That is Cy.")])
    program = start(system)
    ts, browser, link = asked(system)
    browser.visit(link)
    system.model.hold()
    browser.answers("yes")
    assert "Your account is connected." in browser.text
    program.kill()
    system.model.release()
    start(system)
    system.wait_for_answer(ts, "That is Cy.")
    system.rest()
    assert system.said(ts) == ["That is Cy."]
    browser.answers_again()
    assert "so nothing more was done" in browser.text


def test_killed_while_a_question_waits_its_link_is_good_after_it(system: System, provider: OidcProvider) -> None:
    system.model.script("who is 1?", [SHOW, answer("That is Cy.")])
    program = start(system)
    ts, browser, link = asked(system)
    program.kill()
    start(system)
    browser.visit(link)
    browser.answers("yes")
    system.wait_for_answer(ts, "That is Cy.")
    assert len(system.workspace.ephemerals("U0ANN")) == 2, "asked once, and told that it is connected"


def test_nothing_that_is_written_or_said_has_a_secret_of_a_sign_in(
    system: System, provider: OidcProvider, tmp_path: Path
) -> None:
    """The API repeats its token in its answer; the log, Slack, the model, the journal and the database have none."""
    system.model.script("who is 1?", [SHOW, answer("That is Cy.")])
    start(system)
    ts, browser, link = asked(system)
    browser.visit(link)
    confirmation = browser.page.text.partition('name="confirmation" value="')[2].partition('"')[0]
    cookies = browser.cookies()
    browser.answers("yes")
    system.wait_for_answer(ts, "That is Cy.")
    system.rest()

    (request,) = system.api.requests
    token = request.headers["authorization"].removeprefix("Bearer ")
    queries = [httpx2.URL(url).params for url in browser.visited]
    used = [query[name] for query in queries for name in ("code", "state", "link", "nonce") if name in query]
    secrets = {token, confirmation, SECRET, KEY, *cookies, *used}
    assert min(map(len, secrets)) > 20
    assert len(secrets) >= 9
    written = {
        "log": "".join(line for one in system.programs for line in one.lines),
        "model": json.dumps([one.body.decode() for one in system.model.requests]),
        "database": json.dumps(everything(system.database), default=str),
        "thread": json.dumps(system.workspace.messages("C0HR", ts)),
    }
    assert [(where, s) for where, text in written.items() for s in secrets if s in text] == []
    assert "you_sent" in written["model"], "the answer itself reached the model, less the token"
