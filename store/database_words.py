"""What is wrong between the bot and its database, and what to do: host, password, name, rights. For people."""

from __future__ import annotations

import re

from catalog.references import printable

_ENCODED = "a password's @ : / # % are written %40 %3A %2F %23 %25"
# What drivers and servers say (libpq and SQLite have no codes for it), and what it means.
_MEANINGS = (
    (r"no password supplied", f"the server asks for {{user}}'s password: write postgresql://user:password@host/name ({_ENCODED})"),
    (r"password authentication failed", f"the server rejects {{user}}'s password: check user and password ({_ENCODED})"),
    (r"role .* does not exist", "the server has no user {user}: create it, or write another name"),
    (r"not permitted to log in", "{user} may not log in: alter role {user} login"),
    (r"permission denied for database", "{user} may not connect to {name}: grant connect on database {name} to {user}"),
    (r"permission denied for schema", "{user} may not create tables in {name}: grant create on schema public to {user}"),
    (r"permission denied|must be owner", "{user} lacks rights on the tables of {name}: make the bot's user their owner"),
    (r"database .* does not exist", "the server has no database {name}: create it (createdb {name}), or write another name"),
    (r"pg_hba\.conf", "the server does not accept {user} from this machine: add it to pg_hba.conf; if it wants encrypted connections, add "
                      "?sslmode=require"),
    (r"failed to resolve host|could not translate host", "there is no host {host}: check the name"),
    (r"Connection refused", "nothing listens at {host}: check host and port, and that the server is running"),
    (r"on socket .* No such file", "no server has its socket at {host}: write the host's name, or start the server"),
    (r"query_wait_timeout", "the pooler at {host} had no connection to its server for too long: see its log, and the size of its pool"),
    (r"max_client_conn", "the pooler at {host} accepts no more connections: raise its max_client_conn"),
    (r"server login has been failing|server_login_retry|pgbouncer cannot connect", "the pooler at {host} cannot reach its server"),
    (r"time.?out|timed out|No route to host|unreachable", "no answer from {host}: check the host, and firewalls in between"),
    (r"response to SSL negotiation|expected authentication request", "what answers at {host} is not PostgreSQL: check the port"),
    (r"does not support SSL", "the server does not support encrypted connections: leave sslmode out"),
    (r"certificate", "the server's certificate is not trusted: see sslrootcert and sslmode"),
    (r"too many connections|connection slots", "the server has no connection left for {user}: raise its limit"),
    (r"starting up|shutting down|recovery|administrator command|crash of another",
     "the server is starting or shutting down: try again in a moment"),
    (r"read.?only", "it is read-only: a replica, perhaps, or a file without write permission"),
    (r"invalid (connection option|port|sslmode)|invalid .* value", "the address is invalid"),
    (r"unable to open database file", "the file cannot be opened: it may be a folder, or the bot may lack write permission"),
    (r"not a database", "the file is not an SQLite database: choose another name"),
    (r"disk is full|No space left", "the disk is full"),
    (r"is locked", "another program keeps the file locked"),
)  # fmt: skip


# What passes by itself, where nothing else is wrong.
_PASSES = re.compile(
    r"Connection refused|Connection reset|on socket .* No such file|time.?out|timed out|No route to host|unreachable"
    r"|starting up|shutting down|recovery|administrator command|crash of another|too many connections"
    r"|connection slots|failed to resolve host|could not translate host|server closed the connection|read.?only|No space left"
    r"|server login has been failing|pgbouncer cannot connect|max_client_conn",
    re.IGNORECASE,
)


def is_away(message: str) -> bool:
    """Whether a server may only be away for a while, by what its driver said: that has no codes for it either."""
    return _PASSES.search(message) is not None


def unusable(message: str, *, host: str, user: str, name: str) -> str:
    """Why a database cannot be used, by what its driver said. `host` with its port, `name` of the database."""
    if "@" in host:  # a part of the password, then
        return f"the password has an @ in it; {_ENCODED}"
    meaning = next((words for form, words in _MEANINGS if re.search(form, message, re.IGNORECASE)), None)
    if meaning is None:
        return f"the driver says: {printable(message, 200)}"
    return meaning.format(host=host, user=user, name=name)
