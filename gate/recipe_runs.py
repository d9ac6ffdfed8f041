"""A recipe from its first step to its last, for the model's one call: each read goes through the gate, a write at the end is proposed.

No door of its own: the gate sends. What a recipe's expressions stand for is recipes.py's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from catalog.bad_call import BadCall
from catalog.calls import Call
from catalog.catalog import RUN, Catalog
from catalog.lookup import Unclear
from gate.answers import ReadResult
from gate.gate import Gate
from gate.journal_entries import noted_read, noted_unclear
from gate.policy import Read, Write, sort
from gate.recipes import Run, StepAnswer, after, broken_off, next_call, run_result
from store.journal.hash_chain import JournalEntry
from store.proposal_record import Proposal
from store.turns import Turn

Taken = tuple[ReadResult | Proposal, list[JournalEntry]]  # a proposal's own entry is made when its row is stored


@dataclass(frozen=True)
class RecipeRun:
    """What all the steps of one run are made with. `position` is the call's place in the model's reply.

    `before` is called ahead of each step and may raise to end it all, `wants` ahead of each further page of a list that a name is
    looked up in. `tainted`: what the thread has seen so far; each read adds to it. `sent_alone` is as in `sort`.
    """

    gate: Gate
    catalog: Catalog
    turn: Turn
    position: int
    tainted: bool
    sent_alone: int
    before: Callable[[Call], None]
    wants: Callable[[Call, int], bool]

    def make(self, begun: Run) -> Taken:
        """Makes the steps of a recipe: what its reads gave, or the proposal of the write that ends it; and what the journal tells.
        Raises `BadCall` only before a step was made."""
        entries: list[JournalEntry] = []
        while not begun.is_over:
            try:
                made, noted = self._make_next(begun)
            except BadCall as error:
                if not begun.answers:
                    raise
                begun = broken_off(begun, error)
                entries.append(_bad(begun))
                break
            entries += noted
            if not isinstance(made, StepAnswer):
                return made, entries
            begun = after(begun, made)
            if begun.problem and not made.why_bad:
                entries.append(_bad(begun))
        return _ended(self.gate, self.turn, begun), entries

    def _make_next(self, begun: Run) -> tuple[StepAnswer | ReadResult | Proposal, list[JournalEntry]]:
        """The next step: what its read brought, or what ends the run: a name that is not clear, or the proposal of its write. And what the
        journal tells of it. Raises `BadCall`."""
        call = next_call(self.catalog, begun)
        self.before(call)
        try:
            call = self.gate.resolved(call, self.turn, self.catalog, self.wants)
        except Unclear as error:
            return ReadResult(error.text), [noted_unclear(call, error)]
        is_tainted = self.tainted or bool(begun.answers) or bool(call.matched)
        made = sort(call, tainted=is_tainted, sent_alone=self.sent_alone)
        return self._read(begun, made) if isinstance(made, Read) else (self._propose(begun, made), [])

    def _read(self, begun: Run, read: Read) -> tuple[StepAnswer, list[JournalEntry]]:
        answer = self.gate.read_step(read, self.turn, self.catalog)
        named = {"recipe": begun.recipe.workflow_id, "step": begun.step.step_id}
        return answer, [noted_read(read, answer.status, answer.seconds, answer.problem, answer.identity, **named)]

    def _propose(self, begun: Run, write: Write) -> Proposal:
        """The proposal of the last step. Its card does not show what the model wrote: the inputs."""
        _check_is_last(begun)
        proposal = self.gate.propose(write, self.turn, self.position, self.catalog)
        only_for = proposal.only_for or self.turn.only_for
        recipe = begun.recipe.workflow_id
        return replace(proposal, recipe=recipe, recipe_step=begun.number, only_for=only_for)


def _check_is_last(begun: Run) -> None:
    """A read may ask, too: by a rule of its own, or by one of another operation that has the same path."""
    if not begun.is_last:
        raise BadCall(
            f"{begun.where} needs a person's approval, and only the last step may. Make the calls one by one."
        )


def _bad(begun: Run) -> JournalEntry:
    """What those who mend the catalog are told: nothing of the API's data."""
    return JournalEntry("bad call", {"call": f"{RUN} {begun.recipe.workflow_id}", "reason": begun.problem})


def _ended(gate: Gate, turn: Turn, ended: Run) -> ReadResult:
    statuses = [one.status for one in ended.answers if one.status is not None]
    seconds = sum(one.seconds for one in ended.answers)
    text = run_result(ended, gate.result_limit, partial(gate.keep, turn))
    return ReadResult(text, statuses[-1] if statuses else None, seconds)
