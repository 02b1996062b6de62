"""Write the report of a whole drill, for machines (JSON) and for a terminal (lines)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from loadtest.bench.machine import describe_code
from loadtest.faults.drill import Pace
from loadtest.faults.schema import METHOD, SCHEMA_VERSION, Machine, Plan, Report, RowReport
from loadtest.faults.stage import Kept
from loadtest.verdict import machine


def make_report(
    pace: Pace, kept: Kept, rows: Sequence[RowReport], seconds: float, *, is_short: bool
) -> Report:
    """Join all rows into a report, and say whether all of them held."""
    counts = {
        verdict: sum(row.verdict == verdict for row in rows) for verdict in ("held", "failed", "not run")
    }
    return Report(
        schema_version=SCHEMA_VERSION,
        met=bool(rows) and counts["held"] == len(rows),
        held=counts["held"],
        failed=counts["failed"],
        not_run=counts["not run"],
        machine=_machine(),
        method=METHOD,
        plan=Plan(
            seed=pace.seed,
            is_short=is_short,
            questions_per_second=pace.rates.questions,
            batches_per_second=pace.rates.batches,
            deadline_ms=pace.rates.deadline_ms,
            n_items=len(kept.items),
            n_people=len(kept.people),
        ),
        rows=list(rows),
        seconds=round(seconds, 1),
    )


def write_report(report: Report, out: Path) -> None:
    """Write a report as JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def read_report(file: Path) -> Report:
    """Read what `write_report` wrote. Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(file.read_bytes(), type=Report)


def row_lines(row: RowReport) -> Iterator[str]:
    """Yield one line of figures, and one for each problem."""
    if row.p99 is None or row.events is None:
        yield f"{row.name:<26} {row.verdict:<8} {row.remedy}"
    else:
        recovery = "never" if row.recovery_seconds is None else f"{row.recovery_seconds:.1f} s"
        degraded, events = sum(row.degraded.values()), row.events
        yield (
            f"{row.name:<26} {row.verdict:<8} {row.asked:>6,} asked {row.failed:>4} failed {row.wrong:>4} wrong "
            f"{degraded:>5} degraded  p99 {row.p99.before_ms:>6.1f} → {row.p99.during_ms:>7.1f} ms  "
            f"{events.accepted:>6,} events {events.lost:>4} lost  well after {recovery}"
        )
    for problem in row.problems:
        yield f"{'':<26}   - {problem}"


def _machine() -> Machine:
    here, code = machine(), describe_code()
    return Machine(
        cpu=here["cpu"],
        cores=here["cores"],
        python=here["python"],
        os=here["os"],
        date=code["date"],
        revision=code["revision"],
    )
