"""Socket Mode: the workspace sends events and gestures over WebSockets that the bot opened, instead of over HTTP.

Rules: https://docs.slack.dev/apis/events-api/using-socket-mode. Who may connect is decided by the ticket in the URL of
apps.connections.open. Imported only where socket mode is on.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from emulator.delivery import Reply, Retry
from emulator.world import APP, Json, World

Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]

MOST = 10  # connections of one app
ANSWERED = ("view_submission", "block_suggestion")  # gestures whose acknowledgement may carry a payload


@dataclass
class _Link:
    """One open connection; `leaving` means that it was told to go. `waiting` has what it has not acknowledged yet."""

    wire: ServerConnection
    leaving: bool = False
    waiting: dict[str, Future[Any]] = field(default_factory=dict)


class Sockets:
    """The carrier of socket mode, with the signature of delivery.HttpCarrier. `complain` takes what breaks a rule."""

    def __init__(self, world: World, ack_seconds: float, complain: Callable[[str, str], None]) -> None:
        self.world = world
        self.ack_seconds = ack_seconds
        self._complain = complain
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._turn = 0
        self._server: Server | None = None

    def start(self) -> None:
        """Listen on 127.0.0.1, at a port that is free."""
        self._server = serve(self._serve, "127.0.0.1", 0, process_request=self._admit, compression=None)
        host, port = self._server.socket.getsockname()
        self.world.socket_url = f"ws://{host}:{port}/link/"
        threading.Thread(target=self._server.serve_forever, name="sockets", daemon=True).start()

    def stop(self) -> None:
        """Close every connection and the port."""
        self.drop()
        if self._server:
            self._server.shutdown()

    # Connections

    def _admit(self, wire: ServerConnection, request: Request) -> Response | None:
        """Only with a ticket that nobody used before."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        with self.world.lock:
            known = self.world.use_ticket(query.get("ticket", [""])[0])
        return None if known else wire.respond(HTTPStatus.UNAUTHORIZED, "unknown ticket\n")

    def _serve(self, wire: ServerConnection) -> None:
        link = _Link(wire)
        with self._lock:
            full = len(self._links) >= MOST
            if not full:
                self._links.append(link)
            count = len(self._links)
        try:
            if full:
                wire.send(_disconnect("too_many_websockets"))
                return
            wire.send(_hello(count))
            self._changed()
            for raw in wire:
                self._acknowledged(link, raw)
        except ConnectionClosed:
            pass
        finally:
            self._gone(link)

    def _gone(self, link: _Link) -> None:
        with self._lock:
            if link in self._links:
                self._links.remove(link)
            waiting = list(link.waiting.values())
        for future in waiting:
            future.cancel()
        self._changed()

    def _changed(self) -> None:
        with self.world.lock:
            self.world.changed()

    @property
    def count(self) -> int:
        """Open connections, without those that were told to go."""
        with self._lock:
            return sum(not link.leaving for link in self._links)

    @property
    def unacknowledged(self) -> int:
        """Envelopes that were sent and wait for their acknowledgement."""
        with self._lock:
            return sum(len(link.waiting) for link in self._links)

    def refresh(self, reason: Reason, close_after: float) -> None:
        """Tell every connection to go; unless it is a mere `warning`, each is closed after so many seconds."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.leaving = link.leaving or reason != "warning"
            with contextlib.suppress(ConnectionClosed):
                link.wire.send(_disconnect(reason))
            if link.leaving:
                self._changed()
                timer = threading.Timer(close_after, link.wire.close)
                timer.daemon = True
                timer.start()

    def drop(self) -> None:
        """Cut every connection without a word. None of them counts from then on."""
        with self._lock:
            links = list(self._links)
            self._links.clear()
        for link in links:
            with contextlib.suppress(OSError):
                link.wire.socket.shutdown(socket.SHUT_RDWR)
        self._changed()

    # Sending

    def event(self, envelope: Json, retry: Retry) -> Reply:
        """One attempt at an event, over one of the connections."""
        message = {
            "type": "events_api",
            "payload": envelope,
            "accepts_response_payload": False,
            "retry_attempt": retry.number,
            "retry_reason": "timeout" if retry.reason.endswith("timeout") else retry.reason,
        }
        return self._send(message)

    def interaction(self, payload: Json) -> Reply:
        """A gesture: tried once. Only some are answered with a payload."""
        answered = payload["type"] in ANSWERED
        return self._send({"type": "interactive", "payload": payload, "accepts_response_payload": answered})

    def _send(self, message: Json) -> Reply:
        envelope_id, future = str(uuid.uuid4()), Future[Any]()
        link = self._next_link()
        if link is None:
            return Reply(0, reason="connection_failed")
        link.waiting[envelope_id] = future
        try:
            link.wire.send(json.dumps({"envelope_id": envelope_id} | message))
            answer = future.result(self.ack_seconds)
        except TimeoutError:
            return Reply(0, reason="timeout")
        except (ConnectionClosed, CancelledError, OSError):
            return Reply(0, reason="connection_failed")
        finally:
            link.waiting.pop(envelope_id, None)
        return self._reply(message, answer)

    def _reply(self, message: Json, answer: Any) -> Reply:
        if answer is None:
            return Reply(200)
        if not message["accepts_response_payload"]:
            self._complain(message["type"], "[ERROR] acknowledged with a payload, which is not read here")
            return Reply(200)
        return Reply(200, json.dumps(answer))

    def _next_link(self) -> _Link | None:
        """The connections take turns; one that was told to go is used only while there is no other."""
        with self._lock:
            staying = [link for link in self._links if not link.leaving] or self._links
            self._turn += 1
            return staying[self._turn % len(staying)] if staying else None

    def _acknowledged(self, link: _Link, raw: str | bytes) -> None:
        try:
            message = json.loads(raw)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("envelope_id"), str):
            self._complain("socket", "[ERROR] an acknowledgement is a JSON object with envelope_id")
            return
        future = link.waiting.get(message["envelope_id"])
        if future and not future.done():
            future.set_result(message.get("payload"))


def _hello(count: int) -> str:
    return json.dumps(
        {
            "type": "hello",
            "num_connections": count,
            "debug_info": {"host": "applink-local", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": APP},
        }
    )


def _disconnect(reason: Reason) -> str:
    return json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-local"}})
