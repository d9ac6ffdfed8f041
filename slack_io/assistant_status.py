"""What Slack shows beside a thread's messages: the thinking status, the session's state, title and suggested questions.

Nothing of it is stored or tried for long: a message ends a status, and what an app may not use is noticed once and left alone.
Methods: https://docs.slack.dev/reference/methods/assistant.threads.setStatus and https://docs.slack.dev/ai/agent-sessions.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from cachetools import TTLCache

from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from base.thread import Thread
from slack_io.web_api import SlackWeb
from workers.waking import Waking

log = structlog.get_logger("assistant_status")
LASTS = 1.0  # seconds that something lasts which is shown
_STATUS_FOR = 60.0  # seconds after which the same status is set again; Slack drops it after two minutes
_KEPT = 2_000  # threads whose status is remembered
_TITLE = 200  # characters of a title: https://docs.slack.dev/reference/methods/agents.sessions.setStatus
_NOT_HERE = frozenset(
    {"channel_not_found", "invalid_thread_ts", "thread_not_found", "message_not_found", "ratelimited"}
)

Session = Literal["processing", "active", "suspended"]


@dataclass(frozen=True)
class _Wish:
    """A call that is to be made, no sooner than `at` (monotonic seconds). `value` tells whether the same was said before."""

    method: str
    arguments: dict[str, Any]
    value: object
    at: float


class AssistantStatus:
    """The status of all threads. What is set is shown at the next `show` of the thread, which is woken for it."""

    def __init__(self, web: SlackWeb, waking: Waking, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._web = web
        self._waking = waking
        self._clock = clock
        self._lock = threading.Lock()
        # thread -> what is to be said, by kind; and what is to follow it, unless something else comes before
        self._wanted: OrderedDict[str, dict[tuple[str, Literal["now", "later"]], _Wish]] = OrderedDict()
        self._shown: TTLCache[tuple[str, str], object] = TTLCache(_KEPT, _STATUS_FOR, timer=clock)
        self._never: set[str] = set()  # methods that this app may not use

    def status(self, thread: str, text: str, *, after: float = LASTS) -> None:
        """What the bot does at this moment ("is thinking..."). `after` so many seconds what it does then is shown: what was over before
        is not worth a call, and the thumbs-up has said that it is at work."""
        place = Thread.from_key(thread)
        arguments = {"channel_id": place.channel, "thread_ts": place.ts, "status": text}
        self._want(thread, "status", "assistant.threads.setStatus", arguments, text, after)

    def session(self, thread: str, state: Session, title: str = "") -> None:
        """Where the session of a direct message stands; its title counts only when Slack hears of the session first."""
        place = Thread.from_key(thread)
        arguments = {"channel_id": place.channel, "thread_ts": place.ts, "status": state}
        arguments |= {"title": title[:_TITLE]} if title else {}
        self._want(thread, "session", "agents.sessions.setStatus", arguments, state)

    def title(self, thread: str, text: str) -> None:
        """The title of an assistant's thread."""
        place = Thread.from_key(thread)
        arguments = {"channel_id": place.channel, "thread_ts": place.ts, "title": text[:_TITLE]}
        self._want(thread, "title", "assistant.threads.setTitle", arguments, text)

    def prompts(self, thread: str, prompts: Sequence[Mapping[str, str]], *, in_thread: bool) -> None:
        """Up to four questions to begin with; `in_thread` is for assistant threads, an agent's pane has none."""
        place = Thread.from_key(thread)
        arguments: dict[str, Any] = {"channel_id": place.channel, "prompts": [dict(one) for one in prompts[:4]]}
        arguments |= {"thread_ts": place.ts} if in_thread else {}
        self._want(thread, "prompts", "assistant.threads.setSuggestedPrompts", arguments, None)

    def ended(self, thread: str) -> None:
        """A message was posted in the thread: it has ended the status."""
        with self._lock:
            self._shown.pop((thread, "status"), None)
            wishes = self._wanted.get(thread, {})
            wishes.pop(("status", "now"), None)
            wishes.pop(("status", "later"), None)

    def show(self, thread: str) -> float | None:
        """Says what is to be said of a thread; what does not work is left out. The seconds until there is more to say, or None."""
        due, wait = self._due(thread)
        for kind, wish in due.items():
            if wish.method in self._never:
                continue
            try:
                self._web.call(wish.method, wish.arguments)
            except SlackSaysNo as error:
                if error.code not in _NOT_HERE:
                    self._never.add(wish.method)
                    log.warning(
                        "left out from now on", method=wish.method, error=error.code, hint="the app lacks permission"
                    )
            except (SlackBusy, SlackUnsure):
                with self._lock:
                    self._shown.pop((thread, kind), None)
        return wait

    def _due(self, thread: str) -> tuple[dict[str, _Wish], float | None]:
        """Takes what is to be said now, and counts it as shown; and the seconds until something else is due."""
        now = self._clock()
        with self._lock:
            wishes = self._wanted.pop(thread, {})
            due = {kind: wish for (kind, _), wish in wishes.items() if wish.at <= now}
            later = {key: wish for key, wish in wishes.items() if wish.at > now}
            if later:
                self._wanted[thread] = later
            for kind, wish in due.items():
                self._shown[thread, kind] = wish.value
        return due, min((wish.at - now for wish in later.values()), default=None)

    def _want(
        self, thread: str, kind: str, method: str, arguments: dict[str, Any], value: object, after: float = 0.0
    ) -> None:
        if method in self._never:
            return
        now = self._clock()
        with self._lock:
            wishes = self._wanted.setdefault(thread, {})
            before = wishes.pop((kind, "later"), None)
            is_next = after > 0 and (kind, "now") in wishes
            if value is not None and self._shown.get((thread, kind)) == value and not is_next:
                wishes.pop((kind, "now"), None)  # what was to take its place is over before it was seen
                return
            # what takes another's place does not wait again: of many short steps one is shown in a while
            at = now + after if before is None else min(before.at, now + after)
            wishes[kind, "later" if after else "now"] = _Wish(method, arguments, value, at)
            while len(self._wanted) > _KEPT:
                self._wanted.popitem(last=False)
        self._waking.show(thread)
