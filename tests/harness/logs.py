"""What the log says, the only way for a test: a logger keeps its first set-up, so that structlog's own capture may see nothing."""

from __future__ import annotations

from typing import Any

import pytest


def logged(caplog: pytest.LogCaptureFixture, **wanted: object) -> list[dict[str, Any]]:
    """The log's entries with these values, the oldest first."""
    entries = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [one for one in entries if wanted.items() <= one.items()]
