"""The schema of `reports/faults.json`, which the drill writes, the page shows and tests read."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

Verdict = Literal["held", "failed", "not run"]

METHOD = (
    "Each row has a service, a Redis and folders of its own. Questions leave by a schedule that no answer can delay, "
    "and latency counts from it to the whole body read; an answer is wrong if it holds what it must not or is not "
    "what this version says to this question on a good day, and does not say so. `during` is from the fault to its "
    "repair. Events are sent again under their key until they are accepted; afterwards the export must hold each "
    "accepted one once. Recovery counts from the repair to the first of a hundred good answers in a row. Memory is "
    "what the processes have of their own, all of them together."
)


class Phases(msgspec.Struct, frozen=True):
    """Nearest-rank percentiles of the answered questions, in milliseconds, by when they were due."""

    before_ms: float
    during_ms: float
    after_ms: float


class EventFigures(msgspec.Struct, frozen=True):
    """The fate of a row's events. sent, accepted, lost, doubled, invented: counts of events.

    doubled: surplus copies in the export. invented: in the export, but never sent. unshipped: accepted, but on the
    service's disk instead of in Redis when the row ended. unshipped_during: the same during the fault, for rows that
    forbid it. unaccepted, unlike: batches that were never accepted, and batches that were answered differently on a
    retry. statuses: of all attempts, "none" if there was no reply.
    """

    sent: int
    accepted: int
    lost: int
    doubled: int
    invented: int
    unshipped: int
    unshipped_during: int
    unaccepted: int
    unlike: int
    statuses: dict[str, int]


class MemoryFigures(msgspec.Struct, frozen=True):
    """Bytes of the service's processes together: before the fault, and the peak since."""

    before_bytes: int
    peak_bytes: int


class Timeline(msgspec.Struct, frozen=True):
    """The questions of a row, in slices of time from the first question on.

    p50_ms, max_ms: of answered questions, 0 if there were none. fault_at, repaired_at: seconds since the first one.
    """

    slice_seconds: float
    good: list[int]
    degraded: list[int]
    failed: list[int]
    wrong: list[int]
    p50_ms: list[float]
    max_ms: list[float]
    fault_at: float
    repaired_at: float


class RowReport(msgspec.Struct, frozen=True):
    """One row's results. problems: why it did not hold. remedy: what to do if it could not run.

    failures, wrongs: counts by what was wrong. helpless: counts of what no service could prevent, which are in no
    other figure. degraded, degraded_before, degraded_during: counts by the reason that answers gave, in all, before
    the fault and during it. late: answers that took longer than their deadline and gave no reason. asked_before:
    questions before the fault. recovery_seconds: None if it never recovered. noted: further counts of the fault.
    """

    name: str
    group: str
    done: str
    holds: str
    verdict: Verdict
    problems: list[str]
    remedy: str
    asked: int = 0
    asked_before: int = 0
    failed: int = 0
    wrong: int = 0
    late: int = 0
    failures: dict[str, int] = {}
    wrongs: dict[str, int] = {}
    helpless: dict[str, int] = {}
    degraded: dict[str, int] = {}
    degraded_before: dict[str, int] = {}
    degraded_during: dict[str, int] = {}
    p50: Phases | None = None
    p99: Phases | None = None
    events: EventFigures | None = None
    recovery_seconds: float | None = None
    memory: MemoryFigures | None = None
    log_errors: list[str] = []
    noted: dict[str, float] = {}
    timeline: Timeline | None = None
    seconds: float = 0.0


class Plan(msgspec.Struct, frozen=True):
    """The settings of the drill."""

    seed: int
    is_short: bool
    questions_per_second: float
    batches_per_second: float
    deadline_ms: int
    n_items: int
    n_people: int


class Machine(msgspec.Struct, frozen=True):
    """The machine that the drill ran on, and the revision of the code."""

    cpu: str
    cores: int | None
    python: str
    os: str
    date: str
    revision: str | None


class Report(msgspec.Struct, frozen=True):
    """The report of a whole drill. met: every row ran and held."""

    schema_version: int
    met: bool
    held: int
    failed: int
    not_run: int
    machine: Machine
    method: str
    plan: Plan
    rows: list[RowReport]
    seconds: float
