"""The key oauth2 of the catalog: what it takes, and what mistakes in it are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.auth import OAuth2
from catalog.catalog import load_catalog
from catalog.credentials import secrets_of
from catalog.source import BadCatalog
from tests.harness.cases import each_row

WHOLE: dict[str, Any] = {
    "issuer": "https://login.example.com",
    "client_id": "bot",
    "client_secret": "s3cret-of-the-bot",
    "scopes": ["openid"],
}
BARE = {"authorize_url": "https://a.example.com/authorize", "token_url": "https://a.example.com/token"}


def catalog_with(**changes: Any) -> str:
    said = {name: value for name, value in (WHOLE | changes).items() if value is not None}
    auth = json.dumps({"oauth2": said})
    return f"name: HR\nbase_url: https://hr.example.com\nauth: {auth}\nendpoints: [{{method: GET, url: /a, description: A.}}]\n"


def oauth2_with(**changes: Any) -> OAuth2:
    auth = load_catalog(catalog_with(**changes), {"HR_SECRET": "s3cret-of-hr"}).apis[0].auth
    assert auth is not None
    assert auth.oauth2 is not None
    return auth.oauth2


def test_an_issuer_is_enough() -> None:
    found = oauth2_with()
    assert (found.finds, found.issuer_name, found.other_accounts) == (True, "https://login.example.com", False)


def test_a_server_without_an_issuer_is_known_by_where_its_tokens_are_given() -> None:
    found = oauth2_with(issuer=None, **BARE, userinfo_url="https://a.example.com/me", scopes=[])
    assert (found.finds, found.issuer_name) == (False, "https://a.example.com")


def test_its_secret_is_one() -> None:
    catalog = load_catalog(catalog_with(client_secret="${HR_SECRET}"), {"HR_SECRET": "s3cret-of-hr"})
    assert "s3cret-of-hr" in secrets_of(catalog)
    assert "s3cret-of-hr" not in repr(catalog.apis[0].auth)


def test_its_private_key_is_one() -> None:
    catalog = load_catalog(catalog_with(client_secret=None, private_key="s3cret-in-PEM"), {})
    assert "s3cret-in-PEM" in secrets_of(catalog)


def test_scopes_may_be_one_text() -> None:
    assert oauth2_with(scopes="openid  email hr.read").scopes == ("openid", "email", "hr.read")


def test_variables_need_not_be_there_for_who_only_checks() -> None:
    load_catalog(catalog_with(issuer="${ISSUER}", client_secret="${HR_SECRET}"), None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080/realms/a", "http://[::1]:80"])
def test_this_machine_may_be_asked_over_plain_http(url: str) -> None:
    assert oauth2_with(issuer=url).issuer == url


@each_row(
    "changes, words",
    [
        ({"issuer": None}, "write issuer, or authorize_url and token_url if the sign-in server has no discovery"),
        (
            {"issuer": "http://login.example.com"},
            "write a URL that begins with https:// (http:// is for this machine alone)",
        ),
        ({"issuer": "http://localhost.example.com"}, "http:// is for this machine alone"),
        ({"issuer": "https://user:password@login.example.com"}, "without a user"),
        ({"issuer": "login.example.com"}, "write a URL that begins with https://"),
        (
            {"issuer": "https://login.example.com/a/.well-known/openid-configuration"},
            "issuer: write only the issuer, https://login.example.com/a; the bot finds the rest itself",
        ),
        (
            {"issuer": "https://login.microsoftonline.com/common/v2.0"},
            "issuer: write your tenant's id in place of 'common', which is not an issuer",
        ),
        ({"token_url": "https://a.example.com/token"}, "authorize_url and token_url go together"),
        (
            {"issuer": None, **BARE},
            "the bot could not tell whose account it is: add userinfo_url, or issuer, jwks_url and",
        ),
        ({"scopes": ["hr.read"]}, "the bot could not tell whose account it is: add openid to scopes, or userinfo_url"),
        ({"scopes": ["openid hr.read"]}, "'openid hr.read' is not a scope; write one scope per item of the list"),
        ({"client_id": None}, "'client_id' is missing; add it"),
        (
            {"client_secret": None, "client_auth": "post"},
            "client_auth is for client_secret; write that, or remove client_auth",
        ),
        ({"private_key_file": "/run/key"}, "write exactly one of client_secret, private_key and private_key_file"),
        ({"key_id": "mine"}, "key_id is for a private key; write that, or remove key_id"),
        ({"authorize_params": {"state": "mine"}}, "leave out 'state'; the bot says it itself"),
        ({"authorize_params": {"code_challenge_method": "plain"}}, "leave out 'code_challenge_method'"),
        ({"client_auth": "jwt"}, "client_auth"),
        ({"isuer": "https://login.example.com"}, "'isuer' is not a catalog key here; did you mean 'issuer'?"),
    ],
)
def test_mistakes_are_told_with_what_to_write(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCatalog) as told:
        load_catalog(catalog_with(**changes), {})
    assert words in str(told.value)
    assert "s3cret" not in str(told.value)


def test_it_stands_alone_below_auth() -> None:
    both = catalog_with().replace('{"oauth2"', '{"bearer": "s3cret-of-the-bot", "oauth2"')
    with pytest.raises(BadCatalog, match=r"auth: write exactly one of bearer, .*, oauth2"):
        load_catalog(both, {})
