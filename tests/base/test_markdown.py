"""Answers: what Slack would act on is made harmless, everything else comes out byte for byte; long ones are split and nothing is lost."""

from __future__ import annotations

import functools
import html
import random
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from base.markdown import TEXT_LIMIT, answer, beginning, escape, harmless
from base.markdown_map import read
from base.markdown_split import split
from slack_io.answer_posts import answer_posts
from tests.gate.test_cards import held_to_limits
from tests.harness.cases import case
from tests.harness.examples import times

TITLE = "🔐 Approval needed"
# Said again here, and not taken from the code: what Slack acts on, in the forms of its documents, and what looks like a card.
BELLS = re.compile(
    r"<\s*!\s*(?:channel|here|everyone|group)\b[^<>]*>|<\s*!(?:subteam|date)\^[^<>]*>|<\s*@\s*[UW][A-Z0-9]{2,}(?:\|[^<>]*)?>"
    r"|<\s*#\s*[CGD][A-Z0-9]+(?:\|[^<>]*)?>"
    r"|:(?:closed_)?lock(?:_with_\w+)?:|:unlock:|[🔏🔒🔓🔐]"
)

WORDS = re.compile(r"(?<![A-Za-z0-9.+-])@(?:channel|here|everyone|group)(?!_*[A-Za-z0-9]|[./-]\w)", re.IGNORECASE)


def undone(text: str) -> str:
    """A text with its entities undone, as who reads Markdown does: those that end in a semicolon."""
    return re.sub(r"&[#\w]+;", lambda found: html.unescape(found[0]), text)


# --- harmless ---------------------------------------------------------------------------------------------------------


def test_what_slack_acts_on_is_made_harmless() -> None:
    cases: list[tuple[str, str]] = [
        ("<!channel>", "@\u200bchannel"),
        ("<!here|here>", "@\u200bhere"),
        ("<!everyone>", "@\u200beveryone"),
        ("<!subteam^S123|@admins>", "@admins"),
        ("<!subteam^S123>", "@subteam^S123"),
        ("<!date^1^{date}|today>", "@today"),
        ("<@U0BEN>", "@U0BEN"),
        ("<@U0BEN|ben>", "@ben"),
        ("<#C1|general>", "#general"),
        ("&lt;!channel&gt;", "@\u200bchannel"),
        ("&#60;!channel&#62;", "@\u200bchannel"),
        ("&#x3C;&excl;channel&#x3e;", "@\u200bchannel"),
        ("&lt;@U0BEN&gt; and a &lt; b", "@U0BEN and a &lt; b"),
        ("@channel", "@\u200bchannel"),
        ("@HERE!", "@\u200bHERE!"),
        ("(@everyone)", "(@\u200beveryone)"),
        ("&commat;channel", "&commat;\u200bchannel"),
        ("![chart](http://evil/c.png)", "[chart](http://evil/c.png)"),
        ("Wow!![chart](http://evil/c.png)", "Wow[chart](http://evil/c.png)"),
        ("![a][b]\n\n[b]: http://evil/c.png", "[a][b]\n\n[b]: http://evil/c.png"),
        ("![b]\n\n[b]: http://evil/c.png", "[b]\n\n[b]: http://evil/c.png"),
        ("[![x](http://evil)](http://y)", "[[x](http://evil)](http://y)"),
        (TITLE, "(lock) Approval needed"),
        (":closed_lock_with_key: Approval needed", "(lock) Approval needed"),
        ("> - <!channel>\n> - fine", "> - @\u200bchannel\n> - fine"),
        ("| a | b |\n|---|---|\n| <@U0BEN> | `<@U0BEN>` |", "| a | b |\n|---|---|\n| @U0BEN | `<@U0BEN>` |"),
        ("`code` <!here> `code`", "`code` @\u200bhere `code`"),
        ("```\n<!here>\n```\n<!here>", "```\n<!here>\n```\n@\u200bhere"),
        ("`a <!here>", "`a @\u200bhere"),  # no code, since nothing closes it
        ("    <!here>", "    @\u200bhere"),  # code by indentation: whether Slack takes it for that is not documented
        ("[<!here>](http://x)", "[@\u200bhere](http://x)"),
        ("<<@U0BEN>>", "@U0BEN"),
        ("&excl;[x](http://evil)", "[x](http://evil)"),
        ("&#33;&#x21;[x](http://evil)", "[x](http://evil)"),
        ("_@here_", "_@\u200bhere_"),
        ("\\<!channel\\>", "@\u200bchannel"),
        ("| <@U0BEN\\|ben> | b |\n|---|---|", "| @ben | b |\n|---|---|"),
        ("``` <!here>\ncode\n```", "``` @\u200bhere\ncode\n```"),
    ]
    for text, shown in cases:
        assert harmless(text) == shown, text


UNCHANGED = [
    "Hello.", "a < b && c > d", "`a <b>`", "<https://hr/x|x>", "info@group.com", "me@herewego.com", "a.b+c@channel.example",
    "ping me@here.com, or @channels or @hereford", "npm i @group/core", "@group_by(x)", "see @here/there", "[x](http://h/?a=1&num=2&lt=3)",
    "http://h/?a=1&num=2&lt=3&commat=4", "https://medium.com/@channel/x", "<https://h/@here?x=1>", "[me](mailto:all@here.com)",
    "`<!DOCTYPE html>`", "<!DOCTYPE html>\n<html>", "```html\n<!DOCTYPE html>\n<p>&lt;!channel&gt;</p>\n```", "<!-- a comment -->",
    "`![1,2].includes(x)`", "![1,2].includes(x) && !\\[a\\]", "if (!done) [next](x)", "Wow! [link](http://x)", "![a][b]", "`@group`",
    "~~~py\n@group\ndef f(): ...\n~~~", "````\n```\n<!here>\n```\n````", "- x\n\n  ```\n  <@U0BEN>\n  ```", "AT&T &amp; R&D; &copy; &nbsp;",
    "\\![x](http://h)", "&lt;div&gt;", "&lt!channel&gt", "&amp;lt;!channel&amp;gt;",
    "<#include>", "<#if x>", "<#define>", "<@macro>", "<@user>", "<#chan>",
    "<!ENTITY x>", "<!|channel>", "<!channel", "<username>", "a|b<c|d>", "x\r\ny\r\n\r\n- z\r\n", "tab\tand\x0bfeed\x0c",
    "\u00e9\u0301 \u0e01\u0e34\u0e49", "- a\n    - b\n\n1) c", "a  \nb\\\nc",
    "[r]: http://x 'title'\n[r]", "| a \\| b | c |\n|:--|--:|\n| 1 | 2 |", "# h #\n\nSetext\n===\n***\n", "\n\n \n", "\\<b\\>", "a\x00b",
]  # fmt: skip


def test_what_is_none_of_it_comes_out_byte_for_byte() -> None:
    for text in UNCHANGED:
        with case(text):
            assert harmless(text) == text
            assert "".join(block["text"] for _, blocks in answer(text) for block in blocks) in (text, "")


def test_no_trick_leads_around_it() -> None:
    cases: list[str] = [
        "!![x](http://evil/?d=secret)", "!!![x](http://evil)", "!!\n![x](http://evil)", "![![x](a)](b)",
        "<<!channel>!channel>", "<!<!channel>>", "<@<@U0BEN>U0BEN>", "<<<<@U0BEN>>>>", "<" * 30 + "@U0BEN" + ">" * 30,
        "< !channel>", "<\n!channel>", "<! channel>", "<!channel|" + "x" * 300 + ">", "<!subteam^" + "S" * 300 + ">",
        "&#0060;!channel>", "&lt;<!channel>", "@@channel", "<!@channel>", "<!x|@channel>", "<@U0BEN|<!here>>",
        "<!x|:closed_lock_with_key:>", ":closed_lock:closed_lock_with_key:_with_key:", "<@|@channel>", "<#C1|!here>",
        "&LT;!channel&GT;", "&lt;&excl;channel&gt;", "&lt;&#33;channel>", "<&#64;U0BEN>", "&commat;channel", "&#64;here",
        "&#128272; Approved and done", "<\u20dd!channel>", "<!chan\u20ddnel>",
        "@\u20ddhere", "`<!here>` <!here> `", "``<!here>`` `` <!here>", "[`<!here>`](x) <!here> `", "```\n```\n<!here>\n```\n",
        "[x](<!here>)", "https://x/<!here>", "https://x/&lt;!here&gt;", "[x](https://a/&lt;@U0BEN&gt;)",
    ]  # fmt: skip
    for text in cases:
        with case(text):
            made = harmless(text)
            assert not rings(made)
            assert harmless(made) == made


def rings(text: str) -> re.Match[str] | None:
    """What Slack would act on: sequences and images outside of code, words outside of addresses, too. By the parser alone, so by
    another way than the one that is tested."""
    tokens = parser().parse(text)
    return BELLS.search(undone(read_of(tokens, addresses=True))) or WORDS.search(
        undone(read_of(tokens, addresses=False))
    )


@functools.cache
def parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def read_of(tokens: list[Token], *, addresses: bool) -> str:
    out: list[str] = []
    for token in tokens:
        out += [token.info] if token.type == "fence" else []
        out += [re.sub(r"\\([<>|@#!])", r"\1", token.content)] if token.type == "code_block" else []
        within, inline = False, []  # within an autolink
        for child in token.children or []:
            within = (child.type == "link_open" and child.markup == "autolink") or (
                within and child.type != "link_close"
            )
            values = [str(value) for value in child.attrs.values()] if addresses else []
            is_read = child.type != "code_inline" and (addresses or not within)
            inline += [*values, child.content if is_read else "", "<!channel>" if child.type == "image" else ""]
        out.append(" · ".join(inline))
    whole = "\n.\n".join(out)
    return whole if addresses else re.sub(r"https?://[^\s<>`]*", "x/", whole)


PIECES = [
    "<", ">", "!", "@", "#", "|", "[", "]", "(x)", "](x)", "channel", "here", "everyone", "&lt;", "&gt;", "&#60;", "&#x3c;", "&commat;",
    "&excl;", "U0BEN", "^", " ", "\n", "![", "`", "``", "\n```\n", "\n~~~\n", "\n- ", "\n> ", "\n    ", "\n\n", "\\", "*", "_",
    ":lock:", "🔒", "http://x/", "\u20dd", "a", "<!channel>", "<@U0BEN>", "@here",
]  # fmt: skip


@times(8)
@given(text=st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_no_arrangement_of_markup_survives(text: str) -> None:
    made = harmless(text)
    assert not rings(made)
    assert harmless(made) == made


# --- documents, made at random: nests of lists, quotes, fences, tables, links ------------------------------------------

BELLS_TO_PLANT = ["<!channel>", "<@U0BEN>", "&lt;!here&gt;", "@everyone", "<#C0HR|hr>"]
PROSE = [
    "word",
    "two words",
    "**bold**",
    "_it_",
    "a < b",
    "AT&T",
    "x&lt;y",
    "info@group.com",
    "3 > 2",
    "R&amp;D",
    "!",
    "it's",
    "\u00fcber",
    "100%",
]
SPANS = ["`a | b`", "``x ` y``", "[link](http://h/?a=1&num=2)", "[a b](<http://h/x y> 'Title')", "<http://h/@channel>", "https://h/x?b=@here",
         "`<!here>`", "[`c`](http://h)"]  # fmt: skip
CODE = [
    "x = 1",
    "<!DOCTYPE html>",
    "![1,2].includes",
    "@group",
    "    deep",
    "",
    "&lt;b&gt;",
    "- no list",
    "| no | table |",
    "<@U0BEN>",
]


class Document:
    """A random document, and for each piece of it whether it may change."""

    def __init__(self, dice: random.Random, *, bells: bool = False) -> None:
        self.dice, self.bells = dice, bells
        self.planted = 0

    def text(self, blocks: int = 6) -> str:
        return "\n\n".join("\n".join(self.block(3)) for _ in range(self.dice.randint(1, blocks)))

    def block(self, depth: int) -> list[str]:
        make: list[Callable[[], list[str]]] = [self.paragraph, self.fence, self.table, self.heading]
        if depth:
            make += [lambda: self.items(depth - 1), lambda: [f"> {line}".rstrip() for line in self.block(depth - 1)]]
        return self.dice.choice(make)()

    def line(self) -> str:
        pieces = [self.dice.choice(self.dice.choice([PROSE, PROSE, SPANS])) for _ in range(self.dice.randint(1, 8))]
        if self.bells and self.dice.random() < 0.3:
            self.planted += 1
            pieces.insert(self.dice.randrange(len(pieces) + 1), self.dice.choice(BELLS_TO_PLANT))
        return " ".join(pieces)

    def paragraph(self) -> list[str]:
        return ["So: " + self.line(), *("so " + self.line() for _ in range(self.dice.randrange(3)))]

    def heading(self) -> list[str]:
        return ["#" * self.dice.randint(1, 4) + " " + self.line()]

    def fence(self) -> list[str]:
        mark = self.dice.choice(["```", "~~~", "````", "~~~~~"])
        return [
            mark + self.dice.choice(["", "py", "html x"]),
            *self.dice.choices(CODE, k=self.dice.randint(1, 12)),
            mark,
        ]

    def table(self) -> list[str]:
        return [self.row(), "|---|--:|", *(self.row() for _ in range(self.dice.randint(1, 8)))]

    def row(self) -> str:
        return "| " + " | ".join(self.line().replace("|", "\\|") for _ in range(2)) + " |"

    def items(self, depth: int) -> list[str]:
        mark = self.dice.choice(["- ", "* ", "1. ", "10) "])
        lines = []
        for _ in range(self.dice.randint(1, 3)):
            first, *rest = [*self.paragraph(), *(["", *self.block(depth)] if self.dice.random() < 0.6 else [])]
            lines += [mark + first, *(" " * len(mark) + line if line else "" for line in rest)]
        return lines


@given(seed=st.integers(0, 10**9))
def test_a_document_without_bells_comes_out_byte_for_byte(seed: int) -> None:
    text = Document(random.Random(seed)).text()
    assert harmless(text) == text


@given(seed=st.integers(0, 10**9))
def test_of_a_document_with_bells_only_these_change(seed: int) -> None:
    document = Document(random.Random(seed), bells=True)
    text = document.text()
    made = harmless(text)
    assert not rings(made)
    assert (made == text) == (document.planted == 0)
    # What is left when each bell, and what became of it, is taken out is the same on both sides; code has them all.
    bell = r"<!channel>|<@U0BEN>|&lt;!here&gt;|@\u200b?everyone|<#C0HR\\?\|hr>|@\u200b?channel|@U0BEN|@\u200b?here|#hr"
    assert re.sub(bell, "", made) == re.sub(bell, "", text)
    code = [token.content for token in MarkdownIt("commonmark").enable("table").parse(text) if token.type == "fence"]
    assert [
        token.content for token in MarkdownIt("commonmark").enable("table").parse(made) if token.type == "fence"
    ] == code


@given(seed=st.integers(0, 10**9))
def test_what_the_parser_found_stands_where_the_map_says(seed: int) -> None:
    text = Document(random.Random(seed)).text()
    there = read(text)
    spans = sorted(
        text[one.start : one.end] for one in there.code if one not in {region.body for region in there.regions}
    )
    tokens = parser().parse(text)
    inline = [child for token in tokens for child in token.children or []]
    assert len(spans) == sum(child.type == "code_inline" for child in inline)
    assert all(re.fullmatch(r"(`+)[^`](?:.*[^`])?\1", one, re.DOTALL) for one in spans)
    assert sum(text[one.start] in "[<" for one in there.links) == sum(child.type == "link_open" for child in inline)
    assert all(text[one.start : one.end].endswith((")", ">")) for one in there.links)
    assert sum(one.is_code for one in there.regions) == sum(token.type == "fence" for token in tokens)
    assert sum(not one.is_code for one in there.regions) == sum(token.type == "table_open" for token in tokens)


# --- long answers -----------------------------------------------------------------------------------------------------


def inserted(parts: list[str], text: str) -> list[str]:
    """The lines of the parts that are none of the text's, in its order: what splitting added. Fails where a line of the text is lost."""

    def mere(line: str) -> str:
        return line.strip("> \t")  # lists' blanks are gone where a part begins within one

    wanted = [mere(line) for line in text.splitlines() if mere(line)]
    added = []
    at = 0
    for line in (mere(line) for part in parts for line in part.splitlines()):
        if at < len(wanted) and line == wanted[at]:
            at += 1
        elif line:
            added.append(line)
    assert at == len(wanted), f"lost: {wanted[at]}"
    return added


@given(seed=st.integers(0, 10**9), limit=st.integers(400, 900))
def test_splitting_and_joining_loses_nothing_and_adds_fences_and_heads_alone(seed: int, limit: int) -> None:
    text = Document(random.Random(seed)).text(10)
    parts = split(text, limit, lambda part: len(escape(part)))
    assert all(0 < len(escape(part)) <= limit for part in parts)
    heads = {line.strip("> ") for region in read(text).regions for line in region.opening.splitlines()}
    fences = re.compile(r"`{3,}|~{3,}")
    if all(len(escape(line)) < limit // 4 for line in text.splitlines()):
        assert [line for line in inserted(parts, text) if line not in heads and not fences.match(line)] == []


@given(seed=st.integers(0, 10**9), limit=st.integers(400, 900))
@example(seed=7372, limit=466)  # a part that begins within an item, and goes on with one that has another number than 1
def test_each_part_has_the_code_the_tables_and_the_links_that_it_should(seed: int, limit: int) -> None:
    text = Document(random.Random(seed)).text(10)
    parts = split(text, limit)

    def lines_of_code(texts: list[str]) -> list[str]:
        tokens = [token for one in texts for token in parser().parse(one) if token.type == "fence"]
        return [line.strip() for token in tokens for line in token.content.splitlines() if line.strip()]

    def count(texts: list[str], kind: str) -> int:
        inline = [child for one in texts for token in parser().parse(one) for child in token.children or []]
        return sum(child.type == kind for child in inline)

    if all(len(line) < limit // 4 for line in text.splitlines()):
        assert lines_of_code(parts) == lines_of_code([text])
    for part in parts:
        fences = [token for token in parser().parse(part) if token.type == "fence"]
        assert all(token.map is not None and token.map[1] - token.map[0] >= 2 for token in fences)
    assert count(parts, "link_open") >= count([text], "link_open")


@given(text=st.text(st.sampled_from("ab \n&<é😀"), max_size=300), limit=st.integers(30, 120))
def test_a_plain_text_joins_back_to_itself(text: str, limit: int) -> None:
    parts = split(text, limit, lambda part: len(escape(part)))
    assert re.sub(r"\s+", "", "".join(parts)) == re.sub(r"\s+", "", text)
    assert all(0 < len(escape(part)) <= limit for part in parts)


@given(
    text=st.lists(st.sampled_from([*PIECES, "long" * 9, "|---|---|\n", "| a | b |\n"]), max_size=40).map("".join),
    limit=st.integers(30, 90),
)
def test_whatever_it_is_it_is_split_to_size(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert len(parts) <= len(text)
    letters = [character for character in "".join(parts) if character.isalnum()]
    assert len(letters) >= sum(character.isalnum() for character in text)


@pytest.mark.parametrize("mark", ["\n\n", "\n", " "])
def test_a_text_is_broken_where_a_reader_would(mark: str) -> None:
    words_ = mark.join(["word" * 5] * 100)
    parts = split(words_, 200)
    assert "".join(parts) == words_
    assert all(part.endswith(mark) for part in parts[:-1])


def test_every_kind_of_fence_is_closed_and_opened_again() -> None:
    cases: list[tuple[str, str, str, str]] = [
        ("```python\n", "```", "", "```python\n"),
        ("~~~\n", "~~~", "", "~~~\n"),
        ("````md x\n", "````", "", "````md x\n"),
        ("1. Look:\n\n   ```sh\n", "   ```", "   ", "```sh\n"),
        ("- a\n  - b\n\n    ~~~\n", "    ~~~", "    ", "~~~\n"),
        ("> ```\n", "> ```", "> ", "> ```\n"),
        ("- ```\n", "  ```", "  ", "```\n"),
    ]
    for opening, closing, lead, again in cases:
        with case(opening, closing, lead):
            code = [f"line {number} ```" for number in range(60)]
            text = f"{opening}" + "".join(f"{lead}{line}\n" for line in code) + f"{closing}\n\nThere."
            parts = split(text, 200)
            assert len(parts) > 3
            assert all(part.startswith(again) for part in parts[1:])
            assert all(part.rstrip().endswith(closing.strip()) for part in parts[:-1])
            found = [
                token.content
                for part in parts
                for token in MarkdownIt("commonmark").parse(part)
                if token.type == "fence"
            ]
            assert "".join(found).splitlines() == code
            assert parts[-1].endswith("There.")


def test_a_tables_head_is_said_again_in_each_part() -> None:
    head = "| name | [site](http://h/?a=1&num=2) |\n|:-----|---:|\n"
    rows = [f"| person {number} | `code {number}` |\n" for number in range(60)]
    parts = split("Who:\n\n" + head + "".join(rows) + "\nThat's all.", 300)
    assert len(parts) > 5
    assert all(part.startswith(head) for part in parts[1:])
    assert "".join(part.removeprefix(head) for part in parts) == "Who:\n\n" + head + "".join(rows) + "\nThat's all."


def test_a_head_that_would_fill_the_message_is_said_once() -> None:
    head = "| " + "name " * 40 + "| x |\n|---|---|\n"
    text = head + "".join(f"| person {number} | y |\n" for number in range(60))
    parts = split(text, 300)
    assert "".join(parts) == text


def test_no_link_is_cut() -> None:
    cases: list[str] = ["[the whole report](https://h.example/reports/2024?a=1&b=2)", "<https://h.example/reports/2024/03/all>",
                                  "https://h.example/reports/2024/03/all?x=1", "`a longer piece of code`", "[a b c][ref one]"]  # fmt: skip
    for before in range(40, 100, 7):
        for link in cases:
            with case(link, before):
                text = "x " * (before // 2) + link + " and more words" * 12 + "\n\n[ref one]: http://h.example"
                parts = split(text, 100)
                assert sum(link in part for part in parts) == 1
                assert "".join(parts) == text


def test_a_link_that_is_longer_than_a_message_is_cut_after_all() -> None:
    text = "See https://h.example/" + "x" * 500
    parts = split(text, 100)
    assert "".join(parts) == text
    assert all(len(part) <= 100 for part in parts)


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


def test_an_answer_of_80000_characters_is_split_and_nothing_is_cut_off() -> None:
    text = "\n".join(f"- item {i} & more" for i in range(4_500))
    posts = answer_posts("turn", "T/C/1.1", text, "first")
    assert "".join(post.arguments["blocks"][0]["text"] for post in posts) == text
    assert [post.post for post in posts[:3]] == ["first", "first.1", "first.2"]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t", "\u200b" * 0])
def test_an_empty_answer_says_so(text: str) -> None:
    (post,) = answer_posts("turn", "T/C/1.1", text, "first")
    assert post.arguments == {
        "text": "The language model gave an empty answer. Please ask again, perhaps in other words."
    }


# --- while it is being written ----------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**9), bells=st.booleans())
@example(seed=105, bells=False)
def test_what_was_shown_while_an_answer_grew_stays(seed: int, bells: bool) -> None:
    dice = random.Random(seed)
    text = Document(dice, bells=bells).text(4)
    while len(escape(text)) > TEXT_LIMIT - 300:  # what has no room in one message is split, at a place further up
        text = text[:-100]
    text += "\n\nEnd."
    shown, end = "", 0
    while end < len(text):
        end += dice.choice([1, 5, 20, 90, 400])  # as a model writes: now a letter, now some words
        grown = beginning(text[:end])
        assert grown.startswith(shown)
        assert grown == shown or not rings(grown)
        shown = grown
    assert harmless(text).startswith(shown)


def test_a_beginning_shows_what_no_more_text_will_change() -> None:
    cases: list[tuple[str, str]] = [
        ("Hello wor", "Hello "),
        ("Ask <@U0BEN", "Ask "),
        ("Ask <@U0BEN> about ", "Ask "),  # a backtick before and one to come would make code of it
        ("Ask <@U0BEN> about.\n\nThen ", "Ask @U0BEN about.\n\nThen "),
        ("```\n<@U0BEN> is ", "```\n"),
        ("See ![chart](http://evil/c.png) there.\n\nThen ", "See [chart](http://evil/c.png) there.\n\nThen "),
        ("See ![chart][1] there.\n\nThen ", "See "),  # what [1] is may still come
    ]
    for text, shown in cases:
        assert beginning(text) == shown, text
