"""Seals and fingerprints: what a proposal is signed with, and whether it is as it was stored.

A seal is made when a proposal is stored, and again at each vote; whatever else becomes of it, it is void.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from store.database import Transaction
from store.holds import DATABASE
from store.journal.journal import Journal
from store.proposal_record import COLUMNS, Proposal, proposals, row_of
from store.tables import storable
from workers.wakes import Work

# What changes, or comes, and decides nothing.
_MOVING = {"remind_at", "sent_at", "status", "note", "reason", "seal"}
# Columns that came later. Where one is empty, no seal speaks of it: a request that makes no use of what is new is sealed as by the version
# before, whose processes work beside those of this one during an update.
_LATER = {"identity"}
_ALWAYS = set(COLUMNS) - _MOVING - _LATER
_REQUEST = ("api", "method", "url", "body", "body_type", "headers", "asker", "rule")
_ADD = insert(proposals)


def is_intact(journal: Journal, proposal: Proposal) -> bool:
    """Whether a proposal that waits, or is approved, is as this bot has stored it: what is sent, its rule and who decided."""
    return journal.is_signed(proposal.seal[len(sealing(journal, proposal)) :], "record", _what_counts(proposal))


def fingerprint(journal: Journal, proposal: Proposal) -> str:
    """What people and the journal know a proposal by: a signature over all that is sent, who asked for it, and who may decide."""
    row = row_of(proposal)
    return journal.sign("request", [_as_stored(row[name]) for name in _REQUEST])


def seal(journal: Journal, proposal: Proposal) -> str:
    """The seal of a proposal as it is."""
    return sealing(journal, proposal) + journal.sign("record", _what_counts(proposal))


def sealing(journal: Journal, proposal: Proposal) -> str:
    """What a seal of such a proposal begins with where it was made under this key, by a version that knows the same columns of it."""
    return journal.sign("columns", list(_what_counts(proposal)))[:8] + "."


def add_proposals(tx: Transaction, new: Sequence[Proposal]) -> None:
    """Stores proposals, sealed."""
    if new:
        tx.db.execute(_ADD, [row_of(one) | {"seal": seal(tx.journal, one)} for one in new])
        tx.wake(DATABASE, Work.DEADLINES)  # one of them may be the next to expire


def _what_counts(proposal: Proposal) -> dict[str, Any]:
    """The columns that a seal covers, as the database gives them back."""
    row = row_of(proposal)
    return {name: _as_stored(row[name]) for name in sorted(_ALWAYS | {later for later in _LATER if row[later]})}


def _as_stored(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case int() | float():
            return float(value)
    return value
