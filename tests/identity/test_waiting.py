"""A question that needs an account which its asker has not connected: it waits on disk, its asker alone is asked, and it goes on by
itself. What a person has connected is a set here; how it comes to that is for test_connecting.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from base.thread import Thread
from catalog.catalog import Api
from gate.policy import State
from identity.callers import Caller, Credential, NotConnected, Outgoing
from identity.identities import Identities
from store.connections import ConnectionAsked, connected
from store.posts import Post
from tests.harness.bot_parts import ANN, BEN, BotParts, Clock, calls, says, tool_results
from tests.harness.databases import rows
from tests.harness.rest_server import RestServer

HR = """
apis:
  - name: HR
    base_url: {base}
    auth: {{bearer: of-nobody-yet}}
    endpoints:
      - {{method: GET, url: "/users/[id]", description: Shows., expires: 2h}}
      - {{method: POST, url: /users, description: Adds., preview: false, approval: always}}
      - {{method: POST, url: /notes, description: Needs nobody., approval: never}}
"""
WIKI = """
  - name: Wiki
    base_url: {base}/wiki
    endpoints: [{{method: GET, url: /pages, description: Lists pages.}}]
"""


class People:
    """A way by which those call who have connected an account; and what is known of that."""

    def __init__(self) -> None:
        self.connected: set[str] = set()

    def credential(self, api: Api, request: Outgoing, _by: float) -> Credential:
        if request.caller.asker not in self.connected:
            raise NotConnected(api.name)
        return Credential({"Authorization": f"Bearer of-{request.caller.asker}"})

    def renewed(self, _api: Api, _request: Outgoing, _refused: Credential, _by: float) -> bool:
        return False

    def whose(self, api: Api, caller: Caller) -> str:
        if caller.asker not in self.connected:
            raise NotConnected(api.name)
        return f"{caller.asker} at https://login.example.org"


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
def parts(tmp_path: Path, server: RestServer, people: People) -> Iterator[BotParts]:
    yield from made(tmp_path, (HR + WIKI).format(base=server.url), people)


def made(folder: Path, catalog: str, people: People) -> Iterator[BotParts]:
    running = BotParts(folder, catalog, identities=Identities({"bearer": people}))
    yield running
    running.close()


def asked_to_connect(parts: BotParts, thread: str) -> list[Post]:
    return [due.post for due in parts.store.due_posts(thread) if "connect" in due.post.arguments]


def connect(parts: BotParts, people: People, who: str = ANN) -> None:
    """What the page does: the account and what follows from it, in one transaction."""
    people.connected.add(who)
    with parts.store._writing() as tx:  # as put_account does
        connected(tx, ConnectionAsked("T0LOCAL", who, "HR"))


def test_nothing_of_the_round_is_kept_and_the_asker_alone_is_asked(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(calls(("GET", "/users/1"), text="Let me see."))
    thread = parts.ask("who is 1?")

    assert server.requests == []
    assert {row["kind"] for row in rows(parts.url, "transcript")} <= {"noted", "said"}
    assert parts.status.texts[-1] == "is waiting for the asker to connect an account"
    (post,) = asked_to_connect(parts, thread)
    assert (post.kind, post.arguments["user"]) == ("ephemeral", ANN)
    assert post.arguments["connect"] == {"user": ANN, "apis": ["HR"]}
    assert "http" not in rows(parts.url, "posts")[-1]["arguments"], (
        "a link is made when it is shown, and stored nowhere"
    )
    (turn,) = rows(parts.url, "turns")
    assert (turn["state"], turn["taken_by"], turn["tries"]) == ("running", "", 0)
    assert (turn["model_calls"], turn["prompt_tokens"]) == (1, 10)
    assert parts.store.unrested() == ([], [], [thread])  # only what is to be said


def test_it_goes_on_by_itself_and_the_model_is_asked_anew(parts: BotParts, server: RestServer, people: People) -> None:
    parts.replies.will(calls(("GET", "/users/1")), calls(("GET", "/users/1")), says("That is Ann."))
    thread = parts.ask("who is 1?")
    connect(parts, people)
    assert parts.store.unrested()[1] == [thread]
    assert parts.advance(thread) is False

    assert parts.told(thread) == ["That is Ann."]
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer of-U0ANN"]
    assert len(tool_results(parts.replies.asked[-1])) == 1


def test_a_second_look_at_a_waiting_thread_asks_nobody_again(parts: BotParts) -> None:
    parts.replies.will(calls(("GET", "/users/1")))
    thread = parts.ask()
    assert parts.advance(thread) is True
    assert parts.advance(thread) is True

    assert len(asked_to_connect(parts, thread)) == 1
    assert len(parts.replies.asked) == 1


def test_somebody_elses_account_opens_nothing(parts: BotParts, server: RestServer, people: People) -> None:
    parts.replies.will(calls(("GET", "/users/1")))
    thread = parts.ask()
    connect(parts, people, BEN)
    assert parts.advance(thread) is True
    assert server.requests == []


def test_it_waits_as_long_as_the_catalog_says_and_then_ends_with_words(parts: BotParts) -> None:
    parts.replies.will(calls(("GET", "/users/1")))
    thread = parts.ask()
    (turn,) = rows(parts.url, "turns")
    assert isinstance(parts.clock, Clock)
    assert turn["connects_until"] - parts.clock() > 7_100  # as long as a request of one of its entries
    due = parts.store.next_connection_due()
    assert due == turn["connects_until"]

    parts.clock.ahead += 7_201
    assert parts.advance(thread) is False
    said = "No HR account was connected in time, so I stopped here. Connect yours in my Home tab, then ask again."
    assert parts.told(thread) == [said]
    assert parts.store.next_connection_due() is None


def test_a_person_may_stop_it(parts: BotParts) -> None:
    parts.replies.will(calls(("GET", "/users/1")))
    thread = parts.ask()
    turn = parts.store.next_turn(thread)
    assert turn is not None
    assert parts.store.stop_turn(turn, ANN)
    assert parts.store.unrested()[1] == [thread], "a start goes on with it, too"
    assert parts.advance(thread) is False
    assert parts.told(thread) == ["_(Stopped before there was an answer.)_"]


def test_nobody_is_asked_to_approve_what_could_not_be_sent(parts: BotParts) -> None:
    parts.replies.will(calls(("POST", "/users", "{}")))
    thread = parts.ask()
    assert parts.pending() == []
    assert len(asked_to_connect(parts, thread)) == 1


def test_what_is_not_sent_since_the_account_is_gone_says_so_on_its_card(
    parts: BotParts, server: RestServer, people: People
) -> None:
    people.connected.add(ANN)
    parts.replies.will(calls(("POST", "/users", "{}")), says("It was not sent."))
    thread = parts.ask()
    (proposal,) = parts.pending()
    people.connected.clear()
    parts.press(proposal)
    parts.advance(thread)

    assert server.requests == []
    row = parts.row(proposal)
    assert row.state is State.FAILED
    told = "The HR account that this was asked with is no longer connected. Connect it in my Home tab, then ask again."
    assert row.note == f"{told} Nothing was sent."


def test_another_persons_question_in_another_thread_is_not_held_up(
    parts: BotParts, people: People, server: RestServer
) -> None:
    people.connected.add(BEN)
    parts.replies.will(calls(("GET", "/users/1")), calls(("GET", "/users/1")), says("Ben's."))
    parts.ask(by=ANN)
    assert parts.told(parts.ask(by=BEN)) == ["Ben's."]
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer of-U0BEN"]


def test_another_message_in_the_thread_is_kept_until_then(parts: BotParts, people: People) -> None:
    parts.replies.will(calls(("GET", "/users/1")), says("First."), says("Second."))
    thread = parts.ask("one")
    later = parts.begin("two", BEN, Thread.from_key(thread))
    assert parts.advance(thread) is True
    assert len(parts.replies.asked) == 1
    connect(parts, people)
    parts.advance(later.thread)
    assert parts.told(thread) == ["First.", "Second."]


def test_an_account_that_came_as_the_turn_began_to_wait_for_it_is_not_missed(
    parts: BotParts, people: People, server: RestServer
) -> None:
    """The page's transaction is over before the turn says that it waits: nobody else would wake it."""

    def meanwhile(_messages: object) -> object:
        parts.hears = lambda _thread: people.connected.add(ANN)  # as the offer is on disk
        return calls(("GET", "/users/1"))

    parts.replies.will(meanwhile, calls(("GET", "/users/1")), says("There."))
    thread = parts.ask()
    assert parts.store.unrested()[1] == [thread]
    parts.advance(thread)
    assert parts.told(thread) == ["There."]


def test_where_nothing_can_be_asked_before_it_nothing_reaches_the_model(
    tmp_path: Path, server: RestServer, people: People
) -> None:
    for parts in made(tmp_path, HR.format(base=server.url), people):
        parts.replies.will(calls(("GET", "/users/1")), says("That is Ann."))
        thread = parts.ask()
        assert parts.replies.asked == []
        assert len(asked_to_connect(parts, thread)) == 1
        (turn,) = rows(parts.url, "turns")
        assert (turn["model_calls"], turn["prompt_tokens"]) == (0, 0)
        connect(parts, people)
        parts.advance(thread)
        assert parts.told(thread) == ["That is Ann."]


def test_where_something_can_be_asked_without_it_the_model_says_what_is_needed(
    parts: BotParts, server: RestServer
) -> None:
    parts.replies.will(calls(("GET", "/pages")), says("One page."))
    assert parts.told(parts.ask()) == ["One page."]
    assert server.calls == [("GET", "/wiki/pages")]
