"""Test an SLA under load at a constant rate. Exits with 0 if it is met, 1 if not, 2 if the test could not run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from loadtest.errors import LoadTestError
from loadtest.run import run_against, run_with_own_servers, write_report
from loadtest.verdict import Settings

app = typer.Typer(help=__doc__, add_completion=False)


@app.command(help=__doc__)
def main(
    people: Annotated[
        str, typer.Option(help="File of user ids, one per line, or a pattern such as 'user-{}:500'.")
    ],
    items: Annotated[
        str, typer.Option(help="File of item ids, one per line, or a pattern such as 'item-{}:500'.")
    ],
    rate: Annotated[float, typer.Option(min=0.1, help="Requests per second, of all users together.")] = 200.0,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the measured window in seconds.")] = 60.0,
    warmup: Annotated[
        float, typer.Option(min=0, help="Seconds of warm-up before the window, in which only failures count.")
    ] = 5.0,
    users: Annotated[
        int | None,
        typer.Option(min=1, help="Number of Locust users; default: one for each request per second."),
    ] = None,
    sla_ms: Annotated[float, typer.Option(min=0.1, help="Milliseconds that the p99 must stay below.")] = 50.0,
    seed: Annotated[int, typer.Option(help="Random seed of who asks for what.")] = 0,
    host: Annotated[
        str | None, typer.Option(help="Address to test, instead of servers started for the test.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the service that is started; default: a free one.")
    ] = None,
    kill_redis_at: Annotated[
        float | None, typer.Option(help="Second of the window at which Redis is killed.")
    ] = None,
    restart_redis_at: Annotated[
        float | None, typer.Option(help="Second of the window at which Redis is started again.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the report.")] = Path("reports/load.json"),
) -> None:
    """Run the load test, write the report and set the exit code."""
    if restart_redis_at is not None and not (kill_redis_at or seconds) < restart_redis_at < seconds:
        raise typer.BadParameter("--restart-redis-at must lie between --kill-redis-at and --seconds")
    if kill_redis_at is not None and not 0 <= kill_redis_at < seconds:
        raise typer.BadParameter("--kill-redis-at must lie within --seconds")
    if host is not None and kill_redis_at is not None:
        raise typer.BadParameter("--kill-redis-at needs the test's own Redis; leave --host out")
    settings = Settings(
        rate=rate,
        seconds=seconds,
        warmup_seconds=warmup,
        sla_ms=sla_ms,
        users=users or max(1, round(rate)),
        seed=seed,
        kill_redis_at=kill_redis_at,
        restart_redis_at=restart_redis_at,
    )
    typer.echo(f"load: {rate:g} requests a second for {seconds:g} s after {warmup:g} s of warm-up")
    if host is None:
        report = run_with_own_servers(people, items, settings, out.parent, port)
    else:
        report = run_against(host, people, items, settings)
    write_report(report, out)
    times = f"p50 {report['p50_ms']} ms, p95 {report['p95_ms']} ms, p99 {report['p99_ms']} ms"
    typer.echo(f"load: {report['rps']} requests a second, {report['failures']} failures, {times}")
    typer.echo(f"load: tiers {report['tiers']}, degraded {report['degraded']}; full report in {out}")
    typer.echo("load: SLA met" if report["met"] else f"load: SLA missed: {'; '.join(report['missed'])}")
    raise typer.Exit(0 if report["met"] else 1)


if __name__ == "__main__":
    try:
        app()
    except LoadTestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
