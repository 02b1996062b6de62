from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss

from training.ensemble.calibration import Calibration, balanced_weights, brier_score, reliability


def test_the_rate_of_the_pairs_is_undone() -> None:
    # One in a hundred was taken; a logit of that rate knows nothing, so it is even odds.
    calibration = Calibration.of_rate(1, 99)
    knows_nothing = np.array([np.log(1 / 99)], np.float32)
    np.testing.assert_allclose(calibration.probability(knows_nothing), [0.5], atol=1e-6)


def test_fitting_finds_slope_and_intercept() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 50, 40_000).astype(np.float32)
    labels = rng.random(len(logits)) < expit(0.04 * logits + 0.7)
    found = Calibration.fitted_on(logits, labels, np.ones(len(logits)))
    assert found.slope == pytest.approx(0.04, rel=0.05)
    assert found.intercept == pytest.approx(0.7, abs=0.05)


def test_weights_move_the_intercept_as_the_rate_does() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(-3, 1, 40_000).astype(np.float32)
    labels = rng.random(len(logits)) < expit(logits)
    n_taken, n_others = int(labels.sum()), int((~labels).sum())
    found = Calibration.fitted_on(logits, labels, np.where(labels, 1.0, n_taken / n_others))
    assert found.slope == pytest.approx(1.0, abs=0.05)
    assert found.intercept == pytest.approx(Calibration.of_rate(n_taken, n_others).intercept, abs=0.15)


def test_what_is_masked_has_no_probability() -> None:
    assert Calibration(2.0, 1.0).probability(np.array([-np.inf], np.float32)) == [0.0]


def test_bins_hold_equally_many_pairs() -> None:
    probabilities = np.arange(20) / 20
    found = reliability(probabilities, np.arange(20) % 2 == 0, n_bins=4)
    np.testing.assert_array_equal(found.n_pairs, [5, 5, 5, 5])
    np.testing.assert_allclose(found.predicted, [0.1, 0.35, 0.6, 0.85])
    np.testing.assert_allclose(found.observed, [0.6, 0.4, 0.6, 0.4])


def test_equal_probabilities_share_a_bin() -> None:
    # Split by order, the positives of these ties would fill one bin and the negatives another.
    found = reliability(np.full(20, 0.5), np.arange(20) < 10)
    np.testing.assert_array_equal(found.n_pairs, [20])
    assert found.ece == 0.0


def test_the_calibration_error_is_a_mean_over_pairs() -> None:
    probabilities = np.array([0.2, 0.2, 0.2, 0.9])
    found = reliability(probabilities, np.array([True, False, False, True]), n_bins=2)
    assert found.ece == pytest.approx(0.75 * (1 / 3 - 0.2) + 0.25 * 0.1)


def test_the_brier_score_equals_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.random(100), rng.random(100) < 0.3
    assert brier_score(probabilities, labels) == pytest.approx(brier_score_loss(labels, probabilities))


def test_each_persons_others_weigh_as_much_as_what_they_took() -> None:
    labels = np.array([True, False, False, True, True, False])
    people = np.array([4, 4, 4, 9, 9, 9])
    np.testing.assert_array_equal(balanced_weights(labels, people), [1, 0.5, 0.5, 1, 1, 2])


def test_a_person_with_one_label_weighs_nothing() -> None:
    labels = np.array([True, True, False])
    np.testing.assert_array_equal(balanced_weights(labels, np.array([1, 1, 2])), [0, 0, 0])
