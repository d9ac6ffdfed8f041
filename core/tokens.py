"""About how many tokens a text has for a model, without a tokenizer: rather too many than too few.

The pieces follow the way in which byte-pair tokenizers of today cut text (OpenAI's o200k is what the tests compare with): a word with the
blank before it is one token, long words are more, as are digits by threes, signs by twos, and letters of other scripts one by one.
"""

from __future__ import annotations

import math
import re

_PIECE = re.compile(
    r"([A-Z]?[a-z]+|[A-Z](?![A-Z]))|([A-Z]+)|([0-9]{1,3}|\n+| (?=[0-9])| +(?= )|[^\sA-Za-z0-9\x80-\U0010ffff]{1,2})|([\x80-\U0010ffff])"
)
_WORD, _MORE = 7, 0.09  # letters of a word that is one token; tokens for each letter beyond
_CAPITAL = 0.4  # tokens for each letter but one of a word in capitals, which mostly is an abbreviation
_SAFETY = 1.04  # the count of pieces is that much too low for some texts
_BYTES = 4.0  # a token has no more bytes than that, on average over any language


def estimate(text: str) -> int:
    """Tokens of the text."""
    count = 0.0
    for word, capitals, plain, foreign in _PIECE.findall(text):
        if word:
            count += 1 + _MORE * max(len(word) - _WORD, 0)
        elif capitals:
            count += max(1.0, _CAPITAL * (len(capitals) - 1))
        elif plain:
            count += 1
        else:
            count += 1 if foreign < "\u0800" else 1.5
    return math.ceil(max(count * _SAFETY, len(text.encode("utf-8", "replace")) / _BYTES))
