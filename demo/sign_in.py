"""The demo's sign-in server: OpenID Connect for two people who need no password, so that connecting an account can be seen.

It keeps to what the bot asks of a server (PKCE, nonce, rotating refresh tokens, revocation) and forgets all of it when it ends. It is no
example of how to sign people in.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, abort, redirect, render_template_string, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.wrappers import Response as AnyResponse

from demo.hr_api import LocalServer

CLIENT = "demo-bot"
_LIFE = 300  # seconds of an access token, so that a renewal can be seen in the log
PEOPLE = {"ann": "Ann Lee", "ben": "Ben Ortiz"}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<meta name="viewport" content="width=device-width">
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui;max-width:26rem;margin:12vh auto;padding:0 1rem}
button{font:inherit;padding:.5rem 1rem;margin:.3rem .3rem 0 0}</style>
<h1>HR sign-in</h1><p>This stands in for your company's sign-in server. Who are you?</p>
<form method="post">{% for name, value in request.args.items() %}<input type="hidden" name="{{ name }}" value="{{ value }}">{% endfor %}
{% for who, name in people.items() %}<button name="who" value="{{ who }}">{{ name }}</button>{% endfor %}
<button name="who" value="">Deny</button></form></html>"""


class SignIn(LocalServer):
    """The server on a loopback port. `whose` says who has a token."""

    def __init__(self, port: int, callback: str) -> None:
        self._issuer = f"http://127.0.0.1:{port}"
        self._callback = callback
        self._key = RSAKey.generate_key(2048, {"kid": "demo", "use": "sig", "alg": "RS256"})
        self._codes: dict[str, dict[str, str]] = {}
        self._access: dict[str, tuple[str, float]] = {}
        self._refresh: dict[str, str] = {}
        super().__init__(self._app_of(), port)

    def whose(self, authorization: str) -> str | None:
        """Who has the token of an Authorization header; None where nobody does, any more."""
        who, until = self._access.get(authorization.removeprefix("Bearer "), ("", 0.0))
        return who if until > time.time() else None

    def _app_of(self) -> Flask:
        app = Flask("sign_in")
        app.get("/.well-known/openid-configuration")(self._metadata)
        app.get("/keys")(lambda: {"keys": [self._key.as_dict(private=False)]})
        app.get("/authorize", endpoint="ask")(lambda: render_template_string(_PAGE, people=PEOPLE))
        app.post("/authorize", endpoint="answer")(self._answered)
        app.post("/token")(self._token)
        app.get("/userinfo")(self._userinfo)
        app.post("/revoke")(self._revoked)
        return app

    def _metadata(self) -> dict[str, Any]:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo",
                  "revocation_endpoint": "revoke", "jwks_uri": "keys"}  # fmt: skip
        return {"issuer": self._issuer} | {name: f"{self._issuer}/{path}" for name, path in places.items()}

    def _answered(self) -> AnyResponse:
        asked = request.form.to_dict()
        if asked.get("client_id") != CLIENT or asked.get("redirect_uri") != self._callback:
            abort(400, "This client is not known.")
        answer = {"state": asked.get("state", ""), "iss": self._issuer}
        if asked.get("who") not in PEOPLE:
            return redirect(f"{self._callback}?{urlencode(answer | {'error': 'access_denied'})}", 303)
        code = secrets.token_urlsafe(32)
        self._codes[code] = asked
        return redirect(f"{self._callback}?{urlencode(answer | {'code': code})}", 303)

    def _token(self) -> Response | dict[str, Any]:
        form = request.form
        if form.get("grant_type") == "refresh_token":
            who = self._refresh.pop(form.get("refresh_token", ""), None)
            return _refused() if who is None else self._tokens(who)
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or asked.get("code_challenge") != _challenge(form.get("code_verifier", "")):
            return _refused()
        now = int(time.time())
        claims = {"iss": self._issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked.get("nonce", "")}
        id_token = jwt.encode({"alg": "RS256", "kid": "demo"}, claims | _person(asked["who"]), self._key)
        return self._tokens(asked["who"]) | {"id_token": id_token}

    def _tokens(self, who: str) -> dict[str, Any]:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._access[access] = (who, time.time() + _LIFE)
        self._refresh[refresh] = who
        return {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": _LIFE}

    def _userinfo(self) -> dict[str, Any]:
        who = self.whose(request.headers.get("Authorization", ""))
        return _person(who) if who is not None else abort(401)

    def _revoked(self) -> str:
        who = self._refresh.pop(request.form.get("token", ""), None)
        self._access = {token: one for token, one in self._access.items() if one[0] != who}
        return ""


def _person(who: str) -> dict[str, Any]:
    return {"sub": who, "name": PEOPLE[who], "email": f"{who}@example.com", "email_verified": True}


def _challenge(verifier: str) -> str:
    """PKCE's S256: RFC 7636, 4.2."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _refused() -> Response:
    return Response('{"error": "invalid_grant"}', 400, content_type="application/json")
