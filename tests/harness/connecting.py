"""What the tests of connecting share: an API that asks the sign-in server whose token it was given, and its catalog."""

from __future__ import annotations

import httpx2

from tests.harness.browser import link_in
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.whole_bot import Person

KEY = "6nOSl4xRW0eXm3x1FqYyIhBB6gCxTNNrFfcCvzjzqxA="
CATALOG = """
name: HR
base_url: {api}
auth:
  oauth2:
    issuer: {issuer}
    client_id: slack-bot
    client_secret: {secret}
    scopes: [openid, email, profile, offline_access, hr.read]
    authorize_params: {{prompt: consent}}
{more}
endpoints:
  - {{method: GET, url: "/people/[id]", description: Shows.}}
  - {{method: POST, url: /people, description: Adds., preview: false, approval: always}}
"""


class HrServer(Loopback):
    """Asks the provider whose token a request brings: all may read, Ann alone may write."""

    def __init__(self, issuer: str) -> None:
        super().__init__(self._served)
        self._issuer = issuer
        self.callers: list[tuple[str, str]] = []

    def _served(self, request: Request) -> Reply:
        asked = httpx2.get(
            f"{self._issuer}/me", headers={"Authorization": request.headers.get("authorization", "")}, trust_env=False
        )
        if asked.status_code != 200:
            return as_json({"error": "no token"}, 401)
        who = asked.json()["sub"]
        self.callers.append((request.method, who))
        if request.method == "POST":
            return as_json({"created_by": who}, 201) if who == "ann" else as_json({"error": "not yours"}, 403)
        return as_json({"seen_by": who})


def link_for(person: Person, number: int = 1) -> str:
    """The address behind the button that a person alone was shown."""
    asides = person.workspace.wait(lambda: person.workspace.ephemerals(person.user)[number - 1 :])
    return link_in(asides[0])
