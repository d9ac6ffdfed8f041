"""Who may end an answer or take one of the bot's messages away, and what then happens: the asker, and the bot's admins.

A message is known by the ts that the store has for it, never by what a payload says of it. Cards are the record of a request and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from base import words
from gate.card_modals import confirm_modal
from gate.policy import NothingToDecide, Refused
from slack_io.web_api import SlackWeb
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry
from store.posts import Post, delete
from store.received import MessageDeleted, Shortcut
from store.store import Store
from store.turns import Turn

log = structlog.get_logger("cancellation")
SOMEBODY = "somebody"  # where Slack does not say who stopped or deleted


class Cancellation:
    """Stop and delete: recorded, which wakes the thread; who has it cuts off the turn's model call."""

    def __init__(
        self,
        store: Store,
        web: SlackWeb,
        admins: Sequence[str],
        *,
        ids: Callable[[], str],
    ) -> None:
        self._store = store
        self._web = web
        self._admins = admins
        self._ids = ids

    # --- the shortcuts: a modal asks first ----------------------------------------------------------------------------

    def ask(self, shortcut: Shortcut) -> None:
        """A message shortcut: opens the modal that asks. Raises `Refused`, and what opening a modal raises."""
        if shortcut.callback == "stop_generating":
            turn = self._turn_at(shortcut)
            self._check(shortcut.user, turn.asker, words.NOT_YOURS_TO_STOP)
            view = confirm_modal("stop", words.STOP_TITLE, words.STOP_ASK, words.STOP, turn.turn)
        else:
            post = self._message(shortcut.channel, shortcut.message_ts)
            self._check_delete(shortcut.user, post)
            view = confirm_modal("delete", words.DELETE_TITLE, words.DELETE_ASK, words.DELETE, post.post)
        self._web.open_view(shortcut.trigger, view)

    def _turn_at(self, shortcut: Shortcut) -> Turn:
        """The turn under way in the thread of a message, found by the message's stored ts where it is the bot's own."""
        mine = self._store.message_at(shortcut.channel, shortcut.message_ts)
        turn = self._store.next_turn(mine.thread if mine is not None else shortcut.thread.key)
        if turn is None:
            raise Refused(words.NOTHING_RUNS)
        return turn

    def _message(self, channel: str, ts: str) -> Post:
        post = self._store.message_at(channel, ts)
        if post is None:
            raise Refused(words.NOT_MINE)
        return post

    # --- the deed -----------------------------------------------------------------------------------------------------

    def stop(self, arrival: Arrival, turn_id: str) -> None:
        """Ends a turn: the button, or the submitted modal. Raises `Refused`."""
        turn = self._store.turn(turn_id)
        if turn is None:
            raise NothingToDecide
        self._check(arrival.received.user, turn.asker, words.NOT_YOURS_TO_STOP)
        self._end(arrival, turn, "asked")

    def session_stopped(self, arrival: Arrival) -> None:
        """Slack's own stop was pressed in a thread. Raises `Refused`."""
        turn = self._store.next_turn(arrival.thread.key)
        if turn is None:
            raise NothingToDecide
        self._check(arrival.received.user, turn.asker, words.NOT_YOURS_TO_STOP)
        self._end(arrival, turn, "by Slack's stop")

    def _end(self, arrival: Arrival, turn: Turn, how: str) -> None:
        self._end_turn(turn, arrival.received.user, how, arrival.id)

    def _end_turn(self, turn: Turn, by: str, how: str, arrival: int | None = None) -> None:
        if self._store.stop_turn(turn, by, [JournalEntry("stop", {"by": by, "how": how})], arrival=arrival):
            log.info("stopped", turn=turn.turn, by=by, how=how)

    def remove(self, arrival: Arrival, post_id: str) -> None:
        """Deletes one of the bot's messages: the submitted modal. Raises `Refused`."""
        post = self._store.post(post_id)
        if post is None:
            raise Refused(words.NOT_MINE)
        user = arrival.received.user
        self._check_delete(user, post)
        noted = JournalEntry("message deleted", {"by": user, "post": post.post})
        self._store.dispose(arrival, [delete(self._ids(), post.thread, post.turn, post.post)], [noted])
        self._end_growing(post, user)

    def removed(self, arrival: Arrival, message: MessageDeleted) -> None:
        """A message was deleted in Slack itself; where it was an answer in progress, that ends."""
        post = self._store.message_at(message.thread.channel, message.deleted_ts)
        self._store.dispose(arrival)
        if post is not None:
            self._end_growing(post, SOMEBODY)

    def ended_in_slack(self, turn_id: str) -> None:
        """Slack says that a person stopped a stream or deleted a growing message: only who may do so there could."""
        turn = self._store.turn(turn_id)
        if turn is not None:
            self._end_turn(turn, SOMEBODY, "in Slack")

    def _end_growing(self, post: Post, by: str) -> None:
        """Ends the turn whose answer was growing in a message that is gone."""
        running = self._store.next_turn(post.thread) if post.kind == "live" else None
        if running is not None and running.turn == post.turn:
            self._end_turn(running, by, "its answer was deleted")

    # --- who may ------------------------------------------------------------------------------------------------------

    def _check_delete(self, user: str, post: Post) -> None:
        if post.is_card:
            raise Refused(words.NO_CARDS)
        turn = self._store.turn(post.turn)
        self._check(user, turn.asker if turn is not None else "", words.NOT_YOURS_TO_DELETE)

    def _check(self, user: str, asker: str, refusal: str) -> None:
        """Raises `Refused` unless this person asked, or is an admin."""
        if user == asker or self._is_admin(user):
            return
        raise Refused(refusal.format(asker=words.asker(asker)) if asker else words.NOT_MINE)

    def _is_admin(self, user: str) -> bool:
        """Looked up now; what Slack does not say lets nobody through."""
        for one in self._admins:
            if one == user:
                return True
        for one in self._admins:
            group = self._web.group_id(one.removeprefix("@"), insists=True) if one.startswith("@") else one
            if group is not None and group.startswith("S") and self._web.in_group(group, user):
                return True
        return False
