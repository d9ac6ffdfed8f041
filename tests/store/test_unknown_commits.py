"""PostgreSQL is cut off in the middle of a COMMIT, or of a statement that is a transaction of its own: nobody was told that it was done,
and whoever tries again finds what there is."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from gate.policy import State
from slack_io.intake import Intake
from store.database import CatalogOutdated
from store.engine import engine_url, make_engine
from store.store import Store
from tests.harness.databases import opened_before, rows
from tests.harness.stores import BEN, A, a_mention, begin, propose, redrawn
from tests.test_crash import Relay
from workers import jobs
from workers.leases import Leases
from workers.waking import Waking


class Road(Relay):
    """The way to the database. `breaks`: where it breaks at the next end of a transaction that has such a statement, before the server
    hears of it, or after that with the answer."""

    def __init__(self, database: str) -> None:
        super().__init__("http://unused:0")
        url = make_url(database)
        self._server = f"{url.query['host']}/.s.PGSQL.5432"
        self.database = url.set(host="127.0.0.1", port=self.port, query={}).render_as_string(hide_password=False)
        self.breaks, self.at, self.end = "", b"", b""
        self._is_near = self._is_answered_nobody = False

    def _connect(self, here: socket.socket) -> None:
        there = socket.socket(socket.AF_UNIX)
        there.connect(self._server)
        self._taken += [here, there]
        self._between(here, there)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if source.family == socket.AF_UNIX and self._is_answered_nobody:
                    break
                if source.family == socket.AF_INET and self.breaks:
                    self._is_near = self._is_near or self.at in piece
                    if self._is_near and self.end in piece:
                        if self.breaks == "before":
                            break
                        self._is_answered_nobody = True
                sink.sendall(piece)
            self.breaks, self._is_near, self._is_answered_nobody = "", False, False
            for one in (source, sink):
                one.shutdown(socket.SHUT_RDWR)

    def broken(self, breaks: str, at: bytes, end: bytes = b"COMMIT") -> None:
        self.at, self.end, self.breaks = at, end, breaks


@pytest.fixture
def url(tmp_path: Path) -> str:
    return opened_before("postgresql", tmp_path, "k")


@pytest.fixture
def road(url: str) -> Iterator[Road]:
    with Road(url) as road:
        yield road


@pytest.fixture
def store(road: Road) -> Iterator[Store]:
    store = Store(road.database, wakes=Waking(Leases(), jobs), journal_key="k", is_shared=True)
    yield store
    store.close()


RECORDING = b"INSERT INTO inbox"
BREAKS = pytest.mark.parametrize(("breaks", "was_done"), [("before", False), ("after", True)])


@BREAKS
def test_what_slack_sent_is_not_acknowledged_and_recorded_once(
    store: Store, road: Road, url: str, breaks: str, *, was_done: bool
) -> None:
    road.broken(breaks, at=RECORDING, end=RECORDING)
    with pytest.raises(DBAPIError):  # the door answers 503 by it, and Slack sends again
        store.record(a_mention("Ev1"))
    assert len(rows(url, "inbox")) == was_done
    assert store.record(a_mention("Ev1")) is not was_done
    assert len(rows(url, "inbox")) == 1
    assert [row["lock"] for row in rows(url, "procrastinate_jobs")] == [A.key]


@BREAKS
def test_over_the_socket_it_is_not_acknowledged_either(
    store: Store, road: Road, url: str, breaks: str, *, was_done: bool
) -> None:
    event = {
        "type": "app_mention",
        "user": "U0ANN",
        "text": "<@U0BOT> hi",
        "ts": "1.1",
        "channel": "C0HR",
        "event_ts": "1.1",
    }
    envelope = {"type": "event_callback", "team_id": "T0LOCAL", "event_id": "Ev1", "event": event}
    road.broken(breaks, at=RECORDING, end=RECORDING)
    assert Intake(store).record_envelope("events_api", envelope) is False
    assert Intake(store).record_envelope("events_api", envelope) is True
    assert [row["event_id"] for row in rows(url, "inbox")] == ["Ev1"]


@BREAKS
def test_a_catalog_of_which_the_database_does_not_say_that_it_is_taken_is_not(
    store: Store, road: Road, breaks: str, *, was_done: bool
) -> None:
    """So that its file is read again: who thought that it has the newest would never look for what the others know as that."""
    store.take_catalog("old", insists=False)
    road.broken(breaks, b"INSERT INTO catalogs")
    had: list[str] = []
    with pytest.raises(DBAPIError):
        store.take_catalog("new", insists=True, use=lambda: had.append(store.catalog))
    assert (had, store.catalog) == ([], "old")
    with pytest.raises(CatalogOutdated) if was_done else contextlib.nullcontext():
        store.check_catalog()
    store.take_catalog("new", insists=True, use=lambda: had.append(store.catalog))
    store.check_catalog()
    assert (had, store.catalog) == (["old"], "new")


@BREAKS
def test_a_yes_counts_once(store: Store, road: Road, url: str, breaks: str, *, was_done: bool) -> None:
    store.take_up(A.key)
    one = propose(store, begin(store, A))
    road.broken(breaks, b"UPDATE proposals")
    with store.holding(A.key):
        with pytest.raises(DBAPIError):
            store.vote(one.proposal, BEN, 1.0, redrawn)
        assert [row["state"] for row in rows(url, "proposals")] == [State.APPROVED if was_done else State.PENDING]
        again = store.vote(one.proposal, BEN, 1.0, redrawn)
    assert (again is None) is was_done
    assert [row["state"] for row in rows(url, "proposals")] == [State.APPROVED]


def test_what_was_committed_is_on_disk_also_where_the_server_would_take_its_time(url: str) -> None:
    """The tests' server does, by its settings; that a server which ends loses the last of it was seen on a full disk."""
    engine = make_engine(engine_url(url))
    with engine.connect() as db:
        assert db.scalar(text("select reset_val from pg_settings where name = 'synchronous_commit'")) == "off"
        assert db.scalar(text("show synchronous_commit")) == "on"
    engine.dispose()
