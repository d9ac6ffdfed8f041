"""Importing again, into a file that people have worked on: what they wrote stays, what they left alone follows the description."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.settings import Misconfigured
from catalog.catalog import Catalog, load_catalog
from catalog.importer.fetching import Order, make, renew
from catalog.importer.merge import _acts, _split
from catalog.importer.openapi import Choice
from tests.harness.descriptions import description, everything, get, post, query

Json = dict[str, Any]


class Desk:
    """A folder with a description and the catalog that was imported of it."""

    def __init__(self, folder: Path, document: Json, **order: Any) -> None:
        self.source = folder / "openapi.json"
        self.file = folder / "apis.yaml"
        self.document = document
        self.order = order
        make(self._order(), str(self.file))

    def _order(self, **more: Any) -> Order:
        self.source.write_text(json.dumps(self.document))
        return Order(str(self.source), **{**self.order, **more})

    @property
    def text(self) -> str:
        return self.file.read_bytes().decode()

    def by_hand(self, before: str, after: str) -> None:
        """A person's edit."""
        assert self.text.count(before) == 1, self.text
        self.file.write_bytes(self.text.replace(before, after).encode())

    def again(self, **more: Any) -> str:
        """Imports again; gives what it told."""
        return "\n".join(renew(self._order(**more), str(self.file)).report)

    def catalog(self) -> Catalog:
        return load_catalog(self.text, {"SHOP_API_KEY": "only-for-this-test"})

    def entry(self, name: str) -> Json:
        """An endpoint as the file has it, by `METHOD /path`."""
        found = [
            one
            for one in yaml.load(self.text, yaml.CSafeLoader)["endpoints"]
            if f"{one['method']} {one['url'].partition('?')[0]}" == name
        ]
        assert len(found) == 1, [one["url"] for one in found]
        return dict(found[0])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, everything())


def test_where_nothing_changed_the_file_stays_as_it_is_to_the_character(desk: Desk) -> None:
    before = desk.text

    assert "nothing changed" in desk.again()
    assert desk.text == before


def test_what_a_person_added_stays(desk: Desk) -> None:
    desk.by_hand(
        "description: Adds a pet.\n    enabled: false\n",
        "description: Adds a pet. Names are unique.  # says Ann\n    approval: {approvers: ['@vets']}\n",
    )
    desk.by_hand(
        "endpoints:\n",
        "limits: {at_once: 2}\n\nendpoints:\n  - {method: GET, url: /own, description: Ours.}  # by hand\n",
    )
    desk.document["paths"]["/pets"]["post"]["summary"] = "Puts a pet onto the list"
    desk.document["paths"]["/pets"]["get"]["summary"] = "Lists all pets"

    told = desk.again()

    assert desk.entry("POST /pets")["description"] == "Adds a pet. Names are unique."
    assert desk.entry("POST /pets")["approval"] == {"approvers": ["@vets"]}
    assert "enabled" not in desk.entry("POST /pets")
    assert desk.entry("GET /pets")["description"] == "Lists all pets."
    assert "# says Ann" in desk.text
    assert "- {method: GET, url: /own, description: Ours.}  # by hand\n" in desk.text
    assert "GET /pets: description changed" in told
    assert "here by hand, so left as they are (1):\n  POST /pets: description" in told
    assert {one.name for one in desk.catalog().operations} >= {"GET /own", "POST /pets"}


def test_a_new_write_arrives_switched_off_and_a_new_read_on(desk: Desk) -> None:
    desk.document["paths"]["/vets"] = get() | post({"type": "object"})

    told = desk.again()

    assert "New, on (1):\n  GET /vets" in told
    assert "New writes, switched off until you set enabled: true (1):\n  POST /vets" in told
    assert [one.name for one in desk.catalog().operations if "/vets" in one.name] == ["GET /vets"]


def test_it_stays_off_at_every_import_until_somebody_allows_it_and_stays_on_then(desk: Desk) -> None:
    desk.document["paths"]["/vets"] = post({"type": "object"})
    desk.again()
    desk.again()
    assert desk.entry("POST /vets")["enabled"] is False

    desk.by_hand(
        "url: /vets\n    description: Makes it.\n    enabled: false\n",
        "url: /vets\n    description: Makes it.\n    enabled: true\n",
    )
    desk.again()

    assert desk.entry("POST /vets")["enabled"] is True


def test_with_writes_they_arrive_on(desk: Desk) -> None:
    desk.document["paths"]["/vets"] = post({"type": "object"})

    assert "New, on (1):\n  POST /vets" in desk.again(writes=True)
    assert desk.entry("DELETE /pets/[pet-id]")["enabled"] is False


def test_a_write_that_people_allowed_is_pointed_out_where_the_description_changed_it(desk: Desk) -> None:
    desk.by_hand("description: Adds a pet.\n    enabled: false\n", "description: Adds a pet.\n")
    desk.document["components"]["schemas"]["Pet"]["properties"]["price"]["minimum"] = 5

    assert "POST /pets (a write that is on): body changed" in desk.again()


def test_what_the_description_has_no_more_is_switched_off_once(desk: Desk) -> None:
    del desk.document["paths"]["/pets/{pet-id}"]["get"]

    told = desk.again()

    assert "Not in the description any more, so switched off (1):\n  GET /pets/[pet-id]" in told
    assert desk.entry("GET /pets/[pet-id]")["enabled"] is False
    assert "nothing changed" in desk.again()


def test_what_comes_back_is_told_and_a_read_is_on_again(desk: Desk) -> None:
    path = desk.document["paths"].pop("/pets")
    desk.again()
    assert (desk.entry("GET /pets")["enabled"], desk.entry("POST /pets")["enabled"]) == (False, False)
    assert "nothing changed" in desk.again()
    desk.document["paths"]["/pets"] = path

    told = desk.again()

    assert "In the description again" in told
    assert "GET /pets: on again" in told
    assert "enabled" not in desk.entry("GET /pets")
    assert desk.entry("POST /pets")["enabled"] is False
    assert "again" not in desk.again()


def test_a_write_that_people_allowed_comes_back_switched_off(desk: Desk) -> None:
    desk.by_hand("description: Adds a pet.\n    enabled: false\n", "description: Adds a pet.\n")
    path = desk.document["paths"].pop("/pets")
    desk.again()
    desk.document["paths"]["/pets"] = path

    assert "POST /pets: off until you set enabled: true" in desk.again()
    assert desk.entry("POST /pets")["enabled"] is False


def test_a_read_that_a_person_switched_off_stays_off_when_it_comes_back(desk: Desk) -> None:
    desk.by_hand("description: Lists pets.\n", "description: Lists pets.\n    enabled: false\n")
    path = desk.document["paths"].pop("/pets")
    desk.again()
    desk.document["paths"]["/pets"] = path

    assert "GET /pets" not in desk.again()
    assert desk.entry("GET /pets")["enabled"] is False


def test_what_cannot_be_taken_over_is_told_once(desk: Desk) -> None:
    desk.by_hand("items: items, total: total}", "items: items}")
    listed = desk.document["paths"]["/pets"]["get"]
    listed["parameters"] = [one for one in listed["parameters"] if one.get("name") != "page"]

    told = desk.again()

    assert "GET /pets: left as it is, since the changes conflict with what was changed by hand" in told
    assert told.count("GET /pets: ") == 1


def test_what_could_not_be_taken_over_follows_the_description_once_it_can(desk: Desk) -> None:
    desk.by_hand("items: items, total: total}", "items: items}")
    whole = copy.deepcopy(desk.document["paths"])
    desk.document["paths"].pop("/pets")
    desk.again()
    listed = copy.deepcopy(whole["/pets"])
    listed["get"]["parameters"] = [one for one in listed["get"]["parameters"] if one.get("name") != "page"]
    desk.document["paths"]["/pets"] = listed
    assert "GET /pets: left as it is" in desk.again()
    assert desk.entry("GET /pets")["enabled"] is False
    whole["/pets"]["get"]["summary"] = "Lists all pets"
    desk.document["paths"] = whole

    assert "GET /pets: on again" in desk.again()

    assert desk.entry("GET /pets")["description"] == "Lists all pets."
    assert "enabled" not in desk.entry("GET /pets")


def test_what_a_person_switched_on_and_off_again_stays_off(desk: Desk) -> None:
    path = desk.document["paths"].pop("/pets")
    desk.again()
    desk.document["paths"]["/pets"] = path
    desk.by_hand("description: Lists pets.\n    enabled: false\n", "description: Lists pets.\n")
    desk.again(choice=Choice(only=("/pets/*",)))
    desk.by_hand("description: Lists pets.\n", "description: Lists pets.\n    enabled: false\n")

    desk.again()

    assert desk.entry("GET /pets")["enabled"] is False


def test_of_several_apis_each_has_marks_of_its_own(desk: Desk) -> None:
    head, title, marks = desk.text.partition("# --- Marks")
    one = "  - " + "".join(f"    {line}" for line in head.splitlines(keepends=True)).lstrip()
    other = one.replace("name: Shop\n", "name: Other\n").replace("https://shop.example", "https://other.example")
    desk.file.write_text(f"apis:\n{one}\n{other}\n{title}{marks}")
    desk.again(name="Other")
    at = desk.text.rindex("description: Lists pets.\n") + len("description: Lists pets.\n")
    desk.file.write_text(f"{desk.text[:at]}        enabled: false\n{desk.text[at:]}")  # by a person, in the other API
    path = desk.document["paths"].pop("/pets")
    desk.again(name="Shop")
    desk.document["paths"]["/pets"] = path

    assert "again" not in desk.again(name="Other")
    path["get"]["summary"] = "Lists all pets"
    told = desk.again(name="Shop")

    assert "GET /pets: on again" in told
    assert "GET /pets: description changed" in told
    (shop, off) = (
        next(entry for entry in api["endpoints"] if entry["url"].startswith("/pets?"))
        for api in yaml.safe_load(desk.text)["apis"]
    )
    assert (shop.get("enabled"), shop["description"]) == (None, "Lists all pets.")
    assert (off["enabled"], off["description"]) == (False, "Lists pets.")


def test_what_a_person_removed_stays_away(desk: Desk) -> None:
    entry = desk.text[desk.text.index("  - method: DELETE") :].partition("\n\n")[0]
    desk.by_hand(entry + "\n\n", "")

    assert "Removed by hand before, so left out again: 1." in desk.again()
    assert "method: DELETE" not in desk.text


def test_parameters_come_and_go_with_the_description_and_a_lookup_stays(desk: Desk) -> None:
    desk.by_hand(
        "parameters: {pet-id: {type: integer}}",
        "parameters: {pet-id: {type: integer, lookup: {operation: GET /pets, match: [name], id: id}}}",
    )
    paths = desk.document["paths"]
    paths["/pets/{pet-id}"]["get"]["parameters"][0]["schema"] = {"type": "integer", "minimum": 1}
    paths["/pets"]["get"]["parameters"] = [query("colour", {"enum": ["red"]})]

    told = desk.again()

    assert desk.entry("GET /pets/[pet-id]")["parameters"]["pet-id"] == {
        "type": "integer",
        "minimum": 1,
        "lookup": {"operation": "GET /pets", "match": ["name"], "id": "id"},
    }
    assert desk.entry("GET /pets")["url"] == "/pets?colour=[colour]"
    assert "parameters.ids gone" in told
    assert desk.catalog().operations


def test_a_part_of_the_description_renews_that_part_and_leaves_the_rest(desk: Desk) -> None:
    desk.document["paths"]["/pets"]["get"]["summary"] = "Lists all pets"
    desk.document["paths"]["/pets"]["post"]["summary"] = "Makes a pet"

    desk.again(choice=Choice(only=("GET *",)))

    assert desk.entry("GET /pets")["description"] == "Lists all pets."
    assert desk.entry("POST /pets")["description"] == "Adds a pet."
    assert desk.entry("POST /pets")["enabled"] is False


def test_line_ends_and_a_byte_order_mark_do_not_matter(desk: Desk) -> None:
    desk.file.write_bytes(b"\xef\xbb\xbf" + desk.text.replace("\n", "\r\n").encode())
    desk.document["paths"]["/vets"] = get()

    desk.again()

    assert "  - method: GET\r\n    url: /vets\r\n" in desk.text
    assert "\n" not in desk.text.replace("\r\n", "")


def test_of_several_apis_the_one_of_that_name_is_renewed(desk: Desk) -> None:
    body, _, marks = desk.text.partition("# --- Marks")
    inner = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines() if not line.startswith("#"))
    other = "  - name: Other\n    base_url: https://o.example\n    endpoints:\n"
    other += "      - {method: GET, url: /x, description: X.}\n"
    desk.file.write_text(f"apis:\n  -\n{inner}{other}\n# --- Marks{marks}")
    desk.document["paths"]["/vets"] = get()

    assert "GET /vets" in desk.again()
    assert [api.name for api in desk.catalog().apis] == ["Shop", "Other"]
    assert [one.api.name for one in desk.catalog().operations if one.url == "/vets"] == ["Shop"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: Other\nbase_url: https://o.example\nendpoints:\n  - {method: GET, url: /, description: d}\n", "--name"),
        (
            "name: Shop\nbase_url: https://o\nendpoints: [{method: GET, url: /, description: d}]\n",
            "write endpoints as a",
        ),
        ("name: Shop\nendpoints: 7\n", "write endpoints as a list"),
        ("name: [", "not valid YAML"),
        ("", "empty"),
    ],
)
def test_a_file_that_cannot_be_renewed_is_left_as_it_is(desk: Desk, text: str, words: str) -> None:
    desk.file.write_text(text)

    with pytest.raises(Misconfigured, match=words):
        desk.again()
    assert desk.text == text


def test_what_an_alias_ties_together_is_not_edited(desk: Desk) -> None:
    desk.by_hand("description: Adds a pet.\n", "description: &words Adds a pet.\n")
    desk.by_hand("description: Deprecated. Removes a pet for good.\n", "description: *words\n")
    desk.document["paths"]["/pets"]["post"]["summary"] = "Makes a pet"
    before = desk.text

    with pytest.raises(Misconfigured, match="an alias"):
        desk.again()
    assert desk.text == before


def test_a_file_without_marks_is_a_persons_own_and_only_news_are_added(desk: Desk) -> None:
    body = desk.text.partition("# --- Marks")[0]
    desk.file.write_text(body)
    desk.document["paths"]["/pets"]["get"]["summary"] = "Lists all pets"
    desk.document["paths"]["/vets"] = get()

    desk.again()

    assert desk.entry("GET /pets")["description"] == "Lists pets."
    assert desk.entry("GET /vets")["description"] == "Gets it."


# --- whatever changes -------------------------------------------------------------------------------------------------

SCHEMAS: list[Json] = [{"type": "integer"}, {"type": "string", "enum": ["a", "b"]}, {"type": "array", "items": {}}]
OPERATIONS = st.fixed_dictionaries(
    {
        "summary": st.sampled_from(["Lists", "Shows: all", "# Odd", "'quoted' - \"twice\"", "Ünïcode ☂"]),
        "parameters": st.lists(
            st.builds(query, st.sampled_from(["page", "q", "x[y]", "a b"]), st.sampled_from(SCHEMAS)), max_size=3
        ),
    }
)
PATHS = st.dictionaries(
    st.sampled_from(["/a", "/a/{id}", "/b/{x}/c", "/d"]),
    st.dictionaries(st.sampled_from(["get", "put", "delete"]), OPERATIONS, min_size=1),
    min_size=1,
)
HANDS = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(["describe", "allow", "remove", "approval"])), max_size=3
)


def worked_on(text: str, hands: list[tuple[int, str]]) -> str:
    """A person's edits of some entries, as text."""
    head, _, rest = text.partition("endpoints:\n")
    body, title, marks = rest.partition("# --- Marks")
    entries = body.rstrip("\n").split("\n\n")
    for number, what in hands:
        at = number % len(entries)
        lines = entries[at].splitlines()
        if what == "describe":
            lines = [f"    description: By hand {number}" if "description:" in line else line for line in lines]
        elif what == "allow":
            lines = [line for line in lines if line != "    enabled: false"]
        elif what == "approval":
            lines += [] if any("approval" in line for line in lines) else ["    approval: always  # ours"]
        elif len(entries) > 1:
            del entries[at]
            continue
        entries[at] = "\n".join(lines)
    return head + "endpoints:\n" + "\n\n".join(entries) + "\n\n" + title + marks


@given(PATHS, PATHS, HANDS)
def test_whatever_both_sides_change_the_catalog_loads_keeps_the_hands_work_and_settles(
    tmp_path_factory: pytest.TempPathFactory, before: Json, after: Json, hands: list[tuple[int, str]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("again"), description(copy.deepcopy(before)))
    desk.file.write_text(worked_on(desk.text, hands))
    mine = {key(one): one for one in yaml.load(desk.text, yaml.CSafeLoader)["endpoints"]}
    desk.document = description(copy.deepcopy(after))

    desk.again()

    now = {key(one): one for one in yaml.load(desk.text, yaml.CSafeLoader)["endpoints"]}
    for name, entry in mine.items():
        if entry["description"].startswith("By hand"):
            assert now[name]["description"] == entry["description"]
        assert now[name].get("approval") == entry.get("approval")
        assert entry.get("enabled", True) or not now[name].get("enabled", True)
    assert all(one["method"] == "GET" or one["enabled"] is False for name, one in now.items() if name not in mine)
    settled = desk.text
    assert "nothing changed" in desk.again()
    assert desk.text == settled


def key(entry: Json) -> str:
    return f"{entry['method']} {entry['url'].partition('?')[0]}"


# --- reads that act ---------------------------------------------------------------------------------------------------


def revoking() -> Json:
    return description({"/auth.revoke": get(summary="Revokes a token"), "/a": get()})


def as_imported_before(desk: Desk) -> None:
    """The file as an import wrote it that knew nothing of reads that act: on, and without their marks."""
    desk.by_hand("description: Revokes a token.\n    enabled: false\n", "description: Revokes a token.\n")
    (acts,) = {mark for mark in _split(desk.text)[1] if mark == _acts("GET /auth.revoke")}
    desk.by_hand(f" {acts}", "")


def test_a_read_that_acts_stays_off_and_tells_so_once_more(tmp_path: Path) -> None:
    desk = Desk(tmp_path, revoking())
    before = desk.text

    assert "GET /auth.revoke comes switched off" in desk.again()
    assert desk.text == before
    assert desk.entry("GET /auth.revoke")["enabled"] is False


def test_a_read_that_acts_and_that_a_person_allowed_stays_on(tmp_path: Path) -> None:
    for number, by_hand in enumerate(("", "    enabled: true\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        desk = Desk(folder, revoking())
        desk.by_hand("description: Revokes a token.\n    enabled: false\n", f"description: Revokes a token.\n{by_hand}")

        desk.again()
        told = desk.again()

        assert desk.entry("GET /auth.revoke").get("enabled") is not False
        assert (
            "On, as they were set here, though they seem to change something or carry other calls (1):\n  GET /auth.revoke"
            in told
        )
        assert "comes switched off" not in told
        assert "Remarks" not in told


def test_a_read_that_acts_and_that_an_earlier_import_left_on_is_switched_off_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, revoking())
    as_imported_before(desk)

    told = desk.again()

    assert (
        "Reads that seem to change something, so switched off; set enabled: true on those that people may ask for (1):"
        in told
    )
    assert desk.entry("GET /auth.revoke")["enabled"] is False
    desk.by_hand("description: Revokes a token.\n    enabled: false\n", "description: Revokes a token.\n")
    assert "switched off" not in desk.again()
    assert "enabled" not in desk.entry("GET /auth.revoke")


def test_a_read_that_acts_and_comes_back_stays_off(tmp_path: Path) -> None:
    desk = Desk(tmp_path, revoking())
    document = copy.deepcopy(desk.document)
    del desk.document["paths"]["/auth.revoke"]
    desk.again()
    desk.document = document

    desk.again()

    assert desk.entry("GET /auth.revoke")["enabled"] is False


def test_what_carries_calls_stays_off_also_when_it_is_new_and_writes_are_wanted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, description({"/a": get()}))
    desk.document["paths"]["/batch"] = post({"type": "object"})

    told = desk.again(writes=True)

    assert "New writes, switched off until you set enabled: true (1):\n  POST /batch" in told
    assert desk.entry("POST /batch")["enabled"] is False


def test_an_operation_that_becomes_like_another_is_taken_into_its_entry(tmp_path: Path) -> None:
    desk = Desk(tmp_path, description({"/auth/{x}": post({"type": "object", "properties": {"a": {"type": "string"}}})}))
    desk.document["paths"]["/auth/{y}"] = post(
        {"type": "object", "properties": {"b": {"type": "string"}}}, summary="Other"
    )

    assert "body changed" in desk.again()

    (entry,) = yaml.safe_load(desk.text)["endpoints"]
    assert [set(one["properties"]) for one in entry["body"]["anyOf"]] == [{"a"}, {"b"}]
    assert "nothing changed" in desk.again()
