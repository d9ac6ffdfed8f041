"""What Slack's Web API accepts: the arguments of every method, their types, its scope and its rate.

No state and no I/O. `check` takes the arguments of one call as they arrived and returns them decoded, or raises
LimitError with Slack's error code. Rules about the content are in rules.py.
Argument names, scopes, tiers and codes: https://docs.slack.dev/reference/methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator import block_kit, rules
from emulator.errors import LimitError

Json = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """One row of the table: calls per minute, argument names, its scope, and whether a JSON body is read at all.

    `scope` "*:history" stands for one scope per kind of conversation (channels:history, im:history ...).
    `per_channel` is for chat.postMessage: one a second in each channel, after a short burst.
    `app_token`: called with the app's token instead of the bot's.
    """

    per_minute: int
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    scope: str = ""
    reads_json: bool = True
    per_channel: bool = False
    burst: int | None = None
    app_token: bool = False


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def method(tier: int, scope: str = "", required: str = "", optional: str = "", **more: Any) -> Method:
    """A method of the Web API: its rate's tier, its scope, its arguments."""
    return Method(tier, tuple(required.split()), tuple(optional.split()), scope, **more)


# Calls per minute: https://docs.slack.dev/apis/web-api/rate-limits. SPECIAL stands for "hundreds".
TIER_2, TIER_3, TIER_4, SPECIAL = 20, 50, 100, 600
POST_BURST = 5  # "short bursts" are tolerated; Slack gives no number, this one is ours
LOOKS = ("icon_emoji", "icon_url", "username")  # need chat:write.customize
_LOOKS = " ".join(LOOKS)
_MESSAGE = f"text blocks attachments markdown_text metadata link_names parse thread_ts as_user {_LOOKS}"
_PAGE = "cursor limit"
_RANGE = f"{_PAGE} latest oldest inclusive include_all_metadata"
_STREAMED = "markdown_text chunks"

METHODS: dict[str, Method] = {
    "api.test": method(TIER_4, "", "", "error foo"),
    "auth.test": method(SPECIAL),
    "apps.connections.open": method(TIER_3, "connections:write", app_token=True),
    "chat.postMessage": method(
        60,
        "chat:write",
        "channel",
        f"{_MESSAGE} reply_broadcast unfurl_links unfurl_media mrkdwn",
        per_channel=True,
        burst=POST_BURST,
    ),
    "chat.postEphemeral": method(TIER_4, "chat:write", "channel user", _MESSAGE),
    "chat.update": method(
        TIER_3,
        "chat:write",
        "channel ts",
        "text blocks attachments unfurled_attachments markdown_text metadata link_names parse as_user reply_broadcast "
        "file_ids",
    ),
    "chat.delete": method(TIER_3, "chat:write", "channel ts", "as_user"),
    "chat.getPermalink": method(SPECIAL, "", "channel message_ts", reads_json=False),
    "chat.startStream": method(
        TIER_2,
        "chat:write",
        "channel",
        f"{_STREAMED} thread_ts recipient_user_id recipient_team_id task_display_mode {_LOOKS}",
    ),
    "chat.appendStream": method(TIER_4, "chat:write", "channel ts", _STREAMED),
    "chat.stopStream": method(TIER_2, "chat:write", "channel ts", f"{_STREAMED} blocks metadata session_status"),
    "reactions.add": method(TIER_3, "reactions:write", "channel timestamp name"),
    "reactions.remove": method(TIER_2, "reactions:write", "name", "channel timestamp file file_comment"),
    "conversations.replies": method(TIER_3, "*:history", "channel ts", _RANGE, reads_json=False),
    "conversations.history": method(TIER_3, "*:history", "channel", _RANGE),
    "conversations.info": method(TIER_3, "*:read", "channel", "include_locale include_num_members", reads_json=False),
    "conversations.members": method(TIER_4, "*:read", "channel", _PAGE, reads_json=False),
    "conversations.list": method(TIER_2, "*:read", "", f"{_PAGE} types exclude_archived team_id", reads_json=False),
    "conversations.open": method(TIER_3, "im:write", "", "channel users return_im prevent_creation"),
    "users.info": method(TIER_4, "users:read", "user", "include_locale", reads_json=False),
    "bots.info": method(TIER_3, "users:read", "", "bot team_id", reads_json=False),
    "team.info": method(TIER_3, "team:read", "", "team domain", reads_json=False),
    "usergroups.list": method(
        TIER_2, "usergroups:read", "", "include_count include_disabled include_users team_id", reads_json=False
    ),
    "usergroups.users.list": method(
        TIER_2, "usergroups:read", "usergroup", "include_disabled team_id", reads_json=False
    ),
    "assistant.threads.setStatus": method(
        SPECIAL, "chat:write", "channel_id thread_ts status", f"loading_messages {_LOOKS}"
    ),
    "assistant.threads.setTitle": method(TIER_4, "assistant:write", "channel_id thread_ts title"),
    "assistant.threads.setSuggestedPrompts": method(TIER_4, "assistant:write", "channel_id prompts", "thread_ts title"),
    "agents.sessions.setStatus": method(
        TIER_3, "chat:write", "channel_id status", f"thread_ts title initiator_user_id {_LOOKS}"
    ),
    "agents.sessions.rename": method(TIER_3, "chat:write", "channel_id title", "thread_ts"),
    "views.open": method(TIER_4, "", "view", "trigger_id interactivity_pointer"),
    "views.push": method(TIER_4, "", "view", "trigger_id interactivity_pointer"),
    "views.update": method(TIER_4, "", "view", "view_id external_id hash"),
    "views.publish": method(TIER_4, "", "user_id view", "hash"),
}

_FLAGS = words(
    "as_user link_names reply_broadcast unfurl_links unfurl_media mrkdwn inclusive include_all_metadata include_locale "
    "include_num_members exclude_archived return_im prevent_creation include_count include_disabled "
    "include_users"
)
_TIMES = frozenset({"ts", "thread_ts", "timestamp", "message_ts"})
_BOUNDS = {"latest": "invalid_ts_latest", "oldest": "invalid_ts_oldest"}
_STRUCTURES = {
    "blocks": list,
    "chunks": list,
    "attachments": list,
    "unfurled_attachments": list,
    "metadata": dict,
    "view": dict,
    "prompts": list,
    "loading_messages": list,
    "file_ids": list,
}
# The reference lists null as a type of these; anywhere else null is a mistake.
_MAY_BE_NULL = words(
    "attachments unfurled_attachments blocks metadata text thread_ts parse icon_emoji icon_url username trigger_id "
    "interactivity_pointer as_user link_names channel"
)
_BAD_STRUCTURE = {
    "blocks": "invalid_blocks_format",
    "metadata": "invalid_metadata_format",
    "chunks": "invalid_chunks",
}
_TS = re.compile(r"\d{9,11}\.\d{6}")
_BOUND = re.compile(r"\d{1,11}(\.\d{1,6})?|now")


def scopes_needed(name: str, raw: Mapping[str, Any], kind: str) -> list[frozenset[str]]:
    """The scopes a call needs: one of each set. `kind` is that of its conversation (`channels`, `groups`, `im`) or ""."""
    spec = METHODS[name]
    needed = []
    if spec.scope:
        kinds = (kind,) if kind else ("channels", "groups", "im", "mpim")
        needed.append(frozenset(spec.scope.replace("*", one) for one in kinds))
    if any(raw.get(look) for look in LOOKS if look in spec.optional):
        needed.append(frozenset({"chat:write.customize"}))
    return needed


@dataclass(frozen=True)
class Checked:
    """A call that may be performed; `warnings` are limits it passed that Slack answers without an error."""

    args: Json
    warnings: tuple[str, ...] = field(default=())


def check(name: str, raw: Mapping[str, Any]) -> Checked:
    """Decode and judge the arguments of a known method. Raises LimitError."""
    spec = METHODS[name]
    unknown = sorted(raw.keys() - {*spec.required, *spec.optional})
    missing = [arg for arg in spec.required if raw.get(arg) in (None, "") and not _empty_counts(name, arg, raw)]
    if unknown or missing:
        raise LimitError(
            "invalid_arguments",
            *(f"[ERROR] missing required field: {arg}" for arg in missing),
            *(f"[ERROR] unknown argument: {arg}" for arg in unknown),
        )
    args = {arg: _decoded(arg, value) for arg, value in raw.items() if not _is_absent(arg, value)}
    rule = rules.RULES.get(name)
    return Checked(args, tuple(rule(args)) if rule else ())


def _empty_counts(name: str, arg: str, raw: Mapping[str, Any]) -> bool:
    return name == "assistant.threads.setStatus" and arg == "status" and raw.get(arg) == ""  # clears the status


def _is_absent(arg: str, value: Any) -> bool:
    if value is None and arg not in _MAY_BE_NULL:
        raise LimitError("invalid_arguments", block_kit.error("must not be null", f"/{arg}"))
    return value is None


def _decoded(arg: str, value: Any) -> Any:
    if arg in _STRUCTURES:
        return _structure(arg, value)
    if arg in _FLAGS:
        return _flag(arg, value)
    if arg == "limit":
        return _limit(value)
    if arg == "users" and isinstance(value, list):
        return ",".join(value)
    if not isinstance(value, str):
        raise LimitError("invalid_arguments", block_kit.error("must be a string", f"/{arg}"))
    if arg in _TIMES and not _TS.fullmatch(value):
        raise LimitError("invalid_arguments", block_kit.error('must be a ts such as "1503435956.000247"', f"/{arg}"))
    if arg in _BOUNDS and not _BOUND.fullmatch(value):
        raise LimitError(_BOUNDS[arg], block_kit.error("must be a Unix timestamp", f"/{arg}"))
    return value


def _structure(arg: str, value: Any) -> Any:
    """A list or object: native in a JSON body, JSON text in a form."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as wrong:
            raise LimitError(_BAD_STRUCTURE.get(arg, "invalid_arguments"), f"[ERROR] {arg} is no JSON") from wrong
    if not isinstance(value, _STRUCTURES[arg]):
        kind = "an array" if _STRUCTURES[arg] is list else "an object"
        raise LimitError(_BAD_STRUCTURE.get(arg, "invalid_arguments"), block_kit.error(f"must be {kind}", f"/{arg}"))
    return value


def _flag(arg: str, value: Any) -> bool:
    if value in (True, 1, "1", "true", "True"):
        return True
    if value in (False, 0, "0", "false", "False"):
        return False
    raise LimitError("invalid_arguments", block_kit.error("must be a boolean", f"/{arg}"))


def _limit(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,4}", str(value)) or not 1 <= int(value) <= 1000:
        raise LimitError("invalid_arguments", block_kit.error("must be an integer from 1 to 1000", "/limit"))
    return int(value)
