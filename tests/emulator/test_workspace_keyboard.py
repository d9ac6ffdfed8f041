"""The page of the local workspace as people open it: at its newest message, ready to write, by keyboard alone, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.harness.chromium import needs_chromium
from tests.harness.recording_bot import Stage, actions, asks, button, modal, section, staged

pytestmark = [needs_chromium, pytest.mark.xdist_group("page")]
Open = Callable[..., Page]
SCHEMES: list[Literal["dark", "light"]] = ["dark", "light"]
FROM_END = "(box) => box.scrollHeight - box.scrollTop - box.clientHeight"
CARD = [
    section("Remove Tom?"),
    actions(button(), button(action_id="deny", text={"type": "plain_text", "text": "Deny"})),
]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def opened(stage: Stage, page: Page) -> Open:
    """Opens the page of the stage in a window of some width."""

    def open_(place: str = "U0ANN/C0HR", width: int = 1280) -> Page:
        page.set_viewport_size({"width": width, "height": 700})
        page.goto(f"{stage.workspace.url}#{place}")
        expect(page.get_by_label("Message # hr-bot")).to_have_count(1)
        return page

    return open_


def focused(page: Page) -> str:
    """What has the focus, by its name."""
    found: str = page.evaluate(
        "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
    )
    return found


def wait_for_focus(page: Page, name: str) -> None:
    page.wait_for_function(
        "(name) => (document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim() === name",
        arg=name,
    )


def wait_at_end(page: Page, log: str) -> None:
    page.wait_for_function(f"(id) => ({FROM_END})(document.getElementById(id)) <= 1", arg=log)


def press_until(page: Page, key: str, name: str) -> None:
    for _ in range(12):
        page.keyboard.press(key)
        if focused(page) == name:
            return
    raise AssertionError(f"{key} does not lead to {name}; last: {focused(page)}")


# --- where it opens ---------------------------------------------------------------------------------------------------


def test_a_conversation_opens_at_its_newest_message_and_follows(opened: Open, stage: Stage) -> None:
    for number in range(30):
        stage.workspace.say("U0BEN", f"message {number}\nof two lines")
    page = opened()
    wait_at_end(page, "messages")
    stage.workspace.say("U0BEN", "the newest")
    expect(page.get_by_text("the newest")).to_be_in_viewport()
    wait_at_end(page, "messages")


def test_a_thread_opens_at_its_end_though_its_foot_comes_after_it(opened: Open, stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "@hr-bot please")
    for number in range(30):
        stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text=f"answer {number}")
    stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="card", blocks=CARD)
    page = opened(f"U0ANN/C0HR/{root}", 375)
    expect(page.get_by_role("button", name="Approve")).to_be_in_viewport()
    wait_at_end(page, "replies")


def test_who_scrolled_up_is_left_there_until_they_say_something(opened: Open, stage: Stage) -> None:
    for number in range(40):
        stage.workspace.say("U0BEN", f"message {number}")
    page = opened()
    wait_at_end(page, "messages")
    page.get_by_role("log", name="Messages").evaluate("(box) => { box.scrollTop = 100; }")
    page.wait_for_function("() => document.getElementById('messages').atEnd === false")
    stage.workspace.say("U0BEN", "something new")
    expect(page.get_by_text("something new")).to_have_count(1)
    assert page.get_by_role("log", name="Messages").evaluate("(box) => box.scrollTop") == 100
    page.get_by_label("Message # hr-bot").fill("hello all")
    page.keyboard.press("Enter")
    expect(page.get_by_text("hello all")).to_be_in_viewport()


# --- by keyboard alone ------------------------------------------------------------------------------------------------


def test_one_can_write_at_once_and_goes_on_writing_in_the_thread(opened: Open, stage: Stage) -> None:
    page = opened()
    wait_for_focus(page, "Message # hr-bot")
    page.keyboard.type("who is here?")
    page.keyboard.press("Enter")
    wait_for_focus(page, "Reply")
    page.keyboard.type("and in March?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log", name="Replies")).to_contain_text("and in March?")
    assert focused(page) == "Reply"
    page.keyboard.press("Escape")
    wait_for_focus(page, "Message # hr-bot")
    heard = [event["text"] for event in stage.events(3) if event["type"] == "app_mention"]
    assert heard == ["<@U0BOT> who is here?", "<@U0BOT> and in March?"]


def test_a_card_is_decided_by_keyboard_and_the_focus_is_not_lost(opened: Open, stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "@hr-bot please")
    ts = stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="card", blocks=CARD)["ts"]
    page = opened(f"U0ANN/C0HR/{root}")
    wait_for_focus(page, "Reply")
    press_until(page, "Shift+Tab", "Deny")
    press_until(page, "Shift+Tab", "Approve")

    stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="something else meanwhile")
    expect(page.get_by_role("log", name="Replies")).to_contain_text("something else meanwhile")
    assert focused(page) == "Approve"  # though all messages were put in again
    stage.client.chat_update(channel="C0HR", ts=ts, text="card", blocks=[section("Remove Tom, now?"), *CARD[1:]])
    expect(page.get_by_role("log", name="Replies")).to_contain_text("now?")
    assert focused(page) == "Approve"  # though the card was redrawn
    page.keyboard.press("Enter")
    stage.workspace.wait(lambda: stage.bot.of("interaction"))
    stage.client.chat_update(channel="C0HR", ts=ts, text="done", blocks=[section("Done.")])
    wait_for_focus(page, "Reply")  # its button is gone
    assert [one["actions"][0]["action_id"] for one in stage.bot.of("interaction")] == ["approve"]


def test_a_modal_begins_at_its_first_field_and_gives_the_focus_back(opened: Open, stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "@hr-bot please")
    stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="card", blocks=CARD)
    page = opened(f"U0ANN/C0HR/{root}")
    wait_for_focus(page, "Reply")
    press_until(page, "Shift+Tab", "Deny")
    page.keyboard.press("Enter")
    trigger = stage.workspace.wait(lambda: stage.bot.of("interaction"))[0]["trigger_id"]
    stage.client.views_open(trigger_id=trigger, view=modal(asks()))
    page.wait_for_function("() => document.activeElement.matches('dialog input')")
    page.keyboard.type("it is wrong")
    page.keyboard.press("Enter")
    stage.workspace.wait(lambda: len(stage.bot.of("interaction")) == 2)
    assert stage.bot.of("interaction")[1]["view"]["state"]["values"]["why"]["entered"]["value"] == "it is wrong"
    wait_for_focus(page, "Deny")


def test_the_arrows_go_through_messages_and_their_menu(opened: Open, stage: Stage) -> None:
    first = stage.workspace.say("U0ANN", "one of mine")
    stage.workspace.say("U0BEN", "one of Ben's")
    page = opened()
    wait_for_focus(page, "Message # hr-bot")
    page.get_by_role("log", name="Messages").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert "one of mine" in focused(page)
    press_until(page, "Tab", "More actions")
    page.keyboard.press("Enter")
    press_until(page, "ArrowDown", "Edit message")
    page.keyboard.press("Escape")
    wait_for_focus(page, "More actions")
    page.keyboard.press("Enter")
    press_until(page, "ArrowDown", "Edit message")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("textbox").fill("changed by keyboard")
    press_until(page, "Tab", "Save")
    page.keyboard.press("Enter")
    expect(page.locator(f"[data-ts='{first}']")).to_contain_text("changed by keyboard")


# --- how it looks -----------------------------------------------------------------------------------------------------


def fonts(page: Page, selector: str) -> list[str]:
    """The fonts that the browser drew something in, by its own word."""
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    found = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    session.detach()
    return [font["familyName"] for font in found]


def test_digits_are_of_the_font_of_the_words(opened: Open, stage: Stage) -> None:
    ts = stage.workspace.say("U0ANN", "room 0123456789 # * and words")
    page = opened()
    expect(page.locator(f"[data-ts='{ts}']")).to_contain_text("0123456789")
    assert len(fonts(page, f"[data-ts='{ts}'] .text")) == 1  # where there is an emoji font, it has digits, too


def widths(page: Page) -> set[int]:
    """How wide all of the page is, in the light and in the dark."""
    found = set()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found.add(page.evaluate("document.documentElement.scrollWidth"))
    return found


def test_on_a_phone_nothing_hangs_over_and_everything_can_be_reached(opened: Open, stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "@hr-bot please")
    table = "| # | Name | Job | Department | Joined |\n|---|---|---|---|---|\n| 1 | Grace Mbeki | Chief Executive | Management | 2015 |"
    blocks = [{"type": "markdown", "text": table}, *CARD]
    stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="card", blocks=blocks)
    page = opened(width=375)
    assert widths(page) == {375}
    expect(page.get_by_role("button", name="1 reply")).to_be_in_viewport()
    page.get_by_role("button", name="1 reply").click()
    expect(page.get_by_role("button", name="Approve")).to_be_in_viewport()
    assert widths(page) == {375}
    page.get_by_role("button", name="Conversations").click()
    page.get_by_role("button", name="# random").click()
    expect(page.get_by_role("button", name="# random")).to_be_hidden()
    expect(page.get_by_label("Message # random")).to_be_in_viewport()
    page.get_by_role("button", name="Ben Ortiz").click()
    expect(page.get_by_role("button", name="Ben Ortiz")).to_have_attribute("aria-pressed", "true")


CONTRAST = """(selector) => {
  const linear = (c) => (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  const luma = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((value) => linear(value / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (node) => getComputedStyle(node).backgroundColor;
  const node = document.querySelector(selector);
  let behind = node;
  while ((ground(behind).match(/[\\d.]+/g)[3] ?? 1) < 1) behind = behind.parentElement;
  const [a, b] = [luma(getComputedStyle(node).color), luma(ground(behind))].sort((x, y) => y - x);
  return [(a + .05) / (b + .05), luma(ground(document.body))];
}"""


def test_in_the_dark_the_page_is_dark_and_everything_can_be_read(opened: Open, stage: Stage) -> None:
    """WCAG 2.2 asks for a contrast of 4.5 (https://www.w3.org/TR/WCAG22/#contrast-minimum)."""
    root = stage.workspace.say("U0ANN", "@hr-bot please see `code` and https://h.example")
    blocks = [*CARD, {"type": "context", "elements": [{"type": "mrkdwn", "text": "soft `code`"}]}]
    stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text="card", blocks=blocks)
    page = opened(f"U0ANN/C0HR/{root}")
    expect(page.get_by_role("button", name="Approve")).to_have_count(1)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for selector in (".message .text", ".mention", ".message code", ".by time", ".context", ".context code", "textarea",
                         ".kit:not(.primary)", ".tag", "#sidebar button", "#title .faint", "#messages a"):  # fmt: skip
            contrast, page_luma = page.evaluate(CONTRAST, selector)
            assert contrast >= 4.5, (scheme, selector, contrast)
            assert (page_luma < 0.05) == (scheme == "dark")
