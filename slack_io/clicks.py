"""Who may press: hears buttons, shortcuts and Slack's own Stop, by what is stored alone, and tells no to who pressed."""

from __future__ import annotations

from typing import assert_never

import structlog

from base import words
from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from gate.card_modals import deny_modal, notice_modal, whole_request
from gate.card_posts import card_row
from gate.gate import Gate
from gate.policy import NothingToDecide, Refused, State
from slack_io.app_home import AppHome
from slack_io.arrival_posts import ArrivalPosts
from slack_io.cancellation import Cancellation
from slack_io.connect_offers import ConnectWords
from slack_io.recent_refusals import RecentRefusals
from slack_io.web_api import SlackWeb
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry
from store.received import Click, SessionStopped, Shortcut
from store.store import Store
from workers.waking import Waking

log = structlog.get_logger("handlers")


class Clicks:
    """Sees to buttons, shortcuts and Slack's own Stop."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        web: SlackWeb,
        cancellation: Cancellation,
        home: AppHome,
        connect_words: ConnectWords,
        refusals: RecentRefusals,
        posts: ArrivalPosts,
        waking: Waking,
        *,
        allow_guests: bool,
    ) -> None:
        self._store = store
        self._gate = gate
        self._web = web
        self._cancellation = cancellation
        self._home = home
        self._connect_words = connect_words
        self._refusals = refusals
        self._posts = posts
        self._waking = waking
        self._allow_guests = allow_guests

    def handle(self, arrival: Arrival, received: Click | Shortcut | SessionStopped) -> None:
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
                self._read_target_again(arrival, click)
            case "stop":
                self._cancellation.stop(arrival, token)
            case "delete":
                self._cancellation.remove(arrival, token)
            case "connect":
                self._offer_again(arrival, click)
            case "disconnect":
                self._disconnect(arrival, click)
            case "show" | "page_back" | "page_on" | "deny_reason":
                self._open(arrival, click)
            case other:
                assert_never(other)

    def _offer_again(self, arrival: Arrival, click: Click) -> None:
        turn = self._store.turn(click.token)
        if turn is None or turn.asker != click.user or turn.connects_until is None:
            raise Refused(words.CONNECT_OVER)
        self._store.dispose(arrival, [self._connect_words.again(turn)])

    def _disconnect(self, arrival: Arrival, click: Click) -> None:
        key = self._home.account(click.thread.team, click.user, click.token)
        if key is None:
            raise Refused(words.NO_ACCOUNT)
        self._store.dispose(arrival)
        self._waking.accounts.wake(key)  # a sign-in server may take its time

    def _read_target_again(self, arrival: Arrival, click: Click) -> None:
        """The button "Check" of a write with an unknown outcome: has its target read and shown. Raises `Refused`."""
        proposal = self._store.proposal(token=click.token)
        if proposal is None or proposal.state is not State.UNKNOWN:
            raise NothingToDecide
        if click.user != proposal.asker:  # who asked may look, also where others had to decide
            self._gate.check_authority(proposal, click.user)
        noted = {"user": click.user, "proposal": proposal.proposal}
        self._store.dispose(arrival, (), [JournalEntry("check", noted)])
        self._waking.checks.wake(proposal.proposal)

    def _open(self, arrival: Arrival, click: Click) -> None:
        """The buttons that open or turn a modal. Slack takes its trigger for three seconds: too late is told, not tried again."""
        proposal = self._store.proposal(token=click.token)
        if proposal is None:
            raise NothingToDecide
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
        said = self._posts.ephemeral(received, text, in_thread=is_inside)
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
        if self._allow_guests:
            return
        outsider = self._web.is_outsider(received.user)
        if outsider is None:
            raise Refused(words.STRANGER)
        if outsider and not (received.user in self._gate.catalog.askers and self._is_their_own(received)):
            raise Refused(words.GUEST_DECIDES)

    def _is_their_own(self, received: Click | Shortcut | SessionStopped) -> bool:
        """Whether no request of somebody else is meant: what else is pressed is looked at where it is done."""
        if not isinstance(received, Click):
            return True
        one = self._store.proposal(token=received.token)
        meant = [one] if one is not None else self._store.proposals_of_batch(received.token)
        return all(each.asker == received.user for each in meant)


def _action(received: Click | Shortcut | SessionStopped) -> str:
    """What somebody wanted, as the journal has it."""
    match received:
        case Click():
            return received.action
        case Shortcut():
            return received.callback
        case SessionStopped():
            return received.kind
