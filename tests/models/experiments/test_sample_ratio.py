from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from models.experiments.sample_ratio import always_valid, chi_square


def test_chi_square_is_scipys() -> None:
    counts, weights = [530, 270, 200], [0.5, 0.3, 0.2]
    expected = chisquare(counts, 1000 * np.array(weights)).pvalue
    assert chi_square(counts, weights) == pytest.approx(expected, rel=1e-9)


def test_repeated_looks_do_not_add_up_to_false_alarms() -> None:
    """300 experiments dealt rightly, looked at 200 times each: at most 5 % may ever fall below 5 %, and 5 % more is
    six standard errors off. The same looks by chi-square raise the alarm in a third of them.
    """
    rng = np.random.default_rng(0)
    looks = np.arange(20, 4001, 20)
    runs = rng.binomial(20, 0.5, (300, len(looks))).cumsum(axis=1)
    alarms = dict.fromkeys((always_valid, chi_square), 0)
    for run in runs.tolist():
        for test in alarms:
            alarms[test] += any(
                test([n, look - n], [0.5, 0.5]) < 0.05 for n, look in zip(run, looks.tolist(), strict=True)
            )
    assert alarms[always_valid] <= 30
    assert alarms[chi_square] >= 60


def test_a_mismatch_is_found() -> None:
    assert always_valid([50_000, 50_000], [0.5, 0.5]) == 1.0
    assert always_valid([50_000, 48_000], [0.5, 0.5]) < 1e-6


def test_a_mismatch_of_six_in_a_thousand_shows_in_a_hundred_thousand_units() -> None:
    """The firm priors see it; the loosest alone says .04 of it."""
    assert always_valid([50_600, 49_400], [0.5, 0.5]) < 0.02


def test_units_in_an_arm_without_weight_are_a_mismatch() -> None:
    assert always_valid([10, 0, 1], [0.5, 0.5, 0.0]) == 0.0
    assert always_valid([10, 8, 0], [0.5, 0.5, 0.0]) > 0.05


def test_nothing_is_said_of_no_units() -> None:
    assert always_valid([0, 0], [0.5, 0.5]) == 1.0
    assert chi_square([0, 0], [0.5, 0.5]) == 1.0


def test_an_arm_that_gets_nobody_is_found_within_fifty_units() -> None:
    assert always_valid([50, 0], [0.5, 0.5]) < 0.001
