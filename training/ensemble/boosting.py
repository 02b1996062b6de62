"""Gradient boosting (Friedman 2001) of histogram trees on the logistic loss."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.ensemble import HistGradientBoostingClassifier

from models.ensemble.trees import FittedBoosting, FittedTrees
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.ensemble.flattening import flatten_boosting
from training.ensemble.sampling import folds_by_person
from training.ensemble.strategy import Labels, People, Weights
from training.ensemble.tree_strategy import TreeStrategy
from training.members.member import Floats


@dataclass(config=STRICT)
class Boosting(TreeStrategy):
    """A sum of trees, each of which is a step down the gradient of the loss."""

    max_trees: int = Field(
        default=300,
        ge=1,
        le=5000,
        description="Maximum number of trees; early stopping on held-out people may end it sooner.",
    )
    n_leaves: int = Field(
        default=15,
        ge=2,
        le=255,
        description="Maximum number of leaves of a tree; raising it lets more features interact.",
    )
    min_leaf_pairs: int = Field(
        default=100, ge=1, le=100_000, description="Minimum number of pairs in a leaf; raising it smooths."
    )
    learning_rate: float = Field(
        default=0.15, gt=0, le=1, description="Learning rate of each tree; lowering it requires more trees."
    )
    l2: float = Field(default=1.0, ge=0, le=1e6, description="L2 penalty on the values of the leaves.")
    n_folds: int = Field(
        default=5, ge=2, le=100, description="Folds of people, one of which is held out for early stopping."
    )
    n_patience: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Number of trees without a gain on held-out people after which it stops.",
    )
    name: ClassVar[str] = "boosting"
    runs_as: ClassVar[type[FittedTrees]] = FittedBoosting

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
        """Find the best number of trees on held-out people, then grow that many on everybody."""
        n_trees = self._best_n_trees(features, labels, people, weights, seed)
        progress(0.5, f"{n_trees} trees")
        model = self._model(n_trees, seed, early_stopping=False)
        self._trees = flatten_boosting(model.fit(features, labels, sample_weight=weights))
        return self

    def _best_n_trees(
        self, features: Floats, labels: Labels, people: People, weights: Weights | None, seed: int
    ) -> int:
        is_held_out = folds_by_person(people, self.n_folds, seed=seed) == 0
        model = self._model(self.max_trees, seed, early_stopping=True)
        model.fit(
            features[~is_held_out],
            labels[~is_held_out],
            X_val=features[is_held_out],
            y_val=labels[is_held_out],
            sample_weight=None if weights is None else weights[~is_held_out],
            sample_weight_val=None if weights is None else weights[is_held_out],
        )
        # The first score is that of no tree at all, so the index of the best is its number of trees.
        return max(1, int(np.argmax(model.validation_score_)))

    def _model(self, n_trees: int, seed: int, *, early_stopping: bool) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(
            max_iter=n_trees,
            max_leaf_nodes=self.n_leaves,
            min_samples_leaf=self.min_leaf_pairs,
            learning_rate=self.learning_rate,
            l2_regularization=self.l2,
            early_stopping=early_stopping,
            n_iter_no_change=self.n_patience,
            random_state=seed,
        )
