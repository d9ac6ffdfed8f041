"""The local workspace as a whole: class Workspace starts and stops it and is what tests and the demo hold.

What people do is in messaging.py (words) and user_interactions.py (presses), what there is to see in inspection.py; what the bot calls
is in webapi.py, the way to the bot in delivery.py, HTTP in server.py.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from emulator import server
from emulator.app import App, AppToken, own_app
from emulator.delivery import ACK_SECONDS, RETRY_DELAYS, Courier, HttpCarrier, Reply
from emulator.faults import Fault, Kind
from emulator.inspection import Inspection
from emulator.limits import METHODS
from emulator.messaging import Messaging
from emulator.user_interactions import UserInteractions
from emulator.webapi import WebApi
from emulator.world import BOT_USER, Channel, Json, Person, UserGroup, World

if TYPE_CHECKING:
    from emulator.sockets import Reason, Sockets

T = TypeVar("T")


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Every call is in Workspace.calls; the terminal belongs to the bot."""


def _sockets(world: World, ack_seconds: float, api: WebApi) -> Sockets:
    from emulator.sockets import Sockets

    return Sockets(world, ack_seconds, api.violation)


class Workspace(Messaging, UserInteractions, Inspection):
    """A Slack workspace on this machine. All methods may be called from any thread.

    `retry_delays`: seconds before each retry of an event (Slack: at once, 1 min, 5 min); `ack_seconds`: how long the
    bot may take to answer; `examples`: gives the questions that the page offers at a moment; `enforce_rates`: answer 429
    beyond Slack's rates. `clock` gives seconds since 1970. `app`: what is installed, else the app of manifest.yaml.
    `app_token`: nothing goes over HTTP, the bot opens WebSockets with it.
    """

    bot_user_id = BOT_USER

    def __init__(
        self,
        *,
        bot_token: str = "xoxb-local",
        signing_secret: str = "local-signing-secret",
        port: int = 0,
        retry_delays: Sequence[float] = RETRY_DELAYS,
        ack_seconds: float = ACK_SECONDS,
        enforce_rates: bool = False,
        examples: Callable[[], Sequence[str]] = tuple,
        app: App | None = None,
        app_token: AppToken | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bot_token = bot_token
        self.signing_secret = signing_secret
        self.examples = examples
        self.world = World(clock, app or own_app())
        self.api = WebApi(self.world, bot_token, enforce_rates=enforce_rates, app_token=app_token)
        self.http = HttpCarrier(self.world, signing_secret, ack_seconds)
        self.sockets = _sockets(self.world, ack_seconds, self.api) if app_token is not None else None
        self.courier = Courier(self.world, self.sockets or self.http, retry_delays)
        self.stopping = threading.Event()
        self._port = port
        self._server: BaseWSGIServer | None = None

    # Running

    def start(self) -> Workspace:
        """Listen on 127.0.0.1. Raises OSError when the port is taken."""
        app = server.create_app(self)
        # werkzeug would end the process over a port that is taken; a socket of our own raises.
        with socket.create_server(("127.0.0.1", self._port), backlog=128) as listener:
            self._server = make_server(
                "127.0.0.1", self._port, app, threaded=True, request_handler=_Quiet, fd=listener.fileno()
            )
        if self.sockets:
            self.sockets.start()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="workspace", daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port and forget the retries that are due."""
        self.stopping.set()
        self.courier.stop()
        if self.sockets:
            self.sockets.stop()
        with self.world.lock:
            self.world.changed()
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Workspace:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the page is. Only once started."""
        if self._server is None:
            raise RuntimeError("start() the workspace first")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def api_url(self) -> str:
        """The base of the Web API, with a slash at the end."""
        return f"{self.url}/api/"

    def connect(self, base_url: str) -> None:
        """Say where the bot listens: events go to /slack/events there, gestures to /slack/interactions."""
        self.http.base_url = base_url

    def cut_off(self, down: bool) -> None:
        """While the bot is cut off, nothing reaches it."""
        with self.world.lock:
            self.courier.cut_off = down
            self.world.changed()

    # Who is there

    @property
    def people(self) -> dict[str, Person]:
        """Everybody, by id."""
        return self.world.people

    @property
    def channels(self) -> dict[str, Channel]:
        """All channels, by id."""
        return self.world.channels

    @property
    def groups(self) -> dict[str, UserGroup]:
        """All user groups, by id."""
        return self.world.groups

    def add_person(self, person: Person) -> None:
        """Somebody new, with a direct message to the bot, in no channel yet."""
        with self.world.lock:
            self.people[person.id] = person
            self.channels[f"D0{person.id[2:]}"] = Channel(f"D0{person.id[2:]}", "", (person.id, BOT_USER), person.id)
            self.world.changed()

    def add_group(self, group: UserGroup) -> None:
        """A new user group, or one that replaces the group of this id."""
        with self.world.lock:
            self.groups[group.id] = group
            self.world.changed()

    def add_channel(self, channel: Channel) -> None:
        """A new channel, or one that replaces the channel of this id."""
        with self.world.lock:
            self.channels[channel.id] = channel
            self.world.changed()

    def join_all(self) -> None:
        """Everybody is in every channel, as those are who were here from the start."""
        everybody = tuple(self.people)
        with self.world.lock:
            for channel in [one for one in self.channels.values() if not one.is_im]:
                self.channels[channel.id] = replace(channel, members=everybody)
            self.world.changed()

    def show_again(self) -> None:
        """Has the page ask again for what it shows besides the workspace: the questions that it offers."""
        with self.world.lock:
            self.world.changed()

    # The way to the bot

    def deliver(self, envelope: Json, headers: Mapping[str, str] | None = None) -> Reply:
        """Post an envelope to the bot once over HTTP, signed; `headers` are added and may replace the signature."""
        return self.http.post_event(envelope, headers or {})

    def deliver_interaction(self, payload: Json) -> Reply:
        """Post an interaction payload to the bot once over HTTP, signed."""
        return self.http.interaction(payload)

    def redeliver_last(self) -> bool:
        """Send the last event again, with the same event_id. False when there was none."""
        if self.courier.last_envelope is None:
            return False
        self.courier.send_event(self.courier.last_envelope)
        return True

    @property
    def connections(self) -> int:
        """Open WebSockets of the bot in socket mode."""
        return self.sockets.count if self.sockets else 0

    def refresh_sockets(self, reason: Reason = "refresh_requested", close_after: float = 0.5) -> None:
        """Send `disconnect` over every WebSocket; all but a `warning` close it after so many seconds."""
        if self.sockets:
            self.sockets.refresh(reason, close_after)

    def drop_sockets(self) -> None:
        """Cut every WebSocket without a word, as a network does."""
        if self.sockets:
            self.sockets.drop()

    # Waiting and faults

    def wait(self, predicate: Callable[[], T], seconds: float = 60) -> T:
        """Block until the predicate is true, asking again at every change of the workspace; returns what it gave.

        Raises TimeoutError, which tells what the workspace saw last.
        """
        deadline = time.monotonic() + seconds
        waiting = True
        while True:
            with self.world.lock:
                version = self.world.version
            # Asked without the lock: a predicate may call the bot, which may call the workspace.
            if result := predicate():
                return result
            if not waiting:
                raise TimeoutError(f"not within {seconds} s. {self._what_happened()}")
            waiting = self._changes(version, deadline - time.monotonic())

    def _changes(self, version: int, seconds: float) -> bool:
        """Whether the workspace is, within that time, another than at this version."""
        with self.world.lock:
            return self.world.lock.wait_for(lambda: self.world.version != version, max(seconds, 0))

    def fault(self, method: str, kind: Kind, times: int = 1, **more: Any) -> None:
        """Make the next calls of a method ("*": of any) fail; see faults.Fault for the kinds and `more`."""
        with self.world.lock:
            self.api.faults.add(method, Fault(kind, **more), times)
            self.world.changed()

    def forbid(self, method: str, error: str) -> None:
        """Answer every further call of a method with this error, as to an app that may not use it; see `allow`."""
        with self.world.lock:
            if method not in METHODS:
                raise ValueError(f"{method} is no method of this workspace")
            self.api.forbidden[method] = error
            self.world.changed()

    def allow(self, method: str) -> None:
        """Take a `forbid` back."""
        with self.world.lock:
            self.api.forbidden.pop(method, None)
            self.world.changed()

    def clear_faults(self) -> None:
        """Takes back the faults that did not happen yet."""
        with self.world.lock:
            self.api.faults.clear()
            self.world.changed()

    def _what_happened(self) -> str:
        with self.world.lock:
            return self._latest_calls()

    def _latest_calls(self) -> str:
        last = [f"{call.method} {call.fault or (call.answer or {}).get('error', 'ok')}" for call in self.api.calls[-8:]]
        texts = [m.get("text", "")[:80] for channel in self.world.messages.values() for m in channel.values()][-6:]
        events = [f"{a.type}#{a.number} {a.reply.status} {a.reply.reason}".strip() for a in self.courier.attempts[-4:]]
        broken = self.api.violations[-4:]
        unheard = f"; the app is not subscribed to: {self.world.unheard[-4:]}" if self.world.unheard else ""
        return f"Last calls: {last}; messages: {texts}; deliveries: {events}; violations: {broken}{unheard}"
