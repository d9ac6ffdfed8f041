"""Reads from Slack, when a turn begins, what was written: the question as it is by now, and the thread before it.

The bot is not subscribed to the channel's messages (each mention would come twice), so edits and deletions are seen here alone.
A question that begins its thread and was asked a moment ago is not read again: nothing comes before it, and it says what it said.
Deleted is what Slack says was deleted; that something is not listed yet says nothing.
Where Slack cannot be read at this moment, the question counts as it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import structlog

from base.shrink import CUT
from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from base.thread import Thread
from slack_io import slack_pages
from slack_io.message_content import content, is_by_app, whole, with_files
from slack_io.payloads import plain_words, question
from slack_io.people import Person
from slack_io.web_api import SlackWeb
from store.received import Attached
from store.store import Store
from store.transcript import ThreadMessage
from store.turns import Turn

log = structlog.get_logger("thread_context")
_LINES = 50  # messages of a thread that the model gets before a question, the latest
_LINE = 2_000  # characters of one
_ALL = 12_000  # characters of all together
_FRESH = 5.0  # seconds for which a question says what its event said
_PAGES = 5  # pages of a thread that are read, 200 messages each
SPARE = 30  # calls of a minute that who opens a link again and again leaves to questions


@dataclass(frozen=True)
class CurrentQuestion:
    """A question and what was written in its thread since the one before. `text` None: it was deleted."""

    text: str | None
    before: tuple[ThreadMessage, ...] = ()


class ThreadReader:
    """Reads threads. `clock` gives seconds since 1970."""

    def __init__(self, web: SlackWeb, store: Store, clock: Callable[[], float]) -> None:
        self._web = web
        self._store = store
        self._clock = clock

    def read(self, turn: Turn) -> CurrentQuestion:
        """What a waiting turn's question says now, and what was written before it. Never raises what Slack's failures raise."""
        try:
            return self._read(turn)
        except SlackSaysNo as error:
            log.info("the thread cannot be read; the question counts as recorded", error=error.code)
        except (SlackBusy, SlackUnsure) as error:
            log.info("the thread cannot be read now; the question counts as recorded", reason=str(error))
        return CurrentQuestion(turn.text)

    def is_deleted(self, turn: Turn, *, spare: int = 0) -> bool:
        """Whether Slack says that a turn's question was deleted; False where it does not say, or where it cannot be asked so that `spare`
        calls are left to others. Never raises what Slack's failures raise."""
        thread = Thread.from_key(turn.thread)
        try:
            listed = _with_ts(self._messages(thread, turn.ts, turn.ts, spare), turn.ts)
            return self._is_deleted(thread, turn.ts, listed, spare)
        except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
            log.info("whether a question was deleted is not known", reason=str(error))
            return False

    def person(self, user: str) -> Person | None:
        """Who somebody is, where Slack says so at this moment."""
        try:
            return self._web.person(user)
        except (SlackBusy, SlackUnsure):
            return None

    def _read(self, turn: Turn) -> CurrentQuestion:
        if self._is_as_recorded(turn):
            bot = self._web.identity().user
            return CurrentQuestion(turn.text, tuple(self._lines([], self._attached(turn, None, bot), bot)))
        thread, known = Thread.from_key(turn.thread), self._store.asked_at(turn.thread)
        since = _answered_before(turn, known)
        messages = self._messages(thread, since, turn.ts)
        asked = _with_ts(messages, turn.ts)
        if self._is_deleted(thread, turn.ts, asked):
            return CurrentQuestion(None)
        bot = self._web.identity().user
        questions = {ts for ts, _ in known}
        before = [
            one
            for one in messages
            if since < (ts := str(one.get("ts"))) < turn.ts and ts not in questions and one.get("user") != bot
        ]
        attached = self._attached(turn, asked, bot)
        return CurrentQuestion(_edited(asked, bot) or turn.text, tuple(self._lines(before, attached, bot)))

    def _is_as_recorded(self, turn: Turn) -> bool:
        """Whether a look at the thread would tell nothing that its event has not told. A clock that differs from Slack's has it read."""
        begins = Thread.from_key(turn.thread).ts == turn.ts
        return begins and abs(self._clock() - float(turn.ts)) < _FRESH

    def _messages(self, thread: Thread, since: str, until: str, spare: int = 0) -> list[dict[str, Any]]:
        """The thread's first message, and those from `since` to `until`, oldest first, as far as Slack has them to give by now."""
        asked = {"channel": thread.channel, "ts": thread.ts, "limit": 200, "latest": until, "inclusive": "true"}
        asked |= {"oldest": since} if since else {}
        try:
            ask = partial(self._web.call, spare=spare)
            return list(slack_pages.each(ask, "conversations.replies", asked, "messages", most=_PAGES))
        except SlackSaysNo as error:
            if error.code != "thread_not_found":  # which is also said of a message without replies
                raise
        return []

    def _is_deleted(self, thread: Thread, ts: str, listed: Mapping[str, Any] | None, spare: int = 0) -> bool:
        """Whether a message was deleted, by what its thread is listed with (`listed`) and what Slack says otherwise."""
        return _is_tombstone(listed) or (listed is None and self._is_gone(thread.channel, ts, spare))

    def _is_gone(self, channel: str, ts: str, spare: int) -> bool:
        """Whether Slack says that a message is not there: it takes no thumbs-up for it, either.

        That a thread is listed without it says nothing: what Slack lists lags behind its events
        (korotovsky/slack-mcp-server#284).
        """
        try:
            thumbs_up = {"channel": channel, "timestamp": ts, "name": "thumbsup"}
            self._web.call("reactions.add", thumbs_up, spare=spare)
        except SlackSaysNo as error:
            return error.code == "message_not_found"
        except (SlackBusy, SlackUnsure):
            return False
        return False

    def _attached(self, turn: Turn, asked: Mapping[str, Any] | None, bot: str) -> list[ThreadMessage]:
        """What is attached to the question, by now or when it came. It is not the asker's own words."""
        now = content(asked).attached if asked is not None else ()
        first = self._store.mention_of(turn.turn) if not now else None
        return [_attached(turn.asker, one, bot) for one in (first.attached if first is not None else now)]

    def _lines(
        self, messages: Sequence[Mapping[str, Any]], attached: Sequence[ThreadMessage], bot: str
    ) -> list[ThreadMessage]:
        """What others wrote between two questions, and what is attached to the second, within bounds, the latest first to be kept."""
        lines: list[ThreadMessage] = []
        room = _ALL
        for line in chain(reversed(attached), self._backwards(messages, bot)):
            room -= len(line.text)
            if room < 0 or len(lines) == _LINES:
                break
            lines.append(line)
        return lines[::-1]

    def _backwards(self, messages: Sequence[Mapping[str, Any]], bot: str) -> Iterator[ThreadMessage]:
        for one in reversed(messages):
            if not _is_tombstone(one):
                yield from reversed([line for line in self._said(one, bot) if line.text])

    def _said(self, message: Mapping[str, Any], bot: str) -> list[ThreadMessage]:
        """What one message says: its author's words, and what a person attached to theirs, each for itself."""
        said, user = content(message), str(message.get("user") or "")
        if is_by_app(message):
            profile = message.get("bot_profile")
            name = message.get("username") or (profile.get("name") if isinstance(profile, dict) else None)
            words = _cut(plain_words(with_files(whole(said), said.files), bot))
            return [ThreadMessage(user or "bot", str(name or "a bot")[:80], words, is_bot=True)]
        person = self._web.person(user) if user else None
        words = _cut(plain_words(with_files(said.text, said.files), bot))
        own = ThreadMessage(user, person.name if person is not None else user or "somebody", words)
        return [own, *(_attached(user, one, bot) for one in said.attached)]


def _answered_before(turn: Turn, known: Sequence[tuple[str, str]]) -> str:
    """The ts of the question before, where it is no longer waiting. A later one may have been answered by now: Slack retries for hours."""
    return max((ts for ts, state in known if state != "waiting" and ts < turn.ts), default="")


def _edited(asked: Mapping[str, Any] | None, bot: str) -> str:
    """What a question says by now, where it was edited; else nothing."""
    if asked is None or not asked.get("edited"):
        return ""
    said = content(asked)
    return question(said.text, said.files, bot, has_attached=bool(said.attached))


def _attached(user: str, attached: Attached, bot: str) -> ThreadMessage:
    return ThreadMessage(user, attached.name, _cut(plain_words(attached.text, bot)), is_attached=True)


def _cut(words: str) -> str:
    return words if len(words) <= _LINE else words[:_LINE] + CUT


def _with_ts(messages: Sequence[dict[str, Any]], ts: str) -> dict[str, Any] | None:
    return next((one for one in messages if one.get("ts") == ts), None)


def _is_tombstone(message: Mapping[str, Any] | None) -> bool:
    """Whether Slack says that this was deleted: a thread's first message stays as that."""
    return message is not None and message.get("subtype") == "tombstone"
