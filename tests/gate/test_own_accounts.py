"""An API that knows each person by an account of their own: whose token travels with what, and who sees what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from gate.policy import State
from gate.sending import Approval
from identity.accounts import Accounts
from identity.identities import Identities, Way
from identity.sign_in_servers import SignInServers
from identity.token_box import TokenBox
from store.proposal_record import Proposal
from tests.harness.bot_parts import ANN, BEN, BotParts, Clock, calls, says
from tests.harness.databases import looking_into
from tests.harness.loopback import as_json
from tests.harness.peculiar_provider import CALLBACK, NONCE, STATE, VERIFIER, PeculiarProvider
from tests.harness.rest_server import RestServer, Seen, reply
from tests.harness.stores import TEAM

CATALOG = """
name: HR
base_url: {base}
auth: {{oauth2: {{issuer: "{issuer}", client_id: slack-bot, client_secret: secret-of-this-test, scopes: [openid, hr.read]}}}}
endpoints:
  - {{method: GET, url: "/users?page=[page]", description: Lists.}}
  - {{method: GET, url: "/users/[id]", description: Shows.}}
  - {{method: POST, url: /notes, description: Needs nobody., approval: never}}
  - {{method: PUT, url: "/users/[id]", description: Replaces., preview: false, approval: {{approvers: [U0BEN]}}}}
  - {{method: PATCH, url: "/users/[id]", description: Changes., approval: {{approvers: [U0BEN]}}}}
  - {{method: DELETE, url: "/users/[id]", description: Removes., preview: false, approval: {{approvers: [U0BEN], shared: true}}}}
recipes:
  - workflowId: one-of
    description: Tells of somebody.
    steps: [{{stepId: find, operation: "GET /users/[id]", parameters: {{id: "7"}}, outputs: {{all: $response.body}}}}]
    outputs: {{all: $steps.find.outputs.all}}
"""


@pytest.fixture
def provider() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as provider:
        yield provider


@pytest.fixture
def api() -> Iterator[RestServer]:
    with RestServer() as server:
        server.always(echo)
        yield server


def echo(seen: Seen) -> list[bytes]:
    """A hostile answer: it says the token that it got, in the body and in a header."""
    token = seen.headers.get("authorization", "nobody")
    return [reply(json.dumps({"id": 7, "you": token, "of": seen.target}), 200, f"X-You: {token}")]


class Bot(BotParts):
    """The bot with accounts of its people at a provider."""

    def __init__(self, folder: Path, provider: PeculiarProvider, api: RestServer) -> None:
        ways: dict[str, Way] = {}
        catalog = CATALOG.format(base=api.url, issuer=provider.url)
        super().__init__(folder, catalog, identities=Identities(ways), timeout=10)
        self.provider = provider
        self.servers = SignInServers(self.clock)
        box = TokenBox([Fernet.generate_key().decode()])
        ids = (f"version-{number}" for number in range(1_000))
        self.accounts = Accounts(self.store, self.servers, box, self.catalog, ids=lambda: next(ids), clock=self.clock)
        ways["oauth2"] = self.accounts

    def connect(self, who: str, subject: str) -> None:
        self.provider.claims, self.provider.now = {"sub": subject}, self.clock()
        sent = {"state": STATE, "nonce": NONCE, "verifier": VERIFIER, "redirect_uri": CALLBACK}
        grant = self.servers.redeem(self.catalog.apis[0], params={"code": "a-code", "state": STATE}, **sent)
        self.accounts.connect("HR", TEAM, who, grant)

    def later(self, seconds: float) -> None:
        assert isinstance(self.clock, Clock)
        self.clock.ahead += seconds

    def noted(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(line.data) for line in self.store.journal.lines(kind=kind)]


@pytest.fixture
def bot(tmp_path: Path, provider: PeculiarProvider, api: RestServer) -> Iterator[Bot]:
    bot = Bot(tmp_path, provider, api)
    bot.connect(ANN, "ann")
    yield bot
    bot.close()


def tokens(api: RestServer) -> list[str]:
    """Who called, by the tokens that came."""
    return [one.headers["authorization"] for one in api.requests]


def sent(bot: Bot, row: Proposal) -> Proposal:
    bot.gate.write(Approval(row.proposal))
    return bot.row(row)


# --- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        ("GET", "/users/7"),
        json.dumps({"method": "GET", "url": "/users?page=1", "all_pages": True}),
        json.dumps({"method": "RUN", "url": "one-of"}),
    ],
)
def test_a_read_travels_with_the_askers_token_which_nobody_sees_come_back(
    bot: Bot, api: RestServer, call: object
) -> None:
    bot.replies.will(calls(call))
    thread = bot.ask()
    assert set(tokens(api)) == {"Bearer access-1-of-this-test"}
    assert "of-this-test" not in bot.stored()
    assert "of-this-test" not in json.dumps(bot.replies.asked)
    assert bot.noted("read")[0]["identity"] == f"ann at {bot.provider.url}"
    assert bot.store.transcript(thread, ANN)


@pytest.mark.parametrize(
    "call", [("GET", "/users/7"), json.dumps({"method": "RUN", "url": "one-of"}), ("POST", "/notes", {})]
)
def test_what_was_read_as_one_person_is_not_shown_to_anothers_model(bot: Bot, call: object) -> None:
    bot.connect(BEN, "ben")
    bot.replies.will(calls(call), says("It is done."))
    thread = bot.ask()
    assert "/users/7" in json.dumps(bot.replies.asked[1]) or "notes" in json.dumps(bot.replies.asked[1])
    bot.ask("And what do you see?", by=BEN, thread=thread)
    of_ben = json.dumps(bot.replies.asked[-1])
    assert "It is done." in of_ben, "what was posted, everybody has read"
    assert '\\"of\\"' not in of_ben
    bot.ask("And I?", by=ANN, thread=thread)
    assert '\\"of\\"' in json.dumps(bot.replies.asked[-1])


def test_a_kept_answer_is_its_readers_alone(bot: Bot, api: RestServer) -> None:
    api.will(reply(json.dumps([{"id": number, "text": "x" * 100} for number in range(1_000)])))
    bot.replies.will(calls(("GET", "/users/7")))
    thread = bot.ask()
    assert bot.store.kept(thread, 1, ANN) is not None
    assert bot.store.kept(thread, 1, BEN) is None


def test_a_refused_token_is_renewed_and_the_read_made_again_once(bot: Bot, api: RestServer) -> None:
    bot.later(100)
    api.will(reply('{"error": "expired"}', 401))
    bot.replies.will(calls(("GET", "/users/7")))
    bot.ask()
    assert tokens(api) == ["Bearer access-1-of-this-test", "Bearer access-2-of-this-test"]
    assert '\\"of\\":\\"/users/7\\"' in json.dumps(bot.replies.asked[-1])


def test_a_401_that_stays_is_told_as_the_apis_word(bot: Bot, api: RestServer) -> None:
    bot.later(100)
    api.always(reply('{"error": "no"}', 401))
    bot.replies.will(calls(("GET", "/users/7")))
    bot.ask()
    assert len(api.requests) == 2
    assert "The API answered 401" in json.dumps(bot.replies.asked[-1])


def test_a_provider_that_is_away_is_told_and_nothing_is_sent(
    bot: Bot, api: RestServer, provider: PeculiarProvider
) -> None:
    bot.later(4_000)
    provider.replies["/token"] = as_json({}, 503)
    bot.replies.will(calls(("GET", "/users/7")))
    bot.ask()
    assert api.requests == []
    assert "The sign-in server of HR gave no answer. Try again in a few minutes." in json.dumps(bot.replies.asked[-1])


def asked(bot: Bot, method: str = "PUT") -> Proposal:
    """A write of Ann's that waits for Ben."""
    bot.replies.will(calls((method, "/users/7", {"name": "Bob"})))
    bot.ask()
    return bot.pending()[-1]


def waits(bot: Bot, method: str) -> Proposal:
    """A write that Ben has approved and that was not sent yet."""
    return bot.press(asked(bot, method), by=BEN)


# --- writes -----------------------------------------------------------------------------------------------------------


def test_a_write_travels_with_the_askers_token_never_the_approvers(bot: Bot, api: RestServer) -> None:
    bot.connect(BEN, "ben")
    row = asked(bot)
    assert row.identity == f"ann at {bot.provider.url}"
    row = bot.press(row, by=BEN)
    assert sent(bot, row).state is State.DONE
    assert tokens(api) == ["Bearer access-1-of-this-test"]
    whose = f"ann at {bot.provider.url}"
    assert [bot.noted(kind)[0]["identity"] for kind in ("approve", "send", "succeed")] == [whose] * 3


def test_a_token_that_ended_between_card_and_click_is_renewed(bot: Bot, api: RestServer) -> None:
    row = asked(bot)
    bot.later(3_590)
    row = bot.press(row, by=BEN)
    assert sent(bot, row).state is State.DONE
    assert tokens(api) == ["Bearer access-2-of-this-test"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_another_account_by_then_sends_nothing(bot: Bot, api: RestServer, method: str) -> None:
    row = waits(bot, method)
    before = len(api.requests)
    bot.connect(ANN, "anns-other-account")
    ended = sent(bot, row)
    assert ended.state is State.FAILED
    assert ended.note == (
        "This was asked for with a different HR account from the one that is connected now. Please ask again. Nothing was sent."
    )
    assert len(api.requests) == before


def test_the_same_account_connected_anew_sends(bot: Bot, api: RestServer) -> None:
    row = waits(bot, "PUT")
    bot.connect(ANN, "ann")
    assert sent(bot, row).state is State.DONE
    assert tokens(api) == ["Bearer access-2-of-this-test"]


def test_a_write_that_the_api_refuses_with_401_is_sent_again_with_a_renewed_token(bot: Bot, api: RestServer) -> None:
    row = waits(bot, "PUT")
    bot.later(100)
    api.will(reply("{}", 401))
    assert sent(bot, row).state is State.DONE
    assert tokens(api) == ["Bearer access-1-of-this-test", "Bearer access-2-of-this-test"]


def test_whose_account_it_was_asked_with_is_sealed(bot: Bot) -> None:
    """Somebody who writes to the database makes nothing of another's account."""
    row = waits(bot, "PUT")
    with looking_into(bot.url) as engine, engine.begin() as db:
        db.execute(text("update proposals set identity = ''"))
    assert not bot.store.is_intact(bot.row(row))
    assert sent(bot, row).state is State.FAILED
