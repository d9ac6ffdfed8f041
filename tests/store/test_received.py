"""What Slack sent comes out of the inbox as it went in, and rows of another version as far as they say it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.thread import Thread
from store.received import BY_KIND, Attached, Click, Mention, Received, Unreadable, as_json, from_row
from store.store import Store
from tests.harness.databases import rows
from tests.harness.stores import A

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # also halves of surrogate pairs, and NUL
st.register_type_strategy(str, ANY_TEXT)
THREADS = st.builds(Thread, st.just("T0LOCAL"), st.just("C0HR"), st.sampled_from(["1.1", "2.2"]))
INSTALLED = st.none() | st.lists(ANY_TEXT, max_size=2).map(tuple)


def row(kind: str, payload: str, thread: Thread = A, event_id: str = "Ev1") -> dict[str, Any]:
    return {"event_id": event_id, "thread": thread.key, "kind": kind, "payload": payload}


@pytest.mark.parametrize("cls", BY_KIND.values(), ids=BY_KIND)
@settings(max_examples=20)
@given(data=st.data())
def test_each_kind_comes_back_as_it_went_in(cls: Callable[..., Received], data: st.DataObject) -> None:
    received = data.draw(st.builds(cls, thread=THREADS))
    installed_in = data.draw(INSTALLED)
    stored = row(received.kind, as_json(received, installed_in), received.thread, received.event_id)
    assert from_row(stored) == (received, installed_in)


def test_the_inbox_keeps_what_it_was_given(store: Store, url: str) -> None:
    shared = (Attached("Ben", "a \ud800 b\0"),)
    mention = Mention(
        "Ev1", A, "1.1", "U0ANN", "hi", in_thread=True, is_foreign=False, attached=shared, files=("a.csv",)
    )
    assert store.record(mention, ["T0LOCAL"])
    (arrival,) = store.arrivals(A.key)
    assert (arrival.received, arrival.installed_in) == (mention, ("T0LOCAL",))
    (kept,) = rows(url, "inbox")
    assert (kept["kind"], kept["ts"], json.loads(kept["payload"])) == (
        "mention",
        "1.1",
        {
            "ts": "1.1",
            "user": "U0ANN",
            "text": "hi",
            "in_thread": True,
            "is_foreign": False,
            "is_direct": False,
            "is_edited": False,
            "attached": [{"name": "Ben", "text": "a \ud800 b\0"}],
            "files": ["a.csv"],
            "installed_in": ["T0LOCAL"],
        },
    )


OF_OTHER_VERSIONS = [
    (
        "mention",
        '{"ts": "1.1", "user": "U0ANN", "text": "hi", "in_thread": true, "is_foreign": false}',
        Mention("Ev1", A, "1.1", "U0ANN", "hi", in_thread=True, is_foreign=False),
    ),
    (
        "mention",
        '{"ts": "1.1", "user": "U0ANN", "text": "hi", "in_thread": false, "is_foreign": true, "mood": "good", "files": ["a"]}',
        Mention("Ev1", A, "1.1", "U0ANN", "hi", in_thread=False, is_foreign=True, files=("a",)),
    ),
    ("click", '{"user": "U0BEN", "token": "t", "action": "deny"}', Click("Ev1", A, "U0BEN", "t", "deny")),
    (
        "click",
        '{"user": "U0BEN", "token": "t", "action": "approve", "trigger": "1.2", "in_view": true, "event_id": "x", "kind": "y"}',
        Click("Ev1", A, "U0BEN", "t", "approve", "1.2", in_view=True),
    ),
]


@pytest.mark.parametrize(("kind", "payload", "received"), OF_OTHER_VERSIONS)
def test_a_row_of_another_version_is_read(kind: str, payload: str, received: Received) -> None:
    assert from_row(row(kind, payload)) == (received, None)


@pytest.mark.parametrize(
    ("kind", "payload", "user"),
    [
        ("of a newer version", '{"user": "U0ANN", "text": "hi"}', "U0ANN"),
        ("of a newer version", "{}", ""),
        (
            "mention",
            '{"user": "U0ANN", "ts": "1.1", "text": "hi", "in_thread": true}',
            "U0ANN",
        ),  # is_foreign decides who may
        ("click", '{"user": "U0ANN", "action": "approve"}', "U0ANN"),
    ],
)
def test_a_row_that_does_not_say_enough_is_unreadable(kind: str, payload: str, user: str) -> None:
    assert from_row(row(kind, payload)) == (Unreadable("Ev1", A, user, kind), None)


def test_the_kinds_that_are_stored_stay() -> None:
    assert set(BY_KIND) == {"mention", "app", "click", "shortcut", "pane", "halted", "removed", "home"}
