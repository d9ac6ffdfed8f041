"""What a write would change, as its card says it, and whether the target still is what the card showed."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.naming import Name
from gate.target_diff import Change, ItemStep, OrderStep, Path, Target, Watch, changes, differing, leaves
from tests.harness.cases import case

TOM: dict[str, Any] = {"id": 7, "name": "Tom", "job": "Sales", "flat": {"city": "Rome", "zip": 1}}


def read(data: Any, status: int | None = 200, problem: str = "", **more: Any) -> Target:
    return Target("http://hr/users/7", status, data, problem, **more)


def same(
    method: str, before: Any, now: Any, body: Any = None, ignore: tuple[str, ...] = (), compare: tuple[str, ...] = ()
) -> bool:
    return not differing(method, read(before), read(now), body, Watch(ignore, compare))


def changed(method: str, before: Any, body: Any, **more: Any) -> list[tuple[str, str | None, str | None]]:
    """What changes: (field, old, new), what a PUT leaves out left out."""
    found = changes(method, before, body, **more)
    return [(dotted(one.path), one.old, one.new) for one in found if one.how != "left out"]


def left_out(before: Any, body: Any, **more: Any) -> list[str]:
    """What a PUT leaves out."""
    return [dotted(one.path) for one in changes("PUT", before, body, **more) if one.how == "left out"]


def dotted(path: Path) -> str:
    return ".".join(one if isinstance(one, str) else f"[{one.key}]" for one in path if isinstance(one, (str, ItemStep)))


# --- what changes -----------------------------------------------------------------------------------------------------


def test_the_fields_that_a_request_changes() -> None:
    cases: list[tuple[Any, Any, list[object]]] = [
        (TOM, {"name": "Tom", "job": "Lead"}, [("job", '"Sales"', '"Lead"')]),
        (TOM, {"name": "Tom"}, []),
        (TOM, {"flat": {"city": "Oslo", "zip": 1}}, [("flat.city", '"Rome"', '"Oslo"')]),
        (TOM, {"salary": 5}, [("salary", None, "5")]),
        (TOM, {"job": None}, [("job", '"Sales"', "null")]),
        (TOM, {"id": "7"}, [("id", "7", '"7"')]),
        (TOM, {"job": {"title": "Lead"}}, [("job", '"Sales"', '{"title":"Lead"}')]),
        (TOM, {"flat": "Rome"}, [("flat", '{"city":"Rome","zip":1}', '"Rome"')]),
        ({"a": True}, {"a": 1}, [("a", "true", "1")]),
        ({}, {"a": {}}, [("a", None, "{}")]),
        ({"a": None}, {"a": 1}, [("a", "null", "1")]),
        (None, {"a": 1}, [("a", None, "1")]),
        (TOM, None, []),  # no body changes no field
        ({"n": 1.0}, {"n": 1}, [("n", "1.0", "1")]),
    ]
    for method in ("PUT", "PATCH", "POST"):
        for before, body, expected in cases:
            assert changed(method, before, body) == expected, (before, body, expected, method)


@pytest.mark.parametrize("before", ["some text", [TOM], 5])
def test_what_is_no_object_has_no_fields_to_compare_with(before: Any) -> None:
    """That a field was nothing before would be a claim."""
    assert changes("PATCH", before, {"job": "Lead"}) == [Change(("job",), None, '"Lead"', "says")]


def test_a_delete_shows_every_field_of_the_doomed_object() -> None:
    cases: list[tuple[Any, list[object]]] = [
        ({"id": 7, "flat": {"city": "Rome"}}, [("id", "7"), ("flat.city", '"Rome"')]),
        ([1, 2], [("", "[1,2]")]),
        ("text", [("", '"text"')]),
        ([{"id": 3, "on": True}], [("[3].id", "3"), ("[3].on", "true")]),
        ({"tags": [{"id": "a"}, {"id": "a"}]}, [("tags", '[{"id":"a"},{"id":"a"}]')]),
        ({}, []),
        (None, []),
    ]
    for before, expected in cases:
        with case(before):
            assert [(dotted(one.path), one.old) for one in changes("DELETE", before, None)] == expected
            assert {one.how for one in changes("DELETE", before, None)} <= {"is"}


# --- lists, item by item ----------------------------------------------------------------------------------------------


def items(before: list[Any], body: list[Any], method: str = "PATCH") -> list[str]:
    """What becomes of a list's items, a word for each."""
    signs = {"item in": "+", "item out": "-", "left out": "-", "reordered": "other order"}
    return [
        f"{dotted(one.path)} {signs.get(one.how, '')}{one.new if one.how == 'item in' else one.old if one.how == 'item out' else ''}"
        if one.how != "set" else f"{dotted(one.path)} {one.old}>{one.new}"
        for one in changes(method, {"tags": before}, {"tags": body})
    ]  # fmt: skip


def test_a_list_is_told_item_by_item() -> None:
    cases: list[tuple[list[Any], list[Any], list[str]]] = [
        ([1, 2], [2, 1], ["tags other order"]),
        (["a", "b"], ["a", "c"], ['tags -"b"', 'tags +"c"']),
        (["a", "a"], ["a"], ['tags -"a"']),
        ([], ["a"], ['tags +"a"']),
        (["a"], [], ['tags -"a"']),
        (["a"], ["a"], []),
        (
            [{"id": 1, "role": "user"}, {"id": 2}],
            [{"id": 1, "role": "owner"}, {"id": 2}],
            ['tags.[1].role "user">"owner"'],
        ),
        ([{"id": 1}, {"id": 2}], [{"id": 2}, {"id": 3}], ['tags.[1] -{"id":1}', 'tags.[3] +{"id":3}']),
        ([{"id": 1, "x": 5}], [{"id": 1}], ["tags.[1].x -"]),  # the new list's item has it no more
        ([{"id": 1}, {"id": 2}], [{"id": 2}, {"id": 1}], ["tags other order"]),
        ([{"a": 1}], [{"a": 2}], ['tags -{"a":1}', 'tags +{"a":2}']),
    ]
    for before, body, expected in cases:
        assert items(before, body) == expected, (before, body)


def test_a_list_where_there_was_none_is_told_whole() -> None:
    assert changed("PATCH", {"tags": None}, {"tags": ["a"]}) == [("tags", "null", '["a"]')]


def test_a_put_of_a_list_replaces_a_list() -> None:
    found = changes("PUT", [{"id": 1, "n": 1}, {"id": 2}], [{"id": 1, "n": 2}])
    assert [(dotted(one.path), one.how) for one in found] == [("[2]", "item out"), ("[1].n", "set")]
    assert [one.how for one in changes("PUT", {"data": ["a"]}, ["b"])] == ["item out", "item in"]


def test_what_a_list_changes_of_an_object_is_not_told() -> None:
    assert changes("PATCH", TOM, [1, 2]) == [Change((), how="list")]


# --- JSON Patch -------------------------------------------------------------------------------------------------------


def test_operations_are_told_as_operations() -> None:
    cases: list[tuple[Any, Any]] = [
        ({"op": "replace", "path": "/job", "value": "Lead"}, ("replace", ("/job",), '"Sales"', '"Lead"')),
        ({"op": "remove", "path": "/flat/city"}, ("remove", ("/flat/city",), '"Rome"', None)),
        ({"op": "add", "path": "/tags/-", "value": ["vip"]}, ("add", ("/tags/-",), None, '["vip"]')),
        ({"op": "move", "from": "/job", "path": "/title"}, ("move", ("/job", "/title"), None, None)),
        ({"op": "copy", "from": "/job", "path": "/title"}, ("copy", ("/job", "/title"), None, None)),
        ({"op": "test", "path": "/id", "value": 7}, ("test", ("/id",), None, "7")),
        ({"op": "remove", "path": "/nowhere"}, ("remove", ("/nowhere",), None, None)),
        ({"op": "replace", "path": "/a~1b/m~0n", "value": 1}, ("replace", ("/a~1b/m~0n",), None, "1")),
    ]
    for wrap in (lambda one: one, lambda one: {"data": one}):
        for operation, expected in cases:
            with case(operation, expected, wrap):
                (found,) = changes("PATCH", wrap(TOM), [operation])
                assert (found.verb, found.path, found.old, found.new) == expected
                assert found.how == "operation"


def test_other_lists_are_no_operations() -> None:
    cases: list[Any] = [
        [{"op": "zap", "path": "/a"}],
        [{"op": "remove"}],
        [{"op": ["remove"], "path": "/a"}],
        [{"op": "remove", "path": "/a"}, {"id": 1}],
        [],
    ]
    for body in cases:
        assert "operation" not in {one.how for one in changes("PATCH", TOM, body)}, body


def test_a_pointer_leads_through_lists_and_escapes() -> None:
    target = {"a/b": [{"m~n": "deep"}]}
    (found,) = changes("PATCH", target, [{"op": "remove", "path": "/a~1b/0/m~0n"}])
    assert found.old == '"deep"'


# --- envelopes --------------------------------------------------------------------------------------------------------


def test_an_envelope_is_told_by_its_content() -> None:
    """JSON:API, Kinto, Directus and Rails wrap what they take and what they give, or only one of them."""
    cases: list[tuple[Any, Any, str, str]] = [
        (TOM, {"data": {"job": "Lead"}}, "http://hr/people/7", "data.job"),
        (TOM, {"user": {"job": "Lead"}}, "http://hr/users/7", "user.job"),
        ({"data": TOM}, {"data": {"job": "Lead"}}, "http://hr/people/7", "data.job"),
        ({"data": TOM, "permissions": {"write": ["me"]}}, {"data": {"job": "Lead"}}, "", "data.job"),
        ({"data": TOM}, {"user": {"job": "Lead"}}, "http://hr/users/7", "user.job"),
        (
            {"data": {"id": "7", "attributes": TOM}},
            {"data": {"id": "7", "attributes": {"job": "Lead"}}},
            "",
            "data.attributes.job",
        ),
    ]
    for before, body, url, field in cases:
        assert changed("PATCH", before, body, url=url) == [(field, '"Sales"', '"Lead"')], (before, body, url)


def test_a_field_that_happens_to_hold_fields_of_the_same_name_is_no_envelope() -> None:
    assert changed("PATCH", TOM, {"boss": {"job": "CEO"}}, url="http://hr/users/7") == [("boss", None, '{"job":"CEO"}')]


def test_what_stands_beside_an_envelope_is_left_out_by_a_put() -> None:
    before = {"data": {"name": "Tom", "job": "Sales"}, "permissions": {"write": ["me"]}}
    assert left_out(before, {"data": {"name": "Tom"}}) == ["data.job", "permissions"]


def test_a_patch_in_an_envelope_compares_the_fields_that_it_names() -> None:
    before, now = ({"data": TOM | {"seen": n}, "permissions": {}} for n in (1, 2))
    assert same("PATCH", before, now, {"data": {"job": "Lead"}})
    assert not same("PATCH", before, {"data": TOM | {"job": "CEO"}, "permissions": {}}, {"data": {"job": "Lead"}})
    assert not same("PATCH", {"data": TOM}, TOM, {"data": {"job": "Lead"}})


def test_an_object_in_a_wrapper_is_compared_as_itself() -> None:
    cases: list[tuple[Any, bool]] = [
        ({"data": TOM}, True),
        ({"data": TOM, "links": {"self": "/users/7"}}, True),
        ({"data": TOM, "meta": 5}, True),
        ({"data": TOM, "old": {"job": "none"}}, False),  # which one is meant cannot be told
        ({"data": [TOM]}, False),
    ]
    for wrapped, is_wrapper in cases:
        with case(wrapped):
            assert changed("PUT", wrapped, {"job": "Lead"}) == [("job", '"Sales"' if is_wrapper else None, '"Lead"')]
            beside = [name for name in wrapped if name != "data"]
            assert left_out(wrapped, {"job": "Lead"}) == (["id", "name", "flat", *beside] if is_wrapper else [*wrapped])


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PUT", {"job": "Lead"}), ("PATCH", {"job": "Lead"})])
def test_an_object_is_not_the_same_with_and_without_its_wrapper_or_in_another(method: str, body: Any) -> None:
    """Which field the request would then change nobody has seen."""
    for before, now in itertools.permutations([TOM, {"data": TOM}, {"old": TOM}], 2):
        assert not same(method, before, now, body)
        assert same(method, before, copy.deepcopy(before), body)


def test_a_field_named_like_the_wrapper_is_no_wrapper() -> None:
    assert changed("PUT", {"data": {"a": 1}}, {"data": {"a": 2}}) == [("data.a", "1", "2")]


def test_what_a_put_leaves_out_is_told_with_its_value_and_not_as_a_change() -> None:
    """Whether the API empties such a field, or owns it, the bot cannot know."""
    cases: list[tuple[Any, Any, list[str]]] = [
        (TOM, {"name": "Tom", "job": "Lead"}, ["id", "flat"]),
        (TOM, TOM, []),
        (TOM, [1], []),
        (TOM, None, []),
        (TOM, TOM | {"flat": {"city": "Rome"}}, ["flat.zip"]),
        (None, {"a": 1}, []),
    ]
    for before, body, expected in cases:
        with case(before, body):
            assert left_out(before, body) == expected
            assert all(
                one.old is not None and one.new is None for one in changes("PUT", before, body) if one.how == "left out"
            )


def test_a_patch_leaves_alone_what_it_does_not_name_inside_of_an_object() -> None:
    assert changed("PATCH", TOM, {"flat": {"city": "Oslo"}}) == [("flat.city", '"Rome"', '"Oslo"')]


@pytest.mark.parametrize(
    "body", [{"pin": "12 characters"}, {"login": {"pin": "12 characters"}}, {"keys": [{"pin": "12 characters"}]}]
)
def test_of_a_hidden_value_nobody_can_see_that_it_stays_the_same(body: Any) -> None:
    """What is hidden is told by the names of its fields: the words that stand in its place could be anybody's."""
    (name,) = body
    assert [one.path[0] for one in changes("PATCH", body, body, hidden=["pin"])] == [name]
    assert changes("PATCH", body, body) == []


# --- whether it is still the same -------------------------------------------------------------------------------------


def test_whether_a_target_is_still_what_its_card_showed() -> None:
    cases: list[tuple[str, Any, Any, tuple[str, ...], bool]] = [
        ("DELETE", TOM, None, (), True),
        ("DELETE", TOM | {"job": "CEO"}, None, (), False),
        ("DELETE", TOM | {"seen": 1}, None, (), False),
        ("DELETE", {key: TOM[key] for key in ("id", "name")}, None, (), False),
        ("DELETE", dict(reversed(TOM.items())), None, (), True),
        ("DELETE", TOM | {"job": "CEO"}, None, ("job",), True),
        ("DELETE", TOM | {"flat": {"city": "Rome", "zip": 2}}, None, (), False),
        ("DELETE", TOM | {"flat": {"city": "Rome", "zip": 2}}, None, ("zip",), True),
        ("DELETE", TOM | {"flat": {"city": "Rome", "zip": 2}}, None, ("flat",), True),
        ("DELETE", TOM | {"flat": {"city": "Rome", "zip": 2}}, None, ("flat.zip",), True),
        ("DELETE", TOM | {"flat": {"city": "Rome", "zip": 2}}, None, ("flat.city",), False),
        ("DELETE", {"error": "no"}, None, (), False),
        ("DELETE", [TOM], None, (), False),
        ("DELETE", None, None, (), False),
        ("PUT", TOM | {"job": "CEO"}, {"name": "Tim"}, (), False),  # a PUT replaces what it does not name
        ("PUT", TOM | {"job": "CEO"}, {"name": "Tim"}, ("job",), True),
        ("PATCH", TOM | {"job": "CEO"}, {"name": "Tim"}, (), True),  # a PATCH leaves that alone
        ("PATCH", TOM | {"name": "Tam"}, {"name": "Tim"}, (), False),
        ("PATCH", TOM | {"name": "Tam"}, {"name": "Tim"}, ("name",), True),
        ("PATCH", TOM | {"flat": {"city": "Oslo", "zip": 1}}, {"flat": {"zip": 2}}, (), False),
        ("PATCH", TOM | {"job": "CEO"}, [{"op": "remove", "path": "/job"}], (), False),  # JSON Patch: all of it counts
        ("PATCH", TOM | {"job": "CEO"}, None, (), False),
    ]
    for method, now, body, ignore, is_the_same in cases:
        with case(method, now, body, ignore):
            assert same(method, TOM, now, body, ignore) is is_the_same
            assert same(method, {"data": TOM}, {"data": now}, body, ignore) is is_the_same


def test_where_the_catalog_says_what_to_compare_nothing_else_counts() -> None:
    cases: list[tuple[Any, tuple[str, ...], bool]] = [
        (TOM | {"job": "CEO"}, ("name",), True),
        (TOM | {"job": "CEO"}, ("job",), False),
        (TOM | {"flat": {"city": "Rome", "zip": 2}}, ("flat",), False),
        (TOM | {"flat": {"city": "Rome", "zip": 2}}, ("flat.zip",), False),
        (TOM | {"flat": {"city": "Rome", "zip": 2}}, ("flat.city",), True),
    ]
    for now, compare, is_the_same in cases:
        with case(now, compare):
            assert same("DELETE", TOM, now, compare=compare) is is_the_same
            assert same("DELETE", TOM, now, compare=(*compare, "seen"), ignore=("zip",)) is (
                is_the_same or "flat" in compare[0]
            )


NAMED = (Name("Tom", "id", "7"),)


def test_what_it_is_and_what_it_is_called_always_count() -> None:
    for other in (Name("Tim", "id", "7"), Name("Tom", "id", "8")):
        for watch in (Watch(), Watch(ignore=("name", "id")), Watch(compare=("job",))):
            with case(watch, other):
                for method, body in (
                    ("DELETE", None),
                    ("PATCH", {"job": "Lead"}),
                    ("POST", {"job": "Lead"}),
                    ("PUT", {"job": "Lead"}),
                ):
                    assert () in differing(method, read(TOM, names=NAMED), read(TOM, names=(other,)), body, watch)
                    assert differing(method, read(TOM, names=NAMED), read(TOM, names=NAMED), body, watch) == {}


def test_of_a_thing_that_a_request_is_about_counts_what_tells_it_apart() -> None:
    def about(**fields: Any) -> Target:
        return read({"id": 7, "name": "Tom", "email": "tom@x", "visits": 1} | fields, role="about", names=NAMED)

    assert differing("POST", about(), about(visits=2, teams=[3]), {"team": 3}) == {}
    assert differing("POST", about(), about(email="ann@x"), {"team": 3}) == {("email",): ('"tom@x"', '"ann@x"')}
    only = Watch(compare=("visits",))
    assert differing("POST", about(), about(email="ann@x"), None, only) == {}
    assert differing("POST", about(), about(visits=2), None, only) == {("visits",): ("1", "2")}


def several(*things: Any, **more: Any) -> Target:
    return read(list(things), role="several", names=tuple(Name("", "id", str(one["id"])) for one in things), **more)


def test_of_several_things_it_counts_which_they_are_and_each_ones_fields_but_not_their_order() -> None:
    one, two, three = ({"id": n, "hits": n} for n in (1, 2, 3))
    assert differing("DELETE", several(one, two), several(two, one), None) == {}
    assert () in differing("DELETE", several(one, two), several(one, two, three), None)
    assert () in differing("DELETE", several(one, two), several(one, three), None)
    assert () in differing("DELETE", several(one, total=5), several(one, total=6), None)
    assert () in differing("DELETE", several(one, missing=("9",)), several(one), None)
    moved = differing("DELETE", several(one, two), several(one | {"hits": 8}, two), None)
    assert moved == {(ItemStep("1"), "hits"): ("1", "8")}
    assert differing("DELETE", several(one), several(one | {"hits": 8}), None, Watch(ignore=("hits",))) == {}


def test_which_things_a_list_holds_is_nothing_that_moves_by_itself() -> None:
    """Of long lists not every item's name is kept; which there are is a field of its own, on which a comparison insists."""
    items = [{"id": n} for n in range(300)]
    before, now = (several(*items[:249], last) for last in (items[249], items[299]))
    before, now = (replace(one, names=one.names[:200]) for one in (before, now))
    found = differing("DELETE", before, now, None, Watch(ignore=("id",)))
    assert [path for path in found if Watch().insists(path)] == [(OrderStep(),)]
    assert not Watch().insists(("members", OrderStep()))
    assert Watch(compare=("stats",)).insists(("stats", "hits"))


@pytest.mark.parametrize(("before", "now", "is_the_same"), [(200, 404, False), (404, 200, False), (404, 410, True)])
def test_a_target_that_came_or_went_is_another_one(before: int, now: int, is_the_same: bool) -> None:
    assert (differing("PUT", read({}, before), read({}, now), {"a": 1}) == {}) is is_the_same


CROWD: dict[str, Any] = {"name": "all", "members": [{"id": i, "role": "user"} for i in range(500)]}
PROMOTED: dict[str, Any] = {**CROWD, "members": [*CROWD["members"][:-1], {"id": 499, "role": "owner"}]}


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PUT", {"name": "nobody"})])
def test_a_change_behind_what_is_kept_of_a_large_target_is_noticed(method: str, body: Any) -> None:
    before, same_, other = (Target.kept("u", 200, data, 1_000) for data in (CROWD, copy.deepcopy(CROWD), PROMOTED))
    assert before.data == other.data
    assert len(before.to_json()) < 1_400
    assert differing(method, before, same_, body) == {}
    assert () in differing(method, before, other, body)
    assert () in differing(method, Target.from_json(before.to_json()) or before, other, body)


def test_of_a_large_target_a_patch_looks_at_its_own_fields_and_what_is_ignored_may_change() -> None:
    before, now = (Target.kept("u", 200, data, 1_000) for data in (CROWD, PROMOTED))
    assert differing("PATCH", before, now, {"name": "some"}) == {}
    for watch in (Watch(ignore=("members",)), Watch(compare=("name",))):
        before, now = (Target.kept("u", 200, data, 1_000, watch) for data in (CROWD, PROMOTED))
        assert differing("DELETE", before, now, None, watch) == {}


def test_what_differs_between_two_looks_is_named_with_both_values() -> None:
    assert differing("DELETE", read(TOM), read(TOM | {"job": "Lead", "flat": {"city": "Oslo"}}), None) == {
        ("job",): ('"Sales"', '"Lead"'),
        ("flat", "city"): ('"Rome"', '"Oslo"'),
        ("flat", "zip"): ("1", ""),
    }


def test_a_target_is_known_where_it_was_read_or_is_gone() -> None:
    cases: list[tuple[int | None, bool]] = [
        (200, True),
        (204, True),
        (404, True),
        (410, True),
        (403, False),
        (500, False),
        (None, False),
    ]
    for status, known in cases:
        assert read({}, status).is_known is known, status


NAMES = st.sampled_from(["a", "b", "data", "name", "id", "a.b", "", "é"])
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
    found = changes("PUT", before, body)
    assert {name for name in before if name not in body} <= {one.path[0] for one in found if one.how == "left out"}
    for name in changed:
        assert any(one.path[0] == name for one in found), name


@given(data=VALUES)
def test_no_two_fields_have_one_path(data: Any) -> None:
    paths = [path for path, _ in leaves(data)]
    assert len(paths) == len(set(paths))


def _plain(value: Any) -> str:
    """A value's JSON with its kinds told apart (True is not 1) and without the order of its fields."""
    match value:
        case dict():
            return "{" + ",".join(f"{key!r}:{_plain(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_plain, value)) + "]"
    return repr(value)
