"""Further pages of a list: from an answer and the catalog's `pagination` to the next request, or to the end and why. Nothing is sent.

The API is untrusted: a token or URL that it gives is bounded and never taken twice, and where a URL may lead is judged by who sends.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never
from urllib.parse import unquote_plus

from base.jmespath_bounded import BadQuery, search
from base.shrink import as_json
from catalog.catalog import Operation, Pagination
from catalog.list_names import BESIDE_LISTS, LISTS, WRAPS
from catalog.signs_of_more import Page, holds, next_link, number_beside, plain_name, previous_told, says_no, total_told
from catalog.template import Value, split_list
from gate.naming import key_of

NO_PAGE = frozenset({204, 404, 416})  # how APIs that count say that a page lies behind the last one
_NOT_NOW = frozenset({401, 403, 408, 429})  # what says nothing of the page itself
LINKS = Pagination(
    style="link"
)  # holds where the catalog says nothing: what a Link header says, it says in a standard way
_MAX_TOKEN = 4_000  # characters
_WRAPS = ("_embedded", *WRAPS)
_KINDS = ("type", "kind", "object", "resourcetype", "model", "entity")  # ids are told apart by these, too
_Counted = Literal["page", "offset"]  # the styles that count


class BadStart(ValueError):
    """The paging cannot begin where the call says. Its text says what to write instead."""


@dataclass(frozen=True)
class NextPage:
    """What makes a request one for the next page: parameters to set, or a URL to go to, just as the API gave it."""

    values: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class End:
    """There is no further page to read. `why`: what was left out, and the reason; empty where the list itself ended."""

    why: str = ""


NOT_WHERE = "the API says that there are more, but not where"
NO_URL = "what the API gave as the next page's URL is not text"
NO_VALUE = "what the API gave for the next page is neither text nor a number"
NO_PARAMETER = "the API gave a token for the next page, and the catalog's pagination has no `parameter` that takes it"
SAME_PAGE = "the API gave the same page again for another {parameter}"


@dataclass(frozen=True)
class Course:
    """How far the paging of one list is. `skipped` is how many items stand before those of the first request, where that is known.

    `doubt`, of pages whose first number nobody told: "before" where the first was taken for 1, so that at the end a page 0 is looked
    for (`is_before`: it was asked for last); "after" where the first was asked for without a number, so that the next is 1, which may
    be the same once more.
    """

    paging: Pagination
    first: int = 0
    at: int = 0  # page or offset of the last request
    skipped: int | None = 0
    pages: int = 0
    items: int = 0
    total: int | None = None
    promised: bool = False  # whether the last answer says that there is more
    before: str = ""  # the last page's fingerprint
    counted: tuple[int, ...] = ()  # what the API counted in all: at last, and before that something else
    doubt: Literal["", "before", "after"] = ""
    is_before: bool = False
    is_whole: bool = False  # the first answer was all, without pages, whatever the pages say
    is_guess: bool = False  # the catalog says nothing of its paging
    known: frozenset[str] = frozenset()  # the first answer's items, where page 1 may bring them again
    first_page: str = ""  # the first page's fingerprint
    seen: frozenset[str] = frozenset()  # tokens and URLs

    @property
    def is_counted(self) -> bool:
        """Whether pages or items are counted in the query, so that a wrong one gives a page that was there."""
        match self.paging.style:
            case "page" | "offset":
                return True
            case "cursor" | "header" | "link" | "next_url":
                return False
            case other:
                assert_never(other)


def begin(operation: Operation, values: Mapping[str, Value]) -> tuple[Course, Mapping[str, Value]]:
    """The course of a list and the parameters of its first request, from those that the call has. Raises `BadStart`."""
    paging = operation.pagination or LINKS
    values = _with_size(operation, paging, values)
    parameter = paging.parameter
    if parameter is None:
        return _by_token(paging, None), values
    described = _first(operation.parameters.get(parameter, {}))
    match paging.style:
        case "cursor" | "header":
            return _by_token(paging, values.get(parameter)), values
        case "link" | "next_url":
            return _by_link(paging, parameter, described, values)
        case "page" | "offset" as style:
            return _by_number(paging, style, parameter, described, values)
        case other:
            assert_never(other)


def _by_token(paging: Pagination, given: Value | None, *, is_guess: bool = False) -> Course:
    """The course of a list that begins at its first page, or at a token that the call has."""
    seen = frozenset({str(given)} if given else ())
    return Course(paging, skipped=0 if given is None else None, seen=seen, is_guess=is_guess)


def _by_link(
    paging: Pagination, parameter: str, described: int | None, values: Mapping[str, Value]
) -> tuple[Course, Mapping[str, Value]]:
    """With the first page asked for: some APIs send links only then."""
    given, first = values.get(parameter), 1 if described is None else described
    doubt: Literal["", "before"] = "before" if described is None and given is None else ""
    skipped = 0 if given in (None, str(first)) else None
    return Course(paging, skipped=skipped, doubt=doubt), {parameter: str(first), **values}


def _by_number(
    paging: Pagination, style: _Counted, parameter: str, described: int | None, values: Mapping[str, Value]
) -> tuple[Course, Mapping[str, Value]]:
    """With the page or the offset that the call has, else the first. Raises `BadStart`."""
    first = _usual_first(style) if described is None else described
    text = values.get(parameter, str(first))
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,15}", text):
        raise BadStart(
            f"{parameter} has to be a number where all pages are asked for; leave it out to begin at the first"
        )
    is_doubtful = style == "page" and described is None and parameter not in values
    course = Course(paging, first, int(text), _skipped(style, int(text), first), doubt="before" if is_doubtful else "")
    return course, {**values, parameter: text}


def _usual_first(style: _Counted) -> int:
    return 0 if style == "offset" else 1


def _skipped(style: _Counted, at: int, first: int) -> int | None:
    """How many items stand before a page or an offset, where that is known."""
    return at if style == "offset" else 0 if at <= first else None


def guessed(operation: Operation, paging: Pagination, values: Mapping[str, Value], page: Page) -> Course:
    """The course of a list of which the catalog says nothing, after its first request: it is paged as its answer looks."""
    parameter = paging.parameter
    if parameter is None:
        return _by_token(paging, None, is_guess=True)
    match paging.style:
        case "cursor" | "header" | "link" | "next_url":
            return _by_token(paging, values.get(parameter), is_guess=True)
        case "page" | "offset" as style:
            described = _first(operation.parameters.get(parameter, {}))
            return _guessed_by_number(paging, style, described, values.get(parameter), page)
        case other:
            assert_never(other)


def _guessed_by_number(
    paging: Pagination, style: _Counted, described: int | None, given: Value | None, page: Page
) -> Course:
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,15}", given):
        at = int(given)
        first = min(_usual_first(style) if described is None else described, at)
        return Course(paging, first, at, _skipped(style, at, first), is_guess=True)
    if style == "offset":
        return Course(paging, is_guess=True)
    number = described if described is not None else page_told(page)
    if number is not None:
        return Course(paging, number, number, is_guess=True)
    return Course(paging, 1, 0, doubt="after", is_guess=True)


def page_told(page: Page) -> int | None:
    """Whether an answer calls the first page, which it was asked for without a number, 0 or 1; None where it says neither."""
    told = number_beside(page, ("pagenumber", "currentpage", "pageindex", "number", "page"))  # Spring: page.number
    return told if told in (0, 1) else None


def _with_size(operation: Operation, paging: Pagination, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """With the largest page that the size's schema allows, where the call begins at the first page and names no size itself."""
    largest = operation.parameters.get(paging.size or "", {}).get("maximum")
    if paging.size is None or {paging.size, paging.parameter} & set(values) or not isinstance(largest, int):
        return values
    return {**values, paging.size: str(largest)}


def _first(schema: Mapping[str, Any]) -> int | None:
    """The number of the first page: APIs that count from 0 say so in the parameter's schema."""
    said = [schema.get("default"), schema.get("minimum")]
    return next((one for one in said if isinstance(one, int) and not isinstance(one, bool) and one >= 0), None)


def items_of(paging: Pagination | None, data: Any) -> list[Any] | None:
    """The list in an answer: where `items` says, else the answer itself, else its only list, or the one that is called as lists are."""
    if paging is not None and paging.items is not None:
        try:
            data = search(paging.items, data)
        except BadQuery:
            return None
        return data if isinstance(data, list) else None
    return _only_list(data)


def _only_list(data: Any, depth: int = 2) -> list[Any] | None:
    if not isinstance(data, dict) or depth == 0:
        return data if isinstance(data, list) else None
    lists = {name: one for name, one in data.items() if isinstance(one, list)}
    main = {name: one for name, one in lists.items() if name not in BESIDE_LISTS}
    if len(main) > 1:
        return next((main[name] for name in LISTS if name in main), None)
    wrapped = [inner for name in _WRAPS if (inner := _only_list(data.get(name), depth - 1)) is not None]
    return next(iter([*main.values(), *wrapped, *(lists.values() if len(lists) == 1 else ())]), None)


def follow(course: Course, page: Page) -> tuple[Course, list[Any], NextPage | End]:
    """After a page: the course from there, those of its items that belong to the list, and what comes next.

    Where `is_before` is true afterwards, the items stand before all others.
    """
    mark = hashlib.sha256(as_json(page.items).encode()).hexdigest()
    if course.doubt == "after" and course.pages == 1:
        course, ending = _settled(course, page, mark)
        if ending is not None:
            return course, [], ending
    if course.is_before:
        return course, ([] if mark == course.before else page.items), End()
    if page.items and mark == course.before and course.is_counted:
        return course, [], End(SAME_PAGE.format(parameter=course.paging.parameter))
    room = course.paging.max_items - course.items
    items = page.items[:room]
    course = replace(course, pages=course.pages + 1, items=course.items + len(items), before=mark)
    course = replace(course, first_page=course.first_page or mark)
    if course.pages == 1 and not course.is_counted and not previous_told(page):
        course = replace(course, doubt="")  # the first link leads on, and none leads back
    if course.doubt == "after":
        course = replace(course, known=frozenset(map(identity, items)))
    try:
        course = _counted(course, page)
        course, what = _next(course, page)
    except BadQuery as error:
        return course, items, End(str(error))
    return course, items, _bounded(course, what, len(page.items) - len(items))


def _settled(course: Course, page: Page, mark: str) -> tuple[Course, NextPage | End | None]:
    """What the page of number 1 says of the answer that came before it, without a number.

    The same: pages are counted from 1. A part of it: that answer was the whole list, since the API gives pages only where one is
    asked for. Something else: pages are counted from 0.
    """
    course = replace(course, doubt="")
    these = {identity(one) for one in page.items}
    if mark == course.before or these == course.known:
        return replace(course, first=1, at=2), NextPage({course.paging.parameter or "": "2"})
    if these and these <= course.known:
        return replace(course, is_whole=True), End()
    return replace(course, first=0), None


def _counted(course: Course, page: Page) -> Course:
    """With what the API counts in all: where the catalog says, else where APIs usually do."""
    total = _number(course.paging.total, page.data, "total")
    told = total if total is not None else total_told(page)
    if told is None or not page.items or told in course.counted[-1:] or (total is None and told == len(page.items)):
        return replace(course, total=total)  # some count the page's own items
    return replace(course, total=total, counted=(*course.counted, told)[-2:])


def look_before(course: Course) -> tuple[Course, NextPage] | None:
    """Where a list ended of which nobody told whether its pages are counted from 0 or from 1: the request for page 0.

    None: there is nothing to look for, since the list is as long as the API counts.
    """
    total = course.total if course.total is not None else (course.counted or (None,))[-1]
    if course.doubt != "before" or course.items == total or course.paging.parameter is None:
        return None
    return replace(course, is_before=True, before=course.first_page), NextPage({course.paging.parameter: "0"})


def _bounded(course: Course, what: NextPage | End, left: int) -> NextPage | End:
    """The next request, unless the catalog's bounds forbid it."""
    if left or (isinstance(what, NextPage) and course.items >= course.paging.max_items):
        return End(f"max_items of the catalog is {course.paging.max_items:,}")
    if isinstance(what, NextPage) and course.pages >= course.paging.max_pages:
        return End(f"max_pages of the catalog is {course.paging.max_pages:,}")
    return what


def is_past_end(course: Course, status: int) -> bool:
    """Whether the answer to a page after the first says no more than that the list ended before it."""
    if course.is_guess and course.is_counted and 400 <= status < 500 and status not in _NOT_NOW:
        return True
    return status in NO_PAGE and course.is_counted and not course.promised


def _next(course: Course, page: Page) -> tuple[Course, NextPage | End]:
    paging = course.paging
    says_more = paging.more is not None
    if says_more and says_no(_find(paging.more, page.data, "more")):
        return course, End()
    passed = None if course.skipped is None else course.skipped + course.items
    if passed is not None and passed == course.total:  # one that was passed was no total
        return course, End()
    course = replace(course, promised=says_more or (passed is not None and passed < (course.total or 0)))
    match paging.style:
        case "page" | "offset":
            return _numbered(course, page)
        case "cursor":
            return _onward(course, _following(paging, page))
        case "header":
            return _onward(course, page.headers.get((paging.header or "").lower()))
        case "next_url":
            return _onward(course, _following(paging, page))
        case "link":
            return _onward(course, next_link(page.headers.get("link", "")))
        case other:
            assert_never(other)


def _following(paging: Pagination, page: Page) -> Any:
    """What an answer gives for the next page. `[-1].id` is about a list, and so about the items where the answer is none itself."""
    is_of_items = (paging.next or "").startswith("[") and not isinstance(page.data, list)
    return _find(paging.next, page.items if is_of_items else page.data, "next")


def _numbered(course: Course, page: Page) -> tuple[Course, NextPage | End]:
    paging = course.paging
    assert paging.parameter is not None  # the catalog's check saw to it
    has_more = paging.more is not None  # or the list would have ended
    if paging.style == "page":
        pages = _number(paging.pages, page.data, "pages")
        if pages is not None and course.at - course.first + 1 >= pages:
            return course, End()
        has_more = has_more or pages is not None
    course = replace(course, promised=course.promised or has_more)
    if not page.items and not (paging.style == "page" and has_more):  # a page may be empty since some may not be seen
        return course, _ended(course)
    at = course.at + (1 if paging.style == "page" else len(page.items))
    if paging.style == "offset" and course.at == 0 and number_beside(page, ("startindex", "start")) == 1:
        at += 1  # SCIM counts from 1 and takes 0 for that: RFC 7644, 3.4.2.4
    return replace(course, at=at), NextPage({paging.parameter: str(at)})


def _ended(course: Course) -> End:
    """The end of a list that shows no way on."""
    return End(NOT_WHERE if course.promised else "")


def _onward(course: Course, found: Any) -> tuple[Course, NextPage | End]:
    """From a token or a URL to the request for the next page, whichever of both it is."""
    found = found.get("href") if isinstance(found, dict) and "href" in found else found  # JSON:API's and HAL's links
    if not holds(found):
        return course, _ended(course)
    parameter, wants_url = course.paging.parameter, course.paging.style in ("link", "next_url")
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        return course, End(NO_URL if wants_url else NO_VALUE)
    text = str(found)
    if _is_url(text) or (wants_url and isinstance(found, str) and not (parameter and _is_token(course, text))):
        return _once(course, text, NextPage(url=text))
    if parameter is None:
        return course, End(NO_URL if wants_url else NO_PARAMETER)
    return _once(course, text, NextPage({parameter: text}))


def _is_token(course: Course, text: str) -> bool:
    """Whether what should be a URL is a token: some APIs' `next` is a mere number."""
    return course.paging.style == "next_url" and re.fullmatch(r"[\w.~+=-]+", text, re.ASCII) is not None


def _is_url(text: str) -> bool:
    """Whether what could be a token is a URL: Kinto's Next-Page is one, and some APIs' cursors are."""
    return re.match(r"https?://|/[^?]*\?.*=|\?.*=", text) is not None


def _once(course: Course, mark: str, next_page: NextPage) -> tuple[Course, NextPage | End]:
    if len(mark) > _MAX_TOKEN:
        return course, End(f"what the API gave for the next page is {len(mark):,} characters long")
    if mark in course.seen:
        return course, End("the API led back to a page that was read already")
    return replace(course, seen=course.seen | {mark}), next_page


def _find(expression: str | None, data: Any, key: str) -> Any:
    if expression is None:
        return None
    try:
        return search(expression, data)
    except BadQuery as error:
        raise BadQuery(f"the catalog's `{key}` does not work here: {error}") from None


def _number(expression: str | None, data: Any, key: str) -> int | None:
    """A count that an answer names; one that is no number counts as not given."""
    found = _find(expression, data, key)
    if isinstance(found, str) and re.fullmatch(r"[0-9]{1,15}", found):
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


# --- items of all pages ------------------------------------------------------------------------------------------------


def identity(item: Any) -> str:
    """What tells an item apart from others: its id with what kind of thing it is, else all of it."""
    return _named(item) or as_json(item)


def _named(item: Any) -> str:
    """Its id with what kind of thing it is; empty where it has none."""
    key = _id_of(item) if isinstance(item, dict) else ""
    if not key:
        return ""
    kinds = [str(value) for name, value in item.items() if plain_name(name) in _KINDS and isinstance(value, str)]
    return as_json([key, *kinds])


def _id_of(item: Mapping[str, Any]) -> str:
    inner = item.get("metadata")  # Kubernetes keeps the uid there
    for one in (item, inner if isinstance(inner, dict) else {}):
        label, key = key_of(one)
        if key and plain_name(label) != "key":  # a setting's key may stand in several scopes
            return key
    return ""


class Bag:
    """A list's items as its pages bring them. One that an earlier page had, by its id, is taken once: the list moved under the reading."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.again = 0  # how many came again
        self._seen: set[str] = set()
        self._tells = True  # whether ids tell items apart: no page has one twice

    def add(self, items: Sequence[Any], *, before: bool = False) -> int:
        """Takes a page's items, ahead of all others where `before`; gives how many of them are new."""
        keys = [_named(one) for one in items]
        named = [key for key in keys if key]
        self._tells = self._tells and len(set(named)) == len(named)
        fresh = [one for one, key in zip(items, keys, strict=True) if not (self._tells and key in self._seen)]
        if before and not fresh:  # the first page once more
            return 0
        self._seen.update(named)
        self.again += len(items) - len(fresh)
        at = 0 if before else len(self.items)
        self.items[at:at] = fresh
        return len(fresh)


# --- links -------------------------------------------------------------------------------------------------------------


def link_values(operation: Operation, url: str) -> tuple[dict[str, Value], list[str]]:
    """The values that a link's query gives an operation, by placeholder, and the query's names that the operation does not have.

    Only the query of a link counts, on the path that was asked: APIs write their own public address into links, another path (GitHub:
    /repositories/ID for /repos/OWNER/NAME), or http behind a proxy. Servers write a blank as a plus sign in there.
    """
    query = url.partition("#")[0].partition("?")[2]
    pieces = dict(operation.template.query)
    values: dict[str, Value] = {}
    unknown: list[str] = []
    for pair in query.split("&") if query else ():
        raw_name, _, raw = pair.partition("=")
        name = unquote_plus(raw_name)
        piece = pieces.get(name)
        if piece is None:
            unknown.append(name)
        elif piece.is_whole and piece.names[0] in operation.styles:
            before = values.get(piece.names[0], ())
            items = split_list(raw, operation.styles[piece.names[0]]) if raw else []
            values[piece.names[0]] = (*before, *map(unquote_plus, items))
        elif raw:
            values |= piece.match(unquote_plus(raw)) or {}
    return values, unknown
