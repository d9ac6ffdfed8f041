"""Door to the internal API, and the only one: proposals, decisions and writes; reads.py below it has the reads.

A write leaves only as the stored record that was approved, once. `write(approval)` has no parameter for method, URL or body: what
one conditional UPDATE (approved -> sending) hands over is what is sent. A second use finds nothing. Nothing here asks the model, and
nothing typed in Slack counts as an approval.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import structlog

from base import words
from base.deadline import tls_context
from base.json_text import loads
from base.markdown import Block
from base.proxies import STRAIGHT, WayOut
from base.shrink import as_json
from base.statuses import status_text
from base.thread import Thread
from catalog.calls import BadCall, Call, body_of, check_plain, check_resolved, check_values, headers_of, match
from catalog.catalog import METHODS, Catalog
from catalog.lookup import Unclear
from catalog.rules import SAFE_METHODS, Rule
from gate.answers import Answer, ReadResult, Shown, found_of, outcome_text
from gate.api_client import ApiClient, Paces, Unanswered, Unsent
from gate.authority import Authority, Here, PeopleDirectory, Unplaced
from gate.card_lines import path_text
from gate.cards import CardRow, batch_card, card, changed_text, date, deciders, target_card
from gate.policy import Event, Read, Refused, State, Write, sort
from gate.reads import Purpose, Reads, Wants, always, with_sign
from gate.recipes import StepAnswer
from gate.results import is_partial, more_text, parse_more, result
from gate.target_diff import Path, Target, Watch, differing
from gate.targets import TargetReader
from store.holds import Overtaken
from store.journal.hash_chain import JournalEntry, digest
from store.posts import Post, card_message, message, update
from store.proposal_record import Proposal
from store.proposals import Altered, Effects
from store.store import Store
from store.turns import Turn

log = structlog.get_logger("gate")
_PRECONDITION_FAILED = 412
_MOST_MOVED = 50  # fields that moved by themselves, of which a row tells
_GATEWAY = (502, 504)  # from something before the API, which may have done it all the same: RFC 9110, 15.6.3 and 15.6.5


@dataclass(frozen=True)
class Approval:
    """A person's (or the policy's) yes to one stored proposal. It names the record and carries nothing of it."""

    proposal: str


class Changed(Exception):
    """A write's target is no longer what its card showed: how it is now, and what of it changed."""

    def __init__(self, target: Target, changed: Collection[Path]) -> None:
        super().__init__("changed")
        self.target = target
        self.changed = changed


@dataclass(frozen=True)
class Seen:
    """A target as it was found right before sending: its ETag where it is a strong one and stands still, and what of it moved by
    itself: (field, what the card showed, what it is now)."""

    etag: str = ""
    moved: tuple[tuple[str, str, str], ...] = ()


class Gate:
    """The gate of one bot. `timeout` is seconds for a whole call, `max_response` bytes, `result_limit` characters for the model, `settles`
    seconds between two looks at a target that seems to have changed."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        *,
        ids: Callable[[], str],
        directory: PeopleDirectory | None = None,
        channels: Sequence[str] = (),
        timeout: float = 30,
        max_response: int = 5_000_000,
        result_limit: int = 24_000,
        clock: Callable[[], float] = time.time,
        dry_run: bool = False,
        log_bodies: bool = False,
        settles: float = 2.0,
        way: WayOut = STRAIGHT,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._ids = ids
        self._people = Authority(directory, channels)
        self.timeout = timeout
        self.result_limit = result_limit
        self._clock = clock
        self._dry_run = dry_run
        self._settles = settles
        self._under_way: set[str] = set()  # the records that this process is sending
        wire = partial(
            ApiClient,
            catalog,
            paces=Paces(),
            tls=tls_context(way.certificates),
            way=way,
            timeout=timeout,
            max_response=max_response,
            log_bodies=log_bodies,
        )
        self._reads = Reads(catalog, wire(SAFE_METHODS, keepalive=20), result_limit=result_limit, clock=clock)
        self._targets = TargetReader(self._reads)
        # A record may be a GET, too, where the catalog has it ask. A fresh connection for each: one that the server had closed
        # would leave a write's fate open.
        self._api_client = wire(METHODS, keepalive=0)

    @property
    def catalog(self) -> Catalog:
        """The catalog that holds at this moment."""
        return self._catalog

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that nobody may see, of this catalog and of those before it."""
        return self._api_client.secrets

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog: it holds for every call from now on, and for what is approved but not sent."""
        self._api_client.use(catalog)
        self._reads.use(catalog)
        self._catalog = catalog

    def close(self) -> None:
        """Closes the connections."""
        self._reads.close()
        self._api_client.close()

    def here(self, thread: str) -> Here:
        """What holds where a thread is. Raises `BadCall` where that cannot be looked up."""
        return self._people.here(self._catalog, thread)

    def may_ask_directly(self, user: str) -> bool | None:
        """Whether somebody may ask in a direct message; None where Slack does not say."""
        return self._people.may_ask_directly(user)

    # --- reads --------------------------------------------------------------------------------------------------------

    def read(self, read: Read, turn: Turn, wants: Wants = always, catalog: Catalog | None = None) -> ReadResult:
        """Sends a GET or HEAD, or all pages of a list. Follows redirects and links only to what the catalog allows.

        What is too large for the model is kept for the turn's thread. `catalog`: the one that the call began with, here and below;
        another one may have been taken meanwhile.
        """
        return self._reads.read(read, self._purpose(turn, wants=wants, catalog=catalog))

    def ask(self, read: Read, turn: Turn, catalog: Catalog | None = None) -> StepAnswer:
        """Sends a GET or HEAD for a recipe's step."""
        return self._reads.ask(read, self._purpose(turn, catalog=catalog))

    def resolved(self, call: Call, turn: Turn, wants: Wants = always, catalog: Catalog | None = None) -> Call:
        """A call with its names turned into ids, where the catalog has lists to look them up in. Raises `BadCall` or `Unclear`."""
        return self._reads.look_up(call, self._purpose(turn, "look-up", wants, catalog)) if call.unresolved else call

    def more(self, turn: Turn, arguments: Mapping[str, Any]) -> tuple[ReadResult, list[JournalEntry]]:
        """More of an answer that is kept, without the API; and what the journal tells of it. Raises `BadCall`, also where it is kept
        for somebody else."""
        more = parse_more(arguments)
        kept = self._store.kept(turn.thread, more.number, turn.asker)
        if kept is None:
            raise BadCall(words.NOT_KEPT.format(name=more.name))
        text = more_text(loads(kept.data), more, self.result_limit, kept.part)
        return ReadResult(text), [JournalEntry("more", {"result": more.name})]

    def keep(self, of: Turn | Proposal, data: Any, part: str = "") -> str:
        """Keeps what is too large for the model, for whom it is; gives its name in the thread, empty where it is too large to be kept,
        too. `part` says why the data is not all that there is, where that is known."""
        number = self._store.keep(of.thread, as_json(data), of.only_for, part)
        return f"r{number}" if number is not None else ""

    def _purpose(
        self, of: Turn | Proposal, why: str = "", wants: Wants = always, catalog: Catalog | None = None
    ) -> Purpose:
        """What reads are made for. `why`: they are the bot's own, and the journal has each of them with it."""

        def note(told: dict[str, Any]) -> None:
            if why:
                self._store.note(of.thread, of.turn, [JournalEntry("look", told | {"why": why})])

        holds = self.here(of.thread).catalog if catalog is None else catalog
        return Purpose(holds, partial(self.keep, of), note, wants)

    # --- proposals ----------------------------------------------------------------------------------------------------

    def propose(self, write: Write, turn: Turn, call: int, by: float | None = None) -> Proposal:
        """A write as the record to be stored with the model's reply: pending, or approved where the policy needs nobody.

        For a pending one the target is read first, until `by` (monotonic seconds), so that the card can show what would change.
        """
        check_resolved(write)
        check_plain(write)
        place = "" if write.by_policy else self._people.place(turn.thread, write.rule)
        target, _ = (None, "") if write.by_policy else self._targets.look(write, self._purpose(turn, "preview"), by)
        now = self._clock()
        expires = write.rule.expires or write.operation.expires
        proposal = Proposal(
            proposal=self._ids(),
            token=self._ids(),
            thread=turn.thread,
            turn=turn.turn,
            api=write.operation.api.name,
            operation=write.operation.name,
            method=write.method,
            url=write.url,
            body=write.body,
            body_type=write.operation.body_type,
            headers=as_json(dict(sorted(write.headers.items()))),
            shown_url=write.shown_url,
            shown_body=write.shown_body,
            asker=turn.asker,
            fingerprint="",
            why=write.why,
            description=write.operation.description,
            tainted=write.tainted,
            hidden=as_json(sorted(write.operation.api.secrets)),
            matched=as_json([vars(one) for one in write.matched]),
            rule=self._people.known(write.rule),
            before=target.to_json() if target is not None else None,
            state=State.APPROVED if write.by_policy else State.PENDING,
            created_at=now,
            remind_at=None if write.by_policy else now + expires / 2,
            expires_at=now + expires,
            card=self._ids(),
            call=call,
            place=place,
            dry_run=self._dry_run,
            only_for=turn.only_for if write.by_policy else _whose(write.rule, turn.asker),
        )
        return self._fingerprinted(proposal)

    def _fingerprinted(self, proposal: Proposal) -> Proposal:
        return replace(proposal, fingerprint=self._store.fingerprint(proposal))

    def batched(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """The proposals of one reply, those that the catalog lets be approved together named as one fixed set."""
        together = [one.proposal for one in proposals if one.rule.batch and one.state is State.PENDING]
        if len(together) < 2:
            return list(proposals)
        batches = {place: self._ids() for place in {one.place for one in proposals}}
        return [replace(one, batch=batches[one.place]) if one.proposal in together else one for one in proposals]

    def card_posts(self, proposals: Sequence[Proposal]) -> list[Post]:
        """The messages that show pending proposals, and the one that offers to approve a set of them."""
        pending = [one for one in proposals if one.state is State.PENDING]
        says = [card_message(one.card, one.stands, one.turn, *self._card(one)) for one in pending]
        says += [_link(self._ids(), one) for one in pending if one.place]
        for batch in dict.fromkeys(one.batch for one in pending if one.batch):
            rows = [one for one in pending if one.batch == batch]
            text, blocks = batch_card([card_row(one) for one in rows], batch)
            says.append(card_message(_batch_post(batch), rows[0].stands, rows[0].turn, text, blocks))
        return says

    def _card(self, proposal: Proposal) -> tuple[str, list[Block]]:
        return card(card_row(proposal))

    # --- decisions ----------------------------------------------------------------------------------------------------

    def decide(
        self, token: str, decision: Literal["approve", "deny"], *, by: str, at: float, arrival: int, reason: str = ""
    ) -> Proposal:
        """A person's decision, made at `at`. Gives the changed proposal. Raises `Refused` with words for that person alone."""
        proposal = self.pending(token, by)
        self.check_authority(proposal, by)
        if at >= proposal.expires_at:
            changed = self._happen(proposal.proposal, Event.EXPIRE, arrival=arrival)
        elif decision == "approve" and by in proposal.votes:
            raise Refused(words.VOTED)
        elif decision == "approve":
            changed = self._vote(proposal, by, at, arrival)
        else:
            changed = self._happen(
                proposal.proposal, Event.REJECT, arrival=arrival, decided_by=by, decided_at=at, reason=reason
            )
        if changed is None:
            raise Refused(words.ALREADY)
        self._redraw(changed.batch)
        return changed

    def decide_all(self, batch: str, *, by: str, at: float, arrival: int) -> list[Proposal]:
        """A person's yes to a set that was fixed when its button was drawn: each row is checked and voted for alone."""
        rows = self._store.proposals_of_batch(batch)
        pending = [one for one in rows if one.state is State.PENDING and at < one.expires_at]
        if not rows:
            raise Refused("")
        if not pending:
            raise Refused(words.ALREADY)
        for one in {one.rule.people: one for one in pending}.values():  # Slack takes few look-ups a minute
            self.check_authority(one, by)
        pending = [one for one in pending if by not in one.votes]
        if not pending:
            raise Refused(words.VOTED)
        changed = [self._vote(one, by, at, arrival if one is pending[-1] else None) for one in pending]
        if changed[-1] is None:  # decided a moment before, so that the click is not marked as looked at
            self._store.handled(arrival)
        self._redraw(batch)
        return [one for one in changed if one is not None]

    def withdraw_by(self, token: str, *, by: str, at: float, arrival: int) -> Proposal:
        """The asker takes a request back. Raises `Refused`."""
        proposal = self.pending(token, by)
        if by != proposal.asker:
            raise Refused(words.NOT_YOURS.format(asker=proposal.asker))
        changed = self._happen(proposal.proposal, Event.WITHDRAW, arrival=arrival, decided_by=by, decided_at=at)
        if changed is None:
            raise Refused(words.ALREADY)
        self._redraw(changed.batch)
        return changed

    def pending(self, token: str, by: str) -> Proposal:
        """The pending proposal of a button. Raises `Refused`: without words for a forged button or one's own second click."""
        proposal = self._store.proposal(token=token)
        if proposal is None:
            raise Refused("")
        if proposal.state is not State.PENDING:
            raise Refused("" if by in (proposal.decided_by, *proposal.votes) else words.ALREADY)
        return proposal

    def check_may_decide(self, token: str, by: str) -> None:
        """Raises `Refused` unless this person may decide a pending proposal now."""
        self.check_authority(self.pending(token, by), by)

    def may_decide(self, proposal: Proposal, by: str) -> bool:
        """Whether this person could decide it, to be shown."""
        try:
            self._people.check_authority(proposal, by, shows=True)
        except Refused:
            return False
        return True

    def check_authority(self, proposal: Proposal, by: str) -> None:
        """Raises `Refused` unless the stored rule lets `by` decide, looked up now."""
        self._people.check_authority(proposal, by)

    def _vote(self, proposal: Proposal, by: str, at: float, arrival: int | None) -> Proposal | None:
        def effects(row: Proposal) -> Effects:
            return self._effects(row, Event.APPROVE, None, by)

        changed = self._store.vote(proposal.proposal, by, at, effects, arrival=arrival)
        if changed is not None:
            log.info("vote", proposal=proposal.proposal, by=by, state=changed.state, operation=changed.operation)
        return changed

    def _redraw(self, batch: str | None) -> None:
        """The set's card, drawn anew after something became of one of its rows."""
        rows = self._store.proposals_of_batch(batch) if batch is not None else []
        if batch is None or not rows:
            return
        text, blocks = batch_card([card_row(one) for one in rows], batch)
        self._store.say([update(self._ids(), rows[0].stands, rows[0].turn, _batch_post(batch), text, blocks)])

    def _redraw_sets(self, rows: Sequence[Proposal]) -> None:
        for batch in dict.fromkeys(one.batch for one in rows):
            self._redraw(batch)

    # --- time and mishaps ---------------------------------------------------------------------------------------------

    def expire_due(self) -> list[Proposal]:
        """Expires what waited too long; gives what did."""
        expired = [self._happen(one.proposal, Event.EXPIRE) for one in self._store.proposals_due()]
        changed = [one for one in expired if one is not None]
        self._redraw_sets(changed)
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

    def _take_back(self, left: Sequence[Proposal], pending: str, approved: str) -> None:
        for one in left:
            if one.state is State.PENDING:
                self._happen(one.proposal, Event.WITHDRAW, note=pending)
            else:  # by now it may be on its way
                self._happen(one.proposal, Event.FAIL, seen=State.APPROVED, note=f"{approved} Nothing was sent.")
        self._redraw_sets(left)

    def unshown(self, card_post: str) -> str | None:
        """A card that Slack will not take: nobody can decide it, so it is withdrawn. Gives the thread concerned."""
        one = self._store.proposal_of_card(card_post)
        if one is None:
            return None
        changed = self._happen(one.proposal, Event.WITHDRAW, note=words.UNSHOWN)
        self._redraw(one.batch)
        return changed.thread if changed is not None else None

    def is_sending(self, turn: str) -> bool:
        """Whether one of a turn's writes is on its way at this moment."""
        return any(one.proposal in self._under_way for one in self._store.proposals_of(turn, State.SENDING))

    def undone(self) -> list[str]:
        """At a start: the turns whose approved writes were not sent."""
        return list(
            dict.fromkeys(one.turn for one in self._store.proposals_in(State.APPROVED) if one.decided_by is not None)
        )

    def lose_unanswered(self) -> list[str]:
        """What stands in `sending` although nobody is sending it may or may not have happened. Gives the threads.

        A process that died left it so, or one that could not record the outcome; the lock on the database keeps others off.
        """
        left = [one for one in self._store.being_sent() if one.proposal not in self._under_way]
        lost = [changed for one in left if (changed := self._happen(one.proposal, Event.LOSE)) is not None]
        self._redraw_sets(lost)
        return [one.thread for one in lost]

    # --- the write ----------------------------------------------------------------------------------------------------

    def approvals(self, turn: str) -> list[Approval]:
        """A turn's writes that the policy approved and that have not been sent, in the order of their calls."""
        waiting = self._store.proposals_of(turn, State.APPROVED)
        return [Approval(one.proposal) for one in waiting if one.decided_by is None]

    def write_decided(self, turn: str) -> list[Proposal]:
        """Sends a turn's writes that people approved, in the order of their calls; in a set, what fails stops the rest.

        Gives the records as they ended.
        """
        ended: list[Proposal] = []
        for one in self._store.proposals_of(turn, State.APPROVED):
            if one.decided_by is None:
                continue
            if self._is_stopped(one):
                changed = self._happen(one.proposal, Event.FAIL, seen=one.state, note=words.STOPPED_BATCH)
            else:
                changed = self.write(Approval(one.proposal))
            if changed is not None:
                ended.append(changed)
            self._redraw(one.batch)
        return ended

    def _is_stopped(self, one: Proposal) -> bool:
        """Whether one that was approved by the same click as this did not succeed: told by the rows, which outlive a crash."""
        ill = (State.FAILED, State.UNKNOWN, State.STALE)
        together = self._store.proposals_of_batch(one.batch) if one.batch is not None else []
        click = (one.decided_by, one.decided_at)
        return any((other.decided_by, other.decided_at) == click and other.state in ill for other in together)

    def write(self, approval: Approval) -> Proposal | None:
        """Sends the stored record of an approval, once; its result joins the transcript, the card says how it ended.

        Gives the record as it ended; None where there was nothing (left) to send.
        """
        with structlog.contextvars.bound_contextvars(proposal=approval.proposal):
            row = self._store.proposal_of(approval.proposal)
            if row is None or row.state is not State.APPROVED:
                return None
            if not self._store.is_intact(row) or row.fingerprint != self._store.fingerprint(row):
                return self._alarm(row)
            try:
                call = self._still_allowed(row)
                if (rule := self._stricter_now(row, call)) is not None:
                    renewed = self._renewed(row, Target.from_json(row.before), words.RULE_CHANGED)
                    renewed = replace(renewed, rule=rule, only_for=self._whose_now(row, call))
                    return self._outdate(row, renewed, words.RULE_CHANGED)
                seen = self._still_same(row, call)
            except (Unsent, Unplaced) as error:
                return self._fail(row, str(error))
            except BadCall as error:  # its words are for the model
                return self._fail(row, words.NOT_ALLOWED_NOW, told=str(error))
            except Changed as error:
                return self._changed(row, error.target, error.changed)
            self._under_way.add(row.proposal)
            try:
                stored = self._happen(
                    row.proposal,
                    Event.SEND,
                    sent_at=self._clock(),
                    moved=as_json(seen.moved),
                    only_for=self._whose_now(row, call),
                )
                return self._send_stored(stored, call, seen.etag) if stored is not None else None
            except Altered:
                return self._alarm(row)
            except Overtaken:  # who has the thread by now knows how it stands
                raise
            except Exception:  # the request may have left: whatever went wrong behind it, its outcome is open
                self._happen(row.proposal, Event.LOSE)
                raise
            finally:
                self._under_way.discard(row.proposal)

    def _alarm(self, row: Proposal) -> Proposal | None:
        """The end of a record that somebody changed where it is stored: what people approved is not known any more."""
        log.critical("a stored request was changed", operation=row.operation, hint="look who can write to the database")
        noted = {"proposal": row.proposal, "fingerprint": row.fingerprint, "reason": words.ALTERED}
        self._store.note(row.thread, row.turn, [JournalEntry("alarm", noted)])
        return self._fail(row, words.ALTERED)

    def _send_stored(self, stored: Proposal, call: Call, etag: str) -> Proposal | None:
        """Sends what the change to `sending` handed over, and nothing else."""
        if self._dry_run or stored.dry_run:
            return self._happen(stored.proposal, Event.SUCCEED, note=words.DRY_RUN_NOTE, dry_run=1)
        try:
            answer = self._api_client.send(
                call.operation,
                stored.method,
                stored.url,
                stored.body,
                body_type=stored.body_type,
                headers=json.loads(stored.headers),
                key=stored.proposal,
                etag=etag,
            )
        except Unsent as error:
            return self._fail(stored, str(error))
        except Unanswered as error:
            return self._happen(stored.proposal, Event.LOSE, note=self._api_client.mask(str(error)))
        if etag and answer.status == _PRECONDITION_FAILED:
            now, _ = self._targets.look(call, self._purpose(stored, "preview"))
            return self._changed(stored, now, self._differing(stored, call, Target.from_json(stored.before), now))
        if answer.status in _GATEWAY:
            note = words.GATEWAY.format(status=status_text(answer.status))
            return self._happen(stored.proposal, Event.LOSE, note=note, seconds=answer.seconds, status=answer.status)
        happened = Event.SUCCEED if 200 <= answer.status < 300 else Event.FAIL
        outcome = words.STATES_BY_STATUS.get(answer.status, "done") if happened is Event.SUCCEED else "failed"
        text = self._answered(stored, call, answer, outcome)
        return self._happen(stored.proposal, happened, result=text, seconds=answer.seconds, status=answer.status)

    def _answered(self, stored: Proposal, call: Call, answer: Answer, outcome: str) -> str:
        """What the model is told of an API's answer to a record; of a read that was approved it can have more later."""
        found = with_sign(found_of(answer, self._api_client.secrets), call, answer, offer=False)
        shown = Shown.of(found, self.result_limit)
        is_more = stored.method in SAFE_METHODS and is_partial(found, shown, self.result_limit)
        return result(shown, self.keep(stored, found.data, found.part) if is_more else "", outcome=outcome)

    def _changed(self, row: Proposal, target: Target | None, changed: Collection[Path]) -> Proposal | None:
        """The end of a record whose target is another one by now: it is asked for anew, the second time with what could be done."""
        again = row.operation if row.renewals else ""
        renewed = self._renewed(row, target, changed_text(changed, keys_of=again))
        return self._outdate(row, replace(renewed, renewals=row.renewals + 1), changed_text(changed))

    def _outdate(self, row: Proposal, renewed: Proposal, reason: str) -> Proposal | None:
        successor = self._fingerprinted(renewed)
        return self._happen(row.proposal, Event.OUTDATE, seen=row.state, successor=successor, note=reason)

    def _fail(self, row: Proposal, reason: str, told: str = "") -> Proposal | None:
        """`reason` is for people and, where nothing else is `told` to it, for the model."""
        note = f"{self._api_client.mask(reason)} {words.NOT_SENT}"
        result = outcome_text("failed", f"{self._api_client.mask(told)} {words.NOT_SENT}") if told else None
        return self._happen(row.proposal, Event.FAIL, seen=row.state, note=note, result=result)

    def _still_allowed(self, stored: Proposal) -> Call:
        """The catalog may have changed since the record was made; it has to allow the very same request today."""
        catalog = self.here(stored.thread).catalog
        api = catalog.api(stored.api)
        if api is None or not stored.url.startswith(api.base_url + "/"):
            raise BadCall("The catalog no longer has this API at this address.")
        found = match(catalog, stored.method, stored.url, api)
        operation, headers = found.operation, json.loads(stored.headers)
        if api.base_url + operation.filled(found.values) != stored.url:
            raise BadCall("The catalog no longer allows this request.")
        if headers_of(operation, headers) != headers:
            raise BadCall("The catalog no longer allows these headers.")
        if operation.body_type != stored.body_type or body_of(operation, stored.body) != stored.body:
            raise BadCall("The catalog no longer allows this body.")
        check_values(operation, {**found.values, **headers})
        if missing := operation.required - {*found.values, *headers}:
            raise BadCall(f"The catalog asks for '{min(missing)}' now.")
        return Call(operation, stored.url, stored.body, found.values, headers, found.others)

    def _stricter_now(self, stored: Proposal, call: Call) -> Rule | None:
        """Today's rule for an approved record, where the catalog has come to name other people since it was approved.

        Where a group's handle cannot be looked up, and so not be compared, only a stricter rule counts.
        """
        by_people = stored.decided_by is not None
        judged = sort(call, tainted=by_people)
        if not isinstance(judged, Write) or judged.by_policy:
            return None  # nobody would have to decide today
        then, today = self._people.known(stored.rule), self._people.known(judged.rule)
        if not by_people or today.strictness > then.strictness:
            return today
        return today if today.is_settled and then.is_settled and today.people != then.people else None

    def _whose_now(self, stored: Proposal, call: Call) -> str:
        """For whom alone a record's answer is: as it was stored, unless the catalog's rule has come to share less."""
        today = sort(call, tainted=stored.decided_by is not None)
        if not isinstance(today, Write) or today.by_policy:
            return stored.only_for
        return stored.only_for or _whose(today.rule, stored.asker)

    def _still_same(self, stored: Proposal, call: Call) -> Seen:
        """Reads the target again, where the card showed it. Raises `Changed`, or `Unsent`.

        Where it seems to have changed it is read once more a little later: what differs between those two moves by itself, and does
        not count unless the catalog says so. What it is and what it is called always count.
        """
        before = Target.from_json(stored.before)
        if before is None or not before.is_known:
            return Seen()
        now, etag = self._again(stored, call)
        if not self._differing(stored, call, before, now):
            return Seen(etag)
        time.sleep(self._settles)
        later, _ = self._again(stored, call)
        changed = self._differing(stored, call, before, later)
        insists = _watch(call).insists
        moving = {path for path in self._differing(stored, call, now, later) if path and not insists(path)}
        if left := changed.keys() - moving:
            raise Changed(later, sorted(left, key=list(changed).index))
        return Seen("", tuple((path_text(path), *values) for path, values in list(changed.items())[:_MOST_MOVED]))

    def _again(self, stored: Proposal, call: Call) -> tuple[Target, str]:
        """The target as it is now, and its ETag where it is a strong one. Raises `Unsent`."""
        now, etag = self._targets.look(call, self._purpose(stored, "before sending"))
        if now is None or not now.is_known:
            raise Unsent(words.NOT_READ_AGAIN)
        is_strong = re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) is not None
        return now, etag if is_strong else ""  # If-Match compares strongly: RFC 9110, 13.1.1

    def _differing(
        self, stored: Proposal, call: Call, before: Target | None, now: Target | None
    ) -> dict[Path, tuple[str, str]]:
        """What of a record's target differs between two looks, as far as it counts."""
        if before is None or now is None:
            return {}
        body = loads(stored.shown_body) if stored.shown_body is not None else None
        return differing(stored.method, before, now, body, _watch(call), stored.shown_url)

    def _renewed(self, stored: Proposal, target: Target | None, reason: str) -> Proposal:
        """The same request as a new record with the target as it is now, and why. Votes do not carry over."""
        now = self._clock()
        waits = stored.expires_at - stored.created_at
        return replace(
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

    def check(self, proposal_id: str) -> None:
        """Reads the target of a write whose outcome is unknown and shows it where its card stands."""
        proposal = self._store.proposal_of(proposal_id)
        if proposal is None or proposal.state is not State.UNKNOWN:
            return
        try:
            target, _ = self._targets.look(self._still_allowed(proposal), self._purpose(proposal, "check"))
        except BadCall:  # its words are for the model
            target = Target(proposal.shown_url, problem=words.NOT_ALLOWED_TO_READ)
        shown = target_card(card_row(proposal), target)
        self._store.say([message(self._ids(), proposal.stands, proposal.turn, *shown)])

    def _happen(
        self,
        proposal: str,
        happened: Event,
        *,
        arrival: int | None = None,
        seen: State | None = None,
        result: str | None = None,
        successor: Proposal | None = None,
        seconds: float | None = None,
        **columns: Any,
    ) -> Proposal | None:
        by = columns.get("decided_by")

        def effects(row: Proposal) -> Effects:
            return self._effects(row, happened, result, by, successor=successor, seconds=seconds)

        changed = self._store.transition(proposal, happened, effects, arrival=arrival, seen=seen, **columns)
        if changed is not None:
            log.info(
                "decision",
                happened=happened,
                state=changed.state,
                proposal=proposal,
                operation=changed.operation,
                by=by,
                status=changed.status,
            )
        return changed

    def _effects(
        self,
        row: Proposal,
        happened: Event,
        result: str | None,
        by: str | None,
        *,
        successor: Proposal | None = None,
        seconds: float | None = None,
    ) -> Effects:
        """What goes with a proposal's new state: the model's result where it is final, the card drawn anew, the journal's entry."""
        says: list[Post] = []
        is_shown = row.decided_by is not None or bool(row.votes) or row.state in (State.EXPIRED, State.WITHDRAWN)
        if is_shown and row.state is not State.SENDING:
            says.append(update(self._ids(), row.stands, row.turn, row.card, *self._card(row)))
        if successor is not None:
            says += self.card_posts([successor])
        return Effects(
            result=result or self._told(row),
            posts=says,
            entries=[
                JournalEntry("vote" if row.state is State.PENDING else str(happened), _noted(row, by, seconds)),
                *([proposed(successor)] if successor is not None else []),
            ],
            tainted=row.status is not None,
            successor=successor,
        )

    def _told(self, row: Proposal) -> str | None:
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


def _link(post: str, row: Proposal) -> Post:
    """In a direct message, where others have to decide: where the card is."""
    text = words.ELSEWHERE_CARD.format(channel=Thread.from_key(row.place).channel, link="{link}")
    return replace(message(post, row.thread, row.turn, text), target=row.card)


def _watch(call: Call) -> Watch:
    """Which fields of a write's target count, by the catalog."""
    preview = call.operation.preview
    return Watch(preview.ignore, preview.compare) if preview is not None else Watch()


def noted_read(call: Call, status: int | None, seconds: float, problem: str, **more: str | int) -> JournalEntry:
    """The journal's entry for a read."""
    told: dict[str, Any] = {"operation": call.operation.name, "url": call.shown_url}
    told |= {"headers": dict(call.headers)} if call.headers else {}
    told |= {"status": status, "seconds": seconds}
    return JournalEntry("read", told | ({} if status is not None else {"problem": problem}) | more)


def noted_unclear(call: Call, error: Unclear) -> JournalEntry:
    """The journal's entry for a call that was not made, since a name in it does not say which thing is meant."""
    return JournalEntry("look-up", {"operation": call.operation.name, "url": call.shown_url, "outcome": error.outcome})


def proposed(proposal: Proposal) -> JournalEntry:
    """The journal's entry for a new proposal."""
    told = {"why": proposal.why, "tainted": proposal.tainted, "rule": proposal.rule.to_json()}
    return JournalEntry("proposed", _noted(proposal, None, None) | told)


def _noted(row: Proposal, by: str | None, seconds: float | None) -> dict[str, Any]:
    """What the journal says of a proposal: no body, no secret value, the whole fingerprint."""
    said: dict[str, Any] = {
        "proposal": row.proposal,
        "operation": row.operation,
        "method": row.method,
        "url": row.shown_url,
        **({"headers": json.loads(row.headers)} if row.headers != "{}" else {}),
        **({"body_type": row.body_type} if row.body_type != "json" else {}),
        "fingerprint": row.fingerprint,
        "asker": row.asker,
        "state": str(row.state),
    }
    if row.recipe:
        said |= {"recipe": row.recipe, "step": row.recipe_step}
    moved = [field for field, *_ in json.loads(row.moved)]
    extra = {
        "by": by,
        "votes": list(row.votes),
        "status": row.status,
        "seconds": seconds,
        "note": row.note,
        "moved": moved,
    }
    said |= {name: value for name, value in extra.items() if value}
    return said | ({"reason": digest(row.reason)} if row.reason else {})


def _batch_post(batch: str) -> str:
    """The id of the message with a set's button. It travels in the message's metadata, so it must not tell the button's value."""
    return hashlib.sha256(batch.encode()).hexdigest()[:32]


def card_row(proposal: Proposal) -> CardRow:
    """The columns that a card is drawn from."""
    return CardRow(**{name: getattr(proposal, name) for name in CardRow.__dataclass_fields__})


def _whose(rule: Rule, asker: str) -> str:
    """For whom alone is what a person's yes by this rule opens; empty: for all."""
    return "" if rule.shared else asker
