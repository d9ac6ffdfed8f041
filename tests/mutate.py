"""Takes out each refusal of the gate, one at a time, and prints those that no test misses. Not a part of the suite.

    python -m tests.mutate gate/sending gate/authority      # files by their names
    python -m tests.mutate --list slack_io/handlers         # what would be taken out
    python -m tests.mutate slack_io/handlers --only 3,7     # some of it

A refusal is an `if` whose body ends in raise, return, continue or abort (it never holds then), a raise by itself or a call of what checks
(it does nothing), or a return of a refusal or None by a condition (it is None then).
The tests that fit a file (`TESTS`) run once, to see which of them come by which refusal. Then each refusal is off in a process of its own,
with those tests alone, the quickest first, until one fails. What survives wants a test, or is no refusal at all. Bots that tests start as
processes of their own refuse as ever.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
_AT_LEAST = 90.0  # seconds for a refusal's tests, and several times what they take without it: what hangs was noticed
_OF_ARRIVALS = (
    "test_crowd",
    "test_direct",
    "test_refusals_told",
    "test_bot_scenarios",
    "test_streaming",
    "test_gate_in_depth",
    "test_bot_door",
    "test_threads",
    "test_askers",
)
_OF_CALLS = (
    "test_calls",
    "test_circles",
    "test_bodies",
    "test_parameters",
    "test_media",
    "test_conditions",
    "test_reads",
)
# The tests that speak of a file.
TESTS = {
    "gate/authority": (
        "test_authority",
        "test_who_may_ask",
        "test_crowd",
        "test_direct",
        "test_gate_in_depth",
        "test_recipes",
    ),
    "gate/proposals": ("test_who_may_ask", "test_gate_travel", "test_reads", "test_gate_in_depth"),
    "gate/decisions": ("test_gate", "test_gate_in_depth", "test_crowd"),
    "gate/last_checks": (
        "test_who_may_ask",
        "test_traffic",
        "test_gate",
        "test_private",
        "test_gate_travel",
        "test_reads_by_name",
    ),
    "gate/sending": ("test_integrity", "test_gate", "test_gate_in_depth", "test_private", "test_traffic", "test_holds"),
    "gate/proposal_changes": ("test_gate", "test_gate_in_depth", "test_integrity"),
    "gate/reads": ("test_reads", "test_gate", "test_gate_travel", "test_private", "test_recipes"),
    "gate/single_reads": ("test_gate", "test_reads", "test_limits"),
    "gate/lists": ("test_reads", "test_lists", "test_reads_by_name", "test_targets"),
    "gate/look_ups": ("test_reads_by_name", "test_recipes", "test_who_may_ask"),
    "gate/reply_calls": ("test_ai", "test_gate", "test_reads", "test_reads_by_name", "test_recipes", "test_private"),
    "gate/recipe_runs": ("test_recipes",),
    "gate/api_client": (
        "test_service_ways",
        "test_late_credentials",
        "test_limits",
        "test_own_accounts",
        "test_hostile",
    ),
    "gate/api_pace": ("test_limits",),
    "gate/connection_pools": ("test_mtls", "test_limits", "test_values", "test_hostile", "test_proxies"),
    "identity/accounts": ("test_accounts", "test_changed_servers", "test_tokens"),
    "identity/actors": ("test_actors",),
    "identity/checks": ("test_mtls", "test_token_servers", "test_actors", "test_command_line"),
    "identity/connecting": (
        "test_connecting",
        "test_connecting_otherwise",
        "test_changed_servers",
        "test_oauth_pages",
    ),
    "identity/devices": ("test_connecting_otherwise", "test_changed_servers"),
    "identity/held_tokens": ("test_held_tokens", "test_service_ways"),
    "identity/id_tokens": ("test_sign_in_servers",),
    "identity/metadata": ("test_token_servers", "test_sign_in_servers"),
    "identity/sign_in_servers": ("test_sign_in_servers", "test_connecting_otherwise"),
    "identity/signing_keys": ("test_token_servers", "test_actors", "test_token_servers_by_maker"),
    "identity/token_servers": ("test_token_servers", "test_token_servers_by_maker", "test_service_ways"),
    "gate/policy": ("test_policy", "test_conditions", "test_gate"),
    "slack_io/handlers": _OF_ARRIVALS,
    "slack_io/mentions": _OF_ARRIVALS,
    "slack_io/clicks": _OF_ARRIVALS,
    "store/turns": ("test_turns", "test_admission", "test_holds", "test_transitions", "test_threads"),
    "store/admission": ("test_admission", "test_crowd"),
    "store/proposals": ("test_proposals", "test_transitions", "test_integrity", "test_holds", "test_replicas"),
    "store/seals": ("test_integrity",),
    "store/saved_results": ("test_saved_results", "test_private"),
    "store/database": ("test_database", "test_holds", "test_file", "test_journal", "test_integrity", "test_replicas"),
    "slack_io/http_door": ("test_bot_door", "test_bot_in_socket_mode"),
    "catalog/calls": _OF_CALLS,
    "catalog/matching": _OF_CALLS,
    "catalog/call_values": _OF_CALLS,
    "catalog/call_bodies": _OF_CALLS,
    "catalog/askers": ("test_circles",),
    "catalog/template": ("test_calls", "test_parameters", "test_catalog", "test_catalog_yaml", "test_catalog_keys"),
}
# What survives and may: without it, the same comes of it later or in other words. By its file, as it is listed.
SHORTCUTS = {
    "catalog/template": {
        "if at < 0: ... return None": "what follows finds nothing either",
        "if '+' not in raw: ... return raw": "neither expression fits then",
    },
    "gate/lists": {"if time.monotonic() >= until: ... raise _Over": "the page's own request has a millisecond left"},
    "identity/accounts": {
        "if self._store.end_renewal(account, renewed): ... return renewed": "what is there by then is looked up, and is that"
    },
    "identity/id_tokens": {
        "raise InvalidKeyIdError('no such key')": "no token, no claims: as odd",
        "if not keys: ... raise ValueError('no keys')": "a set of none has no key, and is fetched anew",
    },
    "identity/signing_keys": {"if is_now == mark: ... return": "it is read anew, and says the same"},
    "store/database": {"if not self.is_shared: ... return": "what is written down then, nobody looks at"},
    "store/proposals": {"if not over: ... return []": "of nothing, nothing is left"},
    "store/saved_results": {"if size <= bound: ... return": "the first of two: the loop asks before each row"},
}
_ENDS = (ast.Raise, ast.Return, ast.Continue)


# --- what a refusal is ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """What refuses, by its statement."""

    node: ast.stmt
    words: str

    @property
    def place(self) -> tuple[int, int]:
        """Line and column of what is taken out."""
        at = self.node.test if isinstance(self.node, ast.If) else self.node
        return at.lineno, at.col_offset


def refusals(tree: ast.Module) -> list[Refusal]:
    """All refusals of a file, in its order."""
    return sorted(_found(tree), key=lambda one: one.place)


def _found(tree: ast.Module) -> Iterator[Refusal]:
    guarded: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.If(test=test, body=[*_, last]) if _refuses(last):
                guarded.add(last)
                yield _refusal(node, f"if {ast.unparse(test)}: ... {ast.unparse(last)}")
    for node in ast.walk(tree):
        match node:
            case ast.Raise() | ast.Expr() if node not in guarded and (_refuses(node) or _checks(node)):
                yield _refusal(node, ast.unparse(node))
            case ast.Return(value=ast.IfExp(body=yes, orelse=no)) if _is_none(yes) or _is_none(no):
                yield _refusal(node, ast.unparse(node))


def _refusal(node: ast.stmt, words: str) -> Refusal:
    return Refusal(node, " ".join(words.split())[:110])


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


# --- taking it out ----------------------------------------------------------------------------------------------------


class Switch:
    """Which refusal is off in this process, and which test came by which of them."""

    def __init__(self) -> None:
        self.off: tuple[str, int] | None = None
        self.test = ""
        self.came_by: dict[str, list[str]] = {}

    def is_off(self, file: str, number: int) -> bool:
        """Asked where a refusal would refuse."""
        seen = self.came_by.setdefault(key(file, number), [])
        if self.test not in seen[-1:]:
            seen.append(self.test)
        return self.off == (file, number)

    def unless_off(self, file: str, number: int, value: object) -> object:
        """What a return of a refusal or None gives."""
        return None if value is not None and self.is_off(file, number) else value


SWITCH = Switch()


def key(file: str, number: int) -> str:
    """A refusal's name."""
    return f"{file} {number}"


class _WithSwitches(ast.NodeTransformer):
    """Each refusal of a file asks whether it is off."""

    def __init__(self, file: str, found: Sequence[Refusal]) -> None:
        self._file = file
        self._numbers = {one.node: number for number, one in enumerate(found, start=1)}

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.If(test=test) if node in self._numbers:
                node.test = ast.BoolOp(ast.And(), [test, self._is_on(node)])
            case ast.Return(value=ast.expr() as value) if node in self._numbers:
                node.value = self._asked("unless_off", node, value)
            case ast.Raise() | ast.Expr() if node in self._numbers:
                return ast.If(self._is_on(node), [node], [])
        return node

    def _is_on(self, node: ast.stmt) -> ast.expr:
        return ast.UnaryOp(ast.Not(), self._asked("is_off", node))

    def _asked(self, method: str, node: ast.stmt, *more: ast.expr) -> ast.Call:
        asked = ast.Attribute(ast.Name("_switch", ast.Load()), method, ast.Load())
        return ast.Call(asked, [ast.Constant(self._file), ast.Constant(self._numbers[node]), *more], [])


class _Loader(importlib.abc.Loader):
    def __init__(self, file: str) -> None:
        self._file = file

    def exec_module(self, module: ModuleType) -> None:
        path = ROOT / f"{self._file}.py"
        tree = ast.parse(path.read_text("utf-8"))
        _WithSwitches(self._file, refusals(tree)).visit(tree)
        vars(module)["_switch"] = SWITCH
        exec(compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True), vars(module))


class Finder(importlib.abc.MetaPathFinder):
    """Loads these files with their refusals to be switched off."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """As Python calls it."""
        file = name.replace(".", "/")
        if file not in self._files:
            return None
        return importlib.util.spec_from_file_location(name, ROOT / f"{file}.py", loader=_Loader(file))


# --- trying -----------------------------------------------------------------------------------------------------------


class Trials:
    """A plugin of pytest that, in place of its loop, tries each refusal. `survivors` are how many no test missed."""

    def __init__(self, wanted: Sequence[tuple[str, int, Refusal]]) -> None:
        self.survivors = 0
        self._wanted = wanted
        self._failed: list[str] = []
        self._seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        SWITCH.test, began = item.nodeid, time.monotonic()
        done = yield
        self._seconds[item.nodeid] = time.monotonic() - began
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """As pytest calls it. Nothing runs in this process, so that those that it forks begin with nothing of any test."""
        items = {item.nodeid: item for item in session.items}
        came_by, seconds = self._first_run(session.items)
        for file, number, one in self._wanted:
            began = time.monotonic()
            chosen = sorted(set(came_by.get(key(file, number), ())), key=lambda name: seconds[name])
            limit = _AT_LEAST + 5 * sum(seconds[name] for name in chosen)
            failed = self._tried((file, number), [items[name] for name in chosen], limit) if chosen else ""
            why = failed or _shortcut(file, one)
            self.survivors += not why
            verdict = "noticed" if failed else "shortcut" if why else "SURVIVES"
            print(f"{verdict:9}{time.monotonic() - began:5.0f} s  {told(file, number, one)}", flush=True)
            print(f"{'':18}{why or f'{len(chosen)} tests come by'}", flush=True)
        return True

    def _first_run(self, items: Sequence[pytest.Item]) -> tuple[dict[str, list[str]], dict[str, float]]:
        """Which tests come by which refusal, and how long each test takes."""
        with tempfile.NamedTemporaryFile() as file:

            def run() -> None:
                SWITCH.came_by.clear()  # what was asked while the tests were collected
                self._run(items, to_the_end=True)
                found = {"failed": self._failed, "came by": SWITCH.came_by, "seconds": self._seconds}
                Path(file.name).write_text(json.dumps(found), "utf-8")

            _forked(run, float("inf"))
            found = json.loads(Path(file.name).read_text("utf-8"))
        if found["failed"]:
            raise SystemExit(f"these fail with every refusal in its place: {found['failed']}")
        return found["came by"], found["seconds"]

    def _tried(self, off: tuple[str, int], items: Sequence[pytest.Item], limit: float) -> str:
        """The test that failed with a refusal off, empty: none."""
        with tempfile.NamedTemporaryFile() as file:

            def run() -> None:
                SWITCH.off = off
                self._run(items)
                Path(file.name).write_text("".join(self._failed[:1]), "utf-8")

            return Path(file.name).read_text("utf-8") if _forked(run, limit) else "it hangs, or its process ended"

    def _run(self, items: Sequence[pytest.Item], *, to_the_end: bool = False) -> None:
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed and not to_the_end:
                item.session._setupstate.teardown_exact(None)
                return


def _forked(run: Callable[[], None], limit: float) -> bool:
    """Whether `run`, in a process of its own that says nothing, came to its end within `limit` seconds."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            silence = os.open(os.devnull, os.O_RDWR)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            run()
            os._exit(0)
        finally:
            os._exit(1)
    by = time.monotonic() + limit
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        if time.monotonic() > by:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.05)


def _shortcut(file: str, one: Refusal) -> str:
    """Why a refusal may survive, empty: it may not."""
    return next((why for words, why in SHORTCUTS.get(file, {}).items() if one.words.startswith(words)), "")


def told(file: str, number: int, one: Refusal) -> str:
    """A refusal in a line."""
    return f"{file}.py:{one.place[0]} [{number}] {one.words}"


def main() -> int:
    """Prints the survivors; their number is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {', '.join(TESTS)}; default: all")
    parser.add_argument("--list", action="store_true", help="lists the refusals, with their numbers, and runs nothing")
    parser.add_argument("--only", default="", help="numbers of the list, comma separated")
    given = parser.parse_args()
    files = given.files or list(TESTS)
    if unknown := set(files) - TESTS.keys():
        parser.error(f"no file of this name: {', '.join(sorted(unknown))}")
    only = {int(one) for one in given.only.split(",") if one}
    wanted = [
        (file, number, one)
        for file in files
        for number, one in enumerate(refusals(ast.parse((ROOT / f"{file}.py").read_text("utf-8"))), start=1)
        if not only or number in only
    ]
    if given.list:
        print("\n".join(told(*one) for one in wanted))
        return 0
    trials = Trials(wanted)
    sys.meta_path.insert(0, Finder(files))
    names = dict.fromkeys(name for file in files for name in TESTS[file])
    tests = [str(path.relative_to(ROOT)) for name in names for path in ROOT.glob(f"tests/**/{name}.py")]
    if pytest.main(["-qq", "-s", "-n", "0", "-p", "no:cacheprovider", *tests], plugins=[trials]) not in (0, 5):
        raise SystemExit("the tests did not run")
    return min(trials.survivors, 255)


if __name__ == "__main__":
    sys.exit(main())
