"""(a) How long Slack waits: from POST /slack/events to its 200. The load comes from its own process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from bench.stage import ROOT, SECRET, Stage, bot

RATE, SECONDS, BURST = 50, 6, 300


@dataclass(frozen=True)
class Waited:
    """Seconds, and how many were not answered with 200."""

    p50: float
    p99: float
    worst: float
    count: int
    failed: int


def measure(on: Stage) -> tuple[Waited, Waited]:
    """At an even rate, then in one burst."""
    with bot(on, on.directory / "ack.db") as process:
        _load(process.port, on.channels[0], "Warm", RATE, 20)
        even = _load(process.port, on.channels[1], "Even", RATE, RATE * SECONDS)
        time.sleep(3)
        burst = _load(process.port, on.channels[2], "Burst", 0, BURST)
    return even, burst


def _load(port: int, channel: str, name: str, rate: float, count: int) -> Waited:
    command = [sys.executable, "-m", "bench.load", str(port), SECRET, channel, name, str(rate), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    answers = json.loads(done.stdout)
    waited = sorted(seconds for _, seconds in answers)
    return Waited(
        p50=statistics.median(waited),
        p99=waited[min(len(waited) - 1, int(len(waited) * 0.99))],
        worst=waited[-1],
        count=count,
        failed=sum(status != 200 for status, _ in answers),
    )
