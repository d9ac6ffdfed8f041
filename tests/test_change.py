"""What a write would change, as its card says it, and whether the target still is what the card showed."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.change import Change, Target, changes, differing, is_same, untouched

TOM: dict[str, Any] = {"id": 7, "name": "Tom", "job": "Sales", "home": {"city": "Rome", "zip": 1}}


def read(data: Any, status: int | None = 200, problem: str = "") -> Target:
    return Target("http://hr/users/7", status, data, problem)


def same(method: str, before: Any, now: Any, body: Any = None, ignore: tuple[str, ...] = ()) -> bool:
    return is_same(method, read(before), read(now), body, ignore)


# --- what changes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "body", "expected"),
    [
        (TOM, {"name": "Tom", "job": "Lead"}, [Change("job", '"Sales"', '"Lead"')]),
        (TOM, {"name": "Tom"}, []),
        (TOM, {"home": {"city": "Oslo", "zip": 1}}, [Change("home.city", '"Rome"', '"Oslo"')]),
        (TOM, {"salary": 5}, [Change("salary", None, "5")]),
        (TOM, {"job": None}, [Change("job", '"Sales"', "null")]),
        (TOM, {"id": "7"}, [Change("id", "7", '"7"')]),
        ({"tags": [1, 2]}, {"tags": [2, 1]}, [Change("tags", "[1,2]", "[2,1]")]),
        ({"a": True}, {"a": 1}, [Change("a", "true", "1")]),
        ({}, {"a": {}}, [Change("a", None, "{}")]),
        (None, {"a": 1}, [Change("a", None, "1")]),
        ("some text", {"a": 1}, [Change("a", None, "1")]),
        ([TOM], {"job": "Lead"}, [Change("job", None, '"Lead"')]),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_fields_that_a_request_changes(method: str, before: Any, body: Any, expected: list[Change]) -> None:
    assert changes(method, before, body) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({"id": 7, "home": {"city": "Rome"}}, [Change("id", "7", None), Change("home.city", '"Rome"', None)]),
        ([1, 2], [Change("(the whole answer)", "[1,2]", None)]),
        ("text", [Change("(the whole answer)", '"text"', None)]),
        ({}, []),
        (None, []),
    ],
)
def test_a_delete_shows_every_field_of_the_doomed_object(before: Any, expected: list[Change]) -> None:
    assert changes("DELETE", before, None) == expected


@pytest.mark.parametrize(
    ("wrapped", "is_wrapper"),
    [
        ({"data": TOM}, True),
        ({"data": TOM, "links": {"self": "/users/7"}}, True),
        ({"data": TOM, "meta": 5}, True),
        ({"data": TOM, "old": {"job": "none"}}, False),  # which one is meant cannot be told
        ({"data": [TOM]}, False),
    ],
)
def test_an_object_in_a_wrapper_is_compared_as_itself(wrapped: Any, is_wrapper: bool) -> None:
    (found,) = changes("PUT", wrapped, {"job": "Lead"})
    assert found == Change("job", '"Sales"' if is_wrapper else None, '"Lead"')
    assert untouched(wrapped, {"job": "Lead"}) == (["id", "name", "home"] if is_wrapper else [*wrapped])


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PUT", {"job": "Lead"}), ("PATCH", {"job": "Lead"})])
def test_an_object_is_not_the_same_with_and_without_its_wrapper_or_in_another(method: str, body: Any) -> None:
    """Which field the request would then change nobody has seen."""
    for before, now in itertools.permutations([TOM, {"data": TOM}, {"old": TOM}], 2):
        assert not same(method, before, now, body)
        assert same(method, before, copy.deepcopy(before), body)


def test_a_field_named_like_the_wrapper_is_no_wrapper() -> None:
    assert changes("PUT", {"data": {"a": 1}}, {"data": {"a": 2}}) == [Change("data.a", "1", "2")]


@pytest.mark.parametrize(
    ("before", "body", "expected"),
    [
        (TOM, {"name": "Tom", "job": "Lead"}, ["id", "home"]),
        (TOM, TOM, []),
        (TOM, [1], []),
        (None, {"a": 1}, []),
    ],
)
def test_the_fields_that_a_put_does_not_name(before: Any, body: Any, expected: list[str]) -> None:
    assert untouched(before, body) == expected


def test_a_patch_leaves_alone_what_it_does_not_name_inside_of_an_object() -> None:
    assert changes("PATCH", TOM, {"home": {"city": "Oslo"}}) == [Change("home.city", '"Rome"', '"Oslo"')]


def test_a_field_inside_of_an_object_that_a_put_does_not_name_is_told_as_well() -> None:
    """A PUT replaces the whole object: the ZIP code goes, and the card has to say so."""
    body = {**TOM, "home": {"city": "Rome"}}
    told = [*untouched(TOM, body), *(one.field for one in changes("PUT", TOM, body))]
    assert any("zip" in field for field in told)


def test_a_value_that_becomes_an_object_is_told_with_what_it_was() -> None:
    assert any(one.old == '"Sales"' for one in changes("PUT", TOM, {**TOM, "job": {"title": "Lead"}}))


# --- whether it is still the same -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "now", "body", "ignore", "is_same"),
    [
        ("DELETE", TOM, None, (), True),
        ("DELETE", TOM | {"job": "CEO"}, None, (), False),
        ("DELETE", TOM | {"seen": 1}, None, (), False),
        ("DELETE", {key: TOM[key] for key in ("id", "name")}, None, (), False),
        ("DELETE", dict(reversed(TOM.items())), None, (), True),
        ("DELETE", TOM | {"job": "CEO"}, None, ("job",), True),
        ("DELETE", TOM | {"home": {"city": "Rome", "zip": 2}}, None, (), False),
        ("DELETE", TOM | {"home": {"city": "Rome", "zip": 2}}, None, ("zip",), True),
        ("DELETE", TOM | {"home": {"city": "Rome", "zip": 2}}, None, ("home",), True),
        ("DELETE", TOM | {"home": {"city": "Rome", "zip": 2}}, None, ("home.zip",), True),
        ("DELETE", TOM | {"home": {"city": "Rome", "zip": 2}}, None, ("home.city",), False),
        ("DELETE", {"error": "no"}, None, (), False),
        ("DELETE", [TOM], None, (), False),
        ("DELETE", None, None, (), False),
        ("PUT", TOM | {"job": "CEO"}, {"name": "Tim"}, (), False),  # a PUT replaces what it does not name
        ("PUT", TOM | {"job": "CEO"}, {"name": "Tim"}, ("job",), True),
        ("PATCH", TOM | {"job": "CEO"}, {"name": "Tim"}, (), True),  # a PATCH leaves that alone
        ("PATCH", TOM | {"name": "Tam"}, {"name": "Tim"}, (), False),
        ("PATCH", TOM | {"name": "Tam"}, {"name": "Tim"}, ("name",), True),
        ("PATCH", TOM | {"home": {"city": "Oslo", "zip": 1}}, {"home": {"zip": 2}}, (), False),
        ("PATCH", TOM | {"job": "CEO"}, [{"op": "remove", "path": "/job"}], (), False),  # JSON Patch: all of it counts
        ("PATCH", TOM | {"job": "CEO"}, None, (), False),
    ],
)
def test_whether_a_target_is_still_what_its_card_showed(
    method: str, now: Any, body: Any, ignore: tuple[str, ...], is_same: bool
) -> None:
    assert same(method, TOM, now, body, ignore) is is_same
    assert same(method, {"data": TOM}, {"data": now}, body, ignore) is is_same


@pytest.mark.parametrize(("before", "now", "is_same_"), [(200, 404, False), (404, 200, False), (404, 410, True)])
def test_a_target_that_came_or_went_is_another_one(before: int, now: int, is_same_: bool) -> None:
    assert is_same("PUT", read({}, before), read({}, now), {"a": 1}, ()) is is_same_


CROWD: dict[str, Any] = {"name": "all", "members": [{"id": i, "role": "user"} for i in range(500)]}
PROMOTED: dict[str, Any] = {**CROWD, "members": [*CROWD["members"][:-1], {"id": 499, "role": "owner"}]}


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PUT", {"name": "nobody"})])
def test_a_change_behind_what_is_kept_of_a_large_target_is_noticed(method: str, body: Any) -> None:
    before, same_, changed = (Target.kept("u", 200, data, 1_000) for data in (CROWD, copy.deepcopy(CROWD), PROMOTED))
    assert before.data == changed.data
    assert len(before.to_json()) < 1_200
    assert is_same(method, before, same_, body, ())
    assert not is_same(method, before, changed, body, ())
    assert not is_same(method, Target.from_json(before.to_json()) or before, changed, body, ())


def test_of_a_large_target_a_patch_looks_at_its_own_fields_and_what_is_ignored_may_change() -> None:
    before, now = (Target.kept("u", 200, data, 1_000) for data in (CROWD, PROMOTED))
    assert is_same("PATCH", before, now, {"name": "some"}, ())
    assert is_same("DELETE", before, now, None, ("members",))


def test_what_differs_between_two_looks_is_named() -> None:
    assert differing(read(TOM), read(TOM | {"job": "Lead", "home": {"city": "Oslo"}})) == [
        "job",
        "home.city",
        "home.zip",
    ]
    assert differing(read(TOM), read(copy.deepcopy(TOM))) == []
    assert differing(None, read({"a": 1})) == ["a"]


@pytest.mark.parametrize(
    ("status", "known"), [(200, True), (204, True), (404, True), (410, True), (403, False), (500, False), (None, False)]
)
def test_a_target_is_known_where_it_was_read_or_is_gone(status: int | None, known: bool) -> None:
    assert read({}, status).is_known is known


NAMES = st.sampled_from(["a", "b", "data", "name", "a.b", "", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "null", "\u202e"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


@given(data=VALUES, body=st.none() | OBJECTS, method=st.sampled_from(["PUT", "PATCH", "DELETE"]))
def test_what_did_not_change_is_the_same_whatever_it_is(data: Any, body: Any, method: str) -> None:
    assert same(method, data, copy.deepcopy(data), body)
    assert Target.from_json(read(data).to_json()) == read(data)


@given(before=VALUES, now=VALUES, wrap=st.booleans())
def test_a_delete_of_anything_that_changed_is_not_the_same(before: Any, now: Any, wrap: bool) -> None:
    """Whatever is in the API's objects: only equal data is the same."""
    first, second = ({"id": 7, "value": value} for value in (before, now))
    if wrap:
        first, second = {"data": first}, {"data": second}
    assert same("DELETE", first, second) is (_plain(before) == _plain(now))


@given(before=OBJECTS, name=NAMES, value=VALUES, body=OBJECTS)
def test_a_patch_of_a_field_that_changed_is_not_the_same(before: Any, name: str, value: Any, body: Any) -> None:
    now = before | {name: value}
    if name in body and name in before and _plain(before[name]) != _plain(value):
        assert not same("PATCH", before, now, body)


@given(before=OBJECTS, body=OBJECTS)
def test_every_top_field_that_a_put_changes_or_leaves_out_is_told(before: Any, body: Any) -> None:
    if not set(before) & set(body):
        return
    changed = {name for name in body if name not in before or _plain(before[name]) != _plain(body[name])}
    told = {one.field for one in changes("PUT", before, body)}
    assert {name for name in before if name not in body} == set(untouched(before, body))
    for name in changed:
        assert any(field == name or field.startswith(f"{name}.") for field in told), name


def _plain(value: Any) -> str:
    """A value's JSON with its kinds told apart (True is not 1) and without the order of its fields."""
    match value:
        case dict():
            return "{" + ",".join(f"{key!r}:{_plain(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_plain, value)) + "]"
    return repr(value)
