"""The law of the gate: which calls need a person, and what may become of a proposal. One table; what is not in it cannot happen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Refused(Exception):
    """The gate said no. Its text goes to the person, and to that person alone."""


class State(StrEnum):
    """Where a proposal stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    STALE = "stale"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Event(StrEnum):
    """What can happen to a proposal."""

    APPROVE = "approve"  # a person's yes, or the policy's for a POST that needs none
    REJECT = "reject"  # a person's no
    EXPIRE = "expire"  # nobody decided in time
    WITHDRAW = "withdraw"  # taken back before a decision
    OUTDATE = "outdate"  # the target changed between the decision and the sending
    SEND = "send"  # the request is about to leave
    SUCCEED = "succeed"  # the API answered 2xx
    FAIL = "fail"  # the API said no, or nothing could be sent
    LOSE = "lose"  # sent, no answer: it may or may not have happened


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.APPROVE): State.APPROVED,
    (State.PENDING, Event.REJECT): State.REJECTED,
    (State.PENDING, Event.EXPIRE): State.EXPIRED,
    (State.PENDING, Event.WITHDRAW): State.WITHDRAWN,
    (State.APPROVED, Event.OUTDATE): State.STALE,
    (State.APPROVED, Event.SEND): State.SENDING,
    (State.APPROVED, Event.FAIL): State.FAILED,
    (State.SENDING, Event.SUCCEED): State.DONE,
    (State.SENDING, Event.FAIL): State.FAILED,
    (State.SENDING, Event.LOSE): State.UNKNOWN,
}


def sources(event: Event) -> tuple[State, ...]:
    """The states in which `event` may happen."""
    return tuple(state for state, its_event in TRANSITIONS if its_event is event)


def target(event: Event) -> State:
    """The one state that `event` leads to, from wherever it may happen."""
    (state,) = {to for (_, its_event), to in TRANSITIONS.items() if its_event is event}
    return state


Approval_key = Literal["always", "never"]
SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Verdict:
    """What the policy says of one call: `read` it, `send` it as a write that needs nobody, or `ask` a person, and why."""

    way: Literal["read", "send", "ask"]
    why: str = ""


def judge(method: str, approval: Approval_key | None, *, tainted: bool) -> Verdict:
    """The way of a call by its HTTP method, its entry's `approval:` and what the thread has seen.

    Closed by default: a method that is not known to be safe asks. `tainted` says that the transcript holds data of the API or
    words of other people, which the model may be following.
    """
    if approval == "always":
        return Verdict("ask", "The catalog asks for approval of this operation.")
    if method in SAFE_METHODS:
        return Verdict("read")
    if method != "POST":
        return Verdict("ask")
    if approval == "never" or not tainted:
        return Verdict("send")
    return Verdict(
        "ask", "This conversation holds data from the API or words of other people, and the bot may be following those."
    )
