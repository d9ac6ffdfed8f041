"""What Slack sent, as values: what the inbox keeps of it and how it is read again. They are made by slack_io/payloads.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from base.thread import Thread

Action = Literal[
    "approve",
    "deny",
    "deny_reason",
    "withdraw",
    "approve_all",
    "show",
    "page_back",
    "page_on",
    "check",
    "stop",
    "delete",
    "disconnect",
    "connect",
]
_OF_THE_ROW = ("event_id", "thread")  # columns of their own


@dataclass(frozen=True)
class Attached:
    """One attachment: another message that was shared, a link's preview, a part of an alert. `name`: who or what it is of, or empty."""

    name: str
    text: str


@dataclass(frozen=True)
class Mention:
    """A person's message that mentions the bot, as Slack has it: `text` is still marked up."""

    event_id: str
    thread: Thread
    ts: str
    user: str
    text: str
    in_thread: bool  # it stands in a thread, and is looked at there
    is_foreign: bool  # the author belongs to another organisation, by the event's own word
    is_direct: bool = False  # written in a direct message, without a mention
    is_edited: bool = False  # an edit tells of it: it may be long known, or be one that this edit made
    attached: tuple[Attached, ...] = ()
    files: tuple[str, ...] = ()
    kind: ClassVar[str] = "mention"


@dataclass(frozen=True)
class AppMention:
    """A mention by a workflow or an app: no person is there who could answer for what comes of it. `text` is still marked up."""

    event_id: str
    thread: Thread
    ts: str
    user: str  # the app's, or that of the person in whose name it posted
    bot_id: str
    app_id: str = ""
    text: str = ""
    is_edited: bool = False
    attached: tuple[Attached, ...] = ()
    files: tuple[str, ...] = ()
    kind: ClassVar[str] = "app"


@dataclass(frozen=True)
class Click:
    """A press of one of our buttons, or the submission of a modal (a denial with its reason)."""

    event_id: str
    thread: Thread  # where the button stands; for App Home and modals one that stands for the person
    user: str
    token: str
    action: Action
    trigger: str = ""  # opens one modal within three seconds
    in_view: bool = False  # pressed in App Home or a modal, where there is no channel for an ephemeral message
    view: str = ""  # the id of the modal
    page: int = 0  # the modal's page
    reason: str = ""
    in_thread: bool = True  # the button stands in a thread, and is looked at there
    kind: ClassVar[str] = "click"
    ts: ClassVar[None] = None  # no message


@dataclass(frozen=True)
class Shortcut:
    """A message shortcut: what to do with which message of which channel. The message itself is looked up in the store."""

    event_id: str
    thread: Thread
    user: str
    callback: str
    channel: str
    message_ts: str
    trigger: str
    in_thread: bool = True  # the message stands in a thread, and is looked at there
    kind: ClassVar[str] = "shortcut"
    ts: ClassVar[None] = None


@dataclass(frozen=True)
class AssistantOpened:
    """A person opened the assistant's pane, or looks at another channel beside it: it wants suggestions.

    `in_thread`: an assistant's thread (assistant_view); an agent's pane (agent_view) has none yet.
    """

    event_id: str
    thread: Thread
    user: str
    in_thread: bool
    kind: ClassVar[str] = "pane"
    ts: ClassVar[None] = None


@dataclass(frozen=True)
class SessionStopped:
    """A person pressed Slack's own stop."""

    event_id: str
    thread: Thread
    user: str
    kind: ClassVar[str] = "halted"
    ts: ClassVar[None] = None


@dataclass(frozen=True)
class MessageDeleted:
    """A message in a direct message was deleted; it may have been an answer in progress, or a question."""

    event_id: str
    thread: Thread
    user: str
    deleted_ts: str
    kind: ClassVar[str] = "removed"
    ts: ClassVar[None] = None


@dataclass(frozen=True)
class HomeOpened:
    """A person opened the bot's App Home."""

    event_id: str
    thread: Thread
    user: str
    kind: ClassVar[str] = "home"
    ts: ClassVar[None] = None


@dataclass(frozen=True)
class Unreadable:
    """A row of the inbox that this version cannot read: of a kind that it does not know, or without what that kind needs."""

    event_id: str
    thread: Thread
    user: str  # empty where the row does not say
    kind: str


Event = Mention | AppMention | AssistantOpened | SessionStopped | MessageDeleted | HomeOpened
Interaction = Click | Shortcut
Received = Event | Interaction
BY_KIND: dict[str, type[Received]] = {one.kind: one for one in get_args(Event) + get_args(Interaction)}


def as_json(received: Received, installed_in: Sequence[str] | None) -> str:
    """What a row keeps of it as JSON: all that has no column of its own, and whose installations it was for where Slack said so."""
    kept: dict[str, Any] = {name: value for name, value in asdict(received).items() if name not in _OF_THE_ROW}
    return json.dumps(kept if installed_in is None else kept | {"installed_in": list(installed_in)})


def from_row(row: Mapping[Any, Any]) -> tuple[Received | Unreadable, tuple[str, ...] | None]:
    """The value of a row, also of one that another version stored, and the installations that it was for.

    What is missing takes the field's default; what has none, and kinds that are not known here, make it `Unreadable`.
    """
    kept = json.loads(row["payload"])
    named = kept.get("installed_in")
    return _value(row, kept), None if named is None else tuple(named)


def _value(row: Mapping[Any, Any], kept: dict[str, Any]) -> Received | Unreadable:
    made, of_row = BY_KIND.get(row["kind"]), {"event_id": row["event_id"], "thread": Thread.from_key(row["thread"])}
    needs = {one.name for one in fields(made) if one.default is MISSING} if made is not None else set()
    known = kept | of_row
    if made is None or needs - known.keys():
        return Unreadable(**of_row, user=kept.get("user", ""), kind=row["kind"])
    values = {one.name: known[one.name] for one in fields(made) if one.name in known}
    if made in (Mention, AppMention):
        values["attached"] = tuple(Attached(one["name"], one["text"]) for one in kept.get("attached", ()))
        values["files"] = tuple(kept.get("files", ()))
    return made(**values)
