"""Metrics against hand-computed cases and independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap
from sklearn.metrics import ndcg_score, roc_auc_score

from training.evaluation import metrics


def scores_of(*values: float) -> metrics.Floats:
    return np.array(values, np.float32)


def test_ranks_count_from_one() -> None:
    ranks = metrics.expected_ranks(scores_of(0.1, 0.9, 0.5), np.array([1, 2, 0], np.int32))
    np.testing.assert_array_equal(ranks, [1.0, 2.0, 3.0])


def test_tied_items_share_their_expected_rank() -> None:
    ranks = metrics.expected_ranks(scores_of(1.0, 1.0, 1.0, 0.0), np.array([0, 2, 3], np.int32))
    np.testing.assert_array_equal(ranks, [2.0, 2.0, 4.0])


def test_a_model_that_scores_all_alike_gets_the_middle_rank() -> None:
    assert metrics.expected_ranks(np.zeros(99, np.float32), np.array([7], np.int32))[0] == 50.0


def test_ranks_against_negatives_count_only_those_and_oneself() -> None:
    ranks = metrics.ranks_against(scores_of(5.0, 1.0, 3.0), scores_of(4.0, 3.0, 2.0))
    np.testing.assert_array_equal(ranks, [1.0, 4.0, 2.5])


def test_each_score_is_ranked_against_its_own_negatives() -> None:
    negatives = np.array([[4.0, 3.0], [0.0, 2.0], [3.0, 3.0]], np.float32)
    ranks = metrics.ranks_against(scores_of(5.0, 1.0, 3.0), negatives)
    np.testing.assert_array_equal(ranks, [1.0, 2.0, 2.0])


def test_hit_rate_and_ndcg_of_one_by_hand() -> None:
    ranks = np.array([1.0, 3.0, 11.0])
    np.testing.assert_array_equal(metrics.hit_rate(ranks, 10), [1.0, 1.0, 0.0])
    np.testing.assert_allclose(metrics.ndcg_of_one(ranks, 10), [1.0, 0.5, 0.0])


def test_recall_divides_by_what_fits_into_the_list() -> None:
    assert metrics.recall_at(np.array([1.0, 5.0, 30.0]), 20) == pytest.approx(2 / 3)
    assert metrics.recall_at(np.arange(1.0, 41.0), 20) == 1.0


def test_ndcg_by_hand() -> None:
    gain, ideal = 1.0 + 1 / np.log2(4), 1.0 + 1 / np.log2(3)
    assert metrics.ndcg_at(np.array([1.0, 3.0]), 20) == pytest.approx(gain / ideal)


@given(
    arrays(np.float32, 30, elements=st.floats(-4, 4, width=16), unique=True),
    st.sets(st.integers(0, 29), min_size=1, max_size=30),
)
def test_ndcg_agrees_with_scikit_learn(scores: metrics.Floats, relevant: set[int]) -> None:
    chosen = np.array(sorted(relevant), np.int32)
    truth = np.zeros((1, 30))
    truth[0, chosen] = 1.0
    ours = metrics.ndcg_at(metrics.expected_ranks(scores, chosen), 10)
    assert ours == pytest.approx(ndcg_score(truth, scores[None, :], k=10))


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


def test_intervals_agree_with_scipys_bootstrap() -> None:
    values = np.random.default_rng(2).gamma(2.0, size=200)
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(3)
    ).confidence_interval
    ours = metrics.bootstrap_interval(values, seed=5, n_resamples=4000)
    assert ours == pytest.approx((theirs.low, theirs.high), rel=0.02)
