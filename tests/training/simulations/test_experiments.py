from __future__ import annotations

import pytest
from scipy.stats import binomtest

from training.quality.simulated import ExperimentsStudy
from training.simulations.experiments.study import (
    StudySettings,
    fixed_units,
    share_interval,
    shares_by_units,
    study,
)


@pytest.fixture(scope="module")
def figures() -> ExperimentsStudy:
    """A study of a few hundred small experiments with large effects."""
    settings = StudySettings(
        n_aa_runs=120,
        n_lift_runs=20,
        n_srm_runs=20,
        aa_units=4000,
        lift_units=20_000,
        srm_units=20_000,
        look_every=100,
        lift=0.3,
        lost=0.2,
    )
    return study(settings, lambda share, words: None)


def test_experiments_without_a_difference_are_stopped_no_oftener_than_stated(
    figures: ExperimentsStudy,
) -> None:
    for cause in ("decided", "mismatched", "guarded"):
        stopped = getattr(figures.aa, cause)
        assert binomtest(stopped.n_stopped, 120, stopped.stated, "greater").pvalue > 0.001


def test_a_test_for_one_look_stops_them_far_oftener(figures: ExperimentsStudy) -> None:
    assert figures.aa.one_look.interval[0] > figures.aa.one_look.stated


def test_a_lift_is_found_the_right_way_round_and_covered(figures: ExperimentsStudy) -> None:
    lift = figures.lift
    assert lift.n_found == 20
    assert lift.n_wrong == 0
    assert lift.n_covered >= 18
    assert lift.median_units < 20_000


def test_a_bug_that_loses_units_is_caught(figures: ExperimentsStudy) -> None:
    assert figures.srm.n_found == 20
    assert figures.srm.median_units < 10_000


def test_the_same_seed_makes_the_same_figures() -> None:
    few = StudySettings(3, 2, 2, 1000, 2000, 2000)
    assert study(few, lambda share, words: None) == study(few, lambda share, words: None)


def test_shares_rise_with_units() -> None:
    assert shares_by_units([5, None, 10], 100) == {"10": pytest.approx(2 / 3)} | {
        str(units): pytest.approx(2 / 3) for units in range(20, 101, 10)
    }


@pytest.mark.parametrize("n", [0, 3, 50, 100])
def test_the_interval_of_a_share_is_scipys(n: int) -> None:
    expected = binomtest(n, 100).proportion_ci(0.95, "exact")
    assert share_interval(n, 100) == pytest.approx((expected.low, expected.high))


def test_units_of_a_single_look_are_the_textbooks() -> None:
    """16 s² / d² an arm (Lehr), for 80 % power at 5 %; 15.7 exactly."""
    assert fixed_units(0.5, 0.1, 0.05) == pytest.approx(2 * 15.7 * 0.25 / 0.05**2, rel=0.02)
