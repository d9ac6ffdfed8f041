"""Door to sign-in servers: bounded in time and size whatever they do, no redirect followed, no cookie kept; and their words as answers.

What an answer means is for `providers.py`. A server's own texts never leave this room: they may hold anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import httpx2
import structlog
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.auth import encode_client_secret_basic
from authlib.oauth2.rfc6749.errors import OAuth2Error
from joserfc.errors import JoseError

from base import words
from base.deadline import BROKEN, PACKED, Deadline, transport
from base.proxies import STRAIGHT, WayOut
from base.unpack import TooLarge
from catalog.auth import OAuth2
from identity.callers import NoCredential

log = structlog.get_logger("providers")
PATIENCE = 10.0  # seconds for one request to a sign-in server
_MOST = 500_000  # bytes of one answer
_AWAY = (httpx2.HTTPError, httpx2.InvalidURL, *BROKEN)
_ODD = (TooLarge, JoseError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


class Refusal(Exception):
    """A sign-in server said no, by this code of its own. Nothing else of its answer is kept."""

    def __init__(self, code: object) -> None:
        super().__init__("refused")
        self.code = code


class ProviderLine:
    """The connections to sign-in servers. Thread-safe."""

    def __init__(self, way: WayOut = STRAIGHT) -> None:
        self._deadline = Deadline()
        # A fresh connection for each request: on one that the server had closed, the fate of a refresh token would stay open.
        self._transport = transport(self._deadline, way, keepalive=0)
        self._client = httpx2.Client(transport=self._transport, headers=PACKED, follow_redirects=False, trust_env=False)

    @contextmanager
    def asking(self, api: str, seconds: float = PATIENCE) -> Iterator[None]:
        """One request inside, to an API's sign-in server. Raises `NoCredential` where it is away or its answer is odd, and `Refusal`."""
        with self._deadline.until(time.monotonic() + seconds, most=_MOST):
            try:
                yield
            except (OAuthError, OAuth2Error) as error:
                raise Refusal(error.error) from None
            except _AWAY as error:
                log.warning("sign-in server away", api=api, error=type(error).__name__)
                raise NoCredential(words.PROVIDER_AWAY.format(api=api)) from None
            except _ODD as error:
                log.warning("sign-in server's answer is odd", api=api, error=type(error).__name__)
                raise NoCredential(words.PROVIDER_ODD.format(api=api)) from None

    def get(self, url: str, token: str = "") -> tuple[int, dict[str, Any]]:
        """An address's status and JSON object, empty where it has none. Raises what `asking` turns into words."""
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return _read(self._client.get(url, headers=headers))

    def post(self, url: str, form: Mapping[str, str], oauth2: OAuth2, method: str) -> tuple[int, dict[str, Any]]:
        """The same of a form that is sent with the client's own credentials."""
        session = self.session(oauth2, method)
        auth = session.client_auth(method)
        return _read(session.post(url, data=dict(form), auth=auth, headers={"Accept": "application/json"}))

    def session(self, oauth2: OAuth2, method: str) -> OAuth2Client:
        """Authlib's client over these connections, for one conversation. `method`: how the client shows its secret."""
        secret = oauth2.client_secret
        session = OAuth2Client(
            client_id=oauth2.client_id,
            client_secret=secret.get_secret_value() if secret is not None else None,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            code_challenge_method="S256",
            transport=self._transport,
            headers=PACKED,
            follow_redirects=False,
            trust_env=False,
        )
        session.register_client_auth_method(("client_secret_basic", _basic))
        return session


def _read(response: httpx2.Response) -> tuple[int, dict[str, Any]]:
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response.raise_for_status()
    if not response.is_success and "json" not in response.headers.get("content-type", ""):
        return response.status_code, {}
    found = response.json() if response.content else {}
    if not isinstance(found, dict):
        raise TypeError("no JSON object")
    return response.status_code, found


def _basic(client: Any, method: str, url: str, headers: Any, body: Any) -> Any:
    """HTTP Basic with name and secret encoded as forms are, which RFC 6749, 2.3.1, asks for and Authlib leaves out."""
    encoded = _Encoded(quote_plus(client.client_id), quote_plus(client.client_secret or ""))
    return encode_client_secret_basic(encoded, method, url, headers, body)


class _Encoded:
    def __init__(self, client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
