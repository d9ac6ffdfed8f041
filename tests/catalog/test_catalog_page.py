"""docs/catalog.md says what is: every key of the models stands there, every example loads, and does what the page says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import BaseModel

from catalog import approval_entry, auth, entries, pagination_entry, parameter_entry
from catalog.auth import OAuthClient
from catalog.bad_call import BadCall
from catalog.bodies import encoded
from catalog.calls import Call, resolve
from catalog.catalog import METHODS, BadCatalog, Catalog, Operation, load_catalog
from catalog.lookup import candidates
from catalog.rules import Rule
from catalog.signs_of_more import Page
from catalog.values import Strict
from gate.answers import Answer, data_of
from gate.paging import End, NextPage, begin, follow, items_of
from gate.policy import Read, State, Write, sort
from gate.preview import showing
from model.prompt.prompt import suggestions
from model.prompt.search import index_of
from tests.harness.bot_parts import BotParts, calls, tool_results
from tests.harness.cases import each_row
from tests.harness.rest_server import RestServer, reply

PAGE = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = {title: re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) for title, text in SECTIONS.items()}


def example(title: str) -> str:
    """The one example of a section."""
    (text,) = EXAMPLES[title]
    return str(text)


def catalog_of(title: str, **environ: str) -> Catalog:
    return load_catalog(example(title), environ)


def operation(catalog: Catalog, name: str) -> Operation:
    (found,) = [one for one in catalog.operations if one.name == name]
    return found


def called(catalog: Catalog, method: str, url: str, body: object = None, **headers: str) -> Call:
    return resolve(catalog, {"method": method, "url": url, "body": body, "headers": headers})


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Callable[[str], tuple[BotParts, RestServer]]]:
    """A bot over a section's example, whose APIs are all one server here."""
    with RestServer() as server:
        made = []

        def make(title: str) -> tuple[BotParts, RestServer]:
            made.append(
                BotParts(tmp_path, re.sub(r"https://\w+\.example\.com", server.url, example(title)), timeout=60)
            )
            return made[-1], server

        yield make
        for one in made:
            one.close()


# --- the page is whole ------------------------------------------------------------------------------------------------


@each_row("title", SECTIONS)
def test_every_example_of_a_catalog_works_as_it_stands(title: str) -> None:
    assert all(load_catalog(text, {}).operations for text in EXAMPLES[title])
    assert EXAMPLES[title], "a section explains keys, so it shows them"


TABLES = {
    "CatalogFile": "the file",
    "ApiEntry": "an API",
    "Entry": "an endpoint",
    "Auth": "auth",
    "OAuth2": "oauth2",
    "Parameter": "a parameter",
    "Lookup": "a lookup",
    "Pagination": "a pagination",
    "Limits": "limits",
    "ApprovalRule": "a rule",
    "Preview": "a preview",
    "RecipeEntry": "a recipe",
    "StepEntry": "a step",
    "Prompt": "a prompt",
    "ChannelEntry": "a channel",
}
TABLES |= {
    "BearerCommand": "bearer_command",
    "ClientCredentials": "client_credentials",
    "Actor": "actor",
    "Exchange": "exchange",
    "Tls": "tls",
}
FURTHER = {"Exchange": "ClientCredentials"}  # whose table has those keys that it adds
IN_A_ROW = {"Basic": ("auth", "basic"), "HeaderKey": ("auth", "header"), "QueryKey": ("auth", "query"),
            "RequestBody": ("a step", "requestBody")}  # fmt: skip


BASES = (BaseModel, Strict, OAuthClient)


def models() -> dict[str, type[BaseModel]]:
    """The models of the file, by name."""
    found = {
        name: one
        for name, one in (
            pair
            for module in (approval_entry, auth, entries, pagination_entry, parameter_entry)
            for pair in vars(module).items()
        )
        if isinstance(one, type) and not name.startswith("_")
    }
    return {name: one for name, one in found.items() if issubclass(one, BaseModel) and one not in BASES}


def keys_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def rows(thing: str) -> dict[str, str]:
    """The rows of a table of keys: key -> meaning."""
    (table,) = re.findall(rf"^\| key of {thing} \| meaning \|\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    lines = [line.strip("|").split("|", 1) for line in table.splitlines()]
    return {key: meaning for keys, meaning in lines for key in re.findall(r"`(\w+)`", keys)}


def test_every_model_of_the_file_has_its_place_on_the_page() -> None:
    assert set(models()) == set(TABLES) | set(IN_A_ROW)


@each_row("name", TABLES)
def test_every_key_is_in_its_table_and_nothing_else(name: str) -> None:
    told_before = keys_of(models()[FURTHER[name]]) if name in FURTHER else set()
    assert set(rows(TABLES[name])) == keys_of(models()[name]) - told_before


@pytest.mark.parametrize("name", IN_A_ROW)
def test_the_keys_below_a_key_are_in_its_row(name: str) -> None:
    thing, key = IN_A_ROW[name]
    assert keys_of(models()[name]) <= set(re.findall(r"`(\w+)`", rows(thing)[key]))


@each_row("name", [*TABLES, *IN_A_ROW])
def test_every_key_is_shown_in_an_example(name: str) -> None:
    shown = "\n".join(text for texts in EXAMPLES.values() for text in texts)
    in_short = {"Preview": {"operation"}}.get(name, set())  # `preview: GET /path` says it without its name
    assert [key for key in keys_of(models()[name]) - in_short if not re.search(rf"\b{key}:", shown)] == []


def test_every_method_is_told() -> None:
    assert re.findall(r"[A-Z]+", rows("an endpoint")["method"]) == list(METHODS)


def test_links_to_sections_lead_to_one() -> None:
    anchors = {title.lower().replace(" ", "-").replace(",", "") for title in SECTIONS}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors


# --- and true ---------------------------------------------------------------------------------------------------------


def test_an_entry_that_is_switched_off_cannot_be_called() -> None:
    for title in ("Several APIs", "Words for the model"):
        catalog = catalog_of(title)
        assert "enabled: false" in example(title)
        assert "DELETE" not in {one.method for one in catalog.operations}
        with pytest.raises(BadCall):
            called(catalog, "DELETE", f"{catalog.apis[-1].base_url}/devices/7")


def test_the_model_gets_the_instructions_and_the_descriptions(parts: Any) -> None:
    bot, _ = parts("Words for the model")
    bot.ask("which tickets are open?")
    system = bot.replies.asked[0][0]["content"]
    assert '"Ticket" and "case" mean the same.' in system
    assert "newest first" in system
    assert "for good" not in system


def test_what_people_say_is_found_by_the_words_of_the_page() -> None:
    index = index_of(catalog_of("Words for the model"))
    assert index.rank("Gibt es eine Anfrage?").entries[0].description.startswith("Lists tickets")
    assert index.rank("who is on duty?").entries[0].description.startswith("Lists all agents")


def test_variables_come_from_the_environment_or_have_a_default() -> None:
    title = "Variables and credentials"
    assert catalog_of(title).apis[0].base_url == "https://billing.example.com/v2"
    assert catalog_of(title, BILLING_URL="http://elsewhere").apis[0].base_url == "http://elsewhere"
    with pytest.raises(BadCatalog, match="PAYROLL_PASSWORD is not set"):
        load_catalog(example(title).replace("${PAYROLL_PASSWORD:-only-for-this-example}", "${PAYROLL_PASSWORD}"), {})


def test_each_way_of_auth_brings_its_credential_and_the_model_does_not_see_it(tmp_path: Path) -> None:
    text = example("Variables and credentials").replace("only-for-this-example", "s3cret-key")
    with RestServer() as server:
        server.always(reply('{"you sent": "s3cret-key"}'))
        hosts = iter(range(9))
        text = re.sub(r"https://\w+\.example\.com(/v2)?", lambda _: f"{server.url}/{next(hosts)}", text)
        bot = BotParts(tmp_path, text, timeout=60)
        paths = ("/0/invoices/7", "/1/runs", "/2/pages", "/3/today")
        told = [json.dumps(bot.read(server.url + path)) for path in paths]
        bot.close()
    bearer, basic, header, query = server.requests
    assert (bearer.headers["authorization"], bearer.headers["x-tenant"]) == ("Bearer s3cret-key", "acme-corporation")
    assert basic.headers["authorization"] == "Basic Ym90LXVzZXI6czNjcmV0LWtleQ=="
    assert header.headers["x-api-key"] == "s3cret-key"
    assert query.target == "/3/today?api_key=s3cret-key"
    assert all("[hidden]" in one and "s3cret" not in one for one in told)


def test_parameters_are_held_to_what_they_say() -> None:
    catalog = catalog_of("Parameters")
    found = called(catalog, "GET", "/people?team=sales&ids=1,2,3&tags=a%7Cb", **{"x-region": "eu"})
    assert found.url == "https://staff.example.com/people?team=sales&ids=1,2,3&tags=a%7Cb"
    assert found.headers == {"X-Region": "eu"}
    for url, header, says in [
        ("/people?page=1", {}, "team"),
        ("/people?team=kitchen", {}, "team: "),
        ("/people?team=sales&page=0", {}, "page: "),
        ("/people?team=sales&ids=1,b", {}, "ids: "),
        ("/people?team=sales&sort=name", {}, "sort"),
        ("/people?team=sales", {"X-Region": "us-east"}, "X-Region: "),
        ("/people?team=sales", {"X-Other": "eu"}, "no header 'X-Other'"),
    ]:
        with pytest.raises(BadCall, match=says):
            called(catalog, "GET", url, **header)


def test_a_secret_parameter_is_sent_and_hidden() -> None:
    found = called(catalog_of("Parameters"), "PUT", "/people/7/pin?pin=123456")
    assert found.url.endswith("?pin=123456")
    assert found.shown_url.endswith("?pin=hidden")


LISTS = re.findall(r"^\| `(.*?)` \| `\?(ids=.*?)` \|$", SECTIONS["Parameters"], re.MULTILINE)


@pytest.mark.parametrize(("keys", "sent"), LISTS)
def test_a_list_in_the_query_is_written_as_the_table_says(keys: str, sent: str) -> None:
    kind = "" if "type:" in keys else "type: array, "
    catalog = load_catalog(
        "base_url: http://h\nendpoints: [{method: GET, url: '/x?ids=[ids]', description: d, "
        f"parameters: {{ids: {{{kind}{keys}}}}}}}]",
        {},
    )
    assert catalog.operations[0].filled({"ids": ("1", "2")}) == f"/x?{sent}"


def test_the_table_of_lists_has_its_four_rows() -> None:
    assert len(LISTS) == 4


PEOPLE = [
    {"id": 7, "email": "ann@x.io", "first_name": "Ann", "last_name": "Lee"},
    {"id": 8, "email": "ann.b@x.io", "first_name": "Ann", "last_name": "Berg"},
]


@each_row(
    "name, ids",
    [("ann lee", ["7"]), ("ANN.B@X.IO", ["8"]), ("Ann", ["7", "8"]), ("Ann L", []), ("8", ["8"])],
)
def test_a_name_is_looked_up_as_the_page_says(name: str, ids: list[str]) -> None:
    remove = operation(catalog_of("Names instead of ids"), "DELETE /people/[id]")
    assert [one.id for one in candidates(remove.lookups["id"], PEOPLE, name)] == ids


def test_a_name_is_not_sent_before_it_was_looked_up() -> None:
    assert called(catalog_of("Names instead of ids"), "DELETE", "/people/Ann%20Lee").unresolved == {"id"}


def test_a_body_is_held_to_its_schema_and_its_secret_hidden() -> None:
    catalog = catalog_of("Bodies")
    found = called(catalog, "POST", "/people", {"name": "Zoe", "first_password": "hunter2"})
    assert json.loads(found.body or "") == {"name": "Zoe", "first_password": "hunter2"}
    (told,) = re.findall(r'"(\d+ characters, hidden by the catalog)"', SECTIONS["Bodies"])
    assert json.loads(found.shown_body or "") == {"name": "Zoe", "first_password": told}
    for body in ({}, {"name": ""}, {"name": "Zoe", "admin": True}, None):
        with pytest.raises(BadCall):
            called(catalog, "POST", "/people", body)


def test_bodies_travel_as_the_table_says() -> None:
    catalog, section = catalog_of("Bodies"), SECTIONS["Bodies"]
    (text,) = re.findall(r"how `(\{.*\})` travels", section)
    (form,) = re.findall(r"\| `form` \| `(.*?)`", section)
    sent = {kind: encoded(kind, text, None) for kind in ("json", "form", "multipart")}
    assert sent["json"] == ("application/json", text)
    assert (sent["form"][0], unquote(sent["form"][1])) == ("application/x-www-form-urlencoded", form)
    assert re.findall(r'name="(\w+)"', sent["multipart"][1]) == ["amount", "metadata", "items", "items"]
    assert operation(catalog, "POST /charges").body_type == "form"
    documents = operation(catalog, "POST /documents")
    kind, content = encoded(documents.body_type, '{"title": "T", "file": "a,b"}', documents.body)
    assert kind.startswith("multipart/form-data; boundary=")
    assert 'name="file"; filename="file"\r\nContent-Type: text/csv\r\n\r\na,b\r\n' in content


@each_row(
    "kind, content, data",
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("text/csv", b"region,amount\neu,0050\n", [{"region": "eu", "amount": "0050"}]),
        ("text/tab-separated-values", b"a\tb\n1\t2\n", [{"a": "1", "b": "2"}]),
        ("application/x-ndjson", b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("text/html", b"<p>Down for <b>repairs</b></p><script>x()</script>", "Down for repairs"),
        ("text/plain", b"hello", "hello"),
    ],
)
def test_an_answer_is_read_by_its_media_type(kind: str, content: bytes, data: Any) -> None:
    assert data_of(Answer(200, kind, content))[0] == data


def test_of_what_is_no_text_the_model_gets_type_and_size() -> None:
    assert data_of(Answer(200, "image/png", b"\x89PNG\xff")) == (None, ["The answer is 5 bytes of image/png, no text."])


def test_a_table_reaches_the_model_as_a_list(parts: Any) -> None:
    bot, server = parts("Answers")
    server.will(reply("date,amount\n2026-01-01,5\n", kind="text/csv"))
    assert bot.read("/sales.csv?year=2026")["data"] == [{"date": "2026-01-01", "amount": "5"}]


LINK = {"link": '<https://lists.example.com/issues?page=2>; rel="next"'}
NEXT = "https://lists.example.com/devices?$skiptoken=b"
# operation -> first request's values, pages as (answer, headers), and what each asks for; the last one ends the list
COURSES: dict[str, tuple[dict[str, str], list[tuple[Any, dict[str, str]]], list[NextPage]]] = {
    "GET /users": (
        {"page": "1", "per_page": "100"},
        [({"data": [1, 2], "total_pages": 2}, {}), ({"data": [3], "total_pages": 2}, {})],
        [NextPage({"page": "2"})],
    ),
    "GET /orders": (
        {"skip": "0"},
        [({"orders": [1, 2], "count": 3}, {}), ({"orders": [3], "count": 3}, {})],
        [NextPage({"skip": "2"})],
    ),
    "GET /charges": (
        {},
        [({"data": [{"id": "c1"}, {"id": "c2"}], "has_more": True}, {}), ({"data": [{"id": "c3"}], "has_more": False}, {})],
        [NextPage({"after": "c2"})],
    ),
    "GET /issues": ({}, [([1, 2], LINK), ([3], {})], [NextPage(url="https://lists.example.com/issues?page=2")]),
    "GET /devices": ({}, [({"value": [1], "@odata.nextLink": NEXT}, {}), ({"value": [2]}, {})], [NextPage(url=NEXT)]),
    "GET /events": ({}, [([1], {"x-next-token": "t2"}), ([2], {})], [NextPage({"token": "t2"})]),
}  # fmt: skip


@each_row("name", COURSES)
def test_each_style_of_paging_finds_its_next_page(name: str) -> None:
    listed = operation(catalog_of("Pagination"), name)
    first, pages, asks = COURSES[name]
    course, values = begin(listed, {})
    assert dict(values) == first
    found, items = [], []
    for data, headers in pages:
        course, of_page, what = follow(course, Page(items_of(listed.pagination, data) or [], data, headers))
        items += of_page
        found.append(what)
    assert found == [*asks, End()]
    assert len(items) == sum(len(items_of(listed.pagination, data) or []) for data, _ in pages)


def test_the_example_has_all_styles_and_one_for_a_whole_api() -> None:
    catalog = catalog_of("Pagination")
    styles = {one.pagination.style for one in catalog.operations if one.pagination is not None}
    (told,) = re.findall(r"^\| `style` \| (.*), as above \|$", SECTIONS["Pagination"], re.MULTILINE)
    assert styles == set(re.findall(r"`(\w+)`", told))
    assert len(styles) == 6
    crm = {one.name: one.pagination for one in catalog.operations if one.api.name == "One style for all"}
    assert [name for name, paging in crm.items() if paging is None] == ["GET /contacts/[id]"]


def test_the_bounds_of_a_list_are_those_that_the_page_names() -> None:
    page = operation(catalog_of("Pagination"), "GET /users").pagination
    events = operation(catalog_of("Pagination"), "GET /events").pagination
    assert page is not None
    assert events is not None
    assert f"({page.max_pages} and {page.max_items})" in rows("a pagination")["max_items"]
    assert (events.max_pages, events.max_items) == (20, 1000)


def test_limits_are_those_of_the_api() -> None:
    limits = catalog_of("Limits").apis[0].limits
    assert (limits.at_once, limits.per_second) == (2, 0.5)


def judged(catalog: Catalog, method: str, url: str, body: object = None) -> Read | Write:
    return sort(called(catalog, method, url, body), tainted=True)


def test_the_rules_of_the_approval_example_hold() -> None:
    catalog = catalog_of("Approval")
    small = judged(catalog, "POST", "/refunds", {"amount": 50})
    large = judged(catalog, "POST", "/refunds", {"amount": 5_000})
    cancel = judged(catalog, "DELETE", "/refunds/7")
    search = judged(catalog, "POST", "/searches", {})
    assert isinstance(judged(catalog, "GET", "/refunds/7"), Read)
    assert isinstance(small, Write)
    assert isinstance(large, Write)
    assert (small.rule.approvers, small.rule.expires) == (("asker",), 1800)
    assert (large.rule.approvers, large.rule.quorum, large.rule.not_asker) == (("@finance-leads",), 2, True)
    assert isinstance(cancel, Write)
    assert (cancel.rule.batch, cancel.rule.approvers) == (True, ("anyone-in-channel",))
    assert isinstance(search, Write)
    assert search.by_policy
    assert {one.expires for one in catalog.operations} == {7200}


CONDITIONS = re.findall(
    r"^\| `(POST|PATCH) (.*?)` \| (nobody|the asker|`@finance-leads`)", SECTIONS["Conditions"], re.MULTILINE
)


@each_row("method, body, who", CONDITIONS)
def test_each_call_of_the_table_asks_whom_it_says(method: str, body: str, who: str) -> None:
    call = called(catalog_of("Conditions"), method, "/payouts" + ("/7" if method == "PATCH" else ""), body)
    made = sort(call, tainted=False)
    assert isinstance(made, Write)
    asked = "nobody" if made.by_policy else "the asker" if made.rule == Rule() else f"`{made.rule.approvers[0]}`"
    assert asked == who


def test_the_table_has_every_row_of_its_own() -> None:
    assert len(CONDITIONS) == SECTIONS["Conditions"].count("\n| `P")
    assert len(CONDITIONS) >= 12


def test_the_previews_of_the_example_are_read() -> None:
    catalog = catalog_of("Preview")
    shown = {one.method: showing(catalog, one) for one in catalog.operations if one.method != "GET"}
    assert {method: one and one.read.name for method, one in shown.items()} == {
        "PATCH": "GET /devices/[id]",
        "DELETE": "GET /devices/[id]/summary",
        "PUT": None,
        "POST": "GET /devices/[id]",
    }


def test_the_example_names_a_device_by_its_title_and_compares_what_it_says(parts: Any) -> None:
    bot, server = parts("Preview")
    server.will(
        *(reply(json.dumps({"id": 7, "room": "Hall", "model": "Lamp", "state": "on", "status": n})) for n in (1, 2))
    )
    row, _ = bot.write("POST", "/devices/7/restart")
    assert "About: Hall Lamp, id 7, status 1" in json.dumps(bot.cards(row.thread)[0].arguments)
    assert row.state is State.DONE
    assert [target for _, target in server.calls] == ["/devices/7", "/devices/7", "/devices/7/restart"]


def test_a_field_that_may_change_does_not_outdate_a_card(parts: Any) -> None:
    bot, server = parts("Preview")
    server.will(*(reply(json.dumps({"name": "Lamp", "updated_at": n})) for n in (1, 2)), reply("{}"))
    row, _ = bot.write("PATCH", "/devices/7", {"name": "Lantern"})
    assert row.state is State.DONE
    assert [method for method, _ in server.calls] == ["GET", "GET", "PATCH"]


def test_the_recipe_of_the_example_adds_by_name_with_one_card(parts: Any) -> None:
    bot, server = parts("Recipes")
    server.will(reply('{"data": [{"id": 7}]}'), reply('[{"id": 3}]'), reply("{}", 201))
    bot.replies.will(calls(("RUN", "add-to-team", {"email": "a@x.io", "team": "Red"})))
    thread = bot.ask()
    (proposal,) = bot.pending()
    bot.press(proposal)
    bot.advance(thread)
    made = [("GET", "/people?email=a%40x.io"), ("GET", "/teams?name=Red"), ("POST", "/teams/3/members")]
    assert [one for one in server.calls if one != ("GET", "/teams")] == made  # that one is for the team's name
    assert json.loads(server.requests[-1].body) == {"user_id": 7, "role": "member"}


def test_the_recipe_without_a_write_gives_its_outputs(parts: Any) -> None:
    bot, server = parts("Recipes")
    server.will(reply('{"data": [{"id": 7}]}'))
    bot.replies.will(calls(("RUN", "find-person", {"email": "a@x.io"})))
    bot.ask()
    (result,) = tool_results(bot.replies.asked[-1])
    assert result["data"] == {"id": 7, "told": "a@x.io is 7"}


def test_the_suggestions_are_the_prompts() -> None:
    shown = suggestions(catalog_of("Prompts"))
    assert [one["title"] for one in shown] == ["Who joined in March?", "Birthdays"]
    assert shown[0]["message"] == "Who joined in March?"


def test_a_channel_narrows_what_may_be_called_and_adds_its_rule() -> None:
    catalog = catalog_of("Channels")
    named, by_id = (catalog.narrowed(catalog.channels[one]) for one in ("#hr-bot", "C024BE7LH"))
    assert [one.name for one in by_id.operations] == ["GET /people", "POST /people"]
    assert len(named.operations) == 3
    remove = judged(named, "DELETE", "/people/7")
    assert isinstance(remove, Write)
    assert remove.rule.approvers == ("@hr-leads",)


def test_the_mistakes_on_the_page_are_told_so() -> None:
    text = """name: HR
base_url: http://h
endpoints:
  - {method: GET, url: /people, description: Lists people.}
  - method: POST
    url: /people?boss=[boss]
    description: Adds a person.
    parameters: {boss: {lookup: {operation: GET /peple, match: [name], id: id}}}
recipes:
  - workflowId: hire
    description: Hires somebody.
    steps:
      - stepId: add
        operation: POST /people
      - stepId: look
        operation: GET /people
"""
    with pytest.raises(BadCatalog) as caught:
        load_catalog(text, {})
    told = re.findall(r"^    (apis\.yaml, .*)$", SECTIONS["Check, reload, edit"], re.MULTILINE)
    assert str(caught.value).splitlines() == told
