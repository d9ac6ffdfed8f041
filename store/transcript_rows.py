"""The transcript's rows: on the way to and from the values of transcript.py, and whether a thread is tainted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam as given
from sqlalchemy import select, update

from store.database import Database, Transaction
from store.tables import by_engine, threads, transcript
from store.transcript import (
    AssistantMessage,
    Item,
    Result,
    ThreadContext,
    ThreadMessage,
    ToolCall,
    TurnNote,
    UserMessage,
    open_calls,
    visible_to,
)

_ADD = by_engine(lambda insert: insert(transcript).on_conflict_do_nothing().returning(transcript.c.id))
_OF_THREAD = select(transcript).where(transcript.c.thread == given("of")).order_by(transcript.c.id)
_OF_TURN = select(transcript).where(transcript.c.turn == given("of")).order_by(transcript.c.id)
_TOUCH = update(threads).where(threads.c.thread == given("of")).values(active_at=given("now"))
_TAINT = update(threads).where(threads.c.thread == given("of"), threads.c.tainted == 0).values(tainted=1)
_TAINTED = select(threads.c.tainted).where(threads.c.thread == given("of"))


def add_item(tx: Transaction, thread: str, turn: str, item: Item) -> int:
    """Adds an item; gives its row. 0: it is the result of a call that has one already, and keeps it."""
    values = {"thread": thread, "turn": turn, "at": tx.clock(), "only_for": "", "reply": None, "call": None}
    return int(tx.db.scalar(_ADD[tx.engine], values | _columns(item)) or 0)


def _columns(item: Item) -> dict[str, Any]:
    match item:
        case ThreadContext():
            return {"kind": "heard", "content": json.dumps([vars(line) for line in item.lines])}
        case TurnNote():
            said = {"about": item.about, "operations": item.operations}  # all that an earlier version takes
            return {"kind": "noted", "content": json.dumps(said), "only_for": item.only_for}
        case UserMessage():
            return {"kind": "said", "content": json.dumps({"text": item.text, "by": item.by})}
        case AssistantMessage():
            calls = [[call.id, call.name, call.arguments, call.key] for call in item.calls]
            added = {"opaque": item.opaque, "opaque_of": item.opaque_of} if item.opaque else {}
            content = json.dumps({"text": item.text, "calls": calls, **added})
            return {"kind": "replied", "content": content, "only_for": item.only_for}
        case Result():
            place = {"reply": item.reply, "call": item.call}
            return {"kind": "result", "content": item.content, "only_for": item.only_for, **place}


def _item_of(row: Mapping[Any, Any]) -> Item:
    match row["kind"]:
        case "heard":
            return ThreadContext(tuple(ThreadMessage(**line) for line in json.loads(row["content"])))
        case "noted":
            return TurnNote(**json.loads(row["content"]), only_for=row["only_for"])
        case "said":
            return UserMessage(**json.loads(row["content"]))
        case "replied":
            content = json.loads(row["content"])
            calls = tuple(ToolCall(*call) for call in content["calls"])
            added = (content.get("opaque", ""), content.get("opaque_of", ""))  # not in rows of earlier versions
            return AssistantMessage(content["text"], calls, row["id"], row["only_for"], *added)
        case _:
            return Result(row["reply"], row["call"], row["content"], row["only_for"])


def close_calls(tx: Transaction, thread: str, turn: str, asker: str) -> None:
    """Gives every call of a failed turn a result, so that the transcript stays one that model servers take."""
    items = [_item_of(row) for row in tx.db.execute(_OF_TURN, {"of": turn}).mappings()]
    ended = json.dumps({"error": "The turn ended before this was done."})
    for reply, call in open_calls(items):
        add_item(tx, thread, turn, Result(reply.row, call, ended, asker))


def touch(tx: Transaction, thread: str) -> None:
    """Notes that something goes on in a thread: how long it is kept counts from then. While a turn of it is open it is kept anyway."""
    tx.db.execute(_TOUCH, {"of": thread, "now": tx.clock()})


def taint(tx: Transaction, thread: str) -> None:
    """Notes that a thread holds data of the API or words of other people, from now on."""
    tx.db.execute(_TAINT, {"of": thread})


class Transcripts(Database):
    """The threads' transcripts, as turns see them."""

    def transcript(self, thread: str, asker: str) -> list[Item]:
        """The thread's transcript as the turns of `asker` may see it, oldest first."""
        with self._reading() as db:
            items = [_item_of(row) for row in db.execute(_OF_THREAD, {"of": thread}).mappings()]
        return visible_to(items, asker)

    def is_tainted(self, thread: str) -> bool:
        """Whether the thread ever held data of the API or words of other people."""
        with self._reading() as db:
            return bool(db.scalar(_TAINTED, {"of": thread}))
