"""People change and delete what was written, share files, and the bot reads it back as Slack lets it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from emulator.world import BOT_USER
from tests.harness.recording_bot import Stage, error_of, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def texts(stage: Stage, root: str, channel: str = "C0HR") -> list[str]:
    """The thread as the bot reads it."""
    return [m["text"] for m in stage.client.conversations_replies(channel=channel, ts=root)["messages"]]


def test_an_edit_in_a_channel_is_seen_by_reading_alone(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "remove Tom")
    stage.workspace.edit("U0ANN", "C0HR", root, "remove Ben & Tom")
    stage.workspace.say("U0ANN", "@hr-bot now", thread_ts=root)
    assert [event["text"] for event in stage.events(1)] == ["<@U0BOT> now"]
    read = stage.client.conversations_replies(channel="C0HR", ts=root)["messages"][0]
    assert (read["text"], read["edited"]["user"]) == ("remove Ben &amp; Tom", "U0ANN")


def test_an_edit_of_what_mentions_the_bot_is_told_by_a_mention_with_the_same_ts(stage: Stage) -> None:
    ts = stage.workspace.say("U0ANN", "@hr-bot remove Tom")
    stage.events(1)
    stage.workspace.edit("U0ANN", "C0HR", ts, "@hr-bot remove Ben & Tom")
    first, second = stage.events(2)
    assert (second["type"], second["ts"], second["text"]) == ("app_mention", ts, "<@U0BOT> remove Ben &amp; Tom")
    assert ("edited" in first, second["edited"]["user"]) == (False, "U0ANN")


def test_an_app_posts_without_a_person_and_is_told_of_where_it_mentions_the_bot(stage: Stage) -> None:
    root = stage.workspace.app_says("Alerts", "", attachments=[{"title": "Disk full"}])
    stage.workspace.app_says("Alerts", "@hr-bot look", thread_ts=root)
    (event,) = stage.events(1)
    assert (event["type"], event.get("user"), event["username"]) == ("app_mention", None, "Alerts")
    listed = stage.client.conversations_replies(channel="C0HR", ts=root)["messages"]
    assert [one.get("attachments") for one in listed] == [[{"title": "Disk full"}], None]


def test_what_is_listed_of_a_thread_may_lag_behind_the_events(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "remove Tom")
    stage.workspace.say("U0BEN", "why?", thread_ts=root)
    stage.workspace.world.lag = 3_600.0
    listed = stage.client.conversations_replies(channel="C0HR", ts=root)["messages"]
    assert [one["text"] for one in listed] == ["remove Tom"]


def test_an_ephemeral_message_shows_in_no_thread_that_has_no_replies(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "remove Tom")
    stage.client.chat_postEphemeral(channel="C0HR", user="U0ANN", thread_ts=root, text="unseen")
    stage.workspace.say("U0BEN", "why?", thread_ts=root)
    stage.client.chat_postEphemeral(channel="C0HR", user="U0ANN", thread_ts=root, text="seen")
    assert [one["text"] for one in stage.workspace.ephemerals("U0ANN")] == ["seen"]


def test_an_edit_in_a_direct_message_is_told_with_what_was_there(stage: Stage) -> None:
    ts = stage.workspace.say("U0ANN", "one", channel="D0ANN")
    stage.workspace.edit("U0ANN", "D0ANN", ts, "two")
    changed = stage.events(2)[1]
    assert (changed["type"], changed["subtype"], changed["hidden"]) == ("message", "message_changed", True)
    assert (changed["previous_message"]["text"], changed["message"]["text"]) == ("one", "two")
    assert (changed["message"]["ts"], changed["channel_type"]) == (ts, "im")
    assert changed["ts"] > ts
    assert changed["message"]["blocks"][0]["elements"][0]["elements"][0]["text"] == "two"


def test_only_the_author_edits_and_only_an_administrator_deletes_what_others_wrote(stage: Stage) -> None:
    ts = stage.workspace.say("U0ANN", "mine")
    own = stage.client.chat_postMessage(channel="C0HR", text="the bot's")["ts"]
    for user, which in (("U0BEN", ts), ("U0ANN", own)):
        with pytest.raises(LookupError):
            stage.workspace.edit(user, "C0HR", which, "changed")
    with pytest.raises(LookupError):
        stage.workspace.delete("C0HR", own, "U0ANN")
    stage.workspace.delete("C0HR", ts, "U0ANN")
    stage.workspace.delete("C0HR", own, "U0BEN")
    assert stage.client.users_info(user="U0BEN")["user"]["is_admin"]
    assert stage.workspace.messages("C0HR") == []
    assert error_of(stage.client.chat_update, channel="C0HR", ts=own, text="x") == "message_not_found"


def test_a_deleted_direct_message_is_told_with_what_it_was(stage: Stage) -> None:
    ts = stage.workspace.say("U0ANN", "oops", channel="D0ANN")
    stage.workspace.delete("D0ANN", ts, "U0ANN")
    gone = stage.events(2)[1]
    assert (gone["subtype"], gone["deleted_ts"], gone["previous_message"]["text"]) == ("message_deleted", ts, "oops")
    assert gone["hidden"] is True


def test_the_deleted_root_of_a_thread_stays_as_a_tombstone(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "root", channel="D0ANN")
    stage.client.chat_postMessage(channel="D0ANN", thread_ts=root, text="answer")
    stage.workspace.delete("D0ANN", root, "U0ANN")
    changed = stage.events(3)[2]
    assert (changed["subtype"], changed["message"]["subtype"]) == ("message_changed", "tombstone")
    assert texts(stage, root, "D0ANN") == ["This message was deleted.", "answer"]
    late = stage.client.chat_postMessage(channel="D0ANN", thread_ts=root, text="late")
    assert late["message"]["thread_ts"] == root


def test_the_bot_deletes_its_own_message_and_the_thread_counts_one_less(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "root")
    own = [stage.client.chat_postMessage(channel="C0HR", thread_ts=root, text=text)["ts"] for text in ("a", "b")]
    stage.client.chat_delete(channel="C0HR", ts=own[0])
    assert texts(stage, root) == ["root", "b"]
    assert stage.workspace.messages("C0HR")[0]["reply_count"] == 1
    assert error_of(stage.client.chat_delete, channel="C0HR", ts=own[0]) == "message_not_found"
    assert error_of(stage.client.chat_delete, channel="C0HR", ts=root) == "cant_delete_message"


def test_a_file_makes_a_message_a_file_share_and_a_mention_stays_a_mention(stage: Stage) -> None:
    stage.workspace.say("U0ANN", "look", channel="D0ANN", files=["cv.pdf"])
    stage.workspace.say("U0ANN", "@hr-bot look", files=["cv.pdf", "photo.png"])
    direct, mention = stage.events(2)
    assert (direct["type"], direct["subtype"], direct["files"][0]["name"]) == ("message", "file_share", "cv.pdf")
    assert (mention["type"], "subtype" in mention) == ("app_mention", False)
    assert [file["mimetype"] for file in mention["files"]] == ["application/pdf", "image/png"]


def test_a_reply_shown_in_the_channel_has_the_subtype_of_a_broadcast(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "root", channel="D0ANN")
    stage.workspace.say("U0ANN", "all", channel="D0ANN", thread_ts=root, broadcast=True)
    event = stage.events(2)[1]
    assert (event["subtype"], event["thread_ts"]) == ("thread_broadcast", root)


# Reading


def test_a_range_of_a_thread_is_read(stage: Stage) -> None:
    root = stage.workspace.say("U0ANN", "0")
    stamps = [root, *(stage.workspace.say("U0ANN", str(n), thread_ts=root) for n in range(1, 5))]

    def read(client: WebClient = stage.client, **more: object) -> str:
        args = {"channel": "C0HR", "ts": root, **more}
        return "".join(m["text"] for m in client.api_call("conversations.replies", params=args)["messages"])

    assert read(oldest=stamps[1]) == "0234"  # the first message is always there
    assert read(oldest=stamps[1], inclusive=1) == "01234"
    assert read(latest=stamps[3]) == "012"
    assert read(latest=stamps[3], oldest=stamps[1], inclusive=1) == "0123"
    assert read(latest=stamps[3], oldest=stamps[1], limit=2) == "02"
    assert read(inclusive=1) == "01234"
    assert read(oldest=stamps[0].partition(".")[0]) == "01234"


def test_one_message_is_read_from_the_history(stage: Stage) -> None:
    stamps = [stage.workspace.say("U0ANN", str(n)) for n in range(4)]
    reply = stage.workspace.say("U0ANN", "reply", thread_ts=stamps[1])
    history = stage.client.conversations_history

    def read(**more: object) -> list[str]:
        return [m["text"] for m in history(channel="C0HR", **more)["messages"]]  # type: ignore[arg-type]

    assert read(latest=stamps[2], inclusive=True, limit=1) == ["2"]
    assert read(oldest=stamps[2], latest=stamps[2], inclusive=True, limit=1) == ["2"]
    assert read(oldest=stamps[1], inclusive=True, limit=2) == ["2", "1"]  # the closest to oldest, the newest first
    assert read(latest=reply, inclusive=True, limit=1) == ["3"]  # replies are not part of a channel's history
    assert read(limit=2) == ["3", "2"]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"latest": "yesterday"}, "invalid_ts_latest"),
        ({"oldest": "1503435956.00024700"}, "invalid_ts_oldest"),
        ({"limit": 1000}, "invalid_arguments"),
        ({"limit": 0}, "invalid_arguments"),
        ({"cursor": "nonsense"}, "invalid_cursor"),
    ],
)
def test_a_wrong_range_is_refused(stage: Stage, args: dict[str, object], error: str) -> None:
    call = {"channel": "C0HR", **args}
    assert error_of(stage.client.api_call, api_method="conversations.history", json=call) == error


def test_a_person_has_a_time_zone_and_a_message_a_link(stage: Stage) -> None:
    ann = stage.client.users_info(user="U0ANN")["user"]
    assert (ann["tz"], ann["tz_label"], ann["tz_offset"]) == ("Europe/Berlin", "Central European Time", 3600)
    root = stage.workspace.say("U0ANN", "root")
    reply = stage.workspace.say("U0ANN", "reply", thread_ts=root)
    link = stage.client.chat_getPermalink
    base = "https://local.slack.example/archives/C0HR/p"
    assert link(channel="C0HR", message_ts=root)["permalink"] == base + root.replace(".", "")
    assert link(channel="C0HR", message_ts=reply)["permalink"] == (
        f"{base}{reply.replace('.', '')}?thread_ts={root}&cid=C0HR"
    )
    assert error_of(link, channel="C0HR", message_ts="1503435956.000247") == "message_not_found"


def test_the_bot_and_the_team_are_described(stage: Stage) -> None:
    bot = stage.client.bots_info(bot="B0BOT")["bot"]
    assert (bot["user_id"], bot["app_id"]) == (BOT_USER, "A0APP")
    assert stage.client.team_info()["team"]["id"] == "T0LOCAL"
    assert error_of(stage.client.bots_info, bot="B0NONE") == "bot_not_found"
    opened = stage.client.conversations_open(users="U0ANN", return_im=True)["channel"]
    assert (opened["id"], opened["user"]) == ("D0ANN", "U0ANN")
