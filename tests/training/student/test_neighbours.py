"""Strongest neighbours of a matrix whose order is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from training.student import neighbours as neighbours_module
from training.student.neighbours import STARTING_LOGITS, strongest_neighbours

MATRIX = np.array(
    [[9, 3, 2, 1], [0, 0, 4, -7], [0, 0, 0, 0], [-1, -2, -3, 5]], np.float32
)  # the diagonal says nothing


def pairs(matrix: object, n_neighbours: int) -> list[dict[int, float]]:
    """Per item its neighbours with weights, in units of the matrix."""
    found = strongest_neighbours(matrix, n_neighbours)  # type: ignore[arg-type]
    per_unit = STARTING_LOGITS / 3.5  # the strongest have 3 and 4
    return [
        {int(item): round(float(weight / per_unit), 4) for item, weight in zip(*row, strict=True) if weight}
        for row in zip(found.item_indices, found.weights, strict=True)
    ]


@pytest.mark.parametrize("matrix", [MATRIX, sparse.csr_matrix(MATRIX)], ids=["dense", "sparse"])
def test_largest_positive_entries_off_the_diagonal_are_kept(matrix: object) -> None:
    assert pairs(matrix, 2) == [{1: 3.0, 2: 2.0}, {2: 4.0}, {}, {}]


def test_strongest_neighbours_start_at_the_same_mean_whatever_the_scale() -> None:
    one, other = strongest_neighbours(MATRIX, 2), strongest_neighbours(MATRIX * 1e-3, 2)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-5)
    assert one.weights[:2].max(axis=1).mean() == pytest.approx(STARTING_LOGITS)


def test_missing_neighbours_are_item_0_with_weight_0() -> None:
    found = strongest_neighbours(MATRIX, 6)
    assert found.item_indices.shape == found.weights.shape == (4, 6)
    assert found.item_indices[2].tolist() == [0] * 6
    assert not found.weights[2:].any()


def test_no_neighbours_may_be_requested() -> None:
    assert strongest_neighbours(MATRIX, 0).weights.shape == (4, 0)


def test_blocks_of_rows_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32)
    expected = pairs(matrix, 5)
    monkeypatch.setattr(neighbours_module, "ROWS_AT_ONCE", 7)
    assert pairs(matrix, 5) == expected
