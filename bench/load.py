"""Slack's side of the load: signed mentions, each on a connection of its own, timed from the connect to the end of the answer.

`python -m bench.load PORT SECRET CHANNEL NAME RATE COUNT` sends COUNT mentions, RATE a second (0: all at once), and prints a JSON list of
[status, seconds].
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time


def mention(secret: str, channel: str, event_id: str, ts: str) -> bytes:
    """A whole HTTP request."""
    event = {"type": "app_mention", "user": "U0ANN", "text": "<@U0BOT> who are they?", "ts": ts, "channel": channel}
    envelope = {
        "token": "t",
        "team_id": "T0LOCAL",
        "api_app_id": "A0APP",
        "event": event | {"event_ts": ts},
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(time.time()),
    }
    body = json.dumps(envelope).encode()
    stamp = str(int(time.time()))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    head = (
        "POST /slack/events HTTP/1.1\r\nHost: bot\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"X-Slack-Request-Timestamp: {stamp}\r\nX-Slack-Signature: v0={digest}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(port: int, request: bytes) -> tuple[int, float]:
    """Status and seconds; status 0 where no answer came."""
    began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
    except OSError:
        return 0, time.perf_counter() - began
    return int(answer[9:12] or 0), time.perf_counter() - began


async def send_all(port: int, secret: str, channel: str, name: str, rate: float, count: int) -> list[tuple[int, float]]:
    begun = time.time()

    async def at(number: int) -> tuple[int, float]:
        await asyncio.sleep(number / rate if rate else 0)
        return await send(port, mention(secret, channel, f"Ev{name}{number}", f"{begun + number / 1000:.6f}"))

    return list(await asyncio.gather(*(at(number) for number in range(count))))


if __name__ == "__main__":
    port, secret, channel, name, rate, count = sys.argv[1:]
    print(json.dumps(asyncio.run(send_all(int(port), secret, channel, name, float(rate), int(count)))))
