"""What goes to Slack as blocks: approval cards, drawn from the stored row alone, and answers made harmless and cut to Slack's sizes.

Limits: https://docs.slack.dev/reference/block-kit/blocks (section 3,000 characters, header 150, 50 blocks, button value 2,000) and
https://docs.slack.dev/reference/methods/chat.update (text 4,000).
"""

from __future__ import annotations

import http
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core import words
from core.policy import State

Block = dict[str, Any]

TEXT_LIMIT = 3_900  # characters of one message's text, below chat.update's 4,000
_SECTION = 2_900  # characters of one section, below Slack's 3,000
_SECTIONS = 4  # sections of body in one message; Slack bounds the sum of a message's blocks without saying where


@dataclass(frozen=True)
class CardRow:
    """What a card is drawn from: columns of the stored proposal, nothing else."""

    token: str
    state: State
    method: str
    url: str
    body: str | None
    asker: str
    why: str
    expires_at: float
    decided_by: str | None = None
    decided_at: float | None = None
    status: int | None = None
    note: str = ""


_DRAWN_AS_NOTHING = (
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters, marks and a symbol by category, yet blank
)

# --- cards ------------------------------------------------------------------------------------------------------------


def card(row: CardRow) -> tuple[str, list[Block]]:
    """The card of a proposal in its present state: (text for notifications, blocks). Buttons only while it is pending."""
    tail = _body_chunks(row)[-1]
    blocks = [
        _header(words.CARD_TITLES[row.state]),
        _plain(f"{row.method} {row.url}"),
        *(_plain(chunk) for chunk in tail),
    ]
    blocks.append(_context(_who(row)))
    if row.why and row.state is State.PENDING:
        blocks.append(_context(escape(row.why)))
    blocks += [_buttons(row)] if row.state is State.PENDING else [_context(_ending(row))]
    text = f"{words.CARD_TITLES[row.state]}: {row.method} {row.url}"
    return escape(_fit(text, 2_000)), blocks


def card_parts(row: CardRow) -> list[tuple[str, list[Block]]]:
    """The messages before the card that hold the beginning of a body too long for one message. None for a usual one."""
    chunks = _body_chunks(row)[:-1]
    titles = [words.CARD_PART.format(part=i, parts=len(chunks) + 1) for i in range(1, len(chunks) + 1)]
    return [
        (title, [_context(title), *(_plain(chunk) for chunk in part)])
        for title, part in zip(titles, chunks, strict=True)
    ]


def _body_chunks(row: CardRow) -> list[list[str]]:
    """The whole readable body in sections, as many of them a message as Slack takes."""
    text = readable(row.body) if row.body is not None else words.NO_BODY
    sections = [text[at : at + _SECTION] for at in range(0, len(text), _SECTION)]
    return [sections[at : at + _SECTIONS] for at in range(0, len(sections), _SECTIONS)]


def readable(body: str) -> str:
    """A stored body laid out for reading, with nothing in it that could hide: invisible characters appear as JSON escapes."""
    laid_out = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    text = laid_out if len(laid_out) <= 3 * len(body) + 200 else body
    return "".join(c if c == "\n" or _shows(c) else _escape_character(c) for c in text)


def _shows(character: str) -> bool:
    """Whether a character can be seen as itself: no control, format, surrogate, private or unassigned ones, no odd blanks."""
    if character == " ":
        return True
    if character in _DRAWN_AS_NOTHING or "VARIATION SELECTOR" in unicodedata.name(character, ""):
        return False
    return unicodedata.category(character)[0] not in "CZ"


def _escape_character(character: str) -> str:
    return json.dumps(character)[1:-1] if not character.isascii() else f"\\u{ord(character):04x}"


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _plain(text: str) -> Block:
    return {"type": "section", "text": {"type": "plain_text", "text": _fit(text, 3_000), "emoji": False}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _buttons(row: CardRow) -> Block:
    def button(action: str, label: str, style: str) -> Block:
        label_text = {"type": "plain_text", "text": label, "emoji": False}
        return {"type": "button", "action_id": action, "text": label_text, "style": style, "value": row.token}

    elements = [button("approve", words.APPROVE, "primary"), button("deny", words.DENY, "danger")]
    return {"type": "actions", "elements": elements}


def _who(row: CardRow) -> str:
    asked = f"Asked by <@{row.asker}>, who decides"
    return f"{asked} · expires {_date(row.expires_at)}" if row.state is State.PENDING else f"Asked by <@{row.asker}>"


def _ending(row: CardRow) -> str:
    """Who decided, when, and what came of it."""
    parts = []
    if row.decided_by and row.decided_at:
        verb = "Denied" if row.state is State.REJECTED else "Approved"
        parts.append(f"{verb} by <@{row.decided_by}> {_date(row.decided_at)}")
    if row.state in (State.APPROVED, State.SENDING):
        parts.append("being sent")
    elif row.state in words.OUTCOMES:
        parts.append(words.OUTCOMES[row.state])
    elif row.status is not None:
        parts.append(f"The API answered {status_text(row.status)}")
    elif row.note:
        parts.append(escape(_fit(row.note, 500)))
    return " · ".join(parts) or "Nothing was sent."


def status_text(status: int) -> str:
    """`404 Not Found`."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _date(at: float) -> str:
    """A moment in each reader's own time zone: https://docs.slack.dev/messaging/formatting-message-text#date-formatting."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|at {int(at)}>"


def _fit(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str) -> str:
    """Text that Slack shows as it is: https://docs.slack.dev/messaging/formatting-message-text#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- answers ----------------------------------------------------------------------------------------------------------

_OPEN = r"(?:<|&lt;?|&#0*60;?|&#[xX]0*3[cC];?)"
_CLOSE = r"(?:>|&gt;?|&#0*62;?|&#[xX]0*3[eE];?)"
_CONTROL = re.compile(rf"{_OPEN}\s*([!@#])([^<>\n|]{{0,200}}?)(?:\|([^<>\n]{{0,200}}?))?{_CLOSE}")
_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)


def harmless(text: str) -> str:
    """Model-made Markdown that notifies nobody, fetches nothing and cannot pass for a card.

    Slack's control sequences (`<!channel>`, `<@U...>`) become plain words, images plain links, and the lock that cards begin
    with a word.
    """
    text = text.replace(words.LOCK, "(lock)").replace(":closed_lock_with_key:", "(lock)")
    text = _CONTROL.sub(_as_words, text)
    text = re.sub(rf"{_OPEN}(?=\s*[!@])", "(", text)
    text = _BROADCAST.sub("@\u200b", text)  # a zero-width space keeps '@channel' readable and dead
    return re.sub(r"!(?=\[)", "", text)


def _as_words(found: re.Match[str]) -> str:
    sign = "#" if found[1] == "#" else "@"
    return sign + (found[3] or found[2]).lstrip("@#")


def answer(text: str) -> list[tuple[str, list[Block]]]:
    """An answer as messages: (text for notifications, one markdown block each), in order, nothing cut off."""
    return [
        (escape(part), [{"type": "markdown", "text": part}])
        for part in split(harmless(text), TEXT_LIMIT, lambda part: len(escape(part)))
    ]


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
