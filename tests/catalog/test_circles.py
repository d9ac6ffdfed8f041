"""Who may ask, by the catalog: names that are understood, mistakes that are told, and what is left for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.askers import ALL, Circle
from catalog.bad_call import BadCall
from catalog.calls import resolve
from catalog.catalog import BadCatalog, Catalog, load_catalog
from model.prompt.prompt import find, suggestions, system_prompt
from model.prompt.search import index_of
from tests.harness.cases import each_row

Json = dict[str, Any]
LEADS = frozenset({"@leads"})
HR: Json = {
    "name": "HR",
    "base_url": "https://hr.example.com",
    "endpoints": [
        {"method": "GET", "url": "/people", "description": "Lists people."},
        {"method": "GET", "url": "/people/[id]", "description": "Shows somebody."},
        {"method": "PUT", "url": "/people/me", "description": "Changes oneself."},
        {"method": "PUT", "url": "/people/[id]", "description": "Changes somebody.", "askers": "@leads",
         "approval": {"approvers": ["@chiefs"]}},
        {"method": "GET", "url": "/people/salaries", "description": "Lists what people earn.", "askers": "@leads"},
        {"method": "GET", "url": "/people/[id]/photo", "description": "Shows a photo.", "askers": ["U0ANN"]},
    ],
    "recipes": [
        {"workflowId": "all", "description": "Lists.", "steps": [{"stepId": "a", "operation": "GET /people"}]},
        {"workflowId": "pay", "description": "Pays.", "steps": [{"stepId": "a", "operation": "GET /people/salaries"}]},
    ],
}  # fmt: skip
PAYROLL: Json = {
    "name": "Payroll",
    "base_url": "https://pay.example.com",
    "instructions": "The vault is in the cellar.",
    "askers": ["@leads"],
    "endpoints": [
        {"method": "GET", "url": "/runs", "description": "Lists runs."},
        {"method": "GET", "url": "/holidays", "description": "Lists holidays.", "askers": "U0ANN"},
    ],
}


def load(*apis: Json, **top: Any) -> Catalog:
    return load_catalog(json.dumps({"apis": list(apis), **top}), {})


def one(**endpoint: Any) -> Json:
    entry = {"method": "GET", "url": "/people", "description": "Lists."} | endpoint
    return {"base_url": "https://hr.example.com", "endpoints": [entry]}


def wrong(**endpoint: Any) -> str:
    with pytest.raises(BadCatalog) as told:
        load(one(**endpoint))
    return str(told.value)


def names(catalog: Catalog) -> list[str]:
    return [each.name for each in catalog.operations]


# --- the key ----------------------------------------------------------------------------------------------------------


@each_row(
    "said, circle",
    [
        ("U024BE7LH", {"U024BE7LH"}),
        (["@hr-leads", "S0614TZR7"], {"@hr-leads", "S0614TZR7"}),
        ("example.com", {"example.com"}),
        ("Mail.Example-Corp.co.UK", {"mail.example-corp.co.uk"}),
        (["B061EG9T2", "A061EG9T2", "W012A3CDE"], {"B061EG9T2", "A061EG9T2", "W012A3CDE"}),
        (["everybody", "B061EG9T2"], {"everybody", "B061EG9T2"}),
    ],
)
def test_names_that_are_understood(said: object, circle: set[str]) -> None:
    assert load(one(askers=said)).operations[0].askers == circle


@each_row(
    "said", ["hr-leads", "hr leads", "ann@example.com", "@Example", "*.example.com", "example.", ".com", "-a.com", "U1",
             "C024BE7LH", "everyone", "anyone-in-channel", "asker", "U024BE7LH ", "u024be7lh", "", "a..b"],
)  # fmt: skip
def test_what_names_nobody_is_told_with_what_to_write(said: str) -> None:
    assert (
        f"'{said}' names nobody: write a user id (U024BE7LH), a group (@hr-leads or S0614TZR7), an e-mail "
        "domain (example.com), an app or workflow (B061EG9T2 or A061EG9T2), or everybody"
        in (told := wrong(askers=said))
    )
    assert len(told.splitlines()) == 1


def test_an_empty_list_is_no_way_to_say_nobody() -> None:
    assert "askers: it is empty; name those who may ask, or leave it out" in wrong(askers=[])


def test_left_out_it_is_everybody_and_an_endpoints_own_replace_its_apis() -> None:
    catalog = load(HR, PAYROLL)
    circles = {each.name: each.askers for each in catalog.operations}
    assert circles["GET /people"] == ALL
    assert (circles["GET /runs"], circles["GET /holidays"]) == (LEADS, frozenset({"U0ANN"}))
    assert catalog.askers == {"@leads", "U0ANN"}
    assert catalog.is_limited
    assert not load(one()).is_limited
    assert not load(one(askers=["everybody", "B061EG9T2"])).is_limited


APP = "the app B061EG9T2 may ask for {name}, but an app cannot approve"


@each_row(
    "approval",
    [
        {"approvers": ["asker"]},
        {"approvers": ["anyone-in-channel"]},
        {"approvers": ["asker", "U024BE7LH"], "quorum": 2},
        [{"approvers": ["@leads"]}, {"when": {"required": ["a"]}, "approvers": ["asker"]}],
        "always",
    ],
)
@each_row("method", ["POST", "DELETE", "GET"])
def test_a_rule_for_an_app_has_to_name_people(method: str, approval: object) -> None:
    told = wrong(method=method, askers=["everybody", "B061EG9T2"], approval=approval)
    assert APP.format(name=f"{method} /people") in told
    assert 'approvers: ["@hr-leads"]' in told


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_an_app_asks_for_never_leaves_without_a_rule(method: str) -> None:
    assert "add a rule without 'when' that names people" in wrong(method=method, askers="B061EG9T2")
    only_some = {"when": {"required": ["a"]}, "approvers": ["@leads"]}
    assert "add a rule without 'when' that names people" in wrong(method=method, askers="A061EG9T2", approval=only_some)


def test_an_apps_post_is_never_without_people() -> None:
    assert APP.format(name="POST /people") in wrong(method="POST", askers="B061EG9T2", approval="never")


@each_row(
    "endpoint",
    [
        {"askers": "B061EG9T2"},
        {"method": "DELETE", "askers": "B061EG9T2", "approval": {"approvers": ["@leads"]}},
        {"method": "DELETE", "askers": "B061EG9T2", "approval": {"approvers": ["asker", "U024BE7LH", "W024BE7LH"], "quorum": 2}},
        {"method": "DELETE", "askers": "B061EG9T2", "approval": {"approvers": ["@leads"], "not_asker": True, "quorum": 3}},
        {"method": "DELETE", "askers": "@leads"},
        {"method": "DELETE", "askers": "B061EG9T2", "enabled": False},
    ],
)  # fmt: skip
def test_what_an_app_may_be_let_ask_for(endpoint: Json) -> None:
    rest = {"method": "GET", "url": "/rest", "description": "Rests."}
    entry = one(**endpoint)
    load(entry | {"endpoints": [*entry["endpoints"], rest]})


def test_the_apis_rule_counts_where_an_endpoint_has_none() -> None:
    entry = one(method="POST", askers="B061EG9T2")
    load(entry | {"approval": {"approvers": ["@leads"]}})
    with pytest.raises(BadCatalog, match="an app cannot approve"):
        load(entry | {"approval": {"approvers": ["asker"]}})


# --- what is left -----------------------------------------------------------------------------------------------------


def test_who_is_in_every_circle_has_the_catalog_itself() -> None:
    catalog = load(HR, PAYROLL)
    assert catalog.open_to(catalog.circles) is catalog
    assert catalog.open_to(catalog.circles | {frozenset({"U0ELSE"})}) is catalog
    plain = load(one())
    assert plain.of_everybody is plain


def test_the_same_circles_are_the_same_part_with_the_same_prompt_and_index() -> None:
    catalog = load(HR, PAYROLL)
    parts = [catalog.open_to(frozenset({ALL, LEADS, frozenset({name})})) for name in ("U0BEN", "U0CY")]
    assert parts[0] is parts[1]
    assert index_of(parts[0]) is index_of(parts[1])


def test_nothing_of_what_is_not_theirs_is_left() -> None:
    prompts = ["Who is new?", {"title": "Pay", "message": "Who earns most?", "askers": ["@leads"]}]
    part = load(HR, PAYROLL, prompts=prompts).of_everybody
    assert names(part) == ["GET /people", "GET /people/[id]", "PUT /people/me"]
    assert [each.workflow_id for each in part.recipes] == ["all"]
    assert [each.name for each in part.apis] == ["HR"]
    assert [each["title"] for each in suggestions(part)] == ["Who is new?"]
    told = system_prompt(part, "", about="", last=False) + find(part, {"query": "list what people earn, runs, photo"})
    for hidden in ("salaries", "earn", "photo", "Payroll", "pay.example.com", "/runs", "cellar", "pay:", "RUN pay"):
        assert hidden not in told
    assert "salaries" in system_prompt(load(HR, PAYROLL), "", about="", last=False)


def test_a_channel_takes_from_a_part() -> None:
    catalog = load(HR, PAYROLL, channels={"C0HR": {"operations": ["GET /people", "GET /runs"], "instructions": "Hi."}})
    (channel,) = catalog.channels.values()
    assert names(catalog.of_everybody.narrowed(channel)) == ["GET /people"]
    assert names(catalog.narrowed(channel)) == ["GET /people", "GET /runs"]
    assert catalog.of_everybody.narrowed(channel) is catalog.of_everybody.narrowed(channel)
    assert catalog.of_everybody.narrowed(channel).beyond is catalog.of_everybody


# --- calls ------------------------------------------------------------------------------------------------------------


def refusal(catalog: Catalog, method: str, url: str) -> str:
    with pytest.raises(BadCall) as told:
        resolve(catalog, {"method": method, "url": url})
    return str(told.value)


@each_row(
    "method, url, unknown",
    [
        ("GET", "/people/7/photo", "/people/7/phone"),
        ("GET", "https://pay.example.com/runs", "https://nowhere.example.com/runs"),
        ("GET", "https://hr.example.com/people/7/photo", "https://hr.example.com/people/7/phone"),
        ("PUT", "/people/7", "/people/7/8"),
        ("GET", "/runs", "/nuns"),
    ],
)
def test_a_call_of_what_is_not_theirs_gets_the_words_of_an_unknown_one(method: str, url: str, unknown: str) -> None:
    """Also those that a catalog gives which never had it."""
    here = {"method": "PUT", "url": "/people/me", "description": "Changes oneself."}
    without = load(HR | {"endpoints": [*HR["endpoints"][:2], here], "recipes": []})
    part = load(HR, PAYROLL).of_everybody
    assert refusal(part, method, url) == refusal(without, method, url)
    assert refusal(part, method, url) == refusal(part, method, unknown).replace(
        unknown.removeprefix("https://hr.example.com"), url.removeprefix("https://hr.example.com")
    )


@each_row(
    "url",
    ["/people/salaries", "/people/%73alaries", "/people/Salaries", "/people/SALARIES", "/people/%2573alaries", "/people/salaries.json",
     "/people/salaries;v=1", "/people/salaries.", "/people/salaries%20", "/people/Salaries.XML", "/people/\uff53alaries",
     "/people/salaries%C2%A0", "/people/%20salaries", "/people/salaries%3Fa=b", "/people/salaries%23", "/people/salaries%253Fa=b",
     "/people/salaries.rss", "/people/salaries.7", "/people/%25252573alaries",
     "https://hr.example.com/people/salaries", "HTTPS://HR.example.com/people/salaries"],
)  # fmt: skip
def test_a_path_that_another_template_covers_is_not_reached_by_it(url: str) -> None:
    part = load(HR, PAYROLL).of_everybody
    assert refusal(part, "GET", url).startswith("The catalog has no operation GET /people/")
    assert resolve(load(HR), {"method": "GET", "url": "/people/salaries"}).operation.url == "/people/salaries"
    for other in ("/people/7", "/people/ann.lee", "/people/ann%3F", "/people/lee.salaries"):
        assert resolve(part, {"method": "GET", "url": other}).operation.url == "/people/[id]"


def test_a_path_with_slashes_in_a_value_does_not_reach_it_either() -> None:
    files = {"method": "GET", "url": "/files/[path]", "description": "Shows.", "parameters": {"path": {"slash": True}}}
    secret = {"method": "GET", "url": "/files/secret/[id]", "description": "Shows.", "askers": "@leads"}
    part = load(HR | {"endpoints": [files, secret], "recipes": []}).of_everybody
    for url in ("/files/secret%2F7", "/files/secret%2F%2F7", "/files/secret.json%2F7"):
        assert "has no operation" in refusal(part, "GET", url)
    assert resolve(part, {"method": "GET", "url": "/files/open%2F7"}).values == {"path": "open/7"}


def test_what_is_spelled_out_for_everybody_stays_and_asks_as_strictly_as_before() -> None:
    """`PUT /people/me` is open; that some server might take it for `/people/[id]` has that one's rule hold, too."""
    whole, part = load(HR), load(HR).of_everybody
    for catalog in (whole, part):
        call = resolve(catalog, {"method": "PUT", "url": "/people/me", "body": "{}"})
        assert call.operation.url == "/people/me"
        assert [each.url for each in call.others] == ["/people/[id]"]


def test_the_same_path_with_another_query_is_another_operation() -> None:
    full = {"method": "GET", "url": "/people?fields=[fields]", "description": "Lists all.", "askers": "@leads"}
    part = load(HR | {"endpoints": [*HR["endpoints"][:1], full], "recipes": []}).of_everybody
    assert resolve(part, {"method": "GET", "url": "/people"}).operation.url == "/people"
    assert "no query parameter 'fields'" in refusal(part, "GET", "/people?fields=all")


@pytest.mark.parametrize("query", ["kind=pay", "kind=PAY", "page=2&kind=pay", "kind=%70ay"])
def test_what_an_entry_spells_out_in_its_query_is_not_reached_by_a_placeholder(query: str) -> None:
    lists = {"method": "GET", "url": "/lists?kind=[kind]&page=[page]", "description": "Lists."}
    pay = {"method": "GET", "url": "/lists?kind=pay&page=[page]", "description": "Lists pay.", "askers": "@leads"}
    part = load(HR | {"endpoints": [lists, pay], "recipes": []}).of_everybody
    assert "has no operation GET /lists" in refusal(part, "GET", f"/lists?{query}")
    assert resolve(part, {"method": "GET", "url": "/lists?kind=people"}).values == {"kind": "people"}
    assert resolve(part, {"method": "GET", "url": "/lists"}).operation.url == lists["url"]


@pytest.mark.parametrize("base_url", ["https://hr.example.com", "https://hr.example.com/people"])
def test_an_api_at_the_same_address_is_no_way_round(base_url: str) -> None:
    path = "/people/salaries" if base_url.endswith("com") else "/salaries"
    entry = {"method": "GET", "url": path, "description": "Lists.", "askers": "@leads"}
    other = {"name": "Other", "base_url": base_url, "endpoints": [entry]}
    part = load(HR | {"endpoints": HR["endpoints"][:2], "recipes": []}, other).of_everybody
    assert "has no operation" in refusal(part, "GET", "/people/salaries")


def test_what_a_channel_leaves_out_is_not_reached_by_another_template_either() -> None:
    catalog = load(HR, channels={"C0HR": {"operations": ["GET /people/[id]"]}})
    here = catalog.narrowed(catalog.channels["C0HR"])
    assert "has no operation" in refusal(here, "GET", "/people/salaries")


def test_with_nothing_left_every_call_is_unknown() -> None:
    nothing = load(PAYROLL).of_everybody
    assert names(nothing) == []
    for url in ("/runs", "https://pay.example.com/runs", "runs"):
        assert "runs" not in refusal(nothing, "GET", url).replace(url, "").replace(url.lstrip("/"), "")


def test_an_app_has_what_names_it_and_not_what_is_for_all_people() -> None:
    circle: Circle = frozenset({"B061EG9T2"})
    catalog = load(
        one(), one(url="/holidays", askers="B061EG9T2") | {"name": "Other", "base_url": "https://o.example.com"}
    )
    assert catalog.apps == {"B061EG9T2"}
    assert names(catalog.open_to(frozenset({circle}))) == ["GET /holidays"]
