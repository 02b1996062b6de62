"""The contract of a combining strategy: labelled meta-features in, a purchase logit out.

One tree, bagging, AdaBoost, gradient boosting and stacking are strategies on the same features, and so is the
stacking of those.
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
"""Whether each pair was taken; (n_pairs,)."""
People = npt.NDArray[np.int64]
"""Whom each pair belongs to, any numbering; (n_pairs,). Pairs of one person are not independent."""


class Strategy(ABC):
    """Learns P(taken | meta-features)."""

    name: ClassVar[str]

    @abstractmethod
    def fit(
        self,
        features: Floats,
        labels: Labels,
        people: People,
        *,
        seed: int,
        progress: Progress = no_progress,
    ) -> Self:
        """Learn from pairs, from scratch: features (n_pairs, n_features) without NaN, both labels present."""

    @abstractmethod
    def fitted(self) -> FittedStrategy:
        """What was learned, as it runs, without copying: what a bundle carries."""

    def logit(self, features: Floats) -> Floats:
        """Log-odds of each pair at the rate of the fitted pairs; (..., n_features) to (...,) float32."""
        return self.fitted().logit(features)

    @abstractmethod
    def weights(self) -> npt.NDArray[np.float64]:
        """How much each feature counts, for the report; (n_features,), comparable within one strategy only."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `logit` needs, as plain arrays."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; logits are equal to the bit."""
