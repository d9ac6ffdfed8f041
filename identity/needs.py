"""Which accounts somebody has yet to connect before an API can be asked in that person's name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

from catalog.catalog import Api, Catalog

_DEFAULT = 3_600.0  # seconds for which a question waits, where the catalog says nothing


class KnownAccounts(Protocol):
    """The accounts that people have connected."""

    @abstractmethod
    def of(self, api: str, team: str, who: str) -> object | None:
        """The account of this person for the API of this name, or None."""


class NoAccounts:
    """Nobody has connected any."""

    def of(self, _api: str, _team: str, _who: str) -> None:
        """None."""


def asks_for_account(api: Api) -> bool:
    """Whether an API is asked in people's own names."""
    return api.auth is not None and "oauth2" in api.auth.model_fields_set


def names_of(apis: Iterable[Api]) -> list[str]:
    """The names of those APIs that are asked in people's own names, each once."""
    return list(dict.fromkeys(api.name for api in apis if asks_for_account(api)))


def waits_for(catalog: Catalog, apis: Sequence[str]) -> float:
    """Seconds for which a question waits for an account of one of these APIs: as long as a request of theirs waits for a decision."""
    return max((one.expires for one in catalog.operations if one.api.name in apis), default=_DEFAULT)


class Needs:
    """What is still to be connected."""

    def __init__(self, accounts: KnownAccounts) -> None:
        self._accounts = accounts

    def before_all(self, catalog: Catalog, team: str, who: str) -> list[str]:
        """The APIs of which this person has to connect one before anything in the catalog can be asked; empty where something can."""
        used = [*(one.api for one in catalog.operations), *(one.api for one in catalog.recipes)]
        apis = {api.name: api for api in used}.values()
        missing = [api.name for api in apis if asks_for_account(api) and not self.has(api.name, team, who)]
        return missing if len(missing) == len(apis) else []

    def has(self, api: str, team: str, who: str) -> bool:
        """Whether this person has an account there."""
        return self._accounts.of(api, team, who) is not None
