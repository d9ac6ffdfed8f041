"""Slack's library over connections of our own: within a time in all, bounded, and by the way out that the settings name.

slack_io/web_api.py alone uses it.
"""

from __future__ import annotations

import io
import time
from email.message import Message
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

from slack_sdk import WebClient

from base.deadline import Deadline, client
from base.proxies import WayOut

_MOST = 16_000_000  # bytes of one answer, far above Slack's


class BoundedClient(WebClient):
    """The library's client over our own connections: within a time in all, bounded, and by the way out that the settings name. The
    library would take a proxy for addresses that NO_PROXY names, and read an answer of any size."""

    def __init__(self, *, way: WayOut, **options: Any) -> None:
        super().__init__(**options)
        self._deadline = Deadline()
        self._line = client(
            self._deadline, way, keepalive=0
        )  # an idle one may have been closed, and a message's fate be open

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        """What the library calls for each of its requests, and where it expects `HTTPError` of a status that is none of success."""
        with self._deadline.until(time.monotonic() + self.timeout, most=_MOST):
            answer = self._line.request(req.get_method(), url, headers=dict(req.header_items()), content=_body(req))
        if not answer.is_success:
            head = Message()
            for name, value in answer.headers.items():
                head[name] = value
            raise HTTPError(url, answer.status_code, answer.reason_phrase, head, io.BytesIO(answer.content))
        return {"status": answer.status_code, "headers": answer.headers, "body": answer.content.decode()}


def _body(request: Request) -> bytes | None:
    return request.data if isinstance(request.data, bytes) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
