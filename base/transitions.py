"""Transitions as data: a table (state, event) -> state. What is not in the table cannot happen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def sources(table: Mapping[tuple[S, E], S], event: E) -> tuple[S, ...]:
    """The states in which `event` may happen."""
    return tuple(state for state, its_event in table if its_event is event)


def target(table: Mapping[tuple[S, E], S], event: E) -> S:
    """The one state that `event` leads to, from wherever it may happen."""
    (state,) = {to for (_, its_event), to in table.items() if its_event is event}
    return state


def is_open(table: Mapping[tuple[S, E], S], state: S) -> bool:
    """Whether anything can still happen in `state`."""
    return any(state is source for source, _ in table)
