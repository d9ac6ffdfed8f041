"""The messages that show proposals: each one's card, the card of a set, and both redrawn. What a card says is cards.py's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from base import words
from base.thread import Thread
from gate.cards import CardRow, batch_card, card
from gate.policy import State
from store.posts import Post, card_message, message, update
from store.proposal_record import Proposal

Ids = Callable[[], str]
_BEING_SENT = (State.APPROVED, State.SENDING)
_WAIT = 1.0  # seconds for which "being sent" waits for the outcome: most APIs have answered by then, and one change is shown


def card_row(proposal: Proposal) -> CardRow:
    """The columns that a card is drawn from."""
    return CardRow(**{name: getattr(proposal, name) for name in CardRow.__dataclass_fields__})


def card_posts(proposals: Sequence[Proposal], ids: Ids) -> list[Post]:
    """The messages that show pending proposals, and the one that offers to approve a set of them."""
    pending = [one for one in proposals if one.state is State.PENDING]
    says = [card_message(one.card, one.stands, one.turn, *card(card_row(one))) for one in pending]
    says += [_link(ids(), one) for one in pending if one.place]
    for batch in dict.fromkeys(one.batch for one in pending if one.batch):
        rows = [one for one in pending if one.batch == batch]
        text, blocks = batch_card([card_row(one) for one in rows], batch)
        says.append(card_message(_batch_post(batch), rows[0].stands, rows[0].turn, text, blocks))
    return says


def card_again(row: Proposal, ids: Ids) -> Post:
    """A proposal's card redrawn."""
    return update(ids(), row.stands, row.turn, row.card, *card(card_row(row)), wait=_wait(row))


def set_again(batch: str, rows: Sequence[Proposal], ids: Ids) -> Post:
    """A set's card redrawn from its rows."""
    text, blocks = batch_card([card_row(one) for one in rows], batch)
    wait = max(map(_wait, rows))
    return update(ids(), rows[0].stands, rows[0].turn, _batch_post(batch), text, blocks, wait=wait)


def _wait(row: Proposal) -> float:
    return _WAIT if row.state in _BEING_SENT else 0.0


def _link(post: str, row: Proposal) -> Post:
    """In a direct message, where others have to decide: where the card is."""
    text = words.ELSEWHERE_CARD.format(channel=Thread.from_key(row.place).channel, link="{link}")
    return replace(message(post, row.thread, row.turn, text), target=row.card)


def _batch_post(batch: str) -> str:
    """The id of the message with a set's button. It travels in the message's metadata, so it must not tell the button's value."""
    return hashlib.sha256(batch.encode()).hexdigest()[:32]
