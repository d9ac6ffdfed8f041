"""The shape of the database: tables for statements, and the list of migrations that makes them. Both engines take the same.

The table of proposals is in proposal_record.py, beside the value whose fields are its columns. Moments are seconds since 1970 (UTC).
A migration, once released, is never edited; a change is a new one at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text, TypeDecorator
from sqlalchemy.dialects import postgresql, sqlite

from base.utf8 import encodable

metadata = MetaData()


class AnyText(TypeDecorator[str]):
    """Text from outside, as both engines take it: half a surrogate pair or a NUL becomes a replacement character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """The text as the database takes it; SQLAlchemy calls this for each value that is written."""
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """A text as both engines give it back."""
    return encodable(text).replace("\0", "\N{REPLACEMENT CHARACTER}")


def by_engine(build: Callable[[Callable[[Any], Any]], Any]) -> dict[str, Any]:
    """A statement that a conflict turns into nothing, or into a change: built from the `insert` of each engine, by the engine's name."""
    return {"sqlite": build(sqlite.insert), "postgresql": build(postgresql.insert)}


def _table(name: str, *columns: Column[object]) -> Table:
    return Table(name, metadata, *columns)


def _text(name: str) -> Column[object]:
    return Column(name, AnyText)


def _int(name: str, *, key: bool = False) -> Column[object]:
    return Column(name, Integer, primary_key=key)


def _moment(name: str) -> Column[object]:
    return Column(name, Double)


inbox = _table(
    "inbox", _int("id", key=True), _text("event_id"), _text("team"), _text("channel"), _text("ts"),
    _text("thread"), _text("kind"), _text("payload"), _int("handled"), _moment("received_at"), _text("taken_by"), _int("tries"),
    _int("ends_alone"), _text("trace"),
)  # fmt: skip
holds = _table("holds", Column("thread", AnyText, primary_key=True), _text("owner"), _int("fence"))
threads = _table(
    "threads", Column("thread", AnyText, primary_key=True), _text("team"), _text("channel"), _text("thread_ts"),
    _int("tainted"), _moment("active_at"), _int("results"),
)  # fmt: skip
turns = _table(
    "turns", Column("turn", AnyText, primary_key=True), _int("inbox"), _text("thread"), _text("asker"), _text("text"),
    _text("ts"), _text("state"), _text("stopped_by"), _int("model_calls"),
    _int("prompt_tokens"), _int("completion_tokens"), _moment("created_at"), _moment("ended_at"), _text("taken_by"),
    _int("tries"), _int("ends_alone"), _moment("waits_since"), _moment("waits_until"), _text("channel"), _text("trace"),
    _moment("rested_at"), _text("connects"), _moment("connects_until"),
)  # fmt: skip
transcript = _table(
    "transcript", _int("id", key=True), _text("thread"), _text("turn"), _text("kind"), _text("content"),
    _int("reply"), _int("call"), _moment("at"), _text("only_for"),
)  # fmt: skip
posts = _table(
    "posts", _int("id", key=True), _text("post"), _text("thread"), _text("turn"), _text("method"), _text("arguments"), _text("target"),
    _text("state"), _text("ts"), _moment("created_at"), _int("card"), _text("made_by"),
    _moment("held_until"),
)  # fmt: skip
results = _table(
    "results", Column("thread", AnyText, primary_key=True), _int("number", key=True), _text("data"), _int("size"), _moment("at"),
    _text("only_for"), _text("part"),
)  # fmt: skip

accounts = _table(
    "accounts", Column("team", AnyText, primary_key=True), Column("who", AnyText, primary_key=True),
    Column("api", AnyText, primary_key=True), _text("subject"), _text("issuer"), _text("name"), _text("email"), _text("scopes"),
    _text("encrypted"), _moment("expires_at"), _text("version"), _moment("renewed_at"), _text("renewing_by"), _moment("renewing_until"),
    _moment("connected_at"), _moment("used_at"),
)  # fmt: skip
spent = _table("spent", Column("who", AnyText, primary_key=True), _int("hour", key=True), Column("tokens", BigInteger))

journal = _table(
    "journal", _int("number", key=True), _moment("at"), _text("thread"), _text("turn"), _text("kind"), _text("data"), _text("hash"),
)  # fmt: skip
replicas = _table(
    "replicas", Column("process", AnyText, primary_key=True), _int("worker"), _moment("started_at"), _moment("beat_at"),
    _text("catalog"),
)  # fmt: skip
catalogs = _table("catalogs", _int("number", key=True), _text("digest"), _moment("taken_at"))
paces = _table("paces", Column("name", AnyText, primary_key=True), _moment("free_at"))


def _asked_table(name: str, *columns: Column[object]) -> Table:
    """A table of connections under way: who is asked to connect an account of which API, for which turn."""
    asked = (_text("team"), _text("who"), _text("api"), _text("turn"), _text("thread"))
    return _table(name, *columns, *asked, _moment("expires_at"))


links = _asked_table("links", Column("link", AnyText, primary_key=True), _moment("made_at"))
oauth_states = _asked_table(
    "oauth_states", Column("state", AnyText, primary_key=True), _text("cookie"), _text("sealed"), _int("used"), _text("link"),
)  # fmt: skip
confirmations = _asked_table(
    "confirmations", Column("confirmation", AnyText, primary_key=True), _text("cookie"), _text("sealed"), _text("ended"),
    _moment("give_back_at"),
)  # fmt: skip
failed_tries = _table(
    "failed_tries", Column("team", AnyText, primary_key=True), Column("who", AnyText, primary_key=True),
    Column("api", AnyText, primary_key=True), _text("problem"), _moment("at"),
)  # fmt: skip
devices = _asked_table("devices", Column("device", AnyText, primary_key=True), _text("sealed"), _moment("poll_at"))
journal_head = _table("journal_head", _int("one", key=True), _int("number"), _text("hash"), _text("signature"))

MIGRATIONS: list[tuple[str, ...]] = [
    (
        """create table inbox (id {serial}, event_id text unique, team text not null, channel text not null, ts text, thread text not null,
           kind text not null, payload text not null, handled integer not null, received_at double precision not null,
           unique (team, channel, ts))""",
        "create index inbox_new on inbox (thread) where handled = 0",
        """create table threads (thread text primary key, team text not null, channel text not null, thread_ts text not null,
           tainted integer not null, active_at double precision not null)""",
        """create table turns (turn text primary key, inbox integer not null unique, thread text not null,
           asker text not null, text text not null, ts text not null, state text not null,
           model_calls integer not null, prompt_tokens integer not null, completion_tokens integer not null,
           created_at double precision not null, ended_at double precision)""",
        "create index turns_open on turns (thread) where state in ('waiting', 'running')",
        "create index turns_thread on turns (thread)",
        """create table transcript (id {serial}, thread text not null, turn text not null, kind text not null, content text not null,
           reply integer, call integer, at double precision not null, unique (reply, call))""",
        "create index transcript_thread on transcript (thread, id)",
        """create table proposals (proposal text primary key, token text not null unique, thread text not null, turn text not null,
           reply integer not null, call integer not null, api text not null, operation text not null,
           method text not null, url text not null, body text, shown_url text not null, shown_body text,
           asker text not null, fingerprint text not null, why text not null, rule text not null, before text, state text not null,
           created_at double precision not null, remind_at double precision, expires_at double precision not null,
           votes text not null, decided_by text, decided_at double precision, reason text not null,
           sent_at double precision, status integer, note text not null, card text not null, batch text)""",
        "create index proposals_batch on proposals (batch) where batch is not null",
        "create index proposals_card on proposals (card)",
        "create index proposals_turn on proposals (turn)",
        "create index proposals_reminders on proposals (remind_at) where state = 'pending' and remind_at is not null",
        "create index proposals_open on proposals (thread) where state in ('pending', 'approved', 'sending')",
        "create index proposals_due on proposals (expires_at) where state = 'pending'",
        "create index proposals_thread on proposals (thread)",
        """create table posts (id {serial}, post text not null unique, thread text not null, turn text not null, method text not null,
           arguments text not null, target text, state text not null, ts text, created_at double precision not null)""",
        "create index posts_due on posts (thread, id) where state = 'due'",
        "create index posts_thread on posts (thread)",
        """create table journal (number integer primary key, at double precision not null, thread text not null, turn text not null,
           kind text not null, data text not null, hash text not null)""",
        "create index journal_turn on journal (turn)",
    ),
    (
        "alter table turns add column stopped_by text",
        "alter table proposals add column place text not null default ''",
        "create index posts_ts on posts (ts) where ts is not null",
    ),
    ("alter table proposals add column dry_run integer not null default 0",),
    (
        "alter table proposals add column headers text not null default '{{}}'",
        "alter table proposals add column body_type text not null default 'json'",
    ),
    (
        "alter table threads add column results integer not null default 0",
        """create table results (thread text not null, number integer not null, data text not null, size integer not null,
           at double precision not null, primary key (thread, number))""",
        "create index results_at on results (at)",
    ),
    (
        "alter table proposals add column recipe text not null default ''",
        "alter table proposals add column recipe_step integer not null default 0",
    ),
    ("alter table proposals add column matched text not null default '[]'",),
    (  # whose alone something is, empty where it is nobody's; what is older than this is its asker's, and '?' where nobody knows whose
        "alter table transcript add column only_for text not null default ''",
        """update transcript set only_for = coalesce((select asker from turns where turns.turn = transcript.turn), '?')
           where kind = 'result' or id in (select reply from transcript where reply is not null)
           or id in (select reply from proposals)""",
        "alter table proposals add column only_for text not null default ''",
        "update proposals set only_for = asker",
        "alter table results add column only_for text not null default ''",
        """update results set only_for = coalesce((select turns.asker from transcript join turns on turns.turn = transcript.turn
           where transcript.thread = results.thread and transcript.at >= results.at order by transcript.id limit 1), '?')""",
    ),
    (
        "alter table proposals add column description text not null default ''",
        "alter table proposals add column tainted integer not null default 0",
        "alter table proposals add column hidden text not null default '[]'",
        "alter table proposals add column renewals integer not null default 0",
        "alter table proposals add column moved text not null default '[]'",
        "alter table posts add column card integer not null default 0",
        "update posts set card = 1 where method = 'message' and arguments like '%\"type\": \"header\"%'",
    ),
    (
        "create table holds (thread text primary key, owner text not null, fence integer not null)",
        "alter table posts add column made_by text not null default ''",
    ),
    (
        "alter table inbox add column taken_by text not null default ''",
        "alter table inbox add column tries integer not null default 0",
        "alter table inbox add column ends_alone integer not null default 0",
        "alter table turns add column taken_by text not null default ''",
        "alter table turns add column tries integer not null default 0",
        "alter table turns add column ends_alone integer not null default 0",
    ),
    (
        "create table journal_head (one integer primary key, number integer not null, hash text not null, signature text not null)",
        "alter table proposals add column seal text not null default ''",
    ),
    (
        "create index turns_in_line on turns (thread) where state = 'waiting'",
        "create index turns_taken on turns (thread) where tries > 0",
        "create index proposals_asker on proposals (asker, created_at)",
        "create index proposals_sending on proposals (thread) where state = 'sending'",
    ),
    ("alter table results add column part text not null default ''",),
    (  # of a turn whose model has no time: since when it waits, and until when it is not to be asked
        "alter table turns add column waits_since double precision",
        "alter table turns add column waits_until double precision",
        "create index turns_aside on turns (thread) where waits_until is not null",
    ),
    (  # for several processes on one PostgreSQL: which are there, and the paces that they keep together
        """create table replicas (process text primary key, worker bigint, started_at double precision not null,
           beat_at double precision not null)""",
        "create table catalogs (number {serial}, digest text not null, taken_at double precision not null)",
        "create table paces (name text primary key, free_at double precision not null)",
    ),
    ("alter table posts add column held_until double precision",),  # of an update that another one may overtake
    (  # what was used: questions by person and channel, tokens by person (empty: all of them) and hour since 1970
        "alter table turns add column channel text not null default ''",
        "create index turns_asked on turns (asker, created_at) where channel <> ''",  # for who says so: no other query is to take it
        "create index turns_of_channel on turns (channel, created_at) where channel <> ''",
        "create table spent (who text not null, hour integer not null, tokens bigint not null, primary key (who, hour))",
    ),
    (  # the trace that an arrival's spans belong to, and a turn's; and when a turn first waited for people
        "alter table inbox add column trace text not null default ''",
        "alter table turns add column trace text not null default ''",
        "alter table turns add column rested_at double precision",
    ),
    (  # people's accounts at APIs' sign-in servers, their tokens encrypted; and as whose identity a request was asked for
        """create table accounts (team text not null, who text not null, api text not null, subject text not null, issuer text not null,
           name text not null, email text not null, scopes text not null, encrypted text not null, expires_at double precision,
           version text not null, renewed_at double precision not null, renewing_by text not null, renewing_until double precision,
           connected_at double precision not null, used_at double precision not null, primary key (team, who, api))""",
        "alter table proposals add column identity text not null default ''",
    ),
    (  # how people connect their accounts: what was offered and is under way, and the turns that wait for it
        "alter table turns add column connects text",
        "alter table turns add column connects_until double precision",
        "create index turns_connecting on turns (thread) where connects_until is not null",
        """create table links (link text primary key, team text not null, who text not null, api text not null, turn text not null,
           thread text not null, expires_at double precision not null)""",
        """create table oauth_states (state text primary key, cookie text not null, sealed text not null, used integer not null,
           team text not null, who text not null, api text not null, turn text not null, thread text not null,
           expires_at double precision not null)""",
        """create table confirmations (confirmation text primary key, cookie text not null, sealed text not null, team text not null,
           who text not null, api text not null, turn text not null, thread text not null, expires_at double precision not null)""",
        """create table devices (device text primary key, sealed text not null, poll_at double precision not null, team text not null,
           who text not null, api text not null, turn text not null, thread text not null, expires_at double precision not null)""",
    ),
    (  # of a link, when it was made; of a state, by which link it began; of a grant, how the question about it ended and when it is to be
        # given back; and the tries that came to nothing
        "alter table links add column made_at double precision not null default 0",
        "alter table oauth_states add column link text not null default ''",
        "create index oauth_states_link on oauth_states (link)",
        "alter table confirmations add column ended text not null default ''",
        "alter table confirmations add column give_back_at double precision",
        "create index confirmations_due on confirmations (give_back_at) where give_back_at is not null",
        """create table failed_tries (team text not null, who text not null, api text not null, problem text not null,
           at double precision not null, primary key (team, who, api))""",
    ),
    ("alter table replicas add column catalog text not null default ''",),  # the digest of the one that a process has
]
SERIAL = {"sqlite": "integer primary key", "postgresql": "bigint generated by default as identity primary key"}
