"""Connections to the internal API: pools of them, bounded in time and size whatever the server does, each API's with its own certificates.

An exchange is one request and its answer. What is sent, and whether it may be, is not this file's concern.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import httpcore2
import httpx2
import structlog

from base.deadline import Deadline, Transport, proxy_said
from base.key_file import mark_of
from base.proxies import STRAIGHT, WayOut
from base.settings import Misconfigured
from base.unpack import BadPacking, TooLarge
from catalog.catalog import Catalog, Tls
from gate.answers import Answer

log = structlog.get_logger("connections")
_Mark = tuple[tuple[int, int, int], ...]
# How a server ends a handshake that it does not go on with (RFC 8446, 6.2): it never looked at the request.
_TURNED_AWAY = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",
                "CERTIFICATE_UNKNOWN", "UNSUPPORTED_CERTIFICATE", "ACCESS_DENIED", "HANDSHAKE_FAILURE")  # fmt: skip


class Unsent(Exception):
    """The request never left. Its text is for model and person."""


class Unanswered(Exception):
    """The request left, or may have, and no answer came. Its text is for model and person."""


class Broken(Unanswered):
    """The connection broke before an answer."""


_NO_CERTIFICATES = "The bot's own certificates for this API cannot be read. Its operators find the reason in the log."
_REFUSED = (
    "The API did not take the bot's certificate (or wants one). The bot's operators have to look at tls in the catalog."
)


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
                if _is_turned_away(error):
                    raise Unsent(_REFUSED) from error
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


def _is_turned_away(error: BaseException | None) -> bool:
    """Whether the server ended the handshake over the bot's certificate. With TLS 1.3 that is heard after the request has left; it was
    not looked at."""
    while error is not None:
        reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
        if "_ALERT_" in reason and reason.endswith(_TURNED_AWAY):
            return True
        error = error.__cause__ or error.__context__
    return False


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


class ConnectionPools:
    """The pools of one client: one for all APIs, and one for each that has certificates of its own. Those are reread when their files
    change; what is under way then ends as it began."""

    def __init__(self, keepalive: int, tls: ssl.SSLContext, way: WayOut) -> None:
        self._keepalive = keepalive
        self._way = way
        self._general = ConnectionPool(keepalive, tls, way)
        self._lock = threading.Lock()
        self._own: dict[Tls, _OwnPool] = {}

    def exchange(
        self,
        tls: Tls | None,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        timeout: float,
        max_bytes: int,
    ) -> Answer:
        """Sends one request and reads at most `max_bytes` of the answer. Raises `Unsent` or `Unanswered`."""
        with self._pool(tls) as pool:
            return pool.exchange(method, url, headers, content, timeout=timeout, max_bytes=max_bytes)

    def close(self) -> None:
        """Ends all connections; those in use break."""
        self._general.close()
        with self._lock:
            for own in self._own.values():
                own.pool.close()

    @contextmanager
    def _pool(self, tls: Tls | None) -> Iterator[ConnectionPool]:
        if tls is None:
            yield self._general
            return
        own = self._taken(tls)
        try:
            yield own.pool
        finally:
            self._given_back(tls, own)

    def _taken(self, tls: Tls) -> _OwnPool:
        """The pool by the files as they are now. Files that cannot be used leave the pool before in use. Raises `Unsent`."""
        with self._lock:
            own = self._own.get(tls)
            try:
                mark = _mark_of(tls)
                if own is None or own.mark != mark:
                    before, own = (
                        own,
                        _OwnPool(mark, ConnectionPool(self._keepalive, tls_of(tls, self._way), self._way)),
                    )
                    self._own[tls] = own
                    if before is not None and before.users == 0:
                        before.pool.close()
            except (OSError, Misconfigured) as error:
                if own is None:
                    log.exception("certificates cannot be used")
                    raise Unsent(_NO_CERTIFICATES) from None
                log.warning("certificates cannot be used; those before stay in use", reason=str(error))
            own.users += 1
            return own

    def _given_back(self, tls: Tls, own: _OwnPool) -> None:
        with self._lock:
            own.users -= 1
            if own.users == 0 and self._own.get(tls) is not own:
                own.pool.close()


class _OwnPool:
    """A pool, the files that it was made by, and how many use it now."""

    def __init__(self, mark: _Mark, pool: ConnectionPool) -> None:
        self.mark = mark
        self.pool = pool
        self.users = 0


def _mark_of(tls: Tls) -> _Mark:
    return tuple(mark_of(Path(path)) for path in (tls.cert, tls.key, tls.ca) if path is not None)


def check_certificates(catalog: Catalog) -> None:
    """Reads the certificates that a catalog names. Raises `Misconfigured`."""
    for api in catalog.apis:
        if api.tls is not None:
            try:
                tls_of(api.tls, STRAIGHT)
            except Misconfigured as error:
                raise Misconfigured(f"{api.name}: {error}") from None


def tls_of(tls: Tls, way: WayOut) -> ssl.SSLContext:
    """The TLS of an API with certificates of its own. Raises `Misconfigured`."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or way.certificates or None)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(
            f"tls.ca: {tls.ca or way.certificates} {_why(error, 'holds no certificates in PEM form')}."
        ) from None
    if tls.cert is None:
        return context
    try:
        context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise Misconfigured(_unusable(tls, error)) from None
    return context


def _unusable(tls: Tls, error: Exception) -> str:
    """What is wrong with the bot's own certificate or its key, and what to do."""
    key = tls.key or tls.cert
    match error:
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return (
                f"tls.key: {key} is not the key of the certificate in {tls.cert}; name the one that it was made with."
            )
        case ssl.SSLError() if tls.key is None:
            return f"tls.cert: {tls.cert} does not hold both a certificate and its key, in PEM form; name the key's file as tls.key."
        case ssl.SSLError():
            return f"tls: {tls.cert} holds no certificate, or {key} no private key, in PEM form."
        case OSError():
            unread = next((name for name in ("cert", "key") if not _is_there(getattr(tls, name))), "cert")
            return f"tls.{unread}: {getattr(tls, unread)} {_why(error, '')}."
        case _:
            return f"tls.key: {key} has a passphrase, which nobody is there to enter; take it out: openssl pkey -in {key} -out <new file>."


def _is_there(path: str | None) -> bool:
    try:
        return path is None or bool(mark_of(Path(path)))
    except OSError:
        return False


def _no_password() -> str:
    """Instead of asking the terminal, where nobody sits."""
    raise ValueError


def _why(error: Exception, otherwise: str) -> str:
    is_of_file = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
    return f"cannot be read: {error.strerror}" if is_of_file and isinstance(error, OSError) else otherwise
