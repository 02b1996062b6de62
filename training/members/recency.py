"""Recency-weighted sparse matrices on which members are fitted (models/members/recency.py computes the weights)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from models.history import STRENGTHS, History
from models.members.recency import ALIKE, Floats, packed, recency_weights, visit_numbers_of_all
from models.members.rows import SparseRows
from models.packed_histories import Histories


def recency_matrix(
    histories: Histories | Sequence[History],
    n_items: int,
    half_life: float,
    *,
    visit_decay: float = 1.0,
    evidence: Floats = ALIKE,
) -> sparse.csr_matrix:
    """Build each person's row of distinct items, weighted as `recency_weights` says.

    Returns (n_people, n_items) float32 with rows in the order of `histories`.
    """
    own = recency_weights(histories, half_life, visit_decay=visit_decay, evidence=evidence)
    return sparse.csr_matrix((own.weights, own.item_indices, own.offsets), shape=(len(own), n_items))


def sparse_rows(matrix: sparse.csr_matrix) -> SparseRows:
    """Convert a matrix into the form that members run with; its entries are not copied."""
    return SparseRows(matrix.indptr, matrix.indices, matrix.data, matrix.shape[1])


def visit_matrix(
    histories: Histories | Sequence[History], n_items: int, *, evidence: Floats = ALIKE
) -> sparse.csr_matrix:
    """Build a matrix of the items of each visit, weighted by the strongest thing that was done with each.

    evidence: as in `recency_weights`; visits of which nothing is read have empty rows, so that matrices with other
    evidence have the same rows. Returns (n_visits, n_items) float32, person by person.
    """
    events = packed(histories)
    row = visit_numbers_of_all(events)
    n_visits = int(row[-1]) + 1 if len(row) else 0
    read = np.flatnonzero(evidence[events.kinds])
    row, items, kinds = row[read], events.item_indices[read], events.kinds[read]
    order = np.lexsort((STRENGTHS[kinds], items, row))
    row, items, kinds = row[order], items[order], kinds[order]
    is_strongest = np.ones(len(row), np.bool_)
    is_strongest[:-1] = (row[1:] != row[:-1]) | (items[1:] != items[:-1])
    weights = evidence[kinds[is_strongest]]
    return sparse.csr_matrix((weights, (row[is_strongest], items[is_strongest])), shape=(n_visits, n_items))
