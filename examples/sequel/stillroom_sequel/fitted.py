"""The member as it runs, in training and in the service: arrays, and how they score a history. numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import History
from models.members.member import Arrays, FittedMember, Floats, Known, require, with_gaps
from models.members.rows import SparseRows


@dataclass(frozen=True)
class FittedSequel(FittedMember):
    """successors: row i holds how often each item was the next one after item i, log(1 + count).

    known: (n_items,), whether an item had events. n_last: how many of a person's latest items speak, the latest in
    full and each one before it half as much.
    """

    successors: SparseRows
    known: Known
    n_last: int
    name: ClassVar[str] = "sequel"

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return len(self.known)

    def score(self, histories: Sequence[History]) -> Floats:
        """NaN for items without events and for people none of whose last items has any; 0 where nothing is said."""
        scores = np.empty((len(histories), self.n_items), np.float32)
        is_empty = np.empty(len(histories), np.bool_)
        for row, history in enumerate(histories):
            items = history.distinct().last(self.n_last).item_indices[::-1]
            weights = np.exp2(-np.arange(len(items))).astype(np.float32)
            scores[row] = self.successors.weighted_sum(items, weights)[0]
            is_empty[row] = not self.known[items].any()
        return with_gaps(scores, self.known, is_empty)

    def arrays(self) -> Arrays:
        """The rows, who is known, and one number."""
        return {"known": self.known, "last": np.array([self.n_last]), **self.successors.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read what `arrays` gave. Raises BundleInconsistent where it does not fit together."""
        known = np.asarray(arrays["known"])
        successors = SparseRows.from_arrays(arrays, len(known))
        require(len(successors) == len(known), f"{len(successors):,} rows for {len(known):,} items")
        return cls(successors, known, int(arrays["last"][0]))
