"""Names and texts in the spellings that some server takes for the same ones."""

from __future__ import annotations


def caseless(text: str) -> str:
    """A text without the difference of capitals and small letters."""
    return text.upper().casefold().replace("i\u0307", "i")  # the dot of a Turkish capital I
