"""(b) The bot's own time in a turn of three API calls, beside a bare loop that does the same, turn by turn in the same run.

Both are timed from the moment in which the words are there (the bot: the POST of the event) to the moment in which Slack has the answer.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.load import mention, send
from bench.stage import ROOT, SECRET, BotProcess, Stage, bot

RUNS, WARM = 40, 5  # Slack's limit of 45 reactions a minute ends what can be measured at full speed


@dataclass(frozen=True)
class Turns:
    """Seconds per turn, medians, and the number of runs of each."""

    bot: float
    bare: float
    runs: int

    @property
    def ratio(self) -> float:
        return self.bot / self.bare


def measure(on: Stage, database: Path | None = None) -> Turns:
    """Over a new database, or one that is there."""
    command = [sys.executable, "-m", "bench.bare", on.instant, on.workspace.api_url, on.workspace.bot_token]
    with (
        bot(on, database or on.directory / "turn.db") as process,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bare,
    ):
        took = [(_bot_turn(on, process, n), _bare_turn(on, bare, n)) for n in range(RUNS)][WARM:]
        assert bare.stdin is not None
        bare.stdin.close()
    return Turns(statistics.median(b for b, _ in took), statistics.median(b for _, b in took), len(took))


def _bot_turn(on: Stage, process: BotProcess, number: int) -> float:
    channel = on.channels[number]
    ts = on.workspace.say("U0ANN", "who are they?", channel)
    request = mention(SECRET, channel, f"EvTurn{number}", ts)
    began = time.time()
    status, _ = asyncio.run(send(process.port, request))
    assert status == 200
    return _answered(on, channel, ts) - began


def _bare_turn(on: Stage, bare: subprocess.Popen[str], number: int) -> float:
    assert bare.stdin is not None
    assert bare.stdout is not None
    channel = on.channels[number]
    ts = on.workspace.say("U0ANN", "who are they?", channel)
    bare.stdin.write(f"{channel} {ts}\n")
    bare.stdin.flush()
    began = float(bare.stdout.readline())
    return _answered(on, channel, ts) - began


def _answered(on: Stage, channel: str, ts: str) -> float:
    """When Slack had the answer, once it has it."""
    on.workspace.wait(lambda: len(on.workspace.messages(channel, ts)) > 1, 20)
    time.sleep(0.05)  # what is left of the turn is over before the next begins
    return next(call.at for call in reversed(on.workspace.calls_of("chat.postMessage")) if call.args["thread_ts"] == ts)
