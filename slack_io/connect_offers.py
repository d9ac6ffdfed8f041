"""The line that asks somebody to connect an account, and its buttons, whose links are made when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from base import words
from base.markdown import Block, escape
from base.thread import Thread
from gate.cards import date
from store.connections import ConnectionAsked
from store.posts import Post, connect_offer, ephemeral, message
from store.store import Store
from store.turns import Turn

_BUTTON = 75  # characters of a button: https://docs.slack.dev/reference/block-kit/block-elements/button-element
LinkTo = Callable[[ConnectionAsked], str]  # the address that leads a person to connect; made for this one use


def no_link(_asked: ConnectionAsked) -> str:
    """Nobody can connect anything here."""
    raise ValueError("there is no address where accounts are connected")


def connect_text(apis: Sequence[str], reason: str, until: float) -> str:
    """What the asker of a question is told, escaped."""
    asked = words.CONNECT_ASK.format(apis=escape(" or ".join(apis)), until=date(until))
    return f"{escape(reason)} {asked}".strip()


def offer(store: Store, post: str, turn: Turn, apis: Sequence[str], text: str) -> Post:
    """Asks a turn's asker, and nobody else, to connect an account of one of these APIs."""
    is_direct, in_thread = Thread.from_key(turn.thread).is_direct, _is_in_thread(store, turn.turn, turn.thread)
    return connect_offer(post, turn.thread, turn.turn, turn.asker, text, apis, in_thread=in_thread, is_direct=is_direct)


def told_alone(store: Store, post: str, asked: ConnectionAsked, text: str) -> Post:
    """A line for the asker of a question alone, where it was asked."""
    if Thread.from_key(asked.thread).is_direct:
        return message(post, asked.thread, asked.turn, text)
    in_thread = _is_in_thread(store, asked.turn, asked.thread)
    return ephemeral(post, asked.thread, asked.turn, asked.who, text, in_thread=in_thread)


def _is_in_thread(store: Store, turn: str, thread: str) -> bool:
    """Where a question's asker looks. Slack shows a line for one person in no thread in which nothing stands yet:
    https://docs.slack.dev/reference/methods/chat.postEphemeral."""
    mention = store.mention_of(turn)
    return mention is None or mention.in_thread or store.has_spoken(thread)


def connect_button(api: str, url: str) -> Block:
    """A button that leads to where an account is connected. Slack opens its link, and tells of the press, too."""
    label = words.CONNECT.format(api=api)
    shown = label if len(label) <= _BUTTON else words.CONNECT_SHORT
    text = {"type": "plain_text", "text": shown, "emoji": False}
    return {"type": "button", "action_id": f"connect_{api}"[:255], "text": text, "url": url, "style": "primary"}


def offer_blocks(arguments: Mapping[str, Any], team: str, turn: str, thread: str, link_to: LinkTo) -> list[Block]:
    """A post of `connect_offer` as blocks, with links of its own."""
    offered = arguments["connect"]
    asked = [ConnectionAsked(team, offered["user"], api, turn, thread) for api in offered["apis"]]
    text = {"type": "mrkdwn", "text": arguments["text"][:3_000]}
    buttons = [connect_button(one.api, link_to(one)) for one in asked[:25]]
    return [{"type": "section", "text": text}, {"type": "actions", "elements": buttons}]
