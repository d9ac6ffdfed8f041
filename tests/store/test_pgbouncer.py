"""What the store needs of a PostgreSQL that PgBouncer stands before, with a session of the server for each transaction alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from base.settings import Misconfigured
from store.database_words import is_away, unusable
from store.engine import DatabaseAway, engine_url, make_engine
from store.server_backup import url_for_programs
from store.store import Store
from tests.harness.databases import fresh_database, looking_into
from tests.harness.pgbouncer import PgBouncer, needs_pgbouncer, pooling

pytestmark = [pytest.mark.waits, needs_pgbouncer]
_WAITS = "query_wait_timeout = 2\n"  # seconds


@pytest.fixture
def database(tmp_path: Path) -> str:
    return fresh_database("postgresql", tmp_path)


@pytest.fixture
def bouncer(database: str) -> Iterator[PgBouncer]:
    """With two sessions of the server."""
    with pooling(database, more=f"default_pool_size = 2\n{_WAITS}") as running:
        yield running


def locks(database: str) -> int:
    with looking_into(database) as engine, engine.connect() as db:
        return int(
            db.scalar(
                text(
                    """select count(*) from pg_locks where locktype = 'advisory'
                       and database = (select oid from pg_database where datname = current_database())"""
                )
            )
            or 0
        )


def test_the_lock_of_a_database_is_one_processs_and_goes_with_it(database: str, bouncer: PgBouncer) -> None:
    first, second = (Store(bouncer.url(database), journal_key="k") for _ in range(2))
    assert first.lock_at_once()
    assert not second.lock_at_once()
    first.journal.verify()  # what else it asks may come by the other session
    first.close()
    assert locks(database) == 0
    assert second.lock_at_once()
    second.close()
    assert locks(database) == 0


def test_who_holds_the_lock_may_take_its_time(database: str, bouncer: PgBouncer) -> None:
    """A server ends transactions in which nothing happens, and the lock would go with that."""
    with looking_into(database) as engine, engine.begin() as db:
        name = make_url(database).database
        db.execute(text(f"alter database {name} set idle_in_transaction_session_timeout = '50ms'"))
    store = Store(bouncer.url(database), journal_key="k")
    assert store.lock_at_once()
    with looking_into(database) as engine, engine.connect() as db:
        db.execute(text("select pg_sleep(0.5)"))
    assert store.still_alone()
    store.close()


def test_backups_go_past_pgbouncer(database: str, bouncer: PgBouncer) -> None:
    """pg_restore leaves a session behind in which no table is found by its name alone."""
    through = bouncer.url(database)
    with pytest.raises(Misconfigured, match="DATABASE_LISTEN_URL"):
        url_for_programs(through, None)
    assert url_for_programs(through, database) == url_for_programs(database, None) == engine_url(database)


@pytest.mark.parametrize("listen", ["sqlite:///bot.db", "mysql://u:p@h/d", "nonsense"])
def test_an_address_for_listen_that_is_none_is_told_by_its_name(database: str, listen: str) -> None:
    with pytest.raises(Misconfigured, match=r"^DATABASE_LISTEN_URL: "):
        url_for_programs(database, listen)


def test_a_server_that_pgbouncer_does_not_reach_is_waited_for(database: str) -> None:
    nowhere = make_url(database).set(port=1).render_as_string(hide_password=False)
    with pooling(nowhere, more=_WAITS) as running, pytest.raises(DatabaseAway, match="no connection to its server"):
        Store(running.url(database), journal_key="k")
    later = (
        "server login has been failing, try again later (server_login_retry)"  # once it has reached that server before
    )
    assert is_away(later)
    assert "cannot reach its server" in unusable(later, host="h", user="u", name="d")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("max_client_conn = 1\n", "accepts no more connections"),
        ("default_pool_size = 1\n", "no connection to its server"),
    ],
)
def test_a_pgbouncer_that_is_used_up_is_waited_for(database: str, more: str, words: str) -> None:
    with (
        pooling(database, more=_WAITS + more) as running,
        psycopg.connect(running.url(database)) as held,
    ):
        held.execute("select 1")
        with pytest.raises(DatabaseAway, match=words):
            Store(running.url(database), journal_key="k")


def test_what_is_told_in_a_session_that_somebody_listened_in_is_passed_over(database: str) -> None:
    """The driver would keep each word until the process ends."""
    with pooling(database, more="default_pool_size = 1\n") as running:
        with psycopg.connect(running.url(database), autocommit=True) as listening:
            listening.execute("listen rest_in_slack")
        engine = make_engine(engine_url(running.url(database)))
        heard = list[object]()
        with engine.connect() as db:
            made = db.connection.driver_connection
            assert made is not None
            made.add_notify_handler(heard.append)
            db.execute(text("select pg_notify('rest_in_slack', 'news')"))
            db.commit()
            assert heard  # it came
            made.remove_notify_handler(heard.append)
            db.execute(text("select pg_notify('rest_in_slack', 'news')"))
            db.commit()
            with warnings.catch_warnings(action="ignore"):  # that who passes news over hears none by this way
                assert list(made.notifies(timeout=0)) == []
        engine.dispose()
