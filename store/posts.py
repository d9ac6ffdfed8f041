"""What is to be said to Slack: the kinds of posts as values, and the rows that the outbox delivers, each once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import bindparam as given
from sqlalchemy import func, or_, select

from base.markdown import Block
from base.thread import Thread
from base.transitions import sources, target
from store.database import Database, Transaction
from store.holds import IS_HELD
from store.tables import by_engine, posts, turns
from workers.wakes import Work

NEW = "new"  # in place of the process that delivers a post: nobody has tried to
Kind = Literal["message", "live", "finish", "update", "delete", "ephemeral", "reaction"]


@dataclass(frozen=True)
class Post:
    """One thing to say. `target` names the post that an update changes; `arguments` are the Web API's, less the address.

    `is_card`: it is the record of a request, or of a set of them, and stays. `wait`: seconds for which it is held back, so that an
    update of the same message that comes meanwhile takes its place.
    """

    post: str
    thread: str
    turn: str
    kind: Kind
    arguments: dict[str, Any] = field(default_factory=dict)
    target: str | None = None
    is_card: bool = False
    wait: float = 0.0


def card_message(post: str, thread: str, turn: str, text: str, blocks: Sequence[Block]) -> Post:
    """The message that shows a request, or a set of them."""
    return replace(message(post, thread, turn, text, blocks), is_card=True)


def message(post: str, thread: str, turn: str, text: str, blocks: Sequence[Block] = ()) -> Post:
    """A message in the thread. `text` is escaped already; without blocks it is what people see."""
    return Post(post, thread, turn, "message", {"text": text, **({"blocks": list(blocks)} if blocks else {})})


def update(
    post: str, thread: str, turn: str, target: str, text: str, blocks: Sequence[Block], *, wait: float = 0.0
) -> Post:
    """A change of the card that the post `target` made. Blocks are always given: Slack might keep the old buttons otherwise."""
    arguments = {"text": text, "blocks": list(blocks)}
    return Post(post, thread, turn, "update", arguments, target, is_card=True, wait=wait)


def ephemeral(post: str, thread: str, turn: str, user: str, text: str, *, in_thread: bool = True) -> Post:
    """A line that only `user` sees."""
    return Post(post, thread, turn, "ephemeral", {"user": user, "text": text, "in_thread": in_thread})


def connect_offer(
    post: str, thread: str, turn: str, user: str, text: str, apis: Sequence[str], *, in_thread: bool, is_direct: bool
) -> Post:
    """A line with a button for each API of which `user` may connect an account, for that person alone: in a direct message, a message.
    The buttons' links are made when it is delivered, so that none is stored."""
    kind: Kind = "message" if is_direct else "ephemeral"
    place = {} if is_direct else {"user": user, "in_thread": in_thread}
    return Post(post, thread, turn, kind, {"text": text, "connect": {"user": user, "apis": list(apis)}, **place})


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


class PostState(StrEnum):
    """Where a post stands."""

    DUE = "due"
    SENT = "sent"  # Slack has it, or nobody needs it any more
    FAILED = "failed"  # Slack refused it


class PostEvent(StrEnum):
    """What can happen to a post."""

    DELIVER = "deliver"
    REFUSE = "refuse"


TRANSITIONS: dict[tuple[PostState, PostEvent], PostState] = {
    (PostState.DUE, PostEvent.DELIVER): PostState.SENT,
    (PostState.DUE, PostEvent.REFUSE): PostState.FAILED,
}


@dataclass(frozen=True)
class DuePost:
    """A post that has not reached Slack yet. `row` orders a thread's posts; `target_ts` is the message that an update changes."""

    row: int
    post: Post
    created_at: float
    target_ts: str | None
    mention_ts: str | None
    target_thread: str | None = None
    target_state: PostState | None = None
    made_by: str = ""  # the process that was to deliver it; empty: one that has ended
    held_until: float = 0.0  # seconds since 1970: when it is sent at the earliest
    trace: str = ""  # of the turn that it belongs to
    asker: str = ""  # of that turn


_ADD = by_engine(lambda insert: insert(posts).on_conflict_do_nothing())
_of = posts.alias("of")
_DUE = (
    select(
        posts,
        _of.c.ts.label("target_ts"),
        _of.c.thread.label("target_thread"),
        _of.c.state.label("target_state"),
        turns.c.ts.label("mention_ts"),
        turns.c.trace,
        turns.c.asker,
    )
    .outerjoin(_of, _of.c.post == posts.c.target)
    .outerjoin(turns, turns.c.turn == posts.c.turn)
    .where(posts.c.thread == given("of"), posts.c.state == PostState.DUE)
    .order_by(posts.c.id)
)
_CLAIM = (
    posts.update()
    .where(posts.c.thread == given("of"), posts.c.state == PostState.DUE, posts.c.made_by == NEW)
    .values(made_by=given("me"))
)
_HAPPENS = {
    event: posts.update()
    .where(posts.c.post == given("which"), or_(*(posts.c.state == one for one in sources(TRANSITIONS, event))))
    .values(state=target(TRANSITIONS, event), ts=given("at_ts"))
    for event in PostEvent
}
_HAPPENS_IN_HOLD = {event: change.where(IS_HELD) for event, change in _HAPPENS.items()}


def happens(event: PostEvent) -> Any:
    """Lets an event happen to the post `which`, whose message has `at_ts`."""
    return _HAPPENS[event]


def add_posts(tx: Transaction, says: Sequence[Post]) -> None:
    """Adds posts to be delivered; one that is there already stays as it is."""
    if says:
        tx.db.execute(_ADD[tx.engine], [_row_of(tx, post) for post in says])


def _row_of(tx: Transaction, post: Post) -> dict[str, Any]:
    made_by, now = tx.process if tx.wake(post.thread, Work.POSTS) else NEW, tx.clock()
    return {
        "post": post.post, "thread": post.thread, "turn": post.turn, "method": post.kind, "arguments": json.dumps(post.arguments),
        "target": post.target, "state": PostState.DUE, "created_at": now, "card": int(post.is_card), "made_by": made_by,
        "held_until": now + post.wait if post.wait else None,
    }  # fmt: skip


def _post_of(row: Mapping[Any, Any]) -> Post:
    kind: Kind = row["method"]
    arguments = json.loads(row["arguments"])
    return Post(row["post"], row["thread"], row["turn"], kind, arguments, row["target"], bool(row["card"]))


def _due_of(row: Mapping[Any, Any]) -> DuePost:
    state = PostState(row["target_state"]) if row["target_state"] is not None else None
    target = (
        row["target_ts"],
        row["mention_ts"],
        row["target_thread"],
        state,
        row["made_by"],
        row["held_until"] or 0.0,
        row["trace"] or "",
        row["asker"] or "",
    )
    return DuePost(row["id"], _post_of(row), row["created_at"], *target)


class Posts(Database):
    """The rows of posts."""

    def say(self, says: Sequence[Post]) -> None:
        """Adds posts to be delivered."""
        with self._writing() as tx:
            add_posts(tx, says)

    def due_posts(self, thread: str) -> list[DuePost]:
        """What is to be delivered in a thread, in order; by this process from now on, where nobody has tried to."""
        due = self._due_posts(thread)
        if any(one.made_by == NEW for one in due):
            with self._writing() as tx:
                tx.db.execute(_CLAIM, {"of": thread, "me": self.process})
            due = self._due_posts(thread)
        return due

    def _due_posts(self, thread: str) -> list[DuePost]:
        with self._reading() as db:
            return [_due_of(row) for row in db.execute(_DUE, {"of": thread}).mappings()]

    def message_at(self, channel: str, ts: str) -> Post | None:
        """The post that made the bot's message with this ts in a channel; the text that it has now may be another's."""
        mine = posts.c.method.in_(("message", "live", "finish"))
        with self._reading() as db:
            rows = db.execute(select(posts).where(posts.c.ts == ts, mine).order_by(posts.c.id)).mappings().all()
        found = (_post_of(row) for row in rows)
        return next((post for post in found if Thread.from_key(post.thread).channel == channel), None)

    def post(self, post: str) -> Post | None:
        """The post with this id."""
        with self._reading() as db:
            row = db.execute(select(posts).where(posts.c.post == post)).mappings().first()
        return _post_of(row) if row is not None else None

    def shown_at(self, cards: Sequence[str]) -> dict[str, tuple[Thread, str]]:
        """Where posts stand in Slack: the thread of each that is there, and its ts."""
        query = select(posts.c.post, posts.c.thread, posts.c.ts).where(posts.c.post.in_(cards), posts.c.ts.is_not(None))
        with self._reading() as db:
            return {row.post: (Thread.from_key(row.thread), row.ts) for row in db.execute(query)}

    def has_spoken(self, thread: str) -> bool:
        """Whether a message of the bot stands in a thread, or is about to: a card, or an answer that is whole."""
        spoken = select(posts.c.id).where(posts.c.thread == thread, posts.c.method.in_(("message", "finish")))
        with self._reading() as db:
            return db.scalar(spoken.limit(1)) is not None

    def has_post(self, post: str) -> bool:
        """Whether there is such a post."""
        with self._reading() as db:
            return db.scalar(select(posts.c.id).where(posts.c.post == post)) is not None

    def count_posts(self, turn: str, thread: str, prefix: str) -> int:
        """How many posts of a turn there are whose ids begin like this."""
        mine = (posts.c.thread == thread, posts.c.turn == turn, posts.c.post.startswith(prefix, autoescape=True))
        with self._reading() as db:
            return int(db.scalar(select(func.count()).select_from(posts).where(*mine)) or 0)

    def delivered(
        self,
        done: Sequence[tuple[str, str | None]],
        happened: PostEvent = PostEvent.DELIVER,
        *,
        instead: Sequence[Post] = (),
    ) -> None:
        """Marks posts that are due as delivered, each with the ts of its message, or as refused, and adds what is said instead."""
        changes = [{"which": post, "at_ts": ts} for post, ts in done]
        if len(changes) == 1 and not instead and self._working_on is not None:
            self._changes(_HAPPENS_IN_HOLD[happened], changes[0])
            return
        with self._writing() as tx:
            add_posts(tx, instead)
            tx.db.execute(_HAPPENS[happened], changes)
