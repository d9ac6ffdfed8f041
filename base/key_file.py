"""Door to a key in a file: read again whenever the file has changed, and when its server says that the key is good for nothing.

Tokens of Azure's Entra and of vaults change by the hour; whoever renews them rewrites them, or puts another file in the place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from base.settings import Misconfigured

log = structlog.get_logger("keyfile")


class KeyFile:
    """The key in the file `path`. `heard` is told each key that comes, for the log to hide; `name` is what named the file. Raises
    `Misconfigured` where it has none."""

    def __init__(
        self, path: str, heard: Callable[[str], None] = lambda _key: None, name: str = "OPENAI_API_KEY_FILE"
    ) -> None:
        self._path = Path(path)
        self._heard = heard
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._key = ""
        try:
            self._read()
        except OSError as error:
            raise Misconfigured(f"{name}: cannot read {path}: {error.strerror}.") from None
        except ValueError as error:
            raise Misconfigured(f"{name}: {path} {error}.") from None

    def key(self) -> str:
        """The key as the file has it. One that cannot be read at this moment leaves the key before it in use."""
        with self._lock:
            self._renew(always=False)
            return self._key

    def renewed(self) -> bool:
        """Reads the file, changed or not: True where its key is another than before."""
        with self._lock:
            before = self._key
            self._renew(always=True)
            return self._key != before

    def _renew(self, *, always: bool) -> None:
        try:
            if always or mark_of(self._path) != self._seen:
                self._read()
        except (OSError, ValueError) as error:
            log.warning("the key's file cannot be used; the key before it stays in use", error=type(error).__name__)

    def _read(self) -> None:
        """Raises `OSError`, and `ValueError` with what is wrong."""
        mark = mark_of(self._path)  # before the reading: what is written behind it is read the next time
        key = self._path.read_bytes().decode("utf-8", "replace").strip()
        if not key:
            raise ValueError("is empty")
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ValueError("contains more than a key; put only the key in it")
        if key != self._key:
            self._heard(key)
        self._seen, self._key = mark, key


def mark_of(path: Path) -> tuple[int, int, int]:
    """What changes when a file does. Links are followed: Kubernetes puts another folder behind one. Raises `OSError`."""
    is_now = path.stat()
    return is_now.st_mtime_ns, is_now.st_size, is_now.st_ino
