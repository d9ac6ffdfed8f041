"""Messages that grow while the model writes: in channels one message that is updated, in direct messages Slack's native stream.

What is shown in between is not stored and may be skipped; the first and the last text are posts of the outbox, which loses none.
Streams: https://docs.slack.dev/reference/methods/chat.startStream. Slack ends one after five minutes; then the message is updated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from base.links import Links
from base.markdown import beginning
from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from base.thread import Thread
from slack_io.answer_posts import growing
from slack_io.web_api import SlackWeb
from store.posts import Post
from workers.waking import Waking

log = structlog.get_logger("streaming")
_EVERY = 3.0  # seconds between two updates of a message, as https://docs.slack.dev/ai/developing-agents advises
_APPEND_EVERY = 1.0  # seconds between two pieces of a stream
_PER_THREAD = (
    2.0  # seconds that each growing message adds to the pause of all, so that thirty updates a minute are enough
)
_SPARE = 15  # chat.update calls of a minute that are left for cards and last texts
_SPARE_APPENDS = 10
_ENDED_BY_PEOPLE = frozenset({"message_not_found", "stopped_by_user"})
_GONE = frozenset(
    {"user_not_found", "team_not_found"}
)  # the recipient is of another organisation: Slack shows the stream all the same
_NEVER_HERE = frozenset(
    {"unknown_method", "missing_scope", "not_allowed_token_type", "method_deprecated", "feature_not_enabled"}
)


@dataclass
class _Live:
    """A message that grows. `shown` is what people see; None where that is not known for sure."""

    turn: str
    thread: Thread
    ts: str
    is_stream: bool
    shown: str | None
    at: float


class StreamedMessages:
    """All messages that grow at this moment. `ended` hears of the turn that a person stopped in Slack,
    or whose message a person deleted. `links`: the only addresses that stay links, by the catalog of the moment."""

    def __init__(
        self,
        web: SlackWeb,
        waking: Waking,
        ended: Callable[[str], None],
        *,
        links: Callable[[], Links | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web = web
        self._waking = waking
        self._ended = ended
        self._links = links
        self._clock = clock
        self._texts: dict[str, str] = {}  # post -> what was written by now
        self._lives: dict[str, _Live] = {}
        self._never_streams = False

    def note(self, post: str, thread: str, text: str) -> None:
        """What the model has written by now."""
        self._texts[post] = text
        self._waking.show(thread)

    def begin(self, post: Post, meta: Mapping[str, Any]) -> str | None:
        """Makes the message; its ts. Raises what the Web API raises."""
        thread = Thread.from_key(post.thread)
        text = beginning(self._texts.get(post.post, ""), self._links()) or post.arguments["text"]
        if thread.is_direct and not self._never_streams:
            try:
                return self._start(post, thread, text)
            except SlackSaysNo as error:
                self._never_streams = error.code in _NEVER_HERE
                log.warning("no stream", error=error.code, hint="the answer grows by updates instead")
            except SlackBusy:
                log.info("too many streams at once; this answer grows by updates")
        said = {"channel": thread.channel, "thread_ts": thread.ts, **growing(text, post.turn), "metadata": meta}
        answer = self._web.call("chat.postMessage", {**said, "unfurl_links": False, "unfurl_media": False})
        return self._began(post, thread, answer, text, is_stream=False)

    def _start(self, post: Post, thread: Thread, text: str) -> str | None:
        said = {
            "channel": thread.channel,
            "thread_ts": thread.ts,
            "recipient_user_id": post.arguments["user"],
            "recipient_team_id": thread.team,
            "chunks": _chunks(text),
        }
        return self._began(post, thread, self._web.call("chat.startStream", said), text, is_stream=True)

    def _began(
        self, post: Post, thread: Thread, answer: Mapping[str, Any], text: str, *, is_stream: bool
    ) -> str | None:
        ts = answer.get("ts")
        if not isinstance(ts, str):
            return None
        self._lives[post.post] = _Live(post.turn, thread, ts, is_stream, text, self._clock())
        return ts

    def found(self, post: Post, ts: str) -> None:
        """An earlier try turned out to have arrived; what it shows by now is not known."""
        thread = Thread.from_key(post.thread)
        self._lives[post.post] = _Live(post.turn, thread, ts, thread.is_direct, None, self._clock())

    # --- growth -------------------------------------------------------------------------------------------------------

    def grow(self, thread: str) -> float | None:
        """Shows what was written meanwhile in a thread; the seconds after which there may be more to do, or None."""
        for post, live in list(self._lives.items()):
            if live.thread.key == thread and live.shown is not None:
                return self._grow(post, live)
        return None

    def _grow(self, post: str, live: _Live) -> float | None:
        if len(self._texts.get(post, "")) <= len(live.shown or ""):
            return None
        wait = live.at + self._pause(live) - self._clock()
        if wait > 0:
            return wait
        text = beginning(self._texts.get(post, ""), self._links())
        if len(text) <= len(live.shown or ""):
            return None
        try:
            self._show(live, text)
        except SlackBusy as error:
            return error.after
        except SlackUnsure:
            live.shown = None if live.is_stream else live.shown  # a piece that may have arrived must not be sent again
            live.at = self._clock()
            return _EVERY
        except SlackSaysNo as error:
            live.shown = None  # its last text will still find it
            if error.code in _ENDED_BY_PEOPLE:
                self._ended(live.turn)
            else:
                log.info("an answer stops growing until it is whole", error=error.code)
        return None

    def _pause(self, live: _Live) -> float:
        return _APPEND_EVERY if live.is_stream else max(_EVERY, _PER_THREAD * len(self._lives))

    def _show(self, live: _Live, text: str) -> None:
        place = {"channel": live.thread.channel, "ts": live.ts}
        if not live.is_stream:
            self._web.call("chat.update", {**place, **growing(text, live.turn)}, spare=_SPARE)
        elif text.startswith(live.shown or ""):
            rest = text[len(live.shown or "") :]
            self._web.call("chat.appendStream", {**place, "chunks": _chunks(rest)}, spare=_SPARE_APPENDS)
        else:
            live.shown = None  # what a stream has shown cannot be taken back: its last text is rewritten
            return
        live.shown, live.at = text, self._clock()

    # --- the end ------------------------------------------------------------------------------------------------------

    def forget(self, thread: str) -> None:
        """Another process went on with the thread: what this one knows of its messages is void."""
        for post in [post for post, one in self._lives.items() if one.thread.key == thread]:
            self.drop(post)

    def drop(self, post: str) -> None:
        """The message is no more."""
        self._texts.pop(post, None)
        self._lives.pop(post, None)

    def finish(self, post: str, thread: Thread, ts: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Brings the message to its last text. Raises what the Web API raises; safe to do again."""
        live = self._lives.get(post)
        if live is None or not live.is_stream or not self._stop_stream(live, arguments, meta):
            self._update(thread, ts, {**arguments, "metadata": meta})
        self.drop(post)

    def _stop_stream(self, live: _Live, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
        """Ends the stream with what is missing of the last text; True where people see all of it then."""
        text = (
            "".join(block["text"] for block in arguments["blocks"] if block["type"] == "markdown") or arguments["text"]
        )
        fits = live.shown is not None and text.startswith(live.shown)
        rest = text[len(live.shown or "") :] if fits else ""
        said = {"channel": live.thread.channel, "ts": live.ts, "metadata": meta} | (
            {"chunks": _chunks(rest)} if rest else {}
        )
        try:
            self._web.call("chat.stopStream", said)
        except SlackSaysNo as error:
            log.info("a stream had ended before", error=error.code)
            return error.code in _GONE or error.code == "stopped_by_user"
        except SlackUnsure:
            live.shown = None  # whether the rest arrived is open: the next try writes all of it
            raise
        return fits

    def _update(self, thread: Thread, ts: str, said: Mapping[str, Any]) -> None:
        place = {"channel": thread.channel, "ts": ts}
        try:
            self._web.call("chat.update", {**place, **said})
        except SlackSaysNo as error:
            if error.code == "streaming_state_conflict":  # a stream that an earlier process left open
                self._web.call("chat.stopStream", place)
                self._web.call("chat.update", {**place, **said})
            elif error.code != "message_not_found":  # whoever deleted it does not want to see it again
                raise


def _chunks(text: str) -> list[dict[str, str]]:
    """Text as chunks: Slack takes no plain text in a stream that has once had chunks, so there are chunks from the start."""
    return [{"type": "markdown_text", "text": text}]
