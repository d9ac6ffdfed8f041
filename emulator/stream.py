"""A message that grows: what chat.startStream, appendStream and stopStream add up to. Values only, no world.

https://docs.slack.dev/messaging/sending-and-scheduling-messages#text-streaming
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from emulator.block_kit import MESSAGE_BLOCKS
from emulator.errors import ApiError, LimitError
from emulator.rules import MARKDOWN_TEXT

Json = dict[str, Any]
State = Literal["live", "stopped", "stopped_by_user", "expired"]

# From the start, however much is appended since: https://github.com/slackapi/python-slack-sdk/issues/1859
STREAM_SECONDS = 300
# Slack documents no total: the limit of one call is also the limit of all markdown blocks of a message.
TOTAL_TEXT = MARKDOWN_TEXT


@dataclass
class Stream:
    """One stream. `recipient` is who sees it grow in a channel; `display` is timeline or plan.

    `mode` is "markdown_text" or "chunks" as soon as one of them was used. `begun` is what all others see meanwhile.
    """

    channel: str
    ts: str
    thread_ts: str
    recipient: str
    display: str
    started: float
    mode: str = ""
    ended: Literal["", "stopped", "stopped_by_user"] = ""
    blocks: list[Json] = field(default_factory=list)
    begun: Json = field(default_factory=dict)
    appends: int = 0

    def state(self, now: float) -> State:
        """What it is at this time: a stream ends by itself STREAM_SECONDS after its start."""
        if self.ended:
            return self.ended
        return "live" if now - self.started < STREAM_SECONDS else "expired"

    @property
    def text(self) -> str:
        """All the Markdown so far."""
        return "\n".join(block["text"] for block in self.blocks if block["type"] == "markdown")

    @property
    def shown(self) -> Json:
        """What its message shows."""
        return {"text": self.text} | ({"blocks": copy.deepcopy(self.blocks)} if self.blocks else {})

    def add(self, args: Json, new_id: Callable[[], str]) -> None:
        """Take in the checked arguments of a call. Raises ApiError and changes nothing where Slack would refuse."""
        mode = next((name for name in ("markdown_text", "chunks") if args.get(name)), self.mode)
        if self.mode and mode != self.mode:
            raise LimitError("streaming_mode_mismatch", f"[ERROR] this stream was begun with {self.mode}")
        chunks = list(_chunks(args))
        self._check_room(chunks)
        self.mode = mode
        for chunk in chunks:
            self._take(copy.deepcopy(chunk), new_id)
        if not self.begun and chunks:
            self.begun = self.shown

    def _check_room(self, chunks: list[Json]) -> None:
        added = sum(len(chunk["text"]) for chunk in chunks if chunk["type"] == "markdown_text")
        if len(self.text) + added > TOTAL_TEXT:
            raise ApiError("msg_too_long")
        own = [block for block in self.blocks if block["type"] not in ("markdown", "task_card", "plan")]
        more = sum(len(chunk["blocks"]) for chunk in chunks if chunk["type"] == "blocks")
        if len(own) + more > MESSAGE_BLOCKS:
            raise LimitError("msg_blocks_too_many", f"[ERROR] chunks of a stream hold at most {MESSAGE_BLOCKS} blocks")

    def _take(self, chunk: Json, new_id: Callable[[], str]) -> None:
        match chunk["type"]:
            case "markdown_text" if self.blocks and self.blocks[-1]["type"] == "markdown":
                self.blocks[-1]["text"] += chunk["text"]
            case "markdown_text":
                self.blocks.append({"type": "markdown", "block_id": new_id(), "text": chunk["text"]})
            case "task_update":
                self._take_task(chunk, new_id)
            case "plan_update":
                if self.display == "plan":
                    self._plan(new_id)["title"] = chunk["title"]
            case "blocks":
                self.blocks += [{"block_id": new_id(), **block} for block in chunk["blocks"]]

    def _take_task(self, chunk: Json, new_id: Callable[[], str]) -> None:
        """Title and status replace what the task had, `details` are added to it, `output` comes once."""
        place = self._plan(new_id)["tasks"] if self.display == "plan" else self.blocks
        task = next((one for one in place if one.get("task_id") == chunk["id"]), None)
        if task is None:
            task = {"type": "task_card", "block_id": new_id(), "task_id": chunk["id"]}
            place.append(task)
        task |= {"title": chunk["title"], "status": chunk["status"]}
        if chunk.get("details"):
            task["details"] = _rich(_plain(task.get("details")) + chunk["details"])
        if chunk.get("output"):
            task["output"] = _rich(chunk["output"])
        if chunk.get("sources"):
            task["sources"] = [*task.get("sources", []), *chunk["sources"]]

    def _plan(self, new_id: Callable[[], str]) -> Json:
        plan = next((block for block in self.blocks if block["type"] == "plan"), None)
        if plan is None:
            plan = {"type": "plan", "block_id": new_id(), "title": "", "tasks": []}
            self.blocks.insert(0, plan)
        return plan


def _chunks(args: Json) -> Iterator[Json]:
    if args.get("markdown_text"):
        yield {"type": "markdown_text", "text": args["markdown_text"]}
    yield from args.get("chunks", [])


def _rich(text: str) -> Json:
    leaf = {"type": "text", "text": text}
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [leaf]}]}


def _plain(rich: Json | None) -> str:
    return str(rich["elements"][0]["elements"][0]["text"]) if rich else ""
