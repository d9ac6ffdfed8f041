"""A receiver of spans as a collector is: OTLP over HTTP, the protobuf decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.harness.loopback import Loopback, Reply, Request

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class Span:
    """A span as it arrived."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]  # the spans that it is linked to
    attributes: Mapping[str, Any]
    has_failed: bool
    began: int
    resource: Mapping[str, Any]


class SpanReceiver(Loopback):
    """For use in a `with`. `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        super().__init__(self._receive)

    def _receive(self, _request: Request) -> Reply:
        body = ExportTraceServiceResponse().SerializeToString()
        return Reply(self.status, body, {"Content-Type": "application/x-protobuf"})

    @property
    def spans(self) -> list[Span]:
        """All that came so far, by their beginning."""
        return sorted((span for one in list(self.requests) for span in _spans(one.body)), key=lambda span: span.began)

    def named(self, name: str) -> list[Span]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def tree(self) -> str:
        """The spans of each trace, indented below their parents; for people to read."""
        spans = self.spans
        known = {span.id for span in spans}
        lines: list[str] = []

        def show(span: Span, depth: int) -> None:
            told = {name: value for name, value in span.attributes.items() if name not in ("messaging.system",)}
            lines.append(f"{'  ' * depth}{span.name} [{span.kind}]{' FAILED' if span.has_failed else ''} {told}")
            for child in spans:
                if child.parent == span.id:
                    show(child, depth + 1)

        for span in spans:
            if span.parent not in known:
                lines.append(f"trace {span.trace[:8]}")
                show(span, 1)
        return "\n".join(lines)


def _spans(body: bytes) -> list[Span]:
    found: list[Span] = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = _attributes(resource.resource.attributes)
        found += [
            Span(
                one.name,
                _KINDS[one.kind],
                one.trace_id.hex(),
                one.span_id.hex(),
                one.parent_span_id.hex(),
                tuple(link.span_id.hex() for link in one.links),
                _attributes(one.attributes),
                one.status.code == 2,
                one.start_time_unix_nano,
                about,
            )
            for scope in resource.scope_spans
            for one in scope.spans
        ]
    return found


def _attributes(pairs: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
