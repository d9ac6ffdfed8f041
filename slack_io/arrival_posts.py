"""What is said at once about something that arrived: a thumbs-up, a line to its author, a word to an app."""

from __future__ import annotations

from collections.abc import Callable

from base import words
from store.journal.hash_chain import digest
from store.posts import Post, ephemeral, message, thumbs_up
from store.received import AppMention, Mention, Received

_ONCE = {words.NO_PERSON: "no-person"}  # as earlier versions named that post


class ArrivalPosts:
    """Makes these posts. `ids` gives their names."""

    def __init__(self, ids: Callable[[], str]) -> None:
        self._ids = ids

    def thumb(self, mention: Mention | AppMention, turn: str) -> Post:
        """A thumbs-up beside a mention."""
        return thumbs_up(self._ids(), mention.thread.key, turn, mention.ts)

    def message(self, mention: Mention, turn: str, text: str) -> Post:
        """Our own words, with their links to channels."""
        return message(self._ids(), mention.thread.key, turn, text)

    def to_author(self, mention: Mention, text: str) -> Post:
        """What is for the author alone: in a direct message, whatever is said."""
        if mention.is_direct:
            return self.message(mention, "", text)
        return self.ephemeral(mention, text, in_thread=mention.in_thread)

    def ephemeral(self, received: Received, text: str, *, in_thread: bool) -> Post:
        """A line for the author alone: in the thread, or in the channel."""
        return ephemeral(self._ids(), received.thread.key, "", received.user, text, in_thread=in_thread)

    def once(self, wrote: AppMention, text: str, why: str = "") -> Post:
        """Words for an app, which its thread gets once, whatever time they name: the store takes a post of one id once."""
        why = why or _ONCE.get(text, digest(text)[:12])
        return message(f"{why}/{wrote.thread.key}", wrote.thread.key, "", text)
