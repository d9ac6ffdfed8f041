"""What a process has learnt about its model: how much it takes at once, and whether it thinks aloud. Nothing of it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LEAST = 256  # tokens; smaller numbers in an error are no window
_TRIES = 8  # budgets that are tried for one call
# How servers name their window: OpenAI, vLLM, llama.cpp, Gemini, xAI; TGI, LM Studio; Anthropic, Mistral.
_LIMITS = (
    re.compile(r"(?:max\w*|available|limit\w*|window|size)[^.\d]{0,60}?(\d[\d,_]*)", re.I),
    re.compile(r"(?:<=?|at most|(?:length|only|up to|than|of))\s*(\d[\d,_]*)", re.I),
    re.compile(r"(\d[\d,_]*)\s*(?:tokens?\s*)?(?:max\w*|limit|context)", re.I),
)
_NUMBER = re.compile(r"\d[\d,_]*")


class Habits:
    """What is known of the model by now."""

    def __init__(self) -> None:
        self.thinks_aloud = False  # its text begins with thoughts, which shows only when they end
        self._most: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether the budget is the model's own."""
        return self._most is not None

    def budget(self, most: int) -> int:
        """Tokens for a request's messages. `most` is what the operator allows."""
        return most if self._most is None else min(most, self._most)

    def took(self, budget: int) -> None:
        """The model took a request that was cut to so many tokens, having refused a larger one."""
        self._most = budget


def smaller(budget: int, size: int, refusal: str) -> Iterator[int]:
    """Budgets to try for a request of `size` tokens, as they are estimated here, that was more than the model takes: first what the
    server named, if its words hold it, then half each time."""
    left = min(budget, size)
    named = _named(refusal, size)
    if named is not None and _LEAST <= named < left:
        left = named
        yield left
    for _ in range(_TRIES):
        left //= 2
        yield left


def _named(said: str, size: int) -> int | None:
    """Tokens by our count that fit the window which a server named, with room for an answer."""
    found = (match for pattern in _LIMITS for match in pattern.finditer(said[:4_000]))
    limit = next((number for match in found if (number := _number(match[1])) >= _LEAST), None)
    if limit is None:
        return None
    room = limit * 3 // 4  # the tools and the answer need some of it
    counted = max(
        (number for match in _NUMBER.finditer(said[:4_000]) if (number := _number(match[0])) > limit), default=0
    )
    return room * size // counted if counted else room


def _number(text: str) -> int:
    digits = re.sub(r"[,_]", "", text)
    return int(digits) if len(digits) < 10 else 0
