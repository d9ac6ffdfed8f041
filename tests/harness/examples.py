"""What Hypothesis tries, and how many of it, where that is to be another number than the profile's (tests/conftest.py)."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

# Small: to make a value of sixty leaves takes longer than most of what is done with it.
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def times(factor: int) -> settings:
    """So many times as many, by whichever profile: for what few inputs reach."""
    return settings(max_examples=factor * settings().max_examples)
