"""App Home: what waits for a person, what that person asked for lately, and what can be asked. Redrawn after each decision.

A new request is drawn at once for who asked and for people whom its rule names; members of a group see it when they open Home.
Who has it open is remembered by the process that drew it, so each tells the others what changed.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

import structlog

from base import words
from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from base.thread import Thread, permalink
from gate.card_posts import card_row
from gate.gate import Gate
from gate.home_cards import home_blocks
from gate.policy import State
from slack_io.home_accounts import HomeAccounts
from slack_io.web_api import SlackWeb
from store.proposal_record import Proposal
from store.store import Store
from workers.waking import Waking

log = structlog.get_logger("app_home")
_SHOWN = 10  # proposals of each list
_VIEWERS = 1_000  # people whose Home is kept up to date
_TRY_AGAIN = 2.0


def _nobody_else(_names: Collection[str]) -> None:
    """There is no other process."""


class AppHome:
    """App Home of everybody. `tell`: has other processes hear of people and requests of which something changed."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        web: SlackWeb,
        waking: Waking,
        channels: Sequence[str],
        *,
        allow_guests: bool,
        accounts: HomeAccounts,
        tell: Callable[[Collection[str]], None] = _nobody_else,
    ) -> None:
        self._store = store
        self._gate = gate
        self._web = web
        self._waking = waking
        self._channels = channels
        self._allow_guests = allow_guests
        self._accounts = accounts
        self._tell = tell
        self._lock = threading.Lock()
        self._teams: dict[str, str] = {}
        self._viewers: OrderedDict[str, frozenset[str]] = OrderedDict()  # person -> the proposals last drawn

    def opened(self, user: str, team: str = "") -> None:
        """Somebody opened it: it is drawn now, and after each decision from now on. `team`: in which workspace."""
        with self._lock:
            self._teams[user] = team
            self._viewers[user] = self._viewers.pop(user, frozenset())
            while len(self._viewers) > _VIEWERS:
                self._teams.pop(self._viewers.popitem(last=False)[0], None)
        self._waking.homes.wake(user)

    def account(self, team: str, user: str, token: str) -> str | None:
        """The key of the person's own account that a button's token names."""
        return self._accounts.find(team, user, token)

    def account_changed(self, user: str, team: str) -> None:
        """Somebody has other accounts by now: that person's Home is redrawn."""
        self.opened(user, team)
        self._tell({user})

    def changed(self, proposals: Sequence[Proposal], by: str = "") -> None:
        """Something became of proposals, `by` a person where one decided: the Homes that show them are redrawn."""
        people = {by, *(one.asker for one in proposals), *(who for one in proposals for who in one.rule.approvers)}
        self._changed({*(one.proposal for one in proposals), *people} - {""})

    def _changed(self, names: set[str]) -> None:
        if names:
            self.heard(names)
            self._tell(names)

    def heard(self, names: Collection[str]) -> None:
        """Something changed for these people, or became of these requests, here or in another process."""
        with self._lock:
            viewers = list(self._viewers.items())
        for user, shown in viewers:
            if user in names or not shown.isdisjoint(names):
                self._waking.homes.wake(user)

    def draw(self, user: str) -> float | None:
        """Publishes a person's Home. None when done, else the seconds after which to try again."""
        try:
            self._draw(user)
        except SlackBusy as error:
            return error.after
        except SlackUnsure:
            return _TRY_AGAIN
        except SlackSaysNo as error:
            log.warning("no app home", error=error.code, user=user)
        return None

    def _draw(self, user: str) -> None:
        is_let_in = self._allow_guests or user in self._gate.catalog.askers
        if not is_let_in and self._web.is_outsider(user) is not False:
            self._web.publish_home(user, home_blocks((), (), (), words.GUEST_ASKS))
            return
        waiting = self._waiting_for(user)
        asked = self._store.proposals_for(asker=user, limit=_SHOWN)
        with self._lock:
            if user in self._viewers:
                self._viewers[user] = frozenset([*waiting, *(one.proposal for one in asked)])
        mine = self._gate.asked_by(user)
        operations = [f"{one.method} {one.url}: {one.description}" for one in mine.operations]
        operations += [f"{one.workflow_id}: {one.description}" for one in mine.recipes]
        how = words.HOME_HOW.format(places=words.places(self._channels))
        found = map(self._store.proposal_of, waiting[:_SHOWN])
        shown = [one for one in found if one is not None and one.state is State.PENDING]  # or decided since: no buttons
        rows = [[card_row(one) for one in group] for group in (shown, asked)]
        links, more = self._links([*shown, *asked]), len(waiting) - len(waiting[:_SHOWN])
        accounts = self._accounts.blocks(self._teams.get(user) or self._web.identity().team, user, mine)
        blocks = home_blocks(rows[0], rows[1], operations, how, user, links, more=more, accounts=accounts)
        self._web.publish_home(user, blocks)

    def _links(self, proposals: Sequence[Proposal]) -> dict[str, str]:
        """Where the cards of these stand, by their tokens. One that was not posted yet, or needed nobody, has its thread instead."""
        home, shown = self._web.identity().url, self._store.shown_at([one.card for one in proposals])
        threads = {one.card: Thread.from_key(one.thread) for one in proposals}
        places = {card: shown.get(card, (thread, thread.ts)) for card, thread in threads.items()}
        return {one.token: permalink(home, *places[one.card]) for one in proposals}

    def _waiting_for(self, user: str) -> list[str]:
        """The pending proposals that this person may decide; one look-up for all that have the same rule."""
        known: dict[tuple[str, str, str], bool] = {}
        found = []
        for one in self._store.waiting():
            is_asker = user if user == one.asker else ""  # whom a rule may name, or leave out
            key = (one.rule, is_asker, one.thread.split("/")[1])
            if key not in known:
                known[key] = self._may_decide(one.proposal, user)
            if known[key] and user not in json.loads(one.votes):
                found.append(one.proposal)
        return found

    def _may_decide(self, proposal: str, user: str) -> bool:
        found = self._store.proposal_of(proposal)
        return found is not None and self._gate.may_decide(found, user)
