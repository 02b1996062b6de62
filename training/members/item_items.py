"""What item-item models share: each history item supports other items, and a person's score sums over their items.

Item-kNN and EASE differ only in how they compute the (n_items, n_items) matrix: its rows are history items, its
columns the items that are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import sparse

from models.history import History
from models.members.rows import SparseRows
from models.packed_histories import Histories
from training.members.member import Floats
from training.members.recency import recency_matrix, sparse_rows, visit_matrix

ROWS_AT_ONCE = 512
"""Number of history items whose co-occurrence is in memory at once: at most 512 x n_items entries of 8 bytes."""

NEGLIGIBLE = 1e-6
"""Weight below which an event is ignored: without this bound, the ratio of two weights could be any number."""


def visits_and_people(
    histories: Histories | Sequence[History], n_items: int, *, half_life: float, person_weight: float
) -> sparse.csr_matrix:
    """Build one row per visit and, below, one row per person, weighted by recency times `person_weight`.

    Items of one visit belong closer together than items of one year. Returns (n_visits + n_people, n_items) float32.
    """
    people = recency_matrix(histories, n_items, half_life)
    return sparse.csr_matrix(sparse.vstack([visit_matrix(histories, n_items), person_weight * people]))


def similar_items(
    user_items: sparse.csr_matrix, n_neighbours: int, *, shrinkage: float, popularity_power: float
) -> sparse.csr_matrix:
    """Find each item's `n_neighbours` most similar others by shrunk asymmetric cosine; (n_items, n_items) float32.

    The similarity is together / (alone_row ** (1 - p) * alone_column ** p + shrinkage), where p = popularity_power,
    `alone` is the sum of an item's squared weights, and `together` the sum of two items' products. p = 0.5 is the
    cosine. Ties go to the lower column. An item that nobody took together with another one has an empty row.
    """
    user_items = user_items.astype(np.float32)
    user_items.data[user_items.data < NEGLIGIBLE] = 0.0
    user_items.eliminate_zeros()
    item_users = user_items.T.tocsr()
    alone = np.asarray(user_items.multiply(user_items).sum(axis=0)).ravel()
    row_norms, column_norms = alone ** (1.0 - popularity_power), alone**popularity_power
    parts = []
    for start in range(0, len(alone), ROWS_AT_ONCE):
        together = (item_users[start : start + ROWS_AT_ONCE] @ user_items).tocoo()
        rows, columns = together.row + start, together.col
        similarities = together.data / (row_norms[rows] * column_norms[columns] + shrinkage)
        similarities[rows == columns] = 0.0  # an item must not recommend itself
        part = sparse.csr_matrix((similarities, (together.row, columns)), shape=together.shape)
        parts.append(strongest_of_rows(part, n_neighbours))
    return sparse.csr_matrix(sparse.vstack(parts))


def strongest_of_rows(matrix: sparse.csr_matrix, n_kept: int) -> sparse.csr_matrix:
    """Keep each row's `n_kept` largest nonzero entries, ties to the lower column; the shape stays the same."""
    matrix = matrix.copy()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    kept = [
        start + np.sort(np.argsort(-matrix.data[start:stop], kind="stable")[:n_kept])
        for start, stop in pairwise(matrix.indptr)
    ]
    offsets = np.cumsum([0, *map(len, kept)])
    entries = np.concatenate(kept)
    return sparse.csr_matrix((matrix.data[entries], matrix.indices[entries], offsets), shape=matrix.shape)


def run_time_matrix(item_items: Floats | sparse.csr_matrix) -> Floats | SparseRows:
    """Convert an item-item matrix into the form that members run with, without copying."""
    return sparse_rows(item_items) if sparse.issparse(item_items) else item_items
