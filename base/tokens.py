"""About how many tokens a text has for a model, without a tokenizer: rather too many than too few.

The pieces follow the way in which byte-pair tokenizers of today cut text (OpenAI's o200k is what the tests compare with): a usual word with
the blank or underscore before it is one token. Longer words are more, as are words right behind a sign, which are rarer in texts;
digits go by threes, signs mostly by twos, and letters of other scripts one by one.
"""

from __future__ import annotations

import math
import re

from base.utf8 import encoded

_PIECE = re.compile(
    r"(?P<lead>(?<![^\sA-Za-z0-9])[-_/.])?(?:(?P<small>[a-z]+)|(?P<title>[A-Z][a-z]+)|(?P<capitals>[A-Z]+(?![a-z])))"
    r"|(?P<digits>[0-9]{1,3})|(?P<left_out>\(\.\.\.\)\n?)|(?P<signs>[^\sA-Za-z0-9\x80-\U0010ffff]+\n?)|(?P<blank>\n+| (?=[0-9])| +(?= ))"
    r"|(?P<foreign>[\x80-\U0010ffff])"
)
_LEAD = {"_": 0.05, "/": 0.75, "-": 0.45, ".": 0.2}  # what a sign before a word adds to it
_USUAL = {
    "free": (7, 0.03, 12),
    "joined": (4, 0.08, 9),
    "title": (5, 0.08, 10),
}  # letters of a word that is one token; more for each; rare from
_RARE = 0.22  # for each letter of a word that is long for its kind: two words written as one, or no English one
_ABBREVIATION, _CAPITAL = 4, 0.25
_SAFETY = 1.07  # the count of pieces is that much too low for some texts
_BYTES = 4.3  # a token has no more bytes than that, on average over any language


def estimate(text: str) -> int:
    """Tokens of the text."""
    count = sum(map(_size, _PIECE.finditer(text)))
    return math.ceil(max(count * _SAFETY, len(encoded(text)) / _BYTES))


def bound(text: str) -> int:
    """No fewer tokens than JSON or prose has: a third of its bytes. Quick; for what is trimmed with every request."""
    return len(encoded(text)) // 3 + 1


def _size(piece: re.Match[str]) -> float:
    length = len(piece[0])
    match piece.lastgroup:
        case "signs":
            return 1 + 0.25 * max(length - 2, 0)
        case "foreign":
            return 1 if piece[0] < "\u0800" else 1.5
        case "digits" | "blank" | "left_out":
            return 1
    lead = piece["lead"] or ""
    return _LEAD.get(lead, 0.0) + _word(piece, length - len(lead))


def _word(piece: re.Match[str], length: int) -> float:
    if piece["capitals"]:
        return 1 + _CAPITAL * max(length - _ABBREVIATION, 0)
    before = piece.string[piece.start() - 1 : piece.start()] if piece.start() else ""
    is_free = not piece["lead"] and not before.strip()
    usual, more, rare = _USUAL["title" if piece["title"] else "free" if is_free else "joined"]
    return 1 + more * max(length - usual, 0) + _RARE * max(length - rare, 0) + (0.1 if piece["title"] else 0.0)
