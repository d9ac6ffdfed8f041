"""Who may: admits mentions and hears clicks, in the order in which they came in for a thread.

Knows people and channels, not the model, and asks nothing of the API, so that it is never kept waiting by either. What Slack has to be
asked about first, and does not answer now, holds up nobody else's click.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog

from base import metrics, words
from base.allowance import UNLIMITED, Allowance
from base.askers import app_asker
from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from base.tracing import is_tracing, span, traceparent
from gate.card_modals import deny_modal, notice_modal, whole_request
from gate.card_posts import card_row
from gate.gate import Gate
from gate.policy import Refused, State
from model.prompt.prompt import suggestions
from slack_io.allowance_words import closed_text
from slack_io.app_home import AppHome
from slack_io.assistant_status import AssistantStatus
from slack_io.cancellation import Cancellation
from slack_io.connect_offers import ConnectWords
from slack_io.payloads import question
from slack_io.recent_refusals import RecentRefusals
from slack_io.web_api import SlackWeb
from store.admission import Admission
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry, digest
from store.posts import Post, ephemeral, message, thumbs_up
from store.received import (
    AppMention,
    AssistantOpened,
    Click,
    HomeOpened,
    Mention,
    MessageDeleted,
    Received,
    SessionStopped,
    Shortcut,
    Unreadable,
)
from store.store import Store
from store.turns import Turn
from store.usage import Closed
from workers.waking import Waking

log = structlog.get_logger("handlers")
_DAY = 86_400.0
_TRY_AGAIN = 2.0  # seconds, where Slack's directory gave no answer
_MOST_OF_APP = 10  # questions in a thread in which an app is answered; two bots that answer each other go on no longer
_ONCE = {words.NO_PERSON: "no-person"}  # as earlier versions named that post
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
    allowance: Allowance = UNLIMITED


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
        self._refusals = RecentRefusals(steady)

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
        with structlog.contextvars.bound_contextvars(event_id=arrival.received.event_id, user=arrival.received.user):
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
        own, received, asked = arrival.trace, arrival.received, ""
        about = received.kind
        if isinstance(received, Click):
            about, asked = received.action, self._store.trace_behind(received.token) if is_tracing() else ""
        does = {
            "messaging.system": "slack",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
        }
        calm = (SlackBusy, SlackUnsure)  # it is tried again
        return span(f"process {about}", "consumer", does, parent=asked or own, link=own if asked else "", calm=calm)

    def set_aside(self, arrival: Arrival) -> None:
        """Ends an arrival that may have ended its processes. A question is told so in its thread, who clicked alone."""
        received = arrival.received
        log.error("arrival set aside", kind=received.kind, event_id=received.event_id, ends=arrival.tries)
        says: list[Post] = []
        match received:
            case Mention():
                says.append(self._message(received, "", words.SET_ASIDE))
            case AppMention():
                says.append(self._once(received, words.SET_ASIDE))
            case Shortcut() | Click(in_view=False):
                says.append(self._ephemeral(received, words.SET_ASIDE, in_thread=True))
        noted = {"user": received.user, "kind": received.kind, "ends": arrival.tries}
        self._store.dispose(arrival, says, [JournalEntry("set aside", noted)])

    def _dispatch(self, arrival: Arrival) -> None:
        if not self._is_for_us(arrival):
            log.warning("an event of another installation", installed_in=arrival.installed_in)
            self._store.dispose(arrival)
            return
        match arrival.received:
            case Click() | Shortcut() | SessionStopped() as received:
                self._interaction(arrival, received)
            case AppMention() as received:
                self._app(arrival, received)
            case MessageDeleted() as received:
                self._cancellation.removed(arrival, received)
            case AssistantOpened() as received:
                self._suggest(arrival, received)
            case HomeOpened() as received:
                self._store.dispose(arrival)
                self._home.opened(received.user, received.thread.team)
            case Mention() as received:
                self._mention(arrival, received)
            case Unreadable() as received:  # of a version that knew more
                log.error("an arrival that cannot be read here", kind=received.kind)
                self._store.dispose(arrival)

    def _is_for_us(self, arrival: Arrival) -> bool:
        """Whether an event was meant for the installation whose token the bot has: that of its workspace, or of its organisation."""
        if arrival.installed_in is None:
            return True
        bot = self._web.identity()
        own = {bot.team, bot.enterprise} - {""}
        return not own or not own.isdisjoint(arrival.installed_in)

    # --- mentions -----------------------------------------------------------------------------------------------------

    def _mention(self, arrival: Arrival, mention: Mention) -> None:
        user, bot = mention.user, self._web.identity().user
        if user == bot or self._is_too_old(mention, arrival.received_at):
            self._store.dispose(arrival)
        elif (refusal := self._refusal(mention)) is not None:
            log.info("refused", reason=refusal)
            metrics.QUESTIONS.labels("refused").inc()
            noted = JournalEntry("question refused", {"user": user, "reason": refusal})
            place = mention.thread.key if mention.in_thread else mention.thread.channel  # where they look
            says = [self._to_author(mention, refusal)] if self._refusals.is_news(user, place, refusal) else []
            self._store.dispose(arrival, says, [noted])
        elif not (text := question(mention.text, mention.files, bot, has_attached=bool(mention.attached))):
            self._store.dispose(arrival, [self._thumb(mention, ""), self._message(mention, "", words.HELP)])
        else:
            self._admit(arrival, mention, user, text)

    def _is_too_old(self, mention: Mention | AppMention, received_at: float) -> bool:
        """Whether an edit tells of a message so old that the store may have forgotten that it was a question once."""
        return mention.is_edited and float(mention.ts) < received_at - self._rules.retention_days * _DAY

    def _app(self, arrival: Arrival, wrote: AppMention) -> None:
        """A workflow or an app mentioned the bot: answered where the catalog names it, else told in one word, and only once in a thread, or
        two bots would go on for ever."""
        bot = self._web.identity()
        own = {bot.user, bot.bot, bot.app} - {""}
        if not own.isdisjoint((wrote.user, wrote.bot_id, wrote.app_id)) or self._is_too_old(wrote, arrival.received_at):
            self._store.dispose(arrival)
            return
        named = self._named(wrote)
        refusal = self._refusal_of_app(wrote) if named else words.NO_PERSON
        text = question(wrote.text, wrote.files, bot.user, has_attached=bool(wrote.attached))
        if refusal is None and text:
            self._admit(arrival, wrote, app_asker(named), text)
            return
        says = refusal or words.HELP
        log.info("refused", reason="mentioned by an app")
        noted = JournalEntry("question refused", {"user": named or wrote.bot_id or wrote.user, "reason": says})
        self._store.dispose(arrival, [self._once(wrote, says)], [noted])

    def _named(self, wrote: AppMention) -> str:
        """The id by which the catalog names an app; empty where it does not."""
        apps = self._gate.catalog.apps
        return next((one for one in (wrote.bot_id, wrote.app_id) if one in apps), "")

    def _refusal_of_app(self, wrote: AppMention) -> str | None:
        """Why an app that the catalog names may not ask this here, or None."""
        if wrote.is_edited and self._store.has_lost(float(wrote.ts)):
            return words.FROM_BEFORE
        if not self._is_designated(wrote.thread.channel):
            return words.elsewhere(self._rules.channels)
        return words.APP_ASKS_ON if len(self._store.asked_at(wrote.thread.key)) >= _MOST_OF_APP else None

    def _once(self, wrote: AppMention, text: str, why: str = "") -> Post:
        """Words for an app, which its thread gets once, whatever time they name: the store takes a post of one id once."""
        why = why or _ONCE.get(text, digest(text)[:12])
        return message(f"{why}/{wrote.thread.key}", wrote.thread.key, "", text)

    def _refusal(self, mention: Mention) -> str | None:
        """Why this person may not ask this here, or None."""
        if mention.is_edited and self._store.has_lost(float(mention.ts)):
            return words.FROM_BEFORE
        if mention.is_direct:
            if not self._rules.allow_direct:
                return words.NO_DIRECT.format(places=words.places(self._rules.channels))
        elif not self._is_designated(mention.thread.channel):
            return words.elsewhere(self._rules.channels)
        return self._refusal_of_guest(mention) or self._refusal_of_stranger(mention)

    def _refusal_of_guest(self, mention: Mention) -> str | None:
        if self._rules.allow_guests or self._is_named(mention.user):
            return None
        outsider = True if mention.is_foreign else self._web.is_outsider(mention.user)
        if outsider is None:
            return words.STRANGER
        return words.GUEST_ASKS if outsider else None

    def _is_named(self, user: str) -> bool:
        """Whether the catalog names this person by id, which lets guests in, too: to what names them."""
        return user in self._gate.catalog.askers

    def _refusal_of_stranger(self, mention: Mention) -> str | None:
        """In a direct message the rules of a channel hold, and so does its door."""
        if not mention.is_direct:
            return None
        may = self._gate.may_ask_directly(mention.user)
        refusal = words.NOT_LOOKED_UP if may is None else words.NOT_A_MEMBER
        return None if may else refusal.format(places=words.places(self._rules.channels[:1]))

    def _is_designated(self, channel: str) -> bool:
        if channel in self._rules.channels:
            return True
        names = [one.removeprefix("#") for one in self._rules.channels if one.startswith("#")]
        return bool(names) and self._web.channel_name(channel) in names

    def _admit(self, arrival: Arrival, mention: Mention | AppMention, asker: str, text: str) -> None:
        turn = Turn(self._ids(), mention.thread.key, asker, text, mention.ts, trace=traceparent())
        refusals: list[Closed] = []

        def says_closed(closed: Closed) -> list[Post]:
            refusals.append(closed)  # at once: another question of theirs may be refused at this moment
            is_news = self._refusals.is_news(turn.asker, "", closed.setting)
            if isinstance(mention, AppMention):
                return [self._once(mention, closed_text(closed), closed.setting)]
            return [self._to_author(mention, closed_text(closed))] if is_news else []

        outcome = self._store.admit(
            arrival,
            turn,
            self._says(mention, turn),
            workers=self._rules.workers,
            max_waiting=self._rules.max_waiting,
            among=len(self._rules.channels) > 1 or self._rules.allow_direct,
            allowance=self._rules.allowance,
            says_closed=says_closed,
        )
        log.info("mention", outcome=outcome, turn=turn.turn, **({"limit": refusals[-1].setting} if refusals else {}))
        metrics.QUESTIONS.labels(outcome).inc()
        if outcome == "too many of theirs":
            self._refusals.is_news(turn.asker, "", words.TOO_MANY_OF_YOURS)
        is_direct = isinstance(mention, Mention) and mention.is_direct
        if outcome in ("taken", "kept") and is_direct and len(self._store.asked_at(turn.thread)) == 1:
            self._status.title(turn.thread, " ".join(text.split()))  # the first question names the thread

    def _says(self, mention: Mention | AppMention, turn: Turn) -> Mapping[Admission, Sequence[Post]]:
        """What is said of each outcome of an admission."""
        thumb = self._thumb(mention, turn.turn)
        if isinstance(mention, AppMention):
            too_many = [self._once(mention, words.TOO_MANY)]
            return {"taken": [thumb], "kept": [thumb], "too many": too_many, "too many of theirs": too_many}
        return {
            "taken": [thumb],
            "kept": [thumb, self._ephemeral(mention, self._why_kept(turn.thread), in_thread=True)],
            "too many": [self._message(mention, turn.turn, words.TOO_MANY)],
            "too many of theirs": [self._to_author(mention, words.TOO_MANY_OF_YOURS)]
            if self._refusals.would_be_news(turn.asker, "", words.TOO_MANY_OF_YOURS)
            else [],
        }

    def _why_kept(self, thread: str) -> str:
        """What a message that is kept waits for."""
        before = self._store.next_turn(thread)
        is_connecting = before is not None and before.connects_until is not None
        return words.KEPT_CONNECTING.format(asker=before.asker) if before and is_connecting else words.KEPT

    def _suggest(self, arrival: Arrival, opened: AssistantOpened) -> None:
        """An assistant's pane was opened: what can be asked there."""
        user = opened.user
        is_let_in = self._rules.allow_guests or self._is_named(user)
        is_guest = not is_let_in and self._web.is_outsider(user) is not False
        may = self._rules.allow_direct and not is_guest and self._gate.may_ask_directly(user)
        shown = suggestions(self._gate.asked_by(user)) if may else []
        self._store.dispose(arrival)
        if shown:
            self._status.prompts(opened.thread.key, shown, in_thread=opened.in_thread)

    # --- clicks -------------------------------------------------------------------------------------------------------

    def _interaction(self, arrival: Arrival, received: Click | Shortcut | SessionStopped) -> None:
        """One click or shortcut, judged by what is stored alone. A refusal is told to that person alone; a forged click gets no word."""
        try:
            self._check_clicker(received)
            match received:
                case Click():
                    self._button_pressed(arrival, received)
                case SessionStopped():
                    self._cancellation.session_stopped(arrival)
                case Shortcut():
                    self._shortcut(arrival, received)
        except Refused as error:
            self._refuse(arrival, received, str(error))

    def _button_pressed(self, arrival: Arrival, click: Click) -> None:
        """Does what the button says. Raises `Refused`."""
        token, user, at = click.token, click.user, arrival.received_at
        match click.action:
            case "approve" | "deny" as decision:
                changed = self._gate.decide(token, decision, by=user, at=at, arrival=arrival.id, reason=click.reason)
                self._home.changed([changed], user)
            case "approve_all":
                self._home.changed(self._gate.decide_all(token, by=user, at=at, arrival=arrival.id), user)
            case "withdraw":
                self._home.changed([self._gate.withdraw_by(token, by=user, at=at, arrival=arrival.id)], user)
            case "check":
                self._check(arrival, click)
            case "stop":
                self._cancellation.stop(arrival, token)
            case "delete":
                self._cancellation.remove(arrival, token)
            case "connect":
                self._offer_again(arrival, click)
            case "disconnect":
                self._disconnect(arrival, click)
            case _:
                self._open(arrival, click)

    def _offer_again(self, arrival: Arrival, click: Click) -> None:
        turn = self._store.turn(click.token)
        if turn is None or turn.asker != click.user or turn.connects_until is None:
            raise Refused(words.CONNECT_OVER)
        self._store.dispose(arrival, [ConnectWords(self._store, self._ids).again(turn)])

    def _disconnect(self, arrival: Arrival, click: Click) -> None:
        key = self._home.account(click.thread.team, click.user, click.token)
        if key is None:
            raise Refused(words.NO_ACCOUNT)
        self._store.dispose(arrival)
        self._waking.accounts.wake(key)  # a sign-in server may take its time

    def _check(self, arrival: Arrival, click: Click) -> None:
        proposal = self._store.proposal(token=click.token)
        if proposal is None or proposal.state is not State.UNKNOWN:
            raise Refused("")
        if click.user != proposal.asker:  # who asked may look, also where others had to decide
            self._gate.check_authority(proposal, click.user)
        noted = {"user": click.user, "proposal": proposal.proposal}
        self._store.dispose(arrival, (), [JournalEntry("check", noted)])
        self._waking.checks.wake(proposal.proposal)

    def _open(self, arrival: Arrival, click: Click) -> None:
        """The buttons that open or turn a modal. Slack takes its trigger for three seconds: too late is told, not tried again."""
        proposal = self._store.proposal(token=click.token)
        if proposal is None:
            raise Refused("")
        try:
            match click.action:
                case "show":
                    self._web.open_view(click.trigger, whole_request(card_row(proposal), 0))
                case "page_back" | "page_on" as way:
                    page = click.page + (1 if way == "page_on" else -1)
                    self._web.update_view(click.view, whole_request(card_row(proposal), page))
                case "deny_reason":
                    self._gate.check_may_decide(click.token, click.user)
                    self._web.open_view(click.trigger, deny_modal(card_row(proposal)))
        except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
            log.warning("no modal", reason=str(error))
            raise Refused(words.TOO_LATE) from error
        self._store.dispose(arrival)

    def _shortcut(self, arrival: Arrival, shortcut: Shortcut) -> None:
        """A message shortcut, which opens a modal first."""
        try:
            self._cancellation.ask(shortcut)
        except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
            log.warning("no modal", reason=str(error))
            raise Refused(words.TOO_LATE) from error
        self._store.dispose(arrival)

    def _refuse(self, arrival: Arrival, received: Click | Shortcut | SessionStopped, text: str) -> None:
        """Says no to the clicker alone, and writes it down."""
        log.info("click refused", reason=text or "nothing to decide")
        noted = {"user": received.user, "action": _action(received), "reason": text or "nothing to decide"}
        proposal = self._store.proposal(token=received.token) if isinstance(received, Click) else None
        if proposal is not None:
            noted |= {"proposal": proposal.proposal, "fingerprint": proposal.fingerprint}
        is_inside = isinstance(received, SessionStopped) or received.in_thread  # there they look
        said = self._ephemeral(received, text, in_thread=is_inside)
        is_told = bool(text) and self._refusals.is_news(received.user, said.thread, text)
        view = received if isinstance(received, Click) and received.in_view else None
        self._store.dispose(arrival, [said] if is_told and view is None else [], [JournalEntry("click refused", noted)])
        if is_told and view is not None:
            try:
                self._web.open_view(view.trigger, notice_modal(text))
            except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
                log.warning("refusal not shown", reason=str(error))

    def _check_clicker(self, received: Click | Shortcut | SessionStopped) -> None:
        """Raises `Refused` for guests and people of other organisations, but for what is their own where the catalog names them."""
        if self._rules.allow_guests:
            return
        outsider = self._web.is_outsider(received.user)
        if outsider is None:
            raise Refused(words.STRANGER)
        if outsider and not (self._is_named(received.user) and self._is_their_own(received)):
            raise Refused(words.GUEST_DECIDES)

    def _is_their_own(self, received: Click | Shortcut | SessionStopped) -> bool:
        """Whether no request of somebody else is meant: what else is pressed is looked at where it is done."""
        if not isinstance(received, Click):
            return True
        one = self._store.proposal(token=received.token)
        meant = [one] if one is not None else self._store.proposals_of_batch(received.token)
        return all(each.asker == received.user for each in meant)

    # --- what is said -------------------------------------------------------------------------------------------------

    def _thumb(self, mention: Mention | AppMention, turn: str) -> Post:
        return thumbs_up(self._ids(), mention.thread.key, turn, mention.ts)

    def _message(self, mention: Mention, turn: str, text: str) -> Post:
        """Our own words, with their links to channels."""
        return message(self._ids(), mention.thread.key, turn, text)

    def _to_author(self, mention: Mention, text: str) -> Post:
        """What is for the author alone: in a direct message, whatever is said."""
        if mention.is_direct:
            return self._message(mention, "", text)
        return self._ephemeral(mention, text, in_thread=mention.in_thread)

    def _ephemeral(self, received: Received, text: str, *, in_thread: bool) -> Post:
        """A line for the author alone: in the thread, or in the channel."""
        return ephemeral(self._ids(), received.thread.key, "", received.user, text, in_thread=in_thread)


def _has_to_follow(arrival: Arrival, held: Iterable[Arrival]) -> bool:
    """Whether something waits for what came before it and is held up: messages for messages, a person's click for that person's, and
    a yes for anybody's click that may be a no."""
    click, before = arrival.received, [one.received for one in held]
    if not isinstance(click, Click):
        return any(not isinstance(one, Click) for one in before)
    says_yes, clicks = click.action in _APPROVE, [one for one in before if isinstance(one, Click)]
    return any(one.user == click.user or (says_yes and one.action not in _APPROVE) for one in clicks)


def _action(received: Click | Shortcut | SessionStopped) -> str:
    """What somebody wanted, as the journal has it."""
    match received:
        case Click():
            return received.action
        case Shortcut():
            return received.callback
        case SessionStopped():
            return received.kind
