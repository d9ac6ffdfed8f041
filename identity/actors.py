"""Who asks, told to the API: a signed statement with each request (a JWT), a token that it is exchanged for, or plain headers.

What is stated is settled before anything reaches the model: the person and the workspace by Slack's event, the approver by the stored row,
the request as it is about to leave.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx2
from joserfc import jwt

from base.settings import Misconfigured
from base.slack_errors import SlackBusy, SlackUnsure
from catalog.auth import Actor
from catalog.catalog import Api
from identity.callers import Caller, Credential, NoCredential, Outgoing, unreadable
from identity.held_tokens import HeldToken, Token
from identity.identities import Way
from identity.service_ways import HeldTokens, bearer
from identity.signing_keys import KeyFiles, SigningKey, published
from identity.token_servers import TokenServers

_HOLDS = 60  # seconds
_UNKNOWN = "Slack can't confirm right now who asks, so nothing was sent. Try again in a minute."
EmailOf = Callable[[str], str]


class ActorWay(Way):
    """`actor`. `email_of` gives somebody's e-mail address, empty where Slack shows none; `clock` is seconds since 1970, `ids` makes random
    ids."""

    def __init__(
        self,
        held: HeldTokens,
        servers: TokenServers,
        keys: KeyFiles,
        *,
        email_of: EmailOf,
        ids: Callable[[], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._held = held
        self._servers = servers
        self._keys = keys
        self._email_of = email_of
        self._ids = ids
        self._clock = clock

    def credential(self, api: Api, request: Outgoing, by: float) -> Credential:
        """The headers that say who asks. Raises `NoCredential`."""
        said = _said(api)
        about = self._about(said, request.caller)
        plain = {name: about[what] for name, what in said.headers.items() if _fits(about.get(what, ""))}
        if not said.keys:
            return Credential(plain)
        if said.exchange is not None:
            own = bearer(self._exchanged(api, said, request.caller, about).text(by))
        else:
            own = self._stated(api, said, request, about)
        return Credential({**plain, **own.headers}, own.secrets, request.caller.asker, said.issuer or "")

    def renewed(self, api: Api, request: Outgoing, refused: Credential, by: float) -> bool:
        """Whether an exchanged token was exchanged again; a statement was made for the request and would fare no better."""
        said = _said(api)
        if said.exchange is None:
            return False
        about = self._about(said, request.caller)
        return self._exchanged(api, said, request.caller, about).is_renewed(refused.secrets, by)

    def _about(self, said: Actor, caller: Caller) -> Mapping[str, str]:
        """What is known of who asks, by the catalog's words. What is not known is left out."""
        about = {"asker": caller.asker, "team": caller.team, "approver": caller.approver}
        if said.needs_email:
            try:
                about["email"] = self._email_of(caller.asker)
            except (SlackBusy, SlackUnsure):
                raise NoCredential(_UNKNOWN) from None
        return {name: text for name, text in about.items() if text}

    def _stated(self, api: Api, said: Actor, request: Outgoing, about: Mapping[str, str]) -> Credential:
        """A statement about one request."""
        claims = {"request": _fingerprint(request)}
        text = self._signed(api, said, said.audience or api.base_url, about, claims)
        prefix = said.prefix if said.prefix is not None else "Bearer" if said.header.lower() == "authorization" else ""
        return Credential({said.header: f"{prefix} {text}".strip()}, (text,))

    def _exchanged(self, api: Api, said: Actor, caller: Caller, about: Mapping[str, str]) -> HeldToken:
        """The token that one person's statement was exchanged for. It is used for all that the person asks, so no request is in it."""
        exchange = said.exchange
        assert exchange is not None
        who = {name: text for name, text in about.items() if name != "approver"}

        def fetch(by: float) -> Token:
            return self._servers.exchanged(api.name, exchange, lambda aud: self._signed(api, said, aud, who, {}), by)

        return self._held.of((exchange, said.issuer, said.keys, tuple(sorted(who.items()))), fetch)

    def _signed(self, api: Api, said: Actor, audience: str, about: Mapping[str, str], more: Mapping[str, Any]) -> str:
        """A statement of who asks. `typ` is JWT: Kong and Spring take no other."""
        key, now = self._key(api, said), int(self._clock())
        claims = {
            "iss": said.issuer,
            "aud": audience,
            "sub": about["asker"],
            "iat": now,
            "exp": now + _HOLDS,
            "jti": self._ids(),
            **{name: text for name, text in about.items() if name != "asker"},
            **more,
        }
        head = {"alg": key.algorithm, "typ": "JWT", **key.header}
        return jwt.encode(head, claims, key.key, algorithms=[key.algorithm])

    def _key(self, api: Api, said: Actor) -> SigningKey:
        try:
            return self._keys.of_actor(said)[0]
        except Misconfigured as error:
            raise unreadable(api.name, error) from None


def _fits(text: str) -> bool:
    """Whether a header can carry this; an address that it cannot is left out."""
    return bool(text) and text.isascii() and text.isprintable()


def _said(api: Api) -> Actor:
    assert api.auth is not None
    assert api.auth.actor is not None
    return api.auth.actor


def _fingerprint(request: Outgoing) -> Mapping[str, str]:
    """What tells this request from every other one: the URL as it is sent, less a key of the API's in its query, and its body's hash."""
    body = hashlib.sha256(request.body or b"").hexdigest()
    return {"method": request.method, "url": str(httpx2.URL(request.url)), "body_sha256": body}


def jwks(apis: Iterable[Api], keys: KeyFiles) -> str:
    """The public keys of all actors, as JSON (RFC 7517). What cannot be read is left out: the log says so where it is used."""
    all_keys: list[SigningKey] = []
    for api in apis:
        actor = api.auth.actor if api.auth is not None else None
        if actor is not None and actor.keys:
            try:
                all_keys += keys.of_actor(actor)
            except Misconfigured:
                continue
    return json.dumps(published(all_keys))
