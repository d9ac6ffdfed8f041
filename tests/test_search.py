"""Which operations a question needs: the ranking on small catalogs of our own, its repeatability, and questions that mean harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalog import Operation
from core.listing import Listed
from core.search import Index, index_of
from tests.catalogs import COMPANY, Json, large, load

CATALOG = load(COMPANY)
INDEX = index_of(CATALOG)


def name(entry: Listed) -> str:
    return entry.name if isinstance(entry, Operation) else f"RUN {entry.workflow_id}"


def ranked(question: str, limit: int = 100) -> list[str]:
    return [name(one) for one in INDEX.rank(question, limit)]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("list all teams", "GET /teams"),
        ("Who is on holiday?", "GET /leaveRequests"),
        ("put me down for vacation next week", "POST /leaveRequests"),
        ("send Acme their money back", "POST /invoices/[invoice_id]/refunds"),
        ("restart web-17", "POST /servers/[server_id]/actions/reboot"),
        ("kick Ann out of the team", "DELETE /teams/[team_id]/members/[employee_id]"),
        ("show me the leave requests", "GET /leaveRequests"),
        ("which invioces are there?", "GET /invoices"),
    ],
)
def test_what_a_person_asks_for_comes_first(question: str, first: str) -> None:
    assert ranked(question)[0] == first


def test_what_gives_the_ids_comes_with_what_needs_them() -> None:
    assert {"GET /employees", "GET /employees/[employee_id]/photo"} <= set(ranked("show the picture of Ann Lee", 3))
    assert {"GET /teams", "GET /employees"} <= set(ranked("kick Ann out of the team", 6))
    assert "GET /search/customers" in ranked("What contacts does Acme have?", 4)


def test_a_question_prefers_reads_and_an_order_prefers_its_write() -> None:
    seen = ranked("who is a member of the team?")
    assert seen.index("GET /teams/[team_id]/members") < seen.index("PUT /teams/[team_id]/members/[employee_id]")
    ordered = ranked("change the employee's data")
    assert ordered.index("PATCH /employees/[employee_id]") < ordered.index("GET /employees/[employee_id]/photo")


def test_a_name_says_which_one_and_not_which_operation() -> None:
    plain = ranked("show the photo of")
    assert ranked('show the photo of "Team Invoices"') == plain
    assert ranked("show the photo of refunds@servers.example.com") == plain


def test_several_apis_share_the_places_and_the_fitting_one_has_most() -> None:
    catalog = load(COMPANY, large(400))
    found = [one.api.name for one in Index(catalog.operations).rank("who is on holiday?", 12)]
    assert found[0] == "Company"
    assert found.count("Company") > found.count("Large") > 0


def test_an_api_about_a_matter_has_more_places_than_a_large_one_that_mentions_it() -> None:
    company = large(400)
    company["endpoints"][0] = {"method": "GET", "url": "/spaceships", "description": "Lists the crew of spaceships."}
    told = ("Lists spaceships", "Shows a spaceship", "Shows a spaceship's crew", "Shows a spaceship's fuel")
    places = ("spaceships", "spaceships/[id]", "spaceships/[id]/crew", "spaceships/[id]/fuel")
    fleet = {
        "name": "Fleet", "base_url": "https://fleet.example.com",
        "endpoints": [{"method": "GET", "url": f"/{one}", "description": f"{text}."} for one, text in zip(places, told, strict=True)],
    }  # fmt: skip
    catalog = load(company, fleet)
    found = [one.api.name for one in Index(catalog.operations).rank("who is in the crew of the spaceship?", 5)]
    assert found.count("Fleet") >= 4


def test_recipes_are_found_like_operations() -> None:
    recipe = {
        "workflowId": "welcome-newcomer", "description": "Welcomes somebody with a bouquet of flowers.",
        "inputs": {"type": "object", "properties": {"email": {"type": "string"}}},
        "steps": [{"stepId": "find", "operation": "GET /employees"}],
    }  # fmt: skip
    catalog = load(COMPANY | {"recipes": [recipe]})
    assert name(index_of(catalog).rank("bouquet for Ann")[0]) == "RUN welcome-newcomer"


def test_the_same_question_has_the_same_answer_in_every_index() -> None:
    questions = ["who is on holiday?", "", "kick Ann out of the team", "Ä Ö Ü"]
    again = Index(CATALOG.operations)
    assert [[name(one) for one in again.rank(text)] for text in questions] == [ranked(text) for text in questions]


def test_a_question_that_says_nothing_gives_every_operation_and_no_write_first() -> None:
    everything = ranked("")
    assert sorted(everything) == sorted(one.name for one in CATALOG.operations)
    assert everything[0].startswith("GET ")


HOSTILE = [
    '"', "'", '") OR 1=1 --', 'NEAR("teams" "members", 5)', "teams* AND NOT members", "-teams", "name:teams ^2", "{teams} - {}", "(((((",
    "\x00teams\x00", "%s %n {0} {x!r}", "\\", "[a-z]+$", "teams " * 20_000, "x" * 100_000, "a_1" * 2_000 + "-", "@" * 3_000, ".1" * 3_000,
    "\ud800 teams", "🏝️👩‍🚀", "wer ist heute krank?", "誰が休暇中ですか", "кто в отпуске?", "מי בחופשה", "'s 's 's", "call call off off",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_a_question_and_none_has_a_syntax(text: str) -> None:
    found = INDEX.rank(text, 5)
    assert len(set(found)) == 5


def test_words_of_a_syntax_do_not_change_what_is_found() -> None:
    assert ranked("list teams; (((*", 3) == ranked("list teams", 3)
    assert "GET /teams/[team_id]/members" in ranked('NEAR("teams" AND team_id: members*)', 3)


@given(st.text(max_size=200), st.integers(1, 30))
def test_every_question_gives_as_many_as_wanted_each_once(text: str, limit: int) -> None:
    found = INDEX.rank(text, limit)
    assert len(set(found)) == len(found) == min(limit, len(CATALOG.operations))


def test_names_of_300_characters_are_indexed_and_found() -> None:
    long: Json = {
        "method": "GET",
        "url": f"/{'reports' * 43}?{'filter' * 50}=[a]",
        "description": "Shows " + "zebra" * 60,
    }
    wide: Json = {
        "method": "POST", "url": "/zebras", "description": "Adds.",
        "body": {"type": "object", "properties": {"f" * 300: {"enum": ["e" * 300]}}},
    }  # fmt: skip
    catalog = load(COMPANY | {"endpoints": [*COMPANY["endpoints"], long, wide]})
    assert name(index_of(catalog).rank("add a zebra")[0]) == "POST /zebras"


def test_one_of_5_000_operations_is_found() -> None:
    catalog = load(large(5_000))
    assert name(index_of(catalog).rank("which spaceships have a crew?")[0]) == "GET /spaceships"


def test_an_index_of_nothing_finds_nothing() -> None:
    assert Index([]).rank("anything") == []


def test_a_catalog_has_one_index_and_a_channels_part_of_it_has_one_too() -> None:
    catalog = load(COMPANY, channels={"C0TEAMS": {"operations": ["GET /teams*"]}})
    narrowed = [catalog.narrowed(catalog.channels["C0TEAMS"]) for _ in range(2)]
    assert index_of(catalog) is index_of(catalog)
    assert index_of(narrowed[0]) is index_of(narrowed[1])
    assert {name(one) for one in index_of(narrowed[0]).rank("servers")} == {
        "GET /teams",
        "GET /teams/[team_id]/members",
    }
