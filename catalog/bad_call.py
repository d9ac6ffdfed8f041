"""What a call of the model's is refused by."""

from __future__ import annotations


class BadCall(Exception):
    """The model's mistake. Its text goes to the model: what is wrong and what to write instead, in few words."""
