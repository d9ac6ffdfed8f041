"""A model's answer as posts, and as the message in which it grows while it is being written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from base import words
from base.links import Links
from base.markdown import answer, escape
from base.visible import middle, on_line
from gate.cards import button, confirmation
from store.posts import Post, message


def answer_posts(
    turn: str, thread: str, text: str, first: str, live: str | None = None, links: Links | None = None
) -> list[Post]:
    """A model's answer as messages; their ids are `first`, `first.1`, ... An answer of nothing but blanks says that it is empty.

    `live` is the message in which the answer has been growing: it gets the first part. `links`: the only addresses that stay links.
    """
    parts = answer(text, links) or [(escape(words.EMPTY), [])]
    says = [
        message(f"{first}.{i}" if i else first, thread, turn, shown, blocks) for i, (shown, blocks) in enumerate(parts)
    ]
    return says if live is None else [replace(says[0], kind="finish", target=live), *says[1:]]


def growing(text: str, turn: str) -> dict[str, Any]:
    """The arguments of a message while its answer is being written: the text so far, and a button that stops it."""
    stop = button("stop", words.STOP, turn) | {"confirm": confirmation(words.STOP_TITLE, words.STOP_ASK, words.STOP)}
    blocks = [{"type": "markdown", "text": text}, {"type": "actions", "elements": [stop]}]
    return {"text": escape(text), "blocks": blocks}


def files_text(names: Sequence[str]) -> str:
    """What is said below an answer to a question with files, in Markdown: the names as code, so that no mark in them is one."""
    shown = (middle(on_line(name.replace("`", "'")), 80) for name in names)
    return words.FILES.format(names=", ".join(f"`{name}`" for name in shown))
