"""Answers that are no JSON as data: tables become lists of objects, web pages their text. The API is untrusted: nothing here raises,
follows a link or takes longer than the text is long.
"""

from __future__ import annotations

import codecs
import csv
import html
import io
import re
from collections.abc import Iterator
from typing import Any

from base.json_text import loads
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

ParsedText = tuple[Any, list[str]]  # the data, and what has to be said about it


def media_type(content_type: str) -> str:
    """`text/csv` of `Text/CSV; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


# Bytes that tell an encoding by themselves: https://encoding.spec.whatwg.org/#decode, and UTF-32, whose mark begins like UTF-16's.
_MARKS = (("utf-32", b"\xff\xfe\0\0"), ("utf-32", b"\0\0\xfe\xff"), ("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"),
          ("utf-16", b"\xfe\xff"))  # fmt: skip
_ZEROS = {
    "000x": "utf-32-be",
    "x000": "utf-32-le",
    "0x0x": "utf-16-be",
    "x0x0": "utf-16-le",
}  # JSON begins in ASCII
# What browsers read under names that promise less (https://encoding.spec.whatwg.org/#names-and-labels), by Python's names for both.
_WIDER = {"iso8859-1": "cp1252", "ascii": "cp1252", "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949",
          "iso8859-9": "cp1254", "utf-16": "utf-16-le", "iso8859-11": "cp874", "tis-620": "cp874"}  # fmt: skip
_TEXTS = re.compile(
    r"text/|application/(?:.*[+./-])?(?:json|xml|yaml|csv|javascript|x-www-form-urlencoded|graphql|jsonl)",
    re.IGNORECASE,
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]|\A(?:\x89PNG|\xff\xd8\xff|GIF8|%PDF)")
_ENCODINGS = re.compile(
    r"(?:utf_?(?:8|16|32)|cp\d|iso|koi8|mac_|big5|gb|hz$|euc|shift|johab|ascii|tis|ptcp|kz)"
)  # of Python's that APIs use


def decoded(content_type: str, content: bytes, *, is_whole: bool) -> str | None:
    """The text of an answer's bytes; None where they are no text.

    By what they begin with, else as UTF-8 or as what the answer declares, JSON by UTF-8 first, since it always should be; and where that
    is not what it is, as Windows' Western European, which is what undeclared texts mostly are. `is_whole`: False where they broke off.
    """
    says_json = "json" in media_type(content_type)
    begins = _by_beginning(content, says_json=says_json)
    declared = _declared(content_type)
    for name in begins or (("utf-8", declared) if says_json else (declared, "utf-8")):
        if name is not None and (text := _text(content, name, is_whole=is_whole)) is not None:
            return text
    is_western = not begins and _TEXTS.match(media_type(content_type)) and not _BINARY.search(content)
    return _text(content, "cp1252", is_whole=is_whole) if is_western else None


def _by_beginning(content: bytes, *, says_json: bool) -> list[str]:
    marked = next((name for name, mark in _MARKS if content.startswith(mark)), None)
    zeros = _ZEROS.get("".join("0" if one == 0 else "x" for one in content[:4])) if says_json else None
    return [one for one in (marked, zeros) if one is not None]


def _declared(content_type: str) -> str | None:
    """The encoding that an answer says, by Python's name; None where it says none, or one that no API means."""
    found = re.search(r";\s*charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE | re.ASCII)
    try:
        name = codecs.lookup(found[1]).name if found is not None else ""
    except LookupError:
        return None
    return _WIDER.get(name, name) if _ENCODINGS.match(name.replace("-", "_")) else None


def _text(content: bytes, name: str, *, is_whole: bool) -> str | None:
    """The bytes read by an encoding, with a sign for half a character where they broke off in one; None where they are not written so."""
    try:
        decoder = codecs.getincrementaldecoder(name)()
        text = decoder.decode(content, final=is_whole) + ("\ufffd" if decoder.getstate()[0] else "")
    except (UnicodeError, ValueError):
        return None
    return text.removeprefix("\ufeff")


def read_text(content_type: str, text: str, *, is_whole: bool) -> ParsedText | None:
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


def _table(text: str, delimiters: str) -> ParsedText:
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
        loads(text)
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


def _json_lines(text: str, *, is_whole: bool) -> ParsedText:
    """A JSON value in each line. Of an answer that broke off, the last line is left out where it is half a value."""
    lines = [line for line in re.split(r"[\n\x1e]", text) if line.strip()]
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(loads(line, odd=str))
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
