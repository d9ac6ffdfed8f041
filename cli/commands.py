"""The command line beside serving, and its door to the terminal: check, import, schema, journal, errors. Backups: backups.py; people's
tokens: tokens.py."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import click
from rich.markup import escape
from rich.table import Table

from base.json_text import dumps
from base.logging_setup import set_up_logs
from base.moments import read_moment
from base.nearest import did_you_mean
from base.settings import Misconfigured, Settings, environment, load_settings, load_sign_in_settings
from base.visible import visible
from catalog.askers import ALL, Circle
from catalog.catalog import RUN, Api, Catalog, Operation, Recipe, load_catalog
from catalog.condition_gaps import gaps
from catalog.credentials import secrets_of
from catalog.hidden_places import further_places
from catalog.importer import fetching
from catalog.importer.openapi import Choice
from catalog.json_schema import schema_text
from catalog.rules import ASKER, SAFE_METHODS, Rule
from cli import backups, tokens
from cli.shared import check_named_files, on_terminal, open_store, plain_errors, show, table_of, text_of, verify
from gate.condition_trials import trials
from gate.policy import Verdict
from identity.checks import called_with, untimely
from identity.connecting import check_lead
from identity.needs import asks_for_account
from identity.sign_in_servers import SignInServers
from identity.token_box import check_keys
from model import server_check
from model.chat import model_of
from slack_io import app_check
from slack_io.slack_app import scopes_for
from slack_io.web_api import app_web_of, web_of
from store.journal import reports
from store.journal.hash_chain import ChainedEntry
from store.journal.journal import Journal, Span
from store.journal.kinds import KINDS
from store.store import Store

_WIDE = 1_000  # characters of a line that goes into a file or a pipe


@click.command(short_help="Checks the catalog, and lists its operations and who may do what.")
@click.argument("file", required=False)
@click.option(
    "--no-env",
    is_flag=True,
    help="Don't look up the catalog's variables: for a machine that has none of them, for example CI.",
)
@click.option(
    "--slack",
    is_flag=True,
    help="Also check with Slack: tokens, scopes, channels, groups; prints what to fix, and exits 1 if anything is wrong.",
)
@click.option(
    "--model",
    is_flag=True,
    help="Also check with the model server: what works and what to set; exits 1 if no turn can be finished.",
)
def check(*, file: str | None, no_env: bool, slack: bool, model: bool) -> None:
    """Checks the catalog (FILE, else APIS_FILE) and lists its operations and who may do what."""
    for option, is_given in (("--slack", slack), ("--model", model)):
        if is_given and no_env:
            raise click.UsageError(f"{option} needs the environment; leave --no-env out.")
    with plain_errors():
        given = {} if no_env else environment()
        path = file or given.get("APIS_FILE") or "apis.yaml"
        text = text_of(path, "FILE" if file else "APIS_FILE")
        catalog = load_catalog(text, None if no_env else given, source=path)
        if not no_env:
            check_named_files(catalog)
            _check_sign_ins(catalog)
        settings = load_settings() if slack or model else None
    for api in catalog.apis:
        show(_listing(catalog, api))
    for line in (line for api in catalog.apis for line in _limits(catalog, api)):
        click.echo(f"{line}.")
    for api in catalog.apis:
        click.echo(f"{api.name} is called with {called_with(api)}.")
    for api in catalog.apis:
        for line in further_places(catalog, api):
            click.echo(f"Hidden by its name ({api.name}): {line}.")
    warnings = _tell_conditions(catalog) + ([] if no_env else _tell_certificates(catalog))
    warned = f", {len(warnings)} warning{'s' if len(warnings) > 1 else ''}" if warnings else ""
    click.echo(f"{_counted(catalog)}, no mistakes found{warned}.")
    if settings is not None:
        codes = [_check_slack(settings, catalog)] if slack else []
        codes += [_check_model(settings, catalog)] if model else []
        raise SystemExit(max(codes))


def _check_sign_ins(catalog: Catalog) -> None:
    """Whether people could connect the accounts that a catalog asks for, with the settings as they are. Raises `Misconfigured`."""
    if any(asks_for_account(api) for api in catalog.apis):
        set_up_logs()
        settings = load_sign_in_settings()
        check_keys(catalog, settings.token_keys)
        check_lead(catalog, SignInServers(time.time, settings.way_out), settings.public_url)


def _listing(catalog: Catalog, api: Api) -> Table:
    """What may be called of an API, and who may."""
    table = table_of("operation", "what it does", "who", title=f"{api.name} at {api.base_url}")
    for operation in catalog.operations:
        if operation.api is api:
            table.add_row(*(escape(cell) for cell in (operation.name, operation.description, _who(operation))))
    for recipe in catalog.recipes:
        if recipe.api is api:
            table.add_row(*(escape(cell) for cell in (_steps(recipe), recipe.description, _who_ends(recipe))))
    return table


def _counted(catalog: Catalog) -> str:
    off = f" ({catalog.switched_off} more switched off)" if catalog.switched_off else ""
    several = "s" if len(catalog.recipes) > 1 else ""
    recipes = f" and {len(catalog.recipes)} recipe{several}" if catalog.recipes else ""
    return f"{len(catalog.operations)} operation{'s' if len(catalog.operations) != 1 else ''}{off}{recipes}"


def _tell_conditions(catalog: Catalog) -> list[str]:
    """Tells which calls fall under which of the rules with conditions, and where such a rule can be missed; gives these warnings."""
    table = table_of("operation", "a call with", "who", title="Rules with conditions")
    warnings = []
    for where, operation in _ruled(catalog):
        name = f"{operation.name}{where}"
        for one in trials(operation):
            table.add_row(*map(escape, (name, one.call, _decides(one.verdict, operation))))
        warnings += [f"{name}: {gap}." for gap in gaps(operation)]
    if table.row_count:
        show(table)
    for warning in warnings:
        click.echo(f"Warning: {warning}")
    return warnings


def _tell_certificates(catalog: Catalog) -> list[str]:
    """Tells which of the bot's own certificates do not hold now."""
    warnings = untimely(catalog, datetime.now(UTC))
    for warning in warnings:
        click.echo(f"Warning: {warning}")
    return warnings


def _ruled(catalog: Catalog) -> Iterator[tuple[str, Operation]]:
    """The operations whose rules have conditions, as they are everywhere, and as they are in a channel that adds such a rule."""
    yield from (("", one) for one in catalog.operations if _is_conditional(one.rules or ()))
    for name, channel in catalog.channels.items():
        if _is_conditional(channel.rules):
            there = catalog.narrowed(channel).operations
            yield from ((f" in {name}", one) for one in there if one.method not in SAFE_METHODS)


def _is_conditional(rules: Iterable[Rule]) -> bool:
    return any(rule.when is not None for rule in rules)


def _decides(verdict: Verdict | None, operation: Operation) -> str:
    """Who decides about a call, in words; a condition that cannot say is told as that."""
    if verdict is None:
        return "nobody: it does not match the schema and is returned to the model"
    if verdict.way != "ask":
        until = (
            " until data has been read in the thread" if operation.method == "POST" and operation.rules != () else ""
        )
        return f"without approval{until}"
    not_told = " (the strictest rule: it is unclear which one applies)" if verdict.why else ""
    return _rule(replace(verdict.rule, when=None), operation) + not_told


def _check_slack(settings: Settings, catalog: Catalog) -> int:
    """Tells what is wrong between the settings and Slack, gives the exit code."""
    web, socket = web_of(settings, explain=False), app_web_of(settings, explain=False)
    wrong = app_check.check_app(web, socket, settings.channels, catalog.approvers, catalog.askers, scopes_for(catalog))
    for one in wrong:
        click.echo(f"- {one}.")
    problems = f"{len(wrong)} problem{'s' if len(wrong) > 1 else ''}, see above" if wrong else "no problems"
    click.echo(f"Slack: {problems}.")
    return 1 if wrong else 0


def _check_model(settings: Settings, catalog: Catalog) -> int:
    """Tells what works with the model server and what to set, gives the exit code: 1 where no turn can be finished."""
    set_up_logs(only_faults=True)
    with plain_errors():
        server = model_of(settings, lambda: (*settings.secrets, *secrets_of(catalog)))
    name, tokens = settings.openai_model, settings.history_tokens
    done = server_check.check_server(server, catalog, name, history_tokens=tokens, budget=settings.prompt_budget)
    click.echo(f"Model {_plain(name)} at {_plain(_address(settings.openai_base_url))}:")
    for one in done.lines:
        click.echo(f"- {_plain(one)}.")
    for one in dict.fromkeys(done.to_set):
        click.echo(f"To do: {_plain(one)}.")
    click.echo(f"Model: {'turns can be finished.' if done.is_usable else 'no turn can be finished, see above.'}")
    return 0 if done.is_usable else 1


def _address(url: str | None) -> str:
    """A server's address without what may be secret in it."""
    parts = urlsplit(url or "https://api.openai.com/v1")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _plain(text: str) -> str:
    """What a server said, as a terminal may have it."""
    return visible(text).rstrip(".")


@click.command("import", short_help="Makes a catalog from an API description, or renews one.")
@click.argument("source", metavar="FILE_OR_URL")
@click.option("--into", help="Import into this catalog: keeps what was changed there by hand and lists what is new.")
@click.option("--only", multiple=True, help="Only operations that match, for example 'GET /users*'; may be repeated.")
@click.option("--tag", "tags", multiple=True, help="Only operations with this tag; may be repeated.")
@click.option("--read-only", is_flag=True, help="No writes at all.")
@click.option(
    "--writes", is_flag=True, help="Switch new writes on; without it each is off until you set enabled: true."
)
@click.option("--base-url", default="", help="The API's address, if the description has none or a wrong one.")
@click.option("--name", default="", help="The API's name, in place of the description's title.")
@click.option(
    "--header", "headers", multiple=True, help="A header for the URL's server, for example 'Authorization: Bearer ...'."
)
def import_(source: str, into: str | None, only: tuple[str, ...], tags: tuple[str, ...], **rest: Any) -> None:
    """Makes a catalog from an API description (OpenAPI 3, Swagger 2), on standard output, or updates one (--into)."""
    with plain_errors():
        headers = tuple(fetching.header(one) for one in rest.pop("headers"))
        order = fetching.Order(source, Choice(only, tags, rest.pop("read_only")), headers=headers, **rest)
        done = fetching.renew(order, into) if into and Path(into).exists() else fetching.make(order, into)
    for line in done.report:
        click.echo(line, err=True)
    if not into:
        click.echo(done.text, nl=False)


@click.command()
def schema() -> None:
    """Prints the JSON Schema of apis.yaml, for editors."""
    click.echo(schema_text(), nl=False)


@click.command(short_help="Lists, exports or verifies the journal.")
@click.option("--thread", help="Only this thread (team/channel/ts).")
@click.option("--turn", help="Only this turn.")
@click.option("--kind", help="Only this kind of entry: question, model call, read, proposed, approve, ...")
@click.option("--by", help="Only what this person (U...) asked, decided or tried.")
@click.option(
    "--since", metavar="WHEN", help="Only entries since then: 2026-11-30, 2026-11-30T14:00, or how long ago: 2h, 3d."
)
@click.option("--until", metavar="WHEN", help="Only entries before then; a date alone means the end of that day.")
@click.option("--last", type=click.IntRange(min=1), help="Only the last N entries.")
@click.option("--export", "form", type=click.Choice(["jsonl", "csv"]), help="Print in this format, for other programs.")
@click.option(
    "--verify",
    "verifies",
    is_flag=True,
    help="Verify the chain, or the part within --since and --until; if it is broken, name the first broken entry and exit 1.",
)
@click.option("--head", help="With --verify: NUMBER:HASH from the log, to detect a journal that was cut short.")
@click.option("--rekey", is_flag=True, help="Start a new chain under the current key, after the old key was lost.")
def journal(
    *,
    thread: str | None,
    turn: str | None,
    kind: str | None,
    by: str | None,
    since: str | None,
    until: str | None,
    last: int | None,
    form: Literal["jsonl", "csv"] | None,
    verifies: bool,
    head: str | None,
    rekey: bool,
) -> None:
    """Lists, exports or verifies the journal, the record of what happened."""
    with plain_errors():
        store = open_store(makes_key=rekey)
        if rekey:
            with closing(store):
                _begin_anew(store)
            return
        span = _span(since, until)
        _check_kind(store.journal, kind)
    if verifies:
        raise SystemExit(verify(store.journal, head, span))
    where = {name: value for name, value in (("thread", thread), ("turn", turn), ("kind", kind)) if value}
    lines: Iterable[ChainedEntry] = (
        line for line in store.journal.lines(0, span, **where) if by is None or reports.person_of(line) == by
    )
    lines = deque(lines, maxlen=last) if last else lines
    if form is not None:
        for text in reports.export(lines, form):
            click.echo(text)
        return
    table = table_of("no.", "when", "kind", "who", "what")
    for line in lines:
        words = store.words_of(line.turn) if line.kind == "question" else None
        table.add_row(
            str(line.number),
            reports.moment(line.at),
            on_terminal(line.kind),
            on_terminal(reports.person_of(line)),
            on_terminal(words or reports.summary(line)),
        )
    if table.row_count:
        show(table)
    else:
        click.echo("No entries.")


def _span(since: str | None, until: str | None) -> Span:
    """What --since and --until say. Raises `Misconfigured`."""
    now, ends = time.time(), {}
    for name, given in (("since", since), ("until", until)):
        try:
            ends[name] = None if given is None else read_moment(given, now, to_its_end=name == "until")
        except ValueError as error:
            raise Misconfigured(f"--{name}: {error}.") from None
    span = Span(ends["since"], ends["until"])
    if span.since is not None and span.until is not None and span.since >= span.until:
        raise Misconfigured("--since is not before --until, so there is nothing between them.")
    return span


def _check_kind(chain: Journal, kind: str | None) -> None:
    """Raises `Misconfigured` where there is no such kind of entry, and never was (an earlier version may have had others)."""
    if kind is not None and kind not in KINDS and next(chain.lines(kind=kind), None) is None:
        kinds = ", ".join(sorted(KINDS))
        raise Misconfigured(
            f"--kind: there is no kind '{kind}'{did_you_mean(kind, KINDS)}. Available: {kinds}.".replace("?.", "?")
        )


def _begin_anew(store: Store) -> None:
    """Begins a new chain. Raises `Misconfigured` where that cannot be, or there is no need."""
    if not store.lock_at_once():
        raise Misconfigured("The bot is running on this database. Stop it first, and start it again afterwards.")
    if store.journal.verify()[0] is None and store.journal.missing() is None:
        raise Misconfigured("JOURNAL_KEY matches the journal, and the journal is intact: no new chain is needed.")
    first = store.begin_journal_anew()
    click.echo(f"A new chain starts at entry {first.number}, which says so. Head: {first}")
    click.echo(
        "Earlier entries can only be checked with their own key. Requests that wait are withdrawn at the next start."
    )


@click.command(short_help="Groups the model's bad calls and the API's errors.")
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="How many days to look back.",
)
def errors(days: float) -> None:
    """Groups the model's bad calls and the API's errors, to show which descriptions to improve. Adds up the model's tokens."""
    with plain_errors():
        store = open_store()
    since = time.time() - days * 86_400
    groups = reports.repeated(store.journal.lines(), since)
    sums = reports.totals(store.journal.lines(), since)
    table = table_of("count", "operation", "reason", "latest example", "question")
    for row in reports.error_rows(groups, store.words_of):
        table.add_row(*(on_terminal(cell) for cell in row))
    if groups:
        show(table)
    else:
        click.echo("No errors.")
    if sums["calls"]:
        click.echo(reports.totals_told(sums))


def _who(operation: Operation) -> str:
    """Who may do it, in words."""
    asks = "" if operation.askers == ALL else f"may be asked for by {_circle(operation.askers)}"
    if operation.method in SAFE_METHODS and not operation.rules:
        return asks or "everybody in the channel"
    return ": ".join(filter(None, (asks, _decided(operation))))


def _decided(operation: Operation) -> str:
    """Who decides about a call that may have to wait, in words."""
    if operation.rules:
        return "; ".join(_rule(rule, operation) for rule in operation.rules)
    if operation.rules is not None:
        return "everybody in the channel, without approval (approval: never)"
    asked = _rule(Rule(), operation)
    return (
        f"without approval until data has been read in the thread; then {asked}"
        if operation.method == "POST"
        else asked
    )


def _circle(circle: Circle) -> str:
    return " or ".join(sorted(circle))


def _limits(catalog: Catalog, api: Api) -> Iterator[str]:
    """Who may ask for what of an API, where not everybody may for all of it: each circle, with how many operations it is for."""
    circles = Counter(one.askers for one in catalog.operations if one.api is api)
    if circles.keys() - {ALL}:
        several = (f"{_circle(one)} for {count} operation{'s' if count > 1 else ''}" for one, count in circles.items())
        yield f"Who may ask ({api.name}): {'; '.join(several)}"


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
    parts += [f"if {dumps(rule.when)}"] if rule.when is not None else []
    parts += ["shared with the thread"] if rule.shared else []
    return ", ".join([*parts, f"at most {(rule.expires or operation.expires) / 60:g} min"])


COMMANDS: tuple[click.Command, ...] = (
    check,
    import_,
    schema,
    journal,
    errors,
    backups.backup,
    backups.restore,
    tokens.tokens,
)
