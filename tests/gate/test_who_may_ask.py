"""Who may ask, by Slack: groups, domains and apps, what cannot be looked up, and what becomes of a request whose asker lost the right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.askers import app_asker
from base.slack_errors import SlackBusy, SlackUnsure
from base.thread import Thread
from catalog.bad_call import BadCall
from catalog.catalog import Catalog, load_catalog
from gate.authority import Authority, PeopleDirectory
from gate.policy import State, Write
from model.prompt.prompt import system_prompt
from tests.harness.bot_parts import ANN, BEN, BotParts, SilentDirectory, calls, says, tool_results
from tests.harness.cases import case
from tests.harness.rest_server import RestServer, reply, to

Json = dict[str, Any]
HERE = "T0LOCAL/C0HR/1.0"
CATALOG = """
name: HR
base_url: {base}
endpoints:
  - {{method: GET, url: "/users/[id]", description: Shows., askers: "@staff"}}
  - {{method: GET, url: /users, description: Lists.}}
  - {{method: DELETE, url: "/users/[id]", description: Removes., askers: ["@leads", "@chiefs"]}}
  - {{method: PATCH, url: "/users/[id]", description: Changes., askers: ["@leads"], preview: GET /pay,
      approval: {{approvers: [U0BEN], shared: true}}}}
  - {{method: GET, url: /pay, description: Tells pay., askers: ["@chiefs", "example.com"]}}
  - {{method: POST, url: /notes, description: Notes., approval: never}}
  - {{method: POST, url: /hires, description: Hires., askers: ["@leads", B0FLOW], approval: {{approvers: [U0BEN]}}}}
  - {{method: PUT, url: "/teams/[team]", description: Names a team., preview: false,
      parameters: {{team: {{type: integer, lookup: {{operation: GET /pay, match: [name], id: id}}}}}}}}
"""


class People:
    """A directory with members by group, and domains; what is in `away` raises or is not said."""

    def __init__(self, **groups: str) -> None:
        self.groups = {name: set(members.split()) for name, members in groups.items()}
        self.domains: dict[str, str | None] = {}
        self.outsiders: dict[str, bool | None] = {}
        self.away: dict[str, Exception | None] = {}
        self.looked_up: list[tuple[str, float, int]] = []

    def group_id(self, handle: str, *, insists: bool = False) -> str | None:
        return f"S0{handle.upper()}"

    def in_group(self, group: str, user: str, *, kept: float = 5, spare: int = 0) -> bool | None:
        handle = group.removeprefix("S0").lower()
        self.looked_up.append((handle, kept, spare))
        if handle in self.away:
            self._not_said(handle)
            return None
        return user in self.groups.get(handle, ())

    def is_outsider(self, user: str) -> bool | None:
        return self.outsiders.get(user, False)

    def email_domain(self, user: str) -> str | None:
        if "email" in self.away:
            self._not_said("email")
            return None
        return self.domains.get(user, "")

    def _not_said(self, what: str) -> None:
        error = self.away[what]
        if error is not None:
            raise error

    def in_channel(self, channel: str, user: str, *, kept: float = 5, spare: int = 0) -> bool | None:
        return True

    def channel_name(self, channel: str) -> str | None:
        return "hr-bot"

    def channel_id(self, name: str) -> str | None:
        return "C0HR"


def catalog() -> Catalog:
    return load_catalog(CATALOG.format(base="https://hr.example.com"), {})


def may(people: PeopleDirectory, asker: str, **how: Any) -> set[str]:
    here = Authority(people, ()).part(catalog(), HERE, asker, **how)
    return {one.name for one in here.catalog.operations}


OPEN = {"GET /users", "POST /notes", "PUT /teams/[team]"}

# --- whom a name stands for -------------------------------------------------------------------------------------------


def test_who_is_named_nowhere_has_what_is_everybodys() -> None:
    assert may(People(), ANN) == OPEN
    assert may(SilentDirectory(), ANN) == OPEN  # nobody who could be asked lets nobody through


def test_members_of_a_group_have_what_names_it() -> None:
    people = People(leads=ANN, chiefs=BEN)
    assert may(people, ANN) == OPEN | {"DELETE /users/[id]", "PATCH /users/[id]", "POST /hires"}
    assert may(people, BEN) == OPEN | {"DELETE /users/[id]", "GET /pay"}


def test_a_domain_stands_for_addresses_of_this_very_domain() -> None:
    cases: list[str] = ["example.com.evil.org", "evil-example.com", "mail.example.com", "example.org", "", "com"]
    for domain in cases:
        with case(domain):
            people = People()
            people.domains = {ANN: "example.com", BEN: domain}
            assert may(people, ANN) == OPEN | {"GET /pay"}
            assert may(people, BEN) == OPEN


def test_an_app_has_what_names_it_and_no_look_up_is_made() -> None:
    people = People(leads="app:B0FLOW B0FLOW", staff="B0FLOW")
    assert may(people, app_asker("B0FLOW")) == {"POST /hires"}
    assert may(people, app_asker("B0ELSE")) == set()
    assert people.looked_up == []


@pytest.mark.parametrize(
    ("is_outsider", "guests", "named_alone"),
    [(True, False, True), (None, False, True), (False, False, False), (True, True, False)],
)
def test_a_guest_has_what_names_them_by_id_and_no_more_unless_guests_are_let_in(
    is_outsider: bool | None, guests: bool, named_alone: bool
) -> None:
    people = People(staff="U0GUS")
    people.outsiders["U0GUS"] = is_outsider
    named = load_catalog(CATALOG.replace("B0FLOW", "U0GUS").format(base="https://hr.example.com"), {})
    here = Authority(people, (), allow_guests=guests).part(named, HERE, "U0GUS", to="show")
    whole = OPEN | {"POST /hires", "GET /users/[id]"}
    assert {one.name for one in here.catalog.operations} == ({"POST /hires"} if named_alone else whole)
    assert here.is_unsure is (is_outsider is None)


def test_a_person_whose_id_is_an_apps_is_none() -> None:
    assert "POST /hires" not in may(People(), "app")


def test_where_nothing_is_limited_nobody_is_looked_up() -> None:
    people, plain = (
        People(),
        load_catalog("base_url: https://x.example.com\nendpoints: [{method: GET, url: /a, description: A.}]", {}),
    )
    assert Authority(people, ()).part(plain, HERE, ANN).catalog is plain
    assert people.looked_up == []


def test_a_thousand_people_with_three_rights_have_three_catalogs() -> None:
    """So there are three prompts and three indexes, and a model server's cache holds for all with the same rights."""
    leads, chiefs = ({f"U0{kind}{n}" for n in range(300)} for kind in ("LEAD", "CHIEF"))
    people = People(leads=" ".join(leads), chiefs=" ".join(chiefs))
    authority, whole = Authority(people, ()), catalog()
    askers = [*leads, *chiefs, *(f"U0OTHER{n}" for n in range(400))]
    found = {id(authority.part(whole, f"T0LOCAL/C0HR/{n}.0", who).catalog) for n, who in enumerate(askers)}
    assert len(found) == 3
    prompts = {system_prompt(authority.part(whole, HERE, who).catalog, "", about="", last=False) for who in askers}
    assert len(prompts) == 3


# --- what is not known ------------------------------------------------------------------------------------------------

BUSY, UNSURE = SlackBusy(7), SlackUnsure("HTTP 500")


@pytest.mark.parametrize("error", [BUSY, UNSURE])
def test_what_slack_does_not_say_now_is_asked_again_unless_another_name_says_yes(error: Exception) -> None:
    people = People(chiefs=ANN)
    people.away = {"leads": error}
    with pytest.raises(type(error)):
        may(people, ANN)
    people.groups["leads"], people.away = {ANN}, {"chiefs": error, "email": error}
    with pytest.raises(type(error)):
        may(people, ANN)  # GET /pay
    people.away = {"chiefs": error}
    people.domains = {ANN: "example.com"}
    assert may(people, ANN) >= {"DELETE /users/[id]", "GET /pay"}


@pytest.mark.parametrize("error", [BUSY, UNSURE, None])
def test_what_cannot_be_known_lets_nobody_through_and_is_told_as_unsure(error: Exception | None) -> None:
    people = People(leads=ANN, staff=ANN)
    people.away = {"leads": error}
    here = Authority(people, ()).part(catalog(), HERE, ANN, to="show")
    assert here.is_unsure
    assert {one.name for one in here.catalog.operations} == OPEN | {"GET /users/[id]"}
    assert not Authority(People(leads=ANN), ()).part(catalog(), HERE, ANN).is_unsure


def test_an_address_that_slack_does_not_show_is_not_known() -> None:
    people = People()
    people.domains = {ANN: None}
    assert Authority(people, ()).part(catalog(), HERE, ANN).is_unsure
    people.domains = {ANN: ""}
    assert not Authority(people, ()).part(catalog(), HERE, ANN).is_unsure


def test_questions_leave_look_ups_to_who_decides_and_sending_looks_anew() -> None:
    people = People()
    may(people, ANN)
    assert {(kept, spare) for _, kept, spare in people.looked_up} == {(60.0, 9)}
    assert {handle for handle, _, _ in people.looked_up} == {"staff", "leads", "chiefs"}  # no app, no domain, no person
    people.looked_up.clear()
    may(people, ANN, to="send")
    assert {(kept, spare) for _, kept, spare in people.looked_up} == {(5.0, 0)}


# --- turns and requests -----------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as server:
        server.always(lambda seen: [reply(json.dumps({"id": 7, "name": "Tom", "seen": seen.target}))])
        yield server


@pytest.fixture
def people() -> People:
    return People(leads=ANN, staff=f"{ANN} {BEN}")


@pytest.fixture
def parts(tmp_path: Path, server: RestServer, people: People) -> Iterator[BotParts]:
    made = BotParts(tmp_path, CATALOG.format(base=server.url), directory=people, timeout=5, settles=0.01)
    yield made
    made.close()


def asked(parts: BotParts, *call: object, by: str = ANN) -> Json:
    """A call of the model and its result."""
    parts.replies.will(calls(call))
    parts.ask(by=by)
    return tool_results(parts.replies.asked[-1])[-1]


def removal(parts: BotParts) -> Any:
    parts.replies.will(calls(("DELETE", "/users/7")))
    parts.ask()
    (pending,) = parts.pending()
    return pending


def test_a_hostile_call_gets_what_an_unknown_one_gets(parts: BotParts, server: RestServer) -> None:
    hidden, unknown = asked(parts, "GET", "/pay", by=BEN), asked(parts, "GET", "/pal", by=BEN)
    assert hidden["error"] == unknown["error"].replace("/pal", "/pay")
    assert "The nearest: GET /users." in hidden["error"]
    assert (asked(parts, "DELETE", "/users/7", by=BEN)["error"]).startswith(
        "The catalog has no operation DELETE /users/7."
    )
    assert (server.requests, parts.pending()) == ([], [])


def test_a_redirect_to_what_is_not_theirs_is_not_followed(parts: BotParts, server: RestServer) -> None:
    server.will(to("/pay"))
    assert "that the catalog does not allow" in asked(parts, "GET", "/users", by=BEN)["error"]
    assert [seen.target for seen in server.requests] == ["/users"]


def test_a_name_is_not_looked_up_in_what_is_not_theirs(parts: BotParts, server: RestServer) -> None:
    told = asked(parts, "PUT", "/teams/sales", "{}")["error"]
    assert "no list of such names may be read here" in told
    assert "/pay" not in told
    assert server.requests == []


def test_a_card_shows_only_what_who_asked_may_read(parts: BotParts, server: RestServer, people: People) -> None:
    """`preview` names a read that is not Ann's; of a removal the nearest read is hers only while she is of the staff."""
    parts.replies.will(calls(("PATCH", "/users/7", {"name": "Tim"})))
    parts.ask()
    assert server.requests == []
    assert "the person who asked for this may not read it" in str(parts.pending()[0].before)
    for staff, read in ((BEN, "/users"), (ANN, "/users/7")):  # else the list that everybody may read
        people.groups["staff"] = {staff}
        parts.replies.will(calls(("DELETE", "/users/7")))
        parts.ask()
        assert server.requests[-1].target == read


def test_who_left_the_group_after_the_click_has_nothing_sent(
    parts: BotParts, server: RestServer, people: People
) -> None:
    pending = removal(parts)
    parts.press(pending)
    people.groups["leads"] = set()
    parts.advance(pending.thread)
    row = parts.row(pending)
    assert (row.state, row.note) == (
        State.FAILED,
        "The person who asked for this may no longer ask for it. Nothing was sent.",
    )
    assert [seen.method for seen in server.requests] == ["GET"]
    (told,) = tool_results(parts.replies.asked[-1])
    assert told["outcome"] == "failed"
    assert "The catalog no longer allows this request." in json.dumps(told)


def test_a_catalog_that_names_others_by_now_has_nothing_sent(parts: BotParts, server: RestServer) -> None:
    pending = removal(parts)
    parts.press(pending)
    text = CATALOG.format(base=server.url).replace('askers: ["@leads", "@chiefs"]', "askers: U0ELSE")
    parts.gate.use(load_catalog(text, {}))
    parts.advance(pending.thread)
    assert parts.row(pending).note == "The person who asked for this may no longer ask for it. Nothing was sent."
    assert "DELETE" not in [seen.method for seen in server.requests]


@pytest.mark.parametrize("error", [None, SlackBusy(60), SlackBusy(0.01)])
def test_where_slack_does_not_say_whether_they_still_may_nothing_is_sent(
    parts: BotParts, server: RestServer, people: People, error: Exception | None
) -> None:
    pending = removal(parts)
    parts.press(pending)
    if isinstance(error, SlackBusy) and error.after < 1:
        _away_for_a_moment(people, error)
    else:
        people.away = {"leads": error, "chiefs": error}
    parts.advance(pending.thread)
    if isinstance(error, SlackBusy) and error.after < 1:
        assert parts.row(pending).state is State.DONE  # it was asked again
        return
    assert parts.row(pending).note == (
        "Slack can't confirm right now that the person who asked for this may do so. Nothing was sent."
    )
    assert "DELETE" not in [seen.method for seen in server.requests]


def _away_for_a_moment(people: People, error: Exception) -> None:
    """The first look-up of the leads from now on fails."""
    real, first = people.in_group, iter([error])

    def in_group(group: str, user: str, *, kept: float = 5, spare: int = 0) -> bool | None:
        failing = next(first, None) if group == "S0LEADS" else None
        if failing is not None:
            raise failing
        return real(group, user, kept=kept, spare=spare)

    people.in_group = in_group  # type: ignore[method-assign]


def test_what_is_limited_stays_with_its_asker_though_the_rule_shares(parts: BotParts, people: People) -> None:
    people.groups["chiefs"] = {ANN}
    parts.replies.will(calls(("PATCH", "/users/7", {"name": "Tim"})))
    parts.ask()
    assert parts.pending()[0].only_for == ANN


def test_what_who_may_ask_for_more_was_told_is_not_told_to_others_in_the_thread(parts: BotParts) -> None:
    parts.replies.will(calls(("GET", "/users"), ("GET", "/payy"), ("DELETE", "/nowhere")), says("All there."))
    thread = parts.ask("what is there?")
    parts.ask("and now?", BEN, thread)
    said = json.dumps(parts.replies.asked[-1])
    for hidden in ("DELETE", "/payy", '"GET /users"', "tool_calls"):
        assert hidden not in said
    assert "what is there?" in said
    assert "All there." in said
    parts.ask("and?", ANN, thread)
    assert "/payy" in json.dumps(parts.replies.asked[-1])


def test_operations_that_were_listed_with_a_question_are_not_shown_to_others(
    tmp_path: Path, server: RestServer, people: People
) -> None:
    many = "".join(
        f'  - {{method: GET, url: "/things{n}/[id]", description: Shows thing number {n} with all that is known of it.}}\n'
        for n in range(200)
    )
    text = CATALOG.format(base=server.url) + many
    parts = BotParts(tmp_path, text, directory=people, prompt_budget=1_500)
    thread = parts.ask("remove a user and hire another one")
    assert "DELETE /users/[id]" in json.dumps(parts.replies.asked[-1])
    parts.ask("remove a user", BEN, thread)
    assert "DELETE /users/[id]" not in json.dumps(parts.replies.asked[-1])
    assert "GET /users/[id]" in json.dumps(parts.replies.asked[-1])
    parts.close()


@pytest.mark.parametrize(("who", "finds"), [(ANN, True), (BEN, False)])
def test_a_search_finds_what_is_theirs_alone(
    tmp_path: Path, server: RestServer, people: People, who: str, finds: bool
) -> None:
    many = "".join(
        f'  - {{method: GET, url: "/things{n}/[id]", description: Shows thing number {n} with all that is known of it.}}\n'
        for n in range(200)
    )
    parts = BotParts(tmp_path, CATALOG.format(base=server.url) + many, directory=people, prompt_budget=1_500)
    parts.replies.will(
        *(calls({"query": one}, tool="find_operations") for one in ("removes a user", "DELETE", "hires"))
    )
    parts.ask("hello", who)
    found = json.dumps(tool_results(parts.replies.asked[-1]))
    assert len(tool_results(parts.replies.asked[-1])) == 3
    assert [one in found for one in ("DELETE /users/[id]", "POST /hires", "/pay")] == [finds, finds, False]
    parts.close()


def test_whoever_may_ask_for_nothing_is_told_so_and_the_model_is_not_asked(tmp_path: Path, people: People) -> None:
    text = "base_url: https://x.example.com\nendpoints: [{method: GET, url: /a, description: A., askers: '@leads'}]"
    parts = BotParts(tmp_path, text, directory=people)
    assert parts.told(parts.ask(by=BEN)) == [
        (
            "There is nothing that you may ask me for here. If there should be, tell my operators: "
            "they decide who may ask for what."
        )
    ]
    people.away = {"leads": None}
    unknown = (
        "I couldn't look up in Slack what you may ask me for, so I haven't taken this up. Please ask again in a few minutes; if it "
        "keeps happening, tell my operators."
    )
    assert parts.told(parts.ask(by=BEN)) == [unknown]
    people.away = {"leads": SlackUnsure("HTTP 500")}
    assert parts.told(parts.ask(by=BEN)) == [unknown]
    assert parts.replies.asked == []
    parts.close()


@pytest.mark.parametrize("error", [BUSY, UNSURE])
def test_a_turn_waits_a_minute_for_slack_then_goes_on_without_and_says_so(
    parts: BotParts, people: People, error: Exception
) -> None:
    people.away = {"leads": error}
    began = parts.clock()
    (told,) = parts.told(parts.ask(by=BEN))
    assert told.startswith("Done.")
    assert "I couldn't look up in Slack all that you may ask me for, so something may be missing here." in told
    assert 50 < parts.clock() - began < 70
    assert "DELETE" not in json.dumps(parts.replies.asked[-1])


def test_a_running_turn_waits_as_well(parts: BotParts, people: People) -> None:
    def away(_messages: object) -> Json:
        people.away = {"leads": SlackBusy(9)}
        return calls(("GET", "/users"))

    parts.replies.will(away, lambda _: says("All."))
    (told,) = parts.told(parts.ask(by=BEN))
    assert "something may be missing here" in told


# --- apps -------------------------------------------------------------------------------------------------------------


def test_a_write_that_an_app_asks_for_waits_for_people(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(("POST", "/hires", {"name": "Eve"})))
    parts.ask(by=app_asker("B0FLOW"))
    (pending,) = parts.pending()
    assert (pending.asker, pending.rule.approvers) == ("app:B0FLOW", ("U0BEN",))
    (card,) = parts.cards(pending.thread)
    shown = json.dumps(card.arguments)
    assert "Asked by the app `B0FLOW`" in shown
    assert "<@app" not in shown
    assert '"withdraw"' not in shown
    assert 'You are asked by \\"the app B0FLOW\\".' in json.dumps(parts.replies.asked[0])
    assert parts.press(pending, by=BEN).state is State.APPROVED
    parts.advance(pending.thread)
    assert [seen.method for seen in server.requests] == ["POST"]


def test_an_apps_write_without_people_who_could_decide_is_no_request(parts: BotParts) -> None:
    """The catalog's check refuses such an entry; a channel's rule may still come to it."""
    write = parts.call("POST", "/notes", {}, tainted=False)
    assert isinstance(write, Write)
    turn = replace(parts.begin(), asker=app_asker("B0FLOW"))
    for one in (write, replace(write, by_policy=False)):
        with pytest.raises(BadCall, match="names no people who could decide"):
            parts.gate.propose(one, turn, 0, parts.catalog)
    assert Thread.from_key(turn.thread).channel == "C0HR"
