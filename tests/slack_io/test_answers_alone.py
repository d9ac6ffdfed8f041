"""`answers: dm`: what comes of such an API reaches its asker alone, over the whole bot."""

from __future__ import annotations

import json
from dataclasses import replace

from emulator.emulator import Workspace
from slack_io.slack_app import DIRECT_SCOPE, NEEDED
from tests.harness.whole_bot import ObedientApi, Person, Script, StartBot, Told, calls, says

CATALOG = """
apis:
  - name: Payroll
    base_url: {url}/payroll
    answers: dm
    endpoints:
      - {{method: GET, url: /slips, description: Lists pay slips.}}
      - {{method: DELETE, url: "/slips/[id]", description: Removes a pay slip., preview: false}}
  - name: Wiki
    base_url: {url}/wiki
    endpoints:
      - {{method: GET, url: /pages, description: Lists pages.}}
"""
SLIPS = Told(body={"slips": [{"month": "2026-11", "pay": 4711}]})
THERE = "<@U0ANN>, the answer is for you alone: I've sent it as a direct message."


def direct(workspace: Workspace, channel: str = "D0ANN") -> list[str]:
    """What the bot said in somebody's direct message."""
    return [message["text"] for message in workspace.messages(channel) if message.get("bot_id")]


def ready(start_bot: StartBot, api: ObedientApi, workspace: Workspace) -> None:
    workspace.world.app = replace(workspace.world.app, scopes=NEEDED | {DIRECT_SCOPE})
    start_bot(catalog=CATALOG.format(url=api.url))


def test_the_answer_goes_to_who_asked_and_the_thread_has_a_line_about_it(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    ready(start_bot, api, workspace)
    api.will(SLIPS)
    model.will(calls(("GET", "/slips")), says("You got 4711."))
    talk = ann.asks("what did I get?")
    assert talk.answer() == THERE
    workspace.wait(lambda: direct(workspace))
    assert direct(workspace) == ["You asked `what did I get?`:\n\nYou got 4711."]

    assert "4711" in json.dumps(model.asked[-1])

    model.will(says("Also 4711."))
    ann.replies(talk, "and before?")
    assert talk.answer(2) == THERE, "the model still has the data in view"
    workspace.wait(lambda: len(direct(workspace)) == 2)

    ben.replies(talk, "what did she get?")
    talk.answer(3)
    assert "4711" not in json.dumps(model.asked[-1])
    assert "4711" not in json.dumps(workspace.messages(talk.channel, talk.ts))


def test_what_comes_of_other_apis_stands_where_it_was_asked(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    ready(start_bot, api, workspace)
    model.will(calls(("GET", "/pages")), says("Three pages."))
    assert ann.asks("which pages are there?").answer() == "Three pages."
    assert direct(workspace) == []


def test_after_an_approval_the_answer_goes_to_who_asked(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    ready(start_bot, api, workspace)
    model.will(calls(("DELETE", "/slips/7")), says("Slip 7 is gone."))
    talk = ann.asks("remove slip 7")
    ann.presses(talk.card(), "approve")
    workspace.wait(lambda: direct(workspace))
    assert direct(workspace) == ["You asked `remove slip 7`:\n\nSlip 7 is gone."]
    assert "Slip 7 is gone." not in json.dumps(workspace.messages(talk.channel, talk.ts))
