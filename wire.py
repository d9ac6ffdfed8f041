"""The wire to the internal API: one call, bounded in time and size whatever the server does. Only gate.py may use it.

No redirect is followed, nothing is retried, no cookie kept. What may be called is no matter of this room.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy

import httpcore2
import httpx2

from core.answers import Answer
from deadline import Deadline, Transport


class Unsent(Exception):
    """The request never left. Its text is for model and person."""


class Unanswered(Exception):
    """The request left, or may have, and no answer came. Its text is for model and person."""


class Broken(Unanswered):
    """The connection broke before an answer."""


class Line:
    """A pool of connections whose calls end, whatever the server does: `timeout` holds for all of a call, not for each packet."""

    def __init__(self, keepalive: int, tls: ssl.SSLContext) -> None:
        self._deadline = Deadline()
        transport = Transport(self._deadline, keepalive, tls)
        self._client = httpx2.Client(transport=transport, follow_redirects=False, trust_env=False)
        no_cookies = DefaultCookiePolicy(
            allowed_domains=[]
        )  # one asker's session must not travel with another's request
        self._client.cookies.jar.set_policy(no_cookies)

    def close(self) -> None:
        self._client.close()

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None, *, timeout: float, max_bytes: int
    ) -> Answer:
        """Sends one request and reads at most `max_bytes` of the answer. Raises `Unsent` or `Unanswered`."""
        content = body.encode() if body is not None else None
        headers = {"Accept-Encoding": "identity", **headers}  # a small packet could inflate to gigabytes
        request = self._client.build_request(method, url, headers=headers, content=content, timeout=timeout)
        with self._deadline.until(time.monotonic() + timeout):
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
        head = response.headers
        return Answer(
            response.status_code,
            head.get("content-type", ""),
            content,
            broke_off,
            etag=head.get("etag", ""),
            location=head.get("location", ""),
        )


def _reason(error: Exception, timeout: float) -> str:
    """Our own words: the libraries' texts may hold URLs with credentials in them."""
    return f"time-out after {timeout:.3g} s" if isinstance(error, httpcore2.TimeoutException) else "connection failed"


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
