"""What goes with a question to the model: who asks, what day it is there, and, of a catalog that is too large to be shown whole, the
operations that the question may need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from base import words
from base.askers import app_of
from gate.authority import CatalogPart
from model.prompt.prompt import about, beside, is_whole
from slack_io.thread_context import ThreadReader
from store.store import Store
from store.transcript import TurnNote, UserMessage, first_noted
from store.turns import Turn


class TurnNotes:
    """The notes of turns. `prompt_budget`: the tokens that operations may take in a prompt."""

    def __init__(self, store: Store, reader: ThreadReader, clock: Callable[[], float], prompt_budget: int) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._budget = prompt_budget

    def of_question(self, turn: Turn, part: CatalogPart, asked: str, heard: Sequence[str]) -> TurnNote:
        """What goes with a turn's question from now on; `heard` is what people wrote before it."""
        who = self.about(turn)
        if is_whole(part.catalog, part.instructions, self._budget):
            return TurnNote(who, "")
        items = self._store.transcript(turn.thread, turn.asker)
        said = [item.text for item in items if isinstance(item, UserMessage)][-1:]
        first, before = first_noted(items), [*said, *heard]
        note = beside(
            part.catalog, part.instructions, asked, about=who, before=before, first=first, budget=self._budget
        )
        return replace(note, only_for=turn.asker if part.catalog.is_limited else "")

    def about(self, turn: Turn) -> str:
        """Who asks, and what day it is there."""
        now = self._clock()
        if app := app_of(turn.asker):
            return about(now, words.APP.format(app=app))
        person = self._reader.person(turn.asker)
        return about(now) if person is None else about(now, person.name, person.zone, person.offset)
