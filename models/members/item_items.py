"""Item-item models as they run: a person's scores are the recency-weighted sum of their items' rows.

Item-kNN, EASE and EASE over visits differ in how the (n_items, n_items) matrix is fitted, not in how it scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import History
from models.members.member import Arrays, FittedMember, Floats, Known, require, with_gaps
from models.members.recency import ALIKE, recency_weights
from models.members.rows import Indices, SparseRows

Dense = npt.NDArray[np.float32] | npt.NDArray[np.float16]
ROWS_AT_ONCE = 64
"""How many rows of a dense matrix are copied together: 64 x 8,000 float32 stay in a processor's cache."""


@dataclass(frozen=True)
class FittedItemItems(FittedMember):
    """item_items: rows are history items, columns scored items; dense float32, or float16 in a bundle, or sparse.

    known: (n_items,). half_life: of recency, in items. visit_decay: the factor from each visit to the one before.
    evidence: the weights of kinds of events, as in `recency_weights`.
    """

    item_items: Dense | SparseRows
    known: Known
    half_life: float
    visit_decay: float = 1.0
    evidence: Floats = field(default_factory=lambda: ALIKE)

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return len(self.known)

    def score(self, histories: Sequence[History]) -> Floats:
        """Score items; NaN for items without events and people none of whose items has any; 0 without a relation."""
        recency = recency_weights(
            histories, self.half_life, visit_decay=self.visit_decay, evidence=self.evidence
        )
        scores = np.empty((len(recency), self.n_items), np.float32)
        is_empty = np.empty(len(recency), np.bool_)
        for row, own in enumerate(scores):
            items, weights = recency.of(row)
            is_empty[row] = not (weights * self.known[items]).any()
            own[:] = self._sum(items, weights)
        return with_gaps(scores, self.known, is_empty)

    def arrays(self) -> Arrays:
        """Return the matrix, dense or by its rows."""
        fold = np.array([self.half_life, self.visit_decay], np.float64)
        own = {"known": self.known, "fold": fold, "evidence": self.evidence}
        if isinstance(self.item_items, SparseRows):
            return {**own, **self.item_items.arrays()}
        return {**own, "dense": self.item_items}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read the matrix."""
        known, (half_life, visit_decay) = np.asarray(arrays["known"]), arrays["fold"].tolist()
        item_items: Dense | SparseRows
        if "dense" in arrays:
            item_items = np.asarray(arrays["dense"])
            n_rows = len(item_items)
            require(item_items.shape == (len(known), len(known)), "what items say is not a square matrix")
        else:
            item_items = SparseRows.from_arrays(arrays, len(known))
            n_rows = len(item_items)
        require(n_rows == len(known), f"{cls.name}: {n_rows:,} rows for {len(known):,} items")
        return cls(item_items, known, half_life, visit_decay, np.asarray(arrays["evidence"]))

    def in_half_precision(self) -> Self:
        """Store a dense matrix as float16: half the bytes, and scores that move by less than 1e-3 of their size."""
        if isinstance(self.item_items, SparseRows):
            return self
        return replace(self, item_items=self.item_items.astype(np.float16))

    def _sum(self, items: Indices, weights: Floats) -> Floats:
        if isinstance(self.item_items, SparseRows):
            return self.item_items.weighted_sum(items, weights)[0]
        total = np.zeros(self.n_items, np.float32)
        for start in range(0, len(items), ROWS_AT_ONCE):
            rows = self.item_items[items[start : start + ROWS_AT_ONCE]].astype(np.float32, copy=False)
            total += weights[start : start + ROWS_AT_ONCE] @ rows
        return total


class FittedItemKNN(FittedItemItems):
    """Sums similarities to a person's recent items."""

    name: ClassVar[str] = "knn"


class FittedEASE(FittedItemItems):
    """Sums the weights that each item of a history gives every other."""

    name: ClassVar[str] = "ease"


class FittedVisitEASE(FittedItemItems):
    """EASE that was fitted on visits."""

    name: ClassVar[str] = "visits"
