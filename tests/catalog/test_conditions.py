"""Conditions of rules: a rule lets pass only what it has understood. Whatever spelling a model finds, the rule asks."""

from __future__ import annotations

import functools
import json
import time
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catalog.bad_call import BadCall
from catalog.calls import parse_arguments, resolve
from catalog.catalog import Catalog, Operation, load_catalog
from catalog.condition_gaps import gaps
from gate.condition_trials import trials
from gate.policy import Read, Write, sort
from tests.harness.cases import each_row

Json = dict[str, Any]
ABOVE: Json = {"required": ["amount"], "properties": {"amount": {"type": "integer", "minimum": 1000}}}
STRICTEST = ("U0BOSS",)


@functools.cache
def catalog(method: str, when: str, url: str = "/pay", more: str = "{}") -> Catalog:
    """One operation with a weaker rule for all (PUT and so on would ask anyway), and one with a condition."""
    rules = [{"when": json.loads(when), "approvers": [STRICTEST[0]], "not_asker": True}]
    entry = {"method": method, "url": url, "description": "d", "approval": rules} | json.loads(more)
    return load_catalog(json.dumps({"base_url": "http://h", "endpoints": [entry]}), {})


def judged(
    when: Json, sent: object = None, *, method: str = "POST", url: str = "/pay", asked: str = "", **entry: Any
) -> str:
    """`sent` (or `read`), `asked` where the method's own rule holds, `strictest` where the one with the condition does, and `bad`."""
    within = catalog(method, json.dumps(when), url, json.dumps(entry))
    arguments = {"method": method, "url": asked or url} | ({} if sent is None else {"body": json.dumps(sent)})
    try:
        call = sort(resolve(within, parse_arguments(json.dumps(arguments))), tainted=False)
    except BadCall:
        return "bad"
    if isinstance(call, Read):
        return "read"
    assert isinstance(call, Write)
    if call.by_policy:
        return "sent"
    return "strictest" if call.rule.approvers == STRICTEST else "asked"


# --- the field itself -------------------------------------------------------------------------------------------------


@each_row("amount", [0, 10, 999, -5, 10.0, 5e2])
def test_what_is_understood_and_falls_under_no_rule_is_sent(amount: float) -> None:
    assert judged(ABOVE, {"amount": amount}) == "sent"
    assert judged(ABOVE, {"amount": amount, "note": "The amount is right.", "lines": [{"sum": 5000}]}) == "sent"


@each_row("amount", [1000, 5000, 1e3, 5000.0, 10**30, 12345678901234567.89])
def test_what_falls_under_the_rule_asks(amount: float) -> None:
    assert judged(ABOVE, {"amount": amount}) == "strictest"


OTHERWISE: list[object] = [
    "5000", "5,000", "5 000", "5.000,00", "5000.00", "５０００", "٥٠٠٠", "5e3", " 5000 ", "0x1388", "5000 EUR", "€5000", "+5000",
    "five thousand", "", None, True, [5000], [], {}, {"value": 5000}, 999.5,
    "1", "10",  # one that the API would take for small is no other: only a number is understood
]  # fmt: skip


@each_row("amount", OTHERWISE)
def test_a_value_of_another_type_asks(amount: object) -> None:
    assert judged(ABOVE, {"amount": amount}) == "strictest"
    assert (
        judged({"properties": {"amount": {"minimum": 1000}}}, {"amount": amount if amount != 999.5 else "x"})
        == "strictest"
    )


ELSEWHERE: list[object] = [
    {"Amount": 5000}, {"AMOUNT": 5000}, {"amount ": 5000}, {" amount": 5000}, {"amount\t": 5000}, {"a_mount": 5000}, {"a-mount": 5000},
    {"ａｍｏｕｎｔ": 5000}, {"am\u200bount": 5000}, {"amount\u0301": 5000}, {"ámount": 5000}, {"amount[]": 5000}, {"$amount": 5000},
    {"data": {"amount": 5000}}, {"data": {"Amount": 5000}}, {"data": [{"amount": 5000}]}, {"a": {"b": {"c": {"amount": 5000}}}},
    {"data.amount": 5000}, {"data[amount]": 5000}, {"data/amount": 5000}, {".amount": 5000},
    {"data": '{"amount": 5000}'}, {"data": ' [{"Amount": 5000}]'}, {"data": {"x": '{"y": "{\\"amount\\": 5000}"}'}},
    {"amount" + " " * 500: 5000}, {"x" * 500: 5000},
    {"field": "amount", "value": 5000}, {"op": "replace", "path": "/amount", "value": 5000}, {"set": ["data.amount", 5000]},
]  # fmt: skip
LISTS: list[object] = [
    [],
    [{"amount": 5000}],
    [5000],
    [["amount", 5000]],
    [{"op": "replace", "path": "/amount", "value": 5000}],
]


@each_row("body", [*ELSEWHERE, *LISTS, {}, {"note": "x"}, {"total": 5000}, None])
def test_a_field_that_is_not_in_its_place_asks(body: object) -> None:
    assert judged(ABOVE, body) == "strictest"


@each_row("body", ELSEWHERE)
def test_a_field_that_stands_elsewhere_too_asks_also_where_it_is_small_in_its_own_place(body: Json) -> None:
    assert judged(ABOVE, {"amount": 1} | body) in ("strictest", "bad")
    assert judged(ABOVE, {"amount": 1} | body, method="PATCH") in ("strictest", "bad")


@pytest.mark.parametrize("body_type", ["form", "multipart"])
def test_a_form_is_judged_like_json(body_type: str) -> None:
    assert judged(ABOVE, {"amount": 10}, body_type=body_type) == "sent"
    for body in ({"amount": "5000"}, {"Amount": 5000}, {"data": {"amount": 5000}}, {"note": "x"}):
        assert judged(ABOVE, body, body_type=body_type) == "strictest"


@pytest.mark.parametrize("depth", [40, 5_000, 100_000])
def test_json_in_a_text_that_is_nested_beyond_reading_asks(depth: int) -> None:
    assert judged(ABOVE, {"amount": 1, "data": "[" * depth + "]" * depth}) == ("sent" if depth == 40 else "strictest")


def test_ten_texts_that_could_be_anything_ask() -> None:
    when = {"properties": {name: {"pattern": "^x"} for name in "abcdefghij"}}
    assert judged(when, dict.fromkeys("abcdefghij", "Yes ")) == "strictest"


# --- what the condition may be ----------------------------------------------------------------------------------------

SMALL: Json = {"required": ["amount"], "properties": {"amount": {"type": "integer", "maximum": 999}}}
NESTED: Json = {"properties": {"order": {"properties": {"total": {"minimum": 1000}}}}}
LINES: Json = {
    "properties": {"lines": {"contains": {"properties": {"amount": {"minimum": 1000}}, "required": ["amount"]}}}
}
CASES: list[tuple[Json, object, str]] = [
    # under `not`, and where small is what is named
    ({"not": SMALL}, {"amount": 10}, "sent"),
    ({"not": SMALL}, {"amount": 5000}, "strictest"),
    ({"not": SMALL}, {"amount": "10"}, "strictest"),
    ({"not": SMALL}, {"Amount": 10}, "strictest"),
    ({"not": SMALL}, {}, "strictest"),
    ({"not": {"properties": {"state": {"const": "draft"}}}}, {"state": "draft"}, "sent"),
    ({"not": {"properties": {"state": {"const": "draft"}}}}, {"state": "Draft"}, "strictest"),
    ({"not": {"properties": {"state": {"const": "draft"}}}}, {"state": "live"}, "strictest"),
    # a type from what is said: of a bound a number, of a text a text
    ({"properties": {"amount": {"exclusiveMinimum": 1000}}}, {"amount": 1000}, "sent"),
    ({"properties": {"amount": {"multipleOf": 7}}}, {"amount": "14"}, "strictest"),
    ({"properties": {"name": {"maxLength": 3}}}, {"name": "abcd"}, "sent"),
    ({"properties": {"name": {"maxLength": 3}}}, {"name": 5}, "strictest"),
    ({"properties": {"force": {"const": True}}}, {"force": False}, "sent"),
    ({"properties": {"force": {"const": True}}}, {"force": "true"}, "strictest"),
    ({"properties": {"force": {"const": True}}}, {"force": 1}, "strictest"),
    ({"properties": {"level": {"enum": [1, 2]}}}, {"level": 3}, "sent"),
    ({"properties": {"level": {"enum": [1, 2]}}}, {"level": "3"}, "strictest"),
    ({"properties": {"level": {"type": ["integer", "null"], "minimum": 3}}}, {"level": 1}, "sent"),
    ({"properties": {"level": {"type": ["integer", "null"], "minimum": 3}}}, {"level": "1"}, "strictest"),
    # a text that is named, in other letters
    ({"properties": {"env": {"const": "Prod"}}}, {"env": "test"}, "sent"),
    *(({"properties": {"env": {"enum": ["Prod", "live"]}}}, {"env": env}, "strictest")
      for env in ("Prod", "prod", "PROD", " Prod", "prod\n", "ＰＲＯＤ", "LIVE", "li\u017fe".replace("\u017f", "v"))),
    ({"properties": {"env": {"pattern": "^prod"}}}, {"env": "test"}, "sent"),
    ({"properties": {"env": {"pattern": "^prod"}}}, {"env": " PROD-1"}, "strictest"),
    ({"properties": {"env": {"pattern": "^PROD"}}}, {"env": "prod-1"}, "strictest"),
    # a text that may mean a number, where texts are of the field's own type
    ({"properties": {"amount": {"type": ["integer", "string"], "const": 5000}}}, {"amount": "7"}, "sent"),
    *(({"properties": {"amount": {"type": ["integer", "string"], "const": 5000}}}, {"amount": amount}, "strictest")
      for amount in (5000, "5000", "5,000", "5.000", "5e3", " 5 000 EUR", "0x1388")),
    # nested fields
    (NESTED, {"order": {"total": 10}}, "sent"),
    (NESTED, {"order": {"total": 5000}}, "strictest"),
    (NESTED, {"order": {"total": "5,000"}}, "strictest"),
    (NESTED, {"order": {"Total": 5000}}, "strictest"),
    (NESTED, {"Order": {"total": 5000}}, "strictest"),
    (NESTED, {"order": {"total": 10}, "order.total": 5000}, "strictest"),
    (NESTED, {"order": {"total": 10}, "orderTotal": 5000}, "strictest"),
    (NESTED, {"order": {"total": 10}, "order_total": 5000}, "strictest"),
    (NESTED, {"order": {"total": 10}, "total": 5000}, "strictest"),
    (NESTED, {"order": [{"total": 5000}]}, "strictest"),
    (NESTED, {"order": "{}"}, "strictest"),
    (NESTED, {"order": {}}, "strictest"),
    ({"properties": {"order_total": {"minimum": 1000}}}, {"order_total": 1, "order": {"total": 5000}}, "strictest"),
    # lists
    (LINES, {"lines": [{"amount": 1}, {"amount": 2}]}, "sent"),
    (LINES, {"lines": [{"amount": 1}, {"amount": 5000}]}, "strictest"),
    (LINES, {"lines": [{"amount": 1}, {"amount": "5000"}]}, "strictest"),
    (LINES, {"lines": [{"amount": 1}, {}]}, "strictest"),
    (LINES, {"lines": {"amount": 5000}}, "strictest"),
    (LINES, {"lines": [{"amount": 1}], "amount": 5000}, "strictest"),
    (LINES, {"lines": [{"amount": 1}, [{"amount": 5000}]]}, "strictest"),
    ({"properties": {"ids": {"minItems": 3}}}, {"ids": [1, 2]}, "sent"),
    ({"properties": {"ids": {"minItems": 3}}}, {"ids": "1,2,3"}, "strictest"),
    ({"properties": {"tags": {"contains": {"const": "prod"}}}}, {"tags": ["a", "b"] * 200}, "sent"),
    ({"properties": {"tags": {"contains": {"const": "prod"}}}}, {"tags": ["a", "PROD"]}, "strictest"),
    # several, by whatever words
    ({"anyOf": [ABOVE, {"properties": {"to": {"const": "abroad"}}}]}, {"amount": 10, "to": "home"}, "sent"),
    ({"anyOf": [ABOVE, {"properties": {"to": {"const": "abroad"}}}]}, {"amount": 10, "to": "abroad"}, "strictest"),
    ({"anyOf": [ABOVE, {"properties": {"to": {"const": "abroad"}}}]}, {"amount": 10}, "strictest"),
    ({"$ref": "#/$defs/above", "$defs": {"above": ABOVE}}, {"amount": 10}, "sent"),
    ({"$ref": "#/$defs/above", "$defs": {"above": ABOVE}}, {"amount": "5000"}, "strictest"),
    ({"if": ABOVE, "then": {"properties": {"to": {"const": "abroad"}}}, "else": False}, {"amount": 10, "to": "abroad"}, "sent"),
    ({"if": ABOVE, "then": {"properties": {"to": {"const": "abroad"}}}, "else": False}, {"amount": 5000, "to": "Abroad"}, "strictest"),
    ({"dependentSchemas": {"amount": ABOVE}, "required": ["amount"]}, {"amount": 10}, "sent"),
    ({"dependentSchemas": {"amount": ABOVE}, "required": ["amount"]}, {"amount": "10"}, "strictest"),
    # whether a field is there at all
    ({"required": ["force"]}, {}, "sent"),
    ({"required": ["force"]}, {"a": {"b": 1}}, "sent"),
    ({"required": ["force"]}, {"force": None}, "strictest"),
    ({"required": ["force"]}, {"Force": 1}, "strictest"),
    ({"required": ["force"]}, {"options": {"force": True}}, "strictest"),
    ({"not": {"required": ["reason"]}}, {"reason": "x"}, "sent"),
    ({"not": {"required": ["reason"]}}, {}, "strictest"),
    # what names no field is understood for no call
    *((when, body, "strictest")
      for body in ({"amount": 1}, {}, {"a": 1})
      for when in (
          {"patternProperties": {"^amount$": {"minimum": 1000}}, "required": ["amount"]},
          {"additionalProperties": {"type": "string"}, "required": ["x"]},
          {"properties": {"amount": {"minimum": 1000}}, "additionalProperties": False},
          {"propertyNames": {"const": "force"}, "required": ["force"]},
          {"unevaluatedProperties": False, "required": ["x"]},
          {"minProperties": 5},
          {"maxProperties": 0, "required": ["x"]},
          {"const": {"amount": 5000}},
          {"enum": [{"amount": 5000}]},
          {"properties": {"order": {"const": {"total": 5000}}}},
          {"properties": {"child": {"$ref": "#"}}, "required": ["x"]},
          {"type": "array"},
          {"$ref": "#/$defs/d0", "$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(14)}
           | {"d14": {"required": ["x"]}}},
          {"items": {"required": ["x"]}},
          {"minItems": 1},
      )),
    ({"properties": {"level": {"enum": []}}}, {"level": 1}, "sent"),
    ({"properties": {"order": {"const": {"total": 5000}}}}, {"order": {"total": 10}}, "strictest"),
    ({"properties": {"ids": {"enum": [[1, 2]]}}}, {"ids": [1]}, "strictest"),
    ({}, {}, "strictest"),
]  # fmt: skip


@each_row("when, body, outcome", CASES)
def test_a_condition_of_any_kind_lets_pass_only_what_it_has_read(when: Json, body: object, outcome: str) -> None:
    assert judged(when, body) == outcome


# --- spellings that servers undo --------------------------------------------------------------------------------------

JOINED = [
    {"amount[value]": 5000}, {"amount.value": 5000}, {"amount:int": 5000}, {"amount(1i)": 5000}, {"amount\x00x": 5000},
    {"%61mount": 5000}, {"path": "/amount/-"}, {"query": "amount=5000"}, {"script": "let x = {amount: 5000}"},
    {"x": '\ufeff{"amount": 5000}'}, {"x": '"{\\"amount\\": 5000}"'}, {"x": ')]}\',\n{"amount": 5000}'},
    {"x": "<amount>5000</amount>"}, {"x": "<pay amount='5000'/>"}, {"x": "- amount: 5000"},
]  # fmt: skip


@each_row("more", JOINED)
def test_a_name_that_is_joined_with_others_or_said_in_a_text_asks(more: Json) -> None:
    assert judged(ABOVE, {"amount": 10} | more) == "strictest"


@pytest.mark.parametrize(
    "more", [{"amounts": 1}, {"note": "The amount is right."}, {"url": "https://h/a?b=1"}], ids=ascii
)
def test_what_only_sounds_like_it_does_not(more: Json) -> None:
    assert judged(ABOVE, {"amount": 10} | more) == "sent"


def test_looking_for_names_in_a_text_takes_time_as_the_text_is_long() -> None:
    text = "a" * 60_000 + " " + "a.b-" * 5_000 + "<" * 20_000 + "'" * 50_000
    began = time.process_time()
    assert judged(ABOVE, {"amount": 10, "text": text}) == "sent"
    assert time.process_time() - began < 5


TO_ADMIN: Json = {"properties": {"role": {"const": "admin"}}}


@each_row(
    "role",
    ["ad\u200bmin", "admin\x00", "admin\xad", "\u202eadmin", "\u00e1dmin", "a\u0301dmin", "\uff21DMIN"],
)
def test_a_text_is_read_without_accents_and_what_nobody_sees(role: str) -> None:
    assert judged(TO_ADMIN, {"role": role}) == "strictest"
    assert judged(TO_ADMIN, {"role": "user"}) == "sent"


def like(pattern: str) -> Json:
    return {"properties": {"to": {"type": "string", "pattern": pattern}}}


@each_row(
    "when, text, outcome",
    [
        (like("^Admin"), "admin", "strictest"),
        (like("^Admin"), "ADMIN", "strictest"),
        (like("^Admin"), "user", "sent"),
        (like("^\\u0041dmin"), "admin", "strictest"),
        (like("^A\\D+$"), "abc", "strictest"),
        (like("^\\p{Lu}+$"), "abc", "strictest"),
        (like("@Evil\\.com$"), "a@eVIL.c\xadom", "strictest"),
        (like("[Z-a]"), "0", "strictest"),  # without capitals there is no such range
        ({"not": {**like("@ok\\.com$"), "required": ["to"]}}, "a@ok.com", "sent"),
        ({"not": {**like("@ok\\.com$"), "required": ["to"]}}, "a@evil.com", "strictest"),
        ({"properties": {"to": {"maxLength": 3}}}, " abc ", "strictest"),
        ({"properties": {"to": {"maxLength": 3}}}, "abcd", "sent"),
    ],
)
def test_a_pattern_and_a_length_are_about_the_text_in_any_spelling(when: Json, text: str, outcome: str) -> None:
    assert judged(when, {"to": text}) == outcome


@pytest.mark.parametrize(
    ("account", "outcome"),
    [("12345678901234567", "strictest"), ("12345678901234569", "strictest"), ("12345678901234599", "sent")],
)
def test_a_number_with_more_digits_than_a_double_is_read_as_one_too(account: str, outcome: str) -> None:
    of_one = {"properties": {"account": {"type": "integer", "const": 12345678901234567}}}
    assert judged(of_one, {"account": int(account)}) == outcome


# --- the endpoint's own schema ----------------------------------------------------------------------------------------


def test_a_field_that_the_bodys_schema_declares_for_something_else_is_no_other_spelling() -> None:
    line = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    lines = {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/line"}, {"type": "null"}]}}
    schema = {"type": "object", "properties": {"amount": {"type": "integer"}, "lines": lines, "sort_by": {"type": "string"}},
              "$defs": {"line": line}}  # fmt: skip
    assert judged(ABOVE, {"amount": 1, "lines": [{"amount": 5000}], "sort_by": "amount"}, body=schema) == "sent"
    assert judged(ABOVE, {"amount": 5000, "lines": [{"amount": 1}]}, body=schema) == "strictest"
    for elsewhere in ({"lines": [{"Amount": 5000}]}, {"line": [{"amount": 5000}]}, {"lines": [[{"amount": 5000}]]}):
        assert judged(ABOVE, {"amount": 1} | elsewhere, body=schema) in ("strictest", "bad")


def test_a_type_comes_from_the_bodys_schema_where_the_condition_says_none() -> None:
    """Money as text is this API's way. The rule cannot read it as a number without doubt, so it asks."""
    when = {"properties": {"amount": {"minimum": 1000}, "to": {"const": "abroad"}}}
    schema = {"type": "object", "properties": {"amount": {"type": "string"}, "to": {"type": ["string", "null"]}}}
    assert judged(when, {"amount": "5000.00", "to": "abroad"}, body=schema) == "strictest"
    assert judged(when, {"amount": "5000.00", "to": None}, body=schema) == "sent"
    assert judged(when, {"amount": "5000.00", "to": None}) == "strictest"


# --- values of the url and headers ------------------------------------------------------------------------------------

QUERY = "/pay?amount=[amount]"


@each_row("method", ["POST", "GET"])
@each_row(
    "amount, outcome",
    [
        ("10", "sent"),
        ("-5", "sent"),
        ("1000", "strictest"),
        ("010", "strictest"),  # to some servers an octal number
        ("+5", "bad"),  # a blank, or a plus sign? The model is asked
        ("5e3", "strictest"),
        ("5.0", "strictest"),
        ("5.000", "strictest"),
        ("0x5", "strictest"),
        ("%205", "strictest"),
        ("%EF%BC%95", "strictest"),  # full width
        ("", "strictest"),
        ("99999999999999999999", "strictest"),
    ],
)
def test_a_value_of_the_url_is_a_number_only_where_it_is_written_plainly(
    method: str, amount: str, outcome: str
) -> None:
    found = judged(ABOVE, method=method, url=QUERY, asked=f"/pay?amount={amount}")
    assert found == (outcome if method == "POST" else outcome.replace("sent", "read"))


@each_row(
    "bound, amount, outcome",
    [
        ({"exclusiveMinimum": 1000}, "999.99999999999999999", "sent"),
        ({"exclusiveMinimum": 1000}, "1000.00000000000000001", "strictest"),
        ({"exclusiveMinimum": 1000}, "1000.0", "sent"),
        ({"minimum": 12345678901234568}, "12345678901234567.89", "sent"),
        ({"exclusiveMinimum": 12345678901234567}, "12345678901234567.89", "strictest"),
        ({"minimum": 1000}, "1e400", "strictest"),
        ({"minimum": 1000}, "5.000", "strictest"),  # 5, or 5000 with a dot between the thousands
        ({"minimum": 1000}, "0.500", "sent"),
    ],
)
def test_a_number_passes_no_bound_by_its_digits(bound: Json, amount: str, outcome: str) -> None:
    assert judged({"properties": {"amount": bound}}, url=QUERY, asked=f"/pay?amount={amount}") == outcome


def test_a_name_of_the_url_may_not_stand_in_the_body_as_another() -> None:
    assert judged(ABOVE, {"note": "x"}, url=QUERY, asked="/pay?amount=5") == "sent"
    assert judged(ABOVE, {"amount": 6}, url=QUERY, asked="/pay?amount=5") == "sent"
    for body in ({"amount": 5000}, {"amount": "6"}, {"Amount": 6}, {"data": {"amount": 6}}):
        assert judged(ABOVE, body, url=QUERY, asked="/pay?amount=5") == "strictest"
    assert judged(ABOVE, {"amount": 6}, url=QUERY, asked="/pay?amount=5000") == "strictest"


def test_a_value_of_the_url_is_of_the_type_that_its_parameter_says() -> None:
    when = {"properties": {"level": {"const": 5}}}
    for parameters, outcome in (({}, "strictest"), ({"level": {"type": "string"}}, "sent")):
        assert judged(when, url="/x?level=[level]", asked="/x?level=low", parameters=parameters) == outcome
    for level in ("5", "%205", "5.0"):
        asked = f"/x?level={level}"
        assert (
            judged(when, url="/x?level=[level]", asked=asked, parameters={"level": {"type": "string"}}) == "strictest"
        )


def test_a_list_of_the_url_is_read_item_by_item() -> None:
    when = {"properties": {"ids": {"contains": {"minimum": 100}}}}
    more: Json = {"parameters": {"ids": {"type": "array"}}}
    assert judged(when, method="GET", url="/x?ids=[ids]", asked="/x?ids=1,2", **more) == "read"
    for asked in ("/x?ids=1,200", "/x?ids=1,0x5", "/x"):
        assert judged(when, method="GET", url="/x?ids=[ids]", asked=asked, **more) == "strictest"


# --- what merges ------------------------------------------------------------------------------------------------------

BOTH: Json = {
    "required": ["amount", "currency"],
    "properties": {"amount": {"minimum": 1000}, "currency": {"const": "USD"}},
}


@each_row(
    "when, body, outcome",
    [
        (ABOVE, {"note": "x"}, "asked"),  # unchanged, and so no matter of this rule
        (ABOVE, {}, "asked"),
        (ABOVE, {"amount": 10}, "asked"),
        (ABOVE, {"amount": 5000}, "strictest"),
        (ABOVE, {"amount": None}, "strictest"),
        (ABOVE, {"amount": "10"}, "strictest"),
        ({"properties": {"amount": {"minimum": 1000}}}, {"note": "x"}, "asked"),
        ({"not": SMALL}, {"note": "x"}, "asked"),
        ({"not": SMALL}, {"amount": 5000}, "strictest"),
        (BOTH, {"note": "x"}, "asked"),
        (BOTH, {"amount": 10}, "asked"),
        (BOTH, {"amount": 5000}, "strictest"),  # in what currency is not known
        (BOTH, {"currency": "USD"}, "strictest"),
        (BOTH, {"currency": "EUR"}, "asked"),
        (BOTH, {"amount": 5000, "currency": "EUR"}, "asked"),
        ({"anyOf": [ABOVE, {"properties": {"to": {"const": "abroad"}}}]}, {"amount": 10}, "asked"),
        ({"anyOf": [ABOVE, {"properties": {"to": {"const": "abroad"}}}]}, {"to": "abroad"}, "strictest"),
        ({"$ref": "#/$defs/a", "$defs": {"a": BOTH}}, {"amount": 10}, "asked"),
        ({"if": SMALL, "then": False, "else": True}, {"note": "x"}, "strictest"),
        ({"if": {"required": ["x"]}, "then": ABOVE}, {"amount": 10}, "strictest"),  # without x it holds
        ({"if": {"required": ["x"]}, "then": ABOVE, "else": ABOVE}, {"amount": 10}, "asked"),
        ({"dependentRequired": {"a": ["b"]}}, {"b": 1}, "asked"),
        ({"dependentSchemas": {"to": ABOVE}}, {"to": "x"}, "asked"),
        (NESTED, {"note": "x"}, "asked"),
        (NESTED, {"order": {"note": "x"}}, "asked"),
        (NESTED, {"order": {"total": 10}}, "asked"),
        (NESTED, {"order": {"total": 5000}}, "strictest"),
        (NESTED, {"order": "x"}, "strictest"),
        (
            {"type": "object", "properties": {"order": {"type": "object"} | NESTED["properties"]["order"]}},
            {"order": {}},
            "asked",
        ),
        (LINES, {"note": "x"}, "asked"),
        (LINES, {"lines": [{}]}, "strictest"),  # a list is replaced as a whole
        (LINES, {"lines": [{"amount": 1}]}, "asked"),
        *((ABOVE, body, "strictest") for body in LISTS),
    ],
)
def test_in_a_patch_that_merges_what_is_not_there_asks_nobody(when: Json, body: object, outcome: str) -> None:
    assert judged(when, body, method="PATCH") == outcome


def test_what_is_in_a_field_that_is_no_object_is_not_kept() -> None:
    schema = {"type": "object", "properties": {"order": {"type": ["object", "string"]}}}
    assert judged(NESTED, {"order": {"note": "x"}}, method="PATCH", body=schema) == "asked"
    assert judged(NESTED, {"order": "total=5000"}, method="PATCH", body=schema) == "strictest"


def test_a_value_of_the_url_that_is_not_there_is_not_kept_by_a_patch() -> None:
    assert judged(ABOVE, {"note": "x"}, method="PATCH", url=QUERY, asked="/pay") == "strictest"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_no_other_method_keeps_what_is_not_there(method: str) -> None:
    assert judged(ABOVE, {"note": "x"}, method=method) == "strictest"


# --- whatever a model finds -------------------------------------------------------------------------------------------

FILLER = st.text(st.sampled_from(" _-.\t\u200b\u00a0\u0301$#'"), max_size=2)


@st.composite
def spellings(draw: st.DrawFn, name: str) -> str:
    """A name in other cases, with blanks and signs, in other forms of Unicode."""
    letters = [draw(st.sampled_from([letter, letter.upper(), chr(ord(letter) + 0xFEE0)])) for letter in name]
    text = "".join(letter + draw(FILLER) if draw(st.integers(0, 4)) == 0 else letter for letter in letters)
    return unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD", "NFKC"])), draw(FILLER) + text)


@st.composite
def wrapped(draw: st.DrawFn, value: Any) -> Any:
    """A value at some depth, of names that have nothing to do with it, lists, and JSON in texts."""
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(["data", "x", "attributes", "0"]))
        value = draw(st.sampled_from([{name: value}, [value], {name: [1, value]}, {name: json.dumps(value)}]))
    return value if isinstance(value, dict) else {"data": value}


@given(st.data())
def test_whatever_the_spelling_and_the_depth_the_rule_asks(data: st.DataObject) -> None:
    name = data.draw(spellings("amount"))
    body = data.draw(wrapped({name: data.draw(st.integers(1000, 10**6))}))
    for whole in (body, body | {"note": "x"}, {"amount": 1} | body):
        assert judged(ABOVE, whole) in ("strictest", "bad")
        if "amount" not in whole or whole["amount"] != 1 or len(whole) > 1:
            assert judged(ABOVE, whole, method="PATCH") in ("strictest", "bad")


@st.composite
def numerals(draw: st.DrawFn) -> str:
    """A number of at least a thousand as somebody may write it."""
    number = draw(st.integers(1000, 10**6))
    text = draw(
        st.sampled_from(
            ["{}", "{:,}", "{}.00", "{:.3e}", "{:#x}", "{:_}", "+{}", "{} EUR", "€{}", " {}", "{}\n", "'{}'"]
        )
    )
    written = text.format(number)
    zero = draw(st.sampled_from([0x30, 0xFF10, 0x660, 0x966]))
    return "".join(chr(zero + int(one)) if one.isdigit() else one for one in written)


@given(numerals())
def test_whatever_way_a_number_is_written_in_a_text_the_rule_asks(amount: str) -> None:
    for when in (ABOVE, {"properties": {"amount": {"minimum": 1000}}}, {"not": SMALL}):
        assert judged(when, {"amount": amount}) == "strictest"


@given(numerals())
def test_a_text_is_read_as_the_number_that_it_says_where_texts_are_taken(amount: str) -> None:
    assume("e" not in amount)  # rounded
    plain = "".join(str(unicodedata.decimal(one, one)) for one in amount)
    digits = (
        "".join(one for one in plain if one.isalnum())
        if "x" in plain
        else "".join(one for one in plain if one.isdigit())
    )
    number = int(digits, 0) if "x" in digits else int(digits[:-2]) if ".00" in plain else int(digits)
    when = {"properties": {"amount": {"type": ["integer", "string"], "const": number}}}
    assert judged(when, {"amount": amount}) == "strictest"


BODIES = st.dictionaries(
    st.sampled_from(["amount", "Amount", "note", "data", "lines"]),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-2000, 2000)
        | st.floats(-2000, 2000)
        | st.sampled_from(["5", "amount", "x"]),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["amount", "x"]), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=4,
)


@given(BODIES)
def test_what_is_sent_has_a_small_whole_amount_in_its_place_and_nowhere_else(body: Json) -> None:
    """Told from outside: by a second reading of the body that shares no code with the first."""

    def names(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for name, one in value.items():
                yield name.lower()
                yield from names(one)
        elif isinstance(value, list):
            for one in value:
                yield from names(one)
        elif isinstance(value, str):
            yield value

    amount = body.get("amount")
    is_small = (
        isinstance(amount, (int, float)) and not isinstance(amount, bool) and amount == int(amount) and amount < 1000
    )
    is_alone = list(names(body)).count("amount") == 1
    assert (judged(ABOVE, body) == "sent") is (is_small and is_alone)


@given(BODIES, BODIES)
def test_no_field_more_makes_a_rule_ask_fewer(body: Json, more: Json) -> None:
    """A rule that asks for an amount in its place asks for it whatever stands beside."""
    for amount in (1000, "x"):
        assert judged(ABOVE, body | more | {"amount": amount}) in ("strictest", "bad")


# --- what check tells -------------------------------------------------------------------------------------------------


def operation_of(when: Json, method: str = "POST", url: str = "/pay", **entry: Any) -> Operation:
    return catalog(method, json.dumps(when), url, json.dumps(entry)).operations[0]


def outcomes(operation: Operation) -> dict[str, str]:
    """Each tried call with who is asked."""
    found: dict[str, str] = {}
    for one in trials(operation):
        is_ruled = one.verdict is not None and one.verdict.rule.approvers == STRICTEST
        found[one.call] = "bad" if one.verdict is None else "strictest" if is_ruled else one.verdict.way
    return found


def test_spellings_of_a_condition_are_tried_by_the_law_itself() -> None:
    assert outcomes(operation_of(ABOVE)) == {
        '{"amount": 1000}': "strictest",
        '{"amount": 999}': "send",
        '{"amount": "1000"}': "strictest",
        '{"amount": "1,000"}': "strictest",
        '{"Amount": 1000}': "strictest",
        '{"amount ": 1000}': "strictest",
        '{"data": {"amount": 1000}}': "strictest",
        "{}": "strictest",
    }


def test_what_the_bodys_schema_refuses_is_told_as_that_whatever_else_it_requires() -> None:
    schema = {"type": "object", "required": ["amount", "to"], "additionalProperties": False,
              "properties": {"amount": {"type": "integer"}, "to": {"type": "string"}}}  # fmt: skip
    found = outcomes(operation_of(ABOVE, body=schema))
    assert found.pop('{"amount": 1000}') == "strictest"
    assert found.pop('{"amount": 999}') == "send"
    assert set(found.values()) == {"bad"}


@each_row("when", sorted({json.dumps(when) for when, _, _ in CASES}))
def test_what_is_told_of_a_call_is_what_happens_to_it(when: str) -> None:
    for method in ("POST", "PATCH"):
        for call, outcome in outcomes(operation_of(json.loads(when), method)).items():
            expected = {"send": "sent", "ask": "asked"}.get(outcome, outcome)
            assert judged(json.loads(when), json.loads(call), method=method) == expected, (method, call)


def test_values_of_the_url_are_tried_too() -> None:
    found = outcomes(operation_of({"properties": {"env": {"const": "prod"}}}, "GET", "/x?env=[env]"))
    assert found == {"env=prod": "strictest", "env=other": "read", "env=PROD": "strictest", "{}": "strictest"}


CLOSED: Json = {"type": "object", "additionalProperties": False}
GAPS: list[tuple[Json, Json, str]] = [
    (ABOVE, {}, "write body, with additionalProperties: false"),
    (ABOVE, {"body": {"type": "object", "properties": {"amount": {}}}}, "additionalProperties: false"),
    (ABOVE, {"body": CLOSED | {"properties": {"Amount": {}}}}, "no call can have 'amount'"),
    (ABOVE, {"body": CLOSED | {"properties": {"amount": {"type": "string"}}}}, "'amount' is text in the body's schema and a whole number"),
    (ABOVE, {"body": CLOSED | {"properties": {"amount": {}, "lines": {"items": {"properties": {"amount": {}}}}}}},
     "'lines[].amount' is another field of the body"),
    (LINES, {"body": CLOSED | {"properties": {"lines": {"items": {"properties": {"amount": {}}}}}}}, "'lines[].amount'"),
    ({"patternProperties": {"^a": {"minimum": 1}}}, {}, "'patternProperties', which names no field, so the strictest rule holds"),
    ({"properties": {"lines": {"items": {"minimum": 5}}}}, {}, "write contains"),
    ({"oneOf": [ABOVE, {"required": ["x"]}]}, {}, "write anyOf"),
    (ABOVE, {"method": "GET", "url": "/x?sum=[sum]"}, "no GET can have 'amount'"),
]  # fmt: skip


@each_row("when, more, words", GAPS)
def test_where_a_condition_can_be_missed_is_told(when: Json, more: Json, words: str) -> None:
    assert any(words in gap for gap in gaps(operation_of(when, **more)))


def test_a_condition_over_a_closed_body_has_no_gaps() -> None:
    assert gaps(operation_of(ABOVE, body=CLOSED | {"properties": {"amount": {"type": "number"}, "note": {}}})) == []
    assert gaps(operation_of(ABOVE, url=QUERY)) == []


def test_a_rule_that_is_not_understood_says_why_on_its_card() -> None:
    def why(body: Json) -> str:
        made = sort(
            resolve(catalog("POST", json.dumps(ABOVE)), {"method": "POST", "url": "/pay", "body": body}), tainted=False
        )
        assert isinstance(made, Write)
        return made.why

    assert "'amount' is not a whole number" in why({"amount": "5,000"})
    assert "'amount' is not there" in why({})
    assert r'"am\u200bount" may mean ' + "'amount'" in why({"am\u200bount": 1})
    assert why({"amount": 5000}) == ""
