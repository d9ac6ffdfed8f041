"""A sign-in server that behaves as others do in the wild, or lies: what it says is changed field by field. Its refresh tokens rotate, and
one that is used again ends all that came of the same sign-in, as at Auth0 and Okta.

Looked up: Entra ID's v1 endpoint gives `expires_in` as text and its id_tokens no `email_verified`; Cognito gives `email_verified` as text;
Google gives no new refresh token at a renewal, and its discovery names its own issuer alone; GitHub answers errors with 200, scopes apart
by commas, and knows people by a number; Auth0's issuer ends in a slash; Keycloak's `aud` may be a list.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from catalog.catalog import Api, Catalog, load_catalog
from tests.harness.loopback import Loopback, Reply, Request, as_json

Json = dict[str, Any]
KEY = RSAKey.generate_key(2048, {"kid": "first"})
CALLBACK = "https://bot.example.com/oauth/callback"
NONCE, STATE, VERIFIER = "a-nonce-of-this-test", "a-state-of-this-test", "v" * 50


def with_changes(said: Json, changes: Mapping[str, Any]) -> Json:
    """What is said, with changes; what changes to None is left out."""
    return {name: value for name, value in (said | dict(changes)).items() if value is not None}


class PeculiarProvider(Loopback):
    """For use in a `with`. What is in `metadata`, `answer`, `claims`, `header` and `person` takes the place of what it would say; `replies`
    of whole replies, by path."""

    def __init__(self) -> None:
        super().__init__(self._said)
        self.metadata: Json = {}
        self.answer: Json = {}
        self.claims: Json = {}
        self.header: Json = {}
        self.person: Json = {}
        self.replies: dict[str, Reply] = {}
        self.keys: list[Json] = [KEY.as_dict(private=False)]
        self.sign_with: Any = KEY
        self.now = 1_000.0
        self.life: object = 3_600
        self.rotates = True
        self.spent: list[str] = []  # refresh tokens, in the order in which they came
        self.is_over = False  # the person's sign-in was ended at the server, or a refresh token came twice
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._refresh_token = ""

    def __enter__(self) -> PeculiarProvider:
        super().__enter__()
        return self

    @property
    def paths(self) -> list[str]:
        return [urlsplit(one.path).path for one in self.requests]

    def forms(self, path: str) -> list[dict[str, str]]:
        """What was posted to a path."""
        return [
            {name: values[0] for name, values in parse_qs(one.body.decode()).items()}
            for one in self.requests
            if one.path == path
        ]

    def _said(self, request: Request) -> Reply:
        path = urlsplit(request.path).path
        if path in self.replies:
            return self.replies[path]
        if path == "/token":
            return self._token({name: values[0] for name, values in parse_qs(request.body.decode()).items()})
        said: dict[str, Any] = {
            "/.well-known/openid-configuration": self._metadata(),
            "/jwks": {"keys": self.keys},
            "/userinfo": with_changes({"sub": "ann"}, self.person),
            "/revoke": {},
        }
        return as_json(said[path]) if path in said else as_json({}, 404)

    def _metadata(self) -> Json:
        said = {"issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "jwks_uri": f"{self.url}/jwks"}
        said |= {"token_endpoint": f"{self.url}/token", "revocation_endpoint": f"{self.url}/revoke"}
        return with_changes(said, self.metadata)

    def _token(self, form: Mapping[str, str]) -> Reply:
        with self._lock:
            number = next(self._numbers)
            if form["grant_type"] == "refresh_token":
                self.spent.append(form["refresh_token"])
                self.is_over = self.is_over or form["refresh_token"] != self._refresh_token
                if self.is_over:
                    told = {"error": "invalid_grant", "error_description": f"{form['refresh_token']} is of no use"}
                    return as_json(told, 400)
            if self.rotates or not self._refresh_token:
                self._refresh_token = f"refresh-{number}-of-this-test"
            said: Json = {
                "access_token": f"access-{number}-of-this-test",
                "token_type": "Bearer",
                "expires_in": self.life,
            }
            if self.rotates or form["grant_type"] != "refresh_token":
                said["refresh_token"] = self._refresh_token
            if form["grant_type"] != "refresh_token":
                said["id_token"] = self._id_token()
            return as_json(with_changes(said, self.answer))

    def _id_token(self) -> str:
        now = int(self.now)
        said = {"iss": self.url, "sub": "ann", "aud": "slack-bot", "iat": now, "exp": now + 300, "nonce": NONCE}
        header = with_changes({"alg": "RS256", "kid": "first"}, self.header)
        return jwt.encode(header, with_changes(said, self.claims), self.sign_with, algorithms=[str(header["alg"])])

    def api(self, base_url: str = "http://127.0.0.1:9", **more: Any) -> Api:
        """An API whose people sign in here."""
        return self.catalog(base_url, **more).apis[0]

    def catalog(self, base_url: str = "http://127.0.0.1:9", **more: Any) -> Catalog:
        """A catalog with that API alone."""
        oauth2: Json = {"issuer": self.url, "client_id": "slack-bot", "client_secret": "secret-of-this-test"}
        oauth2 |= {"scopes": ["openid", "hr.read"]}
        auth = json.dumps({"oauth2": with_changes(oauth2, more)})
        return load_catalog(_CATALOG.format(base_url=base_url, auth=auth), {})


_CATALOG = """
name: HR
base_url: {base_url}
auth: {auth}
endpoints:
  - {{method: GET, url: /users, description: Lists.}}
  - {{method: PUT, url: "/users/[id]", description: Replaces., preview: false}}
"""
