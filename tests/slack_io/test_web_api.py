"""Slack's Web API through our door: each failure sorted by what may be done about it, the pace kept, people told apart."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import httpcore2
import pytest

from base.proxies import WayOut
from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from emulator.emulator import Workspace
from emulator.world import Channel, Person
from slack_io.pace import PACE
from slack_io.web_api import SlackWeb
from tests.harness.cases import each_row
from tests.harness.logs import logged
from tests.harness.loopback import Loopback, Reply, Request, as_json


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as workspace:
        yield workspace


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def web(workspace: Workspace, clock: Clock) -> SlackWeb:
    return SlackWeb(workspace.bot_token, workspace.api_url, timeout=60, clock=clock)


def at(server: Loopback) -> SlackWeb:
    return SlackWeb("xoxb-local", f"{server.url}/api/", timeout=2)


POST = {"channel": "C0HR", "text": "hello"}


# --- one call ---------------------------------------------------------------------------------------------------------


def test_a_call_gives_slacks_answer(web: SlackWeb, workspace: Workspace) -> None:
    data = web.call("chat.postMessage", POST)
    assert data["ok"] is True
    assert workspace.message("C0HR", data["ts"]) is not None
    assert web.call("users.info", {"user": "U0ANN"})["user"]["id"] == "U0ANN"
    assert workspace.violations == []


def test_a_proxy_is_used_unless_the_host_is_named_as_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # which slack_sdk would read for every address
    with Loopback(lambda _: as_json({"ok": True, "user_id": "U0BOT"})) as proxy:
        by_proxy = WayOut(http=proxy.url, exempt="127.0.0.1")
        web = SlackWeb("xoxb-local", "http://slack.example/api/", timeout=2, way=by_proxy)
        assert web.identity().user == "U0BOT"
        assert [request.path for request in proxy.requests] == ["http://slack.example/api/auth.test"]
        with Loopback(lambda _: as_json({"ok": True, "user_id": "U0NEAR"})) as near:
            web = SlackWeb("xoxb-local", f"{near.url}/api/", timeout=2, way=by_proxy)
            assert web.identity().user == "U0NEAR"
            assert (len(proxy.requests), [one.path for one in near.requests]) == (1, ["/api/auth.test"])


def test_a_refusal_is_final_and_has_slacks_code(web: SlackWeb) -> None:
    with pytest.raises(SlackSaysNo) as told:
        web.call("chat.postMessage", POST | {"channel": "C0GONE"})
    assert told.value.code == "channel_not_found"


HTML = {"Content-Type": "text/html"}
ODD = {
    "503 with nothing": Reply(503, b"", {}),
    "500 with a page": Reply(500, b"<html>Internal Server Error</html>", HTML),
    "502 with JSON": as_json({"ok": False, "error": "bad_gateway"}, 502),
    "200 with nothing": Reply(200, b""),
    "200 with a page": Reply(200, b"<html>Please log in to the company's proxy</html>", HTML),
    "404 with a page": Reply(404, b"<html>Not Found</html>", HTML),
    "a list": Reply(200, b"[]"),
    "a text": Reply(200, b'"ok"'),
    "a number": Reply(200, b"5"),
    "null": Reply(200, b"null"),
    "no ok": Reply(200, b"{}"),
    "no error": Reply(200, b'{"ok": false}'),
    "a number as error": Reply(200, b'{"ok": false, "error": 5}'),
    "no UTF-8": Reply(200, b"\xff\xfe{"),
    "half of JSON": Reply(200, b'{"ok": tr'),
    "half of an answer": Reply(200, b'{"ok": true}', {"Content-Length": "100", "Connection": "close"}),
    "no answer": Reply(drop=True),
    "a redirect to nowhere": Reply(302, b"", {"Location": "http://127.0.0.1:1/"}),
    "more than is read": Reply(200, b'{"ok": true, "a": "' + bytes(17_000_000) + b'"}'),
    "more than is read, of no told length": Reply(
        200, bytes(17_000_000), {"Content-Length": "", "Connection": "close"}
    ),
    "more than is read of a refusal": Reply(500, bytes(17_000_000)),
    "a charset that there is none of": Reply(500, b"no", {"Content-Type": "text/plain; charset=no-such"}),
    "JSON nested too deeply": Reply(200, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "Slack's own trouble": as_json({"ok": False, "error": "internal_error"}),
    "Slack's own trouble, in another word": as_json({"ok": False, "error": "fatal_error"}),
}


@each_row("reply", ODD.values())
@each_row("method", ["chat.postMessage", "users.info"])
def test_what_is_no_answer_of_slack_leaves_it_open_whether_it_was_done(method: str, reply: Reply) -> None:
    with Loopback(lambda _: reply) as server, pytest.raises(SlackUnsure):
        at(server).call(method, {"channel": "C0HR", "user": "U0ANN", "text": "hello"})


def test_an_answer_that_does_not_come_in_time_leaves_it_open() -> None:
    with Loopback(lambda _: Reply(drop=True)) as server:
        server.hold()
        web = SlackWeb("xoxb-local", f"{server.url}/api/", timeout=1)
        with pytest.raises(SlackUnsure):
            web.call("chat.postMessage", POST)


def test_nobody_there_leaves_it_open() -> None:
    with pytest.raises(SlackUnsure):
        SlackWeb("xoxb-local", "http://127.0.0.1:1/api/", timeout=1).call("chat.postMessage", POST)


def test_a_call_makes_no_tls_context_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    web = SlackWeb("xoxb-local", "https://127.0.0.1:1/api/", timeout=1)
    # In place of the one of done_once.py, which nobody would see.
    monkeypatch.setattr(httpcore2, "default_ssl_context", httpcore2._ssl.default_ssl_context)
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda self, *_: made.append(self))
    for _ in range(3):
        with pytest.raises(SlackUnsure):
            web.call("chat.postMessage", POST)
    SlackWeb("xoxb-local", "https://127.0.0.1:1/api/", timeout=1)  # and one for all clients will do
    assert made == []


def test_nothing_is_sent_twice_by_itself() -> None:
    for reply in (Reply(503, b"", {}), Reply(drop=True), as_json({"ok": False, "error": "ratelimited"}, 429)):
        with Loopback(lambda _, reply=reply: reply) as server:  # type: ignore[misc]  # mypy knows no lambda defaults here
            with pytest.raises((SlackUnsure, SlackBusy)):
                at(server).call("chat.postMessage", POST)
            assert len(server.requests) == 1


@each_row(
    "reply, seconds",
    [
        (as_json({"ok": False, "error": "ratelimited"}, 429, **{"Retry-After": "7"}), 7),
        (Reply(429, b"<html>slow down</html>", HTML | {"Retry-After": "30"}), 30),
        (Reply(429, b"", {}), 1),
        (Reply(429, b"", {"Retry-After": "soon"}), 1),
        (Reply(429, b"", {"Retry-After": "nan"}), 1),
        (Reply(429, b"", {"Retry-After": "99999999"}), 3_600),
        (as_json({"ok": False, "error": "rate_limited"}), 1),
    ],
)
def test_slow_down_is_heard_with_its_seconds(reply: Reply, seconds: float) -> None:
    with Loopback(lambda _: reply) as server:
        with pytest.raises(SlackBusy) as told:
            at(server).call("users.info", {"user": "U0ANN"})
        assert told.value.after == seconds


def test_slow_down_holds_that_method_alone(web: SlackWeb, workspace: Workspace, clock: Clock) -> None:
    workspace.fault("chat.postMessage", "ratelimited", retry_after=20)
    with pytest.raises(SlackBusy):
        web.call("chat.postMessage", POST)
    clock.now += 19
    with pytest.raises(SlackBusy) as told:
        web.call("chat.postMessage", POST)
    assert told.value.after == pytest.approx(1)
    with pytest.raises(SlackBusy):
        web.call("chat.postMessage", POST | {"channel": "C0RANDOM"})
    assert len(workspace.calls_of("chat.postMessage")) == 1
    assert web.call("users.info", {"user": "U0ANN"})["ok"]
    clock.now += 1
    assert web.call("chat.postMessage", POST)["ok"]


@pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "account_inactive"])
def test_being_locked_out_is_no_final_word_about_a_message(web: SlackWeb, workspace: Workspace, code: str) -> None:
    workspace.fault("chat.postMessage", "error", code=code)
    with pytest.raises(SlackBusy) as told:
        web.call("chat.postMessage", POST)
    assert told.value.after >= 30


# --- what to do about it ----------------------------------------------------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The explanations in the log."""
    return logged(caplog, event="slack says no")


EXPLAINED = {
    "invalid_auth": "put the Bot User OAuth Token (xoxb-...) of OAuth & Permissions into SLACK_BOT_TOKEN",
    "account_inactive": "install it again",
    "missing_scope": "add chat:write in OAuth & Permissions > Scopes > Bot Token Scopes, then press Reinstall",
    "not_in_channel": "write /invite",
    "is_archived": "unarchive it",
}


@pytest.mark.parametrize(("code", "words"), EXPLAINED.items())
def test_the_log_says_what_to_do_about_an_error_once(code: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    refused = as_json({"ok": False, "error": code, "needed": "chat:write", "provided": "users:read"})
    with Loopback(lambda _: refused) as server:
        web = at(server)
        for _ in range(3):
            with pytest.raises((SlackBusy, SlackSaysNo)):
                web.call("chat.postMessage", POST)
        with pytest.raises((SlackBusy, SlackSaysNo)):
            web.call("users.info", {"user": "U0ANN"})

    assert [line["method"] for line in told(caplog)] == ["chat.postMessage", "users.info"]
    assert all(line["error"] == code and words in line["hint"] for line in told(caplog))


def test_an_error_that_comes_back_after_it_was_mended_is_explained_again(
    web: SlackWeb, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        workspace.fault("chat.postMessage", "error", code="not_in_channel")
        with pytest.raises(SlackSaysNo):
            web.call("chat.postMessage", POST)
        web.call("chat.postMessage", POST)

    assert len(told(caplog)) == 2


def test_an_error_without_advice_is_nobodys_news(
    web: SlackWeb, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.fault("chat.postMessage", "error", code="msg_too_long")
    with pytest.raises(SlackSaysNo) as refused:
        web.call("chat.postMessage", POST)

    assert refused.value.hint is None
    assert told(caplog) == []


# --- the pace ---------------------------------------------------------------------------------------------------------


def test_a_long_row_of_messages_never_runs_into_slacks_limits() -> None:
    clock = Clock()
    with Workspace(enforce_rates=True, clock=clock) as workspace:
        web = SlackWeb(workspace.bot_token, workspace.api_url, clock=clock)
        sent = 0
        while sent < 30:
            try:
                web.call("chat.postMessage", POST | {"text": str(sent)})
                sent += 1
            except SlackBusy as busy:
                clock.now += busy.after
        assert {call.status for call in workspace.calls} == {200}
        assert [m["text"] for m in workspace.messages()] == [str(i) for i in range(30)]
        assert clock.now - 1_000 <= 35  # about one a second


def test_channels_have_a_pace_each(web: SlackWeb, workspace: Workspace) -> None:
    limit, _ = PACE["chat.postMessage"]
    for _ in range(limit):
        web.call("chat.postMessage", POST)
    with pytest.raises(SlackBusy):
        web.call("chat.postMessage", POST)
    assert web.call("chat.postMessage", POST | {"channel": "C0RANDOM"})["ok"]
    assert len(workspace.calls) == limit + 1


# --- the directory ----------------------------------------------------------------------------------------------------


def test_the_bot_asks_once_who_it_is(web: SlackWeb, workspace: Workspace) -> None:
    own = web.identity()
    assert (own.user, own.team, own.enterprise) == ("U0BOT", "T0LOCAL", "")
    assert web.identity() == own
    assert len(workspace.calls_of("auth.test")) == 1


PEOPLE = {
    "member": (Person("U1", "mia", "Mia Member"), False),
    "guest": (Person("U1", "gus", "Gus Guest", is_restricted=True), True),
    "single-channel guest": (Person("U1", "gus", "Gus Guest", is_ultra_restricted=True), True),
    "stranger": (Person("U1", "sam", "Sam Stranger", is_stranger=True), True),
    "deactivated": (Person("U1", "gone", "Gone Already", deleted=True), True),
    "another bot": (Person("U1", "robo", "Robo", is_bot=True), True),
    "member of another workspace": (Person("U1", "olga", "Olga Other", team_id="T0OTHER"), True),
}


@pytest.mark.parametrize(("person", "outsider"), PEOPLE.values(), ids=PEOPLE)
def test_outsiders_are_told_by_slacks_own_flags(
    web: SlackWeb, workspace: Workspace, person: Person, outsider: bool
) -> None:
    workspace.add_person(person)
    assert web.is_outsider("U1") is outsider


OF_GRID = {"team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}
ADDRESSES: dict[str, tuple[dict[str, Any], object, str | None]] = {
    "a member": ({"team_id": "T1"}, "Ann@Example.COM", "example.com"),
    "of the organisation": (OF_GRID, "ann@example.com", "example.com"),
    "two signs": ({"team_id": "T1"}, '"a@evil.org"@example.com', "example.com"),
    "not shown": ({"team_id": "T1"}, None, None),
    "no address": ({"team_id": "T1"}, "example.com", None),
    "not confirmed": ({"team_id": "T1", "is_email_confirmed": False}, "ann@example.com", ""),
    "a guest": ({"team_id": "T1", "is_restricted": True}, "gus@example.com", ""),
    "a guest of one channel": ({"team_id": "T1", "is_ultra_restricted": True}, "gus@example.com", ""),
    "a guest of the organisation": (OF_GRID | {"is_restricted": True}, "gus@example.com", ""),
    "of another workspace": ({"team_id": "T2"}, "eve@example.com", ""),
    "of another organisation": ({"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, "eve@example.com", ""),
    "a stranger": ({"team_id": "T1", "is_stranger": True}, "eve@example.com", ""),
    "of nobody knows where": ({}, "eve@example.com", ""),
    "a bot": ({"team_id": "T1", "is_bot": True}, "bot@example.com", ""),
    "gone": ({"team_id": "T1", "deleted": True}, "tom@example.com", ""),
}  # fmt: skip


@each_row("person, address, domain", ADDRESSES.values())
def test_only_a_full_members_address_counts(person: dict[str, Any], address: object, domain: str | None) -> None:
    """What Slack shows of others is what another workspace, or whoever invited them, says."""
    with grid(person | {"profile": {"email": address}}) as server:
        assert at(server).email_domain("U1") == domain


def test_an_address_needs_its_scope(workspace: Workspace, web: SlackWeb) -> None:
    assert web.email_domain("U0BEN") is None
    assert web.email_domain("U0NOBODY") is None


def test_somebody_unknown_is_neither(web: SlackWeb, workspace: Workspace) -> None:
    assert web.is_outsider("U0NOBODY") is None
    workspace.add_person(Person("U0NOBODY", "new", "New Here"))
    assert web.is_outsider("U0NOBODY") is False


def test_people_are_kept_for_ten_minutes(web: SlackWeb, workspace: Workspace, clock: Clock) -> None:
    assert web.is_outsider("U0BEN") is False
    workspace.add_person(Person("U0BEN", "ben", "Ben Ortiz", deleted=True))
    clock.now += 599
    assert web.is_outsider("U0BEN") is False
    assert len(workspace.calls_of("users.info")) == 1
    clock.now += 1
    assert web.is_outsider("U0BEN") is True


def test_no_answer_about_a_person_is_not_taken_for_one(web: SlackWeb, workspace: Workspace) -> None:
    workspace.fault("users.info", "empty_503")
    with pytest.raises(SlackUnsure):
        web.is_outsider("U0GUS")
    assert web.is_outsider("U0GUS") is True


def grid(person: dict[str, Any]) -> Loopback:
    """A workspace T1 of the enterprise E1, with one person."""

    def answer(request: Request) -> Reply:
        if request.path.startswith("/api/auth.test"):
            return as_json({"ok": True, "user_id": "U0BOT", "team_id": "T1", "enterprise_id": "E1"})
        return as_json({"ok": True, "user": {"id": "U1"} | person})

    return Loopback(answer)


GRID: dict[str, tuple[dict[str, Any], bool]] = {
    "same workspace": ({"team_id": "T1"}, False),
    "same organisation": ({"team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}, False),
    "other organisation": ({"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, True),
    "no organisation": ({"team_id": "T2"}, True),
    "nulls": ({"team_id": "T2", "enterprise_user": None}, True),
    "a guest of the same organisation": (
        {"team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}, "is_restricted": True}, True,
    ),
}  # fmt: skip


@each_row("person, outsider", GRID.values())
def test_in_an_enterprise_grid_the_organisation_counts(person: dict[str, Any], outsider: bool) -> None:
    with grid(person) as server:
        assert at(server).is_outsider("U1") is outsider


def test_channels_are_known_by_name_and_kept(web: SlackWeb, workspace: Workspace, clock: Clock) -> None:
    assert web.channel_name("C0HR") == "hr-bot"
    workspace.add_channel(Channel("C0HR", "renamed", ("U0ANN",)))
    assert web.channel_name("C0HR") == "hr-bot"
    assert len(workspace.calls_of("conversations.info")) == 1
    clock.now += 3_600
    assert web.channel_name("C0HR") == "renamed"


def test_a_channel_that_is_not_there_has_no_name(web: SlackWeb) -> None:
    assert web.channel_name("C0GONE") is None
