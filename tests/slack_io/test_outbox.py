"""The outbox: each thread's posts in order, each once, whatever Slack or this machine does meanwhile."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from base.thread import TOP, Thread
from emulator.emulator import Workspace
from slack_io.assistant_status import AssistantStatus
from slack_io.outbox import Outbox
from slack_io.pace import OwnPace
from slack_io.streaming import StreamedMessages
from slack_io.web_api import SlackWeb
from store.holds import Overtaken
from store.posts import DuePost, Post, ephemeral, live, message, thumbs_up, update
from store.store import Store
from store.transcript import AssistantMessage
from store.turns import Turn
from tests.harness.databases import ENGINES, opened_before
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.stores import QUIET, a_mention
from workers.wakes import Work
from workers.waking import Waking

_numbers = itertools.count(1)


class Clock:
    """The time of day, moved on by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class System:
    """A thread in the workspace, begun by Ann, and everything needed to speak in it."""

    def __init__(self, workspace: Workspace, url: str, clock: Clock) -> None:
        self.workspace = workspace
        self.url = url
        self.stores: list[Store] = []
        self.clock = clock
        self.unshown: list[str] = []
        self.ended: list[str] = []
        self.ts = workspace.say("U0ANN", "hello")
        self.thread = Thread("T0LOCAL", "C0HR", self.ts)
        self.outbox = self.open(workspace.api_url)

    @property
    def store(self) -> Store:
        """The store of the process that was opened last."""
        return self.stores[-1]

    def close(self) -> None:
        for store in self.stores:
            store.close()

    def open(self, api_url: str) -> Outbox:
        """A new outbox in a new process, as after a restart."""
        self.waking = Waking()
        self.stores.append(Store(self.url, self.clock, wakes=self.waking, journal_key="k"))
        self.pace = OwnPace(self.clock, self.store.check_hold)
        web = SlackWeb(self.workspace.bot_token, api_url, timeout=60, clock=self.clock, pace=self.pace)
        self.assistant_status = AssistantStatus(web, self.waking, clock=self.clock)
        self.growing = StreamedMessages(web, self.waking, self.ended.append, clock=self.clock)
        outbox = Outbox(
            web,
            self.store,
            self.growing,
            self.assistant_status,
            self.waking,
            unshown=self.unshown.append,
            clock=self.clock,
            steady=self.clock,
        )
        for thread in self.store.unrested()[2]:
            self.waking.wake(Work.POSTS, thread)
        return outbox

    def thinks(self) -> bool:
        """Notes that the bot thinks; whether there is something to show."""
        posts = self.waking.queues[Work.POSTS]
        if self.thread.key in posts:
            assert posts.take() == self.thread.key
            posts.done(self.thread.key)
        self.assistant_status.status(self.thread.key, "is thinking...", after=0.0)
        return self.thread.key in posts

    def post(self, *posts: Post) -> None:
        self.store.say(posts)

    def say(self, text: str, **more: Any) -> Post:
        """A message of the bot, to be delivered."""
        one = message(f"post-{next(_numbers)}", self.thread.key, "", text, **more)
        self.post(one)
        return one

    def deliver(self) -> float | None:
        return self.outbox.deliver(self.thread.key)

    def deliver_all(self) -> float:
        """Delivers as the workers would until nothing is left, on the clock's own time; gives the seconds that took."""
        began = self.clock.now
        while (wait := self.deliver()) is not None:
            self.clock.now += wait
            assert self.clock.now - began < 3_600
        return self.clock.now - began

    @property
    def texts(self) -> list[str]:
        """What the bot said in the thread, in the thread's order."""
        return [m["text"] for m in self.workspace.messages("C0HR", self.ts) if m.get("bot_id")]

    @property
    def methods(self) -> list[str]:
        return [call.method for call in self.workspace.calls]

    @property
    def due(self) -> list[str]:
        return [one.post.post for one in self.store.due_posts(self.thread.key)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> str:
    return "sqlite"


@pytest.fixture
def system(tmp_path: Path, clock: Clock, engine: str) -> Iterator[System]:
    with Workspace() as workspace:
        system = System(workspace, opened_before(engine, tmp_path, "k"), clock)
        yield system
        assert workspace.violations == []
    system.close()


def button(action: str = "approve") -> dict[str, Any]:
    return {"type": "button", "action_id": action, "text": {"type": "plain_text", "text": "Approve"}, "value": "0" * 32}


CARD = [
    {"type": "section", "text": {"type": "plain_text", "text": "DELETE"}},
    {"type": "actions", "elements": [button()]},
]
DECIDED = [{"type": "section", "text": {"type": "plain_text", "text": "DELETE, denied"}}]


# --- in order, once ---------------------------------------------------------------------------------------------------


def test_posts_go_out_in_their_order_into_their_thread(system: System) -> None:
    for text in ("one", "two", "three"):
        system.say(text)
    assert system.deliver() is None
    assert system.texts == ["one", "two", "three"]
    assert system.due == []
    assert system.deliver() is None
    assert system.texts == ["one", "two", "three"]


def test_a_message_carries_its_id_and_fetches_no_previews(system: System) -> None:
    one = system.say("see http://example.com")
    system.deliver()
    (call,) = system.workspace.calls_of("chat.postMessage")
    assert (call.args["unfurl_links"], call.args["unfurl_media"]) == (False, False)
    assert call.args["thread_ts"] == system.ts
    sent = system.workspace.messages("C0HR", system.ts)[-1]
    assert sent["metadata"]["event_payload"]["post"] == one.post


def test_the_four_kinds_arrive(system: System) -> None:
    card = system.say("card", blocks=CARD)
    system.post(
        thumbs_up("r", system.thread.key, "", system.ts),
        update("u", system.thread.key, "", card.post, "denied", DECIDED),
        ephemeral("e", system.thread.key, "", "U0BEN", "not you"),
        ephemeral("f", system.thread.key, "", "U0ANN", "in the channel", in_thread=False),
    )
    assert system.deliver() is None
    assert system.texts == ["denied"]
    assert [r["name"] for r in system.workspace.reactions("C0HR", system.ts)] in (["thumbsup"], ["+1"])
    assert [(m["text"], m.get("thread_ts")) for m in system.workspace.ephemerals("U0BEN")] == [("not you", system.ts)]
    assert [(m["text"], m.get("thread_ts")) for m in system.workspace.ephemerals("U0ANN")] == [("in the channel", None)]
    shown = system.workspace.messages("C0HR", system.ts)[-1]
    assert [block["type"] for block in shown["blocks"]] == ["section"]


def test_a_thumbs_up_that_is_there_already_is_fine(system: System) -> None:
    for name in ("r1", "r2"):
        system.post(thumbs_up(name, system.thread.key, "", system.ts))
        assert system.deliver() is None
    assert system.due == []


def test_threads_do_not_wait_for_each_other(system: System) -> None:
    system.say("held")
    other = Thread("T0LOCAL", "C0HR", system.workspace.say("U0BEN", "elsewhere"))
    system.workspace.fault("chat.postMessage", "drop")
    assert system.deliver() is not None
    system.post(message("o", other.key, "", "other"))
    assert system.outbox.deliver(other.key) is None
    assert system.texts == []
    assert [m["text"] for m in system.workspace.messages("C0HR", other.ts)][1:] == ["other"]


# --- lost answers -----------------------------------------------------------------------------------------------------


def test_a_message_whose_answer_was_lost_is_found_and_not_posted_twice(system: System) -> None:
    system.say("once")
    system.say("then this")
    system.workspace.fault("chat.postMessage", "timeout")
    assert system.deliver() is not None
    assert system.texts == ["once"]
    system.deliver_all()
    assert system.texts == ["once", "then this"]
    assert system.methods.count("conversations.replies") == 1


@pytest.mark.parametrize("kind", ["drop", "http_500", "empty_503", "error"])
def test_a_message_that_never_arrived_is_looked_for_and_posted(system: System, kind: Any) -> None:
    system.say("once")
    system.workspace.fault("chat.postMessage", kind, times=3)
    system.deliver_all()
    assert system.texts == ["once"]
    assert system.methods.count("conversations.replies") == 3


def test_a_card_whose_answer_was_lost_is_found_and_then_changed(system: System) -> None:
    card = system.say("card", blocks=CARD)
    system.workspace.fault("chat.postMessage", "timeout")
    system.deliver()
    system.post(update("u", system.thread.key, "", card.post, "denied", DECIDED))
    system.deliver_all()
    assert system.texts == ["denied"]


def test_after_a_restart_the_thread_is_read_before_an_old_post_is_posted(system: System) -> None:
    system.say("once")
    system.workspace.fault("chat.postMessage", "timeout")
    system.deliver()
    system.clock.now += 1
    system.outbox = system.open(system.workspace.api_url)
    system.deliver_all()
    assert system.texts == ["once"]
    system.say("new")
    system.deliver_all()
    assert system.texts == ["once", "new"]
    assert system.methods.count("conversations.replies") == 1


@pytest.mark.parametrize("moved", [3_600.0, -3_600.0], ids=["forth", "back"])
@pytest.mark.parametrize("place", ["thread", "channel"])
def test_a_clock_that_was_set_while_the_process_was_down_doubles_nothing(
    system: System, moved: float, place: str
) -> None:
    if place == "channel":
        system.thread = Thread("T0LOCAL", "C0HR", TOP)
    system.clock.now -= moved  # the clock was wrong, and is right again at the next start
    system.say("once")
    system.workspace.fault("chat.postMessage", "timeout")
    assert system.deliver() is not None
    system.clock.now += moved
    system.outbox = system.open(system.workspace.api_url)
    system.deliver_all()
    assert len(system.workspace.calls_of("chat.postMessage")) == 1
    assert system.due == []


@pytest.mark.parametrize("engine", ["postgresql"])
@pytest.mark.parametrize("arrives", [True, False])
def test_who_takes_over_from_a_server_waits_for_what_may_be_on_its_way(system: System, arrives: bool) -> None:
    """On a server another process may have lost the database and be in the middle of its call to Slack."""
    one = system.say("once")
    system.outbox = system.open(system.workspace.api_url)
    wait = system.deliver()
    assert wait is not None
    assert wait > 10  # seconds: the time that a call may take
    assert system.texts == []
    if arrives:
        meta = {"event_type": "bot_turn", "event_payload": {"turn": "", "post": one.post}}
        said = {"channel": "C0HR", "thread_ts": system.ts, "text": "once", "metadata": meta}
        SlackWeb(system.workspace.bot_token, system.workspace.api_url).call("chat.postMessage", said)
    system.deliver_all()
    assert system.texts == ["once"]
    assert len(system.workspace.calls_of("chat.postMessage")) == 1
    system.say("new")
    assert system.deliver() is None
    assert system.texts == ["once", "new"]


@pytest.mark.parametrize("engine", ENGINES)
def test_who_was_overtaken_says_nothing_more(system: System, engine: str) -> None:
    first, card = system.outbox, system.say("card", blocks=CARD)
    system.deliver()
    system.waking.wake(Work.POSTS, system.thread.key)
    system.outbox = system.open(system.workspace.api_url)
    system.deliver()
    system.post(
        update("u", system.thread.key, "", card.post, "denied", DECIDED),
        ephemeral("e", system.thread.key, "", "U0BEN", "not you"),
        thumbs_up("r", system.thread.key, "", system.ts),
        live("l", system.thread.key, "", "U0ANN", "The beginning"),
    )
    before = system.methods
    with pytest.raises(Overtaken):
        first.deliver(system.thread.key)
    assert system.methods == before
    system.deliver_all()
    assert system.texts == ["denied", "The beginning"]


def test_a_message_is_found_in_a_long_thread(system: System) -> None:
    system.say("once")
    system.workspace.fault("chat.postMessage", "timeout")
    for i in range(220):
        system.workspace.say("U0BEN", f"chatter {i}", thread_ts=system.ts)
    system.deliver()
    for i in range(220):
        system.workspace.say("U0BEN", f"more chatter {i}", thread_ts=system.ts)
    system.deliver_all()
    assert system.texts == ["once"]
    assert system.methods.count("conversations.replies") > 1


def test_another_bots_message_is_not_taken_for_one_that_grows(system: System) -> None:
    def answer(request: Request) -> Reply:
        messages = [{"ts": "1.1", "user": "U0OTHER", "bot_id": "B0OTHER", "text": "another bot's"}]
        return as_json({"ok": True, "ts": "9.9", "messages": messages})

    with Loopback(answer) as server:
        system.post(live("l", system.thread.key, "", "U0ANN", "The beginning"))
        system.outbox = system.open(f"{server.url}/api/")
        system.outbox.deliver(system.thread.key)
        assert [one.path.rpartition("/")[2].partition("?")[0] for one in server.requests] == [
            "auth.test",
            "conversations.replies",
            "chat.postMessage",
        ]


def test_somebody_elses_metadata_is_not_taken_for_ours(system: System) -> None:
    """Messages of other apps, and odd ones, stand in the same thread."""

    def answer(request: Request) -> Reply:
        if "conversations.replies" in request.path:
            odd: list[Any] = [None, "text", {}, {"metadata": None}, {"metadata": {"event_payload": []}}, {"ts": 5}]
            odd += [{"ts": "1.1", "metadata": {"event_type": "other", "event_payload": {"post": "another"}}}]
            return as_json({"ok": True, "messages": odd, "response_metadata": None})
        return as_json({"ok": True, "ts": "9.9"})

    with Loopback(answer) as server:
        system.say("once")
        system.outbox = system.open(f"{server.url}/api/")
        assert system.deliver() is None
        asked = [request.path.partition("?")[0] for request in server.requests]
        assert asked == ["/api/auth.test", "/api/conversations.replies", "/api/chat.postMessage"]


OWN = {"user": "U0BOT", "bot_id": "B0BOT", "app_id": "A0APP"}
FOREIGN: dict[str, dict[str, Any]] = {
    "another bot": {"user": "U0OTHER", "bot_id": "B0OTHER", "app_id": "A0OTHER"},
    "a person": {"user": "U0ANN"},
    "another app that names our user": OWN | {"bot_id": "B0OTHER", "app_id": "A0OTHER"},
    "another app by its id alone": OWN | {"app_id": "A0OTHER"},
    "another bot of our user's name": {"user": "U0BOT", "bot_id": "B0OTHER"},
    "another user of our app": OWN | {"user": "U0OTHER"},
}


def _with_metadata(author: dict[str, Any], post: str, seen: list[str]) -> Loopback:
    """A Slack whose thread holds one message of `author`, with the metadata of a post of ours."""

    def answer(request: Request) -> Reply:
        method = request.path.rpartition("/")[2].partition("?")[0]
        seen.append(method)
        if method == "auth.test":
            return as_json({"ok": True, "team_id": "T0LOCAL", "user_id": "U0BOT", "bot_id": "B0BOT", "app_id": "A0APP"})
        if method == "conversations.replies":
            metadata = {"event_type": "bot_turn", "event_payload": {"post": post, "turn": ""}}
            return as_json({"ok": True, "messages": [{"ts": "1.1", "text": "x", "metadata": metadata, **author}]})
        return as_json({"ok": True, "ts": "9.9"})

    return Loopback(answer)


@pytest.mark.parametrize("author", FOREIGN)
def test_another_apps_copy_of_our_metadata_drops_no_part_of_an_answer(system: System, author: str) -> None:
    one, seen = system.say("a part of an answer"), list[str]()
    with _with_metadata(FOREIGN[author], one.post, seen) as server:
        system.outbox = system.open(f"{server.url}/api/")
        assert system.deliver() is None
    assert seen == ["auth.test", "conversations.replies", "chat.postMessage"]
    assert system.due == []


@pytest.mark.parametrize("author", [OWN, {"user": "U0BOT"}, {"bot_id": "B0BOT"}], ids=str)
def test_what_our_own_app_posted_is_found(system: System, author: dict[str, Any]) -> None:
    one, seen = system.say("once"), list[str]()
    with _with_metadata(author, one.post, seen) as server:
        system.outbox = system.open(f"{server.url}/api/")
        assert system.deliver() is None
    assert seen == ["auth.test", "conversations.replies"]
    assert system.due == []


ODD = {
    "200 with a page": Reply(200, b"<html>Please log in to the company's proxy</html>", {"Content-Type": "text/html"}),
    "200 with nothing": Reply(200, b""),
    "a text": Reply(200, b'"ok"'),
    "null": Reply(200, b"null"),
    "no answer": Reply(drop=True),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_answer_costs_no_message_and_doubles_none(system: System, odd: Reply) -> None:
    """Something between us and Slack passes the first post on and spoils its answer; the thread has it, so it is not posted again."""
    posted: list[Any] = []

    def answer(request: Request) -> Reply:
        if "chat.postMessage" in request.path:
            posted.append(request.json() | {"ts": f"{len(posted) + 1}.000000"})
            return odd if len(posted) == 1 else as_json({"ok": True, "ts": posted[-1]["ts"]})
        return as_json({"ok": True, "messages": posted})

    with Loopback(answer) as server:
        system.outbox = system.open(f"{server.url}/api/")
        system.say("once")
        for _ in range(3):
            try:
                system.clock.now += system.deliver() or 0.0
            except Exception:  # what a worker would log and try again
                continue
        assert [one["text"] for one in posted] == ["once"]
        assert system.due == []
        assert system.unshown == []


def test_repeated_trouble_is_waited_out_ever_longer(system: System) -> None:
    system.say("once")
    system.workspace.fault("chat.postMessage", "drop", times=12)
    waits = []
    while (wait := system.deliver()) is not None:
        waits.append(wait)
        system.clock.now += wait
    assert waits == sorted(waits)
    assert waits[-1] == 30
    assert system.texts == ["once"]


# --- slow down --------------------------------------------------------------------------------------------------------


def test_slow_down_holds_the_thread_in_order_for_its_seconds(system: System) -> None:
    system.say("one")
    system.post(ephemeral("e", system.thread.key, "", "U0ANN", "after one"))
    system.say("two")
    system.workspace.fault("chat.postMessage", "ratelimited", retry_after=17)
    assert system.deliver() == 17
    assert system.deliver() == pytest.approx(17)
    assert system.methods == ["chat.postMessage"]
    system.clock.now += 17
    assert system.deliver() is None
    assert system.methods == ["chat.postMessage", "chat.postMessage", "chat.postEphemeral", "chat.postMessage"]
    assert system.texts == ["one", "two"]


def test_slow_down_for_one_method_does_not_hold_others(system: System) -> None:
    card = system.say("card", blocks=CARD)
    system.deliver()
    system.workspace.fault("chat.postMessage", "ratelimited", retry_after=17)
    system.say("answer")
    assert system.deliver() == 17
    other = Thread("T0LOCAL", "C0HR", system.workspace.say("U0BEN", "elsewhere"))
    system.post(thumbs_up("r", other.key, "", other.ts), ephemeral("e", other.key, "", "U0BEN", "hello"))
    assert system.outbox.deliver(other.key) is None
    assert system.texts == ["card"]
    system.post(update("u", system.thread.key, "", card.post, "denied", DECIDED))
    system.clock.now += 17
    assert system.deliver() is None
    assert system.texts == ["denied", "answer"]


@pytest.mark.parametrize("kind", ["ratelimited", "drop", "http_500"])
def test_a_thumbs_up_holds_up_no_answer(system: System, kind: Any) -> None:
    system.workspace.fault("reactions.add", kind, times=2)
    system.post(thumbs_up("r", system.thread.key, "", system.ts))
    system.say("answer")
    assert system.deliver() is not None
    assert system.texts == ["answer"]
    assert system.due == ["r"]
    system.deliver_all()
    assert len(system.workspace.reactions("C0HR", system.ts)) == 1
    assert system.texts == ["answer"]


@pytest.mark.parametrize("kind", ["ratelimited", "drop", "error"])
def test_a_thumbs_up_that_never_works_is_given_up(system: System, kind: Any) -> None:
    system.workspace.fault("reactions.add", kind, times=1_000, retry_after=20)
    system.post(thumbs_up("r", system.thread.key, "", system.ts))
    assert system.deliver_all() < 900
    assert system.due == []


def test_more_messages_than_slack_takes_at_once_all_arrive_in_order(system: System) -> None:
    for i in range(14):
        system.say(str(i))
    system.deliver_all()
    assert system.texts == [str(i) for i in range(14)]


# --- updates ----------------------------------------------------------------------------------------------------------


def test_of_several_updates_of_a_card_only_the_last_is_sent(system: System) -> None:
    card = system.say("card", blocks=CARD)
    system.deliver()
    for i in range(3):
        system.post(update(f"u{i}", system.thread.key, "", card.post, f"state {i}", DECIDED))
    assert system.deliver() is None
    assert [call.args["text"] for call in system.workspace.calls_of("chat.update")] == ["state 2"]
    assert system.due == []


def test_updates_of_different_cards_are_all_sent(system: System) -> None:
    cards = [system.say(f"card {i}", blocks=CARD) for i in range(2)]
    for i in (0, 1, 0, 1):
        system.post(update(f"u{next(_numbers)}", system.thread.key, "", cards[i].post, f"decided {i}", DECIDED))
    assert system.deliver() is None
    assert system.texts == ["decided 0", "decided 1"]
    assert len(system.workspace.calls_of("chat.update")) == 2


def test_an_update_that_met_silence_is_sent_again(system: System) -> None:
    card = system.say("card", blocks=CARD)
    system.deliver()
    system.post(update("u", system.thread.key, "", card.post, "denied", DECIDED))
    system.workspace.fault("chat.update", "drop", times=2)
    system.deliver_all()
    assert system.texts == ["denied"]


def test_an_update_of_a_card_that_was_never_shown_is_nothing(system: System) -> None:
    card = system.say("card", blocks=CARD)
    system.post(update("u", system.thread.key, "", card.post, "withdrawn", DECIDED))
    system.workspace.fault("chat.postMessage", "error", code="channel_not_found")
    assert system.deliver() is None
    assert system.methods == ["chat.postMessage"]
    assert system.due == []


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["channel_not_found", "is_archived", "not_in_channel", "restricted_action"])
def test_a_final_refusal_gives_up_tells_who_must_know_and_goes_on(system: System, code: str) -> None:
    refused = system.say("card", blocks=CARD)
    system.say("next")
    system.workspace.fault("chat.postMessage", "error", code=code)
    assert system.deliver() is None
    assert system.unshown == [refused.post]
    assert system.texts == ["next"]
    assert system.due == []


def test_blocks_that_slack_refuses_go_out_as_text(system: System) -> None:
    system.say("in plain words", blocks=[{"type": "markdown", "text": "**in** plain words"}])
    system.workspace.fault("chat.postMessage", "error", code="invalid_blocks")
    assert system.deliver() is None
    (sent,) = [m for m in system.workspace.messages("C0HR", system.ts) if m.get("bot_id")]
    assert sent["text"] == "in plain words"
    assert "blocks" not in sent
    assert system.unshown == []


def test_text_in_place_of_refused_blocks_is_not_posted_twice_either(system: System) -> None:
    system.say("in plain words", blocks=[{"type": "markdown", "text": "**in** plain words"}])
    for kind in ("error", "timeout", "error"):
        system.workspace.fault("chat.postMessage", kind, code="invalid_blocks")
    system.deliver_all()
    assert system.texts == ["in plain words"]


def test_a_card_without_its_buttons_would_be_none(system: System) -> None:
    card = system.say("card", blocks=CARD)
    system.workspace.fault("chat.postMessage", "error", code="invalid_blocks")
    assert system.deliver() is None
    assert system.texts == []
    assert system.unshown == [card.post]


def test_a_changed_card_that_has_to_be_posted_anew_is_a_card_as_well(system: System) -> None:
    """So that nobody can have it deleted."""
    card = system.say("card", blocks=CARD)
    system.deliver()
    system.post(update("u", system.thread.key, "", card.post, "denied", DECIDED))
    system.workspace.fault("chat.update", "error", code="edit_window_closed")
    system.deliver()
    system.deliver()  # what is said in its place
    (_, again) = [m for m in system.workspace.messages("C0HR", system.ts) if m.get("bot_id")]
    stored = system.store.message_at("C0HR", again["ts"])
    assert stored is not None
    assert stored.is_card


def test_a_line_for_somebody_who_left_is_dropped(system: System) -> None:
    system.post(ephemeral("e", system.thread.key, "", "U0NOBODY", "hello"))
    system.say("next")
    assert system.deliver() is None
    assert system.texts == ["next"]
    assert system.unshown == []


def test_a_revoked_token_loses_no_message(system: System) -> None:
    system.say("once")
    system.workspace.fault("chat.postMessage", "error", times=2, code="token_revoked")
    wait = system.deliver()
    assert wait is not None
    assert system.due != []
    system.deliver_all()
    assert system.texts == ["once"]
    assert system.unshown == []


def test_an_update_that_is_held_back_gives_way_to_the_one_after_it_and_holds_up_nothing(system: System) -> None:
    system.post(message("card", system.thread.key, "", "card"))
    system.deliver_all()
    system.post(update("u1", system.thread.key, "", "card", "being sent", [], wait=1.0))
    assert system.deliver() == pytest.approx(1.0)
    system.say("beside it")
    system.deliver()
    system.post(update("u2", system.thread.key, "", "card", "done", []))
    assert system.deliver() is None
    assert system.texts == ["done", "beside it"]
    assert system.methods.count("chat.update") == 1


def test_an_update_that_is_held_back_is_shown_where_nothing_takes_its_place(system: System) -> None:
    system.post(message("card", system.thread.key, "", "card"))
    system.deliver_all()
    system.post(update("u1", system.thread.key, "", "card", "being sent", [], wait=1.0))
    system.deliver()
    assert system.texts == ["card"]
    system.clock.now += 1.0
    assert system.deliver() is None
    assert system.texts == ["being sent"]


# --- the status -------------------------------------------------------------------------------------------------------


def test_a_status_is_shown_once_and_gone_with_the_message(system: System) -> None:
    assert system.thinks()
    system.deliver()
    assert system.workspace.status("C0HR", system.ts) == "is thinking..."
    assert not system.thinks()
    system.deliver()
    system.say("answer")
    system.deliver()
    assert system.workspace.status("C0HR", system.ts) == ""
    system.deliver()
    assert system.methods == ["assistant.threads.setStatus", "chat.postMessage"]


def test_no_status_appears_after_the_message(system: System) -> None:
    system.thinks()
    system.say("answer")
    system.deliver()
    system.deliver()
    assert system.methods == ["chat.postMessage"]


def test_a_status_for_later_is_shown_when_its_time_has_come(system: System) -> None:
    system.thinks()
    system.deliver()
    system.assistant_status.status(system.thread.key, "is reading /users", after=0.0)
    system.assistant_status.status(system.thread.key, "is thinking...", after=0.5)
    assert system.deliver() == pytest.approx(0.5)
    assert system.workspace.status("C0HR", system.ts) == "is reading /users"
    system.clock.now += 0.5
    assert system.deliver() is None
    assert system.workspace.status("C0HR", system.ts) == "is thinking..."


def test_a_status_for_later_that_was_over_before_is_never_shown(system: System) -> None:
    for text, after in (("is reading /users", 0.0), ("is thinking...", 0.5), ("is reading /users", 0.0)):
        system.assistant_status.status(system.thread.key, text, after=after)
        system.deliver()
    system.clock.now += 1
    assert system.deliver() is None
    assert system.methods == ["assistant.threads.setStatus"]
    assert system.workspace.status("C0HR", system.ts) == "is reading /users"


def test_of_many_short_steps_one_is_shown_in_a_while(system: System) -> None:
    """What takes another's place does not wait again."""
    for number in range(5):
        system.assistant_status.status(system.thread.key, f"is reading users, page {number}", after=1.0)
        system.deliver()
        system.clock.now += 0.4
    shown = [call.args["status"] for call in system.workspace.calls_of("assistant.threads.setStatus")]
    assert shown == ["is reading users, page 3"]


def test_no_status_for_later_appears_after_the_message(system: System) -> None:
    system.assistant_status.status(system.thread.key, "is thinking...", after=0.5)
    assert system.deliver() == pytest.approx(0.5)
    system.say("answer")
    system.deliver()
    system.clock.now += 1
    assert system.deliver() is None
    assert system.methods == ["chat.postMessage"]


def test_a_status_is_shown_without_a_look_for_posts(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.store, "due_posts", None)
    system.thinks()
    assert system.deliver() is None
    assert system.methods == ["assistant.threads.setStatus"]


def test_what_comes_back_in_vain_is_not_read_each_time(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a thousand thumbs-ups wait for Slack's pace where questions come as fast as Slack sends them."""
    reads: list[str] = []
    read = system.store.due_posts

    def counted(thread: str) -> list[DuePost]:
        reads.append(thread)
        return read(thread)

    monkeypatch.setattr(system.store, "due_posts", counted)
    system.post(thumbs_up("r", system.thread.key, "", system.ts))
    for _ in range(4):
        system.pace.hold("reactions.add", 30.0)
        assert system.deliver() == 30.0
        system.clock.now += 30.0
    assert len(reads) == 1
    system.pace.hold("reactions.add", 30.0)
    system.say("news")
    assert system.deliver() == 30.0
    system.clock.now += 30.0
    assert system.texts == ["news"]
    assert system.deliver() is None  # what was out before is not sent again with it
    assert system.methods.count("chat.postMessage") == 1
    assert system.methods.count("reactions.add") == 1


def test_a_thumbs_up_that_came_too_late_is_given_up_once(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[list[str]] = []
    mark = system.store.delivered

    def noted(done: list[tuple[str, str | None]], *of: Any, **more: Any) -> None:
        marked.append([post for post, _ts in done])
        mark(done, *of, **more)

    monkeypatch.setattr(system.store, "delivered", noted)
    system.post(thumbs_up("r", system.thread.key, "", system.ts))
    system.post(ephemeral("e", system.thread.key, "", "U0ANN", "for you"))
    system.clock.now += 301
    for _ in range(3):
        system.pace.hold("chat.postEphemeral", 30.0)
        assert system.deliver() == 30.0
        system.clock.now += 30.0
    assert marked == [["r"]]


@pytest.mark.parametrize("engine", ["postgresql"])
def test_what_did_not_leave_since_the_database_was_away_is_not_looked_for_in_slack(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pace is in the database. To read each thread in which something waited for that would hold up all of them for minutes."""
    system.say("answer")
    with monkeypatch.context() as away:

        def gives_no_answer(*_of: object, **_more: object) -> float:
            raise OperationalError("select", {}, Exception("server closed the connection"))

        away.setattr(system.pace, "take", gives_no_answer)
        with pytest.raises(OperationalError):
            system.deliver()
    assert system.deliver() is None
    assert system.texts == ["answer"]
    assert system.methods == ["chat.postMessage"]


def test_posts_that_could_not_be_read_are_looked_for_again(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.say("answer")
    with monkeypatch.context() as broken:
        broken.setattr(system.store, "due_posts", None)
        with pytest.raises(TypeError):
            system.deliver()
    assert system.deliver() is None
    assert system.texts == ["answer"]


def test_a_thumbs_up_on_its_way_does_not_swallow_the_status(system: System) -> None:
    system.post(thumbs_up("r", system.thread.key, "", system.ts))
    system.thinks()
    assert system.deliver() is None
    assert system.workspace.status("C0HR", system.ts) == "is thinking..."


def test_the_next_turn_shows_its_status_anew(system: System) -> None:
    for text in ("one", "two"):
        assert system.thinks()
        system.deliver()
        system.say(text)
        system.deliver()
    assert system.methods.count("assistant.threads.setStatus") == 2


def test_a_long_turn_shows_its_status_again_before_slack_drops_it(system: System) -> None:
    system.thinks()
    system.deliver()
    system.clock.now += 110
    assert system.thinks()
    system.deliver()
    assert system.methods.count("assistant.threads.setStatus") == 2


def test_a_status_that_slack_refuses_is_not_tried_again(system: System) -> None:
    system.workspace.fault("assistant.threads.setStatus", "error", code="missing_scope")
    system.thinks()
    assert system.deliver() is None
    system.clock.now += 1_000
    assert not system.thinks()


@pytest.mark.parametrize("kind", ["ratelimited", "drop", "empty_503"])
def test_a_status_that_does_not_arrive_holds_up_nothing(system: System, kind: Any) -> None:
    system.workspace.fault("assistant.threads.setStatus", kind)
    system.thinks()
    assert system.deliver() is None
    system.say("answer")
    system.deliver()
    assert system.texts == ["answer"]


def test_a_turns_messages_are_looked_for_from_its_mention_on(system: System) -> None:
    ts = system.workspace.say("U0ANN", "and now?", thread_ts=system.ts)
    system.store.record(a_mention("Ev1", system.thread, ts))
    (arrival,) = system.store.arrivals(system.thread.key)
    turn = Turn("t1", system.thread.key, "U0ANN", "and now?", ts)
    system.store.admit(arrival, turn, QUIET, workers=1, max_waiting=1)
    turn = system.store.begin_turn(turn, turn.text, ())
    system.store.end_turn(
        turn, [message("m1", system.thread.key, "t1", "now")], last_words=AssistantMessage("now"), usage=None
    )
    system.workspace.fault("chat.postMessage", "timeout")
    system.deliver_all()
    assert system.texts == ["now"]
    (look,) = system.workspace.calls_of("conversations.replies")
    assert look.args["oldest"] == ts
