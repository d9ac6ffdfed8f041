"""A write becomes a proposal: what is sent once approved, what its card is drawn from, who may decide. Nothing here sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from base import words
from base.askers import app_of
from base.shrink import as_json
from catalog.bad_call import BadCall
from catalog.calls import check_plain, check_resolved
from catalog.catalog import Catalog, Operation
from catalog.rules import Rule
from gate.authority import Authority
from gate.policy import State, Write
from gate.reads import Reads, caller_of
from gate.target_diff import Target
from gate.targets import Look, TargetReader
from identity.identities import Identities
from store.proposal_record import Proposal
from store.store import Store
from store.turns import Turn


class ProposalMaker:
    """Makes the proposals of one gate. `clock` is seconds since 1970."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        identities: Identities,
        reads: Reads,
        targets: TargetReader,
        *,
        ids: Callable[[], str],
        clock: Callable[[], float],
        dry_run: bool,
    ) -> None:
        self._store = store
        self._authority = authority
        self._identities = identities
        self._reads = reads
        self._targets = targets
        self._ids = ids
        self._clock = clock
        self._dry_run = dry_run

    def propose(self, write: Write, turn: Turn, call: int, catalog: Catalog, until: float | None = None) -> Proposal:
        """A write as the proposal to be stored with the model's reply: pending, or approved where the policy needs nobody.

        For a pending one the target is read first, by `until` (monotonic seconds), so that the card can show what would change. `catalog`:
        the one that the call began with. Raises `BadCall`, and `NotConnected` where its asker has no account to send it with.
        """
        check_resolved(write)
        check_plain(write)
        if app_of(turn.asker) and (write.by_policy or not write.rule.needs_no_asker):
            raise BadCall("An app asked for this, and the catalog names no people who could decide about it. Say so.")
        place = "" if write.by_policy else self._authority.place(turn.thread, write.rule)
        identity = self._identities.whose(write.operation.api, caller_of(turn))
        target, _ = (None, "") if write.by_policy else self._look(write, turn, catalog, until)
        before = target.to_json() if target is not None else None
        made = self._row(write, turn, call)
        return self._fingerprinted(replace(made, place=place, identity=identity, before=before))

    def _row(self, write: Write, turn: Turn, call: int) -> Proposal:
        """The row of a write, but for where it is decided, as whom it is sent and what its target was."""
        now, operation = self._clock(), write.operation
        expires = write.rule.expires or operation.expires
        return Proposal(
            proposal=self._ids(),
            token=self._ids(),
            card=self._ids(),
            thread=turn.thread,
            turn=turn.turn,
            call=call,
            asker=turn.asker,
            api=operation.api.name,
            operation=operation.name,
            description=operation.description,
            method=write.method,
            url=write.url,
            shown_url=write.shown_url,
            headers=as_json(dict(sorted(write.headers.items()))),
            body=write.body,
            body_type=operation.body_type,
            shown_body=write.shown_body,
            hidden=as_json(sorted(operation.api.secrets)),
            matched=as_json([vars(one) for one in write.matched]),
            why=write.why,
            tainted=write.tainted,
            rule=self._authority.known(write.rule),
            state=State.APPROVED if write.by_policy else State.PENDING,
            created_at=now,
            remind_at=None if write.by_policy else now + expires / 2,
            expires_at=now + expires,
            before=None,
            fingerprint="",
            dry_run=self._dry_run,
            only_for=turn.only_for if write.by_policy else only_for_by_rule(write.rule, turn.asker, operation),
        )

    def _look(self, write: Write, turn: Turn, catalog: Catalog, until: float | None) -> Look:
        return self._targets.look(write, self._reads.purpose(turn, catalog, "preview"), until)

    def renewed(self, stored: Proposal, target: Target | None, reason: str, **changed: Any) -> Proposal:
        """The same as a new proposal with the target as it is now, and why, but for what `changed` says. Votes do not carry over."""
        now = self._clock()
        waits = stored.expires_at - stored.created_at
        fresh = replace(
            stored,
            proposal=self._ids(),
            token=self._ids(),
            card=self._ids(),
            why=words.RENEWED.format(reason=reason),
            before=target.to_json() if target is not None else None,
            state=State.PENDING,
            created_at=now,
            remind_at=now + waits / 2,
            expires_at=now + waits,
            votes=(),
            decided_by=None,
            decided_at=None,
            sent_at=None,
            batch=None,
            dry_run=self._dry_run,
        )
        return self._fingerprinted(replace(fresh, **changed))

    def _fingerprinted(self, proposal: Proposal) -> Proposal:
        return replace(proposal, fingerprint=self._store.fingerprint(proposal))

    def batched(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """The proposals of one reply, those that the catalog lets be approved together named as one fixed set."""
        together = [one.proposal for one in proposals if one.rule.batch and one.state is State.PENDING]
        if len(together) < 2:
            return list(proposals)
        batches = {place: self._ids() for place in {one.place for one in proposals}}
        return [replace(one, batch=batches[one.place]) if one.proposal in together else one for one in proposals]


def only_for_by_rule(rule: Rule, asker: str, operation: Operation) -> str:
    """For whom alone is what a person's yes by this rule opens; empty: for all. What not everybody may ask for is never for all."""
    return "" if rule.shared and not operation.is_limited else asker
