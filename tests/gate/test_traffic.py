"""Targets under traffic: what moves by itself makes no approval out of date, what somebody changed does; over real HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gate.policy import State
from store.proposal_record import Proposal
from tests.harness.bot_parts import BotParts
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.whole_bot import Person, Script, StartBot, calls, card_text

QUEUE: dict[str, Any] = {"name": "mail", "durable": True, "policy": "keep", "stats": {"publish": 7, "rate": 0.5}}


class Queue(Loopback):
    """A queue's management API: at each look its counters have gone on. `changes` are made at looks by their number, from 1 on."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.looks = itertools.count(1)
        self.moving: Callable[[int], Any] = lambda look: {"messages": look}
        self.changes: dict[int, dict[str, Any]] = {}
        self._queue = dict(QUEUE)
        self.headers: dict[str, str] = {}
        self.takes = 204  # the status of a write

    def begin_anew(self) -> None:
        """As it was before the first look."""
        self.looks, self._queue = itertools.count(1), dict(QUEUE)
        self.requests.clear()

    def _answer(self, request: Request) -> Reply:
        if request.method != "GET":
            return Reply(self.takes)
        look = next(self.looks)
        self._queue |= self.changes.get(look, {})
        return as_json(self._queue | self.moving(look), 200, **self.headers)

    @property
    def writes(self) -> list[str]:
        return [one.method for one in self.requests if one.method != "GET"]


@pytest.fixture
def queue() -> Iterator[Queue]:
    with (running := Queue()):
        yield running


CATALOG = """
name: Queues
base_url: {url}
endpoints:
  - {{method: GET, url: "/queues/[name]", description: Shows a queue.}}
  - {{method: DELETE, url: "/queues/[name]", description: Removes a queue. {preview}}}
  - {{method: PATCH, url: "/queues/[name]", description: Changes a queue. {preview}}}
"""


@pytest.fixture
def make(tmp_path: Path, queue: Queue) -> Iterator[Callable[..., BotParts]]:
    made: list[BotParts] = []

    def make(preview: str = "") -> BotParts:
        text = CATALOG.format(url=queue.url, preview=f", preview: {preview}" if preview else "")
        made.append(BotParts(tmp_path, text, timeout=60, settles=0.01))
        return made[-1]

    yield make
    for one in made:
        one.close()


def approve(bot: BotParts, row: Proposal) -> Proposal:
    """Ann presses Approve, and the bot goes on; the record as it is then."""
    if row.state is State.PENDING:
        bot.press(row)
    bot.advance(row.thread)
    return bot.row(row)


def text_of(bot: BotParts, row: Proposal) -> str:
    """The card as it is drawn by now."""
    last = [post for post in bot.cards(row.thread) if row.card in (post.post, post.target)][-1]
    return card_text(last.arguments)


def test_what_moves_by_itself_outdates_nothing_and_the_ending_names_it(
    make: Callable[..., BotParts], queue: Queue
) -> None:
    """A message queue's counters made five of five approvals stale."""
    queue.moving = lambda look: {
        "messages": look,
        "stats": {"publish": look * 3, "rate": 0.5},
        "idle": "x" * (look % 3),
    }
    bot = make()
    row = approve(bot, bot.approved("DELETE", "/queues/mail"))
    assert (row.state, queue.writes) == (State.DONE, ["DELETE"])
    assert json.loads(row.moved) == [["stats.publish", "3", "9"], ["messages", "1", "3"], ["idle", '"x"', '""']]
    ending = (
        'Changed on its own meanwhile, so it did not count: stats.publish (3 → 9), messages (1 → 3), idle ("x" → "")'
    )
    assert ending in text_of(bot, row)
    (told,) = [json.loads(line.data) for line in bot.store.journal.lines(kind="succeed")]
    assert told["moved"] == ["stats.publish", "messages", "idle"]


def test_a_target_that_stands_still_is_looked_at_once(make: Callable[..., BotParts], queue: Queue) -> None:
    queue.moving = lambda _look: {"messages": 5}
    bot = make()
    row = approve(bot, bot.approved("DELETE", "/queues/mail"))
    assert (row.state, row.moved) == (State.DONE, "[]")
    assert [one.method for one in queue.requests] == ["GET", "GET", "DELETE"]


SOMEBODYS: list[dict[str, Any]] = [{"policy": "drop"}, {"name": "post"}, {"stats": {"publish": 7}}, {"owner": "ben"}]


def test_what_somebody_changed_among_what_moves_is_noticed(make: Callable[..., BotParts], queue: Queue) -> None:
    bot = make()
    for change in SOMEBODYS:
        queue.begin_anew()
        queue.changes = {2: change}
        row = approve(bot, bot.approved("DELETE", "/queues/mail"))
        assert (row.state, queue.writes) == (State.STALE, []), change
        (again,) = (one for one in bot.pending() if one.turn == row.turn)
        assert json.loads(again.before or "{}")["data"] | {"messages": 0} == QUEUE | change | {"messages": 0}, change
        assert "messages" not in row.note  # that is not why, change


@pytest.mark.parametrize(
    ("moving", "preview"),
    [
        (lambda look: {"name": f"mail {look}"}, ""),
        (lambda look: {"id": look}, ""),
        (lambda look: {"messages": look}, "{compare: [messages]}"),
        (lambda look: {"stats": {"publish": look}}, "{compare: [stats]}"),
        (lambda look: {"stats": {"publish": look}}, "{compare: [stats.publish]}"),
        (lambda look: {"name": f"mail {look}"}, "{ignore: [name]}"),
    ],
)
def test_a_name_an_id_and_what_the_catalog_compares_count_also_where_they_move(
    make: Callable[..., BotParts], queue: Queue, moving: Callable[[int], Any], preview: str
) -> None:
    queue.moving = moving
    bot = make(preview)
    assert approve(bot, bot.approved("DELETE", "/queues/mail")).state is State.STALE
    assert queue.writes == []


@pytest.mark.parametrize(
    ("preview", "change", "state"),
    [
        ("{compare: [policy]}", {"owner": "ben"}, State.DONE),
        ("{compare: [policy]}", {"policy": "drop"}, State.STALE),
        ("{compare: [policy]}", {"name": "post"}, State.STALE),
        ("{ignore: [policy]}", {"policy": "drop"}, State.DONE),
        ("{ignore: [policy]}", {"owner": "ben"}, State.STALE),
        ("{compare: [stats], ignore: [stats.rate]}", {"stats": {"publish": 7, "rate": 9}}, State.DONE),
        ("{compare: [stats], ignore: [stats.rate]}", {"stats": {"publish": 8, "rate": 9}}, State.STALE),
    ],
)
def test_the_catalog_says_what_counts(
    make: Callable[..., BotParts], queue: Queue, preview: str, change: dict[str, Any], state: State
) -> None:
    queue.changes = {2: change}
    bot = make(preview)
    assert approve(bot, bot.approved("DELETE", "/queues/mail")).state is state


def test_the_second_renewed_card_names_the_keys_to_set(make: Callable[..., BotParts], queue: Queue) -> None:
    """Somebody changes it between each two looks; a value that stands still for two moments is no moving one."""
    queue.moving = lambda look: {"version": look // 2}  # 0; 1, 1; 2, 2
    bot = make()
    first = bot.approved("DELETE", "/queues/mail")
    assert approve(bot, first).state is State.STALE
    (second,) = bot.pending()
    assert second.why == "The target changed after the card was posted (version). This card asks again."
    assert approve(bot, second).state is State.STALE
    (third,) = bot.pending()
    hint = (
        "If this keeps changing on its own, set preview: {ignore: [version]} for DELETE /queues/[name] in the catalog."
    )
    assert third.why == f"The target changed after the card was posted (version). {hint} This card asks again."
    assert hint in text_of(bot, third)
    assert (second.renewals, third.renewals) == (1, 2)
    bot.gate.use(type(bot.catalog)(*vars(make("{ignore: [version]}").catalog).values()))
    assert approve(bot, third).state is State.DONE


def test_a_mark_of_the_whole_is_not_sent_along_where_parts_of_it_move(
    make: Callable[..., BotParts], queue: Queue
) -> None:
    """The ETag moves with them: If-Match would refuse every request."""
    queue.headers = {"ETag": '"v1"'}
    bot = make()
    assert approve(bot, bot.approved("DELETE", "/queues/mail")).state is State.DONE
    assert "if-match" not in queue.requests[-1].headers


def test_what_the_api_itself_finds_changed_is_asked_for_anew(make: Callable[..., BotParts], queue: Queue) -> None:
    """It changed after the last look and before the request: the API says 412 to If-Match, and nothing was done."""
    queue.moving, queue.headers = lambda _look: {}, {"ETag": '"v1"'}
    queue.takes, queue.changes = 412, {3: {"policy": "drop"}}
    bot = make()
    row = approve(bot, bot.approved("DELETE", "/queues/mail"))
    assert [one.method for one in queue.requests] == ["GET", "GET", "DELETE", "GET"]
    assert queue.requests[2].headers["if-match"] == '"v1"'
    assert row.state is State.STALE
    (again,) = bot.pending()
    assert (again.renewals, again.votes, again.rule) == (1, (), row.rule)
    assert again.proposal != row.proposal
    assert json.loads(again.before or "{}")["data"]["policy"] == "drop"
    assert "policy" in row.note


def test_a_field_that_a_patch_does_not_name_may_change(make: Callable[..., BotParts], queue: Queue) -> None:
    queue.changes = {2: {"policy": "drop"}}
    bot = make()
    assert approve(bot, bot.approved("PATCH", "/queues/mail", {"durable": False})).state is State.DONE
    queue.changes = {4: {"durable": False}}
    assert approve(bot, bot.approved("PATCH", "/queues/mail", {"durable": None})).state is State.STALE


def test_a_restart_between_two_looks_loses_nothing(make: Callable[..., BotParts], queue: Queue, tmp_path: Path) -> None:
    """Nothing is recorded until it is sent: who starts again looks again."""
    bot = make()
    row = bot.approved("DELETE", "/queues/mail")
    again = make()
    assert again.gate.threads_to_send() == [row.thread]
    assert approve(again, row).state is State.DONE
    assert queue.writes == ["DELETE"]


def test_by_the_front_door_a_busy_queue_is_removed_with_one_click(
    start_bot: StartBot, queue: Queue, model: Script, ann: Person
) -> None:
    start_bot(catalog=CATALOG.format(url=queue.url, preview=""))
    model.will(calls(("DELETE", "/queues/mail")))
    talk = ann.asks("remove the mail queue")
    assert "About: mail" in card_text(talk.card())
    ann.presses(talk.card(), "approve")
    assert "Done." in talk.answer()
    assert "Changed on its own meanwhile, so it did not count: messages (1 → 3)" in talk.card_titled(
        "Approved and done"
    )
