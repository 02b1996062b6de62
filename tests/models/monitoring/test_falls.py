"""When a fall of a rate is an alarm, and when the alarm ends."""

from __future__ import annotations

import numpy as np

from models.monitoring.falls import ALARM_SECONDS, FallDetector


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


def test_a_rate_that_stays_low_is_the_usual_one_after_a_while() -> None:
    detector = told(told(FallDetector(), 0.3, 10_000, seed=0), 0.1, 3_000, seed=1)
    assert not told(detector, 0.1, 100, seed=2, moment=ALARM_SECONDS + 1.0).is_alarm
