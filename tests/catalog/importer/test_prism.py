"""An imported description, the real program, and a server that we did not write: Prism (https://github.com/stoplightio/prism) checks each
request against the same description.

    npm install --prefix /tmp/prism @stoplight/prism-cli@5.16
    PRISM=/tmp/prism/node_modules/.bin/prism pytest test_prism.py
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.emulator import Workspace
from tests.harness.descriptions import description, get, post, query
from tests.harness.forked_bot import command
from tests.harness.loopback import Loopback, Reply, Request
from tests.harness.ports import free_port
from tests.harness.replay_model import Message, ReplayModel, answer
from tests.harness.whole_bot import until
from tests.test_crash import ANN, System

PRISM = os.environ.get("PRISM") or shutil.which("prism")
pytestmark = [
    pytest.mark.programs,
    pytest.mark.xdist_group("prism"),  # with one of it
    pytest.mark.skipif(not PRISM, reason="no Prism here: install @stoplight/prism-cli, and name it in PRISM"),
]

TICKET = {
    "type": "object",
    "required": ["title"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "title": {"type": "string", "minLength": 3},
        "urgency": {"type": "string", "enum": ["low", "high"]},
        "owner": {"type": "object", "required": ["email"], "properties": {"email": {"type": "string"}}},
    },
}
NUMBERS = {"type": "array", "items": {"type": "integer"}}
NOTE = {
    "schema": {
        "type": "object",
        "required": ["text", "tags", "people"],
        "properties": {"text": {"type": "string"}, "tags": NUMBERS, "people": NUMBERS},
    },
    "encoding": {"tags": {"style": "form", "explode": True}, "people": {"style": "form", "explode": False}},
}
TICKET_ID = {"name": "ticketId", "in": "path", "required": True, "schema": {"type": "integer"}}
REGION = {"name": "X-Region", "in": "header", "required": True, "schema": {"type": "string", "enum": ["eu", "us"]}}
TICKETS = description(
    {
        "/tickets": get(
            query("ids", NUMBERS, explode=False),
            query("states", {"type": "array", "items": {"type": "string", "enum": ["open", "shut"]}}),
            query("parents", NUMBERS, style="pipeDelimited", explode=False),
            query("page", {"type": "integer", "minimum": 1}, required=True),
            query("since", {"type": "string", "format": "date"}),
            REGION,
            answer={"type": "array", "items": TICKET},
        )
        | post(TICKET, responses={"201": {"description": "made"}}),
        "/tickets/{ticketId}": get(TICKET_ID, answer=TICKET)
        | {"delete": {"parameters": [TICKET_ID], "responses": {"204": {"description": "gone"}}}},
        "/tickets/{ticketId}/notes": post(
            NOTE,
            "application/x-www-form-urlencoded",
            parameters=[TICKET_ID],
            responses={"201": {"description": "made"}},
        ),
    },
    security=[{"key": []}],
    components={"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}},
)
# What Prism answers with.
_FOUND = TICKETS["paths"]["/tickets"]["get"]["responses"]["200"]
_FOUND["content"]["application/json"]["example"] = [{"id": 1, "title": "One"}, {"id": 2, "title": "Two"}]
_FOUND["headers"] = {
    "Link": {"schema": {"type": "string"}, "example": '<https://api.example.com/t/9?page=2>; rel="next"'}
}


def wants(*calls: dict[str, Any]) -> Message:
    """A model's reply with these calls of `call_rest_api`."""
    functions = [{"name": "call_rest_api", "arguments": json.dumps(one)} for one in calls]
    made = [{"id": f"call_{n}", "type": "function", "function": one} for n, one in enumerate(functions)]
    return {"role": "assistant", "content": None, "tool_calls": made}


class Prism(Loopback):
    """Passes requests on to Prism, and keeps what it said of each: (method and path, status, what it has against it)."""

    def __init__(self, file: Path) -> None:
        super().__init__(self._pass_on)
        self.verdicts: list[tuple[str, int, str]] = []
        self._port = free_port()
        self.log = file.with_suffix(".prism.log")
        with self.log.open("wb") as log:
            words = [str(PRISM), "mock", "-h", "127.0.0.1", "-p", str(self._port), str(file)]
            self.process = subprocess.Popen(words, stdout=log, stderr=log)

    def __enter__(self) -> Prism:
        super().__enter__()
        until(lambda: "Prism is listening" in self.log.read_text("utf-8") or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text("utf-8")[-2_000:]
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.process.terminate()
        self.process.wait(60)

    def _pass_on(self, request: Request) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        hop = ("host", "connection", "content-length")
        headers = {name: value for name, value in request.headers.items() if name not in hop}
        connection.request(request.method, request.path, request.body or None, headers)
        reply = connection.getresponse()
        body = reply.read()
        against = reply.headers.get("sl-violations", "") or (body.decode() if reply.status == 422 else "")
        self.verdicts.append((f"{request.method} {request.path}", reply.status, against))
        kept = {name: text for name in ("Content-Type", "Link") if (text := reply.headers.get(name)) is not None}
        return Reply(reply.status, body, kept)


def imported(file: Path, base_url: str) -> str:
    """The catalog that the command makes, its writes allowed."""
    text = command({}, file.parent, "import", str(file), "--base-url", base_url).stdout
    assert "enabled: false" in text
    return text.replace("    enabled: false\n", "")


@dataclass(frozen=True)
class AtWork:
    """The program with the catalog of a description that Prism serves."""

    system: System
    prism: Prism
    model: ReplayModel


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    folder = tmp_path_factory.mktemp("prism")
    file = folder / "tickets.yaml"
    file.write_text(yaml.safe_dump(TICKETS))
    with Workspace() as workspace, ReplayModel() as model, Prism(file) as prism:
        system = System("http", workspace, model, prism, folder)
        (folder / "apis.yaml").write_text(imported(file, prism.url))
        program = system.start(SHOP_API_KEY="only-for-this-test")
        yield AtWork(system, prism, model)
        assert program.terminate() == 0


def approve_all(system: System, asked: str, count: int) -> None:
    """Ann presses Approve on each card of her thread as it comes."""
    pressed: list[str] = []
    while len(pressed) < count:
        pressed.append(system.card(asked, but=pressed))
        system.workspace.click(ANN, pressed[-1], "approve", channel="C0HR")
        until(lambda: len(system.writes()) == len(pressed))


def test_prism_takes_every_request_that_the_bot_makes_of_an_imported_description(at_work: AtWork) -> None:
    system, verdicts = at_work.system, at_work.prism.verdicts
    before = len(verdicts)
    find = "/tickets?ids=1,2&states=open&states=shut&parents=3|4&page=1&since=2024-02-29"
    ticket = {"title": "Häßlich & kaputt", "urgency": "high", "owner": {"email": "ann@example.com"}}
    note = {"text": "a&b=c ü", "tags": [1, 2], "people": [3, 4]}
    at_work.model.script(
        "go",
        [
            wants(
                {"method": "GET", "url": find, "headers": {"X-Region": "eu"}},
                {"method": "GET", "url": "/tickets/7"},
            ),
            wants({"method": "POST", "url": "/tickets", "body": ticket}),
            wants({"method": "POST", "url": "/tickets/7/notes", "body": note}),
            wants({"method": "DELETE", "url": "/tickets/7"}),
            answer("All done."),
        ],
    )
    asked = system.mention("go")
    approve_all(system, asked, 3)
    system.wait_for_answer(asked, "All done.")

    assert [(name, against) for name, status, against in verdicts[before:] if status >= 300 or against] == []
    assert [(name, status) for name, status, _ in verdicts[before:] if not name.startswith("GET")] == [
        ("POST /tickets", 201),
        ("POST /tickets/7/notes", 201),
        ("DELETE /tickets/7", 204),
    ]
    assert [name for name, _, _ in verdicts[before:]][:2] == [
        "GET /tickets?ids=1,2&states=open&states=shut&parents=3%7C4&page=1&since=2024-02-29",
        "GET /tickets/7",
    ]


def test_a_list_over_pages_is_asked_for_as_described_and_never_called_whole(at_work: AtWork) -> None:
    """Prism gives the same example for each page, with a link that promises more."""
    system, model, verdicts = at_work.system, at_work.model, at_work.prism.verdicts
    before = len(verdicts)
    read = {"method": "GET", "url": "/tickets?page=1", "headers": {"X-Region": "eu"}}
    model.script("list", [wants(read), wants(read | {"all_pages": True}), answer("All listed.")])
    system.wait_for_answer(system.mention("list"), "All listed.")
    told = [json.loads(one["content"]) for one in model.conversation("list")[-1] if one["role"] == "tool"]

    assert [against for _, status, against in verdicts[before:] if status >= 300 or against] == []
    assert [name for name, _, _ in verdicts[before:]] == [f"GET /tickets?page={number}" for number in (1, 1, 2)]
    assert "These are not all: its Link header names a next page." in told[0]["note"]
    assert "These are not all: the API led back to a page that was read already." in told[1]["note"]
    assert [one["id"] for one in told[1]["data"]] == [1, 2]
