"""Posts: in order, each once, and heard of when they are on disk."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from gate.policy import Event
from store.posts import PostEvent, message
from store.store import Store
from tests.harness.databases import rows
from tests.harness.stores import A, B, Hears, begin, propose, redrawn


def test_posts_are_due_in_the_order_in_which_they_were_said(store: Store) -> None:
    turn = begin(store)
    store.say([message("p1", A.key, "", "one"), message("p2", A.key, turn.turn, "two")])
    store.end_turn(turn, [message("p3", A.key, turn.turn, "three")], last_words=None, usage=None)
    store.say([message("q1", B.key, "", "elsewhere")])
    due = store.due_posts(A.key)
    assert [one.post.post for one in due] == ["p1", "p2", "p3"]
    assert [one.mention_ts for one in due] == [None, turn.ts, turn.ts]
    assert due[0].post == message("p1", A.key, "", "one")
    store.delivered([("p1", "1.1"), ("p2", "1.2")])
    assert [one.post.post for one in store.due_posts(A.key)] == ["p3"]
    assert sorted(store.unrested()[2]) == sorted([A.key, B.key])


def test_an_update_knows_the_message_that_it_changes_once_that_is_out(store: Store) -> None:
    one = propose(store, begin(store))
    store.transition(one.proposal, Event.REJECT, redrawn)
    card, changed = store.due_posts(A.key)
    assert (card.post.post, changed.post.target, changed.target_ts) == (one.card, one.card, None)
    store.delivered([(one.card, "9.9")])
    (changed,) = store.due_posts(A.key)
    assert changed.target_ts == "9.9"


def test_a_post_given_up_is_not_due_again(store: Store, url: str) -> None:
    store.say([message("p1", A.key, "", "one")])
    store.delivered([("p1", None)], PostEvent.REFUSE)
    assert store.due_posts(A.key) == []
    assert [row["state"] for row in rows(url, "posts")] == ["failed"]


def test_the_outbox_hears_of_new_posts_once_they_are_on_disk(url: str) -> None:
    heard: list[tuple[str, int]] = []
    opened = Store(
        url, journal_key="k", wakes=Hears(lambda thread: heard.append((thread, len(opened.due_posts(thread)))))
    )
    opened.say([message("p1", A.key, "", "one"), message("p2", A.key, "", "two"), message("q", B.key, "", "b")])
    assert sorted(heard) == [(A.key, 2), (B.key, 1)]
    heard.clear()
    opened.delivered([("p1", "1.1")])
    assert heard == []
    opened.close()


def test_the_outbox_hears_of_posts_whose_commit_had_no_answer(url: str) -> None:
    heard: list[str] = []
    store = Store(url, journal_key="k", wakes=Hears(heard.append))

    def lose(_connection: object) -> None:
        raise ConnectionError("behind the COMMIT")

    event.listen(store._engine, "commit", lose)
    with pytest.raises(ConnectionError):
        store.say([message("p1", A.key, "", "one")])
    assert heard == [A.key]
    store.close()
