"""Who asks, told to the API: a strict server checks each statement by the bot's public keys, and against what arrived."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from base.proxies import STRAIGHT
from base.settings import Misconfigured
from base.slack_errors import SlackBusy
from catalog.catalog import BadCatalog, load_catalog
from gate.policy import Read
from gate.sending import Approval
from identity.actors import jwks
from identity.checks import check_files
from identity.identities import Identities
from identity.signing_keys import KeyFiles
from identity.wiring import Surroundings, service_ways
from tests.harness.bot_parts import ANN, BEN, BotParts
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.signing import new_key, pem, public_pem, write
from tests.harness.token_server import CLIENT, SECRET, TokenServer, said

ISSUER = "https://bot.example"
ENDPOINTS = """
endpoints:
  - {method: GET, url: "/users/[id]?q=[q]", description: Shows.}
  - {method: POST, url: /users, description: Adds., approval: always}
  - {method: PUT, url: "/users/[id]", description: Replaces., preview: false, body_type: form}
  - {method: DELETE, url: "/users/[id]", description: Removes., preview: false}
"""


class Guarded(Loopback):
    """An API that believes no request without a statement of who asks: signed by one of the bot's keys, for this API, not older than a
    minute, used once, and about this very request."""

    def __init__(self, header: str = "X-Actor-Token", prefix: str = "") -> None:
        super().__init__(self._serve)
        self.keys: Any = lambda: "{}"
        self.audience = self.url
        self.claims: list[dict[str, Any]] = []
        self.heads: list[dict[str, Any]] = []
        self._header, self._prefix = header.lower(), prefix
        self._used: set[str] = set()

    def check(self, request: Request) -> str:
        """What is wrong with a request, empty where nothing is."""
        given = request.headers.get(self._header, "")
        if not given.startswith(self._prefix) or not given:
            return "no statement"
        keys = KeySet.import_key_set(json.loads(self.keys()))
        found = jwt.decode(given.removeprefix(self._prefix), keys, algorithms=["RS256", "EdDSA"])
        claims = found.claims
        jwt.JWTClaimsRegistry(
            leeway=5,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": self.audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        ).validate(claims)
        self.heads.append(found.header)
        self.claims.append(claims)
        if claims["exp"] - claims["iat"] > 60 or claims["jti"] in self._used:
            return "too long, or used"
        self._used.add(claims["jti"])
        about = {
            "method": request.method,
            "url": f"http://{request.headers['host']}{request.path}",
            "body_sha256": hashlib.sha256(request.body).hexdigest(),
        }
        return "" if claims["request"] == about else f"about another request: {claims['request']} is not {about}"

    def _serve(self, request: Request) -> Reply:
        wrong = self.check(request)
        given = request.headers.get(self._header, "")
        return as_json({"wrong": wrong, "you sent": given}, 403 if wrong else 200)


class Bots:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = KeyFiles()
        self.started: list[BotParts] = []

    def __call__(
        self, api: Loopback, auth: dict[str, Any], email: Any = lambda who: f"{who.lower()}@corp.example"
    ) -> BotParts:
        catalog = f"name: HR\nbase_url: {api.url}\nauth: {json.dumps(auth)}\n{ENDPOINTS}"
        around = Surroundings(STRAIGHT, email, lambda: uuid.uuid4().hex, ())
        bot = BotParts(self.folder, catalog, identities=Identities(service_ways(around, self.keys)), timeout=20)
        self.started.append(bot)
        if isinstance(api, Guarded):
            api.keys = lambda: jwks(bot.gate.catalog.apis, self.keys)
        return bot

    def key(self, kind: str = "ed25519", name: str = "key.pem") -> str:
        return write(self.folder / name, pem(new_key(kind)))

    def actor(self, **more: Any) -> dict[str, Any]:
        return {"actor": {"issuer": ISSUER, "keys": more.get("keys") or self.key(), **more}}


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[Bots]:
    made = Bots(tmp_path)
    yield made
    for one in made.started:
        one.close()


@pytest.mark.parametrize(("kind", "algorithm"), [("ed25519", "EdDSA"), ("rsa", "RS256")])
def test_each_request_says_who_asks_and_what_it_is(kind: str, algorithm: str, bots: Bots) -> None:
    with Guarded() as api:
        bot = bots(api, {"bearer": "the-bots-own", **bots.actor(keys=bots.key(kind))})
        found = bot.read(f"{api.url}/users/7?q=a%20b%2Bc%26d~%C3%A9'(x)")
        assert found["status"] == 200, found
        assert found["data"] == {"wrong": "", "you sent": "[hidden]"}
        for method, path, body in (
            ("POST", "/users", {"name": "Zoë"}),
            ("PUT", "/users/7", {"a": "1 &+"}),
            ("DELETE", "/users/7", None),
        ):
            proposal, told = bot.write(method, f"{api.url}{path}", body)
            assert proposal.state.name == "DONE", told
    assert [one.headers["authorization"] for one in api.requests] == ["Bearer the-bots-own"] * 4
    read, *writes = api.claims
    assert read["sub"] == ANN
    assert (read["team"], "approver" in read, "email" in read) == ("T0LOCAL", False, False)
    assert {one["approver"] for one in writes} == {ANN}
    assert {(head["alg"], head["typ"]) for head in api.heads} == {(algorithm, "JWT")}
    assert "kid" in api.heads[0]


def test_a_request_that_was_changed_on_its_way_is_refused_by_its_statement(bots: Bots) -> None:
    with Guarded() as api:
        bot = bots(api, bots.actor())
        bot.write("POST", f"{api.url}/users", {"name": "Tom"})
        (sent,) = api.requests
        api._used.clear()
        assert api.check(sent) == ""
        assert "used" in api.check(sent)
        for changed in (
            Request("PUT", sent.path, sent.headers, sent.body),
            Request(sent.method, sent.path + "?admin=1", sent.headers, sent.body),
            Request(sent.method, sent.path, sent.headers, sent.body + b" "),
            Request(sent.method, sent.path, {**sent.headers, "host": "other.example"}, sent.body),
        ):
            api._used.clear()
            assert "about another request" in api.check(changed)


def test_two_people_are_two_askers_and_the_approver_is_named(bots: Bots) -> None:
    with Guarded() as api:
        bot = bots(api, bots.actor(email=True))
        call = bot.call("GET", f"{api.url}/users/7")
        assert isinstance(call, Read)
        bot.gate.read(call, bot.begin(by=BEN), bot.catalog)
        bot.read(f"{api.url}/users/8")
        proposal = bot.approved("POST", f"{api.url}/users", {})
        bot.gate.write(Approval(proposal.proposal))
    assert [one["sub"] for one in api.claims] == [BEN, ANN, ANN]
    assert api.claims[0]["email"] == f"{BEN.lower()}@corp.example"


def test_the_statement_travels_as_gateways_take_it(bots: Bots) -> None:
    """Envoy, Istio and most others look for Bearer in Authorization; Kong wants the word in any header."""
    with Guarded("Authorization", "Bearer ") as api:
        bot = bots(api, bots.actor(header="Authorization", audience="hr-api"))
        api.audience = "hr-api"
        assert bot.read(f"{api.url}/users/7")["status"] == 200
    with Guarded("X-Who", "Bearer ") as api:
        bot = bots(api, bots.actor(header="X-Who", prefix="Bearer"))
        assert bot.read(f"{api.url}/users/7")["status"] == 200


def test_keys_are_rotated_by_files_under_load_and_no_call_is_refused(bots: Bots, tmp_path: Path) -> None:
    old, new = new_key(), new_key("rsa")
    first, second = write(tmp_path / "first", pem(old)), write(tmp_path / "second", public_pem(new))
    told: list[int] = []
    is_over = threading.Event()
    with Guarded() as api:
        bot = bots(api, bots.actor(keys=[first, second]))

        def load() -> None:
            while not is_over.is_set():
                told.append(int(bot.read(f"{api.url}/users/7")["status"]))

        def called(count: int) -> None:
            seen = len(told)
            while len(told) < seen + count:
                time.sleep(0.005)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for one in threads:
            one.start()
        called(5)  # published, not yet signing
        write(tmp_path / "first", pem(new))
        write(tmp_path / "second", public_pem(old))
        called(10)
        write(tmp_path / "first", b"half a fi")  # leaves the key before in use
        called(5)
        is_over.set()
        for one in threads:
            one.join()
    assert set(told) == {200}
    assert api.heads[0]["alg"] == "EdDSA"
    assert api.heads[-1]["alg"] == "RS256"


def test_the_published_keys_have_nothing_private_and_each_once(bots: Bots, tmp_path: Path) -> None:
    with Guarded() as api:
        auth = bots.actor(keys=[bots.key("rsa", "a"), bots.key("ed25519", "b"), str(tmp_path / "a")])
        bot = bots(api, auth)
        keys = json.loads(jwks(bot.catalog.apis, bots.keys))["keys"]
    assert [(one["kty"], one["alg"], one["use"]) for one in keys] == [("RSA", "RS256", "sig"), ("OKP", "EdDSA", "sig")]
    assert {name for one in keys for name in one} == {"kty", "alg", "use", "kid", "n", "e", "crv", "x"}


def test_plain_headers_say_who_asks_and_nothing_that_is_not_known(bots: Bots) -> None:
    headers = {"X-Asker": "asker", "X-Forwarded-Email": "email", "X-Team": "team", "X-Approver": "approver"}
    with Loopback(lambda _request: as_json({"id": 7})) as api:
        bot = bots(api, {"bearer": "the-bots-own", "actor": {"headers": headers}}, email=lambda _who: "")
        bot.read(f"{api.url}/users/7")
        bot.write("POST", f"{api.url}/users", {})
        read, write_ = api.requests
    assert (read.headers["x-asker"], read.headers["x-team"]) == (ANN, "T0LOCAL")
    assert not {"x-forwarded-email", "x-approver"} & read.headers.keys()
    assert write_.headers["x-approver"] == ANN


@pytest.mark.parametrize("address", ["zoë@corp.example", "a\r\nX-Evil: 1@b", "\x00"])
def test_an_address_that_no_header_can_carry_is_left_out(address: str, bots: Bots) -> None:
    with Loopback(lambda _request: as_json({"id": 7})) as api:
        bot = bots(api, {"actor": {"headers": {"X-Email": "email", "X-Asker": "asker"}}}, email=lambda _who: address)
        assert bot.read(f"{api.url}/users/7")["status"] == 200
        assert "x-email" not in api.requests[0].headers
        assert "x-evil" not in api.requests[0].headers


def test_nothing_is_sent_while_slack_does_not_say_who_asks(bots: Bots) -> None:
    def busy(_who: str) -> str:
        raise SlackBusy(30)

    with Guarded() as api:
        bot = bots(api, bots.actor(email=True), email=busy)
        told = bot.read(f"{api.url}/users/7")["error"]
        assert told == "Slack can't confirm right now who asks, so nothing was sent. Try again in a minute."
        assert api.requests == []


def test_the_model_can_set_none_of_the_headers(tmp_path: Path) -> None:
    entry = "{method: GET, url: /x, description: X., parameters: {x_asker: {in: header}}}"
    text = (
        "name: A\nbase_url: https://a.example\nauth: {actor: {headers: {X-Asker: asker}}}\nendpoints: [" + entry + "]"
    )
    with pytest.raises(BadCatalog, match="'x_asker' is set by this API's headers or auth, so no call may set it"):
        load_catalog(text, {})


@pytest.mark.parametrize(
    ("auth", "more", "words"),
    [
        ("{bearer: aaaaaaaa, actor: {issuer: x, keys: k, header: authorization}}", "", "would be set twice"),
        ("{actor: {headers: {X-A: asker}}}", "headers: {x-a: fixed}", "'X-A' is under this API's headers, too"),
        ("{bearer_file: token}", "headers: {authorization: fixed}", "'Authorization' is under this API's headers, too"),
        ("{actor: {headers: {Host: asker}}}", "", "already means something else in HTTP"),
        ("{actor: {headers: {Authorization: asker}}}", "", "already means something else in HTTP"),
        ("{actor: {issuer: x, keys: k, header: Cookie}}", "", "already means something else in HTTP"),
        ("{actor: {}}", "", "write keys for a signed statement, or headers for plain ones"),
        ("{actor: {keys: k}}", "", "keys need an issuer"),
        ("{actor: {headers: {X-A: asker}, audience: x}}", "", "audience is for a signed statement"),
        ("{actor: {headers: {X-A: name}}}", "", "'X-A' takes 'asker', 'team', 'email' or 'approver'"),
        ("{bearer: aaaaaaaa, basic: {username: aaaaaa, password: bbbbbb}}", "", "write exactly one of"),
        ("{bearer_command: vault read}", "", "write a command as a list of words"),
        ("{client_credentials: {client_id: a, client_secret: bbbbbb}}", "", "exactly one of issuer and token_url"),
        ("{client_credentials: {issuer: http://a.example, client_id: a, client_secret: bbbbbb}}", "", "https://"),
        ("{client_credentials: {issuer: https://a, client_id: a}}", "", "exactly one of client_secret, private_key"),
        ("{client_credentials: {issuer: https://a, client_id: a, client_secret: bbbbbb, key_id: x}}", "", "key_id is for a private key"),
        ("{bearer: aaaaaaaa}", "tls: {key: k}", "key needs a cert"),
        ("{bearer: aaaaaaaa}", "tls: {}", "write a cert, a ca, or both"),
    ],
)  # fmt: skip
def test_mistakes_in_auth_are_told(auth: str, more: str, words: str) -> None:
    text = f"name: A\nbase_url: https://a.example\nauth: {auth}\n{more}\nendpoints: [{{method: GET, url: /x, description: X.}}]"
    with pytest.raises(BadCatalog, match=words):
        load_catalog(text, {})


def test_files_that_are_not_there_stop_the_start_with_a_line_each(tmp_path: Path) -> None:
    public = write(tmp_path / "public", public_pem(new_key()))
    apis = [
        {"bearer_file": f"{tmp_path}/none"},
        {"actor": {"issuer": ISSUER, "keys": public}},
        {"client_credentials": {"token_url": "https://a", "client_id": "a", "private_key_file": f"{tmp_path}/none"}},
        {"actor": {"issuer": ISSUER, "keys": write(tmp_path / "p256", pem(new_key("p256")))}},
        {"bearer_command": ["no-such-program", "read"]},
    ]
    listed = [
        {
            "name": f"A{number}",
            "base_url": f"https://a{number}.example",
            "auth": auth,
            "endpoints": [{"method": "GET", "url": "/x", "description": "X."}],
        }
        for number, auth in enumerate(apis)
    ]
    catalog = load_catalog(json.dumps({"apis": listed}), {})
    with pytest.raises(Misconfigured) as caught:
        check_files(catalog)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"A0: auth.bearer_file: cannot read {tmp_path}/none: No such file or directory."
    assert lines[1] == f"A1: auth.actor.keys: {public} holds a public key; the private one is needed to sign."
    assert lines[2].startswith(f"A2: auth.client_credentials: cannot read {tmp_path}/none")
    assert "RS256 or EdDSA" in lines[3]
    assert lines[4] == (
        "A4: auth.bearer_command: there is no program 'no-such-program' on this machine's PATH; install it, or write its path."
    )


# --- exchanged --------------------------------------------------------------------------------------------------------


def test_the_statement_is_exchanged_for_a_token_of_the_apis_per_person(bots: Bots) -> None:
    with TokenServer(issues={"token_type": "Bearer", "expires_in": 300, "issued_token_type": "x"}) as server:
        seen: list[dict[str, Any]] = []
        exchange = {"issuer": server.url, "client_id": CLIENT, "client_secret": SECRET, "audience": "hr-api"}
        with Loopback(lambda request: as_json({"echo": request.headers["authorization"]})) as api:
            bot = bots(api, bots.actor(exchange=exchange, email=True))

            def look(token: str) -> None:
                keys = KeySet.import_key_set(json.loads(jwks(bot.catalog.apis, bots.keys)))
                seen.append(jwt.decode(token, keys, algorithms=["EdDSA"]).claims)

            server.subject = look

            call = bot.call("GET", f"{api.url}/users/7")
            assert isinstance(call, Read)
            told = [bot.gate.read(call, bot.begin(by=who), bot.catalog).text for who in (ANN, ANN, BEN)]
        assert [one.headers["authorization"][:14] for one in api.requests] == [
            "Bearer token-1",
            "Bearer token-1",
            "Bearer token-2",
        ]
        assert all("x-actor-token" not in one.headers for one in api.requests)
    assert "token-" not in "".join(told)
    form = server.asked[0]
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
    assert form["audience"] == "hr-api"
    assert [(one["sub"], one["aud"], one["email"]) for one in seen] == [
        (ANN, server.url, f"{ANN.lower()}@corp.example"),
        (BEN, server.url, f"{BEN.lower()}@corp.example"),
    ]
    assert all("request" not in one for one in seen)


def test_an_api_that_refuses_a_statement_is_sent_no_other_one_and_of_an_exchanged_token_one_more(bots: Bots) -> None:
    with TokenServer() as server, Loopback(lambda _request: as_json({}, 401)) as api:
        for exchange, times in ((None, 1), ({"issuer": server.url, "client_id": CLIENT, "client_secret": SECRET}, 1)):
            bot = bots(api, bots.actor(**({"exchange": exchange} if exchange else {})))
            before = len(api.requests)
            assert bot.read(f"{api.url}/users/7")["status"] == 401
            assert len(api.requests) == before + times  # a token that is younger than ten seconds is not exchanged anew
    assert server.tokens == 1


def test_a_key_that_was_never_there_signs_nothing_and_sends_nothing(bots: Bots) -> None:
    with Loopback(lambda _request: as_json({})) as api:
        told = bots(api, bots.actor(keys="/no/such/key")).read(f"{api.url}/users/7")["error"]
        assert told.startswith("The bot's own credential for HR cannot be read, so nothing was sent.")
        assert api.requests == []


def test_a_person_whom_the_token_server_refuses_is_told_and_nothing_is_sent(bots: Bots) -> None:
    with TokenServer() as server, Loopback(lambda _request: as_json({})) as api:
        server.will(said({"error": "invalid_grant", "error_description": "no such person"}, 400))
        exchange = {"issuer": server.url, "client_id": CLIENT, "client_secret": SECRET}
        bot = bots(api, bots.actor(exchange=exchange))
        told = bot.read(f"{api.url}/users/7")["error"]
        assert told.startswith("The token server of HR gives the bot no token (invalid_grant).")
        assert api.requests == []
