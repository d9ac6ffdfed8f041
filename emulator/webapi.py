"""The Web API around the methods: token, faults, rates, argument checks, and the record of every call. No HTTP here."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator import limits, messages, methods, rules
from emulator.app import AppToken
from emulator.errors import ApiError, LimitError, MissingScope
from emulator.faults import Fault, Faults, Rates
from emulator.world import URL_SECONDS, URL_USES, Json, World


@dataclass(frozen=True)
class Call:
    """One call. `answer` is what the caller received: None when that was no JSON, or nothing at all (`status` 0)."""

    method: str
    args: Json
    at: float
    answer: Json | None
    status: int
    fault: str = ""


@dataclass(frozen=True)
class Answer:
    """What goes back over HTTP: `body` None drops the connection, after `hold` seconds."""

    status: int
    body: Json | str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: float = 0.0


class WebApi:
    """Answers calls.

    `violations` has, in words, every call that broke a documented limit or had wrong arguments; `forbidden` maps a
    method to the error that it always gives. `app_token`: None where the app has none.
    """

    def __init__(self, world: World, token: str, *, enforce_rates: bool, app_token: AppToken | None = None) -> None:
        self.world = world
        self.token = token
        self.app_token = app_token or AppToken("", frozenset())
        self.enforce_rates = enforce_rates
        self.faults = Faults()
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.forbidden: dict[str, str] = {}
        self._rates = Rates(world.clock)

    def call(self, method: str, token: str | None, raw: Json) -> Answer:
        """One call, from the token to the answer."""
        with self.world.lock:
            fault = self.faults.take(method)
            if fault is None:
                answer = self._answer(method, token, raw)
            elif fault.kind == "timeout":
                self._answer(method, token, raw)
                answer = Answer(0, None, hold=fault.seconds)
            else:
                answer = _faulty(fault)
            self._record(method, raw, answer, fault.kind if fault else "")
        return answer

    def _record(self, method: str, raw: Json, answer: Answer, fault: str) -> None:
        received = copy.deepcopy(answer.body) if isinstance(answer.body, dict) else None
        self.calls.append(Call(method, copy.deepcopy(raw), self.world.clock(), received, answer.status, fault))
        self.world.changed()

    def _answer(self, method: str, token: str | None, raw: Json) -> Answer:
        try:
            body = {"ok": True, **self._perform(method, token, raw)}
        except LimitError as wrong:
            self.violation(method, wrong.code, *wrong.messages)
            body = _refusal(wrong)
        except ApiError as wrong:
            body = _refusal(wrong)
        except _TooFast as wrong:
            return _ratelimited(wrong.seconds)
        return Answer(200, json.loads(json.dumps(body)), self._scopes(method))

    def _scopes(self, method: str) -> dict[str, str]:
        """The headers by which Slack tells what a token may do and what the method asks for."""
        if method not in limits.METHODS:
            return {}
        accepted = {scope for needed in limits.scopes_needed(method, {}, "") for scope in needed}
        granted = self._granted(method)
        return {"x-oauth-scopes": ",".join(sorted(granted)), "x-accepted-oauth-scopes": ",".join(sorted(accepted))}

    def _perform(self, method: str, token: str | None, raw: Json) -> Json:
        if method not in methods.METHODS:
            raise LimitError("unknown_method")
        if method != "api.test":
            self._authenticate(method, token)
        channel = str(raw.get("channel", ""))
        if self.enforce_rates and (seconds := self._rates.seconds_to_wait(method, channel)):
            raise _TooFast(seconds)
        if method in self.forbidden:
            raise ApiError(self.forbidden[method])
        self._check_scopes(method, raw)
        checked = limits.check(method, raw)
        for warning in checked.warnings:
            self.violation(method, warning)
        return methods.METHODS[method](self.world, checked.args)

    def _authenticate(self, method: str, token: str | None) -> None:
        if not token:
            raise ApiError("not_authed")
        for_app = limits.METHODS[method].app_token
        if token.startswith("xapp-") != for_app:
            raise ApiError("not_allowed_token_type")
        if token != (self.app_token.text if for_app else self.token):
            raise ApiError("invalid_auth")

    def _check_scopes(self, method: str, raw: Json) -> None:
        place = self.world.channels.get(str(raw.get("channel") or raw.get("channel_id") or ""))
        for needed in limits.scopes_needed(method, raw, place.kind if place else ""):
            if not needed & self._granted(method):
                raise MissingScope(",".join(sorted(needed)), ",".join(sorted(self._granted(method))))

    def _granted(self, method: str) -> frozenset[str]:
        return self.app_token.scopes if limits.METHODS[method].app_token else self.world.app.scopes

    def respond(self, ident: str, body: Any) -> Answer:
        """A use of a response_url."""
        with self.world.lock:
            try:
                self._respond(ident, body)
            except LimitError as wrong:
                self.violation("response_url", wrong.code, *wrong.messages)
                return Answer(404 if wrong.code.endswith("_url") else 400, _refusal(wrong))
            return Answer(200, {"ok": True})

    def _respond(self, ident: str, body: Any) -> None:
        place = self.world.response_urls.get(ident)
        if place is None:
            raise LimitError("invalid_url")
        if place.uses >= URL_USES:
            raise LimitError("used_url", f"[ERROR] a response_url works {URL_USES} times")
        if self.world.clock() - place.born > URL_SECONDS:
            raise LimitError("expired_url", f"[ERROR] a response_url works for {URL_SECONDS} seconds")
        messages.respond(self.world, place, rules.check_response(body))
        place.uses += 1

    def violation(self, method: str, *words: str) -> None:
        """Notes what Slack would have refused or warned of."""
        self.violations.append(f"{method}: {' '.join(words)}")


class _TooFast(Exception):
    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _refusal(wrong: ApiError) -> Json:
    body: Json = {"ok": False, "error": wrong.code}
    if isinstance(wrong, MissingScope):
        body |= {"needed": wrong.needed, "provided": wrong.provided}
    return body | ({"response_metadata": {"messages": list(wrong.messages)}} if wrong.messages else {})


def _ratelimited(seconds: int) -> Answer:
    return Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(seconds)})


def _faulty(fault: Fault) -> Answer:
    """The answer of a fault other than `timeout`."""
    match fault.kind:
        case "ratelimited":
            return _ratelimited(fault.retry_after)
        case "http_500":
            return Answer(500, "<html><body>Internal Server Error</body></html>")
        case "empty_503":
            return Answer(503, "")
        case "error":
            return Answer(200, {"ok": False, "error": fault.code})
        case _:
            return Answer(0, None)
