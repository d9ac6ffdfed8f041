"""How many examples Hypothesis tries, where it is to be another number than the profile's (tests/conftest.py)."""

from __future__ import annotations

from hypothesis import settings


def times(factor: int) -> settings:
    """So many times as many, by whichever profile: for what few inputs reach."""
    return settings(max_examples=factor * settings().max_examples)
