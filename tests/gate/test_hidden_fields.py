"""What the catalog hides comes back to nobody: `secret: true` masks by name, `hide:` takes fields out, wherever an API repeats them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from catalog.bad_call import BadCall
from catalog.calls import resolve
from catalog.catalog import BadCatalog, load_catalog
from catalog.lookup import Unclear
from catalog.secret_values import Hiding
from cli.commands import check
from gate.card_modals import whole_request
from gate.card_posts import card_row
from gate.cards import card
from gate.policy import State
from gate.target_diff import Target
from tests.harness.bot_parts import BotParts, Json, calls, tool_results
from tests.harness.rest_server import RestServer, reply, to

PIN, IBAN, SALARY = "7341-pin", "DE89370400440532013000", "84000.50"
CATALOG = """
name: Staff
base_url: {base}
hide: [salary, "*.iban"]
endpoints:
  - method: GET
    url: /people?page=[page]
    description: Lists people.
    pagination: {{style: page, parameter: page, items: data}}
  - method: GET
    url: /people/[id]
    description: Shows a person.
    hide: [home.street, "emergency_*"]
    parameters: {{id: {{type: integer, lookup: {{operation: GET /people, match: [name, iban], id: id}}}}}}
  - {{method: GET, url: "/moved/[id]", description: Shows a person.}}
  - {{method: GET, url: /guarded, description: Needs somebody., approval: always}}
  - method: PUT
    url: /people/[id]
    description: Changes a person.
    body: {{type: object, properties: {{pin: {{type: string, secret: true}}, name: {{type: string}}}}}}
  - {{method: PATCH, url: "/people/[id]", description: Changes., preview: false}}
  - method: POST
    url: /cards
    description: Adds a card.
    body: {{type: object, properties: {{card: {{type: object, properties: {{PIN: {{type: string}}}}}}}}}}
recipes:
  - workflowId: show
    description: Shows.
    steps: [{{stepId: a, operation: GET /people, outputs: {{ids: "$response.body#/data"}}}}]
  - workflowId: leak
    description: Passes on.
    steps: [{{stepId: a, operation: GET /people, outputs: {{x: "$response.body#/data/0/pin"}}}}]
"""
PERSON = {
    "id": 7,
    "name": "Ann",
    "Salary": 84000.50,
    "bank": {"iban": IBAN, "city": "Bonn"},
    "login": {"deep": [{"p_i_n": PIN, "ok": 1}]},
    "raw": json.dumps({"pin": PIN, "salary": 84000.50}),
    "home": {"street": "Elm 1", "city": "Ulm"},
    "street": "kept",
    "emergency_phone": "+49301234567",
}
SEEN = {
    "id": 7,
    "name": "Ann",
    "bank": {"city": "Bonn"},
    "login": {"deep": [{"p_i_n": "8 characters, hidden by the catalog", "ok": 1}]},
    "raw": '{"pin":"8 characters, hidden by the catalog"}',
    "home": {"city": "Ulm"},
    "street": "kept",
}
LISTED = SEEN | {"home": PERSON["home"], "emergency_phone": PERSON["emergency_phone"]}


@pytest.fixture
def parts(tmp_path: Path, server: RestServer) -> Iterator[BotParts]:
    one = BotParts(tmp_path, CATALOG.format(base=server.url), timeout=60, settles=0.0)
    yield one
    one.close()


def leaks(text: str) -> list[str]:
    return [one for one in (PIN, IBAN, SALARY, SALARY.rstrip("0")) if one in text]


def test_a_read_shows_nothing_that_is_hidden(parts: BotParts, server: RestServer) -> None:
    server.always(reply(json.dumps(PERSON)))
    assert parts.read("/people/7")["data"] == SEEN
    assert parts.read("/people/7", select="[salary, bank.iban, login.deep[0].p_i_n]")["data"][:2] == [None, None]
    assert leaks(json.dumps(parts.read("/people/7", select="to_string(@)"))) == []


def test_lists_and_all_their_pages_show_nothing_that_is_hidden(parts: BotParts, server: RestServer) -> None:
    pages = [{"data": [PERSON]}, {"data": [PERSON | {"id": 8}]}, {"data": []}]
    server.will(*(reply(json.dumps(page)) for page in pages))
    assert parts.read("/people", all_pages=True)["data"] == [LISTED, LISTED | {"id": 8}]


def test_a_kept_result_holds_nothing_that_is_hidden(parts: BotParts, server: RestServer) -> None:
    server.always(reply(json.dumps({"data": [PERSON | {"n": n} for n in range(400)]})))
    parts.replies.will(
        calls(("GET", "/people")),
        lambda messages: calls({"result": tool_results(messages)[-1]["result"], "from": 390}, tool="read_result"),
    )
    parts.ask()
    more = tool_results(parts.replies.asked[-1])[-1]
    assert more["data"][0] == LISTED | {"n": 390}
    assert leaks(parts.stored()) == []


def test_an_answer_to_a_write_and_an_error_show_nothing_that_is_hidden(parts: BotParts, server: RestServer) -> None:
    for status in (200, 422):
        server.always(reply(json.dumps({"person": PERSON, "errors": {"pin": [f"{PIN} is too short"]}}), status))
        proposal, result = parts.write("PATCH", "/people/7", {"name": "Ann"})
        assert proposal.state is (State.DONE if status == 200 else State.FAILED)
        assert result["data"]["errors"] == {
            "pin": ["17 characters, hidden by the catalog".replace("17", str(len(PIN) + 13))]
        }
        assert leaks(json.dumps(result)) == []
    assert leaks(parts.stored()) == []


def test_a_card_shows_nothing_that_is_hidden_and_its_row_keeps_nothing(parts: BotParts, server: RestServer) -> None:
    server.always(reply(json.dumps(PERSON)))
    proposal = parts.approved("PUT", "/people/7", {"name": "Anna"})
    target = Target.from_json(proposal.before)
    assert target is not None
    assert target.data == SEEN
    assert leaks(json.dumps([card(card_row(proposal)), whole_request(card_row(proposal), 0)])) == []
    assert leaks(parts.stored()) == []


def test_a_look_up_tells_nothing_that_is_hidden(parts: BotParts, server: RestServer) -> None:
    both = [PERSON | {"iban": IBAN}, PERSON | {"iban": IBAN, "id": 8}]
    server.always(reply(json.dumps({"data": both})))
    call = resolve(parts.catalog, {"method": "GET", "url": "/people/Ann"})
    with pytest.raises(Unclear) as caught:
        parts.gate.resolved(call, parts.begin(), parts.catalog)
    assert '"name":"Ann"' in caught.value.text
    assert leaks(caught.value.text) == []


def test_where_a_redirect_leads_both_entries_hide(parts: BotParts, server: RestServer) -> None:
    server.will(to("/people/7"), reply(json.dumps(PERSON)))
    assert parts.read("/moved/7")["data"] == SEEN


def test_a_recipe_neither_shows_nor_passes_on_what_is_hidden(parts: BotParts, server: RestServer) -> None:
    server.always(reply(json.dumps({"data": [PERSON | {"pin": PIN}]})))
    parts.replies.will(calls(("RUN", "show")), calls(("RUN", "leak")))
    parts.ask()
    shown, leaked = tool_results(parts.replies.asked[-1])
    assert shown["data"]["ids"][0]["name"] == "Ann"
    assert "does not resolve" in leaked["error"]
    assert leaks(json.dumps([shown, leaked])) == []
    assert leaks(parts.stored()) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f"<person><pin>{PIN}</pin></person>", "application/xml"),
        (f'{{"salary": {SALARY}, "broken', "application/json"),
        (f"name: Ann\nIBAN: {IBAN}\n", "text/plain"),
        (f"<table><tr><td>Salary</td><td>{SALARY}</td></tr></table>", "text/html"),
    ],
)
def test_a_text_that_names_what_is_hidden_is_kept_back(
    parts: BotParts, server: RestServer, body: str, kind: str
) -> None:
    server.always(reply(body, kind=kind))
    found = parts.read("/people/7")
    assert (found["data"], "kept back" in found["note"]) == (None, True)


def test_a_table_and_a_text_without_such_names_are_read(parts: BotParts, server: RestServer) -> None:
    server.always(reply(f"name,iban,pin\nAnn,{IBAN},{PIN}\n", kind="text/csv"))
    assert parts.read("/people/7")["data"] == [{"name": "Ann", "pin": "8 characters, hidden by the catalog"}]
    for text in ("All is well.", "The salary of some was paid; pin pads work."):
        server.always(reply(text, kind="text/plain"))
        assert parts.read("/people/7")["data"] == text


@pytest.mark.parametrize(
    ("path", "data", "seen"),
    [
        ("a.b", {"a": {"b": 1, "c": 2}, "b": 3}, {"a": {"c": 2}, "b": 3}),
        ("a.b", {"x": [{"a": [{"b": 1, "c": 2}]}]}, {"x": [{"a": [{"c": 2}]}]}),
        ("a.b", {"a": {"x": {"b": 1}}}, {"a": {"x": {"b": 1}}}),
        ("a.*.b", {"a": {"x": {"y": {"b": 1}}, "b": 2}}, {"a": {"x": {"y": {}}}}),
        ("*.b", {"b": 1, "x": {"b": 2}}, {"x": {}}),
        ("a.*", {"a": {"b": 1}, "c": 2}, {"c": 2}),
        ("*_key", {"api_key": 1, "apiKey": 2, "keys": 3}, {"keys": 3}),
        ("bank_account", {"bankAccount": 1, "Bank-Account": 2, "bank": 3}, {"bank": 3}),
        ("a.b.a.c", {"a": {"b": {"a": {"b": {"a": {"c": 1}}}}}}, {"a": {"b": {"a": {"b": {"a": {}}}}}}),
    ],
)
def test_a_path_fits_where_it_ends(path: str, data: Json, seen: Json) -> None:
    assert Hiding(gone=(path,)).applied(data) == seen


@pytest.mark.parametrize("path", ["*", "*.*", ".", " "])
def test_a_path_that_names_nothing_is_a_mistake(path: str) -> None:
    text = CATALOG.format(base="http://x").replace("[salary, ", f"[{json.dumps(path)}, ")
    with pytest.raises(BadCatalog, match="names no field"):
        load_catalog(text, {})


def test_check_lists_what_a_name_hides_besides(tmp_path: Path) -> None:
    file = tmp_path / "apis.yaml"
    file.write_text(CATALOG.format(base="http://x"), "utf-8")
    told = CliRunner().invoke(check, [str(file), "--no-env"]).output
    assert "Hidden by its name (Staff): 'pin' hides card.PIN in the body of POST /cards, too." in told
    assert "PUT /people" not in told.partition("Hidden by its name")[2]


def test_what_is_sent_is_not_touched(parts: BotParts, server: RestServer) -> None:
    server.always(reply(json.dumps(PERSON)))
    parts.write("PUT", "/people/7", {"pin": PIN, "iban": IBAN})
    assert json.loads(server.requests[-1].body) == {"pin": PIN, "iban": IBAN}


def test_a_hidden_field_is_no_reason_to_refuse_a_call(parts: BotParts) -> None:
    with pytest.raises(BadCall):
        resolve(parts.catalog, {"method": "GET", "url": "/people/7?iban=1"})


def test_a_card_does_not_say_of_a_hidden_field_that_it_is_empty(parts: BotParts, server: RestServer) -> None:
    server.always(reply(json.dumps(PERSON)))
    wanted = {"salary": 1, "home": {"street": "Oak 2"}, "nick": "A"}
    row = card_row(parts.approved("PUT", "/people/7", wanted))

    said = json.dumps([card(row), whole_request(row, 0)], ensure_ascii=False)

    assert "salary: (hidden by the catalog) \N{RIGHTWARDS ARROW} 1" in said
    assert "home.street: (hidden by the catalog)" in said
    assert "nick: (nothing)" in said
