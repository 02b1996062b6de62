"""The two-sample test against scipy's, and the stability index against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.monitoring.drift import chi_square_p_value
from models.monitoring.two_sample import population_stability_index


@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(7))
    reference, live = rng.multinomial(4_000, shares), rng.multinomial(600, rng.dirichlet(60 * shares))
    expected = stats.chi2_contingency(np.stack([reference, live]), correction=False)
    assert chi_square_p_value(reference, live) == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_design_effect_divides_the_statistic() -> None:
    reference, live = np.array([500, 300, 200]), np.array([60, 20, 20])
    plain = stats.chi2_contingency(np.stack([reference, live]), correction=False)
    assert chi_square_p_value(reference, live, 3.0) == pytest.approx(stats.chi2.sf(plain.statistic / 3, 2))


def test_fewer_tail_degrees_keep_the_mean_and_make_the_tail_heavier() -> None:
    reference, live = np.array([500, 300, 200, 100, 100]), np.array([70, 20, 10, 5, 5])
    plain = stats.chi2_contingency(np.stack([reference, live]), correction=False)
    expected = stats.gamma.sf(plain.statistic, a=1.5 / 2, scale=2 * 4 / 1.5)  # mean 4, as of 4 degrees
    found = chi_square_p_value(reference, live, tail_degrees=1.5)
    assert found == pytest.approx(expected)
    assert found > plain.pvalue


def test_bins_that_nobody_has_ever_filled_count_for_nothing() -> None:
    reference, live = np.array([500, 0, 200]), np.array([60, 0, 40])
    expected = stats.chi2_contingency([[500, 200], [60, 40]], correction=False)
    assert chi_square_p_value(reference, live) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("reference", "live"), [([5, 5], [0, 0]), ([0, 0], [3, 4]), ([9, 0], [4, 0])])
def test_nothing_to_compare_is_no_difference(reference: list[int], live: list[int]) -> None:
    assert chi_square_p_value(np.array(reference), np.array(live)) == 1.0


def test_the_stability_index_is_its_definition() -> None:
    reference, live = np.array([70_000, 20_000, 10_000]), np.array([50_000, 20_000, 30_000])
    expected = (0.5 - 0.7) * np.log(0.5 / 0.7) + (0.3 - 0.1) * np.log(0.3 / 0.1)
    assert population_stability_index(reference, live) == pytest.approx(expected, rel=1e-3)
    assert population_stability_index(reference, reference) == 0.0


def test_half_an_observation_stands_in_each_bin() -> None:
    expected = (3.5 / 8 - 9.5 / 11) * np.log(3.5 / 8 / (9.5 / 11)) + (4.5 / 8 - 1.5 / 11) * np.log(
        4.5 / 8 / (1.5 / 11)
    )
    assert population_stability_index(np.array([9, 1]), np.array([3, 4])) == pytest.approx(expected)


def test_an_empty_bin_makes_a_large_index_and_not_an_infinite_one() -> None:
    assert 0.25 < population_stability_index(np.array([1_000, 0]), np.array([500, 500])) < 10
