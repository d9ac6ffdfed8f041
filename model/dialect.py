"""How a model server wants to be asked: what differs between servers, found out by what they refuse, and kept for the process.

Each form of a request is one that some servers insist on and others refuse. The first is OpenAI's; after a refusal the next one that
the refusal speaks for is tried, and what worked is how that server is asked from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from model.refusals import Refusal
from model.responses_api import ITEMS, request_of

Api = Literal["chat", "responses"]
Wish = Literal["auto", "chat", "responses"]
CHAT, RESPONSES = "/chat/completions", "/responses"
_OF_MESSAGE = frozenset(("role", "content", "tool_calls", "tool_call_id"))
_OF_CALL = frozenset(("id", "type", "function"))
_MALFORMED = frozenset((400, 422))
_NOT_THERE = frozenset(
    (400, 401, 403, 404, 405, 415, 422, 501)
)  # what servers say that have no Responses API, or not for all


@dataclass(frozen=True)
class Asked:
    """What a model call is about. `is_last`: it has to answer in words; the tools are there for the calls that were made before."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any]
    is_last: bool = False


@dataclass(frozen=True)
class Form:
    """One way to ask.

    `no_words`: what stands for the content of a message that only calls. `is_thinking`: reasoning is left to the server; else it is
    switched off, since OpenAI's newer models do not combine it with tools over Chat Completions. `forbids`: `tool_choice` says that
    nothing may be called. `is_encrypted`: encrypted reasoning is asked for. `gives_back`: what the server added to its replies goes
    back to it; Groq and Cerebras add what they do not take.
    """

    api: Api = "chat"
    no_words: Literal[""] | None = None
    is_thinking: bool = True
    forbids: bool = True
    is_encrypted: bool = True
    gives_back: bool = True

    @property
    def path(self) -> str:
        """Where the request goes, from OPENAI_BASE_URL on."""
        return CHAT if self.api == "chat" else RESPONSES

    def request(self, asked: Asked) -> dict[str, Any]:
        """The body of a request, but for what has to do with streaming."""
        last = {"tool_choice": "none"} if asked.is_last and asked.tools and self.forbids else {}
        if self.api == "responses":
            encrypted = self.is_encrypted
            return request_of(asked.model, asked.messages, asked.tools, {**asked.options, **last}, encrypted=encrypted)
        effort = {} if self.is_thinking else {"reasoning_effort": "none"}
        messages = [self._message(one) for one in asked.messages]
        tools = {"tools": list(asked.tools)} if asked.tools else {}
        return {**asked.options, "model": asked.model, "messages": messages, **tools, **effort, **last}

    def streamed(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The same request for an answer that comes as a stream. Responses tell their usage without being asked."""
        if self.api == "responses":
            return {**request, "stream": True}
        return {"stream_options": {"include_usage": True}, **request, "stream": True}

    def differs(self, other: Form) -> dict[str, Any]:
        """In what it is another form, for the log."""
        return {name: value for name, value in vars(self).items() if value != getattr(other, name)}

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        said = {name: value for name, value in message.items() if name != ITEMS}
        said = said if self.gives_back else _less_added(said)
        is_silent = "tool_calls" in said and not said["content"]
        return {**said, "content": self.no_words} if is_silent else said


def first_form(wish: Wish) -> Form:
    """How a server is asked of which nothing is known."""
    return Form(api="responses" if wish == "responses" else "chat")


def other_forms(form: Form, wish: Wish, asked: Asked, refusal: Refusal, *, is_known: bool) -> Iterator[Form]:
    """What to try after a refusal of this form, likeliest first. `is_known`: the form has worked before."""
    said, status = _said(refusal), refusal.status
    if form.api == "responses" and "encrypted" in said and form.is_encrypted:
        yield replace(form, is_encrypted=False)
    elif "reasoning_effort" in said and form.api == "chat" and form.is_thinking:
        if wish == "auto":
            yield replace(form, api="responses")
        yield replace(form, is_thinking=False)
    elif form.api == "chat" and form.gives_back and any(re.search(rf"\b{re.escape(n)}\b", said) for n in _added(asked)):
        yield replace(form, gives_back=False)
    elif "tool_choice" in said and asked.is_last and form.forbids:
        yield replace(form, forbids=False)
    elif form.api == "responses" and wish == "auto" and not is_known and status in _NOT_THERE:
        yield replace(form, api="chat", is_thinking=False)
    elif form.api == "chat" and status in _MALFORMED and _has_silent_calls(asked):
        yield replace(form, no_words="" if form.no_words is None else None)


def is_about_form(refusal: Refusal) -> bool:
    """Whether another form might be taken."""
    return refusal.kind == "refused" or refusal.status in _NOT_THERE - _MALFORMED


def is_explained(refusal: Refusal) -> bool:
    """Whether a refusal says what it is about, so that it cannot be the streaming."""
    said = _said(refusal)
    return refusal.kind != "refused" or any(word in said for word in ("reasoning_effort", "tool_choice", "encrypted"))


def _said(refusal: Refusal) -> str:
    return f"{refusal.code} {refusal.param} {refusal.message}".lower()


def _added(asked: Asked) -> set[str]:
    """The names of what the server added to its replies and gets back."""
    replies = [one for one in asked.messages if one["role"] == "assistant"]
    calls = [call for one in replies for call in one.get("tool_calls", ())]
    beside = {name.lower() for one in replies for name in one.keys() - _OF_MESSAGE}
    return beside | {name.lower() for call in calls for name in call.keys() - _OF_CALL}


def _less_added(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message with what the format has, and nothing else."""
    plain = {name: value for name, value in message.items() if name in _OF_MESSAGE}
    calls = [
        {**{name: call[name] for name in call if name in _OF_CALL}, "function": _less(call["function"])}
        for call in message.get("tool_calls", ())
    ]
    return {**plain, "tool_calls": calls} if calls else plain


def _less(function: Mapping[str, Any]) -> dict[str, Any]:
    return {name: function[name] for name in ("name", "arguments")}


def _has_silent_calls(asked: Asked) -> bool:
    return any("tool_calls" in one and not one["content"] for one in asked.messages)
