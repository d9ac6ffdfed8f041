"""(c) Resident memory with resting threads: after a start over a database that holds them, and after some turns more."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert

from base.thread import Thread
from bench.load import mention, send
from bench.stage import SECRET, BotProcess, Stage, bot
from store.store import Store
from store.tables import inbox, posts, threads, transcript, turns

THREADS, TURNS = 10_000, 30
_RESULT = json.dumps({"status": 200, "data": [{"id": n, "name": "Grace Mbeki", "job": "Chief"} for n in range(20)]})


@dataclass(frozen=True)
class Resident:
    """Megabytes: after the start, and after `TURNS` turns."""

    started: float
    worked: float


def measure(on: Stage) -> tuple[Resident, Resident]:
    """With no resting thread, and with ten thousand."""
    return _one(on, on.directory / "empty.db", on.channels[:TURNS]), _one(on, _filled(on), on.channels[:TURNS])


def _one(on: Stage, database: Path, channels: list[str]) -> Resident:
    with bot(on, database) as process:
        time.sleep(2)
        started = process.resident()
        for number, channel in enumerate(channels):
            _turn(on, process, channel, f"{database.stem}{number}")
        time.sleep(1)
        return Resident(started, process.resident())


def _turn(on: Stage, process: BotProcess, channel: str, name: str) -> None:
    ts = on.workspace.say("U0ANN", "who are they?", channel)
    asyncio.run(send(process.port, mention(SECRET, channel, f"EvMemory{name}", ts)))
    on.workspace.wait(lambda: len(on.workspace.messages(channel, ts)) > 1, 20)


def _filled(on: Stage) -> Path:
    """A database as ten thousand answered mentions leave it; written in one go, since so many transactions would take minutes."""
    database = on.directory / "full.db"
    Store(f"sqlite:///{database}").close()
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in (inbox, threads, turns, transcript, posts)}
    for number in range(1, THREADS + 1):
        for name, made in _thread(number).items():
            rows[name] += made
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as db:
        for table in (inbox, threads, turns, transcript, posts):
            db.execute(insert(table), rows[table.name])
    engine.dispose()
    return database


def _thread(number: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of one thread at rest: a mention, three calls with their results, an answer."""
    at = time.time() - number
    ts, turn, user = f"{at:.6f}", f"turn{number}", "U0ANN"
    place = Thread("T0LOCAL", "C0HR", ts)
    of = {"thread": place.key, "turn": turn}
    said = {"text": "who are they?", "by": user}
    items: list[tuple[str, str, int | None, int | None]] = [("said", json.dumps(said), None, None)]
    for call in range(3):
        made = {"text": "", "calls": [[f"call_{call}", "call_rest_api", '{"method": "GET", "url": "/api/users"}']]}
        items += [("replied", json.dumps(made), None, None), ("result", _RESULT, number * 10 + call, 0)]
    items.append(("replied", json.dumps({"text": "Three of them.", "calls": []}), None, None))
    payload = json.dumps({"ts": ts, "user": user, "text": "who are they?", "in_thread": False, "is_foreign": False})
    sent = {"state": "sent", "created_at": at, "target": None, "arguments": json.dumps({"text": "Three of them."})}
    return {
        "inbox": [
            {
                "id": number, "event_id": f"Ev{number}", "team": place.team, "channel": place.channel, "ts": ts,
                "thread": place.key, "kind": "mention", "payload": payload, "handled": 1, "received_at": at,
            }
        ],
        "threads": [
            {
                "thread": place.key, "team": place.team, "channel": place.channel, "thread_ts": ts, "tainted": 1,
                "active_at": at,
            }
        ],
        "turns": [
            {
                "turn": turn, "inbox": number, "thread": place.key, "asker": user, "text": "who are they?", "ts": ts,
                "state": "done", "model_calls": 4, "prompt_tokens": 2_800, "completion_tokens": 160, "created_at": at,
                "ended_at": at,
            }
        ],
        "transcript": [
            of | {"kind": kind, "content": content, "reply": reply, "call": call, "at": at}
            for kind, content, reply, call in items
        ],
        "posts": [
            of | sent | {"post": f"thumb{number}", "method": "reaction", "ts": None},
            of | sent | {"post": f"answer{number}", "method": "message", "ts": ts},
        ],
    }  # fmt: skip
