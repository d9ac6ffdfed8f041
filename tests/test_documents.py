"""The documents say what is: every example loads, every key and option is told, the manifest asks for what the bot uses. Settings,
routes, commands and the layout of the README are held to the code in test_layout.py."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bot import main
from core import words
from core.catalog import METHODS, ApiEntry, ApprovalRule, Auth, Entry, Preview, load_catalog
from core.policy import TRANSITIONS, State
from slack_web import PACE

ROOT = Path(__file__).parent.parent
CATALOG = (ROOT / "docs" / "catalog.md").read_text("utf-8")
SECURITY = (ROOT / "docs" / "security.md").read_text("utf-8")
EXAMPLES = re.findall(r"^### .*?$|^## (.*?)$|```yaml\n(.*?)```", CATALOG, re.MULTILINE | re.DOTALL)


def examples() -> list[Any]:
    """The examples of docs/catalog.md, by the title of their section."""
    title, found = "", []
    for heading, example in EXAMPLES:
        title = heading or title
        if example:
            found.append(pytest.param(example, id=title))
    return found


# --- the catalog ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", examples())
def test_every_example_of_a_catalog_works_as_it_stands(example: str) -> None:
    assert load_catalog(example, {}).operations


def test_there_is_an_example_in_every_section_that_explains_keys() -> None:
    titles = {parameter.id for parameter in examples()}
    assert titles == set(re.findall(r"^## (.*)$", CATALOG, re.MULTILINE))


@pytest.mark.parametrize(
    "way", ["bearer: ${TOKEN}", 'header: {name: X-Api-Key, value: "${KEY}"}', 'query: {name: api_key, value: "${KEY}"}']
)
def test_the_ways_of_auth_that_are_commented_out_work_as_well(way: str) -> None:
    (example,) = [parameter.values[0] for parameter in examples() if f"# {way}" in str(parameter.values[0])]
    lines = [line for line in str(example).replace(f"# {way}", way).splitlines() if "basic:" not in line]
    assert load_catalog("\n".join(lines), {"TOKEN": "only-for-this-test", "KEY": "only-for-this-test"}).apis[0].auth


def keys_of(heading: str) -> set[str]:
    """The keys in the first column of a table of docs/catalog.md."""
    table = re.search(rf"^\| {heading} \| meaning \|\n\|[-|]+\n((?:\|.*\n)+)", CATALOG, re.MULTILINE)
    assert table is not None, heading
    return {key for line in table[1].splitlines() for key in re.findall(r"`(\w+)`", line.split("|")[1])}


@pytest.mark.parametrize(
    ("heading", "model"), [("key of an API", ApiEntry), ("key of an endpoint", Entry), ("key of a rule", ApprovalRule)]
)
def test_every_key_is_in_its_table_and_nothing_else(heading: str, model: Any) -> None:
    assert keys_of(heading) == set(model.model_fields)


@pytest.mark.parametrize("model", [Auth, Preview])
def test_the_other_keys_are_shown_in_an_example(model: Any) -> None:
    for key in set(model.model_fields) - {"operation"}:  # `preview: GET /path` says the operation in short
        assert re.search(rf"\b{key}: ", "".join(str(parameter.values[0]) for parameter in examples())), key


def test_every_method_is_told() -> None:
    line = re.search(r"^\| `method` \| (.*) \|$", CATALOG, re.MULTILINE)
    assert line is not None
    assert re.findall(r"[A-Z]+", line[1]) == list(METHODS)


# --- the security page ------------------------------------------------------------------------------------------------


def test_the_picture_of_a_records_life_is_the_table() -> None:
    """Each arrow of docs/security.md is a transition, and each transition is an arrow."""
    states = {told: state for state in State for told in (words.STATES[state], str(state))}
    states |= {"outcome unknown": State.UNKNOWN, "sending": State.SENDING, "pending": State.PENDING}
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
            assert set(re.findall(r"--[a-z]+", rest)) <= there, f"{page.name}: {name} {rest}"


def test_every_option_of_the_journal_is_on_the_security_page() -> None:
    for option in main.commands["journal"].params:
        assert option.opts[0] in SECURITY, option.opts[0]


# --- the manifest -----------------------------------------------------------------------------------------------------

MANIFEST = yaml.safe_load((ROOT / "manifest.yaml").read_text("utf-8"))
READ = {"channels:read", "groups:read"}  # designated channels may be public or private
# A method's bot scopes, as https://docs.slack.dev/reference/methods has them; those for direct messages are left out.
SCOPES: dict[str, set[str]] = {
    "auth.test": set(),
    "assistant.threads.setStatus": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.postMessage": {"chat:write"},
    "chat.update": {"chat:write"},
    "conversations.info": READ,
    "conversations.members": READ,
    "conversations.replies": {"channels:history", "groups:history"},
    "reactions.add": {"reactions:write"},
    "usergroups.list": {"usergroups:read"},
    "usergroups.users.list": {"usergroups:read"},
    "users.info": {"users:read"},
    "views.open": set(),
    "views.publish": set(),
    "views.update": set(),
}
EVENT_SCOPES: dict[str, set[str]] = {"app_mention": {"app_mentions:read"}, "app_home_opened": set()}


def first_arguments(path: Path, name: str) -> set[str]:
    """The texts that are the first argument of every call of a method named `name`."""
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    named = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == name and call.args)
    return {
        call.args[0].value
        for call in named
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def test_the_manifest_subscribes_to_exactly_the_events_that_are_handled() -> None:
    handled = first_arguments(ROOT / "bot.py", "on") - {"error"}  # the adapter's own
    assert set(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == handled == set(EVENT_SCOPES)


def test_every_method_of_the_web_api_has_its_pace_and_its_scopes() -> None:
    called = {name for path in ROOT.glob("*.py") for name in first_arguments(path, "call") if "." in name}
    assert called == set(SCOPES)
    assert called - {"auth.test"} == set(PACE)


def test_the_manifest_asks_for_the_scopes_that_are_needed_and_no_more() -> None:
    needed = set().union(*SCOPES.values(), *EVENT_SCOPES.values())
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == needed
    assert set(MANIFEST["oauth_config"]["scopes"]) == {"bot"}, "no token of a person is asked for"


def test_the_manifest_turns_on_what_the_bot_has() -> None:
    assert MANIFEST["settings"]["interactivity"]["is_enabled"] is True
    assert MANIFEST["features"]["app_home"]["home_tab_enabled"] is True
    assert MANIFEST["settings"]["event_subscriptions"]["request_url"].endswith("/slack/events")
    assert MANIFEST["settings"]["interactivity"]["request_url"].endswith("/slack/interactions")
    assert MANIFEST["settings"]["socket_mode_enabled"] is False
