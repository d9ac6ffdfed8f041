"""The WebSocket to Slack: acknowledged is what was taken, in whatever order connections come and go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from slack_io.socket_mode import SocketMode
from slack_io.web_api import SlackWeb
from tests.harness.logs import logged
from tests.harness.loopback import Reply, as_json
from tests.harness.socket_server import Json, SocketServer, envelope

WARNING = {"type": "disconnect", "reason": "warning", "debug_info": {"host": "wss-111.slack.com"}}
REFRESH = {"type": "disconnect", "reason": "refresh_requested"}


class Ear:
    """What hears the envelopes: keeps them, and says what it is told to say."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Json]] = []
        self.takes = True
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()
        self._is_asked = threading.Event()

    def wait(self) -> None:
        """Until the first envelope is there."""
        assert self._is_asked.wait(60)

    def __call__(self, kind: str, payload: Json) -> bool:
        self.heard.append((kind, payload))
        self._is_asked.set()
        self.gate.wait(60)
        if self.fails:
            raise RuntimeError("a fault of ours")
        return self.takes


@pytest.fixture
def slack() -> Iterator[SocketServer]:
    with SocketServer() as server:
        yield server


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    yield ear
    ear.gate.set()


@pytest.fixture
def mode(slack: SocketServer, ear: Ear, _logs: None) -> Iterator[SocketMode]:
    """A socket that retries soon."""
    web = SlackWeb("xapp-local", slack.api_url, timeout=2, setting="SLACK_APP_TOKEN")

    def spawn(job: Callable[[], None]) -> None:
        threading.Thread(target=job, daemon=True).start()

    mode = SocketMode(web.open_socket, ear, spawn, first_pause=0.05)
    yield mode
    mode.close()


# --- envelopes --------------------------------------------------------------------------------------------------------


def test_what_was_taken_is_acknowledged_with_its_id_alone(mode: SocketMode, slack: SocketServer, ear: Ear) -> None:
    mode.start()
    slack.line().send(envelope("e1", {"event_id": "Ev1"}))
    slack.line().send(envelope("e2", {"type": "block_actions"}, "interactive"))

    assert slack.wait(lambda: slack.line().heard[1:])
    assert slack.line().heard == [{"envelope_id": "e1"}, {"envelope_id": "e2"}]
    assert ear.heard == [("events_api", {"event_id": "Ev1"}), ("interactive", {"type": "block_actions"})]


def test_where_slack_takes_an_answer_the_answer_is_empty(mode: SocketMode, slack: SocketServer) -> None:
    mode.start()
    slack.line().send(envelope("e1", {"type": "view_submission"}, "interactive", accepts_response_payload=True))

    assert slack.wait(lambda: slack.line().heard) == [{"envelope_id": "e1", "payload": {}}]


def test_no_ack_goes_out_before_the_envelope_was_taken(mode: SocketMode, slack: SocketServer, ear: Ear) -> None:
    ear.gate.clear()
    mode.start()
    slack.line().send(envelope("e1", {}))
    ear.wait()
    assert slack.acks() == []

    ear.gate.set()
    assert slack.wait(slack.acks) == ["e1"]


@pytest.mark.parametrize("fails", [True, False], ids=["a fault", "not taken"])
def test_what_was_not_taken_is_not_acknowledged_and_the_next_is(
    mode: SocketMode, slack: SocketServer, ear: Ear, fails: bool
) -> None:
    ear.takes, ear.fails = False, fails
    mode.start()
    slack.line().send(envelope("e1", {}))
    ear.wait()
    ear.takes, ear.fails = True, False
    slack.line().send(envelope("e2", {}))

    assert slack.wait(slack.acks) == ["e2"]


RUBBISH = [
    "",
    "hello",
    "[]",
    "null",
    "7",
    '{"type":',
    "[" * 100_000 + "]" * 100_000,
    '{"type":"events_api"}',
    '{"type":"events_api","envelope_id":7,"payload":{}}',
    '{"type":["events_api"],"envelope_id":"e0","payload":{}}',
    '{"envelope_id":null}',
    '{"type":"hello","num_connections":{}}',
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda text: text[:40])
def test_rubbish_is_neither_heard_nor_answered_and_ends_nothing(
    mode: SocketMode, slack: SocketServer, ear: Ear, rubbish: str
) -> None:
    mode.start()
    slack.line().send(rubbish)
    slack.line().send(envelope("e1", {}))

    assert slack.wait(slack.acks) == ["e1"]
    assert [kind for kind, _ in ear.heard] == ["events_api"]
    assert len(slack.lines) == 1


@pytest.mark.parametrize("payload", [None, [], "text", 7])
def test_an_envelope_without_an_object_in_it_is_acknowledged_unheard(
    mode: SocketMode, slack: SocketServer, ear: Ear, payload: object
) -> None:
    """Nothing could be recorded of it, however often Slack would send it."""
    mode.start()
    slack.line().send(envelope("e1", payload))

    assert slack.wait(slack.acks) == ["e1"]
    assert ear.heard == []


def test_an_envelope_of_more_than_a_megabyte_in_any_characters_is_heard(
    mode: SocketMode, slack: SocketServer, ear: Ear
) -> None:
    payload = {"text": "ü😀\u2028" * 60_000}
    mode.start()
    slack.line().send(envelope("e1", payload))

    assert slack.wait(slack.acks) == ["e1"]
    assert ear.heard == [("events_api", payload)]


# --- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("notice", [WARNING, REFRESH], ids=["warning", "refresh"])
def test_the_next_connection_is_open_before_the_old_one_ends_and_both_are_heard(
    mode: SocketMode, slack: SocketServer, notice: Json
) -> None:
    mode.start()
    old = slack.line()
    old.send(notice)
    new = slack.line(2)
    assert not old.is_over

    old.send(envelope("over the old one", {}))
    new.send(envelope("over the new one", {}))
    slack.wait(lambda: len(slack.acks()) == 2)
    assert old.heard == [{"envelope_id": "over the old one"}]
    assert new.heard == [{"envelope_id": "over the new one"}]

    old.end()
    slack.wait(lambda: old.is_over)
    new.send(envelope("later", {}))
    slack.wait(lambda: len(slack.acks()) == 3)
    assert len(slack.lines) == 2


def test_a_second_notice_on_the_same_connection_opens_no_third(mode: SocketMode, slack: SocketServer) -> None:
    mode.start()
    slack.line().send(WARNING)
    slack.line(2)
    slack.line().send(REFRESH)
    slack.line().send(envelope("e1", {}))
    slack.wait(slack.acks)

    assert len(slack.lines) == 2


@pytest.mark.parametrize("how", ["end", "hang_up", "tear"])
def test_a_connection_that_ends_without_notice_is_followed_by_another(
    mode: SocketMode, slack: SocketServer, how: str
) -> None:
    mode.start()
    getattr(slack.line(), how)()
    slack.line(2).send(envelope("e1", {}))

    assert slack.wait(slack.acks) == ["e1"]


def test_an_ack_whose_connection_broke_is_sent_with_the_next_delivery(
    mode: SocketMode, slack: SocketServer, ear: Ear
) -> None:
    ear.gate.clear()
    mode.start()
    slack.line().send(envelope("e1", {}))
    ear.wait()
    slack.line().tear()
    ear.gate.set()
    slack.line(2).send(envelope("e1", {}, retry_attempt=1, retry_reason="timeout"))

    assert slack.wait(slack.acks) == ["e1"]
    assert len(ear.heard) == 2


def test_it_is_connected_while_a_connection_is_open(mode: SocketMode, slack: SocketServer) -> None:
    assert not mode.is_connected
    mode.start()
    slack.line().send(envelope("e1", {}))
    slack.wait(slack.acks)
    assert mode.is_connected

    slack.api.hold()
    slack.line().hang_up()
    slack.api.wait(lambda: len(slack.api.requests) == 2)
    assert not mode.is_connected

    slack.api.release()
    slack.line(2).send(envelope("e2", {}))
    slack.wait(lambda: "e2" in slack.acks())
    assert mode.is_connected


def test_after_close_nothing_is_open_heard_or_opened(mode: SocketMode, slack: SocketServer, ear: Ear) -> None:
    mode.start()
    slack.line().send(REFRESH)
    slack.line(2).send(envelope("e1", {}))
    slack.wait(slack.acks)
    mode.close()

    slack.wait(lambda: not slack.living)
    assert not mode.is_connected
    assert len(slack.lines) == 2
    assert len(ear.heard) == 1


def test_a_connection_that_never_lasts_is_tried_with_growing_pauses(
    mode: SocketMode, slack: SocketServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.refusals = [Reply(503, b"", {})] * 3 + [Reply(drop=True)]
    mode.start()
    slack.line().send(envelope("e1", {}))
    slack.wait(slack.acks)

    pauses = [line["again_in"] for line in logged(caplog, event="no connection")]
    assert pauses == [0.05, 0.1, 0.2, 0.4]


def test_slacks_wish_for_a_pause_is_kept(
    mode: SocketMode, slack: SocketServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.refusals = [as_json({"ok": False, "error": "ratelimited"}, 429, **{"Retry-After": "1"})]
    mode.start()
    slack.line()

    assert [line["again_in"] for line in logged(caplog, event="no connection")] == [1.0]


@pytest.mark.parametrize("code", ["not_allowed_token_type", "missing_scope"])
def test_a_wrong_token_is_told_once_with_what_to_do_and_tried_again(
    mode: SocketMode, slack: SocketServer, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    slack.refusals = [as_json({"ok": False, "error": code, "needed": "connections:write"})] * 3
    mode.start()
    slack.line()

    (line,) = logged(caplog, event="slack says no")
    assert (line["method"], line["error"]) == ("apps.connections.open", code)
    assert "connections:write" in line["hint"]
    assert "Basic Information > App-Level Tokens" in line["hint"]


@pytest.mark.parametrize(
    ("reason", "words"), [("link_disabled", "switch it on"), ("too_many_websockets", "the same SLACK_APP_TOKEN")]
)
def test_why_slack_ends_a_connection_is_told_with_what_to_do(
    mode: SocketMode, slack: SocketServer, caplog: pytest.LogCaptureFixture, reason: str, words: str
) -> None:
    mode.start()
    slack.line().send({"type": "disconnect", "reason": reason})
    slack.line(2)

    (line,) = logged(caplog, event="slack ends the connection")
    assert words in line["hint"]


@pytest.mark.parametrize("answer", [{}, {"url": None}, {"url": "https://example.com"}, {"url": "ws://127.0.0.1:1/x"}])
def test_an_address_that_is_none_is_tried_again(mode: SocketMode, slack: SocketServer, answer: Json) -> None:
    slack.refusals = [as_json({"ok": True, **answer})]
    mode.start()
    slack.line().send(envelope("e1", {}))

    assert slack.wait(slack.acks) == ["e1"]


def test_the_address_with_its_ticket_is_in_no_log(
    mode: SocketMode, slack: SocketServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.refusals = [as_json({"ok": True, "url": "ws://127.0.0.1:1/link/?ticket=secret-ticket"})]
    mode.start()
    slack.line().tear()
    slack.line(2).send("rubbish")
    slack.line(2).send(envelope("e1", {}))
    slack.wait(slack.acks)

    assert caplog.records
    assert "secret-ticket" not in caplog.text
