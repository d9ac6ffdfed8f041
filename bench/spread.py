"""Slack's side of a load over several channels and processes: signed mentions, timed from the connect to the end of the answer.

`python -m bench.spread SECRET NAME RATE COUNT PORTS CHANNELS` prints a JSON list of [status, seconds, channel, ts].
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from bench.load import mention, send


async def send_all(
    secret: str, name: str, rate: float, count: int, ports: Sequence[int], channels: Sequence[str]
) -> list[tuple[int, float, str, str]]:
    """All of them, `rate` a second (0: all at once)."""
    begun = time.time()

    async def at(number: int) -> tuple[int, float, str, str]:
        await asyncio.sleep(number / rate if rate else 0)
        channel, ts = channels[number % len(channels)], f"{begun + number / 1000:.6f}"
        request = mention(secret, channel, f"Ev{name}{number}", ts)
        return (*await send(ports[number % len(ports)], request), channel, ts)

    return list(await asyncio.gather(*(at(number) for number in range(count))))


if __name__ == "__main__":
    secret, name, rate, count, ports, channels = sys.argv[1:]
    made = send_all(secret, name, float(rate), int(count), [int(one) for one in ports.split(",")], channels.split(","))
    print(json.dumps(asyncio.run(made)))
