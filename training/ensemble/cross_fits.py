"""Cross-fitting by person: fit strategies on all folds but some; each such fit is made once and kept.

A logit is out of fold if nobody in its person's fold was fitted on. A strategy over other strategies' logits needs
two folds held out at once: it then learns from logits that know nothing of the fold on which it is judged. The fit
without folds 1 and 3 serves both of them, so with five folds each strategy needs 10 more fits, not 20.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from training.ensemble.footprint import Footprint, footprint
from training.ensemble.sampling import folds_by_person
from training.ensemble.strategy import Labels, People, Strategy, Weights
from training.members.member import Floats

Factory = Callable[[], Strategy]
"""A function that makes a new, unfitted strategy."""


class Combination(Strategy):
    """A strategy that combines the logits of other strategies."""

    @property
    @abstractmethod
    def bases(self) -> dict[str, Factory]:
        """The strategies that it combines, by name."""

    @abstractmethod
    def combine(self, fits: CrossFits, *held_out: int) -> Self:
        """Learn from cross-fits that include its bases, on all folds that are not held out."""


@dataclass(frozen=True)
class Fit:
    """A fitted strategy and the cost of fitting it; a combination's cost includes all its bases' fits."""

    strategy: Strategy
    cost: Footprint


class CrossFits:
    """All pairs, assigned to folds by person, and every fit made on them so far.

    features (n_pairs, n_features), labels, people and weights (n_pairs,) are as in `Strategy.fit`.
    """

    def __init__(
        self,
        factories: Mapping[str, Factory],
        features: Floats,
        labels: Labels,
        people: People,
        *,
        n_folds: int,
        seed: int,
        weights: Weights | None = None,
    ) -> None:
        self.factories = dict(factories)
        self.features, self.labels, self.people, self.weights = features, labels, people, weights
        self.n_folds, self.seed = n_folds, seed
        self.folds = folds_by_person(people, n_folds, seed=seed)
        self._fits: dict[tuple[str, frozenset[int]], Fit] = {}

    def without(self, name: str, *held_out: int) -> Fit:
        """Return the strategy fitted on everybody who is not in a held-out fold."""
        key = (name, frozenset(held_out))
        if key not in self._fits:
            strategy = self.factories[name]()
            if isinstance(strategy, Combination):
                self._fits[key] = self._combined(strategy, *held_out)
            else:
                self._fits[key] = self._fitted(strategy, *held_out)
        return self._fits[key]

    def logits(self, name: str, *held_out: int) -> Floats:
        """Return out-of-fold logits of every pair; (n_pairs,) float32, NaN for pairs in folds held out altogether."""
        logits = np.full(len(self.labels), np.nan, np.float32)
        for fold in self.folds_without(*held_out):
            rows = self.folds == fold
            logits[rows] = self.without(name, fold, *held_out).strategy.logit(self.features[rows])
        return logits

    def logits_of(self, name: str, features: Floats, people: People) -> Floats:
        """Return out-of-fold logits of other pairs of the same people; (n_others,) float32.

        Raises KeyError for a person who has no pair here.
        """
        known, first = np.unique(self.people, return_index=True)
        places = np.minimum(np.searchsorted(known, people), len(known) - 1)
        if not np.array_equal(known[places], people):
            raise KeyError("pairs of people of whom no fit was made without them")
        folds = self.folds[first[places]]
        logits = np.empty(len(people), np.float32)
        for fold in np.unique(folds).tolist():
            rows = folds == fold
            logits[rows] = self.without(name, fold).strategy.logit(features[rows])
        return logits

    def rows_without(self, *held_out: int) -> npt.NDArray[np.bool_]:
        """Return which pairs are in no held-out fold; (n_pairs,)."""
        return ~np.isin(self.folds, held_out)

    def weights_of(self, rows: npt.NDArray[np.bool_]) -> Weights | None:
        """Return the weights of some pairs."""
        return None if self.weights is None else self.weights[rows]

    def folds_without(self, *held_out: int) -> list[int]:
        """Return the folds that are not held out."""
        return [fold for fold in range(self.n_folds) if fold not in held_out]

    def _fitted(self, strategy: Strategy, *held_out: int) -> Fit:
        rows = self.rows_without(*held_out)
        features, labels, people = self.features[rows], self.labels[rows], self.people[rows]
        with footprint() as cost:
            strategy.fit(features, labels, people, seed=self.seed, weights=self.weights_of(rows))
        return Fit(strategy, cost)

    def _combined(self, strategy: Combination, *held_out: int) -> Fit:
        inner = [(), *((fold,) for fold in self.folds_without(*held_out))]
        costs = [self.without(name, *held_out, *fold).cost for name in strategy.bases for fold in inner]
        with footprint() as last:
            strategy.combine(self, *held_out)
        costs.append(last)
        return Fit(
            strategy,
            Footprint(sum(cost.seconds for cost in costs), max(cost.peak_memory_bytes for cost in costs)),
        )
