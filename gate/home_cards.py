"""Requests as App Home shows them: what waits for the person, and what the person asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from base import words
from base.markdown import Block
from base.visible import middle
from gate.card_blocks import SECTION, context_block, header_block, plain_sections, readable
from gate.card_lines import HOME
from gate.cards import MOST_ABOUT, CardRow, ending_block, matched_lines, row_buttons, state_word, who_line
from gate.policy import State

_HOME_ROWS = 10  # requests in each list of App Home
_BODY_IN_HOME = 600  # characters of a body there; Show all has the rest


def home_blocks(
    waiting: Sequence[CardRow],
    asked: Sequence[CardRow],
    operations: Sequence[str],
    how: str,
    to: str = "",
    links: Mapping[str, str] | None = None,
    *,
    more: int = 0,
    accounts: Sequence[Block] = (),
) -> list[Block]:
    """App Home of `to`: what waits for the person (with the buttons; `more` is how much of that is not among `waiting`), what the
    person asked for, the person's accounts, what can be asked. `links` lead to where a request stands, by its token."""
    if not operations:
        return [context_block(how)]
    blocks = [header_block(words.HOME_WAITING)]
    for row in waiting[:_HOME_ROWS]:
        blocks += [*plain_sections(_in_home(row)), context_block(" · ".join([who_line(row), *_link(row, links)]))]
        blocks.append({"type": "actions", "elements": row_buttons(row, is_cut=True, to=to)})
    more += len(waiting[_HOME_ROWS:])
    blocks += [context_block(words.HOME_MORE.format(count=more))] if more else []
    blocks += [] if waiting else [context_block(words.HOME_NOTHING)]
    blocks.append(header_block(words.HOME_ASKED))
    for row in asked[:_HOME_ROWS]:
        blocks += plain_sections(
            "\n".join([*_about_in_home(row), f"{row.method} {middle(row.shown_url, 1_000)}: {state_word(row)}"])
        )
        blocks += [ending_block(row)] if row.state is not State.PENDING else []
        blocks += [context_block(link) for link in _link(row, links)]
    blocks += [] if asked else [context_block(words.HOME_NOTHING_ASKED)]
    blocks += [header_block(words.HOME_ACCOUNTS), *accounts] if accounts else []
    return [
        *blocks,
        header_block(words.HOME_CAN),
        context_block(how),
        *plain_sections(middle("\n".join(operations), 3 * SECTION)),
    ]


def _link(row: CardRow, links: Mapping[str, str] | None) -> list[str]:
    link = (links or {}).get(row.token, "")
    return [f"<{link}|{words.OPEN_THREAD}>"] if link else []


def _about_in_home(row: CardRow) -> list[str]:
    said = middle("\n".join(row.about), MOST_ABOUT)
    return [said] if said else []


def _in_home(row: CardRow) -> str:
    """A waiting request as App Home shows it: what Approve would do and send, as far as there is room."""
    change = row.changes(HOME)
    request = f"{row.method} {middle(row.shown_url, SECTION // 3)}"
    body = [middle(readable(row.shown_body), _BODY_IN_HOME)] if row.shown_body is not None else []
    first = [*_about_in_home(row), *matched_lines(row), *([change.heading] if change.heading else []), *change.lines]
    return "\n".join([*([middle("\n".join(first), SECTION)] if first else []), request, *body])
