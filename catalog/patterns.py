"""The regular expressions of a catalog: what may be in one, and what to write in place of what may not.

They mean what ECMA-262 says (JSON Schema, 6.4), and are run by an engine whose time grows with the text alone
(https://docs.rs/regex/latest/regex/#untrusted-input), for it is a model that chooses the text. Running them is schemas.py's matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from catalog.spelling import plain

_TOKEN = re.compile(
    r"(?P<escape>\\(?:.|$))|(?P<set>\[\^?(?:\\.|[^\]\\])*\]?)|(?P<group>\((?:\?(?:<?[=!]|[P>#]|[a-zA-Z-]*\))?)?)"
    r"|(?P<again>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??)|(?P<plain>.)",
    re.DOTALL,
)
_ELSE = "with JSON Schema's keywords, for example minLength, maxLength, enum, not: {pattern: ...}, or several patterns under allOf"
_GROUPS = {  # (how a group begins, what to write)
    **dict.fromkeys(("(?=", "(?!", "(?<=", "(?<!"), f"looks ahead or behind; write it {_ELSE}"),
    "(?P": "has a named group in Python's syntax; write (...)",
    "(?>": "has an atomic group; write (...)",
    "(?#": "has a comment; leave it out",
}
_ESCAPES = {
    **dict.fromkeys("AZz", "has an anchor that ECMA-262 does not know; write ^ and $"),
    **dict.fromkeys("123456789k", "has a backreference; write out what may be there"),
}
_LETTER = re.compile(
    r"\\(?:(?P<property>[pP])\{(?P<name>[^}]*)\}|(?:u\{(?P<point>[0-9A-Fa-f]{1,6})\}|u(?P<code>[0-9A-Fa-f]{4})|x(?P<byte>[0-9A-Fa-f]{2}))"
    r"|c.|.)|\(\?<[^=!>]*>|(?P<letter>[^\W\d_])",
    re.DOTALL,
)
_OF_CASE = ("Lu", "Ll", "Lt", "Uppercase_Letter", "Lowercase_Letter", "Titlecase_Letter", "Uppercase", "Lowercase")


def of_plain_text(pattern: str) -> str:
    """The pattern that a text fits in its plain spelling, where the text fits `pattern` in some other. It may be none: `[Z-a]` ends before
    it begins then."""
    return _LETTER.sub(_plainly, pattern)


def _plainly(found: re.Match[str]) -> str:
    if found["property"]:
        return rf"\{found['property']}{{{'L' if found['name'].rpartition('=')[2] in _OF_CASE else found['name']}}}"
    number = found["point"] or found["code"] or found["byte"]
    letter = chr(int(number, 16)) if number and int(number, 16) < 0x110000 else found["letter"] or ""
    return plain(letter) if letter.isalpha() else found[0]


def misfit(pattern: str) -> str | None:
    """Why ECMA-262 or an engine without backtracking has no place for a pattern, and what to write; None where both have."""
    return next(_misfits(pattern), None)


def _misfits(pattern: str) -> Iterator[str]:
    tokens = [(found.lastgroup, found[0]) for found in _TOKEN.finditer(pattern)]
    for kind, text in tokens:
        match kind:
            case "group" if text in _GROUPS:
                yield _GROUPS[text]
            case "group" if text.endswith(")"):
                yield f"sets flags by {text}, which ECMA-262 does not know; write [aA] for a letter of either case"
            case "escape" if text[1:] in _ESCAPES:
                yield _ESCAPES[text[1:]]
            case "set" if "[:" in text and ":]" in text:
                yield "has a POSIX character class; write its characters, for example [a-zA-Z]"
    if any(one == other == "again" for (one, _), (other, _) in pairwise(tokens)):
        yield "repeats a repetition (a++, a{2}{3}); write a+, or (a{2}){3}"
