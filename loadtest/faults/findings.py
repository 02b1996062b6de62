"""Say why a row did not hold, in words that name what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest.faults.row import MEBIBYTE, Row
from loadtest.faults.schema import EventFigures, RowReport

MAX_UNEXPLAINED_RATIO = 3.0
"""Up to this many times the share of excuses before a fault, excuses do not count against a row."""

UNEXPLAINED = frozenset({"deadline", "deadline_missed", "overloaded", "redis_unavailable"})
"""Reasons that a busy machine alone may cause, up to that share."""


@dataclass(frozen=True)
class Allowance:
    """What is put down to a machine that is busy with other things.

    p99_ratio: the largest ratio of p99 during a fault to p99 before it, if that exceeds the deadline; p99 of a few
    hundred answers varies by a factor of two by itself. unexplained_share: the share of answers that may give an
    excuse that the fault does not explain.
    """

    p99_ratio: float = 3.0
    unexplained_share: float = 0.02


def problems(
    row: Row, report: RowReport, found: Sequence[str], deadline_ms: float, allowance: Allowance
) -> list[str]:
    """Return all problems, the worst first. report: with its figures. found: what the fault itself saw."""
    return [
        *_of_answers(row, report, allowance),
        *_of_latency(row, report, deadline_ms, allowance),
        *_of_recovery(row, report),
        *([] if report.events is None else _of_events(row, report.events)),
        *_of_service(row, report),
        *found,
    ]


def _of_answers(row: Row, report: RowReport, allowance: Allowance) -> Iterator[str]:
    if report.wrong:
        yield f"{report.wrong} of {report.asked} answers were wrong: {_listed(report.wrongs)}"
    if report.failed:
        yield f"{report.failed} of {report.asked} questions failed: {_listed(report.failures)}"
    if row.told and not report.degraded_during.get(row.told):
        yield f"no answer said {row.told} while the fault lasted"
    for reason, n_times in report.degraded.items():
        before = report.degraded_before.get(reason, 0) / max(report.asked_before, 1)
        allowed = (allowance.unexplained_share + MAX_UNEXPLAINED_RATIO * before) * report.asked
        if reason not in row.explains and n_times > (allowed if reason in UNEXPLAINED else 0):
            yield f"{n_times} answers said {reason}, for which this fault is no reason"


def _of_latency(row: Row, report: RowReport, deadline_ms: float, allowance: Allowance) -> Iterator[str]:
    if report.p99 is None or not row.is_timed:
        return
    bound = max(deadline_ms, allowance.p99_ratio * report.p99.before_ms)
    if report.p99.during_ms > bound:
        yield f"p99 was {report.p99.during_ms:.0f} ms during the fault, {bound:.0f} ms is allowed"


def _of_recovery(row: Row, report: RowReport) -> Iterator[str]:
    seconds = report.recovery_seconds
    if seconds is None:
        yield "all was never well again after the repair"
    elif seconds > row.recovers_seconds:
        yield f"all was well {seconds:.1f} s after the repair, {row.recovers_seconds:g} s are allowed"


def _of_events(row: Row, events: EventFigures) -> Iterator[str]:
    if not events.accepted:
        yield "no event was accepted"
    for n, words in (
        (events.lost, "accepted events are lost"),
        (events.doubled, "events are in the export more often than once"),
        (events.invented, "events are in the export that nobody sent"),
        (events.unshipped, "accepted events were still on the service's disk in the end"),
        (events.unshipped_during, "accepted events did not reach Redis while the fault lasted"),
        (events.unaccepted, "batches of events were never accepted"),
        (events.unlike, "batches of events were answered differently from one time to the other"),
    ):
        if n:
            yield f"{n} {words}"
    usual = {"202", *row.event_statuses}
    refused = {status: n for status, n in events.statuses.items() if status not in usual}
    if refused:
        yield f"batches of events were refused: {_listed(refused)}"


def _of_service(row: Row, report: RowReport) -> Iterator[str]:
    if report.memory is not None:
        grown = (report.memory.peak_bytes - report.memory.before_bytes) / MEBIBYTE
        if grown > row.grows_mib:
            yield f"the service grew by {grown:.0f} MiB, {row.grows_mib:g} MiB are allowed"
    if report.log_errors and not row.may_log_errors:
        yield f"unhandled in the service's log: {'; '.join(report.log_errors)}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n_times} x {words}" for words, n_times in counts.items())
