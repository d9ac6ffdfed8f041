"""Who opens a link again and again holds up nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from emulator.emulator import Workspace
from tests.harness.browser import PUBLIC, Browser
from tests.harness.connecting import KEY, link_for
from tests.harness.databases import rows
from tests.harness.peculiar_provider import PeculiarProvider
from tests.harness.whole_bot import Person, StartBot
from tests.identity.conftest import see_addresses
from tests.identity.test_failures_told import CATALOG


@pytest.fixture
def provider() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as running:
        running.now = time.time()
        yield running


@pytest.mark.parametrize("fault", ["", "thread_not_found"])
def test_a_link_that_is_opened_thirty_times_leaves_slacks_calls_to_questions(
    start_bot: StartBot, workspace: Workspace, provider: PeculiarProvider, ann: Person, fault: str
) -> None:
    """Each time Slack is asked whether the question is still there. It may be asked 45 times a minute: for what was written in the thread
    before somebody's question, and for a thumbs-up. Who cannot ask any more sends the browser on all the same."""
    see_addresses(workspace)
    bot = start_bot(catalog=CATALOG.format(issuer=provider.url), public_url=PUBLIC, token_key=KEY)
    ann.asks("who is 1?")
    link = link_for(ann)
    if fault:
        workspace.fault("conversations.replies", "error", code=fault, times=100)
    browser = Browser(lambda: bot.url, "ann")
    for _ in range(30):
        browser.visit(link, until=provider.url)
    for method in ("conversations.replies", "reactions.add"):
        assert len(workspace.calls_of(method)) <= 20, method
    assert len(rows(bot.settings.database_url, "oauth_states")) == 5
