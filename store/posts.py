"""What is to be said to Slack, as values: the kinds of posts that the outbox delivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from base.markdown import Block

Kind = Literal["message", "live", "finish", "update", "delete", "ephemeral", "reaction"]


@dataclass(frozen=True)
class Post:
    """One thing to say. `target` names the post that an update changes; `arguments` are the Web API's, less the address.

    `is_card`: it is the record of a request, or of a set of them, and stays.
    """

    post: str
    thread: str
    turn: str
    kind: Kind
    arguments: dict[str, Any] = field(default_factory=dict)
    target: str | None = None
    is_card: bool = False


def card_message(post: str, thread: str, turn: str, text: str, blocks: Sequence[Block]) -> Post:
    """The message that shows a request, or a set of them."""
    return replace(message(post, thread, turn, text, blocks), is_card=True)


def message(post: str, thread: str, turn: str, text: str, blocks: Sequence[Block] = ()) -> Post:
    """A message in the thread. `text` is escaped already; without blocks it is what people see."""
    return Post(post, thread, turn, "message", {"text": text, **({"blocks": list(blocks)} if blocks else {})})


def update(post: str, thread: str, turn: str, target: str, text: str, blocks: Sequence[Block]) -> Post:
    """A change of the card that the post `target` made. Blocks are always given: Slack might keep the old buttons otherwise."""
    return Post(post, thread, turn, "update", {"text": text, "blocks": list(blocks)}, target, is_card=True)


def ephemeral(post: str, thread: str, turn: str, user: str, text: str, *, in_thread: bool = True) -> Post:
    """A line that only `user` sees."""
    return Post(post, thread, turn, "ephemeral", {"user": user, "text": text, "in_thread": in_thread})


def thumbs_up(post: str, thread: str, turn: str, ts: str) -> Post:
    """The reaction that acknowledges a mention."""
    return Post(post, thread, turn, "reaction", {"timestamp": ts, "name": "thumbsup"})


def live_id(turn: str, model_call: int) -> str:
    """The id of the message in which the answer of a turn's model call grows: the same when the call is made again after a crash."""
    return f"{turn}.{model_call}"


def live(post: str, thread: str, turn: str, user: str, text: str) -> Post:
    """A message that will grow. `user` is whom it answers: a stream needs to know."""
    return Post(post, thread, turn, "live", {"user": user, "text": text})


def delete(post: str, thread: str, turn: str, target: str) -> Post:
    """Takes the message that the post `target` made away."""
    return Post(post, thread, turn, "delete", {}, target)
