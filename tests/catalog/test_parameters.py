"""Values in the query, lists among them, header parameters, values that still have to be looked up, and calls made of values."""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.bad_call import BadCall
from catalog.calls import Call, build, check_resolved, parse_arguments, resolve, with_values
from catalog.catalog import Catalog, Operation, load_catalog
from catalog.rules import Rule
from gate.policy import Write, sort
from tests.harness.cases import each_row

CATALOG = """
name: HR
base_url: https://hr.example.com
headers: {X-Tenant: acme}
endpoints:
  - method: GET
    url: /users?ids=[ids]&tags=[tags]&spaced=[spaced]&piped=[piped]&opened=[opened]&q=[q]
    description: d
    parameters:
      ids: {type: array, items: {type: integer}, explode: false, maxItems: 4}
      tags: {type: array, items: {type: string}}
      spaced: {type: array, style: spaceDelimited}
      piped: {type: array, style: pipeDelimited, items: {enum: [a, b, c]}}
      opened: {type: array, style: pipeDelimited, explode: true}
  - method: GET
    url: /teams?team=[team_name]&page=[page]
    description: d
    parameters: {team_name: {type: string, required: true}}
  - method: GET
    url: /reports/[id]
    description: d
    parameters:
      X-Region: {in: header, type: string, enum: [eu, us], required: true}
      X-Limit: {in: header, type: integer}
      X-Note: {in: header}
  - {method: GET, url: "/users/[id]", description: d,
     parameters: {id: {type: integer, lookup: {operation: GET /users, match: [email], id: id}}}}
  - {method: GET, url: /users/me, description: d}
  - {method: GET, url: "/codes/[code]?by=[by]", description: d,
     parameters: {code: {pattern: "^[A-Z]{3}$", lookup: {operation: GET /users, match: [email], id: code}}}}
  - {method: GET, url: "/days/[from]..[to]", description: d}
  - {method: PUT, url: "/users/[id]", description: d, body: {type: object},
     parameters: {id: {type: integer, lookup: {operation: GET /users, match: [email], id: id}}, X-Why: {in: header}},
     approval: {when: {properties: {X-Why: {const: urgent}}, required: [X-Why]}, quorum: 2, approvers: ["@all"]}}
"""  # fmt: skip


@functools.cache
def catalog() -> Catalog:
    return load_catalog(CATALOG, {})


def asked(method: str, url: str, **more: object) -> Call:
    return resolve(catalog(), parse_arguments(json.dumps({"method": method, "url": url, **more})))


def operation(name: str) -> Operation:
    (found,) = [one for one in catalog().operations if one.name == name]
    return found


def query(call: Call) -> str:
    return urlsplit(call.url).query


# --- what a text may mean ---------------------------------------------------------------------------------------------


@each_row(
    "schema, good, bad",
    [
        ("enum: [2025, 2026]", ["2025"], ["2024", "x", "2025.5"]),
        ('enum: [1, "all"]', ["1", "all"], ["2", "none"]),
        ("enum: [true]", ["true"], ["false", "1"]),
        ("const: 5", ["5"], ["6"]),
        ('anyOf: [{type: integer}, {type: "null"}]', ["7", "-7"], ["x", "1.5"]),
        ("oneOf: [{type: boolean}, {type: integer, maximum: 3}]", ["true", "2"], ["4", "yes"]),
        ("allOf: [{type: integer}, {minimum: 2}]", ["2"], ["1", "x"]),
        ("minimum: 2", ["2", "2.5"], ["1", "-5"]),
        ("pattern: '^[0-9]+$'", ["12"], ["x"]),
        ("type: array, items: {enum: [1, 2]}", ["1,2"], ["3"]),
    ],
)
def test_a_schema_need_not_name_the_type_of_a_value(schema: str, good: list[str], bad: list[str]) -> None:
    entry = f'{{method: GET, url: "/users?v=[v]", description: d, parameters: {{v: {{{schema}}}}}}}'
    within = load_catalog(f"name: HR\nbase_url: https://hr.example.com\nendpoints: [{entry}]", {})
    for text in good:
        assert query(resolve(within, {"method": "GET", "url": f"/users?v={text}"})).startswith("v=")
    for text in bad:
        with pytest.raises(BadCall, match=r"^GET /users: v: "):
            resolve(within, {"method": "GET", "url": f"/users?v={text}"})


def test_a_rule_holds_for_a_number_that_no_schema_calls_one() -> None:
    entry = (
        '{method: POST, url: "/pay?level=[level]", description: d, approval: {when: {properties: {level: {const: 5}}}}}'
    )
    within = load_catalog(f"name: HR\nbase_url: https://hr.example.com\nendpoints: [{entry}]", {})
    found = [resolve(within, {"method": "POST", "url": f"/pay?level={level}"}) for level in ("5", "6")]
    (rule,) = found[0].operation.rules or ()
    assert [rule.holds(one.condition_input(one.operation)) for one in found] == [True, False]


# --- lists in the query -----------------------------------------------------------------------------------------------


@each_row("written", ["ids=1,2,3", "ids=1&ids=2&ids=3", "ids=1,2&ids=3", "ids=1%2C2%2C3", "ids=%31,2%2c3"])
def test_a_list_may_be_written_in_any_usual_way_and_is_sent_in_one(written: str) -> None:
    call = asked("GET", f"/users?{written}")
    assert (query(call), call.values) == ("ids=1,2,3", {"ids": ("1", "2", "3")})


@each_row(
    "written, sent",
    [
        ("tags=a,b", "tags=a&tags=b"),
        ("tags=a&tags=b", "tags=a&tags=b"),
        ("tags=a%2Cb,c", "tags=a%2Cb&tags=c"),  # an escaped comma is one of the item's own
        ("tags=a%26tags%3Db", "tags=a%26tags%3Db"),
        ("spaced=a,b", "spaced=a%20b"),
        ("piped=a|b&piped=c", "piped=a%7Cb%7Cc"),
        ("piped=a%7cb", "piped=a%7Cb"),
        ("opened=a|b,c", "opened=a%7Cb&opened=c"),
        ("tags=", ""),
        ("tags=&q=x", "q=x"),
    ],
)
def test_a_list_is_sent_as_its_style_says(written: str, sent: str) -> None:
    assert query(asked("GET", f"/users?{written}")) == sent


@each_row(
    "url, words",
    [
        ("/users?ids=1,two", 'ids: 1: "two" is not a whole number'),
        ("/users?ids=1,,2", "'ids' has an empty item; write, for example, 1,2"),
        ("/users?ids=,", "empty item"),
        ("/users?ids=[1,2]", "is not a whole number"),
        ("/users?ids=1,2,3,4,5", "ids: "),
        ("/users?piped=a|d", 'piped: 1: "d" is not one of "a", "b", "c"'),
        ("/users?tags=a%0d%0ab", "control character"),
        ("/users?tags=a+b", "contains a '+'"),
        ("/users?tags=%ff", "not UTF-8"),
        ("/users?ids[]=1", "no query parameter 'ids[]'"),
        ("/users?tags=[tags]&q=a&q=b", "Duplicate query name"),
    ],
)
def test_a_list_that_does_not_fit_is_told_with_its_item(url: str, words: str) -> None:
    with pytest.raises(BadCall) as caught:
        asked("GET", url)
    assert words in str(caught.value)


# Anything a person could mean, of which a URL's value may hold all but controls and what still looks like an escape.
ITEM = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=30).filter(
    lambda text: unquote(text) == text and text not in ("[tags]", "{tags}")
)
LISTS = st.lists(ITEM, min_size=1, max_size=6)


@given(LISTS)
def test_what_a_parser_reads_back_of_a_repeated_name_is_what_was_meant(items: list[str]) -> None:
    call = build(catalog(), operation("GET /users"), {"tags": items})
    assert parse_qsl(query(call), keep_blank_values=True) == [("tags", item) for item in items]
    assert asked("GET", call.url).url == call.url, "the gate holds it to the catalog again"


def test_an_item_that_holds_what_parts_the_items_is_refused() -> None:
    with pytest.raises(
        BadCall, match="An item of 'spaced' contains ' ', which separates the items; the API cannot take it"
    ):
        build(catalog(), operation("GET /users"), {"spaced": ["New York", "Bern"]})
    assert build(catalog(), operation("GET /users"), {"opened": ["New York"]}).url.endswith("?opened=New%20York")


@given(LISTS, st.sampled_from([("spaced", " "), ("opened", ""), ("tags", "")]))
def test_no_item_of_a_list_can_become_another_name_or_another_item(items: list[str], style: tuple[str, str]) -> None:
    name, mark = style
    try:
        call = build(catalog(), operation("GET /users"), {name: items})
    except BadCall:
        assert mark
        assert any(mark in item for item in items)
        return
    read = parse_qsl(query(call), keep_blank_values=True)
    assert {pair[0] for pair in read} == {name}
    texts = [text for _, text in read]
    assert [part for text in texts for part in (text.split(mark) if mark else [text])] == items
    assert asked("GET", call.url).values == {name: tuple(items)}


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20), min_size=1, max_size=5
    )
)
def test_a_list_that_the_model_writes_in_escapes_arrives_item_for_item(items: list[str]) -> None:
    url = "/users?" + "&".join(f"tags={quote(item, safe='')}" for item in items)
    try:
        call = asked("GET", url)
    except BadCall:
        assert any(unquote(item) != item or item in ("[tags]", "{tags}") for item in items)
        return
    assert parse_qsl(query(call), keep_blank_values=True) == [("tags", item) for item in items]


def test_conditions_of_the_catalog_see_a_list_as_its_items() -> None:
    call = asked("GET", "/users?ids=1,2")
    for item, holds in ((1, True), (2, True), (3, False)):
        rule = Rule(when={"properties": {"ids": {"contains": {"const": item}}}})
        assert rule.holds(call.condition_input(call.operation)) is holds


# --- required values --------------------------------------------------------------------------------------------------


def test_a_required_query_value_is_asked_for_by_its_query_name() -> None:
    assert query(asked("GET", "/teams?team=x")) == "team=x"
    for url in ("/teams", "/teams?page=2", "/teams?team="):
        with pytest.raises(BadCall, match=r"^GET /teams needs team=\.\.\. in the url's query\.$"):
            asked("GET", url)


def test_without_a_required_value_another_entry_of_the_path_is_meant_and_the_rules_of_both_hold() -> None:
    entries = """
  - {method: GET, url: "/users/me?full=[full]", description: d, parameters: {full: {required: true}}}
  - {method: GET, url: "/users/[id]", description: d}"""
    within = load_catalog(f"name: HR\nbase_url: https://hr.example.com\nendpoints:{entries}", {})
    found = resolve(within, {"method": "GET", "url": "/users/me"})
    assert (found.operation.url, [one.url for one in found.others]) == ("/users/[id]", ["/users/me?full=[full]"])


def test_a_required_header_is_asked_for_with_how_to_write_it() -> None:
    with pytest.raises(BadCall, match=r"needs the header 'X-Region': write headers: \{\"X-Region\": \.\.\.\}"):
        asked("GET", "/reports/1")


# --- headers ----------------------------------------------------------------------------------------------------------


def test_a_header_is_taken_under_the_name_that_the_catalog_writes() -> None:
    call = asked("GET", "/reports/1", headers={"x-region": "eu", "X_LIMIT": 5, "x-note": "  ".strip()})
    assert call.headers == {"X-Region": "eu", "X-Limit": "5"}


@each_row(
    "headers, words",
    [
        ({"X-Region": "mars"}, 'X-Region: "mars" is not one of "eu", "us"'),
        ({"X-Region": "eu", "X-Limit": "many"}, "X-Limit: "),
        ({"X-Region": "eu", "X-Other": "1"}, "takes no header 'X-Other'. Allowed: X-Region, X-Limit, X-Note"),
        ({"X-Region": "eu", "Authorization": "Bearer x"}, "takes no header 'Authorization'"),
        ({"X-Region": "eu", "X-Tenant": "evil"}, "takes no header 'X-Tenant'"),
        ({"X-Region": "eu", "Host": "evil"}, "takes no header 'Host'"),
        ({"X-Region": "eu", "x_region": "us"}, "Duplicate header 'X-Region'"),
        ({"X-Region": "eu", "X-Note": "a\r\nX-Evil: 1"}, "printable ASCII on one line"),
        ({"X-Region": "eu", "X-Note": "a\nb"}, "printable ASCII on one line"),
        ({"X-Region": "eu", "X-Note": "a\x00"}, "printable ASCII on one line"),
        ({"X-Region": "eu", "X-Note": "caf\u00e9"}, "printable ASCII on one line"),
        ({"X-Region": "eu", "X-Note": " padded "}, "without spaces around it"),
        ({"X-Region": "eu", "X-Note": "x" * 1_025}, "longer than 1,024"),
        ({"X-Region": "eu", "X-Note": 10**5_000}, "takes a text, a number, or true or false"),
        ({"X-Region": "eu", "X-Note": float("inf")}, "takes a text, a number, or true or false"),
        ({"X-Region": "eu", "X-Note": ["a"]}, "takes a text, a number, or true or false"),
        ({"X-Region": "eu", "X-Note": {"a": 1}}, "takes a text, a number, or true or false"),
        ({"X-Region": "eu", "X-Note": "[X-Note]"}, "Fill in the placeholder"),
        ("X-Region: eu", "headers is an object of strings"),
        ([["X-Region", "eu"]], "headers is an object of strings"),
        (5, "headers is an object of strings"),
    ],
)
def test_a_header_that_may_not_be_sent_is_told(headers: object, words: str) -> None:
    with pytest.raises(BadCall) as caught:
        resolve(catalog(), {"method": "GET", "url": "/reports/1", "headers": headers})
    assert words in str(caught.value)


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=3))
def test_whatever_the_model_writes_no_header_but_the_declared_ones_comes_out(extra: dict[str, str]) -> None:
    try:
        call = resolve(catalog(), {"method": "GET", "url": "/reports/1", "headers": {"X-Region": "eu", **extra}})
    except BadCall:
        return
    assert set(call.headers) <= {"X-Region", "X-Limit", "X-Note"}
    assert all(text.isascii() and text.isprintable() and text == text.strip() for text in call.headers.values())


def test_a_rule_may_look_at_a_header() -> None:
    call = asked("PUT", "/users/7", body={}, headers={"X-Why": "urgent"})
    other = asked("PUT", "/users/7", body={}, headers={"X-Why": "so"})
    assert [sort(one, tainted=False) for one in (call, other)] == [
        Write(**vars(call), rule=(call.operation.rules or ())[0]),
        Write(**vars(other)),
    ]


# --- what has to be looked up -----------------------------------------------------------------------------------------


@each_row(
    "url, unresolved",
    [
        ("/users/7", set()),  # an id by its looks
        ("/users/ann@example.com", {"id"}),
        ("/users/Ann%20Lee", {"id"}),
        ("/codes/ABC", {"code"}),  # a text: an id as well as a name
        ("/codes/Ann%20Lee", {"code"}),
        ("/users/me", set()),  # another entry spells it out
    ],
)
def test_a_value_that_may_be_a_name_is_told_and_not_refused(url: str, unresolved: set[str]) -> None:
    assert asked("GET", url).unresolved == unresolved


def test_a_call_with_a_name_in_it_must_not_be_sent() -> None:
    with pytest.raises(BadCall, match=r"'id' has to be looked up first"):
        check_resolved(asked("GET", "/users/ann"))
    check_resolved(asked("GET", "/users/7"))


def test_values_that_were_found_take_the_names_place() -> None:
    call = asked("PUT", "/users/Ann%20Lee", body={"a": 1}, headers={"X-Why": "so"})
    found = with_values(catalog(), call, {"id": 7})
    assert (found.url, found.shown_url) == ("https://hr.example.com/users/7",) * 2
    assert (found.body, found.headers, found.unresolved) == ('{"a":1}', {"X-Why": "so"}, frozenset())
    assert asked("PUT", found.url, body={"a": 1}).url == found.url


@each_row(
    "url, values, words",
    [
        ("/users/ann", {}, "is not a whole number"),
        ("/users/ann", {"id": "bob"}, "is not a whole number"),
        ("/users/ann", {"id": "7/8"}, "slash"),
        ("/users/ann", {"id": "../x"}, "slash"),
        ("/users/ann", {"id": ".."}, "dot segment"),
        ("/users/ann", {"id": "7\n"}, "control character"),
        ("/users/ann", {"id": "7\ud800"}, "half of a surrogate pair"),
        ("/users/ann", {"id": None}, "needs 'id'"),
        ("/users/ann", {"id": {"a": 1}}, "takes a text, a number"),
        ("/users/ann", {"id": [7]}, "takes a text, a number"),
        ("/users/ann", {"id": "me"}, "would turn its url into a different one"),
        ("/users/ann", {"other": 7}, "no parameter 'other'"),
        ("/codes/ann", {"code": "ann"}, "code: "),
        ("/codes/ann", {"code": "%2E"}, "still contains an escape"),
    ],
)
def test_what_was_found_is_checked_like_what_was_written(url: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCall) as caught:
        with_values(catalog(), asked("GET", url), values)
    assert words in str(caught.value)


# --- calls made of values ---------------------------------------------------------------------------------------------


def test_a_call_is_made_of_values_as_of_a_url() -> None:
    made = build(
        catalog(), operation("GET /users"), {"ids": [1, 2], "tags": "x", "q": 0.5, "piped": None, "spaced": []}
    )
    assert made == asked("GET", "/users?ids=1,2&tags=x&q=0.5")
    assert build(catalog(), operation("GET /reports/[id]"), {"id": 3, "X-Region": "us"}).headers == {"X-Region": "us"}


def test_values_that_would_read_back_as_others_make_no_call() -> None:
    days = operation("GET /days/[from]..[to]")
    assert build(catalog(), days, {"from": "1", "to": "2"}).url.endswith("/days/1..2")
    with pytest.raises(BadCall, match="would turn its url into a different one"):
        build(catalog(), days, {"from": "1", "to": "2..3"})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["ids", "tags", "q", "spaced", "by"]), ANYTHING, max_size=4))
def test_whatever_the_values_are_there_is_a_call_that_reads_back_or_words(values: dict[str, Any]) -> None:
    try:
        call = build(catalog(), operation("GET /users"), values)
    except BadCall:
        return
    assert asked("GET", call.url).values == call.values
