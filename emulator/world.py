"""What a workspace holds: people, channels, messages, statuses, views. In memory, in the shapes Slack uses.

One lock for all of it, which is also the condition that every change notifies. No HTTP here.
"""

from __future__ import annotations

import copy
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.app import App
from emulator.block_kit import INTERACTIVE
from emulator.members import APP as APP
from emulator.members import BOT as BOT
from emulator.members import BOT_USER as BOT_USER
from emulator.members import TEAM as TEAM
from emulator.members import TEAM_NAME as TEAM_NAME
from emulator.members import TEAM_URL as TEAM_URL
from emulator.members import Channel as Channel
from emulator.members import Json as Json
from emulator.members import Person as Person
from emulator.members import UserGroup as UserGroup
from emulator.members import default_members
from emulator.stream import Stream

if TYPE_CHECKING:
    from emulator.sessions import Session

STATUS_SECONDS = 120  # https://docs.slack.dev/reference/methods/assistant.threads.setStatus
TRIGGER_SECONDS = 3
TICKET_SECONDS = 30  # Slack says only that the URL is temporary
URL_SECONDS = 30 * 60  # of a response_url, which also works five times only
URL_USES = 5


@dataclass(frozen=True)
class Status:
    """The "is thinking..." line under a thread."""

    text: str
    loading_messages: tuple[str, ...]
    since: float


@dataclass
class Trigger:
    """A trigger_id: somebody's gesture that may open one modal within TRIGGER_SECONDS."""

    user: str
    born: float
    used: bool = False


@dataclass
class ResponseUrl:
    """Where an app may answer a gesture; `ts` is the message that holds the pressed button."""

    channel: str
    ts: str
    thread_ts: str
    user: str
    born: float
    uses: int = 0


class World:
    """The state and the few operations on it that keep it consistent. `clock` gives seconds since 1970.

    Everything is read and written with `lock` held. `app` is the one app installed here: the bot.
    """

    def __init__(self, clock: Callable[[], float] = time.time, app: App | None = None) -> None:
        people, channels, groups = default_members()
        self.clock = clock
        self.lag = 0.0  # seconds by which conversations.replies lags behind the events, as Slack's does at times
        self.app = app or App()
        self.enterprise = ""  # the organisation that the workspace is a part of, if it is
        self.lock = threading.Condition(threading.RLock())
        self.people = {person.id: person for person in people}
        self.channels = {channel.id: channel for channel in channels}
        self.groups = {group.id: group for group in groups}
        self.messages: dict[str, dict[str, Json]] = {}
        self.replaced: dict[tuple[str, str], list[Json]] = {}
        self.ephemerals: list[Json] = []
        self.statuses: dict[tuple[str, str], Status] = {}
        self.streams: dict[tuple[str, str], Stream] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.prompts: dict[tuple[str, str], Json] = {}  # `title` and `prompts`; the thread is "" in agent_view
        self.viewing: dict[str, str] = {}  # the channel that a person has before them beside the bot
        self.assistant_threads: dict[str, str] = {}  # the one that a person has open
        self.views: dict[str, Json] = {}
        self.view_errors: dict[str, dict[str, str]] = {}
        self.modals: dict[str, list[str]] = {}
        self.homes: dict[str, str] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.socket_url = ""  # where the bot opens its WebSocket, "" without socket mode
        self.tickets: dict[str, float] = {}  # that open one, and when they were given
        self.notices: list[tuple[str, str]] = []
        self.outbox: list[Json] = []  # inner events that wait to be delivered to the bot
        self.unheard: list[str] = []  # events that the app is not subscribed to
        self.version = 0
        self._last_ts = 0
        self._run = secrets.token_hex(
            4
        ).upper()  # no id of this workspace was ever one of another, which a bot may remember
        self._counter = 0

    def changed(self) -> None:
        """Wake everybody who waits. Call it with the lock held, after a change."""
        self.version += 1
        self.lock.notify_all()

    def next_ts(self) -> str:
        """A ts later than every one before."""
        self._last_ts = max(self._last_ts + 1, int(self.clock() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def next_id(self, prefix: str) -> str:
        """An id that no other workspace gave before."""
        self._counter += 1
        return f"{prefix}{self._run}{self._counter:06d}"

    # Messages

    def find(self, channel: str, ts: str) -> Json | None:
        """The message at a ts; None where there is none."""
        return self.messages.get(channel, {}).get(ts)

    def thread(self, channel: str, thread_ts: str) -> Iterator[Json]:
        """The parent and its replies, oldest first."""
        for message in self.messages.get(channel, {}).values():
            if message["ts"] == thread_ts or message.get("thread_ts") == thread_ts:
                yield message

    def top_level(self, channel: str) -> Iterator[Json]:
        """Messages that are no reply, oldest first, broadcast replies included."""
        for message in self.messages.get(channel, {}).values():
            broadcast = message.get("subtype") == "thread_broadcast"
            if broadcast or message.get("thread_ts", message["ts"]) == message["ts"]:
                yield message

    def root(self, channel: str, thread_ts: str | None) -> str | None:
        """The parent's ts of the thread a ts belongs to; None when there is no such message."""
        message = self.find(channel, thread_ts) if thread_ts else None
        return message.get("thread_ts", message["ts"]) if message else None

    def post(
        self, channel: str, message: Json, thread_ts: str | None = None, in_event: Mapping[str, Any] | None = None
    ) -> Json:
        """Add a message; a thread whose parent is gone is left, as Slack does, for the channel itself.

        `in_event`: what the event about it has besides.
        """
        ts = self.next_ts()
        posted = {"type": "message", "team": TEAM, **message, "ts": ts}
        if root := self.root(channel, thread_ts):
            parent = self.messages[channel][root]
            posted |= {"thread_ts": root, "parent_user_id": parent.get("user", "")}
            self._count_reply(parent, posted)
        self.messages.setdefault(channel, {})[ts] = posted
        if root and posted.get("bot_id"):
            self.statuses.pop((channel, root), None)
        self._tell_direct(channel, {**posted, **(in_event or {}), "event_ts": ts})
        self.changed()
        return posted

    def tell(self, subscription: str, event: Json) -> None:
        """Let the bot hear of something, if its app is subscribed to that (`message.im`, `app_mention` ...)."""
        if self.app.hears(subscription):
            self.outbox.append(copy.deepcopy(event))
        else:
            self.unheard.append(subscription)

    def _tell_direct(self, channel: str, event: Json) -> None:
        """Of messages the app hears only those in direct messages: all of them, itself and every change included."""
        if self.channels[channel].is_im:
            self.tell("message.im", {"type": "message", "channel": channel, "channel_type": "im"} | event)

    @staticmethod
    def _count_reply(parent: Json, reply: Json) -> None:
        users = parent.get("reply_users", [])
        users = users if reply.get("user") in (None, *users) else [*users, reply["user"]]
        parent |= {
            "thread_ts": parent["ts"],
            "reply_count": parent.get("reply_count", 0) + 1,
            "reply_users": users,
            "reply_users_count": len(users),
            "latest_reply": reply["ts"],
            "subscribed": True,
        }

    def replace(
        self, channel: str, message: Json, changes: Json, gone: Collection[str] = (), *, keep_old: bool = True
    ) -> None:
        """Change a message and drop the keys in `gone`.

        What it looked like is remembered unless told not to: a slow click may still come from there.
        """
        before = copy.deepcopy(message)
        if keep_old:
            self.replaced.setdefault((channel, message["ts"]), []).append(before)
        message |= changes
        for name in gone:
            message.pop(name, None)
        ts = self.next_ts()
        self._tell_direct(
            channel,
            {
                "subtype": "message_changed",
                "hidden": True,
                "message": message,
                "previous_message": before,
                "ts": ts,
                "event_ts": ts,
            },
        )
        self.changed()

    def delete(self, channel: str, ts: str) -> Json:
        """Remove a message; a thread's parent stays as a tombstone, which counts as a change of it."""
        message = self.messages[channel][ts]
        if message.get("reply_count") and message["thread_ts"] == ts:
            kept = [name for name in message if name.startswith(("reply_", "thread_", "latest_"))]
            tomb: Json = {"type": "message", "user": "USLACKBOT", "text": "This message was deleted."}
            tomb |= {"subtype": "tombstone", "hidden": True, "ts": ts}
            self.replace(channel, message, tomb, message.keys() - tomb.keys() - set(kept), keep_old=False)
            return message
        del self.messages[channel][ts]
        if (root := message.get("thread_ts")) and (parent := self.find(channel, root)):
            parent["reply_count"] -= 1
        now = self.next_ts()
        self._tell_direct(
            channel,
            {
                "subtype": "message_deleted",
                "hidden": True,
                "deleted_ts": ts,
                "previous_message": message,
                "ts": now,
                "event_ts": now,
            },
        )
        self.changed()
        return message

    def finished_blocks(self, blocks: list[Json]) -> list[Json]:
        """Blocks as Slack stores them: with the ids and defaults that the sender left out."""
        blocks = copy.deepcopy(blocks)
        for block in blocks:
            block.setdefault("block_id", self.next_id("b"))
            for element in interactive(block):
                element.setdefault("action_id", self.next_id("a"))
            _default_text(block)
        return blocks

    # Statuses, modals, gestures

    def status(self, channel: str, thread_ts: str) -> str:
        """The status that a thread shows at this moment."""
        status = self.statuses.get((channel, thread_ts))
        return status.text if status and self.clock() - status.since < STATUS_SECONDS else ""

    def new_trigger(self, user: str) -> str:
        """A trigger for a person, good for one modal."""
        trigger = f"{self.next_id('1')}.{self.next_id('2')}.{self.next_id('t')}"
        self.triggers[trigger] = Trigger(user, self.clock())
        return trigger

    def new_ticket(self) -> str:
        """A ticket for one connection of the socket."""
        ticket = str(uuid.uuid4())
        self.tickets[ticket] = self.clock()
        return ticket

    def use_ticket(self, ticket: str) -> bool:
        """Whether a WebSocket may be opened with it: once, and within TICKET_SECONDS."""
        born = self.tickets.pop(ticket, None)
        return born is not None and self.clock() - born <= TICKET_SECONDS

    def notify(self, user: str, text: str) -> None:
        """Show somebody an error, as Slack's client does when an app fails."""
        self.notices.append((user, text))
        self.changed()

    def direct(self, user: str) -> Channel | None:
        """A person's direct message with the bot; None where there is none."""
        return next((channel for channel in self.channels.values() if channel.user == user), None)


def interactive(block: Json) -> list[Json]:
    """The elements of a block that a person can use."""
    inner = [*block.get("elements", []), block.get("accessory"), block.get("element")]
    return [element for element in inner if isinstance(element, dict) and element.get("type") in INTERACTIVE]


def _default_text(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _default_text(item)
    elif isinstance(value, dict):
        if value.get("type") == "plain_text":
            value.setdefault("emoji", True)
        elif value.get("type") == "mrkdwn":
            value.setdefault("verbatim", False)
        for item in value.values():
            _default_text(item)
