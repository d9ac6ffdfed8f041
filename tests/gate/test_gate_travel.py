"""What is approved is what is sent, also in headers and in forms: through the stored row, the card, the journal and a real request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import text

from catalog.bad_call import BadCall
from catalog.catalog import load_catalog
from gate.policy import Read, State, Write
from gate.sending import Approval
from store.proposal_record import Proposal
from store.store import Store
from store.tables import MIGRATIONS, SERIAL
from tests.harness.bot_parts import BotParts
from tests.harness.databases import ENGINES, fresh_database, looking_into, rows
from tests.harness.rest_server import RestServer, reply, to

CATALOG = """
name: HR
base_url: {base}
auth: {{bearer: T0P-s3cret}}
endpoints:
  - method: GET
    url: /users/[id]
    description: Shows.
    parameters: {{X-Region: {{in: header, enum: [eu, us]}}}}
  - {{method: GET, url: "/people/[id]", description: Shows elsewhere.}}
  - {{method: GET, url: "/strict?team=[team]", description: d, parameters: {{team: {{required: true}}}}}}
  - {{method: DELETE, url: /strict, description: d}}
  - method: PATCH
    url: /users/[id]
    description: Changes.
    parameters: {{X-Region: {{in: header, enum: [eu, us], required: true}}}}
  - {{method: POST, url: /charges, description: Charges., body_type: form, approval: always}}
  - method: POST
    url: /uploads
    description: Uploads.
    approval: always
    body_type: multipart
    body: {{type: object, properties: {{file: {{type: string, format: binary}}}}}}
  - method: GET
    url: /named/[id]
    description: d
    parameters: {{id: {{type: integer, lookup: {{operation: GET /list, match: [name], id: id}}}}}}
  - method: DELETE
    url: /named/[id]
    description: d
    parameters: {{id: {{type: integer, lookup: {{operation: GET /list, match: [name], id: id}}}}}}
  - {{method: GET, url: /list, description: d}}
"""


@pytest.fixture
def parts(tmp_path: Path, server: RestServer) -> Iterator[BotParts]:
    one = BotParts(tmp_path, CATALOG.format(base=server.url), timeout=60)
    yield one
    one.close()


def card_of(parts: BotParts, proposal: Proposal) -> str:
    return json.dumps([post.arguments["blocks"] for post in parts.cards(proposal.thread)])


def change_row(parts: BotParts, proposal: Proposal, **columns: Any) -> None:
    """Writes into the stored row behind the gate's back."""
    sets = ", ".join(f"{name} = :{name}" for name in columns)
    with looking_into(parts.url) as engine, engine.begin() as db:
        db.execute(text(f"update proposals set {sets} where proposal = :row"), columns | {"row": proposal.proposal})


# --- headers ----------------------------------------------------------------------------------------------------------


def test_a_reads_headers_are_sent_beside_the_bots_own(parts: BotParts, server: RestServer) -> None:
    parts.read("/users/7", headers={"x-region": "eu"})
    (seen,) = server.requests
    assert (seen.headers["x-region"], seen.headers["authorization"]) == ("eu", "Bearer T0P-s3cret")


def test_a_writes_headers_are_stored_shown_noted_and_sent(parts: BotParts, server: RestServer) -> None:
    proposal, result = parts.write("PATCH", "/users/7", {"a": 1}, {"X-Region": "eu"})
    assert result["outcome"] == "done"
    assert proposal.headers == '{"X-Region":"eu"}'
    assert f"PATCH {server.url}/users/7\\nX-Region: eu" in card_of(parts, proposal)
    (noted,) = [json.loads(line.data) for line in parts.store.journal.lines(kind="approve")]
    assert noted["headers"] == {"X-Region": "eu"}
    sent = server.requests[-1]
    assert (sent.method, sent.headers["x-region"], sent.body) == ("PATCH", "eu", b'{"a":1}')


def test_the_target_is_read_with_the_headers_of_the_write(parts: BotParts, server: RestServer) -> None:
    parts.write("PATCH", "/users/7", {"a": 1}, {"X-Region": "us"})
    assert [(seen.method, seen.headers["x-region"]) for seen in server.requests] == [
        ("GET", "us"),
        ("GET", "us"),
        ("PATCH", "us"),
    ]


def test_a_target_that_needs_more_than_the_write_has_is_told_on_the_card(parts: BotParts, server: RestServer) -> None:
    proposal = parts.approved("DELETE", "/strict")
    assert "reading it needs 'team', which the request does not have" in card_of(parts, proposal)
    assert server.requests == []


def test_other_headers_make_another_fingerprint(parts: BotParts) -> None:
    prints = {
        parts.approved("PATCH", "/users/7", {"a": 1}, {"X-Region": region}).fingerprint for region in ("eu", "us")
    }
    assert len(prints) == 2


def test_a_redirect_carries_only_headers_that_the_other_operation_takes(parts: BotParts, server: RestServer) -> None:
    server.will(to("/people/7"), reply('{"id": 7}'), to("/users/8"), reply("{}"))
    parts.read("/users/7", headers={"X-Region": "eu"})
    assert "x-region" not in server.requests[1].headers
    parts.read("/users/7", headers={"X-Region": "eu"})
    assert server.requests[3].headers["x-region"] == "eu"


CHANGED_HEADERS: list[str] = [
    '{"X-Region":"mars"}',
    '{"X-Other":"1"}',
    '{"Authorization":"x"}',
    '{"X-Region":"eu\\r\\nX: 1"}',
    "{}",
    '{"x-region":"eu"}',
]


def test_headers_changed_behind_the_gates_back_are_held_to_the_catalog_again(
    parts: BotParts, server: RestServer
) -> None:
    for headers in CHANGED_HEADERS:
        proposal = parts.approved("PATCH", "/users/7", {"a": 1}, {"X-Region": "eu"})
        change_row(parts, proposal, headers=headers)
        parts.gate.write(Approval(proposal.proposal))
        assert parts.row(proposal).state is State.FAILED, headers
        assert "PATCH" not in [method for method, _ in server.calls], headers


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_form_is_shown_as_json_with_how_it_travels_and_sent_as_a_form(parts: BotParts, server: RestServer) -> None:
    proposal, _ = parts.write("POST", "/charges", {"amount": 5, "card": {"number": "4&2"}})
    assert (proposal.body_type, proposal.body) == ("form", '{"amount":5,"card":{"number":"4&2"}}')
    assert "Sent as a form (application/x-www-form-urlencoded)" in card_of(parts, proposal)
    (seen,) = server.requests
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(seen.body.decode()) == [("amount", "5"), ("card[number]", "4&2")]


def test_a_file_travels_as_one(parts: BotParts, server: RestServer) -> None:
    proposal, _ = parts.write("POST", "/uploads", {"file": "caf\u00e9\n", "note": "x"})
    assert "Sent as a form with files" in card_of(parts, proposal)
    (seen,) = server.requests
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert 'filename="file"\r\nContent-Type: application/octet-stream\r\n\r\ncaf\u00e9\n\r\n' in seen.body.decode()
    assert int(seen.headers["content-length"]) == len(seen.body)


def test_a_body_is_sent_as_approved_or_not_at_all(parts: BotParts, server: RestServer) -> None:
    for body_type in ("json", "multipart", "xml", ""):
        proposal = parts.approved("POST", "/charges", {"amount": 5})
        change_row(parts, proposal, body_type=body_type)
        parts.gate.write(Approval(proposal.proposal))
        assert parts.row(proposal).state is State.FAILED, body_type
        assert server.requests == [], body_type


_REGION = "X-Region: {{in: header, enum: [eu, us], required: true}}"


NOT_ALLOWED_NOW: list[tuple[str, str, str, str]] = [
    ("POST", "/charges", "body_type: form", "body_type: json"),
    ("POST", "/charges", "body_type: form", "body_type: form, body: {{type: object, required: [currency]}}"),
    ("PATCH", "/users/7", _REGION, "X-Region: {{in: header, enum: [us], required: true}}"),
    ("PATCH", "/users/7", _REGION, "X-Zone: {{in: header, enum: [eu, us]}}"),
    ("PATCH", "/users/7", _REGION, "x-region: {{in: header, enum: [eu, us]}}"),
    ("PATCH", "/users/7", _REGION, f"{_REGION}, X-Team: {{{{in: header, type: string, required: true}}}}"),
]


def test_an_approved_body_or_header_that_the_catalog_no_longer_allows_is_not_sent(
    parts: BotParts, server: RestServer
) -> None:
    for method, url, old, new in NOT_ALLOWED_NOW:
        parts.gate.use(parts.catalog)
        proposal = parts.approved(method, url, {"amount": 5}, {"X-Region": "eu"} if method == "PATCH" else None)
        assert old in CATALOG, (old, new)
        parts.gate.use(load_catalog(CATALOG.replace(old, new).format(base=server.url), {}))
        parts.gate.write(Approval(proposal.proposal))
        assert parts.row(proposal).state is State.FAILED, (old, new)
        assert "Nothing was sent" in parts.result(proposal)["note"], (old, new)
        assert method not in [one for one, _ in server.calls], (old, new)


# --- what has to be looked up -----------------------------------------------------------------------------------------


def test_no_name_is_sent_or_shown_to_be_approved_in_place_of_an_id(parts: BotParts, server: RestServer) -> None:
    read, write = parts.call("GET", "/named/ann"), parts.call("DELETE", "/named/ann")
    assert isinstance(read, Read)
    assert isinstance(write, Write)
    turn = parts.begin()
    with pytest.raises(BadCall, match="looked up first"):
        parts.gate.read(read, turn, parts.catalog)
    with pytest.raises(BadCall, match="looked up first"):
        parts.gate.propose(write, turn, 0, parts.catalog)
    assert server.requests == []


def test_a_redirect_to_a_name_is_not_followed(parts: BotParts, server: RestServer) -> None:
    server.will(to("/named/ann"))
    assert "does not allow" in parts.read("/users/7")["error"]
    assert server.calls == [("GET", "/users/7")]


# --- rows of an earlier version ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_record_of_an_earlier_version_has_no_headers_and_a_json_body(engine: str, tmp_path: Path) -> None:
    url = fresh_database(engine, tmp_path)
    columns = "proposal, token, thread, turn, reply, call, api, operation, method, url, body, shown_url, asker, fingerprint, why, rule, "
    columns += "state, created_at, expires_at, votes, reason, note, card"
    values = (
        "'p', 't', 'T/C/1', 'u', 1, 0, 'HR', 'POST /x', 'POST', 'http://h/x', '{}', 'http://h/x', 'U0ANN', 'f', '', "
    )
    values += """'[["asker"], false, 1, false]', 'pending', 1, 2, '[]', '', '', 'c'"""
    with looking_into(url) as database, database.begin() as db:
        db.execute(text("create table migrations (number integer primary key)"))
        for statement in MIGRATIONS[0]:
            db.execute(text(statement.format(serial=SERIAL[engine])))
        db.execute(text("insert into migrations values (1)"))
        db.execute(text(f"insert into proposals ({columns}) values ({values})"))
    store = Store(url, journal_key="k")
    found = store.proposal(token="t")
    store.close()
    assert found is not None
    assert (found.headers, found.body_type) == ("{}", "json")
    assert len(rows(url, "migrations")) == len(MIGRATIONS)
