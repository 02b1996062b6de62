"""The report of an experiment: as JSON for machines, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from service.redis.replies import ReplyUnexpected, value
from service.redis.wire import Command, Reply

REPORTS_KEY = "stillroom:experiments:reports"
"""A hash in Redis that the monitor writes at each window: from an experiment's name to its report as JSON."""


class ArmReport(msgspec.Struct, frozen=True):
    """One arm. Rates are shares of its answers; an answer counts in click_rate or purchase_rate if a click or a
    purchase follows within the window.

    n_units: number of units that were first seen in this arm. n_counted: those of them whose window is over; outcome
    is their mean outcome. difference, interval: this outcome minus the control's, with a confidence interval that is
    valid for all looks together. lift, lift_interval: the same as a share of the control's outcome, which is taken as
    known. All four are null for the control, and if there is too little data.
    decision: "control", "better", "worse", "undecided", or "void" if units are not assigned as declared.
    stopped: what stopped the arm; "" if nothing did.
    """

    name: str
    version: str
    variant: str
    weight: float
    n_answers: int
    answers_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    error_rate: float
    empty_rate: float
    degraded_rate: float
    click_rate: float
    purchase_rate: float
    n_units: int
    n_counted: int
    outcome: float
    difference: float | None
    interval: tuple[float, float] | None
    lift: float | None
    lift_interval: tuple[float, float] | None
    p_value: float | None
    decision: str
    stopped: str


class ExperimentReport(msgspec.Struct, frozen=True):
    """The state of an experiment. since_ms, until_ms: Unix milliseconds of the first and last answer.

    srm_p_value: p-value of the units being assigned as declared, valid at every look. srm_chi_square: the p-value of
    Pearson's test, valid for a single look. n_crossed: units seen in two arms, which count in none. n_uncounted:
    answers to units beyond those that are remembered.
    """

    name: str
    outcome: str
    unit: str
    window_seconds: int
    false_alarm_rate: float
    since_ms: int
    until_ms: int
    srm_p_value: float
    srm_chi_square: float
    is_mismatched: bool
    n_crossed: int
    n_uncounted: int
    arms: list[ArmReport]


def publish_command(report: ExperimentReport) -> Command:
    """Publish a report."""
    return ("HSET", REPORTS_KEY, report.name, msgspec.json.encode(report))


def read_command(name: str) -> Command:
    """Ask for a report; the reply is for `read_report`."""
    return ("HGET", REPORTS_KEY, name)


def read_report(reply: Reply) -> ExperimentReport | None:
    """Read a report; None if there is none yet. Raises ReplyUnexpected for anything else."""
    raw = value(reply)
    try:
        return None if raw is None else msgspec.json.decode(raw, type=ExperimentReport)
    except msgspec.MsgspecError as error:
        raise ReplyUnexpected(f"a report was expected: {error}") from error


def report_lines(report: ExperimentReport) -> Iterator[str]:
    """Format the report as a table for a terminal."""
    if report.since_ms:
        yield f"experiment {report.name}, {_moment(report.since_ms)} to {_moment(report.until_ms)}"
    else:
        yield f"experiment {report.name}, no answer yet"
    yield (
        f"outcome: {_OUTCOMES[report.outcome]} within {report.window_seconds:,} s, by {report.unit}; decided at a "
        f"false-alarm rate of {report.false_alarm_rate:g}, however often one looks"
    )
    yield ""
    rows = [_row(arm) for arm in report.arms]
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD))]
    for first, *others in (_HEAD, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])
    yield ""
    if report.is_mismatched:
        yield (
            f"SAMPLE RATIO MISMATCH (p = {report.srm_p_value:.2g}): units are not assigned as declared, so no "
            "comparison means anything; docs/experiments.md says where to look"
        )
    else:
        yield f"units are assigned as declared (p = {report.srm_p_value:.2g} at every look)"
    for arm in report.arms:
        yield f"{arm.name}: {_verdict(arm)}"
    if report.n_crossed:
        yield f"{report.n_crossed:,} units were seen in two arms and count in none"
    if report.n_uncounted:
        yield f"{report.n_uncounted:,} answers went to units beyond those that are remembered"


_HEAD = [
    *(
        "arm",
        "model",
        "weight",
        "answers",
        "a second",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "errors",
        "empty",
        "degraded",
    ),
    *("clicks", "purchases", "units", "counted", "outcome", "difference"),
]

_OUTCOMES = {
    "click": "units that clicked something of what they were shown",
    "purchase": "units that purchased something of what they were shown",
    "value": "value of what a unit purchased of what it was shown",
}


def _row(arm: ArmReport) -> list[str]:
    rates = (arm.error_rate, arm.empty_rate, arm.degraded_rate, arm.click_rate, arm.purchase_rate)
    return [
        arm.name,
        f"{arm.version}/{arm.variant}",
        f"{arm.weight:g}",
        f"{arm.n_answers:,}",
        f"{arm.answers_per_second:.1f}",
        *(f"{took:.2f}" for took in (arm.p50_ms, arm.p95_ms, arm.p99_ms)),
        *(f"{rate:.2%}" for rate in rates),
        f"{arm.n_units:,}",
        f"{arm.n_counted:,}",
        f"{arm.outcome:.4f}",
        "–"
        if arm.interval is None
        else f"{arm.difference:+.4f} [{arm.interval[0]:+.4f}, {arm.interval[1]:+.4f}]",
    ]


def _verdict(arm: ArmReport) -> str:
    if arm.stopped:
        return f"stopped by {arm.stopped}"
    if arm.decision == "control":
        return "the control"
    if arm.decision == "void":
        return "no conclusion, see above"
    if arm.interval is None:
        return f"undecided; {arm.n_counted:,} units have counted so far, too few to say anything"
    said = f"{arm.decision}, p = {arm.p_value:.2g}"
    if arm.lift is not None and arm.lift_interval is not None:
        said += f", lift {arm.lift:+.1%} [{arm.lift_interval[0]:+.1%}, {arm.lift_interval[1]:+.1%}]"
    return said


def _moment(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
