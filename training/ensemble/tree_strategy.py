"""What strategies that grow trees share: the trees as arrays, and the smoothing of a leaf's share of positives."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.ensemble.trees import FittedTrees
from training.ensemble.strategy import Strategy
from training.ensemble.trees import Trees

PRIOR_PAIRS = 2.0
"""Pseudo-pairs at the overall rate that are added to every leaf, so that a pure leaf is less than certain; the more
pairs it has, the nearer it is to its own share."""


class TreeStrategy(Strategy):
    """A strategy whose logit is a sum of trees."""

    runs_as: ClassVar[type[FittedTrees]]
    _trees: Trees

    def fitted(self) -> FittedTrees:
        """Return the trees as an ONNX graph."""
        return self._trees.fitted(self.runs_as)

    def weights(self) -> npt.NDArray[np.float64]:
        """Return each feature's share of the impurity, or loss, that all splits removed; the shares sum to 1."""
        importance = self._trees.importance
        return importance / max(importance.sum(), np.finfo(np.float64).tiny)

    def save(self, folder: Path) -> None:
        """Write the trees to a file."""
        self._trees.save(folder / f"{self.name}.npz")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        strategy = cls()
        strategy._trees = Trees.load(folder / f"{cls.name}.npz")
        return strategy


def smoothed_share(
    positive_share: npt.NDArray[np.float64], n_pairs: npt.NDArray[np.float64], overall_rate: float
) -> npt.NDArray[np.float64]:
    """Return the m-estimate of a leaf's share of positives (Cestnik 1990), with m = `PRIOR_PAIRS`; in (0, 1)."""
    return (positive_share * n_pairs + PRIOR_PAIRS * overall_rate) / (n_pairs + PRIOR_PAIRS)
