"""The outbox: each thread's posts in order, each once, whatever Slack or this machine does meanwhile."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from base.thread import TOP, Thread
from emulator.emulator import Workspace
from model.transcript import Replied
from slack_io.assistant_status import Presence
from slack_io.outbox import Outbox
from slack_io.streaming import Growing
from slack_io.web_api import SlackWeb
from store.holds import Overtaken
from store.posts import Post, ephemeral, live, message, thumbs_up, update
from store.store import Store, Turn
from tests.harness.databases import ENGINES, fresh_database
from tests.harness.loopback import Loopback, Reply, Request, as_json

_numbers = itertools.count(1)


class Clock:
    """The time of day, moved on by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class House:
    """A thread in the workspace, begun by Ann, and everything needed to speak in it."""

    def __init__(self, workspace: Workspace, url: str, clock: Clock) -> None:
        self.workspace = workspace
        self.url = url
        self.stores: list[Store] = []
        self.clock = clock
        self.unshown: list[str] = []
        self.woken: list[str] = []
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
        self.stores.append(Store(self.url, self.clock, journal_key="k"))
        web = SlackWeb(self.workspace.bot_token, api_url, timeout=5, clock=self.clock)
        self.presence = Presence(web, self.woken.append, clock=self.clock)
        self.growing = Growing(web, self.woken.append, self.ended.append, clock=self.clock)
        outbox = Outbox(
            web,
            self.store,
            self.growing,
            self.presence,
            unshown=self.unshown.append,
            home_url=lambda: "https://local.slack.com/",
            clock=self.clock,
            steady=self.clock,
        )
        self.store.on_posts = outbox.expect
        for thread in self.store.unrested()[2]:
            outbox.expect(thread)
        return outbox

    def thinks(self) -> bool:
        """Notes that the bot thinks; whether there is something to show."""
        self.woken.clear()
        self.presence.status(self.thread.key, "is thinking...")
        return bool(self.woken)

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
        """Delivers as the lane would until nothing is left, on the clock's own time; gives the seconds that took."""
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
def house(tmp_path: Path, clock: Clock, engine: str) -> Iterator[House]:
    with Workspace() as workspace:
        house = House(workspace, fresh_database(engine, tmp_path), clock)
        yield house
        assert workspace.violations == []
    house.close()


def button(action: str = "approve") -> dict[str, Any]:
    return {"type": "button", "action_id": action, "text": {"type": "plain_text", "text": "Approve"}, "value": "0" * 32}


CARD = [
    {"type": "section", "text": {"type": "plain_text", "text": "DELETE"}},
    {"type": "actions", "elements": [button()]},
]
DECIDED = [{"type": "section", "text": {"type": "plain_text", "text": "DELETE, denied"}}]


# --- in order, once ---------------------------------------------------------------------------------------------------


def test_posts_go_out_in_their_order_into_their_thread(house: House) -> None:
    for text in ("one", "two", "three"):
        house.say(text)
    assert house.deliver() is None
    assert house.texts == ["one", "two", "three"]
    assert house.due == []
    assert house.deliver() is None
    assert house.texts == ["one", "two", "three"]


def test_a_message_carries_its_id_and_fetches_no_previews(house: House) -> None:
    one = house.say("see http://example.com")
    house.deliver()
    (call,) = house.workspace.calls_of("chat.postMessage")
    assert (call.args["unfurl_links"], call.args["unfurl_media"]) == (False, False)
    assert call.args["thread_ts"] == house.ts
    sent = house.workspace.messages("C0HR", house.ts)[-1]
    assert sent["metadata"]["event_payload"]["post"] == one.post


def test_the_four_kinds_arrive(house: House) -> None:
    card = house.say("card", blocks=CARD)
    house.post(
        thumbs_up("r", house.thread.key, "", house.ts),
        update("u", house.thread.key, "", card.post, "denied", DECIDED),
        ephemeral("e", house.thread.key, "", "U0BEN", "not you"),
        ephemeral("f", house.thread.key, "", "U0ANN", "in the channel", in_thread=False),
    )
    assert house.deliver() is None
    assert house.texts == ["denied"]
    assert [r["name"] for r in house.workspace.reactions("C0HR", house.ts)] in (["thumbsup"], ["+1"])
    assert [(m["text"], m.get("thread_ts")) for m in house.workspace.ephemerals("U0BEN")] == [("not you", house.ts)]
    assert [(m["text"], m.get("thread_ts")) for m in house.workspace.ephemerals("U0ANN")] == [("in the channel", None)]
    shown = house.workspace.messages("C0HR", house.ts)[-1]
    assert [block["type"] for block in shown["blocks"]] == ["section"]


def test_a_thumbs_up_that_is_there_already_is_fine(house: House) -> None:
    for name in ("r1", "r2"):
        house.post(thumbs_up(name, house.thread.key, "", house.ts))
        assert house.deliver() is None
    assert house.due == []


def test_threads_do_not_wait_for_each_other(house: House) -> None:
    house.say("held")
    other = Thread("T0LOCAL", "C0HR", house.workspace.say("U0BEN", "elsewhere"))
    house.workspace.fault("chat.postMessage", "drop")
    assert house.deliver() is not None
    house.post(message("o", other.key, "", "other"))
    assert house.outbox.deliver(other.key) is None
    assert house.texts == []
    assert [m["text"] for m in house.workspace.messages("C0HR", other.ts)][1:] == ["other"]


# --- lost answers -----------------------------------------------------------------------------------------------------


def test_a_message_whose_answer_was_lost_is_found_and_not_posted_twice(house: House) -> None:
    house.say("once")
    house.say("then this")
    house.workspace.fault("chat.postMessage", "timeout")
    assert house.deliver() is not None
    assert house.texts == ["once"]
    house.deliver_all()
    assert house.texts == ["once", "then this"]
    assert house.methods.count("conversations.replies") == 1


@pytest.mark.parametrize("kind", ["drop", "http_500", "empty_503", "error"])
def test_a_message_that_never_arrived_is_looked_for_and_posted(house: House, kind: Any) -> None:
    house.say("once")
    house.workspace.fault("chat.postMessage", kind, times=3)
    house.deliver_all()
    assert house.texts == ["once"]
    assert house.methods.count("conversations.replies") == 3


def test_a_card_whose_answer_was_lost_is_found_and_then_changed(house: House) -> None:
    card = house.say("card", blocks=CARD)
    house.workspace.fault("chat.postMessage", "timeout")
    house.deliver()
    house.post(update("u", house.thread.key, "", card.post, "denied", DECIDED))
    house.deliver_all()
    assert house.texts == ["denied"]


def test_after_a_restart_the_thread_is_read_before_an_old_post_is_posted(house: House) -> None:
    house.say("once")
    house.workspace.fault("chat.postMessage", "timeout")
    house.deliver()
    house.clock.now += 1
    house.outbox = house.open(house.workspace.api_url)
    house.deliver_all()
    assert house.texts == ["once"]
    house.say("new")
    house.deliver_all()
    assert house.texts == ["once", "new"]
    assert house.methods.count("conversations.replies") == 1


@pytest.mark.parametrize("moved", [3_600.0, -3_600.0], ids=["forth", "back"])
@pytest.mark.parametrize("place", ["thread", "channel"])
def test_a_clock_that_was_set_while_the_process_was_down_doubles_nothing(
    house: House, moved: float, place: str
) -> None:
    if place == "channel":
        house.thread = Thread("T0LOCAL", "C0HR", TOP)
    house.clock.now -= moved  # the clock was wrong, and is right again at the next start
    house.say("once")
    house.workspace.fault("chat.postMessage", "timeout")
    assert house.deliver() is not None
    house.clock.now += moved
    house.outbox = house.open(house.workspace.api_url)
    house.deliver_all()
    assert len(house.workspace.calls_of("chat.postMessage")) == 1
    assert house.due == []


@pytest.mark.parametrize("engine", ["postgresql"])
@pytest.mark.parametrize("arrives", [True, False])
def test_who_takes_over_from_a_server_waits_for_what_may_be_on_its_way(house: House, arrives: bool) -> None:
    """On a server another process may have lost the database and be in the middle of its call to Slack."""
    one = house.say("once")
    house.outbox = house.open(house.workspace.api_url)
    wait = house.deliver()
    assert wait is not None
    assert wait > 10  # seconds: the time that a call may take
    assert house.texts == []
    if arrives:
        meta = {"event_type": "bot_turn", "event_payload": {"turn": "", "post": one.post}}
        said = {"channel": "C0HR", "thread_ts": house.ts, "text": "once", "metadata": meta}
        SlackWeb(house.workspace.bot_token, house.workspace.api_url).call("chat.postMessage", said)
    house.deliver_all()
    assert house.texts == ["once"]
    assert len(house.workspace.calls_of("chat.postMessage")) == 1
    house.say("new")
    assert house.deliver() is None
    assert house.texts == ["once", "new"]


@pytest.mark.parametrize("engine", ENGINES)
def test_who_was_overtaken_says_nothing_more(house: House, engine: str) -> None:
    first, card = house.outbox, house.say("card", blocks=CARD)
    house.deliver()
    first.expect(house.thread.key)
    house.outbox = house.open(house.workspace.api_url)
    house.deliver()
    house.post(
        update("u", house.thread.key, "", card.post, "denied", DECIDED),
        ephemeral("e", house.thread.key, "", "U0BEN", "not you"),
        thumbs_up("r", house.thread.key, "", house.ts),
        live("l", house.thread.key, "", "U0ANN", "The beginning"),
    )
    before = house.methods
    with pytest.raises(Overtaken):
        first.deliver(house.thread.key)
    assert house.methods == before
    house.deliver_all()
    assert house.texts == ["denied", "The beginning"]


def test_a_message_is_found_in_a_long_thread(house: House) -> None:
    house.say("once")
    house.workspace.fault("chat.postMessage", "timeout")
    for i in range(220):
        house.workspace.say("U0BEN", f"chatter {i}", thread_ts=house.ts)
    house.deliver()
    for i in range(220):
        house.workspace.say("U0BEN", f"more chatter {i}", thread_ts=house.ts)
    house.deliver_all()
    assert house.texts == ["once"]
    assert house.methods.count("conversations.replies") > 1


def test_another_bots_message_is_not_taken_for_one_that_grows(house: House) -> None:
    def answer(request: Request) -> Reply:
        messages = [{"ts": "1.1", "user": "U0OTHER", "bot_id": "B0OTHER", "text": "another bot's"}]
        return as_json({"ok": True, "ts": "9.9", "messages": messages})

    with Loopback(answer) as server:
        house.post(live("l", house.thread.key, "", "U0ANN", "The beginning"))
        house.outbox = house.open(f"{server.url}/api/")
        house.outbox.deliver(house.thread.key)
        assert [one.path.rpartition("/")[2].partition("?")[0] for one in server.requests] == [
            "conversations.replies",
            "chat.postMessage",
        ]


def test_somebody_elses_metadata_is_not_taken_for_ours(house: House) -> None:
    """Messages of other apps, and odd ones, stand in the same thread."""

    def answer(request: Request) -> Reply:
        if "conversations.replies" in request.path:
            odd: list[Any] = [None, "text", {}, {"metadata": None}, {"metadata": {"event_payload": []}}, {"ts": 5}]
            odd += [{"ts": "1.1", "metadata": {"event_type": "other", "event_payload": {"post": "another"}}}]
            return as_json({"ok": True, "messages": odd, "response_metadata": None})
        return as_json({"ok": True, "ts": "9.9"})

    with Loopback(answer) as server:
        house.say("once")
        house.outbox = house.open(f"{server.url}/api/")
        assert house.deliver() is None
        asked = [request.path.partition("?")[0] for request in server.requests]
        assert asked == ["/api/conversations.replies", "/api/chat.postMessage"]


ODD = {
    "200 with a page": Reply(200, b"<html>Please log in to the company's proxy</html>", {"Content-Type": "text/html"}),
    "200 with nothing": Reply(200, b""),
    "a text": Reply(200, b'"ok"'),
    "null": Reply(200, b"null"),
    "no answer": Reply(drop=True),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_answer_costs_no_message_and_doubles_none(house: House, odd: Reply) -> None:
    """Something between us and Slack passes the first post on and spoils its answer; the thread has it, so it is not posted again."""
    posted: list[Any] = []

    def answer(request: Request) -> Reply:
        if "chat.postMessage" in request.path:
            posted.append(request.json() | {"ts": f"{len(posted) + 1}.000000"})
            return odd if len(posted) == 1 else as_json({"ok": True, "ts": posted[-1]["ts"]})
        return as_json({"ok": True, "messages": posted})

    with Loopback(answer) as server:
        house.outbox = house.open(f"{server.url}/api/")
        house.say("once")
        for _ in range(3):
            try:
                house.deliver()
            except Exception:  # what a lane would log and try again
                continue
        assert [one["text"] for one in posted] == ["once"]
        assert house.due == []
        assert house.unshown == []


def test_repeated_trouble_is_waited_out_ever_longer(house: House) -> None:
    house.say("once")
    house.workspace.fault("chat.postMessage", "drop", times=12)
    waits = []
    while (wait := house.deliver()) is not None:
        waits.append(wait)
        house.clock.now += wait
    assert waits == sorted(waits)
    assert waits[-1] == 30
    assert house.texts == ["once"]


# --- slow down --------------------------------------------------------------------------------------------------------


def test_slow_down_holds_the_thread_in_order_for_its_seconds(house: House) -> None:
    house.say("one")
    house.post(ephemeral("e", house.thread.key, "", "U0ANN", "after one"))
    house.say("two")
    house.workspace.fault("chat.postMessage", "ratelimited", retry_after=17)
    assert house.deliver() == 17
    assert house.deliver() == pytest.approx(17)
    assert house.methods == ["chat.postMessage"]
    house.clock.now += 17
    assert house.deliver() is None
    assert house.methods == ["chat.postMessage", "chat.postMessage", "chat.postEphemeral", "chat.postMessage"]
    assert house.texts == ["one", "two"]


def test_slow_down_for_one_method_does_not_hold_others(house: House) -> None:
    card = house.say("card", blocks=CARD)
    house.deliver()
    house.workspace.fault("chat.postMessage", "ratelimited", retry_after=17)
    house.say("answer")
    assert house.deliver() == 17
    other = Thread("T0LOCAL", "C0HR", house.workspace.say("U0BEN", "elsewhere"))
    house.post(thumbs_up("r", other.key, "", other.ts), ephemeral("e", other.key, "", "U0BEN", "hello"))
    assert house.outbox.deliver(other.key) is None
    assert house.texts == ["card"]
    house.post(update("u", house.thread.key, "", card.post, "denied", DECIDED))
    house.clock.now += 17
    assert house.deliver() is None
    assert house.texts == ["denied", "answer"]


@pytest.mark.parametrize("kind", ["ratelimited", "drop", "http_500"])
def test_a_thumbs_up_holds_up_no_answer(house: House, kind: Any) -> None:
    house.workspace.fault("reactions.add", kind, times=2)
    house.post(thumbs_up("r", house.thread.key, "", house.ts))
    house.say("answer")
    assert house.deliver() is not None
    assert house.texts == ["answer"]
    assert house.due == ["r"]
    house.deliver_all()
    assert len(house.workspace.reactions("C0HR", house.ts)) == 1
    assert house.texts == ["answer"]


@pytest.mark.parametrize("kind", ["ratelimited", "drop", "error"])
def test_a_thumbs_up_that_never_works_is_given_up(house: House, kind: Any) -> None:
    house.workspace.fault("reactions.add", kind, times=1_000)
    house.post(thumbs_up("r", house.thread.key, "", house.ts))
    assert house.deliver_all() < 900
    assert house.due == []


def test_more_messages_than_slack_takes_at_once_all_arrive_in_order(house: House) -> None:
    for i in range(14):
        house.say(str(i))
    house.deliver_all()
    assert house.texts == [str(i) for i in range(14)]


# --- updates ----------------------------------------------------------------------------------------------------------


def test_of_several_updates_of_a_card_only_the_last_is_sent(house: House) -> None:
    card = house.say("card", blocks=CARD)
    house.deliver()
    for i in range(3):
        house.post(update(f"u{i}", house.thread.key, "", card.post, f"state {i}", DECIDED))
    assert house.deliver() is None
    assert [call.args["text"] for call in house.workspace.calls_of("chat.update")] == ["state 2"]
    assert house.due == []


def test_updates_of_different_cards_are_all_sent(house: House) -> None:
    cards = [house.say(f"card {i}", blocks=CARD) for i in range(2)]
    for i in (0, 1, 0, 1):
        house.post(update(f"u{next(_numbers)}", house.thread.key, "", cards[i].post, f"decided {i}", DECIDED))
    assert house.deliver() is None
    assert house.texts == ["decided 0", "decided 1"]
    assert len(house.workspace.calls_of("chat.update")) == 2


def test_an_update_that_met_silence_is_sent_again(house: House) -> None:
    card = house.say("card", blocks=CARD)
    house.deliver()
    house.post(update("u", house.thread.key, "", card.post, "denied", DECIDED))
    house.workspace.fault("chat.update", "drop", times=2)
    house.deliver_all()
    assert house.texts == ["denied"]


def test_an_update_of_a_card_that_was_never_shown_is_nothing(house: House) -> None:
    card = house.say("card", blocks=CARD)
    house.post(update("u", house.thread.key, "", card.post, "withdrawn", DECIDED))
    house.workspace.fault("chat.postMessage", "error", code="channel_not_found")
    assert house.deliver() is None
    assert house.methods == ["chat.postMessage"]
    assert house.due == []


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["channel_not_found", "is_archived", "not_in_channel", "restricted_action"])
def test_a_final_refusal_gives_up_tells_who_must_know_and_goes_on(house: House, code: str) -> None:
    refused = house.say("card", blocks=CARD)
    house.say("next")
    house.workspace.fault("chat.postMessage", "error", code=code)
    assert house.deliver() is None
    assert house.unshown == [refused.post]
    assert house.texts == ["next"]
    assert house.due == []


def test_blocks_that_slack_refuses_go_out_as_text(house: House) -> None:
    house.say("in plain words", blocks=[{"type": "markdown", "text": "**in** plain words"}])
    house.workspace.fault("chat.postMessage", "error", code="invalid_blocks")
    assert house.deliver() is None
    (sent,) = [m for m in house.workspace.messages("C0HR", house.ts) if m.get("bot_id")]
    assert sent["text"] == "in plain words"
    assert "blocks" not in sent
    assert house.unshown == []


def test_text_in_place_of_refused_blocks_is_not_posted_twice_either(house: House) -> None:
    house.say("in plain words", blocks=[{"type": "markdown", "text": "**in** plain words"}])
    for kind in ("error", "timeout", "error"):
        house.workspace.fault("chat.postMessage", kind, code="invalid_blocks")
    house.deliver_all()
    assert house.texts == ["in plain words"]


def test_a_card_without_its_buttons_would_be_none(house: House) -> None:
    card = house.say("card", blocks=CARD)
    house.workspace.fault("chat.postMessage", "error", code="invalid_blocks")
    assert house.deliver() is None
    assert house.texts == []
    assert house.unshown == [card.post]


def test_a_changed_card_that_has_to_be_posted_anew_is_a_card_as_well(house: House) -> None:
    """So that nobody can have it deleted."""
    card = house.say("card", blocks=CARD)
    house.deliver()
    house.post(update("u", house.thread.key, "", card.post, "denied", DECIDED))
    house.workspace.fault("chat.update", "error", code="edit_window_closed")
    house.deliver()
    house.deliver()  # what is said in its place
    (_, again) = [m for m in house.workspace.messages("C0HR", house.ts) if m.get("bot_id")]
    stored = house.store.message_at("C0HR", again["ts"])
    assert stored is not None
    assert stored.is_card


def test_a_line_for_somebody_who_left_is_dropped(house: House) -> None:
    house.post(ephemeral("e", house.thread.key, "", "U0NOBODY", "hello"))
    house.say("next")
    assert house.deliver() is None
    assert house.texts == ["next"]
    assert house.unshown == []


def test_a_revoked_token_loses_no_message(house: House) -> None:
    house.say("once")
    house.workspace.fault("chat.postMessage", "error", times=2, code="token_revoked")
    wait = house.deliver()
    assert wait is not None
    assert house.due != []
    house.deliver_all()
    assert house.texts == ["once"]
    assert house.unshown == []


# --- the status -------------------------------------------------------------------------------------------------------


def test_a_status_is_shown_once_and_gone_with_the_message(house: House) -> None:
    assert house.thinks()
    house.deliver()
    assert house.workspace.status("C0HR", house.ts) == "is thinking..."
    assert not house.thinks()
    house.deliver()
    house.say("answer")
    house.deliver()
    assert house.workspace.status("C0HR", house.ts) == ""
    house.deliver()
    assert house.methods == ["assistant.threads.setStatus", "chat.postMessage"]


def test_no_status_appears_after_the_message(house: House) -> None:
    house.thinks()
    house.say("answer")
    house.deliver()
    house.deliver()
    assert house.methods == ["chat.postMessage"]


def test_a_status_for_later_is_shown_when_its_time_has_come(house: House) -> None:
    house.thinks()
    house.deliver()
    house.presence.status(house.thread.key, "is reading /users")
    house.presence.status(house.thread.key, "is thinking...", after=0.5)
    assert house.deliver() == pytest.approx(0.5)
    assert house.workspace.status("C0HR", house.ts) == "is reading /users"
    house.clock.now += 0.5
    assert house.deliver() is None
    assert house.workspace.status("C0HR", house.ts) == "is thinking..."


def test_a_status_for_later_that_was_over_before_is_never_shown(house: House) -> None:
    for text, after in (("is reading /users", 0.0), ("is thinking...", 0.5), ("is reading /users", 0.0)):
        house.presence.status(house.thread.key, text, after=after)
        house.deliver()
    house.clock.now += 1
    assert house.deliver() is None
    assert house.methods == ["assistant.threads.setStatus"]
    assert house.workspace.status("C0HR", house.ts) == "is reading /users"


def test_no_status_for_later_appears_after_the_message(house: House) -> None:
    house.presence.status(house.thread.key, "is thinking...", after=0.5)
    assert house.deliver() == pytest.approx(0.5)
    house.say("answer")
    house.deliver()
    house.clock.now += 1
    assert house.deliver() is None
    assert house.methods == ["chat.postMessage"]


def test_a_status_is_shown_without_a_look_for_posts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.store, "due_posts", None)
    house.thinks()
    assert house.deliver() is None
    assert house.methods == ["assistant.threads.setStatus"]


def test_posts_that_could_not_be_read_are_looked_for_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.say("answer")
    with monkeypatch.context() as broken:
        broken.setattr(house.store, "due_posts", None)
        with pytest.raises(TypeError):
            house.deliver()
    assert house.deliver() is None
    assert house.texts == ["answer"]


def test_a_thumbs_up_on_its_way_does_not_swallow_the_status(house: House) -> None:
    house.post(thumbs_up("r", house.thread.key, "", house.ts))
    house.thinks()
    assert house.deliver() is None
    assert house.workspace.status("C0HR", house.ts) == "is thinking..."


def test_the_next_turn_shows_its_status_anew(house: House) -> None:
    for text in ("one", "two"):
        assert house.thinks()
        house.deliver()
        house.say(text)
        house.deliver()
    assert house.methods.count("assistant.threads.setStatus") == 2


def test_a_long_turn_shows_its_status_again_before_slack_drops_it(house: House) -> None:
    house.thinks()
    house.deliver()
    house.clock.now += 110
    assert house.thinks()
    house.deliver()
    assert house.methods.count("assistant.threads.setStatus") == 2


def test_a_status_that_slack_refuses_is_not_tried_again(house: House) -> None:
    house.workspace.fault("assistant.threads.setStatus", "error", code="missing_scope")
    house.thinks()
    assert house.deliver() is None
    house.clock.now += 1_000
    assert not house.thinks()


@pytest.mark.parametrize("kind", ["ratelimited", "drop", "empty_503"])
def test_a_status_that_does_not_arrive_holds_up_nothing(house: House, kind: Any) -> None:
    house.workspace.fault("assistant.threads.setStatus", kind)
    house.thinks()
    assert house.deliver() is None
    house.say("answer")
    house.deliver()
    assert house.texts == ["answer"]


def test_a_turns_messages_are_looked_for_from_its_mention_on(house: House) -> None:
    ts = house.workspace.say("U0ANN", "and now?", thread_ts=house.ts)
    house.store.record("mention", house.thread, {}, event_id="Ev1", ts=ts)
    (arrival,) = house.store.arrivals(house.thread.key)
    turn = Turn("t1", house.thread.key, "U0ANN", "and now?", ts)
    house.store.admit(arrival, turn, {"taken": [], "kept": [], "too many": []}, workers=1, max_waiting=1)
    house.store.end_turn(turn, [message("m1", house.thread.key, "t1", "now")], said=Replied("now"), usage=None)
    house.workspace.fault("chat.postMessage", "timeout")
    house.deliver_all()
    assert house.texts == ["now"]
    (look,) = house.workspace.calls_of("conversations.replies")
    assert look.args["oldest"] == ts
