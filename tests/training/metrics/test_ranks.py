"""Expected gains under ties: by hand, by every order there is, by random tie breaking, and against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import ndcg_score

from training.metrics.ranks import (
    Floats,
    TiedRanks,
    any_hit,
    capped_recall_at,
    expected_gain,
    hit_rate,
    ndcg_at,
    ndcg_of_one,
    ranks_against,
    ranks_among,
    recall_at,
)

Ranking = list[int]
FEW_LEVELS = arrays(np.float32, 6, elements=st.sampled_from([0.0, 1.0, 2.0]))
"""Scores of six items with three levels: every draw has a tie, and its orders can be enumerated."""


def scores_of(*values: float) -> Floats:
    return np.array(values, np.float32)


def ranks_of(*values: float) -> TiedRanks:
    """Ranks that are certain."""
    return TiedRanks(np.array(values, np.int64) - 1, np.ones(len(values), np.int64))


def orders_of(scores: Floats) -> Iterator[Ranking]:
    """Every ranking that falls with the scores, equally often."""
    for order in permutations(range(len(scores))):
        if all(scores[one] >= scores[other] for one, other in pairwise(order)):
            yield list(order)


def mean_over_orders(scores: Floats, gain: Callable[[Ranking], float]) -> float:
    return float(np.mean([gain(order) for order in orders_of(scores)]))


def test_ranks_count_from_one() -> None:
    ranks = ranks_among(scores_of(0.1, 0.9, 0.5), np.array([1, 2, 0], np.int32))
    np.testing.assert_array_equal(ranks.mean(), [1.0, 2.0, 3.0])


def test_tied_items_share_their_ranks() -> None:
    ranks = ranks_among(scores_of(1.0, 1.0, 1.0, 0.0), np.array([0, 2, 3], np.int32))
    assert (ranks.n_above.tolist(), ranks.n_tied.tolist()) == ([0, 0, 3], [3, 3, 1])


def test_ranks_against_negatives_count_only_those_and_oneself() -> None:
    ranks = ranks_against(scores_of(5.0, 1.0, 3.0), scores_of(4.0, 3.0, 2.0))
    assert (ranks.n_above.tolist(), ranks.n_tied.tolist()) == ([0, 3, 1], [1, 1, 2])


def test_each_score_stands_against_its_own_negatives() -> None:
    negatives = np.array([[4.0, 3.0], [0.0, 2.0], [3.0, 3.0]], np.float32)
    ranks = ranks_against(scores_of(5.0, 1.0, 3.0), negatives)
    np.testing.assert_array_equal(ranks.mean(), [1.0, 2.0, 2.0])


def test_hit_rate_and_ndcg_of_one_by_hand() -> None:
    np.testing.assert_array_equal(hit_rate(ranks_of(1, 3, 11), 10), [1.0, 1.0, 0.0])
    np.testing.assert_allclose(ndcg_of_one(ranks_of(1, 3, 11), 10), [1.0, 0.5, 0.0])


def test_a_model_that_scores_all_alike_gets_what_chance_gives() -> None:
    ranks = ranks_against(np.zeros(1, np.float32), np.zeros(99, np.float32))
    assert hit_rate(ranks, 10)[0] == pytest.approx(0.1)
    assert ndcg_of_one(ranks, 10)[0] == pytest.approx(
        sum(1 / np.log2(1 + rank) for rank in range(1, 11)) / 100
    )


def test_recall_divides_by_all_that_is_relevant() -> None:
    assert recall_at(ranks_of(1, 5, 30), 20) == pytest.approx(2 / 3)
    assert recall_at(ranks_of(*range(1, 41)), 20) == 0.5


def test_capped_recall_divides_by_what_fits_into_the_list() -> None:
    assert capped_recall_at(ranks_of(1, 5, 30), 20) == pytest.approx(2 / 3)
    assert capped_recall_at(ranks_of(*range(1, 41)), 20) == 1.0


def test_ndcg_by_hand() -> None:
    gain, ideal = 1.0 + 1 / np.log2(4), 1.0 + 1 / np.log2(3)
    assert ndcg_at(ranks_of(1, 3), 20) == pytest.approx(gain / ideal)


def test_joined_ranks_are_split_again() -> None:
    joined = TiedRanks.joined([ranks_of(1, 4), ranks_of(2)])
    first, others = joined.split(2)
    assert (first.mean().tolist(), others.mean().tolist()) == ([1.0, 4.0], [2.0])


@given(FEW_LEVELS, st.sets(st.integers(0, 5), min_size=1), st.integers(1, 7))
def test_every_gain_is_its_mean_over_all_orders_of_tied_items(
    scores: Floats, relevant: set[int], k: int
) -> None:
    chosen = np.array(sorted(relevant), np.int32)
    ranks = ranks_among(scores, chosen)

    def n_hits(order: Ranking) -> int:
        return len(relevant & set(order[:k]))

    def dcg(order: Ranking) -> float:
        return sum(1 / np.log2(2 + place) for place, item in enumerate(order[:k]) if item in relevant)

    ideal = dcg([*sorted(relevant), *sorted(set(range(6)) - relevant)])
    assert recall_at(ranks, k) == pytest.approx(mean_over_orders(scores, n_hits) / len(relevant))
    assert capped_recall_at(ranks, k) == pytest.approx(
        mean_over_orders(scores, n_hits) / min(len(relevant), k)
    )
    assert any_hit(ranks, k) == pytest.approx(
        mean_over_orders(scores, lambda order: float(n_hits(order) > 0))
    )
    assert ndcg_at(ranks, k) == pytest.approx(mean_over_orders(scores, dcg) / ideal)
    for row, item in enumerate(chosen.tolist()):
        hit = mean_over_orders(scores, lambda order, item=item: float(item in order[:k]))  # type: ignore[misc]
        reciprocal = mean_over_orders(scores, lambda order, item=item: 1 / (1 + order.index(item)))  # type: ignore[misc]
        assert hit_rate(ranks, k)[row] == pytest.approx(hit)
        assert expected_gain(ranks, 1 / np.arange(1, 7))[row] == pytest.approx(reciprocal)


@given(
    arrays(np.float32, 30, elements=st.integers(-2, 2).map(float)),
    st.sets(st.integers(0, 29), min_size=1, max_size=30),
    st.integers(1, 31),
)
def test_ndcg_under_ties_agrees_with_scikit_learn(scores: Floats, relevant: set[int], k: int) -> None:
    chosen = np.array(sorted(relevant), np.int32)
    truth = np.zeros((1, 30))
    truth[0, chosen] = 1.0
    assert ndcg_at(ranks_among(scores, chosen), k) == pytest.approx(ndcg_score(truth, scores[None, :], k=k))


@pytest.mark.parametrize("seed", range(3))
def test_gains_agree_with_ties_that_are_broken_at_random(seed: int) -> None:
    """A tie of hundreds, as of a member without an opinion of most of the catalogue, has too many orders to list."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, 400).astype(np.float32)
    chosen = rng.choice(400, 17, replace=False).astype(np.int32)
    ranks = ranks_among(scores, chosen)
    n_draws = 4_000
    broken = scores + rng.random((n_draws, 400))  # less than the steps between scores
    drawn_ranks = 1 + (broken[:, :, None] > broken[:, None, chosen]).sum(axis=1)  # (n_draws, 17)
    hits, gains = drawn_ranks <= 20, np.where(drawn_ranks <= 20, 1 / np.log2(1 + drawn_ranks), 0.0)
    ideal = (1 / np.log2(np.arange(2, 19))).sum()
    for ours, drawn in (
        (recall_at(ranks, 20), hits.mean(axis=1)),
        (any_hit(ranks, 20), hits.any(axis=1).astype(float)),
        (ndcg_at(ranks, 20), gains.sum(axis=1) / ideal),
    ):
        assert ours == pytest.approx(drawn.mean(), abs=4 * drawn.std() / n_draws**0.5 + 1e-9)
