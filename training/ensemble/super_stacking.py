"""Super stacking: a logistic regression over the logits of the other strategies, such as one tree or bagging.

It learns from cross-fitted logits (van der Laan, Polley & Hubbard 2007, who call it the "super learner"): each comes
from a strategy that was not fitted on the person. The strategies that it then combines are fitted on everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from models.ensemble.strategies import FittedSuperStacking
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.ensemble.adaboost import AdaBoost
from training.ensemble.bagging import Bagging
from training.ensemble.boosting import Boosting
from training.ensemble.cross_fits import Combination, CrossFits, Factory
from training.ensemble.decision_tree import DecisionTree
from training.ensemble.neural_stacking import NeuralStacking
from training.ensemble.stacking import Stacking
from training.ensemble.strategy import Labels, People, Strategy, Weights
from training.members.member import Floats

BASES: dict[str, type[Strategy]] = {
    base.name: base for base in (DecisionTree, Bagging, AdaBoost, Boosting, Stacking, NeuralStacking)
}


@dataclass(config=STRICT)
class SuperStacking(Combination):
    """Log-odds that are linear in the standardised logits of other strategies."""

    l2: float = Field(default=1.0, gt=0, le=1e6, description="L2 penalty on the strategies' weights.")
    n_folds: int = Field(
        default=5,
        ge=2,
        le=20,
        description="Folds of people; each is scored by strategies that were fitted on the others.",
    )
    name: ClassVar[str] = "super_stacking"

    def over(self, bases: Mapping[str, Factory]) -> Self:
        """Combine only these strategies; each is one of `BASES` with its own settings."""
        self._factories = dict(bases)
        return self

    @property
    def bases(self) -> dict[str, Factory]:
        """The strategies that it combines: those given to `over`, else all of `BASES` with default settings."""
        return getattr(self, "_factories", dict(BASES))

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
        """Fit each base once per fold and once on everybody, then their combination."""
        fits = CrossFits(
            self.bases, features, labels, people, n_folds=self.n_folds, seed=seed, weights=weights
        )
        for position, name in enumerate(self.bases):
            progress(position / len(self.bases), name)
            fits.logits(name)
        return self.combine(fits)

    def combine(self, fits: CrossFits, *held_out: int) -> Self:
        """Fit the bases' weights on their cross-fitted logits; then keep the bases fitted on all folds together."""
        rows = fits.rows_without(*held_out)
        logits = np.stack([fits.logits(name, *held_out)[rows] for name in self.bases], axis=1)
        self._combination = Stacking(l2=self.l2).fit(
            logits, fits.labels[rows], fits.people[rows], seed=fits.seed, weights=fits.weights_of(rows)
        )
        self._fitted = [fits.without(name, *held_out).strategy for name in self.bases]
        return self

    def fitted(self) -> FittedSuperStacking:
        """Return the fitted bases and their weights."""
        return FittedSuperStacking(self._combination.fitted(), [base.fitted() for base in self._fitted])

    def weights(self) -> npt.NDArray[np.float64]:
        """Return the sum of all bases' weights, each scaled to absolute sum 1, times the weight of the base."""
        of_features = np.stack([base.weights() for base in self._fitted])
        of_features /= np.maximum(np.abs(of_features).sum(axis=1, keepdims=True), 1e-12)
        return self._combination.weights() @ of_features

    def save(self, folder: Path) -> None:
        """Write the combination, and each base into a folder that is numbered in order."""
        inside = folder / self.name
        for position, base in enumerate(self._fitted):
            (inside / str(position)).mkdir(parents=True, exist_ok=True)
            base.save(inside / str(position))
        self._combination.save(inside)
        (inside / "bases.txt").write_text("\n".join(base.name for base in self._fitted))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        strategy, inside = cls(), folder / cls.name
        strategy._combination = Stacking.load(inside)
        names = (inside / "bases.txt").read_text().split()
        strategy._fitted = [BASES[name].load(inside / str(position)) for position, name in enumerate(names)]
        return strategy
