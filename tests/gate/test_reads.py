"""Long lists and large answers, over real HTTP: all pages by one call, what is selected of them, and what is kept of the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai import AI
from base.shrink import as_json
from catalog.bad_call import BadCall
from catalog.calls import resolve
from gate.policy import Write, sort
from store.turns import Turn
from tests.harness.bot_parts import ANN, BotParts, Clock, Json, calls, strict, tool_results
from tests.harness.databases import rows
from tests.harness.paged_list import LISTS, SIZE, STYLES, person, shelf
from tests.harness.rest_server import Answer, RestServer, Seen, half_of, hang_up, late, reply, silence, to
from workers.cancel_flag import CancelFlag, Stopped

CATALOG = (
    """
apis:
- name: HR
  base_url: {base}
  auth: {{bearer: T0P-s3cret}}
  endpoints:"""
    + LISTS
    + """
  - {{method: GET, url: "/plain?page=[page]", description: Lists.}}
  - {{method: GET, url: "/payroll?at=[at]", description: Asks., approval: always}}
  - {{method: POST, url: /people, description: Adds.}}
  - method: GET
    url: /short?page=[page]&size=[size]
    description: Lists few at once.
    parameters: {{size: {{type: integer, maximum: 200}}}}
    approval: [{{when: {{required: [size], properties: {{size: {{minimum: 150}}}}}}}}]
    pagination: {{style: page, parameter: page, size: size}}
  - method: GET
    url: /unsized?page=[page]&size=[size]
    description: Lists few at once, and asks where more are wanted.
    parameters: {{size: {{type: integer, maximum: 200}}}}
    approval: [{{when: {{required: [size]}}}}]
    pagination: {{style: page, parameter: page, size: size}}
  - method: GET
    url: /begun?page=[page]
    description: Gives links only where a page was asked for.
    pagination: {{style: link, parameter: page}}
  - method: GET
    url: /bounded?offset=[offset]
    description: Lists within bounds.
    pagination: {{style: offset, parameter: offset, items: data, total: total, max_pages: 3, max_items: 250}}
- name: Other
  base_url: {base}/other
  endpoints:
  - {{method: GET, url: "/link?at=[at]", description: d}}
"""
)
COUNT = "[length(@), [0].id, [-1].id]"


@pytest.fixture
def elsewhere() -> Iterator[RestServer]:
    with RestServer() as server:
        yield server


@pytest.fixture
def parts(tmp_path: Path, server: RestServer) -> Iterator[BotParts]:
    one = made(tmp_path, server)
    yield one
    one.close()


def made(folder: Path, server: RestServer, **options: Any) -> BotParts:
    return BotParts(folder, CATALOG.format(base=server.url), **({"timeout": 5} | options))


def page(first: int, count: int = SIZE, **more: Any) -> bytes:
    return reply(json.dumps({"data": [person(number) for number in range(first, first + count)], **more}))


def journal(parts: BotParts, kind: str) -> list[Json]:
    return [json.loads(row["data"]) for row in rows(parts.url, "journal") if row["kind"] == kind]


# --- all pages --------------------------------------------------------------------------------------------------------


def test_one_call_brings_all_items(parts: BotParts, server: RestServer) -> None:
    for style in STYLES:
        server.always(shelf(300))
        result = parts.read(f"{server.url}/{style}", all_pages=True, select=COUNT)
        assert result["data"] == [300, 1, 300], style
        pages = 3 + (style == "offset")  # offsets end with an empty page
        assert (result["pages"], result["items"]) == (pages, 300), style
        assert "note" not in result or "not all" not in result["note"], style
        assert {seen.headers["authorization"] for seen in server.requests} == {"Bearer T0P-s3cret"}, style


@pytest.mark.parametrize(
    ("bound", "count", "words"),
    [
        ("max_pages: 3", 300, "max_pages of the catalog is 3"),
        ("max_items: 250", 250, "max_items of the catalog is 250"),
    ],
)
def test_the_bounds_of_the_catalog_hold_and_are_told(
    tmp_path: Path, server: RestServer, bound: str, count: int, words: str
) -> None:
    catalog = CATALOG.replace(LISTS, LISTS.replace("pagination: {{", f"pagination: {{{{{bound}, "))
    server.always(shelf(600))
    with closing(BotParts(tmp_path, catalog.format(base=server.url), timeout=5)) as parts:
        for style in STYLES:
            result = parts.read(f"{server.url}/{style}", all_pages=True, select=COUNT)
            assert result["data"] == [count, 1, count], style
            assert words in result["note"], style
            assert len(server.requests) == 3, style
            server.requests.clear()


def test_where_the_catalog_names_no_bounds_fifty_pages_are_read(parts: BotParts, server: RestServer) -> None:
    server.always(shelf(6_000))
    result = parts.read(f"{server.url}/page", all_pages=True, select=COUNT)
    assert result["data"] == [5_000, 1, 5_000]
    assert "max_pages of the catalog is 50" in result["note"] or "max_items of the catalog is 5,000" in result["note"]
    assert len(server.requests) == 50


def test_what_was_left_out_is_told_with_the_total(parts: BotParts, server: RestServer) -> None:
    server.will(page(1, total=2_304), page(101, total=2_304), page(201, total=2_304))
    result = parts.read(f"{server.url}/bounded", all_pages=True, select="length(@)")
    assert result["data"] == 250
    assert "These are not all: 250 of 2,304 were read, since max_items of the catalog is 250." in result["note"]
    server.will(page(1, 10, total=2_304), page(11, 10, total=2_304), page(21, 10, total=2_304))
    assert "30 of 2,304 were read, since max_pages" in parts.read(f"{server.url}/bounded", all_pages=True)["note"]


WRONG_TOTALS: list[object] = [10, 99, -5, "many", None, True, [], 1e99, 10**30, "9" * 5_000]


def test_a_total_that_is_wrong_ends_nothing_early(parts: BotParts, server: RestServer) -> None:
    for total in WRONG_TOTALS:
        server.drop_answers()
        server.will(page(1, total=total), page(101, total=total), page(201, 7, total=total), page(0, 0, total=total))
        result = parts.read(f"{server.url}/page", all_pages=True, select=COUNT)
        assert result["data"] == [207, 1, 207], total


def test_the_rest_of_the_query_stays_on_every_page(parts: BotParts, server: RestServer) -> None:
    server.always(shelf(250))
    parts.read(f"{server.url}/page?team=a%20b", all_pages=True)
    assert server.calls == [("GET", f"/page?page={number}&team=a%20b") for number in (1, 2, 3)]


NEXT_LINKS: list[str] = [
    "http://{other}/link?at=1",
    "//{other}/link?at=1",
    "https://{own}/link?at=1",  # the server thinks that it is behind HTTPS, or that it is not
    "https://api.example.com/v3/elsewhere/4711?at=1",
    "/payroll?at=1",
    "/other/link?at=1",
    "/link/../payroll?at=1",
    "?at=1",
    "/link?at=1&admin=1",
    "/link?api_key=T0P&at=1#page",
]


def test_of_a_link_its_query_counts_on_the_path_that_was_asked(
    parts: BotParts, server: RestServer, elsewhere: RestServer
) -> None:
    for where in NEXT_LINKS:
        server.requests.clear()
        url = where.format(other=f"127.0.0.1:{elsewhere.port}", own=f"127.0.0.1:{server.port}")
        server.will(reply(json.dumps([person(1)]), 200, f'Link: <{url}>; rel="next"'), reply(json.dumps([person(2)])))
        result = parts.read(f"{server.url}/link", all_pages=True)
        assert result["data"] == [person(1), person(2)], where
        assert "note" not in result, where
        assert server.calls == [("GET", "/link"), ("GET", "/link?at=1")], where
        assert elsewhere.requests == [], where


OUTSIDE: list[tuple[object, str]] = [
    ("/secrets", "does not allow"),
    (
        "/secrets?admin=1",
        "uses admin, and the url of GET /next_url in the catalog has no such query name",
    ),
    ("/payroll", "needs a person's approval"),
    ("/other/link", "at another API"),
    ("http://169.254.169.254/latest", "does not allow"),
    ("javascript:alert(1)", "does not allow"),
    ("/next_url?at=%07", "what the API gave for the next page is nothing that the catalog allows"),
    ("x" * 5_000, "5,000 characters long"),
    (7, "is not text"),
    ({"title": "/link"}, "is not text"),
]


def test_a_next_page_outside_of_the_catalog_is_not_fetched(parts: BotParts, server: RestServer) -> None:
    for url, why in OUTSIDE:
        server.requests.clear()
        server.will(page(1, 2, next=url))
        result = parts.read(f"{server.url}/next_url", all_pages=True)
        assert result["data"] == [person(1), person(2)], url
        assert why in result["note"], url
        assert len(server.requests) == 1, url


def test_a_cursor_may_be_as_long_as_those_that_hold_a_state(parts: BotParts, server: RestServer) -> None:
    server.will(page(1, 2, meta={"next": "c" * 3_000}), page(3, 2))
    result = parts.read(f"{server.url}/cursor", all_pages=True, select=COUNT)
    assert (result["data"], server.calls[1][1].count("c" * 3_000)) == ([4, 1, 4], 1)


def test_a_cursor_that_comes_again_ends_the_list(parts: BotParts, server: RestServer) -> None:
    server.will(page(1, meta={"next": "a"}), page(101, meta={"next": "b"}), page(201, meta={"next": "a"}))
    result = parts.read(f"{server.url}/cursor", all_pages=True, select=COUNT)
    assert result["data"] == [300, 1, 300]
    assert "led back to a page that was read already" in result["note"]
    assert len(server.requests) == 3


def test_an_api_that_gives_the_same_page_for_each_number_is_found_out(parts: BotParts, server: RestServer) -> None:
    server.always(page(1))
    result = parts.read(f"{server.url}/page", all_pages=True, select=COUNT)
    assert result["data"] == [100, 1, 100]
    assert "the same page again" in result["note"]
    assert len(server.requests) == 2


def test_an_api_that_gives_the_same_items_in_another_order_for_each_number_is_found_out(
    parts: BotParts, server: RestServer
) -> None:
    people = [person(number) for number in range(1, 11)]
    turned = [reply(json.dumps({"data": people[at:] + people[:at]})) for at in range(10)]
    server.will(*turned)
    result = parts.read(f"{server.url}/page", all_pages=True)
    assert result["data"] == people
    assert "the same page again" in result["note"]
    assert len(server.requests) == 2


def test_a_list_begins_at_a_number_or_not_at_all(parts: BotParts, server: RestServer) -> None:
    result = parts.read(f"{server.url}/page?page=last", all_pages=True)
    assert (
        result["error"] == "page has to be a number where all pages are asked for; leave it out to begin at the first."
    )
    assert server.requests == []


FAULTS: list[tuple[Answer | bytes, str]] = [
    (reply('{"error": "boom"}', 500), "page 3 failed with 500"),
    (reply("[]", 401), "page 3 failed with 401"),
    (hang_up, "page 3 failed: "),
    (half_of(page(1)), "page 3"),
    (reply("<p>sorry</p>", kind="text/html"), "page 3 does not hold a complete list"),
    (reply('{"data": {"a": 1}}'), "page 3 does not hold a complete list"),
    (reply('{"data": null}'), "page 3 does not hold a complete list"),
    (to("/secrets"), "page 3 failed: The API redirected to a place that the catalog does not allow"),
]


def test_a_fault_in_the_middle_keeps_what_was_collected(parts: BotParts, server: RestServer) -> None:
    for fault, why in FAULTS:
        server.drop_answers()
        server.will(page(1, total=900), page(101, total=900), fault, fault)
        result = parts.read(f"{server.url}/page", all_pages=True, select=COUNT)
        assert result["data"] == [200, 1, 200], why
        assert (result["pages"], result["items"]) == (2, 200), why
        assert f"These are not all: 200 of 900 were read, since {why}" in result["note"], why


def test_a_fault_at_the_first_page_is_told_as_of_any_call(parts: BotParts, server: RestServer) -> None:
    server.will(reply('{"message": "no such team"}', 404))
    result = parts.read(f"{server.url}/page", all_pages=True, select="[0]")
    assert (result["status"], result["data"]) == (404, {"message": "no such team"})
    assert result["note"] == "The API answered 404 Not Found."
    server.will(hang_up, hang_up)
    assert "error" in parts.read(f"{server.url}/page", all_pages=True)


NO_LISTS: list[str] = ['{"people": 3}', '"text"', '{"data": "x"}', '{"data": {"0": 1}}', "3", ""]


def test_an_answer_without_a_list_is_shown_as_it_is(parts: BotParts, server: RestServer) -> None:
    for data in NO_LISTS:
        server.will(reply(data))
        result = parts.read(f"{server.url}/page", all_pages=True)
        assert result["data"] == (json.loads(data) if data else None), data
        assert "all_pages: no list was found" in result["note"], data


def test_items_that_are_no_objects_are_a_list_too(parts: BotParts, server: RestServer) -> None:
    server.will(reply('{"data": [1, null, [2], "x", {"a": 1}], "total": 5}'))
    assert parts.read(f"{server.url}/page", all_pages=True)["data"] == [1, None, [2], "x", {"a": 1}]


def test_a_list_takes_no_more_than_its_time(tmp_path: Path, server: RestServer) -> None:
    parts = made(tmp_path, server, timeout=0.4)
    numbers = iter(range(1, 100_000, 10))
    server.always(lambda seen: late(0.2, page(next(numbers), 10))(seen))
    result = parts.read(f"{server.url}/page", all_pages=True, select="length(@)")
    parts.close()
    assert "reading them took longer than 1.2 seconds" in result["note"] or "failed: " in result["note"]
    assert 10 <= result["data"] < 100


def test_a_list_takes_no_more_than_its_room(tmp_path: Path, server: RestServer) -> None:
    parts = made(tmp_path, server, max_response=20_000)
    server.always(shelf(2_000))
    result = parts.read(f"{server.url}/page", all_pages=True, select="length(@)")
    parts.close()
    assert "of 2,000 were read, since together they are larger than 20,000 bytes" in result["note"]
    assert result["data"] == 300


def test_the_largest_page_is_asked_for_unless_a_rule_forbids_it(parts: BotParts, server: RestServer) -> None:
    assert "needs a person's approval" in parts.read(f"{server.url}/unsized", all_pages=True)["error"]
    assert isinstance(sort(resolve(parts.catalog, {"method": "GET", "url": "/short"}), tainted=False), Write)
    assert server.requests == []
    server.will(reply("[1]"), reply("[]"))
    assert parts.read(f"{server.url}/short?size=100", all_pages=True)["data"] == [1]


def test_a_list_whose_paging_nobody_told_is_followed_by_its_links(parts: BotParts, server: RestServer) -> None:
    server.will(reply("[1]", 200, 'Link: </plain?page=2>; rel="next"'), reply("[2]"))
    assert parts.read(f"{server.url}/plain", all_pages=True) == {"status": 200, "pages": 2, "items": 2, "data": [1, 2]}


def test_an_api_that_gives_links_only_for_a_page_is_asked_for_the_first(parts: BotParts, server: RestServer) -> None:
    def answer(seen: Seen) -> list[bytes]:
        link = ['Link: </begun?page=2>; rel="next"'] if seen.target == "/begun?page=1" else []
        return [reply(f"[{len(server.requests)}]", 200, *link)]

    server.always(answer)
    assert parts.read(f"{server.url}/begun", all_pages=True)["data"] == [1, 2]


def test_all_pages_is_true_or_nothing(parts: BotParts, server: RestServer) -> None:
    wrongs: list[object] = ["yes", 1.5, [], {"a": 1}, 7]
    for wrong in wrongs:
        with pytest.raises(BadCall, match="Set all_pages to true, or leave it out"):
            parts.read(f"{server.url}/page", all_pages=wrong)


def test_what_is_for_reads_is_refused_where_a_person_decides(parts: BotParts, server: RestServer) -> None:
    for method, url in (("POST", "/people"), ("GET", "/payroll")):
        for more in ({"all_pages": True}, {"select": "id"}):
            parts.replies.will(calls({"method": method, "url": server.url + url, **more}))
            parts.ask()
            (result,) = tool_results(parts.replies.asked[-1])
            assert "Make it without them" in result["error"], (url, more)
            assert (parts.pending(), server.requests) == ([], []), (url, more)


# --- in the loop ------------------------------------------------------------------------------------------------------


def test_one_model_call_brings_all_pages_and_people_see_which_is_read(parts: BotParts, server: RestServer) -> None:
    server.always(shelf(250))
    parts.replies.will(calls({"method": "GET", "url": server.url + "/page", "all_pages": True, "select": COUNT}))
    parts.ask()
    assert len(parts.replies.asked) == 2
    assert tool_results(parts.replies.asked[1])[0]["data"] == [250, 1, 250]
    assert [one for one in parts.status.texts if "reading" in one] == [
        f"is reading page{more}" for more in ("", ", page 2", ", page 3")
    ]
    (noted,) = journal(parts, "read")
    assert (noted["pages"], noted["items"], noted["status"]) == (3, 250, 200)


def test_a_turn_that_is_stopped_reads_no_further_page(parts: BotParts, server: RestServer) -> None:
    turn = parts.begin()
    pages = shelf(2_000)

    def stopping(seen: Seen) -> Any:
        if len(server.requests) == 3:
            parts.system.cancel_flag.turn(turn.turn)
        return pages(seen)

    server.always(stopping)
    parts.replies.will(calls({"method": "GET", "url": server.url + "/cursor", "all_pages": True}))
    parts.advance(turn.thread)
    assert len(server.requests) == 3
    assert len(parts.replies.asked) == 1
    assert journal(parts, "read")[0]["pages"] == 3
    assert journal(parts, "ended by a person")


def test_a_process_that_ends_leaves_no_part_of_a_list_behind(parts: BotParts, server: RestServer) -> None:
    turn = parts.begin()
    pages, system = shelf(600), parts.system

    def ending(seen: Seen) -> Any:
        if len(server.requests) == 3:
            system.cancel_flag.everything()
        return pages(seen)

    server.always(ending)
    parts.replies.will(*[calls({"method": "GET", "url": server.url + "/page", "all_pages": True, "select": COUNT})] * 2)
    with pytest.raises(Stopped):
        parts.advance(turn.thread)
    assert len(server.requests) == 3
    AI(turn.thread, replace(system, cancel_flag=CancelFlag())).advance()
    assert tool_results(parts.replies.asked[-1])[0]["data"] == [600, 1, 600]


def test_the_tools_offer_what_the_catalog_can_use(parts: BotParts, tmp_path: Path) -> None:
    parts.ask()
    offered = {one["function"]["name"]: one["function"]["parameters"]["properties"] for one in parts.replies.tools[0]}
    assert set(offered["call_rest_api"]) == {"method", "url", "body", "headers", "all_pages", "select"}
    assert set(offered["read_result"]) == {"result", "select", "from", "count", "lines", "last", "contains"}


@pytest.mark.parametrize(
    ("entry", "arguments", "tools"),
    [
        ("{method: GET, url: /a, description: d}", {"method", "url", "body", "all_pages", "select"}, 2),
        ("{method: HEAD, url: /a, description: d}", {"method", "url", "body", "select"}, 2),
        ("{method: POST, url: /a, description: d}", {"method", "url", "body"}, 1),
    ],
)
def test_a_small_catalog_has_a_small_tool(tmp_path: Path, entry: str, arguments: set[str], tools: int) -> None:
    parts = BotParts(tmp_path, f"name: A\nbase_url: https://a.example\nendpoints:\n  - {entry}\n")
    parts.ask()
    parts.close()
    (offered,) = parts.replies.tools
    assert set(offered[0]["function"]["parameters"]["properties"]) == arguments
    assert len(offered) == tools


# --- select -----------------------------------------------------------------------------------------------------------


def test_what_is_selected_is_all_that_the_model_sees(parts: BotParts, server: RestServer) -> None:
    server.will(page(1, 3))
    result = parts.read(f"{server.url}/page", select="data[?id > `1`].{who: name}")
    assert result == {"status": 200, "data": [{"who": "Person 2"}, {"who": "Person 3"}]}


def test_with_all_pages_it_selects_of_the_list_of_all_items(parts: BotParts, server: RestServer) -> None:
    server.always(shelf(250))
    assert parts.read(f"{server.url}/page", all_pages=True, select="[?id == `222`].name")["data"] == ["Person 222"]


WRONG_EXPRESSIONS: list[tuple[object, str]] = [
    ("data[", "not valid JMESPath"),
    ("data[?id = 1]", "not valid JMESPath"),
    ("a" * 1_001, "longer than 1,000 characters"),
    ("(" * 500, "select: "),
    (5, "select is a JMESPath as text, for example"),
    (["data"], "select is a JMESPath as text, for example"),
    (True, "select is a JMESPath as text, for example"),
]


def test_a_wrong_expression_is_told_before_anything_is_sent(parts: BotParts, server: RestServer) -> None:
    for expression, what in WRONG_EXPRESSIONS:
        parts.replies.will(calls({"method": "GET", "url": server.url + "/page", "select": expression}))
        parts.ask()
        (result,) = tool_results(parts.replies.asked[-1])
        assert what in result["error"], what
        assert server.requests == [], what


def test_an_expression_of_huge_cost_ends_with_words_and_the_answer_is_kept(parts: BotParts, server: RestServer) -> None:
    """test_jmespath.py has all kinds."""
    server.will(page(1, 2_000))
    result = parts.read(f"{server.url}/page", select="join(join(',', data[*].name), data[*].name)")
    assert result["data"] is None
    assert "too much work" in result["note"]
    assert result["result"] == "r1"


def test_a_selection_that_finds_nothing_is_told_with_what_there_is(parts: BotParts, server: RestServer) -> None:
    for number, expression in enumerate(("nothing", "data.name", "data[5]"), 1):
        server.will(page(1, 2, total=2))
        result = parts.read(f"{server.url}/page", select=expression)
        assert result["data"] is None, expression
        assert "select found nothing (null). There is an object with the fields data, total." in result["note"], (
            expression
        )
        assert result["result"] == f"r{number}", expression


def test_what_the_api_says_to_a_call_that_failed_is_shown_whole(parts: BotParts, server: RestServer) -> None:
    server.will(reply('{"message": "page must be a number"}', 422))
    result = parts.read(f"{server.url}/page", select="data[*].id")
    assert result["data"] == {"message": "page must be a number"}


# --- large answers ----------------------------------------------------------------------------------------------------


def of(thread: str) -> Turn:
    """A turn of Ann's in a thread."""
    return Turn("t", thread, ANN, "more", "1.1", is_running=True)


def ask_more(parts: BotParts, thread: str, **arguments: object) -> Json:
    got, _ = parts.gate.more(of(thread), {key.rstrip("_"): value for key, value in arguments.items()})
    found: Json = strict(got.text)
    return found


def listed(parts: BotParts, server: RestServer, count: int = 2_304) -> tuple[str, Json]:
    """A list that is too large for the model, read in a turn: its thread and the result."""
    server.always(shelf(count))
    parts.replies.will(calls({"method": "GET", "url": server.url + "/page", "all_pages": True}))
    thread = parts.ask()
    return thread, tool_results(parts.replies.asked[1])[0]


def test_a_large_list_is_cut_with_counts_and_kept_whole(parts: BotParts, server: RestServer) -> None:
    thread, result = listed(parts, server)
    shown = len(result["data"])
    assert result["data"] == [person(number) for number in range(1, shown + 1)]
    assert 100 < shown < 2_304
    assert len(as_json(result)) < 24_500
    assert f"Cut to fit: list: first {shown:,} of 2,304 items. The whole answer is kept as r1" in result["note"]
    sent = len(server.requests)
    more = ask_more(parts, thread, result="r1", from_=shown)
    assert more["data"][0] == person(shown + 1)
    assert f"Items {shown + 1:,} to {shown + len(more['data']):,} of 2,304." in more["note"]
    assert ask_more(parts, thread, result="r1", from_=2_300)["data"] == [person(n) for n in range(2_301, 2_305)]
    assert ask_more(parts, thread, result="r1", from_=10, count=2)["data"] == [person(11), person(12)]
    assert ask_more(parts, thread, result="r1", select="[?id == `2000`].email")["data"] == ["p2000@example.com"]
    assert ask_more(parts, thread, result="r1", select="[].id", from_=5, count=1)["data"] == [6]
    assert len(server.requests) == sent


def test_the_model_reads_on_by_its_tool(parts: BotParts, server: RestServer) -> None:
    server.always(shelf(600))
    arguments = {"method": "GET", "url": server.url + "/page", "all_pages": True}
    parts.replies.will(calls(arguments), calls({"result": "r1", "from": 599}, tool="read_result"))
    parts.ask()
    assert tool_results(parts.replies.asked[2])[1]["data"] == [person(600)]
    assert len(server.requests) == 6
    assert journal(parts, "more") == [{"result": "r1"}]


def test_another_threads_result_is_refused(parts: BotParts, server: RestServer) -> None:
    listed(parts, server, 600)
    parts.replies.will(calls({"result": "r1"}, tool="read_result"))
    parts.ask()
    assert tool_results(parts.replies.asked[-1])[0]["error"].startswith("r1 was not kept, or is no longer kept.")


WRONG_WISHES: list[tuple[Json, str]] = [
    ({}, "result is the name that a result gave"),
    ({"result": "r0x"}, "result is the name"),
    ({"result": ["r1"]}, "result is the name"),
    ({"result": "r2"}, "r2 was not kept"),
    ({"result": "r" + "9" * 30}, "result is the name"),
    ({"result": "r1", "from": -1}, "from is a whole number from 0 on"),
    ({"result": "r1", "from": True}, "from is a whole number"),
    ({"result": "r1", "from": {}}, "from is a whole number"),
    ({"result": "r1", "count": 0}, "count is a whole number from 1 on"),
    ({"result": "r1", "limit": 5}, "Unknown argument 'limit'"),
    ({"result": "r1", "select": "[?"}, "not valid JMESPath"),
    ({"result": "r1", "select": "sort_by(@, &nothing)"}, "select failed"),
    ({"result": "r1", "select": "nothing"}, "select found nothing (null). r1 is a list of 2,304 objects"),
    ({"result": "r1", "select": "[0]", "from": 1}, "are for lists and texts, and this is an object"),
    ({"result": "r1", "last": 0}, "last is a whole number from 1 on"),
    ({"result": "r1", "last": 5, "from": 1}, "leave out from, count and lines"),
    ({"result": "r1", "lines": 5, "count": 1}, "give one of them"),
    ({"result": "r1", "contains": ["x"]}, "contains is a text"),
    ({"result": "r1", "select": "join(join(',', [].name), [].name)"}, "too much work"),
]


def test_a_wrong_wish_for_more_is_told_in_words(parts: BotParts, server: RestServer) -> None:
    thread, _ = listed(parts, server)
    for arguments, what in WRONG_WISHES:
        with pytest.raises(BadCall) as error:
            parts.gate.more(of(thread), arguments)
        assert what in str(error.value), arguments


def test_what_is_kept_outlives_the_process_and_goes_with_time_or_the_thread(tmp_path: Path, server: RestServer) -> None:
    first = made(tmp_path, server)
    thread, _ = listed(first, server, 600)
    first.close()
    clock = Clock()
    second = made(tmp_path, server, clock=clock)
    assert ask_more(second, thread, result="r1", from_=599)["data"] == [person(600)]
    clock.ahead = 25 * 3_600
    with pytest.raises(BadCall, match="was not kept, or is no longer kept"):
        second.gate.more(of(thread), {"result": "r1"})
    clock.ahead = 0
    second.advance(thread)
    for due in second.store.due_posts(thread):
        second.store.delivered([(due.post.post, "1.1")])
    second.store.forget(second.clock() + 1)
    left = rows(second.url, "results")
    second.close()
    assert left == []


def test_of_ten_megabytes_what_fits_is_read_and_the_rest_is_told(parts: BotParts, server: RestServer) -> None:
    huge = reply("[" + ",".join(['{"name": "' + "x" * 990 + '"}'] * 10_000) + "]")
    assert len(huge) > 10_000_000
    server.will(huge, huge)
    wishes: list[Json] = [{}, {"all_pages": True}]
    for more in wishes:
        result = parts.read(f"{server.url}/page", **more)
        assert "larger than 5,000,000 bytes" in result["note"]
        assert len(json.dumps(result)) < 50_000


def test_one_huge_text_is_kept_and_read_in_parts(parts: BotParts, server: RestServer) -> None:
    server.will(reply(json.dumps({"log": "\n".join(f"line {n}" for n in range(20_000))})))
    parts.replies.will(calls(("GET", server.url + "/page")))
    thread = parts.ask()
    result = tool_results(parts.replies.asked[1])[0]
    assert "log: first" in result["note"]
    assert "kept as r1" in result["note"]
    assert ask_more(parts, thread, result="r1", select="length(log)")["data"] > 100_000


def test_an_answer_with_secrets_is_kept_without_them(parts: BotParts, server: RestServer) -> None:
    server.will(reply(json.dumps([{"echo": "T0P-s3cret", "n": n} for n in range(5_000)])))
    parts.replies.will(calls(("GET", server.url + "/page")))
    thread = parts.ask()
    assert ask_more(parts, thread, result="r1", select="[4999].echo")["data"] == "[hidden]"
    assert "T0P-s3cret" not in parts.stored()


def test_a_huge_line_of_links_is_read_in_time(parts: BotParts, server: RestServer) -> None:
    links = ", ".join(f'</link?at={n}>; rel="item"; title="a\\"b"' for n in range(500))
    server.will(reply("[1]", 200, f'Link: {links}, </link?at=1>; rel="next"'), reply("[2]", 200, "Link: <<<>;;=,\"'"))
    assert parts.read(f"{server.url}/link", all_pages=True)["data"] == [1, 2]


def test_an_api_that_falls_silent_between_pages_ends_the_list(tmp_path: Path, server: RestServer) -> None:
    parts = made(tmp_path, server, timeout=0.5)
    server.will(page(1), silence)
    result = parts.read(f"{server.url}/page", all_pages=True, select=COUNT)
    parts.close()
    assert result["data"] == [100, 1, 100]
    assert "page 2 failed: " in result["note"]
