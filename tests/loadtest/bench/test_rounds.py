"""Rounds, the ratios made of them, and what makes one worthless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.bench.errors import BenchFailed
from loadtest.bench.rounds import Round, check_sound, median_interval, median_ratio, of

ROUND = Round(
    "10k",
    "stillroom",
    "plain",
    0,
    n_answers=1000,
    n_failed=0,
    n_unmarked=0,
    n_looked_at=10,
    n_short=0,
    n_degraded=0,
    cpu_seconds=0.5,
    seconds=1.0,
    per_second=1000.0,
    p50_ms=1.0,
)


def test_the_ratio_is_the_median_of_rounds_that_took_turns() -> None:
    """In every round we are twice as cheap; one slow minute of the machine meets both."""
    theirs = [
        replace(ROUND, server="echo", number=number, cpu_seconds=cpu) for number, cpu in enumerate([1, 8, 2])
    ]
    ours = [replace(ROUND, number=number, cpu_seconds=cpu / 2) for number, cpu in enumerate([1, 8, 2])]
    assert median_ratio(ours, theirs) == 2.0
    assert median_ratio([*ours[:2], replace(ours[2], cpu_seconds=100)], theirs) == 2.0


@pytest.mark.parametrize(
    ("n_values", "interval"),
    [  # by the table of the sign test: 2.5 % at most lie outside, either side
        (40, (14, 27)),
        (20, (6, 15)),
        (6, (1, 6)),
        (5, (1, 5)),
        (1, (1, 1)),
    ],
)
def test_the_interval_of_a_median_is_that_of_the_sign_test(n_values: int, interval: tuple[int, int]) -> None:
    assert median_interval([float(value) for value in range(n_values, 0, -1)]) == interval


def test_rounds_are_found_by_what_they_measured_without_the_warm_up() -> None:
    beside = replace(ROUND, beside="litserve")
    rounds = [
        ROUND,
        replace(ROUND, number=-1),
        replace(ROUND, size="1m"),
        replace(ROUND, scenario="batch"),
        beside,
    ]
    assert of(rounds, "10k", "stillroom") == [ROUND]
    assert of(rounds, "10k", "stillroom", beside="litserve") == [beside]
    with pytest.raises(BenchFailed, match="no rounds of echo"):
        of(rounds, "10k", "echo")


@pytest.mark.parametrize(
    "faulty", [replace(ROUND, n_failed=1), replace(ROUND, n_unmarked=2), replace(ROUND, n_degraded=2)]
)
def test_a_round_with_refused_or_simpler_answers_shows_nothing(faulty: Round) -> None:
    with pytest.raises(BenchFailed, match=r"stillroom, plain, 10k, round 0: [12] "):
        check_sound([ROUND, faulty])


def test_a_single_simpler_or_degraded_answer_spoils_no_round() -> None:
    check_sound([ROUND, replace(ROUND, n_unmarked=1), replace(ROUND, n_degraded=1)])
