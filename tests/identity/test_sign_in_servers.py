"""The conversation with sign-in servers: as they are in the wild, and as they lie. Their words never become ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from catalog.catalog import Api
from identity.callers import NoCredential
from identity.grants import Grant, Tokens
from identity.metadata import Metadata
from identity.oauth_line import Odd
from identity.sign_in_servers import SignInRefused, SignInServers, SlowDown, lacking
from tests.harness.logs import logged
from tests.harness.loopback import Reply, as_json
from tests.harness.oidc_provider import CALLBACK as LOCAL_CALLBACK
from tests.harness.oidc_provider import SECRET, OidcProvider, needs_oidc_provider, oidc_provider
from tests.harness.peculiar_provider import CALLBACK, KEY, NONCE, STATE, VERIFIER, Json, PeculiarProvider
from tests.harness.signing import a_key, new_key, pem, write

AWAY = "The sign-in server of HR gave no answer. Try again in a few minutes."
ODD = "The sign-in server of HR gave an answer that cannot be trusted or understood. Ask whoever runs this bot to look at its log."
MIXED_UP = "The answer from HR does not belong to this sign-in, so nothing was connected. Connect again."


@pytest.fixture
def server() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as server:
        yield server


@pytest.fixture
def servers() -> SignInServers:
    return SignInServers(lambda: 1_000.0)


@cache
def another_key() -> RSAKey:
    """One that is not the server's; making one takes a while."""
    return RSAKey.generate_key(2048)


def redeemed(servers: SignInServers, api: Api, **params: str) -> Grant:
    """What comes of a sign-in, whose callback got these parameters."""
    given = {"code": "a-code", "state": STATE} | params
    return servers.redeem(api, params=given, state=STATE, nonce=NONCE, verifier=VERIFIER, redirect_uri=CALLBACK)


# --- where people are sent --------------------------------------------------------------------------------------------


def test_people_are_sent_with_pkce_a_state_and_a_nonce(server: PeculiarProvider, servers: SignInServers) -> None:
    api = server.api(audience="hr-api", resource="https://hr.example.com", authorize_params={"access_type": "offline"})
    url = servers.authorization_url(api, state=STATE, nonce=NONCE, verifier=VERIFIER, redirect_uri=CALLBACK)
    assert url.partition("?")[0] == f"{server.url}/authorize"
    assert {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()} == {
        "response_type": "code",
        "client_id": "slack-bot",
        "redirect_uri": CALLBACK,
        "scope": "openid hr.read",
        "state": STATE,
        "nonce": NONCE,
        "code_challenge": "CrlVwe1WSHWuTQYh3iczmx3aS-faRx6C92k9_hNxl4A",
        "code_challenge_method": "S256",
        "audience": "hr-api",
        "resource": "https://hr.example.com",
        "access_type": "offline",
    }


def test_metadata_is_asked_for_once_an_hour(server: PeculiarProvider, servers: SignInServers) -> None:
    for _ in range(3):
        redeemed(servers, server.api())
    assert server.paths.count("/.well-known/openid-configuration") == server.paths.count("/jwks") == 1


def test_a_server_without_openid_connect_is_found_by_its_own_metadata(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    server.replies["/.well-known/openid-configuration"] = as_json({}, 404)
    said = {
        "issuer": server.url,
        "authorization_endpoint": f"{server.url}/authorize",
        "token_endpoint": f"{server.url}/token",
    }
    server.replies["/.well-known/oauth-authorization-server"] = as_json(said)
    grant = redeemed(servers, server.api(scopes=["hr.read"], userinfo_url=f"{server.url}/userinfo"))
    assert (grant.subject, grant.issuer) == ("ann", server.url)


LIES: list[Json] = [
    {"issuer": "https://other.example.com"},
    {"issuer": None},
    {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
    {"token_endpoint": "http://hr.example.com/token"},
    {"token_endpoint": "https://user:password@hr.example.com/token"},
    {"token_endpoint": "javascript:alert(1)"},
    {"token_endpoint": None},
    {"jwks_uri": ["https://hr.example.com/keys"]},
]


def test_metadata_that_lies_is_not_believed(server: PeculiarProvider) -> None:
    for metadata in LIES:
        server.metadata = metadata
        with pytest.raises(NoCredential) as told:
            pytest.fail(f"{metadata}: {redeemed(SignInServers(lambda: 1_000.0), server.api())}")
        assert str(told.value) == ODD, metadata
        assert set(server.paths) == {"/.well-known/openid-configuration"}, metadata


def test_a_server_elsewhere_leads_nobody_to_this_machine() -> None:
    """What an address on the internet names may be reached there alone."""
    metadata = Metadata("https://login.example.com", {"token_endpoint": "http://127.0.0.1:8080/token"})
    with pytest.raises(Odd, match="an address on this machine as token endpoint"):
        _ = metadata.token_url


# --- what came of it --------------------------------------------------------------------------------------------------


def test_a_code_is_redeemed_for_tokens_and_whose_they_are(server: PeculiarProvider, servers: SignInServers) -> None:
    server.claims = {"name": "Ann", "email": "Ann@example.com", "email_verified": True}
    grant = redeemed(servers, server.api())
    assert grant == Grant(
        "access-1-of-this-test", "refresh-1-of-this-test", 4_600.0, ("openid", "hr.read"),
        "ann", server.url, "Ann", "Ann@example.com", True,
    )  # fmt: skip
    (form,) = server.forms("/token")
    assert (form["code"], form["code_verifier"], form["redirect_uri"]) == ("a-code", VERIFIER, CALLBACK)


def test_no_token_shows_in_what_is_printed(server: PeculiarProvider, servers: SignInServers) -> None:
    grant = redeemed(servers, server.api())
    assert "of-this-test" not in f"{grant!r} {grant} {Tokens(grant.access_token, grant.refresh_token)!r}"


def test_an_email_counts_as_verified_where_the_server_says_so_be_it_as_text(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    for given in (True, "true", "True"):
        server.claims = {"email": "ann@example.com", "email_verified": given}
        assert redeemed(servers, server.api()).email_verified, given
    not_said: list[object] = [None, False, "false", "1", 1, "yes", ["true"]]
    for other in not_said:
        server.claims = {"email": "ann@example.com", "email_verified": other}
        assert not redeemed(servers, server.api()).email_verified, other


def test_a_lifetime_may_be_a_number_a_text_or_not_said(server: PeculiarProvider, servers: SignInServers) -> None:
    ends = {3_600: 4_600.0, "3599": 4_599.0, 59.5: 1_059.5, None: None, "": None, 0: 1_000.0}
    for life, end in ends.items():
        server.life = life
        assert redeemed(servers, server.api()).expires_at == end, life


def test_scopes_that_are_not_said_are_those_asked_for(server: PeculiarProvider, servers: SignInServers) -> None:
    for scope, scopes in (
        (None, ("openid", "hr.read")),
        ("openid", ("openid",)),
        ("repo,gist", ("repo", "gist")),
        (["openid", "hr.read"], ("openid", "hr.read")),
        ("", ("openid", "hr.read")),
    ):
        server.answer = {"scope": scope}
        assert redeemed(servers, server.api()).scopes == scopes, scope


def test_it_is_told_which_scopes_were_not_granted(server: PeculiarProvider, servers: SignInServers) -> None:
    server.answer = {"scope": "hr.read"}
    api = server.api(scopes=["openid", "email", "offline_access", "hr.read", "hr.write"])
    assert lacking(api, redeemed(servers, api).scopes) == ("hr.write",)


def test_a_token_type_is_read_in_any_case(server: PeculiarProvider, servers: SignInServers) -> None:
    for number, kind in enumerate(("Bearer", "bearer", "BEARER", None), start=1):
        server.answer = {"token_type": kind}
        assert redeemed(servers, server.api()).access_token == f"access-{number}-of-this-test", kind


NO_ANSWERS: list[Json] = [
    {"token_type": "DPoP"},
    {"access_token": None},
    {"access_token": ""},
    {"access_token": 7},
    {"access_token": "a token"},
    {"access_token": "a\r\nX-Admin: yes"},
    {"access_token": "a" * 20_000},
    {"refresh_token": ["a"]},
    {"expires_in": "soon"},
    {"expires_in": {}},
    {"id_token": None},
    {"id_token": "no.token.atall"},
    {"id_token": 7},
]


def test_an_answer_that_is_none_is_told_in_words(server: PeculiarProvider, servers: SignInServers) -> None:
    for answer in NO_ANSWERS:
        server.answer = answer
        with pytest.raises(NoCredential) as told:
            pytest.fail(f"{answer}: {redeemed(servers, server.api())}")
        assert str(told.value) == ODD, answer


def test_github_is_understood(server: PeculiarProvider, servers: SignInServers) -> None:
    """No discovery, no OpenID Connect, scopes apart by commas, a number for a name, a form but for who asks for JSON."""
    api = server.api(
        issuer=None, scopes=["read:user"], authorize_url=f"{server.url}/authorize", token_url=f"{server.url}/token",
        userinfo_url=f"{server.url}/userinfo",
    )  # fmt: skip
    server.answer = {"scope": "read:user,gist", "token_type": "bearer", "expires_in": None, "refresh_token": None}
    server.person = {"sub": None, "id": 583231, "login": "octocat", "name": None, "email": None}
    grant = redeemed(servers, api, iss="https://github.com")
    assert (grant.subject, grant.issuer, grant.name) == ("583231", server.url, "octocat")
    assert (grant.scopes, grant.refresh_token, grant.expires_at) == (("read:user", "gist"), "", None)
    assert server.requests[0].headers["accept"] == "application/json"


def test_githubs_errors_with_200_are_errors(server: PeculiarProvider, servers: SignInServers) -> None:
    server.replies["/token"] = as_json({"error": "bad_verification_code", "error_description": "<https://evil|Click>"})
    with pytest.raises(SignInRefused) as told:
        redeemed(servers, server.api())
    assert told.value.code == "bad_verification_code"
    assert "evil" not in str(told.value)


# --- id_tokens --------------------------------------------------------------------------------------------------------


CLAIMS_OF_ANOTHER: list[Json] = [
    {"iss": "https://other.example.com"},
    {"iss": None},
    {"aud": "another-bot"},
    {"aud": ["another-bot"]},
    {"aud": None},
    {"aud": ["slack-bot", "another-bot"]},
    {"aud": ["slack-bot", "another-bot"], "azp": "another-bot"},
    {"azp": "another-bot"},
    {"nonce": "another-nonce"},
    {"nonce": None},
    {"exp": 1_000 - 61},
    {"exp": None},
    {"exp": "never"},
    {"iat": 1_000 + 61},
    {"nbf": 1_000 + 61},
    {"sub": None},
    {"sub": 7},
    {"sub": "a" * 300},
    {"at_hash": "bm90LXRoZS1vbmU"},
]


def test_claims_of_another_sign_in_are_refused(server: PeculiarProvider, servers: SignInServers) -> None:
    for claims in CLAIMS_OF_ANOTHER:
        server.claims = claims
        with pytest.raises(NoCredential) as told:
            pytest.fail(f"{claims}: {redeemed(servers, server.api())}")
        assert str(told.value) == ODD, claims


def test_what_differs_by_a_minute_or_by_form_is_taken(server: PeculiarProvider, servers: SignInServers) -> None:
    taken: list[Json] = [
        {"aud": ["slack-bot"]},
        {"aud": ["slack-bot", "another-bot"], "azp": "slack-bot"},
        {"exp": 1_000 - 59},
        {"iat": 1_000 + 59},
        {"nbf": 1_000 + 59},
    ]
    for claims in taken:
        server.claims = claims
        assert redeemed(servers, server.api()).subject == "ann", claims


def unsigned(server: PeculiarProvider) -> None:
    server.header, server.sign_with = {"alg": "none"}, OctKey.import_key("x" * 32)


def signed_with_the_clients_secret(server: PeculiarProvider) -> None:
    server.header, server.sign_with = {"alg": "HS256"}, OctKey.import_key("secret-of-this-test-secret-of-this-test")


def signed_by_another(server: PeculiarProvider) -> None:
    server.sign_with = another_key()


def signed_by_a_key_that_is_not_there(server: PeculiarProvider) -> None:
    server.header = {"kid": "another"}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    "forge",
    [
        unsigned,
        signed_with_the_clients_secret,
        signed_by_another,
        signed_by_a_key_that_is_not_there,
    ],
)
def test_a_signature_that_is_not_the_servers_is_refused(
    server: PeculiarProvider, servers: SignInServers, forge: Callable[[PeculiarProvider], None]
) -> None:
    forge(server)
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api())
    assert str(told.value) == ODD


def test_a_key_that_came_since_is_fetched(server: PeculiarProvider, servers: SignInServers) -> None:
    redeemed(servers, server.api())
    server.sign_with, server.header = another_key(), {"kid": "second"}
    server.keys.append(another_key().as_dict(private=False) | {"kid": "second"})
    assert redeemed(servers, server.api()).subject == "ann"
    assert server.paths.count("/jwks") == 2


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ECKey.generate_key("P-256"), "ES256"),
        (OKPKey.generate_key("Ed25519"), "EdDSA"),
        (KEY, "PS256"),
    ],
)
def test_other_kinds_of_keys_sign_too(
    server: PeculiarProvider, servers: SignInServers, key: RSAKey | ECKey | OKPKey, algorithm: str
) -> None:
    server.sign_with, server.header = key, {"kid": "other", "alg": algorithm}
    server.keys = [key.as_dict(private=False) | {"kid": "other"}]
    assert redeemed(servers, server.api()).subject == "ann"


def test_a_token_that_names_no_key_is_tried_with_each_and_odd_keys_are_left_out(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    odd: list[Any] = [
        {"kty": "EC", "crv": "P-999", "x": "a", "y": "b"},
        {"kty": "AKP"},
        "no key",
        {"use": "enc", **server.keys[0]},
    ]
    other = another_key().as_dict(private=False) | {"kid": "other"}
    server.keys, server.header = [*odd, other, *server.keys], {"kid": None}
    assert redeemed(servers, server.api()).subject == "ann"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iat": 5_000}, "a signed token whose iat is not valid now: compare this machine's clock with the server's"),
        ({"exp": 100}, "a signed token whose exp is not valid now: compare this machine's clock with the server's"),
        ({"nonce": "another-nonce"}, "a signed token whose nonce is missing or has another value"),
        ({"aud": None}, "a signed token whose aud is missing or has another value"),
    ],
)
def test_the_log_says_what_of_an_id_token_does_not_hold(
    server: PeculiarProvider, servers: SignInServers, claims: Json, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """People are told to ask for that."""
    server.claims = claims
    with pytest.raises(NoCredential):
        redeemed(servers, server.api())
    (entry,) = logged(caplog, event="sign-in server's answer is odd")
    assert entry["reason"] == why


def test_the_log_says_that_a_signature_does_not_hold(
    server: PeculiarProvider, servers: SignInServers, caplog: pytest.LogCaptureFixture
) -> None:
    server.sign_with = another_key()
    with pytest.raises(NoCredential):
        redeemed(servers, server.api())
    (entry,) = logged(caplog, event="sign-in server's answer is odd")
    assert entry["reason"] == "an invalid signed token: bad_signature"


def test_of_a_token_that_names_no_key_the_keys_are_fetched_anew_too(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    redeemed(servers, server.api())
    server.sign_with, server.header = another_key(), {"kid": None}
    server.keys.append(another_key().as_dict(private=False))
    assert redeemed(servers, server.api()).subject == "ann"
    server.sign_with = RSAKey.generate_key(2048)
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api())
    assert str(told.value) == ODD


ITS_KEYS = {"keys": [KEY.as_dict(private=False)]}


@pytest.mark.parametrize(
    "reply", [as_json({"keys": []}), as_json({}), as_json({"keys": "none"}), as_json(ITS_KEYS, 404)]
)
def test_keys_that_are_none_are_not_kept(server: PeculiarProvider, servers: SignInServers, reply: Reply) -> None:
    server.replies["/jwks"] = reply
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api())
    assert str(told.value) == ODD
    del server.replies["/jwks"]
    before = server.paths.count("/jwks")
    assert redeemed(servers, server.api()).subject == "ann"
    assert server.paths.count("/jwks") == before + 1


def test_without_an_id_token_that_was_asked_for_userinfo_is_not_believed(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    server.metadata, server.answer = {"userinfo_endpoint": f"{server.url}/userinfo"}, {"id_token": None}
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api())
    assert str(told.value) == ODD
    assert "/userinfo" not in server.paths


def test_a_callback_without_a_code_redeems_nothing(server: PeculiarProvider, servers: SignInServers) -> None:
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api(), code="")
    assert str(told.value) == ODD
    assert "/token" not in server.paths


def test_an_issuer_that_differs_by_its_last_slash_is_another_one(
    server: PeculiarProvider, servers: SignInServers, caplog: pytest.LogCaptureFixture
) -> None:
    """Accounts are told apart by it, and id_tokens have it."""
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api(issuer=f"{server.url}/"))
    assert str(told.value) == ODD
    assert "put exactly its_issuer into the catalog" in caplog.text


# --- userinfo ---------------------------------------------------------------------------------------------------------


def test_an_email_that_the_id_token_lacks_is_asked_for(server: PeculiarProvider, servers: SignInServers) -> None:
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.person = {"email": "ann@example.com", "email_verified": True}
    grant = redeemed(servers, server.api())
    assert (grant.email, grant.email_verified) == ("ann@example.com", True)
    assert server.requests[-1].headers["authorization"] == "Bearer access-1-of-this-test"


def test_an_email_of_userinfo_is_verified_only_by_userinfo(server: PeculiarProvider, servers: SignInServers) -> None:
    server.metadata, server.claims = {"userinfo_endpoint": f"{server.url}/userinfo"}, {"email_verified": True}
    server.person = {"email": "somebody@example.com"}
    grant = redeemed(servers, server.api())
    assert (grant.email, grant.email_verified) == ("somebody@example.com", False)


def test_userinfo_of_somebody_else_is_refused(server: PeculiarProvider, servers: SignInServers) -> None:
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.person = {"sub": "ben", "email": "ben@example.com", "email_verified": True}
    with pytest.raises(NoCredential):
        redeemed(servers, server.api())


def test_userinfo_that_takes_no_token_of_another_api_says_nothing(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    """Entra ID's is Microsoft Graph's alone."""
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.replies["/userinfo"] = as_json({"error": "invalid_token"}, 401)
    assert redeemed(servers, server.api()).email == ""


def test_userinfo_that_is_away_is_not_taken_for_one_without_an_email(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.replies["/userinfo"] = as_json({}, 503)
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api())
    assert str(told.value) == AWAY


# --- the callback -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "params"),
    [
        ({}, {"state": "another"}),
        ({}, {"iss": "https://other.example.com"}),
        ({"authorization_response_iss_parameter_supported": True}, {}),
        ({}, {"iss": "https://other.example.com", "error": "access_denied"}),
    ],
)
def test_the_answer_of_another_sign_in_or_server_redeems_nothing(
    server: PeculiarProvider, servers: SignInServers, metadata: Json, params: Json
) -> None:
    server.metadata = metadata
    with pytest.raises(NoCredential) as told:
        redeemed(servers, server.api(), **params)
    assert str(told.value) == MIXED_UP
    assert "/token" not in server.paths


def test_a_denial_is_told_in_our_words(server: PeculiarProvider, servers: SignInServers) -> None:
    with pytest.raises(SignInRefused) as told:
        redeemed(servers, server.api(), error="access_denied", error_description="Click http://evil.example.com")
    assert told.value.code == "access_denied"
    assert str(told.value) == "The sign-in at HR was denied or cancelled. Connect again to try once more."


def test_a_code_that_is_none_is_not_repeated(server: PeculiarProvider, servers: SignInServers) -> None:
    for code in ("<!channel>", "a" * 100, "", "caf\u00e9 au lait"):
        with pytest.raises(SignInRefused) as told:
            redeemed(servers, server.api(), error=code)
        assert told.value.code == "unknown", code


# --- servers that are away --------------------------------------------------------------------------------------------

HUGE = Reply(200, b'{"access_token": "' + b"a" * 600_000 + b'"}')
PAGE = Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})


NONSENSE: list[tuple[Reply, str]] = [
    (as_json({}, 500), AWAY),
    (Reply(502, b"<html>", {"Content-Type": "text/html"}), AWAY),
    (Reply(drop=True), AWAY),
    (HUGE, ODD),
    (PAGE, ODD),
    (as_json(["list"]), ODD),
    (Reply(200, b"[" * 100_000), ODD),
    (Reply(200, b'{"a": NaN, "access_token": "x"'), ODD),
]


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
def test_a_server_that_is_away_or_talks_nonsense_is_told_as_that(server: PeculiarProvider, path: str) -> None:
    for reply, words in NONSENSE:
        server.replies[path] = reply
        with pytest.raises(NoCredential) as told:
            pytest.fail(f"{reply}: {redeemed(SignInServers(lambda: 1_000.0), server.api())}")
        assert str(told.value) == words, reply


def test_no_redirect_is_followed(server: PeculiarProvider, servers: SignInServers) -> None:
    server.replies["/token"] = Reply(307, b"", {"Location": f"{server.url}/elsewhere"})
    with pytest.raises(NoCredential):
        redeemed(servers, server.api())
    assert "/elsewhere" not in server.paths


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_said(server: PeculiarProvider) -> None:
    servers = SignInServers(lambda: 1_000.0)
    redeemed(servers, server.api())
    server.hold()
    with pytest.raises(NoCredential) as told:
        servers.refresh(server.api(), "refresh-1-of-this-test", seconds=0.2)
    assert str(told.value) == AWAY


# --- renewal, and giving back -----------------------------------------------------------------------------------------


def test_a_renewal_without_a_new_refresh_token_keeps_the_old_one(
    server: PeculiarProvider, servers: SignInServers
) -> None:
    server.rotates = False
    grant = redeemed(servers, server.api())
    renewed = servers.refresh(server.api(), grant.refresh_token)
    assert (renewed.access_token, renewed.refresh_token) == ("access-2-of-this-test", grant.refresh_token)


def test_the_secret_travels_as_the_server_says(server: PeculiarProvider, servers: SignInServers) -> None:
    server.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]}
    redeemed(servers, server.api())
    assert server.forms("/token")[0]["client_secret"] == "secret-of-this-test"
    server.metadata = {}
    redeemed(SignInServers(lambda: 1_000.0), server.api())
    assert "client_secret" not in server.forms("/token")[1]
    redeemed(SignInServers(lambda: 1_000.0), server.api(client_auth="post"))
    assert server.forms("/token")[2]["client_secret"] == "secret-of-this-test"


def test_a_public_client_has_pkce_alone(server: PeculiarProvider, servers: SignInServers) -> None:
    redeemed(servers, server.api(client_secret=None))
    (form,) = server.forms("/token")
    assert form["client_id"] == "slack-bot"
    assert "client_secret" not in form
    assert "authorization" not in server.requests[1].headers


DEVICE = {
    "device_code": "device-code-of-this-test",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://login.example.com/device",
    "expires_in": 600,
}


def test_a_private_key_signs_who_the_bot_is_in_each_request(
    server: PeculiarProvider, servers: SignInServers, tmp_path: Path
) -> None:
    server.metadata = {"device_authorization_endpoint": f"{server.url}/device"}
    server.replies["/device"] = as_json(DEVICE)
    key = new_key("p256")
    api = server.api(client_secret=None, private_key_file=write(tmp_path / "key", pem(key)), key_id="mine")
    grant = redeemed(servers, api)
    servers.refresh(api, grant.refresh_token)
    servers.begin_device(api)
    servers.revoke(api, grant)
    forms = [form for path in ("/token", "/device", "/revoke") for form in server.forms(path)]
    public = ECKey.import_key(pem(key))
    statements = [jwt.decode(form["client_assertion"], public, algorithms=["ES256"]) for form in forms]
    assert [one.header["kid"] for one in statements] == ["mine"] * 4
    assert {(one.claims["iss"], one.claims["sub"], one.claims["aud"]) for one in statements} == {
        ("slack-bot", "slack-bot", server.url)
    }
    assert len({one.claims["jti"] for one in statements}) == 4
    assert not any("client_secret" in form or "authorization" in form for form in forms)


def test_a_key_whose_file_is_gone_is_told_and_nothing_is_sent(
    server: PeculiarProvider, servers: SignInServers, tmp_path: Path
) -> None:
    api = server.api(client_secret=None, private_key_file=str(tmp_path / "key"))
    with pytest.raises(NoCredential) as told:
        redeemed(servers, api)
    assert str(told.value) == (
        "The bot's own credential for HR cannot be read, so nothing was sent. Its operators find the reason in the log."
    )
    assert server.forms("/token") == []


@pytest.mark.parametrize("more", [{}, {"client_auth": "post"}, {"client_secret": None}])
def test_a_sign_in_on_another_device_names_the_client_once(
    server: PeculiarProvider, servers: SignInServers, more: Json
) -> None:
    """RFC 6749, 3.2: no parameter twice; RFC 8628, 3.1: client_id."""
    server.metadata = {"device_authorization_endpoint": f"{server.url}/device"}
    server.replies["/device"] = as_json(DEVICE)
    start = servers.begin_device(server.api(**more))
    assert (start.user_code, start.expires_at, start.interval) == ("WDJB-MJHT", 1_600.0, 5.0)
    form = parse_qs(server.requests[-1].body.decode())
    assert form["client_id"] == ["slack-bot"]
    assert form["scope"] == ["openid hr.read"]


@pytest.mark.parametrize(
    ("error", "raised"), [("authorization_pending", None), ("slow_down", SlowDown), ("expired_token", SignInRefused)]
)
def test_what_a_server_says_to_who_asks_about_a_device(
    server: PeculiarProvider, servers: SignInServers, error: str, raised: type[Exception] | None
) -> None:
    told = {"device_code": "a", "user_code": "AB-CD", "expires_in": 600, "verification_uri": f"{server.url}/device"}
    server.metadata = {"device_authorization_endpoint": f"{server.url}/begin"}
    server.replies |= {"/begin": as_json(told), "/token": as_json({"error": error}, 400)}
    start = servers.begin_device(server.api())
    if raised is None:
        assert servers.poll_device(server.api(), start) is None
        return
    with pytest.raises(raised) as caught:
        servers.poll_device(server.api(), start)
    assert type(caught.value) is raised


def test_what_is_given_back_is_the_refresh_token(server: PeculiarProvider, servers: SignInServers) -> None:
    assert servers.revoke(server.api(), Tokens("access", "refresh"))
    assert servers.revoke(server.api(), Tokens("access", ""))
    assert [(one["token"], one["token_type_hint"]) for one in server.forms("/revoke")] == [
        ("refresh", "refresh_token"),
        ("access", "access_token"),
    ]


def test_a_server_may_take_nothing_back(server: PeculiarProvider, servers: SignInServers) -> None:
    server.metadata = {"revocation_endpoint": None}
    assert not servers.revoke(server.api(), Tokens("access", "refresh"))


def test_a_grant_goes_through_json_and_back(server: PeculiarProvider, servers: SignInServers) -> None:
    grant = redeemed(servers, server.api())
    assert Grant.from_json(json.loads(json.dumps(grant.to_json()))) == grant


# --- a real one -------------------------------------------------------------------------------------------------------

REAL = ("openid", "email", "profile", "offline_access")


def real_api(issuer: str, **more: Any) -> Api:
    keys: Json = {"client_secret": SECRET, "scopes": list(REAL), "authorize_params": {"prompt": "consent"}}
    return PeculiarProvider().api(issuer=issuer, **keys | more)


def shown_by(way: str, folder: Path) -> tuple[Json, Json]:
    """How the bot shows a real server who it is: as that has it registered, and in the catalog."""
    key = a_key("rsa")
    public = RSAKey.import_key(pem(key)).as_dict(private=False) | {"kid": "mine"}
    registered: dict[str, Json] = {
        "client_secret_basic": {},
        "client_secret_post": {},
        "none": {"client_secret": None},
        "private_key_jwt": {"client_secret": None, "jwks": {"keys": [public]}},
    }
    keys: dict[str, Json] = {
        "client_secret_basic": {},
        "client_secret_post": {"client_auth": "post"},
        "none": {"client_secret": None},
        "private_key_jwt": {
            "client_secret": None,
            "private_key_file": write(folder / "key", pem(key)),
            "key_id": "mine",
        },
    }
    return registered[way] | {"token_endpoint_auth_method": way}, keys[way]


WAYS = ["client_secret_basic", "client_secret_post", "none", "private_key_jwt"]
by_each_way = pytest.mark.parametrize("way", WAYS)


@dataclass(frozen=True)
class Strict:
    """A strict server that knows the bot several times, each by another way, whose name is its client_id there."""

    real: OidcProvider
    apis: Mapping[str, Api]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    folder = tmp_path_factory.mktemp("strict")
    shown = {way: shown_by(way, folder) for way in WAYS}
    with oidc_provider(
        folder, others=[registered | {"client_id": way} for way, (registered, _) in shown.items()]
    ) as real:
        yield Strict(real, {way: real_api(real.issuer, client_id=way, **keys) for way, (_, keys) in shown.items()})


with_one_server = pytest.mark.xdist_group("strict-server")


@needs_oidc_provider
@with_one_server
@by_each_way
def test_a_strict_server_lets_in_renews_and_takes_back(way: str, strict: Strict) -> None:
    servers = SignInServers(time.time)
    real, api = strict.real, strict.apis[way]
    sent = {"state": STATE, "nonce": NONCE, "verifier": VERIFIER, "redirect_uri": LOCAL_CALLBACK}
    grant = servers.redeem(api, params=real.sign_in(servers.authorization_url(api, **sent), "ann"), **sent)
    assert (grant.subject, grant.issuer, grant.scopes) == ("ann", real.issuer, REAL)
    assert (grant.name, grant.email, grant.email_verified) == ("ann of HR", "ann@example.com", True)

    renewed = servers.refresh(api, grant.refresh_token)
    assert renewed.refresh_token != grant.refresh_token
    assert real.is_active(renewed.access_token)

    assert servers.revoke(api, renewed)
    assert not real.is_active(renewed.access_token)
    with pytest.raises(SignInRefused) as told:
        servers.refresh(api, renewed.refresh_token)
    assert told.value.code == "invalid_grant"


@needs_oidc_provider
@with_one_server
def test_a_strict_server_refuses_another_verifier_and_a_person_who_says_no(strict: Strict) -> None:
    servers = SignInServers(time.time)
    real, api = strict.real, strict.apis["client_secret_basic"]
    sent = {"state": STATE, "nonce": NONCE, "verifier": VERIFIER, "redirect_uri": LOCAL_CALLBACK}
    params = real.sign_in(servers.authorization_url(api, **sent), "ann")
    with pytest.raises(SignInRefused) as told:
        servers.redeem(api, params=params, **sent | {"verifier": "w" * 50})
    assert told.value.code == "invalid_grant"
    params = real.sign_in(servers.authorization_url(api, **sent), "nobody")
    with pytest.raises(SignInRefused) as told:
        servers.redeem(api, params=params, **sent)
    assert told.value.code == "access_denied"


@needs_oidc_provider
@with_one_server
@by_each_way
def test_a_strict_server_lets_a_device_in(way: str, strict: Strict) -> None:
    servers = SignInServers(time.time)
    real, api = strict.real, strict.apis[way]
    assert servers.has_device_flow(api)
    start = servers.begin_device(api)
    assert start.verification_url == f"{real.issuer}/device"
    assert servers.poll_device(api, start) is None
    real.enter(start.complete_url)
    grant = servers.poll_device(api, start)
    assert grant is not None
    assert (grant.subject, grant.email) == ("ann", "ann@example.com")
    with pytest.raises(SignInRefused):
        servers.poll_device(api, start)
