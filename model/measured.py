"""One call of the model, counted, timed and traced; by the GenAI semantic conventions of OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from base import metrics
from base.tracing import span
from model.chat import ModelFailed
from model.replies import BadReply, Reply
from store.transcript import Usage
from workers.cancel_flag import Stopped, TurnCancelled

# What of a usage is counted under which name, and told in which attribute.
_TOLD = {
    "prompt": "gen_ai.usage.input_tokens",
    "completion": "gen_ai.usage.output_tokens",
    "cached": "gen_ai.usage.cache_read.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
}


@contextmanager
def measured(model: str, host: str) -> Iterator[Callable[[Reply], None]]:
    """Around one call of the model of this name, with its retries; gives who is to be told its reply."""
    began, outcome = time.monotonic(), "failed"
    asks = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",  # whose form the requests have, whoever's server it is
        "gen_ai.request.model": model,
        "server.address": host,
    }
    try:
        with span(f"chat {model}", "client", asks, calm=(Stopped, TurnCancelled)) as note:

            def heard(reply: Reply) -> None:
                for kind, name in _TOLD.items():
                    note({name: getattr(reply.usage, kind)})
                note({"gen_ai.response.finish_reasons": (reply.ending,)} if reply.ending else {})
                _count(reply.usage)

            yield heard
        outcome = "ok"
    except (Stopped, TurnCancelled):
        outcome = "cut off"
        raise
    except BadReply:
        outcome = "odd"
        raise
    except ModelFailed as error:
        outcome = error.refusal.kind if error.refusal is not None else "failed"
        raise
    finally:
        metrics.MODEL_CALLS.labels(outcome).inc()
        metrics.MODEL_CALL_SECONDS.observe(time.monotonic() - began)


def _count(usage: Usage) -> None:
    for kind in _TOLD:
        metrics.TOKENS.labels(kind).inc(getattr(usage, kind))
