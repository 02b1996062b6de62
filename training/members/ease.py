"""EASE: a linear item-to-item model that explains every item by all others and is solved in closed form.

Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data". We depart from it in three points. Events weigh
less with age, both in the fit and in the history that is scored. What is explained are the target events, by the
evidence of events of all kinds. Beyond `max_dense_items`, only its nearest items explain each item, in the spirit of
Steck 2019, "Markov Random Fields for Collaborative Filtering". `VisitEASE` is the same model of what belongs into one
visit rather than to one person.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse
from scipy.linalg import lapack

from models.members.item_items import FittedEASE, FittedItemItems, FittedVisitEASE
from training.base.callback import Progress, no_progress
from training.base.errors import NotFinite
from training.base.strict import STRICT
from training.data.dataset import Interactions
from training.members.item_items import (
    ROWS_AT_ONCE,
    run_time_matrix,
    similar_items,
    taken_together,
    visits_and_people,
)
from training.members.member import Floats, Member
from training.members.recency import recency_matrix

MAX_SINGLE_CONDITION = 1e5
"""The largest condition number of X'X + l2 I for which float32 is used, at half the time and memory. On 8,000 items
and a million events, weights differ from those of float64 by 6e-7 of their size."""
SCANNED_BELOW = 10
"""scipy scans whole rows where fewer entries are looked up than a tenth of those there are. On 68,000 items with 150
million products, that took 119 s for 4 million of them, and halving takes seconds."""
BLOCK_BYTES = 64 * 2**20
"""Size of the small systems solved together in the sparse fit; finding their entries takes five times that memory."""


@dataclass(config=STRICT)
class EASE(Member):
    """Scores an item by the recency-weighted sum of the weights that the items of a history give it."""

    l2: float = Field(
        default=300.0,
        gt=0,
        le=1e7,
        description="Ridge penalty; raising it explains an item by more other items.",
    )
    fit_half_life: float = Field(
        default=30.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in a history during training, in items.",
    )
    fold_half_life: float = Field(
        default=40.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in a history, in items; lowering it favours the latest items.",
    )
    visit_decay: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Weight of a visit relative to the next one; 0 uses the last visit only.",
    )
    max_dense_items: int = Field(
        default=8000,
        ge=1,
        le=50_000,
        description="Catalogue size up to which each item is explained by all others; takes 13 bytes x its "
        "square (0.8 GB at 8,000).",
    )
    n_neighbours: int = Field(
        default=100,
        ge=1,
        le=2000,
        description="Number of items that explain each item in a larger catalogue.",
    )
    name: ClassVar[str] = "ease"
    runs_as: ClassVar[type[FittedItemItems]] = FittedEASE

    def fit(self, interactions: Interactions, *, seed: int, progress: Progress = no_progress) -> Self:
        """Solve for the weights, densely or by neighbourhood; the seed is not used, nothing is random."""
        together = taken_together(interactions, partial(self._rows, interactions))
        if interactions.n_items <= self.max_dense_items:
            self.item_items: Floats | sparse.csr_matrix = dense_weights(*together, l2=self.l2)
        else:
            self.item_items = sparse_weights(
                *together, l2=self.l2, n_neighbours=self.n_neighbours, progress=progress
            )
        self._known = interactions.item_counts() > 0
        self._evidence = interactions.evidence.weights
        progress(1.0, "solved")
        return self

    def fitted(self) -> FittedItemItems:
        """Return the weights, uncopied."""
        matrix = run_time_matrix(self.item_items)
        return self.runs_as(matrix, self._known, self.fold_half_life, self.visit_decay, self._evidence)

    def save(self, folder: Path) -> None:
        """Write the weights as they are, a dense array or a sparse matrix."""
        fold = np.array([self.fold_half_life, self.visit_decay])
        np.savez(folder / f"{self.name}.npz", known=self._known, fold=fold, evidence=self._evidence)
        if sparse.issparse(self.item_items):
            sparse.save_npz(folder / f"{self.name}_item_items.npz", self.item_items, compressed=False)
        else:
            np.save(folder / f"{self.name}_item_items.npy", self.item_items)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / f"{cls.name}.npz") as arrays:
            fold_half_life, visit_decay = arrays["fold"].tolist()
            member = cls(fold_half_life=fold_half_life, visit_decay=visit_decay)
            member._known, member._evidence = arrays["known"], arrays["evidence"]
        dense = folder / f"{cls.name}_item_items.npy"
        if dense.exists():
            member.item_items = np.load(dense)
        else:
            member.item_items = sparse.csr_matrix(sparse.load_npz(folder / f"{cls.name}_item_items.npz"))
        return member

    def _rows(self, interactions: Interactions, evidence: Floats) -> sparse.csr_matrix:
        """Build a matrix whose rows hold items that explain each other; (n_rows, n_items)."""
        return recency_matrix(
            interactions.histories, interactions.n_items, self.fit_half_life, evidence=evidence
        )


@dataclass(config=STRICT)
class VisitEASE(EASE):
    """EASE over the rows of visits, with the rows of people below them: it learns what belongs into one basket."""

    l2: float = Field(
        default=120.0,
        gt=0,
        le=1e7,
        description="Ridge penalty; raising it explains an item by more other items.",
    )
    fit_half_life: float = Field(
        default=1000.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in people's rows during training, in items.",
    )
    fold_half_life: float = Field(
        default=1000.0,
        gt=0,
        le=1e6,
        description="Half-life of the weights in a history, in items; lowering it favours the latest items.",
    )
    visit_decay: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Weight of a visit relative to the next one; 0 uses the last visit only.",
    )
    person_weight: float = Field(
        default=0.4,
        ge=0,
        le=100,
        description="Weight of a person's row relative to a visit's; 0 fits visits only.",
    )
    name: ClassVar[str] = "visits"
    runs_as: ClassVar[type[FittedItemItems]] = FittedVisitEASE

    def _rows(self, interactions: Interactions, evidence: Floats) -> sparse.csr_matrix:
        return visits_and_people(
            interactions.histories,
            interactions.n_items,
            half_life=self.fit_half_life,
            person_weight=self.person_weight,
            evidence=evidence,
        )


def dense_weights(
    user_items: sparse.csr_matrix, targets: sparse.csr_matrix | None = None, *, l2: float
) -> Floats:
    """Compute the weights by which X explains Y; (n_items, n_items) float32 with a zero diagonal.

    With P = (X'X + l2 I)^-1 they are P X'Y - P diag(diag(P X'Y) / diag P), and I - P diag(1 / diag P) if X is Y.
    user_items: X, (n_people, n_items). targets: Y, of the same shape; X by default. Raises NotFinite if X'X + l2 I is
    not positive definite in float64.
    """
    gram = (user_items.T @ user_items).toarray(order="F")
    is_single = np.linalg.norm(gram, np.inf) < MAX_SINGLE_CONDITION * l2
    if not is_single:
        doubles = user_items.astype(np.float64)
        gram = (doubles.T @ doubles).toarray(order="F")
    gram[np.diag_indices_from(gram)] += l2
    # Cholesky, inverted in place: measured at 4,000 items, 0.4 of the time and half the memory of a general inverse.
    factorise, invert = (lapack.spotrf, lapack.spotri) if is_single else (lapack.dpotrf, lapack.dpotri)
    factor, failed_at = factorise(gram, lower=1, overwrite_a=1, clean=0)
    if failed_at:
        raise NotFinite(f"{EASE.name}: the Gram matrix is singular; raise l2 (now {l2})")
    inverse, _ = invert(factor, lower=1, overwrite_c=1)
    if targets is not None and targets is not user_items:
        return _directed(inverse, user_items, targets)
    diagonal = inverse.diagonal().astype(np.float32)
    lower = np.tril(
        inverse.astype(np.float32, copy=False), -1
    )  # what lies above is left from the Gram matrix
    lower += lower.T
    lower /= -diagonal
    return lower


def _directed(
    inverse: npt.NDArray[np.floating], user_items: sparse.csr_matrix, targets: sparse.csr_matrix
) -> Floats:
    """Compute P X'Y without its diagonal, of the lower half of P, which is used up."""
    whole = np.tril(inverse, -1)
    whole += whole.T
    np.fill_diagonal(whole, inverse.diagonal())
    # (Y'X) P is the transpose of what is wanted, and the sparse factor comes first.
    weights = np.ascontiguousarray(((targets.T @ user_items).tocsr() @ whole).T, np.float32)
    weights -= whole.astype(np.float32, copy=False) * (weights.diagonal() / whole.diagonal())
    np.fill_diagonal(weights, 0.0)
    return weights


def sparse_weights(
    user_items: sparse.csr_matrix,
    targets: sparse.csr_matrix | None = None,
    *,
    l2: float,
    n_neighbours: int,
    progress: Progress = no_progress,
) -> sparse.csr_matrix:
    """Solve the same ridge regression with each item explained by only its `n_neighbours` nearest by cosine.

    The result equals `dense_weights` if every two items were taken together and all are neighbours. Returns
    (n_items, n_items) float32 with at most `n_neighbours` entries per column. Memory: 16 bytes for each two items
    that are neighbours of a third one, however many were taken together, and a few times `BLOCK_BYTES`.
    """
    nearest = similar_items(user_items, n_neighbours, shrinkage=0.0, popularity_power=0.5)
    gram = products_of_neighbours(user_items, nearest)
    is_directed = targets is not None and targets is not user_items
    of_targets = products_of_neighbours(user_items, nearest, targets) if is_directed else gram
    columns = []
    n_items, n_at_once = gram.shape[0], max(1, BLOCK_BYTES // (8 * n_neighbours**2))
    for start in range(0, n_items, n_at_once):
        some = nearest[start : start + n_at_once]
        columns.append(_solve_neighbourhoods(gram, of_targets, some, start, l2))
        progress(min(1.0, (start + n_at_once) / n_items), f"{min(start + n_at_once, n_items):,} items")
    return sparse.csr_matrix(sparse.vstack(columns).T)


def products_of_neighbours(
    user_items: sparse.csr_matrix, nearest: sparse.csr_matrix, targets: sparse.csr_matrix | None = None
) -> sparse.csr_matrix:
    """Compute the entries of X'X that some item's small system needs: for two of its neighbours, or itself and one.

    user_items: X. targets: Y, of which X'Y is computed instead. nearest: (n_items, n_items), each item's neighbours
    in its row. Returns (n_items, n_items) float32 with sorted indices.
    """
    n_items = nearest.shape[0]
    systems = sparse.csr_matrix(
        nearest.astype(np.bool_) + sparse.eye_array(n_items, dtype=np.bool_, format="csr")
    )
    systems_of_item, item_users = systems.T.tocsr(), user_items.T.tocsr()
    # Rows of X'X are made `ROWS_AT_ONCE` at a time and thinned: at 40,000 items and 20 million events, all of
    # X'X would take gigabytes.
    parts = []
    for start in range(0, n_items, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        is_needed = systems_of_item[rows] @ systems  # pairs of items that one item has in its system
        products = item_users[rows] @ (user_items if targets is None else targets)
        parts.append(sparse.csr_matrix(products.multiply(is_needed)))
    gram = sparse.csr_matrix(sparse.vstack(parts))
    gram.sort_indices()
    return gram


def _solve_neighbourhoods(
    gram: sparse.csr_matrix,
    of_targets: sparse.csr_matrix,
    nearest: sparse.csr_matrix,
    first_item: int,
    l2: float,
) -> sparse.csr_matrix:
    """Solve for the weights that explain items from `first_item` on, one row each, by the columns of `nearest`.

    gram, of_targets: the entries of X'X and of X'Y that are needed.
    """
    n_explained = nearest.shape[0]
    n_nearest = np.diff(nearest.indptr)
    is_filled = np.arange(max(1, n_nearest.max())) < n_nearest[:, None]  # (n_explained, width)
    items = np.zeros(is_filled.shape, np.int64)
    items[is_filled] = nearest.indices
    # An empty place is decoupled from the others, and what is solved for it is dropped.
    both_filled = is_filled[:, :, None] & is_filled[:, None, :]
    width = is_filled.shape[1]
    blocks = np.empty((n_explained, width, width), gram.dtype)
    upper, right = np.triu_indices(
        width
    )  # the Gram matrix is symmetric, and looking entries up takes most of the time
    blocks[:, upper, right] = _entries(gram, items[:, upper], items[:, right])
    blocks[:, right, upper] = blocks[:, upper, right]
    blocks *= both_filled
    blocks[:, np.arange(width), np.arange(width)] += l2
    explained = first_item + np.arange(n_explained)
    wanted = _entries(of_targets, items, explained[:, None])
    weights = np.linalg.solve(blocks, wanted[:, :, None])[:, :, 0].astype(np.float32)
    return sparse.csr_matrix((weights[is_filled], nearest.indices, nearest.indptr), shape=nearest.shape)


def _entries(
    matrix: sparse.csr_matrix, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.floating]:
    """Look up entries at broadcast positions of any shape, in a matrix with sorted indices.

    scipy checks the matrix each time, so all are looked up at once.
    """
    rows, columns = np.broadcast_arrays(rows, columns)
    if rows.size > matrix.nnz // SCANNED_BELOW:
        return np.asarray(matrix[rows.ravel(), columns.ravel()]).reshape(rows.shape)
    return _searched(matrix, rows.ravel(), columns.ravel()).reshape(rows.shape)


def _searched(
    matrix: sparse.csr_matrix, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.floating]:
    """Look up entries by halving each one's row until its column is found; (n_wanted,)."""
    if not matrix.nnz:
        return np.zeros(len(rows), matrix.dtype)
    first, after = matrix.indptr[rows], matrix.indptr[rows + 1]
    low, high, last = first.copy(), after.copy(), matrix.nnz - 1
    for _ in range(int((after - first).max(initial=0)).bit_length()):
        middle = low + (high - low) // 2
        is_before = (low < high) & (matrix.indices[np.minimum(middle, last)] < columns)
        low, high = np.where(is_before, middle + 1, low), np.where(is_before, high, middle)
    place = np.minimum(low, last)
    is_there = (low < after) & (matrix.indices[place] == columns)
    return np.where(is_there, matrix.data[place], 0).astype(matrix.dtype, copy=False)
