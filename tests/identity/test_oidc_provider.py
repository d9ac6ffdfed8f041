"""The bot's own tokens from a real provider, npm's oidc-provider, and an API that asks the provider about each token."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from base.proxies import STRAIGHT
from catalog.auth import Actor, ClientCredentials
from gate.policy import Read
from identity.actors import jwks
from identity.identities import Identities
from identity.service_ways import BearerCommandWay, ClientCredentialsWay, HeldTokens
from identity.signing_keys import KeyFiles, published
from identity.token_servers import TokenServers
from identity.wiring import Surroundings, service_ways
from tests.harness.bot_parts import ANN, BEN, BotParts
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.signing import new_key, pem, write
from tests.harness.token_server import CLIENT, SECRET

PACKAGE = os.environ.get("OIDC_PROVIDER", "")
HERE = Path(__file__).parents[1] / "harness" / "service_provider.mjs"

pytestmark = [
    pytest.mark.skipif(not PACKAGE, reason="OIDC_PROVIDER names no folder with npm's oidc-provider (see .ci/run)"),
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node"),
    pytest.mark.xdist_group("oidc-provider"),  # with one server
]


@dataclass(frozen=True)
class Provider:
    url: str
    keys: dict[str, str]  # kind -> the file of a private key that it knows the client signer by
    actor: str  # the file of the key that signs who asks

    def ask(self, path: str, **form: str) -> tuple[int, Any]:
        pair = base64.b64encode(f"{quote(CLIENT, safe='')}:{quote(SECRET, safe='')}".encode()).decode()
        request = urllib.request.Request(
            f"{self.url}{path}", urlencode(form).encode(), {"Authorization": f"Basic {pair}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, None


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("keys")
    files = {kind: write(folder / kind, pem(new_key(kind))) for kind in ("rsa", "p256", "ed25519")}
    public = []
    for path in files.values():
        said = {"client_id": "signer", "token_url": "https://x.example", "private_key_file": path}
        public.append(KeyFiles().of_client(ClientCredentials.model_validate(said, context={"environ": {}})).public)
    actor = write(folder / "actor", pem(new_key("ed25519")))
    signers = published(KeyFiles().of_actor(Actor(issuer="https://bot.example", keys=(actor,))))
    running = subprocess.Popen(
        ["node", str(HERE), PACKAGE, json.dumps({"keys": public}), json.dumps(signers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout is not None
    url = next((line.strip() for line in running.stdout if line.startswith("http")), "")
    assert url, "oidc-provider did not start"
    yield Provider(url, files, actor)
    running.kill()
    running.wait()


class Api(Loopback):
    """Takes a token that the provider says is active, for it, and has the scope that the method needs."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(self._serve)
        self._provider = provider
        self.tokens: list[str] = []
        self.people: list[str] = []  # whose tokens came, where they are a person's

    def _serve(self, request: Request) -> Reply:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.tokens.append(token)
        _, told = self._provider.ask("/token/introspection", token=token)
        if not told or not told["active"] or told.get("aud") != "hr-api":
            return as_json({"wrong": f"not active: {token}"}, 401)
        self.people.append(told.get("sub", ""))
        needed = "hr.read" if request.method == "GET" else "hr.write"
        return as_json({"id": 7}, 200 if needed in told.get("scope", "").split() else 403)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bot_of(folder: Path, api: Api, clock: Clock, **said: Any) -> BotParts:
    keys = {"scopes": ["hr.read"], "resource": "https://hr.example/api", **said}
    entries = [
        {"method": "GET", "url": "/users/[id]", "description": "Shows."},
        {"method": "DELETE", "url": "/users/[id]", "description": "Removes.", "preview": False},
    ]
    catalog = {"name": "HR", "base_url": api.url, "auth": {"client_credentials": keys}, "endpoints": entries}
    held = HeldTokens(clock)
    files = KeyFiles()
    way = ClientCredentialsWay(held, TokenServers(files, STRAIGHT, ticks=clock))
    identities = Identities({"client_credentials": way, "bearer_command": BearerCommandWay(held, ())})
    return BotParts(folder, json.dumps(catalog), identities=identities, timeout=60)


@pytest.mark.parametrize("way", ["basic", "post", "rsa", "p256", "ed25519"])
def test_each_way_to_be_known_gives_a_token_that_the_api_takes(
    way: str, provider: Provider, tmp_path: Path, clock: Clock
) -> None:
    said = {
        "basic": {"client_id": CLIENT, "client_secret": SECRET},
        "post": {"client_id": "poster", "client_secret": SECRET, "client_auth": "post"},
    }.get(way) or {"client_id": "signer", "private_key_file": provider.keys[way]}
    with Api(provider) as api:
        bot = bot_of(tmp_path, api, clock, issuer=provider.url, **said)
        assert bot.read(f"{api.url}/users/7")["status"] == 200
        bot.close()


def test_a_token_is_renewed_before_its_end_and_once_when_it_was_revoked(
    provider: Provider, tmp_path: Path, clock: Clock
) -> None:
    with Api(provider) as api:
        bot = bot_of(tmp_path, api, clock, issuer=provider.url, client_id=CLIENT, client_secret=SECRET)
        for now in (0, 30, 59, 61):  # it lasts for 120 seconds
            clock.now = now
            assert bot.read(f"{api.url}/users/7")["status"] == 200
        assert len(set(api.tokens)) == 2
        assert api.tokens[0] == api.tokens[2] != api.tokens[3]
        clock.now = 80
        assert provider.ask("/token/revocation", token=api.tokens[-1])[0] == 200
        assert bot.read(f"{api.url}/users/7")["status"] == 200
        assert len(set(api.tokens)) == 3
        assert len(api.tokens) == 6  # refused, and sent again
        bot.close()


def test_a_scope_that_is_too_small_is_the_apis_403(provider: Provider, tmp_path: Path, clock: Clock) -> None:
    with Api(provider) as api:
        bot = bot_of(tmp_path, api, clock, issuer=provider.url, client_id=CLIENT, client_secret=SECRET)
        assert bot.read(f"{api.url}/users/7")["status"] == 200
        assert bot.write("DELETE", f"{api.url}/users/7")[0].status == 403
        bot.close()


def test_a_wrong_secret_is_told(provider: Provider, tmp_path: Path, clock: Clock) -> None:
    with Api(provider) as api:
        bot = bot_of(tmp_path, api, clock, issuer=provider.url, client_id=CLIENT, client_secret="another-secret")
        assert "(invalid_client)" in bot.read(f"{api.url}/users/7")["error"]
        assert api.tokens == []
        bot.close()


def exchanging(folder: Path, api: Api, provider: Provider, key: str, **said: Any) -> BotParts:
    """A bot whose API takes tokens that statements of who asks were exchanged for."""
    exchange = {"issuer": provider.url, "audience": "hr-api", "scopes": ["hr.read"], **said}
    actor = {"issuer": "https://bot.example", "keys": key, "exchange": exchange}
    entries = [{"method": "GET", "url": "/users/[id]", "description": "Shows."}]
    catalog = {"name": "HR", "base_url": api.url, "auth": {"actor": actor}, "endpoints": entries}
    ways = service_ways(Surroundings(STRAIGHT, lambda _who: "", lambda: uuid.uuid4().hex, ()), KeyFiles())
    return BotParts(folder, json.dumps(catalog), identities=Identities(ways), timeout=60)


@pytest.mark.parametrize("way", ["basic", "ed25519"])
def test_a_statement_is_exchanged_for_a_token_of_the_person_who_asks(
    way: str, provider: Provider, tmp_path: Path
) -> None:
    by_key = {"client_id": "signer", "private_key_file": provider.keys["ed25519"]}
    said = {"client_id": CLIENT, "client_secret": SECRET} if way == "basic" else by_key
    with Api(provider) as api:
        bot = exchanging(tmp_path, api, provider, provider.actor, **said)
        call = bot.call("GET", f"{api.url}/users/7")
        assert isinstance(call, Read)
        told = [
            json.loads(bot.gate.read(call, bot.begin(by=who), bot.catalog).text)["status"] for who in (ANN, BEN, ANN)
        ]
        bot.close()
    assert told == [200, 200, 200]
    assert api.people == [ANN, BEN, ANN]
    assert len(set(api.tokens)) == 2


def test_a_statement_that_somebody_else_signed_is_exchanged_for_nothing(provider: Provider, tmp_path: Path) -> None:
    key = write(tmp_path / "another", pem(new_key("ed25519")))
    with Api(provider) as api:
        bot = exchanging(tmp_path, api, provider, key, client_id=CLIENT, client_secret=SECRET)
        assert "(invalid_grant)" in bot.read(f"{api.url}/users/7")["error"]
        assert api.tokens == []
        bot.close()


VERIFY = """
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
const [folder, keys, token] = process.argv.slice(1);
const jose = await import(pathToFileURL(createRequire(`${folder}/oidc-provider/`).resolve('jose')));
const found = await jose.jwtVerify(token, jose.createLocalJWKSet(JSON.parse(keys)), {
  issuer: 'https://bot.example', audience: 'hr-api', algorithms: ['RS256', 'EdDSA'], typ: 'JWT',
  requiredClaims: ['sub', 'exp', 'iat', 'jti'],
  maxTokenAge: '60s',
});
console.log(JSON.stringify(found.payload));
"""


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_another_implementation_takes_the_statements_by_the_published_keys(kind: str, tmp_path: Path) -> None:
    key = write(tmp_path / "key", pem(new_key(kind)))
    files = KeyFiles()
    way = service_ways(Surroundings(STRAIGHT, lambda _who: "", lambda: uuid.uuid4().hex, ()), files)
    with Loopback(lambda _request: as_json({"id": 7})) as api:
        catalog = {
            "name": "HR",
            "base_url": api.url,
            "auth": {"actor": {"issuer": "https://bot.example", "audience": "hr-api", "keys": key}},
            "endpoints": [{"method": "GET", "url": "/users/[id]", "description": "Shows."}],
        }
        bot = BotParts(tmp_path, json.dumps(catalog), identities=Identities(way), timeout=60)
        assert bot.read(f"{api.url}/users/7")["status"] == 200
        token = api.requests[0].headers["x-actor-token"]
        published = jwks(bot.catalog.apis, files)
        bot.close()
    words = ["node", "--input-type=module", "-e", VERIFY, PACKAGE, published, token]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["request"]["url"] == f"{api.url}/users/7"
