"""Make faults and wait for Slack, email and SMS.

Exits with 0 if all were notified, with 1 if not, and with 2 if the drill could not run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from loadtest.alerts.drill import run
from loadtest.alerts.stage import Plan
from loadtest.errors import LoadTestError

app = typer.Typer(help=__doc__, add_completion=False)


@app.command(help=__doc__)
def main(
    store: Annotated[Path, typer.Option(help="Folder of bundles; a copy of its current bundle is served.")],
    shop: Annotated[
        Path, typer.Option(help="Folder of the generated shop on which that bundle was trained.")
    ],
    fault: Annotated[list[str] | None, typer.Option(help="Make only this fault; may be repeated.")] = None,
    speed_up: Annotated[float, typer.Option(min=1, help="Factor by which every duration is divided.")] = 60.0,
    rate: Annotated[float, typer.Option(min=1, help="Requests per second.")] = 50.0,
    out: Annotated[Path, typer.Option(help="File for the report; logs are written beside it.")] = Path(
        "reports/alerts.json"
    ),
) -> None:
    """Run the drill, write the report and set the exit code."""
    plan = Plan(store, shop, faults=tuple(fault or ()), speed_up=speed_up, rate=rate)
    report = run(plan, out.parent, typer.echo)
    out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    typer.echo(f"drill-alerts: {'met' if report['met'] else 'NOT met'}; full report in {out}")
    raise typer.Exit(0 if report["met"] else 1)


if __name__ == "__main__":
    try:
        app()
    except LoadTestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
