"""The step to sending: an approved proposal, checked once more, leaves once and as it is stored; and how it ended.

`write(approval)` has no parameter for method, URL or body: what one conditional UPDATE (approved -> sending) hands over is what is
sent. A second use finds nothing. Only this module has the API client that sends more than GET and HEAD.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from base import metrics, words
from base.shrink import as_json
from base.statuses import status_text
from base.tracing import is_tracing, tool_span
from catalog.bad_call import BadCall
from catalog.calls import Call
from catalog.rules import SAFE_METHODS, Rule
from gate.answers import Answer, Shown, found_of, outcome_text
from gate.api_client import ApiClient, Unanswered, Unsent
from gate.authority import ChannelUnknown
from gate.card_posts import card_row
from gate.cards import changed_text, target_card
from gate.last_checks import LastChecks, LastLook, NotTheirs, TargetChanged, not_connected_text
from gate.partial_answers import with_note_of_more
from gate.policy import Event, State
from gate.proposal_changes import Aside, ProposalChanges
from gate.proposals import ProposalMaker
from gate.reads import Reads, caller_of
from gate.results import is_partial, result
from gate.target_diff import Target
from identity.callers import NotConnected
from store.database import CatalogOutdated
from store.holds import Overtaken
from store.journal.hash_chain import JournalEntry
from store.posts import message
from store.proposal_record import Proposal
from store.proposals import Altered
from store.store import Store

log = structlog.get_logger("gate")
_PRECONDITION_FAILED = 412
_GATEWAY = (502, 504)  # from something before the API, which may have done it all the same: RFC 9110, 15.6.3 and 15.6.5


@dataclass(frozen=True)
class Approval:
    """A person's (or the policy's) yes to one stored proposal. It names the proposal and carries nothing of it."""

    proposal: str


class Sending:
    """Sends the approved proposals of one gate. `clock` is seconds since 1970, `result_limit` characters for the model."""

    def __init__(
        self,
        store: Store,
        client: ApiClient,
        reads: Reads,
        maker: ProposalMaker,
        changes: ProposalChanges,
        checks: LastChecks,
        *,
        ids: Callable[[], str],
        clock: Callable[[], float],
        result_limit: int,
        dry_run: bool,
    ) -> None:
        self._store = store
        self._api_client = client
        self._reads = reads
        self._maker = maker
        self._changes = changes
        self._checks = checks
        self._ids = ids
        self._clock = clock
        self._result_limit = result_limit
        self._dry_run = dry_run
        self._under_way: set[str] = set()  # the proposals that this process is sending

    # --- a turn's approved proposals ----------------------------------------------------------------------------------

    def approved_by_policy(self, turn: str) -> list[Approval]:
        """A turn's writes that the policy approved and that have not been sent, in the order of their calls."""
        waiting = self._store.proposals_of(turn, State.APPROVED)
        return [Approval(one.proposal) for one in waiting if one.decided_by is None]

    def write_decided(self, turn: str) -> list[Proposal]:
        """Sends a turn's writes that people approved, in the order of their calls; in a set, what fails stops the rest.

        Gives them as they ended.
        """
        ended: list[Proposal] = []
        for one in self._store.proposals_of(turn, State.APPROVED):
            if one.decided_by is None:
                continue
            if self._is_stopped(one):
                changed = self._changes.change(one.proposal, Event.FAIL, seen=one.state, note=words.STOPPED_BATCH)
            else:
                changed = self.write(Approval(one.proposal))
            if changed is not None:
                ended.append(changed)
            self._changes.redraw_set(one.batch)
        return ended

    def _is_stopped(self, one: Proposal) -> bool:
        """Whether one that was approved by the same click as this did not succeed: told by the rows, which outlive a crash."""
        ill = (State.FAILED, State.UNKNOWN, State.STALE)
        together = self._store.proposals_of_batch(one.batch) if one.batch is not None else []
        click = (one.decided_by, one.decided_at)
        return any((other.decided_by, other.decided_at) == click and other.state in ill for other in together)

    # --- one proposal, from approved to its end -----------------------------------------------------------------------

    def write(self, approval: Approval) -> Proposal | None:
        """Sends the proposal of an approval, once; its result joins the transcript, the card says how it ended.

        Gives it as it ended; None where there was nothing (left) to send.
        """
        with structlog.contextvars.bound_contextvars(proposal=approval.proposal):
            row = self._store.proposal_of(approval.proposal)
            if row is None or row.state is not State.APPROVED:
                return None
            with tool_span("call_rest_api", self._store.trace_of(row.turn) if is_tracing() else ""):
                return self._check_and_send(row)

    def _check_and_send(self, row: Proposal) -> Proposal | None:
        if not self._store.is_intact(row) or row.fingerprint != self._store.fingerprint(row):
            return self._alarm(row)
        checked_by = (
            self._reads.catalog.digest
        )  # first: what is taken while the checks ask Slack and the API may forbid it
        try:
            call = self._checks.still_allowed(row)
            if (rule := self._checks.stricter_now(row, call)) is not None:
                return self._ask_by_rule(row, call, rule, checked_by)
            self._checks.check_identity(row, call)
            look = self._checks.still_same(row, call)
        except (Unsent, ChannelUnknown) as error:
            return self._fail(row, str(error), checked_by=checked_by)
        except NotConnected as missing:
            return self._fail(row, not_connected_text(missing), checked_by=checked_by)
        except BadCall as error:  # its words are for the model
            why = words.NOT_THEIRS_NOW if isinstance(error, NotTheirs) else words.NOT_ALLOWED_NOW
            return self._fail(row, why, for_model=str(error), checked_by=checked_by)
        except TargetChanged as changed:
            return self._ask_anew(row, changed, checked_by=checked_by)
        return self._take_and_send(row, call, look, checked_by)

    def _take_and_send(self, row: Proposal, call: Call, look: LastLook, checked_by: str) -> Proposal | None:
        """From approved to sending, and on to the end. Whatever breaks in between leaves the outcome open."""
        self._under_way.add(row.proposal)
        try:
            stored = self._changes.change(
                row.proposal,
                Event.SEND,
                checked_by=checked_by,
                sent_at=self._clock(),
                moved=as_json(look.moved),
                only_for=self._checks.only_for_now(row, call),
            )
            return self._send(stored, call, look.etag) if stored is not None else None
        except Altered:
            return self._alarm(row)
        except (Overtaken, CatalogOutdated):  # nothing was changed; who has the thread, or the newer catalog, goes on
            raise
        except Exception:  # the request may have left: whatever went wrong behind it, its outcome is open
            self._changes.change(row.proposal, Event.LOSE)
            raise
        finally:
            self._under_way.discard(row.proposal)

    def _send(self, stored: Proposal, call: Call, etag: str) -> Proposal | None:
        """Sends what the change to `sending` handed over, and nothing else."""
        if self._dry_run or stored.dry_run:
            return self._changes.change(stored.proposal, Event.SUCCEED, note=words.DRY_RUN_NOTE, dry_run=1)
        try:
            answer = self._api_client.send(
                call.operation,
                stored.method,
                stored.url,
                stored.body,
                caller=caller_of(stored, stored.decided_by or ""),
                body_type=stored.body_type,
                headers=json.loads(stored.headers),
                key=stored.proposal,
                etag=etag,
            )
        except Unsent as error:
            return self._fail(stored, str(error))
        except NotConnected as missing:  # the API's 401, where there was one, says that it did nothing
            return self._fail(stored, not_connected_text(missing))
        except Unanswered as error:
            return self._changes.change(stored.proposal, Event.LOSE, note=self._api_client.mask(str(error)))
        if etag and answer.status == _PRECONDITION_FAILED:
            return self._ask_anew(stored, self._checks.changed_meanwhile(stored, call))
        return self._end(stored, call, answer)

    # --- how it ended -------------------------------------------------------------------------------------------------

    def _end(self, stored: Proposal, call: Call, answer: Answer) -> Proposal | None:
        """The end by the API's answer."""
        if answer.status in _GATEWAY:
            note = words.GATEWAY.format(status=status_text(answer.status))
            aside = Aside(seconds=answer.seconds)
            return self._changes.change(stored.proposal, Event.LOSE, aside, note=note, status=answer.status)
        event = Event.SUCCEED if answer.is_success else Event.FAIL
        aside = Aside(self._answered(stored, call, answer), seconds=answer.seconds)
        return self._changes.change(stored.proposal, event, aside, status=answer.status)

    def _answered(self, stored: Proposal, call: Call, answer: Answer) -> str:
        """What the model is told of an API's answer to a proposal; of a read that was approved it can have more later."""
        outcome = words.STATES_BY_STATUS.get(answer.status, "done") if answer.is_success else "failed"
        found = with_note_of_more(found_of(answer, self._api_client.secrets), call, answer, offer=False)
        shown = Shown.of(found, self._result_limit)
        is_more = stored.method in SAFE_METHODS and is_partial(found, shown, self._result_limit)
        return result(shown, self._reads.keep(stored, found.data, found.part) if is_more else "", outcome=outcome)

    def _fail(
        self, row: Proposal, reason: str, for_model: str = "", *, checked_by: str | None = None
    ) -> Proposal | None:
        """`reason` is for people and, where it gets no words of its own, `for_model`, for the model. `checked_by`: the catalog by which it
        fails, which has to be the newest."""
        note = f"{self._api_client.mask(reason)} {words.NOT_SENT}"
        result = outcome_text("failed", f"{self._api_client.mask(for_model)} {words.NOT_SENT}") if for_model else None
        aside = Aside(result)
        return self._changes.change(row.proposal, Event.FAIL, aside, seen=row.state, checked_by=checked_by, note=note)

    def _alarm(self, row: Proposal) -> Proposal | None:
        """The end of a proposal that somebody changed where it is stored: what people approved is not known any more."""
        metrics.ALARMS.inc()
        log.critical("a stored request was changed", operation=row.operation, hint="see who can write to the database")
        noted = {"proposal": row.proposal, "fingerprint": row.fingerprint, "reason": words.ALTERED}
        self._store.note(row.thread, row.turn, [JournalEntry("alarm", noted)])
        return self._fail(row, words.ALTERED)

    def _ask_by_rule(self, row: Proposal, call: Call, rule: Rule, checked_by: str) -> Proposal | None:
        """The end of a proposal about which other people decide by now: they are asked."""
        before, only_for = Target.from_json(row.before), self._checks.only_for_now(row, call)
        renewed = self._maker.renewed(row, before, words.RULE_CHANGED, rule=rule, only_for=only_for)
        return self._outdate(row, renewed, words.RULE_CHANGED, checked_by)

    def _ask_anew(self, row: Proposal, found: TargetChanged, *, checked_by: str | None = None) -> Proposal | None:
        """The end of a proposal whose target is another one by now: it is asked for again, the second time with what could be done."""
        reason = changed_text(found.changed, keys_of=row.operation if row.renewals else "")
        renewed = self._maker.renewed(row, found.target, reason, renewals=row.renewals + 1)
        return self._outdate(row, renewed, changed_text(found.changed), checked_by)

    def _outdate(self, row: Proposal, successor: Proposal, reason: str, checked_by: str | None) -> Proposal | None:
        aside = Aside(successor=successor)
        return self._changes.change(
            row.proposal, Event.OUTDATE, aside, seen=row.state, checked_by=checked_by, note=reason
        )

    # --- what is under way, and what was left ---------------------------------------------------------------------------

    def is_sending(self, turn: str) -> bool:
        """Whether one of a turn's writes is on its way at this moment."""
        return any(one.proposal in self._under_way for one in self._store.proposals_of(turn, State.SENDING))

    def threads_to_send(self) -> list[str]:
        """At a start: the threads with writes that people approved and that were not sent."""
        return list(dict.fromkeys(one.thread for one in self._decided()))

    def turns_to_send(self, thread: str) -> list[str]:
        """The turns of a thread with writes that people approved and that were not sent."""
        return list(dict.fromkeys(one.turn for one in self._decided(thread)))

    def _decided(self, thread: str | None = None) -> list[Proposal]:
        return [one for one in self._store.proposals_in(State.APPROVED, thread=thread) if one.decided_by is not None]

    def lose_unanswered(self) -> list[str]:
        """What stands in `sending` although nobody is sending it may or may not have happened. Gives the threads.

        A process that died left it so, or one that could not record the outcome. Only of threads that are this process's: with others
        on the same database, they may be sending theirs.
        """
        sent = [one for one in self._store.being_sent() if self._store.is_ours(one.thread)]
        left = [one for one in sent if one.proposal not in self._under_way]
        lost = [changed for one in left if (changed := self._changes.change(one.proposal, Event.LOSE)) is not None]
        self._changes.redraw_sets(lost)
        return [one.thread for one in lost]

    def show_target(self, proposal_id: str) -> None:
        """Reads the target of a write whose outcome is unknown and shows it where its card stands."""
        proposal = self._store.proposal_of(proposal_id)
        if proposal is None or proposal.state is not State.UNKNOWN:
            return
        shown = target_card(card_row(proposal), self._checks.target_now(proposal))
        self._store.say([message(self._ids(), proposal.stands, proposal.turn, *shown)])
