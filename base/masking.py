"""Secrets taken out of whatever is about to be shown, logged or given to the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from base.shrink import CUT

HIDDEN = "[hidden]"
_TELLING = 4  # characters of a secret before a cut that count as such
_Text = TypeVar("_Text", str, bytes)


def mask(value: Any, secrets: Sequence[str]) -> Any:
    """`value` with every occurrence of a secret replaced, in keys as well; also of one's beginning, where a text was cut in it."""
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, HIDDEN)
            return _mask_cut(value, secrets) if CUT in value else value
        case list():
            return [mask(one, secrets) for one in value]
        case dict():
            return {mask(key, secrets): mask(one, secrets) for key, one in value.items()}
    return value


def _mask_cut(text: str, secrets: Sequence[str]) -> str:
    *before, last = text.split(CUT)
    begun = ((one, beginning_at_end(one, secrets)) for one in before)
    return CUT.join([*(one[:-size] + HIDDEN if size >= _TELLING else one for one, size in begun), last])


def beginning_at_end(text: _Text, secrets: Sequence[_Text]) -> int:
    """How much of a secret, less than all of it, stands at the end of a text: what a cut there left of it, which no mask would find."""
    return max((_overlap(text, secret) for secret in secrets), default=0)


def _overlap(text: _Text, secret: _Text) -> int:
    tail = text[max(0, len(text) - len(secret) + 1) :]
    at = tail.find(secret[:1])
    while at >= 0 and not secret.startswith(tail[at:]):
        at = tail.find(secret[:1], at + 1)
    return len(tail) - at if at >= 0 else 0
