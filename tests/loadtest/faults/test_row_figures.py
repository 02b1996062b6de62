"""Counts and percentiles of a row, by hand."""

from __future__ import annotations

from loadtest.faults.judging import Judgement
from loadtest.faults.row_figures import of_questions
from tests.loadtest.faults.reports import MOMENTS, judged

LOST = Judgement("failed", "connection lost")
INTERNAL = Judgement("failed", "500 internal")
AWAY = Judgement("degraded", "redis_unavailable")
WRONG = Judgement("wrong", "an item twice")


def test_questions_are_counted_by_what_they_are_worth() -> None:
    questions = [
        judged(1),
        judged(5, LOST),
        judged(5, INTERNAL),
        judged(5, AWAY),
        judged(1, AWAY),
        judged(9, WRONG),
    ]
    found = of_questions(questions, MOMENTS, frozenset({"connection lost"}), 50.0)
    assert (found["asked"], found["asked_before"], found["failed"], found["wrong"]) == (5, 2, 1, 1)
    assert found["failures"] == {"500 internal": 1}
    assert found["helpless"] == {"connection lost": 1}
    assert found["wrongs"] == {"an item twice": 1}
    assert found["degraded"] == {"redis_unavailable": 2}
    assert found["degraded_before"] == found["degraded_during"] == {"redis_unavailable": 1}


def test_wrong_answers_that_no_service_could_help_are_counted_apart() -> None:
    found = of_questions([judged(1), judged(5, WRONG)], MOMENTS, frozenset({"an item twice"}), 50.0)
    assert (found["asked"], found["wrong"], found["helpless"]) == (1, 0, {"an item twice": 1})


def test_percentiles_are_of_what_was_answered_in_each_phase() -> None:
    before = [judged(number / 100, ms=10 + number / 100) for number in range(100)]
    during = [judged(5 + number / 100, ms=100 + number) for number in range(100)]
    found = of_questions(
        [*before, *during, judged(5, LOST, ms=5000), judged(9, ms=7)], MOMENTS, frozenset(), 50.0
    )
    assert (found["p99"].before_ms, found["p99"].during_ms, found["p99"].after_ms) == (10.98, 198.0, 7.0)
    assert (found["p50"].before_ms, found["p50"].during_ms) == (10.49, 149.0)


def test_late_is_what_took_too_long_inside_and_did_not_say_so() -> None:
    questions = [
        judged(1, took_ms=51.0),
        judged(1, Judgement("degraded", "deadline"), took_ms=51.0),
        judged(1, took_ms=49.0, ms=500),
        judged(1, took_ms=None),
    ]
    assert of_questions(questions, MOMENTS, frozenset(), 50.0)["late"] == 1


def test_timeline_has_every_question_in_its_slice() -> None:
    questions = [judged(0.1), judged(0.2, LOST), judged(1.3, AWAY, ms=30), judged(1.3, WRONG)]
    drawn = of_questions(questions, MOMENTS, frozenset(), 50.0)["timeline"]
    assert drawn.good == [1, 0, 0, 0, 0, 0]
    assert drawn.failed == [1, 0, 0, 0, 0, 0]
    assert drawn.degraded == drawn.wrong == [0, 0, 0, 0, 0, 1]
    assert drawn.max_ms[0] == 5.0
    assert drawn.max_ms[5] == 30.0
    assert (drawn.fault_at, drawn.repaired_at) == (4.0, 8.0)
