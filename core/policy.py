"""The law of the gate: which calls need a person, and what may become of a proposal. One table; what is not in it cannot happen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from jsonschema import Draft202012Validator


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
    OUTDATE = "outdate"  # the target is no longer what the card showed; nothing was done
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
    (State.SENDING, Event.OUTDATE): State.STALE,
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


SAFE_METHODS = frozenset({"GET", "HEAD"})
ASKER, ANYONE = "asker", "anyone-in-channel"


@dataclass(frozen=True)
class Rule:
    """Who decides about a write, by the catalog. `when` (JSON Schema over the call's arguments) says for which calls."""

    approvers: tuple[str, ...] = (ASKER,)  # user ids, group ids, group handles with '@', ASKER, ANYONE
    not_asker: bool = False
    quorum: int = 1
    expires: float | None = None  # seconds; None: the entry's or the API's
    when: Mapping[str, Any] | None = None
    batch: bool = False

    def matches(self, readings: Sequence[Mapping[str, Any] | None]) -> bool:
        """Whether the rule is for a call with these arguments; of several readings one is enough, None fits every rule."""
        if self.when is None:
            return True
        condition = Draft202012Validator(self.when)
        return any(one is None or condition.is_valid(one) for one in readings)

    def to_json(self) -> str:
        """The rule as a stored row keeps it: what decides, less the conditions that chose it."""
        return json.dumps([self.approvers, self.not_asker, self.quorum, self.batch])

    @classmethod
    def from_json(cls, text: str) -> Rule:
        approvers, not_asker, quorum, batch = json.loads(text)
        return cls(tuple(approvers), not_asker, quorum, batch=batch)

    @property
    def people(self) -> tuple[frozenset[str], bool, int]:
        """Who may decide and how many it takes, for comparing two rules."""
        return frozenset(self.approvers), self.not_asker, self.quorum

    @property
    def is_settled(self) -> bool:
        """Whether the rule names no group by a handle, which may come to mean another group."""
        return not any(one.startswith("@") for one in self.approvers)

    @property
    def strictness(self) -> tuple[int, bool, bool, bool]:
        """Of several rules that match, the one with the greatest value holds: more votes, not the asker, named people."""
        return self.quorum, self.not_asker, ANYONE not in self.approvers, ASKER not in self.approvers


@dataclass(frozen=True)
class Verdict:
    """What the policy says of one call: `read` it, `send` it as a write that needs nobody, or `ask` people by `rule`. `tainted`: it asks
    since the thread holds what the model may be following."""

    way: Literal["read", "send", "ask"]
    tainted: bool = False
    rule: Rule = field(default_factory=Rule)


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """Of the verdicts of all entries that a path may stand for, the one that holds: asking before sending before reading."""
    order = {"read": 0, "send": 1, "ask": 2}
    return max(verdicts, key=lambda one: (order[one.way], one.rule.strictness))


def judge(
    method: str, rules: tuple[Rule, ...] | None, arguments: Sequence[Mapping[str, Any] | None], *, tainted: bool
) -> Verdict:
    """The way of a call by its HTTP method, the catalog's `approval:` and what the thread has seen.

    `rules`: None where the catalog says nothing, empty for `never`. Closed by default: a method that is not known to be safe asks,
    and a rule can only ask where the method alone would not. `tainted` says that the transcript holds data of the API or words
    of other people, which the model may be following.
    """
    matching = [rule for rule in rules or () if rule.matches(arguments)]
    if matching:
        return Verdict("ask", rule=max(matching, key=lambda rule: rule.strictness))
    if method in SAFE_METHODS:
        return Verdict("read")
    if method != "POST":
        return Verdict("ask")
    if rules == () or not tainted:
        return Verdict("send")
    return Verdict("ask", tainted=True)
