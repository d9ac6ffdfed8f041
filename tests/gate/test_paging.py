"""From one page to the next, style by style, as values: what is asked for, where it ends, and what an odd API makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.catalog import Operation, load_catalog
from catalog.signs_of_more import Page, next_link
from gate.paging import BadStart, Course, End, NextPage, begin, follow, is_past_end, items_of
from tests.harness.cases import case
from tests.harness.examples import JSON

URL = "/users?page=[page]&size=[size]&after=[after]"


def listing(pagination: str, parameters: str = "{}") -> Operation:
    text = f"""
name: HR
base_url: http://hr.internal
endpoints:
  - {{method: GET, url: "{URL}", description: Lists., parameters: {parameters}, pagination: {pagination}}}
"""
    (operation,) = load_catalog(text, {}).operations
    return operation


def started(pagination: str, values: Mapping[str, str] | None = None, parameters: str = "{}") -> Course:
    return begin(listing(pagination, parameters), values or {})[0]


def after(course: Course, data: Any, **headers: str) -> tuple[Course, list[Any], NextPage | End]:
    items = items_of(course.paging, data)
    assert items is not None
    return follow(course, Page(items, data, headers))


# --- page and offset ---------------------------------------------------------------------------------------------------


def test_pages_are_counted_from_1_to_the_first_empty_one() -> None:
    course, values = begin(listing("{style: page, parameter: page}"), {})
    assert values == {"page": "1"}
    course, items, what = after(course, [1, 2, 3])
    assert (items, what) == ([1, 2, 3], NextPage({"page": "2"}))
    course, items, what = after(course, [4])
    assert (items, what) == ([4], NextPage({"page": "3"})), (
        "a short page is no end: APIs cap the size they are asked for"
    )
    course, items, what = after(course, [])
    assert (items, what, course.pages, course.items) == ([], End(), 3, 4)


def test_the_first_page_is_what_the_parameters_schema_says() -> None:
    cases: list[tuple[str, str]] = [
        ("{}", "1"),
        ("{page: {type: integer, minimum: 0}}", "0"),
        ("{page: {type: integer, default: 0}}", "0"),
        ("{page: {type: integer, minimum: 1}}", "1"),
        ("{page: {type: integer, default: 3, minimum: 0}}", "3"),
        ("{page: {minimum: -5}}", "1"),
        ("{page: {default: true}}", "1"),
        ("{page: {default: first}}", "1"),
    ]
    for parameters, first in cases:
        assert begin(listing("{style: page, parameter: page}", parameters), {})[1] == {"page": first}, parameters


def test_a_page_that_the_call_names_is_where_it_begins() -> None:
    course, values = begin(listing("{style: page, parameter: page, total: total}"), {"page": "7", "size": "50"})
    assert values == {"page": "7", "size": "50"}
    _, _, what = after(course, {"data": [1, 2], "total": 2})
    assert what == NextPage({"page": "8"}), "how many stand before page 7 is not known, so the total ends nothing"


def test_a_beginning_that_is_no_number_is_refused() -> None:
    for text in ("x", "-1", "1.5", "", "1" * 16, "１", "\u0661"):
        with case(text):
            for style in ("page", "offset"):
                with pytest.raises(BadStart, match="page has to be a number"):
                    begin(listing(f"{{style: {style}, parameter: page}}"), {"page": text})


def test_offsets_move_on_by_the_items_that_came() -> None:
    course, values = begin(listing("{style: offset, parameter: after}"), {})
    assert values == {"after": "0"}
    course, _, what = after(course, {"users": [1] * 40})
    assert what == NextPage({"after": "40"})
    course, _, what = after(course, {"users": [2] * 13})
    assert what == NextPage({"after": "53"})
    assert after(course, {"users": []})[2] == End()


def test_the_largest_page_that_the_schema_allows_is_asked_for() -> None:
    operation = listing("{style: page, parameter: page, size: size}", "{size: {type: integer, maximum: 200}}")
    assert begin(operation, {})[1] == {"page": "1", "size": "200"}
    assert begin(operation, {"size": "10"})[1] == {"page": "1", "size": "10"}
    assert begin(operation, {"page": "2"})[1] == {"page": "2"}, "another size would make it another page"


def test_what_says_that_a_page_is_the_last_ends_it() -> None:
    cases: list[tuple[str, Any]] = [
        ("more: more", {"more": False}),
        ("more: more", {"more": None}),
        ("more: more", {"more": 0}),
        ("more: more", {"more": []}),
        ("more: more", {}),
        ("pages: pages", {"pages": 1}),
        ("pages: pages", {"pages": "1"}),
        ("pages: pages", {"pages": 0}),
        ("total: meta.count", {"meta": {"count": 3}}),
        ("total: meta.count", {"meta": {"count": "3"}}),
    ]
    for rest, data in cases:
        with case(rest):
            course = started(f"{{style: page, parameter: page, items: users, {rest}}}")
            assert after(course, {"users": [1, 2, 3]} | data)[2] == End()


def test_what_does_not_say_so_goes_on() -> None:
    cases: list[tuple[str, Any]] = [
        ("more: more", {"more": True}),
        ("more: more", {"more": "yes"}),
        ("pages: pages", {"pages": 2}),
        ("pages: pages", {"pages": True}),
        ("pages: pages", {"pages": -1}),
        ("pages: pages", {"pages": ["x"]}),
        ("pages: pages", {}),
        ("total: total", {"total": 4}),
        ("total: total", {"total": {"value": 3}}),
        ("total: total", {"total": "many"}),
    ]
    for rest, data in cases:
        with case(rest):
            course = started(f"{{style: page, parameter: page, items: users, {rest}}}")
            assert after(course, {"users": [1, 2, 3]} | data)[2] == NextPage({"page": "2"})


def test_pages_counted_from_0_end_in_time() -> None:
    course = started(
        "{style: page, parameter: page, items: users, pages: pages}", parameters="{page: {type: integer, minimum: 0}}"
    )
    course, _, what = after(course, {"users": [1], "pages": 2})
    assert what == NextPage({"page": "1"})
    assert after(course, {"users": [2], "pages": 2})[2] == End()


def test_an_api_that_does_not_know_the_parameter_is_found_out() -> None:
    course = started("{style: page, parameter: page}")
    course, _, _ = after(course, [1, 2])
    course, items, what = after(course, [1, 2])
    assert items == []
    assert what == End("the API gave the same page again for another page")
    assert (course.pages, course.items) == (1, 2)


@pytest.mark.parametrize(("rest", "data"), [("more: more", {"more": True}), ("pages: pages", {"pages": 3})])
def test_an_empty_page_ends_no_list_that_says_that_it_goes_on(rest: str, data: Any) -> None:
    course = started(f"{{style: page, parameter: page, items: users, {rest}}}")
    assert after(course, {"users": []} | data)[2] == NextPage({"page": "2"})


def test_a_list_that_ends_although_it_says_that_it_goes_on_is_not_taken_for_whole() -> None:
    cases: list[tuple[str, Any]] = [
        ("style: page, parameter: page, total: total", {"users": [], "total": 9}),
        ("style: offset, parameter: after, total: total", {"users": [], "total": 9}),
        ("style: offset, parameter: after, more: more", {"users": [], "more": True}),
        ("style: cursor, parameter: after, next: next, more: more", {"users": [1], "more": True}),
        ("style: next_url, next: next, total: total", {"users": [1], "next": None, "total": 9}),
    ]
    for pagination, data in cases:
        with case(pagination):
            _, _, what = after(started(f"{{{pagination}, items: users}}"), data)
            assert what == End("the API says that there are more, but not where")


def test_a_page_that_is_not_there_is_the_end_unless_it_was_promised() -> None:
    course, _, _ = after(started("{style: page, parameter: page}"), [1, 2])
    assert [status for status in (200, 204, 400, 404, 416, 500) if is_past_end(course, status)] == [204, 404, 416]
    for rest, data in (("pages", {"pages": 3}), ("total", {"total": 9}), ("more", {"more": True})):
        begun = started(f"{{style: page, parameter: page, items: users, {rest}: {rest}}}")
        assert not is_past_end(after(begun, {"users": [1]} | data)[0], 404)
    linked, _, _ = after(started("{style: link}"), [1], link="<?page=2>; rel=next")
    assert not is_past_end(linked, 404), "a link that leads nowhere is a fault"


# --- tokens and URLs ---------------------------------------------------------------------------------------------------


def test_a_cursor_is_followed_until_there_is_none() -> None:
    course, values = begin(listing("{style: cursor, parameter: after, next: meta.next}"), {"size": "5"})
    assert values == {"size": "5"}
    course, _, what = after(course, {"data": [1], "meta": {"next": "b"}})
    assert what == NextPage({"after": "b"})
    course, _, what = after(course, {"data": [], "meta": {"next": 17}})
    assert what == NextPage({"after": "17"}), "an empty page with a token is no end"
    assert after(course, {"data": [2], "meta": {"next": None}})[2] == End()


def test_a_cursor_may_be_the_last_items_id() -> None:
    course = started("{style: cursor, parameter: after, items: data, next: 'data[-1].id', more: has_more}")
    course, _, what = after(course, {"data": [{"id": "a"}, {"id": "b"}], "has_more": True})
    assert what == NextPage({"after": "b"})
    assert after(course, {"data": [{"id": "c"}], "has_more": False})[2] == End()


def test_a_token_in_a_header_goes_where_the_catalog_says() -> None:
    course = started("{style: header, parameter: after, header: X-Next-Token}")
    course, _, what = after(course, [1], **{"x-next-token": "b c"})
    assert what == NextPage({"after": "b c"})
    assert after(course, [2])[2] == End()


def test_a_url_in_the_answer_is_given_on_as_it_is() -> None:
    course = started("{style: next_url, items: results, next: next}")
    course, _, what = after(course, {"results": [1], "next": "https://elsewhere/x?y=1"})
    assert what == NextPage(url="https://elsewhere/x?y=1")
    assert after(course, {"results": [2], "next": None})[2] == End()


@pytest.mark.parametrize("style", ["{style: link, parameter: page}", "{style: next_url, parameter: page, next: next}"])
def test_where_links_need_a_page_to_begin_with_the_first_is_asked_for(style: str) -> None:
    course, values = begin(listing(style), {})
    assert (values, course.skipped) == ({"page": "1"}, 0)
    course, values = begin(listing(style), {"page": "3"})
    assert (values, course.skipped) == ({"page": "3"}, None)


def test_a_link_header_is_followed_also_where_the_catalog_says_nothing() -> None:
    operation = listing("{style: link}")
    for course in (begin(operation, {})[0], Course(begin(operation, {})[0].paging)):
        course, _, what = after(course, [1], link='<http://hr.internal/users?page=2>; rel="next"')
        assert what == NextPage(url="http://hr.internal/users?page=2")
        assert after(course, [2], link='<http://hr.internal/users?page=1>; rel="prev"')[2] == End()


def test_a_link_header_is_read_as_rfc_8288_writes_it() -> None:
    cases: list[tuple[str, str]] = [
        ('<https://a/b?page=2>; rel="next", <https://a/b?page=9>; rel="last"', "https://a/b?page=2"),
        ('<https://a/b?page=1>; rel="prev first", <https://a/b?page=3>; rel="last next"', "https://a/b?page=3"),
        ("</b?page=2>;rel=next", "/b?page=2"),
        ("</b?page=2>; rel='next'", "/b?page=2"),
        ('<b>; REL="NEXT"', "b"),
        ('<b>; title="a, <c>; rel=next"; rel="next"', "b"),
        ('<b>; title="quote \\" ; rel=\\"prev\\""; rel="next"', "b"),
        ('<b>; rel="prev"; rel="next"', ""),
        ('<b>; anchor="#x"; rel="next"', ""),
        ('<a,b;c>; rel="next"', "a,b;c"),
        (' , <b> ; rel = "next" ; type="text/html"', "b"),
        ("<>; rel=next", ""),
        ("<b>; nonext", ""),
        ('<b>; rel="nextpage"', ""),
        ("<b", ""),
        ("b; rel=next", ""),
        ('<b>; rel="next', ""),
        ("", ""),
        ("<" * 60_000, ""),
        ("<a>;" * 15_000 + "rel=next", "a"),
        ('<a>; x="' + "\\" * 60_000, ""),
        (";" * 60_000, ""),
        ("<a>" + "; " * 30_000, ""),
    ]
    for header, url in cases:
        assert next_link(header) == url, header


def test_a_token_that_is_none_ends_it_with_words() -> None:
    cases: list[tuple[object, str]] = [
        ("a", "led back"),
        ("x" * 4_001, "4,001 characters"),
        (True, "text"),
        (1.5, "text"),
        (["a"], "text"),
        ({"a": 1}, "text"),
    ]
    for token, why in cases:
        with case(token):
            for style, place in (("cursor", "parameter: after, "), ("next_url", "")):
                course = started(f"{{style: {style}, {place}items: data, next: next}}")
                course, _, _ = after(course, {"data": [1], "next": "a"})
                course, items, what = after(course, {"data": [2], "next": token})
                assert items == [2]
                assert isinstance(what, End)
                not_text = "is not text" if style == "next_url" else "is neither text nor a number"
                assert (not_text if why == "text" else why) in what.why


def test_a_token_that_the_call_began_with_counts_as_seen() -> None:
    course = started("{style: cursor, parameter: after, next: next}", {"after": "a"})
    assert after(course, {"data": [1], "next": "a"})[2] == End("the API led back to a page that was read already")


# --- bounds ------------------------------------------------------------------------------------------------------------


def test_the_catalogs_bounds_end_it_and_say_so() -> None:
    course = started("{style: page, parameter: page, max_pages: 2}")
    course, _, _ = after(course, [1])
    assert after(course, [2])[2] == End("max_pages of the catalog is 2")
    course = started("{style: page, parameter: page, max_items: 3}")
    course, _, _ = after(course, [1, 2])
    course, items, what = after(course, [3, 4])
    assert (items, what, course.items) == ([3], End("max_items of the catalog is 3"), 3)


def test_a_bound_that_is_reached_with_the_last_item_is_none() -> None:
    course = started("{style: cursor, parameter: after, next: next, max_items: 2, max_pages: 1}")
    assert after(course, {"data": [1, 2], "next": None})[2] == End()


@pytest.mark.parametrize("key", ["total", "more"])
def test_an_expression_that_does_not_fit_the_answer_ends_it_with_words(key: str) -> None:
    course = started(f"{{style: page, parameter: page, items: data, {key}: 'length(count)'}}")
    _, items, what = after(course, {"data": [1], "count": 5})
    assert items == [1]
    assert isinstance(what, End)
    assert f"the catalog's `{key}` does not work here: length() got" in what.why


# --- the list ----------------------------------------------------------------------------------------------------------


def test_the_list_is_the_answer_or_its_only_list() -> None:
    cases: list[tuple[Any, object]] = [
        ([1], [1]),
        ([], []),
        ({"data": [1], "meta": {}}, [1]),
        ({"data": [1], "links": []}, [1]),
        ({"data": [1], "included": [2]}, [1]),  # JSON:API
        ({"errors": [], "data": {"users": [1]}}, [1]),
        ({"_embedded": {"users": [1]}, "_links": {}}, [1]),  # HAL
        ({"hits": {"total": {"value": 1}, "hits": [1]}}, [1]),  # Elasticsearch
        ({"errors": []}, []),
        ({"parents": [1], "children": [2]}, None),
        ({"data": {}}, None),
        ({}, None),
        ("text", None),
        (None, None),
        (5, None),
    ]
    for data, found in cases:
        assert items_of(None, data) == found, data


def test_the_list_is_where_the_catalog_says() -> None:
    cases: list[tuple[str, Any, object]] = [
        ("data", {"data": [1], "links": [2]}, [1]),
        ("data.users", {"data": {"users": []}}, []),
        ("data", {"data": {"a": 1}}, None),
        ("data", [1], None),
        ("length(data)", {"data": 1}, None),
        ("[*].x[]", [{"x": [1]}, {"x": [2]}], [1, 2]),
    ]
    for items, data, found in cases:
        assert items_of(listing(f"{{style: link, items: '{items}'}}").pagination, data) == found, (items, data)


STYLES = [
    "{style: page, parameter: page, items: a, more: b, pages: c, total: d}",
    "{style: offset, parameter: page, items: a, total: b}",
    "{style: cursor, parameter: after, items: a, next: b, more: c}",
    "{style: next_url, items: a, next: b}",
    "{style: header, parameter: after, header: X-Next, items: a}",
    "{style: link, items: a}",
]


@given(
    style=st.sampled_from(STYLES),
    pages=st.lists(st.tuples(st.dictionaries(st.sampled_from("abcd"), JSON), st.text(max_size=30)), max_size=6),
)
def test_whatever_the_api_says_it_ends_or_goes_on_within_the_bounds(style: str, pages: list[tuple[Any, str]]) -> None:
    course = started(style)
    kept: list[Any] = []
    asked: list[NextPage] = []
    for data, text in pages:
        if (items := items_of(course.paging, data)) is None:
            break
        course, more, what = follow(course, Page(items, data, {"x-next": text, "link": f"<{text}>; rel=next"}))
        kept += more
        assert course.items == len(kept) <= 5_000
        if isinstance(what, End):
            break
        assert what not in asked
        asked.append(what)
