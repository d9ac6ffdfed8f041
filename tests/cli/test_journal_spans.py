"""`python bot.py journal` with --since, --until and --kind: lists, exports and checks of a part."""

from __future__ import annotations

import ast
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from bot import main
from gate.policy import Event
from store.journal.hash_chain import JournalEntry
from store.journal.kinds import KINDS
from store.store import Store
from tests.harness.databases import looking_into, opened_before
from tests.harness.stores import Clock

ROOT = Path(__file__).parents[2]
DAY = 86_400.0
MONDAY = 1_767_571_200.0  # 2026-01-05T00:00Z


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a journal of three entries on each of four days from Monday on, and two of the last hour."""
    folder, clock = tmp_path_factory.mktemp("written"), Clock()
    with closing(Store(opened_before("sqlite", folder), clock)) as store:
        moments = [MONDAY + day * DAY + hour * 3_600 for day in range(4) for hour in (1, 12, 23)]
        for clock.now in [*moments, time.time() - 1_800, time.time() - 60]:
            store.note("", "", [JournalEntry("find", {"words": "w"})])
        store.journal.keep_head()
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Iterator[Path]:
    """A bot's folder with that journal, for a test to change."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def journal(*options: str) -> Result:
    nothing = dict.fromkeys(os.environ) | {"COLUMNS": "250", "DATABASE_URL": "sqlite:///bot.db"}
    return CliRunner().invoke(main, ["journal", *options], env=nothing)


def numbers(*options: str) -> list[int]:
    done = journal("--export", "jsonl", *options)
    assert done.exit_code == 0, done.output
    return [json.loads(line)["number"] for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--since", "2026-01-06", "--until", "2026-01-06"], [4, 5, 6]),
        (["--since", "2026-01-06T12:00", "--until", "2026-01-07T12:00"], [5, 6, 7]),
        (["--until", "2026-01-05"], [1, 2, 3]),
        (["--since", "2026-01-08T13:00+01:00", "--until", "2026-01-08"], [11, 12]),
        (["--since", "1h"], [13, 14]),
        (["--since", "10m"], [14]),
        (["--since", "1h", "--last", "1"], [14]),
        (["--since", "0s"], []),
        (["--since", "2026-01-06", "--until", "2026-01-06", "--kind", "find"], [4, 5, 6]),
        (["--since", "2026-01-06", "--until", "2026-01-06", "--kind", "alarm"], []),
    ],
)
def test_a_span_leaves_what_was_written_within_it(options: list[str], expected: list[int]) -> None:
    assert numbers(*options) == expected


@pytest.mark.usefixtures("folder")
def test_where_nothing_was_written_that_is_said() -> None:
    done = journal("--until", "2025-12-31")
    assert (done.exit_code, done.stdout) == (0, "No entries.\n")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--since", "yesterday"], "--since: write a date (2026-11-30), a date and time"),
        (["--until", "2026-13-01"], "--until: write a date (2026-11-30), a date and time"),
        (["--since", "1h", "--until", "2h"], "--since is not before --until"),
        (["--kind", "nix"], "--kind: there is no kind 'nix'. Available: account asked for, alarm, answer, approve, "),
        (["--kind", "aproved"], "--kind: there is no kind 'aproved'; did you mean 'approve'? Available: "),
    ],
)
def test_what_cannot_be_read_is_told(options: list[str], told: str) -> None:
    for more in ([], ["--verify"], ["--export", "csv"]):
        done = journal(*options, *more)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(told)


@pytest.mark.usefixtures("folder")
def test_a_kind_that_an_earlier_version_wrote_can_be_listed() -> None:
    with closing(Store("sqlite:///bot.db")) as store:
        store.note("", "", [JournalEntry("of old", {})])
    assert numbers("--kind", "of old") == [15]


# --- checking a part --------------------------------------------------------------------------------------------------


def verify(*options: str) -> tuple[int, str]:
    done = journal("--verify", *options)
    return done.exit_code, done.stdout.strip()


@pytest.mark.usefixtures("folder")
def test_the_part_since_a_moment_is_checked_to_the_journals_end() -> None:
    code, told = verify("--since", "2026-01-07")
    assert (code, told.splitlines()[0]) == (0, "Checked from entry 7 on. Entries before it were not checked.")
    assert told.splitlines()[1].startswith("14 entries, the chain is intact. Head: 14:")


@pytest.mark.usefixtures("folder")
def test_the_part_before_a_moment_tells_where_it_ends() -> None:
    assert verify("--until", "2026-01-06") == (
        0,
        "Entries 1 to 6, the chain is intact. Entries after it were not checked.",
    )
    code, told = verify("--since", "2026-01-06", "--until", "2026-01-06")
    assert (code, told.splitlines()[1]) == (
        0,
        "Entries 4 to 6, the chain is intact. Entries after it were not checked.",
    )


def change(folder: Path, statement: str) -> None:
    with looking_into(f"sqlite:///{folder}/bot.db") as engine, engine.begin() as db:
        db.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "since", "until", "code"),
    [
        ("update journal set data = '{}' where number = 5", "2026-01-06", "2026-01-06", 1),
        ("update journal set data = '{}' where number = 5", "2026-01-07", "2026-01-07", 0),
        ("update journal set data = '{}' where number = 3", "2026-01-06", "2026-01-06", 0),
        ("update journal set hash = 'x' where number = 3", "2026-01-06", "2026-01-06", 1),
        ("delete from journal where number = 5", "2026-01-06", "2026-01-06", 1),
        ("delete from journal where number = 3", "2026-01-06", "2026-01-06", 1),
    ],
)
def test_only_what_is_wrong_within_it_is_found(folder: Path, statement: str, since: str, until: str, code: int) -> None:
    change(folder, statement)
    found, told = verify("--since", since, "--until", until)
    assert (found, "The journal is broken at entry" in told) == (code, bool(code))


@pytest.mark.usefixtures("folder")
def test_a_span_in_which_nothing_was_written_says_so() -> None:
    assert verify("--since", "2020-01-01", "--until", "2020-01-01") == (0, "No entry was written within that time.")


def test_a_tail_that_was_cut_off_shows_in_a_part_as_well(folder: Path) -> None:
    change(folder, "delete from journal where number = 14")
    code, told = verify("--since", "2026-01-07")
    assert (code, "there must have been more" in told) == (1, True)


# --- the kinds --------------------------------------------------------------------------------------------------------


def test_the_kinds_are_those_that_the_code_writes() -> None:
    written = set()
    for path in [*ROOT.glob("*.py"), *ROOT.glob("[a-z]*/**/*.py")]:
        if not {"tests", ".venv", "bench"} & set(path.relative_to(ROOT).parts):
            text = path.read_text("utf-8")
            for node in ast.walk(ast.parse(text)) if "JournalEntry(" in text else ():
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "JournalEntry" and node.args:
                    written.add(ast.unparse(node.args[0]))
    plain = {ast.literal_eval(one) for one in written if one[0] in "\"'"}
    assert written - {repr(one) for one in plain} == {"BEGUN_ANEW", "kind"}
    assert set(KINDS) == plain | {"begun anew", "vote", "connected", "disconnected"} | {str(event) for event in Event}
    assert len(KINDS) == len(set(KINDS))
