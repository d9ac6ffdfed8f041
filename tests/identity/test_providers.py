"""The conversation with sign-in servers: as they are in the wild, and as they lie. Their words never become ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from catalog.catalog import Api
from identity.callers import NoCredential
from identity.providers import Grant, ProviderRefused, Providers, Tokens, _written, lacking
from tests.harness.loopback import Reply, as_json
from tests.harness.oidc_provider import CALLBACK as LOCAL_CALLBACK
from tests.harness.oidc_provider import SECRET, needs_oidc_provider, oidc_provider
from tests.harness.peculiar_provider import CALLBACK, NONCE, STATE, VERIFIER, Json, PeculiarProvider

AWAY = "The sign-in server of HR gave no answer. Try again in a few minutes."
ODD = "The sign-in server of HR gave an answer that cannot be trusted or understood. Ask who runs this bot to look at its log."
MIXED_UP = "The answer from HR does not belong to this sign-in, so nothing was connected. Connect again."


@pytest.fixture
def server() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as server:
        yield server


@pytest.fixture
def providers() -> Providers:
    return Providers(lambda: 1_000.0)


def redeemed(providers: Providers, api: Api, **params: str) -> Grant:
    """What comes of a sign-in, whose callback got these parameters."""
    given = {"code": "a-code", "state": STATE} | params
    return providers.redeem(api, params=given, state=STATE, nonce=NONCE, verifier=VERIFIER, redirect_uri=CALLBACK)


# --- where people are sent --------------------------------------------------------------------------------------------


def test_people_are_sent_with_pkce_a_state_and_a_nonce(server: PeculiarProvider, providers: Providers) -> None:
    api = server.api(audience="hr-api", resource="https://hr.example.com", authorize_params={"access_type": "offline"})
    url = providers.authorization_url(api, state=STATE, nonce=NONCE, verifier=VERIFIER, redirect_uri=CALLBACK)
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


def test_metadata_is_asked_for_once_an_hour(server: PeculiarProvider, providers: Providers) -> None:
    for _ in range(3):
        redeemed(providers, server.api())
    assert server.paths.count("/.well-known/openid-configuration") == server.paths.count("/jwks") == 1


def test_a_server_without_openid_connect_is_found_by_its_own_metadata(
    server: PeculiarProvider, providers: Providers
) -> None:
    server.replies["/.well-known/openid-configuration"] = as_json({}, 404)
    said = {
        "issuer": server.url,
        "authorization_endpoint": f"{server.url}/authorize",
        "token_endpoint": f"{server.url}/token",
    }
    server.replies["/.well-known/oauth-authorization-server"] = as_json(said)
    grant = redeemed(providers, server.api(scopes=["hr.read"], userinfo_url=f"{server.url}/userinfo"))
    assert (grant.subject, grant.issuer) == ("ann", server.url)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example.com"},
        {"issuer": None},
        {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
        {"token_endpoint": "http://hr.example.com/token"},
        {"token_endpoint": "https://user:password@hr.example.com/token"},
        {"token_endpoint": "javascript:alert(1)"},
        {"token_endpoint": None},
        {"jwks_uri": ["https://hr.example.com/keys"]},
    ],
)
def test_metadata_that_lies_is_not_believed(server: PeculiarProvider, providers: Providers, metadata: Json) -> None:
    server.metadata = metadata
    with pytest.raises(NoCredential) as told:
        redeemed(providers, server.api())
    assert str(told.value) == ODD
    assert set(server.paths) == {"/.well-known/openid-configuration"}


def test_a_server_elsewhere_leads_nobody_to_this_machine(server: PeculiarProvider) -> None:
    """What an address on the internet names may be reached there alone."""
    api = server.api(issuer="https://login.example.com")
    assert api.auth is not None
    assert api.auth.oauth2 is not None
    with pytest.raises(ValueError, match="an address on this machine"):
        _written(api.auth.oauth2, {"token_endpoint": "http://127.0.0.1:8080/token"})


# --- what came of it --------------------------------------------------------------------------------------------------


def test_a_code_is_redeemed_for_tokens_and_whose_they_are(server: PeculiarProvider, providers: Providers) -> None:
    server.claims = {"name": "Ann", "email": "Ann@example.com", "email_verified": True}
    grant = redeemed(providers, server.api())
    assert grant == Grant(
        "access-1-of-this-test", "refresh-1-of-this-test", 4_600.0, ("openid", "hr.read"),
        "ann", server.url, "Ann", "Ann@example.com", True,
    )  # fmt: skip
    (form,) = server.forms("/token")
    assert (form["code"], form["code_verifier"], form["redirect_uri"]) == ("a-code", VERIFIER, CALLBACK)


def test_no_token_shows_in_what_is_printed(server: PeculiarProvider, providers: Providers) -> None:
    grant = redeemed(providers, server.api())
    assert "of-this-test" not in f"{grant!r} {grant} {Tokens(grant.access_token, grant.refresh_token)!r}"


@pytest.mark.parametrize("given", [True, "true", "True"])
def test_a_verified_email_may_be_said_as_text(server: PeculiarProvider, providers: Providers, given: object) -> None:
    server.claims = {"email": "ann@example.com", "email_verified": given}
    assert redeemed(providers, server.api()).email_verified


@pytest.mark.parametrize("given", [None, False, "false", "1", 1, "yes", ["true"]])
def test_an_email_that_nobody_verified_is_not_taken_for_one(
    server: PeculiarProvider, providers: Providers, given: object
) -> None:
    server.claims = {"email": "ann@example.com", "email_verified": given}
    assert not redeemed(providers, server.api()).email_verified


@pytest.mark.parametrize(
    ("life", "ends"), [(3_600, 4_600.0), ("3599", 4_599.0), (59.5, 1_059.5), (None, None), ("", None), (0, 1_000.0)]
)
def test_a_lifetime_may_be_a_number_a_text_or_not_said(
    server: PeculiarProvider, providers: Providers, life: object, ends: float | None
) -> None:
    server.life = life
    assert redeemed(providers, server.api()).expires_at == ends


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        (None, ("openid", "hr.read")),
        ("openid", ("openid",)),
        ("repo,gist", ("repo", "gist")),
        (["openid", "hr.read"], ("openid", "hr.read")),
        ("", ("openid", "hr.read")),
    ],
)
def test_scopes_that_are_not_said_are_those_asked_for(
    server: PeculiarProvider, providers: Providers, scope: object, scopes: tuple[str, ...]
) -> None:
    server.answer = {"scope": scope}
    assert redeemed(providers, server.api()).scopes == scopes


def test_it_is_told_which_scopes_were_not_granted(server: PeculiarProvider, providers: Providers) -> None:
    server.answer = {"scope": "hr.read"}
    api = server.api(scopes=["openid", "email", "offline_access", "hr.read", "hr.write"])
    assert lacking(api, redeemed(providers, api)) == ("hr.write",)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", None])
def test_a_token_type_is_read_in_any_case(server: PeculiarProvider, providers: Providers, kind: object) -> None:
    server.answer = {"token_type": kind}
    assert redeemed(providers, server.api()).access_token == "access-1-of-this-test"


@pytest.mark.parametrize(
    "answer",
    [
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
    ],
)
def test_an_answer_that_is_none_is_told_in_words(server: PeculiarProvider, providers: Providers, answer: Json) -> None:
    server.answer = answer
    with pytest.raises(NoCredential) as told:
        redeemed(providers, server.api())
    assert str(told.value) == ODD


def test_github_is_understood(server: PeculiarProvider, providers: Providers) -> None:
    """No discovery, no OpenID Connect, scopes apart by commas, a number for a name, a form but for who asks for JSON."""
    api = server.api(
        issuer=None, scopes=["read:user"], authorize_url=f"{server.url}/authorize", token_url=f"{server.url}/token",
        userinfo_url=f"{server.url}/userinfo",
    )  # fmt: skip
    server.answer = {"scope": "read:user,gist", "token_type": "bearer", "expires_in": None, "refresh_token": None}
    server.person = {"sub": None, "id": 583231, "login": "octocat", "name": None, "email": None}
    grant = redeemed(providers, api, iss="https://github.com")
    assert (grant.subject, grant.issuer, grant.name) == ("583231", server.url, "octocat")
    assert (grant.scopes, grant.refresh_token, grant.expires_at) == (("read:user", "gist"), "", None)
    assert server.requests[0].headers["accept"] == "application/json"


def test_githubs_errors_with_200_are_errors(server: PeculiarProvider, providers: Providers) -> None:
    server.replies["/token"] = as_json({"error": "bad_verification_code", "error_description": "<https://evil|Click>"})
    with pytest.raises(ProviderRefused) as told:
        redeemed(providers, server.api())
    assert told.value.code == "bad_verification_code"
    assert "evil" not in str(told.value)


# --- id_tokens --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
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
    ],
)
def test_claims_of_another_sign_in_are_refused(server: PeculiarProvider, providers: Providers, claims: Json) -> None:
    server.claims = claims
    with pytest.raises(NoCredential) as told:
        redeemed(providers, server.api())
    assert str(told.value) == ODD


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["slack-bot"]},
        {"aud": ["slack-bot", "another-bot"], "azp": "slack-bot"},
        {"exp": 1_000 - 59},
        {"iat": 1_000 + 59},
        {"nbf": 1_000 + 59},
    ],
)
def test_what_differs_by_a_minute_or_by_form_is_taken(
    server: PeculiarProvider, providers: Providers, claims: Json
) -> None:
    server.claims = claims
    assert redeemed(providers, server.api()).subject == "ann"


def unsigned(server: PeculiarProvider) -> None:
    server.header, server.sign_with = {"alg": "none"}, OctKey.import_key("x" * 32)


def signed_with_the_clients_secret(server: PeculiarProvider) -> None:
    server.header, server.sign_with = {"alg": "HS256"}, OctKey.import_key("secret-of-this-test-secret-of-this-test")


def signed_by_another(server: PeculiarProvider) -> None:
    server.sign_with = RSAKey.generate_key(2048)


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
    server: PeculiarProvider, providers: Providers, forge: Callable[[PeculiarProvider], None]
) -> None:
    forge(server)
    with pytest.raises(NoCredential) as told:
        redeemed(providers, server.api())
    assert str(told.value) == ODD


def test_a_key_that_came_since_is_fetched(server: PeculiarProvider, providers: Providers) -> None:
    redeemed(providers, server.api())
    server.sign_with, server.header = RSAKey.generate_key(2048, {"kid": "second"}), {"kid": "second"}
    server.keys.append(server.sign_with.as_dict(private=False))
    assert redeemed(providers, server.api()).subject == "ann"
    assert server.paths.count("/jwks") == 2


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ECKey.generate_key("P-256", {"kid": "other"}), "ES256"),
        (OKPKey.generate_key("Ed25519", {"kid": "other"}), "EdDSA"),
        (RSAKey.generate_key(2048, {"kid": "other"}), "PS256"),
    ],
)
def test_other_kinds_of_keys_sign_too(
    server: PeculiarProvider, providers: Providers, key: RSAKey | ECKey | OKPKey, algorithm: str
) -> None:
    server.sign_with, server.header = key, {"kid": "other", "alg": algorithm}
    server.keys = [key.as_dict(private=False)]
    assert redeemed(providers, server.api()).subject == "ann"


def test_a_token_that_names_no_key_is_tried_with_each_and_odd_keys_are_left_out(
    server: PeculiarProvider, providers: Providers
) -> None:
    odd: list[Any] = [
        {"kty": "EC", "crv": "P-999", "x": "a", "y": "b"},
        {"kty": "AKP"},
        "no key",
        {"use": "enc", **server.keys[0]},
    ]
    other = RSAKey.generate_key(2048, {"kid": "other"}).as_dict(private=False)
    server.keys, server.header = [*odd, other, *server.keys], {"kid": None}
    assert redeemed(providers, server.api()).subject == "ann"


# --- userinfo ---------------------------------------------------------------------------------------------------------


def test_an_email_that_the_id_token_lacks_is_asked_for(server: PeculiarProvider, providers: Providers) -> None:
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.person = {"email": "ann@example.com", "email_verified": True}
    grant = redeemed(providers, server.api())
    assert (grant.email, grant.email_verified) == ("ann@example.com", True)
    assert server.requests[-1].headers["authorization"] == "Bearer access-1-of-this-test"


def test_an_email_of_userinfo_is_verified_only_by_userinfo(server: PeculiarProvider, providers: Providers) -> None:
    server.metadata, server.claims = {"userinfo_endpoint": f"{server.url}/userinfo"}, {"email_verified": True}
    server.person = {"email": "somebody@example.com"}
    grant = redeemed(providers, server.api())
    assert (grant.email, grant.email_verified) == ("somebody@example.com", False)


def test_userinfo_of_somebody_else_is_refused(server: PeculiarProvider, providers: Providers) -> None:
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.person = {"sub": "ben", "email": "ben@example.com", "email_verified": True}
    with pytest.raises(NoCredential):
        redeemed(providers, server.api())


def test_userinfo_that_takes_no_token_of_another_api_says_nothing(
    server: PeculiarProvider, providers: Providers
) -> None:
    """Entra ID's is Microsoft Graph's alone."""
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.replies["/userinfo"] = as_json({"error": "invalid_token"}, 401)
    assert redeemed(providers, server.api()).email == ""


def test_userinfo_that_is_away_is_not_taken_for_one_without_an_email(
    server: PeculiarProvider, providers: Providers
) -> None:
    server.metadata = {"userinfo_endpoint": f"{server.url}/userinfo"}
    server.replies["/userinfo"] = as_json({}, 503)
    with pytest.raises(NoCredential) as told:
        redeemed(providers, server.api())
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
    server: PeculiarProvider, providers: Providers, metadata: Json, params: Json
) -> None:
    server.metadata = metadata
    with pytest.raises(NoCredential) as told:
        redeemed(providers, server.api(), **params)
    assert str(told.value) == MIXED_UP
    assert "/token" not in server.paths


def test_a_denial_is_told_in_our_words(server: PeculiarProvider, providers: Providers) -> None:
    with pytest.raises(ProviderRefused) as told:
        redeemed(providers, server.api(), error="access_denied", error_description="Click http://evil.example.com")
    assert told.value.code == "access_denied"
    assert str(told.value) == "The sign-in at HR was denied or broken off. Connect again to try once more."


@pytest.mark.parametrize("code", ["<!channel>", "a" * 100, "", "caf\u00e9 au lait"])
def test_a_code_that_is_none_is_not_repeated(server: PeculiarProvider, providers: Providers, code: str) -> None:
    with pytest.raises(ProviderRefused) as told:
        redeemed(providers, server.api(), error=code)
    assert told.value.code == "unknown"


# --- servers that are away --------------------------------------------------------------------------------------------

HUGE = Reply(200, b'{"access_token": "' + b"a" * 600_000 + b'"}')
PAGE = Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (as_json({}, 500), AWAY),
        (Reply(502, b"<html>", {"Content-Type": "text/html"}), AWAY),
        (Reply(drop=True), AWAY),
        (HUGE, ODD),
        (PAGE, ODD),
        (as_json(["list"]), ODD),
        (Reply(200, b"[" * 100_000), ODD),
        (Reply(200, b'{"a": NaN, "access_token": "x"'), ODD),
    ],
)
def test_a_server_that_is_away_or_talks_nonsense_is_told_as_that(
    server: PeculiarProvider, providers: Providers, path: str, reply: Reply, words: str
) -> None:
    server.replies[path] = reply
    with pytest.raises(NoCredential) as told:
        redeemed(providers, server.api())
    assert str(told.value) == words


def test_no_redirect_is_followed(server: PeculiarProvider, providers: Providers) -> None:
    server.replies["/token"] = Reply(307, b"", {"Location": f"{server.url}/elsewhere"})
    with pytest.raises(NoCredential):
        redeemed(providers, server.api())
    assert "/elsewhere" not in server.paths


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_said(server: PeculiarProvider) -> None:
    providers = Providers(lambda: 1_000.0)
    redeemed(providers, server.api())
    server.hold()
    with pytest.raises(NoCredential) as told:
        providers.refresh(server.api(), "refresh-1-of-this-test", seconds=0.2)
    assert str(told.value) == AWAY


# --- renewal, and giving back -----------------------------------------------------------------------------------------


def test_a_renewal_without_a_new_refresh_token_keeps_the_old_one(
    server: PeculiarProvider, providers: Providers
) -> None:
    server.rotates = False
    grant = redeemed(providers, server.api())
    renewed = providers.refresh(server.api(), grant.refresh_token)
    assert (renewed.access_token, renewed.refresh_token) == ("access-2-of-this-test", grant.refresh_token)


def test_the_secret_travels_as_the_server_says(server: PeculiarProvider, providers: Providers) -> None:
    server.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]}
    redeemed(providers, server.api())
    assert server.forms("/token")[0]["client_secret"] == "secret-of-this-test"
    server.metadata = {}
    redeemed(Providers(lambda: 1_000.0), server.api())
    assert "client_secret" not in server.forms("/token")[1]
    redeemed(Providers(lambda: 1_000.0), server.api(client_auth="post"))
    assert server.forms("/token")[2]["client_secret"] == "secret-of-this-test"


def test_a_public_client_has_pkce_alone(server: PeculiarProvider, providers: Providers) -> None:
    redeemed(providers, server.api(client_secret=None))
    (form,) = server.forms("/token")
    assert form["client_id"] == "slack-bot"
    assert "client_secret" not in form
    assert "authorization" not in server.requests[1].headers


def test_what_is_given_back_is_the_refresh_token(server: PeculiarProvider, providers: Providers) -> None:
    assert providers.revoke(server.api(), Tokens("access", "refresh"))
    assert providers.revoke(server.api(), Tokens("access", ""))
    assert [(one["token"], one["token_type_hint"]) for one in server.forms("/revoke")] == [
        ("refresh", "refresh_token"),
        ("access", "access_token"),
    ]


def test_a_server_may_take_nothing_back(server: PeculiarProvider, providers: Providers) -> None:
    server.metadata = {"revocation_endpoint": None}
    assert not providers.revoke(server.api(), Tokens("access", "refresh"))


def test_a_grant_goes_through_json_and_back(server: PeculiarProvider, providers: Providers) -> None:
    grant = redeemed(providers, server.api())
    assert Grant.from_json(json.loads(json.dumps(grant.to_json()))) == grant


# --- a real one -------------------------------------------------------------------------------------------------------

REAL = ("openid", "email", "profile", "offline_access")


def real_api(issuer: str, **more: Any) -> Api:
    return PeculiarProvider().api(
        issuer=issuer, client_secret=SECRET, scopes=list(REAL), authorize_params={"prompt": "consent"}, **more
    )


@needs_oidc_provider
def test_a_strict_server_lets_in_renews_and_takes_back(tmp_path: Path) -> None:
    providers = Providers(time.time)
    with oidc_provider(tmp_path) as real:
        api = real_api(real.issuer)
        sent = {"state": STATE, "nonce": NONCE, "verifier": VERIFIER, "redirect_uri": LOCAL_CALLBACK}
        grant = providers.redeem(api, params=real.sign_in(providers.authorization_url(api, **sent), "ann"), **sent)
        assert (grant.subject, grant.issuer, grant.scopes) == ("ann", real.issuer, REAL)
        assert (grant.name, grant.email, grant.email_verified) == ("ann of HR", "ann@example.com", True)

        renewed = providers.refresh(api, grant.refresh_token)
        assert renewed.refresh_token != grant.refresh_token
        assert real.is_active(renewed.access_token)

        assert providers.revoke(api, renewed)
        assert not real.is_active(renewed.access_token)
        with pytest.raises(ProviderRefused) as told:
            providers.refresh(api, renewed.refresh_token)
        assert told.value.code == "invalid_grant"


@needs_oidc_provider
def test_a_strict_server_refuses_another_verifier_and_a_person_who_says_no(tmp_path: Path) -> None:
    providers = Providers(time.time)
    with oidc_provider(tmp_path) as real:
        api = real_api(real.issuer)
        sent = {"state": STATE, "nonce": NONCE, "verifier": VERIFIER, "redirect_uri": LOCAL_CALLBACK}
        params = real.sign_in(providers.authorization_url(api, **sent), "ann")
        with pytest.raises(ProviderRefused) as told:
            providers.redeem(api, params=params, **sent | {"verifier": "w" * 50})
        assert told.value.code == "invalid_grant"
        params = real.sign_in(providers.authorization_url(api, **sent), "nobody")
        with pytest.raises(ProviderRefused) as told:
            providers.redeem(api, params=params, **sent)
        assert told.value.code == "access_denied"


@needs_oidc_provider
def test_a_strict_server_lets_a_device_in(tmp_path: Path) -> None:
    providers = Providers(time.time)
    with oidc_provider(tmp_path) as real:
        api = real_api(real.issuer)
        assert providers.has_device_flow(api)
        start = providers.begin_device(api)
        assert start.verification_url == f"{real.issuer}/device"
        assert providers.poll_device(api, start) is None
        real.enter(start.complete_url)
        grant = providers.poll_device(api, start)
        assert grant is not None
        assert (grant.subject, grant.email) == ("ann", "ann@example.com")
        with pytest.raises(ProviderRefused):
            providers.poll_device(api, start)
