"""Door to token servers: what Authlib says to them and hears, within bounds on time and size, and in words of our own.

The servers are untrusted: they may be slow, lie, or repeat a secret in what they say. Nothing of their texts goes on but the token itself
and error codes that there are. Which API a token is for, and how long it is kept, is no matter of this file.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import httpcore2
import httpx2
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import get_well_known_url
from cachetools import TTLCache

from base.deadline import BROKEN, PACKED, Deadline, client, transport
from base.json_text import loads
from base.proxies import STRAIGHT, WayOut
from base.unpack import TooLarge
from catalog.auth import ClientCredentials
from catalog.values import is_for_secrets
from identity.callers import NoCredential
from identity.held_tokens import Token
from identity.signing_keys import KeyFiles, SigningKey

log = structlog.get_logger("tokens")
_TIME = 10.0  # seconds for one conversation
_MOST = 1_000_000  # bytes of one answer
_UNSAID = 300.0  # seconds for which a token holds whose server does not say (RFC 6749, 5.1: expires_in is recommended, not required)
_LONGEST = 86_400.0  # seconds after which every token is renewed
_KNOWN_FOR = 3_600.0  # seconds for which it is believed what a token server says of itself
_ASSERTED_FOR = 300  # seconds that a signed statement of who the bot is holds; Okta takes an hour at most
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name (RFC 8693, 3)
# The error codes of RFC 6749 (5.2), 8693 (2.2.2) and 8707, and those that servers add: nothing else of an error is repeated.
_CODES = frozenset(
    ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
     "invalid_target", "access_denied", "server_error", "temporarily_unavailable", "slow_down")
)  # fmt: skip
_AWAY = "The token server of {api} gave no usable answer ({why}). Try again later."
_NO = "The token server of {api} gives the bot no token ({code}). The bot's operators have to look at {key} in the catalog."
FAILURES = (httpx2.HTTPError, *BROKEN, TooLarge)


class TokenServers:
    """The token servers of a catalog. `clock` is seconds since 1970, `ticks` those by which tokens are held."""

    def __init__(
        self,
        keys: KeyFiles,
        way: WayOut = STRAIGHT,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._way = way
        self._clock = clock
        self._ticks = ticks
        self._lock = threading.Lock()
        self._known: TTLCache[str, Mapping[str, Any]] = TTLCache(256, _KNOWN_FOR)

    def own_token(self, api: str, said: ClientCredentials, by: float) -> Token:
        """A token of the bot's own, had by then (monotonic seconds). Raises `NoCredential`."""
        return self._conversation(api, "auth.client_credentials", said, by).token("client_credentials")

    def exchanged(self, api: str, said: ClientCredentials, subject: Callable[[str], str], by: float) -> Token:
        """A token of the API's for somebody (RFC 8693). `subject` gives the signed statement for an audience. Raises `NoCredential`."""
        talk = self._conversation(api, "auth.actor.exchange", said, by)
        more = {
            "subject_token": subject(talk.audience),
            "subject_token_type": _JWT,
            "requested_token_type": _ACCESS_TOKEN,
        }
        return talk.token(_EXCHANGE, more)

    def _conversation(self, api: str, key: str, said: ClientCredentials, by: float) -> _Conversation:
        by = min(by, time.monotonic() + _TIME)
        words = _Words(api, key)
        metadata = self._metadata(words, said.issuer, by) if said.issuer is not None else {}
        signing = self._keys.of_client(said) if said.client_secret is None else None
        return _Conversation(words, said, metadata, signing, self._way, by, self._clock, self._ticks)

    def _metadata(self, words: _Words, issuer: str, by: float) -> Mapping[str, Any]:
        """What a token server says of itself, by either of the two standards. Raises `NoCredential`."""
        with self._lock:
            known = self._known.get(issuer)
        if known is None:
            known = _discovered(words, issuer, self._way, by)
            with self._lock:
                self._known[issuer] = known
        return known


@dataclass(frozen=True)
class _Words:
    """How failures are told of an API's token server; `key` is where the catalog names it."""

    api: str
    key: str

    def away(self, why: str) -> NoCredential:
        """The server is away, or makes no sense."""
        log.warning("no token", api=self.api, reason=why)
        return NoCredential(_AWAY.format(api=self.api, why=why))

    def refused(self, code: object) -> NoCredential:
        """The server says no."""
        known = code if isinstance(code, str) and code in _CODES else "with an error that is none of OAuth's"
        log.error("no token", api=self.api, reason=known, hint=f"look at {self.key} in the catalog")
        return NoCredential(_NO.format(api=self.api, code=known, key=self.key))


def _discovered(words: _Words, issuer: str, way: WayOut, by: float) -> Mapping[str, Any]:
    """The metadata of an issuer: OpenID Connect's, else those of RFC 8414. They have to name the issuer itself (RFC 8414, 3.3)."""
    deadline = Deadline()
    places = [
        get_well_known_url(issuer, external=True, suffix="openid-configuration"),
        get_well_known_url(issuer, True),
    ]
    if issuer.rstrip("/") != _origin(issuer):
        places.insert(0, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    with client(deadline, way, keepalive=0) as asking, deadline.until(by, most=_MOST):
        for place in places:
            try:
                answer = asking.get(place, headers={"Accept": "application/json"})
                found = loads(answer.content) if answer.status_code == HTTPStatus.OK else None
            except FAILURES as error:
                raise words.away(_why(error)) from None
            except (ValueError, RecursionError):
                raise words.away("its metadata are no JSON") from None
            if isinstance(found, dict):
                return _checked(words, issuer, found)
    raise words.away("it has no metadata; write token_url in place of issuer")


def _checked(words: _Words, issuer: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata that may be used. A slash at the end tells no two issuers apart: people leave it out."""
    named, endpoint = found.get("issuer"), found.get("token_endpoint")
    if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
        raise words.away("its metadata are those of another issuer")
    is_nearer = str(endpoint).startswith("http:") and not issuer.startswith(
        "http:"
    )  # what listens on this machine is another one
    if not isinstance(endpoint, str) or not is_for_secrets(endpoint) or is_nearer:
        raise words.away("its metadata name no token endpoint under https")
    return found


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class _Conversation:
    """One conversation with one server, over by `by` (monotonic seconds)."""

    words: _Words
    said: ClientCredentials
    metadata: Mapping[str, Any]
    key: SigningKey | None
    way: WayOut
    by: float
    clock: Callable[[], float]
    ticks: Callable[[], float]

    @property
    def url(self) -> str:
        """Where tokens are to be had."""
        return self.said.token_url or str(self.metadata["token_endpoint"])

    @property
    def audience(self) -> str:
        """By what the server knows itself: its issuer as it writes it, else its token endpoint (draft-ietf-oauth-rfc7523bis, 4)."""
        return self.said.assertion_audience or str(self.metadata.get("issuer") or self.url)

    def token(self, grant: str, more: Mapping[str, str] | None = None) -> Token:
        """What the server gives for this grant. Raises `NoCredential`."""
        said, deadline = self.said, Deadline()
        asked = {"scope": " ".join(said.scopes), "audience": said.audience, "resource": said.resource, **(more or {})}
        began = self.ticks()
        with self._client(deadline) as asking, deadline.until(self.by, most=_MOST):
            try:
                found = asking.fetch_token(self.url, grant_type=grant, **asked)
            except OAuthError as error:
                raise self.words.refused(error.error) from None
            except FAILURES as error:
                raise self.words.away(_why(error)) from None
            except (
                ValueError,
                TypeError,
                AttributeError,
                OverflowError,
                RecursionError,
            ):  # Authlib reads what comes unchecked
                raise self.words.away("no JSON of a token") from None
        return self._read(found, began)

    def _client(self, deadline: Deadline) -> OAuth2Client:
        """Authlib's client, for one grant."""
        said, method = self.said, self._method()
        is_basic = (
            method == "client_secret_basic"
        )  # RFC 6749, 2.3.1: both encoded as in forms, which Authlib leaves out
        secret = said.client_secret.get_secret_value() if said.client_secret is not None else ""
        asking = OAuth2Client(
            quote(said.client_id, safe="") if is_basic else said.client_id,
            self.key.key if self.key is not None else quote(secret, safe="") if is_basic else secret,
            token_endpoint_auth_method=method,
            transport=transport(deadline, self.way, keepalive=0),
            headers=PACKED,
            follow_redirects=False,
            trust_env=False,
        )
        if self.key is not None:
            expires = {"exp": int(self.clock()) + _ASSERTED_FOR}
            asking.register_client_auth_method(
                PrivateKeyJWT(self.audience, claims=expires, headers=dict(self.key.header), alg=self.key.algorithm)
            )
        return asking

    def _method(self) -> str:
        """How the bot shows who it is."""
        if self.key is not None:
            return "private_key_jwt"
        if self.said.client_auth is not None:
            return f"client_secret_{self.said.client_auth}"
        known = self.metadata.get("token_endpoint_auth_methods_supported")
        is_post = isinstance(known, list) and "client_secret_basic" not in known and "client_secret_post" in known
        return "client_secret_post" if is_post else "client_secret_basic"

    def _read(self, found: Mapping[str, Any], began: float) -> Token:
        """A token that can be sent as a bearer's, whose name some servers vary; its case does not count (RFC 6749, 5.1)."""
        text, kind = found.get("access_token"), found.get("token_type") or "bearer"
        if not isinstance(text, str) or not text or not (text.isascii() and text.isprintable() and " " not in text):
            raise self.words.away("no token in it")
        if not isinstance(kind, str) or not kind.lower().startswith(("bearer", "n_a")):  # n_a: RFC 8693, 2.2.1
            raise self.words.away("a token that is no bearer's")
        return Token.lasting(text, _seconds(found.get("expires_in")), began)


def _why(error: BaseException) -> str:
    """Our own words: the libraries' texts may repeat what was sent."""
    match error:
        case httpx2.HTTPStatusError():
            return f"HTTP {error.response.status_code}"
        case httpx2.TimeoutException() | httpcore2.TimeoutException():
            return "time-out"
        case TooLarge():
            return "an answer without an end"
    return "the connection failed"


def _seconds(told: object) -> float:
    """How long a token holds: a number, or one written as text, as Entra's older form has it."""
    try:
        seconds = float(told)  # type: ignore[arg-type]  # whatever the server wrote
    except (TypeError, ValueError, OverflowError):
        return _UNSAID
    return min(seconds, _LONGEST) if math.isfinite(seconds) and seconds > 0 else _UNSAID
