"""A person's accounts in App Home: which there are, whose they are, the buttons that connect and disconnect them, and what came of the
last try where that failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from base import words
from base.markdown import Block
from catalog.catalog import Api, Catalog
from gate.card_blocks import confirmation, plain_section
from identity.accounts import Accounts
from identity.connecting import account_text
from identity.needs import asks_for_account
from identity.sign_in_servers import lacking, oauth2_of
from slack_io.connect_offers import connect_button
from store.accounts import Account
from store.connections import ConnectionAsked, hashed

_MOST = 15  # blocks that are shown
_SHOWN = 200  # characters of an account's name


class HomeAccounts:
    """The accounts of everybody as App Home shows them. `link_to`: None where nobody can connect by a link; `failed_tries`: what there is
    to tell somebody of the last tries, by the APIs' names."""

    def __init__(
        self,
        accounts: Accounts,
        link_to: Callable[[ConnectionAsked], str] | None,
        failed_tries: Callable[[str, str], Mapping[str, str]],
    ) -> None:
        self._accounts = accounts
        self._link_to = link_to
        self._failed_tries = failed_tries

    def blocks(self, team: str, user: str, mine: Catalog) -> list[Block]:
        """A person's accounts, and what may be connected of what the person may ask for (`mine`); nothing where that asks for none."""
        known = {one.api: one for one in self._accounts.of_person(team, user)}
        asks = {api.name: api for api in mine.apis if asks_for_account(api)}
        failed = self._failed_tries(team, user)
        blocks = (
            block
            for name in dict.fromkeys([*asks, *known, *failed])
            for block in self._of(ConnectionAsked(team, user, name), asks.get(name), known.get(name), failed.get(name))
        )
        return list(islice(blocks, _MOST))

    def _of(self, asked: ConnectionAsked, api: Api | None, account: Account | None, problem: str | None) -> list[Block]:
        """What there is of one API. An account at another sign-in server than the API has by now is shown, but does not count."""
        is_missing = api is not None and (account is None or account.issuer != oauth2_of(api).issuer_name)
        told = [words.HOME_FAILED.format(problem=problem)] if problem else []
        missing = (
            lacking(api, account.scopes.split()) if api is not None and account is not None and not is_missing else ()
        )
        blocks = [] if account is None else [_connected(account, missing, [] if is_missing else told)]
        if is_missing:
            return [*blocks, self._unconnected(asked, told)]
        return blocks or [plain_section("\n".join([f"{asked.api}:", *told]))]

    def _unconnected(self, asked: ConnectionAsked, told: Sequence[str]) -> Block:
        button = None if self._link_to is None else connect_button(asked.api, self._link_to(asked))
        says = words.HOME_UNCONNECTED if button is not None else words.HOME_UNCONNECTED_ASK
        shown = plain_section("\n".join([says.format(api=asked.api), *told]))
        return shown | ({"accessory": button} if button is not None else {})

    def find(self, team: str, user: str, token: str) -> str | None:
        """The key of a person's own account that a button's token names; nobody else's can be named."""
        apis = [one.api for one in self._accounts.of_person(team, user) if token_of(one.api) == token]
        return f"{team}/{user}/{apis[0]}" if apis else None


def _connected(account: Account, missing: Sequence[str], told: Sequence[str]) -> Block:
    text = words.HOME_CONNECTED.format(api=account.api, account=account_text(account)[:_SHOWN])
    part = [words.CONNECTED_IN_PART.format(missing=", ".join(missing))] if missing else []
    asks = confirmation(words.DISCONNECT_TITLE, words.DISCONNECT_ASK.format(api=account.api[:_SHOWN]), words.DISCONNECT)
    label = {"type": "plain_text", "text": words.DISCONNECT, "emoji": False}
    button = {"type": "button", "action_id": "disconnect", "text": label, "value": token_of(account.api)}
    return plain_section("\n".join([text, *part, *told])) | {"accessory": button | {"confirm": asks}}


def token_of(api: str) -> str:
    """What a button carries for an API: an id that says nothing."""
    return hashed(f"account/{api}")[:32]
