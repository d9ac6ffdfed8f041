"""The database: opening it, making its tables, refusing what is none; and one process per database."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from base.settings import Misconfigured
from store.store import Store
from store.tables import MIGRATIONS, SERIAL
from store.transcript import UserMessage
from tests.harness.databases import everything, fresh_database, looking_into, rows
from tests.harness.forked_bot import Holder
from tests.harness.stores import ANN, A, admit, begin, race

# --- opening ----------------------------------------------------------------------------------------------------------


def test_an_empty_database_is_made_once_and_found_again(empty: str) -> None:
    first = Store(empty, journal_key="k")
    admit(first, A)
    first.close()
    before = everything(empty)
    second = Store(empty, journal_key="k")
    second.ping()
    second.close()
    assert everything(empty) == before
    assert [row["number"] for row in rows(empty, "migrations")] == list(range(1, len(MIGRATIONS) + 1))


OLD_POST = """insert into posts (post, thread, turn, method, arguments, target, state, ts, created_at)
              values (:post, 'T/C/1', 't', :method, :arguments, null, 'sent', :post, 1)"""


def test_what_an_earlier_version_posted_as_cards_are_cards(empty: str) -> None:
    """A card is one by its column: what its title says is for people."""
    serial = SERIAL["sqlite" if empty.startswith("sqlite") else "postgresql"]
    texts = {"card": [{"type": "header"}], "answer": [{"type": "markdown", "text": '"type": "header"'}], "plain": None}
    with looking_into(empty) as engine, engine.begin() as db:
        for statement in ("create table migrations (number integer primary key)", *itertools.chain(*MIGRATIONS[:7])):
            db.execute(text(statement.format(serial=serial)))
        for number in range(1, 8):
            db.execute(text("insert into migrations values (:number)"), {"number": number})
        for post, blocks in texts.items():
            arguments = json.dumps({"text": "x"} | ({"blocks": blocks} if blocks else {}))
            db.execute(text(OLD_POST), {"post": post, "method": "message", "arguments": arguments})
    store = Store(empty, journal_key="k")
    found = {post: store.message_at("C", post) for post in texts}
    store.close()
    assert {post: one is not None and one.is_card for post, one in found.items()} == {
        "card": True,
        "answer": False,
        "plain": False,
    }


def test_processes_that_open_an_empty_database_at_once_all_find_it_whole(empty: str) -> None:
    def start(_: int) -> None:
        Store(empty, journal_key="k").close()

    race(6, start)
    assert [row["number"] for row in rows(empty, "migrations")] == list(range(1, len(MIGRATIONS) + 1))


def test_the_database_of_a_newer_version_is_refused_with_words(url: str) -> None:
    Store(url, journal_key="k").close()
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("insert into migrations values (:number)"), {"number": len(MIGRATIONS) + 1})
    before = everything(url)
    with pytest.raises(Misconfigured, match="newer version"):
        Store(url, journal_key="k")
    assert everything(url) == before


BAD_URLS = [
    "", "   ", "nonsense", "bot.db", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:",
    "sqlite:///file:x?mode=memory&uri=true", "sqlite:///no/such/folder/bot.db", "sqlite:///.",
    "sqlite+no_such_driver:///bot.db", "postgresql://localhost:no_port/x",
    "postgresql://user@127.0.0.1:1/nobody_listens", "postgresql://user@127.0.0.1:1/x?no_such_option=1",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_URLS)
def test_a_database_url_that_cannot_work_is_told_in_words(bad: str) -> None:
    with pytest.raises(Misconfigured, match=r"^DATABASE_URL: .*\.$"):
        Store(bad, journal_key="k")


def refusal(url: str) -> str:
    with pytest.raises(Misconfigured, match=r"^DATABASE_URL: .*\.$") as told:
        Store(url, journal_key="k")
    assert "hunter2" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://user:hunter2@127.0.0.1:1/x", "cannot use x at 127.0.0.1:1: nothing listens at 127.0.0.1:1: check host and port"),
        ("postgresql://user:hunter2@no-such-host.invalid/x", "there is no host no-such-host.invalid: check the name"),
        ("postgresql://user:hun@ter2@127.0.0.1:1/x", "the password has an @ in it; a password's @ : / # % are written %40"),
        ("postgresql://user:hunter2@127.0.0.1:99999/x", "the address is invalid"),
        ("postgresql:///x?host=/no/such/folder", "no server has its socket at /no/such/folder: write the host's name"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_there_is_told_by_what_is_wrong(url: str, words: str) -> None:
    assert words in refusal(url)


def test_a_server_that_is_no_database_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        threading.Thread(target=greet, args=(other,), daemon=True).start()
        assert f"what answers at {address} is not PostgreSQL: check the port" in refusal(
            f"postgresql://user@{address}/x"
        )
        other.shutdown(socket.SHUT_RDWR)


def greet(door: socket.socket) -> None:
    """Speaks first, as a server of SSH does, until the door is shut."""
    with contextlib.suppress(OSError):
        while True:
            door.accept()[0].sendall(b"SSH-2.0-server\r\n")


def test_a_server_that_does_not_answer_is_told() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        found = refusal(f"postgresql://user:hunter2@127.0.0.1:{port}/x?connect_timeout=2")
    assert f"no answer from 127.0.0.1:{port}: check the host, and firewalls in between" in found


@pytest.fixture(scope="module")
def postgres() -> URL:
    """A database of the session's server, with users that may do less and less."""
    url = make_url(fresh_database("postgresql", Path()))
    with looking_into(url.render_as_string(hide_password=False)) as engine:
        statements = (
            "create role by_password login password 'right'",
            "create role no_login",
            "create role poor login",
            "create role crowded login connection limit 0",
            "create role outside login",
            f"create database {url.database}_closed",
            f"revoke connect on database {url.database}_closed from public",
        )
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            for statement in statements:
                with contextlib.suppress(DBAPIError):  # another process of this run has made that role
                    db.execute(text(statement))
            file = Path(str(db.scalar(text("show hba_file"))))
            file.write_text("local all by_password scram-sha-256\nlocal all outside reject\n" + file.read_text())
            db.execute(text("select pg_reload_conf()"))
    return url


@pytest.mark.xdist_group("roles")  # of one server, which all share
@pytest.mark.parametrize(
    ("user", "more", "words"),
    [
        ("by_password:hunter2", "", "the server rejects by_password's password: check user and password"),
        ("by_password", "", "the server asks for by_password's password: write postgresql://user:password@host/name"),
        ("nobody", "", "the server has no user nobody: create it, or write another name"),
        ("no_login", "", "no_login may not log in: alter role no_login login"),
        ("poor", "", "poor may not create tables in {name}: grant create on schema public to poor"),
        ("poor", "_closed", "poor may not connect to {name}_closed: grant connect on database {name}_closed to poor"),
        ("crowded", "", "the server has no connection left for crowded"),
        ("outside", "", "the server does not accept outside from this machine: add it to pg_hba.conf"),
        (
            "postgres",
            "_gone",
            "the server has no database {name}_gone: create it (createdb {name}_gone), or write another name",
        ),
    ],
)
def test_a_server_that_refuses_is_told_by_what_it_wants(postgres: URL, user: str, more: str, words: str) -> None:
    name, _, password = user.partition(":")
    url = postgres.set(username=name, password=password or None, database=f"{postgres.database}{more}")
    found = refusal(url.render_as_string(hide_password=False))
    assert words.format(name=postgres.database) in found


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda path: path.mkdir(),
            "the file cannot be opened: it may be a folder, or the bot may lack write permission",
        ),
        (
            lambda path: path.write_text("No database. " * 100),
            "the file is not an SQLite database: choose another name",
        ),
    ],
)
def test_a_file_that_is_no_database_is_told(make: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    make(tmp_path / "bot.db")
    assert words in refusal(f"sqlite:///{tmp_path / 'bot.db'}")


# --- one process per database -----------------------------------------------------------------------------------------


def test_a_second_process_waits_until_the_first_has_died(url: str, tmp_path: Path) -> None:
    with Holder(url, tmp_path / "first") as first:
        assert first.line() == "locked\n"
        with Holder(url, tmp_path / "second") as second:
            assert "another process works on this database" in second.line()
            assert second.is_there()
            first.kill()
            assert second.line() == "locked\n"


def test_who_waits_for_the_lock_can_be_told_to_stop(store: Store, url: str) -> None:
    store.lock(threading.Event())
    stop = threading.Event()
    stop.set()
    other = Store(url, journal_key="k")
    with pytest.raises(SystemExit) as ended:
        other.lock(stop)
    assert ended.value.code == 0
    other.close()
    assert store.still_alone()


def test_locks_of_different_databases_do_not_meet(store: Store, tmp_path: Path, url: str) -> None:
    (tmp_path / "other").mkdir()
    other = Store(fresh_database(url.partition(":")[0], tmp_path / "other"), journal_key="k")
    store.lock(threading.Event())
    other.lock(threading.Event())
    assert store.still_alone()
    assert other.still_alone()
    other.close()


def test_a_lost_lock_is_noticed(store: Store, url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a lock on a file is not lost while the process lives")
    store.lock(threading.Event())
    with looking_into(url) as engine, engine.begin() as db:
        others = "pid <> pg_backend_pid() and datname = current_database()"
        db.execute(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
    assert not store.still_alone()


def test_the_lock_keeps_nobody_from_reading_and_writing(store: Store) -> None:
    store.lock(threading.Event())
    begin(store)
    assert store.transcript(A.key, ANN) == [UserMessage("hello", ANN)]
