"""Turns: from a mention to rest. What may become of one is in a table, as with proposals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Update, case, func, select, update
from sqlalchemy import bindparam as given

from base.transitions import is_open, sources, target
from gate.policy import State
from store.arrivals import mark_handled
from store.database import Database, NotNow, Transaction
from store.holds import DATABASE, IS_HELD
from store.journal.hash_chain import JournalEntry
from store.posts import Post, add_posts
from store.proposal_record import Proposal, proposals
from store.received import AppMention, Mention, from_row
from store.seals import add_proposals
from store.tables import inbox, turns
from store.transcript import AssistantMessage, Result, ThreadContext, ThreadMessage, TurnNote, Usage, UserMessage
from store.transcript_rows import add_item, close_calls, taint, touch
from store.usage import spend
from workers.wakes import Work


class TurnState(StrEnum):
    """Where a turn stands."""

    WAITING = "waiting"  # its mention was admitted
    RUNNING = "running"  # its words are in the transcript
    DONE = "done"
    FAILED = "failed"


class TurnEvent(StrEnum):
    """What can happen to a turn."""

    BEGIN = "begin"
    DROP = "drop"  # its question was taken back before it began
    GO_ON = "go on"  # the model answered, and calls came of it
    WAIT = "wait"  # Slack does not say yet what its asker may ask for
    PAUSE = "pause"  # its model has no time, or Slack does not say what its asker may ask for
    AWAIT = "await"  # its asker is to connect an account first
    END = "end"
    FAIL = "fail"  # a fault, or a person who stopped it


TRANSITIONS: dict[tuple[TurnState, TurnEvent], TurnState] = {
    (TurnState.WAITING, TurnEvent.BEGIN): TurnState.RUNNING,
    (TurnState.WAITING, TurnEvent.DROP): TurnState.DONE,
    (TurnState.WAITING, TurnEvent.FAIL): TurnState.FAILED,
    (TurnState.WAITING, TurnEvent.WAIT): TurnState.WAITING,
    (TurnState.RUNNING, TurnEvent.GO_ON): TurnState.RUNNING,
    (TurnState.RUNNING, TurnEvent.PAUSE): TurnState.RUNNING,
    (TurnState.RUNNING, TurnEvent.AWAIT): TurnState.RUNNING,
    (TurnState.RUNNING, TurnEvent.END): TurnState.DONE,
    (TurnState.RUNNING, TurnEvent.FAIL): TurnState.FAILED,
}
_OPEN = tuple(state for state in TurnState if is_open(TRANSITIONS, state))
_OVER = tuple(state for state in TurnState if state not in _OPEN)


@dataclass(frozen=True)
class Turn:
    """From a mention to rest."""

    turn: str
    thread: str
    asker: str
    text: str
    ts: str
    model_calls: int = 0
    stopped_by: str = ""  # who stopped it
    is_running: bool = False  # begun, its words are in the transcript
    waits_since: float | None = (
        None  # seconds since 1970: since when its model has no time, or Slack does not say who may ask
    )
    waits_until: float | None = None  # and until when it is not asked
    connects: tuple[str, ...] = ()  # the APIs of which its asker is to connect an account; one of them is enough
    connects_until: float | None = None  # seconds since 1970: until when it waits for that
    only_for: str = ""  # its asker, once its model has seen what is theirs alone: so is all that comes of it then
    taken_by: str = ""  # the process that is in the middle of it
    tries: int = 0  # how many processes have taken it up since it last got on
    ends_alone: int = 0  # how many of them, in a row, ended in the middle of this and of nothing else
    created_at: float = 0.0  # seconds since 1970: when it was admitted
    rested_at: float | None = None  # and when it first waited for people
    trace: str = ""  # the context of its spans, as W3C Trace Context writes it


@dataclass(frozen=True)
class ReplyOutcome:
    """What one reply of the model leads to, stored at once. Results and proposals name their call; the reply's row is added."""

    message: AssistantMessage
    usage: Usage
    results: Sequence[Result] = ()
    proposals: Sequence[Proposal] = ()
    posts: Sequence[Post] = ()
    entries: Sequence[JournalEntry] = ()
    tainted: bool = False


_SAME = [one.name for one in fields(Turn) if one.name not in ("stopped_by", "is_running", "only_for", "connects")]


def turn_of(row: Mapping[Any, Any]) -> Turn:
    """The turn of a row."""
    is_running = row["state"] == TurnState.RUNNING
    connects = tuple(json.loads(row["connects"] or "[]"))
    known = {name: row[name] for name in _SAME}
    return Turn(**known, stopped_by=row["stopped_by"] or "", is_running=is_running, connects=connects)


def _happens(event: TurnEvent, **columns: Any) -> Update:
    """Lets an event happen to the turn `which`, in the states in which it may."""
    allowed = turns.c.state.in_(sources(TRANSITIONS, event))
    columns["state"] = target(TRANSITIONS, event)
    return update(turns).where(turns.c.turn == given("which"), allowed).values(columns)


IS_OPEN = turns.c.state.in_(_OPEN)
CONNECTS = turns.c.connects_until.is_not(None)  # it waits for its asker to connect an account
_OF_ID = select(turns).where(turns.c.turn == given("which"))
_CURRENT = (
    select(turns)
    .where(turns.c.thread == given("of"), IS_OPEN)
    .order_by(case((turns.c.state == TurnState.RUNNING, 0), else_=1), turns.c.ts, turns.c.inbox)
    .limit(1)
)
_ASKED_AT = select(turns.c.ts, turns.c.state).where(turns.c.thread == given("of")).order_by(turns.c.ts)
_MENTION_OF = select(inbox).join(turns, turns.c.inbox == inbox.c.id).where(turns.c.turn == given("which"))
_OTHERS_SPOKE = (
    select(turns.c.turn)
    .where(turns.c.thread == given("of"), turns.c.asker != given("asker"), turns.c.state.in_(_OVER))
    .limit(1)
)
_TAKE = (
    update(turns)
    .where(turns.c.turn == given("which"), IS_OPEN, turns.c.taken_by != given("holder"), IS_HELD)
    .values(taken_by=given("holder"), tries=turns.c.tries + 1)
)
_BEING_SENT = select(proposals.c.turn).where(
    proposals.c.turn == turns.c.turn, proposals.c.state.in_((State.APPROVED, State.SENDING))
)
_REST = (
    update(turns)
    .where(turns.c.turn == given("which"), IS_OPEN, ~_BEING_SENT.exists(), IS_HELD)
    .values(taken_by="", tries=0, ends_alone=0, rested_at=func.coalesce(turns.c.rested_at, given("now")))
)
_GET_ON = update(turns).where(turns.c.turn == given("which"), turns.c.tries > 1).values(tries=1, ends_alone=0)
_STOP = (
    update(turns)
    .where(turns.c.turn == given("which"), IS_OPEN, turns.c.stopped_by.is_(None))
    .values(stopped_by=given("person"))
)
_BEGIN = _happens(TurnEvent.BEGIN, text=given("words"), tries=1, ends_alone=0)
_WAIT = _happens(TurnEvent.WAIT, waits_since=given("since"), taken_by="", tries=0, ends_alone=0)
_PAUSE = _happens(
    TurnEvent.PAUSE, waits_since=given("since"), waits_until=given("until"), taken_by="", tries=0, ends_alone=0
)
_NO_WAIT: dict[str, Any] = {"waits_since": None, "waits_until": None, "connects": None, "connects_until": None}
_SPEND = {
    event: _happens(
        event,
        model_calls=turns.c.model_calls + given("calls"),
        prompt_tokens=turns.c.prompt_tokens + given("prompt"),
        completion_tokens=turns.c.completion_tokens + given("completion"),
        ended_at=given("end"),
        tries=int(event is TurnEvent.GO_ON),
        ends_alone=0,
        **_NO_WAIT,  # it was answered, or is over
    )
    for event in (TurnEvent.DROP, TurnEvent.GO_ON, TurnEvent.END, TurnEvent.FAIL, TurnEvent.AWAIT)
}
_AWAIT = (
    update(turns).where(turns.c.turn == given("which")).values(connects=given("apis"), connects_until=given("until"))
)


def got_on(tx: Transaction, turn: str) -> None:
    """Notes that something of a turn was done: processes that ended before that do not count against it."""
    tx.db.execute(_GET_ON, {"which": turn})


def _let(tx: Transaction, change: Update, turn: Turn, **values: Any) -> None:
    """Changes a turn. Raises `NotNow` where its state does not allow it."""
    if not tx.db.execute(change, {"which": turn.turn, **values}).rowcount:
        raise NotNow(f"turn {turn.turn}")


def _spend(tx: Transaction, event: TurnEvent, turn: Turn, usage: Usage | None) -> None:
    """Lets an event happen with the tokens of a model call (None: there was no call)."""
    spent = usage or Usage()
    counts = {"calls": 0 if usage is None else 1, "prompt": spent.prompt, "completion": spent.completion}
    end = None if event in (TurnEvent.GO_ON, TurnEvent.AWAIT) else tx.clock()
    _let(tx, _SPEND[event], turn, end=end, **counts)
    spend(tx, turn.asker, spent.prompt + spent.completion)


def end(
    tx: Transaction,
    turn: Turn,
    says: Sequence[Post],
    *,
    last_words: AssistantMessage | None,
    usage: Usage | None,
    failed: bool,
    entries: Sequence[JournalEntry],
) -> None:
    """Ends a turn, as `Turns.end_turn` does; for who holds its thread, or the whole database."""
    if failed:
        close_calls(tx, turn.thread, turn.turn, turn.asker)
    if last_words is not None:
        add_item(tx, turn.thread, turn.turn, last_words)
    add_posts(tx, says)
    tx.note(turn.thread, turn.turn, entries)
    _spend(tx, TurnEvent.FAIL if failed else TurnEvent.END, turn, usage)
    touch(tx, turn.thread)


class Turns(Database):
    """The turns of all threads."""

    def turn(self, turn: str) -> Turn | None:
        """The turn with this id."""
        with self._reading() as db:
            row = db.execute(_OF_ID, {"which": turn}).mappings().first()
        return turn_of(row) if row is not None else None

    def next_turn(self, thread: str) -> Turn | None:
        """The turn that runs in the thread; where none does, the oldest waiting one."""
        with self._reading() as db:
            row = db.execute(_CURRENT, {"of": thread}).mappings().first()
        return turn_of(row) if row is not None else None

    def asked_at(self, thread: str) -> list[tuple[str, TurnState]]:
        """The questions of a thread: (ts, state of the turn), oldest first."""
        with self._reading() as db:
            return [(row.ts, TurnState(row.state)) for row in db.execute(_ASKED_AT, {"of": thread})]

    def mention_of(self, turn: str) -> Mention | AppMention | None:
        """The mention that a turn was made of, as its event had it."""
        with self._reading() as db:
            row = db.execute(_MENTION_OF, {"which": turn}).mappings().first()
        received = from_row(row)[0] if row is not None else None
        return received if isinstance(received, Mention | AppMention) else None

    def trace_behind(self, token: str) -> str:
        """The trace of the turn whose request, or set of them, a button's token names; empty where there is none."""
        named = (proposals.c.token == token) | (proposals.c.batch == token)
        query = select(turns.c.trace).join(proposals, proposals.c.turn == turns.c.turn).where(named).limit(1)
        with self._reading() as db:
            return str(db.scalar(query) or "")

    def trace_of(self, turn: str) -> str:
        """The trace of a turn, empty where there is none."""
        with self._reading() as db:
            return str(db.scalar(select(turns.c.trace).where(turns.c.turn == turn)) or "")

    def words_of(self, turn: str) -> str | None:
        """What the person wrote, while it is kept."""
        with self._reading() as db:
            found = db.scalar(select(turns.c.text).where(turns.c.turn == turn))
        return str(found) if found is not None else None

    def take_turn(self, turn: Turn) -> None:
        """Counts this process among those that worked on a turn since it last got on: before it does, as with an arrival."""
        if turn.taken_by != self.process:
            with self.holding(turn.thread):
                self._changes(_TAKE, {"which": turn.turn})

    def rest_turn(self, turn: Turn) -> bool:
        """Notes that a turn waits for people: whatever ends the process now, it is not the turn. False while a write of it is sent."""
        with self.holding(turn.thread):
            return self._changes(_REST, {"which": turn.turn, "now": self._clock()})

    def begin_turn(
        self,
        turn: Turn,
        text: str,
        heard: Sequence[ThreadMessage],
        entries: Sequence[JournalEntry] = (),
        noted: TurnNote | None = None,
    ) -> Turn:
        """Begins a waiting turn: the words of its question, what goes with it, and what others wrote before it, join the transcript."""
        begun = replace(turn, text=text, is_running=True)
        with self.holding(turn.thread), self._writing() as tx:
            _let(tx, _BEGIN, turn, words=text)
            if noted is not None:
                add_item(tx, turn.thread, turn.turn, noted)
            if heard:
                add_item(tx, turn.thread, turn.turn, ThreadContext(tuple(heard)))
            add_item(tx, turn.thread, turn.turn, UserMessage(text, turn.asker))
            others = tx.db.scalar(_OTHERS_SPOKE, {"of": turn.thread, "asker": turn.asker})
            # apps may post in the asker's name
            strange = any(line.is_bot or line.is_attached or line.by != turn.asker for line in heard)
            tx.note(turn.thread, turn.turn, entries)
            if others is not None or strange:
                taint(tx, turn.thread)
        return begun

    def pause_turn(self, turn: Turn, since: float, until: float, entries: Sequence[JournalEntry] = ()) -> None:
        """Notes that a running turn waits for its model, or for Slack: since when, and until when the model is not to be asked. The next
        `add_round` or `end_turn` ends that."""
        with self.holding(turn.thread), self._writing() as tx:
            _let(tx, _PAUSE, turn, since=since, until=until)
            tx.note(turn.thread, turn.turn, entries)

    def await_account(
        self,
        turn: Turn,
        apis: Sequence[str],
        until: float,
        says: Sequence[Post],
        entries: Sequence[JournalEntry],
        usage: Usage | None,
    ) -> None:
        """Notes that a running turn waits until a moment for its asker to connect an account of one of these APIs (`Connections.connected`
        ends that); `usage` is of the model call that led there, of which nothing else stays."""
        with self.holding(turn.thread), self._writing() as tx:
            _spend(tx, TurnEvent.AWAIT, turn, usage)
            tx.db.execute(_AWAIT, {"which": turn.turn, "apis": json.dumps(list(apis)), "until": until})
            add_posts(tx, says)
            tx.note(turn.thread, turn.turn, entries)
            tx.wake(DATABASE, Work.DEADLINES)

    def wait_turn(self, turn: Turn, since: float) -> None:
        """Notes since when a turn that has not begun waits for Slack."""
        with self.holding(turn.thread), self._writing() as tx:
            _let(tx, _WAIT, turn, since=since)

    def drop_turn(self, turn: Turn, entries: Sequence[JournalEntry]) -> None:
        """Ends a turn that never began: its question was taken back."""
        with self.holding(turn.thread), self._writing() as tx:
            _spend(tx, TurnEvent.DROP, turn, None)
            tx.note(turn.thread, turn.turn, entries)

    def stop_turn(
        self, turn: Turn, by: str, entries: Sequence[JournalEntry] = (), *, arrival: int | None = None
    ) -> bool:
        """Notes that a person wants a turn to end. False where it had ended before, or somebody else was first."""
        with self._writing() as tx:
            if arrival is not None:
                mark_handled(tx, arrival)
            stopped = bool(tx.db.execute(_STOP, {"which": turn.turn, "person": by}).rowcount)
            if stopped:
                tx.wake(turn.thread, Work.STOPS, Work.TURNS)
                tx.note(turn.thread, turn.turn, entries)
        return stopped

    def add_round(self, turn: Turn, made: ReplyOutcome) -> AssistantMessage:
        """Stores one reply with the results, proposals and cards that came of it. Gives the reply with its row."""
        with self.holding(turn.thread), self._writing() as tx:
            row = add_item(tx, turn.thread, turn.turn, made.message)
            for one in made.results:
                add_item(tx, turn.thread, turn.turn, replace(one, reply=row))
            add_proposals(tx, [replace(one, reply=row) for one in made.proposals])
            add_posts(tx, made.posts)
            tx.note(turn.thread, turn.turn, made.entries)
            _spend(tx, TurnEvent.GO_ON, turn, made.usage)
            if made.tainted:
                taint(tx, turn.thread)
        return replace(made.message, row=row)

    def end_turn(
        self,
        turn: Turn,
        says: Sequence[Post],
        *,
        last_words: AssistantMessage | None,
        usage: Usage | None,
        failed: bool = False,
        entries: Sequence[JournalEntry] = (),
    ) -> None:
        """The turn's rest: its last words, what people are told, and its tokens (`usage` None: no model call belongs to this end)."""
        with self.holding(turn.thread), self._writing() as tx:
            end(tx, turn, says, last_words=last_words, usage=usage, failed=failed, entries=entries)
