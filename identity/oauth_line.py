"""Door to OAuth servers: Authlib over connections that are bounded in time and size whatever a server does, without redirects or cookies.

What an answer means, and in which words people hear of it, is for `sign_in_servers.py` and `token_servers.py`. A server's own texts never
leave this room: they may hold anything, and may repeat a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpcore2
import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc6749.errors import OAuth2Error
from joserfc.errors import ClaimError, JoseError

from base.deadline import BROKEN, PACKED, Deadline, transport
from base.proxies import STRAIGHT, WayOut
from base.unpack import TooLarge
from identity.client_auth import ClientAuth

PATIENCE = 10.0  # seconds for one request
_MOST = 500_000  # bytes of one answer
_AWAY = (httpx2.HTTPError, httpx2.InvalidURL, *BROKEN)
_ODD = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)  # Authlib reads what comes unchecked


class Refusal(Exception):
    """A server said no, by this code of its own, which may be anything. Nothing else of its answer is kept."""

    def __init__(self, code: object) -> None:
        super().__init__("refused")
        self.code = code


class Away(Exception):
    """A server gave no answer. Its text says in our words why."""


class Odd(Exception):
    """A server's answer cannot be trusted or understood. Its text says in our words why, empty where nothing more is known."""


class OAuthLine:
    """The connections to OAuth servers. Thread-safe."""

    def __init__(self, way: WayOut = STRAIGHT) -> None:
        self._deadline = Deadline()
        # A fresh connection for each request: on one that the server had closed, the fate of a refresh token would stay open.
        self._transport = transport(self._deadline, way, keepalive=0)
        self._client = httpx2.Client(transport=self._transport, headers=PACKED, follow_redirects=False, trust_env=False)

    @contextmanager
    def asking(self, by: float) -> Iterator[None]:
        """Requests inside are over by then (monotonic seconds). Raises `Refusal`, `Away` and `Odd`, whatever went wrong with them."""
        with self._deadline.until(by, most=_MOST):
            try:
                yield
            except (OAuthError, OAuth2Error) as error:
                raise Refusal(error.error) from None
            except _AWAY as error:
                raise Away(_why(error)) from None
            except TooLarge:
                raise Odd("an answer without an end") from None
            except JoseError as error:
                raise Odd(_wrong_in_token(error)) from None
            except _ODD:
                raise Odd from None

    def get(self, url: str, token: str = "") -> tuple[int, dict[str, Any]]:
        """An address's status and JSON object, empty where it has none. Inside of `asking`, as all that follows."""
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return read_answer(self._client.get(url, headers=headers))

    def post(self, url: str, form: Mapping[str, str], auth: ClientAuth) -> dict[str, Any]:
        """The JSON object that an address has for a form, which shows who the bot is."""
        session = self.session(auth)
        shown = session.client_auth(auth.method)
        _, said = read_answer(session.post(url, data=dict(form), auth=shown, headers={"Accept": "application/json"}))
        if "error" in said:
            raise Refusal(said["error"])
        return said

    def session(self, auth: ClientAuth) -> OAuth2Client:
        """Authlib's client over these connections, for one conversation."""
        session = OAuth2Client(
            client_id=auth.client_id,
            client_secret=auth.secret,
            token_endpoint_auth_method=auth.method,
            revocation_endpoint_auth_method=auth.method,
            code_challenge_method="S256",
            transport=self._transport,
            headers=PACKED,
            follow_redirects=False,
            trust_env=False,
        )
        if auth.shows is not None:
            session.register_client_auth_method((auth.method, auth.shows))
        return session


def read_answer(response: httpx2.Response) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object of an answer, empty where it has none. Raises what `OAuthLine.asking` hears."""
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response.raise_for_status()
    if not response.is_success and "json" not in response.headers.get("content-type", ""):
        return response.status_code, {}
    said = response.json() if response.content else {}
    if not isinstance(said, dict):
        raise TypeError("no JSON object")
    return response.status_code, said


def _why(error: BaseException) -> str:
    """Our own words: the libraries' texts may repeat what was sent."""
    match error:
        case httpx2.HTTPStatusError():
            return f"HTTP {error.response.status_code}"
        case httpx2.TimeoutException() | httpcore2.TimeoutException():
            return "time-out"
    return "the connection failed"


def _wrong_in_token(error: JoseError) -> str:
    """What of a signed token does not hold: by the name of a claim that is looked for, else by the library's own code."""
    if not isinstance(error, ClaimError):
        return f"an invalid signed token: {error.error}"
    if error.claim in ("exp", "iat", "nbf"):
        return f"a signed token whose {error.claim} is not valid now: compare this machine's clock with the server's"
    return f"a signed token whose {error.claim} is missing or has another value"
