"""The line that asks somebody to connect an account, and its buttons, whose links are made when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from base import words
from base.markdown import Block, escape
from base.thread import Thread
from gate.card_blocks import button, date
from identity.connecting import Code, NotConnectedNow, account_text
from identity.grants import Grant
from store.connections import ConnectionAsked, FailedTry, hashed
from store.posts import Post, connect_offer, ephemeral, message
from store.received import Mention
from store.store import Store
from store.turns import Turn

_MOST = 10  # APIs of one line
_FAILED = "connect/"  # how the ids of posts about failed tries begin
_MOST_FAILED = 20  # of these for one question; App Home has the last one in any case
_BUTTON = 75  # characters of a button: https://docs.slack.dev/reference/block-kit/block-elements/button-element
LeadTo = Callable[
    [ConnectionAsked], Code
]  # where a person connects, made for this one use; without a code it is typed nowhere


def no_lead(_asked: ConnectionAsked) -> Code:
    """Nobody can connect anything here."""
    raise ValueError("there is no way to connect accounts")


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
    return not isinstance(mention, Mention) or mention.in_thread or store.has_spoken(thread)


def connect_button(api: str, url: str) -> Block:
    """A button that leads to where an account is connected. Slack opens its link, and tells of the press, too."""
    label = words.CONNECT.format(api=api)
    shown = label if len(label) <= _BUTTON else words.CONNECT_SHORT
    text = {"type": "plain_text", "text": shown, "emoji": False}
    return {"type": "button", "action_id": f"connect_{api}"[:255], "text": text, "url": url, "style": "primary"}


def offer_blocks(arguments: Mapping[str, Any], team: str, turn: str, thread: str, lead_to: LeadTo) -> list[Block]:
    """A post of `connect_offer` as blocks, with links of its own. Raises `NoCredential` where a sign-in server gives no code now."""
    offered = arguments["connect"]
    asked = [ConnectionAsked(team, offered["user"], api, turn, thread) for api in offered["apis"][:_MOST]]
    leads = [(one.api, lead_to(one)) for one in asked]
    codes = [words.CONNECT_CODE.format(api=escape(api), code=escape(lead.code)) for api, lead in leads if lead.code]
    text = {"type": "mrkdwn", "text": "\n".join([arguments["text"], *codes])[:3_000]}
    buttons = [connect_button(api, lead.url) for api, lead in leads]
    buttons += [button("connect", words.CONNECT_NEW_CODE, turn)] if codes else []
    return [{"type": "section", "text": text}, {"type": "actions", "elements": buttons}]


class ConnectWords:
    """What is said in Slack of a connection, to its person alone, where the question waits."""

    def __init__(self, store: Store, ids: Callable[[], str]) -> None:
        self._store = store
        self._ids = ids

    def connected(self, asked: ConnectionAsked, grant: Grant, missing: Sequence[str]) -> list[Post]:
        """An account is there now; `missing`: scopes that were not granted."""
        if not asked.thread:
            return []
        said = words.CONNECTED.format(api=escape(asked.api), account=escape(account_text(grant)))
        if missing:
            said += " " + words.CONNECTED_IN_PART.format(missing=escape(", ".join(missing)))
        return [told_alone(self._store, self._ids(), asked, said)]

    def not_connected(self, error: NotConnectedNow) -> FailedTry | None:
        """Nothing was connected, and how to try again: told once for each try where a question waits for it, in App Home in any case; None
        where nobody knows whom to tell."""
        asked = error.asked
        if asked is None:
            return None
        turn = self._store.turn(asked.turn) if asked.turn else None
        says = (
            [self.again(turn, error.text_in_slack, f"{_FAILED}{hashed(error.key)[:32]}")]
            if self._is_to_tell(turn)
            else []
        )
        return FailedTry(asked, error.text_in_slack, says)

    def _is_to_tell(self, turn: Turn | None) -> TypeGuard[Turn]:
        """Whether a question waits; who has its asker's link, and fails without end, is not told of without end."""
        return _waits(turn) and self._store.count_posts(turn.turn, turn.thread, _FAILED) < _MOST_FAILED

    def again(self, turn: Turn, problem: str = "", post: str = "") -> Post:
        """Asks again for a question that waits."""
        apis, until = escape(" or ".join(turn.connects)), date(turn.connects_until or 0.0)
        text = words.CONNECT_AGAIN.format(problem=escape(problem), until=until, apis=apis).strip()
        return offer(self._store, post or self._ids(), turn, turn.connects, text)


def _waits(turn: Turn | None) -> TypeGuard[Turn]:
    return turn is not None and turn.connects_until is not None
