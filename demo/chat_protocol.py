"""What a request for a Chat Completion must be: checks as strict as OpenAI's, so that what works here works there."""

from __future__ import annotations

import re
from typing import Any

from demo.conversation import text_of

PARAMETERS = """
    messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
"""
KNOWN = frozenset(PARAMETERS.split())
ROLES = ("system", "developer", "user", "assistant", "tool")


class InvalidRequestError(Exception):
    """A request that OpenAI refuses; `param` is the place in it."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.param, self.status = message, param, status

    @property
    def answer(self) -> tuple[dict[str, Any], int]:
        """The answer to a question about the employees."""
        error = {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": None}
        return {"error": error}, self.status


def require(condition: object, message: str, param: str | None = None) -> None:
    """Raises `InvalidRequestError` unless the condition holds."""
    if not condition:
        raise InvalidRequestError(message, param)


def check(body: Any) -> dict[str, Any]:
    """The request as it came, or InvalidRequestError."""
    require(isinstance(body, dict), "We could not parse the JSON body of your request: it has to be an object.")
    for name in body:
        require(name in KNOWN, f"Unrecognized request argument supplied: {name}", name)
    require(isinstance(body.get("model"), str) and body["model"], "you must provide a model parameter", "model")
    require(isinstance(body.get("stream", False), bool | None), "'stream' has to be a boolean.", "stream")
    if body.get("stream_options") is not None:
        require(body.get("stream"), "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    check_tools(body)
    check_messages(body.get("messages"))
    return dict(body)


def check_tools(body: dict[str, Any]) -> None:
    """Raises `InvalidRequestError` where the tools are not as OpenAI takes them."""
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            require(body.get(name) is None, f"'{name}' is only allowed when 'tools' are specified.", name)
        return
    require(isinstance(tools, list) and tools, "Invalid 'tools': has to be an array of at least one tool.", "tools")
    for i, tool in enumerate(tools):
        where = f"tools[{i}]"
        require(isinstance(tool, dict) and tool.get("type") == "function", f"Invalid type for '{where}'.", where)
        function = tool.get("function")
        require(isinstance(function, dict), f"Missing required parameter: '{where}.function'.", f"{where}.function")
        name = function.get("name")
        named = isinstance(name, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
        require(named, f"Invalid '{where}.function.name'.", f"{where}.function.name")


def check_messages(messages: Any) -> None:
    """Raises `InvalidRequestError` where the messages are not as OpenAI takes them."""
    require(isinstance(messages, list) and messages, "Invalid 'messages': has to be a non-empty array.", "messages")
    waiting: list[str] = []  # ids of tool calls whose results have to come next, in this order
    for i, message in enumerate(messages):
        where = f"messages.[{i}]"
        require(isinstance(message, dict), f"Invalid type for '{where}': expected an object.", where)
        role = message.get("role")
        require(role in ROLES, f"Invalid value: '{role}'. Supported values are: {', '.join(ROLES)}.", f"{where}.role")
        check_content(message, where)
        if role == "tool":
            check_result(message, waiting, where)
            waiting = waiting[1:]
            continue
        check_answered(waiting, where)
        waiting = call_ids(message, where)
    check_answered(waiting, f"messages.[{len(messages) - 1}]")
    require(text_of(messages[-1]).strip(), "The last message is empty.", f"messages.[{len(messages) - 1}].content")


def check_content(message: dict[str, Any], where: str) -> None:
    """Raises `InvalidRequestError` where a message's content is not as OpenAI takes it."""
    content, param = message.get("content"), f"{where}.content"
    if content is None:
        calls = message["role"] == "assistant" and message.get("tool_calls")
        require(calls, f"Invalid value for 'content': expected a string, got null. ({param})", param)
        return
    if isinstance(content, list):
        for part in content:
            text = isinstance(part, dict) and isinstance(part.get("type"), str)
            require(text and (part["type"] != "text" or isinstance(part.get("text"), str)), "Invalid part.", param)
        return
    require(isinstance(content, str), f"Invalid type for '{param}': expected a string or an array.", param)


def check_result(message: dict[str, Any], waiting: list[str], where: str) -> None:
    """Raises `InvalidRequestError` where a tool's result does not follow its call."""
    alone = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
    require(waiting, alone, f"{where}.role")
    key = message.get("tool_call_id")
    wrong = (
        f"Invalid parameter: 'tool_call_id' of '{key}' is not the next one of 'tool_calls', which is '{waiting[0]}'."
    )
    require(key == waiting[0], wrong, f"{where}.tool_call_id")


def check_answered(waiting: list[str], where: str) -> None:
    """Raises `InvalidRequestError` where calls are left without their results."""
    message = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}"
    )
    require(not waiting, message, f"{where}.role")


def call_ids(message: dict[str, Any], where: str) -> list[str]:
    """The ids of an assistant message's tool calls, in order."""
    calls = message.get("tool_calls")
    if calls is None:
        return []
    where = f"{where}.tool_calls"
    require(message["role"] == "assistant", "'tool_calls' belong to the role 'assistant'.", where)
    require(isinstance(calls, list) and calls, f"Invalid '{where}': has to be a non-empty array.", where)
    for call in calls:
        require(isinstance(call, dict) and isinstance(call.get("id"), str), f"Missing '{where}.id'.", where)
        function = call.get("function")
        require(call.get("type") == "function" and isinstance(function, dict), f"Invalid '{where}'.", where)
        for name in ("name", "arguments"):
            require(isinstance(function.get(name), str), f"Invalid '{where}.function.{name}': not a string.", where)
    ids = [call["id"] for call in calls]
    require(len(set(ids)) == len(ids), f"Duplicate id in '{where}'.", where)
    return ids
