"""The law of the gate: which calls need a person, and what may become of a proposal. One table; what is not in it cannot happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, assert_never

from base import transitions, words
from catalog.calls import Call
from catalog.conditions import ConditionInput, NotUnderstood
from catalog.rules import SAFE_METHODS, Rule


class Refused(Exception):
    """The gate said no. Its text goes to the person, and to that person alone."""


class NothingToDecide(Refused):
    """There is nothing (any more) that a press could do, as of a forged button or one's own second press. Nobody is told a word of it."""


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
    RESTORE = "restore"  # the database is an older one again: it may have been decided and sent since


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.APPROVE): State.APPROVED,
    (State.PENDING, Event.REJECT): State.REJECTED,
    (State.PENDING, Event.EXPIRE): State.EXPIRED,
    (State.PENDING, Event.WITHDRAW): State.WITHDRAWN,
    (State.PENDING, Event.RESTORE): State.UNKNOWN,
    (State.APPROVED, Event.RESTORE): State.UNKNOWN,
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
    return transitions.sources(TRANSITIONS, event)


def target(event: Event) -> State:
    """The one state that `event` leads to, from wherever it may happen."""
    return transitions.target(TRANSITIONS, event)


MOST_ALONE = 8  # writes of one reply that are sent without a click


@dataclass(frozen=True)
class Verdict:
    """What the policy says of one call: `read` it, `send` it as a write that needs nobody, or `ask` people by `rule`. It asks since the
    thread holds what the model may be following (`tainted`), or for what the card says (`why`)."""

    way: Literal["read", "send", "ask"]
    why: str = ""
    rule: Rule = field(default_factory=Rule)
    tainted: bool = False


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """Of the verdicts of all entries that a path may stand for, the one that holds: asking before sending before reading."""
    order = {"read": 0, "send": 1, "ask": 2}
    return max(verdicts, key=lambda one: (order[one.way], one.rule.strictness))


def judge(
    method: str, rules: tuple[Rule, ...] | None, given: ConditionInput, *, tainted: bool, sent_alone: int = 0
) -> Verdict:
    """The way of a call by its HTTP method, the catalog's `approval:` and what the thread has seen.

    `rules`: None where the catalog says nothing, empty for `never`. Closed by default: a method that is not known to be safe asks,
    and a rule can only ask where the method alone would not. Where a condition cannot say whether it holds, the strictest of all the
    rules does. `tainted` says that the transcript holds data of the API or words of other people, which the model may be following;
    `sent_alone` how many writes of the same reply go out without a click.
    """
    matching, problem = _matching(rules or (), given)
    if matching:
        return Verdict("ask", problem, max(matching, key=lambda rule: rule.strictness))
    if method in SAFE_METHODS:
        return Verdict("read")
    if method != "POST":
        return Verdict("ask")
    if rules != () and tainted:
        return Verdict("ask", tainted=True)
    return Verdict("send") if sent_alone < MOST_ALONE else Verdict("ask", words.MANY.format(most=MOST_ALONE))


def _matching(rules: Sequence[Rule], given: ConditionInput) -> tuple[Sequence[Rule], str]:
    """The rules that are for a call; all of them, and why, where one of them cannot say."""
    try:
        return [rule for rule in rules if rule.holds(given)], ""
    except NotUnderstood as problem:
        return rules, words.NOT_UNDERSTOOD.format(problem=problem)


@dataclass(frozen=True)
class Read(Call):
    """A call that the policy lets pass: GET or HEAD, whoever asks."""


@dataclass(frozen=True)
class Write(Call):
    """A call that goes through the table of proposals. `by_policy`: no person needs to decide; `tainted` and `why`: for what it asks."""

    by_policy: bool = False
    why: str = ""
    tainted: bool = False
    rule: Rule = field(default_factory=Rule)


def sort(call: Call, *, tainted: bool, sent_alone: int = 0) -> Read | Write:
    """A validated call as what the policy makes of it. `sent_alone`: writes of the same reply that go out without a click."""
    entries = (call.operation, *call.others)
    verdict = strictest(
        [
            judge(call.method, one.rules, call.condition_input(one), tainted=tainted, sent_alone=sent_alone)
            for one in entries
        ]
    )
    match verdict.way:
        case "read":
            return Read(**vars(call))
        case "send":
            return Write(**vars(call), by_policy=True)
        case "ask":
            return Write(**vars(call), why=verdict.why, tainted=verdict.tainted, rule=verdict.rule)
        case other:
            assert_never(other)
