"""The way to the internal API: one exchange, bounded in time and size whatever the server does. sending.py and single_reads.py use it.

An `ApiClient` adds the API's credentials and headers and a line in the log, keeps to the API's limits, and sends the methods that it was
made for, no other. No redirect is followed, nothing is retried, no cookie kept. Which operation may be called is no matter of this
room.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import structlog

from base import metrics
from base.json_text import loads
from base.masking import beginning_at_end, mask
from base.proxies import STRAIGHT, WayOut
from base.tracing import Attributes, Note, span, traceparent
from catalog.bodies import encoded
from catalog.catalog import Catalog, Operation
from catalog.credentials import headers_of, secrets_of, spellings, with_credentials
from catalog.secret_values import hide
from gate.answers import Answer
from gate.api_pace import ApiPaces
from gate.connection_pools import Broken, ConnectionPools, Unanswered, Unsent
from identity.callers import NOTHING_CARRIED, Caller, Credential, NoCredential, Outgoing
from identity.identities import Identities

__all__ = ["ApiClient", "Broken", "Unanswered", "Unsent"]

log = structlog.get_logger("api_client")

_NO_TIME = "The credential for this API did not come in time. Try again in a minute."


class ApiClient:
    """How the gate reaches the API. `methods` are those that it sends; `timeout` is seconds for a call, `max_response` bytes.

    `keepalive` is how many idle connections it keeps. `secrets` are the texts that nobody may see.
    """

    def __init__(
        self,
        catalog: Catalog,
        methods: Collection[str],
        *,
        identities: Identities,
        paces: ApiPaces,
        keepalive: int,
        tls: ssl.SSLContext,
        timeout: float,
        max_response: int,
        log_bodies: bool = False,
        way: WayOut = STRAIGHT,
    ) -> None:
        self._catalog = catalog
        self._methods = frozenset(methods)
        self._pools = ConnectionPools(keepalive, tls, way)
        self._identities = identities
        self._paces = paces
        self._log_bodies = log_bodies
        self.timeout = timeout
        self.max_response = max_response
        self.secrets = secrets_of(catalog)

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog. The secrets of the one before stay secret: calls with them may be under way."""
        known = {*self.secrets, *secrets_of(catalog)}
        self.secrets = tuple(sorted(known, key=len, reverse=True))
        self._catalog = catalog

    def close(self) -> None:
        """Closes the connections."""
        self._pools.close()

    def mask(self, text: str) -> str:
        """`text` without the secrets."""
        return str(mask(text, self.secrets))

    def send(
        self,
        operation: Operation,
        method: str,
        url: str,
        body: str | None = None,
        *,
        caller: Caller,
        body_type: str = "json",
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        etag: str = "",
        until: float | None = None,
    ) -> Answer:
        """One request for `caller`, no redirect followed, no retry but once after a 401 where a credential could be renewed, all by `until`
        (monotonic seconds). Raises `Unsent`, `Unanswered` or `NotConnected`.

        `body` is JSON text, sent as `body_type` says; `headers` are the call's own.
        """
        if method not in self._methods:
            raise ValueError(f"this client sends no {method}")
        until = time.monotonic() + self.timeout if until is None else until
        kind, content = encoded(body_type, body, operation.body) if body is not None else (None, None)
        whole = headers_of(operation.api, headers or {}, content_type=kind, key=key, etag=etag)
        request = Outgoing(caller, method, url, content.encode() if content is not None else None)
        logged_body = self._shown(operation, body) if self._tells(body) else None
        answer, credential = self._sent(operation, request, whole, until, logged_body)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._is_renewed(operation, request, credential, until):
            with suppress(Unsent):  # then the API's own word stands
                answer, _ = self._sent(operation, request, whole, until, logged_body, refused=credential)
        return answer

    def _credential(self, operation: Operation, request: Outgoing, until: float) -> Credential:
        try:
            return self._identities.credential(operation.api, request, until)
        except NoCredential as error:
            raise Unsent(str(error)) from error

    def _is_renewed(self, operation: Operation, request: Outgoing, refused: Credential, until: float) -> bool:
        try:
            return self._identities.renewed(operation.api, request, refused, until)
        except NoCredential:  # the API's own word stands
            return False

    def _sent(
        self,
        operation: Operation,
        request: Outgoing,
        headers: Mapping[str, str],
        until: float,
        logged_body: Any,
        *,
        refused: Credential = NOTHING_CARRIED,
    ) -> tuple[Answer, Credential]:
        """One exchange with its line in the log, and what it carried; `logged_body`: the body for it, None where that is not to be logged;
        `refused`: what the exchange before it carried, which the API knows, too."""
        with _logged(operation, request.method, logged_body) as attempt:
            at_last = (attempt.began + until) / 2  # half is for the answer: a write without one is of unknown outcome
            with self._paces.of(operation.api).through(at_last):
                credential = self._credential(operation, request, at_last)  # who waits in line outlasts a statement
                if time.monotonic() >= at_last:  # a sign-in server may take longer than it is given
                    raise Unsent(_NO_TIME)
                attempt.leaves()
                carried, left = {**headers, **credential.headers}, until - attempt.began
                answer = self._exchanged(operation, request, carried, logged_body, left)
            attempt.status = answer.status
            whose, secrets = _identity(credential), _forms(*credential.secrets, *refused.secrets)
            answer = replace(answer, seconds=attempt.seconds, hiding=operation.hiding, identity=whose, secrets=secrets)
            return self._whole(answer), credential

    def _exchanged(
        self, operation: Operation, request: Outgoing, headers: Mapping[str, str], logged_body: Any, left: float
    ) -> Answer:
        """The request on its way and its answer, in a span; `left` is seconds."""
        url = with_credentials(operation.api, request.url)
        with _span(operation, request.method, url) as note:
            answer = self._pools.exchange(
                operation.api.tls,
                request.method,
                url,
                _traced(headers),
                request.body,
                timeout=max(0.001, left),
                max_bytes=self.max_response,
            )
            note(_answer_attributes(answer))
            note({"http.request.body": json.dumps(logged_body)} if logged_body is not None else {})
        return answer

    def _whole(self, answer: Answer) -> Answer:
        """An answer with no part of a secret where it was cut: masks find whole ones."""
        hidden = (*self.secrets, *answer.secrets)
        answer = replace(answer, content_type=str(mask(answer.content_type, hidden)))
        answer = replace(answer, headers=mask(dict(answer.headers), answer.secrets)) if answer.secrets else answer
        if not answer.broke_off:
            return answer
        size = len(answer.content) - beginning_at_end(answer.content, [secret.encode() for secret in hidden])
        return replace(answer, content=answer.content[:size])

    def _tells(self, body: str | None) -> TypeGuard[str]:
        """Whether log and spans may have this body."""
        return self._log_bodies and body is not None

    def _shown(self, operation: Operation, body: str) -> Any:
        """A body as log and spans may have it."""
        return hide(loads(body), operation.api.secrets)


class _Attempt:
    """One request as the log tells of it: how far it came, and how many seconds that took."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.status: int | str = "not sent"

    def leaves(self) -> None:
        """It leaves now, so that it may have been done from here on."""
        self.status, self.began = "no answer", time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it left or, until then, since it waits."""
        return round(time.monotonic() - self.began, 4)


@contextmanager
def _logged(operation: Operation, method: str, body: Any) -> Iterator[_Attempt]:
    """A request with its line in the log, however it ends; `body` None: that is not to be logged."""
    attempt = _Attempt()
    try:
        yield attempt
    finally:
        status, seconds = attempt.status, attempt.seconds
        bodies = {"body": body} if body is not None else {}
        _count(operation.api.name, method, status, seconds)
        log.info("api call", operation=operation.name, api=operation.api.name, status=status, seconds=seconds, **bodies)


def _identity(credential: Credential) -> str:
    """Whose identity a request had, for the journal."""
    return f"{credential.subject} at {credential.issuer}" if credential.subject else ""


def _forms(*secrets: str) -> tuple[str, ...]:
    """What a request carried, in every spelling, longest first."""
    return tuple(sorted({form for one in secrets for form in spellings(one)}, key=len, reverse=True))


def _span(operation: Operation, method: str, url: str) -> AbstractContextManager[Note]:
    """A span for one request. It names the template and not the URL, which holds people's ids and words."""
    place, path = urlsplit(url), operation.url.partition("?")[0]
    asks: dict[str, str | int] = {
        "http.request.method": method,
        "url.template": path,
        "server.address": place.hostname or "",
        "server.port": place.port or {"http": 80}.get(place.scheme, 443),
    }
    return span(f"{method} {path}", "client", asks)


def _traced(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with the trace that they belong to, unless the catalog says another one."""
    current = traceparent()
    has_own = any(name.lower() == "traceparent" for name in headers)
    return {**headers, **({"traceparent": current} if current and not has_own else {})}


def _answer_attributes(answer: Answer) -> Attributes:
    """What a span tells of an answer."""
    failed = {"error.type": str(answer.status)} if answer.status >= HTTPStatus.BAD_REQUEST else {}
    return {"http.response.status_code": answer.status, **failed}


def _count(api: str, method: str, status: int | str, seconds: float) -> None:
    metrics.API_CALLS.labels(api, method, metrics.api_outcome(status)).inc()
    if status != "not sent":
        metrics.API_CALL_SECONDS.labels(api).observe(seconds)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        metrics.RATE_LIMITED.labels("api").inc()
