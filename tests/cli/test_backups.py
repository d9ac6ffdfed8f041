"""`python bot.py backup` and `restore` as an operator meets them, on a file and on PostgreSQL."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot import main
from store.journal.hash_chain import JournalEntry
from store.process_lock import ServerLock
from store.store import Store
from tests.harness.databases import fresh_database, looking_into, opened_before, rows
from tests.harness.postgres import programs
from tests.harness.stores import begin

FILE = {"DATABASE_URL": "sqlite:///bot.db"}
NEXT = "Start the bot: it ends what was under way when the backup was made"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def run(*arguments: str, **settings: str) -> Result:
    nothing = dict.fromkeys(os.environ) | {"PATH": os.environ.get("PATH", "")}
    before = os.umask(0o022)
    try:
        return CliRunner().invoke(main, arguments, env=nothing | settings)
    finally:
        os.umask(before)


def make(url: str, key: str | None = None, entries: int = 3) -> None:
    with closing(Store(url, journal_key=key)) as store:
        begin(store)
        for _ in range(entries):
            store.note("", "", [JournalEntry("find", {"words": "w"})])
        store.journal.keep_head()


# --- on a file --------------------------------------------------------------------------------------------------------


def test_a_backup_and_a_restore_say_what_they_did(tmp_path: Path) -> None:
    make("sqlite:///bot.db")
    done = run("backup", "kept", **FILE)
    assert (done.exit_code, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"Backed up to kept: 4 entries of the journal, [\d,]+ bytes\.", first)
    assert second == "It contains the journal's key, so store it as you would a key."
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o600

    done = run("restore", "kept", DATABASE_URL="sqlite:///new.db")
    assert (done.exit_code, done.stderr) == (0, "")
    checked, restored, then = done.stdout.splitlines()
    assert checked.startswith("4 entries, the chain is intact. Head: 4:")
    assert restored == "Restored kept to new.db."
    assert then.startswith(NEXT)

    done = run("restore", "kept", **FILE)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("There is already a database at ")
    done = run("restore", "--force", "kept", **FILE)
    assert done.exit_code == 0
    assert re.search(
        r"^What was there before is kept as \S+bot\.db\.replaced-\d{8}T\d{6}Z; remove it", done.stdout, re.M
    )
    assert run("journal", "--verify", **FILE).exit_code == 0


def test_a_key_that_is_set_is_needed_again() -> None:
    make("sqlite:///bot.db", "ours")
    done = run("backup", "kept", **FILE, JOURNAL_KEY="ours")
    assert done.stdout.splitlines()[1] == "JOURNAL_KEY is not in it: keep that as well."
    new = "sqlite:///new.db"
    done = run("restore", "kept", DATABASE_URL=new)
    assert done.exit_code == 2
    assert done.stderr.startswith(
        "kept was made where JOURNAL_KEY was set, and it is not set here. Set it to the same key."
    )
    done = run("restore", "kept", DATABASE_URL=new, JOURNAL_KEY="theirs")
    assert (done.exit_code, "JOURNAL_KEY does not match the journal" in done.stderr) == (2, True)
    assert not Path("new.db").exists()
    assert run("restore", "kept", DATABASE_URL=new, JOURNAL_KEY="ours").exit_code == 0
    assert not Path("new.db.journal-key").exists()


def test_a_journal_that_is_not_whole_is_restored_and_told() -> None:
    """It may be the only backup that there is."""
    make("sqlite:///bot.db")
    with looking_into("sqlite:///bot.db") as engine, engine.begin() as db:
        db.exec_driver_sql("update journal set data = '{}' where number = 2")
    run("backup", "kept", **FILE)
    done = run("restore", "kept", DATABASE_URL="sqlite:///new.db")
    assert (done.exit_code, "The journal is broken at entry 2" in done.stdout) == (1, True)
    assert NEXT not in done.stdout
    assert done.stdout.splitlines()[-1].startswith(
        "Find out first what happened to the journal, or restore an older backup."
    )
    assert "Restored kept to new.db." in done.stdout


def test_a_running_bot_is_told() -> None:
    make("sqlite:///bot.db")
    run("backup", "kept", **FILE)
    with closing(Store("sqlite:///bot.db")) as store:
        assert store.lock_at_once()
        for arguments in (("restore", "--force", "kept"), ("restore", "--by-hand")):
            done = run(*arguments, **FILE)
            assert (done.exit_code, done.stdout) == (2, "")
            assert done.stderr.startswith("The bot is running on this database. Stop it first")
        assert run("backup", "again", **FILE).exit_code == 0


def test_what_was_put_back_by_other_means_is_marked_for_the_next_start() -> None:
    make("sqlite:///bot.db")
    done = run("restore", "--by-hand", **FILE)
    assert (done.exit_code, done.stdout.splitlines()[-1].startswith(NEXT)) == (0, True)
    with closing(Store("sqlite:///bot.db")) as store:
        assert store.restored() is not None


def test_what_was_put_back_by_other_means_needs_its_own_key() -> None:
    """It is marked all the same: no bot goes on with it as if it were its own."""
    make("sqlite:///bot.db", "ours")
    done = run("restore", "--by-hand", **FILE, JOURNAL_KEY="theirs")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("JOURNAL_KEY does not match the journal")
    with closing(Store("sqlite:///bot.db", journal_key="ours")) as store:
        assert store.restored() is not None


@pytest.mark.parametrize("arguments", [("restore",), ("restore", "--by-hand", "kept"), ("backup",)])
def test_what_is_missing_is_asked_for(arguments: tuple[str, ...]) -> None:
    assert run(*arguments, **FILE).exit_code == 2


def test_without_a_database_that_is_told() -> None:
    done = run("backup", "kept", **FILE)
    assert (done.exit_code, done.stderr.startswith("DATABASE_URL: there is no database at bot.db")) == (2, True)
    assert list(Path().iterdir()) == []


# --- on PostgreSQL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A bot's database on PostgreSQL, and the programs of that very server."""
    url = opened_before("postgresql", tmp_path, "ours")
    monkeypatch.setenv("PATH", f"{programs()}{os.pathsep}{os.environ['PATH']}")
    make(url, "ours")
    return {"DATABASE_URL": url, "JOURNAL_KEY": "ours"}


def test_on_a_server_there_and_back(server: dict[str, str], tmp_path: Path) -> None:
    done = run("backup", "kept", **server)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "JOURNAL_KEY is not in it: keep that as well." in done.stdout
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o600

    with closing(Store(server["DATABASE_URL"], journal_key="ours")) as store:
        store.note("", "", [JournalEntry("find", {"words": "since then"})])
    done = run("restore", "kept", **server)
    assert (done.exit_code, "there is already a bot's database. With --force" in done.stderr) == (2, True)
    assert "nothing of it is kept" in done.stderr
    done = run("restore", "--force", "kept", **server)
    assert (done.exit_code, done.stderr) == (0, "")
    checked, restored, then = done.stdout.splitlines()
    assert checked.startswith("4 entries, the chain is intact. Head: 4:")
    assert restored == "Restored kept to the database of DATABASE_URL."
    assert then.startswith(NEXT)

    empty = {"DATABASE_URL": fresh_database("postgresql", tmp_path), "JOURNAL_KEY": "ours"}
    assert run("restore", "kept", **empty).exit_code == 0
    for one in (server, empty):
        assert len(rows(one["DATABASE_URL"], "journal")) == 4
        with closing(Store(one["DATABASE_URL"], journal_key="ours")) as store:
            found = store.restored()
            assert found is not None
            assert store.end_restored(found, "ended", lambda: "an id") == 1
            assert store.restored() is None


def test_on_a_server_a_dump_that_was_cut_off_changes_nothing(server: dict[str, str]) -> None:
    assert run("backup", "kept", **server).stderr == ""
    kept = Path("kept")
    kept.write_bytes(kept.read_bytes()[: kept.stat().st_size * 2 // 3])
    done = run("restore", "--force", "kept", **server)
    assert done.exit_code == 2
    assert re.match(r"pg_restore: .* Nothing was changed\.", done.stderr)
    assert len(rows(server["DATABASE_URL"], "journal")) == 4
    with closing(Store(server["DATABASE_URL"], journal_key="ours")) as store:
        assert store.restored() is None


def test_on_a_server_a_running_bot_is_told(server: dict[str, str]) -> None:
    run("backup", "kept", **server)
    with looking_into(server["DATABASE_URL"]) as engine:
        lock = ServerLock(engine)
        assert lock.take()
        done = run("restore", "--force", "kept", **server)
    assert (done.exit_code, "The bot is running on this database" in done.stderr) == (2, True)


def test_on_a_server_processes_that_share_it_are_told(server: dict[str, str]) -> None:
    run("backup", "kept", **server)
    with closing(Store(server["DATABASE_URL"], journal_key="ours", is_shared=True)) as store:
        store.beat(None)
    for arguments in (("restore", "--force", "kept"), ("restore", "--by-hand")):
        done = run(*arguments, **server)
        assert (done.exit_code, "The bot is running on this database" in done.stderr) == (2, True)
    with closing(Store(server["DATABASE_URL"], journal_key="ours", is_shared=True)) as store:
        assert store.restored() is None


@pytest.mark.parametrize(("command", "program"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_where_the_servers_programs_are_not_there_it_says_what_to_do(
    server: dict[str, str], tmp_path: Path, command: str, program: str
) -> None:
    Path("kept").write_bytes(b"PGDMP")
    done = run(command, "kept", **server, PATH=str(tmp_path))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{program} is not installed here. Install PostgreSQL's client programs")
    assert "python bot.py restore --by-hand" in done.stderr


def test_on_a_server_what_is_no_dump_is_told(server: dict[str, str]) -> None:
    for content in (b"", b"SQLite format 3\0", b"Dear all"):
        Path("kept").write_bytes(content)
        done = run("restore", "--force", "kept", **server)
        assert (done.exit_code, "is not a backup of a PostgreSQL database" in done.stderr) == (2, True), content


def test_a_password_is_in_no_message(tmp_path: Path) -> None:
    url = "postgresql://somebody:s3cret-word@127.0.0.1:9/none"
    for command in ("backup", "restore"):
        Path("kept").write_bytes(b"PGDMP")
        done = run(command, "kept", DATABASE_URL=url, JOURNAL_KEY="k")
        assert done.exit_code == 2
        assert "s3cret-word" not in done.output
