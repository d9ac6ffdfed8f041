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
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol, TypeGuard
from urllib.parse import urlsplit

import httpcore2
import httpx2
import structlog

from base import metrics
from base.deadline import Deadline, Transport, proxy_said
from base.json_text import loads
from base.masking import beginning_at_end, mask
from base.proxies import STRAIGHT, WayOut
from base.tracing import Attributes, Note, span, traceparent
from base.unpack import BadPacking, TooLarge
from catalog.bodies import encoded
from catalog.catalog import Api, Catalog, Limits, Operation
from catalog.credentials import headers_of, secrets_of, spellings, with_credentials
from catalog.secret_values import hide
from gate.answers import Answer
from identity.callers import Caller, Credential, NoCredential, Outgoing
from identity.identities import Identities
from store.store import Store

log = structlog.get_logger("api_client")


class Unsent(Exception):
    """The request never left. Its text is for model and person."""


class Unanswered(Exception):
    """The request left, or may have, and no answer came. Its text is for model and person."""


class Broken(Unanswered):
    """The connection broke before an answer."""


_LATE = "So many requests to this API are due that this one's turn did not come in time. Try again later."
_LOOK = 0.1  # seconds between two looks for a place that another process has


class Pace(Protocol):
    """What one API can take: requests at once, requests started per second. Who waits holds its own thread and nothing else."""

    @abstractmethod
    def through(self, by: float) -> AbstractContextManager[None]:
        """Waits for its turn until `by` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""


class SharedPace:
    """A pace that all processes on one database keep together. A place whose holder died is free again after `timeout` seconds."""

    def __init__(self, store: Store, api: str, limits: Limits, timeout: float) -> None:
        self._store = store
        self._name = f"api:{api}"
        self._slots = [f"{self._name}#{number}" for number in range(limits.at_once or 0)]
        self._apart = 1 / limits.per_second if limits.per_second is not None else 0.0
        self._timeout = timeout

    @contextmanager
    def through(self, by: float) -> Iterator[None]:
        """Waits for its turn until `by` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""
        slot = self._wait(by, lambda: self._store.take_slot(self._slots, self._timeout)) if self._slots else None
        try:
            if self._apart:
                self._wait(by, self._start)
            yield
        finally:
            if slot is not None:
                self._store.free_slot(slot)

    def _start(self) -> str | None:
        return "" if self._store.pace(self._name, self._apart, 0.0) == 0 else None

    @staticmethod
    def _wait(by: float, take: Callable[[], str | None]) -> str:
        while (taken := take()) is None:
            left = by - time.monotonic()
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
    def through(self, by: float) -> Iterator[None]:
        """Waits for its turn until `by` (monotonic seconds) at most, and holds it inside. Raises `Unsent`."""
        self._enter(by)
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _enter(self, by: float) -> None:
        me = object()
        with self._changed:
            self._line.append(me)
            try:
                while (wait := self._wait_of(me)) > 0:
                    left = by - time.monotonic()
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
        self._line = ConnectionPool(keepalive, tls, way)
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
        self._line.close()

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
        by: float | None = None,
    ) -> Answer:
        """One request for `caller`, no redirect followed, no retry but once after a 401 where a credential could be renewed, all until `by`
        (monotonic seconds). Raises `Unsent`, `Unanswered` or `NotConnected`.

        `body` is JSON text, sent as `body_type` says; `headers` are the call's own.
        """
        if method not in self._methods:
            raise ValueError(f"this client sends no {method}")
        by = time.monotonic() + self.timeout if by is None else by
        kind, content = encoded(body_type, body, operation.body) if body is not None else (None, None)
        whole = headers_of(operation.api, headers or {}, content_type=kind, key=key, etag=etag)
        request = Outgoing(caller, method, url, content.encode() if content is not None else None)
        told = self._shown(operation, body) if self._tells(body) else None
        credential = self._credential(operation, request, by)
        answer = self._sent(operation, request, whole, credential, by, told)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._is_renewed(operation, request, credential, by):
            credential = self._credential(operation, request, by)
            answer = self._sent(operation, request, whole, credential, by, told)
        return answer

    def _credential(self, operation: Operation, request: Outgoing, by: float) -> Credential:
        try:
            return self._identities.credential(operation.api, request, by)
        except NoCredential as error:
            raise Unsent(str(error)) from error

    def _is_renewed(self, operation: Operation, request: Outgoing, refused: Credential, by: float) -> bool:
        try:
            return self._identities.renewed(operation.api, request, refused, by)
        except NoCredential:  # the API's own word stands
            return False

    def _sent(
        self,
        operation: Operation,
        request: Outgoing,
        headers: Mapping[str, str],
        credential: Credential,
        by: float,
        told: Any,
    ) -> Answer:
        """One exchange with its line in the log; `told`: the body for it, None where that is not to be told."""
        began = time.monotonic()
        at_last = (began + by) / 2  # half of the time is for the answer: a write without one is of unknown outcome
        status: int | str = "not sent"
        try:
            with self._paces.of(operation.api).through(at_last):
                status, began = "no answer", time.monotonic()
                url = with_credentials(operation.api, request.url)
                with _span(operation, request.method, url) as note:
                    answer = self._line.exchange(
                        request.method,
                        url,
                        _traced({**headers, **credential.headers}),
                        request.body,
                        timeout=max(0.001, by - began),
                        max_bytes=self.max_response,
                    )
                    note(_told(answer))
                    note({"http.request.body": json.dumps(told)} if told is not None else {})
            status = answer.status
            seconds = round(time.monotonic() - began, 4)
            whose, secrets = _identity(credential), _forms(credential)
            return self._whole(
                replace(answer, seconds=seconds, hiding=operation.hiding, identity=whose, secrets=secrets)
            )
        finally:
            bodies = {"body": told} if told is not None else {}
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


def _forms(credential: Credential) -> tuple[str, ...]:
    """A request's own credential in every spelling, longest first."""
    return tuple(sorted({form for one in credential.secrets for form in spellings(one)}, key=len, reverse=True))


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


def _told(answer: Answer) -> Attributes:
    """What a span tells of an answer."""
    failed = {"error.type": str(answer.status)} if answer.status >= HTTPStatus.BAD_REQUEST else {}
    return {"http.response.status_code": answer.status, **failed}


def _count(api: str, method: str, status: int | str, seconds: float) -> None:
    metrics.API_CALLS.labels(api, method, metrics.api_outcome(status)).inc()
    if status != "not sent":
        metrics.API_CALL_SECONDS.labels(api).observe(seconds)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        metrics.RATE_LIMITED.labels("api").inc()


class ConnectionPool:
    """A pool of connections whose calls end, whatever the server does: `timeout` holds for all of a call, not for each packet."""

    def __init__(self, keepalive: int, tls: ssl.SSLContext, way: WayOut) -> None:
        self._deadline = Deadline()
        transport = Transport(self._deadline, keepalive, tls, way)
        self._client = httpx2.Client(transport=transport, follow_redirects=False, trust_env=False)
        no_cookies = DefaultCookiePolicy(
            allowed_domains=[]
        )  # one asker's session must not travel with another's request
        self._client.cookies.jar.set_policy(no_cookies)

    def close(self) -> None:
        """Ends all connections; those in use break."""
        self._client.close()

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        timeout: float,
        max_bytes: int,
    ) -> Answer:
        """Sends one request and reads at most `max_bytes` of the answer. Raises `Unsent` or `Unanswered`."""
        headers = {"Accept-Encoding": "identity", **headers}
        request = self._client.build_request(method, url, headers=headers, content=content, timeout=timeout)
        with self._deadline.until(time.monotonic() + timeout, most=max_bytes):
            try:
                response = self._client.send(request, stream=True)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout) as error:
                raise Unsent(f"The API could not be reached ({_reason(error, timeout)}).") from error
            except httpcore2.ProxyError as error:
                raise Unsent(f"The API could not be reached ({proxy_said(error)}).") from error
            except httpcore2.TimeoutException as error:
                raise Unanswered(f"The API gave no answer ({_reason(error, timeout)}).") from error
            except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
                raise Broken(f"The API gave no answer ({_reason(error, timeout)}).") from error
            try:
                content, broke_off = _read(response, max_bytes)
            finally:
                response.close()
        head = response.headers
        return Answer(
            response.status_code,
            head.get("content-type", ""),
            content,
            broke_off,
            headers=dict(head.items()),
        )


def _reason(error: Exception, timeout: float) -> str:
    """Our own words: the libraries' texts may hold URLs with credentials in them."""
    if not isinstance(error, httpcore2.TimeoutException):
        return "connection failed"
    return (
        f"time-out after {round(timeout, 1) or 0.1:g} s"  # one that shares its time with others gets an odd rest of it
    )


def _read(response: httpx2.Response, max_bytes: int) -> tuple[bytes, str]:
    """The body, or its first `max_bytes` bytes, and why it is not whole, where it is not."""
    parts: list[bytes] = []
    try:
        for part in response.iter_bytes():
            parts.append(part)
    except TooLarge:
        return b"".join(parts), f"The answer is larger than {max_bytes:,} bytes; the rest was not read."
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        return b"".join(parts), "The answer broke off before its end."
    except BadPacking as error:
        if error.coding:
            name = " (Brotli)" if error.coding == "br" else ""
            return (
                b"",
                f"The answer came compressed with {error.coding}{name}, which was not asked for and is not read.",
            )
        return b"", "The answer's compression could not be undone."
    return b"".join(parts), ""
