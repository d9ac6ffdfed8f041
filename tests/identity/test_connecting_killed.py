"""The real program between the local Slack and npm's oidc-provider: killed at the moments that matter while a person connects."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from emulator.emulator import Workspace
from tests.harness.browser import Browser, link_in
from tests.harness.connecting import CATALOG, KEY
from tests.harness.databases import rows
from tests.harness.loopback import Loopback, as_json
from tests.harness.oidc_provider import SECRET, OidcProvider, needs_oidc_provider, oidc_provider
from tests.harness.ports import free_port
from tests.harness.replay_model import ReplayModel, answer, call
from tests.harness.whole_bot import until
from tests.test_crash import System

pytestmark = [needs_oidc_provider, pytest.mark.xdist_group("connecting-killed")]  # with one server
SHOW = call(("GET", "/people/1"))


@pytest.fixture(scope="module")
def port() -> int:
    """Where the bot is to be reached."""
    return free_port()


@pytest.fixture(scope="module")
def provider(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """It sends browsers back to the bot's own address, over plain http, since all of it is one machine."""
    callback = f"http://127.0.0.1:{port}/oauth/callback"
    with oidc_provider(tmp_path_factory.mktemp("provider"), redirect_uris=[callback]) as running:
        yield running


@pytest.fixture
def system(port: int, provider: OidcProvider, tmp_path: Path) -> Iterator[System]:
    with (
        Workspace(retry_delays=(0.1, 0.3, 1.0, 3.0)) as workspace,
        ReplayModel() as model,
        Loopback(lambda _request: as_json({"name": "Cy"})) as api,
    ):
        system = System("http", workspace, model, api, tmp_path)
        system.port = port
        workspace.connect(address(system))
        text = CATALOG.format(api=api.url, issuer=provider.issuer, secret=json.dumps(SECRET), more="")
        (tmp_path / "apis.yaml").write_text(text)
        yield system
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


def address(system: System) -> str:
    return f"http://127.0.0.1:{system.port}"


def start(system: System) -> Any:
    return system.start(TOKEN_KEY=KEY, PUBLIC_URL=address(system))


def asked(system: System) -> tuple[str, Browser, str]:
    """Ann's question that waits; her browser; her link. It is written down that this was sent: until then, a program that was killed sends
    it again."""
    ts = system.mention("who is 1?")
    (aside,) = system.workspace.wait(lambda: system.workspace.ephemerals("U0ANN"))
    until(lambda: not system.open("posts", "due"))
    return ts, Browser(None, "ann"), link_in(aside)


def test_killed_while_a_code_is_redeemed(system: System, provider: OidcProvider) -> None:
    """The state is used up by then, and what was granted is lost: the page says so, and Slack has another link."""
    system.model.script("who is 1?", [SHOW, answer("That is Cy.")])
    program = start(system)
    ts, browser, link = asked(system)
    callback = browser.visit(link, until=f"{address(system)}/oauth/callback")
    provider.set(held=["/token"])
    waiting = threading.Thread(target=suppressed, args=(browser.visit, callback))
    waiting.start()
    until(lambda: [row["used"] for row in rows(system.database, "oauth_states")] == [1])
    program.kill()
    waiting.join()
    provider.set(held=[])
    start(system)
    browser.visit(callback)
    assert "This page was used before" in browser.text
    again = system.workspace.wait(lambda: system.workspace.ephemerals("U0ANN")[1:])[0]
    assert "This page was used before" in again["text"]
    browser.visit(link_in(again))
    browser.answers("yes")
    system.wait_for_answer(ts, "That is Cy.")
    system.rest()
    assert system.said(ts) == ["That is Cy."]


def suppressed(visit: Callable[[str], object], url: str) -> None:
    """A browser whose server goes away."""
    with suppress(httpx2.TransportError):
        visit(url)


def test_killed_between_callback_and_yes(system: System) -> None:
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


def test_killed_between_yes_and_going_on(system: System) -> None:
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


def test_killed_while_a_question_waits_its_link_is_good_after_it(system: System) -> None:
    system.model.script("who is 1?", [SHOW, answer("That is Cy.")])
    program = start(system)
    ts, browser, link = asked(system)
    until(lambda: not system.open("posts", "due"))  # it knows that it has asked
    program.kill()
    start(system)
    browser.visit(link)
    browser.answers("yes")
    system.wait_for_answer(ts, "That is Cy.")
    assert len(system.workspace.ephemerals("U0ANN")) == 2, "asked once, and told that it is connected"
