"""Token servers as their makers have them: each refuses what the real one does, and answers in its own form. From their documentation and
source, since few can be had on a test's machine."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from catalog.auth import ClientCredentials, Exchange
from identity.callers import NoCredential
from identity.held_tokens import Token
from identity.signing_keys import KeyFiles
from identity.token_servers import TokenServers
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.signing import Authority, new_key, pem, write

SECRET = "p+s%cr&t/ ~of=the client"
CLIENT = "bot:1"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


@dataclass
class Asked:
    """What reached a server: its form, the name and secret of HTTP Basic as they were written, a statement's head and claims."""

    url: str
    form: dict[str, str]
    basic: tuple[str, str] = ("", "")
    head: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def decoded(self) -> tuple[str, str]:
        return unquote_plus(self.basic[0]), unquote_plus(self.basic[1])


class Made(Loopback):
    """A server of some maker: `wrong` gives the error code for what it does not take, empty where it takes it."""

    def __init__(self, wrong: Callable[[Asked], str], answer: dict[str, Any], key: Any = None) -> None:
        super().__init__(self._serve)
        self.wrong, self.answer, self.key = wrong, answer, key
        self.asked: list[Asked] = []

    def _serve(self, request: Request) -> Reply:
        if request.path.endswith("/.well-known/openid-configuration"):
            return as_json({"issuer": f"{self.url}/", "token_endpoint": f"{self.url}/token"})
        if (request.method, request.path) != ("POST", "/token"):
            return as_json({}, 404)
        fields = parse_qs(request.body.decode(), strict_parsing=True, keep_blank_values=True)
        if any(len(values) > 1 or not values[0] for values in fields.values()):
            return as_json({"error": "invalid_request"}, 400)
        asked = Asked(self.url, {name: values[0] for name, values in fields.items()})
        if basic := request.headers.get("authorization", "").removeprefix("Basic "):
            name, _, secret = base64.b64decode(basic).decode().partition(":")
            asked.basic = (name, secret)
        if statement := asked.form.get("client_assertion"):
            found = jwt.decode(statement, self.key, algorithms=["RS256", "PS256", "ES256", "EdDSA"])
            asked.head, asked.claims = found.header, found.claims
        self.asked.append(asked)
        if wrong := self.wrong(asked):
            return as_json({"error": wrong, "error_description": f"you sent {asked.form}"}, 400)
        return as_json({"access_token": "a.token-of~this/test", **self.answer})


def needs(asked: Asked, **demanded: str) -> str:
    """The error of a server that takes exactly these fields beside those that show who asks."""
    shown = ("client_id", "client_secret", "client_assertion", "client_assertion_type", "grant_type", "subject_token")
    given = {name: value for name, value in asked.form.items() if name not in shown}
    return "" if given == demanded else "invalid_request"


def basic_or_post(asked: Asked) -> str:
    posted = (asked.form.get("client_id", ""), asked.form.get("client_secret", ""))
    return "" if (CLIENT, SECRET) in (asked.decoded, posted) else "invalid_client"


def signed(asked: Asked, audience: str, *, lasts: float) -> str:
    """RFC 7523, 3, as most have it: by the client, for this server alone, with an end, fresh."""
    said, now = asked.claims, time.time()
    is_whole = said.get("iss") == said.get("sub") == CLIENT and said.get("aud") == audience and said.get("jti")
    is_timely = now - 60 < said.get("iat", 0) <= now + 15 and now < said.get("exp", 0) <= now + lasts
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    is_named = asked.form.get("client_id", CLIENT) == CLIENT and asked.form.get("client_assertion_type") == kind
    return "" if is_whole and is_timely and is_named and asked.head["typ"] == "JWT" else "invalid_client"


# --- the bot's own tokens ---------------------------------------------------------------------------------------------


def entra(asked: Asked) -> str:
    """One scope, of one API, that ends in /.default (AADSTS1002012); no `resource` (AADSTS901002)."""
    return basic_or_post(asked) or needs(asked, scope="api://hr/.default")


def entra_before(asked: Asked) -> str:
    """Its first version knows resources, no scopes."""
    return basic_or_post(asked) or needs(asked, resource="api://hr")


def auth0(asked: Asked) -> str:
    """An audience, or it is access_denied."""
    return basic_or_post(asked) or needs(asked, audience="https://hr.example/")


def hydra(asked: Asked) -> str:
    """Fosite decodes both parts of HTTP Basic."""
    return "" if asked.decoded == (CLIENT, SECRET) and "client_id" not in asked.form else "invalid_client"


BY_SECRET: dict[str, tuple[Callable[[Asked], str], dict[str, Any], dict[str, Any], float]] = {
    "Entra ID": (
        entra,
        {"scopes": "api://hr/.default"},
        {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599},
        3599,
    ),
    "Entra ID, in a list and by post": (
        entra,
        {"scopes": ["api://hr/.default"], "client_auth": "post"},
        {"token_type": "Bearer", "expires_in": 3599},
        3599,
    ),
    "Entra ID, version 1": (
        entra_before,
        {"resource": "api://hr"},
        {"token_type": "Bearer", "expires_in": "3599", "expires_on": "1796083599", "not_before": "1796079700"},
        3599,
    ),
    "Auth0": (auth0, {"audience": "https://hr.example/"}, {"token_type": "Bearer", "expires_in": 86_400}, 86_400),
    "Keycloak": (
        basic_or_post,
        {"scopes": "hr.read"},
        {"expires_in": 300, "refresh_expires_in": 0, "token_type": "Bearer", "not-before-policy": 0, "scope": ""},
        300,
    ),
    "Ory Hydra": (hydra, {"scopes": "hr.read"}, {"expires_in": 3599, "scope": "hr.read", "token_type": "bearer"}, 3599),
    "GitHub Enterprise, Slack and others without a type or an end": (hydra, {}, {}, 300),
    "Apigee": (
        basic_or_post,
        {},
        {"token_type": "BearerToken", "expires_in": "1799", "issued_at": "1796080000000", "status": "approved"},
        1799,
    ),
}  # fmt: skip


@pytest.mark.parametrize("maker", BY_SECRET)
def test_a_secret(maker: str) -> None:
    wrong, says, answer, lasts = BY_SECRET[maker]
    with Made(wrong, answer) as server:
        token = own({"token_url": f"{server.url}/token", "client_secret": SECRET, **says})
    assert (token.text, token.ends) == ("a.token-of~this/test", lasts)


def entra_by_certificate(asked: Asked) -> str:
    """The body has to name the client (AADSTS900144); the certificate is found by its thumbprint, and a `kid` that is none of it leads
    nowhere (AADSTS700027)."""
    is_named = asked.form.get("client_id") == CLIENT
    is_known = asked.head.get("x5t#S256") == thumbprint(hashlib.sha256) and "kid" not in asked.head
    wrong = signed(asked, f"{asked.url}/token", lasts=600) or needs(asked, scope="api://hr/.default")
    return wrong if is_named and is_known else "invalid_client"


def adfs(asked: Asked) -> str:
    """It knows the older thumbprint alone."""
    is_known = asked.head.get("x5t") == thumbprint(hashlib.sha1)
    return signed(asked, f"{asked.url}/token", lasts=600) if is_known else "invalid_client"


def okta(asked: Asked) -> str:
    """For the token endpoint, an hour at most, and by the name of a registered key."""
    is_known = asked.head.get("kid") == "the-bots"
    return signed(asked, f"{asked.url}/token", lasts=3600) if is_known else "invalid_client"


def keycloak(asked: Asked) -> str:
    """For the issuer as it writes itself, one alone."""
    is_known = asked.head.get("kid") == "the-bots"
    return signed(asked, f"{asked.url}/", lasts=600) if is_known else "invalid_client"


def auth0_by_key(asked: Asked) -> str:
    """For the issuer, five minutes at most."""
    return signed(asked, f"{asked.url}/", lasts=301) or needs(asked, audience="https://hr.example/")


BY_KEY: dict[str, tuple[Callable[[Asked], str], dict[str, Any]]] = {
    "Entra ID": (
        entra_by_certificate,
        {"token_url": "{url}/token", "scopes": "api://hr/.default", "certificate_file": "cert"},
    ),
    "AD FS": (adfs, {"token_url": "{url}/token", "certificate_file": "cert"}),
    "Okta": (okta, {"issuer": "{url}", "key_id": "the-bots", "assertion_audience": "{url}/token"}),
    "Keycloak": (keycloak, {"issuer": "{url}", "key_id": "the-bots"}),
    "Auth0": (auth0_by_key, {"issuer": "{url}", "audience": "https://hr.example/"}),
}


CERTIFICATE, PRIVATE = Authority().issue("bot")


def thumbprint(hashed: Callable[[bytes], Any]) -> str:
    der = x509.load_pem_x509_certificate(CERTIFICATE).public_bytes(Encoding.DER)
    return base64.urlsafe_b64encode(hashed(der).digest()).rstrip(b"=").decode()


@pytest.mark.parametrize("maker", BY_KEY)
def test_a_key(maker: str, tmp_path: Path) -> None:
    wrong, says = BY_KEY[maker]
    files = {"cert": write(tmp_path / "cert", CERTIFICATE)}
    with Made(wrong, {"token_type": "Bearer", "expires_in": 300}, ECKey.import_key(PRIVATE)) as server:
        told = {name: files.get(value, value.format(url=server.url)) for name, value in says.items()}
        assert own({"private_key_file": write(tmp_path / "key", PRIVATE), **told}).ends == 300


def own(said: dict[str, Any]) -> Token:
    client = ClientCredentials.model_validate({"client_id": CLIENT, **said}, context={"environ": {}})
    return TokenServers(KeyFiles(), ticks=lambda: 0.0).own_token("HR", client, time.monotonic() + 60)


# --- token exchange ---------------------------------------------------------------------------------------------------

BOT = new_key("ed25519")
ISSUER = "https://bot.example"


def statement(audience: str) -> str:
    claims = {"iss": ISSUER, "aud": audience, "sub": "U0ANN", "exp": int(time.time()) + 60}
    return jwt.encode({"alg": "EdDSA", "typ": "JWT"}, claims, OKPKey.import_key(pem(BOT)), algorithms=["EdDSA"])


def keycloak_exchange(asked: Asked) -> str:
    """From outside, by the statement's issuer: no subject_issuer beside a JWT; the client that the token is for as `audience`."""
    demanded = {"audience": "hr-api", "subject_token_type": JWT, "requested_token_type": ACCESS_TOKEN}
    return basic_or_post(asked) or needs(asked, **demanded) or is_the_bots(asked)


def auth0_exchange(asked: Asked) -> str:
    """A profile's own URI; urn:ietf is not to be had."""
    if asked.form["subject_token_type"].startswith("urn:ietf:"):
        return "invalid_request"
    demanded = {"audience": "https://hr.example/", "scope": "hr.read", "subject_token_type": "urn:acme:slack-asker"}
    return basic_or_post(asked) or needs(asked, **demanded, requested_token_type=ACCESS_TOKEN) or is_the_bots(asked)


def by_resource(asked: Asked) -> str:
    """RFC 8707 has resources, and who wants a JWT says so."""
    demanded = {"resource": "https://hr.example/", "subject_token_type": JWT, "requested_token_type": JWT}
    return basic_or_post(asked) or needs(asked, **demanded) or is_the_bots(asked)


def is_the_bots(asked: Asked) -> str:
    found = jwt.decode(asked.form["subject_token"], OKPKey.import_key(pem(BOT)), algorithms=["EdDSA"]).claims
    is_known = (found["iss"], found["aud"], found["sub"]) == (ISSUER, f"{asked.url}/token", "U0ANN")
    return "" if is_known and asked.form["grant_type"] == GRANT else "invalid_grant"


EXCHANGES: dict[str, tuple[Callable[[Asked], str], dict[str, Any], dict[str, Any], float]] = {
    "Keycloak, without issued_token_type": (
        keycloak_exchange,
        {"audience": "hr-api"},
        {"expires_in": 300, "refresh_expires_in": 1800, "refresh_token": "r", "token_type": "Bearer", "scope": "email"},
        300,
    ),
    "Auth0": (
        auth0_exchange,
        {"audience": "https://hr.example/", "scopes": "hr.read", "subject_token_type": "urn:acme:slack-asker"},
        {"expires_in": 7200, "token_type": "Bearer", "issued_token_type": ACCESS_TOKEN},
        7200,
    ),
    "by resource, a JWT, no end": (
        by_resource,
        {"resource": "https://hr.example/", "requested_token_type": JWT},
        {"token_type": "N_A", "issued_token_type": JWT},
        300,
    ),
}  # fmt: skip


@pytest.mark.parametrize("maker", EXCHANGES)
def test_an_exchange(maker: str) -> None:
    wrong, says, answer, lasts = EXCHANGES[maker]
    with Made(wrong, answer) as server:
        token = exchanged(server, says)
    assert (token.text, token.ends) == ("a.token-of~this/test", lasts)


@pytest.mark.parametrize("kind", ["refresh_token", "saml1", "saml2"])
def test_what_is_no_token_for_an_api_is_sent_to_none(kind: str) -> None:
    """RFC 8693, 2.2.1: the server may give another token than was asked for, and says so."""
    answer = {"token_type": "N_A", "issued_token_type": f"urn:ietf:params:oauth:token-type:{kind}"}
    with Made(is_the_bots, answer) as server, pytest.raises(NoCredential, match="a token that is not for APIs"):
        exchanged(server, {})


@pytest.mark.parametrize("code", ["invalid_target", "invalid_resource", "unsupported_token_type"])
def test_a_no_to_an_exchange_is_told_by_its_code(code: str) -> None:
    with (
        Made(lambda _asked: code, {}) as server,
        pytest.raises(NoCredential, match=rf"\({code}\).*auth.actor.exchange"),
    ):
        exchanged(server, {})


def exchanged(server: Made, says: dict[str, Any]) -> Token:
    said = {"client_id": CLIENT, "client_secret": SECRET, "token_url": f"{server.url}/token", **says}
    client = Exchange.model_validate(said, context={"environ": {}})
    return TokenServers(KeyFiles(), ticks=lambda: 0.0).exchanged("HR", client, statement, time.monotonic() + 60)


def test_the_kind_of_a_token_is_a_uri() -> None:
    said = {"client_id": CLIENT, "client_secret": SECRET, "token_url": "https://x.example", "subject_token_type": "jwt"}
    with pytest.raises(
        ValueError, match="'jwt' is no URI; write one, for example urn:ietf:params:oauth:token-type:jwt"
    ):
        Exchange.model_validate(said, context={"environ": {}})
