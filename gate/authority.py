"""What the gate knows of Slack's people and channels: who may decide, where their cards stand, what holds in which channel.

Each is looked up when it is needed, through a `PeopleDirectory` that is handed down. What cannot be looked up lets nobody through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from base import words
from base.thread import TOP, Thread
from catalog.calls import BadCall
from catalog.catalog import Catalog
from catalog.rules import ANYONE, ASKER, Rule
from gate.cards import deciders
from gate.policy import Refused
from store.store import Proposal


class Unplaced(BadCall):
    """What holds where a thread is cannot be known now. Its words are for the model and for people."""


class PeopleDirectory(Protocol):
    """What the gate needs to know of the workspace. None: it cannot be looked up now. Each may raise what asks for another try."""

    def group_id(self, handle: str) -> str | None:
        """The id of the user group with this handle (without '@')."""

    def in_group(self, group: str, user: str) -> bool | None:
        """Whether the group (an id) has this member, asked anew each time."""

    def in_channel(self, channel: str, user: str) -> bool | None:
        """Whether the channel has this member, asked anew each time."""

    def channel_name(self, channel: str) -> str | None:
        """A channel's name without '#'."""

    def channel_id(self, name: str) -> str | None:
        """The id of the channel with this name."""


@dataclass(frozen=True)
class Here:
    """What holds where a question is asked: the operations and rules, and words for the model."""

    catalog: Catalog
    instructions: str = ""


class Authority:
    """The people and channels of one bot. `channels` are those designated, ids or #names."""

    def __init__(self, directory: PeopleDirectory | None, channels: Sequence[str]) -> None:
        self._directory = directory
        self._channels = channels

    def here(self, catalog: Catalog, thread: str) -> Here:
        """What holds in a thread's channel; in a direct message, what holds in the first designated channel. Raises `BadCall`."""
        place = Thread.from_key(thread)
        names = self._names_of(catalog, place.channel) if not place.is_direct else self._first_channel(catalog)
        entry = next((one for name, one in catalog.channels.items() if name in names), None)
        return Here(catalog) if entry is None else Here(catalog.narrowed(entry), entry.instructions)

    def _names_of(self, catalog: Catalog, channel: str) -> tuple[str, ...]:
        """A channel's id and, where the catalog speaks of channels by name, its name."""
        by_name = any(name.startswith("#") for name in catalog.channels)
        if not by_name or self._directory is None:
            return (channel,)
        name = self._directory.channel_name(channel)
        if name is None:  # what the catalog says of it cannot be known, and nothing must be laxer than that
            raise Unplaced(words.NO_CHANNEL_NAME)
        return (channel, f"#{name}")

    def _first_channel(self, catalog: Catalog) -> tuple[str, ...]:
        """The first designated channel, by id and name."""
        if not self._channels or not catalog.channels:
            return ()
        first = self._channels[0]
        return self._names_of(catalog, first) if not first.startswith("#") else (first, self._id_of_first() or "")

    def _id_of_first(self) -> str | None:
        first = self._channels[0] if self._channels else ""
        if not first.startswith("#"):
            return first or None
        return self._directory.channel_id(first) if self._directory is not None else None

    def place(self, thread: str, rule: Rule) -> str:
        """Where a card stands if not in its thread: others cannot see a direct message. Raises `BadCall`."""
        place = Thread.from_key(thread)
        if not place.is_direct or (rule.approvers == (ASKER,) and rule.quorum == 1 and not rule.not_asker):
            return ""
        channel = self._id_of_first()
        if channel is None:
            raise BadCall(words.NOBODY_THERE)
        return Thread(place.team, channel, TOP).key

    def known(self, rule: Rule) -> Rule:
        """The rule with its groups' handles as ids, where Slack knows them: what a row stands for must not move with a handle."""
        ids = [self._group_id(one) or one if one.startswith("@") else one for one in rule.approvers]
        return replace(rule, approvers=tuple(ids))

    def _group_id(self, handle: str) -> str | None:
        return self._directory.group_id(handle.removeprefix("@")) if self._directory is not None else None

    def check_authority(self, proposal: Proposal, by: str) -> None:
        """Raises `Refused` unless the stored rule lets `by` decide. What cannot be looked up lets nobody through."""
        rule = proposal.rule
        who = deciders(rule, proposal.asker)
        if rule.not_asker and by == proposal.asker:
            raise Refused(words.NOT_ASKER.format(deciders=who))
        unknown: list[str] = []
        for approver in rule.approvers:
            is_one = self._stands_for(approver, by, proposal)
            if is_one:
                return
            if is_one is None:
                unknown.append(approver)
        if unknown:
            raise Refused(words.NO_LOOKUP.format(group=" or ".join(unknown)))
        raise Refused(words.NOT_YOU.format(deciders=who))

    def _stands_for(self, approver: str, by: str, proposal: Proposal) -> bool | None:
        """Whether `by` is who the rule names; None where Slack would not say."""
        if approver == ASKER:
            return by == proposal.asker
        if approver[:1] not in "@S" and approver != ANYONE:
            return by == approver
        if self._directory is None:
            return None
        if approver == ANYONE:
            return self._directory.in_channel(Thread.from_key(proposal.stands).channel, by)
        group = self._group_id(approver) if approver.startswith("@") else approver
        return self._directory.in_group(group, by) if group is not None else None
