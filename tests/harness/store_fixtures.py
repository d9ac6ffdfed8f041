"""A store on each engine, with a clock that stands: fixtures for whoever imports them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.store import Store
from tests.harness.databases import ENGINES, fresh_database, opened_before
from tests.harness.stores import Clock


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database as a first start with the key "k" leaves it."""
    return opened_before(request.param, tmp_path, "k")


@pytest.fixture(params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that nobody has opened yet."""
    return fresh_database(request.param, tmp_path)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until it is set."""
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    """A store on that database."""
    store = Store(url, clock, journal_key="k")
    yield store
    store.close()
