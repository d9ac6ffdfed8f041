"""What the catalog says of how each API is called: a look at all files that it names for that, before it is taken, and in words for
operators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from base.key_file import KeyFile
from base.settings import Misconfigured
from catalog.auth import Actor
from catalog.catalog import Api, Catalog
from identity.commands import check_program
from identity.signing_keys import KeyFiles, lifetime


def check_files(catalog: Catalog) -> None:
    """Reads all that the catalog names for its credentials. Raises `Misconfigured` with a line for each that is of no use."""
    mistakes = [words for api in catalog.apis for words in _wrong_with(api)]
    if mistakes:
        raise Misconfigured("\n".join(mistakes))


def _wrong_with(api: Api) -> list[str]:
    """What is wrong with the files of one API, a line each."""
    auth, keys = api.auth, KeyFiles()
    looks: list[tuple[str, Callable[[], object]]] = []
    if auth is not None and (path := auth.bearer_file) is not None:
        looks.append(("", lambda: KeyFile(path, name=f"{api.name}: auth.bearer_file")))
    if auth is not None and (command := auth.bearer_command) is not None:
        looks.append((f"{api.name}: auth.bearer_command: ", lambda: check_program(command.command[0])))
    if auth is not None and (actor := auth.actor) is not None and actor.keys:
        looks.append((f"{api.name}: auth.actor.keys: ", lambda: keys.of_actor(actor)))
    for key, client in auth.clients.items() if auth is not None else ():
        if client.has_key:
            looks.append((f"{api.name}: auth.{key}: ", partial(keys.of_client, client)))
    return [words for before, look in looks if (words := _wrong(before, look))]


def _wrong(before: str, look: Callable[[], object]) -> str:
    try:
        look()
    except Misconfigured as error:
        return f"{before}{error}"
    return ""


def untimely(catalog: Catalog, now: datetime) -> list[str]:
    """The bot's own certificates that do not hold at this moment, a sentence each: a start goes on with them, as they may be renewed."""
    return [words for api in catalog.apis for path in _certificates(api) if (words := _untimely(api, path, now))]


def _certificates(api: Api) -> list[str]:
    clients = api.auth.clients.values() if api.auth is not None else ()
    named = (api.tls.cert if api.tls is not None else None, *(client.certificate_file for client in clients))
    return [path for path in named if path is not None]


def _untimely(api: Api, path: str, now: datetime) -> str:
    try:
        begin, end = lifetime(path)
    except (OSError, Misconfigured):  # it is being written; it was looked at before
        return ""
    if end < now:
        return f"{api.name}: the certificate in {path} expired on {end:%Y-%m-%d} and will be rejected; renew it."
    return f"{api.name}: the certificate in {path} is not valid before {begin:%Y-%m-%d}." if now < begin else ""


def called_with(api: Api) -> str:
    """How an API knows who calls, in words for an operator."""
    auth, tls = api.auth, api.tls
    parts = [words for key, words in _IN_WORDS.items() if getattr(auth, key, None) is not None]
    if auth is not None and auth.client_credentials is not None:
        parts.append(f"tokens from {auth.client_credentials.issuer or auth.client_credentials.token_url}")
    if auth is not None and auth.oauth2 is not None:
        parts.append(f"each asker's own account at {auth.oauth2.issuer or auth.oauth2.authorize_url}")
    parts += ["headers of its own"] if api.headers else []
    parts += ["a client certificate"] if tls is not None and tls.cert is not None else []
    actor = _actor_in_words(auth.actor) if auth is not None and auth.actor is not None else ""
    return (", ".join(parts) or "no credential of the bot's own") + actor


_IN_WORDS = {
    "bearer": "a fixed token",
    "bearer_file": "a token from a file",
    "bearer_command": "a token from a program",
    "basic": "a user name and a password",
    "header": "a key in a header",
    "query": "a key in the query",
}


def _actor_in_words(actor: Actor) -> str:
    if actor.exchange is not None:
        return f", and for the asker with tokens from {actor.exchange.issuer or actor.exchange.token_url}"
    return f", and told who asks, {'signed' if actor.keys else 'unsigned'}"
