"""Ways by which an API knows the bot: a token from a file, a program or a token server, renewed before its end and when it is refused."""

from __future__ import annotations

import re
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable
from datetime import datetime

import structlog
from cachetools import LRUCache
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from base.json_text import loads
from base.key_file import KeyFile
from base.settings import Misconfigured
from catalog.catalog import Api
from identity.callers import UNREADABLE, Credential, NoCredential, Outgoing, unreadable
from identity.commands import CommandFailed, output_of
from identity.held_tokens import HeldToken, Token, is_token
from identity.identities import Way
from identity.token_servers import TokenServers

log = structlog.get_logger("tokens")
_MOST_HELD = 4_096  # tokens that are held at once; beyond, the one that was unused for longest is fetched again
_LONGEST = 86_400.0  # seconds after which every token is renewed


def bearer(token: str) -> Credential:
    """A token as it travels (RFC 6750, 2.1)."""
    return Credential({"Authorization": f"Bearer {token}"}, (token,))


class HeldTokens:
    """Tokens by what they are had for. `clock` gives the seconds by which they are held."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._held: LRUCache[Hashable, HeldToken] = LRUCache(_MOST_HELD)

    def of(self, key: Hashable, fetch: Callable[[float], Token]) -> HeldToken:
        """The one for `key`; `fetch` gets it, by a moment of monotonic seconds."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                held = self._held[key] = HeldToken(fetch, self.clock)
            return held


class BearerFile(Way):
    """`bearer_file`: the token that a file has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, KeyFile] = {}

    def credential(self, api: Api, request: Outgoing, by: float) -> Credential:
        """The file's token as it is now. Raises `NoCredential`."""
        return bearer(self._file(api).key())

    def renewed(self, api: Api, request: Outgoing, refused: Credential, by: float) -> bool:
        """Whether the file has another token by now."""
        file = self._file(api)
        file.renewed()
        return file.key() not in refused.secrets

    def _file(self, api: Api) -> KeyFile:
        path = api.auth.bearer_file if api.auth is not None else None
        assert path is not None
        with self._lock:
            if path not in self._files:
                try:
                    self._files[path] = KeyFile(path, name=f"{api.name}: auth.bearer_file")
                except Misconfigured as error:
                    raise unreadable(api.name, error) from None
            return self._files[path]


class _Fetched(Way):
    """A way whose tokens are held until they end."""

    def __init__(self, held: HeldTokens) -> None:
        self._held = held

    def credential(self, api: Api, request: Outgoing, by: float) -> Credential:
        """The token that is held, or a new one. Raises `NoCredential`."""
        return bearer(self._of(api).text(by))

    def renewed(self, api: Api, request: Outgoing, refused: Credential, by: float) -> bool:
        """Whether there is another token by now. Raises `NoCredential`."""
        return self._of(api).is_renewed(refused.secrets, by)

    @abstractmethod
    def _of(self, api: Api) -> HeldToken: ...


class ClientCredentialsWay(_Fetched):
    """`client_credentials`: tokens of the bot's own from a token server."""

    def __init__(self, held: HeldTokens, servers: TokenServers) -> None:
        super().__init__(held)
        self._servers = servers

    def _of(self, api: Api) -> HeldToken:
        said = api.auth.client_credentials if api.auth is not None else None
        assert said is not None

        return self._held.of(said, lambda by: self._servers.own_token(api.name, said, by))


class BearerCommandWay(_Fetched):
    """`bearer_command`: the token that a program prints. `hidden` are variables of the environment that it does not get."""

    def __init__(self, held: HeldTokens, hidden: Collection[str], clock: Callable[[], float] = time.time) -> None:
        super().__init__(held)
        self._hidden = hidden
        self._clock = clock

    def _of(self, api: Api) -> HeldToken:
        said = api.auth.bearer_command if api.auth is not None else None
        assert said is not None

        def fetch(by: float) -> Token:
            began = self._held.clock()
            try:
                text, seconds = printed_token(output_of(said.command, by, self._hidden), self._clock())
            except (CommandFailed, ValueError) as error:
                log.error("no token", api=api.name, command=said.command[0], reason=str(error))  # noqa: TRY400 - the reason says all
                raise NoCredential(UNREADABLE.format(api=api.name)) from None
            return Token.lasting(text, said.ttl if seconds is None else min(seconds, _LONGEST), began)

        return self._held.of(said, fetch)


def printed_token(printed: str, now: float) -> tuple[str, float | None]:
    """A token that a program printed, and for how many seconds it holds where it says so: the token alone, OAuth's JSON, Kubernetes'
    ExecCredential, or JSON with `token` and `expires_in`. Raises `ValueError` without what was printed."""
    text, ends = _parts(printed.strip())
    if not is_token(text):
        raise ValueError("it printed no token, or more than one")
    seconds = _number(ends.get("expires_in"))
    at = _moment(ends.get("expirationTimestamp") or ends.get("expires_on")) or _end_of_jwt(text)
    left = seconds if seconds is not None else at - now if at is not None else None
    if left is not None and left <= 0:
        raise ValueError("it printed a token that has ended")
    return text, left


def _parts(printed: str) -> tuple[object, dict[str, object]]:
    """The token of what was printed, and what stands beside it."""
    if not printed.startswith("{"):
        return printed, {}
    try:
        data = loads(printed)
    except (ValueError, RecursionError):
        raise ValueError("it printed JSON that cannot be read") from None
    status = data.get("status")
    beside = status if isinstance(status, dict) else data
    return beside.get("token") or beside.get("access_token") or beside.get("accessToken"), beside


def _number(value: object) -> float | None:
    text = str(value)
    return float(text) if re.fullmatch(r"\d{1,11}(\.\d+)?", text) else None


def _moment(value: object) -> float | None:
    """Seconds since 1970, of such a number or of ISO 8601 with its zone."""
    if re.fullmatch(r"\d{9,11}", str(value)):
        return float(str(value))
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def _end_of_jwt(token: str) -> float | None:
    """When a JWT ends, by its own word; its signature is no matter of who only passes it on."""
    try:
        claims = loads(extract_compact(token.encode()).payload)
    except (JoseError, ValueError, RecursionError):
        return None
    return _number(claims.get("exp")) if isinstance(claims, dict) else None
