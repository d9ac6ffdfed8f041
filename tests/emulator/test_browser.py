"""The page in a real browser: somebody opens it, asks, and presses Approve."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from demo.hr_api import HrApi
from demo.scripted_model import ScriptedModel
from emulator.emulator import Workspace
from tests.harness.chromium import needs_chromium
from tests.harness.whole_bot import StartBot

pytestmark = [needs_chromium, pytest.mark.xdist_group("page")]


@pytest.fixture
def scripted() -> Iterator[ScriptedModel]:
    model = ScriptedModel()
    model.start()
    yield model
    model.stop()


@pytest.fixture
def opened(start_bot: StartBot, workspace: Workspace, scripted: ScriptedModel, page: Page) -> Page:
    """The page before a running bot with the demo's model."""
    start_bot(with_model=None, openai_base_url=scripted.base_url)
    page.goto(workspace.url)
    return page


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message # hr-bot").fill(f"@hr-bot {text}")
    page.get_by_role("button", name="Send").first.click()


def test_a_question_is_answered_in_its_thread(opened: Page) -> None:
    ask(opened, "who joined in March?")

    replies = opened.get_by_role("log", name="Replies")
    expect(replies).to_contain_text("Priya Nair")
    expect(opened.get_by_role("log", name="Messages")).to_contain_text("👍 1")


def test_approve_removes_and_the_card_changes(opened: Page, hr: HrApi) -> None:
    ask(opened, "remove Tom Berg")
    replies = opened.get_by_role("log", name="Replies")
    expect(replies).to_contain_text("Approval needed")
    expect(replies).to_contain_text("/api/users/7")
    assert [one.method for one in hr.requests if one.method == "DELETE"] == []

    replies.get_by_role("button", name="Approve").click()

    expect(replies).to_contain_text("Approved and done")
    expect(replies).to_contain_text("Approved by")
    expect(replies.get_by_role("button", name="Approve")).to_have_count(0)
    assert [one.path for one in hr.requests if one.method == "DELETE"] == ["/api/users/7"]


def test_somebody_else_presses_in_vain_and_deny_sends_nothing(opened: Page, hr: HrApi) -> None:
    ask(opened, "remove Tom Berg")
    replies = opened.get_by_role("log", name="Replies")
    expect(replies).to_contain_text("Approval needed")

    opened.get_by_role("button", name="Ben Ortiz").click()
    replies.get_by_role("button", name="Approve").click()
    expect(replies).to_contain_text("You can't decide this one")
    opened.get_by_role("button", name="Ann Lee").click()
    expect(replies).not_to_contain_text("You can't decide this one")
    replies.get_by_role("button", name="Deny", exact=True).click()

    expect(replies).to_contain_text("Denied by")
    assert [one.method for one in hr.requests if one.method == "DELETE"] == []
