"""Many small cases in one test: each as a test of its own would cost more than what it shows."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Test = Callable[..., None]


@contextmanager
def case(*what: object) -> Iterator[None]:
    """Names the case where something in it fails, also where nothing is raised that should be."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {', '.join(ascii(one)[:500] for one in what)}")
        raise


def each_row(names: str, rows: Iterable[Any]) -> Callable[[Test], Test]:
    """Runs the test with each row, `names` as `parametrize` takes them; a failure names its row.

    What each test costs besides its own work is more than most rows take. The rows share the test's fixtures: this is for rows that
    do not disturb each other.
    """
    order = [name.strip() for name in names.split(",")]
    table = [dict(zip(order, row if len(order) > 1 else (row,), strict=True)) for row in rows]
    assert table, "a table without rows tests nothing"

    def made(test: Test) -> Test:
        asked = inspect.signature(test)
        assert set(order) <= set(asked.parameters), f"{test.__name__} takes no {names}"

        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            for number, row in enumerate(table):
                with case(number, row):
                    test(**fixtures, **row)

        others = [one for name, one in asked.parameters.items() if name not in order]
        run.__signature__ = asked.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return made
