"""What the demo takes from a catalog of one's own: who decides, where, and what there is to ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.settings import Misconfigured
from catalog.catalog import Catalog, load_catalog
from demo import catalog_files
from demo.catalog_files import CatalogFile
from emulator.emulator import Workspace


def load(more: str = "", endpoints: str = "") -> Catalog:
    text = (
        f"base_url: http://h/v1\n{more}\nendpoints:\n  - {{method: PUT, url: /p, description: Sets it.}}\n{endpoints}"
    )
    return load_catalog(text, {})


@pytest.mark.parametrize(
    ("approval", "groups", "people"),
    [
        ("{approvers: ['@ops']}", {"ops": 2}, {"U0CLE"}),
        ("{approvers: ['@ops', S0614TZR7], quorum: 4}", {"ops": 4, "s0614tzr7": 4}, {"U0CLE", "U0DEV", "U0EVA"}),
        ("{approvers: [U024BE7LH, W012]}", {}, {"U024BE7LH", "W012"}),
        ("{approvers: [asker, anyone-in-channel]}", {}, set()),
        ("[{approvers: ['@a']}, {approvers: ['@b'], quorum: 3}]", {"a": 2, "b": 3}, {"U0CLE", "U0DEV"}),
    ],
)
def test_groups_and_people_are_those_that_approvals_name(
    approval: str, groups: dict[str, int], people: set[str]
) -> None:
    catalog = load(f"approval: {approval}")
    assert {group.handle: len(group.users) for group in catalog_files.groups(catalog)} == groups
    assert {person.id for person in catalog_files.people(catalog)} == people


def test_a_channels_own_rules_and_names_count_too() -> None:
    catalog = load('channels: {"#ops": {approval: {approvers: ["@night"]}}, C024BE7LH: {instructions: x}}')
    assert [group.handle for group in catalog_files.groups(catalog)] == ["night"]
    found = {channel.id: (channel.name, channel.members) for channel in catalog_files.channels(catalog, ["U0ANN"])}
    assert found == {"C0OPS": ("ops", ("U0ANN", "U0BOT")), "C024BE7LH": ("c024be7lh", ("U0ANN", "U0BOT"))}


READS = """
  - {method: GET, url: "/devices?site=[site]", description: "Lists devices, 50 a page. Each has a site."}
  - {method: GET, url: "/devices/[id]", description: Shows a device.}
  - {method: GET, url: "/must?a=[a]", description: Needs a., parameters: {a: {required: true}}}
  - {method: GET, url: /health, description: Health of it all}
  - {method: GET, url: /off, description: Gone., enabled: false}
"""


def test_what_there_is_to_ask_is_the_reads_that_need_nothing() -> None:
    catalog = load(endpoints=READS)
    assert catalog_files.questions(catalog, in_words=True) == ["list devices, 50 a page", "show me: Health of it all"]
    assert catalog_files.questions(catalog, in_words=False) == ["GET /devices", "GET /health"]


def test_the_catalogs_own_prompts_are_asked_where_somebody_understands_them() -> None:
    catalog = load('prompts: ["Who is on call?", {title: Old, message: Which devices are old?}]', READS)
    assert catalog_files.questions(catalog, in_words=True) == ["Who is on call?", "Which devices are old?"]
    assert catalog_files.questions(catalog, in_words=False) == ["GET /devices", "GET /health"]


def test_of_several_apis_a_call_names_its_own() -> None:
    text = """
        apis:
          - {name: A, base_url: "http://a", endpoints: [{method: GET, url: /x, description: d}]}
          - {name: B, base_url: "http://b/v1", endpoints: [{method: GET, url: /x, description: d}]}
    """
    assert catalog_files.questions(load_catalog(text, {}), in_words=False) == ["GET http://a/x", "GET http://b/v1/x"]


def test_a_file_is_taken_when_it_was_saved_and_not_while_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    text = "base_url: ${URL}\nendpoints: [{method: GET, url: /x, description: d}]\n"
    path.write_text(text)
    file = CatalogFile(path, {"URL": "http://h"})
    assert not file.was_saved()
    path.unlink()
    assert not file.was_saved()
    path.write_text(text.replace("}]", "}, {method: GET, url: /y, description: d}]"))
    assert file.was_saved()
    assert not file.was_saved()
    assert len(file.take().operations) == 2
    path.write_text("nonsense")
    assert file.was_saved()
    with pytest.raises(Misconfigured, match=r"^my\.yaml: write a mapping"):
        file.take()
    assert len(file.catalog.operations) == 2


def test_no_two_workspaces_give_the_same_id() -> None:
    """The bot's database outlives the workspace of the demo: what it has seen before is no news to it."""
    worlds = [Workspace().world for _ in range(20)]
    ids = [world.next_id("Ev") for world in worlds for _ in range(3)]
    assert len(set(ids)) == len(ids) == 60


def test_whom_the_catalog_lets_ask_is_there_to_be_played() -> None:
    text = """
base_url: https://x.example.com
endpoints: [{method: GET, url: /a, description: A., askers: ["@night-shift", U0LUCY, example.com, B0FLOW]}]
"""
    catalog = load_catalog(text, {})
    assert [group.handle for group in catalog_files.groups(catalog)] == ["night-shift"]
    assert "U0LUCY" in [person.id for person in catalog_files.people(catalog)]
