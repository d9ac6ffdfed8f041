"""What Slack sends, as values: a person's words as typed, and payloads of every shape read without an error."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.thread import Thread
from slack_io.message_content import MAX_WORDS
from slack_io.payloads import (
    home_opened,
    installed_in,
    interaction,
    mention,
    message,
    plain_words,
    question,
)
from store.received import AppMention, Attached, Click, HomeOpened, Interaction, Mention, Shortcut, as_json, from_row
from tests.harness.cases import each_row

Json = dict[str, Any]
BOT = "U0BOT"
TOKEN = "0123456789abcdef" * 2


def envelope(**event: Any) -> Json:
    """An app_mention as Slack's Events API delivers it; a field given as `...` is left out."""
    inner: Json = {
        "client_msg_id": "9cbd4c5b-7ddf-4ede-b479-ad21fca66d63",
        "type": "app_mention",
        "text": f"<@{BOT}> hello",
        "user": "U0ANN",
        "ts": "1595926230.009600",
        "team": "T0LOCAL",
        "channel": "C0HR",
        "event_ts": "1595926230.009600",
    }
    inner = {key: value for key, value in (inner | event).items() if value is not ...}
    return {
        "token": "verification_token",
        "team_id": "T0LOCAL",
        "api_app_id": "A111",
        "event": inner,
        "type": "event_callback",
        "event_id": "Ev111",
        "event_time": 1595926230,
        "authorizations": [{"enterprise_id": None, "team_id": "T0LOCAL", "user_id": BOT, "is_bot": True}],
    }


def press(**changes: Any) -> Json:
    """A block_actions payload as Slack sends it."""
    payload: Json = {
        "type": "block_actions",
        "user": {"id": "U0ANN", "username": "ann", "name": "ann", "team_id": "T0LOCAL"},
        "api_app_id": "A111",
        "token": "verification_token",
        "container": {"type": "message", "message_ts": "111.222", "channel_id": "C0HR", "is_ephemeral": False, "thread_ts": "111.111"},
        "trigger_id": "111.222.valid",
        "team": {"id": "T0LOCAL", "domain": "workspace-domain"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": "C0HR", "name": "test-channel"},
        "message": {"type": "message", "ts": "111.222", "thread_ts": "111.111", "text": "Approval needed"},
        "state": {"values": {}},
        "response_url": "https://hooks.slack.com/actions/T111/111/random-value",
        "actions": [{"action_id": "approve", "block_id": "b", "value": TOKEN, "type": "button", "action_ts": "1596530385.194939"}],
    }  # fmt: skip
    return payload | changes


# --- a person's words -------------------------------------------------------------------------------------------------

WORDS = [
    # the mention, wherever it stands
    (f"<@{BOT}>", ""),
    (f"<@{BOT}> ", ""),
    (f"<@{BOT}> hello", "hello"),
    (f"<@{BOT}|hr-bot> hello", "hello"),
    (f"hello <@{BOT}>", "hello"),
    (f"hello <@{BOT}>, list them", "hello, list them"),
    (f"hello <@{BOT}> list them", "hello list them"),
    (f"hello\n<@{BOT}>\nlist them", "hello\n\nlist them"),
    (f"<@{BOT}><@{BOT}> twice", "twice"),
    (f"(<@{BOT}>)", "()"),
    (f"<@{BOT}X> not me", f"<@{BOT}X> not me"),
    # others
    (f"<@{BOT}> make <@U0BEN> a manager", "make <@U0BEN> a manager"),
    (f"<@{BOT}> make <@U0BEN|ben> a manager", "make <@U0BEN> a manager"),
    (f"<@{BOT}> tell <!channel>", "tell @channel"),
    (f"<@{BOT}> tell <!here>", "tell @here"),
    (f"<@{BOT}> tell <!everyone>", "tell @everyone"),
    (f"<@{BOT}> tell <!subteam^S123|@admins>", "tell @admins"),
    (f"<@{BOT}> tell <!subteam^S123>", "tell @subteam"),
    (f"<@{BOT}> in <#C123|general>", "in #general"),
    (f"<@{BOT}> in <#C123>", "in <#C123>"),
    (f"<@{BOT}> in <#C123|>", "in <#C123>"),
    (f"<@{BOT}> on <!date^1392734382^{{date}}|Feb 18, 2014>", "on Feb 18, 2014"),
    # links
    (f"<@{BOT}> see <https://x.com/a>", "see https://x.com/a"),
    (f"<@{BOT}> see <https://x.com/a|https://x.com/a>", "see https://x.com/a"),
    (f"<@{BOT}> see <http://x.com|x.com>", "see x.com"),
    (f"<@{BOT}> see <http://x.com/|x.com>", "see x.com"),
    (f"<@{BOT}> see <https://x.com/a|the page>", "see the page (https://x.com/a)"),
    (f"<@{BOT}> see <https://x.com/?a=1&amp;b=2>", "see https://x.com/?a=1&b=2"),
    (f"<@{BOT}> hire <mailto:ann@x.com|ann@x.com>", "hire ann@x.com"),
    (f"<@{BOT}> hire <mailto:ann@x.com>", "hire ann@x.com"),
    (f"<@{BOT}> call <tel:+4912345|+4912345>", "call +4912345"),
    # entities
    (f"<@{BOT}> R&amp;D", "R&D"),
    (f"<@{BOT}> 1 &lt; 2 &gt; 0", "1 < 2 > 0"),
    (f"<@{BOT}> &amp;lt;b&amp;gt;", "&lt;b&gt;"),
    (f"<@{BOT}> &lt;https://x.com|label&gt;", "<https://x.com|label>"),
    # what is left alone
    (f"<@{BOT}> *bold* `code` _it_", "*bold* `code` _it_"),
    (f"<@{BOT}> ```a\n  b```", "```a\n  b```"),
    (f"<@{BOT}> 👩‍🚀 שלום", "👩‍🚀 שלום"),
    (f"<@{BOT}>\u00a0hello", "hello"),
    ("no mention at all", "no mention at all"),
    ("", ""),
]


@each_row("text, words", WORDS)
def test_a_message_is_read_as_the_person_typed_it(text: str, words: str) -> None:
    assert plain_words(text, BOT) == words


def test_entities_that_slack_does_not_escape_are_the_persons_own() -> None:
    """Slack escapes &, < and > alone; `&copy;` in a message is what somebody typed, sent as `&amp;copy;`."""
    assert plain_words("&amp;copy; and &amp;#64;", BOT) == "&copy; and &#64;"


@settings(max_examples=75)
@given(st.text(st.sampled_from(f"<>|@!#^&;: \nab{BOT}"), max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert f"<@{BOT}>" not in plain_words(text, BOT) or "<" in text


@each_row("piece", ["<", "<a|", f"<@{BOT}|", f"<@{BOT}", " \t", "&", "&#"])
def test_a_long_text_is_read_in_a_moment(piece: str) -> None:
    """Ten times as long as Slack lets it be."""
    plain_words(piece * (10 * MAX_WORDS // len(piece)), BOT)


# --- mentions ---------------------------------------------------------------------------------------------------------


def asked(payload: Json) -> Mention:
    """The mention that a person made."""
    found = mention(payload)
    assert isinstance(found, Mention)
    return found


def test_a_mention_is_read() -> None:
    assert mention(envelope()) == Mention(
        event_id="Ev111",
        thread=Thread("T0LOCAL", "C0HR", "1595926230.009600"),
        ts="1595926230.009600",
        user="U0ANN",
        text=f"<@{BOT}> hello",
        in_thread=False,
        is_foreign=False,
    )


def test_a_mention_in_a_thread_belongs_to_that_thread() -> None:
    found = asked(envelope(thread_ts="1595926000.000100"))
    assert (found.thread.ts, found.in_thread) == ("1595926000.000100", True)


@each_row(
    "event",
    [
        {"subtype": "file_share", "files": [{}]},
        {"subtype": "thread_broadcast"},
        {"subtype": None},
        {"bot_id": None},
        {"edited": None},
        {"edited": {"user": "U0ANN", "ts": "1.1"}},
    ],
)
def test_a_persons_own_new_words_are_a_mention(event: Json) -> None:
    assert mention(envelope(**event)) is not None


@each_row(
    "event",
    [
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"hidden": True},
        {"subtype": "channel_join"},
        {"subtype": ["file_share"]},
        {"subtype": {}},
        {"user": ...},
        {"user": None},
        {"user": ""},
        {"user": "<U0ANN>"},
        {"user": "U0/ANN"},
        {"user": "U0ANN\n"},
        {"user": 5},
        {"user": "U" * 99},
        {"channel": None},
        {"channel": "C/1"},
        {"channel": "../C1"},
        {"ts": None},
        {"ts": 1595926230.0096},
        {"ts": "1595926230"},
        {"ts": "１.１"},
        {"ts": "1.1\n"},
        {"ts": "-1.1"},
        {"ts": "9" * 30 + ".1"},
    ],
)
def test_what_is_no_persons_new_message_is_no_mention(event: Json) -> None:
    assert mention(envelope(**event)) is None


@each_row(
    "changes",
    [
        {"event": None},
        {"event": []},
        {"event": "x"},
        {"event_id": None},
        {"event_id": ""},
        {"event_id": 5},
        {"event_id": "E" * 201},
        {"team_id": "T/1", "event": {}},
    ],
)
def test_an_envelope_that_lacks_what_is_needed_is_no_mention(changes: Json) -> None:
    assert mention(envelope() | changes) is None


@pytest.mark.parametrize("changes", [{"user": "u0ann"}, {"channel": "c-1.x_y"}, {"user": "7"}], ids=str)
def test_an_id_may_be_of_another_length_and_alphabet(changes: Json) -> None:
    """Slack promises neither; all that matters is that it is safe in keys and mentions."""
    found = asked(envelope(**changes))
    assert changes.items() <= {"user": found.user, "channel": found.thread.channel}.items()


def test_a_mention_and_a_click_that_name_no_team_are_of_the_same_thread() -> None:
    found = asked(envelope(team=..., ts="111.111") | {"team_id": None})
    pressed = interaction(press(team=None, user={"id": "U0ANN"}))
    assert pressed is not None
    assert found.thread == pressed.thread
    assert not found.is_foreign


def test_the_team_may_stand_in_the_event_alone() -> None:
    found = asked(envelope() | {"team_id": None})
    assert found.thread.team == "T0LOCAL"


@pytest.mark.parametrize(
    ("event", "is_foreign"),
    [
        ({"user_team": "T9OTHER"}, True),
        ({"source_team": "T9OTHER"}, True),
        ({"user_team": "T0LOCAL"}, False),
        ({"user_team": None}, False),
    ],
)
def test_an_author_of_another_organisation_is_foreign(event: Json, is_foreign: bool) -> None:
    found = asked(envelope(**event))
    assert found.is_foreign is is_foreign


@pytest.mark.parametrize("text", [None, 5, [], {}])
def test_a_mention_without_text_is_a_bare_one(text: object) -> None:
    found = asked(envelope(text=text))
    assert found.text == ""


def test_a_text_beyond_slacks_own_bound_is_cut() -> None:
    found = asked(envelope(text="x" * 100_000))
    assert len(found.text) == MAX_WORDS


def test_half_an_emoji_in_a_text_becomes_text_that_can_be_stored() -> None:
    found = asked(json.loads(json.dumps(envelope(text="hello \ud83d"))))
    plain_words(found.text, BOT).encode()
    found.event_id.encode()


# --- edits, apps, what is attached ------------------------------------------------------------------------------------


def test_a_mention_that_an_edit_tells_of_says_so() -> None:
    found = asked(envelope(edited={"user": "U0ANN", "ts": "1595926240.000000"}))
    assert (found.is_edited, found.ts, found.text) == (True, "1595926230.009600", f"<@{BOT}> hello")


def change(text: str, before: object, **event: Any) -> Json:
    """A message_changed as Slack delivers it to who is subscribed to a channel's messages."""
    message: Json = {"type": "message", "user": "U0ANN", "ts": "111.222", "thread_ts": "111.111", "text": text}
    message |= {"edited": {"user": "U0ANN", "ts": "111.300"}}
    event = {"channel_type": "channel"} | event
    inner = {"type": "message", "subtype": "message_changed", "hidden": True, "channel": "C0HR", "ts": "111.301"}
    return envelope() | {"event": inner | event | {"message": message, "previous_message": before}}


def test_a_change_that_adds_a_mention_is_a_mention_by_the_ts_of_the_message() -> None:
    found = message(change(f"<@{BOT}> who is new?", {"ts": "111.222", "text": "who is new?"}))
    assert isinstance(found, Mention)
    assert (found.thread.ts, found.ts, found.user) == ("111.111", "111.222", "U0ANN")
    assert (found.text, found.in_thread, found.is_edited) == (f"<@{BOT}> who is new?", True, True)


@each_row(
    "payload",
    [
        change(f"<@{BOT}> who?", {"ts": "111.222", "text": f"<@{BOT}|hr-bot> wo?"}),
        change("who?", {"ts": "111.222", "text": f"<@{BOT}> who?"}),
        change("who?", None),
        change("<@U0BEN> who?", None),
        change(f"<@{BOT}> who?", None) | {"authorizations": None},
        change(f"<@{BOT}> who?", None, channel_type="im"),
        envelope(type="message", channel_type="channel"),
    ],
)
def test_other_changes_and_messages_of_a_channel_say_nothing(payload: Json) -> None:
    assert message(payload) is None


@pytest.mark.parametrize(
    ("event", "user", "bot"),
    [
        ({"bot_id": "B1"}, "U0ANN", "B1"),
        ({"subtype": "bot_message", "user": ..., "bot_id": "B1"}, "U0", "B1"),
        ({"subtype": "bot_message", "user": None}, "U0", ""),
        ({"user": "USLACKBOT"}, "USLACKBOT", ""),
    ],
    ids=str,
)
def test_a_mention_by_an_app_has_nobody_to_answer_for_it(event: Json, user: str, bot: str) -> None:
    place = Thread("T0LOCAL", "C0HR", "1595926230.009600")
    found = mention(envelope(**event))
    assert found == AppMention("Ev111", place, "1595926230.009600", user, bot, text=f"<@{BOT}> hello")


def test_a_mention_by_an_app_says_which_one_and_what() -> None:
    shared = {"author_name": "Ben Ortiz", "text": "Tom leaves"}
    event = {
        "bot_id": "B1",
        "app_id": "A1",
        "user": ...,
        "attachments": [shared],
        "edited": {"user": "U0", "ts": "1.1"},
    }
    found = mention(envelope(**event))
    assert isinstance(found, AppMention)
    assert (found.bot_id, found.app_id, found.text, found.is_edited) == ("B1", "A1", f"<@{BOT}> hello", True)
    assert found.attached == (Attached("Ben Ortiz", "Tom leaves"),)
    row = {"event_id": "Ev111", "thread": found.thread.key, "kind": "app", "payload": as_json(found, None)}
    assert from_row(row)[0] == found


def test_an_app_mention_that_an_earlier_version_recorded_can_be_read() -> None:
    kept = {"ts": "1.1", "user": "U0", "bot_id": "B1"}
    row = {"event_id": "Ev1", "thread": "T0/C0/1.1", "kind": "app", "payload": json.dumps(kept)}
    assert from_row(row)[0] == AppMention("Ev1", Thread("T0", "C0", "1.1"), "1.1", "U0", "B1")


def test_apps_in_direct_messages_say_nothing_to_the_bot() -> None:
    assert message(envelope(type="message", channel_type="im", bot_id="B1")) is None


def test_what_is_attached_to_a_mention_goes_with_it() -> None:
    shared = {"author_name": "Ben Ortiz", "text": "Tom leaves", "fallback": "ben: Tom leaves"}
    found = asked(envelope(attachments=[shared], files=[{"id": "F1", "name": "list.csv"}], subtype="file_share"))
    assert (found.attached, found.files) == ((Attached("Ben Ortiz", "Tom leaves"),), ("list.csv",))
    as_json(found, None)


def test_what_is_recorded_of_attachments_is_bounded() -> None:
    found = asked(envelope(attachments=[{"text": "x" * 30_000}] * 100))
    assert [len(one.text) for one in found.attached] == [4_000] * 20


@each_row(
    "text, files, has_attached, asks",
    [
        (f"<@{BOT}> who?", [], True, "who?"),
        (f"<@{BOT}>", [], False, ""),
        (f"<@{BOT}>", [], True, "(no words of their own, only what is attached to the message)"),
        (f"<@{BOT}>", ["a.csv"], False, "[Attached file, of which only the name can be read: a.csv]"),
        (f"<@{BOT}> who?", ["a", "b"], False, "who?\n[Attached file, of which only the name can be read: a]\n"
         "[Attached file, of which only the name can be read: b]"),
    ],
)  # fmt: skip
def test_a_question_names_its_files(text: str, files: list[str], has_attached: bool, asks: str) -> None:
    assert question(text, files, BOT, has_attached=has_attached) == asks


# --- clicks -----------------------------------------------------------------------------------------------------------


PRESSED = Click("", Thread("T0LOCAL", "C0HR", "111.111"), "U0ANN", TOKEN, "approve", "111.222.valid", in_view=False)


def nameless(found: Interaction | None) -> Interaction | None:
    """Without the id that its content gives it."""
    return replace(found, event_id="") if found is not None else None


def test_an_interactions_id_is_its_content() -> None:
    first, same, other = (interaction(press(trigger_id=one)) for one in ("1.2.a", "1.2.a", "1.2.b"))
    assert first is not None
    assert same is not None
    assert other is not None
    assert first.event_id == same.event_id != other.event_id
    assert first.event_id.startswith("click:")


def test_a_click_is_read() -> None:
    assert nameless(interaction(press())) == PRESSED


@each_row(
    "changes",
    [
        {"team": None},
        {"channel": None},
        {"message": None},
        {"container": {"message_ts": "111.111", "channel_id": "C0HR"}, "message": {"thread_ts": "111.111"}},
        {"container": {"message_ts": "111.111"}, "message": None},
        {"container": {"thread_ts": "111.111"}, "message": 5},
    ],
)
def test_a_click_is_read_from_whichever_field_has_it(changes: Json) -> None:
    found = interaction(press(**changes))
    assert isinstance(found, Click)
    assert replace(found, event_id="", in_thread=True) == PRESSED


@pytest.mark.parametrize(
    ("container", "in_thread"),
    [
        ({"message_ts": "111.222", "channel_id": "C0HR", "thread_ts": "111.111"}, True),
        ({"message_ts": "111.111", "channel_id": "C0HR", "thread_ts": "111.111"}, False),
        ({"message_ts": "111.111", "channel_id": "C0HR"}, False),
    ],
    ids=["a reply", "a thread's first message", "no thread"],
)
def test_who_presses_looks_at_the_thread_or_at_the_channel(container: Json, in_thread: bool) -> None:
    pressed = interaction(press(container=container, message=None))
    message = {"ts": container["message_ts"], "thread_ts": container.get("thread_ts")}
    chosen = interaction(
        press(type="message_action", callback_id="delete_message", message_ts=container["message_ts"], message=message)
    )
    assert isinstance(pressed, Click)
    assert isinstance(chosen, Shortcut)
    assert (pressed.in_thread, chosen.in_thread) == (in_thread, in_thread)


def action(**changes: Any) -> Json:
    return {"actions": [press()["actions"][0] | changes]}


@each_row(
    "changes",
    [
        {"type": "view_submission"},
        {"type": "block_suggestion"},
        {"type": None},
        {"type": ["block_actions"]},
        {"actions": None},
        {"actions": []},
        {"actions": [None]},
        {"actions": {}},
        {"actions": "approve"},
        action(action_id="approve "),
        action(action_id="APPROVE"),
        action(action_id=None),
        action(action_id=["approve"]),
        action(action_id="remove"),
        action(value=None),
        action(value=""),
        action(value=TOKEN + "0"),
        action(value=TOKEN[1:]),
        action(value=TOKEN.upper()),
        action(value=TOKEN + "\n"),
        action(value=5),
        action(value=[TOKEN]),
        action(value="' or 1=1 --".ljust(32)),
        action(value="٠" * 32),
        {"user": None},
        {"user": {}},
        {"user": {"id": None}},
        {"user": {"id": "<@U0>"}},
        {"user": "U0ANN"},
        {"channel": None, "container": None},
        {"container": None, "message": None},
    ],
)
def test_what_is_no_press_of_our_buttons_is_no_click(changes: Json) -> None:
    assert interaction(press(**changes)) is None


# --- modals and App Home ----------------------------------------------------------------------------------------------

OWN_LANE = Thread("T0LOCAL", "U0ANN", "0")


def press_in_view(action_id: str = "page_on", **view: Any) -> Json:
    """A block_actions payload of a modal, or of App Home, as Slack sends it."""
    shown = {"id": "V111", "type": "modal", "callback_id": "whole_request", "private_metadata": "3", "blocks": []}
    payload = press(view=shown | view, **action(action_id=action_id))
    return {name: one for name, one in payload.items() if name not in ("channel", "message", "container")}


def submission(**view: Any) -> Json:
    """A view_submission payload as Slack sends it."""
    state = {"values": {"reason": {"reason": {"type": "plain_text_input", "value": "  he is on leave "}}}}
    shown = {"id": "V111", "type": "modal", "callback_id": "deny_reason", "private_metadata": TOKEN, "state": state}
    payload = press(type="view_submission", view=shown | view)
    return {name: one for name, one in payload.items() if name not in ("channel", "message", "container", "actions")}


def test_a_press_in_a_view_is_of_the_persons_own_thread() -> None:
    assert nameless(interaction(press_in_view())) == Click(
        "", OWN_LANE, "U0ANN", TOKEN, "page_on", "111.222.valid", in_view=True, view="V111", page=3
    )


@each_row("page", ["", "-1", "1000", "x", "1.5", "٣", None, 5, "2\n"])
def test_a_page_that_is_none_is_the_first(page: object) -> None:
    found = interaction(press_in_view(private_metadata=page))
    assert isinstance(found, Click)
    assert found.page == 0


def test_a_denial_with_its_reason_is_read() -> None:
    assert nameless(interaction(submission())) == Click(
        "", OWN_LANE, "U0ANN", TOKEN, "deny", "111.222.valid", in_view=True, reason="he is on leave"
    )


@each_row("given_, reason", [(None, ""), (5, ""), ("", ""), ("x" * 900, "x" * 500), ("a\0\ud800b", "a?b")])
def test_a_reason_is_text_that_can_be_stored(given_: object, reason: str) -> None:
    found = interaction(submission(state={"values": {"reason": {"reason": {"value": given_}}}}))
    assert isinstance(found, Click)
    assert found.reason == reason


@each_row(
    "view",
    [
        {"callback_id": "whole_request"},
        {"callback_id": "notice"},
        {"callback_id": None},
        {"private_metadata": ""},
        {"private_metadata": TOKEN[1:]},
        {"private_metadata": None},
    ],
)
def test_a_submission_of_another_modal_decides_nothing(view: Json) -> None:
    assert interaction(submission(**view)) is None


def home(**event: Any) -> Json:
    inner = {"type": "app_home_opened", "user": "U0ANN", "channel": "D1", "tab": "home", "event_ts": "1.1"}
    return envelope() | {"event": inner | event}


def test_an_opened_home_is_read() -> None:
    assert home_opened(home()) == HomeOpened("Ev111", OWN_LANE, "U0ANN")


@pytest.mark.parametrize("event", [{"tab": "about"}, {"tab": None}, {"user": None}, {"user": "U0/ANN"}], ids=str)
def test_what_is_no_opened_home_is_none(event: Json) -> None:
    assert home_opened(home(**event)) is None


# --- every field of every kind ----------------------------------------------------------------------------------------

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        "",
        "x",
        "C/1",
        "\ud800",
        "\n",
        "9" * 300,
        [],
        [None],
        {},
        {"id": None},
        {"id": []},
        [[]],
        {"": {}},
    ]
)


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every value inside of `value`, and to itself."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in pairs for place in places(one, (*at, key)))]


def changed(payload: Json, where: tuple[Any, ...], value: object) -> Any:
    if not where:
        return value
    whole = copy.deepcopy(payload)
    at: Any = whole
    for step in where[:-1]:
        at = at[step]
    at[where[-1]] = value
    return whole


SAMPLES = [
    (mention, envelope(thread_ts="1.1", user_team="T1", edited=None, bot_id=None, subtype=None)),
    (interaction, press()),
    (interaction, press_in_view()),
    (interaction, submission()),
    (home_opened, home()),
]


@each_row("read, sample", SAMPLES)
def test_every_field_may_be_null_or_gone(read: Any, sample: Json) -> None:
    for where in places(sample)[1:]:
        read(changed(sample, where, None))
        gone = copy.deepcopy(sample)
        at: Any = gone
        for step in where[:-1]:
            at = at[step]
        del at[where[-1]]
        read(gone)


@pytest.mark.parametrize(("read", "sample"), SAMPLES, ids=["mention", "click", "in a view", "submission", "home"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_fields_of_every_kind_are_read_without_an_error(read: Any, sample: Json, data: st.DataObject) -> None:
    payload = sample
    for _ in range(data.draw(st.integers(1, 3))):
        payload = changed(payload, data.draw(st.sampled_from(places(payload)[1:])), data.draw(ODD))
    found = read(payload)
    if found is not None:
        assert Thread.from_key(found.thread.key) == found.thread
        as_json(found, None).encode()


# --- whom it is for ---------------------------------------------------------------------------------------------------

INSTALLED: list[tuple[object, list[str] | None]] = [
    (
        [{"team_id": "T1", "enterprise_id": None, "user_id": "U1", "is_bot": True, "is_enterprise_install": False}],
        ["T1"],
    ),
    ([{"team_id": "T1", "enterprise_id": "E1"}], ["E1", "T1"]),
    ([{"team_id": None, "enterprise_id": "E1", "is_enterprise_install": True}], ["E1"]),
    ([{"team_id": "T1"}, {"team_id": "T2"}], ["T1", "T2"]),
    ([{}], []),
    ([None, 5], []),
    ("T1", []),
    ([], None),
    (None, None),
]


@each_row("authorizations, named", INSTALLED)
def test_the_installations_of_an_envelope_are_read(authorizations: object, named: list[str] | None) -> None:
    assert installed_in({"authorizations": authorizations}) == named


def test_an_envelope_may_name_no_installation() -> None:
    assert installed_in({}) is None
