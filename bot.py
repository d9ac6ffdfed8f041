"""Wires the rooms, and serves: `create_app` makes everything in the order in which it is needed, `serve` runs it until it is to end.

What Slack sends comes in by slack_io/http_door.py, or in socket mode by slack_io/socket_mode.py. The other commands: cli/commands.py.
"""

from __future__ import annotations

import gc
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from waitress.server import create_server

from ai import Services, TurnLimits
from base import metrics
from base.clock import SteadyClock
from base.logging_setup import hide_in_logs, set_log_level, set_up_logs
from base.settings import Misconfigured, Settings, environment, load_settings, misspelt, said_of
from base.tracing import end_tracing, start_tracing
from base.version import VERSION
from catalog.catalog import Catalog, digest_of
from catalog.credentials import secrets_of
from cli.commands import COMMANDS
from cli.reloading import Reloading, tell_untimely
from cli.shared import plain_errors, read_catalog, text_of
from cli.signals import INSISTS, LOOK, READ_AGAIN, Signals
from gate.authority import Authority
from gate.gate import Gate, GateOptions
from identity.actors import jwks
from identity.connecting import check_lead
from identity.identities import Identities
from identity.sign_in_servers import SignInServers
from identity.token_box import check_keys
from identity.wiring import Identity, identity_of
from model.chat import Model, model_of
from model.model_calls import model_calls_of
from model.prompt.prompt import prepare
from slack_io.app_home import AppHome
from slack_io.health import Readiness, WatchedModel
from slack_io.http_door import MAX_BODY, add_health_routes, add_jwks_route, add_slack_routes
from slack_io.intake import Intake
from slack_io.oauth_routes import OAuthRoutes
from slack_io.pace import OwnPace, SharedPace
from slack_io.restored import see_to_restored
from slack_io.slack_app import scopes_for
from slack_io.socket_mode import SocketMode
from slack_io.thread_context import SPARE, ThreadReader
from slack_io.web_api import SlackWeb, app_web_of, web_of
from slack_io.wiring import InSlack, in_slack_of
from store.engine import libpq_url, url_with_sessions
from store.store import Store
from workers.cancel_flag import CancelFlag
from workers.deadlines import Deadlines
from workers.gauges import Gauges
from workers.home_news import tell_of_homes
from workers.opening import OpenedDatabase, once_there, open_database
from workers.waking import Waking
from workers.workers import Workers

if TYPE_CHECKING:
    from workers.replica import Replica

log = structlog.get_logger("bot")
STOP_SECONDS = 8.0  # of the ten that a SIGTERM leaves
_LEAVING = 1.0  # of these, for giving back what this process has
_MOST_HAD = 2_000  # threads at once: what a process has may wait for Slack's pace or for a model for minutes, and costs next to nothing
_CHECK_LOCK = 10.0  # seconds between two looks at whether the database is still ours alone
_AGAIN = 2.0  # seconds after which a catalog is taken again for which the database gave no answer
_RESULT_SHARE = 2  # one result may fill half of the history (a token is about three characters)


def _id() -> str:
    return secrets.token_hex(16)


def _secret() -> str:
    return secrets.token_urlsafe(32)


class ProcessRole(StrEnum):
    """What one process does of the bot's work, where several share a database."""

    ALL = "all"
    RECORD = "record"  # what Slack sends
    WORK = "work"  # all else


@dataclass(frozen=True)
class Bot:
    """What is wired behind the app, for who starts and ends it."""

    store: Store
    gate: Gate
    identity: Identity
    web: SlackWeb
    in_slack: InSlack
    workers: Workers
    socket: SocketMode | None  # in socket mode
    readiness: Readiness
    gauges: Gauges
    replica: Replica | None  # where others share the database

    def start(self, role: ProcessRole = ProcessRole.ALL) -> None:
        """Starts the workers, takes up what is not at rest, and in socket mode connects to Slack; or what of that is its role's."""
        if role is not ProcessRole.RECORD:
            self.workers.start()
            if self.replica is not None:
                self.replica.start()
        if role is not ProcessRole.WORK and self.socket is not None:
            self.socket.start()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Hears nothing more from the socket, leaves all work at a safe point within `seconds` and closes the doors."""
        by = time.monotonic() + seconds
        if self.socket is not None:
            self.socket.close()
        if self.replica is not None:
            self.replica.close()
        is_over = self.workers.stop(max(0.0, by - _LEAVING - time.monotonic()))
        if self.replica is not None:
            self.replica.leave(by)
        if is_over:
            self.gate.close()
            self.store.close()


# --- wiring -----------------------------------------------------------------------------------------------------------


def create_app(
    settings: Settings,
    catalog: Catalog,
    database: OpenedDatabase,
    *,
    model: Model | None = None,
    reload: Callable[[], None] = lambda: None,
    clock: SteadyClock | None = None,
    ids: Callable[[], str] = _id,
) -> Flask:
    """The wired Flask app; `app.extensions["bot"]` is the `Bot` to start and stop.

    `clock` is the store's; `reload` has the catalog's file read again.
    """
    clock = clock or SteadyClock()
    intake = Intake(database.store)
    bot = _bot(settings, catalog, database, intake, model, reload, clock, ids)
    app = Flask("bot")
    app.extensions["bot"] = bot
    if bot.socket is None and settings.slack_signing_secret is not None:
        now = clock if bot.store.is_shared else time.time
        add_slack_routes(app, intake, settings.slack_signing_secret.get_secret_value(), now)
    add_health_routes(app, bot.readiness)
    add_jwks_route(app, lambda: jwks(bot.gate.catalog.apis, bot.identity.keys))
    if settings.public_url is not None:
        home, says = bot.in_slack.home, bot.in_slack.connect_words
        OAuthRoutes(bot.identity.connecting, bot.store, home, settings.public_url, says, ids=ids).add_to(app)
    return app


def _bot(
    settings: Settings,
    catalog: Catalog,
    database: OpenedDatabase,
    intake: Intake,
    model: Model | None,
    reload: Callable[[], None],
    clock: SteadyClock,
    ids: Callable[[], str],
) -> Bot:
    """All rooms, each made of those that it needs."""
    store, waking = database.store, database.waking

    # Slack, as whom APIs are called, what calls them, and what is said and done in Slack
    pace = SharedPace(store) if store.is_shared else OwnPace(time.monotonic, store.check_hold)
    web = web_of(settings, pace=pace)
    reader = ThreadReader(web, store, clock)
    identity = _identity(settings, catalog, store, web, reader, clock, ids)
    gate = _gate(settings, catalog, store, web, identity.identities, clock, ids)
    tell = partial(tell_of_homes, store)
    in_slack = in_slack_of(settings, store, waking, web, identity, gate, tell_of_homes=tell, clock=clock, ids=ids)

    # the model, and who advances what
    watched = WatchedModel(model or model_of(settings, lambda: (*settings.secrets, *gate.secrets)))
    services = Services(
        model=model_calls_of(settings, watched),
        gate=gate,
        store=store,
        reader=reader,
        status=in_slack.status,
        streams=in_slack.streams,
        cancel_flag=CancelFlag(),
        limits=_limits(settings),
        ids=ids,
        clock=clock,
    )
    workers = _workers(settings, waking, in_slack, services, reload, clock)
    replica = _replica(settings, database, workers, in_slack.home, clock)

    # how it is
    socket = _socket(settings, intake)
    readiness = Readiness(store, web, watched, socket)
    gauges = Gauges(store, waking, lambda: readiness.report()[0])
    return Bot(store, gate, identity, web, in_slack, workers, socket, readiness, gauges, replica)


def _identity(
    settings: Settings,
    catalog: Catalog,
    store: Store,
    web: SlackWeb,
    reader: ThreadReader,
    clock: SteadyClock,
    ids: Callable[[], str],
) -> Identity:
    return identity_of(
        settings,
        catalog,
        store,
        email_of=web.email,
        person_of=web.person,
        is_deleted=partial(reader.is_deleted, spare=SPARE),
        clock=clock,
        ids=ids,
        secret=_secret,
    )


def _workers(
    settings: Settings,
    waking: Waking,
    in_slack: InSlack,
    services: Services,
    reload: Callable[[], None],
    clock: SteadyClock,
) -> Workers:
    days = settings.retention_days
    deadlines = Deadlines(
        services.store, services.gate, in_slack.home, in_slack.leavers, waking, retention=days, clock=clock
    )
    return Workers(services, in_slack, deadlines, waking, reload, workers=settings.workers)


def _gate(
    settings: Settings,
    catalog: Catalog,
    store: Store,
    web: SlackWeb,
    identities: Identities,
    clock: SteadyClock,
    ids: Callable[[], str],
) -> Gate:
    options = GateOptions(
        timeout=settings.api_timeout,
        max_response=settings.max_response,
        result_limit=min(24_000, settings.history_tokens * 3 // _RESULT_SHARE),
        dry_run=settings.dry_run,
        log_bodies=settings.log_bodies,
        way=settings.way_out,
    )
    authority = Authority(web, settings.channels, allow_guests=settings.allow_guests)
    return Gate(catalog, store, authority, options, identities=identities, ids=ids, clock=clock)


def _limits(settings: Settings) -> TurnLimits:
    return TurnLimits(
        settings.max_model_calls, settings.model_patience, dry_run=settings.dry_run, allowance=settings.allowance
    )


def _socket(settings: Settings, intake: Intake) -> SocketMode | None:
    """The socket, in socket mode. Its threads are made here."""
    web = app_web_of(settings)
    if web is None:
        return None
    return SocketMode(
        web.open_socket,
        intake.record_envelope,
        lambda job: threading.Thread(target=job, name="socket", daemon=True).start(),
        way=settings.way_out,
    )


def _replica(
    settings: Settings, database: OpenedDatabase, workers: Workers, home: AppHome, clock: SteadyClock
) -> Replica | None:
    """This process among others, where the database can be shared."""
    if database.leases is None:
        return None
    from workers.replica import Replica  # costs half a second, which SQLite's users are spared

    url = libpq_url(url_with_sessions(settings.database_url, settings.database_listen_url))
    return Replica(
        url,
        database.store,
        database.leases,
        database.waking,
        workers.take_up,
        clock,
        most=_MOST_HAD,
        home_changed=home.heard,
    )


# --- serving ----------------------------------------------------------------------------------------------------------


@click.group(invoke_without_command=True, commands=COMMANDS)
@click.version_option(VERSION, message="%(version)s")
@click.option(
    "--no-workers", is_flag=True, help="Only records what Slack sends; `worker` processes do the work (PostgreSQL)."
)
@click.pass_context
def main(context: click.Context, *, no_workers: bool) -> None:
    """Puts an internal REST API behind an @mention in Slack. Without a command it runs the bot."""
    if context.invoked_subcommand is None:
        serve(ProcessRole.RECORD if no_workers else ProcessRole.ALL)


@main.command(short_help="Only does the work, which --no-workers processes record (PostgreSQL).")
def worker() -> None:
    """Only does the work, and receives nothing from Slack: processes with --no-workers do that (PostgreSQL)."""
    serve(ProcessRole.WORK)


def serve(role: ProcessRole = ProcessRole.ALL) -> None:
    """Serves until SIGTERM or Ctrl-C; then ends within ten seconds, every thread at a safe point. SIGHUP takes the catalog again."""
    os.umask(0o077)  # what is made here is for this user alone
    set_up_logs()
    signals, clock = Signals(), SteadyClock()
    signals.hear()
    with plain_errors(), signals.ending_at_once():
        settings, bot, server = _make_ready(role, signals, clock)
    catalog = bot.gate.catalog
    prepare(catalog, settings.prompt_budget)
    _settle_memory()
    bot.start(role)
    if server is not None:
        threading.Thread(target=server.run, name="http", daemon=True).start()
    log.info(
        "serving",
        part=role,
        host=settings.host,
        port=None if server is None else server.effective_port,
        operations=len(catalog.operations),
        channels=settings.channels,
    )
    threading.Thread(target=_check_names, args=(bot.web, settings, catalog), name="names", daemon=True).start()
    keep_time = partial(bot.store.keep_time, clock) if role is ProcessRole.RECORD else lambda: None
    _watch(signals, settings, bot, keep_time)
    log.info("stopping")
    if server is not None:
        server.close()
    bot.stop()
    end_tracing()
    log.info("stopped")
    sys.stderr.flush()
    os._exit(0)  # what still runs is in the middle of a call and safe to leave: a start finds it in the store


def _make_ready(role: ProcessRole, signals: Signals, clock: SteadyClock) -> tuple[Settings, Bot, Any]:
    """All that can be set wrongly, read and opened: the settings, the bot, and the HTTP server, if there is one. Raises
    `Misconfigured`."""
    settings = load_settings()
    set_log_level(settings.log_level)
    catalog = _catalog(settings)
    _tell_misspelt()
    start_tracing(settings)
    url, stop = settings.database_url, signals.stop
    database = once_there(lambda: open_database(settings, clock, lambda: signals.put(LOOK)), url, stop)
    once_there(lambda: _begin(database.store, stop, role), url, stop)
    if digest_of(text_of(settings.apis_file, "APIS_FILE")) != catalog.digest:  # it may have waited for hours
        catalog = _catalog(settings)
    once_there(lambda: database.store.take_catalog(catalog.digest, insists=False), url, stop)
    check_lead(catalog, SignInServers(clock, settings.way_out), settings.public_url)
    app = create_app(settings, catalog, database, reload=lambda: signals.put(READ_AGAIN), clock=clock)
    server = None if role is ProcessRole.WORK else _listen(app, settings)
    bot: Bot = app.extensions["bot"]
    if role is not ProcessRole.RECORD:
        once_there(lambda: see_to_restored(bot.store, bot.gate, _id), url, stop)
    _measure(settings, bot)
    return settings, bot, server


def _catalog(settings: Settings) -> Catalog:
    """The catalog as its file is now. Raises `Misconfigured`."""
    catalog = read_catalog(settings.apis_file)
    check_keys(catalog, settings.token_keys)
    hide_in_logs([*settings.secrets, *secrets_of(catalog)])
    tell_untimely(catalog)
    return catalog


def _tell_misspelt() -> None:
    """Logs what is set and looks like a setting, but is none: it would be missed without a word."""
    for name, setting in misspelt(environment()).items():
        log.warning("no such setting", variable=name, hint=said_of(name, setting))


def _measure(settings: Settings, bot: Bot) -> None:
    """Answers Prometheus, where the settings say where."""
    if settings.metrics_port is not None:
        metrics.REGISTRY.register(bot.gauges)
        port = metrics.serve_metrics(settings.host, settings.metrics_port)
        log.info("metrics are served", host=settings.host, port=port)


def _begin(store: Store, stop: threading.Event, role: ProcessRole) -> None:
    """Waits until this process may work on the database. Raises `Misconfigured`."""
    if store.is_shared:
        store.join(stop)
    elif role is ProcessRole.ALL:
        store.lock(stop)
    else:
        raise Misconfigured(
            "One process works on a SQLite file, and it does everything: set DATABASE_URL=postgresql://... for several processes."
        )
    store.take_up_journal()
    store.make_shrinkable()


def _settle_memory() -> None:
    """Takes what was loaded so far out of the collector's sight: it stays anyway, and each full collection would look through all of
    it, for a tenth of a second in which Slack gets no answer."""
    gc.collect()
    gc.freeze()


def _watch(signals: Signals, settings: Settings, bot: Bot, keep_time: Callable[[], None]) -> None:
    """Until it is to end: takes the catalog again when asked to, keeps to the database's time where nobody else does, and sees to it that
    the database is still ours alone.

    Where it is not, nothing more can be done here, and nothing more can be written; so this process gives its place to another.
    """
    reloading = Reloading(settings, bot.store, bot.gate, bot.identity, bot.readiness)
    while not signals.stop.is_set():
        heard = signals.next(_CHECK_LOCK)
        if heard in (INSISTS, READ_AGAIN) and not signals.stop.is_set():
            try:
                catalog = reloading.reload(insists=heard == INSISTS)
            except SQLAlchemyError as error:
                reason = type(getattr(error, "orig", None) or error).__name__
                log.warning("catalog not taken yet", error=reason, hint="the database gives no answer; tried again")
                catalog = None
                signals.stop.wait(_AGAIN)
                signals.put(heard)
            if catalog is not None:
                threading.Thread(target=_check_people, args=(bot.web, catalog), name="names", daemon=True).start()
        keep_time()
        if not signals.stop.is_set() and not bot.store.still_alone():
            log.critical("another process took over what this one had; ending, so that it starts over")
            os._exit(1)


def _check_names(web: SlackWeb, settings: Settings, catalog: Catalog) -> None:
    """Has logged what Slack does not know; in a thread of its own, since Slack may take its time."""
    web.check_channels(settings.channels)
    _check_people(web, catalog)


def _check_people(web: SlackWeb, catalog: Catalog) -> None:
    web.check_people(catalog.approvers, catalog.askers, scopes_for(catalog))


def _listen(app: Flask, settings: Settings) -> Any:
    try:
        return create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=4,  # with more they wait for each other: with eight, 300 at once took half as long again (`make bench`)
            max_request_body_size=MAX_BODY,
            ident=None,
            backlog=2048,
            connection_limit=2048,
        )
    except OSError as error:
        raise Misconfigured(
            f"PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another PORT."
        ) from None


if __name__ == "__main__":
    main()
