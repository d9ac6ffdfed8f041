"""The journal: one chain without gaps, on both databases and under races; whoever changes it is found; the commands that read it."""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from base.settings import Misconfigured
from base.thread import Thread
from bot import main
from gate.policy import Event
from store.arrivals import Arrival
from store.journal.hash_chain import FIRST, ChainedEntry, JournalEntry, first_broken, link
from store.journal.journal import read_key
from store.journal.reports import export, repeated, summary, totals, totals_told
from store.proposals import Effects
from store.store import Store
from tests.harness.bot_parts import USERS, BotParts, calls, says
from tests.harness.databases import looking_into
from tests.harness.forked_bot import command, in_processes
from tests.harness.rest_server import RestServer, hang_up, reply
from tests.harness.stores import a_mention
from tests.harness.whole_bot import at_once

ROOT = Path(__file__).parents[2]
KEY = b"the key of these tests"

# --- the chain --------------------------------------------------------------------------------------------------------

TEXTS = st.text(max_size=6) | st.sampled_from(["", "a", "b", "ab", '","', "\ud800", "\0", "é"])
CONTENTS = st.tuples(st.floats(0, 2e9), TEXTS, TEXTS, TEXTS, TEXTS)
SOME = settings(max_examples=30)  # each run draws others


def chained(contents: Sequence[tuple[float, str, str, str, str]], key: bytes = KEY) -> list[ChainedEntry]:
    lines: list[ChainedEntry] = []
    before = FIRST
    for number, content in enumerate(contents, start=1):
        before = link(key, before, number, *content)
        lines.append(ChainedEntry(number, *content, before))
    return lines


@SOME
@given(contents=st.lists(CONTENTS, max_size=8))
def test_a_chain_as_it_was_written_is_whole(contents: list[Any]) -> None:
    lines = chained(contents)
    assert first_broken(KEY, lines) == (None, lines[-1].hash if lines else FIRST, len(lines))


@SOME
@given(contents=st.lists(CONTENTS, min_size=1, max_size=8), data=st.data())
def test_a_line_that_was_changed_is_named(contents: list[Any], data: st.DataObject) -> None:
    lines = chained(contents)
    at = data.draw(st.integers(0, len(lines) - 1))
    name = data.draw(st.sampled_from(list(ChainedEntry.__dataclass_fields__)))
    drawn = {
        "number": st.integers(),
        "at": st.floats(0, 2e9),
        "hash": st.sampled_from([FIRST, "", *(one.hash for one in lines)]),
    }
    value: Any = data.draw(drawn.get(name, TEXTS).filter(lambda new: repr(new) != repr(getattr(lines[at], name))))
    lines[at] = replace(lines[at], **{name: value})
    broken, _, good = first_broken(KEY, lines)
    assert (broken, good) == (at + 1, at)


@SOME
@given(contents=st.lists(CONTENTS, min_size=2, max_size=8), data=st.data())
def test_a_line_that_was_removed_inserted_or_moved_is_found(contents: list[Any], data: st.DataObject) -> None:
    lines = chained(contents)
    first, second = sorted(data.draw(st.lists(st.sampled_from(range(len(lines))), min_size=2, max_size=2, unique=True)))
    removed = lines[:first] + lines[first + 1 :]
    assert first_broken(KEY, removed)[0] == first + 1
    for numbered in (lines[second], replace(lines[second], number=first + 1)):
        inserted = [*lines[:first], numbered, *lines[first:]]
        assert first_broken(KEY, inserted)[0] == first + 1
    moved = list(lines)
    moved[first], moved[second] = moved[second], moved[first]
    assert first_broken(KEY, moved)[0] == first + 1


@SOME
@given(contents=st.lists(CONTENTS, min_size=1, max_size=8), data=st.data())
def test_whoever_has_no_key_cannot_write_the_rest_anew(contents: list[Any], data: st.DataObject) -> None:
    lines = chained(contents)
    at = data.draw(st.integers(0, len(lines) - 1))
    forged = chained(contents, data.draw(st.binary().filter(lambda key: key.rstrip(b"\0") != KEY)))
    assert first_broken(KEY, lines[:at] + forged[at:])[0] == at + 1


@SOME
@given(contents=st.lists(CONTENTS, min_size=2, max_size=8))
def test_a_tail_that_was_cut_off_is_whole_and_has_another_head(contents: list[Any]) -> None:
    lines = chained(contents)
    broken, head, number = first_broken(KEY, lines[:-1])
    assert (broken, number) == (None, len(lines) - 1)
    assert head != lines[-1].hash


@SOME
@given(one=CONTENTS, other=CONTENTS, numbers=st.tuples(st.integers(), st.integers()))
def test_two_different_lines_never_have_the_same_hash(one: Any, other: Any, numbers: tuple[int, int]) -> None:
    if (numbers[0], *map(repr, one)) != (numbers[1], *map(repr, other)):
        assert link(KEY, FIRST, numbers[0], *one) != link(KEY, FIRST, numbers[1], *other)


# --- in the database --------------------------------------------------------------------------------------------------


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url, journal_key="k")
    yield store
    store.close()


def arrivals(store: Store, count: int) -> list[Arrival]:
    """Things that came in, each in a thread of its own."""
    found = []
    for i in range(count):
        thread = Thread("T0LOCAL", "C0HR", f"300.{i:06d}")
        assert store.record(a_mention(f"Ev{i}", thread, f"300.{i:06d}"))
        found += store.arrivals(thread.key)
    return found


def note(store: Store, *entries: JournalEntry) -> None:
    (arrival,) = arrivals(store, 1)
    store.dispose(arrival, (), entries)


def test_racing_transactions_write_one_chain_without_gaps(store: Store, url: str) -> None:
    others = [Store(url, journal_key="k") for _ in range(2)]  # as other processes would be
    came = arrivals(store, 40)

    def work(number: int) -> None:
        for i in range(number, 40, 8):
            entries = [JournalEntry("one", {"i": i, "of": j}) for j in range(i % 3 + 1)]
            [store, *others][i % 3].dispose(came[i], (), entries)

    at_once(*[lambda n=n: work(n) for n in range(8)])
    lines = list(store.journal.lines())
    assert [line.number for line in lines] == list(range(1, sum(i % 3 + 1 for i in range(40)) + 1))
    assert store.journal.verify() == (None, lines[-1].hash, len(lines))
    told = [json.loads(line.data) for line in lines]
    assert sorted(told, key=lambda one: (one["i"], one["of"])) == [
        {"i": i, "of": j} for i in range(40) for j in range(i % 3 + 1)
    ]
    for one in others:
        one.close()


def test_an_entry_is_there_if_and_only_if_what_it_tells_is(store: Store) -> None:
    (arrival,) = arrivals(store, 1)
    with pytest.raises(TypeError):
        store.dispose(arrival, (), [JournalEntry("fine", {}), JournalEntry("no JSON", {"x": object()})])
    assert list(store.journal.lines()) == []
    assert store.arrivals(arrival.thread.key) == [arrival]
    note_of_nothing = store.transition(
        "no such proposal", Event.SEND, lambda _: Effects(entries=[JournalEntry("send", {})])
    )
    assert note_of_nothing is None
    assert list(store.journal.lines()) == []


ODD = ["\ud800", "a\0b", "\u2028", "😀", "x" * 100_000, 2**70, 0.1, 1e308, True, None, [], {"": {}}, "\\u0000", '"']


def test_an_entry_of_any_kind_stays_whole(store: Store) -> None:
    """What is broken is named by its number."""
    note(store, *(JournalEntry("odd", {"value": value, str(value)[:5]: 1}) for value in ODD), JournalEntry("next", {}))
    assert store.journal.verify()[0] is None
    assert len(list(store.journal.lines())) == len(ODD) + 1


TAMPER = {
    "an entry's data": ("update journal set data = '{}' where number = 3", 3),
    "an entry's kind": ("update journal set kind = 'two' where number = 2", 2),
    "an entry's moment": ("update journal set at = at + 0.001 where number = 3", 3),
    "an entry's hash": ("update journal set hash = 'x' where number = 4", 4),
    "a removed entry": ("delete from journal where number = 2", 2),
    "a removed beginning": ("delete from journal where number < 3", 1),
    "another order": ("update journal set number = 9 where number = 2", 2),
    "all renumbered": ("update journal set number = number + 1000", 1),
}


def test_what_was_done_to_the_table_is_found(store: Store, url: str) -> None:
    note(store, *(JournalEntry("one", {"i": i}) for i in range(5)))
    with looking_into(url) as engine:
        with engine.begin() as db:
            db.execute(text("create table kept as select * from journal"))
        for what, (statement, broken) in TAMPER.items():
            with engine.begin() as db:
                db.execute(text(statement))
            assert store.journal.verify()[0] == broken, what
            with engine.begin() as db:
                db.execute(text("delete from journal"))
                db.execute(text("insert into journal select * from kept"))
            assert store.journal.verify()[0] is None


def test_more_entries_than_a_page_are_read_in_order(store: Store) -> None:
    note(store, *(JournalEntry("many" if i % 2 else "few", {"i": i}) for i in range(2_500)))
    assert [line.number for line in store.journal.lines()] == list(range(1, 2_501))
    assert len(list(store.journal.lines(kind="many"))) == 1_250
    assert store.journal.verify()[2] == 2_500
    assert store.journal.head()[0] == 2_500


def test_what_retention_erases_leaves_the_chain_whole(tmp_path: Path) -> None:
    with RestServer() as server:
        parts = BotParts(tmp_path, USERS.format(base=server.url))
        parts.replies.will(says("fine, dear Ann"))
        thread = parts.ask("my own words")
        for due in parts.store.due_posts(thread):
            parts.store.delivered([(due.post.post, "1.1")])
        (question,) = parts.store.journal.lines(kind="question")
        assert parts.store.words_of(question.turn) == "my own words"
        assert parts.store.forget(time.time() + 1) == 1
        assert parts.store.words_of(question.turn) is None
        lines = list(parts.store.journal.lines())
        assert [line.kind for line in lines] == ["question", "model call", "answer"]
        assert parts.store.journal.verify()[0] is None
        assert not any(words in line.data for line in lines for words in ("my own words", "dear Ann"))
        parts.close()


ODD_CALLS = [
    '{"method":"GET\\ud800","url":"/users"}',
    '{"method":"GET","url":"/\\ud800"}',
    '{"method":"\\u0000","url":"\\u0000"}',
    '{"method":["GET"],"url":{"a":1}}',
    "no json",
]


def test_no_call_of_the_model_breaks_the_chain(tmp_path: Path) -> None:
    """The journal is evidence: a model that can break it can hide behind the break."""
    parts = BotParts(tmp_path, USERS.format(base="http://127.0.0.1:9"))
    seen = 0
    for raw in ODD_CALLS:
        parts.replies.will(calls(raw))
        parts.ask()
        kinds = [line.kind for line in parts.store.journal.lines()]
        assert kinds[seen:][2] == "bad call", raw
        assert parts.store.journal.verify()[0] is None, raw
        seen = len(kinds)
    parts.close()


# --- the key ----------------------------------------------------------------------------------------------------------


def test_racing_processes_make_one_key_and_leave_nothing_else(tmp_path: Path) -> None:
    keys = set(in_processes(functools.partial(read_key, None, str(tmp_path / "bot.db")), 5))
    (key,) = keys
    assert len(bytes.fromhex(key.decode())) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["bot.db.journal-key"]
    assert (tmp_path / "bot.db.journal-key").stat().st_mode & 0o077 == 0


def test_a_key_that_was_given_makes_no_file(tmp_path: Path) -> None:
    assert read_key("given", str(tmp_path / "bot.db")) == b"given"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_key_file_stops_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "bot.db.journal-key").write_text(content)
    with pytest.raises(Misconfigured, match="is empty"):
        read_key(None, str(tmp_path / "bot.db"))


def test_a_key_that_cannot_be_kept_stops_the_start_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"cannot be written .* Set it to a secret of your own"):
        read_key(None, str(tmp_path / "nowhere" / "bot.db"))


def test_a_reader_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="JOURNAL_KEY is not set"):
        read_key(None, str(tmp_path / "bot.db"), make=False)
    assert list(tmp_path.iterdir()) == []


# --- the commands -----------------------------------------------------------------------------------------------------


class Kept:
    """A database with a history, and the commands run on it."""

    def __init__(self, folder: Path, store: Store, threads: Sequence[str]) -> None:
        self.folder = folder
        self.store = store
        self.url = f"sqlite:///{folder / 'bot.db'}"
        self.threads = threads

    def run(self, *arguments: str, **settings: str) -> Result:
        """`python bot.py ...` beside the database, in this process: starting another takes a second."""
        return _run(self.folder, *arguments, **settings)

    def change(self, statement: str) -> None:
        with looking_into(self.url) as engine, engine.begin() as db:
            db.execute(text(statement))

    def resign(self) -> None:
        """As who has the key, too, can hide what was done: the head is that of the entries which are left."""
        with looking_into(self.url) as engine, engine.begin() as db:
            db.execute(text("delete from journal_head"))
            self.store.journal.begin(db)

    def lines(self) -> list[ChainedEntry]:
        return list(self.store.journal.lines())


def _run(folder: Path, *arguments: str, **settings: str) -> Result:
    nothing = dict.fromkeys(os.environ) | {"COLUMNS": "300"}
    before = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(main, list(arguments), env=nothing | settings)
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sequence[str]]:
    """A folder with a database, and its two threads: a removal that was approved and failed with 404, after a read and two bad calls; and
    a denial."""
    folder = tmp_path_factory.mktemp("history")
    with RestServer() as server:
        parts = BotParts(folder, USERS.format(base=server.url), timeout=60)
        bad = [("GET", "/nowhere/1"), ("GET", "/nowhere/22")]
        parts.replies.will(calls(("GET", "/users/7"), *bad), calls(("DELETE", "/users/7")), says("Gone already."))
        server.will(reply('{"id": 7}'), reply('{"error": "no such"}', 404))
        first = parts.ask("remove Tom [bold]now[/bold]")
        parts.press(parts.pending()[0])
        parts.advance(first)
        server.will(hang_up, hang_up, reply("{}", 500))
        parts.replies.will(calls(("GET", "/users/8"), ("GET", "/users/9")), calls(("DELETE", "/users/8")))
        second = parts.ask("remove the other", by="U0BEN")
        parts.press(parts.pending()[0], "deny")
        parts.advance(second)
        parts.close()
    return folder, [first, second]


@pytest.fixture
def kept(history: tuple[Path, Sequence[str]], tmp_path: Path) -> Iterator[Kept]:
    """That database, for a test to change."""
    folder, threads = history
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    kept = Kept(tmp_path, Store(f"sqlite:///{tmp_path / 'bot.db'}"), threads)
    yield kept
    kept.store.close()


def test_the_journal_is_listed_in_order_with_the_questions_words(kept: Kept) -> None:
    done = kept.run("journal")
    assert done.exit_code == 0
    order = [
        done.stdout.index(f" {kind} ") for kind in ("question", "model call", "read", "bad call", "proposed", "approve")
    ]
    assert order == sorted(order)
    assert "remove Tom [bold]now[/bold]" in done.stdout
    assert "U0BEN" in done.stdout
    assert "status 404" in done.stdout


FILTERS: list[tuple[list[str], Callable[[ChainedEntry, Kept], bool]]] = [
    (["--kind", "proposed"], lambda line, _: line.kind == "proposed"),
    (["--thread", "{thread}"], lambda line, kept: line.thread == kept.threads[1]),
    (["--turn", "{turn}"], lambda line, kept: line.turn == kept.lines()[0].turn),
    (["--by", "U0BEN"], lambda line, _: "U0BEN" in line.data),
    (["--kind", "read", "--thread", "{thread}"], lambda line, kept: line.kind == "read" and line.thread == kept.threads[1]),
    (["--last", "3"], lambda line, kept: line.number > len(kept.lines()) - 3),
    (["--kind", "question", "--last", "1"], lambda line, kept: line.kind == "question" and line.thread == kept.threads[1]),
    (["--kind", "reminder"], lambda *_: False),
    (["--thread", "' or 1=1 --"], lambda *_: False),
]  # fmt: skip


def test_filters_leave_what_they_say(kept: Kept) -> None:
    lines = kept.lines()
    for options, expected in FILTERS:
        given_ = [one.format(thread=kept.threads[1], turn=lines[0].turn) for one in options]
        done = kept.run("journal", "--export", "jsonl", *given_)
        assert done.exit_code == 0
        found = [json.loads(one)["number"] for one in done.stdout.splitlines()]
        assert found == [line.number for line in lines if expected(line, kept)], options
        assert kept.run("journal", *given_).exit_code == 0, options


def test_an_export_as_jsonl_can_be_checked_elsewhere(kept: Kept) -> None:
    """Whoever holds the key needs nothing but the lines."""
    found = [json.loads(one) for one in kept.run("journal", "--export", "jsonl").stdout.splitlines()]
    texts = [json.dumps(one["data"], ensure_ascii=False, separators=(",", ":")) for one in found]
    lines = [
        ChainedEntry(one["number"], one["at_seconds"], one["thread"], one["turn"], one["kind"], data, one["hash"])
        for one, data in zip(found, texts, strict=True)
    ]
    assert lines == kept.lines()
    key = (kept.folder / "bot.db.journal-key").read_text().strip().encode()
    assert first_broken(key, lines)[0] is None
    assert all(one["at"].endswith("Z") for one in found)


def test_an_export_as_csv_has_the_same_lines_under_a_heading(kept: Kept) -> None:
    head, *found = csv.reader(io.StringIO(kept.run("journal", "--export", "csv").stdout))
    assert head == ["number", "at", "at_seconds", "thread", "turn", "kind", "data", "hash"]
    lines = [
        ChainedEntry(int(number), float(at), thread, turn, kind, data, hash_)
        for number, _, at, thread, turn, kind, data, hash_ in found
    ]
    assert lines == kept.lines()


def test_no_cell_of_a_csv_is_a_formula() -> None:
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"]
    _, *found = export([ChainedEntry(1, 1.0, cell, cell, cell, "{}", "h") for cell in formulas], "csv")
    assert [cells[3:6] for cells in csv.reader(found)] == [[f"'{cell}"] * 3 for cell in formulas]


def test_a_whole_chain_is_told_with_its_head_and_exit_code_0(kept: Kept) -> None:
    done = kept.run("journal", "--verify")
    last = kept.lines()[-1]
    assert done.exit_code == 0
    assert done.stdout.strip() == f"{last.number} entries, the chain is intact. Head: {last.number}:{last.hash}"
    assert kept.run("journal", "--verify", "--head", f"{last.number}:{last.hash}").exit_code == 0
    assert kept.run("journal", "--verify", "--head", f"2:{kept.lines()[1].hash}").exit_code == 0


def test_the_first_broken_entry_is_named_with_exit_code_1(kept: Kept) -> None:
    kept.change("update journal set data = replace(data, 'U0ANN', 'U0BEN') where kind = 'approve'")
    (approved,) = [line.number for line in kept.lines() if line.kind == "approve"]
    done = kept.run("journal", "--verify")
    assert done.exit_code == 1
    assert f"broken at entry {approved}:" in done.stdout


WRITTEN_BY_HAND = [
    "data = 'no JSON'", "data = x'00ff'", "data = '[]'", "at = 'yesterday'", "at = -1e300", "hash = 'é'", "hash = x'00'", "kind = x'00'"
]  # fmt: skip


def test_whatever_somebody_writes_into_an_entry_by_hand_the_commands_go_on(kept: Kept) -> None:
    kept.change("create table kept as select * from journal where number = 3")
    for change in WRITTEN_BY_HAND:
        kept.change(f"update journal set {change} where number = 3")
        done = kept.run("journal", "--verify")
        assert (done.exit_code, "broken at entry 3:" in done.stdout) == (1, True), change
        kept.change("replace into journal select * from kept")
        assert kept.store.journal.verify()[0] is None

    for number, change in enumerate(WRITTEN_BY_HAND, start=1_000):  # in copies of that entry
        kept.change(f"insert into journal select {number}, at, thread, turn, kind, data, hash from kept")
        kept.change(f"update journal set {change} where number = {number}")
    for arguments in (["journal"], ["journal", "--export", "csv"], ["journal", "--export", "jsonl"], ["errors"]):
        shown = kept.run(*arguments)
        assert shown.exit_code == 0, (arguments, shown.exception)
        assert shown.stdout.strip(), arguments


def test_no_escape_sequence_reaches_the_terminal(kept: Kept) -> None:
    """Words of people and the model's calls may hold some, and a terminal would obey."""
    kept.change("update turns set text = char(27) || ']0;owned' || char(7) || text")
    kept.change("update journal set data = replace(data, '/nowhere', '/\\u001b[2J') where kind = 'bad call'")
    shown = kept.run("journal").stdout + kept.run("errors").stdout
    assert "\x1b" not in shown
    assert "\\u001b]0;owned" in shown


def test_a_tail_that_was_cut_off_shows_with_a_head_from_the_log(kept: Kept) -> None:
    last = kept.lines()[-1]
    kept.change(f"delete from journal where number = {last.number}")
    kept.resign()
    assert kept.run("journal", "--verify").exit_code == 0
    for head in (f"{last.number}:{last.hash}", f"{last.number}:{'0' * 64}", "7", "", ":", "x:y", f"1:{last.hash}"):
        done = kept.run("journal", "--verify", "--head", head)
        assert (done.exit_code, "intact, but" in done.stdout) == (1, True), head


def test_another_key_finds_every_entry_wrong(kept: Kept) -> None:
    done = kept.run("journal", "--verify", JOURNAL_KEY="another")
    assert (done.exit_code, "broken at entry 1:" in done.stdout) == (1, True)


def test_reading_writes_nothing(kept: Kept) -> None:
    before = {path.name: path.read_bytes() for path in kept.folder.iterdir() if "db-" not in path.name}
    for arguments in (["journal"], ["journal", "--verify"], ["journal", "--export", "csv"], ["errors"]):
        assert kept.run(*arguments).exit_code == 0
    assert {path.name: path.read_bytes() for path in kept.folder.iterdir() if "db-" not in path.name} == before


def test_where_there_is_no_database_that_is_told(tmp_path: Path) -> None:
    for arguments in (["journal"], ["journal", "--verify"], ["errors"]):
        done = _run(tmp_path, *arguments)
        assert done.exit_code == 2, arguments
        assert "DATABASE_URL: there is no database at bot.db" in done.stderr, arguments
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_its_key_is_told_and_gets_no_new_one(kept: Kept) -> None:
    (kept.folder / "bot.db.journal-key").unlink()
    done = kept.run("journal", "--verify")
    assert done.exit_code == 2
    assert "JOURNAL_KEY is not set" in done.stderr
    assert not (kept.folder / "bot.db.journal-key").exists()


def test_the_program_itself_ends_with_these_codes(kept: Kept) -> None:
    """One after another as an operator runs them, each in a process of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ.get("PATH", ""), "COLUMNS": "300"}
        return command(environ, kept.folder, *arguments)

    whole = run("journal", "--verify")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "the chain is intact" in whole.stdout
    kept.change("delete from journal where number = 2")
    assert run("journal", "--verify").returncode == 1


# --- errors that repeat -----------------------------------------------------------------------------------------------


def test_errors_are_grouped_with_counts_an_example_and_the_question(kept: Kept) -> None:
    done = kept.run("errors")
    assert done.exit_code == 0
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if line.startswith("│")
    ]
    found = {(row[0], row[1], row[2]) for row in rows}
    assert ("2", "GET /*/*") in {row[:2] for row in found}
    assert ("1", "DELETE /users/[id]", "the API answered 404 Not Found") in found
    assert ("1", "GET /users/[id]", "the API answered 500 Internal Server Error") in found
    assert any(operation == "GET /users/[id]" and "connection failed" in reason for _, operation, reason in found)
    (bad,) = [row for row in rows if row[0] == "2"]
    assert bad[3].endswith("GET /*/*")
    assert bad[4] == "remove Tom [bold]now[/bold]"


def test_errors_of_long_ago_are_left_out(kept: Kept) -> None:
    kept.change("update journal set at = at - 86400 * 40")
    assert "No errors." in kept.run("errors").stdout
    assert "404 Not Found" in kept.run("errors", "--days", "60").stdout


def test_errors_adds_up_the_models_tokens() -> None:
    lines = [
        line("model call", 5.0, prompt_tokens=1_000, cached_tokens=600, completion_tokens=50, reasoning_tokens=20),
        line("model call", 6.0, prompt_tokens=234, completion_tokens=1),  # of a version that did not count these
        line("model call", 6.0, prompt_tokens="many"),
        line("read", 6.0, prompt_tokens=7),
        line("model call", 1.0, prompt_tokens=9_999),
    ]
    assert totals_told(totals(lines, since=2.0)) == (
        "Model calls: 3, 1,234 prompt tokens (600 of them from the server's cache), 51 completion tokens (20 of them for reasoning)."
    )


def test_the_totals_stand_below_the_errors(kept: Kept) -> None:
    assert re.search(r"^Model calls: [\d,]+, [\d,]+ prompt tokens \(0 of them", kept.run("errors").stdout, re.MULTILINE)


def test_days_that_make_no_sense_are_refused(kept: Kept) -> None:
    assert {days: kept.run("errors", "--days", days).exit_code for days in ("0", "-1", "x")} == {
        "0": 2,
        "-1": 2,
        "x": 2,
    }


def line(kind: str, at: float = 1.0, turn: str = "t", **data: Any) -> ChainedEntry:
    return ChainedEntry(1, at, "T/C/1", turn, kind, json.dumps(data), "h")


def test_the_most_frequent_error_comes_first_with_its_newest_example() -> None:
    groups = repeated(
        [
            line("read", 1, operation="GET /a", url="http://h/a", status=500),
            line("bad call", 2, "old", call="GET /x/1", reason="no 'one' of 12"),
            line("bad call", 9, "new", call="GET /x/22", reason="no 'two' of 7"),
            line("bad call", 5, "mid", call="GET /x/333", reason="no 'three' of 7"),
            line("read", 3, operation="GET /a", url="http://h/a", status=200),
            line("read", 4, operation="GET /a", url="http://h/a", status=304),
            line("succeed", 4, operation="PUT /a", url="http://h/a", status=200),
            line("lose", 6, operation="PUT /a", url="http://h/a", note="no answer came"),
            line("fail", 7, operation="PUT /a", url="http://h/a", note="Nothing was sent."),
            line("question", 8, asker="U0ANN"),
        ]
    )
    assert [(one.count, one.operation, one.reason, one.turn) for one in groups] == [
        (3, "GET /x/#", "no 'two' of 7", "new"),
        (1, "PUT /a", "Nothing was sent.", "t"),
        (1, "PUT /a", "no answer came", "t"),
        (1, "GET /a", "the API answered 500 Internal Server Error", "t"),
    ]


FIELDS = st.sampled_from(["call", "reason", "status", "operation", "url", "by", "user", "note", "fingerprint"])


@SOME
@given(
    data=st.dictionaries(FIELDS, st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2))
)
def test_lines_of_any_content_can_be_listed(data: dict[str, Any]) -> None:
    """Older versions may have written other fields."""
    lines = [line(kind, **data) for kind in ("bad call", "read", "fail", "model call")]
    for one in lines:
        summary(one)
    repeated(lines)
    assert [len(list(export(lines, "jsonl"))), len(list(export(lines, "csv")))] == [4, 5]
