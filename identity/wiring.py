"""This room put together: the ways by which requests get their credentials, and how people connect accounts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from base.proxies import WayOut
from base.settings import SECRET_VARIABLES, Settings
from catalog.catalog import Catalog
from identity.accounts import Accounts
from identity.actors import ActorWay, EmailOf
from identity.connecting import Code, Connecting, PersonOf
from identity.devices import Devices
from identity.identities import Identities, Way
from identity.service_ways import BearerCommandWay, BearerFile, ClientCredentialsWay, HeldTokens
from identity.sign_in_servers import SignInServers
from identity.signing_keys import KeyFiles
from identity.token_box import TokenBox
from identity.token_servers import TokenServers
from identity.unkept_grants import UnkeptGrants
from store.connections import ConnectionAsked
from store.store import Store
from store.turns import Turn


@dataclass(frozen=True)
class Surroundings:
    """What the ways need of the bot: by which way out, whom to ask for an e-mail address, where random ids come from, and the variables of
    the environment that no program gets."""

    way_out: WayOut
    email_of: EmailOf
    ids: Callable[[], str]
    hidden: Collection[str]


def service_ways(around: Surroundings, keys: KeyFiles) -> dict[str, Way]:
    """The bot's own ways, by their keys below `auth:`."""
    held, servers = HeldTokens(), TokenServers(keys, around.way_out)
    return {
        "bearer_file": BearerFile(),
        "bearer_command": BearerCommandWay(held, around.hidden),
        "client_credentials": ClientCredentialsWay(held, servers),
        "actor": ActorWay(held, servers, keys, email_of=around.email_of, ids=around.ids),
    }


@dataclass(frozen=True)
class Identity:
    """What one bot has of this room. `identities` is its door for requests; `has_pages`: whether people's browsers reach the bot."""

    keys: KeyFiles
    servers: SignInServers
    accounts: Accounts
    identities: Identities
    connecting: Connecting
    devices: Devices
    unkept: UnkeptGrants
    has_pages: bool

    @property
    def lead_to(self) -> Callable[[ConnectionAsked], Code]:
        """Where somebody connects an account: by a link to the bot's own pages, else by a code on another device."""
        return self.connecting.lead_to if self.has_pages else self.devices.begin

    @property
    def link_to(self) -> Callable[[ConnectionAsked], str] | None:
        """The link alone, where there are pages."""
        return self.connecting.link_to if self.has_pages else None


def identity_of(
    settings: Settings,
    catalog: Catalog,
    store: Store,
    *,
    email_of: EmailOf,
    person_of: PersonOf,
    is_deleted: Callable[[Turn], bool],
    clock: Callable[[], float],
    ids: Callable[[], str],
    secret: Callable[[], str],
) -> Identity:
    """The room of one bot. `email_of`, `person_of` and `is_deleted` (of a turn's question) ask Slack; `clock`: seconds since 1970; `secret`
    makes what nobody can guess."""
    keys, box = KeyFiles(), TokenBox(settings.token_keys)
    servers = SignInServers(clock, settings.way_out, keys)
    accounts = Accounts(store, servers, box, catalog, ids=ids, clock=clock)
    ways = service_ways(Surroundings(settings.way_out, email_of, ids, SECRET_VARIABLES), keys)
    identities = Identities({"oauth2": accounts, **ways})
    address, unkept = settings.public_url, UnkeptGrants(store, accounts, servers, box, ids=ids)
    connecting = Connecting(
        store,
        accounts,
        servers,
        box,
        unkept,
        address or "",
        person=person_of,
        is_deleted=is_deleted,
        secret=secret,
        clock=clock,
    )
    devices = Devices(store, accounts, servers, box, unkept, person=person_of, ids=ids)
    return Identity(keys, servers, accounts, identities, connecting, devices, unkept, address is not None)
