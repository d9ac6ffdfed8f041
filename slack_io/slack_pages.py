"""Slack's lists, page after page: the one loop over its cursors (https://docs.slack.dev/apis/web-api/pagination)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_MOST = 200  # pages of one list

Ask = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


def each(
    ask: Ask, method: str, arguments: Mapping[str, Any], listed: str, *, most: int = _MOST
) -> Iterator[dict[str, Any]]:
    """The objects that a method lists under `listed`, each page asked for when it is needed, at most `most` pages.

    A cursor that Slack gives twice ends the list. Raises what `ask` raises.
    """
    cursor, seen = "", {""}
    for _ in range(most):
        page = ask(method, {**arguments, "cursor": cursor} if cursor else arguments)
        items = page.get(listed)
        yield from (one for one in (items if isinstance(items, list) else ()) if isinstance(one, dict))
        cursor = next_cursor(page)
        if cursor in seen:
            return
        seen.add(cursor)


def next_cursor(page: Mapping[str, Any]) -> str:
    """Where the next page begins; nothing after the last one."""
    following = page.get("response_metadata")
    cursor = following.get("next_cursor") if isinstance(following, dict) else None
    return cursor if isinstance(cursor, str) else ""
