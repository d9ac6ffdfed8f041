"""People's accounts: connected, renewed by one at a time, taken away; on both engines, over threads and processes, before a server whose
refresh tokens end everything when they come twice."""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from base.metrics import REGISTRY
from base.settings import Misconfigured
from catalog.catalog import Api
from identity.accounts import Accounts, Gone
from identity.callers import Caller, Credential, NoCredential, NotConnected, Outgoing
from identity.grants import Grant
from identity.identities import Identities
from identity.sign_in_servers import SignInServers
from identity.token_box import TokenBox, Unreadable, check_keys
from store.store import Store
from tests.harness.databases import looking_into, rows
from tests.harness.forked_bot import in_processes
from tests.harness.loopback import Reply, as_json
from tests.harness.oidc_provider import CALLBACK
from tests.harness.peculiar_provider import NONCE, STATE, VERIFIER, PeculiarProvider
from tests.harness.store_fixtures import clock as clock
from tests.harness.store_fixtures import store as store
from tests.harness.store_fixtures import url as url
from tests.harness.stores import ANN, BEN, TEAM, Clock, race

KEY, OLD_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SOON = 60.0
_numbers = itertools.count(1)


def new_id() -> str:
    return f"id-{next(_numbers)}"


@pytest.fixture
def server() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as server:
        yield server


@pytest.fixture
def api(server: PeculiarProvider) -> Api:
    return server.api()


@pytest.fixture
def accounts(store: Store, server: PeculiarProvider, clock: Clock) -> Accounts:
    return of(store, server, clock)


def of(store: Store, server: PeculiarProvider, clock: Callable[[], float], *keys: str, **more: Any) -> Accounts:
    box = TokenBox(keys or (KEY,))
    return Accounts(store, SignInServers(clock), box, server.catalog(**more), ids=new_id, clock=clock)


def granted(server: PeculiarProvider, clock: Callable[[], float], **params: Any) -> Grant:
    sent = {"state": STATE, "nonce": NONCE, "verifier": VERIFIER, "redirect_uri": CALLBACK}
    return SignInServers(clock).redeem(server.api(**params), params={"code": "a-code", "state": STATE}, **sent)


def connected(accounts: Accounts, server: PeculiarProvider, clock: Clock, who: str = ANN) -> None:
    accounts.connect("HR", TEAM, who, granted(server, clock))


def asking(who: str = ANN, identity: str = "") -> Outgoing:
    return Outgoing(Caller(TEAM, who, identity=identity), "GET", "http://127.0.0.1:9/users")


def credential(accounts: Accounts, api: Api, who: str = ANN, seconds: float = 30) -> Credential:
    return accounts.credential(api, asking(who), time.monotonic() + seconds)


def token(accounts: Accounts, api: Api, who: str = ANN) -> str:
    return credential(accounts, api, who).headers["Authorization"]


def noted(store: Store, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line.data) for line in store.journal.lines(kind=kind)]


def renewals(outcome: str) -> float:
    return REGISTRY.get_sample_value("renewals_total", {"outcome": outcome}) or 0.0


# --- connecting -------------------------------------------------------------------------------------------------------


def test_who_has_no_account_is_told_to_connect_one(accounts: Accounts, api: Api) -> None:
    with pytest.raises(NotConnected) as told:
        credential(accounts, api)
    assert (told.value.api, told.value.reason) == ("HR", "")
    with pytest.raises(NotConnected):
        Identities({"oauth2": accounts}).whose(api, Caller(TEAM, ANN))


def test_each_person_calls_with_an_account_of_their_own(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    server.claims = {"sub": "ben"}
    connected(accounts, server, clock, BEN)
    of_ann, of_ben = credential(accounts, api), credential(accounts, api, BEN)
    assert of_ann.headers == {"Authorization": "Bearer access-1-of-this-test"}
    assert of_ben.headers == {"Authorization": "Bearer access-2-of-this-test"}
    assert (of_ann.subject, of_ben.subject, of_ann.issuer) == ("ann", "ben", server.url)
    assert of_ann.secrets == ("access-1-of-this-test",)
    assert [one.api for one in accounts.of_person(TEAM, ANN)] == ["HR"]
    with pytest.raises(NotConnected):
        accounts.credential(api, Outgoing(Caller("T0OTHER", ANN), "GET", ""), time.monotonic() + 5)


def test_what_goes_with_a_connection_is_in_its_transaction(
    accounts: Accounts, store: Store, server: PeculiarProvider, clock: Clock
) -> None:
    def also(_tx: object) -> None:
        raise RuntimeError

    grant = granted(server, clock)
    with pytest.raises(RuntimeError):
        accounts.connect("HR", TEAM, ANN, grant, also)
    assert accounts.of("HR", TEAM, ANN) is None
    assert noted(store, "connected") == []


def test_the_journal_names_who_connected_what_and_no_token(
    accounts: Accounts, store: Store, server: PeculiarProvider, clock: Clock
) -> None:
    connected(accounts, server, clock)
    accounts.disconnect("HR", TEAM, ANN)
    who = {"user": ANN, "team": TEAM, "api": "HR", "identity": f"ann at {server.url}"}
    assert noted(store, "connected") == [who]
    assert noted(store, "disconnected") == [who | {"reason": "asked for", "revoked": True}]
    assert all("of-this-test" not in line.data for line in store.journal.lines())


def test_no_row_and_no_repr_has_a_token(
    accounts: Accounts, store: Store, url: str, server: PeculiarProvider, clock: Clock
) -> None:
    connected(accounts, server, clock)
    assert "of-this-test" not in str(rows(url, "accounts"))
    assert "of-this-test" not in repr(accounts.of("HR", TEAM, ANN))
    assert str(rows(url, "accounts")[0]["encrypted"]) not in repr(accounts.of("HR", TEAM, ANN))


def test_connecting_again_takes_the_place_of_the_account_before(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    connected(accounts, server, clock)
    assert token(accounts, api) == "Bearer access-2-of-this-test"
    assert "/revoke" not in server.paths, "which would end the new tokens at some servers"


# --- renewal ----------------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_a_minute_before_its_end(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    clock.now += 3_600 - SOON - 1
    assert token(accounts, api) == "Bearer access-1-of-this-test"
    clock.now += 1
    assert token(accounts, api) == "Bearer access-2-of-this-test"
    assert server.spent == ["refresh-1-of-this-test"]
    clock.now += 3_600
    assert token(accounts, api) == "Bearer access-3-of-this-test"
    assert server.spent == ["refresh-1-of-this-test", "refresh-2-of-this-test"]


def test_a_token_of_a_short_life_is_renewed_after_half_of_it(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    server.life = 40
    connected(accounts, server, clock)
    clock.now += 19
    assert token(accounts, api) == "Bearer access-1-of-this-test"
    clock.now += 1
    assert token(accounts, api) == "Bearer access-2-of-this-test"


def test_a_token_whose_end_nobody_says_is_used_until_it_is_refused(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    server.life = None
    connected(accounts, server, clock)
    clock.now += 1_000_000
    refused = credential(accounts, api)
    assert refused.headers["Authorization"] == "Bearer access-1-of-this-test"
    assert accounts.renewed(api, asking(), refused, time.monotonic() + 5)
    assert token(accounts, api) == "Bearer access-2-of-this-test"


def test_a_refused_token_is_renewed_once_and_not_by_each_who_had_it(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    clock.now += 100
    first, by = credential(accounts, api), time.monotonic() + 5
    assert accounts.renewed(api, asking(), first, by)
    assert accounts.renewed(api, asking(), first, by), "somebody else has renewed it by now"
    assert not accounts.renewed(api, asking(), credential(accounts, api), by), "the API refuses the new one, too"
    assert server.spent == ["refresh-1-of-this-test"]


def test_ten_threads_renew_once(accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock) -> None:
    connected(accounts, server, clock)
    clock.now += 3_600
    server.pause = 0.2
    assert set(race(10, lambda _: token(accounts, api))) == {"Bearer access-2-of-this-test"}
    assert server.spent == ["refresh-1-of-this-test"]


def test_ten_threads_that_were_refused_renew_once(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    clock.now += 100
    refused = credential(accounts, api)
    server.pause = 0.2
    assert race(10, lambda _: accounts.renewed(api, asking(), refused, time.monotonic() + 30)) == [True] * 10
    assert server.spent == ["refresh-1-of-this-test"]


def _ask_in_a_process(url: str, issuer: str, key: str, threads: int) -> list[str]:
    """Another process with the same database: what its threads get."""
    clock = Clock(1_000.0 + 3_600)
    store = Store(url, clock, journal_key="k", is_shared=True)
    server = PeculiarProvider()
    catalog = server.catalog(issuer=issuer)
    ids = map(str, itertools.count(time.time_ns()))
    accounts = Accounts(store, SignInServers(clock), TokenBox([key]), catalog, ids=lambda: next(ids), clock=clock)

    def ask(_: int) -> str:
        return token(accounts, catalog.apis[0])

    got = race(threads, ask)
    store.close()
    return got


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_ten_turns_in_two_processes_renew_once(
    accounts: Accounts, url: str, server: PeculiarProvider, clock: Clock
) -> None:
    connected(accounts, server, clock)
    server.pause = 0.3
    one, other = in_processes(functools.partial(_ask_in_a_process, url, server.url, KEY, 5), 2)
    got = [*one, *other]
    assert got == ["Bearer access-2-of-this-test"] * 10
    assert server.spent == ["refresh-1-of-this-test"]


def test_a_renewal_whose_process_died_is_anothers_after_a_while(
    accounts: Accounts, store: Store, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    clock.now += 3_600
    account = accounts.of("HR", TEAM, ANN)
    assert account is not None
    assert store.begin_renewal(account, "somebody who dies", 30.0)
    with pytest.raises(NoCredential) as told:
        credential(accounts, api, seconds=0.2)
    assert str(told.value) == ("The sign-in server of HR is slow to renew your sign-in. Try again in a minute.")
    clock.now += 31
    assert token(accounts, api) == "Bearer access-2-of-this-test"


def test_who_comes_back_late_gives_up_nobody_elses_renewal(
    accounts: Accounts, store: Store, server: PeculiarProvider, clock: Clock
) -> None:
    connected(accounts, server, clock)
    account = accounts.of("HR", TEAM, ANN)
    assert account is not None
    assert store.begin_renewal(account, "first", 30.0)
    clock.now += 31
    assert store.begin_renewal(account, "second", 30.0)
    store.give_up_renewal(account, "first")
    assert not store.begin_renewal(account, "third", 30.0)


def test_a_renewal_is_stored_although_the_thread_was_taken_over_meanwhile(
    accounts: Accounts, store: Store, url: str, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    """What a refresh token was spent for must not be lost."""
    connected(accounts, server, clock)
    clock.now += 3_600
    with store.holding("T0/C0/1.1"):
        with looking_into(url) as engine, engine.begin() as db:
            db.execute(text("update holds set owner = 'another', fence = fence + 1"))
        assert token(accounts, api) == "Bearer access-2-of-this-test"
    assert token(accounts, api) == "Bearer access-2-of-this-test"


def test_an_account_that_was_connected_anew_during_a_renewal_stays(
    accounts: Accounts, store: Store, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    seen = accounts.of("HR", TEAM, ANN)
    assert seen is not None
    connected(accounts, server, clock)
    assert not store.end_renewal(seen, seen)
    assert token(accounts, api) == "Bearer access-2-of-this-test"


def test_a_server_that_is_away_leaves_a_token_that_is_good_in_use(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    before = renewals("failed")
    server.replies["/token"] = as_json({}, 503)
    clock.now += 3_590
    assert token(accounts, api) == "Bearer access-1-of-this-test"
    clock.now += 10
    with pytest.raises(NoCredential) as told:
        credential(accounts, api)
    assert str(told.value) == "The sign-in server of HR gave no answer. Try again in a few minutes."
    assert renewals("failed") == before + 2
    del server.replies["/token"]
    assert token(accounts, api) == "Bearer access-2-of-this-test"


def test_a_refresh_token_that_is_of_no_use_ends_the_account(
    accounts: Accounts, store: Store, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    replies = {
        "invalid_grant": as_json({"error": "invalid_grant", "error_description": "<!channel>"}, 400),
        "interaction_required": as_json({"error": "interaction_required"}, 400),
        "bad_refresh_token": as_json({"error": "bad_refresh_token"}, 200),
    }
    for reason, reply in replies.items():
        server.now = clock.now
        connected(accounts, server, clock)
        clock.now += 3_600
        server.replies["/token"] = reply
        with pytest.raises(NotConnected) as told:
            credential(accounts, api)
        assert (told.value.api, told.value.reason) == ("HR", "Your sign-in at HR has ended."), reason
        assert accounts.of("HR", TEAM, ANN) is None, reason
        del server.replies["/token"]
    assert [entry["reason"] for entry in noted(store, "disconnected")] == list(replies)


def test_what_is_the_servers_or_the_operators_fault_keeps_the_account(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    for code in ("invalid_client", "temporarily_unavailable", "unauthorized_client", "<odd>"):
        server.now = clock.now
        connected(accounts, server, clock)
        clock.now += 3_600
        server.replies["/token"] = as_json({"error": code}, 400)
        with pytest.raises(NoCredential):
            pytest.fail(f"{code}: {credential(accounts, api)}")
        assert accounts.of("HR", TEAM, ANN) is not None, code
        del server.replies["/token"]


def test_an_account_without_a_refresh_token_lasts_as_long_as_its_token(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    server.answer = {"refresh_token": None}
    connected(accounts, server, clock)
    clock.now += 3_599
    assert token(accounts, api) == "Bearer access-1-of-this-test"
    refused = credential(accounts, api)
    assert not accounts.renewed(api, asking(), refused, time.monotonic() + 5)
    clock.now += 1
    with pytest.raises(NotConnected) as told:
        credential(accounts, api)
    assert told.value.reason == "Your sign-in at HR has ended."
    assert accounts.of("HR", TEAM, ANN) is None


def test_a_server_that_does_not_rotate_keeps_its_refresh_token(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    server.rotates = False
    connected(accounts, server, clock)
    for _ in range(3):
        clock.now += 3_600
        credential(accounts, api)
    assert server.spent == ["refresh-1-of-this-test"] * 3


def test_another_sign_in_server_in_the_catalog_asks_to_connect_again(
    accounts: Accounts, server: PeculiarProvider, clock: Clock
) -> None:
    connected(accounts, server, clock)
    elsewhere = server.api(issuer="https://login.example.com")
    with pytest.raises(NotConnected) as told:
        credential(accounts, elsewhere)
    assert told.value.reason == "HR has another sign-in server now."


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_what_was_asked_for_with_one_account_is_not_sent_with_another(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    identities = Identities({"oauth2": accounts})
    whose = identities.whose(api, Caller(TEAM, ANN))
    assert whose == f"ann at {server.url}"
    assert accounts.credential(api, asking(identity=whose), time.monotonic() + 5).subject == "ann"
    server.claims = {"sub": "anns-other-account"}
    connected(accounts, server, clock)
    with pytest.raises(NoCredential) as told:
        accounts.credential(api, asking(identity=whose), time.monotonic() + 5)
    assert str(told.value) == (
        "This was asked for with a different HR account from the one that is connected now. Please ask again."
    )


# --- going ------------------------------------------------------------------------------------------------------------


def test_who_disconnects_gives_the_tokens_back(
    accounts: Accounts, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    assert accounts.disconnect("HR", TEAM, ANN) is Gone.REVOKED
    assert accounts.disconnect("HR", TEAM, ANN) is None
    assert [one["token"] for one in server.forms("/revoke")] == ["refresh-1-of-this-test"]
    with pytest.raises(NotConnected):
        credential(accounts, api)


def test_of_two_who_disconnect_at_once_one_did_it(
    accounts: Accounts, store: Store, server: PeculiarProvider, clock: Clock
) -> None:
    connected(accounts, server, clock)
    server.pause = 0.3
    assert sorted(map(str, race(2, lambda _: accounts.disconnect("HR", TEAM, ANN)))) == ["None", "revoked"]
    assert len(noted(store, "disconnected")) == 1


def test_who_waits_for_a_renewal_of_an_account_that_goes_meanwhile_is_told_to_connect(
    accounts: Accounts, store: Store, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    """The server has ended it: of ten who ask, all hear so, and it is asked once."""
    connected(accounts, server, clock)
    clock.now += 3_600
    server.pause, server.is_over = 0.3, True

    def told(_: int) -> str:
        with pytest.raises(NotConnected) as caught:
            credential(accounts, api)
        return caught.value.reason

    assert set(race(5, told)) <= {"Your sign-in at HR has ended.", ""}
    assert server.spent == ["refresh-1-of-this-test"]


def test_a_renewal_that_breaks_in_this_program_is_given_up_at_once(
    accounts: Accounts, store: Store, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    clock.now += 3_600
    broken = of(store, server, clock)
    broken._servers = None  # type: ignore[assignment]  # a fault of ours
    with pytest.raises(AttributeError):
        credential(broken, api)
    assert token(accounts, api) == "Bearer access-2-of-this-test"


def test_tokens_that_the_server_does_not_take_back_are_deleted_all_the_same(
    accounts: Accounts, store: Store, server: PeculiarProvider, clock: Clock
) -> None:
    for reply in (as_json({}, 503), as_json({"error": "unsupported_token_type"}, 400), Reply(drop=True)):
        connected(accounts, server, clock)
        server.replies["/revoke"] = reply
        assert accounts.disconnect("HR", TEAM, ANN) is Gone.DELETED, reply
        assert accounts.of("HR", TEAM, ANN) is None, reply
        assert noted(store, "disconnected")[-1]["revoked"] is False, reply


def test_an_account_of_an_api_that_left_the_catalog_can_be_deleted(
    store: Store, server: PeculiarProvider, clock: Clock
) -> None:
    accounts = of(store, server, clock)
    accounts.connect("Gone", TEAM, ANN, granted(server, clock))
    assert accounts.disconnect("Gone", TEAM, ANN) is Gone.DELETED


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_replaced_by_another_one_before_it(
    store: Store, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(of(store, server, clock, OLD_KEY), server, clock)
    assert token(of(store, server, clock, KEY, OLD_KEY), api) == "Bearer access-1-of-this-test"


def test_what_no_key_opens_is_told_and_kept(store: Store, server: PeculiarProvider, api: Api, clock: Clock) -> None:
    connected(of(store, server, clock, OLD_KEY), server, clock)
    with pytest.raises(NotConnected) as told:
        credential(of(store, server, clock, KEY), api)
    assert told.value.reason == "Your sign-in at HR can't be read any more, since my key was changed."
    assert token(of(store, server, clock, OLD_KEY), api) == "Bearer access-1-of-this-test"


def test_a_row_that_was_copied_to_another_person_is_of_no_use_there(
    accounts: Accounts, url: str, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    server.claims = {"sub": "ben"}
    connected(accounts, server, clock, BEN)
    with looking_into(url) as engine, engine.begin() as db:
        of_ann = db.scalar(text("select encrypted from accounts where who = 'U0ANN'"))
        db.execute(text("update accounts set encrypted = :it where who = 'U0BEN'"), {"it": of_ann})
    with pytest.raises(NotConnected):
        credential(accounts, api, BEN)


def test_whose_an_account_is_cannot_be_changed_in_the_database(
    accounts: Accounts, url: str, server: PeculiarProvider, api: Api, clock: Clock
) -> None:
    connected(accounts, server, clock)
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("update accounts set subject = 'the boss'"))
    with pytest.raises(NotConnected):
        credential(accounts, api)


def test_what_is_encrypted_opens_as_nothing_else() -> None:
    box = TokenBox([KEY])
    encrypted = box.encrypt(["state", "s1"], {"verifier": "v"})
    assert box.decrypt(["state", "s1"], encrypted) == {"verifier": "v"}
    for about, what in (
        (["state", "s2"], encrypted),
        (["state", "s1"], encrypted[:-8] + "AAAAAAA="),
        (["state"], "odd"),
    ):
        with pytest.raises(Unreadable):
            box.decrypt(about, what)
    with pytest.raises(Unreadable):
        TokenBox([OLD_KEY]).decrypt(["state", "s1"], encrypted)
    with pytest.raises(Unreadable):
        TokenBox([]).encrypt(["state"], {})


def test_a_key_that_is_missing_or_none_stops_the_start_in_words(server: PeculiarProvider) -> None:
    catalog = server.catalog()
    check_keys(catalog, [KEY])
    with pytest.raises(Misconfigured) as told:
        check_keys(catalog, [])
    assert str(told.value) == (
        "TOKEN_KEY is not set. HR is called with people's own accounts, whose tokens are kept encrypted: make one with "
        "`openssl rand -base64 32`, set TOKEN_KEY to it and keep it as safely as any key."
    )
    for keys in (["password"], [KEY, "password"], [KEY[:-4]]):
        with pytest.raises(Misconfigured) as told:
            check_keys(catalog, keys)
        assert str(told.value) == (
            "TOKEN_KEY: write 32 bytes in base64, several separated by commas; make one with `openssl rand -base64 32`."
        )
