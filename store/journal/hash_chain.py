"""The journal's entries as values, and the chain that ties each to the one before: HMAC-SHA256 over its content and the last hash.

Under the same key: signatures of what is kept beside the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from base.utf8 import encoded

FIRST = "0" * 64  # what stands for "the hash before" at the first entry


@dataclass(frozen=True)
class JournalEntry:
    """Something that happened, to be written down: `kind` in one or two words, `data` without anything secret."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChainedEntry:
    """An entry in its place: its number (from 1, without gaps), moment (seconds since 1970), thread, turn and hash."""

    number: int
    at: float
    thread: str
    turn: str
    kind: str
    data: str  # JSON text, exactly as it was hashed
    hash: str


def link(key: bytes, before: str, number: int, at: float, thread: str, turn: str, kind: str, data: str) -> str:
    """The hash of a line, in hex."""
    return _keyed(key, [before, number, repr(at), thread, turn, kind, data])


def sign(key: bytes, what: str, *content: object) -> str:
    """The signature of something that is no line, in hex. `what` is its kind, so that none can be taken for another."""
    return _keyed(key, [what, *content])


def is_signed(key: bytes, signature: object, what: str, *content: object) -> bool:
    """Whether a signature is that of `what` with this content."""
    given = signature if isinstance(signature, str) else ""
    return hmac.compare_digest(sign(key, what, *content).encode(), encoded(given))


def _keyed(key: bytes, content: list[object]) -> str:
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def first_broken(
    key: bytes, lines: Iterable[ChainedEntry], first: int = 1, before: str = FIRST
) -> tuple[int | None, str, int]:
    """Checks lines from number `first` on, whose chain goes on from `before`. Gives (number of the first that is wrong or missing, hash
    of the last good one, its number)."""
    number = first - 1
    for line in lines:
        if line.number != number + 1 or not is_whole(key, before, line):
            return number + 1, before, number
        before, number = line.hash, line.number
    return None, before, number


def is_whole(key: bytes, before: str, line: ChainedEntry) -> bool:
    """Whether a line is as it was written. Somebody with the database may have put anything into its columns."""
    texts = (line.thread, line.turn, line.kind, line.data, line.hash)
    if not isinstance(line.at, float) or not all(isinstance(one, str) for one in texts):
        return False
    expected = link(key, before, line.number, line.at, line.thread, line.turn, line.kind, line.data)
    return hmac.compare_digest(expected.encode(), encoded(line.hash))


def digest(text: str) -> str:
    """What the journal keeps of a text that retention may erase."""
    return hashlib.sha256(encoded(text)).hexdigest()
