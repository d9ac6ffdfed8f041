"""Class AI, one per thread_ts: transcript in, transcript out, and the loop over tool calls between them.

The transcript in the store is the only state. An AI is made when its thread is woken and forgotten when the thread rests; a call
that waits for a person is a call without a result, and holds nothing here. The way to the model is model/chat.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import structlog

from base import words
from base.durations import span
from base.markdown import beginning
from base.thread import Thread
from catalog.calls import BadCall, Call, parse_arguments, resolve
from catalog.catalog import Catalog
from catalog.lookup import Unclear
from catalog.rules import SAFE_METHODS
from gate.answers import ReadResult, error_text
from gate.gate import Gate, noted_read, noted_unclear, proposed
from gate.policy import Read, State, sort
from gate.recipe_runs import Taken, run
from gate.recipes import begin, is_run
from model.chat import Model, ModelBusy, ModelFailed
from model.learnt_limits import Habits, smaller
from model.messages import Message, in_system, size_of, to_messages
from model.prompt.prompt import BUDGET, FIND, about, beside, find, is_whole, system_prompt, tools
from model.refusals import Refusal
from model.replies import BadReply, Reply, is_empty, parse_reply
from model.reply_endings import meaning, shown
from model.special_tokens import put_together
from model.text_calls import may_become_call
from model.thoughts import parted
from slack_io.answer_posts import answer_posts, files_text
from slack_io.steps import step
from slack_io.thread_context import Written
from slack_io.web_api import Person
from store.holds import Overtaken
from store.journal.hash_chain import JournalEntry, digest
from store.posts import delete, live, live_id
from store.store import Proposal, ReplyOutcome, Store, Turn
from store.transcript import (
    AssistantMessage,
    Item,
    Result,
    TurnNote,
    Usage,
    UserMessage,
    first_noted,
    is_private,
    open_calls,
)

log = structlog.get_logger("ai")
_THINKS_ON = 0.5  # seconds of a model call after which a step's status gives way to "is thinking"
_HOLD_BACK = 1.0  # seconds of writing after which text is shown: what stands beside calls is shorter
_NOTE_EVERY = 0.5  # seconds between two notes of what was written
_LEAST_WAIT, _MOST_WAIT = 1.0, 30.0  # seconds of a wait for a model that names none; each is as long as all before it
_SOON = 0.1  # seconds below which a wait is none
_STATUS_EVERY = 50.0  # seconds after which a wait is shown anew; Slack drops a status after two minutes
_HINT = "python bot.py check --model tells what this server takes and what to set"
_TOLD = {
    "busy": words.MODEL_DOWN,
    "down": words.MODEL_DOWN,
    "quota": words.MODEL_QUOTA,
    "refused": words.MODEL_REFUSED,
    "filtered": words.MODEL_FILTERED,
    "too long": words.MODEL_TOO_LONG,
}
_TWICE = 2  # the same call is made this often in a turn; after that it is answered with words


class Stopped(Exception):
    """The process is to end; the turn stays where it is, on disk."""


class TurnCancelled(Exception):
    """A person wants the turn to end."""


class Waits(Exception):
    """The turn waits for a model that has no time, and is on disk as that. It is to be taken up again after `after` seconds."""

    def __init__(self, after: float) -> None:
        super().__init__(after)
        self.after = after


class StatusSink(Protocol):
    """What is shown beside a thread's messages. Each call only notes and wakes."""

    def status(self, thread: str, text: str, *, after: float = 0.0) -> None:
        """What the bot does at this moment, if it still does so `after` seconds."""

    def session(self, thread: str, state: Literal["processing", "active", "suspended"], title: str = "") -> None:
        """Where a direct message's session stands, and what it is about."""


class AnswerSink(Protocol):
    """Messages that grow."""

    def note(self, post: str, thread: str, text: str) -> None:
        """What was written by now."""


class CancelFlag:
    """Who is to stop: all (the process ends), or single turns (a person said so)."""

    def __init__(self) -> None:
        self._all = threading.Event()
        self._turns: set[str] = set()

    def everything(self) -> None:
        """The process ends."""
        self._all.set()

    def turn(self, turn: str) -> None:
        """A person wants this turn to end."""
        self._turns.add(turn)

    def check(self, turn: str) -> None:
        """Raises `Stopped` or `TurnCancelled`."""
        if self._all.is_set():
            raise Stopped
        if turn in self._turns:
            raise TurnCancelled

    def is_on(self, turn: str) -> bool:
        """Whether `check` would raise."""
        return self._all.is_set() or turn in self._turns

    def over(self, turn: str) -> None:
        """The turn has ended."""
        self._turns.discard(turn)


@dataclass(frozen=True)
class Services:
    """What every AI of one bot shares."""

    model: Model
    gate: Gate
    store: Store
    ids: Callable[[], str]
    clock: Callable[[], float] = time.time
    read: Callable[[Turn], Written] = lambda turn: Written(turn.text)
    person: Callable[[str], Person | None] = lambda _user: None
    assistant_status: StatusSink | None = None
    growing: AnswerSink | None = None
    cancel_flag: CancelFlag = field(default_factory=CancelFlag)
    habits: Habits = field(default_factory=Habits)
    model_name: str = ""
    server: str = ""  # which model server and model it is: what one adds to its replies is nothing to another
    dry_run: bool = False
    max_model_calls: int = 20
    history_tokens: int = 60_000
    prompt_budget: int = BUDGET
    patience: float = 300.0  # seconds for which a turn waits for a model that has no time


class AI:
    """One thread's conversation."""

    def __init__(self, thread: str, services: Services) -> None:
        self._thread = thread
        self._services = services
        self._store = services.store
        self._gate = services.gate
        self._written = _Written(services, None)
        self._unwritten: list[JournalEntry] = []  # of the reply whose calls are being made
        self._sent_alone = 0  # of its writes, those that go out without a click

    def advance(self) -> bool:
        """Goes on with the thread until it rests; True where it waits for people. Safe to run again at any point.

        Raises `Stopped`, `Waits` where it waits for the model, and `Overtaken` where another process goes on with it by now.
        """
        with self._store.holding(self._thread):
            return self._advance()

    def _advance(self) -> bool:
        while (turn := self._store.next_turn(self._thread)) is not None:
            with structlog.contextvars.bound_contextvars(turn=turn.turn, asker=turn.asker):
                self._store.take_turn(turn)
                if not self._finish(turn):
                    self._store.rest_turn(turn)
                    self._session(turn, "suspended")
                    return True
                self._session(turn, "active")
                self._services.cancel_flag.over(turn.turn)
        return False

    def set_aside(self, turn: Turn) -> None:
        """Ends a turn that may have ended its processes, with words in its thread."""
        with self._store.holding(self._thread), structlog.contextvars.bound_contextvars(turn=turn.turn):
            log.error("turn set aside", ends=turn.tries, hint="the process ended each time in the middle of it")
            self._written = _Written(self._services, turn, is_resumed=turn.is_running)
            self._break_off(turn, words.SET_ASIDE, JournalEntry("set aside", {"asker": turn.asker, "ends": turn.tries}))

    def _finish(self, turn: Turn) -> bool:
        """True when the turn is over, False while it waits for people. Whatever fails in it is told in the thread."""
        try:
            self._written = _Written(self._services, turn, is_resumed=turn.is_running)
            begun = turn if turn.is_running else self._begin(turn)
            return begun is None or self._to_rest(begun)
        except (Stopped, Waits, Overtaken):
            raise
        except TurnCancelled:
            return self._stop(turn)
        except ModelBusy as error:
            return self._put_aside(turn, error)
        except ModelFailed as error:
            return self._fail(turn, _TOLD[error.refusal.kind if error.refusal else "down"], str(error), error.refusal)
        except BadReply as error:
            return self._fail(turn, words.MODEL_ODD, str(error))
        except Exception:  # the turn's boundary: any bug becomes words with a reference, and the thread goes on
            return self._fail(turn, words.FAULT, "a fault of the bot")

    def _begin(self, turn: Turn) -> Turn | None:
        """Begins a waiting turn with what its question says by now; None where the question was deleted meanwhile."""
        self._check(turn)
        written = self._services.read(turn)
        if written.text is None:
            log.info("question deleted before its turn")
            self._store.drop_turn(turn, [JournalEntry("question deleted", {"asker": turn.asker})])
            return None
        edited = [JournalEntry("question edited", {"words": digest(written.text)})] if written.text != turn.text else []
        self._session(turn, "processing", written.text)
        noted = self._noted(turn, written.text, [line.text for line in written.before])
        return self._store.begin_turn(turn, written.text, written.before, edited, noted)

    def _noted(self, turn: Turn, asked: str, heard: Sequence[str]) -> TurnNote:
        """What goes with the question from now on."""
        here, budget, who = self._gate.here(self._thread), self._services.prompt_budget, self._about(turn)
        if is_whole(here.catalog, here.instructions, budget):
            return TurnNote(who, "")
        items = self._store.transcript(self._thread, turn.asker)
        said = [item.text for item in items if isinstance(item, UserMessage)][-1:]
        first, before = first_noted(items), [*said, *heard]
        return beside(here.catalog, here.instructions, asked, about=who, before=before, first=first, budget=budget)

    def _session(self, turn: Turn, state: Literal["processing", "active", "suspended"], title: str = "") -> None:
        if self._services.assistant_status is not None and Thread.from_key(self._thread).is_direct:
            self._services.assistant_status.session(self._thread, state, " ".join(title.split()))

    def _put_aside(self, turn: Turn, busy: ModelBusy) -> bool:
        """Has a turn wait for its model without a worker, for as long as `patience` allows; else ends it. Raises `Waits`."""
        now, stored = self._services.clock(), self._store.turn(turn.turn) or turn
        since = now if stored.waits_since is None else stored.waits_since
        left = since + self._services.patience - now
        named = busy.after if busy.after is not None and busy.after >= _LEAST_WAIT else None  # "at once" is not at once
        wait = min(max(_LEAST_WAIT, min(now - since, _MOST_WAIT)), left) if named is None else named
        if left < _SOON or wait > left:
            told = words.MODEL_BUSY_LONG if named is not None and stored.waits_since is None else words.MODEL_BUSY
            spans = {"wait": span(wait), "waited": span(round(now - since))}
            return self._fail(turn, told, str(busy), busy.refusal, **spans)
        is_first = stored.waits_since is None
        said = {**(busy.refusal.told if busy.refusal is not None else {}), **({"hint": _HINT} if is_first else {})}
        noted = (
            [JournalEntry("model busy", {"reason": str(busy), "patience": self._services.patience})] if is_first else []
        )
        self._store.put_aside(stored, since, now + wait, noted)
        log.warning("the model is busy; the turn waits", wait=round(wait, 1), left=round(left), **said)
        self._rest_for_model(now + wait)
        return False

    def _rest_for_model(self, until: float | None) -> None:
        """Raises `Waits` where the model is not to be asked before `until`, and shows that."""
        left = until - self._services.clock() if until is not None else 0.0
        if left > 0:
            self._status(words.BUSY_MODEL.format(wait=span(left)))
            raise Waits(min(left, _STATUS_EVERY))

    def _fail(self, turn: Turn, template: str, reason: str, refusal: Refusal | None = None, **more: str) -> bool:
        """Ends a turn that failed, with words and a reference. False while one of its writes is under way: the turn goes on after it,
        so that nobody is told of an end while something of it still happens."""
        reference = self._services.ids()[:8]
        said = {} if refusal is None else refusal.told | {"hint": _HINT}
        log.exception("turn failed", reference=reference, reason=reason, **said)
        if self._gate.is_sending(turn.turn):
            return False
        noted = JournalEntry("failed", {"reference": reference, "reason": reason})
        self._break_off(turn, template.format(reason=reason, reference=reference, **more), noted)
        return True

    def _stop(self, turn: Turn) -> bool:
        """Ends a turn that a person stopped, with what was written so far; False while one of its writes is under way."""
        self._gate.withdraw(turn.turn)  # first: from then on nothing more of it is sent
        if self._gate.is_sending(turn.turn):
            return False
        stopped = self._store.turn(turn.turn) or turn
        told = words.STOPPED if self._written.text else words.STOPPED_EMPTY
        self._break_off(stopped, told, JournalEntry("ended by a person", {"by": stopped.stopped_by}))
        return True

    def _break_off(self, turn: Turn, told: str, noted: JournalEntry) -> None:
        """Ends a turn before its end: what was written stays, with the words for why it ends there."""
        self._gate.withdraw(turn.turn)
        text = f"{self._written.text}\n\n{told}".strip()
        says = answer_posts(
            turn.turn, turn.thread, text, self._services.ids(), self._written.post, self._services.gate.catalog.links
        )
        self._store.end_turn(turn, says, said=AssistantMessage(text), usage=None, failed=True, entries=[noted])

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _to_rest(self, turn: Turn) -> bool:
        items = self._store.transcript(self._thread, turn.asker)
        while True:
            self._check(turn)
            if open_calls(items):
                self._send_approved(turn)
                items = self._store.transcript(self._thread, turn.asker)
                if open_calls(items):
                    return False
            self._rest_for_model(turn.waits_until)
            is_last = turn.model_calls >= self._services.max_model_calls
            reply, asked = self._ask(turn, items, is_last=is_last)
            turn = replace(turn, model_calls=turn.model_calls + 1)
            if is_last or not reply.said.calls:
                self._answer(turn, reply, asked, is_last=is_last)
                return True
            turn = replace(turn, only_for=turn.asker if is_private(items) else "")
            made = self._take_calls(turn, items, reply, asked)
            said = self._store.add_round(turn, made)
            self._written = _Written(self._services, turn)
            items = [*items, said, *(replace(one, reply=said.row) for one in made.results)]

    def _send_approved(self, turn: Turn) -> None:
        for approval in self._gate.approvals(turn.turn):
            self._check(turn)
            self._gate.write(approval)

    def _check(self, turn: Turn) -> None:
        """Raises where the turn may not go on: the process ends, or a person stopped it, also before this process began."""
        if turn.stopped_by:
            raise TurnCancelled
        self._services.cancel_flag.check(turn.turn)

    def _status(self, text: str, *, after: float = 0.0) -> None:
        if self._services.assistant_status is not None:
            self._services.assistant_status.status(self._thread, text, after=after)

    def _ask(self, turn: Turn, items: Sequence[Item], *, is_last: bool) -> tuple[Reply, JournalEntry]:
        """One model call: the reply, and the journal's entry about it."""
        self._status(words.THINKING, after=_THINKS_ON if turn.model_calls else 0.0)
        here = self._gate.here(self._thread)
        noted, budget = first_noted(items) or TurnNote(self._about(turn), ""), self._services.prompt_budget
        system = system_prompt(here.catalog, here.instructions, about=in_system(noted), last=is_last, budget=budget)
        server = self._services.server
        offered = tools(here.catalog, here.instructions, budget)
        began = time.monotonic()
        reply = self._fitting(
            lambda most, is_full: to_messages(items, system=system, budget=most, server=server, is_full=is_full),
            lambda messages: self._reply(turn, messages, offered, is_last=is_last),
        )
        told = {
            "model": self._services.model_name,
            "seconds": round(time.monotonic() - began, 4),
            "prompt_tokens": reply.usage.prompt,
            "cached_tokens": reply.usage.cached,
            "completion_tokens": reply.usage.completion,
            "reasoning_tokens": reply.usage.reasoning,
            "calls": len(reply.said.calls),
        }
        log.info("model call", ending=reply.ending, **told)
        return reply, JournalEntry("model call", told)

    def _fitting(self, cut: Callable[[int, bool], list[Message]], ask: Callable[[list[Message]], Reply]) -> Reply:
        """The reply to as much of the transcript as the model takes: after a refusal for its length it is asked again with less.

        Raises `ModelFailed`, the last refusal where nothing is left that could go: one question is too much then.
        """
        habits = self._services.habits
        budget = habits.budget(self._services.history_tokens)
        messages = cut(budget, habits.is_full)
        try:
            return ask(messages)
        except ModelFailed as error:
            refused = _too_long(error)
        for less in smaller(budget, size_of(messages), refused.message):
            shorter = cut(less, True)
            if shorter == messages:
                continue
            messages = shorter
            log.warning("the model takes less at once; it is asked again with less of the thread", tokens=less)
            try:
                reply = ask(messages)
            except ModelFailed as error:
                refused = _too_long(error)
            else:
                habits.took(less)
                return reply
        raise ModelFailed(refused.short, refused)

    def _reply(
        self, turn: Turn, messages: Sequence[Message], offered: Sequence[dict[str, Any]], *, is_last: bool
    ) -> Reply:
        """The model's reply, asked for once more where what came is none; with the tokens of both. Raises `BadReply`."""
        names = [one["function"]["name"] for one in offered]
        spent = Usage()
        for is_again in (False, True):
            try:
                answer = self._services.model.complete(messages, offered, self._written, is_last=is_last)
            finally:
                self._check(turn)  # a call that was cut off may end in whatever way
            try:
                reply = parse_reply(answer, names)
            except BadReply as error:
                if is_again:
                    raise
                log.warning("the model's answer is none; it is asked again", reason=str(error))
                continue
            self._note_habits(reply)
            spent += reply.usage
            if not (is_empty(reply) or reply.is_call_as_text):
                break
            if not is_again:
                why = "a call as text that cannot be read" if reply.is_call_as_text else "empty"
                log.warning("the model's answer is none; it is asked again", reason=why, ending=reply.ending[:40])
            elif reply.is_call_as_text:
                raise BadReply("it wrote a call as text")
        return replace(reply, usage=spent)

    def _note_habits(self, reply: Reply) -> None:
        """Remembers and logs what is peculiar about a reply."""
        if reply.lost:
            log.warning("the model's server added more than is kept", left_out=sorted(reply.lost)[:10])
        if reply.mended:
            log.info("the model's reply was mended", what=reply.mended)
        if reply.is_thinking_aloud and not self._services.habits.thinks_aloud:
            log.warning("the model's thoughts stand in its text; from now on nothing is shown before it is whole")
            self._services.habits.thinks_aloud = True

    def _about(self, turn: Turn) -> str:
        """Who asks, and what day it is there."""
        person = self._services.person(turn.asker)
        now = self._services.clock()
        return about(now) if person is None else about(now, person.name, person.zone, person.offset)

    def _answer(self, turn: Turn, reply: Reply, asked: JournalEntry, *, is_last: bool) -> None:
        text = _answer_text(reply, self._services.max_model_calls if is_last else None)
        notes = [words.DRY_RUN_ANSWER] if self._services.dry_run else []
        notes += [files_text(files)] if (files := self._store.asked_with(turn.turn).files) else []
        shown = "\n\n".join([text, *notes])
        says = answer_posts(
            turn.turn, turn.thread, shown, self._services.ids(), self._written.post, self._services.gate.catalog.links
        )
        noted = [asked, JournalEntry("answer", {"words": digest(text)})]
        self._store.end_turn(turn, says, said=AssistantMessage(text), usage=reply.usage, entries=noted)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _take_calls(self, turn: Turn, items: Sequence[Item], reply: Reply, asked: JournalEntry) -> ReplyOutcome:
        """Makes the reads of a reply, prepares its writes; each call has its result, or a proposal that will give it one.

        What a reply may do by itself is judged by what the model had seen when it wrote that reply, for all its calls alike.
        """
        made_before = _calls_of_turn(items)
        results: list[Result] = []
        proposals: list[Proposal] = []
        entries: list[JournalEntry] = []
        answered = False
        by = time.monotonic() + self._gate.timeout  # for all previews of the reply together
        self._unwritten, self._sent_alone = [asked], 0
        try:
            for i, called in enumerate(reply.said.calls):
                is_again = made_before.count(called.key) >= _TWICE
                taken, told = self._tried(called.name, reply.arguments[i], turn, i, by, is_again=is_again)
                made_before.append(called.key)
                self._unwritten += [one for one in told if one.kind != "proposed"]
                entries += [one for one in told if one.kind == "proposed"]  # these go with their rows
                answered = answered or any(map(_brought_data, told))
                if isinstance(taken, Proposal):
                    proposals.append(taken)
                    self._sent_alone += taken.state is State.APPROVED
                else:
                    results.append(Result(0, i, taken.text, turn.only_for))
        except Exception:  # whatever ends it: the journal has what was done
            self._write_down(turn)
            raise
        proposals = self._gate.batched(proposals)
        cards = self._gate.card_posts(proposals)
        if self._written.post is not None:  # text beside calls is no answer
            cards = [delete(self._services.ids(), turn.thread, turn.turn, self._written.post), *cards]
        said = replace(reply.said, only_for=turn.only_for, opaque_of=self._services.server)
        return ReplyOutcome(
            said, reply.usage, results, proposals, cards, [*self._unwritten, *entries], tainted=answered
        )

    def _write_down(self, turn: Turn) -> None:
        """Writes the entries so far: the gate is about to write its own, which stand behind them."""
        self._store.note(turn.thread, turn.turn, self._unwritten)
        self._unwritten = []

    def _tried(self, name: str, raw: object, turn: Turn, position: int, by: float, *, is_again: bool) -> Taken:
        """One call as `_take` takes it, or the words for why it is none."""
        try:
            if is_again:
                raise BadCall("This same call was made twice already in this turn. Use its result, or change the call.")
            return self._take(name, raw, turn, position, by)
        except BadCall as error:
            log.info("bad call", reason=str(error))
            told = {"call": _attempted(raw, self._gate.catalog), "reason": str(error)}
            return ReadResult(error_text(str(error))), [JournalEntry("bad call", told)]

    def _take(self, name: str, raw: object, turn: Turn, position: int, by: float) -> Taken:
        """One call: what a read gave, or a write's proposal; and the journal's entries about it. Raises `BadCall`."""
        match name:
            case "call_rest_api":
                return self._call(parse_arguments(raw), turn, position, by)
            case _ if name == FIND:
                return self._find(raw, turn)
            case "read_result":
                return self._gate.more(turn, parse_arguments(raw))
        raise BadCall(f"There is no tool '{name[:60]}'. {self._told_tools()}")

    def _call(self, arguments: Mapping[str, object], turn: Turn, position: int, by: float) -> Taken:
        catalog, wants = self._gate.here(turn.thread).catalog, self._wants(turn)
        if is_run(arguments):
            self._write_down(turn)
            begun, tainted = begin(catalog, arguments), self._store.is_tainted(turn.thread)
            return run(
                self._gate,
                catalog,
                begun,
                turn,
                position,
                tainted=tainted,
                sent_alone=self._sent_alone,
                before=self._before(turn),
                wants=wants,
            )
        call = resolve(catalog, arguments)
        self._before(turn)(call)
        if call.unresolved or call.method not in SAFE_METHODS:
            self._write_down(turn)
        try:
            call = self._gate.resolved(call, turn, wants, catalog)
        except Unclear as error:
            return ReadResult(error.text), [noted_unclear(call, error)]
        tainted = call.method not in SAFE_METHODS and (bool(call.matched) or self._store.is_tainted(turn.thread))
        sorted_call = sort(call, tainted=tainted, sent_alone=self._sent_alone)
        self._check(turn)
        if isinstance(sorted_call, Read):
            got = self._gate.read(sorted_call, turn, wants, catalog)
            return got, [noted_read(call, got.status, got.seconds, got.text, **got.counts)]
        until = None if call.matched else by  # a look-up took of that time
        proposal = self._gate.propose(sorted_call, turn, position, until)
        return proposal, [proposed(proposal)]

    def _told_tools(self) -> str:
        here = self._gate.here(self._thread)
        names = [
            one["function"]["name"] for one in tools(here.catalog, here.instructions, self._services.prompt_budget)
        ]
        return f"The only tool is {names[0]}." if len(names) == 1 else f"The tools are {' and '.join(names)}."

    def _find(self, raw: object, turn: Turn) -> Taken:
        """Operations that were not listed."""
        self._check(turn)
        self._status(words.FINDING)
        arguments = parse_arguments(raw)
        here = self._gate.here(turn.thread)
        found = find(here.catalog, arguments, here.instructions, self._services.prompt_budget)
        return ReadResult(found), [JournalEntry("find", {"words": digest(str(arguments["query"]))})]

    def _before(self, turn: Turn) -> Callable[..., None]:
        """What is done ahead of each call or further page: raises where the turn may not go on, shows what is being done."""

        def before(call: Call, page: int = 0) -> None:
            self._check(turn)
            self._status(step(call, page, self._gate.secrets))

        return before

    def _wants(self, turn: Turn) -> Callable[[Call, int], bool]:
        """What is done ahead of each further page of a list: shows which one is read, unless a person stopped it.

        Raises `Stopped`: a list must not stay in part for what is read after the next start.
        """

        def wants(call: Call, page: int) -> bool:
            try:
                self._before(turn)(call, page)
            except TurnCancelled:
                return False
            return True

        return wants


class _Written:
    """What one model call has written so far, and the message in which people see it grow. It is the model's ear."""

    def __init__(self, services: Services, turn: Turn | None, *, is_resumed: bool = False) -> None:
        self._services = services
        self._turn = turn
        self._since: float | None = None
        self._noted = 0.0
        self.text = ""
        self.post: str | None = None
        if turn is not None and is_resumed:  # an earlier try of this call may have begun to show its answer
            post = live_id(turn.turn, turn.model_calls)
            self.post = post if services.store.has_post(post) else None

    def hear(self, text: str, *, is_calling: bool) -> None:
        """Shows the text so far, once it is likely to be an answer: models write a word or two before they call something."""
        self.text = text = self._meant(text)
        if is_calling or not text or self._turn is None or self._services.growing is None:
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since < _HOLD_BACK or now - self._noted < _NOTE_EVERY:
            return
        self._noted = now
        if self.post is None:
            self._begin(self._turn)
        if self.post is not None:
            self._services.growing.note(self.post, self._turn.thread, text)

    def _meant(self, text: str) -> str:
        """What people may see of a text so far: no thoughts, no call, and nothing yet of what may turn out to be one of those."""
        thoughts, habits = parted(text), self._services.habits
        habits.thinks_aloud = habits.thinks_aloud or thoughts.is_lone
        is_unsure = may_become_call(thoughts.words) or (habits.thinks_aloud and not thoughts.has_thoughts)
        return "" if is_unsure else put_together(thoughts.words)

    def _begin(self, turn: Turn) -> None:
        shown = beginning(self.text, self._services.gate.catalog.links)
        if shown:
            self.post = live_id(turn.turn, turn.model_calls)
            self._services.store.say([live(self.post, turn.thread, turn.turn, turn.asker, shown)])

    def is_cut(self) -> bool:
        """Whether nobody wants the rest."""
        return self._turn is not None and self._services.cancel_flag.is_on(self._turn.turn)


def _answer_text(reply: Reply, spent: int | None) -> str:
    """What the person gets. `spent`: the number of model calls that the turn used up, where it did."""
    text = reply.words.strip()
    if spent is not None and reply.said.calls:  # what it still wanted to do
        return f"{text}\n\n{words.NO_END.format(calls=spent)}".strip()
    if reply.refusal.strip() and not text:
        said = reply.refusal.strip()
        return f"{said}\n\n{words.CUT}" if meaning(reply.ending) == "cut" else said
    ended = meaning(reply.ending)
    if ended == "filtered":
        return f"{text}\n\n{words.FILTERED}".strip()
    odd = shown(reply.ending)
    if not text and spent is None:
        return words.EMPTY_END.format(ending=odd) if ended == "unknown" else words.EMPTY
    if not text:
        return words.NO_END.format(calls=spent)
    note = {"cut": words.CUT, "unknown": words.ODD_END.format(ending=odd)}.get(ended)
    return f"{text}\n\n{note}" if note else text


def _too_long(error: ModelFailed) -> Refusal:
    """The refusal of a request for its length. Raises the error again where it is another one."""
    if error.refusal is None or error.refusal.kind != "too long":
        raise error
    return error.refusal


def _calls_of_turn(items: Sequence[Item]) -> list[str]:
    """The keys of the calls since the person's last words."""
    start = max((i for i, item in enumerate(items) if isinstance(item, UserMessage)), default=0)
    return [call.key for item in items[start:] if isinstance(item, AssistantMessage) for call in item.calls]


def _brought_data(entry: JournalEntry) -> bool:
    """Whether what the journal tells of means that the API's data came in."""
    return entry.kind == "look-up" or (entry.kind == "read" and entry.data["status"] is not None)


def _attempted(raw: object, catalog: Catalog) -> str:
    """What a bad call wanted, for those who mend the catalog's descriptions: no values, only path segments that the catalog spells."""
    try:
        arguments = parse_arguments(raw)
    except BadCall:
        return "(unreadable)"
    known = {piece.literal for one in catalog.operations for piece in one.template.path}
    known |= {one.workflow_id for one in catalog.recipes}
    path = str(arguments.get("url")).partition("?")[0][:500]
    shown = "/".join(step if step in known or not step else "*" for step in path.split("/")[:20])
    return f"{str(arguments.get('method'))[:10]} {shown}"
