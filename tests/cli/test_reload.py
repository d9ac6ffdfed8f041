"""A changed catalog is taken at SIGHUP, by the real program: a good one holds at once, one with mistakes changes nothing."""

from __future__ import annotations

import json
import os
import pty
import signal
from pathlib import Path
from typing import Any

import pytest

from base import words
from catalog.catalog import load_catalog
from gate.gate import Approval
from tests.harness.bot_parts import Inside, calls, strict
from tests.harness.replay_model import answer, call
from tests.harness.rest_server import RestServer, Seen, reply
from tests.test_crash import ANN, CATALOG, LIST, REMOVE, House, Program, approved, told
from tests.test_crash import house as house  # the fixture

TEAMS = CATALOG + '  - {method: GET, url: "/api/teams", description: Lists teams.}\n'
OLD_KEY, NEW_KEY = "0ld-s3cret-key", "n3w-s3cret-key"


def take(house: House, program: Program, catalog: str, event: str) -> dict[str, Any]:
    """Writes the catalog, sends SIGHUP, and gives the log's line of what came of it."""
    (house.folder / "apis.yaml").write_text(catalog)
    before = len(program.lines)
    program.process.send_signal(signal.SIGHUP)
    program.wait_for(event, after=before)
    told: dict[str, Any] = json.loads(next(line for line in program.lines[before:] if f'"event": "{event}"' in line))
    return told


def test_a_good_catalog_is_taken_and_holds_for_the_next_question(house: House) -> None:
    program = house.start()
    assert take(house, program, TEAMS, "catalog taken")["operations"] == 4
    house.model.script("which teams?", [call(("GET", "/api/teams")), answer("Two teams.")])
    house.wait_for_answer(house.mention("which teams?"), "Two teams.")
    assert [request.path for request in house.api.requests] == ["/api/teams"]
    assert program.terminate() == 0


def test_a_catalog_with_mistakes_is_told_in_the_log_and_the_one_before_it_stays(house: House) -> None:
    program = house.start()
    told = take(house, program, TEAMS.replace("method: POST", "method: POTS") + "nmae: HR\n", "catalog not taken")
    assert told["level"] == "error"
    assert told["mistakes"] == [
        "apis.yaml, endpoint 2, line 6: method 'POTS' is not one of GET, HEAD, POST, PUT, PATCH, DELETE.",
        "apis.yaml, line 9: 'nmae' is no key of the catalog here; did you mean 'name'?",
    ]
    house.model.script("who is there?", [call(("GET", "/api/users?page=1")), answer("Tom.")])
    house.wait_for_answer(house.mention("who is there?"), "Tom.")
    (house.folder / "apis.yaml").unlink()
    before = len(program.lines)
    program.process.send_signal(signal.SIGHUP)
    program.wait_for("catalog not taken", after=before)
    take(house, program, TEAMS, "catalog taken")
    assert program.terminate() == 0


def test_secrets_of_both_catalogs_stay_out_of_the_log(house: House) -> None:
    with_key = CATALOG + "headers: {X-Key: %s}\n"
    (house.folder / "apis.yaml").write_text(with_key % OLD_KEY)
    program = house.start()
    take(house, program, with_key % NEW_KEY, "catalog taken")
    house.model.script("who?", [call(("GET", f"/api/users?page={OLD_KEY}{NEW_KEY}")), answer("Nobody.")])
    house.wait_for_answer(house.mention("who?"), "Nobody.")
    (request,) = house.api.requests
    assert request.headers["x-key"] == NEW_KEY
    program.terminate()
    assert "s3cret" not in "".join(program.lines)


def test_a_request_whose_operation_is_gone_at_the_click_is_not_sent(house: House) -> None:
    house.model.script("remove Tom", [REMOVE, answer("It could not be removed.")])
    program = house.start()
    ts = house.mention("remove Tom")
    card = house.card(ts)
    take(house, program, CATALOG.replace("method: DELETE", "method: PATCH"), "catalog taken")
    approved(house, ts)
    house.wait_for_answer(ts, "It could not be removed.")
    assert words.UNSENT_TITLE in house.shown(card)
    assert "Nothing was sent" in told(house, "remove Tom")
    assert house.writes() == []
    assert program.terminate() == 0


def test_a_request_whose_rule_became_stricter_asks_those_who_decide_now(house: House) -> None:
    house.model.script("remove Tom", [REMOVE, answer("Gone.")])
    program = house.start()
    ts = house.mention("remove Tom")
    first = house.card(ts)
    take(house, program, CATALOG + "approval: {approvers: [U0BEN], not_asker: true}\n", "catalog taken")
    approved(house, ts)
    house.workspace.wait(lambda: house.card(ts) != first)
    second = house.card(ts)
    assert words.RULE_CHANGED in house.shown(second)
    assert house.writes() == []
    house.workspace.click(ANN, second, "approve")
    assert house.workspace.click("U0BEN", second, "approve") == 200
    house.wait_for_answer(ts, "Gone.")
    assert [request.method for request in house.writes()] == ["DELETE"]
    assert program.terminate() == 0


def test_a_turn_that_runs_meanwhile_goes_on_with_the_new_catalog(house: House) -> None:
    house.model.script("who is in which team?", [LIST, call(("GET", "/api/teams")), answer("Tom is in A.")])
    program = house.start()
    house.api.hold()
    ts = house.mention("who is in which team?")
    house.api.wait(lambda: house.api.requests)
    take(house, program, TEAMS, "catalog taken")
    house.api.release()
    house.wait_for_answer(ts, "Tom is in A.")
    assert [request.path for request in house.api.requests] == ["/api/users?page=1", "/api/teams"]
    systems = [str(messages[0]["content"]) for messages in house.model.conversation("who is in which team?")]
    assert ["Lists teams." in one for one in systems] == [False, True, True]
    assert program.terminate() == 0


def test_app_home_and_the_suggestions_are_those_of_the_new_catalog(house: House) -> None:
    program = house.start(ALLOW_DM="1")
    take(house, program, TEAMS + "prompts: [Which teams are there?]\n", "catalog taken")
    house.workspace.open_home(ANN)
    assert "Lists teams." in json.dumps(house.workspace.wait(lambda: house.workspace.home(ANN)))
    house.workspace.open_home(ANN, "messages")
    suggest = "assistant.threads.setSuggestedPrompts"
    (shown,) = house.workspace.wait(lambda: house.workspace.calls_of(suggest))
    assert "Which teams are there?" in json.dumps(shown.args["prompts"])
    assert program.terminate() == 0


def test_groups_of_the_new_catalog_that_slack_does_not_have_are_logged(house: House) -> None:
    program = house.start()
    take(house, program, CATALOG + 'approval: {approvers: ["@nobody-here"]}\n', "catalog taken")
    program.wait_for("group unknown")
    assert program.terminate() == 0


def test_a_terminal_that_is_closed_ends_the_bot_that_was_started_there(house: House) -> None:
    ours, its = pty.openpty()
    program = house.launch(its).wait_for("serving")
    os.close(its)
    take(house, program, TEAMS, "catalog taken")
    os.close(ours)
    program.process.send_signal(signal.SIGHUP)
    assert program.process.wait(10) == 0


# --- the gate ---------------------------------------------------------------------------------------------------------

FIRST = """
name: HR
base_url: {base}
headers: {{X-Key: 0ld-s3cret-key}}
endpoints:
  - {{method: GET, url: "/users/[id]", description: Shows.}}
  - {{method: DELETE, url: "/users/[id]", description: Removes.}}
"""
SECOND = FIRST.replace("0ld-s3cret", "n3w-s3cret")


@pytest.fixture
def two(tmp_path: Path) -> Any:
    with RestServer() as server:
        inside = Inside(tmp_path, FIRST.format(base=server.url), timeout=5)
        yield inside, server
        inside.close()


def test_what_was_proposed_before_is_sent_by_the_catalog_that_holds_then(two: tuple[Inside, RestServer]) -> None:
    inside, server = two
    server.will(reply(), reply(), reply(json.dumps({"keys": [OLD_KEY, NEW_KEY]})))
    proposal = inside.approved("DELETE", "/users/7")
    inside.gate.use(load_catalog(SECOND.format(base=server.url), {}))
    inside.gate.write(Approval(proposal.proposal))
    assert (server.requests[-1].method, server.requests[-1].headers["x-key"]) == ("DELETE", NEW_KEY)
    assert strict(json.dumps(inside.result(proposal)))["data"]["keys"] == ["[hidden]", "[hidden]"]


def test_what_the_catalog_no_longer_has_is_not_sent(two: tuple[Inside, RestServer]) -> None:
    inside, server = two
    proposal = inside.approved("DELETE", "/users/7")
    inside.gate.use(load_catalog(SECOND.format(base=server.url).replace("DELETE", "PATCH"), {}))
    inside.gate.write(Approval(proposal.proposal))
    assert "DELETE" not in [method for method, _ in server.calls]
    assert inside.row(proposal).note == "The catalog does not allow this request any more. Nothing was sent."
    assert "no operation DELETE /users/7. The nearest:" in inside.result(proposal)["note"]


def test_a_call_of_the_catalog_before_still_shows_its_target(two: tuple[Inside, RestServer]) -> None:
    inside, server = two
    write = inside.call("DELETE", "/users/7", tainted=True)
    inside.gate.use(load_catalog(SECOND.format(base=server.url), {}))
    turn = inside.begin()
    proposal = inside.gate.propose(write, turn, 0)  # type: ignore[arg-type]
    assert '"status":200' in (proposal.before or "")


def test_an_api_that_was_not_there_before_can_be_called(two: tuple[Inside, RestServer]) -> None:
    inside, server = two
    text = SECOND.format(base=server.url).replace("name: HR", "name: People\nlimits: {at_once: 1}")
    inside.catalog = load_catalog(text, {})
    inside.gate.use(inside.catalog)
    assert inside.read("/users/7")["status"] == 200
    assert inside.write("DELETE", "/users/7")[0].api == "People"
    assert [method for method, _ in server.calls] == ["GET", "GET", "GET", "DELETE"]


def test_the_next_reply_of_the_model_is_asked_for_with_the_new_catalog(two: tuple[Inside, RestServer]) -> None:
    inside, server = two
    inside.ask()
    inside.gate.use(load_catalog(SECOND.format(base=server.url).replace("Shows", "Displays"), {}))
    inside.ask()
    told = [messages[0]["content"] for messages in inside.replies.asked]
    assert ["Displays" in one for one in told] == [False, True]


RECIPE = """
name: HR
base_url: {base}
endpoints:
  - {{method: GET, url: /people, description: Lists.}}
  - {{method: GET, url: "/badges/[id]", description: Shows whose it is.}}
  - method: DELETE
    url: /people/[id]
    description: Removes.
    parameters: {{id: {{type: integer, lookup: {{operation: GET /people, match: [name], id: id}}}}}}
recipes:
  - workflowId: remove
    description: Removes whose badge it is.
    inputs: {{type: object, required: [badge], properties: {{badge: {{type: string}}}}}}
    steps:
      - {{stepId: whose, operation: "GET /badges/[id]", parameters: {{id: $inputs.badge}}, outputs: {{name: "$response.body#/name"}}}}
      - {{stepId: go, operation: "DELETE /people/[id]", parameters: {{id: $steps.whose.outputs.name}}}}
"""


def test_a_recipe_that_runs_meanwhile_ends_by_the_catalog_it_began_with(tmp_path: Path) -> None:
    with RestServer() as server:
        inside = Inside(tmp_path, RECIPE.format(base=server.url), timeout=5)

        def badge(_seen: Seen) -> list[bytes]:
            inside.gate.use(load_catalog(RECIPE.format(base=server.url), {}))
            return [reply('{"name": "Ann"}')]

        server.will(badge, reply('[{"id": 7, "name": "Ann"}]'))
        inside.replies.will(calls({"method": "RUN", "url": "remove", "body": {"badge": "b1"}}))
        inside.ask()
        assert [one.url for one in inside.pending()] == [f"{server.url}/people/7"]
        inside.close()
