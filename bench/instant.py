"""A model and an API that answer at once, on one loopback port, in a process of their own: `python -m bench.instant`;
with a number of seconds it takes that for each answer.

The model makes three calls, one per reply, and then answers; which is next follows from the request. Prints its port and serves until its
standard input ends, so that it never outlives who started it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

CALLS = 3
PAUSE = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0  # seconds for each answer
ANSWER = "Three of them are there: Grace Mbeki, Marta Silva and Ann Lee."
USER = {"first_name": "Grace", "last_name": "Mbeki", "email": "grace.mbeki@example.com", "job": "Chief Executive"}


def completion(messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the model says next."""
    made = 0
    for message in messages:
        made = 0 if message["role"] == "user" else made + (message["role"] == "tool")
    said: dict[str, Any] = {"role": "assistant", "content": ANSWER if made >= CALLS else None}
    if made < CALLS:
        arguments = json.dumps({"method": "GET", "url": f"/api/users/{made + 1}"})
        function = {"name": "call_rest_api", "arguments": arguments}
        said["tool_calls"] = [{"id": f"call_{made}", "type": "function", "function": function}]
    ending = "tool_calls" if made < CALLS else "stop"
    usage = {"prompt_tokens": 700, "completion_tokens": 40, "total_tokens": 740}
    choice = {"index": 0, "message": said, "finish_reason": ending}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "instant",
        "choices": [choice],
        "usage": usage,
    }


def answered(path: str, body: bytes) -> dict[str, Any]:
    if path.startswith("/v1/chat/completions"):
        return completion(json.loads(body)["messages"])
    return {"id": int(path.rpartition("/")[2]), **USER}


async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept alive as long as the client likes."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lengths = [
                line.partition(":")[2] for line in head.lower().split("\r\n") if line.startswith("content-length:")
            ]
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
            await asyncio.sleep(PAUSE)
            text = json.dumps(answered(head.split(" ", 2)[1], body)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
