"""Door to Slack's WebSocket: what bot.py's routes hear, for a bot that no address leads to. The connection is opened from here, outwards.

An envelope is acknowledged once it is recorded; what is not acknowledged, Slack sends again, over whatever connection there is then.
Slack ends each connection after some hours, and says so: then the next one is opened, and the old one is heard until it ends.
https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from base.deadline import tls_context
from base.proxies import STRAIGHT, WayOut
from base.slack_errors import SlackBusy, SlackSaysNo

log = structlog.get_logger("socket_mode")
_LASTING = 30.0  # seconds after which a connection counts as a good one: its successor is opened without a pause
_LONGEST_PAUSE = 60.0
_FAREWELL = 30.0  # seconds for which a connection is heard on after Slack has announced its end; Slack takes about ten
_ALIVE = 10.0  # seconds between pings, and for each answer: a line that died in silence is noticed within twenty
_CLOSING = 1.0  # seconds for Slack's part in closing a connection
_MAX_SIZE = (
    16_000_000  # bytes of one message, far above Slack's: one too large would end every connection that it is sent over
)
_HINTS = {
    "link_disabled": "Socket Mode is off: switch it on in the app's settings, or unset SLACK_APP_TOKEN",
    "too_many_websockets": "more than ten connections: other processes use the same SLACK_APP_TOKEN",
}


class SocketMode:
    """Holds a connection to Slack until `close`.

    `open_url` asks Slack for an address, good for one connection. `hear` is given an envelope's type and payload and says whether it may be
    acknowledged. `spawn` runs a job in a thread of its own. `first_pause`: seconds before the first retry; each further one doubles it.
    The way out is the one that is given: the library's own would be the environment's, without what a .env file says.
    """

    def __init__(
        self,
        open_url: Callable[[], str],
        hear: Callable[[str, dict[str, Any]], bool],
        spawn: Callable[[Callable[[], None]], None],
        *,
        first_pause: float = 1.0,
        way: WayOut = STRAIGHT,
    ) -> None:
        self._way = way
        self._tls = tls_context(way.certificates)
        self._open_url = open_url
        self._hear = hear
        self._spawn = spawn
        self._first_pause = first_pause
        self._failures = 0  # connections in a row that could not be opened or did not last
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._open: set[ClientConnection] = set()

    @property
    def is_connected(self) -> bool:
        """Whether Slack can reach the bot at this moment."""
        with self._changed:
            return bool(self._open)

    def start(self) -> None:
        """Connects, without waiting for it."""
        self._spawn(self._live)

    def close(self) -> None:
        """Ends all connections. What was not acknowledged by now stays with Slack. Returns when nothing is heard any more, soon anyhow."""
        self._stopping.set()
        with self._changed:
            leaving = list(self._open)
        for connection in leaving:
            connection.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._open, _CLOSING)

    # --- connections --------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        """The life of one connection. Another one follows it: when Slack announces the end, or else when it has come."""
        connection = self._connect()
        if connection is None:
            return
        self._count(connection, is_open=True)
        try:
            with connection:
                is_followed = self._hear_all(connection)
        finally:
            self._count(connection, is_open=False)
        log.info("connection ended", code=connection.close_code, reason=connection.close_reason)
        if not is_followed:
            self._spawn(self._live)

    def _count(self, connection: ClientConnection, *, is_open: bool) -> None:
        with self._changed:
            (self._open.add if is_open else self._open.discard)(connection)
            self._changed.notify_all()

    def _connect(self) -> ClientConnection | None:
        """A new connection, after as many tries and growing pauses as it takes. None where the bot stops."""
        pause = self._pause()
        while not self._stopping.wait(pause):
            try:
                url = self._open_url()
                proxy = self._way.proxy_url(url) or None
                return connect(
                    url,
                    ssl=self._tls if url.startswith("wss:") else None,
                    proxy=proxy,
                    proxy_ssl=self._tls if proxy is not None and proxy.startswith("https:") else None,
                    ping_interval=_ALIVE,
                    ping_timeout=_ALIVE,
                    close_timeout=_CLOSING,
                    max_size=_MAX_SIZE,
                    legacy=True,
                )
            except Exception as error:  # the boundary of this thread: whatever it was, it is tried again
                self._failures += 1
                pause = max(self._pause(), error.after if isinstance(error, SlackBusy) else 0.0)
                code = error.code if isinstance(error, SlackSaysNo) else None
                log.warning("no connection", reason=code or type(error).__name__, tries=self._failures, again_in=pause)
        return None

    def _pause(self) -> float:
        return min(self._first_pause * 2.0 ** min(self._failures - 1, 10), _LONGEST_PAUSE) if self._failures else 0.0

    # --- what comes over them -----------------------------------------------------------------------------------------

    def _hear_all(self, connection: ClientConnection) -> bool:
        """Hears a connection until it ends or the bot stops. True where nothing more has to follow it."""
        born = time.monotonic()
        until: float | None = None
        try:
            while not self._stopping.is_set() and (until is None or time.monotonic() < until):
                message = _object(connection.recv(None if until is None else max(0.0, until - time.monotonic())))
                if self._take(connection, message) and until is None:
                    until = time.monotonic() + _FAREWELL
                    self._judge(born)
                    self._spawn(self._live)
        except (ConnectionClosed, TimeoutError):
            if until is None:
                self._judge(born)
        return until is not None or self._stopping.is_set()

    def _judge(self, born: float) -> None:
        """A connection that was short-lived is a failure: else two that end each other would go round and round without a pause."""
        self._failures = 0 if time.monotonic() - born >= _LASTING else self._failures + 1

    def _take(self, connection: ClientConnection, message: dict[str, Any]) -> bool:
        """Sees to one message. True where it announces the connection's end."""
        match message.get("type"):
            case "hello":
                log.info("connected", connections=message.get("num_connections"))
            case "disconnect":
                reason = message.get("reason")
                hint = _HINTS.get(reason) if isinstance(reason, str) else None
                (log.info if hint is None else log.error)("slack ends the connection", reason=reason, hint=hint)
                return True
            case kind:
                self._answer(connection, kind, message)
        return False

    def _answer(self, connection: ClientConnection, kind: object, envelope: dict[str, Any]) -> None:
        """Has an envelope heard, and acknowledges it if it may be."""
        ident, payload = envelope.get("envelope_id"), envelope.get("payload")
        if not isinstance(ident, str) or not isinstance(kind, str):
            log.warning("message not understood", type=kind)
            return
        try:
            if isinstance(payload, dict) and not self._hear(kind, payload):
                return
        except Exception:  # the boundary of this thread: Slack sends it again
            log.exception("fault", type=kind)
            return
        empty: dict[str, Any] = {"payload": {}} if envelope.get("accepts_response_payload") is True else {}
        connection.send(json.dumps({"envelope_id": ident, **empty}))


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
