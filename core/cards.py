"""Approval cards and their modals as blocks, drawn from the stored row alone. What the model made stands in plain text, never in mrkdwn.

Limits: https://docs.slack.dev/reference/block-kit/blocks (section 3,000 characters, header 150, 25 buttons, button value 2,000),
50 blocks in a message, 100 in a modal and 250 kB in all (https://docs.slack.dev/reference/methods/views.open).
"""

from __future__ import annotations

import http
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import words
from core.change import GONE, Target, changes, untouched
from core.markdown import Block, escape, piled
from core.policy import ANYONE, ASKER, Rule, State

_SECTION = 2_900  # characters of one section, below Slack's 3,000
_ON_CARD = 4 * _SECTION  # characters of a body that the card itself shows; what is longer is in the modal
_CHANGES_ON_CARD = 12  # fields of the change that the card itself shows
_VALUE_ON_CARD = 120  # characters of one old or new value there
_PAGE = 12  # sections of a modal's page: below 250 kB also where each character takes six bytes
_NAMED = 20  # approvers that a card names
_NAMED_FIELDS = 5  # changed fields that it names
_HOME_ROWS = 10  # requests in each list of App Home
_BODY_IN_HOME = 600  # characters of a body there; Show all has the rest
_HEADER = 150
_DRAWN_AS_NOTHING = (
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters, marks and a symbol by category, yet blank
)


@dataclass(frozen=True)
class CardRow:
    """What a card is drawn from: columns of the stored proposal, nothing else. URL and body are those for people's eyes."""

    token: str
    state: State
    method: str
    shown_url: str
    shown_body: str | None
    asker: str
    fingerprint: str
    why: str
    rule: Rule
    before: str | None
    expires_at: float
    headers: str = "{}"
    body_type: str = "json"
    matched: str = "[]"
    recipe: str = ""  # whose last step it is
    recipe_step: int = 0
    votes: tuple[str, ...] = ()
    decided_by: str | None = None
    decided_at: float | None = None
    reason: str = ""
    status: int | None = None
    note: str = ""
    dry_run: bool = False  # drawn while the bot sent nothing: approving it must never send anything


# --- the card ---------------------------------------------------------------------------------------------------------


def card(row: CardRow) -> tuple[str, list[Block]]:
    """The card of a proposal in its present state: (text for notifications, blocks). Buttons only while they can do something."""
    title = words.UNSENT_TITLE if _is_unsent(row) else words.CARD_TITLES[row.state]
    title += words.DRY_RUN_TITLE if row.dry_run else ""
    is_pending = row.state is State.PENDING
    change, is_change_cut = _change_lines(row, limit=_CHANGES_ON_CARD)
    body, is_body_cut = _body_on_card(row)
    blocks = [_header(title), *_sections(_request_line(row)), *_matched(row), *_how_sent(row), *_sections(body)]
    if change:
        blocks += [_context(words.CHANGE_TITLE.get(row.method, words.CHANGES)), *_sections("\n".join(change))]
    if row.recipe:
        blocks.append(_context(escape(words.RECIPE_STEP.format(step=row.recipe_step, recipe=row.recipe))))
    blocks.append(_context(_who(row)))
    if is_pending and row.why:
        blocks.append(_context(escape(row.why)))
    if not is_pending:
        blocks.append(_context(_ending(row)))
    buttons = _buttons(row, is_cut=is_change_cut or is_body_cut)
    blocks += [{"type": "actions", "elements": buttons}] if buttons else []
    return escape(_fit(f"{title}: {row.method} {row.shown_url}", 2_000)), blocks


def _request_line(row: CardRow) -> str:
    """Method and URL, and below them the headers that the model chose; each on a line of its own."""
    headers = [f"{name}: {visible(text)}" for name, text in json.loads(row.headers).items()]
    return "\n".join([f"{row.method} {row.shown_url}", *headers])


def _matched(row: CardRow) -> list[Block]:
    """Which names of the request were turned into which ids."""
    lines = _matched_lines(row)
    return [_context(words.MATCHED), *_sections("\n".join(lines))] if lines else []


def _matched_lines(row: CardRow) -> list[str]:
    return [_fit(visible(line), _SECTION // 2) for line in json.loads(row.matched)]


def _how_sent(row: CardRow) -> list[Block]:
    """How a body travels, where that is not as the JSON that is shown."""
    if row.shown_body is None or row.body_type == "json":
        return []
    return [_context(words.SENT_AS.get(row.body_type, words.SENT_OTHERWISE))]


def _is_unsent(row: CardRow) -> bool:
    """Whether it was approved and failed before anything left."""
    return row.state is State.FAILED and row.status is None


def _state(row: CardRow) -> str:
    """Where a request stands, in a word or two."""
    return words.UNSENT if _is_unsent(row) else words.STATES[row.state]


def _body_on_card(row: CardRow) -> tuple[str, bool]:
    """The body as the card shows it, and whether that is not all of it."""
    text = readable(row.shown_body) if row.shown_body is not None else words.NO_BODY
    if len(text) <= _ON_CARD:
        return text, False
    return text[:_ON_CARD] + "\n" + words.BODY_CUT.format(shown=_ON_CARD, whole=len(text)), True


def _change_lines(row: CardRow, *, limit: int | None) -> tuple[list[str], bool]:
    """The target before and after, a line per field; and whether lines or values were cut."""
    before = Target.from_json(row.before)
    if before is None:
        return [], False
    if before.problem:
        return [words.TARGET_UNREAD.format(problem=before.problem)], False
    if before.status is not None and not 200 <= before.status < 300:
        told = words.TARGET_GONE if before.status in GONE else words.TARGET_STATUS
        return [told.format(status=status_text(before.status))], False
    body = json.loads(row.shown_body) if row.shown_body is not None else None
    found = changes(row.method, before.data, body)
    cap = _VALUE_ON_CARD if limit is not None else 10 * _SECTION
    lines = [_change_line(one.field, one.old, one.new, cap, one_sided=row.method == "DELETE") for one in found[:limit]]
    if limit is not None and len(found) > limit:
        lines.append(words.MORE_FIELDS.format(count=len(found) - limit))
    rest = untouched(before.data, body) if row.method == "PUT" else []
    if rest:
        lines.append(words.NOT_NAMED.format(fields=visible(_fit(", ".join(rest), 300))))
    cut = len(found) > len(found[:limit]) or any(len(text or "") > cap for one in found for text in (one.old, one.new))
    return lines or [words.NO_CHANGE], cut


def _change_line(field: str, old: str | None, new: str | None, cap: int, *, one_sided: bool) -> str:
    name = _fit(visible(field), 200)
    before, after = (_fit(visible(_fit(one, cap)), 3 * cap) if one is not None else words.NOTHING for one in (old, new))
    if one_sided:
        return f"{name}: {before}"
    return f"{name}: {before} {words.ARROW} {after}"


def _buttons(row: CardRow, *, is_cut: bool, to: str | None = None) -> list[Block]:
    """What can be done about a request; `to` is who alone sees it, if not everybody does."""
    if row.state is State.UNKNOWN and row.before is not None:
        return [button("check", words.CHECK, row.token)]
    if row.state is not State.PENDING:
        return []
    shown = [
        button("approve", words.APPROVE, row.token, "primary"),
        button("deny", words.DENY, row.token, "danger"),
        button("deny_reason", words.DENY_REASON, row.token),
    ]
    if row.rule.approvers != (ASKER,) and to in (None, row.asker):
        shown.append(button("withdraw", words.WITHDRAW, row.token))
    if is_cut:
        shown.append(button("show", words.SHOW_ALL, row.token))
    return shown


def button(action: str, label: str, value: str, style: str = "") -> Block:
    """A button. Its `value` is all that it carries: an opaque id."""
    text = {"type": "plain_text", "text": label, "emoji": False}
    return {"type": "button", "action_id": action, "text": text, "value": value} | ({"style": style} if style else {})


def confirmation(title: str, text: str, do: str) -> dict[str, Any]:
    """The small dialog with which Slack's client asks before a button counts."""
    return {
        "title": _plain_text(title),
        "text": _plain_text(text),
        "confirm": _plain_text(do),
        "deny": _plain_text(words.CANCEL),
    }


def _who(row: CardRow) -> str:
    """Who asked, who decides, until when, and by which short name people can tell the request from another."""
    parts = [f"Asked by <@{row.asker}>"]
    if row.state is State.PENDING:
        parts.append(f"{deciders(row.rule, row.asker)} {words.DECIDES}")
        if row.rule.quorum > 1:
            parts.append(
                words.VOTES.format(quorum=row.rule.quorum, votes=", ".join(f"<@{v}>" for v in row.votes) or "none yet")
            )
        parts.append(f"expires {date(row.expires_at)}")
    return " · ".join([*parts, f"fingerprint `{row.fingerprint[:12]}`"])


def deciders(rule: Rule, asker: str) -> str:
    """The approvers as mentions; those of a rule that Slack does not know stay words."""
    names = [_mention(one, asker) for one in rule.approvers if not (one == ASKER and rule.not_asker)]
    shown = names[:_NAMED] + ([words.MORE_PEOPLE.format(count=len(names) - _NAMED)] if len(names) > _NAMED else [])
    return " or ".join(shown) + (words.NOT_THE_ASKER if rule.not_asker else "")


def _mention(approver: str, asker: str) -> str:
    if approver == ASKER:
        return f"<@{asker}>"
    if approver == ANYONE:
        return "anyone in this channel"
    if approver.startswith("@"):
        return approver
    return f"<!subteam^{approver}>" if approver.startswith("S") else f"<@{approver}>"


def _ending(row: CardRow) -> str:
    """Who decided, when, and what came of it."""
    parts = []
    if row.decided_by and row.decided_at:
        verb = words.VERBS.get(row.state, words.VERBS["approved"])
        by = row.votes if row.state is not State.REJECTED and row.votes else (row.decided_by,)
        parts.append(f"{verb} by {' and '.join(f'<@{one}>' for one in by)} {date(row.decided_at)}")
    if row.reason:
        parts.append(f"{words.REASON}: {_fit(escape(_fit(visible(row.reason), 500)), 1_000)}")
    if row.state in (State.APPROVED, State.SENDING):
        parts.append(words.BEING_SENT)
    elif row.state in words.OUTCOMES:
        parts.append(words.OUTCOMES[row.state])
    elif row.status is not None:
        parts.append(words.ANSWERED.format(status=status_text(row.status)))
    if row.note:
        parts.append(escape(_fit(row.note, 500)))
    return " · ".join(parts) or "Nothing was sent."


# --- several at once --------------------------------------------------------------------------------------------------


def batch_card(rows: Sequence[CardRow], batch: str) -> tuple[str, list[Block]]:
    """The one button for a set of proposals that was fixed when it was drawn; once they are decided, how each ended."""
    pending = sum(row.state is State.PENDING for row in rows)
    lines = [_batch_line(number, row) for number, row in enumerate(rows, start=1)]
    title = _batch_title(rows, pending)
    blocks = [_header(title), *_sections("\n".join(lines))]
    if pending > 1:
        label = (words.APPROVE_ALL if pending == len(rows) else words.APPROVE_REST).format(count=pending)
        blocks.append({"type": "actions", "elements": [button("approve_all", label, batch, "primary")]})
    return escape(title), blocks


def _batch_title(rows: Sequence[CardRow], pending: int) -> str:
    if pending == len(rows):
        return words.BATCH_TITLE.format(count=pending)
    states = Counter(_state(row) for row in rows)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    return _fit(words.BATCH_LATER.format(count=len(rows), states=counted), _HEADER)


def _batch_line(number: int, row: CardRow) -> str:
    state = _state(row)
    if row.state is State.PENDING and row.rule.quorum > 1:
        state += f", {words.VOTES_SO_FAR.format(votes=len(row.votes), quorum=row.rule.quorum)}"
    return f"{number}. {row.method} {_fit(row.shown_url, 500)} ({row.fingerprint[:12]}): {state}"


# --- modals -----------------------------------------------------------------------------------------------------------


def whole_request(row: CardRow, page: int) -> dict[str, Any]:
    """The modal with all of a request, page `page` (from 0; a page that is not there is the nearest)."""
    body = readable(row.shown_body) if row.shown_body is not None else words.NO_BODY
    change, _ = _change_lines(row, limit=None)
    parts = [body, *([words.CHANGE_TITLE.get(row.method, words.CHANGES), "\n".join(change)] if change else [])]
    request = [*_sections(_request_line(row)), *_matched(row), *_how_sent(row)]
    sections = [*request, *(one for part in parts for one in _sections(part))]
    pages = [sections[at : at + _PAGE] for at in range(0, len(sections), _PAGE)]
    page = max(0, min(page, len(pages) - 1))
    place = words.PAGE.format(page=page + 1, pages=len(pages), fingerprint=row.fingerprint[:12])
    blocks = [_context(place), *pages[page]]
    turns = [button("page_back", words.BACK, row.token)] if page else []
    turns += [button("page_on", words.ON, row.token)] if page + 1 < len(pages) else []
    blocks += [{"type": "actions", "elements": turns}] if turns else []
    return _modal("whole_request", words.WHOLE_TITLE, blocks, state=str(page))


def deny_modal(row: CardRow) -> dict[str, Any]:
    """The modal that asks for the reason of a denial."""
    element = {"type": "plain_text_input", "action_id": "reason", "multiline": True, "max_length": 500}
    field = {"type": "input", "block_id": "reason", "label": _plain_text(words.REASON_LABEL), "element": element}
    view = _modal(
        "deny_reason", words.DENY, [*_sections(f"{row.method} {_fit(row.shown_url, 1_000)}"), field], state=row.token
    )
    return view | {"submit": _plain_text(words.DENY)}


def confirm_modal(callback: str, title: str, text: str, do: str, state: str) -> dict[str, Any]:
    """A small modal that asks before something is done; `state` comes back with its submission."""
    blocks = [{"type": "section", "text": _plain_text(text)}]
    view = _modal(callback, title, blocks, state=state)
    return view | {"submit": _plain_text(do), "close": _plain_text(words.CANCEL)}


def is_card(blocks: Sequence[Block]) -> bool:
    """Whether a message with these blocks is the card of a request, or of a set of them."""
    first = blocks[0] if blocks else {}
    return first.get("type") == "header" and str(first.get("text", {}).get("text", "")).startswith(words.LOCK)


def notice_modal(text: str) -> dict[str, Any]:
    """A modal that only says something: refusals in App Home, where there is no channel to whisper in."""
    return _modal("notice", words.NOTICE_TITLE, [{"type": "section", "text": _plain_text(_fit(text, _SECTION))}])


def _modal(callback: str, title: str, blocks: Sequence[Block], state: str = "") -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": callback,
        "title": _plain_text(title),
        "close": _plain_text(words.CLOSE),
        "blocks": list(blocks),
        "private_metadata": state,
    }


def home_blocks(
    waiting: Sequence[CardRow], asked: Sequence[CardRow], operations: Sequence[str], how: str, to: str = ""
) -> list[Block]:
    """App Home of `to`: what waits for the person (with the buttons), what the person asked for, what can be asked."""
    if not operations:
        return [_context(how)]
    blocks = [_header(words.HOME_WAITING)]
    for row in waiting[:_HOME_ROWS]:
        blocks += [*_sections(_in_home(row)), _context(_who(row))]
        blocks.append({"type": "actions", "elements": _buttons(row, is_cut=True, to=to)})
    if len(waiting) > _HOME_ROWS:
        blocks.append(_context(words.HOME_MORE.format(count=len(waiting) - _HOME_ROWS)))
    blocks += [] if waiting else [_context(words.HOME_NOTHING)]
    blocks.append(_header(words.HOME_ASKED))
    for row in asked[:_HOME_ROWS]:
        blocks += _sections(f"{row.method} {_fit(row.shown_url, _SECTION - 100)}: {_state(row)}")
        blocks += [_context(_ending(row))] if row.state is not State.PENDING else []
    blocks += [] if asked else [_context(words.HOME_NOTHING_ASKED)]
    return [*blocks, _header(words.HOME_CAN), _context(how), *_sections(_fit("\n".join(operations), 3 * _SECTION))]


def changed_text(fields: Sequence[str]) -> str:
    """Why a card is out of date, with the first fields that changed; the API's names only where they are plain words."""
    named = [field for field in fields if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,60}", field)][:_NAMED_FIELDS]
    more = ["..."] if len(fields) > len(named) else []
    return words.TARGET_CHANGED.format(fields=f" ({', '.join([*named, *more])})" if named else "")


def _in_home(row: CardRow) -> str:
    """A waiting request as App Home shows it: what Approve would send, as far as there is room."""
    head = f"{row.method} {_fit(row.shown_url, _SECTION - _BODY_IN_HOME - 100)}"
    head = "\n".join([head, *_matched_lines(row)])
    return head if row.shown_body is None else f"{head}\n{_fit(readable(row.shown_body), _BODY_IN_HOME)}"


def target_card(row: CardRow, target: Target | None) -> tuple[str, list[Block]]:
    """What the target of a write with an unknown outcome looks like now, and what of the request is not to be seen in it."""
    named = {"method": row.method, "fingerprint": row.fingerprint[:12]}
    if target is None or target.problem:
        text = words.CHECK_FAILED.format(problem=target.problem if target else words.NO_PREVIEW, **named)
        return escape(text), [_context(escape(text))]
    text = words.CHECKED.format(status=status_text(target.status or 0), **named)
    blocks = [_context(escape(text))]
    if target.is_known:
        seen = replace(row, before=target.to_json(), method="DELETE" if row.method == "DELETE" else "PATCH")
        left, _ = _change_lines(seen, limit=_CHANGES_ON_CARD)  # what a PUT left out, the API may have filled in itself
        blocks += [_context(words.STILL_CHANGES.get(row.method, words.STILL_CHANGE)), *_sections("\n".join(left))]
    shown = visible(_fit(json.dumps(target.data, ensure_ascii=False, indent=2), _ON_CARD))
    return escape(text), [*blocks, *_sections(shown)]


# --- pieces -----------------------------------------------------------------------------------------------------------


def readable(body: str) -> str:
    """A stored body laid out for reading, with nothing in it that could hide: invisible characters appear as JSON escapes."""
    laid_out = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    return visible(laid_out if len(laid_out) <= 3 * len(body) + 200 else body)


def visible(text: str) -> str:
    """`text` with every character that cannot be seen as itself, or would hide others, written as a JSON escape."""
    shown = ((c, c == "\n" or (_shows(c) and not is_piled)) for c, is_piled in piled(text))
    return "".join(c if is_shown else _escape_character(c) for c, is_shown in shown)


def _shows(character: str) -> bool:
    """Whether a character can be seen as itself: no control, format, surrogate, private or unassigned ones, no odd blanks."""
    if character == " ":
        return True
    if character in _DRAWN_AS_NOTHING or "VARIATION SELECTOR" in unicodedata.name(character, ""):
        return False
    return unicodedata.category(character)[0] not in "CZ"


def _escape_character(character: str) -> str:
    return json.dumps(character)[1:-1] if not character.isascii() else f"\\u{ord(character):04x}"


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _sections(text: str) -> list[Block]:
    """Plain text in as many sections as it takes."""
    parts = [text[at : at + _SECTION] for at in range(0, len(text), _SECTION)]
    return [
        {"type": "section", "text": _plain_text(part), "expand": True} for part in parts
    ]  # Slack folds no part of it


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _fit(text, _SECTION)}]}


def status_text(status: int) -> str:
    """`404 Not Found`."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def date(at: float) -> str:
    """A moment in each reader's own time zone: https://docs.slack.dev/messaging/formatting-message-text#date-formatting."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|at {int(at)}>"


def _fit(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
