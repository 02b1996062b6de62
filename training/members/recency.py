"""Recency-weighted sparse matrices on which members are fitted (models/members/recency.py computes the weights)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from models.history import History
from models.members.recency import packed, recency_weights, visit_numbers_of_all
from models.members.rows import SparseRows
from models.packed_histories import Histories


def recency_matrix(
    histories: Histories | Sequence[History], n_items: int, half_life: float, *, visit_decay: float = 1.0
) -> sparse.csr_matrix:
    """Build each person's row of distinct items, weighted 0.5 ** (age / half_life) * visit_decay ** (visits since).

    age: how many distinct items the person touched later. half_life: in items, > 0; inf gives all the same weight.
    visit_decay: in [0, 1]; 0 keeps only the last visit. Returns (n_people, n_items) float32 with rows in the order
    of `histories`.
    """
    own = recency_weights(histories, half_life, visit_decay=visit_decay)
    return sparse.csr_matrix((own.weights, own.item_indices, own.offsets), shape=(len(own), n_items))


def sparse_rows(matrix: sparse.csr_matrix) -> SparseRows:
    """Convert a matrix into the form that members run with; its entries are not copied."""
    return SparseRows(matrix.indptr, matrix.indices, matrix.data, matrix.shape[1])


def visit_matrix(histories: Histories | Sequence[History], n_items: int) -> sparse.csr_matrix:
    """Build a matrix with ones for the items of each visit; (n_visits, n_items) float32, person by person."""
    events = packed(histories)
    row = visit_numbers_of_all(events)
    n_visits = int(row[-1]) + 1 if len(row) else 0
    ones = np.ones(len(row), np.float32)
    counted = sparse.csr_matrix((ones, (row, events.item_indices)), shape=(n_visits, n_items))
    counted.data[:] = 1.0
    return counted
