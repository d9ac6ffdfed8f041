"""The conversation with token servers: what strict ones demand, and what odd and lying ones do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from base.settings import Misconfigured
from catalog.auth import ClientCredentials
from catalog.catalog import load_catalog
from identity.callers import NoCredential
from identity.checks import check_files
from identity.held_tokens import Token
from identity.signing_keys import KeyFiles
from identity.token_servers import TokenServers
from tests.harness.loopback import Loopback, Reply
from tests.harness.signing import Authority, a_key, pem, write
from tests.harness.token_server import CLIENT, SECRET, TokenServer, raw, said

pytestmark = pytest.mark.waits


def asked_for(keys: dict[str, Any]) -> ClientCredentials:
    return ClientCredentials.model_validate({"client_id": CLIENT, **keys}, context={"environ": {}})


def fetch(keys: dict[str, Any], seconds: float = 20) -> Token:
    servers = TokenServers(KeyFiles(), ticks=lambda: 0.0)
    return servers.own_token("HR", asked_for(keys), time.monotonic() + seconds)


def with_secret(server: Loopback) -> dict[str, Any]:
    return {"token_url": f"{server.url}/token", "client_secret": SECRET}


def why_not(keys: dict[str, Any], seconds: float = 20) -> str:
    with pytest.raises(NoCredential) as caught:
        fetch(keys, seconds)
    return str(caught.value)


def test_the_request_is_what_the_rfc_has() -> None:
    with TokenServer() as server:
        token = fetch(with_secret(server) | {"scopes": ["hr.read", "hr.write"]})
    assert token.text == "token-1-" + "x" * 20
    assert server.asked == [{"grant_type": "client_credentials", "scope": "hr.read hr.write"}]


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        ({"scopes": "api://hr/.default"}, {"scope": "api://hr/.default"}),  # Entra
        ({"audience": "https://hr.example/"}, {"audience": "https://hr.example/"}),  # Auth0
        ({"resource": "https://hr.example/api"}, {"resource": "https://hr.example/api"}),  # RFC 8707
    ],
)
def test_each_server_is_told_in_its_words_which_api_the_token_is_for(
    keys: dict[str, Any], sent: dict[str, str]
) -> None:
    with TokenServer() as server:
        fetch(with_secret(server) | keys)
    assert server.asked == [{"grant_type": "client_credentials"} | sent]


@pytest.mark.parametrize("path", ["openid-configuration", "oauth-authorization-server"])
def test_an_issuer_tells_where_tokens_are_and_how_a_client_shows_who_it_is(path: str) -> None:
    with TokenServer(methods=("client_secret_post", "private_key_jwt")) as server:
        other = server._serve

        def only(request: Any) -> Reply:
            is_metadata = request.path.startswith("/.well-known/")
            return Reply(404) if is_metadata and not request.path.endswith(path) else other(request)

        server._answer = only
        assert fetch({"issuer": f"{server.url}/", "client_secret": SECRET}).text.startswith("token-1")


def test_metadata_are_asked_for_once() -> None:
    servers = TokenServers(KeyFiles())
    with TokenServer() as server:
        for _ in range(3):
            servers.own_token("HR", asked_for({"issuer": server.url, "client_secret": SECRET}), time.monotonic() + 20)
    assert [one.method for one in server.requests] == ["GET", "POST", "POST", "POST"]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"token_endpoint": "http://evil.example/token"}, "no token endpoint under https"),
        ({"token_endpoint": 7}, "no token endpoint under https"),
        ({"token_endpoint": None}, "no token endpoint under https"),
    ],
)
def test_lying_metadata_are_refused_before_anything_secret_is_sent(metadata: dict[str, Any], reason: str) -> None:
    with TokenServer() as server:
        server.metadata = metadata
        assert reason in why_not({"issuer": server.url, "client_secret": SECRET})
    assert [one.method for one in server.requests] == ["GET"]


@pytest.mark.parametrize(
    ("kind", "algorithm", "head"),
    [("rsa", None, "RS256"), ("rsa", "PS256", "PS256"), ("p256", None, "ES256"), ("ed25519", None, "EdDSA")],
)
def test_a_private_key_signs_who_the_bot_is(kind: str, algorithm: str | None, head: str, tmp_path: Path) -> None:
    key = KeyFiles().of_client(
        asked_for({"token_url": "https://x.example", "private_key_file": write(tmp_path / "k", pem(a_key(kind)))})
    )
    with TokenServer(methods=("private_key_jwt",)) as server:
        server.keys, server.audience = key.key, server.url
        keys = {"issuer": server.url, "private_key_file": str(tmp_path / "k"), "algorithm": algorithm}
        assert fetch(keys).text.startswith("token-1")
        named = {"kid": key.header["kid"]}
        assert server.heads == [{"alg": head, "typ": "JWT"} | named]


@pytest.mark.parametrize(
    ("more", "audience"),
    [({}, "{url}/token"), ({"assertion_audience": "https://login.example/"}, "https://login.example/")],
)
def test_without_an_issuer_the_statement_is_for_the_token_endpoint(more: dict[str, str], audience: str) -> None:
    private = a_key("rsa")
    given = pem(private).decode().replace("\n", "\\n")  # as many write it into a variable
    key = KeyFiles().of_client(asked_for({"token_url": "https://x.example", "private_key": given}))
    with TokenServer(methods=("private_key_jwt",)) as server:
        server.keys, server.audience = key.key, audience.format(url=server.url)
        token = fetch({"token_url": f"{server.url}/token", "private_key": given, "key_id": "mine", **more})
        assert (token.text[:7], server.heads[0]["kid"]) == ("token-1", "mine")


def test_a_certificate_names_the_key_as_entra_has_it(tmp_path: Path) -> None:
    certificate, private = Authority().issue("bot")
    write(tmp_path / "cert", certificate)
    write(tmp_path / "key", private)
    said_of = asked_for(
        {
            "token_url": "https://x.example",
            "private_key_file": str(tmp_path / "key"),
            "certificate_file": str(tmp_path / "cert"),
        }
    )
    assert sorted(KeyFiles().of_client(said_of).header) == ["x5t", "x5t#S256"]
    named = said_of.model_copy(update={"key_id": "mine"})
    assert KeyFiles().of_client(named).header["kid"] == "mine"


def test_a_certificate_that_is_not_the_keys_stops_the_start(tmp_path: Path) -> None:
    key, cert = write(tmp_path / "key", pem(a_key("rsa"))), str(tmp_path / "cert")
    other, _ = Authority().issue("bot")
    client = {"issuer": "https://x.example", "client_id": CLIENT, "private_key_file": key, "certificate_file": cert}
    ways: dict[str, dict[str, Any]] = {
        "client_credentials": {"client_credentials": client},
        "oauth2": {"oauth2": client | {"scopes": "openid"}},
        "actor.exchange": {"actor": {"issuer": "https://bot.example", "keys": key, "exchange": client}},
    }
    certificates = {
        f"cannot read {cert}: No such file or directory.": b"",
        f"{key} is not the key of the certificate in {cert}; name the one that it was made with.": other,
        f"{cert} holds no certificate in PEM form.": b"no certificate",
    }
    entries = [{"method": "GET", "url": "/users", "description": "Lists."}]
    for words, certificate in certificates.items():
        if certificate:
            write(tmp_path / "cert", certificate)
        for way, auth in ways.items():
            said = {"name": "HR", "base_url": "https://hr.example", "auth": auth, "endpoints": entries}
            with pytest.raises(Misconfigured) as caught:
                check_files(load_catalog(json.dumps(said), {}))
            assert str(caught.value) == f"HR: auth.{way}: {words}"


HOLDS: list[tuple[dict[str, Any], float, float]] = [
    ({"expires_in": 3600, "token_type": "bearer"}, 3540, 3600),
    ({"expires_in": "3599", "token_type": "Bearer"}, 3539, 3599),  # Entra's older form
    ({"expires_in": 3600}, 3540, 3600),  # no type
    ({"token_type": "BearerToken", "expires_in": "1799"}, 1739, 1799),  # Apigee
    ({"token_type": "Bearer"}, 240, 300),  # none said
    ({"token_type": "Bearer", "expires_in": 0}, 240, 300),
    ({"token_type": "Bearer", "expires_in": None}, 240, 300),
    ({"token_type": "Bearer", "expires_in": 3600.5}, 3540.5, 3600.5),
    ({"token_type": "Bearer", "expires_in": 10**12}, 86_340, 86_400),
]


def test_how_long_a_token_holds() -> None:
    for issues, renews, ends in HOLDS:
        with TokenServer(issues=issues) as server:
            token = fetch(with_secret(server))
        assert (token.renew, token.ends) == (renews, ends), issues


NO_TOKENS = [
    raw("<html>no", kind="text/html"),
    raw("", 302),
    raw("[1]"),
    raw("{" * 100_000),
    raw("upstream away", 503),
    said({"error": "server_error"}, 500),
    said({"token_type": "Bearer"}),
    said({"access_token": None}),
    said({"access_token": {"a": 1}}),
    said({"access_token": "two words"}),
    said({"access_token": "line\r\nX-Evil: 1"}),
    said({"access_token": "ok" * 9, "token_type": "DPoP"}),
    said({"access_token": "ok" * 9, "token_type": ["Bearer"]}),
    said({"access_token": "x" * 2_000_000}),
    Reply(drop=True),
    Reply(200, b"{}", {"Content-Type": "application/json", "Content-Length": "100"}),
    Reply(200, b"no gzip", {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
]  # fmt: skip


def test_what_is_no_token_is_told_as_that_and_none_of_it_repeated() -> None:
    for answer in NO_TOKENS:
        with TokenServer() as server:
            server.will(answer)
            told = why_not(with_secret(server))
        assert told.startswith("The token server of HR gave no usable answer ("), answer
        assert told.endswith("). Try again later."), answer
        assert len(told) < 160, answer
        assert "line" not in told


@pytest.mark.parametrize(("told", "words"), [("soon", "no JSON of a token"), ([1], "no JSON of a token")])
def test_an_odd_time_of_a_token_is_no_crash(told: Any, words: str) -> None:
    with TokenServer(issues={"expires_in": told, "token_type": "Bearer"}) as server:
        assert words in why_not(with_secret(server))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("invalid_client", "invalid_client"),
        ("invalid_scope", "invalid_scope"),
        (f"because of {SECRET}", "an error that OAuth does not define"),
        ({"secret": SECRET}, "an error that OAuth does not define"),
    ],
)
def test_a_no_is_told_by_its_code_and_without_the_servers_own_words(
    error: Any, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with TokenServer() as server:
        server.will(said({"error": error, "error_description": f"your secret {SECRET} is wrong"}, 400))
        with pytest.raises(NoCredential) as caught:
            fetch(with_secret(server))
    assert code in str(caught.value)
    assert "auth.client_credentials in the catalog" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__
    assert SECRET not in caplog.text


def test_a_redirect_takes_the_secret_nowhere_else() -> None:
    with TokenServer() as server, TokenServer() as other:
        server.will(Reply(307, b"", {"Location": f"{other.url}/token"}))
        assert "no usable answer" in why_not(with_secret(server))
        assert other.requests == []


def test_a_server_that_says_nothing_costs_no_more_than_there_is_time() -> None:
    with TokenServer() as server:
        server.hold()
        began = time.monotonic()
        assert "no usable answer (time-out)" in why_not(with_secret(server), seconds=0.3)
        assert time.monotonic() - began < 30
        server.release()


def test_a_server_that_is_away_is_told() -> None:
    with TokenServer() as server:
        keys = with_secret(server)
    assert why_not(keys) == "The token server of HR gave no usable answer (the connection failed). Try again later."


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("none", "holds no key in PEM form"),
        ("ed25519", "this key cannot sign with PS256; leave algorithm out, or write another key"),
        ("hidden", "without a passphrase"),
        ("weak", "2048 bits or more"),
        ("p384", "is of a kind that cannot sign here"),
    ],
)
def test_a_key_that_is_of_no_use_is_told(kind: str, words: str, tmp_path: Path) -> None:
    made = {"none": b"no key", "hidden": pem(a_key("rsa"), b"secret"), "weak": pem(a_key("weak"))}
    path = write(tmp_path / "key", made.get(kind) or pem(a_key(kind)))
    with pytest.raises(Misconfigured, match=words) as caught:
        KeyFiles().of_client(
            asked_for({"token_url": "https://x.example", "private_key_file": path, "algorithm": "PS256"})
        )
    assert path in str(caught.value)


def test_a_server_without_metadata_is_told_with_what_to_write() -> None:
    with Loopback(lambda _request: Reply(404)) as server:
        told = why_not({"issuer": server.url, "client_secret": SECRET})
    assert "(it has no metadata; write token_url in place of issuer)" in told
    assert {one.method for one in server.requests} == {"GET"}


def test_a_key_whose_file_is_not_there_asks_no_server() -> None:
    with TokenServer(methods=("private_key_jwt",)) as server:
        told = why_not({"token_url": f"{server.url}/token", "private_key_file": "/no/such/key"})
    assert told.startswith("The bot's own credential for HR cannot be read, so nothing was sent.")
    assert server.requests == []


def test_no_secret_is_in_a_repr() -> None:
    found = asked_for({"token_url": "https://x.example", "client_secret": "hunter2-hunter2"})
    assert "hunter2" not in repr(found)
    assert "hunter2" not in json.dumps(found.model_dump(), default=str)


def test_an_issuer_with_a_path_is_found_as_openid_connect_has_it() -> None:
    """Keycloak, Okta and Entra: the well-known path stands behind the issuer's own."""
    with TokenServer() as server:
        issuer, inner = f"{server.url}/realms/main", server._serve

        def serve(request: Any) -> Reply:
            if request.path == "/realms/main/.well-known/openid-configuration":
                return said({"issuer": issuer, "token_endpoint": f"{server.url}/token"})
            return inner(request)

        server._answer = serve
        assert fetch({"issuer": issuer, "client_secret": SECRET}).text.startswith("token-1")
        assert [one.path for one in server.requests] == ["/realms/main/.well-known/openid-configuration", "/token"]
