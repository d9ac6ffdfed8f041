"""Processes that reach PostgreSQL by a PgBouncer which pools transactions, with an address past it for LISTEN, one by session, and none."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.harness.pgbouncer import PgBouncer, needs_pgbouncer, pooling
from tests.harness.replay_model import answer
from tests.test_crash import REMOVE, System, approved
from tests.workers.test_replicas import another, stop_modal, system

pytestmark = [pytest.mark.programs, needs_pgbouncer]
__all__ = ["system"]
_SESSIONS = 3  # of the server, for all processes: fewer than one of them would take by itself


@pytest.fixture(params=["past it", "by session", "none"])
def bouncer(request: pytest.FixtureRequest, system: System) -> Iterator[PgBouncer]:
    """Before the system's database, which processes reach by it from now on."""
    direct = system.database
    with contextlib.ExitStack() as stack:
        small = f"default_pool_size = {_SESSIONS}\nmax_client_conn = 400\n"
        running = stack.enter_context(pooling(direct, more=small))
        if request.param != "none":
            by_session = stack.enter_context(pooling(direct, "session"))
            listen = direct if request.param == "past it" else by_session.url(direct)
            system.more["DATABASE_LISTEN_URL"] = listen
        system.more["DATABASE_URL"] = running.url(direct)
        yield running


def test_what_one_does_another_hears_of_and_takes_over(system: System, bouncer: PgBouncer) -> None:
    """A card, its approval at another process, a Stop at another, a kill, and PgBouncer's own restart."""
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    for words in ("write a poem", "hi"):
        system.model.script(words, [answer(f"{words}!")])
    first = system.start()
    gone = system.mention("remove Tom")
    system.card(gone)
    system.model.hold()
    poem = system.mention("write a poem")
    system.model.wait(lambda: system.model.conversation("write a poem"))
    second = another(system)
    system.workspace.submit(stop_modal(system, poem), "U0ANN")
    system.workspace.wait(lambda: system.said(poem))  # the model is still held
    hi = system.mention("hi")
    system.model.wait(lambda: system.model.conversation("hi"))
    first.kill()
    bouncer.stop()
    time.sleep(0.5)
    bouncer.start()
    system.model.release()
    approved(system, gone)
    system.wait_for_answer(gone, "Tom is gone")
    system.wait_for_answer(hi, "hi!")
    system.rest()
    assert "stopped" in system.said(poem)[0].lower()
    assert (len(system.writes()), system.said(hi)) == (1, ["hi!"])
    assert second.terminate() == 0
