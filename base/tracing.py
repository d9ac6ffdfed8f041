"""Spans for OpenTelemetry, where an endpoint for them is set: one trace per question, from Slack's event to the last call.

A trace begins where Slack's event comes in and nowhere else; its context is kept beside the turn, so that what happens hours later, after
an approval or a restart, joins it. Names and attributes follow the semantic conventions (HTTP, messaging, GenAI). Spans carry no words of
people, of the model or of an API, and no path's values; request bodies only where LOG_BODIES is set. Without an endpoint nothing of
OpenTelemetry is imported and a span costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import structlog

from base.settings import Settings
from base.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

Attributes = Mapping[str, str | int | float | tuple[str, ...]]
Note = Callable[[Attributes], None]  # adds attributes to a span; an "error.type" among them marks it as failed
Kind = Literal["internal", "client", "consumer", "producer"]
SERVICE = "rest-in-slack"
_LAST_SPANS = 1.0  # seconds for sending the last spans
log = structlog.get_logger("bot")
_on: list[_Tracing | None] = [None]


def set_up_tracing(endpoint: str, headers: str = "", service: str = "") -> None:
    """From now on spans are sent to `endpoint` by OTLP over HTTP. `headers` as in OTEL_EXPORTER_OTLP_HEADERS."""
    _on[0] = _Tracing(endpoint, headers, service or SERVICE)


def start_tracing(settings: Settings) -> None:
    """Has spans sent, where the settings say where."""
    if settings.otel_exporter_otlp_endpoint is not None:
        headers = settings.otel_exporter_otlp_headers
        set_up_tracing(
            settings.otel_exporter_otlp_endpoint,
            headers.get_secret_value() if headers is not None else "",
            settings.otel_service_name,
        )
        log.info("spans are sent", to=urlsplit(settings.otel_exporter_otlp_endpoint).hostname)


def end_tracing() -> None:
    """Sends the last spans, within a second: who receives them may not answer."""
    ending = threading.Thread(target=stop_tracing, daemon=True)
    ending.start()
    ending.join(_LAST_SPANS)


def stop_tracing() -> None:
    """Sends what is left and begins no more spans."""
    tracing, _on[0] = _on[0], None
    if tracing is not None:
        tracing.provider.shutdown()


def is_tracing() -> bool:
    """Whether spans are sent anywhere."""
    return _on[0] is not None


def traceparent() -> str:
    """The current span as W3C Trace Context writes it, to be kept or sent along; empty where there is none."""
    return _on[0].current() if _on[0] is not None else ""


@contextmanager
def span(
    name: str,
    kind: Kind,
    attributes: Attributes,
    *,
    begins: bool = False,
    parent: str = "",
    link: str = "",
    calm: tuple[type[BaseException], ...] = (),
) -> Iterator[Note]:
    """A span around what is done inside; gives what adds attributes to it.

    It belongs to the span around it, else to the trace of `parent` (a traceparent); where neither is, there is a span only if it `begins`
    a trace. `link` is the traceparent of what led to it. An exception marks it as failed, by its type alone, unless it is a `calm` one.
    """
    tracing = _on[0]
    if tracing is None or not (begins or parent or tracing.current()):
        yield _ignore
        return
    with tracing.span(name, kind, attributes, parent, link, calm) as note:
        yield note


def agent_span(parent: str, calm: tuple[type[BaseException], ...]) -> AbstractContextManager[Note]:
    """A span for going on with a turn; `parent` and `calm` as above."""
    does = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai", "gen_ai.agent.name": SERVICE}
    return span(f"invoke_agent {SERVICE}", "internal", does, parent=parent, calm=calm)


def tool_span(name: str, parent: str = "") -> AbstractContextManager[Note]:
    """A span for what one of the model's tools does."""
    does = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    return span(f"execute_tool {name}", "internal", does, parent=parent)


def _ignore(_attributes: Attributes) -> None:
    return None


class _Tracing:
    """What of OpenTelemetry is used. Its own environment variables hold for the rest: sampling, limits, time-outs, resource."""

    def __init__(self, endpoint: str, headers: str, service: str) -> None:
        # here: they take a tenth of a second, which a start without an endpoint need not pay
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        from opentelemetry.util.re import parse_env_headers

        resource = Resource.create({"service.name": service, "service.version": VERSION})
        self.provider: TracerProvider = TracerProvider(resource=resource, shutdown_on_exit=False)
        given = parse_env_headers(headers, liberal=True) if headers else None
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", headers=given)
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer(SERVICE, VERSION)
        self._form = TraceContextTextMapPropagator()

    def current(self) -> str:
        carrier: dict[str, str] = {}
        self._form.inject(carrier)
        return carrier.get("traceparent", "")

    def _context(self, traceparent: str) -> Context:
        from opentelemetry.context import Context

        return self._form.extract({"traceparent": traceparent}, Context())

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: str,
        link: str,
        calm: tuple[type[BaseException], ...],
    ) -> Iterator[Note]:
        from opentelemetry import trace

        around = None if self.current() or not parent else self._context(parent)
        before = trace.get_current_span(self._context(link)).get_span_context()
        with self._tracer.start_as_current_span(
            name,
            context=around,
            kind=trace.SpanKind[kind.upper()],
            attributes=dict(attributes),
            links=[trace.Link(before)] if before.is_valid else (),
            record_exception=False,  # its text may hold words
            set_status_on_exception=False,
        ) as made:

            def note(more: Attributes) -> None:
                made.set_attributes(dict(more))
                if "error.type" in more:
                    made.set_status(trace.StatusCode.ERROR)

            try:
                yield note
            except BaseException as error:
                if not isinstance(error, calm):
                    note({"error.type": type(error).__name__})
                raise
