"""Further pages of a list: from an answer and the catalog's `pagination` to the next request, or to the end and why. Nothing is sent.

The API is untrusted: a token or URL that it gives is bounded and never taken twice, and where a URL may lead is judged by who sends.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from base.jmespath_bounded import BadQuery, search
from base.shrink import as_json
from catalog.catalog import Operation, Pagination
from catalog.template import Value

_NO_PAGE = frozenset({204, 404, 416})  # how APIs that count say that a page lies behind the last one
LINKS = Pagination(
    style="link"
)  # holds where the catalog says nothing: what a Link header says, it says in a standard way
_MAX_TOKEN = 4_000  # characters
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110, 5.6.2
_PARAMETER = re.compile(rf'\s*;\s*({_WORD})?\s*(?:=\s*("(?:[^"\\]|\\.)*"|{_WORD}))?')


class BadStart(ValueError):
    """The paging cannot begin where the call says. Its text says what to write instead."""


@dataclass(frozen=True)
class Page:
    """What one request brought: the list in it, the whole answer's data, its headers (lower-case names)."""

    items: list[Any]
    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """What makes a request one for the next page: parameters to set, or a URL to go to, just as the API gave it."""

    values: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class End:
    """There is no further page to read. `why`: what was left out, and the reason; empty where the list itself ended."""

    why: str = ""


@dataclass(frozen=True)
class Course:
    """How far the paging of one list is. `skipped` is how many items stand before those of the first request, where that is known."""

    paging: Pagination
    first: int = 0
    at: int = 0  # page or offset of the last request
    skipped: int | None = 0
    pages: int = 0
    items: int = 0
    total: int | None = None
    promised: bool = False  # whether the last answer says that there is more
    before: str = ""  # the last page's fingerprint
    seen: frozenset[str] = frozenset()  # tokens and URLs


def begin(operation: Operation, values: Mapping[str, Value]) -> tuple[Course, Mapping[str, Value]]:
    """The course of a list and the parameters of its first request, from those that the call has. Raises `BadStart`."""
    paging = operation.pagination or LINKS
    values = _with_size(operation, paging, values)
    given = values.get(paging.parameter or "")
    if paging.parameter is None or paging.style in ("cursor", "header"):
        seen = frozenset({str(given)} if given else ())
        return Course(paging, skipped=0 if given is None else None, seen=seen), values
    first = _first(operation.parameters.get(paging.parameter, {}), 0 if paging.style == "offset" else 1)
    if paging.style in ("link", "next_url"):  # some APIs send links only where a page was asked for
        skipped = 0 if given in (None, str(first)) else None
        return Course(paging, skipped=skipped), {paging.parameter: str(first), **values}
    text = values.get(paging.parameter, str(first))
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,15}", text):
        raise BadStart(
            f"{paging.parameter} has to be a number where all pages are asked for; leave it out to begin at the first"
        )
    at = int(text)
    skipped = at if paging.style == "offset" else 0 if at <= first else None
    return Course(paging, first, at, skipped), {**values, paging.parameter: text}


def _with_size(operation: Operation, paging: Pagination, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """With the largest page that the size's schema allows, where the call begins at the first page and names no size itself."""
    largest = operation.parameters.get(paging.size or "", {}).get("maximum")
    if paging.size is None or {paging.size, paging.parameter} & set(values) or not isinstance(largest, int):
        return values
    return {**values, paging.size: str(largest)}


def _first(schema: Mapping[str, Any], usual: int) -> int:
    """The number of the first page: APIs that count from 0 say so in the parameter's schema."""
    said = [schema.get("default"), schema.get("minimum")]
    return next((one for one in said if isinstance(one, int) and not isinstance(one, bool) and one >= 0), usual)


def items_of(paging: Pagination | None, data: Any) -> list[Any] | None:
    """The list in an answer: where `items` says, else the answer itself, else its only list."""
    if paging is not None and paging.items is not None:
        try:
            data = search(paging.items, data)
        except BadQuery:
            return None
        return data if isinstance(data, list) else None
    if isinstance(data, dict):
        lists = [one for one in data.values() if isinstance(one, list)]
        return lists[0] if len(lists) == 1 else None
    return data if isinstance(data, list) else None


def follow(course: Course, page: Page) -> tuple[Course, list[Any], Ask | End]:
    """After a page: the course from there, those of its items that belong to the list, and what comes next."""
    paging = course.paging
    mark = hashlib.sha256(as_json(page.items).encode()).hexdigest()
    if page.items and mark == course.before and paging.style in ("page", "offset"):
        return course, [], End(f"the API gave the same page again for another {paging.parameter}")
    room = paging.max_items - course.items
    items = page.items[:room]
    course = replace(course, pages=course.pages + 1, items=course.items + len(items), before=mark)
    try:
        course = replace(course, total=_number(paging.total, page.data, "total"))
        course, what = _next(course, page)
    except BadQuery as error:
        return course, items, End(str(error))
    return course, items, _bounded(course, what, len(page.items) - len(items))


def _bounded(course: Course, what: Ask | End, left: int) -> Ask | End:
    """The next request, unless the catalog's bounds forbid it."""
    if left or (isinstance(what, Ask) and course.items >= course.paging.max_items):
        return End(f"max_items of the catalog is {course.paging.max_items:,}")
    if isinstance(what, Ask) and course.pages >= course.paging.max_pages:
        return End(f"max_pages of the catalog is {course.paging.max_pages:,}")
    return what


def is_past_end(course: Course, status: int) -> bool:
    """Whether the answer to a page after the first says no more than that the list ended before it."""
    return status in _NO_PAGE and course.paging.style in ("page", "offset") and not course.promised


def _next(course: Course, page: Page) -> tuple[Course, Ask | End]:
    paging = course.paging
    says_more = paging.more is not None
    if says_more and _find(paging.more, page.data, "more") in (None, False, 0, "", [], {}):
        return course, End()
    passed = None if course.skipped is None else course.skipped + course.items
    if passed is not None and passed == course.total:  # one that was passed was no total
        return course, End()
    course = replace(course, promised=says_more or (passed is not None and passed < (course.total or 0)))
    match paging.style:
        case "page" | "offset":
            return _numbered(course, page)
        case "cursor":
            return _with_token(course, _find(paging.next, page.data, "next"))
        case "header":
            return _with_token(course, page.headers.get((paging.header or "").lower()))
        case "next_url":
            return _to_url(course, _find(paging.next, page.data, "next"))
        case "link":
            return _to_url(course, next_link(page.headers.get("link", "")))
        case other:
            assert_never(other)


def _numbered(course: Course, page: Page) -> tuple[Course, Ask | End]:
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
    return replace(course, at=at), Ask({paging.parameter: str(at)})


def _ended(course: Course) -> End:
    """The end of a list that shows no way on."""
    return End("the API says that there are more, but not where" if course.promised else "")


def _with_token(course: Course, token: Any) -> tuple[Course, Ask | End]:
    if token in (None, False, ""):
        return course, _ended(course)
    if isinstance(token, bool) or not isinstance(token, (str, int)):
        return course, End("what the API gave for the next page is no text and no number")
    assert course.paging.parameter is not None  # the catalog's check saw to it
    return _once(course, str(token), Ask({course.paging.parameter: str(token)}))


def _to_url(course: Course, url: Any) -> tuple[Course, Ask | End]:
    if url in (None, False, ""):
        return course, _ended(course)
    if not isinstance(url, str):
        return course, End("what the API gave as the next page's URL is no text")
    return _once(course, url, Ask(url=url))


def _once(course: Course, mark: str, ask: Ask) -> tuple[Course, Ask | End]:
    if len(mark) > _MAX_TOKEN:
        return course, End(f"what the API gave for the next page is {len(mark):,} characters long")
    if mark in course.seen:
        return course, End("the API led back to a page that was read already")
    return replace(course, seen=course.seen | {mark}), ask


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


# --- signs of more -----------------------------------------------------------------------------------------------------

_TOTAL_HEADERS = (
    "x-total-count",
    "x-total",
    "total-count",
    "total-records",
    "total-objects",
    "x-pagination-total-count",
)
_TOTALS = (
    "total",
    "totalcount",
    "totalitems",
    "totalresults",
    "totalelements",
    "totalrecords",
    "totalsize",
    "recordstotal",
)
_MORE = (
    "next", "nextpage", "nextcursor", "nextlink", "nexttoken", "nextpagetoken", "nextmarker", "nexturl", "odatanextlink", "hasmore",
    "hasnext", "hasnextpage", "morerecords", "moreresults", "istruncated", "continue", "endcursor",
)  # fmt: skip
_ABOUT_LIST = (
    "meta",
    "metadata",
    "_meta",
    "pagination",
    "paging",
    "page",
    "pageinfo",
    "links",
    "_links",
    "cursor",
    "cursors",
)


def total_told(page: Page) -> int | None:
    """How many items an answer says that there are in all, in a header or beside its list."""
    headers = [page.headers.get(name, "") for name in _TOTAL_HEADERS]
    headers.append(page.headers.get("content-range", "").rpartition("/")[2])  # RFC 9110, 14.4
    found = [int(text) for text in headers if re.fullmatch(r"[0-9]{1,15}", text)]
    found += [value for name, value in _beside_list(page.data) if name in _TOTALS and type(value) is int and value >= 0]
    return next(iter(found), None)


def more_told(page: Page) -> bool:
    """Whether an answer has a sign that there is more: a link, a URL, a token or a word for it."""
    told = (value for name, value in _beside_list(page.data) if name in _MORE)
    has_header = any(page.headers.get(name) for name in ("next-page", "x-next-page", "x-next-cursor", "x-nexttoken"))
    return has_header or bool(next_link(page.headers.get("link", ""))) or any(told)


def _beside_list(data: Any, depth: int = 2) -> Iterator[tuple[str, Any]]:
    """What an answer says beside its list, by names in small letters without marks."""
    for name, value in data.items() if isinstance(data, dict) else ():
        yield re.sub(r"[\W_]", "", name).lower(), value
        if depth > 1 and name.lower() in _ABOUT_LIST:
            yield from _beside_list(value, depth - 1)


# --- the Link header ---------------------------------------------------------------------------------------------------


def next_link(header: str) -> str:
    """The target of the link whose relation is "next" (RFC 8288, 3); empty where there is none."""
    return next((url for url, rels in _links(header) if "next" in rels), "")


def _links(header: str) -> Iterator[tuple[str, list[str]]]:
    """Each link's target and relations. A link about another document (`anchor`) is left out; what is no link ends the list."""
    at = 0
    while (start := re.compile(r"[\s,]*<([^<>]*)>").match(header, at)) is not None:
        at = start.end()
        given: dict[str, str] = {}
        while (found := _PARAMETER.match(header, at)) is not None:
            at = found.end()
            text = found[2] or ""
            text = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
            given.setdefault((found[1] or "").lower(), text)  # of several `rel`, the first holds
        if "anchor" not in given:
            yield start[1].strip(), given.get("rel", "").strip("'").lower().split()  # some servers quote like that
