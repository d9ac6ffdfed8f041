"""A SQLite database with its journal's key and head in one file, and back: while a bot works on it, and whole or not at all.

A backup is a SQLite database itself, with one table more (`store/restored.py`): so it can be looked into, and one that somebody copied
into place by hand is known for what it is. What a server keeps is backed up by that server's own tools: `store/server_backup.py`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from base.settings import Misconfigured
from store.files import keep_aside, put, remove, sync, whole
from store.process_lock import FileLock
from store.restored import BACKUP, MADE
from store.tables import MIGRATIONS

_MAGIC = b"SQLite format 3\0"
_OF_A_SERVER = b"PGDMP"
_PATIENCE = 10.0  # seconds for which a database that is locked is waited for
_IN_USE = "Another program has the database open. Close it, then try again."
IS_RUNNING = "The bot is running on this database. Stop it first, and start it again afterwards."


@dataclass(frozen=True)
class Kept:
    """What a backup has: entries of the journal, bytes, and whether the journal's key is with it."""

    entries: int
    size: int
    has_key: bool


# --- there ------------------------------------------------------------------------------------------------------------


def back_up(database: Path, goal: Path, *, key_is_given: bool, clock: Callable[[], float] = time.time) -> Kept:
    """Writes the backup of a database, whoever works on it meanwhile. `key_is_given`: the journal's key is JOURNAL_KEY, which stays out
    of the file. Raises `Misconfigured`."""
    if not database.exists():
        raise Misconfigured(f"DATABASE_URL: there is no database at {database}; run this where the bot runs.")
    if goal.exists() and goal.samefile(database):
        raise Misconfigured(f"{goal} is the bot's database; name another file.")
    key = (
        None if key_is_given else _text(_key_of(database))
    )  # before the database, which may have more than its head says, not less
    head = _text(_head_of(database))
    try:
        with whole(goal) as half, closing(_open(database)) as source, closing(sqlite3.connect(half)) as copy:
            source.backup(copy)  # in one step: with several, each write in between would begin it again
            return _seal(copy, half, key, head, clock())
    except sqlite3.Error as error:
        raise Misconfigured(f"DATABASE_URL: {database} cannot be copied: {error}.") from None


def _seal(copy: sqlite3.Connection, half: Path, key: str | None, head: str | None, at: float) -> Kept:
    """Adds what lies beside the database, and looks the copy through."""
    copy.execute("pragma journal_mode=delete")  # one file, without any beside it
    copy.execute(MADE)
    copy.execute(f"delete from {BACKUP}")  # noqa: S608 - a constant: of a database that was put back and not started since
    copy.execute(f"insert into {BACKUP} values (?, ?, ?, ?, null)", (at, at, key, head))  # noqa: S608 - a constant
    copy.commit()
    _check_whole(copy, "the database")
    (entries,) = copy.execute("select count(*) from journal").fetchone()
    copy.close()
    return Kept(entries, half.stat().st_size, key is not None)


# --- and back ---------------------------------------------------------------------------------------------------------


def check_backup(file: Path) -> bool:
    """Whether a backup has the journal's key. Raises `Misconfigured` where it is none, or not whole."""
    try:
        with file.open("rb") as opened:
            begin = opened.read(32)
    except OSError as error:
        raise Misconfigured(f"Cannot read {file}: {error.strerror}.") from None
    if begin.startswith(_OF_A_SERVER):
        raise Misconfigured(
            f"{file} is a backup of a PostgreSQL database; set DATABASE_URL to the database to restore."
        )
    if not begin.startswith(_MAGIC):
        raise Misconfigured(f"{file} is not a backup of this bot: `python bot.py backup FILE` makes one.")
    page = int.from_bytes(begin[16:18], "big")
    expected = (65_536 if page == 1 else page) * int.from_bytes(begin[28:32], "big")
    if (size := file.stat().st_size) < expected:
        raise Misconfigured(f"{file} was cut off: it has {size:,} of {expected:,} bytes. Nothing was changed.")
    try:
        with closing(sqlite3.connect(_uri(file, "mode=ro&immutable=1"), uri=True)) as backup:
            return _check_backup(backup, file)
    except sqlite3.Error as error:
        raise Misconfigured(f"{file} is damaged: {error}. Nothing was changed.") from None


def _check_backup(backup: sqlite3.Connection, file: Path) -> bool:
    there = {name for (name,) in backup.execute("select name from sqlite_master where type = 'table'")}
    if not {BACKUP, "migrations", "journal"} <= there:
        raise Misconfigured(
            f"{file} is a SQLite database, but no backup of this bot: `python bot.py backup FILE` makes one."
        )
    (done,) = backup.execute("select count(*) from migrations").fetchone()
    if done > len(MIGRATIONS):
        raise Misconfigured(
            f"{file} comes from a newer version of the bot (migration {done}); restore it with that version."
        )
    _check_whole(backup, str(file))
    (key,) = backup.execute(f"select journal_key from {BACKUP}").fetchone()  # noqa: S608 - a constant
    return key is not None


def _check_whole(database: sqlite3.Connection, what: str) -> None:
    (found,) = database.execute("pragma integrity_check(1)").fetchone()
    if found != "ok":
        raise Misconfigured(f"{what} is damaged: {found.splitlines()[-1]}. Nothing was changed.")


def restore(file: Path, database: Path, check: Callable[[Path, str | None], None], *, force: bool) -> Path | None:
    """Puts a backup where the bot's database is; where one is there only with `force`, and then that is kept under another name, which is
    given. `check` is called with the database before it takes its place, and with the journal's key of the backup, if it has one.
    Raises `Misconfigured`, and nothing was changed."""
    check_backup(file)
    if database.exists() and not force:
        raise Misconfigured(f"There is already a database at {database}. With --force the backup replaces it.")
    lock = FileLock(f"{os.path.realpath(database)}.lock")
    try:
        if not lock.take():
            raise Misconfigured(IS_RUNNING)
        return _restore(file, database, check)
    except OSError as error:
        raise Misconfigured(f"Cannot write {database}: {error.strerror}.") from None
    finally:
        lock.close()


def _restore(file: Path, database: Path, check: Callable[[Path, str | None], None]) -> Path | None:
    real = Path(os.path.realpath(database))  # key and head lie beside the name that the bot knows
    with whole(real) as half:
        shutil.copyfile(file, half)
        key, head = _take_out(half, _last_of(real))
        beside = _head_of(half)
        try:
            if head is not None:
                put(beside, head)
            check(half, key)
            _fold(half)
            aside = _make_room(real)
            if key is not None and key != _text(_key_of(database)):
                keep_aside(_key_of(database), _stamp())
                put(_key_of(database), key)
            if beside.exists():
                os.replace(beside, _head_of(database))
        finally:
            for path in (beside, _key_of(half)):
                path.unlink(missing_ok=True)
    return aside


def _take_out(half: Path, replaced: str | None) -> tuple[str | None, str | None]:
    """The journal's key and head of a backup, which do not stay in it; the head of what it replaces does, for the journal."""
    with closing(sqlite3.connect(half)) as copy:
        copy.execute("pragma secure_delete=on")
        key, head = copy.execute(f"select journal_key, head from {BACKUP}").fetchone()  # noqa: S608 - a constant
        copy.execute(f"update {BACKUP} set journal_key = null, head = null, replaced = ?", (replaced,))  # noqa: S608 - a constant
        copy.commit()
    return key, head


def _last_of(database: Path) -> str | None:
    """The head of the journal that is replaced, as far as it can be read."""
    if not database.exists():
        return None
    try:
        with closing(_open(database)) as old:
            row = old.execute("select number, hash from journal_head").fetchone()
    except sqlite3.Error:
        return "unreadable"
    return f"{row[0]}:{row[1]}" if row else None


def _fold(half: Path) -> None:
    """Brings all that is beside a database into its file."""
    with closing(sqlite3.connect(half, timeout=_PATIENCE)) as copy:
        copy.execute("pragma journal_mode=delete")


def _make_room(database: Path) -> Path | None:
    """Keeps a database that is replaced under another name. Nobody else may have it open: at its end such a process would take away what
    stands beside the new one."""
    if not database.exists():
        remove(database)  # what stands beside it, of one that somebody removed
        return None
    end = _stamp()
    try:
        with closing(_open(database)) as old:
            (mode,) = old.execute("pragma journal_mode=delete").fetchone()
    except sqlite3.OperationalError as error:
        raise Misconfigured(_IN_USE if "locked" in str(error) else f"{database}: {error}.") from None
    except sqlite3.DatabaseError:  # damaged: that is why it is replaced
        return _damaged_aside(database, end)
    if mode != "delete":
        raise Misconfigured(_IN_USE)
    return keep_aside(database, end)


def _damaged_aside(database: Path, end: str) -> Path | None:
    """With all that stands beside it, for who wants to look what is left."""
    aside = keep_aside(database, end)
    for beside in ("-wal", "-shm"):
        path = database.with_name(database.name + beside)
        if path.exists() and aside is not None:
            os.replace(path, aside.with_name(aside.name + beside))
    sync(database.parent)
    return aside


def _open(database: Path) -> sqlite3.Connection:
    """A database that is there. (One that others work on cannot be read without the right to write: its index lies in a file, too.)"""
    return sqlite3.connect(_uri(database, "mode=rw"), uri=True, timeout=_PATIENCE)


def _uri(path: Path, how: str) -> str:
    return f"file:{quote(str(path))}?{how}"


def _stamp() -> str:
    return time.strftime("replaced-%Y%m%dT%H%M%SZ", time.gmtime())


def _key_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.journal-key")


def _head_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.journal-head")


def _text(path: Path) -> str | None:
    """A small file's content, or None where there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        return path.read_text("ascii")
    except (OSError, UnicodeError):
        return None
