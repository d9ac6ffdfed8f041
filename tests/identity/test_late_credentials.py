"""A sign-in server that takes longer than there is time: nothing leaves whose answer could not be waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.catalog import Api
from gate.policy import State
from identity.callers import Caller, Credential, Outgoing
from identity.identities import Identities
from tests.harness.bot_parts import BotParts
from tests.harness.rest_server import RestServer, reply

CATALOG = """
name: HR
base_url: {base}
auth: {{bearer: of-nobody-yet}}
endpoints: [{{method: POST, url: /users, description: Adds., preview: false, approval: always}}]
"""


class Late:
    """A way whose credentials come once it is too late: the first one, or the one after a 401."""

    def __init__(self) -> None:
        self.is_slow_at_first = True

    def credential(self, _api: Api, _request: Outgoing, by: float) -> Credential:
        self._pass(by if self.is_slow_at_first else 0.0)
        return Credential({"Authorization": "Bearer of-ann"})

    def renewed(self, _api: Api, _request: Outgoing, _refused: Credential, by: float) -> bool:
        self._pass(by)
        return True

    def whose(self, _api: Api, _caller: Caller) -> str:
        return ""

    @staticmethod
    def _pass(by: float) -> None:
        while time.monotonic() < by:
            time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


@pytest.fixture
def way() -> Late:
    return Late()


@pytest.fixture
def parts(tmp_path: Path, server: RestServer, way: Late) -> Iterator[BotParts]:
    running = BotParts(tmp_path, CATALOG.format(base=server.url), identities=Identities({"bearer": way}), timeout=2)
    yield running
    running.close()


def test_a_write_whose_credential_comes_too_late_is_not_sent(parts: BotParts, server: RestServer) -> None:
    proposal, _ = parts.write("POST", "/users", {"name": "Cy"})
    assert proposal.state is State.FAILED
    assert proposal.note == "The credential for this API did not come in time. Try again in a minute. Nothing was sent."
    assert server.calls == []


def test_what_was_refused_and_could_not_be_sent_again_in_time_has_failed(
    parts: BotParts, server: RestServer, way: Late
) -> None:
    way.is_slow_at_first = False
    server.will(reply("{}", 401))
    proposal, _ = parts.write("POST", "/users", {"name": "Cy"})
    assert (proposal.state, proposal.status) == (State.FAILED, 401)
    assert server.calls == [("POST", "/users")]
