"""The contract of a combining strategy: it learns from labelled meta-features and returns a purchase logit.

One tree, bagging, AdaBoost, gradient boosting and stacking are strategies on the same features, and so is super
stacking, which stacks those.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.ensemble.strategy import FittedStrategy
from training.base.callback import Progress, no_progress
from training.members.member import Floats

Labels = npt.NDArray[np.bool_]
"""For each pair, whether it was taken; (n_pairs,)."""
People = npt.NDArray[np.int64]
"""The person of each pair, in any numbering; (n_pairs,). Pairs of one person are not independent."""


Weights = npt.NDArray[np.float64]
"""How many pairs each pair stands for, beside those drawn like it: 1 for most, less where more were drawn;
(n_pairs,)."""


class Strategy(ABC):
    """A model that learns P(taken | meta-features)."""

    name: ClassVar[str]

    @abstractmethod
    def fit(
        self,
        features: Floats,
        labels: Labels,
        people: People,
        *,
        seed: int,
        weights: Weights | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Learn from scratch from pairs: features (n_pairs, n_features) have no NaN, and both labels occur.

        weights: how many pairs each one stands for; None for 1 each.
        """

    @abstractmethod
    def fitted(self) -> FittedStrategy:
        """Return what was learned in the form that runs and that a bundle carries, without copying."""

    def logit(self, features: Floats) -> Floats:
        """Return the log-odds of each pair at the rate of the fitted pairs; (..., n_features) to (...,) float32."""
        return self.fitted().logit(features)

    @abstractmethod
    def weights(self) -> npt.NDArray[np.float64]:
        """Return each feature's weight, for the report; (n_features,), comparable only within one strategy."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `logit` needs, as plain arrays."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; logits are identical to the bit."""
