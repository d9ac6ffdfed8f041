"""Recognises how a list's further pages are found: from the names of its query values and the shape of its answer. A guess by names that
many APIs share; where nothing fits, nothing is said. The shape may be a description's (openapi_paging.py) or a real answer's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from base.jmespath_bounded import BadQuery, search
from catalog.catalog import Operation, Pagination
from catalog.list_names import BESIDE_LISTS, LISTS
from catalog.signs_of_more import FLAGS, PAGES, SIZES, TOTALS, Page, is_next_header, next_link, plain_name

# Names as plain_name() gives them, the likeliest first where one of them is chosen.
_PAGE = ("page", "pagenumber", "pageno", "pagenum", "pageid", "currentpage", "p")
_OFFSET = ("offset", "skip", "startat", "startindex", "startposition", "pageoffset", "start", "first", "from")
_PAIRED = {  # what means an offset only beside one of these: `start` alone may be a moment, `first` a name
    "start": SIZES,
    "first": ("max", "maxresults"),  # Keycloak
    "from": ("size",),  # Elasticsearch
}
_CURSOR = (
    "cursor", "pagetoken", "nexttoken", "nextpagetoken", "nextcursor", "continuationtoken", "paginationtoken", "startingafter",
    "pagecursor", "pageafter", "startcursor", "continuation", "continue", "exclusivestartkey", "scrollid", "bookmark", "marker", "after",
    "afterid", "offset", "page", "start",
)  # fmt: skip
# Names that turn pages and mean hardly anything else.
TURNS = frozenset(
    {*_PAGE, *_OFFSET, *_CURSOR} - {"p", "start", "first", "from", "after", "marker", "continue", "bookmark"}
)
_BY_LAST_ITEM = ("startingafter", "after", "afterid")  # they may take the last item's id: Stripe, OpenAI, Anthropic
_TOKEN = frozenset(
    ("nextcursor", "nextpagetoken", "nexttoken", "endcursor", "continuationtoken", "paginationtoken", "continuation", "nextpage",
     "nextoffset", "nextmarker", "cursor", "after", "aftercursor", "next", "bookmark", "scrollid")
)  # fmt: skip
_URL = frozenset(
    ("next", "nexturl", "nextlink", "nextpageurl", "nextpagelink", "odatanextlink", "nexthref", "nextrecordsurl")
)
_PLAIN_TOTALS = frozenset(TOTALS) - {"count", "totalobjects", "totalsize"}  # `count` is often the page's own
AROUND = frozenset(  # where answers keep what is no item
    ("meta", "metadata", "paging", "pagination", "page", "pages", "pageinfo", "nextpage", "responsemetadata", "links", "cursors",
     "cursor", "responsemeta", "next", "data", "result", "response", "embedded", "d", "hits")
)  # fmt: skip
_MOST_FIELDS = 100  # of one object
DEPTH = 3


@dataclass(frozen=True)
class Field:
    """A field of an answer: its path from the top and what it can be. `is_address`: its value is, or is said to be, a URL."""

    path: tuple[str, ...]
    is_value: bool = False
    is_list: bool = False
    is_of_things: bool = False
    is_address: bool = False

    @property
    def name(self) -> str:
        """Its plain name."""
        return plain_name(self.path[-1])

    @property
    def expression(self) -> str:
        """The path in JMESPath."""
        return ".".join(
            step if re.fullmatch(r"[A-Za-z_]\w*", step, re.ASCII) else json.dumps(step) for step in self.path
        )

    @property
    def is_url(self) -> bool:
        """Whether it is the next page's address: named so, and said to be one, or found among links."""
        if self.name == "href":
            return len(self.path) > 1 and plain_name(self.path[-2]) == "next"
        if self.name not in _URL:
            return False
        among_links = any("links" in plain_name(step) for step in self.path[:-1])
        return self.name != "next" or among_links or self.is_address


@dataclass(frozen=True)
class Shape:
    """What is known of a list: the placeholder of each query name, the type of each placeholder ("" where nothing says), and the
    answer's headers and fields, the nearest first. `is_list`: the answer itself is the list; `path` is that of its URL."""

    query: Mapping[str, str]
    types: Mapping[str, str]
    path: str
    headers: Collection[str] = ()
    fields: Sequence[Field] = ()
    is_list: bool = False
    is_known: bool = True  # whether anything is known of the answer

    @property
    def names(self) -> dict[str, str]:
        """The placeholders by the plain names of their query values."""
        return {plain_name(name): placeholder for name, placeholder in self.query.items()}

    def is_a(self, placeholder: str, *kinds: str) -> bool:
        """Whether a query value may be of one of these types."""
        return self.types.get(placeholder, "string") in ("", *kinds)


def paging_in(shape: Shape) -> dict[str, Any] | None:
    """The catalog's `pagination` for a list of this shape; None where its names say nothing, or it is no list."""
    names = shape.names
    sizes = [names[one] for one in SIZES if one in names]
    size = {"size": sizes[0]} if sizes else {}
    if "link" in {name.lower() for name in shape.headers} and (size or set(names) & {"before", *_PAGE, *_CURSOR}):
        return {"style": "link", **size}
    if not shape.is_known:
        return _by_number(shape, size, {})
    items = None if shape.is_list else items_in(shape.fields, shape.path)
    if items is None and not shape.is_list and shape.fields:
        return None  # an answer with fields, none of them the list
    found = {"items": items.expression} if items is not None else {}
    return (
        _by_cursor(shape, size, found)
        or _by_header(shape, size, found)
        or _by_number(shape, size, found)
        or _by_url(shape, found)
    )


def _by_cursor(shape: Shape, size: dict[str, str], items: dict[str, str]) -> dict[str, Any] | None:
    more = [one.expression for one in shape.fields if one.name in FLAGS]
    for cursor in _CURSOR:
        parameter = shape.names.get(cursor)
        if parameter is None or not shape.is_a(parameter, "string"):
            continue
        token = _token(shape.fields, cursor)
        following = token.expression if token is not None else _last_item(shape, cursor, items, has_more=bool(more))
        if following:
            told = {"more": more[0]} if more else {}
            return {"style": "cursor", "parameter": parameter, **size, **items, "next": following, **told}
    return None


def _last_item(shape: Shape, cursor: str, items: Mapping[str, str], *, has_more: bool) -> str:
    """Where the id of a page's last item is, for a cursor that takes that; empty where none does."""
    if cursor not in _BY_LAST_ITEM:
        return ""
    told = next((one.expression for one in shape.fields if one.is_value and one.name == "lastid"), "")
    return told or (f"{items.get('items', '')}[-1].id" if has_more or cursor == "startingafter" else "")


def _token(fields: Sequence[Field], cursor: str) -> Field | None:
    """The field with the next page's token: best the one below something called next that is named as the parameter is."""
    values = [one for one in fields if one.is_value and not one.is_url]
    below = [one for one in values if one.name == cursor and any("next" in plain_name(step) for step in one.path[:-1])]
    named = [one for one in values if one.name == "next" + cursor]
    usual = [one for one in values if one.name in _TOKEN and one.name not in ("cursor", "after")]
    same = [one for one in values if one.name == cursor and len(one.path) > 1]
    last = (
        [one for one in values if one.name in ("cursor", "after")]
        if cursor in ("cursor", "after", "pagecursor")
        else []
    )
    return next(iter([*below, *named, *usual, *same, *last]), None)


def _by_header(shape: Shape, size: dict[str, str], items: dict[str, str]) -> dict[str, Any] | None:
    """A header that holds the next page's token or URL: Nomad's X-Nomad-NextToken, Kinto's Next-Page."""
    header = next((name for name in shape.headers if is_next_header(name)), None)
    if header is None:
        return None
    named = [shape.names[one] for one in (*_CURSOR, "token", "nextpage") if one in shape.names]
    return {"style": "header", "header": header, **({"parameter": named[0]} if named else {}), **size, **items}


def _by_number(shape: Shape, size: dict[str, str], items: dict[str, str]) -> dict[str, Any] | None:
    names = shape.names
    for style, known in (("page", _PAGE), ("offset", _OFFSET)):
        for name in known:
            if name not in names or not shape.is_a(names[name], "integer", "number"):
                continue
            if not set(_PAIRED.get(name, names)) & set(names):
                continue
            found: dict[str, Any] = {
                "style": style,
                "parameter": names[name],
                **(size if size.get("size") != names[name] else {}),
            }
            ends = {"pages": PAGES, "total": _PLAIN_TOTALS} if style == "page" else {"total": _PLAIN_TOTALS}
            return found | items | {key: told for key, known in ends.items() if (told := _ending(shape, known))}
    return None


def _ending(shape: Shape, known: Collection[str]) -> str:
    """Where an answer tells where its list ends; what counts after filters goes before what counts everything."""
    values = [one for one in shape.fields if one.is_value and one.name in known]
    order = {name: number for number, name in enumerate((*TOTALS, *PAGES))}
    return min(values, key=lambda one: order[one.name]).expression if values else ""


def _by_url(shape: Shape, items: dict[str, str]) -> dict[str, Any] | None:
    found = next((one for one in shape.fields if one.is_value and one.is_url), None)
    return {"style": "next_url", **items, "next": found.expression} if found is not None else None


def items_in(fields: Sequence[Field], path: str) -> Field | None:
    """The list that an answer is about: nearest to the top, of things rather than of words, named as lists are."""
    last = next((step for step in reversed(path.split("/")) if step and not re.search(r"[{\[]", step)), "")
    lists = [one for one in fields if one.is_list and one.name not in BESIDE_LISTS]

    def rank(one: Field) -> tuple[int, int, int]:
        usual = LISTS.index(one.name) if one.name in LISTS else len(LISTS)
        usual = -1 if one.name == plain_name(last) else usual
        return (len(one.path), 0 if one.is_of_things else 1, usual)

    best = min(lists, key=rank, default=None)
    if best is None or best.name in LISTS or best.name == plain_name(last):
        return best
    beside = [one for one in lists if len(one.path) == len(best.path)]
    is_page = any(one.name in {*_PLAIN_TOTALS, *PAGES, *FLAGS} or "next" in one.name for one in fields)
    return best if len(beside) == 1 or is_page else None  # else a thing with several lists in it


# --- a real answer -----------------------------------------------------------------------------------------------------


def paging_of_answer(operation: Operation, page: Page) -> Pagination | None:
    """How a list is paged of which the catalog says nothing, by its first answer. None: nothing in it tells."""
    query = {name: piece.names[0] for name, piece in operation.template.query if piece.is_whole}
    types = {one: _type(operation.parameters.get(one)) for one in query.values()}
    headers = [name for name in page.headers if is_next_header(name) and page.headers[name]]
    shape = Shape(
        query,
        types,
        operation.url.partition("?")[0],
        [*headers, *(["link"] if next_link(page.headers.get("link", "")) else [])],
        list(_fields(page.data)),
        isinstance(page.data, list),
    )
    if "link" in shape.headers:
        return _made({"style": "link"} | _items(shape))
    address = next((one for one in shape.fields if one.is_url and one.is_address), None)
    if address is not None:
        return _made({"style": "next_url", "next": address.expression.removesuffix(".href")} | _items(shape))
    found = paging_in(shape)
    return _made(found) if found is not None else None


def _items(shape: Shape) -> dict[str, str]:
    found = None if shape.is_list else items_in(shape.fields, shape.path)
    return {"items": found.expression} if found is not None else {}


def _made(said: Mapping[str, Any]) -> Pagination | None:
    """A pagination of what an answer has; field names of an API may be too odd for an expression."""
    try:
        for key in ("items", "next", "more", "pages", "total"):
            if key in said:
                search(said[key], {})
        return Pagination(**said)
    except (BadQuery, ValueError):
        return None


def _type(schema: Mapping[str, Any] | None) -> str:
    said = (schema or {}).get("type", "")
    return said if isinstance(said, str) else ""


def _fields(data: Any) -> Iterator[Field]:
    """An answer's fields, the nearest first, also those in what is known to be around a list."""
    level: list[tuple[tuple[str, ...], Any]] = [((), data)]
    for _ in range(DEPTH):
        below: list[tuple[tuple[str, ...], Any]] = []
        for path, one in level:
            for name, value in list(one.items())[:_MOST_FIELDS] if isinstance(one, dict) else ():
                yield _field((*path, name), value)
                if isinstance(value, dict) and plain_name(name) in AROUND:
                    below.append(((*path, name), value))
        level = below


def _field(path: tuple[str, ...], value: Any) -> Field:
    is_address = isinstance(value, str) and re.match(r"https?://|/|\?", value) is not None
    things = value[:1] if isinstance(value, list) else []
    return Field(
        path,
        is_value=not isinstance(value, (dict, list, bool)),
        is_list=isinstance(value, list),
        is_of_things=isinstance(value, list) and all(isinstance(one, dict) for one in things),
        is_address=is_address,
    )
