"""The front door: what is not Slack's is 401, what is malformed is 400, nothing is a 500, and the 200 means "recorded"."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from emulator.emulator import Workspace
from model.chat import ModelFailed
from model.refusals import Failure
from slack_io.health import CachedCheck
from tests.harness.cases import each_row
from tests.harness.whole_bot import (
    CATALOG,
    SIGNING_SECRET,
    Json,
    Person,
    RunningBot,
    Script,
    StartBot,
    Talk,
    at_once,
    calls,
    click_of,
    form,
    mention_of,
    said_by_people,
    says,
    settings_of,
    signed,
    until,
)

EVENTS, CLICKS = "/slack/events", "/slack/interactions"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
DOORS = {EVENTS: (b'{"type":"event_callback","event":{"type":"app_mention"}}', JSON), CLICKS: (form({}), FORM)}
MB = 1_048_576


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, _logs: None) -> Iterator[RunningBot]:
    """One bot for all requests that are to leave no trace."""
    with Workspace(signing_secret=SIGNING_SECRET) as workspace:
        given = {
            "slack_bot_token": workspace.bot_token,
            "slack_signing_secret": SIGNING_SECRET,
            "slack_channel": "#hr-bot",
            "slack_api_url": workspace.api_url,
            "database_url": f"sqlite:///{tmp_path_factory.mktemp('door')}/bot.db",
        }
        catalog = CATALOG.read_text("utf-8").replace("${HR_API_URL}", "http://127.0.0.1:9")
        bot = RunningBot(workspace, settings_of(**given), catalog, Script()).start()
        yield bot
        assert bot.store.unrested() == ([], [], [])
        bot.stop()
        assert workspace.calls_of("chat.postMessage") == []


# --- who is let in ----------------------------------------------------------------------------------------------------


def now(seconds: float = 0) -> str:
    return str(int(time.time() + seconds))


STRANGERS: dict[str, Callable[[bytes], dict[str, str | None]]] = {
    "no headers": lambda body: {"X-Slack-Request-Timestamp": None, "X-Slack-Signature": None},
    "no timestamp": lambda body: {"X-Slack-Request-Timestamp": None},
    "no signature": lambda body: {"X-Slack-Signature": None},
    "empty timestamp": lambda body: {**signed(body, "")},
    "empty signature": lambda body: {"X-Slack-Signature": ""},
    "six minutes old": lambda body: {**signed(body, now(-360))},
    "six minutes ahead": lambda body: {**signed(body, now(360))},
    "no number": lambda body: {**signed(body, "yesterday")},
    "a fraction": lambda body: {**signed(body, f"{time.time():.3f}")},
    "negative": lambda body: {**signed(body, "-" + now())},
    "infinite": lambda body: {**signed(body, "inf")},
    "five thousand digits": lambda body: {**signed(body, "1" * 5_000)},
    "superscript digits": lambda body: {"X-Slack-Request-Timestamp": "²³¹"},
    "an underscore in it": lambda body: {**signed(body, f"{now()[:4]}_{now()[4:]}")},
    "a signature that is no ASCII": lambda body: {"X-Slack-Signature": "v0=é" + "a" * 63},
    "another secret": lambda body: {**signed(body, secret="not-the-secret")},
    "another body's signature": lambda body: {**signed(body + b" ")},
    "another moment's signature": lambda body: {"X-Slack-Request-Timestamp": now(-7)},
    "no version": lambda body: {"X-Slack-Signature": str(signed(body)["X-Slack-Signature"]).removeprefix("v0=")},
    "another version": lambda body: {"X-Slack-Signature": str(signed(body)["X-Slack-Signature"]).replace("v0=", "v1=")},
    "only the beginning": lambda body: {"X-Slack-Signature": str(signed(body)["X-Slack-Signature"])[:20]},
}


@each_row("path", DOORS)
@each_row("stranger", STRANGERS)
def test_what_slack_did_not_sign_is_401(door: RunningBot, path: str, stranger: str) -> None:
    body, content_type = DOORS[path]

    assert door.post(path, body, content_type, STRANGERS[stranger](body)).status == 401


def test_a_timestamp_in_arabic_digits_is_401(door: RunningBot) -> None:
    body = DOORS[EVENTS][0]
    digits = now().translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    headers = {name: value.encode().decode("latin-1") for name, value in signed(body, digits).items()}

    assert door.post(EVENTS, body, JSON, {**headers}).status == 401


def test_a_click_that_slack_did_not_sign_decides_nothing(
    bot: RunningBot, ann: Person, model: Script, hr: Any, workspace: Workspace
) -> None:
    model.will(calls(("DELETE", "/api/users/7")))
    talk = ann.asks("remove Tom Berg")
    body = form(click_of(talk.card(), talk, "U0ANN", "approve"))

    assert bot.post(CLICKS, body, FORM, {**signed(body, secret="guessed")}).status == 401
    bot.settle()
    assert [one.method for one in hr.requests] == ["GET"]
    assert "Approval needed" in talk.cards()[0]["text"]


# --- what is malformed ------------------------------------------------------------------------------------------------

NESTED = b"[" * 100_000 + b"]" * 100_000
HUGE_NUMBER = b'{"type":"event_callback","event":' + b"9" * 10_000 + b"}"
PARTS = b'--x\r\nContent-Disposition: form-data; name="payload"\r\n\r\n{}\r\n--x--\r\n'
MALFORMED: list[tuple[str, bytes, str]] = [
    (EVENTS, b"", JSON),
    (EVENTS, b"hello", JSON),
    (EVENTS, b'{"type":', JSON),
    (EVENTS, b"[]", JSON),
    (EVENTS, b"null", JSON),
    (EVENTS, b"7", JSON),
    (EVENTS, b'"event"', JSON),
    (EVENTS, b'{"type":"event_callback"} trailing', JSON),
    (EVENTS, NESTED, JSON),
    (EVENTS, b'{"event":' + NESTED + b"}", JSON),
    (EVENTS, HUGE_NUMBER, JSON),
    (EVENTS, b"\xff\xfe{}", JSON),
    (EVENTS, b'{"type":"\xff"}', JSON),
    (EVENTS, form({"type": "block_actions"}), FORM),
    (CLICKS, b"", FORM),
    (CLICKS, b"", JSON),
    (CLICKS, b'{"type":"block_actions"}', JSON),
    (CLICKS, b"other=1", FORM),
    (CLICKS, b"payload=", FORM),
    (CLICKS, form("hello"), FORM),
    (CLICKS, form("[]"), FORM),
    (CLICKS, form("null"), FORM),
    (CLICKS, form("7"), FORM),
    (CLICKS, form(NESTED.decode()), FORM),
    (CLICKS, form(HUGE_NUMBER.decode()), FORM),
    (CLICKS, b"payload=%ff%fe", FORM),
    (CLICKS, b"payload=\xff\xfe", FORM),
    (CLICKS, form({"type": "block_actions"}), "multipart/form-data; boundary=x"),
    (CLICKS, form({"type": "block_actions"}), "text/plain"),
    (CLICKS, PARTS, "multipart/form-data; boundary=x"),
]


@each_row("path, body, content_type", MALFORMED)
def test_a_signed_but_malformed_body_is_400(door: RunningBot, path: str, body: bytes, content_type: str) -> None:
    assert door.post(path, body, content_type).status == 400


@each_row("path", DOORS)
def test_a_body_over_a_megabyte_is_refused(door: RunningBot, path: str) -> None:
    body = form({"filler": "x" * MB}) if path == CLICKS else json.dumps({"event": "x" * MB}).encode()

    assert door.post(path, body, DOORS[path][1]).status in (400, 413)


@each_row("path", DOORS)
def test_a_form_with_a_hundred_thousand_fields_is_no_500(door: RunningBot, path: str) -> None:
    assert door.post(path, b"&".join([b"a=1"] * 100_000), FORM).status in (400, 413)


@each_row("path", DOORS)
@each_row("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_no_500(door: RunningBot, path: str, method: str) -> None:
    assert door.request(method, path).status < 500


@each_row("path", ["/", "/slack", "/slack/", "/slack/events/", "/slack/other", "/%ff", "/slack/%00"])
def test_other_paths_are_no_500(door: RunningBot, path: str) -> None:
    assert door.request("GET", path).status in (401, 404)
    assert door.post(path, b"{}").status in (400, 404, 405)


# --- what is not for us -----------------------------------------------------------------------------------------------


def test_the_url_challenge_is_echoed_if_signed(door: RunningBot) -> None:
    body = json.dumps({"token": "t", "challenge": "3eZbrw1aB10fEE", "type": "url_verification"}).encode()

    answer = door.post(EVENTS, body)
    assert (answer.status, "3eZbrw1aB10fEE" in answer.text) == (200, True)

    answer = door.post(EVENTS, body, JSON, {"X-Slack-Signature": "v0=" + "0" * 64})
    assert (answer.status, "3eZbrw1aB10fEE" in answer.text) == (401, False)


@each_row("challenge", [None, 7, [], {}, ["a"], True, 0.5, "", "<script>alert(1)</script>"])
def test_an_odd_challenge_is_no_500(door: RunningBot, challenge: object) -> None:
    answer = door.post(EVENTS, json.dumps({"type": "url_verification", "challenge": challenge}).encode())

    assert answer.status < 500
    assert not ("<script>" in answer.text and "html" in answer.headers.get("Content-Type", ""))


OTHER_EVENTS: list[Json] = [
    {"type": "app_rate_limited", "team_id": "T0LOCAL", "minute_rate_limited": 1_518_467_820, "api_app_id": "A0APP"},
    {"type": "event_callback", "team_id": "T0LOCAL", "event_id": "Ev1", "event": {"type": "team_join", "user": {}}},
    {"type": "event_callback", "event_id": "Ev1", "event": {"type": "message", "text": "hi", "channel": "C0HR"}},
    {"type": "event_callback", "event_id": "Ev1", "event": {"type": "an_event_of_next_year"}},
    {"type": "event_callback", "event_id": "Ev1", "event": {"type": "error"}},
    {"type": "event_callback", "event_id": "Ev1", "event": {"type": "new_listener", "event": "app_mention"}},
    {"type": "event_callback", "event_id": "Ev1", "event": {"type": ["app_mention"]}},
    {"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}},
    {"type": "event_callback", "event_id": "Ev1", "event": {}},
    {"type": "event_callback", "event_id": "Ev1", "event": None},
    {"type": "event_callback"},
    {},
]


def test_events_that_are_not_for_us_are_taken_with_a_200(bot: RunningBot, model: Script) -> None:
    assert [one for one in OTHER_EVENTS if bot.post(EVENTS, json.dumps(one).encode()).status != 200] == []
    bot.settle()
    assert model.asked == []


@each_row(
    "payload",
    [
        {"type": "view_submission", "view": {"id": "V1"}, "user": {"id": "U0ANN"}},
        {"type": "view_closed"},
        {"type": "message_action", "callback_id": "x"},
        {"type": "shortcut"},
        {"type": "block_suggestion"},
        {"type": "of_next_year"},
        {"type": ["block_actions"]},
        {"type": "block_actions", "actions": None},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": [None]},
        {"type": "block_actions", "actions": {"action_id": "approve"}},
        {},
    ],
)
def test_gestures_that_are_not_for_us_are_taken_with_a_200(door: RunningBot, payload: Json) -> None:
    assert door.post(CLICKS, form(payload), FORM).status == 200


# --- nulls and wrong types --------------------------------------------------------------------------------------------

APPROVABLE: Json = {  # a message with a button that this bot never made
    "ts": "1700000000.000001",
    "blocks": [
        {
            "type": "actions",
            "block_id": "b",
            "elements": [{"type": "button", "action_id": "approve", "value": "0" * 32, "text": {}}],
        }
    ],
}
ODD: tuple[Any, ...] = (
    None,
    "",
    0,
    -1,
    1e308,
    10**400,
    True,
    [],
    {},
    [None],
    {"id": None},
    "\x00",
    "\ud800",
    "x" * 5_000,
)


def paths(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a JSON value."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*above, key)
        yield from paths(part, (*above, key))


def odd_values(value: object) -> list[tuple[tuple[str | int, ...], Any]]:
    """Each place in a JSON value with some of the odd values, others in each run."""
    return [(path, odd) for path in paths(value) for odd in random.sample(ODD, 2)]


def changed(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """The value with another one at `path`."""
    value = json.loads(json.dumps(value))
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return value


def send_event(bot: RunningBot, envelope: object) -> int:
    return bot.post(EVENTS, json.dumps(envelope).encode()).status


def send_click(bot: RunningBot, payload: object) -> int:
    return bot.post(CLICKS, form(payload), FORM).status


def assert_still_works(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    """A mention is answered as if nothing had been."""
    assert bot.request("GET", "/healthz").status == 200
    bot.settle(20)
    model.will(says("Still here."))
    ts = Person(workspace, "U0BEN").mentions("are you there?")
    assert Talk(workspace, ts).answer() == "Still here."


def test_an_odd_value_in_any_field_of_a_mention_is_no_500(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    envelope = mention_of(workspace, thread_ts="1700000000.000001", user_team="T0LOCAL", files=[{"id": "F1"}])
    refused = [one for one in odd_values(envelope) if send_event(bot, changed(envelope, *one)) not in (200, 400)]

    assert refused == []
    assert_still_works(bot, workspace, model)


def test_an_odd_value_in_any_field_of_a_click_is_no_500(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    click = click_of(APPROVABLE, Talk(workspace, "1700000000.000001"), "U0ANN", "approve")

    refused = [one for one in odd_values(click) if send_click(bot, changed(click, *one)) not in (200, 400)]

    assert refused == []
    assert_still_works(bot, workspace, model)


def test_a_mention_in_odd_characters_is_answered(bot: RunningBot, workspace: Workspace) -> None:
    for text in ("a\ud800b", "a\x00b", "x" * 50_000, "\u202eevil", "😀" * 5_000):
        envelope = mention_of(workspace)
        envelope["event"]["text"] += text

        assert send_event(bot, envelope) == 200, ascii(text[:9])
        assert Talk(workspace, envelope["event"]["ts"]).answer() == "Done."


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MENTION_FIELDS = (
    "type",
    "user",
    "bot_id",
    "text",
    "ts",
    "thread_ts",
    "channel",
    "team",
    "user_team",
    "subtype",
    "edited",
)


@given(
    event=st.dictionaries(st.sampled_from(MENTION_FIELDS), anything),
    envelope=st.fixed_dictionaries({}, optional={"team_id": anything, "event_id": anything, "enterprise_id": anything}),
)
@FEW
def test_no_mention_however_odd_is_a_500(bot: RunningBot, event: Json, envelope: Json) -> None:
    body = {"type": "event_callback", "team_id": "T0LOCAL", "event_id": "Ev1"} | envelope
    assert send_event(bot, body | {"event": {"type": "app_mention"} | event}) in (200, 400)


@given(payload=st.dictionaries(st.sampled_from(("type", "actions", "user", "team", "container", "channel")), anything))
@FEW
def test_no_gesture_however_odd_is_a_500(bot: RunningBot, payload: Json) -> None:
    assert send_click(bot, {"type": "block_actions"} | payload) in (200, 400)


@given(body=st.binary(max_size=300), path=st.sampled_from((EVENTS, CLICKS)), content_type=st.sampled_from((JSON, FORM)))
@FEW
def test_no_bytes_are_a_500(bot: RunningBot, body: bytes, path: str, content_type: str) -> None:
    assert bot.post(path, body, content_type).status in (200, 400)


# --- recorded once, acknowledged at once ------------------------------------------------------------------------------


def test_eight_copies_that_race_are_one_turn_and_two_messages_are_two(
    bot: RunningBot, workspace: Workspace, model: Script
) -> None:
    envelope = mention_of(workspace)

    replies = at_once(*[lambda: workspace.deliver(envelope)] * 8)
    bot.settle()

    assert [reply.status for reply in replies] == [200] * 8
    assert len(model.asked) == 1
    assert Talk(workspace, envelope["event"]["ts"]).answers() == ["Done."]

    workspace.deliver(mention_of(workspace))
    bot.settle()
    assert len(model.asked) == 2


def test_the_same_message_under_two_event_ids_is_one_turn(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    envelope = mention_of(workspace)

    replies = at_once(*[lambda n=n: workspace.deliver(envelope | {"event_id": f"Ev0{n}"}) for n in range(4)])
    bot.settle()

    assert [reply.status for reply in replies] == [200] * 4
    assert len(model.asked) == 1


def test_a_retry_whose_first_delivery_was_lost_is_new(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    envelope = mention_of(workspace)

    reply = workspace.deliver(envelope, {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"})

    assert reply.status == 200
    assert Talk(workspace, envelope["event"]["ts"]).answer() == "Done."


def test_a_mention_made_while_the_bot_was_cut_off_is_answered(
    bot: RunningBot, workspace: Workspace, model: Script
) -> None:
    workspace.cut_off(True)
    ts = workspace.say("U0ANN", "@hr-bot hello")
    workspace.wait(lambda: workspace.attempts)
    workspace.cut_off(False)

    assert Talk(workspace, ts).answer() == "Done."
    assert workspace.attempts[-1].number > 0


def test_a_retry_after_the_turn_is_over_changes_nothing(
    bot: RunningBot, workspace: Workspace, model: Script, ann: Person
) -> None:
    talk = ann.asks("hello")
    talk.answer()
    workspace.redeliver_last()
    workspace.wait(lambda: len(workspace.attempts) == 2)
    bot.settle()

    assert len(model.asked) == 1
    assert talk.answers() == ["Done."]


def test_the_ack_does_not_wait_for_the_model_or_for_slack(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    model.hold()
    workspace.fault("*", "timeout", times=20, seconds=60)

    took = []
    for _ in range(6):
        envelope = mention_of(workspace)
        began = time.monotonic()
        assert workspace.deliver(envelope).status == 200
        took.append(time.monotonic() - began)

    assert max(took) < 30  # what hangs, hangs for a minute at least
    workspace.clear_faults()


def test_while_the_database_takes_nothing_the_answer_is_503_and_slacks_retry_is_taken_up(
    bot: RunningBot, workspace: Workspace, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table inbox rename to elsewhere")

    ts = workspace.say("U0ANN", "@hr-bot hello")
    workspace.wait(lambda: workspace.attempts)
    assert workspace.attempts[0].reply.status == 503
    assert send_click(bot, click_of(APPROVABLE, Talk(workspace, ts), "U0ANN", "approve")) == 503

    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table elsewhere rename to inbox")
    assert Talk(workspace, ts).answer() == "Done."


# --- for whom it is ---------------------------------------------------------------------------------------------------


def installation(team: str | None, enterprise: str | None = None, **more: Any) -> Json:
    return {"team_id": team, "enterprise_id": enterprise, "user_id": "U0BOT", "is_bot": True, **more}


OF_ANOTHER: list[Any] = [
    [installation("T0OTHER")],
    [installation("T0OTHER", "E0OTHER")],
    [installation(None, "E0OTHER")],
    [{}],
    "T0LOCAL",
]


def test_an_event_of_another_installation_is_refused(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    for authorizations in OF_ANOTHER:
        assert workspace.deliver(mention_of(workspace) | {"authorizations": authorizations}).status == 200
    bot.settle()

    assert (model.asked, workspace.calls_of("chat.postMessage"), workspace.ephemerals("U0ANN")) == ([], [], [])


FOR_US: dict[str, Json] = {
    "the workspace's own": {"authorizations": [installation("T0LOCAL")]},
    "of several": {"authorizations": [installation("T0OTHER"), installation("T0LOCAL")]},
    "an organisation's, by the enterprise": {
        "authorizations": [installation(None, "E0ORG", is_enterprise_install=True)]
    },
    "an organisation's, of another workspace": {"authorizations": [installation("T0SISTER", "E0ORG")]},
    "a channel shared with another organisation": {
        "authorizations": [installation("T0LOCAL")],
        "team_id": "T0OTHER",
        "context_team_id": "T0LOCAL",
        "is_ext_shared_channel": True,
    },
    "none named": {"authorizations": None},
}


def test_an_event_of_this_installation_is_taken(start_bot: StartBot, workspace: Workspace, model: Script) -> None:
    workspace.world.enterprise = "E0ORG"
    bot = start_bot()

    for name, more in FOR_US.items():
        assert workspace.deliver(mention_of(workspace, name) | more).status == 200, name
    bot.settle()
    assert sorted(words for asked in model.asked for words in said_by_people(asked)) == sorted(FOR_US)


# --- health -----------------------------------------------------------------------------------------------------------


def test_healthz_says_that_the_process_lives(bot: RunningBot, workspace: Workspace) -> None:
    workspace.fault("*", "http_500", times=5)

    assert bot.request("GET", "/healthz").status == 200


def ready(bot: RunningBot) -> tuple[int, Json]:
    answer = bot.request("GET", "/readyz")
    return answer.status, answer.json()


def test_readyz_tells_of_slack_and_the_model_beside_and_takes_no_process_out_for_them(
    bot: RunningBot, workspace: Workspace, ann: Person, model: Script
) -> None:
    assert ready(bot) == (200, {"database": "ok", "slack": "not asked yet", "model": "not asked yet", "catalog": "ok"})
    ann.asks("hello").answer()
    assert ready(bot) == (200, {"database": "ok", "slack": "ok", "model": "ok", "catalog": "ok"})

    model.will(ModelFailed(Failure.REFUSED, "HTTP 500"))
    workspace.fault("chat.postMessage", "http_500", times=1)
    talk = ann.asks("hello")
    talk.workspace.wait(lambda: [one for one in workspace.calls_of("chat.postMessage") if one.status == 500])
    status, checks = ready(bot)
    assert (status, checks["database"], checks["model"]) == (200, "ok", "failed (HTTP 500)")
    talk.answer()
    assert ready(bot)[1]["slack"] == "ok"


@each_row(
    "fault, told",
    [
        ({"kind": "error", "code": "token_revoked"}, "refused (token_revoked)"),
        ({"kind": "http_500"}, "no answer (HTTP 500)"),
        ({"kind": "error", "code": "user_not_found"}, "ok"),
        ({"kind": "ratelimited", "retry_after": 9}, "busy"),
    ],
)
def test_readyz_tells_what_slack_has_against_the_bot(
    bot: RunningBot, workspace: Workspace, fault: Any, told: str
) -> None:
    asked = len(workspace.calls_of("users.info"))
    workspace.clear_faults()
    workspace.fault("users.info", times=50, **fault)
    workspace.deliver(mention_of(workspace))
    workspace.wait(lambda: len(workspace.calls_of("users.info")) > asked)
    until(lambda: ready(bot) == (200, ready(bot)[1] | {"slack": told}))


def test_readyz_asks_slack_nothing(bot: RunningBot, workspace: Workspace) -> None:
    for _ in range(20):
        assert ready(bot)[0] == 200
    assert workspace.calls == []


def test_sixty_looks_at_once_are_all_answered_200(bot: RunningBot) -> None:
    assert at_once(*[lambda: ready(bot)[0]] * 60) == [200] * 60


@each_row("how", ["renamed", "locked"])
def test_readyz_is_503_while_what_comes_cannot_be_recorded(bot: RunningBot, tmp_path: Path, how: str) -> None:
    assert ready(bot)[0] == 200
    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table inbox rename to elsewhere" if how == "renamed" else READ_ONLY)
    until(lambda: ready(bot)[0] == 503, pause=0.2)
    assert ready(bot)[1]["database"].startswith("no answer")
    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("alter table elsewhere rename to inbox" if how == "renamed" else "drop trigger shut")
    until(lambda: ready(bot)[0] == 200, pause=0.2)


READ_ONLY = "create trigger shut before insert on inbox begin select raise(abort, 'full'); end"


def test_a_look_leaves_nothing_behind(bot: RunningBot, tmp_path: Path) -> None:
    assert ready(bot)[0] == 200
    with sqlite3.connect(tmp_path / "bot.db") as db:
        assert db.execute("select count(*) from inbox").fetchone() == (0,)


def test_one_request_looks_at_a_time_and_what_was_found_is_kept_for_seconds() -> None:
    looks, now = [0], [100.0]
    go_on = threading.Event()
    go_on.set()

    def look() -> None:
        looks[0] += 1
        assert go_on.wait(60)

    database = CachedCheck(look, clock=lambda: now[0])
    assert at_once(*[database.state] * 20) == ["ok"] * 20
    assert looks == [1]
    now[0] += 4.9
    assert (database.state(), looks) == ("ok", [1])

    now[0] += 0.2
    go_on.clear()
    slow = threading.Thread(target=database.state)
    slow.start()
    until(lambda: looks == [2])
    assert database.state() == "ok"  # and waits for nobody
    go_on.set()
    slow.join(60)


def test_what_is_ill_is_looked_at_again_after_a_second() -> None:
    now, wrong = [100.0], [OperationalError("x", None, Exception())]

    def look() -> None:
        if wrong:
            raise wrong[0]

    database = CachedCheck(look, clock=lambda: now[0])
    assert database.state() == "no answer (OperationalError)"
    wrong.clear()
    assert database.state() == "no answer (OperationalError)"
    now[0] += 1.1
    assert database.state() == "ok"


def test_health_answers_while_the_model_hangs(bot: RunningBot, workspace: Workspace, model: Script) -> None:
    model.hold()
    for _ in range(10):
        workspace.deliver(mention_of(workspace))
    model.wait_asked(8)

    answered: list[int] = []
    for path in ("/healthz", "/readyz"):
        asker = threading.Thread(target=lambda path=path: answered.append(bot.request("GET", path).status))
        asker.start()
        asker.join(60)  # less than the model hangs
    assert answered == [200, 200]
