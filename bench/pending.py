"""(f) A turn while ten thousand requests of others wait for people, beside one while none does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from base.thread import Thread
from bench import turn
from bench.stage import Stage
from catalog.rules import Rule
from gate.policy import State
from store.admission import Admission
from store.posts import Post
from store.proposal_record import Proposal
from store.received import Mention
from store.store import Store
from store.transcript import AssistantMessage, ToolCall, Usage
from store.turns import ReplyOutcome, Turn

REQUESTS = 10_000


def measure(on: Stage) -> tuple[float, float]:
    """Seconds of a turn, medians: with nothing waiting, and with so many requests."""
    empty, full = on.directory / "none.db", _filled(on.directory / "waiting.db")
    return turn.measure(on, empty).bot, turn.measure(on, full).bot


def _filled(database: Path) -> Path:
    store = Store(f"sqlite:///{database}")
    for number in range(REQUESTS):
        _ask(store, Thread("T0LOCAL", "C0HR", f"{time.time() - number:.6f}"), number)
    store.close()
    return database


def _ask(store: Store, thread: Thread, number: int) -> None:
    """A thread that waits for a decision."""
    mention = Mention(f"EvWaits{number}", thread, thread.ts, "U0ANN", "remove him", in_thread=False, is_foreign=False)
    store.record(mention)
    (arrival,) = store.arrivals(thread.key)
    asked = Turn(f"waits{number}", thread.key, "U0ANN", "remove him", thread.ts)
    quiet: dict[Admission, Sequence[Post]] = {"taken": [], "too many": [], "too many of theirs": []}
    store.admit(arrival, asked, quiet, workers=8, max_waiting=256)
    begun = store.begin_turn(asked, asked.text, ())
    said = AssistantMessage("", (ToolCall("call", "call_rest_api", "{}"),))
    store.add_round(begun, ReplyOutcome(said, Usage(), proposals=[_request(begun, number)]))
    store.rest_turn(begun)


def _request(of: Turn, number: int) -> Proposal:
    now = time.time()
    return Proposal(
        proposal=f"p{number}", token=f"t{number}", thread=of.thread, turn=of.turn, api="HR", operation="DELETE /api/users/[user_id]",
        method="DELETE", url=f"http://hr/api/users/{number}", shown_url=f"http://hr/api/users/{number}", body=None, asker=of.asker,
        fingerprint="f", why="", rule=Rule(), state=State.PENDING, created_at=now, remind_at=now + 40_000, expires_at=now + 80_000,
        card=f"c{number}",
    )  # fmt: skip
