"""A busy person holds up nobody at any of the processes that share a database; for one process: test_fairness.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.store import Store
from tests.harness.databases import fresh_database
from tests.harness.stores import A, a_mention
from tests.harness.whole_bot import Person, StartBot, until
from tests.workers.test_fairness import Listening


@pytest.fixture
def replicas() -> int:
    return 3


def test_one_person_with_many_threads_lets_others_go_first_at_any_process(
    start_bot: StartBot, ann: Person, ben: Person
) -> None:
    """Where all workers of all processes are busy with one person's questions, another's is next at the first that is free."""
    model = Listening()
    bot = start_bot(with_model=model, workers=1)
    model.hold()
    for number in range(12):
        ann.asks(f"a{number}")
    until(lambda: len(model.order) == 3 and not bot.store.unrested()[0])
    ben.asks("b0")
    until(lambda: not bot.store.unrested()[0])
    model.let_go()
    until(lambda: len(model.order) == 13)
    assert (
        model.order.index("b0") <= 3 + 3
    )  # the three that run, and one more that each process may have taken meanwhile


def test_who_takes_a_thread_up_knows_whose_it_is_also_before_anybody_has_looked_into_it(tmp_path: Path) -> None:
    """So that those in which one person has written go by turns with all others."""
    store = Store(fresh_database("postgresql", tmp_path), journal_key="k", is_shared=True)
    store.record(a_mention("Ev1", A, user="U0BUSY"))
    left = store.left_in(A.key)
    assert (left.asker, left.arrivals, left.turns) == ("U0BUSY", True, False)
    store.close()
