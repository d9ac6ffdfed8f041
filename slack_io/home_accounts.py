"""A person's accounts in App Home: which there are, whose they are, and the buttons that connect and disconnect them."""

from __future__ import annotations

from collections.abc import Callable

from base import words
from base.markdown import Block
from catalog.catalog import Catalog
from gate.card_blocks import confirmation, plain_section
from identity.accounts import Accounts
from identity.connecting import account_text
from identity.needs import asks_for_account
from slack_io.connect_offers import connect_button
from store.accounts import Account
from store.connections import ConnectionAsked, hashed

_MOST = 15  # APIs that are shown
_SHOWN = 200  # characters of an account's name


class HomeAccounts:
    """The accounts of everybody as App Home shows them. `link_to`: None where nobody can connect by a link."""

    def __init__(self, accounts: Accounts, link_to: Callable[[ConnectionAsked], str] | None) -> None:
        self._accounts = accounts
        self._link_to = link_to

    def blocks(self, team: str, user: str, mine: Catalog) -> list[Block]:
        """A person's accounts, and what may be connected of what the person may ask for (`mine`); nothing where that asks for none."""
        known = {one.api: one for one in self._accounts.of_person(team, user)}
        asks = [api.name for api in mine.apis if asks_for_account(api)]
        names = list(dict.fromkeys([*asks, *known]))[:_MOST]
        return [self._block(ConnectionAsked(team, user, name), known.get(name)) for name in names]

    def _block(self, asked: ConnectionAsked, account: Account | None) -> Block:
        if account is None:
            button = None if self._link_to is None else connect_button(asked.api, self._link_to(asked))
            says = words.HOME_UNCONNECTED if button is not None else words.HOME_UNCONNECTED_ASK
            return plain_section(says.format(api=asked.api)) | ({"accessory": button} if button is not None else {})
        text = words.HOME_CONNECTED.format(api=account.api, account=account_text(account)[:_SHOWN])
        asks = confirmation(
            words.DISCONNECT_TITLE, words.DISCONNECT_ASK.format(api=account.api[:_SHOWN]), words.DISCONNECT
        )
        label = {"type": "plain_text", "text": words.DISCONNECT, "emoji": False}
        button = {"type": "button", "action_id": "disconnect", "text": label, "value": token_of(account.api)}
        return plain_section(text) | {"accessory": button | {"confirm": asks}}

    def find(self, team: str, user: str, token: str) -> str | None:
        """The key of a person's own account that a button's token names; nobody else's can be named."""
        apis = [one.api for one in self._accounts.of_person(team, user) if token_of(one.api) == token]
        return f"{team}/{user}/{apis[0]}" if apis else None


def token_of(api: str) -> str:
    """What a button carries for an API: an id that says nothing."""
    return hashed(f"account/{api}")[:32]
