"""Many small cases in one test: each as a test of its own would cost more than what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*what: object) -> Iterator[None]:
    """Names the case where something in it fails, also where nothing is raised that should be."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {', '.join(ascii(one)[:500] for one in what)}")
        raise
