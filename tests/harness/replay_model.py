"""A Chat Completions server that replays lists of replies instead of thinking: one list per conversation.

A conversation is known by the words of its first user message. Which reply is next is counted from the request itself (its
assistant messages), so a request that is made again, as after a crash, gets the same reply again.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tests.harness.loopback import Loopback, Reply, Request, as_json

Message = dict[str, Any]


def answer(text: str) -> Message:
    """A reply that ends the turn."""
    return {"role": "assistant", "content": text}


def call(*calls: tuple[str, str] | tuple[str, str, object], text: str | None = None) -> Message:
    """A reply with calls of `call_rest_api`, each (method, url) or (method, url, body)."""
    tool_calls = []
    for number, (method, url, *body) in enumerate(calls):
        arguments = {"method": method, "url": url} | ({"body": body[0]} if body else {})
        function = {"name": "call_rest_api", "arguments": json.dumps(arguments)}
        tool_calls.append({"id": f"call_{number}", "type": "function", "function": function})
    return {"role": "assistant", "content": text, "tool_calls": tool_calls}


class Late:
    """A reply that is held until `let_go`, whoever asks for it."""

    def __init__(self, reply: Message) -> None:
        self._reply = reply
        self._is_free = threading.Event()

    def let_go(self) -> None:
        self._is_free.set()

    def wait(self) -> Message:
        self._is_free.wait(600)
        return self._reply


class ReplayModel(Loopback):
    """For use in a `with`. `script(words, replies)` says what to reply in the conversation that begins with these words.

    A conversation without a script, or beyond its end, gets the reply "(end of script)". `hold()` and `release()` let the model
    hang; `wait(...)` waits for requests.
    """

    def __init__(self, scripts: Mapping[str, Sequence[Message | Reply | Late]] | None = None) -> None:
        self._scripts = {words: list(replies) for words, replies in (scripts or {}).items()}
        self._numbers = itertools.count(1)
        super().__init__(self._complete)

    def __enter__(self) -> ReplayModel:
        super().__enter__()
        return self

    @property
    def base_url(self) -> str:
        """What belongs in OPENAI_BASE_URL."""
        return f"{self.url}/v1"

    def script(self, words: str, replies: Sequence[Message | Reply | Late]) -> None:
        """From now on the conversation that begins with `words` goes like this. A `Reply` goes out as it is."""
        self._scripts[words] = list(replies)

    def conversation(self, words: str) -> list[list[Message]]:
        """The messages of every request of the conversation that begins with `words`, in order of arrival."""
        asked = [request.json()["messages"] for request in list(self.requests)]
        return [messages for messages in asked if _first_words(messages) == words]

    def _complete(self, request: Request) -> Reply:
        messages = request.json()["messages"]
        position = sum(message["role"] == "assistant" for message in messages)
        replies = self._scripts.get(_first_words(messages), [])
        reply = replies[position] if position < len(replies) else answer("(end of script)")
        if isinstance(reply, Reply):
            return reply
        reply = reply.wait() if isinstance(reply, Late) else reply
        ending = "tool_calls" if reply.get("tool_calls") else "stop"
        return as_json(
            {
                "id": f"chatcmpl-{next(self._numbers)}",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": "replay",
                "choices": [{"index": 0, "message": reply, "finish_reason": ending}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            }
        )


def _first_words(messages: Sequence[Message]) -> str:
    return next((str(message["content"]) for message in messages if message["role"] == "user"), "")
