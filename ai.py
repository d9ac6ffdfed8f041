"""Class AI, one per thread_ts: transcript in, transcript out, and the loop over tool calls between them.

The transcript in the store is the only state. An AI is made when its thread is woken and forgotten when the thread rests; a call
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
from gate.authority import ChannelCatalog
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
class Limits:
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
    limits: Limits
    ids: Callable[[], str]
    clock: Callable[[], float]  # the store's: seconds since 1970


class AI:
    """One thread's conversation."""

    def __init__(self, thread: str, services: Services) -> None:
        self._thread = thread
        self._services = services
        self._store = services.store
        self._gate = services.gate
        self._notes = TurnNotes(services.store, services.reader, services.clock, services.model.prompt_budget)
        self._live: LiveAnswer  # of the turn that is worked on

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
            log.error("turn set aside", ends=turn.tries, hint="the process died each time in the middle of it")
            self._listen(turn)
            noted = JournalEntry("set aside", {"asker": turn.asker, "ends": turn.tries})
            self._break_off(turn, words.SET_ASIDE, noted, "set aside")

    def _advance(self) -> bool:
        turn = self._store.next_turn(self._thread)
        if turn is None:
            return False
        with structlog.contextvars.bound_contextvars(turn=turn.turn, asker=turn.asker):
            self._store.take_turn(turn)
            with agent_span(turn.trace, calm=(Stopped, Waits)):
                is_over = self._finish(turn)
            if not is_over:
                if self._store.rest_turn(turn) and turn.rested_at is None:
                    self._count_seconds(turn, "card")
                self._session(turn, "suspended")
                return True
            self._session(turn, "active")
            self._services.cancel_flag.over(turn.turn)
        if self._store.next_turn(self._thread) is not None:
            raise Waits(0.0)
        return False

    def _finish(self, turn: Turn) -> bool:
        """True when the turn is over, False while it waits for people. Whatever fails in it is told in the thread."""
        try:
            self._listen(turn)
            begun = turn if turn.is_running else self._begin(turn)
            return begun is None or self._to_rest(begun)
        except (Stopped, Waits, Overtaken, CatalogOutdated):
            raise
        except TurnCancelled:
            return self._stop(turn)
        except _Unconnected as missing:
            return self._await_account(turn, missing)
        except ModelBusy as error:
            return self._put_aside(turn, error)
        except ModelFailed as error:
            template = _FAILURE_WORDS[error.refusal.kind if error.refusal else "down"]
            return self._fail(turn, template, str(error), error.refusal)
        except BadReply as error:
            return self._fail(turn, words.MODEL_ODD, str(error))
        except Exception as error:  # the turn's boundary: any bug becomes words with a reference; the thread goes on
            if self._store.is_away(error):
                raise
            metrics.FAULTS.inc()
            return self._fail(turn, words.FAULT, "a fault of the bot")

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _to_rest(self, turn: Turn) -> bool:
        if turn.connects and (is_over := self._still_awaits(turn)) is not None:
            return is_over
        items = self._store.transcript(self._thread, turn.asker)
        self._store.check_catalog()
        while True:
            self._check(turn)
            if open_calls(items):
                self._send_approved(turn)
                items = self._store.transcript(self._thread, turn.asker)
                if open_calls(items):
                    return False
            self._rest_for_model(turn.waits_until)
            is_last = turn.model_calls >= self._services.limits.max_model_calls
            here = self._here(turn)
            if not here.catalog.operations:
                self._turn_away(turn, words.NOT_KNOWN_WHO if here.is_unsure else words.NOTHING_TO_ASK)
                return True
            self._check_connected(turn, here)
            self._live.is_silent = self._is_for_asker_alone(turn, items)
            reply, asked = self._ask(turn, here, items, is_last=is_last)
            turn = replace(turn, model_calls=turn.model_calls + 1)
            if is_last or not reply.message.calls:
                self._answer(turn, here, reply, asked, is_last=is_last, is_alone=self._is_for_asker_alone(turn, items))
                return True
            self._store.check_catalog()  # another one may have come since the last look, by which less is allowed
            now = self._here(turn)
            is_own = is_private(items) or here.catalog.is_limited or now.catalog.is_limited
            turn = replace(turn, only_for=turn.asker if is_own else "")
            made = self._take_calls(turn, now, items, reply, asked)
            said = self._store.add_round(turn, made)
            self._live = self._live_answer(turn)
            items = [*items, said, *(replace(one, reply=said.row) for one in made.results)]

    def _check(self, turn: Turn) -> None:
        """Raises where the turn may not go on: the process ends, or a person stopped it, also before this process began."""
        if turn.stopped_by:
            raise TurnCancelled
        self._services.cancel_flag.check(turn.turn)

    def _send_approved(self, turn: Turn) -> None:
        for approval in self._gate.approvals(turn.turn):
            self._check(turn)
            self._gate.write(approval)

    def _ask(
        self, turn: Turn, here: ChannelCatalog, items: Sequence[Item], *, is_last: bool
    ) -> tuple[Reply, JournalEntry]:
        """One model call: the reply, and the journal's entry about it."""
        self._services.status.status(self._thread, words.THINKING, after=LASTS if not turn.model_calls else _GOES_ON)
        model = self._services.model
        noted = first_noted(items) or TurnNote(self._notes.about(turn), "")
        began = time.monotonic()
        reply = model.ask(
            items, here.catalog, here.instructions, noted, self._live, lambda: self._check(turn), is_last=is_last
        )
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

    def _take_calls(
        self, turn: Turn, here: ChannelCatalog, items: Sequence[Item], reply: Reply, asked: JournalEntry
    ) -> ReplyOutcome:
        """Makes what the reply calls; what was shown of text beside the calls is no answer and goes."""
        progress = TurnProgress(self._thread, self._services.status, lambda: self._check(turn), self._gate)
        budget = self._services.model.prompt_budget
        calls = ReplyCalls(self._gate, self._store, turn, here, progress, asked, prompt_budget=budget)
        try:
            made = calls.take(items, reply)
        except NotConnected as missing:
            raise _Unconnected([missing.api], missing.reason, reply.usage) from missing
        said = replace(reply.message, only_for=turn.only_for, opaque_of=self._services.model.server)
        return replace(made, message=said, posts=[*self._not_shown(turn), *made.posts])

    def _is_for_asker_alone(self, turn: Turn, items: Sequence[Item]) -> bool:
        """Whether what the model says now is for the asker alone, by what it has in view, and would stand where others see it."""
        if Thread.from_key(turn.thread).is_direct or app_of(turn.asker):
            return False
        return is_for_asker_alone(items, self._gate.catalog)

    def _answer(
        self,
        turn: Turn,
        here: ChannelCatalog,
        reply: Reply,
        asked: JournalEntry,
        *,
        is_last: bool,
        is_alone: bool,
    ) -> None:
        limits, mention = self._services.limits, self._store.mention_of(turn.turn)
        files = mention.files if mention is not None else ()
        text = answer_text(reply, limits.max_model_calls if is_last else None)
        shown = with_notes(text, files, is_dry_run=limits.dry_run, is_unsure=here.is_unsure)
        first, links = self._services.ids(), self._gate.catalog.links
        if is_alone:
            says = [*answers_alone(turn, shown, first, links), *self._not_shown(turn)]
        else:
            says = answer_posts(turn.turn, turn.thread, shown, first, self._live.post, links)
        said = AssistantMessage(text, only_for=turn.asker if is_alone else "")
        noted = [asked, JournalEntry("answer", {"words": digest(text), **({"alone": True} if is_alone else {})})]
        self._store.end_turn(turn, says, said=said, usage=reply.usage, entries=noted)
        self._count_end(turn, "answered")

    def _not_shown(self, turn: Turn) -> list[Post]:
        """What takes back the answer that has begun to grow in the thread, where one has."""
        gone = self._live.post
        return [] if gone is None else [delete(self._services.ids(), turn.thread, turn.turn, gone)]

    # --- accounts that the asker has yet to connect -------------------------------------------------------------------

    def _check_connected(self, turn: Turn, here: ChannelCatalog) -> None:
        """Raises `_Unconnected` where nothing that holds here can be asked before its asker connects an account: then nothing reaches
        the model."""
        if missing := self._gate.first_accounts(turn, here.catalog):
            raise _Unconnected(missing)

    def _await_account(self, turn: Turn, missing: _Unconnected) -> bool:
        """Has a turn wait for its asker, who alone is asked to connect an account. What the model said last is forgotten: it is asked
        again. False but for an app, which has no account, so that its turn is over."""
        if app_of(turn.asker):
            self._turn_away(turn, words.NO_ACCOUNT_OF_APP.format(apis=escape(" or ".join(missing.apis))))
            return True
        apis, until = missing.apis, self._services.clock() + waits_for(self._gate.catalog, missing.apis)
        log.info("the turn waits for an account", apis=apis)
        says = self._not_shown(turn)
        says.append(offer(self._store, self._services.ids(), turn, apis, connect_text(apis, missing.reason, until)))
        noted = JournalEntry("account asked for", {"asker": turn.asker, "apis": list(apis), "until": until})
        self._store.await_account(turn, apis, until, says, [noted], missing.usage)
        self._services.status.status(self._thread, words.AWAITING_ACCOUNT, after=0.0)
        if not missing.reason and self._gate.has_account(turn, apis):  # connected while this was written
            self._store.take_up_waiting(turn)
        return False

    def _still_awaits(self, turn: Turn) -> bool | None:
        """Whether a turn that waited for an account is over, since none came in time or its question was deleted, or rests; None where it
        goes on."""
        self._check(turn)
        if self._services.reader.is_deleted(turn):
            self._end_deleted(turn)
            return True
        if turn.connects_until is None or self._gate.has_account(turn, turn.connects):
            self._store.end_await(turn)
            return None
        if turn.connects_until > self._services.clock():
            return False
        apis = " or ".join(turn.connects)
        noted = JournalEntry("not connected", {"asker": turn.asker, "apis": list(turn.connects)})
        self._break_off(turn, words.NOT_CONNECTED_IN_TIME.format(apis=escape(apis)), noted, "not connected")
        return True

    def _end_deleted(self, turn: Turn) -> None:
        """Ends a turn that waited for an account and whose question is not there any more: nobody is told, as where it was deleted before
        its turn."""
        log.info("question deleted while it waited for an account")
        noted = JournalEntry("question deleted", {"asker": turn.asker})
        said = AssistantMessage(words.QUESTION_DELETED)
        self._store.end_turn(turn, [], said=said, usage=None, failed=True, entries=[noted])
        self._services.status.status(self._thread, "", after=0.0)
        metrics.TURNS.labels("dropped").inc()

    # --- the beginning ------------------------------------------------------------------------------------------------

    def _begin(self, turn: Turn) -> Turn | None:
        """Begins a waiting turn with what its question says by now; None where it is not to begin: its question was deleted meanwhile, or
        the tokens were used up."""
        self._check(turn)
        if (closed := self._store.used_up(turn.asker, self._services.limits.allowance)) is not None:
            self._refuse(turn, closed)
            return None
        here = self._here(turn)
        written = self._services.reader.read(turn)
        if written.text is None:
            log.info("question deleted before its turn")
            self._store.drop_turn(turn, [JournalEntry("question deleted", {"asker": turn.asker})])
            metrics.TURNS.labels("dropped").inc()
            return None
        edited = [JournalEntry("question edited", {"words": digest(written.text)})] if written.text != turn.text else []
        self._session(turn, "processing", written.text)
        noted = self._notes.of_question(turn, here, written.text, [line.text for line in written.before])
        return self._store.begin_turn(turn, written.text, written.before, edited, noted)

    def _refuse(self, turn: Turn, closed: Closed) -> None:
        """Ends a turn that waited while the tokens were used up. It has its thumbs-up, so it is told where all see that."""
        log.info("refused", limit=closed.setting)
        says = message(self._services.ids(), turn.thread, turn.turn, closed_text(closed))
        self._store.end_turn(turn, [says], said=None, usage=None, failed=True, entries=[refused(turn, closed)])

    def _listen(self, turn: Turn) -> None:
        """Begins to listen to a turn's next model call, whose answer an earlier process may have begun to show."""
        self._live = self._live_answer(turn)
        if turn.is_running:
            self._live.take_up()

    def _live_answer(self, turn: Turn) -> LiveAnswer:
        made = self._services
        return LiveAnswer(turn, self._store, self._gate, made.streams, made.cancel_flag, made.model.habits)

    # --- other ends ---------------------------------------------------------------------------------------------------

    def _turn_away(self, turn: Turn, refusal: str) -> None:
        """Ends a turn whose asker may not ask for it here."""
        log.info("refused", reason=refusal)
        noted = JournalEntry("question refused", {"user": turn.asker, "reason": refusal})
        self._break_off(turn, refusal, noted, "dropped")

    def _stop(self, turn: Turn) -> bool:
        """Ends a turn that a person stopped, with what was written so far; False while one of its writes is under way."""
        self._gate.withdraw(turn.turn)  # first: from then on nothing more of it is sent
        if self._gate.is_sending(turn.turn):
            return False
        stopped = self._store.turn(turn.turn) or turn
        why = words.STOPPED if self._live.text else words.STOPPED_EMPTY
        self._break_off(stopped, why, JournalEntry("ended by a person", {"by": stopped.stopped_by}), "stopped")
        return True

    def _fail(self, turn: Turn, template: str, reason: str, refusal: Refusal | None = None, **more: str) -> bool:
        """Ends a turn that failed, with words and a reference. False while one of its writes is under way: the turn goes on after it,
        so that nobody is told of an end while something of it still happens."""
        reference = self._services.ids()[:8]
        about = {} if refusal is None else refusal.for_log | {"hint": _HINT}
        log.exception("turn failed", reference=reference, reason=reason, **about)
        if self._gate.is_sending(turn.turn):
            return False
        noted = JournalEntry("failed", {"reference": reference, "reason": reason})
        self._break_off(turn, template.format(reason=reason, reference=reference, **more), noted, "failed")
        return True

    def _break_off(self, turn: Turn, why: str, noted: JournalEntry, outcome: str) -> None:
        """Ends a turn before its end: what was written stays, with the words for why it ends there."""
        self._gate.withdraw(turn.turn)
        text = f"{self._live.text}\n\n{why}".strip()
        says = answer_posts(
            turn.turn, turn.thread, text, self._services.ids(), self._live.post, self._gate.catalog.links
        )
        self._store.end_turn(turn, says, said=AssistantMessage(text), usage=None, failed=True, entries=[noted])
        self._count_end(turn, outcome)

    def _put_aside(self, turn: Turn, busy: ModelBusy) -> bool:
        """Has a turn wait for its model without a worker, for as long as `patience` allows; else ends it. Raises `Waits`."""
        now, stored = self._services.clock(), self._store.turn(turn.turn) or turn
        is_first = stored.waits_since is None
        since = now if stored.waits_since is None else stored.waits_since
        patience = self._services.limits.patience
        wait = model_wait(busy.after, now - since, patience)
        if not wait.fits:
            template = words.MODEL_BUSY_LONG if wait.is_named and is_first else words.MODEL_BUSY
            spans = {"wait": span(wait.seconds), "waited": span(round(now - since))}
            return self._fail(turn, template, str(busy), busy.refusal, **spans)
        noted = [JournalEntry("model busy", {"reason": str(busy), "patience": patience})] if is_first else []
        self._store.put_aside(stored, since, now + wait.seconds, noted)
        about = busy.refusal.for_log if busy.refusal is not None else {}
        about = {**about, "hint": _HINT} if is_first else about
        left = round(since + patience - now)
        log.warning("the model is busy; the turn waits", wait=round(wait.seconds, 1), left=left, **about)
        self._rest_for_model(now + wait.seconds)
        return False

    def _here(self, turn: Turn) -> ChannelCatalog:
        """What the turn's asker may ask for here. Where Slack does not say so the turn waits without a worker, for a minute; after that,
        what is not known is left out. Raises `BadCall`, and `Waits`."""
        try:
            return self._gate.here(self._thread, turn.asker)
        except (SlackBusy, SlackUnsure) as error:
            self._wait_for_slack(turn, error)
        return self._gate.here(self._thread, turn.asker, to="show")

    def _wait_for_slack(self, turn: Turn, error: SlackBusy | SlackUnsure) -> None:
        """Raises `Waits` as long as the turn has time."""
        now, stored = self._services.clock(), self._store.turn(turn.turn) or turn
        since = now if stored.waits_since is None else stored.waits_since
        wait = error.after if isinstance(error, SlackBusy) else _TRY_SLACK
        if stored.waits_since is None:
            log.warning("slack does not say who may ask; the turn waits", reason=str(error))
        if may_wait_for_slack(wait, now - since):
            if stored.is_running:
                self._store.put_aside(stored, since, now)
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

    def _count_end(self, turn: Turn, outcome: str) -> None:
        metrics.TURNS.labels(outcome).inc()
        if turn.rested_at is None:  # else people took their time
            self._count_seconds(turn, "answer")

    def _count_seconds(self, turn: Turn, until: str) -> None:
        seconds = self._services.clock() - turn.created_at
        metrics.TURN_SECONDS.labels(until).observe(max(0.0, seconds))  # another machine's clock may be ahead

    # --- what is shown beside the messages ----------------------------------------------------------------------------

    def _session(self, turn: Turn, state: Session, title: str = "") -> None:
        if Thread.from_key(self._thread).is_direct:
            self._services.status.session(self._thread, state, " ".join(title.split()))
