"""The statements of a turn's way through the store, built once: building them anew each time costs more than running them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, case, func, insert, select, update

from core.policy import State
from core.tables import inbox, journal, posts, proposals, threads, transcript, turns

given = bindparam

ARRIVALS = select(inbox).where(inbox.c.thread == given("of"), inbox.c.handled == 0).order_by(inbox.c.id)
HANDLED = update(inbox).where(inbox.c.id == given("arrival")).values(handled=1)

_PENDING = select(proposals.c.thread).where(proposals.c.state == State.PENDING)
_WORKING = turns.c.state.in_(("waiting", "running")) & turns.c.thread.not_in(_PENDING)
LOAD = select(
    func.count().label("total"),
    func.count(case((turns.c.thread != given("of"), turns.c.thread)).distinct()).label("others"),
    select(func.count())
    .where(proposals.c.thread == given("of"), proposals.c.state == State.PENDING)
    .scalar_subquery()
    .label("pending"),
).where(_WORKING)
"""How many turns are under way that do not wait for people, in how many other threads, and how many requests wait in this one."""

CURRENT_TURN = (
    select(turns)
    .where(turns.c.thread == given("of"), turns.c.state.in_(("running", "waiting")))
    .order_by(turns.c.state, turns.c.ts, turns.c.inbox)  # "running" comes before "waiting"
    .limit(1)
)
ASKED_AT = select(turns.c.ts, turns.c.state).where(turns.c.thread == given("of")).order_by(turns.c.ts)
BEGIN_TURN = update(turns).where(turns.c.turn == given("which")).values(state="running", text=given("words"))
_OPEN = turns.c.state.in_(("waiting", "running"))
STOP_TURN = (
    update(turns)
    .where(turns.c.turn == given("which"), _OPEN, turns.c.stopped_by.is_(None))
    .values(stopped_by=given("person"))
)
OTHERS_SPOKE = (
    select(turns.c.turn)
    .where(turns.c.thread == given("of"), turns.c.asker != given("asker"), turns.c.state.in_(("done", "failed")))
    .limit(1)
)
SPEND = (
    update(turns)
    .where(turns.c.turn == given("which"))
    .values(
        model_calls=turns.c.model_calls + given("calls"),
        prompt_tokens=turns.c.prompt_tokens + given("prompt"),
        completion_tokens=turns.c.completion_tokens + given("completion"),
        state=given("new_state"),
        ended_at=given("end"),
    )
)
TOUCH = (
    update(threads)
    .where(threads.c.thread == given("of"))
    .values(active_at=given("now"), tainted=threads.c.tainted.op("|")(given("taint")))
)
TAINTED = select(threads.c.tainted).where(threads.c.thread == given("of"))
TRANSCRIPT = select(transcript).where(transcript.c.thread == given("of")).order_by(transcript.c.id)

CHAIN_HEAD = select(journal.c.number, journal.c.hash).order_by(journal.c.number.desc()).limit(1)
CHAIN_ON = insert(journal)

_of = posts.alias("of")
DUE_POSTS = (
    select(
        posts,
        _of.c.ts.label("target_ts"),
        _of.c.thread.label("target_thread"),
        _of.c.state.label("target_state"),
        turns.c.ts.label("mention_ts"),
    )
    .outerjoin(_of, _of.c.post == posts.c.target)
    .outerjoin(turns, turns.c.turn == posts.c.turn)
    .where(posts.c.thread == given("of"), posts.c.state == "due")
    .order_by(posts.c.id)
)
DELIVERED = update(posts).where(posts.c.post == given("which")).values(state=given("new_state"), ts=given("at_ts"))


class Inserts:
    """Inserts that a conflict turns into nothing; each engine has its own `insert`."""

    def __init__(self, insert: Callable[[Any], Any]) -> None:
        self.arrival = insert(inbox).on_conflict_do_nothing().returning(inbox.c.id)
        thread = insert(threads)
        self.thread = thread.on_conflict_do_update(
            index_elements=["thread"], set_={"active_at": thread.excluded.active_at}
        )
        self.turn = insert(turns)
        self.item = insert(transcript).on_conflict_do_nothing().returning(transcript.c.id)
        self.proposals = insert(proposals)
        self.posts = insert(posts).on_conflict_do_nothing()
