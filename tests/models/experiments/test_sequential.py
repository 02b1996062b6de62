from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
import pytest

from models.experiments.sequential import Sample, compare, excess_p_value


def sample(values: list[float]) -> Sample:
    found = Sample()
    for value in values:
        found.add(value)
    return found


def test_a_sample_is_its_mean_and_variance() -> None:
    values = np.random.default_rng(0).normal(3, 2, 1000)
    found = sample(values.tolist())
    assert found.mean == pytest.approx(values.mean())
    assert found.variance == pytest.approx(values.var(ddof=1))


def test_a_rate_is_a_sample_of_noughts_and_ones() -> None:
    assert Sample.of_rate(10, 3) == sample([1.0] * 3 + [0.0] * 7)


def test_the_interval_is_that_of_the_paper() -> None:
    """Equation 14 of Waudby-Smith et al., with σ² estimated and ρ² = 2 / n: written out anew."""
    n, alpha = 2000, 0.05
    found = compare(Sample.of_rate(n, 500), Sample.of_rate(n, 450), alpha=alpha, planned_units=2 * n)
    variance = (2 * n) * (0.25 * 0.75 + 0.225 * 0.775) / (n - 1)
    doubled = -2 * log(alpha)
    rho = sqrt((doubled + log(doubled) + 1) / (2 * n))
    scaled = 2 * n * rho**2 + 1
    half = sqrt(variance) * sqrt(2 * scaled / ((2 * n) ** 2 * rho**2) * log(sqrt(scaled) / alpha))
    assert found.interval == pytest.approx((0.025 - half, 0.025 + half))


@pytest.mark.parametrize("n_successes", [450, 500, 520, 540, 560, 600])
def test_the_p_value_is_below_alpha_exactly_where_the_interval_leaves_nought_out(n_successes: int) -> None:
    found = compare(
        Sample.of_rate(2000, n_successes), Sample.of_rate(2000, 450), alpha=0.05, planned_units=4000
    )
    assert found.is_decided == (found.p_value < 0.05)


def test_too_little_says_nothing() -> None:
    for arm, control in (
        (Sample.of_rate(99, 50), Sample.of_rate(1000, 100)),
        (Sample.of_rate(1000, 9), Sample.of_rate(1000, 100)),
        (Sample(), Sample()),
    ):
        found = compare(arm, control, alpha=0.05, planned_units=1000)
        assert found.interval == (-inf, inf)
        assert found.p_value == 1.0
        assert not found.is_decided


@pytest.mark.parametrize(("n", "n_successes"), [(100, 50), (100, 10), (5_000, 10)])
def test_a_hundred_units_with_ten_outcomes_in_each_arm_are_enough(n: int, n_successes: int) -> None:
    arm = Sample.of_rate(n, n_successes)
    for other in (Sample.of_rate(n, n_successes), Sample.of_rate(5_000, 1_000)):
        for pair in ((arm, other), (other, arm)):
            low, high = compare(*pair, alpha=0.05, planned_units=1000).interval
            assert -inf < low < high < inf


def test_units_that_are_all_alike_decide_nothing() -> None:
    assert not compare(
        Sample.of_rate(500, 500), Sample.of_rate(500, 500), alpha=0.05, planned_units=1000
    ).is_decided


def test_a_difference_of_means_is_found_and_covered() -> None:
    rng = np.random.default_rng(1)
    arm, control = sample(rng.exponential(12, 5000).tolist()), sample(rng.exponential(10, 5000).tolist())
    found = compare(arm, control, alpha=0.05, planned_units=10_000)
    assert found.interval[0] < 2 < found.interval[1]
    assert found.is_decided


def test_repeated_looks_at_arms_that_are_alike_do_not_add_up() -> None:
    """200 experiments, 100 looks each: at most 5 % may ever be decided. A test for one look decides a third."""
    rng = np.random.default_rng(2)
    runs = rng.binomial(50, 0.1, (200, 2, 100)).cumsum(axis=2).tolist()
    n_decided = n_fooled = 0
    for first, second in runs:
        looks = [
            (Sample.of_rate(50 * n, a), Sample.of_rate(50 * n, b))
            for n, (a, b) in enumerate(zip(first, second, strict=True), 1)
        ]
        n_decided += any(compare(*look, alpha=0.05, planned_units=5000).is_decided for look in looks)
        n_fooled += any(
            abs(a.mean - b.mean) > 1.96 * sqrt(a.variance / a.n + b.variance / b.n)
            for a, b in looks
            if a.n >= 100
        )
    assert n_decided <= 20
    assert n_fooled >= 40


def test_a_rate_within_its_limit_is_seldom_ever_called_above_it() -> None:
    rng = np.random.default_rng(3)
    runs = rng.binomial(50, 0.01, (200, 200)).cumsum(axis=1).tolist()
    n_alarms = sum(
        any(excess_p_value(50 * n, bad, 0.01) < 0.05 for n, bad in enumerate(run, 1)) for run in runs
    )
    assert n_alarms <= 20


def test_what_is_grossly_bad_is_found_by_a_few_answers() -> None:
    """Two of two, where one in a thousand may be: a mixture that stopped at twice the limit would need eight."""
    assert excess_p_value(2, 2, 0.001) < 0.001


def test_a_rate_a_tenth_above_its_limit_is_found_with_time() -> None:
    assert excess_p_value(100_000, 2_200, 0.02) < 0.001


def test_a_limit_near_one_is_tested_against_halfway_from_it_to_one() -> None:
    assert excess_p_value(200, 200, 0.96) == pytest.approx((0.96 / 0.98) ** 200)


def test_a_rate_above_its_limit_is_found() -> None:
    assert excess_p_value(2000, 60, 0.01) < 1e-6
    assert excess_p_value(2000, 20, 0.01) == 1.0
    assert excess_p_value(200, 200, 0.99) < 0.9
    assert excess_p_value(10_000_000, 5_000_000, 0.01) == 0.0
