"""Asks the model server what works with it, by its own turn; says in plain words what to set. For `python bot.py check --model`.

The turn's own prompt and tools are offered. The call that comes is not sent anywhere: a made-up result answers it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from base.shrink import as_json
from base.tokens import estimate
from catalog.catalog import Catalog, Operation
from catalog.rules import SAFE_METHODS
from model.advice import NO_CALL, NO_USAGE, NOT_READ, OLLAMA, advice, fitting_history, is_ollama, window
from model.chat import Model, ModelFailed
from model.messages import Message, to_messages
from model.prompt.prompt import BUDGET, about, system_prompt, tools
from model.refusals import Failure, Refusal
from model.replies import BadReply, Reply, parse_reply
from store.transcript import AssistantMessage, Item, Result, UserMessage

_WORD = "heliotrope"  # what the made-up result says, and the answer is to repeat
_MOST_CALLS = 4  # model calls until there is an answer
_CUT = 2  # a server that counts less than one in so many of the tokens that were sent has cut some
_HISTORY = 60_000


class Server(Model, Protocol):
    """A model server that may say something about itself."""

    def about(self) -> object:
        """Its list of models, or None."""


@dataclass
class Checked:
    """What was found: lines to read, what to set, and whether a turn could be finished."""

    lines: list[str] = field(default_factory=list)
    to_set: list[str] = field(default_factory=list)
    is_usable: bool = False


class _NoReply(Exception):
    """A request was not answered; the text says how, `to_do` what to set."""

    def __init__(self, text: str, to_do: str) -> None:
        super().__init__(text)
        self.to_do = to_do


class _Ear:
    """Notes whether anything was heard before the end."""

    def __init__(self) -> None:
        self.is_streamed = False

    def hear(self, text: str, *, is_calling: bool) -> None:
        self.is_streamed = True

    def is_cut(self) -> bool:
        return False


def check_server(
    server: Server, catalog: Catalog, model: str, *, history_tokens: int = _HISTORY, budget: int = BUDGET
) -> Checked:
    """Finishes a turn in which nothing is sent, as far as the server lets it."""
    done = Checked()
    talk = _Talk(server, catalog, model, history_tokens, budget)
    try:
        _calls(talk, done)
        _answers(talk, done)
        done.is_usable = True
        _last(talk, done)
    except _NoReply as error:
        done.lines.append(str(error))
        done.to_set.append(error.to_do)
    _context(server.about(), talk, model, history_tokens, done)
    return done


class _Talk:
    """One turn with the server."""

    def __init__(self, server: Server, catalog: Catalog, model: str, history_tokens: int, budget: int) -> None:
        self._server, self._catalog, self._model = server, catalog, model
        self._history, self._budget = history_tokens, budget
        self._offered = tools(catalog, "", budget)
        self._row = 0
        self.items: list[Item] = [UserMessage(_question(catalog), "check")]
        self.ear = _Ear()
        self.reply: Reply | None = None
        self.sent = 0  # tokens of the latest request, estimated

    def ask(self, step: str, *, last: bool = False) -> Reply:
        """One model call. Raises `_NoReply`."""
        system = system_prompt(self._catalog, "", about=about(time.time()), last=last, budget=self._budget)
        messages = to_messages(self.items, system=system, budget=self._history)
        self.sent = _size(messages, self._offered)
        names = [one["function"]["name"] for one in self._offered]
        try:
            answer = self._server.complete(messages, self._offered, self.ear, is_last=last)
            self.reply = parse_reply(answer, names)
        except ModelFailed as error:
            raise _NoReply(*self._told(step, error.failure, str(error), error.refusal)) from None
        except BadReply as error:
            raise _NoReply(*self._told(step, Failure.ODD, f"{Failure.ODD}: {error}")) from None
        return self.reply

    def answer_calls(self, reply: Reply) -> None:
        """Adds a reply and a made-up result for each of its calls."""
        self._row += 1
        self.items.append(replace(reply.message, row=self._row))
        made_up = as_json({"status": 200, "data": {"word": _WORD}, "note": "made up for a check; nothing was called"})
        self.items += [Result(self._row, i, made_up) for i in range(len(reply.message.calls))]

    def end(self, reply: Reply) -> None:
        """Adds an answer, and another question."""
        self.items += [
            AssistantMessage(reply.message.text),
            UserMessage("Thank you. Say in one sentence what you did.", "check"),
        ]

    def _told(self, step: str, failure: Failure, reason: str, refusal: Refusal | None = None) -> tuple[str, str]:
        said = {} if refusal is None else refusal.for_log
        named = [f"{name} {said[name]}" for name in ("code", "param", "type") if name in said]
        quoted = [f'it says: "{said["said"]}"'] if "said" in said else []
        return f"{step}: {', '.join([reason, *named, *quoted])}", advice(failure, refusal, self._model)


def _calls(talk: _Talk, done: Checked) -> None:
    """The first request: whether calls come, several at once, and streamed."""
    reply = talk.ask("Tools")
    if not reply.message.calls:
        talk.items.append(AssistantMessage(reply.message.text))
        talk.items.append(UserMessage("You made no call. Call the tool call_rest_api now.", "check"))
        reply = talk.ask("Tools")
    streams = "work" if talk.ear.is_streamed else "none; each answer appears when it is complete, which is fine"
    done.lines.append(f"Streams: {streams}")
    _count(reply, talk, done)
    if not reply.message.calls:
        raise _NoReply("Tools: the model made no call", NO_CALL)
    several = len(reply.message.calls) > 1
    done.lines.append("Tools: work")
    done.lines.append(
        f"Parallel calls: {'work' if several else 'none; the model made one call at a time, which is fine'}"
    )
    talk.answer_calls(reply)


def _answers(talk: _Talk, done: Checked) -> None:
    """The requests after a call: whether its result is taken, and an answer comes."""
    for _ in range(_MOST_CALLS):
        reply = talk.ask("Results of calls")
        if not reply.message.calls:
            break
        talk.answer_calls(reply)
    else:
        raise _NoReply(f"Answer: still none after {_MOST_CALLS} rounds of calls", NOT_READ)
    is_read = _WORD in reply.words.lower()
    done.lines.append(
        f"Results of calls: {'work' if is_read else 'are accepted, but the answer does not repeat what was in them'}"
    )
    done.to_set += [] if is_read else [NOT_READ]
    talk.end(reply)


def _last(talk: _Talk, done: Checked) -> None:
    """The request that ends a turn which has no calls left."""
    try:
        talk.ask("Summing up at MAX_MODEL_CALLS", last=True)
    except _NoReply as error:
        done.lines.append(str(error))
        done.to_set.append(f"turns that need more than MAX_MODEL_CALLS end without an answer: {error.to_do}")
    else:
        done.lines.append("Summing up at MAX_MODEL_CALLS: works")


def _count(reply: Reply, talk: _Talk, done: Checked) -> None:
    used = reply.usage
    if not used.prompt:
        done.lines.append("Usage: not reported")
        done.to_set.append(NO_USAGE)
        return
    more = f", {used.cached:,} of them from the cache" if used.cached else ""
    thought = f", {used.reasoning:,} of them for reasoning" if used.reasoning else ""
    done.lines.append(
        f"Usage: reported ({used.prompt:,} prompt tokens{more}; {used.completion:,} completion tokens{thought})"
    )
    if used.prompt * _CUT < talk.sent:
        done.lines.append(
            f"Context: the server counted only {used.prompt:,} of about {talk.sent:,} tokens: it silently truncates requests"
        )
        done.to_set.append("enlarge the server's context window, or lower PROMPT_BUDGET and HISTORY_TOKENS")


def _context(listed: object, talk: _Talk, model: str, history_tokens: int, done: Checked) -> None:
    size = window(listed, model)
    done.lines.append("Context: not reported" if size is None else f"Context: {size:,} tokens")
    if size is not None and fitting_history(size) < history_tokens:
        done.to_set.append(f"HISTORY_TOKENS={fitting_history(size)}: with {history_tokens}, long threads do not fit")
    if size is None and is_ollama(listed, model):
        done.to_set.append(OLLAMA)


def _question(catalog: Catalog) -> str:
    """Asks for two calls, of reads where there are any, and for the word that their results hold."""
    reads = [one for one in catalog.operations if one.method in SAFE_METHODS] or list(catalog.operations)
    wanted = list(dict.fromkeys([*(_example(one, 1) for one in reads[:2]), *(_example(one, 2) for one in reads[:1])]))[
        :2
    ]
    return (
        f"This is a check of the connection. Make {'these calls' if len(wanted) > 1 else 'this call'} in one reply, exactly as they stand, "
        f"and ask nothing: {' and '.join(wanted)}. Then answer with the word that the results hold."
    )


def _example(operation: Operation, value: int) -> str:
    path = operation.name.partition("?")[0]
    return re.sub(r"\[[^\]]*\]|\{[^}]*\}", str(value), path)


def _size(messages: Sequence[Message], offered: Sequence[dict[str, Any]]) -> int:
    return estimate(as_json([list(messages), list(offered)]))
