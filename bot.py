"""Door to Slack, inwards: verify, parse, record, wake, ack. create_app() wires the rooms; serve() runs it.

What Slack sends comes over HTTP, or in socket mode over slack_io/socket_mode.py; `Intake` records either. The 200 means: recorded.
Nothing here asks the model, the API or Slack's Web API while Slack waits for its answer. The other commands: cli/commands.py.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import click
import structlog
from flask import Flask, Response, abort, request
from slack_sdk.signature import Clock, SignatureVerifier
from slackeventsapi import SlackEventAdapter
from sqlalchemy.exc import SQLAlchemyError
from waitress.server import create_server

from ai import Services
from base.clock import SteadyClock
from base.logging_setup import hide_in_logs, set_up_logs
from base.settings import Misconfigured, Settings, load_settings
from base.slack_errors import SlackBusy, SlackUnsure
from base.thread import Thread
from catalog.catalog import Catalog
from catalog.credentials import secrets_of
from cli.commands import COMMANDS, read_catalog, told
from gate.gate import Gate
from model.chat import Model, model_of
from model.prompt.prompt import prepare
from slack_io import payloads
from slack_io.app_home import AppHome
from slack_io.assistant_status import AssistantStatus
from slack_io.cancellation import Cancellation
from slack_io.handlers import AdmissionRules, Handlers
from slack_io.health import OneLook, WatchedModel
from slack_io.outbox import Outbox
from slack_io.socket_mode import SocketMode
from slack_io.streaming import StreamedMessages
from slack_io.thread_context import ThreadReader
from slack_io.web_api import Person, SlackWeb, app_web_of, web_of
from store.holds import Overtaken
from store.journal.hash_chain import digest
from store.store import Store
from workers.turns import Turns

log = structlog.get_logger("bot")
MAX_BODY = 1_048_576  # bytes of one request; Slack's own are far smaller
STOP_SECONDS = 9.0  # of the ten that a SIGTERM leaves
_STDIN = 0
_CHECK_LOCK = 10.0  # seconds between two looks at whether the database is still ours alone
_LOOK = 0  # among the signals: look at once
_RESULT_SHARE = 2  # one result may fill half of the history (a token is about three characters)


@dataclass(frozen=True)
class Bot:
    """The wired house behind the app, for who starts and ends it."""

    store: Store
    gate: Gate
    web: SlackWeb
    turns: Turns
    socket: SocketMode | None  # in socket mode
    model: WatchedModel
    told: dict[str, str]  # what /readyz tells beside, that nobody else knows

    def start(self) -> None:
        """Starts the workers, takes up what is not at rest, and in socket mode connects to Slack."""
        self.turns.start()
        if self.socket is not None:
            self.socket.start()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Hears nothing more from the socket, leaves all work at a safe point within `seconds` and closes the doors."""
        by = time.monotonic() + seconds
        if self.socket is not None:
            self.socket.close()
        if self.turns.stop(max(0.0, by - time.monotonic())):
            self.gate.close()
            self.store.close()


def create_app(
    settings: Settings,
    catalog: Catalog,
    store: Store,
    *,
    model: Model | None = None,
    clock: SteadyClock | None = None,
    ids: Callable[[], str] = lambda: secrets.token_hex(16),
) -> Flask:
    """The wired Flask app; `app.extensions["bot"]` is the `Bot` to start and stop. `clock` is the store's."""
    clock = clock or SteadyClock()
    web = web_of(settings)
    watched = WatchedModel(model or model_of(settings, lambda: (*settings.secrets, *gate.secrets)))
    gate = Gate(
        catalog,
        store,
        ids=ids,
        timeout=settings.api_timeout,
        max_response=settings.max_response,
        result_limit=min(24_000, settings.history_tokens * 3 // _RESULT_SHARE),
        clock=clock,
        directory=web,
        channels=settings.channels,
        dry_run=settings.dry_run,
        log_bodies=settings.log_bodies,
        way=settings.way_out,
    )
    stops = Cancellation(store, web, settings.admin_names, lambda turn, thread: turns.stop_turn(turn, thread), ids=ids)
    assistant_status = AssistantStatus(web, lambda thread: turns.deliver(thread))
    growing = StreamedMessages(
        web, lambda thread: turns.deliver(thread), stops.ended_in_slack, links=lambda: gate.catalog.links
    )
    outbox = Outbox(
        web,
        store,
        growing,
        assistant_status,
        unshown=lambda post: turns.unshown(post),
        home_url=lambda: web.identity().url,
        clock=clock,
    )
    home = AppHome(store, gate, web, settings.channels, allow_guests=settings.allow_guests)
    services = Services(
        model=watched,
        gate=gate,
        store=store,
        ids=ids,
        read=ThreadReader(web, store).read,
        person=lambda user: _known(web, user),
        assistant_status=assistant_status,
        growing=growing,
        model_name=settings.openai_model,
        server=digest(f"{settings.openai_base_url} {settings.openai_model}"),
        dry_run=settings.dry_run,
        max_model_calls=settings.max_model_calls,
        history_tokens=settings.history_tokens,
        prompt_budget=settings.prompt_budget,
        patience=settings.model_patience,
    )
    turns = Turns(
        store,
        gate,
        lambda thread: handlers.receive(thread),
        lambda arrival: handlers.set_aside(arrival),
        home,
        outbox,
        services,
        workers=settings.workers,
        retention=settings.retention_days,
        clock=clock,
    )
    rules = AdmissionRules(
        settings.channels,
        settings.allow_guests,
        settings.workers,
        settings.max_waiting,
        allow_direct=settings.allow_dm,
        retention_days=settings.retention_days,
    )
    handlers = Handlers(store, gate, web, rules, stops, assistant_status, turns, ids=ids)
    intake = Intake(store, turns.arrived)
    bot = Bot(store, gate, web, turns, _socket(settings, intake), watched, {"catalog": "ok"})
    app = Flask("bot")
    app.extensions["bot"] = bot
    if bot.socket is None and settings.slack_signing_secret is not None:
        _add_slack_routes(app, intake, settings.slack_signing_secret.get_secret_value(), time.time)
    _add_health_routes(app, bot)
    return app


def _known(web: SlackWeb, user: str) -> Person | None:
    """Who somebody is, where Slack says so at this moment."""
    try:
        return web.person(user)
    except (SlackBusy, SlackUnsure):
        return None


def _socket(settings: Settings, intake: Intake) -> SocketMode | None:
    """The socket, in socket mode. Its threads are made here."""
    web = app_web_of(settings)
    if web is None:
        return None
    return SocketMode(
        web.open_socket,
        intake.hear_envelope,
        lambda job: threading.Thread(target=job, name="socket", daemon=True).start(),
        way=settings.way_out,
    )


# --- what Slack sends, by either edge ---------------------------------------------------------------------------------


class ParsedEvent(Protocol):
    """What one event says, read by slack_io/payloads.py."""

    @property
    def kind(self) -> str: ...
    @property
    def event_id(self) -> str: ...
    @property
    def thread(self) -> Thread: ...
    @property
    def ts(self) -> str | None: ...
    def payload(self) -> dict[str, Any]: ...


# Event type -> who reads it. What is read says by its `kind` what its record is called; Desk.receive knows it by that.
EVENTS: dict[str, Callable[[Mapping[str, Any]], ParsedEvent | None]] = {
    "app_mention": payloads.mention,
    "message": payloads.heard,
    "app_home_opened": payloads.opened,
    "assistant_thread_started": payloads.pane,
    "assistant_thread_context_changed": payloads.pane,
    "agent_session_stopped": payloads.halted,
}


class Intake:
    """Records what Slack sent and wakes who sees to it. What it returned from is on disk; what the database did not take raises."""

    def __init__(self, store: Store, arrived: Callable[[str], None]) -> None:
        self._store = store
        self._arrived = arrived

    def hear_event(self, envelope: Mapping[str, Any]) -> None:
        """Records one event, by its Events API envelope. What is not for us is let go."""
        if not _is_used(envelope):
            return
        found = EVENTS[envelope["event"]["type"]](envelope)
        if found is None:
            return
        installed = payloads.installed_in(envelope)
        payload = found.payload() | ({} if installed is None else {"installed_in": installed})
        self._record(found.kind, found.thread, payload, found.event_id, found.ts)

    def hear_interaction(self, payload: Mapping[str, Any]) -> None:
        """Records one press, submitted modal or shortcut. Its id is its content: each gesture has a trigger of its own."""
        found = payloads.gesture(payload)
        if found is not None:
            digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
            self._record(found.kind, found.thread, found.payload(), f"click:{digest}", None)

    def hear_envelope(self, kind: str, payload: dict[str, Any]) -> bool:
        """Records what came over the socket. False where it could not be recorded: it is not to be acknowledged."""
        try:
            match kind:
                case "events_api":
                    self.hear_event(payload)
                case "interactive":
                    self.hear_interaction(payload)
                case _:
                    log.info("envelope not used", type=kind)
        except (SQLAlchemyError, Overtaken) as error:
            _log_unrecorded(error)
            return False
        return True

    def _record(self, kind: str, thread: Thread, payload: dict[str, Any], event_id: str, ts: str | None) -> None:
        if self._store.record(kind, thread, payload, event_id=event_id, ts=ts):
            self._arrived(thread.key)


def _log_unrecorded(error: Exception) -> None:
    hint = "the database did not take it; Slack will send it again"
    log.error("not recorded", error=type(error).__name__, hint=hint)


def _is_used(envelope: Mapping[str, Any]) -> bool:
    """Whether an envelope holds an event that somebody here reads."""
    event = envelope.get("event")
    kind = event.get("type") if isinstance(event, dict) else None
    if isinstance(kind, str) and kind in EVENTS:
        return True
    log.info("event not used", type=envelope.get("type") if isinstance(envelope.get("type"), str) else None)
    return False


# --- routes -----------------------------------------------------------------------------------------------------------


def _add_slack_routes(app: Flask, intake: Intake, signing_secret: str, clock: Callable[[], float]) -> None:
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(_Door(signing_secret, clock).screen)
    adapter = SlackEventAdapter(signing_secret, "/slack/events", app)

    def note_error(error: Exception) -> None:
        log.warning("slackeventsapi refused a request that had passed our check", error=str(error))

    for kind in EVENTS:
        adapter.on(kind, intake.hear_event)
    adapter.on("error", note_error)

    @app.post("/slack/interactions")
    def interactions() -> Response:
        intake.hear_interaction(json.loads(request.form["payload"]))
        return Response(status=200)

    @app.errorhandler(SQLAlchemyError)
    @app.errorhandler(Overtaken)
    def _no_database(error: Exception) -> Response:
        _log_unrecorded(error)
        return Response("not recorded, send it again", status=503)


class _SlackClock(Clock):
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock()


class _Door:
    """Verifies and screens every request below /slack/ before any handler sees it."""

    def __init__(self, signing_secret: str, clock: Callable[[], float]) -> None:
        self._verifier = SignatureVerifier(signing_secret, _SlackClock(clock))

    def screen(self) -> Response | None:
        """None lets the request pass. 401 for what Slack did not sign, 400 for what is malformed, 200 for what is not for us."""
        if not request.path.startswith("/slack/") or request.method != "POST":
            return None
        body = request.get_data(cache=True, parse_form_data=False)
        self._verify(body)
        return _screen_event(body) if request.path == "/slack/events" else _screen_click(body)

    def _verify(self, body: bytes) -> None:
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not re.fullmatch(r"[0-9]{1,12}", stamp, re.ASCII) or not signature.isascii():
            abort(401)
        try:
            is_slack = self._verifier.is_valid(body, stamp, signature)
        except UnicodeDecodeError:
            abort(400)
        if not is_slack:
            abort(401)


def _screen_event(body: bytes) -> Response | None:
    """The adapter fails on bodies without an event, and parses what it gets; so only whole mentions and challenges reach it."""
    envelope = _json_object(body)
    if "challenge" in envelope:
        return None
    if _is_used(envelope):
        return None
    return Response(status=200)


def _screen_click(body: bytes) -> Response | None:
    if request.mimetype != "application/x-www-form-urlencoded":
        abort(400)
    payload = request.form.get("payload")
    if payload is None:
        abort(400)
    _json_object(payload.encode())
    return None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        abort(400)
    if not isinstance(value, dict):
        abort(400)
    return value


def _add_health_routes(app: Flask, bot: Bot) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    database = OneLook(bot.store.check_recording)

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        needed = {"database": database.found()}
        if bot.socket is not None:  # what comes, comes by it
            needed["socket"] = "ok" if bot.socket.is_connected else "not connected"
        beside = {"slack": bot.web.state, "model": bot.model.state, **bot.told}
        return needed | beside, 200 if set(needed.values()) == {"ok"} else 503


# --- serving ----------------------------------------------------------------------------------------------------------


@click.group(invoke_without_command=True, commands=COMMANDS)
@click.pass_context
def main(context: click.Context) -> None:
    """Puts an internal REST API behind an @mention in Slack. Without a command: serves."""
    if context.invoked_subcommand is None:
        serve()


def serve() -> None:
    """Serves until SIGTERM or Ctrl-C; then ends within ten seconds, every thread at a safe point. SIGHUP takes the catalog anew."""
    os.umask(0o077)  # what is made here is for this user alone
    set_up_logs()
    stop, signals = _hear_signals()
    with told():
        settings = load_settings()
        catalog = read_catalog(settings.apis_file)
        hide_in_logs([*settings.secrets, *secrets_of(catalog)])
        key = settings.journal_key
        clock = SteadyClock()
        store = Store(settings.database_url, clock, journal_key=key.get_secret_value() if key else None)
        store.lock(stop)
        store.take_up_journal()
        store.make_shrinkable()
        app = create_app(settings, catalog, store, clock=clock)
        server = _listen(app, settings)
    bot: Bot = app.extensions["bot"]
    prepare(catalog, settings.prompt_budget)
    _settle_memory()
    bot.start()
    threading.Thread(target=server.run, name="http", daemon=True).start()
    log.info(
        "serving",
        host=settings.host,
        port=server.effective_port,
        operations=len(catalog.operations),
        channels=settings.channels,
    )
    threading.Thread(target=_check_names, args=(bot.web, settings, catalog), name="names", daemon=True).start()
    _watch(stop, signals, settings, bot)
    log.info("stopping")
    server.close()
    bot.stop()
    log.info("stopped")
    sys.stderr.flush()
    os._exit(0)  # what still runs is in the middle of a call and safe to leave: a start finds it in the store


def _settle_memory() -> None:
    """Takes what was loaded so far out of the collector's sight: it stays anyway, and each full collection would look through all of
    it, for a tenth of a second in which Slack gets no answer."""
    gc.collect()
    gc.freeze()


def _hear_signals() -> tuple[threading.Event, SimpleQueue[int]]:
    """What SIGTERM and Ctrl-C set from now on, and the signals as they come, SIGHUP among them.

    A terminal that is closed sends SIGHUP, too; that ends a bot which was started there.
    """
    stop = threading.Event()
    signals: SimpleQueue[int] = SimpleQueue()  # a handler may fill it while its own thread waits for it
    at_terminal = os.isatty(_STDIN)

    def hear(number: int, _frame: object) -> None:
        if number != signal.SIGHUP or (at_terminal and not os.isatty(_STDIN)):
            stop.set()
        signals.put(number)

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, hear)
    return stop, signals


def _watch(stop: threading.Event, signals: SimpleQueue[int], settings: Settings, bot: Bot) -> None:
    """Until it is to end: takes the catalog anew when asked to, and sees to it that the database is still ours alone.

    Where it is not, nothing more can be done here, and nothing more can be written; so this process gives its place to another.
    """
    bot.store.on_lost = lambda: signals.put(_LOOK)
    while not stop.is_set():
        with contextlib.suppress(Empty):
            if signals.get(timeout=_CHECK_LOCK) == signal.SIGHUP and not stop.is_set():
                _reload(settings, bot)
        if not stop.is_set() and not bot.store.still_alone():
            log.critical("the database's lock is lost; ending, so that only one process works on it")
            os._exit(1)


def _reload(settings: Settings, bot: Bot) -> None:
    """Takes the catalog as its file is now; a file with mistakes changes nothing."""
    try:
        catalog = read_catalog(settings.apis_file)
        prepare(catalog, settings.prompt_budget)
    except Misconfigured as error:
        mistakes = str(error).splitlines()
    except Exception:  # the boundary of a reload: whatever the file holds, the bot goes on with the catalog that it has
        bot.told["catalog"] = "the file could not be taken, see the log; the catalog before it stays in use"
        log.exception("catalog not taken", hint="the one before it stays in use")
        return
    else:
        _take(catalog, settings, bot)
        return
    bot.told["catalog"] = "the file has mistakes, see the log; the catalog before it stays in use"
    log.error("catalog not taken", mistakes=mistakes, hint="the one before it stays in use")


def _take(catalog: Catalog, settings: Settings, bot: Bot) -> None:
    hide_in_logs([*settings.secrets, *bot.gate.secrets, *secrets_of(catalog)])
    bot.gate.use(catalog)
    bot.told["catalog"] = "ok"
    log.info("catalog taken", operations=len(catalog.operations))
    threading.Thread(target=bot.web.check_groups, args=(catalog.approvers,), name="names", daemon=True).start()


def _check_names(web: SlackWeb, settings: Settings, catalog: Catalog) -> None:
    """Has logged what Slack does not know; in a thread of its own, since Slack may take its time."""
    web.check_channels(settings.channels)
    web.check_groups(catalog.approvers)


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
