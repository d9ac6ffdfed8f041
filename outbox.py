"""Delivers what the store says is due: each thread's posts in order, each once, whatever Slack or this machine does meanwhile.

A message carries its own id in its metadata. Where an earlier try may have arrived (its answer was lost, or the process died), the
thread is read before it is posted again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import structlog

from core.posts import Thread
from slack_web import SlackBusy, SlackSaysNo, SlackUnsure
from store import DuePost, Store

log = structlog.get_logger("outbox")
_EVENT_TYPE = "bot_turn"
_BLOCKS_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long"})
_STATUS_FOR = 60.0  # seconds after which a status is set anew; Slack drops it after two minutes
_MAX_BACKOFF = 30.0
_REACTION_FOR = 300.0  # seconds after which a thumbs-up that Slack would not take is no longer worth a try


class Web(Protocol):
    """What the outbox needs of Slack."""

    def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """One Web API call."""


class Outbox:
    """The one who speaks in Slack. `deliver` works for one thread at a time; different threads may be delivered side by side."""

    def __init__(
        self, web: Web, store: Store, *, unshown: Callable[[str], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._web = web
        self._store = store
        self._unshown = unshown
        self._clock = clock
        self._started = clock()
        self._doubtful: set[str] = set()
        self._failures: dict[str, int] = {}
        self._statuses: dict[str, str] = {}
        self._shown: dict[str, float] = {}
        self._no_status = False

    def set_status(self, thread: str, status: str) -> bool:
        """Notes the thinking status of a thread; True where a delivery should show it. Statuses are not stored: a message ends them."""
        if self._no_status or self._clock() - self._shown.get(thread, 0) < _STATUS_FOR:
            return False
        self._statuses[thread] = status
        return True

    def deliver(self, thread: str) -> float | None:
        """Delivers a thread's due posts. None when all are out, else the seconds after which to try again."""
        done: list[tuple[str, str | None]] = []
        later: list[float] = []
        try:
            due = self._store.due_posts(thread)
            moved: dict[str, str | None] = {}
            for one in self._current(due, done):
                wait = self._deliver_one(one, moved, done)
                if wait is not None:
                    later.append(wait)
                    if one.post.kind != "reaction":  # a thumbs-up holds nobody up
                        return wait
            if not later:
                self._failures.pop(thread, None)
            self._show_status(thread)
            return min(later, default=None)
        finally:
            if done:
                self._store.delivered(done)

    def _current(self, due: list[DuePost], done: list[tuple[str, str | None]]) -> list[DuePost]:
        """The posts worth sending: of several updates of one message only the last."""
        last = {one.post.target: one.row for one in due if one.post.kind == "update"}
        worth = [one for one in due if one.post.kind != "update" or last[one.post.target] == one.row]
        done += [(one.post.post, None) for one in due if one not in worth]
        return worth

    def _deliver_one(
        self, one: DuePost, moved: dict[str, str | None], done: list[tuple[str, str | None]]
    ) -> float | None:
        """Sends one post and notes it in `done`; or gives the seconds to wait before it can be tried (again)."""
        post = one.post
        if post.kind == "reaction" and self._clock() - one.created_at > _REACTION_FOR:
            done.append((post.post, None))
            return None
        try:
            ts = self._send(one, moved)
        except SlackBusy as error:
            return error.after
        except SlackUnsure as error:
            tries = self._failures[post.thread] = self._failures.get(post.thread, 0) + 1
            log.warning("slack did not answer", kind=post.kind, reason=str(error), tries=tries, thread=post.thread)
            return min(2.0 ** min(tries - 2, 10), _MAX_BACKOFF)
        except SlackSaysNo as error:
            self._give_up(one, error.code)
            moved[post.post] = None
            return None
        moved[post.post] = ts
        done.append((post.post, ts))
        if post.kind == "message":  # the one kind that must not be sent twice is marked at once
            self._store.delivered(done)
            done.clear()
            self._doubtful.discard(post.post)
            self._shown.pop(post.thread, None)
            self._statuses.pop(post.thread, None)
        return None

    def _give_up(self, one: DuePost, code: str) -> None:
        level = log.info if one.post.kind in ("reaction", "ephemeral") else log.error
        level("slack refused", kind=one.post.kind, error=code, thread=one.post.thread, post=one.post.post)
        self._store.delivered([(one.post.post, None)], state="failed")
        if one.post.kind == "message":
            self._unshown(one.post.post)
        if one.post.kind == "update" and one.target_ts:  # what became of a card must be told, if not on the card itself
            again = replace(one.post, post=f"{one.post.post}.again", kind="message", target=None)
            self._store.say([again])

    # --- the four kinds -----------------------------------------------------------------------------------------------

    def _send(self, one: DuePost, moved: Mapping[str, str | None]) -> str | None:
        thread = Thread.from_key(one.post.thread)
        arguments = one.post.arguments
        match one.post.kind:
            case "message":
                return self._message(one, thread)
            case "update":
                ts = one.target_ts or moved.get(one.post.target or "")
                if ts:
                    self._web.call("chat.update", {"channel": thread.channel, "ts": ts, **arguments})
            case "ephemeral":
                place = {"thread_ts": thread.ts} if arguments.get("in_thread") else {}
                said = {"channel": thread.channel, "user": arguments["user"], "text": arguments["text"], **place}
                self._web.call("chat.postEphemeral", said)
            case "reaction":
                self._react(thread, arguments)
        return None

    def _react(self, thread: Thread, arguments: Mapping[str, Any]) -> None:
        try:
            self._web.call("reactions.add", {"channel": thread.channel, **arguments})
        except SlackSaysNo as error:
            if error.code != "already_reacted":
                raise

    def _message(self, one: DuePost, thread: Thread) -> str | None:
        if one.post.post in self._doubtful or one.created_at < self._started:
            ts = self._find(one, thread)
            if ts is not None:
                return ts
        meta = {"event_type": _EVENT_TYPE, "event_payload": {"turn": one.post.turn, "post": one.post.post}}
        said = {
            "channel": thread.channel,
            "thread_ts": thread.ts,
            **one.post.arguments,
            "metadata": meta,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        self._doubtful.add(one.post.post)  # until Slack has said yes or no
        try:
            return _ts(self._web.call("chat.postMessage", said))
        except SlackBusy:
            self._doubtful.discard(one.post.post)
            raise
        except SlackSaysNo as error:
            self._doubtful.discard(one.post.post)
            has_buttons = any(block.get("type") == "actions" for block in said.get("blocks", ()))
            if error.code not in _BLOCKS_REFUSED or "blocks" not in said or has_buttons:
                raise
            log.warning("blocks refused", code=error.code, post=one.post.post)
            del said["blocks"]
            return _ts(self._web.call("chat.postMessage", said))

    def _find(self, one: DuePost, thread: Thread) -> str | None:
        """The ts of the message if an earlier try arrived: read from the thread, by the id in its metadata."""
        cursor = ""
        while True:
            asked = {"channel": thread.channel, "ts": thread.ts, "limit": 200, "include_all_metadata": "true"}
            asked |= {"oldest": one.mention_ts, "inclusive": "true"} if one.mention_ts else {}
            try:
                page = self._web.call("conversations.replies", asked | ({"cursor": cursor} if cursor else {}))
            except SlackSaysNo as error:
                log.warning("cannot read the thread before posting again", error=error.code, thread=one.post.thread)
                return None
            for found in page.get("messages") or ():
                if _post_of(found) == one.post.post:
                    return _ts(found)
            following = page.get("response_metadata")
            cursor = str(following.get("next_cursor") or "") if isinstance(following, dict) else ""
            if not cursor:
                return None

    def _show_status(self, thread: str) -> None:
        status = self._statuses.pop(thread, None)
        if status is None:
            return
        self._shown[thread] = self._clock()
        place = Thread.from_key(thread)
        said = {"channel_id": place.channel, "thread_ts": place.ts, "status": status}
        try:
            self._web.call("assistant.threads.setStatus", said)
        except SlackSaysNo as error:
            self._no_status = True
            log.warning("no thinking status", error=error.code, hint="the app may not set one; told once")
        except (SlackBusy, SlackUnsure):
            self._shown.pop(thread, None)


def _ts(message: Mapping[str, Any]) -> str | None:
    ts = message.get("ts")
    return ts if isinstance(ts, str) else None


def _post_of(message: object) -> str | None:
    for step in ("metadata", "event_payload", "post"):
        message = message.get(step) if isinstance(message, dict) else None
    return message if isinstance(message, str) else None
