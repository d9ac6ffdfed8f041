"""Moments as people write them on a command line."""

from __future__ import annotations

import pytest

from base.moments import read_moment
from tests.harness.cases import case

NOW = 1_800_000_000.0
MIDNIGHT = 1_796_083_200.0  # 2026-12-01T00:00Z
DAY = 86_400


def test_a_moment_is_read() -> None:
    cases: list[tuple[str, float]] = [
        ("2026-12-01", MIDNIGHT),
        ("20261201", MIDNIGHT),
        ("2026-12-01T00:00", MIDNIGHT),
        ("2026-12-01 14:30", MIDNIGHT + 14.5 * 3_600),
        ("2026-12-01T14:30:05Z", MIDNIGHT + 14.5 * 3_600 + 5),
        ("2026-12-01T14:30+01:00", MIDNIGHT + 13.5 * 3_600),
        ("45s", NOW - 45),
        ("90m", NOW - 5_400),
        (" 2h ", NOW - 7_200),
        ("3d", NOW - 3 * DAY),
        ("1 w", NOW - 7 * DAY),
        ("0s", NOW),
    ]
    for text, moment in cases:
        assert read_moment(text, NOW) == moment, text


@pytest.mark.parametrize(
    ("text", "moment"), [("2026-12-01", MIDNIGHT + DAY), ("2026-12-01T00:00", MIDNIGHT), ("3d", NOW - 3 * DAY)]
)
def test_the_end_of_a_date_is_that_of_its_day(text: str, moment: float) -> None:
    assert read_moment(text, NOW, to_its_end=True) == moment


def test_what_is_none_is_told_with_what_to_write() -> None:
    cases: list[str] = ["", "yesterday", "2h ago", "h", "-2h", "2026-13-01", "9999-12-31", "12:30", "1.5h"]
    for text in cases:
        with (
            case(text),
            pytest.raises(ValueError, match=r"^write a date \(2026-11-30\), .* or how long ago \(90m, 2h, 3d, 1w\)$"),
        ):
            read_moment(text, NOW, to_its_end=True)
