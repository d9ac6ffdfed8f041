"""A busy person holds up nobody where several processes share a database; within one process: test_fairness.py."""

from __future__ import annotations

from pathlib import Path

from store.store import Store
from tests.harness.databases import opened_before
from tests.harness.stores import A, a_mention


def test_who_takes_a_thread_up_knows_whose_it_is_also_before_anybody_has_looked_into_it(tmp_path: Path) -> None:
    """So that those in which one person has written go by turns with all others."""
    store = Store(opened_before("postgresql", tmp_path, "k"), journal_key="k", is_shared=True)
    store.record(a_mention("Ev1", A, user="U0BUSY"))
    left = store.left_in(A.key)
    assert (left.asker, left.arrivals, left.turns) == ("U0BUSY", True, False)
    store.close()
