"""A strict sign-in server, an API behind it, and a bot whose API asks for people's own accounts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from emulator.emulator import Workspace
from tests.harness.browser import PUBLIC
from tests.harness.connecting import CATALOG, KEY, HrServer
from tests.harness.oidc_provider import SECRET, OidcProvider, oidc_provider
from tests.harness.whole_bot import RunningBot, StartBot


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    folder = tmp_path_factory.mktemp("provider")
    with oidc_provider(folder, redirect_uris=[f"{PUBLIC}/oauth/callback"]) as running:
        yield running


@pytest.fixture
def server(provider: OidcProvider) -> Iterator[HrServer]:
    running = HrServer(provider.issuer)
    with running:
        yield running


Starts = Callable[..., RunningBot]


def see_addresses(workspace: Workspace) -> None:
    """Ann and Ben have addresses, and the app has the scope for them, which the manifest leaves out."""
    for user, email in (("U0ANN", "Ann@example.com"), ("U0BEN", "ben@example.com")):
        workspace.people[user] = replace(workspace.people[user], email=email)
    workspace.world.app = replace(workspace.world.app, scopes=workspace.world.app.scopes | {"users:read.email"})


@pytest.fixture
def starts(start_bot: StartBot, provider: OidcProvider, server: HrServer, workspace: Workspace) -> Starts:
    """Starts a bot whose API asks for accounts; `more` goes below `oauth2`, settings go by their names."""
    see_addresses(workspace)

    def start(more: str = "", **settings: Any) -> RunningBot:
        more = f"    {more}" if more else ""
        catalog = CATALOG.format(api=server.url, issuer=provider.issuer, secret=json.dumps(SECRET), more=more)
        given = {"public_url": PUBLIC, "token_key": KEY} | settings
        return start_bot(catalog=catalog, **given)

    return start
