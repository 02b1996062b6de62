"""A row fails for each thing that must not be, and for nothing else; the words say what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtest.faults.__main__ import SHORT
from loadtest.faults.findings import Allowance, problems
from loadtest.faults.judging import Judgement
from loadtest.faults.row import Row
from loadtest.faults.schema import MemoryFigures, RowReport
from loadtest.faults.traffic import JudgedQuestion
from tests.loadtest.faults.reports import EVENTS, judged, report, row

AWAY = Judgement("degraded", "redis_unavailable")


def found(made: RowReport, of: Row | None = None) -> list[str]:
    return problems(of or row(), made, [], 50.0, Allowance())


def good(n: int = 200, **changes: Any) -> list[JudgedQuestion]:
    return [judged(10 * number / n, **changes) for number in range(n)]


def test_good_row_has_no_problem() -> None:
    assert found(report()) == []


@pytest.mark.parametrize(
    ("judgement", "words"),
    [
        (Judgement("failed", "500 internal"), "1 of 201 questions failed: 1 x 500 internal"),
        (Judgement("wrong", "an item twice"), "1 of 201 answers were wrong: 1 x an item twice"),
    ],
)
def test_one_question_that_fails_or_is_wrong_is_one_too_many(judgement: Judgement, words: str) -> None:
    assert found(report(*good(), judged(5, judgement))) == [words]


def test_failure_that_nobody_could_help_is_no_problem() -> None:
    lost = frozenset({"connection lost"})
    made = report(*good(), judged(5, Judgement("failed", "connection lost")), helpless=lost)
    assert found(made, row(helpless=lost)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lost": 2}, "2 accepted events are lost"),
        ({"doubled": 1}, "1 events are in the export more often than once"),
        ({"invented": 1}, "1 events are in the export that nobody sent"),
        ({"unshipped": 3}, "3 accepted events were still on the service's disk in the end"),
        ({"unshipped_during": 3}, "3 accepted events did not reach Redis while the fault lasted"),
        ({"unaccepted": 1}, "1 batches of events were never accepted"),
        ({"unlike": 1}, "1 batches of events were answered differently from one time to the other"),
        ({"accepted": 0}, "no event was accepted"),
        ({"statuses": {"202": 2, "500": 1}}, "batches of events were refused: 1 x 500"),
    ],
)
def test_events_that_are_not_as_they_must_be_are_said(changes: dict[str, Any], words: str) -> None:
    assert found(report(events=msgspec.structs.replace(EVENTS, **changes))) == [words]


def test_status_that_a_row_foresees_for_events_is_no_problem() -> None:
    made = report(events=msgspec.structs.replace(EVENTS, statuses={"202": 2, "503": 7}))
    assert found(made, row(event_statuses=frozenset({"503"}))) == []


def test_fault_that_should_be_told_must_be_told_while_it_lasts() -> None:
    told = row(told="redis_unavailable")
    assert found(report(*good(), judged(5, AWAY)), told) == []
    before_only = report(*good(), judged(1, AWAY))
    assert found(before_only, told) == ["no answer said redis_unavailable while the fault lasted"]


def test_who_was_away_may_recover_and_who_has_no_time_may_be_late() -> None:
    assert row(told="redis_unavailable").explains == {"redis_unavailable", "redis_recovering"}
    assert row(may_say=frozenset({"deadline"})).explains == {"", "deadline", "deadline_missed"}


def test_excuse_that_the_fault_does_not_give_is_a_problem_beyond_what_a_busy_machine_explains() -> None:
    some, many = [judged(5, AWAY)] * 4, [judged(5, AWAY)] * 30
    assert found(report(*good(), *some)) == []
    assert found(report(*good(), *many)) == [
        "30 answers said redis_unavailable, for which this fault is no reason"
    ]
    assert found(report(*good(), *many), row(may_say=frozenset({"redis_unavailable"}))) == []
    noisy_before = [judged(1, AWAY)] * 20
    assert found(report(*good(), *many, *noisy_before)) == []
    odd = [judged(5, Judgement("degraded", "student_failed"))]
    assert found(report(*good(), *odd)) == [
        "1 answers said student_failed, for which this fault is no reason"
    ]


def test_p99_may_reach_the_deadline_or_three_times_what_it_was() -> None:
    def slow(before_ms: float, during_ms: float) -> RowReport:
        return report(*[judged(1, ms=before_ms)] * 50, *[judged(5, ms=during_ms)] * 50)

    assert found(slow(5, 49)) == []
    assert found(slow(5, 51)) == ["p99 was 51 ms during the fault, 50 ms is allowed"]
    assert found(slow(40, 119)) == []
    assert found(slow(40, 121)) == ["p99 was 121 ms during the fault, 120 ms is allowed"]
    assert found(slow(5, 51), row(is_timed=False)) == []


def test_machine_that_is_busy_is_allowed_more_in_the_short_drill() -> None:
    slow = report(*[judged(1, ms=5)] * 50, *[judged(5, ms=90)] * 50, *[judged(5, AWAY)] * 9)
    assert len(found(slow)) == 2
    assert problems(row(), slow, [], 50.0, SHORT.allowance) == [
        "p99 was 90 ms during the fault, 50 ms is allowed"
    ]
    noisy = report(*[judged(1, ms=10)] * 50, *[judged(5, ms=90)] * 50, *[judged(5, AWAY)] * 9)
    assert problems(row(), noisy, [], 50.0, SHORT.allowance) == []


def test_way_back_has_to_be_found_in_time() -> None:
    assert found(report(recovery_seconds=None)) == ["all was never well again after the repair"]
    late = report(recovery_seconds=20.5)
    assert found(late) == ["all was well 20.5 s after the repair, 20 s are allowed"]
    assert found(late, row(recovers_seconds=21.0)) == []


def test_growth_and_unhandled_errors_are_problems_unless_the_row_allows_them() -> None:
    grown = report(memory=MemoryFigures(10**8, 10**8 + 65 * 2**20))
    assert found(grown) == ["the service grew by 65 MiB, 64 MiB are allowed"]
    assert found(grown, row(grows_mib=66.0)) == []
    broken = report(log_errors=["1 x it broke"])
    assert found(broken) == ["unhandled in the service's log: 1 x it broke"]
    assert found(broken, row(may_log_errors=True)) == []


def test_what_the_fault_itself_saw_is_a_problem() -> None:
    assert problems(row(), report(), ["seen"], 50.0, Allowance()) == ["seen"]
