"""The page of the local workspace in a real browser: what grows, what can be stopped, menus, chats and their prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from emulator.app import read_manifest
from tests.harness.chromium import needs_chromium
from tests.harness.recording_bot import Stage, asks, modal, staged

pytestmark = [needs_chromium, pytest.mark.xdist_group("page")]
Open = Callable[..., Stage]


@pytest.fixture
def stages() -> Iterator[ExitStack]:
    with ExitStack() as stages:
        yield stages


@pytest.fixture
def opened(stages: ExitStack, page: Page) -> Open:
    """Opens the page of a new stage at a place."""

    def open_(place: str = "U0ANN/C0HR", **more: Any) -> Stage:
        stage = stages.enter_context(staged(shortcuts=read_manifest().shortcuts, **more))
        page.goto(f"{stage.workspace.url}#{place}")
        return stage

    return open_


def replies(page: Page) -> Any:
    return page.get_by_role("log", name="Replies")


def open_thread(page: Page, stage: Stage, root: str, place: str = "U0ANN/C0HR") -> None:
    page.goto(f"{stage.workspace.url}#{place}/{root}")


def test_a_message_grows_before_the_eyes_of_a_person_who_stops_it(page: Page, opened: Open) -> None:
    stage = opened()
    root = stage.workspace.say("U0ANN", "@hr-bot please")
    open_thread(page, stage, root)
    to_ann = {"recipient_user_id": "U0ANN", "recipient_team_id": "T0LOCAL"}
    ts = stage.client.api_call("chat.startStream", json={"channel": "C0HR", "thread_ts": root, **to_ann})["ts"]
    stage.client.chat_appendStream(channel="C0HR", ts=ts, markdown_text="Three **people")
    expect(replies(page)).to_contain_text("Three")
    stage.client.chat_appendStream(channel="C0HR", ts=ts, markdown_text=" joined**")
    expect(replies(page).locator("b, strong", has_text="people joined")).to_have_count(1)
    expect(replies(page)).to_contain_text("writing")

    replies(page).get_by_role("button", name="Stop").click()

    expect(replies(page)).to_contain_text("stopped")
    assert stage.workspace.stream_state("C0HR", ts) == "stopped_by_user"
    stage.workspace.wait(lambda: any(one["event"]["type"] == "agent_session_stopped" for one in stage.bot.of("event")))
    stage.client.chat_stopStream(channel="C0HR", ts=ts)  # only the app takes the session out of processing
    expect(page.get_by_role("button", name="■ Stop")).to_have_count(0)


def test_the_menu_of_a_message_has_the_apps_shortcuts_and_they_open_modals(page: Page, opened: Open) -> None:
    stage = opened()
    ts = stage.client.chat_postMessage(channel="C0HR", text="an answer")["ts"]
    page.locator(f"[data-ts='{ts}']").hover()
    page.get_by_label("More actions").click()
    menu = page.get_by_role("menu", name="Message actions")
    assert menu.get_by_role("menuitem").all_inner_texts() == ["Stop generating hr-bot", "Delete message hr-bot"]

    menu.get_by_role("menuitem", name="Delete message").click()

    expect(menu).to_be_hidden()
    stage.workspace.wait(lambda: stage.bot.of("interaction"))
    (payload,) = stage.bot.of("interaction")
    assert (payload["callback_id"], payload["message_ts"]) == ("delete_message", ts)
    stage.client.views_open(
        trigger_id=payload["trigger_id"], view=modal(asks(), title={"type": "plain_text", "text": "Sure?"})
    )
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Sure?")
    dialog.get_by_role("textbox").fill("it is wrong")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_be_hidden()
    assert stage.bot.of("interaction")[1]["type"] == "view_submission"


def test_a_person_edits_a_message_and_an_administrator_deletes_the_bots(page: Page, opened: Open) -> None:
    stage = opened()
    mine = stage.workspace.say("U0ANN", "remove Tom")
    bots = stage.client.chat_postMessage(channel="C0HR", thread_ts=mine, text="done")["ts"]

    def choose(ts: str, name: str) -> None:
        page.locator(f"[data-ts='{ts}']").last.hover()
        page.locator(f"[data-ts='{ts}']").last.get_by_label("More actions").click()
        page.get_by_role("menuitem", name=name).click()

    choose(mine, "Edit message")
    page.get_by_role("dialog").get_by_role("textbox").fill("remove Ben")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator(f"[data-ts='{mine}']")).to_contain_text("(edited)")
    open_thread(page, stage, mine, "U0BEN/C0HR")
    choose(bots, "Delete message …")
    expect(page.locator(f"[data-ts='{bots}']")).to_have_count(0)
    message = stage.workspace.message("C0HR", mine)
    assert message
    assert message["text"] == "remove Ben"
    stage.client.chat_postMessage(channel="C0HR", thread_ts=mine, text="again")
    stage.workspace.delete("C0HR", mine)
    expect(page.get_by_role("log", name="Messages")).to_contain_text("This message was deleted.")


def test_an_assistants_chat_has_a_title_a_status_and_prompts_that_are_said(page: Page, opened: Open) -> None:
    stage = opened("U0ANN/D0ANN", view="assistant_view")
    page.get_by_role("button", name="New chat").click()
    root = stage.workspace.wait(lambda: stage.workspace.messages("D0ANN"))[0]["ts"]
    place = {"channel_id": "D0ANN", "thread_ts": root}
    prompts = [{"title": "March", "message": "Who joined in March?"}]
    stage.client.assistant_threads_setSuggestedPrompts(**place, prompts=prompts, title="Try this")
    thread = page.get_by_role("region", name="Thread")
    expect(thread).to_contain_text("Try this")

    thread.get_by_role("button", name="March").click()

    expect(replies(page)).to_contain_text("Who joined in March?")
    assert stage.events(4)[-1]["thread_ts"] == root
    stage.client.api_call("assistant.threads.setTitle", json={**place, "title": "Joined in March"})
    stage.client.api_call("assistant.threads.setStatus", json={**place, "status": "is thinking..."})
    expect(thread).to_contain_text("Joined in March")
    expect(thread.get_by_role("status")).to_contain_text("hr-bot is thinking...")


def test_an_agents_conversation_shows_its_session_and_what_was_cut_off(page: Page, opened: Open) -> None:
    stage = opened("U0ANN/D0ANN")
    page.get_by_label("Message hr-bot").fill("who is here?")
    page.get_by_role("button", name="Send").first.click()
    root = stage.workspace.wait(lambda: stage.workspace.messages("D0ANN"))[0]["ts"]
    place = {"channel_id": "D0ANN", "thread_ts": root}
    stage.client.api_call("agents.sessions.setStatus", json={**place, "status": "processing", "title": "Who"})
    thread = page.get_by_role("region", name="Thread")
    expect(thread.get_by_role("status")).to_contain_text("working")
    thread.get_by_role("button", name="Stop").click()
    stage.workspace.wait(
        lambda: any(event["event"]["type"] == "agent_session_stopped" for event in stage.bot.of("event"))
    )
    thread.get_by_label("Rename").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("Everybody")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(thread).to_contain_text("Everybody")
    assert stage.workspace.title("D0ANN", root) == "Everybody"

    stage.client.chat_startStream(channel="D0ANN", thread_ts=root, markdown_text="Fourteen")
    expect(replies(page)).to_contain_text("writing")
    stage.clock.now += 301
    expect(replies(page)).to_contain_text("Cut off")
