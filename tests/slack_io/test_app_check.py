"""`check --slack`: each thing that can be wrong between Slack, the tokens and the settings, in words that say what to click."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot import main
from slack_io.app_check import check_app
from slack_io.slack_app import NEEDED
from slack_io.web_api import SlackWeb
from tests.harness.cases import each_row
from tests.harness.loopback import Loopback, Reply, Request, as_json

Json = dict[str, Any]
Answer = Json | Reply | Callable[[Mapping[str, str]], Json]


def refused(code: str, **more: str) -> Json:
    return {"ok": False, "error": code, **more}


class Slack(Loopback):
    """A workspace where all is well, but for the answers in `instead`: method -> JSON, or a function of the arguments."""

    def __init__(self, **instead: Answer) -> None:
        super().__init__(self._reply)
        self.scopes = set(NEEDED)
        self.instead = {name.replace("_", "."): answer for name, answer in instead.items()}

    def _reply(self, request: Request) -> Reply:
        path, _, query = request.path.partition("?")
        method = path.removeprefix("/api/")
        asked = dict(urllib.parse.parse_qsl(query or request.body.decode()))
        answer = self.instead.get(method) or _ANSWERS[method]
        answer = answer(asked) if callable(answer) else answer
        if isinstance(answer, Reply):
            return answer
        scopes = {"Content-Type": "application/json", "x-oauth-scopes": ",".join(sorted(self.scopes))}
        return Reply(200, json.dumps({"ok": True, **answer}).encode(), scopes)


CHANNEL = {"id": "C0HR", "name": "hr-bot", "is_member": True, "is_archived": False}
_ANSWERS: dict[str, Answer] = {
    "auth.test": {"user": "hr-bot", "user_id": "U0BOT", "bot_id": "B0BOT", "team_id": "T1"},
    "apps.connections.open": {"url": "wss://wss.slack.com/link/?ticket=1"},
    "conversations.info": {"channel": CHANNEL},
    "conversations.list": {"channels": [CHANNEL]},
    "usergroups.list": {"usergroups": [{"id": "S0LEADS", "handle": "leads"}]},
}


def found(
    slack: Slack,
    *channels: str,
    approvers: tuple[str, ...] = (),
    askers: tuple[str, ...] = (),
    needed: Mapping[str, Collection[str]] = MappingProxyType({}),
    in_socket_mode: bool = False,
) -> list[str]:
    """What the check finds wrong."""
    with slack:
        url = f"{slack.url}/api/"
        socket = SlackWeb("xapp-1", url, timeout=2, setting="SLACK_APP_TOKEN") if in_socket_mode else None
        return check_app(SlackWeb("xoxb-1", url, timeout=2), socket, channels, approvers, askers, needed)


def the_one(wrong: list[str]) -> str:
    assert len(wrong) == 1, wrong
    return wrong[0]


def test_where_all_is_well_nothing_is_found() -> None:
    assert (
        found(Slack(), "C0HR", "#hr-bot", approvers=("@leads", "S0LEADS", "U0ANN", "asker"), in_socket_mode=True) == []
    )


def test_nothing_is_written_in_slack() -> None:
    slack = Slack()
    found(slack, "C0HR", "#hr-bot", approvers=("@leads",), in_socket_mode=True)

    asked = {request.path.partition("?")[0].removeprefix("/api/") for request in slack.requests}
    assert asked == set(_ANSWERS)


# --- the token --------------------------------------------------------------------------------------------------------

LOCKED_OUT = {
    "invalid_auth": "put the Bot User OAuth Token (xoxb-...) of OAuth & Permissions into SLACK_BOT_TOKEN",
    "token_revoked": "was revoked; install the app again",
    "token_expired": "token rotation, which cannot be switched off; create the app again",
    "account_inactive": "was removed from the workspace",
    "not_allowed_token_type": "is of the wrong kind",
}


@each_row("code, words", LOCKED_OUT.items())
def test_a_token_that_slack_does_not_take_is_the_one_thing_told_of_the_bot(code: str, words: str) -> None:
    wrong = the_one(found(Slack(auth_test=refused(code)), "C0HR", "#gone", approvers=("@nobody",)))

    assert wrong.startswith("SLACK_BOT_TOKEN: ")
    assert words in wrong


def test_a_persons_token_is_told_from_a_bots() -> None:
    wrong = the_one(found(Slack(auth_test={"user": "ann", "user_id": "U0ANN", "team_id": "T1"}), "C0HR"))

    assert "a person's token; put the Bot User OAuth Token (xoxb-...)" in wrong


def test_missing_scopes_are_named_with_what_to_click() -> None:
    slack = Slack()
    slack.scopes -= {"chat:write", "usergroups:read"}
    wrong = the_one(found(slack, "C0HR"))

    assert "add chat:write, usergroups:read in OAuth & Permissions > Scopes > Bot Token Scopes" in wrong
    assert "Reinstall to Workspace" in wrong


def test_more_scopes_than_needed_are_nobodys_business() -> None:
    slack = Slack()
    slack.scopes |= {"files:read"}
    assert found(slack, "C0HR") == []


def test_where_slack_tells_no_scopes_none_are_missed() -> None:
    assert found(Slack(auth_test=as_json({"ok": True, "user": "hr-bot", "bot_id": "B0BOT"}))) == []


def test_a_slack_that_cannot_be_reached_is_told_as_such() -> None:
    wrong = check_app(SlackWeb("xoxb-1", "http://127.0.0.1:1/api/", timeout=1), None, ["C0HR"], [])

    assert "check that this machine can reach Slack" in the_one(wrong)


# --- channels ---------------------------------------------------------------------------------------------------------


def info(**changes: object) -> Json:
    return {"channel": CHANNEL | changes}


@each_row(
    "answer, words",
    [
        (refused("channel_not_found"), "no such channel, or a private one"),
        (refused("missing_scope", needed="channels:read"), "add channels:read in OAuth & Permissions"),
        (refused("odd_new_code"), "Slack says odd_new_code to conversations.info"),
        (info(is_member=False), "the bot is not in it; write /invite @hr-bot there"),
        (info(is_archived=True), "archived"),
    ],
)
def test_what_is_wrong_with_a_channel_by_id_is_told_with_the_id(answer: Json, words: str) -> None:
    wrong = the_one(found(Slack(conversations_info=answer), "C0OTHER"))

    assert wrong.startswith("SLACK_CHANNEL C0OTHER: ")
    assert words in wrong


@each_row(
    "listed, words",
    [
        ([], "no channel of this name"),
        ([CHANNEL | {"name": "hr"}], "no channel of this name"),
        ([CHANNEL | {"is_member": False}], "write /invite @hr-bot there"),
        ([CHANNEL | {"is_archived": True}], "archived"),
        ([None, "x", {"name": 7}], "no channel of this name"),
        (None, "no channel of this name"),
    ],
)
def test_what_is_wrong_with_a_channel_by_name_is_told_with_the_name(listed: object, words: str) -> None:
    wrong = the_one(found(Slack(conversations_list={"channels": listed}), "#hr-bot"))

    assert wrong.startswith("SLACK_CHANNEL #hr-bot: ")
    assert words in wrong


def test_a_living_channel_counts_before_an_archived_one_of_the_same_name() -> None:
    old = CHANNEL | {"id": "C0OLD", "is_archived": True, "is_member": False}
    for listed in ([old, CHANNEL], [CHANNEL, old]):
        assert found(Slack(conversations_list={"channels": listed}), "#hr-bot") == []


def test_a_name_is_looked_for_on_every_page_and_the_pages_are_read_once() -> None:
    def pages(asked: Mapping[str, str]) -> Json:
        number = int(asked.get("cursor", "0"))
        names = [{"name": f"c{number}", "is_member": True}]
        return {"channels": names, "response_metadata": {"next_cursor": str(number + 1) if number < 4 else ""}}

    slack = Slack(conversations_list=pages)
    assert found(slack, "#c0", "#c4") == []
    assert sum(request.path.startswith("/api/conversations.list") for request in slack.requests) == 5


def test_pages_without_an_end_are_left() -> None:
    page = {"channels": [], "response_metadata": {"next_cursor": "again"}}
    assert "no channel of this name" in the_one(found(Slack(conversations_list=page), "#hr-bot"))


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_group_that_is_not_there_is_told_with_its_name() -> None:
    gone = [{"id": "S0OLD", "handle": "old", "date_delete": 1_700_000_000}, {"id": "S0LEADS", "handle": "leads"}]
    wrong = found(Slack(usergroups_list={"usergroups": gone}), approvers=("@leads", "@old", "S0NONE", "@leads"))

    assert [one.split(":")[0] for one in wrong] == ["approvers @old", "approvers S0NONE"]
    assert all("nobody can approve through it" in one for one in wrong)


@pytest.mark.parametrize("code", ["plan_upgrade_required", "paid_teams_only"])
def test_a_plan_without_groups_is_told_with_another_way(code: str) -> None:
    wrong = the_one(found(Slack(usergroups_list=refused(code)), approvers=("@leads", "@heads")))

    assert wrong.startswith("approvers @heads, @leads: user groups need a paid plan")


def test_groups_that_may_ask_are_looked_for_as_well() -> None:
    wrong = found(
        Slack(),
        approvers=("@leads",),
        askers=("@leads", "@staff", "U0ANN", "example.com", "B0FLOW"),
        needed={"users:read.email": ("askers example.com",)},
    )

    assert [one.split(":")[0] for one in wrong] == ["askers @staff", "askers example.com"]
    assert "nobody can ask through it" in wrong[0]


def test_domains_need_a_scope_that_the_manifests_leave_out() -> None:
    slack, seeing = Slack(), Slack()
    seeing.scopes |= {"users:read.email"}
    wrong = the_one(
        found(slack, "C0HR", needed={"users:read.email": ("askers example.com, example.org", "auth of HR")})
    )

    assert wrong == (
        "askers example.com, example.org, auth of HR: the bot may not see e-mail addresses: add users:read.email in OAuth & Permissions "
        "> Scopes > "
        "Bot Token Scopes, then press Reinstall to Workspace; until then it knows nobody's"
    )
    assert found(seeing, "C0HR", needed={"users:read.email": ("auth of HR",), "im:write": ()}) == []
    assert found(Slack(), "C0HR", askers=("U0ANN",)) == []


# --- socket mode ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["invalid_auth", "not_allowed_token_type", "missing_scope"])
def test_a_wrong_app_level_token_is_told_also_where_the_bots_is_wrong(code: str) -> None:
    slack = Slack(apps_connections_open=refused(code), auth_test=refused("invalid_auth"))
    of_bot, of_app = found(slack, "C0HR", in_socket_mode=True)

    assert of_bot.startswith("SLACK_BOT_TOKEN: ")
    assert of_app.startswith("SLACK_APP_TOKEN: ")
    assert "Basic Information > App-Level Tokens" in of_app


def test_over_http_no_socket_is_asked_for() -> None:
    slack = Slack(apps_connections_open=refused("invalid_auth"))
    assert found(slack, "C0HR") == []


# --- the command ------------------------------------------------------------------------------------------------------


def run(where: Path, monkeypatch: pytest.MonkeyPatch, api_url: str, **settings: str) -> Result:
    monkeypatch.chdir(where)
    (where / "apis.yaml").write_text(
        "name: HR\nbase_url: https://hr.example\nendpoints:\n"
        "  - {method: DELETE, url: '/users/[id]', description: Removes., approval: {approvers: ['@hr-leads']}}\n"
        "channels: {'#hr-bot': {approval: {approvers: ['@heads']}}}\n"
    )
    given = {"SLACK_BOT_TOKEN": "xoxb-local", "SLACK_SIGNING_SECRET": "s", "SLACK_CHANNEL": "#hr-bot"}
    nothing = dict.fromkeys(os.environ)
    return CliRunner().invoke(main, ["check", "--slack"], env=nothing | given | {"SLACK_API_URL": api_url} | settings)


def test_the_command_ends_with_1_and_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Slack(conversations_list=info(is_member=False) | {"channels": []}) as slack:
        done = run(tmp_path, monkeypatch, f"{slack.url}/api/")

    assert done.exit_code == 1
    assert "1 operation, no mistakes found." in done.output
    lines = done.stdout.splitlines()
    assert [line[:40] for line in lines if line.startswith("- ")] == [
        "- SLACK_CHANNEL #hr-bot: the bot sees no",
        "- approvers @heads: no such user group: ",
        "- approvers @hr-leads: no such user grou",
    ]
    assert lines[-1] == "Slack: 3 problems, see above."
    assert "slack says no" not in done.output


def test_the_command_ends_with_0_where_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"usergroups": [{"id": "S1", "handle": "hr-leads"}, {"id": "S2", "handle": "heads"}]}
    with Slack(usergroups_list=groups) as slack:
        done = run(tmp_path, monkeypatch, f"{slack.url}/api/", SLACK_SIGNING_SECRET="", SLACK_APP_TOKEN="xapp-1")

    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "Slack: no problems.")


def test_the_command_needs_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(tmp_path, monkeypatch, "", SLACK_BOT_TOKEN="")

    assert done.exit_code == 2
    assert "SLACK_BOT_TOKEN is not set" in done.output
