"""Who loses the accounts that they connected, by what the local Slack says, and who keeps them since it says nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from emulator.emulator import Workspace
from emulator.world import BOT_USER, Channel, Person
from identity.accounts import Accounts
from identity.grants import Grant
from identity.sign_in_servers import SignInServers
from identity.token_box import TokenBox
from slack_io.leavers import Leavers
from slack_io.web_api import SlackWeb
from store.store import Store
from tests.harness.databases import opened_before
from tests.harness.peculiar_provider import PeculiarProvider
from tests.harness.stores import Clock

TEAM = "T0LOCAL"
STAYS, GONE, OUT, GUEST = "U0ANN", "U0GONE", "U0OUT", "U0GUS"
LONG_AGO = 0.0


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as workspace:
        workspace.add_person(Person(GONE, "gone", "Gone Already", deleted=True))
        workspace.add_person(Person(OUT, "out", "Out Ofit"))
        world = workspace.world
        with world.lock:
            world.channels["C0HR"] = Channel("C0HR", "hr-bot", (GONE, GUEST, BOT_USER))
            world.channels["C0PAY"] = Channel("C0PAY", "pay", (STAYS, BOT_USER))
        yield workspace


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(opened_before("sqlite", tmp_path, "k"), Clock(), journal_key="k")
    yield store
    store.close()


@pytest.fixture
def server() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as server:
        yield server


@pytest.fixture
def accounts(store: Store, server: PeculiarProvider) -> Accounts:
    ids, clock = iter(map(str, range(1_000))), Clock()
    box = TokenBox([Fernet.generate_key().decode()])
    accounts = Accounts(store, SignInServers(clock), box, server.catalog(), ids=lambda: next(ids), clock=clock)
    for who in (STAYS, GONE, OUT, GUEST):
        accounts.connect("HR", TEAM, who, Grant(f"access-{who}", f"refresh-{who}", subject=who, issuer=server.url))
    return accounts


def looked(leavers: Leavers, times: int = 5, unused_since: float = LONG_AGO) -> None:
    for _ in range(times):
        leavers.look(time.monotonic(), unused_since)


def who_is_left(store: Store) -> list[str]:
    return [one.who for one in store.all_accounts()]


def test_who_is_deactivated_or_in_no_channel_loses_the_account(
    accounts: Accounts, store: Store, server: PeculiarProvider, workspace: Workspace
) -> None:
    web = SlackWeb(workspace.bot_token, workspace.api_url, timeout=5)
    looked(Leavers(accounts, store, web, ["C0PAY", "#hr-bot"]))
    assert who_is_left(store) == [STAYS, GUEST]
    assert sorted(one["token"] for one in server.forms("/revoke")) == ["refresh-U0GONE", "refresh-U0OUT"]
    told = [json.loads(line.data) for line in store.journal.lines(kind="disconnected")]
    assert {one["user"]: one["reason"] for one in told} == {GONE: "deactivated", OUT: "in no channel"}


def test_one_account_is_taken_away_at_a_time(accounts: Accounts, store: Store, workspace: Workspace) -> None:
    web = SlackWeb(workspace.bot_token, workspace.api_url, timeout=5)
    leavers = Leavers(accounts, store, web, ["C0HR"])
    looked(leavers, 1)
    assert len(who_is_left(store)) == 3
    looked(leavers, 1)
    assert len(who_is_left(store)) == 2


def test_what_slack_does_not_say_takes_nothing_away(accounts: Accounts, store: Store, workspace: Workspace) -> None:
    nobody = SlackWeb("xoxb-none", "http://127.0.0.1:9/api/", timeout=1)
    looked(Leavers(accounts, store, nobody, ["C0HR"]))
    web = SlackWeb(workspace.bot_token, workspace.api_url, timeout=5)
    looked(Leavers(accounts, store, web, ["C0HR", "C0UNKNOWN"]))
    looked(Leavers(accounts, store, web, ["C0PAY", "#unknown"]))
    assert who_is_left(store) == [STAYS, GUEST, OUT], "who is deactivated is so whatever the channels"


def test_an_account_that_nobody_used_goes(accounts: Accounts, store: Store, workspace: Workspace) -> None:
    web = SlackWeb(workspace.bot_token, workspace.api_url, timeout=5)
    looked(Leavers(accounts, store, web, ["C0HR", "C0PAY"]), unused_since=1_001.0)
    assert who_is_left(store) == []
    told = [json.loads(line.data)["reason"] for line in store.journal.lines(kind="disconnected")]
    assert told == ["unused"] * 4


def test_each_account_is_looked_at_once_an_hour(accounts: Accounts, store: Store, workspace: Workspace) -> None:
    web = SlackWeb(workspace.bot_token, workspace.api_url, timeout=5)
    leavers = Leavers(accounts, store, web, ["C0HR", "C0PAY"])
    leavers.look(0.0, LONG_AGO)
    for _ in range(5):
        leavers.look(3_599.0, LONG_AGO)
    assert who_is_left(store) == [STAYS, GUEST]
    leavers.look(3_599.0, 1_001.0)
    assert who_is_left(store) == [STAYS, GUEST]
    leavers.look(3_600.0, 1_001.0)
    assert len(who_is_left(store)) == 1
