"""Who may ask: admits mentions of people, and of apps that the catalog names, or says why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from base import metrics, words
from base.allowance import UNLIMITED, Allowance
from base.askers import app_asker
from base.tracing import traceparent
from gate.gate import Gate
from model.prompt.prompt import suggestions
from slack_io.allowance_words import closed_text
from slack_io.arrival_posts import ArrivalPosts
from slack_io.assistant_status import AssistantStatus
from slack_io.payloads import question
from slack_io.recent_refusals import RecentRefusals
from slack_io.web_api import SlackWeb
from store.admission import Admission
from store.arrivals import Arrival
from store.journal.hash_chain import JournalEntry
from store.posts import Post
from store.received import AppMention, AssistantOpened, Mention
from store.store import Store
from store.turns import Turn
from store.usage import Closed

log = structlog.get_logger("handlers")
_DAY = 86_400.0
_MOST_OF_APP = 10  # questions in a thread in which an app is answered; two bots that answer each other go on no longer


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


class Mentions:
    """Sees to mentions, and to the assistant's pane in which one can be written."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        web: SlackWeb,
        rules: AdmissionRules,
        status: AssistantStatus,
        refusals: RecentRefusals,
        posts: ArrivalPosts,
        *,
        ids: Callable[[], str],
    ) -> None:
        self._store = store
        self._gate = gate
        self._web = web
        self._rules = rules
        self._status = status
        self._refusals = refusals
        self._posts = posts
        self._ids = ids

    def of_person(self, arrival: Arrival, mention: Mention) -> None:
        """Takes in a person's question, or says why not."""
        user, bot = mention.user, self._web.identity().user
        if user == bot or self._is_too_old(mention, arrival.received_at):
            self._store.dispose(arrival)
        elif (refusal := self._refusal(mention)) is not None:
            log.info("refused", reason=refusal)
            metrics.QUESTIONS.labels("refused").inc()
            noted = JournalEntry("question refused", {"user": user, "reason": refusal})
            place = mention.thread.key if mention.in_thread else mention.thread.channel  # where they look
            says = [self._posts.to_author(mention, refusal)] if self._refusals.is_news(user, place, refusal) else []
            self._store.dispose(arrival, says, [noted])
        elif not (text := question(mention.text, mention.files, bot, has_attached=bool(mention.attached))):
            self._store.dispose(arrival, [self._posts.thumb(mention, ""), self._posts.message(mention, "", words.HELP)])
        else:
            self._admit(arrival, mention, user, text)

    def _is_too_old(self, mention: Mention | AppMention, received_at: float) -> bool:
        """Whether an edit tells of a message so old that the store may have forgotten that it was a question once."""
        return mention.is_edited and float(mention.ts) < received_at - self._rules.retention_days * _DAY

    def of_app(self, arrival: Arrival, wrote: AppMention) -> None:
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
        self._store.dispose(arrival, [self._posts.once(wrote, says)], [noted])

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
        if self._rules.allow_guests or mention.user in self._gate.catalog.askers:
            return None
        outsider = True if mention.is_foreign else self._web.is_outsider(mention.user)
        if outsider is None:
            return words.STRANGER
        return words.GUEST_ASKS if outsider else None

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
                return [self._posts.once(mention, closed_text(closed), closed.setting)]
            return [self._posts.to_author(mention, closed_text(closed))] if is_news else []

        outcome = self._store.admit(
            arrival,
            turn,
            self._says(mention, turn),
            says_kept=lambda connecting: self._says_kept(mention, turn, connecting),
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
        thumb = self._posts.thumb(mention, turn.turn)
        if isinstance(mention, AppMention):
            too_many = [self._posts.once(mention, words.TOO_MANY)]
            return {"taken": [thumb], "too many": too_many, "too many of theirs": too_many}
        return {
            "taken": [thumb],
            "too many": [self._posts.message(mention, turn.turn, words.TOO_MANY)],
            "too many of theirs": [self._posts.to_author(mention, words.TOO_MANY_OF_YOURS)]
            if self._refusals.would_be_news(turn.asker, "", words.TOO_MANY_OF_YOURS)
            else [],
        }

    def _says_kept(self, mention: Mention | AppMention, turn: Turn, connecting: str | None) -> list[Post]:
        """What is said of a message that is kept, and what it waits for: a decision, or the account of `connecting`."""
        thumb = self._posts.thumb(mention, turn.turn)
        if isinstance(mention, AppMention):
            return [thumb]
        why = words.KEPT_CONNECTING.format(asker=connecting) if connecting else words.KEPT
        return [thumb, self._posts.ephemeral(mention, why, in_thread=True)]

    def suggest(self, arrival: Arrival, opened: AssistantOpened) -> None:
        """An assistant's pane was opened: what can be asked there."""
        user = opened.user
        is_let_in = self._rules.allow_guests or user in self._gate.catalog.askers
        is_guest = not is_let_in and self._web.is_outsider(user) is not False
        may = self._rules.allow_direct and not is_guest and self._gate.may_ask_directly(user)
        shown = suggestions(self._gate.asked_by(user)) if may else []
        self._store.dispose(arrival)
        if shown:
            self._status.prompts(opened.thread.key, shown, in_thread=opened.in_thread)
