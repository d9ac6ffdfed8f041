"""Two people's accounts before Kinto, a foreign API that asks the sign-in server itself whose token it was given: two people, two rights.

python3 -m venv /tmp/kinto && /tmp/kinto/bin/pip install 'kinto>=26,<27' 'setuptools<81'
KINTO=/tmp/kinto/bin/kinto OIDC_PROVIDER=/tmp/oidc-provider/node_modules pytest test_connecting_kinto.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from emulator.emulator import Workspace
from tests.gate.test_foreign_servers import KINTO, KINTO_INI, Foreign, needs_kinto, running
from tests.harness.browser import PUBLIC, Browser
from tests.harness.connecting import KEY, link_for
from tests.harness.oidc_provider import SECRET, OidcProvider, needs_oidc_provider
from tests.harness.ports import free_port
from tests.harness.whole_bot import Person, RunningBot, Script, StartBot, calls, results, says
from tests.identity.conftest import see_addresses

pytestmark = [needs_oidc_provider, needs_kinto]
RECORDS = "/buckets/hr/collections/people/records"
BY_ACCOUNT = """multiauth.policies = openid basicauth
kinto.includes = kinto.plugins.openid
multiauth.policy.openid.use = kinto.plugins.openid.OpenIDConnectPolicy
multiauth.policy.openid.issuer = {issuer}
multiauth.policy.openid.client_id = slack-bot
multiauth.policy.openid.userid_field = sub
multiauth.policy.openid.header_type = Bearer
"""
CATALOG = """
name: People
base_url: {url}
auth:
  oauth2:
    issuer: {issuer}
    client_id: slack-bot
    client_secret: {secret}
    scopes: [openid, email, profile, offline_access]
    authorize_params: {{prompt: consent}}
endpoints:
  - {{method: GET, url: RECORDS, description: Lists people.}}
  - {{method: POST, url: RECORDS, description: Adds somebody., preview: false, approval: always}}
""".replace("RECORDS", RECORDS)


@pytest.fixture
def kinto(provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Kinto with a collection that all may read who signed in, and in which Ann alone may add something."""
    folder = tmp_path_factory.mktemp("kinto-openid")
    ini = KINTO_INI.replace("multiauth.policies = basicauth\n", BY_ACCOUNT.format(issuer=provider.issuer))
    (folder / "kinto.ini").write_text(ini)
    port = free_port()
    command = [str(KINTO), "start", "--ini", "kinto.ini", "--port", str(port)]
    with running(command, folder, f"http://127.0.0.1:{port}/v1", "/") as server:
        owner = httpx2.Client(auth=("owner", "only-for-this-test"), trust_env=False)
        assert owner.put(f"{server.url}/buckets/hr", json={}).status_code == 201
        rights = {"read": ["system.Authenticated"], "record:create": ["openid:ann"]}
        made = owner.put(f"{server.url}/buckets/hr/collections/people", json={"permissions": rights})
        assert made.status_code == 201
        yield server


@pytest.mark.xdist_group("kinto")
def test_two_people_have_two_rights(
    start_bot: StartBot,
    kinto: Foreign,
    provider: OidcProvider,
    model: Script,
    workspace: Workspace,
    ann: Person,
    ben: Person,
) -> None:
    see_addresses(workspace)
    catalog = CATALOG.format(url=kinto.url, issuer=provider.issuer, secret=json.dumps(SECRET))
    bot: RunningBot = start_bot(catalog=catalog, public_url=PUBLIC, token_key=KEY)
    for person, who, status in ((ann, "ann", 201), (ben, "ben", 403)):
        talk = person.asks("add Cy")
        browser = Browser(lambda: bot.url, who)
        browser.visit(link_for(person))
        model.will(calls(("POST", RECORDS, {"data": {"name": "Cy"}})), lambda seen: says(json.dumps(results(seen)[-1])))
        browser.answers("yes")
        person.presses(talk.card(), "approve")
        assert json.loads(talk.answer())["status"] == status
        model.will(calls(("GET", RECORDS)), lambda seen: says(json.dumps(results(seen)[-1])))
        listed = json.loads(person.asks("who is there?").answer())
        assert (listed["status"], [one["name"] for one in listed["data"]["data"]]) == (200, ["Cy"])
