"""A busy thread, person or channel holds up nobody for more than a few turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from emulator.emulator import Workspace
from tests.harness.whole_bot import Json, Person, RunningBot, Script, StartBot, Talk, said_by_people, until

pytestmark = pytest.mark.waits


@pytest.fixture
def replicas() -> int:
    """One process. Its workers are counted."""
    return 1


class Listening(Script):
    """Notes the question of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def complete(self, messages: Sequence[Json], tools: Sequence[Json], ear: Any, *, is_last: bool = False) -> object:
        self.order.append(said_by_people(messages)[-1])
        return super().complete(messages, tools, ear, is_last=is_last)


def rest(bot: RunningBot, model: Script) -> None:
    until(lambda: not bot.store.unrested()[0])  # all that came in is admitted, or refused
    model.let_go()
    bot.settle()


def test_a_thread_with_many_questions_lets_others_go_after_each(
    start_bot: StartBot, ann: Person, ben: Person, workspace: Workspace
) -> None:
    model = Listening()
    bot = start_bot(with_model=model, workers=1)
    model.hold()
    talk = ann.asks("a0")
    until(lambda: model.order)
    for number in range(1, 8):
        ann.replies(talk, f"a{number}")
    theirs = ben.asks("b0")
    rest(bot, model)
    assert Talk(workspace, theirs.ts).answer() == "Done."
    assert model.order.index("b0") <= 2
    assert [one for one in model.order if one != "b0"] == [f"a{number}" for number in range(8)]


def test_a_thread_that_lets_others_go_is_taken_up_again_by_itself(
    start_bot: StartBot, ann: Person, ben: Person
) -> None:
    model = Listening()
    bot = start_bot(with_model=model, workers=2)
    model.hold()
    talk = ann.asks("a0")
    until(lambda: model.order)
    for number in range(1, 5):
        ann.replies(talk, f"a{number}")
    rest(bot, model)
    assert model.order == [f"a{number}" for number in range(5)]
    assert talk.answers() == ["Done."] * 5


def test_one_person_with_many_threads_holds_up_no_more_turns_than_their_share(
    start_bot: StartBot, ann: Person, ben: Person
) -> None:
    model = Listening()
    bot = start_bot(with_model=model, workers=1, max_waiting=16)
    model.hold()
    ann.asks("a0")
    until(lambda: model.order)
    for number in range(1, 8):
        ann.asks(f"a{number}")
    ben.asks("b0")
    rest(bot, model)
    assert model.order.index("b0") <= 5  # the one that ran, and a quarter of MAX_WAITING
    assert len(model.order) == 6


def test_one_person_with_many_threads_lets_others_go_after_each(start_bot: StartBot, ann: Person, ben: Person) -> None:
    model = Listening()
    bot = start_bot(with_model=model, workers=1)
    model.hold()
    ann.asks("a0")
    until(lambda: model.order)
    for number in range(1, 9):
        ann.asks(f"a{number}")
    until(lambda: not bot.store.unrested()[0])
    ben.asks("b0")
    ben.asks("b1")
    rest(bot, model)
    first, second = sorted(model.order.index(one) for one in ("b0", "b1"))  # two look at what comes in, side by side
    assert first <= 3  # the one that runs, and one of Ann's that was taken meanwhile
    assert second <= 5
    assert sorted(model.order) == sorted(["b0", "b1", *(f"a{number}" for number in range(9))])
