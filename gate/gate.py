"""Door to the internal API, and the only one: its parts are put together here, and what others may ask of it is here.

A write leaves only as the stored proposal that was approved, once: `write(approval)` has no parameter for method, URL or body. Nothing
here asks the model, and nothing typed in Slack counts as an approval.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from base.deadline import tls_context
from base.proxies import STRAIGHT, WayOut
from catalog.calls import Call
from catalog.catalog import METHODS, Catalog
from catalog.rules import SAFE_METHODS
from gate.answers import ReadResult
from gate.api_client import ApiClient
from gate.api_pace import ApiPaces
from gate.authority import Authority, CatalogPart, Use
from gate.card_posts import card_posts
from gate.decisions import Decisions
from gate.last_checks import LastChecks
from gate.lists import ListReads
from gate.policy import Read, Write
from gate.proposal_changes import ProposalChanges
from gate.proposals import ProposalMaker
from gate.reads import Reads, caller_of
from gate.recipes import StepAnswer
from gate.sending import Approval, Sending
from gate.single_reads import SingleReads, Wants, always
from gate.targets import TargetReader
from identity.identities import Identities
from identity.needs import Needs
from store.journal.hash_chain import JournalEntry
from store.posts import Post
from store.proposal_record import Proposal
from store.store import Store
from store.turns import Turn

_SPARE = 10.0  # seconds that a call may take beyond its time-out, in which it still counts


@dataclass(frozen=True)
class GateOptions:
    """How a gate works: what its calls may take, and what becomes of them."""

    timeout: float = 30  # seconds for a whole call
    max_response: int = 5_000_000  # bytes of one answer
    result_limit: int = 24_000  # characters of it for the model
    settles: float = 2.0  # seconds between two looks at a target that seems to have changed
    dry_run: bool = False  # no write is sent
    log_bodies: bool = False
    way: WayOut = STRAIGHT


class _Clients:
    """Makes the clients of one gate, which keep an API's pace together."""

    def __init__(self, catalog: Catalog, store: Store, identities: Identities, options: GateOptions) -> None:
        self._catalog = catalog
        self._identities = identities
        self._options = options
        self._paces = ApiPaces(store, options.timeout + _SPARE)
        self._tls = tls_context(options.way.certificates)

    def make(self, methods: Collection[str], *, keepalive: int) -> ApiClient:
        """A client that sends requests of these methods and no others, and keeps so many idle connections."""
        options = self._options
        return ApiClient(
            self._catalog,
            methods,
            identities=self._identities,
            paces=self._paces,
            keepalive=keepalive,
            tls=self._tls,
            timeout=options.timeout,
            max_response=options.max_response,
            log_bodies=options.log_bodies,
            way=options.way,
        )


class Gate:
    """The gate of one bot. `clock` gives seconds since 1970."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        authority: Authority,
        options: GateOptions,
        *,
        identities: Identities,
        ids: Callable[[], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.timeout = options.timeout
        self._needs = Needs(identities)
        self.result_limit = options.result_limit
        self._ids = ids
        client = _Clients(catalog, store, identities, options).make
        self._single = SingleReads(catalog, client(SAFE_METHODS, keepalive=20), clock=clock)
        # A proposal may be a GET, too, where the catalog has it ask. A fresh connection for each: one that the server had closed
        # would leave a write's fate open.
        self._sends = client(METHODS, keepalive=0)
        lists = ListReads(self._single)
        targets = TargetReader(self._single, lists)
        self._authority = authority
        self._reads = Reads(store, self._authority, self._single, lists, result_limit=options.result_limit)
        changes = ProposalChanges(store, ids=ids)
        self._maker = ProposalMaker(
            store, self._authority, identities, self._reads, targets, ids=ids, clock=clock, dry_run=options.dry_run
        )
        self._decisions = Decisions(store, self._authority, changes, ids=ids)
        self._sending = Sending(
            store,
            self._sends,
            self._reads,
            self._maker,
            changes,
            LastChecks(self._authority, identities, self._reads, targets, settles=options.settles),
            ids=ids,
            clock=clock,
            result_limit=options.result_limit,
            dry_run=options.dry_run,
        )

    @property
    def catalog(self) -> Catalog:
        """The catalog that holds at this moment."""
        return self._single.catalog

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that nobody may see, of this catalog and of those before it."""
        return self._sends.secrets

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog: it holds for every call from now on, and for what is approved but not sent."""
        self._sends.use(catalog)
        self._single.use(catalog)

    def close(self) -> None:
        """Closes the connections."""
        self._single.close()
        self._sends.close()

    def part(self, thread: str, asker: str, *, to: Use = "ask") -> CatalogPart:
        """What holds for `asker` where a thread is. Raises `BadCall`, `SlackBusy` or `SlackUnsure` where that cannot be known."""
        return self._reads.part(thread, asker, to=to)

    def asked_by(self, asker: str) -> Catalog:
        """What `asker` may ask for in any channel, as far as Slack says, to be shown."""
        return self._authority.asked_by(self.catalog, asker, to="show").catalog

    def may_ask_directly(self, user: str) -> bool | None:
        """Whether somebody may ask in a direct message; None where Slack does not say."""
        return self._authority.may_ask_directly(user)

    # --- accounts that people have yet to connect: identity/needs.py --------------------------------------------------

    def first_accounts(self, turn: Turn, catalog: Catalog) -> list[str]:
        """The APIs of which a turn's asker has to connect one before anything of `catalog` can be asked; empty where something can."""
        return self._needs.before_all(catalog, caller_of(turn))

    def has_account(self, turn: Turn, apis: Sequence[str]) -> bool:
        """Whether a turn's asker has an account of one of these APIs, or needs none, since it is in the catalog no more."""
        return any(api is None or self._needs.has(api, caller_of(turn)) for api in map(self.catalog.api, apis))

    # --- reads: reads.py ----------------------------------------------------------------------------------------------

    def read(self, read: Read, turn: Turn, catalog: Catalog, wants: Wants = always) -> ReadResult:
        """Sends a GET or HEAD, or all pages of a list. Follows redirects and links only to what the catalog allows.

        What is too large for the model is kept for the turn's thread. `catalog`: the one that the call began with, here and below;
        another one may have been taken meanwhile.
        """
        return self._reads.read(read, self._reads.purpose(turn, catalog, wants=wants))

    def read_step(self, read: Read, turn: Turn, catalog: Catalog) -> StepAnswer:
        """Sends a GET or HEAD for a recipe's step."""
        return self._reads.step(read, self._reads.purpose(turn, catalog))

    def resolved(self, call: Call, turn: Turn, catalog: Catalog, wants: Wants = always) -> Call:
        """A call with its names turned into ids, where the catalog has lists to look them up in. Raises `BadCall` or `Unclear`."""
        if not call.unresolved:
            return call
        return self._reads.resolved(call, self._reads.purpose(turn, catalog, "look-up", wants))

    def more(self, turn: Turn, arguments: Mapping[str, Any]) -> tuple[ReadResult, list[JournalEntry]]:
        """More of an answer that is kept, and what the journal tells of it. Raises `BadCall`, also where it is kept for somebody else."""
        return self._reads.more(turn, arguments)

    def keep(self, of: Turn | Proposal, data: Any, part: str = "") -> str:
        """Keeps what is too large for the model; gives its name in the thread, empty where it is too large to be kept, too."""
        return self._reads.keep(of, data, part)

    # --- proposals: proposals.py --------------------------------------------------------------------------------------

    def propose(self, write: Write, turn: Turn, call: int, catalog: Catalog, until: float | None = None) -> Proposal:
        """A write as the proposal to be stored with the reply; its target is read by `until` (monotonic seconds). Raises `BadCall`, and
        `NotConnected` where it could not be sent in its asker's name."""
        return self._maker.propose(write, turn, call, catalog, until)

    def batched(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """The proposals of one reply, those that the catalog lets be approved together named as one fixed set."""
        return self._maker.batched(proposals)

    def card_posts(self, proposals: Sequence[Proposal]) -> list[Post]:
        """The messages that show pending proposals, and the one that offers to approve a set of them."""
        return card_posts(proposals, self._ids)

    # --- decisions: decisions.py --------------------------------------------------------------------------------------

    def decide(
        self, token: str, decision: Literal["approve", "deny"], *, by: str, at: float, arrival: int, reason: str = ""
    ) -> Proposal:
        """A person's decision, made at `at`. Gives the changed proposal. Raises `Refused` with words for that person alone."""
        return self._decisions.decide(token, decision, by=by, at=at, arrival=arrival, reason=reason)

    def decide_all(self, batch: str, *, by: str, at: float, arrival: int) -> list[Proposal]:
        """A person's yes to a set that was fixed when its button was drawn. Raises `Refused`."""
        return self._decisions.decide_all(batch, by=by, at=at, arrival=arrival)

    def withdraw_by(self, token: str, *, by: str, at: float, arrival: int) -> Proposal:
        """The asker takes a proposal back. Raises `Refused`."""
        return self._decisions.withdraw_by(token, by=by, at=at, arrival=arrival)

    def check_may_decide(self, token: str, by: str) -> None:
        """Raises `Refused` unless this person may decide a pending proposal now."""
        self.check_authority(self._decisions.pending(token, by), by)

    def check_authority(self, proposal: Proposal, by: str) -> None:
        """Raises `Refused` unless the stored rule lets `by` decide, looked up now."""
        self._authority.check_authority(proposal, by)

    def may_decide(self, proposal: Proposal, by: str) -> bool:
        """Whether this person could decide it, to be shown."""
        return self._decisions.may_decide(proposal, by)

    def expire_due(self) -> list[Proposal]:
        """Expires what waited too long; gives what did."""
        return self._decisions.expire_due()

    def remind_due(self) -> None:
        """Reminds, once and at half time, those who may decide and have not."""
        self._decisions.remind_due()

    def withdraw(self, turn: str) -> None:
        """Takes back what a failed turn still has waiting, so that no later click sends it."""
        self._decisions.withdraw(turn)

    def lose_restored(self, before: float) -> None:
        """After a restore from a backup: ends as unknown what waited or was approved in it."""
        self._decisions.lose_restored(before)

    def withdraw_sealed_otherwise(self) -> list[str]:
        """Takes back what waits since an earlier version, or under another journal key. Gives the threads."""
        return self._decisions.withdraw_sealed_otherwise()

    def unshown(self, card_post: str) -> None:
        """Withdraws the proposal of a card that Slack will not take."""
        self._decisions.unshown(card_post)

    # --- the step to sending: sending.py ------------------------------------------------------------------------------

    def approved_by_policy(self, turn: str) -> list[Approval]:
        """A turn's writes that the policy approved and that have not been sent, in the order of their calls."""
        return self._sending.approved_by_policy(turn)

    def write(self, approval: Approval) -> Proposal | None:
        """Sends the proposal of an approval, once. Gives it as it ended; None where there was nothing (left) to send."""
        return self._sending.write(approval)

    def turns_to_send(self, thread: str) -> list[str]:
        """The turns of a thread with writes that people approved and that were not sent."""
        return self._sending.turns_to_send(thread)

    def write_decided(self, turn: str) -> list[Proposal]:
        """Sends a turn's writes that people approved, in the order of their calls. Gives them as they ended."""
        return self._sending.write_decided(turn)

    def is_sending(self, turn: str) -> bool:
        """Whether one of a turn's writes is on its way at this moment."""
        return self._sending.is_sending(turn)

    def threads_to_send(self) -> list[str]:
        """At a start: the threads with writes that people approved and that were not sent."""
        return self._sending.threads_to_send()

    def lose_unanswered(self) -> list[str]:
        """Ends as unknown what stands in `sending` although nobody is sending it. Gives the threads."""
        return self._sending.lose_unanswered()

    def show_target(self, proposal_id: str) -> None:
        """Reads the target of a write whose outcome is unknown and shows it where its card stands."""
        self._sending.show_target(proposal_id)
