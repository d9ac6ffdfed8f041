"""Who may: admits mentions and hears clicks, in the order in which they came in for a thread.

Knows people and channels, not the model and not the API, so that it is never kept waiting by either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from core import words
from core.cards import escape
from core.policy import Refused, State
from core.posts import Post, ephemeral, message, thumbs_up
from core.slack_in import plain_words
from gate import Gate
from slack_web import Identity, SlackBusy, SlackUnsure
from store import Arrival, Store, Turn

log = structlog.get_logger("desk")
_TRY_AGAIN = 2.0  # seconds, where Slack's directory gave no answer


class Directory(Protocol):
    """What the desk needs to know of the workspace. Each may raise `SlackBusy` or `SlackUnsure`."""

    def identity(self) -> Identity:
        """Who the bot is."""

    def is_outsider(self, user: str) -> bool | None:
        """Whether a person is a guest or of another organisation; None where Slack does not say."""

    def channel_name(self, channel: str) -> str | None:
        """A channel's name without '#'."""


@dataclass(frozen=True)
class House:
    """The rules of the house, from the settings."""

    channels: tuple[str, ...]
    allow_guests: bool
    workers: int
    max_waiting: int


class Desk:
    """Looks at what arrived."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        directory: Directory,
        house: House,
        *,
        ids: Callable[[], str],
        wake: Callable[[str], None],
        send: Callable[[str], None],
    ) -> None:
        self._store = store
        self._gate = gate
        self._directory = directory
        self._house = house
        self._ids = ids
        self._wake = wake
        self._send = send

    def receive(self, thread: str) -> float | None:
        """Handles a thread's arrivals. None when all are, else the seconds after which to try again."""
        for arrival in self._store.arrivals(thread):
            try:
                self._one(arrival)
            except SlackBusy as error:
                return error.after
            except SlackUnsure as error:
                log.warning("slack did not answer", reason=str(error), thread=thread)
                return _TRY_AGAIN
        return None

    def _one(self, arrival: Arrival) -> None:
        with structlog.contextvars.bound_contextvars(event_id=arrival.event_id, user=arrival.payload["user"]):
            if arrival.kind == "click":
                self._click(arrival)
            else:
                self._mention(arrival)

    # --- mentions -----------------------------------------------------------------------------------------------------

    def _mention(self, arrival: Arrival) -> None:
        user = arrival.payload["user"]
        bot = self._directory.identity().user
        refusal = None if user == bot else self._refusal(arrival)
        if user == bot:
            self._store.dispose(arrival.id)
        elif refusal is not None:
            log.info("refused", reason=refusal)
            self._store.dispose(arrival.id, [self._aside(arrival, refusal)])
        elif not (text := plain_words(arrival.payload["text"], bot)):
            self._store.dispose(arrival.id, [self._thumb(arrival, ""), self._aloud(arrival, "", words.HELP)])
        else:
            self._admit(arrival, text)

    def _refusal(self, arrival: Arrival) -> str | None:
        """Why this person may not ask here, or None."""
        if not self._is_designated(arrival.thread.channel):
            return words.elsewhere(self._house.channels)
        if self._house.allow_guests:
            return None
        outsider = True if arrival.payload["is_foreign"] else self._directory.is_outsider(arrival.payload["user"])
        if outsider is None:
            return words.STRANGER
        return words.GUEST_ASKS if outsider else None

    def _is_designated(self, channel: str) -> bool:
        if channel in self._house.channels:
            return True
        names = [one.removeprefix("#") for one in self._house.channels if one.startswith("#")]
        return bool(names) and self._directory.channel_name(channel) in names

    def _admit(self, arrival: Arrival, text: str) -> None:
        turn = Turn(self._ids(), arrival.thread.key, arrival.payload["user"], text, arrival.payload["ts"])
        thumb = self._thumb(arrival, turn.turn)
        outcome = self._store.admit(
            arrival,
            turn,
            {
                "taken": [thumb],
                "kept": [thumb, self._aside(arrival, words.KEPT, in_thread=True)],
                "too many": [self._aloud(arrival, turn.turn, words.TOO_MANY)],
            },
            workers=self._house.workers,
            max_waiting=self._house.max_waiting,
        )
        log.info("mention", outcome=outcome, turn=turn.turn, thread=turn.thread)
        if outcome != "too many":
            self._wake(turn.thread)

    # --- clicks -------------------------------------------------------------------------------------------------------

    def _click(self, arrival: Arrival) -> None:
        """One click, decided by the stored proposal alone. A refusal is told to the clicker alone; a forged click gets no word."""
        payload: dict[str, Any] = arrival.payload
        try:
            self._check_clicker(payload["user"])
            changed = self._gate.decide(
                payload["token"], payload["action"], by=payload["user"], at=arrival.received_at, arrival=arrival.id
            )
        except Refused as error:
            log.info("click refused", reason=str(error) or "nothing to decide")
            self._store.dispose(arrival.id, [self._aside(arrival, str(error), in_thread=True)] if str(error) else [])
        else:
            if changed.state is State.APPROVED:
                self._send(changed.proposal)
            self._wake(changed.thread)

    def _check_clicker(self, user: str) -> None:
        if self._house.allow_guests:
            return
        outsider = self._directory.is_outsider(user)
        if outsider is None:
            raise Refused(words.STRANGER)
        if outsider:
            raise Refused(words.GUEST_DECIDES)

    # --- what is said -------------------------------------------------------------------------------------------------

    def _thumb(self, arrival: Arrival, turn: str) -> Post:
        return thumbs_up(self._ids(), arrival.thread.key, turn, arrival.payload["ts"])

    def _aloud(self, arrival: Arrival, turn: str, text: str) -> Post:
        return message(self._ids(), arrival.thread.key, turn, escape(text))

    def _aside(self, arrival: Arrival, text: str, *, in_thread: bool | None = None) -> Post:
        """A line for the author alone: in the thread where there is one, else in the channel."""
        inside = bool(arrival.payload.get("in_thread")) if in_thread is None else in_thread
        return ephemeral(self._ids(), arrival.thread.key, "", arrival.payload["user"], text, in_thread=inside)
