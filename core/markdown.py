"""A model's answer as Slack messages: made harmless, and split to Slack's sizes with nothing cut off.

Limits: https://docs.slack.dev/reference/block-kit/blocks/markdown-block (12,000 characters) and
https://docs.slack.dev/reference/methods/chat.update (text 4,000).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

Block = dict[str, Any]

TEXT_LIMIT = 3_900  # characters of one message's text, below chat.update's 4,000
_ROOM = 100  # characters of a growing message that are left for what else stands in it
_LONGEST_CONTROL = 450  # characters of the longest control sequence that is looked for


def escape(text: str) -> str:
    """Text that Slack shows as it is: https://docs.slack.dev/messaging/formatting-message-text#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_LOCKS = re.compile(
    "[\N{LOCK WITH INK PEN}\N{CLOSED LOCK WITH KEY}\N{LOCK}\N{OPEN LOCK}]|:(?:lock_with_ink_pen|closed_lock_with_key|lock|unlock):"
)
_MARKS = 3  # combining marks on one character; no living script needs more
_CONTROL = re.compile(r"<\s*([!@#])([^<>\n|]{0,200}?)(?:\|([^<>\n]{0,200}?))?>")
_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)
_ENTITY = re.compile(r"&(?=(?:lt|gt|excl|commat|num|#\d+|#x[0-9a-f]+);?)", re.IGNORECASE)


def harmless(text: str) -> str:
    """Model-made Markdown that notifies nobody, fetches nothing and cannot pass for a card.

    Slack's control sequences (`<!channel>`, `<@U...>`) become plain words, also those spelled with entities; images become plain
    links, the lock that cards begin with, and its like, a word; marks do not pile up.
    """
    text = "".join(character for character, is_piled in piled(text) if not is_piled)
    text = _LOCKS.sub("(lock)", text)
    text = _CONTROL.sub(_as_words, text)
    text = re.sub(r"<(?=\s*[!@])", "(", text)
    text = _BROADCAST.sub("@\u200b", text)  # a zero-width space keeps '@channel' readable and dead
    text = re.sub(
        r"(?<!!)!+(?=\[)", "", text
    )  # looked for at the first of a row alone, or a row would be gone through again and again
    return _ENTITY.sub("&amp;", text)  # last: what was taken away may have brought an entity's parts together


def piled(text: str) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it is a combining mark on a pile of them: such piles paint over the lines around them."""
    marks = 0
    for character in text:
        kind = unicodedata.category(character)
        marks = marks + 1 if kind[0] == "M" else 0
        yield character, marks > _MARKS or kind == "Me"


def _as_words(found: re.Match[str]) -> str:
    sign = "#" if found[1] == "#" else "@"
    return sign + (found[3] or found[2]).lstrip("@#")


def answer(text: str) -> list[tuple[str, list[Block]]]:
    """An answer as messages: (text for notifications, one markdown block each), in order, nothing cut off."""
    return [
        (escape(part), [{"type": "markdown", "text": part}])
        for part in split(harmless(text), TEXT_LIMIT, lambda part: len(escape(part)))
    ]


def beginning(text: str) -> str:
    """What can be shown of an answer that is still being written: harmless, whole words, at most one message.

    What stood in an earlier beginning stays: a word, a control sequence or an entity that is not yet whole waits.
    """
    text = text[: max(text.rfind(" "), text.rfind("\n")) + 1]
    opened = text.rfind("<", max(0, len(text) - _LONGEST_CONTROL))
    if opened > text.rfind(">"):
        text = text[:opened]
    parts = split(harmless(text), TEXT_LIMIT - _ROOM, lambda part: len(escape(part)))
    return parts[0] if parts else ""


def split(text: str, limit: int, size: Callable[[str], int] = len) -> list[str]:
    """`text` in parts of at most `limit` by `size`, broken at paragraphs, lines or blanks where there are any.

    A code fence that is open at a break is closed there and opened again in the next part.
    """
    parts: list[str] = []
    rest, fence = text, ""
    while size(fence + rest) > limit:
        at = _break(rest, limit - len(fence) - 5, size)
        part = fence + rest[:at]
        fence = _open_fence(part)
        parts.append(part + ("\n```" if fence else ""))
        rest = rest[at:]
    return [part for part in [*parts, fence + rest] if part.strip()]


def _break(text: str, limit: int, size: Callable[[str], int]) -> int:
    low, high = 1, min(len(text), limit)
    while low < high:  # the longest beginning whose size fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[:middle]) <= limit else (low, middle - 1)
    for mark in ("\n\n", "\n", " "):
        at = text.rfind(mark, low // 2, low)
        if at > 0:
            return at + len(mark)
    return low


def _open_fence(part: str) -> str:
    """The opening line of the code fence that `part` leaves open, with its line break, or nothing."""
    fences = re.findall(r"^[ ]{0,3}```[^\n`]*$", part, re.MULTILINE)
    return fences[-1].strip()[:40] + "\n" if len(fences) % 2 else ""
