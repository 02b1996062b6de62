"""Metrics of lists and pairs, and intervals, against hand-computed cases and independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from training.metrics import metrics


@given(arrays(np.float32, 20, elements=st.integers(-3, 3).map(float)), st.integers(1, 19))
def test_auc_agrees_with_scikit_learn_ties_included(scores: metrics.Floats, n_positive: int) -> None:
    labels = np.arange(20) < n_positive
    assert metrics.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


@given(arrays(np.float32, 12, elements=st.integers(-3, 3).map(float)), st.integers(1, 11))
def test_no_threshold_classifies_better_than_the_best(scores: metrics.Floats, n_positive: int) -> None:
    labels = np.arange(12) < n_positive
    best = metrics.accuracy(scores, labels, metrics.best_threshold(scores, labels)).mean()
    others = [metrics.accuracy(scores, labels, cut).mean() for cut in np.arange(-2.5, 3.5)]
    assert best >= max(others)


def test_coverage_counts_distinct_items_and_not_the_gaps() -> None:
    assert metrics.coverage(np.array([[0, 1], [1, -1]], np.int32), 8) == 0.25


def test_novelty_is_the_mean_surprisal_in_bits() -> None:
    shares = np.array([1.0, 0.5, 0.125])
    assert metrics.novelty(np.array([[0, 1], [2, -1]], np.int32), shares) == pytest.approx((0 + 1 + 3) / 3)


def test_popularity_lift_is_zero_where_people_get_what_they_take() -> None:
    taken = np.array([0.1, 0.3])
    assert metrics.popularity_lift(taken, taken) == 0.0
    assert metrics.popularity_lift(np.array([0.5, 0.7]), taken) == pytest.approx(2.0)


@given(
    arrays(np.float32, (3, 12), elements=st.sampled_from([0.0, 1.0, 2.0, -np.inf])),
    st.integers(1, 14),
)
def test_top_items_are_the_head_of_a_plain_sort(scores: metrics.Floats, k: int) -> None:
    def sorted_in_python(own: metrics.Floats) -> list[int]:
        best = sorted(range(len(own)), key=lambda item: (-own[item], item))[:k]
        return [item if own[item] > -np.inf else -1 for item in best]

    assert metrics.top_items(scores, k).tolist() == [sorted_in_python(own) for own in scores]


def test_top_items_break_ties_by_index_and_leave_masked_items_out() -> None:
    top = metrics.top_items(np.array([[1.0, 3.0, 3.0, -np.inf]], np.float32), 4)
    np.testing.assert_array_equal(top, [[1, 2, 0, -1]])


def test_the_interval_holds_a_known_mean_and_excludes_zero_when_it_should() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1.0, 400)
    low, high = metrics.bootstrap_interval(differences, seed=1)
    assert 0.0 < low < differences.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * differences.std() / 20, rel=0.1)


def test_resamples_are_drawn_with_replacement_and_the_same_for_every_row() -> None:
    values = np.random.default_rng(0).normal(size=30)
    means = metrics.bootstrap_means(np.stack([values, 2 * values, np.ones(30)]), seed=4, n_resamples=250)
    assert means.shape == (3, 250)
    np.testing.assert_allclose(means[1], 2 * means[0])
    np.testing.assert_array_equal(means[2], 1.0)
    assert means[0].std() == pytest.approx(values.std() / np.sqrt(30), rel=0.15)


def test_each_person_is_drawn_as_often_as_any_other() -> None:
    shares = metrics.bootstrap_means(np.eye(5), seed=4).mean(axis=1)
    np.testing.assert_allclose(shares, 1 / 5, atol=0.02)


def test_intervals_agree_with_scipys_bootstrap() -> None:
    values = np.random.default_rng(2).gamma(2.0, size=200)
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(3)
    ).confidence_interval
    ours = metrics.bootstrap_interval(values, seed=5, n_resamples=4000)
    assert ours == pytest.approx((theirs.low, theirs.high), rel=0.02)
