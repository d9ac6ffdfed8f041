"""(g) Turns a second that last: model and API take 200 ms for each answer, on one process and on three, on SQLite and on PostgreSQL.

Two measurements each. At Slack's most (30,000 events an hour and workspace): what the acks take, and the processor for each turn. Then more
at once than can be done: how many turns a second are done.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.stage import ROOT, SECRET, BotProcess, Stage, bot, instant
from tests.harness.postgres import AS_USUAL, serving

PAUSE = 0.2  # seconds for each answer of the model and of the API
RATE = 30_000 / 3_600  # events a second: https://docs.slack.dev/apis/events-api
SECONDS, BURST, IDLE = 60, 200, 10  # a minute, since what waits for Slack's pace only gathers then
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sustained:
    """Milliseconds of the 99th ack, of the processor for a turn; turns a second; megabytes of each process; percent of a core at rest."""

    ack: float
    processor: float
    rate: float
    memory: float
    idle: float
    failed: int


def measure(on: Stage) -> Iterator[tuple[str, Sustained]]:
    """Each way in turn."""
    with instant(PAUSE) as slow, serving(on.directory / "postgres", AS_USUAL) as server:
        for name, processes, database in (
            ("one process, SQLite", 1, f"sqlite:///{on.directory / 'sustained.db'}"),
            ("one process, PostgreSQL", 1, server.new("one")),
            ("three processes, PostgreSQL", 3, server.new("three")),
        ):
            with _bots(on, processes, database, slow) as started:
                yield name, _measured(on, started)


@contextmanager
def _bots(on: Stage, count: int, database: str, slow: str) -> Iterator[Sequence[BotProcess]]:
    more = {
        "DATABASE_URL": database,
        "JOURNAL_KEY": "of the bench",
        "OPENAI_BASE_URL": f"{slow}/v1",
        "HR_API_URL": slow,
        "MAX_WAITING": "10000",
    }
    with ExitStack() as stack:
        yield [stack.enter_context(bot(on, Path("unused"), **more)) for _ in range(count)]


def _measured(on: Stage, bots: Sequence[BotProcess]) -> Sustained:
    time.sleep(2)
    before = _seconds(bots)
    time.sleep(IDLE)
    idle = (_seconds(bots) - before) / IDLE
    _done(on, _send(on, bots, 10, 20))
    before = _seconds(bots)
    asked = _send(on, bots, RATE, int(RATE * SECONDS))
    waited = sorted(seconds for _, seconds, _ in asked)
    _done(on, asked)
    spent = (_seconds(bots) - before) / len(asked)
    began = time.monotonic()
    _done(on, _send(on, bots, 0, BURST))
    took = time.monotonic() - began
    return Sustained(
        ack=waited[int(len(waited) * 0.99)] * 1000,
        processor=spent * 1000,
        rate=BURST / took,
        memory=max(one.resident() for one in bots),
        idle=idle * 100,
        failed=sum(status != 200 for status, _, _ in asked),
    )


def _seconds(bots: Sequence[BotProcess]) -> float:
    """Of the processor, that they have taken."""
    total = 0
    for one in bots:
        fields = Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


_begun = itertools.count(1)


def _send(on: Stage, bots: Sequence[BotProcess], rate: float, count: int) -> list[tuple[int, float, tuple[str, str]]]:
    """Mentions over all channels and processes: (status, seconds, channel and ts of each)."""
    channels = itertools.islice(itertools.cycle(on.channels), count)
    places = [(channel, on.workspace.say("U0ANN", "who are they?", channel)) for channel in channels]
    ports = ",".join(str(one.port) for one in bots)
    command = [sys.executable, "-m", "bench.spread", SECRET, f"Load{next(_begun)}x", str(rate), ports]
    done = subprocess.run(
        command, cwd=ROOT, input=json.dumps(places), capture_output=True, text=True, timeout=300, check=True
    )
    return [(status, seconds, place) for (status, seconds), place in zip(json.loads(done.stdout), places, strict=True)]


def _done(on: Stage, asked: Sequence[tuple[int, float, tuple[str, str]]]) -> None:
    """Until each has its answer."""
    open_ = {place for status, _, place in asked if status == 200}
    by = time.monotonic() + 300
    while open_:
        assert time.monotonic() < by, f"{len(open_)} without an answer"
        open_ = {place for place in open_ if not any(one.get("bot_id") for one in on.workspace.messages(*place))}
        time.sleep(0.05)
