"""The keys of apis.yaml that say who decides about a write, and who may ask: `approval`, `askers`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from catalog.rules import ANYONE, ASKER
from catalog.values import (
    Approver,
    Asker,
    Expiry,
    Schema,
    Strict,
)


def _rules(value: object) -> object:
    """`always`, `never`, one rule or a list of them, as a list of rules."""
    match value:
        case "always":
            return ({},)
        case "never":
            return ()
        case None | []:
            raise ValueError(
                'write always, never, a rule, for example {approvers: ["@hr-leads"]}, or a list of rules, or leave it out'
            )
        case dict():
            return (value,)
        case list() if all(isinstance(one, dict) for one in value):
            return tuple(value)
    raise ValueError('write always, never, a rule, for example {approvers: ["@hr-leads"]}, or a list of rules')


def not_never(value: tuple[ApprovalRule, ...] | None) -> tuple[ApprovalRule, ...] | None:
    """Refuses `never` where it would hold for many operations."""
    if value == ():
        raise ValueError("approval: never is for single POST endpoints, not for a whole API or channel")
    return value


def one_or_several(value: object) -> object:
    """A mere text is a list of one."""
    return (value,) if isinstance(value, str) else value


class ApprovalRule(Strict):
    """Who decides, and about which calls."""

    approvers: tuple[Approver, ...] = (ASKER,)
    """User ids (U024BE7LH), user groups (@hr-leads in quotes, or S0614TZR7), asker, anyone-in-channel. Default: asker."""
    not_asker: bool = False
    """The person who asked may not decide."""
    quorum: Annotated[int, Field(ge=1, le=20)] = 1
    """How many different approvers have to say yes. Default: 1."""
    expires: Expiry | None = None
    """How long a request waits for its decision: 45s, 30m, 2h, 1d. Default: that of the endpoint, or of the API."""
    when: Schema | None = None
    """A JSON Schema over the call's arguments: the rule applies to calls that match it, and to those that it cannot read."""
    batch: bool = False
    """Several such requests of one reply may be approved with one click."""
    shared: bool = False
    """What the API answers may be used for everybody's questions in the thread. Default: only for the asker's."""

    @model_validator(mode="after")
    def _can_be_met(self) -> ApprovalRule:
        people = [one for one in self.approvers if one != ASKER or not self.not_asker]
        if not self.approvers:
            raise ValueError(
                "nobody could approve: 'approvers' is empty; name users or groups, asker or anyone-in-channel"
            )
        if not people:
            raise ValueError("nobody could approve: not_asker needs approvers other than the asker")
        if not any(one == ANYONE or one[:1] in "@S" for one in people) and self.quorum > len(set(people)):
            raise ValueError(
                f"quorum: {self.quorum} can never be met by {len(set(people))} approver(s); name more or lower it"
            )
        return self


_Rules = Literal["always", "never"] | ApprovalRule | list[ApprovalRule]
# None: not said; empty: never
ApprovalKey = Annotated[tuple[ApprovalRule, ...] | None, BeforeValidator(_rules, json_schema_input_type=_Rules)]


def _not_empty(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if value == ():
        raise ValueError("it is empty; name those who may ask, or leave it out")
    return value


AskersKey = Annotated[
    tuple[Asker, ...] | None,
    BeforeValidator(one_or_several, json_schema_input_type=Asker | Annotated[list[Asker], Field(min_length=1)]),
    AfterValidator(_not_empty),
]
