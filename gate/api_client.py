"""The way to the internal API: one exchange, bounded in time and size whatever the server does. sending.py and single_reads.py use it.

An `ApiClient` adds the API's credentials and headers and a line in the log, keeps to the API's limits, and sends the methods that it was
made for, no other. No redirect is followed, nothing is retried, no cookie kept. Which operation may be called is no matter of this
room.
"""

from __future__ import annotations

import json
import math
import ssl
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Protocol, TypeGuard
from urllib.parse import urlsplit

import structlog

from base import metrics
from base.json_text import loads
from base.masking import beginning_at_end, mask
from base.proxies import STRAIGHT, WayOut
from base.tracing import Attributes, Note, span, traceparent
from catalog.bodies import encoded
from catalog.catalog import Api, Catalog, Limits, Operation
from catalog.credentials import headers_of, secrets_of, spellings, with_credentials
from catalog.secret_values import hide
from gate.answers import Answer
from gate.connection_pools import Broken, Connections, Unanswered, Unsent
from identity.callers import NOTHING_CARRIED, Caller, Credential, NoCredential, Outgoing
from identity.identities import Identities
from store.store import Store

__all__ = ["ApiClient", "Broken", "Pace", "Paces", "Unanswered", "Unsent"]

log = structlog.get_logger("api_client")


_LATE = "So many requests to this API are due that this one's turn did not come in time. Try again later."
_NO_TIME = "The credential for this API did not come in time. Try again in a minute."
_LOOK = 0.1  # seconds between two looks for a place that another process has


class Pace(Protocol):
    """What one API can take: requests at once, requests started per second. Who waits holds its own thread and nothing else."""

    @abstractmethod
    def through(self, until: float) -> AbstractContextManager[None]:
        """Waits for its turn, `until` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""


class SharedPace:
    """A pace that all processes on one database keep together. A place whose holder died is free again after `timeout` seconds."""

    def __init__(self, store: Store, api: str, limits: Limits, timeout: float) -> None:
        self._store = store
        self._name = f"api:{api}"
        self._slots = [f"{self._name}#{number}" for number in range(limits.at_once or 0)]
        self._apart = 1 / limits.per_second if limits.per_second is not None else 0.0
        self._timeout = timeout

    @contextmanager
    def through(self, until: float) -> Iterator[None]:
        """Waits for its turn, `until` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""
        slot = self._wait(until, lambda: self._store.take_slot(self._slots, self._timeout)) if self._slots else None
        try:
            if self._apart:
                self._wait(until, self._start)
            yield
        finally:
            if slot is not None:
                self._store.free_slot(slot)

    def _start(self) -> str | None:
        return "" if self._store.pace(self._name, self._apart, 0.0) == 0 else None

    @staticmethod
    def _wait(until: float, take: Callable[[], str | None]) -> str:
        while (taken := take()) is None:
            left = until - time.monotonic()
            if left <= 0:
                raise Unsent(_LATE)
            time.sleep(min(_LOOK, left))
        return taken


class OwnPace:
    """A pace counted over all that this process sends. Who comes first goes first."""

    def __init__(self, limits: Limits) -> None:
        self._at_once = limits.at_once or math.inf
        self._apart = 1 / limits.per_second if limits.per_second is not None else 0.0  # seconds between two starts
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._under_way = 0
        self._free_at = 0.0  # monotonic seconds

    @contextmanager
    def through(self, until: float) -> Iterator[None]:
        """Waits for its turn, `until` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""
        self._enter(until)
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _enter(self, until: float) -> None:
        me = object()
        with self._changed:
            self._line.append(me)
            try:
                while (wait := self._wait_of(me)) > 0:
                    left = until - time.monotonic()
                    if left <= 0:
                        raise Unsent(_LATE)
                    self._changed.wait(min(wait, left))
                self._under_way += 1
                self._free_at = time.monotonic() + self._apart
            finally:
                self._line.remove(me)
                self._changed.notify_all()  # for the next in line

    def _wait_of(self, me: object) -> float:
        """Seconds until it may be this one's turn; infinite while that hangs on others, who will tell."""
        if self._line[0] is not me or self._under_way >= self._at_once:
            return math.inf
        return self._free_at - time.monotonic()


class Paces:
    """The paces of all APIs by name, for all clients of one gate, with others on the same database together.

    Limits that the catalog has come to change hold for who comes next.
    """

    def __init__(self, store: Store, timeout: float) -> None:
        self._store = store
        self._timeout = timeout
        self._lock = threading.Lock()
        self._of: dict[str, tuple[Limits, Pace]] = {}

    def of(self, api: Api) -> Pace:
        """The API's pace."""
        with self._lock:
            limits, pace = self._of.get(api.name, (None, None))
            if pace is None or limits != api.limits:
                is_shared = self._store.is_shared and api.limits != Limits()
                pace = (
                    SharedPace(self._store, api.name, api.limits, self._timeout) if is_shared else OwnPace(api.limits)
                )
                self._of[api.name] = (api.limits, pace)
            return pace


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
        paces: Paces,
        keepalive: int,
        tls: ssl.SSLContext,
        timeout: float,
        max_response: int,
        log_bodies: bool = False,
        way: WayOut = STRAIGHT,
    ) -> None:
        self._catalog = catalog
        self._methods = frozenset(methods)
        self._lines = Connections(keepalive, tls, way)
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
        self._lines.close()

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
        began = time.monotonic()
        at_last = (began + until) / 2  # half of the time is for the answer: a write without one is of unknown outcome
        status: int | str = "not sent"
        try:
            with self._paces.of(operation.api).through(at_last):
                credential = self._credential(
                    operation, request, at_last
                )  # here: who waits in line outlasts a statement
                if time.monotonic() >= at_last:  # a sign-in server may take longer than it is given
                    raise Unsent(_NO_TIME)
                status, began = "no answer", time.monotonic()
                url = with_credentials(operation.api, request.url)
                with _span(operation, request.method, url) as note:
                    answer = self._lines.exchange(
                        operation.api.tls,
                        request.method,
                        url,
                        _traced({**headers, **credential.headers}),
                        request.body,
                        timeout=max(0.001, until - began),
                        max_bytes=self.max_response,
                    )
                    note(_answer_attributes(answer))
                    note({"http.request.body": json.dumps(logged_body)} if logged_body is not None else {})
            status = answer.status
            seconds = round(time.monotonic() - began, 4)
            whose, secrets = _identity(credential), _forms(*credential.secrets, *refused.secrets)
            answer = replace(answer, seconds=seconds, hiding=operation.hiding, identity=whose, secrets=secrets)
            return self._whole(answer), credential
        finally:
            bodies = {"body": logged_body} if logged_body is not None else {}
            seconds = round(time.monotonic() - began, 4)
            _count(operation.api.name, request.method, status, seconds)
            log.info(
                "api call", operation=operation.name, api=operation.api.name, status=status, seconds=seconds, **bodies
            )

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
