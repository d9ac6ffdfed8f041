"""Door to the ways by which an API knows who calls, one for each key below `auth:` that has to be fetched or signed first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from catalog.catalog import Api
from identity.callers import Caller, Credential, Outgoing


class Way(Protocol):
    """How requests of one kind of `auth` say who asks. Safe for many threads; `by` is monotonic seconds."""

    @abstractmethod
    def credential(self, api: Api, request: Outgoing, by: float) -> Credential:
        """What this request carries. Raises `NotConnected` or `NoCredential`."""

    @abstractmethod
    def renewed(self, api: Api, request: Outgoing, refused: Credential, by: float) -> bool:
        """The API answered 401 to what this request carried: True where there is another one by now, so that it may be sent again, once.
        Raises `NotConnected` or `NoCredential`."""

    def whose(self, api: Api, caller: Caller) -> str:
        """Whose identity requests for this person have, as rows have it; empty where they have no person's. Raises `NotConnected`."""
        return ""


class Identities:
    """The ways of one bot, by the keys below `auth:`. Those keys that are not here say all in the catalog."""

    def __init__(self, ways: Mapping[str, Way]) -> None:
        self._ways = ways

    def credential(self, api: Api, request: Outgoing, by: float) -> Credential:
        """What a request carries beside what stands in the catalog. Raises `NotConnected` or `NoCredential`."""
        parts = [way.credential(api, request, by) for way in self._of(api)]
        return Credential(
            {name: text for one in parts for name, text in one.headers.items()},
            tuple(text for one in parts for text in one.secrets),
            next((one.subject for one in parts if one.subject), ""),
            next((one.issuer for one in parts if one.issuer), ""),
        )

    def renewed(self, api: Api, request: Outgoing, refused: Credential, by: float) -> bool:
        """The API answered 401: whether the request may be sent again, once, with another credential."""
        done = [way.renewed(api, request, refused, by) for way in self._of(api)]  # each of them, also behind a yes
        return any(done)

    def whose(self, api: Api, caller: Caller) -> str:
        """Whose identity requests for this person have; empty where they have no person's. Raises `NotConnected`."""
        return next((one for way in self._of(api) if (one := way.whose(api, caller))), "")

    def _of(self, api: Api) -> list[Way]:
        return [way for key, way in self._ways.items() if getattr(api.auth, key, None) is not None]
