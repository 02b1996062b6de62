"""Break everything around the service under traffic, one thing at a time. No request may fail, be answered wrongly or
be lost.

Exits with 0 if every row held, with 1 if one failed, and with 2 if one could not run.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from random import randrange
from time import monotonic
from typing import Annotated

import typer

from loadtest.errors import LoadTestError
from loadtest.faults.drill import Pace, run_row
from loadtest.faults.findings import Allowance
from loadtest.faults.page import write_page
from loadtest.faults.report import make_report, row_lines, write_report
from loadtest.faults.rows import chosen
from loadtest.faults.schema import RowReport
from loadtest.faults.stage import Kept
from loadtest.promotion.bundles import ids_in, kept_bundles, lay_out

EXIT_FAILED, EXIT_NOT_RUN = 1, 2
SHORT = Pace(
    before_seconds=2.0, at_most_seconds=6.0, allowance=Allowance(p99_ratio=10.0, unexplained_share=0.1)
)
"""The pace of the short drill. Seconds suffice to test survival, but not speed on a machine that builds other things
as well, so its allowances are wide."""

app = typer.Typer(help=__doc__, add_completion=False)


@app.command(help=__doc__)
def main(
    only: Annotated[
        str,
        typer.Option(help="Rows to run, separated by commas; redis-* selects all that begin with redis-."),
    ] = "",
    short: Annotated[
        bool, typer.Option("--short", help="Run each kind of fault once, for a few seconds.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Random seed; default: a new one.")] = None,
    bundles: Annotated[Path, typer.Option(help="Folder in which generated bundles are kept.")] = Path(
        "data/faults"
    ),
    items: Annotated[int, typer.Option(min=200, help="Number of items per bundle.")] = 1000,
    people: Annotated[int, typer.Option(min=12, help="Number of people per bundle.")] = 4000,
    out: Annotated[Path, typer.Option(help="File for the report; an HTML page is written beside it.")] = Path(
        "reports/faults.json"
    ),
    names: Annotated[
        bool, typer.Option("--list", help="List the rows that would run, and run none.")
    ] = False,
) -> None:
    """Run the rows, write the report and the page, and set the exit code."""
    rows, started_at = chosen(only, is_short=short), monotonic()
    if names:
        for row in rows:
            typer.echo(f"{row.name:<26} {row.done} {row.holds}")
        return
    pace = replace(SHORT if short else Pace(), seed=randrange(10**6) if seed is None else seed)
    kept = _kept(bundles, items, people, max(row.setting.n_bundles for row in rows))
    _say(f"seed {pace.seed}, {len(rows)} rows; each begins with a service and a Redis of its own")
    done: list[RowReport] = []
    for number, row in enumerate(rows):
        _say(f"{number + 1} of {len(rows)}: {row.name}. {row.done}")
        done.append(run_row(row, pace, kept))
        for line in row_lines(done[-1]):
            _say(line)
        report = make_report(pace, kept, done, monotonic() - started_at, is_short=short)
        write_report(report, out)
        page = write_page(report, out)
    _say(f"{report.held} rows held, {report.failed} failed, {report.not_run} could not run; {out}, {page}")
    raise typer.Exit(EXIT_FAILED if report.failed else EXIT_NOT_RUN if report.not_run else 0)


def _kept(folder: Path, n_items: int, n_people: int, n_bundles: int) -> Kept:
    """Make at least one bundle, because an empty store gets its first one later."""
    bundles = kept_bundles(folder, n_items, n_people, max(1, n_bundles), _say)
    beside = bundles[0].parent / ".ids"
    if not beside.exists():
        lay_out(bundles[:1], beside, spoils_last=False)
    people, items = ids_in(beside)
    return Kept(bundles, people, items)


def _say(line: str) -> None:
    typer.echo(f"drill-faults: {line}")


def _interrupted(number: int, frame: object) -> None:
    """Interrupt as Ctrl-C does, so that nothing is left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        app()
    except LoadTestError as error:
        _say(f"error: {error}")
        sys.exit(EXIT_NOT_RUN)
