"""Promote, refuse and roll back bundles under load. No answer may fail, mix two bundles or be much slower."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from loadtest.bench.rounds import run_on_uvloop
from loadtest.errors import LoadTestError
from loadtest.promotion.bundles import kept_bundles, lay_out
from loadtest.promotion.drill import N_GOOD, N_WORKERS, Drill, Plan
from loadtest.promotion.operator import Operator, new_key
from loadtest.promotion.questions import draw_questions, heavy_question
from loadtest.promotion.report import make_report, write_report
from loadtest.promotion.traffic import Target
from loadtest.servers import free_port
from loadtest.service_processes import Service

app = typer.Typer(help=__doc__, add_completion=False)


@app.command(help=__doc__)
def main(
    bundles: Annotated[Path, typer.Option(help="Folder in which generated bundles are kept.")] = Path(
        "data/promotion"
    ),
    items: Annotated[int, typer.Option(min=200, help="Number of items per bundle.")] = 10_000,
    people: Annotated[int, typer.Option(min=1000, help="Number of people per bundle.")] = 100_000,
    promotions: Annotated[int, typer.Option(min=1, help="Number of promotions under load.")] = 10,
    rate: Annotated[float, typer.Option(min=1, help="Requests per second.")] = 200.0,
    quiet: Annotated[float, typer.Option(min=0.5, help="Quiet seconds before each promotion.")] = 3.0,
    questions: Annotated[int, typer.Option(min=20, help="Number of different requests.")] = 400,
    seed: Annotated[int, typer.Option(help="Random seed of who asks for what.")] = 0,
    out: Annotated[Path, typer.Option(help="File for the report.")] = Path("reports/promotion.json"),
) -> None:
    """Run the drill, write the report and set the exit code."""
    plan = Plan(promotions, rate, quiet, questions, seed)
    kept = kept_bundles(
        bundles, items, people, N_GOOD + 1, lambda line: typer.echo(f"drill-promotion: {line}")
    )
    # The folder is beside the kept bundles, because the store shares their files.
    with tempfile.TemporaryDirectory(prefix=".drill-", dir=bundles) as name:
        folder = Path(name).resolve()
        store = lay_out(kept, folder / "store")
        drawn = draw_questions(store.people, store.items, plan.n_questions, seed)
        typer.echo(f"drill-promotion: {promotions} promotions at {rate:g} requests a second")
        key = new_key(folder / "keys")
        settings = {
            "STILLROOM_STORE": str(store.folder),
            "STILLROOM_SPOOL": str(folder / "spool"),
            "STILLROOM_ADMIN_KEYS_FILE": str(folder / "keys"),
            # Histories come from the bundle alone.
            "STILLROOM_REDIS_URL": "",
            "STILLROOM_EXPERIMENTS": "",
            "STILLROOM_DRAIN_SECONDS": "0",
        }
        with Service(free_port(), folder / "service.log", settings, n_workers=N_WORKERS) as service:
            target = Target(service.port, tuple(service.workers()), heavy_question(store.people))
            drill = Drill(plan, store, Operator(service.port, key), target, drawn)
            happened = run_on_uvloop(drill.run())
        report = make_report(plan, store, (items, people), happened)
    write_report(report, out)
    _say(report, out)
    sys.exit(0 if report["met"] else 1)


def _say(report: dict[str, object], out: Path) -> None:
    names = ("answers", "failed", "mixed", "p99_before_ms", "p99_during_ms", "p99_ratio")
    typer.echo(f"drill-promotion: {', '.join(f'{name} {report[name]}' for name in names)}")
    roll_back = report["roll_back"]
    assert isinstance(roll_back, dict)
    typer.echo(
        f"drill-promotion: rolled back in {roll_back['reply_ms']} ms, everywhere after {roll_back['everywhere_ms']}"
    )
    missed = report["missed"]
    assert isinstance(missed, list)
    typer.echo(
        f"drill-promotion: {'; '.join(map(str, missed)) or 'all requirements met'}; full report in {out}"
    )


if __name__ == "__main__":
    try:
        app()
    except LoadTestError as error:
        typer.echo(f"drill-promotion: {error}", err=True)
        sys.exit(2)
