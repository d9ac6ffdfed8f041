"""When an API that says "not now" may be asked again: its Retry-After header (RFC 9110, 10.2.3), else a pause that doubles."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BUSY = (429, 503)
TRIES = 5  # of one read in all
_LEAST = 0.1  # seconds: "at once" is not at once, or an API that errs is asked in a loop
_PAUSE = 0.5  # seconds before the first retry where the API names none


def pause(retry_after: str, tried: int, now: float) -> float:
    """Seconds to wait after `tried` tries. `now` is seconds since 1970."""
    asked = seconds_of(retry_after, now)
    return max(_LEAST, asked) if asked is not None else _PAUSE * 2 ** (tried - 1)


def waiting_words(status: int, retry_after: str) -> str:
    """What a busy API asks for, in words; empty where it asks for nothing."""
    if status not in BUSY:
        return ""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return f"It asks to wait {int(text):,} seconds: try again then, not now."
    if (moment := _moment(text)) is not None:  # in a form of our own: what an API says must not stand in our words
        return f"It asks to wait until {moment:%Y-%m-%d %H:%M:%S} UTC: try again then, not now."
    return "It is busy: try again in a minute or later."


def seconds_of(retry_after: str, now: float) -> float | None:
    """Seconds from `now` that the header names; None where it names none."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    moment = _moment(text)
    return moment.timestamp() - now if moment is not None else None


def _moment(text: str) -> datetime | None:
    """An HTTP date."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
