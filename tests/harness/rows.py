"""A table's rows, one after another in one test, where `pytest.mark.parametrize` would make a test of each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def each_row(names: str, rows: Iterable[Any]) -> Callable[[Test], Test]:
    """Runs the test with each row, `names` as `parametrize` takes them; a failure notes its row.

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
                try:
                    test(**fixtures, **row)
                except BaseException as error:
                    error.add_note(f"in row {number}: {row!a:.300}")
                    raise

        others = [one for name, one in asked.parameters.items() if name not in order]
        run.__signature__ = asked.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return made
