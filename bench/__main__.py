"""`python -m bench` (`make bench`): measures and prints each figure beside its aim. `python -m bench ack turn` measures only those;
`python -m bench imports --spec stripe.yaml --spec github.json` (or BENCH_SPECS) imports these as well."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bench import ack, imports, memory, turn
from bench.stage import Stage, stage


def show_ack(on: Stage) -> None:
    even, burst = ack.measure(on)
    click.echo("(a) POST /slack/events to its 200         p50       p99       worst     aim: p99 under")
    for name, waited, aim in (
        (f"{ack.RATE} a second for {ack.SECONDS} s", even, "50 ms"),
        (f"{ack.BURST} at once", burst, "1000 ms"),
    ):
        figures = "".join(f"{f'{seconds * 1000:.1f} ms':<10}" for seconds in (waited.p50, waited.p99, waited.worst))
        failed = f"   ({waited.failed} of {waited.count} without a 200!)" if waited.failed else ""
        click.echo(f"    {name:<38}{figures}{aim}{failed}")


def show_turn(on: Stage) -> None:
    took = turn.measure(on)
    click.echo(f"(b) A turn of three API calls, median of {took.runs} runs each, model and API answering at once")
    click.echo(f"    the bot                               {took.bot * 1000:.1f} ms")
    click.echo(f"    a bare loop in memory                 {took.bare * 1000:.1f} ms")
    click.echo(f"    ratio                                 {took.ratio:.2f}      aim: under 1.5")


def show_memory(on: Stage) -> None:
    empty, full = memory.measure(on)
    click.echo(f"(c) Resident memory                       started   after {memory.TURNS} turns")
    for name, seen in (("no resting thread", empty), (f"{memory.THREADS:,} resting threads", full)):
        click.echo(f"    {name:<38}{f'{seen.started:.1f} MB':<10}{seen.worked:.1f} MB")
    click.echo(
        f"    growth by resting threads             {full.started - empty.started:+.1f} MB   {full.worked - empty.worked:+.1f} MB"
        "   aim: none"
    )


def show_imports(on: Stage) -> None:
    files = [Path(one) for one in os.environ.get("BENCH_SPECS", "").split(os.pathsep) if one]
    click.echo("(d) python bot.py import                  operations   took      memory    loading   aim: 30 s, 500 MB")
    for one in imports.measure(on.directory, files):
        if isinstance(one, str):
            click.echo(f"    {one}")
            continue
        took, memory, loading = f"{one.seconds:.1f} s", f"{one.megabytes:.0f} MB", f"{one.loading:.1f} s"
        click.echo(f"    {one.name[:36]:<38}{one.operations:<13,}{took:<10}{memory:<10}{loading}")
    if not files:
        click.echo("    others skipped: name their files with --spec, or in BENCH_SPECS")


PARTS = {"ack": show_ack, "turn": show_turn, "memory": show_memory, "imports": show_imports}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--spec", "specs", multiple=True, help="An API description to import, besides the made one.")
def main(parts: tuple[str, ...], specs: tuple[str, ...]) -> None:
    """Measures PARTS, or everything."""
    if specs:
        os.environ["BENCH_SPECS"] = os.pathsep.join(specs)
    for part in parts or PARTS:
        with stage() as on:
            PARTS[part](on)


if __name__ == "__main__":
    main(prog_name="python -m bench")
