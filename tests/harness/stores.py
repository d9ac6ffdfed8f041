"""What the tests of the store share: a clock, and threads, turns and requests on the way through it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from base.thread import Thread
from gate.policy import State
from store.admission import Admission
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry
from store.posts import Post, message, update
from store.proposal_record import Proposal
from store.proposals import Effects
from store.received import Action, Click, Mention
from store.store import Store
from store.transcript import AssistantMessage, ToolCall, Usage
from store.turns import ReplyOutcome, Turn
from tests.harness.databases import begun
from workers.wakes import Nobody, Work

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
TEAM, CHANNEL, ANN, BEN = "T0LOCAL", "C0HR", "U0ANN", "U0BEN"
A, B = Thread(TEAM, CHANNEL, "100.000001"), Thread(TEAM, CHANNEL, "100.000002")
QUIET: dict[Admission, Sequence[Post]] = {
    "taken": [],
    "too many": [],
    "too many of theirs": [],
}


class Hears(Nobody):
    """Tells `heard` of each thread for which there is something to show."""

    def __init__(self, heard: Callable[[str], object]) -> None:
        self._heard = heard

    def recorded(self, thread: str, work: Set[Work], *, is_pinned: bool, lane: str = "") -> None:
        if Work.POSTS in work:
            self._heard(thread)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


NUMBERS = itertools.count(1)


def a_mention(event_id: str, thread: Thread = A, ts: str = "1.1", user: str = ANN, words: str = "hello") -> Mention:
    """A person's message to the bot, in a thread of a channel."""
    return Mention(event_id, thread, ts, user, words, in_thread=True, is_foreign=False)


def a_click(
    event_id: str, thread: Thread = A, token: str = "token", action: Action = "approve", user: str = BEN
) -> Click:
    """A press of a card's button."""
    return Click(event_id, thread, user, token, action, "1.2.trigger", in_view=False)


def arrive(store: Store, thread: Thread = A, ts: str | None = None, user: str = ANN, words: str = "hello") -> Arrival:
    """A mention that was recorded and not yet looked at."""
    number = next(NUMBERS)
    assert store.record(a_mention(f"Ev{number}", thread, ts or f"200.{number:06d}", user, words))
    return store.arrivals(thread.key)[-1]


def admit(
    store: Store,
    thread: Thread = A,
    user: str = ANN,
    ts: str | None = None,
    says: dict[Admission, Sequence[Post]] = QUIET,
    workers: int = 8,
    max_waiting: int = 256,
    **more: Any,
) -> tuple[Admission, Turn]:
    """A mention, recorded and looked at."""
    arrival = arrive(store, thread, ts, user)
    assert isinstance(arrival.received, Mention)
    turn = Turn(f"turn-{arrival.id}", thread.key, user, arrival.received.text, arrival.received.ts)
    return store.admit(arrival, turn, says, workers=workers, max_waiting=max_waiting, **more), turn


def begin(store: Store, thread: Thread = A, user: str = ANN) -> Turn:
    """A turn that runs."""
    admit(store, thread, user)
    turn = begun(store, thread.key)
    assert turn is not None
    return turn


def proposed(turn: Turn, call: int = 0, state: State = State.PENDING, expires_at: float = 5_000.0) -> Proposal:
    number = next(NUMBERS)
    return Proposal(
        proposal=f"proposal-{number}", token=f"token-{number}", thread=turn.thread, turn=turn.turn, api="HR",
        operation="DELETE /api/users/[user_id]", method="DELETE", url="http://hr/api/users/7", body=None, asker=turn.asker,
        fingerprint="f", why="", state=state, created_at=1_000.0, expires_at=expires_at, card=f"card-{number}", call=call,
    )  # fmt: skip


def called(count: int, words: str = "") -> AssistantMessage:
    return AssistantMessage(
        words, tuple(ToolCall(f"id{i}", "call_rest_api", '{"method": "GET"}') for i in range(count))
    )


def propose(store: Store, turn: Turn, state: State = State.PENDING, expires_at: float = 5_000.0) -> Proposal:
    """A stored proposal, with its reply and its card's message."""
    one = proposed(turn, state=state, expires_at=expires_at)
    card = message(one.card, turn.thread, turn.turn, "card")
    store.add_round(turn, ReplyOutcome(called(1), Usage(10, 1), proposals=[one], posts=[card]))
    stored = store.proposal(token=one.token)
    assert stored is not None
    return stored


def redrawn(changed: Proposal) -> Effects:
    """What the gate makes of a transition: a result for the model, and the card again."""
    number = next(NUMBERS)
    return Effects("{}", [update(f"update-{number}", changed.thread, changed.turn, changed.card, "card", [])])


def race(count: int, work: Callable[[int], T]) -> list[T]:
    """`work` in `count` threads that start at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def noted(changed: Proposal) -> Effects:
    """The effects that every transition of the gate has: a card, and an entry in the journal."""
    return replace(redrawn(changed), entries=[JournalEntry("noted", {"proposal": changed.proposal})])
