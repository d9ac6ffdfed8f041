"""`links: plain`: in what the model writes, no address of a foreign host is a link, and all else is as it was."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from base.links import ADDRESS, Links
from base.markdown import answer, beginning, harmless
from catalog.catalog import BadCatalog, load_catalog
from demo.hr_api import HrApi
from emulator.emulator import Workspace
from tests.harness.cases import case
from tests.harness.whole_bot import CATALOG, Person, Script, StartBot, Writing, calls, says, words_of

OWN = Links(frozenset({"hr.example.com", "*.corp.example"}))
EVIL = "https://evil.example/steal?d=1"

WRITTEN = [
    (f"see {EVIL} now", f"see `{EVIL}` now"),
    (f"see {EVIL}.", f"see `{EVIL}`."),
    (f"({EVIL})", f"(`{EVIL}`)"),
    ("https://evil.example/a_(b)", "`https://evil.example/a_(b)`"),
    (f"[the record]({EVIL})", f"the record (`{EVIL}`)"),
    (f"[the record](<{EVIL}> 'title')", f"the record (`{EVIL}`)"),
    (f"[{EVIL}]({EVIL})", f"`{EVIL}` (`{EVIL}`)"),
    (f"_{EVIL}_", f"_`{EVIL}`_"),
    ("https://[::1]/x", "`https://`[::1]/x"),
    (f"<{EVIL}>", f"`{EVIL}`"),
    (f"![chart]({EVIL})", f"chart (`{EVIL}`)"),
    (f"**{EVIL}**", f"**`{EVIL}`**"),
    (f"| a |\n|---|\n| {EVIL} |", f"| a |\n|---|\n| `{EVIL}` |"),
    ("HTTPS://EVIL.EXAMPLE/x", "`HTTPS://EVIL.EXAMPLE/x`"),
    ("www.evil.example", "`www.evil.example`"),
    ("evil.example/x?d=1", "`evil.example/x?d=1`"),
    ("data.of.evil.example", "`data.of.evil.example`"),
    ("[x](evil.example/x)", "x (`evil.example/x`)"),
    ("[x](//evil.example/x)", "x (`//evil.example/x`)"),
    ("ftp://evil.example/x", "`ftp://evil.example/x`"),
    ("https://hr.example.com@evil.example/", "`https://hr.example.com@evil.example/`"),
    ("https://hr.example.com.evil.example/", "`https://hr.example.com.evil.example/`"),
    ("https://evilcorp.example/", "`https://evilcorp.example/`"),
    ("[x](https&#58;//evil.example/)", "x (`https://evil.example/`)"),
    ("https&#58;//evil.example/", "`https://evil.example/`"),
    ("https:\\//evil.example/", "`https://evil.example/`"),
]
STAYS = [
    "see https://hr.example.com/users/7?x=1.",
    "[Tom](https://hr.example.com/users/7)",
    "<https://hr.example.com:8443/x>",
    "https://wiki.corp.example/a and https://a.b.corp.example",
    "[Tom][1]\n\n[1]: https://hr.example.com/users/7",
    "[mail](mailto:tom@evil.example) tom@evil.example tom.berg.x@mail.evil.example <tom@evil.example>",
    f"`{EVIL}` and\n```\n{EVIL}\n```",
    "[the next](#part) and [a file](report.pdf), e.g. v1.2.3, i.e. 10:30, a.b, Dr. Berg",
    "1 < 2 && a[0] == b[1]",
]


def test_an_address_of_another_host_is_written_as_code() -> None:
    for text, shown in WRITTEN:
        with case(text):
            assert harmless(text, OWN) == shown
            assert harmless(shown, OWN) == shown


def test_what_is_no_address_or_one_of_ours_stays_as_it_is() -> None:
    for text in STAYS:
        assert harmless(text, OWN) == text, text


def test_without_the_key_links_stay_links() -> None:
    for text in [text for text, _ in WRITTEN if "!" not in text]:
        assert harmless(text) == text, text


REFERENCES = [
    f"[Tom][1]\n\n[1]: {EVIL}",
    f"[Tom][]\n\n[tom]: {EVIL} 'title'",
    f"[Tom]\n\n[Tom]: <{EVIL}>",
    f"> [Tom][1]\n>\n> [1]: {EVIL}",
    f"- [Tom][1]\n\n  [1]: {EVIL}",
    f"[a][1] [b][2]\n\n[1]: https://hr.example.com/\n[2]: {EVIL}",
    f"![Tom][1]\n\n[1]: {EVIL}",
    f"[x\ny][1]\n\n[1]:\n{EVIL}",
]
TRICKS = [
    f"a ` b {EVIL} c ` d {EVIL}",
    f"`` ` {EVIL} ` {EVIL}",
    f"` {EVIL}\n\n` {EVIL}",
    f"`{EVIL}",
    f"[a ` b]({EVIL}) `",
    f"[![x]({EVIL})]({EVIL})",
    f"[[x]({EVIL})]({EVIL})",
    f"\\[x]({EVIL})",
    f"[x]\\({EVIL})",
    f"[x]({EVIL}`)",
    f"~~{EVIL}~~ _{EVIL}_",
    f"# {EVIL}\n\n{EVIL}\n===\n",
    f"<a href='{EVIL}'>x</a>",
    f"<<{EVIL}>>",
    f"[x]({EVIL}\n'title')",
    "https://evil.example\\@hr.example.com/",
    "[x](https://evil.example\\@hr.example.com/)",
    "[x](https:\\\\evil.example/)",
    "https://hr.example.com\u200b.evil.example/",
    "[x](javascript:fetch('https://evil.example'))",
    "[x](data:text/html,x)",
]


def links_of(text: str) -> list[str]:
    """Where the links of a text lead, by a parser that knows nothing of ours: those in Markdown, and bare ones outside of code."""
    found = []
    for token in MarkdownIt("commonmark", {"html": False}).enable("table").parse(text):
        for inner in token.children or ():
            if inner.type in ("link_open", "image"):
                found.append(str(inner.attrs.get("href") or inner.attrs.get("src")))
            elif inner.type == "text":
                found += [one[0] for one in ADDRESS.finditer(inner.content)]
    return found


@pytest.mark.parametrize("text", [*REFERENCES, *TRICKS])
def test_no_trick_makes_a_link_of_another_host(text: str) -> None:
    shown = harmless(text, OWN)
    assert [one for one in links_of(shown) if not OWN.allow(one)] == []
    assert "evil.example" in shown or "evil.example" not in text


PIECES = ["[", "]", "(", ")", "<", ">", "`", "``", "\\", "!", "*", "|", "\n", "\n\n", "> ", "- ", " ", "x", ":", "[1]: ", "[1]",
          EVIL, "evil.example/x", "https://hr.example.com/", "&#58;//", "https", "\n```\n", "'", '"']  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_no_text_makes_a_link_of_another_host(text: str) -> None:
    foreign = [one for one in links_of(harmless(text, OWN)) if "evil.example" in one and not OWN.allow(one)]
    assert foreign == []


GROWING = [
    f"First.\n\nSee {EVIL} and [the record]({EVIL}) for more, or `code` [here][1].\n\nThen https://hr.example.com/ too.\n\n[1]: x\n",
    f"```\n\n```\n**{EVIL}**\n```\n{EVIL}\n```\nand {EVIL}\n- [a](https://hr.example.com) {EVIL}\n- b\n",
]


def test_what_grows_is_the_beginning_of_what_is_said_in_the_end() -> None:
    for text in GROWING:
        with case(text):
            shown = [beginning(text[:size], OWN) for size in range(len(text) + 1)]
            for before, after in itertools.pairwise(shown):
                assert after.startswith(before.rstrip())
            assert harmless(text, OWN).startswith(shown[-1].rstrip())
            assert [one for part in shown for one in links_of(part) if not OWN.allow(one)] == []


def test_a_hostile_text_takes_no_longer_than_its_length() -> None:
    cases: list[str] = ["a.", "a-", "[", "https://", "[x](", "` ", "www.", "[1]: a\n", "a.b/"]
    for piece in cases:
        with case(piece):
            text = piece * (6_000 // len(piece))
            began = time.process_time()
            harmless(text, OWN)
            assert time.process_time() - began < 4


ADDRESSES = [
    ("https://hr.example.com/x", True),
    ("http://HR.EXAMPLE.COM", True),
    ("hr.example.com/x", True),
    ("https://hr.example.com./", True),
    ("https://a.corp.example", True),
    ("https://corp.example", False),
    ("https://xcorp.example", False),
    ("https://example.com", False),
    ("https://evil@hr.example.com/", False),
    ("https://[::1", False),
    ("ftp://hr.example.com/", False),
    ("https://hr.example.com\\.evil.example", False),
    ("https://hr.example.com\t.evil.example", False),
    ("", False),
]


def test_hosts_are_told_apart() -> None:
    for address, is_ours in ADDRESSES:
        assert OWN.allow(address) is is_ours, address


# --- in the catalog, and in Slack -------------------------------------------------------------------------------------

SMALL = """
name: HR
base_url: https://hr.example.com/v1
{more}
endpoints: [{{method: GET, url: /users, description: Lists.}}]
"""


@pytest.mark.parametrize(
    ("more", "hosts"),
    [
        ("", None),
        ("links: plain", {"hr.example.com"}),
        ("links: plain\nlink_hosts: [Wiki.Example.com, '*.corp.example']", {"hr.example.com", "wiki.example.com", "*.corp.example"}),
    ],
)  # fmt: skip
def test_the_catalog_says_whose_addresses_stay_links(more: str, hosts: set[str] | None) -> None:
    links = load_catalog(SMALL.format(more=more), {}).links
    assert (links and set(links.hosts)) == hosts


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("links: none", "'links' takes 'plain'"),
        ("links: plain\nlink_hosts: ['https://wiki.example.com/x']", "is not a host name; write only the name"),
        ("link_hosts: [wiki.example.com]", "link_hosts is for links: plain; add that, or remove link_hosts"),
    ],
)
def test_mistakes_are_told_with_what_to_write(more: str, told: str) -> None:
    with pytest.raises(BadCatalog, match=told):
        load_catalog(SMALL.format(more=more), {})


def test_by_the_front_door_answers_have_links_of_our_hosts_alone(
    start_bot: StartBot, model: Script, ann: Person, hr: HrApi, workspace: Workspace
) -> None:
    catalog = CATALOG.read_text("utf-8").replace("${HR_API_URL}", hr.url)
    start_bot(catalog=f"links: plain\n{catalog}", allow_dm=True)
    model.will(calls(("GET", "/api/users/7")), says(f"[Tom]({hr.url}/api/users/7), or [here]({EVIL}), {EVIL}"))
    talk = ann.asks("who is 7?")
    assert talk.answer() == f"[Tom]({hr.url}/api/users/7), or here (`{EVIL}`), `{EVIL}`"
    assert f"`{EVIL}`" in talk.messages()[-1]["text"]


def test_an_answer_that_grows_never_shows_a_link_of_another_host(
    start_bot: StartBot, model: Script, ann: Person, hr: HrApi, workspace: Workspace
) -> None:
    catalog = CATALOG.read_text("utf-8").replace("${HR_API_URL}", hr.url)
    start_bot(catalog=f"links: plain\n{catalog}")
    line = Writing("A first paragraph that stands.\n\n")
    model.will(line)
    talk = ann.asks("tell me")
    workspace.wait(lambda: [one for one in talk.messages() if "stands" in words_of(one)])
    line.write(f"See [the record]({EVIL}) and {EVIL} for more.\n\nThen ")
    workspace.wait(lambda: [one for one in talk.messages() if "for more" in words_of(one)])
    line.write("the end.")
    line.finish()
    workspace.wait(lambda: [one for one in talk.messages() if "the end." in words_of(one)])
    for call in workspace.calls:
        if call.method in ("chat.postMessage", "chat.update"):
            blocks = call.args.get("blocks", ())
            shown = "\n".join(block["text"] for block in blocks if block["type"] == "markdown")
            assert [one for one in links_of(shown) if "evil" in one] == []


def test_an_answer_is_split_after_its_links_are_written_plainly() -> None:
    parts = answer(f"[x]({EVIL}) " * 400, OWN)
    assert len(parts) > 1
    assert all(not links_of(block["text"]) for _, blocks in parts for block in blocks)
