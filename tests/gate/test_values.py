"""Values arrive as they were written: digits, letters and media types, over real HTTP, from the API to the model and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from base.jmespath_bounded import search
from base.json_text import dumps, loads
from catalog.bad_call import BadCall
from catalog.calls import resolve
from catalog.catalog import Operation, load_catalog
from catalog.conditions import Condition
from catalog.documents import read_text
from gate.card_lines import CARD
from gate.card_modals import whole_request
from gate.card_posts import card_row
from gate.cards import card
from gate.policy import State, sort
from tests.harness.bot_parts import BotParts, calls
from tests.harness.cases import case
from tests.harness.descriptions import imported, loaded
from tests.harness.rest_server import RestServer, reply, to

_JSON_PATCH, _MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
AMOUNT = "12345678901234567.89"
CATALOG = """
name: Bank
base_url: {base}
endpoints:
  - method: GET
    url: /accounts?ids=[ids]&owner=[owner]&after=[after]
    description: Lists accounts.
    parameters: {{ids: {{type: array, items: {{type: integer}}}}, owner: {{type: integer}}}}
    pagination: {{style: cursor, parameter: after, items: data, next: next}}
  - method: GET
    url: /accounts/[id]
    description: Shows an account.
    parameters: {{id: {{type: integer, lookup: {{operation: GET /accounts, match: [name], id: id}}}}}}
  - method: PUT
    url: /accounts/[id]
    description: Changes an account.
    body:
      type: object
      properties:
        amount: {{type: number, multipleOf: 0.01}}
        rate: {{enum: [0.1, 12345678901234567.89]}}
    approval:
      - when: {{properties: {{amount: {{type: number, minimum: 12345678901234567.89}}}}}}
        approvers: [asker]
        quorum: 1
  - {{method: PATCH, url: "/accounts/[id]", description: Changes., body_type: application/merge-patch+json, preview: false}}
  - {{method: PATCH, url: "/notes/[id]", description: Changes., body_type: application/json-patch+json, preview: false}}
  - method: POST
    url: /accounts/[id]/close
    description: Closes.
    body_required: false
    preview: false
    approval: always
    body: {{type: object, properties: {{why: {{type: string}}}}}}
  - {{method: POST, url: /forms, description: Adds., body_type: form, approval: always}}
"""


@pytest.fixture
def parts(tmp_path: Path, server: RestServer) -> Iterator[BotParts]:
    one = BotParts(tmp_path, CATALOG.format(base=server.url), timeout=60, settles=0.0)
    yield one
    one.close()


def operation_of(text: str) -> Operation:
    """The only operation of what a description is imported as, as the bot would start with it."""
    (operation,) = loaded(imported(read_text(dedent(text), "spec.yaml")[0])).operations
    return operation


def raw_result(parts: BotParts, url: str, **more: object) -> str:
    read = sort(resolve(parts.catalog, {"method": "GET", "url": url, **more}), tainted=False)
    return parts.gate.read(read, parts.begin(), parts.catalog).text  # type: ignore[arg-type]


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_number_of_the_api_reaches_the_model_digit_for_digit(parts: BotParts, server: RestServer) -> None:
    cases: list[str] = [AMOUNT, "1.10", "0.1000", "1e3", "1E-7", "-0.0", "0.00000001", "9" * 40, "1e400"]
    for text in cases:
        with case(text):
            server.always(reply(f'{{"amount": {text}}}'))
            assert f'"amount":{text}}}' in raw_result(parts, "/accounts/7")


def test_a_number_beyond_all_measure_becomes_its_text(parts: BotParts, server: RestServer) -> None:
    server.always(reply(f'{{"a": 1e999999999, "b": NaN, "c": {"7" * 5_000}}}'))
    assert raw_result(parts, "/accounts/7").startswith('{"status":200,"data":{"a":"1e999999999","b":"NaN","c":"777')


@pytest.mark.parametrize("as_object", [False, True])
def test_a_decimal_of_the_model_is_on_the_card_in_the_row_and_in_what_goes_out(
    parts: BotParts, server: RestServer, as_object: bool
) -> None:
    server.always(reply('{"amount": 1.5, "rate": 0.10}'))
    body = f'{{"amount":{AMOUNT},"rate":0.10,"big":12345678901234567890123}}'
    arguments: object = f'{{"method":"PUT","url":"/accounts/1234567890123456789","body":{body}}}'
    parts.replies.will(calls(loads(str(arguments)) if as_object else arguments))
    parts.ask()
    (pending,) = parts.pending()
    assert pending.body == body
    text, blocks = card(card_row(pending))
    shown = json.dumps([text, blocks, whole_request(card_row(pending), 0)])
    lines = card_row(pending).changes(CARD).lines
    assert lines[0] == f"amount: 1.5 → {AMOUNT}"
    assert not any(line.startswith("rate") for line in lines)
    assert shown.count(AMOUNT) > 2
    assert "12345678901234568" not in shown
    parts.press(pending)
    parts.advance(pending.thread)
    put = server.requests[-1]
    assert (put.method, put.target) == ("PUT", "/accounts/1234567890123456789")
    assert put.body == body.encode()
    assert parts.row(pending).state is State.DONE


def test_equal_numbers_are_no_change(parts: BotParts, server: RestServer) -> None:
    server.always(reply('{"amount": 1.5, "rate": 0.1, "n": 1.0}'))
    proposal = parts.approved("PUT", "/accounts/7", '{"amount": 1.50, "rate": 0.10, "n": 1}')
    assert "→" not in card(card_row(proposal))[0]


def test_a_whole_number_of_any_length_goes_out_as_it_is(parts: BotParts, server: RestServer) -> None:
    cases: list[tuple[str, str]] = [
        ("/accounts/1234567890123456789", "/accounts/1234567890123456789"),
        ("/accounts?ids=1234567890123456789,12345678901234567890", "/accounts?ids=1234567890123456789&ids=12345678901234567890"),
        ("/accounts?owner=123456789012345678901234567890", "/accounts?owner=123456789012345678901234567890"),
    ]  # fmt: skip
    for url, target in cases:
        with case(url):
            server.always(reply("{}"))
            parts.read(url)
            assert server.calls[-1] == ("GET", target)


def test_a_long_id_is_looked_up_and_a_long_cursor_followed(parts: BotParts, server: RestServer) -> None:
    server.will(
        reply('{"data": [{"name": "Ann", "id": 12345678901234567890}], "next": 98765432109876543210}'),
        reply('{"data": [{"name": "Ben", "id": 12345678901234567891}]}'),
    )
    assert parts.read("/accounts", all_pages=True)["data"][1]["id"] == 12345678901234567891
    assert server.calls[-1] == ("GET", "/accounts?after=98765432109876543210")
    server.will(reply('{"data": [{"name": "Ann", "id": 12345678901234567890}]}'))
    call = resolve(parts.catalog, {"method": "GET", "url": "/accounts/Ann"})
    assert parts.gate.resolved(call, parts.begin(), parts.catalog).url.endswith("/accounts/12345678901234567890")


def test_select_counts_with_decimals() -> None:
    cases: list[tuple[str, str]] = [
        ("sum([].v)", f"{Decimal(AMOUNT) + Decimal('0.3'):f}"),
        ("max([].v)", AMOUNT),
        ("sort([].v)", f"[0.1,0.2,{AMOUNT}]"),
        ("sort_by(@, &v)[-1].v", AMOUNT),
        ("max_by(@, &v).v", AMOUNT),
        (f"[?v == `{AMOUNT}`].v", f"[{AMOUNT}]"),
        ("[?v > `12345678901234567.88`].v", f"[{AMOUNT}]"),
        ("[?v > `12345678901234567.895`].v", "[]"),
        ("to_number('1.10')", "1.10"),
        ("to_string([0].v)", '"0.1"'),
        ("type([0].v)", '"number"'),
        ("avg([:2].v)", "0.15"),
        ("abs(`-1.50`)", "1.50"),
        ("ceil([0].v)", "1"),
    ]
    for expression, found in cases:
        with case(expression):
            data = loads(f'[{{"v": 0.1}}, {{"v": 0.2}}, {{"v": {AMOUNT}}}]')
            assert dumps(search(expression, data), separators=(",", ":")) == found


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"amount": 19.99}', ""),
        ('{"amount": 12345678901234567.89}', ""),
        ('{"amount": 0.07}', ""),
        ('{"amount": 12345678901234567.891}', "not a multiple of 0.01"),
        ('{"amount": 0.001}', "not a multiple of 0.01"),
        ('{"rate": 0.10}', ""),
        ('{"rate": 12345678901234567.89}', ""),
        ('{"rate": 12345678901234567.88}', "is not one of 0.1, 12345678901234567.89"),
    ],
)
def test_schemas_are_held_against_the_digits(parts: BotParts, body: str, words: str) -> None:
    asked = {"method": "PUT", "url": "/accounts/7", "body": body}
    if not words:
        assert resolve(parts.catalog, asked).body == body.replace(" ", "")
        return
    with pytest.raises(BadCall, match=words):
        resolve(parts.catalog, asked)


def test_a_condition_is_held_against_the_digits(parts: BotParts) -> None:
    cases: list[tuple[str, bool]] = [
        ("12345678901234560.88", False),
        ("12345678901234567.88", True),  # less, but to a server that reads doubles it is as much
        ("12345678901234567.89", True),
        ("12345678901234567.90", True),
    ]
    for amount, holds in cases:
        with case(amount):
            call = resolve(parts.catalog, {"method": "PUT", "url": "/accounts/7", "body": f'{{"amount": {amount}}}'})
            (rule,) = call.operation.rules or ()
            when = {"properties": {"amount": {"type": "number", "minimum": Decimal(AMOUNT)}}}
            assert rule.when == when
            assert Condition(when).holds(call.condition_input(call.operation)) is holds


def test_a_form_carries_the_digits(parts: BotParts, server: RestServer) -> None:
    server.always(reply("{}"))
    parts.write("POST", "/forms", '{"amount": 1.10, "big": 12345678901234567890}')
    assert server.requests[-1].body == b"amount=1.10&big=12345678901234567890"


def test_an_imported_description_keeps_numbers_as_they_are() -> None:
    entry = operation_of(
        """
        openapi: 3.0.3
        info: {title: T, version: "1"}
        servers: [{url: https://x.example.com}]
        paths:
          /things/{id}:
            get:
              summary: Shows a thing.
              parameters:
                - {name: id, in: path, required: true, schema: {type: integer, enum: [1234567890123456789, 12345678901234567890]}}
                - {name: month, in: query, schema: {enum: [01, 02, 10]}}
                - {name: zip, in: query, schema: {type: string, enum: [01067]}}
                - {name: rate, in: query, schema: {type: number, maximum: 12345678901234567.89, enum: [1.10, 12345678901234567.89]}}
              responses: {"200": {description: ok}}
        """
    )
    assert entry.parameters == {
        "id": {"type": "integer", "enum": [1234567890123456789, 12345678901234567890]},
        "month": {"enum": ["01", "02", "10"]},
        "zip": {"type": "string", "enum": ["01067"]},
        "rate": {"type": "number", "enum": [1.1, Decimal(AMOUNT)], "maximum": Decimal(AMOUNT)},
    }


# --- how it travels ---------------------------------------------------------------------------------------------------


def test_json_is_asked_for_first_and_anything_else_after_it(parts: BotParts, server: RestServer) -> None:
    parts.read("/accounts/7")
    first, *rest = server.requests[-1].headers["accept"].split(",")
    assert first == "application/json"
    assert [one.strip().partition(";")[0] for one in rest] == ["*/*"]


def test_a_patch_goes_out_as_its_entry_says(parts: BotParts, server: RestServer) -> None:
    server.always(reply("{}"))
    proposal, _ = parts.write("PATCH", "/accounts/7", {"name": "Ann"})
    assert server.requests[-1].headers["content-type"] == "application/merge-patch+json"
    assert "Sent as application/merge-patch+json" in json.dumps(card(card_row(proposal)))
    parts.write("PATCH", "/notes/7", [{"op": "remove", "path": "/text"}])
    assert server.requests[-1].headers["content-type"] == "application/json-patch+json"
    assert server.requests[-1].body == b'[{"op":"remove","path":"/text"}]'
    with pytest.raises(BadCall, match="a list of operations"):
        parts.call("PATCH", "/notes/7", {"text": "x"})
    with pytest.raises(BadCall, match="an object with the fields"):
        parts.call("PATCH", "/accounts/7", [{"op": "remove", "path": "/text"}])


def test_an_imported_patch_goes_out_as_the_description_says() -> None:
    cases: list[tuple[str, str]] = [
        (f"[{_JSON_PATCH}, {_MERGE_PATCH}, application/strategic-merge-patch+json]", _MERGE_PATCH),
        ("[application/json-patch+json]", "application/json-patch+json"),
        ("[application/strategic-merge-patch+json]", "application/strategic-merge-patch+json"),
        ("[application/merge-patch+json, application/json]", "json"),
    ]  # fmt: skip
    for version in ("2.0", "3.0"):
        for content, kind in cases:
            with case(content, kind, version):
                kinds = content.strip("[]").split(", ")
                body = {"type": "object"}
                path: dict[str, Any] = {"responses": {"200": {"description": "ok"}}}
                if version == "2.0":
                    path |= {
                        "consumes": kinds,
                        "parameters": [{"name": "b", "in": "body", "required": True, "schema": body}],
                    }
                    root: dict[str, Any] = {"swagger": "2.0", "host": "x.example.com"}
                else:
                    path |= {"requestBody": {"required": True, "content": {one: {"schema": body} for one in kinds}}}
                    root = {"openapi": "3.0.3", "servers": [{"url": "https://x.example.com"}]}
                root |= {"info": {"title": "T", "version": "1"}, "paths": {"/a": {"patch": path}}}
                entry = operation_of(json.dumps(root))
                assert entry.body_type == kind
                assert entry.body == {"type": "array" if "json-patch" in kind else "object"}
                assert entry.body_required


def test_an_optional_body_is_optional(parts: BotParts, server: RestServer) -> None:
    server.always(reply("{}"))
    parts.write("POST", "/accounts/7/close")
    assert (server.requests[-1].body, server.requests[-1].headers.get("content-type")) == (b"", None)
    parts.write("POST", "/accounts/7/close", {"why": "done"})
    assert server.requests[-1].body == b'{"why":"done"}'
    with pytest.raises(BadCall, match="needs a body"):
        parts.call("PUT", "/accounts/7")


@pytest.mark.parametrize(("said", "needed"), [("", False), ("required: false, ", False), ("required: true, ", True)])
def test_an_imported_body_is_as_optional_as_the_description_says(said: str, needed: bool) -> None:
    entry = operation_of(
        f"""
        openapi: 3.0.3
        info: {{title: T, version: "1"}}
        servers: [{{url: https://x.example.com}}]
        paths:
          /a:
            post:
              requestBody: {{{said}content: {{application/json: {{schema: {{type: object}}}}}}}}
              responses: {{"200": {{description: ok}}}}
        """
    )
    assert entry.body_required is needed


def test_an_answer_is_read_in_the_encoding_that_it_has(parts: BotParts, server: RestServer) -> None:
    cases: list[tuple[bytes, str, object]] = [
        ('{"n": "né"}'.encode("latin-1"), "application/json; charset=iso-8859-1", {"n": "né"}),
        ('{"n": "né – “x”"}'.encode("cp1252"), "application/json", {"n": "né – “x”"}),
        ('{"n": "日本①"}'.encode("cp932"), "application/json; charset=Shift_JIS", {"n": "日本①"}),
        ("日本".encode("shift_jis"), "text/plain; charset=shift_jis", "日本"),
        ('{"n": "日"}'.encode("utf-16"), "application/json", {"n": "日"}),
        ('{"n": "é"}'.encode("utf-16-be"), "application/json", {"n": "é"}),
        ('{"n": "é"}'.encode("utf-16-le"), "application/json; charset=utf-16", {"n": "é"}),
        ("né,x\n1,2".encode("utf-16"), "text/csv", [{"né": "1", "x": "2"}]),
        ("né – ok".encode("cp1252"), "text/plain", "né – ok"),
        ('{"n": "né"}'.encode(), "application/json; charset=iso-8859-1", {"n": "né"}),  # declared otherwise than it is
    ]
    for content, kind, data in cases:
        with case(content, kind):
            server.always(reply(content, kind=kind))
            assert parts.read("/accounts/7")["data"] == data


@pytest.mark.parametrize(("coding", "named"), [("br", "br (Brotli)"), ("zstd", "zstd")])
def test_a_compression_that_is_not_read_is_named(parts: BotParts, server: RestServer, coding: str, named: str) -> None:
    server.always(reply(b"\x0b\x02\x80{}\x03", 200, f"Content-Encoding: {coding}"))
    assert f"compressed with {named}, which was not asked for" in parts.read("/accounts/7")["note"]


def test_where_a_redirect_wanted_to_go_is_told(parts: BotParts, server: RestServer) -> None:
    server.will(to("https://elsewhere.example.com/login?next=%2Faccounts"))
    found = parts.read("/accounts/7")
    assert found["data"] == {"location": "https://elsewhere.example.com/login?next=%2Faccounts"}
    assert "not followed" in found["error"]
    server.will(to("/accounts/8", 307))
    proposal, result = parts.write("POST", "/accounts/7/close")
    assert proposal.state is State.FAILED
    assert result["data"] == {"location": "/accounts/8"}


def test_a_catalogs_own_numbers_keep_their_digits() -> None:
    text = CATALOG.format(base="http://bank")
    (put,) = [one for one in load_catalog(text, {}).operations if one.method == "PUT"]
    assert put.body is not None
    assert put.body["properties"]["rate"]["enum"] == [0.1, Decimal(AMOUNT)]
