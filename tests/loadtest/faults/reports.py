"""Reports of rows for tests: a good one, and ways to spoil it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from loadtest.faults.judging import Judgement
from loadtest.faults.row import Row
from loadtest.faults.row_figures import Moments, of_questions
from loadtest.faults.schema import EventFigures, MemoryFigures, RowReport
from loadtest.faults.stage import Stage
from loadtest.faults.traffic import JudgedQuestion

MOMENTS = Moments(started_at=100.0, fault_at=104.0, repaired_at=108.0)
GOOD = Judgement("good")
EVENTS = EventFigures(
    sent=10,
    accepted=10,
    lost=0,
    doubled=0,
    invented=0,
    unshipped=0,
    unshipped_during=0,
    unaccepted=0,
    unlike=0,
    statuses={"202": 2},
)


@asynccontextmanager
async def nothing(stage: Stage) -> AsyncIterator[None]:
    yield


def row(**changes: Any) -> Row:
    """One without a fault."""
    usual: dict[str, Any] = {"name": "a-row", "group": "redis", "fault": nothing, "done": "Nothing."}
    return Row(**(usual | changes))


def judged(
    at: float, judgement: Judgement = GOOD, ms: float = 5.0, took_ms: float | None = 1.0
) -> JudgedQuestion:
    """at: seconds from the start."""
    due_at = MOMENTS.started_at + at
    return JudgedQuestion(due_at, due_at + ms / 1000, "/recommend", judgement, took_ms)


def report(*questions: JudgedQuestion, helpless: frozenset[str] = frozenset(), **changes: Any) -> RowReport:
    """Of these questions, by default of a hundred good ones; everything else is good too."""
    several = list(questions) or [judged(number / 10) for number in range(100)]
    made = RowReport(
        name="a-row",
        group="redis",
        done="Nothing.",
        holds="",
        verdict="held",
        problems=[],
        remedy="",
        **of_questions(several, MOMENTS, helpless, 50.0),
        events=EVENTS,
        recovery_seconds=0.5,
        memory=MemoryFigures(10**8, 10**8),
    )
    return msgspec.structs.replace(made, **changes)
