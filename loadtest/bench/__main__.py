"""Measure the cost and the latency of an answer, compared with an echo server and other stacks."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from loadtest.bench.bundles import parse_size
from loadtest.bench.environments import PEERS
from loadtest.bench.plan import Plan
from loadtest.bench.report import summary_lines, write_report
from loadtest.bench.run import Run
from loadtest.errors import LoadTestError

EXIT_MISSED, EXIT_FAILED = 1, 2

app = typer.Typer(help=__doc__, add_completion=False)


@app.command(help=__doc__)
def main(
    sizes: Annotated[
        str, typer.Option(help="Numbers of items in the catalogue, separated by commas.")
    ] = "10k,100k,1m",
    people: Annotated[str, typer.Option(help="Number of people in each of these bundles.")] = "1m",
    people_sweep: Annotated[
        str, typer.Option(help="Numbers of people to measure with the largest catalogue; '' for none.")
    ] = "10k,1m,10m",
    store: Annotated[
        Path | None, typer.Option(help="Measure only this store, without generated bundles.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds whose median is reported.")] = 5,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Also measure other stacks.")] = True,
    kernel: Annotated[
        str, typer.Option(help="Instruction set for searches, as in STILLROOM_KERNEL.")
    ] = "best",
    quick: Annotated[
        bool, typer.Option("--quick", help="Run short rounds, to check that everything works.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if a limit is missed.")] = False,
    out: Annotated[Path, typer.Option(help="File for the report; an HTML page is written beside it.")] = Path(
        "reports/bench.json"
    ),
) -> None:
    """Run the bench, write the report and print it. Exits with 2 if a part failed to run."""
    plan = Plan(
        sizes=_sizes(sizes),
        n_people=parse_size(people),
        people_sweep=_sizes(people_sweep),
        store=store,
        n_rounds=rounds,
        peers=PEERS if peers else (),
        kernel=kernel,
        logs=out.parent / "bench-logs",
    )
    plan = plan.quick() if quick else plan
    started_at = monotonic()
    typer.echo(
        f"bench: about {plan.estimated_minutes():.0f} minutes, and what bundles and environments still to be "
        f"made take; server on core {plan.cores[0]}, generator on core {plan.cores[1]}"
    )
    report = Run(
        plan, lambda line: typer.echo(f"bench: {(monotonic() - started_at) / 60:5.1f} min  {line}")
    ).measure()
    page = write_report(report, out)
    for line in summary_lines(report):
        typer.echo(line)
    typer.echo(
        f"bench: {(monotonic() - started_at) / 60:.0f} minutes; full report in {out}, HTML page in {page}"
    )
    if report["errors"]:
        raise typer.Exit(EXIT_FAILED)
    if check and not all(each["is_met"] for each in report["verdicts"]):
        raise typer.Exit(EXIT_MISSED)


def _sizes(words: str) -> tuple[int, ...]:
    return tuple(parse_size(each) for each in words.split(",") if each)


if __name__ == "__main__":
    # SIGTERM ends the run like an exception, so that no server is left behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except LoadTestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
