"""What Slack sends, as values. Every field may be missing, null or of another type; what is not understood is `None`, never an error.

Payloads: https://docs.slack.dev/apis/events-api and https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard, get_args

from base.thread import TOP, Thread
from slack_io.message_content import clean, content, is_by_app, with_files
from store.received import (
    Action,
    AppMention,
    AssistantOpened,
    Click,
    Event,
    HomeOpened,
    Interaction,
    Mention,
    MessageDeleted,
    SessionStopped,
    Shortcut,
)

_WORTHY_SUBTYPES = (None, "file_share", "thread_broadcast")  # those that are a person's own new words
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}", re.ASCII)
_ID = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII
)  # Slack: "may change in length and alphabet"; safe in keys and mentions
_ATTACHMENTS, _ATTACHED = 20, 4_000  # attachments that are recorded with a mention, and characters of each
_NO_USER = "U0"  # where a payload does not say who
_NO_TEAM = "T0"  # where a payload names no workspace; a bot has only one


_ACTIONS: tuple[Action, ...] = get_args(Action)
_SUBMITTED: dict[str, Action] = {
    "deny_reason": "deny",
    "stop": "stop",
    "delete": "delete",
}  # what submitting a modal means
ATTACHED_ALONE = "(no words of their own, only what is attached to the message)"
SHORTCUTS = ("stop_generating", "delete_message")
EVENT_TYPES = (
    "app_mention",
    "message",
    "app_home_opened",
    "assistant_thread_started",
    "assistant_thread_context_changed",
    "agent_session_stopped",
)


def event_type(envelope: Mapping[str, Any]) -> str | None:
    """The type of the event in an envelope, where it is one that is read here."""
    name = _mapping(envelope.get("event")).get("type")
    return name if isinstance(name, str) and name in EVENT_TYPES else None


def event(envelope: Mapping[str, Any]) -> Event | None:
    """What an Events API envelope says; None for what is not for the bot."""
    match event_type(envelope):
        case "app_mention":
            return mention(envelope)
        case "message":
            return message(envelope)
        case "app_home_opened":
            return home_opened(envelope)
        case "assistant_thread_started" | "assistant_thread_context_changed":
            return assistant_opened(envelope)
        case "agent_session_stopped":
            return session_stopped(envelope)
    return None


def mention(envelope: Mapping[str, Any]) -> Mention | AppMention | None:
    """The mention in an `app_mention` envelope; None for the bot's own, and for messages that are nobody's new words.

    When somebody edits a message that mentions the bot, Slack sends `app_mention` for it, again or for the first time, with the
    message's ts, an event id of its own, and `edited` (slackapi/bolt-js#960, PostHog/posthog#59517). The store takes each ts once.
    """
    event = _mapping(envelope.get("event"))
    if event.get("subtype") == "message_changed":
        return _added(envelope, event)
    return _mention(envelope, event, is_direct=False)


def message(envelope: Mapping[str, Any]) -> Mention | AppMention | MessageDeleted | None:
    """What a `message` envelope says: of a direct message a person's words, or that a message is gone; of a channel, whose messages
    the bot need not be subscribed to, that an edit added a mention."""
    event = _mapping(envelope.get("event"))
    is_direct, subtype = event.get("channel_type") == "im", event.get("subtype")
    if is_direct and subtype == "message_deleted":
        return _removed(envelope)
    if not is_direct and subtype == "message_changed":
        return _added(envelope, event)
    return _mention(envelope, event, is_direct=True) if is_direct else None  # a channel's mention comes as app_mention


def _added(envelope: Mapping[str, Any], event: Mapping[str, Any]) -> Mention | AppMention | None:
    """The mention that a change brought into a message."""
    now, before = _mapping(event.get("message")), _mapping(event.get("previous_message"))
    bots = [_id(one.get("user_id")) for one in _mappings(envelope.get("authorizations")) if one.get("is_bot") is True]
    marks = [f"<@{bot}{end}" for bot in bots if bot for end in ("|", ">")]
    is_new = [any(mark in content(one).text for mark in marks) for one in (before, now)] == [False, True]
    message = {"ts": before.get("ts"), **now, "channel": event.get("channel")}
    return _mention(envelope, message, is_direct=False) if is_new else None


def _removed(envelope: Mapping[str, Any]) -> MessageDeleted | None:
    event = _mapping(envelope.get("event"))
    before = _mapping(event.get("previous_message"))
    team, channel = _id(envelope.get("team_id")) or _NO_TEAM, _id(event.get("channel"))
    ts, event_id = _ts(event.get("deleted_ts")), envelope.get("event_id")
    thread_ts = _ts(before.get("thread_ts")) or ts
    if not (channel and ts and _is_event_id(event_id)):
        return None
    return MessageDeleted(event_id, Thread(team, channel, thread_ts), _id(before.get("user")) or _NO_USER, ts)


def _mention(
    envelope: Mapping[str, Any], message: Mapping[str, Any], *, is_direct: bool
) -> Mention | AppMention | None:
    channel, ts, user = _id(message.get("channel")), _ts(message.get("ts")), _id(message.get("user"))
    team = _id(envelope.get("team_id")) or _id(message.get("team")) or _NO_TEAM
    event_id, thread_ts = envelope.get("event_id"), _ts(message.get("thread_ts"))
    if not (channel and ts and _is_event_id(event_id)) or message.get("hidden"):
        return None
    thread = Thread(team, channel, thread_ts or ts)
    said, is_edited = content(message), bool(message.get("edited"))
    attached = tuple(replace(one, text=one.text[:_ATTACHED]) for one in said.attached[:_ATTACHMENTS])
    if is_by_app(message):
        bot, app = _id(message.get("bot_id")), _id(message.get("app_id"))
        by, files = user or _NO_USER, said.files
        return (
            None if is_direct else AppMention(event_id, thread, ts, by, bot, app, said.text, is_edited, attached, files)
        )
    if not user or message.get("subtype") not in _WORTHY_SUBTYPES:
        return None
    home = _id(message.get("user_team")) or _id(message.get("source_team"))
    return Mention(
        event_id=event_id,
        thread=thread,
        ts=ts,
        user=user,
        text=said.text,
        in_thread=bool(thread_ts) and thread_ts != ts,
        is_foreign=bool(home and team != _NO_TEAM and home != team and not envelope.get("enterprise_id")),
        is_direct=is_direct,
        is_edited=is_edited,
        attached=attached,
        files=said.files,
    )


def question(text: str, files: Sequence[str], bot: str, *, has_attached: bool) -> str:
    """What a message asks, as the model gets it: the words as they were typed, and the names of its files. Empty: it asks nothing.

    `text` is in Slack's markup.
    """
    asked = plain_words(with_files(text, files), bot)
    return asked or (ATTACHED_ALONE if has_attached else "")


def installed_in(envelope: Mapping[str, Any]) -> list[str] | None:
    """The workspaces and enterprises of the installations that an envelope is for, by its `authorizations`; None where it names none.

    Slack gives one of several: https://docs.slack.dev/apis/events-api#authorizations. With Slack Connect it is the receiver's own, and an
    installation for an organisation may name the enterprise alone.
    """
    listed = envelope.get("authorizations")
    if not listed:
        return None
    among = [_mapping(one) for one in listed] if isinstance(listed, list) else []
    return sorted({name for one in among for name in (_id(one.get("team_id")), _id(one.get("enterprise_id"))) if name})


def home_opened(envelope: Mapping[str, Any]) -> HomeOpened | AssistantOpened | None:
    """The person in an `app_home_opened` envelope: of the Home tab, or of the messages tab, which is an agent's pane."""
    event = _mapping(envelope.get("event"))
    user, event_id = _id(event.get("user")), envelope.get("event_id")
    if event.get("tab") == "messages":
        team, channel = _id(envelope.get("team_id")) or _NO_TEAM, _id(event.get("channel"))
        is_whole = user and channel and _is_event_id(event_id)
        return AssistantOpened(str(event_id), Thread(team, channel, TOP), user, in_thread=False) if is_whole else None
    own = _own_thread(_id(envelope.get("team_id")) or _NO_TEAM, user)
    if own is None or not _is_event_id(event_id) or event.get("tab") != "home":
        return None
    return HomeOpened(event_id, own, user)


def assistant_opened(envelope: Mapping[str, Any]) -> AssistantOpened | None:
    """The assistant's thread in an `assistant_thread_started` or `assistant_thread_context_changed` envelope."""
    about = _mapping(_mapping(envelope.get("event")).get("assistant_thread"))
    team, event_id = _id(envelope.get("team_id")) or _NO_TEAM, envelope.get("event_id")
    channel, ts, user = _id(about.get("channel_id")), _ts(about.get("thread_ts")), _id(about.get("user_id"))
    is_whole = channel and ts and user and _is_event_id(event_id)
    return AssistantOpened(str(event_id), Thread(team, channel, ts), user, in_thread=True) if is_whole else None


def session_stopped(envelope: Mapping[str, Any]) -> SessionStopped | None:
    """The thread in an `agent_session_stopped` envelope, and who stopped it."""
    event = _mapping(envelope.get("event"))
    team, event_id = _id(envelope.get("team_id")) or _NO_TEAM, envelope.get("event_id")
    channel, ts, user = _id(event.get("channel")), _ts(event.get("thread_ts")), _id(event.get("user"))
    is_whole = channel and ts and user and _is_event_id(event_id)
    return SessionStopped(str(event_id), Thread(team, channel, ts), user) if is_whole else None


def interaction(payload: Mapping[str, Any]) -> Interaction | None:
    """What a person did: pressed one of our buttons, submitted one of our modals, or chose a message shortcut of ours."""
    match payload.get("type"):
        case "message_action":
            return _shortcut(payload)
        case "block_actions":
            return _pressed(payload)
        case "view_submission":
            return _submitted(payload)
    return None


def _event_id(payload: Mapping[str, Any]) -> str:
    """Slack gives an interaction no id: it is its content, for each has a trigger of its own."""
    return f"click:{hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()}"


def _shortcut(payload: Mapping[str, Any]) -> Shortcut | None:
    (team, user), callback = _who(payload), payload.get("callback_id")
    channel, ts = _id(_mapping(payload.get("channel")).get("id")), _ts(payload.get("message_ts"))
    message = _mapping(payload.get("message"))
    if callback not in SHORTCUTS or not (channel and ts and user):
        return None
    thread = Thread(team, channel, _ts(message.get("thread_ts")) or ts)
    trigger = _short_text(payload.get("trigger_id"))
    return Shortcut(_event_id(payload), thread, user, str(callback), channel, ts, trigger, in_thread=thread.ts != ts)


def _pressed(payload: Mapping[str, Any]) -> Click | None:
    actions = payload.get("actions")
    action = _mapping(actions[0]) if isinstance(actions, list) and actions else {}
    view, (team, user) = _mapping(payload.get("view")), _who(payload)
    token, name = action.get("value"), action.get("action_id")
    thread = _own_thread(team, user) if view else _place(payload, team)
    if name not in _ACTIONS or not _is_token(token) or thread is None or not user:
        return None
    page = view.get("private_metadata")
    return Click(
        event_id=_event_id(payload),
        thread=thread,
        user=user,
        token=token,
        action=name,
        trigger=_short_text(payload.get("trigger_id")),
        in_view=bool(view),
        view=_id(view.get("id")),
        in_thread=bool(view) or thread.ts != _ts_of(payload),
        page=int(page) if isinstance(page, str) and re.fullmatch(r"[0-9]{1,3}", page, re.ASCII) else 0,
    )


def _submitted(payload: Mapping[str, Any]) -> Click | None:
    view, (team, user) = _mapping(payload.get("view")), _who(payload)
    token, thread = view.get("private_metadata"), _own_thread(team, user)
    action = _SUBMITTED.get(str(view.get("callback_id")))
    if action is None or not _is_token(token) or thread is None:
        return None
    values = _mapping(_mapping(view.get("state")).get("values"))
    reason = _mapping(_mapping(values.get("reason")).get("reason")).get("value")
    trigger = _short_text(payload.get("trigger_id"))
    said = clean(reason.strip()[:500]) if isinstance(reason, str) else ""
    return Click(_event_id(payload), thread, user, token, action, trigger, in_view=True, reason=said)


def _who(payload: Mapping[str, Any]) -> tuple[str, str]:
    user = _mapping(payload.get("user"))
    team = _id(_mapping(payload.get("team")).get("id")) or _id(user.get("team_id"))
    return team or _NO_TEAM, _id(user.get("id"))


def _place(payload: Mapping[str, Any], team: str) -> Thread | None:
    """The thread of the message that the button stands in."""
    container, message = _mapping(payload.get("container")), _mapping(payload.get("message"))
    channel = _id(_mapping(payload.get("channel")).get("id")) or _id(container.get("channel_id"))
    ts = _ts(container.get("thread_ts")) or _ts(message.get("thread_ts")) or _ts(container.get("message_ts"))
    return Thread(team, channel, ts) if team and channel and ts else None


def _ts_of(payload: Mapping[str, Any]) -> str:
    """The ts of the message that the button stands in."""
    container, message = _mapping(payload.get("container")), _mapping(payload.get("message"))
    return _ts(container.get("message_ts")) or _ts(message.get("ts"))


def _own_thread(team: str, user: str) -> Thread | None:
    return Thread(team, user, "0") if team and user else None


def _is_token(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}(\.[a-z0-9]{1,8}){0,4}", value) is not None


def _short_text(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[!-~]{1,300}", value) else ""


def plain_words(text: str, bot: str) -> str:
    """A message's text as the person typed it: the bot's mention taken out wherever it stands, Slack's markup undone.

    https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages
    """
    text = re.sub(rf"[ \t]?<@{re.escape(bot)}(?:\|[^<>]*)?>", "", text) if bot else text
    text = re.sub(r"<([^<>|]*)(?:\|([^<>]*))?>", _unmarked, text)
    return html.unescape(text).strip()


def _unmarked(found: re.Match[str]) -> str:
    goal, label = found[1], found[2]
    if goal[:1] in ("@", "#", "!"):
        if goal.startswith("@") or not label:
            return f"<{goal}>" if goal.startswith(("@", "#")) else "@" + goal.lstrip("!").split("^")[0]
        return label if label.startswith(("@", "#")) else goal[0].replace("!", "") + label
    shown = goal.removeprefix("mailto:").removeprefix("tel:")
    if not label or label in (goal, shown) or goal.split("://", 1)[-1].rstrip("/") == label.rstrip("/"):
        return label or shown
    return f"{label} ({shown})"


def _is_event_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(r"[!-~]{1,200}", value) is not None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _ts(value: object) -> str:
    return value if isinstance(value, str) and _TS.fullmatch(value) else ""


def _id(value: object) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""
