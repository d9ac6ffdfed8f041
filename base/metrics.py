"""What is counted and timed, for Prometheus: one registry per process, in which every room may count as every room may log.

Labels are words of this file, names of the catalog's APIs, and Slack's methods: never a person, a channel, a thread or a URL, so that
there are only so many series. What the database alone knows is read when somebody asks: workers/gauges.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

from base.settings import Misconfigured
from base.version import VERSION

REGISTRY = CollectorRegistry()
_FAST = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0)  # Slack waits three seconds
_CALL = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


def _counter(name: str, about: str, label: str, values: Iterable[str]) -> Counter:
    """A counter whose series are all there from the start: Prometheus sees no increase in one that begins with 1."""
    made = Counter(name, about, [label], registry=REGISTRY)
    for value in values:
        made.labels(value)
    return made


def _histogram(name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, about, labels, buckets=buckets, registry=REGISTRY)


# --- Slack, inwards ---------------------------------------------------------------------------------------------------

ARRIVALS = _counter(
    "arrivals_total",
    "Events and clicks of Slack: recorded, recorded before (again), or not taken by the database (failed).",
    "outcome",
    ("new", "again", "failed"),
)
ARRIVAL_SECONDS = _histogram("arrival_seconds", "From an event to its record on disk, for which Slack waits.", _FAST)
QUESTIONS = _counter(
    "questions_total",
    "Questions, by what became of them: a turn (taken, kept), one too many, beyond a limit (closed), or refused.",
    "outcome",
    ("taken", "kept", "too many", "too many of theirs", "closed", "refused"),
)

# --- turns ------------------------------------------------------------------------------------------------------------

TURNS = _counter(
    "turns_total",
    "Turns that are over, by how they ended.",
    "outcome",
    ("answered", "failed", "stopped", "dropped", "set aside", "not connected"),
)
TURN_SECONDS = _histogram(
    "turn_seconds", "From a question to its answer, or to the first card that waits for people.", _LONG, "until"
)
for _until in ("answer", "card"):
    TURN_SECONDS.labels(_until)
DECISIONS = _counter(
    "decisions_total",
    "Decisions about requests that waited for people. A vote is a yes that others have to follow.",
    "decision",
    ("vote", "approve", "reject", "withdraw", "expire"),
)
WRITES = _counter(
    "writes_total",
    "Approved requests, by how they ended: done, failed, unknown (sent, no answer), stale (asked for again).",
    "outcome",
    ("done", "failed", "unknown", "stale"),
)

# --- calls ------------------------------------------------------------------------------------------------------------

MODEL_CALLS = _counter(
    "model_calls_total",
    "Calls of the model's server, by how they ended.",
    "outcome",
    ("ok", "cut off", "failed", "busy", "down", "quota", "refused", "filtered", "too long", "odd"),
)
MODEL_CALL_SECONDS = _histogram("model_call_seconds", "Seconds of a call of the model, with its retries.", _LONG)
TOKENS = _counter(
    "tokens_total",
    "Tokens, as the model's server counted them; cached ones are among the prompt's, reasoning among the completion's.",
    "kind",
    ("prompt", "completion", "cached", "reasoning"),
)
API_CALLS = Counter(
    "api_calls_total",
    "Requests to the internal APIs, by the class of their status, or why there is none.",
    ["api", "method", "outcome"],
    registry=REGISTRY,
)
API_CALL_SECONDS = _histogram("api_call_seconds", "Seconds of a request to an internal API.", _CALL, "api")
RENEWALS = _counter(
    "renewals_total",
    "Renewals of people's tokens: renewed, refused for good (the person has to connect again), or failed for now.",
    "outcome",
    ("renewed", "refused", "failed"),
)
SLACK_CALLS = Counter(
    "slack_calls_total",
    "Calls of Slack's Web API: ok, refused, busy (429), unsure (no answer, or one that tells nothing).",
    ["method", "outcome"],
    registry=REGISTRY,
)
SLACK_CALL_SECONDS = _histogram("slack_call_seconds", "Seconds of a call of Slack's Web API.", _CALL)
RATE_LIMITED = _counter("rate_limited_total", "Answers 429, by whom they came from.", "by", ("slack", "model", "api"))

# --- what should not happen -------------------------------------------------------------------------------------------

FAULTS = Counter(
    "faults_total",
    "Faults of the bot itself: turns that ended by one, and work that is tried again.",
    registry=REGISTRY,
)
ALARMS = Counter("alarms_total", "Signs that somebody changed the journal or a stored request.", registry=REGISTRY)
TAKEOVERS = Counter("takeovers_total", "Threads taken over from a process that died or stood still.", registry=REGISTRY)

Info("build", "The version that runs.", registry=REGISTRY).info({"version": VERSION})
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def api_outcome(status: int | str) -> str:
    """The outcome of a request to an API: the class of its status (`2xx`), or the word for why there is none."""
    return f"{status // 100}xx" if isinstance(status, int) else status


def serve_metrics(host: str, port: int) -> int:
    """Answers Prometheus on a port of its own, where Slack does not reach. Gives the port. Raises `Misconfigured`."""
    try:
        return start_http_server(port, host, REGISTRY)[0].server_port
    except OSError as error:
        raise Misconfigured(
            f"METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}. Choose another METRICS_PORT."
        ) from None
