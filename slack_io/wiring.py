"""Puts the room together: what is said in Slack, and what is done about what people do there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from base.clock import SteadyClock
from base.settings import Settings
from gate.gate import Gate
from identity.wiring import Identity
from slack_io.app_home import AppHome
from slack_io.arrival_posts import ArrivalPosts
from slack_io.assistant_status import AssistantStatus
from slack_io.cancellation import Cancellation
from slack_io.clicks import Clicks
from slack_io.connect_offers import ConnectWords
from slack_io.handlers import Handlers
from slack_io.home_accounts import HomeAccounts
from slack_io.leavers import Leavers
from slack_io.mentions import AdmissionRules, Mentions
from slack_io.outbox import Outbox
from slack_io.recent_refusals import RecentRefusals
from slack_io.sign_ins import SignIns
from slack_io.streaming import StreamedMessages
from slack_io.web_api import SlackWeb
from store.store import Store
from workers.waking import Waking


@dataclass(frozen=True)
class InSlack:
    """What is said in Slack, and done about what people do there."""

    status: AssistantStatus
    streams: StreamedMessages
    outbox: Outbox
    home: AppHome
    handlers: Handlers
    leavers: Leavers
    connect_words: ConnectWords
    sign_ins: SignIns


def in_slack_of(
    settings: Settings,
    store: Store,
    waking: Waking,
    web: SlackWeb,
    identity: Identity,
    gate: Gate,
    *,
    tell_of_homes: Callable[[Collection[str]], None],
    clock: SteadyClock,
    ids: Callable[[], str],
) -> InSlack:
    """The room, wired. `tell_of_homes` has other processes hear whose App Home changed."""
    cancellation = Cancellation(store, web, settings.admin_names, ids=ids)
    status = AssistantStatus(web, waking)
    streams = StreamedMessages(web, waking, cancellation.ended_in_slack, links=lambda: gate.catalog.links)
    home = AppHome(
        store,
        gate,
        web,
        waking,
        settings.channels,
        allow_guests=settings.allow_guests,
        accounts=HomeAccounts(identity.accounts, identity.link_to, store.failed_tries),
        tell=tell_of_homes,
    )
    connect_words = ConnectWords(store, ids)
    posts, refusals = ArrivalPosts(ids), RecentRefusals()
    mentions = Mentions(store, gate, web, _admission(settings), status, refusals, posts, ids=ids)
    clicks = Clicks(
        store,
        gate,
        web,
        cancellation,
        home,
        connect_words,
        refusals,
        posts,
        waking,
        allow_guests=settings.allow_guests,
    )
    return InSlack(
        status=status,
        streams=streams,
        outbox=Outbox(web, store, streams, status, waking, unshown=gate.unshown, lead_to=identity.lead_to, clock=clock),
        home=home,
        handlers=Handlers(store, web, mentions, clicks, cancellation, home, posts),
        leavers=Leavers(identity.accounts, store, web, settings.channels),
        connect_words=connect_words,
        sign_ins=SignIns(identity.accounts, identity.devices, identity.unkept, connect_words, home),
    )


def _admission(settings: Settings) -> AdmissionRules:
    return AdmissionRules(
        settings.channels,
        settings.allow_guests,
        settings.workers,
        settings.max_waiting,
        allow_direct=settings.allow_dm,
        retention_days=settings.retention_days,
        allowance=settings.allowance,
    )
