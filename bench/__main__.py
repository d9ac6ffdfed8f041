"""`python -m bench` (`make bench`): measures and prints each figure beside its aim. `python -m bench ack turn` measures only those.

API descriptions are too large to be kept here: `--spec stripe.yaml --spec asana.yaml` imports these as well, and asks about them;
`--github FILE` asks about GitHub's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from bench import ack, finding, imports, memory, pending, prompt, turn
from bench.stage import Stage, stage


@dataclass(frozen=True)
class Setup:
    """What is measured: the servers, and descriptions that the user has."""

    on: Stage
    specs: tuple[Path, ...]
    github: Path | None


def show_ack(setup: Setup) -> None:
    even, burst = ack.measure(setup.on)
    click.echo("(a) POST /slack/events to its 200         p50       p99       worst     aim: p99 under")
    for name, waited, aim in (
        (f"{ack.RATE} a second for {ack.SECONDS} s", even, "50 ms"),
        (f"{ack.BURST} at once", burst, "1000 ms"),
    ):
        figures = "".join(f"{f'{seconds * 1000:.1f} ms':<10}" for seconds in (waited.p50, waited.p99, waited.worst))
        failed = f"   ({waited.failed} of {waited.count} without a 200!)" if waited.failed else ""
        click.echo(f"    {name:<38}{figures}{aim}{failed}")


def show_turn(setup: Setup) -> None:
    took = turn.measure(setup.on)
    click.echo(f"(b) A turn of three API calls, median of {took.runs} runs each, model and API answering at once")
    click.echo(f"    the bot                               {took.bot * 1000:.1f} ms")
    click.echo(f"    a bare loop in memory                 {took.bare * 1000:.1f} ms")
    click.echo(f"    ratio                                 {took.ratio:.2f}      aim: under 1.5")


def show_memory(setup: Setup) -> None:
    empty, full = memory.measure(setup.on)
    click.echo(f"(c) Resident memory                       started   after {memory.TURNS} turns")
    for name, seen in (("no resting thread", empty), (f"{memory.THREADS:,} resting threads", full)):
        click.echo(f"    {name:<38}{f'{seen.started:.1f} MB':<10}{seen.worked:.1f} MB")
    click.echo(
        f"    growth by resting threads             {full.started - empty.started:+.1f} MB   {full.worked - empty.worked:+.1f} MB"
        "   aim: none"
    )


def show_imports(setup: Setup) -> None:
    click.echo("(d) python bot.py import                  operations   took      memory    loading   aim: 30 s, 500 MB")
    for one in imports.measure(setup.on.directory, setup.specs):
        if isinstance(one, str):
            click.echo(f"    {one}")
            continue
        took, memory, loading = f"{one.seconds:.1f} s", f"{one.megabytes:.0f} MB", f"{one.loading:.1f} s"
        click.echo(f"    {one.name[:36]:<38}{one.operations:<13,}{took:<10}{memory:<10}{loading}")
    if not setup.specs:
        click.echo("    others skipped: name their files with --spec")


def show_prompt(setup: Setup) -> None:
    of = prompt.sample()
    click.echo("(e) The first request's tokens (o200k), and how much of what a question needs is in it")
    click.echo(f"    the sample's five endpoints, as JSON with a tool     {of.entries}")
    click.echo(
        f"    as lines, with our tool                              {of.lines}       aim: under {of.entries * 0.6:.0f}"
    )
    click.echo(
        f"      that is                                            {of.lines / of.entries:.0%}       aim: at most 60%"
    )
    click.echo(f"      with read_result, which the other form has not     {of.tools}")
    click.echo(f"    the whole first request, rules and all               {of.whole}")
    apis = prompt.apis(setup.specs, setup.github or prompt.GITHUB)
    _show_rows(apis)
    _show_hostile(apis)
    for name in ("github", *prompt.KNOWN):
        if name not in apis:
            click.echo(
                f"    without {name}: name its description's file with {'--github' if name == 'github' else '--spec'}"
            )
    if "github" not in apis:
        click.echo(f"    (npm install --no-save {prompt.PACKAGE} brings GitHub's)")


def _show_rows(apis: Mapping[str, finding.Json]) -> None:
    """One line for each row; before: what the last release but this one showed."""
    click.echo(
        "    recall, averaged over questions    questions   in the first 20         in the first request   tokens  CPU ms"
    )
    click.echo(
        "    (* nothing was tuned to these)     operations  BM25  before  now       before  now   lines    most    p50, most"
    )
    before = json.loads((finding.DATA / "before.json").read_text("utf-8"))
    for row in finding.rows(apis):
        seen, then = finding.measure(row), before.get(row.name, ("", ""))
        count = f"{row.name:<35}{len(row.asked):>3} {len(row.catalog.operations):>6,}"
        recall = f"{seen.plain:.2f}  {then[0]:<6}  {seen.ranked:.2f}      {then[1]:<6}  {seen.visible:.3f} {seen.lines:>4.0f}"
        cost = f"{seen.tokens:>6}    {seen.milliseconds[0]:.0f}, {seen.milliseconds[1]:.0f}"
        click.echo(f"    {count}  {recall}    {cost}")


def _show_hostile(apis: Mapping[str, finding.Json]) -> None:
    click.echo(
        "    bad input                                            tokens    CPU ms    aim: at most 4000, under 50"
    )
    for name, tokens, milliseconds in finding.hostile(apis):
        click.echo(f"    {name:<53}{tokens:<10}{milliseconds:.0f}")


def show_pending(setup: Setup) -> None:
    none, many = pending.measure(setup.on)
    click.echo("(f) A turn while others' requests wait for people, median")
    click.echo(f"    none                                  {none * 1000:.1f} ms")
    click.echo(f"    {pending.REQUESTS:,}                                {many * 1000:.1f} ms")
    click.echo(f"    ratio                                 {many / none:.2f}      aim: under 1.2")


PARTS: dict[str, Callable[[Setup], None]] = {
    "ack": show_ack,
    "turn": show_turn,
    "memory": show_memory,
    "imports": show_imports,
    "prompt": show_prompt,
    "pending": show_pending,
}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option(
    "--spec",
    "specs",
    multiple=True,
    type=_FILE,
    help="An API description to import, and to ask about if bench/data has questions.",
)
@click.option("--github", type=_FILE, help="GitHub's OpenAPI description, for the part prompt.")
def main(parts: tuple[str, ...], specs: tuple[Path, ...], github: Path | None) -> None:
    """Measures PARTS, or everything."""
    for part in parts or PARTS:
        with stage() as on:
            PARTS[part](Setup(on, specs, github))


if __name__ == "__main__":
    main(prog_name="python -m bench")
