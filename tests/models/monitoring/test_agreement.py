"""Rank correlation against scipy's, overlap of top tens, candidates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.monitoring.agreement import (
    N_CANDIDATES,
    draw_candidates,
    rank_correlations,
    top_items,
    top_overlaps,
)

NO_ITEMS = [np.zeros(0, np.int32)]


def test_correlations_are_scipys_with_ties() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 12, (3, 4, 50)).astype(np.float32)
    found = rank_correlations(scores)
    for request in range(4):
        for one, other in [(0, 1), (0, 2), (1, 2)]:
            expected = stats.spearmanr(scores[one, request], scores[other, request]).statistic
            assert found[request, one, other] == pytest.approx(expected, abs=1e-9)


def test_items_without_an_opinion_rank_behind_all() -> None:
    scores = np.array([[[3, np.nan, 1, 2]], [[3, -9, 1, 2]]], np.float32)
    assert rank_correlations(scores)[0, 0, 1] == pytest.approx(1.0)


def test_a_model_without_any_opinion_agrees_with_nobody() -> None:
    scores = np.array([[[np.nan] * 4], [[3, 0, 1, 2]]], np.float32)
    assert rank_correlations(scores)[0, 0, 1] == 0.0


def test_overlap_is_the_share_of_the_top_ten_in_common() -> None:
    one = np.arange(10)
    tops = np.stack([[one], [one[::-1] + 3], [np.full(10, -1)]])
    found = top_overlaps(tops)[0]
    assert found[0, 1] == found[1, 0] == pytest.approx(0.7)
    assert found[0, 2] == 0.0
    assert found[0, 0] == 1.0


def test_top_items_leave_out_what_has_no_score() -> None:
    scores = np.full((1, 20), np.nan, np.float32)
    scores[0, :6] = [6, 5, 4, 3, 2, 1]
    found = top_items(scores, np.ones(scores.shape[1], np.bool_), NO_ITEMS)
    assert found[0].tolist() == [0, 1, 2, 3, 4, 5, -1, -1, -1, -1]


def test_top_items_are_best_first_and_equal_ones_by_rising_index_as_an_answer_has_them() -> None:
    scores = np.tile(np.array([1.0, 2.0, 0.0], np.float32), 30)[None]
    found = top_items(scores, np.ones(90, np.bool_), NO_ITEMS)
    assert found[0].tolist() == [1, 4, 7, 10, 13, 16, 19, 22, 25, 28]


def test_what_is_not_available_is_neither_a_candidate_nor_in_a_list() -> None:
    available = np.arange(300) % 2 == 0
    scores = np.arange(300, dtype=np.float32)[None]
    assert available[draw_candidates(NO_ITEMS, available, [7])].all()
    assert available[top_items(scores, available, NO_ITEMS)].all()


def test_own_items_that_are_no_answers_are_in_no_list() -> None:
    scores = np.arange(30, dtype=np.float32)[None].repeat(2, axis=0)
    found = top_items(scores, np.ones(30, np.bool_), [np.array([29, 27], np.int32), NO_ITEMS[0]])
    assert found[:, :3].tolist() == [[28, 26, 25], [29, 28, 27]]


def test_candidates_are_unseen_and_the_same_for_the_same_request() -> None:
    seen = [np.arange(150, dtype=np.int32)]
    found = draw_candidates(seen, np.ones(300, np.bool_), [7])
    assert found.min() >= 150
    assert len(np.unique(found)) == N_CANDIDATES
    assert (found == draw_candidates(seen, np.ones(300, np.bool_), [7])).all()
    assert (found != draw_candidates(seen, np.ones(300, np.bool_), [8])).any()


@pytest.mark.parametrize("n_items", [20, 120])
def test_few_unseen_items_stand_twice_rather_than_seen_ones(n_items: int) -> None:
    seen = [np.arange(n_items - 5, dtype=np.int32)]
    found = draw_candidates(seen, np.ones(n_items, np.bool_), [0])
    assert set(found[0].tolist()) <= set(range(n_items - 5, n_items))
