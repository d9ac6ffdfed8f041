"""Moments as people write them on a command line: a date, a date with a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
FORM = "write a date (2026-11-30), a date and time (2026-11-30T14:00, in UTC unless it ends in +01:00), or how long ago (90m, 2h, 3d, 1w)"


def read_moment(text: str, now: float, *, to_its_end: bool = False) -> float:
    """A moment in seconds since 1970. `to_its_end`: a date without a time stands for the end of its day. Raises `ValueError`."""
    text = text.strip()
    if ago := re.fullmatch(r"(\d{1,9})\s*([smhdw])", text):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        given = datetime.fromisoformat(text)
        moment = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
        is_day = re.fullmatch(r"\d{4}-?\d{2}-?\d{2}|\d{4}-?W\d{2}-?\d", text) is not None
        return (moment + timedelta(days=1) if is_day and to_its_end else moment).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(FORM) from None
