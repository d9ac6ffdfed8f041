"""What one person, one channel and everybody together may use of the bot: questions in a while, and the model's tokens in a day."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPANS = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0}
_FORM = "write a number and a span, for example 20/hour (minute, hour or day)"


@dataclass(frozen=True)
class Rate:
    """So many questions within the last minute, hour or day, at whatever moment one looks."""

    count: int
    span: str

    @property
    def seconds(self) -> float:
        """How long the span is."""
        return _SPANS[self.span]

    def __str__(self) -> str:
        return f"{self.count}/{self.span}"

    @classmethod
    def read(cls, text: str) -> Rate:
        """A rate as the settings have it. Raises `ValueError` with what to write instead."""
        found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\w+)\s*", text)
        if found is None:
            raise ValueError(_FORM)
        if found[2] not in _SPANS:
            near = next((span for span in _SPANS if found[2].lower() in (span[0], f"{span}s", span[:3], span)), None)
            raise ValueError(f"'{found[2]}' is not a time span; write {found[1]}/{near}" if near else _FORM)
        if not int(found[1]):
            raise ValueError("write 1 or more, or leave it out for no limit")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True)
class Allowance:
    """None: as much as they like. Tokens are those of the last 24 hours, as the model's server counts them."""

    person: Rate | None = None
    channel: Rate | None = None
    tokens: int | None = None
    tokens_of_all: int | None = None


UNLIMITED = Allowance()
