"""Who may: admits mentions and hears clicks, in the order in which they came in for a thread.

Knows people and channels, not the model, and asks nothing of the API, so that it is never kept waiting by either. What Slack has to be
asked about first, and does not answer now, holds up nobody else's click.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog

from base import metrics, words
from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from base.tracing import is_tracing, span, traceparent
from gate.card_posts import card_row
from gate.cards import deny_modal, notice_modal, whole_request
from gate.gate import Gate
from gate.policy import Refused, State
from model.prompt.prompt import suggestions
from slack_io.app_home import AppHome
from slack_io.assistant_status import AssistantStatus
from slack_io.cancellation import Cancellation
from slack_io.payloads import question
from slack_io.web_api import SlackWeb
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry
from store.posts import Post, ephemeral, message, thumbs_up
from store.proposal_record import Proposal
from store.store import Store
from store.turns import Turn
from workers.waking import Waking

log = structlog.get_logger("handlers")
_DAY = 86_400.0
_TRY_AGAIN = 2.0  # seconds, where Slack's directory gave no answer
_SAY_AGAIN = 30.0  # seconds for which the same refusal is not repeated to the same person
_MOST_SAID = 5  # refusals that one person is told in that time
_REMEMBERED = 1_000  # people who were refused lately
_APPROVE = frozenset({"approve", "approve_all"})


@dataclass(frozen=True)
class AdmissionRules:
    """Whom and how many the bot takes, from the settings."""

    channels: tuple[str, ...]
    allow_guests: bool
    workers: int
    max_waiting: int
    allow_direct: bool = False
    retention_days: float = 30.0


class Handlers:
    """Looks at what arrived."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        web: SlackWeb,
        rules: AdmissionRules,
        cancellation: Cancellation,
        status: AssistantStatus,
        home: AppHome,
        waking: Waking,
        *,
        ids: Callable[[], str],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._gate = gate
        self._web = web
        self._rules = rules
        self._cancellation = cancellation
        self._status = status
        self._home = home
        self._waking = waking
        self._ids = ids
        self._refusals = _RecentRefusals(steady)

    def handle(self, thread: str) -> float | None:
        """Handles a thread's arrivals. None when all are, else the seconds after which to try again."""
        held: list[Arrival] = []
        waits: list[float] = []
        for arrival in self._store.arrivals(thread):
            wait = 0.0 if _has_to_follow(arrival, held) else self._handle_one(arrival)
            if wait is not None:
                held.append(arrival)
                waits += [wait] if wait else []
        return min(waits, default=None)

    def _handle_one(self, arrival: Arrival) -> float | None:
        """Handles one; or gives the seconds after which Slack may say what has to be known first."""
        with structlog.contextvars.bound_contextvars(event_id=arrival.event_id, user=arrival.payload["user"]):
            try:
                self._store.take_in(arrival)
                with self._span(arrival):
                    self._dispatch(arrival)
            except SlackBusy as error:
                return error.after
            except SlackUnsure as error:
                log.warning("slack did not answer", reason=str(error))
                return _TRY_AGAIN
        return None

    def _span(self, arrival: Arrival) -> AbstractContextManager[object]:
        """A span for what is done about an arrival: of its own trace, a click's of the trace of the question that led to its card."""
        own = arrival.payload.get("traceparent", "")
        asked = self._store.trace_behind(arrival.payload["token"]) if is_tracing() and arrival.kind == "click" else ""
        about = arrival.payload["action"] if arrival.kind == "click" else arrival.kind
        does = {
            "messaging.system": "slack",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
        }
        calm = (SlackBusy, SlackUnsure)  # it is tried again
        return span(f"process {about}", "consumer", does, parent=asked or own, link=own if asked else "", calm=calm)

    def set_aside(self, arrival: Arrival) -> None:
        """Ends an arrival that may have ended its processes. A question is told so in its thread, who clicked alone."""
        log.error("arrival set aside", kind=arrival.kind, event_id=arrival.event_id, ends=arrival.tries)
        says: list[Post] = []
        if arrival.kind == "mention":
            says.append(self._message(arrival, "", words.SET_ASIDE))
        elif arrival.kind in ("click", "shortcut") and not arrival.payload.get("in_view"):
            says.append(self._ephemeral(arrival, words.SET_ASIDE, in_thread=True))
        noted = {"user": arrival.payload["user"], "kind": arrival.kind, "ends": arrival.tries}
        self._store.dispose(arrival, says, [JournalEntry("set aside", noted)])

    def _dispatch(self, arrival: Arrival) -> None:
        if not self._is_for_us(arrival):
            log.warning("an event of another installation", installed_in=arrival.payload["installed_in"])
            self._store.dispose(arrival)
            return
        match arrival.kind:
            case "click" | "shortcut" | "halted":
                self._interaction(arrival)
            case "app":
                self._app(arrival)
            case "removed":
                self._cancellation.removed(arrival)
            case "pane":
                self._suggest(arrival)
            case "home":
                self._store.dispose(arrival)
                self._home.opened(arrival.payload["user"])
            case "mention":
                self._mention(arrival)
            case kind:  # of a version that knew more
                log.error("an arrival of a kind that is not known here", kind=kind)
                self._store.dispose(arrival)

    def _is_for_us(self, arrival: Arrival) -> bool:
        """Whether an event was meant for the installation whose token the bot has: that of its workspace, or of its organisation."""
        named = arrival.payload.get("installed_in")
        if named is None:
            return True
        bot = self._web.identity()
        own = {bot.team, bot.enterprise} - {""}
        return not own or not own.isdisjoint(named)

    # --- mentions -----------------------------------------------------------------------------------------------------

    def _mention(self, arrival: Arrival) -> None:
        user, bot = arrival.payload["user"], self._web.identity().user
        if user == bot or self._is_too_old(arrival):
            self._store.dispose(arrival)
        elif (refusal := self._refusal(arrival)) is not None:
            log.info("refused", reason=refusal)
            metrics.QUESTIONS.labels("refused").inc()
            noted = JournalEntry("question refused", {"user": user, "reason": refusal})
            place = (
                arrival.thread.key if arrival.payload.get("in_thread") else arrival.thread.channel
            )  # where they look
            says = [self._to_author(arrival, refusal)] if self._refusals.is_news(user, place, refusal) else []
            self._store.dispose(arrival, says, [noted])
        elif not (text := self._question(arrival, bot)):
            self._store.dispose(arrival, [self._thumb(arrival, ""), self._message(arrival, "", words.HELP)])
        else:
            self._admit(arrival, text)

    def _is_too_old(self, arrival: Arrival) -> bool:
        """Whether an edit tells of a message so old that the store may have forgotten that it was a question once."""
        oldest = arrival.received_at - self._rules.retention_days * _DAY
        return bool(arrival.payload.get("is_edited")) and float(arrival.payload["ts"]) < oldest

    @staticmethod
    def _question(arrival: Arrival, bot: str) -> str:
        asked = arrival.payload
        return question(asked["text"], asked.get("files", ()), bot, has_attached=bool(asked.get("attached")))

    def _app(self, arrival: Arrival) -> None:
        """A workflow or an app mentioned the bot: one word in the thread, and only one, or two bots would go on for ever."""
        bot, wrote = self._web.identity(), arrival.payload
        is_ours = wrote["user"] == bot.user or (bool(bot.bot) and wrote["bot_id"] == bot.bot)
        if is_ours:
            self._store.dispose(arrival)
            return
        log.info("refused", reason="mentioned by an app")
        noted = JournalEntry("question refused", {"user": wrote["bot_id"] or wrote["user"], "reason": words.NO_PERSON})
        once = f"no-person/{arrival.thread.key}"  # the store takes a post of this id once
        self._store.dispose(arrival, [message(once, arrival.thread.key, "", words.NO_PERSON)], [noted])

    def _refusal(self, arrival: Arrival) -> str | None:
        """Why this person may not ask here, or None."""
        if arrival.payload.get("is_direct"):
            if not self._rules.allow_direct:
                return words.NO_DIRECT.format(places=words.places(self._rules.channels))
        elif not self._is_designated(arrival.thread.channel):
            return words.elsewhere(self._rules.channels)
        return self._refusal_of_guest(arrival) or self._refusal_of_stranger(arrival)

    def _refusal_of_guest(self, arrival: Arrival) -> str | None:
        if self._rules.allow_guests:
            return None
        outsider = True if arrival.payload["is_foreign"] else self._web.is_outsider(arrival.payload["user"])
        if outsider is None:
            return words.STRANGER
        return words.GUEST_ASKS if outsider else None

    def _refusal_of_stranger(self, arrival: Arrival) -> str | None:
        """In a direct message the rules of a channel hold, and so does its door."""
        if not arrival.payload.get("is_direct"):
            return None
        may = self._gate.may_ask_directly(arrival.payload["user"])
        refusal = words.NOT_LOOKED_UP if may is None else words.NOT_A_MEMBER
        return None if may else refusal.format(places=words.places(self._rules.channels[:1]))

    def _is_designated(self, channel: str) -> bool:
        if channel in self._rules.channels:
            return True
        names = [one.removeprefix("#") for one in self._rules.channels if one.startswith("#")]
        return bool(names) and self._web.channel_name(channel) in names

    def _admit(self, arrival: Arrival, text: str) -> None:
        asked = arrival.payload
        turn = Turn(self._ids(), arrival.thread.key, asked["user"], text, asked["ts"], trace=traceparent())
        thumb, once = self._thumb(arrival, turn.turn), (turn.asker, "", words.TOO_MANY_OF_YOURS)
        outcome = self._store.admit(
            arrival,
            turn,
            {
                "taken": [thumb],
                "kept": [thumb, self._ephemeral(arrival, words.KEPT, in_thread=True)],
                "too many": [self._message(arrival, turn.turn, words.TOO_MANY)],
                "too many of theirs": [self._to_author(arrival, once[-1])]
                if self._refusals.would_be_news(*once)
                else [],
            },
            workers=self._rules.workers,
            max_waiting=self._rules.max_waiting,
        )
        log.info("mention", outcome=outcome, turn=turn.turn)
        metrics.QUESTIONS.labels(outcome).inc()
        if outcome == "too many of theirs":
            self._refusals.is_news(*once)
        elif outcome != "too many":
            if arrival.payload.get("is_direct") and len(self._store.asked_at(turn.thread)) == 1:
                self._status.title(turn.thread, " ".join(text.split()))  # the first question names the thread
            self._waking.turns.wake(turn.thread)

    def _suggest(self, arrival: Arrival) -> None:
        """An assistant's pane was opened: what can be asked there."""
        user = arrival.payload["user"]
        is_guest = not self._rules.allow_guests and self._web.is_outsider(user) is not False
        may = self._rules.allow_direct and not is_guest and self._gate.may_ask_directly(user)
        self._store.dispose(arrival)
        if may:
            shown = suggestions(self._gate.catalog)
            self._status.prompts(arrival.thread.key, shown, in_thread=arrival.payload["in_thread"])

    # --- clicks -------------------------------------------------------------------------------------------------------

    def _interaction(self, arrival: Arrival) -> None:
        """One click or shortcut, judged by what is stored alone. A refusal is told to that person alone; a forged click gets no word."""
        try:
            self._check_clicker(arrival.payload["user"])
            match arrival.kind:
                case "click":
                    self._button_pressed(arrival)
                case "halted":
                    self._cancellation.session_stopped(arrival)
                case _:
                    self._shortcut(arrival)
        except Refused as error:
            self._refuse(arrival, str(error))

    def _button_pressed(self, arrival: Arrival) -> None:
        """Does what the button says. Raises `Refused`."""
        token, user, at = arrival.payload["token"], arrival.payload["user"], arrival.received_at
        match arrival.payload["action"]:
            case "approve" | "deny" as decision:
                reason = arrival.payload["reason"]
                changed = self._gate.decide(token, decision, by=user, at=at, arrival=arrival.id, reason=reason)
                self._go_on([changed], user)
            case "approve_all":
                self._go_on(self._gate.decide_all(token, by=user, at=at, arrival=arrival.id), user)
            case "withdraw":
                self._go_on([self._gate.withdraw_by(token, by=user, at=at, arrival=arrival.id)], user)
            case "check":
                self._check(arrival)
            case "stop":
                self._cancellation.stop(arrival, token)
            case "delete":
                self._cancellation.remove(arrival, token)
            case _:
                self._open(arrival)

    def _go_on(self, changed: Sequence[Proposal], by: str) -> None:
        for turn in dict.fromkeys(one.turn for one in changed if one.state is State.APPROVED):
            self._waking.writes.wake(turn)
        for thread in dict.fromkeys(one.thread for one in changed):
            self._waking.turns.wake(thread)
        self._home.changed(changed, by)

    def _check(self, arrival: Arrival) -> None:
        proposal = self._store.proposal(token=arrival.payload["token"])
        if proposal is None or proposal.state is not State.UNKNOWN:
            raise Refused("")
        if arrival.payload["user"] != proposal.asker:  # who asked may look, also where others had to decide
            self._gate.check_authority(proposal, arrival.payload["user"])
        noted = {"user": arrival.payload["user"], "proposal": proposal.proposal}
        self._store.dispose(arrival, (), [JournalEntry("check", noted)])
        self._waking.checks.wake(proposal.proposal)

    def _open(self, arrival: Arrival) -> None:
        """The buttons that open or turn a modal. Slack takes its trigger for three seconds: too late is told, not tried again."""
        payload = arrival.payload
        proposal = self._store.proposal(token=payload["token"])
        if proposal is None:
            raise Refused("")
        try:
            match payload["action"]:
                case "show":
                    self._web.open_view(payload["trigger"], whole_request(card_row(proposal), 0))
                case "page_back" | "page_on" as way:
                    page = payload["page"] + (1 if way == "page_on" else -1)
                    self._web.update_view(payload["view"], whole_request(card_row(proposal), page))
                case "deny_reason":
                    self._gate.check_may_decide(payload["token"], payload["user"])
                    self._web.open_view(payload["trigger"], deny_modal(card_row(proposal)))
        except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
            log.warning("no modal", reason=str(error))
            raise Refused(words.TOO_LATE) from error
        self._store.dispose(arrival)

    def _shortcut(self, arrival: Arrival) -> None:
        """A message shortcut, which opens a modal first."""
        try:
            self._cancellation.ask(arrival)
        except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
            log.warning("no modal", reason=str(error))
            raise Refused(words.TOO_LATE) from error
        self._store.dispose(arrival)

    def _refuse(self, arrival: Arrival, text: str) -> None:
        """Says no to the clicker alone, and writes it down."""
        payload = arrival.payload
        log.info("click refused", reason=text or "nothing to decide")
        proposal = self._store.proposal(token=payload.get("token", ""))
        action = payload.get("action") or payload.get("callback") or arrival.kind
        noted = {"user": payload["user"], "action": action, "reason": text or "nothing to decide"}
        if proposal is not None:
            noted |= {"proposal": proposal.proposal, "fingerprint": proposal.fingerprint}
        in_view = payload.get("in_view", False)
        pressed_in_thread = payload.get("in_thread", True)  # there they look
        said = self._ephemeral(arrival, text, in_thread=pressed_in_thread)
        is_told = bool(text) and self._refusals.is_news(payload["user"], said.thread, text)
        says = [said] if is_told and not in_view else []
        self._store.dispose(arrival, says, [JournalEntry("click refused", noted)])
        if is_told and in_view:
            try:
                self._web.open_view(payload["trigger"], notice_modal(text))
            except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
                log.warning("refusal not shown", reason=str(error))

    def _check_clicker(self, user: str) -> None:
        if self._rules.allow_guests:
            return
        outsider = self._web.is_outsider(user)
        if outsider is None:
            raise Refused(words.STRANGER)
        if outsider:
            raise Refused(words.GUEST_DECIDES)

    # --- what is said -------------------------------------------------------------------------------------------------

    def _thumb(self, arrival: Arrival, turn: str) -> Post:
        return thumbs_up(self._ids(), arrival.thread.key, turn, arrival.payload["ts"])

    def _message(self, arrival: Arrival, turn: str, text: str) -> Post:
        """Our own words, with their links to channels."""
        return message(self._ids(), arrival.thread.key, turn, text)

    def _to_author(self, arrival: Arrival, text: str) -> Post:
        """What is for the author alone: in a direct message, whatever is said."""
        return self._message(arrival, "", text) if arrival.payload.get("is_direct") else self._ephemeral(arrival, text)

    def _ephemeral(self, arrival: Arrival, text: str, *, in_thread: bool | None = None) -> Post:
        """A line for the author alone: in the thread where there is one, else in the channel."""
        inside = bool(arrival.payload.get("in_thread")) if in_thread is None else in_thread
        return ephemeral(self._ids(), arrival.thread.key, "", arrival.payload["user"], text, in_thread=inside)


def _has_to_follow(arrival: Arrival, held: Iterable[Arrival]) -> bool:
    """Whether something waits for what came before it and is held up: messages for messages, a person's click for that person's, and
    a yes for anybody's click that may be a no."""
    if arrival.kind != "click":
        return any(one.kind != "click" for one in held)
    user, says_yes = arrival.payload["user"], arrival.payload["action"] in _APPROVE
    clicks = [one for one in held if one.kind == "click"]
    return any(one.payload["user"] == user or (says_yes and one.payload["action"] not in _APPROVE) for one in clicks)


class _RecentRefusals:
    """Which refusals people were told lately: the same is said once in a while, however often somebody tries. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: OrderedDict[str, dict[tuple[str, str], float]] = OrderedDict()

    def would_be_news(self, user: str, place: str, text: str) -> bool:
        """Whether somebody is to be told this there."""
        with self._lock:
            return self._is_news(self._lately(user), place, text)

    def is_news(self, user: str, place: str, text: str) -> bool:
        """Whether somebody is to be told this there; then it counts as told."""
        with self._lock:
            said = self._lately(user)
            is_news = self._is_news(said, place, text)
            self._told.pop(user, None)
            self._told[user] = said | ({(place, text): self._clock()} if is_news else {})
            while len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        return is_news

    def _lately(self, user: str) -> dict[tuple[str, str], float]:
        now = self._clock()
        return {what: at for what, at in self._told.get(user, {}).items() if now - at < _SAY_AGAIN}

    @staticmethod
    def _is_news(said: Mapping[tuple[str, str], float], place: str, text: str) -> bool:
        return (place, text) not in said and len(said) < _MOST_SAID
