"""The way on which a person connects an account of an API: from a link in Slack to the sign-in server, back with a grant, and by the
person's own yes to a stored account. It knows no HTTP, and says nothing: that is for slack_io/.

Who may go on is known by what only one browser has: a link leads to a state and a cookie, both come back together, once, and become a
confirmation and another cookie. Whom an account is for was settled in Slack, when the link was made, and travels in none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import structlog

from base import words
from base.settings import Misconfigured
from base.slack_errors import SlackBusy, SlackUnsure
from base.visible import on_line
from catalog.catalog import Api, Catalog
from identity.accounts import Accounts
from identity.callers import NoCredential
from identity.grants import Grant
from identity.needs import asks_for_account
from identity.sign_in_servers import SignInServers, lacking, oauth2_of
from identity.token_box import TokenBox, Unreadable
from identity.unkept_grants import UnkeptGrants, about, opened_grant, sealed_grant
from store.accounts import Account
from store.connections import ConnectionAsked, Unusable, connected, hashed
from store.database import NotNow, Transaction
from store.posts import Post, add_posts
from store.store import Store
from store.turns import Turn

log = structlog.get_logger("connecting")
T = TypeVar("T")
CALLBACK = "/oauth/callback"
START = "/oauth/start"
_TEN_MINUTES = 600.0
_AT_HOME = 3_600.0  # seconds for which a link in App Home leads somewhere; Home is redrawn when it is opened
_ENDED = {
    Unusable.USED: words.CONNECT_USED,
    Unusable.EXPIRED: words.CONNECT_EXPIRED,
    Unusable.ELSEWHERE: words.CONNECT_ELSEWHERE,
}


_NO_LEAD = (
    "PUBLIC_URL is not set. {api} is called with people's own accounts, which they connect in a browser: set it to the address at which "
    "browsers reach this bot, for example https://bot.example.com, and register {address} as a redirect URI at the sign-in server."
)
_NO_DEVICE = " Without it, people could only connect with a code (RFC 8628), which this sign-in server does not have."


def check_lead(catalog: Catalog, servers: SignInServers, address: str | None) -> None:
    """Raises `Misconfigured` where the catalog asks for people's accounts and nobody could connect any. A server that is
    away is believed to have codes."""
    for api in catalog.apis if address is None else ():
        if asks_for_account(api):
            try:
                has_code = servers.has_device_flow(api)
            except NoCredential as error:
                log.warning(
                    "whether people can connect with a code is not known",
                    api=api.name,
                    reason=str(error),
                    hint="without PUBLIC_URL there is no other way to connect: set it, or make the sign-in server reachable from here",
                )
                continue
            if not has_code:
                mistake = _NO_LEAD.format(api=api.name, address=f"<PUBLIC_URL>{CALLBACK}")
                raise Misconfigured(mistake + _NO_DEVICE)


class Person(Protocol):
    """Somebody as Slack knows them; `email` where it is one that Slack has verified and lets us see."""

    @property
    def name(self) -> str:
        """What others see."""

    @property
    def email(self) -> str:
        """Empty where it is not known."""


PersonOf = Callable[[str], Person | None]


class NotConnectedNow(Exception):
    """Nothing was connected. Its text is for who looks at the page: what happened and what to do; `asked`: whom it was for, where that is
    known, who is told in Slack; `more`: what that person should know besides; `key`: the same for the same failure of the same try."""

    def __init__(self, text: str, asked: ConnectionAsked | None = None, key: str = "", *, more: str = "") -> None:
        super().__init__(text)
        self.asked = asked
        self.key = key
        self.text_in_slack = f"{text} {more}".strip()


@dataclass(frozen=True)
class Code:
    """Where a person connects an account, and what is to be typed there; empty: nothing."""

    url: str
    code: str


@dataclass(frozen=True)
class Departure:
    """Where the browser goes, and what it has to bring back: `state` names the cookie. `was_told`: whose App Home told of a failed try
    until now, if anybody's."""

    url: str
    state: str = field(repr=False)
    cookie: str = field(repr=False)
    was_told: ConnectionAsked | None = None


@dataclass(frozen=True)
class Question:
    """What the person is asked before anything is stored: whose Slack account is connected with which account there. `confirmation` and
    `cookie` belong together; `missing`: scopes that were asked for and not granted."""

    asked: ConnectionAsked
    person: str
    account: str
    missing: Sequence[str]
    confirmation: str = field(repr=False)
    cookie: str = field(repr=False)


Says = Callable[[ConnectionAsked, Grant, Sequence[str]], Sequence[Post]]


class Connecting:
    """The connections of one bot. `address`: PUBLIC_URL without a slash at its end. `person` gives somebody by Slack's id, None
    where Slack does not say; `is_deleted`: whether a turn's question is not there any more; `secret` makes what nobody can guess."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        servers: SignInServers,
        box: TokenBox,
        unkept: UnkeptGrants,
        address: str,
        *,
        person: PersonOf,
        is_deleted: Callable[[Turn], bool],
        secret: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._servers = servers
        self._box = box
        self._unkept = unkept
        self._address = address
        self._person = person
        self._is_deleted = is_deleted
        self._secret = secret
        self._clock = clock

    # --- the link -----------------------------------------------------------------------------------------------------

    def link_to(self, asked: ConnectionAsked) -> str:
        """An address that leads this person, and nobody else, to connect: as long as the question waits, from App Home for an hour."""
        turn = self._store.turn(asked.turn) if asked.turn else None
        until = turn.connects_until if turn is not None and turn.connects_until is not None else None
        link = self._secret()
        self._store.offer_link(link, asked, self._clock() + _AT_HOME if until is None else until)
        return f"{self._address}{START}?link={link}"

    def lead_to(self, asked: ConnectionAsked) -> Code:
        """The same as a place without a code."""
        return Code(self.link_to(asked), "")

    def start(self, link: str) -> Departure:
        """The way to the sign-in server. Raises `NotConnectedNow`."""
        asked = self._store.link(link)
        if asked is None:
            raise NotConnectedNow(words.CONNECT_NO_LINK, self._store.asked_by_link(link), link)
        self._check_question(asked, link)
        api = self._api_of(asked)
        self._known(asked, link)  # or nobody could be asked for a yes later
        state, nonce, verifier, cookie = (self._secret() for _ in range(4))
        url = self._asking(
            asked,
            state,
            lambda: self._servers.authorization_url(
                api, state=state, nonce=nonce, verifier=verifier, redirect_uri=self._redirect_uri
            ),
        )
        sealed = self._box.encrypt(about("state", asked, api), {"nonce": nonce, "verifier": verifier})
        until = self._clock() + _TEN_MINUTES
        was_told = self._store.add_state(state, cookie, link, asked, sealed, until)
        return Departure(url, state, cookie, asked if was_told else None)

    def _check_question(self, asked: ConnectionAsked, link: str) -> None:
        """Raises `NotConnectedNow` where the question that waits was deleted, and has that seen to."""
        turn = self._store.turn(asked.turn) if asked.turn else None
        if turn is not None and self._is_deleted(turn):
            self._store.take_up_waiting(turn)
            raise NotConnectedNow(words.CONNECT_NO_LINK, replace(asked, turn="", thread=""), link)

    def whose(self, *, link: str = "", state: str = "", confirmation: str = "") -> ConnectionAsked | None:
        """Whom a page is for, by what its address or its form has, whatever that is good for by now; None where it is not known."""
        if link:
            return self._store.asked_by_link(link)
        return self._store.state_ended(state)[1] if state else self._store.confirmation_ended(confirmation)[1]

    # --- and back -----------------------------------------------------------------------------------------------------

    def came_back(self, params: Mapping[str, str], cookie: str) -> Question:
        """What the person is to be asked, once the sign-in server has sent the browser back. Raises `NotConnectedNow`."""
        state = params.get("state", "")
        taken = self._store.take_state(state, cookie)
        if taken is None:
            raise self._ended(*self._store.state_ended(state), state, words.CONNECT_UNKNOWN)
        asked = taken.asked
        api, person = self._api_of(asked), self._known(asked, state)
        kept = self._opened(asked, api, taken.sealed)
        grant = self._asking(
            asked,
            state,
            lambda: self._servers.redeem(
                api,
                params=params,
                state=state,
                nonce=kept["nonce"],
                verifier=kept["verifier"],
                redirect_uri=self._redirect_uri,
            ),
        )
        try:
            return self._question(asked, api, person, grant, state)
        except NotConnectedNow:
            raise
        except BaseException:
            self._unkept.give_back_now(api, grant)
            raise

    def _question(self, asked: ConnectionAsked, api: Api, person: Person, grant: Grant, state: str) -> Question:
        """Writes the grant down, to be asked about or given back. Raises `NotConnectedNow` where the account is somebody else's: a link
        that was passed on leads there, and the other one would press yes."""
        is_comparable = person.email and grant.email and grant.email_verified
        if is_comparable and not oauth2_of(api).other_accounts and not is_own(person, grant):
            log.warning("another person's account", api=api.name, who=asked.who)
            self._unkept.refuse(asked, api, grant)
            raise NotConnectedNow(words.CONNECT_OTHER_EMAIL.format(api=api.name), asked, state)
        confirmation, cookie = self._secret(), self._secret()
        sealed = sealed_grant(self._box, asked, api, grant)
        self._store.add_confirmation(confirmation, cookie, asked, sealed, self._clock() + _TEN_MINUTES)
        return Question(
            asked, on_line(person.name), account_text(grant), lacking(api, grant.scopes), confirmation, cookie
        )

    def _ended(self, why: Unusable, asked: ConnectionAsked | None, key: str, unknown: str) -> NotConnectedNow:
        """Why a state or a confirmation leads nowhere. Whom it was for is told in Slack, whoever brings it; but not that a page was used
        twice where the account is there, since nothing failed."""
        log.info("not connected", why=why)
        if why is Unusable.USED and asked is not None and self._store.account(asked.team, asked.who, asked.api):
            asked = None
        more = words.CONNECT_NOT_YOU if why is Unusable.ELSEWHERE else ""
        return NotConnectedNow(_ENDED.get(why, unknown), asked, f"{key}.{why}", more=more)

    # --- the person's own yes -----------------------------------------------------------------------------------------

    def confirm(self, confirmation: str, cookie: str, says: Says) -> tuple[ConnectionAsked, str]:
        """Stores the account, which lets the questions go on that wait for it; with what `says` tells the person, all at once. Gives whom
        it is for and whose it is. Raises `NotConnectedNow`."""
        asked, api, grant = self._confirmed(confirmation, cookie)
        posts, give_back = says(asked, grant, lacking(api, grant.scopes)), self._unkept.in_place_of(asked, api, grant)

        def also(tx: Transaction) -> None:
            connected(tx, asked, confirmation)
            give_back(tx)
            add_posts(tx, posts)

        try:
            self._accounts.connect(asked.api, asked.team, asked.who, grant, also)
        except NotNow:
            raise self._no_confirmation(confirmation) from None
        log.info("connected", api=asked.api, who=asked.who)
        return asked, account_text(grant)

    def decline(self, confirmation: str, cookie: str) -> ConnectionAsked:
        """The person said no: nothing is stored, and the grant is given back. Raises `NotConnectedNow`."""
        asked, _, _ = self._confirmed(confirmation, cookie)
        if not self._store.drop_confirmation(confirmation):
            raise self._no_confirmation(confirmation)
        return asked

    def _confirmed(self, confirmation: str, cookie: str) -> tuple[ConnectionAsked, Api, Grant]:
        kept = self._store.confirmation(confirmation, cookie)
        if kept is None:
            raise self._no_confirmation(confirmation)
        api = self._api_of(kept.asked)
        try:
            return kept.asked, api, opened_grant(self._box, kept, api)
        except Unreadable:
            raise _changed(kept.asked, api, kept.sealed) from None

    def _no_confirmation(self, confirmation: str) -> NotConnectedNow:
        return self._ended(*self._store.confirmation_ended(confirmation), confirmation, words.CONNECT_NO_CONFIRMATION)

    # --- pieces -------------------------------------------------------------------------------------------------------

    @property
    def _redirect_uri(self) -> str:
        return self._address + CALLBACK

    def _api_of(self, asked: ConnectionAsked) -> Api:
        api = self._accounts.api(asked.api)
        if api is None or api.auth is None or api.auth.oauth2 is None:
            raise NotConnectedNow(words.CONNECT_NO_API.format(api=asked.api), asked, asked.turn)
        return api

    def _known(self, asked: ConnectionAsked, key: str) -> Person:
        try:
            person = self._person(asked.who)
        except (SlackBusy, SlackUnsure) as error:
            log.info("Slack does not say who somebody is", who=asked.who, reason=str(error))
            person = None
        if person is None:
            raise NotConnectedNow(words.CONNECT_NO_PERSON, asked, key)
        return person

    def _opened(self, asked: ConnectionAsked, api: Api, sealed: str) -> dict[str, str]:
        """What a state's flow needs to know again. Raises `NotConnectedNow`, also where the API has another sign-in server by now: what
        one server gave is nothing for another."""
        try:
            return self._box.decrypt(about("state", asked, api), sealed)
        except Unreadable:
            raise _changed(asked, api, sealed) from None

    def _asking(self, asked: ConnectionAsked, key: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except NoCredential as error:
            log.info("not connected", api=asked.api, who=asked.who, reason=str(error))
            raise NotConnectedNow(str(error), asked, key) from None


def _changed(asked: ConnectionAsked, api: Api, sealed: str) -> NotConnectedNow:
    return NotConnectedNow(words.CONNECT_CHANGED.format(api=api.name), asked, hashed(sealed))


def is_own(person: Person, grant: Grant) -> bool:
    """Whether both sides give the same verified e-mail."""
    theirs = _address(grant.email) if grant.email_verified else b""
    return bool(theirs) and theirs == _address(person.email)


def _address(email: str) -> bytes:
    """An address as it is compared: bytes know no other small letters than ASCII's, so that no foreign letter passes for one of those."""
    return email.strip().encode(errors="surrogatepass").lower()


def account_text(whose: Grant | Account) -> str:
    """How an account is shown to its person: by name and e-mail, as far as the server gave them, on one line. Not escaped."""
    shown = [one for one in dict.fromkeys((whose.name, whose.email)) if one]
    return on_line(", ".join(shown) or whose.subject)
