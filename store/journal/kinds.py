"""The kinds of entries that there are. A test holds them to what the code writes."""

from __future__ import annotations

from gate.policy import Event

KINDS = (
    "account asked for",
    "alarm",
    "answer",
    "bad call",
    "begun anew",
    "check",
    "click refused",
    "connected",
    "disconnected",
    "ended by a person",
    "failed",
    "find",
    "look",
    "look-up",
    "message deleted",
    "model busy",
    "model call",
    "more",
    "not connected",
    "proposed",
    "question",
    "question deleted",
    "question edited",
    "question refused",
    "read",
    "reminder",
    "restored",
    "set aside",
    "stop",
    "vote",
    *map(str, Event),  # what became of a request
)
