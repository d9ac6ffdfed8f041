"""HTTP connections whose calls end, whatever the server does: within a total time, after a silence, at a size, or when somebody says cut.

httpx's own time-outs start over with each packet, so a server that drips bytes would hold a worker forever. No redirect, retry or
cookie is made here, and nothing is known of what is sent.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpcore2
import httpx2

from base.proxies import STRAIGHT, Proxy, WayOut
from base.settings import Misconfigured
from base.unpack import BadPacking, unpacked

_SLICE = 0.25  # seconds after which a read that waits looks whether it is still wanted
_CONNECT = 10.0  # seconds for a connection whose call may be cut off
PACKED = {"Accept-Encoding": "gzip, deflate"}  # what can be undone here
BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, BadPacking)


class CutOff(BaseException):
    """Nobody wants the answer any more. No `Exception`: client libraries would take it for a failure and try again."""


class _Limits(threading.local):
    """What holds for the calling thread."""

    by: float | None = None
    silent: float | None = None
    cut: Callable[[], bool] | None = None
    most = most_streamed = 0


class Deadline(httpcore2.NetworkBackend):
    """Gives each network operation what is left of the calling thread's deadline."""

    def __init__(self) -> None:
        self._backend = httpcore2.SyncBackend()
        self._limits = _Limits()

    @contextmanager
    def until(
        self,
        moment: float,
        *,
        most: int,
        most_streamed: int | None = None,
        silent: float | None = None,
        cut: Callable[[], bool] | None = None,
    ) -> Iterator[None]:
        """All network operations of this thread inside end by `moment` (monotonic seconds), each wait for bytes within `silent` seconds.

        Once `cut` gives true they raise `CutOff`. Of an answer's body at most `most` bytes are read, packed or unpacked, of one that is a
        stream of events `most_streamed`; then they raise `TooLarge`.
        """
        limits = self._limits
        limits.by, limits.silent, limits.cut = moment, silent, cut
        limits.most, limits.most_streamed = most, most if most_streamed is None else most_streamed
        try:
            yield
        finally:
            limits.by = limits.silent = limits.cut = None

    def room(self, content_type: str) -> int:
        """Bytes that are read of an answer's body."""
        return self._limits.most_streamed if "event-stream" in content_type else self._limits.most

    def left(self, error: type[Exception]) -> float | None:
        """Seconds left; raises `error` where none are. None outside of `until` (closing idle connections)."""
        if self._limits.cut is not None and self._limits.cut():
            raise CutOff
        if self._limits.by is None:
            return None
        left = self._limits.by - time.monotonic()
        if left <= 0:
            raise error("deadline")
        return left

    def read(self, stream: httpcore2.NetworkStream, max_bytes: int) -> bytes:
        """Reads in slices, so that neither a cut nor the deadline waits for the server."""
        silent = self._limits.silent
        quiet_until = time.monotonic() + silent if silent is not None else float("inf")
        while True:
            left = self.left(httpcore2.ReadTimeout)
            try:
                return stream.read(max_bytes, left if self._limits.cut is None or left is None else min(left, _SLICE))
            except httpcore2.ReadTimeout:
                if self._limits.cut is None or time.monotonic() >= quiet_until:
                    raise

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """A connection, made in what is left of the time. Raises what httpcore2 raises."""
        left = self.left(httpcore2.ConnectTimeout) or timeout
        if self._limits.cut is not None:
            left = min(left or _CONNECT, _CONNECT)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options), self)

    def sleep(self, seconds: float) -> None:
        """The pause that httpcore2 asks for, in seconds."""
        self._backend.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._deadline.read(self._stream, max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(httpcore2.WriteTimeout) or timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left(httpcore2.ConnectTimeout) or timeout
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Transport(httpx2.BaseTransport):
    """httpx2's transport over connection pools with a deadline, which its own transport does not take: one to the servers themselves, and
    one through each proxy that the way out has. Raises httpcore2's errors; `ProxyError` means that nothing left."""

    def __init__(self, deadline: Deadline, keepalive: int, tls: ssl.SSLContext, way: WayOut = STRAIGHT) -> None:
        self._deadline = deadline
        self._way = way
        self._tls = tls
        self._keepalive = keepalive
        self._lock = threading.Lock()
        self._pools: dict[Proxy | None, httpcore2.ConnectionPool] = {}

    def _pool(self, url: str) -> httpcore2.ConnectionPool:
        """The connections by which this address is reached."""
        proxy = self._way.proxy(url)
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = httpcore2.ConnectionPool(
                    ssl_context=self._tls,
                    proxy=None
                    if proxy is None
                    else httpcore2.Proxy(proxy.url, proxy.auth, ssl_context=self._of(proxy)),
                    max_connections=100,
                    max_keepalive_connections=self._keepalive,
                    keepalive_expiry=5,
                    network_backend=self._deadline,
                )
            return self._pools[proxy]

    def _of(self, proxy: Proxy) -> ssl.SSLContext | None:
        """The TLS to a proxy itself."""
        return self._tls if proxy.url.startswith("https:") else None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request's answer, its body unpacked and bounded as it is read. Raises what httpcore2 raises, and `BadPacking`."""
        url = httpcore2.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        sent = httpcore2.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        got = self._pool(str(request.url)).handle_request(sent)
        headers = httpx2.Headers(got.headers)
        coding = headers.pop("content-encoding", "")  # undone here
        stream = _Body(got, coding, self._deadline.room(headers.get("content-type", "")))
        return httpx2.Response(got.status, headers=headers, stream=stream, extensions=got.extensions)

    def close(self) -> None:
        """Ends all connections, those through proxies too."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()


class _Body(httpx2.SyncByteStream):
    """A body, unpacked and bounded. Raises `BadPacking` and `TooLarge`."""

    def __init__(self, response: httpcore2.Response, coding: str, most: int) -> None:
        self._response = response
        self._coding = coding
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        yield from unpacked(self._response.iter_stream(), self._coding, self._most)

    def close(self) -> None:
        self._response.close()


@cache
def tls_context(certificates: str = "") -> ssl.SSLContext:
    """The one that httpx2 would make: the system's certificates, or those of a file. Making it takes a while, so all clients share it.

    Raises `Misconfigured` where the file is of no use.
    """
    if not certificates:
        return httpx2.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=certificates)
    except ssl.SSLError:
        raise Misconfigured(f"SSL_CERT_FILE: {certificates} holds no certificates in PEM form.") from None
    except OSError as error:
        raise Misconfigured(f"SSL_CERT_FILE: cannot read {certificates}: {error.strerror}.") from None


class _Named(Transport):
    """The same with httpx2's names for what went wrong, which client libraries know."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return super().handle_request(request)
        except httpcore2.TimeoutException as error:
            raise httpx2.ReadTimeout(str(error), request=request) from error
        except httpcore2.ProxyError as error:
            raise httpx2.ProxyError(proxy_said(error), request=request) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise httpx2.NetworkError(str(error), request=request) from error


def proxy_said(error: Exception) -> str:
    """Why a proxy let nothing through, in our own words."""
    status = str(error)[:3]
    return (
        f"the proxy refused the way there: HTTP {status}" if status.isdecimal() else "the proxy refused the way there"
    )


def client(deadline: Deadline, way: WayOut = STRAIGHT, *, keepalive: int = 20) -> httpx2.Client:
    """An HTTP client for a library that brings its own words; its calls keep to the deadline."""
    return httpx2.Client(
        transport=transport(deadline, way, keepalive=keepalive), headers=PACKED, follow_redirects=False
    )


def transport(deadline: Deadline, way: WayOut = STRAIGHT, *, keepalive: int = 20) -> httpx2.BaseTransport:
    """The connections of such a client, for a library that makes the client itself."""
    return _Named(deadline, keepalive, tls_context(way.certificates), way)
