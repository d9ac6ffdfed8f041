"""A changed catalog is taken at SIGHUP, by the real program: a good one holds at once, one with mistakes changes nothing."""

from __future__ import annotations

import json
import os
import pty
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from catalog.catalog import digest_of, load_catalog
from cli.reloading import Reloading
from gate.policy import State
from gate.sending import Approval
from store.database import CatalogOutdated
from tests.harness.bot_parts import BotParts, calls, strict
from tests.harness.databases import opened_before
from tests.harness.ports import free_port
from tests.harness.replay_model import answer, call
from tests.harness.rest_server import RestServer, Seen, reply
from tests.test_crash import ANN, CATALOG, KEY, LIST, REMOVE, Program, System, approved, told
from tests.test_crash import system as system  # the fixture

pytestmark = pytest.mark.programs
TEAMS = CATALOG + '  - {method: GET, url: "/api/teams", description: Lists teams.}\n'
OLD_KEY, NEW_KEY = "0ld-s3cret-key", "n3w-s3cret-key"


def take(system: System, program: Program, catalog: str, event: str) -> dict[str, Any]:
    """Writes the catalog, sends SIGHUP, and gives the log's line of what came of it."""
    (system.folder / "apis.yaml").write_text(catalog)
    before = len(program.lines)
    program.process.send_signal(signal.SIGHUP)
    program.wait_for(event, after=before)
    told: dict[str, Any] = json.loads(next(line for line in program.lines[before:] if f'"event": "{event}"' in line))
    return told


def test_a_good_catalog_is_taken_and_holds_for_the_next_question(system: System) -> None:
    program = system.start()
    assert take(system, program, TEAMS, "catalog taken")["operations"] == 4
    system.model.script("which teams?", [call(("GET", "/api/teams")), answer("Two teams.")])
    system.wait_for_answer(system.mention("which teams?"), "Two teams.")
    assert [request.path for request in system.api.requests] == ["/api/teams"]
    assert program.terminate() == 0


def test_a_catalog_with_mistakes_is_told_in_the_log_and_the_one_before_it_stays(system: System) -> None:
    program = system.start()
    told = take(system, program, TEAMS.replace("method: POST", "method: POTS") + "nmae: HR\n", "catalog not taken")
    assert told["level"] == "error"
    assert told["mistakes"] == [
        "apis.yaml, endpoint 2, line 6: method 'POTS' is not one of GET, HEAD, POST, PUT, PATCH, DELETE.",
        "apis.yaml, line 9: 'nmae' is not a catalog key here; did you mean 'name'?",
    ]
    system.model.script("who is there?", [call(("GET", "/api/users?page=1")), answer("Tom.")])
    system.wait_for_answer(system.mention("who is there?"), "Tom.")
    (system.folder / "apis.yaml").unlink()
    before = len(program.lines)
    program.process.send_signal(signal.SIGHUP)
    program.wait_for("catalog not taken", after=before)
    take(system, program, TEAMS, "catalog taken")
    assert program.terminate() == 0


def test_a_catalog_that_needs_a_key_which_is_not_there_is_not_taken(system: System) -> None:
    program = system.start()
    oauth2 = "oauth2: {issuer: https://login.example.com, client_id: bot, scopes: [openid]}"
    told = take(system, program, f"{CATALOG}auth: {{{oauth2}}}\n", "catalog not taken")
    assert told["mistakes"][0].startswith("TOKEN_KEY is not set. ")
    assert program.terminate() == 0


@pytest.mark.parametrize("after", [CATALOG, CATALOG.replace("name: HR", "name: People")])
def test_a_question_waits_for_no_account_that_is_needed_no_more(system: System, after: str) -> None:
    oauth2 = "auth: {oauth2: {issuer: https://login.example.com, client_id: bot, scopes: [openid]}}\n"
    (system.folder / "apis.yaml").write_text(CATALOG + oauth2)
    program = system.start(
        TOKEN_KEY="6nOSl4xRW0eXm3x1FqYyIhBB6gCxTNNrFfcCvzjzqxA=", PUBLIC_URL="https://bot.example.com"
    )
    system.model.script("who is there?", [call(("GET", "/api/users?page=1")), answer("Tom.")])
    ts = system.mention("who is there?")
    system.workspace.wait(lambda: system.workspace.ephemerals("U0ANN"))
    take(system, program, after, "catalog taken")
    system.wait_for_answer(ts, "Tom.")
    assert program.terminate() == 0


def test_secrets_of_both_catalogs_stay_out_of_the_log(system: System) -> None:
    with_key = CATALOG + "headers: {X-Key: %s}\n"
    (system.folder / "apis.yaml").write_text(with_key % OLD_KEY)
    program = system.start()
    take(system, program, with_key % NEW_KEY, "catalog taken")
    system.model.script("who?", [call(("GET", f"/api/users?page={OLD_KEY}{NEW_KEY}")), answer("Nobody.")])
    system.wait_for_answer(system.mention("who?"), "Nobody.")
    (request,) = system.api.requests
    assert request.headers["x-key"] == NEW_KEY
    program.terminate()
    assert "s3cret" not in "".join(program.lines)


def test_a_request_whose_operation_is_gone_at_the_click_is_not_sent(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("It could not be removed.")])
    program = system.start()
    ts = system.mention("remove Tom")
    card = system.card(ts)
    take(system, program, CATALOG.replace("method: DELETE", "method: PATCH"), "catalog taken")
    approved(system, ts)
    system.wait_for_answer(ts, "It could not be removed.")
    assert "🔐 Approved, but not sent" in system.shown(card)
    assert "Nothing was sent" in told(system, "remove Tom")
    assert system.writes() == []
    assert program.terminate() == 0


def test_a_request_whose_rule_became_stricter_asks_those_who_decide_now(system: System) -> None:
    system.model.script("remove Tom", [REMOVE, answer("Gone.")])
    program = system.start()
    ts = system.mention("remove Tom")
    first = system.card(ts)
    take(system, program, CATALOG + "approval: {approvers: [U0BEN], not_asker: true}\n", "catalog taken")
    approved(system, ts)
    second = system.card(ts, but=[first])
    assert "The catalog's rule about who decides changed after the card was posted." in system.shown(second)
    assert system.writes() == []
    system.workspace.click(ANN, second, "approve")
    assert system.workspace.click("U0BEN", second, "approve") == 200
    system.wait_for_answer(ts, "Gone.")
    assert [request.method for request in system.writes()] == ["DELETE"]
    assert program.terminate() == 0


def test_a_turn_that_runs_meanwhile_goes_on_with_the_new_catalog(system: System) -> None:
    system.model.script("who is in which team?", [LIST, call(("GET", "/api/teams")), answer("Tom is in A.")])
    program = system.start()
    system.api.hold()
    ts = system.mention("who is in which team?")
    system.api.wait(lambda: system.api.requests)
    take(system, program, TEAMS, "catalog taken")
    system.api.release()
    system.wait_for_answer(ts, "Tom is in A.")
    assert [request.path for request in system.api.requests] == ["/api/users?page=1", "/api/teams"]
    systems = [str(messages[0]["content"]) for messages in system.model.conversation("who is in which team?")]
    assert ["Lists teams." in one for one in systems] == [False, True, True]
    assert program.terminate() == 0


def test_app_home_and_the_suggestions_are_those_of_the_new_catalog(system: System) -> None:
    program = system.start(ALLOW_DM="1")
    take(system, program, TEAMS + "prompts: [Which teams are there?]\n", "catalog taken")
    system.workspace.open_home(ANN)
    assert "Lists teams." in json.dumps(system.workspace.wait(lambda: system.workspace.home(ANN)))
    system.workspace.open_home(ANN, "messages")
    suggest = "assistant.threads.setSuggestedPrompts"
    (shown,) = system.workspace.wait(lambda: system.workspace.calls_of(suggest))
    assert "Which teams are there?" in json.dumps(shown.args["prompts"])
    assert program.terminate() == 0


def test_groups_of_the_new_catalog_that_slack_does_not_have_are_logged(system: System) -> None:
    program = system.start()
    take(system, program, CATALOG + 'approval: {approvers: ["@nobody-here"]}\n', "catalog taken")
    program.wait_for("group unknown")
    assert program.terminate() == 0


def test_a_terminal_that_is_closed_ends_the_bot_that_was_started_there(system: System) -> None:
    ours, its = pty.openpty()
    program = system.launch(terminal=os.ttyname(its)).wait_for("serving")
    os.close(its)
    take(system, program, TEAMS, "catalog taken")
    os.close(ours)
    program.process.send_signal(signal.SIGHUP)
    assert program.process.wait(60) == 0


def test_who_waited_for_the_database_serves_by_the_file_as_it_is_then(system: System) -> None:
    """What was taken meanwhile may forbid what the file allowed as the process began to wait, perhaps days ago."""
    first = system.start()
    system.port = free_port()
    second = system.launch().wait_for("waiting")
    take(system, first, TEAMS, "catalog taken")
    assert first.terminate() == 0
    second.wait_for("serving")
    (told,) = [json.loads(line) for line in second.lines if '"event": "serving"' in line]
    assert told["operations"] == 4
    assert second.terminate() == 0


def test_after_a_rollback_the_earlier_catalog_holds_without_anybody_insisting(system: System) -> None:
    system.database = opened_before("postgresql", system.folder, KEY)
    for catalog in (CATALOG, TEAMS):
        (system.folder / "apis.yaml").write_text(catalog)
        assert system.start().terminate() == 0
    (system.folder / "apis.yaml").write_text(CATALOG)
    program = system.start()
    system.model.script("who is there?", [call(("GET", "/api/users?page=1")), answer("Tom.")])
    system.wait_for_answer(system.mention("who is there?"), "Tom.")
    assert program.has_said("catalog holds again")
    assert program.terminate() == 0


def test_half_of_a_file_that_is_being_written_is_not_taken_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be the newest of all, and the whole one, which others know, be outdated for good."""
    parts, file = BotParts(tmp_path, FIRST.format(base="http://hr")), tmp_path / "written.yaml"
    half = TEAMS[: TEAMS.index("  - {method: POST")]
    settings: Any = SimpleNamespace(apis_file=str(file))
    nobody: Any = None
    reloading = Reloading(settings, parts.store, parts.gate, nobody, nobody)
    monkeypatch.setattr("cli.reloading.time.sleep", lambda _seconds: file.write_text(TEAMS))
    file.write_text(half)
    assert load_catalog(half, {"HR_API_URL": "http://hr"}).operations
    assert reloading.reload(insists=False) is None
    assert parts.store.catalog == ""
    parts.close()


def test_a_database_that_is_away_says_nothing_against_the_file(tmp_path: Path) -> None:
    """What a look for the newest catalog meets is not the file's fault: it is raised, and /readyz goes on calling the catalog ok."""
    file = tmp_path / "apis.yaml"
    file.write_text(CATALOG)
    parts = BotParts(tmp_path, CATALOG, environ={"HR_API_URL": "http://hr"})

    def away() -> bool:
        raise OperationalError("select", {}, Exception("gone"))

    store: Any = SimpleNamespace(catalog=digest_of(CATALOG), regain_catalog=away)
    settings: Any = SimpleNamespace(apis_file=str(file))
    readiness: Any = SimpleNamespace(catalog="ok")
    nobody: Any = None
    with pytest.raises(OperationalError):
        Reloading(settings, store, parts.gate, nobody, readiness).reload(insists=False)
    assert readiness.catalog == "ok"
    parts.close()


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
        parts = BotParts(tmp_path, FIRST.format(base=server.url), timeout=60)
        yield parts, server
        parts.close()


def test_what_was_proposed_before_is_sent_by_the_catalog_that_holds_then(two: tuple[BotParts, RestServer]) -> None:
    parts, server = two
    server.will(reply(), reply(), reply(json.dumps({"keys": [OLD_KEY, NEW_KEY]})))
    proposal = parts.approved("DELETE", "/users/7")
    parts.gate.use(load_catalog(SECOND.format(base=server.url), {}))
    parts.gate.write(Approval(proposal.proposal))
    assert (server.requests[-1].method, server.requests[-1].headers["x-key"]) == ("DELETE", NEW_KEY)
    assert strict(json.dumps(parts.result(proposal)))["data"]["keys"] == ["[hidden]", "[hidden]"]


def test_what_the_catalog_no_longer_has_is_not_sent(two: tuple[BotParts, RestServer]) -> None:
    parts, server = two
    proposal = parts.approved("DELETE", "/users/7")
    parts.gate.use(load_catalog(SECOND.format(base=server.url).replace("DELETE", "PATCH"), {}))
    parts.gate.write(Approval(proposal.proposal))
    assert "DELETE" not in [method for method, _ in server.calls]
    assert parts.row(proposal).note == "The catalog does not allow this request any more. Nothing was sent."
    assert "no operation DELETE /users/7. The nearest:" in parts.result(proposal)["note"]


def test_what_a_catalog_forbids_that_is_taken_during_the_last_checks_is_not_sent(
    two: tuple[BotParts, RestServer],
) -> None:
    """They read the target, for as long as its API takes."""
    parts, server = two
    parts.store.take_catalog(parts.gate.catalog.digest, insists=False)
    newer = load_catalog(SECOND.format(base=server.url).replace("DELETE", "PATCH"), {})

    def look(_seen: Seen) -> list[bytes]:
        parts.gate.use(newer)
        parts.store.take_catalog(newer.digest, insists=True)
        return [reply()]

    server.will(reply(), look)
    proposal = parts.approved("DELETE", "/users/7")
    with pytest.raises(CatalogOutdated):
        parts.gate.write(Approval(proposal.proposal))
    assert [method for method, _ in server.calls] == ["GET", "GET"]
    assert parts.row(proposal).state is State.APPROVED
    parts.gate.write(Approval(proposal.proposal))  # as the worker does, two seconds later
    assert "DELETE" not in [method for method, _ in server.calls]
    assert parts.row(proposal).note == "The catalog does not allow this request any more. Nothing was sent."


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (SECOND.replace("DELETE", "PATCH"), SECOND),
        (SECOND + "approval: {{approvers: [U0BEN]}}\n", SECOND + "approval: {{approvers: [U0ANN]}}\n"),
    ],
    ids=["forbids it", "has others decide"],
)
def test_what_was_approved_is_not_ended_by_a_catalog_that_is_not_the_newest(
    tmp_path: Path, older: str, newer: str
) -> None:
    """Another process may have taken a newer one since this one read its file, by which it was asked for and approved."""
    with RestServer() as server:
        parts = BotParts(tmp_path, newer.format(base=server.url), timeout=60)
        server.will(reply(), reply(), reply())
        proposal = parts.approved("DELETE", "/users/7")
        parts.store.take_catalog(parts.gate.catalog.digest, insists=True)
        parts.gate.use(load_catalog(older.format(base=server.url), {}))
        with pytest.raises(CatalogOutdated):
            parts.gate.write(Approval(proposal.proposal))
        assert parts.row(proposal).state is State.APPROVED
        parts.gate.use(parts.catalog)
        parts.gate.write(Approval(proposal.proposal))
        assert parts.row(proposal).state is State.DONE
        parts.close()


def test_a_call_of_the_catalog_before_still_shows_its_target(two: tuple[BotParts, RestServer]) -> None:
    parts, server = two
    write = parts.call("DELETE", "/users/7", tainted=True)
    parts.gate.use(load_catalog(SECOND.format(base=server.url), {}))
    turn = parts.begin()
    proposal = parts.gate.propose(write, turn, 0, parts.gate.catalog)  # type: ignore[arg-type]
    assert '"status":200' in (proposal.before or "")


def test_an_api_that_was_not_there_before_can_be_called(two: tuple[BotParts, RestServer]) -> None:
    parts, server = two
    text = SECOND.format(base=server.url).replace("name: HR", "name: People\nlimits: {at_once: 1}")
    parts.catalog = load_catalog(text, {})
    parts.gate.use(parts.catalog)
    assert parts.read("/users/7")["status"] == 200
    assert parts.write("DELETE", "/users/7")[0].api == "People"
    assert [method for method, _ in server.calls] == ["GET", "GET", "GET", "DELETE"]


def test_the_next_reply_of_the_model_is_asked_for_with_the_new_catalog(two: tuple[BotParts, RestServer]) -> None:
    parts, server = two
    parts.ask()
    parts.gate.use(load_catalog(SECOND.format(base=server.url).replace("Shows", "Displays"), {}))
    parts.ask()
    told = [messages[0]["content"] for messages in parts.replies.asked]
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
        parts = BotParts(tmp_path, RECIPE.format(base=server.url), timeout=60)

        def badge(_seen: Seen) -> list[bytes]:
            parts.gate.use(load_catalog(RECIPE.format(base=server.url), {}))
            return [reply('{"name": "Ann"}')]

        server.will(badge, reply('[{"id": 7, "name": "Ann"}]'))
        parts.replies.will(calls({"method": "RUN", "url": "remove", "body": {"badge": "b1"}}))
        parts.ask()
        assert [one.url for one in parts.pending()] == [f"{server.url}/people/7"]
        parts.close()
