"""Slack calls the bot: signed HTTP requests, the time it waits for them, and the retries of events.

Rules: https://docs.slack.dev/apis/events-api and https://docs.slack.dev/authentication/verifying-requests-from-slack.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from typing import IO, Protocol

from emulator.world import Json, World

ACK_SECONDS = 3.0
RETRY_DELAYS = (0.0, 60.0, 300.0)  # after the first attempt, and after each retry


@dataclass(frozen=True)
class Reply:
    """What the bot answered. `status` is 0 without an answer, and `reason` then says why in Slack's words."""

    status: int
    text: str = ""
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the bot took it."""
        return 200 <= self.status < 300

    def json(self) -> Json:
        """The body as an object; {} when it is none."""
        try:
            body = json.loads(self.text or "{}")
        except json.JSONDecodeError:
            return {}
        return body if isinstance(body, dict) else {}


@dataclass(frozen=True)
class Attempt:
    """One attempt at one event; `number` 0 is the first, 1 to 3 are retries."""

    event_id: str
    type: str
    number: int
    reply: Reply
    at: float


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other here."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


@dataclass(frozen=True)
class Retry:
    """Which attempt this is: 0 the first, and why the one before it failed."""

    number: int = 0
    reason: str = ""


class Carrier(Protocol):
    """A way to the bot: HTTP here, WebSockets in sockets.py."""

    def event(self, envelope: Json, retry: Retry) -> Reply:
        """One attempt at an event."""

    def interaction(self, payload: Json) -> Reply:
        """A click, a submitted view, a shortcut: tried once."""


class HttpCarrier:
    """Signed POSTs to the bot at `base_url`."""

    def __init__(self, world: World, signing_secret: str, ack_seconds: float) -> None:
        self.world = world
        self.signing_secret = signing_secret
        self.ack_seconds = ack_seconds
        self.base_url = ""
        # No proxies: the bot is on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def event(self, envelope: Json, retry: Retry) -> Reply:
        """Delivers an event, once."""
        headers = {"X-Slack-Retry-Num": str(retry.number), "X-Slack-Retry-Reason": retry.reason or "http_error"}
        return self.post_event(envelope, headers if retry.number else {})

    def post_event(self, envelope: Json, headers: Mapping[str, str]) -> Reply:
        """One attempt, signed; `headers` are added and may replace the signature."""
        return self._post("/slack/events", json.dumps(envelope), "application/json", headers)

    def interaction(self, payload: Json) -> Reply:
        """Delivers what a person pressed, submitted or chose."""
        body = urllib.parse.urlencode({"payload": json.dumps(payload)})
        return self._post("/slack/interactions", body, "application/x-www-form-urlencoded", {})

    def _post(self, path: str, body: str, content_type: str, headers: Mapping[str, str]) -> Reply:
        base_url = self.base_url  # which may change meanwhile
        if not base_url:
            return Reply(0, reason="connection_failed")
        signed = {"Content-Type": content_type, "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        signed |= signature(self.signing_secret, body, int(self.world.clock()))
        request = urllib.request.Request(
            base_url.rstrip("/") + path, data=body.encode(), headers={**signed, **headers}, method="POST"
        )
        try:
            return self._answered(request)
        except TimeoutError:
            return Reply(0, reason="http_timeout")
        except (OSError, HTTPException) as wrong:
            timed_out = isinstance(getattr(wrong, "reason", None), TimeoutError)
            return Reply(0, reason="http_timeout" if timed_out else "connection_failed")

    def _answered(self, request: urllib.request.Request) -> Reply:
        try:
            with self._opener.open(request, timeout=self.ack_seconds) as answer:
                return Reply(answer.status, answer.read().decode(errors="replace"), "", dict(answer.headers))
        except urllib.error.HTTPError as wrong:
            return Reply(wrong.code, wrong.read().decode(errors="replace"), "http_error", dict(wrong.headers))


class Courier:
    """Brings events and gestures to the bot over its carrier, events again if need be; `cut_off`, nothing arrives."""

    def __init__(self, world: World, carrier: Carrier, retry_delays: Sequence[float]) -> None:
        self.world = world
        self.carrier = carrier
        self.retry_delays = tuple(retry_delays)
        self.cut_off = False
        self.attempts: list[Attempt] = []
        self.last_envelope: Json | None = None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Delivers nothing more."""
        self._stopping.set()

    def send_event(self, envelope: Json) -> None:
        """Deliver in the background, with retries."""
        self.last_envelope = envelope
        threading.Thread(target=self._with_retries, args=(envelope,), name=envelope["event_id"], daemon=True).start()

    def _with_retries(self, envelope: Json) -> None:
        reason = ""
        for number, delay in enumerate((0.0, *self.retry_delays)):
            if self._stopping.wait(delay) if delay else self._stopping.is_set():
                return
            reply = Reply(0, reason="connection_failed")
            if not self.cut_off:
                reply = self.carrier.event(envelope, Retry(number, reason))
            with self.world.lock:
                kind = envelope.get("event", {}).get("type", envelope["type"])
                self.attempts.append(Attempt(envelope["event_id"], kind, number, reply, self.world.clock()))
                self.world.changed()
            if reply.ok or _declines_retries(reply):
                return
            reason = reply.reason

    def interaction(self, payload: Json) -> Reply:
        """Delivers what a person pressed, submitted or chose."""
        return Reply(0, reason="connection_failed") if self.cut_off else self.carrier.interaction(payload)


def signature(secret: str, body: str, timestamp: int) -> dict[str, str]:
    """The two headers by which the bot knows that Slack is calling."""
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}


def _declines_retries(reply: Reply) -> bool:
    return any(name.lower() == "x-slack-no-retry" and value == "1" for name, value in reply.headers.items())
