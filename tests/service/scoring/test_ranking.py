"""Diversity on vectors whose right answer is plain to see."""

from __future__ import annotations

import numpy as np

from service.scoring.ranking import diversify

VECTORS = np.array([[1, 0], [1, 0.01], [0, 1], [1, 0]], np.float32)
SCORES = np.array([4, 3, 2, 1], np.float32)


def test_no_diversity_keeps_the_order() -> None:
    assert diversify(VECTORS, SCORES, 4, 0.0).tolist() == [0, 1, 2, 3]


def test_diversity_brings_the_unlike_item_forward() -> None:
    assert diversify(VECTORS, SCORES, 3, 0.5).tolist() == [0, 2, 1]


def test_full_diversity_looks_at_likeness_alone_after_the_first() -> None:
    assert diversify(VECTORS, SCORES, 2, 1.0).tolist() == [0, 2]


def test_equal_items_stay_in_rank_order() -> None:
    same = np.ones((5, 2), np.float32)
    assert diversify(same, np.ones(5, np.float32), 5, 0.5).tolist() == [0, 1, 2, 3, 4]


def test_pool_smaller_than_the_limit_and_an_empty_one() -> None:
    assert diversify(VECTORS[:2], SCORES[:2], 10, 0.5).tolist() == [0, 1]
    assert diversify(VECTORS[:0], SCORES[:0], 10, 0.5).tolist() == []
