"""How the bot shows an OAuth server who it is: by a secret (client_secret_basic, client_secret_post), by a statement that its private key
signs (private_key_jwt, RFC 7523), or by its name alone (none). Nothing is sent here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

from authlib.common.urls import add_params_to_qs
from authlib.oauth2.auth import encode_client_secret_basic
from authlib.oauth2.rfc7523 import PrivateKeyJWT

from catalog.auth import OAuthClient
from identity.signing_keys import Key, KeyFiles

_ASSERTED_FOR = 300  # seconds that a signed statement of who the bot is holds; Okta takes an hour at most
_BASIC, _POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True)
class ClientAuth:
    """One client, and how it shows who it is. `method`: by RFC 7591's names; `shows`: how Authlib does that, where it has to be told."""

    client_id: str
    method: str
    secret: str | Key | None = field(default=None, repr=False)
    shows: Callable[..., Any] | None = None

    @property
    def named(self) -> dict[str, str]:
        """What a form has to name the client by, where Authlib does not add that by itself: no form has it twice (RFC 6749, 3.2)."""
        return {"client_id": self.client_id} if self.method == _BASIC else {}


def client_auth(
    client: OAuthClient, keys: KeyFiles, *, audience: str, supported: Collection[object], now: float
) -> ClientAuth:
    """How a client of the catalog shows who it is. `audience`: for whom its statement is; `supported`: the methods that the server names;
    `now`: seconds since 1970. Raises `Misconfigured` where a key's file is of no use."""
    if client.has_key:
        key = keys.of_client(client)
        ends = {"exp": int(now) + _ASSERTED_FOR}
        signs = PrivateKeyJWT(audience, claims=ends, headers=dict(key.header), alg=key.algorithm)
        return ClientAuth(client.client_id, signs.name, key.key, partial(_named, signs))
    if client.client_secret is None:
        return ClientAuth(client.client_id, "none")
    method = _by_secret(client, supported)
    shows = _basic if method == _BASIC else None
    return ClientAuth(client.client_id, method, client.client_secret.get_secret_value(), shows)


def _by_secret(client: OAuthClient, supported: Collection[object]) -> str:
    """As the catalog says, else as the server does, else by Basic, which every server has to take (RFC 6749, 2.3.1)."""
    if client.client_auth is not None:
        return f"client_secret_{client.client_auth}"
    return _POST if _POST in supported and _BASIC not in supported else _BASIC


def _named(signs: PrivateKeyJWT, client: Any, method: str, url: str, headers: Any, body: str | None) -> Any:
    """A signed statement, and beside it the name that is in it: RFC 7521, 4.2, allows that, and Entra ID demands it."""
    return signs(client, method, url, headers, add_params_to_qs(body or "", [("client_id", client.client_id)]))


def _basic(client: Any, method: str, url: str, headers: Any, body: Any) -> Any:
    """HTTP Basic with name and secret encoded as forms are, which RFC 6749, 2.3.1, asks for and Authlib leaves out."""
    encoded = SimpleNamespace(client_id=quote_plus(client.client_id), client_secret=quote_plus(client.client_secret))
    return encode_client_secret_basic(encoded, method, url, headers, body)
