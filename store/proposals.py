"""The table of proposals: what waits, who decided, what became of it. The law of it is gate/policy.py's table of transitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import bindparam as given
from sqlalchemy import func, select, update

from gate.policy import Event, State, sources, target
from store import seals
from store.arrivals import IS_NEW, ComingIn, first_clicks, mark_handled
from store.database import Database, Transaction
from store.journal.hash_chain import JournalEntry
from store.posts import Post, add_posts
from store.proposal_record import IS_ASKED, IS_SENT, Proposal, proposals, record_of, row_of
from store.seals import add_proposals
from store.tables import inbox, turns
from store.transcript import Result
from store.transcript_rows import add_item, taint, touch
from store.turns import got_on
from workers.wakes import Work

# Only who has the thread lets these happen:
_BEING_RECORDED = 1.0  # seconds that another process may need to record a click that came in before the end
_OF_A_TURN = frozenset({Event.SEND, Event.SUCCEED, Event.FAIL, Event.LOSE, Event.OUTDATE})


@dataclass(frozen=True)
class Waiting:
    """So much of a proposal that waits as tells whom it waits for."""

    proposal: str
    thread: str
    asker: str
    rule: str
    votes: str


@dataclass(frozen=True)
class Effects:
    """What goes with a transition: the call's result for the model, what people are shown, what the journal tells; and, where
    the target changed, the proposal that asks again."""

    result: str | None = None
    posts: Sequence[Post] = ()
    entries: Sequence[JournalEntry] = ()
    tainted: bool = False
    successor: Proposal | None = None


class Altered(Exception):
    """A proposal is not the one that was approved: somebody changed its row."""


_IN_ORDER = (proposals.c.reply, proposals.c.call)
_WAITING = select(*(proposals.c[one.name] for one in fields(Waiting))).where(IS_ASKED).order_by(*_IN_ORDER)
_NEXT_EXPIRY = select(func.min(proposals.c.expires_at)).where(IS_ASKED)
_NEXT_REMINDER = select(func.min(proposals.c.remind_at)).where(IS_ASKED, proposals.c.remind_at.is_not(None))
_THREAD_OF = select(proposals.c.thread).where(proposals.c.proposal == given("which"))


class Proposals(Database):
    """The writes of all threads."""

    _coming: ComingIn  # made by the store

    # --- what there is ------------------------------------------------------------------------------------------------

    def proposal(self, *, token: str) -> Proposal | None:
        """The proposal whose buttons carry `token`."""
        return next(iter(self._proposals(proposals.c.token == token)), None)

    def proposal_of(self, proposal: str) -> Proposal | None:
        """The proposal with this id."""
        return next(iter(self._proposals(proposals.c.proposal == proposal)), None)

    def proposal_of_card(self, card: str) -> Proposal | None:
        """The proposal that the post `card` shows."""
        return next(iter(self._proposals(proposals.c.card == card)), None)

    def proposals_of(self, turn: str, *states: State) -> list[Proposal]:
        """A turn's proposals in these states, in the order of their calls."""
        return self._proposals(proposals.c.turn == turn, proposals.c.state.in_(states))

    def pending_in(self, thread: str) -> list[Proposal]:
        """A thread's proposals that wait for people."""
        return self._proposals(proposals.c.thread == thread, proposals.c.state == State.PENDING)

    def waiting(self) -> list[Waiting]:
        """All proposals that wait for people, in the order in which they were asked for."""
        with self._reading() as db:
            return [Waiting(*row) for row in db.execute(_WAITING)]

    def being_sent(self) -> list[Proposal]:
        """The proposals that stand in `sending`."""
        return self._proposals(IS_SENT)

    def proposals_in(self, *states: State, thread: str | None = None) -> list[Proposal]:
        """All proposals in these states, of all threads or of one."""
        of_thread = [] if thread is None else [proposals.c.thread == thread]
        return self._proposals(proposals.c.state.in_(states), *of_thread)

    def proposals_due(self) -> list[Proposal]:
        """Pending proposals whose time is over, less those about which somebody clicked in time: that click comes first."""
        now, coming = self._coming.now_and_first()
        late = now - _BEING_RECORDED if self.is_shared else now
        over = self._proposals(IS_ASKED, proposals.c.expires_at <= late)
        if not over:
            return []
        with self._reading() as db:
            clicks = first_clicks(db)
        return [
            one
            for one in over
            if min(coming, *(clicks.get(name or "", now) for name in (one.token, one.batch))) >= one.expires_at
        ]

    def proposals_to_remind(self) -> list[Proposal]:
        """Pending proposals whose half time has come and of which nobody was reminded."""
        return self._proposals(IS_ASKED, proposals.c.remind_at.is_not(None), proposals.c.remind_at <= self._clock())

    def proposals_of_batch(self, batch: str) -> list[Proposal]:
        """The set that a batch button names, in the order of its calls."""
        return self._proposals(proposals.c.batch == batch)

    def proposals_for(self, *, asker: str, limit: int) -> list[Proposal]:
        """A person's latest proposals, newest first."""
        query = select(proposals).where(proposals.c.asker == asker).order_by(proposals.c.created_at.desc()).limit(limit)
        with self._reading() as db:
            return [record_of(row) for row in db.execute(query).mappings()]

    def next_due(self) -> float | None:
        """When the next pending proposal expires or is to be reminded of."""
        with self._reading() as db:
            moments = (db.scalar(_NEXT_EXPIRY), db.scalar(_NEXT_REMINDER))
        return min((float(moment) for moment in moments if moment is not None), default=None)

    def is_intact(self, proposal: Proposal) -> bool:
        """Whether a proposal that waits, or is approved, is as this bot has stored it: what is sent, its rule and who decided."""
        return seals.is_intact(self.journal, proposal)

    def fingerprint(self, proposal: Proposal) -> str:
        """What people and the journal know a proposal by: a signature over all that is sent, who asked for it, and who may decide."""
        return seals.fingerprint(self.journal, proposal)

    def sealed_otherwise(self) -> list[Proposal]:
        """What waits or is approved since an earlier version of the bot, or under another key: nobody can tell whether it is intact."""
        stands = proposals.c.state.in_((State.PENDING, State.APPROVED))
        return [one for one in self._proposals(stands) if not one.seal.startswith(seals.sealing(self.journal, one))]

    def _proposals(self, *where: Any) -> list[Proposal]:
        query = select(proposals).where(*where).order_by(*_IN_ORDER)
        with self._reading() as db:
            return [record_of(row) for row in db.execute(query).mappings()]

    # --- what happens to it -------------------------------------------------------------------------------------------

    def transition(
        self,
        proposal: str,
        happened: Event,
        effects: Callable[[Proposal], Effects],
        *,
        arrival: int | None = None,
        seen: State | None = None,
        checked_by: str | None = None,
        **columns: Any,
    ) -> Proposal | None:
        """Lets `happened` happen to a proposal, with its effects; None (and nothing changed) where the table does not allow it. Raises
        `Altered` where it would send what is not as it was approved, and `CatalogOutdated` where it sends something, or was `checked_by` a
        catalog (its digest; None: that of this process, if it sends), and that is not the newest.

        One conditional UPDATE decides between all who try at once. `arrival` is the click that this answers; with `seen`, it happens
        only in that state, for who would be wrong about any other.
        """
        allowed = proposals.c.state.in_([one for one in sources(happened) if seen in (None, one)])
        which = [proposals.c.proposal == proposal, allowed]
        change = update(proposals).where(*which).values(state=target(happened), seal="", **columns)
        with self._holding_for(proposal, happened), self._writing() as tx:
            if happened is Event.SEND or checked_by is not None:
                self.check_catalog_in(tx.db, checked_by)
            if happened is Event.SEND:
                _check_before_sending(tx, *which)
            row = tx.db.execute(change.returning(*proposals.c)).mappings().first()
            if row is None:
                return None
            if arrival is not None:
                mark_handled(tx, arrival)
            changed = record_of(row)
            if happened not in _OF_A_TURN:
                tx.wake(changed.thread, Work.TURNS)
            _apply(tx, changed, effects(changed))
        return changed

    @contextmanager
    def _holding_for(self, proposal: str, happened: Event) -> Iterator[None]:
        """The hold that an event needs: what people do to a proposal, or time, needs none, since the row's state alone decides."""
        thread = None
        if happened in _OF_A_TURN:
            with self._reading() as db:
                thread = db.scalar(_THREAD_OF, {"which": proposal})
        with self.holding(str(thread)) if thread is not None else nullcontext():
            yield

    def vote(
        self,
        proposal: str,
        voter: str,
        at: float,
        effects: Callable[[Proposal], Effects],
        *,
        arrival: int | None = None,
    ) -> Proposal | None:
        """A person's yes to a pending proposal: it is approved once the votes are as many as its rule asks for.

        None (and nothing changed) where it is pending no more. A second vote of the same person changes nothing either.
        """
        stands = [proposals.c.proposal == proposal, proposals.c.state.in_(sources(Event.APPROVE))]
        with self._writing() as tx:
            row = tx.db.execute(select(proposals).where(*stands).with_for_update()).mappings().first()
            if row is None:
                return None
            if arrival is not None:
                mark_handled(tx, arrival)
            before = record_of(row)
            if voter in before.votes:
                return before
            after = replace(before, votes=(*before.votes, voter))
            if len(after.votes) >= before.rule.quorum:
                after = replace(after, state=target(Event.APPROVE), decided_by=voter, decided_at=at)
            changed = _replace(tx, before, after)
            if changed.state is State.APPROVED:
                tx.wake(changed.thread, Work.WRITES, Work.TURNS)
            _apply(tx, changed, effects(changed))
        return changed

    def remind(self, proposal: Proposal, says: Sequence[Post]) -> None:
        """Notes that a pending proposal's reminder went out, with the reminder."""
        once = update(proposals).where(proposals.c.proposal == proposal.proposal, proposals.c.remind_at.is_not(None))
        with self._writing() as tx:
            if tx.db.execute(once.where(proposals.c.state == State.PENDING).values(remind_at=None)).rowcount:
                add_posts(tx, says)
                noted = JournalEntry("reminder", {"proposal": proposal.proposal})
                tx.note(proposal.thread, proposal.turn, [noted])

    def move_deadlines(self, seconds: float) -> None:
        """Moves the moments of what waits for people, and of what just came in, along with a clock that was set."""
        with self._writing() as tx:
            tx.db.execute(update(inbox).where(IS_NEW).values(received_at=inbox.c.received_at + seconds))
            waits = update(turns).where(turns.c.connects_until.is_not(None))
            tx.db.execute(waits.values(connects_until=turns.c.connects_until + seconds))
            for row in tx.db.execute(select(proposals).where(IS_ASKED).with_for_update()).mappings().all():
                before = record_of(row)
                _replace(tx, before, _moved(before, seconds))


def _moved(one: Proposal, seconds: float) -> Proposal:
    reminder = one.remind_at + seconds if one.remind_at is not None else None
    return replace(one, created_at=one.created_at + seconds, expires_at=one.expires_at + seconds, remind_at=reminder)


def _replace(tx: Transaction, before: Proposal, after: Proposal) -> Proposal:
    """Stores what changed of a proposal that is locked, sealed again if it was intact; gives it as it is now."""
    after = replace(after, seal=seals.seal(tx.journal, after) if seals.is_intact(tx.journal, before) else before.seal)
    old, new = row_of(before), row_of(after)
    columns = {name: value for name, value in new.items() if value != old[name] or name == "seal"}
    change = update(proposals).where(proposals.c.proposal == before.proposal).values(columns).returning(*proposals.c)
    return record_of(tx.db.execute(change).mappings().one())


def _check_before_sending(tx: Transaction, *which: Any) -> None:
    row = tx.db.execute(select(proposals).where(*which).with_for_update()).mappings().first()
    if row is not None:
        found = record_of(row)
        if not seals.is_intact(tx.journal, found) or tx.journal.has_sent(tx.db, found.turn, found.proposal):
            raise Altered(found.proposal)


def _apply(tx: Transaction, changed: Proposal, after: Effects) -> None:
    if after.result is not None:
        add_item(tx, changed.thread, changed.turn, Result(changed.reply, changed.call, after.result, changed.only_for))
    if changed.state in (State.DONE, State.FAILED, State.STALE):
        got_on(tx, changed.turn)
    if after.successor is not None:
        add_proposals(tx, [after.successor])
    add_posts(tx, after.posts)
    tx.note(changed.thread, changed.turn, after.entries)
    touch(tx, changed.thread)
    if after.tainted:
        taint(tx, changed.thread)
