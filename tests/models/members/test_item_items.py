from __future__ import annotations

import numpy as np
import pytest

from models.errors import BundleInconsistent
from models.history import Event, History
from models.members.item_items import FittedItemKNN
from models.members.member import Floats
from models.members.popularity import FittedPopularity
from models.members.rows import SparseRows


def history(*items: int) -> History:
    return History.from_events(Event(item, 1_000 + step) for step, item in enumerate(items))


def rows_of(matrix: Floats) -> SparseRows:
    is_entry = matrix != 0
    offsets = np.concatenate([[0], np.cumsum(is_entry.sum(axis=1))])
    return SparseRows(offsets, np.nonzero(is_entry)[1].astype(np.int32), matrix[is_entry], matrix.shape[1])


def test_a_score_is_the_recency_weighted_sum_over_the_history() -> None:
    matrix = np.array([[0, 10, 1], [100, 0, 5], [0, 0, 0]], np.float32)
    known = np.ones(3, np.bool_)
    scores = FittedItemKNN(matrix, known, 1.0).score([history(0, 1)])
    np.testing.assert_allclose(scores, [[100, 5, 0.5 * 1 + 5]])


def test_a_sparse_matrix_scores_like_the_dense_one() -> None:
    matrix = np.array([[0, 10, 1], [100, 0, 5], [0, 2, 0]], np.float32)
    histories, known = [history(0, 1), History.empty(), history(2)], np.array([True, True, False])
    dense = FittedItemKNN(matrix, known, 2.0).score(histories)
    np.testing.assert_allclose(FittedItemKNN(rows_of(matrix), known, 2.0).score(histories), dense)


def test_unknown_items_and_people_of_whom_nothing_is_known_are_nan() -> None:
    matrix, known = np.ones((3, 3), np.float32), np.array([True, True, False])
    scores = FittedItemKNN(matrix, known, 9.0).score([history(2), History.empty(), history(0, 2)])
    np.testing.assert_array_equal(np.isnan(scores), [[1, 1, 1], [1, 1, 1], [0, 0, 1]])


def test_rows_and_a_vector_multiply_like_the_matrix() -> None:
    matrix = np.array([[0, 10, 1], [0, 0, 0], [0, 2, 0]], np.float32)
    np.testing.assert_allclose(rows_of(matrix).times(np.array([1, 2, 3], np.float32)), [23, 0, 4])
    total, n_entries = rows_of(matrix).weighted_sum(np.array([2, 0], np.int32), np.array([3, 1], np.float32))
    np.testing.assert_allclose(total, [0, 16, 1])
    assert n_entries == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("columns", [1, 2, 3]), ("columns", [1, -2, 1]), ("offsets", [0, 2, 1, 3]), ("offsets", [0, 2, 2, 2])],
)
def test_entries_outside_of_the_matrix_are_refused(name: str, value: list[int]) -> None:
    arrays = rows_of(np.array([[0, 10, 1], [0, 0, 0], [0, 2, 0]], np.float32)).arrays()
    SparseRows.from_arrays(arrays, 3)
    with pytest.raises(BundleInconsistent):
        SparseRows.from_arrays(arrays | {name: np.array(value)}, 3)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_matrix_that_is_not_items_by_items_is_refused(is_sparse: bool) -> None:
    matrix = rows_of(np.ones((2, 3), np.float32)) if is_sparse else np.ones((3, 2), np.float32)
    member = FittedItemKNN(matrix, np.ones(3, np.bool_), 1.0)
    with pytest.raises(BundleInconsistent):
        FittedItemKNN.from_arrays(member.arrays())


def test_popularity_has_one_score_an_item() -> None:
    with pytest.raises(BundleInconsistent, match="one score an item"):
        FittedPopularity.from_arrays({"scores": np.ones((3, 2), np.float32)})
