"""Text from outside as people may see it: every character visible, a field on one line, what is too long shortened in its middle.

What is made here goes into plain text, which Slack shows as it is; markup is not this file's concern.
"""

from __future__ import annotations

import json
import re
import unicodedata

from base.markdown import piled

_DRAWN_AS_NOTHING = (
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters, marks and a symbol by category, yet blank
)
_ODD = re.compile(r"[^\n -~]+")  # what has to be looked at character by character: most of what is shown is ASCII
_WORD = re.compile(r"[^\W_$@][\w$@-]{0,59}|[$@_][\w-]{1,59}")  # a field's name that needs no quotes
_NAME = re.compile(r"[^\W\d_]+(?:[ .'’-]{1,2}[^\W\d_]+)*\.?")  # a name of letters alone
_RIGHT_TO_LEFT = frozenset(
    {"R", "AL", "AN"}
)  # https://www.unicode.org/reports/tr9/#Table_Bidirectional_Character_Types


def visible(text: str) -> str:
    """`text` with every character that cannot be seen as itself, or would hide others, written as a JSON escape. Lines stay lines."""
    return _ODD.sub(lambda found: _shown(found[0]), text)


def on_line(text: str) -> str:
    """`visible`, and all of it on one line."""
    return visible(text).replace("\n", r"\n")


def middle(text: str, limit: int) -> str:
    """`text` in at most `limit` characters: its beginning and its end, and between them how long it is."""
    if len(text) <= limit:
        return text
    mark = f" … {len(text):,} characters in all … "
    room = max(limit - len(mark), 2)
    return f"{text[: (room + 1) // 2]}{mark}{text[len(text) - room // 2 :]}"


def field_name(name: str) -> str:
    """A field's name: a plain word as it is, anything else in quotes, so that no name can pass for more than a name."""
    is_plain = _WORD.fullmatch(name) is not None and not is_right_to_left(name)
    return (
        name
        if is_plain
        else on_line(_as_ascii(name) if is_right_to_left(name) else json.dumps(name, ensure_ascii=False))
    )


def title(text: str) -> str:
    """What a thing is called: letters as they are, anything else in quotes, so that it cannot pass for an id or a line beside it."""
    is_plain = _NAME.fullmatch(text) is not None and not re.search(r"\bid\b", text, re.IGNORECASE)
    return text if is_plain and on_line(text) == text else on_line(json.dumps(text, ensure_ascii=False))


def key(text: str) -> str:
    """An id: ASCII as it is, other letters as escapes, since many of them look like those of another id."""
    return text if re.fullmatch(r"[\w.:@/+~-]+", text, re.ASCII) else on_line(_as_ascii(text))


def is_right_to_left(text: str) -> bool:
    """Whether some of it is written from right to left, which turns around what stands beside it, arrows above all."""
    return any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text)


def _shown(text: str) -> str:
    return "".join(c if _shows(c) and not is_piled else _escaped(c) for c, is_piled in piled(text))


def _shows(character: str) -> bool:
    """Whether a character can be seen as itself: no control, format, surrogate, private or unassigned ones, no odd blanks."""
    if character in _DRAWN_AS_NOTHING or "VARIATION SELECTOR" in unicodedata.name(character, ""):
        return False
    return unicodedata.category(character)[0] not in "CZ"


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if not character.isascii() else f"\\u{ord(character):04x}"


def _as_ascii(text: str) -> str:
    return json.dumps(text)
