"""JMESPath over data: what it finds, and that no expression and no data make it work without end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.jmespath_bounded import BUDGET, MAX_EXPRESSION, BadQuery, check_expression, search
from tests.harness.bot_parts import strict
from tests.harness.examples import JSON

PEOPLE = {"data": [{"id": i, "name": f"Person {i}", "tags": ["a"] * (i % 3), "score": i / 2} for i in range(2_000)]}


FINDS: list[tuple[str, object]] = [
    ("data[0].name", "Person 0"),
    ("length(data)", 2_000),
    ("data[?id > `1997`].id", [1998, 1999]),
    ("data[:2].{id: id, n: name}", [{"id": 0, "n": "Person 0"}, {"id": 1, "n": "Person 1"}]),
    ("data[-1].id", 1999),
    ("nothing", None),
    ("data[" + "9" * 900 + "]", None),
    ("sum(data[*].id)", 1_999_000),
    ("max_by(data, &score).id", 1999),
    ("sort_by(data, &name)[0].id", 0),
    ("data[?name == 'Person 7'].id | [0]", 7),
    ("data[?contains(name, '199')] | length(@)", 12),
    ("join(', ', data[:3].name)", "Person 0, Person 1, Person 2"),
    ("data[?length(tags) == `2`].id | length(@)", 666),
    ("data[].tags[]| length(@)", 1_999),
    ("keys(data[0])", ["id", "name", "tags", "score"]),
    ("to_string(data[0].tags)", "[]"),
]


def test_an_expression_finds_what_it_names() -> None:
    for expression, found in FINDS:
        assert search(expression, PEOPLE) == found, expression


FAILS: list[tuple[str, str]] = [
    ("", "not valid JMESPath"),
    ("data[", "not valid JMESPath"),
    ("data[?id ==]", "not valid JMESPath, at character"),
    ("'open", "not valid JMESPath, at character 1"),
    ("a" * (MAX_EXPRESSION + 1), "longer than 1,000"),
    ("{a:" * 240 + "a" + "}" * 240, "nested too deeply"),
    ("!" * 900 + "a", "nested too deeply"),
    ("data[::0]", "does not fit"),
    ("nonsense(data)", "does not have"),
    ("length()", "wrong number"),
    ("length(data[0].id)", "length() got a value of a type"),
    ("sum(data)", "sum() got"),
    ("max_by(data, &tags)", "max_by() got"),
    ("&data", "not JSON"),
    ("[&data]", "not JSON"),
    ("ceil(to_number('inf'))", "ceil() got"),
    ("`NaN`", "not valid JMESPath"),
]


def test_an_expression_that_fails_says_why_in_words() -> None:
    for expression, words in FAILS:
        with pytest.raises(BadQuery) as error:
            search(expression, PEOPLE)
        assert words in str(error.value), expression
        assert len(str(error.value)) < 200, expression


def test_checking_needs_no_data() -> None:
    check_expression("data[*].id")
    with pytest.raises(BadQuery, match="not valid JMESPath, at character 7"):
        check_expression("data[*")


BOMBS = [
    "|".join(["[@,@]"] * 60),
    "|".join(["[@,@]"] * 40) + "|to_string(@)",
    "|".join(["[@,@]"] * 40) + "|@ == `[[1]]`",
    "|".join(["{a:@,b:@}"] * 60),
    "|".join(["[@,@,@,@][]"] * 40),
    "data[*].[" + ",".join(["@"] * 300) + "][][]",
    "map(&[" + ",".join(["@"] * 200) + "], data)[] | map(&[@,@,@,@,@,@], @)",
    "join(to_string(data), data[*].name)",
    "[to_string(data), data[*].name] | join(@[0], @[1]) | [@,@,@,@] | to_string(@) | to_string([@,@,@])",
    "data[?contains(to_string(@), to_string(@))] | [*].[@,@,@,@,@,@] | [@,@,@,@,@,@,@,@,@,@] | [@,@,@,@,@,@,@,@,@]",
    "[[" + ",".join(["data"] * 150) + "] == [" + ",".join(["data"] * 20) + "]]",
]


def test_an_expression_that_asks_for_too_much_work_is_stopped() -> None:
    """With a part of the budget, since each uses up all that it has."""
    for expression in BOMBS:
        with pytest.raises(BadQuery, match="too much work"):
            search(expression, PEOPLE, BUDGET // 32)


def test_the_budget_of_the_bot_stops_them_as_well() -> None:
    with pytest.raises(BadQuery, match="too much work"):
        search(BOMBS[0], PEOPLE | {"list": [PEOPLE["data"]] * 50})


def test_five_megabytes_are_searched() -> None:
    people = [{"id": i, "name": f"Person {i}", "email": f"p{i}@example.com"} for i in range(60_000)]
    assert len(search("[?contains(email, '7@')].{id: id, email: email}", people)) == 6_000


@pytest.mark.parametrize(
    "expression", ["to_number('inf')", "[to_number('nan')]", "sum([to_number('1e308'), to_number('1e308')])"]
)
def test_what_is_found_can_always_be_written(expression: str) -> None:
    strict(json.dumps(search(expression, {})))


def test_a_sum_that_python_cannot_write_becomes_words() -> None:
    long = int("9" * 4_299)
    assert search("sum(@)", [long] * 30) == "(a number that is too long)"


@pytest.mark.filterwarnings("ignore:deprecated string literal syntax")
@given(expression=st.text(alphabet="ab.[]*?@&|'`{}:,()0123 !=<>-\"", max_size=60), value=JSON)
def test_whatever_the_expression_and_the_data_there_is_json_or_words(expression: str, value: Any) -> None:
    try:
        found = search(expression, value)
    except BadQuery as error:
        found = str(error)
    assert strict(json.dumps(found)) == found
