"""What Slack sends, as values. Every field may be missing, null or of another type; what is not understood is `None`, never an error.

Payloads: https://docs.slack.dev/apis/events-api and https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.posts import Thread

_WORTHY_SUBTYPES = (None, "file_share", "thread_broadcast")  # those that are a person's own new words
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}", re.ASCII)
_ID = re.compile(r"[A-Z][A-Z0-9]{1,30}", re.ASCII)
MAX_WORDS = 40_000  # characters of one message, Slack's own bound


@dataclass(frozen=True)
class Mention:
    """A person's message that mentions the bot, as Slack has it: `text` is still marked up."""

    event_id: str
    thread: Thread
    ts: str
    user: str
    text: str
    in_thread: bool
    is_foreign: bool  # the author belongs to another organisation, by the event's own word

    def payload(self) -> dict[str, Any]:
        return {
            "ts": self.ts,
            "user": self.user,
            "text": self.text,
            "in_thread": self.in_thread,
            "is_foreign": self.is_foreign,
        }


@dataclass(frozen=True)
class Click:
    """A press of Approve or Deny."""

    thread: Thread
    user: str
    token: str
    action: Literal["approve", "deny"]

    def payload(self) -> dict[str, Any]:
        return {"user": self.user, "token": self.token, "action": self.action}


def mention(envelope: Mapping[str, Any]) -> Mention | None:
    """The mention in an `app_mention` envelope; None for the bot's own, other bots', edited and other sub-typed messages."""
    event = _mapping(envelope.get("event"))
    team, channel, ts, user = (
        _id(envelope.get("team_id")),
        _id(event.get("channel")),
        _ts(event.get("ts")),
        _id(event.get("user")),
    )
    team = team or _id(event.get("team"))
    event_id = envelope.get("event_id")
    if not (team and channel and ts and user and isinstance(event_id, str) and 0 < len(event_id) <= 200):
        return None
    if (
        event.get("bot_id")
        or event.get("edited")
        or event.get("hidden")
        or event.get("subtype") not in _WORTHY_SUBTYPES
    ):
        return None
    text, thread_ts = event.get("text"), _ts(event.get("thread_ts"))
    home = _id(event.get("user_team")) or _id(event.get("source_team"))
    return Mention(
        event_id=event_id,
        thread=Thread(team, channel, thread_ts or ts),
        ts=ts,
        user=user,
        text=text[:MAX_WORDS] if isinstance(text, str) else "",
        in_thread=bool(thread_ts),
        is_foreign=bool(home and home != team and not envelope.get("enterprise_id")),
    )


def click(payload: Mapping[str, Any]) -> Click | None:
    """The press of one of the card's buttons in a `block_actions` payload, or None."""
    actions = payload.get("actions")
    action = _mapping(actions[0]) if isinstance(actions, list) and actions else {}
    container, message = _mapping(payload.get("container")), _mapping(payload.get("message"))
    team = _id(_mapping(payload.get("team")).get("id")) or _id(_mapping(payload.get("user")).get("team_id"))
    channel = _id(_mapping(payload.get("channel")).get("id")) or _id(container.get("channel_id"))
    user, token = _id(_mapping(payload.get("user")).get("id")), action.get("value")
    ts = _ts(container.get("thread_ts")) or _ts(message.get("thread_ts")) or _ts(container.get("message_ts"))
    name = action.get("action_id")
    if (
        payload.get("type") != "block_actions"
        or name not in ("approve", "deny")
        or not isinstance(token, str)
        or not re.fullmatch(r"[0-9a-f]{32}", token)
    ):
        return None
    if not (team and channel and user and ts):
        return None
    return Click(Thread(team, channel, ts), user, token, name)


def plain_words(text: str, bot: str) -> str:
    """A message's text as the person typed it: the bot's mention taken out wherever it stands, Slack's markup undone.

    https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages
    """
    text = re.sub(rf"[ \t]?<@{re.escape(bot)}(?:\|[^>]*)?>", "", text) if bot else text
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


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _ts(value: object) -> str:
    return value if isinstance(value, str) and _TS.fullmatch(value) else ""


def _id(value: object) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""
