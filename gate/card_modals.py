"""The modals around a card, drawn from the stored row like the card itself: all of a request, the reason of a denial, a question, a notice.

Limits: 100 blocks and 250 kB in all (https://docs.slack.dev/reference/methods/views.open).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from base import words
from base.markdown import Block
from base.visible import middle
from gate.card_blocks import SECTION, button, context_block, plain_sections, plain_text, readable
from gate.card_lines import WHOLE
from gate.cards import CardRow, change_blocks, how_sent, matched_blocks, request_line

_PAGE = 12  # sections of a modal's page: below 250 kB also where each character takes six bytes


def whole_request(row: CardRow, page: int) -> dict[str, Any]:
    """The modal with all of a request, page `page` (from 0; a page that is not there is the nearest)."""
    body = readable(row.shown_body) if row.shown_body is not None else words.NO_BODY
    change = row.changes(WHOLE)
    sections = [
        *plain_sections("\n".join(row.about)),
        *matched_blocks(row),
        *plain_sections(request_line(row)),
        *how_sent(row),
        *plain_sections(body),
    ]
    sections += change_blocks(change)
    pages = [sections[at : at + _PAGE] for at in range(0, len(sections), _PAGE)]
    page = max(0, min(page, len(pages) - 1))
    place = words.PAGE.format(page=page + 1, pages=len(pages), fingerprint=row.fingerprint[:12])
    blocks = [context_block(place), *pages[page]]
    turns = [button("page_back", words.BACK, row.token)] if page else []
    turns += [button("page_on", words.ON, row.token)] if page + 1 < len(pages) else []
    blocks += [{"type": "actions", "elements": turns}] if turns else []
    return _modal("whole_request", words.WHOLE_TITLE, blocks, state=str(page))


def deny_modal(row: CardRow) -> dict[str, Any]:
    """The modal that asks for the reason of a denial."""
    element = {"type": "plain_text_input", "action_id": "reason", "multiline": True, "max_length": 500}
    field = {"type": "input", "block_id": "reason", "label": plain_text(words.REASON_LABEL), "element": element}
    request = "\n".join([*row.about, f"{row.method} {middle(row.shown_url, 1_000)}"])
    view = _modal("deny_reason", words.DENY, [*plain_sections(request), field], state=row.token)
    return view | {"submit": plain_text(words.DENY)}


def confirm_modal(callback: str, title: str, text: str, do: str, state: str) -> dict[str, Any]:
    """A small modal that asks before something is done; `state` comes back with its submission."""
    blocks = [{"type": "section", "text": plain_text(text)}]
    view = _modal(callback, title, blocks, state=state)
    return view | {"submit": plain_text(do), "close": plain_text(words.CANCEL)}


def notice_modal(text: str) -> dict[str, Any]:
    """A modal that only says something: refusals in App Home, where there is no channel for an ephemeral message."""
    return _modal("notice", words.NOTICE_TITLE, [{"type": "section", "text": plain_text(middle(text, SECTION))}])


def _modal(callback: str, title: str, blocks: Sequence[Block], state: str = "") -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": callback,
        "title": plain_text(title),
        "close": plain_text(words.CLOSE),
        "blocks": list(blocks),
        "private_metadata": state,
    }
