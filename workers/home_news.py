"""What processes tell each other of App Home: each draws it for the people who opened it there, and any may be the one that changes
something."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from store.store import Store
from workers.jobs import CHANNEL

_HOMES = "homes"
_AT_ONCE = 150  # names in one NOTIFY, which holds less than 8000 bytes


def tell_of_homes(store: Store, names: Collection[str]) -> None:
    """Has the other processes hear that something changed for these people, or became of these requests. With the database away, nobody
    does: a Home is redrawn at the next change, too, and when it is opened."""
    if store.is_shared:
        all_names = sorted(names)
        with suppress(DBAPIError):
            for first in range(0, len(all_names), _AT_ONCE):
                store.tell(CHANNEL, " ".join((_HOMES, store.process, *all_names[first : first + _AT_ONCE])))


def heard_of_homes(news: str, process: str) -> list[str]:
    """The names that another process told; none where it told of something else, or this one did."""
    match news.split(" "):
        case [kind, sender, *names] if kind == _HOMES and sender != process:
            return names
    return []
