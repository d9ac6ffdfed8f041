"""What people are told where as much was used of the bot as may be, with the moment from which on more may be."""

from __future__ import annotations

import math

from base import words
from base.allowance import Rate
from gate.card_blocks import date
from store.usage import Closed

_MINUTE = 60
_TEXTS = {
    "RATE_LIMIT": words.RATE_REACHED,
    "RATE_LIMIT_CHANNEL": words.CHANNEL_RATE_REACHED,
    "TOKEN_BUDGET": words.TOKENS_USED,
    "TOKEN_BUDGET_ALL": words.TOKENS_OF_ALL_USED,
}


def closed_text(closed: Closed) -> str:
    """The line for who asked; its moment shows in each reader's own time zone, to the minute, never too early."""
    when = date(math.ceil(closed.until / _MINUTE) * _MINUTE)
    return _TEXTS[closed.setting].format(when=when, rate=_rate(closed.value))


def _rate(value: Rate | int) -> str:
    if isinstance(value, int):
        return ""
    a, s = "an" if value.span == "hour" else "a", "s" if value.count > 1 else ""
    return words.QUESTIONS.format(count=value.count, s=s, a=a, span=value.span)
