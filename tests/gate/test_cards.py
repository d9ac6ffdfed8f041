"""Cards show all of a request and nothing else; answers notify nobody, fetch nothing, lose nothing and cannot pass for a card."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock

from base.markdown import harmless
from catalog.bad_call import BadCall
from catalog.calls import MAX_ARGUMENTS, parse_arguments, resolve
from catalog.catalog import load_catalog
from catalog.rules import Rule
from emulator import limits
from gate.card_blocks import readable
from gate.card_modals import deny_modal, notice_modal, whole_request
from gate.cards import CardRow, batch_card, card, changed_text, target_card
from gate.home_cards import home_blocks
from gate.policy import State
from gate.target_diff import ItemStep, Target
from tests.harness.cases import case

Blocks = list[dict[str, Any]]
TOKEN = "0123456789abcdef" * 2
FINGERPRINT = "0f" * 32
ON_CARD = 11_600  # characters of a laid-out body that the card itself shows; more is behind "Show all"
TITLE = "🔐 Approval needed"


def row(body: str | None = None, url: str = "https://hr/users/7", **more: Any) -> CardRow:
    return CardRow(
        **{
            "token": TOKEN,
            "state": State.PENDING,
            "method": "PUT",
            "shown_url": url,
            "shown_body": body,
            "asker": "U0ANN",
            "fingerprint": FINGERPRINT,
            "why": "",
            "rule": Rule(),
            "before": None,
            "expires_at": 2e9,
        }
        | more
    )


def pages(given: CardRow) -> list[dict[str, Any]]:
    """The modal's pages from the first on, as "Next" turns them."""
    found = [whole_request(given, 0)]
    while "page_on" in {button["action_id"] for button in buttons(found[-1]["blocks"])}:
        found.append(whole_request(given, len(found)))
    return found


def plain(blocks: Blocks) -> list[str]:
    """The texts of a message or modal that come from the stored request: its sections."""
    return [block["text"]["text"] for block in blocks if block["type"] == "section"]


def is_cut(blocks: Blocks) -> bool:
    return "show" in {button["action_id"] for button in buttons(blocks)}


def request_shown(given: CardRow) -> str:
    """Method, URL and body as people can read them: on the card, or, where that is cut, on the modal's pages joined."""
    _, blocks = card(given)
    views = [view["blocks"] for view in pages(given)] if is_cut(blocks) else [blocks]
    return "".join(section.removeprefix("… ") for one in views for section in plain(one))


def body_shown(given: CardRow) -> str:
    """The body; in the modal the change stands behind it."""
    head = f"{given.method} {given.shown_url}"
    shown = request_shown(given)
    assert head in shown, "the whole method and URL"
    return shown.partition(head)[2]


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


def all_within_limits(given: CardRow, rows: int = 1) -> None:
    """The card, every view that can be opened from it, and what shows `rows` such requests at once."""
    held_to_limits(*card(given), updates=True)
    for view in [*pages(given), deny_modal(given)]:
        limits.check("views.open", {"trigger_id": "1.2.x", "view": view})
    home = home_blocks([given] * rows, [given] * rows, [f"{given.method} {given.shown_url}: d"] * rows, "how")
    limits.check("views.publish", {"user_id": "U0ANN", "view": {"type": "home", "blocks": home}})
    held_to_limits(*batch_card([given] * rows, TOKEN), updates=True)


# --- the whole request ------------------------------------------------------------------------------------------------


def test_a_card_shows_who_asks_what_who_decides_and_until_when() -> None:
    text, blocks = card(row('{"name":"Ann"}', why="Because & so."))
    assert blocks[0]["text"]["text"] == TITLE
    assert plain(blocks) == ["PUT https://hr/users/7", '{\n  "name": "Ann"\n}']
    assert mrkdwn(blocks)[0] == (
        "Asked by <@U0ANN> · <@U0ANN> may decide · "
        "expires <!date^2000000000^{date_short_pretty} {time}|at 2000000000> · fingerprint `0f0f0f0f0f0f`"
    )
    assert mrkdwn(blocks)[1] == "Because &amp; so."
    assert text == f"{TITLE}: PUT https://hr/users/7"


def test_a_card_shows_the_headers_of_a_request_and_how_its_body_travels() -> None:
    given = row('{"a":1}', headers='{"X-Region":"eu","X-Why":"\\u202e so"}', body_type="form")
    all_within_limits(given)
    for blocks in (card(given)[1], pages(given)[0]["blocks"]):
        assert plain(blocks)[0] == "PUT https://hr/users/7\nX-Region: eu\nX-Why: \\u202e so"
        assert "Sent as a form (application/x-www-form-urlencoded):" in mrkdwn(blocks)


def test_a_card_shows_which_names_were_turned_into_which_ids() -> None:
    found = [
        {"name": "user_id", "value": "Ann Lee", "id": "7", "fields": ["<!channel> *x* \u202e", "ann@example.com"]},
        {"name": "team", "value": "x" * 5_000, "id": "b", "fields": []},
    ]
    given = row('{"a":1}', matched=json.dumps(found))
    all_within_limits(given, rows=20)
    for blocks in (card(given)[1], pages(given)[0]["blocks"]):
        (shown,) = (one for one in plain(blocks) if one.startswith("user_id: "))
        first, second = shown.split("\n")
        assert first == 'user_id: 7, found for "Ann Lee" ("<!channel> *x* \\u202e", "ann@example.com")'
        assert second.startswith('team: b, found for "xxx')
        assert len(second) < 300
        assert "Looked up for this request:" in mrkdwn(blocks)
    home = home_blocks([given], [], ["d"], "how")
    assert "user_id: 7, found for" in json.dumps(home)
    assert "Looked up" not in json.dumps(card(row())[1])


def test_what_an_earlier_version_looked_up_is_a_line_as_well() -> None:
    given = row('{"a":1}', matched=json.dumps(["user_id: Ann\n(ann@example.com) is 7" + "x" * 5_000 + " is 8"]))
    (shown,) = (one for one in plain(card(given)[1]) if one.startswith("user_id: "))
    assert shown.startswith(r"user_id: Ann\n(ann@example.com) is 7")
    assert shown.endswith(" is 8")
    all_within_limits(given, rows=20)


def test_a_request_without_a_body_says_nothing_of_how_it_travels() -> None:
    assert not [line for line in mrkdwn(card(row(None, body_type="form"))[1]) if "Sent as" in line]


def test_a_card_says_who_may_decide() -> None:
    cases: list[tuple[Rule, str]] = [
        (Rule(("U0BEN",)), "<@U0BEN> may decide"),
        (Rule(("S0LEADS", "asker")), "<!subteam^S0LEADS> or <@U0ANN> may decide"),
        (Rule(("S0LEADS", "asker"), not_asker=True), "<!subteam^S0LEADS> (not the asker) may decide"),
        (Rule(("anyone-in-channel",)), "anyone in this channel may decide"),
        (Rule(("@gone",)), "@gone may decide"),
        (Rule(("S0LEADS",), quorum=2), "2 votes needed, so far: <@U0BEN>"),
    ]
    for rule, words_ in cases:
        assert words_ in mrkdwn(card(row("{}", rule=rule, votes=("U0BEN",)))[1])[0], rule


def test_a_request_without_a_body_says_so() -> None:
    assert plain(card(row(None))[1]) == ["PUT https://hr/users/7", "(no body)"]


def test_a_body_that_says_that_there_is_no_body_looks_different() -> None:
    assert plain(card(row(json.dumps(["(no body)"])))[1])[1] != "(no body)"


def test_every_character_of_a_long_url_is_on_the_card() -> None:
    """The end of a URL may be what matters: ...&force=true."""
    for length in (10, 2_890, 3_001, 8_192, 17_000):
        with case(length):
            url = "https://hr/users/" + "x" * length + "?force=true"
            given = row("{}", url=url)
            assert "".join(one.removeprefix("… ") for one in plain(card(given)[1])).count(f"PUT {url}") == 1
            all_within_limits(given, rows=32)


def test_every_character_of_a_long_body_can_be_read() -> None:
    for length in (10, 2_850, 2_950, 11_000, 11_600, 12_000, 50_000, MAX_ARGUMENTS):
        with case(length):
            body = json.dumps({"text": "".join(chr(97 + i % 26) for i in range(length)), "end": "of the body"})
            given = row(body)
            assert json.loads(body_shown(given)) == json.loads(body)
            all_within_limits(given)


@pytest.mark.parametrize("length", [ON_CARD, ON_CARD + 1])
def test_a_body_that_is_cut_says_so_and_the_rest_is_behind_show_all(length: int) -> None:
    given = row(json.dumps(["x" * (length - len(readable('[""]')))]))
    assert len(readable(given.shown_body or "")) == length
    _, blocks = card(given)
    told = f"\n... 1 of {length:,} characters are left out here. Show all has them ...\n"
    assert is_cut(blocks) is (length > ON_CARD)
    assert (told in "".join(plain(blocks))) is (length > ON_CARD)


def test_the_end_of_a_body_that_is_cut_is_on_the_card() -> None:
    """Elsewhere a trailing "cascade": true was invisible, and was approved."""
    given = row(json.dumps({"text": "x" * 100_000, "cascade": True}))
    assert "".join(plain(card(given)[1])).endswith('"cascade": true\n}')


def test_pages_are_numbered_name_the_request_and_turn_both_ways() -> None:
    views = pages(row(json.dumps({"text": "x" * 100_000})))
    assert len(views) > 2
    for i, view in enumerate(views):
        assert mrkdwn(view["blocks"])[0] == f"Page {i + 1} of {len(views)} · fingerprint `0f0f0f0f0f0f`"
        assert view["private_metadata"] == str(i)
        names = [button["action_id"] for button in buttons(view["blocks"])]
        assert names == ["page_back"] * (i > 0) + ["page_on"] * (i + 1 < len(views))
        assert {button["value"] for button in buttons(view["blocks"])} == {TOKEN}


@pytest.mark.parametrize("page", [-5, 999])
def test_a_page_that_is_not_there_is_the_nearest(page: int) -> None:
    given = row(json.dumps({"text": "x" * 100_000}))
    assert whole_request(given, page) == pages(given)[0 if page < 0 else -1]


def test_a_section_is_never_folded_away() -> None:
    """Without `expand` Slack may hide the rest of a long section behind "see more"."""
    given = row(json.dumps({"t": "line\n" * 300}))
    for blocks in (card(given)[1], *(view["blocks"] for view in pages(given))):
        assert all(block.get("expand") is True for block in blocks if block["type"] == "section")


# --- before and after -------------------------------------------------------------------------------------------------


def before(data: object, status: int = 200) -> str:
    return Target("https://hr/users/7", status, data).to_json()


def test_the_change_is_a_line_per_field_old_and_new() -> None:
    given = row('{"name":"Ann","age":8}', before=before({"id": 7, "name": "Ann", "age": 7}))
    assert plain(card(given)[1])[0] == "age: 7 → 8\nid: 7 (not in the request)"


def test_a_change_of_many_fields_is_cut_on_the_card_and_whole_in_the_modal() -> None:
    old, new = ({f"field_{i}": f"{word} {i}" for i in range(40)} for word in ("old", "new"))
    given = row(json.dumps(new), before=before(old))
    _, blocks = card(given)
    assert is_cut(blocks)
    assert "... and 28 more lines. Show all has them." in "".join(plain(blocks))
    whole = "".join(section for view in pages(given) for section in plain(view["blocks"]))
    assert all(f'field_{i}: "old {i}" → "new {i}"' in whole for i in range(40))


def test_a_long_old_value_is_cut_in_its_middle_on_the_card_and_whole_in_the_modal() -> None:
    bio = "b" * 200 + "the middle" + "b" * 200 + "the end"
    given = row(None, method="DELETE", before=before({"bio": bio}))
    _, blocks = card(given)
    assert is_cut(blocks)
    assert "bbb … 419 characters in all … bbb" in "".join(plain(blocks))
    assert "the end" in "".join(plain(blocks))
    assert "the middle" not in "".join(plain(blocks))
    assert f'bio: "{bio}"' in "".join(section for view in pages(given) for section in plain(view["blocks"]))


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
    "🔐",
    TITLE,
    "(no body)",
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


def test_what_cannot_be_seen_is_shown_as_its_escape() -> None:
    for hidden in HIDING:
        with case(hidden):
            body = json.dumps({f"na{hidden}me": f"Ann{hidden}"}, ensure_ascii=False)
            shown = readable(body)
            assert hidden not in shown
            assert json.loads(shown) == json.loads(body)


def test_marks_that_pile_up_over_other_lines_are_shown_as_their_escapes() -> None:
    """Two hundred accents on one letter paint a bar over the whole card."""
    body = json.dumps({"name": "a" + "\u0301" * 200, "keycap": "1\u20dd"}, ensure_ascii=False)
    shown = readable(body)
    assert "\u0301" * 4 not in shown
    assert "\u20dd" not in shown
    assert json.loads(shown) == json.loads(body)
    assert "\u0301" * 4 not in harmless("a" + "\u0301" * 200)


def test_the_marks_that_scripts_need_are_shown() -> None:
    for word in ("Nguye\u0302\u0303n", "ก็ที่", "הָאָֽרֶץ", "नमस्ते", "ສະບາຍດີ"):
        with case(word):
            assert word in readable(json.dumps([word], ensure_ascii=False))
            assert harmless(word) == word


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


@given(body=BODIES)
def test_the_card_or_its_pages_show_exactly_what_is_stored(body: object) -> None:
    """With JSON's escapes undone, what people read is the stored body, character for character; nothing in it stays unseen."""
    url = "/users/7"
    try:
        call = resolve(CATALOG, {"method": "PUT", "url": url, "body": body})
    except BadCall:
        return
    assert call.body is not None
    given = row(call.shown_body, url=call.shown_url)
    shown = body_shown(given)
    assert json.dumps(json.loads(shown), ensure_ascii=False, separators=(",", ":")) == call.body
    assert all(c == "\n" or c == " " or unicodedata.category(c)[0] not in "CZ" for c in shown)
    _, blocks = card(given)
    assert mrkdwn(blocks) == mrkdwn(card(row("{}"))[1])
    assert {button["value"] for button in buttons(blocks)} == {TOKEN}
    all_within_limits(given)


@given(old=BODIES | HOSTILE, body=BODIES, method=st.sampled_from(["PUT", "PATCH", "DELETE"]))
def test_nothing_in_a_target_hides_anything_or_breaks_the_card(old: object, body: object, method: str) -> None:
    """The target's words come from the API, or from whoever wrote them there."""
    given = row(json.dumps(body), method=method, before=before(old))
    _, blocks = card(given)
    for text in "".join(plain(blocks)), "".join(section for view in pages(given) for section in plain(view["blocks"])):
        assert all(c == "\n" or c == " " or unicodedata.category(c)[0] not in "CZ" for c in text)
    assert {block["text"]["type"] for block in blocks if block["type"] == "section"} == {"plain_text"}
    ours = {"What is removed:", "What the request says about it:", "What changes:", "As it is now:"}
    assert set(mrkdwn(blocks)) <= {*mrkdwn(card(row("{}"))[1]), *ours}
    all_within_limits(given)
    text, blocks = target_card(given, Target.from_json(given.before))
    held_to_limits(text, blocks)
    assert {block["text"]["type"] for block in blocks if block["type"] == "section"} == {"plain_text"}


def test_long_names_of_fields_do_not_make_a_card_that_slack_refuses() -> None:
    """A name comes from the model or the API; a card that cannot be posted could not be decided."""
    given = row(json.dumps({f"{i}" * 20_000: i for i in range(9)}), before=before({"a": 1}))
    all_within_limits(given)


@pytest.mark.parametrize("depth", [1, 50, 100, 300, 500, 900])
def test_a_nested_body_that_may_be_called_can_be_shown(depth: int) -> None:
    try:
        call = resolve(
            CATALOG,
            parse_arguments(json.dumps({"method": "PUT", "url": "/users/7", "body": "[" * depth + "]" * depth})),
        )
    except BadCall:
        return
    assert json.loads(body_shown(row(call.shown_body))) == json.loads(call.body or "")


def test_a_line_break_in_a_value_is_not_a_line_break_on_the_card() -> None:
    assert readable('{"a":"x\\n\\"role\\": \\"admin\\""}').count("\n") == 2


def test_nothing_model_made_is_markup() -> None:
    """Sections are plain text; marked up are only our own words."""
    for trick in TRICKS:
        with case(trick):
            for state in State:
                given = row(
                    json.dumps({trick: trick}),
                    why="why",
                    state=state,
                    decided_by="U0BEN",
                    decided_at=1e9,
                    note=f"note {trick}",
                    reason=f"reason {trick}",
                    before=before({trick: trick}),
                )
                text, blocks = card(given)
                for view in [blocks, *(view["blocks"] for view in pages(given)), deny_modal(given)["blocks"]]:
                    for block in view:
                        if block["type"] in ("section", "header"):
                            assert block["text"]["type"] == "plain_text"
                    ours = r"<@U0(ANN|BEN)>|<!date\^\d+\^\{date_short_pretty\} \{time\}\|at \d+>"
                    assert "<" not in re.sub(ours, "", "".join(mrkdwn(view)))
                assert "<" not in text


def test_a_notice_is_plain_text() -> None:
    (block,) = notice_modal("<!channel> *x*")["blocks"]
    assert block["text"]["type"] == "plain_text"


# --- states -----------------------------------------------------------------------------------------------------------


def ended(state: State, **more: Any) -> CardRow:
    return row("{}", **{"state": state, "decided_by": "U0BEN", "decided_at": 1e9, "sent_at": 1e9, **more})


DECIDING = [("approve", "primary"), ("deny", "danger"), ("deny_reason", None)]


TITLES = {
    "pending": "🔐 Approval needed",
    "approved": "🔐 Approved",
    "sending": "🔐 Approved",
    "done": "🔐 Approved and done",
    "failed": "🔐 Approved, but it failed",
    "unknown": "🔐 Approved, outcome unknown",
    "rejected": "🔐 Denied",
    "expired": "🔐 Expired",
    "withdrawn": "🔐 Withdrawn",
    "stale": "🔐 Out of date",
}


def test_the_buttons_of_a_decision_are_there_while_pending_and_never_after() -> None:
    for state in list(State):
        with case(state):
            text, blocks = card(ended(state, status=200))
            found = [(b["action_id"], b.get("style"), b["value"]) for b in buttons(blocks)]
            assert found == ([(*one, TOKEN) for one in DECIDING] if state is State.PENDING else [])
            assert blocks[0]["text"]["text"] == TITLES[state]
            held_to_limits(text, blocks, updates=True)


def test_who_asked_can_withdraw_where_somebody_else_decides() -> None:
    names = [button["action_id"] for button in buttons(card(row("{}", rule=Rule(("U0BEN",))))[1])]
    assert names == ["approve", "deny", "deny_reason", "withdraw"]


def test_a_decided_card_carries_no_token() -> None:
    for state in [state for state in State if state is not State.PENDING]:
        assert TOKEN not in json.dumps(card(ended(state))), state


def test_only_an_unknown_outcome_with_a_target_can_be_checked() -> None:
    for state in State:
        names = [button["action_id"] for button in buttons(card(ended(state, before=before({})))[1])]
        assert ("check" in names) is (state is State.UNKNOWN)


def test_a_decided_card_says_who_when_and_what_came_of_it() -> None:
    cases: list[tuple[State, dict[str, Any], str]] = [
        (State.DONE, {"status": 204}, "Approved by <@U0BEN> {at} · The API answered 204 No Content"),
        (State.DONE, {"status": 200, "votes": ("U0ANN", "U0BEN")}, "Approved by <@U0ANN> and <@U0BEN> {at}"),
        (State.FAILED, {"status": 404}, "Approved by <@U0BEN> {at} · The API answered 404 Not Found"),
        (
            State.FAILED,
            {"note": "No <route>. Nothing was sent."},
            "Approved by <@U0BEN> {at}|No <route>. Nothing was sent.",
        ),
        (
            State.DONE,
            {"status": 202},
            "Approved by <@U0BEN> {at} · The API answered 202 Accepted: it may still be under way",
        ),
        (State.DONE, {"status": 207}, "Approved by <@U0BEN> {at} · The API answered 207 Multi-Status: some parts"),
        (
            State.DONE,
            {
                "status": 204,
                "moved": '[["messages","12","15"],["x",""," "],["a","1","2"],["b","1","2"],["c","1","2"],["d","1","2"]]',
            },
            "Approved by <@U0BEN> {at} · The API answered 204 No Content|Changed on its own meanwhile, so it did not count: "
            "messages (12 → 15), x ((nothing) →  ), a (1 → 2), b (1 → 2), c (1 → 2), ...",
        ),
        (State.UNKNOWN, {}, "Approved by <@U0BEN> {at} · Sent, no answer: it may or may not have happened."),
        (
            State.UNKNOWN,
            {"sent_at": None},
            "Approved by <@U0BEN> {at} · I was restored from a backup, so I don't know what became of this since. I won't send it.",
        ),
        (
            State.UNKNOWN,
            {"sent_at": None, "decided_by": None},
            "I was restored from a backup, so I don't know what became of this since. I won't send it. Please look before you ask again.",
        ),
        (State.REJECTED, {}, "Denied by <@U0BEN> {at}"),
        (
            State.REJECTED,
            {"reason": "not <him>\nApproved by *Ann*"},
            "Denied by <@U0BEN> {at}|reason: not <him>\\nApproved by *Ann*",
        ),
        (State.SENDING, {}, "Approved by <@U0BEN> {at} · being sent"),
        (
            State.STALE,
            {"note": changed_text([("job",), ("<b>",), ("at",)])},
            "Approved by <@U0BEN> {at} · Nothing was sent; a new card asks again."
            "|The target changed after the card was posted (job, at, ...).",
        ),
        (State.EXPIRED, {"decided_by": None}, "No decision in time. Nothing was sent."),
        (State.WITHDRAWN, {"decided_by": None}, "Nothing was sent."),
        (State.WITHDRAWN, {"decided_by": "U0ANN"}, "Withdrawn by <@U0ANN> {at} · Nothing was sent."),
    ]
    for state, more, ending in cases:
        with case(state, more):
            at = "<!date^1000000000^{date_short_pretty} {time}|at 1000000000>"
            *_, last = (block for block in card(ended(state, **more))[1] if block["type"] == "context")
            ours, *others = last["elements"]
            assert ours["type"] == "mrkdwn"
            assert "|".join([ours["text"].replace(at, "{at}"), *(one["text"] for one in others)]).startswith(ending)
            assert {one["type"] for one in others} <= {"plain_text"}


def test_the_fields_that_changed_are_named_where_their_names_are_plain() -> None:
    """So that an operator sees what to write under `ignore:`; the names are the API's."""
    cases: list[tuple[list[Any], str]] = [
        ([("job",)], " (job)."),
        ([("home", "city"), ("job",)], " (home.city, job)."),
        ([(one,) for one in "abcdefg"], " (a, b, c, d, e, ...)."),
        ([("job",), ("<!channel>",), ("x" * 90,)], " (job, ...)."),
        ([("members", ItemStep("7"), "role"), ("members", ItemStep("8"), "role")], " (members.role)."),
        ([("*",), (":tada:",)], "posted."),
        ([()], "posted."),
        ([], "posted."),
    ]
    for fields, named in cases:
        assert changed_text(fields).endswith(named), fields


def test_an_expired_a_withdrawn_and_a_denied_card_read_differently() -> None:
    endings = {state: card(ended(state)) for state in (State.EXPIRED, State.WITHDRAWN, State.REJECTED)}
    assert len({text for text, _ in endings.values()}) == 3
    assert len({mrkdwn(blocks)[-1] for _, blocks in endings.values()}) == 3


def test_the_request_stays_on_the_card_after_the_decision() -> None:
    given = row('{"a":1}', state=State.DONE, decided_by="U0BEN", decided_at=1e9, status=200)
    assert plain(card(given)[1]) == ["PUT https://hr/users/7", '{\n  "a": 1\n}']


def test_a_dry_run_stands_in_the_title() -> None:
    text, blocks = card(row("{}", dry_run=True))
    assert "dry run" in text
    assert "dry run" in blocks[0]["text"]["text"]


def test_a_set_has_one_button_while_all_wait_and_says_then_how_each_ended() -> None:
    rows = [row(f'{{"a":{i}}}', url=f"https://hr/users/{i}") for i in range(3)]
    _, blocks = batch_card(rows, "f" * 32)
    assert [(b["action_id"], b["value"], b["text"]["text"]) for b in buttons(blocks)] == [
        ("approve_all", "f" * 32, "Approve all 3")
    ]
    _, last = batch_card([ended(State.DONE, status=200), ended(State.REJECTED), rows[2]], "f" * 32)
    assert buttons(last) == []
    assert [line.rsplit(": ", 1)[1] for line in plain(last)[0].split("\n")] == ["done", "denied", "waiting"]


def test_what_is_left_of_a_set_can_be_approved_at_once_and_the_title_says_how_the_others_ended() -> None:
    rows = [row("{}", url=f"https://hr/users/{i}") for i in range(2)]
    text, blocks = batch_card([ended(State.REJECTED), *rows], "f" * 32)
    assert [(b["value"], b["text"]["text"]) for b in buttons(blocks)] == [("f" * 32, "Approve the other 2")]
    assert text == "🔐 3 requests: 1 denied, 2 waiting"
    ended_all = [ended(State.DONE, status=204), ended(State.FAILED, status=409), ended(State.FAILED)]
    assert batch_card(ended_all, "f" * 32)[0] == "🔐 3 requests: 1 done, 1 failed, 1 not sent"


def test_a_set_that_needs_several_votes_says_how_many_it_has() -> None:
    rows = [row("{}", rule=Rule(("U0BEN", "U0CAL"), quorum=2), votes=("U0BEN",)), row("{}")]
    lines = plain(batch_card(rows, "f" * 32)[1])[0].split("\n")
    assert [line.rsplit(": ", 1)[1] for line in lines] == ["waiting, 1 of 2 votes", "waiting"]


@pytest.mark.parametrize(("status", "title"), [(409, "but it failed"), (None, "but not sent")])
def test_a_failure_before_anything_left_reads_differently_from_a_no_of_the_api(status: int | None, title: str) -> None:
    text, blocks = card(ended(State.FAILED, status=status))
    assert title in text
    assert title in blocks[0]["text"]["text"]


# --- a look at the target ---------------------------------------------------------------------------------------------


def looked(method: str, body: str | None, data: Any, status: int = 200) -> list[str]:
    """What Check shows: its sections."""
    given = row(body, method=method, state=State.UNKNOWN, decided_by="U0BEN", decided_at=1e9)
    text, blocks = target_card(given, Target("https://hr/users/7", status, data))
    assert FINGERPRINT[:12] in text
    held_to_limits(text, blocks)
    return plain(blocks)


def test_a_look_says_what_of_the_request_is_not_to_be_seen_in_the_target() -> None:
    body = '{"job":"Lead","name":"Tom"}'
    assert (
        looked("PATCH", body, {"name": "Tom", "job": "Lead", "id": 7})[0]
        == "Nothing: the target looks like this already."
    )
    assert looked("PATCH", body, {"name": "Tom", "job": "Sales"})[0] == 'job: "Sales" → "Lead"'


def test_a_look_says_whether_what_was_to_be_removed_is_still_there() -> None:
    assert "404 Not Found" in looked("DELETE", None, {"error": "gone"}, 404)[0]
    assert looked("DELETE", None, {"name": "Tom"})[0] == 'name: "Tom"'


def test_a_look_at_an_api_that_fails_shows_what_it_said() -> None:
    assert looked("DELETE", None, {"error": "down"}, 500) == ['{\n  "error": "down"\n}']


# --- App Home ---------------------------------------------------------------------------------------------------------


def test_what_waits_shows_its_body_where_it_can_be_approved() -> None:
    given = row('{"job":"Lead"}')
    blocks = home_blocks([given], [], ["GET /users: d"], "how")
    assert plain(blocks)[0] == 'PUT https://hr/users/7\n{\n  "job": "Lead"\n}'
    assert "show" in {button["action_id"] for button in buttons(blocks)}


def test_app_home_offers_to_take_back_only_what_one_asked_for() -> None:
    given = row('{"job":"Lead"}', rule=Rule(("U0BEN",)))
    offered = [
        {button["action_id"] for button in buttons(home_blocks([given], [], ["GET /users: d"], "how", who))}
        for who in (given.asker, "U0BEN")
    ]
    assert [("withdraw" in one, "approve" in one) for one in offered] == [(True, True), (False, True)]


def test_a_long_url_in_app_home_hides_neither_body_nor_outcome() -> None:
    url = "https://hr/users/" + "x" * 8_000
    waiting, asked = row('{"job":"Lead"}', url=url), ended(State.FAILED, shown_url=url)
    shown = plain(home_blocks([waiting], [asked], ["GET /users: d"], "how"))
    assert '"job": "Lead"' in shown[0]
    assert shown[1].endswith(": not sent")
