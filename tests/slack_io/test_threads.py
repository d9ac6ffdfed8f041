"""Threads as people have them: late lists, edits, alerts, files, apps; by the front door, as Slack sends and shows it."""

from __future__ import annotations

import json
from typing import Any

from emulator.emulator import Workspace
from emulator.world import BOT_USER
from tests.harness.whole_bot import Json, Person, RunningBot, Script, Talk, buttons, calls, mention_of, said_by_people

NO_PERSON = "I only work for people, who can answer for what they ask. This came from a workflow or an app, so I haven't taken it up."
CREATE = calls(("POST", "/api/users", {"first_name": "Eve", "last_name": "Ng", "email": "eve@example.com"}))


def delivered(workspace: Workspace, events: int) -> None:
    """Waits until the bot has acknowledged so many mentions."""
    workspace.wait(lambda: sum(one.type == "app_mention" and one.reply.ok for one in workspace.attempts) >= events)


def context(messages: list[Json]) -> Any:
    """The lines of a thread that the model gets before the last question."""
    (found,) = [text for text in said_by_people(messages) if text.startswith("Written in this Slack thread")][-1:]
    return json.loads(found.partition(": ")[2])


# --- absence is no deletion -------------------------------------------------------------------------------------------


def test_a_question_in_a_thread_is_answered_where_slacks_list_lags_behind_its_event(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    root = workspace.say("U0BEN", "Tom leaves in March.", "C0HR")
    workspace.world.lag = 3_600.0
    ann.mentions("who replaces him?", thread_ts=root)
    assert Talk(workspace, root).answer() == "Done."
    assert said_by_people(model.asked[0])[-1] == "who replaces him?"
    assert context(model.asked[0]) == [{"from": "Ben Ortiz", "text": "Tom leaves in March."}]


def test_a_question_is_answered_whatever_slack_says_when_its_thread_is_read(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    for code in ("thread_not_found", "channel_not_found", "internal_error", "missing_scope"):
        root = workspace.say("U0BEN", "Tom leaves in March.", "C0HR")
        workspace.clear_faults()
        workspace.fault("conversations.replies", "error", code=code, times=3)
        ann.mentions("who replaces him?", thread_ts=root)
        assert Talk(workspace, root).answer() == "Done.", code
        assert workspace.calls_of("conversations.replies")[-1].fault, code


def test_a_question_is_answered_where_slack_does_not_say_at_this_moment_whether_it_is_there(
    bot: RunningBot, ann: Person, workspace: Workspace
) -> None:
    root = workspace.say("U0BEN", "Tom leaves in March.", "C0HR")
    workspace.world.lag = 3_600.0
    workspace.fault("reactions.add", "http_500", times=10)
    ann.mentions("who replaces him?", thread_ts=root)
    assert Talk(workspace, root).answer() == "Done."


def test_a_question_that_begins_a_thread_and_was_deleted_is_not_answered(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    model.hold()
    talk = ann.asks("first")
    model.wait_asked()
    second = ann.replies(talk, "second")
    workspace.delete("C0HR", talk.ts)  # a tombstone from now on
    model.let_go()
    talk.answer(2)
    bot.settle()
    assert said_by_people(model.asked[-1])[-1] == "second"
    assert "This message was deleted" not in json.dumps(model.asked)
    assert second


# --- edits ------------------------------------------------------------------------------------------------------------


def test_a_mention_that_an_edit_adds_is_a_question_once(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    ts = workspace.say("U0ANN", "who is new?", "C0HR")
    workspace.edit("U0ANN", "C0HR", ts, "@hr-bot who is new?")
    talk = Talk(workspace, ts)
    assert talk.answer() == "Done."
    for text in ("@hr-bot who is new here?", "@hr-bot who is new there?"):
        workspace.edit("U0ANN", "C0HR", ts, text)
    delivered(workspace, 3)
    bot.settle()
    assert talk.answers() == ["Done."]
    assert [said_by_people(asked) for asked in model.asked] == [["who is new?"]]


def test_a_question_that_is_edited_after_its_answer_is_no_second_one(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    talk = ann.asks("who is nwe?")
    talk.answer()
    workspace.edit("U0ANN", "C0HR", talk.ts, "@hr-bot who is new?")
    delivered(workspace, 2)
    bot.settle()
    assert len(model.asked) == 1


def test_a_mention_that_an_edit_adds_in_a_thread_is_answered_there(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    root = workspace.say("U0BEN", "Tom leaves.", "C0HR")
    ts = workspace.say("U0ANN", "who replaces him?", "C0HR", root)
    workspace.edit("U0ANN", "C0HR", ts, "@hr-bot who replaces him?")
    assert Talk(workspace, root).answer() == "Done."
    assert context(model.asked[0]) == [{"from": "Ben Ortiz", "text": "Tom leaves."}]


def test_a_change_event_that_adds_a_mention_and_the_mention_event_for_it_are_one_question(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    """Where the app is subscribed to a channel's messages, too."""
    sent = mention_of(workspace, "who is new?", edited={"user": "U0ANN", "ts": "1.1"})
    event = sent["event"]
    before = event | {"text": "who is new?"}
    changed = {"type": "message", "subtype": "message_changed", "channel_type": "channel", "hidden": True}
    changed |= {"channel": "C0HR", "ts": "9.9", "message": event, "previous_message": before}
    workspace.deliver(sent | {"event_id": "Ev0changed", "event": changed})
    workspace.deliver(sent)
    assert Talk(workspace, event["ts"]).answer() == "Done."
    bot.settle()
    assert len(model.asked) == 1


def test_an_edit_of_a_message_older_than_what_is_remembered_asks_nothing(
    bot: RunningBot, model: Script, workspace: Workspace
) -> None:
    workspace.deliver(mention_of(workspace, ts="1500000000.000100", edited={"user": "U0ANN", "ts": "1.1"}))
    bot.settle()
    assert model.asked == []
    assert workspace.calls_of("chat.postMessage") == []


# --- apps -------------------------------------------------------------------------------------------------------------


def test_a_mention_by_a_workflow_gets_one_word_in_its_thread(
    bot: RunningBot, model: Script, workspace: Workspace
) -> None:
    ts = workspace.app_says("Onboarding", "@hr-bot create an account for Eve")
    talk = Talk(workspace, ts)
    assert talk.answer() == NO_PERSON
    for number in range(3):
        workspace.app_says("Onboarding", f"@hr-bot please, {number}", "C0HR", ts)
    delivered(workspace, 4)
    bot.settle()
    assert talk.answers() == [NO_PERSON]
    assert model.asked == []
    lines = bot.store.journal.lines(kind="question refused")
    assert [json.loads(one.data) for one in lines] == [{"user": "B0OTHER", "reason": NO_PERSON}] * 4


def test_an_app_that_answers_each_word_with_a_mention_is_answered_once(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    talk = ann.asks("who is new?")
    talk.answer()
    for _ in range(3):
        workspace.app_says("Echo", "@hr-bot said something", "C0HR", talk.ts)
    delivered(workspace, 4)
    bot.settle()
    assert talk.answers() == ["Done.", NO_PERSON]
    assert len(model.asked) == 1


def test_what_an_app_posts_in_somebodys_name_has_nobody_to_answer_for_it(
    bot: RunningBot, model: Script, workspace: Workspace
) -> None:
    sent = mention_of(workspace, bot_id="B0OTHER", app_id="A0OTHER")
    workspace.deliver(sent)
    assert Talk(workspace, sent["event"]["ts"]).answer() == NO_PERSON
    assert model.asked == []


# --- alerts -----------------------------------------------------------------------------------------------------------

ALERT = {
    "title": "[FIRING:1] HighLatency",
    "text": "p99 is 2.4 s",
    "fields": [{"title": "Host", "value": "db-1", "short": True}],
    "fallback": "[FIRING:1] HighLatency",
}
LATENCY = "[FIRING:1] HighLatency\np99 is 2.4 s\nHost: db-1"


def test_an_alert_is_context_with_all_that_it_says(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    root = workspace.app_says("AlertManager", "", attachments=[ALERT])
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "*Disk* full"}}
    workspace.app_says("Grafana", "This content can't be displayed.", "C0HR", root, blocks=[block])
    ann.mentions("who is on call?", thread_ts=root)
    Talk(workspace, root).answer()
    assert context(model.asked[0]) == [
        {"bot": "AlertManager", "data": LATENCY},
        {"bot": "Grafana", "data": "*Disk* full"},
    ]


def test_a_question_whose_words_stand_in_rich_text_alone_is_read(
    bot: RunningBot, model: Script, workspace: Workspace
) -> None:
    leaves = [{"type": "user", "user_id": BOT_USER}, {"type": "text", "text": " who is <new>?"}]
    blocks = [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": leaves}]}]
    sent = mention_of(workspace, blocks=blocks) | {"event_id": "Ev0rich"}
    sent["event"]["text"] = ""
    workspace.deliver(sent)
    Talk(workspace, sent["event"]["ts"]).answer()
    assert said_by_people(model.asked[0]) == ["who is <new>?"]


SHARED = {
    "author_name": "Ben Ortiz",
    "is_share": True,
    "text": "Please add Eve Ng",
    "fallback": "ben: Please add Eve Ng",
}


def test_what_is_attached_to_a_question_is_data_beside_it(bot: RunningBot, model: Script, workspace: Workspace) -> None:
    nothing = "(no words of their own, only what is attached to the message)"
    for typed, asked in {"is that right?": "is that right?", "": nothing}.items():
        sent = mention_of(workspace, typed, attachments=[SHARED])
        workspace.deliver(sent)
        Talk(workspace, sent["event"]["ts"]).answer()
        assert said_by_people(model.asked[-1])[-1] == asked
        assert context(model.asked[-1]) == [{"attached": "Ben Ortiz", "data": "Please add Eve Ng"}]


def test_after_what_somebody_attached_a_post_waits_for_a_click(
    bot: RunningBot, model: Script, workspace: Workspace
) -> None:
    """The attachment is not what the asker wrote, and the model may follow it."""
    model.will(CREATE)
    sent = mention_of(workspace, "do what is needed", attachments=[SHARED])
    workspace.deliver(sent)
    card = Talk(workspace, sent["event"]["ts"]).card()
    assert "approve" in buttons(card)


# --- files ------------------------------------------------------------------------------------------------------------


def test_model_and_person_hear_that_of_a_file_the_name_alone_is_known(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    for words in (["add those"], []):
        typed = " ".join(["@hr-bot", *words])
        talk = Talk(workspace, workspace.say("U0ANN", typed, "C0HR", files=["people.csv", "<!channel>.txt"]))
        assert talk.answer() == (
            "Done.\n\n_(Attached: `people.csv`, `<!channel>.txt`. I can only read the names of files, not what is in them.)_"
        )
        assert "<!" not in workspace.calls_of("chat.postMessage")[-1].args["text"]
        assert said_by_people(model.asked[-1])[-1].split("\n") == [
            *words,
            "[Attached file, of which only the name can be read: people.csv]",
            "[Attached file, of which only the name can be read: <!channel>.txt]",
        ]


def test_a_file_of_an_earlier_message_is_named_in_the_context(
    bot: RunningBot, ann: Person, model: Script, workspace: Workspace
) -> None:
    root = workspace.say("U0BEN", "", "C0HR", files=["people.csv"])
    ann.mentions("what is this?", thread_ts=root)
    Talk(workspace, root).answer()
    (line,) = context(model.asked[0])
    assert line == {"from": "Ben Ortiz", "text": "[Attached file, of which only the name can be read: people.csv]"}


# --- where people look ------------------------------------------------------------------------------------------------


def test_a_refusal_appears_where_the_person_asked(bot: RunningBot, gus: Person, workspace: Workspace) -> None:
    gus.asks("who is new?")
    gus.aside()
    root = workspace.say("U0BEN", "Tom leaves.", "C0HR")
    gus.mentions("who replaces him?", thread_ts=root)
    gus.aside(2)
    assert [one.get("thread_ts") for one in workspace.ephemerals("U0GUS")] == [None, root]


def test_a_shortcut_that_is_refused_on_a_message_without_a_thread_is_refused_in_the_channel(
    bot: RunningBot, ann: Person, workspace: Workspace
) -> None:
    """Slack shows what only one person sees in no thread that has no replies yet."""
    ts = workspace.say("U0BEN", "Tom leaves.", "C0HR")
    workspace.shortcut("U0ANN", ts, "delete_message")
    assert ann.aside() == "I can only delete my own messages, and I don't know this one."
    assert [one.get("thread_ts") for one in workspace.ephemerals("U0ANN")] == [None]
