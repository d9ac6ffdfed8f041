"""The conversation with the sign-in servers of the catalog's APIs: OAuth 2.0 and OpenID Connect, by Authlib and joserfc.

Nothing is kept here but what a server says of itself (metadata, keys; for an hour). What is kept of people is for `accounts.py`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from authlib.oauth2.rfc8414 import get_well_known_url as oauth_url
from authlib.oidc.discovery import get_well_known_url as openid_url
from cachetools import TTLCache
from joserfc.jwk import KeySet

from base import words
from base.proxies import STRAIGHT, WayOut
from base.visible import on_line
from catalog.auth import OAuth2
from catalog.catalog import Api
from catalog.values import is_for_secrets
from identity.callers import NoCredential
from identity.id_tokens import Expected, claims_of, key_set
from identity.provider_line import PATIENCE, ProviderLine, Refusal

log = structlog.get_logger("providers")
_KEPT = 3_600  # seconds for which metadata and keys are believed
_SERVERS = 200  # of which so much is kept
_MOST_TOKEN = 16_000  # characters: beyond that no header takes it
_MOST_LIFE = 10 * 365 * 86_400.0  # seconds
_SHOWN = 200  # characters of a name that a server gives
_SLOWER = 5.0  # seconds by which a device is to ask less often: RFC 8628, 3.5
_NOT_YET = ("authorization_pending", "slow_down")  # what a device hears while its person is at it: RFC 8628, 3.5
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class ProviderRefused(NoCredential):
    """A sign-in server said no. `code` is its `error` (RFC 6749, 5.2), "unknown" where that is no such code."""

    def __init__(self, api: str, code: object) -> None:
        self.code = code if isinstance(code, str) and re.fullmatch(r"[\w.:/-]{1,60}", code, re.ASCII) else "unknown"
        said = words.PROVIDER_REFUSED_BY.get(self.code, words.PROVIDER_REFUSED)
        super().__init__(said.format(api=api, code=self.code))


class SlowDown(ProviderRefused):
    """A device asked too often: from now on it waits `seconds` longer between two looks."""

    def __init__(self, api: str) -> None:
        super().__init__(api, "slow_down")
        self.seconds = _SLOWER


@dataclass(frozen=True)
class Grant:
    """What a person let the bot have: tokens, and whose they are. `expires_at`: seconds since 1970, None where the server does not say;
    `scopes`: as granted; `subject` and `issuer`: whose it is, empty after a renewal; the texts are the server's, unescaped."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    name: str = ""
    email: str = ""
    email_verified: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON has it: with its tokens, so only for what is encrypted."""
        return asdict(self) | {"scopes": list(self.scopes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Grant:
        """The way back."""
        return cls(**{**data, "scopes": tuple(data["scopes"])})


@dataclass(frozen=True)
class DeviceStart:
    """A sign-in on another device (RFC 8628): what the person types where, and how long and how often to look (seconds)."""

    device_code: str = field(repr=False)
    user_code: str
    verification_url: str
    expires_at: float
    interval: float
    complete_url: str = ""


@dataclass(frozen=True)
class Tokens:
    """What lets in, and what gets another such token; empty: there is none."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True)
class _Server:
    """A sign-in server as it says of itself, or as the catalog says of it."""

    issuer: str
    authorize: str
    token: str
    jwks: str
    userinfo: str
    revoke: str
    device: str
    client_auth: str
    tells_issuer: bool


class Providers:
    """The sign-in servers of one bot. Thread-safe; each method may take as long as its requests may. `clock`: seconds since 1970.

    What is said below raises `NoCredential` where a server is away, slow or not to be trusted, and `ProviderRefused` where it says no.
    """

    def __init__(self, clock: Callable[[], float], way: WayOut = STRAIGHT) -> None:
        self._clock = clock
        self._line = ProviderLine(way)
        self._lock = threading.Lock()
        self._servers: TTLCache[str, tuple[OAuth2, _Server]] = TTLCache(_SERVERS, _KEPT)
        self._keys: TTLCache[str, KeySet] = TTLCache(_SERVERS, _KEPT)

    # --- connecting ---------------------------------------------------------------------------------------------------

    def authorization_url(self, api: Api, *, state: str, nonce: str, verifier: str, redirect_uri: str) -> str:
        """Where a person's browser goes to sign in, with PKCE (S256). `verifier`: 43 to 128 letters and digits, kept until the code is
        redeemed."""
        oauth2 = _of(api)
        server = self._server(api)
        session = self._line.session(oauth2, server.client_auth)
        more = {"nonce": nonce} if "openid" in oauth2.scopes else {}
        more |= {"audience": oauth2.audience} if oauth2.audience else {}
        more |= _resource(oauth2) | oauth2.authorize_params
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
        oauth2, server = _of(api), self._server(api)
        self._check_answer(api, server, params, state)
        if "error" in params:
            raise ProviderRefused(api.name, params["error"])
        if not params.get("code"):
            raise NoCredential(words.PROVIDER_ODD.format(api=api.name))
        with self._asking(api):
            data = self._line.session(oauth2, server.client_auth).fetch_token(
                server.token,
                grant_type="authorization_code",
                code=params["code"],
                redirect_uri=redirect_uri,
                code_verifier=verifier,
                **_resource(oauth2),
            )
        return self._whole_grant(api, server, data, nonce)

    def _check_answer(self, api: Api, server: _Server, params: Mapping[str, str], state: str) -> None:
        """An answer of another sign-in, or of another server (RFC 9207), is none."""
        said, known = params.get("iss"), bool(_of(api).issuer)
        is_of_another = known and said != server.issuer and (said is not None or server.tells_issuer)
        if params.get("state") != state or is_of_another:
            log.warning("answer of another sign-in", api=api.name, of_another_issuer=is_of_another)
            raise NoCredential(words.SIGN_IN_MIXED_UP.format(api=api.name))

    def begin_device(self, api: Api) -> DeviceStart:
        """Begins a sign-in on another device (RFC 8628)."""
        oauth2, server, now = _of(api), self._server(api), self._clock()
        form = {"client_id": oauth2.client_id} | _resource(oauth2)
        form |= {"scope": " ".join(oauth2.scopes)} if oauth2.scopes else {}
        form |= {"audience": oauth2.audience} if oauth2.audience else {}
        with self._asking(api):
            _, said = self._line.post(server.device, form, oauth2, server.client_auth)
            if "error" in said:
                raise Refusal(said["error"])
            return DeviceStart(
                _token(said["device_code"]),
                on_line(str(said["user_code"]))[:_SHOWN],
                _url(said.get("verification_uri") or said["verification_url"]),  # Google's word
                now + min(float(said["expires_in"]), _KEPT),
                min(max(float(said.get("interval") or _SLOWER), 1.0), 60.0),
                _url(said["verification_uri_complete"]) if said.get("verification_uri_complete") else "",
            )

    def poll_device(self, api: Api, start: DeviceStart) -> Grant | None:
        """What came of it; None while the person has not decided. Raises `SlowDown`, too."""
        oauth2, server = _of(api), self._server(api)
        try:
            with self._asking(api):
                session = self._line.session(oauth2, server.client_auth)
                data = session.fetch_token(server.token, grant_type=DEVICE_GRANT, device_code=start.device_code)
        except ProviderRefused as error:
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
        oauth2, server = _of(api), self._server(api)
        with self._asking(api, seconds):
            session = self._line.session(oauth2, server.client_auth)
            data = session.refresh_token(server.token, refresh_token=refresh_token, **_resource(oauth2))
            return self._grant(api, data)

    def revoke(self, api: Api, tokens: Tokens | Grant) -> bool:
        """Gives tokens back at the server (RFC 7009), the refresh token where there is one, since the other one ends with it. False where
        the server takes none back."""
        oauth2, server = _of(api), self._server(api)
        if not server.revoke:
            return False
        kind = "refresh_token" if tokens.refresh_token else "access_token"
        with self._asking(api):
            session = self._line.session(oauth2, server.client_auth)
            token = tokens.refresh_token or tokens.access_token
            response = session.revoke_token(server.revoke, token=token, token_type_hint=kind)
            response.raise_for_status()
        return True

    def _whole_grant(self, api: Api, server: _Server, data: Mapping[str, Any], nonce: str) -> Grant:
        """A grant with whose it is, by its id_token and, for what that does not say, by the server's userinfo."""
        with self._asking(api):
            grant = self._grant(api, data)
        token = data.get("id_token") if server.jwks else None
        said: Mapping[str, Any] = {}
        if token is not None:
            keys = self._keys_of(api, server)
            expected = Expected(server.issuer, _of(api).client_id, nonce, grant.access_token, self._clock())
            with self._asking(api):
                said = claims_of(_token(token), expected, keys)
        elif "openid" in _of(api).scopes and _of(api).finds:
            log.warning("no id_token came, although openid was asked for", api=api.name)
            raise NoCredential(words.PROVIDER_ODD.format(api=api.name))
        if not said.get("email"):
            known = {name: one for name, one in said.items() if name != "email_verified"}  # it speaks of another one
            said = {**self._userinfo(api, server, grant.access_token, said), **known}
        return self._with_person(api, server, grant, said)

    def _with_person(self, api: Api, server: _Server, grant: Grant, said: Mapping[str, Any]) -> Grant:
        subject = _subject(said)
        if not subject:
            log.warning("the sign-in server does not say whose account it is", api=api.name)
            raise NoCredential(words.PROVIDER_ODD.format(api=api.name))
        names = (said.get("name"), said.get("preferred_username"), said.get("login"), said.get("email"))
        return Grant(
            grant.access_token,
            grant.refresh_token,
            grant.expires_at,
            grant.scopes,
            subject,
            server.issuer,
            next((_shown(one) for one in names if _shown(one)), ""),
            _shown(said.get("email")),
            str(said.get("email_verified")).lower() == "true",  # a text at some servers, Cognito's for one
        )

    def _userinfo(self, api: Api, server: _Server, token: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the server says of the person, who has to be the one of the id_token (OpenID Connect Core 5.3.2); nothing where it does not
        take a token that is for another API."""
        if not server.userinfo:
            return {}
        with self._asking(api):
            status, said = self._line.get(server.userinfo, token)
            if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and known:
                return {}
            if status != HTTPStatus.OK or (known and _subject(said) != _subject(known)):
                raise ValueError("userinfo")
        return said

    def _grant(self, api: Api, data: Mapping[str, Any]) -> Grant:
        """The tokens of an answer. Raises `ValueError` and the like where it is none: RFC 6749, 5.1."""
        if str(data.get("token_type") or "bearer").lower() != "bearer":
            raise ValueError("token_type")
        life = data.get("expires_in")
        ends = None if life in (None, "") else self._clock() + min(float(str(life)), _MOST_LIFE)
        given = data.get("scope")
        scopes = [one for one in (re.split(r"[\s,]+", given) if isinstance(given, str) else given or ()) if one]
        return Grant(
            _token(data["access_token"]),
            _token(data["refresh_token"]) if data.get("refresh_token") else "",
            ends,
            tuple(str(one)[:_SHOWN] for one in scopes) if scopes else _of(api).scopes,  # left out: as asked for
        )

    # --- what a server says of itself ---------------------------------------------------------------------------------

    def _server(self, api: Api) -> _Server:
        oauth2 = _of(api)
        with self._lock:
            said, known = self._servers.get(api.name, (None, None))
        if known is not None and said == oauth2:
            return known
        found = self._found(api, oauth2) if oauth2.finds else _written(oauth2, {})
        with self._lock:
            self._servers[api.name] = (oauth2, found)
        return found

    def _found(self, api: Api, oauth2: OAuth2) -> _Server:
        """A server by its metadata: OpenID Connect's, or RFC 8414's where there is none."""
        for url in (openid_url(oauth2.issuer, external=True), oauth_url(oauth2.issuer, external=True)):
            with self._asking(api):
                status, said = self._line.get(url)
            if status == HTTPStatus.OK:
                return self._believed(api, oauth2, said)
        log.warning("the sign-in server has no metadata", api=api.name, issuer=oauth2.issuer, status=status)
        raise NoCredential(words.PROVIDER_ODD.format(api=api.name))

    def _believed(self, api: Api, oauth2: OAuth2, said: Mapping[str, Any]) -> _Server:
        if said.get("issuer") != oauth2.issuer:
            hint = "write exactly its own issuer into the catalog; at Entra ID that is the one with the tenant's id"
            its = on_line(str(said.get("issuer")))[:_SHOWN]
            log.error("metadata of another issuer", api=api.name, issuer=oauth2.issuer, its_issuer=its, hint=hint)
            raise NoCredential(words.PROVIDER_ODD.format(api=api.name))
        with self._asking(api):
            return _written(oauth2, said)

    def _keys_of(self, api: Api, server: _Server) -> Callable[[bool], KeySet]:
        """How a server's keys are had: those that are kept, or with `True` fetched anew."""

        def keys(anew: bool) -> KeySet:
            with self._lock:
                known = None if anew else self._keys.get(server.jwks)
            if known is not None:
                return known
            status, said = self._line.get(server.jwks)
            if status != HTTPStatus.OK:
                raise ValueError("no keys")
            found = key_set(said)
            with self._lock:
                self._keys[server.jwks] = found
            return found

        return keys

    @contextmanager
    def _asking(self, api: Api, seconds: float = PATIENCE) -> Iterator[None]:
        try:
            with self._line.asking(api.name, seconds):
                yield
        except Refusal as refusal:
            refused = ProviderRefused(api.name, refusal.code)
            if refused.code not in _NOT_YET:
                log.info("sign-in server refused", api=api.name, code=refused.code)
            raise refused from None


def lacking(api: Api, grant: Grant) -> tuple[str, ...]:
    """The scopes that were asked for and not granted. What OpenID Connect itself asks for is not counted: servers leave it out of what
    they say, or call it by another name."""
    return tuple(one for one in _of(api).scopes if one not in (*grant.scopes, *_OPENID))


_OPENID = ("openid", "profile", "email", "address", "phone", "offline_access")


def _of(api: Api) -> OAuth2:
    assert api.auth is not None
    assert api.auth.oauth2 is not None
    return api.auth.oauth2


def _resource(oauth2: OAuth2) -> dict[str, str]:
    return {"resource": oauth2.resource} if oauth2.resource else {}


def _written(oauth2: OAuth2, said: Mapping[str, Any]) -> _Server:
    """A server by its metadata, and before it by the catalog. Raises `ValueError` where an address is not to be trusted."""

    def url(mine: str, name: str) -> str:
        return mine or _safe_url(oauth2, said.get(name))

    methods = said.get("token_endpoint_auth_methods_supported")
    found = _Server(
        oauth2.issuer_name,
        url(oauth2.authorize_url, "authorization_endpoint"),
        url(oauth2.token_url, "token_endpoint"),
        url(oauth2.jwks_url, "jwks_uri"),
        url(oauth2.userinfo_url, "userinfo_endpoint"),
        url(oauth2.revoke_url, "revocation_endpoint"),
        url(oauth2.device_url, "device_authorization_endpoint"),
        _client_auth(oauth2, methods if isinstance(methods, list) else []),
        said.get("authorization_response_iss_parameter_supported") is True,
    )
    if not found.token:
        raise ValueError("no token_endpoint")
    return found


def _safe_url(oauth2: OAuth2, given: object) -> str:
    """An address out of metadata: https, or on this machine where the server itself is."""
    if given is None:
        return ""
    url = _url(given)
    if url.startswith("http:") and not oauth2.issuer.startswith("http:"):
        raise ValueError("an address on this machine")
    return url


def _client_auth(oauth2: OAuth2, supported: list[object]) -> str:
    if oauth2.client_secret is None:
        return "none"
    if oauth2.client_auth is not None:
        return f"client_secret_{oauth2.client_auth}"
    only_post = "client_secret_post" in supported and "client_secret_basic" not in supported
    return "client_secret_post" if only_post else "client_secret_basic"


def _token(given: object) -> str:
    """A token that can travel in a header. Raises `ValueError`."""
    if not isinstance(given, str) or not re.fullmatch(r"[\x21-\x7e]+", given) or len(given) > _MOST_TOKEN:
        raise ValueError("no token")
    return given


def _subject(said: Mapping[str, Any]) -> str:
    """Whose an account is: `sub`, or where a server without OpenID Connect has none (GitHub), its `id`."""
    found = said.get("sub", said.get("id"))
    is_id = isinstance(found, str | int) and not isinstance(found, bool)
    return str(found) if is_id and str(found).isprintable() and len(str(found)) <= _SHOWN else ""


def _shown(given: object) -> str:
    return given.strip()[:_SHOWN] if isinstance(given, str) else ""


def _url(given: object) -> str:
    """An address that a server gives. Raises `ValueError` where what is sent there could be read on the way."""
    if not isinstance(given, str) or not is_for_secrets(given):
        raise ValueError("no address")
    return given
