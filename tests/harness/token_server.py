"""A strict token server on loopback: it takes what the RFCs have a client send, and nothing else. What it answers may be told."""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt

from tests.harness.loopback import Loopback, Reply, Request, as_json

SECRET = "s3cret+/=~ of % the client"
CLIENT = "bot/1"


class TokenServer(Loopback):
    """It gives `token-1`, `token-2` and so on. `will` takes answers that come first; `methods` are those by which a client may show who
    it is; `keys` check its signed statements, `audience` is what their `aud` has to be."""

    def __init__(
        self, *, issues: dict[str, Any] | None = None, methods: tuple[str, ...] = ("client_secret_basic",)
    ) -> None:
        super().__init__(self._serve)
        self.issues = {"token_type": "Bearer", "expires_in": 3600} if issues is None else issues
        self.methods = methods
        self.metadata: dict[str, Any] = {}
        self.keys: Any = None
        self.audience = ""
        self.asked: list[dict[str, str]] = []  # the forms of what was taken
        self.heads: list[dict[str, Any]] = []  # of statements
        self.subject: Callable[[str], None] = lambda _token: None  # looks at a token that is to be exchanged
        self._answers: deque[Reply] = deque()
        self._numbers = itertools.count(1)
        self._seen: set[str] = set()

    def will(self, *answers: Reply) -> None:
        self._answers.extend(answers)

    @property
    def tokens(self) -> int:
        """How many were asked for, and taken or not."""
        return sum(one.method == "POST" for one in self.requests)

    def _serve(self, request: Request) -> Reply:
        if request.path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
            told = {"issuer": self.url, "token_endpoint": f"{self.url}/token"}
            told["token_endpoint_auth_methods_supported"] = self.methods  # type: ignore[assignment]
            return as_json(told | self.metadata)
        if (request.method, request.path) != ("POST", "/token"):
            return as_json({"error": "not_found"}, 404)
        if self._answers:
            return self._answers.popleft()
        return self._given(request)

    def _given(self, request: Request) -> Reply:
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            return as_json({"error": "invalid_request"}, 400)
        fields = parse_qs(request.body.decode(), strict_parsing=True, keep_blank_values=True)
        if any(len(values) > 1 for values in fields.values()):  # RFC 6749, 3.2: no parameter twice
            return as_json({"error": "invalid_request"}, 400)
        form = {name: values[0] for name, values in fields.items()}
        if not self._is_known(request, form):
            return as_json({"error": "invalid_client"}, 401, **{"WWW-Authenticate": "Basic"})
        if "subject_token" in form:
            self.subject(form["subject_token"])
        self.asked.append(form)
        return as_json({"access_token": f"token-{next(self._numbers)}-{'x' * 20}", **self.issues})

    def _is_known(self, request: Request, form: dict[str, str]) -> bool:
        """By exactly one way (RFC 6749, 2.3)."""
        basic = request.headers.get("authorization", "")
        ways = [bool(basic), "client_secret" in form, "client_assertion" in form]
        if sum(ways) != 1:
            return False
        if basic:
            name, _, secret = base64.b64decode(basic.removeprefix("Basic ")).decode().partition(":")
            given = (unquote_plus(name), unquote_plus(secret))
            return "client_secret_basic" in self.methods and given == (CLIENT, SECRET)
        if "client_secret" in form:
            given = (form.get("client_id", ""), form["client_secret"])
            return "client_secret_post" in self.methods and given == (CLIENT, SECRET)
        return self._is_signed(form)

    def _is_signed(self, form: dict[str, str]) -> bool:
        assert self.keys is not None
        found = jwt.decode(form["client_assertion"], self.keys, algorithms=["RS256", "PS256", "ES256", "EdDSA"])
        claims = found.claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": CLIENT},
            sub={"essential": True, "value": CLIENT},
            aud={"essential": True, "value": self.audience},
            exp={"essential": True},
            jti={"essential": True},
        ).validate(claims)
        self.heads.append(found.header)
        is_new = claims["jti"] not in self._seen
        self._seen.add(claims["jti"])
        is_short = claims["exp"] - claims["iat"] < 3600  # Okta: an hour at most
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return is_new and is_short and form.get("client_assertion_type") == kind


def raw(body: bytes | str, status: int = 200, kind: str = "application/json") -> Reply:
    content = body.encode() if isinstance(body, str) else body
    return Reply(status, content, {"Content-Type": kind})


def said(answer: dict[str, Any], status: int = 200) -> Reply:
    return raw(json.dumps(answer), status)
