"""The architecture, held: each file opens its own door and no other, imports run one way, and the documents tell the truth."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from bot import create_app, main
from core import words
from core.catalog import load_catalog
from core.rules import SAFE_METHODS
from core.settings import Settings
from store import Store
from tests.house import settings_of

ROOT = Path(__file__).parent.parent
TOP = sorted(path.stem for path in ROOT.glob("*.py"))
CORE = sorted(ROOT.glob("core/*.py"))

# Who may open which door. A package that is not here may not be imported by the bot at all.
DOORS: dict[str, set[str]] = {
    "slackeventsapi": {"bot"},
    "slack_sdk": {"bot", "slack_web"},  # in bot.py the signature alone, see below
    "flask": {"bot"},
    "waitress": {"bot"},
    "websockets": {"socket_mode"},
    "click": {"bot", "commands"},
    "rich": {"commands"},
    "openai": {"chat"},
    "httpx2": {"chat", "importing", "deadline", "wire"},  # in chat.py the type of an answer alone
    "httpcore2": {"deadline", "wire"},
    "sqlalchemy": {"store", "journal", "kept", "holds", "bot"},  # in bot.py the exception alone, see below
    "structlog": set(TOP),
}
CORE_PACKAGES = {
    "jmespath",
    "yaml",
    "jsonschema_rs",
    "markdown_it",
    "pydantic",
    "pydantic_settings",
    "dotenv",
    "sqlalchemy",
}
# Of the standard library: what reaches out of the process, and who may.
REACHING: dict[str, set[str]] = {
    "socket": set(),
    "ssl": {"deadline", "slack_web", "wire"},
    "subprocess": set(),
    "sqlite3": set(),
    "requests": set(),
    "urllib.request": {"slack_web"},  # what slack_sdk opens its connections with
    "urllib.error": {"slack_web"},
    "http.client": {"slack_web"},
    "http.server": set(),
    "asyncio": set(),
    "multiprocessing": set(),
    "smtplib": set(),
    "fcntl": {"store"},
    "signal": {"bot"},
    "logging": {"logs"},
    "os": {"bot", "store", "journal"},
    "tempfile": {"journal"},
    "pathlib": {"commands", "store", "journal", "importing"},
}
# Rooms from the top down: each may import what stands after it, never what stands before.
ORDER = [
    "bot",
    "commands",
    "importing",
    "turns",
    "desk",
    "stops",
    "home",
    "outbox",
    "growing",
    "presence",
    "ai",
    "runs",
    "chat",
    "gate",
    "people",
    "looks",
    "reads",
    "listen",
    "socket_mode",
    "slack_check",
    "slack_web",
    "store",
    "journal",
    "kept",
    "holds",
    "wire",
    "deadline",
    "logs",
    "clock",
]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import in a file, wherever it stands; the name is empty for `import module`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import():
                yield from ((one.name, "") for one in node.names)
            case ast.ImportFrom():
                assert node.level == 0, f"{path.name}: relative imports hide which room is meant"
                yield from ((node.module or "", one.name) for one in node.names)


def file_of(room: str) -> Path:
    return ROOT / f"{room}.py"


def package(module: str) -> str:
    return module.partition(".")[0]


def test_the_rooms_are_known() -> None:
    assert set(TOP) == set(ORDER), "a room was added or removed: put it into ORDER, DOORS and the README"


@pytest.mark.parametrize("room", TOP)
def test_a_room_opens_only_its_own_door(room: str) -> None:
    for module, _ in imports(file_of(room)):
        name = package(module)
        if name in sys.stdlib_module_names:
            for reaching, allowed in REACHING.items():
                is_it = module == reaching or module.startswith(reaching + ".")
                assert not is_it or room in allowed, f"{room}.py opens {reaching}"
        elif name not in {*TOP, "core"}:
            assert room in DOORS.get(name, set()), f"{room}.py opens {name}"


def test_of_slack_sdk_and_sqlalchemy_the_front_door_takes_signatures_and_exceptions_alone() -> None:
    taken = {one for one in imports(file_of("bot")) if package(one[0]) in ("slack_sdk", "sqlalchemy")}

    assert {module for module, _ in taken} <= {"slack_sdk.signature", "sqlalchemy.exc"}


def users_of(module: str) -> set[str]:
    return {room for room in TOP for imported, _ in imports(file_of(room)) if imported == module}


def test_only_the_gate_and_its_read_path_use_the_wire() -> None:
    assert users_of("wire") == {"gate", "looks", "reads"}  # looks.py takes the exceptions alone
    assert {name for module, name in imports(file_of("looks")) if module == "wire"} == {"Unanswered", "Unsent"}
    assert users_of("reads") == {"gate", "looks"}
    assert users_of("looks") == {"gate"}


def test_the_read_path_makes_no_wire_and_the_gates_wire_for_it_sends_get_and_head() -> None:
    """So that it can send nothing else: the wire holds to the methods it was made for."""
    made = re.findall(r"\b(Wire|Line|wire)\(", file_of("reads").read_text("utf-8"))
    (reading,) = re.findall(r"Reads\(.*?wire\((\w+),", file_of("gate").read_text("utf-8"))

    assert made == []
    assert reading == "SAFE_METHODS"
    assert sorted(SAFE_METHODS) == ["GET", "HEAD"]


def reads_words(node: ast.AST) -> bool:
    """Whether something depends on what a text of core/words.py says: a comparison with it, or a search in or for it."""
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


@pytest.mark.parametrize("path", [*map(file_of, TOP), *CORE], ids=lambda path: path.stem)
def test_no_logic_reads_words_that_are_for_people(path: Path) -> None:
    """What a card is, whether a thread is tainted, what is hidden: such things are columns and values, whatever the words say."""
    found = [ast.unparse(node) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if reads_words(node)]
    assert found == []


def test_threads_are_made_in_one_place() -> None:
    """turns.py has the lanes; bot.py starts those of the HTTP server and the socket. Others may lock, but not start."""
    for room in set(TOP) - {"turns", "bot"}:
        text = file_of(room).read_text("utf-8")
        assert not re.search(r"threading\.Thread\(|ThreadPoolExecutor\(|\bTimer\(|concurrent\.futures", text), room


@pytest.mark.parametrize("room", TOP)
def test_imports_run_one_way(room: str) -> None:
    used = {package(module) for module, _ in imports(file_of(room))} & set(TOP)

    assert all(ORDER.index(room) < ORDER.index(other) for other in used), f"{room}.py imports {sorted(used)}"


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_opens_no_door(path: Path) -> None:
    for module, _ in imports(path):
        name = package(module)
        if name in sys.stdlib_module_names:
            reaching = [one for one in REACHING if module == one or module.startswith(one + ".")]
            is_settings = path.name == "settings.py" and reaching == ["os"]  # the environment is what settings are
            assert not reaching or is_settings, f"core/{path.name} opens {module}"
            assert name not in {"threading", "time", "random", "secrets", "uuid"}, f"core/{path.name}: {module}"
        else:
            assert name in CORE_PACKAGES | {"core"}, f"core/{path.name} imports {module}"


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_reads_no_file_and_no_environment(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert not called & {"open", "print", "input", "exec", "eval", "__import__"}
    assert not attributes & {"read_text", "write_text", "read_bytes", "write_bytes", "utcnow", "today"}
    assert path.name == "settings.py" or not attributes & {"environ", "getenv"}


def test_sqlalchemy_in_core_is_the_shape_of_the_tables() -> None:
    taken = {path.name: name for path in CORE for module, name in imports(path) if package(module) == "sqlalchemy"}

    assert set(taken) == {"tables.py", "statements.py"}
    names = {
        name for path in taken for module, name in imports(ROOT / "core" / path) if package(module) == "sqlalchemy"
    }
    shapes = {"Column", "Double", "Integer", "MetaData", "Table", "Text", "TypeDecorator"}
    assert names <= shapes | {
        "ColumnElement",
        "bindparam",
        "case",
        "func",
        "insert",
        "literal_column",
        "select",
        "union_all",
        "update",
    }


def test_the_bot_knows_nothing_of_the_demo_the_tests_and_the_bench() -> None:
    for path in [*map(file_of, TOP), *CORE]:
        assert not {package(module) for module, _ in imports(path)} & {"workspace", "tests", "bench"}, path.name


def test_the_gates_write_has_no_parameter_but_the_approval() -> None:
    tree = ast.parse(file_of("gate").read_text("utf-8"))
    (gate,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Gate")
    (write,) = (node for node in gate.body if isinstance(node, ast.FunctionDef) and node.name == "write")

    assert [argument.arg for argument in write.args.args] == ["self", "approval"]
    assert (write.args.kwonlyargs, write.args.vararg, write.args.kwarg) == ([], None, None)


@pytest.mark.parametrize("path", [*map(file_of, TOP), *CORE], ids=lambda path: path.name)
def test_each_file_says_first_what_lives_there(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


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
    in_words["JOURNAL_KEY"] = "made, in `<database>.journal-key"
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
    }
    catalog = load_catalog((ROOT / "apis.yaml").read_text("utf-8"), {"HR_API_URL": "http://127.0.0.1:1"})
    return create_app(settings_of(**given), catalog, Store(database))


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
    distributions["markdown_it"] = "markdown-it-py"
    for path in [*map(file_of, TOP), *CORE]:
        for module, _ in imports(path):
            name = package(module)
            if name not in sys.stdlib_module_names and name not in {*TOP, "core"}:
                wanted = distributions.get(name, name)
                assert re.search(rf"^{re.escape(wanted)}\b", asked, re.MULTILINE), f"{path.name} imports {name}"


def test_nothing_committed_names_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    machine = re.compile(r"(?<![\w.])(/home/\w+|/Users/\w+/|/work/|\.\./shared)")
    for name in listed:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ".js", ".html", ".css", ""} and path.is_file():
            text = path.read_text("utf-8", "replace")
            assert path == Path(__file__) or not machine.search(text), f"{name}: {machine.search(text)}"
