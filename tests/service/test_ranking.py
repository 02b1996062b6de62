"""Diversity and explanations on vectors whose right answer is plain to see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundle import read_bundle
from models.history import Event, History
from models.student import Student
from service.scoring.ranking import diversify, explain
from tests.support.bundles import tiny_bundle

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


@pytest.fixture
def student(tmp_path: Path) -> Student:
    return read_bundle(tiny_bundle(tmp_path)).load_student()


def test_reasons_are_the_own_items_of_the_same_block_and_the_drop_is_exact(student: Student) -> None:
    history = History.from_events([Event(2, 1), Event(3, 2)])
    [for_block_2, for_block_1] = explain(student, history, np.array([6, 1], np.int32))
    [reason] = for_block_2
    # The mean of two one-hot vectors is 1/2 in block 2, and 0 once item 2 is left out.
    assert reason.item_index == 2
    assert reason.contribution == pytest.approx(
        0.5 * float(student.item_vectors(np.array([6], np.int32)).max())
    )
    assert for_block_1 == []


def test_at_most_three_reasons_strongest_first(student: Student) -> None:
    history = History.from_events(Event(index, index) for index in (0, 4, 8, 12, 16, 1))
    [reasons] = explain(student, history, np.array([20], np.int32))
    assert len(reasons) == 3
    assert [reason.item_index for reason in reasons] == [16, 12, 8]  # equal drops: the latest first
    assert reasons[0].contribution >= reasons[2].contribution > 0


def test_nothing_to_explain_with(student: Student) -> None:
    assert explain(student, History.empty(), np.array([1, 2], np.int32)) == [[], []]
    assert explain(student, History.from_events([Event(1, 1)]), np.zeros(0, np.int32)) == []
