"""Matrix factorisation as it runs: factors are solved from a history (Hu, Koren, Volinsky 2008, eq. 4).

The weight of an item is its confidence, as `implicit` defines it: an item without an event has confidence 1, so a
person's matrix is Y'Y + l2 I plus what confidences add to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import History
from models.members.member import Arrays, FittedMember, Floats, Known, require, with_gaps
from models.members.recency import ALIKE, recency_weights
from models.members.rows import Indices


@dataclass(frozen=True)
class FittedFactorization(FittedMember):
    """item_factors: (n_items, n_factors) float32. l2, alpha: as in fitting. half_life: of recency, in items.

    evidence: the weights of kinds of events, as in `recency_weights`; what speaks against an item is left out, since
    a confidence cannot be negative.
    """

    item_factors: Floats
    known: Known
    l2: float
    alpha: float
    half_life: float
    evidence: Floats = field(default_factory=lambda: ALIKE)
    name: ClassVar[str] = "als"

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return len(self.known)

    def score(self, histories: Sequence[History]) -> Floats:
        """Score by fold-in; NaN for items without events and for people with an empty history."""
        recency = recency_weights(histories, self.half_life, evidence=np.maximum(self.evidence, 0))
        factors = np.zeros((len(recency), self.item_factors.shape[1]), np.float32)
        is_empty = np.diff(recency.offsets) == 0
        for row in np.flatnonzero(~is_empty).tolist():
            factors[row] = self._fold_in(*recency.of(row))
        return with_gaps(factors @ self.item_factors.T, self.known, is_empty)

    def arrays(self) -> Arrays:
        """Return item factors and the parameters of fold-in."""
        fold = np.array([self.l2, self.alpha, self.half_life], np.float64)
        arrays: Arrays = {"item_factors": self.item_factors, "known": self.known, "fold": fold}
        return arrays | {"evidence": self.evidence}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read item factors and the parameters of fold-in."""
        item_factors, known = np.asarray(arrays["item_factors"]), np.asarray(arrays["known"])
        require(
            item_factors.ndim == 2 and len(item_factors) == len(known), "als has one row of factors an item"
        )
        l2, alpha, half_life = arrays["fold"].tolist()
        return cls(item_factors, known, l2, alpha, half_life, np.asarray(arrays["evidence"]))

    @cached_property
    def _of_everything(self) -> Floats:
        """Y'Y + l2 I, (n_factors, n_factors): the matrix of a person without events."""
        gram: Floats = self.item_factors.T @ self.item_factors
        gram[np.diag_indices_from(gram)] += np.float32(self.l2)
        return gram

    def _fold_in(self, items: Indices, weights: Floats) -> Floats:
        taken, confidences = self.item_factors[items], np.float32(self.alpha) * weights
        matrix = self._of_everything + (taken.T * (confidences - 1)) @ taken
        return np.asarray(np.linalg.solve(matrix, taken.T @ confidences), np.float32)
