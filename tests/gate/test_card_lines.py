"""Nothing that an API or the model wrote can forge a line of a card, hide in one, or be read as something else."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from base.visible import field_name, key, middle, on_line, title, visible
from catalog.lookup import Matched
from catalog.rules import Rule
from emulator import limits
from gate.card_lines import WHOLE, about, change_lines
from gate.card_modals import whole_request
from gate.cards import CardRow, batch_card, card, target_card
from gate.home_cards import home_blocks
from gate.naming import Name, name_of
from gate.policy import State
from gate.target_diff import Target
from tests.gate.test_cards import pages
from tests.harness.cases import case

NAMED = (Name("Tom", "id", "7"),)


def target(data: Any, **more: Any) -> Target:
    return Target("https://hr/users/7", 200, data, **{"names": NAMED} | more)


def lines(method: str, before: Any, body: Any = None, **more: Any) -> list[str]:
    return list(change_lines(method, target(before, **more), body).lines)


def row(body: Any = None, **more: Any) -> CardRow:
    return CardRow(
        **{
            "token": "0123456789abcdef" * 2, "state": State.PENDING, "method": "PATCH", "shown_url": "https://hr/users/7",
            "shown_body": json.dumps(body) if body is not None else None, "asker": "U0ANN", "fingerprint": "0f" * 32, "why": "",
            "rule": Rule(), "before": None, "expires_at": 2e9, "description": "Changes one.",
        } | more
    )  # fmt: skip


# --- one field is one line --------------------------------------------------------------------------------------------

BREAKS = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\n\n\n"]
HIDERS = [
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200d" * 180,
    "\ufeff",
    "\u00ad",
    "\t",
    "\u00a0",
    "\u3164",
    "\x00",
    "\x1b[2K",
    "a" + "\u0301" * 60,
    "\U000e0041",
]
MARKUP = [
    "<!channel>",
    "<@U0BEN>",
    "<https://evil|ok>",
    "`code`",
    "```",
    "*bold*",
    "_it_",
    ":warning:",
    ":closed_lock_with_key:",
    "&lt;",
    "> quote",
]
FORGED = [
    'role: "user" → "admin"', "Approved by", "Approved by Ben · The API answered 200 OK", "About: Ann, id 8", "What is removed:",
    "PUT https://hr/users/8", "🔐 Approved and done", "(nothing)", '", id 8', "→", "...", " ", "", "k" * 5_000, "Ann, id 8", "a.b", "0",
    "1e999",
    "9" * 400, '{"id": 8, "role": "admin"}', "аdmin", "７", "יוסי", "مدير 8",
]  # fmt: skip
HOSTILE = [*BREAKS, *HIDERS, *MARKUP, *FORGED]


def test_a_field_is_a_line_whatever_is_in_it() -> None:
    cases: list[tuple[str, Any, int]] = [
        ("PATCH", lambda bad: ({bad: 1}, {bad: 2}), 1),
        ("PATCH", lambda bad: ({"a": "x"}, {"a": bad}), 1),
        ("PATCH", lambda bad: ({"a": bad}, {"a": "x"}), 1),
        ("PATCH", lambda bad: ({"a": {bad: "x"}}, {"a": {bad: "y"}}), 1),
        ("PATCH", lambda bad: ({"a": [bad]}, {"a": [bad, bad]}), 1),
        ("PATCH", lambda bad: ({"a": [{"id": bad + "!", "n": 1}]}, {"a": [{"id": bad + "!", "n": 2}]}), 1),
        ("PATCH", lambda bad: ({"a": 1}, [{"op": "replace", "path": f"/{bad}", "value": bad}]), 1),
        ("PATCH", lambda bad: ({"a": 1}, [{"op": "move", "from": bad, "path": bad}]), 1),
        ("PUT", lambda bad: ({"a": 1, bad + "!": bad}, {"a": 2}), 2),
        ("DELETE", lambda bad: ({bad: bad, "last": 1}, None), 2),
        ("DELETE", lambda bad: (bad, None), 1),
    ]
    for method, shape, count in cases:
        with case(method, shape):
            for bad in HOSTILE:
                before, body = shape(bad)
                found = lines(method, before, body)
                assert len(found) == count, ascii(bad)
                for line in found:
                    held(line)


def held(line: str) -> None:
    """One line, all of it to be seen, not too long for a card."""
    assert "\n" not in line
    assert len(line) < 1_500
    assert all(c == " " or unicodedata.category(c)[0] not in "CZ" for c in line)
    assert not re.search("[\u0300-\u036f]{4}", line)


def test_a_name_and_an_id_are_one_line_and_the_id_ends_it() -> None:
    for bad in HOSTILE:
        with case(bad):
            for name, data in (
                (Name(bad, "id", "7"), {"id": 7}),
                (Name("Tom", bad or "id", "7"), {"x": bad}),
                (Name("Tom", "id", bad or "7"), {"email": bad}),
            ):
                (first, second) = about("Changes one.", target(data, names=(name,)))
                assert first == "Changes one."
                assert second.startswith("About: ")
                held(second)


def test_what_could_be_more_than_a_name_stands_in_quotes() -> None:
    """A thing that is called 'Ann, id 8' is none with the id 8."""
    for bad in [one for one in HOSTILE if one.strip() and one not in ("9" * 400, "k" * 5_000)]:
        with case(bad):
            (line,) = about("", target({}, names=(Name(bad, "id", "7"),)))
            called, _, known = line.removeprefix("About: ").rpartition(", ")
            assert known == "id 7"
            assert re.fullmatch(r"[^\W\d_]+( [^\W\d_]+)*|[a-z]\.[a-z]", called) or (
                called[0] == called[-1] == '"' and len(called) > 1
            )


def test_a_name_of_letters_needs_no_quotes() -> None:
    cases: list[tuple[str, str]] = [
        ("Tom Berg", "Tom Berg"),
        ("Siobhan O'Connor", "Siobhan O'Connor"),
        ("J. R. Ewing-Smith", "J. R. Ewing-Smith"),
        ("Łukasz Żak", "Łukasz Żak"),
        ("李小龙", "李小龙"),
        ("יוסי כהן", "יוסי כהן"),
        ("Dr.", "Dr."),
        ("Room 7", '"Room 7"'),
        ("Tom, id 8", '"Tom, id 8"'),
        ("Tom id", '"Tom id"'),
        ("Tom: Approved", '"Tom: Approved"'),
        ("Tom  Berg", "Tom  Berg"),
        ("Tom          Berg", '"Tom          Berg"'),
        ('"Tom"', r'"\"Tom\""'),
        ("Tom\nBerg", r'"Tom\nBerg"'),
        ("Tom\u202eBerg", r'"Tom\u202eBerg"'),
    ]
    for plain, shown in cases:
        assert title(plain) == shown, plain


def test_a_fields_name_is_a_plain_word_or_in_quotes() -> None:
    cases: list[tuple[str, str]] = [
        ("job", "job"),
        ("first_name", "first_name"),
        ("@type", "@type"),
        ("$ref", "$ref"),
        ("x-rate", "x-rate"),
        ("größe", "größe"),
        ("_id", "_id"),
        ("a.b", '"a.b"'),
        ("Approved by", '"Approved by"'),
        ("a:", '"a:"'),
        ("", '""'),
        ("[id 7]", '"[id 7]"'),
        ("8", "8"),
        ("שם", r'"\u05e9\u05dd"'),
        ("a\nb", r'"a\nb"'),
        ('a": 1 → 2, "b', r'"a\": 1 → 2, \"b"'),
    ]
    for name, shown in cases:
        assert field_name(name) == shown, name


def test_an_id_that_looks_like_another_one_looks_different() -> None:
    """A full-width 7, a Cyrillic a."""
    cases: list[tuple[str, str]] = [
        ("7", "7"),
        ("ab-12_x.y:z", "ab-12_x.y:z"),
        ("group/project", "group/project"),
        ("tom@example.com", "tom@example.com"),
        ("７", r'"\uff17"'),
        ("аdmin", r'"\u0430dmin"'),
        ("7, id 8", '"7, id 8"'),
        ("7\u200b", r'"7\u200b"'),
        ("9" * 30, "9" * 30),
    ]
    for text, shown in cases:
        assert key(text) == shown, text


def test_between_texts_from_right_to_left_stands_a_word() -> None:
    """An arrow between two such texts is drawn with the texts changed over: the new value would be read as the old one."""
    for old, new in (("דן", "אבי"), ("مدير", 5), ("x", "דן"), (5, "٣")):
        (line,) = lines("PATCH", {"name": old}, {"name": new})
        assert line == f"name: {json.dumps(old, ensure_ascii=False)} becomes {json.dumps(new, ensure_ascii=False)}"
        (operation,) = lines("PATCH", {"name": old}, [{"op": "replace", "path": "/name", "value": new}])
        assert "→" not in operation
    assert lines("PATCH", {"name": "x"}, {"name": "y"}) == ['name: "x" → "y"']


# --- shortened in the middle ------------------------------------------------------------------------------------------


@given(text=st.text(min_size=1, max_size=400), limit=st.integers(60, 200))
def test_what_is_too_long_keeps_its_beginning_and_its_end(text: str, limit: int) -> None:
    short = middle(text, limit)
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
    else:
        assert short.startswith(text[:10])
        assert short.endswith(text[-10:])
        assert f" … {len(text):,} characters in all … " in short


def test_the_end_of_a_long_value_and_of_a_long_name_are_on_the_card() -> None:
    (line,) = lines("PATCH", {}, {"f" * 3_000 + "_admin": "x" * 3_000 + "; role=admin"})
    assert '_admin"' in line
    assert line.endswith('; role=admin"')


def test_a_looked_up_id_comes_first_and_nothing_can_hide_it() -> None:
    """180 invisible characters after a false id pushed the true one off the card."""
    false = "Ann is 8" + "\u200d" * 180 + "\n" * 50
    found = [Matched("user_id", false, "7", (false, "ann@example.com")), Matched("pin", is_hidden=True)]
    for given_ in (row(matched=json.dumps([vars(one) for one in found])),):
        shown = "\n".join(texts(card(given_)[1]))
        first, second = (line for line in shown.split("\n") if line.startswith(("user_id", "pin")))
        assert first.startswith('user_id: 7, found for "Ann is 8\\u200d\\u200d')
        assert second == "pin: looked up, hidden by the catalog"
        held(first)


def texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["text"]["text"] for block in blocks if block["type"] == "section"]


# --- the whole card ---------------------------------------------------------------------------------------------------

TEXT = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=8), max_size=6).map("".join)
DATA = st.recursive(
    TEXT | st.integers() | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT | st.sampled_from(["id", "name", "email"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    data=DATA, body=st.none() | DATA.filter(lambda one: isinstance(one, (dict, list))), name=st.builds(Name, TEXT, TEXT, TEXT),
    method=st.sampled_from(["PUT", "PATCH", "POST", "DELETE"]), role=st.sampled_from(["itself", "about", "several"]), text=TEXT,
    states=st.lists(st.sampled_from(State), min_size=3, max_size=3, unique=True),
)  # fmt: skip
def test_no_card_of_whatever_data_breaks_or_hides_anything(
    data: Any, body: Any, name: Name, method: str, role: Any, text: str, states: list[State]
) -> None:
    before = Target(
        "https://hr/users/7", 200, data, role=role, names=(name, name_of(data)), count=2, rest="some", missing=(text,)
    )
    given_ = row(
        body, method=method, before=before.to_json(), reason=text, note=text, description=text or "d",
        matched=json.dumps([vars(Matched(text, text, text, (text, text)))]), moved=json.dumps([[text, text, text]] * 9),
    )  # fmt: skip
    many = [given_] * 10
    shown = [card(given_), target_card(given_, before), batch_card(many, "f" * 32)]
    shown += [
        card(CardRow(**{**{k: getattr(given_, k) for k in CardRow.__dataclass_fields__}, "state": one}))
        for one in states
    ]
    for text_, blocks in shown:
        limits.check("chat.postMessage", {"channel": "C1", "text": text_, "blocks": blocks})
        seen(blocks)
    home = home_blocks(many, many, ["GET /users: d"], "how", links={given_.token: "https://x.slack.com/archives/C1/p1"})
    limits.check("views.publish", {"user_id": "U0ANN", "view": {"type": "home", "blocks": home}})
    seen(home)
    limits.check("views.open", {"trigger_id": "1.2.x", "view": whole_request(given_, 0)})


def seen(blocks: list[dict[str, Any]]) -> None:
    """All that others wrote is plain text in which nothing hides; marked up are our own words."""
    for block in blocks:
        for one in [block["text"]] if "text" in block else block.get("elements", ()):
            if one["type"] == "mrkdwn":
                rest = re.sub(
                    r"<@U0ANN>|<!date\^\d+\^\{date_short_pretty\} \{time\}\|at \d+>|<https://x\.slack\.com[^>]+>",
                    "",
                    one["text"],
                )
                assert "<" not in rest
            elif one["type"] == "plain_text":
                assert all(c in "\n " or unicodedata.category(c)[0] not in "CZ" for c in one["text"])


def test_no_long_value_can_begin_a_section_of_its_own() -> None:
    """A text that goes on in the next section of a card could pass for a line of it, if its length is chosen well."""
    for shift in range(0, 60, 7):
        with case(shift):
            forged = "About: Ann, id 8"
            value = "x" * shift + (" " * (60 - len(forged)) + forged) * 400
            for given_ in (
                row({"a": value}, before=target({"a": "y"}).to_json()),
                row({f"field_{n}": value[:110] for n in range(60)}, before=target({}).to_json()),
                row(None, method="DELETE", before=target({"a": value}).to_json(), description="d" * 3_000),
            ):
                views = [card(given_)[1], *(view["blocks"] for view in pages(given_))]
                for text in (text for blocks in views for text in texts(blocks)):
                    assert [line for line in text.split("\n") if line.lstrip(" ").startswith(forged)] == []


def test_the_modal_shows_values_whole() -> None:
    body = {"text": "x" * 20_000 + "the end"}
    (line,) = change_lines("PATCH", target({"text": "old"}), body, bounds=WHOLE).lines
    assert line == f'text: "old" → "{body["text"]}"'


def test_what_hides_in_a_line_is_written_out() -> None:
    assert on_line("a\nb\u202ec\u200dd") == r"a\nb\u202ec\u200dd"
    assert visible("a\nb") == "a\nb"
