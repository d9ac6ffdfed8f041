"""What the gate knows of Slack's people and channels: who may ask and who may decide, where their cards are, what holds in which channel.

Each is looked up when it is needed, through a `PeopleDirectory` that is handed down, and believed for seconds. What cannot be
looked up lets nobody through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol

from base import words
from base.askers import app_of
from base.slack_errors import SlackBusy, SlackUnsure
from base.thread import TOP, Thread
from catalog.askers import EVERYBODY, Circle, is_domain, is_group
from catalog.bad_call import BadCall
from catalog.catalog import Catalog, Channel
from catalog.rules import ANYONE, ASKER, Rule
from gate.cards import deciders
from gate.policy import Refused
from store.proposal_record import Proposal

_KEEP_ASKERS = 60.0  # seconds for which it is believed who may ask for what, and who may in a direct message
KEEP_MEMBERS = (
    5.0  # seconds for which it is believed who belongs to a group or a channel, where somebody decides by that
)
_KEEP_SHOWN = 60.0  # seconds for which it is believed who belongs where, for what only shows something
_SPARE = 9  # look-ups of a minute that are then left to who decides


# What is done by what somebody may ask for: a question is asked, an approved request is sent, or something is shown.
Use = Literal["ask", "send", "show"]


class ChannelUnknown(BadCall):
    """What holds where a thread is cannot be known now. Its words are for the model and for people."""


class PeopleDirectory(Protocol):
    """What the gate needs to know of the workspace. None: it cannot be looked up now. Each may raise what asks for another try."""

    def group_id(self, handle: str, *, insists: bool = False) -> str | None:
        """The id of the user group with this handle (without '@'). Raises only where it `insists`."""

    def in_group(self, group: str, user: str, *, kept: float = ..., spare: int = ...) -> bool | None:
        """Whether the group (an id) has this member, by a look-up at most `kept` seconds old, with so many more to `spare`."""

    def in_channel(self, channel: str, user: str, *, kept: float = ..., spare: int = ...) -> bool | None:
        """Whether the channel has this member; as with groups."""

    def is_outsider(self, user: str) -> bool | None:
        """Whether somebody is a guest, of another organisation, or gone."""

    def email_domain(self, user: str) -> str | None:
        """The domain of somebody's e-mail address, in small letters; empty where none counts: of who is no full member here."""

    def channel_name(self, channel: str) -> str | None:
        """A channel's name without '#'."""

    def channel_id(self, name: str) -> str | None:
        """The id of the channel with this name."""


@dataclass(frozen=True)
class CatalogPart:
    """What holds where a question is asked, for who asks it: the operations and rules, and words for the model. `is_unsure`: there may be
    more, since Slack would not say whom a name under `askers` stands for."""

    catalog: Catalog
    instructions: str = ""
    is_unsure: bool = False


class Authority:
    """The people and channels of one bot. `channels` are those designated, ids or #names; without `allow_guests` guests and people of
    other organisations have what names them by id, and no more."""

    def __init__(self, directory: PeopleDirectory, channels: Sequence[str], *, allow_guests: bool = True) -> None:
        self._directory = directory
        self._channels = channels
        self._allow_guests = allow_guests

    def part(self, catalog: Catalog, thread: str, asker: str, *, to: Use = "ask") -> CatalogPart:
        """What holds for `asker` in a thread's channel; in a direct message, what holds in the first designated channel.

        Raises `BadCall`, and as `asked_by` does.
        """
        entry = self._entry(catalog, thread)
        mine = self.asked_by(catalog, asker, to=to)
        if entry is None:
            return mine
        return replace(mine, catalog=mine.catalog.narrowed(entry), instructions=entry.instructions)

    def part_for_all(self, catalog: Catalog, thread: str) -> Catalog:
        """What holds in a thread's channel, whoever asks. Raises `BadCall`."""
        entry = self._entry(catalog, thread)
        return catalog if entry is None else catalog.narrowed(entry)

    def _entry(self, catalog: Catalog, thread: str) -> Channel | None:
        """What the catalog says of a thread's channel. Raises `BadCall`."""
        place = Thread.from_key(thread)
        names = self._names_of(catalog, place.channel) if not place.is_direct else self._first_channel(catalog)
        return next((one for name, one in catalog.channels.items() if name in names), None)

    def asked_by(self, catalog: Catalog, asker: str, *, to: Use = "ask") -> CatalogPart:
        """What `asker` may ask for in any channel; an app what names it, and no more. Where Slack does not say now, raises `SlackBusy` or
        `SlackUnsure`, or leaves out what is not known, `to` show what there is."""
        if app := app_of(asker):
            return CatalogPart(catalog.open_to(_naming(catalog, app)))
        if not self._allow_guests and asker in catalog.askers:  # others of them come no further than the door
            is_outsider = self._directory.is_outsider(asker)
            if is_outsider is not False:
                return CatalogPart(catalog.open_to(_naming(catalog, asker)), is_unsure=is_outsider is None)
        is_in_them = {one: self._is_in(one, asker, to) for one in catalog.circles}
        circles = frozenset(one for one, is_in in is_in_them.items() if is_in)
        return CatalogPart(catalog.open_to(circles), is_unsure=None in is_in_them.values())

    def _is_in(self, circle: Circle, user: str, to: Use) -> bool | None:
        """Whether a circle names somebody; None where Slack would not say. Raises `SlackBusy` or `SlackUnsure`."""
        if EVERYBODY in circle or user in circle:
            return True
        found = _look_up(circle, lambda name: self._is_named(name, user, to))
        if found.busy is not None and to != "show":
            raise found.busy
        return True if found.is_one else None if found.unknown or found.busy is not None else False

    def _is_named(self, name: str, user: str, to: Use) -> bool | None:
        if not (is_group(name) or is_domain(name)):
            return False
        if is_domain(name):
            domain = self._directory.email_domain(user)
            return None if domain is None else domain == name
        kept, spare = (KEEP_MEMBERS, 0) if to == "send" else (_KEEP_ASKERS, _SPARE)
        return self._in_group(name, user, kept=kept, spare=spare)

    def _in_group(self, name: str, user: str, *, kept: float, spare: int) -> bool | None:
        """Whether somebody belongs to a group, by its handle or id."""
        group = self._directory.group_id(name.removeprefix("@"), insists=True) if name.startswith("@") else name
        return self._directory.in_group(group, user, kept=kept, spare=spare) if group is not None else None

    def _names_of(self, catalog: Catalog, channel: str) -> tuple[str, ...]:
        """A channel's id and, where the catalog speaks of channels by name, its name."""
        if not any(name.startswith("#") for name in catalog.channels):
            return (channel,)
        name = self._directory.channel_name(channel)
        if name is None:  # what the catalog says of it cannot be known, and nothing must be laxer than that
            raise ChannelUnknown(words.NO_CHANNEL_NAME)
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
        return self._directory.channel_id(first)

    def may_ask_directly(self, user: str) -> bool | None:
        """Whether somebody is a member of the channel whose rules hold in direct messages, so that nobody gets past its door that way;
        None where Slack does not say."""
        channel = self._id_of_first()
        return self._directory.in_channel(channel, user, kept=_KEEP_ASKERS) if channel is not None else None

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
        return self._directory.group_id(handle.removeprefix("@"))

    def check_authority(self, proposal: Proposal, by: str, *, shows: bool = False) -> None:
        """Raises `Refused` unless the stored rule lets `by` decide. What cannot be looked up lets nobody through.

        `shows`: nothing is decided by it, so it may be older and leaves look-ups to who decides.
        """
        rule = proposal.rule
        who = deciders(rule, proposal.asker)
        if rule.not_asker and by == proposal.asker:
            raise Refused(words.NOT_ASKER.format(deciders=who))
        found = _look_up(rule.approvers, lambda approver: self._stands_for(approver, by, proposal, shows=shows))
        if found.is_one:
            return
        if found.busy is not None:
            raise found.busy
        if found.unknown:
            raise Refused(words.NO_LOOKUP.format(group=" or ".join(found.unknown)))
        raise Refused(words.NOT_YOU.format(deciders=who))

    def _stands_for(self, approver: str, by: str, proposal: Proposal, *, shows: bool) -> bool | None:
        """Whether `by` is who the rule names; None where Slack would not say."""
        if approver == ASKER:
            return by == proposal.asker
        if not _look_ups(approver):
            return by == approver
        kept, spare = (_KEEP_SHOWN, _SPARE) if shows else (KEEP_MEMBERS, 0)
        if approver == ANYONE:
            return self._directory.in_channel(Thread.from_key(proposal.stands).channel, by, kept=kept, spare=spare)
        return self._in_group(approver, by, kept=kept, spare=spare)


class _Found(NamedTuple):
    """Whether somebody is one of several names; else of which Slack would not say, and why it would have to be asked again."""

    is_one: bool
    unknown: Sequence[str] = ()
    busy: SlackBusy | SlackUnsure | None = None


def _look_up(names: Iterable[str], is_one: Callable[[str], bool | None]) -> _Found:
    """Asks of each name whether it stands for somebody, until one does. What needs no look-up comes first, and a look-up that has to
    wait waits for no other that says yes."""
    unknown: list[str] = []
    busy: SlackBusy | SlackUnsure | None = None
    for name in sorted(names, key=_look_ups):
        try:
            said = is_one(name)
        except (SlackBusy, SlackUnsure) as error:
            busy = busy or error
            continue
        if said:
            return _Found(is_one=True)
        if said is None:
            unknown.append(name)
    return _Found(is_one=False, unknown=unknown, busy=busy)


def _naming(catalog: Catalog, name: str) -> frozenset[Circle]:
    """The circles in which this very name stands."""
    return frozenset(one for one in catalog.circles if name in one)


def _look_ups(approver: str) -> int:
    """How many look-ups it takes, at most, to know whether somebody is this approver; a large channel takes one for each page."""
    if approver == ANYONE:
        return 3
    return 0 if approver == ASKER or approver[:1] not in "@S" else 2 if approver.startswith("@") else 1
