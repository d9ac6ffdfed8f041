"""Door to the internal API, and the only one. Reads pass; a write leaves only as the stored record that was approved, once.

`write(approval)` has no parameter for method, URL or body: what one conditional UPDATE (approved -> sending) hands over is what is
sent. A second use finds nothing. Nothing here asks the model, and nothing typed in Slack counts as an approval.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, assert_never
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import httpcore2
import httpx2
import structlog

from core import words
from core.answers import Answer, error_text, mask, outcome_text, result_text
from core.calls import BadCall, Call, Read, Write, match
from core.cards import CardRow, card, card_parts
from core.catalog import Api, Catalog, Operation
from core.policy import SAFE_METHODS, Event, Refused, State, judge
from core.posts import Post, message, update
from store import Effects, Proposal, Store, Turn

log = structlog.get_logger("gate")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_AGENT = "rest-in-slack"


@dataclass(frozen=True)
class Approval:
    """A person's (or the policy's) yes to one stored proposal. It names the record and carries nothing of it."""

    proposal: str


class Unsent(Exception):
    """The request never left. Its text is for model and person."""


class Unanswered(Exception):
    """The request left, or may have, and no answer came. Its text is for model and person."""


class Broken(Unanswered):
    """The connection broke before an answer."""


class Gate:
    """The gate of one bot. `timeout` is seconds for a whole call, `max_response` bytes, `result_limit` characters for the model."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        *,
        ids: Callable[[], str],
        timeout: float = 30,
        max_response: int = 5_000_000,
        result_limit: int = 24_000,
        clock: Callable[[], float] = time.time,
        log_bodies: bool = False,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._ids = ids
        self._timeout = timeout
        self._max_response = max_response
        self._result_limit = result_limit
        self._clock = clock
        self._log_bodies = log_bodies
        self._secrets = secrets_of(catalog)
        self._reads = _Line(keepalive=20)
        self._writes = _Line(
            keepalive=0
        )  # a fresh connection each: one that the server had closed would leave a write's fate open

    def close(self) -> None:
        """Closes the connections."""
        self._reads.close()
        self._writes.close()

    # --- what a call is -----------------------------------------------------------------------------------------------

    def sort(self, call: Call, *, tainted: bool) -> Read | Write:
        """A validated call as what the policy makes of it."""
        verdict = judge(call.method, call.operation.approval, tainted=tainted)
        match verdict.way:
            case "read":
                return Read(call.operation, call.url, call.body)
            case "send":
                return Write(call.operation, call.url, call.body, by_policy=True)
            case "ask":
                return Write(call.operation, call.url, call.body, why=verdict.why)
            case other:
                assert_never(other)

    # --- reads --------------------------------------------------------------------------------------------------------

    def read(self, read: Read) -> tuple[str, bool]:
        """Sends a GET or HEAD; gives the call's result for the model, and whether it holds an answer of the API.

        Follows redirects only to what the catalog allows.
        """
        if read.method not in SAFE_METHODS:
            raise BadCall(f"{read.method} is no read.")
        try:
            answer = self._follow(read.operation, read.method, read.url)
        except (Unsent, Unanswered, BadCall) as error:
            return error_text(str(error), self._secrets), False
        return result_text(answer, limit=self._result_limit, secrets=self._secrets), True

    def _follow(self, operation: Operation, method: str, url: str) -> Answer:
        for _ in range(_MAX_REDIRECTS + 1):
            answer, location = self._get(operation, method, url)
            if answer.status not in _REDIRECTS or not location:
                return answer
            operation, url = self._redirected(method, url, location)
        raise BadCall(f"The API redirected more than {_MAX_REDIRECTS} times.")

    def _get(self, operation: Operation, method: str, url: str) -> tuple[Answer, str | None]:
        try:
            return self._send(self._reads, operation, method, url)
        except Broken:  # perhaps an idle connection that the server had closed meanwhile
            return self._send(self._reads, operation, method, url)

    def _redirected(self, method: str, url: str, location: str) -> tuple[Operation, str]:
        """Where a redirect leads, if the catalog allows that; its own credentials are taken out before it is matched."""
        place = urlsplit(urljoin(url, location))
        secret_names = {api.auth.query.name for api in self._catalog.apis if api.auth and api.auth.query}
        query = urlencode(
            [(k, v) for k, v in parse_qsl(place.query, keep_blank_values=True) if k not in secret_names],
            quote_via=quote,
        )
        goal = place._replace(query=query, fragment="").geturl()
        try:
            operation, values = match(self._catalog, method, goal)
        except BadCall:
            raise BadCall(
                "The API redirected to a place that the catalog does not allow, so that was not followed."
            ) from None
        return operation, operation.api.base_url + operation.template.fill(values)

    # --- proposals ----------------------------------------------------------------------------------------------------

    def propose(self, write: Write, turn: Turn, call: int) -> Proposal:
        """A write as the record to be stored with the model's reply: pending, or approved where the policy needs nobody."""
        now = self._clock()
        return Proposal(
            proposal=self._ids(),
            token=self._ids(),
            thread=turn.thread,
            turn=turn.turn,
            api=write.operation.api.name,
            operation=write.operation.name,
            method=write.method,
            url=write.url,
            body=write.body,
            asker=turn.asker,
            fingerprint=_fingerprint(write, turn.asker),
            why=write.why,
            state=State.APPROVED if write.by_policy else State.PENDING,
            created_at=now,
            expires_at=now + write.operation.expires,
            card=self._ids(),
            call=call,
        )

    def card_posts(self, proposal: Proposal) -> list[Post]:
        """The messages that show a pending proposal; the last one has the buttons."""
        row = _card_row(proposal)
        parts = [
            message(f"{proposal.card}.{i}", proposal.thread, proposal.turn, *part)
            for i, part in enumerate(card_parts(row))
        ]
        return [*parts, message(proposal.card, proposal.thread, proposal.turn, *card(row))]

    def decide(self, token: str, decision: Literal["approve", "deny"], *, by: str, at: float, arrival: int) -> Proposal:
        """A person's click, made at `at`. Gives the changed proposal. Raises `Refused` with words for the clicker alone."""
        proposal = self._store.proposal(token=token)
        if proposal is None:
            raise Refused("")
        if proposal.state is not State.PENDING:
            raise Refused("" if proposal.decided_by == by else words.ALREADY)
        if by != proposal.asker:
            raise Refused(words.NOT_ME.format(approver=proposal.asker))
        if at >= proposal.expires_at:
            changed = self._happen(proposal.proposal, Event.EXPIRE, arrival=arrival)
        else:
            happened = Event.APPROVE if decision == "approve" else Event.REJECT
            changed = self._happen(proposal.proposal, happened, arrival=arrival, decided_by=by, decided_at=at)
        if changed is None:
            raise Refused(words.ALREADY)
        return changed

    def expire_due(self) -> list[str]:
        """Expires what waited too long; gives the threads concerned."""
        due = self._store.proposals_due()
        return [changed.thread for one in due if (changed := self._happen(one.proposal, Event.EXPIRE)) is not None]

    def withdraw(self, turn: str) -> None:
        """Takes back what a failed turn still has waiting, so that no later click sends it."""
        for one in self._store.proposals_of(turn, State.PENDING):
            self._happen(one.proposal, Event.WITHDRAW)
        for one in self._store.proposals_of(turn, State.APPROVED):
            self._happen(one.proposal, Event.FAIL, note="The turn ended before this was sent. Nothing was sent.")

    def unshown(self, card: str) -> str | None:
        """A card that Slack will not take: nobody can decide it, so it is withdrawn. Gives the thread concerned."""
        one = self._store.proposal_of_card(card)
        changed = self._happen(one.proposal, Event.WITHDRAW) if one is not None else None
        return changed.thread if changed is not None else None

    def lose_unanswered(self) -> list[str]:
        """At a start, under the lock: what a dead process left in `sending` may or may not have happened. Gives the threads."""
        left = self._store.proposals_in(State.SENDING)
        return [changed.thread for one in left if (changed := self._happen(one.proposal, Event.LOSE)) is not None]

    def approvals(self, turn: str) -> list[Approval]:
        """A turn's approved writes that have not been sent, in the order of their calls."""
        return [Approval(one.proposal) for one in self._store.proposals_of(turn, State.APPROVED)]

    # --- the write ----------------------------------------------------------------------------------------------------

    def write(self, approval: Approval) -> Proposal | None:
        """Sends the stored record of an approval, once; its result joins the transcript, the card says how it ended.

        Gives the record as it ended; None where there was nothing (left) to send.
        """
        with structlog.contextvars.bound_contextvars(proposal=approval.proposal):
            stored = self._happen(approval.proposal, Event.SEND, sent_at=self._clock())
            return self._send_stored(stored) if stored is not None else None

    def _send_stored(self, stored: Proposal) -> Proposal | None:
        try:
            operation = self._still_allowed(stored)
            answer, _ = self._send(self._writes, operation, stored.method, stored.url, stored.body, key=stored.proposal)
        except (Unsent, BadCall) as error:
            note = f"{mask(str(error), self._secrets)} Nothing was sent."
            return self._happen(stored.proposal, Event.FAIL, note=note)
        except Unanswered as error:
            return self._happen(stored.proposal, Event.LOSE, note=mask(str(error), self._secrets))
        happened, outcome = (Event.SUCCEED, "done") if 200 <= answer.status < 300 else (Event.FAIL, "failed")
        text = result_text(answer, limit=self._result_limit, secrets=self._secrets, outcome=outcome)
        return self._happen(stored.proposal, happened, result=text, status=answer.status)

    def _still_allowed(self, stored: Proposal) -> Operation:
        """The catalog may have changed since the record was made; it has to allow the very same URL today."""
        api = self._catalog.api(stored.api)
        if api is None or not stored.url.startswith(api.base_url + "/"):
            raise BadCall("The catalog no longer has this API at this address.")
        operation, values = match(self._catalog, stored.method, stored.url)
        if api.base_url + operation.template.fill(values) != stored.url:
            raise BadCall("The catalog no longer allows this request.")
        return operation

    def _happen(
        self, proposal: str, happened: Event, *, arrival: int | None = None, result: str | None = None, **columns: Any
    ) -> Proposal | None:
        changed = self._store.transition(
            proposal, happened, lambda row: self._effects(row, result), arrival=arrival, **columns
        )
        if changed is not None:
            log.info(
                "decision",
                happened=happened,
                state=changed.state,
                proposal=proposal,
                operation=changed.operation,
                by=changed.decided_by,
                status=changed.status,
            )
        return changed

    def _effects(self, row: Proposal, result: str | None) -> Effects:
        """What goes with a proposal's new state: the model's result where it is final, and the card drawn anew."""
        if result is None and row.state in words.TOLD:
            outcome = "denied" if row.state is State.REJECTED else str(row.state)
            result = outcome_text(outcome, words.TOLD[row.state])
        elif result is None and row.state is State.FAILED:
            result = outcome_text("failed", row.note)
        shown = row.decided_by is not None or row.state in (State.EXPIRED, State.WITHDRAWN)
        says = []
        if shown and row.state is not State.SENDING:
            says.append(update(self._ids(), row.thread, row.turn, row.card, *card(_card_row(row))))
        return Effects(result, says, tainted=row.status is not None)

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def _send(
        self,
        line: _Line,
        operation: Operation,
        method: str,
        url: str,
        body: str | None = None,
        *,
        key: str | None = None,
    ) -> tuple[Answer, str | None]:
        """One request, no redirect followed, no retry. Gives the answer and its Location. Raises `Unsent` or `Unanswered`."""
        began = time.monotonic()
        status: int | str = "no answer"
        try:
            sent = _with_credentials(operation.api, url)
            headers = _headers(operation.api, body=body is not None, key=key)
            answer, location = line.exchange(
                method, sent, headers, body, timeout=self._timeout, max_bytes=self._max_response
            )
            status = answer.status
            return answer, location
        finally:
            bodies = {"body": body} if self._log_bodies else {}
            log.info(
                "api call",
                operation=operation.name,
                api=operation.api.name,
                status=status,
                seconds=round(time.monotonic() - began, 4),
                **bodies,
            )


def _card_row(proposal: Proposal) -> CardRow:
    return CardRow(**{name: getattr(proposal, name) for name in CardRow.__dataclass_fields__})


def _fingerprint(write: Write, asker: str) -> str:
    """SHA-256 over method, URL, body and asker, unambiguously joined."""
    return hashlib.sha256(json.dumps([write.method, write.url, write.body, asker]).encode()).hexdigest()


def secrets_of(catalog: Catalog) -> tuple[str, ...]:
    """Every text of the catalog that must not be seen, longest first."""
    return tuple(sorted({s for api in catalog.apis for s in _secrets(api)}, key=len, reverse=True))


def _secrets(api: Api) -> Iterator[str]:
    """Every text that must not be seen: credentials as given and in the forms in which they travel."""
    plain = [value.get_secret_value() for value in api.headers.values()]
    if api.auth is not None:
        plain += [
            s.get_secret_value()
            for s in (api.auth.bearer, *(k.value for k in (api.auth.header, api.auth.query) if k))
            if s
        ]
        if api.auth.basic is not None:
            plain += [api.auth.basic.password.get_secret_value(), _basic(api)]
    for secret in plain:
        if len(secret) >= 6:  # shorter ones would blank out ordinary words
            yield from {secret, quote(secret, safe="")}


def _basic(api: Api) -> str:
    assert api.auth is not None
    assert api.auth.basic is not None
    pair = f"{api.auth.basic.username.get_secret_value()}:{api.auth.basic.password.get_secret_value()}"
    return base64.b64encode(pair.encode()).decode()


def _headers(api: Api, *, body: bool, key: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": _AGENT} | {
        name: value.get_secret_value() for name, value in api.headers.items()
    }
    if body:
        headers["Content-Type"] = "application/json"
    if key is not None:
        headers["Idempotency-Key"] = key
    if api.auth is not None:
        if api.auth.bearer is not None:
            headers["Authorization"] = f"Bearer {api.auth.bearer.get_secret_value()}"
        if api.auth.basic is not None:
            headers["Authorization"] = f"Basic {_basic(api)}"
        if api.auth.header is not None:
            headers[api.auth.header.name] = api.auth.header.value.get_secret_value()
    return headers


def _with_credentials(api: Api, url: str) -> str:
    if api.auth is None or api.auth.query is None:
        return url
    pair = f"{quote(api.auth.query.name, safe='')}={quote(api.auth.query.value.get_secret_value(), safe='')}"
    return f"{url}{'&' if '?' in url else '?'}{pair}"


# --- one call, bounded in time and size -------------------------------------------------------------------------------


class _Line:
    """A pool of connections whose calls end, whatever the server does: `timeout` holds for all of a call, not for each packet."""

    def __init__(self, keepalive: int) -> None:
        self._backend = _DeadlineBackend()
        self._client = httpx2.Client(
            transport=_Transport(self._backend, keepalive), follow_redirects=False, trust_env=False
        )

    def close(self) -> None:
        self._client.close()

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None, *, timeout: float, max_bytes: int
    ) -> tuple[Answer, str | None]:
        """Sends one request and reads at most `max_bytes` of the answer. Raises `Unsent` or `Unanswered`."""
        content = body.encode() if body is not None else None
        request = self._client.build_request(method, url, headers=dict(headers), content=content, timeout=timeout)
        with self._backend.until(time.monotonic() + timeout):
            try:
                response = self._client.send(request, stream=True)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout) as error:
                raise Unsent(f"The API could not be reached ({_reason(error, timeout)}).") from error
            except httpcore2.TimeoutException as error:
                raise Unanswered(f"The API gave no answer ({_reason(error, timeout)}).") from error
            except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
                raise Broken(f"The API gave no answer ({_reason(error, timeout)}).") from error
            try:
                content, broke_off = _bounded(response, max_bytes)
            finally:
                response.close()
        return Answer(
            response.status_code, response.headers.get("content-type", ""), content, broke_off
        ), response.headers.get("location")


def _reason(error: Exception, timeout: float) -> str:
    """Our own words: the libraries' texts may hold URLs with credentials in them."""
    return f"time-out after {timeout:g} s" if isinstance(error, httpcore2.TimeoutException) else "connection failed"


def _bounded(response: httpx2.Response, max_bytes: int) -> tuple[bytes, str]:
    """The body's first `max_bytes` bytes, and why it is not whole, where it is not."""
    parts: list[bytes] = []
    size = 0
    try:
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                return b"".join(parts)[
                    :max_bytes
                ], f"The answer is larger than {max_bytes:,} bytes; the rest was not read."
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        return b"".join(parts), "The answer broke off before its end."
    except httpx2.DecodingError:
        return b"", "The answer's compression could not be undone."
    return b"".join(parts), ""


class _DeadlineBackend(httpcore2.NetworkBackend):
    """Gives each network operation what is left of the calling thread's deadline. httpx's own time-outs start anew with each packet."""

    def __init__(self) -> None:
        self._backend = httpcore2.SyncBackend()
        self._local = threading.local()

    @contextmanager
    def until(self, moment: float) -> Iterator[None]:
        """All network operations of this thread inside end by `moment` (monotonic seconds)."""
        self._local.moment = moment
        try:
            yield
        finally:
            self._local.moment = None

    def left(self, error: type[Exception]) -> float | None:
        """Seconds left; raises `error` where none are. None outside of `until` (closing idle connections)."""
        moment = getattr(self._local, "moment", None)
        if moment is None:
            return None
        left: float = moment - time.monotonic()
        if left <= 0:
            raise error("deadline")
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = self.left(httpcore2.ConnectTimeout) or timeout
        return _DeadlineStream(self._backend.connect_tcp(host, port, left, local_address, socket_options), self)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _DeadlineStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, clock: _DeadlineBackend) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.left(httpcore2.ReadTimeout) or timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left(httpcore2.WriteTimeout) or timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._clock.left(httpcore2.ConnectTimeout) or timeout
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Transport(httpx2.BaseTransport):
    """httpx2's transport over a connection pool with our network backend, which its own transport does not take."""

    def __init__(self, backend: _DeadlineBackend, keepalive: int) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=100,
            max_keepalive_connections=keepalive,
            keepalive_expiry=5,
            network_backend=backend,
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = httpcore2.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        sent = httpcore2.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        got = self._pool.handle_request(sent)
        return httpx2.Response(got.status, headers=got.headers, stream=_Body(got), extensions=got.extensions)

    def close(self) -> None:
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
