"""What people decide about proposals, and what time and mishaps do: votes, denials, withdrawals, expiry, reminders.

A decision only changes the row. Nothing here sends, and nothing typed in Slack comes here: a button's token names the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from base import words
from gate.answers import outcome_text
from gate.authority import Authority
from gate.card_blocks import date
from gate.cards import deciders
from gate.policy import Event, NothingToDecide, Refused, State
from gate.proposal_changes import Aside, ProposalChanges
from store.posts import message
from store.proposal_record import Proposal
from store.store import Store


class Decisions:
    """The decisions of one gate. All moments are seconds since 1970."""

    def __init__(self, store: Store, authority: Authority, changes: ProposalChanges, *, ids: Callable[[], str]) -> None:
        self._store = store
        self._authority = authority
        self._changes = changes
        self._ids = ids

    # --- people -------------------------------------------------------------------------------------------------------

    def decide(
        self, token: str, decision: Literal["approve", "deny"], *, by: str, at: float, arrival: int, reason: str = ""
    ) -> Proposal:
        """A person's decision, made at `at`. Gives the changed proposal. Raises `Refused` with words for that person alone."""
        proposal = self.pending(token, by)
        self._authority.check_authority(proposal, by)
        if at >= proposal.expires_at:
            changed = self._changes.change(proposal.proposal, Event.EXPIRE, arrival=arrival)
        elif decision == "approve" and by in proposal.votes:
            raise Refused(words.VOTED)
        elif decision == "approve":
            changed = self._changes.vote(proposal.proposal, by, at, arrival)
        else:
            changed = self._changes.change(
                proposal.proposal, Event.REJECT, arrival=arrival, decided_by=by, decided_at=at, reason=reason
            )
        return self._decided(changed)

    def decide_all(self, batch: str, *, by: str, at: float, arrival: int) -> list[Proposal]:
        """A person's yes to a set that was fixed when its button was drawn: each row is checked and voted for alone. Raises `Refused`."""
        rows = self._store.proposals_of_batch(batch)
        pending = [one for one in rows if one.state is State.PENDING and at < one.expires_at]
        if not rows:
            raise NothingToDecide
        if not pending:
            raise Refused(words.ALREADY)
        for one in {one.rule.people: one for one in pending}.values():  # Slack takes few look-ups a minute
            self._authority.check_authority(one, by)
        pending = [one for one in pending if by not in one.votes]
        if not pending:
            raise Refused(words.VOTED)
        changed = [self._changes.vote(one.proposal, by, at, arrival if one is pending[-1] else None) for one in pending]
        if changed[-1] is None:  # decided a moment before, so that the click is not marked as looked at
            self._store.handled(arrival)
        self._changes.redraw_set(batch)
        return [one for one in changed if one is not None]

    def withdraw_by(self, token: str, *, by: str, at: float, arrival: int) -> Proposal:
        """The asker takes a proposal back. Raises `Refused`."""
        proposal = self.pending(token, by)
        if by != proposal.asker:
            raise Refused(words.NOT_YOURS.format(asker=words.asker(proposal.asker)))
        changed = self._changes.change(proposal.proposal, Event.WITHDRAW, arrival=arrival, decided_by=by, decided_at=at)
        return self._decided(changed)

    def _decided(self, changed: Proposal | None) -> Proposal:
        """A proposal after a click. Raises `Refused` where another was faster."""
        if changed is None:
            raise Refused(words.ALREADY)
        self._changes.redraw_set(changed.batch)
        return changed

    def pending(self, token: str, by: str) -> Proposal:
        """The pending proposal of a button. Raises `Refused`; `NothingToDecide` for a forged button or one's own second click."""
        proposal = self._store.proposal(token=token)
        if proposal is None:
            raise NothingToDecide
        if proposal.state is not State.PENDING:
            raise NothingToDecide if by in (proposal.decided_by, *proposal.votes) else Refused(words.ALREADY)
        return proposal

    def may_decide(self, proposal: Proposal, by: str) -> bool:
        """Whether this person could decide it, to be shown."""
        try:
            self._authority.check_authority(proposal, by, shows=True)
        except Refused:
            return False
        return True

    # --- time and mishaps ---------------------------------------------------------------------------------------------

    def expire_due(self) -> list[Proposal]:
        """Expires what waited too long; gives what did."""
        expired = [self._changes.change(one.proposal, Event.EXPIRE) for one in self._store.proposals_due()]
        changed = [one for one in expired if one is not None]
        self._changes.redraw_sets(changed)
        return changed

    def remind_due(self) -> None:
        """Reminds, once and at half time, those who may decide and have not."""
        for one in self._store.proposals_to_remind():
            waiting = [who for who in one.rule.approvers if who not in one.votes]
            who = deciders(replace(one.rule, approvers=tuple(waiting) or one.rule.approvers), one.asker)
            text = words.REMINDER.format(fingerprint=one.fingerprint[:12], deciders=who, until=date(one.expires_at))
            self._store.remind(one, [message(self._ids(), one.stands, one.turn, text)])

    def withdraw(self, turn: str) -> None:
        """Takes back what a failed turn still has waiting, so that no later click sends it."""
        left = self._store.proposals_of(turn, State.PENDING, State.APPROVED)
        self._take_back(left, "The turn ended before a decision.", "The turn ended before this was sent.")

    def withdraw_sealed_otherwise(self) -> list[str]:
        """Takes back what waits since an earlier version, or under another journal key: whether it is as it was asked for cannot be
        told. Gives the threads."""
        left = self._store.sealed_otherwise()
        self._take_back(left, words.SEALED_OTHERWISE, words.SEALED_OTHERWISE)
        return [one.thread for one in left]

    def lose_restored(self, before: float) -> None:
        """After a restore from a backup: what waited or was approved before that moment may have been decided and sent since, so it can
        be neither any more. Who may decide can have its target read."""
        left = [one for one in self._store.proposals_in(State.PENDING, State.APPROVED) if one.created_at <= before]
        told = outcome_text(str(State.UNKNOWN), words.TOLD_RESTORED, words.TOLD_TO_DO["unknown"])
        for one in left:
            self._changes.change(one.proposal, Event.RESTORE, Aside(told))
        self._changes.redraw_sets(left)

    def unshown(self, card_post: str) -> None:
        """A card that Slack will not take: nobody can decide it, so it is withdrawn."""
        one = self._store.proposal_of_card(card_post)
        if one is not None:
            self._changes.change(one.proposal, Event.WITHDRAW, note=words.UNSHOWN)
            self._changes.redraw_set(one.batch)

    def _take_back(self, left: Sequence[Proposal], pending: str, approved: str) -> None:
        for one in left:
            if one.state is State.PENDING:
                self._changes.change(one.proposal, Event.WITHDRAW, note=pending)
            else:  # by now it may be on its way
                note = f"{approved} Nothing was sent."
                self._changes.change(one.proposal, Event.FAIL, seen=State.APPROVED, note=note)
        self._changes.redraw_sets(left)
