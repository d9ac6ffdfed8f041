"""Takes out each refusal of the gate, one at a time, and prints those that no test misses. Not a part of the suite.

    python -m tests.mutate gate/sending gate/authority      # files by their names
    python -m tests.mutate --list slack_io/handlers         # what would be taken out
    python -m tests.mutate slack_io/handlers --only 3,7     # some of it
    python -m tests.mutate gate/sending --seen .coverage    # with the tests that came by each, after a run of pytest with
                                                            # --cov --cov-context=test: minutes where it took hours

A refusal is an `if` whose body ends in raise, return, continue or abort (it never holds then), a raise by itself or a call of what checks
(it does nothing), or a return of a refusal or None by a condition (it is None then).
Each is tried in a copy of the tree, with the tests that fit its file (`TESTS`), one after the other until one fails; what survives
wants a test, or is no refusal at all.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

ROOT = Path(__file__).parents[1]
TOO_LONG = 600  # seconds; a mutant that hangs the tests was noticed
# The tests that speak of a file, the quick ones first.
TESTS = {
    "gate/authority": ("test_authority", "test_crowd", "test_direct", "test_gate_in_depth", "test_recipes"),
    "gate/proposals": ("test_gate", "test_gate_in_depth", "test_private"),
    "gate/decisions": ("test_gate", "test_gate_in_depth", "test_crowd"),
    "gate/last_checks": ("test_traffic", "test_gate", "test_private", "test_gate_travel", "test_reads_by_name"),
    "gate/sending": ("test_integrity", "test_gate", "test_gate_in_depth", "test_private", "test_traffic", "test_holds"),
    "gate/records": ("test_gate", "test_gate_in_depth", "test_integrity"),
    "gate/reads": ("test_reads", "test_gate", "test_private", "test_recipes"),
    "gate/single_reads": ("test_gate", "test_reads", "test_limits"),
    "gate/lists": ("test_reads", "test_lists", "test_gate"),
    "gate/look_ups": ("test_reads_by_name", "test_recipes"),
    "gate/reply_calls": ("test_ai", "test_gate", "test_reads", "test_recipes", "test_private"),
    "gate/recipe_runs": ("test_recipes",),
    "gate/policy": ("test_policy", "test_conditions", "test_gate"),
    "slack_io/handlers": (
        "test_crowd",
        "test_direct",
        "test_refusals_told",
        "test_bot_scenarios",
        "test_streaming",
        "test_gate_in_depth",
        "test_bot_door",
    ),
    "store/turns": ("test_turns", "test_admission", "test_holds", "test_transitions"),
    "store/admission": ("test_admission", "test_crowd"),
    "store/proposals": ("test_transitions", "test_integrity", "test_holds", "test_private"),
    "store/seals": ("test_integrity",),
    "store/saved_results": ("test_saved_results", "test_private"),
    "store/database": ("test_database", "test_holds", "test_file", "test_journal"),
    "slack_io/http_door": ("test_bot_door", "test_bot_in_socket_mode"),
    "catalog/calls": ("test_calls", "test_bodies", "test_parameters", "test_media", "test_hostile", "test_policy"),
    "catalog/template": ("test_calls", "test_parameters", "test_catalog", "test_hostile"),
}
_ENDS = (ast.Raise, ast.Return, ast.Continue)


@dataclass(frozen=True)
class Mutant:
    """One refusal taken out: what stands from `start` to `end` of the source is `instead`."""

    line: int
    start: int
    end: int
    instead: str
    words: str
    told_by: tuple[int, int]  # who does not run these lines cannot tell that it is gone


def mutants(source: str) -> list[Mutant]:
    """All refusals of a file, in its order."""
    return sorted(_found(source), key=lambda one: one.start)


def _found(source: str) -> Iterator[Mutant]:
    tree = ast.parse(source)
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    guarded: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.If(test=test, body=[*_, last]) if _refuses(last):
                guarded.add(last)
                told = f"if {ast.unparse(test)}: ... {ast.unparse(last)}"
                yield _mutant(source, starts, test, "False", told, (node.body[0], last))
    for node in ast.walk(tree):
        match node:
            case ast.Raise() | ast.Expr() if node not in guarded and (_refuses(node) or _checks(node)):
                yield _mutant(source, starts, node, "pass", ast.unparse(node), (node, node))
            case ast.Return(value=ast.IfExp(body=yes, orelse=no) as value) if _is_none(yes) or _is_none(no):
                yield _mutant(source, starts, value, "None", ast.unparse(node), (node, node))


def _refuses(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "abort"
    return isinstance(node, _ENDS)


def _checks(node: ast.AST) -> bool:
    """Whether a statement calls what raises unless all is well: `check_plain(write)`, `self._check_clicker(user)`."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    return ast.unparse(node.value.func).rpartition(".")[-1].lstrip("_").startswith(("check", "verify"))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _mutant(
    source: str,
    starts: Sequence[int],
    node: ast.expr | ast.stmt,
    instead: str,
    words: str,
    told_by: tuple[ast.stmt, ast.stmt],
) -> Mutant:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = (told_by[0].lineno, told_by[1].end_lineno or 0)
    start = starts[node.lineno - 1] + node.col_offset
    end = starts[node.end_lineno - 1] + node.end_col_offset
    return Mutant(node.lineno, start, end, instead, " ".join(words.split())[:110], lines)


def mutated(source: str, one: Mutant) -> str:
    """The source with a refusal taken out; of its lines none is lost, so that tracebacks still fit."""
    text = source.encode()
    kept = b"\n" * text[one.start : one.end].count(b"\n") if one.instead == "pass" else b""
    return (text[: one.start] + one.instead.encode() + kept + text[one.end :]).decode()


def survives(copy: Path, file: str, source: str, one: Mutant, tests: Sequence[str], workers: int) -> bool:
    """Whether these tests pass although a refusal is gone."""
    if not tests:
        return True
    path = copy / f"{file}.py"
    path.write_text(mutated(source, one), "utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", str(workers), "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, timeout=TOO_LONG, check=False)
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(source, "utf-8")
    if done.returncode not in (0, 1, 2):  # 2: stopped after the first that failed, with several workers
        raise SystemExit(f"the tests did not run:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def fitting(file: str) -> list[str]:
    """The test files that fit a file."""
    return [str(path.relative_to(ROOT)) for name in TESTS[file] for path in ROOT.glob(f"tests/**/{name}.py")]


def came_by(seen: Sequence[CoverageData], file: str, one: Mutant) -> list[str]:
    """The tests that ran what a refusal leads to."""
    first, last = one.told_by
    by_line = (data.contexts_by_lineno(str(ROOT / f"{file}.py")) for data in seen)
    contexts = {test for lines in by_line for line in range(first, last + 1) for test in lines.get(line, ())}
    return sorted({test.rpartition("|")[0] for test in contexts} - {""})


def seen_in(file: str) -> CoverageData:
    """What a run of the tests with --cov-context=test wrote down."""
    data = CoverageData(file)
    data.read()
    return data


def copied(folder: Path) -> Path:
    """The tracked files, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def main() -> int:
    """Prints the survivors; their number is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {', '.join(TESTS)}; default: all")
    parser.add_argument("--list", action="store_true", help="lists the refusals, with their numbers, and runs nothing")
    parser.add_argument("--only", default="", help="numbers of the list, comma separated")
    parser.add_argument("--seen", action="append", default=[], help="a coverage file with contexts; may be said again")
    parser.add_argument("--workers", type=int, default=0, help="tests at once (default: one after the other)")
    given = parser.parse_args()
    if unknown := set(given.files) - TESTS.keys():
        parser.error(f"no file of this name: {', '.join(sorted(unknown))}")
    only = {int(one) for one in given.only.split(",") if one}
    seen = [seen_in(one) for one in given.seen]
    left = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) if given.list else copied(Path(folder))
        for file in given.files or TESTS:
            source = (ROOT / f"{file}.py").read_text("utf-8")
            for number, one in enumerate(mutants(source), start=1):
                if only and number not in only:
                    continue
                began, verdict = time.monotonic(), ""
                if not given.list:
                    tests = came_by(seen, file, one) if seen else fitting(file)
                    alive = survives(copy, file, source, one, tests, given.workers)
                    left += alive
                    verdict = f"{'SURVIVES' if alive else 'noticed':9}{time.monotonic() - began:5.0f} s  "
                print(f"{verdict}{file}.py:{one.line} [{number}] {one.words}", flush=True)
    return min(left, 255)


if __name__ == "__main__":
    sys.exit(main())
