"""Bagging (Breiman 1996): average deep trees grown on bootstraps, so that what each one overfits cancels out.

A bootstrap draws people, not pairs, because pairs of one person are not independent. Each split may choose among
only a part of the features (Breiman 2001); otherwise all trees would rely on the same member.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.tree import DecisionTreeClassifier

from models.ensemble.trees import FittedBagging, FittedTrees
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.ensemble.flattening import flatten_classifiers
from training.ensemble.sampling import bootstrap_by_person, thinned
from training.ensemble.strategy import Labels, People, Weights
from training.ensemble.tree_strategy import TreeStrategy, smoothed_share
from training.members.member import Floats


@dataclass(config=STRICT)
class Bagging(TreeStrategy):
    """Trees whose logit is the log-odds of their mean probability."""

    n_trees: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="Number of trees that are averaged; more are steadier and slower.",
    )
    min_leaf_pairs: int = Field(
        default=30, ge=1, le=100_000, description="Minimum number of pairs in a leaf; raising it smooths."
    )
    feature_share: float = Field(
        default=0.35,
        gt=0,
        le=1,
        description="Share of features from which a split may choose; lowering it makes the trees differ more.",
    )
    max_pairs: int = Field(
        default=20_000,
        ge=100,
        le=10_000_000,
        description="Maximum number of pairs a tree is fitted on; beyond it, negatives are sampled.",
    )
    name: ClassVar[str] = "bagging"
    runs_as: ClassVar[type[FittedTrees]] = FittedBagging

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
        """Grow each tree on its own bootstrap of people."""
        rng = np.random.default_rng(seed)
        trees = []
        for position in range(self.n_trees):
            trees.append(self._grow(features, labels, people, weights, rng))
            progress((position + 1) / self.n_trees, f"tree {position + 1}")
        rate = float(np.average(labels, weights=weights))
        self._trees = flatten_classifiers(
            trees, [lambda share, n_pairs: smoothed_share(share, n_pairs, rate) / self.n_trees] * self.n_trees
        )
        return self

    def _grow(
        self,
        features: Floats,
        labels: Labels,
        people: People,
        weights: Weights | None,
        rng: np.random.Generator,
    ) -> DecisionTreeClassifier:
        n_drawn = bootstrap_by_person(people, rng)
        inside = np.flatnonzero(n_drawn)
        kept, stands_for = thinned(labels[inside], self.max_pairs, rng)
        rows = inside[kept]
        tree = DecisionTreeClassifier(
            min_samples_leaf=self.min_leaf_pairs,
            max_features=self.feature_share,
            random_state=int(rng.integers(2**31)),
        )
        own = 1.0 if weights is None else weights[rows]
        return tree.fit(features[rows], labels[rows], stands_for * n_drawn[rows] * own)
