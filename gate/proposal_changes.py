"""What becomes of proposals: each change by the law's table, in one transaction with all that goes with it.

That is what the model is told, the card redrawn, the journal's entry, and the proposal that asks again where one does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from base import metrics, words
from gate.answers import outcome_text
from gate.card_posts import card_again, card_posts, set_again
from gate.journal_entries import happened, proposed
from gate.policy import Event, State
from store.posts import Post
from store.proposal_record import Proposal
from store.proposals import Effects
from store.store import Store

log = structlog.get_logger("gate")
_DECIDED = (Event.REJECT, Event.WITHDRAW, Event.EXPIRE)  # a yes is a vote


@dataclass(frozen=True)
class Aside:
    """What goes with a change and is no part of the changed row: the `result` for the model where the row's state alone does not tell
    it, the `successor` that asks again, and the `seconds` that the API took."""

    result: str | None = None
    successor: Proposal | None = None
    seconds: float | None = None


class ProposalChanges:
    """The proposals of one gate, and how they change."""

    def __init__(self, store: Store, *, ids: Callable[[], str]) -> None:
        self._store = store
        self._ids = ids

    def change(
        self,
        proposal: str,
        event: Event,
        aside: Aside = Aside(),
        *,
        arrival: int | None = None,
        seen: State | None = None,
        checked_by: str | None = None,
        **columns: Any,
    ) -> Proposal | None:
        """Lets `event` happen to a proposal; gives it as it is now, None where the table does not allow that.

        `arrival` is the click that this answers; with `seen`, it happens only in that state; `checked_by`: the digest of the catalog by
        which it happens. `columns` are the row's new values. Raises what the store's transition raises.
        """
        by = columns.get("decided_by")

        def effects(row: Proposal) -> Effects:
            return self._effects(row, event, by, aside)

        changed = self._store.transition(
            proposal, event, effects, arrival=arrival, seen=seen, checked_by=checked_by, **columns
        )
        if changed is not None:
            details = {"operation": changed.operation, "by": by, "status": changed.status}
            log.info("decision", happened=event, state=changed.state, proposal=proposal, **details)
            if event in _DECIDED:
                metrics.DECISIONS.labels(str(event)).inc()
            elif event is not Event.SEND:
                metrics.WRITES.labels(str(changed.state)).inc()
        return changed

    def vote(self, proposal: str, by: str, at: float, arrival: int | None) -> Proposal | None:
        """A person's yes, made at `at`; None where it comes too late."""

        def effects(row: Proposal) -> Effects:
            return self._effects(row, Event.APPROVE, by, Aside())

        changed = self._store.vote(proposal, by, at, effects, arrival=arrival)
        if changed is not None:
            log.info("vote", proposal=proposal, by=by, state=changed.state, operation=changed.operation)
            metrics.DECISIONS.labels("vote" if changed.state is State.PENDING else "approve").inc()
        return changed

    def _effects(self, row: Proposal, event: Event, by: str | None, aside: Aside) -> Effects:
        """What goes with a proposal's new state."""
        kind = "vote" if row.state is State.PENDING else str(event)
        new = [aside.successor] if aside.successor is not None else []
        posts: list[Post] = [card_again(row, self._ids)] if _is_redrawn(row) else []
        return Effects(
            result=aside.result or _result_for_model(row),
            posts=[*posts, *card_posts(new, self._ids)],
            entries=[happened(kind, row, by, aside.seconds), *map(proposed, new)],
            tainted=row.status is not None,  # the API answered
            successor=aside.successor,
        )

    def redraw_set(self, batch: str | None) -> None:
        """Draws a set's card again, after something became of one of its rows."""
        rows = self._store.proposals_of_batch(batch) if batch is not None else []
        if batch is not None and rows:
            self._store.say([set_again(batch, rows, self._ids)])

    def redraw_sets(self, rows: Sequence[Proposal]) -> None:
        """Draws the cards of all the sets again to which these belong."""
        for batch in dict.fromkeys(one.batch for one in rows):
            self.redraw_set(batch)


def _is_redrawn(row: Proposal) -> bool:
    """Whether a card is redrawn: not for what the policy sends by itself, which has none, nor for the moment of sending."""
    by_nobody = row.state in (State.EXPIRED, State.WITHDRAWN) or (row.state is State.UNKNOWN and row.sent_at is None)
    is_shown = row.decided_by is not None or bool(row.votes) or by_nobody
    return is_shown and row.state is not State.SENDING


def _result_for_model(row: Proposal) -> str | None:
    """What the model is told of a final state that no answer of the API tells of."""
    if row.state is State.DONE:
        return outcome_text("dry run", words.TOLD_DRY_RUN, words.DO_SAY_SO)
    if row.state is State.FAILED:
        return outcome_text("failed", row.note)
    if row.state is State.WITHDRAWN and row.decided_by is None:  # by no person
        return outcome_text("withdrawn", words.TOLD_TAKEN_BACK.format(note=row.note), words.DO_SAY_SO)
    if row.state not in words.TOLD:
        return None
    outcome = "denied" if row.state is State.REJECTED else str(row.state)
    reason = words.TOLD_REASON.format(reason=row.reason) if row.reason else ""
    return outcome_text(outcome, words.TOLD[row.state] + reason, words.TOLD_TO_DO.get(row.state, ""))
