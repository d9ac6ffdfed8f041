"""`python bot.py tokens` as an operator meets it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from bot import main
from identity.accounts import Accounts
from identity.grants import Grant
from identity.sign_in_servers import SignInServers
from identity.token_box import TokenBox
from store.store import Store
from tests.harness.databases import rows
from tests.harness.loopback import as_json
from tests.harness.peculiar_provider import PeculiarProvider

KEY, OLD_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()
URL = "sqlite:///bot.db"
ANN, BEN, TEAM = "U0ANN", "U0BEN", "T0HR"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.fixture
def server(folder: Path) -> Iterator[PeculiarProvider]:
    """A provider, and the catalog that names it."""
    with PeculiarProvider() as server:
        oauth2 = {"issuer": server.url, "client_id": "slack-bot", "client_secret": "secret-of-this-test"}
        auth = json.dumps({"oauth2": oauth2 | {"scopes": ["openid"]}})
        endpoint = "endpoints: [{method: GET, url: /users, description: Lists.}]"
        (folder / "apis.yaml").write_text(f"name: HR\nbase_url: http://127.0.0.1:9\nauth: {auth}\n{endpoint}\n")
        connect(server, ANN, "ann")
        yield server


def connect(server: PeculiarProvider, who: str, subject: str) -> None:
    with closing(Store(URL)) as store:
        box, servers = TokenBox([OLD_KEY]), SignInServers(time.time)
        accounts = Accounts(store, servers, box, server.catalog(), ids=lambda: who, clock=time.time)
        grant = Grant(f"access-of-{subject}", f"refresh-of-{subject}", None, ("openid",), subject, server.url)
        accounts.connect("HR", TEAM, who, grant)


def run(*arguments: str, key: str | None = OLD_KEY) -> Result:
    settings = {"SLACK_BOT_TOKEN": "xoxb-1-2-abc", "SLACK_SIGNING_SECRET": "s" * 32, "SLACK_CHANNEL": "#hr"}
    settings |= {"DATABASE_URL": URL} | ({"TOKEN_KEY": key} if key else {})
    nothing: dict[str, str | None] = dict.fromkeys(os.environ)
    return CliRunner().invoke(main, ["tokens", *arguments], env=nothing | {"PATH": os.environ["PATH"]} | settings)


def test_accounts_are_listed_without_their_tokens(server: PeculiarProvider) -> None:
    connect(server, BEN, "ben\N{ESCAPE}[2J")
    done = run("list", key=None)
    assert done.exit_code == 0
    assert f"ann at {server.url}" in done.stdout
    assert "\N{ESCAPE}" not in done.stdout
    assert done.stdout.endswith("2 accounts.\n")
    assert "access-of" not in done.stdout
    assert run("list", "--by", ANN).stdout.endswith("1 account.\n")
    assert run("list", "--by", "U0NOBODY").stdout == "0 accounts.\n"


def test_another_key_takes_the_place_of_the_old_one(server: PeculiarProvider) -> None:
    connect(server, BEN, "ben")
    done = run("rotate", key=f"{KEY},{OLD_KEY}")
    assert (done.exit_code, done.stdout) == (0, "2 of 2 accounts are encrypted with the first key of TOKEN_KEY.\n")
    done = run("rotate", key=KEY)
    assert (done.exit_code, done.stdout) == (0, "2 of 2 accounts are encrypted with the first key of TOKEN_KEY.\n")


def test_what_no_key_opens_is_named_and_stays(server: PeculiarProvider) -> None:
    done = run("rotate", key=KEY)
    assert done.exit_code == 1
    assert done.stdout == (
        "- U0ANN's HR account cannot be decrypted with any key of TOKEN_KEY.\n"
        "0 of 1 accounts are encrypted with the first key of TOKEN_KEY.\n"
    )
    assert len(rows(URL, "accounts")) == 1


def test_a_persons_tokens_are_given_back(server: PeculiarProvider) -> None:
    connect(server, BEN, "ben")
    done = run("revoke", ANN)
    assert (done.exit_code, done.stdout) == (0, "HR: revoked and deleted.\n")
    assert [one["token"] for one in server.forms("/revoke")] == ["refresh-of-ann"]
    assert [one["who"] for one in rows(URL, "accounts")] == [BEN]
    with closing(Store(URL)) as store:
        (line,) = store.journal.lines(kind="disconnected")
        assert json.loads(line.data)["reason"] == "revoked on the command line"
        assert store.journal.verify()[0] is None


def test_tokens_are_deleted_although_the_server_is_away(server: PeculiarProvider) -> None:
    server.replies["/revoke"] = as_json({}, 500)
    done = run("revoke", ANN, "--api", "HR")
    assert (done.exit_code, done.stdout) == (0, "HR: deleted; the sign-in server did not revoke it.\n")
    assert rows(URL, "accounts") == []


def test_mistakes_are_told(server: PeculiarProvider) -> None:
    done = run("revoke", "U0NOBODY")
    assert done.exit_code == 2
    assert done.stderr == "U0NOBODY has no such account; `python bot.py tokens list` shows who has which.\n"
    done = run("rotate", key=None)
    assert (done.exit_code, done.stderr) == (
        2,
        "TOKEN_KEY is not set; run this where the bot runs, with its settings.\n",
    )
    done = run("rotate", key="password")
    assert done.stderr == (
        "TOKEN_KEY: write 32 bytes in base64, several separated by commas; make one with `openssl rand -base64 32`.\n"
    )
