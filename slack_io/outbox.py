"""Delivers what the store says is due: each thread's posts in order, each once, whatever Slack or this machine does meanwhile.

A message carries its own id in its metadata. Where an earlier try may have arrived (its answer was lost, or the process died), the
thread is read before it is posted again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from cachetools import TTLCache

from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from base.thread import TOP, Thread, permalink
from base.tracing import span
from identity.callers import NoCredential
from slack_io import slack_pages
from slack_io.assistant_status import AssistantStatus
from slack_io.connect_offers import LeadTo, no_lead, offer_blocks
from slack_io.streaming import StreamedMessages
from slack_io.web_api import SlackWeb
from store.holds import Overtaken
from store.posts import DuePost, Post, PostEvent, PostState
from store.store import Store
from workers.waking import Waking

log = structlog.get_logger("outbox")
_EVENT_TYPE = "bot_turn"
_SENDS = {"messaging.system": "slack", "messaging.operation.name": "send", "messaging.operation.type": "send"}
_BLOCKS_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long"})
_MAX_BACKOFF = 30.0
_ONCE = frozenset({"message", "live", "finish"})  # the kinds that must not be sent twice
_ASIDE = frozenset({"reaction", "ephemeral"})  # a thumbs-up and a line for one person hold nobody up
_MOST_ASIDES = 5  # lines for single people that are sent before the thread is looked at again
_SOON = 0.01
_CLOCKS_DIFFER = 7_200.0  # seconds by which Slack's clock may differ from ours
_LINGERS = 12.0  # seconds for which who lost the database may still be in a call to Slack: that ends after ten
_REMEMBERED = 10_000  # threads
_CARD_SOON = 1.0  # seconds until a message that links to another is tried again
_SIGN_IN_AWAY = 30.0  # seconds after which a sign-in server is asked again for what a line needs
_REACTION_FOR = 300.0  # seconds after which a thumbs-up that Slack would not take is no longer worth a try


@dataclass(frozen=True)
class _NotOut:
    """Posts of a thread that are to be tried again, no sooner than `until` (monotonic seconds); whether they hold up all else in it; and
    which, where nothing can have changed since they were read: hundreds of thumbs-ups come back in vain again and again."""

    until: float
    holds_up: bool
    due: list[DuePost] | None


class Outbox:
    """The one who speaks in Slack. `deliver` works for one thread at a time; different threads may be delivered side by side.

    `unshown` hears of a message that Slack refused for good; `lead_to` says where people connect accounts.
    """

    def __init__(
        self,
        web: SlackWeb,
        store: Store,
        streams: StreamedMessages,
        status: AssistantStatus,
        waking: Waking,
        *,
        unshown: Callable[[str], None],
        lead_to: LeadTo = no_lead,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web = web
        self._streams = streams
        self._status = status
        self._waking = waking
        self._store = store
        self._unshown = unshown
        self._lead_to = lead_to
        self._clock = clock
        self._steady = steady
        self._alone_from = steady() + (_LINGERS if store.others_may_linger else 0.0)
        self._taken_over: TTLCache[str, float] = TTLCache(_REMEMBERED, _LINGERS, timer=steady)
        self._doubtful: set[str] = set()
        self._left: dict[str, dict[str, str]] = {}  # thread -> what an earlier process had posted there
        self._failures: dict[str, int] = {}
        self._not_out: dict[str, _NotOut] = {}

    def take_over(self, thread: str) -> None:
        """Another process had the thread: what this one remembers of it is void, and a call of that one may still be under way."""
        self._left.pop(thread, None)
        self._failures.pop(thread, None)
        self._not_out.pop(thread, None)
        self._streams.forget(thread)
        self._status.ended(thread)
        self._taken_over[thread] = self._steady()

    def deliver(self, thread: str) -> float | None:
        """Delivers a thread's due posts, then what is shown beside them. None when all is out, else the seconds after which to try
        again. Raises `Overtaken` where that is another process's matter by now."""
        with self._store.holding(thread):
            return self._deliver(thread)

    def _deliver(self, thread: str) -> float | None:
        due, is_held_up = self._deliver_due(thread)
        if is_held_up:
            return due
        waits = (due, self._status.show(thread), self._streams.grow(thread))
        return min((wait for wait in waits if wait is not None), default=None)

    def _deliver_due(self, thread: str) -> tuple[float | None, bool]:
        """Delivers posts where there are new ones, or it is time to try again what is not out; as `_deliver_posts`."""
        undelivered, before = self._waking.undelivered, self._not_out.get(thread)
        known: list[DuePost] | None = None
        if thread not in undelivered:
            if before is None:
                return None, False
            if (wait := before.until - self._steady()) > 0:
                return wait, before.holds_up
            known = before.due
        undelivered.discard(thread)  # first: what is added meanwhile is expected again
        self._not_out.pop(thread, None)
        try:
            due = self._store.due_posts(thread) if known is None else known
            moved: dict[str, str | None] = {}
            again, is_held_up = self._deliver_posts(thread, due, moved)
        except BaseException:
            undelivered.add(thread)
            raise
        if again is not None:
            # What another post becomes may be news of another thread.
            is_same = not moved and all(one.post.target is None for one in due)
            self._not_out[thread] = _NotOut(self._steady() + again, is_held_up, due if is_same else None)
        return again, is_held_up

    def _deliver_posts(
        self, thread: str, due: list[DuePost], moved: dict[str, str | None]
    ) -> tuple[float | None, bool]:
        """The seconds after which to try again what is not out, and whether that holds up all else in the thread. `moved` gets what is out
        or given up, with the ts that its message has."""
        done: list[tuple[str, str | None]] = []
        later: list[float] = []
        try:
            over: set[str] = set()  # kinds of which no more is sent now
            asides = 0
            for one in self._current(due, done):
                kind = one.post.kind
                if kind in over:
                    continue
                if (
                    held := one.held_until - self._clock()
                ) > 0:  # nobody waits for it, and what takes its place may come
                    later.append(held)
                    continue
                wait = self._deliver_one(one, moved, done)
                asides += kind == "ephemeral"
                if wait is None and asides == _MOST_ASIDES:  # what came meanwhile goes first
                    wait, asides = _SOON, 0
                if wait is not None:
                    later.append(wait)
                    if kind not in _ASIDE:
                        return wait, True
                    over.add(kind)
            if not later:
                self._failures.pop(thread, None)
                self._left.pop(thread, None)
            return min(later, default=None), False
        finally:
            if done:
                self._store.delivered(done)

    def _current(self, due: list[DuePost], done: list[tuple[str, str | None]]) -> list[DuePost]:
        """The posts worth sending: of several updates of one message only the last; none that begins to grow what is whole by now."""
        last = {one.post.target: one.row for one in due if one.post.kind == "update"}
        over = {one.post.target for one in due if one.post.kind in ("finish", "delete")}
        worth = [
            one
            for one in due
            if (one.post.kind != "update" or last[one.post.target] == one.row)
            and (one.post.kind != "live" or one.post.post not in over or self._may_have_arrived(one))
        ]
        done += [(one.post.post, None) for one in due if one not in worth]
        return worth

    def _deliver_one(
        self, one: DuePost, moved: dict[str, str | None], done: list[tuple[str, str | None]]
    ) -> float | None:
        """Sends one post and notes it in `done`; or gives the seconds to wait before it can be tried (again)."""
        post = one.post
        if post.kind == "reaction" and self._clock() - one.created_at > _REACTION_FOR:
            moved[post.post] = None
            done.append((post.post, None))
            return None
        try:
            somebody = one.asker or str(post.arguments.get("user", ""))
            with (
                span(f"send {post.kind}", "producer", _SENDS, parent=one.trace, calm=(SlackBusy,)),
                self._web.on_behalf_of(somebody),
            ):
                ts = self._send(one, moved)
        except SlackBusy as error:
            return error.after
        except SlackUnsure as error:
            tries = self._failures[post.thread] = self._failures.get(post.thread, 0) + 1
            log.warning("slack did not answer", kind=post.kind, reason=str(error), tries=tries, thread=post.thread)
            return min(2.0 ** min(tries - 2, 10), _MAX_BACKOFF)
        except SlackSaysNo as error:
            self._give_up(one, error.code, moved)
            moved[post.post] = None
            return None
        moved[post.post] = ts
        done.append((post.post, ts))
        if post.kind in _ONCE:  # marked at once
            self._store.delivered(done)
            done.clear()
            self._doubtful.discard(post.post)
            self._status.ended(post.thread)
        return None

    def _give_up(self, one: DuePost, code: str, moved: Mapping[str, str | None]) -> None:
        level = log.info if one.post.kind in ("reaction", "ephemeral") else log.error
        level("slack refused", kind=one.post.kind, error=code, thread=one.post.thread, post=one.post.post)
        instead: list[Post] = []
        changes = one.post.kind in ("update", "finish") and (one.target_ts or moved.get(one.post.target or ""))
        if changes:  # what became of it must be told, if not there
            instead.append(replace(one.post, post=f"{one.post.post}.again", kind="message", target=None))
        self._store.delivered([(one.post.post, None)], PostEvent.REFUSE, instead=instead)
        if one.post.kind == "message":
            self._unshown(one.post.post)
        if one.post.kind == "finish":
            self._streams.drop(one.post.target or "")

    # --- the kinds ----------------------------------------------------------------------------------------------------

    def _send(self, one: DuePost, moved: Mapping[str, str | None]) -> str | None:
        thread = self._placed(Thread.from_key(one.post.thread))
        arguments = one.post.arguments
        match one.post.kind:
            case "message":
                return self._message(one, thread)
            case "live":
                return self._begin(one, thread)
            case "finish":
                return self._finish(one, thread, one.target_ts or moved.get(one.post.target or ""))
            case "delete":
                self._delete(one, thread, one.target_ts or moved.get(one.post.target or ""))
            case "update":
                ts = one.target_ts or moved.get(one.post.target or "")
                if ts:
                    self._web.call("chat.update", {"channel": thread.channel, "ts": ts, **arguments})
            case "ephemeral":
                place = {"thread_ts": thread.ts} if arguments.get("in_thread") and thread.ts != TOP else {}
                said = {"channel": thread.channel, "user": arguments["user"], **self._shown(one.post), **place}
                self._web.call("chat.postEphemeral", said)
            case "reaction":
                self._react(thread, arguments)
        return None

    def _placed(self, thread: Thread) -> Thread:
        """Where a thread lies in Slack: a person's is the direct message with the bot."""
        return replace(thread, channel=self._web.direct_channel(thread.channel)) if thread.is_persons else thread

    def _react(self, thread: Thread, arguments: Mapping[str, Any]) -> None:
        try:
            self._web.call("reactions.add", {"channel": thread.channel, **arguments})
        except SlackSaysNo as error:
            if error.code != "already_reacted":
                raise

    def _message(self, one: DuePost, thread: Thread) -> str | None:
        if (ts := self._arrived(one, thread)) is not None:
            return ts
        place = {"channel": thread.channel} | ({"thread_ts": thread.ts} if thread.ts != TOP else {})
        said = {**place, **self._linked(one), "metadata": _meta(one), "unfurl_links": False, "unfurl_media": False}
        try:
            return self._at_most_once(one, lambda: _ts(self._web.call("chat.postMessage", said)))
        except SlackSaysNo as error:
            has_buttons = any(block.get("type") == "actions" for block in said.get("blocks", ()))
            if error.code not in _BLOCKS_REFUSED or "blocks" not in said or has_buttons:
                raise
            log.warning("blocks refused", code=error.code, post=one.post.post)
            del said["blocks"]
            return self._at_most_once(one, lambda: _ts(self._web.call("chat.postMessage", said)))

    def _begin(self, one: DuePost, thread: Thread) -> str | None:
        ts = self._arrived(one, thread)
        if ts is not None:
            self._streams.found(one.post, ts)
            return ts
        return self._at_most_once(one, lambda: self._streams.begin(one.post, _meta(one)))

    def _finish(self, one: DuePost, thread: Thread, ts: str | None) -> str | None:
        """The last text of a growing message; an ordinary message where it never came to grow."""
        target = one.post.target or ""
        if not ts:
            self._streams.drop(target)
            return self._message(one, thread)
        try:
            self._streams.finish(target, thread, ts, one.post.arguments, _meta(one))
        except SlackSaysNo as error:
            if error.code not in _BLOCKS_REFUSED:
                raise
            log.warning("blocks refused", code=error.code, post=one.post.post)
            self._web.call("chat.update", {"channel": thread.channel, "ts": ts, **one.post.arguments, "blocks": []})
        return ts

    def _delete(self, one: DuePost, thread: Thread, ts: str | None) -> None:
        self._streams.drop(one.post.target or "")
        if not ts:
            return
        try:
            self._web.call("chat.delete", {"channel": thread.channel, "ts": ts})
        except SlackSaysNo as error:
            if error.code != "message_not_found":
                raise

    def _shown(self, post: Post) -> dict[str, Any]:
        """What a post says; with links of its own, made now, where it offers to connect accounts."""
        arguments = post.arguments
        if "connect" not in arguments:
            return {name: arguments[name] for name in ("text", "blocks") if name in arguments}
        try:
            blocks = offer_blocks(arguments, Thread.from_key(post.thread).team, post.turn, post.thread, self._lead_to)
        except NoCredential as error:
            log.warning("no way to connect an account now", reason=str(error))
            raise SlackBusy(_SIGN_IN_AWAY) from None
        return {"text": arguments["text"], "blocks": blocks}

    def _linked(self, one: DuePost) -> dict[str, Any]:
        """A message's arguments; where it speaks of another message, with the link to that. Raises `SlackBusy` until that is there."""
        arguments = self._shown(one.post)
        if one.post.target is None or one.post.kind != "message":
            return arguments
        if one.target_state is PostState.DUE:
            raise SlackBusy(_CARD_SOON)
        place = Thread.from_key(one.target_thread or one.post.thread)
        link = permalink(self._web.identity().url, place, one.target_ts) if one.target_ts else ""
        arguments["text"] = arguments["text"].replace("{link}", link)
        return arguments

    def _at_most_once(self, one: DuePost, send: Callable[[], str | None]) -> str | None:
        """Sends what must not be sent twice: until Slack has said yes or no it counts as perhaps sent. Where the database says no, or
        nothing, it is still here: its pace is asked for before."""
        self._doubtful.add(one.post.post)
        try:
            return send()
        except Exception as error:
            if isinstance(error, SlackBusy | SlackSaysNo | Overtaken) or self._store.is_away(error):
                self._doubtful.discard(one.post.post)
            raise

    def _may_have_arrived(self, one: DuePost) -> bool:
        return one.post.post in self._doubtful or one.made_by != self._store.process

    def _arrived(self, one: DuePost, thread: Thread) -> str | None:
        """The ts of a post that arrived at an earlier try. Raises `SlackBusy` while another process's try may still arrive."""
        if not self._may_have_arrived(one):
            return None
        ts = self._find(one, thread)
        alone_from = max(self._alone_from, self._taken_over.get(one.post.thread, -_LINGERS) + _LINGERS)
        wait = alone_from - self._steady()
        if ts is None and wait > 0 and one.made_by not in ("", self._store.process):
            self._left.pop(one.post.thread, None)  # to be reread
            raise SlackBusy(wait)
        return ts

    def _find(self, one: DuePost, thread: Thread) -> str | None:
        """The ts of the message if an earlier try arrived. What an earlier process left is looked up in one reading of its thread."""
        if one.post.post in self._doubtful:
            arrived = self._read(one, thread)
        else:
            if one.post.thread not in self._left:
                self._left[one.post.thread] = self._read(one, thread)
            arrived = self._left[one.post.thread]
        return arrived.get(one.post.post) or (arrived.get("") if one.post.kind == "live" else None)

    def _read(self, one: DuePost, thread: Thread) -> dict[str, str]:
        """The bot's messages in the thread, by the post id in their metadata; one without any, an open stream, under "".

        What others posted does not count, whatever its metadata says: any app may write any. Streams are of direct messages.
        """
        own = self._web.identity()
        found: dict[str, str] = {}
        try:
            for message in slack_pages.each(self._web.call, *_reading(one, thread), "messages"):
                if not own.wrote(message) or message.get("ts") == thread.ts:
                    continue
                post = _post_of(message)
                if post or (thread.is_direct and message.get("bot_id")):
                    found[post or ""] = _ts(message) or ""
        except SlackSaysNo as error:
            log.warning("cannot read the thread before posting again", error=error.code, thread=one.post.thread)
        return found


def _reading(one: DuePost, thread: Thread) -> tuple[str, dict[str, Any]]:
    """The call that reads a thread, or the channel itself, from where the post can be."""
    asked = {"channel": thread.channel, "limit": 200, "include_all_metadata": "true", "inclusive": "true"}
    if thread.ts == TOP:
        return "conversations.history", asked | {"oldest": f"{one.created_at - _CLOCKS_DIFFER:.6f}"}
    oldest = {"oldest": one.mention_ts} if one.mention_ts else {}
    return "conversations.replies", asked | {"ts": thread.ts} | oldest


def _meta(one: DuePost) -> dict[str, Any]:
    """What a message carries to be known again by."""
    return {"event_type": _EVENT_TYPE, "event_payload": {"turn": one.post.turn, "post": one.post.post}}


def _ts(message: Mapping[str, Any]) -> str | None:
    ts = message.get("ts")
    return ts if isinstance(ts, str) else None


def _post_of(message: Mapping[str, Any]) -> str | None:
    found: object = message
    for step in ("metadata", "event_payload", "post"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None
