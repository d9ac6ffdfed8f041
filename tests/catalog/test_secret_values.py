"""Values that the catalog marks `secret: true` reach the API and nobody's eyes: no card, no modal, no journal, no log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.logging_setup import set_up_logs
from catalog.calls import resolve
from catalog.catalog import BadCatalog, load_catalog
from catalog.secret_values import Hiding, hidden, hide
from gate.card_modals import whole_request
from gate.card_posts import card_row
from gate.cards import card
from tests.harness.bot_parts import BotParts, Json, calls, says
from tests.harness.cases import each_row
from tests.harness.rest_server import RestServer, reply

PIN = "7341-ABCD-pin"
HIDDEN = f"{len(PIN)} characters, hidden by the catalog"
CATALOG = """
name: Bank
base_url: {base}
endpoints:
  - {{method: GET, url: "/cards/[id]", description: Shows a card.}}
  - method: GET
    url: /people/[ssn]?token=[token]
    description: Shows a person.
    parameters: {{ssn: {{type: string, minLength: 3, secret: true}}, token: {{type: string, secret: true}}}}
  - method: PUT
    url: /cards/[id]
    description: Changes a card.
    body:
      type: object
      properties:
        name: {{type: string}}
        pin: {{type: string, minLength: 5, secret: true}}
        owner: {{type: object, properties: {{answers: {{secret: true}}}}}}
  - {{method: DELETE, url: "/people/[ssn]", description: Removes., parameters: {{ssn: {{type: string, secret: true}}}}}}
"""

Make = Callable[[], BotParts]


@pytest.fixture
def parts(tmp_path: Path, server: RestServer) -> Iterator[BotParts]:
    one = BotParts(tmp_path, CATALOG.format(base=server.url), timeout=60, log_bodies=True)
    yield one
    one.close()


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What the bot logged, as an operator sees it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs()
    yield lambda: capsys.readouterr().err
    root.handlers[:], level = before
    root.setLevel(level)


def journal(parts: BotParts) -> str:
    return "".join(line.data for line in parts.store.journal.lines())


def shown(parts: BotParts) -> str:
    """All that people were posted, and all that their modals would show."""
    threads = {row["thread"] for row in json.loads(parts.stored())["posts"]}
    posts = [due.post.arguments for thread in threads for due in parts.store.due_posts(thread)]
    rows = [card_row(one) for one in parts.store.proposals_for(asker="U0ANN", limit=50)]
    return json.dumps([posts, [whole_request(row, 0) for row in rows]], ensure_ascii=False)


# --- by the whole way -------------------------------------------------------------------------------------------------


def test_a_secret_field_is_sent_and_shown_nowhere(
    parts: BotParts, server: RestServer, logged: Callable[[], str]
) -> None:
    server.always(reply(json.dumps({"name": "Ann", "pin": "0000-OLD-pin-1", "owner": {"answers": [PIN]}})))
    body = {"name": "Ann", "pin": PIN, "owner": {"answers": {"first dog": PIN}}}
    parts.replies.will(calls(("PUT", "/cards/7", json.dumps(body))), says("Done."))
    thread = parts.ask()
    (pending,) = parts.pending()
    parts.press(pending)
    parts.advance(thread)
    assert json.loads(server.requests[-1].body) == body
    everything = {"the journal": journal(parts), "the log": logged(), "Slack": shown(parts)}
    for place, text in everything.items():
        for value in (PIN, "0000-OLD-pin-1"):
            assert value not in text, place
    assert HIDDEN in everything["Slack"]
    assert "api call" in everything["the log"]


@pytest.mark.parametrize("url", [f"/people/{PIN}", f"/people/xyz?token={PIN}"])
def test_a_secret_value_of_a_url_is_sent_and_shown_nowhere(
    parts: BotParts, server: RestServer, logged: Callable[[], str], url: str
) -> None:
    delete = url.partition("?")[0]
    parts.replies.will(calls(("GET", url), ("DELETE", delete)), says("Done."))
    thread = parts.ask()
    for one in parts.pending():
        parts.press(one)
    parts.advance(thread)
    assert {("GET", url), ("DELETE", delete)} <= set(server.calls)
    for place, text in {"the journal": journal(parts), "the log": logged(), "Slack": shown(parts)}.items():
        assert PIN not in text, place


BAD = "q7z9"  # too short for a pin


@pytest.mark.parametrize(
    "call",
    [
        ("PUT", "/cards/7", json.dumps({"pin": BAD})),
        ("PUT", "/cards/7", json.dumps({"pin": BAD, "name": 5})),
        ("PUT", "/cards/7", json.dumps({"pin": [BAD]})),
        ("GET", f"/people/{BAD}?admin=1"),
        ("GET", f"/people/xyz?token={BAD}&token={BAD}"),
        ("DELETE", f"/people/{BAD}?x=1"),
    ],
    ids=str,
)
def test_a_bad_call_tells_no_secret_value_to_log_or_journal(
    parts: BotParts, logged: Callable[[], str], call: tuple[str, ...]
) -> None:
    parts.replies.will(calls(call))
    parts.ask()
    assert "bad call" in [line.kind for line in parts.store.journal.lines()]
    for place, text in {"the journal": journal(parts), "the log": logged()}.items():
        assert BAD not in text, place


def test_a_secret_that_changes_is_shown_as_a_change(parts: BotParts, server: RestServer) -> None:
    """Old and new may be equally long; a card that says that nothing changes would be a lie."""
    server.always(reply(json.dumps({"name": "Ann", "pin": "0000-OLD-pin1"})))
    parts.replies.will(calls(("PUT", "/cards/7", json.dumps({"name": "Ann", "pin": PIN}))))
    parts.ask()
    text = json.dumps(card(card_row(parts.pending()[0])), ensure_ascii=False)
    assert "looks like this already" not in text
    assert "pin: " in text


# --- where the mark may stand -----------------------------------------------------------------------------------------

MARKS: dict[str, tuple[Json, Any]] = {
    "a field": ({"properties": {"pin": {"secret": True}}}, {"pin": PIN}),
    "a field of a field": ({"properties": {"a": {"properties": {"pin": {"secret": True}}}}}, {"a": {"pin": PIN}}),
    "a field of a list's items": ({"properties": {"a": {"items": {"properties": {"pin": {"secret": True}}}}}}, {"a": [{"pin": PIN}]}),
    "in allOf": ({"allOf": [{"properties": {"pin": {"secret": True}}}]}, {"pin": PIN}),
    "in then": ({"if": {}, "then": {"properties": {"pin": {"secret": True}}}}, {"pin": PIN}),
    "in $defs": ({"$defs": {"card": {"properties": {"pin": {"secret": True}}}}, "$ref": "#/$defs/card"}, {"pin": PIN}),
    "an object": ({"properties": {"pin": {"type": "object", "secret": True}}}, {"pin": {"deep": PIN}}),
    "behind a $ref": ({"$defs": {"pin": {"secret": True}}, "properties": {"pin": {"$ref": "#/$defs/pin"}}}, {"pin": PIN}),
    "behind allOf": ({"properties": {"pin": {"allOf": [{"secret": True}]}}}, {"pin": PIN}),
    "a list's items": ({"properties": {"pins": {"type": "array", "items": {"secret": True}}}}, {"pins": [PIN]}),
    "additionalProperties": ({"additionalProperties": {"secret": True}}, {"anything": PIN}),
    "patternProperties": ({"patternProperties": {"^pin": {"secret": True}}}, {"pin1": PIN}),
    "the whole body": ({"type": "object", "secret": True}, {"pin": PIN}),
}  # fmt: skip


@each_row("mark", MARKS)
def test_a_mark_is_honoured_wherever_it_stands_or_stops_the_start(mark: str) -> None:
    """One that is silently without effect would show the value to a whole channel."""
    schema, body = MARKS[mark]
    text = {"base_url": "http://h", "endpoints": [{"method": "PUT", "url": "/x", "description": "d", "body": schema}]}
    try:
        catalog = load_catalog(json.dumps(text), {})
    except BadCatalog:
        return
    call = resolve(catalog, {"method": "PUT", "url": "/x", "body": body})
    assert PIN in (call.body or "")
    assert PIN not in (call.shown_body or "")


def test_a_secret_of_one_entry_is_hidden_in_all_of_its_api_and_in_no_other() -> None:
    body = {"properties": {"pin": {"secret": True}}}
    entry = {"method": "PUT", "url": "/x", "description": "d"}
    apis = [
        {"name": "A", "base_url": "http://a", "endpoints": [entry | {"body": body}, entry | {"url": "/y"}]},
        {"name": "B", "base_url": "http://b", "endpoints": [entry]},
    ]
    catalog = load_catalog(json.dumps({"apis": apis}), {})
    assert [api.secrets for api in catalog.apis] == [{"pin"}, frozenset()]
    shown = [
        resolve(catalog, {"method": "PUT", "url": u, "body": {"pin": PIN}}).shown_body
        for u in ("http://a/y", "http://b/x")
    ]
    assert [PIN in (one or "") for one in shown] == [False, True]


# --- hide -------------------------------------------------------------------------------------------------------------


def test_what_is_hidden_tells_how_long_it_is() -> None:
    assert hidden("x" * 24) == "24 characters, hidden by the catalog"
    assert hide({"pin": "abc", "b": [{"pin": 12345}]}, {"pin"}) == {
        "pin": hidden("abc"),
        "b": [{"pin": hidden("12345")}],
    }


def test_a_null_is_no_secret() -> None:
    assert hide({"pin": None}, ["pin"]) == {"pin": None}


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(value=VALUES, names=st.sets(st.sampled_from("abc")))
def test_every_field_of_a_hidden_name_is_hidden_and_nothing_else_changes(value: Any, names: set[str]) -> None:
    before = json.dumps(value)
    assert _agree(value, hide(value, names), names)
    assert json.dumps(value) == before


def _hidden_inside(value: Any) -> Any:
    """What stands in a secret field: the same shape, each value of it hidden."""
    match value:
        case dict():
            return {key: _hidden_inside(one) for key, one in value.items()}
        case list():
            return [_hidden_inside(one) for one in value]
    return hidden(value) if value is not None else None


def _agree(value: Any, seen: Any, names: set[str]) -> bool:
    match value:
        case dict():
            return value.keys() == seen.keys() and all(
                seen[key] == _hidden_inside(one) if key in names else _agree(one, seen[key], names)
                for key, one in value.items()
            )
        case list():
            return len(value) == len(seen) and all(_agree(*pair, names) for pair in zip(value, seen, strict=True))
    return bool(value == seen)


def test_a_name_that_holds_those_on_the_way_to_it_is_hidden_like_them() -> None:
    hiding = Hiding(frozenset(("pin",)), ("salary", "home.address"))
    answer = {
        "employee.salary": 1,
        "hr:salary": 2,
        "salary.gross": 3,
        "card/pin": "abcd",
        "home.address": 5,
        "address": 6,
        "a.b": 7,
    }

    assert hiding.applied(answer) == {"card/pin": "4 characters, hidden by the catalog", "address": 6, "a.b": 7}
    assert hiding.applied({"home": {"x.address": 8, "y": 9}}) == {"home": {"x.address": 8, "y": 9}}
    assert hiding.applied({"employee.home": {"address": 8}}) == {"employee.home": {}}


@pytest.mark.parametrize("text", ['"{\\"salary\\":5}"', '\ufeff{"salary":5}', '\t[{"salary":5}]'])
def test_a_field_in_json_within_json_is_hidden_too(text: str) -> None:
    assert "5" not in Hiding(gone=("salary",)).applied({"x": text})["x"]


def test_words_that_begin_with_a_quotation_are_no_json() -> None:
    assert Hiding(gone=("salary",)).applied({"x": '"salary" is pay'}) == {"x": '"salary" is pay'}
