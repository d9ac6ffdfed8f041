"""Recognises how a list's further pages are found: from the names of the query values and the shape of the answer. A guess by names that
many APIs share; where nothing fits, nothing is said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.importer.compact_schemas import Merged, merged
from catalog.references import Documents, Node

# Names as _plain() gives them, the likeliest first where one of them is chosen.
_PAGE = ("page", "pagenumber", "pageno", "pagenum", "pageid", "currentpage", "p")
_OFFSET = ("offset", "skip", "startat", "startindex", "startposition", "pageoffset", "start")
_CURSOR = (
    "cursor", "pagetoken", "nexttoken", "nextpagetoken", "nextcursor", "continuationtoken", "paginationtoken", "startingafter",
    "pagecursor", "pageafter", "startcursor", "continuation", "exclusivestartkey", "scrollid", "bookmark", "marker", "after",
    "offset", "page", "start",
)  # fmt: skip
_SIZE = (
    "perpage",
    "pagesize",
    "limit",
    "size",
    "maxresults",
    "pagelimit",
    "itemsperpage",
    "resultsperpage",
    "count",
    "top",
)
_TOKEN = frozenset(
    ("nextcursor", "nextpagetoken", "nexttoken", "endcursor", "continuationtoken", "paginationtoken", "continuation", "nextpage",
     "nextoffset", "nextmarker", "cursor", "after", "next", "bookmark", "scrollid")
)  # fmt: skip
_URL = frozenset(("next", "nexturl", "nextlink", "nextpageurl", "nextpagelink", "odatanextlink", "nexthref"))
_MORE = frozenset(("hasmore", "hasnext", "hasnextpage", "ismore", "more"))
_PAGES = frozenset(("totalpages", "pages", "pagecount", "numpages", "pagestotal", "totalpage", "lastpage"))
_TOTAL = frozenset(("total", "totalcount", "totalresults", "totalitems", "totalelements", "totalrecords", "totalhits"))
# Where answers keep what is no item.
_AROUND = frozenset(
    ("meta", "metadata", "paging", "pagination", "page", "pageinfo", "nextpage", "responsemetadata", "links", "cursors", "cursor",
     "responsemeta", "next", "data", "result", "response", "embedded")
)  # fmt: skip
_LIST_NAMES = (
    "data",
    "items",
    "results",
    "values",
    "records",
    "entries",
    "content",
    "list",
    "rows",
    "elements",
    "objects",
    "value",
)
_DEPTH = 3


@dataclass(frozen=True)
class _Field:
    """A field of the answer: its path from the top, and what is said of it."""

    path: tuple[str, ...]
    schema: Merged

    @property
    def name(self) -> str:
        return _plain(self.path[-1])

    @property
    def expression(self) -> str:
        """The path in JMESPath."""
        return ".".join(
            step if re.fullmatch(r"[A-Za-z_]\w*", step, re.ASCII) else json.dumps(step) for step in self.path
        )

    @property
    def is_value(self) -> bool:
        return not set(self.schema.kinds) & {"object", "array", "boolean"} and not self.schema.properties

    @property
    def is_list(self) -> bool:
        return "array" in self.schema.kinds


def pagination(
    documents: Documents, operation: Node, query: Mapping[str, str], types: Mapping[str, str], address: str
) -> dict[str, Any] | None:
    """The catalog's `pagination` of a GET at the path `address`, or None. `query`: placeholder of each query name; `types`: type of
    each placeholder."""
    names = {_plain(name): placeholder for name, placeholder in query.items()}
    answer = _answer(documents, operation)
    sizes = [names[one] for one in _SIZE if one in names]
    size = {"size": sizes[0]} if sizes else {}
    if answer is None:
        return _by_number(names, types, [], {}, size)
    response, body = answer
    headers = {name.lower() for name, _ in response.get("headers").items()}
    if "link" in headers and (size or set(names) & {"before", *_PAGE, *_CURSOR}):
        return {"style": "link", **size}
    if body is None:
        return _by_number(names, types, [], {}, size)
    fields = list(_fields(documents, body))
    root_is_list = "array" in body.kinds
    items = None if root_is_list else _items(fields, address)
    if items is None and not root_is_list and fields:
        return None  # an answer with fields, none of them the list
    found = {"items": items.expression} if items is not None else {}
    return (
        _by_cursor(names, types, fields, found, size, documents)
        or _by_number(names, types, fields, found, size)
        or _by_url(fields, found)
    )


def _by_cursor(
    names: Mapping[str, str],
    types: Mapping[str, str],
    fields: list[_Field],
    items: dict[str, str],
    size: dict[str, str],
    documents: Documents,
) -> dict[str, Any] | None:
    cursors = [one for one in _CURSOR if one in names and types.get(names[one], "string") == "string"]
    for cursor in cursors:
        token = _token(fields, cursor)
        if token is None and cursor != "startingafter":
            continue
        following = token.expression if token is not None else f"{items.get('items', '')}[-1].id"
        more = [one.expression for one in fields if one.name in _MORE]
        return {
            "style": "cursor", "parameter": names[cursor], **size, **items, "next": following, **({"more": more[0]} if more else {})
        }  # fmt: skip
    return None


def _token(fields: list[_Field], cursor: str) -> _Field | None:
    """The field with the next page's token: best the one below something called next that is named as the parameter is."""
    values = [one for one in fields if one.is_value and not _is_url(one)]
    below = [one for one in values if one.name == cursor and any("next" in _plain(step) for step in one.path[:-1])]
    named = [one for one in values if one.name == "next" + cursor]
    usual = [one for one in values if one.name in _TOKEN and one.name not in ("cursor", "after")]
    same = [one for one in values if one.name == cursor and len(one.path) > 1]
    last = (
        [one for one in values if one.name in ("cursor", "after")]
        if cursor in ("cursor", "after", "pagecursor")
        else []
    )
    return next(iter([*below, *named, *usual, *same, *last]), None)


def _by_number(
    names: Mapping[str, str],
    types: Mapping[str, str],
    fields: list[_Field],
    items: dict[str, str],
    size: dict[str, str],
) -> dict[str, Any] | None:
    for style, known in (("page", _PAGE), ("offset", _OFFSET)):
        for name in known:
            if name not in names or types.get(names[name]) not in ("integer", "number"):
                continue
            if name == "start" and not size:  # perhaps a moment
                continue
            found: dict[str, Any] = {
                "style": style,
                "parameter": names[name],
                **(size if size.get("size") != names[name] else {}),
            }
            ends = {"pages": _PAGES, "total": _TOTAL} if style == "page" else {"total": _TOTAL}
            told = {
                key: one.expression
                for key, known in ends.items()
                for one in fields
                if one.is_value and one.name in known
            }
            return found | items | told
    return None


def _by_url(fields: list[_Field], items: dict[str, str]) -> dict[str, Any] | None:
    for one in fields:
        if one.is_value and _is_url(one):
            return {"style": "next_url", **items, "next": one.expression}
    return None


def _is_url(one: _Field) -> bool:
    """Whether a field is the next page's address: named so, and said to be one, or found among links."""
    if one.name == "href":
        return len(one.path) > 1 and _plain(one.path[-2]) == "next"
    if one.name not in _URL:
        return False
    said = " ".join(node.text("format") + " " + node.text("description") for node in one.schema.nodes).lower()
    among_links = any("links" in _plain(step) for step in one.path[:-1])
    return one.name != "next" or among_links or re.search(r"\b(ur[il]|link)\b", said) is not None


def _items(fields: list[_Field], address: str) -> _Field | None:
    """The list that an answer is about: nearest to the top, of things rather than of words, named as lists are."""
    last = next((step for step in reversed(address.split("/")) if step and "{" not in step), "")
    lists = [one for one in fields if one.is_list]

    def rank(one: _Field) -> tuple[int, int, int]:
        usual = _LIST_NAMES.index(one.name) if one.name in _LIST_NAMES else len(_LIST_NAMES)
        usual = -1 if one.name == _plain(last) else usual
        return (len(one.path), 0 if _is_of_things(one) else 1, usual)

    best = min(lists, key=rank, default=None)
    if best is None or best.name in _LIST_NAMES or best.name == _plain(last):
        return best
    beside = [one for one in lists if len(one.path) == len(best.path)]
    is_page = any(one.name in _TOTAL | _PAGES | _MORE or "next" in one.name for one in fields)
    return best if len(beside) == 1 or is_page else None  # else a thing with several lists in it


def _is_of_things(one: _Field) -> bool:
    items = one.schema.all("items")
    return any(each.get(key).value for each in items for key in ("properties", "$ref", "allOf"))


def _answer(documents: Documents, operation: Node) -> tuple[Node, Merged | None] | None:
    """The response of a success, and the schema of its JSON; None where none is told."""
    responses = operation.get("responses")
    response = next(
        (one for code in ("200", "2XX", "2xx", "206", "201", "default") if (one := responses.get(code)).value), None
    )
    if response is None:
        return None
    response = documents.follow(response)
    content = dict(response.get("content").items())
    kind = next((one for one in content if "json" in one or one == "*/*"), None)
    schema = content[kind].get("schema") if kind is not None else response.get("schema")
    return response, merged(documents, [schema]) if isinstance(schema.value, dict) else None


def _fields(documents: Documents, schema: Merged) -> Iterator[_Field]:
    """The answer's fields, the nearest first, also those in what is known to be around a list."""
    level: list[tuple[tuple[str, ...], Merged]] = [((), schema)]
    for _ in range(_DEPTH):
        below: list[tuple[tuple[str, ...], Merged]] = []
        for path, one in level:
            for name, nodes in list(one.properties.items())[:100]:
                found = _Field((*path, name), merged(documents, nodes))
                yield found
                if found.name in _AROUND and "array" not in found.schema.kinds:
                    below.append((found.path, found.schema))
        level = below


def _plain(name: str) -> str:
    """A name without capitals and marks: `next_page[cursor]` and `nextPageCursor` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
