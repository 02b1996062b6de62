"""What item-item models share: each history item supports other items, and a person's score sums over their items.

Item-kNN and EASE differ only in how they compute the (n_items, n_items) matrix: its rows are history items, its
columns the items that are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

from models.history import History
from models.members.recency import ALIKE
from models.members.rows import SparseRows
from models.packed_histories import Histories
from training.data.dataset import Interactions
from training.members.member import Floats
from training.members.recency import recency_matrix, sparse_rows, visit_matrix

ROWS_AT_ONCE = 512
"""Number of history items whose co-occurrence is in memory at once: at most 512 x n_items entries of 8 bytes."""

NEGLIGIBLE = 1e-6
"""Weight below which an event is ignored: without this bound, the ratio of two weights could be any number."""


class Together(NamedTuple):
    """The same rows twice: what is known of each, and what of it is to be predicted; (n_rows, n_items) both.

    targets is the very same matrix as evidence where there are only target events.
    """

    evidence: sparse.csr_matrix
    targets: sparse.csr_matrix


def taken_together(interactions: Interactions, make: Callable[[Floats], sparse.csr_matrix]) -> Together:
    """Make both matrices of interactions. make: from the weights of kinds of events to a matrix."""
    evidence = make(interactions.evidence.weights)
    if interactions.has_targets_alone:
        return Together(evidence, evidence)
    return Together(evidence, make(interactions.evidence.of_targets))


def visits_and_people(
    histories: Histories | Sequence[History],
    n_items: int,
    *,
    half_life: float,
    person_weight: float,
    evidence: Floats = ALIKE,
) -> sparse.csr_matrix:
    """Build one row per visit and, below, one row per person, weighted by recency times `person_weight`.

    Items of one visit belong closer together than items of one year. Returns (n_visits + n_people, n_items) float32.
    """
    people = recency_matrix(histories, n_items, half_life, evidence=evidence)
    visits = visit_matrix(histories, n_items, evidence=evidence)
    return sparse.csr_matrix(sparse.vstack([visits, person_weight * people]))


def similar_items(
    user_items: sparse.csr_matrix,
    n_neighbours: int,
    *,
    shrinkage: float,
    popularity_power: float,
    targets: sparse.csr_matrix | None = None,
) -> sparse.csr_matrix:
    """Find each item's `n_neighbours` most similar others by shrunk asymmetric cosine; (n_items, n_items) float32.

    The similarity is together / (alone_row ** (1 - p) * alone_column ** p + shrinkage), where p = popularity_power,
    `alone` is the sum of an item's squared weights, and `together` the sum of two items' products. p = 0.5 is the
    cosine. Ties go to the lower column. An item that nobody took together with another one has an empty row.
    targets: the rows of which columns are, as in `Together`; the same as user_items by default.
    """
    user_items = _not_negligible(user_items)
    of_columns = user_items if targets is None else _not_negligible(targets)
    item_users = user_items.T.tocsr()
    row_norms = _squares(user_items) ** (1.0 - popularity_power)
    column_norms = _squares(of_columns) ** popularity_power
    parts = []
    for start in range(0, len(row_norms), ROWS_AT_ONCE):
        together = (item_users[start : start + ROWS_AT_ONCE] @ of_columns).tocoo()
        rows, columns = together.row + start, together.col
        similarities = together.data / (row_norms[rows] * column_norms[columns] + shrinkage)
        similarities[rows == columns] = 0.0  # an item must not recommend itself
        part = sparse.csr_matrix((similarities, (together.row, columns)), shape=together.shape)
        parts.append(strongest_of_rows(part, n_neighbours))
    return sparse.csr_matrix(sparse.vstack(parts))


def _not_negligible(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    matrix = matrix.astype(np.float32)
    matrix.data[np.abs(matrix.data) < NEGLIGIBLE] = 0.0
    matrix.eliminate_zeros()
    return matrix


def _squares(matrix: sparse.csr_matrix) -> Floats:
    """Return the sum of the squares of each column; (n_items,)."""
    return np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel()


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
