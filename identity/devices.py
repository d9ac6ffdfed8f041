"""Accounts that are connected with a code on another device (RFC 8628), where no browser can reach the bot.

There is no page of ours on which a person could see for whom it is: somebody may pass a code on, and who enters it says yes to the wrong
one (RFC 8628, 5.4). So an account counts only where both sides give the same verified e-mail, or where the catalog takes any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import structlog

from base import words
from base.slack_errors import SlackBusy, SlackUnsure
from catalog.catalog import Api
from identity.accounts import Accounts
from identity.callers import NoCredential
from identity.connecting import Code, NotConnectedNow, PersonOf, Says, is_own
from identity.grants import DeviceStart, Grant
from identity.needs import asks_for_account
from identity.sign_in_servers import SignInRefused, SignInServers, SlowDown, lacking, oauth2_of
from identity.token_box import TokenBox, Unreadable
from identity.unkept_grants import UnkeptGrants, about
from store.connections import ConnectionAsked, Device, FailedTry, connected
from store.database import Transaction
from store.posts import Post, add_posts
from store.store import Store

log = structlog.get_logger("connecting")


class Devices:
    """The sign-ins of one bot on other devices. `person` gives somebody by Slack's id, None where Slack does not say."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        servers: SignInServers,
        box: TokenBox,
        unkept: UnkeptGrants,
        *,
        person: PersonOf,
        ids: Callable[[], str],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._servers = servers
        self._box = box
        self._unkept = unkept
        self._person = person
        self._ids = ids

    def begin(self, asked: ConnectionAsked) -> Code:
        """The code of a sign-in: of the one that is under way for this person and API, or of a new one. Raises `NoCredential`."""
        api = self._accounts.api(asked.api)
        if api is None or not asks_for_account(api):
            raise NoCredential(words.CONNECT_NO_API.format(api=asked.api))
        known = self._store.device_of(asked)
        if known is not None and (start := self._opened(known, api)) is not None:
            return Code(start.complete_url or start.verification_url, start.user_code)
        start = self._servers.begin_device(api)
        sealed = self._sealed(asked, api, start)
        self._store.add_device(Device(self._ids(), asked, sealed, start.expires_at), start.interval)
        return Code(start.complete_url or start.verification_url, start.user_code)

    def poll(
        self, device: str, says: Says, says_not: Callable[[NotConnectedNow], FailedTry | None]
    ) -> ConnectionAsked | None:
        """Asks what came of a sign-in that is due, which ends with an account, or with words; gives whose has ended."""
        known = self._store.device(device)
        if known is None:
            return None
        try:
            return self._polled(known, says)
        except SignInRefused as error:
            failed = NotConnectedNow(str(error), known.asked, device)
        except NotConnectedNow as error:
            failed = error
        except (NoCredential, SlackBusy, SlackUnsure) as error:  # they may say more the next time
            log.info("no news of a device's sign-in", reason=str(error))
            return None
        self._store.drop_device(device, says_not(failed))
        return known.asked

    def _polled(self, known: Device, says: Says) -> ConnectionAsked | None:
        """Raises `NotConnectedNow`, and what asking raises."""
        asked, api = known.asked, self._accounts.api(known.asked.api)
        if api is None or not asks_for_account(api):
            raise NotConnectedNow(words.CONNECT_NO_API.format(api=asked.api), asked, known.device)
        start = self._opened(known, api)
        if start is None:
            raise NotConnectedNow(words.CONNECT_CHANGED.format(api=api.name), asked, known.device)
        if not self._store.take_poll(known.device, start.interval):
            return None
        try:
            return self._asked_about(known, api, start, says)
        except SlowDown as slow:
            slower = replace(start, interval=start.interval + slow.seconds)
            self._store.slow_device(known.device, self._sealed(asked, api, slower))
            return None

    def _asked_about(self, known: Device, api: Api, start: DeviceStart, says: Says) -> ConnectionAsked | None:
        """Raises `NotConnectedNow`, and what asking raises."""
        asked = known.asked
        person = self._person(asked.who)  # first: what is granted is told once
        grant = self._servers.poll_device(api, start)
        if grant is None:
            return None
        if not oauth2_of(api).other_accounts and not (person is not None and is_own(person, grant)):
            self._unkept.refuse(asked, api, grant)
            raise NotConnectedNow(words.CONNECT_OTHER_EMAIL.format(api=api.name), asked, known.device)
        try:
            self._keep(asked, api, grant, says(asked, grant, lacking(api, grant.scopes)))
        except BaseException:
            self._unkept.give_back_now(api, grant)
            raise
        return asked

    def _keep(self, asked: ConnectionAsked, api: Api, grant: Grant, posts: Sequence[Post]) -> None:
        give_back = self._unkept.in_place_of(asked, api, grant)

        def also(tx: Transaction) -> None:
            connected(tx, asked)
            give_back(tx)
            add_posts(tx, posts)

        self._accounts.connect(asked.api, asked.team, asked.who, grant, also)
        log.info("connected", api=asked.api, who=asked.who)

    def _sealed(self, asked: ConnectionAsked, api: Api, start: DeviceStart) -> str:
        return self._box.encrypt(about("device", asked, api), asdict(start))

    def _opened(self, device: Device, api: Api) -> DeviceStart | None:
        """A sign-in as it was begun; None where its key is gone, or the API has another sign-in server by now."""
        try:
            return DeviceStart(**self._box.decrypt(about("device", device.asked, api), device.sealed))
        except Unreadable:
            return None
