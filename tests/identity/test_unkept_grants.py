"""Grants that nobody keeps go back to their sign-in server: again where that is away, never to another one, and not where it could end the
tokens of an account that is connected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.connecting import NotConnectedNow, Question
from identity.grants import Grant
from store.connections import ConnectionAsked
from store.store import Store
from tests.harness.databases import opened_before, rows
from tests.harness.loopback import Reply, as_json
from tests.harness.peculiar_provider import PeculiarProvider
from tests.harness.stores import ANN, BEN, TEAM, Clock
from tests.identity.test_changed_servers import Moving, callback

TEN_MINUTES = 600.0


@pytest.fixture
def server() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as running:
        running.now = Clock()()
        yield running


@pytest.fixture
def url(tmp_path: Path) -> str:
    return opened_before("sqlite", tmp_path, "k")


@pytest.fixture
def moving(url: str, server: PeculiarProvider) -> Iterator[Moving]:
    clock = Clock()
    store = Store(url, clock, journal_key="k")
    yield Moving(store, server.catalog(), clock)
    store.close()


def granted(moving: Moving, server: PeculiarProvider) -> Question:
    """A sign-in that came back, and whose page asks."""
    return moving.connecting.came_back(*callback(moving, server))


def clean_up(moving: Moving) -> None:
    """What the clock and its worker do."""
    for key in moving.store.take_unkept(20, TEN_MINUTES):
        moving.unkept.give_back(key)


def given_back(server: PeculiarProvider) -> list[str]:
    return [form["token"] for form in server.forms("/revoke")]


def sealed(url: str) -> list[str]:
    return [row["sealed"] for row in rows(url, "confirmations") if row["sealed"]]


def test_what_nobody_said_yes_to_in_time_is_given_back_once(moving: Moving, server: PeculiarProvider, url: str) -> None:
    question = granted(moving, server)
    clean_up(moving)
    assert given_back(server) == []
    moving.clock.now += TEN_MINUTES
    for _ in range(3):
        clean_up(moving)
        moving.clock.now += TEN_MINUTES
    assert given_back(server) == ["refresh-1-of-this-test"]
    assert sealed(url) == []
    with pytest.raises(NotConnectedNow, match="took more than ten minutes") as told:
        moving.connecting.confirm(question.confirmation, question.cookie, lambda *_: [])
    assert told.value.asked == ConnectionAsked(TEAM, ANN, "HR")


@pytest.mark.parametrize("status", [500, 503])
def test_where_the_server_is_away_it_is_given_back_later(
    moving: Moving, server: PeculiarProvider, url: str, status: int
) -> None:
    granted(moving, server)
    moving.clock.now += TEN_MINUTES
    server.replies["/revoke"] = Reply(status)
    clean_up(moving)
    assert len(sealed(url)) == 1
    clean_up(moving)
    assert len(given_back(server)) == 1, "no sooner than after a while"
    server.replies.clear()
    moving.clock.now += TEN_MINUTES
    clean_up(moving)
    assert given_back(server) == ["refresh-1-of-this-test"] * 2
    assert sealed(url) == []


def test_where_the_server_stays_away_for_a_day_it_is_forgotten(
    moving: Moving, server: PeculiarProvider, url: str
) -> None:
    granted(moving, server)
    server.replies["/revoke"] = Reply(503)
    moving.clock.now += TEN_MINUTES + 86_400.0
    clean_up(moving)
    moving.store.forget_connections()
    assert rows(url, "confirmations") == []


def test_what_the_server_refuses_to_take_back_is_forgotten(moving: Moving, server: PeculiarProvider, url: str) -> None:
    granted(moving, server)
    server.replies["/revoke"] = as_json({"error": "unsupported_token_type"}, 400)
    moving.clock.now += TEN_MINUTES
    clean_up(moving)
    assert len(given_back(server)) == 1
    assert sealed(url) == []


def test_a_server_that_takes_nothing_back_is_not_asked(moving: Moving, server: PeculiarProvider, url: str) -> None:
    server.metadata["revocation_endpoint"] = None
    granted(moving, server)
    moving.clock.now += TEN_MINUTES
    clean_up(moving)
    assert given_back(server) == []
    assert sealed(url) == []


def test_it_goes_to_no_other_server(moving: Moving, server: PeculiarProvider, url: str) -> None:
    granted(moving, server)
    with PeculiarProvider() as other:
        moving.moves_to(other.catalog())
        moving.clock.now += TEN_MINUTES
        clean_up(moving)
        assert other.requests == []
    assert given_back(server) == []
    assert sealed(url) == []


def test_of_an_account_that_is_connected_nothing_is_given_back(
    moving: Moving, server: PeculiarProvider, url: str
) -> None:
    """Google ends all tokens of a person with one of them."""
    first, second = granted(moving, server), granted(moving, server)
    moving.connecting.confirm(second.confirmation, second.cookie, lambda *_: [])
    clean_up(moving)
    moving.clock.now += TEN_MINUTES
    clean_up(moving)
    assert given_back(server) == []
    assert sealed(url) == []
    with pytest.raises(NotConnectedNow, match="another window was faster") as told:
        moving.connecting.confirm(first.confirmation, first.cookie, lambda *_: [])
    assert told.value.asked is None, "nothing failed"


def test_what_another_account_took_the_place_of_is_given_back(
    moving: Moving, server: PeculiarProvider, url: str
) -> None:
    granted(moving, server)
    server.claims["sub"] = "ann's other account"
    second = granted(moving, server)
    moving.connecting.confirm(second.confirmation, second.cookie, lambda *_: [])
    clean_up(moving)
    assert given_back(server) == ["refresh-1-of-this-test"]
    assert sealed(url) == []


def test_an_account_that_takes_the_place_of_another_has_that_ones_tokens_given_back(
    moving: Moving, server: PeculiarProvider, url: str
) -> None:
    for who in ("ann", "ann", "ann's other account", "ann"):
        server.claims["sub"] = who
        question = granted(moving, server)
        moving.connecting.confirm(question.confirmation, question.cookie, lambda *_: [])
        clean_up(moving)
    assert given_back(server) == ["refresh-2-of-this-test", "refresh-3-of-this-test"]
    assert sealed(url) == []


def test_as_long_as_another_window_asks_nothing_is_given_back(moving: Moving, server: PeculiarProvider) -> None:
    """The other one may be of the same account."""
    granted(moving, server)
    moving.clock.now += TEN_MINUTES - 1
    server.now = moving.clock()
    second = granted(moving, server)
    moving.clock.now += 1
    clean_up(moving)
    assert given_back(server) == []
    moving.connecting.confirm(second.confirmation, second.cookie, lambda *_: [])
    moving.clock.now += TEN_MINUTES
    clean_up(moving)
    assert given_back(server) == []


def test_somebody_elses_grant_does_not_end_the_account_that_this_one_has_here(
    moving: Moving, server: PeculiarProvider, url: str
) -> None:
    """Ann's link leads Ben, who is connected, to the sign-in server, which lets him through: his own account stays as it is."""
    grant = Grant("access-of-ben", subject="ben", issuer=server.url)
    moving.accounts.connect("HR", TEAM, BEN, grant)
    server.claims |= {"sub": "ben", "email": "ben@example.com", "email_verified": True}
    with pytest.raises(NotConnectedNow, match="isn't the one you have in Slack"):
        granted(moving, server)
    clean_up(moving)
    assert given_back(server) == []
    assert sealed(url) == []
    moving.accounts.disconnect("HR", TEAM, BEN)
    with pytest.raises(NotConnectedNow, match="isn't the one you have in Slack"):
        granted(moving, server)
    clean_up(moving)
    assert given_back(server) == ["access-of-ben", "refresh-2-of-this-test"]
