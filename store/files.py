"""Files that are there whole or not at all: written beside their place under another name, then renamed.

What a killed process leaves is named `<file>.half`; the next one that writes the same file starts it over.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from base.settings import Misconfigured

_BESIDE = ("", "-journal", "-wal", "-shm")  # what SQLite makes beside a database


@contextmanager
def whole(goal: Path) -> Iterator[Path]:
    """The path at which to write what is to become `goal`, an empty file for this user alone. It takes its place at the end of the block,
    on disk; where that raises, nothing is left. Raises `Misconfigured` where it cannot be written, or another process does so."""
    half = goal.with_name(f"{goal.name}.half")
    try:
        handle = os.open(half, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Misconfigured(f"Cannot write {goal}: {error.strerror}.") from None
    try:
        _begin(handle, half, goal)
        try:
            yield half
            sync(half)
            os.replace(half, goal)
            sync(goal.parent)
        except OSError as error:
            raise Misconfigured(f"Cannot write {goal}: {error.strerror}.") from None
        finally:
            remove(half)
    finally:
        os.close(handle)


def _begin(handle: int, half: Path, goal: Path) -> None:
    """Empties the file, unless another process is writing it, or has just given it its place."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_mine = os.path.samestat(os.fstat(handle), os.stat(half))
    except (BlockingIOError, FileNotFoundError):
        is_mine = False
    if not is_mine:
        raise Misconfigured(f"Another process is writing {goal} at this moment.")
    for end in _BESIDE[1:]:  # of a process that was killed
        with suppress(FileNotFoundError):
            os.unlink(f"{half}{end}")
    os.fchmod(handle, 0o600)
    os.ftruncate(handle, 0)


def remove(path: Path) -> None:
    """Removes a file, and what SQLite made beside it; nothing where there is none."""
    for end in _BESIDE:
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{end}")


def sync(path: Path) -> None:
    """Has a file, or a folder's names, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put(path: Path, content: str) -> None:
    """Replaces a small file's content."""
    with whole(path) as half:
        half.write_text(content, "utf-8")


def keep_aside(path: Path, end: str) -> Path | None:
    """Gives a file a second name, under which it stays when another takes its place; None where there is no such file."""
    if not path.exists():
        return None
    names = (f"{path.name}.{end}{more}" for more in ("", *(f"-{number}" for number in range(2, 100))))
    aside = next(one for one in map(path.with_name, names) if not one.exists())
    try:
        os.link(path, aside)
    except OSError as error:
        raise Misconfigured(f"Cannot keep {path} as {aside}: {error.strerror}.") from None
    return aside
