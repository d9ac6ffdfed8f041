"""The project's own Python files, for tests that read them: each is parsed once per process, however many look at it."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """A file's tree. No garbage is looked for meanwhile: there is none, and that took twice as long as parsing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        if was_on:
            gc.enable()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All that stands in a file."""
    return tuple(ast.walk(parsed(path)))


@cache
def statements(path: Path) -> tuple[ast.AST, ...]:
    """A file's statements at any depth, without the expressions in them, which are most of it."""
    return tuple(_statements(parsed(path)))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        within = getattr(node, name, ())
        for one in within if isinstance(within, list) else ():
            yield one
            yield from _statements(one)


def forget() -> None:
    """What was read, so that no later look for garbage goes through a million nodes."""
    for one in (parsed, nodes, statements):
        one.cache_clear()
