"""The catalog's rules of approval: who decides about which calls. Whether a call needs anybody is gate/policy.py's to say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from catalog.conditions import Condition, ConditionInput
from catalog.schemas import Schema

SAFE_METHODS = frozenset({"GET", "HEAD"})
ASKER, ANYONE = "asker", "anyone-in-channel"
_KEPT = ("approvers", "not_asker", "quorum", "batch")  # what a stored row has of a rule, in the order of its list


@dataclass(frozen=True)
class Rule:
    """Who decides about a write, by the catalog. `when` (JSON Schema over the call's arguments) says for which calls."""

    approvers: tuple[str, ...] = (ASKER,)  # user ids, group ids, group handles with '@', ASKER, ANYONE
    not_asker: bool = False
    quorum: int = 1
    expires: float | None = None  # seconds; None: the entry's or the API's
    when: Schema | None = None
    batch: bool = False
    shared: bool = False  # what it opens may be seen by everybody's turns in the thread, not by the asker's alone

    @cached_property
    def condition(self) -> Condition | None:
        """`when`, ready to judge calls; None where the rule has none. Raises what `Condition` raises."""
        return None if self.when is None else Condition(self.when)

    def holds(self, given: ConditionInput) -> bool:
        """Whether the rule is for a call that brings this. Raises `NotUnderstood` where its condition cannot say."""
        return self.condition is None or self.condition.holds(given)

    def to_json(self) -> str:
        """The rule as a stored row keeps it: what decides, less the conditions that chose it.

        A list, since processes of the version before read nothing else. A version with one more member has to write and seal this list
        for rules that make no use of it, and an object of members by name for those that do.
        """
        return json.dumps([self.approvers, self.not_asker, self.quorum, self.batch])

    @classmethod
    def from_json(cls, text: str) -> Rule:
        """The rule of a stored row, less its condition, which has been judged by then: a list as `to_json` writes it, or an object.

        What a later version added is left out, so the row can be shown and can end. It cannot be sent by what is known here: its seal
        is not over that.
        """
        kept = json.loads(text)
        members = kept if isinstance(kept, dict) else dict(zip(_KEPT, kept, strict=False))
        known = {name: members[name] for name in _KEPT if name in members}
        return cls(**known | ({"approvers": tuple(known["approvers"])} if "approvers" in known else {}))

    @property
    def people(self) -> tuple[frozenset[str], bool, int]:
        """Who may decide and how many it takes, for comparing two rules."""
        return frozenset(self.approvers), self.not_asker, self.quorum

    @property
    def needs_no_asker(self) -> bool:
        """Whether it names people who can decide without the asker, which an app that asked needs."""
        others = set(self.approvers) - {ASKER}
        named = others - {ANYONE}
        return bool(named) and (others != named or any(one[:1] in "@S" for one in named) or self.quorum <= len(named))

    @property
    def is_settled(self) -> bool:
        """Whether the rule names no group by a handle, which may come to mean another group."""
        return not any(one.startswith("@") for one in self.approvers)

    @property
    def strictness(self) -> tuple[int, bool, bool, bool, bool]:
        """Of several rules that match, the one with the greatest value holds: more votes, not the asker, named people, not shared."""
        named = ANYONE not in self.approvers, ASKER not in self.approvers
        return self.quorum, self.not_asker, *named, not self.shared
