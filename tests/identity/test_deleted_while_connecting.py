"""A question that is deleted in Slack while it waits for an account ends like one that is deleted before its turn: its link leads nowhere,
nothing is asked of the model, and nobody is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from base.clock import SteadyClock
from emulator.emulator import Workspace
from tests.harness.browser import PUBLIC, Browser
from tests.harness.connecting import KEY, link_for
from tests.harness.databases import rows
from tests.harness.peculiar_provider import PeculiarProvider
from tests.harness.whole_bot import Person, RunningBot, Script, StartBot, Talk, said_by_people, says, until
from tests.identity.conftest import see_addresses
from tests.identity.test_failures_told import CATALOG, Try


@pytest.fixture
def provider() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as running:
        running.now = time.time()
        running.claims |= {"email": "ann@example.com", "email_verified": True}
        yield running


@pytest.fixture
def later() -> list[float]:
    return [0.0]


@pytest.fixture
def bot(start_bot: StartBot, workspace: Workspace, provider: PeculiarProvider, later: list[float]) -> RunningBot:
    see_addresses(workspace)
    clock = SteadyClock(lambda: time.time() + later[0], lambda: time.monotonic() + later[0])
    return start_bot(catalog=CATALOG.format(issuer=provider.url), public_url=PUBLIC, token_key=KEY, clock=clock)


def entries(bot: RunningBot, kind: str) -> list[dict[str, object]]:
    return [json.loads(row["data"]) for row in rows(bot.settings.database_url, "journal") if row["kind"] == kind]


def ends_as_deleted(bot: RunningBot, talk: Talk, model: Script) -> None:
    until(lambda: entries(bot, "question deleted") == [{"asker": "U0ANN"}])
    bot.settle()
    assert talk.messages() == []
    assert model.asked == []
    assert [row["state"] for row in rows(bot.settings.database_url, "turns") if row["ts"] == talk.ts] == ["failed"]


def test_its_link_leads_nowhere(bot: RunningBot, ann: Person, model: Script, workspace: Workspace) -> None:
    talk = ann.asks("who is 1?")
    link = link_for(ann)
    workspace.delete("C0HR", talk.ts)
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link)
    assert "its question was answered or deleted or waited too long" in browser.text
    ends_as_deleted(bot, talk, model)
    browser.visit(link)
    assert browser.page.status_code == 400
    assert rows(bot.settings.database_url, "oauth_states") == []
    assert len(ann.asides()) == 1, "there is no question to which anything could be added"


def test_an_account_that_is_connected_meanwhile_does_not_have_it_go_on(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace, provider: PeculiarProvider
) -> None:
    talk = ann.asks("who is 1?")
    one = Try(bot, workspace, provider, "question", link_for(ann))
    one.comes_back()
    workspace.delete("C0HR", talk.ts)
    one.browser.answers("yes")
    assert "Your account is connected." in one.browser.text
    ends_as_deleted(bot, talk, model)
    assert len(rows(bot.settings.database_url, "accounts")) == 1


def test_nobody_is_told_that_no_account_came_in_time(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace, later: list[float]
) -> None:
    talk = ann.asks("who is 1?")
    link_for(ann)
    workspace.delete("C0HR", talk.ts)
    later[0] = 30 * 3_600.0
    ann.asks("who is 2?")  # has the bot look at its clock
    ends_as_deleted(bot, talk, model)


def test_another_question_in_its_thread_is_taken_up(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace, provider: PeculiarProvider
) -> None:
    talk = ann.asks("who is 1?")
    one = Try(bot, workspace, provider, "question", link_for(ann))
    callback = one.callback()
    ann.replies(talk, "and who is 2?")
    workspace.delete("C0HR", talk.ts)  # a tombstone from now on, since it has an answer
    model.will(says("That is Cy."))
    one.browser.visit(callback)
    one.browser.answers("yes")
    assert talk.answer() == "That is Cy."
    assert said_by_people(model.asked[-1])[-1] == "and who is 2?"
    assert entries(bot, "question deleted") == [{"asker": "U0ANN"}]


@pytest.mark.parametrize("method", ["conversations.replies", "reactions.add"])
def test_where_slack_does_not_say_so_it_goes_on(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace, provider: PeculiarProvider, method: str
) -> None:
    talk = ann.asks("who is 1?")
    one = Try(bot, workspace, provider, "question", link_for(ann))
    workspace.world.lag = 3_600.0
    workspace.fault(method, "http_500", times=50)
    model.will(says("That is Cy."))
    one.comes_back()
    one.browser.answers("yes")
    assert talk.answer() == "That is Cy."
