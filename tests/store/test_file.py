"""The database's file on SQLite: nobody else may read it, it gives back what it does not need, and waiting requests cost a turn nothing."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from ai import AI
from base.settings import Misconfigured
from base.thread import Thread
from store.store import Store
from store.transcript import AssistantMessage, Usage
from store.turns import ReplyOutcome
from tests.harness.bot_parts import USERS, BotParts, calls
from tests.harness.databases import everything
from tests.harness.stores import a_mention, begin

A = Thread("T0LOCAL", "C0HR", "100.000001")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bot.db'}"


@pytest.fixture
def _open_to_all() -> Iterator[None]:
    """A umask as careless as there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.mark.usefixtures("_open_to_all")
@pytest.mark.parametrize("is_there", [False, True])
def test_nobody_else_may_read_the_files(tmp_path: Path, url: str, is_there: bool) -> None:
    """Neither a new database's, nor those that an earlier version has left open to others."""
    if is_there:
        store = Store(url)
        begin(store, A)
        for file in tmp_path.iterdir():
            file.chmod(0o644)
    again = Store(url)
    assert again.lock_at_once()
    again.journal.keep_head()
    again.record(a_mention("Ev1", A))
    found = modes(tmp_path)
    assert set(found) >= {
        "bot.db",
        "bot.db-wal",
        "bot.db-shm",
        "bot.db.lock",
        "bot.db.journal-key",
        "bot.db.journal-head",
    }
    assert {name: mode for name, mode in found.items() if mode != 0o600} == {}
    again.close()


def test_what_is_no_file_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(Misconfigured):
        Store(f"sqlite:///{tmp_path}/.")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


# --- size -------------------------------------------------------------------------------------------------------------


def filled(url: str) -> Store:
    """A database of some megabytes, all of threads at rest."""
    store = Store(url)
    for number in range(10):
        turn = begin(store, Thread("T0LOCAL", "C0HR", f"300.{number:06d}"))
        store.add_round(turn, ReplyOutcome(AssistantMessage("x" * 400_000, ()), Usage()))
        store.end_turn(turn, [], last_words=AssistantMessage("done"), usage=None)
    return store


def size(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in ("bot.db", "bot.db-wal") if (folder / name).exists())


def test_the_file_shrinks_after_retention(tmp_path: Path, url: str) -> None:
    store = filled(url)
    full = size(tmp_path)
    assert full > 4_000_000
    assert store.forget(9e9) == 10
    store.shrink()
    assert size(tmp_path) < full / 10
    assert store.record(a_mention("Ev1", A))
    store.close()


def test_the_file_of_an_earlier_version_shrinks_as_well_once_it_was_written_anew(tmp_path: Path, url: str) -> None:
    filled(url).close()
    with sqlite3.connect(tmp_path / "bot.db", isolation_level=None) as db:
        db.execute("pragma auto_vacuum=none")
        db.execute("vacuum")
    before = everything(url)
    store = Store(url)
    store.shrink()  # cannot, and says nothing
    store.make_shrinkable()
    assert everything(url) == before
    full = size(tmp_path)
    store.forget(9e9)
    store.shrink()
    assert size(tmp_path) < full / 10
    store.close()


def test_a_file_that_cannot_be_written_anew_stays_as_it_is(tmp_path: Path, url: str) -> None:
    """Somebody reads it: the next start tries again."""
    filled(url).close()
    with sqlite3.connect(tmp_path / "bot.db", isolation_level=None) as db:
        db.execute("pragma auto_vacuum=none")
        db.execute("vacuum")
    before = everything(url)
    store = Store(url)
    with store._engine.connect() as other:
        other.exec_driver_sql("update inbox set handled = handled")
        with store._by_statement.connect() as db:
            db.exec_driver_sql("pragma busy_timeout=100")
        store.make_shrinkable()
    assert everything(url) == before
    store.close()


def test_who_connects_while_somebody_writes_can_read(tmp_path: Path, url: str) -> None:
    """Nothing of a new connection's preparations waits for the right to write."""
    store = Store(url)
    store._engine.dispose()
    with sqlite3.connect(tmp_path / "bot.db", isolation_level=None) as writer:
        writer.execute("begin immediate")
        assert store.unrested() == ([], [], [])
    store.close()


# --- ten thousand that wait -------------------------------------------------------------------------------------------


class Steps:
    """Counts what SQLite does, in hundreds of its virtual machine's instructions: the same on every machine."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        store._engine.dispose()
        event.listen(store._engine, "connect", lambda connection, _: connection.set_progress_handler(self._step, 100))

    def _step(self) -> int:
        self.count += 1
        return 0


COPIES = """
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 10000)
insert into {table} select {columns} from {table}, numbers where {table}.thread = :thread
"""
OWN = {name: f"{name} || '-' || n" for name in ("turn", "proposal", "token", "card", "thread")} | {"inbox": "-n"}


def wait_in_ten_thousand_threads(parts: BotParts, thread: str) -> None:
    """Copies a thread that waits for a decision, with its request, so often."""
    with sqlite3.connect(parts.url.removeprefix("sqlite:///")) as db:
        for table in ("threads", "turns", "proposals"):
            names = [str(row[1]) for row in db.execute(f"pragma table_info({table})")]
            columns = ", ".join(OWN.get(name, name) for name in names)
            db.execute(COPIES.format(table=table, columns=columns), {"thread": thread})


def a_turn(parts: BotParts) -> None:
    """What a turn costs that ends with a request, and what the clock does meanwhile."""
    parts.replies.will(calls(("DELETE", "/users/7")))
    thread = parts.begin("remove Tom").thread
    AI(thread, parts.system).advance()
    assert len(parts.store.pending_in(thread)) == 1
    assert parts.gate.lose_unanswered() == []
    assert parts.gate.expire_due() == []
    parts.gate.remind_due()
    assert parts.store.next_due() is not None
    parts.press(parts.store.pending_in(thread)[0], "deny")
    AI(thread, parts.system).advance()


def test_ten_thousand_requests_that_wait_cost_a_turn_nothing(tmp_path: Path) -> None:
    parts = BotParts(tmp_path, USERS.format(base="http://127.0.0.1:9"))
    steps = Steps(parts.store)
    parts.replies.will(calls(("DELETE", "/users/7")))
    waiting = parts.ask("remove Tom")
    a_turn(parts)
    steps.count = 0
    a_turn(parts)
    alone = steps.count

    wait_in_ten_thousand_threads(parts, waiting)
    assert len(parts.store.waiting()) == 10_001
    steps.count = 0
    a_turn(parts)
    assert steps.count < 2 * alone + 20, (steps.count, alone)
    parts.close()
