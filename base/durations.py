"""Spans of time for people: "40 seconds", "5 minutes"."""

from __future__ import annotations

import math

_MINUTE, _HOUR = 60, 3_600
_MANY = 120  # of a unit; from there on the next one says enough


def span(seconds: float) -> str:
    """A span in whole seconds, minutes or hours, rounded up; at least a second."""
    for unit, name in ((1, "second"), (_MINUTE, "minute")):
        if seconds < _MANY * unit:
            return _counted(seconds, unit, name)
    return _counted(seconds, _HOUR, "hour")


def _counted(seconds: float, unit: int, name: str) -> str:
    count = max(1, math.ceil(seconds / unit))
    return f"{count:,} {name}{'s' if count != 1 else ''}"
