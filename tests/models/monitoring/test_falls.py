"""When a fall of a rate is an alarm, and when the alarm ends."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.falls import FallDetector


def told(detector: FallDetector, rate: float, n: int, *, seed: int, moment: float = 0.0) -> FallDetector:
    """The same detector after n answers with outcomes at this rate."""
    for had_outcome in np.random.default_rng(seed).random(n) < rate:
        detector.add(bool(had_outcome), moment)
    return detector


def test_a_steady_rate_is_no_alarm() -> None:
    assert not told(FallDetector(), 0.1, 30_000, seed=0).is_alarm


def test_a_fall_is_an_alarm_until_the_rate_is_back() -> None:
    detector = told(FallDetector(), 0.2, 10_000, seed=0)
    assert told(detector, 0.1, 3_000, seed=1).is_alarm
    assert not told(detector, 0.2, 10_000, seed=2).is_alarm


def test_a_rise_is_no_alarm() -> None:
    assert not told(told(FallDetector(), 0.1, 10_000, seed=0), 0.2, 5_000, seed=1).is_alarm


def test_half_a_recovery_does_not_end_the_alarm() -> None:
    detector = told(told(FallDetector(), 0.3, 10_000, seed=0), 0.1, 3_000, seed=1)
    assert told(detector, 0.2, 5_000, seed=2).is_alarm


def test_nine_tenths_of_the_rate_are_not_yet_the_rate() -> None:
    detector = told(told(FallDetector(), 0.3, 10_000, seed=0), 0.1, 3_000, seed=1)
    assert told(detector, 0.26, 5_000, seed=2).is_alarm
    assert not told(detector, 0.3, 5_000, seed=3).is_alarm


def test_a_thousand_answers_must_show_that_the_rate_is_back() -> None:
    detector = told(told(FallDetector(), 0.3, 10_000, seed=0), 0.1, 3_000, seed=1)
    assert told(detector, 0.35, 900, seed=2).is_alarm
    assert detector.rate > 0.3
    assert not told(detector, 0.35, 600, seed=3).is_alarm


@pytest.mark.parametrize(("days", "is_alarm"), [(0, True), (6.9, True), (7.1, False)])
def test_a_rate_that_stays_low_for_a_week_is_the_usual_one(days: float, is_alarm: bool) -> None:
    detector = told(told(FallDetector(), 0.3, 10_000, seed=0), 0.1, 3_000, seed=1)
    assert told(detector, 0.1, 100, seed=2, moment=days * 86_400).is_alarm == is_alarm


def test_a_dip_that_chance_may_make_is_no_alarm_and_a_deep_one_is_sometimes_found_at_once() -> None:
    """Eight times 10,000 answers at a tenth: then 1,500 at 8 %, or 1,000 at 6 %."""
    alarms = {
        (rate, n): [
            told(told(FallDetector(), 0.1, 10_000, seed=seed), rate, n, seed=100 + seed).is_alarm
            for seed in range(8)
        ]
        for rate, n in ((0.08, 1_500), (0.06, 1_000))
    }
    assert not any(alarms[0.08, 1_500])
    assert 2 <= sum(alarms[0.06, 1_000]) <= 4
