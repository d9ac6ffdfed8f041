"""By the front door: a bot whose credentials renew themselves, and an API that repeats them in all spellings that come to its mind.
Nothing of them is anywhere that people, the model or operators look."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from prometheus_client import generate_latest

from base import metrics
from emulator.emulator import Workspace
from tests.harness.databases import whole_database
from tests.harness.echoing_api import spelled
from tests.harness.loopback import Loopback, Reply, Request
from tests.harness.signing import a_key, pem, write
from tests.harness.token_server import CLIENT, SECRET, TokenServer
from tests.harness.whole_bot import Person, RunningBot, Script, StartBot, buttons, calls, says


class Echo(Loopback):
    """An API that tells everybody what it was sent: in its data, its errors, its headers, its pages, its redirects."""

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.carried: list[str] = []
        self.refuses = 0

    def _serve(self, request: Request) -> Reply:
        bearer = request.headers["authorization"].removeprefix("Bearer ")
        statement = request.headers["x-actor-token"]
        self.carried += [bearer, statement]
        told = [one for text in (bearer, statement) for one in spelled(text)]
        beside = {"X-Echo": statement, "Link": f'<{self.url}/users?page={quote(bearer, safe="")}>; rel="next"'}
        body = json.dumps({"id": 7, "name": "Tom", "echo": told, bearer: statement}).encode()
        if self.refuses:
            self.refuses -= 1
            return Reply(401, body, {"Content-Type": "application/json", **beside})
        if request.method == "DELETE":
            page = f"<html><body>no: {'; '.join(told)}</body></html>".encode()
            return Reply(500, page, {"Content-Type": "text/html", **beside})
        if request.path.endswith("/moved"):
            return Reply(302, b"", {"Location": f"{self.url}/elsewhere?token={bearer}&by={statement}"})
        return Reply(200, body, {"Content-Type": "application/json", **beside})


CATALOG = """
name: HR
base_url: {api}
auth:
  client_credentials: {{issuer: "{server}", client_id: "{client}", client_secret: "{secret}"}}
  actor: {{issuer: "https://bot.example", keys: "{key}", email: true, headers: {{X-Asker-Email: email}}}}
endpoints:
  - {{method: GET, url: "/users?page=[page]", description: Lists.}}
  - {{method: GET, url: "/users/[id]", description: Shows.}}
  - {{method: DELETE, url: "/users/[id]", description: Removes.}}
"""


@pytest.fixture
def servers() -> Any:
    issues = {"access_token": "tok+en/of=the&API-" + "q" * 20, "token_type": "Bearer"}
    with TokenServer(issues=issues) as server, Echo() as api:
        yield server, api


def catalog(servers: tuple[TokenServer, Echo], folder: Path) -> str:
    server, api = servers
    key = write(folder / "actor.pem", pem(a_key("rsa")))
    return CATALOG.format(api=api.url, server=server.url, client=CLIENT, secret=SECRET, key=key)


def test_no_secret_that_was_used_is_anywhere_to_be_seen(
    servers: tuple[TokenServer, Echo],
    start_bot: StartBot,
    ann: Person,
    model: Script,
    workspace: Workspace,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    _, api = servers
    bot: RunningBot = start_bot(catalog=catalog(servers, tmp_path), log_bodies=True)
    api.refuses = 1
    model.will(
        calls(("GET", f"{api.url}/users/7"), ("GET", f"{api.url}/users/moved"), ("GET", f"{api.url}/users")),
        lambda messages: says(f"The API says: {messages[-1]['content']}"),
        calls(("DELETE", f"{api.url}/users/7")),
        lambda messages: says(f"It ended so: {messages[-1]['content']}"),
    )
    first = ann.asks("what does it say?")
    first.answer()
    second = ann.asks("remove Tom")
    card = second.card()
    assert "approve" in " ".join(buttons(card))
    ann.presses(card, next(one for one in buttons(card) if "approve" in one))
    second.answer()
    bot.settle()

    assert len(api.carried) >= 10
    secrets = {*api.carried, SECRET, *(tmp_path / "actor.pem").read_text().splitlines()[1:-1]}
    secrets |= {one.rpartition(".")[2] for one in api.carried if one.count(".") == 2}  # a signature alone
    seen = {
        "Slack": json.dumps([first.messages(), second.messages(), workspace.ephemerals(ann.user)], default=str),
        "database": json.dumps(whole_database(bot.settings.database_url), default=str, ensure_ascii=False),
        "model": json.dumps(model.asked, ensure_ascii=False),
        "log": caplog.text + "".join(capfd.readouterr()),
        "metrics": generate_latest(metrics.REGISTRY).decode(),
        "routes": "".join(bot.request("GET", path).text for path in ("/readyz", "/version", "/.well-known/jwks.json")),
    }
    assert all("Tom" in seen[place] and "[hidden]" in seen[place] for place in ("model", "database"))
    assert "hidden" in seen["Slack"]
    found = [
        (place, form[:12])
        for place, text in seen.items()
        for secret in secrets
        for form in spelled(secret)
        if form in text
    ]
    assert found == []


def test_who_checks_statements_finds_the_keys_at_the_bots_door(
    servers: tuple[TokenServer, Echo], start_bot: StartBot, ann: Person, model: Script, tmp_path: Path
) -> None:
    _, api = servers
    bot: RunningBot = start_bot(catalog=catalog(servers, tmp_path))
    model.will(calls(("GET", f"{api.url}/users/7")))
    ann.asks("who is 7?").answer()
    answer = bot.request("GET", "/.well-known/jwks.json")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    claims = jwt.decode(api.carried[1], KeySet.import_key_set(json.loads(answer.text)), algorithms=["RS256"]).claims
    assert (claims["sub"], claims["team"], claims["aud"]) == (ann.user, "T0LOCAL", api.url)


def test_a_bot_without_an_actor_publishes_no_keys(start_bot: StartBot) -> None:
    assert start_bot().request("GET", "/.well-known/jwks.json").text == '{"keys": []}'
