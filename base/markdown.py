"""A model's answer as Slack messages: made harmless, and split to Slack's sizes with nothing cut off.

Limits: https://docs.slack.dev/reference/block-kit/blocks/markdown-block (12,000 characters) and
https://docs.slack.dev/reference/methods/chat.update (text 4,000).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from base.links import ADDRESS, BEGINNING, Edit, Links
from base.links import edits as link_edits
from base.markdown_map import Map, Span, read
from base.markdown_split import split

Block = dict[str, Any]

TEXT_LIMIT = 3_900  # characters of one message's text, below chat.update's 4,000
_ROOM = 100  # characters of a growing message that are left for what else stands in it


def escape(text: str) -> str:
    """Text that Slack shows as it is: https://docs.slack.dev/messaging/formatting-message-text#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_MARKS = 3  # combining marks on one character; no living script needs more
_PASSES = 5  # over a text in which what was taken away brought something new together
# What Slack acts on (https://docs.slack.dev/messaging/formatting-message-text#advanced): people, groups, channels, everybody, dates.
_SEQUENCE = re.compile(
    r"<\s*(?:!\s*(?P<all>(?i:channel|here|everyone|group)\b[^<>|]*|(?i:subteam|date)\^[^<>|]*)"
    r"|@\s*(?P<one>[UW][A-Z0-9]{2,})|(?P<hash>#)\s*(?P<channel>[CGD][A-Z0-9]+))\s*(?:\|(?P<label>[^<>]*))?>"
)
# No e-mail's end, no beginning of a longer name; but emphasis, _@here_, is no part of a name.
_WORD = re.compile(
    r"(?<![^\W_])(?<![.+-])@(?=(?:channel|here|everyone|group)(?!_*[^\W_]|[./-]\w))",
    re.IGNORECASE,
)
_OF_ADDRESS = re.compile(r"[A-Za-z0-9/=:?&.-]@")  # where Markdown within an address would begin nothing
_EVERYBODY = re.compile(r"channel|here|everyone|group", re.IGNORECASE)
_IMAGE = re.compile(r"(?<!\\)!+(?=\[[^\[\]]*\]\()")
_LOCK = re.compile(
    "[\N{LOCK WITH INK PEN}\N{CLOSED LOCK WITH KEY}\N{LOCK}\N{OPEN LOCK}]|:(?:lock_with_ink_pen|closed_lock_with_key|lock|unlock):"
)
_WRITTEN = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});|\\[<>|@#]|\\!(?!\[)")
_SUSPECT = re.compile(r"[<@&\N{LOCK WITH INK PEN}\N{CLOSED LOCK WITH KEY}\N{LOCK}\N{OPEN LOCK}]|!\[|lock:|lock_with")
_SUSPECT_OF_LINKS = re.compile(f"{_SUSPECT.pattern}|{BEGINNING}", re.IGNORECASE)
# With links to be told apart, each mark that a backslash may stand before counts, too.
_WRITTEN_AT_ALL = re.compile(rf"{_WRITTEN.pattern}|\\[!-/:-@\[-`{{-~]")
_BARRIER = "\ufffe"  # in place of code; no character


def harmless(text: str, links: Links | None = None) -> str:
    """Model-made Markdown that notifies nobody, fetches nothing and cannot pass for a card. All else comes out byte for byte.

    Slack's control sequences (`<!channel>`, `<@U...>`) become plain words, also those spelled with entities; images become plain
    links, the lock that cards begin with, and its like, a word; marks do not pile up. What is code stays as it is. With `links`,
    addresses of other hosts become code.
    """
    if not text.isascii():
        text = "".join(character for character, is_piled in piled(text) if not is_piled)
    for number in range(_PASSES + 1):
        found = list(_edits(text, links, is_last=number == _PASSES)) if _suspect(links).search(text) else []
        if not found:
            break
        text = _edited(text, found)
    return text


def _suspect(links: Links | None) -> re.Pattern[str]:
    """What a text that may have to change has in it."""
    return _SUSPECT if links is None else _SUSPECT_OF_LINKS


def _edits(text: str, links: Links | None = None, *, is_last: bool = False) -> Iterator[Edit]:
    """What has to change in a text.

    `is_last`: nothing may come together any more, so an invisible character keeps it apart.
    """
    there = read(text)
    seen = _Decoded(text, there.code)
    for found in _SEQUENCE.finditer(seen.text):
        yield (*seen.place(found.start(), found.end()), _as_words(found, "\u200b" if is_last else ""))
    for found in _WORD.finditer(seen.text):
        start, end = seen.place(found.start(), found.end())
        in_address = any(one.start <= start < one.end for one in there.addresses)
        if not (in_address and _OF_ADDRESS.match(text, start - 1)):
            yield end, end, "\u200b"  # a zero-width space keeps '@channel' readable and dead
    for found in _LOCK.finditer(seen.text):
        yield (*seen.place(found.start(), found.end()), "(lock)")
    for found in _IMAGE.finditer(seen.text):
        yield (*seen.place(found.start(), found.end()), "")
    for one in there.images:
        yield one.start, one.start + 1, ""
    if links is not None:
        yield from _plain_links(text, there, links)


def _plain_links(text: str, there: Map, links: Links) -> Iterator[Edit]:
    seen = _Decoded(text, there.code, _WRITTEN_AT_ALL)
    stray = {
        len(run) for run in re.findall("`+", seen.text)
    }  # backticks that are no code; ours must not pair with them
    tick = "`" * next(number for number in range(1, len(stray) + 2) if number not in stray)
    found = ((*seen.place(one.start(), one.end()), one[0]) for one in ADDRESS.finditer(seen.text))
    yield from link_edits(text, there, found, links, tick)


def _edited(text: str, edits: list[Edit]) -> str:
    """The text with all edits; of two that overlap, the first."""
    parts, at = [], 0
    for start, end, instead in sorted(edits):
        if start >= at:
            parts += [text[at:start], instead]
            at = end
    return "".join([*parts, text[at:]])


def _as_words(found: re.Match[str], between: str) -> str:
    name = (found["label"] or found["all"] or found["one"] or found["channel"]).strip().lstrip("@#")
    return ("#" if found["hash"] else "@") + ("\u200b" if _EVERYBODY.match(name) else between) + name


class _Decoded:
    """A text as who undoes its entities and backslashes reads it, code left out, and where in it what is found there stands."""

    def __init__(self, text: str, code: Iterable[Span], written: re.Pattern[str] = _WRITTEN) -> None:
        pieces: list[tuple[str, int, int]] = []
        at = 0
        for span in sorted(code, key=lambda one: one.start):
            pieces += [*_pieces(text, at, max(at, span.start), written), (_BARRIER, span.start, span.end)]
            at = max(at, span.end)
        pieces += _pieces(text, at, len(text), written)
        self.text = "".join(piece for piece, _, _ in pieces)
        self._starts = [start for piece, start, _ in pieces for _ in piece]
        self._ends = [end for piece, _, end in pieces for _ in piece]

    def place(self, start: int, end: int) -> tuple[int, int]:
        return self._starts[start], self._ends[end - 1]


def _pieces(text: str, start: int, end: int, written: re.Pattern[str]) -> Iterator[tuple[str, int, int]]:
    """Characters as they are meant, each with its place. Whether Slack undoes entities before it looks for mentions is not documented."""
    at = start
    for found in written.finditer(text, start, end):
        yield from ((text[one], one, one + 1) for one in range(at, found.start()))
        meant = found[0][1:] if found[0].startswith("\\") else html.unescape(found[0])
        yield meant, found.start(), found.end()
        at = found.end()
    yield from ((text[one], one, one + 1) for one in range(at, end))


def piled(text: str) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it is a combining mark on a pile of them: such piles paint over the lines around them."""
    marks = 0
    for character in text:
        kind = unicodedata.category(character)
        marks = marks + 1 if kind[0] == "M" else 0
        yield character, marks > _MARKS or kind == "Me"


def answer(text: str, links: Links | None = None) -> list[tuple[str, list[Block]]]:
    """An answer as messages: (text for notifications, one markdown block each), in order, nothing cut off."""
    return [
        (escape(part), [{"type": "markdown", "text": part}])
        for part in split(harmless(text, links), TEXT_LIMIT, lambda part: len(escape(part)))
    ]


def beginning(text: str, links: Links | None = None) -> str:
    """What can be shown of an answer that is still being written: harmless, whole words, at most one message.

    What stood in an earlier beginning stays: a word that is not yet whole waits, and so does what may have to change, until it is
    known for sure what it is: at the end of its block, for an image with a name in place of its address at the end of the answer.
    """
    text = text[: max(text.rfind(" "), text.rfind("\n")) + 1][: 2 * TEXT_LIMIT]
    parts = split(
        harmless(text[: _settled(text, _suspect(links))], links), TEXT_LIMIT - _ROOM, lambda part: len(escape(part))
    )
    return parts[0] if parts else ""


def _settled(text: str, suspect: re.Pattern[str]) -> int:
    """Up to where more text changes nothing of what is made harmless."""
    if not suspect.search(text):
        return len(text)
    there = read(text)
    open_from = max(there.last, text.rfind("\n\n"))  # the last block may still go on
    known = {one.start for one in there.images if text[one.end - 1] == ")"}  # images with their addresses
    for found in suspect.finditer(text):
        at = found.start()
        is_open = found[0] == "![" and at not in known and not any(one.start <= at < one.end for one in there.code)
        if at >= open_from or is_open:
            return (
                at if suspect is _SUSPECT else max(text.rfind(" ", 0, at), text.rfind("\n", 0, at)) + 1
            )  # an address is a word
    return len(text)
