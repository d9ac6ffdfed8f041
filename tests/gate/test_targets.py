"""What a card says of the thing that a request is about: read over real HTTP from APIs of all shapes, and never more than is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gate.policy import State
from gate.target_diff import Target
from store.proposal_record import Proposal
from tests.harness.bot_parts import BotParts
from tests.harness.loopback import Loopback, Reply, Request, as_json

TOM = {"id": 7, "first_name": "Tom", "last_name": "Berg", "email": "tom.berg@example.com", "job": "Sales"}
BOB = {"id": 8, "first_name": "Bob", "last_name": "Hale", "email": "bob.hale@example.com", "job": "Sales"}


UNKNOWN = "2 in the answer of GET {url}; the catalog does not say whether there are more:"


class Api(Loopback):
    """Answers a GET with what stands under its path and query, all else with 404; writes are taken."""

    def __init__(self) -> None:
        super().__init__(self._give)
        self.there: dict[str, Any] = {}

    def _give(self, request: Request) -> Reply:
        if request.method != "GET":
            return as_json({"ok": True})
        found = self.there.get(request.path, as_json({"error": "nothing here"}, 404))
        return found if isinstance(found, Reply) else as_json(found)

    @property
    def reads(self) -> list[str]:
        return [one.path for one in self.requests if one.method == "GET"]


Ask = Callable[..., Proposal]


@pytest.fixture
def api() -> Iterator[Api]:
    with (running := Api()):
        yield running


@pytest.fixture
def parts(tmp_path: Path, api: Api) -> Iterator[Callable[[str], BotParts]]:
    """Makes the bot's inside over endpoints, one a line: `METHOD /url`, and further keys behind it."""
    made: list[BotParts] = []

    def make(endpoints: str, **options: Any) -> BotParts:
        made.append(BotParts(tmp_path, catalog(api.url, endpoints), timeout=60, settles=0.01, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def catalog(url: str, endpoints: str) -> str:
    """A catalog of one line for each endpoint."""
    lines = [line.split(None, 2) for line in endpoints.splitlines() if line.strip()]
    entries = [
        f'{{method: {m}, url: "{u}", description: Does it.{", " + rest[0] if rest else ""}}}' for m, u, *rest in lines
    ]
    return f"name: HR\nbase_url: {url}\nendpoints:\n" + "\n".join(f"  - {one}" for one in entries)


def shown(row: Proposal, bot: BotParts) -> list[str]:
    """The lines of a card that are plain text, above the request itself."""
    (card,) = [one for one in bot.cards(row.thread) if one.post == row.card][:1]
    texts = [block["text"]["text"] for block in card.arguments["blocks"] if block["type"] == "section"]
    lines = "\n".join(texts).split("\n")
    return lines[: lines.index(f"{row.method} {row.shown_url}")]


def asked(bot: BotParts, method: str, url: str, body: object = None) -> list[str]:
    """What the card of a request says of what it is about."""
    row = bot.proposed(method, url, body)
    return [line for line in shown(row, bot) if line != "Does it."]


# --- whose record -----------------------------------------------------------------------------------------------------

USERS = """
GET /users/[id]
PUT /users/[id]
PATCH /users/[id]
DELETE /users/[id]
POST /users/[id]
POST /users/[user_id]/suspend
PUT /users/[user_id]/suspend
DELETE /users/[user_id]/sessions
POST /users
"""
ABOUT_TOM = 'About: Tom Berg, id 7, email "tom.berg@example.com"'


ABOUT_WHOM: list[tuple[str, str, object, list[str]]] = [
    ("PATCH", "/users/7", {"role": "admin"}, ['role: (nothing) → "admin"']),
    ("PUT", "/users/7", TOM | {"job": "Lead"}, ['job: "Sales" → "Lead"']),
    ("POST", "/users/7", {"job": "Lead"}, ['job: "Sales" → "Lead"']),
    ("POST", "/users/7/suspend", None, []),
    ("POST", "/users/7/suspend", {"job": "none", "reason": "left"}, []),
    ("PUT", "/users/7/suspend", None, []),
    ("PUT", "/users/7/suspend", {"job": "none"}, []),
    ("DELETE", "/users/7/sessions", None, []),
    ("PUT", "/users/7", None, ["The request has no body, so it names no field."]),
    ("PATCH", "/users/7", None, ["The request has no body, so it names no field."]),
    ("POST", "/users", {"first_name": "Zoe"}, []),
]


def test_a_card_names_whom_it_is_about_and_claims_no_change_that_it_cannot_know(
    parts: Callable[[str], BotParts], api: Api
) -> None:
    """ "Make Ann an admin" with Bob's id got an honest click: the card showed the id alone."""
    api.there = {"/users/7": TOM}
    bot = parts(USERS)
    for method, url, body, more in ABOUT_WHOM:
        api.requests.clear()
        expected = [ABOUT_TOM, *more] if "7" in url else more
        assert asked(bot, method, url, body) == expected, (method, url, body)
        assert api.reads == (["/users/7"] if "7" in url else []), (method, url, body)


NAMED: list[tuple[Any, str]] = [
        (TOM, 'Tom Berg, id 7, email "tom.berg@example.com"'),
        ({"data": TOM}, 'Tom Berg, id 7, email "tom.berg@example.com"'),
        ({"data": {"id": "7", "type": "user", "attributes": {"name": "Tom"}}}, "Tom, id 7"),
        ({"id": 7, "name": "Tom", "title": "Dr"}, "Tom, id 7"),
        ({"id": 7, "firstName": "Tom", "lastName": "Berg", "title": "CEO"}, "Tom Berg, id 7"),
        ({"id": 7, "displayName": "Tom B.", "givenName": "Thomas"}, "Tom B., id 7"),
        ({"name": {"givenName": "Tom", "familyName": "Berg"}, "id": "7"}, "Tom Berg, id 7"),
        ({"id": 7, "title": "Broken lamp"}, "Broken lamp, id 7"),
        ({"id": 7, "label": "Kitchen"}, "Kitchen, id 7"),
        ({"id": 7, "email": "tom@example.com"}, '"tom@example.com", id 7'),
        ({"metadata": {"name": "web", "uid": "ab-1"}, "kind": "Pod"}, 'web, uid ab-1'),
        ({"fields": {"summary": "Door stuck"}, "key": "OPS-1", "id": "10"}, '"OPS-1", id 10'),
        ({"total": 50, "state": "open", "paid": False}, 'user_id 7, state "open"'),
        ({"total": 50, "note": "x"}, 'user_id 7, total 50, note "x"'),
        ({"id": 7}, "id 7"),
        ({"_id": "5f", "name": "Tom"}, "Tom, _id 5f"),
        ([{"id": 7, "name": "Tom"}], "Tom, id 7"),
        ("a text", "a text, user_id 7"),
        (None, "user_id 7"),
    ]  # fmt: skip


def test_a_thing_is_named_by_the_usual_fields(parts: Callable[[str], BotParts], api: Api) -> None:
    bot = parts(USERS)
    for thing, about in NAMED:
        api.there = {"/users/7": thing}
        assert asked(bot, "POST", "/users/7/suspend") == [f"About: {about}"], thing


TITLES = {
    "title: nick": "Tommy, id 7",
    "title: [nick, role]": "Tommy admin, id 7",
    "title: [nick, nowhere]": "Tommy, id 7",
    "title: nowhere": "Tom, id 7",
    "title: team.name": "Blue, id 7",
    "title: id": '"7"',
}


def test_the_catalog_can_say_what_names_a_thing(parts: Callable[[str], BotParts], api: Api) -> None:
    thing = {"id": 7, "name": "Tom", "nick": "Tommy", "role": "admin", "team": {"name": "Blue"}}
    get, post = [], []
    for number, title in enumerate(TITLES):
        api.there[f"/read{number}/7"] = api.there[f"/written{number}/7"] = thing
        get.append(f"GET /read{number}/[id] {title}\nPOST /read{number}/[id]/suspend")
        post.append(f"GET /written{number}/[id]\nPOST /written{number}/[id]/suspend {title}")
    bot = parts("\n".join(get + post))
    for number, (title, about) in enumerate(TITLES.items()):
        for path in ("read", "written"):
            assert asked(bot, "POST", f"/{path}{number}/7/suspend") == [f"About: {about}"], (title, path)


PEOPLE = [BOB, TOM, {"id": 77, "first_name": "Tom", "last_name": "Berger"}]


def test_where_the_catalog_has_a_list_alone_the_thing_is_found_in_it(
    parts: Callable[[str], BotParts], api: Api
) -> None:
    """The smallest catalog has a list and a DELETE."""
    api.there = {"/users": PEOPLE}
    bot = parts("GET /users\nDELETE /users/[user_id]\nPOST /users/[user_id]/suspend\nPATCH /users/[user_id]")
    for method, url, body in (
        ("DELETE", "/users/7", None),
        ("POST", "/users/7/suspend", None),
        ("PATCH", "/users/7", {"job": "Lead"}),
    ):
        assert asked(bot, method, url, body) == [ABOUT_TOM]
    assert asked(bot, "DELETE", "/users/9") == [
        "What this is about can't be shown: GET /users lists none with user_id 9."
    ]


def test_the_list_is_read_page_by_page_until_the_thing_is_there(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {f"/users?page={n}": [{"id": 2 * n}, {"id": 2 * n + 1, "name": "Odd"}] for n in range(1, 9)}
    bot = parts("GET /users?page=[page] pagination: {style: page, parameter: page}\nDELETE /users/[id]")
    assert asked(bot, "DELETE", "/users/7") == ["About: Odd, id 7"]
    assert api.reads == [f"/users?page={n}" for n in (1, 2, 3)]


def test_a_list_that_was_not_read_to_its_end_proves_nothing(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {"/users": as_json(PEOPLE, 200, **{"X-Total-Count": "40"})}
    lines = asked(parts("GET /users\nDELETE /users/[id]"), "DELETE", "/users/9")
    assert lines == [
        "What this is about can't be shown: GET /users was not read to its end, and no part of it has id 9."
    ]


def test_what_the_catalog_cannot_show_is_told(parts: Callable[[str], BotParts], api: Api) -> None:
    bot = parts("DELETE /users/[id]\nPOST /users/[id]/suspend\nPUT /settings\nPOST /users")
    for method, url, body in (
        ("DELETE", "/users/7", None),
        ("POST", "/users/7/suspend", None),
        ("PUT", "/settings", {"a": 1}),
    ):
        assert asked(bot, method, url, body) == ["What this is about can't be shown: the catalog has no GET for it."]
    assert asked(bot, "POST", "/users", {"a": 1}) == []
    assert api.reads == []


def test_a_preview_that_is_turned_off_shows_nothing(parts: Callable[[str], BotParts], api: Api) -> None:
    off = "preview: false"
    bot = parts(f"GET /users/[id]\nDELETE /users/[id] {off}\nPOST /users/[id]/suspend {off}")
    for method, url in (("DELETE", "/users/7"), ("POST", "/users/7/suspend")):
        assert asked(bot, method, url) == []
    assert api.reads == []


def test_a_preview_by_name_may_call_its_placeholders_otherwise(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {"/users/7": TOM}
    bot = parts("GET /users/[id]\nPOST /users/[user_id]/suspend preview: 'GET /users/[id]'")
    assert asked(bot, "POST", "/users/7/suspend") == [ABOUT_TOM]


def test_a_thing_with_two_names_in_its_path_is_told_by_both(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {"/queues/prod/mail": {"name": "mail", "messages": 5, "state": "running"}}
    bot = parts("GET /queues/[vhost]/[name]\nDELETE /queues/[vhost]/[name]")
    assert asked(bot, "DELETE", "/queues/prod/mail")[0] == 'About: mail, vhost prod, state "running"'


def test_a_thing_without_an_id_of_its_own_has_that_of_its_own_part_of_the_path(
    parts: Callable[[str], BotParts], api: Api
) -> None:
    """Whoever leaves the team is no part of its name."""
    api.there = {"/teams/3": {"name": "Blue", "user": {"id": 1}}}
    bot = parts("GET /teams/[team]\nDELETE /teams/[team]/members/[user]")
    assert asked(bot, "DELETE", "/teams/3/members/7") == ["About: Blue, team 3"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (as_json({"error": "down"}, 500), "the API answered GET {url}/recs with 500 Internal Server Error"),
        (as_json({"message": "nothing listed"}), "GET {url}/recs did not give a complete list"),
    ],
)
@pytest.mark.parametrize(("url", "body"), [("/recs/7", None), ("/recs", [7])])
def test_a_list_that_was_not_given_proves_nothing(
    parts: Callable[[str], BotParts], api: Api, answer: Reply, problem: str, url: str, body: object
) -> None:
    """That nothing with an id is there would be a claim."""
    api.there = {"/recs": answer}
    bot = parts("GET /recs\nDELETE /recs\nDELETE /recs/[id]")
    assert asked(bot, "DELETE", url, body) == [f"What this is about can't be shown: {problem.format(url=api.url)}."]


# --- several things ---------------------------------------------------------------------------------------------------

RECS = """
GET /recs?state=[state]
GET /recs/[id]
DELETE /recs?state=[state]
PATCH /recs?state=[state]
PUT /recs
"""
OPEN = [{"id": 1, "name": "One", "state": "open"}, {"id": 2, "name": "Two", "state": "open"}]
CLOSED = [{"id": 3, "name": "Three", "state": "closed"}, {"id": 4, "name": "Four", "state": "closed"}]


def test_a_bulk_request_shows_what_its_query_chooses(parts: Callable[[str], BotParts], api: Api) -> None:
    """The unfiltered list stood there as "What is removed"."""
    api.there = {"/recs": OPEN + CLOSED, "/recs?state=closed": as_json(CLOSED, 200, **{"X-Total-Count": "2"})}
    lines = asked(parts(RECS), "DELETE", "/recs?state=closed")
    assert lines == [
        "About: 2: Three, id 3; Four, id 4",
        f"All 2 that GET {api.url}/recs?state=closed lists:",
        "• Three, id 3",
        "• Four, id 4",
    ]
    assert api.reads == ["/recs?state=closed"]


OTHERWISE_CHOSEN: list[tuple[str, str, object, str]] = [
        ("GET /recs", "/recs?state=closed", None, "the request selects by 'state', which GET /recs does not take"),
        ("GET /recs?state=[s]", "/recs?state=closed", {"only": "old"}, "the request's body says which things are meant"),
        ("GET /recs?state=[s]", "/recs", {"filter": {"state": "closed"}}, "the request's body says which things are meant"),
        ("GET /recs?state=[s]", "/recs", [{"state": "closed"}], "the request's body says which things are meant"),
        ("GET /recs?state=[s] parameters: {s: {enum: [open]}}", "/recs?state=closed", None,
         "the request selects by 'state', which GET /recs does not take"),
        ("GET /recs?state=open", "/recs?state=closed", None, "the request selects by 'state', which GET /recs does not take"),
        ("GET /recs?state=[s] approval: always", "/recs?state=closed", None, "reading it needs a person's approval"),
    ]  # fmt: skip


def test_what_a_bulk_request_chooses_in_another_way_is_not_shown(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {"/recs": OPEN + CLOSED, "/recs?state=closed": CLOSED, "/recs?state=open": OPEN}
    for endpoints, url, body, problem in OTHERWISE_CHOSEN:
        lines = asked(parts(f"{endpoints}\nDELETE /recs?state=[state]"), "DELETE", url, body)
        assert lines == [f"What this is about can't be shown: {problem}."], (endpoints, url, body)


WITH_IDS: list[tuple[str, object]] = [
    ("/recs", [3, 9]),
    ("/recs", ["3", "9"]),
    ("/recs", {"ids": [3, 9]}),
    ("/recs", {"keys": [3, 9], "hard": True}),
    ("/recs", {"rec_ids": [3, 9]}),
    ("/recs", [{"id": 3}, {"id": 9}]),
    ("/recs", {"data": [{"type": "recs", "id": "3"}, {"type": "recs", "id": "9"}]}),
    ("/recs?ids=3,9", None),
    ("/recs?ids=3&ids=9", None),
]


@pytest.mark.parametrize("single", [True, False])
def test_the_ids_that_a_request_names_are_what_is_asked_for(
    parts: Callable[[str], BotParts], api: Api, single: bool
) -> None:
    """A DELETE of [9, 10] showed items 1, 2 and 3."""
    api.there = {"/recs": OPEN + CLOSED, "/recs/3": CLOSED[0]}
    ids = "parameters: {ids: {type: array, items: {type: integer}}}"
    bot = parts(
        f"GET /recs{'' if single else ' pagination: {style: link}'}\nDELETE /recs?ids=[ids] {ids}"
        + ("\nGET /recs/[id]" if single else "")
    )
    for url, body in WITH_IDS:
        api.requests.clear()
        lines = asked(bot, "DELETE", url, body)
        assert lines == [
            "About: 1: Three, id 3",
            "1 of the 2 that the request names:",
            "• Three, id 3",
            "Not there: 9",
        ], (url, body)
        assert api.reads == (["/recs/3", "/recs/9"] if single else ["/recs"]), (url, body)


def test_of_many_ids_the_list_is_read_instead_of_each(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {f"/recs?page={n}": [{"id": 10 * n + one} for one in range(10)] for n in range(1, 9)}
    bot = parts("GET /recs?page=[page] pagination: {style: page, parameter: page}\nGET /recs/[id]\nDELETE /recs")
    lines = asked(bot, "DELETE", "/recs", list(range(15, 35)))
    assert lines[:3] == ["About: 20: id 15; id 16; id 17; ...", "20 of the 20 that the request names:", "• id 15"]
    assert lines[-1] == "... and 8 more."
    assert api.reads == [f"/recs?page={n}" for n in (1, 2, 3)]


def test_an_id_that_no_path_can_hold_leads_nowhere(parts: Callable[[str], BotParts], api: Api) -> None:
    """The model wrote it: it is checked like every other path value."""
    api.there = {"/recs": OPEN}
    lines = asked(
        parts("GET /recs pagination: {style: link}\nGET /recs/[id]\nDELETE /recs"), "DELETE", "/recs", ["../admin", 1]
    )
    assert lines == [
        "About: 1: One, id 1",
        "1 of the 2 that the request names:",
        "• One, id 1",
        "Not there: ../admin",
    ]
    assert api.reads == ["/recs"]


def pages(*, of: int, per: int = 2, **more: str) -> Mapping[str, Any]:
    """A list over pages that a Link header leads through."""

    def page(number: int) -> Reply:
        last = number == of
        link = {} if last else {"Link": f'</recs?page={number + 1}>; rel="next"'}
        return as_json([{"id": number * per + one} for one in range(per)], 200, **link, **more)

    return {"/recs": page(1), **{f"/recs?page={number}": page(number) for number in range(2, of + 1)}}


def test_a_bulk_request_over_several_pages_shows_them_all(parts: Callable[[str], BotParts], api: Api) -> None:
    """Page 1 stood there as all."""
    api.there = dict(pages(of=5))
    bot = parts("GET /recs?page=[page]\nDELETE /recs")
    lines = asked(bot, "DELETE", "/recs")
    assert lines[1] == f"All 10 that GET {api.url}/recs lists:"
    assert lines[2:] == [f"• id {number}" for number in range(2, 12)]


COUNTS: list[tuple[Reply, str, str]] = [
        (as_json(OPEN), "", UNKNOWN),
        (as_json(OPEN), "pagination: {style: link}", "All 2 that GET {url} lists:"),
        (as_json([]), "pagination: {style: link}", "Nothing: GET {url} lists none."),
        (as_json(OPEN, 200, **{"X-Total-Count": "2"}), "", "All 2 that GET {url} lists:"),
        (as_json(OPEN, 200, **{"X-Total-Count": "40"}), "", "The first 2 of 40 that GET {url} lists:"),
        (as_json(OPEN, 200, **{"Content-Range": "items 0-1/40"}), "", "The first 2 of 40 that GET {url} lists:"),
        (as_json({"data": OPEN, "total": 40}), "", "The first 2 of 40 that GET {url} lists:"),
        (as_json({"items": OPEN, "meta": {"totalCount": 40}}), "", "The first 2 of 40 that GET {url} lists:"),
        (as_json({"recs": OPEN, "next": "/recs?page=2"}), "", "The first 2 that GET {url} lists; there are more:"),
        (as_json({"results": OPEN, "has_more": True}), "", "The first 2 that GET {url} lists; there are more:"),
        (as_json({"results": OPEN, "has_more": False}), "", UNKNOWN),
        (as_json(OPEN, 200, **{"Next-Page": "/recs?_token=x"}), "", "The first 2 that GET {url} lists; there are more:"),
        (as_json({"_embedded": {"recs": OPEN}, "page": {"totalElements": 40}}), "", "The first 2 of 40 that GET {url} lists:"),
        (as_json({"data": OPEN, "pagination": {"next_cursor": "x"}}), "", "The first 2 that GET {url} lists; there are more:"),
        (as_json({"data": OPEN, "pagination": {"next_cursor": None}, "total": 2}), "", "All 2 that GET {url} lists:"),
    ]  # fmt: skip


def test_how_many_of_how_many_is_told(parts: Callable[[str], BotParts], api: Api) -> None:
    bots = {paging: parts(f"GET /recs {paging}\nDELETE /recs") for paging in ("", "pagination: {style: link}")}
    for answer, paging, line in COUNTS:
        api.there = {"/recs": answer}
        lines = asked(bots[paging], "DELETE", "/recs")
        assert line.format(url=f"{api.url}/recs") in lines, (answer, paging)


def test_a_list_that_breaks_off_is_no_whole_one(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {"/recs?page=1": OPEN, "/recs?page=2": as_json({"error": "down"}, 500)}
    bot = parts("GET /recs?page=[page] pagination: {style: page, parameter: page}\nDELETE /recs")
    assert f"The first 2 that GET {api.url}/recs lists; there are more:" in asked(bot, "DELETE", "/recs")


@pytest.mark.parametrize(
    "settings", [{"theme": "x", "admins": [{"id": 1}, {"id": 2}]}, {"data": {"theme": "x", "tags": ["a"]}}]
)
def test_a_thing_that_holds_a_list_is_no_list(parts: Callable[[str], BotParts], api: Api, settings: Any) -> None:
    api.there = {"/settings": settings}
    lines = asked(parts("GET /settings\nPUT /settings"), "PUT", "/settings", {"theme": "y"})
    assert 'theme: "x" → "y"' in lines


@pytest.mark.parametrize("url", ["/orders/7", "/order"])
def test_an_order_with_items_is_one_order(parts: Callable[[str], BotParts], api: Api, url: str) -> None:
    api.there = {url: {"id": 7, "items": [{"id": 1}, {"id": 2}], "total": 50}}
    bot = parts("GET /orders/[id]\nDELETE /orders/[id]\nPATCH /orders/[id]\nGET /order\nDELETE /order\nPATCH /order")
    removed = ["id: 7", "items[id 1].id: 1", "items[id 2].id: 2", "total: 50"]
    assert asked(bot, "DELETE", url) == ["About: id 7, total 50", *removed]
    assert asked(bot, "PATCH", url, {"total": 40}) == ["About: id 7, total 50", "total: 50 → 40"]
    api.there = {url: {"items": [{"id": 1}, {"id": 2}], "total": 50}}
    assert "total: 50 → 40" in asked(bot, "PATCH", url, {"total": 40})


def test_of_thousands_of_ids_the_card_tells_some_and_all_are_looked_for(
    parts: Callable[[str], BotParts], api: Api
) -> None:
    api.there = {"/recs": [{"id": number} for number in range(5_000)]}
    bot = parts("GET /recs pagination: {style: link}\nGET /recs/[id]\nDELETE /recs")
    row = bot.proposed("DELETE", "/recs", list(range(2_000, 8_000)))
    lines = [line for line in shown(row, bot) if line != "Does it."]
    assert lines[1] == "3,000 of the 6,000 that the request names:"
    assert lines[-1].startswith("Not there: 5000, 5001, 5002, ")
    target = Target.from_json(row.before)
    assert target is not None
    assert (target.count, target.total, len(target.names), len(row.before or "") < 80_000) == (3_000, 6_000, 200, True)


def test_a_value_that_the_catalog_hides_is_not_read_with_where_the_read_would_show_it(
    parts: Callable[[str], BotParts], api: Api
) -> None:
    api.there = {"/people/s3cret": TOM, "/vaults/s3cret": TOM, "/vaults": [TOM], "/pins": [{"id": 1}]}

    def secret(*names: str) -> str:
        return "parameters: {" + ", ".join(f"{name}: {{type: string, secret: true}}" for name in names) + "}"

    bot = parts(
        f"GET /people/[id]\nPUT /people/[key]/pin?pin=[pin] {secret('key', 'pin')}\nGET /vaults/[key] {secret('key')}\n"
        f"DELETE /vaults/[key] {secret('key')}\nGET /pins?pin=[pin]\nDELETE /pins?pin=[pin] {secret('pin')}\n"
        f"DELETE /pins/[pin] {secret('pin')}"
    )
    problem = "What this is about can't be shown: "
    told = [
        asked(bot, "PUT", "/people/s3cret/pin?pin=9941"),
        asked(bot, "DELETE", "/pins?pin=9941"),
        asked(bot, "DELETE", "/pins/9941"),
    ]
    assert told == [
        [f"{problem}reading it would show a value that the catalog hides."],
        [f"{problem}the request selects by 'pin', which GET /pins does not take."],
        [f"{problem}GET /pins lists none with pin ...."],
    ]
    assert asked(bot, "DELETE", "/vaults/s3cret")[0] == ABOUT_TOM
    assert api.reads == ["/pins", "/pins", "/vaults/s3cret"]
    posts = [post.arguments for row in bot.store.proposals_in(*State) for post in bot.cards(row.thread)]
    noted = "".join(line.data for line in bot.store.journal.lines())
    assert not [word for word in ("9941", "s3cret") if word in json.dumps(posts) + noted]


def test_a_change_of_several_things_says_what_it_may_touch(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {"/recs?state=closed": as_json({"data": CLOSED, "total": 2})}
    row = parts(RECS).proposed("PATCH", "/recs?state=closed", {"archived": True})
    target = Target.from_json(row.before)
    assert target is not None
    assert (target.role, target.count, target.total, target.rest) == ("several", 2, 2, "none")


def test_a_list_that_is_replaced_is_told_item_by_item(parts: Callable[[str], BotParts], api: Api) -> None:
    api.there = {"/recs": as_json(OPEN, 200, **{"X-Total-Count": "2"})}
    body = [{"id": 1, "name": "Uno", "state": "open"}, {"id": 5, "name": "Five"}]
    assert asked(parts(RECS), "PUT", "/recs", body)[2:] == [
        '[id 2]: {"id":2,"name":"Two","state":"open"} (not in the request)',
        '[id 1].name: "One" → "Uno"',
        '[id 5]: + {"id":5,"name":"Five"}',
    ]


@pytest.mark.parametrize(("query", "heading"), [("", "What is removed:"), ("?soft=true", "As it is now:")])
def test_what_a_removal_with_a_switch_does_is_not_claimed(
    parts: Callable[[str], BotParts], api: Api, query: str, heading: str
) -> None:
    api.there = {"/users/7": TOM}
    bot = parts("GET /users/[id]\nDELETE /users/[id]?soft=[soft]")
    row = bot.approved("DELETE", f"/users/7{query}")
    assert heading in json.dumps([post.arguments for post in bot.cards(row.thread)])


# --- bodies of all kinds ----------------------------------------------------------------------------------------------

OPERATIONS = [
    {"op": "replace", "path": "/job", "value": "Lead"},
    {"op": "remove", "path": "/email"},
    {"op": "test", "path": "/id", "value": 7},
    {"op": "add", "path": "/tags/-", "value": "vip"},
    {"op": "move", "from": "/job", "path": "/title"},
]


BODIES: list[tuple[str, object, list[str]]] = [
        ("PATCH", OPERATIONS, [
            'replace /job: "Sales" → "Lead"', 'remove /email: "tom.berg@example.com"', "only if /id is 7", 'add /tags/-: "vip"',
            "move /job to /title",
        ]),
        ("PATCH", {"tags": ["b", "c"]}, ['tags: "a" (not in the request)', 'tags: + "c"']),
        ("PATCH", {"tags": ["b", "a"]}, ["tags: the same items in another order"]),
        ("PATCH", {"data": {"job": "Lead"}}, ['data.job: "Sales" → "Lead"']),
        ("PATCH", {"user": {"job": "Lead"}}, ['user.job: "Sales" → "Lead"']),
        ("PATCH", {"job": "Sales"}, ["Nothing: the target looks like this already."]),
        ("PATCH", ["job"], ["The request's body is a list; it is unclear what it changes here."]),
        ("PUT", {"first_name": "Tom", "last_name": "Berg", "job": "Lead"}, [
            'job: "Sales" → "Lead"', "id: 7 (not in the request)", 'email: "tom.berg@example.com" (not in the request)',
            'tags: ["a","b"] (not in the request)',
        ]),
    ]  # fmt: skip


def test_a_body_is_told_for_what_it_is(parts: Callable[[str], BotParts], api: Api) -> None:
    """For each of these a card said "name: "Ann" → (nothing)" or the like."""
    bot = parts(USERS)
    api.there = {"/users/7": TOM | {"tags": ["a", "b"]}}
    for method, body, lines in BODIES:
        assert asked(bot, method, "/users/7", body)[1:] == lines, body


# --- before it is sent ------------------------------------------------------------------------------------------------


def sent(bot: BotParts, row: Proposal) -> Proposal:
    bot.advance(row.thread)
    return bot.row(row)


CHANGED: list[tuple[str, str, object, str, Any]] = [
    ("PATCH", "/users/7", {"role": "admin"}, "/users/7", TOM | {"first_name": "Tim"}),
    ("PATCH", "/users/7", {"role": "admin"}, "/users/7", BOB),
    ("POST", "/users/7/suspend", None, "/users/7", BOB),
    ("POST", "/users/7/suspend", None, "/users/7", TOM | {"email": "ann@example.com"}),
    ("DELETE", "/users/7/sessions", None, "/users/7", TOM | {"last_name": "Berger"}),
    ("DELETE", "/recs?state=closed", None, "/recs?state=closed", [*CLOSED, {"id": 5, "name": "Five"}]),
    ("DELETE", "/recs?state=closed", None, "/recs?state=closed", CLOSED[:1]),
    ("DELETE", "/recs?state=closed", None, "/recs?state=closed", [CLOSED[0], CLOSED[1] | {"state": "open"}]),
    ("DELETE", "/recs", [3], "/recs/3", CLOSED[0] | {"name": "Other"}),
    ("DELETE", "/recs", [3, 4], "/recs/4", CLOSED[1]),
]


def test_what_changed_behind_the_back_is_not_sent(parts: Callable[[str], BotParts], api: Api) -> None:
    bot = parts(USERS + RECS)
    for method, url, body, path, now in CHANGED:
        api.there = {"/users/7": TOM, "/recs?state=closed": CLOSED, "/recs/3": CLOSED[0]}
        row = bot.approved(method, url, body)
        api.there[path] = now
        assert sent(bot, row).state is State.STALE, (method, url, now)
        assert {one.method for one in api.requests} == {"GET"}, (method, url, now)
        (again,) = (one for one in bot.pending() if one.turn == row.turn)
        assert again.before != row.before, (method, url, now)


UNCHANGED: list[tuple[str, str, object]] = [
    ("PATCH", "/users/7", {"role": "admin"}),
    ("POST", "/users/7/suspend", None),
    ("DELETE", "/recs?state=closed", None),
    ("DELETE", "/recs", [3, 9]),
]


def test_what_did_not_change_is_sent_whatever_else_did(parts: Callable[[str], BotParts], api: Api) -> None:
    bot = parts(USERS + RECS)
    for method, url, body in UNCHANGED:
        api.requests.clear()
        api.there = {"/users/7": TOM, "/recs?state=closed": CLOSED, "/recs/3": CLOSED[0]}
        row = bot.approved(method, url, body)
        api.there |= {"/users/7": TOM | {"visits": 9}, "/recs?state=closed": CLOSED[::-1], "/recs": []}
        assert sent(bot, row).state is State.DONE, (method, url)
        assert [one.method for one in api.requests if one.method != "GET"] == [method], (method, url)


def test_the_etag_of_another_address_is_not_sent_along(parts: Callable[[str], BotParts], api: Api) -> None:
    """It would never match: what If-Match is held against is the address that the write goes to."""
    api.there = {"/users/7": as_json(TOM, ETag='"seven"'), "/recs": as_json(OPEN, ETag='"list"')}
    bot = parts(USERS + RECS)
    for method, url, etag in (
        ("DELETE", "/users/7/sessions", None),
        ("POST", "/users/7/suspend", None),
        ("DELETE", "/recs", None),
        ("DELETE", "/users/7", '"seven"'),
    ):
        assert sent(bot, bot.approved(method, url)).state is State.DONE
        assert api.requests[-1].headers.get("if-match") == etag
