"""What OAuth servers say of themselves: OpenID Connect's discovery, and RFC 8414's. Believed for an hour, and only what the issuer itself
says (RFC 8414, 3.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from authlib.oauth2.rfc8414 import get_well_known_url as oauth_url
from authlib.oidc.discovery import get_well_known_url as openid_url
from cachetools import TTLCache

from base.visible import on_line
from catalog.auth import OAuthClient
from catalog.values import is_for_secrets
from identity.client_auth import ClientAuth, client_auth
from identity.oauth_line import OAuthLine, Odd
from identity.signing_keys import KeyFiles

log = structlog.get_logger("oauth")
KEPT = 3_600.0  # seconds for which a server is believed what it says of itself
SERVERS = 256  # of which so much is kept
_SHOWN = 200  # characters of a name that a server gives
_OTHER_ISSUER = "put exactly its_issuer into the catalog; for Entra ID that is the one with the tenant's id"
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Metadata:
    """What a server says of itself; nothing, where the catalog says where everything is. `issuer`: as the catalog has it;
    `document`: as the server publishes it."""

    issuer: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """An address of the server, empty where it names none. It may be on this machine where the server itself is. Raises `Odd` where
        what is sent there could be read on the way."""
        given = self.document.get(name)
        if given is None:
            return ""
        if not isinstance(given, str) or not is_for_secrets(given):
            raise Odd(f"its metadata name no {name.replace('_', ' ')} under https")
        if given.startswith("http:") and not self.issuer.startswith("http:"):
            raise Odd(f"its metadata name an address on this machine as {name.replace('_', ' ')}")
        return given

    @property
    def token_url(self) -> str:
        """Where tokens are to be had. Raises `Odd` where it does not say."""
        if url := self.url("token_endpoint"):
            return url
        raise Odd("its metadata name no token endpoint under https")

    @property
    def auth_methods(self) -> Collection[object]:
        """How a client may show who it is; empty where it does not say."""
        methods = self.document.get("token_endpoint_auth_methods_supported")
        return methods if isinstance(methods, list) else ()

    def audience(self, client: OAuthClient, token_url: str) -> str:
        """By what the server knows itself: its issuer as it writes it, else its token endpoint (draft-ietf-oauth-rfc7523bis, 4)."""
        return client.assertion_audience or str(self.document.get("issuer") or token_url)

    def client_auth(self, client: OAuthClient, token_url: str, keys: KeyFiles, now: float) -> ClientAuth:
        """How the bot shows this server who it is. Raises `Misconfigured`."""
        audience = self.audience(client, token_url)
        return client_auth(client, keys, audience=audience, supported=self.auth_methods, now=now)


class Discovery:
    """The metadata of servers, by their issuers. Thread-safe."""

    def __init__(self, line: OAuthLine) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._known: TTLCache[str, Metadata] = TTLCache(SERVERS, KEPT)

    def read(self, issuer: str, by: float, read: Callable[[Metadata], _Read]) -> _Read:
        """What `read` makes of an issuer's metadata, which are asked for by then (monotonic seconds) and kept once they could be read.
        Raises `Away` and `Odd`, and what `read` raises."""
        with self._lock:
            known = self._known.get(issuer)
        metadata = known or self._fetched(issuer, by)
        value = read(metadata)
        if known is None:
            with self._lock:
                self._known[issuer] = metadata
        return value

    def _fetched(self, issuer: str, by: float) -> Metadata:
        for place in _places(issuer):
            with self._line.asking(by):
                status, document = self._line.get(place)
            if status == HTTPStatus.OK:
                return _believed(issuer, document)
        raise Odd("it has no metadata; write token_url in place of issuer")


def _places(issuer: str) -> list[str]:
    """Where metadata may be: behind the issuer's own path as OpenID Connect has it, or before it as RFC 8414 has."""
    before = (
        oauth_url(issuer, external=True, suffix=one) for one in ("openid-configuration", "oauth-authorization-server")
    )
    return list(dict.fromkeys((openid_url(issuer, external=True), *before)))


def _believed(issuer: str, document: Mapping[str, Any]) -> Metadata:
    """Metadata of the issuer itself. A slash at the end tells no two issuers apart: people leave it out."""
    named = document.get("issuer")
    if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
        raise other_issuer(issuer, named)
    return Metadata(issuer, document)


def other_issuer(issuer: str, named: object) -> Odd:
    """Metadata name another issuer than the catalog does."""
    its = on_line(str(named))[:_SHOWN]
    log.error("metadata of another issuer", issuer=issuer, its_issuer=its, hint=_OTHER_ISSUER)
    return Odd("its metadata names another issuer")
