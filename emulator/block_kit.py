"""The shapes of Block Kit: what Slack accepts as blocks and as a view, as data, and one walk that compares.

Nothing here knows of HTTP or of a workspace. Numbers are Slack's, from https://docs.slack.dev/reference/block-kit.
Keys that Slack does not document are refused too: a misspelt key is silently without effect otherwise.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MARKDOWN_CHARS = 12_000  # over all markdown blocks of one payload
VIEW_BYTES = 250_000


@dataclass(frozen=True)
class Str:
    """A string of `low` to `high` characters."""

    high: int
    low: int = 1


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """true or false."""


@dataclass(frozen=True)
class Whole:
    """An integer."""


@dataclass(frozen=True)
class Free:
    """Anything but null: parts of Slack that this bot has no use for."""


@dataclass(frozen=True)
class Obj:
    """An object with these keys and no others."""

    keys: Mapping[str, Rule]
    required: frozenset[str]


@dataclass(frozen=True)
class ByType:
    """An object whose `type` says which shape it has."""

    shapes: Mapping[str, Obj]


@dataclass(frozen=True)
class Many:
    """An array of `low` to `high` items."""

    of: Rule
    low: int
    high: int


Rule = Str | Choice | Flag | Whole | Free | Obj | ByType | Many


def shape(**keys: Rule) -> Obj:
    """An object; a trailing underscore marks a key that must be there (`text_=...`)."""
    return Obj({name.rstrip("_"): rule for name, rule in keys.items()}, frozenset(k[:-1] for k in keys if k[-1] == "_"))


def plain(high: int) -> ByType:
    """A text object that takes plain text alone, up to so many characters."""
    return ByType({"plain_text": shape(text_=Str(high), emoji=Flag())})


def text(high: int) -> ByType:
    """A text object that takes plain text and mrkdwn, up to so many characters."""
    return ByType({**plain(high).shapes, "mrkdwn": shape(text_=Str(high), verbatim=Flag())})


ID = Str(255)
URL = Str(3000)
STYLE = Choice(("primary", "danger"))
CONFIRM = shape(title_=plain(100), text_=plain(300), confirm_=plain(30), deny_=plain(30), style=STYLE)
OPTION = shape(text_=plain(75), value_=Str(150, 0), description=plain(75), url=URL)
RICH_OPTION = shape(text_=text(75), value_=Str(150, 0), description=text(75))
GROUP = shape(label_=plain(75), options_=Many(OPTION, 1, 100))
_PICK: dict[str, Rule] = {"action_id": ID, "confirm": CONFIRM, "placeholder": plain(150), "focus_on_load": Flag()}
_TYPED: dict[str, Rule] = {"action_id": ID, "placeholder": plain(150), "focus_on_load": Flag()}
_TYPED |= {"dispatch_action_config": Free()}
_MANY_OPTIONS: dict[str, Rule] = {"options": Many(OPTION, 1, 100), "option_groups": Many(GROUP, 1, 100)}

BUTTON = shape(
    text_=plain(75),
    action_id=ID,
    url=URL,
    value=Str(2000, 0),
    style=STYLE,
    confirm=CONFIRM,
    accessibility_label=Str(75),
)
IMAGE_ELEMENT = shape(image_url=URL, slack_file=Free(), alt_text_=Str(2000))
CHOOSERS: dict[str, Obj] = {
    "static_select": shape(**_PICK, **_MANY_OPTIONS, initial_option=OPTION),
    "multi_static_select": shape(
        **_PICK, **_MANY_OPTIONS, initial_options=Many(OPTION, 1, 100), max_selected_items=Whole()
    ),
    "users_select": shape(**_PICK, initial_user=ID),
    "multi_users_select": shape(**_PICK, initial_users=Many(ID, 1, 100), max_selected_items=Whole()),
    "channels_select": shape(**_PICK, initial_channel=ID, response_url_enabled=Flag()),
    "conversations_select": shape(
        **_PICK,
        initial_conversation=ID,
        default_to_current_conversation=Flag(),
        response_url_enabled=Flag(),
        filter=Free(),
    ),
    "external_select": shape(**_PICK, initial_option=OPTION, min_query_length=Whole()),
    "checkboxes": shape(
        action_id=ID,
        options_=Many(RICH_OPTION, 1, 10),
        initial_options=Many(RICH_OPTION, 1, 10),
        confirm=CONFIRM,
        focus_on_load=Flag(),
    ),
    "radio_buttons": shape(
        action_id=ID,
        options_=Many(RICH_OPTION, 1, 10),
        initial_option=RICH_OPTION,
        confirm=CONFIRM,
        focus_on_load=Flag(),
    ),
    "datepicker": shape(**_PICK, initial_date=Str(10)),
    "timepicker": shape(**_PICK, initial_time=Str(5), timezone=Str(100)),
    "datetimepicker": shape(action_id=ID, confirm=CONFIRM, initial_date_time=Whole(), focus_on_load=Flag()),
}
OVERFLOW = shape(action_id=ID, options_=Many(OPTION, 1, 5), confirm=CONFIRM)
PRESSED = {
    "button": BUTTON,
    "overflow": OVERFLOW,
    "workflow_button": shape(text_=plain(75), workflow_=Free(), action_id=ID, style=STYLE, accessibility_label=Str(75)),
}
TYPED = {
    "plain_text_input": shape(
        **_TYPED, initial_value=Str(3000, 0), multiline=Flag(), min_length=Whole(), max_length=Whole()
    ),
    "email_text_input": shape(**_TYPED, initial_value=Str(3000, 0)),
    "url_text_input": shape(**_TYPED, initial_value=Str(3000, 0)),
    "number_input": shape(
        **_TYPED, is_decimal_allowed_=Flag(), initial_value=Str(100, 0), min_value=Str(100), max_value=Str(100)
    ),
    "rich_text_input": shape(**_TYPED, initial_value=Free()),
    "file_input": shape(action_id=ID, filetypes=Free(), max_files=Whole()),
}
FEEDBACK = shape(text_=plain(75), value_=Str(2000), accessibility_label=Str(75))
CONTEXT_ACTIONS = {
    "feedback_buttons": shape(action_id=ID, positive_button_=FEEDBACK, negative_button_=FEEDBACK),
    "icon_button": shape(
        action_id=ID,
        icon_=Str(100),
        text_=plain(75),
        value=Str(2000),
        confirm=CONFIRM,
        accessibility_label=Str(75),
        visible_to_user_ids=Free(),
    ),
}
INTERACTIVE = frozenset({*PRESSED, *CHOOSERS, *TYPED, *CONTEXT_ACTIONS})

LONG = 1_000_000  # where Slack states no limit of its own
_STYLED = Free()
_LEAF = ByType(
    {
        "text": shape(text_=Str(LONG), style=_STYLED),
        "link": shape(url_=Str(LONG), text=Str(LONG, 0), unsafe=Flag(), style=_STYLED),
        "emoji": shape(name_=ID, unicode=ID, skin_tone=Whole(), style=_STYLED),
        "user": shape(user_id_=ID, style=_STYLED),
        "usergroup": shape(usergroup_id_=ID, style=_STYLED),
        "channel": shape(channel_id_=ID, style=_STYLED),
        "broadcast": shape(range_=Choice(("here", "channel", "everyone")), style=_STYLED),
        "color": shape(value_=ID, style=_STYLED),
        "date": shape(timestamp_=Whole(), format_=Str(LONG), url=URL, fallback=Str(LONG), style=_STYLED),
    }
)
_SECTION = shape(elements_=Many(_LEAF, 0, LONG))
RICH_TEXT = ByType(
    {
        "rich_text_section": _SECTION,
        "rich_text_list": shape(
            elements_=Many(ByType({"rich_text_section": _SECTION}), 0, LONG),
            style_=Choice(("bullet", "ordered")),
            indent=Whole(),
            offset=Whole(),
            border=Whole(),
        ),
        "rich_text_preformatted": shape(elements_=Many(_LEAF, 0, LONG), border=Whole(), language=ID),
        "rich_text_quote": shape(elements_=Many(_LEAF, 0, LONG), border=Whole()),
    }
)

_BLOCKS: dict[str, Obj] = {
    "section": shape(
        text=text(3000),
        fields=Many(text(2000), 1, 10),
        expand=Flag(),
        accessory=ByType({"image": IMAGE_ELEMENT, **PRESSED, **CHOOSERS}),
    ),
    "header": shape(text_=plain(150)),
    "divider": shape(),
    "context": shape(elements_=Many(ByType({"image": IMAGE_ELEMENT, **text(3000).shapes}), 1, 10)),
    "actions": shape(elements_=Many(ByType({**PRESSED, **CHOOSERS}), 1, 25)),
    "context_actions": shape(elements_=Many(ByType(CONTEXT_ACTIONS), 1, 5)),
    "image": shape(image_url=URL, slack_file=Free(), alt_text_=Str(2000), title=plain(2000)),
    "markdown": shape(text_=Str(MARKDOWN_CHARS)),
    "rich_text": shape(elements_=Many(RICH_TEXT, 1, LONG)),
    "input": shape(
        label_=plain(2000),
        element_=ByType({**TYPED, **CHOOSERS}),
        hint=plain(2000),
        optional=Flag(),
        dispatch_action=Flag(),
    ),
}
BLOCKS = {kind: Obj({**block.keys, "block_id": ID}, block.required) for kind, block in _BLOCKS.items()}

_VIEW: dict[str, Rule] = {
    "blocks_": Free(),
    "private_metadata": Str(3000, 0),
    "callback_id": Str(255, 0),
    "external_id": Str(255, 0),
}
VIEWS = ByType(
    {
        "modal": shape(
            **_VIEW,
            title_=plain(24),
            submit=plain(24),
            close=plain(24),
            clear_on_close=Flag(),
            notify_on_close=Flag(),
            submit_disabled=Flag(),
        ),
        "home": shape(**_VIEW),
    }
)


def mistakes(rule: Rule, value: Any, at: str) -> Iterator[str]:
    """What is wrong with a value, in the words of Slack's `response_metadata.messages`; `at` is its JSON pointer."""
    match rule:
        case Str():
            yield from _string(rule, value, at)
        case Choice(words):
            if value not in words:
                yield error(f"must be one of: {', '.join(words)}", at)
        case Flag():
            if not isinstance(value, bool):
                yield error("must be a boolean", at)
        case Whole():
            if not isinstance(value, int) or isinstance(value, bool):
                yield error("must be an integer", at)
        case Free():
            if value is None:
                yield error("must not be null", at)
        case Obj():
            yield from _object(rule, value, at)
        case ByType(shapes):
            yield from _typed(shapes, value, at)
        case Many():
            yield from _array(rule, value, at)
        case _:
            assert_never(rule)


def error(words: str, at: str) -> str:
    """A mistake in blocks, in Slack's words."""
    return f"[ERROR] {words} [json-pointer:{at}]"


def _string(rule: Str, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield error("must be a string", at)
    elif len(value) > rule.high:
        yield error(f"must be less than {rule.high + 1} characters", at)
    elif len(value) < rule.low:
        yield error(f"must be more than {rule.low - 1} characters", at)


def _object(rule: Obj, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield error("must be an object", at)
        return
    for name in sorted(rule.required - value.keys()):
        yield error(f"missing required field: {name}", at)
    for name, inner in value.items():
        if name in rule.keys:
            yield from mistakes(rule.keys[name], inner, f"{at}/{name}")
        else:
            yield error(f"invalid additional property: {name}", at)


def _typed(shapes: Mapping[str, Obj], value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield error("must be an object", at)
    elif value.get("type") not in shapes:
        yield error(f"unsupported type: {value.get('type')} (allowed: {', '.join(shapes)})", f"{at}/type")
    else:
        rest = {name: inner for name, inner in value.items() if name != "type"}
        yield from _object(shapes[value["type"]], rest, at)


def _array(rule: Many, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield error("must be an array", at)
        return
    if len(value) > rule.high:
        yield error(f"no more than {rule.high} items allowed", at)
    if len(value) < rule.low:
        yield error(f"no fewer than {rule.low} items allowed", at)
    for number, item in enumerate(value):
        yield from mistakes(rule.of, item, f"{at}/{number}")


def block_mistakes(blocks: Sequence[Any], at: str = "/blocks") -> list[str]:
    """Everything wrong with the blocks of a message or view, their number and the markdown total excepted."""
    found = [words for number, block in enumerate(blocks) for words in _block(block, f"{at}/{number}")]
    ids = Counter(b["block_id"] for b in blocks if isinstance(b, dict) and isinstance(b.get("block_id"), str))
    return found + [error(f"`block_id` {name} already exists", at) for name, times in ids.items() if times > 1]


def markdown_chars(blocks: Sequence[Any]) -> int:
    """Characters in all markdown blocks together; Slack allows MARKDOWN_CHARS."""
    return sum(len(b["text"]) for b in blocks if isinstance(b, dict) and b.get("type") == "markdown" and "text" in b)


def view_mistakes(view: Any, kinds: Sequence[str]) -> list[str]:
    """Everything wrong with a view that is to be of one of these kinds: `modal`, `home`."""
    if isinstance(view, dict) and view.get("type") not in (*kinds, None):
        return [error(f"must be of type {' or '.join(kinds)}", "/view/type")]
    found = list(mistakes(VIEWS, view, "/view"))
    if found:
        return found
    blocks = view["blocks"]
    if not isinstance(blocks, list):
        return [error("must be an array", "/view/blocks")]
    if len(blocks) > VIEW_BLOCKS:
        found.append(error(f"no more than {VIEW_BLOCKS} items allowed", "/view/blocks"))
    asks = any(block.get("type") == "input" for block in blocks if isinstance(block, dict))
    if view["type"] == "modal" and asks and "submit" not in view:
        found.append(error("`submit` is required when an input block is present", "/view"))
    return found + block_mistakes(blocks, "/view/blocks")


def view_bytes(view: Any) -> int:
    """The size of a view as it is counted: as UTF-8."""
    return len(json.dumps(view, ensure_ascii=False).encode())


def _block(block: Any, at: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield error("must be an object", at)
        return
    kind = block.get("type")
    if kind in BLOCKS:
        own = [*_typed(BLOCKS, block, at), *_together(block, at)]
        if own:
            yield from own
            return
    yield from _library(block, at)


def _together(block: Mapping[str, Any], at: str) -> Iterator[str]:
    """Rules about several keys at once."""
    kind = block["type"]
    if kind == "section" and not ("text" in block or "fields" in block):
        yield error("must define either `text` or `fields`", at)
    if kind == "image" and not ("image_url" in block or "slack_file" in block):
        yield error("must define either `image_url` or `slack_file`", at)
    elements = block.get("elements")
    if kind in ("actions", "context_actions") and isinstance(elements, list):
        ids = Counter(e.get("action_id") for e in elements if isinstance(e, dict) and e.get("action_id"))
        for name, times in ids.items():
            if times > 1:
                yield error(f"`action_id` {name} already exists for another element", f"{at}/elements")


def _library(block: dict[str, Any], at: str) -> Iterator[str]:
    """slack_sdk's own validation: the only one for blocks that have no shape above (table, plan, card ...)."""
    try:
        parsed = Block.parse(block)
        if parsed is None:
            yield error(f"unsupported type: {block.get('type')}", at)
        else:
            parsed.to_dict()
    # It was written for objects built in Python: a wrong JSON type surfaces as one of the latter two.
    except (SlackObjectFormationError, TypeError, AttributeError) as wrong:
        yield error(str(wrong), at)
