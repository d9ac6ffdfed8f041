"""The commands about people's accounts of APIs: who has connected what, other keys, and giving tokens back. No token is ever shown."""

from __future__ import annotations

import secrets
import time
from contextlib import closing

import click

from base.settings import Misconfigured, load_settings
from cli.shared import on_terminal, open_store, plain_errors, read_catalog, show, table_of
from identity.accounts import Accounts, Gone
from identity.sign_in_servers import SignInServers
from identity.token_box import TokenBox
from store.journal import reports
from store.store import Store


@click.group()
def tokens() -> None:
    """People's accounts at APIs: list, rotate, revoke."""


@tokens.command("list")
@click.option("--by", help="Only those of this person (U...).")
def list_(*, by: str | None) -> None:
    """Lists who has connected which account. No token is shown."""
    with plain_errors(), closing(open_store()) as store:
        accounts = [one for one in store.all_accounts() if by in (None, one.who)]
    table = table_of("who", "team", "API", "account", "connected", "last used")
    for one in accounts:
        when = (reports.moment(one.connected_at), reports.moment(one.used_at))
        table.add_row(*(on_terminal(cell) for cell in (one.who, one.team, one.api, one.identity, *when)))
    if accounts:
        show(table)
    click.echo(f"{len(accounts)} account{'s' if len(accounts) != 1 else ''}.")


@tokens.command()
def rotate() -> None:
    """Encrypts all tokens with the first key of TOKEN_KEY, so that the others can be removed. The bot may be running."""
    with plain_errors():
        accounts, store = _accounts()
        with closing(store):
            there, unreadable = accounts.rotate()
    for one in unreadable:
        click.echo(
            f"- {on_terminal(one.who)}'s {on_terminal(one.api)} account cannot be decrypted with any key of TOKEN_KEY."
        )
    click.echo(f"{there - len(unreadable)} of {there} accounts are encrypted with the first key of TOKEN_KEY.")
    raise SystemExit(1 if unreadable else 0)


@tokens.command()
@click.argument("user")
@click.option("--api", help="Only the account of the API of this name.")
def revoke(*, user: str, api: str | None) -> None:
    """Revokes the tokens of USER (U...), if the sign-in server supports it, and deletes them. The bot may be running."""
    with plain_errors():
        accounts, store = _accounts()
        with closing(store):
            theirs = [one for one in store.all_accounts() if one.who == user and api in (None, one.api)]
            if not theirs:
                raise Misconfigured(f"{user} has no such account; `python bot.py tokens list` shows who has which.")
            for one in theirs:
                gone = accounts.disconnect(one.api, one.team, one.who, "revoked on the command line")
                how = "revoked and deleted" if gone is Gone.REVOKED else "deleted; the sign-in server did not revoke it"
                click.echo(f"{on_terminal(one.api)}: {how}.")


def _accounts() -> tuple[Accounts, Store]:
    """The bot's accounts. Raises `Misconfigured`."""
    settings = load_settings()
    catalog = read_catalog(settings.apis_file)
    if not settings.token_keys:
        raise Misconfigured("TOKEN_KEY is not set; run this where the bot runs, with its settings.")
    box, servers, store = TokenBox(settings.token_keys), SignInServers(time.time, settings.way_out), open_store()
    return Accounts(store, servers, box, catalog, ids=lambda: secrets.token_hex(16), clock=time.time), store
