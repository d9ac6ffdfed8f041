"""Reads in the name of a turn: what holds in its thread, what the model gets of an answer, what is kept of it and noted.

How an answer comes is for the modules below: single_reads.py (one answer), lists.py (all pages), look_ups.py (a name's id).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from base import words
from base.json_text import loads
from base.masking import mask
from base.shrink import as_json
from base.thread import Thread
from catalog.bad_call import BadCall
from catalog.calls import Call, check_resolved
from catalog.catalog import Catalog
from catalog.rules import SAFE_METHODS
from gate.answers import CallData, ReadResult, Shown, data_of, error_text, found_of
from gate.api_client import Unanswered, Unsent
from gate.authority import Authority, CatalogPart, Use
from gate.lists import CollectedList, ListReads
from gate.look_ups import LookUps
from gate.partial_answers import with_note_of_more
from gate.policy import Read
from gate.recipes import StepAnswer
from gate.results import is_partial, more_text, parse_more, result, selected, there
from gate.single_reads import Astray, Purpose, SingleReads, Wants, always
from identity.callers import Caller
from store.journal.hash_chain import JournalEntry
from store.proposal_record import Proposal
from store.store import Store
from store.turns import Turn


class Reads:
    """The reads of one gate. `result_limit` is characters for the model."""

    def __init__(
        self, store: Store, authority: Authority, single: SingleReads, lists: ListReads, *, result_limit: int
    ) -> None:
        self._store = store
        self._authority = authority
        self._single = single
        self._lists = lists
        self._look_ups = LookUps(single, lists)
        self._result_limit = result_limit

    @property
    def catalog(self) -> Catalog:
        """The catalog that holds at this moment."""
        return self._single.catalog

    def part(self, thread: str, asker: str, *, to: Use = "ask") -> CatalogPart:
        """What holds for `asker` where a thread is. Raises `BadCall`, `SlackBusy` or `SlackUnsure` where that cannot be known."""
        return self._authority.part(self._single.catalog, thread, asker, to=to)

    def part_for_all(self, thread: str) -> Catalog:
        """What holds where a thread is, whoever asks. Raises `BadCall`."""
        return self._authority.part_for_all(self._single.catalog, thread)

    def purpose(self, of: Turn | Proposal, catalog: Catalog, why: str = "", wants: Wants = always) -> Purpose:
        """What reads are made for. `catalog`: the one that the call began with; another one may have been taken meanwhile. `why`: they
        are the bot's own, and the journal has each of them with it."""

        def note(details: dict[str, Any]) -> None:
            if why:
                self._store.note(of.thread, of.turn, [JournalEntry("look", details | {"why": why})])

        return Purpose(caller_of(of), catalog, partial(self.keep, of), note, wants)

    def purpose_now(self, of: Proposal, why: str) -> Purpose:
        """What the bot's own reads for a stored proposal are made for, by what its asker may be shown by now."""
        return self.purpose(of, self.part(of.thread, of.asker, to="show").catalog, why)

    def read(self, read: Read, purpose: Purpose) -> ReadResult:
        """Sends a GET or HEAD, or all pages of a list. Follows redirects and links only to what the catalog allows."""
        _check_is_read(read)
        try:
            if read.all_pages:
                listed = self._lists.collect(read, purpose)
                return self._shown(read, purpose, self._found(listed), listed.seconds, listed.answer.identity)
            answer = self._single.follow(read, purpose, time.monotonic() + self._single.timeout)
        except (Unsent, Unanswered, BadCall) as error:
            told = {"location": error.to} if isinstance(error, Astray) else {}
            return ReadResult(error_text(str(error), self._single.secrets, told))
        found = found_of(answer, self._single.secrets)
        return self._shown(read, purpose, with_note_of_more(found, read, answer), answer.seconds, answer.identity)

    def step(self, read: Read, purpose: Purpose) -> StepAnswer:
        """What the API says to a read, as a recipe's step has it: whole, less the secrets and what the catalog hides."""
        _check_is_read(read)
        try:
            answer = self._single.follow(read, purpose, time.monotonic() + self._single.timeout)
        except (Unsent, Unanswered, BadCall) as error:
            return StepAnswer(problem=self._single.mask(str(error)))
        data = self._single.cleaned(
            data_of(answer)[0], answer.hiding.without
        )  # a value's length must not be sent in its place
        headers = mask(dict(answer.headers), self._single.secrets)
        part = with_note_of_more(CallData(answer.status, None), read, answer, offer=False).notes
        broke_off = self._single.mask(answer.broke_off)
        return StepAnswer(answer.status, data, headers, answer.seconds, broke_off, " ".join(part), answer.identity)

    def resolved(self, call: Call, purpose: Purpose) -> Call:
        """A call with its names turned into ids. Raises `BadCall` or `Unclear`."""
        return self._look_ups.look_up(call, purpose)

    def _shown(self, read: Read, purpose: Purpose, whole: CallData, seconds: float, identity: str) -> ReadResult:
        """What was found as the call's result: selected, cut to fit, and kept whole where the model may want more of it."""
        shown = Shown.of(selected(whole, read.select), self._result_limit)
        kept = purpose.keep(whole.data, whole.part) if is_partial(whole, shown, self._result_limit) else ""
        text = result(shown, kept, [one.line for one in read.matched])
        return ReadResult(text, whole.status, seconds, whole.counts, identity)

    def _found(self, listed: CollectedList) -> CallData:
        """A collected list, or what the API gave in its place, with words for what is missing."""
        if listed.items is not None:
            part = words.IS_PART.format(why=listed.why) if listed.why else ""
            unsaid = [words.UNSURE_WHOLE] if listed.is_unsaid else []
            notes = (*([part] if part else []), *listed.doubts, *unsaid)
            counts = {"pages": listed.pages, "items": len(listed.items)}
            data = self._single.cleaned(listed.items, listed.hiding)
            return CallData(listed.answer.status, data, notes, counts, part)
        found = found_of(listed.answer, self._single.secrets)
        if not listed.answer.is_success:
            return found
        return replace(found, notes=(*found.notes, f"all_pages: no list was found. There is {there(found.data)}."))

    # --- what is kept -------------------------------------------------------------------------------------------------

    def keep(self, of: Turn | Proposal, data: Any, part: str = "") -> str:
        """Keeps what is too large for the model, for whom it is; gives its name in the thread, empty where it is too large to be kept,
        too. `part` says why the data is not all that there is, where that is known."""
        number = self._store.keep(of.thread, as_json(data), of.only_for, part)
        return f"r{number}" if number is not None else ""

    def more(self, turn: Turn, arguments: Mapping[str, Any]) -> tuple[ReadResult, list[JournalEntry]]:
        """More of an answer that is kept, without the API; and what the journal tells of it. Raises `BadCall`, also where it is kept
        for somebody else."""
        more = parse_more(arguments)
        kept = self._store.kept(turn.thread, more.number, turn.asker)
        if kept is None:
            raise BadCall(words.NOT_KEPT.format(name=more.name))
        text = more_text(loads(kept.data), more, self._result_limit, kept.part)
        return ReadResult(text), [JournalEntry("more", {"result": more.name})]


def caller_of(of: Turn | Proposal, approver: str = "") -> Caller:
    """For whom requests are made that belong to a turn, or to a proposal: then with the account that it was asked for with."""
    identity = of.identity if isinstance(of, Proposal) else ""
    return Caller(Thread.from_key(of.thread).team, of.asker, approver, identity)


def _check_is_read(read: Read) -> None:
    if read.method not in SAFE_METHODS:
        raise BadCall(f"{read.method} is no read.")
    check_resolved(read)
