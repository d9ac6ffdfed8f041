"""Door to Slack over HTTP, inwards: every request is verified and screened, then recorded by intake.py. The 200 means: recorded.

Nothing here asks the model, the API or Slack's Web API while Slack waits for its answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask, Response, abort, request
from slack_sdk.signature import Clock, SignatureVerifier
from slackeventsapi import SlackEventAdapter
from sqlalchemy.exc import SQLAlchemyError

from base.version import VERSION
from slack_io.health import Readiness
from slack_io.intake import Intake, is_used, log_unrecorded
from slack_io.payloads import EVENT_TYPES
from store.holds import Overtaken

log = structlog.get_logger("bot")
MAX_BODY = 1_048_576  # bytes of one request; Slack's own are far smaller
_KEYS_KEPT = 300  # seconds for which others may keep the public keys; as long as Envoy keeps them


def add_slack_routes(app: Flask, intake: Intake, signing_secret: str, clock: Callable[[], float]) -> None:
    """What Slack calls. `clock` says how old a signature is."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(_Screen(signing_secret, clock).refusal)
    adapter = SlackEventAdapter(signing_secret, "/slack/events", app)

    def note_error(error: Exception) -> None:
        log.warning("slackeventsapi refused a request that had passed our check", error=str(error))

    for kind in EVENT_TYPES:
        adapter.on(kind, intake.record_event)
    adapter.on("error", note_error)

    @app.post("/slack/interactions")
    def interactions() -> Response:
        intake.record_interaction(json.loads(request.form["payload"]))
        return Response(status=200)

    @app.errorhandler(SQLAlchemyError)
    @app.errorhandler(Overtaken)
    def _no_database(error: Exception) -> Response:
        log_unrecorded(error)
        return Response("not recorded, send it again", status=503)


class _SlackClock(Clock):
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock()


class _Screen:
    """Verifies and screens every request below /slack/ before any handler sees it."""

    def __init__(self, signing_secret: str, clock: Callable[[], float]) -> None:
        self._verifier = SignatureVerifier(signing_secret, _SlackClock(clock))

    def refusal(self) -> Response | None:
        """None lets the request pass. 401 for what Slack did not sign, 400 for what is malformed, 200 for what is not for us."""
        if not request.path.startswith("/slack/") or request.method != "POST":
            return None
        body = request.get_data(cache=True, parse_form_data=False)
        self._verify(body)
        return _screen_event(body) if request.path == "/slack/events" else _screen_click(body)

    def _verify(self, body: bytes) -> None:
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not re.fullmatch(r"[0-9]{1,12}", stamp, re.ASCII) or not signature.isascii():
            abort(401)
        try:
            is_slack = self._verifier.is_valid(body, stamp, signature)
        except UnicodeDecodeError:
            abort(400)
        if not is_slack:
            abort(401)


def _screen_event(body: bytes) -> Response | None:
    """The adapter fails on bodies without an event, and parses what it gets; so only whole mentions and challenges reach it."""
    envelope = _json_object(body)
    if "challenge" in envelope:
        return None
    if is_used(envelope):
        return None
    return Response(status=200)


def _screen_click(body: bytes) -> Response | None:
    if request.mimetype != "application/x-www-form-urlencoded":
        abort(400)
    payload = request.form.get("payload")
    if payload is None:
        abort(400)
    _json_object(payload.encode())
    return None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        abort(400)
    if not isinstance(value, dict):
        abort(400)
    return value


def add_health_routes(app: Flask, readiness: Readiness) -> None:
    """What a load balancer asks: whether the process lives, whether what comes can be recorded, and which version it is."""

    @app.get("/version")
    def version() -> dict[str, str]:
        return {"version": VERSION}

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        told, is_ready = readiness.report()
        return told, 200 if is_ready else 503


def add_jwks_route(app: Flask, jwks: Callable[[], str]) -> None:
    """The public keys of what says who asks, for APIs and gateways: they look again after five minutes, or as often as they are set to."""

    @app.get("/.well-known/jwks.json")
    def published_keys() -> Response:
        answer = Response(jwks(), mimetype="application/json")
        answer.cache_control.public, answer.cache_control.max_age = True, _KEYS_KEPT
        return answer
