"""The whole bot behind Slack's WebSocket: nothing reaches it over HTTP, nothing is lost or done twice when connections come and go.

That it does the same as over HTTP is tested in test_bot_scenarios.py, by the tests marked BOTH_WAYS; killed processes in test_crash.py.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from demo.hr_api import HrApi
from emulator.delivery import Retry
from emulator.emulator import Workspace
from emulator.workspace_parts import NO_ACK
from tests.harness.cases import each_row
from tests.harness.logs import logged
from tests.harness.whole_bot import Person, RunningBot, Script, Talk, calls, card_text, form, says, until

pytestmark = [pytest.mark.waits, pytest.mark.parametrize("over", ["socket"])]
REMOVE_TOM = calls(("DELETE", "/api/users/7"))


def writes(hr: HrApi) -> list[str]:
    return [f"{one.method} {one.path}" for one in hr.requests if one.method != "GET"]


@each_row("path", ["/slack/events", "/slack/interactions"])
def test_over_http_there_is_no_door(bot: RunningBot, path: str, workspace: Workspace) -> None:
    for body in (b"{}", json.dumps({"type": "url_verification", "challenge": "c"}).encode(), form({})):
        assert bot.post(path, body).status == 404


def test_readyz_tells_whether_the_socket_is_connected(bot: RunningBot, workspace: Workspace) -> None:
    answer = bot.request("GET", "/readyz")
    assert (answer.status, answer.json()["socket"]) == (200, "ok")
    assert bot.request("GET", "/healthz").status == 200

    workspace.fault("apps.connections.open", "http_500", times=100)
    workspace.drop_sockets()
    workspace.wait(lambda: bot.request("GET", "/readyz").status == 503)
    checks = bot.request("GET", "/readyz").json()
    assert (checks["socket"], checks["database"]) == ("not connected", "ok")
    assert bot.request("GET", "/healthz").status == 200


def test_a_card_is_approved_and_the_write_goes_out(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi, workspace: Workspace
) -> None:
    model.will(REMOVE_TOM, says("Tom is gone."))
    talk = ann.asks("remove Tom Berg")

    assert ann.presses(talk.card(), "approve") == 200
    assert talk.answer() == "Tom is gone."
    assert writes(hr) == ["DELETE /api/users/7"]
    assert workspace.notices("U0ANN") == []


def test_a_reason_is_given_in_a_modal_that_closes(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi, workspace: Workspace
) -> None:
    model.will(REMOVE_TOM, says("Then not."))
    talk = ann.asks("remove Tom Berg")
    ann.presses(talk.card(), "deny_reason")
    (view,) = workspace.wait(lambda: workspace.modals("U0ANN"))

    reply = workspace.submit(view["id"], "U0ANN", {"reason": "he stays until May"})

    assert (reply.status, reply.json()) == (200, {})
    assert workspace.modals("U0ANN") == []
    assert talk.answer() == "Then not."
    assert "he stays until May" in card_text(talk.cards()[0])
    assert writes(hr) == []
    assert workspace.notices("U0ANN") == []


def test_app_home_is_drawn(bot: RunningBot, workspace: Workspace) -> None:
    workspace.open_home("U0ANN")

    assert workspace.wait(lambda: workspace.home("U0ANN"))


def test_a_refresh_loses_nothing_and_the_new_connection_is_there_before_the_old_one_goes(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    workspace.refresh_sockets(close_after=20)
    before = ann.asks("one")
    workspace.wait(lambda: len(workspace.calls_of("apps.connections.open")) == 2)
    workspace.wait(lambda: workspace.connections == 1)
    after = ann.asks("two")

    assert (before.answer(), after.answer()) == ("Done.", "Done.")
    assert [attempt.number for attempt in workspace.attempts] == [0, 0]


def test_events_during_a_row_of_refreshes_are_each_answered_once(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    talks = []
    for number in range(6):
        workspace.refresh_sockets(close_after=0.05)
        ts = workspace.say("U0ANN", f"@hr-bot question {number}")
        talks.append(Talk(workspace, ts))

    assert [talk.answer() for talk in talks] == ["Done."] * 6
    bot.settle()
    assert [talk.answers() for talk in talks] == [["Done."]] * 6
    assert len(model.asked) == 6


def test_a_connection_lost_between_record_and_ack_makes_no_second_turn(
    bot: RunningBot, model: Script, workspace: Workspace, tmp_path: Path
) -> None:
    """The event waits for the database when its connection breaks: recorded then, it cannot be acknowledged any more."""
    db = sqlite3.connect(tmp_path / "bot.db", timeout=10, isolation_level=None)
    db.execute("begin immediate")
    ts = workspace.say("U0ANN", "@hr-bot hello")
    sockets = workspace.sockets
    assert sockets is not None
    until(lambda: sockets.unacknowledged)
    workspace.drop_sockets()
    workspace.wait(lambda: workspace.attempts)
    db.close()

    assert Talk(workspace, ts).answer() == "Done."
    workspace.wait(lambda: [attempt for attempt in workspace.attempts if attempt.reply.ok])
    bot.settle()
    assert not workspace.attempts[0].reply.ok
    assert Talk(workspace, ts).answers() == ["Done."]
    assert len(model.asked) == 1


def test_what_the_database_does_not_take_is_not_acknowledged_and_taken_up_when_slack_sends_it_again(
    bot: RunningBot, workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table inbox rename to elsewhere")
    ts = workspace.say("U0ANN", "@hr-bot hello")
    workspace.wait(lambda: workspace.attempts)
    assert not workspace.attempts[0].reply.ok
    assert logged(caplog, event="not recorded")

    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table elsewhere rename to inbox")
    assert Talk(workspace, ts).answer() == "Done."


def test_a_press_that_could_not_be_recorded_is_told_by_slack_and_decides_nothing(
    bot: RunningBot, ann: Person, model: Script, hr: HrApi, workspace: Workspace, tmp_path: Path
) -> None:
    model.will(REMOVE_TOM, says("Tom is gone."))
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table inbox rename to elsewhere")
    assert ann.presses(card, "approve") == 0
    assert workspace.notices("U0ANN") == [NO_ACK]
    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table elsewhere rename to inbox")

    assert writes(hr) == []
    assert ann.presses(card, "approve") == 200
    assert talk.answer() == "Tom is gone."


def test_an_event_that_comes_again_is_one_turn(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    talk = ann.asks("hello")
    talk.answer()
    for _ in range(3):
        workspace.redeliver_last()
    workspace.wait(lambda: len(workspace.attempts) == 4)
    bot.settle()

    assert [attempt.reply.status for attempt in workspace.attempts] == [200] * 4
    assert len(model.asked) == 1
    assert talk.answers() == ["Done."]


def test_events_for_nobody_are_acknowledged(bot: RunningBot, model: Script, workspace: Workspace) -> None:
    for event in ({"type": "team_join"}, {"type": "app_mention"}, {}, None):
        envelope = {"type": "event_callback", "event_id": "Ev1", "team_id": "T0LOCAL", "event": event}
        assert workspace.courier.carrier.event(envelope, Retry()).status == 200
    for payload in ({"type": "view_closed"}, {"type": "block_actions", "actions": None}, {"type": "of_next_year"}):
        assert workspace.courier.interaction(payload).status == 200
    bot.settle()
    assert model.asked == []
