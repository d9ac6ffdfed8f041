"""A recipe from its first step to its last, for the model's one call: each read goes through the gate, a write at the end is proposed.

No door of its own: gate.py sends. What a recipe's expressions stand for is recipes.py's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from catalog.calls import BadCall, Call
from catalog.catalog import RUN, Catalog
from catalog.lookup import Unclear
from gate.answers import ReadResult
from gate.gate import Gate, noted_read, noted_unclear, proposed
from gate.policy import Read, sort
from gate.recipes import Run, after, broken_off, next_call, run_result
from store.journal.hash_chain import JournalEntry
from store.store import Proposal, Turn

Taken = tuple[ReadResult | Proposal, list[JournalEntry]]


def run(
    gate: Gate,
    catalog: Catalog,
    begun: Run,
    turn: Turn,
    position: int,
    *,
    tainted: bool,
    sent_alone: int,
    before: Callable[[Call], None],
    wants: Callable[[Call, int], bool],
) -> Taken:
    """Makes the steps of a recipe: what its reads gave, or the proposal of the write that ends it; and what the journal tells.

    `before` is called ahead of each step and may raise to end it all, `wants` ahead of each further page of a list that a name is
    looked up in. `tainted`: what the thread has seen so far; each read adds to it. `sent_alone` is as in
    `sort`. Raises `BadCall` only before a step was made.
    """
    entries: list[JournalEntry] = []
    while not begun.is_over:
        try:
            call = next_call(catalog, begun)
            before(call)
            call = gate.resolved(call, turn, wants, catalog)
            is_tainted = tainted or bool(begun.answers) or bool(call.matched)
            made = sort(call, tainted=is_tainted, sent_alone=sent_alone)
            if not isinstance(made, Read):
                _check_is_last(begun)
                proposal = _of_recipe(begun, gate.propose(made, turn, position), turn)
                return proposal, [*entries, proposed(proposal)]
        except Unclear as error:
            return ReadResult(error.text), [*entries, noted_unclear(call, error)]
        except BadCall as error:
            if not begun.answers:
                raise
            begun = broken_off(begun, error)
            return _ended(gate, turn, begun, [*entries, _bad(begun)])
        answer = gate.ask(made, turn, catalog)
        named = {"recipe": begun.recipe.workflow_id, "step": begun.step.step_id}
        entries.append(noted_read(call, answer.status, answer.seconds, answer.problem, **named))
        begun = after(begun, answer)
        if begun.problem and not answer.why_bad:
            entries.append(_bad(begun))
    return _ended(gate, turn, begun, entries)


def _of_recipe(begun: Run, proposal: Proposal, turn: Turn) -> Proposal:
    """The record of a recipe's last step. Its card does not show what the model wrote: the inputs."""
    only_for = proposal.only_for or turn.only_for
    return replace(proposal, recipe=begun.recipe.workflow_id, recipe_step=begun.number, only_for=only_for)


def _check_is_last(begun: Run) -> None:
    """A read may ask, too: by a rule of its own, or by one of another operation that has the same path."""
    if not begun.is_last:
        raise BadCall(
            f"{begun.where} needs a person's approval, and only the last step may. Make the calls one by one."
        )


def _bad(begun: Run) -> JournalEntry:
    """What those who mend the catalog are told: nothing of the API's data."""
    return JournalEntry("bad call", {"call": f"{RUN} {begun.recipe.workflow_id}", "reason": begun.problem})


def _ended(gate: Gate, turn: Turn, ended: Run, entries: list[JournalEntry]) -> Taken:
    statuses = [one.status for one in ended.answers if one.status is not None]
    seconds = sum(one.seconds for one in ended.answers)
    return ReadResult(
        run_result(ended, gate.result_limit, partial(gate.keep, turn)), statuses[-1] if statuses else None, seconds
    ), entries
