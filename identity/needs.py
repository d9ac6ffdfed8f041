"""Which accounts somebody has yet to connect before an API can be asked in that person's name."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.catalog import Api, Catalog
from identity.callers import Caller, NoCredential, NotConnected
from identity.identities import Identities

_DEFAULT = 3_600.0  # seconds for which a question waits, where the catalog says nothing


def waits_for(catalog: Catalog, apis: Sequence[str]) -> float:
    """Seconds for which a question waits for an account of one of these APIs: as long as a request of theirs waits for a decision."""
    return max((one.expires for one in catalog.operations if one.api.name in apis), default=_DEFAULT)


def asks_for_account(api: Api) -> bool:
    """Whether an API is asked with people's own accounts."""
    return api.auth is not None and api.auth.oauth2 is not None


class Needs:
    """What is still to be connected."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def before_all(self, catalog: Catalog, caller: Caller) -> list[str]:
        """The APIs of which this person has to connect one before anything in the catalog can be asked; empty where something can."""
        used = [*(one.api for one in catalog.operations), *(one.api for one in catalog.recipes)]
        apis = {api.name: api for api in used}.values()
        missing = [api.name for api in apis if not self.has(api, caller)]
        return missing if len(missing) == len(apis) else []

    def has(self, api: Api, caller: Caller) -> bool:
        """Whether this person can be called for there: has an account, where the API asks for one."""
        try:
            self._identities.whose(api, caller)
        except NotConnected:
            return False
        except NoCredential:  # a matter of the moment
            return True
        return True
