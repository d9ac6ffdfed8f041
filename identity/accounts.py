"""People's accounts of APIs: connected, renewed before they end and once after a 401, taken away. The way `oauth2` of a request.

One renewal at a time, over all threads and processes: a refresh token that rotates and is spent twice ends the account at many servers
(https://auth0.com/docs/secure/tokens/refresh-tokens/refresh-token-rotation). Who finds one under way waits for what comes of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import structlog

from base import metrics, words
from catalog.auth import OAuth2
from catalog.catalog import Api, Catalog
from identity.callers import Caller, Credential, NoCredential, NotConnected, Outgoing
from identity.grants import Grant, Tokens
from identity.identities import Way
from identity.sign_in_servers import SignInRefused, SignInServers
from identity.token_box import TokenBox, Unreadable
from store.accounts import Account, Also
from store.journal.hash_chain import JournalEntry
from store.store import Store

log = structlog.get_logger("accounts")
LEEWAY = 60.0  # seconds before its end at which a token is renewed; of one that lives for less than two minutes, half of its life
_RENEWAL = 60.0  # seconds for which a renewal is somebody's: longer than one can take (metadata twice, and the answer), and whoever died
# in it holds nobody up for longer
_REFRESH = (
    20.0  # seconds for the server's answer, which is waited for also where the request that needs it is late by then
)
_LOOK = 0.05  # seconds between two looks at a renewal that somebody else has
_AGAIN = 60.0  # seconds within which a 401 does not renew a second time
_USED = 3_600.0  # seconds between two notes that an account is used
# What a server says where a refresh token is of no use any more: RFC 6749, OpenID Connect Core 3.1.2.6, GitHub's, Okta's.
_GONE = frozenset(
    ("invalid_grant", "interaction_required", "login_required", "consent_required", "bad_refresh_token", "refresh_token_reused")
)  # fmt: skip


class Gone(StrEnum):
    """How an account went: given back at the server, too, or deleted here alone."""

    REVOKED = "revoked"
    DELETED = "deleted"


class Accounts(Way):
    """The accounts of all people. Thread-safe. `clock`: seconds since 1970."""

    def __init__(
        self,
        store: Store,
        servers: SignInServers,
        box: TokenBox,
        catalog: Catalog,
        *,
        ids: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._servers = servers
        self._box = box
        self._catalog = catalog
        self._ids = ids
        self._clock = clock

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog."""
        self._catalog = catalog

    def api(self, name: str) -> Api | None:
        """An API of the catalog."""
        return self._catalog.api(name)

    # --- coming and going ---------------------------------------------------------------------------------------------

    def of(self, api: str, team: str, who: str) -> Account | None:
        """A person's account of the API of this name, or None."""
        return self._store.account(team, who, api)

    def of_person(self, team: str, who: str) -> list[Account]:
        """A person's accounts, by the APIs' names."""
        return self._store.accounts_of(team, who)

    def replaced_by(self, grant: Grant, api: str, team: str, who: str) -> Grant | None:
        """What a person granted before, where that is another account than this grant's, which is to take its place."""
        account = self._store.account(team, who, api)
        if account is None or account.issuer != grant.issuer or account.subject == grant.subject:
            return None
        try:
            tokens = self._tokens(account)
        except Unreadable:
            return None
        return Grant(tokens.access_token, tokens.refresh_token, subject=account.subject, issuer=account.issuer)

    def connect(self, api: str, team: str, who: str, grant: Grant, also: Also = lambda _tx: None) -> Account:
        """Keeps what a person granted, in place of an account that there was; in one transaction with what else is to happen (`also`).

        Where that is the same account, its tokens are not given back: some servers (Google) would end the new ones with them.
        """
        now = self._clock()
        account = Account(
            team, who, api, grant.subject, grant.issuer, grant.name, grant.email, " ".join(grant.scopes),
            "", grant.expires_at, self._ids(), now, now, now,
        )  # fmt: skip
        account = self._with_tokens(account, grant)
        self._store.put_account(account, _entry("connected", account), also)
        return account

    def disconnect(self, api: str, team: str, who: str, reason: str = "asked for") -> Gone | None:
        """Gives a person's tokens back at the server, where it takes them, and deletes them in any case. None where there were none.
        `reason` is for the journal."""
        account = self._store.account(team, who, api)
        if account is None:
            return None
        self._store.begin_renewal(account, self._ids(), _RENEWAL)  # or somebody would renew what is given back
        is_revoked = self._revoke(account)
        if not self._store.remove_account(account, _entry("disconnected", account, reason, is_revoked=is_revoked)):
            return None
        return Gone.REVOKED if is_revoked else Gone.DELETED

    def _revoke(self, account: Account) -> bool:
        api = self.api(account.api)
        oauth2 = _oauth2(api) if api is not None else None
        if (
            api is None or oauth2 is None or oauth2.issuer_name != account.issuer
        ):  # another server gets no token of that one
            return False
        try:
            return self._servers.revoke(api, self._tokens(account))
        except (NoCredential, Unreadable) as error:
            log.warning("tokens were deleted, not revoked", api=account.api, who=account.who, reason=str(error))
            return False

    # --- a request's credential ---------------------------------------------------------------------------------------

    def credential(self, api: Api, request: Outgoing, by: float) -> Credential:
        """The person's token, renewed where it is about to end. Raises `NotConnected` and `NoCredential`."""
        account = self._known(api, request.caller)
        if self._is_due(account):
            account = self._renewed(api, account, by)
        if self._clock() - account.used_at > _USED:
            self._store.note_use(account)
        token = self._tokens_of(account).access_token
        return Credential({"Authorization": f"Bearer {token}"}, (token,), account.subject, account.issuer)

    def renewed(self, api: Api, request: Outgoing, refused: Credential, by: float) -> bool:
        """Whether there is another token by now than the one that the API refused, renewed for that where it can be."""
        account = self._known(api, request.caller)
        tokens = self._tokens_of(account)
        if tokens.access_token not in refused.secrets:
            return True
        if not tokens.refresh_token or self._clock() - account.renewed_at < _AGAIN:
            return False
        return self._renewed(api, account, by).version != account.version

    def whose(self, api: Api, caller: Caller) -> str:
        """Whose identity a request for this person would have. Raises `NotConnected`."""
        return self._known(api, caller).identity

    def _known(self, api: Api, caller: Caller) -> Account:
        """The account that requests for this person are made with. Raises `NotConnected`, and `NoCredential` where it is another than the
        one that was asked with."""
        account = self._store.account(caller.team, caller.asker, api.name)
        if account is None:
            raise NotConnected(api.name)
        oauth2 = _oauth2(api)
        if oauth2 is None or account.issuer != oauth2.issuer_name:
            raise NotConnected(api.name, words.SIGN_IN_MOVED.format(api=api.name))
        if caller.identity not in ("", account.identity):
            raise NoCredential(words.ACCOUNT_CHANGED.format(api=api.name))
        return account

    # --- renewal ------------------------------------------------------------------------------------------------------

    def _is_due(self, account: Account) -> bool:
        if account.expires_at is None:
            return False
        life = account.expires_at - account.renewed_at
        return account.expires_at - min(LEEWAY, life / 2) <= self._clock()

    def _is_over(self, account: Account) -> bool:
        return account.expires_at is not None and account.expires_at <= self._clock()

    def _renewed(self, api: Api, account: Account, by: float) -> Account:
        """The account with tokens that are good for longer, or as it is as long as it is good and cannot be renewed. Raises `NotConnected`
        and `NoCredential`."""
        tokens = self._tokens_of(account)
        if not tokens.refresh_token:
            return self._as_it_is(account, self._end(account, "no refresh token") if self._is_over(account) else None)
        me = self._ids()
        while not self._store.begin_renewal(account, me, _RENEWAL):
            if not self._await_other(account, by):
                return self._as_it_is(account, NoCredential(words.RENEWAL_SLOW.format(api=api.name)))
            now = self._store.account(account.team, account.who, account.api)
            if now is None:
                raise NotConnected(api.name, words.SIGN_IN_ENDED.format(api=api.name))
            if now.version != account.version:
                return now
        return self._renew(api, account, tokens, me)

    def _await_other(self, account: Account, by: float) -> bool:
        """Waits for the end of a renewal that somebody else has, until `by` at most. Whether it came."""
        while self._store.is_renewed_by_another(account):
            if time.monotonic() >= by:
                return False
            time.sleep(_LOOK)
        return True

    def _renew(self, api: Api, account: Account, tokens: Tokens, me: str) -> Account:
        """The renewal itself, which is this caller's alone."""
        try:
            grant = self._servers.refresh(api, tokens.refresh_token, _REFRESH)
        except SignInRefused as refused:
            if refused.code in _GONE:
                metrics.RENEWALS.labels("refused").inc()
                raise self._end(account, refused.code) from None
            return self._not_renewed(account, me, refused)
        except NoCredential as error:
            return self._not_renewed(account, me, error)
        except BaseException:
            self._store.give_up_renewal(account, me)
            raise
        now = self._clock()
        renewed = replace(account, expires_at=grant.expires_at, version=self._ids(), renewed_at=now, used_at=now)
        kept = grant.refresh_token or tokens.refresh_token  # a server that does not rotate gives none: RFC 6749, 6
        renewed = self._with_tokens(renewed, Tokens(grant.access_token, kept))
        metrics.RENEWALS.labels("renewed").inc()
        if self._store.end_renewal(account, renewed):
            return renewed
        log.info("renewed an account that is another by now", api=account.api, who=account.who)
        if self._store.account(account.team, account.who, account.api) is None:
            self._revoke(renewed)  # it was given back meanwhile, and these tokens are nobody's
        return self._known(api, Caller(account.team, account.who, identity=account.identity))

    def _not_renewed(self, account: Account, me: str, error: NoCredential) -> Account:
        metrics.RENEWALS.labels("failed").inc()
        self._store.give_up_renewal(account, me)
        return self._as_it_is(account, error)

    def _as_it_is(self, account: Account, error: Exception | None) -> Account:
        if error is not None and self._is_over(account):
            raise error
        return account

    def _end(self, account: Account, reason: str) -> NotConnected:
        """Deletes an account that is good for nothing any more, unless another one is there by now."""
        self._store.remove_account(account, _entry("disconnected", account, reason), only_as_seen=True)
        return NotConnected(account.api, words.SIGN_IN_ENDED.format(api=account.api))

    # --- keys ---------------------------------------------------------------------------------------------------------

    def rotate(self) -> tuple[int, list[Account]]:
        """Encrypts all tokens with the first key. Gives how many accounts there are, and those that no key opens."""
        there = self._store.all_accounts()
        return len(there), [one for one in there if not self._is_rotated(one)]

    def _is_rotated(self, account: Account) -> bool:
        """Whether an account's tokens are under the first key now, or the account is gone; what changed meanwhile is looked at again."""
        now: Account | None = account
        while now is not None:
            try:
                if self._store.encrypt_anew(now, self._box.rotated(now.encrypted)):
                    return True
            except Unreadable:
                return False
            now = self._store.account(account.team, account.who, account.api)
        return True

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _with_tokens(self, account: Account, tokens: Grant | Tokens) -> Account:
        kept = {"access": tokens.access_token, "refresh": tokens.refresh_token}
        return replace(account, encrypted=self._box.encrypt(_about(account), kept))

    def _tokens(self, account: Account) -> Tokens:
        """An account's tokens. Raises `Unreadable`."""
        kept = self._box.decrypt(_about(account), account.encrypted)
        return Tokens(kept["access"], kept["refresh"])

    def _tokens_of(self, account: Account) -> Tokens:
        """The same; what cannot be read stays where it is, in case that its key comes back. Raises `NotConnected`."""
        try:
            return self._tokens(account)
        except Unreadable:
            hint = "add the key that it was encrypted with to TOKEN_KEY"
            log.critical("an account cannot be read", api=account.api, who=account.who, hint=hint)
            raise NotConnected(account.api, words.SIGN_IN_UNREADABLE.format(api=account.api)) from None


def _oauth2(api: Api) -> OAuth2 | None:
    return api.auth.oauth2 if api.auth is not None else None


def _about(account: Account) -> tuple[str, ...]:
    """What an account's tokens are about: nobody else's row can have them."""
    return ("account", account.team, account.who, account.api, account.subject, account.issuer)


def _entry(kind: str, account: Account, reason: str = "", *, is_revoked: bool | None = None) -> JournalEntry:
    data = {"user": account.who, "team": account.team, "api": account.api, "identity": account.identity}
    data |= {"reason": reason} if reason else {}
    return JournalEntry(kind, data | ({"revoked": is_revoked} if is_revoked is not None else {}))
