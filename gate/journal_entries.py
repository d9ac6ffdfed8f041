"""What the journal is told by the gate: reads, look-ups that were not clear, and what became of proposals."""

from __future__ import annotations

import json
from typing import Any

from catalog.calls import Call
from catalog.lookup import Unclear
from store.journal.hash_chain import JournalEntry, digest
from store.proposal_record import Proposal


def noted_read(
    call: Call, status: int | None, seconds: float, problem: str, identity: str = "", **more: str | int
) -> JournalEntry:
    """The journal's entry for a read. `identity`: whose it was made with, empty where that was the bot's own."""
    told: dict[str, Any] = {"operation": call.operation.name, "url": call.shown_url}
    told |= {"headers": dict(call.headers)} if call.headers else {}
    told |= {"status": status, "seconds": seconds} | ({"identity": identity} if identity else {})
    return JournalEntry("read", told | ({} if status is not None else {"problem": problem}) | more)


def noted_unclear(call: Call, error: Unclear) -> JournalEntry:
    """The journal's entry for a call that was not made, since a name in it does not say which thing is meant."""
    return JournalEntry("look-up", {"operation": call.operation.name, "url": call.shown_url, "outcome": error.outcome})


def proposed(proposal: Proposal) -> JournalEntry:
    """The journal's entry for a new proposal."""
    told = {"why": proposal.why, "tainted": proposal.tainted, "rule": proposal.rule.to_json()}
    return JournalEntry("proposed", _noted(proposal) | told)


def happened(kind: str, row: Proposal, by: str | None, seconds: float | None) -> JournalEntry:
    """The journal's entry for what became of a proposal, by whom (None: by no person), and how many seconds the API took."""
    return JournalEntry(kind, _noted(row, by, seconds))


def _noted(row: Proposal, by: str | None = None, seconds: float | None = None) -> dict[str, Any]:
    """What the journal says of a proposal: no body, no secret value, the whole fingerprint."""
    said: dict[str, Any] = {
        "proposal": row.proposal,
        "operation": row.operation,
        "method": row.method,
        "url": row.shown_url,
        **({"headers": json.loads(row.headers)} if row.headers != "{}" else {}),
        **({"body_type": row.body_type} if row.body_type != "json" else {}),
        "fingerprint": row.fingerprint,
        "asker": row.asker,
        "state": str(row.state),
    }
    if row.recipe:
        said |= {"recipe": row.recipe, "step": row.recipe_step}
    extra = {
        "by": by,
        "identity": row.identity,
        "votes": list(row.votes),
        "status": row.status,
        "seconds": seconds,
        "note": row.note,
        "moved": [field for field, *_ in json.loads(row.moved)],
    }
    said |= {name: value for name, value in extra.items() if value}
    return said | ({"reason": digest(row.reason)} if row.reason else {})
