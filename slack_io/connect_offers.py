"""The line that asks somebody to connect an account, and its buttons, whose links are made when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from base import words
from base.markdown import Block, escape
from gate.cards import date
from store.connections import ConnectionAsked

_BUTTON = 75  # characters of a button: https://docs.slack.dev/reference/block-kit/block-elements/button-element
LinkTo = Callable[[ConnectionAsked], str]  # the address that leads a person to connect; made for this one use


def no_link(_asked: ConnectionAsked) -> str:
    """Nobody can connect anything here."""
    raise ValueError("there is no address where accounts are connected")


def connect_text(apis: Sequence[str], reason: str, until: float) -> str:
    """What the asker of a question is told, escaped."""
    asked = words.CONNECT_ASK.format(apis=escape(" or ".join(apis)), until=date(until))
    return f"{escape(reason)} {asked}".strip()


def connect_button(api: str, url: str) -> Block:
    """A button that leads to where an account is connected. Slack opens its link, and tells of the press, too."""
    label = words.CONNECT.format(api=api)
    shown = label if len(label) <= _BUTTON else words.CONNECT_SHORT
    text = {"type": "plain_text", "text": shown, "emoji": False}
    return {"type": "button", "action_id": f"connect_{api}"[:255], "text": text, "url": url, "style": "primary"}


def offer_blocks(arguments: Mapping[str, Any], team: str, turn: str, thread: str, link_to: LinkTo) -> list[Block]:
    """A post of `connect_offer` as blocks, with links of its own."""
    offer = arguments["connect"]
    asked = [ConnectionAsked(team, offer["user"], api, turn, thread) for api in offer["apis"]]
    text = {"type": "mrkdwn", "text": arguments["text"][:3_000]}
    buttons = [connect_button(one.api, link_to(one)) for one in asked[:25]]
    return [{"type": "section", "text": text}, {"type": "actions", "elements": buttons}]
