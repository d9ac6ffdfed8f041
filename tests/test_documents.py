"""The documents say what is: every option is told, the manifest asks for what the bot uses. Settings, routes, commands and the layout of
the README are held to the code in test_layout.py, the catalog's page in test_catalog_page.py."""

from __future__ import annotations

import ast
import copy
import itertools
import re
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from base.version import VERSION
from bot import main
from gate.policy import TRANSITIONS, State
from slack_io.pace import PACE
from slack_io.payloads import EVENT_TYPES, SHORTCUTS
from slack_io.slack_app import BY_APP_TOKEN, FEATURES, NEEDED, OF_OLD_APPS, SCOPES, SUBSCRIPTIONS
from tests.harness.sources import parsed

pytestmark = pytest.mark.xdist_group("sources")  # as those of the layout, so that each file is read once
ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "docs" / "security.md").read_text("utf-8")

# --- the security page ------------------------------------------------------------------------------------------------


def test_the_picture_of_a_records_life_is_the_table() -> None:
    """Each arrow of docs/security.md is a transition, and each transition is an arrow."""
    states = {str(state): state for state in State}
    states |= {"waiting": State.PENDING, "denied": State.REJECTED, "out of date": State.STALE}
    states |= {"being sent": State.SENDING, "outcome unknown": State.UNKNOWN}
    drawn = set()
    for line in re.findall(r"^    (\w.*->.*)$", SECURITY, re.MULTILINE):
        for chain in re.split(r" {3,}", line):
            steps = [[states[one.strip()] for one in re.split(r"[|,]", step)] for step in chain.split("->")]
            drawn |= {(a, b) for before, after in itertools.pairwise(steps) for a in before for b in after}
    assert drawn == {(before, after) for (before, _), after in TRANSITIONS.items()}


def test_every_option_of_a_command_in_the_documents_exists() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for name, rest in re.findall(r"python bot\.py (\w+)([^\n`|]*)", page.read_text("utf-8")):
            command = main.commands[name]
            there = {option for one in command.params if isinstance(one, click.Option) for option in one.opts}
            assert set(re.findall(r"--[a-z-]+", rest)) <= there, f"{page.name}: {name} {rest}"


def test_each_promise_of_the_security_page_names_tests_that_are_there() -> None:
    files = {path.name: path.read_text("utf-8") for path in ROOT.glob("tests/**/test_*.py")}
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", SECURITY)
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in files.get(file, "")] == []
    assert len(named) >= 40


def test_every_option_of_the_journal_is_on_the_security_page() -> None:
    for option in main.commands["journal"].params:
        assert option.opts[0] in SECURITY, option.opts[0]


# --- the version ------------------------------------------------------------------------------------------------------


def test_the_version_stands_in_one_place_and_is_the_one_after_the_last_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "base.version.VERSION"}
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heads = re.findall(r"^## (\S+)", changes, re.MULTILINE)
    released = [tuple(map(int, one.split("."))) for one in heads if one != "Unreleased"]
    number, _, suffix = VERSION.partition(".dev")
    own = tuple(map(int, number.split(".")))
    assert released == sorted(released, reverse=True)
    assert own > released[0] if suffix else own == released[0], VERSION


# --- the plan ---------------------------------------------------------------------------------------------------------

PLAN = (ROOT / "docs" / "architecture.md").read_text("utf-8")
OF_MANY_FILES = {"Gate": "gate", "Store": "store"}  # classes that several files of a room make up


@cache
def defined(path: Path) -> set[str]:
    """The names that a file defines at its top, and its classes' own as `Class.name`."""
    found = set()
    for node in parsed(path).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                methods = {one.name for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
                found |= {name, *(f"{name}.{one}" for one in methods)}
            case ast.FunctionDef(name=name):
                found.add(name)
            case ast.Assign() | ast.AnnAssign():
                found |= {
                    one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
                }
    return found


def of_room(name: str) -> bool:
    """Whether a class that a room's files make up together has what `Class.name` says."""
    owner, _, own = name.partition(".")
    paths = ROOT.glob(f"{OF_MANY_FILES[owner]}/*.py")
    return any(isinstance(node, ast.FunctionDef) and node.name == own for path in paths for node in methods_in(path))


def methods_in(path: Path) -> list[ast.stmt]:
    classes = [one for one in parsed(path).body if isinstance(one, ast.ClassDef)]
    return [one for each in classes for one in each.body]


def test_the_plan_names_files_that_exist() -> None:
    named = set(re.findall(r"[\w/]+\.(?:py|yaml)\b|\b[a-z_]+/(?=[`\"])", PLAN))
    assert {"ai.py", "gate/", "workers/workers.py", "manifest.yaml"} <= named
    assert {one for one in named if not (ROOT / one).exists() and one != "apis.yaml"} == set()


def test_each_name_on_the_plan_stands_in_a_file_of_its_row() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PLAN.splitlines() if line.startswith("|")]
    wrong = []
    for row in rows:
        files = [ROOT / one for one in re.findall(r"`([\w/]+\.py)`", row[1])]
        there = {name for file in files for name in defined(file)}
        for name in re.findall(r"`([\w.]+)`", row[2]):
            is_there = of_room(name) if name.partition(".")[0] in OF_MANY_FILES and "." in name else name in there
            wrong += [] if is_there else [(name, row[1])]
    assert wrong == []
    assert len(rows) > 30


def test_each_name_beside_the_tables_of_the_plan_exists() -> None:
    everywhere = {name for path in ROOT.glob("*/*.py") for name in defined(path)} | defined(ROOT / "bot.py")
    prose = "\n".join(line for line in PLAN.splitlines() if not line.startswith("|"))
    named = {name for name in re.findall(r"`([\w.]+)`", prose) if not name.endswith((".py", ".yaml"))}
    assert {"create_app", "Waking"} <= named
    assert named - everywhere == set()


# --- the manifests ----------------------------------------------------------------------------------------------------

MANIFEST = yaml.safe_load((ROOT / "manifest.yaml").read_text("utf-8"))
IN_SOCKET_MODE = yaml.safe_load((ROOT / "manifest.socket.yaml").read_text("utf-8"))
ROOMS = [*sorted(ROOT.glob("*.py")), *sorted(ROOT.glob("slack_io/*.py")), *sorted(ROOT.glob("base/*.py"))]
FAMILIES = "agents apps assistant auth blocks bookmarks bots chat conversations emoji files pins reactions team usergroups users views"
METHOD = re.compile(rf"(?:{FAMILIES.replace(' ', '|')})(?:\.[a-zA-Z]+){{1,2}}")
TABLES = {"SCOPES", "PACE", "BY_APP_TOKEN", "_JSON", "_PER_CHANNEL"}  # name methods, but call none


def texts(path: Path) -> set[str]:
    """Every text in a file's code, those of the tables of methods left out."""
    body = [one for one in parsed(path).body if not _is_table(one)]
    return {
        node.value
        for one in body
        for node in ast.walk(one)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _is_table(statement: ast.stmt) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(isinstance(one, ast.Name) and one.id in TABLES for one in targets)


def test_every_method_of_the_web_api_has_its_pace_and_its_scopes() -> None:
    called = {text for path in ROOMS for text in texts(path) if METHOD.fullmatch(text)}
    assert called == set(SCOPES) | BY_APP_TOKEN
    assert called - {"auth.test"} == set(PACE)


def test_every_method_is_of_a_family_that_the_test_above_looks_for() -> None:
    assert all(METHOD.fullmatch(method) for method in SCOPES)


def test_the_manifest_subscribes_to_exactly_the_events_that_are_heard() -> None:
    subscribed = MANIFEST["settings"]["event_subscriptions"]["bot_events"]
    assert sorted(subscribed) == sorted(SUBSCRIPTIONS)
    types = {name.partition(".")[0] for name in subscribed}  # message.im comes as an event of type message
    assert types | OF_OLD_APPS == set(EVENT_TYPES)
    assert not types & OF_OLD_APPS


def test_the_manifest_offers_exactly_the_shortcuts_that_are_heard() -> None:
    offered = MANIFEST["features"]["shortcuts"]
    assert sorted(one["callback_id"] for one in offered) == sorted(SHORTCUTS)
    assert {one["type"] for one in offered} == {"message"}


def test_the_manifest_asks_for_the_scopes_that_are_needed_and_no_more() -> None:
    assert sorted(MANIFEST["oauth_config"]["scopes"]["bot"]) == sorted(NEEDED)
    assert set(MANIFEST["oauth_config"]["scopes"]) == {"bot"}, "no token of a person is asked for"


def test_the_manifest_turns_on_what_the_bot_has() -> None:
    assert MANIFEST["settings"]["interactivity"]["is_enabled"] is True
    assert set(FEATURES) <= set(MANIFEST["features"])
    home = {"home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False}
    assert MANIFEST["features"]["app_home"] == home
    assert MANIFEST["settings"]["event_subscriptions"]["request_url"].endswith("/slack/events")
    assert MANIFEST["settings"]["interactivity"]["request_url"].endswith("/slack/interactions")
    assert MANIFEST["settings"]["socket_mode_enabled"] is False


def test_in_socket_mode_the_app_is_the_same_but_for_the_addresses() -> None:
    same = copy.deepcopy(MANIFEST)
    del same["settings"]["event_subscriptions"]["request_url"]
    del same["settings"]["interactivity"]["request_url"]
    same["settings"]["socket_mode_enabled"] = True

    assert same == IN_SOCKET_MODE
