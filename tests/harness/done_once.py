"""What libraries do anew for each of the thousands of servers and clients of the tests, and need do once: of whoever imports this.

The bot's own code runs as it is: its servers and clients are made once for a process, so that none of this would gain anything there.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import ssl
from collections.abc import Callable
from typing import Any

import httpcore2
from werkzeug.routing import Rule

_compile = Rule._compile_builder
_default_context = httpcore2.default_ssl_context


def _compile_when_used(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    """What makes a URL of a route, compiled when somebody asks for one. Nearly nobody does, and compiling that for each route of three
    servers was a third of the time in which a test gets its bot."""
    compiled = functools.cache(functools.partial(_compile, rule, append_unknown))
    return lambda _rule, **values: compiled()(rule, **values)


@functools.cache
def _certificates(trust_env: bool, _named: tuple[str | None, ...]) -> ssl.SSLContext:
    return _default_context(_trust_env=trust_env)


def _same_certificates(*, _trust_env: bool = True) -> ssl.SSLContext:
    """What a client of the tests' own trusts. Most of them speak plain HTTP on loopback, and to read the system's certificates for each
    took fifty milliseconds; the bot's clients share theirs (base/deadline.py)."""
    return _certificates(_trust_env, tuple(map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR"))))


setattr(Rule, "_compile_builder", _compile_when_used)  # noqa: B010
setattr(httpcore2, "default_ssl_context", _same_certificates)  # noqa: B010
setattr(importlib.metadata, "version", functools.cache(importlib.metadata.version))  # noqa: B010 - each of werkzeug's servers asks
