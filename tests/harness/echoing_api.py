"""A hostile API behind a sign-in server: it tells everybody by which token it was asked, in every spelling that comes to its mind."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote

from tests.harness.connecting import HrServer
from tests.harness.loopback import Reply, Request


def spelled(text: str) -> list[str]:
    """A text as APIs, gateways and their error pages repeat it."""
    in_json = json.dumps({"headers": json.dumps({"authorization": text})})
    return [text, quote(text, safe=""), html.escape(text), in_json, text.encode().hex(), *_in_base64(text.encode())]


def _in_base64(text: bytes) -> Iterator[str]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from (encode(before + text).decode() for before in (b"", b"?", b"??"))


class EchoingHrServer(HrServer):
    """For use in a `with`. Shows a person as an error's page where that is `broken`. `tokens`: (method, token) of each request."""

    def __init__(self, issuer: str) -> None:
        super().__init__(issuer)
        self.tokens: list[tuple[str, str]] = []

    def _served(self, request: Request) -> Reply:
        said = request.headers.get("authorization", "")
        token = said.removeprefix("Bearer ")
        self.tokens.append((request.method, token))
        reply = super()._served(request)
        echo = [*spelled(said), *spelled(token)]
        headers = {"X-Echo": said, "ETag": f'"{token}"', "Link": f'</people?page={quote(token)}>; rel="next"'}
        if request.path.endswith("/broken"):
            return Reply(500, f"<p>{'; '.join(echo)}</p>".encode(), {"Content-Type": "text/html", **headers})
        body = json.dumps(json.loads(reply.body) | {"echo": echo, token: 1}).encode()
        return Reply(reply.status, body, {**reply.headers, **headers})
