"""What a Slack message says, wherever it says it: the shapes that alerts, workflows and shared messages come in."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slack_io.message_content import content, is_by_app, whole, with_files
from slack_io.payloads import plain_words
from store.received import Attached
from tests.harness.cases import each_row

Json = dict[str, Any]


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": list(elements)}


def section(*leaves: Json) -> Json:
    return {"type": "rich_text_section", "elements": list(leaves)}


def word(text: str, **more: Any) -> Json:
    return {"type": "text", "text": text} | more


def of_app(**message: Any) -> Json:
    return {"bot_id": "B1", "text": ""} | message


def read(message: Json) -> str:
    """The whole message, as a model reads it."""
    return plain_words(whole(content(message)), "U0BOT")


# An alert as Prometheus' Alertmanager posts it by its default template: all of it in an attachment.
ALERTMANAGER = of_app(
    username="AlertManager",
    attachments=[
        {
            "id": 1,
            "color": "a30200",
            "title": "[FIRING:1] HighLatency (api production)",
            "title_link": "https://alerts.example/#/alerts?receiver=slack&amp;x=1",
            "text": "p99 is *2.4 s*",
            "fallback": "[FIRING:1] HighLatency | https://alerts.example",
            "fields": [{"title": "Severity", "value": "page", "short": True}, {"title": "", "value": "eu-1"}],
        }
    ],
)


def test_an_alert_of_attachments_is_read() -> None:
    assert read(ALERTMANAGER) == (
        "[FIRING:1] HighLatency (api production) (https://alerts.example/#/alerts?receiver=slack&x=1)\n"
        "p99 is *2.4 s*\nSeverity: page\neu-1"
    )


@each_row(
    "attachment, told",
    [
        ({"fallback": "Build 7 failed"}, "Build 7 failed"),
        ({"fallback": "Build 7 failed", "text": "Build *7*"}, "Build *7*"),
        ({"fallback": "[no preview available]"}, ""),
        ({"fallback": "This content can't be displayed."}, ""),
        ({"pretext": "Look:", "title": "Seven"}, "Look:\nSeven"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "<https://x.com|Seven>"}}]}, "Seven (https://x.com)"),
        ({"title": "A", "title_link": "x|y>z"}, "A"),
        ({"fields": None, "text": 5, "title": [], "blocks": "x"}, ""),
    ],
)  # fmt: skip
def test_each_part_of_an_attachment_is_read_and_the_fallback_where_there_is_no_other(
    attachment: Json, told: str
) -> None:
    assert read(of_app(attachments=[attachment])) == told


BLOCKS = [
    ({"type": "header", "text": {"type": "plain_text", "text": "Disk R&amp;D full"}}, "Disk R&D full"),
    ({"type": "section", "text": {"type": "mrkdwn", "text": "*db-1* at 97 %"}}, "*db-1* at 97 %"),
    (
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Host*\ndb-1"}, {"type": "plain_text", "text": "97 %"}]},
        "*Host*\ndb-1\n97 %",
    ),
    (
        {"type": "section", "text": {"type": "mrkdwn", "text": "look"},
         "accessory": {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, "value": "secret"}},
        "look",
    ),
    (
        {"type": "section", "text": {"type": "mrkdwn", "text": "look"},
         "accessory": {"type": "static_select", "options": [{"text": {"type": "plain_text", "text": "one"}, "value": "1"}]}},
        "look",
    ),
    (
        {"type": "context", "elements": [{"type": "image", "alt_text": "a cat", "image_url": "u"}, {"type": "mrkdwn", "text": "by <@U1>"}]},
        "a cat by <@U1>",
    ),
    ({"type": "image", "title": {"type": "plain_text", "text": "Load"}, "alt_text": "a graph", "image_url": "u"}, "Load\na graph"),
    ({"type": "markdown", "text": "# Disk\n**full**"}, "# Disk\n**full**"),
    ({"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Go"}}]}, ""),
    ({"type": "divider"}, ""),
    (
        {"type": "table", "rows": [[{"type": "raw_text", "text": "host"}, {"type": "raw_text", "text": "use"}],
                                   [{"type": "raw_text", "text": "db-1"}, rich(section(word("97 %")))]]},
        "host | use\ndb-1 | 97 %",
    ),
    ({"type": "alert_of_the_future", "body": {"type": "mrkdwn", "text": "new"}, "level": "high"}, "new"),
    (rich(section(word("see "), {"type": "link", "url": "https://x.com/?a=1&b=2", "text": "this"})), "see this (https://x.com/?a=1&b=2)"),
    (
        rich(section({"type": "user", "user_id": "U1"}, word(" in "), {"type": "channel", "channel_id": "C1"}, word(" <b> & "),
                     {"type": "emoji", "name": "fire"}, {"type": "broadcast", "range": "here"},
                     {"type": "date", "timestamp": 1, "format": "{date}", "fallback": "May 1"})),
        "<@U1> in <#C1> <b> & :fire:@hereMay 1",
    ),
    (
        rich({"type": "rich_text_list", "style": "ordered", "offset": 1, "elements": [section(word("two")), section(word("three"))]},
             {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [section(word("x"))]}),
        "2. two\n3. three\n    • x",
    ),
    (rich({"type": "rich_text_preformatted", "elements": [word("a <b>\n c")]}), "```\na <b>\n c\n```"),
    (rich({"type": "rich_text_quote", "elements": [word("one\ntwo")]}), "> one\n> two"),
    (rich(section(word("run "), word("ls", style={"code": True}))), "run `ls`"),
]  # fmt: skip


@each_row("block, told", BLOCKS)
def test_each_kind_of_block_is_read(block: Json, told: str) -> None:
    assert read(of_app(blocks=[block])) == told
    assert read(of_app(text="This content can't be displayed.", blocks=[block])) == told


def test_what_an_app_says_both_in_text_and_in_blocks_is_read_once() -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "*Disk* full on <https://x.com|db-1>"}}
    assert (
        read(of_app(text="Disk full on db-1", blocks=[block]))
        == "Disk full on db-1\n*Disk* full on db-1 (https://x.com)"
    )
    assert (
        read(of_app(text="*Disk* full on <https://x.com|db-1>", blocks=[block]))
        == "*Disk* full on db-1 (https://x.com)"
    )
    assert read(of_app(text="Alert", blocks=[block])) == "Alert\n*Disk* full on db-1 (https://x.com)"


@each_row(
    "text",
    ["", None, 5, "This content can't be displayed.", "This content can’t be displayed"],
)
def test_words_that_stand_in_rich_text_alone_are_read(text: object) -> None:
    message = {"user": "U0ANN", "text": text, "blocks": [rich(section(word("who is "), word("new?")))]}
    assert content(message).text == "who is new?"


def test_a_persons_words_are_read_from_the_text_of_which_the_blocks_are_another_rendering() -> None:
    message = {
        "user": "U0ANN",
        "text": "*who* is new?",
        "blocks": [rich(section(word("who", style={"bold": True}), word(" is new?")))],
    }
    assert content(message).text == "*who* is new?"


def test_words_are_read_from_the_blocks_where_the_text_is_only_their_beginning() -> None:
    message = {
        "user": "U0ANN",
        "text": "<@U0BOT>",
        "blocks": [rich(section({"type": "user", "user_id": "U0BOT"}, word(" who is new?")))],
    }
    assert plain_words(content(message).text, "U0BOT") == "who is new?"


def test_a_shared_message_is_attached_and_not_its_sharers_own_words() -> None:
    shared = {
        "is_msg_unfurl": True, "is_share": True, "author_name": "Ben Ortiz", "from_url": "https://x.slack.com/archives/C1/p1",
        "text": "Tom leaves", "fallback": "[May 1] ben: Tom leaves",
        "message_blocks": [{"team": "T1", "channel": "C1", "ts": "1.1", "message": {"blocks": [rich(section(word("Tom leaves")))]}}],
    }  # fmt: skip
    said = content({"user": "U0ANN", "text": "what is this?", "attachments": [shared]})
    assert (said.text, said.attached) == ("what is this?", (Attached("Ben Ortiz", "Tom leaves"),))


def test_files_are_known_by_their_names_on_one_line() -> None:
    files = [
        {"id": "F1", "name": "a <b>\n.csv"},
        {"id": "F2"},
        {"id": "F3", "mode": "tombstone"},
        {"title": "t" * 500},
        None,
    ]
    said = content({"user": "U0ANN", "text": "", "files": files})
    assert said.files == ("a <b> .csv", "(no name)", "t" * 120)
    assert plain_words(with_files("see", said.files[:1]), "") == (
        "see\n[Attached file, of which only the name can be read: a <b> .csv]"
    )


@each_row(
    "message, by_app",
    [
        ({"user": "U0ANN"}, False),
        ({"user": "U0ANN", "app_id": "A1"}, False),
        ({"user": "U0ANN", "bot_id": None, "subtype": "file_share"}, False),
        ({"bot_id": "B1"}, True),
        ({"user": "U0ANN", "bot_id": "B1"}, True),
        ({"subtype": "bot_message"}, True),
        ({"user": "USLACKBOT"}, True),
        ({"user": "U1", "bot_profile": {"id": "B1"}}, True),
        ({"subtype": []}, False),
    ],
)
def test_who_is_an_app(message: Json, by_app: bool) -> None:
    assert is_by_app(message) is by_app


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["rich_text", "section", "\ud800", "<"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "elements", "fields", "rows", "blocks", "name", "style", "indent"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(text=ANY, blocks=ANY, attachments=ANY, files=ANY)
def test_fields_of_every_kind_are_read_without_an_error(**fields: Any) -> None:
    for by in ({"user": "U1"}, {"bot_id": "B1"}):
        said = content(fields | by)
        plain_words(with_files(whole(said), said.files), "U0BOT").encode()


def test_blocks_within_blocks_have_an_end() -> None:
    block: Json = {"type": "mrkdwn", "text": "deep"}
    for _ in range(500):
        block = {"type": "section", "text": block}
    assert read(of_app(blocks=[block])) == ""
    part: Json = section(word("deep"))
    for _ in range(500):
        part = {"type": "rich_text_list", "elements": [part]}
    read(of_app(blocks=[rich(part)]))
