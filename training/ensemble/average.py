"""The mean of the members' opinions: the simplest combination, which ships where little is there to choose on.

Two numbers are fitted, so that the mean becomes a log-odds; the order of items is the mean's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass
from sklearn.linear_model import LogisticRegression

from models.ensemble.meta_features import MEMBER_FEATURES, PLAIN_FEATURES
from models.ensemble.stacking import FittedStacking
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.ensemble.strategy import Labels, People, Strategy, Weights
from training.members.member import Floats

SMALLEST_SLOPE = 1e-3
"""Of the log-odds in the mean: members that are worse than chance together are still asked for an order."""


def opinion_columns(n_features: int) -> list[int]:
    """Return the columns of the members' standardised scores."""
    n_members, rest = divmod(n_features - len(PLAIN_FEATURES), len(MEMBER_FEATURES))
    if n_members < 1 or rest:
        raise ValueError(f"{n_features} features are not those of members, items and people")
    place = MEMBER_FEATURES.index("z")
    return [len(MEMBER_FEATURES) * member + place for member in range(n_members)]


@dataclass(config=STRICT)
class Average(Strategy):
    """Log-odds that rise with the mean of the members' standardised scores."""

    name: ClassVar[str] = "average"

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
        """Fit slope and intercept of a logistic regression on the mean."""
        columns = opinion_columns(features.shape[1])
        mean = features[:, columns].mean(axis=1, dtype=np.float64)[:, None]
        model = LogisticRegression(C=np.inf, max_iter=1000, random_state=seed)
        model.fit(mean, labels, sample_weight=weights)
        self._coefficients = np.zeros(features.shape[1], np.float32)
        self._coefficients[columns] = max(model.coef_[0, 0], SMALLEST_SLOPE) / len(columns)
        self._intercept = np.float32(model.intercept_[0])
        return self

    def fitted(self) -> FittedStacking:
        """Return a stacking whose weights are the same for every member."""
        return FittedStacking(self._coefficients, np.asarray(self._intercept))

    def weights(self) -> npt.NDArray[np.float64]:
        """Return the weight of each feature: the same for every member's score, 0 for all others."""
        return self._coefficients.astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write the coefficients and the intercept."""
        np.savez(folder / "average.npz", coefficients=self._coefficients, intercept=self._intercept)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        strategy = cls()
        with np.load(folder / "average.npz") as arrays:
            strategy._coefficients, strategy._intercept = arrays["coefficients"], arrays["intercept"]
        return strategy
