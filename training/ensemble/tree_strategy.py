"""What the strategies that grow trees share: the trees as arrays, and a leaf's share of positives."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.ensemble.trees import FittedTrees
from training.ensemble.strategy import Strategy
from training.ensemble.trees import Trees

PRIOR_PAIRS = 2.0
"""Imagined pairs at the overall rate in every leaf: a pure one is less than certain, the purer the larger."""


class TreeStrategy(Strategy):
    """A strategy whose logit is a sum of trees."""

    runs_as: ClassVar[type[FittedTrees]]
    _trees: Trees

    def fitted(self) -> FittedTrees:
        """The trees as a graph."""
        return self._trees.fitted(self.runs_as)

    def weights(self) -> npt.NDArray[np.float64]:
        """Each feature's share of the impurity, or loss, that all splits took away; sums to 1."""
        importance = self._trees.importance
        return importance / max(importance.sum(), np.finfo(np.float64).tiny)

    def save(self, folder: Path) -> None:
        """Write the trees."""
        self._trees.save(folder / f"{self.name}.npz")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them."""
        strategy = cls()
        strategy._trees = Trees.load(folder / f"{cls.name}.npz")
        return strategy


def smoothed_share(
    positive_share: npt.NDArray[np.float64], n_pairs: npt.NDArray[np.float64], overall_rate: float
) -> npt.NDArray[np.float64]:
    """The m-estimate of a leaf's share of positives (Cestnik 1990), m = `PRIOR_PAIRS`; in (0, 1)."""
    return (positive_share * n_pairs + PRIOR_PAIRS * overall_rate) / (n_pairs + PRIOR_PAIRS)
