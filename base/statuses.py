"""HTTP statuses as people read them."""

from __future__ import annotations

import http


def is_success(status: int | None) -> bool:
    """Whether a status is one of 2xx; None is no answer."""
    return status is not None and 200 <= status < 300


def status_text(status: int) -> str:
    """`404 Not Found`."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
