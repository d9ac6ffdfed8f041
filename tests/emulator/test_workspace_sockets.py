"""Socket Mode of the local workspace, spoken to by slack_sdk's own client and, for the details, by a bare WebSocket."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
import pytest
from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from emulator.app import AppToken
from slack_io.socket_mode import SocketMode
from slack_io.web_api import SlackWeb
from tests.harness.recording_bot import Json, Stage, asks, error_of, modal, staged

TOKEN = "xapp-local"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(app_token=AppToken(TOKEN), ack_seconds=2.0, retry_delays=(0, 0.05), shortcuts={"s": "S"}) as made:
        yield made


def url(stage: Stage) -> str:
    return str(stage.client.apps_connections_open(app_token=TOKEN)["url"])


@contextmanager
def wire(stage: Stage) -> Iterator[ClientConnection]:
    """A connection after its `hello`."""
    before = stage.workspace.connections
    with connect(url(stage)) as made:
        hello = json.loads(made.recv(5))
        assert (hello["type"], hello["num_connections"]) == ("hello", before + 1)
        assert hello["connection_info"] == {"app_id": "A0APP"}
        yield made


def received(made: ClientConnection) -> Json:
    message = json.loads(made.recv(5))
    assert isinstance(message, dict)
    return message


def acknowledge(made: ClientConnection, message: Json, payload: Json | None = None) -> None:
    made.send(json.dumps({"envelope_id": message["envelope_id"]} | ({"payload": payload} if payload else {})))


class Listener:
    """slack_sdk's client with a bot that acknowledges everything; `answer` is the payload of the next acknowledgement."""

    def __init__(self, stage: Stage) -> None:
        self.requests: list[SocketModeRequest] = []
        self.answer: Json | None = None
        web = WebClient("xoxb-1", base_url=stage.workspace.api_url)
        self.client = SocketModeClient(app_token=TOKEN, web_client=web, ping_interval=0.2)
        self.client.socket_mode_request_listeners.append(self._take)

    def _take(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        self.requests.append(request)
        client.send_socket_mode_response(SocketModeResponse(request.envelope_id, self.answer))


@pytest.fixture
def listener(stage: Stage) -> Iterator[Listener]:
    made = Listener(stage)
    made.client.connect()
    stage.workspace.wait(lambda: stage.workspace.connections == 1)
    yield made
    made.client.auto_reconnect_enabled = False
    made.client.closed = True
    stage.workspace.drop_sockets()  # its close() would wait for what it still reads
    made.client.close()


# With the library's client


def test_the_librarys_client_gets_events_and_acknowledges_them(stage: Stage, listener: Listener) -> None:
    ts = stage.workspace.say("U0ANN", "@hr-bot hello")
    stage.workspace.wait(lambda: stage.workspace.attempts)
    (request,) = listener.requests
    assert (request.type, request.accepts_response_payload, request.retry_attempt) == ("events_api", False, 0)
    assert (request.payload["type"], request.payload["event"]["ts"]) == ("event_callback", ts)
    assert stage.workspace.attempts[0].reply.status == 200
    assert stage.bot.received == []  # nothing went over HTTP
    assert stage.workspace.violations == []


def test_the_librarys_client_gets_gestures_and_answers_a_modal(stage: Stage, listener: Listener) -> None:
    ts = stage.workspace.say("U0ANN", "hello")
    assert stage.workspace.shortcut("U0ANN", ts, "s") == 200
    trigger = listener.requests[0].payload["trigger_id"]
    assert (listener.requests[0].type, listener.requests[0].accepts_response_payload) == ("interactive", False)
    view = stage.client.views_open(trigger_id=trigger, view=modal(asks()))["view"]
    listener.answer = {"response_action": "errors", "errors": {"why": "Say more."}}
    stage.workspace.submit(view["id"], "U0ANN", {"why": "x"})
    assert listener.requests[1].accepts_response_payload is True
    assert stage.workspace.view_errors(view["id"]) == {"why": "Say more."}
    listener.answer = None
    stage.workspace.submit(view["id"], "U0ANN", {"why": "x"})
    assert stage.workspace.modals("U0ANN") == []


def test_the_librarys_client_comes_back_when_it_is_asked_to_go(stage: Stage, listener: Listener) -> None:
    stage.workspace.refresh_sockets(close_after=0.1)
    stage.workspace.wait(lambda: len(stage.workspace.calls_of("apps.connections.open")) == 2)
    stage.workspace.wait(lambda: stage.workspace.connections == 1)
    stage.workspace.say("U0ANN", "@hr-bot still there?")
    stage.workspace.wait(lambda: stage.workspace.attempts)
    assert stage.workspace.attempts[0].reply.status == 200


# With the bot's own client


def test_the_bots_own_socket_hears_events_and_gestures_through_a_refresh(stage: Stage) -> None:
    heard: list[tuple[str, Json]] = []

    def hear(kind: str, payload: Json) -> bool:
        heard.append((kind, payload))
        return True

    def spawn(job: Callable[[], None]) -> None:
        threading.Thread(target=job, daemon=True).start()

    mode = SocketMode(SlackWeb(TOKEN, stage.workspace.api_url).open_socket, hear, spawn, first_pause=0.05)
    mode.start()
    try:
        stage.workspace.wait(lambda: stage.workspace.connections == 1)
        ts = stage.workspace.say("U0ANN", "@hr-bot hello")
        stage.workspace.wait(lambda: stage.workspace.attempts)
        assert stage.workspace.shortcut("U0ANN", ts, "s") == 200
        stage.workspace.refresh_sockets(close_after=0.1)
        stage.workspace.wait(lambda: stage.workspace.connections == 1)
        stage.workspace.drop_sockets()
        stage.workspace.wait(lambda: len(stage.workspace.calls_of("apps.connections.open")) == 3)
        stage.workspace.wait(lambda: stage.workspace.connections == 1)
        stage.workspace.say("U0ANN", "@hr-bot still there?")
        stage.workspace.wait(lambda: len(stage.workspace.attempts) == 2)
    finally:
        mode.close()
    assert [kind for kind, _ in heard] == ["events_api", "interactive", "events_api"]
    assert [attempt.reply.status for attempt in stage.workspace.attempts] == [200, 200]
    assert stage.workspace.violations == []


# In detail


def test_a_warning_closes_nothing_and_a_refresh_does(stage: Stage) -> None:
    with wire(stage) as made:
        stage.workspace.refresh_sockets("warning")
        assert (received(made)["reason"], stage.workspace.connections) == ("warning", 1)
        stage.workspace.refresh_sockets(close_after=0.05)
        message = received(made)
        assert (message["type"], message["reason"]) == ("disconnect", "refresh_requested")
        with pytest.raises(ConnectionClosed):
            made.recv(5)
    stage.workspace.wait(lambda: stage.workspace.connections == 0)


def test_an_event_goes_to_one_of_several_connections(stage: Stage) -> None:
    with wire(stage) as one, wire(stage) as two:
        got: list[str] = []
        for text in ("@hr-bot a", "@hr-bot b"):
            stage.workspace.say("U0ANN", text)
            made, message = _first(one, two)
            acknowledge(made, message)
            got.append("one" if made is one else "two")
        assert sorted(got) == ["one", "two"]
        for made in (one, two):
            with pytest.raises(TimeoutError):
                made.recv(0.05)


def _first(*wires: ClientConnection) -> tuple[ClientConnection, Json]:
    """The message that comes, and where."""
    for _ in range(200):
        for made in wires:
            try:
                return made, json.loads(made.recv(0.02))
            except TimeoutError:
                continue
    raise AssertionError("nothing came")


def test_an_event_that_nobody_acknowledges_comes_again() -> None:
    with staged(app_token=AppToken(), ack_seconds=0.05, retry_delays=(0, 0)) as stage, wire(stage) as made:
        stage.workspace.say("U0ANN", "@hr-bot hello")
        first, second, third = (received(made) for _ in range(3))
        stage.workspace.wait(lambda: len(stage.workspace.attempts) == 3)
        assert [(m["retry_attempt"], m["retry_reason"]) for m in (first, second, third)] == [
            (0, ""),
            (1, "timeout"),
            (2, "timeout"),
        ]
        assert len({m["payload"]["event_id"] for m in (first, second, third)}) == 1
        assert len({m["envelope_id"] for m in (first, second, third)}) == 3


def test_an_event_whose_connection_is_cut_comes_again_over_another(stage: Stage) -> None:
    with wire(stage) as made:
        stage.workspace.say("U0ANN", "@hr-bot hello")
        first = received(made)
        stage.workspace.drop_sockets()
        with pytest.raises(ConnectionClosed):
            made.recv(5)
    with staged(app_token=AppToken(), retry_delays=(0.3,)) as later:
        later.workspace.say("U0ANN", "@hr-bot hello")  # while nobody is connected
        later.workspace.wait(lambda: later.workspace.attempts)
        with wire(later) as made:
            again = received(made)
            acknowledge(made, again)
            later.workspace.wait(lambda: len(later.workspace.attempts) == 2)
    assert (first["retry_attempt"], again["retry_attempt"], again["retry_reason"]) == (0, 1, "connection_failed")
    assert [attempt.reply.status for attempt in later.workspace.attempts] == [0, 200]


def test_a_payload_where_none_is_read_and_nonsense_are_noted(stage: Stage) -> None:
    with wire(stage) as made:
        made.send("thanks")
        stage.workspace.say("U0ANN", "@hr-bot hello")
        acknowledge(made, received(made), {"text": "hi"})
        stage.workspace.wait(lambda: stage.workspace.attempts)
    assert [line.split(":")[0] for line in stage.workspace.violations] == ["socket", "events_api"]


def test_the_eleventh_connection_is_sent_away(stage: Stage) -> None:
    with ExitStack() as open_ones:
        for _ in range(10):
            open_ones.enter_context(wire(stage))
        with connect(url(stage)) as made:
            assert received(made)["reason"] == "too_many_websockets"


# Getting in


def test_a_ticket_opens_one_connection_for_a_short_time(stage: Stage) -> None:
    address = url(stage)
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["app_id"] == ["A0APP"]
    with connect(address) as made:
        assert received(made)["type"] == "hello"
    late = url(stage)
    stage.clock.now += 31
    for wrong in (address, late, address.replace("ticket=", "ticket=x")):
        with pytest.raises(InvalidStatus):
            connect(wrong).__enter__()


def test_only_the_apps_own_token_opens_a_connection(stage: Stage) -> None:
    def error(token: str) -> str:
        return error_of(stage.client.apps_connections_open, app_token=token)

    assert (error("xapp-other"), error("xoxb-1")) == ("invalid_auth", "not_allowed_token_type")
    bare: dict[str, Any] = {"url": f"{stage.workspace.api_url}apps.connections.open"}
    assert httpx2.post(**bare, data={"token": TOKEN}).json()["error"] == "not_authed"
    assert httpx2.get(**bare, headers={"Authorization": f"Bearer {TOKEN}"}).json()["error"] == "insecure_request"
    assert error_of(WebClient(TOKEN, base_url=stage.workspace.api_url).auth_test) == "not_allowed_token_type"
    with staged(app_token=AppToken(TOKEN, frozenset())) as poor:
        assert error_of(poor.client.apps_connections_open, app_token=TOKEN) == "missing_scope"
    with staged() as over_http:
        assert error_of(over_http.client.apps_connections_open, app_token=TOKEN) == "invalid_auth"
        assert over_http.workspace.connections == 0
