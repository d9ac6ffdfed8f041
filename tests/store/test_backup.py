"""Backups of a SQLite database: while others write, whole or not at all, whatever kills them; and back."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from base.settings import Misconfigured
from store.backup import back_up, check_backup, restore
from store.files import whole
from store.journal.hash_chain import JournalEntry
from store.store import Store
from store.tables import MIGRATIONS
from tests.harness.stores import ANN, A, Clock, begin

NOW = 1_000_000.0


def make(folder: Path, entries: int = 5, key: str | None = None, size: int = 500) -> Path:
    """A database with a turn and so many entries in its journal, each of so many random bytes."""
    database = folder / "bot.db"
    with closing(Store(f"sqlite:///{database}", Clock(NOW), journal_key=key)) as store:
        begin(store)
        write(store, entries, size)
        store.journal.keep_head()
    return database


def write(store: Store, entries: int, size: int = 500) -> None:
    store.note("", "", [JournalEntry("find", {"words": os.urandom(size).hex()}) for _ in range(entries)])


def backed_up(database: Path, *, key_is_given: bool = False) -> Path:
    file = database.with_name("backup")
    back_up(database, file, key_is_given=key_is_given, clock=lambda: NOW)
    return file


def put(file: Path, database: Path, *, force: bool = False) -> Path | None:
    return restore(file, database, lambda _database, _key: None, force=force)


def entries_of(database: Path) -> int:
    """How many entries the journal of a database has, which has to be whole, under the key beside it."""
    with closing(Store(f"sqlite:///{database}")) as store:
        store.journal.check_key()
        broken, _, number = store.journal.verify()
        assert broken is None
        assert store.journal.missing() is None
        return number


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty place for a restore."""
    folder = tmp_path / "new"
    folder.mkdir()
    return folder / "bot.db"


# --- there and back ---------------------------------------------------------------------------------------------------


def test_database_key_and_head_go_there_and_back_in_one_file(tmp_path: Path, place: Path) -> None:
    database = make(tmp_path)
    file = backed_up(database)
    assert put(file, place) is None
    assert entries_of(place) == 6
    for end in (".journal-key", ".journal-head"):
        assert place.with_name(place.name + end).read_text() == database.with_name(database.name + end).read_text()
    with closing(Store(f"sqlite:///{place}")) as store:
        turn = store.next_turn(A.key)
        assert turn is not None
        assert (turn.asker, turn.text) == (ANN, "hello")
        found = store.restored()
        assert found is not None
        assert (found.at, found.replaced) == (NOW, "")


def test_the_key_does_not_stay_in_the_database(tmp_path: Path, place: Path) -> None:
    database = make(tmp_path)
    key = (tmp_path / "bot.db.journal-key").read_text().strip().encode()
    file = backed_up(database)
    assert key in file.read_bytes()
    put(file, place)
    assert key not in place.read_bytes()


def test_a_key_that_is_set_stays_out_of_the_file(tmp_path: Path) -> None:
    file = backed_up(make(tmp_path, key="a secret of ours"), key_is_given=True)
    assert check_backup(file) is False
    assert b"a secret of ours" not in file.read_bytes()


@pytest.mark.parametrize("is_there", [False, True])
def test_the_files_are_for_this_user_alone(tmp_path: Path, place: Path, is_there: bool) -> None:
    before = os.umask(0)
    try:
        database = make(tmp_path)
        if is_there:
            (tmp_path / "backup").write_text("an earlier one")
            (tmp_path / "backup").chmod(0o644)
        put(backed_up(database), place)
    finally:
        os.umask(before)
    for file in (tmp_path / "backup", *place.parent.iterdir()):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_what_is_replaced_is_kept_and_its_journals_head_told(tmp_path: Path) -> None:
    database = make(tmp_path)
    file = backed_up(database)
    with closing(Store(f"sqlite:///{database}")) as store:
        write(store, 3)
        head = str(store.journal.keep_head())
    with pytest.raises(Misconfigured, match="With --force the backup replaces it"):
        put(file, database)
    aside = put(file, database, force=True)
    assert aside is not None
    assert aside.name.startswith("bot.db.replaced-")
    assert entries_of(database) == 6
    with closing(Store(f"sqlite:///{database}")) as store:
        found = store.restored()
        assert found is not None
        assert found.replaced == head
    with closing(sqlite3.connect(aside)) as old:
        assert old.execute("select count(*) from journal").fetchone() == (9,)
    assert names(tmp_path) == {
        "bot.db",
        "bot.db.lock",
        "bot.db.journal-key",
        "bot.db.journal-head",
        "backup",
        aside.name,
    }


def test_the_key_of_another_database_is_kept_too(tmp_path: Path, place: Path) -> None:
    file = backed_up(make(tmp_path))
    make(place.parent, 50)
    old_key = (place.parent / "bot.db.journal-key").read_text()
    put(file, place, force=True)
    assert entries_of(place) == 6
    (kept,) = place.parent.glob("bot.db.journal-key.replaced-*")
    assert kept.read_text() == old_key


def test_a_backup_of_what_was_put_back_and_not_started_since_is_one(tmp_path: Path, place: Path) -> None:
    put(backed_up(make(tmp_path)), place)
    again = place.with_name("again")
    back_up(place, again, key_is_given=False)
    put(again, place, force=True)
    assert entries_of(place) == 6


def test_a_database_behind_a_link_stays_behind_it(tmp_path: Path) -> None:
    """With the key and the head where the bot looks for them: beside the link."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "bot.db").symlink_to(tmp_path / "disk" / "real.db")
    database = make(tmp_path)
    file = backed_up(database)
    with closing(Store(f"sqlite:///{database}")) as store:
        write(store, 3)
    put(file, database, force=True)
    assert database.is_symlink()
    assert entries_of(database) == 6
    assert {"bot.db.journal-key", "bot.db.journal-head"} <= names(tmp_path)


def test_a_database_that_is_damaged_is_replaced_and_kept(tmp_path: Path) -> None:
    database = make(tmp_path)
    file = backed_up(database)
    database.write_bytes(b"not a database any more" * 1_000)
    assert put(file, database, force=True) is not None
    assert entries_of(database) == 6


# --- while others work on it ------------------------------------------------------------------------------------------


class Load:
    """A bot's store that writes all the time."""

    def __init__(self, database: Path) -> None:
        self._store = Store(f"sqlite:///{database}")
        assert self._store.lock_at_once()
        self._stop = threading.Event()
        self.written = 0
        self._threads = [threading.Thread(target=self._write) for _ in range(3)]

    def _write(self) -> None:
        while not self._stop.is_set():
            write(self._store, 3)
            self.written += 3

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._store.close()


def test_a_backup_under_load_is_whole_and_holds_up_nobody(tmp_path: Path, place: Path) -> None:
    database = make(tmp_path, 500, size=5_000)
    with Load(database) as load:
        for _ in range(3):
            before = load.written
            file = backed_up(database)
            assert check_backup(file)
        assert load.written > before
    put(file, place)
    assert entries_of(place) >= 501 + before


def killed_in_its_middle(work: Callable[[], object], seconds: float) -> bool:
    """Does work in a process of its own that is killed after so many seconds; whether it was under way still."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def moments(longest: float) -> Iterator[float]:
    """From at once to well after the work's end."""
    chance = random.Random(7)
    return (chance.uniform(0, longest) for _ in itertools.count())


def took(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_backup_that_is_killed_leaves_the_one_before(tmp_path: Path) -> None:
    database = make(tmp_path, 200, size=5_000)
    file = backed_up(database)
    longest, kills = took(lambda: backed_up(database)) * 1.2, 0
    for seconds in itertools.islice(moments(longest), 10):
        before = file.read_bytes()
        kills += killed_in_its_middle(lambda: backed_up(database), seconds)
        assert check_backup(file)
        assert file.stat().st_size == len(before)
    assert kills > 2
    backed_up(database)
    assert not [name for name in names(tmp_path) if ".half" in name]


def test_a_restore_that_is_killed_leaves_what_was_there_or_the_backup(tmp_path: Path) -> None:
    database = make(tmp_path, 200, size=5_000)
    file = backed_up(database)
    with closing(Store(f"sqlite:///{database}")) as store:
        write(store, 20)
    longest, kills, found = took(lambda: put(file, database, force=True)) * 1.2, 0, set()
    for seconds in itertools.islice(moments(longest), 10):
        with closing(Store(f"sqlite:///{database}")) as store:
            write(store, 221 - entries_of(database))
            store.journal.keep_head()
        kills += killed_in_its_middle(lambda: put(file, database, force=True), seconds)
        found.add(entries_of(database))
    assert found <= {201, 221}
    assert kills > 2
    put(file, database, force=True)
    assert entries_of(database) == 201
    assert not [name for name in names(tmp_path) if ".half" in name]


def test_two_at_once_do_not_write_one_file(tmp_path: Path) -> None:
    database = make(tmp_path)
    with whole(tmp_path / "backup"), pytest.raises(Misconfigured, match="Another process is writing"):
        backed_up(database)
    assert check_backup(backed_up(database))


def test_a_restore_waits_for_no_bot(tmp_path: Path) -> None:
    database = make(tmp_path)
    file = backed_up(database)
    with Load(database), pytest.raises(Misconfigured, match="The bot is running on this database"):
        put(file, database, force=True)
    assert entries_of(database) > 6


def test_a_database_that_somebody_looks_into_is_not_replaced(tmp_path: Path) -> None:
    """At its end that process would take away what SQLite has beside the new one."""
    database = make(tmp_path)
    file = backed_up(database)
    with closing(Store(f"sqlite:///{database}")) as store:
        write(store, 1)
        with pytest.raises(Misconfigured, match="Another program has the database open"):
            put(file, database, force=True)
    assert entries_of(database) == 7


# --- what is no backup ------------------------------------------------------------------------------------------------


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5_000])


def end_early(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3_000])


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    for number in range(1, len(content) // page):
        content[number * page : number * page + 8] = b"\xff" * 8
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def other(file: Path) -> None:
    file.write_text("Dear all,\n")


def dump(file: Path) -> None:
    file.write_bytes(b"PGDMP\x01\x0e")


def database(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as made:
        made.execute("create table journal (number integer)")
        made.commit()


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as made:
        made.execute(f"insert into migrations values ({len(MIGRATIONS) + 1})")
        made.commit()


def gone(file: Path) -> None:
    file.unlink()


SPOILS: list[tuple[Callable[[Path], None], str]] = [
    (cut, r"was cut off: it has [\d,]+ of [\d,]+ bytes. Nothing was changed."),
    (end_early, "was cut off"),
    (damage, "is damaged: .*. Nothing was changed."),
    (empty, "is not a backup of this bot: `python bot.py backup FILE` makes one."),
    (other, "is not a backup of this bot"),
    (dump, "is a backup of a PostgreSQL database; set DATABASE_URL"),
    (database, "is a SQLite database, but no backup of this bot"),
    (newer, "comes from a newer version of the bot .*; restore it with that version."),
    (gone, "Cannot read .*: No such file or directory."),
]


def test_what_is_no_whole_backup_is_told_and_changes_nothing(tmp_path: Path, place: Path) -> None:
    file = backed_up(make(tmp_path))
    good = file.read_bytes()
    make(place.parent, 2)
    for spoil, told in SPOILS:
        file.write_bytes(good)
        spoil(file)
        with pytest.raises(Misconfigured, match=told):
            pytest.fail(f"{spoil.__name__}: put back {put(file, place, force=True)}")
        assert entries_of(place) == 3, spoil.__name__
        assert not [name for name in names(place.parent) if ".half" in name or "replaced" in name], spoil.__name__


def test_a_backup_whose_check_fails_changes_nothing(tmp_path: Path, place: Path) -> None:
    file = backed_up(make(tmp_path))
    make(place.parent, 2)

    def refuse(_database: Path, _key: str | None) -> None:
        raise Misconfigured("no")

    with pytest.raises(Misconfigured, match="no"):
        restore(file, place, refuse, force=True)
    assert entries_of(place) == 3
    assert not [name for name in names(place.parent) if ".half" in name or "replaced" in name]


@pytest.mark.parametrize("goal", ["bot.db", "no such folder/backup", "folder"])
def test_a_backup_that_cannot_be_written_is_told(tmp_path: Path, goal: str) -> None:
    database = make(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(Misconfigured):
        back_up(database, tmp_path / goal, key_is_given=False)
    assert entries_of(database) == 6
    assert not [name for name in names(tmp_path) if ".half" in name]


def test_without_a_database_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="there is no database at"):
        back_up(tmp_path / "bot.db", tmp_path / "backup", key_is_given=False)
    assert names(tmp_path) == set()


def test_what_was_under_way_is_known_in_the_backup(tmp_path: Path, place: Path) -> None:
    put(backed_up(make(tmp_path)), place)
    with closing(Store(f"sqlite:///{place}")) as store:
        assert store.unrested()[1] == [A.key]
        found = store.restored()
        assert found is not None
        assert store.end_restored(found, "ended", lambda: "an id") == 1
        assert store.restored() is None
        assert store.unrested() == ([], [], [A.key])
