"""Lists as real APIs page them, over real HTTP: whole where they can be, and told as a part where they are one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.calls import resolve
from gate.policy import Read, sort
from tests.gate.test_reads import ask_more
from tests.harness.bot_parts import BotParts, Json, calls, strict, tool_results
from tests.harness.paging_servers import SERVERS, SIZE, things
from tests.harness.rest_server import RestServer, Seen, reply


@pytest.fixture
def opened(tmp_path: Path, server: RestServer) -> Iterator[Any]:
    """A bot with a catalog of these entries before the server."""
    made: list[BotParts] = []

    def opening(entries: str, **options: Any) -> BotParts:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        catalog = f"name: A\nbase_url: {server.url}\nendpoints:\n{entries}"
        made.append(BotParts(folder, catalog, **({"timeout": 5} | options)))
        return made[-1]

    yield opening
    for one in made:
        one.close()


def entry(url: str, more: str = "") -> str:
    return f'  - {{method: GET, url: "{url}", description: Lists things.{more}}}\n'


def ids(result: Mapping[str, Any]) -> list[str]:
    return [
        one.get("id") or one.get("metadata", {}).get("uid") or f"t{one['name'].split()[-1]}" for one in result["data"]
    ]


WANTED = [f"t{number}" for number in range(1, 36)]


# --- all pages, as real servers have them ------------------------------------------------------------------------------


HAVE_NO_SIGN = ("Datadog", "RabbitMQ", "pages from 0", "pages from 1", "pages from 1, strictly", "Directus", "Keycloak")


@pytest.mark.parametrize("is_said", [True, False], ids=["said", "unsaid"])
def test_all_pages_are_read_also_where_the_list_ends_with_one_and_a_single_page_says_that_there_is_more(
    opened: Any, server: RestServer, is_said: bool
) -> None:
    servers = {name: replace(one, path=f"/list-{number}") for number, (name, one) in enumerate(SERVERS.items())}
    bot = opened("".join(one.entry() if is_said else one.entry("") for one in servers.values()))
    for name, one in servers.items():
        url = f"{server.url}{one.path}"
        for count in (2 * SIZE + 5, 0, 2 * SIZE, *(() if is_said else (1, SIZE))):
            server.always(one.serving(things(count)))
            result = bot.read(url, all_pages=True)
            assert ids(result) == WANTED[:count], name
            assert "not all" not in result.get("note", ""), name
        if name not in HAVE_NO_SIGN:
            server.always(one.serving(things(2 * SIZE + 5)))
            note = bot.read(url)["note"]
            assert note.startswith("These are not all: "), name
            assert note.endswith("The same call with all_pages reads on."), name
            server.always(one.serving(things(5)))
            assert "note" not in bot.read(url), name


# --- signs of more -----------------------------------------------------------------------------------------------------

TEN = json.dumps(things(10))


SIGNS: list[tuple[bytes, str]] = [
    (reply(TEN, 200, 'Link: <https://x/?page=2>; rel="next"'), "not all: its Link header names a next page"),
    (reply(TEN, 200, "X-Total-Count: 95"), "not all: the API counts 95 and 10 are here"),
    (reply(TEN, 200, "Content-Range: items 0-9/95"), "not all: the API counts 95 and 10 are here"),
    (reply(TEN, 200, "X-Next-Page: 2"), "not all: its header x-next-page names a next page"),
    (reply(TEN, 200, "x-ms-continuation: abc"), "not all: its header x-ms-continuation names a next page"),
    (reply(TEN, 200, "X-Total-Pages: 3"), "not all: the API counts 3 pages"),
    (reply(TEN, 200, 'X-Pagination: {"TotalCount": 95, "HasNext": true}'), "not all: the API counts 95"),
    (reply(f'{{"items": {TEN}, "total": "95"}}'), "not all: the API counts 95 and 10 are here"),
    (reply(f'{{"hits": {{"total": {{"value": 95}}, "hits": {TEN}}}}}'), "not all: the API counts 95"),
    (reply(f'{{"meta": {{"filter_count": 12, "total_count": 95}}, "data": {TEN}}}'), "the API counts 12 and 10"),
    (reply(f'{{"results": {TEN}, "page": 1, "total_pages": 4}}'), "not all: the API counts 4 pages"),
    (reply(f'{{"results": {TEN}, "next": "https://x/?page=2"}}'), "not all: its field next says so"),
    (reply(f'{{"data": {{"items": {TEN}, "nextToken": "x"}}}}'), "not all: its field data.nextToken says so"),
    (reply(f'{{"content": {TEN}, "last": false}}'), "not all: its field last says so"),
    (reply(f'{{"values": {TEN}, "isLast": false}}'), "not all: its field isLast says so"),
    (reply(f'{{"items": {TEN}, "hasMore": "true"}}'), "not all: its field hasMore says so"),
    (reply(f'{{"items": {TEN}, "incomplete_results": true}}'), "not all: its field incomplete_results says so"),
    (reply(f'{{"items": {TEN}, "per_page": 10}}'), "may not be all: the page is full, with 10 items"),
]


def test_each_sign_of_more_is_told(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/things"))
    for answer, told in SIGNS:
        server.will(answer)
        assert told in bot.read(f"{server.url}/things")["note"], told


NO_SIGNS: list[bytes] = [
    reply(TEN),
    reply(TEN, 200, "X-Total-Count: 10"),
    reply(TEN, 200, "X-Next-Page: "),
    reply(TEN, 200, 'Link: <https://x/?page=1>; rel="prev"'),
    reply(f'{{"items": {TEN}, "total": 10, "limit": 10}}'),
    reply(f'{{"items": {TEN}, "next": null, "limit": 10}}'),
    reply(f'{{"items": {TEN}, "hasMore": "false", "limit": 10}}'),
    reply(f'{{"items": {TEN}, "count": 10}}'),
    reply(f'{{"items": {TEN}, "pageInfo": {{"hasNextPage": false, "endCursor": "x"}}}}'),
    reply(f'{{"items": {TEN}, "paging": {{"cursors": {{"after": "x"}}}}}}'),
    reply(f'{{"content": {TEN}, "last": true, "totalPages": 1, "size": 10}}'),
    reply(f'{{"error": "no", "items": {TEN}, "total": 95}}', 400),
]


def test_what_is_no_sign_is_not_told(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/things"))
    for answer in NO_SIGNS:
        server.will(answer)
        assert "all:" not in bot.read(f"{server.url}/things").get("note", ""), answer


FULL_PAGES: list[tuple[str, str, str]] = [
    ("/things?limit=[limit]", "/things?limit=10", ""),
    ("/things?limit=10", "/things", ""),
    ("/things?n=[n]&max=[max]", "/things?max=10", ""),  # PowerDNS' search
    ("/things?limit=[limit]", "/things", ", parameters: {limit: {type: integer, default: 10}}"),
    ("/things?limit=[limit]", "/things", ", parameters: {limit: {type: integer, maximum: 10}}"),
    ("/things?a=[a]&n=[n]", "/things?n=10", ", pagination: {style: page, parameter: a, size: n}"),
]


def test_a_page_that_is_exactly_full_may_not_be_all(opened: Any, server: RestServer) -> None:
    for url, asked, more in FULL_PAGES:
        bot = opened(entry(url, more))
        server.will(reply(TEN), reply(json.dumps(things(9))))
        assert "These may not be all: the page is full, with 10 items." in bot.read(server.url + asked)["note"], (
            url,
            asked,
        )
        assert "note" not in bot.read(server.url + asked), (url, asked)


THINGS: list[Json] = [
    {"total": 950, "count": 7},
    {"next": 6},
    {"pages": 350},  # a book
    {"more": True, "last": False},
    {"data": {"id": 5, "next": 6, "roles": ["a"]}},
    {"links": {"self": "/orders/5"}},
]


def test_a_thing_with_a_list_in_it_is_no_list(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/orders/[id]"))
    for fields in THINGS:
        server.always(reply(json.dumps({"id": 5, "lines": [{"id": 1}]} | fields)))
        assert "note" not in bot.read(f"{server.url}/orders/5"), fields


THINGS_WITH_MORE: list[Json] = [
    {"next": "https://x/lists/5?page=2"},
    {"truncated": True},
    {"paging": {"next": "abc"}},
    {"total_pages": 3},
    {"has_more": True},
]


def test_a_thing_may_say_that_its_list_is_a_part(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/lists/[id]"))
    for fields in THINGS_WITH_MORE:
        server.always(reply(json.dumps({"id": 5, "items": [{"id": 1}]} | fields)))
        assert "These are not all: " in bot.read(f"{server.url}/lists/5")["note"], fields


def test_a_write_and_a_recipe_tell_the_signs_of_more_too(opened: Any, server: RestServer) -> None:
    bot = opened(
        "  - {method: POST, url: /search, description: Searches., approval: never}\n"
        "  - {method: GET, url: /things, description: Lists.}\n"
        "recipes:\n  - {workflowId: both, description: Lists., steps: [{stepId: one, operation: GET /things}]}\n"
    )
    server.always(reply(f'{{"items": {TEN}, "total": 95}}'))
    bot.replies.will(calls(("POST", f"{server.url}/search", {}), ("RUN", "both")))
    bot.ask()
    for result in tool_results(bot.replies.asked[1]):
        assert "These are not all: the API counts 95 and 10 are here." in result["note"]
        assert "all_pages" not in result["note"]


def test_all_pages_is_offered_and_taken_where_the_catalog_says_nothing(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/things"))
    bot.ask()
    assert "all_pages" in bot.replies.tools[0][0]["function"]["parameters"]["properties"]
    server.will(reply(TEN))
    result = bot.read(f"{server.url}/things", all_pages=True)
    assert ids(result) == WANTED[:10]
    assert "Whether these are all is not known: the catalog does not say how this list is paged" in result["note"]
    server.will(reply(f'{{"things": {TEN}, "total": 95}}'))
    assert (
        "These are not all: the API counts 95 and 10 are here"
        in bot.read(f"{server.url}/things", all_pages=True)["note"]
    )
    server.will(reply(TEN, 200, "X-Total-Count: 10"))
    assert "note" not in bot.read(f"{server.url}/things", all_pages=True)


def test_paging_that_the_catalog_got_wrong_is_not_believed(opened: Any, server: RestServer) -> None:
    wrong = ", pagination: {style: cursor, parameter: after, next: nothing.there}"
    server.will(reply(f'{{"things": {TEN}, "meta": {{"next_cursor": "x"}}}}'))
    note = opened(entry("/things?after=[after]", wrong)).read(f"{server.url}/things", all_pages=True)["note"]
    assert "These are not all: its field meta.next_cursor says so." in note


# --- links -------------------------------------------------------------------------------------------------------------


def test_what_a_link_leaves_out_is_left_out_and_what_it_repeats_is_kept(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/a?page=[page]&tags=[tags]&q=[q]&v=2", ", parameters: {tags: {type: array, explode: false}}"))
    link = 'Link: <http://x/b/9?v=2&tags=a%2Cb,c&q=x+y%2Bz&cursor=&page=2>; rel="next"'
    server.will(reply("[1]", 200, link), reply("[2]"))
    bot.read(f"{server.url}/a?tags=a,b&q=x", all_pages=True)
    assert server.calls[1][1] in ("/a?page=2&tags=a%2Cb,c&q=x%20y%2Bz&v=2", "/a?page=2&tags=a,b,c&q=x%20y%2Bz&v=2")


def test_a_value_that_each_call_needs_stays_where_a_link_leaves_it_out(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/a?page=[page]&org=[org]", ", parameters: {org: {required: true}}"))
    server.will(reply("[1]", 200, 'Link: <?page=2>; rel="next"'), reply("[2]"))
    assert bot.read(f"{server.url}/a?org=7", all_pages=True)["data"] == [1, 2]
    assert server.calls[1] == ("GET", "/a?page=2&org=7")


def test_a_link_to_a_place_that_the_catalog_allows_is_followed_where_its_query_says_nothing(
    opened: Any, server: RestServer
) -> None:
    bot = opened(entry("/query") + entry("/query/[locator]"))  # as Salesforce's nextRecordsUrl
    server.will(
        reply(f'{{"totalSize": 20, "done": false, "nextRecordsUrl": "/query/01g-2000", "records": {TEN}}}'),
        reply(json.dumps({"totalSize": 20, "done": True, "records": things(20)[10:]})),
    )
    result = bot.read(f"{server.url}/query", all_pages=True)
    assert ids(result) == WANTED[:20]
    assert server.calls == [("GET", "/query"), ("GET", "/query/01g-2000")]


@pytest.mark.parametrize("style", ["link", "next_url"])
def test_links_that_need_a_page_to_begin_with_lose_no_page_0(opened: Any, server: RestServer, style: str) -> None:
    def answer(seen: Seen) -> list[bytes]:
        number = int(seen.target.rpartition("page=")[2])
        links = {rel: f"/things?page={at}" for rel, at in (("prev", number - 1), ("next", number + 1)) if 0 <= at < 4}
        items = things(35)[number * 10 : number * 10 + 10]
        if style == "next_url":
            return [reply(json.dumps({"data": items, "links": links}))]
        return [
            reply(json.dumps(items), 200, "Link: " + ", ".join(f'<{url}>; rel="{rel}"' for rel, url in links.items()))
        ]

    server.always(answer)
    more = ", next: links.next" if style == "next_url" else ""
    bot = opened(entry("/things?page=[page]", f", pagination: {{style: {style}, parameter: page{more}}}"))
    result = bot.read(f"{server.url}/things", all_pages=True)
    assert (ids(result), result.get("note")) == (WANTED, None)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("is_counted", [True, False])
def test_a_page_that_the_call_names_is_where_a_tried_out_list_begins(
    opened: Any, server: RestServer, first: int, is_counted: bool
) -> None:
    def answer(seen: Seen) -> list[bytes]:
        at = (int(seen.target.rpartition("page=")[2] or first) - first) * 10
        told = {"total_pages": 4} if is_counted else {}
        return [reply(json.dumps({"data": things(35)[at : at + 10] if at >= 0 else [], **told}))]

    server.always(answer)
    result = opened(entry("/things?page=[page]")).read(f"{server.url}/things?page=2", all_pages=True)
    assert ids(result) == WANTED[(2 - first) * 10 :]


# --- a list that moves -------------------------------------------------------------------------------------------------


def pages_of(*pages: tuple[list[Any], int]) -> Any:
    """A server that gives these pages of items with what it counts, by their number."""

    def answer(seen: Seen) -> list[bytes]:
        number = int(seen.target.rpartition("page=")[2] or 1)
        items, total = pages[number - 1] if 0 < number <= len(pages) else ([], pages[-1][1])
        return [reply(json.dumps({"data": items, "total": total}))]

    return answer


PAGED = entry("/things?page=[page]", ", pagination: {style: page, parameter: page, total: total}")


def test_an_item_that_comes_again_is_there_once_and_the_note_says_so(opened: Any, server: RestServer) -> None:
    some = things(30)
    server.always(pages_of((some[:10], 30), (some[9:19], 31), (some[19:], 31)))
    result = opened(PAGED).read(f"{server.url}/things", all_pages=True)
    assert ids(result) == WANTED[:30]
    assert "30 of 31 were read, since the list changed while it was read" in result["note"]
    assert "the API counted 30, then 31" in result["note"]
    assert "1 came again on a later page" in result["note"]
    assert result["items"] == 30


def test_a_total_that_moved_is_told_also_where_the_numbers_agree(opened: Any, server: RestServer) -> None:
    some = things(30)
    server.always(pages_of((some[:10], 30), (some[11:21], 29), (some[21:], 29)))
    result = opened(PAGED).read(f"{server.url}/things", all_pages=True)
    assert len(result["data"]) == 29
    assert "The list changed while it was read: the API counted 30, then 29. Something may be missing" in result["note"]


def test_a_list_that_stands_still_has_no_such_note(opened: Any, server: RestServer) -> None:
    some = things(25)
    server.always(pages_of((some[:10], 25), (some[10:20], 25), (some[20:], 25)))
    result = opened(PAGED).read(f"{server.url}/things", all_pages=True)
    assert (ids(result), "note" in result) == (WANTED[:25], False)


ALIKE: list[list[Any]] = [
    [1, 1, 2, 2] * 5,
    ["a", "b"] * 10,
    [{"id": 1 + number % 2, "line": number} for number in range(20)],  # ids that tell nothing apart
    [{"type": kind, "id": number} for kind in ("user", "group") for number in range(10)],
    [{"value": number % 2} for number in range(20)],
    [{"key": "color", "scope": number} for number in range(20)],
]


def test_items_that_are_alike_without_being_one_stay(opened: Any, server: RestServer) -> None:
    bot = opened(PAGED)
    for items in ALIKE:
        server.always(pages_of((items[:10], 20), (items[10:], 20)))
        result = bot.read(f"{server.url}/things", all_pages=True)
        assert result["data"] == items or items[:10] == items[10:], items


# --- long texts --------------------------------------------------------------------------------------------------------

LOG = "\n".join(
    f"{number:05} {'ERROR disk full' if number % 1_000 == 0 else 'info all is well here'} {'.' * 10}"
    for number in range(1, 10_001)
)


def read_log(bot: BotParts, server: RestServer, answer: bytes) -> tuple[str, Json]:
    """A log that a turn reads: its thread, and the result."""
    server.will(answer)
    bot.replies.will(calls(("GET", f"{server.url}/log")))
    thread = bot.ask()
    return thread, tool_results(bot.replies.asked[-1])[-1]


@pytest.mark.parametrize("is_json", [False, True])
def test_every_line_of_a_long_text_can_be_seen(opened: Any, server: RestServer, is_json: bool) -> None:
    assert len(LOG) > 380_000
    bot = opened(entry("/log"))
    answer = reply(json.dumps({"log": LOG, "level": "all"})) if is_json else reply(LOG, kind="text/plain")
    thread, result = read_log(bot, server, answer)
    assert "The whole answer is kept as r1" in result["note"]
    seen: list[str] = []
    at, requests = 1, 0
    while True:
        more = ask_more(bot, thread, result="r1", from_=at)
        seen += more["data"].split("\n")
        requests += 1
        if "Go on with from" not in more["note"]:
            break
        at = int(more["note"].rpartition("from ")[2].rstrip("."))
    assert "\n".join(seen) == LOG
    assert requests < 25
    assert len(server.requests) == 1


def test_a_text_is_read_by_lines_from_its_end_and_searched(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/log"))
    thread, _ = read_log(bot, server, reply(LOG, kind="text/plain"))
    lines = LOG.split("\n")
    more = ask_more(bot, thread, result="r1", from_=500, lines=3)
    assert (more["data"].split("\n"), more["note"]) == (
        lines[499:502],
        "Lines 500 to 502 of 10,000. Go on with from 503.",
    )
    more = ask_more(bot, thread, result="r1", last=2)
    assert (more["data"].split("\n"), more["note"]) == (lines[-2:], "Lines 9,999 to 10,000 of 10,000.")
    more = ask_more(bot, thread, result="r1", contains="error DISK")
    assert [one["line"] for one in more["data"]] == [number * 1_000 for number in range(1, 11)]
    assert more["data"][0]["text"] == lines[999]
    assert more["note"] == "10 of 10,000 lines hold that text; 10 are shown."
    more = ask_more(bot, thread, result="r1", contains="ERROR", from_=2_500, lines=2)
    assert [one["line"] for one in more["data"]] == [3_000, 4_000]
    assert "Go on with from 4001." in more["note"]
    assert [one["line"] for one in ask_more(bot, thread, result="r1", contains="ERROR", last=1)["data"]] == [10_000]
    assert ask_more(bot, thread, result="r1", contains="nowhere")["note"] == "No line holds that text."
    assert ask_more(bot, thread, result="r1", from_=99_999)["note"] == "There are 10,000 lines."


def test_a_single_endless_line_is_read_in_pieces(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/log"))
    text = "".join(f"<{number}>" for number in range(60_000))
    thread, _ = read_log(bot, server, reply(text, kind="text/plain"))
    more = ask_more(bot, thread, result="r1", last=1)
    assert more["data"].endswith("<59999>")
    assert "A line of more than 2,000 characters counts as several." in more["note"]
    assert ask_more(bot, thread, result="r1", contains="<31234>")["data"][0]["text"].count("<31234>") == 1


def test_a_list_is_searched_and_read_from_its_end(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/log"))
    many = [one | {"note": "x" * 100} for one in things(1_000)]
    thread, _ = read_log(bot, server, reply(json.dumps({"things": many})))
    assert [one["id"] for one in ask_more(bot, thread, result="r1", last=2)["data"]] == ["t999", "t1000"]
    more = ask_more(bot, thread, result="r1", contains="thing 77")
    assert [one["id"] for one in more["data"]] == ["t77", *(f"t77{digit}" for digit in range(10))]
    assert more["note"] == "Items 1 to 11 of 11 with that text."


def test_what_was_not_read_is_not_called_whole(opened: Any, server: RestServer) -> None:
    bot = opened(entry("/log"), max_response=200_000)
    thread, result = read_log(bot, server, reply(LOG, kind="text/plain"))
    assert "The answer is larger than 200,000 bytes; the rest was not read." in result["note"]
    assert "whole" not in result["note"]
    assert "What was read is kept as r1" in result["note"]
    more = ask_more(bot, thread, result="r1", last=1)
    assert "The answer is larger than 200,000 bytes; the rest was not read." in more["note"]
    missing = ask_more(bot, thread, result="r1", contains="10000 ERROR")
    assert missing["note"] == "No line holds that text. The answer is larger than 200,000 bytes; the rest was not read."


def test_a_part_of_a_list_is_not_called_whole_when_it_is_kept(opened: Any, server: RestServer) -> None:
    bot = opened(
        entry("/things?page=[page]", ", pagination: {style: page, parameter: page, items: data, max_items: 500}")
    )
    many = [one | {"note": "x" * 100} for one in things(600)]
    server.always(reply(json.dumps({"data": many})))
    bot.replies.will(calls({"method": "GET", "url": f"{server.url}/things", "all_pages": True}))
    thread = bot.ask()
    (result,) = tool_results(bot.replies.asked[1])
    assert "What was read is kept as r1" in result["note"]
    assert "These are not all: max_items of the catalog is 500." in ask_more(bot, thread, result="r1", last=1)["note"]


# --- the catalog -------------------------------------------------------------------------------------------------------


def test_a_look_up_finds_no_name_in_a_list_that_is_a_part(opened: Any, server: RestServer) -> None:
    bot = opened(
        entry("/things")
        + "  - {method: GET, url: '/things/[id]', description: d, "
        + "parameters: {id: {lookup: {operation: GET /things, match: [name], id: id}}}}\n"
    )
    server.always(reply(f'{{"things": {TEN}, "total": 95}}'))
    read = sort(resolve(bot.catalog, {"method": "GET", "url": f"{server.url}/things/Thing%2050"}), tainted=False)
    assert isinstance(read, Read)
    bot.replies.will(calls(("GET", f"{server.url}/things/Thing%2050")))
    bot.ask()
    (result,) = tool_results(bot.replies.asked[1])
    assert "could not be read completely" in result["error"]
    assert strict(json.dumps(result))
