"""Which operations a question needs: the ranking on small catalogs of our own, its repeatability, and questions that mean harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import lexicon
from base.english import stem
from catalog.catalog import Operation
from model.prompt.listing import Listed
from model.prompt.resources import SEARCHING
from model.prompt.search import Index, index_of
from tests.harness.cases import each_row
from tests.harness.catalogs import COMPANY, Json, large, load

CATALOG = load(COMPANY)
INDEX = index_of(CATALOG)


def name(entry: Listed) -> str:
    return entry.name if isinstance(entry, Operation) else f"RUN {entry.workflow_id}"


def ranked(question: str, limit: int = 100) -> list[str]:
    return [name(one) for one in INDEX.rank(question, limit).entries]


@each_row(
    "question, first",
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


OFFICE: Json = {
    "name": "Office", "base_url": "https://office.example.com",
    "endpoints": [
        *({"method": "POST", "url": f"/letters{n}/send", "description": "Sends reminders of overdue payments."} for n in range(9)),
        *({"method": "GET", "url": f"/floors/[floor_id]/desks{n}", "description": "Shows who sits in a room."} for n in range(40)),
        {"method": "GET", "url": "/rooms", "description": "Lists rooms."},
        {"method": "DELETE", "url": "/rooms/[room_id]", "description": "Takes a room away."},
        *large(150)["endpoints"],
    ],
}  # fmt: skip


@each_row(
    "question, wanted",
    [
        ("send the reminders of overdue payments and list the rooms", "GET /rooms"),
        ("Send the reminders of overdue payments. Then list the rooms", "GET /rooms"),
        ("send the reminders of overdue payments; which rooms are there?", "GET /rooms"),
        ("list the rooms, but first send the reminders of overdue payments", "GET /rooms"),
        ("送る reminders of overdue payments、list the rooms", "GET /rooms"),
        ("send the reminders of overdue payments, and delete the room", "DELETE /rooms/[room_id]"),
        ("which payments are overdue? Send reminders. Then delete the room", "DELETE /rooms/[room_id]"),
    ],
)
def test_a_wish_is_found_beside_another_that_fits_better(question: str, wanted: str) -> None:
    found = [name(one) for one in Index(load(OFFICE).operations).rank(question, 5).entries]
    assert wanted in found
    assert found[0].startswith("POST /letters")


def test_each_clause_has_an_aim_of_its_own() -> None:
    index = Index(load(OFFICE).operations)
    looked = index.rank("send the reminders of overdue payments, and show the room", 10).entries
    assert "DELETE /rooms/[room_id]" not in map(name, looked)
    added = index.rank("which rooms are there? Then add a badge", 25).entries
    assert "POST /badges0" in map(name, added)


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    log = "qwzxk vbnmt plorf snelk " * 250
    assert ranked(f"restart web-17\n{log}")[0] == "POST /servers/[server_id]/actions/reboot"
    assert ranked(f"{log}\nrestart web-17")[0] == "POST /servers/[server_id]/actions/reboot"


@each_row(
    "question, is_understood",
    [
        ("who is on holiday?", True), ("restart web-17", True), ("send Acme their money back", True),
        ("which invioces are there?", True), ("kick Ann out of the team", True),
        ("Wer hat nächste Woche frei?", False), ("¿Quién está de vacaciones?", False), ("誰が休暇中ですか", False),
        ("it's raining cats and dogs", False), ("🏝️", False), ("in_1MxKq2", False), ("", False),
    ],
)  # fmt: skip
def test_how_much_of_a_question_is_understood_is_known(question: str, is_understood: bool) -> None:
    assert (INDEX.rank(question).understood >= 1 / 3) is is_understood


def test_of_two_apis_none_is_left_out_and_the_fitting_one_comes_first() -> None:
    catalog = load(COMPANY, large(400))
    found = [one.api.name for one in Index(catalog.operations).rank("who is on holiday?", 60).entries]
    assert found[0] == "Company"
    assert found.count("Large") > found.count("Company") == len(COMPANY["endpoints"])
    lost = [one.api.name for one in Index(catalog.operations).rank("printers and badges", 100).entries]
    assert lost[0] == "Large"
    assert lost.count("Company") == len(COMPANY["endpoints"])


def test_of_many_apis_those_that_fit_have_the_places() -> None:
    others = [large(10, f"https://l{n}.example.com", f"Large {n}") for n in range(60)]
    found = [one.api.name for one in Index(load(*others, COMPANY).operations).rank("who is on holiday?", 16).entries]
    assert found.count("Company") > 8


def test_an_id_may_come_from_another_api() -> None:
    payroll: Json = {
        "name": "Payroll", "base_url": "https://pay.example.com",
        "endpoints": [{"method": "GET", "url": "/payslips/[employee_id]", "description": "Shows payslips."}],
    }  # fmt: skip
    catalog = load(payroll, COMPANY, large(400))
    found = [name(one) for one in Index(catalog.operations).rank("show the payslips of Ann Lee", 4).entries]
    assert found[0] == "GET /payslips/[employee_id]"
    assert "GET /employees" in found


def test_what_takes_a_text_to_search_for_is_a_search_whatever_it_is_called() -> None:
    kinds = {"type": "string", "enum": ["contract", "printer"]}
    picking: Json = {
        "method": "GET", "url": "/picklist?kind=[kind]&q=[q]", "description": "Shows hits.", "parameters": {"kind": kinds},
    }  # fmt: skip
    show: Json = {"method": "GET", "url": "/archive/[contract_id]", "description": "Shows a stored one."}
    index = Index(load(COMPANY | {"endpoints": [*COMPANY["endpoints"], picking, show]}).operations)
    assert "GET /picklist" in [name(one) for one in index.rank("show it from the archive", 3).entries]


WORDS = {"Rechnung": "invoice", "box": ["server", "machines"], "sack": "ends a membership"}


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("welche Rechnung ist offen?", "GET /invoices"),
        ("which boxes do we have?", "GET /servers"),
        ("sack Ann", "DELETE /teams/[team_id]/members/[employee_id]"),
    ],
)
def test_a_catalog_teaches_what_people_say(question: str, first: str) -> None:
    taught = Index(load(COMPANY | {"words": WORDS}).operations)
    assert name(taught.rank(question).entries[0]) == first
    assert ranked(question)[0] != first


def test_words_are_taught_to_their_own_api_alone() -> None:
    catalog = load(COMPANY | {"words": {"Rechnung": "invoice"}}, COMPANY | {"name": "Other"})
    found = Index(catalog.operations).rank("welche Rechnung ist offen?", 2).entries
    assert found[0].api.name == "Company"
    assert name(found[0]) == "GET /invoices"


def test_an_api_without_descriptions_is_found_by_its_paths() -> None:
    bare = [one | {"description": " "} for one in COMPANY["endpoints"]]
    index = Index(load(COMPANY | {"endpoints": bare}).operations)
    assert name(index.rank("list all teams").entries[0]) == "GET /teams"
    assert name(index.rank("show me the leave requests").entries[0]) == "GET /leaveRequests"


PECULIAR = Path(__file__).parents[3] / "bench" / "data" / "peculiar.txt"


def test_the_lexicon_has_no_word_that_belongs_to_a_measured_api() -> None:
    peculiar = {word for line in PECULIAR.read_text("utf-8").splitlines() for word in line.split()[1:]}
    texts = [value for value in vars(lexicon).values() if isinstance(value, str) and value is not lexicon.__doc__]
    texts += lexicon.WRITES.values()
    words = {word for text in texts for word in re.findall("[a-z]+", text)}
    assert {"movi", "uncollect", "typeahead", "gist"} <= peculiar
    assert {"remove", "invoice", "restart"} <= words
    assert sorted(word for word in words - set(lexicon.STOP.split()) if stem(word) in peculiar) == []
    assert not SEARCHING & peculiar


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
    found = [one.api.name for one in Index(catalog.operations).rank("who is in the crew of the spaceship?", 5).entries]
    assert found.count("Fleet") >= 4


def test_recipes_are_found_like_operations() -> None:
    recipe = {
        "workflowId": "welcome-newcomer", "description": "Welcomes somebody with a bouquet of flowers.",
        "inputs": {"type": "object", "properties": {"email": {"type": "string"}}},
        "steps": [{"stepId": "find", "operation": "GET /employees"}],
    }  # fmt: skip
    catalog = load(COMPANY | {"recipes": [recipe]})
    assert name(index_of(catalog).rank("bouquet for Ann").entries[0]) == "RUN welcome-newcomer"


def test_the_same_question_has_the_same_answer_in_every_index() -> None:
    questions = ["who is on holiday?", "", "kick Ann out of the team", "Ä Ö Ü"]
    again = Index(CATALOG.operations)
    assert [[name(one) for one in again.rank(text).entries] for text in questions] == [
        ranked(text) for text in questions
    ]


def test_a_question_that_says_nothing_gives_every_operation_and_no_write_first() -> None:
    everything = ranked("")
    assert sorted(everything) == sorted(one.name for one in CATALOG.operations)
    assert everything[0].startswith("GET ")


HOSTILE = [
    '"', "'", '") OR 1=1 --', 'NEAR("teams" "members", 5)', "teams* AND NOT members", "-teams", "name:teams ^2", "{teams} - {}", "(((((",
    "\x00teams\x00", "%s %n {0} {x!r}", "\\", "[a-z]+$", "teams " * 20_000, "x" * 100_000, "a_1" * 2_000 + "-", "@" * 3_000, ".1" * 3_000,
    "\ud800 teams", "🏝️👩‍🚀", "wer ist heute krank?", "誰が休暇中ですか", "кто в отпуске?", "מי בחופשה", "'s 's 's", "call call off off",
]  # fmt: skip


@each_row("text", HOSTILE)
def test_any_text_is_a_question_and_none_has_a_syntax(text: str) -> None:
    found = INDEX.rank(text, 5).entries
    assert len(set(found)) == 5


def test_words_of_a_syntax_do_not_change_what_is_found() -> None:
    assert ranked("list teams; (((*", 3) == ranked("list teams", 3)
    assert "GET /teams/[team_id]/members" in ranked('NEAR("teams" AND team_id: members*)', 3)


@given(st.text(max_size=200), st.integers(1, 30))
def test_every_question_gives_as_many_as_wanted_each_once(text: str, limit: int) -> None:
    found = INDEX.rank(text, limit).entries
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
    assert name(index_of(catalog).rank("add a zebra").entries[0]) == "POST /zebras"


def test_one_of_2_000_operations_is_found() -> None:
    catalog = load(large(2_000))
    assert name(index_of(catalog).rank("which spaceships have a crew?").entries[0]) == "GET /spaceships"


def test_an_index_of_nothing_finds_nothing() -> None:
    assert Index([]).rank("anything").entries == []


def test_a_catalog_has_one_index_and_a_channels_part_of_it_has_one_too() -> None:
    catalog = load(COMPANY, channels={"C0TEAMS": {"operations": ["GET /teams*"]}})
    narrowed = [catalog.narrowed(catalog.channels["C0TEAMS"]) for _ in range(2)]
    assert index_of(catalog) is index_of(catalog)
    assert index_of(narrowed[0]) is index_of(narrowed[1])
    assert {name(one) for one in index_of(narrowed[0]).rank("servers").entries} == {
        "GET /teams",
        "GET /teams/[team_id]/members",
    }
