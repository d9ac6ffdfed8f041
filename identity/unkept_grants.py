"""Grants that are not to be kept, since nobody said yes in time, somebody said no, the account is somebody else's, or another one took its
place: given back at their sign-in server (RFC 7009).

Each is written down before it is given back, and forgotten only after it: a kill, or a server that is away, leaves none lying there.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from catalog.catalog import Api
from identity.accounts import Accounts
from identity.callers import NoCredential
from identity.grants import Grant
from identity.needs import asks_for_account
from identity.sign_in_servers import SignInRefused, SignInServers, oauth2_of
from identity.token_box import TokenBox, Unreadable
from store.accounts import Also
from store.connections import Confirmation, ConnectionAsked, add_unkept
from store.store import Store

log = structlog.get_logger("connecting")


class UnkeptGrants:
    """The grants of one bot that are not to be kept. `ids` makes what names one."""

    def __init__(
        self, store: Store, accounts: Accounts, servers: SignInServers, box: TokenBox, *, ids: Callable[[], str]
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._servers = servers
        self._box = box
        self._ids = ids

    def refuse(self, asked: ConnectionAsked, api: Api, grant: Grant) -> None:
        """Has a grant given back, soon."""
        self._store.add_refused(self._ids(), asked, sealed_grant(self._box, asked, api, grant))

    def in_place_of(self, asked: ConnectionAsked, api: Api, grant: Grant) -> Also:
        """What is to happen as this grant's account is stored: where it takes the place of another account, that one's tokens are given
        back."""
        before = self._accounts.replaced_by(grant, asked.api, asked.team, asked.who)
        if before is None:
            return lambda _tx: None
        key, sealed = self._ids(), sealed_grant(self._box, asked, api, before)
        return lambda tx: add_unkept(tx, key, asked, sealed)

    def give_back_now(self, api: Api, grant: Grant) -> None:
        """Gives back what could not be written down, where the sign-in server takes it now."""
        self._is_done_at_server(api, grant)

    def give_back(self, key: str) -> None:
        """Gives one back that was taken on (`Connections.take_unkept`); where that cannot be now it is due again later."""
        kept = self._store.unkept(key)
        if kept is not None and self._is_done(kept):
            self._store.given_back(key)

    def _is_done(self, kept: Confirmation) -> bool:
        asked, api = kept.asked, self._accounts.api(kept.asked.api)
        if api is None or not asks_for_account(api):
            return True
        try:
            grant = opened_grant(self._box, kept, api)
        except Unreadable:  # or of another sign-in server than the API has by now, which gets nothing of it
            log.warning("a grant was forgotten, not given back", api=asked.api, who=asked.who)
            return True
        if self._is_used(api, grant):
            return True
        return not self._store.is_being_asked(asked) and self._is_done_at_server(api, grant)

    def _is_used(self, api: Api, grant: Grant) -> bool:
        """Whether the same account is connected by now: some servers (Google) end its tokens with these."""
        same = self._store.accounts_at(grant.subject, grant.issuer)
        return any(self._client_of(one.api) == oauth2_of(api).client_id for one in same)

    def _client_of(self, name: str) -> str:
        api = self._accounts.api(name)
        return oauth2_of(api).client_id if api is not None and asks_for_account(api) else ""

    def _is_done_at_server(self, api: Api, grant: Grant) -> bool:
        """False where the server may take it another time."""
        try:
            self._servers.revoke(api, grant)
        except NoCredential as error:
            log.warning("a grant was not given back", api=api.name, reason=str(error))
            return isinstance(error, SignInRefused)
        log.info("a grant was given back", api=api.name)
        return True


def sealed_grant(box: TokenBox, asked: ConnectionAsked, api: Api, grant: Grant) -> str:
    """A grant as it is stored."""
    return box.encrypt(about("confirmation", asked, api), grant.to_json())


def opened_grant(box: TokenBox, kept: Confirmation, api: Api) -> Grant:
    """The way back. Raises `Unreadable`, also where the API has another sign-in server by now."""
    return Grant.from_json(box.decrypt(about("confirmation", kept.asked, api), kept.sealed))


def about(kind: str, asked: ConnectionAsked, api: Api) -> tuple[str, ...]:
    """What something sealed is about: no other person's row can have it, and no other sign-in server gets it."""
    return (kind, asked.team, asked.who, asked.api, asked.turn, oauth2_of(api).issuer_name)
