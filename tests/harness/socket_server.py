"""Slack's end of the WebSocket, on loopback, for what a well-behaved Slack does not do: break off, say nothing, send rubbish, refuse.

`apps.connections.open` is answered with an address; what goes over each connection is up to the test.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.harness.loopback import Loopback, Reply, Request, as_json

T = TypeVar("T")
Json = dict[str, Any]


class Line:
    """One connection of the bot, as Slack has it. `heard` are the bot's messages on it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.heard: list[Json] = []
        self.is_over = False
        self._connection = connection

    def send(self, message: Json | str) -> None:
        self._connection.send(message if isinstance(message, str) else json.dumps(message))

    def end(self) -> None:
        """Closes it as one should."""
        self._connection.close()

    def hang_up(self) -> None:
        """Ends it in the middle, with nothing but the end of the stream."""
        self._connection.socket.shutdown(socket.SHUT_RDWR)

    def tear(self) -> None:
        """Ends it as a network does that breaks: a reset."""
        self._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.socket.close()


class SocketServer:
    """For use in a `with`. `opening` answers `apps.connections.open`; by default with an address."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.refusals: list[
            Reply
        ] = []  # answers to the next calls of apps.connections.open, before addresses are given out
        self.api = Loopback(self._answer)
        self._changed = threading.Condition()
        self._server: Server = serve(self._talk, "127.0.0.1", 0, close_timeout=1)

    def __enter__(self) -> SocketServer:
        self.api.__enter__()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.api.__exit__()

    @property
    def api_url(self) -> str:
        return f"{self.api.url}/api/"

    @property
    def living(self) -> list[Line]:
        return [line for line in self.lines if not line.is_over]

    def line(self, number: int = 1) -> Line:
        """The connection of that number, once it is there."""
        self.wait(lambda: len(self.lines) >= number)
        return self.lines[number - 1]

    def wait(self, predicate: Callable[[], T], seconds: float = 60) -> T:
        """Blocks until `predicate` holds, looking again at each message and connection."""
        with self._changed:
            found = self._changed.wait_for(predicate, seconds)
        assert found, f"not within {seconds} s; heard: {[line.heard for line in self.lines]}"
        return found

    def acks(self) -> list[str]:
        """The envelope ids that were acknowledged, over whatever connection."""
        return [message["envelope_id"] for line in self.lines for message in line.heard]

    def _answer(self, request: Request) -> Reply:
        assert request.path.startswith("/api/apps.connections.open")
        if self.refusals:
            return self.refusals.pop(0)
        port = self._server.socket.getsockname()[1]
        return as_json({"ok": True, "url": f"ws://127.0.0.1:{port}/link/?ticket=secret-ticket"})

    def _talk(self, connection: ServerConnection) -> None:
        line = Line(connection)
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()
        with contextlib.suppress(ConnectionClosed, OSError):
            line.send({"type": "hello", "num_connections": len(self.living), "connection_info": {"app_id": "A1"}})
            for text in connection:
                with self._changed:
                    line.heard.append(json.loads(text))
                    self._changed.notify_all()
        with self._changed:
            line.is_over = True
            self._changed.notify_all()


def envelope(ident: str, payload: object = None, kind: str = "events_api", **more: Any) -> Json:
    """One envelope as Slack sends it."""
    return {"type": kind, "envelope_id": ident, "payload": payload, "accepts_response_payload": False, **more}
