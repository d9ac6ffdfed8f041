"""Door to token servers, which give the bot tokens of its own and exchange statements of who asks; and how people hear of what they answer.

The servers are untrusted: nothing of their texts goes on but the token itself and error codes that there are. Which API a token is for, and
how long it is kept, is not this file's concern.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from base.proxies import STRAIGHT, WayOut
from base.settings import Misconfigured
from catalog.auth import TOKEN_TYPE, ClientCredentials, Exchange
from identity.callers import NoCredential, unreadable
from identity.held_tokens import Token, is_token
from identity.metadata import Discovery, Metadata
from identity.oauth_line import PATIENCE, Away, OAuthLine, Odd, Refusal
from identity.signing_keys import KeyFiles

log = structlog.get_logger("tokens")
_UNSAID = 300.0  # seconds for which a token holds whose server does not say (RFC 6749, 5.1: expires_in is recommended, not required)
_LONGEST = 86_400.0  # seconds after which every token is renewed
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_NOT_FOR_APIS = tuple(f"{TOKEN_TYPE}{one}" for one in ("refresh_token", "saml1", "saml2"))
# The error codes of RFC 6749 (5.2), 8693 (2.2.2) and 8707, and those that servers add: nothing else of an error is repeated.
_CODES = frozenset(
    ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
     "invalid_target", "access_denied", "server_error", "temporarily_unavailable", "slow_down",
     "invalid_resource", "interaction_required", "invalid_token", "unsupported_token_type")
)  # fmt: skip
_AWAY = "The token server of {api} gave no usable answer ({why}). Try again later."
_NO = "The token server of {api} gives the bot no token ({code}). The bot's operators have to look at {key} in the catalog."
_NO_TOKEN = "no JSON of a token"  # noqa: S105 - words
SubjectFor = Callable[[str], str]


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
        self._line = OAuthLine(way)
        self._discovery = Discovery(self._line)
        self._clock = clock
        self._ticks = ticks

    def own_token(self, api: str, client: ClientCredentials, by: float) -> Token:
        """A token of the bot's own, had by then (monotonic seconds). Raises `NoCredential`."""
        with _words(api, "auth.client_credentials"):
            return self._token(client, by, "client_credentials", lambda _audience: {})

    def exchanged(self, api: str, client: Exchange, subject: SubjectFor, by: float) -> Token:
        """A token of the API's for somebody (RFC 8693). `subject` gives the signed statement for an audience. Raises `NoCredential`."""
        with _words(api, "auth.actor.exchange"):
            return self._token(client, by, _EXCHANGE, lambda audience: _exchange(client, subject(audience)))

    def _token(self, client: ClientCredentials, by: float, grant: str, more: Callable[[str], dict[str, str]]) -> Token:
        """A token by this grant. `more` is what its form has beside, by how the server knows itself."""
        by = min(by, time.monotonic() + PATIENCE)
        url, metadata = self._server(client, by)
        form = {"scope": " ".join(client.scopes), "audience": client.audience, "resource": client.resource}
        form |= more(metadata.audience(client, url))
        auth = metadata.client_auth(client, url, self._keys, self._clock())
        began = self._ticks()
        with self._line.asking(by):
            answer = self._line.session(auth).fetch_token(url, grant_type=grant, **form)
        return _read(answer, began)

    def _server(self, client: ClientCredentials, by: float) -> tuple[str, Metadata]:
        """Where tokens are to be had, and what the server says of itself, where it is asked."""
        if client.token_url:
            return client.token_url, Metadata()
        return self._discovery.read(client.issuer, by, lambda metadata: (metadata.token_url, metadata))


def _exchange(client: Exchange, statement: str) -> dict[str, str]:
    kinds = {"subject_token_type": client.subject_token_type, "requested_token_type": client.requested_token_type}
    return {"subject_token": statement, **kinds}


@contextmanager
def _words(api: str, key: str) -> Iterator[None]:
    """Turns what went wrong with an API's token server into `NoCredential`; `key` is where the catalog names it."""
    try:
        yield
    except Misconfigured as error:
        raise unreadable(api, error) from None
    except Refusal as refusal:
        known = isinstance(refusal.code, str) and refusal.code in _CODES
        code = refusal.code if known else "with an error that OAuth does not define"
        log.error("no token", api=api, reason=code, hint=f"look at {key} in the catalog")  # noqa: TRY400 - the code says all
        raise NoCredential(_NO.format(api=api, code=code, key=key)) from None
    except (Away, Odd) as error:
        why = str(error) or _NO_TOKEN
        log.warning("no token", api=api, reason=why)
        raise NoCredential(_AWAY.format(api=api, why=why)) from None


def _read(answer: Mapping[str, Any], began: float) -> Token:
    """A token that can be sent as a bearer's, whose name some servers vary; its case does not count (RFC 6749, 5.1)."""
    text, kind = answer.get("access_token"), answer.get("token_type") or "bearer"
    if not is_token(text):
        raise Odd("no token in it")
    if not isinstance(kind, str) or not kind.lower().startswith(("bearer", "n_a")):  # n_a: RFC 8693, 2.2.1
        raise Odd("a token that is no bearer's")
    if answer.get("issued_token_type") in _NOT_FOR_APIS:  # RFC 8693, 2.2.1: it may be another than was asked for
        raise Odd("a token that is not for APIs")
    return Token.lasting(text, _seconds(answer.get("expires_in")), began)


def _seconds(given: object) -> float:
    """How long a token holds: a number, or one written as text, as Entra's older form has it."""
    try:
        seconds = float(given)  # type: ignore[arg-type]  # whatever the server wrote
    except (TypeError, ValueError, OverflowError):
        return _UNSAID
    return min(seconds, _LONGEST) if math.isfinite(seconds) and seconds > 0 else _UNSAID
