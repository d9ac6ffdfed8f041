"""Two people with accounts of their own in one thread: nothing that an API said to one of them reaches the other's model, is posted, logged
or written down."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from emulator.emulator import Workspace
from tests.harness.browser import PUBLIC, Browser
from tests.harness.connecting import KEY, link_for
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.oidc_provider import SECRET, OidcProvider, needs_oidc_provider
from tests.harness.whole_bot import (
    Person,
    RunningBot,
    Script,
    StartBot,
    Talk,
    calls,
    results,
    says,
)
from tests.identity.conftest import see_addresses

pytestmark = needs_oidc_provider
OF_ANN, OF_BEN = "4711-for-ann", "4711-for-ben"
CATALOG = """
name: HR
base_url: {api}
auth:
  oauth2: {{issuer: "{issuer}", client_id: slack-bot, client_secret: {secret}, scopes: [openid, email, hr.read]}}
endpoints:
  - {{method: GET, url: /people, description: Lists people.}}
  - method: GET
    url: /people/[person]
    description: Shows somebody.
    parameters: {{person: {{type: integer, lookup: {{operation: GET /people, match: [name], id: id}}}}}}
  - {{method: GET, url: /everything, description: Tells all.}}
  - {{method: GET, url: /broken, description: Breaks.}}
  - {{method: POST, url: /notes, description: Notes., approval: never}}
  - {{method: DELETE, url: "/people/[person]", description: Removes somebody., preview: false}}
"""


class Api(Loopback):
    """Says to each person what is for that person alone, wherever it can."""

    def __init__(self, issuer: str) -> None:
        super().__init__(self._served)
        self._issuer = issuer
        self.callers: list[tuple[str, str, str]] = []

    def _served(self, request: Request) -> Reply:
        token = request.headers.get("authorization", "")
        asked = httpx2.get(f"{self._issuer}/me", headers={"Authorization": token}, trust_env=False)
        if asked.status_code != 200:
            return as_json({"error": "no token"}, 401)
        who = asked.json()["sub"]
        self.callers.append((request.method, request.path, who))
        mine = f"4711-for-{who}"
        heads = {"ETag": f'"{mine}"', "X-Request-Id": mine}
        match request.path.partition("?")[0]:
            case "/people":
                return as_json([{"id": 7, "name": "Tom", "pay": mine}], 200, **heads)
            case "/everything":
                return as_json([{"id": n, "pay": mine, "text": "x" * 200} for n in range(2_000)], 200, **heads)
            case "/broken":
                return as_json({"error": f"no such thing: {mine}"}, 500, **heads)
        return as_json({"id": 7, "name": "Tom", "pay": mine}, 409 if request.method == "DELETE" else 200, **heads)


@pytest.fixture
def api(provider: OidcProvider) -> Iterator[Api]:
    with Api(provider.issuer) as api:
        yield api


@pytest.fixture
def bot(start_bot: StartBot, provider: OidcProvider, api: Api, workspace: Workspace) -> RunningBot:
    see_addresses(workspace)
    catalog = CATALOG.format(api=api.url, issuer=provider.issuer, secret=json.dumps(SECRET))
    return start_bot(catalog=catalog, public_url=PUBLIC, token_key=KEY)


def connected(bot: RunningBot, person: Person, who: str) -> None:
    talk = person.asks("hello")
    browser = Browser(lambda: bot.url, who)
    browser.visit(link_for(person))
    browser.answers("yes")
    talk.answer()


def test_nothing_that_one_was_told_reaches_the_other(
    bot: RunningBot, model: Script, api: Api, ann: Person, ben: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """A read, one by a name, a long one that is kept, an error, what the policy sent and what a person approved."""
    connected(bot, ann, "ann")
    connected(bot, ben, "ben")
    model.will(
        calls(("GET", "/people"), ("GET", "/people/Tom"), text="I look."),
        calls(("GET", "/everything")),
        calls(("GET", "/broken")),
        calls(("POST", "/notes", {"text": "hello"})),
        lambda seen: says("So it is." if json.dumps(seen).count(OF_ANN) > 5 else "Nothing came."),
    )
    talk: Talk = ann.asks("what is there?")
    assert talk.answer() == "So it is."
    model.will(calls(("DELETE", "/people/Tom")), says("It could not be removed."))
    ann.replies(talk, "remove Tom")
    ann.presses(talk.card(), "approve")
    assert talk.answer(2) == "It could not be removed."
    assert [(one["outcome"], one["status"]) for one in results(model.asked[-1])[-1:]] == [("failed", 409)]

    callers, asked = len(api.callers), len(model.asked)
    model.will(calls(("GET", "/people/Tom")), calls(("GET", "/everything")), says("As you see."))
    ben.replies(talk, "and for me?")
    assert talk.answer(3) == "As you see."
    bens = json.dumps(model.asked[asked:])
    assert (OF_BEN in bens, OF_ANN in bens) == (True, False)
    assert "I look." not in bens
    assert api.callers[callers:] == [
        ("GET", "/people", "ben"),
        ("GET", "/people/7", "ben"),
        ("GET", "/everything", "ben"),
    ]

    model.will(says("The same."))
    ann.replies(talk, "and now?")
    assert talk.answer(4) == "The same."
    anns = json.dumps(model.asked[-1])
    assert (OF_BEN in anns, OF_ANN in anns) == (False, True)
    noted = "".join(line.data for line in bot.store.journal.lines())
    posted = json.dumps(talk.messages())
    for place in (noted, posted, caplog.text):
        assert [one for one in (OF_ANN, OF_BEN) if one in place] == []
