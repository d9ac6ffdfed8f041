"""Answers that are no JSON as data: tables become lists of objects, web pages their text. The API is untrusted: nothing here raises,
follows a link or takes longer than the text is long.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from base.shrink import plain

_TABLES = {"text/csv": ",;\t", "application/csv": ",;\t", "text/tab-separated-values": "\t", "text/tsv": "\t"}
_LINES = frozenset(("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
                    "application/json-lines", "application/stream+json", "application/json-seq"))  # fmt: skip
_PAGES = frozenset(("text/html", "application/xhtml+xml"))
_MAX_TABLE = 20_000_000  # characters of a table's objects, in each of which the names are said again
_ROW = 50  # characters that each object counts for beside them: two bytes of a table can make an object of two hundred
_MAX_NAME = 200  # characters of a column's name
_COLUMNS = 30  # that are named of a table without rows
_MARKUP = re.compile(r"<(?=[!?/A-Za-z])")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*)")
_UNSEEN = frozenset(("script", "style", "template", "noscript", "svg", "iframe", "object", "textarea", "select"))
_INLINE = frozenset(("a", "abbr", "b", "big", "code", "em", "font", "i", "kbd", "mark", "q", "s", "small", "span", "strong", "sub", "sup",
                     "time", "tt", "u", "var"))  # fmt: skip

Read = tuple[Any, list[str]]  # the data, and what has to be said about it


def media_type(content_type: str) -> str:
    """`text/csv` of `Text/CSV; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def charset_of(content_type: str) -> str:
    """The name by which Python decodes an answer: UTF-8, which JSON always is, or the older ones that APIs still declare."""
    found = re.search(r";\s*charset\s*=\s*\"?([\w.-]{1,40})", content_type, re.IGNORECASE | re.ASCII)
    older = {
        "iso-8859-1",
        "latin1",
        "latin-1",
        "windows-1252",
        "cp1252",
        "us-ascii",
    }  # browsers read all of them as the last but one
    is_older = found is not None and found[1].lower() in older and "json" not in media_type(content_type)
    return "cp1252" if is_older else "utf-8-sig"


def read_text(content_type: str, text: str, *, is_whole: bool) -> Read | None:
    """The data of a text that is no plain JSON by its media type; None where the type says nothing of it.

    A text that is not what its type says stays text. `is_whole`: False where the answer broke off.
    """
    kind = media_type(content_type)
    says_json = text.lstrip()[:1] in ("{", "[")  # JSON is often sent under another name, errors above all
    if kind in _TABLES and not (says_json and _is_json(text)):
        return _table(text, _TABLES[kind])
    if kind in _LINES:
        return _json_lines(text, is_whole=is_whole)
    if kind in _PAGES and not says_json:
        return _page_text(text), ["The answer is a web page; this is its text."]
    return None


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(text: str, delimiters: str) -> Read:
    """Comma separated values: the first row names the columns. Values stay text, since ids may begin with zeros."""
    first = re.sub('"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])  # what is quoted parts nothing
    delimiter = max(delimiters, key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found: list[dict[str, str]] = []
    size = 0
    try:
        names = _names(next(rows, []))
        for row in rows:
            if not row:
                continue
            made = dict(zip(_more_names(names, len(row)), row, strict=False))
            size += _ROW + sum(len(name) + len(value) for name, value in made.items())
            if size > _MAX_TABLE:
                return found, [f"Only the first {len(found):,} rows of the table were read."]
            found.append(made)
    except csv.Error:
        return text, ["The answer says it is a table, but cannot be read as one."]
    if found or not names:
        return found, []
    return [], [f"The table has no rows. Its columns: {', '.join(map(plain, names[:_COLUMNS]))}."]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _names(row: list[str]) -> list[str]:
    """The columns' names, each once. One that is too long to be a name is not cut, since a half secret would not be masked."""
    names: dict[str, None] = {}
    for number, cell in enumerate(row, start=1):
        name = cell.strip() or f"column {number}"
        if len(name) > _MAX_NAME:
            raise csv.Error("no name of a column")
        while name in names:
            name = f"{name} (column {number})"
        names[name] = None
    return list(names)


def _more_names(names: list[str], count: int) -> list[str]:
    """`names`, and further ones where a row is longer than the first."""
    return (
        names if count <= len(names) else [*names, *(f"column {number}" for number in range(len(names) + 1, count + 1))]
    )


def _json_lines(text: str, *, is_whole: bool) -> Read:
    """A JSON value in each line. Of an answer that broke off, the last line is left out where it is half a value."""
    lines = [line for line in re.split(r"[\n\x1e]", text) if line.strip()]
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(json.loads(line, parse_constant=str))
        except (ValueError, RecursionError):
            if number == len(lines) and not is_whole:
                break
            return text, ["The answer says it is lines of JSON, but is not (or is nested too deeply)."]
    return found, []


# --- pages ------------------------------------------------------------------------------------------------------------


def _page_text(text: str) -> str:
    """A page's text: no tags, no comments, nothing that a browser would not show as text; a line for each block."""
    shown = html.unescape("".join(_pieces(text)))
    lines = (" ".join(line.split()) for line in shown.split("\n"))
    return "\n".join(line for line in lines if line)


def _pieces(text: str) -> Iterator[str]:
    """The texts between tags. Each search begins where the last one ended, and one that finds nothing ends the page."""
    at = 0
    while (found := _MARKUP.search(text, at)) is not None:
        start = found.start()
        yield text[at:start].replace("\n", " ")
        tag = _TAG.match(text, start)
        end = _end_of(text, start, tag)
        if end is None:
            return
        if tag is not None and tag[2].lower() not in _INLINE:
            yield "\n"
        at = end
    yield text[at:].replace("\n", " ")


def _end_of(text: str, start: int, tag: re.Match[str] | None) -> int | None:
    """Where a tag ends, with all that stands in it where that is not shown; None where it does not end."""
    mark = "-->" if text.startswith("<!--", start) else ">"
    end = text.find(mark, start)
    if end >= 0 and tag is not None and not tag[1] and tag[2].lower() in _UNSEEN and text[end - 1] != "/":
        closing = re.compile(rf"</{tag[2]}\b", re.IGNORECASE | re.ASCII).search(text, end)
        end = text.find(">", closing.end()) if closing is not None else -1
    return end + len(mark) if end >= 0 else None
