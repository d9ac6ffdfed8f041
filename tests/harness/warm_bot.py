"""What the process that the tests' bots are forked from (forks.py) has before that: all that a start would load and make anew each time.

What is here already is out of the sight of the garbage collector. A bot collects before it serves; looking through all that it has from its
parent, and with that taking a copy of it, was half of a start. Of what is left, a third was the compiling of the same statements.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import openai.resources.chat.completions  # noqa: F401 - what a bot loads once it knows its settings
import psycopg  # noqa: F401
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

import bot  # noqa: F401
import tests.harness.compiled  # noqa: F401 - for its effect
import workers.replica  # noqa: F401
from base.clock import SteadyClock
from base.deadline import tls_context
from gate.policy import Event, State
from store.engine import engine_url
from store.holds import DATABASE
from store.journal.hash_chain import JournalEntry
from store.store import Store
from store.transcript import Usage
from tests.harness.stores import ANN, BEN, A, B, arrive, begin, called, noted, propose
from workers import jobs
from workers.leases import Leases
from workers.waking import Waking

for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(name, None)  # a bot is given its own surroundings
tls_context("")  # the system's certificates, for those that are told no others


def warm() -> None:
    """Before the first fork."""
    with tempfile.TemporaryDirectory() as folder:
        _go_through(lambda: Store(f"sqlite:///{Path(folder) / 'bot.db'}", journal_key="k"))


def warm_on(server: str) -> None:
    """The same on PostgreSQL, before the first fork that works there."""
    url = make_url(server).set(database="warm")
    with create_engine(engine_url(server), isolation_level="AUTOCOMMIT").connect() as db:
        db.execute(text("create database warm"))
    shared = url.render_as_string(hide_password=False)
    _go_through(lambda: Store(shared, wakes=Waking(Leases(), jobs), journal_key="k", is_shared=True))


def _go_through(open_store: Callable[[], Store]) -> None:
    for _ in range(2):  # the second start finds what the first one left
        store = open_store()
        _start(store)
        _work(store)
        store.close()
    gc.collect()
    gc.freeze()


def _start(store: Store) -> None:
    """What a start asks of its database, and what its clock asks first."""
    if store.is_shared:
        store.join(threading.Event())
        store.keep_time(SteadyClock())
        store.beat(None)
        store.beat(None, again=True)
        store.share_out()
        store.recorded_for()
        store.defer_unrested()
        store.tell("of nobody", "")
        store.pace("of nobody", 0.0, 0.0)
        for thread in (DATABASE, A.key, B.key):
            store.take_up(thread)
            store.left_in(thread)
            store.ended_processes(thread)
    else:
        store.lock(threading.Event())
    store.take_up_journal()
    store.make_shrinkable()
    store.take_catalog("of now", insists=False)
    store.restored()
    store.being_sent()
    store.sealed_otherwise()
    if not store.is_shared:
        store.left_in_the_middle()
    store.unrested()
    store.proposals_in(State.APPROVED)
    store.askers()
    store.wake_unconnected()
    store.due_devices()
    store.take_unkept(1, 1.0)
    store.proposals_due()
    store.proposals_to_remind()
    store.forget(0.0)
    store.forget_connections()
    store.forget_replicas()
    store.shrink()
    store.all_accounts()
    store.next_due()
    store.next_connection_due()


def _work(store: Store) -> None:
    """A question, a write that is approved and sent, and the answer."""
    turn = begin(store)
    thread = turn.thread
    with store.holding(thread):
        store.take_turn(turn)
        store.mention_of(turn.turn)
        store.transcript(thread, turn.asker)
        one = propose(store, turn)
        store.rest_turn(turn)
        store.pending_in(thread)
        store.has_post(one.card)
        store.due_posts(thread)
        store.delivered([(one.card, "1.2")])
    store.take_in(arrive(store, A))
    store.proposal(token=one.token)
    store.vote(one.proposal, BEN, 1.0, noted)
    store.proposals_in(State.APPROVED, thread=thread)
    with store.holding(thread):
        store.turn(turn.turn)
        store.proposals_of(turn.turn, State.APPROVED)
        store.proposal_of(one.proposal)
        store.transition(one.proposal, Event.SEND, noted, sent_at=1.0, only_for=ANN)
        store.transition(one.proposal, Event.SUCCEED, noted, status=200)
        store.delivered([(due.post.post, None) for due in store.due_posts(thread)])
        store.next_turn(thread)
        store.is_tainted(thread)
        store.note(thread, turn.turn, [JournalEntry("noted", {})])
        store.end_turn(turn, [], last_words=called(0, "Done."), usage=Usage(10, 1))
    left = begin(store, B)
    with store.holding(left.thread):
        store.take_turn(left)
