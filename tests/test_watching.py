"""The running program as those who watch over it see it: a scrape of its metrics, its spans, its version, its log's level."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from base.version import VERSION
from emulator.app import AppToken
from emulator.emulator import Workspace
from slack_io.pace import PACE
from tests.harness.databases import ENGINES, opened_before
from tests.harness.forked_bot import loaded_before
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.ports import free_port
from tests.harness.replay_model import ReplayModel, answer, call
from tests.harness.scrapes import Scrape
from tests.harness.span_receiver import Span, SpanReceiver
from tests.harness.whole_bot import Over, until
from tests.test_crash import KEY, System, approved

pytestmark = pytest.mark.programs
LIST = call(("GET", "/api/users?page=1"))
REMOVE = call(("DELETE", "/api/users/7"))
BUSY = {"error": {"message": "slow down", "type": "rate_limit"}}
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # milliseconds


def api_answer(request: Request) -> Reply:
    if request.path.endswith("page=404"):
        return as_json({"detail": "no such Tom"}, 404)
    if request.method == "GET":
        return as_json({"data": [{"id": 7, "first_name": "Tom"}]})
    return Reply(204, b"", {})


@pytest.fixture
def system(tmp_path: Path, over: Over) -> Iterator[System]:
    with ExitStack() as around:
        workspace = around.enter_context(
            Workspace(retry_delays=(0.1, 0.3, 1.0), app_token=AppToken() if over == "socket" else None)
        )
        model = around.enter_context(ReplayModel())
        api = around.enter_context(Loopback(api_answer))
        system = System(over, workspace, model, api, tmp_path)
        yield system
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


@pytest.fixture
def receiver() -> Iterator[SpanReceiver]:
    with SpanReceiver() as receiver:
        assert isinstance(receiver, SpanReceiver)
        yield receiver


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_a_scrape_after_turns_tells_what_was_done(system: System) -> None:
    port = free_port()
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    system.model.script("who?", [LIST, answer("Tom")])
    system.model.script("remove Tom", [REMOVE, answer("Removed.")])
    system.start(METRICS_PORT=str(port))
    system.wait_for_answer(system.mention("who?"), "Tom")
    ts = system.mention("remove Tom")
    system.card(ts)
    waiting = Scrape(port)
    approved(system, ts)
    system.wait_for_answer(ts, "Removed.")
    system.rest()
    until(lambda: Scrape(port).value("turns_total", outcome="answered") == 2)
    found = Scrape(port)

    assert waiting.value("approvals_pending") == 1
    assert waiting.value("approvals_pending_oldest_seconds") >= 0
    assert found.value("model_calls_total", outcome="ok") == 4
    assert found.value("tokens_total", kind="prompt") == 4 * usage["prompt_tokens"]
    assert found.value("tokens_total", kind="completion") == 4 * usage["completion_tokens"]
    assert found.value("api_calls_total", api="HR", method="DELETE", outcome="2xx") == 1
    assert found.value("api_calls_total", method="GET", outcome="2xx") == sum(
        one.method == "GET" for one in system.api.requests
    )
    assert found.value("slack_calls_total", method="chat.postMessage", outcome="ok") >= 3
    assert found.value("arrivals_total", outcome="new") == 3
    assert found.value("questions_total", outcome="taken") == 2
    assert found.value("decisions_total", decision="approve") == 1
    assert found.value("writes_total", outcome="done") == 1
    assert found.value("turn_seconds_count", until="answer") == 1
    assert found.value("turn_seconds_count", until="card") == 1
    assert found.value("model_call_seconds_count") == 4
    assert found.value("api_call_seconds_count", api="HR") == len(system.api.requests)
    assert found.value("slack_call_seconds_count") == found.value("slack_calls_total")
    assert found.value("arrival_seconds_count") == 3
    assert found.value("part_up", part="database") == 1
    assert found.value("build_info", version=VERSION) == 1
    assert found.value("process_resident_memory_bytes") > 1_000_000


def test_every_429_is_counted_by_whom_it_came_from(system: System) -> None:
    port = free_port()
    system.model.script("who?", [Reply(429, json.dumps(BUSY).encode(), {"Retry-After": "1"})])
    system.workspace.fault("chat.postMessage", "ratelimited", times=1)
    system.start(METRICS_PORT=str(port), MODEL_PATIENCE="0")
    system.mention("who?")
    until(lambda: Scrape(port).value("rate_limited_total", by="slack") == 1)
    system.rest()
    found = Scrape(port)

    assert found.value("rate_limited_total", by="model") == 1
    assert found.value("rate_limited_total", by="api") == 0
    assert found.value("model_calls_total", outcome="busy") == 1
    assert found.value("slack_calls_total", method="chat.postMessage", outcome="busy") == 1
    assert found.value("turns_total", outcome="failed") == 1


def test_a_label_says_nothing_of_people_places_and_urls(system: System) -> None:
    port = free_port()
    system.model.script("who?", [LIST, answer("Tom")])
    system.start(METRICS_PORT=str(port))
    system.wait_for_answer(system.mention("who?"), "Tom")
    labels = Scrape(port).labels()

    assert labels.pop("api") == {"HR"}
    assert labels.pop("method") <= {"GET", "auth.test", *PACE}
    assert set(labels) == {
        "outcome", "kind", "by", "decision", "until", "part", "queue", "version",
        "generation", "implementation", "major", "minor", "patchlevel",
    }  # fmt: skip
    assert not [one for values in labels.values() for one in values if re.search(r"[UCD]0|/|\d{6}", one)]


def test_what_may_be_alerted_about_is_there_before_it_happens(system: System) -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    port = free_port()
    system.start(METRICS_PORT=str(port))
    found = Scrape(port)
    there = {(one.name, *one.labels.values()) for one in found.samples if one.value == 0}
    assert {("turns_total", "failed"), ("writes_total", "unknown"), ("rate_limited_total", "model")} <= there
    assert {("takeovers_total",), ("alarms_total",), ("faults_total",), ("arrivals_total", "failed")} <= there


def test_metrics_are_off_by_default_and_never_where_slack_reaches(system: System) -> None:
    system.start()
    assert get(system.port, "/metrics")[0] == 404
    assert not [line for line in system.programs[0].lines if "metrics are served" in line]


def test_a_metrics_port_that_is_taken_or_slacks_own_is_told(system: System) -> None:
    own = system.launch(METRICS_PORT=str(system.port))
    assert own.process.wait(60) != 0
    with Loopback(lambda _request: Reply()) as taken:
        port = taken.url.rpartition(":")[2]
        other = system.launch(METRICS_PORT=port)
        assert other.process.wait(60) != 0
    until(lambda: any("METRICS_PORT: it is the same as PORT" in line for line in own.lines))
    until(lambda: any(f"METRICS_PORT: cannot listen on 127.0.0.1:{port}" in line for line in other.lines))


def test_the_version_is_told_and_the_log_is_as_loud_as_it_was_told_to_be(system: System) -> None:
    program = system.launch(LOG_LEVEL="WARNING")
    until(lambda: _answers(system.port))
    assert json.loads(get(system.port, "/version")[1]) == {"version": VERSION}
    assert program.terminate() == 0
    assert not [line for line in program.lines if '"level": "info"' in line]


def _answers(port: int) -> bool:
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False


# --- spans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_one_trace_leads_from_the_event_through_an_approval_after_a_restart_to_the_last_call(
    system: System, receiver: SpanReceiver, engine: str, tmp_path: Path
) -> None:
    system.database = opened_before(engine, tmp_path, KEY)
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, **SOON}
    system.model.script("remove Tom", [REMOVE, answer("Removed.")])
    first = system.start(**traced)
    ts = system.mention("remove Tom")
    system.card(ts)
    assert first.terminate() == 0
    before = len(receiver.spans)
    second = system.start(**traced)
    approved(system, ts)
    system.wait_for_answer(ts, "Removed.")
    system.rest()
    assert second.terminate() == 0
    spans = receiver.spans

    (begun,) = receiver.named("receive mention")
    ours = [span for span in spans if span.trace == begun.trace]
    assert begun.parent == ""
    assert begun.kind == "consumer"
    assert 0 < before < len(spans)
    assert _names_below(begun, ours) >= {
        "process mention",
        "invoke_agent rest-in-slack",
        "chat gpt-5.4-mini",
        "execute_tool call_rest_api",
        "process approve",
        "DELETE /api/users/[user_id]",
        "POST chat.postMessage",
    }
    (click,) = receiver.named("receive click")
    (decided,) = receiver.named("process approve")
    assert click.trace != begun.trace
    assert decided.links == (click.id,)
    (sent,) = receiver.named("DELETE /api/users/[user_id]")
    (request,) = system.writes()
    assert request.headers["traceparent"].rpartition("-")[0] == f"00-{sent.trace}-{sent.id}"
    assert sent.trace == begun.trace
    assert len(receiver.named("chat gpt-5.4-mini")) == 2


def _names_below(top: Span, spans: list[Span]) -> set[str]:
    """The names of all that hang below a span, however deep."""
    below = [span for span in spans if span.parent == top.id]
    return {span.name for span in below} | {name for span in below for name in _names_below(span, spans)}


def test_spans_speak_as_the_conventions_do(system: System, receiver: SpanReceiver) -> None:
    system.model.script("who?", [LIST, answer("Tom")])
    program = system.start(OTEL_EXPORTER_OTLP_ENDPOINT=f"{receiver.url}/", OTEL_SERVICE_NAME="hr-bot", **SOON)
    system.wait_for_answer(system.mention("who?"), "Tom")
    system.rest()
    assert program.terminate() == 0

    chat, tool = receiver.named("chat gpt-5.4-mini")[0], receiver.named("execute_tool call_rest_api")[0]
    (read,) = receiver.named("GET /api/users")
    assert (chat.kind, tool.kind, read.kind) == ("client", "internal", "client")
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5.4-mini",
        "server.address": "127.0.0.1",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "gen_ai.response.finish_reasons": ["tool_calls"],
    }
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "call_rest_api",
        "gen_ai.tool.type": "function",
    }
    assert read.parent == tool.id
    assert read.attributes == {
        "http.request.method": "GET",
        "url.template": "/api/users",
        "server.address": "127.0.0.1",
        "server.port": int(system.api.url.rpartition(":")[2]),
        "http.response.status_code": 200,
    }
    assert chat.resource["service.name"] == "hr-bot"
    assert chat.resource["service.version"] == VERSION
    assert {one.path for one in receiver.requests} == {"/v1/traces"}


def test_what_fails_is_marked_by_its_kind_alone(system: System, receiver: SpanReceiver) -> None:
    lost = call(("GET", "/api/users?page=404"))
    system.model.script("who?", [lost, Reply(400, json.dumps({"error": {"message": "no Tom"}}).encode())])
    program = system.start(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, **SOON)
    system.mention("who?")
    until(lambda: len(receiver.named("chat gpt-5.4-mini")) == 2)
    system.rest()
    assert program.terminate() == 0

    (read,) = receiver.named("GET /api/users")
    assert read.has_failed
    assert read.attributes["error.type"] == "404"
    good, bad = receiver.named("chat gpt-5.4-mini")
    assert not good.has_failed
    assert bad.has_failed
    assert bad.attributes["error.type"] == "ModelFailed"
    assert not [one for one in receiver.requests if b"Tom" in one.body]


@pytest.mark.parametrize("tells", ["0", "1"])
def test_spans_carry_bodies_only_where_the_log_does(system: System, receiver: SpanReceiver, tells: str) -> None:
    hire = call(("POST", "/api/users", {"first_name": "Zoe"}))
    system.model.script("hire Zoe", [hire, answer("Zoe is hired.")])
    program = system.start(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, LOG_BODIES=tells, **SOON)
    system.wait_for_answer(system.mention("hire Zoe"), "Zoe is hired.")
    system.rest()
    assert program.terminate() == 0

    (sent,) = receiver.named("POST /api/users")
    assert sent.attributes.get("http.request.body") == ('{"first_name": "Zoe"}' if tells == "1" else None)
    assert bool([one for one in receiver.requests if b"Zoe" in one.body]) == (tells == "1")


def test_a_receiver_that_is_down_holds_nobody_up_and_its_key_is_in_no_log(system: System) -> None:
    system.model.script("who?", [LIST, answer("Tom")])
    program = system.start(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20key-of-the-receiver",
        **SOON,
    )
    system.wait_for_answer(system.mention("who?"), "Tom")
    system.rest()
    assert program.terminate() == 0
    assert "key-of-the-receiver" not in "".join(program.lines)


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded_and_no_header_sent(system: System) -> None:
    system.model.script("who?", [LIST, answer("Tom")])
    system.start()
    system.wait_for_answer(system.mention("who?"), "Tom")
    assert not [one for one in system.api.requests if "traceparent" in one.headers]
    loaded = loaded_before()
    assert "bot" in loaded
    assert [one for one in loaded if one.startswith(("opentelemetry", "requests"))] == []
