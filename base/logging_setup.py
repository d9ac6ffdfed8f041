"""Door to the log: structlog on standard error. JSON lines where that is not a terminal, colours where it is. Secrets are masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from base.json_text import dumps
from base.masking import mask

# HTTP clients log URLs, and a URL may carry an API's key
_TALKATIVE = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "openai",
    "slack_sdk",
    "urllib3",
    "sqlalchemy",
    "werkzeug",
    "waitress",
    "websockets",
    "opentelemetry",
    "requests",
)
_hidden: list[tuple[str, ...]] = [()]  # replaced as a whole: other threads log meanwhile


def hide_in_logs(secrets: Sequence[str]) -> None:
    """From now on these texts are masked, too, in every line, wherever they come from."""
    known = {*_hidden[0], *(secret for secret in secrets if len(secret) >= 6)}
    _hidden[0] = tuple(sorted(known, key=len, reverse=True))


def set_up_logs(*, only_faults: bool = False) -> None:
    """Sets up structlog and the standard library's logging for this process, both to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    last = _for_people() if sys.stderr.isatty() else _for_machines()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[meta, *last, _mask]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.ERROR if only_faults else logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a burst is no news


def set_log_level(level: str) -> None:
    """From now on nothing below this level is logged: debug, info, warning or error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.setLevel(number)
    for handler in root.handlers:
        handler.setLevel(number)  # for those loggers, too, that have a level of their own


def _for_people() -> list[structlog.typing.Processor]:
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _for_machines() -> list[structlog.typing.Processor]:
    """JSON lines; tracebacks without local variables, which hold bodies and credentials."""
    tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    return [tracebacks, structlog.processors.JSONRenderer(serializer=dumps, ensure_ascii=False)]


def _mask(_logger: Any, _method: str, line: Any) -> Any:
    return mask(line, _hidden[0])
