"""A model's answer as posts, and as the message in which it grows while it is being written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from base import words
from base.links import Links
from base.markdown import answer, escape
from base.thread import TOP, Thread
from base.visible import middle, on_line
from gate.card_blocks import button, confirmation
from model.replies import Reply
from model.reply_endings import meaning, shown
from store.posts import Post, message
from store.turns import Turn


def answer_text(reply: Reply, spent: int | None) -> str:
    """What the person gets of a model's last reply, in Markdown. `spent`: the number of model calls that the turn used up, where it did."""
    text = reply.words.strip()
    if spent is not None and reply.message.calls:  # what it still wanted to do
        return f"{text}\n\n{words.NO_END.format(calls=spent)}".strip()
    if reply.refusal.strip() and not text:
        said = reply.refusal.strip()
        return f"{said}\n\n{words.CUT}" if meaning(reply.ending) == "cut" else said
    ended = meaning(reply.ending)
    if ended == "filtered":
        return f"{text}\n\n{words.FILTERED}".strip()
    odd = shown(reply.ending)
    if not text and spent is None:
        return words.EMPTY_END.format(ending=odd) if ended == "unknown" else words.EMPTY
    if not text:
        return words.NO_END.format(calls=spent)
    note = {"cut": words.CUT, "unknown": words.ODD_END.format(ending=odd)}.get(ended)
    return f"{text}\n\n{note}" if note else text


def answer_posts(
    turn: str, thread: str, text: str, first: str, live: str | None = None, links: Links | None = None
) -> list[Post]:
    """A model's answer as messages; their ids are `first`, `first.1`, ... An answer of nothing but blanks says that it is empty.

    `live` is the message in which the answer has been growing: it gets the first part. `links`: the only addresses that stay links.
    """
    parts = answer(text, links) or [(escape(words.EMPTY), [])]
    says = [
        message(f"{first}.{i}" if i else first, thread, turn, said, blocks) for i, (said, blocks) in enumerate(parts)
    ]
    return says if live is None else [replace(says[0], kind="finish", target=live), *says[1:]]


def answers_alone(turn: Turn, text: str, first: str, links: Links | None = None) -> list[Post]:
    """A model's answer as direct messages to who asked, with the question before it; and a line in the thread that says so."""
    thread = Thread.from_key(turn.thread)
    asked = middle(on_line(turn.text.replace("`", "'")), 80)
    place = Thread(thread.team, turn.asker, TOP).key
    answers = answer_posts(
        turn.turn, place, f"{words.YOU_ASKED.format(question=f'`{asked}`')}\n\n{text}", first, None, links
    )
    return [*answers, message(f"{first}.there", turn.thread, turn.turn, words.ANSWERED_ALONE.format(asker=turn.asker))]


def growing(text: str, turn: str) -> dict[str, Any]:
    """The arguments of a message while its answer is being written: the text so far, and a button that stops it."""
    stop = button("stop", words.STOP, turn) | {"confirm": confirmation(words.STOP_TITLE, words.STOP_ASK, words.STOP)}
    blocks = [{"type": "markdown", "text": text}, {"type": "actions", "elements": [stop]}]
    return {"text": escape(text), "blocks": blocks}


def with_notes(text: str, files: Sequence[str], *, is_dry_run: bool, is_unsure: bool) -> str:
    """An answer with what is said below it, in Markdown: that nothing was really sent, that Slack did not say all that the asker may ask
    for, and which files of the question were not read."""
    notes = [words.DRY_RUN_ANSWER] if is_dry_run else []
    notes += [words.PARTLY_KNOWN_WHO] if is_unsure else []
    notes += [files_text(files)] if files else []
    return "\n\n".join([text, *notes])


def files_text(names: Sequence[str]) -> str:
    """What is said below an answer to a question with files, in Markdown: the names as code, so that no mark in them is one."""
    short = (middle(on_line(name.replace("`", "'")), 80) for name in names)
    return words.FILES.format(names=", ".join(f"`{name}`" for name in short))
