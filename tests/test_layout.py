"""The architecture, held: rooms by subject, imports that run one way, one list of who reaches out of the process; and documents that
tell the truth."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest
from flask import Flask

from base import words
from base.clock import SteadyClock
from base.settings import Settings
from bot import create_app, main
from catalog.catalog import load_catalog
from catalog.rules import SAFE_METHODS
from gate.sending import Approval
from tests.harness.sources import forget, nodes, parsed, statements
from tests.harness.whole_bot import settings_of
from tests.mutate import TESTS
from workers.opening import open_database

pytestmark = pytest.mark.xdist_group("sources")  # in one process, which reads each file once
ROOT = Path(__file__).parents[1]

# Rooms from the top down: each may import itself and what stands after it, never what stands before. Three subjects stand apart from
# their folder: the importer is for the command line alone, the law is what the store keeps, so it lies below the store, and whom to wake
# or to stop is known to all who record something.
ORDER = [
    "bot",
    "cli",
    "workers",
    "ai",
    "slack_io",
    "gate",
    "identity",
    "catalog.importer",
    "model",
    "store",
    "gate.policy",
    "catalog",
    "base",
    "workers.waking",
    "workers.wakes",
    "workers.leases",
    "workers.work_queue",
    "workers.cancel_flag",
    "workers.waits",
]
FOLDERS = sorted({room.partition(".")[0] for room in ORDER} - {"bot", "ai"})
FILES = [ROOT / "bot.py", ROOT / "ai.py", *sorted(path for room in FOLDERS for path in ROOT.glob(f"{room}/**/*.py"))]

# Who reaches out of the process, and by what: sockets, files, the database, other processes, the terminal. All other modules take
# what they need as an argument.
REACHES: dict[str, set[str]] = {
    "bot": {"flask", "waitress", "click", "os", "sqlalchemy.exc"},
    "base.deadline": {"httpx2", "httpcore2", "ssl"},
    "base.key_file": {"pathlib"},
    "base.logging_setup": {"logging"},
    "base.metrics": {"prometheus_client"},
    "base.settings": {"os", "dotenv", "pathlib", "pydantic_settings"},
    "base.tracing": {"opentelemetry"},
    "catalog.importer.fetching": {"httpx2", "pathlib"},
    "cli.backups": {"click", "os", "pathlib"},
    "cli.commands": {"click", "rich", "pathlib"},
    "cli.shared": {"click", "rich", "pathlib"},
    "cli.signals": {"os", "signal"},
    "cli.tokens": {"click"},
    "gate.api_client": {"ssl"},
    "gate.connection_pools": {"httpx2", "httpcore2", "ssl", "pathlib"},
    "identity.actors": {"joserfc", "httpx2"},
    "identity.client_auth": {"authlib"},
    "identity.commands": {"os", "shutil", "signal", "subprocess"},
    "identity.id_tokens": {"authlib", "joserfc"},
    "identity.metadata": {"authlib"},
    "identity.oauth_line": {"authlib", "httpcore2", "httpx2", "joserfc"},
    "identity.sign_in_servers": {"authlib", "joserfc"},
    "identity.token_box": {"cryptography"},
    "identity.service_ways": {"joserfc"},
    "identity.signing_keys": {"cryptography", "joserfc", "pathlib"},
    "model.chat": {"openai", "httpx2"},
    "slack_io.bounded_client": {"slack_sdk", "urllib.request", "urllib.error"},
    "slack_io.health": {"sqlalchemy.exc"},
    "slack_io.http_door": {"slackeventsapi", "slack_sdk.signature", "flask", "sqlalchemy.exc"},
    "slack_io.intake": {"sqlalchemy.exc"},
    "slack_io.oauth_pages": {"flask"},
    "slack_io.oauth_routes": {"flask"},
    "slack_io.socket_mode": {"websockets"},
    "slack_io.web_api": {"slack_sdk", "httpx2", "http.client"},
    "store.accounts": {"sqlalchemy"},
    "store.admission": {"sqlalchemy"},
    "store.arrivals": {"sqlalchemy"},
    "store.backlog": {"sqlalchemy"},
    "store.connections": {"sqlalchemy"},
    "store.backup": {"os", "pathlib", "shutil", "sqlite3"},
    "store.database": {"sqlalchemy", "procrastinate.schema", "os", "pathlib"},
    "store.engine": {"sqlalchemy", "os", "pathlib"},
    "store.files": {"fcntl", "os", "pathlib"},
    "store.holds": {"sqlalchemy"},
    "store.journal.journal": {"sqlalchemy", "os", "pathlib", "tempfile"},
    "store.paces": {"sqlalchemy"},
    "store.posts": {"sqlalchemy"},
    "store.process_lock": {"sqlalchemy", "os", "fcntl"},
    "store.proposal_record": {"sqlalchemy"},
    "store.proposals": {"sqlalchemy"},
    "store.recovery": {"sqlalchemy"},
    "store.replicas": {"sqlalchemy"},
    "store.restored": {"sqlalchemy"},
    "store.retention": {"sqlalchemy"},
    "store.saved_results": {"sqlalchemy"},
    "store.seals": {"sqlalchemy"},
    "store.server_backup": {"sqlalchemy", "os", "pathlib", "shutil", "subprocess"},
    "store.tables": {"sqlalchemy"},
    "store.transcript_rows": {"sqlalchemy"},
    "store.turns": {"sqlalchemy"},
    "store.usage": {"sqlalchemy"},
    "workers.gauges": {"prometheus_client", "sqlalchemy.exc"},
    "workers.home_news": {"sqlalchemy.exc"},
    "workers.jobs": {"sqlalchemy"},
    "workers.replica": {"procrastinate", "psycopg", "psycopg_pool", "sqlalchemy.exc", "asyncio", "logging"},
}
# Who has threads, waits, or looks at a clock. Threads are started by those of STARTS alone.
WAITS = {
    "bot",
    "ai",
    "base.clock",
    "base.deadline",
    "base.key_file",
    "base.tracing",
    "catalog.importer.fetching",
    "cli.commands",
    "cli.reloading",
    "cli.signals",
    "cli.tokens",
    "gate.api_client",
    "gate.api_pace",
    "gate.connection_pools",
    "gate.gate",
    "gate.last_checks",
    "gate.lists",
    "gate.reads",
    "gate.single_reads",
    "gate.reply_calls",
    "gate.targets",
    "identity.accounts",
    "identity.metadata",
    "identity.sign_in_servers",
    "identity.actors",
    "identity.commands",
    "identity.held_tokens",
    "identity.service_ways",
    "identity.signing_keys",
    "identity.token_servers",
    "model.chat",
    "model.measured",
    "model.server_check",
    "slack_io.app_home",
    "slack_io.assistant_status",
    "slack_io.bounded_client",
    "slack_io.recent_refusals",
    "slack_io.health",
    "slack_io.intake",
    "slack_io.live_answer",
    "slack_io.memberships",
    "slack_io.oauth_routes",
    "slack_io.pace",
    "slack_io.outbox",
    "slack_io.socket_mode",
    "slack_io.streaming",
    "slack_io.web_api",
    "store.arrivals",
    "store.backup",
    "store.database",
    "store.engine",
    "store.holds",
    "store.journal.journal",
    "store.process_lock",
    "store.restored",
    "store.store",
    "store.write_lock",
    "workers.cancel_flag",
    "workers.deadlines",
    "workers.gauges",
    "workers.keyed_workers",
    "workers.leases",
    "workers.opening",
    "workers.quarantine",
    "workers.replica",
    "workers.work_queue",
    "workers.workers",
}
STARTS = {"base.tracing", "bot", "workers.keyed_workers", "workers.replica", "workers.workers"}
LIBRARIES = {
    "cachetools",
    "jmespath",
    "jsonschema_rs",
    "markdown_it",
    "pydantic",
    "simplejson",
    "structlog",
    "yaml",
}  # that reach nowhere by themselves
REACHING = {
    "asyncio",
    "fcntl",
    "http.client",
    "http.server",
    "io.open",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "requests",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "urllib.error",
    "urllib.request",
}
WAITING = {"queue", "random", "secrets", "threading", "time", "uuid"}
OUR_OWN = {"bot", "ai", *FOLDERS}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def file_of(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def room_of(module: str) -> str:
    return max((room for room in ORDER if module == room or module.startswith(f"{room}.")), key=len)


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    yield
    forget()


@cache
def imports(path: Path) -> tuple[tuple[str, str], ...]:
    """(module, name) of every import in a file, wherever it stands; the name is empty for `import module`."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    for node in statements(path):
        match node:
            case ast.Import():
                yield from ((one.name, "") for one in node.names)
            case ast.ImportFrom():
                assert node.level == 0, f"{path.name}: relative imports hide which room is meant"
                yield from ((node.module or "", one.name) for one in node.names)


def package(module: str) -> str:
    return module.partition(".")[0]


def modules_used(path: Path) -> set[str]:
    """Modules of ours that a file imports, by whichever way of writing it."""
    found = {whole if whole in MODULES else module for module, name in imports(path) for whole in [f"{module}.{name}"]}
    return {one for one in found if package(one) in OUR_OWN}


MODULES = {module_of(path) for path in FILES}


def test_imports_run_one_way() -> None:
    for path in FILES:
        here = ORDER.index(room_of(module_of(path)))
        above = {one for one in modules_used(path) if ORDER.index(room_of(one)) < here}

        assert above == set(), f"{module_of(path)} imports what stands above it"


def test_imports_run_in_no_circle() -> None:
    uses = {module_of(path): modules_used(path) for path in FILES}
    left = dict(uses)
    while free := [one for one, others in left.items() if not others & (left.keys() - {one})]:
        for one in free:
            del left[one]
    assert left == {}, "these import each other, or stand above a circle"


def test_only_those_in_the_list_reach_out_of_the_process() -> None:
    for path in FILES:
        module = module_of(path)
        allowed = REACHES.get(module, set())
        for used, name in imports(path):
            if package(used) in sys.stdlib_module_names:
                found = [
                    one for one in REACHING if used == one or used.startswith(f"{one}.") or f"{used}.{name}" == one
                ]
                assert not found or any(one in allowed for one in found), f"{module} reaches out by {used}"
                assert package(used) not in WAITING or module in WAITS, f"{module} takes {used}"
            elif package(used) not in OUR_OWN | LIBRARIES:
                assert any(used == one or used.startswith(f"{one}.") for one in allowed), f"{module} imports {used}"


def test_the_list_names_nobody_who_reaches_nowhere() -> None:
    for module, allowed in REACHES.items():
        used = {one for one, _ in imports(file_of(module))}
        assert {one for one in allowed if not any(u == one or u.startswith(f"{one}.") for u in used)} == set(), module
    assert {one for one in WAITS if not {package(used) for used, _ in imports(file_of(one))} & WAITING} == set()


def test_others_read_no_file_and_no_environment() -> None:
    for path in FILES:
        if module_of(path) in REACHES:
            continue
        called = {node.func.id for node in calls_in(path) if isinstance(node.func, ast.Name)}
        attributes = {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)}

        assert not called & {"open", "print", "input", "exec", "eval", "__import__"}, path
        assert not attributes & {
            "read_text",
            "write_text",
            "read_bytes",
            "write_bytes",
            "utcnow",
            "today",
            "environ",
            "getenv",
        }, path


def users_of(module: str) -> set[str]:
    return {module_of(path) for path in FILES if module in modules_used(path)}


READ_PATH = {"gate.single_reads", "gate.lists", "gate.look_ups", "gate.reads", "gate.targets"}


def test_only_the_gate_and_its_read_path_use_the_api_client() -> None:
    """The gate makes it, the step to sending has one and single reads have one; the others take the exceptions alone."""
    users = users_of("gate.api_client")
    taken = {one: {name for module, name in imports(file_of(one)) if module == "gate.api_client"} for one in users}

    assert users == READ_PATH | {"gate.gate", "gate.sending", "gate.last_checks"}
    holders = {one: names - {"Unsent", "Unanswered"} for one, names in taken.items()}
    assert {one: names for one, names in holders.items() if names} == {
        "gate.gate": {"ApiClient"},
        "gate.sending": {"ApiClient"},
        "gate.single_reads": {"ApiClient", "Broken"},
    }


def test_only_the_step_to_sending_and_single_reads_send() -> None:
    """Whatever a client is called: nobody else in the gate calls a `send`, or hands one on, but the client itself."""
    sending = {
        module_of(path)
        for path in FILES
        if room_of(module_of(path)).startswith("gate")
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr == "send"
    }
    assert sending == {"gate.sending", "gate.single_reads", "gate.connection_pools"}


def test_only_the_api_client_has_connections() -> None:
    """The command line looks at the files of certificates alone, and who waits for its turn in vain was not sent."""
    users = users_of("gate.connection_pools")
    taken = {
        one: {name for module, name in imports(file_of(one)) if module == "gate.connection_pools"} for one in users
    }

    assert {one: names for one, names in taken.items() if "ConnectionPools" in names or "ConnectionPool" in names} == {
        "gate.api_client": {"Broken", "ConnectionPools", "Unanswered", "Unsent"}
    }
    assert taken["cli.shared"] == {"check_certificates"}
    assert taken["gate.api_pace"] == {"Unsent"}
    assert users == {"gate.api_client", "gate.api_pace", "cli.shared"}


def test_only_the_gates_steps_use_the_read_path() -> None:
    steps = {"gate.gate", "gate.proposals", "gate.last_checks", "gate.sending"}

    assert users_of("gate.single_reads") == {"gate.gate"} | READ_PATH - {"gate.single_reads"}
    assert users_of("gate.lists") == {"gate.gate", "gate.look_ups", "gate.reads", "gate.targets"}
    assert users_of("gate.look_ups") == {"gate.reads"}
    assert users_of("gate.reads") == steps
    assert users_of("gate.targets") == {"gate.gate", "gate.proposals", "gate.last_checks"}
    assert users_of("gate.sending") == {"gate.gate"}


def test_the_read_path_makes_no_client_and_the_gates_client_for_it_sends_get_and_head() -> None:
    """So that it can send nothing else: the client holds to the methods it was made for."""
    made = {module_of(path) for path in FILES for call in calls_in(path) if names_client(call)}
    calls = {ast.unparse(call.func): call for call in calls_in(file_of("gate.gate"))}
    clients = [ast.unparse(call) for call in calls_in(file_of("gate.gate")) if ast.unparse(call.func) == "client"]

    assert made == {"gate.gate"}
    assert ast.unparse(calls["SingleReads"].args[1]) == "client(SAFE_METHODS, keepalive=20)"
    assert sorted(clients) == ["client(METHODS, keepalive=0)", "client(SAFE_METHODS, keepalive=20)"]
    assert sorted(SAFE_METHODS) == ["GET", "HEAD"]


def calls_in(path: Path) -> list[ast.Call]:
    return [node for node in nodes(path) if isinstance(node, ast.Call)]


def names_client(call: ast.Call) -> bool:
    """Whether a call makes an API client, or hands its class on to what may."""
    return any(isinstance(one, ast.Name) and one.id == "ApiClient" for one in (call.func, *call.args))


def reads_words(node: ast.AST) -> bool:
    """Whether something depends on what a text of base/words.py says: a comparison with it, or a search in or for it."""
    match node:
        case ast.Compare():
            return any(is_text(one) for one in (node.left, *node.comparators))
        case ast.Call(func=ast.Attribute(attr=name, value=value), args=arguments) if name in SEARCHES:
            return any(is_text(one) for one in (value, *arguments))
    return False


SEARCHES = {
    "startswith",
    "endswith",
    "find",
    "index",
    "count",
    "search",
    "match",
    "fullmatch",
    "removeprefix",
    "removesuffix",
}


def is_text(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="words"), attr=name):
            return isinstance(getattr(words, name, None), str)
    return False


def test_no_logic_reads_words_that_are_for_people() -> None:
    """What a card is, whether a thread is tainted, what is hidden: such things are columns and values, whatever the words say."""
    for path in FILES:
        found = [ast.unparse(node) for node in nodes(path) if reads_words(node)]
        assert found == [], path


def test_words_are_taken_as_words_and_not_by_name_so_that_who_reads_them_is_seen() -> None:
    by_name = {path.name for path in FILES for one, _ in imports(path) if one == "base.words"}
    assert by_name == set()


def test_tests_spell_the_words_that_people_see() -> None:
    """A test that compares with the constant holds whatever the constant says."""
    taking = {
        path.name
        for path in ROOT.glob("tests/**/*.py")
        for one in imports(path)
        if one == ("base", "words") or one[0] == "base.words"
    }
    assert taking == {
        "test_layout.py",
        "test_policy.py",
    }  # here which names there are; there that no state lacks its words


def twice(path: Path) -> list[str]:
    """The names that a module, or a class in it, binds more than once among its own statements: all but the last are lost."""
    scopes: list[ast.Module | ast.ClassDef] = [
        parsed(path),
        *(node for node in statements(path) if isinstance(node, ast.ClassDef)),
    ]
    found = []
    for scope in scopes:
        count = Counter(name for node in scope.body for name in names_of(node))
        found += [name for name, times in count.items() if times > 1]
    return found


def names_of(node: ast.stmt) -> list[str]:
    """What a statement binds where it stands. Properties bind their setters under the same name, overloads themselves."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            marks = [ast.unparse(one) for one in node.decorator_list]
            return [] if any(mark.endswith((".setter", "overload")) for mark in marks) else [node.name]
        case ast.Assign(targets=goals):
            return [one.id for goal in goals for one in ast.walk(goal) if is_bound(one)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [one.asname or one.name for one in aliases]
    return []


def is_bound(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


PYTHON = [path for path in ROOT.glob("**/*.py") if ".venv" not in path.parts]


def test_no_name_is_bound_twice() -> None:
    assert {str(path.relative_to(ROOT)): names for path in PYTHON if (names := twice(path))} == {}


def test_names_bound_twice_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("A = 1\nB, C = 2, 3\nclass D:\n    x: int = 1\n    def x(self): ...\nA = C = 4\nimport os as B\n")
    assert sorted(twice(file)) == ["A", "B", "C", "x"]


def test_threads_are_started_in_few_places() -> None:
    """workers/ has the workers; bot.py starts those of the HTTP server and the socket, base/tracing.py that of the last spans.
    Others may lock, but not start."""
    for path in FILES:
        if module_of(path) not in STARTS:
            text = path.read_text("utf-8")
            assert not re.search(r"threading\.Thread\(|ThreadPoolExecutor\(|\bTimer\(|concurrent\.futures", text), path


def bound_late(function: ast.FunctionDef) -> set[str]:
    """The names that a lambda or an inner function uses before the line where they are bound."""
    bound = {
        node.id: node.lineno
        for node in sorted(ast.walk(function), key=lambda one: -getattr(one, "lineno", 0))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    inner = [one for one in ast.walk(function) if isinstance(one, ast.Lambda | ast.FunctionDef) and one is not function]
    used = {(node.id, one.lineno) for one in inner for node in ast.walk(one) if isinstance(node, ast.Name)}
    return {name for name, line in used if bound.get(name, 0) > line}


def test_the_wiring_uses_no_name_before_it_is_bound() -> None:
    for node in parsed(file_of("bot")).body:
        if isinstance(node, ast.FunctionDef):
            assert bound_late(node) == set(), node.name


def test_names_bound_late_are_seen() -> None:
    (late,) = ast.parse("def f():\n    a = g(lambda: b)\n    b = h(lambda: a)\n").body
    assert isinstance(late, ast.FunctionDef)
    assert bound_late(late) == {"b"}


def test_nobody_sets_anothers_callback() -> None:
    """Who is told of what is said once, when it is made."""
    for path in FILES:
        set_from_outside = [
            ast.unparse(node)
            for node in nodes(path)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and node.attr.startswith(("on_", "_on_"))
            if ast.unparse(node.value) != "self"
        ]
        assert set_from_outside == [], path


def test_no_constructor_takes_more_than_ten() -> None:
    for path in PYTHON:
        for made in (one for one in statements(path) if isinstance(one, ast.ClassDef)):
            for node in made.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    assert len(node.args.args) + len(node.args.kwonlyargs) - 1 <= 10, f"{path}: {made.name}"


def test_slack_is_called_through_one_class_and_the_gate_knows_it_by_what_it_needs_alone() -> None:
    protocols = {
        f"{module_of(path)}.{node.name}"
        for path in FILES
        for node in statements(path)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    }
    assert {one for one in protocols if not one.startswith("model.")} == {
        "gate.api_pace.ApiPace",
        "gate.authority.PeopleDirectory",
        "gate.reply_calls.Progress",
        "identity.connecting.Person",
        "identity.identities.Way",
        "slack_io.pace.Pace",
        "store.process_lock.ProcessLock",
        "workers.replica.TakesUp",
        "workers.wakes.Wakes",
        "workers.waking.Jobs",
    }


def test_the_bot_knows_nothing_of_the_emulator_the_demo_the_tests_and_the_bench() -> None:
    for path in FILES:
        assert not {package(module) for module, _ in imports(path)} & {"emulator", "demo", "tests", "bench"}, path


@pytest.mark.parametrize(("module", "name"), [("gate.gate", "Gate"), ("gate.sending", "Sending")])
def test_the_gates_write_has_no_parameter_but_the_approval(module: str, name: str) -> None:
    tree = parsed(file_of(module))
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    (write,) = (node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "write")

    assert [argument.arg for argument in write.args.args] == ["self", "approval"]
    assert (write.args.posonlyargs, write.args.kwonlyargs) == ([], [])
    assert (write.args.vararg, write.args.kwarg) == (None, None)


def test_an_approval_carries_nothing_but_the_records_id() -> None:
    assert [one.name for one in fields(Approval)] == ["proposal"]


def test_each_file_says_first_what_lives_there() -> None:
    for path in FILES:
        assert ast.get_docstring(parsed(path)), path


# --- the documents ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def readme() -> str:
    path = ROOT / "README.md"
    assert path.exists(), "README.md is missing"
    return path.read_text("utf-8")


def section(text: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"README.md has no section '{title}'"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The rows of a section's tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for before, row in zip([[""], *cells], cells, strict=False) if not _is_rule(row) and before != [""]]


def _is_rule(row: list[str]) -> bool:
    return all(set(cell) <= set("-: ") for cell in row)


def test_every_setting_is_in_the_readmes_table_and_nothing_else(readme: str) -> None:
    told = [row[0].strip("`") for row in rows(section(readme, "Settings"))]

    assert sorted(told) == sorted(name.upper() for name in Settings.model_fields)


def test_the_readmes_defaults_are_those_of_the_code(readme: str) -> None:
    told = {row[0].strip("`"): row[-1].strip("`") for row in rows(section(readme, "Settings"))}
    in_words = {"SLACK_API_URL": "Slack's", "OPENAI_BASE_URL": "OpenAI's", "MAX_RESPONSE": "5 MB"}
    in_words["HOST"] = "0.0.0.0; in socket mode 127.0.0.1"
    in_words["JOURNAL_KEY"] = "generated, in `<database>.journal-key"
    for name, field in Settings.model_fields.items():
        default = field.default
        words = (
            "required" if field.is_required() else {None: "none", False: "off", "": "none"}.get(default, str(default))
        )
        assert told[name.upper()] == in_words.get(name.upper(), words), name.upper()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    database = f"sqlite:///{tmp_path_factory.mktemp('layout')}/bot.db"
    given = {
        "slack_bot_token": "xoxb-t",
        "slack_signing_secret": "s",
        "slack_channel": "C0HR",
        "database_url": database,
        "public_url": "https://bot.example.com",
    }
    catalog = load_catalog((ROOT / "apis.yaml").read_text("utf-8"), {"HR_API_URL": "http://127.0.0.1:1"})
    settings = settings_of(**given)
    return create_app(settings, catalog, open_database(settings, SteadyClock()))


def test_every_route_is_in_the_readme(readme: str, app: Flask) -> None:
    text = section(readme, "Commands and routes")
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        assert f"{method} {rule.rule}" in text, f"{method} {rule.rule}"


def test_every_route_in_the_readme_exists(readme: str, app: Flask) -> None:
    there = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    for method, path in re.findall(r"\b(GET|POST) (/[\w/]+)", section(readme, "Commands and routes")):
        assert (method, path) in there


def test_every_command_is_in_the_readme(readme: str) -> None:
    text = section(readme, "Commands and routes")
    assert "`python bot.py`" in text
    for name in main.commands:
        assert f"`python bot.py {name}`" in text
    told = re.findall(r"`python bot\.py (\w+)`", text)
    assert sorted(told) == sorted(main.commands)


def test_every_make_target_is_in_the_readme(readme: str) -> None:
    for target in re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE):
        if target not in ("help", "clean"):
            assert f"make {target}" in readme, target


def tree() -> set[str]:
    """What a clone has at the top, less what only tools look at."""
    ignored = re.compile(r"^(\..*|__pycache__|demo-data|node_modules|.*\.db.*)$")
    here = {path.name + ("/" if path.is_dir() else "") for path in ROOT.iterdir()}
    return {name for name in here if not ignored.match(name.rstrip("/"))}


def test_the_readmes_layout_is_the_tree(readme: str) -> None:
    told = {name for row in rows(section(readme, "Layout")) for name in re.findall(r"`([^`]+)`", row[0])}
    about = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md", "Makefile", "pyproject.toml"}
    about |= {f"requirements{one}.{kind}" for one in ("", "-dev") for kind in ("txt", "lock")}

    assert told - tree() == set(), "the README names what is not there"
    assert {name for name in tree() - told if name not in about} == set(), "the README does not name these"


def test_links_within_the_documents_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for goal in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text("utf-8")):
            assert (path.parent / goal).exists(), f"{path.name} links to {goal}"


def test_the_smallest_catalog_of_the_readme_works_as_it_stands(readme: str) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", section(readme, "The catalog"), re.DOTALL)[:1]

    catalog = load_catalog(example, {"HR_API_URL": "https://hr.internal"})
    assert [operation.name for operation in catalog.operations] == ["GET /api/users", "DELETE /api/users/[user_id]"]


def test_old_slackclient_is_not_asked_for() -> None:
    """It ships a package `slack` as slack_sdk does; one would overwrite the other."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        asked = [line.partition("#")[0] for line in (ROOT / name).read_text("utf-8").splitlines()]
        assert not [line for line in asked if re.match(r"slackclient\b", line)]


def test_every_third_party_import_is_in_the_requirements() -> None:
    asked = (ROOT / "requirements.txt").read_text("utf-8")
    distributions = {"yaml": "pyyaml", "pydantic_settings": "pydantic-settings", "dotenv": "python-dotenv"}
    distributions |= {
        "markdown_it": "markdown-it-py",
        "prometheus_client": "prometheus-client",
        "psycopg_pool": "psycopg",
    }
    for path in FILES:
        for module, _ in imports(path):
            name = package(module)
            if name not in sys.stdlib_module_names and name not in OUR_OWN:
                wanted = distributions.get(name, name)
                assert re.search(rf"^{re.escape(wanted)}\b", asked, re.MULTILINE), f"{path.name} imports {name}"


def test_the_gate_tells_of_each_of_its_files_for_a_review() -> None:
    told = re.findall(r"\b\w+\.py\b", ast.get_docstring(parsed(ROOT / "gate/__init__.py")) or "")
    assert set(told) == {path.name for path in ROOT.glob("gate/*.py")} - {"__init__.py"}


def test_the_refusals_that_are_taken_out_are_of_files_and_tests_that_are_there() -> None:
    tests = {path.stem for path in ROOT.glob("tests/**/*.py")}
    for name, its in TESTS.items():
        assert (ROOT / f"{name}.py").exists(), name
        assert set(its) <= tests, name


def test_nothing_committed_names_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    machine = re.compile(r"(?<![\w.])(/home/\w+|/Users/\w+/|/work/|\.\./shared)")
    for name in listed:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ".js", ".html", ".css", ""} and path.is_file():
            text = path.read_text("utf-8", "replace")
            assert path == Path(__file__) or not machine.search(text), f"{name}: {machine.search(text)}"
