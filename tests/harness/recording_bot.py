"""The local Slack workspace with a bot that only records, for the tests of the workspace itself.

Everything goes over HTTP on loopback: slack_sdk's WebClient calls in, a small Flask app stands for the bot.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, Response, request
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from werkzeug.serving import make_server

from emulator.app import EVERY_EVENT, EVERY_SCOPE, App, View, own_app
from emulator.emulator import Workspace

Json = dict[str, Any]
SECRET = "a-signing-secret"


class Bot:
    """A recording bot: answers in turn what `replies` holds, then 200 with an empty body."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Json, dict[str, str]]] = []
        self.replies: list[Response] = []
        self.gate = threading.Event()  # closed, it holds every answer back
        self.gate.set()
        self.verifier = SignatureVerifier(SECRET)
        app = Flask("bot")
        app.post("/slack/events")(self.event)
        app.post("/slack/interactions")(self.interaction)
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def event(self) -> Response:
        return self.record("event", json.loads(request.get_data()))

    def interaction(self) -> Response:
        request.get_data()
        return self.record("interaction", json.loads(request.form["payload"]))

    def record(self, kind: str, body: Json) -> Response:
        if not self.verifier.is_valid_request(request.get_data(), dict(request.headers)):
            return Response(status=401)
        self.received.append((kind, body, dict(request.headers)))
        self.gate.wait(60)
        return self.replies.pop(0) if self.replies else Response()

    def of(self, kind: str) -> list[Json]:
        return [body for what, body, _ in self.received if what == kind]


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Stage:
    """A workspace whose app may do everything, the bot that it talks to, its clock, and a client with the bot's token."""

    workspace: Workspace
    bot: Bot
    clock: Clock
    client: WebClient

    def events(self, count: int) -> list[Json]:
        """The inner events the bot received, once there are so many, in the order of their time stamps."""
        self.workspace.wait(lambda: len(self.workspace.attempts) >= count)
        inner = [envelope["event"] for envelope in self.bot.of("event")]
        assert len(inner) == count, [event["type"] for event in inner]
        return sorted(inner, key=lambda event: str(event.get("event_ts", "")))


@contextmanager
def staged(
    *,
    scopes: Iterable[str] = EVERY_SCOPE,
    events: Iterable[str] = EVERY_EVENT,
    view: View = "agent_view",
    shortcuts: Mapping[str, str] | None = None,
    **more: Any,
) -> Iterator[Stage]:
    """A stage; the app may do and hears everything unless it is said otherwise; `more` goes to the Workspace."""
    bot, clock = Bot(), Clock()
    app = App(frozenset(scopes), frozenset(events), view, own_app().shortcuts if shortcuts is None else shortcuts)
    given = {"bot_token": "xoxb-1", "signing_secret": SECRET, "retry_delays": (), "clock": clock, **more}
    with Workspace(app=app, **given) as workspace:
        workspace.connect(bot.url)
        yield Stage(workspace, bot, clock, WebClient("xoxb-1", base_url=workspace.api_url, retry_handlers=[]))
    bot.server.shutdown()
    bot.server.server_close()


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain("Approve"), "action_id": "approve", "value": "p1", **more}


def actions(*elements: Json, **more: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def section(text: str = "x", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def asks(block_id: str = "why", **more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "entered"}
    return {"type": "input", "block_id": block_id, "label": plain("Why?"), "element": element, **more}


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("Details"), "submit": plain("Send"), "blocks": list(blocks), **more}


CONFIRM = {"title": plain("Sure?"), "text": plain("Really?"), "confirm": plain("Yes"), "deny": plain("No")}


def error_of(call: Any, **args: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(**args)
    return str(caught.value.response["error"])
