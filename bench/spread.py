"""Slack's side of a load over several channels and processes: signed mentions, timed from the connect to the end of the answer.

`python -m bench.spread SECRET NAME RATE PORTS` reads a JSON list of [channel, ts] and prints one of [status, seconds], in the same order.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from bench.load import mention, send


async def send_all(
    secret: str, name: str, rate: float, ports: Sequence[int], places: Sequence[tuple[str, str]]
) -> list[tuple[int, float]]:
    """One mention at each place, `rate` a second (0: all at once)."""

    async def at(number: int, channel: str, ts: str) -> tuple[int, float]:
        await asyncio.sleep(number / rate if rate else 0)
        return await send(ports[number % len(ports)], mention(secret, channel, f"Ev{name}{number}", ts))

    return list(await asyncio.gather(*(at(number, *place) for number, place in enumerate(places))))


if __name__ == "__main__":
    secret, name, rate, ports = sys.argv[1:]
    made = send_all(secret, name, float(rate), [int(one) for one in ports.split(",")], json.load(sys.stdin))
    print(json.dumps(asyncio.run(made)))
