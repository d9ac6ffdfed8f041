"""What a Slack message says, wherever it says it: its text, blocks, attachments, and the names of its files. In Slack's markup.

An alert often has no text but blocks or attachments: https://docs.slack.dev/reference/block-kit/blocks and
https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments/. Any field may be missing or of another type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from base.markdown import escape
from base.utf8 import encodable
from store.received import Attached

MAX_WORDS = 40_000  # characters of one message, Slack's own bound
_DEEP = 12  # levels of blocks within blocks that are looked into
_BLOCKS = 100  # of a message; Slack's bound for attachments and for views, the largest there is
_FILES = 10
_FILE_NAME = 120  # characters
# What Slack writes where its clients have nothing to show; no field says so.
_NOTHING = re.compile(r"this content can.?t be displayed\.?|\[no preview available\]", re.IGNORECASE)
# What people press, choose or fill in; nothing is said there.
_SILENT = re.compile(
    r"actions|context_actions|input|button|\w+_buttons?|overflow|checkboxes|\w+_select|\w*picker|confirm"
)
_APP = frozenset({"bot_message"})  # the subtype that apps' messages may have
SLACKBOT = "USLACKBOT"


@dataclass(frozen=True)
class Content:
    """What a message says. `text` is its author's own; `files` are names, the content of files is nowhere read."""

    text: str
    attached: tuple[Attached, ...] = ()
    files: tuple[str, ...] = ()


def is_by_app(message: Mapping[str, Any]) -> bool:
    """Whether a workflow, an app or Slack itself wrote it. New apps' messages have a `bot_id` and no subtype, workflows' no user."""
    by_id = bool(message.get("bot_id") or message.get("bot_profile"))
    subtype = message.get("subtype")
    return by_id or (isinstance(subtype, str) and subtype in _APP) or message.get("user") == SLACKBOT


def content(message: Mapping[str, Any]) -> Content:
    """All that a message says."""
    text, in_blocks = _text(message.get("text")), _blocks(message.get("blocks"))
    said = _both(text, in_blocks) if is_by_app(message) else _fuller(text, in_blocks)
    attached = [_attached(one) for one in _items(message.get("attachments"))]
    names = [_file(one) for one in _items(message.get("files"))[:_FILES] if one.get("mode") != "tombstone"]
    return Content(clean(said), tuple(one for one in attached if one.text), tuple(names))


def whole(content: Content) -> str:
    """Text and attachments together, for a message that has one author for all of it."""
    return _lines([content.text, *(one.text for one in content.attached)])


def with_files(text: str, files: Sequence[str]) -> str:
    """What the model reads of a message with files: that they are there, and that it knows no more than the names."""
    names = [f"[Attached file, of which only the name can be read: {escape(name)}]" for name in files]
    return _lines([text, *names])


def _attached(found: Mapping[str, Any]) -> Attached:
    title, link = _text(found.get("title")), found.get("title_link")
    if title and isinstance(link, str) and not re.search(r"[<>|\s]", link):
        title = f"<{link}|{title}>"
    shared = [_blocks(_mapping(one.get("message")).get("blocks")) for one in _items(found.get("message_blocks"))]
    inside = _lines([_blocks(found.get("blocks")), *shared])
    said = [
        _text(found.get("pretext")),
        title,
        _fuller(_text(found.get("text")), inside),
        *(_field(one) for one in _items(found.get("fields"))),
        *(with_files("", [_file(one)]) for one in _items(found.get("files"))[:_FILES]),
    ]
    name = found.get("author_name") or found.get("service_name")
    text = _lines(said) or _text(found.get("fallback"))
    return Attached(clean(name)[:80] if isinstance(name, str) else "", clean(text))


def _field(found: Mapping[str, Any]) -> str:
    title, value = _text(found.get("title")), _text(found.get("value"))
    return f"{title}: {value}" if title and value else title or value


def _file(found: Mapping[str, Any]) -> str:
    """A file's name on one line. Slack tells none of files of other workspaces (`file_access`: "check_file_info")."""
    name = found.get("name") or found.get("title")
    shown = " ".join(clean(name).split())[:_FILE_NAME] if isinstance(name, str) else ""
    return shown or "(no name)"


# --- blocks -----------------------------------------------------------------------------------------------------------


def _blocks(blocks: object) -> str:
    return _lines([_block(one, _DEEP) for one in _items(blocks)])


def _block(block: Mapping[str, Any], deep: int) -> str:
    kind = block.get("type")
    if deep <= 0 or (isinstance(kind, str) and _SILENT.fullmatch(kind)):
        return ""
    match kind:
        case "rich_text":
            return _lines([_rich(one) for one in _items(block.get("elements"))])
        case "mrkdwn":
            return _text(block.get("text"))
        case "plain_text" | "raw_text" | "markdown":
            return _shown(block.get("text"))
        case "image":
            return _lines([_block(_mapping(block.get("title")), deep - 1), _shown(block.get("alt_text"))])
        case "context":
            return " ".join(filter(None, (_block(one, deep - 1) for one in _items(block.get("elements")))))
        case "table" | "data_table":
            return _lines([_row(row, deep - 1) for row in _lists(block.get("rows"))])
    return _lines([_block(one, deep - 1) for one in _inner(block)])


def _inner(block: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What stands in a section, a header, and whatever blocks there will be: every object in its fields, in their order."""
    for value in block.values():
        yield from [value] if isinstance(value, dict) else _items(value)


def _row(cells: Sequence[Any], deep: int) -> str:
    return " | ".join(_block(_mapping(one), deep).replace("\n", " ") for one in cells[:_BLOCKS])


def _rich(part: Mapping[str, Any], depth: int = 0) -> str:
    """A section, list, quote or preformatted text of a rich_text block."""
    elements = _items(part.get("elements"))
    match part.get("type"):
        case "rich_text_list" if depth < _DEEP:
            first, indent = part.get("offset"), part.get("indent")
            start = first + 1 if isinstance(first, int) else 1
            gap = "    " * min(indent, _DEEP) if isinstance(indent, int) else ""
            marks = (
                f"{number}." if part.get("style") == "ordered" else "\N{BULLET}"
                for number in range(start, start + _BLOCKS)
            )
            return _lines([f"{gap}{mark} {_rich(one, depth + 1)}" for mark, one in zip(marks, elements, strict=False)])
        case "rich_text_quote":
            return "\n".join(f"&gt; {line}" for line in "".join(map(_leaf, elements)).split("\n"))
        case "rich_text_preformatted":
            return f"```\n{''.join(map(_leaf, elements))}\n```"
    return "".join(map(_leaf, elements))


def _leaf(leaf: Mapping[str, Any]) -> str:
    """One element of a rich text, in the markup that Slack's own `text` has for it."""
    match leaf:
        case {"type": "link", "url": str(url)}:
            label = leaf.get("text")
            return f"<{_address(url)}|{escape(label)}>" if isinstance(label, str) and label else f"<{_address(url)}>"
        case {"type": "user", "user_id": str(ident)}:
            return f"<@{escape(ident)}>"
        case {"type": "usergroup", "usergroup_id": str(ident)}:
            return f"<!subteam^{escape(ident)}>"
        case {"type": "channel", "channel_id": str(ident)}:
            return f"<#{escape(ident)}>"
        case {"type": "broadcast", "range": str(reach)}:
            return f"<!{escape(reach)}>"
        case {"type": "emoji", "name": str(name)}:
            return f":{escape(name)}:"
        case (
            {"type": "date", "fallback": str(moment)} | {"type": "color", "value": str(moment)} | {"text": str(moment)}
        ):
            style = leaf.get("style")
            is_code = isinstance(style, dict) and style.get("code") is True
            return f"`{escape(moment)}`" if is_code else escape(moment)
    return ""


# --- text -------------------------------------------------------------------------------------------------------------


def _address(url: str) -> str:
    return escape(url).replace("|", "%7C")


def _shown(value: object) -> str:
    """A plain text. Slack has `&` in it as an entity already, and angle brackets that mark nothing."""
    return _text(value).replace("<", "&lt;").replace(">", "&gt;")


def _text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return "" if _NOTHING.fullmatch(text) else text[:MAX_WORDS]


def _fuller(text: str, in_blocks: str) -> str:
    """A person's text, of which the blocks are another rendering; the blocks where it is only the beginning of them, or nothing."""
    mine, theirs = _letters(text), _letters(in_blocks)
    return in_blocks if len(mine) < len(theirs) and mine in theirs else text


def _both(text: str, in_blocks: str) -> str:
    """An app's text and blocks: it may say the same in both, or only in one."""
    mine, theirs = _letters(text), _letters(in_blocks)
    if theirs in mine:
        return text
    return in_blocks if mine in theirs else _lines([text, in_blocks])


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def _lines(parts: Sequence[str]) -> str:
    return "\n".join(part for part in parts if part.strip())


def clean(text: str) -> str:
    """Text that every database and server takes: half a surrogate pair and NULs are no words."""
    return encodable(text).replace("\0", "")[:MAX_WORDS]


def _items(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value[:_BLOCKS] if isinstance(one, dict)] if isinstance(value, list) else []


def _lists(value: object) -> list[list[Any]]:
    return [one for one in value[:_BLOCKS] if isinstance(one, list)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
