"""The statements of a turn's way through the store, built once: building them anew each time costs more than running them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, insert, literal_column, select, union_all, update

from gate.policy import State
from store.tables import holds, inbox, journal, journal_head, posts, proposals, threads, transcript, turns

given = bindparam

ARRIVALS = select(inbox).where(inbox.c.thread == given("of"), inbox.c.handled == 0).order_by(inbox.c.id)
UNHEARD_CLICKS = select(inbox.c.payload, inbox.c.received_at).where(
    inbox.c.handled == literal_column("0"), inbox.c.kind == "click"
)
HANDLED = update(inbox).where(inbox.c.id == given("arrival"), inbox.c.handled == 0).values(handled=1)
TAKE_IN = (
    update(inbox)
    .where(inbox.c.id == given("arrival"), inbox.c.handled == 0, inbox.c.taken_by != given("me"))
    .values(taken_by=given("me"), tries=inbox.c.tries + 1)
)
WAS_HANDLED = select(inbox.c.id).where(inbox.c.id == given("arrival"))

HELD = (
    select(holds.c.thread, holds.c.fence)
    .where(holds.c.owner == given("me"), (holds.c.thread == given("one")) | (holds.c.thread == given("other")))
    .with_for_update(read=True)
)

# What an index covers is spelled here as it is there: an engine does not know of a parameter what it will be.
_WAITS: ColumnElement[str] = literal_column("'waiting'")
IS_ASKED: ColumnElement[bool] = proposals.c.state == literal_column("'pending'")
IS_SENT: ColumnElement[bool] = proposals.c.state == literal_column("'sending'")
_working = union_all(
    select(turns.c.thread, turns.c.asker, turns.c.state).where(turns.c.state == _WAITS),
    select(turns.c.thread, turns.c.asker, turns.c.state).where(
        turns.c.tries > literal_column("0"), turns.c.state == "running"
    ),
    select(turns.c.thread, turns.c.asker, turns.c.state).where(
        turns.c.waits_until.is_not(None), turns.c.tries == 0, turns.c.state == "running"
    ),
).subquery()
_ASKED_IN = select(proposals.c.thread).where(
    proposals.c.thread == _working.c.thread, proposals.c.state == State.PENDING
)
_is_theirs = _working.c.asker == given("asker")
_is_elsewhere = _working.c.thread != given("of")
LOAD = select(
    func.count().label("total"),
    func.count(case((_is_elsewhere, _working.c.thread)).distinct()).label("others"),
    func.count(case((_is_theirs, 1))).label("theirs"),
    func.count(case((_is_theirs & _is_elsewhere, _working.c.thread)).distinct()).label("their_others"),
    select(func.count())
    .where(proposals.c.thread == given("of"), proposals.c.state == State.PENDING)
    .scalar_subquery()
    .label("pending"),
    select(func.count())
    .where(turns.c.thread == given("of"), turns.c.state == _WAITS, turns.c.asker == given("asker"))
    .scalar_subquery()
    .label("kept"),
).where(~_ASKED_IN.exists())
"""How many turns are under way that do not wait for people, in how many other threads, in both also those of the asker alone; how many
requests wait in this thread, and how many turns of the asker wait in it."""

CURRENT_TURN = (
    select(turns)
    .where(turns.c.thread == given("of"), turns.c.state.in_(("running", "waiting")))
    .order_by(turns.c.state, turns.c.ts, turns.c.inbox)  # "running" comes before "waiting"
    .limit(1)
)
ASKED_AT = select(turns.c.ts, turns.c.state).where(turns.c.thread == given("of")).order_by(turns.c.ts)
ASKED_WITH = select(inbox.c.payload).join(turns, turns.c.inbox == inbox.c.id).where(turns.c.turn == given("which"))
BEGIN_TURN = (
    update(turns)
    .where(turns.c.turn == given("which"))
    .values(state="running", text=given("words"), tries=1, ends_alone=0)
)
_OPEN = turns.c.state.in_(("waiting", "running"))
TAKE_TURN = (
    update(turns)
    .where(turns.c.turn == given("which"), _OPEN, turns.c.taken_by != given("me"))
    .values(taken_by=given("me"), tries=turns.c.tries + 1)
)
_BEING_SENT = select(proposals.c.turn).where(
    proposals.c.turn == turns.c.turn, proposals.c.state.in_((State.APPROVED, State.SENDING))
)
REST_TURN = (
    update(turns)
    .where(turns.c.turn == given("which"), _OPEN, ~_BEING_SENT.exists())
    .values(taken_by="", tries=0, ends_alone=0)
)
GET_ON = update(turns).where(turns.c.turn == given("which"), turns.c.tries > 1).values(tries=1, ends_alone=0)
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
        tries=given("new_tries"),
        ends_alone=0,
        waits_since=None,  # it was answered, or is over
        waits_until=None,
    )
)
PUT_ASIDE = (
    update(turns)
    .where(turns.c.turn == given("which"), turns.c.state == "running")
    .values(waits_since=given("since"), waits_until=given("until"), taken_by="", tries=0, ends_alone=0)
)
TOUCH = (
    update(threads)
    .where(threads.c.thread == given("of"))
    .values(active_at=given("now"), tainted=threads.c.tainted.op("|")(given("taint")))
)
TAINTED = select(threads.c.tainted).where(threads.c.thread == given("of"))
TRANSCRIPT = select(transcript).where(transcript.c.thread == given("of")).order_by(transcript.c.id)

CHAIN_END = select(journal).order_by(journal.c.number.desc()).limit(2)
CHAIN_ON = insert(journal)
CHAIN_HEAD = select(journal_head)
SET_CHAIN_HEAD = update(journal_head).values(
    number=given("new_number"), hash=given("new_hash"), signature=given("new_signature")
)
SENDS = select(journal.c.data).where(journal.c.turn == given("of"), journal.c.kind == "send")

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

NEXT_EXPIRY = select(func.min(proposals.c.expires_at)).where(IS_ASKED)
NEXT_REMINDER = select(func.min(proposals.c.remind_at)).where(IS_ASKED, proposals.c.remind_at.is_not(None))
THREAD_OF = select(proposals.c.thread).where(proposals.c.proposal == given("which"))


class Inserts:
    """Inserts that a conflict turns into nothing; each engine has its own `insert`."""

    def __init__(self, insert: Callable[[Any], Any]) -> None:
        self.arrival = insert(inbox).on_conflict_do_nothing().returning(inbox.c.id)
        thread = insert(threads)
        self.thread = thread.on_conflict_do_update(
            index_elements=["thread"], set_={"active_at": thread.excluded.active_at}
        )
        hold = insert(holds)
        taken = case((holds.c.owner == hold.excluded.owner, holds.c.fence), else_=holds.c.fence + 1)
        self.first_hold = hold.on_conflict_do_nothing().returning(holds.c.fence)
        self.hold = hold.on_conflict_do_update(
            index_elements=["thread"], set_={"owner": hold.excluded.owner, "fence": taken}
        ).returning(holds.c.fence)
        self.turn = insert(turns)
        self.item = insert(transcript).on_conflict_do_nothing().returning(transcript.c.id)
        self.proposals = insert(proposals)
        self.posts = insert(posts).on_conflict_do_nothing()
