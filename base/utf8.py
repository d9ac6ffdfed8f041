"""Text whose every character can be encoded: JSON and Python let half a surrogate pair stand alone, UTF-8, databases and servers do not."""

from __future__ import annotations


def encoded(text: str) -> bytes:
    """The text as UTF-8, a `?` in place of each half of a surrogate pair."""
    return text.encode("utf-8", "replace")


def encodable(text: str) -> str:
    """The same as text again: what a database or a server gives back."""
    return text if text.isascii() else encoded(text).decode()  # most is, and this is asked of each value that is stored
