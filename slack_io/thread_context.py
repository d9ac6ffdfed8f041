"""Reads from Slack, when a turn begins, what was written: the question as it stands by now, and the thread before it.

The bot is not subscribed to the channel's messages (each mention would come twice), so edits and deletions are seen here alone.
Where Slack cannot be read at this moment, the question counts as it was recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from base.thread import Thread
from model.transcript import ThreadMessage
from slack_io.payloads import plain_words
from slack_io.web_api import Identity, Person, SlackBusy, SlackSaysNo, SlackUnsure
from store.store import Store, Turn

log = structlog.get_logger("thread_context")
_LINES = 50  # messages of a thread that the model gets before a question, the latest
_LINE = 2_000  # characters of one
_ALL = 12_000  # characters of all together
_PAGES = 5  # pages of a thread that are read, 200 messages each


class ThreadApi(Protocol):
    """What listening needs of Slack. Each may raise `SlackBusy` or `SlackUnsure`."""

    def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """One Web API call. Raises `SlackSaysNo`, too."""

    def identity(self) -> Identity:
        """Who the bot is."""

    def person(self, user: str) -> Person | None:
        """Who somebody is."""


@dataclass(frozen=True)
class Written:
    """A question and what was written in its thread since the one before. `text` None: it was deleted."""

    text: str | None
    before: tuple[ThreadMessage, ...] = ()


class ThreadReader:
    """Reads threads."""

    def __init__(self, web: ThreadApi, store: Store) -> None:
        self._web = web
        self._store = store

    def read(self, turn: Turn) -> Written:
        """What a waiting turn's question says now, and what was written before it. Never raises what Slack's failures raise."""
        try:
            return self._read(turn)
        except SlackSaysNo as error:
            log.info("the thread cannot be read; the question counts as recorded", error=error.code)
        except (SlackBusy, SlackUnsure) as error:
            log.info("the thread cannot be read now; the question counts as recorded", reason=str(error))
        return Written(turn.text)

    def _read(self, turn: Turn) -> Written:
        thread = Thread.from_key(turn.thread)
        asked_at = self._store.asked_at(
            turn.thread
        )  # a later question may have been answered by now: Slack retries for hours
        since = max((ts for ts, state in asked_at if state != "waiting" and ts < turn.ts), default="")
        try:
            messages, is_all = self._messages(thread, since, turn.ts)
        except SlackSaysNo as error:
            if error.code == "thread_not_found" and turn.ts == thread.ts and self._is_gone(thread):
                return Written(None)
            raise
        found = {str(one.get("ts")): one for one in messages}
        asked, root = found.get(turn.ts), found.get(thread.ts)
        if (asked is None and root is not None and is_all) or (asked or {}).get("subtype") == "tombstone":
            return Written(None)
        bot = self._web.identity().user
        text = asked.get("text") if asked is not None and asked.get("edited") else None
        words = plain_words(text, bot) if isinstance(text, str) else turn.text
        asked_ts = {ts for ts, _ in asked_at}
        return Written(words or turn.text, tuple(self._before(turn, messages, since, asked_ts, bot)))

    def _messages(self, thread: Thread, since: str, until: str) -> tuple[list[Mapping[str, Any]], bool]:
        """The thread's first message, and those from `since` to `until`, oldest first; and whether these are all of them."""
        cursor = ""
        messages: list[Mapping[str, Any]] = []
        asked = {"channel": thread.channel, "ts": thread.ts, "limit": 200, "latest": until, "inclusive": "true"}
        asked |= {"oldest": since} if since else {}
        for _ in range(_PAGES):
            page = self._web.call("conversations.replies", asked | ({"cursor": cursor} if cursor else {}))
            listed, following = page.get("messages"), page.get("response_metadata")
            messages += (one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict))
            cursor = str(following.get("next_cursor") or "") if isinstance(following, dict) else ""
            if not cursor:
                return messages, page.get("has_more") is not True
        return messages, False

    def _is_gone(self, thread: Thread) -> bool:
        """Whether a message that begins no thread was deleted: Slack takes no thumbs-up for it, either."""
        try:
            self._web.call("reactions.add", {"channel": thread.channel, "timestamp": thread.ts, "name": "thumbsup"})
        except SlackSaysNo as error:
            return error.code == "message_not_found"
        return False

    def _before(
        self, turn: Turn, messages: Sequence[Mapping[str, Any]], since: str, asked: Collection[str], bot: str
    ) -> list[ThreadMessage]:
        """What others wrote between two questions, within bounds; the bot's own messages and other questions to it are left out."""
        lines: list[ThreadMessage] = []
        room = _ALL
        for one in reversed(messages):
            ts, user, text = str(one.get("ts")), str(one.get("user") or ""), one.get("text")
            if not since < ts < turn.ts or ts in asked or user == bot or not isinstance(text, str):
                continue
            words = plain_words(text, bot)[:_LINE]
            room -= len(words)
            if room < 0 or len(lines) == _LINES:
                break
            if words:
                lines.append(self._line(one, user, words))
        return lines[::-1]

    def _line(self, message: Mapping[str, Any], user: str, words: str) -> ThreadMessage:
        is_bot = bool(message.get("bot_id")) or message.get("subtype") == "bot_message"
        if is_bot:
            profile = message.get("bot_profile")
            name = message.get("username") or (profile.get("name") if isinstance(profile, dict) else None)
            return ThreadMessage(user or "bot", str(name or "a bot")[:80], words, is_bot=True)
        person = self._web.person(user) if user else None
        return ThreadMessage(user, person.name if person is not None else user or "somebody", words)
