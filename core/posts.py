"""What is to be said to Slack, as values: a thread's address, and the kinds of posts that the outbox delivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from core import words
from core.cards import button, confirmation
from core.markdown import Block, answer, escape

Kind = Literal["message", "live", "finish", "update", "delete", "ephemeral", "reaction"]
TOP = "0"  # in place of a thread's ts: what is said there begins no thread but stands in the channel itself


@dataclass(frozen=True)
class Thread:
    """A Slack thread: workspace, channel and the ts of its first message (or `TOP`)."""

    team: str
    channel: str
    ts: str

    @property
    def key(self) -> str:
        """The one text by which store, queues and logs know the thread."""
        return f"{self.team}/{self.channel}/{self.ts}"

    @property
    def is_direct(self) -> bool:
        """Whether it lies in a direct message with the bot (Slack's ids of those begin with D)."""
        return self.channel.startswith("D")

    @classmethod
    def from_key(cls, key: str) -> Thread:
        team, channel, ts = key.split("/")
        return cls(team, channel, ts)


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


def permalink(home: str, thread: Thread, ts: str) -> str:
    """The address of a message for people's browsers, as chat.getPermalink gives it
    (https://docs.slack.dev/reference/methods/chat.getPermalink). `home` is the workspace's, with a slash at the end."""
    link = f"{home}archives/{thread.channel}/p{ts.replace('.', '')}"
    return link if thread.ts in (TOP, ts) else f"{link}?thread_ts={thread.ts}&cid={thread.channel}"


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


def answer_posts(turn: str, thread: str, text: str, first: str, live: str | None = None) -> list[Post]:
    """A model's answer as messages; their ids are `first`, `first.1`, ... An answer of nothing but blanks says that it is empty.

    `live` is the message in which the answer has been growing: it gets the first part.
    """
    parts = answer(text) or [(escape(words.EMPTY), [])]
    says = [
        message(f"{first}.{i}" if i else first, thread, turn, shown, blocks) for i, (shown, blocks) in enumerate(parts)
    ]
    return says if live is None else [replace(says[0], kind="finish", target=live), *says[1:]]


def live_id(turn: str, model_call: int) -> str:
    """The id of the message in which the answer of a turn's model call grows: the same when the call is made again after a crash."""
    return f"{turn}.{model_call}"


def growing(text: str, turn: str) -> dict[str, Any]:
    """The arguments of a message while its answer is being written: the text so far, and a button that stops it."""
    stop = button("stop", words.STOP, turn) | {"confirm": confirmation(words.STOP_TITLE, words.STOP_ASK, words.STOP)}
    blocks = [{"type": "markdown", "text": text}, {"type": "actions", "elements": [stop]}]
    return {"text": escape(text), "blocks": blocks}


def live(post: str, thread: str, turn: str, user: str, text: str) -> Post:
    """A message that will grow. `user` is whom it answers: a stream needs to know."""
    return Post(post, thread, turn, "live", {"user": user, "text": text})


def delete(post: str, thread: str, turn: str, target: str) -> Post:
    """Takes the message that the post `target` made away."""
    return Post(post, thread, turn, "delete", {}, target)
