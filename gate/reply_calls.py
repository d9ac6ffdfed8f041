"""The calls of one reply of the model, in their order: each read is made, each write becomes a proposal, each mistake is answered in words.

What a call may do is judged by policy.py, what is sent by gate.py; nothing here asks the model.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from base.tracing import tool_span
from catalog.bad_call import BadCall
from catalog.calls import Call, parse_arguments, resolve
from catalog.catalog import Api, Catalog
from catalog.lookup import Unclear
from catalog.rules import SAFE_METHODS
from gate.answers import ReadResult, error_text
from gate.authority import CatalogPart
from gate.gate import Gate
from gate.journal_entries import noted_read, noted_unclear, proposed
from gate.policy import Read, State, sort
from gate.recipe_runs import RecipeRun, Taken
from gate.recipes import begin, is_run
from model.prompt.prompt import FIND, find, tools
from model.replies import Reply
from store.journal.hash_chain import JournalEntry, digest
from store.proposal_record import Proposal
from store.store import Store
from store.transcript import AssistantMessage, Item, Result, UserMessage
from store.turns import ReplyOutcome, Turn
from workers.cancel_flag import TurnCancelled

log = structlog.get_logger("ai")
_TOOLS = frozenset({"call_rest_api", "read_result", FIND})
_TWICE = 2  # the same call is made this often in a turn; after that it is answered with words


class Progress(Protocol):
    """Who is told what a turn does next. Each raises where the turn may not go on."""

    def check(self) -> None:
        """Raises `Stopped` or `TurnCancelled`, and nothing more."""

    def calling(self, call: Call, page: int = 0) -> None:
        """A call, or a further page of a list."""

    def finding(self) -> None:
        """A look for operations that were not listed."""


class ReplyCalls:
    """The calls of one reply. `part` is what its turn's asker may call there; `noted` what the journal is to tell before them;
    `prompt_budget` is the prompt's."""

    def __init__(
        self,
        gate: Gate,
        store: Store,
        turn: Turn,
        part: CatalogPart,
        progress: Progress,
        noted: JournalEntry,
        *,
        prompt_budget: int,
    ) -> None:
        self._gate = gate
        self._store = store
        self._turn = turn
        self._part = part
        self._progress = progress
        self._prompt_budget = prompt_budget
        self._unwritten = [noted]
        self._results: list[Result] = []
        self._proposals: list[Proposal] = []
        self._brought_data = False

    def take(self, items: Sequence[Item], reply: Reply) -> ReplyOutcome:
        """Makes the reads of a reply, prepares its writes; each call has its result, or a proposal that will give it one.

        What a reply may do by itself is judged by what the model had seen when it wrote that reply, for all its calls alike.
        """
        made = _calls_of_turn(items)
        until = time.monotonic() + self._gate.timeout  # for all previews of the reply together
        try:
            for position, called in enumerate(reply.message.calls):
                is_again = made.count(called.key) >= _TWICE
                self._add(
                    position, *self._tried(called.name, reply.arguments[position], position, until, is_again=is_again)
                )
                made.append(called.key)
        except Exception:  # whatever ends it: the journal has what was done
            self._write_down()
            raise
        return self._outcome(reply)

    def _add(self, position: int, taken: ReadResult | Proposal, told: Sequence[JournalEntry]) -> None:
        """Keeps what one call led to."""
        self._unwritten += told
        self._brought_data = self._brought_data or any(map(_brought_data, told))
        if isinstance(taken, Proposal):
            self._proposals.append(taken)
        else:
            self._results.append(Result(0, position, taken.text, self._turn.only_for))

    def _outcome(self, reply: Reply) -> ReplyOutcome:
        proposals = self._gate.batched(self._proposals)
        return ReplyOutcome(
            reply.message,
            reply.usage,
            self._results,
            proposals,
            self._gate.card_posts(proposals),
            [*self._unwritten, *map(proposed, proposals)],  # the last go with their rows
            tainted=self._brought_data,
        )

    @property
    def _sent_alone(self) -> int:
        """The writes of this reply that go out without a click."""
        return sum(one.state is State.APPROVED for one in self._proposals)

    def _write_down(self) -> None:
        """Writes the entries so far: the gate is about to write its own, which stand behind them."""
        self._store.note(self._turn.thread, self._turn.turn, self._unwritten)
        self._unwritten = []

    # --- one call -----------------------------------------------------------------------------------------------------

    def _tried(self, name: str, raw: object, position: int, until: float, *, is_again: bool) -> Taken:
        """One call as `_take` takes it, or the words for why it is none."""
        try:
            if is_again:
                raise BadCall("This same call was made twice already in this turn. Use its result, or change the call.")
            with tool_span(name if name in _TOOLS else "unknown"):
                return self._take(name, raw, position, until)
        except BadCall as error:
            log.info("bad call", reason=str(error))
            told = {"call": _attempted(raw, self._gate.catalog), "reason": str(error)}
            return ReadResult(error_text(str(error))), [JournalEntry("bad call", told)]

    def _take(self, name: str, raw: object, position: int, until: float) -> Taken:
        """One call: what a read gave, or a write's proposal; and the journal's entries, but for the proposal's. Raises `BadCall`."""
        match name:
            case "call_rest_api":
                return self._call_api(parse_arguments(raw), position, until)
            case _ if name == FIND:
                return self._find(raw)
            case "read_result":
                return self._gate.more(self._turn, parse_arguments(raw))
        raise BadCall(f"There is no tool '{name[:60]}'. {self._tools()}")

    def _call_api(self, arguments: Mapping[str, object], position: int, until: float) -> Taken:
        catalog = self._part.catalog
        if is_run(arguments):
            return self._run(catalog, arguments, position)
        call = resolve(catalog, arguments)
        self._note_only_for(call.operation.api)
        self._progress.calling(call)
        if call.unresolved or call.method not in SAFE_METHODS:
            self._write_down()
        try:
            call = self._gate.resolved(call, self._turn, catalog, self._wants)
        except Unclear as error:
            return ReadResult(error.text), [noted_unclear(call, error)]
        return self._read_or_propose(call, catalog, position, until)

    def _run(self, catalog: Catalog, arguments: Mapping[str, object], position: int) -> Taken:
        """A recipe."""
        self._write_down()
        begun, tainted = begin(catalog, arguments), self._store.is_tainted(self._turn.thread)
        self._note_only_for(begun.recipe.api)
        run = RecipeRun(
            gate=self._gate,
            catalog=catalog,
            turn=self._turn,
            position=position,
            tainted=tainted,
            sent_alone=self._sent_alone,
            before=self._progress.calling,
            wants=self._wants,
        )
        return run.make(begun)

    def _note_only_for(self, api: Api) -> None:
        """What an API tells somebody with an account of their own is for that person's turns alone, from here on in this one."""
        if api.is_personal:
            self._turn = replace(self._turn, only_for=self._turn.asker)

    def _read_or_propose(self, call: Call, catalog: Catalog, position: int, until: float) -> Taken:
        """What the policy makes of a call whose names are ids by now."""
        tainted = call.method not in SAFE_METHODS and (bool(call.matched) or self._store.is_tainted(self._turn.thread))
        judged = sort(call, tainted=tainted, sent_alone=self._sent_alone)
        self._progress.check()
        if isinstance(judged, Read):
            got = self._gate.read(judged, self._turn, catalog, self._wants)
            return got, [noted_read(call, got.status, got.seconds, got.text, got.identity, **got.counts)]
        given = None if call.matched else until  # a look-up took of that time
        return self._gate.propose(judged, self._turn, position, catalog, given), []

    def _find(self, raw: object) -> Taken:
        """Operations that were not listed."""
        self._progress.finding()
        arguments = parse_arguments(raw)
        found = find(self._part.catalog, arguments, self._part.instructions, self._prompt_budget)
        return ReadResult(found), [JournalEntry("find", {"words": digest(str(arguments["query"]))})]

    def _tools(self) -> str:
        """The tools that there are, in words."""
        offered = tools(self._part.catalog, self._part.instructions, self._prompt_budget)
        names = [one["function"]["name"] for one in offered]
        return f"The only tool is {names[0]}." if len(names) == 1 else f"The tools are {' and '.join(names)}."

    def _wants(self, call: Call, page: int) -> bool:
        """Whether a further page of a list is to be read: not once a person stopped the turn.

        Raises `Stopped`: a list must not stay in part for what is read after the next start.
        """
        try:
            self._progress.calling(call, page)
        except TurnCancelled:
            return False
        return True


def _calls_of_turn(items: Sequence[Item]) -> list[str]:
    """The keys of the calls since the person's last words."""
    start = max((i for i, item in enumerate(items) if isinstance(item, UserMessage)), default=0)
    return [call.key for item in items[start:] if isinstance(item, AssistantMessage) for call in item.calls]


def _brought_data(entry: JournalEntry) -> bool:
    """Whether what the journal tells of means that the API's data came in."""
    return entry.kind == "look-up" or (entry.kind == "read" and entry.data["status"] is not None)


def _attempted(raw: object, catalog: Catalog) -> str:
    """What a bad call wanted, for those who mend the catalog's descriptions: no values, only path segments that the catalog spells."""
    try:
        arguments = parse_arguments(raw)
    except BadCall:
        return "(unreadable)"
    known = {piece.literal for one in catalog.operations for piece in one.template.path}
    known |= {one.workflow_id for one in catalog.recipes}
    path = str(arguments.get("url")).partition("?")[0][:500]
    shown = "/".join(step if step in known or not step else "*" for step in path.split("/")[:20])
    return f"{str(arguments.get('method'))[:10]} {shown}"
