"""Signs in an answer that there is more than it holds: in its headers, and beside its list. Nothing is read or sent here.

Names are compared without capitals and marks, so `next_page`, `nextPage` and `@odata.nextLink` are read alike. An API's own words
stay out of what is said: only plain field names are named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from base.shrink import plain
from catalog.catalog import Operation
from catalog.list_names import WRAPS
from catalog.template import Value

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110, 5.6.2
_PARAMETER = re.compile(rf'\s*;\s*({_WORD})?\s*(?:=\s*("(?:[^"\\]|\\.)*"|{_WORD}))?')
_NO = ("false", "no", "none", "null", "n", "f", "0", "")  # how texts say that there is no more

# --- names, as plain_name() gives them ----------------------------------------------------------------------------------

TOTALS = (  # of what a filter lets pass before all that there is: Directus, DataTables, RabbitMQ
    "filtercount", "filteredcount", "recordsfiltered", "totalfiltered", "total", "totalcount", "totalitems", "totalresults",
    "totalelements", "totalrecords", "totalhits", "totalsize", "totalobjects", "recordstotal", "count",
)  # fmt: skip
PAGES = ("totalpages", "pages", "pagecount", "numpages", "pagestotal", "totalpage", "lastpage")
SIZES = (
    "perpage", "pagesize", "limit", "size", "maxresults", "pagelimit", "itemsperpage", "resultsperpage", "pagelen", "count", "top",
    "max",
)  # fmt: skip
_SIZES_TOLD = SIZES[: SIZES.index("count")]  # `count`, `top` and `max` in an answer may be anything
FLAGS = ("hasmore", "hasnext", "hasnextpage", "ismore", "more", "morerecords", "moreresults", "istruncated")
_CUT_SHORT = ("truncated", "incompleteresults")  # GitHub's trees and searches
_PREVIOUS = ("prev", "previous", "prevpage", "previouspage", "prevurl", "previousurl", "prevlink", "previouslink")
_VAGUE = ("more", "ismore")
_LAST = ("last", "islast", "islastpage")  # Spring, Jira, Bitbucket: false where there is more
_NEXT = (
    "next", "nextpage", "nextcursor", "nextlink", "nexttoken", "nextpagetoken", "nextmarker", "nextoffset", "nexturl", "nexthref",
    "nextpageurl", "nextpagelink", "nextrecordsurl", "odatanextlink", "continue", "continuation", "continuationtoken",
    "paginationtoken", "lastevaluatedkey", "remainingitemcount",
)  # fmt: skip
_AROUND = (  # objects beside a list, or around it, that speak of it
    "meta", "metadata", "pagination", "paging", "page", "pages", "pageinfo", "links", "cursor", "cursors", "responsemetadata",
    "responsemeta", *WRAPS,
)  # fmt: skip
_TOTAL_HEADERS = (
    "x-total-count", "x-total", "total-count", "total-records", "total-objects", "x-pagination-total-count", "x-wp-total",
)  # fmt: skip
_PAGES_HEADERS = ("x-total-pages", "x-wp-totalpages", "x-pagination-page-count")
# Kinto's Next-Page, Nomad's X-Nomad-NextToken, GitLab's X-Next-Page, Azure's x-ms-continuation(token).
_NEXT_HEADER = re.compile(r"next-?(page|token|cursor|link|url|offset|marker)?|.*-next-?(page|token|cursor|link|url|offset|marker)?|"
                          r"(.*-)?continuation(-?token)?")  # fmt: skip


@dataclass(frozen=True)
class Page:
    """What one request brought: the list in it, the whole answer's data, its headers (lower-case names)."""

    items: list[Any]
    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sign:
    """That an answer is a part, in words. `is_sure`: the API says so; else it may be."""

    words: str
    is_sure: bool = True


def plain_name(name: str) -> str:
    """A name without capitals and marks: `next_page[cursor]` and `nextPageCursor` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def says_no(value: Any) -> bool:
    """Whether a value says that there is no more; some APIs write "false" as text."""
    return value.strip().lower() in _NO if isinstance(value, str) else value in (None, False, 0, [], {})


def holds(value: Any) -> bool:
    """Whether a value can be the next page's token or URL."""
    return value.strip().lower() not in ("", "false", "null", "none") if isinstance(value, str) else not says_no(value)


def is_next_header(name: str) -> bool:
    """Whether a header, by its name, holds the next page's token or URL."""
    return _NEXT_HEADER.fullmatch(name.lower()) is not None


def total_told(page: Page) -> int | None:
    """How many items an answer says that there are in all, in a header or beside its list."""
    headers = [page.headers.get(name, "") for name in _TOTAL_HEADERS]
    headers.append(page.headers.get("content-range", "").rpartition("/")[2])  # RFC 9110, 14.4
    found = next((number for text in headers if (number := _number(text)) is not None), None)
    return number_beside(page, TOTALS) if found is None else found


def more_told(page: Page) -> bool:
    """Whether an answer has a sign that there is more: a link, a URL, a token or a word for it."""
    return bool(next_told(page))


def sign_of_more(operation: Operation, values: Mapping[str, Value], page: Page, *, is_list: bool = True) -> Sign | None:
    """The sign that there is more than the items of an answer, the surest first. None: there is none.

    `is_list`: the answer is a list as such, no thing with a list in it, whose `total` or `next` may mean anything.
    """
    count, total = len(page.items), total_told(page)
    if is_list and total is not None and total > count:
        return Sign(f"the API counts {total:,} and {count:,} are here")
    if told := next_told(page, is_list=is_list):
        return Sign(told)
    pages = _pages_told(page, PAGES if is_list else PAGES[:1])  # a book has pages, too
    if pages is not None and pages > 1:
        return Sign(f"the API counts {pages:,} pages")
    is_whole = is_list and total == count and (_numbers(page, TOTALS).keys() != {"count"})  # some count the page's own
    is_ended = is_whole or pages is not None or end_told(page)
    if count and is_list and not is_ended and count in _sizes(operation, values, page):
        return Sign(f"the page is full, with {count:,} items", is_sure=False)
    return None


def next_told(page: Page, *, is_list: bool = True) -> str:
    """What says that there is a next page; empty where nothing does."""
    if next_link(page.headers.get("link", "")):
        return "its Link header names a next page"
    for name, text in page.headers.items():
        if is_next_header(name) and holds(text):
            return f"its header {plain(name)} names a next page"
    said = list(_beside(page))
    has_ended = any(name in FLAGS and value is False for _, name, value in said)
    for path, name, value in said:
        is_apart = is_list or (len(path) > 1 and plain_name(path[-2]) not in WRAPS)  # or a field of a thing of its own
        if _says_more(name, value, is_apart=is_apart, has_ended=has_ended):
            return f"its field {'.'.join(map(plain, path))} says so"
    return ""


def _says_more(name: str, value: Any, *, is_apart: bool, has_ended: bool) -> bool:
    """Whether a field says that there is more: a flag, or a token or URL where no flag says otherwise."""
    if name in (*FLAGS, *_CUT_SHORT):
        return (is_apart or name not in _VAGUE) and not isinstance(value, (list, dict)) and not says_no(value)
    if name in _LAST:
        return is_apart and value is False
    if name not in _NEXT or not holds(value):
        return False
    return value is True or (not has_ended and (is_apart or _is_url(value)))


def previous_told(page: Page) -> bool:
    """Whether an answer says that a page stands before it."""
    rels = {rel for _, those in _links(page.headers.get("link", "")) for rel in those}
    return bool(rels & {"prev", "previous"}) or any(
        name in _PREVIOUS and holds(value) for _, name, value in _beside(page)
    )


def end_told(page: Page) -> bool:
    """Whether an answer speaks of a next page, and says that there is none."""
    names = {name for _, name, _ in _beside(page)}
    headers = any(is_next_header(name) for name in page.headers) or "link" in page.headers
    return headers or bool(names & {*FLAGS, *_NEXT, *_LAST})


def number_beside(page: Page, names: tuple[str, ...]) -> int | None:
    """The number of the first of these names that stands beside an answer's list."""
    beside = _numbers(page, names)
    return next((beside[name] for name in names if name in beside), None)


def _pages_told(page: Page, names: tuple[str, ...]) -> int | None:
    headers = (_number(page.headers.get(name, "")) for name in _PAGES_HEADERS)
    found = next((one for one in headers if one is not None), None)
    return number_beside(page, names) if found is None else found


def _sizes(operation: Operation, values: Mapping[str, Value], page: Page) -> set[int]:
    """How many items a page has at most, by the call, by the catalog, or by what the answer says."""
    known = {name: piece for name, piece in operation.template.query if plain_name(name) in SIZES}
    paging = operation.pagination
    placeholders = {piece.names[0] for piece in known.values() if piece.is_whole}
    placeholders |= {paging.size} if paging is not None and paging.size is not None else set()
    given = [values[name] for name in placeholders if name in values]
    given += [piece.literal for piece in known.values() if piece.literal is not None]
    schemas = [operation.parameters.get(name, {}) for name in placeholders]
    by_schema = [schema.get(key) for schema in schemas for key in ("default", "maximum")]
    told = [one for one in [*given, *([] if given else by_schema)] if one is not None]
    told += _numbers(page, _SIZES_TOLD).values()
    return {number for one in told if (number := _number(one)) is not None}


def _numbers(page: Page, names: tuple[str, ...]) -> dict[str, int]:
    """The numbers of these names beside an answer's list; Elasticsearch has an object there."""
    found: dict[str, int] = {}
    for _, name, value in _beside(page):
        number = _number(value.get("value") if isinstance(value, dict) else value)
        if name in names and number is not None:
            found.setdefault(name, number)
    return found


def _number(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value, re.ASCII):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_url(value: Any) -> bool:
    return isinstance(value, (str, dict)) and (
        not isinstance(value, str) or re.match(r"https?://|[/?]", value) is not None
    )


def _beside(page: Page) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """What an answer says beside its list: the path to it, its plain name, its value."""
    yield from _within(page.data, ())
    if (text := page.headers.get("x-pagination", "")).startswith("{"):  # as ASP.NET's samples have it
        try:
            yield from _within(json.loads(text[:4_000]), ())
        except (ValueError, RecursionError):
            return


def _within(data: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    for name, value in data.items() if isinstance(data, dict) else ():
        mine = plain_name(name)
        yield (*path, name), mine, value
        if mine in _AROUND and len(path) < 2:
            yield from _within(value, (*path, name))


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
