"""What is watched for drift: numbers of a request, and the bins that they fall into."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring import inputs


@pytest.mark.parametrize(
    ("moment", "last", "days"), [(86_400, 0, 1.0), (129_600, 86_400, 0.5), (10, 4_000, 0.0)]
)
def test_recency_is_in_days_and_an_event_of_tomorrow_is_of_now(
    moment: float, last: float, days: float
) -> None:
    assert inputs.recency_days(moment, last) == days


def test_an_answer_of_ten_items_tells_its_best_score_and_how_far_the_tenth_lies_below() -> None:
    scores = np.arange(20.0, 0.0, -1.0, dtype=np.float32)
    assert inputs.answer_scores(scores) == (20.0, 9.0)
    assert inputs.answer_scores(scores[:10]) == (20.0, 9.0)
    assert inputs.answer_scores(scores[:9]) is None


def test_bins_of_scores_hold_a_tenth_each() -> None:
    scores = np.random.default_rng(0).normal(size=1_000)
    counts, _ = np.histogram(scores, inputs.score_edges(scores))
    assert counts.tolist() == [100] * 10


def test_scores_that_are_one_or_none_have_edges_all_the_same() -> None:
    assert inputs.score_edges(np.zeros(0)) == [0.0, 1.0]
    assert inputs.score_edges(np.ones(5)) == [1.0]


def test_bins_of_ranks_grow_by_one_factor() -> None:
    edges = inputs.popularity_edges(10**9)
    assert (edges[0], edges[1], edges[-1], len(edges)) == (0.0, 1.0, 1e9, 11)
    assert np.divide(edges[2:], edges[1:-1]) == pytest.approx(10.0)


def test_the_most_popular_item_has_rank_nought_and_equals_keep_their_order() -> None:
    assert inputs.popularity_ranks(np.array([1, 5, 5, 9], np.float32)).tolist() == [3, 1, 2, 0]
