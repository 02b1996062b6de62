"""One decision tree (CART, Breiman et al. 1984), the baseline for bagging and boosting."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.special import logit as log_odds
from sklearn.tree import DecisionTreeClassifier

from models.ensemble.trees import FittedTree, FittedTrees
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.ensemble.flattening import flatten_classifiers
from training.ensemble.sampling import thinned
from training.ensemble.strategy import Labels, People, Weights
from training.ensemble.tree_strategy import TreeStrategy, smoothed_share
from training.members.member import Floats


@dataclass(config=STRICT)
class DecisionTree(TreeStrategy):
    """A tree whose logit is the log-odds of the leaf that a pair reaches."""

    max_depth: int = Field(
        default=6, ge=1, le=30, description="Maximum number of splits between the root and a leaf."
    )
    min_leaf_pairs: int = Field(
        default=100, ge=1, le=100_000, description="Minimum number of pairs in a leaf; raising it smooths."
    )
    max_pairs: int = Field(
        default=60_000,
        ge=100,
        le=10_000_000,
        description="Maximum number of pairs it is fitted on; beyond it, negatives are sampled.",
    )
    name: ClassVar[str] = "tree"
    runs_as: ClassVar[type[FittedTrees]] = FittedTree

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
        """Grow the tree by Gini impurity."""
        rows, stands_for = thinned(labels, self.max_pairs, np.random.default_rng(seed))
        tree = DecisionTreeClassifier(
            max_depth=self.max_depth, min_samples_leaf=self.min_leaf_pairs, random_state=seed
        )
        own = 1.0 if weights is None else weights[rows]
        tree.fit(features[rows], labels[rows], stands_for * own)
        rate = float(np.average(labels, weights=weights))
        self._trees = flatten_classifiers(
            [tree], [lambda share, n_pairs: log_odds(smoothed_share(share, n_pairs, rate))]
        )
        return self
