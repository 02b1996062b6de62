"""Send a hundred thousand malformed requests, and malformed replies of Redis.

The service must not answer 5xx, hang, grow or raise an error that nothing handles.

Exits with 0 if nothing was found, with 1 if something was. `--replay FILE` tries one case that was written down.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from random import randrange
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Annotated, TypeAlias

import typer

from loadtest.errors import LoadTestError
from tests.fuzz.behind import fuzz_behind
from tests.fuzz.cases import Findings, read_case
from tests.fuzz.document import fuzz_document
from tests.fuzz.raw import fuzz_raw
from tests.fuzz.replay import replayed
from tests.fuzz.replies import fuzz_replies
from tests.fuzz.report import lines, make_report, write_report
from tests.fuzz.watching import KindReport

Fuzz: TypeAlias = "Callable[[Path, int, int, Findings, Callable[[str], object]], KindReport]"
"""A folder, how many cases, a seed, where findings go, and who is told how far it is."""

KINDS: dict[str, tuple[float, Fuzz]] = {
    "replies": (0.34, fuzz_replies),
    "behind": (0.02, fuzz_behind),
    "document": (0.04, fuzz_document),
    "raw": (0.6, fuzz_raw),
}
"""Each with its share of the cases: schemathesis makes ten in the time in which there are hundreds of others."""

EXIT_FOUND, EXIT_NOT_RUN = 1, 2

app = typer.Typer(help=__doc__, add_completion=False)


@app.command(help=__doc__)
def main(
    cases: Annotated[
        int, typer.Option(min=100, help="Number of cases of all kinds together; slightly fewer are drawn.")
    ] = 101_000,
    only: Annotated[str, typer.Option(help=f"Kinds to run, separated by commas: {', '.join(KINDS)}.")] = "",
    seed: Annotated[int | None, typer.Option(help="Random seed; default: a new one.")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="File of a case that was written down; only this case runs.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="File for the report; cases are written to a folder beside it.")
    ] = Path("reports/fuzz.json"),
) -> None:
    """Run, write, decide."""
    logging.disable(logging.CRITICAL)  # what the connection code says of each odd reply
    with TemporaryDirectory(prefix="stillroom-fuzz-") as name:
        if replay is not None:
            words = replayed(read_case(replay).smallest, Path(name))
            _say(f"{replay}: {words or 'nothing found'}")
            raise typer.Exit(0 if words is None else EXIT_FOUND)
        seed = randrange(10**6) if seed is None else seed
        _say(f"seed {seed}, {cases:,} cases")
        started_at, findings, done = monotonic(), Findings(out.with_suffix("")), list[KindReport]()
        for kind in only.split(",") if only else KINDS:
            share, fuzz = _kind(kind)
            n_cases = cases if only else round(share * cases)
            done.append(fuzz(Path(name), n_cases, seed, findings, _say))
            report = make_report(done, findings.all(), seed, monotonic() - started_at)
            write_report(report, out)
    for line in lines(report):
        _say(line)
    _say(f"{report.cases:,} cases, {len(report.findings)} findings; full report in {out}")
    raise typer.Exit(0 if report.met else EXIT_FOUND)


def _kind(name: str) -> tuple[float, Fuzz]:
    if name not in KINDS:
        raise typer.BadParameter(f"there is no kind {name!r}; there is {', '.join(KINDS)}")
    return KINDS[name]


def _say(line: str) -> None:
    typer.echo(f"fuzz: {line}")


def _interrupted(number: int, frame: object) -> None:
    """As Ctrl-C does, so that nothing is left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        app()
    except LoadTestError as error:
        _say(f"error: {error}")
        sys.exit(EXIT_NOT_RUN)
