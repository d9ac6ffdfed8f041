"""Door to the model: class AI, one per thread_ts. Transcript in, transcript out, and the loop over tool calls between them.

The transcript in the store is the only state. An AI is made when its thread is woken and forgotten when the thread rests; a call
that waits for a person is a call without a result, and holds nothing here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import openai
import structlog

from core import words
from core.answers import Got, error_text
from core.calls import BadCall, Read, parse_arguments, resolve, sort
from core.catalog import Catalog
from core.chain import Entry, digest
from core.markdown import escape
from core.policy import SAFE_METHODS
from core.posts import answer_posts, message
from core.prompt import system_prompt, tool
from core.transcript import (
    BadReply,
    Item,
    Message,
    Replied,
    Reply,
    Result,
    Said,
    open_calls,
    parse_reply,
    to_messages,
)
from gate import Gate, proposed
from store import Proposal, Round, Store, Turn

log = structlog.get_logger("ai")
_TWICE = 2  # the same call is made this often in a turn; after that it is answered with words


class ModelFailed(Exception):
    """The model server gave no usable answer. `args[0]` is the reason in a few words, without anything secret."""


class Stopped(Exception):
    """The process is to end; the turn stays where it is, on disk."""


class Model(Protocol):
    """Whatever completes a chat."""

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> object:
        """The answer's JSON, unchecked. Raises `ModelFailed`."""


class ChatServer:
    """A Chat Completions server, through the openai client, which retries 429, 5xx and time-outs and honours Retry-After."""

    def __init__(self, *, api_key: str | None, base_url: str | None, model: str, timeout: float) -> None:
        self._client = openai.OpenAI(api_key=api_key or "none", base_url=base_url, timeout=timeout, max_retries=2)
        self._model = model

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> object:
        """The answer's JSON, unchecked. Raises `ModelFailed`."""
        request: dict[str, Any] = {"model": self._model, "messages": list(messages)} | (
            {"tools": list(tools)} if tools else {}
        )
        try:
            response = self._client.chat.completions.with_raw_response.create(**request)
            return json.loads(response.http_response.content)
        except openai.APITimeoutError:
            raise ModelFailed("time-out") from None
        except openai.APIStatusError as error:
            raise ModelFailed(f"HTTP {error.status_code}") from None  # its text may repeat what people wrote
        except openai.OpenAIError:
            raise ModelFailed("connection failed") from None
        except (ValueError, RecursionError):
            raise ModelFailed("an answer that is no JSON") from None


@dataclass(frozen=True)
class House:
    """What every AI of one bot shares."""

    model: Model
    catalog: Catalog
    gate: Gate
    store: Store
    ids: Callable[[], str]
    clock: Callable[[], float] = time.time
    show_status: Callable[[str, str], None] = lambda _thread, _status: None
    stopping: threading.Event = field(default_factory=threading.Event)
    model_name: str = ""
    dry_run: bool = False
    max_model_calls: int = 20
    history_tokens: int = 60_000


class AI:
    """One thread's conversation."""

    def __init__(self, thread: str, house: House) -> None:
        self._thread = thread
        self._house = house
        self._store = house.store
        self._gate = house.gate

    def advance(self) -> bool:
        """Goes on with the thread until it rests; True where it waits for people. Safe to run again at any point."""
        while (turn := self._store.take_turn(self._thread)) is not None:
            with structlog.contextvars.bound_contextvars(turn=turn.turn, asker=turn.asker):
                if not self._finish(turn):
                    return True
        return False

    def _finish(self, turn: Turn) -> bool:
        """True when the turn is over, False while it waits for people. Whatever fails in it is told in the thread."""
        try:
            return self._to_rest(turn)
        except Stopped:
            raise
        except ModelFailed as error:
            self._fail(turn, words.MODEL_DOWN, str(error))
        except BadReply as error:
            self._fail(turn, words.MODEL_ODD, str(error))
        except Exception:  # the turn's boundary: any bug becomes words with a reference, and the thread goes on
            self._fail(turn, words.FAULT, "a fault of the bot")
        return True

    def _fail(self, turn: Turn, template: str, reason: str) -> None:
        reference = self._house.ids()[:8]
        log.exception("turn failed", reference=reference, reason=reason)
        self._gate.withdraw(turn.turn)
        told = template.format(reason=reason, reference=reference)
        says = [message(self._house.ids(), turn.thread, turn.turn, escape(told))]
        noted = [Entry("failed", {"reference": reference, "reason": reason})]
        self._store.end_turn(turn, says, said=Replied(told), usage=None, failed=True, entries=noted)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _to_rest(self, turn: Turn) -> bool:
        items = self._store.transcript(self._thread)
        while True:
            if open_calls(items):
                self._send_approved(turn)
                items = self._store.transcript(self._thread)
                if open_calls(items):
                    return False
            is_last = turn.model_calls >= self._house.max_model_calls
            reply, asked = self._ask(items, is_last=is_last)
            turn = replace(turn, model_calls=turn.model_calls + 1)
            if is_last or not reply.said.calls:
                self._answer(turn, reply, asked, is_last=is_last)
                return True
            made = self._take_calls(turn, items, reply, asked)
            said = self._store.add_round(turn, made)
            items = [*items, said, *(Result(said.row, call, content) for call, content in made.results)]

    def _send_approved(self, turn: Turn) -> None:
        for approval in self._gate.approvals(turn.turn):
            self._stop_here()
            self._gate.write(approval)

    def _stop_here(self) -> None:
        if self._house.stopping.is_set():
            raise Stopped

    def _ask(self, items: Sequence[Item], *, is_last: bool) -> tuple[Reply, Entry]:
        """One model call: the reply, and the journal's entry about it."""
        self._stop_here()
        self._house.show_status(self._thread, words.THINKING)
        today = datetime.fromtimestamp(self._house.clock(), UTC).date().isoformat()
        system = system_prompt(self._house.catalog, today=today, last=is_last)
        messages = to_messages(items, system=system, budget=self._house.history_tokens)
        began = time.monotonic()
        reply = parse_reply(self._house.model.complete(messages, [] if is_last else [tool(self._house.catalog)]))
        told = {
            "model": self._house.model_name,
            "seconds": round(time.monotonic() - began, 4),
            "prompt_tokens": reply.usage.prompt,
            "completion_tokens": reply.usage.completion,
            "calls": len(reply.said.calls),
        }
        log.info("model call", ending=reply.ending, **told)
        return reply, Entry("model call", told)

    def _answer(self, turn: Turn, reply: Reply, asked: Entry, *, is_last: bool) -> None:
        text = _answer_text(reply, self._house.max_model_calls if is_last else None)
        shown = f"{text}\n\n{words.DRY_RUN_ANSWER}" if self._house.dry_run else text
        says = answer_posts(turn.turn, turn.thread, shown, self._house.ids())
        noted = [asked, Entry("answer", {"words": digest(text)})]
        self._store.end_turn(turn, says, said=Replied(text), usage=reply.usage, entries=noted)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _take_calls(self, turn: Turn, items: Sequence[Item], reply: Reply, asked: Entry) -> Round:
        """Makes the reads of a reply, prepares its writes; each call has its result, or a proposal that will give it one.

        What a reply may do by itself is judged by what the model had seen when it wrote that reply, for all its calls alike.
        """
        made_before = _calls_of_turn(items)
        results: list[tuple[int, str]] = []
        proposals: list[Proposal] = []
        entries = [asked]
        answered = False
        by = time.monotonic() + self._gate.timeout  # for all previews of the reply together
        for i, called in enumerate(reply.said.calls):
            raw = reply.arguments[i]
            key = called.key
            try:
                if made_before.count(key) >= _TWICE:
                    raise BadCall(
                        "This same call was made twice already in this turn. Use its result, or change the call."
                    )
                taken, entry = self._take(called.name, raw, turn, i, by)
            except BadCall as error:
                log.info("bad call", reason=str(error))
                taken = Got(error_text(str(error)))
                entry = Entry("bad call", {"call": _attempted(raw, self._house.catalog), "reason": str(error)})
            made_before.append(key)
            entries.append(entry)
            if isinstance(taken, Proposal):
                proposals.append(taken)
            else:
                results.append((i, taken.text))
                answered = answered or taken.status is not None
        proposals = self._gate.batched(proposals)
        cards = self._gate.card_posts(proposals)
        return Round(reply.said, reply.usage, results, proposals, cards, entries, tainted=answered)

    def _take(self, name: str, raw: object, turn: Turn, position: int, by: float) -> tuple[Got | Proposal, Entry]:
        """One call: what a read gave, or a write's proposal; and the journal's entry about it. Raises `BadCall`."""
        if name != "call_rest_api":
            raise BadCall(f"There is no tool '{name[:60]}'. The only tool is call_rest_api.")
        call = resolve(self._house.catalog, parse_arguments(raw))
        tainted = call.method not in SAFE_METHODS and self._store.is_tainted(turn.thread)
        sorted_call = sort(call, tainted=tainted)
        if isinstance(sorted_call, Read):
            self._stop_here()
            got = self._gate.read(sorted_call)
            told = {
                "operation": call.operation.name,
                "url": call.shown_url,
                "status": got.status,
                "seconds": got.seconds,
            }
            return got, Entry("read", told | ({} if got.status is not None else {"problem": got.text}))
        self._stop_here()
        proposal = self._gate.propose(sorted_call, turn, position, by)
        return proposal, proposed(proposal)


def _answer_text(reply: Reply, spent: int | None) -> str:
    """What the person gets. `spent`: the number of model calls that the turn used up, where it did."""
    text = reply.words.strip()
    if reply.refusal.strip() and not text:
        return reply.refusal.strip()
    if reply.ending == "content_filter":
        return f"{text}\n\n{words.FILTERED}".strip()
    if not text:
        return words.EMPTY if spent is None else words.NO_END.format(calls=spent)
    return f"{text}\n\n{words.CUT}" if reply.ending == "length" else text


def _calls_of_turn(items: Sequence[Item]) -> list[str]:
    """The keys of the calls since the person's last words."""
    start = max((i for i, item in enumerate(items) if isinstance(item, Said)), default=0)
    return [call.key for item in items[start:] if isinstance(item, Replied) for call in item.calls]


def _attempted(raw: object, catalog: Catalog) -> str:
    """What a bad call wanted, for those who mend the catalog's descriptions: no values, only path segments that the catalog spells."""
    try:
        arguments = parse_arguments(raw)
    except BadCall:
        return "(unreadable)"
    known = {piece.literal for one in catalog.operations for piece in one.template.path}
    path = str(arguments.get("url")).partition("?")[0][:500]
    shown = "/".join(step if step in known or not step else "*" for step in path.split("/")[:20])
    return f"{str(arguments.get('method'))[:10]} {shown}"
