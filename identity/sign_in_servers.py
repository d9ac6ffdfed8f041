"""The conversation with the sign-in servers of the catalog's APIs, which give people's tokens: OAuth 2.0 and OpenID Connect, by Authlib.

Nothing is kept here but what a server says of itself (metadata, keys; for an hour). What is kept of people is for `accounts.py`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from authlib.integrations.httpx_client import OAuth2Client
from cachetools import TTLCache
from joserfc.jwk import KeySet

from base import words
from base.proxies import STRAIGHT, WayOut
from base.settings import Misconfigured
from catalog.auth import OAuth2
from catalog.catalog import Api
from identity.callers import NoCredential, unreadable
from identity.client_auth import ClientAuth
from identity.grants import (
    SLOWER,
    DeviceStart,
    Grant,
    Tokens,
    device_start_in,
    grant_in,
    subject_in,
    token_in,
    with_person,
)
from identity.id_tokens import Expected, claims_of, key_set
from identity.metadata import KEPT, SERVERS, Discovery, Metadata, other_issuer
from identity.oauth_line import PATIENCE, Away, OAuthLine, Odd, Refusal, read_answer
from identity.signing_keys import KeyFiles

log = structlog.get_logger("sign-in")
_NOT_YET = ("authorization_pending", "slow_down")  # what a device hears while its person is at it: RFC 8628, 3.5
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class SignInRefused(NoCredential):
    """A sign-in server said no. `code` is its `error` (RFC 6749, 5.2), "unknown" where that is no such code."""

    def __init__(self, api: str, code: object) -> None:
        self.code = code if isinstance(code, str) and re.fullmatch(r"[\w.:/-]{1,60}", code, re.ASCII) else "unknown"
        said = words.SIGN_IN_REFUSED_BY.get(self.code, words.SIGN_IN_REFUSED)
        super().__init__(said.format(api=api, code=self.code))


class SlowDown(SignInRefused):
    """A device asked too often: from now on it waits `seconds` longer between two looks."""

    def __init__(self, api: str) -> None:
        super().__init__(api, "slow_down")
        self.seconds = SLOWER


@dataclass(frozen=True)
class _Server:
    """A sign-in server: its addresses as the catalog says, else as it says of itself."""

    issuer: str
    authorize: str
    token: str
    jwks: str
    userinfo: str
    revoke: str
    device: str
    metadata: Metadata

    @property
    def tells_issuer(self) -> bool:
        """Whether its answers to a sign-in say which server they are of (RFC 9207)."""
        return self.metadata.document.get("authorization_response_iss_parameter_supported") is True


class SignInServers:
    """The sign-in servers of one bot. Thread-safe; each method may take as long as its requests may. `clock`: seconds since 1970.

    What is said below raises `NoCredential` where a server is away, slow or not to be trusted, and `SignInRefused` where it says no.
    """

    def __init__(self, clock: Callable[[], float], way: WayOut = STRAIGHT, keys: KeyFiles | None = None) -> None:
        self._clock = clock
        self._keys = keys or KeyFiles()
        self._line = OAuthLine(way)
        self._discovery = Discovery(self._line)
        self._lock = threading.Lock()
        self._key_sets: TTLCache[str, KeySet] = TTLCache(SERVERS, KEPT)

    # --- connecting ---------------------------------------------------------------------------------------------------

    def authorization_url(self, api: Api, *, state: str, nonce: str, verifier: str, redirect_uri: str) -> str:
        """Where a person's browser goes to sign in, with PKCE (S256). `verifier`: 43 to 128 letters and digits, kept until the code is
        redeemed."""
        oauth2, server = oauth2_of(api), self._server(api)
        more = {"nonce": nonce} if "openid" in oauth2.scopes else {}
        more |= {"audience": oauth2.audience} if oauth2.audience else {}
        more |= _resource(oauth2) | oauth2.authorize_params
        session = self._line.session(ClientAuth(oauth2.client_id, "none"))  # a browser shows nothing but the name
        url, _ = session.create_authorization_url(
            server.authorize,
            state=state,
            code_verifier=verifier,
            redirect_uri=redirect_uri,
            scope=" ".join(oauth2.scopes) or None,
            **more,
        )
        return str(url)

    def redeem(
        self, api: Api, *, params: Mapping[str, str], state: str, nonce: str, verifier: str, redirect_uri: str
    ) -> Grant:
        """What came of a sign-in. `params`: the query of the callback; the rest as it was sent."""
        server = self._server(api)
        self._check_answer(api, server, params, state)
        if "error" in params:
            raise SignInRefused(api.name, params["error"])
        if not params.get("code"):
            raise NoCredential(words.SIGN_IN_ODD.format(api=api.name))
        with self._asking(api):
            data = self._session(api, server).fetch_token(
                server.token,
                grant_type="authorization_code",
                code=params["code"],
                redirect_uri=redirect_uri,
                code_verifier=verifier,
                **_resource(oauth2_of(api)),
            )
        return self._whole_grant(api, server, data, nonce)

    def _check_answer(self, api: Api, server: _Server, params: Mapping[str, str], state: str) -> None:
        """An answer of another sign-in, or of another server (RFC 9207), is none."""
        said, known = params.get("iss"), bool(oauth2_of(api).issuer)
        is_of_another = known and said != server.issuer and (said is not None or server.tells_issuer)
        if params.get("state") != state or is_of_another:
            log.warning("answer of another sign-in", api=api.name, of_another_issuer=is_of_another)
            raise NoCredential(words.SIGN_IN_MIXED_UP.format(api=api.name))

    def begin_device(self, api: Api) -> DeviceStart:
        """Begins a sign-in on another device (RFC 8628)."""
        oauth2, server, now = oauth2_of(api), self._server(api), self._clock()
        form = _resource(oauth2)
        form |= {"scope": " ".join(oauth2.scopes)} if oauth2.scopes else {}
        form |= {"audience": oauth2.audience} if oauth2.audience else {}
        with self._asking(api):
            auth = self._auth(api, server)
            return device_start_in(self._line.post(server.device, auth.named | form, auth), now)

    def poll_device(self, api: Api, start: DeviceStart) -> Grant | None:
        """What came of it; None while the person has not decided. Raises `SlowDown`, too."""
        server = self._server(api)
        try:
            with self._asking(api):
                session = self._session(api, server)
                data = session.fetch_token(server.token, grant_type=DEVICE_GRANT, device_code=start.device_code)
        except SignInRefused as error:
            if error.code == "authorization_pending":
                return None
            if error.code == "slow_down":
                raise SlowDown(api.name) from None
            raise
        return self._whole_grant(api, server, data, nonce="")

    def has_device_flow(self, api: Api) -> bool:
        """Whether people can sign in on another device."""
        return bool(self._server(api).device)

    # --- what was granted ---------------------------------------------------------------------------------------------

    def refresh(self, api: Api, refresh_token: str, seconds: float = PATIENCE) -> Grant:
        """New tokens for a refresh token, which may be spent by that. Whose they are is known already: an id_token that comes with them
        tells nothing new, and is not looked at."""
        oauth2, server = oauth2_of(api), self._server(api)
        with self._asking(api, seconds):
            session = self._session(api, server)
            data = session.refresh_token(server.token, refresh_token=refresh_token, **_resource(oauth2))
            return grant_in(data, oauth2, self._clock())

    def revoke(self, api: Api, tokens: Tokens | Grant) -> bool:
        """Gives tokens back at the server (RFC 7009), the refresh token where there is one, since the other one ends with it. False where
        the server takes none back."""
        server = self._server(api)
        if not server.revoke:
            return False
        kind = "refresh_token" if tokens.refresh_token else "access_token"
        with self._asking(api):
            token = tokens.refresh_token or tokens.access_token
            response = self._session(api, server).revoke_token(server.revoke, token=token, token_type_hint=kind)
            if not response.is_success:  # or its body says nothing: RFC 7009, 2.2
                _, said = read_answer(response)
                if "error" in said:
                    raise Refusal(said["error"])
                response.raise_for_status()
        return True

    def _whole_grant(self, api: Api, server: _Server, data: Mapping[str, Any], nonce: str) -> Grant:
        """A grant with whose it is, by its id_token and, for what that does not say, by the server's userinfo."""
        with self._asking(api):
            grant = grant_in(data, oauth2_of(api), self._clock())
        said = self._claims(api, server, data.get("id_token"), grant, nonce)
        if not said.get("email"):
            known = {name: one for name, one in said.items() if name != "email_verified"}  # it speaks of another one
            said = {**self._userinfo(api, server, grant.access_token, said), **known}
        whole = with_person(grant, server.issuer, said)
        if not whole.subject:
            log.warning("the sign-in server does not say whose account it is", api=api.name)
            raise NoCredential(words.SIGN_IN_ODD.format(api=api.name))
        return whole

    def _claims(self, api: Api, server: _Server, token: object, grant: Grant, nonce: str) -> Mapping[str, Any]:
        """What an id_token says, nothing where none was to come."""
        oauth2 = oauth2_of(api)
        if token is not None and server.jwks:
            expected = Expected(server.issuer, oauth2.client_id, nonce, grant.access_token, self._clock())
            with self._asking(api):
                return claims_of(token_in(token), expected, lambda again: self._keys_of(server, again=again))
        if "openid" in oauth2.scopes and oauth2.finds:
            log.warning("no id_token came, although openid was asked for", api=api.name)
            raise NoCredential(words.SIGN_IN_ODD.format(api=api.name))
        return {}

    def _userinfo(self, api: Api, server: _Server, token: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the server says of the person, who has to be the one of the id_token (OpenID Connect Core 5.3.2); nothing where it does not
        take a token that is for another API."""
        if not server.userinfo:
            return {}
        with self._asking(api):
            status, said = self._line.get(server.userinfo, token)
            if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and known:
                return {}
            if status != HTTPStatus.OK or (known and subject_in(said) != subject_in(known)):
                raise ValueError("userinfo")
        return said

    # --- the servers --------------------------------------------------------------------------------------------------

    def _server(self, api: Api) -> _Server:
        oauth2 = oauth2_of(api)
        with self._in_words(api):
            if not oauth2.finds:
                return _server(oauth2, Metadata())
            by = time.monotonic() + PATIENCE
            return self._discovery.read(oauth2.issuer, by, lambda metadata: _server(oauth2, metadata))

    def _keys_of(self, server: _Server, *, again: bool) -> KeySet:
        """The keys by which a server signs: those that are kept, or fetched again."""
        with self._lock:
            known = None if again else self._key_sets.get(server.jwks)
        if known is not None:
            return known
        status, said = self._line.get(server.jwks)
        if status != HTTPStatus.OK:
            raise ValueError("no keys")
        keys = key_set(said)
        with self._lock:
            self._key_sets[server.jwks] = keys
        return keys

    def _session(self, api: Api, server: _Server) -> OAuth2Client:
        return self._line.session(self._auth(api, server))

    def _auth(self, api: Api, server: _Server) -> ClientAuth:
        return server.metadata.client_auth(oauth2_of(api), server.token, self._keys, self._clock())

    @contextmanager
    def _asking(self, api: Api, seconds: float = PATIENCE) -> Iterator[None]:
        with self._in_words(api), self._line.asking(time.monotonic() + seconds):
            yield

    @contextmanager
    def _in_words(self, api: Api) -> Iterator[None]:
        """Turns what went wrong with an API's sign-in server into words for its person."""
        try:
            yield
        except Misconfigured as error:
            raise unreadable(api.name, error) from None
        except Refusal as refusal:
            refused = SignInRefused(api.name, refusal.code)
            if refused.code not in _NOT_YET:
                log.info("sign-in server refused", api=api.name, code=refused.code)
            raise refused from None
        except Away as error:
            log.warning("sign-in server away", api=api.name, reason=str(error))
            raise NoCredential(words.SIGN_IN_AWAY.format(api=api.name)) from None
        except Odd as error:
            log.warning("sign-in server's answer is odd", api=api.name, reason=str(error))
            raise NoCredential(words.SIGN_IN_ODD.format(api=api.name)) from None


def lacking(api: Api, granted: Sequence[str]) -> tuple[str, ...]:
    """The scopes that are asked for and were not granted. What OpenID Connect itself asks for is not counted: servers leave it out of what
    they say, or call it by another name."""
    return tuple(one for one in oauth2_of(api).scopes if one not in (*granted, *_OPENID))


_OPENID = ("openid", "profile", "email", "address", "phone", "offline_access")


def oauth2_of(api: Api) -> OAuth2:
    """What the catalog says of how people sign in, of an API that has that."""
    assert api.auth is not None
    assert api.auth.oauth2 is not None
    return api.auth.oauth2


def _resource(oauth2: OAuth2) -> dict[str, str]:
    return {"resource": oauth2.resource} if oauth2.resource else {}


def _server(oauth2: OAuth2, metadata: Metadata) -> _Server:
    """A server by the catalog, and where that says nothing by its metadata. Raises `Odd`; also where an issuer differs by its last slash
    alone, since id_tokens and accounts are told apart by it."""
    if oauth2.finds and metadata.document.get("issuer") != oauth2.issuer:
        raise other_issuer(oauth2.issuer, metadata.document.get("issuer"))
    return _Server(
        issuer=oauth2.issuer_name,
        authorize=oauth2.authorize_url or metadata.url("authorization_endpoint"),
        token=oauth2.token_url or metadata.token_url,
        jwks=oauth2.jwks_url or metadata.url("jwks_uri"),
        userinfo=oauth2.userinfo_url or metadata.url("userinfo_endpoint"),
        revoke=oauth2.revoke_url or metadata.url("revocation_endpoint"),
        device=oauth2.device_url or metadata.url("device_authorization_endpoint"),
        metadata=metadata,
    )
