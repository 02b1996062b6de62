"""Content as it runs: the cosine between a person's recency-weighted text profile and each item's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import History
from models.members.member import Arrays, FittedMember, Floats
from models.members.recency import ALIKE, recency_weights
from models.members.rows import SparseRows


@dataclass(frozen=True)
class FittedContent(FittedMember):
    """items: TF-IDF of item texts, (n_items, n_terms), rows of length 1 or empty. half_life: recency in items.

    evidence: the weights of kinds of events, as in `recency_weights`.
    """

    items: SparseRows
    half_life: float
    evidence: Floats = field(default_factory=lambda: ALIKE)
    name: ClassVar[str] = "content"

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return len(self.items)

    def score(self, histories: Sequence[History]) -> Floats:
        """Score items; NaN for items without text and for people none of whose items has text."""
        recency = recency_weights(histories, self.half_life, evidence=self.evidence)
        scores = np.full((len(recency), self.n_items), np.nan, np.float32)
        for row, own in enumerate(scores):
            profile, n_entries = self.items.weighted_sum(*recency.of(row))
            if n_entries:
                own[:] = self.items.times(profile)
                own /= max(float(np.linalg.norm(profile)), 1e-9)
        scores[:, self.items.lengths() == 0] = np.nan
        return scores

    def arrays(self) -> Arrays:
        """Return the texts and the parameters of recency."""
        fold = np.array([self.half_life, self.items.n_columns], np.float64)
        return {**self.items.arrays(), "fold": fold, "evidence": self.evidence}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read the texts and the parameters of recency."""
        half_life, n_terms = arrays["fold"].tolist()
        return cls(SparseRows.from_arrays(arrays, int(n_terms)), half_life, np.asarray(arrays["evidence"]))
