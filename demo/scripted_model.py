"""A scripted model that speaks OpenAI's Chat Completions over HTTP, for the demo and for tests.

It answers a handful of questions about the sample HR API by regular expressions (intents.py), and calls the tool `call_rest_api` just as
a real model would. What it does next (script.py) follows from the messages of the request alone (conversation.py): it keeps nothing
between requests, and everything it says of employees was read from a tool result. The checks (chat_protocol.py) are as strict as
OpenAI's, so that what works here works there. The bot is not imported here.
"""

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any, assert_never

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from demo.chat_protocol import InvalidRequestError, check
from demo.conversation import TOOL, Call, turns_of
from demo.hr_api import LocalServer
from demo.script import Calls, Words, reply_to, summary

CONFESSION = "*I'm a script, not a model: set `OPENAI_API_KEY` and run again for a real one.*"
SECONDS = 1.0  # that a stream takes at most, however long the answer is


# --- what an answer is -------------------------------------------------------------------------------------------------


def completed(body: dict[str, Any], *, knows_hr: bool = True) -> dict[str, Any]:
    """The assistant's message for a checked request."""
    turns, tool = turns_of(body["messages"]), offered_tool(body)
    reply = Words(summary(turns)) if tool is None else reply_to(turns, knows_hr=knows_hr)
    match reply:
        case Words(text):
            return {"role": "assistant", "content": f"{CONFESSION}\n\n{text}", "refusal": None}
        case Calls(calls):
            together = calls if body.get("parallel_tool_calls") in (None, True) else calls[:1]
            return {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "tool_calls": tool_calls(together, tool or {}),
            }
        case _:
            assert_never(reply)


def offered_tool(body: dict[str, Any]) -> dict[str, Any] | None:
    """The function `call_rest_api` as the request describes it; None where it may not be called."""
    if body.get("tool_choice") == "none":
        return None
    functions = [tool["function"] for tool in body.get("tools") or []]
    return next((function for function in functions if function["name"] == TOOL), None)


def tool_calls(calls: tuple[Call, ...], tool: dict[str, Any]) -> list[dict[str, Any]]:
    """Calls as an assistant's message has them."""
    return [
        {
            "id": f"call_{secrets.token_hex(12)}",
            "type": "function",
            "function": {"name": TOOL, "arguments": json.dumps(arguments(call, tool), ensure_ascii=False)},
        }
        for call in calls
    ]


def arguments(call: Call, tool: dict[str, Any]) -> dict[str, Any]:
    """The call in the shape that the tool asks for: its body may be wanted as an object or as JSON text."""
    schema = tool.get("parameters") or {}
    types = types_in((schema.get("properties") or {}).get("body") or {})
    body: Any = call.body
    if body is not None and "string" in types and "object" not in types:
        body = json.dumps(body, ensure_ascii=False)
    found: dict[str, Any] = {"method": call.method, "url": call.url}
    return found | {"body": body} if body is not None or "body" in schema.get("required", []) else found


def types_in(schema: dict[str, Any]) -> set[str]:
    """The types that a JSON Schema allows, in whichever way it says so."""
    named = schema.get("type", [])
    types = {named} if isinstance(named, str) else set(named)
    return types.union(*(types_in(part) for part in [*schema.get("anyOf", []), *schema.get("oneOf", [])]))


def usage(body: dict[str, Any], message: dict[str, Any]) -> dict[str, int]:
    """Tokens, guessed at four characters each."""
    asked, answered = (len(json.dumps(part)) // 4 + 1 for part in (body["messages"], message))
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def finish(message: dict[str, Any]) -> str:
    """The reason why the reply ended."""
    return "tool_calls" if message.get("tool_calls") else "stop"


def deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The message in the pieces in which a stream brings it."""
    yield {"role": "assistant", "content": None if message["content"] is None else "", "refusal": None}
    for piece in re.findall(r"\S*\s*", message["content"] or "")[:-1]:
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls", [])):
        function = call["function"]
        yield {"tool_calls": [{"index": index, **call, "function": {"name": function["name"], "arguments": ""}}]}
        for piece in re.findall(r".{1,12}", function["arguments"], re.DOTALL):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def chunks(head: dict[str, Any], body: dict[str, Any], message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a streamed reply."""
    head = head | {"object": "chat.completion.chunk"}
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    each = head | {"usage": None} if with_usage else head
    for delta in deltas(message):
        yield each | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    yield each | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish(message)}]}
    if with_usage:
        yield head | {"choices": [], "usage": usage(body, message)}


# --- serving ----------------------------------------------------------------------------------------------------------


def create_model(pause: float = 0.0, log: list[dict[str, Any]] | None = None, *, knows_hr: bool = True) -> Flask:
    """The application. `pause`: seconds between two pieces of a stream, less where there are many. Every checked request is appended to
    `log`. `knows_hr`: the API is the sample one; of another it makes the calls that are spelled out."""
    app = Flask(__name__)
    requests = log if log is not None else []

    @app.errorhandler(InvalidRequestError)
    def refuse(error: InvalidRequestError) -> tuple[dict[str, Any], int]:
        return error.answer

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> tuple[dict[str, Any], int]:
        return InvalidRequestError(error.description or "", status=error.code or 500).answer

    @app.before_request
    def authenticate() -> None:
        if not re.fullmatch(r"Bearer \S+", request.headers.get("Authorization", "")):
            raise InvalidRequestError("You didn't provide an API key.", status=401)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        model = {"id": "scripted", "object": "model", "created": 0, "owned_by": "workspace"}
        return {"object": "list", "data": [model]}

    @app.post("/v1/chat/completions")
    def chat_completions() -> Response | dict[str, Any]:
        body = check(request.get_json(force=True, silent=True))
        requests.append(body)
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body["model"]}
        message = completed(body, knows_hr=knows_hr)
        if body.get("stream"):
            return Response(events(chunks(head, body, message), pause), content_type="text/event-stream")
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish(message)}
        return head | {"object": "chat.completion", "choices": [choice], "usage": usage(body, message)}

    return app


def is_word(part: dict[str, Any]) -> bool:
    """Whether a piece brings words that people see."""
    return any(choice["delta"].get("content") for choice in part["choices"])


def events(parts: Iterable[dict[str, Any]], pause: float) -> Iterator[str]:
    """The stream's text. Between words there is a pause, for who watches; nobody watches a call's arguments."""
    parts = list(parts)
    words = sum(is_word(part) for part in parts)
    for part in parts:
        yield f"data: {json.dumps(part, ensure_ascii=False)}\n\n"
        time.sleep(min(pause, SECONDS / words) if is_word(part) else 0)
    yield "data: [DONE]\n\n"


class ScriptedModel(LocalServer):
    """The scripted model on a loopback port, and what it was asked (`requests`: the JSON of each, in order)."""

    def __init__(self, port: int = 0, pause: float = 0.0, *, knows_hr: bool = True) -> None:
        self.requests: list[dict[str, Any]] = []
        super().__init__(create_model(pause, self.requests, knows_hr=knows_hr), port)

    @property
    def base_url(self) -> str:
        """What belongs into OPENAI_BASE_URL."""
        return f"{self.url}/v1"
