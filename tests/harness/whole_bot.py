"""A whole bot in one process, on loopback, and the people who use it: what conftest.py's fixtures hand out.

Nothing of the bot is replaced: Slack is the local workspace over HTTP, the API a server of its own, the database a file. Only the
model may be a `Script`, an object that the app takes as an argument.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import hmac
import http.client
import itertools
import json
import re
import threading
import time
import urllib.parse
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from flask import Flask
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from base.clock import SteadyClock
from base.settings import Settings
from bot import Bot, create_app
from demo.hr_api import LocalServer
from emulator.delivery import Reply
from emulator.emulator import Workspace
from emulator.interaction_payloads import find_element
from emulator.speech import app_mention, envelope
from emulator.world import BOT, BOT_USER
from gate.policy import State
from model.chat import Model, ModelFailed, ReplyListener
from model.refusals import Failure
from slack_io.restored import see_to_restored
from slack_io.web_api import SlackWeb
from tests.harness.catalogs import loaded
from tests.harness.loopback import Loopback, Request, as_json
from tests.harness.loopback import Reply as LoopbackReply
from tests.harness.ports import give_back, lent_port
from workers.opening import open_database

Json = dict[str, Any]
Message = dict[str, Any]

CATALOG = Path(__file__).parents[2] / "apis.yaml"
SIGNING_SECRET = "local-signing-secret"
HANG = 120.0  # seconds after which a held model lets go by itself, so that no test hangs


# --- the model --------------------------------------------------------------------------------------------------------


def says(text: str | None, *, ending: str = "stop") -> Json:
    """A model's answer in words."""
    return _completion({"role": "assistant", "content": text}, ending)


def calls(*wanted: tuple[str, str] | tuple[str, str, Any], text: str | None = None) -> Json:
    """A model's reply that makes these calls: (method, url) or (method, url, body)."""
    arguments = [
        {"method": call[0], "url": call[1]} | ({"body": json.dumps(call[2])} if len(call) > 2 else {})
        for call in wanted
    ]
    made = [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": "call_rest_api", "arguments": json.dumps(one)},
        }
        for i, one in enumerate(arguments)
    ]
    return _completion({"role": "assistant", "content": text, "tool_calls": made}, "tool_calls")


def _completion(message: Json, ending: str) -> Json:
    choice = {"index": 0, "message": message, "finish_reason": ending}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}


class Writing:
    """A line that the model writes piece by piece: `write` adds words, `finish` ends it, with tool calls where they are given.

    It ends as well when nobody wants the rest.
    """

    def __init__(self, text: str = "") -> None:
        self._changed = threading.Condition()
        self.text = text
        self.is_cut = False
        self._reply: Json | None = None

    def write(self, text: str) -> None:
        with self._changed:
            self.text += text

    def finish(self, reply: Json | None = None) -> None:
        with self._changed:
            self._reply = reply or says(self.text)
            self._changed.notify_all()

    def perform(self, ear: ReplyListener) -> Json:
        """Speaks into the ear until it is over."""
        deadline = time.monotonic() + HANG
        with self._changed:
            while self._reply is None and time.monotonic() < deadline:
                ear.hear(self.text, is_calling=False)
                if ear.is_cut():
                    self.is_cut = True
                    raise ModelFailed(Failure.CUT_OFF)
                self._changed.wait(0.05)
            return self._reply or says(self.text)


Line = Json | ModelFailed | Writing | Callable[[Sequence[Message]], Json]


class Script:
    """A model in this process. It says its lines in order, then "Done."; a line that is a function is given the messages."""

    def __init__(self) -> None:
        self.asked: list[list[Message]] = []
        self._lines: deque[Line] = deque()
        self._changed = threading.Condition()
        self._is_held = False

    def will(self, *lines: Line) -> None:
        """Adds lines."""
        with self._changed:
            self._lines.extend(lines)

    def hold(self) -> None:
        """From now on it gives no answer until `let_go`."""
        self._is_held = True

    def let_go(self) -> None:
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def complete(
        self, messages: Sequence[Message], tools: Sequence[Json], ear: ReplyListener, *, is_last: bool = False
    ) -> object:
        with self._changed:
            self.asked.append(copy.deepcopy(list(messages)))
            line = self._lines.popleft() if self._lines else says("Done.")
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._is_held, HANG)
        if isinstance(line, ModelFailed):
            raise line
        if isinstance(line, Writing):
            return line.perform(ear)
        return line if isinstance(line, dict) else line(messages)

    def wait_asked(self, times: int = 1, seconds: float = 60) -> list[Message]:
        """Waits until it was asked that often; gives the messages of the last request."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= times, seconds), f"asked {len(self.asked)} times"
            return self.asked[-1]


def results(messages: Sequence[Message]) -> list[Json]:
    """The tools' results in a request to the model."""
    return [json.loads(message["content"]) for message in messages if message["role"] == "tool"]


def said_by_people(messages: Sequence[Message]) -> list[str]:
    """The user messages in a request to the model, less what the bot itself notes there."""
    said = [text for message in messages if message["role"] == "user" for text in parts_of(message["content"])]
    return [text for text in said if not text.startswith("From the bot itself, for the next message: ")]


def parts_of(content: str) -> list[str]:
    """What goes with a person's words, and those words last: a user message taken apart at the border that it names."""
    found = re.match(r"From the bot: all up to the line (=== [0-9a-f]{16} ===) is context", content)
    if found is None:
        return [content]
    context, own = content.split(f"\n\n{found[1]}\n", 1)
    return [*re.split(r"\n\n(?=Written in this)", context.split("\n\n", 1)[1]), own]


# --- an API that does as it is told -----------------------------------------------------------------------------------


@dataclass
class Told:
    """One answer of an `ObedientApi`. `after` is the seconds that it takes."""

    status: int = 200
    body: Any = field(default_factory=dict)
    after: float = 0.0


class ObedientApi(Loopback):
    """An HTTP server that gives the answers of a list in order, then 200 `{}`."""

    def __init__(self) -> None:
        self._port = lent_port()
        super().__init__(self._obey, self._port)
        self._answers: deque[Told] = deque()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        give_back(self._port)

    def will(self, *answers: Told) -> None:
        self._answers.extend(answers)

    @property
    def asked(self) -> list[str]:
        """The requests as `METHOD /path`."""
        return [f"{one.method} {one.path}" for one in self.requests]

    def _obey(self, _request: Request) -> LoopbackReply:
        told = self._answers.popleft() if self._answers else Told()
        time.sleep(told.after)
        return as_json(told.body, told.status)


# --- the way in -------------------------------------------------------------------------------------------------------

Over = Literal["http", "socket"]
BOTH_WAYS = pytest.mark.parametrize("over", ["http", "socket"])
APP_TOKEN = "xapp-local"  # the local workspace's own


def way_in(over: Over, signing_secret: str) -> dict[str, str]:
    """The setting that says by which way Slack reaches the bot."""
    return {"slack_app_token": APP_TOKEN} if over == "socket" else {"slack_signing_secret": signing_secret}


# --- the bot ----------------------------------------------------------------------------------------------------------


class _Given(Settings):
    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_others: Any, **_more: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def settings_of(**given: Any) -> Settings:
    """Settings by their names; the rest has its defaults, whatever the environment or a `.env` file says."""
    defaults = {name: field.default for name, field in Settings.model_fields.items() if not field.is_required()}
    return _Given.model_validate(defaults | given)


class RoundRobin:
    """A WSGI application in front of several that are the same: each request goes to the next of them."""

    def __init__(self, apps: Sequence[Flask]) -> None:
        self._next = itertools.cycle(apps)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return next(self._next)(environ, start_response)


class RunningBot:
    """The wired app behind its own HTTP server, from `start` to `stop`; may be started again on the same database."""

    def __init__(
        self,
        workspace: Workspace,
        settings: Settings,
        catalog: str,
        model: Model | None,
        clock: SteadyClock | None = None,
        replicas: int = 1,
    ) -> None:
        self.clock = clock or SteadyClock()
        self._replicas = replicas
        self._bots: list[Bot] = []
        self.workspace = workspace
        self.settings = settings
        self._catalog = loaded(catalog)
        self._model = model
        self._server: LocalServer | None = None

    def start(self) -> RunningBot:
        """Starts it and tells the workspace where it listens."""
        apps = [self._app() for _ in range(self._replicas)]
        self._bots = [app.extensions["bot"] for app in apps]
        self.store = self._bots[0].store
        for bot in self._bots:
            see_to_restored(bot.store, bot.gate, lambda: uuid.uuid4().hex)
            bot.start()
        self._server = LocalServer(apps[0] if len(apps) == 1 else RoundRobin(apps))
        self._server.start()
        self.workspace.connect(self.url)
        until(
            lambda: all(bot.socket is None or bot.socket.is_connected for bot in self._bots)
        )  # Slack may think so before
        return self

    def _app(self) -> Flask:
        database = open_database(self.settings, self.clock)
        return create_app(self.settings, self._catalog, database, model=self._model, clock=self.clock)

    def stop(self) -> None:
        if self._server is not None:
            self.workspace.connect("")
            self._server.stop()
            others = max(0, self.workspace.connections - len(self._bots))
            at_once(*(functools.partial(bot.stop, 5) for bot in self._bots))
            self.workspace.wait(lambda: self.workspace.connections <= others)  # or a press goes to who is gone
            self._server = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return self._server.url

    def settle(self, seconds: float = 60.0) -> None:
        """Waits until nothing is under way but what waits for people."""
        began = time.monotonic()
        while not self._is_at_rest():
            waited = time.monotonic() - began
            assert waited < seconds, f"not at rest: {self.store.unrested()}"
            time.sleep(max(0.03, waited / 8))  # to look costs the bot, which shares this process

    def _is_at_rest(self) -> bool:
        arrived, open_turns, due = self.store.unrested()
        if arrived or due:
            return False
        waiting = self.store.proposals_in(State.PENDING, State.APPROVED, State.SENDING)
        pending = {one.thread for one in waiting if one.state == State.PENDING}
        return all(one.state == State.PENDING for one in waiting) and not set(open_turns) - pending

    @property
    def web(self) -> SlackWeb:
        """Its door to Slack."""
        return self._bots[0].web

    # its door

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = "application/json",
        headers: Mapping[str, str | None] | None = None,
    ) -> Reply:
        """One signed POST; `headers` are added or replace others, None leaves one out."""
        sent: dict[str, str | None] = {"Content-Type": content_type, **signed(body), **(headers or {})}
        return self.request("POST", path, body, {name: value for name, value in sent.items() if value is not None})

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, seconds: float = 60.0
    ) -> Reply:
        """One request as it stands, header values as Latin-1."""
        place = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=seconds)
        try:
            connection.putrequest(method, path)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(errors="replace"), "", dict(answer.headers))
        finally:
            connection.close()


def signed(body: bytes, stamp: str | None = None, secret: str = SIGNING_SECRET) -> dict[str, str]:
    """Slack's two headers for a body, made here from Slack's description, not with the code under test."""
    stamp = str(int(time.time())) if stamp is None else stamp
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


def form(payload: object) -> bytes:
    """An interaction's body: JSON in the form field `payload`."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return urllib.parse.urlencode({"payload": text}).encode()


# --- people -----------------------------------------------------------------------------------------------------------


class Talk:
    """A thread as people see it."""

    def __init__(self, workspace: Workspace, ts: str, channel: str = "C0HR") -> None:
        self.workspace = workspace
        self.ts = ts
        self.channel = channel

    def messages(self) -> list[Json]:
        """The bot's messages in it, oldest first."""
        return [m for m in self.workspace.messages(self.channel, self.ts) if m.get("bot_id") == BOT]

    def answers(self) -> list[str]:
        """What the bot said, cards and their parts left out."""
        return [words_of(m) for m in self.messages() if _first_block(m) not in ("header", "context")]

    def cards(self) -> list[Json]:
        return [m for m in self.messages() if _first_block(m) == "header"]

    def answer(self, number: int = 1, seconds: float = 60) -> str:
        """The answer of that number, once it is there."""
        return self.workspace.wait(lambda: self.answers()[number - 1 :], seconds)[0]

    def card(self, number: int = 1, seconds: float = 60) -> Json:
        """The card of that number, once it is there."""
        return self.workspace.wait(lambda: self.cards()[number - 1 :], seconds)[0]

    def card_titled(self, title: str, seconds: float = 60) -> str:
        """All text of the first card that says `title`, once one does."""
        return self.workspace.wait(lambda: [card_text(c) for c in self.cards() if title in card_text(c)], seconds)[0]


def _first_block(message: Json) -> str:
    blocks = message.get("blocks") or [{}]
    return str(blocks[0].get("type", ""))


def words_of(message: Json) -> str:
    """What people read in a message of the bot."""
    texts = [block["text"] for block in message.get("blocks") or () if block["type"] == "markdown"]
    return "\n".join(texts) or str(message["text"])


def card_text(card: Json) -> str:
    """All text on a card, a line for each piece."""
    return "\n".join(_texts(card.get("blocks", [])))


def _texts(value: object) -> list[str]:
    match value:
        case {"type": "plain_text" | "mrkdwn" | "markdown", "text": str(text)}:
            return [text]
        case dict():
            return [text for part in value.values() for text in _texts(part)]
        case list():
            return [text for part in value for text in _texts(part)]
    return []


def buttons(card: Json) -> dict[str, str]:
    """The card's buttons: action_id and value."""
    found = (e for block in card.get("blocks", []) if block["type"] == "actions" for e in block["elements"])
    return {element["action_id"]: element["value"] for element in found}


class Person:
    """Somebody in the workspace."""

    def __init__(self, workspace: Workspace, user: str) -> None:
        self.workspace = workspace
        self.user = user

    def asks(self, text: str, channel: str = "C0HR") -> Talk:
        """Mentions the bot at the top of a channel. Returns once the bot has acknowledged it."""
        return Talk(self.workspace, self.mentions(text, channel), channel)

    def replies(self, talk: Talk, text: str) -> str:
        """Mentions the bot in a thread; the ts of the message."""
        return self.mentions(text, talk.channel, talk.ts)

    def mentions(self, text: str, channel: str = "C0HR", thread_ts: str | None = None) -> str:
        text = text if "@hr-bot" in text else f"@hr-bot {text}"
        ts = self.workspace.say(self.user, text, channel, thread_ts)
        sent = self.workspace.courier.last_envelope
        assert sent is not None
        assert sent["event"]["ts"] == ts
        self.workspace.wait(
            lambda: [a for a in self.workspace.attempts if a.event_id == sent["event_id"] and a.reply.ok]
        )
        return ts

    def presses(self, card: Json, button: str, channel: str = "C0HR") -> int:
        """Presses a button, also one that the message has lost; the HTTP status of the bot's answer."""
        return self.workspace.click(self.user, card["ts"], button, channel=channel)

    def asides(self) -> list[str]:
        """What only this person was shown."""
        return [message["text"] for message in self.workspace.ephemerals(self.user)]

    def aside(self, number: int = 1) -> str:
        """The aside of that number, once it is there."""
        return self.workspace.wait(lambda: self.asides()[number - 1 :])[0]


def mention_of(workspace: Workspace, text: str = "hello", **changes: Any) -> Json:
    """Ann's mention as Slack would send it, its message in #hr-bot, nothing delivered. `changes` go into the event."""
    ts = workspace.say("U0ANN", text)
    message = workspace.message("C0HR", ts)
    assert message is not None
    event = app_mention("C0HR", message | {"text": f"<@{BOT_USER}> {text}"}) | changes
    with workspace.world.lock:
        return envelope(workspace.world, event)


def click_of(card: Json, talk: Talk, user: str, button: str, **changes: Any) -> Json:
    """A press of a card's button as Slack would send it; `changes` go into the action."""
    found = find_element(card["blocks"], button, None)
    assert found is not None
    block, element = found
    action = {
        "type": "button",
        "action_id": button,
        "block_id": block["block_id"],
        "value": element["value"],
        "action_ts": f"{time.time():.6f}",
    }
    return {
        "type": "block_actions",
        "team": {"id": "T0LOCAL", "domain": "local"},
        "user": {"id": user, "team_id": "T0LOCAL"},
        "channel": {"id": talk.channel, "name": "hr-bot"},
        "container": {
            "type": "message",
            "message_ts": card["ts"],
            "channel_id": talk.channel,
            "thread_ts": talk.ts,
        },
        "message": card,
        "actions": [action | changes],
    }


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Runs all jobs at the same moment; their results, in order."""
    line = threading.Barrier(len(jobs))
    found: list[Any] = [None] * len(jobs)

    def run(number: int, job: Callable[[], Any]) -> None:
        line.wait(60)
        found[number] = job()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def until(holds: Callable[[], object], seconds: float = 60, pause: float = 0.02) -> None:
    """Blocks until something holds that nobody announces; `pause`, or a twentieth of the time, is what may be lost by looking late."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < seconds, "not in time"
        time.sleep(max(pause, waited / 20))


StartBot = Callable[..., RunningBot]
