"""Door to Slack, inwards: verify, parse, record, wake, ack. create_app() wires the house; below it, the command line.

What Slack sends comes over HTTP, or in socket mode over socket_mode.py; `Front` records either. The 200 means: recorded. Nothing here asks
the model, the API or Slack's Web API while Slack waits for its answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import click
import structlog
from flask import Flask, Response, abort, request
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from slack_sdk.signature import Clock, SignatureVerifier
from slackeventsapi import SlackEventAdapter
from sqlalchemy.exc import SQLAlchemyError
from waitress.server import create_server

import importing
import slack_check
from ai import House
from chat import ChatServer, Model
from core import reports, slack_in
from core.cards import visible
from core.catalog import Catalog, Operation, Recipe, load_catalog
from core.chain import Line
from core.credentials import secrets_of
from core.openapi import Choice
from core.policy import ASKER, SAFE_METHODS, Rule
from core.posts import Thread
from core.recipes import RUN
from core.settings import Misconfigured, Settings, environment, load_settings
from desk import Desk, Rules
from gate import Gate
from growing import Growing
from home import Home
from journal import Journal, read_key
from listen import Listener
from logs import hide_in_logs, set_up_logs
from outbox import Outbox
from presence import Presence
from slack_web import Person, SlackBusy, SlackSaysNo, SlackUnsure, SlackWeb
from socket_mode import SocketMode
from stops import Stops
from store import Store
from turns import Turns

log = structlog.get_logger("bot")
MAX_BODY = 1_048_576  # bytes of one request; Slack's own are far smaller
STOP_SECONDS = 9.0  # of the ten that a SIGTERM leaves
_CHECK_LOCK = 10.0  # seconds between two looks at whether the database is still ours alone
_RESULT_SHARE = 2  # one result may fill half of the history (a token is about three characters)


@dataclass(frozen=True)
class Bot:
    """The wired house behind the app, for who starts and ends it."""

    store: Store
    gate: Gate
    web: SlackWeb
    turns: Turns
    socket: SocketMode | None  # in socket mode

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
    clock: Callable[[], float] = time.time,
    ids: Callable[[], str] = lambda: secrets.token_hex(16),
) -> Flask:
    """The wired Flask app; `app.extensions["bot"]` is the `Bot` to start and stop."""
    web = _web(settings)
    key = settings.openai_api_key
    model = model or ChatServer(
        api_key=key.get_secret_value() if key else None,
        base_url=settings.openai_base_url,
        model=settings.openai_model,
        timeout=settings.model_timeout,
    )
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
    )
    stops = Stops(store, web, settings.admin_names, lambda turn, thread: turns.stop_turn(turn, thread), ids=ids)
    presence = Presence(web, lambda thread: turns.deliver(thread))
    growing = Growing(web, lambda thread: turns.deliver(thread), stops.ended_in_slack)
    outbox = Outbox(
        web,
        store,
        growing,
        presence,
        unshown=lambda post: turns.unshown(post),
        home_url=lambda: web.identity().url,
        clock=clock,
    )
    home = Home(store, gate, catalog, web, settings.channels, allow_guests=settings.allow_guests)
    house = House(
        model=model,
        catalog=catalog,
        gate=gate,
        store=store,
        ids=ids,
        clock=clock,
        read=Listener(web, store).read,
        person=lambda user: _known(web, user),
        presence=presence,
        growing=growing,
        model_name=settings.openai_model,
        dry_run=settings.dry_run,
        max_model_calls=settings.max_model_calls,
        history_tokens=settings.history_tokens,
        prompt_budget=settings.prompt_budget,
    )
    turns = Turns(
        store,
        gate,
        lambda thread: desk.receive(thread),
        home,
        outbox,
        house,
        workers=settings.workers,
        retention=settings.retention_days,
        clock=clock,
    )
    rules = Rules(
        settings.channels, settings.allow_guests, settings.workers, settings.max_waiting, allow_direct=settings.allow_dm
    )
    desk = Desk(store, gate, web, rules, stops, presence, turns, ids=ids)
    front = Front(store, turns.arrived)
    bot = Bot(store, gate, web, turns, _socket(settings, front))
    app = Flask("bot")
    app.extensions["bot"] = bot
    if bot.socket is None and settings.slack_signing_secret is not None:
        _add_slack_routes(app, front, settings.slack_signing_secret.get_secret_value(), clock)
    _add_health_routes(app, bot)
    return app


def _known(web: SlackWeb, user: str) -> Person | None:
    """Who somebody is, where Slack says so at this moment."""
    try:
        return web.person(user)
    except (SlackBusy, SlackUnsure):
        return None


def _web(settings: Settings, *, explain: bool = True) -> SlackWeb:
    return SlackWeb(settings.slack_bot_token.get_secret_value(), settings.slack_api_url, explain=explain)


def _app_web(settings: Settings, *, explain: bool = True) -> SlackWeb | None:
    """The Web API by the app-level token, in socket mode."""
    if settings.slack_app_token is None:
        return None
    token = settings.slack_app_token.get_secret_value()
    return SlackWeb(token, settings.slack_api_url, setting="SLACK_APP_TOKEN", explain=explain)


def _socket(settings: Settings, front: Front) -> SocketMode | None:
    """The socket, in socket mode. Its threads are made here."""
    web = _app_web(settings)
    if web is None:
        return None
    return SocketMode(
        web.open_socket,
        front.hear_envelope,
        lambda job: threading.Thread(target=job, name="socket", daemon=True).start(),
    )


# --- what Slack sends, by either edge ---------------------------------------------------------------------------------


class Heard(Protocol):
    """What one event says, read by core/slack_in.py."""

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
EVENTS: dict[str, Callable[[Mapping[str, Any]], Heard | None]] = {
    "app_mention": slack_in.mention,
    "message": slack_in.direct,
    "app_home_opened": slack_in.opened,
    "assistant_thread_started": slack_in.pane,
    "assistant_thread_context_changed": slack_in.pane,
    "agent_session_stopped": slack_in.halted,
}


class Front:
    """Records what Slack sent and wakes who sees to it. What it returned from is on disk; what the database did not take raises."""

    def __init__(self, store: Store, arrived: Callable[[str], None]) -> None:
        self._store = store
        self._arrived = arrived

    def hear_event(self, envelope: Mapping[str, Any]) -> None:
        """Records one event, by its Events API envelope. What is not for us is let go."""
        if not _is_used(envelope):
            return
        found = EVENTS[envelope["event"]["type"]](envelope)
        if found is not None:
            self._record(found.kind, found.thread, found.payload(), found.event_id, found.ts)

    def hear_interaction(self, payload: Mapping[str, Any]) -> None:
        """Records one press, submitted modal or shortcut. Its id is its content: each gesture has a trigger of its own."""
        found = slack_in.gesture(payload)
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
        except SQLAlchemyError as error:
            _log_unrecorded(error)
            return False
        return True

    def _record(self, kind: str, thread: Thread, payload: dict[str, Any], event_id: str, ts: str | None) -> None:
        if self._store.record(kind, thread, payload, event_id=event_id, ts=ts):
            self._arrived(thread.key)


def _log_unrecorded(error: SQLAlchemyError) -> None:
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


def _add_slack_routes(app: Flask, front: Front, signing_secret: str, clock: Callable[[], float]) -> None:
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(_Door(signing_secret, clock).screen)
    adapter = SlackEventAdapter(signing_secret, "/slack/events", app)

    def note_error(error: Exception) -> None:
        log.warning("slackeventsapi refused a request that had passed our check", error=str(error))

    for kind in EVENTS:
        adapter.on(kind, front.hear_event)
    adapter.on("error", note_error)

    @app.post("/slack/interactions")
    def interactions() -> Response:
        front.hear_interaction(json.loads(request.form["payload"]))
        return Response(status=200)

    @app.errorhandler(SQLAlchemyError)
    def _no_database(error: SQLAlchemyError) -> Response:
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

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        checks = {
            "catalog": "ok",
            "database": _check(bot.store.ping),
            "slack": _check(lambda: bot.web.call("auth.test", {})),
        }
        if bot.socket is not None:
            checks["socket"] = "ok" if bot.socket.is_connected else "not connected"
        return checks, 200 if set(checks.values()) == {"ok"} else 503


def _check(look: Callable[[], object]) -> str:
    try:
        look()
    except (SQLAlchemyError, SlackBusy, SlackUnsure, SlackSaysNo) as error:
        return f"no answer ({type(error).__name__})"
    return "ok"


# --- the command line -------------------------------------------------------------------------------------------------


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Puts an internal REST API behind an @mention in Slack. Without a command: serves."""
    if context.invoked_subcommand is None:
        serve()


@main.command()
@click.option(
    "--slack", is_flag=True, help="Ask Slack, too: tokens, scopes, channels, groups; exit 1 and what to mend."
)
def check(*, slack: bool) -> None:
    """Checks the catalog and shows its operations with who may do what."""
    with _told():
        catalog = read_catalog(environment().get("APIS_FILE") or "apis.yaml")
        settings = load_settings() if slack else None
    console = Console()
    for api in catalog.apis:
        table = Table(
            "operation", "what it does", "who", title=escape(f"{api.name} at {api.base_url}"), title_justify="left"
        )
        for operation in catalog.operations:
            if operation.api is api:
                table.add_row(*(escape(cell) for cell in (operation.name, operation.description, _who(operation))))
        for recipe in catalog.recipes:
            if recipe.api is api:
                table.add_row(*(escape(cell) for cell in (_steps(recipe), recipe.description, _who_ends(recipe))))
        console.print(table)
    recipes = f" and {len(catalog.recipes)} recipes" if catalog.recipes else ""
    console.print(f"{len(catalog.operations)} operations{recipes}, no mistakes found.")
    if settings is not None:
        raise SystemExit(_check_slack(settings, catalog))


def _check_slack(settings: Settings, catalog: Catalog) -> int:
    """Tells what is wrong between the settings and Slack, gives the exit code."""
    web, socket = _web(settings, explain=False), _app_web(settings, explain=False)
    wrong = slack_check.check(web, socket, settings.channels, _approvers(catalog))
    for one in wrong:
        click.echo(f"- {one}.")
    click.echo(f"Slack: {len(wrong)} to mend, see above." if wrong else "Slack: all is well.")
    return 1 if wrong else 0


@main.command("import")
@click.argument("source", metavar="FILE_OR_URL")
@click.option("--into", help="Import into this catalog: keeps what was changed there by hand, tells what is new.")
@click.option("--only", multiple=True, help="Only operations like 'GET /users*'; may be given several times.")
@click.option("--tag", "tags", multiple=True, help="Only operations with this tag; may be given several times.")
@click.option("--read-only", is_flag=True, help="No writes at all.")
@click.option("--writes", is_flag=True, help="New writes arrive switched on; without it each waits for enabled: true.")
@click.option("--base-url", default="", help="Where the API is, if the description does not say, or says otherwise.")
@click.option("--name", default="", help="What the API is called, instead of the description's title.")
def import_(source: str, into: str | None, only: tuple[str, ...], tags: tuple[str, ...], **rest: Any) -> None:
    """Makes a catalog of an API description (OpenAPI 3, Swagger 2): to standard output, or into a catalog that is there."""
    order = importing.Order(source, Choice(only, tags, rest.pop("read_only")), **rest)
    with _told():
        done = importing.renew(order, into) if into and Path(into).exists() else importing.make(order, into)
    for line in done.report:
        click.echo(line, err=True)
    if not into:
        click.echo(done.text, nl=False)


@main.command()
@click.option("--thread", help="Only this thread (team/channel/ts).")
@click.option("--turn", help="Only this turn.")
@click.option("--kind", help="Only this kind of entry: question, model call, read, proposed, approve, ...")
@click.option("--by", help="Only what this person (U...) asked, decided or tried.")
@click.option("--last", type=click.IntRange(min=1), help="Only the last N entries.")
@click.option("--export", "form", type=click.Choice(["jsonl", "csv"]), help="Print for other programs.")
@click.option("--verify", is_flag=True, help="Check the chain; exit 1 and name the first broken entry.")
@click.option("--head", help="With --verify: NUMBER:HASH from the log; a tail that was cut off shows.")
def journal(
    *,
    thread: str | None,
    turn: str | None,
    kind: str | None,
    by: str | None,
    last: int | None,
    form: Literal["jsonl", "csv"] | None,
    verify: bool,
    head: str | None,
) -> None:
    """Lists, exports or checks the record of what happened."""
    with _told():
        store = _open_store()
    if verify:
        raise SystemExit(_verify(store.journal, head))
    where = {name: value for name, value in (("thread", thread), ("turn", turn), ("kind", kind)) if value}
    lines: Iterable[Line] = (
        line for line in store.journal.lines(**where) if by is None or reports.person_of(line) == by
    )
    lines = deque(lines, maxlen=last) if last else lines
    if form is not None:
        for text in reports.export(lines, form):
            click.echo(text)
        return
    table = Table("no.", "when", "kind", "who", "what")
    for line in lines:
        words = store.words_of(line.turn) if line.kind == "question" else None
        table.add_row(
            str(line.number),
            reports.moment(line.at),
            _on_terminal(line.kind),
            _on_terminal(reports.person_of(line)),
            _on_terminal(words or reports.summary(line)),
        )
    Console().print(table)


def _on_terminal(text: object) -> str:
    """Text of people, the model or the API as a terminal may have it: no markup of ours, no escape sequence of theirs."""
    return escape(visible(str(text)))


def _verify(chain: Journal, head: str | None) -> int:
    """Checks the chain, tells the outcome, gives the exit code."""
    broken, last_hash, number = chain.verify()
    if broken is not None:
        click.echo(
            f"The journal is broken at entry {broken}: it was changed, removed, or written with another key. {broken - 1} are whole."
        )
        return 1
    if head is not None and not _has_head(chain, head):
        click.echo(
            f"The journal's {number} entries are whole, but {head} is not among them: the tail was cut off or rewritten."
        )
        return 1
    click.echo(f"{number} entries, the chain is whole. Head: {number}:{last_hash}")
    return 0


def _has_head(chain: Journal, head: str) -> bool:
    number, _, expected = head.partition(":")
    return any(str(line.number) == number and line.hash == expected for line in chain.lines())


@main.command()
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True, help="How far to look back."
)
def errors(days: float) -> None:
    """Groups the model's bad calls and the API's errors: which description in the catalog to mend."""
    with _told():
        store = _open_store()
    since = time.time() - days * 86_400
    groups = reports.repeated(store.journal.lines(), since)
    table = Table("times", "operation", "reason", "newest example", "the question behind it")
    for row in reports.error_rows(groups, store.words_of):
        table.add_row(*(_on_terminal(cell) for cell in row))
    Console().print(table if groups else "No errors.")


def _open_store() -> Store:
    """The bot's database, which has to be there. Raises `Misconfigured`."""
    given = environment()
    url = given.get("DATABASE_URL") or "sqlite:///bot.db"
    file = url.removeprefix("sqlite:///")
    if url.startswith("sqlite") and not Path(file).exists():
        raise Misconfigured(
            f"DATABASE_URL: there is no database at {file}; run this where the bot runs, with its settings."
        )
    read_key(given.get("JOURNAL_KEY"), file if url.startswith("sqlite") else None, make=False)
    return Store(url, journal_key=given.get("JOURNAL_KEY") or None)


def _who(operation: Operation) -> str:
    """Who may do it, in words."""
    if operation.rules:
        return "; ".join(_rule(rule, operation) for rule in operation.rules)
    if operation.method in SAFE_METHODS:
        return "everybody in the channel"
    if operation.rules is not None:
        return "everybody in the channel, by itself (approval: never)"
    asked = _rule(Rule(), operation)
    return f"by itself until data was read in the thread; then {asked}" if operation.method == "POST" else asked


def _steps(recipe: Recipe) -> str:
    """A recipe by its name, with its steps below."""
    steps = [f"{number}. {one.step_id}: {one.operation.name}" for number, one in enumerate(recipe.steps, start=1)]
    return "\n".join([f"{RUN} {recipe.workflow_id}", *steps])


def _who_ends(recipe: Recipe) -> str:
    """Who decides about a recipe: its last step alone may ask. Behind a read a POST asks, unless its rule is never."""
    last = recipe.steps[-1].operation
    asks = last.method == "POST" and last.rules is None and len(recipe.steps) > 1
    return _rule(Rule(), last) if asks else _who(last)


def _rule(rule: Rule, operation: Operation) -> str:
    names = " or ".join(one for one in rule.approvers if not (one == ASKER and rule.not_asker))
    parts = [f"waits for {names}" + (", never the asker" if rule.not_asker else "")]
    parts += [f"{rule.quorum} votes"] if rule.quorum > 1 else []
    parts += [f"if {json.dumps(rule.when)}"] if rule.when is not None else []
    return ", ".join([*parts, f"at most {(rule.expires or operation.expires) / 60:g} min"])


def read_catalog(path: str) -> Catalog:
    """The catalog in a file. Raises `Misconfigured`."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise Misconfigured(f"APIS_FILE: cannot read {path}: {error.strerror}.") from None
    except UnicodeError:
        raise Misconfigured(f"APIS_FILE: {path} is not UTF-8.") from None
    return load_catalog(text, environment(), source=path)


class _told:
    """Ends the program with a `Misconfigured`'s words instead of a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Misconfigured):
            click.echo(str(error), err=True)
            raise SystemExit(2)


def serve() -> None:
    """Serves until SIGTERM or Ctrl-C; then ends within ten seconds, every thread at a safe point."""
    set_up_logs()
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with _told():
        settings = load_settings()
        catalog = read_catalog(settings.apis_file)
        hide_in_logs([*settings.secrets, *secrets_of(catalog)])
        key = settings.journal_key
        store = Store(settings.database_url, journal_key=key.get_secret_value() if key else None)
        store.lock(stop)
        app = create_app(settings, catalog, store)
        server = _listen(app, settings)
    bot: Bot = app.extensions["bot"]
    bot.start()
    threading.Thread(target=server.run, name="http", daemon=True).start()
    log.info(
        "serving",
        host=settings.host,
        port=server.effective_port,
        operations=len(catalog.operations),
        channels=settings.channels,
    )
    threading.Thread(target=_check_groups, args=(bot.web, catalog), name="groups", daemon=True).start()
    while not stop.wait(_CHECK_LOCK):
        if not store.still_alone():
            log.critical("the database's lock is lost; ending, so that only one process works on it")
            os._exit(1)
    log.info("stopping")
    server.close()
    bot.stop()
    log.info("stopped")
    sys.stderr.flush()
    os._exit(0)  # what still runs is in the middle of a call and safe to leave: a start finds it in the store


def _check_groups(web: SlackWeb, catalog: Catalog) -> None:
    """Has groups that Slack does not know logged; in a thread of its own, since Slack may take its time."""
    web.check_groups(_approvers(catalog))


def _approvers(catalog: Catalog) -> list[str]:
    """Whom the catalog names, for an operation or for a channel."""
    of_channels = [rule for channel in catalog.channels.values() for rule in channel.rules]
    rules = [*of_channels, *(rule for operation in catalog.operations for rule in operation.rules or ())]
    return [one for rule in rules for one in rule.approvers]


def _listen(app: Flask, settings: Settings) -> Any:
    try:
        return create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=8,
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
