"""The pieces that cards, modals and App Home are made of, as Block Kit has them. What somebody else made is plain text, never mrkdwn.

Limits: https://docs.slack.dev/reference/block-kit/blocks (section 3,000 characters, header 150).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from base import words
from base.json_text import dumps, loads
from base.markdown import Block
from base.visible import middle, visible

SECTION = 2_900  # characters of one section, below Slack's 3,000
GOES_ON = "… "  # before what goes on with a line


def button(action: str, label: str, value: str, style: str = "") -> Block:
    """A button. Its `value` is all that it carries: an opaque id."""
    text = {"type": "plain_text", "text": label, "emoji": False}
    return {"type": "button", "action_id": action, "text": text, "value": value} | ({"style": style} if style else {})


def confirmation(title: str, text: str, do: str) -> dict[str, Any]:
    """The small dialog with which Slack's client asks before a button counts."""
    return {
        "title": plain_text(title),
        "text": plain_text(text),
        "confirm": plain_text(do),
        "deny": plain_text(words.CANCEL),
    }


def readable(body: str) -> str:
    """A stored body laid out for reading, with nothing in it that could hide: invisible characters appear as JSON escapes."""
    laid_out = dumps(loads(body), ensure_ascii=False, indent=2)
    return visible(laid_out if len(laid_out) <= 3 * len(body) + 200 else body)


def header_block(text: str) -> Block:
    """A heading; at most 150 characters."""
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def plain_text(text: str) -> dict[str, Any]:
    """Text in which nothing is markup."""
    return {"type": "plain_text", "text": text, "emoji": False}


def plain_section(text: str) -> Block:
    """A short text that somebody else may have made."""
    return {"type": "section", "text": plain_text(middle(visible(text), SECTION))}


def plain_sections(text: str) -> list[Block]:
    """Plain text in as many sections as it takes. Slack folds no part of one that is expanded, and refuses a text of blanks."""
    parts = (part for part in _parts(text) if part.strip())
    return [{"type": "section", "text": plain_text(part), "expand": True} for part in parts]


def _parts(text: str) -> Iterator[str]:
    """`text` in parts of whole lines. What goes on with a longer line begins with a mark, so that it cannot pass for a line."""
    part = ""
    for line in re.split(r"(?<=\n)", text):
        if len(part) + len(line) > SECTION:
            yield part
            part = ""
        while len(line) > SECTION:
            yield line[:SECTION]
            line = GOES_ON + line[SECTION:]
        part += line
    yield part


def context_block(text: str) -> Block:
    """A small grey line of mrkdwn; what others made in it is escaped."""
    return {"type": "context", "elements": [mrkdwn_text(text)]}


def mrkdwn_text(text: str) -> dict[str, Any]:
    """Text in Slack's markup, cut to what a block takes."""
    return {"type": "mrkdwn", "text": middle(text, SECTION)}


def date(at: float) -> str:
    """A moment in each reader's own time zone: https://docs.slack.dev/messaging/formatting-message-text#date-formatting."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|at {int(at)}>"
