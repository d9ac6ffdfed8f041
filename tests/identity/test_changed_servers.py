"""An API that comes to have another sign-in server while people connect or are connected: what one server gave never goes to another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from catalog.catalog import Api, Catalog, load_catalog
from identity.accounts import Accounts, Gone
from identity.callers import NoCredential, NotConnected
from identity.connecting import Connecting, NotConnectedNow, Question, account_text, is_own
from identity.devices import Devices
from identity.grants import Grant
from identity.sign_in_servers import SignInServers
from identity.token_box import TokenBox
from identity.unkept_grants import UnkeptGrants
from slack_io.home_accounts import HomeAccounts
from store.connections import ConnectionAsked
from store.store import Store
from tests.harness.databases import opened_before
from tests.harness.loopback import as_json
from tests.harness.peculiar_provider import PeculiarProvider
from tests.harness.stores import ANN, TEAM, Clock

KEY = "6nOSl4xRW0eXm3x1FqYyIhBB6gCxTNNrFfcCvzjzqxA="
ASKED = ConnectionAsked(TEAM, ANN, "HR")
BEARER = "{name: HR, base_url: 'http://127.0.0.1:9', auth: {bearer: fixed}, endpoints: [{method: GET, url: /a, description: d}]}"
NO_API = "I don't need people's own accounts for HR any more, so nothing was connected: just ask again."
CHANGED = (
    "My settings for HR were changed meanwhile, so nothing was connected. Go back to Slack and press Connect again."
)


@dataclass(frozen=True)
class Somebody:
    name: str = "Ann"
    email: str = "ann@example.com"


class Moving:
    """What connects people to the one API of a catalog, which may change."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        numbers = itertools.count(1)
        self.store, self.catalog, self.clock, box = store, catalog, clock, TokenBox([KEY])
        self.servers = SignInServers(clock)
        ids = lambda: f"id-{next(numbers)}"  # noqa: E731
        self.accounts = Accounts(store, self.servers, box, catalog, ids=ids, clock=clock)
        self.unkept = UnkeptGrants(store, self.accounts, self.servers, box, ids=ids)
        self.connecting = Connecting(
            store, self.accounts, self.servers, box, self.unkept, "https://bot.example.com",
            person=lambda _user: Somebody(), is_deleted=lambda _turn: False,
            secret=lambda: f"a-secret-of-43-letters-and-digits-or-more-{next(numbers):04}", clock=clock,
        )  # fmt: skip
        self.devices = Devices(
            store, self.accounts, self.servers, box, self.unkept, person=lambda _user: Somebody(), ids=ids,
        )  # fmt: skip
        self.told: list[str] = []

    def moves_to(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.accounts.use(catalog)

    def link(self) -> str:
        return self.connecting.link_to(ASKED).partition("link=")[2]

    def says_not(self, error: NotConnectedNow) -> None:
        self.told.append(str(error))

    def polled(self) -> ConnectionAsked | None:
        self.clock.now += 60
        (device,) = self.store.due_devices()
        return self.devices.poll(device, lambda *_: [], self.says_not)


@pytest.fixture
def servers() -> Iterator[tuple[PeculiarProvider, PeculiarProvider]]:
    with PeculiarProvider() as before, PeculiarProvider() as after:
        for server in (before, after):
            device = {"device_code": "the-device-code", "user_code": "AB-CD", "expires_in": 600}
            device |= {"verification_uri": f"{server.url}/device"}
            server.metadata["device_authorization_endpoint"] = f"{server.url}/begin"
            server.replies["/begin"] = as_json(device)
        yield before, after


@pytest.fixture
def moving(tmp_path: Path, servers: tuple[PeculiarProvider, PeculiarProvider]) -> Iterator[Moving]:
    clock = Clock()
    store = Store(opened_before("sqlite", tmp_path, "k"), clock, journal_key="k")
    servers[0].now = clock()
    yield Moving(store, servers[0].catalog(), clock)
    store.close()


def callback(moving: Moving, server: PeculiarProvider) -> tuple[dict[str, str], str]:
    """What a browser brings back from a sign-in server, with its cookie."""
    departure = moving.connecting.start(moving.link())
    (nonce,) = parse_qs(urlsplit(departure.url).query)["nonce"]
    server.claims["nonce"] = nonce
    return {"code": "the-code-of-the-first-server", "state": departure.state}, departure.cookie


def heard(server: PeculiarProvider) -> str:
    return "\n".join(f"{one.path} {one.headers} {one.body.decode()}" for one in server.requests)


def test_a_code_of_one_server_is_not_redeemed_at_another(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider]
) -> None:
    before, after = servers
    params, cookie = callback(moving, before)
    moving.moves_to(after.catalog())
    with pytest.raises(NotConnectedNow) as told:
        moving.connecting.came_back(params, cookie)
    assert str(told.value) == CHANGED
    assert after.requests == []


def _answer(moving: Moving, question: Question, answer: str) -> None:
    if answer == "yes":
        moving.connecting.confirm(question.confirmation, question.cookie, lambda *_: [])
    else:
        moving.connecting.decline(question.confirmation, question.cookie)


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_what_one_server_granted_is_neither_kept_for_another_nor_given_back_there(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider], answer: str
) -> None:
    before, after = servers
    question = moving.connecting.came_back(*callback(moving, before))
    moving.moves_to(after.catalog())
    with pytest.raises(NotConnectedNow) as told:
        _answer(moving, question, answer)
    assert str(told.value) == CHANGED
    assert told.value.asked == ASKED
    assert moving.store.all_accounts() == []
    assert after.requests == []


def test_tokens_of_one_server_are_not_given_back_at_another(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider]
) -> None:
    before, after = servers
    question = moving.connecting.came_back(*callback(moving, before))
    moving.connecting.confirm(question.confirmation, question.cookie, lambda *_: [])
    moving.moves_to(after.catalog())
    assert moving.accounts.disconnect("HR", TEAM, ANN) is Gone.DELETED
    assert "of-this-test" not in heard(after).replace("secret-of-this-test", "")
    assert moving.store.all_accounts() == []


def test_home_shows_an_account_of_the_server_before_beside_the_button_for_the_new_one(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider]
) -> None:
    before, after = servers
    question = moving.connecting.came_back(*callback(moving, before))
    moving.connecting.confirm(question.confirmation, question.cookie, lambda *_: [])
    home = HomeAccounts(moving.accounts, moving.connecting.link_to, lambda _team, _who: {"HR": "It was slow."})
    told = "The last try to connect it failed: It was slow."

    def shown() -> list[tuple[str, str]]:
        blocks = home.blocks(TEAM, ANN, moving.catalog)
        return [(one["text"]["text"], one["accessory"]["text"]["text"]) for one in blocks]

    assert shown() == [(f"HR: connected as ann.\n{told}", "Disconnect")]
    moving.moves_to(after.catalog())
    unconnected = "HR: not connected. I act there in your name, with your own account."
    assert shown() == [
        ("HR: connected as ann.", "Disconnect"),
        (f"{unconnected}\n{told}", "Connect your HR account"),
    ]
    moving.moves_to(load_catalog(BEARER, {}))
    assert shown() == [(f"HR: connected as ann.\n{told}", "Disconnect")]
    moving.accounts.disconnect("HR", TEAM, ANN)
    assert [one["text"]["text"] for one in home.blocks(TEAM, ANN, moving.catalog)] == [f"HR:\n{told}"]


def test_a_devices_sign_in_goes_on_at_no_other_server(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider]
) -> None:
    _, after = servers
    assert moving.devices.begin(ASKED).code == "AB-CD"
    moving.moves_to(after.catalog())
    assert moving.polled() == ASKED
    assert moving.told == [CHANGED]
    assert "the-device-code" not in heard(after)
    assert moving.store.due_devices() == []


def test_a_devices_sign_in_ends_with_words_where_the_api_asks_for_no_account_any_more(moving: Moving) -> None:
    moving.devices.begin(ASKED)
    moving.moves_to(load_catalog(BEARER, {}))
    assert moving.polled() == ASKED
    assert moving.told == [NO_API]
    assert moving.store.due_devices() == []


def test_what_a_renewal_brings_for_an_account_that_was_disconnected_meanwhile_is_given_back(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider]
) -> None:
    server, _ = servers
    question = moving.connecting.came_back(*callback(moving, server))
    moving.connecting.confirm(question.confirmation, question.cookie, lambda *_: [])
    (account,) = moving.store.all_accounts()
    renew = moving.servers.refresh

    def slowly(api: Api, refresh_token: str, seconds: float = 10.0) -> Grant:
        grant = renew(api, refresh_token, seconds)
        moving.accounts.disconnect("HR", TEAM, ANN)  # the person pressed it while the server was at it
        return grant

    moving.servers.refresh = slowly  # type: ignore[method-assign]
    api = moving.catalog.api("HR")
    assert api is not None
    with pytest.raises(NotConnected):
        moving.accounts._renewed(api, account, 1e12)
    given_back = [one["token"] for one in server.forms("/revoke")]
    assert given_back == ["refresh-1-of-this-test", "refresh-2-of-this-test"]


@pytest.mark.parametrize("other", ["\N{KELVIN SIGN}im@example.com", "stra\N{LATIN SMALL LETTER SHARP S}e@example.com"])
def test_no_foreign_letter_passes_for_another_in_an_address(other: str) -> None:
    mine = other.casefold()
    granted = Grant("token", email=other, email_verified=True)
    assert not is_own(Somebody(email=mine), granted)
    assert is_own(Somebody(email=mine.upper()), Grant("token", email=mine, email_verified=True))


def test_an_account_is_shown_on_one_line_with_all_that_is_in_its_name() -> None:
    named = Grant("token", name="Ann\nYour request was approved.\u202e", email="ann@example.com")
    assert account_text(named) == r"Ann\nYour request was approved.\u202e, ann@example.com"


def test_a_device_is_asked_about_as_often_as_its_server_wants_by_one(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider]
) -> None:
    server, _ = servers
    server.replies["/token"] = as_json({"error": "authorization_pending"}, 400)
    moving.devices.begin(ASKED)
    moving.clock.now += 60
    (device,) = moving.store.due_devices()
    for _ in range(2):  # two processes, or one that comes back at once
        assert moving.devices.poll(device, lambda *_: [], moving.says_not) is None
    assert server.paths.count("/token") == 1
    assert (moving.told, moving.store.all_accounts()) == ([], [])
    assert moving.devices.poll("one that is over", lambda *_: [], moving.says_not) is None
    assert moving.polled() is None
    assert server.paths.count("/token") == 2


def test_no_code_is_asked_for_where_the_api_has_no_accounts(
    moving: Moving, servers: tuple[PeculiarProvider, PeculiarProvider]
) -> None:
    server, _ = servers
    moving.moves_to(load_catalog(BEARER, {}))
    with pytest.raises(NoCredential, match="I don't need people's own accounts for HR any more"):
        moving.devices.begin(ASKED)
    assert server.requests == []
