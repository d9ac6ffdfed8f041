"""What Slack demands of the content of a call: texts, blocks, chunks, metadata, prompts, views, uses of a response_url.

Each rule takes arguments that limits.py has decoded, raises LimitError, and returns warnings for what Slack lets pass
with a loss. No state and no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from emulator import block_kit
from emulator.errors import LimitError

Json = dict[str, Any]
Rule = Callable[[Json], list[str]]

TEXT_BEST = 4_000  # Slack splits longer texts of a message that has no blocks
TEXT_CUT = 40_000  # Slack cuts here without an error
UPDATE_TEXT = 4_000
MARKDOWN_TEXT = 12_000
PROMPTS = 4
TITLE = 200  # of an agent session
TASK_TEXT = 256  # of a task or plan in a stream
SESSION_STATUSES = ("active", "processing", "suspended", "closed")


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
    _at_most(UPDATE_TEXT, args.get("text", ""), "/text")
    return []


def _content(args: Json) -> None:
    """What a message shows: text, blocks or markdown_text."""
    if "markdown_text" in args and (args.get("text") or args.get("blocks")):
        raise LimitError("markdown_text_conflict", "[ERROR] markdown_text cannot be used with text or blocks")
    if not (args.get("text") or args.get("blocks") or args.get("attachments") or args.get("markdown_text")):
        raise LimitError("no_text", "[ERROR] give text, blocks, attachments or markdown_text")
    _at_most(MARKDOWN_TEXT, args.get("markdown_text", ""), "/markdown_text")
    check_blocks(args.get("blocks") or [])


def _at_most(high: int, text: str, at: str) -> None:
    if len(text) > high:
        raise LimitError("msg_too_long", block_kit.error(f"must be less than {high + 1} characters", at))


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


# Streams: https://docs.slack.dev/messaging/sending-and-scheduling-messages#text-streaming

_SOURCE = block_kit.shape(type_=block_kit.Choice(("url",)), url_=block_kit.URL, text_=block_kit.Str(TASK_TEXT))
_CHUNK = block_kit.ByType(
    {
        "markdown_text": block_kit.shape(text_=block_kit.Str(MARKDOWN_TEXT)),
        "task_update": block_kit.shape(
            id_=block_kit.Str(255),
            title_=block_kit.Str(TASK_TEXT),
            status_=block_kit.Choice(("pending", "in_progress", "complete", "error")),
            details=block_kit.Str(TASK_TEXT, 0),
            output=block_kit.Str(TASK_TEXT, 0),
            sources=block_kit.Many(_SOURCE, 0, 100),
        ),
        "plan_update": block_kit.shape(title_=block_kit.Str(TASK_TEXT)),
        "blocks": block_kit.shape(blocks_=block_kit.Many(block_kit.Free(), 1, block_kit.MESSAGE_BLOCKS)),
    }
)


def _started(args: Json) -> list[str]:
    if "thread_ts" not in args:
        raise LimitError("invalid_thread_ts", "[ERROR] a stream is always a reply: give thread_ts")
    if args.get("task_display_mode", "timeline") not in ("timeline", "plan"):
        raise LimitError("invalid_arguments", block_kit.error("must be one of: timeline, plan", "/task_display_mode"))
    _streamed(args)
    return []


def _appended(args: Json) -> list[str]:
    _streamed(args)
    if not (args.get("markdown_text") or args.get("chunks")):
        raise LimitError("no_text", "[ERROR] give markdown_text or chunks")
    return []


def _stopped(args: Json) -> list[str]:
    _streamed(args)
    _metadata(args)
    check_blocks(args.get("blocks") or [])
    if args.get("session_status", "active") not in SESSION_STATUSES:
        words = ", ".join(SESSION_STATUSES)
        raise LimitError("invalid_arguments", block_kit.error(f"must be one of: {words}", "/session_status"))
    return []


def _streamed(args: Json) -> None:
    """What is added to a stream: Markdown or chunks, never both."""
    if "markdown_text" in args and "chunks" in args:
        raise LimitError("cannot_provide_both_markdown_text_and_chunks", "[ERROR] give markdown_text or chunks")
    _at_most(MARKDOWN_TEXT, args.get("markdown_text", ""), "/markdown_text")
    chunks = args.get("chunks", [])
    for number, chunk in enumerate(chunks):
        if isinstance(chunk, dict) and chunk.get("type") == "markdown_text" and isinstance(chunk.get("text"), str):
            _at_most(MARKDOWN_TEXT, chunk["text"], f"/chunks/{number}/text")
        if wrong := list(block_kit.mistakes(_CHUNK, chunk, f"/chunks/{number}")):
            raise LimitError("invalid_chunks", *wrong)
        if chunk["type"] == "blocks":
            check_blocks(chunk["blocks"])


# Statuses, titles, prompts


def _status(args: Json) -> list[str]:
    messages = args.get("loading_messages")
    if messages is None:
        return []
    wrong = list(block_kit.mistakes(block_kit.Many(block_kit.Str(50), 1, 10), messages, "/loading_messages"))
    if wrong:
        raise LimitError("invalid_arguments", *wrong)
    return []


def _session(args: Json) -> list[str]:
    if args["status"] not in SESSION_STATUSES:
        raise LimitError("invalid_status", block_kit.error(f"must be one of: {', '.join(SESSION_STATUSES)}", "/status"))
    for name in ("title", "username"):
        if len(args.get(name, "")) > TITLE:
            raise LimitError(
                "invalid_arguments", block_kit.error(f"must be less than {TITLE + 1} characters", "/title")
            )
    return []


def _renamed(args: Json) -> list[str]:
    if len(args["title"]) > TITLE:
        raise LimitError("invalid_arguments", block_kit.error(f"must be less than {TITLE + 1} characters", "/title"))
    return []


def _prompts(args: Json) -> list[str]:
    prompt = block_kit.shape(title_=block_kit.Str(block_kit.LONG), message_=block_kit.Str(block_kit.LONG))
    if wrong := list(block_kit.mistakes(block_kit.Many(prompt, 1, PROMPTS), args["prompts"], "/prompts")):
        raise LimitError("invalid_arguments", *wrong)
    return []


def _history(args: Json) -> list[str]:
    if args.get("limit", 1) > 999:
        raise LimitError("invalid_arguments", block_kit.error("must be an integer from 1 to 999", "/limit"))
    return []


def _reaction(args: Json) -> list[str]:
    if not re.fullmatch(r"[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?", args["name"]):
        raise LimitError("invalid_name", "[ERROR] the name of an emoji has no colons and no spaces")
    return []


# Views


def _view(*kinds: str) -> Rule:
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


RULES: dict[str, Rule] = {
    "chat.postMessage": _posted,
    "chat.postEphemeral": _posted,
    "chat.update": _updated,
    "chat.startStream": _started,
    "chat.appendStream": _appended,
    "chat.stopStream": _stopped,
    "reactions.add": _reaction,
    "reactions.remove": _reaction,
    "conversations.history": _history,
    "assistant.threads.setStatus": _status,
    "assistant.threads.setSuggestedPrompts": _prompts,
    "agents.sessions.setStatus": _session,
    "agents.sessions.rename": _renamed,
    "views.open": _view("modal"),
    "views.push": _view("modal"),
    "views.update": _view("modal", "home"),
    "views.publish": _view("home"),
}


# What an app says elsewhere than in the Web API

_WORDS = "text blocks attachments response_type replace_original delete_original thread_ts mrkdwn unfurl_links"
_RESPONSE = frozenset([*_WORDS.split(), "unfurl_media", "metadata"])


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
