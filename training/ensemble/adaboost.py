"""AdaBoost (Freund & Schapire 1997): small trees, each fitted to the mistakes of the trees before it.

Its weighted vote estimates the log-odds: a tree with weighted error e votes with log((1 - e) / e), twice the step
by which the vote would grow towards half the log-odds (Friedman, Hastie & Tibshirani 2000, Result 1).
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.special import logit as log_odds
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from models.ensemble.trees import FittedAdaBoost, FittedTrees
from training.base.callback import Progress, no_progress
from training.base.strict import STRICT
from training.ensemble.flattening import LeafValue, flatten_classifiers
from training.ensemble.sampling import thinned
from training.ensemble.strategy import Labels, People, Weights
from training.ensemble.tree_strategy import TreeStrategy
from training.members.member import Floats


@dataclass(config=STRICT)
class AdaBoost(TreeStrategy):
    """A weighted vote of small trees."""

    n_trees: int = Field(default=30, ge=1, le=1000, description="Maximum number of trees that vote.")
    max_depth: int = Field(
        default=3, ge=1, le=10, description="Maximum depth of a tree; raising it lets more features interact."
    )
    learning_rate: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="Factor that shrinks each tree's vote; lowering it requires more trees.",
    )
    max_pairs: int = Field(
        default=15_000,
        ge=100,
        le=10_000_000,
        description="Maximum number of pairs it learns from; beyond it, negatives are sampled.",
    )
    name: ClassVar[str] = "adaboost"
    runs_as: ClassVar[type[FittedTrees]] = FittedAdaBoost

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
        """Boost with both labels weighted equally, then shift the vote to the rate of the pairs.

        With one positive in a hundred, the first trees would say "no" to everything and be right nearly always.
        """
        rows, _ = thinned(labels, self.max_pairs, np.random.default_rng(seed))
        is_taken = labels[rows]
        own = np.ones(len(rows)) if weights is None else weights[rows]
        even = np.where(is_taken, 0.5 / own[is_taken].sum(), 0.5 / own[~is_taken].sum()) * own
        model = AdaBoostClassifier(
            DecisionTreeClassifier(max_depth=self.max_depth),
            n_estimators=self.n_trees,
            learning_rate=self.learning_rate,
            random_state=seed,
        )
        model.fit(features[rows], is_taken, even)
        votes = model.estimator_weights_[: len(model.estimators_)]
        self._trees = flatten_classifiers(
            model.estimators_,
            [_votes(weight) for weight in votes],
            base=float(log_odds(np.average(labels, weights=weights))),
        )
        return self


def _votes(weight: float) -> LeafValue:
    """A leaf votes for the label of its larger half; scikit-learn gives ties to False."""
    return lambda positive_share, _: np.where(positive_share > 0.5, weight, -weight)
