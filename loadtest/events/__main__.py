"""Kill Redis, workers and the service while events arrive; each accepted event must be exported exactly once."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from random import randrange
from typing import Annotated

import typer

from loadtest.errors import LoadTestError
from loadtest.events.plan import Plan
from loadtest.events.run import Drill, report, write_report
from loadtest.redis_server import DurableRedis
from loadtest.servers import free_port
from loadtest.service_processes import Service

N_WORKERS = 2
SETTINGS = {"STILLROOM_DRAIN_SECONDS": "0", "STILLROOM_LOG_LEVEL": "warning"}

app = typer.Typer(help=__doc__, add_completion=False)


@app.command(help=__doc__)
def main(
    store: Annotated[Path, typer.Option(help="Folder of bundles, one of which is promoted.")],
    seconds: Annotated[float, typer.Option(min=5, help="Seconds during which events are sent.")] = 60.0,
    rate: Annotated[float, typer.Option(min=10, help="Events per second.")] = 500.0,
    seed: Annotated[
        int | None, typer.Option(help="Random seed of what is sent and broken; default: a new one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the report.")] = Path("reports/events.json"),
) -> None:
    """Run the drill, write the report and set the exit code."""
    plan = Plan(randrange(10**6) if seed is None else seed, seconds, rate)
    typer.echo(f"drill-events: seed {plan.seed}, {rate:g} events a second for {seconds:g} s")
    with tempfile.TemporaryDirectory(prefix="stillroom-drill-") as name:
        folder = Path(name)
        with (
            DurableRedis(folder / "redis", folder / "redis.log") as redis,
            Service(
                free_port(),
                folder / "service.log",
                {
                    **SETTINGS,
                    "STILLROOM_STORE": str(store.resolve()),
                    "STILLROOM_SPOOL": str(folder / "spool"),
                    "STILLROOM_REDIS_URL": redis.url,
                },
                n_workers=N_WORKERS,
            ) as service,
        ):
            drill = Drill(plan, redis, service, folder / "export")
            sent = asyncio.run(drill.run())
        found = report(plan, sent, drill.out, drill.happened)
    write_report(found, out)
    figures = ", ".join(f"{name} {found[name]:,}" for name in ("accepted", "exported", "lost", "duplicated"))
    typer.echo(f"drill-events: {figures}; full report in {out}")
    sys.exit(0 if found["met"] else 1)


if __name__ == "__main__":
    try:
        app()
    except LoadTestError as error:
        typer.echo(f"drill-events: {error}", err=True)
        sys.exit(2)
