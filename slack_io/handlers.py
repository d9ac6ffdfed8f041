"""Looks at what arrived for a thread, in the order in which it came in: mentions.py says who may ask, clicks.py who may press.

Knows people and channels, not the model, and asks nothing of the API, so that it is never kept waiting by either. What Slack has to be
asked about first, and does not answer now, holds up nobody else's click.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import assert_never

import structlog

from base import words
from base.slack_errors import SlackBusy, SlackUnsure
from base.tracing import is_tracing, span
from slack_io.app_home import AppHome
from slack_io.arrival_posts import ArrivalPosts
from slack_io.cancellation import Cancellation
from slack_io.clicks import Clicks
from slack_io.mentions import Mentions
from slack_io.web_api import SlackWeb
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry
from store.posts import Post
from store.received import (
    AppMention,
    AssistantOpened,
    Click,
    HomeOpened,
    Mention,
    MessageDeleted,
    SessionStopped,
    Shortcut,
    Unreadable,
)
from store.store import Store

log = structlog.get_logger("handlers")
_TRY_AGAIN = 2.0  # seconds, where Slack's directory gave no answer
_APPROVE = frozenset({"approve", "approve_all"})


class Handlers:
    """Looks at what arrived."""

    def __init__(
        self,
        store: Store,
        web: SlackWeb,
        mentions: Mentions,
        clicks: Clicks,
        cancellation: Cancellation,
        home: AppHome,
        posts: ArrivalPosts,
    ) -> None:
        self._store = store
        self._web = web
        self._mentions = mentions
        self._clicks = clicks
        self._cancellation = cancellation
        self._home = home
        self._posts = posts

    def handle(self, thread: str) -> float | None:
        """Handles a thread's arrivals. None when all are, else the seconds after which to try again."""
        held: list[Arrival] = []
        waits: list[float] = []
        for arrival in self._store.arrivals(thread):
            wait = 0.0 if _has_to_follow(arrival, held) else self._handle_one(arrival)
            if wait is not None:
                held.append(arrival)
                waits += [wait] if wait else []
        return min(waits, default=None)

    def _handle_one(self, arrival: Arrival) -> float | None:
        """Handles one; or gives the seconds after which Slack may say what has to be known first."""
        with structlog.contextvars.bound_contextvars(event_id=arrival.received.event_id, user=arrival.received.user):
            try:
                self._store.take_in(arrival)
                with self._span(arrival):
                    self._dispatch(arrival)
            except SlackBusy as error:
                return error.after
            except SlackUnsure as error:
                log.warning("slack did not answer", reason=str(error))
                return _TRY_AGAIN
        return None

    def _span(self, arrival: Arrival) -> AbstractContextManager[object]:
        """A span for what is done about an arrival: of its own trace, a click's of the trace of the question that led to its card."""
        own, received, asked = arrival.trace, arrival.received, ""
        about = received.kind
        if isinstance(received, Click):
            about, asked = received.action, self._store.trace_behind(received.token) if is_tracing() else ""
        does = {
            "messaging.system": "slack",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
        }
        calm = (SlackBusy, SlackUnsure)  # it is tried again
        return span(f"process {about}", "consumer", does, parent=asked or own, link=own if asked else "", calm=calm)

    def set_aside(self, arrival: Arrival) -> None:
        """Ends an arrival that may have ended its processes. A question is told so in its thread, who clicked alone."""
        received = arrival.received
        log.error("arrival set aside", kind=received.kind, event_id=received.event_id, ends=arrival.tries)
        says: list[Post] = []
        match received:
            case Mention():
                says.append(self._posts.message(received, "", words.SET_ASIDE))
            case AppMention():
                says.append(self._posts.once(received, words.SET_ASIDE))
            case Shortcut() | Click(in_view=False):
                says.append(self._posts.ephemeral(received, words.SET_ASIDE, in_thread=True))
        noted = {"user": received.user, "kind": received.kind, "ends": arrival.tries}
        self._store.dispose(arrival, says, [JournalEntry("set aside", noted)])

    def _dispatch(self, arrival: Arrival) -> None:
        if not self._is_for_us(arrival):
            log.warning("an event of another installation", installed_in=arrival.installed_in)
            self._store.dispose(arrival)
            return
        match arrival.received:
            case Click() | Shortcut() | SessionStopped() as received:
                self._clicks.handle(arrival, received)
            case AppMention() as received:
                self._mentions.of_app(arrival, received)
            case MessageDeleted() as received:
                self._cancellation.removed(arrival, received)
            case AssistantOpened() as received:
                self._mentions.suggest(arrival, received)
            case HomeOpened() as received:
                self._store.dispose(arrival)
                self._home.opened(received.user, received.thread.team)
            case Mention() as received:
                self._mentions.of_person(arrival, received)
            case Unreadable() as received:  # of a version that knew more
                log.error("an arrival that cannot be read here", kind=received.kind)
                self._store.dispose(arrival)
            case other:
                assert_never(other)

    def _is_for_us(self, arrival: Arrival) -> bool:
        """Whether an event was meant for the installation whose token the bot has: that of its workspace, or of its organisation."""
        if arrival.installed_in is None:
            return True
        bot = self._web.identity()
        own = {bot.team, bot.enterprise} - {""}
        return not own or not own.isdisjoint(arrival.installed_in)


def _has_to_follow(arrival: Arrival, held: Iterable[Arrival]) -> bool:
    """Whether something waits for what came before it and is held up: messages for messages, a person's click for that person's, and
    a yes for anybody's click that may be a no."""
    click, before = arrival.received, [one.received for one in held]
    if not isinstance(click, Click):
        return any(not isinstance(one, Click) for one in before)
    says_yes, clicks = click.action in _APPROVE, [one for one in before if isinstance(one, Click)]
    return any(one.user == click.user or (says_yes and one.action not in _APPROVE) for one in clicks)
