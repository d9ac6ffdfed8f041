"""A stored write, as a value and as a row: spelt once, here. Each field of `Proposal` is a column of the table, by its type.

A new field is a new column: it needs a migration (tables.py), and a place in seals.py, so that an update takes back nothing that waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Double, Integer, Table, literal_column

from catalog.rules import Rule
from gate.policy import State
from store.tables import AnyText, metadata


@dataclass(frozen=True)
class Proposal:
    """A write that waits, or waited: the stored value that the card is drawn from and that is sent."""

    proposal: str
    token: str
    thread: str
    turn: str
    api: str
    operation: str
    method: str
    url: str
    body: str | None
    asker: str
    fingerprint: str
    why: str
    state: State
    created_at: float
    expires_at: float
    card: str
    body_type: str = "json"  # how the body travels: json, form, multipart
    headers: str = "{}"  # the call's own, a JSON object
    matched: str = "[]"  # what names in the call were looked up, a JSON list of objects
    description: str = ""  # the operation's, as the catalog had it
    tainted: bool = False  # it asks since the thread had seen data of the API or words of other people
    hidden: str = "[]"  # names of fields that the catalog hides in the shown body and the target, a JSON list
    renewals: int = 0  # how often it was asked for again, since its target had changed
    moved: str = "[]"  # what of its target moved by itself before it was sent: [field, old, new], a JSON list
    shown_url: str = ""
    shown_body: str | None = None
    rule: Rule = field(default_factory=Rule)
    before: str | None = None  # the target as it was read, JSON of a `Target`
    remind_at: float | None = None
    reply: int = 0
    call: int = 0
    votes: tuple[str, ...] = ()
    decided_by: str | None = None
    decided_at: float | None = None
    reason: str = ""
    sent_at: float | None = None
    status: int | None = None
    note: str = ""
    batch: str | None = None
    place: str = ""  # the key of where its card stands, if that is not its thread
    dry_run: bool = False  # drawn in a dry run: never sent
    recipe: str = ""  # the recipe whose last step it is, and that step's number
    recipe_step: int = 0
    only_for: str = ""  # whose turns alone may see the call and what comes of it; empty: all
    identity: str = ""  # with whose account it was asked for: subject and issuer; empty: with none of a person's own
    seal: str = ""  # the store's signature over all that decides about it

    @property
    def stands(self) -> str:
        """The key of where its card stands."""
        return self.place or self.thread


def _same(value: Any) -> Any:
    return value


def _votes(stored: str) -> tuple[str, ...]:
    return tuple(json.loads(stored))


class _Stored(NamedTuple):
    """How a type is stored: the column's type, and the way there and back."""

    column: Any
    to_row: Callable[[Any], Any] = _same
    from_row: Callable[[Any], Any] = _same


_TYPES = {
    "str": _Stored(AnyText),
    "str | None": _Stored(AnyText),
    "int": _Stored(Integer),
    "int | None": _Stored(Integer),
    "float": _Stored(Double),
    "float | None": _Stored(Double),
    "bool": _Stored(Integer, int, bool),
    "State": _Stored(AnyText, _same, State),
    "Rule": _Stored(AnyText, Rule.to_json, Rule.from_json),
    "tuple[str, ...]": _Stored(AnyText, json.dumps, _votes),
}
_FIELDS = {one.name: _TYPES[str(one.type)] for one in fields(Proposal)}
COLUMNS = tuple(_FIELDS)

_columns: list[Column[object]] = [
    Column(name, how.column, primary_key=name == "proposal") for name, how in _FIELDS.items()
]
proposals = Table("proposals", metadata, *_columns)

# What an index covers is spelt as it is there: an engine does not know of a parameter what it will be.
IS_ASKED: ColumnElement[bool] = proposals.c.state == literal_column("'pending'")
IS_SENT: ColumnElement[bool] = proposals.c.state == literal_column("'sending'")


def row_of(proposal: Proposal) -> dict[str, Any]:
    """The columns of a proposal."""
    return {name: how.to_row(getattr(proposal, name)) for name, how in _FIELDS.items()}


def record_of(row: Mapping[Any, Any]) -> Proposal:
    """The proposal of a row."""
    return Proposal(**{name: how.from_row(row[name]) for name, how in _FIELDS.items()})
