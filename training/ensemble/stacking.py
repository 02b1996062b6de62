"""Stacking: a logistic regression over the members' meta-features (Wolpert 1992)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.linear_model import LogisticRegression

from models.ensemble.stacking import FittedStacking
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.ensemble.strategy import Labels, People, Strategy, Weights
from training.members.member import Floats

SMALLEST_DEVIATION = 1e-3
"""Of a feature, as a share of its mean: divided by less, it would cost the others their last digits."""


def standardisation(
    features: Floats, weights: Weights | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean and the deviation of each feature, 1 for one that never varies; (n_features,) both.

    scikit-learn's scaler subtracts in float32 where pairs are weighed, and takes the root of what may be below 0.
    """
    mean = np.average(features, axis=0, weights=weights).astype(np.float64)
    deviation = np.sqrt(np.average(np.square(features - mean), axis=0, weights=weights))
    varies = deviation > SMALLEST_DEVIATION * np.maximum(np.abs(mean), SMALLEST_DEVIATION)
    return mean, np.where(varies, deviation, 1.0)


@dataclass(config=STRICT)
class Stacking(Strategy):
    """Log-odds that are linear in the standardised features."""

    l2: float = Field(default=1.0, gt=0, le=1e6, description="L2 penalty on the weights.")
    name: ClassVar[str] = "stacking"

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
        """Standardise, fit by L-BFGS, then fold the standardisation into the coefficients."""
        mean, scale = standardisation(features, weights)
        model = LogisticRegression(C=1.0 / self.l2, max_iter=1000, random_state=seed)
        model.fit((features - mean) / scale, labels, sample_weight=weights)
        self._weights = model.coef_[0]
        coefficients = model.coef_[0] / scale
        self._coefficients = coefficients.astype(np.float32)
        self._intercept = np.float32(model.intercept_[0] - coefficients @ mean)
        return self

    def fitted(self) -> FittedStacking:
        """Return the coefficients and the intercept."""
        return FittedStacking(self._coefficients, np.asarray(self._intercept))

    def weights(self) -> npt.NDArray[np.float64]:
        """Return the coefficients of the standardised features, which are comparable with each other."""
        return self._weights

    def save(self, folder: Path) -> None:
        """Write the coefficients and the intercept."""
        np.savez(
            folder / "stacking.npz",
            coefficients=self._coefficients,
            intercept=self._intercept,
            weights=self._weights,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        strategy = cls()
        with np.load(folder / "stacking.npz") as arrays:
            strategy._coefficients = arrays["coefficients"]
            strategy._intercept = arrays["intercept"]
            strategy._weights = arrays["weights"]
        return strategy
