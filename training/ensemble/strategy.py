"""The contract of a combining strategy: labelled meta-features in, a purchase logit out.

Stacking is one; bagging and boosting are others on the same features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from training.members.member import Floats


class Strategy(ABC):
    """Learns P(taken | meta-features)."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, features: Floats, labels: npt.NDArray[np.bool_], *, seed: int) -> Self:
        """Learn from pairs: features (n_pairs, n_features), labels (n_pairs,)."""

    @abstractmethod
    def logit(self, features: Floats) -> Floats:
        """Log-odds of each pair; (..., n_features) to (...,) float32."""

    @abstractmethod
    def weights(self) -> npt.NDArray[np.float64]:
        """How much each feature counts, for the report; (n_features,)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `logit` needs, as plain arrays."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
