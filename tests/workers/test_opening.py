"""What a start does while its database is away: it waits. Whole processes: test_replicas.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from store.engine import engine_url, make_engine
from tests.harness.databases import fresh_database
from tests.harness.logs import logged
from workers.opening import once_there


@pytest.fixture
def url(tmp_path: Path) -> str:
    return fresh_database("postgresql", tmp_path)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = make_engine(engine_url(url))
    yield made
    made.dispose()


@pytest.mark.parametrize(
    ("befalls", "reason"),
    [
        ("select pg_terminate_backend(pg_backend_pid())", "the server is starting or shutting down"),
        ("set transaction read only; create table anything ()", "it is read-only"),
    ],
    ids=["restarted", "overtaken"],
)
def test_a_server_that_ends_in_the_middle_of_a_start_is_waited_for(
    engine: Engine, url: str, caplog: pytest.LogCaptureFixture, befalls: str, reason: str
) -> None:
    """Also in order: it says so then, where one that is killed says nothing."""
    left = [befalls, "select 1"]

    def start() -> str:
        with engine.begin() as db:
            db.execute(text(left.pop(0)))
        return "started"

    assert once_there(start, url, threading.Event()) == "started"
    assert left == []
    assert reason in logged(caplog, event="waiting for the database")[0]["reason"]
