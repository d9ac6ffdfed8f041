"""Class AI, one per thread_ts: transcript in, transcript out; and TurnWork, the loop over tool calls between them.

The transcript in the store is the only state. Both are made when a thread is woken and forgotten when it rests; a call
that waits for a person is a call without a result, and holds nothing here. The model is asked by model/model_calls.py, what it calls
is done by gate/reply_calls.py, what it says is shown by slack_io/live_answer.py, how long a turn waits is in workers/waits.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from base import metrics, words
from base.allowance import UNLIMITED, Allowance
from base.askers import app_of
from base.durations import span
from base.markdown import escape
from base.slack_errors import SlackBusy, SlackUnsure
from base.thread import Thread
from base.tracing import agent_span
from gate.answer_places import is_for_asker_alone
from gate.authority import CatalogPart
from gate.gate import Gate
from gate.reply_calls import ReplyCalls
from identity.callers import NotConnected
from identity.needs import waits_for
from model.chat import ModelBusy, ModelFailed
from model.model_calls import ModelCalls
from model.refusals import Refusal
from model.replies import BadReply, Reply
from slack_io.allowance_words import closed_text
from slack_io.answer_posts import answer_posts, answer_text, answers_alone, with_notes
from slack_io.assistant_status import LASTS, AssistantStatus, Session
from slack_io.connect_offers import connect_text, offer
from slack_io.live_answer import LiveAnswer
from slack_io.steps import TurnProgress
from slack_io.streaming import StreamedMessages
from slack_io.thread_context import ThreadReader
from slack_io.turn_notes import TurnNotes
from store.admission import refused
from store.database import CatalogOutdated
from store.holds import Overtaken
from store.journal.hash_chain import JournalEntry, digest
from store.posts import Post, delete, message
from store.store import Store
from store.transcript import (
    AssistantMessage,
    Item,
    TurnNote,
    Usage,
    first_noted,
    is_private,
    open_calls,
)
from store.turns import ReplyOutcome, Turn
from store.usage import Closed
from workers.cancel_flag import CancelFlag, Stopped, TurnCancelled
from workers.waits import Waits, may_wait_for_slack, model_wait

log = structlog.get_logger("ai")
_GOES_ON = 2.0  # seconds of a further model call after which it is shown: a card or a step was shown before it
_TRY_SLACK = 2.0  # seconds of one wait for Slack to say who may ask, where it gave no answer
_STATUS_EVERY = 50.0  # seconds after which a wait is shown again; Slack drops a status after two minutes
_HINT = "python bot.py check --model shows what this server takes and what to set"
_FAILURE_WORDS = {
    "busy": words.MODEL_DOWN,
    "down": words.MODEL_DOWN,
    "quota": words.MODEL_QUOTA,
    "refused": words.MODEL_REFUSED,
    "filtered": words.MODEL_FILTERED,
    "too long": words.MODEL_TOO_LONG,
}


class _Unconnected(Exception):
    """The turn's asker has to connect an account of one of `apis` first; `usage` is of the model call that led there."""

    def __init__(self, apis: Sequence[str], reason: str = "", usage: Usage | None = None) -> None:
        super().__init__(", ".join(apis))
        self.apis = apis
        self.reason = reason
        self.usage = usage


@dataclass(frozen=True)
class TurnLimits:
    """What bounds a turn. `patience`: seconds for which it waits for a model that has no time. `dry_run`: its answer says so. `allowance`:
    whose tokens are used up when it is to begin."""

    max_model_calls: int = 20
    patience: float = 300.0
    dry_run: bool = False
    allowance: Allowance = UNLIMITED


@dataclass(frozen=True)
class Services:
    """What every AI of one bot shares."""

    model: ModelCalls
    gate: Gate
    store: Store
    reader: ThreadReader
    status: AssistantStatus
    streams: StreamedMessages
    cancel_flag: CancelFlag
    limits: TurnLimits
    ids: Callable[[], str]
    clock: Callable[[], float]  # the store's: seconds since 1970


class AI:
    """One thread's conversation."""

    def __init__(self, thread: str, services: Services) -> None:
        self._thread = thread
        self._services = services
        self._store = services.store

    def advance(self) -> bool:
        """Goes on with the thread until it rests; True where it waits for people. Safe to run again at any point.

        After each turn others get theirs. Raises `Stopped`, `Waits` where the thread waits for them or for the model, and `Overtaken`
        where another process goes on with it by now.
        """
        with self._store.holding(self._thread):
            return self._advance()

    def set_aside(self, turn: Turn) -> None:
        """Ends a turn that may have ended its processes, with words in its thread."""
        with self._store.holding(self._thread), structlog.contextvars.bound_contextvars(turn=turn.turn):
            TurnWork(turn, self._services).set_aside()

    def _advance(self) -> bool:
        turn = self._store.next_turn(self._thread)
        if turn is None:
            return False
        with structlog.contextvars.bound_contextvars(turn=turn.turn, asker=turn.asker):
            if not TurnWork(turn, self._services).advance():
                return True
        if self._store.next_turn(self._thread) is not None:
            raise Waits(0.0)
        return False


class TurnWork:
    """The work on one turn, for who holds its thread."""

    def __init__(self, turn: Turn, services: Services) -> None:
        self._turn = turn
        self._thread = turn.thread
        self._services = services
        self._store = services.store
        self._gate = services.gate
        self._notes = TurnNotes(services.store, services.reader, services.clock, services.model.prompt_budget)
        self._live = self._live_answer()  # of the next model call

    def advance(self) -> bool:
        """Goes on with the turn until it is over, or waits for people (False)."""
        self._store.take_turn(self._turn)
        with agent_span(self._turn.trace, calm=(Stopped, Waits)):
            is_over = self._finish()
        if not is_over:
            if self._store.rest_turn(self._turn) and self._turn.rested_at is None:
                self._count_seconds("card")
            self._session("suspended")
            return False
        self._session("active")
        self._services.cancel_flag.over(self._turn.turn)
        return True

    def set_aside(self) -> None:
        """Ends the turn, since it may have ended its processes."""
        log.error("turn set aside", ends=self._turn.tries, hint="the process died each time in the middle of it")
        self._take_up_shown()
        noted = JournalEntry("set aside", {"asker": self._turn.asker, "ends": self._turn.tries})
        self._break_off(words.SET_ASIDE, noted, "set aside")

    def _finish(self) -> bool:
        """True when the turn is over, False while it waits for people. Whatever fails in it is told in the thread."""
        try:
            self._take_up_shown()
            is_begun = self._turn.is_running or self._begin()
            return not is_begun or self._to_rest()
        except (Stopped, Waits, Overtaken, CatalogOutdated):
            raise
        except TurnCancelled:
            return self._stop()
        except _Unconnected as missing:
            return self._await_account(missing)
        except ModelBusy as error:
            return self._wait_for_model(error)
        except ModelFailed as error:
            template = _FAILURE_WORDS[error.refusal.kind if error.refusal else "down"]
            return self._fail(template, str(error), error.refusal)
        except BadReply as error:
            return self._fail(words.MODEL_ODD, str(error))
        except Exception as error:  # the turn's boundary: any bug becomes words with a reference; the thread goes on
            if self._store.is_away(error):
                raise
            metrics.FAULTS.inc()
            return self._fail(words.FAULT, "a fault of the bot")

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _to_rest(self) -> bool:
        if self._turn.connects and (is_over := self._still_awaits()) is not None:
            return is_over
        items = self._store.transcript(self._thread, self._turn.asker)
        self._store.check_catalog()
        while True:
            self._check()
            if open_calls(items):
                self._send_approved()
                items = self._store.transcript(self._thread, self._turn.asker)
                if open_calls(items):
                    return False
            self._rest_for_model(self._turn.waits_until)
            is_last = self._turn.model_calls >= self._services.limits.max_model_calls
            part = self._part()
            if not part.catalog.operations:
                self._turn_away(words.NOT_KNOWN_WHO if part.is_unsure else words.NOTHING_TO_ASK)
                return True
            self._check_connected(part)
            self._live.is_silent = self._is_for_asker_alone(items)
            reply, asked = self._ask(part, items, is_last=is_last)
            self._turn = replace(self._turn, model_calls=self._turn.model_calls + 1)
            if is_last or not reply.message.calls:
                self._answer(part, reply, asked, is_last=is_last, is_alone=self._is_for_asker_alone(items))
                return True
            self._store.check_catalog()  # another one may have come since the last look, by which less is allowed
            now = self._part()
            is_own = is_private(items) or part.catalog.is_limited or now.catalog.is_limited
            self._turn = replace(self._turn, only_for=self._turn.asker if is_own else "")
            made = self._take_calls(now, items, reply, asked)
            said = self._store.add_round(self._turn, made)
            self._live = self._live_answer()
            items = [*items, said, *(replace(one, reply=said.row) for one in made.results)]

    def _check(self) -> None:
        """Raises where the turn may not go on: the process ends, or a person stopped it, also before this process began."""
        if self._turn.stopped_by:
            raise TurnCancelled
        self._services.cancel_flag.check(self._turn.turn)

    def _send_approved(self) -> None:
        for approval in self._gate.approved_by_policy(self._turn.turn):
            self._check()
            self._gate.write(approval)

    def _ask(self, part: CatalogPart, items: Sequence[Item], *, is_last: bool) -> tuple[Reply, JournalEntry]:
        """One model call: the reply, and the journal's entry about it."""
        after = _GOES_ON if self._turn.model_calls else LASTS
        self._services.status.status(self._thread, words.THINKING, after=after)
        model = self._services.model
        noted = first_noted(items) or TurnNote(self._notes.about(self._turn), "")
        began = time.monotonic()
        reply = model.ask(items, part.catalog, part.instructions, noted, self._live, self._check, is_last=is_last)
        measured = {
            "model": model.name,
            "seconds": round(time.monotonic() - began, 4),
            "prompt_tokens": reply.usage.prompt,
            "cached_tokens": reply.usage.cached,
            "completion_tokens": reply.usage.completion,
            "reasoning_tokens": reply.usage.reasoning,
            "calls": len(reply.message.calls),
        }
        log.info("model call", ending=reply.ending, **measured)
        return reply, JournalEntry("model call", measured)

    def _take_calls(self, part: CatalogPart, items: Sequence[Item], reply: Reply, asked: JournalEntry) -> ReplyOutcome:
        """Makes what the reply calls; what was shown of text beside the calls is no answer and goes."""
        progress = TurnProgress(self._thread, self._services.status, self._check, self._gate)
        budget = self._services.model.prompt_budget
        calls = ReplyCalls(self._gate, self._store, self._turn, part, progress, asked, prompt_budget=budget)
        try:
            made = calls.take(items, reply)
        except NotConnected as missing:
            raise _Unconnected([missing.api], missing.reason, reply.usage) from missing
        said = replace(reply.message, only_for=self._turn.only_for, opaque_of=self._services.model.server)
        return replace(made, message=said, posts=[*self._not_shown(), *made.posts])

    def _is_for_asker_alone(self, items: Sequence[Item]) -> bool:
        """Whether what the model says now is for the asker alone, by what it has in view, and would stand where others see it."""
        if Thread.from_key(self._turn.thread).is_direct or app_of(self._turn.asker):
            return False
        return is_for_asker_alone(items, self._gate.catalog)

    def _answer(
        self,
        part: CatalogPart,
        reply: Reply,
        asked: JournalEntry,
        *,
        is_last: bool,
        is_alone: bool,
    ) -> None:
        limits, mention = self._services.limits, self._store.mention_of(self._turn.turn)
        files = mention.files if mention is not None else ()
        text = answer_text(reply, limits.max_model_calls if is_last else None)
        shown = with_notes(text, files, is_dry_run=limits.dry_run, is_unsure=part.is_unsure)
        first, links = self._services.ids(), self._gate.catalog.links
        if is_alone:
            says = [*answers_alone(self._turn, shown, first, links), *self._not_shown()]
        else:
            says = answer_posts(self._turn.turn, self._turn.thread, shown, first, self._live.post, links)
        last_words = AssistantMessage(text, only_for=self._turn.asker if is_alone else "")
        noted = [asked, JournalEntry("answer", {"words": digest(text), **({"alone": True} if is_alone else {})})]
        self._store.end_turn(self._turn, says, last_words=last_words, usage=reply.usage, entries=noted)
        self._count_end("answered")

    def _not_shown(self) -> list[Post]:
        """What takes back the answer that has begun to grow in the thread, where one has."""
        gone = self._live.post
        return [] if gone is None else [delete(self._services.ids(), self._turn.thread, self._turn.turn, gone)]

    # --- accounts that the asker has yet to connect -------------------------------------------------------------------

    def _check_connected(self, part: CatalogPart) -> None:
        """Raises `_Unconnected` where nothing that holds here can be asked before its asker connects an account: then nothing reaches
        the model."""
        if missing := self._gate.first_accounts(self._turn, part.catalog):
            raise _Unconnected(missing)

    def _await_account(self, missing: _Unconnected) -> bool:
        """Has a turn wait for its asker, who alone is asked to connect an account. What the model said last is forgotten: it is asked
        again. False but for an app, which has no account, so that its turn is over."""
        if app_of(self._turn.asker):
            self._turn_away(words.NO_ACCOUNT_OF_APP.format(apis=escape(" or ".join(missing.apis))))
            return True
        apis, until = missing.apis, self._services.clock() + waits_for(self._gate.catalog, missing.apis)
        log.info("the turn waits for an account", apis=apis)
        asks = connect_text(apis, missing.reason, until)
        says = [*self._not_shown(), offer(self._store, self._services.ids(), self._turn, apis, asks)]
        noted = JournalEntry("account asked for", {"asker": self._turn.asker, "apis": list(apis), "until": until})
        self._store.await_account(self._turn, apis, until, says, [noted], missing.usage)
        self._services.status.status(self._thread, words.AWAITING_ACCOUNT, after=0.0)
        if not missing.reason and self._gate.has_account(self._turn, apis):  # connected while this was written
            self._store.take_up_waiting(self._turn)
        return False

    def _still_awaits(self) -> bool | None:
        """Whether a turn that waited for an account is over, since none came in time or its question was deleted, or rests; None where it
        goes on."""
        self._check()
        if self._services.reader.is_deleted(self._turn):
            self._end_deleted()
            return True
        if self._turn.connects_until is None or self._gate.has_account(self._turn, self._turn.connects):
            self._store.end_await(self._turn)
            return None
        if self._turn.connects_until > self._services.clock():
            return False
        apis = " or ".join(self._turn.connects)
        noted = JournalEntry("not connected", {"asker": self._turn.asker, "apis": list(self._turn.connects)})
        self._break_off(words.NOT_CONNECTED_IN_TIME.format(apis=escape(apis)), noted, "not connected")
        return True

    def _end_deleted(self) -> None:
        """Ends a turn that waited for an account and whose question is not there any more: nobody is told, as where it was deleted before
        its turn."""
        log.info("question deleted while it waited for an account")
        noted = JournalEntry("question deleted", {"asker": self._turn.asker})
        last_words = AssistantMessage(words.QUESTION_DELETED)
        self._store.end_turn(self._turn, [], last_words=last_words, usage=None, failed=True, entries=[noted])
        self._services.status.status(self._thread, "", after=0.0)
        metrics.TURNS.labels("dropped").inc()

    # --- the beginning ------------------------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Begins a waiting turn with what its question says by now; False where it is not to begin: its question was deleted meanwhile, or
        the tokens were used up."""
        self._check()
        if (closed := self._store.used_up(self._turn.asker, self._services.limits.allowance)) is not None:
            self._refuse(closed)
            return False
        part = self._part()
        written = self._services.reader.read(self._turn)
        if written.text is None:
            log.info("question deleted before its turn")
            self._store.drop_turn(self._turn, [JournalEntry("question deleted", {"asker": self._turn.asker})])
            metrics.TURNS.labels("dropped").inc()
            return False
        is_edited = written.text != self._turn.text
        edited = [JournalEntry("question edited", {"words": digest(written.text)})] if is_edited else []
        self._session("processing", written.text)
        noted = self._notes.of_question(self._turn, part, written.text, [line.text for line in written.before])
        self._turn = self._store.begin_turn(self._turn, written.text, written.before, edited, noted)
        return True

    def _refuse(self, closed: Closed) -> None:
        """Ends a turn that waited while the tokens were used up. It has its thumbs-up, so it is told where all see that."""
        log.info("refused", limit=closed.setting)
        says = message(self._services.ids(), self._turn.thread, self._turn.turn, closed_text(closed))
        noted = refused(self._turn, closed)
        self._store.end_turn(self._turn, [says], last_words=None, usage=None, failed=True, entries=[noted])

    def _take_up_shown(self) -> None:
        """Goes on with the answer that an earlier process may have begun to show."""
        if self._turn.is_running:
            self._live.take_up()

    def _live_answer(self) -> LiveAnswer:
        made = self._services
        return LiveAnswer(self._turn, self._store, self._gate, made.streams, made.cancel_flag, made.model.habits)

    # --- other ends ---------------------------------------------------------------------------------------------------

    def _turn_away(self, refusal: str) -> None:
        """Ends a turn whose asker may not ask for it here."""
        log.info("refused", reason=refusal)
        noted = JournalEntry("question refused", {"user": self._turn.asker, "reason": refusal})
        self._break_off(refusal, noted, "dropped")

    def _stop(self) -> bool:
        """Ends a turn that a person stopped, with what was written so far; False while one of its writes is under way."""
        self._gate.withdraw(self._turn.turn)  # first: from then on nothing more of it is sent
        if self._gate.is_sending(self._turn.turn):
            return False
        stopped = self._store.turn(self._turn.turn) or self._turn
        why = words.STOPPED if self._live.text else words.STOPPED_EMPTY
        self._break_off(why, JournalEntry("ended by a person", {"by": stopped.stopped_by}), "stopped")
        return True

    def _fail(self, template: str, reason: str, refusal: Refusal | None = None, **more: str) -> bool:
        """Ends a turn that failed, with words and a reference. False while one of its writes is under way: the turn goes on after it,
        so that nobody is told of an end while something of it still happens."""
        reference = self._services.ids()[:8]
        about = {} if refusal is None else refusal.for_log | {"hint": _HINT}
        log.exception("turn failed", reference=reference, reason=reason, **about)
        if self._gate.is_sending(self._turn.turn):
            return False
        noted = JournalEntry("failed", {"reference": reference, "reason": reason})
        self._break_off(template.format(reason=reason, reference=reference, **more), noted, "failed")
        return True

    def _break_off(self, why: str, noted: JournalEntry, outcome: str) -> None:
        """Ends a turn before its end: what was written stays, with the words for why it ends there."""
        self._gate.withdraw(self._turn.turn)
        text = f"{self._live.text}\n\n{why}".strip()
        says = answer_posts(
            self._turn.turn, self._turn.thread, text, self._services.ids(), self._live.post, self._gate.catalog.links
        )
        last_words = AssistantMessage(text)
        self._store.end_turn(self._turn, says, last_words=last_words, usage=None, failed=True, entries=[noted])
        self._count_end(outcome)

    def _wait_for_model(self, busy: ModelBusy) -> bool:
        """Has a turn wait for its model without a worker, for as long as `patience` allows; else ends it. Raises `Waits`."""
        now, stored = self._services.clock(), self._store.turn(self._turn.turn) or self._turn
        is_first = stored.waits_since is None
        since = now if stored.waits_since is None else stored.waits_since
        patience = self._services.limits.patience
        wait = model_wait(busy.after, now - since, patience)
        if not wait.fits:
            template = words.MODEL_BUSY_LONG if wait.is_named and is_first else words.MODEL_BUSY
            spans = {"wait": span(wait.seconds), "waited": span(round(now - since))}
            return self._fail(template, str(busy), busy.refusal, **spans)
        noted = [JournalEntry("model busy", {"reason": str(busy), "patience": patience})] if is_first else []
        self._store.pause_turn(stored, since, now + wait.seconds, noted)
        about = busy.refusal.for_log if busy.refusal is not None else {}
        about = {**about, "hint": _HINT} if is_first else about
        left = round(since + patience - now)
        log.warning("the model is busy; the turn waits", wait=round(wait.seconds, 1), left=left, **about)
        self._rest_for_model(now + wait.seconds)
        return False

    def _part(self) -> CatalogPart:
        """What the turn's asker may ask for here. Where Slack does not say so the turn waits without a worker, for a minute; after that,
        what is not known is left out. Raises `BadCall`, and `Waits`."""
        try:
            return self._gate.part(self._thread, self._turn.asker)
        except (SlackBusy, SlackUnsure) as error:
            self._wait_for_slack(error)
        return self._gate.part(self._thread, self._turn.asker, to="show")

    def _wait_for_slack(self, error: SlackBusy | SlackUnsure) -> None:
        """Raises `Waits` as long as the turn has time."""
        now, stored = self._services.clock(), self._store.turn(self._turn.turn) or self._turn
        since = now if stored.waits_since is None else stored.waits_since
        wait = error.after if isinstance(error, SlackBusy) else _TRY_SLACK
        if stored.waits_since is None:
            log.warning("slack does not say who may ask; the turn waits", reason=str(error))
        if may_wait_for_slack(wait, now - since):
            if stored.is_running:
                self._store.pause_turn(stored, since, now)
            else:
                self._store.wait_turn(stored, since)
            raise Waits(wait)

    def _rest_for_model(self, until: float | None) -> None:
        """Raises `Waits` where the model is not to be asked before `until`, and shows that."""
        left = until - self._services.clock() if until is not None else 0.0
        if left > 0:
            self._services.status.status(self._thread, words.BUSY_MODEL.format(wait=span(left)), after=0.0)
            raise Waits(min(left, _STATUS_EVERY))

    # --- what is counted ----------------------------------------------------------------------------------------------

    def _count_end(self, outcome: str) -> None:
        metrics.TURNS.labels(outcome).inc()
        if self._turn.rested_at is None:  # else people took their time
            self._count_seconds("answer")

    def _count_seconds(self, until: str) -> None:
        seconds = self._services.clock() - self._turn.created_at
        metrics.TURN_SECONDS.labels(until).observe(max(0.0, seconds))  # another machine's clock may be ahead

    # --- what is shown beside the messages ----------------------------------------------------------------------------

    def _session(self, state: Session, title: str = "") -> None:
        if Thread.from_key(self._thread).is_direct:
            self._services.status.session(self._thread, state, " ".join(title.split()))
