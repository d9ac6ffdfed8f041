"""JSON Schemas of a catalog: what they mean, that no text, value or schema makes them run on, and that what does not fit is told.

Where a bound is tested, the engine before this one ran for years, or took all memory: a test that ends has passed.
"""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.bad_call import BadCall
from catalog.calls import parse_arguments, resolve
from catalog.catalog import BadCatalog, Catalog, load_catalog
from catalog.schemas import Unreadable, check_schema, fits
from catalog.validate import problems
from tests.harness.cases import each_row

Json = dict[str, Any]


def catalog(**entry: Any) -> Catalog:
    endpoint = {"method": "POST", "url": "/x", "description": "d"} | entry
    return load_catalog(json.dumps({"base_url": "http://h", "endpoints": [endpoint]}), {})


def posted(within: Catalog, body: object) -> None:
    resolve(within, parse_arguments(json.dumps({"method": "POST", "url": "/x", "body": body})))


def told(schema: Json, value: object) -> list[str]:
    return list(problems(schema, value))


# --- patterns ---------------------------------------------------------------------------------------------------------

HOSTILE = [
    (r"^(\w+\s?)+$", "An ordinary sentence, as people write them, with a mark at its end! " * 40),
    ("^(a+)+$", "a" * 2_400 + "!"),
    ("^(a|aa)+$", "a" * 2_400 + "!"),
    ("^(.*)(.*)(.*)(.*)(.*)(.*)b$", "a" * 2_400),
    (r"^([a-zA-Z0-9]+[-._]?)*@", "a" * 2_400),
    (r"(x+x+)+y", "x" * 2_400),
]


@each_row("pattern, text", HOSTILE)
def test_no_text_makes_a_pattern_run_on(pattern: str, text: str) -> None:
    assert not fits({"pattern": pattern}, text)
    with pytest.raises(BadCall, match="does not match"):
        posted(catalog(body={"type": "object", "properties": {"a": {"pattern": pattern}}}), {"a": text})
    with pytest.raises(BadCall, match="v: "):
        resolve(
            catalog(url="/x?v=[v]", parameters={"v": {"pattern": pattern}}),
            {"method": "POST", "url": "/x?v=" + text[-1_000:].replace(" ", "%20").replace("!", "%21")},
        )


MEANINGS = [
    (r"^\d$", "5", "٣"),  # ECMA-262's \d and \w are ASCII, Python's are not
    (r"^\w$", "a", "é"),
    (r"^\s$", "\ufeff", "\x85"),
    ("^a$", "a", "a\n"),
    ("^.$", "é", "\u2028"),
    (r"^\u0041\x42\cA\/$", "AB\x01/", "AB"),
    (r"^\p{L}+$", "Ærø", "R2"),
    ("^a{2,3}$", "aaa", "aaaa"),
    ("b", "abc", "ac"),
    ("^(?<name>a|b)$", "b", "c"),
    ("^[\\w-]+$", "a-b", "a b"),
    ("^(?:a|b){1001}$", "ab" * 500 + "a", "ab" * 500),
    ("^[a&&b]$", "&", "c"),
]


@each_row("pattern, fitting, other", MEANINGS)
def test_a_pattern_means_what_ecma_262_says(pattern: str, fitting: str, other: str) -> None:
    check_schema({"pattern": pattern})
    assert fits({"pattern": pattern}, fitting)
    assert not fits({"pattern": pattern}, other)


REFUSED = [
    ("^(?=.*[0-9]).+$", "looks ahead or behind; write it with JSON Schema's keywords"),
    ("^(?!admin)", "looks ahead or behind"),
    ("(?<=a)b", "looks ahead or behind"),
    ("(?<!a)b", "looks ahead or behind"),
    (r"(a)\1", "has a backreference; write out"),
    (r"(?<n>a)\k<n>", "has a backreference"),
    ("(?i)admin", "sets flags by (?i), which ECMA-262 does not know; write [aA]"),
    ("(?x) a b", "sets flags by (?x)"),
    ("(?P<n>a)", "in Python's syntax; write (...)"),
    ("(?>a+)b", "an atomic group"),
    ("(?#words)a", "has a comment; leave it out"),
    (r"\Aa\Z", "write ^ and $"),
    (r"a\z", "write ^ and $"),
    ("a++", "repeats a repetition"),
    ("a{2}{3}", "repeats a repetition"),
    ("[[:alpha:]]", "POSIX character class"),
    ("(a{1000}){1000}", "repeats too much"),
    ("[ab]*a[ab]{30000}", "repeats too much"),
    ("[z-a]", "not a regular expression of ECMA-262"),
    ("a(b", "not a regular expression of ECMA-262"),
]


@each_row("pattern, words", REFUSED)
@each_row(
    "entry",
    [
        "url: '/x?v=[v]', parameters: {v: {pattern: %s}}",
        "url: /x, body: {properties: {a: {items: {pattern: %s}}}}",
        "url: /x, body: {$defs: {a: {anyOf: [{pattern: %s}, {}]}}}",
        "url: /x, body: {properties: {default: {pattern: %s}}}",
        "url: /x, body: {patternProperties: {%s: {}}}",
        "url: /x, approval: {when: {properties: {a: {not: {pattern: %s}}}}}",
    ],
)
def test_a_pattern_that_cannot_be_kept_to_stops_the_start_with_what_to_write(
    entry: str, pattern: str, words: str
) -> None:
    line = entry % json.dumps(pattern)
    with pytest.raises(BadCatalog) as caught:
        load_catalog(f"base_url: http://h\nendpoints:\n  - {{method: POST, description: d, {line}}}", {})
    assert words in str(caught.value)
    assert pattern in str(caught.value)
    assert str(caught.value).startswith("apis.yaml, endpoint 1, line 3: ")


def test_what_is_no_pattern_is_not_read_as_one() -> None:
    check_schema(
        {"enum": [{"pattern": "(?=a)"}], "default": {"pattern": "("}, "properties": {"pattern": {"type": "string"}}}
    )


@given(st.text(max_size=12))
def test_a_pattern_that_is_taken_can_be_run_and_any_other_is_told(pattern: str) -> None:
    try:
        check_schema({"pattern": pattern})
    except ValueError as error:
        told = str(error)
    else:
        fits({"pattern": pattern}, "any text")
        told = "taken"
    assert told


# --- schemas that branch ----------------------------------------------------------------------------------------------


def nested(levels: int, leaf: object = 5) -> Any:
    return {"a": nested(levels - 1, leaf)} if levels else leaf


BELOW: Json = {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}
BRANCHING: dict[str, Json] = {
    "anyOf": {"anyOf": [BELOW, {**BELOW, "title": "b"}, {"type": "string"}]},
    "oneOf": {"oneOf": [BELOW, {**BELOW, "title": "b"}, {"type": "string"}]},
    "if": {**BELOW, "if": {"properties": {"a": {"$ref": "#"}}}, "then": BELOW, "else": BELOW},
    "by definitions": {
        "$ref": "#/$defs/n",
        "$defs": {
            "n": {"anyOf": [{"$ref": "#/$defs/m"}, {"allOf": [{"$ref": "#/$defs/m"}, {}]}]},
            "m": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/n"}}},
        },
    },
    "by names": {"type": "object", "anyOf": [{"additionalProperties": {"$ref": "#"}}] * 3},
}


@each_row("kind", BRANCHING)
def test_a_schema_that_branches_into_itself_ends_and_what_does_not_fit_is_told(kind: str) -> None:
    for levels in (2, 22, 49):
        assert told(BRANCHING[kind], nested(levels))
        with pytest.raises(BadCall, match="body: "):
            posted(catalog(body=BRANCHING[kind]), nested(levels))


def test_a_schema_that_refers_to_itself_alone_ends() -> None:
    for schema in ({"$ref": "#"}, {"allOf": [{"$ref": "#"}, {"type": "string"}]}):
        check_schema(schema)
        told(schema, 5)


def doubling(levels: int) -> Json:
    """A schema whose size doubles with each level where its references are followed."""
    definitions: Json = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": definitions | {f"d{levels}": {"type": "string"}}}


def test_a_schema_whose_references_multiply_stops_the_start() -> None:
    assert not fits(doubling(10), 5)
    for levels, words in ((30, "references multiply"), (5_000, "form too long a chain")):
        with pytest.raises(ValueError, match=words):
            check_schema(doubling(levels))


def test_aliases_that_multiply_stop_the_start() -> None:
    lines = "".join(f"        d{i}: &d{i} {{anyOf: [*d{i - 1}, *d{i - 1}]}}\n" for i in range(1, 40))
    text = (
        "base_url: http://h\nendpoints:\n  - method: POST\n    url: /x\n    description: d\n    body:\n      $defs:\n"
    )
    bombs = {
        f"{text}        d0: &d0 {{}}\n{lines}": r"aliases \(\*name\) multiply, or nest too deeply",
        f"{text}        a: &a [*a]\n": r"the alias \*a is inside the node that it refers to",
    }
    for bomb, told in bombs.items():
        with pytest.raises(BadCatalog, match=told):
            load_catalog(bomb, {})


def test_what_is_no_json_stops_the_start() -> None:
    for schema in ({"const": datetime.date(2024, 1, 1)}, {"minimum": float("inf")}, {"const": "\ud800"}):
        with pytest.raises(ValueError, match="write JSON values only"):
            check_schema(schema)
    with pytest.raises(ValueError, match="a name that looks like a number needs quotes"):
        check_schema({"properties": {1: {}}})


# --- values -----------------------------------------------------------------------------------------------------------


@each_row(
    "schema, value",
    [
        ({"multipleOf": 3}, int("3" * 400)),
        ({"multipleOf": 0.01}, int("7" * 400)),
        ({"multipleOf": 0.01}, Decimal("19.99")),
        ({"multipleOf": 0.01}, 1e308),
        ({"maximum": 10**400}, 10**400),
        ({"exclusiveMinimum": 12345678901234567}, Decimal("12345678901234567.89")),
        ({"minimum": 2**53}, 2**53 + 1),
        ({"const": 5}, Decimal("5E+0")),
    ],
)
def test_numbers_are_compared_digit_for_digit(schema: Json, value: object) -> None:
    check_schema(schema)
    assert fits(schema, value)


@each_row(
    "schema, value",
    [
        ({"multipleOf": 3}, int("3" * 400) + 1),
        ({"maximum": 10**400}, 10**400 + 1),
        ({"maximum": 12345678901234567}, Decimal("12345678901234567.89")),
        ({"maximum": 2**53}, 2**53 + 1),
        ({"maximum": 1000}, Decimal("1000.00000000000000001")),
        ({"maximum": 1000}, Decimal("1e400")),
        ({"const": 12345678901234567}, Decimal("12345678901234567.89")),
        ({"const": 1}, True),
    ],
)
def test_no_number_passes_a_bound_that_it_exceeds(schema: Json, value: object) -> None:
    assert not fits(schema, value)


def test_a_body_with_a_number_of_400_digits_is_told_or_taken() -> None:
    money = catalog(body={"type": "object", "properties": {"amount": {"multipleOf": 7}}})
    posted(money, {"amount": int("7" * 400)})
    with pytest.raises(BadCall, match=r"amount: 7+…? is not a multiple of 7"):
        posted(money, {"amount": int("7" * 400) + 1})


@each_row("value", ["\ud800", ["a\udfffb"], {"a": {"\ud83d": 1}}, float("inf"), float("nan")])
def test_what_no_json_can_carry_is_told_and_no_fault(value: object) -> None:
    with pytest.raises(Unreadable):
        fits({"pattern": "a"}, value)
    (problem,) = told({"pattern": "a"}, value)
    assert "JSON cannot carry" in problem


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"\\udfff": 1}'])
def test_half_a_character_in_a_body_is_the_models_mistake(text: str) -> None:
    for body in ({}, {"additionalProperties": {"pattern": "^x$"}}, {"propertyNames": {"pattern": "^x$"}}):
        with pytest.raises(BadCall, match="JSON c"):
            resolve(catalog(body={"type": "object"} | body), {"method": "POST", "url": "/x", "body": text})


def test_what_is_nested_without_end_is_told() -> None:
    assert told({"properties": {"a": {"$ref": "#"}}}, nested(900)) == ["nested too deeply"]


# --- words ------------------------------------------------------------------------------------------------------------

TEAM = {
    "type": "object",
    "required": ["kind", "size"],
    "properties": {"kind": {"const": "team"}, "size": {"minimum": 2}},
}
USER = {
    "type": "object",
    "required": ["kind", "name"],
    "properties": {"kind": {"const": "user"}, "name": {"type": "string"}},
}
WORDS: list[tuple[Json, Any, list[str]]] = [
    ({"type": "integer"}, "x", ['"x" is not a whole number']),
    ({"type": ["string", "null"]}, 5, ["5 is not text or null"]),
    ({"enum": ["a", 1]}, "b", ['"b" is not one of "a", 1']),
    ({"const": True}, 1, ["1 has to be true"]),
    ({"required": ["a", "b"]}, {}, ["add a, b"]),
    ({"required": ["a", "b"]}, {"a": 1}, ["'b' is missing; add it"]),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, ["unknown: b; known: a"]),
    ({"additionalProperties": {"type": "string"}}, {"b": 1}, ["b: 1 is not text"]),
    ({"patternProperties": {"^x": {"type": "string"}}}, {"x1": 1, "y": 1}, ["x1: 1 is not text"]),
    ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, ['"ab" has more than 1 characters']),
    ({"items": {"properties": {"a": {"minimum": 3}}}}, [{"a": 3}, {"a": 2}], ["1.a: 2 is less than 3"]),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", "b"], ['1: "b" is not a whole number']),
    ({"maximum": 5}, 6, ["6 is more than 5"]),
    ({"exclusiveMinimum": 5}, 5, ["5 is not more than 5"]),
    ({"exclusiveMaximum": 5}, 5, ["5 is not less than 5"]),
    ({"multipleOf": 2}, 3, ["3 is not a multiple of 2"]),
    ({"minLength": 2}, "a", ['"a" has fewer than 2 characters']),
    ({"pattern": "^b"}, "a", ['"a" does not match "^b"']),
    ({"minItems": 1}, [], ["[] has fewer than 1 items"]),
    ({"uniqueItems": True}, [1, 1], ["[1, 1] has a duplicate item"]),
    ({"contains": {"const": 1}}, [2], ['[2] has no item that matches {"const": 1}']),
    ({"maxProperties": 0}, {"a": 1}, ['{"a": 1} has more than 0 fields']),
    ({"not": {"const": 1}}, 1, ['1 matches {"const": 1}, which it must not']),
    ({"format": "date"}, "1.2.2024", ['"1.2.2024" is not a valid date; write YYYY-MM-DD']),
    ({"format": "email"}, "ann", ['"ann" is not a valid email']),
    ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}, ["'b' is missing; add it"]),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, ["{\"a\": 1} does not fit 'dependentRequired'"]),
    ({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}}, {"a": 1}, ["'b' is missing; add it"]),
    ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {}, ["'b' is missing; add it"]),
    ({"properties": {"a": False}}, {"a": 1}, ["a: 1 is not allowed here"]),
    ({"unevaluatedProperties": False}, {"a": 1}, ["{\"a\": 1} is not allowed here"]),
    # of several of which one would do, what was most likely meant
    ({"anyOf": [{"type": "string", "minLength": 3}, {"type": "null"}]}, "ab", ['"ab" has fewer than 3 characters']),
    ({"anyOf": [TEAM, USER]}, {"kind": "user"}, ["'name' is missing; add it"]),
    ({"oneOf": [TEAM, USER]}, {"kind": "team", "size": 1}, ["size: 1 is less than 2"]),
    ({"oneOf": [{"minimum": 1}, {"maximum": 5}]}, 3, ['3 matches several of these, not just one: [{"minimum": 1}, {"maximum": 5}]']),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"type": "string"}, {"maxLength": 1}]}}}, "ab", ['"ab" has more than 1 characters']),
    # several, in the order of their places
    ({"properties": {"b": {"type": "string"}, "a": {"minimum": 1}}, "required": ["c"]}, {"b": 1, "a": 0},
     ["'c' is missing; add it", "a: 0 is less than 1", "b: 1 is not text"]),
]  # fmt: skip


@each_row("schema, value, words", WORDS)
def test_what_does_not_fit_is_told_with_its_place_and_how_to_mend_it(
    schema: Json, value: object, words: list[str]
) -> None:
    check_schema(schema)
    assert not fits(schema, value)
    assert told(schema, value) == words


KEYWORDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "object", "array", "null"]),
        "minimum": st.integers(-2, 2),
        "maxLength": st.integers(0, 2),
        "required": st.lists(st.sampled_from("ab"), unique=True),
        "const": st.sampled_from([1, "a", None]),
        "uniqueItems": st.booleans(),
    },
)
SCHEMAS = st.recursive(
    KEYWORDS,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "additionalProperties": inner,
            "items": inner,
            "contains": inner,
            "propertyNames": inner,
            "not": inner,
            **{key: st.lists(inner, min_size=1, max_size=3) for key in ("allOf", "anyOf", "oneOf", "prefixItems")},
            **dict.fromkeys(("if", "then", "else"), inner),
        },
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.integers(-3, 3) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_there_are_words_for_all_that_does_not_fit_and_for_nothing_else(schema: Json, value: object) -> None:
    found = told(schema, value)
    assert bool(found) is not fits(schema, value)
    assert all(found)
