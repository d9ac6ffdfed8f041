"""Somebody writes into the database: a request that was changed is not sent, a journal that was emptied or swapped is told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from sqlalchemy.engine import make_url

from base.settings import Misconfigured
from base.thread import Thread
from bot import main
from catalog.rules import Rule
from gate.policy import Event, State
from gate.sending import Approval
from store.journal.hash_chain import FIRST, JournalEntry, first_broken, link
from store.proposal_record import Proposal
from store.proposals import Altered, Effects
from store.store import Store
from store.tables import MIGRATIONS, SERIAL
from store.transcript import AssistantMessage, ToolCall, Usage
from store.turns import ReplyOutcome
from tests.harness.bot_parts import BEN, USERS, BotParts
from tests.harness.databases import fresh_database, looking_into, rows, rows_in
from tests.harness.rest_server import RestServer, reply
from tests.harness.stores import begin, noted, propose, proposed

ALTERED = "The stored request is not the one that was asked for and approved: it was changed in the database."
A = Thread("T0LOCAL", "C0HR", "100.000001")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url, journal_key="k")
    yield store
    store.close()


def change(url: str, statement: str, **values: object) -> None:
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text(statement), values)


def send(store: Store, one: Proposal) -> Proposal | None:
    return store.transition(
        one.proposal,
        Event.SEND,
        lambda row: Effects(entries=[JournalEntry("send", {"proposal": row.proposal})]),
        sent_at=9.0,
    )


# --- a record ---------------------------------------------------------------------------------------------------------

MAY_CHANGE = {"remind_at", "sent_at", "status", "note", "reason"}  # decide nothing, and come after the card was drawn


def other(value: object, *, is_number: bool) -> object:
    """Another value of the same type."""
    match value:
        case int() | float():
            return value + 1
        case None if is_number:
            return 1
        case str() if value.startswith(("[", "{")):
            return '[["anyone-in-channel"], false, 1, false]' if value.startswith("[[") else '["U0EVE"]'
    return f"{value or ''}x"


def changed_in(row: dict[str, Any], column: str) -> object:
    return other(row[column], is_number=column in ("sent_at", "status"))


def approved_one(store: Store) -> Proposal:
    """An approved record with something in each of its columns."""
    turn = begin(store, A)
    asked = replace(proposed(turn), body='{"a": 1}', shown_body='{"a": 1}', before="{}", remind_at=7.0)
    one = propose_this(store, asked)
    approved = store.vote(one.proposal, BEN, 7.0, noted)
    assert approved is not None
    return approved


def test_whatever_was_changed_in_an_approved_record_it_is_not_sent(store: Store, url: str) -> None:
    """And is sent once it is as it was."""
    one = approved_one(store)
    decides = set(Proposal.__dataclass_fields__) - {"proposal", "state", "seal"} - MAY_CHANGE
    assert len(decides) > 30
    with looking_into(url) as engine:
        (row,) = rows_in(engine, "proposals")["proposals"]
        for column in sorted(decides):
            with engine.begin() as db:
                db.execute(text(f"update proposals set {column} = :value"), {"value": changed_in(row, column)})
            before = rows_in(engine, "proposals")
            with pytest.raises(Altered):
                pytest.fail(f"sent with another {column}: {send(store, one)}")
            assert rows_in(engine, "proposals") == before, column
            with engine.begin() as db:
                db.execute(text(f"update proposals set {column} = :value"), {"value": row[column]})
    assert send(store, one) is not None


def test_what_decides_nothing_may_be_changed(store: Store, url: str) -> None:
    one = approved_one(store)
    (row,) = rows(url, "proposals")
    for column in sorted(MAY_CHANGE):
        change(url, f"update proposals set {column} = :value", value=changed_in(row, column))
    assert send(store, one) is not None


def propose_this(store: Store, one: Proposal) -> Proposal:
    """Stores a request of a turn that runs, with its reply."""
    turn = store.turn(one.turn)
    assert turn is not None
    said = AssistantMessage("", (ToolCall("id", "call_rest_api", "{}"),))
    store.add_round(turn, ReplyOutcome(said, Usage(), proposals=[one]))
    stored = store.proposal_of(one.proposal)
    assert stored is not None
    return stored


FORGED = {
    "approved by nobody": "state = 'approved'",
    "approved in somebody's name": "state = 'approved', decided_by = 'U0BEN', decided_at = 7, votes = '[\"U0BEN\"]'",
    "approved by the policy": "state = 'approved', decided_by = null",
}


def change_in(url: str, one: Proposal, what: str, **values: object) -> None:
    """Changes this request's row."""
    change(url, f"update proposals set {what} where proposal = :proposal", proposal=one.proposal, **values)


def test_who_writes_an_approval_into_the_database_sends_nothing(store: Store, url: str) -> None:
    turn = begin(store, A)
    for how, what in FORGED.items():
        one = propose(store, turn)
        change_in(url, one, what)
        with pytest.raises(Altered):
            pytest.fail(f"sent what was {how}: {send(store, one)}")


@pytest.mark.parametrize("with_its_seal", [False, True])
def test_what_was_sent_is_not_sent_again_where_somebody_sets_it_back(
    store: Store, url: str, with_its_seal: bool
) -> None:
    """Also where the whole row is put back as it was."""
    turn = begin(store, A)
    for ended in (Event.SUCCEED, Event.LOSE):
        one = propose(store, turn, State.APPROVED)
        assert send(store, one) is not None
        gone = store.transition(one.proposal, ended, noted)
        assert gone is not None
        change_in(
            url, one, "state = 'approved', sent_at = null, seal = :seal", seal=(one if with_its_seal else gone).seal
        )
        with pytest.raises(Altered):
            pytest.fail(f"sent again after {ended}: {send(store, one)}")


def test_what_was_refused_cannot_be_approved_where_somebody_sets_it_back(store: Store, url: str) -> None:
    turn = begin(store, A)
    for event in (Event.REJECT, Event.EXPIRE, Event.WITHDRAW):
        one = propose(store, turn)
        assert store.transition(one.proposal, event, noted) is not None
        change_in(url, one, "state = 'pending', decided_by = null, decided_at = null")
        assert store.vote(one.proposal, BEN, 7.0, noted) is not None, event
        with pytest.raises(Altered):
            pytest.fail(f"sent after {event}: {send(store, one)}")


def test_a_vote_does_not_heal_what_was_changed_before_it(store: Store, url: str) -> None:
    turn = begin(store, A)
    one = propose_this(store, replace(proposed(turn), rule=Rule(("anyone-in-channel",), quorum=2)))
    assert store.vote(one.proposal, "U0CAT", 6.0, noted) is not None
    change(url, "update proposals set url = 'http://hr/api/users/1'")
    approved = store.vote(one.proposal, BEN, 7.0, noted)
    assert approved is not None
    assert approved.state is State.APPROVED
    with pytest.raises(Altered):
        send(store, one)


def test_what_nobody_changed_is_sent(store: Store) -> None:
    """Words that a database gives back otherwise than they were given to it, and numbers, are no change."""
    turn = begin(store, A)
    for quorum in (1, 2):
        asked = replace(
            proposed(turn), body='{"name":"\ud800\0"}', why="a\0b", matched='["é \U0001f600"]', created_at=1, expires_at=2**40,
            rule=Rule(("anyone-in-channel",), quorum=quorum),
        )  # fmt: skip
        one = propose_this(store, replace(asked, fingerprint=store.fingerprint(asked)))
        assert store.fingerprint(one) == one.fingerprint
        for voter in range(quorum):
            assert store.vote(one.proposal, f"U{voter}", 7.25, noted) is not None
        assert send(store, one) is not None, quorum


def test_a_record_is_good_under_its_own_key_alone(store: Store, url: str) -> None:
    one = propose(store, begin(store, A), State.APPROVED)
    stranger = Store(url, journal_key="another")
    assert store.is_intact(one)
    assert not stranger.is_intact(one)
    assert [found.proposal for found in stranger.sealed_otherwise()] == [one.proposal]
    assert store.sealed_otherwise() == []
    stranger.close()


# The columns of a request that each seal has covered since there are seals. What comes later is covered where it says something.
SEALED = [
    "api", "asker", "batch", "before", "body", "body_type", "call", "card", "created_at", "decided_at", "decided_by",
    "description", "dry_run", "expires_at", "fingerprint", "headers", "hidden", "matched", "method", "moved",
    "only_for", "operation", "place", "proposal", "recipe", "recipe_step", "renewals", "reply", "rule", "shown_body",
    "shown_url", "state", "tainted", "thread", "token", "turn", "url", "votes", "why",
]  # fmt: skip


def test_a_request_that_makes_no_use_of_what_is_new_is_sealed_as_by_the_version_before(store: Store) -> None:
    """Both versions work on one database during an update: neither takes back what the other asked for."""
    one = propose(store, begin(store, A))
    assert one.seal.startswith(store.journal.sign("columns", SEALED)[:8])


def test_what_is_new_in_a_request_is_sealed_where_it_says_something(store: Store, url: str) -> None:
    one = propose_this(store, replace(proposed(begin(store, A)), identity="ann at https://sign-in.example"))
    assert store.is_intact(one)
    assert store.sealed_otherwise() == []
    change(url, "update proposals set identity = ''")
    (changed,) = store.proposals_in(State.PENDING)
    assert not store.is_intact(changed)


@pytest.mark.parametrize(("rule", "is_known"), [('[["asker"], false, 1, false]', True), ('{"by_day": true}', False)])
def test_a_rule_of_a_later_version_can_be_shown_but_not_sent(store: Store, url: str, rule: str, is_known: bool) -> None:
    """What that version decides by is sealed with the rule, and is not known here. A list is sealed and sent by both."""
    one = propose(store, begin(store, A), State.APPROVED)
    (row,) = rows(url, "proposals")
    counted = {name: row[name] if isinstance(row[name], str | None) else float(row[name]) for name in SEALED}
    seal = one.seal[:9] + store.journal.sign("record", counted | {"rule": rule})
    change(url, "update proposals set rule = :rule, seal = :seal", rule=rule, seal=seal)
    (found,) = store.proposals_in(State.APPROVED)
    assert found.rule == Rule()
    assert store.sealed_otherwise() == []
    assert store.is_intact(found) is is_known
    if not is_known:
        with pytest.raises(Altered):
            send(store, found)


# --- at the gate ------------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path: Path, server: RestServer, _logs: None) -> Iterator[BotParts]:
    parts = BotParts(tmp_path, USERS.format(base=server.url))
    yield parts
    parts.close()


EVE = "U0EVE"  # who can write to the database
CHANGES = {
    "the URL": "url = replace(url, '/users/7', '/users/1')",
    "the URL as it is shown": "shown_url = replace(shown_url, '/users/7', '/users/1')",
    "the body": 'body = \'{"role":"admin"}\', shown_body = \'{"role":"admin"}\'',
    "the method": "method = 'PUT', operation = 'PUT /users/[id]'",
    "who asked": f"asker = '{EVE}'",
    "the rule": f"""rule = '[["{EVE}"], false, 1, false]'""",
    "the fingerprint": "fingerprint = 'x' || substr(fingerprint, 2)",
}


@pytest.mark.parametrize("when", ["before the click", "after the click"])
def test_a_record_that_was_changed_ends_with_an_alarm_and_is_not_sent(
    parts: BotParts, server: RestServer, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    for what, changed in CHANGES.items():
        caplog.clear()
        one = parts.proposed("PATCH", "/users/7", {"role": "cook"})
        if when == "before the click":
            change_in(parts.url, one, changed)
        parts.press(one, by=EVE if when == "before the click" and EVE in changed else None)
        if when == "after the click":
            change_in(parts.url, one, changed)
        parts.gate.write_decided(one.turn)

        assert server.calls == [], what
        ended = parts.row(one)
        assert (ended.state, ended.note) == (State.FAILED, f"{ALTERED} Nothing was sent."), what
        assert parts.result(one)["outcome"] == "failed"
        alarm = [json.loads(line.data) for line in parts.store.journal.lines(kind="alarm")][-1]
        assert (alarm["proposal"], alarm["reason"]) == (one.proposal, ALTERED), what
        assert [record.levelname for record in caplog.records].count("CRITICAL") == 1, what
        last = json.dumps(parts.cards(one.thread)[-1].arguments)
        assert "Approved, but not sent" in last
        assert "changed in the database" in last
    assert len(list(parts.store.journal.lines(kind="alarm"))) == len(CHANGES)


def test_a_changed_rule_does_not_come_back_with_a_new_card(parts: BotParts, server: RestServer, tmp_path: Path) -> None:
    """A target that changed is asked for again, by the stored rule: one that somebody wrote there must not become the bot's own."""
    catalog = USERS.format(base=server.url).replace("Changes., preview: false", "Changes.")
    shows = BotParts(tmp_path, catalog)
    server.will(reply('{"id": 7, "role": "waiter"}'), reply('{"id": 7, "role": "chef"}'))
    one = shows.approved("PATCH", "/users/7", {"role": "cook"})
    change(shows.url, """update proposals set rule = '[["anyone-in-channel"], false, 1, false]'""")
    shows.gate.write(Approval(one.proposal))
    assert shows.row(one).state is State.FAILED
    assert shows.pending() == []
    shows.close()


def test_a_fingerprint_is_of_what_is_sent_who_asked_and_who_decides(parts: BotParts) -> None:
    same = [parts.approved("PATCH", "/users/7", {"a": 1}) for _ in range(2)]
    others = [
        parts.approved("PATCH", "/users/8", {"a": 1}),
        parts.approved("PATCH", "/users/7", {"a": 2}),
        parts.approved("PUT", "/users/7", {"a": 1}),
        replace(same[0], asker="U0EVE"),
        replace(same[0], rule=Rule(("U0EVE",))),
        replace(same[0], headers='{"X-Region": "eu"}'),
    ]
    found = [parts.store.fingerprint(one) for one in others]
    assert len({same[0].fingerprint, *found}) == len(others) + 1
    assert same[0].fingerprint == same[1].fingerprint == parts.store.fingerprint(same[0])


# --- the journal's head -----------------------------------------------------------------------------------------------


def written(url: str, count: int, key: str = "k") -> Store:
    """A database with as many entries in its journal."""
    store = Store(url, journal_key=key)
    for number in range(count):
        store.note("t", "u", [JournalEntry("one", {"number": number})])
    return store


GONE = {
    "emptied": ("delete from journal", 1),
    "emptied, and its head as well": ("delete from journal; delete from journal_head", None),
    "cut": ("delete from journal where number > 3", None),
    "cut, with a head of one's own": (
        "delete from journal where number > 3; update journal_head set number = 3, "
        "hash = (select hash from journal where number = 3)",
        None,
    ),
}


@pytest.mark.parametrize("how", GONE)
def test_a_journal_that_was_emptied_or_cut_is_told(url: str, how: str) -> None:
    store = written(url, 5)
    assert store.journal.missing() is None
    for statement in GONE[how][0].split(";"):
        change(url, statement)
    assert store.journal.missing() is not None
    store.note("t", "u", [JournalEntry("more")])
    assert (store.journal.verify()[0], store.journal.missing()) != (None, None)  # also when the bot went on with it
    store.close()


def test_a_journal_that_was_swapped_for_an_earlier_one_is_told(tmp_path: Path) -> None:
    """SQLite alone has a place beside it; with a server, the log has the head."""
    (tmp_path / "old").mkdir()
    url = f"sqlite:///{tmp_path}/bot.db"
    written(url, 5).close()
    shutil.copy(tmp_path / "bot.db", tmp_path / "old" / "bot.db")
    store = written(url, 5)
    store.journal.keep_head()
    store.close()
    for name in ("bot.db-wal", "bot.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old" / "bot.db", tmp_path / "bot.db")
    store = Store(url, journal_key="k")
    assert store.journal.verify()[0] is None
    assert "names entry 10, which" in str(store.journal.missing())
    store.close()


def test_a_head_beside_the_database_that_is_gone_or_forged_is_told(tmp_path: Path) -> None:
    store = written(f"sqlite:///{tmp_path}/bot.db", 5)
    file = tmp_path / "bot.db.journal-head"
    store.journal.keep_head()
    assert store.journal.missing() is None
    for content in ("", "5:abc:def", "5", "x:y:z", f"5:{'0' * 64}:{'0' * 64}", "\xff"):
        file.write_text(content, "utf-8")
        assert str(file) in str(store.journal.missing()), content
    file.unlink()
    assert str(file) in str(store.journal.missing())
    store.close()


def test_another_bots_head_is_none_of_ours(tmp_path: Path) -> None:
    store = written(f"sqlite:///{tmp_path}/bot.db", 5)
    other = written(f"sqlite:///{tmp_path}/other.db", 7, "another")
    other.journal.keep_head()
    shutil.copy(tmp_path / "other.db.journal-head", tmp_path / "bot.db.journal-head")
    assert "was not signed with this key" in str(store.journal.missing())
    store.close()
    other.close()


def of_an_earlier_version(url: str, count: int, key: bytes) -> None:
    """A database as it was before there were heads, with as many entries in its journal."""
    new = next(i for i, one in enumerate(MIGRATIONS) if any("journal_head" in statement for statement in one))
    serial = SERIAL[make_url(url).get_backend_name()]
    with looking_into(url) as engine, engine.begin() as db:
        db.execute(text("create table migrations (number integer primary key)"))
        for number, statements in enumerate(MIGRATIONS[:new], start=1):
            for statement in statements:
                db.execute(text(statement.format(serial=serial)))
            db.execute(text("insert into migrations values (:number)"), {"number": number})
        before = FIRST
        for number in range(1, count + 1):
            before = link(key, before, number, 1.0, "t", "u", "one", "{}")
            entry = text("insert into journal values (:number, 1.0, 't', 'u', 'one', '{}', :hash)")
            db.execute(entry, {"number": number, "hash": before})


@pytest.mark.parametrize("count", [0, 2])
def test_the_journal_of_an_earlier_version_gets_a_head(empty: str, count: int) -> None:
    of_an_earlier_version(empty, count, b"k")
    store = Store(empty, journal_key="k")
    assert (store.journal.head().number, store.journal.verify()[0], store.journal.missing()) == (count, None, None)
    store.close()


def test_the_journal_of_an_earlier_version_gets_no_head_of_another_key(empty: str) -> None:
    of_an_earlier_version(empty, 2, b"k")
    with pytest.raises(Misconfigured, match=r"JOURNAL_KEY does not match .*journal --rekey"):
        Store(empty, journal_key="another")
    store = Store(empty, journal_key="k")
    assert store.journal.missing() is None
    store.close()


def test_what_an_earlier_version_wrote_while_this_one_waited_for_its_end_is_gone_on_from(url: str) -> None:
    """It writes entries and knows of no head."""
    store = written(url, 3)
    (head,) = rows(url, "journal_head")
    store.note("t", "u", [JournalEntry("one"), JournalEntry("two")])
    change(url, "update journal_head set number = :number, hash = :hash, signature = :signature", **head)
    store.take_up_journal()
    assert list(store.journal.lines(kind="alarm")) == []
    store.note("t", "u", [JournalEntry("three")])
    assert (store.journal.head().number, store.journal.verify()[0], store.journal.missing()) == (6, None, None)
    store.close()


# --- the key ----------------------------------------------------------------------------------------------------------


def test_a_key_that_does_not_fit_stops_the_start_with_words(url: str) -> None:
    written(url, 3).close()
    store = Store(url, journal_key="another")
    with pytest.raises(Misconfigured, match=r"JOURNAL_KEY does not match .*journal --rekey"):
        store.take_up_journal()
    store.close()


def test_what_is_missing_at_a_start_is_told_in_log_and_journal(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = written(url, 3)
    store.take_up_journal()
    assert caplog.records == []
    change(url, "delete from journal where number = 3")
    store.take_up_journal()
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    (alarm,) = store.journal.lines(kind="alarm")
    assert alarm.number == 4
    assert store.journal.verify()[0] == 3
    store.close()


@pytest.mark.parametrize("is_there", [True, False])
def test_with_a_server_the_key_has_to_be_given(tmp_path: Path, is_there: bool) -> None:
    """Told at once, also where the start would wait for the server first."""
    url = fresh_database("postgresql", tmp_path) if is_there else "postgresql://bot@127.0.0.1:1/bot"
    with pytest.raises(Misconfigured, match=r"^JOURNAL_KEY is not set\. PostgreSQL requires it"):
        Store(url)


def test_a_new_chain_begins_behind_the_old_one_and_each_can_be_checked_with_its_key(empty: str) -> None:
    store = written(empty, 3, "first")
    old = store.journal.head()
    store.close()
    store = Store(empty, journal_key="second")
    begun = store.begin_journal_anew()
    store.note("t", "u", [JournalEntry("one")])
    store.take_up_journal()
    assert (begun.number, store.journal.first(), store.journal.missing()) == (4, 4, None)
    assert store.journal.verify() == (None, store.journal.head().hash, 5)
    (line,) = store.journal.lines(kind="begun anew")
    assert json.loads(line.data) == {"after": {"number": 3, "hash": old.hash}}
    assert first_broken(b"first", store.journal.lines())[0] == 4
    change(empty, "update journal set kind = 'two' where number = 5")
    assert store.journal.verify()[0] == 5
    store.close()


def test_nobody_hides_what_was_changed_behind_a_chain_that_begins_anew(url: str) -> None:
    """Without the key no entry says so."""
    store = written(url, 5)
    change(url, "update journal set kind = 'begun anew', data = '{}' where number = 4")
    assert (store.journal.first(), store.journal.verify()[0]) == (1, 4)
    store.close()


def run(folder: Path, *arguments: str, **settings: str) -> Result:
    before = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(main, list(arguments), env=dict.fromkeys(os.environ) | {"COLUMNS": "300"} | settings)
    finally:
        os.chdir(before)


def test_the_command_tells_what_is_missing_and_begins_a_new_chain(tmp_path: Path) -> None:
    store = written(f"sqlite:///{tmp_path}/bot.db", 3)
    store.journal.keep_head()
    assert run(tmp_path, "journal", "--verify", JOURNAL_KEY="k").exit_code == 0
    done = run(tmp_path, "journal", "--rekey", JOURNAL_KEY="k")
    assert (done.exit_code, "no new chain is needed" in done.stderr) == (2, True)

    change(store._url.render_as_string(), "delete from journal")
    done = run(tmp_path, "journal", "--verify", JOURNAL_KEY="k")
    assert (done.exit_code, "emptied, truncated or swapped" in done.stdout) == (1, True)

    assert run(tmp_path, "journal", "--verify", JOURNAL_KEY="new").exit_code == 1
    done = run(tmp_path, "journal", "--rekey", JOURNAL_KEY="new")
    assert (done.exit_code, "starts at entry 4" in done.stdout) == (0, True)
    done = run(tmp_path, "journal", "--verify", JOURNAL_KEY="new")
    assert (done.exit_code, "entries before it were not checked" in done.stdout) == (0, True)
    store.close()


def test_no_new_chain_begins_while_the_bot_runs(tmp_path: Path) -> None:
    store = written(f"sqlite:///{tmp_path}/bot.db", 3)
    assert store.lock_at_once()
    done = run(tmp_path, "journal", "--rekey", JOURNAL_KEY="new")
    assert (done.exit_code, "Stop it first" in done.stderr) == (2, True)
    store.close()
