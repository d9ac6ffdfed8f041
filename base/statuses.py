"""HTTP statuses as people read them."""

from __future__ import annotations

import http


def status_text(status: int) -> str:
    """`404 Not Found`."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
