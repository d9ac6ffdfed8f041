"""Which item of a list a name means: exact ids first, whole texts without regard to case, several told and none guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.catalog import Lookup
from catalog.lookup import Candidate, candidates, fields_of, matched
from tests.harness.cases import each_row
from tests.harness.examples import JSON

BY_NAME = Lookup(operation="GET /users", match=("email", "first_name", "last_name"), id="id")


def person(number: object, first: object, last: object, email: object = None) -> dict[str, object]:
    return {"id": number, "first_name": first, "last_name": last, "email": email}


PEOPLE = [
    person(7, "Ann", "Lee", "ann@example.com"),
    person(8, "Ann", "Bell", "bell@example.com"),
    person(9, "Jörg", "Straße", "jorg@example.com"),
    person("u10", "李", "小龙"),
    person(11, "ann lee", "Other"),
]


def ids(value: str, items: object = PEOPLE, lookup: Lookup = BY_NAME) -> list[str]:
    assert isinstance(items, list)
    return [one.id for one in candidates(lookup, items, value)]


@each_row(
    "value, found",
    [
        ("ann@example.com", ["7"]),
        ("ANN@EXAMPLE.COM", ["7"]),
        ("Ann", ["7", "8"]),
        ("ann", ["7", "8"]),
        ("Bell", ["8"]),
        ("Ann Bell", ["8"]),
        ("  ann   BELL ", ["8"]),
        ("Ann Lee", ["7", "11"]),
        ("ann lee other", ["11"]),
        ("bell@example.com Ann Bell", ["8"]),
        ("Bell Ann", []),
        ("JÖRG STRASSE", ["9"]),
        ("jo\u0308rg", ["9"]),
        ("\uff21\uff4e\uff4e \uff22\uff45\uff4c\uff4c", ["8"]),
        ("李 小龙", ["u10"]),
        ("8", ["8"]),
        ("u10", ["u10"]),
        ("U10", []),
        ("An", []),
        ("Ann Le", []),
        ("", []),
        (" ", []),
        ("Tom", []),
    ],
)
def test_a_name_means_the_items_that_it_fits_whole(value: str, found: list[str]) -> None:
    assert ids(value) == found


def test_an_exact_id_wins_over_every_name() -> None:
    named = [person(1, "8", "x"), person(8, "Ann", "Bell"), person(2, "8", "y")]
    assert candidates(BY_NAME, named, "8") == [Candidate("8", named[1], by_id=True)]


def test_an_item_that_two_pages_show_counts_once() -> None:
    assert ids("Bell", [PEOPLE[1], *PEOPLE]) == ["8"]


def test_two_items_with_one_name_and_different_ids_are_both_told() -> None:
    twins = [person(1, "Ann", "Lee", "a@x"), person(2, "Ann", "Lee", "b@x")]
    found = candidates(BY_NAME, twins, "ann lee")
    assert [fields_of(BY_NAME, one.item)["email"] for one in found] == ["a@x", "b@x"]


def test_fields_may_be_deep_lists_or_numbers() -> None:
    lookup = Lookup(operation="GET /users", match=("emails[].value", "profile.name", "staff_number"), id="ref.key")
    item = {
        "ref": {"key": "k"},
        "emails": [{"value": "a@x"}, {"value": "b@x"}],
        "profile": {"name": "Ann"},
        "staff_number": 31,
    }
    for value in ("a@x", "B@X", "Ann", "31"):
        assert ids(value, [item], lookup) == ["k"]
    assert fields_of(lookup, item) == {
        "emails[].value": "a@x, b@x",
        "profile.name": "Ann",
        "staff_number": "31",
    }


@each_row("key", [None, True, 1.5, [], {}, "", " "])
def test_an_item_without_a_usable_id_is_none(key: object) -> None:
    assert ids("Lee", [person(key, "Ann", "Lee")]) == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("Ann Lee", "user_id: Ann Lee (ann@example.com) is 7"),
        ("ANN@example.com", "user_id: ANN@example.com (Ann Lee) is 7"),
        ("ann@example.com Ann Lee", "user_id: ann@example.com Ann Lee is 7"),
        ("7", "user_id: 7 (ann@example.com Ann Lee) is 7"),
    ],
)
def test_the_models_line_says_what_was_matched(value: str, line: str) -> None:
    (one,) = candidates(BY_NAME, PEOPLE[:1], value)
    assert matched("user_id", value, one.id, fields_of(BY_NAME, one.item).values()).line == line


def test_a_text_that_would_take_minutes_to_compare_is_no_name() -> None:
    endless = person(1, "Ann" + "\u0315\u0300" * 100_000, "Lee")
    assert ids("Ann", [endless, person(2, "Ann", "Lee")]) == ["2"]
    assert ids("1", [endless]) == ["1"]


def test_a_huge_field_is_told_in_part() -> None:
    assert len(fields_of(BY_NAME, person(1, "Ann", "x" * 100_000))["last_name"]) == 200


@given(
    items=st.lists(JSON | st.fixed_dictionaries({"id": JSON, "email": JSON}), max_size=10), value=st.text(max_size=20)
)
def test_whatever_the_list_holds_there_is_an_answer(items: list[Any], value: str) -> None:
    found = candidates(BY_NAME, items, value)
    for one in found:
        assert (
            f"is {' '.join(one.id.split())}" in matched("x", value, one.id, fields_of(BY_NAME, one.item).values()).line
        )
    assert len({one.id for one in found}) == len(found) <= len(items)
