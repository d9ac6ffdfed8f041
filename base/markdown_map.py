"""Where in a Markdown text its code, links, images and tables stand, as markdown-it-py (CommonMark with tables) reads them.

The text itself is never rendered back, which would change it: each thing is known by its place in the source. HTML means nothing in Slack,
so tags are text here. What the parser reads and no place is found for counts as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, autolink, backtick, image, link
from markdown_it.token import Token

_URL = re.compile(r"\bhttps?://[^\s<>`]+")
_NOT_IN_URL = re.compile(r"&(?:lt|gt|#0*60|#0*62|#x0*3c|#x0*3e);", re.IGNORECASE)
_LONGEST_MARK, _LONGEST_INFO = (
    20,
    40,
)  # characters of a fence's mark and of what it says of the code, where both are written again


@dataclass(frozen=True)
class Span:
    """A part of the source, from `start` to `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Region(Span):
    """Code within fences, or a table. Where its body is parted, `prefix` and `closing` end the first part, `opening` begins the second.

    `prefix` is what each of its lines begins with because of the lists and quotes around it.
    """

    body: Span
    prefix: str
    opening: str
    closing: str
    is_code: bool


@dataclass
class Map:
    """What stands where. `links` are whole, `addresses` their parts behind the label; `images` begin with their `!`."""

    code: list[Span] = field(default_factory=list)
    links: list[Span] = field(default_factory=list)
    addresses: list[Span] = field(default_factory=list)
    images: list[Span] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    items: list[Span] = field(default_factory=list)  # of lists, each with all that stands in it
    blocks: dict[int, int] = field(default_factory=dict)  # where a block begins -> how deep it lies in others
    references: list[str] = field(default_factory=list)  # the addresses of `[label]: address` lines
    last: int = 0  # where the last block of the outermost level begins, which more text may still change


@lru_cache(maxsize=4)  # making harmless and splitting look at the same text
def read(text: str) -> Map:
    """What stands where in `text`."""
    source = re.sub(r"\r(?!\n)", "\n", text).replace(
        "\r\n", " \n"
    )  # as long as `text`, with the line breaks that the parser knows
    found, lines, before = Map(), _Lines(source), ""
    env: dict[str, Any] = {}
    for token in _parser().parse(source, env):
        _block(token, lines, found, is_cell=before in ("td_open", "th_open"))
        before = token.type
    found.addresses += _bare_urls(source)
    found.references += (one["href"] for one in env.get("references", {}).values())
    return found


def _block(token: Token, lines: _Lines, found: Map, *, is_cell: bool) -> None:
    if token.map is None:
        return
    begin = lines.start(token.map[0])
    if token.type != "inline":
        found.blocks[begin] = min(token.level, found.blocks.get(begin, token.level))
        found.last = max(found.last, begin) if token.level == 0 else found.last
    match token.type:
        case "inline":
            _inline(token, lines, found, is_cell=is_cell)
        case "fence":
            region = _fence(token, lines)
            found.regions.append(region)
            found.code.append(region.body)
        case "list_item_open":
            found.items.append(Span(begin, lines.start(token.map[1])))
        case "table_open":
            found.regions.append(_table(token.map, lines))


# --- lines ------------------------------------------------------------------------------------------------------------


class _Lines:
    """The source's lines by number."""

    def __init__(self, source: str) -> None:
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._size = len(source)
        self._cells: dict[int, _Cells] = {}

    def start(self, number: int) -> int:
        return min(self._starts[min(number, len(self._starts) - 1)], self._size)

    def line(self, number: int) -> str:
        return self._lines[number] if number < len(self._lines) else ""

    def places(self, number: int, content: str, *, is_cell: bool) -> list[int] | None:
        """Where each character of `content` stands, which is a part of a line: its end, or a table's next cell."""
        text, line = content.strip(), self.line(number)
        if is_cell:
            inner = self._cells_of(number).places(text)
        else:
            at = len(line.rstrip()) - len(text) if line.rstrip().endswith(text) else line.find(text)
            inner = list(range(at, at + len(text))) if at >= 0 else []
        if len(inner) != len(text):
            return None
        return [self._starts[number] + place for place in _padded(inner, content, text)]

    def _cells_of(self, number: int) -> _Cells:
        if number not in self._cells:
            self._cells[number] = _Cells(self.line(number))
        return self._cells[number]


class _Cells:
    """A table's line, whose cells are asked for in their order."""

    def __init__(self, line: str) -> None:
        self._kept = [
            at for at in range(len(line)) if line[at : at + 2] != "\\|"
        ]  # the parser takes the backslash away
        self._text = "".join(line[at] for at in self._kept)
        self._next = 0

    def places(self, text: str) -> list[int]:
        at = self._text.find(text, self._next)
        self._next = at + len(text) if at >= 0 else self._next
        return self._kept[at : at + len(text)] if at >= 0 else []


def _padded(inner: list[int], content: str, text: str) -> list[int]:
    """Places for the blanks around a text, too; where exactly is of no matter."""
    before = len(content) - len(content.lstrip()) if text else len(content)
    after = len(content) - len(text) - before
    first, last = (inner[0], inner[-1]) if inner else (0, 0)
    return [first] * before + inner + [last] * after


# --- code and tables --------------------------------------------------------------------------------------------------


def _fence(token: Token, lines: _Lines) -> Region:
    assert token.map is not None
    first, end = token.map
    opening = lines.line(first)
    prefix = re.sub(
        r"[^>]", " ", opening[: max(0, opening.find(token.markup))]
    )  # with blanks in place of a list's mark
    mark = token.markup if len(token.markup) <= _LONGEST_MARK else ""
    is_closed = end - first > 1 and re.search(rf"{re.escape(token.markup)}[`~]*\s*$", lines.line(end - 1)) is not None
    return Region(
        start=lines.start(first),
        end=lines.start(end),
        body=Span(lines.start(first + 1), lines.start(end - 1 if is_closed else end)),
        prefix=prefix,
        opening=f"{outdented(prefix, prefix)}{mark}{token.info.strip()[:_LONGEST_INFO]}\n" if mark else "",
        closing=mark,
        is_code=True,
    )


def _table(place: list[int], lines: _Lines) -> Region:
    first, end = place
    rule = lines.line(first + 1)
    prefix = rule[: len(rule) - len(rule.lstrip("> "))]
    head = prefix + lines.line(first)[len(prefix) :]  # without the mark of a list that begins here
    return Region(
        start=lines.start(first),
        end=lines.start(end),
        body=Span(lines.start(first + 2), lines.start(end)),
        prefix=prefix,
        opening="".join(f"{outdented(line, prefix)}\n" for line in (head, rule)),
        closing="",
        is_code=False,
    )


def outdented(line: str, prefix: str) -> str:
    """A line without the blanks that `prefix` has for lists: before its quotes' marks, and behind the last of them."""
    made, rest = "", line
    *quotes, last = re.sub(r"> ?", ">", prefix).split(">")
    for blanks in quotes:
        rest = _less(rest, len(blanks))
        mark = re.match(r"> ?", rest)
        if mark is None:
            return made + rest
        made, rest = made + mark[0], rest[mark.end() :]
    return made + _less(rest, len(last))


def _less(line: str, blanks: int) -> str:
    return line[min(blanks, len(line) - len(line.lstrip(" "))) :]


# --- within lines -----------------------------------------------------------------------------------------------------


def _inline(token: Token, lines: _Lines, found: Map, *, is_cell: bool) -> None:
    places: list[int] = []
    assert token.map is not None
    for number, content in enumerate(token.content.split("\n"), start=token.map[0]):
        there = lines.places(number, content, is_cell=is_cell)
        if there is None:
            return
        places += [*there, lines.start(number + 1) - 1]
    for kind, start, end in token.meta.get("found", ()):
        getattr(found, kind).append(Span(places[start], places[end - 1] + 1))


def _bare_urls(source: str) -> Iterator[Span]:
    for url in _URL.finditer(source):
        end = _NOT_IN_URL.search(source, url.start(), url.end())
        yield Span(url.start(), end.start() if end else url.end())


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    """The parser, with rules that note where in a paragraph's content they found something."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.inline.ruler.at("backticks", _noting_code)
    parser.inline.ruler.at("autolink", _noting_autolink)
    parser.inline.ruler.at("link", _noting_link)
    parser.inline.ruler.at("image", _noting_image)
    parser.core.ruler.at("inline", _read_inline)
    return parser


def _read_inline(state: StateCore) -> None:
    """The parser's own step, with the content at hand by which a note knows that it is about this very text."""
    for token in state.tokens:
        if token.type == "inline":
            notes: list[tuple[str, int, int]] = []
            state.env.update(content=token.content, notes=notes)
            token.children = token.children or []
            state.md.inline.parse(token.content, state.md, state.env, token.children)
            token.meta["found"] = notes


def _note(state: StateInline, silent: bool, notes: Iterable[tuple[str, int, int]]) -> None:
    """Keeps notes, unless the parser only looks ahead, or reads an image's label, which is a text of its own to it."""
    if not silent and state.src is state.env["content"]:
        state.env["notes"].extend(notes)


def _noting_code(state: StateInline, silent: bool) -> bool:
    start, before = state.pos, len(state.tokens)
    done = backtick(state, silent)
    if done and len(state.tokens) > before and state.tokens[-1].type == "code_inline":
        _note(state, silent, [("code", start, state.pos)])
    return done


def _noting_autolink(state: StateInline, silent: bool) -> bool:
    start = state.pos
    done = autolink(state, silent)
    if done:
        is_url = ":" in state.src[start : state.pos]  # else it is an e-mail's, if a name like @here is one
        _note(state, silent, [("links", start, state.pos), *([("addresses", start, state.pos)] if is_url else [])])
    return done


def _noting_link(state: StateInline, silent: bool) -> bool:
    start = state.pos
    label = state.md.helpers.parseLinkLabel(state, start, True) if state.src[start] == "[" else -1
    done = link(state, silent)
    if done:
        _note(state, silent, [("links", start, state.pos), *_behind(label, state.pos)])
    return done


def _noting_image(state: StateInline, silent: bool) -> bool:
    start = state.pos
    label = state.md.helpers.parseLinkLabel(state, start + 1, False) if state.src[start : start + 2] == "![" else -1
    done = image(state, silent)
    if done:
        _note(state, silent, [("links", start, state.pos), ("images", start, state.pos), *_behind(label, state.pos)])
    return done


def _behind(label: int, end: int) -> list[tuple[str, int, int]]:
    """What follows a label's closing bracket."""
    return [("addresses", label + 1, end)] if label >= 0 and label + 1 < end else []
