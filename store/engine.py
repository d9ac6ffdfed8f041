"""The way to the database: DATABASE_URL, an engine made of it, and what is told where it cannot be used."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError

from base.settings import Misconfigured
from store.database_words import is_away, unusable

log = structlog.get_logger("store")
_CONNECT_SECONDS = 10  # for a connection to PostgreSQL; its driver would wait for two minutes
_STILL = 10  # seconds for which a transaction on a server may do nothing
_ON_DISK = "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"
# What travels alone has no BEGIN to say so, and counts on it: at another level it would fail where others change the same at that moment.
READ_COMMITTED = (
    "select set_config('default_transaction_isolation', 'read committed', false) "
    "where current_setting('default_transaction_isolation') <> 'read committed'"
)
_BEGIN = {"sqlite": "begin immediate", "postgresql": "begin isolation level read committed"}
_READ_ONLY = "25006"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNUSED = 5.0  # seconds after which a connection is asked whether it lives; what ends before that is seen at its socket
# A firewall that drops a connection, or a machine that is gone, says nothing: without these the driver would wait for a quarter of an hour,
# and who only listens for hours (https://www.postgresql.org/docs/current/libpq-connect.html). Seconds, and milliseconds.
_NOTICED = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "15000"}
_HOW = "write sqlite:///bot.db or postgresql://user:password@host/name"


def engine_url(url: str, name: str = "DATABASE_URL") -> URL:
    """DATABASE_URL as the engine takes it; on a server, with what has a connection noticed that is dead. Raises `Misconfigured`."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise Misconfigured(f"{name}: {_HOW}.") from None
    match parsed.drivername:
        case "sqlite":
            if not parsed.database or parsed.database.startswith((":memory:", "file:")) or parsed.query:
                raise Misconfigured(
                    "DATABASE_URL: name a file, for example sqlite:///bot.db; a database in memory would be lost."
                )
            return parsed
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg").update_query_dict(_NOTICED | dict(parsed.query))
        case other:
            raise Misconfigured(f"{name}: '{other}' is not supported; {_HOW}.")


def url_with_sessions(url: str, listen_url: str | None) -> URL:
    """The address at which sessions last: DATABASE_LISTEN_URL, or DATABASE_URL where that is not set. Raises `Misconfigured`."""
    if not listen_url:
        return engine_url(url)
    found = engine_url(listen_url, "DATABASE_LISTEN_URL")
    if not is_server(found):
        raise Misconfigured(
            "DATABASE_LISTEN_URL: write postgresql://user:password@host/name, for the database of DATABASE_URL."
        )
    return found


def libpq_url(url: URL) -> str:
    """The address as PostgreSQL's own programs take it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def is_server(url: URL) -> bool:
    """Whether several processes may work on it side by side: PostgreSQL."""
    return url.get_backend_name() == "postgresql"


class DatabaseAway(Misconfigured):
    """The database cannot be used now, which may pass by itself."""


def unusable_by(url: URL, error: DBAPIError) -> Misconfigured:
    """What to raise where the database cannot be used, with words for the operator and without the password."""
    is_gone = error.connection_invalidated or is_away(str(error.orig))
    kind = DatabaseAway if is_server(url) and is_gone else Misconfigured
    return kind(f"DATABASE_URL: {_why(url, error)}.")


@contextmanager
def told_if_away(url: URL) -> Iterator[None]:
    """Raises `DatabaseAway` where something fails inside since the database is away."""
    try:
        yield
    except DBAPIError as error:
        why = unusable_by(url, error)
        if not isinstance(why, DatabaseAway):
            raise
        raise why from error


def _why(url: URL, error: DBAPIError) -> str:
    host = str(url.host or url.query.get("host") or "this machine")
    where = f"{host}:{url.port}" if url.port else host
    names = {"host": where, "user": url.username or "the user", "name": url.database or "the database"}
    said = str(error.orig).replace(str(url.password or "\0"), "***")
    shown = url.database if url.get_backend_name() == "sqlite" else f"{names['name']} at {where.rpartition('@')[2]}"
    return f"cannot use {shown}: {unusable(said, **names)}"


def is_read_only(error: BaseException | None) -> bool:
    """Whether PostgreSQL said that nothing may be changed: another server took over from this one, and this connection does not know it."""
    return getattr(error, "sqlstate", None) == _READ_ONLY


def _leave_read_only(context: ExceptionContext) -> None:
    """Connections to a server that others took over from are given up; new ones lead to the one that did."""
    context.is_disconnect = context.is_disconnect or is_read_only(context.original_exception)


def make_engine(url: URL) -> Engine:
    """The engine; see `by_statement`. On SQLite each transaction begins as a writing one."""
    if url.get_backend_name() != "sqlite":
        patience = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_SECONDS}
        server = create_engine(
            url,
            pool_size=16,
            max_overflow=32,
            pool_use_lifo=True,
            connect_args=patience | {"prepare_threshold": None},  # PgBouncer gives each transaction another session
            isolation_level="AUTOCOMMIT",  # BEGIN is ours, below
            use_native_hstore=False,  # a type that no table of ours has; the first connection would look for it
            hide_parameters=True,
        )
        event.listen(server, "connect", _prepare_session)
        event.listen(server, "handle_error", _leave_read_only)
        event.listen(server, "checkout", _check_lives)
        event.listen(server, "begin", _begin)
        return server
    if not Path(str(url.database)).absolute().parent.is_dir():
        raise Misconfigured(f"DATABASE_URL: the folder of {url.database} does not exist; create it first.")
    _keep_private(str(url.database))
    connect = {"timeout": 30, "check_same_thread": False}
    engine = create_engine(url, pool_size=32, max_overflow=32, connect_args=connect, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def by_statement(engine: Engine) -> Engine:
    """An engine with the same connections, on which each statement is a transaction of its own: no BEGIN and no end travel to a server."""
    # Its `execution_options` would do, and cost a third more for each statement.
    made = Engine(engine.pool, engine.dialect, engine.url, hide_parameters=True)
    if is_server(engine.url):
        event.listen(made, "handle_error", _leave_read_only)
    return made


def _keep_private(database: str) -> None:
    """The database's files are for this user alone. SQLite gives those that it makes beside it the mode that it has itself."""
    real = os.path.realpath(database)
    try:
        if not os.path.exists(real):
            os.close(os.open(real, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        for file in (real, f"{real}-wal", f"{real}-shm", f"{real}.lock", f"{database}.journal-key"):
            if os.path.isfile(file) and os.stat(file).st_mode & 0o077:
                os.chmod(file, 0o600)
    except FileExistsError:  # another process was first
        return
    except OSError as error:
        log.warning("the database's files may be read by others", file=error.filename, error=error.strerror)


def _prepare_session(connection: Any, _record: object) -> None:
    """A process that stands still in the middle of a transaction keeps its locks; the server ends that, for the others' sake. And what
    was committed is on disk, as with SQLite, whatever the server does by itself: Slack is told so.

    Nobody listens here. But PgBouncer may hand over a session in which somebody did, and the driver would keep all that is told there."""
    connection.add_notify_handler(_pass_over)
    with connection.cursor() as cursor:
        cursor.execute(f"set idle_in_transaction_session_timeout = '{_STILL}s'")
        cursor.execute(_ON_DISK)
        cursor.execute(READ_COMMITTED)
    connection.commit()


def _pass_over(_news: object) -> None:
    """Nobody waits for it."""


def _check_lives(connection: Any, record: Any, _proxy: object) -> None:
    """Looks whether a connection still lives, before it is used. To ask the server each time would double what travels there; one that it
    has closed, as it does when it ends, has something to read."""
    now, used = time.monotonic(), record.info.get("used")
    record.info["used"] = now
    if used is None:  # a new one
        return
    try:
        if now - used < _UNUSED and not _has_news(connection):
            return
        connection.execute("select 1").close()
    except connection.Error as error:
        raise InvalidatePoolError from error


def _has_news(connection: Any) -> bool:
    """Whether something came that nobody has read."""
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    return bool(socket.poll(0))


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, below
    if not connection.execute("pragma page_count").fetchone()[0]:  # a new file: it counts before anything is in it
        connection.execute("pragma auto_vacuum=incremental").close()
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on"):
        connection.execute(f"pragma {pragma}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(_BEGIN[connection.dialect.name])
