"""A PgBouncer in front of a PostgreSQL, where one is installed: each of its databases under the same name."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.harness.ports import free_port
from tests.harness.run_wide import temporary

PROGRAM = os.environ.get("PGBOUNCER") or "/usr/sbin/pgbouncer"


def _runs() -> bool:
    with suppress(OSError):
        return subprocess.run([PROGRAM, "--version"], capture_output=True, check=False).returncode == 0
    return False


needs_pgbouncer = pytest.mark.skipif(
    not _runs(), reason="pgbouncer is not installed (Debian, Ubuntu: apt install pgbouncer)"
)
_SETTINGS = """
[databases]
* = host={host} port={database_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
"""


class PgBouncer:
    """In front of the server of a DATABASE_URL. `more`: lines for its pgbouncer.ini."""

    def __init__(self, database: str, mode: str = "transaction", more: str = "") -> None:
        server = make_url(database)
        host = str(server.query["host"])
        self.port = free_port()
        self._owner = os.stat(host).st_uid if os.getuid() == 0 else None  # it refuses to run as root
        self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir=temporary()))
        where = {"host": host, "database_port": server.port or 5432, "user": server.username, "port": self.port}
        (self._folder / "pgbouncer.ini").write_text(_SETTINGS.format(**where, mode=mode) + more)
        if self._owner is not None:
            os.chown(self._folder, self._owner, -1)
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        log = self._folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [PROGRAM, str(self._folder / "pgbouncer.ini")], user=self._owner, stdout=out, stderr=out
            )
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "no PgBouncer within a minute"
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it at once, with all connections through it."""
        self._process.terminate()
        self._process.wait()

    def remove(self) -> None:
        """Ends it for good."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """The same database, through it."""
        through = make_url(database).set(host="127.0.0.1", port=self.port, query={})
        return through.render_as_string(hide_password=False)


@contextmanager
def pooling(database: str, mode: str = "transaction", more: str = "") -> Iterator[PgBouncer]:
    """One in front of the server of a DATABASE_URL, and its end."""
    bouncer = PgBouncer(database, mode, more)
    try:
        yield bouncer
    finally:
        bouncer.remove()
