"""Approval cards as blocks, drawn from the stored row alone. What the model made is plain text, never mrkdwn.

Limits: 50 blocks in a message, 25 buttons, 2,000 characters of a button's value (https://docs.slack.dev/reference/block-kit/blocks).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from base import words
from base.askers import app_of
from base.json_text import dumps, loads
from base.markdown import Block, escape
from base.statuses import status_text
from base.visible import field_name, key, middle, on_line, visible
from catalog.lookup import Matched
from catalog.rules import ANYONE, ASKER, Rule
from gate.card_blocks import (
    GOES_ON,
    SECTION,
    button,
    context_block,
    date,
    header_block,
    mrkdwn_text,
    plain_sections,
    plain_text,
    readable,
)
from gate.card_lines import CARD, CardLines, LineLimits, about, change_lines, from_to
from gate.policy import State
from gate.target_diff import Path, Target

_ON_CARD = 4 * SECTION  # characters of a body that the card itself shows; what is longer is in the modal
_NAMED = 20  # approvers that a card names
_NAMED_FIELDS = 5  # changed fields that it names
_MATCHED = 200  # characters of a value that was looked up, and of what was found
MOST_ABOUT = 1_200  # characters of what a request does and to what, where several are shown at once
_HEADER = 150


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
    description: str = ""  # the operation's, in the catalog's words
    tainted: bool = False  # the thread had seen data of the API or words of other people
    hidden: str = "[]"  # names of fields whose values are hidden in the shown body, a JSON list
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
    moved: str = "[]"  # what of the target moved by itself before it was sent: [field, old, new], a JSON list
    dry_run: bool = False  # drawn while the bot sent nothing: approving it must never send anything
    sent_at: float | None = None

    @cached_property
    def target(self) -> Target | None:
        """What it is about, as it was read for the card."""
        return Target.from_json(self.before)

    @property
    def about(self) -> list[str]:
        """What it does, and to what: a line each."""
        return about(self.description, self.target)

    def changes(self, bounds: LineLimits) -> CardLines:
        """What it would change."""
        body = loads(self.shown_body) if self.shown_body is not None else None
        return change_lines(
            self.method, self.target, body, hidden=json.loads(self.hidden), url=self.shown_url, bounds=bounds
        )


# --- the card ---------------------------------------------------------------------------------------------------------


def card(row: CardRow) -> tuple[str, list[Block]]:
    """The card of a proposal in its present state: (text for notifications, blocks). Buttons only while they can do something.

    First the thing: what is done, to what, what changes. Then the request as it is sent: method, URL, body.
    """
    title = _title(row) + (words.DRY_RUN_TITLE if row.dry_run else "")
    is_pending = row.state is State.PENDING
    change = row.changes(CARD)
    body, is_body_cut = _body_on_card(row)
    blocks = [header_block(title), *plain_sections("\n".join(row.about)), *matched_blocks(row), *change_blocks(change)]
    blocks += [*plain_sections(request_line(row)), *how_sent(row), *plain_sections(body)]
    if row.recipe:
        blocks.append(context_block(escape(words.RECIPE_STEP.format(step=row.recipe_step, recipe=row.recipe))))
    blocks.append(context_block(who_line(row)))
    if is_pending and (row.tainted or row.why):
        blocks.append(context_block(escape(" ".join([*([words.TAINTED] if row.tainted else []), row.why]).strip())))
    if not is_pending:
        blocks.append(ending_block(row))
    buttons = row_buttons(row, is_cut=change.is_cut or is_body_cut)
    blocks += [{"type": "actions", "elements": buttons}] if buttons else []
    request = f"{row.method} {row.shown_url}"
    said = " ".join([*row.about, f"({request})"]) if row.about else request
    return escape(middle(f"{title}: {said}", 2_000)), blocks


def _title(row: CardRow) -> str:
    if _is_unsent(row):
        return words.UNSENT_TITLE
    if _is_of_a_backup(row):
        return words.RESTORED_TITLE
    return words.TITLES_BY_STATUS[row.status or 0] if _is_half_done(row) else words.CARD_TITLES[row.state]


def _is_of_a_backup(row: CardRow) -> bool:
    """Whether nobody knows what became of it after the backup from which the bot was restored."""
    return row.state is State.UNKNOWN and row.sent_at is None


def _is_half_done(row: CardRow) -> bool:
    """Whether the API's 2xx does not say that all of it is done."""
    return row.state is State.DONE and row.status in words.TITLES_BY_STATUS


def change_blocks(change: CardLines) -> list[Block]:
    """What a request would change, with its heading."""
    heading = [context_block(change.heading)] if change.heading else []
    return [*heading, *plain_sections("\n".join(change.lines))]


def request_line(row: CardRow) -> str:
    """Method and URL, and below them the headers that the model chose; each on a line of its own."""
    headers = [f"{name}: {on_line(text)}" for name, text in json.loads(row.headers).items()]
    return "\n".join([f"{row.method} {row.shown_url}", *headers])


def matched_blocks(row: CardRow) -> list[Block]:
    """Which names of the request were turned into which ids."""
    lines = matched_lines(row)
    return [context_block(words.MATCHED), *plain_sections("\n".join(lines))] if lines else []


def matched_lines(row: CardRow) -> list[str]:
    """The same, a line each."""
    return [
        _matched_line(Matched(**one)) if isinstance(one, dict) else middle(on_line(one), 5 * _MATCHED)
        for one in json.loads(row.matched)  # in an earlier version they were lines
    ]


def _matched_line(one: Matched) -> str:
    """The id first: it is what is sent."""
    name = middle(field_name(one.name), _MATCHED)
    if one.is_hidden:
        return f"{name}: {words.HIDDEN_MATCH}"
    value, *fields = (
        middle(on_line(json.dumps(text, ensure_ascii=False)), _MATCHED) for text in (one.value, *one.fields)
    )
    more = f" ({middle(', '.join(fields), 3 * _MATCHED)})" if fields else ""
    return words.MATCHED_LINE.format(name=name, id=middle(key(one.id), _MATCHED), value=value, more=more)


def how_sent(row: CardRow) -> list[Block]:
    """How a body travels, where that is not as the JSON that is shown."""
    if row.shown_body is None or row.body_type == "json":
        return []
    said = words.SENT_AS_JSON.format(type=row.body_type) if row.body_type.endswith("json") else words.SENT_OTHERWISE
    return [context_block(words.SENT_AS.get(row.body_type, said))]


def _is_unsent(row: CardRow) -> bool:
    """Whether it was approved and failed before anything left."""
    return row.state is State.FAILED and row.status is None


def state_word(row: CardRow) -> str:
    """Where a request stands, in a word or two."""
    if _is_half_done(row):
        return words.STATES_BY_STATUS[row.status or 0]
    return words.UNSENT if _is_unsent(row) else words.STATES[row.state]


def _body_on_card(row: CardRow) -> tuple[str, bool]:
    """The body as the card shows it, its beginning and its end, and whether that is not all of it."""
    text = readable(row.shown_body) if row.shown_body is not None else words.NO_BODY
    if len(text) <= _ON_CARD:
        return text, False
    half = _ON_CARD // 2
    left_out = words.BODY_CUT.format(left=len(text) - 2 * half, whole=len(text))
    return f"{text[:half]} …\n{left_out}\n{GOES_ON}{text[-half:]}", True


def row_buttons(row: CardRow, *, is_cut: bool, to: str | None = None) -> list[Block]:
    """What can be done about a request; `to` is who alone sees it, if not everybody does."""
    if row.state is State.UNKNOWN and row.target is not None and row.target.url:
        return [button("check", words.CHECK, row.token)]
    if row.state is not State.PENDING:
        return []
    shown = [
        button("approve", words.APPROVE, row.token, "primary"),
        button("deny", words.DENY, row.token, "danger"),
        button("deny_reason", words.DENY_REASON, row.token),
    ]
    if row.rule.approvers != (ASKER,) and to in (None, row.asker) and not app_of(row.asker):
        shown.append(button("withdraw", words.WITHDRAW, row.token))
    if is_cut:
        shown.append(button("show", words.SHOW_ALL, row.token))
    return shown


def who_line(row: CardRow) -> str:
    """Who asked, who decides, until when, and by which short name people can tell the request from another."""
    parts = [f"Asked by {words.asker(row.asker)}"]
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
    nobody = rule.not_asker or app_of(asker)  # behind the word for who asked
    names = [_mention(one, asker) for one in rule.approvers if not (one == ASKER and nobody)]
    shown = names[:_NAMED] + ([words.MORE_PEOPLE.format(count=len(names) - _NAMED)] if len(names) > _NAMED else [])
    return " or ".join(shown) + (words.NOT_THE_ASKER if rule.not_asker else "")


def _mention(approver: str, asker: str) -> str:
    if approver == ASKER:
        return words.asker(asker)
    if approver == ANYONE:
        return "anyone in this channel"
    if approver.startswith("@"):
        return approver
    return f"<!subteam^{approver}>" if approver.startswith("S") else f"<@{approver}>"


def ending_block(row: CardRow) -> Block:
    """Who decided, when, and what came of it. What people or others wrote stands in plain text beside it."""
    parts = []
    if row.decided_by and row.decided_at:
        verb = words.VERBS.get(row.state, words.VERBS["approved"])
        by = row.votes if row.state is not State.REJECTED and row.votes else (row.decided_by,)
        parts.append(f"{verb} by {' and '.join(f'<@{one}>' for one in by)} {date(row.decided_at)}")
    parts += [came_of_it] if (came_of_it := _outcome(row)) else []
    plain = [f"{words.REASON}: {middle(on_line(row.reason), 1_000)}"] if row.reason else []
    plain += [middle(on_line(row.note), 1_000)] if row.note else []
    plain += _moved(row)
    said = [mrkdwn_text(" · ".join(parts) or words.NOT_SENT)] if parts or not plain else []
    return {"type": "context", "elements": [*said, *map(plain_text, plain)]}


def _outcome(row: CardRow) -> str:
    if row.state in (State.APPROVED, State.SENDING):
        return words.BEING_SENT
    if _is_of_a_backup(row):
        return words.RESTORED_OUTCOME
    if row.state in words.OUTCOMES:
        return words.OUTCOMES[row.state]
    if row.status is None:
        return ""
    answered = words.ANSWERED.format(status=status_text(row.status))
    return f"{answered}: {words.NOT_ALL[row.status]}" if _is_half_done(row) else answered


def _moved(row: CardRow) -> list[str]:
    """What moved by itself between the card and the sending, and so did not count."""
    moved = json.loads(row.moved)
    if not moved:
        return []
    cut = [[middle(on_line(text), 60) or words.NOTHING for text in one] for one in moved[:_NAMED_FIELDS]]
    lines = [f"{field} ({from_to(old, new)})" for field, old, new in cut]
    more = ["..."] if len(moved) > len(lines) else []
    return [words.MOVED.format(fields=", ".join([*lines, *more]))]


# --- several at once --------------------------------------------------------------------------------------------------


def batch_card(rows: Sequence[CardRow], batch: str) -> tuple[str, list[Block]]:
    """The one button for a set of proposals that was fixed when it was drawn; once they are decided, how each ended."""
    pending = sum(row.state is State.PENDING for row in rows)
    lines = [_batch_line(number, row) for number, row in enumerate(rows, start=1)]
    title = _batch_title(rows, pending)
    blocks = [header_block(title), *plain_sections("\n".join(lines))]
    if pending > 1:
        label = (words.APPROVE_ALL if pending == len(rows) else words.APPROVE_REST).format(count=pending)
        blocks.append({"type": "actions", "elements": [button("approve_all", label, batch, "primary")]})
    return escape(title), blocks


def _batch_title(rows: Sequence[CardRow], pending: int) -> str:
    if pending == len(rows):
        return words.BATCH_TITLE.format(count=pending)
    states = Counter(state_word(row) for row in rows)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    return middle(words.BATCH_LATER.format(count=len(rows), states=counted), _HEADER)


def _batch_line(number: int, row: CardRow) -> str:
    state = state_word(row)
    if row.state is State.PENDING and row.rule.quorum > 1:
        state += f", {words.VOTES_SO_FAR.format(votes=len(row.votes), quorum=row.rule.quorum)}"
    said = middle(" ".join(row.about), MOST_ABOUT)
    request = f"{row.method} {middle(row.shown_url, 500)} ({row.fingerprint[:12]}): {state}"
    return f"{number}. {said} · {request}" if said else f"{number}. {request}"


# --- when the target changed, or may have -----------------------------------------------------------------------------


def changed_text(changed: Iterable[Path], *, keys_of: str = "") -> str:
    """Why a card is out of date, with the first fields that changed; the API's names only where they are plain words.

    `keys_of`: the operation whose entry could say that such changes do not count, where that should be told.
    """
    named, more = _plain_names(changed)
    fields = f" ({', '.join([*named, *more])})" if named else ""
    keys = words.KEYS_TO_SET.format(operation=keys_of, fields=", ".join(named)) if keys_of and named else ""
    return words.TARGET_CHANGED.format(fields=fields) + keys


def _plain_names(changed: Iterable[Path]) -> tuple[list[str], list[str]]:
    """The first names that are plain words, as the catalog's keys take them, and a sign for others."""
    names = [".".join(step for step in path if isinstance(step, str)) for path in changed]
    plain = [name for name in dict.fromkeys(names) if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,60}", name)]
    return plain[:_NAMED_FIELDS], ["..."] if len(set(names)) > len(plain[:_NAMED_FIELDS]) else []


def target_card(row: CardRow, target: Target | None) -> tuple[str, list[Block]]:
    """What the target of a write with an unknown outcome looks like now, and what of the request is not to be seen in it."""
    named = {"method": row.method, "fingerprint": row.fingerprint[:12]}
    if target is None or target.problem:
        problem = on_line(target.problem) if target else words.NO_PREVIEW
        text = words.CHECK_FAILED.format(problem=problem, **named)
        return escape(text), [context_block(escape(text))]
    text = words.CHECKED.format(status=status_text(target.status or 0), **named)
    seen = replace(row, before=target.to_json(), method="PATCH" if row.method == "PUT" else row.method)
    blocks = [context_block(escape(text)), *plain_sections("\n".join(seen.about))]
    if target.is_known and (left := seen.changes(CARD)).lines:  # what a PUT left out, the API may have filled in itself
        blocks += [
            context_block(words.STILL_CHANGES.get(row.method, words.STILL_CHANGE)),
            *plain_sections("\n".join(left.lines)),
        ]
    shown = visible(dumps(target.data, ensure_ascii=False, indent=2))
    return escape(text), [*blocks, *plain_sections(middle(shown, _ON_CARD))]
