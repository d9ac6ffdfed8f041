"""What Slack's Web API accepts: the arguments of every method, their types and their limits, and the rate of each.

No state and no I/O. `check` takes the arguments of one call as they arrived and returns them decoded, or raises
LimitError with Slack's error code. Argument names and codes: https://docs.slack.dev/reference/methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workspace import block_kit

Json = dict[str, Any]

TEXT_BEST = 4_000  # Slack splits longer texts of a message that has no blocks
TEXT_CUT = 40_000  # Slack cuts here without an error
UPDATE_TEXT = 4_000
MARKDOWN_TEXT = 12_000
PROMPTS = 4


class ApiError(Exception):
    """An answer `{"ok": false, "error": code}`; `messages` go into response_metadata."""

    def __init__(self, code: str, *messages: str) -> None:
        super().__init__(code, *messages)
        self.code = code
        self.messages = messages


class LimitError(ApiError):
    """The call breaks a documented limit or has wrong arguments: a mistake in the caller's code."""


@dataclass(frozen=True)
class Method:
    """One row of the table: calls per minute, argument names, and whether a JSON body is read at all.

    `per_channel` is for chat.postMessage: one a second in each channel, after a short burst.
    """

    per_minute: int
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    reads_json: bool = True
    per_channel: bool = False
    burst: int | None = None


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def method(tier: int, required: str = "", optional: str = "", **more: Any) -> Method:
    return Method(tier, tuple(required.split()), tuple(optional.split()), **more)


# Calls per minute: https://docs.slack.dev/apis/web-api/rate-limits. SPECIAL stands for "hundreds".
TIER_2, TIER_3, TIER_4, SPECIAL = 20, 50, 100, 600
POST_BURST = 5  # "short bursts" are tolerated; Slack gives no number, this one is ours
_LOOKS = "icon_emoji icon_url username"
_MESSAGE = f"text blocks attachments markdown_text metadata link_names parse thread_ts as_user {_LOOKS}"
_PAGE = "cursor limit"
_RANGE = f"{_PAGE} latest oldest inclusive include_all_metadata"

METHODS: dict[str, Method] = {
    "api.test": method(TIER_4, "", "error foo"),
    "auth.test": method(SPECIAL),
    "chat.postMessage": method(
        60,
        "channel",
        f"{_MESSAGE} reply_broadcast unfurl_links unfurl_media mrkdwn",
        per_channel=True,
        burst=POST_BURST,
    ),
    "chat.postEphemeral": method(TIER_4, "channel user", _MESSAGE),
    "chat.update": method(
        TIER_3,
        "channel ts",
        "text blocks attachments unfurled_attachments markdown_text metadata link_names parse as_user reply_broadcast "
        "file_ids",
    ),
    "chat.delete": method(TIER_3, "channel ts", "as_user"),
    "reactions.add": method(TIER_3, "channel timestamp name"),
    "reactions.remove": method(TIER_2, "name", "channel timestamp file file_comment"),
    "conversations.replies": method(TIER_3, "channel ts", _RANGE, reads_json=False),
    "conversations.history": method(TIER_3, "channel", _RANGE),
    "conversations.info": method(TIER_3, "channel", "include_locale include_num_members", reads_json=False),
    "conversations.members": method(TIER_4, "channel", _PAGE, reads_json=False),
    "conversations.list": method(TIER_2, "", f"{_PAGE} types exclude_archived team_id", reads_json=False),
    "conversations.open": method(TIER_3, "", "channel users return_im prevent_creation"),
    "users.info": method(TIER_4, "user", "include_locale", reads_json=False),
    "usergroups.list": method(TIER_2, "", "include_count include_disabled include_users team_id", reads_json=False),
    "usergroups.users.list": method(TIER_2, "usergroup", "include_disabled team_id", reads_json=False),
    "assistant.threads.setStatus": method(SPECIAL, "channel_id thread_ts status", f"loading_messages {_LOOKS}"),
    "assistant.threads.setTitle": method(TIER_4, "channel_id thread_ts title"),
    "assistant.threads.setSuggestedPrompts": method(TIER_4, "channel_id prompts", "thread_ts title"),
    "views.open": method(TIER_4, "view", "trigger_id interactivity_pointer"),
    "views.push": method(TIER_4, "view", "trigger_id interactivity_pointer"),
    "views.update": method(TIER_4, "view", "view_id external_id hash"),
    "views.publish": method(TIER_4, "user_id view", "hash"),
}

_FLAGS = words(
    "as_user link_names reply_broadcast unfurl_links unfurl_media mrkdwn inclusive include_all_metadata include_locale "
    "include_num_members exclude_archived return_im prevent_creation include_count include_disabled "
    "include_users"
)
_TIMES = frozenset({"ts", "thread_ts", "timestamp", "latest", "oldest"})
_STRUCTURES = {
    "blocks": list,
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
_BAD_STRUCTURE = {"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format"}
_TS = re.compile(r"\d{9,11}\.\d{6}")


@dataclass(frozen=True)
class Checked:
    """A call that may be performed; `warnings` are limits it passed that Slack answers without an error."""

    args: Json
    warnings: tuple[str, ...] = field(default=())


def check(name: str, raw: Mapping[str, Any]) -> Checked:
    """Decode and judge the arguments of a known method. Raises LimitError."""
    spec = METHODS[name]
    unknown = sorted(raw.keys() - {*spec.required, *spec.optional})
    missing = [arg for arg in spec.required if raw.get(arg) in (None, "") and not _empty_counts(arg, raw)]
    if unknown or missing:
        raise LimitError(
            "invalid_arguments",
            *(f"[ERROR] missing required field: {arg}" for arg in missing),
            *(f"[ERROR] unknown argument: {arg}" for arg in unknown),
        )
    args = {arg: _decoded(arg, value) for arg, value in raw.items() if not _is_absent(arg, value)}
    rule = _RULES.get(name)
    return Checked(args, tuple(rule(args)) if rule else ())


def _empty_counts(arg: str, raw: Mapping[str, Any]) -> bool:
    return arg == "status" and raw.get(arg) == ""  # clears the status


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
    if arg in _TIMES and not _TS.fullmatch(value) and not (arg in ("latest", "oldest") and value in ("0", "now")):
        raise LimitError("invalid_arguments", block_kit.error('must be a ts such as "1503435956.000247"', f"/{arg}"))
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


def _posted(args: Json) -> list[str]:
    _content(args)
    _metadata(args)
    text, blocks = args.get("text", ""), args.get("blocks")
    if len(text) > TEXT_CUT:
        return [f"text has {len(text)} characters: Slack cuts it at {TEXT_CUT}"]
    if len(text) > TEXT_BEST and not blocks:
        return [f"text has {len(text)} characters and there are no blocks: Slack splits it at {TEXT_BEST}"]
    return []


def _updated(args: Json) -> list[str]:
    _content(args)
    _metadata(args)
    if len(args.get("text", "")) > UPDATE_TEXT:
        raise LimitError("msg_too_long", block_kit.error(f"must be less than {UPDATE_TEXT + 1} characters", "/text"))
    return []


def _content(args: Json) -> None:
    """What a message shows: text, blocks or markdown_text."""
    if "markdown_text" in args and (args.get("text") or args.get("blocks")):
        raise LimitError("markdown_text_conflict", "[ERROR] markdown_text cannot be used with text or blocks")
    if not (args.get("text") or args.get("blocks") or args.get("attachments") or args.get("markdown_text")):
        raise LimitError("no_text", "[ERROR] give text, blocks, attachments or markdown_text")
    if len(args.get("markdown_text", "")) > MARKDOWN_TEXT:
        raise LimitError(
            "msg_too_long", block_kit.error(f"must be less than {MARKDOWN_TEXT + 1} characters", "/markdown_text")
        )
    check_blocks(args.get("blocks") or [])


def check_blocks(blocks: list[Any]) -> None:
    """The blocks of a message. Raises LimitError."""
    if len(blocks) > block_kit.MESSAGE_BLOCKS:
        raise LimitError(
            "msg_blocks_too_many", block_kit.error(f"no more than {block_kit.MESSAGE_BLOCKS} items allowed", "/blocks")
        )
    if wrong := block_kit.block_mistakes(blocks):
        raise LimitError("invalid_blocks", *wrong)
    if block_kit.markdown_chars(blocks) > block_kit.MARKDOWN_CHARS:
        raise LimitError(
            "msg_too_long", f"[ERROR] all markdown blocks together: at most {block_kit.MARKDOWN_CHARS} characters"
        )


def _metadata(args: Json) -> None:
    """`{}` removes the metadata of a message; anything else is an event."""
    metadata = args.get("metadata")
    if not metadata:
        return
    if not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
        raise LimitError("invalid_metadata_format", "[ERROR] metadata needs event_type, a string")
    if not isinstance(metadata.get("event_payload"), dict):
        raise LimitError("invalid_metadata_format", "[ERROR] metadata needs event_payload, an object")
    if extra := metadata.keys() - {"event_type", "event_payload"}:
        raise LimitError("invalid_metadata_format", f"[ERROR] metadata has unknown fields: {', '.join(sorted(extra))}")


def _status(args: Json) -> list[str]:
    messages = args.get("loading_messages")
    if messages is None:
        return []
    wrong = list(block_kit.mistakes(block_kit.Many(block_kit.Str(50), 1, 10), messages, "/loading_messages"))
    if wrong:
        raise LimitError("invalid_arguments", *wrong)
    return []


def _prompts(args: Json) -> list[str]:
    prompt = block_kit.shape(title_=block_kit.Str(block_kit.LONG), message_=block_kit.Str(block_kit.LONG))
    if wrong := list(block_kit.mistakes(block_kit.Many(prompt, 1, PROMPTS), args["prompts"], "/prompts")):
        raise LimitError("invalid_arguments", *wrong)
    return []


def _view(*kinds: str) -> Callable[[Json], list[str]]:
    def rule(args: Json) -> list[str]:
        check_view(args["view"], *kinds)
        return []

    return rule


def check_view(view: Any, *kinds: str) -> None:
    """A view that is to be shown as one of these kinds (`modal`, `home`). Raises LimitError."""
    if block_kit.view_bytes(view) > block_kit.VIEW_BYTES:
        raise LimitError("view_too_large", f"[ERROR] a view has at most {block_kit.VIEW_BYTES} bytes")
    if wrong := block_kit.view_mistakes(view, kinds):
        raise LimitError("invalid_arguments", *wrong)


def _reaction(args: Json) -> list[str]:
    if not re.fullmatch(r"[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?", args["name"]):
        raise LimitError("invalid_name", "[ERROR] the name of an emoji has no colons and no spaces")
    return []


_RULES: dict[str, Callable[[Json], list[str]]] = {
    "chat.postMessage": _posted,
    "chat.postEphemeral": _posted,
    "chat.update": _updated,
    "reactions.add": _reaction,
    "reactions.remove": _reaction,
    "assistant.threads.setStatus": _status,
    "assistant.threads.setSuggestedPrompts": _prompts,
    "views.open": _view("modal"),
    "views.push": _view("modal"),
    "views.update": _view("modal", "home"),
    "views.publish": _view("home"),
}


# What an app says elsewhere than in the Web API

_RESPONSE = words(
    "text blocks attachments response_type replace_original delete_original thread_ts mrkdwn unfurl_links unfurl_media "
    "metadata"
)


def check_response(body: Any) -> Json:
    """The body of a use of a response_url. Raises LimitError."""
    if not isinstance(body, dict):
        raise LimitError("invalid_payload", "[ERROR] must be a JSON object")
    if unknown := sorted(body.keys() - _RESPONSE):
        raise LimitError("invalid_payload", *(f"[ERROR] unknown argument: {name}" for name in unknown))
    if body.get("response_type") not in (None, "ephemeral", "in_channel"):
        raise LimitError("invalid_payload", "[ERROR] response_type is ephemeral or in_channel")
    if not body.get("delete_original"):
        _content(body)
    return body


def check_view_errors(view: Json, action: Json) -> dict[str, str]:
    """The errors of a `response_action`, which name inputs of the view. Raises LimitError."""
    errors = action.get("errors")
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not errors.keys() <= inputs:
        names = ", ".join(sorted(inputs))
        raise LimitError("invalid_response", f"[ERROR] errors must name inputs of the view: {names}")
    return {name: str(words) for name, words in errors.items()}
